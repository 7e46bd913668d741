#include "common/codec.h"
#include "common/hash.h"
#include "common/mem.h"
#include "common/panic.h"
#include "node/node_log_impl.h"

#include <inttypes.h>
#include <stdio.h>

/*
 * Entries are cut from the front when so many are to be cut: most commits then
 * touch the end of the log alone. A commit cuts at most as many, and what it
 * appends: the cut keeps pace with any write rate and no commit is long.
 */
#define COMPACT_ENTRIES 512

struct slice
node_log_state_key(void)
{
	return slice_from_text("hard");
}

struct slice
node_log_members_key(void)
{
	return slice_from_text("members");
}

/* ---- Commit ---- */

static int
write_members(struct node_log *log, struct store_txn *txn)
{
	struct buf bytes = { 0 };
	int error;

	if (!log->members_changed)
		return 0;
	log->members_changed = false;
	buf_append_slice(&bytes, buf_slice(&log->members));
	codec_append_u32(&bytes, crc32c(0, buf_slice(&bytes)));
	error = store_put(
	    txn, NODE_TABLE_STATE, node_log_members_key(), buf_slice(&bytes));
	buf_release(&bytes);
	return error;
}

int
node_log_write_state(
    struct node_log *log, struct store_txn *txn, uint64_t durable_chain)
{
	struct buf bytes = { 0 };
	int error;

	codec_append_u8(&bytes, NODE_LOG_STATE_VERSION);
	codec_append_u64(&bytes, log->term);
	codec_append_u64(&bytes, log->vote);
	codec_append_u64(&bytes, log->commit_hint);
	codec_append_u64(&bytes, log->compacted_index);
	codec_append_u64(&bytes, log->compacted_term);
	codec_append_u64(&bytes, log->compacted_chain);
	codec_append_u64(&bytes, log->compacted_time_us);
	codec_append_u64(&bytes, log->data_generation);
	codec_append_u64(&bytes, log->durable_index);
	codec_append_u64(&bytes, durable_chain);
	codec_append_u64(&bytes, log->repair_until);
	codec_append_u64(&bytes, log->repair_term);
	codec_append_u32(&bytes, crc32c(0, buf_slice(&bytes)));
	error = store_put(
	    txn, NODE_TABLE_STATE, node_log_state_key(), buf_slice(&bytes));
	buf_release(&bytes);
	return error == 0 ? write_members(log, txn) : error;
}

static int
delete_entry(struct store_txn *txn, raft_index index)
{
	uint8_t key[8];
	int error;

	codec_store_u64(key, index);
	error = store_delete(txn, NODE_TABLE_LOG, slice_of(key, sizeof(key)));
	/* What the hard state counts and the table lacks is damage. */
	return error == ERR_NOT_FOUND ? ERR_CORRUPT : error;
}

static int
delete_tail(struct node_log *log, struct store_txn *txn, raft_index from)
{
	while (log->durable_index >= from) {
		int error = delete_entry(txn, log->durable_index);

		if (error != 0)
			return error;
		log->durable_index--;
	}
	return 0;
}

static int
append_entries(struct node_log *log, struct store_txn *txn, raft_index first,
    raft_index last)
{
	struct node_entry *entry;
	uint8_t key[8];
	int error;

	ASSERT(first == log->durable_index + 1);
	for (raft_index i = first; i <= last; i++) {
		error = node_log_get(log, i, &entry);
		ASSERT(error == 0);
		codec_store_u64(key, i);
		error = store_append(txn, NODE_TABLE_LOG,
		    slice_of(key, sizeof(key)), entry->record);
		if (error != 0)
			return error;
	}
	log->durable_index = last;
	return 0;
}

static int
cut_until(struct node_log *log, struct store_txn *txn, raft_index until)
{
	uint64_t count = until - log->compacted_index;
	struct node_record record;
	struct slice bytes;
	struct store_cut cut;
	uint8_t key[8];
	int error = node_log_read(log, txn, until, &bytes);

	if (error == 0)
		error = node_record_decode(bytes, &record);
	if (error != 0)
		return error;
	codec_store_u64(key, until);
	error = store_delete_until(
	    txn, NODE_TABLE_LOG, slice_of(key, sizeof(key)), &cut);
	if (error != 0)
		return error;
	/* What the hard state counts and the table lacks is damage. */
	if (cut.count != count)
		return ERR_CORRUPT;
	log->bytes -= cut.bytes - count * sizeof(key);
	log->compacted_index = record.index;
	log->compacted_term = record.term;
	log->compacted_chain = record.chain;
	log->compacted_time_us = record.time_us;
	return 0;
}

