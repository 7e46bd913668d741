/* Answers in parts: how they are framed, and what is told of those who take
 * them slowly. */

#include "common/rng.h"
#include "net/http_parse.h"
#include "net/http_server_impl.h"
#include "tests/unit/http_site.h"
#include "tests/unit/suites.h"
#include <unistd.h>

#define KIBIBYTE 1024
#define MEBIBYTE (1024 * 1024)

/* What stands behind the head. */
static struct slice
body_of(const struct buf *received)
{
	const uint8_t *end =
	    memmem(received->data, received->size, "\r\n\r\n", 4);
	size_t head_size;

	ck_assert_ptr_nonnull(end);
	head_size = (size_t)(end - received->data) + 4;
	return slice_of(end + 4, received->size - head_size);
}

static void
check_body(const struct buf *received, const char *expected)
{
	struct slice body = body_of(received);

	ck_assert_msg(slice_equal(body, slice_from_text(expected)),
	    "\"%.*s\" instead of \"%s\"", (int)body.size,
	    (const char *)body.data, expected);
}

/* RFC 9112, 7.1: a chunk a part, and the connection goes on behind the end. */
START_TEST(stream_in_chunks)
{
	struct http_site site;
	struct http_request *request =
	    http_site_begin_stream(&site, &probe_params, GET("/s"));

	ck_assert(probe_give(request, "hello"));
	ck_assert(probe_give(request, ""));
	http_site_hear(&site, "hello\r\n");
	ck_assert(probe_give(request, "0123456789abcdef"));
	probe_finish(&site.probe, request);
	http_site_hear(&site, "\r\n0\r\n\r\n");
	check_body(&site.received,
	    "5\r\nhello\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n");
	ck_assert_uint_eq(
	    probe_count(&site.received, "Transfer-Encoding: chunked\r\n"), 1);
	ck_assert_uint_eq(probe_count(&site.received, "X-Test: yes\r\n"), 1);
	ck_assert_uint_eq(probe_count(&site.received, "Content-Length"), 0);
	ck_assert_uint_eq(probe_count(&site.received, "Connection: close"), 0);
	site.probe.hold = false;
	http_site_say(&site, GET("/2"));
	http_site_hear(&site, "\r\n\r\n/2");
	http_site_end(&site);
}
END_TEST

START_TEST(stream_without_a_part)
{
	struct http_site site;
	struct http_request *request =
	    http_site_begin_stream(&site, &probe_params, GET("/s"));

	probe_finish(&site.probe, request);
	http_site_hear(&site, "0\r\n\r\n");
	check_body(&site.received, "0\r\n\r\n");
	http_site_end(&site);
}
END_TEST

/* The decoder finds what was given, whatever the sizes of the parts. */
START_TEST(stream_of_any_sizes)
{
	struct http_site site;
	struct http_request *request =
	    http_site_begin_stream(&site, &probe_params, GET("/s"));
	struct http_chunked chunked = { 0 };
	struct buf sent = { 0 };
	struct buf decoded = { 0 };
	struct rng rng;
	struct slice rest;

	rng_init(&rng, (uint64_t)_i);
	for (unsigned i = 0; i < 50; i++) {
		size_t size = 1 + rng_below(&rng, 1u << rng_below(&rng, 18));
		size_t start = sent.size;

		for (size_t k = 0; k < size; k++)
			buf_append(&sent, &(char){ (char)rng_next(&rng) }, 1);
		(void)http_reply_part(
		    request, slice_of(sent.data + start, size));
		if (rng_below(&rng, 3) == 0)
			probe_turn(&site.probe);
		ck_assert(probe_receive(site.fd, &site.received));
	}
	probe_finish(&site.probe, request);
	http_site_hear(&site, "\r\n0\r\n\r\n");
	rest = body_of(&site.received);
	while (rest.size > 0) {
		struct slice data;
		const char *detail;

		ck_assert_int_eq(
		    http_chunked_decode(&chunked, &rest, &data, &detail), 0);
		buf_append_slice(&decoded, data);
	}
	ck_assert_int_eq(chunked.state, HTTP_CHUNKED_DONE);
	ck_assert(slice_equal(buf_slice(&sent), buf_slice(&decoded)));
	buf_release(&sent);
	buf_release(&decoded);
	http_site_end(&site);
}
END_TEST

/* It knows no chunks: the connection's end is the end, also if the client has
 * asked for another one. */
