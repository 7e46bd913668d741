/* POST of one key: operations of the server's, and children in order. */

#include "common/macros.h"
#include "tests/unit/api_stage.h"
#include "tests/unit/suites.h"

#include <stdio.h>

START_TEST(incr)
{
	site_expect(one, "POST /kv/n?op=incr", "", NULL, 200,
	    "{\"key\":\"n\",\"value\":\"1\",\"revision\":1,\"created\":1,"
	    "\"version\":1}\n");
	site_expect(one, "POST /kv/n?op=incr&by=41", "", NULL, 200,
	    "\"value\":\"42\",\"revision\":2");
	site_expect(one, "POST /kv/n?op=incr&by=-50", "", NULL, 200,
	    "\"value\":\"-8\"");
	site_expect(one, "GET /kv/n", "", NULL, 200, "\r\n\r\n-8");
	site_expect(one, "POST /kv/n?op=incr&by=0", "", NULL, 200, "");
	/* Its lifetime stays, unless another is given. */
	site_expect(one, "PUT /kv/n?ttl=1h", "", "5\n", 200, "");
	site_expect(one, "POST /kv/n?op=incr", "", NULL, 200,
	    "\"value\":\"6\",\"revision\":6,\"created\":1,\"version\":6,"
	    "\"ttl\":3");
	site_expect(
	    one, "POST /kv/n?op=incr&ttl=1s", "", NULL, 200, "\"ttl\":1}");
}
END_TEST

START_TEST(incr_of_what_is_no_number_409)
{
	static const char *const values[] = { "x", "", "1.5", " 1", "+1",
		"9223372036854775807", "99999999999999999999" };

	for (size_t i = 0; i < ARRAY_COUNT(values); i++) {
		struct reply reply = site_put(one, "/kv/n", values[i]);

		reply_release(&reply);
		site_expect(one, "POST /kv/n?op=incr", "", NULL, 409,
		    "\"code\":\"not_a_number\"");
		site_expect(one, "GET /kv/n", "", NULL, 200, values[i]);
	}
}
END_TEST

START_TEST(by_400)
{
	static const char *const values[] = { "", "x", "1.5", "--1", "+1",
		"9223372036854775808", "-9223372036854775809" };
	char request[64];

	for (size_t i = 0; i < ARRAY_COUNT(values); i++) {
		snprintf(request, sizeof(request), "POST /kv/n?op=incr&by=%s",
		    values[i]);
		site_expect(one, request, "", NULL, 400, "64 bits");
	}
	site_expect(one, "POST /kv/n?op=incr&by=-9223372036854775808", "", NULL,
	    200, "\"value\":\"-9223372036854775808\"");
}
END_TEST

START_TEST(append)
{
	char value[SITE_VALUE_MAX + 1];

	site_expect(one, "POST /kv/log?op=append", "", "one\n", 200,
	    "{\"key\":\"log\",\"value\":\"one\\n\",\"revision\":1,");
	site_expect(one, "POST /kv/log?op=append", "", "two\n", 200,
	    "\"value\":\"one\\ntwo\\n\",\"revision\":2,");
	/* The value may not outgrow what a PUT may write. */
	memset(value, 'v', sizeof(value));
	value[SITE_VALUE_MAX - 8] = '\0';
	site_expect(one, "POST /kv/log?op=append", "", value, 200, "");
	site_expect(one, "POST /kv/log?op=append", "", "x", 413,
	    "\"limit\":1000,\"option\":\"http.max-value\"");
}
END_TEST

START_TEST(touch_and_persist)
{
	site_expect(one, "POST /kv/a?op=touch&ttl=30s", "", NULL, 404,
	    "\"code\":\"key_not_found\"");
	site_expect(one, "POST /kv/a?op=persist", "", NULL, 404, "");
	site_expect(one, "PUT /kv/a", "", "v", 201, "");
	/* No new revision of the key, nor of anything. */
	site_expect(one, "POST /kv/a?op=touch&ttl=30s", "", NULL, 200,
	    "{\"key\":\"a\",\"revision\":1,\"created\":1,\"version\":1,"
	    "\"ttl\":30}\n");
	site_expect(
	    one, "GET /kv/a", "", NULL, 200, "Luminous-Revision: 1\r\n");
	site_expect(one, "GET /kv/a", "", NULL, 200, "Luminous-TTL: ");
	site_expect(one, "POST /kv/a?op=touch&lease=00000000000000aa", "", NULL,
	    404, "lease_not_found");
	site_expect(
	    one, "POST /kv/a?op=persist", "", NULL, 200, "\"version\":1}\n");
	site_expect(one, "GET /kv/a?json", "", NULL, 200, "\"version\":1}\n");
	site_expect(one, "POST /kv/a?op=touch", "", NULL, 400, "op=persist");
}
END_TEST

