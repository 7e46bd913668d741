#include "common/macros.h"
#include "tests/unit/api_stage.h"
#include "tests/unit/suites.h"

#include <stdio.h>
#include <unistd.h>

START_TEST(put_new_201)
{
	struct reply reply = site_put(one, "/kv/app/db/host", "db7");

	assert_status(&reply, 201);
	assert_body(&reply, "{\"key\":\"app/db/host\",\"revision\":1,"
			    "\"created\":1,\"version\":1}\n");
	ck_assert_str_eq(reply_header(&reply, "ETag"), "\"1\"");
	ck_assert_str_eq(
	    reply_header(&reply, "Content-Type"), "application/json");
	reply_release(&reply);
}
END_TEST

START_TEST(put_replaced_200)
{
	struct reply reply = site_put(one, "/kv/a", "1");

	reply_release(&reply);
	reply = site_put(one, "/kv/b", "1");
	reply_release(&reply);
	reply = site_put(one, "/kv/a", "2");
	assert_status(&reply, 200);
	assert_body(&reply, "{\"key\":\"a\",\"revision\":3,\"created\":1,"
			    "\"version\":2}\n");
	ck_assert_str_eq(reply_header(&reply, "ETag"), "\"3\"");
	reply_release(&reply);
}
END_TEST

START_TEST(put_return_minimal_204)
{
	struct reply reply = site_ask(one, "PUT", "/kv/a",
	    "Prefer: respond-async, return=minimal\r\n", slice_from_text("1"));

	assert_status(&reply, 204);
	ck_assert_str_eq(
	    reply_header(&reply, "Preference-Applied"), "return=minimal");
	ck_assert_str_eq(reply_header(&reply, "ETag"), "\"1\"");
	ck_assert_uint_eq(reply.body.size, 0);
	reply_release(&reply);
}
END_TEST

START_TEST(get_raw_200)
{
	struct reply reply = site_put(one, "/kv/a", "1");

	reply_release(&reply);
	reply = site_put(one, "/kv/a", "two\n");
	reply_release(&reply);
	reply = site_get(one, "/kv/a");
	assert_status(&reply, 200);
	assert_body(&reply, "two\n");
	ck_assert_str_eq(
	    reply_header(&reply, "Content-Type"), "application/octet-stream");
	ck_assert_str_eq(reply_header(&reply, "Content-Length"), "4");
	ck_assert_str_eq(reply_header(&reply, "ETag"), "\"2\"");
	ck_assert_str_eq(reply_header(&reply, "Luminous-Key-Created"), "1");
	ck_assert_str_eq(reply_header(&reply, "Luminous-Key-Version"), "2");
	ck_assert_str_eq(reply_header(&reply, "Luminous-Revision"), "2");
	ck_assert_str_eq(
	    reply_header(&reply, "Content-Security-Policy"), "sandbox");
	ck_assert_str_eq(reply_header(&reply, "Vary"), "Accept");
	reply_release(&reply);
}
END_TEST

START_TEST(head_has_no_body)
{
	struct reply reply = site_put(one, "/kv/a", "four");

	reply_release(&reply);
	reply = site_ask(one, "HEAD", "/kv/a", "", slice_of(NULL, 0));
	assert_status(&reply, 200);
	ck_assert_uint_eq(reply.body.size, 0);
	ck_assert_str_eq(reply_header(&reply, "Content-Length"), "4");
	ck_assert_str_eq(reply_header(&reply, "ETag"), "\"1\"");
	reply_release(&reply);
}
END_TEST

START_TEST(get_missing_404)
{
	assert_problem(site_get(one, "/kv/nope"), 404, "key_not_found");
}
END_TEST

