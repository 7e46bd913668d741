#include "common/macros.h"
#include "tests/unit/api_stage.h"
#include "tests/unit/suites.h"

#include <stdio.h>

/* What POST /txn refuses, and how it says so. */

#define JSON "Content-Type: application/json\r\n"

static const struct {
	const char *body;
	const char *says;
} refused[] = {
	{ "", "bad_json" },
	{ "[]", "not an object" },
	{ "{\"then\":[\n {\"put\":\"a\" \"value\":\"1\"}]}",
	    "\"line\":2,\"column\":" },
	{ "{\"then\":[{\"get\":\"a\",\"get\":\"b\"}]}", "duplicate" },
	{ "{\"then\":[{\"get\":\"\xff\"}]}", "\"line\":1" },
	{ "{}", "nothing to do" },
	{ "{}", "\"hint\":\"such as {" },
	{ "{\"then\":[],\"if\":[]}", "nothing to do" },
	{ "{\"then\":{}}", "\"member\":\"then\"" },
	{ "{\"if\":5}", "\"member\":\"if\"" },
	{ "{\"than\":[]}", "if, then and else" },
	{ "{\"then\":[5]}", "\"member\":\"then[0]\"" },
	{ "{\"then\":[{}]}", "is no operation" },
	{ "{\"then\":[{\"post\":\"a\"}]}", "is no operation" },
	{ "{\"then\":[{\"get\":\"a\"},{\"get\":\"a\",\"delete\":\"a\"}]}",
	    "\"member\":\"then[1]." },
	{ "{\"then\":[{\"get\":5}]}", "\"member\":\"then[0].get\"" },
	{ "{\"then\":[{\"get\":\"\"}]}", "1 to 480 bytes" },
	{ "{\"then\":[{\"get\":\"a\",\"get_base64\":\"YQ==\"}]}",
	    "\"member\":\"then[0].get_base64\"" },
	{ "{\"then\":[{\"get_base64\":\"Y\"}]}", "base64" },
	{ "{\"then\":[{\"get\":\"a\",\"value\":\"1\"}]}",
	    "\"member\":\"then[0].value\"" },
	{ "{\"else\":[{\"put\":\"a\"}]}", "no member \\\"value\\\"" },
	{ "{\"then\":[{\"put\":\"a\",\"value\":1}]}",
	    "\"member\":\"then[0].value\"" },
	{ "{\"then\":[{\"put\":\"a\",\"value\":\"1\",\"value_base64\":\"MQ==\""
	  "}]}",
	    "\"member\":\"then[0].value_base64\"" },
	{ "{\"then\":[{\"put\":\"a\",\"value\":\"1\"},{\"put\":\"a\",\"value\":"
	  "\"1\"},{\"put\":\"a\",\"value\":\"1\",\"ttl\":\"soon\"}]}",
	    "\"member\":\"then[2].ttl\"" },
	{ "{\"then\":[{\"touch\":\"a\",\"ttl\":0.01}]}", "at least 100ms" },
	{ "{\"then\":[{\"touch\":\"a\",\"ttl\":-1}]}", "then[0].ttl" },
	{ "{\"then\":[{\"touch\":\"a\",\"ttl\":\"36501d\"}]}",
	    "at most 36500d (100 years)" },
	{ "{\"then\":[{\"touch\":\"a\",\"ttl\":1e300}]}", "then[0].ttl" },
	{ "{\"then\":[{\"touch\":\"a\",\"lease\":\"xyz\"}]}",
	    "\"member\":\"then[0].lease\"" },
	{ "{\"then\":[{\"list\":\"a\",\"limit\":0}]}", "then[0].limit" },
	{ "{\"then\":[{\"list\":\"a\",\"limit\":4294967296}]}",
	    "then[0].limit" },
	{ "{\"then\":[{\"list\":\"a\",\"reverse\":1}]}", "true or false" },
	{ "{\"then\":[{\"get\":\"a\",\"t\\u0007l\":1}]}", "'t?l'" },
	{ "{\"if\":[{\"revision\":1}]}", "no member \\\"key\\\"" },
	{ "{\"if\":[{\"key\":\"a\"}]}", "nothing to compare" },
	{ "{\"if\":[{\"key\":\"a\",\"revision\":1,\"version\":1}]}",
	    "a condition for each" },
	{ "{\"if\":[{\"key\":\"a\",\"revision\":\"1\"}]}",
	    "\"member\":\"if[0].revision\"" },
	{ "{\"if\":[{\"key\":\"a\",\"revision\":1,\"op\":\"==\"}]}",
	    "\"member\":\"if[0].op\"" },
	{ "{\"if\":[{\"key\":\"a\",\"exists\":true,\"op\":\"=\"}]}",
	    "does not go with exists" },
	{ "{\"if\":[{\"key\":\"a\",\"exists\":1}]}", "true or false" },
	{ "{\"if\":[{\"key\":\"a\",\"lease\":\"\"}]}", "16 hex digits" },
};

