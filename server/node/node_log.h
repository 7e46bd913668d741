#ifndef NODE_NODE_LOG_H
#define NODE_NODE_LOG_H

/*
 * The Raft log of one group on disk, with the hard state, and a cache of its
 * newest entries. Every entry is a record (node_record.h) under its index;
 * the hard state is one record that is written by the same commit:
 *
 *	term, vote, commit hint, the last entry cut from the front (index,
 *	term, running hash, cluster time), the generation of the data store,
 *	the last entry (index, running hash), what was lost (raft_boot's
 *	repair_until, repair_term)
 *
 * so that at open a missing, foreign or additional record is seen, not only a
 * damaged one. Since the store's commits are atomic there are no torn tails:
 * whatever does not fit is damage. It is cut away by node_log_repair alone,
 * which remembers what it was that is lost; see node_repair.c.
 *
 * Memory runs ahead of the disk: append, adopt and truncate change what the
 * next commit writes.
 */

#include "node/node_record.h"
#include "node/transport.h"
#include "store/store.h"

struct node_log;

struct node_log_state {
	raft_term term;
	raft_id vote;
	raft_index commit_hint;
	raft_index compacted_index; /* (0, 0): nothing was cut */
	raft_term compacted_term;
	uint64_t data_generation; /* which data store belongs to this log */
	raft_index repair_until;  /* as of raft_boot */
	raft_term repair_term;
	raft_index last_index; /* in memory */
	raft_index durable_index;
	uint64_t last_time_us; /* cluster time of the last entry */
	uint64_t bytes;        /* of the records in memory and on disk */
};

/*
 * Called for each entry at open, in order; an error ends the open with it.
 * The record is borrowed.
 */
typedef int node_log_visit_fn(
    void *context, const struct node_record *record, uint32_t size);

/*
 * Reads the hard state; the entries follow by node_log_load. On an error, `why`
 * says what was found. `cache_bytes_max` bounds the records of applied entries
 * kept in memory.
 */
int node_log_open(struct store *store, uint64_t cache_bytes_max,
    struct node_log **ret_log, char *why, size_t size) ATTR_MUST_CHECK;
void node_log_free(struct node_log *log); /* NULL is fine */

void node_log_get_state(
    const struct node_log *log, struct node_log_state *ret_state);

/*
 * Makes a record out of a new entry of this node's own and puts it behind the
 * last. `time_us` below the last entry's counts as the same.
 */
void node_log_append(struct node_log *log, enum raft_entry_type type,
    raft_term term, uint64_t time_us, struct slice payload);

/*
 * Puts a received record (decodable, of index last + 1) behind the last.
 * ERR_MISMATCH: its running hash, or its time, does not continue this log.
 */
int node_log_adopt(struct node_log *log, struct slice bytes) ATTR_MUST_CHECK;

/* Drops all entries from `from` on; from > compacted_index. */
int node_log_truncate(struct node_log *log, raft_index from) ATTR_MUST_CHECK;

/* Where a log that begins behind a snapshot goes on. */
struct node_log_base {
	raft_index index;
	raft_term term;
	uint64_t chain;   /* the running hash at it */
	uint64_t time_us; /* its cluster time */
	uint64_t data_generation;
};

/* ---- Opening ---- */

/*
 * Reads and verifies all entries. *ret_bad is 0, or the first one that is
 * damaged, missing or foreign: the log then ends before it, and node_log_repair
 * has to follow. With `front` (else NULL), which is not beyond the last entry,
 * the log begins behind that instead of where the hard state says, and what is
 * before is not looked at: may be called again with it. ERR_CORRUPT, and `why`:
 * there is what the hard state knows nothing of; ERR_VERSION; or the store's
 * error.
 */
int node_log_load(struct node_log *log, const struct node_log_base *front,
    node_log_visit_fn *visit, void *context, raft_index *ret_bad, char *why,
    size_t size) ATTR_MUST_CHECK;

