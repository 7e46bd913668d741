/* Bodies in parts: when they come, and when they do not. */

#include "common/rng.h"
#include "net/http_server_impl.h"
#include "tests/unit/http_site.h"
#include "tests/unit/suites.h"
#include <errno.h>

#define KIBIBYTE 1024
#define MEBIBYTE (1024 * 1024)
#define CONTINUE "HTTP/1.1 100 Continue\r\n\r\n"
#define EXPECT   "Expect: 100-continue\r\n"

static void
pause_it(struct probe *probe, struct http_request *request)
{
	(void)probe;
	http_body_pause(request);
}

static void
pause_after_part(struct probe *probe, struct http_request *request, bool last)
{
	(void)probe;
	(void)last;
	http_body_pause(request);
}

/* The answer behind the body, and the next request on the same connection. */
static void
answer_and_go_on(struct http_site *site)
{
	site->probe.hold = false;
	http_site_hear(site, "\r\n\r\n/parts");
	buf_reset(&site->probe.events);
	http_site_say(site, GET("/2"));
	http_site_hear(site, "\r\n\r\n/2");
	probe_check_events(&site->probe, "GET /2\n");
	ck_assert_uint_eq(site->probe.server->input_bytes, 0);
	http_site_end(site);
}

START_TEST(parts_by_length)
{
	struct http_site site;

	http_site_begin_held(&site, &probe_params, PARTS(5) "\r\n");
	probe_check_events(&site.probe, "PUT /parts\n");
	http_site_tell(&site, "hel");
	probe_check_events(&site.probe, "part hel\n");
	http_site_tell(&site, "lo");
	probe_check_events(&site.probe, "part lo.\n");
	answer_and_go_on(&site);
}
END_TEST

START_TEST(parts_with_their_head)
{
	struct http_site site;

	http_site_begin_held(
	    &site, &probe_params, PARTS(5) "\r\nhello" GET("/2"));
	probe_check_events(&site.probe, "PUT /parts\npart hello.\n");
	site.probe.hold = false;
	http_site_hear(&site, "\r\n\r\n/2");
	http_site_end(&site);
}
END_TEST

START_TEST(parts_in_chunks)
{
	struct http_site site;

	http_site_begin_held(
	    &site, &probe_params, PARTS_CHUNKED "\r\n3;x\r\nhel\r\n2\r\nl");
	probe_check_events(&site.probe, "PUT /parts\npart hel\npart l\n");
	http_site_tell(&site, "o\r\n0\r\nX: y\r\n\r\n");
	probe_check_events(&site.probe, "part o\npart .\n");
	answer_and_go_on(&site);
}
END_TEST

/* The end is told also where there is nothing. */
START_TEST(parts_of_nothing)
{
	static const char *const texts[] = { PARTS(0) "\r\n",
		"PUT /parts HTTP/1.1\r\n" HOST "\r\n",
		PARTS_CHUNKED "\r\n0\r\n\r\n" };
	struct http_site site;

	http_site_begin_held(&site, &probe_params, texts[_i]);
	probe_check_events(&site.probe, "PUT /parts\npart .\n");
	answer_and_go_on(&site);
}
END_TEST

START_TEST(no_parts_of_a_get)
{
	struct http_site site;

	http_site_begin_held(&site, &probe_params, GET("/parts"));
	probe_check_events(&site.probe, "GET /parts\n");
	answer_and_go_on(&site);
}
END_TEST

/* Other paths have their bodies whole. */
START_TEST(no_parts_elsewhere)
{
	struct http_site site;

	http_site_begin_held(&site, &probe_params,
	    "PUT /k HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhel");
	probe_check_events(&site.probe, "");
	http_site_tell(&site, "lo");
	probe_check_events(&site.probe, "PUT /k hello\n");
	http_site_stop(&site);
}
END_TEST

/* body_max does not apply, no part is larger than HTTP_READ_SIZE, and what is
 * given away takes no memory. */
