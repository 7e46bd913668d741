#include "api/api_impl.h"
#include "common/macros.h"
#include "tests/unit/api_stage.h"
#include "tests/unit/suites.h"
#include "tests/unit/watch_client.h"

#include <stdio.h>

/* Streams of lines: what is sent, to whom, from where on. */

static void
setup_one(void)
{
	api_stage_unlimited();
	one->api->params.watchers_max = 100;
}

static const char *
put_line(const char *key, const char *value, unsigned revision,
    unsigned created, unsigned version)
{
	static char line[256];

	snprintf(line, sizeof(line),
	    "{\"type\":\"put\",\"key\":\"%s\",\"value\":\"%s\","
	    "\"revision\":%u,\"created\":%u,\"version\":%u}",
	    key, value, revision, created, version);
	return line;
}

static void
expect_put(struct watch_client *client, const char *key, unsigned revision)
{
	watch_client_expect(client, put_line(key, key, revision, revision, 1));
}

/* Nothing given: from now, all keys. */
START_TEST(stream_from_now)
{
	struct watch_client client;

	api_stage_put("/kv/old", "old");
	client = watch_client_open(one, "/watch", "");
	ck_assert_str_eq(watch_client_header(&client, "Content-Type"),
	    "application/x-ndjson");
	ck_assert_str_eq(
	    watch_client_header(&client, "Cache-Control"), "no-store");
	ck_assert_str_eq(
	    watch_client_header(&client, "X-Accel-Buffering"), "no");
	ck_assert_str_eq(
	    watch_client_header(&client, "Luminous-Revision"), "1");
	api_stage_put("/kv/a", "1");
	api_stage_put("/kv/a", "2");
	api_stage_delete("/kv/a");
	watch_client_expect(&client, put_line("a", "1", 2, 2, 1));
	watch_client_expect(&client, put_line("a", "2", 3, 2, 2));
	watch_client_expect(
	    &client, "{\"type\":\"delete\",\"key\":\"a\",\"revision\":4}");
	watch_client_expect_silence(&client);
	watch_client_close(&client);
}
END_TEST

START_TEST(stream_of_a_prefix)
{
	struct watch_client client =
	    watch_client_open(one, "/watch?prefix=app/", "");

	api_stage_put("/kv/app", "app");
	api_stage_put("/kv/app/a", "app/a");
	api_stage_put("/kv/b", "b");
	api_stage_put("/kv/app/", "app/");
	api_stage_put("/kv/apq", "apq");
	expect_put(&client, "app/a", 2);
	expect_put(&client, "app/", 4);
	watch_client_expect_silence(&client);
	watch_client_close(&client);
}
END_TEST

START_TEST(stream_of_a_range)
{
	struct watch_client both =
	    watch_client_open(one, "/watch?start=b&end=d", "");
	struct watch_client start =
	    watch_client_open(one, "/watch?start=c", "");
	struct watch_client end = watch_client_open(one, "/watch?end=b", "");

	api_stage_put("/kv/a", "a");
	api_stage_put("/kv/b", "b");
	api_stage_put("/kv/c", "c");
	api_stage_put("/kv/d", "d");
	expect_put(&both, "b", 2);
	expect_put(&both, "c", 3);
	watch_client_expect_silence(&both);
	expect_put(&start, "c", 3);
	expect_put(&start, "d", 4);
	expect_put(&end, "a", 1);
	watch_client_expect_silence(&end);
	watch_client_close(&both);
	watch_client_close(&start);
	watch_client_close(&end);
}
END_TEST

START_TEST(stream_of_a_key)
{
	struct watch_client client = watch_client_open(one, "/watch/a%2Fb", "");

	api_stage_put("/kv/a", "a");
	api_stage_put("/kv/a/b/c", "a/b/c");
	api_stage_put("/kv/a/b", "a/b");
	expect_put(&client, "a/b", 3);
	watch_client_expect_silence(&client);
	watch_client_close(&client);
	assert_problem(site_get(one, "/watch/"), 400, "bad_request");
}
END_TEST

START_TEST(bytes_that_are_no_text)
{
	struct watch_client client = watch_client_open(one, "/watch", "");
	struct reply reply =
	    site_ask(one, "PUT", "/kv/%ff", "", slice_of("\xfe\0", 2));

	assert_status(&reply, 201);
	reply_release(&reply);
	watch_client_expect(&client,
	    "{\"type\":\"put\",\"key_base64\":\"/w==\","
	    "\"value_base64\":\"/gA=\",\"revision\":1,\"created\":1,"
	    "\"version\":1}");
	watch_client_close(&client);
}
END_TEST

