#ifndef NODE_TRANSPORT_H
#define NODE_TRANSPORT_H

/*
 * What a node asks of the world around it: a clock and a way to its peers.
 * The daemon gives it sockets (net/peer.h), the simulator a seeded network.
 */

#include "common/slice.h"
#include "raft/raft.h"

#define NODE_NAME_SIZE_MAX    32
#define NODE_ADDRESS_SIZE_MAX 63
#define NODE_CLUSTER_SIZE_MAX 64
#define NODE_MEMBERS_MAX      7
#define NODE_NONCE_SIZE       16

/* The Raft group of everything so far; in messages and in table names. */
#define NODE_GROUP 1

struct node_member {
	raft_id id; /* 1 .. count, by sorted name */
	char name[NODE_NAME_SIZE_MAX + 1];
	char address[NODE_ADDRESS_SIZE_MAX + 1]; /* numeric host:port */
};

/* Sorted by name; ids ascend. */
struct node_members {
	unsigned count;
	struct node_member member[NODE_MEMBERS_MAX];
};

/*
 * What two nodes tell each other when a connection begins, before anything
 * else (the proof of the cluster secret is the transport's).
 */
struct node_hello {
	raft_id from;
	raft_id to;
	uint64_t boot_id;
	bool formed;
	uint8_t cluster_id[NODE_NONCE_SIZE]; /* zeros: not known yet */
	uint8_t directory[NODE_NONCE_SIZE];  /* of the sender's directory */
	/* The receiver's directory as the sender knows it; zeros: not yet. */
	uint8_t known_directory[NODE_NONCE_SIZE];
	char cluster[NODE_CLUSTER_SIZE_MAX + 1];
	struct node_members members; /* as founded */
};

/*
 * An entry as it stands in the log and on the wire: one record for both (see
 * node_record.h), so that every replica stores the same bytes under the same
 * running hash.
 */
struct node_entry {
	raft_index index;
	struct slice record;
	char *wire_text; /* see node_entry_wire; NULL until it was wanted */
	size_t wire_size;
};

/*
 * The record in base64, made once and kept with the entry, for all followers.
 * Valid for as long as the entry is.
 */
struct slice node_entry_wire(struct node_entry *entry);

struct node_host {
	void *context;

	/* The time, read anew: after a commit the turn asks again. */
	raft_usec (*now)(void *context);

	/*
	 * Queues a message for message->to. `entries` are the
	 * message->entries_count entries of an append request, in order.
	 * Everything is borrowed during the call. A message may get lost.
	 */
	void (*send)(void *context, const struct raft_message *message,
	    struct node_entry *const *entries);

	/*
	 * Puts messages and answers on the wire, as far as it goes without
	 * waiting: called before the log commit, so that the followers' disks
	 * work while ours does, and before a checkpoint.
	 */
	void (*flush)(void *context);

	/*
	 * Role, term, leader or state of the node changed. Called within
	 * node_turn; must not call back into the node's events.
	 */
	void (*on_change)(void *context);

	/* A log commit or a checkpoint took this long. */
	void (*on_commit)(void *context, bool checkpoint, raft_usec took);

	/* The core's alarm about a peer; see raft.h. */
	void (*on_alarm)(void *context, enum raft_alarm alarm, raft_id peer);
};

#endif
