#include "tests/lib/store_twin.h"

#include "common/mem.h"
#include "common/panic.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct twin {
	struct store store;
	struct store *real;
	struct store *shadow;
	struct store_mem_disk *disk;
	struct store_twin_notes *notes;
};

struct twin_txn {
	struct store_txn txn;
	struct store_txn *real;
	struct store_txn *shadow;
};

struct twin_cursor {
	struct store_cursor cursor;
	struct twin_txn *txn;
	struct store_cursor *real;
	struct store_cursor *shadow;
};

static struct twin *
twin_of(struct store *store)
{
	return CONTAINER_OF(store, struct twin, store);
}

static struct twin_txn *
twin_txn_of(struct store_txn *txn)
{
	return CONTAINER_OF(txn, struct twin_txn, txn);
}

static struct twin_cursor *
twin_cursor_of(struct store_cursor *cursor)
{
	return CONTAINER_OF(cursor, struct twin_cursor, cursor);
}

/* ---- Comparing ---- */

static void
note(struct twin *twin, const char *call, int real, int shadow)
{
	struct store_twin_notes *notes = twin->notes;

	if (notes->differs)
		return;
	notes->differs = true;
	snprintf(notes->what, sizeof(notes->what),
	    "%s gave '%s', and not '%s' or other bytes", call, err_text(real),
	    err_text(shadow));
}

/*
 * An error of the real store that the one in memory never has is for whoever
 * called. Readers of a journal see its open write transaction.
 */
static bool
is_comparable(const struct twin_txn *txn, int real)
{
	const struct store *store = txn->txn.store;

	return (real == 0 || real == ERR_NOT_FOUND || real == ERR_INVALID) &&
	       (store->writer == NULL || store->writer == &txn->txn);
}

static void
compare_codes(struct twin_txn *txn, const char *call, int real, int shadow)
{
	struct twin *twin = twin_of(txn->txn.store);

	twin->notes->reads_compared++;
	if (is_comparable(txn, real) && real != shadow)
		note(twin, call, real, shadow);
}

static void
compare_slices(struct twin_txn *txn, const char *call, struct slice real,
    struct slice shadow)
{
	if (is_comparable(txn, 0) && !slice_equal(real, shadow))
		note(twin_of(txn->txn.store), call, 0, 0);
}

/* ---- Transactions ---- */

static int
twin_begin(struct store *store, bool write, struct store_txn **ret_txn)
{
	struct twin *twin = twin_of(store);
	struct twin_txn *txn = mem_zalloc(1, sizeof(*txn));
	int code = store_begin(twin->real, write, &txn->real);

	if (code != 0) {
		free(txn);
		return code;
	}
	code = store_begin(twin->shadow, write, &txn->shadow);
	ASSERT(code == 0);
	txn->txn.store = store;
	*ret_txn = &txn->txn;
	return 0;
}

/* The commit that failed has happened, or has not: the next open tells. */
static void
doubt(struct twin *twin, struct store_txn *shadow)
{
	struct store_mem_disk *before = store_mem_disk_clone(twin->disk);
	int code = store_commit(shadow);

	ASSERT(code == 0);
	store_twin_release(twin->notes);
	twin->notes->in_doubt = store_mem_disk_clone(twin->disk);
	store_mem_take_back(twin->disk, before);
	store_mem_disk_free(before);
}

static int
twin_commit(struct store_txn *txn)
{
	struct twin *twin = twin_of(txn->store);
	struct twin_txn *both = twin_txn_of(txn);
	int code = store_commit(both->real);

	if (code != 0) {
		doubt(twin, both->shadow);
	} else {
		int shadow = store_commit(both->shadow);

		ASSERT(shadow == 0);
	}
	free(both);
	return code;
}

static void
twin_abort(struct store_txn *txn)
{
	struct twin_txn *both = twin_txn_of(txn);

	store_abort(both->real);
	store_abort(both->shadow);
	free(both);
}

