#include "net/http_server_impl.h"
#include "tests/unit/http_site.h"
#include "tests/unit/suites.h"
#include <sys/socket.h>
#include <unistd.h>

static void
check_order(const struct buf *bytes, const char *first, const char *second)
{
	const uint8_t *one =
	    memmem(bytes->data, bytes->size, first, strlen(first));
	const uint8_t *two =
	    memmem(bytes->data, bytes->size, second, strlen(second));

	ck_assert_ptr_nonnull(one);
	ck_assert_ptr_nonnull(two);
	ck_assert(one < two);
}

/* One request under way: the second is read when the first has its answer. */
START_TEST(client_pipeline_one_by_one)
{
	struct http_site site;

	http_site_begin(&site);
	site.probe.hold = true;
	http_site_say(&site, GET("/1") GET("/2") GET("/3"));
	probe_settle(&site.probe);
	probe_check_events(&site.probe, "GET /1\n");
	probe_answer(&site.probe, 0);
	ck_assert_uint_eq(http_server_deadline(site.probe.server), 0);
	probe_settle(&site.probe);
	probe_check_events(&site.probe, "GET /2\n");
	site.probe.hold = false;
	http_site_hear(&site, "\r\n\r\n/3");
	ck_assert_uint_eq(probe_count(&site.received, "HTTP/1.1 200"), 3);
	http_site_end(&site);
}
END_TEST

/* Answers from within on_request do not pile up on the stack or in turns. */
START_TEST(client_pipeline_answered_at_once)
{
	struct http_site site;
	struct buf requests = { 0 };

	http_site_begin(&site);
	site.probe.at_once = true;
	for (unsigned i = 0; i < 500; i++)
		buf_append_text(&requests, GET("/1"));
	buf_append_text(&requests, GET("/last"));
	probe_send(&site.probe, site.fd, buf_slice(&requests));
	http_site_hear(&site, "\r\n\r\n/last");
	ck_assert_uint_eq(probe_count(&site.received, "HTTP/1.1 200"), 501);
	buf_release(&requests);
	http_site_end(&site);
}
END_TEST

START_TEST(peer_pipeline_keeps_the_order)
{
	struct http_site site;

	http_site_begin(&site);
	site.probe.pipelining = true;
	site.probe.hold = true;
	http_site_say(&site, GET("/1") GET("/2") GET("/3"));
	probe_settle(&site.probe);
	ck_assert_uint_eq(site.probe.pending_count, 3);
	probe_answer(&site.probe, 2);
	probe_answer(&site.probe, 1);
	http_site_hear_nothing(&site);
	probe_answer(&site.probe, 0);
	http_site_hear(&site, "\r\n\r\n/3");
	check_order(&site.received, "/1", "/2");
	http_site_end(&site);
}
END_TEST

START_TEST(peer_pipeline_max)
{
	struct http_site site;

	http_site_begin(&site);
	site.probe.pipelining = true;
	site.probe.hold = true;
	for (unsigned i = 0; i < HTTP_PIPELINE_MAX + 5; i++)
		http_site_say(&site, GET("/1"));
	probe_settle(&site.probe);
	ck_assert_uint_eq(site.probe.requests, HTTP_PIPELINE_MAX);
	probe_answer(&site.probe, 0);
	probe_settle(&site.probe);
	ck_assert_uint_eq(site.probe.requests, HTTP_PIPELINE_MAX + 1);
	http_site_end(&site);
}
END_TEST

/* A refused request behind others: theirs are answered first. */
START_TEST(peer_pipeline_refused_in_order)
{
	struct http_site site;

	http_site_begin(&site);
	site.probe.pipelining = true;
	site.probe.hold = true;
	http_site_say(&site, GET("/1") "GET / HTTP/1.1\r\n\r\n" GET("/3"));
	probe_settle(&site.probe);
	http_site_hear_nothing(&site);
	probe_answer(&site.probe, 0);
	http_site_hear_end(&site);
	check_order(&site.received, " 200 ", " 400 ");
	probe_check_events(&site.probe, "GET /1\nrefused 400\n");
	http_site_end(&site);
}
END_TEST

/* The first answer says close: nobody waits for the others. */
START_TEST(peer_pipeline_ended_by_its_first)
{
	struct http_site site;

	http_site_begin(&site);
	site.probe.pipelining = true;
	site.probe.hold = true;
	http_site_say(&site, GET("/close") GET("/2") GET("/3"));
	probe_settle(&site.probe);
	probe_answer(&site.probe, 1);
	probe_answer(&site.probe, 0);
	probe_answer(&site.probe, 0);
	http_site_hear_end(&site);
	ck_assert_uint_eq(probe_count(&site.received, "HTTP/1.1 200"), 1);
	ck_assert_uint_eq(site.probe.abandoned, 0);
	http_site_end(&site);
}
END_TEST

/* More than two passes take. */
#define RUSH 1000

static void
say_often(struct http_site *site, unsigned count, const char *last)
{
	struct buf bytes = { 0 };

	for (unsigned i = 0; i < count; i++)
		buf_append_text(&bytes, GET("/rush"));
	buf_append_text(&bytes, last);
	ck_assert_int_eq(send(site->fd, bytes.data, bytes.size, MSG_NOSIGNAL),
	    (ssize_t)bytes.size);
	buf_release(&bytes);
}

/* One client that sends many requests ahead gets some of each pass, and the
 * others get theirs. */
