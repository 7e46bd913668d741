#include "api/api_watches.h"
#include "common/macros.h"
#include "tests/unit/api_stage.h"
#include "tests/unit/suites.h"
#include "tests/unit/watch_client.h"

#include <inttypes.h>
#include <stdio.h>

/* What ends a stream, or does not let it begin. */

/* ---- Slow readers ---- */

/* It is let go with a place to go on from; nobody waited for it. */
START_TEST(slow_reader_overflows)
{
	struct watch_client slow = watch_client_open(one, "/watch", "");
	struct watch_client fast =
	    watch_client_open(one, "/watch?prefix=copy/", "");
	uint64_t last = 0;
	unsigned count = 0;
	unsigned number = 0;
	char target[64];

	api_stage_await_watchers(2);
	world_put_large(world);
	while (api_watches_count(one->api) == 2) {
		world_copy_large(world, number++);
		watch_client_receive(&fast);
		ck_assert_uint_lt(number, 1000);
	}
	world_copy_large(world, number++);
	for (unsigned i = 0; i < number * WORLD_COPIES; i++) {
		const char *line = watch_client_line(&fast);

		ck_assert_uint_eq(watch_client_number(line, "\"revision\":"),
		    i / WORLD_COPIES + 2);
	}
	ck_assert_uint_eq(watch_client_number(watch_client_read_to_end(&slow,
						  "overflow", &last, &count),
			      "\"resume\":"),
	    last);
	watch_client_expect_end(&slow);
	ck_assert_uint_eq(count, (last - 1) * WORLD_COPIES + 1);
	ck_assert_uint_lt(last, api_stage_revision());
	watch_client_close(&slow);
	watch_client_close(&fast);
	snprintf(target, sizeof(target), "/watch?since=%" PRIu64, last);
	slow = watch_client_open(one, target, "");
	ck_assert_uint_eq(
	    watch_client_number(watch_client_line(&slow), "\"revision\":"),
	    last + 1);
	watch_client_close(&slow);
}
END_TEST

/* More at once than may be unsent, of one and of all, is no reason to let go
 * those that read what they get: they are told of the rest by and by. */
START_TEST(bursts_end_nobody_who_keeps_up)
{
	struct watch_client clients[SITE_WATCHERS_MAX];
	const unsigned count = 120;

	for (size_t i = 0; i < ARRAY_COUNT(clients); i++)
		clients[i] = watch_client_open(one, "/watch?prefix=copy/",
		    i == 0 ? "Accept: text/event-stream\r\n" : "");
	api_stage_await_watchers(ARRAY_COUNT(clients));
	world_put_large(world);
	world_copy_at_once(world, count);
	for (unsigned i = 0; i < count * WORLD_COPIES; i++) {
		for (size_t k = 1; k < ARRAY_COUNT(clients); k++)
			ck_assert_uint_eq(
			    watch_client_number(watch_client_line(&clients[k]),
				"\"revision\":"),
			    i / WORLD_COPIES + 2);
		watch_client_receive(&clients[0]);
	}
	/* They are live again. */
	api_stage_put("/kv/copy/last", "1");
	for (size_t k = 1; k < ARRAY_COUNT(clients); k++)
		ck_assert_ptr_nonnull(
		    strstr(watch_client_line(&clients[k]), "copy/last"));
	ck_assert_uint_eq(api_watches_count(one->api), ARRAY_COUNT(clients));
	for (size_t i = 0; i < ARRAY_COUNT(clients); i++)
		watch_client_close(&clients[i]);
}
END_TEST

/* One that reads history takes the time that it needs. */
START_TEST(history_waits_for_the_reader)
{
	struct watch_client client;
	size_t unread;

	world_fill(world);
	client = watch_client_open(one, "/watch?prefix=copy/&since=0", "");
	for (int i = 0; i < 200; i++)
		world_pass(world);
	ck_assert_uint_eq(api_watches_count(one->api), 1);
	watch_client_receive(&client);
	unread = client.text.size + client.raw.size;
	ck_assert_uint_lt(unread, 300 * WORLD_COPIES * 1000);
	world_copy_large(world, 300);
	for (unsigned i = 0; i < 301 * WORLD_COPIES; i++) {
		const char *line = watch_client_line(&client);

		ck_assert_uint_eq(watch_client_number(line, "\"revision\":"),
		    i / WORLD_COPIES + 2);
	}
	watch_client_expect_silence(&client);
	watch_client_close(&client);
}
END_TEST