static int
twin_get(struct store_txn *txn, store_table table, struct slice key,
    struct slice *ret_value)
{
	struct twin_txn *both = twin_txn_of(txn);
	struct slice shadow_value;
	int code = store_get(both->real, table, key, ret_value);
	int shadow = store_get(both->shadow, table, key, &shadow_value);

	compare_codes(both, "get", code, shadow);
	if (code == 0 && shadow == 0)
		compare_slices(both, "get", *ret_value, shadow_value);
	return code;
}

/* A change that only failed in the real one must not be in the other. */
static int
twin_put(struct store_txn *txn, store_table table, struct slice key,
    struct slice value, bool append)
{
	struct twin_txn *both = twin_txn_of(txn);
	int code = append ? store_append(both->real, table, key, value)
			  : store_put(both->real, table, key, value);
	int shadow;

	if (code != 0 && code != ERR_INVALID)
		return code;
	shadow = append ? store_append(both->shadow, table, key, value)
			: store_put(both->shadow, table, key, value);
	compare_codes(both, append ? "append" : "put", code, shadow);
	return code;
}

static int
twin_del(struct store_txn *txn, store_table table, struct slice key)
{
	struct twin_txn *both = twin_txn_of(txn);
	int code = store_delete(both->real, table, key);

	if (code == 0 || code == ERR_NOT_FOUND)
		compare_codes(both, "delete", code,
		    store_delete(both->shadow, table, key));
	return code;
}

static int
twin_del_until(struct store_txn *txn, store_table table, struct slice key,
    struct store_cut *ret_cut)
{
	struct twin_txn *both = twin_txn_of(txn);
	struct store_cut shadow_cut;
	int code = store_delete_until(both->real, table, key, ret_cut);

	if (code != 0)
		return code;
	compare_codes(both, "delete until", code,
	    store_delete_until(both->shadow, table, key, &shadow_cut));
	if (ret_cut->count != shadow_cut.count ||
	    ret_cut->bytes != shadow_cut.bytes)
		note(twin_of(txn->store), "delete until", 0, 0);
	return code;
}

static int
twin_clear(struct store_txn *txn, store_table table)
{
	struct twin_txn *both = twin_txn_of(txn);
	int code = store_clear(both->real, table);

	if (code == 0)
		compare_codes(
		    both, "clear", code, store_clear(both->shadow, table));
	return code;
}

/* ---- Cursors ---- */

static int
twin_cursor_open(
    struct store_txn *txn, store_table table, struct store_cursor **ret_cursor)
{
	struct twin_cursor *cursor = mem_zalloc(1, sizeof(*cursor));
	int code;

	cursor->cursor.store = txn->store;
	cursor->txn = twin_txn_of(txn);
	code = store_cursor_open(cursor->txn->real, table, &cursor->real);
	if (code != 0) {
		free(cursor);
		return code;
	}
	code = store_cursor_open(cursor->txn->shadow, table, &cursor->shadow);
	ASSERT(code == 0);
	*ret_cursor = &cursor->cursor;
	return 0;
}

static void
twin_cursor_close(struct store_cursor *cursor)
{
	struct twin_cursor *both = twin_cursor_of(cursor);

	store_cursor_close(both->real);
	store_cursor_close(both->shadow);
	free(both);
}

static int
twin_cursor_move(struct store_cursor *cursor, enum store_move where,
    struct slice key, struct slice *ret_key, struct slice *ret_value)
{
	struct twin_cursor *both = twin_cursor_of(cursor);
	struct slice shadow_value;
	struct slice shadow_key;
	int code =
	    store_cursor_move(both->real, where, key, ret_key, ret_value);
	int shadow = store_cursor_move(
	    both->shadow, where, key, &shadow_key, &shadow_value);

	compare_codes(both->txn, "move", code, shadow);
	if (code == 0 && shadow == 0) {
		compare_slices(both->txn, "move", *ret_key, shadow_key);
		compare_slices(both->txn, "move", *ret_value, shadow_value);
	}
	return code;
}

/* ---- The rest ---- */

