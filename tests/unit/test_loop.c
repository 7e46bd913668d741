#include "common/clock.h"
#include "net/loop.h"
#include "tests/lib/temp_dir.h"
#include "tests/unit/suites.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

struct watcher {
	struct loop *loop;
	struct loop_io *io;
	int fds[2]; /* the first is watched */
	unsigned ready;
	unsigned calls;
	uint64_t now_us;
	bool frees;
};

static void
on_ready(void *context, unsigned ready)
{
	struct watcher *watcher = context;

	watcher->ready = ready;
	watcher->calls++;
	watcher->now_us = loop_now(watcher->loop);
	if (!watcher->frees)
		return;
	loop_io_free(watcher->io);
	watcher->io = NULL;
}

static void
setup(struct watcher *watcher, unsigned interest)
{
	*watcher = (struct watcher){ .ready = 0 };
	ck_assert_int_eq(loop_new(&watcher->loop), 0);
	ck_assert_int_eq(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, watcher->fds),
	    0);
	watcher->io = loop_watch(
	    watcher->loop, watcher->fds[0], interest, on_ready, watcher);
}

static void
teardown(struct watcher *watcher)
{
	loop_io_free(watcher->io);
	close(watcher->fds[0]);
	close(watcher->fds[1]);
	loop_free(watcher->loop);
}

static void
make_readable(struct watcher *watcher)
{
	ck_assert_int_eq(write(watcher->fds[1], "x", 1), 1);
}

START_TEST(io_is_level_triggered)
{
	struct watcher watcher;

	setup(&watcher, LOOP_READ);
	loop_pass(watcher.loop, 0);
	ck_assert_uint_eq(watcher.calls, 0);
	make_readable(&watcher);
	loop_pass(watcher.loop, 0);
	loop_pass(watcher.loop, 0);
	ck_assert_uint_eq(watcher.calls, 2);
	ck_assert_uint_eq(watcher.ready, LOOP_READ);
	teardown(&watcher);
}
END_TEST

/* Also when it was watched in the other way before. */
START_TEST(io_tells_edges)
{
	struct watcher watcher;

	setup(&watcher, LOOP_READ);
	make_readable(&watcher);
	loop_pass(watcher.loop, 0);
	loop_io_set_interest(watcher.io, LOOP_READ | LOOP_EDGE);
	for (unsigned i = 0; i < 5; i++)
		loop_pass(watcher.loop, 0);
	ck_assert_uint_eq(watcher.calls, 2);
	make_readable(&watcher);
	for (unsigned i = 0; i < 5; i++)
		loop_pass(watcher.loop, 0);
	ck_assert_uint_eq(watcher.calls, 3);
	loop_io_set_interest(watcher.io, LOOP_READ);
	for (unsigned i = 0; i < 5; i++)
		loop_pass(watcher.loop, 0);
	ck_assert_uint_eq(watcher.calls, 8);
	teardown(&watcher);
}
END_TEST

START_TEST(io_interest_changes)
{
	struct watcher watcher;

	setup(&watcher, 0);
	make_readable(&watcher);
	loop_pass(watcher.loop, 0);
	ck_assert_uint_eq(watcher.calls, 0);
	loop_io_set_interest(watcher.io, LOOP_WRITE);
	loop_pass(watcher.loop, 0);
	ck_assert_uint_eq(watcher.ready, LOOP_WRITE);
	loop_io_set_interest(watcher.io, LOOP_READ | LOOP_WRITE);
	loop_pass(watcher.loop, 0);
	ck_assert_uint_eq(watcher.ready, LOOP_READ | LOOP_WRITE);
	loop_io_set_interest(watcher.io, 0);
	loop_pass(watcher.loop, 0);
	ck_assert_uint_eq(watcher.calls, 2);
	teardown(&watcher);
}
END_TEST

