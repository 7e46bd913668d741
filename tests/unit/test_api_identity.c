/* Idempotency-Key, and what else goes to the leader and comes back. */

#include "common/macros.h"
#include "tests/unit/api_stage.h"
#include "tests/unit/suites.h"

#include <stdio.h>

#define KEY "Idempotency-Key: 5f0c-17\r\n"

/* Asks twice: the second answer is the first one again, and says so. */
static void
expect_replay(const char *method, const char *target, const char *headers,
    const char *body, unsigned status)
{
	struct slice bytes =
	    body == NULL ? slice_of(NULL, 0) : slice_from_text(body);
	struct reply first = site_ask(one, method, target, headers, bytes);
	struct reply again = site_ask(one, method, target, headers, bytes);

	assert_status(&first, status);
	assert_status(&again, status);
	ck_assert_str_eq(reply_header(&first, "Idempotency-Replayed"), "");
	ck_assert_str_eq(reply_header(&again, "Idempotency-Replayed"), "true");
	ck_assert_str_eq(
	    (const char *)first.body.data, (const char *)again.body.data);
	reply_release(&first);
	reply_release(&again);
}

START_TEST(replays)
{
	site_expect(one, "PUT /kv/a", "", "1", 201, "");
	expect_replay(
	    "POST", "/kv/n?op=incr", "Idempotency-Key: 1\r\n", NULL, 200);
	site_expect(one, "GET /kv/n", "", NULL, 200, "\r\n\r\n1");
	expect_replay("PUT", "/kv/b", "Idempotency-Key: 2\r\n", "v", 201);
	expect_replay(
	    "PUT", "/kv/a?ttl=1h", "Idempotency-Key: 3\r\n", "w", 200);
	expect_replay("DELETE", "/kv/b", "Idempotency-Key: 4\r\n", NULL, 200);
	expect_replay("POST", "/kv/q/", "Idempotency-Key: 5\r\n", "v", 201);
	expect_replay(
	    "POST", "/lease?ttl=1h", "Idempotency-Key: 6\r\n", NULL, 201);
	expect_replay(
	    "PUT", "/lock/l?ttl=1h", "Idempotency-Key: 7\r\n", "me", 201);
	expect_replay("PUT", "/kv/a",
	    "Idempotency-Key: 8\r\nPrefer: return=previous\r\n", "x", 200);
}
END_TEST

/* Prefer is about the answer alone: the same request, in the form asked for,
 * but what was not kept at first is not made up. */
START_TEST(replays_by_another_preference)
{
	static const char plain[] = "Idempotency-Key: 1\r\n";
	static const char previous[] =
	    "Idempotency-Key: 1\r\nPrefer: return=previous\r\n";
	static const char minimal[] =
	    "Idempotency-Key: 1\r\nPrefer: return=minimal\r\n";

	site_expect(one, "PUT /kv/a", "", "1", 201, "");
	expect_replay("PUT", "/kv/a", plain, "2", 200);
	site_expect(
	    one, "PUT /kv/a", minimal, "2", 204, "Idempotency-Replayed: true");
	site_expect(one, "PUT /kv/a", previous, "2", 200,
	    "{\"key\":\"a\",\"revision\":2,\"created\":1,\"version\":2}\n");
	site_expect(one, "DELETE /kv/a", "Idempotency-Key: 2\r\n", NULL, 200,
	    "\"deleted\":1");
	site_expect(one, "DELETE /kv/a",
	    "Idempotency-Key: 2\r\nPrefer: return=previous\r\n", NULL, 200,
	    "{\"deleted\":1,\"key\":\"a\",\"revision\":3}\n");
	/* What is not there has no value to be kept. */
	site_expect(one, "PUT /kv/b", "Idempotency-Key: 3\r\n", "1", 201, "");
	site_expect(one, "PUT /kv/b",
	    "Idempotency-Key: 3\r\nPrefer: return=previous\r\n", "1", 201,
	    "\"previous\":null");
	site_expect(one, "PUT /kv/b",
	    "Idempotency-Key: 4\r\nPrefer: return=previous\r\n", "2", 200,
	    "\"previous\":{\"value\":\"1\"}");
	site_expect(one, "PUT /kv/b", "Idempotency-Key: 4\r\n", "2", 200,
	    "\"version\":2}\n");
}
END_TEST

