/*
 * The store over files of which each call fails once: what is on a disk, LMDB
 * and the journal around it, and the directories they are in. An error is said,
 * and the next start finds the last commit, or the one that failed, whole.
 */

#include "common/macros.h"
#include "store/store_dir.h"
#include "store/store_trash.h"
#include "tests/lib/temp_dir.h"
#include "tests/unit/file_faults.h"
#include "tests/unit/journal_site.h"
#include "tests/unit/suites.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
	int error;
	int code;
} errors[] = {
	{ EIO, ERR_IO },
	/* What a full disk does; LMDB calls it so at once. */
	{ FILE_FAULT_SHORT, ERR_NO_SPACE },
	{ ENOSPC, ERR_NO_SPACE },
};

/* ---- Stores ---- */

#define COMMITS  3
#define SMALL    100
#define NOT_FITS (JOURNAL_CAPACITY + 1)

static struct journal_site site;
/* What a crash leaves behind so many commits; and of LMDB alone. */
static struct journal_image crashed[2];

static void
set_up(void)
{
	struct store *inner = NULL;
	char *path = temp_dir_make();

	journal_site_init(&site, JOURNAL_CAPACITY);
	for (uint64_t i = 1; i <= COMMITS; i++)
		journal_site_commit(&site, i, SMALL);
	crashed[1] = journal_image_take(&site);
	ck_assert_int_eq(journal_open_inner(path, 2, &inner), 0);
	for (uint64_t i = 1; i <= COMMITS; i++)
		ck_assert_int_eq(journal_commit_number(inner, i, SMALL), 0);
	store_close(inner);
	journal_file_read(path, "data.mdb", &crashed[0].data);
	temp_dir_remove(path);
}

static void
tear_down(void)
{
	journal_image_release(&crashed[0]);
	journal_image_release(&crashed[1]);
	journal_site_release(&site);
}

static int
open_store(const char *path, bool journal, struct store **ret_store)
{
	struct store *inner = NULL;
	int code = journal_open_inner(
	    path, journal ? JOURNAL_TABLES_COUNT : 2, &inner);

	if (code != 0 || !journal) {
		*ret_store = inner;
		return code;
	}
	return journal_site_open_around(
	    &site, path, JOURNAL_CAPACITY, inner, ret_store);
}

struct deed {
	const char *name;
	/* The files are there, and the store is open, before. */
	bool exists;
	bool open;
	int (*run)(struct store *store);
	bool commits; /* one more */
};

static int
commit_small(struct store *store)
{
	return journal_commit_number(store, COMMITS + 1, SMALL);
}

static int
commit_large(struct store *store)
{
	return journal_commit_number(store, COMMITS + 1, NOT_FITS);
}

static int
commit_and_settle(struct store *store)
{
	int code = commit_small(store);

	return code == 0 ? store_settle(store) : code;
}

static const struct deed deeds[] = {
	{ "make", false, false, NULL, false },
	{ "open", true, false, NULL, false },
	{ "commit", true, true, commit_small, true },
	{ "large commit", true, true, commit_large, true },
	{ "settle", true, true, commit_and_settle, true },
};

/* After an error the store takes nothing more. */
static void
expect_broken(const struct deed *deed, struct store *store)
{
	struct store_txn *txn;

	if (deed->commits)
		ck_assert_int_eq(store_begin(store, true, &txn), ERR_STOPPED);
}

static void
expect_number(
    const struct deed *deed, const char *path, bool journal, bool done)
{
	uint64_t before = deed->exists ? COMMITS : 0;
	uint64_t after = before + (deed->commits ? 1 : 0);
	struct store *store = NULL;
	uint64_t number;
	int code = open_store(path, journal, &store);

	ck_assert_msg(code == 0, "%s: %s", deed->name, err_text(code));
	number = journal_read_number(store);
	if (done)
		ck_assert_uint_eq(number, after);
	else
		ck_assert(number == before || number == after);
	store_close(store);
}

