/*
 * Tables with their sums, and undoing a command.
 *
 * What a change replaced is noted, while undoing, at the end of kv->undo:
 *
 *	u8 table, u8 existed, u32 size and key, u32 size and record,
 *	u32 size of all this
 *
 * so that the notes can be read from the last to the first. Sums, revision and
 * the rest of the state are put back as they were, whole.
 */

#include "kv/kv_impl.h"

#include "common/panic.h"

#define KV_NOTE_SIZE_SIZE 4

static bool
kv_is_counted(enum kv_table table, struct slice key)
{
	return table != KV_TABLE_META || !slice_equal(key, kv_state_key());
}

/* The stored record of a body that came out of the store. */
static struct slice
kv_record_of(struct slice body)
{
	return slice_of(body.data - KV_SEAL_SIZE, body.size + KV_SEAL_SIZE);
}

void
kv_sum_add(struct kv_sum *sum, struct slice key, struct slice record)
{
	sum->count++;
	sum->bytes += key.size + record.size;
	sum->hash += kv_record_hash(key, record);
}

/*
 * ERR_CORRUPT if more is stored than was counted: a record that is sound in
 * itself may be another one than was written last.
 */
static int
kv_sum_remove(struct kv_sum *sum, struct slice key, struct slice record)
{
	uint64_t bytes = key.size + record.size;

	if (sum->count == 0 || sum->bytes < bytes)
		return ERR_CORRUPT;
	sum->count--;
	sum->bytes -= bytes;
	sum->hash -= kv_record_hash(key, record);
	return 0;
}

static void
kv_note_change(struct kv *kv, enum kv_table table, struct slice key,
    bool existed, struct slice record)
{
	size_t start = kv->undo.size;

	if (!kv->undoing)
		return;
	codec_append_u8(&kv->undo, (uint8_t)table);
	codec_append_u8(&kv->undo, existed);
	codec_append_bytes(&kv->undo, key);
	codec_append_bytes(&kv->undo, record);
	codec_append_u32(&kv->undo, (uint32_t)(kv->undo.size - start));
}

/* Counts the record of a key out that is about to change; `old` is its body,
 * or has no data: there is none. */
static int
kv_count_out(
    struct kv *kv, enum kv_table table, struct slice key, struct slice old)
{
	struct slice record = { 0 };

	if (old.data != NULL)
		record = kv_record_of(old);
	kv_note_change(kv, table, key, old.data != NULL, record);
	if (old.data == NULL || !kv_is_counted(table, key))
		return 0;
	return kv_sum_remove(&kv->state.sums[table], key, record);
}

/* Seals a body and counts it in; the record is in kv->scratch. */
static struct slice
kv_count_in(
    struct kv *kv, enum kv_table table, struct slice key, struct slice body)
{
	struct slice record;

	buf_reset(&kv->scratch);
	kv_seal_begin(&kv->scratch);
	buf_append_slice(&kv->scratch, body);
	kv_seal_end(&kv->scratch, key);
	record = buf_slice(&kv->scratch);
	if (kv_is_counted(table, key))
		kv_sum_add(&kv->state.sums[table], key, record);
	return record;
}

bool
kv_table_is_queue(enum kv_table table)
{
	return table == KV_TABLE_HISTORY || table == KV_TABLE_ORDER;
}

static void
kv_mark_dirty(struct kv *kv, size_t bytes)
{
	kv->dirty = true;
	kv->dirty_bytes += bytes;
	kv->now.written_bytes += bytes;
	kv->changes_count++;
}

int
kv_table_get(struct kv *kv, enum kv_table table, struct slice key,
    struct slice *ret_body)
{
	struct slice record;
	int code = store_get(kv->txn, table, key, &record);

	return code != 0 ? code : kv_unseal(key, record, ret_body);
}

int
kv_table_replace(struct kv *kv, enum kv_table table, struct slice key,
    struct slice old, struct slice body)
{
	int code = kv_count_out(kv, table, key, old);
	struct slice record;

	if (code != 0)
		return code;
	record = kv_count_in(kv, table, key, body);
	kv_mark_dirty(kv, key.size + record.size);
	return store_put(kv->txn, table, key, record);
}

int
kv_table_put(
    struct kv *kv, enum kv_table table, struct slice key, struct slice body)
{
	struct slice old = { 0 };
	int code = kv_table_get(kv, table, key, &old);

