/* Answers in parts: who goes in the middle, who is ended, and what holds for
 * those that are quiet. */

#include "net/http_parse.h"
#include "net/http_server_impl.h"
#include "tests/unit/http_site.h"
#include "tests/unit/suites.h"
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define KIBIBYTE 1024
#define MEBIBYTE (1024 * 1024)
#define DAY_US   (UINT64_C(86400) * 1000000)

/* A stream of which nothing is unsent. */
static struct http_request *
begin(struct http_site *site)
{
	struct http_request *request =
	    http_site_begin_stream(site, &probe_params, GET("/s"));

	http_site_hear(site, "\r\n\r\n");
	probe_settle(&site->probe);
	return request;
}

static struct http_request *
begin_1_0(struct http_site *site)
{
	struct http_request *request = http_site_begin_stream(
	    site, &probe_params, "GET /s HTTP/1.0\r\n\r\n");

	http_site_hear(site, "\r\n\r\n");
	return request;
}

/* The end is noticed while nothing is sent. */
START_TEST(closed_while_quiet)
{
	struct http_site site;

	(void)begin(&site);
	ck_assert_uint_eq(http_server_deadline(site.probe.server), UINT64_MAX);
	http_site_leave(&site);
	probe_check_events(&site.probe, "abandoned /s\n");
	ck_assert_uint_eq(http_server_connections(site.probe.server), 0);
	http_site_end(&site);
}
END_TEST

