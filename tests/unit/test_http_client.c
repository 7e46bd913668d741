#include "common/clock.h"
#include "net/http_client_impl.h"
#include "tests/unit/http_stage.h"
#include "tests/unit/suites.h"
#include <stdlib.h>
#include <sys/socket.h>

START_TEST(request_as_sent)
{
	struct http_stage stage;
	const struct slice body[] = { slice_from_text("hel"),
		slice_from_text("lo") };
	struct buf expected = { 0 };

	http_stage_begin_open(&stage);
	http_stage_put(
	    &stage, 1, HTTP_POST, "/raft/append", "X: y\r\n", body, 2);
	http_stage_settle(&stage);
	buf_printf(&expected,
	    "POST /raft/append HTTP/1.1\r\nHost: %s\r\nX: y\r\n"
	    "Content-Length: 5\r\n\r\nhello",
	    stage.address);
	ck_assert(
	    slice_equal(buf_slice(&stage.requests), buf_slice(&expected)));
	buf_release(&expected);
	http_stage_end(&stage);
}
END_TEST

/* A GET has no body, and so no length; an empty PUT has one. */
START_TEST(request_without_body)
{
	struct http_stage stage;

	http_stage_begin_asked(&stage, HTTP_GET);
	ck_assert_ptr_null(memmem(
	    stage.requests.data, stage.requests.size, "Content-Length", 14));
	http_stage_ask(&stage, 2, HTTP_PUT);
	http_stage_settle(&stage);
	ck_assert_ptr_nonnull(memmem(stage.requests.data, stage.requests.size,
	    "Content-Length: 0\r\n\r\n", 21));
	http_stage_end(&stage);
}
END_TEST

#define BULK_SIZE (4u * 1024 * 1024)

/* Reads until little is left unsent, but something is. */
static void
drain_bulk(struct http_stage *stage)
{
	const struct http_client *client = stage->client;
	static uint8_t bytes[64 * 1024];

	while (client->output.size - client->output_sent > BULK_SIZE / 2) {
		http_client_flush(stage->client);
		(void)recv(stage->server, bytes, sizeof(bytes), 0);
	}
	ck_assert_uint_lt(client->output_sent, client->output.size);
}

/* A busy connection's buffer is never empty, and does not grow for that. */
START_TEST(output_is_bounded_by_what_is_unsent)
{
	struct http_stage stage;
	uint8_t *bytes = calloc(1, BULK_SIZE);
	const struct slice body = slice_of(bytes, BULK_SIZE);
	const int size = 64 * 1024;

	http_stage_begin_open(&stage);
	ck_assert_int_eq(setsockopt(stage.client->fd, SOL_SOCKET, SO_SNDBUF,
			     &size, sizeof(size)),
	    0);
	ck_assert_int_eq(setsockopt(stage.server, SOL_SOCKET, SO_RCVBUF, &size,
			     sizeof(size)),
	    0);
	for (unsigned i = 0; i < 10; i++) {
		http_stage_put(&stage, i, HTTP_PUT, "/", "", &body, 1);
		drain_bulk(&stage);
		ck_assert_uint_le(stage.client->output.size, 3 * BULK_SIZE);
		if (i == 0)
			continue;
		http_stage_serve(&stage, OK(0));
		while (stage.events.size == 0)
			http_stage_turn(&stage);
		buf_reset(&stage.events);
	}
	free(bytes);
	http_stage_end(&stage);
}
END_TEST

START_TEST(nothing_leaves_before_the_flush)
{
	struct http_stage stage;
	uint8_t byte;

	http_stage_begin_open(&stage);
	http_stage_ask(&stage, 1, HTTP_GET);
	loop_pass(stage.loop, 0);
	ck_assert_int_eq(recv(stage.server, &byte, 1, 0), -1);
	http_client_flush(stage.client);
	ck_assert_int_eq(recv(stage.server, &byte, 1, 0), 1);
	http_stage_end(&stage);
}
END_TEST

/* More than the socket takes at once: the rest follows by itself. */
START_TEST(request_larger_than_the_socket)
{
	struct http_stage stage;
	const size_t size = 8 * 1024 * 1024;
	uint8_t *bytes = calloc(1, size);
	const struct slice body = slice_of(bytes, size);
	uint64_t start_us = clock_monotonic_us();

	http_stage_begin_open(&stage);
	http_stage_put(&stage, 1, HTTP_PUT, "/1", "", &body, 1);
	http_client_flush(stage.client);
	while (stage.requests.size < size &&
	       clock_monotonic_us() - start_us < HTTP_STAGE_PATIENCE_US)
		http_stage_turn(&stage);
	http_stage_serve(&stage, OK(1) "a");
	http_stage_await_events(&stage, "1: 200 a\n");
	free(bytes);
	http_stage_end(&stage);
}
END_TEST

