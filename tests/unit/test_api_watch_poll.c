#include "api/api_event.h"
#include "api/api_watches.h"
#include "common/macros.h"
#include "tests/unit/api_stage.h"
#include "tests/unit/suites.h"
#include "tests/unit/watch_client.h"

#include <stdio.h>

/* One answer, when there is something to tell: long polls, and GETs that
 * wait. */

static int
ask(const char *target, const char *headers)
{
	return site_send(one, "GET", target, headers, slice_of(NULL, 0));
}

static void
expect(int fd, unsigned status, const char *body)
{
	struct reply reply = site_receive(world, fd);

	assert_status(&reply, status);
	assert_body(&reply, body);
	reply_release(&reply);
}

/* ---- Long polls ---- */

START_TEST(poll_of_history)
{
	struct reply reply;

	api_stage_put("/kv/app/a", "1");
	api_stage_put("/kv/b", "1");
	api_stage_put("/kv/app/a", "2");
	api_stage_delete("/kv/app/a");
	api_stage_put("/kv/b", "2");
	reply = site_get(one, "/watch?prefix=app/&since=1&wait=30s");
	assert_status(&reply, 200);
	assert_body(&reply,
	    "{\"revision\":5,\"events\":[{\"type\":\"put\",\"key\":\"app/a\","
	    "\"value\":\"2\",\"revision\":3,\"created\":1,\"version\":2},"
	    "{\"type\":\"delete\",\"key\":\"app/a\",\"revision\":4}]}\n");
	ck_assert_str_eq(
	    reply_header(&reply, "Content-Type"), "application/json");
	ck_assert_str_eq(reply_header(&reply, "Cache-Control"), "no-store");
	reply_release(&reply);
}
END_TEST

START_TEST(poll_waits_for_its_own)
{
	int fd;

	api_stage_put("/kv/app/a", "1");
	fd = ask("/watch?prefix=app/&since=1&wait=30s", "");
	api_stage_await_watchers(1);
	api_stage_put("/kv/other", "1");
	ck_assert_uint_eq(api_watches_count(one->api), 1);
	api_stage_put("/kv/app/b", "1");
	expect(fd, 200,
	    "{\"revision\":3,\"events\":[{\"type\":\"put\",\"key\":\"app/b\","
	    "\"value\":\"1\",\"revision\":3,\"created\":3,\"version\":1}]}\n");
	ck_assert_uint_eq(api_watches_count(one->api), 0);
}
END_TEST

/* Empty after the time, with the revision to go on from. */
START_TEST(poll_ends_in_time)
{
	int fd;

	api_stage_put("/kv/app/a", "1");
	fd = ask("/watch?prefix=app/&since=1&wait=30s", "");
	api_stage_await_watchers(1);
	api_stage_put("/kv/other", "1");
	api_expire(one->api, world_later(world, 29000000));
	api_stage_await_watchers(1);
	api_expire(one->api, world_later(world, 30000001));
	expect(fd, 200, "{\"revision\":2,\"events\":[]}\n");
}
END_TEST

/* Without since: what comes from now on. */
START_TEST(poll_from_now)
{
	int fd;

	api_stage_put("/kv/a", "1");
	fd = ask("/watch?wait=30s", "");
	api_stage_await_watchers(1);
	api_stage_delete("/kv/a");
	expect(fd, 200,
	    "{\"revision\":2,\"events\":[{\"type\":\"delete\",\"key\":\"a\","
	    "\"revision\":2}]}\n");
}
END_TEST

START_TEST(poll_has_whole_revisions)
{
	static const char *const keys[] = { "a", "b", NULL };
	int fd = ask("/watch?wait=30s", "");

	api_stage_await_watchers(1);
	world_put_together(world, keys);
	expect(fd, 200,
	    "{\"revision\":1,\"events\":["
	    "{\"type\":\"put\",\"key\":\"a\",\"value\":\"a\",\"revision\":1,"
	    "\"created\":1,\"version\":1,\"more\":true},"
	    "{\"type\":\"put\",\"key\":\"b\",\"value\":\"b\",\"revision\":1,"
	    "\"created\":1,\"version\":1}]}\n");
}
END_TEST

START_TEST(poll_behind_what_is_compacted_410)
{
	struct reply reply;

	api_stage_put("/kv/a", "1");
	api_stage_put("/kv/a", "2");
	api_stage_put("/kv/a", "3");
	world_compact(world, 2);
	reply = site_get(one, "/watch?prefix=a&since=1&wait=30s");
	assert_contains(&reply, "GET /kv");
	assert_contains(&reply, "\"next\":\"/watch?prefix=a&snapshot=1\"");
	assert_problem(reply, 410, "compacted");
}
END_TEST