/* Cuts a bounded number of entries from the front. */
static int
delete_front(struct node_log *log, struct store_txn *txn, uint64_t count_max)
{
	raft_index until = MIN(log->compact_until, log->durable_index);

	if (until < log->compacted_index + COMPACT_ENTRIES)
		return 0;
	return cut_until(
	    log, txn, MIN(until, log->compacted_index + count_max));
}

/* The running hash at the last entry on disk. */
static int
durable_chain(struct node_log *log, uint64_t *ret_chain)
{
	struct node_record record;
	struct node_entry *entry;
	int error;

	if (log->durable_index == log->compacted_index) {
		*ret_chain = log->compacted_chain;
		return 0;
	}
	error = node_log_get(log, log->durable_index, &entry);
	if (error == 0)
		error = node_record_decode(entry->record, &record);
	if (error == 0)
		*ret_chain = record.chain;
	return error;
}

/* What there was is of no use: the base is that of a snapshot. Unless only the
 * state was lost, and the log goes on behind it. */
static int
reset(struct node_log *log, struct store_txn *txn,
    const struct raft_op_persist *persist)
{
	int error;

	ASSERT(log->reset.index == persist->reset_index);
	ASSERT(log->reset.term == persist->reset_term);
	if (persist->reset_keeps) {
		ASSERT(persist->reset_index >= log->compacted_index);
		log->data_generation = log->reset.data_generation;
		return 0;
	}
	error = store_clear(txn, NODE_TABLE_LOG);
	if (error == 0)
		node_log_begin_at(log, &log->reset);
	return error;
}

static int
write_persist(struct node_log *log, struct store_txn *txn,
    const struct raft_op_persist *persist)
{
	uint64_t count_max = COMPACT_ENTRIES;
	uint64_t chain;
	int error = 0;

	if (persist->reset_index != 0)
		error = reset(log, txn, persist);
	if (error == 0 && persist->truncate_from != 0)
		error = delete_tail(log, txn, persist->truncate_from);
	if (error == 0 && persist->first != 0) {
		count_max += persist->last - persist->first + 1;
		error = append_entries(log, txn, persist->first, persist->last);
	}
	if (error == 0)
		error = durable_chain(log, &chain);
	if (error == 0)
		error = delete_front(log, txn, count_max);
	if (error == 0)
		error = node_log_write_state(log, txn, chain);
	return error;
}

int
node_log_write(struct node_log *log, struct store_txn *txn,
    const struct raft_op_persist *persist)
{
	log->term = persist->term;
	log->vote = persist->vote;
	log->commit_hint = persist->commit_index;
	log->repair_until = persist->repair_until;
	log->repair_term = persist->repair_term;
	return write_persist(log, txn, persist);
}

int
node_log_commit(struct node_log *log, const struct raft_op_persist *persist)
{
	struct store_txn *txn;
	int error;

	error = store_begin(log->store, true, &txn);
	if (error != 0)
		return error;
	error = node_log_write(log, txn, persist);
	if (error != 0) {
		store_abort(txn);
		return error;
	}
	error = store_commit(txn);
	while (error == 0 && log->cached_first <= log->compacted_index)
		node_log_uncache_first(log);
	return error;
}

int
node_log_read_chain(struct node_log *log, struct store_txn *txn,
    raft_index index, uint64_t *ret_chain)
{
	struct node_record record;
	struct slice bytes;
	int error;

	*ret_chain = log->compacted_chain;
	if (index == log->compacted_index)
		return 0;
	error = node_log_read(log, txn, index, &bytes);
	if (error == 0)
		error = node_record_decode(bytes, &record);
	if (error == 0)
		*ret_chain = record.chain;
	return error;
}

int
node_log_distrust_data(struct node_log *log)
{
	struct store_txn *txn;
	uint64_t chain;
	int error;

	error = store_begin(log->store, true, &txn);
	if (error != 0)
		return error;
	/* What memory holds may be ahead of the disk already, or differ from it. */
	error = node_log_read_chain(log, txn, log->durable_index, &chain);
	log->data_generation++;
	if (error == 0)
		error = node_log_write_state(log, txn, chain);
	if (error == 0)
		return store_commit(txn);
	store_abort(txn);
	return error;
}

void
node_log_compact(struct node_log *log, raft_index index)
{
	ASSERT(index <= log->durable_index);
	log->compact_until = MAX(log->compact_until, index);
}
