/* The faults of the store in memory, which other tests rely upon. */

#include "tests/lib/store_mem.h"
#include "tests/unit/suites.h"

enum { TABLE_A, TABLE_B, TABLES_COUNT };

struct place {
	struct store_mem_disk *disk;
	struct store *store;
};

static void
place_init(struct place *place)
{
	place->disk = store_mem_disk_new(TABLES_COUNT);
	place->store = store_mem_open(place->disk);
}

static void
place_reopen(struct place *place)
{
	store_close(place->store);
	place->store = store_mem_open(place->disk);
}

static void
place_release(struct place *place)
{
	store_close(place->store);
	store_mem_disk_free(place->disk);
}

static struct store_txn *
begin(struct place *place)
{
	struct store_txn *txn = NULL;

	ck_assert_int_eq(store_begin(place->store, true, &txn), 0);
	return txn;
}

static void
put(struct store_txn *txn, const char *key, const char *value)
{
	ck_assert_int_eq(store_put(txn, TABLE_A, slice_from_text(key),
			     slice_from_text(value)),
	    0);
}

static void
commit_one(struct place *place, const char *key, const char *value)
{
	struct store_txn *txn = begin(place);

	put(txn, key, value);
	ck_assert_int_eq(store_commit(txn), 0);
}

static char
first_byte(struct place *place, const char *key)
{
	struct store_txn *txn = begin(place);
	struct slice value = slice_of("", 1);
	char first;

	ck_assert_int_eq(
	    store_get(txn, TABLE_A, slice_from_text(key), &value), 0);
	first = (char)value.data[0];
	store_abort(txn);
	return first;
}

START_TEST(store_mem_failed_commit_stops_the_store)
{
	struct place place;
	struct store_txn *txn;

	place_init(&place);
	store_mem_fail_commit(place.disk, 1, ERR_IO);
	txn = begin(&place);
	ck_assert_int_eq(store_commit(txn), ERR_IO);
	ck_assert_int_eq(store_begin(place.store, true, &txn), ERR_STOPPED);
	place_reopen(&place);
	commit_one(&place, "k", "v");
	place_release(&place);
}
END_TEST

START_TEST(store_mem_failed_commit_is_old_or_new)
{
	int seen[2] = { 0, 0 };

	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct place place;
		struct store_txn *txn;

		place_init(&place);
		store_mem_seed(place.disk, seed);
		commit_one(&place, "k", "o");
		store_mem_fail_commit(place.disk, 1, ERR_IO);
		txn = begin(&place);
		put(txn, "k", "n");
		ck_assert_int_eq(store_commit(txn), ERR_IO);
		place_reopen(&place);
		seen[first_byte(&place, "k") == 'n']++;
		place_release(&place);
	}
	ck_assert_int_gt(seen[0], 0);
	ck_assert_int_gt(seen[1], 0);
}
END_TEST

START_TEST(store_mem_failed_put_cannot_be_committed)
{
	struct place place;
	struct store_txn *txn;
	uint64_t digest;

	place_init(&place);
	commit_one(&place, "k", "v");
	digest = store_mem_digest(place.disk);
	txn = begin(&place);
	put(txn, "a", "1");
	store_mem_fail_operation(place.disk, 1, ERR_IO);
	ck_assert_int_eq(
	    store_put(txn, TABLE_A, slice_from_text("b"), slice_from_text("2")),
	    ERR_IO);
	ck_assert_int_eq(store_commit(txn), ERR_IO);
	ck_assert_uint_eq(store_mem_digest(place.disk), digest);
	place_release(&place);
}
END_TEST

START_TEST(store_mem_capacity)
{
	struct place place;
	struct store_txn *txn;

	place_init(&place);
	store_mem_set_capacity(place.disk, 10);
	txn = begin(&place);
	put(txn, "k", "123456789");
	put(txn, "k", "987654321");
	ck_assert_int_eq(
	    store_put(txn, TABLE_B, slice_from_text("x"), slice_of(NULL, 0)),
	    ERR_NO_SPACE);
	store_abort(txn);
	place_release(&place);
}
END_TEST

