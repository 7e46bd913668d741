/* The rules of a store with a memtable, one by one. */

#include "store/store_memtable_impl.h"
#include "tests/unit/memtable_site.h"
#include "tests/unit/suites.h"

/* A commit merges all there is; or as little as it may, one record. */
#define AT_ONCE 1
#define SLOWLY  100000

/* Commits of one record that are at least as much as a slow round. */
#define ROUND_COMMITS (SLOWLY / MEMTABLE_NODE_COST + 1)

/* With a key of one byte, the smallest that does not gather. */
#define LARGE_SIZE STORE_MEMTABLE_RECORD_MAX

/* Records that are before all others, so that it takes so many commits until a
 * slow store has merged the first of what a test does. */
#define FIRST_RECORDS 30

static struct memtable_site site;

static void
set_up(void)
{
	struct store_txn *txn;

	memtable_site_init(&site, SLOWLY);
	txn = memtable_site_begin(&site, true);
	for (char i = 0; i < FIRST_RECORDS; i++) {
		const char key[] = { '!', (char)('0' + i), '\0' };

		memtable_site_put(txn, MEMTABLE_A, key, "first");
	}
	ck_assert_int_eq(store_commit(txn), 0);
}

static void
set_up_empty(void)
{
	memtable_site_init(&site, SLOWLY);
}

static void
tear_down(void)
{
	memtable_site_release(&site);
}

static void
commit_delete(store_table table, const char *key)
{
	struct store_txn *txn = memtable_site_begin(&site, true);

	ck_assert_int_eq(store_delete(txn, table, slice_from_text(key)), 0);
	ck_assert_int_eq(store_commit(txn), 0);
}

static void
put_large(struct store_txn *txn, const char *key)
{
	static const uint8_t large[LARGE_SIZE];

	ck_assert_int_eq(store_put(txn, MEMTABLE_A, slice_from_text(key),
			     slice_of(large, sizeof(large))),
	    0);
}

/* Value NULL: it is not there, for a get and for a cursor. */
static void
expect(struct store_txn *txn, const char *key, const char *value)
{
	struct slice wanted = slice_from_text(key);
	struct store_cursor *cursor = NULL;
	struct slice found = { 0 };
	struct slice at = { 0 };
	int code = store_get(txn, MEMTABLE_A, wanted, &found);

	ck_assert_int_eq(code, value == NULL ? ERR_NOT_FOUND : 0);
	if (value != NULL)
		ck_assert(slice_equal(found, slice_from_text(value)));
	ck_assert_int_eq(store_cursor_open(txn, MEMTABLE_A, &cursor), 0);
	code =
	    store_cursor_move(cursor, STORE_AT_OR_AFTER, wanted, &at, &found);
	ck_assert_int_eq(code == 0 && slice_equal(at, wanted), value != NULL);
	store_cursor_close(cursor);
}

static void
expect_now(const char *key, const char *value)
{
	struct store_txn *txn = memtable_site_begin(&site, false);

	expect(txn, key, value);
	store_abort(txn);
}

/* ---- Commit, abort, crash ---- */

START_TEST(memtable_commit_outlives_a_crash)
{
	memtable_site_commit(&site, MEMTABLE_A, "k", "1");
	memtable_site_reopen(&site, SLOWLY);
	expect_now("k", "1");
}
END_TEST

START_TEST(memtable_uncommitted_change_does_not_outlive_a_crash)
{
	memtable_site_commit(&site, MEMTABLE_A, "k", "1");
	memtable_site_put(
	    memtable_site_begin(&site, true), MEMTABLE_A, "k", "2");
	memtable_site_reopen(&site, SLOWLY);
	expect_now("k", "1");
}
END_TEST

static void
undo_put(struct store_txn *txn)
{
	memtable_site_put(txn, MEMTABLE_A, "k", "2");
}

static void
undo_large(struct store_txn *txn)
{
	put_large(txn, "k");
}

static void
undo_delete(struct store_txn *txn)
{
	ck_assert_int_eq(
	    store_delete(txn, MEMTABLE_A, slice_from_text("k")), 0);
}

