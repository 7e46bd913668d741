/* How long keys live, what they were before, and what is told with them. */

#include "api/api_impl.h"
#include "common/macros.h"
#include "tests/unit/api_stage.h"
#include "tests/unit/suites.h"

#include <stdio.h>

START_TEST(ttl_values)
{
	static const struct {
		const char *ttl;
		const char *says;
	} rows[] = {
		{ "100ms", "\"ttl\":0.1}" },
		{ "1500ms", "\"ttl\":1.5}" },
		{ "30s", "\"ttl\":30}" },
		{ "30", "\"ttl\":30}" },
		{ "5m", "\"ttl\":300}" },
		{ "2h", "\"ttl\":7200}" },
		{ "1d", "\"ttl\":86400}" },
		{ "36500d", "\"ttl\":3153600000}" },
	};
	static const char *const bad[] = { "", "0", "99ms", "0s", "-1", "1.5",
		"1.5s", "1x", "s", "36501d", "99999999999999999999" };
	char request[64];

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		snprintf(request, sizeof(request), "PUT /kv/%zu?ttl=%s", i,
		    rows[i].ttl);
		site_expect(one, request, "", "v", 201, rows[i].says);
	}
	for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
		snprintf(
		    request, sizeof(request), "PUT /kv/bad?ttl=%s", bad[i]);
		site_expect(one, request, "", "v", 400, "\"code\":\"bad_ttl\"");
		site_expect(one, request, "", "v", 400,
		    "at least 100ms and at most 36500d (100 years), in whole");
	}
	site_expect(one, "GET /kv/bad", "", NULL, 404, "");
}
END_TEST

/* The time left, wherever a key is shown. */
START_TEST(ttl_is_shown)
{
	struct reply reply;

	site_expect(one, "PUT /kv/a?ttl=1h", "", "v", 201, "\"ttl\":3600}");
	site_expect(one, "GET /kv/a", "", NULL, 200, "Luminous-TTL: 3");
	site_expect(one, "GET /kv/a?json", "", NULL, 200, ",\"ttl\":3");
	/* A new value lives by its own terms. */
	site_expect(one, "PUT /kv/a", "", "v", 200, "\"version\":2}");
	reply = site_get(one, "/kv/a");
	ck_assert_str_eq(reply_header(&reply, "Luminous-TTL"), "");
	reply_release(&reply);
}
END_TEST

/* In time, and never early; what is left of it then is history. */
START_TEST(ttl_ends)
{
	uint64_t begin = world_later(world, 0);
	struct reply reply;
	bool is_there;

	site_expect(one, "PUT /kv/a?ttl=100ms", "", "v", 201, "");
	site_expect(one, "PUT /kv/b", "", "v", 201, "");
	do {
		reply = site_get(one, "/kv/a");
		is_there = reply.status == 200;
		reply_release(&reply);
	} while (is_there);
	ck_assert_uint_ge(world_later(world, 0), begin + 100000);
	site_expect(one, "GET /kv/a", "", NULL, 404, "key_not_found");
	site_expect(one, "GET /kv/a?at=2", "", NULL, 200, "\r\n\r\nv");
	site_expect(one, "GET /kv/b", "", NULL, 200, "Luminous-Revision: 3");
}
END_TEST

START_TEST(keep_ttl)
{
	site_expect(one, "PUT /kv/a?ttl=1h", "", "v", 201, "");
	site_expect(one, "PUT /kv/a?keep_ttl=1", "", "w", 200, "\"ttl\":3");
	site_expect(one, "GET /kv/a", "", NULL, 200, "Luminous-TTL: 3");
	site_expect(one, "PUT /kv/b?keep_ttl", "", "w", 201, "\"version\":1}");
}
END_TEST

START_TEST(put_on_a_lease)
{
	site_expect(one, "PUT /kv/a?lease=00000000000000aa", "", "v", 404,
	    "\"code\":\"lease_not_found\"");
	site_expect(one, "GET /kv/a", "", NULL, 404, "");
}
END_TEST

/* ---- Content types ---- */

START_TEST(safe_content_types)
{
	static const char *const rows[][2] = {
		{ "Content-Type: text/plain\r\n", "text/plain" },
		{ "Content-Type: Text/Plain; charset=utf-8\r\n", "text/plain" },
		{ "Content-Type: application/json\r\n", "application/json" },
		{ "Content-Type: application/x-pem-file ;x\r\n",
		    "application/x-pem-file" },
		{ "Content-Type: application/octet-stream\r\n",
		    "application/octet-stream" },
		{ "Content-Type: application/x-www-form-urlencoded\r\n",
		    "application/octet-stream" },
		{ "Content-Type: text/html\r\n", "application/octet-stream" },
		{ "Content-Type: image/svg+xml\r\n",
		    "application/octet-stream" },
		{ "Content-Type: \r\n", "application/octet-stream" },
		{ "Content-Type: ;\r\n", "application/octet-stream" },
		{ "", "application/octet-stream" },
	};

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		struct reply reply = site_ask(
		    one, "PUT", "/kv/a", rows[i][0], slice_from_text("{}"));

		reply_release(&reply);
		reply = site_get(one, "/kv/a");
		ck_assert_str_eq(
		    reply_header(&reply, "Content-Type"), rows[i][1]);
		ck_assert_str_eq(
		    reply_header(&reply, "X-Content-Type-Options"), "nosniff");
		ck_assert_str_eq(
		    reply_header(&reply, "Content-Security-Policy"), "sandbox");
		reply_release(&reply);
	}
	site_expect(
	    one, "PUT /kv/a", "Content-Type: text/plain\r\n", "v", 200, "");
	site_expect(one, "GET /kv/a?json", "", NULL, 200,
	    ",\"content_type\":\"text/plain\"}");
}
END_TEST

