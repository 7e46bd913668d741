/*
 * One suite of rules that every implementation of the store keeps, run over
 * each of them, and a run of random operations that compares them.
 */

#include "common/codec.h"
#include "common/macros.h"
#include "common/mem.h"
#include "common/rng.h"
#include "store/store_journal.h"
#include "store/store_lmdb.h"
#include "store/store_memtable.h"
#include "tests/lib/store_mem.h"
#include "tests/lib/temp_dir.h"
#include "tests/unit/suites.h"
#include <stdlib.h>

#define MAP_BYTES     (64u << 20)
#define JOURNAL_BYTES (256u << 10)
/* Some thousand records of the random run. */
#define MEMTABLE_BYTES (1u << 20)

/*
 * The journal is around an LMDB store; what it does otherwise is in its header
 * and in test_store_journal.c. The memtables are over a store in memory, and
 * table A gathers: one goes to its table at once, the other hardly ever.
 */
enum kind {
	KIND_JOURNAL,
	KIND_LMDB, /* it and those that follow undo */
	KIND_MEM,
	KIND_MEMTABLE_SMALL, /* these do not cut nor clear table A */
	KIND_MEMTABLE_LARGE,
	KINDS_COUNT
};
enum { TABLE_A, TABLE_B, TABLES_COUNT };

static const char *const table_names[TABLES_COUNT + 1] = { "a", "b",
	"journal" };

/* A place that keeps what was committed, and the store opened on it. */
struct place {
	enum kind kind;
	char *path;
	struct store_mem_disk *disk;
	struct store *store;
};

static void
place_open_memtable(struct place *place)
{
	struct store_memtable_params params = {
		.under = store_mem_open(place->disk),
		.tables_count = TABLES_COUNT,
		.gathers = 1 << TABLE_A,
		.bytes_max =
		    place->kind == KIND_MEMTABLE_SMALL ? 1 : MEMTABLE_BYTES,
	};

	ck_assert_int_eq(store_memtable_open(&params, &place->store), 0);
}

static void
place_open(struct place *place)
{
	struct store_lmdb_params params = { .path = place->path,
		.tables = table_names,
		.tables_count = TABLES_COUNT,
		.map_bytes = MAP_BYTES };
	struct store_journal_params journal = { .directory = place->path,
		.capacity = JOURNAL_BYTES,
		.table = TABLES_COUNT,
		.random_id = 1 };
	char why[256];

	if (place->kind == KIND_MEM) {
		place->store = store_mem_open(place->disk);
		return;
	}
	if (place->kind > KIND_MEM) {
		place_open_memtable(place);
		return;
	}
	if (place->kind == KIND_JOURNAL)
		params.tables_count++;
	ck_assert_int_eq(store_lmdb_open(&params, &place->store), 0);
	if (place->kind == KIND_JOURNAL)
		ck_assert_int_eq(store_journal_open(&journal, place->store,
				     &place->store, why, sizeof(why)),
		    0);
}

static void
place_init(struct place *place, int kind)
{
	*place = (struct place){ .kind = (enum kind)kind };
	if (place->kind >= KIND_MEM)
		place->disk = store_mem_disk_new(TABLES_COUNT + 1);
	else
		place->path = temp_dir_make();
	place_open(place);
}

static void
place_reopen(struct place *place)
{
	store_close(place->store);
	place_open(place);
}

static void
place_release(struct place *place)
{
	store_close(place->store);
	store_mem_disk_free(place->disk);
	if (place->path != NULL)
		temp_dir_remove(place->path);
}

static struct store_txn *
begin(struct place *place, bool write)
{
	struct store_txn *txn = NULL;

	ck_assert_int_eq(store_begin(place->store, write, &txn), 0);
	return txn;
}

static void
put(struct store_txn *txn, store_table table, const char *key,
    const char *value)
{
	ck_assert_int_eq(
	    store_put(txn, table, slice_from_text(key), slice_from_text(value)),
	    0);
}