START_TEST(stream_to_http_1_0)
{
	struct http_site site;
	struct http_request *request =
	    http_site_begin_stream(&site, &probe_params,
		_i == 0 ? "GET /s HTTP/1.0\r\n\r\n"
			: "GET /s HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");

	(void)probe_give(request, "hel");
	http_site_hear(&site, "hel");
	(void)probe_give(request, "lo");
	probe_finish(&site.probe, request);
	http_site_hear_end(&site);
	check_body(&site.received, "hello");
	ck_assert_uint_eq(
	    probe_count(&site.received, "Connection: close\r\n"), 1);
	ck_assert_uint_eq(probe_count(&site.received, "Transfer-Encoding"), 0);
	http_site_end(&site);
}
END_TEST

/* Who has taken all of it still sees the end. */
START_TEST(stream_to_http_1_0_ends_later)
{
	struct http_site site;
	struct http_request *request = http_site_begin_stream(
	    &site, &probe_params, "GET /s HTTP/1.0\r\n\r\n");

	(void)probe_give(request, "hello");
	http_site_hear(&site, "hello");
	probe_check_open(site.fd);
	probe_finish(&site.probe, request);
	http_site_hear_end(&site);
	http_site_end(&site);
}
END_TEST

START_TEST(stream_to_head_has_no_body)
{
	struct http_site site;
	struct http_request *request = http_site_begin_stream(
	    &site, &probe_params, "HEAD /s HTTP/1.1\r\n" HOST "\r\n");

	ck_assert(probe_give_size(request, MEBIBYTE));
	probe_settle(&site.probe);
	probe_finish(&site.probe, request);
	http_site_hear(&site, "\r\n\r\n");
	check_body(&site.received, "");
	ck_assert_uint_eq(
	    probe_count(&site.received, "Transfer-Encoding: chunked\r\n"), 1);
	site.probe.hold = false;
	http_site_say(&site, GET("/2"));
	http_site_hear(&site, "\r\n\r\n/2");
	http_site_end(&site);
}
END_TEST

START_TEST(stream_of_a_status_without_body)
{
	struct http_site site;
	struct http_request *request;

	http_site_begin(&site);
	site.probe.hold = true;
	site.probe.status = _i;
	http_site_say(&site, GET("/s"));
	probe_settle(&site.probe);
	request = probe_stream(&site.probe, 0);
	(void)probe_give(request, "hello");
	probe_finish(&site.probe, request);
	http_site_hear(&site, "\r\n\r\n");
	check_body(&site.received, "");
	ck_assert_uint_eq(probe_count(&site.received, "Transfer-Encoding"), 0);
	http_site_end(&site);
}
END_TEST

/* "Connection: close" of the request is honoured. */
START_TEST(stream_that_closes)
{
	struct http_site site;
	struct http_request *request =
	    http_site_begin_stream(&site, &probe_params,
		"GET /s HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");

	(void)probe_give(request, "hello");
	probe_finish(&site.probe, request);
	http_site_hear_end(&site);
	check_body(&site.received, "5\r\nhello\r\n0\r\n\r\n");
	ck_assert_uint_eq(
	    probe_count(&site.received, "Connection: close\r\n"), 1);
	http_site_end(&site);
}
END_TEST

/* Nothing is seen before its commit, and a turn's parts are one write. */
START_TEST(stream_leaves_with_the_flush)
{
	struct http_site site;
	struct http_request *request =
	    http_site_begin_stream(&site, &probe_params, GET("/s"));
	struct http_server *server = site.probe.server;

	http_site_hear(&site, "\r\n\r\n");
	buf_reset(&site.received);
	for (unsigned i = 0; i < 3; i++)
		(void)probe_give(request, "hello");
	loop_pass(site.probe.loop, 0);
	ck_assert(probe_receive(site.fd, &site.received));
	ck_assert_uint_eq(site.received.size, 0);
	ck_assert_ptr_ne(server->dirty.next, &server->dirty);
	ck_assert_ptr_eq(server->dirty.next, server->dirty.previous);
	http_server_flush(server);
	http_site_hear(&site, "5\r\nhello\r\n5\r\nhello\r\n5\r\nhello\r\n");
	ck_assert(list_empty(&server->dirty));
	probe_finish(&site.probe, request);
	http_site_end(&site);
}
END_TEST