START_TEST(bad_json_says_where)
{
	for (size_t i = 0; i < ARRAY_COUNT(refused); i++) {
		struct reply reply = site_ask(one, "POST", "/txn", JSON,
		    slice_from_text(refused[i].body));

		ck_assert_msg(
		    reply.status == 400, "%s: %s", refused[i].body, reply.text);
		ck_assert_msg(strstr(reply.text, refused[i].says) != NULL,
		    "%s: no %s in %s", refused[i].body, refused[i].says,
		    reply.text);
		assert_problem(reply, 400, "bad_json");
	}
}
END_TEST

/* A form of another site's could have been sent by a browser. */
START_TEST(media_type_415)
{
	static const char body[] = "{\"if\":[{\"key\":\"a\",\"revision\":0}]}";

	site_expect(one, "POST /txn",
	    "Content-Type: application/x-www-form-urlencoded\r\n", body, 415,
	    "--json");
	site_expect(one, "POST /txn", "Content-Type: text/plain\r\n", body, 415,
	    "json");
	site_expect(one, "POST /txn",
	    "Content-Type: application/json; charset=utf-8\r\n", body, 200,
	    "true");
	site_expect(one, "POST /txn", "", body, 200, "true");
}
END_TEST

START_TEST(large_values_413)
{
	char body[SITE_VALUE_MAX + 200];

	snprintf(body, sizeof(body),
	    "{\"then\":[{\"put\":\"a\",\"value\":\"%0*d\"}]}",
	    SITE_VALUE_MAX + 1, 0);
	api_stage_transact(
	    body, 413, "\"limit\":1000,\"option\":\"http.max-value\"");
	snprintf(body, sizeof(body),
	    "{\"then\":[{\"append\":\"a\",\"value\":\"%0*d\"},{\"append\":"
	    "\"a\",\"value\":\"x\"}]}",
	    SITE_VALUE_MAX, 0);
	api_stage_transact(body, 413,
	    "\"limit\":1000,\"option\":\"http.max-value\",\"op\":1}");
}
END_TEST

/* It is the one that the transaction came up against. */
START_TEST(limit_of_what_is_shown)
{
	char value[SITE_VALUE_MAX + 1];
	struct buf body = { 0 };

	memset(value, 'v', SITE_VALUE_MAX);
	value[SITE_VALUE_MAX] = '\0';
	for (int i = 0; i < 5; i++) {
		char target[16];

		snprintf(target, sizeof(target), "PUT /kv/%d", i);
		site_expect(one, target, "", value, 201, "");
	}
	buf_append_text(&body, "{\"then\":[{\"get\":\"0\"}");
	for (int i = 1; i < KV_TRANSACTION_OPS_MAX; i++)
		buf_append_text(&body, ",{\"list\":\"\"}");
	buf_append(&body, "]}", sizeof("]}"));
	api_stage_transact(
	    (const char *)body.data, 413, "\"limit\":4194304,\"op\":");
	site_expect(one, "POST /txn", JSON "Idempotency-Key: k\r\n",
	    (const char *)body.data, 413, "\"limit\":65536,\"op\":");
	buf_release(&body);
}
END_TEST

