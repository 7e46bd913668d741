/*
 * What is the journal's alone: crashes, settling, errors. The common rules are
 * in test_store.c, damage in test_store_journal_damage.c.
 */

#include "common/macros.h"
#include "common/rng.h"
#include "tests/lib/store_mem.h"
#include "tests/lib/temp_dir.h"
#include "tests/unit/journal_site.h"
#include "tests/unit/suites.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define SECTOR 512u

static struct journal_site site;

static void
set_up(void)
{
	journal_site_init(&site, JOURNAL_CAPACITY);
}

static void
set_up_small(void)
{
	journal_site_init(&site, 4 * JOURNAL_UNIT);
}

static void
tear_down(void)
{
	journal_site_release(&site);
}

/* ---- Crashes ---- */

START_TEST(journal_replays_every_commit)
{
	static const size_t sizes[] = { 0, 1, 100, JOURNAL_UNIT,
		3 * JOURNAL_UNIT };

	ck_assert_uint_eq(journal_site_number_after_crash(&site), 0);
	for (uint64_t i = 1; i <= 3 * ARRAY_COUNT(sizes); i++) {
		journal_site_commit(&site, i, sizes[i % ARRAY_COUNT(sizes)]);
		ck_assert_uint_eq(journal_read_number(site.live), i);
		ck_assert_uint_eq(journal_site_number_after_crash(&site), i);
	}
}
END_TEST

START_TEST(journal_commit_leaves_inner_store_alone)
{
	struct journal_image before = journal_image_take(&site);
	struct journal_image after;

	for (uint64_t i = 1; i <= 10; i++)
		journal_site_commit(&site, i, 100);
	after = journal_image_take(&site);
	ck_assert(slice_equal(buf_slice(&before.data), buf_slice(&after.data)));
	journal_image_release(&before);
	journal_image_release(&after);
}
END_TEST

START_TEST(journal_empty_commit_writes_nothing)
{
	struct journal_image before;
	struct journal_image after;

	journal_site_commit(&site, 1, 100);
	before = journal_image_take(&site);
	ck_assert_int_eq(store_commit(journal_begin_txn(site.live, true)), 0);
	after = journal_image_take(&site);
	ck_assert(
	    slice_equal(buf_slice(&before.journal), buf_slice(&after.journal)));
	journal_image_release(&before);
	journal_image_release(&after);
}
END_TEST

/* A commit of three units behind others, before and after. */
static void
take_last_commit(
    struct journal_image *ret_before, struct journal_image *ret_after)
{
	for (uint64_t i = 1; i <= 3; i++)
		journal_site_commit(&site, i, 100);
	*ret_before = journal_image_take(&site);
	journal_site_commit(&site, 4, 2 * JOURNAL_UNIT + 100);
	*ret_after = journal_image_take(&site);
}

#define LAST_OFFSET (4u * JOURNAL_UNIT)
#define LAST_SIZE   (3u * JOURNAL_UNIT)

START_TEST(journal_torn_prefix_is_no_commit)
{
	struct journal_image before;
	struct journal_image after;

	take_last_commit(&before, &after);
	for (size_t size = 0; size <= LAST_SIZE; size += SECTOR) {
		struct buf torn = { 0 };
		uint64_t number;

		buf_append_slice(&torn, buf_slice(&before.journal));
		memcpy(torn.data + LAST_OFFSET,
		    after.journal.data + LAST_OFFSET, size);
		number = journal_site_recover(
		    &site, buf_slice(&before.data), buf_slice(&torn));
		/* The last sectors have zeros, as the file had before. */
		if (size <= 2 * JOURNAL_UNIT)
			ck_assert_uint_eq(number, 3);
		if (size == LAST_SIZE)
			ck_assert_uint_eq(number, 4);
		ck_assert(number == 3 || number == 4);
		buf_release(&torn);
	}
	journal_image_release(&before);
	journal_image_release(&after);
}
END_TEST

