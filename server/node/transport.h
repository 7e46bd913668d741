#ifndef NODE_TRANSPORT_H
#define NODE_TRANSPORT_H

/*
 * What a node asks of the world around it: a clock and a way to its peers.
 * The daemon gives it sockets (net/peer.h), the simulator a seeded network.
 */

#include "common/slice.h"
#include "raft/raft.h"
#include "store/store.h"

#define NODE_NAME_SIZE_MAX    32
#define NODE_ADDRESS_SIZE_MAX 63
#define NODE_CLUSTER_SIZE_MAX 64
#define NODE_MEMBERS_MAX      RAFT_MEMBERS_MAX
/* Of voters: in [members], and ever after. */
#define NODE_VOTERS_MAX 7
#define NODE_NONCE_SIZE 16
/* So many lives before the present one are remembered in a directory. */
#define NODE_FORMER_LIVES 8

/* The Raft group of everything so far; in messages and in table names. */
#define NODE_GROUP 1

/*
 * A member's name stays with it for life, its address may change. Founders
 * have the ids 1 .. count, by sorted name; whoever is added later has the index
 * of the entry that adds it plus NODE_MEMBERS_MAX. No id is ever used again.
 */
struct node_member {
	raft_id id;
	char name[NODE_NAME_SIZE_MAX + 1];
	char address[NODE_ADDRESS_SIZE_MAX + 1]; /* numeric host:port */
	/* The nonce of its directory; zeros: a founder's, not heard yet. */
	uint8_t directory[NODE_NONCE_SIZE];
};

/* Ids ascend; names and addresses differ. */
struct node_members {
	unsigned count;
	struct node_member member[NODE_MEMBERS_MAX];
};

/*
 * What two nodes tell each other when a connection begins, before anything
 * else (the proof of the cluster secret is the transport's).
 */
enum node_hello_stage {
	NODE_HELLO_FOUNDING, /* waits for all of its `members` list */
	/* Empty, waits to be made a member; from is 0. A member accepts this
	 * of a directory that it knows, so that its own hello gets through. */
	NODE_HELLO_JOINING,
	NODE_HELLO_MEMBER,
	NODE_HELLO_PROBE /* of a member: may the receiver be made one? to is 0 */
};

struct node_hello {
	enum node_hello_stage stage;
	raft_id from;
	raft_id to;
	/* Which the sender dialled; empty in an answer. The proof covers it, so
	 * that nobody in between can pass a hello on to somebody else. */
	char to_address[NODE_ADDRESS_SIZE_MAX + 1];
	uint64_t boot_id;
	/* How often the sender's directory was started, and what is durable
	 * in it: neither ever goes back but by an old copy. JOINING: 0. */
	uint64_t incarnation;
	/* The boot ids of its lives before, the last one first; 0: none. */
	uint64_t former_boot_ids[NODE_FORMER_LIVES];
	raft_term term;
	raft_index last_index;
	/* How often the cluster was made anew by force; see node_recover.h. */
	uint32_t generation;
	/* JOINING: damage was found in the directory that the member of this
	 * name had, and it has begun a new one. The leader puts it in the
	 * member's place by itself. */
	bool damaged;
	uint8_t cluster_id[NODE_NONCE_SIZE]; /* zeros: not known yet */
	uint8_t directory[NODE_NONCE_SIZE];  /* of the sender's directory */
	/* The receiver's directory as the sender knows it; zeros: not yet. */
	uint8_t known_directory[NODE_NONCE_SIZE];
	/* The newest life of the receiver that the sender has heard as a
	 * member (0: none), and, from a leader, which entry the receiver
	 * acknowledged in `term`: so that an old copy sees that it is one. */
	uint64_t known_incarnation;
	uint64_t known_boot_id;
	raft_index known_last_index;
	char cluster[NODE_CLUSTER_SIZE_MAX + 1];
	char name[NODE_NAME_SIZE_MAX + 1]; /* the sender's */
	/* FOUNDING: as in its configuration. MEMBER and PROBE: as of the
	 * committed membership entry `members_index`. JOINING: none. */
	raft_index members_index;
	struct node_members members;
	/* The receiver is a voter in that membership. Who has just joined says
	 * so of all, as it does not know their roles yet. */
	bool to_votes;
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

	/*
	 * The states of two voters differ at an entry, and no majority tells
	 * which is right; see node_compare.h. Called within node_turn.
	 */
	void (*on_difference)(
	    void *context, raft_id a, raft_id b, raft_index index);

	/*
	 * The members have changed: whom to dial, and where. Not this node
	 * itself, which is in the list; none when it was removed. Borrowed.
	 * The first time within node_new.
	 */
	void (*on_members)(void *context, const struct node_members *members);

	/*
	 * Sends one piece of a snapshot, borrowed during the call; the next one
	 * follows node_snapshot_answered() for this one. `cancel` instead drops
	 * what is under way to that peer; no answer is wanted.
	 */
	void (*send_snapshot)(void *context, raft_id to, struct slice piece);
	void (*cancel_snapshot)(void *context, raft_id to);

	/*
	 * Opens the data store of a generation, creating it when missing; with
	 * `empty`, whatever it held before is removed first. The store is the
	 * node's, who closes it. Errors as of store_lmdb_open.
	 */
	int (*open_data)(void *context, uint64_t generation, bool empty,
	    struct store **ret_store);
	/* Removes the data stores of all other generations; none is open. */
	int (*remove_data_but)(void *context, uint64_t generation);
};

#endif