/*
 * Is `base` (not before the log's first entry, nor beyond its last) of this
 * log's history? Before node_log_load. It is proved by the record at it or the
 * one behind it or, if it is the last, by the hard state. ERR_MISMATCH: it is
 * not, or that cannot be read; or the store's error.
 */
int node_log_prove(
    struct node_log *log, const struct node_log_base *base) ATTR_MUST_CHECK;

/*
 * Makes the log on disk what was loaded, in one commit: without the entries
 * before its front, and from the bad one on. If that cuts the end, it is
 * remembered how far that went; `data_generation` is the store that belongs to
 * this log from now on. ERR_CORRUPT, and `why`: the rest does not verify.
 */
int node_log_repair(struct node_log *log, uint64_t data_generation, char *why,
    size_t size) ATTR_MUST_CHECK;

/* ---- Commits ---- */

/*
 * What the next commit with a reset_index and reset_term, which are the base's,
 * makes of the log: empty behind `base`, with the data store that base names
 * (one transaction decides between the old state and the new one). Until then
 * the log is as before; entries that were not committed are dropped as well.
 * If the commit says reset_keeps, the entries stay, and only the data store
 * changes.
 */
void node_log_reset(struct node_log *log, const struct node_log_base *base);

/* The base that a snapshot at `index` has: of a kept entry, or of the one
 * before the first. ERR_NOT_FOUND. data_generation is left 0. */
int node_log_get_base(struct node_log *log, raft_index index,
    struct node_log_base *ret_base) ATTR_MUST_CHECK;

/*
 * The one durable commit: the persist's reset, its cut, entries, term and vote, and what
 * node_log_compact asked for. An error means that the node stops.
 */
int node_log_commit(struct node_log *log,
    const struct raft_op_persist *persist) ATTR_MUST_CHECK;
/* The same as a part of `txn`: what the log says of itself is true only when
 * that is committed, and the log is to be freed if it is not. */
int node_log_write(struct node_log *log, struct store_txn *txn,
    const struct raft_op_persist *persist) ATTR_MUST_CHECK;

/*
 * The data store is not what it should be: the generation that is next, and
 * empty, belongs to this log from now on. One durable commit, of nothing else.
 * An error, or 0: the node stops.
 */
int node_log_distrust_data(struct node_log *log) ATTR_MUST_CHECK;

/*
 * The committed membership, as bytes that begin with its index and mean nothing
 * else here; an older one than the present is ignored. Durable with the next
 * commit, so not later than the entry that it came from is cut: it is known
 * even if the state is lost.
 */
void node_log_note_members(struct node_log *log, struct slice note);
/* Empty: there was none yet. Valid until the next one. */
struct slice node_log_get_members(const struct node_log *log);

/*
 * Entries up to `index` (durable) are no longer needed: later commits cut
 * them, a bounded number each.
 */
void node_log_compact(struct node_log *log, raft_index index);

/*
 * The entry at `index`, from memory or disk; valid until node_log_tidy, a
 * commit or a truncation. ERR_NOT_FOUND; else an error after which the node stops.
 */
int node_log_get(struct node_log *log, raft_index index,
    struct node_entry **ret_entry) ATTR_MUST_CHECK;

/*
 * Verifies entries on disk behind *position, whatever memory holds of them,
 * until they have bytes_max bytes, and one at least; moves *position. The log
 * may have changed since the last call. ERR_NOT_FOUND: there are no more.
 * Else an error after which the node stops, of entry *position + 1.
 */
int node_log_scrub(struct node_log *log, raft_index *position, size_t bytes_max,
    size_t *ret_bytes) ATTR_MUST_CHECK;

/*
 * Frees what was read from disk, and cached entries up to `applied_index`
 * that are over the limit.
 */
void node_log_tidy(struct node_log *log, raft_index applied_index);

/* Tables of the log store, shared with node_identity.c. */
enum { NODE_TABLE_IDENTITY, NODE_TABLE_STATE, NODE_TABLE_LOG };

#endif