/* Many watchers of the same and of different keys: each gets its own. */
START_TEST(everyone_gets_their_own)
{
	static const char *const targets[] = { "/watch",
		"/watch?prefix=", "/watch?prefix=k", "/watch?prefix=k/",
		"/watch/k/1", "/watch/k/2", "/watch?start=k&end=l",
		"/watch?prefix=x" };
	static const unsigned expected[] = { 2, 2, 2, 2, 1, 1, 2, 0 };
	struct watch_client clients[2 * ARRAY_COUNT(targets)];

	for (size_t i = 0; i < ARRAY_COUNT(clients); i++)
		clients[i] = watch_client_open(
		    one, targets[i % ARRAY_COUNT(targets)], "");
	api_stage_put("/kv/k/1", "k/1");
	api_stage_put("/kv/k/2", "k/2");
	for (size_t i = 0; i < ARRAY_COUNT(clients); i++) {
		size_t target = i % ARRAY_COUNT(targets);

		for (unsigned line = 0; line < expected[target]; line++)
			ck_assert_ptr_nonnull(
			    strstr(watch_client_line(&clients[i]), "\"k/"));
		watch_client_expect_silence(&clients[i]);
		watch_client_close(&clients[i]);
	}
}
END_TEST

/* History first, then what comes, without a gap and without anything twice. */
START_TEST(since)
{
	struct watch_client client;

	api_stage_put("/kv/a", "a");
	api_stage_put("/kv/b", "b");
	api_stage_put("/kv/c", "c");
	client = watch_client_open(one, "/watch?since=1", "");
	expect_put(&client, "b", 2);
	expect_put(&client, "c", 3);
	api_stage_put("/kv/d", "d");
	expect_put(&client, "d", 4);
	watch_client_close(&client);
	client = watch_client_open(one, "/watch?since=0", "");
	expect_put(&client, "a", 1);
	watch_client_close(&client);
	client = watch_client_open(one, "/watch?since=4", "");
	api_stage_put("/kv/e", "e");
	expect_put(&client, "e", 5);
	watch_client_close(&client);
}
END_TEST

/* More than one step of it, of which most is of other keys. */
START_TEST(long_history)
{
	struct watch_client client;
	char target[32];

	for (unsigned i = 0; i < 2500; i++) {
		struct buf command = { 0 };

		snprintf(target, sizeof(target), "%s/%04u",
		    i % 100 == 0 ? "rare" : "usual", i);
		kv_encode_put(
		    &command, slice_from_text(target), slice_from_text(target));
		ck_assert(world_command(world, buf_slice(&command)));
		buf_release(&command);
	}
	client = watch_client_open(one, "/watch?prefix=rare/&since=0", "");
	api_stage_put("/kv/rare/2500", "rare/2500");
	for (unsigned i = 0; i <= 2500; i += 100) {
		snprintf(target, sizeof(target), "rare/%04u", i);
		expect_put(&client, target, i + 1);
	}
	watch_client_close(&client);
}
END_TEST

START_TEST(snapshot_first)
{
	struct watch_client client;

	api_stage_put("/kv/app/b", "app/b");
	api_stage_put("/kv/app/a", "app/a");
	api_stage_put("/kv/app/gone", "1");
	api_stage_put("/kv/other", "other");
	api_stage_delete("/kv/app/gone");
	client = watch_client_open(one, "/watch?prefix=app/&snapshot=1", "");
	expect_put(&client, "app/a", 2);
	expect_put(&client, "app/b", 1);
	watch_client_expect(&client, "{\"type\":\"synced\",\"revision\":5}");
	api_stage_put("/kv/app/c", "app/c");
	expect_put(&client, "app/c", 6);
	watch_client_close(&client);
}
END_TEST