static void
undo_delete_and_put(struct store_txn *txn)
{
	undo_delete(txn);
	undo_put(txn);
}

static void
undo_put_and_delete(struct store_txn *txn)
{
	memtable_site_put(txn, MEMTABLE_A, "new", "1");
	ck_assert_int_eq(
	    store_delete(txn, MEMTABLE_A, slice_from_text("new")), 0);
}

static void
undo_create(struct store_txn *txn)
{
	memtable_site_put(txn, MEMTABLE_A, "new", "1");
}

static void (*const undone[])(struct store_txn *) = { undo_put, undo_large,
	undo_delete, undo_delete_and_put, undo_put_and_delete, undo_create };

/* What is committed in the memtable, and what is in the table alone. */
START_TEST(memtable_abort_brings_back_what_was_committed)
{
	bool in_table = (size_t)_i >= ARRAY_COUNT(undone);
	struct store_txn *txn;

	memtable_site_reopen(&site, in_table ? AT_ONCE : SLOWLY);
	memtable_site_commit(&site, MEMTABLE_A, "k", "1");
	txn = memtable_site_begin(&site, true);
	undone[(size_t)_i % ARRAY_COUNT(undone)](txn);
	store_abort(txn);
	expect_now("k", "1");
	expect_now("new", NULL);
	memtable_site_commit(&site, MEMTABLE_A, "l", "1");
	memtable_site_reopen(&site, SLOWLY);
	expect_now("k", "1");
	expect_now("new", NULL);
}
END_TEST

START_TEST(memtable_delete_of_nothing_is_not_found)
{
	struct store_txn *txn;

	memtable_site_commit(&site, MEMTABLE_A, "k", "1");
	commit_delete(MEMTABLE_A, "k");
	txn = memtable_site_begin(&site, true);
	ck_assert_int_eq(
	    store_delete(txn, MEMTABLE_A, slice_from_text("k")), ERR_NOT_FOUND);
	ck_assert_int_eq(
	    store_delete(txn, MEMTABLE_A, slice_from_text("x")), ERR_NOT_FOUND);
	store_abort(txn);
}
END_TEST

/* ---- Merging ---- */

/* The reader's version stays, be what is newer merged, deleted or through. */
START_TEST(memtable_reader_sees_its_moment)
{
	struct store_txn *reader;
	struct store_txn *txn;

	memtable_site_reopen(&site, _i == 0 ? AT_ONCE : SLOWLY);
	memtable_site_commit(&site, MEMTABLE_A, "k", "1");
	reader = memtable_site_begin(&site, false);
	memtable_site_commit(&site, MEMTABLE_A, "k", "2");
	expect(reader, "k", "1");
	commit_delete(MEMTABLE_A, "k");
	expect(reader, "k", "1");
	txn = memtable_site_begin(&site, true);
	put_large(txn, "k");
	memtable_site_put(txn, MEMTABLE_A, "new", "1");
	ck_assert_int_eq(store_commit(txn), 0);
	expect(reader, "k", "1");
	/* On the way round it is merged, and stays for the reader. */
	for (int i = 0; i < 2 * ROUND_COMMITS; i++)
		memtable_site_commit(&site, MEMTABLE_B, "other", "1");
	ck_assert(memtable_site_table_has(&site, MEMTABLE_A, "new"));
	expect(reader, "k", "1");
	expect(reader, "new", NULL);
	expect_now("new", "1");
	store_abort(reader);
}
END_TEST

START_TEST(memtable_readers_past_goes_when_the_reader_has)
{
	struct memtable *memtable = memtable_of(site.store);
	struct store_txn *reader;
	int i;

	memtable_site_commit(&site, MEMTABLE_A, "k", "1");
	reader = memtable_site_begin(&site, false);
	for (i = 0; i < 2 * ROUND_COMMITS; i++)
		memtable_site_commit(&site, MEMTABLE_A, "k", "2");
	ck_assert_uint_gt(memtable->nodes_count, 1);
	store_abort(reader);
	for (i = 0; i < 2 * ROUND_COMMITS; i++)
		memtable_site_commit(&site, MEMTABLE_A, "k", "3");
	/* That came after the hand had passed. */
	ck_assert_uint_le(memtable->nodes_count, 1);
}
END_TEST

