#include "tests/unit/http_site.h"
#include "tests/unit/suites.h"
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

/* It may have closed one half only; a peer never does. */
START_TEST(abandoned_by_close_of_a_peer)
{
	struct http_site site;

	http_site_begin(&site);
	site.probe.hold = true;
	site.probe.protecting = true;
	http_site_say(&site, GET("/1"));
	probe_settle(&site.probe);
	http_site_leave(&site);
	probe_check_events(&site.probe, "GET /1\nabandoned /1\n");
	ck_assert_uint_eq(http_server_connections(site.probe.server), 0);
	http_site_end(&site);
}
END_TEST

/* Of a request that says so, for a client that waits long. */
START_TEST(abandoned_early)
{
	struct http_site site;

	http_site_begin(&site);
	site.probe.hold = true;
	http_site_say(&site, GET("/1"));
	probe_settle(&site.probe);
	http_request_abandon_early(site.probe.pending[0]);
	shutdown(site.fd, SHUT_WR);
	probe_settle(&site.probe);
	probe_check_events(&site.probe, "GET /1\nabandoned /1\n");
	ck_assert_uint_eq(http_server_connections(site.probe.server), 0);
	http_site_leave(&site);
	http_site_end(&site);
}
END_TEST

/* The next one on the connection did not ask for it. */
START_TEST(abandoned_early_is_said_of_each)
{
	struct http_site site;

	http_site_begin(&site);
	site.probe.hold = true;
	http_site_say(&site, GET("/1"));
	probe_settle(&site.probe);
	http_request_abandon_early(site.probe.pending[0]);
	probe_answer(&site.probe, 0);
	http_site_say(&site, GET("/2"));
	probe_settle(&site.probe);
	shutdown(site.fd, SHUT_WR);
	probe_settle(&site.probe);
	probe_check_events(&site.probe, "GET /1\nGET /2\n");
	probe_answer(&site.probe, 0);
	http_site_hear_end(&site);
	ck_assert_uint_eq(probe_count(&site.received, "\r\n\r\n/2"), 1);
	http_site_end(&site);
}
END_TEST

START_TEST(abandoned_by_reset)
{
	struct http_site site;
	struct linger linger = { .l_onoff = 1, .l_linger = 0 };

	http_site_begin(&site);
	site.probe.hold = true;
	site.probe.pipelining = true;
	http_site_say(&site, GET("/1") GET("/2") "GET /par");
	probe_settle(&site.probe);
	ck_assert_int_eq(
	    setsockopt(site.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)),
	    0);
	http_site_leave(&site);
	probe_check_events(
	    &site.probe, "GET /1\nGET /2\nabandoned /1\nabandoned /2\n");
	http_site_end(&site);
}
END_TEST

START_TEST(abandoned_by_the_end_of_the_server)
{
	struct http_site site;

	http_site_begin(&site);
	site.probe.hold = true;
	http_site_say(&site, GET("/1"));
	probe_settle(&site.probe);
	http_server_free(site.probe.server);
	probe_check_events(&site.probe, "GET /1\nabandoned /1\n");
	site.probe.server = NULL;
	http_site_stop(&site);
}
END_TEST

/* A body that stops in the middle was no request: nobody is told. */
START_TEST(abandoned_in_the_body)
{
	struct http_site site;

	http_site_begin(&site);
	http_site_say(&site, CHUNKED "5\r\nhel");
	http_site_leave(&site);
	probe_check_events(&site.probe, "");
	ck_assert_uint_eq(http_server_connections(site.probe.server), 0);
	http_site_end(&site);
}
END_TEST

/* The answer is there before the end of the client's stream is seen. */
START_TEST(half_closed_client_gets_its_answer)
{
	struct http_site site;

	http_site_begin(&site);
	site.probe.at_once = true;
	http_site_say(&site, GET("/1"));
	shutdown(site.fd, SHUT_WR);
	http_site_hear_end(&site);
	ck_assert_uint_eq(probe_count(&site.received, "\r\n\r\n/1"), 1);
	http_site_end(&site);
}
END_TEST

/* RFC 9112, section 9.6: and every whole request of its pipeline is answered,
 * the last with "close" if nothing else came. */
START_TEST(half_closed_client_waits_for_its_answers)
{
	struct http_site site;

	http_site_begin(&site);
	site.probe.hold = true;
	http_site_say(&site,
	    _i == 0 ? GET("/1") GET("/2") : GET("/1") GET("/2") "GET /par");
	shutdown(site.fd, SHUT_WR);
	probe_settle(&site.probe);
	probe_check_events(&site.probe, "GET /1\n");
	probe_answer(&site.probe, 0);
	probe_settle(&site.probe);
	probe_check_events(&site.probe, "GET /2\n");
	ck_assert_uint_eq(http_server_connections(site.probe.server), 1);
	probe_answer(&site.probe, 0);
	http_site_hear_end(&site);
	ck_assert_uint_eq(probe_count(&site.received, "\r\n\r\n/1"), 1);
	ck_assert_uint_eq(probe_count(&site.received, "\r\n\r\n/2"), 1);
	ck_assert_uint_eq(
	    probe_count(&site.received, "Connection: close\r\n"), 1 - _i);
	probe_check_events(&site.probe, "");
	ck_assert_uint_eq(http_server_connections(site.probe.server), 0);
	http_site_end(&site);
}
END_TEST