static const struct {
	enum http_method method;
	const char *bytes;
	const char *event;
} replies[] = {
	{ HTTP_GET, OK(5) "hello", "1: 200 hello\n" },
	{ HTTP_GET, OK(0), "1: 200 \n" },
	{ HTTP_GET,
	    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	    "3\r\nhel\r\n2;x\r\nlo\r\n0\r\nX: y\r\n\r\n",
	    "1: 200 hello\n" },
	{ HTTP_GET, "HTTP/1.1 100 Continue\r\n\r\n" OK(1) "a", "1: 200 a\n" },
	{ HTTP_GET,
	    "HTTP/1.1 103 Early\r\nX: y\r\n\r\n"
	    "HTTP/1.1 100 \r\n\r\n" OK(1) "a",
	    "1: 200 a\n" },
	{ HTTP_HEAD, OK(5), "1: 200 \n" },
	{ HTTP_HEAD, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
	    "1: 200 \n" },
	{ HTTP_GET, "HTTP/1.1 204 No Content\r\n\r\n", "1: 204 \n" },
	{ HTTP_GET, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
	    "1: 304 \n" },
	{ HTTP_GET, "HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\nno",
	    "1: 503 no\n" },
};

/* In one piece, and byte by byte; the connection stays. */
START_TEST(reply)
{
	struct http_stage stage;
	const char *bytes = replies[_i].bytes;

	http_stage_begin_asked(&stage, replies[_i].method);
	http_stage_serve(&stage, bytes);
	http_stage_await_events(&stage, replies[_i].event);
	http_stage_ask(&stage, 1, replies[_i].method);
	http_stage_settle(&stage);
	for (size_t i = 0; i < strlen(bytes); i++) {
		ck_assert_uint_eq(stage.events.size, 0);
		ck_assert_int_eq(send(stage.server, bytes + i, 1, 0), 1);
		http_stage_turn(&stage);
	}
	http_stage_await_events(&stage, replies[_i].event);
	ck_assert(http_client_is_open(stage.client));
	http_stage_end(&stage);
}
END_TEST

/* ERR_INVALID is -2, ERR_TOO_LARGE -4. */
static const struct {
	const char *bytes;
	const char *events;
} bad_replies[] = {
	{ "x", "1: -2\nclosed -2\n" },
	{ "HTTP/1.1 200 OK\n\n", "1: -2\nclosed -2\n" },
	{ "HTTP/1.1 2 OK\r\n\r\n", "1: -2\nclosed -2\n" },
	{ "HTTP/1.1 200 OK\r\n\r\nhello", "1: -2\nclosed -2\n" },
	{ "HTTP/1.0 200 OK\r\n\r\nhello", "1: -2\nclosed -2\n" },
	{ "HTTP/1.1 101 Switching\r\n\r\n", "1: -2\nclosed -2\n" },
	{ "HTTP/1.1 100 Continue\r\nContent-Length: 0\r\n\r\n",
	    "1: -2\nclosed -2\n" },
	{ "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n"
	  "Transfer-Encoding: chunked\r\n\r\n",
	    "1: -2\nclosed -2\n" },
	{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n+5\r\n",
	    "1: -2\nclosed -2\n" },
	{ OK(262145), "1: -4\nclosed -4\n" },
	{ OK(99999999999999999999999), "1: -4\nclosed -4\n" },
	{ OK(1) "ab", "1: 200 a\nclosed -2\n" },
	{ OK(0) OK(0), "1: 200 \nclosed -2\n" },
	{ "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\na",
	    "1: 200 a\nclosed\n" },
	{ "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na",
	    "1: 200 a\nclosed\n" },
};

START_TEST(bad_reply)
{
	struct http_stage stage;

	http_stage_begin_asked(&stage, HTTP_GET);
	http_stage_serve(&stage, bad_replies[_i].bytes);
	http_stage_await_events(&stage, bad_replies[_i].events);
	ck_assert(!http_client_is_open(stage.client));
	ck_assert_uint_eq(http_client_room(stage.client), 0);
	ck_assert_uint_eq(http_client_deadline(stage.client), UINT64_MAX);
	http_stage_end(&stage);
}
END_TEST

