/* Bodies in parts: when they come, when they do not, and how they end. */

#include "common/rng.h"
#include "net/http_server_impl.h"
#include "tests/unit/http_site.h"
#include "tests/unit/suites.h"
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define KIBIBYTE  1024
#define MEBIBYTE  (1024 * 1024)
#define CONTINUE  "HTTP/1.1 100 Continue\r\n\r\n"
#define PUT(size) "PUT /parts HTTP/1.1\r\n" HOST "Content-Length: " #size "\r\n"
#define PUT_CHUNKED                                                            \
	"PUT /parts HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n"
#define EXPECT "Expect: 100-continue\r\n"

/* Requests are held. */
static void
begin(struct http_site *site, const char *text)
{
	http_site_begin(site);
	site->probe.hold = true;
	http_site_say(site, text);
	probe_settle(&site->probe);
}

static void
say(struct http_site *site, const char *text)
{
	http_site_say(site, text);
	probe_settle(&site->probe);
}

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

	begin(&site, PUT(5) "\r\n");
	probe_check_events(&site.probe, "PUT /parts\n");
	say(&site, "hel");
	probe_check_events(&site.probe, "part hel\n");
	say(&site, "lo");
	probe_check_events(&site.probe, "part lo.\n");
	answer_and_go_on(&site);
}
END_TEST

START_TEST(parts_with_their_head)
{
	struct http_site site;

	begin(&site, PUT(5) "\r\nhello" GET("/2"));
	probe_check_events(&site.probe, "PUT /parts\npart hello.\n");
	site.probe.hold = false;
	http_site_hear(&site, "\r\n\r\n/2");
	http_site_end(&site);
}
END_TEST

START_TEST(parts_in_chunks)
{
	struct http_site site;

	begin(&site, PUT_CHUNKED "\r\n3;x\r\nhel\r\n2\r\nl");
	probe_check_events(&site.probe, "PUT /parts\npart hel\npart l\n");
	say(&site, "o\r\n0\r\nX: y\r\n\r\n");
	probe_check_events(&site.probe, "part o\npart .\n");
	answer_and_go_on(&site);
}
END_TEST

/* The end is told also where there is nothing. */
START_TEST(parts_of_nothing)
{
	static const char *const texts[] = { PUT(0) "\r\n",
		"PUT /parts HTTP/1.1\r\n" HOST "\r\n",
		PUT_CHUNKED "\r\n0\r\n\r\n" };
	struct http_site site;

	begin(&site, texts[_i]);
	probe_check_events(&site.probe, "PUT /parts\npart .\n");
	answer_and_go_on(&site);
}
END_TEST

START_TEST(no_parts_of_a_get)
{
	struct http_site site;

	begin(&site, GET("/parts"));
	probe_check_events(&site.probe, "GET /parts\n");
	answer_and_go_on(&site);
}
END_TEST

/* Other paths have their bodies whole. */
START_TEST(no_parts_elsewhere)
{
	struct http_site site;

	begin(&site, "PUT /k HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhel");
	probe_check_events(&site.probe, "");
	say(&site, "lo");
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

	begin(&site,
	    _i == 0 ? PUT(4194304) "\r\n" : PUT_CHUNKED "\r\n400000\r\n");
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
	http_site_say(&site, PUT(5) EXPECT "\r\n");
	loop_pass(site.probe.loop, 0);
	loop_pass(site.probe.loop, 0);
	probe_check_events(&site.probe, "PUT /parts\n");
	ck_assert(probe_receive(site.fd, &site.received));
	ck_assert(
	    slice_equal(buf_slice(&site.received), slice_from_text(CONTINUE)));
	say(&site, "hello");
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
	http_site_say(&site, PUT(5) EXPECT "\r\n");
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
	http_site_say(&site, PUT(5) EXPECT "\r\n");
	http_site_hear_nothing(&site);
	http_body_resume(site.probe.pending[0]);
	http_site_hear(&site, CONTINUE);
	say(&site, "hello");
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
	http_site_say(&site, PUT(5) EXPECT "\r\n");
	probe_settle(&site.probe);
	request = probe_stream(&site.probe, 0);
	http_body_resume(request);
	http_site_hear(&site, "\r\n\r\n");
	ck_assert_uint_eq(probe_count(&site.received, CONTINUE), 0);
	say(&site, "hello");
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
	http_site_say(&site, PUT(1000000000) "\r\n");
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
	say(&site, PUT_CHUNKED "\r\n3\r\nhel\r\n2\r\nlo\r\n");
	probe_check_events(&site.probe, "PUT /parts\npart hel\n");
	ck_assert_uint_eq(server->input_bytes, strlen("\r\n2\r\nlo\r\n"));
	http_body_resume(site.probe.pending[0]);
	probe_check_events(&site.probe, "");
	ck_assert_uint_eq(http_server_deadline(server), 0);
	probe_settle(&site.probe);
	probe_check_events(&site.probe, "part lo\n");
	ck_assert_uint_eq(server->input_bytes, strlen("\r\n"));
	say(&site, "1\r\n!\r\n0\r\n\r\n");
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
	    PUT_CHUNKED "\r\n3\r\nhel\r\n186a0\r\n", 10000);
	probe_settle(&site.probe);
	probe_check_events(&site.probe, "PUT /parts\npart hel\n");
	probe_send_filled(&site.probe, site.fd, "", 90000);
	site.probe.on_part = NULL;
	http_body_resume(site.probe.pending[0]);
	say(&site, "\r\n0\r\n\r\n");
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
	say(&site, _i == 0 ? PUT(0) "\r\n" : PUT(0) "\r\n" GET("/2"));
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
	begin(&site, PUT_CHUNKED "\r\n");
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

	begin(&site, PUT_CHUNKED "\r\n");
	(void)probe_stream(&site.probe, 0);
	site.probe.on_part = finish_at_end;
	say(&site, "3\r\nhel\r\n");
	http_site_hear(&site, "\r\n\r\n4\r\nseen\r\n");
	say(&site, "2\r\nlo\r\n0\r\n\r\n");
	http_site_hear(&site, "4\r\nseen\r\n4\r\nseen\r\n0\r\n\r\n");
	site.probe.hold = false;
	http_site_say(&site, GET("/2"));
	http_site_hear(&site, "\r\n\r\n/2");
	http_site_end(&site);
}
END_TEST