static void
expect(struct store_txn *txn, store_table table, const char *key,
    const char *value)
{
	struct slice found;
	int code = store_get(txn, table, slice_from_text(key), &found);

	if (value == NULL) {
		ck_assert_int_eq(code, ERR_NOT_FOUND);
		return;
	}
	ck_assert_int_eq(code, 0);
	ck_assert(slice_equal(found, slice_from_text(value)));
}

/* Commits one record and gives what a fresh transaction needs to begin. */
static void
commit_one(struct place *place, const char *key, const char *value)
{
	struct store_txn *txn = begin(place, true);

	put(txn, TABLE_A, key, value);
	ck_assert_int_eq(store_commit(txn), 0);
}

START_TEST(store_put_get_replace_delete)
{
	struct place place;
	struct store_txn *txn;

	place_init(&place, _i);
	txn = begin(&place, true);
	expect(txn, TABLE_A, "k", NULL);
	put(txn, TABLE_A, "k", "one");
	expect(txn, TABLE_A, "k", "one");
	put(txn, TABLE_A, "k", "a longer one");
	expect(txn, TABLE_A, "k", "a longer one");
	ck_assert_int_eq(store_delete(txn, TABLE_A, slice_from_text("k")), 0);
	expect(txn, TABLE_A, "k", NULL);
	ck_assert_int_eq(
	    store_delete(txn, TABLE_A, slice_from_text("k")), ERR_NOT_FOUND);
	store_abort(txn);
	place_release(&place);
}
END_TEST

START_TEST(store_delete_until_says_what_it_took)
{
	struct place place;
	struct store_txn *txn;
	struct store_cut cut;

	place_init(&place, _i);
	txn = begin(&place, true);
	put(txn, TABLE_A, "b", "1");
	put(txn, TABLE_A, "d", "22");
	put(txn, TABLE_A, "f", "333");
	put(txn, TABLE_B, "b", "stays");
	ck_assert_int_eq(
	    store_delete_until(txn, TABLE_A, slice_from_text("a"), &cut), 0);
	ck_assert_uint_eq(cut.count, 0);
	ck_assert_int_eq(
	    store_delete_until(txn, TABLE_A, slice_from_text("d"), &cut), 0);
	ck_assert_uint_eq(cut.count, 2);
	ck_assert_uint_eq(cut.bytes, strlen("b1d22"));
	ck_assert_int_eq(store_commit(txn), 0);
	place_reopen(&place);
	txn = begin(&place, true);
	expect(txn, TABLE_A, "b", NULL);
	expect(txn, TABLE_A, "d", NULL);
	expect(txn, TABLE_A, "f", "333");
	expect(txn, TABLE_B, "b", "stays");
	ck_assert_int_eq(
	    store_delete_until(txn, TABLE_A, slice_from_text("g"), &cut), 0);
	ck_assert_uint_eq(cut.count, 1);
	ck_assert_int_eq(
	    store_delete_until(txn, TABLE_A, slice_from_text("g"), &cut), 0);
	ck_assert_uint_eq(cut.count, 0);
	store_abort(txn);
	place_release(&place);
}
END_TEST

START_TEST(store_clear_empties_one_table)
{
	struct place place;
	struct store_txn *txn;
	char name[] = "a";

	place_init(&place, _i);
	txn = begin(&place, true);
	for (; name[0] <= 'z'; name[0]++)
		put(txn, TABLE_A, name, "value");
	put(txn, TABLE_B, "b", "stays");
	ck_assert_int_eq(store_commit(txn), 0);
	txn = begin(&place, true);
	ck_assert_int_eq(store_clear(txn, TABLE_A), 0);
	expect(txn, TABLE_A, "a", NULL);
	expect(txn, TABLE_A, "z", NULL);
	ck_assert_int_eq(store_append(txn, TABLE_A, slice_from_text("c"),
			     slice_from_text("new")),
	    0);
	ck_assert_int_eq(store_commit(txn), 0);
	place_reopen(&place);
	txn = begin(&place, false);
	expect(txn, TABLE_A, "b", NULL);
	expect(txn, TABLE_A, "c", "new");
	expect(txn, TABLE_B, "b", "stays");
	store_abort(txn);
	place_release(&place);
}
END_TEST

