#ifndef KV_KV_H
#define KV_KV_H

/*
 * The state machine: keys with values and revisions, changed only by commands
 * at log indices. The same commands at the same indices give the same state,
 * the same results and the same hash on every replica: there is no clock, no
 * randomness and no configuration in here.
 *
 * A struct kv owns the data store's one write transaction and keeps it open
 * from turn to turn. All reads go through it and so see everything applied.
 * kv_checkpoint() makes it durable, with the applied index and all counts in
 * the same transaction as the effects, and begins the next. A crash loses only
 * what was applied since; the log replays it from kv_applied_index() + 1, and
 * each entry takes effect exactly once.
 *
 *	kv_open -> applied index A
 *	kv_apply(A + 1), kv_skip(A + 2), ...    every log entry, in order
 *	kv_get                                  between any two of them
 *	kv_checkpoint                           every so often
 *	kv_close                                what is not checkpointed is lost
 *
 * Errors: ERR_NOT_FOUND of a get is an answer. Every other error of any
 * function here means that this replica must stop: the store is broken
 * (ERR_IO, ERR_NO_SPACE), bytes are damaged (ERR_CORRUPT), or a newer version
 * wrote them (ERR_VERSION). After one, every function that can fail gives
 * ERR_STOPPED, so that a half-done change is never checkpointed.
 *
 * Revisions: one global number, grown by one by each command that changes
 * something; a delete of a missing key changes nothing and takes none. The
 * first change has revision 1. A put of the value that is there is a change; a
 * transaction that creates a key and deletes it again takes a revision, but
 * there is no event of it.
 */

#include "common/buf.h"
#include "common/err.h"
#include "common/macros.h"
#include "kv/kv_command.h"
#include "store/store.h"

/*
 * The tables of the data store, by position: it is opened with exactly these
 * names, in this order.
 */
#define KV_TABLES_COUNT 10
/* Tables of the store on disk: those, and the memtable's log as the last. */
#define KV_DISK_TABLES_COUNT (KV_TABLES_COUNT + 1)
extern const char *const kv_tables[KV_DISK_TABLES_COUNT];

/*
 * Opens the store that a kv lives in, over `disk`, which it takes: the tables
 * that change at random gather in a memtable of about so many bytes. As
 * store_memtable_open.
 */
int kv_store_open(struct store *disk, uint64_t memtable_bytes,
    struct store **ret_store) ATTR_MUST_CHECK;

struct kv;

/*
 * Opens the state in `data`, which stays the caller's and outlives the kv, and
 * with `verify` checks all of it (kv_verify): always, but for a store that a
 * kv_writer has just finished. An empty store is a new, empty state with
 * applied index 0. ERR_CORRUPT, ERR_VERSION, or an error of the store.
 */
int
kv_open(struct store *data, bool verify, struct kv **ret_kv) ATTR_MUST_CHECK;

/* Drops what was not checkpointed. NULL is fine. */
void kv_close(struct kv *kv);

/* ---- Applying: commands and results are in kv_command.h ---- */

/*
 * Applies the command of the log entry at `index`, which is the applied index
 * + 1. `cluster_time_us` is the entry's stamp; a lower one than before counts
 * as the one before. ERR_CORRUPT: not a command; ERR_VERSION: one of a newer
 * version. Neither is ever skipped, as the replica would differ from then on.
 */
int kv_apply(struct kv *kv, uint64_t index, uint64_t cluster_time_us,
    struct slice command, struct kv_result *ret_result) ATTR_MUST_CHECK;

/*
 * Takes note of the log entry at `index`, the applied index + 1, that is not a
 * command. ERR_STOPPED after an error.
 */
int kv_skip(struct kv *kv, uint64_t index) ATTR_MUST_CHECK;

/*
 * Makes everything applied durable: on 0 a power cut cannot undo it. Blocks
 * for as long as the store's commit takes. After an error nothing of the state
 * may be used any more: the disk holds this checkpoint or the one before.
 */
int kv_checkpoint(struct kv *kv) ATTR_MUST_CHECK;

/* ---- Looking; reading keys is in kv_read.h ---- */

struct kv_stats {
	uint64_t keys_count;
	uint64_t live_bytes; /* of all keys and values */
	/* What a checkpoint writes: keys and records changed since the last,
	 * and what the store does beside, see store_get_commit_bytes. */
	uint64_t dirty_bytes;
	uint64_t commit_bytes;
	uint64_t checkpoint_index; /* applied index that is durable */
	uint64_t leases_count;     /* tokens of locks among them */
	uint64_t history_count;    /* events */
	uint64_t history_bytes;    /* of them, as stored */
	uint64_t expired_count;    /* keys that expired since kv_open */
};

void kv_get_stats(const struct kv *kv, struct kv_stats *ret_stats);

uint64_t kv_revision(const struct kv *kv);
uint64_t kv_applied_index(const struct kv *kv);

/*
 * A number that is equal on all replicas that applied the same entries: of the
 * applied index, the revision and all records. Costs nothing.
 */
uint64_t kv_state_hash(const struct kv *kv);

/* ---- The node's own records ---- */

#define KV_META_NAME_SIZE_MAX 64
#define KV_META_SIZE_MAX      65536

/*
 * Small records beside the state, such as the replicated membership, durable
 * together with it at the next checkpoint. They are covered by the checks but
 * not by kv_state_hash. kv_set_meta replaces; `name` is a C string of
 * 1 .. KV_META_NAME_SIZE_MAX bytes. What kv_get_meta gives is valid as a
 * kv_item is; ERR_NOT_FOUND if there is none.
 */
int kv_set_meta(
    struct kv *kv, const char *name, struct slice bytes) ATTR_MUST_CHECK;
int kv_get_meta(
    struct kv *kv, const char *name, struct slice *ret_bytes) ATTR_MUST_CHECK;

/* ---- Checks ---- */

/*
 * Reads every record, checks each, and compares the count, bytes and hash of
 * those in each table with those kept: finds damaged, missing and extra records.
 * What one table says must be what another says: that each key with a lease is
 * attached to it, each version has its event, and so on. ERR_CORRUPT, or an
 * error of the store. Takes a second per gigabyte or so.
 */
int kv_verify(struct kv *kv) ATTR_MUST_CHECK;

struct kv_scrub;

/*
 * The same in steps, between which the state may change: begins a pass over
 * `kv`, which outlives it. The sums are compared only if no record changed from
 * the first step to the last.
 */
struct kv_scrub *kv_scrub_new(struct kv *kv);
void kv_scrub_free(struct kv_scrub *scrub); /* NULL is fine */

/*
 * Reads and verifies records behind those of the step before, until they have
 * bytes_max bytes, and one at least. ERR_NOT_FOUND: that was the end of the
 * pass. Else an error after which the node stops; kv_scrub_describe appends
 * where it was found: "data: key \"name\"",
 * "data: history record 00...".
 */
int kv_scrub_step(struct kv_scrub *scrub, size_t bytes_max,
    size_t *ret_bytes) ATTR_MUST_CHECK;
void kv_scrub_describe(const struct kv_scrub *scrub, struct buf *to);

#endif