/* The state is that of one revision, though it changes while it is sent. */
START_TEST(snapshot_is_of_one_revision)
{
	struct watch_client client;
	char key[16];
	unsigned count = 3000;

	for (unsigned i = 0; i < count; i += 10) {
		char keys[10][16];
		const char *pointers[11] = { NULL };

		for (unsigned k = 0; k < 10; k++) {
			snprintf(keys[k], sizeof(keys[k]), "%04u", i + k);
			pointers[k] = keys[k];
		}
		world_put_together(world, pointers);
	}
	client = watch_client_send(one, "/watch?snapshot=1", "");
	while (client.head.size == 0) {
		world_pass(world);
		watch_client_receive(&client);
	}
	api_stage_put("/kv/2999", "new");
	for (unsigned i = 0; i < count; i++) {
		snprintf(key, sizeof(key), "%04u", i);
		expect_put(&client, key, i / 10 + 1);
	}
	watch_client_expect(&client, "{\"type\":\"synced\",\"revision\":300}");
	watch_client_expect(&client, put_line("2999", "new", 301, 300, 2));
	watch_client_close(&client);
}
END_TEST

START_TEST(previous_values)
{
	static const char *const lines[] = {
		"{\"type\":\"put\",\"key\":\"a\",\"value\":\"1\",\"revision\":"
		"1,"
		"\"created\":1,\"version\":1,\"prev\":null}",
		"{\"type\":\"put\",\"key\":\"a\",\"value\":\"2\",\"revision\":"
		"2,"
		"\"created\":1,\"version\":2,\"prev\":{\"key\":\"a\","
		"\"value\":\"1\",\"revision\":1,\"created\":1,\"version\":1}}",
		"{\"type\":\"delete\",\"key\":\"a\",\"revision\":3,"
		"\"prev\":{\"key\":\"a\",\"value\":\"2\",\"revision\":2,"
		"\"created\":1,\"version\":2}}",
	};
	struct watch_client live = watch_client_open(one, "/watch?prev=1", "");
	struct watch_client late;

	api_stage_put("/kv/a", "1");
	api_stage_put("/kv/a", "2");
	api_stage_delete("/kv/a");
	late = watch_client_open(one, "/watch?prev&since=0", "");
	for (size_t i = 0; i < ARRAY_COUNT(lines); i++) {
		watch_client_expect(&live, lines[i]);
		watch_client_expect(&late, lines[i]);
	}
	watch_client_close(&live);
	watch_client_close(&late);
}
END_TEST

START_TEST(expiry_is_an_event_of_its_own)
{
	struct watch_client client = watch_client_open(one, "/watch/a", "");

	api_stage_put("/kv/a?ttl=100ms", "a");
	expect_put(&client, "a", 1);
	watch_client_expect(
	    &client, "{\"type\":\"expire\",\"key\":\"a\",\"revision\":2}");
	watch_client_close(&client);
}
END_TEST

/* "more" tells each watcher of its own keys, live and from history. */
START_TEST(more_of_one_revision)
{
	static const char *const keys[] = { "a/1", "b/1", "a/2", "b/2", "a/3",
		NULL };
	static const char *const targets[] = { "/watch?prefix=a/",
		"/watch?prefix=a/&since=0" };

	for (size_t i = 0; i < ARRAY_COUNT(targets); i++) {
		struct watch_client client;

		if (i == 0) {
			client = watch_client_open(one, targets[i], "");
			world_put_together(world, keys);
		} else {
			client = watch_client_open(one, targets[i], "");
		}
		watch_client_expect(&client,
		    "{\"type\":\"put\",\"key\":\"a/1\",\"value\":\"a/1\","
		    "\"revision\":1,\"created\":1,\"version\":1,"
		    "\"more\":true}");
		watch_client_expect(&client,
		    "{\"type\":\"put\",\"key\":\"a/2\",\"value\":\"a/2\","
		    "\"revision\":1,\"created\":1,\"version\":1,"
		    "\"more\":true}");
		expect_put(&client, "a/3", 1);
		watch_client_close(&client);
	}
}
END_TEST

/* Who only is told of one of them sees no "more". */
START_TEST(more_is_not_said_of_other_keys)
{
	static const char *const keys[] = { "a", "b", "c", NULL };
	struct watch_client key = watch_client_open(one, "/watch/b", "");
	struct watch_client all = watch_client_open(one, "/watch", "");

	world_put_together(world, keys);
	expect_put(&key, "b", 1);
	ck_assert_ptr_nonnull(strstr(watch_client_line(&all), "more"));
	ck_assert_ptr_nonnull(strstr(watch_client_line(&all), "more"));
	expect_put(&all, "c", 1);
	watch_client_close(&key);
	watch_client_close(&all);
}
END_TEST