/* Else those that follow each other keep all that ever gathered. */
START_TEST(memtable_reader_keeps_nothing_merged_before_it_began)
{
	struct memtable *memtable = memtable_of(site.store);
	struct store_txn *readers[2];

	readers[0] = memtable_site_begin(&site, false);
	memtable_site_commit(&site, MEMTABLE_A, "k", "1");
	store_abort(readers[0]);
	readers[0] = memtable_site_begin(&site, false);
	for (int i = 0; i < 2 * ROUND_COMMITS; i++)
		memtable_site_commit(&site, MEMTABLE_B, "other", "1");
	ck_assert_ptr_nonnull(
	    memtable_find(memtable, MEMTABLE_A, slice_from_text("k")));
	readers[1] = memtable_site_begin(&site, false);
	store_abort(readers[0]);
	for (int i = 0; i < 2 * ROUND_COMMITS; i++)
		memtable_site_commit(&site, MEMTABLE_B, "other", "1");
	ck_assert_ptr_null(
	    memtable_find(memtable, MEMTABLE_A, slice_from_text("k")));
	expect(readers[1], "k", "1");
	store_abort(readers[1]);
}
END_TEST

/* It was quadratic: whoever takes the first, again and again, had to pass all
 * that were taken before; without a reader until the commit, with one longer. */
START_TEST(memtable_writer_passes_nothing_that_is_deleted)
{
	struct memtable *memtable = memtable_of(site.store);
	struct store_txn *reader = NULL;
	struct store_txn *txn;
	char key[] = "k1";

	for (; key[1] <= '9'; key[1]++)
		memtable_site_commit(&site, MEMTABLE_B, key, "1");
	if (_i != 0)
		reader = memtable_site_begin(&site, false);
	txn = memtable_site_begin(&site, true);
	for (key[1] = '1'; key[1] < '9'; key[1]++)
		ck_assert_int_eq(
		    store_delete(txn, MEMTABLE_B, slice_from_text(key)), 0);
	ck_assert(slice_equal(memtable_first(memtable, MEMTABLE_B, false)->key,
	    slice_from_text("k9")));
	ck_assert_int_eq(store_commit(txn), 0);
	ck_assert(slice_equal(memtable_first(memtable, MEMTABLE_B, false)->key,
	    slice_from_text("k9")));
	ck_assert(slice_equal(memtable_first(memtable, MEMTABLE_B, true)->key,
	    slice_from_text(_i == 0 ? "k9" : "k1")));
	if (reader == NULL)
		return;
	store_abort(reader);
	memtable_site_commit(&site, MEMTABLE_B, "k9", "2");
	ck_assert(slice_equal(memtable_first(memtable, MEMTABLE_B, true)->key,
	    slice_from_text("k9")));
}
END_TEST

START_TEST(memtable_delete_is_in_the_table_at_once)
{
	uint64_t nodes;

	memtable_site_reopen(&site, AT_ONCE);
	memtable_site_commit(&site, MEMTABLE_A, "k", "1");
	ck_assert(memtable_site_table_has(&site, MEMTABLE_A, "k"));
	memtable_site_reopen(&site, SLOWLY);
	nodes = memtable_of(site.store)->nodes_count;
	if (_i == 1)
		memtable_site_commit(&site, MEMTABLE_A, "k", "2");
	commit_delete(MEMTABLE_A, "k");
	ck_assert(!memtable_site_table_has(&site, MEMTABLE_A, "k"));
	expect_now("k", NULL);
	ck_assert_uint_le(memtable_of(site.store)->nodes_count, nodes);
	memtable_site_reopen(&site, SLOWLY);
	expect_now("k", NULL);
}
END_TEST