START_TEST(io_freed_in_its_callback)
{
	struct watcher watcher;

	setup(&watcher, LOOP_READ);
	watcher.frees = true;
	make_readable(&watcher);
	loop_pass(watcher.loop, 0);
	loop_pass(watcher.loop, 0);
	ck_assert_uint_eq(watcher.calls, 1);
	teardown(&watcher);
}
END_TEST

/* The change list must not confuse an fd with the one that had its number. */
START_TEST(io_of_a_reused_fd)
{
	struct watcher watcher;
	int old;

	setup(&watcher, LOOP_READ);
	loop_pass(watcher.loop, 0);
	old = watcher.fds[0];
	loop_io_free(watcher.io);
	close(watcher.fds[0]);
	close(watcher.fds[1]);
	ck_assert_int_eq(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, watcher.fds),
	    0);
	ck_assert_int_eq(watcher.fds[0], old);
	watcher.io = loop_watch(
	    watcher.loop, watcher.fds[0], LOOP_READ, on_ready, &watcher);
	make_readable(&watcher);
	loop_pass(watcher.loop, 0);
	ck_assert_uint_eq(watcher.calls, 1);
	teardown(&watcher);
}
END_TEST

START_TEST(pass_ends_at_the_deadline)
{
	struct watcher watcher;
	uint64_t deadline_us;

	setup(&watcher, LOOP_READ);
	deadline_us = clock_monotonic_us() + 20000;
	/* A timer of the kernel may end a little early; nobody waits less. */
	while (loop_now(watcher.loop) < deadline_us)
		loop_pass(watcher.loop, deadline_us);
	ck_assert_uint_eq(watcher.calls, 0);
	teardown(&watcher);
}
END_TEST

START_TEST(pass_waits_for_an_event_without_deadline)
{
	struct watcher watcher;

	setup(&watcher, LOOP_READ);
	loop_pass(watcher.loop, clock_monotonic_us() + 1000);
	make_readable(&watcher);
	loop_pass(watcher.loop, UINT64_MAX);
	ck_assert_uint_eq(watcher.calls, 1);
	teardown(&watcher);
}
END_TEST

START_TEST(time_is_read_when_the_wait_ends)
{
	struct watcher watcher;
	uint64_t before_us;

	setup(&watcher, LOOP_READ);
	make_readable(&watcher);
	before_us = clock_monotonic_us();
	loop_pass(watcher.loop, UINT64_MAX);
	ck_assert_uint_ge(watcher.now_us, before_us);
	ck_assert_uint_ge(loop_now(watcher.loop), watcher.now_us);
	ck_assert_uint_ge(
	    loop_update_now(watcher.loop), loop_now(watcher.loop));
	teardown(&watcher);
}
END_TEST

START_TEST(time_goes_on_by_limited_steps_if_asked_to)
{
	struct loop *loop;
	uint64_t began_us;
	uint64_t now_us;

	ck_assert_int_eq(loop_new(&loop), 0);
	loop_limit_step(loop, 1000);
	began_us = loop_update_now(loop);
	while (clock_monotonic_us() < began_us + 20000)
		continue;
	/* The pass waits for 1 ms of the loop's time, as it is due in 2. */
	now_us = loop_update_now(loop);
	ck_assert_uint_eq(now_us, began_us + 1000);
	loop_pass(loop, began_us + 2000);
	ck_assert_uint_gt(loop_now(loop), now_us);
	ck_assert_uint_le(loop_now(loop), now_us + 1000);
	loop_free(loop);
}
END_TEST

static void
on_signal(void *context, int signal_number)
{
	int *seen = context;

	*seen = signal_number;
}

START_TEST(signal_runs_in_the_loop)
{
	struct loop *loop;
	int seen = 0;

	ck_assert_int_eq(loop_new(&loop), 0);
	ck_assert_int_eq(loop_on_signal(loop, SIGUSR1, on_signal, &seen), 0);
	raise(SIGUSR1);
	ck_assert_int_eq(seen, 0);
	loop_pass(loop, clock_monotonic_us() + 5000000);
	ck_assert_int_eq(seen, SIGUSR1);
	loop_free(loop);
}
END_TEST

