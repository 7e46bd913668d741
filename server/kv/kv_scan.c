/*
 * Lists. The keys of now are in "kv". Those of a past revision are in "kv" or,
 * deleted since, in "gone": never in both, so that a step reads the two side by
 * side, in the order of keys, and of each key the version of then.
 */

#include "kv/kv_impl.h"

#include "common/panic.h"

/* ---- Ranges ---- */

/*
 * The first key above all that begin with `prefix`, in `memory` of prefix.size
 * bytes, which may be the prefix itself; empty: there is none.
 */
static struct slice
kv_above_prefix(struct slice prefix, uint8_t *memory)
{
	size_t size = prefix.size;

	while (size > 0 && prefix.data[size - 1] == 0xff)
		size--;
	if (size == 0)
		return slice_of(NULL, 0);
	memmove(memory, prefix.data, size);
	memory[size - 1]++;
	return slice_of(memory, size);
}

struct kv_range
kv_range_of_prefix(struct slice prefix, uint8_t *memory)
{
	return (struct kv_range){ .start = prefix,
		.end = kv_above_prefix(prefix, memory) };
}

bool
kv_range_has(const struct kv_range *range, struct slice key)
{
	return slice_compare(key, range->start) >= 0 &&
	       (range->end.size == 0 || slice_compare(key, range->end) < 0);
}

/* ---- Sides: one table each ---- */

struct kv_side {
	struct store_cursor *cursor; /* NULL: not read, or at its end */
	struct slice key;
	struct slice record;
};

struct kv_walk {
	struct kv *kv;
	struct kv_scan *scan;
	uint64_t at; /* UINT64_MAX: now */
	/* Forward: the first key that may come; reverse: the one above the
	 * last; empty: none. */
	struct slice bound;
	bool bound_included;
	struct kv_side sides[2];
	uint64_t past_bytes; /* of the kv when the step began */
	uint64_t bytes;      /* of records that were looked at */
};

static void
kv_side_close(struct kv_side *side)
{
	if (side->cursor != NULL)
		store_cursor_close(side->cursor);
	side->cursor = NULL;
}

/* Moves the cursor; a side that is at its end is closed. */
static int
kv_side_move(struct kv_side *side, enum store_move where, struct slice key)
{
	int code = store_cursor_move(
	    side->cursor, where, key, &side->key, &side->record);

	if (code != ERR_NOT_FOUND)
		return code;
	kv_side_close(side);
	return 0;
}

static int
kv_side_seek_forward(struct kv_side *side, const struct kv_walk *walk)
{
	struct slice bound = walk->bound;
	int code;

	if (bound.size == 0)
		return kv_side_move(side, STORE_FIRST, bound);
	code = kv_side_move(side, STORE_AT_OR_AFTER, bound);
	if (code != 0 || side->cursor == NULL)
		return code;
	if (walk->bound_included || !slice_equal(side->key, bound))
		return 0;
	return kv_side_move(side, STORE_NEXT, bound);
}

static int
kv_side_seek_reverse(struct kv_side *side, const struct kv_walk *walk)
{
	struct slice bound = walk->bound;
	int code = ERR_NOT_FOUND;

	if (bound.size != 0)
		code = store_cursor_move(side->cursor, STORE_AT_OR_AFTER, bound,
		    &side->key, &side->record);
	if (code == ERR_NOT_FOUND)
		return kv_side_move(side, STORE_LAST, bound);
	if (code != 0)
		return code;
	if (walk->bound_included && slice_equal(side->key, bound))
		return 0;
	return kv_side_move(side, STORE_PREVIOUS, bound);
}

/* ---- The walk ---- */

/* Where it begins: at the position, unless that is out of the range. */
static void
kv_walk_set_bound(struct kv_walk *walk)
{
	const struct kv_scan *scan = walk->scan;
	struct slice position = buf_slice(&scan->position);
	struct slice edge = scan->reverse ? scan->range.end : scan->range.start;
	int order = slice_compare(position, edge);
	bool is_inside =
	    scan->reverse ? edge.size == 0 || order < 0 : order >= 0;

	walk->bound = edge;
	walk->bound_included = !scan->reverse;
	if (position.size != 0 && is_inside) {
		walk->bound = position;
		walk->bound_included = scan->position_included;
	}
	/* No key is as long as what is cut off from one that is too long for
	 * the store: the cut one has the same keys before and behind it. */
	walk->bound.size = MIN(walk->bound.size, STORE_KEY_SIZE_MAX);
}

static int
kv_walk_seek(struct kv_walk *walk)
{
	int code = 0;

	kv_walk_set_bound(walk);
	for (size_t i = 0; code == 0 && i < ARRAY_COUNT(walk->sides); i++) {
		struct kv_side *side = &walk->sides[i];

		if (side->cursor == NULL)
			continue;
		code = walk->scan->reverse ? kv_side_seek_reverse(side, walk)
					   : kv_side_seek_forward(side, walk);
	}
	return code;
}

static int
kv_walk_open(struct kv_walk *walk)
{
	struct store_txn *txn = walk->kv->txn;
	int code = store_cursor_open(txn, KV_TABLE_KV, &walk->sides[0].cursor);

	/* What was deleted since then, if anything was. */
	if (code == 0 && walk->at < walk->kv->state.revision)
		code = store_cursor_open(
		    txn, KV_TABLE_GONE, &walk->sides[1].cursor);
	return code;
}

