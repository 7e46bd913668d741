#ifndef NODE_NODE_LOG_IMPL_H
#define NODE_NODE_LOG_IMPL_H

/* The log's inside, for node_log.c (memory) and node_log_disk.c. */

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
	raft_index durable_index;   /* last entry on disk */
	raft_index compact_until;   /* asked for */
	struct node_log_base reset; /* for a commit that resets */
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

/* Forgets all entries: the log begins behind `base`. */
void node_log_begin_at(struct node_log *log, const struct node_log_base *base);

/* Frees the oldest entry in memory, which is on disk. */
void node_log_uncache_first(struct node_log *log);

#endif