START_TEST(history_compacted_under_a_reader)
{
	struct watch_client client;
	uint64_t last = 0;
	unsigned count = 0;
	char target[64];

	world_fill(world);
	client = watch_client_open(one, "/watch?since=0", "");
	for (int i = 0; i < 200; i++)
		world_pass(world);
	world_compact(world, api_stage_revision());
	ck_assert_uint_eq(watch_client_number(watch_client_read_to_end(&client,
						  "overflow", &last, &count),
			      "\"resume\":"),
	    last);
	watch_client_expect_end(&client);
	ck_assert_uint_lt(last, api_stage_revision());
	watch_client_close(&client);
	snprintf(target, sizeof(target), "/watch?since=%" PRIu64, last);
	assert_problem(site_get(one, target), 410, "compacted");
}
END_TEST

/* Half a state: nothing to go on from but the whole of history. */
START_TEST(snapshot_compacted_under_a_reader)
{
	struct watch_client client;
	uint64_t last;
	unsigned count = 0;

	world_fill(world);
	client = watch_client_open(one, "/watch?snapshot=1", "");
	for (int i = 0; i < 200; i++)
		world_pass(world);
	api_stage_put("/kv/a", "1");
	world_compact(world, api_stage_revision());
	ck_assert_str_eq(
	    watch_client_read_to_end(&client, "overflow", &last, &count),
	    "{\"type\":\"overflow\",\"resume\":0}");
	watch_client_expect_end(&client);
	ck_assert_uint_lt(count, 300 * WORLD_COPIES);
	watch_client_close(&client);
}
END_TEST

/* The state of another node replaces this one's, with a shorter history. */
START_TEST(installed_state_without_the_history)
{
	struct watch_client behind = watch_client_open(one, "/watch", "");
	struct watch_client ahead =
	    watch_client_open(one, "/watch?since=100000&consistency=stale", "");
	struct node_status status;
	uint64_t last = 0;
	unsigned count = 0;

	api_stage_put("/kv/a", "1");
	watch_client_expect(&behind,
	    "{\"type\":\"put\",\"key\":\"a\",\"value\":\"1\",\"revision\":1,"
	    "\"created\":1,\"version\":1}");
	one->frozen = true;
	world_put_large(world);
	for (unsigned i = 0; i < 1500; i++)
		world_put_large(world);
	world_compact(world, 1000);
	for (int i = 0; i < 2000; i++)
		world_pass(world);
	one->frozen = false;
	world_converge(world);
	node_get_status(one->node, loop_now(world->loop), &status);
	ck_assert_uint_eq(status.snapshots_installed, 1);
	/* It had received a little before it stopped. */
	last = 1;
	ck_assert_uint_eq(watch_client_number(watch_client_read_to_end(&behind,
						  "overflow", &last, &count),
			      "\"resume\":"),
	    last);
	ck_assert_uint_lt(last, 1000);
	watch_client_expect_end(&behind);
	watch_client_expect_silence(&ahead);
	watch_client_close(&behind);
	watch_client_close(&ahead);
}
END_TEST

/* ---- Positions ---- */