START_TEST(copy)
{
	site_expect(
	    one, "POST /kv/a?op=copy&to=b", "", NULL, 404, "key_not_found");
	site_expect(one, "PUT /kv/a?ttl=1h", "Content-Type: text/plain\r\n",
	    "v", 201, "");
	site_expect(one, "POST /kv/a?op=copy&to=b%2Fc", "", NULL, 200,
	    "{\"key\":\"b/c\",\"revision\":2,\"created\":2,\"version\":1}\n");
	site_expect(one, "GET /kv/b/c", "", NULL, 200, "\r\n\r\nv");
	site_expect(
	    one, "GET /kv/b/c", "", NULL, 200, "Content-Type: text/plain\r\n");
	site_expect(one, "GET /kv/a", "", NULL, 200, "");
	site_expect(
	    one, "POST /kv/a?op=copy&to=d&ttl=5s", "", NULL, 200, "\"ttl\":5}");
}
END_TEST

START_TEST(move)
{
	site_expect(one, "PUT /kv/a?ttl=1h", "", "v", 201, "");
	site_expect(one, "PUT /kv/b", "", "w", 201, "");
	site_expect(one, "POST /kv/a?op=move&to=b", "", NULL, 200,
	    "{\"key\":\"b\",\"revision\":3,\"created\":2,\"version\":2,"
	    "\"ttl\":3");
	site_expect(one, "GET /kv/a", "", NULL, 404, "");
	site_expect(one, "GET /kv/b", "", NULL, 200, "\r\n\r\nv");
	site_expect(one, "POST /kv/a?op=move&to=b", "", NULL, 404, "");
}
END_TEST

START_TEST(conditions_of_operations)
{
	site_expect(one, "PUT /kv/n", "", "1", 201, "");
	site_expect(
	    one, "POST /kv/n?op=incr&cas=9", "", NULL, 412, "\"current\":1");
	site_expect(one, "POST /kv/n?op=incr", "If-Match: 1\r\n", NULL, 200,
	    "\"value\":\"2\"");
	site_expect(one, "POST /kv/n?op=append", "If-None-Match: *\r\n", "x",
	    412, "\"current\":2");
	site_expect(one, "POST /kv/n?op=move&to=m&cas=1", "", NULL, 412, "");
	site_expect(one, "POST /kv/n?op=touch&ttl=1h", "If-Match: 1, 3\r\n",
	    NULL, 412, "\"current\":2");
	site_expect(one, "POST /kv/n?op=touch&ttl=1h", "If-Match: 1, 2\r\n",
	    NULL, 200, "\"ttl\":3600");
	site_expect(one, "POST /kv/n?op=copy&to=m&cas=2", "", NULL, 200, "");
}
END_TEST

START_TEST(operations_400)
{
	static const struct {
		const char *request;
		const char *body;
		const char *says;
	} rows[] = {
		{ "POST /kv/a", NULL, "POST needs to know what to do" },
		{ "POST /kv/a", "v", "incr, append, touch, persist, copy" },
		{ "POST /kv/a?op=", NULL, "there is no operation ''" },
		{ "POST /kv/a?op=INCR", NULL, "there is no operation 'INCR'" },
		{ "POST /kv/a?op=incr", "5", "takes no body" },
		{ "POST /kv/a?op=incr&to=b", NULL, "does not go with" },
		{ "POST /kv/a?op=append&by=1", "x", "does not go with" },
		{ "POST /kv/a?op=touch", NULL, "is missing" },
		{ "POST /kv/a?op=touch&ttl=1s&by=1", NULL, "does not go" },
		{ "POST /kv/a?op=persist&ttl=1s", NULL, "does not go with" },
		{ "POST /kv/a?op=touch&ttl=1s&lease=00000000000000aa", NULL,
		    "exclude each other" },
		{ "POST /kv/a?op=copy", NULL, "op=copy&to=KEY" },
		{ "POST /kv/a?op=copy&to=", NULL, "1 to 480 bytes" },
		{ "POST /kv/a?op=copy&to=a", NULL, "to is the key itself" },
		{ "POST /kv/a?op=move&to=%61", NULL, "to is the key itself" },
		{ "POST /kv/a/?to=b", "v", "does not go with" },
		{ "POST /kv/", "v", "the path holds no key" },
	};

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
		site_expect(
		    one, rows[i].request, "", rows[i].body, 400, rows[i].says);
	site_expect(one, "GET /kv/a", "", NULL, 404, "");
}
END_TEST

/* ---- Children ---- */

