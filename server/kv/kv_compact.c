/*
 * Compaction: history goes from its front, a bounded part at a time. How far it
 * reaches for a reader is one number, kv->state.compacted, which jumps at once;
 * the events up to it are deleted when their turn comes.
 */

#include "kv/kv_impl.h"

#include "common/panic.h"

/* Bytes of events that one compaction is to delete: more are left for the next
 * one, as each is read whole to take it out of the sums. */
#define KV_COMPACT_BYTES_MAX (UINT64_C(4) << 20)

/* An event with its place and size; borrowed from the store. */
struct kv_past {
	struct kv_place place;
	struct kv_change change;
	struct slice body; /* of its record */
	uint64_t bytes;    /* as the sums count them */
};

static int
kv_past_decode(struct slice key, struct slice body, struct kv_past *ret_past)
{
	int code = kv_place_decode(key, &ret_past->place);

	ret_past->body = body;
	ret_past->bytes = key.size + KV_SEAL_SIZE + body.size;
	return code != 0 ? code : kv_change_decode(body, &ret_past->change);
}

static int
kv_past_first(struct kv *kv, struct kv_past *ret_past)
{
	struct slice none = { 0 };
	struct slice key;
	struct slice body;
	int code = kv_table_seek(kv, KV_TABLE_HISTORY, none, &key, &body);

	return code != 0 ? code : kv_past_decode(key, body, ret_past);
}

/* The one behind where the cursor is. */
static int
kv_past_next(struct store_cursor *cursor, struct kv_past *ret_past)
{
	struct slice none = { 0 };
	struct slice record;
	struct slice body;
	struct slice key;
	int code = store_cursor_move(cursor, STORE_NEXT, none, &key, &record);

	if (code == 0)
		code = kv_unseal(key, record, &body);
	return code != 0 ? code : kv_past_decode(key, body, ret_past);
}

/* The key is forgotten if this event is what deleted it. */
static int
kv_compact_gone(struct kv *kv, const struct kv_past *past)
{
	uint8_t memory[KV_KEY_SIZE_MAX];
	struct slice stored_key = past->change.key;
	struct kv_version version;
	struct slice body;
	int code = kv_table_get(kv, KV_TABLE_GONE, stored_key, &body);

	if (code == 0)
		code = kv_version_decode(body, &version);
	if (code != 0)
		return code == ERR_NOT_FOUND ? 0 : code;
	if (version.item.modified != past->place.revision)
		return 0;
	ASSERT(stored_key.size <= sizeof(memory));
	memcpy(memory, stored_key.data, stored_key.size);
	return kv_table_delete(
	    kv, KV_TABLE_GONE, slice_of(memory, stored_key.size));
}

/* Behind it nothing of `past` may be read. */
static int
kv_compact_event(struct kv *kv, const struct kv_past *past)
{
	uint8_t memory[KV_PLACE_SIZE];
	int code = kv_table_count_out(kv, KV_TABLE_HISTORY,
	    kv_place_key(past->place, memory), past->body);

	if (code != 0 || past->change.type == KV_EVENT_PUT)
		return code;
	return kv_compact_gone(kv, past);
}

/* What goes from the front, up to `last`. */
struct kv_cut {
	uint32_t count;
	struct kv_place last;
};

static int
kv_compact_walk(struct kv *kv, struct store_cursor *cursor, uint32_t limit,
    struct kv_cut *cut)
{
	while (cut->count < limit) {
		struct kv_past past;
		int code = kv_past_next(cursor, &past);

		if (code != 0)
			return code == ERR_NOT_FOUND ? 0 : code;
		if (past.place.revision > kv->state.compacted)
			return 0;
		cut->last = past.place;
		cut->count++;
		code = kv_compact_event(kv, &past);
		if (code != 0)
			return code;
	}
	return 0;
}

