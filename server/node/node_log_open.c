/* The log at its open: verified, and cut where it does not verify. */

#include "common/codec.h"
#include "common/hash.h"
#include "common/mem.h"
#include "node/node_log_impl.h"

#include <inttypes.h>
#include <stdio.h>

enum { RING_CAPACITY_MIN = 1024 };

/* ---- The hard state ---- */

static int
decode_state(struct node_log *log, struct slice summed)
{
	struct codec_reader reader;

	codec_reader_init(&reader, summed);
	if (codec_read_u8(&reader) != NODE_LOG_STATE_VERSION)
		return ERR_VERSION;
	log->term = codec_read_u64(&reader);
	log->vote = codec_read_u64(&reader);
	log->commit_hint = codec_read_u64(&reader);
	log->compacted_index = codec_read_u64(&reader);
	log->compacted_term = codec_read_u64(&reader);
	log->compacted_chain = codec_read_u64(&reader);
	log->compacted_time_us = codec_read_u64(&reader);
	log->data_generation = codec_read_u64(&reader);
	log->durable_index = codec_read_u64(&reader);
	log->noted_chain = codec_read_u64(&reader);
	log->repair_until = codec_read_u64(&reader);
	log->repair_term = codec_read_u64(&reader);
	log->stored_front = log->compacted_index;
	if (!codec_reader_done(&reader) ||
	    log->compacted_index > log->durable_index ||
	    log->commit_hint > log->durable_index)
		return ERR_CORRUPT;
	return 0;
}

/* That of an earlier commit; of none: all zero. */
static int
load_state(struct node_log *log, struct store_txn *txn)
{
	struct slice bytes;
	struct slice summed;
	int error;

	error = store_get(txn, NODE_TABLE_STATE, node_log_state_key(), &bytes);
	if (error == ERR_NOT_FOUND)
		return 0;
	if (error != 0)
		return error;
	if (bytes.size < 5)
		return ERR_CORRUPT;
	summed = slice_of(bytes.data, bytes.size - 4);
	if (codec_load_u32(bytes.data + summed.size) != crc32c(0, summed))
		return ERR_CORRUPT;
	return decode_state(log, summed);
}

static int
load_members(struct node_log *log, struct store_txn *txn)
{
	struct slice bytes;
	struct slice summed;
	int error;

	error =
	    store_get(txn, NODE_TABLE_STATE, node_log_members_key(), &bytes);
	if (error != 0)
		return error == ERR_NOT_FOUND ? 0 : error;
	if (bytes.size < 8 + 4)
		return ERR_CORRUPT;
	summed = slice_of(bytes.data, bytes.size - 4);
	if (codec_load_u32(bytes.data + summed.size) != crc32c(0, summed))
		return ERR_CORRUPT;
	buf_append_slice(&log->members, summed);
	return 0;
}

int
node_log_open(struct store *store, uint64_t cache_bytes_max,
    struct node_log **ret_log, char *why, size_t size)
{
	struct node_log *log = mem_zalloc(1, sizeof(*log));
	struct store_txn *txn;
	int error;

	log->store = store;
	log->cache_bytes_max = cache_bytes_max;
	log->ring_capacity = RING_CAPACITY_MIN;
	log->ring = mem_zalloc(log->ring_capacity, sizeof(struct node_entry *));
	log->cached_first = 1;
	error = store_begin(store, false, &txn);
	if (error == 0) {
		error = load_state(log, txn);
		if (error == 0)
			error = load_members(log, txn);
		store_abort(txn);
	}
	if (error != 0) {
		snprintf(why, size, "hard state (term, vote, members): %s",
		    err_text(error));
		node_log_free(log);
		return error;
	}
	*ret_log = log;
	return 0;
}

/* ---- Entries ---- */

/* One record of the scan: the next index, and a continuation. */
static int
check_record(const struct node_log *log, struct slice key, struct slice bytes,
    struct node_record *ret_record)
{
	int error = node_record_decode(bytes, ret_record);

	if (error != 0)
		return error;
	if (key.size != 8 || codec_load_u64(key.data) != ret_record->index ||
	    ret_record->index != log->last_index + 1 ||
	    ret_record->chain != node_record_chain(bytes, log->last_chain) ||
	    ret_record->time_us < log->last_time_us)
		return ERR_CORRUPT;
	return 0;
}

/* What a scan does with the records: which ones, and who looks at them. */
struct scan {
	bool behind_front; /* others before it are no concern; else none is */
	node_log_visit_fn *visit; /* NULL: nobody */
	void *context;
	bool whole; /* gives: all verified, to the end of the table */
};

static int
scan_records(
    struct node_log *log, struct store_cursor *cursor, struct scan *scan)
{
	enum store_move move =
	    scan->behind_front ? STORE_AT_OR_AFTER : STORE_FIRST;
	struct node_record record;
	struct slice bytes;
	struct slice key;
	uint8_t first[8];
	int error;

	codec_store_u64(first, log->last_index + 1);
	key = slice_of(first, sizeof(first));
	for (;; move = STORE_NEXT) {
		error = store_cursor_move(cursor, move, key, &key, &bytes);
		if (error != 0)
			break;
		error = check_record(log, key, bytes, &record);
		if (error == ERR_CORRUPT)
			return 0;
		if (error == 0 && scan->visit != NULL)
			error = scan->visit(
			    scan->context, &record, (uint32_t)bytes.size);
		if (error != 0)
			return error;
		log->last_index = record.index;
		log->last_chain = record.chain;
		log->last_time_us = record.time_us;
		log->bytes += bytes.size;
	}
	scan->whole = error == ERR_NOT_FOUND;
	return scan->whole ? 0 : error;
}