START_TEST(get_json)
{
	static const char *const ways[][2] = {
		{ "/kv/a%22b", "Accept: application/json\r\n" },
		{ "/kv/a%22b",
		    "Accept: text/html, application/JSON;q=0.5\r\n" },
		{ "/kv/a%22b",
		    "Accept: text/html\r\nAccept: application/json\r\n" },
		{ "/kv/a%22b?json", "" },
		{ "/kv/a%22b?json=1", "" },
	};
	struct reply reply = site_put(one, "/kv/a%22b", "x\n");

	reply_release(&reply);
	for (size_t i = 0; i < ARRAY_COUNT(ways); i++) {
		reply = site_get_with(one, ways[i][0], ways[i][1]);
		assert_status(&reply, 200);
		assert_body(&reply,
		    "{\"key\":\"a\\\"b\",\"value\":\"x\\n\",\"revision\":1,"
		    "\"created\":1,\"version\":1}\n");
		ck_assert_str_eq(
		    reply_header(&reply, "Content-Type"), "application/json");
		reply_release(&reply);
	}
}
END_TEST

START_TEST(get_json_not_wanted)
{
	static const char *const accepts[] = {
		"Accept: */*\r\n",
		"Accept: application/json;q=0\r\n",
		"Accept: application/json; q=0.000, */*\r\n",
		"Accept: application/jsonl\r\n",
		"Accept: ,;,\r\n",
		"",
	};
	struct reply reply = site_put(one, "/kv/a", "raw");

	reply_release(&reply);
	for (size_t i = 0; i < ARRAY_COUNT(accepts); i++) {
		reply = site_get_with(one, "/kv/a", accepts[i]);
		assert_body(&reply, "raw");
		reply_release(&reply);
	}
}
END_TEST

START_TEST(get_json_base64)
{
	struct reply reply =
	    site_ask(one, "PUT", "/kv/%FF", "", slice_of("\x00\xff\x80", 3));

	assert_status(&reply, 201);
	assert_contains(&reply, "{\"key_base64\":\"/w==\",");
	reply_release(&reply);
	reply = site_get(one, "/kv/%ff?json");
	assert_contains(
	    &reply, "{\"key_base64\":\"/w==\",\"value_base64\":\"AP+A\",");
	reply_release(&reply);
}
END_TEST

START_TEST(delete_200)
{
	struct reply reply = site_put(one, "/kv/a", "1");

	reply_release(&reply);
	reply = site_ask(one, "DELETE", "/kv/a", "", slice_of(NULL, 0));
	assert_status(&reply, 200);
	assert_body(&reply, "{\"deleted\":1,\"key\":\"a\",\"revision\":2}\n");
	reply_release(&reply);
	assert_problem(site_get(one, "/kv/a"), 404, "key_not_found");
	/* Once more, as a retry would: nothing changes, no error. */
	reply = site_ask(one, "DELETE", "/kv/a", "", slice_of(NULL, 0));
	assert_status(&reply, 200);
	assert_body(&reply, "{\"deleted\":0,\"key\":\"a\",\"revision\":2}\n");
	reply_release(&reply);
}
END_TEST

START_TEST(recreated_key_has_new_etag)
{
	struct reply reply = site_put(one, "/kv/a", "1");

	reply_release(&reply);
	reply = site_ask(one, "DELETE", "/kv/a", "", slice_of(NULL, 0));
	reply_release(&reply);
	reply = site_put(one, "/kv/a", "1");
	assert_status(&reply, 201);
	assert_contains(&reply, "\"revision\":3,\"created\":3,\"version\":1}");
	reply_release(&reply);
}
END_TEST

START_TEST(keys_of_every_byte)
{
	for (int byte = 0; byte < 256; byte++) {
		char target[32];
		char value[8];
		struct reply reply;

		snprintf(target, sizeof(target), "/kv/k%%%02X", byte);
		snprintf(value, sizeof(value), "%d", byte);
		reply = site_put(one, target, value);
		assert_status(&reply, 201);
		reply_release(&reply);
	}
	for (int byte = 0; byte < 256; byte++) {
		char target[32];
		char value[8];
		struct reply reply;

		snprintf(target, sizeof(target), "/kv/k%%%02x", byte);
		snprintf(value, sizeof(value), "%d", byte);
		reply = site_get(one, target);
		assert_status(&reply, 200);
		assert_body(&reply, value);
		reply_release(&reply);
	}
}
END_TEST