START_TEST(parts_of_much)
{
	struct http_site site;
	struct buf body = { 0 };
	size_t sent = 0;

	http_site_begin_held(&site, &probe_params,
	    _i == 0 ? PARTS(4194304) "\r\n" : PARTS_CHUNKED "\r\n400000\r\n");
	for (size_t i = 0; i < 4 * MEBIBYTE; i++)
		buf_append(&body, &(uint8_t){ (uint8_t)(i * 7 % 251) }, 1);
	while (sent < body.size) {
		size_t size = MIN(body.size - sent, 100 * KIBIBYTE);

		probe_send(
		    &site.probe, site.fd, slice_of(body.data + sent, size));
		sent += size;
		ck_assert_uint_eq(site.probe.server->input_bytes, 0);
	}
	if (_i == 1)
		http_site_say(&site, "\r\n0\r\n\r\n");
	/* All is under way: each turn brings a part. */
	for (unsigned i = 0; i < 1000; i++)
		probe_turn(&site.probe);
	ck_assert(slice_equal(buf_slice(&site.probe.parts), buf_slice(&body)));
	ck_assert_uint_le(site.probe.part_size_max, HTTP_READ_SIZE);
	ck_assert_uint_gt(site.probe.part_size_max, 8 * KIBIBYTE);
	buf_release(&body);
	answer_and_go_on(&site);
}
END_TEST

/* When the handler has seen the head, and at once. */
START_TEST(continue_behind_the_head)
{
	struct http_site site;

	http_site_begin(&site);
	site.probe.hold = true;
	http_site_say(&site, PARTS(5) EXPECT "\r\n");
	loop_pass(site.probe.loop, 0);
	loop_pass(site.probe.loop, 0);
	probe_check_events(&site.probe, "PUT /parts\n");
	ck_assert(probe_receive(site.fd, &site.received));
	ck_assert(
	    slice_equal(buf_slice(&site.received), slice_from_text(CONTINUE)));
	http_site_tell(&site, "hello");
	probe_check_events(&site.probe, "part hello.\n");
	answer_and_go_on(&site);
}
END_TEST

/* A client that is answered keeps its body. */
START_TEST(continue_not_behind_an_answer)
{
	struct http_site site;

	http_site_begin(&site);
	site.probe.at_once = true;
	http_site_say(&site, PARTS(5) EXPECT "\r\n");
	http_site_hear(&site, "\r\n\r\n/parts");
	ck_assert_uint_eq(probe_count(&site.received, CONTINUE), 0);
	ck_assert_uint_eq(
	    probe_count(&site.received, "Connection: close\r\n"), 1);
	probe_check_events(&site.probe, "PUT /parts\n");
	http_site_end(&site);
}
END_TEST

/* A body that is not wanted yet is not asked for. */
START_TEST(continue_waits_for_the_resume)
{
	struct http_site site;

	http_site_begin(&site);
	site.probe.hold = true;
	site.probe.on_request = pause_it;
	http_site_say(&site, PARTS(5) EXPECT "\r\n");
	http_site_hear_nothing(&site);
	http_body_resume(site.probe.pending[0]);
	http_site_hear(&site, CONTINUE);
	http_site_tell(&site, "hello");
	answer_and_go_on(&site);
}
END_TEST

/* It would be a part of what streams. */
START_TEST(continue_not_within_a_stream)
{
	struct http_site site;
	struct http_request *request;

	http_site_begin(&site);
	site.probe.hold = true;
	site.probe.on_request = pause_it;
	http_site_say(&site, PARTS(5) EXPECT "\r\n");
	probe_settle(&site.probe);
	request = probe_stream(&site.probe, 0);
	http_body_resume(request);
	http_site_hear(&site, "\r\n\r\n");
	ck_assert_uint_eq(probe_count(&site.received, CONTINUE), 0);
	http_site_tell(&site, "hello");
	probe_check_events(&site.probe, "PUT /parts\npart hello.\n");
	probe_finish(&site.probe, request);
	http_site_end(&site);
}
END_TEST

/* No part comes while it is paused, and nothing is read: the client waits. */
START_TEST(pause_stops_reading)
{
	struct http_site site;
	static uint8_t bytes[64 * KIBIBYTE];
	uint64_t sent = 0;
	unsigned refusals = 0;

	http_site_begin(&site);
	site.probe.hold = true;
	site.probe.on_request = pause_it;
	http_site_say(&site, PARTS(1000000000) "\r\n");
	while (refusals < 20) {
		ssize_t size =
		    send(site.fd, bytes, sizeof(bytes), MSG_NOSIGNAL);

		probe_turn(&site.probe);
		refusals = size < 0 ? refusals + 1 : 0;
		sent += size < 0 ? 0 : (uint64_t)size;
		ck_assert_uint_lt(sent, UINT64_C(64) * MEBIBYTE);
	}
	ck_assert_int_eq(errno, EAGAIN);
	probe_check_events(&site.probe, "PUT /parts\n");
	ck_assert_uint_le(site.probe.server->input_bytes, 2 * HTTP_READ_SIZE);
	http_site_stop(&site);
}
END_TEST

