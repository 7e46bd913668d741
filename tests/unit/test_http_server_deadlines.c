#include "tests/unit/http_site.h"
#include "tests/unit/suites.h"
#include <sys/socket.h>

START_TEST(linger_ends)
{
	struct http_site site;

	http_site_begin(&site);
	http_site_say(&site, "x\n");
	probe_settle(&site.probe);
	ck_assert_uint_eq(http_server_connections(site.probe.server), 1);
	probe_expire(&site.probe, http_server_deadline(site.probe.server) - 1);
	ck_assert_uint_eq(http_server_connections(site.probe.server), 1);
	probe_expire(&site.probe, http_server_deadline(site.probe.server));
	ck_assert_uint_eq(http_server_connections(site.probe.server), 0);
	http_site_check_last_answer(&site, 400);
	http_site_end(&site);
}
END_TEST

START_TEST(deadline_idle)
{
	struct http_site site;
	uint64_t start_us;

	http_site_begin(&site);
	start_us = loop_update_now(site.probe.loop);
	probe_settle(&site.probe);
	ck_assert_uint_ge(http_server_deadline(site.probe.server),
	    start_us + probe_params.idle_timeout_us);
	probe_expire(&site.probe, http_server_deadline(site.probe.server) - 1);
	probe_check_open(site.fd);
	probe_expire(&site.probe, http_server_deadline(site.probe.server));
	http_site_hear_end(&site);
	ck_assert_uint_eq(site.received.size, 0);
	probe_check_events(&site.probe, "");
	http_site_end(&site);
}
END_TEST

/* Each request begins the time between requests anew. */
START_TEST(deadline_idle_starts_anew)
{
	struct http_site site;
	uint64_t first_us;

	http_site_begin(&site);
	site.probe.at_once = true;
	probe_settle(&site.probe);
	first_us = http_server_deadline(site.probe.server);
	while (loop_update_now(site.probe.loop) <
	       first_us - probe_params.idle_timeout_us + 1000)
		;
	http_site_say(&site, GET("/1"));
	http_site_hear(&site, "\r\n\r\n/1");
	ck_assert_uint_ge(
	    http_server_deadline(site.probe.server), first_us + 1000);
	http_site_end(&site);
}
END_TEST

/* L4: one byte after the other does not extend the time for the head. */
START_TEST(deadline_header_is_absolute)
{
	struct http_site site;
	uint64_t deadline_us;

	http_site_begin(&site);
	probe_settle(&site.probe);
	http_site_say(&site, "G");
	probe_settle(&site.probe);
	deadline_us = http_server_deadline(site.probe.server);
	ck_assert_uint_le(deadline_us,
	    loop_now(site.probe.loop) + probe_params.header_timeout_us);
	http_site_say(&site, "ET / HTTP/1.1\r\nHost: a");
	probe_settle(&site.probe);
	ck_assert_uint_eq(http_server_deadline(site.probe.server), deadline_us);
	probe_expire(&site.probe, deadline_us - 1);
	probe_check_open(site.fd);
	probe_expire(&site.probe, deadline_us);
	http_site_check_last_answer(&site, 408);
	probe_check_events(
	    &site.probe, "refused 408 10000000 http.header-timeout\n");
	http_site_end(&site);
}
END_TEST

/* Each pipelined request has its own time, although none is ever idle. */
START_TEST(deadline_header_starts_anew)
{
	struct http_site site;
	uint64_t first_us;

	http_site_begin(&site);
	site.probe.at_once = true;
	http_site_say(&site, "GET /1 HT");
	probe_settle(&site.probe);
	first_us = http_server_deadline(site.probe.server);
	while (loop_update_now(site.probe.loop) <
	       first_us - probe_params.header_timeout_us + 1000)
		;
	http_site_say(&site, "TP/1.1\r\n" HOST "\r\nGET /2 HT");
	probe_settle(&site.probe);
	ck_assert_uint_eq(site.probe.requests, 1);
	ck_assert_uint_ge(
	    http_server_deadline(site.probe.server), first_us + 1000);
	http_site_end(&site);
}
END_TEST

START_TEST(deadline_body_is_absolute)
{
	struct http_site site;
	uint64_t deadline_us;

	http_site_begin(&site);
	http_site_say(
	    &site, "PUT /k HTTP/1.1\r\n" HOST "Content-Length: 9\r\n\r\n");
	probe_settle(&site.probe);
	deadline_us = http_server_deadline(site.probe.server);
	http_site_say(&site, "hello");
	probe_settle(&site.probe);
	ck_assert_uint_eq(http_server_deadline(site.probe.server), deadline_us);
	probe_expire(&site.probe, deadline_us - 1);
	probe_check_open(site.fd);
	probe_expire(&site.probe, deadline_us);
	http_site_check_last_answer(&site, 408);
	probe_check_events(
	    &site.probe, "refused 408 20000000 http.body-timeout\n");
	http_site_end(&site);
}
END_TEST

/* Whoever answers has a deadline of his own. */
START_TEST(deadline_none_while_pending)
{
	struct http_site site;

	http_site_begin(&site);
	site.probe.hold = true;
	http_site_say(&site, GET("/1"));
	probe_settle(&site.probe);
	ck_assert_uint_eq(http_server_deadline(site.probe.server), UINT64_MAX);
	http_site_stop(&site);
}
END_TEST

/* A client that takes nothing, then a little: its time does not begin anew. */
START_TEST(deadline_write_is_absolute)
{
	struct http_site site;
	uint64_t deadline_us;
	uint8_t some[100000];

	http_site_begin(&site);
	site.probe.answer_size = 16 * 1024 * 1024;
	http_site_say(&site, GET("/1"));
	probe_settle(&site.probe);
	deadline_us = http_server_deadline(site.probe.server);
	ck_assert_uint_le(deadline_us,
	    loop_now(site.probe.loop) + probe_params.write_timeout_us);
	ck_assert_int_gt(recv(site.fd, some, sizeof(some), 0), 0);
	probe_settle(&site.probe);
	ck_assert_uint_eq(http_server_deadline(site.probe.server), deadline_us);
	probe_expire(&site.probe, deadline_us - 1);
	ck_assert_uint_eq(http_server_connections(site.probe.server), 1);
	probe_expire(&site.probe, deadline_us);
	ck_assert_uint_eq(http_server_connections(site.probe.server), 0);
	http_site_end(&site);
}
END_TEST

Suite *
http_server_deadlines_suite(void)
{
	Suite *suite = suite_create("http_server_deadlines");
	TCase *tests = tcase_create("http_server_deadlines");

	tcase_add_test(tests, linger_ends);
	tcase_add_test(tests, deadline_idle);
	tcase_add_test(tests, deadline_idle_starts_anew);
	tcase_add_test(tests, deadline_header_is_absolute);
	tcase_add_test(tests, deadline_header_starts_anew);
	tcase_add_test(tests, deadline_body_is_absolute);
	tcase_add_test(tests, deadline_none_while_pending);
	tcase_add_test(tests, deadline_write_is_absolute);
	suite_add_tcase(suite, tests);
	return suite;
}