START_TEST(store_tables_are_apart)
{
	struct place place;
	struct store_txn *txn;

	place_init(&place, _i);
	txn = begin(&place, true);
	put(txn, TABLE_A, "k", "in a");
	expect(txn, TABLE_B, "k", NULL);
	put(txn, TABLE_B, "k", "in b");
	expect(txn, TABLE_A, "k", "in a");
	store_abort(txn);
	place_release(&place);
}
END_TEST

START_TEST(store_commit_survives_reopen)
{
	struct place place;
	struct store_txn *txn;

	place_init(&place, _i);
	commit_one(&place, "k", "v");
	place_reopen(&place);
	txn = begin(&place, false);
	expect(txn, TABLE_A, "k", "v");
	store_abort(txn);
	place_release(&place);
}
END_TEST

START_TEST(store_abort_leaves_nothing)
{
	struct place place;
	struct store_txn *txn;

	place_init(&place, _i);
	commit_one(&place, "k", "v");
	txn = begin(&place, true);
	put(txn, TABLE_A, "k", "changed");
	put(txn, TABLE_A, "new", "v");
	store_abort(txn);
	txn = begin(&place, true);
	expect(txn, TABLE_A, "k", "v");
	expect(txn, TABLE_A, "new", NULL);
	store_abort(txn);
	place_release(&place);
}
END_TEST

START_TEST(store_close_loses_the_open_transaction)
{
	struct place place;
	struct store_txn *txn;

	place_init(&place, _i);
	commit_one(&place, "k", "v");
	put(begin(&place, true), TABLE_A, "k", "changed");
	place_reopen(&place);
	txn = begin(&place, false);
	expect(txn, TABLE_A, "k", "v");
	store_abort(txn);
	place_release(&place);
}
END_TEST

START_TEST(store_reader_sees_last_commit)
{
	struct place place;
	struct store_txn *writer;
	struct store_txn *reader;

	place_init(&place, _i);
	commit_one(&place, "k", "old");
	writer = begin(&place, true);
	put(writer, TABLE_A, "k", "new");
	reader = begin(&place, false);
	expect(reader, TABLE_A, "k", "old");
	ck_assert_int_eq(store_commit(writer), 0);
	expect(reader, TABLE_A, "k", "old");
	store_abort(reader);
	reader = begin(&place, false);
	expect(reader, TABLE_A, "k", "new");
	store_abort(reader);
	place_release(&place);
}
END_TEST

START_TEST(store_largest_key_and_sizes_of_values)
{
	static const size_t sizes[] = { 0, 1, 2000, 4096, 1u << 20 };
	uint8_t key[STORE_KEY_SIZE_MAX];
	uint8_t *value = mem_zalloc(1, 1u << 20);
	struct place place;
	struct store_txn *txn;

	memset(key, 0xff, sizeof(key));
	memset(value, 7, 1u << 20);
	place_init(&place, _i);
	txn = begin(&place, true);
	for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
		struct slice wanted = slice_of(value, sizes[i]);
		struct slice found;

		ck_assert_int_eq(
		    store_put(txn, TABLE_A, slice_of(key, sizeof(key)), wanted),
		    0);
		ck_assert_int_eq(
		    store_get(txn, TABLE_A, slice_of(key, sizeof(key)), &found),
		    0);
		ck_assert(slice_equal(found, wanted));
	}
	store_abort(txn);
	free(value);
	place_release(&place);
}
END_TEST