START_TEST(too_many_operations_413)
{
	struct buf body = { 0 };
	struct reply reply;

	api_stage_make_gets(&body, KV_TRANSACTION_OPS_MAX + 1);
	reply = site_ask(one, "POST", "/txn", JSON, buf_slice(&body));
	assert_contains(&reply, "at most 1024 of them, and 4194304 bytes");
	assert_contains(&reply, "\"limit\":1024");
	assert_problem(reply, 413, "too_large");
	buf_reset(&body);
	api_stage_make_gets(&body, KV_TRANSACTION_OPS_MAX);
	reply = site_ask(one, "POST", "/txn", JSON, buf_slice(&body));
	assert_status(&reply, 200);
	reply_release(&reply);
	buf_release(&body);
}
END_TEST

START_TEST(too_much_json_413)
{
	char head[200];
	struct reply reply;

	snprintf(head, sizeof(head),
	    "POST /txn HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
	    "Content-Length: %u\r\n\r\n",
	    (unsigned)API_JSON_BYTES_MAX + 1);
	reply =
	    site_receive(world, site_send_bytes(one, slice_from_text(head)));
	assert_contains(&reply, "larger than 4MiB");
	assert_contains(&reply, "1024 conditions and operations");
	assert_problem(reply, 413, "too_large");
}
END_TEST

START_TEST(quota_of_a_transaction)
{
	struct buf body = { 0 };
	struct reply reply;

	/* Of 10,000 bytes. */
	for (int i = 0; i < 9; i++) {
		char target[32];
		char value[SITE_VALUE_MAX + 1];

		snprintf(target, sizeof(target), "/kv/%d", i);
		snprintf(value, sizeof(value), "%0*d", SITE_VALUE_MAX, 0);
		api_stage_put(target, value);
	}
	buf_printf(&body,
	    "{\"then\":[{\"put\":\"a\",\"value\":\"%0500d\"},"
	    "{\"put\":\"b\",\"value\":\"%0500d\"}]}",
	    0, 0);
	reply = site_ask(one, "POST", "/txn", JSON, buf_slice(&body));
	assert_problem(reply, 507, "quota_exceeded");
	/* What takes the place of as much is no growth. */
	buf_reset(&body);
	buf_printf(&body,
	    "{\"then\":[{\"put\":\"0\",\"value\":\"%01000d\"},"
	    "{\"put\":\"1\",\"value\":\"%01000d\"}]}",
	    1, 1);
	reply = site_ask(one, "POST", "/txn", JSON, buf_slice(&body));
	assert_status(&reply, 200);
	reply_release(&reply);
	api_stage_transact(
	    "{\"then\":[{\"copy\":\"0\",\"to\":\"x\"}]}", 507, "quota");
	api_stage_transact(
	    "{\"then\":[{\"delete\":\"0\"},{\"get\":\"1\"}]}", 200, "1");
	buf_release(&body);
}
END_TEST

/* Keys that are not written without a condition have one here as well. */
START_TEST(required_conditions)
{
	api_stage_transact("{\"then\":[{\"put\":\"cas/a\",\"value\":\"1\"}]}",
	    428, "precondition_required");
	api_stage_transact("{\"if\":[{\"key\":\"cas/b\",\"revision\":0}],"
			   "\"then\":[{\"put\":\"cas/a\",\"value\":\"1\"}]}",
	    428, "cas/");
	api_stage_transact("{\"if\":[{\"key\":\"cas/a\",\"revision\":0}],"
			   "\"then\":[{\"put\":\"cas/a\",\"value\":\"1\"}]}",
	    200, "\"revision\":1");
	api_stage_transact("{\"then\":[{\"get\":\"cas/a\"},{\"list\":\"cas/\"},"
			   "{\"copy\":\"cas/a\",\"to\":\"b\"}]}",
	    200, "\"revision\":2");
	api_stage_transact(
	    "{\"then\":[{\"copy\":\"b\",\"to\":\"cas/b\"}]}", 428, "cas/");
	api_stage_transact(
	    "{\"then\":[{\"move\":\"cas/a\",\"to\":\"c\"}]}", 428, "cas/");
	api_stage_transact(
	    "{\"then\":[{\"delete_prefix\":\"c\"}]}", 428, "a prefix has none");
	api_stage_transact(
	    "{\"then\":[{\"delete_prefix\":\"cas/x\"}]}", 428, "cas/");
}
END_TEST