/* The answer to a shutdown is at once, and one to go on from. */
START_TEST(poll_ends_with_the_node)
{
	int fd;

	api_stage_put("/kv/a", "1");
	fd = ask("/watch?since=1&wait=30s", "");
	api_stage_await_watchers(1);
	api_drain(one->api);
	expect(fd, 200, "{\"revision\":1,\"events\":[]}\n");
}
END_TEST

/* ---- GET /kv/KEY?wait= ---- */

START_TEST(get_answers_at_once_what_is_new)
{
	api_stage_put("/kv/a", "1");
	/* What curl --etag-compare sends the first time. */
	expect(ask("/kv/a?wait=60s", "If-None-Match: \"\"\r\n"), 200, "1");
	api_stage_put("/kv/a", "2");
	expect(ask("/kv/a?wait=60s", "If-None-Match: \"1\"\r\n"), 200, "2");
	expect(ask("/kv/a?wait=60s", "If-None-Match: 1\r\n"), 200, "2");
}
END_TEST

START_TEST(get_waits_for_a_change)
{
	struct reply reply;
	int fd;

	api_stage_put("/kv/a", "1");
	fd = ask("/kv/a?wait=60s", "If-None-Match: \"1\"\r\n");
	api_stage_await_watchers(1);
	api_stage_put("/kv/b", "1");
	api_stage_await_watchers(1);
	api_stage_put("/kv/a", "2");
	reply = site_receive(world, fd);
	assert_status(&reply, 200);
	assert_body(&reply, "2");
	ck_assert_str_eq(reply_header(&reply, "ETag"), "\"3\"");
	ck_assert_str_eq(reply_header(&reply, "Luminous-Revision"), "3");
	ck_assert_str_eq(reply_header(&reply, "Cache-Control"), "no-store");
	reply_release(&reply);
	ck_assert_uint_eq(api_watches_count(one->api), 0);
}
END_TEST

START_TEST(get_is_304_after_the_time)
{
	struct reply reply;
	int fd;

	api_stage_put("/kv/a", "1");
	fd = ask("/kv/a?wait=60s", "If-None-Match: \"1\"\r\n");
	api_stage_await_watchers(1);
	api_expire(one->api, world_later(world, 59000000));
	api_stage_await_watchers(1);
	api_expire(one->api, world_later(world, 60000001));
	reply = site_receive(world, fd);
	assert_status(&reply, 304);
	ck_assert_str_eq(reply_header(&reply, "ETag"), "\"1\"");
	reply_release(&reply);
}
END_TEST

START_TEST(get_is_404_when_it_is_deleted)
{
	struct reply reply;
	int fd;

	api_stage_put("/kv/a", "1");
	fd = ask("/kv/a?wait=60s", "If-None-Match: \"1\"\r\n");
	api_stage_await_watchers(1);
	api_stage_delete("/kv/a");
	reply = site_receive(world, fd);
	ck_assert_str_eq(reply_header(&reply, "Luminous-Revision"), "2");
	ck_assert_str_eq(reply_header(&reply, "ETag"), "\"0\"");
	assert_problem(reply, 404, "key_not_found");
}
END_TEST

/* The tag of a missing key: so the loop of curl waits in this state as well. */
START_TEST(get_waits_for_a_missing_key)
{
	struct reply reply =
	    site_get_with(one, "/kv/a?wait=60s", "If-None-Match: \"\"\r\n");
	int fd;

	ck_assert_str_eq(reply_header(&reply, "ETag"), "\"0\"");
	assert_problem(reply, 404, "key_not_found");
	fd = ask("/kv/a?wait=60s", "If-None-Match: \"0\"\r\n");
	api_stage_await_watchers(1);
	api_stage_put("/kv/a", "1");
	expect(fd, 200, "1");
	/* And is no tag of one that is there. */
	expect(ask("/kv/a?wait=60s", "If-None-Match: \"0\"\r\n"), 200, "1");
	api_stage_delete("/kv/a");
	fd = ask("/kv/a?wait=60s", "If-None-Match: \"0\"\r\n");
	api_stage_await_watchers(1);
	api_expire(one->api, world_later(world, 60000001));
	assert_problem(site_receive(world, fd), 404, "key_not_found");
}
END_TEST

/* Without a condition: the next change, or what is there after the time. */
START_TEST(get_without_a_tag_waits_for_the_next_change)
{
	int fd;

	api_stage_put("/kv/a", "1");
	fd = ask("/kv/a?wait=60s", "");
	api_stage_await_watchers(1);
	api_stage_put("/kv/a", "2");
	expect(fd, 200, "2");
	fd = ask("/kv/a?wait=60s", "");
	api_stage_await_watchers(1);
	api_expire(one->api, world_later(world, 60000001));
	expect(fd, 200, "2");
}
END_TEST