/* Answered before the end: the rest is thrown away, so that the client hears
 * why, and the connection ends. */
START_TEST(answer_before_the_end)
{
	struct http_site site;

	begin(&site, _i == 0 ? PUT(3000000) "\r\nhel"
			     : PUT(3000000) "Connection: close\r\n\r\nhel");
	probe_check_events(&site.probe, "PUT /parts\npart hel\n");
	site.probe.hold = false;
	probe_send_filled(&site.probe, site.fd, "", 2000000);
	site.probe.hold = true;
	probe_settle(&site.probe);
	ck_assert_int_eq(shutdown(site.fd, SHUT_WR), 0);
	probe_await_connections(&site.probe, 0);
	http_site_check_last_answer(&site, 200);
	ck_assert_uint_lt(site.probe.parts.size, 1000000);
	ck_assert_uint_eq(site.probe.abandoned, 0);
	http_site_end(&site);
}
END_TEST

/* The same with what streams. */
START_TEST(finish_before_the_end)
{
	struct http_site site;
	struct http_request *request;

	begin(&site, PUT(10) "\r\nhel");
	request = probe_stream(&site.probe, 0);
	http_site_hear(&site, "\r\n\r\n");
	probe_finish(&site.probe, request);
	http_site_hear_end(&site);
	ck_assert_uint_eq(probe_count(&site.received, "\r\n0\r\n\r\n"), 1);
	probe_check_events(&site.probe, "PUT /parts\npart hel\n");
	http_site_end(&site);
}
END_TEST

static void
cut_at_part(struct probe *probe, struct http_request *request, bool last)
{
	(void)last;
	probe_cut(probe, request);
}

START_TEST(cut_within_a_part)
{
	struct http_site site;

	http_site_begin(&site);
	site.probe.hold = true;
	site.probe.on_part = cut_at_part;
	http_site_say(&site, PUT_CHUNKED "\r\n3\r\nhel\r\n2\r\nlo\r\n");
	http_site_hear_end(&site);
	probe_check_events(&site.probe, "PUT /parts\npart hel\n");
	http_site_end(&site);
}
END_TEST

/* A client that goes in the middle, and one that says it has sent all. */
START_TEST(abandoned_in_the_middle)
{
	struct http_site site;
	struct linger linger = { .l_onoff = 1, .l_linger = 0 };

	begin(&site,
	    _i % 2 == 0 ? PUT(10) "\r\nhel" : PUT_CHUNKED "\r\n3\r\nhel\r\n");
	if (_i / 2 == 1)
		ck_assert_int_eq(setsockopt(site.fd, SOL_SOCKET, SO_LINGER,
				     &linger, sizeof(linger)),
		    0);
	if (_i / 2 == 2) {
		shutdown(site.fd, SHUT_WR);
		http_site_hear_end(&site);
	} else {
		http_site_leave(&site);
	}
	probe_check_events(
	    &site.probe, "PUT /parts\npart hel\nabandoned /parts\n");
	ck_assert_uint_eq(http_server_connections(site.probe.server), 0);
	http_site_end(&site);
}
END_TEST

/* Behind a pause, when it is gone on with. */
START_TEST(abandoned_behind_a_pause)
{
	struct http_site site;

	begin(&site, PUT(10) "\r\nhel");
	http_body_pause(site.probe.pending[0]);
	http_site_say(&site, "lo");
	http_site_leave(&site);
	probe_check_events(&site.probe, "PUT /parts\npart hel\n");
	http_body_resume(site.probe.pending[0]);
	probe_settle(&site.probe);
	probe_check_events(&site.probe, "part lo\nabandoned /parts\n");
	http_site_end(&site);
}
END_TEST

