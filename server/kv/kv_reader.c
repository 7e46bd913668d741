#include "kv/kv_piece.h"

#include "common/mem.h"
#include "common/panic.h"
#include <stdlib.h>

struct kv_reader {
	struct store_txn *txn;
	struct kv_state state; /* as pinned */
};

int
kv_reader_open(struct store *data, struct kv_reader **ret_reader)
{
	struct kv_reader *reader = mem_zalloc(1, sizeof(*reader));
	int code = store_begin(data, false, &reader->txn);

	if (code == 0)
		code = kv_state_load(reader->txn, &reader->state);
	if (code != 0) {
		kv_reader_close(reader);
		return code;
	}
	*ret_reader = reader;
	return 0;
}

void
kv_reader_close(struct kv_reader *reader)
{
	if (reader == NULL)
		return;
	if (reader->txn != NULL)
		store_abort(reader->txn);
	free(reader);
}

void
kv_reader_get_info(
    const struct kv_reader *reader, struct kv_snapshot_info *ret_info)
{
	const struct kv_state *state = &reader->state;
	uint64_t bytes = 0;

	for (unsigned i = 0; i < KV_TABLES_COUNT; i++)
		bytes += state->sums[i].bytes +
			 state->sums[i].count * KV_PIECE_RECORD_OVERHEAD;
	*ret_info = (struct kv_snapshot_info){
		.applied_index = state->applied_index,
		.revision = state->revision,
		.state_hash = kv_state_digest(state),
		.bytes = bytes,
	};
}

int
kv_reader_get_meta(
    struct kv_reader *reader, const char *name, struct slice *ret_bytes)
{
	return kv_meta_load(reader->txn, name, ret_bytes);
}

/* A piece that is being filled. */
struct kv_fill {
	struct kv_reader *reader;
	struct kv_position position; /* of the last record in it */
	struct buf *piece;
	size_t end; /* size of `piece` that is enough */
	uint32_t records_count;
	struct kv_count count; /* what they come to is of no use */
};

int
kv_cursor_seek(struct store_cursor *cursor, const struct kv_position *position,
    struct kv_piece_record *ret_record)
{
	struct slice last = slice_of(position->key, position->key_size);
	enum store_move move = STORE_AT_OR_AFTER;
	int code;

	if (position->table != ret_record->table || last.size == 0)
		move = STORE_FIRST;
	code = store_cursor_move(
	    cursor, move, last, &ret_record->key, &ret_record->record);
	if (code == 0 && move != STORE_FIRST &&
	    slice_equal(ret_record->key, last))
		code = store_cursor_move(cursor, STORE_NEXT, last,
		    &ret_record->key, &ret_record->record);
	return code;
}

/* Appends records of one table; ERR_NOT_FOUND: it has no more. */
static int
kv_fill_run(struct kv_fill *fill, unsigned table, struct store_cursor *cursor)
{
	struct kv_piece_record next = { .table = table };
	int code = kv_cursor_seek(cursor, &fill->position, &next);

	while (code == 0) {
		code =
		    kv_count_record(&fill->count, table, next.key, next.record);
		if (code != 0)
			return code;
		kv_piece_append(fill->piece, &next);
		kv_position_set(&fill->position, table, next.key);
		fill->records_count++;
		if (fill->piece->size >= fill->end)
			return 0;
		code = store_cursor_move(
		    cursor, STORE_NEXT, next.key, &next.key, &next.record);
	}
	return code;
}

/* Appends records of one table after the other; ERR_NOT_FOUND: no more. */
static int
kv_fill_all(struct kv_fill *fill)
{
	struct store_txn *txn = fill->reader->txn;
	struct store_cursor *cursor;
	int code;

	for (unsigned table = fill->position.table; table < KV_TABLES_COUNT;
	     table++) {
		code = store_cursor_open(txn, table, &cursor);
		if (code != 0)
			return code;
		code = kv_fill_run(fill, table, cursor);
		store_cursor_close(cursor);
		if (code != ERR_NOT_FOUND)
			return code;
	}
	return ERR_NOT_FOUND;
}

int
kv_reader_read(struct kv_reader *reader, struct kv_position *position,
    size_t size_max, struct buf *piece)
{
	size_t start = piece->size;
	struct kv_fill fill = {
		.reader = reader,
		.position = *position,
		.piece = piece,
		.end = start + size_max,
	};
	int code;

	ASSERT(position->key_size <= STORE_KEY_SIZE_MAX);
	kv_count_begin(&fill.count, &reader->state);
	kv_piece_begin(piece);
	code = kv_fill_all(&fill);
	if (code == ERR_NOT_FOUND && fill.records_count != 0)
		code = 0;
	if (code != 0) {
		piece->size = start;
		return code;
	}
	kv_piece_end(piece, start, fill.records_count);
	*position = fill.position;
	return 0;
}
