#include "common/err.h"
#include "tests/unit/http_cases.h"
#include "tests/unit/http_site.h"
#include "tests/unit/suites.h"
#include <stdio.h>

/*
 * One refusal: this status and the end, whatever followed; nobody saw a
 * request.
 */
static void
check_refused(struct http_site *site, const char *name, unsigned status)
{
	char line[32];
	const struct buf *received = &site->received;

	snprintf(line, sizeof(line), "HTTP/1.1 %u ", status);
	http_site_hear_end(site);
	ck_assert_msg(received->size >= strlen(line) &&
			  memcmp(received->data, line, strlen(line)) == 0,
	    "%s: %.*s", name, (int)received->size,
	    (const char *)received->data);
	ck_assert_msg(probe_count(received, "\r\nDate: ") == 1, "%s", name);
	ck_assert_msg(probe_count(received, "\r\nConnection: close\r\n") == 1,
	    "%s", name);
	ck_assert_msg(site->probe.requests == 0, "%s", name);
}

/* The whole in one piece, then byte by byte. */
static void
check_refused_both_ways(const char *name, struct slice bytes, unsigned status)
{
	struct http_site site;

	http_site_begin(&site);
	probe_send(&site.probe, site.fd, bytes);
	check_refused(&site, name, status);
	site.fd = probe_connect(&site.probe);
	buf_reset(&site.received);
	for (size_t i = 0; i < bytes.size; i++)
		probe_send(&site.probe, site.fd, slice_of(bytes.data + i, 1));
	check_refused(&site, name, status);
	http_site_end(&site);
}

START_TEST(refused_head)
{
	const struct http_case *row = &refused_heads[_i];

	check_refused_both_ways(
	    row->name, row->bytes, probe_refusal_status(row->refusal));
}
END_TEST

START_TEST(refused_chunk)
{
	const struct http_case *row = &refused_chunks[_i];
	struct buf request = { 0 };

	buf_append_text(&request, CHUNKED);
	buf_append_slice(&request, row->bytes);
	check_refused_both_ways(row->name, buf_slice(&request), 400);
	buf_release(&request);
}
END_TEST

START_TEST(answer_is_whole)
{
	struct http_site site;
	static const char expected[] =
	    "X-Test: yes\r\nContent-Length: 2\r\n\r\n/k";

	http_site_begin(&site);
	http_site_say(&site, GET("/k?q"));
	http_site_hear(&site, expected);
	ck_assert_uint_eq(
	    probe_count(&site.received, "HTTP/1.1 200 OK\r\nDate: "), 1);
	ck_assert_uint_eq(probe_count(&site.received, " GMT\r\n"), 1);
	ck_assert_uint_eq(probe_count(&site.received, "Connection:"), 0);
	probe_check_events(&site.probe, "GET /k?q\n");
	http_site_end(&site);
}
END_TEST

START_TEST(keep_alive)
{
	struct http_site site;

	http_site_begin(&site);
	http_site_say(&site, GET("/1"));
	http_site_hear(&site, "\r\n\r\n/1");
	http_site_say(&site, GET("/2"));
	http_site_hear(&site, "\r\n\r\n/2");
	probe_check_events(&site.probe, "GET /1\nGET /2\n");
	ck_assert_uint_eq(http_server_connections(site.probe.server), 1);
	http_site_end(&site);
}
END_TEST

START_TEST(client_asks_for_the_end)
{
	struct http_site site;

	http_site_begin(&site);
	http_site_say(&site,
	    "GET /1 HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n" GET("/2"));
	http_site_hear_end(&site);
	ck_assert_uint_eq(
	    probe_count(&site.received, "Connection: close\r\n"), 1);
	probe_check_events(&site.probe, "GET /1\n");
	http_site_end(&site);
}
END_TEST

START_TEST(handler_asks_for_the_end)
{
	struct http_site site;

	http_site_begin(&site);
	http_site_say(&site, GET("/close") GET("/2"));
	http_site_hear_end(&site);
	ck_assert_uint_eq(
	    probe_count(&site.received, "Connection: close\r\n"), 1);
	probe_check_events(&site.probe, "GET /close\n");
	http_site_end(&site);
}
END_TEST

START_TEST(http_1_0_closes)
{
	struct http_site site;

	http_site_begin(&site);
	http_site_say(&site, "GET /1 HTTP/1.0\r\n\r\n");
	http_site_hear_end(&site);
	ck_assert_uint_eq(
	    probe_count(&site.received, "Connection: close\r\n"), 1);
	http_site_end(&site);
}
END_TEST