START_TEST(journal_torn_sectors_are_no_commit)
{
	struct journal_image before;
	struct journal_image after;
	struct rng rng;

	rng_init(&rng, 1);
	take_last_commit(&before, &after);
	for (int round = 0; round < 60; round++) {
		struct buf torn = { 0 };
		uint64_t number;

		buf_append_slice(&torn, buf_slice(&before.journal));
		for (size_t at = LAST_OFFSET; at < LAST_OFFSET + LAST_SIZE;
		     at += SECTOR)
			if (rng_below(&rng, 4) != 0)
				memcpy(torn.data + at, after.journal.data + at,
				    SECTOR);
		number = journal_site_recover(
		    &site, buf_slice(&before.data), buf_slice(&torn));
		ck_assert_msg(number == 3 || number == 4, "round %d: %lu (%s)",
		    round, (unsigned long)number, site.why);
		buf_release(&torn);
	}
	journal_image_release(&before);
	journal_image_release(&after);
}
END_TEST

START_TEST(journal_starts_anew_behind_a_torn_block)
{
	struct journal_image before;
	struct journal_image after;

	take_last_commit(&before, &after);
	store_close(site.live);
	memset(after.journal.data + LAST_OFFSET + JOURNAL_UNIT, 0, SECTOR);
	/* It was not flushed, and so not sealed. */
	memset(after.journal.data + LAST_OFFSET + LAST_SIZE, 0, JOURNAL_UNIT);
	journal_file_write(site.path, "data.mdb", buf_slice(&after.data));
	journal_file_write(site.path, "journal", buf_slice(&after.journal));
	journal_site_open(&site, JOURNAL_CAPACITY);
	ck_assert_uint_eq(journal_read_number(site.live), 3);
	for (uint64_t i = 4; i <= 7; i++) {
		journal_site_commit(&site, i, 100);
		ck_assert_uint_eq(journal_site_number_after_crash(&site), i);
	}
	journal_image_release(&before);
	journal_image_release(&after);
}
END_TEST

/* Turns over at every third commit of a unit. */
START_TEST(journal_crash_around_the_inner_commit)
{
	struct journal_image before;

	for (uint64_t i = 1; i <= 10; i++) {
		before = journal_image_take(&site);
		journal_site_commit(&site, i, 100);
		ck_assert_uint_eq(journal_image_recover(&site, &before), i - 1);
		ck_assert_uint_eq(journal_site_number_after_crash(&site), i);
		journal_image_release(&before);
	}
}
END_TEST

START_TEST(journal_larger_commit_goes_to_inner_store)
{
	struct journal_image before;
	struct journal_image after;

	journal_site_commit(&site, 1, 100);
	before = journal_image_take(&site);
	journal_site_commit(&site, 2, 1u << 20);
	after = journal_image_take(&site);
	ck_assert(
	    slice_equal(buf_slice(&before.journal), buf_slice(&after.journal)));
	ck_assert_uint_eq(journal_image_recover(&site, &before), 1);
	ck_assert_uint_eq(journal_image_recover(&site, &after), 2);
	journal_site_commit(&site, 3, 100);
	ck_assert_uint_eq(journal_site_number_after_crash(&site), 3);
	journal_image_release(&before);
	journal_image_release(&after);
}
END_TEST