START_TEST(store_append_only_above_all)
{
	struct slice empty = slice_of(NULL, 0);
	struct place place;
	struct store_txn *txn;

	place_init(&place, _i);
	txn = begin(&place, true);
	ck_assert_int_eq(
	    store_append(txn, TABLE_A, slice_from_text("b"), empty), 0);
	ck_assert_int_eq(
	    store_append(txn, TABLE_A, slice_from_text("d"), empty), 0);
	ck_assert_int_eq(
	    store_append(txn, TABLE_A, slice_from_text("c"), empty),
	    ERR_INVALID);
	ck_assert_int_eq(
	    store_append(txn, TABLE_A, slice_from_text("d"), empty),
	    ERR_INVALID);
	ck_assert_int_eq(
	    store_append(txn, TABLE_A, slice_from_text("e"), empty), 0);
	ck_assert_int_eq(store_commit(txn), 0);
	txn = begin(&place, false);
	expect(txn, TABLE_A, "c", NULL);
	expect(txn, TABLE_A, "d", "");
	expect(txn, TABLE_A, "e", "");
	store_abort(txn);
	place_release(&place);
}
END_TEST

/* Moves and expects this key, or the end if it is NULL. */
static void
expect_move(struct store_cursor *cursor, enum store_move where,
    const char *from, const char *key)
{
	struct slice found;
	struct slice value;
	int code = store_cursor_move(
	    cursor, where, slice_from_text(from), &found, &value);

	if (key == NULL) {
		ck_assert_int_eq(code, ERR_NOT_FOUND);
		return;
	}
	ck_assert_int_eq(code, 0);
	ck_assert(slice_equal(found, slice_from_text(key)));
	ck_assert(slice_equal(value, slice_from_text(key)));
}

/* Bytes sort unsigned, a prefix before what it begins. */
static const char *const sorted[] = { "\x01", "a", "aa", "ab", "b", "\x80",
	"\xff" };

static struct store_cursor *
open_cursor(struct place *place, struct store_txn **ret_txn)
{
	struct store_cursor *cursor = NULL;
	struct store_txn *txn;

	place_init(place, place->kind);
	txn = begin(place, true);
	for (size_t i = ARRAY_COUNT(sorted); i-- > 0;)
		put(txn, TABLE_A, sorted[i], sorted[i]);
	ck_assert_int_eq(store_cursor_open(txn, TABLE_A, &cursor), 0);
	*ret_txn = txn;
	return cursor;
}

START_TEST(store_cursor_goes_both_ways)
{
	struct place place = { .kind = (enum kind)_i };
	struct store_txn *txn;
	struct store_cursor *cursor = open_cursor(&place, &txn);
	size_t count = ARRAY_COUNT(sorted);

	for (size_t i = 0; i < count; i++)
		expect_move(cursor, STORE_NEXT, "", sorted[i]);
	expect_move(cursor, STORE_NEXT, "", NULL);
	expect_move(cursor, STORE_LAST, "", sorted[count - 1]);
	for (size_t i = count - 1; i-- > 0;)
		expect_move(cursor, STORE_PREVIOUS, "", sorted[i]);
	expect_move(cursor, STORE_PREVIOUS, "", NULL);
	expect_move(cursor, STORE_FIRST, "", sorted[0]);
	store_cursor_close(cursor);
	store_abort(txn);
	place_release(&place);
}
END_TEST

START_TEST(store_cursor_new_one_previous_is_last)
{
	struct place place = { .kind = (enum kind)_i };
	struct store_txn *txn;
	struct store_cursor *cursor = open_cursor(&place, &txn);

	expect_move(cursor, STORE_PREVIOUS, "", "\xff");
	expect_move(cursor, STORE_PREVIOUS, "", "\x80");
	store_cursor_close(cursor);
	store_abort(txn);
	place_release(&place);
}
END_TEST

START_TEST(store_cursor_at_or_after)
{
	struct place place = { .kind = (enum kind)_i };
	struct store_txn *txn;
	struct store_cursor *cursor = open_cursor(&place, &txn);

	expect_move(cursor, STORE_AT_OR_AFTER, "ab", "ab");
	expect_move(cursor, STORE_NEXT, "", "b");
	expect_move(cursor, STORE_AT_OR_AFTER, "aab", "ab");
	expect_move(cursor, STORE_PREVIOUS, "", "aa");
	expect_move(cursor, STORE_AT_OR_AFTER, "\xff\x01", NULL);
	expect_move(cursor, STORE_AT_OR_AFTER, "\x01", "\x01");
	store_cursor_close(cursor);
	store_abort(txn);
	place_release(&place);
}
END_TEST

