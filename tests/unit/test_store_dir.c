#include "common/buf.h"
#include "store/store_dir.h"
#include "store/store_trash.h"
#include "tests/lib/temp_dir.h"
#include "tests/unit/suites.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char *parent;
static char *path;

static char *
join(const char *directory, const char *name)
{
	struct buf joined = { 0 };
	size_t size;

	buf_printf(&joined, "%s/%s", directory, name);
	buf_append(&joined, "", 1);
	return (char *)buf_detach(&joined, &size);
}

static void
set_up(void)
{
	parent = temp_dir_make();
	path = join(parent, "n1");
}

static void
tear_down(void)
{
	free(path);
	temp_dir_remove(parent);
}

static unsigned
mode_of(const char *name)
{
	struct stat info;

	ck_assert_int_eq(stat(name, &info), 0);
	return info.st_mode & 07777;
}

START_TEST(store_dir_is_created_for_its_owner_alone)
{
	struct store_dir *dir = NULL;
	char *lock = join(path, "lock");

	umask(0);
	ck_assert_int_eq(store_dir_open(path, &dir), 0);
	ck_assert_uint_eq(mode_of(path), 0700);
	ck_assert_uint_eq(mode_of(lock), 0600);
	store_dir_close(dir);
	free(lock);
}
END_TEST

START_TEST(store_dir_second_holder_is_refused)
{
	struct store_dir *first = NULL;
	struct store_dir *second = NULL;

	ck_assert_int_eq(store_dir_open(path, &first), 0);
	ck_assert_int_eq(store_dir_open(path, &second), ERR_LOCKED);
	ck_assert_ptr_null(second);
	store_dir_close(first);
	ck_assert_int_eq(store_dir_open(path, &second), 0);
	store_dir_close(second);
}
END_TEST

/* Holds the directory until it is killed. */
static pid_t
hold_in_child(int *ret_fd)
{
	int fds[2];
	pid_t child;

	ck_assert_int_eq(pipe(fds), 0);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		struct store_dir *dir = NULL;
		uint8_t code = store_dir_open(path, &dir) == 0 ? 0 : 1;

		if (write(fds[1], &code, 1) == 1)
			for (;;)
				pause();
		_exit(1);
	}
	(void)close(fds[1]);
	*ret_fd = fds[0];
	return child;
}

START_TEST(store_dir_lock_ends_with_its_process)
{
	struct store_dir *dir = NULL;
	uint8_t code = 1;
	int fd;
	pid_t child = hold_in_child(&fd);

	ck_assert_int_eq(read(fd, &code, 1), 1);
	ck_assert_uint_eq(code, 0);
	ck_assert_int_eq(store_dir_open(path, &dir), ERR_LOCKED);
	ck_assert_int_eq(kill(child, SIGKILL), 0);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	ck_assert_int_eq(store_dir_open(path, &dir), 0);
	store_dir_close(dir);
	(void)close(fd);
}
END_TEST

START_TEST(store_dir_without_parent)
{
	struct store_dir *dir = NULL;
	char *deeper = join(path, "deeper");

	ck_assert_int_eq(store_dir_open(deeper, &dir), ERR_NOT_FOUND);
	ck_assert_int_ne(access(path, F_OK), 0);
	free(deeper);
}
END_TEST

START_TEST(store_dir_that_is_a_file)
{
	struct store_dir *dir = NULL;
	int fd = open(path, O_CREAT | O_WRONLY, 0600);

	ck_assert_int_ge(fd, 0);
	(void)close(fd);
	ck_assert_int_eq(store_dir_open(path, &dir), ERR_INVALID);
}
END_TEST

