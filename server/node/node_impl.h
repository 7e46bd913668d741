#ifndef NODE_NODE_IMPL_H
#define NODE_NODE_IMPL_H

/* The node's inside, for the node_*.c files. */

#include "node/node.h"
#include "node/node_identity.h"
#include "node/node_log.h"

/* Waiting writes hang below their index; a power of two. */
#define NODE_WAITING_BUCKETS 4096

struct node {
	struct node_params params;
	struct node_host host;
	struct store *log_store;
	struct node_identity identity;
	raft_id id;
	enum node_state state;
	raft_usec settle_at; /* RAFT_NEVER: the log store is settled */
	int error;
	char fault[256];

	/* Formation; see node_formation.c. */
	bool heard[NODE_MEMBERS_MAX]; /* by position; the node itself: true */
	bool formation_complete;      /* to be made durable by the next turn */

	/* From NODE_MEMBER on. */
	struct raft *raft;
	struct node_log *log;
	struct kv *kv;
	bool cluster_id_known;
	uint8_t cluster_id[NODE_NONCE_SIZE];
	raft_usec checkpoint_at; /* RAFT_NEVER: nothing is dirty */

	/* Cluster time goes on from time_base_us, stamped at time_base_at. */
	uint64_t time_base_us;
	raft_usec time_base_at;

	struct list waiting[NODE_WAITING_BUCKETS]; /* of struct node_write */
	struct list reads;   /* of struct node_read, not yet asked for */
	struct list batches; /* of struct read_batch, oldest first */
	uint64_t read_id;    /* of the last batch */
	bool changed;        /* host.on_change is due */
	bool again;          /* a turn is wanted at once */

	/* Reused memory. */
	struct raft_op *ops;
	size_t ops_capacity; /* of each of these, in its elements */
	struct node_entry **entries;
	size_t entries_capacity;
	struct raft_entry *received;
	struct raft_members *received_members;
	size_t received_capacity;
};

/* Notes why the node stops; the first reason stays. Returns `error`. */
ATTR_PRINTF(3, 4)
int node_set_fault(struct node *node, int error, const char *format, ...);

/* ---- node_formation.c ---- */

/* Takes up the identity of the directory, or gives an empty one its own. */
int
node_formation_open(struct node *node, char *why, size_t size) ATTR_MUST_CHECK;
/* Makes the formation durable when everybody was heard. */
int node_formation_turn(struct node *node) ATTR_MUST_CHECK;

/* ---- node_boot.c ---- */

/* Loads log and state machine and starts the core. */
int node_boot(
    struct node *node, raft_usec now, char *why, size_t size) ATTR_MUST_CHECK;
/* Takes over the membership of an applied RAFT_ENTRY_MEMBERS. */
int
node_take_membership(struct node *node, struct slice payload) ATTR_MUST_CHECK;

/* ---- node_client.c ---- */

/* Entries that the core made by itself get their records. */
void node_fill_log(struct node *node, raft_usec now);
/* Asks the core once for all reads that came since the last turn. */
void node_ask_reads(struct node *node, raft_usec now);
void node_answer_read(struct node *node, uint64_t read_id, int status);
/* Tells whoever waits for `index` that an entry of `term` is applied there;
 * `result` is that of a command, or NULL. */
void node_answer_writes(struct node *node, raft_index index, raft_term term,
    const struct kv_result *result);
void node_clients_release(struct node *node);

#endif