/* Nor does a round that goes on where it was, or ends. */
START_TEST(memtable_delete_of_what_is_in_memory_alone_stays)
{
	memtable_site_commit(&site, MEMTABLE_A, "k", "1");
	ck_assert(!memtable_site_table_has(&site, MEMTABLE_A, "k"));
	commit_delete(MEMTABLE_A, "k");
	expect_now("k", NULL);
	memtable_site_reopen(&site, SLOWLY);
	expect_now("k", NULL);
	for (int i = 0; i < 2 * ROUND_COMMITS; i++) {
		memtable_site_commit(&site, MEMTABLE_B, "other", "1");
		if (i % 100 == 0)
			memtable_site_reopen(&site, SLOWLY);
	}
	expect_now("k", NULL);
	ck_assert(!memtable_site_table_has(&site, MEMTABLE_A, "k"));
}
END_TEST

START_TEST(memtable_record_gathers_up_to_its_limit)
{
	static const uint8_t value[LARGE_SIZE];
	struct store_txn *txn = memtable_site_begin(&site, true);

	ck_assert_int_eq(store_put(txn, MEMTABLE_A, slice_from_text("k"),
			     slice_of(value, LARGE_SIZE - 1)),
	    0);
	ck_assert_int_eq(store_put(txn, MEMTABLE_A, slice_from_text("ll"),
			     slice_of(value, LARGE_SIZE - 1)),
	    0);
	ck_assert_int_eq(store_commit(txn), 0);
	ck_assert(!memtable_site_table_has(&site, MEMTABLE_A, "k"));
	ck_assert(memtable_site_table_has(&site, MEMTABLE_A, "ll"));
	memtable_site_reopen(&site, SLOWLY);
	ck_assert_ptr_nonnull(memtable_find(
	    memtable_of(site.store), MEMTABLE_A, slice_from_text("k")));
}
END_TEST

/* Wherever the others are: before it, behind it, in another table. */
START_TEST(memtable_change_comes_to_its_table_in_time)
{
	static const char *const others[] = { "a", "z" };

	memtable_site_reopen(&site, 1000);
	memtable_site_commit(&site, MEMTABLE_A, "k", "1");
	/* A round and the rest of the one before. */
	for (int i = 0; i < 2000 / MEMTABLE_NODE_COST + 2; i++)
		memtable_site_commit(&site, _i < 2 ? MEMTABLE_A : MEMTABLE_B,
		    others[_i % 2], "1");
	ck_assert(memtable_site_table_has(&site, MEMTABLE_A, "k"));
}
END_TEST

/* ---- Past the memtable ---- */

START_TEST(memtable_append_fills_an_empty_store_at_once)
{
	struct store_txn *txn = memtable_site_begin(&site, true);

	ck_assert_int_eq(store_append(txn, MEMTABLE_A, slice_from_text("k"),
			     slice_from_text("1")),
	    0);
	ck_assert_int_eq(store_commit(txn), 0);
	ck_assert(memtable_site_table_has(&site, MEMTABLE_A, "k"));
	ck_assert_uint_eq(memtable_site_log(&site).count, 0);
}
END_TEST

START_TEST(memtable_append_gathers_when_something_has)
{
	struct store_txn *txn;

	memtable_site_commit(&site, MEMTABLE_B, "k", "1");
	txn = memtable_site_begin(&site, true);
	ck_assert_int_eq(store_append(txn, MEMTABLE_A, slice_from_text("k"),
			     slice_from_text("1")),
	    0);
	ck_assert_int_eq(store_commit(txn), 0);
	ck_assert(!memtable_site_table_has(&site, MEMTABLE_A, "k"));
	expect_now("k", "1");
}
END_TEST