START_TEST(keys_are_taken_byte_for_byte)
{
	/* Two spellings of one key, then one that must stay different. */
	static const char *const spellings[][3] = {
		{ "/kv/a/b", "/kv/a%2fb", "/kv/a%252fb" },
		{ "/kv/a//b", "/kv/a%2F/b", "/kv/a/b" },
		{ "/kv/a/../b", "/kv/a/%2e./b", "/kv/b" },
		{ "/kv/x+y", "/kv/x%2by", "/kv/x%20y" },
		{ "/kv//", "/kv/%2F", "/kv/%2F%2F" },
	};
	struct reply reply;

	for (size_t i = 0; i < ARRAY_COUNT(spellings); i++) {
		reply = site_put(one, spellings[i][2], "other");
		reply_release(&reply);
		reply = site_put(one, spellings[i][0], "same");
		reply_release(&reply);
		reply = site_get(one, spellings[i][1]);
		assert_body(&reply, "same");
		reply_release(&reply);
		reply = site_get(one, spellings[i][2]);
		assert_body(&reply, "other");
		reply_release(&reply);
	}
}
END_TEST

START_TEST(key_sizes)
{
	char target[600] = "/kv/";
	struct reply reply;

	memset(target + 4, 'k', KV_KEY_SIZE_MAX);
	reply = site_put(one, target, "1");
	assert_status(&reply, 201);
	reply_release(&reply);
	target[4 + KV_KEY_SIZE_MAX] = 'k';
	reply = site_get(one, target);
	assert_contains(&reply, "\"limit\":480");
	assert_problem(reply, 414, "too_large");
	assert_problem(site_put(one, target, "1"), 414, "too_large");
	/* The limit is on decoded bytes. */
	memset(target + 4, 'k', KV_KEY_SIZE_MAX + 4);
	memcpy(target + 4, "%6b%6b", 6);
	target[4 + KV_KEY_SIZE_MAX + 4] = '\0';
	reply = site_get(one, target);
	assert_status(&reply, 200);
	reply_release(&reply);
}
END_TEST

START_TEST(keys_refused)
{
	assert_problem(site_get(one, "/kv/"), 400, "bad_request");
	assert_problem(site_put(one, "/kv/", "1"), 400, "bad_request");
	assert_problem(site_get(one, "/k"), 404, "unknown_path");
	assert_problem(site_get(one, "/kvx"), 404, "unknown_path");
}
END_TEST

START_TEST(value_sizes)
{
	char value[SITE_VALUE_MAX + 1];
	struct reply reply;

	memset(value, 'v', sizeof(value));
	reply =
	    site_ask(one, "PUT", "/kv/a", "", slice_of(value, SITE_VALUE_MAX));
	assert_status(&reply, 201);
	reply_release(&reply);
	reply = site_ask(one, "PUT", "/kv/a", "", slice_of("", 0));
	assert_status(&reply, 200);
	reply_release(&reply);
	reply = site_get(one, "/kv/a");
	assert_status(&reply, 200);
	assert_body(&reply, "");
	reply_release(&reply);
	reply = site_ask(
	    one, "PUT", "/kv/a", "", slice_of(value, SITE_VALUE_MAX + 1));
	assert_contains(&reply, "\"limit\":1000,\"option\":\"http.max-value\"");
	assert_problem(reply, 413, "too_large");
}
END_TEST

START_TEST(body_where_none_belongs)
{
	assert_problem(
	    site_ask(one, "DELETE", "/kv/a", "", slice_from_text("x")), 400,
	    "bad_request");
	assert_problem(site_ask(one, "GET", "/kv/a", "", slice_from_text("x")),
	    400, "bad_request");
	/* Where the method or the path is wrong, that is what is said. */
	assert_problem(
	    site_ask(one, "POST", "/livez", "", slice_from_text("x")), 405,
	    "method_not_allowed");
	assert_problem(site_ask(one, "PUT", "/no", "", slice_from_text("x")),
	    404, "unknown_path");
}
END_TEST