START_TEST(pass_is_bounded)
{
	struct http_site site;
	struct probe *probe = &site.probe;
	unsigned seen = 0;
	int other;

	http_site_begin(&site);
	probe->at_once = true;
	probe_await_connections(probe, 1);
	say_often(&site, RUSH, "");
	probe_turn(probe);
	ck_assert_uint_gt(probe->requests, 0);
	while (probe->requests < RUSH) {
		ck_assert_uint_gt(probe->requests, seen);
		ck_assert_uint_le(
		    probe->requests - seen, 2 * HTTP_REQUESTS_PER_PASS);
		ck_assert_uint_eq(http_server_deadline(probe->server), 0);
		seen = probe->requests;
		if (seen < RUSH / 2) {
			other = probe_connect(probe);
			ck_assert_int_gt(send(other, GET("/other"),
					     strlen(GET("/other")), 0),
			    0);
			/* Accepted, read, and the next to come up. */
			for (unsigned i = 0; i < 3; i++)
				probe_turn(probe);
			ck_assert_uint_eq(
			    probe_count(&probe->events, "/other"), 1);
			close(other);
			buf_reset(&probe->events);
			seen = probe->requests;
		}
		probe_turn(probe);
	}
	while (probe_count(&site.received, "HTTP/1.1 200 OK") < RUSH) {
		ck_assert(probe_receive(site.fd, &site.received));
		probe_turn(probe);
	}
	probe_settle(probe);
	ck_assert_uint_gt(
	    http_server_deadline(probe->server), loop_now(probe->loop));
	http_site_end(&site);
}
END_TEST

/* Two that send ahead take turns. */
START_TEST(pass_is_shared)
{
	struct http_site site;
	struct probe *probe = &site.probe;
	struct buf received = { 0 };
	int other;

	http_site_begin(&site);
	other = probe_connect(probe);
	probe->at_once = true;
	probe_await_connections(probe, 2);
	say_often(&site, RUSH, "");
	say_often(&(struct http_site){ .fd = other }, RUSH, "");
	for (unsigned i = 0; i < 4; i++)
		probe_turn(probe);
	ck_assert(probe_receive(site.fd, &site.received));
	ck_assert(probe_receive(other, &received));
	ck_assert_uint_gt(site.received.size, 0);
	ck_assert_uint_gt(received.size, 0);
	close(other);
	buf_release(&received);
	http_site_end(&site);
}
END_TEST

/* The rest of a head that follows is waited for, and not looked at for ever. */
START_TEST(pass_ends_in_a_head)
{
	struct http_site site;
	struct probe *probe = &site.probe;

	http_site_begin(&site);
	probe->at_once = true;
	probe_await_connections(probe, 1);
	say_often(&site, RUSH, "GET /last HT");
	while (probe->requests < RUSH)
		probe_turn(probe);
	probe_settle(probe);
	ck_assert_uint_gt(
	    http_server_deadline(probe->server), loop_now(probe->loop));
	ck_assert_uint_le(http_server_deadline(probe->server),
	    loop_now(probe->loop) + probe_params.header_timeout_us);
	http_site_say(&site, "TP/1.1\r\n" HOST "\r\n");
	http_site_hear(&site, "\r\n\r\n/last");
	http_site_end(&site);
}
END_TEST

START_TEST(pass_spares_peers)
{
	struct http_site site;

	http_site_begin(&site);
	site.probe.at_once = true;
	site.probe.protecting = true;
	probe_await_connections(&site.probe, 1);
	say_often(&site, RUSH, "");
	probe_turn(&site.probe);
	ck_assert_uint_eq(site.probe.requests, RUSH);
	http_site_end(&site);
}
END_TEST

/* Who does not take its answers has no more requests answered, and costs no
 * passes; later it gets them all. */
START_TEST(unsent_is_bounded)
{
	struct http_site site;
	struct probe *probe = &site.probe;

	http_site_begin(&site);
	probe->at_once = true;
	probe->answer_size = 1024 * 1024;
	probe_await_connections(probe, 1);
	say_often(&site, 40, "");
	probe_turn(probe);
	/* One of the pass, one behind it. */
	ck_assert_uint_le(probe->requests, 2);
	for (unsigned i = 0; i < 50; i++)
		probe_turn(probe);
	ck_assert_uint_lt(probe->requests, 40);
	ck_assert_uint_gt(
	    http_server_deadline(probe->server), loop_now(probe->loop));
	while (site.received.size < 40 * probe->answer_size) {
		ck_assert(probe_receive(site.fd, &site.received));
		probe_turn(probe);
	}
	ck_assert_uint_eq(probe->requests, 40);
	http_site_end(&site);
}
END_TEST

Suite *
http_server_pipeline_suite(void)
{
	Suite *suite = suite_create("http_server_pipeline");
	TCase *tests = tcase_create("http_server_pipeline");

	tcase_add_test(tests, client_pipeline_one_by_one);
	tcase_add_test(tests, client_pipeline_answered_at_once);
	tcase_add_test(tests, peer_pipeline_keeps_the_order);
	tcase_add_test(tests, peer_pipeline_max);
	tcase_add_test(tests, peer_pipeline_refused_in_order);
	tcase_add_test(tests, peer_pipeline_ended_by_its_first);
	tcase_add_test(tests, pass_is_bounded);
	tcase_add_test(tests, pass_is_shared);
	tcase_add_test(tests, pass_ends_in_a_head);
	tcase_add_test(tests, pass_spares_peers);
	tcase_add_test(tests, unsent_is_bounded);
	suite_add_tcase(suite, tests);
	return suite;
}