/* The handler reads headers before, path and query at any time. */
START_TEST(stream_keeps_path_and_query)
{
	struct http_site site;
	struct http_request *request =
	    http_site_begin_stream(&site, &probe_params, GET("/s?prefix=a"));

	ck_assert(slice_equal(request->path, slice_from_text("/s")));
	ck_assert(slice_equal(request->query, slice_from_text("prefix=a")));
	ck_assert_uint_eq(request->headers->count, 0);
	ck_assert_ptr_null(http_request_header(request, "Host").data);
	probe_finish(&site.probe, request);
	http_site_end(&site);
}
END_TEST

/* A request that is sent behind a stream is read when the stream has ended. */
START_TEST(stream_before_a_pipelined_request)
{
	struct http_site site;
	struct http_request *request =
	    http_site_begin_stream(&site, &probe_params, GET("/s") GET("/2"));

	(void)probe_give(request, "hello");
	http_site_hear(&site, "hello\r\n");
	ck_assert_uint_eq(site.probe.pending_count, 1);
	probe_finish(&site.probe, request);
	site.probe.hold = false;
	http_site_hear(&site, "0\r\n\r\nHTTP/1.1 200 OK");
	http_site_hear(&site, "\r\n\r\n/2");
	http_site_end(&site);
}
END_TEST

/* Answers leave in the order of the requests, streams as well. */
START_TEST(stream_in_a_pipeline)
{
	struct http_site site;
	struct http_request *request;

	http_site_begin(&site);
	site.probe.hold = true;
	site.probe.pipelining = true;
	http_site_say(&site, GET("/1") GET("/s") GET("/3"));
	probe_settle(&site.probe);
	request = probe_stream(&site.probe, 1);
	(void)probe_give(request, "first");
	probe_answer(&site.probe, 2);
	http_site_hear_nothing(&site);
	probe_answer(&site.probe, 0);
	http_site_hear(&site, "5\r\nfirst\r\n");
	(void)probe_give(request, "then");
	http_site_hear(&site, "\r\n4\r\nthen\r\n");
	ck_assert_uint_eq(probe_count(&site.received, "\r\n\r\n/3"), 0);
	probe_finish(&site.probe, request);
	http_site_hear(&site, "0\r\n\r\nHTTP/1.1 200 OK");
	http_site_hear(&site, "\r\n\r\n/3");
	http_site_end(&site);
}
END_TEST

/* One that has ended before its turn comes whole. */
START_TEST(stream_that_ended_before_its_turn)
{
	struct http_site site;
	struct http_request *request;

	http_site_begin(&site);
	site.probe.hold = true;
	site.probe.pipelining = true;
	http_site_say(&site, GET("/1") GET("/s"));
	probe_settle(&site.probe);
	request = probe_stream(&site.probe, 1);
	(void)probe_give(request, "all");
	probe_finish(&site.probe, request);
	http_site_hear_nothing(&site);
	probe_answer(&site.probe, 0);
	http_site_hear(&site, "\r\n\r\n3\r\nall\r\n0\r\n\r\n");
	http_site_end(&site);
}
END_TEST

/* Behind an answer that closes nobody hears it: it ends without a word. */
START_TEST(stream_behind_a_close_is_lost)
{
	struct http_site site;
	struct http_request *request;

	http_site_begin(&site);
	site.probe.hold = true;
	site.probe.pipelining = true;
	http_site_say(&site, GET("/close") GET("/s") GET("/3"));
	probe_settle(&site.probe);
	request = probe_stream(&site.probe, 1);
	(void)probe_give(request, "lost");
	probe_answer(&site.probe, 0);
	ck_assert(probe_give_size(request, MEBIBYTE));
	probe_finish(&site.probe, request);
	request = probe_stream(&site.probe, 0);
	ck_assert(probe_give(request, "lost"));
	probe_finish(&site.probe, request);
	http_site_hear_end(&site);
	ck_assert_uint_eq(probe_count(&site.received, "lost"), 0);
	ck_assert_uint_eq(site.probe.abandoned, 0);
	http_site_end(&site);
}
END_TEST

