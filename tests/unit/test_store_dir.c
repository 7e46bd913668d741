#include "common/buf.h"
#include "store/store_dir.h"
#include "tests/lib/temp_dir.h"
#include "tests/unit/suites.h"
#include <fcntl.h>
#include <signal.h>
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
	tcase_add_test(core, store_dir_knows_free_space);
	suite_add_tcase(suite, core);
	return suite;
}