START_TEST(compacted_410)
{
	struct watch_client client;
	struct reply reply;

	api_stage_put("/kv/a", "1");
	api_stage_put("/kv/a", "2");
	api_stage_put("/kv/a", "3");
	world_compact(world, 2);
	reply = site_get(one, "/watch?prefix=%61&since=1&prev=1");
	assert_contains(&reply, "\"oldest\":2,\"current\":3");
	assert_contains(&reply, "\"hint\":\"repeat with snapshot=1\"");
	assert_contains(
	    &reply, "\"next\":\"/watch?prefix=%61&prev=1&snapshot=1\"");
	assert_problem(reply, 410, "compacted");
	reply = site_get(one, "/watch/\xe9?since=0");
	assert_contains(&reply, "\"next\":\"/watch/%E9?snapshot=1\"");
	assert_problem(reply, 410, "compacted");
	client = watch_client_open(one, "/watch?since=2", "");
	ck_assert_ptr_nonnull(
	    strstr(watch_client_line(&client), "\"revision\":3,"));
	watch_client_close(&client);
	/* And what it says to do works, also as an addition. */
	client = watch_client_open(one, "/watch?since=1&snapshot=1", "");
	ck_assert_ptr_nonnull(
	    strstr(watch_client_line(&client), "\"revision\":3,"));
	watch_client_expect(&client, "{\"type\":\"synced\",\"revision\":3}");
	watch_client_close(&client);
}
END_TEST

/* A revision that no node has: of another cluster, or of before a restore. */
START_TEST(future_400)
{
	struct watch_client client;
	struct reply reply;

	api_stage_put("/kv/a", "1");
	reply = site_get(one, "/watch?since=2");
	assert_contains(&reply, "\"current\":1");
	assert_problem(reply, 400, "bad_request");
	/* Nothing that was seen there is of use, and the whole state is. */
	client = watch_client_open(one, "/watch?since=2&snapshot=1", "");
	ck_assert_ptr_nonnull(
	    strstr(watch_client_line(&client), "\"revision\":1,"));
	watch_client_expect(&client, "{\"type\":\"synced\",\"revision\":1}");
	watch_client_close(&client);
}
END_TEST

/* A client that comes from a node that was ahead waits for this one. */
START_TEST(a_node_that_lags_is_waited_for)
{
	struct site *follower = one;
	struct watch_client client;

	one = world_leader(world);
	follower->frozen = true;
	api_stage_put("/kv/a", "1");
	api_stage_put("/kv/a", "2");
	client = watch_client_send(follower, "/watch?since=1", "");
	for (int i = 0; i < 20; i++)
		world_pass(world);
	follower->frozen = false;
	while (client.head.size == 0) {
		world_pass(world);
		watch_client_receive(&client);
	}
	ck_assert_ptr_nonnull(
	    strstr(watch_client_line(&client), "\"revision\":2,"));
	watch_client_close(&client);
}
END_TEST

/* With no quorum at all, too: it is told what comes when it comes. */
START_TEST(resumes_without_a_leader)
{
	struct watch_client present;
	struct watch_client future;

	api_stage_put("/kv/a", "1");
	world_converge(world);
	for (unsigned i = 0; i < world->count; i++) {
		if (&world->site[i] != one)
			site_stop(&world->site[i]);
	}
	while (node_leader(one->node) != 0)
		world_pass(world);
	present = watch_client_open(one, "/watch?since=0", "");
	ck_assert_ptr_nonnull(
	    strstr(watch_client_line(&present), "\"revision\":1,"));
	future = watch_client_send(one, "/watch?since=2", "");
	site_pass_until_busy(one);
	for (int i = 0; i < 20; i++)
		world_pass(world);
	api_expire(one->api, world_later(world, SITE_TIMEOUT_US + 1));
	api_stage_await_watchers(2);
	for (unsigned i = 0; i < world->count; i++) {
		if (&world->site[i] != one)
			site_start(&world->site[i]);
	}
	while (node_leader(one->node) == 0)
		world_pass(world);
	api_stage_put("/kv/a", "2");
	api_stage_put("/kv/a", "3");
	ck_assert_ptr_nonnull(
	    strstr(watch_client_line(&present), "\"revision\":2,"));
	ck_assert_ptr_nonnull(
	    strstr(watch_client_line(&future), "\"revision\":3,"));
	watch_client_close(&present);
	watch_client_close(&future);
}
END_TEST

/* ---- Requests that are none ---- */