/* What will never be a whole request keeps no connection. */
START_TEST(half_closed_client_without_a_request_is_closed)
{
	static const char *const texts[] = { "", "GET /par", CHUNKED "5\r\nhel",
		"PUT /k HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel" };

	for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
		struct http_site site;

		http_site_begin(&site);
		if (texts[i][0] != '\0')
			http_site_say(&site, texts[i]);
		probe_settle(&site.probe);
		shutdown(site.fd, SHUT_WR);
		http_site_hear_end(&site);
		ck_assert_uint_eq(site.received.size, 0);
		probe_check_events(&site.probe, "");
		http_site_end(&site);
	}
}
END_TEST

/* A client that has hung up is found out when its answer is sent. */
START_TEST(closed_client_leaves_nothing_behind)
{
	struct http_site site;

	http_site_begin(&site);
	site.probe.hold = true;
	http_site_say(&site, GET("/1"));
	probe_settle(&site.probe);
	http_site_leave(&site);
	ck_assert_uint_eq(http_server_connections(site.probe.server), 1);
	probe_answer(&site.probe, 0);
	probe_settle(&site.probe);
	ck_assert_uint_eq(http_server_connections(site.probe.server), 0);
	http_site_end(&site);
}
END_TEST

static void
check_connect_refused(uint16_t port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_eq(connect(fd, (void *)&address, sizeof(address)), -1);
	ck_assert_int_eq(errno, ECONNREFUSED);
	close(fd);
}

START_TEST(drain)
{
	struct probe probe;
	struct buf received = { 0 };
	uint16_t port;
	int idle;
	int busy;
	int partial;
	int body;

	probe_start(&probe, &probe_params);
	probe.hold = true;
	port = http_server_port(probe.server);
	idle = probe_connect(&probe);
	busy = probe_connect(&probe);
	partial = probe_connect(&probe);
	body = probe_connect(&probe);
	probe_send_text(&probe, busy, GET("/1"));
	probe_send_text(&probe, partial, "PUT /2 HTTP/1.1\r\n" HOST);
	probe_send_text(&probe, body,
	    "PUT /3 HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\n");
	probe_settle(&probe);
	http_server_drain(probe.server);
	check_connect_refused(port);
	probe_await_end(&probe, idle, &received);
	probe_await_end(&probe, partial, &received);
	ck_assert_uint_eq(received.size, 0);
	probe_check_open(busy);
	probe.hold = false;
	probe_check_last_answer(&probe, busy, 200);
	probe_send_text(&probe, body, "a");
	probe_check_last_answer(&probe, body, 200);
	ck_assert_uint_eq(http_server_connections(probe.server), 0);
	buf_release(&received);
	probe_stop(&probe);
}
END_TEST

/* An answer that the socket has not taken is no idle connection. */
START_TEST(drain_of_unsent_answers)
{
	struct http_site site;

	http_site_begin(&site);
	site.probe.answer_size = 16 * 1024 * 1024;
	http_site_say(&site, GET("/1"));
	probe_settle(&site.probe);
	http_server_drain(site.probe.server);
	http_site_hear_end(&site);
	ck_assert_uint_gt(site.received.size, site.probe.answer_size);
	ck_assert_uint_eq(http_server_connections(site.probe.server), 0);
	http_site_end(&site);
}
END_TEST

START_TEST(drain_of_unflushed_answers)
{
	struct http_site site;

	http_site_begin(&site);
	site.probe.hold = true;
	http_site_say(&site, GET("/1"));
	probe_settle(&site.probe);
	probe_answer(&site.probe, 0);
	http_server_drain(site.probe.server);
	http_site_hear_end(&site);
	ck_assert_uint_eq(probe_count(&site.received, "\r\n\r\n/1"), 1);
	http_site_end(&site);
}
END_TEST

Suite *
http_server_close_suite(void)
{
	Suite *suite = suite_create("http_server_close");
	TCase *tests = tcase_create("http_server_close");

	tcase_add_test(tests, abandoned_by_close_of_a_peer);
	tcase_add_test(tests, abandoned_early);
	tcase_add_test(tests, abandoned_early_is_said_of_each);
	tcase_add_test(tests, abandoned_by_reset);
	tcase_add_test(tests, abandoned_by_the_end_of_the_server);
	tcase_add_test(tests, abandoned_in_the_body);
	tcase_add_test(tests, half_closed_client_gets_its_answer);
	tcase_add_loop_test(
	    tests, half_closed_client_waits_for_its_answers, 0, 2);
	tcase_add_test(tests, half_closed_client_without_a_request_is_closed);
	tcase_add_test(tests, closed_client_leaves_nothing_behind);
	tcase_add_test(tests, drain);
	tcase_add_test(tests, drain_of_unsent_answers);
	tcase_add_test(tests, drain_of_unflushed_answers);
	suite_add_tcase(suite, tests);
	return suite;
}