	if (code != 0 && code != ERR_NOT_FOUND)
		return code;
	return kv_table_replace(kv, table, key, old, body);
}

int
kv_table_append(
    struct kv *kv, enum kv_table table, struct slice key, struct slice body)
{
	struct slice none = { 0 };
	struct slice record;
	int code;

	kv_note_change(kv, table, key, false, none);
	record = kv_count_in(kv, table, key, body);
	kv_mark_dirty(kv, key.size + record.size);
	code = store_append(kv->txn, table, key, record);
	/* Something is there that no command has written. */
	return code == ERR_INVALID ? ERR_CORRUPT : code;
}

int
kv_table_remove(
    struct kv *kv, enum kv_table table, struct slice key, struct slice old)
{
	int code = kv_count_out(kv, table, key, old);

	if (code != 0)
		return code;
	kv_mark_dirty(kv, key.size);
	code = store_delete(kv->txn, table, key);
	/* It was there a moment ago: a miss is damage, like any other error. */
	return code == ERR_NOT_FOUND ? ERR_CORRUPT : code;
}

int
kv_table_delete(struct kv *kv, enum kv_table table, struct slice key)
{
	struct slice old;
	int code = kv_table_get(kv, table, key, &old);

	return code != 0 ? code : kv_table_remove(kv, table, key, old);
}

int
kv_table_count_out(
    struct kv *kv, enum kv_table table, struct slice key, struct slice old)
{
	ASSERT(!kv->undoing);
	kv_mark_dirty(kv, key.size);
	return kv_count_out(kv, table, key, old);
}

int
kv_table_cut(
    struct kv *kv, enum kv_table table, struct slice until, uint64_t count)
{
	struct store_cut cut;
	int code;

	ASSERT(!kv->undoing);
	code = store_delete_until(kv->txn, table, until, &cut);
	if (code != 0)
		return code;
	return cut.count == count ? 0 : ERR_CORRUPT;
}

int
kv_table_seek(struct kv *kv, enum kv_table table, struct slice key,
    struct slice *ret_key, struct slice *ret_body)
{
	enum store_move move = key.size == 0 ? STORE_FIRST : STORE_AT_OR_AFTER;
	struct store_cursor *cursor;
	struct slice record;
	int code = store_cursor_open(kv->txn, table, &cursor);

	if (code != 0)
		return code;
	code = store_cursor_move(cursor, move, key, ret_key, &record);
	store_cursor_close(cursor);
	return code != 0 ? code : kv_unseal(*ret_key, record, ret_body);
}

struct buf *
kv_body(struct kv *kv)
{
	buf_reset(&kv->body);
	return &kv->body;
}

void
kv_undo_begin(struct kv *kv)
{
	ASSERT(!kv->undoing);
	kv->undoing = true;
	kv->undo_state = kv->state;
	kv->undo_now = kv->now;
}

void
kv_undo_forget(struct kv *kv)
{
	kv->undoing = false;
	buf_reset(&kv->undo);
}

/* Takes back the change noted last, and drops the note. */
static int
kv_undo_last(struct kv *kv)
{
	struct codec_reader reader;
	size_t end = kv->undo.size - KV_NOTE_SIZE_SIZE;
	size_t size = codec_load_u32(kv->undo.data + end);
	enum kv_table table;
	struct slice key;
	struct slice record;
	bool existed;

	kv->undo.size = end - size;
	codec_reader_init(
	    &reader, slice_of(kv->undo.data + kv->undo.size, size));
	table = (enum kv_table)codec_read_u8(&reader);
	existed = codec_read_u8(&reader) != 0;
	key = codec_read_bytes(&reader);
	record = codec_read_bytes(&reader);
	ASSERT(codec_reader_done(&reader));
	return existed ? store_put(kv->txn, table, key, record)
		       : store_delete(kv->txn, table, key);
}

int
kv_undo(struct kv *kv)
{
	int code = 0;

	ASSERT(kv->undoing);
	while (code == 0 && kv->undo.size != 0)
		code = kv_undo_last(kv);
	kv->state = kv->undo_state;
	kv->now = kv->undo_now;
	kv_undo_forget(kv);
	return code == ERR_NOT_FOUND ? ERR_CORRUPT : code;
}