static void
kv_walk_close(struct kv_walk *walk)
{
	for (size_t i = 0; i < ARRAY_COUNT(walk->sides); i++)
		kv_side_close(&walk->sides[i]);
}

/* The side whose key is next; NULL: none has any. */
static int
kv_walk_next(struct kv_walk *walk, struct kv_side **ret_side)
{
	struct kv_side *kv = &walk->sides[0];
	struct kv_side *gone = &walk->sides[1];
	int order;

	*ret_side = kv->cursor != NULL ? kv : NULL;
	if (gone->cursor == NULL)
		return 0;
	*ret_side = gone;
	if (kv->cursor == NULL)
		return 0;
	order = slice_compare(kv->key, gone->key);
	if (order == 0)
		return ERR_CORRUPT;
	if ((order < 0) != walk->scan->reverse)
		*ret_side = kv;
	return 0;
}

/* Shows the key of a side to whoever asked, if it is there at walk->at. */
static int
kv_walk_show(struct kv_walk *walk, const struct kv_side *side,
    enum kv_scan_next *ret_next)
{
	struct kv_scan *scan = walk->scan;
	struct kv_version version;
	struct slice body;
	int code = kv_unseal(side->key, side->record, &body);

	walk->bytes += side->record.size;
	if (code == 0)
		code = kv_version_decode(body, &version);
	if (code == 0 && version.item.modified > walk->kv->state.revision)
		code = ERR_CORRUPT;
	if (code != 0)
		return code;
	*ret_next = KV_SCAN_ON;
	code = kv_version_back(walk->kv, &version, walk->at, &version);
	if (code != 0)
		return code == ERR_NOT_FOUND ? 0 : code;
	*ret_next = scan->take(scan, side->key, &version.item);
	return 0;
}

static void
kv_scan_set_position(struct kv_scan *scan, struct slice key, bool included)
{
	buf_reset(&scan->position);
	buf_append_slice(&scan->position, key);
	scan->position_included = included;
}

/* Sets the position behind all keys that begin as the one there does. */
static void
kv_scan_skip(struct kv_scan *scan)
{
	struct slice prefix = slice_of(scan->position.data, scan->skip_size);

	ASSERT(scan->skip_size >= 1);
	ASSERT(scan->skip_size <= scan->position.size);
	scan->position.size = scan->skip_size;
	/* Reverse: it comes before all of them itself, and is one of them. */
	scan->position_included = !scan->reverse;
	if (scan->reverse)
		return;
	scan->position.size = kv_above_prefix(prefix, scan->position.data).size;
	scan->ended = scan->position.size == 0;
}

/* Looks at the key of a side, and goes on from there. */
static int
kv_walk_look(struct kv_walk *walk, struct kv_side *side, bool *ret_stopped)
{
	struct kv_scan *scan = walk->scan;
	enum kv_scan_next next;
	int code = kv_walk_show(walk, side, &next);

	if (code != 0)
		return code;
	kv_scan_set_position(scan, side->key, next == KV_SCAN_BACK);
	*ret_stopped = next == KV_SCAN_STOP || next == KV_SCAN_BACK;
	if (*ret_stopped)
		return 0;
	if (next == KV_SCAN_SKIP) {
		kv_scan_skip(scan);
		return scan->ended ? 0 : kv_walk_seek(walk);
	}
	return kv_side_move(
	    side, scan->reverse ? STORE_PREVIOUS : STORE_NEXT, side->key);
}

static bool
kv_walk_read_enough(const struct kv_walk *walk)
{
	return walk->bytes + (walk->kv->past_bytes - walk->past_bytes) >=
	       KV_SCAN_BYTES_MAX;
}

static int
kv_walk_run(struct kv_walk *walk, uint32_t keys_max)
{
	struct kv_scan *scan = walk->scan;
	bool stopped = false;
	int code = kv_walk_open(walk);

	if (code == 0)
		code = kv_walk_seek(walk);
	while (code == 0 && !stopped && !scan->ended && keys_max-- > 0) {
		struct kv_side *side;

		code = kv_walk_next(walk, &side);
		if (code != 0)
			return code;
		if (side == NULL || !kv_range_has(&scan->range, side->key)) {
			scan->ended = true;
			return 0;
		}
		code = kv_walk_look(walk, side, &stopped);
		stopped |= kv_walk_read_enough(walk);
	}
	return code;
}

int
kv_scan_step(struct kv *kv, struct kv_scan *scan, uint32_t keys_max)
{
	struct kv_walk walk = {
		.kv = kv,
		.scan = scan,
		.at = scan->at == 0 ? UINT64_MAX : scan->at,
		.past_bytes = kv->past_bytes,
	};
	int code;

	ASSERT(keys_max >= 1);
	ASSERT(scan->at <= kv->state.revision);
	if (kv->failed)
		return ERR_STOPPED;
	if (walk.at < kv->state.compacted)
		return ERR_COMPACTED;
	if (scan->ended)
		return 0;
	code = kv_walk_run(&walk, keys_max);
	kv_walk_close(&walk);
	return kv_note(kv, code);
}

void
kv_scan_release(struct kv_scan *scan)
{
	buf_release(&scan->position);
}