static void
serve_filled(struct http_stage *stage, const char *start, size_t count)
{
	struct buf bytes = { 0 };
	size_t sent = 0;

	buf_append_text(&bytes, start);
	for (size_t i = 0; i < count; i++)
		buf_append_text(&bytes, "a");
	while (sent < bytes.size && stage->events.size == 0) {
		ssize_t size = send(stage->server, bytes.data + sent,
		    bytes.size - sent, MSG_NOSIGNAL);

		http_stage_turn(stage);
		sent += size > 0 ? (size_t)size : 0;
	}
	buf_release(&bytes);
}

START_TEST(reply_of_the_largest_size)
{
	struct http_stage stage;

	http_stage_begin_asked(&stage, HTTP_GET);
	serve_filled(&stage, OK(262144), HTTP_STAGE_REPLY_MAX);
	http_stage_await_events(&stage, "1: 200 (262144)\n");
	http_stage_end(&stage);
}
END_TEST

START_TEST(reply_too_large_in_chunks)
{
	struct http_stage stage;

	http_stage_begin_asked(&stage, HTTP_GET);
	serve_filled(&stage,
	    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n100000\r\n",
	    HTTP_STAGE_REPLY_MAX + 1);
	http_stage_await_events(&stage, "1: -4\nclosed -4\n");
	http_stage_end(&stage);
}
END_TEST

START_TEST(reply_head_too_large)
{
	struct http_stage stage;

	http_stage_begin_asked(&stage, HTTP_GET);
	serve_filled(&stage, "HTTP/1.1 200 OK\r\nX: ", 20000);
	http_stage_await_events(&stage, "1: -4\nclosed -4\n");
	http_stage_end(&stage);
}
END_TEST

START_TEST(pipeline)
{
	struct http_stage stage;

	http_stage_begin_open(&stage);
	for (unsigned i = 1; i <= 4; i++) {
		ck_assert_uint_eq(http_client_room(stage.client), 5 - i);
		http_stage_ask(&stage, i, HTTP_GET);
	}
	ck_assert_uint_eq(http_client_room(stage.client), 0);
	http_stage_settle(&stage);
	http_stage_serve(&stage, OK(1) "a" OK(1) "bHTTP/1.1 2");
	http_stage_await_events(&stage, "1: 200 a\n2: 200 b\n");
	ck_assert_uint_eq(http_client_room(stage.client), 2);
	http_stage_serve(&stage, "04 \r\n\r\n" OK(1) "d");
	http_stage_await_events(&stage, "3: 204 \n4: 200 d\n");
	ck_assert_uint_eq(http_client_room(stage.client), 4);
	http_stage_end(&stage);
}
END_TEST

/* What comes before the request has left cannot be its answer. */
START_TEST(answer_before_the_request)
{
	struct http_stage stage;

	http_stage_begin_open(&stage);
	http_stage_ask(&stage, 1, HTTP_GET);
	http_stage_serve(&stage, OK(1) "a");
	loop_pass(stage.loop, 0);
	http_client_expire(stage.client, loop_now(stage.loop));
	http_stage_await_events(&stage, "1: -2 unsent\nclosed -2\n");
	http_stage_end(&stage);
}
END_TEST

START_TEST(bytes_without_a_request)
{
	struct http_stage stage;

	http_stage_begin_open(&stage);
	http_stage_serve(&stage, OK(1) "a");
	http_stage_await_events(&stage, "closed -2\n");
	http_stage_end(&stage);
}
END_TEST

Suite *
http_client_suite(void)
{
	Suite *suite = suite_create("http_client");
	TCase *tests = tcase_create("http_client");

	tcase_add_test(tests, request_as_sent);
	tcase_add_test(tests, request_without_body);
	tcase_add_test(tests, output_is_bounded_by_what_is_unsent);
	tcase_add_test(tests, nothing_leaves_before_the_flush);
	tcase_add_test(tests, request_larger_than_the_socket);
	tcase_add_loop_test(tests, reply, 0, ARRAY_COUNT(replies));
	tcase_add_loop_test(tests, bad_reply, 0, ARRAY_COUNT(bad_replies));
	tcase_add_test(tests, reply_of_the_largest_size);
	tcase_add_test(tests, reply_too_large_in_chunks);
	tcase_add_test(tests, reply_head_too_large);
	tcase_add_test(tests, pipeline);
	tcase_add_test(tests, answer_before_the_request);
	tcase_add_test(tests, bytes_without_a_request);
	suite_add_tcase(suite, tests);
	return suite;
}