/* Two tags are known: a change to the other one is no news. */
START_TEST(get_goes_on_waiting)
{
	int fd;

	api_stage_put("/kv/a", "1");
	fd = ask("/kv/a?wait=60s", "If-None-Match: \"1\", \"2\"\r\n");
	api_stage_await_watchers(1);
	api_stage_put("/kv/a", "2");
	api_stage_await_watchers(1);
	api_stage_put("/kv/a", "3");
	expect(fd, 200, "3");
}
END_TEST

START_TEST(get_waits_as_json)
{
	int fd;

	api_stage_put("/kv/a", "1");
	fd = ask("/kv/a?wait=60s&json", "If-None-Match: \"1\"\r\n");
	api_stage_await_watchers(1);
	api_stage_put("/kv/a", "2");
	expect(fd, 200,
	    "{\"key\":\"a\",\"value\":\"2\",\"revision\":2,\"created\":1,"
	    "\"version\":2}\n");
}
END_TEST

START_TEST(get_is_answered_when_the_node_ends)
{
	struct reply reply;
	int fd;

	api_stage_put("/kv/a", "1");
	fd = ask("/kv/a?wait=60s", "If-None-Match: \"1\"\r\n");
	api_stage_await_watchers(1);
	api_drain(one->api);
	reply = site_receive(world, fd);
	assert_status(&reply, 304);
	reply_release(&reply);
}
END_TEST

START_TEST(get_of_the_past_does_not_wait)
{
	api_stage_put("/kv/a", "1");
	assert_problem(site_get(one, "/kv/a?at=1&wait=1s"), 400, "bad_request");
}
END_TEST

/* More of them than of requests that wait for members. */
START_TEST(many_wait)
{
	int fds[4 * API_WAITS_MAX];

	one->api->params.watchers_max = ARRAY_COUNT(fds);
	api_stage_put("/kv/a", "1");
	for (size_t i = 0; i < ARRAY_COUNT(fds); i++)
		fds[i] =
		    ask(i % 2 == 0 ? "/kv/a?wait=60s" : "/watch?wait=60s", "");
	api_stage_await_watchers(ARRAY_COUNT(fds));
	api_stage_put("/kv/a", "2");
	for (size_t i = 0; i < ARRAY_COUNT(fds); i++) {
		struct reply reply = site_receive(world, fds[i]);

		assert_status(&reply, 200);
		reply_release(&reply);
	}
}
END_TEST

/* Each would get a copy of it all, which is more than there is memory for. */
START_TEST(many_are_told_of_much)
{
	int fds[4 * API_WAITS_MAX];

	one->api->params.watchers_max = ARRAY_COUNT(fds);
	for (size_t i = 0; i < ARRAY_COUNT(fds); i++)
		fds[i] = ask("/watch?prefix=copy/&wait=60s", "");
	api_stage_await_watchers(ARRAY_COUNT(fds));
	world_put_large(world);
	world_copy_at_once(world, 120);
	for (size_t i = 0; i < ARRAY_COUNT(fds); i++) {
		struct reply reply = site_receive(world, fds[i]);

		assert_status(&reply, 200);
		assert_contains(&reply, "\"revision\":2,\"created\":2,");
		ck_assert_str_eq(
		    reply.text + reply.size - strlen("}]}\n"), "}]}\n");
		reply_release(&reply);
	}
	ck_assert_uint_eq(api_watches_count(one->api), 0);
}
END_TEST

/* Together more than may be unsent. */
START_TEST(many_wait_for_much)
{
	struct buf command = { 0 };
	struct buf value = { 0 };
	int fds[4 * API_WAITS_MAX];

	one->api->params.watchers_max = ARRAY_COUNT(fds);
	for (size_t i = 0; i < ARRAY_COUNT(fds); i++)
		fds[i] = ask("/kv/much?wait=60s", "");
	api_stage_await_watchers(ARRAY_COUNT(fds));
	memset(buf_reserve(&value, 900000), 'v', 900000);
	value.size = 900000;
	kv_encode_put(&command, slice_from_text("much"), buf_slice(&value));
	ck_assert(world_command(world, buf_slice(&command)));
	for (size_t i = 0; i < ARRAY_COUNT(fds); i++) {
		struct reply reply = site_receive(world, fds[i]);

		assert_status(&reply, 200);
		ck_assert_uint_eq(reply.body.size, value.size);
		reply_release(&reply);
	}
	buf_release(&command);
	buf_release(&value);
}
END_TEST