/* After 15 s without anything: a sign of life, and where to go on. */
START_TEST(progress)
{
	struct watch_client client =
	    watch_client_open(one, "/watch?prefix=app/", "");

	api_stage_put("/kv/other", "1");
	api_stage_put("/kv/other", "2");
	api_expire(one->api, world_later(world, 14000000));
	watch_client_expect_silence(&client);
	api_expire(one->api, world_later(world, 15000001));
	watch_client_expect(&client, "{\"type\":\"progress\",\"revision\":2}");
	api_expire(one->api, world_later(world, 29000000));
	watch_client_expect_silence(&client);
	api_stage_put("/kv/app/a", "app/a");
	expect_put(&client, "app/a", 3);
	watch_client_close(&client);
}
END_TEST

/* Whose turn it is first is who has been silent for longest. */
START_TEST(progress_of_the_silent_ones)
{
	struct watch_client busy = watch_client_open(one, "/watch/b", "");
	struct watch_client silent = watch_client_open(one, "/watch/a", "");
	uint64_t began = loop_now(world->loop);

	while (loop_now(world->loop) < began + 20000)
		world_pass(world);
	api_stage_put("/kv/b", "b");
	expect_put(&busy, "b", 1);
	api_expire(one->api, began + 15000000 + 10000);
	watch_client_expect(&silent, "{\"type\":\"progress\",\"revision\":1}");
	watch_client_expect_silence(&busy);
	watch_client_close(&silent);
	watch_client_close(&busy);
}
END_TEST

/* A node that follows serves what it applies, whoever leads. */
START_TEST(leader_change)
{
	struct watch_client client = watch_client_open(one, "/watch", "");
	struct site *old = world_leader(world);

	api_stage_put("/kv/a", "a");
	expect_put(&client, "a", 1);
	site_stop(old);
	api_stage_put("/kv/b", "b");
	expect_put(&client, "b", 2);
	watch_client_close(&client);
}
END_TEST

/* What was acknowledged before a watch began is not told, and nothing that
 * comes after is missed, on a node that is behind as well. */
START_TEST(begins_behind_what_was_acknowledged)
{
	struct site *follower = one;
	struct watch_client client;

	one = world_leader(world);
	follower->frozen = true;
	api_stage_put("/kv/a", "a");
	client = watch_client_send(follower, "/watch", "");
	follower->frozen = false;
	while (client.head.size == 0) {
		world_pass(world);
		watch_client_receive(&client);
	}
	ck_assert_str_eq(
	    watch_client_header(&client, "Luminous-Revision"), "1");
	api_stage_put("/kv/b", "b");
	expect_put(&client, "b", 2);
	watch_client_close(&client);
}
END_TEST

static void
add_stream_cases(Suite *suite)
{
	TCase *tcase = tcase_create("streams");

	tcase_add_checked_fixture(tcase, setup_one, api_stage_end);
	tcase_add_test(tcase, stream_from_now);
	tcase_add_test(tcase, stream_of_a_prefix);
	tcase_add_test(tcase, stream_of_a_range);
	tcase_add_test(tcase, stream_of_a_key);
	tcase_add_test(tcase, bytes_that_are_no_text);
	tcase_add_test(tcase, everyone_gets_their_own);
	tcase_add_test(tcase, since);
	tcase_add_test(tcase, long_history);
	tcase_add_test(tcase, snapshot_first);
	tcase_add_test(tcase, snapshot_is_of_one_revision);
	tcase_add_test(tcase, previous_values);
	tcase_add_test(tcase, expiry_is_an_event_of_its_own);
	tcase_add_test(tcase, more_of_one_revision);
	tcase_add_test(tcase, more_is_not_said_of_other_keys);
	tcase_add_test(tcase, progress);
	tcase_add_test(tcase, progress_of_the_silent_ones);
	suite_add_tcase(suite, tcase);
}

Suite *
api_watch_suite(void)
{
	Suite *suite = suite_create("api_watch");
	TCase *tcase = tcase_create("three");

	add_stream_cases(suite);
	tcase_add_checked_fixture(tcase, api_stage_three, api_stage_end);
	tcase_add_test(tcase, leader_change);
	tcase_add_test(tcase, begins_behind_what_was_acknowledged);
	suite_add_tcase(suite, tcase);
	return suite;
}