/* In the middle of what was read: the rest is kept, counts as input, and comes
 * in a later pass, before what is read then. */
START_TEST(pause_keeps_the_rest)
{
	struct http_site site;
	const struct http_server *server;

	http_site_begin(&site);
	server = site.probe.server;
	site.probe.hold = true;
	site.probe.on_part = pause_after_part;
	http_site_tell(&site, PARTS_CHUNKED "\r\n3\r\nhel\r\n2\r\nlo\r\n");
	probe_check_events(&site.probe, "PUT /parts\npart hel\n");
	ck_assert_uint_eq(server->input_bytes, strlen("\r\n2\r\nlo\r\n"));
	http_body_resume(site.probe.pending[0]);
	probe_check_events(&site.probe, "");
	ck_assert_uint_eq(http_server_deadline(server), 0);
	probe_settle(&site.probe);
	probe_check_events(&site.probe, "part lo\n");
	ck_assert_uint_eq(server->input_bytes, strlen("\r\n"));
	http_site_tell(&site, "1\r\n!\r\n0\r\n\r\n");
	probe_check_events(&site.probe, "");
	site.probe.on_part = NULL;
	http_body_resume(site.probe.pending[0]);
	probe_settle(&site.probe);
	probe_check_events(&site.probe, "part !\npart .\n");
	ck_assert_uint_eq(server->input_bytes, 0);
	answer_and_go_on(&site);
}
END_TEST

/* What was kept and what is read behind it are no larger a part. */
START_TEST(pause_makes_no_large_part)
{
	struct http_site site;

	http_site_begin(&site);
	site.probe.hold = true;
	site.probe.on_part = pause_after_part;
	probe_send_filled(&site.probe, site.fd,
	    PARTS_CHUNKED "\r\n3\r\nhel\r\n186a0\r\n", 10000);
	probe_settle(&site.probe);
	probe_check_events(&site.probe, "PUT /parts\npart hel\n");
	probe_send_filled(&site.probe, site.fd, "", 90000);
	site.probe.on_part = NULL;
	http_body_resume(site.probe.pending[0]);
	http_site_tell(&site, "\r\n0\r\n\r\n");
	probe_check_events(&site.probe, "part .\n");
	ck_assert_uint_eq(site.probe.parts.size, 3 + 100000);
	ck_assert_uint_le(site.probe.part_size_max, HTTP_READ_SIZE);
	answer_and_go_on(&site);
}
END_TEST

/* The end that was not told. */
START_TEST(pause_before_the_end)
{
	struct http_site site;

	http_site_begin(&site);
	site.probe.hold = true;
	site.probe.on_request = pause_it;
	http_site_tell(
	    &site, _i == 0 ? PARTS(0) "\r\n" : PARTS(0) "\r\n" GET("/2"));
	probe_check_events(&site.probe, "PUT /parts\n");
	site.probe.on_request = NULL;
	http_body_resume(site.probe.pending[0]);
	probe_check_events(&site.probe, "");
	probe_settle(&site.probe);
	probe_check_events(&site.probe, "part .\n");
	if (_i == 0) {
		answer_and_go_on(&site);
		return;
	}
	site.probe.hold = false;
	http_site_hear(&site, "\r\n\r\n/2");
	http_site_end(&site);
}
END_TEST

static struct rng pauses;

static void
pause_now_and_then(struct probe *probe, struct http_request *request, bool last)
{
	(void)probe;
	if (!last && rng_below(&pauses, 3) == 0)
		http_body_pause(request);
}