/* The greatest key is in the table, or in the memtable. */
START_TEST(memtable_append_is_for_a_greater_key)
{
	static const char *const keys[] = { "j", "k" };
	struct store_txn *txn;

	memtable_site_reopen(&site, _i == 0 ? AT_ONCE : SLOWLY);
	memtable_site_commit(&site, MEMTABLE_A, "k", "1");
	txn = memtable_site_begin(&site, true);
	for (unsigned i = 0; i < ARRAY_COUNT(keys); i++)
		ck_assert_int_eq(
		    store_append(txn, MEMTABLE_A, slice_from_text(keys[i]),
			slice_from_text("2")),
		    ERR_INVALID);
	store_abort(txn);
	expect_now("k", "1");
	expect_now("j", NULL);
}
END_TEST

START_TEST(memtable_large_value_goes_to_its_table_at_once)
{
	struct store_txn *txn = memtable_site_begin(&site, true);

	memtable_site_put(txn, MEMTABLE_B, "k", "1");
	put_large(txn, "k");
	ck_assert_int_eq(store_commit(txn), 0);
	ck_assert(memtable_site_table_has(&site, MEMTABLE_A, "k"));
	ck_assert_uint_lt(
	    memtable_site_log(&site).bytes, STORE_MEMTABLE_RECORD_MAX);
}
END_TEST

/* Nor does what was deleted after it. */
START_TEST(memtable_log_brings_back_nothing_older_than_a_large_value)
{
	struct store_txn *txn;
	struct slice value;

	memtable_site_commit(&site, MEMTABLE_A, "k", "1");
	txn = memtable_site_begin(&site, true);
	put_large(txn, "k");
	ck_assert_int_eq(store_commit(txn), 0);
	memtable_site_reopen(&site, AT_ONCE);
	memtable_site_commit(&site, MEMTABLE_A, "l", "1");
	txn = memtable_site_begin(&site, false);
	ck_assert_int_eq(
	    store_get(txn, MEMTABLE_A, slice_from_text("k"), &value), 0);
	ck_assert_uint_eq(value.size, LARGE_SIZE);
	store_abort(txn);
	commit_delete(MEMTABLE_A, "k");
	memtable_site_reopen(&site, SLOWLY);
	expect_now("k", NULL);
}
END_TEST

/* ---- A store below that fails ---- */

static int
read_and_change(struct store_txn *txn)
{
	static const uint8_t large[LARGE_SIZE];
	struct slice value;
	int code = store_get(txn, MEMTABLE_A, slice_from_text("a"), &value);

	if (code == 0)
		code = store_put(txn, MEMTABLE_A, slice_from_text("a"),
		    slice_from_text("2"));
	if (code == 0)
		code = store_delete(txn, MEMTABLE_A, slice_from_text("b"));
	if (code == 0)
		code = store_append(txn, MEMTABLE_A, slice_from_text("c"),
		    slice_from_text("2"));
	if (code == 0)
		code = store_put(txn, MEMTABLE_B, slice_from_text("d"),
		    slice_of(large, sizeof(large)));
	return code;
}

/* The commit that merges and cuts. Ends the transaction in any case. */
static int
try_all(bool *ret_in_commit)
{
	struct store_txn *txn;
	int code = store_begin(site.store, true, &txn);

	*ret_in_commit = false;
	if (code != 0)
		return code;
	code = read_and_change(txn);
	if (code != 0) {
		store_abort(txn);
		return code;
	}
	*ret_in_commit = true;
	return store_commit(txn);
}

static void
expect_whole(bool done)
{
	expect_now("a", done ? "2" : "1");
	expect_now("b", done ? NULL : "1");
	expect_now("c", done ? "2" : NULL);
	ck_assert_int_eq(memtable_site_table_has(&site, MEMTABLE_B, "d"), done);
}

static bool
is_done(void)
{
	struct store_txn *txn = memtable_site_begin(&site, false);
	struct slice value;
	int code = store_get(txn, MEMTABLE_A, slice_from_text("c"), &value);

	store_abort(txn);
	return code == 0;
}

static void
set_up_faults(uint64_t seed)
{
	memtable_site_init(&site, AT_ONCE);
	store_mem_seed(site.disk, seed);
	memtable_site_commit(&site, MEMTABLE_A, "a", "1");
	memtable_site_commit(&site, MEMTABLE_A, "b", "1");
}