START_TEST(store_cursor_of_empty_table)
{
	struct place place = { .kind = (enum kind)_i };
	struct store_cursor *cursor = NULL;
	struct store_txn *txn;

	place_init(&place, _i);
	txn = begin(&place, false);
	ck_assert_int_eq(store_cursor_open(txn, TABLE_B, &cursor), 0);
	expect_move(cursor, STORE_FIRST, "", NULL);
	expect_move(cursor, STORE_LAST, "", NULL);
	expect_move(cursor, STORE_AT_OR_AFTER, "a", NULL);
	store_cursor_close(cursor);
	store_abort(txn);
	place_release(&place);
}
END_TEST

START_TEST(store_stat_grows_with_use)
{
	struct store_stat before;
	struct store_stat after;
	struct place place;

	place_init(&place, _i);
	store_get_stat(place.store, &before);
	commit_one(&place, "k", "v");
	store_get_stat(place.store, &after);
	ck_assert_uint_gt(after.used_bytes, before.used_bytes);
	ck_assert_uint_ge(after.file_bytes, after.used_bytes);
	ck_assert_uint_ge(after.map_bytes, after.file_bytes);
	place_release(&place);
}
END_TEST

#define RANDOM_STEPS 20000
#define RANDOM_KEYS  300

struct group {
	struct place place[KINDS_COUNT];
	struct store_txn *txn[KINDS_COUNT];
	uint64_t seed;
	struct store_cut cut; /* the last one */
};

static void
group_begin(struct group *group)
{
	for (int i = 0; i < KINDS_COUNT; i++)
		group->txn[i] = begin(&group->place[i], true);
}

static void
group_same(
    const struct group *group, const int *codes, const struct slice *found)
{
	for (int i = 1; i < KINDS_COUNT; i++) {
		ck_assert_msg(codes[0] == codes[i], "seed %lu: codes %d and %d",
		    (unsigned long)group->seed, codes[0], codes[i]);
		if (codes[0] == 0 && found != NULL)
			ck_assert_msg(slice_equal(found[0], found[i]),
			    "seed %lu", (unsigned long)group->seed);
	}
}

/* Of small keys mostly, for something to be left. */
static int
group_cut(struct group *group, int i, store_table table, struct slice key)
{
	uint8_t until[2] = { key.data[0] / 8, key.data[0] };
	struct store_cut cut;
	int code = store_delete_until(
	    group->txn[i], table, slice_of(until, sizeof(until)), &cut);

	ck_assert_int_eq(code, 0);
	if (i == 0)
		group->cut = cut;
	ck_assert_uint_eq(cut.count, group->cut.count);
	ck_assert_uint_eq(cut.bytes, group->cut.bytes);
	return code;
}

static void
group_change(struct group *group, struct rng *rng, struct slice key)
{
	uint8_t value[600];
	size_t size = rng_below(rng, sizeof(value));
	store_table table = (store_table)rng_below(rng, TABLES_COUNT);
	bool clear = rng_below(rng, 1000) == 0 && table == TABLE_B;
	bool cut = rng_below(rng, 25) == 0 && table == TABLE_B;
	uint64_t what = rng_below(rng, 4);
	int codes[KINDS_COUNT];

	memset(value, (int)rng_below(rng, 256), sizeof(value));
	for (int i = 0; i < KINDS_COUNT; i++) {
		struct store_txn *txn = group->txn[i];

		if (clear)
			codes[i] = store_clear(txn, table);
		else if (cut)
			codes[i] = group_cut(group, i, table, key);
		else if (what == 0)
			codes[i] = store_delete(txn, table, key);
		else if (what == 1)
			codes[i] = store_append(
			    txn, table, key, slice_of(value, size));
		else
			codes[i] =
			    store_put(txn, table, key, slice_of(value, size));
	}
	group_same(group, codes, NULL);
}