/* The inner commit fails, and has happened or not, as the seed says. */
START_TEST(journal_inner_commit_fails)
{
	unsigned seen = 0;

	for (uint64_t seed = 1; seed <= 16; seed++) {
		struct store_mem_disk *disk =
		    store_mem_disk_new(JOURNAL_TABLES_COUNT);
		char *directory = temp_dir_make();
		struct store *store = NULL;
		uint64_t number;

		ck_assert_int_eq(
		    journal_site_open_around(&site, directory, 4 * JOURNAL_UNIT,
			store_mem_open(disk), &store),
		    0);
		store_mem_seed(disk, seed);
		ck_assert_int_eq(journal_commit_number(store, 1, 100), 0);
		ck_assert_int_eq(journal_commit_number(store, 2, 100), 0);
		store_mem_fail_commit(disk, 1, ERR_IO);
		ck_assert_int_eq(journal_commit_number(store, 3, 100), ERR_IO);
		ck_assert_int_eq(
		    journal_commit_number(store, 3, 100), ERR_STOPPED);
		store_close(store);
		ck_assert_int_eq(
		    journal_site_open_around(&site, directory, 4 * JOURNAL_UNIT,
			store_mem_open(disk), &store),
		    0);
		number = journal_read_number(store);
		ck_assert(number == 2 || number == 3);
		seen |= 1u << number;
		store_close(store);
		store_mem_disk_free(disk);
		temp_dir_remove(directory);
	}
	ck_assert_uint_eq(seen, 1u << 2 | 1u << 3);
}
END_TEST

START_TEST(journal_random_commits_and_crashes)
{
	uint64_t seed = (uint64_t)_i + 1;
	struct rng rng;

	rng_init(&rng, seed);
	for (uint64_t i = 1; i <= 150; i++) {
		uint64_t what = rng_below(&rng, 20);

		journal_site_commit(
		    &site, i, (size_t)rng_below(&rng, 2 * JOURNAL_UNIT));
		if (what == 0)
			ck_assert_int_eq(store_settle(site.live), 0);
		if (what == 1)
			journal_site_crash(&site, JOURNAL_CAPACITY);
		if (what == 2) {
			store_close(site.live);
			journal_site_open(&site, JOURNAL_CAPACITY);
		}
		ck_assert_msg(journal_read_number(site.live) == i,
		    "seed %lu, commit %lu", (unsigned long)seed,
		    (unsigned long)i);
	}
}
END_TEST

/* ---- Settling ---- */

START_TEST(journal_settles_on_demand)
{
	ck_assert(store_is_settled(site.live));
	journal_site_commit(&site, 1, 100);
	ck_assert(!store_is_settled(site.live));
	ck_assert_int_eq(store_settle(site.live), 0);
	ck_assert(store_is_settled(site.live));
	ck_assert_uint_eq(journal_read_number(site.live), 1);
	ck_assert_uint_eq(journal_site_number_after_crash(&site), 1);
	journal_site_commit(&site, 2, 100);
	ck_assert_uint_eq(journal_site_number_after_crash(&site), 2);
}
END_TEST

START_TEST(journal_settled_writes_nothing)
{
	struct journal_image before;
	struct journal_image after;

	journal_site_commit(&site, 1, 100);
	ck_assert_int_eq(store_settle(site.live), 0);
	before = journal_image_take(&site);
	ck_assert_int_eq(store_settle(site.live), 0);
	after = journal_image_take(&site);
	ck_assert(slice_equal(buf_slice(&before.data), buf_slice(&after.data)));
	journal_image_release(&before);
	journal_image_release(&after);
}
END_TEST

START_TEST(journal_last_commit_matters_until_settled)
{
	struct journal_image image;

	journal_site_commit(&site, 1, 100);
	journal_site_commit(&site, 2, 100);
	image = journal_image_take(&site);
	image.journal.data[2 * JOURNAL_UNIT + JOURNAL_HEADER_SIZE + 10] ^= 1;
	ck_assert_uint_eq(
	    journal_image_recover(&site, &image), JOURNAL_REFUSED);
	journal_image_release(&image);
	ck_assert_int_eq(store_settle(site.live), 0);
	image = journal_image_take(&site);
	image.journal.data[2 * JOURNAL_UNIT + JOURNAL_HEADER_SIZE + 10] ^= 1;
	ck_assert_uint_eq(journal_image_recover(&site, &image), 2);
	journal_image_release(&image);
}
END_TEST

/* ---- Errors, aborts, views ---- */

