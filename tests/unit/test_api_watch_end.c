#include "api/api_watches.h"
#include "common/macros.h"
#include "tests/unit/api_stage.h"
#include "tests/unit/suites.h"
#include "tests/unit/watch_client.h"

#include <stdio.h>

/* How watches end, and what is left of them. */

START_TEST(streams_end_with_the_node)
{
	struct watch_client live = watch_client_open(one, "/watch", "");

	api_stage_put("/kv/a", "1");
	(void)watch_client_line(&live);
	api_drain(one->api);
	watch_client_expect(&live, "{\"type\":\"closing\",\"resume\":1}");
	watch_client_expect_end(&live);
	watch_client_close(&live);
	assert_problem(site_get(one, "/watch"), 503, "shutting_down");
	ck_assert(api_idle(one->api));
}
END_TEST

START_TEST(blocked_streams_end_with_the_node)
{
	struct watch_client history;
	struct watch_client snapshot;
	uint64_t last = 0;
	unsigned count;

	world_fill(world);
	history = watch_client_open(one, "/watch?since=0", "");
	snapshot = watch_client_open(one, "/watch?snapshot=1", "");
	for (int i = 0; i < 200; i++)
		world_pass(world);
	api_drain(one->api);
	ck_assert_uint_eq(watch_client_number(watch_client_read_to_end(&history,
						  "closing", &last, &count),
			      "\"resume\":"),
	    last);
	ck_assert_uint_lt(last, api_stage_revision());
	watch_client_expect_end(&history);
	ck_assert_str_eq(
	    watch_client_read_to_end(&snapshot, "closing", &last, &count),
	    "{\"type\":\"closing\",\"resume\":0}");
	watch_client_expect_end(&snapshot);
	watch_client_close(&history);
	watch_client_close(&snapshot);
}
END_TEST

/* Who was removed hears nothing more, and says so to those who listen. */
START_TEST(streams_end_with_the_membership)
{
	struct watch_client live;
	char target[64];
	struct reply reply;

	api_stage_put("/kv/a", "1");
	live = watch_client_open(one, "/watch?since=1", "");
	snprintf(target, sizeof(target), "/cluster/members/%s", one->name);
	reply = site_ask(
	    world_leader(world), "DELETE", target, "", slice_of(NULL, 0));
	assert_status(&reply, 200);
	reply_release(&reply);
	watch_client_expect(&live, "{\"type\":\"closing\",\"resume\":1}");
	watch_client_expect_end(&live);
	watch_client_close(&live);
	assert_problem(site_get(one, "/watch?since=1"), 503, "removed");
}
END_TEST

/* Clients that leave in any phase. */
START_TEST(clients_that_leave)
{
	static const char *const targets[] = { "/watch", "/watch?since=0",
		"/watch?snapshot=1", "/watch?wait=10m", "/kv/a?wait=10m" };
	struct watch_client clients[ARRAY_COUNT(targets)];

	one->api->params.watchers_max = 100;
	api_stage_put("/kv/a", "1");
	world_fill(world);
	for (int passes = 0; passes < 20; passes++) {
		for (size_t i = 0; i < ARRAY_COUNT(targets); i++)
			clients[i] = watch_client_send(one, targets[i], "");
		for (int i = 0; i < passes; i++)
			world_pass(world);
		for (size_t i = 0; i < ARRAY_COUNT(targets); i++)
			watch_client_close(&clients[i]);
		if (passes % 4 == 0)
			api_stage_put("/kv/a", "2");
		for (int i = 0; i < 5; i++)
			world_pass(world);
	}
	api_stage_await_watchers(0);
	ck_assert(api_idle(one->api));
}
END_TEST

static TCase *
new_case(const char *name, void (*setup)(void))
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, setup, api_stage_end);
	return tcase;
}

Suite *
api_watch_end_suite(void)
{
	Suite *suite = suite_create("api_watch_end");
	TCase *tcase = new_case("one", api_stage_unlimited);
	TCase *three = new_case("three", api_stage_three);

	tcase_add_test(tcase, streams_end_with_the_node);
	tcase_add_test(tcase, blocked_streams_end_with_the_node);
	tcase_add_test(tcase, clients_that_leave);
	suite_add_tcase(suite, tcase);
	tcase_add_test(three, streams_end_with_the_membership);
	suite_add_tcase(suite, three);
	return suite;
}