/* Those that change nothing are kept as well. */
START_TEST(errors_replay)
{
	expect_replay(
	    "PUT", "/kv/no", "Idempotency-Key: 1\r\nIf-Match: *\r\n", "v", 412);
	site_expect(one, "PUT /kv/no", "", "x", 201, "");
	expect_replay(
	    "POST", "/kv/no?op=incr", "Idempotency-Key: 2\r\n", NULL, 409);
	expect_replay("PUT", "/kv/no?lease=00000000000000aa",
	    "Idempotency-Key: 3\r\n", "v", 404);
	site_expect(one, "PUT /lock/l?ttl=1h", "", "me", 201, "");
	expect_replay(
	    "PUT", "/lock/l?ttl=1h", "Idempotency-Key: 4\r\n", "you", 409);
	expect_replay("PUT", "/kv/no",
	    "Idempotency-Key: 5\r\nIf-Match: 7, 8\r\n", "v", 412);
	/* The answer is that of then. */
	site_expect(one, "PUT /kv/no", "Idempotency-Key: 1\r\nIf-Match: *\r\n",
	    "v", 412, "\"exists\":false");
}
END_TEST

START_TEST(reused_422)
{
	static const struct {
		const char *request;
		const char *headers;
		const char *body;
	} rows[] = {
		{ "PUT /kv/a", KEY, "other" },
		{ "PUT /kv/b", KEY, "v" },
		{ "PUT /kv/a?ttl=1h", KEY, "v" },
		{ "DELETE /kv/a", KEY, NULL },
		{ "POST /lease?ttl=1h", KEY, NULL },
		{ "PUT /kv/a", KEY "If-Match: 1\r\n", "v" },
		{ "PUT /kv/a", KEY "Content-Type: text/plain\r\n", "v" },
	};

	site_expect(one, "PUT /kv/a", KEY, "v", 201, "");
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
		site_expect(one, rows[i].request, rows[i].headers, rows[i].body,
		    422, "\"code\":\"idempotency_key_reused\"");
	/* No operation is to blame for it. */
	site_expect(one, "POST /lease?ttl=1h", KEY, NULL, 422,
	    "\"hint\":\"draw another key for each request\"}\n");
	/* Neither of these is about what is done. */
	site_expect(one, "PUT /kv/a?timeout=1s&redirect=1", KEY, "v", 201,
	    "Idempotency-Replayed: true");
}
END_TEST