/* Puts another file under the journal's descriptor. */
static void
replace_file(const char *by)
{
	int by_fd = open(by, O_RDWR);
	DIR *fds = opendir("/proc/self/fd");
	const struct dirent *entry;
	unsigned count = 0;

	ck_assert_int_ge(by_fd, 0);
	while ((entry = readdir(fds)) != NULL) {
		char target[512];
		ssize_t size = readlinkat(
		    dirfd(fds), entry->d_name, target, sizeof(target) - 1);

		if (size < 0)
			continue;
		target[size] = '\0';
		if (strncmp(target, site.path, strlen(site.path)) != 0 ||
		    strcmp(target + strlen(site.path), "/journal") != 0)
			continue;
		ck_assert_int_ge(
		    dup2(by_fd, (int)strtol(entry->d_name, NULL, 10)), 0);
		count++;
	}
	(void)closedir(fds);
	(void)close(by_fd);
	ck_assert_uint_eq(count, 1);
}

static void
expect_stopped_at(uint64_t number)
{
	struct store_txn *txn;

	ck_assert_int_eq(store_begin(site.live, true, &txn), ERR_STOPPED);
	ck_assert_int_eq(store_begin(site.live, false, &txn), ERR_STOPPED);
	ck_assert_int_eq(store_settle(site.live), ERR_STOPPED);
	store_close(site.live);
	journal_site_open(&site, JOURNAL_CAPACITY);
	ck_assert_uint_eq(journal_read_number(site.live), number);
}

START_TEST(journal_failed_write_stops_it)
{
	journal_site_commit(&site, 1, 100);
	replace_file("/dev/full");
	ck_assert_int_eq(
	    journal_commit_number(site.live, 2, 100), ERR_NO_SPACE);
	expect_stopped_at(1);
}
END_TEST

/* A write to /dev/null succeeds, a sync does not. */
START_TEST(journal_failed_sync_stops_it)
{
	journal_site_commit(&site, 1, 100);
	replace_file("/dev/null");
	ck_assert_int_eq(journal_commit_number(site.live, 2, 100), ERR_IO);
	expect_stopped_at(1);
}
END_TEST

START_TEST(journal_failed_change_stops_it)
{
	struct store_mem_disk *disk = store_mem_disk_new(JOURNAL_TABLES_COUNT);
	char *directory = temp_dir_make();
	struct store *store = NULL;
	struct store_txn *txn;

	ck_assert_int_eq(journal_site_open_around(&site, directory,
			     JOURNAL_CAPACITY, store_mem_open(disk), &store),
	    0);
	ck_assert_int_eq(journal_commit_number(store, 1, 100), 0);
	store_mem_fail_operation(disk, 1, ERR_NO_SPACE);
	ck_assert_int_eq(journal_commit_number(store, 2, 100), ERR_NO_SPACE);
	ck_assert_int_eq(store_begin(store, true, &txn), ERR_STOPPED);
	store_close(store);
	ck_assert_int_eq(journal_site_open_around(&site, directory,
			     JOURNAL_CAPACITY, store_mem_open(disk), &store),
	    0);
	ck_assert_uint_eq(journal_read_number(store), 1);
	store_close(store);
	store_mem_disk_free(disk);
	temp_dir_remove(directory);
}
END_TEST

START_TEST(journal_abort_without_changes_is_free)
{
	struct store_txn *txn;

	journal_site_commit(&site, 1, 100);
	txn = journal_begin_txn(site.live, true);
	ck_assert_int_eq(
	    store_delete(txn, JOURNAL_TABLE_A, slice_from_text("none")),
	    ERR_NOT_FOUND);
	store_abort(txn);
	journal_site_commit(&site, 2, 100);
	ck_assert_uint_eq(journal_site_number_after_crash(&site), 2);
}
END_TEST

START_TEST(journal_abort_with_changes_stops_it)
{
	struct store_txn *txn;

	journal_site_commit(&site, 1, 100);
	txn = journal_begin_txn(site.live, true);
	ck_assert_int_eq(
	    store_delete(txn, JOURNAL_TABLE_A, slice_from_text("number")), 0);
	store_abort(txn);
	expect_stopped_at(1);
}
END_TEST

