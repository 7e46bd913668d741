#include "net/http_server_impl.h"
#include "tests/unit/http_site.h"
#include "tests/unit/suites.h"
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

START_TEST(limit_target)
{
	struct http_site site;

	http_site_begin(&site);
	probe_send_filled(&site.probe, site.fd, "GET /", 9000);
	http_site_check_last_answer(&site, 414);
	probe_check_events(
	    &site.probe, "refused 414 8192 http.max-target-bytes\n");
	http_site_end(&site);
}
END_TEST

START_TEST(limit_head)
{
	struct http_site site;

	http_site_begin(&site);
	probe_send_filled(
	    &site.probe, site.fd, "GET / HTTP/1.1\r\n" HOST "X: ", 17000);
	http_site_check_last_answer(&site, 431);
	probe_check_events(
	    &site.probe, "refused 431 16384 http.max-head-bytes\n");
	http_site_end(&site);
}
END_TEST

START_TEST(limit_fields)
{
	struct http_site site;

	http_site_begin(&site);
	http_site_say(&site, "GET / HTTP/1.1\r\n" HOST);
	for (unsigned i = 0; i < HTTP_HEADERS_MAX; i++)
		http_site_say(&site, "X: a\r\n");
	http_site_say(&site, "\r\n");
	http_site_check_last_answer(&site, 431);
	probe_check_events(&site.probe, "refused 431 64\n");
	http_site_end(&site);
}
END_TEST

/* The client hears 413 and not "100 Continue", and keeps its body. */
START_TEST(limit_body_by_length)
{
	struct http_site site;

	http_site_begin(&site);
	http_site_say(&site,
	    "PUT /k HTTP/1.1\r\n" HOST
	    "Expect: 100-continue\r\nContent-Length: 1048577\r\n\r\n");
	http_site_check_last_answer(&site, 413);
	probe_check_events(&site.probe, "refused 413 1048576\n");
	http_site_end(&site);
}
END_TEST

START_TEST(limit_body_in_chunks)
{
	struct http_site site;

	http_site_begin(&site);
	http_site_say(&site, CHUNKED);
	probe_send_filled(&site.probe, site.fd, "100000\r\n", 1048576);
	probe_settle(&site.probe);
	probe_check_events(&site.probe, "");
	http_site_say(&site, "\r\n1\r\na");
	http_site_check_last_answer(&site, 413);
	probe_check_events(&site.probe, "refused 413 1048576\n");
	http_site_end(&site);
}
END_TEST

/*
 * The client goes on sending what nobody wants. Without a lingering close the
 * reset for its bytes would overtake the answer.
 */
START_TEST(refused_answer_survives_the_rest_of_the_body)
{
	struct http_site site;

	http_site_begin(&site);
	probe_send_filled(&site.probe, site.fd,
	    "PUT /k HTTP/1.1\r\n" HOST "Content-Length: 3000000\r\n\r\n",
	    3000000);
	probe_settle(&site.probe);
	ck_assert_int_eq(shutdown(site.fd, SHUT_WR), 0);
	probe_await_connections(&site.probe, 0);
	http_site_check_last_answer(&site, 413);
	http_site_end(&site);
}
END_TEST

#define MEBIBYTE (1024 * 1024)

/* The limit on unsent bytes is 24 MiB; a client does not take 16 of them. */
static int
start_stuck(struct probe *probe, bool protecting)
{
	struct http_server_params params = probe_params;
	int fd;

	params.output_bytes_max = 24 * MEBIBYTE;
	probe_start(probe, &params);
	probe->answer_size = 16 * MEBIBYTE;
	probe->protecting = protecting;
	fd = probe_connect(probe);
	probe_send_text(probe, fd, GET("/stuck"));
	probe_settle(probe);
	probe->protecting = false;
	return fd;
}

/* Turns until a client has received so many bytes. */
static void
receive_at_least(struct probe *probe, int fd, struct buf *received, size_t size)
{
	while (received->size < size) {
		ck_assert(probe_receive(fd, received));
		probe_turn(probe);
	}
}

/* While an answer is stuck no further request is read: nothing piles up. */
START_TEST(blocked_connection_reads_no_requests)
{
	struct http_site site;

	http_site_begin(&site);
	site.probe.answer_size = 16 * MEBIBYTE;
	http_site_say(&site, GET("/1") GET("/2"));
	probe_settle(&site.probe);
	ck_assert_uint_eq(site.probe.requests, 1);
	site.probe.answer_size = 0;
	http_site_hear(&site, "\r\n\r\n/2");
	ck_assert_uint_gt(site.received.size, 16 * MEBIBYTE);
	http_site_end(&site);
}
END_TEST

