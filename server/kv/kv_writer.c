#include "kv/kv_piece.h"

#include "common/mem.h"
#include <stdlib.h>

/* Written by one commit, and a piece more: it holds the loop for its sync. */
#define KV_WRITER_COMMIT_BYTES (4 * 1024 * 1024)

/* What the pieces so far come to. */
struct kv_writer_progress {
	struct kv_position position;
	struct kv_state stored; /* as their record of it says */
	struct kv_count count;
};

struct kv_writer {
	struct store *data;
	struct store_txn *txn; /* NULL after a failed or the last commit */
	struct kv_writer_progress progress;
	struct buf waiting; /* a piece that was counted; empty: none */
	uint64_t uncommitted_bytes;
	int ended; /* finished or failed, with this: only to be closed */
};

static int
kv_check_empty(struct store_txn *txn)
{
	struct store_cursor *cursor;
	struct slice key = slice_of(NULL, 0);
	struct slice record;
	int code = ERR_NOT_FOUND;

	for (unsigned i = 0; i < KV_TABLES_COUNT; i++) {
		code = store_cursor_open(txn, i, &cursor);
		if (code != 0)
			return code;
		code =
		    store_cursor_move(cursor, STORE_FIRST, key, &key, &record);
		store_cursor_close(cursor);
		if (code != ERR_NOT_FOUND)
			return code == 0 ? ERR_EXISTS : code;
	}
	return 0;
}

int
kv_writer_open(struct store *data, struct kv_writer **ret_writer)
{
	struct kv_writer *writer = mem_zalloc(1, sizeof(*writer));
	int code;

	writer->data = data;
	code = store_begin(data, true, &writer->txn);
	if (code == 0)
		code = kv_check_empty(writer->txn);
	if (code != 0) {
		kv_writer_close(writer);
		return code;
	}
	*ret_writer = writer;
	return 0;
}

void
kv_writer_close(struct kv_writer *writer)
{
	if (writer == NULL)
		return;
	if (writer->txn != NULL)
		store_abort(writer->txn);
	buf_release(&writer->waiting);
	free(writer);
}

static bool
kv_is_behind(
    const struct kv_piece_record *record, const struct kv_position *position)
{
	struct slice last = slice_of(position->key, position->key_size);

	if (record->table != position->table)
		return record->table > position->table;
	return slice_compare(record->key, last) > 0;
}

/* Takes a record, which has to come next, into the progress. */
static int
kv_progress_count(
    struct kv_writer_progress *progress, const struct kv_piece_record *record)
{
	int code;

	if (!kv_is_behind(record, &progress->position))
		return ERR_INVALID;
	if (record->table == KV_TABLE_META &&
	    slice_equal(record->key, kv_state_key())) {
		code = kv_state_decode(record->record, &progress->stored);
		if (code != 0)
			return code;
		progress->count.state = progress->stored;
	}
	code = kv_count_record(
	    &progress->count, record->table, record->key, record->record);
	if (code == 0)
		kv_position_set(
		    &progress->position, record->table, record->key);
	return code;
}

static int
kv_progress_count_all(struct kv_writer_progress *progress, struct slice piece)
{
	struct kv_piece_reader reader;
	struct kv_piece_record record;
	int code = kv_piece_open(&reader, piece);

	if (code != 0)
		return code;
	while ((code = kv_piece_next(&reader, &record)) == 0) {
		code = kv_progress_count(progress, &record);
		if (code != 0)
			return code;
	}
	return code == ERR_NOT_FOUND ? 0 : code;
}

/* Puts the records of a piece that was counted. */
static int
kv_writer_put_all(struct kv_writer *writer, struct slice piece)
{
	struct kv_piece_reader reader;
	struct kv_piece_record record;
	int code = kv_piece_open(&reader, piece);

	if (code != 0)
		return code;
	while ((code = kv_piece_next(&reader, &record)) == 0) {
		code = store_append(
		    writer->txn, record.table, record.key, record.record);
		if (code != 0)
			return code;
	}
	return code == ERR_NOT_FOUND ? 0 : code;
}

static int
kv_writer_commit(struct kv_writer *writer)
{
	struct store_txn *txn = writer->txn;

	writer->txn = NULL; /* a commit ends it in any case */
	writer->uncommitted_bytes = 0;
	return store_commit(txn);
}

static int
kv_writer_put_waiting(struct kv_writer *writer)
{
	int code = 0;

	if (writer->waiting.size != 0)
		code = kv_writer_put_all(writer, buf_slice(&writer->waiting));
	writer->uncommitted_bytes += writer->waiting.size;
	buf_reset(&writer->waiting);
	if (code != 0)
		writer->ended = code;
	return code;
}

bool
kv_writer_is_idle(const struct kv_writer *writer)
{
	return writer->ended != 0 || writer->waiting.size == 0;
}

int
kv_writer_write(struct kv_writer *writer)
{
	int code = writer->ended;

	if (code == 0)
		code = kv_writer_put_waiting(writer);
	if (code != 0 || writer->uncommitted_bytes < KV_WRITER_COMMIT_BYTES)
		return code;
	code = kv_writer_commit(writer);
	if (code == 0)
		code = store_begin(writer->data, true, &writer->txn);
	writer->ended = code;
	return code;
}

int
kv_writer_add(struct kv_writer *writer, struct slice piece)
{
	struct kv_writer_progress next = writer->progress;
	int code = kv_writer_write(writer);

	if (code != 0)
		return code;
	code = kv_progress_count_all(&next, piece);
	if (code != 0)
		return code == ERR_CORRUPT ? ERR_INVALID : code;
	buf_append_slice(&writer->waiting, piece);
	writer->progress = next;
	return 0;
}

const struct kv_position *
kv_writer_get_position(const struct kv_writer *writer)
{
	return &writer->progress.position;
}

int
kv_writer_finish(struct kv_writer *writer, const struct kv_snapshot_info *info)
{
	const struct kv_state *stored = &writer->progress.stored;
	int code = writer->ended;

	if (code == 0)
		code = kv_writer_put_waiting(writer);
	if (code != 0)
		return code;
	writer->ended = ERR_STOPPED;
	if (!kv_count_agrees(&writer->progress.count, stored) ||
	    stored->applied_index != info->applied_index ||
	    stored->revision != info->revision ||
	    kv_state_digest(stored) != info->state_hash)
		return ERR_CORRUPT;
	return kv_writer_commit(writer);
}