/* Whatever is paused when: all bytes come, in order. */
START_TEST(pauses_at_random)
{
	struct http_site site;
	struct buf text = { 0 };
	struct buf body = { 0 };
	size_t sent = 0;
	struct http_request *request;

	rng_init(&pauses, (uint64_t)_i);
	for (unsigned i = 0; i < 100; i++) {
		size_t size =
		    1 + rng_below(&pauses, 1u << rng_below(&pauses, 14));

		buf_printf(&text, "%zx\r\n", size);
		for (size_t k = 0; k < size; k++) {
			uint8_t byte = (uint8_t)rng_next(&pauses);

			buf_append(&text, &byte, 1);
			buf_append(&body, &byte, 1);
		}
		buf_append_text(&text, "\r\n");
	}
	buf_append_text(&text, "0\r\n\r\n");
	http_site_begin_held(&site, &probe_params, PARTS_CHUNKED "\r\n");
	request = site.probe.pending[0];
	site.probe.on_part = pause_now_and_then;
	while (site.probe.parts.size < body.size) {
		size_t size = MIN(text.size - sent, 10000);
		ssize_t taken = size == 0 ? 0
					  : send(site.fd, text.data + sent,
						size, MSG_NOSIGNAL);

		sent += taken < 0 ? 0 : (size_t)taken;
		probe_turn(&site.probe);
		http_body_resume(request);
		ck_assert_uint_le(
		    site.probe.server->input_bytes, 2 * HTTP_READ_SIZE);
	}
	probe_send(
	    &site.probe, site.fd, slice_of(text.data + sent, text.size - sent));
	probe_settle(&site.probe);
	ck_assert(slice_equal(buf_slice(&site.probe.parts), buf_slice(&body)));
	buf_release(&text);
	buf_release(&body);
	answer_and_go_on(&site);
}
END_TEST

static void
finish_at_end(struct probe *probe, struct http_request *request, bool last)
{
	(void)http_reply_part(request, slice_from_text("seen"));
	if (last)
		probe_finish(probe, request);
}

/* Both ways at a time. */
START_TEST(parts_both_ways)
{
	struct http_site site;

	http_site_begin_held(&site, &probe_params, PARTS_CHUNKED "\r\n");
	(void)probe_stream(&site.probe, 0);
	site.probe.on_part = finish_at_end;
	http_site_tell(&site, "3\r\nhel\r\n");
	http_site_hear(&site, "\r\n\r\n4\r\nseen\r\n");
	http_site_tell(&site, "2\r\nlo\r\n0\r\n\r\n");
	http_site_hear(&site, "4\r\nseen\r\n4\r\nseen\r\n0\r\n\r\n");
	site.probe.hold = false;
	http_site_say(&site, GET("/2"));
	http_site_hear(&site, "\r\n\r\n/2");
	http_site_end(&site);
}
END_TEST

/* What is kept counts with the bodies of others. */
START_TEST(input_limit_counts_what_is_kept)
{
	struct http_server_params params = probe_params;
	struct http_site site;
	struct http_site other = { .fd = -1 };

	params.input_bytes_max = 10;
	http_site_begin_with(&site, &params);
	site.probe.hold = true;
	site.probe.on_part = pause_after_part;
	http_site_tell(&site, PARTS_CHUNKED "\r\n1\r\na\r");
	ck_assert_uint_eq(site.probe.server->input_bytes, 1);
	http_site_tell(&site, "");
	other.fd = probe_connect(&site.probe);
	probe_send_text(&site.probe, other.fd,
	    "PUT /k HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\nabcdefghij");
	buf_reset(&site.probe.events);
	probe_settle(&site.probe);
	probe_await_end(&site.probe, other.fd, &other.received);
	ck_assert_uint_eq(probe_count(&other.received, "HTTP/1.1 503"), 1);
	buf_release(&other.received);
	http_site_stop(&site);
}
END_TEST

Suite *
http_server_parts_suite(void)
{
	Suite *suite = suite_create("http_server_parts");
	TCase *tests = tcase_create("http_server_parts");

	tcase_add_test(tests, parts_by_length);
	tcase_add_test(tests, parts_with_their_head);
	tcase_add_test(tests, parts_in_chunks);
	tcase_add_loop_test(tests, parts_of_nothing, 0, 3);
	tcase_add_test(tests, no_parts_of_a_get);
	tcase_add_test(tests, no_parts_elsewhere);
	tcase_add_loop_test(tests, parts_of_much, 0, 2);
	tcase_add_test(tests, continue_behind_the_head);
	tcase_add_test(tests, continue_not_behind_an_answer);
	tcase_add_test(tests, continue_waits_for_the_resume);
	tcase_add_test(tests, continue_not_within_a_stream);
	tcase_add_test(tests, pause_stops_reading);
	tcase_add_test(tests, pause_keeps_the_rest);
	tcase_add_test(tests, pause_makes_no_large_part);
	tcase_add_loop_test(tests, pause_before_the_end, 0, 2);
	tcase_add_loop_test(tests, pauses_at_random, 0, 10);
	tcase_add_test(tests, parts_both_ways);
	tcase_add_test(tests, input_limit_counts_what_is_kept);
	suite_add_tcase(suite, tests);
	return suite;
}