START_TEST(part_says_when_to_wait)
{
	struct http_site site;
	struct http_request *request =
	    http_site_begin_stream(&site, &probe_params, GET("/s"));

	http_site_hear(&site, "\r\n\r\n");
	ck_assert_uint_eq(http_reply_unsent(request), 0);
	ck_assert(probe_give_size(request, HTTP_DRAINED_SIZE - 100));
	ck_assert_uint_ge(http_reply_unsent(request), HTTP_DRAINED_SIZE - 100);
	ck_assert_uint_lt(http_reply_unsent(request), HTTP_DRAINED_SIZE);
	ck_assert(!probe_give_size(request, 100));
	ck_assert_uint_ge(http_reply_unsent(request), HTTP_DRAINED_SIZE);
	ck_assert(!probe_give(request, ""));
	probe_finish(&site.probe, request);
	http_site_end(&site);
}
END_TEST

/* Once, however often it was said to wait, and in a pass of its own: neither
 * within a flush nor before it. */
START_TEST(drained_once)
{
	struct http_site site;
	struct http_request *request =
	    http_site_begin_stream(&site, &probe_params, GET("/s"));

	http_site_hear(&site, "\r\n\r\n");
	ck_assert(!probe_give_size(request, HTTP_DRAINED_SIZE));
	ck_assert(!probe_give(request, "more"));
	probe_expire(&site.probe, loop_now(site.probe.loop));
	probe_check_events(&site.probe, "");
	ck_assert_uint_eq(http_server_deadline(site.probe.server), 0);
	http_server_expire(site.probe.server, loop_now(site.probe.loop));
	probe_check_events(&site.probe, "drained /s\n");
	ck_assert_uint_eq(http_server_deadline(site.probe.server), UINT64_MAX);
	probe_settle(&site.probe);
	probe_check_events(&site.probe, "");
	ck_assert(probe_give(request, "one more"));
	probe_settle(&site.probe);
	probe_check_events(&site.probe, "");
	probe_finish(&site.probe, request);
	http_site_end(&site);
}
END_TEST

/* Gives until the socket takes no more; returns how much. */
static size_t
get_behind(struct http_site *site, struct http_request *request)
{
	size_t given = 0;

	while (http_reply_unsent(request) < MEBIBYTE) {
		(void)probe_give_size(request, 256 * KIBIBYTE);
		given += 256 * KIBIBYTE;
		probe_turn(&site->probe);
	}
	buf_reset(&site->probe.events);
	return given;
}

START_TEST(drained_when_the_client_has_taken_it)
{
	struct http_site site;
	struct http_request *request =
	    http_site_begin_stream(&site, &probe_params, GET("/s"));
	size_t given = get_behind(&site, request);
	uint8_t some[4096];

	probe_settle(&site.probe);
	probe_check_events(&site.probe, "");
	while (http_reply_unsent(request) >= HTTP_DRAINED_SIZE) {
		probe_check_events(&site.probe, "");
		given -= (size_t)recv(site.fd, some, sizeof(some), 0);
		probe_turn(&site.probe);
	}
	probe_settle(&site.probe);
	probe_check_events(&site.probe, "drained /s\n");
	while (given > 0) {
		ssize_t size = recv(site.fd, some, sizeof(some), 0);

		probe_turn(&site.probe);
		given -= size < 0 ? 0 : MIN((size_t)size, given);
	}
	probe_settle(&site.probe);
	probe_check_events(&site.probe, "");
	http_site_stop(&site);
}
END_TEST

static unsigned calls;

static void
give_thrice(struct probe *probe, struct http_request *request)
{
	calls++;
	if (calls < 3)
		(void)probe_give_size(request, HTTP_DRAINED_SIZE);
	else if (calls == 3)
		probe_finish(probe, request);
}

/* More parts, or the end, from within on_drained; a call a pass. */
START_TEST(drained_gives_more)
{
	struct http_site site;
	struct http_request *request =
	    http_site_begin_stream(&site, &probe_params, GET("/s"));

	calls = 0;
	site.probe.on_drained = give_thrice;
	ck_assert(!probe_give_size(request, HTTP_DRAINED_SIZE));
	for (unsigned i = 0; calls < 3; i++) {
		unsigned before = calls;

		ck_assert_uint_lt(i, 100);
		probe_turn(&site.probe);
		ck_assert_uint_le(calls, before + 1);
		ck_assert(probe_receive(site.fd, &site.received));
	}
	http_site_hear(&site, "\r\n0\r\n\r\n");
	ck_assert_uint_eq(probe_count(&site.received, "10000\r\n"), 3);
	http_site_end(&site);
}
END_TEST

