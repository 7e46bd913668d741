/*
 * A cursor walks memtable and table side by side. Each side has a candidate, the
 * next of its records in the direction of the walk; what is nearer comes first,
 * and where both have the same key the memtable says what is there.
 */

#include "store/store_memtable_impl.h"

#include "common/mem.h"
#include "common/panic.h"
#include <stdlib.h>

struct memtable_cursor {
	struct store_cursor cursor;
	struct store_cursor *under;
	uint64_t commit; /* sees the versions up to this one */
	bool all;        /* of a reader: see memtable_above */
	store_table table;
	bool is_forward;
	uint64_t changes; /* when the candidates were found */
	/* The candidates, if there are any. */
	struct memtable_node *node;
	bool has_under;
	struct slice under_key;
	struct slice under_value;
	/* Where it stands; of size 0: outside, before the first move. */
	size_t key_size;
	uint8_t key[STORE_KEY_SIZE_MAX];
};

static struct memtable_cursor *
cursor_of(struct store_cursor *cursor)
{
	return CONTAINER_OF(cursor, struct memtable_cursor, cursor);
}

static struct slice
place_of(const struct memtable_cursor *cursor)
{
	return slice_of(cursor->key, cursor->key_size);
}

int
memtable_cursor_open(
    struct store_txn *txn, store_table table, struct store_cursor **ret_cursor)
{
	struct memtable_txn *whole = memtable_txn_of(txn);
	struct memtable_cursor *cursor;
	struct store_cursor *under;
	int code;

	if (!memtable_gathers(memtable_of(txn->store), table))
		return store_cursor_open(whole->under, table, ret_cursor);
	code = store_cursor_open(whole->under, table, &under);
	if (code != 0)
		return code;
	cursor = mem_zalloc(1, sizeof(*cursor));
	cursor->cursor.store = txn->store;
	cursor->under = under;
	cursor->commit = whole->commit;
	cursor->all = !whole->writes;
	cursor->table = table;
	*ret_cursor = &cursor->cursor;
	return 0;
}

void
memtable_cursor_close(struct store_cursor *cursor)
{
	store_cursor_close(cursor_of(cursor)->under);
	free(cursor_of(cursor));
}

/* ---- Candidates ---- */

/* The next node in the direction of the walk. */
static struct memtable_node *
neighbour(const struct memtable_cursor *cursor, struct memtable_node *node)
{
	struct memtable *memtable = memtable_of(cursor->cursor.store);

	return cursor->is_forward
		   ? memtable_next(memtable, node, cursor->all)
		   : memtable_previous(memtable, node, cursor->all);
}

static int
move_under(
    struct memtable_cursor *cursor, enum store_move where, struct slice key)
{
	int code = store_cursor_move(cursor->under, where, key,
	    &cursor->under_key, &cursor->under_value);

	cursor->has_under = code == 0;
	return code == ERR_NOT_FOUND ? 0 : code;
}

static int
seek_end(struct memtable_cursor *cursor, bool forward)
{
	struct memtable *memtable = memtable_of(cursor->cursor.store);
	struct slice none = { 0 };

	cursor->is_forward = forward;
	cursor->node =
	    forward ? memtable_first(memtable, cursor->table, cursor->all)
		    : memtable_last(memtable, cursor->table, cursor->all);
	return move_under(cursor, forward ? STORE_FIRST : STORE_LAST, none);
}

static int
seek_forward(struct memtable_cursor *cursor, struct slice key, bool or_equal)
{
	struct memtable *memtable = memtable_of(cursor->cursor.store);
	int code;

	cursor->is_forward = true;
	cursor->node =
	    memtable_above(memtable, cursor->table, key, or_equal, cursor->all);
	code = move_under(cursor, STORE_AT_OR_AFTER, key);
	if (code == 0 && !or_equal && cursor->has_under &&
	    slice_equal(cursor->under_key, key))
		code = move_under(cursor, STORE_NEXT, key);
	return code;
}