/* What runs where a condition did not hold does not say what it replaces. */
START_TEST(no_required_condition_in_else)
{
	static const char *const ops[] = { "{\"put\":\"cas/a\",\"value\":\"\"}",
		"{\"delete\":\"cas/a\"}", "{\"incr\":\"cas/a\"}",
		"{\"persist\":\"cas/a\"}", "{\"copy\":\"b\",\"to\":\"cas/a\"}",
		"{\"move\":\"cas/a\",\"to\":\"b\"}" };
	char body[200];

	for (size_t i = 0; i < ARRAY_COUNT(ops); i++) {
		snprintf(body, sizeof(body),
		    "{\"if\":[{\"key\":\"cas/a\",\"revision\":7}],"
		    "\"else\":[%s]}",
		    ops[i]);
		api_stage_transact(body, 428, "`then`");
	}
	api_stage_transact("{\"if\":[{\"key\":\"cas/a\",\"revision\":7}],"
			   "\"else\":[{\"get\":\"cas/a\"},{\"list\":\"cas/\"},"
			   "{\"put\":\"b\",\"value\":\"\"}]}",
	    200, "\"succeeded\":false");
}
END_TEST

START_TEST(repeated_with_an_identity)
{
	static const char headers[] = JSON "Idempotency-Key: k1\r\n";
	struct reply first = site_ask(one, "POST", "/txn", headers,
	    slice_from_text("{\"then\":[{\"incr\":\"n\"}]}"));
	struct reply again = site_ask(one, "POST", "/txn", headers,
	    slice_from_text("{\"then\":[{\"incr\":\"n\"}]}"));

	assert_status(&first, 200);
	ck_assert_str_eq(
	    (const char *)first.body.data, (const char *)again.body.data);
	ck_assert_str_eq(reply_header(&again, "Idempotency-Replayed"), "true");
	reply_release(&first);
	reply_release(&again);
	site_expect(one, "POST /txn", headers, "{\"then\":[{\"incr\":\"m\"}]}",
	    422, "idempotency_key_reused");
	site_expect(one, "POST /txn", JSON "If-Match: 1\r\n",
	    "{\"then\":[{\"incr\":\"m\"}]}", 501, "If-Match");
}
END_TEST

Suite *
api_transaction_refused_suite(void)
{
	Suite *suite = suite_create("api_transaction_refused");
	TCase *one_node = tcase_create("one_node");
	TCase *roomy = tcase_create("roomy");

	tcase_add_checked_fixture(one_node, api_stage_one, api_stage_end);
	tcase_add_test(one_node, bad_json_says_where);
	tcase_add_test(one_node, media_type_415);
	tcase_add_test(one_node, large_values_413);
	tcase_add_test(one_node, too_much_json_413);
	tcase_add_test(one_node, quota_of_a_transaction);
	tcase_add_test(one_node, required_conditions);
	tcase_add_test(one_node, no_required_condition_in_else);
	tcase_add_test(one_node, repeated_with_an_identity);
	suite_add_tcase(suite, one_node);
	tcase_add_checked_fixture(roomy, api_stage_roomy, api_stage_end);
	tcase_add_test(roomy, too_many_operations_413);
	tcase_add_test(roomy, limit_of_what_is_shown);
	suite_add_tcase(suite, roomy);
	return suite;
}