/* ---- Prefer (RFC 7240) ---- */

START_TEST(prefer_previous)
{
	static const char previous[] = "Prefer: return=previous\r\n";
	static const char applied[] = "Preference-Applied: return=previous";

	site_expect(one, "PUT /kv/a", previous, "1", 201,
	    "\"version\":1,\"previous\":null}");
	site_expect(one, "PUT /kv/a", previous, "2", 200,
	    "\"version\":2,\"previous\":{\"value\":\"1\"}}");
	site_expect(one, "PUT /kv/a", previous, "3", 200, applied);
	site_expect(one, "DELETE /kv/a", previous, NULL, 200,
	    "{\"deleted\":1,\"key\":\"a\",\"revision\":4,\"previous\":{"
	    "\"value\":\"3\"}}");
	site_expect(one, "DELETE /kv/a", previous, NULL, 200,
	    "{\"deleted\":0,\"key\":\"a\",\"revision\":4,\"previous\":null}");
	site_expect(one, "DELETE /kv/a", previous, NULL, 200, applied);
}
END_TEST

START_TEST(prefer_minimal)
{
	static const char minimal[] = "Prefer: return=minimal\r\n";

	site_expect(one, "PUT /kv/n", minimal, "1", 204, "ETag: \"1\"");
	site_expect(
	    one, "POST /kv/n?op=incr", minimal, NULL, 204, "ETag: \"2\"");
	/* Else nobody would know its name. */
	site_expect(one, "POST /kv/q/", minimal, "v", 201, "\"key\":\"q/");
}
END_TEST

/* ---- Past revisions ---- */

START_TEST(at_a_revision)
{
	site_expect(one, "PUT /kv/a", "", "one", 201, "");
	site_expect(one, "PUT /kv/b", "", "two", 201, "");
	site_expect(one, "PUT /kv/a?ttl=1h", "", "three", 200, "");
	site_expect(one, "DELETE /kv/a", "", NULL, 200, "\"revision\":4");
	site_expect(one, "GET /kv/a?at=1", "", NULL, 200, "\r\none");
	site_expect(one, "GET /kv/a?at=2", "", NULL, 200, "ETag: \"1\"");
	site_expect(one, "GET /kv/a?at=3", "", NULL, 200, "\r\nthree");
	site_expect(one, "GET /kv/a?at=3&json", "", NULL, 200,
	    "\"revision\":3,\"created\":1,\"version\":2}");
	site_expect(one, "GET /kv/a?at=4", "", NULL, 404,
	    "there was no such key at revision 4");
	site_expect(one, "GET /kv/a?at=0", "", NULL, 404, "key_not_found");
	site_expect(one, "GET /kv/b?at=1", "", NULL, 404, "key_not_found");
	site_expect(one, "GET /kv/a?at=5", "", NULL, 400, "the revision is 4");
	site_expect(
	    one, "GET /kv/a?at=2", "If-None-Match: 1\r\n", NULL, 304, "");
	site_expect(
	    one, "GET /kv/a?at=2&consistency=stale", "", NULL, 200, "\r\none");
}
END_TEST

/* ---- Seconds ---- */

START_TEST(seconds_are_short_and_never_0)
{
	static const struct {
		uint64_t us;
		const char *text;
	} rows[] = {
		{ 1, "0.001" },
		{ 999, "0.001" },
		{ 1000, "0.001" },
		{ 1001, "0.002" },
		{ 27400000, "27.4" },
		{ 27040000, "27.04" },
		{ 15000000, "15" },
		{ 14999001, "15" },
		{ 0, "0" },
	};

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		struct buf text = { 0 };

		api_append_seconds(&text, rows[i].us);
		buf_append(&text, "", 1);
		ck_assert_str_eq((char *)text.data, rows[i].text);
		buf_release(&text);
	}
}
END_TEST

START_TEST(ids)
{
	static const char *const bad[] = { "", "1", "00000000000000000",
		"000000000000000g", "0000000000000000", "0x00000000000001" };
	struct buf text = { 0 };
	uint64_t id;

	api_append_id(&text, 0xab);
	ck_assert_uint_eq(text.size, 16);
	ck_assert_int_eq(memcmp(text.data, "00000000000000ab", 16), 0);
	ck_assert(api_parse_id(buf_slice(&text), &id));
	ck_assert_uint_eq(id, 0xab);
	for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
		ck_assert(!api_parse_id(slice_from_text(bad[i]), &id));
	buf_release(&text);
}
END_TEST

Suite *
api_life_suite(void)
{
	Suite *suite = suite_create("api_life");
	TCase *tcase = tcase_create("life");

	tcase_add_checked_fixture(tcase, api_stage_one, api_stage_end);
	tcase_add_test(tcase, ttl_values);
	tcase_add_test(tcase, ttl_is_shown);
	tcase_add_test(tcase, ttl_ends);
	tcase_add_test(tcase, keep_ttl);
	tcase_add_test(tcase, put_on_a_lease);
	tcase_add_test(tcase, safe_content_types);
	tcase_add_test(tcase, prefer_previous);
	tcase_add_test(tcase, prefer_minimal);
	tcase_add_test(tcase, at_a_revision);
	tcase_add_test(tcase, seconds_are_short_and_never_0);
	tcase_add_test(tcase, ids);
	suite_add_tcase(suite, tcase);
	return suite;
}
