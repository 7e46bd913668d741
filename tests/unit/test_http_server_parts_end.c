/* Bodies in parts: how they end, in order or not. */

#include "tests/unit/http_site.h"
#include "tests/unit/suites.h"
#include <sys/socket.h>

/* Answered before the end: the rest is thrown away, so that the client hears
 * why, and the connection ends. */
START_TEST(answer_before_the_end)
{
	struct http_site site;

	http_site_begin_held(&site, &probe_params,
	    _i == 0 ? PARTS(3000000) "\r\nhel"
		    : PARTS(3000000) "Connection: close\r\n\r\nhel");
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

	http_site_begin_held(&site, &probe_params, PARTS(10) "\r\nhel");
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
	http_site_say(&site, PARTS_CHUNKED "\r\n3\r\nhel\r\n2\r\nlo\r\n");
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

	http_site_begin_held(&site, &probe_params,
	    _i % 2 == 0 ? PARTS(10) "\r\nhel"
			: PARTS_CHUNKED "\r\n3\r\nhel\r\n");
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

/* It came with a request before it, and is begun when the end is known. */
START_TEST(abandoned_when_begun)
{
	struct http_site site;

	http_site_begin_held(&site, &probe_params,
	    "GET /a HTTP/1.1\r\nHost: a\r\n\r\n" PARTS(10) "\r\nhel");
	ck_assert_int_eq(shutdown(site.fd, SHUT_WR), 0);
	probe_settle(&site.probe);
	probe_check_events(&site.probe, "GET /a\n");
	site.probe.hold = false;
	probe_await_connections(&site.probe, 0);
	probe_check_events(
	    &site.probe, "PUT /parts\npart hel\nabandoned /parts\n");
	http_site_end(&site);
}
END_TEST

/* Behind a pause, when it is gone on with. */
START_TEST(abandoned_behind_a_pause)
{
	struct http_site site;

	http_site_begin_held(&site, &probe_params, PARTS(10) "\r\nhel");
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

	http_site_begin_held(
	    &site, &probe_params, PARTS_CHUNKED "\r\n3\r\nhel\r\n");
	http_site_tell(&site, "x\r\n");
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

	http_site_begin_held(
	    &site, &probe_params, PARTS_CHUNKED "\r\n3\r\nhel\r\n");
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

/* From part to part, not for the whole. */
START_TEST(deadline_from_progress_on)
{
	struct http_site site;
	uint64_t first_us;

	http_site_begin_held(&site, &probe_params, PARTS(10) "\r\n");
	for (unsigned i = 0; i < 3; i++) {
		first_us = http_server_deadline(site.probe.server);
		ck_assert_uint_le(first_us,
		    loop_now(site.probe.loop) + probe_params.body_timeout_us);
		probe_await_time(&site.probe,
		    first_us - probe_params.body_timeout_us + 1000);
		http_site_tell(&site, "a");
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

	http_site_begin_held(&site, &probe_params, PARTS_CHUNKED "\r\n");
	first_us = http_server_deadline(site.probe.server);
	probe_await_time(
	    &site.probe, first_us - probe_params.body_timeout_us + 1000);
	http_site_tell(&site, "5;x");
	http_site_tell(&site, "x");
	ck_assert_uint_eq(http_server_deadline(site.probe.server), first_us);
	http_site_stop(&site);
}
END_TEST

/* A pause is not the client's doing. */
START_TEST(deadline_none_while_paused)
{
	struct http_site site;

	http_site_begin_held(&site, &probe_params, PARTS(10) "\r\nhel");
	http_body_pause(site.probe.pending[0]);
	http_site_tell(&site, "l");
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

/* A drain waits for the body, and for its answer. */
START_TEST(drain_waits_for_the_body)
{
	struct http_site site;

	http_site_begin_held(&site, &probe_params, PARTS(5) "\r\nhel");
	http_server_drain(site.probe.server);
	http_site_tell(&site, "lo");
	probe_check_events(&site.probe, "PUT /parts\npart hel\npart lo.\n");
	site.probe.hold = false;
	http_site_check_last_answer(&site, 200);
	ck_assert_uint_eq(http_server_connections(site.probe.server), 0);
	http_site_end(&site);
}
END_TEST

static void
pause_part(struct probe *probe, struct http_request *request, bool last)
{
	(void)probe;
	(void)last;
	http_body_pause(request);
}

/* Paused when the end comes, and all of it is here. */
START_TEST(end_behind_a_whole_body)
{
	struct http_site site;

	http_site_begin(&site);
	site.probe.hold = true;
	site.probe.on_part = pause_part;
	http_site_say(
	    &site, PARTS_CHUNKED "\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n");
	ck_assert_int_eq(shutdown(site.fd, SHUT_WR), 0);
	probe_settle(&site.probe);
	probe_check_events(&site.probe, "PUT /parts\npart hel\n");
	site.probe.on_part = NULL;
	http_body_resume(site.probe.pending[0]);
	probe_settle(&site.probe);
	probe_check_events(&site.probe, "part lo\npart .\n");
	site.probe.hold = false;
	http_site_hear(&site, "\r\n\r\n/parts");
	http_site_end(&site);
}
END_TEST

static void
answer_gets(struct probe *probe, struct http_request *request)
{
	if (request->method == HTTP_GET && request->path.size == 2 &&
	    request->path.data[1] == '2')
		probe_answer(probe, 0);
}

/* The request that is cut short costs those before it nothing. */
START_TEST(end_keeps_the_answers_before)
{
	struct http_site site;

	http_site_begin_held(
	    &site, &probe_params, GET("/1") GET("/2") PARTS(10) "\r\nhel");
	ck_assert_int_eq(shutdown(site.fd, SHUT_WR), 0);
	probe_settle(&site.probe);
	probe_check_events(&site.probe, "GET /1\n");
	site.probe.on_request = answer_gets;
	probe_answer(&site.probe, 0);
	http_server_flush(site.probe.server);
	http_site_hear_end(&site);
	probe_check_events(
	    &site.probe, "GET /2\nPUT /parts\npart hel\nabandoned /parts\n");
	ck_assert_uint_eq(probe_count(&site.received, "HTTP/1.1 200"), 2);
	http_site_end(&site);
}
END_TEST

static void
pause_put(struct probe *probe, struct http_request *request)
{
	(void)probe;
	if (request->method == HTTP_PUT)
		http_body_pause(request);
}

START_TEST(end_behind_a_pause_of_nothing)
{
	struct http_site site;

	http_site_begin_held(&site, &probe_params, GET("/1") PARTS(0) "\r\n");
	ck_assert_int_eq(shutdown(site.fd, SHUT_WR), 0);
	probe_settle(&site.probe);
	site.probe.on_request = pause_put;
	probe_answer(&site.probe, 0);
	probe_settle(&site.probe);
	probe_check_events(&site.probe, "GET /1\nPUT /parts\n");
	http_body_resume(site.probe.pending[0]);
	probe_settle(&site.probe);
	probe_check_events(&site.probe, "part .\n");
	site.probe.hold = false;
	http_site_hear(&site, "\r\n\r\n/parts");
	http_site_end(&site);
}
END_TEST

Suite *
http_server_parts_end_suite(void)
{
	Suite *suite = suite_create("http_server_parts_end");
	TCase *tests = tcase_create("http_server_parts_end");

	tcase_add_loop_test(tests, answer_before_the_end, 0, 2);
	tcase_add_test(tests, finish_before_the_end);
	tcase_add_test(tests, cut_within_a_part);
	tcase_add_loop_test(tests, abandoned_in_the_middle, 0, 6);
	tcase_add_test(tests, abandoned_when_begun);
	tcase_add_test(tests, abandoned_behind_a_pause);
	tcase_add_test(tests, malformed_in_the_middle);
	tcase_add_test(tests, malformed_behind_an_answer);
	tcase_add_test(tests, deadline_from_progress_on);
	tcase_add_test(tests, deadline_holds_for_framing);
	tcase_add_test(tests, deadline_none_while_paused);
	tcase_add_test(tests, drain_waits_for_the_body);
	tcase_add_test(tests, end_behind_a_whole_body);
	tcase_add_test(tests, end_keeps_the_answers_before);
	tcase_add_test(tests, end_behind_a_pause_of_nothing);
	suite_add_tcase(suite, tests);
	return suite;
}
