#include "common/log.h"
#include "tests/unit/http_site.h"
#include "tests/unit/suites.h"
#include <sys/resource.h>
#include <unistd.h>

/* The connections that two of the tests open. */
#define CROWD (2 + HTTP_RESERVED_CONNECTIONS)

static void
connect_all(struct probe *probe, int *fds, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		fds[i] = probe_connect(probe);
		probe_settle(probe);
	}
}

static void
start_limited(struct probe *probe, uint32_t connections_max)
{
	struct http_server_params params = probe_params;

	params.connections_max = connections_max;
	probe_start(probe, &params);
}

/* Above the limit only what is reserved is served. */
START_TEST(limit_connections)
{
	struct probe probe;
	struct buf received = { 0 };
	int fds[4];

	start_limited(&probe, 2);
	connect_all(&probe, fds, 4);
	probe_send_text(&probe, fds[2], GET("/1"));
	probe_check_last_answer(&probe, fds[2], 503);
	probe_check_events(&probe, "refused 503 2 http.max-connections\n");
	probe_send_text(&probe, fds[3], GET("/reserved"));
	probe_await_text(&probe, fds[3], &received, "\r\n\r\n/reserved");
	probe_send_text(&probe, fds[3], GET("/1"));
	probe_check_last_answer(&probe, fds[3], 503);
	buf_release(&received);
	close(fds[0]);
	close(fds[1]);
	probe_stop(&probe);
}
END_TEST

/* When others have gone, a connection above the limit is one below it. */
START_TEST(limit_connections_forgives)
{
	struct probe probe;
	struct buf received = { 0 };
	int fds[2];

	start_limited(&probe, 1);
	connect_all(&probe, fds, 2);
	close(fds[0]);
	probe_settle(&probe);
	probe_send_text(&probe, fds[1], GET("/1"));
	probe_await_text(&probe, fds[1], &received, "\r\n\r\n/1");
	close(fds[1]);
	buf_release(&received);
	probe_stop(&probe);
}
END_TEST

/* Above the limit nobody sits silent for the time of an idle connection. */
START_TEST(limit_connections_shortens_idle)
{
	struct http_server_params params = probe_params;
	struct http_site site;

	params.connections_max = 0;
	http_site_begin_with(&site, &params);
	probe_settle(&site.probe);
	ck_assert_uint_le(http_server_deadline(site.probe.server),
	    loop_now(site.probe.loop) + params.header_timeout_us);
	probe_expire(&site.probe, http_server_deadline(site.probe.server));
	http_site_hear_end(&site);
	ck_assert_uint_eq(site.received.size, 0);
	http_site_end(&site);
}
END_TEST

/* L3: a flood of clients cannot keep a peer out, nor push one out. */
START_TEST(reserved_places_are_for_peers)
{
	struct probe probe;
	struct buf received = { 0 };
	int fds[CROWD];
	int late;

	start_limited(&probe, 2);
	connect_all(&probe, fds, CROWD);
	ck_assert_uint_eq(http_server_connections(probe.server), CROWD);
	late = probe_connect(&probe);
	probe_settle(&probe);
	ck_assert_uint_eq(http_server_connections(probe.server), CROWD);
	probe_send_text(&probe, late, GET("/reserved"));
	probe_await_text(&probe, late, &received, "\r\n\r\n/reserved");
	/* The oldest above the limit had to go; those below stay. */
	probe_check_open(fds[0]);
	probe_check_open(fds[1]);
	ck_assert(!probe_receive(fds[2], &received));
	probe_check_open(fds[3]);
	for (unsigned i = 0; i < CROWD; i++)
		close(fds[i]);
	close(late);
	buf_release(&received);
	probe_stop(&probe);
}
END_TEST

/* However many peers there are, all clients find their places, and a flood of
 * clients takes none from a peer. */
START_TEST(peers_take_no_places)
{
	struct probe probe;
	struct buf received = { 0 };
	int peers[CROWD];
	int clients[CROWD];

	start_limited(&probe, 1);
	probe.protecting = true;
	for (unsigned i = 0; i < CROWD; i++) {
		peers[i] = probe_connect(&probe);
		probe_send_text(&probe, peers[i], GET("/reserved"));
		probe_settle(&probe);
	}
	probe.protecting = false;
	connect_all(&probe, clients, CROWD);
	ck_assert_uint_eq(http_server_connections(probe.server),
	    CROWD + 1 + HTTP_RESERVED_CONNECTIONS);
	probe_send_text(&probe, clients[0], GET("/client"));
	probe_await_text(&probe, clients[0], &received, "\r\n\r\n/client");
	probe_send_text(&probe, peers[0], GET("/forwarded"));
	probe_await_text(&probe, peers[0], &received, "\r\n\r\n/forwarded");
	for (unsigned i = 0; i < CROWD; i++) {
		close(peers[i]);
		close(clients[i]);
	}
	probe_await_connections(&probe, 0);
	buf_release(&received);
	probe_stop(&probe);
}
END_TEST

/* Out of file descriptors: a pause, no busy loop, and everybody gets in. */
START_TEST(accept_pauses_without_descriptors)
{
	struct http_site site;
	struct rlimit saved;
	struct rlimit none;
	uint64_t deadline_us;

	log_init(LOG_LEVEL_ERR, LOG_FORMAT_TEXT);
	http_site_begin(&site);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &saved), 0);
	none = saved;
	none.rlim_cur = (rlim_t)site.fd;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	probe_settle(&site.probe);
	ck_assert_uint_eq(http_server_connections(site.probe.server), 0);
	deadline_us = http_server_deadline(site.probe.server);
	ck_assert_uint_gt(deadline_us, loop_now(site.probe.loop));
	ck_assert_uint_le(deadline_us, loop_now(site.probe.loop) + 1000000);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &saved), 0);
	probe_expire(&site.probe, deadline_us);
	http_site_say(&site, GET("/1"));
	http_site_hear(&site, "\r\n\r\n/1");
	http_site_end(&site);
}
END_TEST

Suite *
http_server_crowd_suite(void)
{
	Suite *suite = suite_create("http_server_crowd");
	TCase *tests = tcase_create("http_server_crowd");

	tcase_add_test(tests, limit_connections);
	tcase_add_test(tests, limit_connections_forgives);
	tcase_add_test(tests, limit_connections_shortens_idle);
	tcase_add_test(tests, reserved_places_are_for_peers);
	tcase_add_test(tests, peers_take_no_places);
	tcase_add_test(tests, accept_pauses_without_descriptors);
	suite_add_tcase(suite, tests);
	return suite;
}