START_TEST(store_mem_clone_is_independent)
{
	struct place place;
	struct store_mem_disk *clone;

	place_init(&place);
	commit_one(&place, "k", "v");
	clone = store_mem_disk_clone(place.disk);
	ck_assert_uint_eq(
	    store_mem_digest(clone), store_mem_digest(place.disk));
	commit_one(&place, "k", "w");
	ck_assert_uint_ne(
	    store_mem_digest(clone), store_mem_digest(place.disk));
	commit_one(&place, "k", "v");
	ck_assert_uint_eq(
	    store_mem_digest(clone), store_mem_digest(place.disk));
	store_mem_disk_free(clone);
	place_release(&place);
}
END_TEST

START_TEST(store_mem_flip_changes_one_bit)
{
	struct place place;

	place_init(&place);
	commit_one(&place, "k", "a");
	ck_assert(
	    store_mem_flip_bit(place.disk, TABLE_A, slice_from_text("k"), 1));
	ck_assert(
	    !store_mem_flip_bit(place.disk, TABLE_A, slice_from_text("x"), 1));
	ck_assert_int_eq(first_byte(&place, "k"), 'a' ^ 2);
	place_release(&place);
}
END_TEST

START_TEST(store_mem_replaces_and_removes)
{
	struct place place;

	place_init(&place);
	commit_one(&place, "k", "a");
	ck_assert(!store_mem_replace(
	    place.disk, TABLE_A, slice_from_text("x"), slice_from_text("b")));
	ck_assert(store_mem_replace(
	    place.disk, TABLE_A, slice_from_text("k"), slice_from_text("b")));
	ck_assert_int_eq(first_byte(&place, "k"), 'b');
	ck_assert(store_mem_replace(
	    place.disk, TABLE_A, slice_from_text("k"), slice_of(NULL, 0)));
	ck_assert(
	    !store_mem_flip_bit(place.disk, TABLE_A, slice_from_text("k"), 0));
	place_release(&place);
}
END_TEST

START_TEST(store_mem_picks_every_record)
{
	static const char *const keys[] = { "a", "b", "c" };
	struct place place;
	struct buf key = { 0 };
	struct buf value = { 0 };

	place_init(&place);
	ck_assert(!store_mem_pick(place.disk, TABLE_A, 5, &key, &value));
	for (unsigned i = 0; i < ARRAY_COUNT(keys); i++)
		commit_one(&place, keys[i], keys[i]);
	for (unsigned i = 0; i < 2 * ARRAY_COUNT(keys); i++) {
		struct slice wanted =
		    slice_from_text(keys[i % ARRAY_COUNT(keys)]);

		buf_reset(&key);
		buf_reset(&value);
		ck_assert(store_mem_pick(place.disk, TABLE_A, i, &key, &value));
		ck_assert(slice_equal(buf_slice(&key), wanted));
		ck_assert(slice_equal(buf_slice(&value), wanted));
	}
	buf_release(&key);
	buf_release(&value);
	place_release(&place);
}
END_TEST

Suite *
store_mem_suite(void)
{
	Suite *suite = suite_create("store_mem");
	TCase *faults = tcase_create("faults");

	tcase_add_test(faults, store_mem_failed_commit_stops_the_store);
	tcase_add_test(faults, store_mem_failed_commit_is_old_or_new);
	tcase_add_test(faults, store_mem_failed_put_cannot_be_committed);
	tcase_add_test(faults, store_mem_capacity);
	tcase_add_test(faults, store_mem_clone_is_independent);
	tcase_add_test(faults, store_mem_flip_changes_one_bit);
	tcase_add_test(faults, store_mem_replaces_and_removes);
	tcase_add_test(faults, store_mem_picks_every_record);
	suite_add_tcase(suite, faults);
	return suite;
}
