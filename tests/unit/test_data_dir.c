#include "common/err.h"
#include "data_dir.h"
#include "tests/lib/temp_dir.h"
#include "tests/unit/suites.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char *directory;

static void
set_up(void)
{
	directory = temp_dir_make();
}

static void
tear_down(void)
{
	temp_dir_remove(directory);
}

/* A name that ends in '/' is a directory, any other a file. */
static void
make(const char *name)
{
	char *path;
	int fd;

	ck_assert_int_gt(asprintf(&path, "%s/%s", directory, name), 0);
	if (name[strlen(name) - 1] == '/') {
		ck_assert_int_eq(mkdir(path, 0700), 0);
	} else {
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
		ck_assert_int_ge(fd, 0);
		close(fd);
	}
	free(path);
}

static const struct {
	const char *names[4];
	int error;
} rows[] = {
	{ { NULL }, 0 },
	{ { "lost+found/" }, 0 },
	/* Wherever a first start was cut off, it can be started again. */
	{ { "lock" }, 0 },
	{ { "lock", "log/" }, 0 },
	{ { "lock", "log/", "log/data.mdb", "note.txt" }, 0 },
	/* A copy without the lock, or without the log: the node judges it. */
	{ { "log/", "log/data.mdb" }, 0 },
	{ { "data/", "data/data.mdb" }, 0 },
	/* Of a snapshot: without a log nothing says that it counts. */
	{ { "lock", "data.3/", "data.3/data.mdb" }, ERR_CORRUPT },
	{ { "data.12/", "data.12/data.mdb" }, ERR_CORRUPT },
	{ { "lock", "log/", "data.3/", "data.3/data.mdb" }, ERR_CORRUPT },
	{ { "log/", "log/data.mdb", "data.3/", "data.3/data.mdb" }, 0 },
	{ { "lock", "data.3/" }, 0 },
	/* A name that no snapshot gets: a copy that somebody kept. */
	{ { "lock", "data.bak/", "data.bak/data.mdb" }, 0 },
	{ { "lock", "data.03/", "data.03/data.mdb" }, 0 },
	{ { "note.txt" }, ERR_MISMATCH },
	{ { ".hidden" }, ERR_MISMATCH },
	{ { "lost+found/", "note.txt" }, ERR_MISMATCH },
	/* Names are not enough: /var has a log and a lock. */
	{ { "log/", "data/", "lock/" }, ERR_MISMATCH },
	/* The one above the directories of several nodes. */
	{ { "n1/", "n1/lock" }, ERR_MISMATCH },
};

START_TEST(only_an_empty_directory_or_a_nodes_is_taken)
{
	for (size_t i = 0; i < ARRAY_COUNT(rows[_i].names); i++) {
		if (rows[_i].names[i] != NULL)
			make(rows[_i].names[i]);
	}
	ck_assert_int_eq(data_dir_check(directory), rows[_i].error);
}
END_TEST

START_TEST(what_is_no_directory_is_left_to_those_who_open_it)
{
	char *path;

	make("file");
	ck_assert_int_gt(asprintf(&path, "%s/file", directory), 0);
	ck_assert_int_eq(data_dir_check(path), 0);
	free(path);
	ck_assert_int_gt(asprintf(&path, "%s/nothing", directory), 0);
	ck_assert_int_eq(data_dir_check(path), 0);
	free(path);
}
END_TEST

Suite *
data_dir_suite(void)
{
	Suite *suite = suite_create("data_dir");
	TCase *tests = tcase_create("data_dir");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_loop_test(tests, only_an_empty_directory_or_a_nodes_is_taken,
	    0, ARRAY_COUNT(rows));
	tcase_add_test(
	    tests, what_is_no_directory_is_left_to_those_who_open_it);
	suite_add_tcase(suite, tests);
	return suite;
}
