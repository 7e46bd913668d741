#include "api/api_impl.h"
#include "common/macros.h"
#include "tests/unit/api_stage.h"
#include "tests/unit/suites.h"
#include "tests/unit/watch_client.h"

/* Server-sent events, as a browser's EventSource reads them: by its rules, an
 * id counts when its block ends, whether that has data or not. */

#define SSE "Accept: text/event-stream\r\n"

/* `lines` ends with NULL. */
static void
expect_lines(struct watch_client *client, const char *const *lines)
{
	for (; *lines != NULL; lines++)
		watch_client_expect(client, *lines);
}

/* A browser that is cut off before anything happens knows where it was. */
START_TEST(begins_with_where_it_is)
{
	static const char *const greeting[] = { "retry: 2000", "id: 1", "",
		NULL };
	static const char *const event[] = { "event: put", "id: 2",
		"data: {\"key\":\"a\",\"value\":\"2\",\"revision\":2,"
		"\"created\":1,\"version\":2}",
		"", NULL };
	struct watch_client client;

	api_stage_put("/kv/a", "1");
	client = watch_client_open(one, "/watch", SSE);
	ck_assert_str_eq(
	    watch_client_header(&client, "Content-Type"), "text/event-stream");
	ck_assert_str_eq(
	    watch_client_header(&client, "Cache-Control"), "no-store");
	ck_assert_str_eq(
	    watch_client_header(&client, "X-Accel-Buffering"), "no");
	expect_lines(&client, greeting);
	api_stage_put("/kv/a", "2");
	expect_lines(&client, event);
	watch_client_expect_silence(&client);
	watch_client_close(&client);
}
END_TEST

/* Nobody can go on from the middle of a snapshot: each id is taken back. */
START_TEST(snapshot_takes_its_ids_back)
{
	static const char *const lines[] = { "retry: 2000", "event: put",
		"id: 2",
		"data: {\"key\":\"a\",\"value\":\"1\",\"revision\":2,"
		"\"created\":2,\"version\":1}",
		"id:", "", "event: put", "id: 1",
		"data: {\"key\":\"b\",\"value\":\"1\",\"revision\":1,"
		"\"created\":1,\"version\":1}",
		"id:", "", "event: synced", "id: 2", "data: {\"revision\":2}",
		"", NULL };
	struct watch_client client;

	api_stage_put("/kv/b", "1");
	api_stage_put("/kv/a", "1");
	client = watch_client_open(one, "/watch?snapshot=1", SSE);
	expect_lines(&client, lines);
	watch_client_close(&client);
}
END_TEST

/* Who has half a revision has not got to it. */
START_TEST(the_last_of_a_revision_has_the_id)
{
	static const char *const keys[] = { "a", "b", NULL };
	static const char *const lines[] = { "retry: 2000", "id: 0", "",
		"event: put",
		"data: {\"key\":\"a\",\"value\":\"a\",\"revision\":1,"
		"\"created\":1,\"version\":1,\"more\":true}",
		"", "event: put", "id: 1",
		"data: {\"key\":\"b\",\"value\":\"b\",\"revision\":1,"
		"\"created\":1,\"version\":1}",
		"", NULL };
	struct watch_client client = watch_client_open(one, "/watch", SSE);
	struct watch_client late;

	world_put_together(world, keys);
	late = watch_client_open(one, "/watch?since=0", SSE);
	expect_lines(&client, lines);
	expect_lines(&late, lines);
	watch_client_close(&client);
	watch_client_close(&late);
}
END_TEST

START_TEST(last_event_id_is_since)
{
	static const char *const lines[] = { "retry: 2000", "id: 2", "",
		"event: delete", "id: 3",
		"data: {\"key\":\"a\",\"revision\":3}", "", NULL };
	static const char *const targets[] = { "/watch",
		/* The page's URL stays the same when it connects again. */
		"/watch?since=1", "/watch?snapshot=1" };
	struct reply reply;

	api_stage_put("/kv/a", "1");
	api_stage_put("/kv/a", "2");
	reply = site_ask(one, "DELETE", "/kv/a", "", slice_of(NULL, 0));
	reply_release(&reply);
	for (size_t i = 0; i < ARRAY_COUNT(targets); i++) {
		struct watch_client client = watch_client_open(
		    one, targets[i], SSE "Last-Event-ID: 2\r\n");

		expect_lines(&client, lines);
		watch_client_close(&client);
	}
	assert_problem(site_get_with(one, "/watch", SSE "Last-Event-ID: x\r\n"),
	    400, "bad_request");
}
END_TEST

/* EventSource never comes back after an error: with snapshot=1 it has none. */
START_TEST(compacted_id_with_snapshot_begins_anew)
{
	static const char *const lines[] = { "retry: 2000", "event: put",
		"id: 3",
		"data: {\"key\":\"a\",\"value\":\"3\",\"revision\":3,"
		"\"created\":1,\"version\":3}",
		"id:", "", "event: synced", "id: 3", "data: {\"revision\":3}",
		"", NULL };
	struct watch_client client;

	api_stage_put("/kv/a", "1");
	api_stage_put("/kv/a", "2");
	api_stage_put("/kv/a", "3");
	world_compact(world, 2);
	client = watch_client_open(
	    one, "/watch?snapshot=1", SSE "Last-Event-ID: 1\r\n");
	expect_lines(&client, lines);
	watch_client_close(&client);
	assert_problem(site_get_with(one, "/watch", SSE "Last-Event-ID: 1\r\n"),
	    410, "compacted");
}
END_TEST

/* A comment for proxies, and an id without an event. */
START_TEST(progress)
{
	static const char *const greeting[] = { "retry: 2000", "id: 0", "",
		NULL };
	static const char *const lines[] = { ":", "id: 1", "", NULL };
	struct watch_client client = watch_client_open(one, "/watch/b", SSE);

	api_stage_put("/kv/a", "1");
	expect_lines(&client, greeting);
	api_expire(one->api, world_later(world, 15000001));
	expect_lines(&client, lines);
	watch_client_close(&client);
}
END_TEST

START_TEST(the_end_has_the_id)
{
	static const char *const lines[] = { "retry: 2000", "id: 1", "",
		"event: closing", "id: 1", "data: {\"resume\":1}", "", NULL };
	struct watch_client client;

	api_stage_put("/kv/a", "1");
	client = watch_client_open(one, "/watch", SSE);
	api_drain(one->api);
	expect_lines(&client, lines);
	watch_client_expect_end(&client);
	watch_client_close(&client);
}
END_TEST

Suite *
api_watch_sse_suite(void)
{
	Suite *suite = suite_create("api_watch_sse");
	TCase *tcase = tcase_create("streams");

	tcase_add_checked_fixture(tcase, api_stage_unlimited, api_stage_end);
	tcase_add_test(tcase, begins_with_where_it_is);
	tcase_add_test(tcase, snapshot_takes_its_ids_back);
	tcase_add_test(tcase, the_last_of_a_revision_has_the_id);
	tcase_add_test(tcase, last_event_id_is_since);
	tcase_add_test(tcase, compacted_id_with_snapshot_begins_anew);
	tcase_add_test(tcase, progress);
	tcase_add_test(tcase, the_end_has_the_id);
	suite_add_tcase(suite, tcase);
	return suite;
}