/* It does not count as unsent either. */
START_TEST(what_was_sent_takes_no_memory)
{
	struct http_server_params params = probe_params;
	const struct http_connection *connection;
	const struct list *stuck;
	struct buf received = { 0 };
	struct probe probe;
	int fd;

	params.output_bytes_max = 64 * MEBIBYTE;
	probe_start(&probe, &params);
	probe.answer_size = 48 * MEBIBYTE;
	fd = probe_connect(&probe);
	probe_send_text(&probe, fd, GET("/stuck"));
	probe_settle(&probe);
	receive_at_least(&probe, fd, &received, 28 * MEBIBYTE);
	probe_settle(&probe);
	stuck = &probe.server->phases[HTTP_PHASE_WRITE];
	ck_assert(!list_empty(stuck));
	connection =
	    CONTAINER_OF(stuck->next, struct http_connection, phase_link);
	ck_assert_uint_le(
	    connection->output.size, 2 * (size_t)connection->unsent + 1);
	ck_assert_uint_lt(connection->output.capacity, 48 * MEBIBYTE);
	receive_at_least(&probe, fd, &received, probe.answer_size);
	close(fd);
	buf_release(&received);
	probe_stop(&probe);
}
END_TEST

/* L5: over the limit on unsent bytes it is the slow one that is cut. */
START_TEST(limit_output_cuts_the_slowest)
{
	struct probe probe;
	struct buf received = { 0 };
	int slow;
	int quick;

	slow = start_stuck(&probe, false);
	ck_assert_uint_eq(http_server_connections(probe.server), 1);
	probe.answer_size = 12 * MEBIBYTE;
	quick = probe_connect(&probe);
	probe_send_text(&probe, quick, GET("/quick"));
	probe_settle(&probe);
	ck_assert_uint_eq(http_server_connections(probe.server), 1);
	receive_at_least(&probe, quick, &received, probe.answer_size);
	close(slow);
	close(quick);
	buf_release(&received);
	probe_stop(&probe);
}
END_TEST

/* But not for one that has more than the slow one. */
START_TEST(limit_output_cuts_the_larger)
{
	struct probe probe;
	struct buf received = { 0 };
	int slow;
	int large;

	slow = start_stuck(&probe, false);
	probe.answer_size = 20 * MEBIBYTE;
	large = probe_connect(&probe);
	probe_send_text(&probe, large, GET("/large"));
	probe_await_end(&probe, large, &received);
	ck_assert_uint_eq(received.size, 0);
	ck_assert_uint_eq(http_server_connections(probe.server), 1);
	receive_at_least(&probe, slow, &received, 16 * MEBIBYTE);
	close(slow);
	buf_release(&received);
	probe_stop(&probe);
}
END_TEST

START_TEST(limit_output_spares_peers)
{
	struct probe probe;
	struct buf received = { 0 };
	int peer;
	int client;

	peer = start_stuck(&probe, true);
	client = probe_connect(&probe);
	probe_send_text(&probe, client, GET("/client"));
	probe_await_end(&probe, client, &received);
	ck_assert_uint_eq(received.size, 0);
	receive_at_least(&probe, peer, &received, 16 * MEBIBYTE);
	close(peer);
	buf_release(&received);
	probe_stop(&probe);
}
END_TEST

/* One answer alone may not be over it either. */
START_TEST(limit_output_of_one)
{
	struct http_server_params params = probe_params;
	struct http_site site;

	params.output_bytes_max = 1000;
	http_site_begin_with(&site, &params);
	site.probe.answer_size = 1001;
	http_site_say(&site, GET("/1"));
	http_site_hear_end(&site);
	ck_assert_uint_eq(site.received.size, 0);
	http_site_end(&site);
}
END_TEST

/* What a client sends ahead while it waits is kept within a bound. */
START_TEST(limit_input_while_pending)
{
	struct http_site site;
	uint8_t bytes[65536] = { 'G' };
	uint64_t sent = 0;
	unsigned refusals = 0;

	http_site_begin(&site);
	site.probe.hold = true;
	http_site_say(&site, GET("/1"));
	while (refusals < 20) {
		ssize_t size =
		    send(site.fd, bytes, sizeof(bytes), MSG_NOSIGNAL);

		probe_turn(&site.probe);
		refusals = size < 0 ? refusals + 1 : 0;
		sent += size < 0 ? 0 : (uint64_t)size;
		ck_assert_uint_lt(sent, UINT64_C(256) * 1024 * 1024);
	}
	ck_assert_int_eq(errno, EAGAIN);
	http_site_stop(&site);
}
END_TEST

Suite *
http_server_limits_suite(void)
{
	Suite *suite = suite_create("http_server_limits");
	TCase *tests = tcase_create("http_server_limits");

	tcase_add_test(tests, limit_target);
	tcase_add_test(tests, limit_head);
	tcase_add_test(tests, limit_fields);
	tcase_add_test(tests, limit_body_by_length);
	tcase_add_test(tests, limit_body_in_chunks);
	tcase_add_test(tests, refused_answer_survives_the_rest_of_the_body);
	tcase_add_test(tests, blocked_connection_reads_no_requests);
	tcase_add_test(tests, what_was_sent_takes_no_memory);
	tcase_add_test(tests, limit_output_cuts_the_slowest);
	tcase_add_test(tests, limit_output_cuts_the_larger);
	tcase_add_test(tests, limit_output_spares_peers);
	tcase_add_test(tests, limit_output_of_one);
	tcase_add_test(tests, limit_input_while_pending);
	suite_add_tcase(suite, tests);
	return suite;
}