/* The handler hears that it is over, the client why. */
START_TEST(malformed_in_the_middle)
{
	struct http_site site;

	begin(&site, PUT_CHUNKED "\r\n3\r\nhel\r\n");
	say(&site, "x\r\n");
	probe_check_events(&site.probe,
	    "PUT /parts\npart hel\nabandoned /parts\nrefused 400\n");
	http_site_check_last_answer(&site, 400);
	http_site_end(&site);
}
END_TEST

/* Where the answer has begun it is cut. */
START_TEST(malformed_behind_an_answer)
{
	struct http_site site;

	begin(&site, PUT_CHUNKED "\r\n3\r\nhel\r\n");
	(void)probe_stream(&site.probe, 0);
	http_site_hear(&site, "\r\n\r\n");
	http_site_say(&site, "x\r\n");
	http_site_hear_end(&site);
	ck_assert_uint_eq(probe_count(&site.received, "0\r\n\r\n"), 0);
	probe_check_events(
	    &site.probe, "PUT /parts\npart hel\nabandoned /parts\n");
	http_site_end(&site);
}
END_TEST

static void
await_time(struct probe *probe, uint64_t time_us)
{
	while (loop_update_now(probe->loop) < time_us)
		;
}

/* From part to part, not for the whole. */
START_TEST(deadline_from_progress_on)
{
	struct http_site site;
	uint64_t first_us;

	begin(&site, PUT(10) "\r\n");
	for (unsigned i = 0; i < 3; i++) {
		first_us = http_server_deadline(site.probe.server);
		ck_assert_uint_le(first_us,
		    loop_now(site.probe.loop) + probe_params.body_timeout_us);
		await_time(&site.probe,
		    first_us - probe_params.body_timeout_us + 1000);
		say(&site, "a");
		ck_assert_uint_ge(
		    http_server_deadline(site.probe.server), first_us + 1000);
	}
	buf_reset(&site.probe.events);
	first_us = http_server_deadline(site.probe.server);
	probe_expire(&site.probe, first_us - 1);
	probe_check_events(&site.probe, "");
	probe_expire(&site.probe, first_us);
	probe_check_events(&site.probe,
	    "abandoned /parts\nrefused 408 20000000 http.body-timeout\n");
	http_site_check_last_answer(&site, 408);
	http_site_end(&site);
}
END_TEST

/* What is no part is no progress. */
START_TEST(deadline_holds_for_framing)
{
	struct http_site site;
	uint64_t first_us;

	begin(&site, PUT_CHUNKED "\r\n");
	first_us = http_server_deadline(site.probe.server);
	await_time(&site.probe, first_us - probe_params.body_timeout_us + 1000);
	say(&site, "5;x");
	say(&site, "x");
	ck_assert_uint_eq(http_server_deadline(site.probe.server), first_us);
	http_site_stop(&site);
}
END_TEST

/* A pause is not the client's doing. */
START_TEST(deadline_none_while_paused)
{
	struct http_site site;

	begin(&site, PUT(10) "\r\nhel");
	http_body_pause(site.probe.pending[0]);
	say(&site, "l");
	ck_assert_uint_eq(http_server_deadline(site.probe.server), UINT64_MAX);
	probe_expire(&site.probe,
	    loop_now(site.probe.loop) + 10 * probe_params.body_timeout_us);
	probe_check_events(&site.probe, "PUT /parts\npart hel\n");
	http_body_resume(site.probe.pending[0]);
	probe_settle(&site.probe);
	probe_check_events(&site.probe, "part l\n");
	ck_assert_uint_le(http_server_deadline(site.probe.server),
	    loop_now(site.probe.loop) + probe_params.body_timeout_us);
	http_site_stop(&site);
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
	say(&site, PUT_CHUNKED "\r\n1\r\na\r");
	ck_assert_uint_eq(site.probe.server->input_bytes, 1);
	say(&site, "");
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

/* A drain waits for the body, and for its answer. */
START_TEST(drain_waits_for_the_body)
{
	struct http_site site;

	begin(&site, PUT(5) "\r\nhel");
	http_server_drain(site.probe.server);
	say(&site, "lo");
	probe_check_events(&site.probe, "PUT /parts\npart hel\npart lo.\n");
	site.probe.hold = false;
	http_site_check_last_answer(&site, 200);
	ck_assert_uint_eq(http_server_connections(site.probe.server), 0);
	http_site_end(&site);
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
	tcase_add_loop_test(tests, answer_before_the_end, 0, 2);
	tcase_add_test(tests, finish_before_the_end);
	tcase_add_test(tests, cut_within_a_part);
	tcase_add_loop_test(tests, abandoned_in_the_middle, 0, 6);
	tcase_add_test(tests, abandoned_behind_a_pause);
	tcase_add_test(tests, malformed_in_the_middle);
	tcase_add_test(tests, malformed_behind_an_answer);
	tcase_add_test(tests, deadline_from_progress_on);
	tcase_add_test(tests, deadline_holds_for_framing);
	tcase_add_test(tests, deadline_none_while_paused);
	tcase_add_test(tests, input_limit_counts_what_is_kept);
	tcase_add_test(tests, drain_waits_for_the_body);
	suite_add_tcase(suite, tests);
	return suite;
}