/* A daemon that has stopped for want of space says so, whatever comes then. */
START_TEST(signal_behind_the_loop_ends_nothing)
{
	struct loop *loop;
	int seen = 0;

	ck_assert_int_eq(loop_new(&loop), 0);
	ck_assert_int_eq(loop_on_signal(loop, SIGUSR1, on_signal, &seen), 0);
	loop_free(loop);
	raise(SIGUSR1);
	ck_assert_int_eq(seen, 0);
	/* As in a daemon that opens all again. */
	ck_assert_int_eq(loop_new(&loop), 0);
	ck_assert_int_eq(loop_on_signal(loop, SIGUSR1, on_signal, &seen), 0);
	loop_pass(loop, clock_monotonic_us() + 5000000);
	ck_assert_int_eq(seen, SIGUSR1);
	loop_free(loop);
}
END_TEST

static bool
is_read_end(int fd)
{
	struct stat status;

	return fstat(fd, &status) == 0 && S_ISFIFO(status.st_mode) &&
	       (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY;
}

/* The end that libevent reads: the first pipe behind those that there were. */
static int
find_signal_pipe(int first)
{
	for (int fd = first; fd < first + 16; fd++) {
		if (is_read_end(fd))
			return fd;
	}
	return -1;
}

/* libevent ends the process, which shall not happen without a word. */
START_TEST(signal_that_cannot_be_read_is_fatal)
{
	struct loop *loop;
	int first = open("/", O_RDONLY | O_DIRECTORY);
	int seen = 0;
	int fd;

	ck_assert_int_ge(first, 0);
	ck_assert_int_eq(loop_new(&loop), 0);
	ck_assert_int_eq(loop_on_signal(loop, SIGUSR1, on_signal, &seen), 0);
	fd = find_signal_pipe(first + 1);
	ck_assert_int_ge(fd, 0);
	loop_pass(loop, 0); /* now the kernel watches it */
	/* What is watched stays open; the number is a directory's, EISDIR. */
	ck_assert_int_ge(dup(fd), 0);
	ck_assert_int_eq(dup2(first, fd), fd);
	raise(SIGUSR1);
	loop_pass(loop, clock_monotonic_us() + 5000000);
}
END_TEST

/* As it does any fd when it has no memory: whoever waits for it would wait for
 * ever. */
START_TEST(io_that_the_kernel_refuses_is_fatal)
{
	char *path = temp_dir_make();
	int fd = open(path, O_RDONLY | O_DIRECTORY);
	struct loop *loop;

	ck_assert_int_ge(fd, 0);
	temp_dir_remove(path);
	ck_assert_int_eq(loop_new(&loop), 0);
	(void)loop_watch(loop, fd, LOOP_READ, on_ready, NULL);
	loop_pass(loop, 0);
}
END_TEST

Suite *
loop_suite(void)
{
	Suite *suite = suite_create("loop");
	TCase *tests = tcase_create("loop");

	tcase_add_test(tests, io_is_level_triggered);
	tcase_add_test(tests, io_tells_edges);
	tcase_add_test(tests, io_interest_changes);
	tcase_add_test(tests, io_freed_in_its_callback);
	tcase_add_test(tests, io_of_a_reused_fd);
	tcase_add_test(tests, pass_ends_at_the_deadline);
	tcase_add_test(tests, pass_waits_for_an_event_without_deadline);
	tcase_add_test(tests, time_is_read_when_the_wait_ends);
	tcase_add_test(tests, time_goes_on_by_limited_steps_if_asked_to);
	tcase_add_test(tests, signal_runs_in_the_loop);
	tcase_add_test(tests, signal_behind_the_loop_ends_nothing);
	tcase_add_exit_test(tests, signal_that_cannot_be_read_is_fatal, 70);
	tcase_add_exit_test(tests, io_that_the_kernel_refuses_is_fatal, 70);
	suite_add_tcase(suite, tests);
	return suite;
}