/* The quota is 10,000 bytes: nobody may take what was done for refused. */
START_TEST(replay_in_a_full_store)
{
	char value[901];
	char target[16];

	memset(value, 'v', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	site_expect(one, "PUT /kv/a", KEY, value, 201, "");
	site_expect(one, "DELETE /kv/a", "", NULL, 200, "");
	/* 11 times 901 of 10,000 bytes. */
	for (int i = 0; i < 11; i++) {
		snprintf(target, sizeof(target), "PUT /kv/%c", 'b' + i);
		site_expect(one, target, "", value, 201, "");
	}
	site_expect(one, "PUT /kv/a", "Idempotency-Key: another\r\n", value,
	    507, "quota_exceeded");
	site_expect(
	    one, "PUT /kv/a", KEY, value, 201, "Idempotency-Replayed: true");
	site_expect(one, "GET /kv/a", "", NULL, 404, "");
}
END_TEST

START_TEST(malformed_400)
{
	static const char too_long[] =
	    "12345678901234567890123456789012345678901234567890123456789012345";
	static const char *const values[] = { "", "a b", "\xc3\xa9", too_long };
	char line[128];

	for (size_t i = 0; i < ARRAY_COUNT(values); i++) {
		snprintf(
		    line, sizeof(line), "Idempotency-Key: %s\r\n", values[i]);
		site_expect(
		    one, "PUT /kv/a", line, "v", 400, "1 to 64 visible ASCII");
		site_expect(one, "POST /lease?ttl=1s", line, NULL, 400, "");
		site_expect(one, "PUT /lock/a?ttl=1s", line, NULL, 400, "");
	}
	site_expect(one, "PUT /kv/a",
	    "Idempotency-Key: 1\r\nIdempotency-Key: 2\r\n", "v", 400,
	    "given twice");
	site_expect(one, "PUT /kv/a",
	    "Idempotency-Key: \"8e03978e-40d5-43dd-bc93-6894a57f9324\"\r\n",
	    "v", 201, "");
	site_expect(one, "PUT /kv/b",
	    "Idempotency-Key: 123456789012345678901234567890123456789012345678"
	    "9012345678901234\r\n",
	    "v", 201, "");
}
END_TEST

START_TEST(unknown_outcome_names_it)
{
	static const char *const hints[][2] = {
		{ "", "with an Idempotency-Key it could be repeated" },
		{ KEY, "repeat it with the same Idempotency-Key" },
	};

	for (size_t i = 0; i < ARRAY_COUNT(hints); i++) {
		struct reply reply;
		int fd;

		one->frozen = true;
		fd = site_send(
		    one, "PUT", "/kv/a", hints[i][0], slice_from_text("v"));
		site_pass_until_busy(one);
		api_expire(one->api, world_later(world, SITE_TIMEOUT_US));
		reply = site_receive(world, fd);
		assert_contains(&reply, hints[i][1]);
		assert_problem(reply, 504, "outcome_unknown");
		one->frozen = false;
	}
	/* It was applied, and that is the answer now. */
	site_expect(
	    one, "PUT /kv/a", KEY, "v", 200, "Idempotency-Replayed: true");
}
END_TEST

/* ---- Through a follower ---- */

/* All that the leader would have said is said. */
START_TEST(forwarded_headers)
{
	site_expect(one, "PUT /kv/a", "Content-Type: text/plain\r\n", "v", 201,
	    "ETag: \"1\"");
	site_expect(one, "PUT /kv/a", "If-None-Match: *\r\n", "v", 412,
	    "\"current\":1");
	site_expect(one, "PUT /kv/a", "If-Match: 1\r\n" KEY, "w", 200, "");
	site_expect(one, "PUT /kv/a", "If-Match: 1\r\n" KEY, "w", 200,
	    "Idempotency-Replayed: true");
	site_expect(one, "PUT /kv/a", "If-Match: 1\r\n" KEY, "x", 422, "");
	site_expect(world_leader(world), "PUT /kv/a", "If-Match: 1\r\n" KEY,
	    "w", 200, "Idempotency-Replayed: true");
	site_expect(one, "POST /kv/q/", "", "v", 201,
	    "Location: /kv/q/00000000000000000003\r\n");
	site_expect(one, "PUT /kv/b", "Prefer: return=previous\r\n", "v", 201,
	    "Preference-Applied: return=previous");
	site_expect(
	    one, "POST /lease?ttl=1h", "", NULL, 201, "Location: /lease/");
	site_expect(one, "PUT /kv/c?ttl=1h", "Content-Type: text/plain\r\n",
	    "v", 201, "\"ttl\":3600}");
	site_expect(
	    one, "GET /kv/c", "", NULL, 200, "Content-Type: text/plain\r\n");
	site_expect(one, "GET /kv/c", "", NULL, 200, "Luminous-TTL: 3");
}
END_TEST

START_TEST(redirect_307)
{
	struct site *leader = world_leader(world);
	struct reply reply = site_ask(one, "PUT",
	    "/kv/a%2Fb?ttl=1h&redirect=1&timeout=2s", "", slice_from_text("v"));
	char location[128];

	assert_status(&reply, 307);
	snprintf(
	    location, sizeof(location), "http://%s/kv/a%%2Fb", leader->address);
	ck_assert_int_eq(strncmp(reply_header(&reply, "Location"), location,
			     strlen(location)),
	    0);
	ck_assert_str_eq(reply_header(&reply, "Location") + strlen(location),
	    "?ttl=1h&timeout=2s");
	reply_release(&reply);
	site_expect(one, "GET /kv/a?redirect", "", NULL, 307, "/kv/a\r\n");
	site_expect(one, "GET /kv/\xe9?redirect", "", NULL, 307, "/kv/%E9\"}");
	site_expect(one, "DELETE /lock/a?token=00000000000000aa&redirect=1", "",
	    NULL, 307, "/lock/a?token=00000000000000aa\r\n");
	/* What needs no leader, and what is there already, is served. */
	site_expect(
	    one, "GET /kv/a?redirect=1&consistency=stale", "", NULL, 404, "");
	site_expect(leader, "PUT /kv/a?redirect=1", "", "v", 201, "");
	site_expect(one, "PUT /kv/a?redirect=0", "", "v", 400, "");
}
END_TEST

Suite *
api_identity_suite(void)
{
	Suite *suite = suite_create("api_identity");
	TCase *tcase = tcase_create("one");
	TCase *three = tcase_create("three");

	tcase_add_checked_fixture(tcase, api_stage_one, api_stage_end);
	tcase_add_test(tcase, replays);
	tcase_add_test(tcase, replays_by_another_preference);
	tcase_add_test(tcase, errors_replay);
	tcase_add_test(tcase, reused_422);
	tcase_add_test(tcase, replay_in_a_full_store);
	tcase_add_test(tcase, malformed_400);
	tcase_add_test(tcase, unknown_outcome_names_it);
	suite_add_tcase(suite, tcase);
	tcase_add_checked_fixture(three, api_stage_three, api_stage_end);
	tcase_add_test(three, forwarded_headers);
	tcase_add_test(three, redirect_307);
	suite_add_tcase(suite, three);
	return suite;
}