START_TEST(refused_400)
{
	static const char *const targets[] = {
		"/watch?prefix=a&start=b",
		"/watch?prefix=a&end=b",
		"/watch?start=b&end=a",
		"/watch?start=b&end=b",
		"/watch?snapshot=1&wait=1s",
		"/watch?since=x",
		"/watch?since=1&since=1",
		"/watch?wait=0s",
		"/watch?wait=11m",
		"/watch?keys=1",
		"/watch/a?prefix=b",
	};
	char target[700];

	for (size_t i = 0; i < ARRAY_COUNT(targets); i++)
		assert_problem(site_get(one, targets[i]), 400, "bad_request");
	snprintf(target, sizeof(target), "/watch?prefix=%0600d", 0);
	assert_problem(site_get(one, target), 400, "bad_request");
	ck_assert_uint_eq(api_watches_count(one->api), 0);
}
END_TEST

/* All kinds count; who leaves makes room. */
START_TEST(too_many_watchers_429)
{
	static const char *const targets[] = { "/watch", "/watch?wait=10m",
		"/kv/a?wait=10m" };
	struct watch_client clients[ARRAY_COUNT(targets)];
	struct reply reply;

	one->api->params.watchers_max = ARRAY_COUNT(targets);
	for (size_t i = 0; i < ARRAY_COUNT(targets); i++)
		clients[i] = watch_client_send(one, targets[i], "");
	api_stage_await_watchers(ARRAY_COUNT(targets));
	for (size_t i = 0; i < ARRAY_COUNT(targets); i++) {
		reply = site_get(one, targets[i]);
		assert_contains(&reply, "\"limit\":3");
		assert_contains(&reply, "\"option\":\"http.max-watchers\"");
		assert_status(&reply, 429);
		ck_assert_str_eq(reply_header(&reply, "Retry-After"), "1");
		assert_contains(&reply, "\"code\":\"too_many_watchers\"");
		reply_release(&reply);
	}
	reply = site_get(one, "/metrics");
	assert_contains(&reply, "\nluminous_watchers 3\n");
	reply_release(&reply);
	watch_client_close(&clients[0]);
	api_stage_await_watchers(ARRAY_COUNT(targets) - 1);
	clients[0] = watch_client_open(one, "/watch", "");
	for (size_t i = 0; i < ARRAY_COUNT(targets); i++)
		watch_client_close(&clients[i]);
	api_stage_await_watchers(0);
}
END_TEST

START_TEST(metrics_count)
{
	struct watch_client client = watch_client_open(one, "/watch", "");
	struct reply reply;

	api_stage_put("/kv/a", "1");
	(void)watch_client_line(&client);
	reply = site_get(one, "/metrics");
	assert_contains(&reply, "\nluminous_watchers 1\n");
	assert_contains(&reply, "\nluminous_watch_events_total ");
	assert_contains(&reply, "\nluminous_watch_overflows_total ");
	reply_release(&reply);
	watch_client_close(&client);
}
END_TEST

static TCase *
new_case(const char *name, void (*setup)(void))
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, setup, api_stage_end);
	return tcase;
}

static void
add_positions(Suite *suite)
{
	TCase *tcase = new_case("positions", api_stage_unlimited);

	tcase_add_test(tcase, compacted_410);
	tcase_add_test(tcase, future_400);
	tcase_add_test(tcase, refused_400);
	tcase_add_test(tcase, too_many_watchers_429);
	tcase_add_test(tcase, metrics_count);
	suite_add_tcase(suite, tcase);
}

Suite *
api_watch_limits_suite(void)
{
	Suite *suite = suite_create("api_watch_limits");
	TCase *tcase = new_case("readers", api_stage_unlimited);
	TCase *roomy = new_case("roomy", api_stage_roomy);
	TCase *three = new_case("three", api_stage_three);

	tcase_add_test(roomy, bursts_end_nobody_who_keeps_up);
	suite_add_tcase(suite, roomy);
	tcase_add_test(tcase, slow_reader_overflows);
	tcase_add_test(tcase, history_waits_for_the_reader);
	tcase_add_test(tcase, history_compacted_under_a_reader);
	tcase_add_test(tcase, snapshot_compacted_under_a_reader);
	suite_add_tcase(suite, tcase);
	add_positions(suite);
	tcase_add_test(three, installed_state_without_the_history);
	tcase_add_test(three, a_node_that_lags_is_waited_for);
	tcase_add_test(three, resumes_without_a_leader);
	suite_add_tcase(suite, three);
	return suite;
}