/* RFC 9110, 13.1.2 */
START_TEST(if_none_match_304)
{
	static const char *const lists[] = { "\"1\"", "W/\"1\"", "*", "1",
		"7, 1", "\"7\", \"1\"", "\"a,b\",W/\"1\"" };
	struct reply reply = site_put(one, "/kv/a", "1");

	reply_release(&reply);
	for (size_t i = 0; i < ARRAY_COUNT(lists); i++) {
		char line[64];

		snprintf(line, sizeof(line), "If-None-Match: %s\r\n", lists[i]);
		reply = site_get_with(one, "/kv/a", line);
		assert_status(&reply, 304);
		ck_assert_str_eq(reply_header(&reply, "ETag"), "\"1\"");
		ck_assert_uint_eq(reply.body.size, 0);
		reply_release(&reply);
	}
}
END_TEST

START_TEST(if_none_match_200)
{
	static const char *const lists[] = { "\"\"", "", "\"2\"", "\"11\"",
		"01", "\"01\"", "1\"", "\"1", "\"2\" \"", "\"*\"" };
	struct reply reply = site_put(one, "/kv/a", "1");

	reply_release(&reply);
	for (size_t i = 0; i < ARRAY_COUNT(lists); i++) {
		char line[64];

		snprintf(line, sizeof(line), "If-None-Match: %s\r\n", lists[i]);
		reply = site_get_with(one, "/kv/a", line);
		assert_status(&reply, 200);
		reply_release(&reply);
	}
	assert_problem(site_get_with(one, "/kv/no", "If-None-Match: *\r\n"),
	    404, "key_not_found");
}
END_TEST

/* ---- Stale reads ---- */

#define STALE "/kv/a?consistency=stale"

START_TEST(stale_read_says_how_old_it_may_be)
{
	struct reply reply = site_put(one, "/kv/a", "1");

	reply_release(&reply);
	reply = site_get(one, STALE);
	assert_status(&reply, 200);
	ck_assert_str_eq(reply_header(&reply, "Luminous-Lag"), "0.000");
	ck_assert_str_eq(reply_header(&reply, "Luminous-Applied"), "2");
	reply_release(&reply);
	reply = site_get(one, "/kv/a");
	ck_assert_str_eq(reply_header(&reply, "Luminous-Lag"), "");
	ck_assert_str_eq(reply_header(&reply, "Luminous-Applied"), "");
	reply_release(&reply);
}
END_TEST

START_TEST(min_revision_that_is_there_200)
{
	struct reply reply = site_put(one, "/kv/a", "1");

	reply_release(&reply);
	reply = site_get(one, STALE "&min_revision=1&max_lag=0s");
	assert_status(&reply, 200);
	assert_body(&reply, "1");
	reply_release(&reply);
}
END_TEST

START_TEST(min_revision_is_waited_for)
{
	struct reply reply = site_put(one, "/kv/a", "1");
	int fd = site_send(
	    one, "GET", STALE "&min_revision=2", "", slice_of(NULL, 0));

	reply_release(&reply);
	site_pass_until_busy(one);
	reply = site_put(one, "/kv/a", "2");
	assert_status(&reply, 200);
	reply_release(&reply);
	reply = site_receive(world, fd);
	assert_status(&reply, 200);
	assert_body(&reply, "2");
	ck_assert_str_eq(reply_header(&reply, "Luminous-Revision"), "2");
	reply_release(&reply);
}
END_TEST

START_TEST(min_revision_that_does_not_come_503)
{
	struct reply reply = site_put(one, "/kv/a", "1");

	reply_release(&reply);
	reply = site_get(one, STALE "&min_revision=9&timeout=50ms");
	assert_contains(&reply, "n1 has revision 1, not yet 9");
	assert_problem(reply, 503, "too_stale");
}
END_TEST

