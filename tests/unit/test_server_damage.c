#include "server_damage.h"
#include "store/store_dir.h"
#include "store/store_trash.h"
#include "tests/lib/temp_dir.h"
#include "tests/unit/suites.h"

#include "common/buf.h"
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char *base;
static struct store_trash trash;

static void
set_up(void)
{
	base = temp_dir_make();
}

static void
tear_down(void)
{
	store_trash_release(&trash);
	temp_dir_remove(base);
}

/* The path of a name below the data directory; to be freed. */
static char *
path_of(const char *name)
{
	struct buf path = { 0 };
	size_t size;

	buf_printf(&path, "%s/%s", base, name);
	buf_append(&path, "", 1);
	return (char *)buf_detach(&path, &size);
}

static bool
exists(const char *name)
{
	char *path = path_of(name);
	bool there = access(path, F_OK) == 0;

	free(path);
	return there;
}

static void
make_directory(const char *name)
{
	char *path = path_of(name);

	ck_assert_int_eq(store_dir_create(path), 0);
	free(path);
}

/* With `text` in it. */
static void
make_file(const char *name, const char *text)
{
	char *path = path_of(name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	(void)close(fd);
	free(path);
}

static bool
holds(const char *name, const char *text)
{
	char *path = path_of(name);
	char found[64] = "";
	int fd = open(path, O_RDONLY);
	ssize_t size = -1;

	if (fd >= 0) {
		size = read(fd, found, sizeof(found));
		(void)close(fd);
	}
	free(path);
	return size == (ssize_t)strlen(text) &&
	       memcmp(found, text, strlen(text)) == 0;
}

static void
make_log(const char *text)
{
	make_directory("log");
	make_file("log/data.mdb", text);
	make_file("log/lock.mdb", "");
	make_file("log/journal", text);
}

static void
make_data(const char *directory, const char *text)
{
	struct buf name = { 0 };

	make_directory(directory);
	buf_printf(&name, "%s/data.mdb", directory);
	buf_append(&name, "", 1);
	make_file((const char *)name.data, text);
	buf_release(&name);
}

START_TEST(whole_directory_is_not_damaged)
{
	make_log("a");
	make_data("data", "a");
	ck_assert(!server_damage_pending(base));
	ck_assert(!server_damage_unfinished(base));
	ck_assert_int_eq(server_damage_forget(base, &trash), 0);
	ck_assert(exists("log/data.mdb"));
}
END_TEST

START_TEST(log_and_all_data_are_set_aside)
{
	make_log("a");
	make_data("data", "a");
	make_data("data.7", "b");
	make_file("lock", "");
	ck_assert_int_eq(server_damage_set_aside(base), 0);
	ck_assert(!exists("log"));
	ck_assert(!exists("data"));
	ck_assert(!exists("data.7"));
	ck_assert(exists("lock"));
	ck_assert(holds("damaged/log/data.mdb", "a"));
	ck_assert(holds("damaged/log/journal", "a"));
	ck_assert(holds("damaged/data/data.mdb", "a"));
	ck_assert(holds("damaged/data.7/data.mdb", "b"));
	ck_assert(server_damage_pending(base));
	ck_assert_int_eq(server_damage_forget(base, &trash), 0);
	ck_assert(!exists("damaged"));
	ck_assert(!server_damage_pending(base));
	/* The names are gone; the blocks are given back in steps. */
	ck_assert(!store_trash_is_empty(&trash));
}
END_TEST

/* The directory begun anew is damaged before this node was whole again: what it
 * had in the first place may be nowhere else. */
START_TEST(what_was_set_aside_first_is_kept)
{
	make_log("a");
	make_data("data", "a");
	make_data("data.7", "a");
	ck_assert_int_eq(server_damage_set_aside(base), 0);
	for (int i = 0; i < 2; i++) {
		make_log("b");
		make_data("data", "b");
		make_data("data.8", "b");
		ck_assert(!server_damage_unfinished(base));
		ck_assert_int_eq(server_damage_set_aside(base), 0);
		ck_assert(holds("damaged/log/data.mdb", "a"));
		ck_assert(holds("damaged/log/journal", "a"));
		ck_assert(holds("damaged/data/data.mdb", "a"));
		ck_assert(holds("damaged/data.7/data.mdb", "a"));
		ck_assert(!exists("damaged/data.8"));
		ck_assert(!exists("log"));
		ck_assert(!exists("data"));
		ck_assert(!exists("data.8"));
	}
	/* Whole in between: the next damage is another. */
	ck_assert_int_eq(server_damage_forget(base, &trash), 0);
	make_log("c");
	ck_assert_int_eq(server_damage_set_aside(base), 0);
	ck_assert(holds("damaged/log/data.mdb", "c"));
}
END_TEST

/* Some of the new data is removed, or all of it and the log. */
START_TEST(the_first_is_kept_after_a_crash)
{
	make_log("a");
	make_data("data", "a");
	ck_assert_int_eq(server_damage_set_aside(base), 0);
	make_log("b");
	make_data("data.1", "b");
	ck_assert_int_eq(server_damage_set_aside(base), 0);
	ck_assert(holds("damaged/log/data.mdb", "a"));
	ck_assert(!exists("damaged/data.1"));
	ck_assert(server_damage_unfinished(base));
	ck_assert_int_eq(server_damage_set_aside(base), 0);
	ck_assert(holds("damaged/log/data.mdb", "a"));
	ck_assert(holds("damaged/data/data.mdb", "a"));
}
END_TEST

/* The new log is gone, as if the former one were being set aside still. */
START_TEST(the_first_is_kept_when_the_new_log_is_lost)
{
	make_log("a");
	make_data("data", "a");
	ck_assert_int_eq(server_damage_set_aside(base), 0);
	make_data("data", "b");
	ck_assert(server_damage_unfinished(base));
	ck_assert_int_eq(server_damage_set_aside(base), 0);
	ck_assert(holds("damaged/data/data.mdb", "a"));
	ck_assert(!exists("data"));
}
END_TEST

/* Data whose log was lost is all that there was. */
START_TEST(first_data_is_kept_without_a_log)
{
	make_data("data.2", "a");
	ck_assert_int_eq(server_damage_set_aside(base), 0);
	make_log("b");
	make_data("data", "b");
	ck_assert_int_eq(server_damage_set_aside(base), 0);
	ck_assert(holds("damaged/data.2/data.mdb", "a"));
	ck_assert(!exists("damaged/log"));
	ck_assert(!exists("log"));
}
END_TEST

/* A crash behind each step: the log is gone first, and all of it goes on. */
START_TEST(setting_aside_goes_on_after_a_crash)
{
	make_log("a");
	make_data("data", "a");
	make_directory("damaged");
	ck_assert(!server_damage_unfinished(base));
	ck_assert_int_eq(server_damage_set_aside(base), 0);
	ck_assert(server_damage_unfinished(base));
	/* The log is aside, and some of the data. */
	make_data("data.3", "c");
	ck_assert_int_eq(server_damage_set_aside(base), 0);
	ck_assert(holds("damaged/log/data.mdb", "a"));
	ck_assert(holds("damaged/data/data.mdb", "a"));
	ck_assert(holds("damaged/data.3/data.mdb", "c"));
	/* All is aside, and the new log is only begun. */
	make_directory("log");
	ck_assert(server_damage_unfinished(base));
	ck_assert_int_eq(server_damage_set_aside(base), 0);
	ck_assert(holds("damaged/log/data.mdb", "a"));
	make_file("log/data.mdb", "b");
	ck_assert(!server_damage_unfinished(base));
	ck_assert(server_damage_pending(base));
}
END_TEST

/* A log that was lost is damage as well. */
START_TEST(data_without_its_log_is_set_aside)
{
	make_data("data.2", "a");
	ck_assert_int_eq(server_damage_set_aside(base), 0);
	ck_assert(holds("damaged/data.2/data.mdb", "a"));
	ck_assert(!exists("data.2"));
}
END_TEST

START_TEST(files_of_others_stay)
{
	make_log("a");
	ck_assert_int_eq(server_damage_set_aside(base), 0);
	make_file("damaged/notes", "mine");
	ck_assert_int_eq(server_damage_forget(base, &trash), ERR_EXISTS);
	ck_assert(holds("damaged/notes", "mine"));
	ck_assert(server_damage_pending(base));
}
END_TEST

/* Neither setting aside nor forgetting touches it. */
START_TEST(note_that_it_is_needed_stays)
{
	ck_assert(!server_damage_is_needed(base));
	ck_assert_int_eq(server_damage_note_needed(base, false), 0);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(server_damage_note_needed(base, true), 0);
		ck_assert(server_damage_is_needed(base));
	}
	make_log("a");
	ck_assert_int_eq(server_damage_set_aside(base), 0);
	ck_assert_int_eq(server_damage_forget(base, &trash), 0);
	ck_assert(server_damage_is_needed(base));
	ck_assert_int_eq(server_damage_note_needed(base, false), 0);
	ck_assert(!server_damage_is_needed(base));
}
END_TEST

Suite *
server_damage_suite(void)
{
	Suite *suite = suite_create("server_damage");
	TCase *tcase = tcase_create("aside");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, whole_directory_is_not_damaged);
	tcase_add_test(tcase, log_and_all_data_are_set_aside);
	tcase_add_test(tcase, what_was_set_aside_first_is_kept);
	tcase_add_test(tcase, the_first_is_kept_after_a_crash);
	tcase_add_test(tcase, the_first_is_kept_when_the_new_log_is_lost);
	tcase_add_test(tcase, first_data_is_kept_without_a_log);
	tcase_add_test(tcase, setting_aside_goes_on_after_a_crash);
	tcase_add_test(tcase, data_without_its_log_is_set_aside);
	tcase_add_test(tcase, files_of_others_stay);
	tcase_add_test(tcase, note_that_it_is_needed_stays);
	suite_add_tcase(suite, tcase);
	return suite;
}