/* The n-th operation fails. False: there are not so many. */
static bool
fail_one(uint64_t n, unsigned done_counts[2])
{
	struct store_txn *txn;
	bool in_commit;
	int code;

	store_mem_fail_operation(site.disk, n, ERR_IO);
	code = try_all(&in_commit);
	store_mem_fail_operation(site.disk, 0, 0);
	ck_assert_int_eq(code, code == 0 ? 0 : ERR_IO);
	if (code != 0 && in_commit)
		ck_assert_int_eq(
		    store_begin(site.store, true, &txn), ERR_STOPPED);
	memtable_site_reopen(&site, AT_ONCE);
	if (code != 0 && !in_commit)
		ck_assert(!is_done());
	expect_whole(is_done());
	done_counts[is_done()]++;
	return code != 0;
}

START_TEST(memtable_failure_below_leaves_all_or_nothing)
{
	unsigned done_counts[2] = { 0, 0 };

	for (uint64_t seed = 1; seed <= 8; seed++) {
		uint64_t n = 0;
		bool failed;

		do {
			set_up_faults(seed);
			failed = fail_one(++n, done_counts);
			memtable_site_release(&site);
		} while (failed);
	}
	/* More than the eight that did not fail. */
	ck_assert_uint_gt(done_counts[1], 8);
	ck_assert_uint_gt(done_counts[0], 0);
}
END_TEST

/* ---- The suite ---- */

static void
add_states(TCase *tests)
{
	tcase_add_test(tests, memtable_commit_outlives_a_crash);
	tcase_add_test(
	    tests, memtable_uncommitted_change_does_not_outlive_a_crash);
	tcase_add_loop_test(tests,
	    memtable_abort_brings_back_what_was_committed, 0,
	    2 * ARRAY_COUNT(undone));
	tcase_add_test(tests, memtable_delete_of_nothing_is_not_found);
	tcase_add_loop_test(tests, memtable_reader_sees_its_moment, 0, 2);
	tcase_add_test(tests, memtable_readers_past_goes_when_the_reader_has);
	tcase_add_test(
	    tests, memtable_reader_keeps_nothing_merged_before_it_began);
	tcase_add_loop_test(
	    tests, memtable_writer_passes_nothing_that_is_deleted, 0, 2);
	tcase_add_loop_test(
	    tests, memtable_delete_is_in_the_table_at_once, 0, 2);
	tcase_add_test(tests, memtable_delete_of_what_is_in_memory_alone_stays);
	tcase_add_test(tests, memtable_record_gathers_up_to_its_limit);
	tcase_add_loop_test(
	    tests, memtable_change_comes_to_its_table_in_time, 0, 4);
}

static void
add_ways_past(TCase *tests)
{
	tcase_add_test(tests, memtable_append_gathers_when_something_has);
	tcase_add_loop_test(tests, memtable_append_is_for_a_greater_key, 0, 2);
	tcase_add_test(tests, memtable_large_value_goes_to_its_table_at_once);
	tcase_add_test(
	    tests, memtable_log_brings_back_nothing_older_than_a_large_value);
}

Suite *
store_memtable_suite(void)
{
	Suite *suite = suite_create("store_memtable");
	TCase *states = tcase_create("states");
	TCase *empty = tcase_create("empty");
	TCase *past = tcase_create("past");
	TCase *faults = tcase_create("faults");

	tcase_add_checked_fixture(states, set_up, tear_down);
	add_states(states);
	suite_add_tcase(suite, states);
	tcase_add_checked_fixture(empty, set_up_empty, tear_down);
	tcase_add_test(empty, memtable_append_fills_an_empty_store_at_once);
	suite_add_tcase(suite, empty);
	tcase_add_checked_fixture(past, set_up, tear_down);
	add_ways_past(past);
	suite_add_tcase(suite, past);
	tcase_add_test(faults, memtable_failure_below_leaves_all_or_nothing);
	suite_add_tcase(suite, faults);
	return suite;
}