START_TEST(http_1_0_keep_alive)
{
	struct http_site site;

	http_site_begin(&site);
	http_site_say(
	    &site, "GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	http_site_hear(&site, "Connection: keep-alive\r\n\r\n/1");
	http_site_say(&site, GET("/2"));
	http_site_hear(&site, "\r\n\r\n/2");
	http_site_end(&site);
}
END_TEST

START_TEST(absolute_form)
{
	struct http_site site;

	http_site_begin(&site);
	http_site_say(&site, "GET http://a:5864/k?q HTTP/1.1\r\n" HOST "\r\n");
	http_site_hear(&site, "\r\n\r\n/k");
	probe_check_events(&site.probe, "GET /k?q\n");
	http_site_end(&site);
}
END_TEST

START_TEST(empty_line_between_requests)
{
	struct http_site site;

	http_site_begin(&site);
	http_site_say(&site, GET("/1") "\r\n" GET("/2"));
	http_site_hear(&site, "\r\n\r\n/2");
	http_site_end(&site);
}
END_TEST

START_TEST(head_has_no_body)
{
	struct http_site site;

	http_site_begin(&site);
	http_site_say(&site, "HEAD /four HTTP/1.1\r\n" HOST "\r\n" GET("/2"));
	http_site_hear(&site, "\r\n\r\n/2");
	ck_assert_uint_eq(probe_count(&site.received,
			      "Content-Length: 5\r\n\r\nHTTP/1.1 200"),
	    1);
	http_site_end(&site);
}
END_TEST

static const struct {
	unsigned status;
	const char *line;
} bodyless[] = {
	{ 204, "HTTP/1.1 204 No Content\r\n" },
	{ 304, "HTTP/1.1 304 Not Modified\r\n" },
};

START_TEST(status_without_body)
{
	struct http_site site;

	http_site_begin(&site);
	site.probe.status = bodyless[_i].status;
	http_site_say(&site, GET("/1"));
	http_site_hear(&site, "X-Test: yes\r\n\r\n");
	http_site_hear_nothing(&site);
	ck_assert_uint_eq(probe_count(&site.received, bodyless[_i].line), 1);
	ck_assert_uint_eq(probe_count(&site.received, "Content-Length"), 0);
	http_site_end(&site);
}
END_TEST

START_TEST(nothing_leaves_before_the_flush)
{
	struct http_site site;

	http_site_begin(&site);
	site.probe.hold = true;
	http_site_say(&site, GET("/1"));
	probe_settle(&site.probe);
	probe_answer(&site.probe, 0);
	loop_pass(site.probe.loop, 0);
	http_server_expire(site.probe.server, loop_now(site.probe.loop));
	ck_assert(probe_receive(site.fd, &site.received));
	ck_assert_uint_eq(site.received.size, 0);
	http_server_flush(site.probe.server);
	ck_assert(probe_receive(site.fd, &site.received));
	ck_assert_uint_gt(site.received.size, 0);
	http_site_end(&site);
}
END_TEST

START_TEST(context_is_released_once)
{
	struct http_site site;

	http_site_begin(&site);
	http_site_say(&site, GET("/context"));
	http_site_hear(&site, "\r\n\r\n/context");
	ck_assert_uint_eq(site.probe.released, 0);
	http_site_leave(&site);
	ck_assert_uint_eq(site.probe.released, 1);
	http_site_end(&site);
}
END_TEST

START_TEST(listen_errors)
{
	struct probe probe;
	char address[32];

	probe_start(&probe, &probe_params);
	ck_assert_int_eq(
	    http_server_listen(probe.server, "localhost:0"), ERR_INVALID);
	snprintf(address, sizeof(address), "127.0.0.1:%u",
	    (unsigned)http_server_port(probe.server));
	ck_assert_int_eq(http_server_listen(probe.server, address), ERR_LOCKED);
	ck_assert_int_eq(
	    http_server_listen(probe.server, "203.0.113.1:0"), ERR_IO);
	probe_stop(&probe);
}
END_TEST

Suite *
http_server_suite(void)
{
	Suite *suite = suite_create("http_server");
	TCase *tests = tcase_create("http_server");

	tcase_add_loop_test(tests, refused_head, 0, ARRAY_COUNT(refused_heads));
	tcase_add_loop_test(
	    tests, refused_chunk, 0, ARRAY_COUNT(refused_chunks));
	tcase_add_test(tests, answer_is_whole);
	tcase_add_test(tests, keep_alive);
	tcase_add_test(tests, client_asks_for_the_end);
	tcase_add_test(tests, handler_asks_for_the_end);
	tcase_add_test(tests, http_1_0_closes);
	tcase_add_test(tests, http_1_0_keep_alive);
	tcase_add_test(tests, absolute_form);
	tcase_add_test(tests, empty_line_between_requests);
	tcase_add_test(tests, head_has_no_body);
	tcase_add_loop_test(
	    tests, status_without_body, 0, ARRAY_COUNT(bodyless));
	tcase_add_test(tests, nothing_leaves_before_the_flush);
	tcase_add_test(tests, context_is_released_once);
	tcase_add_test(tests, listen_errors);
	suite_add_tcase(suite, tests);
	return suite;
}