static int
kv_compact_front(struct kv *kv, uint32_t limit)
{
	uint8_t memory[KV_PLACE_SIZE];
	struct kv_cut cut = { 0 };
	struct store_cursor *cursor;
	int code = store_cursor_open(kv->txn, KV_TABLE_HISTORY, &cursor);

	if (code != 0)
		return code;
	code = kv_compact_walk(kv, cursor, limit, &cut);
	store_cursor_close(cursor);
	if (code != 0 || cut.count == 0)
		return code;
	return kv_table_cut(
	    kv, KV_TABLE_HISTORY, kv_place_key(cut.last, memory), cut.count);
}

int
kv_run_compact(struct kv *kv, const struct kv_command *command,
    struct kv_result *ret_result)
{
	uint64_t revision = MIN(command->revision, kv->state.revision);

	kv_succeed(ret_result);
	kv->state.compacted = MAX(kv->state.compacted, revision);
	return kv_compact_front(kv, command->limit);
}

/* ---- Looking ---- */

static int
kv_history_read(struct kv *kv, struct kv_history *ret_history)
{
	const struct kv_sum *sum = &kv->state.sums[KV_TABLE_HISTORY];
	struct kv_history history = {
		.compacted = kv->state.compacted,
		.events_count = sum->count,
		.bytes = sum->bytes,
	};
	struct kv_past past;
	int code = kv_past_first(kv, &past);

	if (code == 0)
		history.oldest_time_us = past.change.time_us;
	if (code != 0 && code != ERR_NOT_FOUND)
		return code;
	*ret_history = history;
	return 0;
}

int
kv_get_history(struct kv *kv, struct kv_history *ret_history)
{
	if (kv->failed)
		return ERR_STOPPED;
	return kv_note(kv, kv_history_read(kv, ret_history));
}

/* What history may hold, and how many events a compaction may delete. */
struct kv_bounds {
	uint64_t oldest_us;
	uint64_t bytes_max;
	uint32_t limit;
};

/* May a compaction that is so far end before this event? It does not end
 * within a revision, nor in what is gone for readers already. */
static bool
kv_compaction_may_end(const struct kv *kv, const struct kv_past *past,
    const struct kv_compaction *compaction)
{
	return past->place.revision > kv->state.compacted &&
	       past->place.revision > compaction->revision;
}

static int
kv_compaction_walk(struct kv *kv, struct store_cursor *cursor,
    const struct kv_bounds *bounds, struct kv_compaction *compaction)
{
	uint64_t bytes_left = kv->state.sums[KV_TABLE_HISTORY].bytes;
	uint64_t bytes = 0;

	for (;;) {
		struct kv_past past;
		int code = kv_past_next(cursor, &past);

		if (code != 0)
			return code == ERR_NOT_FOUND ? 0 : code;
		compaction->next_time_us = past.change.time_us;
		if (kv_compaction_may_end(kv, &past, compaction) &&
		    past.change.time_us >= bounds->oldest_us &&
		    bytes_left <= bounds->bytes_max)
			return 0;
		compaction->more = compaction->count == bounds->limit ||
				   bytes >= KV_COMPACT_BYTES_MAX;
		if (compaction->more)
			return 0;
		compaction->revision = past.place.revision;
		compaction->count++;
		compaction->next_time_us = 0;
		bytes += past.bytes;
		bytes_left -= MIN(bytes_left, past.bytes);
	}
}

static int
kv_compaction_find(struct kv *kv, const struct kv_bounds *bounds,
    struct kv_compaction *ret_compaction)
{
	struct kv_compaction compaction = { 0 };
	struct store_cursor *cursor;
	int code = store_cursor_open(kv->txn, KV_TABLE_HISTORY, &cursor);

	if (code != 0)
		return code;
	code = kv_compaction_walk(kv, cursor, bounds, &compaction);
	store_cursor_close(cursor);
	*ret_compaction = compaction;
	return code;
}

int
kv_get_compaction(struct kv *kv, uint64_t oldest_us, uint64_t bytes_max,
    uint32_t limit, struct kv_compaction *ret_compaction)
{
	struct kv_bounds bounds = {
		.oldest_us = oldest_us, .bytes_max = bytes_max, .limit = limit
	};

	if (kv->failed)
		return ERR_STOPPED;
	return kv_note(kv, kv_compaction_find(kv, &bounds, ret_compaction));
}