/* Goes as far as the records verify. */
static int
scan_txn(struct node_log *log, struct store_txn *txn, struct scan *scan)
{
	struct store_cursor *cursor;
	int error;

	log->last_index = log->compacted_index;
	log->last_chain = log->compacted_chain;
	log->last_time_us = log->compacted_time_us;
	log->bytes = 0;
	error = store_cursor_open(txn, NODE_TABLE_LOG, &cursor);
	if (error != 0)
		return error;
	error = scan_records(log, cursor, scan);
	store_cursor_close(cursor);
	return error;
}

/* What the hard state does not know of was never acknowledged by it: it is not
 * this log's hard state, and says nothing of what is lost. */
static int
check_end(const struct node_log *log, bool whole, char *why, size_t size)
{
	if (log->last_index > log->durable_index)
		snprintf(why, size,
		    "the log goes on to entry %" PRIu64
		    " but its hard state names %" PRIu64
		    ": records are foreign",
		    log->last_index, log->durable_index);
	else if (log->last_index == log->durable_index &&
		 (!whole || log->last_chain != log->noted_chain))
		snprintf(why, size,
		    "the log's entry %" PRIu64
		    " is not the one that its hard state names: records are "
		    "foreign",
		    log->durable_index);
	else
		return 0;
	return ERR_CORRUPT;
}

int
node_log_load(struct node_log *log, const struct node_log_base *front,
    node_log_visit_fn *visit, void *context, raft_index *ret_bad, char *why,
    size_t size)
{
	struct scan scan = {
		.behind_front = front != NULL,
		.visit = visit,
		.context = context,
	};
	struct store_txn *txn;
	int error;

	if (front != NULL) {
		log->compacted_index = front->index;
		log->compacted_term = front->term;
		log->compacted_chain = front->chain;
		log->compacted_time_us = front->time_us;
	}
	error = store_begin(log->store, false, &txn);
	if (error == 0) {
		error = scan_txn(log, txn, &scan);
		store_abort(txn);
	}
	log->cached_first = log->last_index + 1;
	if (error != 0) {
		snprintf(why, size, "log entry %" PRIu64 ": %s",
		    log->last_index + 1, err_text(error));
		return error;
	}
	*ret_bad =
	    log->last_index < log->durable_index ? log->last_index + 1 : 0;
	return check_end(log, scan.whole, why, size);
}

/* ---- Proof ---- */

static int
judge(bool proved)
{
	return proved ? 0 : ERR_MISMATCH;
}

/* The record at `index` is the base's, or continues it. */
static int
check_chained(struct node_log *log, struct store_txn *txn,
    const struct node_log_base *base, raft_index index)
{
	struct node_record record;
	struct slice bytes;
	int error;

	error = node_log_read(log, txn, index, &bytes);
	if (error == 0)
		error = node_record_decode(bytes, &record);
	if (error != 0)
		return error;
	if (index == base->index)
		return judge(
		    record.chain == base->chain && record.term == base->term);
	return judge(record.chain == node_record_chain(bytes, base->chain));
}

int
node_log_prove(struct node_log *log, const struct node_log_base *base)
{
	struct store_txn *txn;
	int error;

	if (base->index == log->durable_index)
		return judge(base->chain == log->noted_chain);
	if (base->index == log->compacted_index)
		return judge(base->chain == log->compacted_chain);
	error = store_begin(log->store, false, &txn);
	if (error != 0)
		return error;
	error = check_chained(log, txn, base, base->index);
	if (error == ERR_CORRUPT)
		error = check_chained(log, txn, base, base->index + 1);
	store_abort(txn);
	return error == ERR_CORRUPT ? ERR_MISMATCH : error;
}

/* ---- Repair ---- */

/* Deletes an entry, if it is there. */
static int
erase(struct store_txn *txn, raft_index index)
{
	uint8_t key[8];
	int error;

	codec_store_u64(key, index);
	error = store_delete(txn, NODE_TABLE_LOG, slice_of(key, sizeof(key)));
	return error == ERR_NOT_FOUND ? 0 : error;
}

static int
cut(struct node_log *log, struct store_txn *txn)
{
	raft_index index;
	int error = 0;

	for (index = log->stored_front + 1;
	     error == 0 && index <= log->compacted_index; index++)
		error = erase(txn, index);
	for (index = log->last_index + 1;
	     error == 0 && index <= log->durable_index; index++)
		error = erase(txn, index);
	return error;
}

/* A key may be damaged as well: what is left has to be the whole log. */
static int
verify(const struct node_log *log, struct store_txn *txn)
{
	struct node_log rest = *log;
	struct scan scan = { .visit = NULL };
	int error = scan_txn(&rest, txn, &scan);

	if (error != 0)
		return error;
	return scan.whole && rest.last_index == log->last_index ? 0
								: ERR_CORRUPT;
}

static int
rewrite(struct node_log *log, struct store_txn *txn)
{
	int error;

	error = cut(log, txn);
	if (error == 0)
		error = verify(log, txn);
	if (error != 0)
		return error;
	if (log->last_index < log->durable_index) {
		log->repair_until = MAX(log->repair_until, log->durable_index);
		log->repair_term = log->term;
	}
	log->durable_index = log->last_index;
	log->commit_hint = MIN(log->commit_hint, log->last_index);
	log->stored_front = log->compacted_index;
	return node_log_write_state(log, txn, log->last_chain);
}

int
node_log_repair(
    struct node_log *log, uint64_t data_generation, char *why, size_t size)
{
	struct store_txn *txn;
	int error;

	log->data_generation = data_generation;
	error = store_begin(log->store, true, &txn);
	if (error == 0) {
		error = rewrite(log, txn);
		if (error == 0)
			error = store_commit(txn);
		else
			store_abort(txn);
	}
	if (error != 0)
		snprintf(why, size, "repairing the log: %s", err_text(error));
	return error;
}