/* One value, and copies of it, all in revision 2: more than is shown of one. */
static void
put_copies_of_much(unsigned count)
{
	struct buf command = { 0 };
	struct buf value = { 0 };
	char key[16];

	memset(buf_reserve(&value, 900000), 'v', 900000);
	value.size = 900000;
	kv_encode_put(&command, slice_from_text("much"), buf_slice(&value));
	ck_assert(world_command(world, buf_slice(&command)));
	buf_reset(&command);
	kv_encode_transaction(&command, NULL);
	for (unsigned i = 0; i < count; i++) {
		snprintf(key, sizeof(key), "copy/%02u", i);
		kv_encode_op(&command, KV_THEN,
		    &(struct kv_op){
			.kind = KV_COPY,
			.key = slice_from_text("much"),
			.other = slice_from_text(key),
		    });
	}
	ck_assert(world_command(world, buf_slice(&command)));
	buf_release(&command);
	buf_release(&value);
}

/* From history as live: what is beyond API_EVENT_VALUES_MAX is left out. */
START_TEST(poll_leaves_out_too_many_values)
{
	unsigned fitting = API_EVENT_VALUES_MAX / 900000;
	struct reply reply;
	char begin[64];

	put_copies_of_much(fitting + 1);
	reply = site_get(one, "/watch?prefix=copy/&since=1&wait=1s");
	assert_status(&reply, 200);
	snprintf(begin, sizeof(begin), "\"key\":\"copy/%02u\",\"revision\":2,",
	    fitting);
	assert_contains(&reply, begin);
	assert_contains(&reply, ",\"omitted\":true}]}");
	reply_release(&reply);
}
END_TEST

/* No leader: that is said in the usual time, not after all of the wait. */
START_TEST(no_leader_is_said_in_time)
{
	int fds[2];

	for (unsigned i = 0; i < world->count; i++) {
		if (&world->site[i] != one)
			site_stop(&world->site[i]);
	}
	while (node_leader(one->node) != 0)
		world_pass(world);
	fds[0] = ask("/kv/a?wait=60s", "");
	fds[1] = ask("/watch?wait=60s", "");
	site_pass_until_busy(one);
	world_pass(world);
	api_expire(one->api, world_later(world, SITE_TIMEOUT_US + 1));
	assert_problem(site_receive(world, fds[0]), 503, "no_leader");
	assert_problem(site_receive(world, fds[1]), 503, "no_leader");
}
END_TEST

/* A node that follows wakes its own clients. */
START_TEST(a_follower_waits_as_well)
{
	int fd;

	api_stage_put("/kv/a", "1");
	fd = ask("/kv/a?wait=60s", "If-None-Match: \"1\"\r\n");
	api_stage_await_watchers(1);
	api_stage_put("/kv/a", "2");
	expect(fd, 200, "2");
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
api_watch_poll_suite(void)
{
	Suite *suite = suite_create("api_watch_poll");
	TCase *polls = new_case("polls", api_stage_unlimited);
	TCase *gets = new_case("gets", api_stage_unlimited);
	TCase *roomy = new_case("roomy", api_stage_roomy);
	TCase *three = new_case("three", api_stage_three);

	tcase_add_test(polls, poll_of_history);
	tcase_add_test(polls, poll_waits_for_its_own);
	tcase_add_test(polls, poll_ends_in_time);
	tcase_add_test(polls, poll_from_now);
	tcase_add_test(polls, poll_has_whole_revisions);
	tcase_add_test(polls, poll_behind_what_is_compacted_410);
	tcase_add_test(polls, poll_ends_with_the_node);
	tcase_add_test(gets, get_answers_at_once_what_is_new);
	tcase_add_test(gets, get_waits_for_a_change);
	tcase_add_test(gets, get_is_304_after_the_time);
	tcase_add_test(gets, get_is_404_when_it_is_deleted);
	tcase_add_test(gets, get_waits_for_a_missing_key);
	tcase_add_test(gets, get_without_a_tag_waits_for_the_next_change);
	tcase_add_test(gets, get_goes_on_waiting);
	tcase_add_test(gets, get_waits_as_json);
	tcase_add_test(gets, get_is_answered_when_the_node_ends);
	tcase_add_test(gets, get_of_the_past_does_not_wait);
	tcase_add_test(gets, many_wait);
	tcase_add_test(roomy, many_are_told_of_much);
	tcase_add_test(roomy, many_wait_for_much);
	tcase_add_test(roomy, poll_leaves_out_too_many_values);
	tcase_add_test(three, no_leader_is_said_in_time);
	tcase_add_test(three, a_follower_waits_as_well);
	suite_add_tcase(suite, polls);
	suite_add_tcase(suite, gets);
	suite_add_tcase(suite, roomy);
	suite_add_tcase(suite, three);
	return suite;
}