/* Scenario D14: each way in which the files can go from under a node. */
START_TEST(D14_store_dir_is_gone_when_removed_or_replaced)
{
	struct store_dir *dir = NULL;
	char *lock = join(path, "lock");
	char *aside = join(parent, "aside");

	ck_assert_int_eq(store_dir_open(path, &dir), 0);
	ck_assert(!store_dir_is_gone(dir));
	ck_assert_int_eq(rename(path, aside), 0);
	ck_assert(store_dir_is_gone(dir));
	ck_assert_int_eq(mkdir(path, 0700), 0);
	ck_assert(store_dir_is_gone(dir));
	ck_assert_int_eq(rmdir(path), 0);
	ck_assert_int_eq(rename(aside, path), 0);
	ck_assert(!store_dir_is_gone(dir));
	/* All that is in it, but not itself. */
	ck_assert_int_eq(unlink(lock), 0);
	ck_assert(store_dir_is_gone(dir));
	ck_assert_int_eq(rmdir(path), 0);
	ck_assert(store_dir_is_gone(dir));
	store_dir_close(dir);
	free(aside);
	free(lock);
}
END_TEST

START_TEST(store_dir_knows_free_space)
{
	struct store_dir *dir = NULL;
	uint64_t bytes = 0;

	ck_assert_int_eq(store_dir_open(path, &dir), 0);
	ck_assert_int_eq(store_dir_free_bytes(dir, &bytes), 0);
	ck_assert_uint_gt(bytes, 0);
	store_dir_close(dir);
}
END_TEST

/* ---- Generations ---- */

static void
make_file(const char *directory, const char *name)
{
	char *file = join(directory, name);
	int fd = open(file, O_CREAT | O_WRONLY, 0600);

	ck_assert_int_ge(fd, 0);
	(void)close(fd);
	free(file);
}