START_TEST(journal_abort_of_a_large_change_stops_it)
{
	struct store_txn *txn;

	journal_site_commit(&site, 1, 100);
	txn = journal_begin_txn(site.live, true);
	ck_assert_int_eq(
	    journal_change_entries(txn, 2, 2 * JOURNAL_CAPACITY), 0);
	store_abort(txn);
	expect_stopped_at(1);
}
END_TEST

START_TEST(journal_views_see_the_open_transaction)
{
	struct store_txn *writer = journal_begin_txn(site.live, true);
	struct store_txn *view = journal_begin_txn(site.live, false);
	struct slice key = slice_from_text("k");
	struct slice found;

	ck_assert_int_eq(store_put(writer, JOURNAL_TABLE_A, key, key), 0);
	ck_assert_int_eq(store_get(view, JOURNAL_TABLE_A, key, &found), 0);
	ck_assert(slice_equal(found, key));
	store_abort(view);
	ck_assert_int_eq(store_commit(writer), 0);
}
END_TEST

START_TEST(journal_counts_in_the_stat)
{
	struct store_stat before;
	struct store_stat after;

	store_get_stat(site.live, &before);
	ck_assert_uint_ge(before.file_bytes, JOURNAL_CAPACITY);
	journal_site_commit(&site, 1, 100);
	store_get_stat(site.live, &after);
	ck_assert_uint_eq(after.used_bytes, before.used_bytes + JOURNAL_UNIT);
	ck_assert_uint_eq(after.file_bytes, before.file_bytes);
}
END_TEST

static void
add_crashes(Suite *suite)
{
	TCase *crashes = tcase_create("crashes");
	TCase *small = tcase_create("turning over");

	tcase_add_checked_fixture(crashes, set_up, tear_down);
	tcase_add_checked_fixture(small, set_up_small, tear_down);
	tcase_add_test(crashes, journal_replays_every_commit);
	tcase_add_test(crashes, journal_commit_leaves_inner_store_alone);
	tcase_add_test(crashes, journal_empty_commit_writes_nothing);
	tcase_add_test(crashes, journal_torn_prefix_is_no_commit);
	tcase_add_test(crashes, journal_torn_sectors_are_no_commit);
	tcase_add_test(crashes, journal_starts_anew_behind_a_torn_block);
	tcase_add_test(crashes, journal_larger_commit_goes_to_inner_store);
	tcase_add_test(crashes, journal_inner_commit_fails);
	tcase_add_loop_test(crashes, journal_random_commits_and_crashes, 0, 3);
	tcase_add_test(crashes, journal_settles_on_demand);
	tcase_add_test(crashes, journal_settled_writes_nothing);
	tcase_add_test(crashes, journal_last_commit_matters_until_settled);
	tcase_add_test(small, journal_crash_around_the_inner_commit);
	suite_add_tcase(suite, crashes);
	suite_add_tcase(suite, small);
}

Suite *
store_journal_suite(void)
{
	Suite *suite = suite_create("store_journal");
	TCase *errors = tcase_create("errors");

	add_crashes(suite);
	tcase_add_checked_fixture(errors, set_up, tear_down);
	tcase_add_test(errors, journal_failed_write_stops_it);
	tcase_add_test(errors, journal_failed_sync_stops_it);
	tcase_add_test(errors, journal_failed_change_stops_it);
	tcase_add_test(errors, journal_abort_without_changes_is_free);
	tcase_add_test(errors, journal_abort_with_changes_stops_it);
	tcase_add_test(errors, journal_abort_of_a_large_change_stops_it);
	tcase_add_test(errors, journal_views_see_the_open_transaction);
	tcase_add_test(errors, journal_counts_in_the_stat);
	suite_add_tcase(suite, errors);
	return suite;
}