START_TEST(drained_cuts)
{
	struct http_site site;
	struct http_request *request =
	    http_site_begin_stream(&site, &probe_params, GET("/s"));

	site.probe.on_drained = probe_cut;
	ck_assert(!probe_give_size(request, HTTP_DRAINED_SIZE));
	http_site_hear_end(&site);
	ck_assert_uint_eq(site.probe.abandoned, 0);
	http_site_end(&site);
}
END_TEST

#define STREAMS 16

static void
give_a_mebibyte(struct probe *probe, struct http_request *request)
{
	(void)probe;
	calls++;
	(void)probe_give_size(request, MEBIBYTE);
}

/* Many that could be given more get it by and by, each in its turn, so that a
 * pass ends and other requests are served. */
START_TEST(drained_in_turns)
{
	struct probe probe;
	struct buf received = { 0 };
	int fds[STREAMS];
	int other;

	probe_start(&probe, &probe_params);
	probe.hold = true;
	for (unsigned i = 0; i < STREAMS; i++) {
		fds[i] = probe_connect(&probe);
		probe_send_text(&probe, fds[i], GET("/s"));
		probe_settle(&probe);
	}
	for (unsigned i = 0; i < STREAMS; i++)
		(void)probe_give_size(
		    probe_stream(&probe, i), HTTP_DRAINED_SIZE);
	other = probe_connect(&probe);
	calls = 0;
	probe.on_drained = give_a_mebibyte;
	http_server_flush(probe.server);
	for (unsigned i = 0; i < STREAMS; i += 4) {
		http_server_expire(probe.server, loop_now(probe.loop));
		ck_assert_uint_eq(calls, i + 4);
	}
	probe_send_text(&probe, other, GET("/other"));
	probe_settle(&probe);
	probe_answer(&probe, STREAMS);
	probe_await_text(&probe, other, &received, "\r\n\r\n/other");
	for (unsigned i = 0; i < STREAMS; i++)
		close(fds[i]);
	close(other);
	buf_release(&received);
	probe_stop(&probe);
}
END_TEST

/* A reader that is always behind does not make the buffer grow for ever. */
START_TEST(memory_of_one_that_is_always_behind)
{
	struct http_site site;
	struct http_request *request =
	    http_site_begin_stream(&site, &probe_params, GET("/s"));
	static uint8_t bytes[64 * KIBIBYTE];
	size_t taken = 0;

	while (taken < 96 * MEBIBYTE) {
		ssize_t size = recv(site.fd, bytes, sizeof(bytes), 0);

		taken += size < 0 ? 0 : (size_t)size;
		probe_turn(&site.probe);
		while (http_reply_unsent(request) < 8 * MEBIBYTE)
			(void)http_reply_part(
			    request, slice_of(bytes, sizeof(bytes)));
		ck_assert_uint_le(
		    request->connection->output.capacity, 32 * MEBIBYTE);
	}
	http_site_stop(&site);
}
END_TEST

Suite *
http_server_stream_suite(void)
{
	Suite *suite = suite_create("http_server_stream");
	TCase *tests = tcase_create("http_server_stream");

	tcase_add_test(tests, stream_in_chunks);
	tcase_add_test(tests, stream_without_a_part);
	tcase_add_loop_test(tests, stream_of_any_sizes, 0, 5);
	tcase_add_loop_test(tests, stream_to_http_1_0, 0, 2);
	tcase_add_test(tests, stream_to_http_1_0_ends_later);
	tcase_add_test(tests, stream_to_head_has_no_body);
	tcase_add_loop_test(tests, stream_of_a_status_without_body, 204, 205);
	tcase_add_loop_test(tests, stream_of_a_status_without_body, 304, 305);
	tcase_add_test(tests, stream_that_closes);
	tcase_add_test(tests, stream_leaves_with_the_flush);
	tcase_add_test(tests, stream_keeps_path_and_query);
	tcase_add_test(tests, stream_before_a_pipelined_request);
	tcase_add_test(tests, stream_in_a_pipeline);
	tcase_add_test(tests, stream_that_ended_before_its_turn);
	tcase_add_test(tests, stream_behind_a_close_is_lost);
	tcase_add_test(tests, part_says_when_to_wait);
	tcase_add_test(tests, drained_once);
	tcase_add_test(tests, drained_when_the_client_has_taken_it);
	tcase_add_test(tests, drained_gives_more);
	tcase_add_test(tests, drained_cuts);
	tcase_add_test(tests, drained_in_turns);
	tcase_add_test(tests, memory_of_one_that_is_always_behind);
	suite_add_tcase(suite, tests);
	return suite;
}