START_TEST(store_dir_remove_takes_a_store_alone)
{
	ck_assert_int_eq(store_dir_remove(path), 0);
	ck_assert_int_eq(store_dir_create(path), 0);
	make_file(path, "data.mdb");
	make_file(path, "data.mdb.new");
	make_file(path, "lock.mdb");
	ck_assert_int_eq(store_dir_remove(path), 0);
	ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

/* What a crash in the middle of a removal leaves. */
START_TEST(store_dir_remove_goes_on_after_a_crash)
{
	ck_assert_int_eq(store_dir_create(path), 0);
	make_file(path, "lock.mdb");
	ck_assert_int_eq(store_dir_remove(path), 0);
	ck_assert_int_eq(store_dir_create(path), 0);
	ck_assert_int_eq(store_dir_remove(path), 0);
	ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

START_TEST(store_dir_remove_leaves_what_is_not_its_own)
{
	char *data = join(path, "data.mdb");

	ck_assert_int_eq(store_dir_create(path), 0);
	make_file(path, "data.mdb");
	make_file(path, "notes");
	ck_assert_int_eq(store_dir_remove(path), ERR_EXISTS);
	ck_assert_int_eq(access(data, F_OK), 0);
	free(data);
}
END_TEST

static off_t
size_of(int fd)
{
	struct stat info;

	ck_assert_int_eq(fstat(fd, &info), 0);
	return info.st_size;
}

/* The name is gone at once, the file shrinks from step to step. */
START_TEST(store_dir_remove_gives_blocks_back_in_steps)
{
	const off_t size = 2 * STORE_TRASH_STEP_BYTES + 1000;
	struct store_trash trash = { .count = 0 };
	char *name;
	int fd;

	ck_assert_int_eq(store_dir_create(path), 0);
	make_file(path, "data.mdb");
	name = join(path, "data.mdb");
	fd = open(name, O_RDWR);
	ck_assert_int_eq(ftruncate(fd, size), 0);
	ck_assert(store_trash_is_empty(&trash));
	ck_assert_int_eq(store_dir_remove_into(path, &trash), 0);
	ck_assert_int_ne(access(path, F_OK), 0);
	ck_assert_int_eq(size_of(fd), size);
	for (off_t left = size; left > STORE_TRASH_STEP_BYTES;) {
		ck_assert(!store_trash_is_empty(&trash));
		store_trash_step(&trash);
		left -= STORE_TRASH_STEP_BYTES;
		ck_assert_int_eq(size_of(fd), left);
	}
	ck_assert(!store_trash_is_empty(&trash));
	store_trash_step(&trash);
	ck_assert(store_trash_is_empty(&trash));
	store_trash_step(&trash);
	store_trash_release(&trash);
	(void)close(fd);
	free(name);
}
END_TEST

START_TEST(store_dir_remove_follows_no_link)
{
	char *link = join(parent, "link");

	ck_assert_int_eq(store_dir_create(path), 0);
	make_file(path, "data.mdb");
	ck_assert_int_eq(symlink(path, link), 0);
	ck_assert_int_eq(store_dir_remove(link), ERR_INVALID);
	make_file(parent, "file");
	free(link);
	link = join(parent, "file");
	ck_assert_int_eq(store_dir_remove(link), ERR_INVALID);
	ck_assert_int_eq(access(path, F_OK), 0);
	free(link);
}
END_TEST

START_TEST(store_dir_finds_generations_by_their_exact_names)
{
	static const char *const others[] = { "data.", "data.0", "data.01",
		"data.x", "data.1x", "data1", "dat", "data.-1",
		"data.18446744073709551616" };
	uint64_t found = 77;
	struct buf name = { 0 };

	for (size_t i = 0; i < ARRAY_COUNT(others); i++) {
		char *other = join(parent, others[i]);

		ck_assert_int_eq(mkdir(other, 0700), 0);
		free(other);
	}
	make_file(parent, "data.4");
	ck_assert_int_eq(
	    store_dir_find_next(parent, "data", 0, &found), ERR_NOT_FOUND);
	store_dir_append_path(&name, parent, "data", 5);
	buf_append(&name, "", 1);
	ck_assert_int_eq(mkdir((const char *)name.data, 0700), 0);
	ck_assert_int_eq(
	    store_dir_find_next(parent, "data", 6, &found), ERR_NOT_FOUND);
	ck_assert_int_eq(store_dir_find_next(parent, "data", 5, &found), 0);
	ck_assert_uint_eq(found, 5);
	found = 77;
	ck_assert_int_eq(store_dir_find_next(parent, "data", 0, &found), 0);
	ck_assert_uint_eq(found, 5);
	buf_reset(&name);
	store_dir_append_path(&name, parent, "data", 0);
	buf_append(&name, "", 1);
	ck_assert_int_eq(mkdir((const char *)name.data, 0700), 0);
	ck_assert_int_eq(store_dir_find_next(parent, "data", 0, &found), 0);
	ck_assert_uint_eq(found, 0);
	buf_release(&name);
}
END_TEST

Suite *
store_dir_suite(void)
{
	Suite *suite = suite_create("store_dir");
	TCase *core = tcase_create("core");

	tcase_add_checked_fixture(core, set_up, tear_down);
	tcase_add_test(core, store_dir_is_created_for_its_owner_alone);
	tcase_add_test(core, store_dir_second_holder_is_refused);
	tcase_add_test(core, store_dir_lock_ends_with_its_process);
	tcase_add_test(core, store_dir_without_parent);
	tcase_add_test(core, store_dir_that_is_a_file);
	tcase_add_test(core, D14_store_dir_is_gone_when_removed_or_replaced);
	tcase_add_test(core, store_dir_knows_free_space);
	tcase_add_test(core, store_dir_remove_takes_a_store_alone);
	tcase_add_test(core, store_dir_remove_goes_on_after_a_crash);
	tcase_add_test(core, store_dir_remove_leaves_what_is_not_its_own);
	tcase_add_test(core, store_dir_remove_gives_blocks_back_in_steps);
	tcase_add_test(core, store_dir_remove_follows_no_link);
	tcase_add_test(core, store_dir_finds_generations_by_their_exact_names);
	suite_add_tcase(suite, core);
	return suite;
}