static void
group_read(struct group *group, struct rng *rng, struct slice key)
{
	store_table table = (store_table)rng_below(rng, TABLES_COUNT);
	struct slice keys[KINDS_COUNT];
	struct slice values[KINDS_COUNT];
	int codes[KINDS_COUNT];

	for (int i = 0; i < KINDS_COUNT; i++)
		codes[i] = store_get(group->txn[i], table, key, &values[i]);
	group_same(group, codes, values);
	for (int i = 0; i < KINDS_COUNT; i++) {
		struct store_cursor *cursor = NULL;

		ck_assert_int_eq(
		    store_cursor_open(group->txn[i], table, &cursor), 0);
		codes[i] = store_cursor_move(
		    cursor, STORE_AT_OR_AFTER, key, &keys[i], &values[i]);
		if (codes[i] == 0)
			codes[i] = store_cursor_move(
			    cursor, STORE_NEXT, key, &keys[i], &values[i]);
		store_cursor_close(cursor);
	}
	group_same(group, codes, keys);
	group_same(group, codes, values);
}

static void
group_end(struct group *group, bool commit)
{
	for (int i = 0; i < KINDS_COUNT; i++) {
		if (commit)
			ck_assert_int_eq(store_commit(group->txn[i]), 0);
		else
			store_abort(group->txn[i]);
	}
}

/* What was aborted, a journal alone can only open anew without. */
static void
group_go_on(struct group *group, struct rng *rng)
{
	bool commit = rng_below(rng, 3) != 0;

	group_end(group, commit);
	if (!commit || rng_below(rng, 2) == 0)
		for (int i = 0; i < KINDS_COUNT; i++)
			place_reopen(&group->place[i]);
	group_begin(group);
}

START_TEST(store_random_operations_agree)
{
	struct group group = { .seed = (uint64_t)_i + 1 };
	struct rng rng;

	rng_init(&rng, group.seed);
	for (int i = 0; i < KINDS_COUNT; i++)
		place_init(&group.place[i], i);
	group_begin(&group);
	for (int step = 0; step < RANDOM_STEPS; step++) {
		uint8_t key[4];
		size_t size = rng_between(&rng, 1, sizeof(key));

		codec_store_u32(key, (uint32_t)rng_below(&rng, RANDOM_KEYS) *
					 UINT32_C(0x9e3779b1));
		if (rng_below(&rng, 500) == 0)
			group_go_on(&group, &rng);
		if (rng_below(&rng, 2) == 0)
			group_change(&group, &rng, slice_of(key, size));
		else
			group_read(&group, &rng, slice_of(key, size));
	}
	group_end(&group, true);
	for (int i = 0; i < KINDS_COUNT; i++)
		place_release(&group.place[i]);
}
END_TEST

Suite *
store_suite(void)
{
	const TTest *const rules[] = {
		store_put_get_replace_delete,
		store_tables_are_apart,
		store_commit_survives_reopen,
		store_close_loses_the_open_transaction,
		store_largest_key_and_sizes_of_values,
		store_append_only_above_all,
		store_cursor_goes_both_ways,
		store_cursor_new_one_previous_is_last,
		store_cursor_at_or_after,
		store_cursor_of_empty_table,
		store_stat_grows_with_use,
	};
	Suite *suite = suite_create("store");
	TCase *conformance = tcase_create("conformance");

	for (size_t i = 0; i < ARRAY_COUNT(rules); i++)
		tcase_add_loop_test(conformance, rules[i], 0, KINDS_COUNT);
	tcase_add_loop_test(conformance, store_delete_until_says_what_it_took,
	    0, KIND_MEMTABLE_SMALL);
	tcase_add_loop_test(
	    conformance, store_clear_empties_one_table, 0, KIND_MEMTABLE_SMALL);
	tcase_add_loop_test(
	    conformance, store_abort_leaves_nothing, KIND_LMDB, KINDS_COUNT);
	tcase_add_loop_test(
	    conformance, store_reader_sees_last_commit, KIND_LMDB, KINDS_COUNT);
	tcase_add_loop_test(conformance, store_random_operations_agree, 0, 3);
	suite_add_tcase(suite, conformance);
	return suite;
}