static int
seek_backward(struct memtable_cursor *cursor, struct slice key)
{
	struct memtable *memtable = memtable_of(cursor->cursor.store);
	int code;

	cursor->is_forward = false;
	cursor->node =
	    memtable_below(memtable, cursor->table, key, cursor->all);
	code = move_under(cursor, STORE_AT_OR_AFTER, key);
	if (code != 0)
		return code;
	return move_under(
	    cursor, cursor->has_under ? STORE_PREVIOUS : STORE_LAST, key);
}

static void
pass_node(struct memtable_cursor *cursor)
{
	cursor->node = neighbour(cursor, cursor->node);
}

static int
pass_under(struct memtable_cursor *cursor)
{
	struct slice none = { 0 };

	return move_under(
	    cursor, cursor->is_forward ? STORE_NEXT : STORE_PREVIOUS, none);
}

/* Leaves the record on which the cursor stands behind, in either direction. */
static int
step(struct memtable_cursor *cursor, bool forward)
{
	struct slice key = place_of(cursor);
	int code = 0;

	if (key.size == 0)
		return seek_end(cursor, forward);
	if (cursor->is_forward != forward ||
	    cursor->changes != memtable_of(cursor->cursor.store)->changes)
		return forward ? seek_forward(cursor, key, false)
			       : seek_backward(cursor, key);
	if (cursor->has_under && slice_equal(cursor->under_key, key))
		code = pass_under(cursor);
	if (cursor->node != NULL && slice_equal(cursor->node->key, key))
		pass_node(cursor);
	return code;
}

/* ---- Choosing ---- */

/* Below 0: the memtable's candidate is nearer; above: the table's. */
static int
compare_sides(const struct memtable_cursor *cursor)
{
	int order;

	if (cursor->node == NULL)
		return 1;
	if (!cursor->has_under)
		return -1;
	order = slice_compare(cursor->node->key, cursor->under_key);
	return cursor->is_forward ? order : -order;
}

static void
stand_on(struct memtable_cursor *cursor, struct slice key)
{
	ASSERT(key.size <= sizeof(cursor->key));
	memcpy(cursor->key, key.data, key.size);
	cursor->key_size = key.size;
	cursor->changes = memtable_of(cursor->cursor.store)->changes;
}

static void
take_under(struct memtable_cursor *cursor, struct slice *ret_key,
    struct slice *ret_value)
{
	*ret_key = cursor->under_key;
	*ret_value = cursor->under_value;
	stand_on(cursor, *ret_key);
}

/* The nearer candidate; of the memtable's, one with a value that is seen. Not
 * before it is nearer: a reader does not see what was put since it began, and a
 * long run of that has to be passed once, not with each record of the table. */
static int
choose(struct memtable_cursor *cursor, struct slice *ret_key,
    struct slice *ret_value)
{
	while (cursor->node != NULL || cursor->has_under) {
		int order = compare_sides(cursor);
		const struct memtable_version *seen =
		    order > 0 ? NULL
			      : memtable_seen(cursor->node, cursor->commit);

		if (seen != NULL && seen->kind == MEMTABLE_PUT) {
			*ret_key = cursor->node->key;
			*ret_value = memtable_value(seen);
			stand_on(cursor, *ret_key);
			return 0;
		}
		if (order >= 0) {
			take_under(cursor, ret_key, ret_value);
			return 0;
		}
		pass_node(cursor);
	}
	return ERR_NOT_FOUND;
}

int
memtable_cursor_move(struct store_cursor *cursor, enum store_move where,
    struct slice key, struct slice *ret_key, struct slice *ret_value)
{
	struct memtable_cursor *whole = cursor_of(cursor);
	int code = 0;

	switch (where) {
	case STORE_FIRST: code = seek_end(whole, true); break;
	case STORE_LAST: code = seek_end(whole, false); break;
	case STORE_NEXT: code = step(whole, true); break;
	case STORE_PREVIOUS: code = step(whole, false); break;
	case STORE_AT_OR_AFTER: code = seek_forward(whole, key, true); break;
	}
	return code != 0 ? code : choose(whole, ret_key, ret_value);
}