START_TEST(children)
{
	struct reply reply =
	    site_ask(one, "POST", "/kv/queue/", "", slice_from_text("first"));

	assert_status(&reply, 201);
	ck_assert_str_eq(
	    reply_header(&reply, "Location"), "/kv/queue/00000000000000000001");
	ck_assert_str_eq(reply_header(&reply, "ETag"), "\"1\"");
	assert_body(&reply,
	    "{\"key\":\"queue/00000000000000000001\",\"revision\":1,"
	    "\"created\":1,\"version\":1}\n");
	reply_release(&reply);
	site_expect(one, "POST /kv/queue/?ttl=1h",
	    "Content-Type: application/json\r\n", "{}", 201, "\"ttl\":3600}");
	site_expect(one, "GET /kv/queue/00000000000000000002", "", NULL, 200,
	    "Content-Type: application/json");
	/* An operation on a key that ends so is one on that key. */
	site_expect(one, "POST /kv/queue/?op=incr", "", NULL, 200,
	    "\"key\":\"queue/\",\"value\":\"1\"");
	site_expect(one, "POST /kv/%C3%A9%20+/", "", "v", 201,
	    "Location: /kv/%C3%A9%20%2B/00000000000000000004\r\n");
}
END_TEST

START_TEST(child_overwrites_nothing)
{
	site_expect(one, "PUT /kv/queue/00000000000000000002", "", "mine", 201,
	    "\"revision\":1");
	site_expect(one, "POST /kv/queue/", "", "job", 201,
	    "Location: /kv/queue/00000000000000000003\r\n");
	site_expect(
	    one, "GET /kv/queue/00000000000000000002", "", NULL, 200, "mine");
}
END_TEST

START_TEST(child_of_a_long_key_414)
{
	char request[600] = "POST /kv/";
	size_t start = strlen(request);

	memset(request + start, 'k', KV_KEY_SIZE_MAX - 20);
	request[start + KV_KEY_SIZE_MAX - 21] = '/';
	site_expect(one, request, "", "v", 201, "");
	memset(request + start, 'k', KV_KEY_SIZE_MAX - 20);
	request[start + KV_KEY_SIZE_MAX - 20] = '/';
	site_expect(one, request, "", "v", 414, "\"limit\":480");
}
END_TEST

/* ---- Quota: 10000 bytes ---- */

/* So that 100 bytes are left. */
static void
fill(void)
{
	char value[SITE_VALUE_MAX + 1];
	char request[32];

	memset(value, 'v', sizeof(value));
	value[SITE_VALUE_MAX - 10] = '\0';
	for (int i = 0; i < 10; i++) {
		snprintf(request, sizeof(request), "PUT /kv/fill%04d", i);
		value[SITE_VALUE_MAX - 10] = '\0';
		value[SITE_VALUE_MAX - 8 - (i == 9 ? 100 : 2)] = '\0';
		site_expect(one, request, "", value, 201, "");
	}
}

START_TEST(quota_of_every_write)
{
	char value[201] = "";

	fill();
	memset(value, 'x', 200);
	site_expect(one, "PUT /kv/small", "", "1", 201, "");
	site_expect(one, "PUT /kv/large", "", value, 507,
	    "\"code\":\"quota_exceeded\"");
	site_expect(one, "POST /kv/large?op=append", "", value, 507, "");
	/* It would be too large at any time. */
	site_expect(
	    one, "POST /kv/fill0000?op=append", "", value, 413, "too_large");
	site_expect(one, "POST /kv/dir/", "", value, 507, "");
	site_expect(one, "POST /kv/fill0000?op=copy&to=large", "", NULL, 507,
	    "\"quota\":10000");
	/* What does not grow, or grows little, goes. */
	site_expect(one, "POST /kv/small?op=incr", "", NULL, 200, "");
	site_expect(one, "POST /kv/small?op=copy&to=s2", "", NULL, 200, "");
	site_expect(one, "POST /kv/fill0000?op=move&to=f0", "", NULL, 200, "");
	site_expect(one, "POST /kv/f0?op=touch&ttl=1h", "", NULL, 200, "");
	site_expect(one, "POST /kv/f0?op=copy&to=fill0001", "", NULL, 200, "");
	site_expect(one, "POST /lease?ttl=1h", "", NULL, 201, "");
	/* It clears by itself. */
	site_expect(one, "DELETE /kv/f0", "", NULL, 200, "\"deleted\":1");
	site_expect(one, "PUT /kv/large", "", value, 201, "");
}
END_TEST

Suite *
api_op_suite(void)
{
	Suite *suite = suite_create("api_op");
	TCase *tcase = tcase_create("op");

	tcase_add_checked_fixture(tcase, api_stage_one, api_stage_end);
	tcase_add_test(tcase, incr);
	tcase_add_test(tcase, incr_of_what_is_no_number_409);
	tcase_add_test(tcase, by_400);
	tcase_add_test(tcase, append);
	tcase_add_test(tcase, touch_and_persist);
	tcase_add_test(tcase, copy);
	tcase_add_test(tcase, move);
	tcase_add_test(tcase, conditions_of_operations);
	tcase_add_test(tcase, operations_400);
	tcase_add_test(tcase, children);
	tcase_add_test(tcase, child_overwrites_nothing);
	tcase_add_test(tcase, child_of_a_long_key_414);
	tcase_add_test(tcase, quota_of_every_write);
	suite_add_tcase(suite, tcase);
	return suite;
}