/* With the n-th call failing; false: it needs fewer. */
static bool
fail_deed(const struct deed *deed, bool journal, unsigned n, size_t error)
{
	char *path = temp_dir_make();
	struct store *store = NULL;
	bool fired;
	int code = 0;

	if (deed->exists)
		journal_file_write(
		    path, "data.mdb", buf_slice(&crashed[journal].data));
	if (deed->exists && journal)
		journal_file_write(
		    path, "journal", buf_slice(&crashed[journal].journal));
	if (deed->open)
		ck_assert_int_eq(open_store(path, journal, &store), 0);
	file_faults_arm(n, errors[error].error);
	code =
	    deed->open ? deed->run(store) : open_store(path, journal, &store);
	fired = file_faults_disarm();
	if (!fired)
		ck_assert_int_eq(code, 0);
	if (code != 0) {
		ck_assert_msg(code == errors[error].code || code == ERR_IO,
		    "%s, call %u: %s", deed->name, n, err_text(code));
		if (deed->open)
			expect_broken(deed, store);
		else
			store = NULL;
	}
	store_close(store);
	expect_number(deed, path, journal, code == 0);
	temp_dir_remove(path);
	return fired;
}

START_TEST(store_with_any_call_failing_keeps_its_commits)
{
	const struct deed *deed = &deeds[(size_t)_i / 2];
	bool journal = _i % 2 == 1;

	for (size_t error = 0; error < 2; error++) {
		unsigned n = 1;

		while (fail_deed(deed, journal, n, error))
			n++;
		ck_assert_uint_gt(n, 2);
	}
}
END_TEST

/* ---- Directories ---- */

/* Which of these fails does not say whether the directory is there. */
static int
make_and_hold(const char *path)
{
	struct store_dir *dir = NULL;
	int code = store_dir_open(path, &dir);

	store_dir_close(dir);
	return code;
}

static int
make(const char *path)
{
	return store_dir_create(path);
}

static int
remove_store(const char *path)
{
	return store_dir_remove(path);
}

static int
fill_and_sync(const char *path)
{
	static const char *const files[] = { "data.mdb", "journal" };
	int code = store_dir_create(path);

	for (size_t i = 0; code == 0 && i < ARRAY_COUNT(files); i++)
		journal_file_write(path, files[i], slice_from_text("x"));
	return code == 0 ? store_dir_sync(path) : code;
}

static const struct {
	int (*before)(const char *path);
	int (*run)(const char *path);
	bool stays; /* the directory, when it is done */
	/* It may be done without one of its calls: giving back the blocks. */
	bool forgives;
} calls[] = {
	{ NULL, make, true, false },
	{ make, make, true, false },
	{ NULL, make_and_hold, true, false },
	{ make_and_hold, make_and_hold, true, false },
	{ fill_and_sync, store_dir_sync, true, false },
	{ fill_and_sync, remove_store, false, true },
};

static bool
fail_call(const char *path, int number, unsigned n, size_t error)
{
	struct stat info;
	bool fired;
	int code;

	if (calls[number].before != NULL)
		ck_assert_int_eq(calls[number].before(path), 0);
	file_faults_arm(n, errors[error].error);
	code = calls[number].run(path);
	fired = file_faults_disarm();
	if (code != 0)
		ck_assert(code == errors[error].code || code == ERR_IO);
	else if (fired)
		ck_assert(calls[number].forgives);
	if (code == 0)
		ck_assert_int_eq(stat(path, &info) == 0, calls[number].stays);
	/* Another time it is done, whatever is left of the first. */
	ck_assert(fired || code == 0);
	ck_assert_int_eq(calls[number].run(path), 0);
	ck_assert_int_eq(stat(path, &info) == 0, calls[number].stays);
	return fired;
}

START_TEST(directory_with_any_call_failing_is_done_another_time)
{
	for (size_t error = 0; error < ARRAY_COUNT(errors); error++) {
		bool fired = true;

		for (unsigned n = 1; fired; n++) {
			char *parent = temp_dir_make();
			char path[256];

			snprintf(path, sizeof(path), "%s/n1", parent);
			fired = fail_call(path, _i, n, error);
			ck_assert(fired || n > 2);
			temp_dir_remove(parent);
		}
	}
}
END_TEST

Suite *
store_faults_suite(void)
{
	Suite *suite = suite_create("store_faults");
	TCase *stores = tcase_create("stores");
	TCase *directories = tcase_create("directories");

	tcase_set_timeout(stores, 120);
	tcase_add_checked_fixture(stores, set_up, tear_down);
	tcase_add_loop_test(stores,
	    store_with_any_call_failing_keeps_its_commits, 0,
	    2 * ARRAY_COUNT(deeds));
	suite_add_tcase(suite, stores);
	tcase_add_loop_test(directories,
	    directory_with_any_call_failing_is_done_another_time, 0,
	    ARRAY_COUNT(calls));
	suite_add_tcase(suite, directories);
	return suite;
}