static void
twin_stat(struct store *store, struct store_stat *ret_stat)
{
	store_get_stat(twin_of(store)->real, ret_stat);
}

static bool
twin_is_settled(struct store *store)
{
	return store_is_settled(twin_of(store)->real);
}

static int
twin_settle(struct store *store)
{
	return store_settle(twin_of(store)->real);
}

static void
twin_close(struct store *store)
{
	struct twin *twin = twin_of(store);

	store_close(twin->real);
	store_close(twin->shadow);
	free(twin);
}

static const struct store_ops twin_ops = {
	.begin = twin_begin,
	.commit = twin_commit,
	.abort = twin_abort,
	.get = twin_get,
	.put = twin_put,
	.del = twin_del,
	.del_until = twin_del_until,
	.clear = twin_clear,
	.cursor_open = twin_cursor_open,
	.cursor_close = twin_cursor_close,
	.cursor_move = twin_cursor_move,
	.stat = twin_stat,
	.close = twin_close,
	.is_settled = twin_is_settled,
	.settle = twin_settle,
};

void
store_twin_release(struct store_twin_notes *notes)
{
	store_mem_disk_free(notes->in_doubt);
	notes->in_doubt = NULL;
}

struct store *
store_twin_open(struct store *real, struct store_mem_disk *disk,
    struct store_twin_notes *notes)
{
	struct twin *twin = mem_zalloc(1, sizeof(*twin));

	twin->store.ops = &twin_ops;
	twin->real = real;
	twin->shadow = store_mem_open(disk);
	twin->disk = disk;
	twin->notes = notes;
	return &twin->store;
}

static bool
compare_table(struct store_txn *real, struct store_txn *shadow,
    store_table table, char *what, size_t size)
{
	struct store_cursor *cursors[2];
	struct slice keys[2];
	struct slice values[2];
	uint64_t place = 0;
	int codes[2] = { 0, 0 };

	codes[0] = store_cursor_open(real, table, &cursors[0]);
	ASSERT(codes[0] == 0);
	codes[1] = store_cursor_open(shadow, table, &cursors[1]);
	ASSERT(codes[1] == 0);
	do {
		for (unsigned i = 0; i < 2; i++)
			codes[i] = store_cursor_move(cursors[i], STORE_NEXT,
			    slice_of(NULL, 0), &keys[i], &values[i]);
		place++;
	} while (codes[0] == 0 && codes[1] == 0 &&
		 slice_equal(keys[0], keys[1]) &&
		 slice_equal(values[0], values[1]));
	store_cursor_close(cursors[0]);
	store_cursor_close(cursors[1]);
	if (codes[0] == ERR_NOT_FOUND && codes[1] == ERR_NOT_FOUND)
		return true;
	snprintf(what, size, "record %" PRIu64 " of table %u: %s", place, table,
	    codes[0] == 0 && codes[1] == 0 ? "it is another one"
	    : codes[0] == 0                ? "there should be none"
	    : codes[0] == ERR_NOT_FOUND    ? "it is not there"
					   : err_text(codes[0]));
	return false;
}

bool
store_twin_compare(struct store *real, const struct store_mem_disk *disk,
    unsigned tables_count, char *what, size_t size)
{
	/* There may be a store that is open on the disk. */
	struct store_mem_disk *copy = store_mem_disk_clone(disk);
	struct store *shadow = store_mem_open(copy);
	struct store_txn *txns[2];
	bool same = true;
	int code = store_begin(real, false, &txns[0]);

	if (code != 0) {
		snprintf(what, size, "no transaction: %s", err_text(code));
		store_close(shadow);
		store_mem_disk_free(copy);
		return false;
	}
	code = store_begin(shadow, false, &txns[1]);
	ASSERT(code == 0);
	for (store_table table = 0; table < tables_count && same; table++)
		same = compare_table(txns[0], txns[1], table, what, size);
	store_abort(txns[0]);
	store_abort(txns[1]);
	store_close(shadow);
	store_mem_disk_free(copy);
	return same;
}
