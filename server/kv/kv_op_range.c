/*
 * The operations of a transaction on many keys. They read on one cursor, which
 * a change would end: so keys to be deleted are noted first, and nothing was
 * changed if there are too many.
 */

#include "kv/kv_impl.h"

/* A walk over the keys of an operation's range, in its order. */
struct kv_walk {
	const struct kv_op *op;
	struct store_cursor *cursor;
	bool begun;
	struct slice key; /* of the present record, both borrowed */
	struct slice record;
};

static int
kv_walk_move(struct kv_walk *walk, enum store_move move, struct slice to)
{
	return store_cursor_move(
	    walk->cursor, move, to, &walk->key, &walk->record);
}

/* Goes to the last key before the end of the range. */
static int
kv_walk_last(struct kv_walk *walk)
{
	struct slice none = { 0 };
	int code = ERR_NOT_FOUND;

	if (walk->op->other.size != 0)
		code = kv_walk_move(walk, STORE_AT_OR_AFTER, walk->op->other);
	if (code == ERR_NOT_FOUND)
		return kv_walk_move(walk, STORE_LAST, none);
	return code != 0 ? code : kv_walk_move(walk, STORE_PREVIOUS, none);
}

/* Goes to the next key. ERR_NOT_FOUND: there is none in the range. */
static int
kv_walk_next(struct kv_walk *walk)
{
	const struct kv_op *op = walk->op;
	bool begun = walk->begun;
	int code;

	walk->begun = true;
	if (op->reverse)
		code = begun ? kv_walk_move(walk, STORE_PREVIOUS, walk->key)
			     : kv_walk_last(walk);
	else if (begun)
		code = kv_walk_move(walk, STORE_NEXT, walk->key);
	else
		code = kv_walk_move(walk,
		    op->key.size == 0 ? STORE_FIRST : STORE_AT_OR_AFTER,
		    op->key);
	if (code != 0)
		return code;
	if (slice_compare(walk->key, op->key) < 0)
		return ERR_NOT_FOUND;
	if (op->other.size != 0 && slice_compare(walk->key, op->other) >= 0)
		return ERR_NOT_FOUND;
	return 0;
}

/* ---- List ---- */

static int
kv_list_item(struct kv *kv, struct kv_operation *run, struct kv_walk *walk)
{
	struct kv_output output = { .kind = KV_OUTPUT_ITEM,
		.index = run->index,
		.key = walk->key,
		.exists = true,
		.has_value = !run->op->keys_only };
	uint64_t bytes = walk->key.size + KV_LIST_KEY_OVERHEAD;
	struct kv_version version;
	struct slice body;
	int code;

	code = kv_unseal(walk->key, walk->record, &body);
	if (code == 0)
		code = kv_version_decode(body, &version);
	if (code != 0)
		return code;
	if (!kv_may_look(kv, version.item.value.size)) {
		run->status = KV_LOOKS_TOO_MUCH;
		return 0;
	}
	if (output.has_value) {
		output.value = version.item.value;
		bytes += output.value.size;
	}
	if (!kv_op_may_read(kv, run, bytes))
		return 0;
	code = kv_output_describe(kv, &version.item, &output);
	if (code == 0)
		kv_output_add(kv, &output);
	return code;
}

/* Adds the items, up to the limit. */
static int
kv_list_items(struct kv *kv, struct kv_operation *run, struct kv_walk *walk,
    struct kv_output *list)
{
	uint32_t limit = run->op->limit;
	int code;

	while ((code = kv_walk_next(walk)) == 0) {
		list->more = limit != 0 && list->count == limit;
		if (list->more)
			return 0;
		code = kv_list_item(kv, run, walk);
		if (code != 0 || run->status != KV_OK)
			return code;
		list->count++;
	}
	return code == ERR_NOT_FOUND ? 0 : code;
}

/* Adds the output and moves it before those that are there from `start` on. */
static void
kv_output_insert(struct kv *kv, size_t start, const struct kv_output *output)
{
	struct buf *outputs = &kv->outputs;
	size_t end = outputs->size;
	size_t size;

	kv_output_add(kv, output);
	size = outputs->size - end;
	buf_reset(&kv->copy);
	buf_append(&kv->copy, outputs->data + end, size);
	memmove(
	    outputs->data + start + size, outputs->data + start, end - start);
	memcpy(outputs->data + start, kv->copy.data, size);
}

int
kv_op_list(struct kv *kv, struct kv_operation *run)
{
	struct kv_output list = { .kind = KV_OUTPUT_LIST, .index = run->index };
	struct kv_walk walk = { .op = run->op };
	size_t start = kv->outputs.size;
	int code = store_cursor_open(kv->txn, KV_TABLE_KV, &walk.cursor);

	if (code != 0)
		return code;
	code = kv_list_items(kv, run, &walk, &list);
	store_cursor_close(walk.cursor);
	if (code == 0 && run->status == KV_OK)
		kv_output_insert(kv, start, &list);
	return code;
}

/* ---- Delete ---- */

/* Notes the keys in kv->copy, u16 size and key; the status says if there are too
 * many. */
static int
kv_collect(struct kv *kv, struct kv_operation *run, struct kv_walk *walk,
    struct kv_output *deleted)
{
	uint32_t limit = walk->op->limit;
	uint64_t bytes = 0;
	int code;

	buf_reset(&kv->copy);
	while ((code = kv_walk_next(walk)) == 0) {
		bytes += walk->key.size + walk->record.size;
		deleted->more = limit != 0 && (deleted->count == limit ||
						  bytes > KV_WRITE_BYTES_MAX);
		if (deleted->more)
			return 0;
		if (bytes > KV_WRITE_BYTES_MAX)
			run->status = KV_WRITES_TOO_MUCH;
		if (kv->now.keys_deleted == KV_DELETE_KEYS_MAX)
			run->status = KV_TOO_MANY;
		if (run->status != KV_OK)
			return 0;
		codec_append_u16(&kv->copy, (uint16_t)walk->key.size);
		buf_append_slice(&kv->copy, walk->key);
		deleted->count++;
		kv->now.keys_deleted++;
	}
	return code == ERR_NOT_FOUND ? 0 : code;
}

static int
kv_delete_collected(struct kv *kv)
{
	struct codec_reader reader;
	int code = 0;

	codec_reader_init(&reader, buf_slice(&kv->copy));
	while (code == 0 && reader.rest.size != 0) {
		size_t size = codec_read_u16(&reader);

		code = kv_change_delete(
		    kv, codec_read_raw(&reader, size), KV_EVENT_DELETE);
	}
	return code == ERR_NOT_FOUND ? ERR_CORRUPT : code;
}

int
kv_op_delete_range(struct kv *kv, struct kv_operation *run)
{
	struct kv_output deleted = { .kind = KV_OUTPUT_DELETED,
		.index = run->index };
	struct kv_walk walk = { .op = run->op };
	int code = store_cursor_open(kv->txn, KV_TABLE_KV, &walk.cursor);

	if (code != 0)
		return code;
	code = kv_collect(kv, run, &walk, &deleted);
	store_cursor_close(walk.cursor);
	if (code != 0 || run->status != KV_OK)
		return code;
	code = kv_delete_collected(kv);
	deleted.exists = deleted.count != 0;
	if (code == 0)
		kv_output_add(kv, &deleted);
	return code;
}