/* Whose client goes has nothing to wait for. */
START_TEST(min_revision_of_a_client_that_is_gone)
{
	int fd = site_send(
	    one, "GET", STALE "&min_revision=2", "", slice_of(NULL, 0));

	site_pass_until_busy(one);
	close(fd);
	for (int i = 0; i < WORLD_PASSES_MAX && !api_idle(one->api); i++)
		world_pass(world);
	ck_assert(api_idle(one->api));
}
END_TEST

/* A stop does not wait for what may never come. */
START_TEST(min_revision_while_draining_503)
{
	int fd = site_send(
	    one, "GET", STALE "&min_revision=2", "", slice_of(NULL, 0));

	site_pass_until_busy(one);
	api_drain(one->api);
	assert_problem(site_receive(world, fd), 503, "too_stale");
}
END_TEST

/* Of a follower that hears its leader, and then nobody. */
START_TEST(max_lag_of_a_follower)
{
	struct reply reply;
	uint64_t until;
	bool fresh;

	do {
		reply = site_get(one, STALE "&max_lag=200ms");
		fresh = reply.status != 503;
		if (!fresh)
			reply_release(&reply);
	} while (!fresh);
	ck_assert_str_ne(reply_header(&reply, "Luminous-Lag"), "");
	assert_problem(reply, 404, "key_not_found");
	for (unsigned i = 0; i < world->count; i++)
		world->site[i].frozen = true;
	until = world_later(world, 300000);
	while (world_later(world, 0) < until)
		world_pass(world);
	reply = site_get(one, STALE "&max_lag=200ms");
	assert_contains(&reply, "has not heard a leader for 0.");
	ck_assert_str_ne(reply_header(&reply, "Luminous-Lag"), "");
	assert_problem(reply, 503, "too_stale");
	assert_problem(
	    site_get(one, STALE "&max_lag=1h"), 404, "key_not_found");
}
END_TEST

static void
add_stale_cases(Suite *suite)
{
	TCase *tcase = tcase_create("stale");
	TCase *three = tcase_create("stale_three");

	tcase_add_checked_fixture(tcase, api_stage_one, api_stage_end);
	tcase_add_test(tcase, stale_read_says_how_old_it_may_be);
	tcase_add_test(tcase, min_revision_that_is_there_200);
	tcase_add_test(tcase, min_revision_is_waited_for);
	tcase_add_test(tcase, min_revision_that_does_not_come_503);
	tcase_add_test(tcase, min_revision_of_a_client_that_is_gone);
	tcase_add_test(tcase, min_revision_while_draining_503);
	suite_add_tcase(suite, tcase);
	tcase_add_checked_fixture(three, api_stage_three, api_stage_end);
	tcase_add_test(three, max_lag_of_a_follower);
	suite_add_tcase(suite, three);
}

static void
add_key_cases(Suite *suite)
{
	TCase *tcase = tcase_create("key");

	tcase_add_checked_fixture(tcase, api_stage_one, api_stage_end);
	tcase_add_test(tcase, put_new_201);
	tcase_add_test(tcase, put_replaced_200);
	tcase_add_test(tcase, put_return_minimal_204);
	tcase_add_test(tcase, get_raw_200);
	tcase_add_test(tcase, head_has_no_body);
	tcase_add_test(tcase, get_missing_404);
	tcase_add_test(tcase, get_json);
	tcase_add_test(tcase, get_json_not_wanted);
	tcase_add_test(tcase, get_json_base64);
	tcase_add_test(tcase, delete_200);
	tcase_add_test(tcase, recreated_key_has_new_etag);
	tcase_add_test(tcase, keys_of_every_byte);
	tcase_add_test(tcase, keys_are_taken_byte_for_byte);
	tcase_add_test(tcase, key_sizes);
	tcase_add_test(tcase, keys_refused);
	tcase_add_test(tcase, value_sizes);
	tcase_add_test(tcase, body_where_none_belongs);
	tcase_add_test(tcase, if_none_match_304);
	tcase_add_test(tcase, if_none_match_200);
	suite_add_tcase(suite, tcase);
}

Suite *
api_kv_suite(void)
{
	Suite *suite = suite_create("api_kv");

	add_key_cases(suite);
	add_stale_cases(suite);
	return suite;
}