static void
reset_on_close(int fd)
{
	struct linger linger = { .l_onoff = 1, .l_linger = 0 };

	ck_assert_int_eq(
	    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
}

START_TEST(reset_while_quiet)
{
	struct http_site site;

	(void)begin(&site);
	reset_on_close(site.fd);
	http_site_leave(&site);
	probe_check_events(&site.probe, "abandoned /s\n");
	http_site_end(&site);
}
END_TEST

/* With bytes of another request behind, that is never read. */
START_TEST(closed_with_more_sent)
{
	struct http_site site;

	(void)begin(&site);
	http_site_say(&site, _i == 0 ? GET("/2") : "GET /par");
	probe_settle(&site.probe);
	http_site_leave(&site);
	probe_check_events(&site.probe, "abandoned /s\n");
	http_site_end(&site);
}
END_TEST

START_TEST(closed_while_behind)
{
	struct http_site site;
	struct http_request *request = begin(&site);

	probe_get_behind(&site.probe, request, MEBIBYTE);
	http_site_leave(&site);
	probe_check_events(&site.probe, "abandoned /s\n");
	http_site_end(&site);
}
END_TEST

/* No byte can be put between those of HTTP/1.0: the next part tells. */
START_TEST(closed_with_http_1_0)
{
	struct http_site site;
	struct http_request *request = begin_1_0(&site);

	http_site_leave(&site);
	probe_check_events(&site.probe, "");
	(void)probe_give(request, "hello");
	probe_settle(&site.probe);
	probe_check_events(&site.probe, "abandoned /s\n");
	http_site_end(&site);
}
END_TEST

/* It may take an answer that is long under way (RFC 9112, section 9.6). */
START_TEST(half_closed_gets_all)
{
	struct http_site site;
	struct http_request *request = begin(&site);
	struct http_chunked chunked = { 0 };
	struct buf decoded = { 0 };
	struct slice rest;

	buf_reset(&site.received);
	(void)probe_give(request, "first ");
	probe_settle(&site.probe);
	shutdown(site.fd, SHUT_WR);
	for (unsigned i = 0; i < 100; i++)
		probe_turn(&site.probe);
	ck_assert_uint_eq(http_server_deadline(site.probe.server), UINT64_MAX);
	(void)probe_give(request, "second");
	probe_settle(&site.probe);
	if (_i == 0)
		(void)probe_give(request, " third");
	probe_finish(&site.probe, request);
	http_site_hear_end(&site);
	rest = buf_slice(&site.received);
	while (rest.size > 0) {
		struct slice data;
		const char *detail;

		ck_assert_int_eq(
		    http_chunked_decode(&chunked, &rest, &data, &detail), 0);
		buf_append_slice(&decoded, data);
	}
	ck_assert_int_eq(chunked.state, HTTP_CHUNKED_DONE);
	ck_assert(slice_equal(buf_slice(&decoded),
	    slice_from_text(_i == 0 ? "first second third" : "first second")));
	ck_assert_uint_eq(site.probe.abandoned, 0);
	buf_release(&decoded);
	http_site_end(&site);
}
END_TEST

/* The same when its end was there before the answer. */
START_TEST(half_closed_before_the_stream)
{
	struct http_site site;
	struct http_request *request;

	http_site_begin(&site);
	site.probe.hold = true;
	http_site_say(&site, GET("/s"));
	shutdown(site.fd, SHUT_WR);
	probe_settle(&site.probe);
	request = probe_stream(&site.probe, 0);
	(void)probe_give(request, "hello");
	http_site_hear(&site, "hello\r\n");
	probe_finish(&site.probe, request);
	http_site_hear_end(&site);
	ck_assert_uint_eq(probe_count(&site.received, "\r\n0\r\n\r\n"), 1);
	http_site_end(&site);
}
END_TEST

/* And one that closes both halves before is found by the head. */
START_TEST(closed_before_the_stream)
{
	struct http_site site;

	http_site_begin(&site);
	site.probe.hold = true;
	http_site_say(&site, GET("/s"));
	probe_settle(&site.probe);
	http_site_leave(&site);
	buf_reset(&site.probe.events);
	(void)probe_stream(&site.probe, 0);
	probe_settle(&site.probe);
	probe_check_events(&site.probe, "abandoned /s\n");
	http_site_end(&site);
}
END_TEST

/* One that closes its other half later says nothing, but answers the next part
 * with a reset: no part after it is needed. */
START_TEST(closed_after_half)
{
	struct http_site site;
	struct http_request *request = begin(&site);

	shutdown(site.fd, SHUT_WR);
	probe_settle(&site.probe);
	ck_assert(probe_receive(site.fd, &site.received));
	http_site_leave(&site);
	probe_check_events(&site.probe, "");
	(void)probe_give(request, "hello");
	probe_settle(&site.probe);
	probe_check_events(&site.probe, "abandoned /s\n");
	http_site_end(&site);
}
END_TEST

START_TEST(abandoned_by_the_end_of_the_server)
{
	struct http_site site;

	(void)begin(&site);
	http_server_free(site.probe.server);
	site.probe.server = NULL;
	probe_check_events(&site.probe, "abandoned /s\n");
	http_site_stop(&site);
}
END_TEST

/* A client whose host has vanished answers nothing, and TCP asks it. */
START_TEST(vanished_is_asked_for)
{
	struct http_site site;
	struct http_request *request = begin(&site);
	int on = 0;
	int idle_s = 0;
	socklen_t size = sizeof(int);

	ck_assert_int_eq(getsockopt(request->connection->fd, SOL_SOCKET,
			     SO_KEEPALIVE, &on, &size),
	    0);
	ck_assert_int_ne(on, 0);
	ck_assert_int_eq(getsockopt(request->connection->fd, IPPROTO_TCP,
			     TCP_KEEPIDLE, &idle_s, &size),
	    0);
	ck_assert_int_le(idle_s, 60);
	probe_finish(&site.probe, request);
	http_site_end(&site);
}
END_TEST

/* No time ends what is quiet, and the parts go on. */
START_TEST(quiet_for_a_day)
{
	struct http_site site;
	struct http_request *request = begin(&site);

	probe_expire(&site.probe, loop_now(site.probe.loop) + DAY_US);
	probe_settle(&site.probe);
	ck_assert_uint_eq(http_server_connections(site.probe.server), 1);
	(void)probe_give(request, "hello");
	probe_finish(&site.probe, request);
	http_site_hear(&site, "hello\r\n0\r\n\r\n");
	/* Then it is idle as any other. */
	ck_assert_uint_le(http_server_deadline(site.probe.server),
	    loop_now(site.probe.loop) + probe_params.idle_timeout_us);
	http_site_end(&site);
}
END_TEST

START_TEST(write_timeout_without_progress)
{
	struct http_site site;
	struct http_request *request = begin(&site);
	uint64_t deadline_us;

	probe_get_behind(&site.probe, request, MEBIBYTE);
	deadline_us = http_server_deadline(site.probe.server);
	ck_assert_uint_le(deadline_us,
	    loop_now(site.probe.loop) + probe_params.write_timeout_us);
	/* More to send is no progress. */
	(void)probe_give(request, "hello");
	probe_settle(&site.probe);
	ck_assert_uint_eq(http_server_deadline(site.probe.server), deadline_us);
	probe_expire(&site.probe, deadline_us - 1);
	probe_check_events(&site.probe, "");
	probe_expire(&site.probe, deadline_us);
	probe_check_events(&site.probe, "abandoned /s\n");
	http_site_end(&site);
}
END_TEST

/* Who takes a little now and then is waited for, also behind the end. */
START_TEST(write_timeout_from_progress_on)
{
	struct http_site site;
	struct http_request *request = begin(&site);
	uint64_t first_us;
	uint64_t unsent;
	uint8_t some[4 * KIBIBYTE];
	size_t taken;

	probe_get_behind(&site.probe, request, 8 * MEBIBYTE);
	if (_i == 1)
		probe_finish(&site.probe, request);
	for (unsigned i = 0; i < 3; i++) {
		first_us = http_server_deadline(site.probe.server);
		probe_await_time(&site.probe,
		    first_us - probe_params.write_timeout_us + 1000);
		unsent = site.probe.server->output_bytes;
		taken = 0;
		while (site.probe.server->output_bytes == unsent) {
			ssize_t size = recv(site.fd, some, sizeof(some), 0);

			ck_assert_int_gt(size, 0);
			taken += (size_t)size;
			probe_settle(&site.probe);
		}
		/* The kernel's buffer would take more before it told. */
		ck_assert_uint_le(taken, 512 * KIBIBYTE);
		ck_assert_uint_ge(
		    http_server_deadline(site.probe.server), first_us + 1000);
	}
	http_site_stop(&site);
}
END_TEST

static int
kernel_unsent(int fd)
{
	int size = 0;

	ck_assert_int_eq(ioctl(fd, SIOCOUTQ, &size), 0);
	return size;
}

/* And who takes so little that the kernel does not ask for more yet. */
START_TEST(write_timeout_sees_a_little)
{
	struct http_site site;
	struct http_request *request = begin(&site);
	int fd = request->connection->fd;
	int before;
	uint8_t some[4 * KIBIBYTE];

	probe_get_behind(&site.probe, request, 8 * MEBIBYTE);
	before = kernel_unsent(fd);
	while (kernel_unsent(fd) == before)
		ck_assert_int_gt(recv(site.fd, some, sizeof(some), 0), 0);
	probe_expire(&site.probe, http_server_deadline(site.probe.server));
	probe_check_events(&site.probe, "");
	ck_assert_uint_eq(http_server_connections(site.probe.server), 1);
	ck_assert_uint_gt(
	    http_server_deadline(site.probe.server), loop_now(site.probe.loop));
	probe_expire(&site.probe, http_server_deadline(site.probe.server));
	probe_check_events(&site.probe, "abandoned /s\n");
	http_site_end(&site);
}
END_TEST

/* Of an ordinary answer behind it the time is absolute, as ever. */
START_TEST(write_timeout_behind_a_stream)
{
	struct http_site site;
	struct http_request *request = begin(&site);
	uint64_t deadline_us;
	uint64_t unsent;

	probe_finish(&site.probe, request);
	http_site_hear(&site, "\r\n0\r\n\r\n");
	site.probe.answer_size = 32 * MEBIBYTE;
	site.probe.hold = false;
	http_site_say(&site, GET("/2"));
	probe_settle(&site.probe);
	deadline_us = http_server_deadline(site.probe.server);
	unsent = site.probe.server->output_bytes;
	while (site.probe.server->output_bytes == unsent) {
		uint8_t some[64 * KIBIBYTE];

		ck_assert_int_gt(recv(site.fd, some, sizeof(some), 0), 0);
		probe_turn(&site.probe);
	}
	ck_assert_uint_eq(http_server_deadline(site.probe.server), deadline_us);
	http_site_end(&site);
}
END_TEST

START_TEST(cut_shows)
{
	struct http_site site;
	struct http_request *request = begin(&site);

	(void)probe_give(request, "hello");
	http_site_hear(&site, "hello\r\n");
	probe_cut(&site.probe, request);
	http_site_hear_end(&site);
	ck_assert_uint_eq(probe_count(&site.received, "0\r\n\r\n"), 0);
	ck_assert_uint_eq(site.probe.abandoned, 0);
	http_site_end(&site);
}
END_TEST

/* The end of the connection would be a good one. */
START_TEST(cut_shows_with_http_1_0)
{
	struct http_site site;
	struct http_request *request = begin_1_0(&site);
	uint8_t byte;

	(void)probe_give(request, "hello");
	http_site_hear(&site, "hello");
	probe_cut(&site.probe, request);
	probe_settle(&site.probe);
	ck_assert_int_eq(recv(site.fd, &byte, 1, 0), -1);
	ck_assert_int_eq(errno, ECONNRESET);
	http_site_end(&site);
}
END_TEST

/* Its owner ends it; until then the drain waits. */
START_TEST(drain_waits_for_streams)
{
	static const char *const texts[] = { GET("/s"),
		"GET /s HTTP/1.0\r\n\r\n", "HEAD /s HTTP/1.1\r\n" HOST "\r\n" };
	struct http_site site;
	struct http_request *request =
	    http_site_begin_stream(&site, &probe_params, texts[_i]);

	probe_settle(&site.probe);
	http_server_drain(site.probe.server);
	probe_settle(&site.probe);
	ck_assert_uint_eq(http_server_connections(site.probe.server), 1);
	(void)probe_give(request, "hello");
	probe_settle(&site.probe);
	ck_assert_uint_eq(http_server_connections(site.probe.server), 1);
	probe_finish(&site.probe, request);
	http_site_hear_end(&site);
	ck_assert_uint_eq(probe_count(&site.received, "hello"), _i < 2);
	ck_assert_uint_eq(http_server_connections(site.probe.server), 0);
	ck_assert_uint_eq(site.probe.abandoned, 0);
	http_site_end(&site);
}
END_TEST

Suite *
http_server_stream_close_suite(void)
{
	Suite *suite = suite_create("http_server_stream_close");
	TCase *tests = tcase_create("http_server_stream_close");

	tcase_add_test(tests, closed_while_quiet);
	tcase_add_test(tests, reset_while_quiet);
	tcase_add_loop_test(tests, closed_with_more_sent, 0, 2);
	tcase_add_test(tests, closed_while_behind);
	tcase_add_test(tests, closed_with_http_1_0);
	tcase_add_loop_test(tests, half_closed_gets_all, 0, 2);
	tcase_add_test(tests, half_closed_before_the_stream);
	tcase_add_test(tests, closed_before_the_stream);
	tcase_add_test(tests, closed_after_half);
	tcase_add_test(tests, abandoned_by_the_end_of_the_server);
	tcase_add_test(tests, vanished_is_asked_for);
	tcase_add_test(tests, quiet_for_a_day);
	tcase_add_test(tests, write_timeout_without_progress);
	tcase_add_loop_test(tests, write_timeout_from_progress_on, 0, 2);
	tcase_add_test(tests, write_timeout_sees_a_little);
	tcase_add_test(tests, write_timeout_behind_a_stream);
	tcase_add_test(tests, cut_shows);
	tcase_add_test(tests, cut_shows_with_http_1_0);
	tcase_add_loop_test(tests, drain_waits_for_streams, 0, 3);
	suite_add_tcase(suite, tests);
	return suite;
}
