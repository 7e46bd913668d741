#ifndef NODE_NODE_LOG_IMPL_H
#define NODE_NODE_LOG_IMPL_H

/* The log's inside, for node_log.c (memory), node_log_disk.c (commits) and
 * node_log_open.c. */

#include "common/buf.h"
#include "node/node_log.h"

struct node_log {
	struct store *store;
	/* On disk, as of the last commit. */
	raft_term term;
	raft_id vote;
	raft_index commit_hint;
	raft_index compacted_index;
	raft_term compacted_term;
	uint64_t compacted_chain;
	uint64_t compacted_time_us;
	uint64_t data_generation;
	raft_index repair_until;
	raft_term repair_term;
	raft_index durable_index;   /* last entry on disk */
	uint64_t noted_chain;       /* at open: the running hash at it */
	raft_index stored_front;    /* at open: compacted_index on disk */
	raft_index compact_until;   /* asked for */
	struct node_log_base reset; /* for a commit that resets */
	struct buf members;         /* see node_log_note_members */
	bool members_changed;       /* since the last commit */
	/* In memory; entries cached_first .. last_index are in the ring. */
	raft_index last_index;
	uint64_t last_chain;
	uint64_t last_time_us;
	uint64_t bytes;
	struct node_entry **ring;
	size_t ring_capacity; /* a power of two */
	raft_index cached_first;
	uint64_t cached_bytes;
	uint64_t cache_bytes_max;
	struct node_entry **cold; /* read from disk in this turn */
	size_t cold_count;
};

/*
 * The record at `index` within `txn`, verified but for its running hash.
 * ERR_CORRUPT if it is missing.
 */
int node_log_read(struct node_log *log, struct store_txn *txn, raft_index index,
    struct slice *ret_bytes) ATTR_MUST_CHECK;

/* The running hash at `index`, as it is on disk there or right before the first
 * entry. Errors as of node_log_read. */
int node_log_read_chain(struct node_log *log, struct store_txn *txn,
    raft_index index, uint64_t *ret_chain) ATTR_MUST_CHECK;

/* Writes the hard state; `durable_chain` is the running hash at the last entry
 * on disk. */
int node_log_write_state(struct node_log *log, struct store_txn *txn,
    uint64_t durable_chain) ATTR_MUST_CHECK;

/* The name of the hard state's record, and its format. */
struct slice node_log_state_key(void);
#define NODE_LOG_STATE_VERSION 3
/* And of the note of the members: what was given, and a CRC-32C. */
struct slice node_log_members_key(void);

/* Forgets all entries: the log begins behind `base`. */
void node_log_begin_at(struct node_log *log, const struct node_log_base *base);

/* Frees the oldest entry in memory, which is on disk. */
void node_log_uncache_first(struct node_log *log);

#endif
