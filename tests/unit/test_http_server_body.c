#include "tests/unit/http_site.h"
#include "tests/unit/suites.h"
#include <sys/socket.h>

#define CONTINUE "HTTP/1.1 100 Continue\r\n\r\n"

START_TEST(body_by_length)
{
	struct http_site site;

	http_site_begin(&site);
	http_site_say(
	    &site, "PUT /k HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhel");
	probe_settle(&site.probe);
	ck_assert_uint_eq(site.probe.requests, 0);
	http_site_say(&site, "lo" GET("/2"));
	http_site_hear(&site, "\r\n\r\n/2");
	probe_check_events(&site.probe, "PUT /k hello\nGET /2\n");
	http_site_end(&site);
}
END_TEST

START_TEST(body_without_length_is_empty)
{
	struct http_site site;

	http_site_begin(&site);
	http_site_say(&site, "POST /k HTTP/1.1\r\n" HOST "\r\n");
	http_site_hear(&site, "\r\n\r\n/k");
	probe_check_events(&site.probe, "POST /k\n");
	http_site_end(&site);
}
END_TEST

START_TEST(body_in_chunks)
{
	struct http_site site;

	http_site_begin(&site);
	http_site_say(&site,
	    CHUNKED "3;x\r\nhel\r\n2\r\nlo\r\n0\r\nX: y\r\n\r\n" GET("/2"));
	http_site_hear(&site, "\r\n\r\n/2");
	probe_check_events(&site.probe, "PUT /k hello\nGET /2\n");
	http_site_end(&site);
}
END_TEST

static void
fill(struct buf *bytes, size_t size)
{
	uint8_t *data = buf_reserve(bytes, size);

	for (size_t i = 0; i < size; i++)
		data[i] = (uint8_t)('a' + i * 7 % 26);
	bytes->size += size;
}

/* Many reads and many writes: the answer repeats the body. */
static void
check_large_body(const char *head, const char *tail)
{
	struct http_site site;
	struct buf request = { 0 };
	const uint8_t *body;
	size_t head_size;

	http_site_begin(&site);
	buf_append_text(&request, head);
	fill(&request, PROBE_BODY_MAX);
	buf_append_text(&request, tail);
	probe_send(&site.probe, site.fd, buf_slice(&request));
	http_site_hear(&site, "\r\n\r\n");
	body = memmem(site.received.data, site.received.size, "\r\n\r\n", 4);
	head_size = (size_t)(body - site.received.data) + 4;
	probe_await_size(
	    &site.probe, site.fd, &site.received, head_size + PROBE_BODY_MAX);
	ck_assert(
	    memcmp(site.received.data + site.received.size - PROBE_BODY_MAX,
		request.data + strlen(head), PROBE_BODY_MAX) == 0);
	buf_release(&request);
	http_site_end(&site);
}

START_TEST(body_large_by_length)
{
	check_large_body(
	    "PUT /k HTTP/1.1\r\n" HOST "Content-Length: 1048576\r\n\r\n", "");
}
END_TEST

START_TEST(body_large_in_chunks)
{
	check_large_body(CHUNKED "100000\r\n", "\r\n0\r\n\r\n");
}
END_TEST

/* It leaves at once, without a flush: the client waits for it. */
START_TEST(continue_at_once)
{
	struct http_site site;

	http_site_begin(&site);
	http_site_say(&site,
	    "PUT /k HTTP/1.1\r\n" HOST
	    "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n");
	loop_pass(site.probe.loop, 0);
	loop_pass(site.probe.loop, 0);
	ck_assert(probe_receive(site.fd, &site.received));
	ck_assert(
	    slice_equal(buf_slice(&site.received), slice_from_text(CONTINUE)));
	http_site_say(&site, "hello");
	http_site_hear(&site, "\r\n\r\nhello");
	ck_assert_uint_eq(probe_count(&site.received, "HTTP/1.1 "), 2);
	http_site_end(&site);
}
END_TEST

START_TEST(continue_is_needless)
{
	struct http_site site;

	http_site_begin(&site);
	http_site_say(&site,
	    "PUT /k HTTP/1.1\r\n" HOST
	    "Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello");
	http_site_hear(&site, "\r\n\r\nhello");
	http_site_say(
	    &site, "PUT /k HTTP/1.1\r\n" HOST "Expect: 100-continue\r\n\r\n");
	http_site_hear(&site, "\r\n\r\n/k");
	ck_assert_uint_eq(probe_count(&site.received, "HTTP/1.1 100"), 0);
	http_site_end(&site);
}
END_TEST

/* Behind the answers to older requests, which it must not overtake. */
START_TEST(continue_in_order)
{
	struct http_site site;

	http_site_begin(&site);
	site.probe.pipelining = true;
	site.probe.hold = true;
	http_site_say(&site,
	    GET("/1") "PUT /2 HTTP/1.1\r\n" HOST "Expect: 100-continue\r\n"
		      "Content-Length: 5\r\n\r\n");
	http_site_hear_nothing(&site);
	site.probe.hold = false;
	http_site_hear(&site, "\r\n\r\n/1" CONTINUE);
	http_site_say(&site, "hello");
	http_site_hear(&site, "\r\n\r\nhello");
	http_site_end(&site);
}
END_TEST

/* An answer that is not flushed yet must not leave with it. */
START_TEST(continue_waits_for_the_flush_of_answers)
{
	static const char requests[] =
	    GET("/2") "PUT /3 HTTP/1.1\r\n" HOST
		      "Expect: 100-continue\r\nContent-Length: 1\r\n\r\n";
	struct http_site site;

	http_site_begin(&site);
	site.probe.at_once = true;
	http_site_say(&site, GET("/1"));
	http_site_hear(&site, "\r\n\r\n/1");
	buf_reset(&site.received);
	ck_assert_int_eq(
	    send(site.fd, requests, sizeof(requests) - 1, MSG_NOSIGNAL),
	    sizeof(requests) - 1);
	loop_pass(site.probe.loop, 0);
	ck_assert(probe_receive(site.fd, &site.received));
	ck_assert_uint_eq(site.received.size, 0);
	http_site_hear(&site, "\r\n\r\n/2" CONTINUE);
	http_site_end(&site);
}
END_TEST

Suite *
http_server_body_suite(void)
{
	Suite *suite = suite_create("http_server_body");
	TCase *tests = tcase_create("http_server_body");

	tcase_add_test(tests, body_by_length);
	tcase_add_test(tests, body_without_length_is_empty);
	tcase_add_test(tests, body_in_chunks);
	tcase_add_test(tests, body_large_by_length);
	tcase_add_test(tests, body_large_in_chunks);
	tcase_add_test(tests, continue_at_once);
	tcase_add_test(tests, continue_is_needless);
	tcase_add_test(tests, continue_in_order);
	tcase_add_test(tests, continue_waits_for_the_flush_of_answers);
	suite_add_tcase(suite, tests);
	return suite;
}
