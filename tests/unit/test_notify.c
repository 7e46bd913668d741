#include "notify.h"
#include "tests/unit/suites.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A listener as systemd has one, by an abstract name of its own. */
static int listener;
static struct notify notify;

static void
set_up(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	socklen_t size = sizeof(address);
	char name[16] = "@";

	listener = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	/* Bound to a family alone, the kernel picks five digits. */
	ck_assert_int_eq(
	    bind(listener, (struct sockaddr *)&address, sizeof(sa_family_t)),
	    0);
	ck_assert_int_eq(
	    getsockname(listener, (struct sockaddr *)&address, &size), 0);
	(void)memcpy(name + 1, address.sun_path + 1, 5);
	(void)setenv("NOTIFY_SOCKET", name, 1);
	(void)unsetenv("WATCHDOG_USEC");
	(void)unsetenv("WATCHDOG_PID");
}

static void
tear_down(void)
{
	(void)close(listener);
}

static void
expect_datagram(const char *expected)
{
	char got[1024] = "";

	ck_assert_int_ge(recv(listener, got, sizeof(got) - 1, MSG_DONTWAIT), 0);
	ck_assert_str_eq(got, expected);
}

START_TEST(states_arrive_one_a_datagram)
{
	notify_init(&notify);
	notify_status(&notify, "follower of %s, term %d", "n1", 7);
	notify_ready(&notify);
	notify_watchdog(&notify);
	notify_stopping(&notify);
	expect_datagram("STATUS=follower of n1, term 7");
	expect_datagram("READY=1");
	expect_datagram("WATCHDOG=1");
	expect_datagram("STOPPING=1");
}
END_TEST

START_TEST(path_socket_is_reached)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int other = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path),
	    "/tmp/luminous-notify-%d", (int)getpid());
	ck_assert_int_eq(
	    bind(other, (struct sockaddr *)&address, sizeof(address)), 0);
	(void)setenv("NOTIFY_SOCKET", address.sun_path, 1);
	notify_init(&notify);
	notify_ready(&notify);
	(void)unlink(address.sun_path);
	(void)dup2(other, listener);
	(void)close(other);
	expect_datagram("READY=1");
}
END_TEST

START_TEST(nobody_listens)
{
	(void)unsetenv("NOTIFY_SOCKET");
	(void)setenv("WATCHDOG_USEC", "1000000", 1);
	notify_init(&notify);
	notify_ready(&notify);
	ck_assert_uint_eq(notify.address_size, 0);
	ck_assert_uint_eq(notify.watchdog_interval_us, 0);
}
END_TEST

/* Not reached, but neither a crash nor a wait. */
START_TEST(listener_is_gone)
{
	notify_init(&notify);
	(void)close(listener);
	notify_ready(&notify);
	ck_assert_uint_ne(notify.address_size, 0);
}
END_TEST

START_TEST(socket_that_is_no_address)
{
	static const char *const names[] = { "", "@", "/", "relative" };
	char long_name[200];

	memset(long_name, 'x', sizeof(long_name) - 1);
	long_name[0] = '/';
	long_name[sizeof(long_name) - 1] = '\0';
	(void)setenv("NOTIFY_SOCKET", _i < 4 ? names[_i] : long_name, 1);
	notify_init(&notify);
	ck_assert_uint_eq(notify.address_size, 0);
}
END_TEST

START_TEST(long_status_is_cut)
{
	char text[2000];
	char got[2000];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	notify_init(&notify);
	notify_status(&notify, "%s", text);
	ck_assert_int_eq(recv(listener, got, sizeof(got), MSG_DONTWAIT), 511);
	ck_assert_mem_eq(got, "STATUS=xxx", 10);
}
END_TEST

START_TEST(watchdog_wants_half_its_time)
{
	char pid[24];

	(void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
	(void)setenv("WATCHDOG_USEC", "60000000", 1);
	notify_init(&notify);
	ck_assert_uint_eq(notify.watchdog_interval_us, 30000000);
	(void)setenv("WATCHDOG_PID", pid, 1);
	notify_init(&notify);
	ck_assert_uint_eq(notify.watchdog_interval_us, 30000000);
}
END_TEST

START_TEST(watchdog_of_another_process)
{
	(void)setenv("WATCHDOG_USEC", "60000000", 1);
	(void)setenv("WATCHDOG_PID", "1", 1);
	notify_init(&notify);
	ck_assert_uint_eq(notify.watchdog_interval_us, 0);
}
END_TEST

START_TEST(watchdog_that_is_no_number)
{
	(void)setenv("WATCHDOG_USEC", "60s", 1);
	notify_init(&notify);
	ck_assert_uint_eq(notify.watchdog_interval_us, 0);
}
END_TEST

Suite *
notify_suite(void)
{
	Suite *suite = suite_create("notify");
	TCase *tcase = tcase_create("notify");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, states_arrive_one_a_datagram);
	tcase_add_test(tcase, path_socket_is_reached);
	tcase_add_test(tcase, nobody_listens);
	tcase_add_test(tcase, listener_is_gone);
	tcase_add_loop_test(tcase, socket_that_is_no_address, 0, 5);
	tcase_add_test(tcase, long_status_is_cut);
	tcase_add_test(tcase, watchdog_wants_half_its_time);
	tcase_add_test(tcase, watchdog_of_another_process);
	tcase_add_test(tcase, watchdog_that_is_no_number);
	suite_add_tcase(suite, tcase);
	return suite;
}
