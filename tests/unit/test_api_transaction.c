#include "common/json.h"
#include "common/macros.h"
#include "tests/unit/api_stage.h"
#include "tests/unit/suites.h"

#include <stdio.h>

/* POST /txn: what it does and shows. */

#define JSON "Content-Type: application/json\r\n"

/* Asks, and looks at the whole of the answer. */
static void
assert_done(const char *body, const char *expected)
{
	struct reply reply =
	    site_ask(one, "POST", "/txn", JSON, slice_from_text(body));

	assert_status(&reply, 200);
	ck_assert_str_eq(
	    reply_header(&reply, "Content-Type"), "application/json");
	assert_body(&reply, expected);
	reply_release(&reply);
}

/* The begin of the results of a transaction that succeeds, and their end. */
#define OK(revision, results)                                                  \
	"{\"succeeded\":true,\"revision\":" #revision ",\"results\":[" results \
	"]}\n"
#define WRITTEN(key, revision, created, version)                               \
	"{\"key\":\"" key "\",\"revision\":" #revision                         \
	",\"created\":" #created ",\"version\":" #version "}"
#define SHOWN(key, value, revision, created, version)                          \
	"{\"key\":\"" key "\",\"value\":\"" value "\",\"revision\":" #revision \
	",\"created\":" #created ",\"version\":" #version "}"

/* ---- Operations ---- */

/* One revision for all, each sees those before it, results in their order. */
START_TEST(operations_in_order)
{
	api_stage_put("/kv/tmp", "t");
	assert_done("{\"then\":[{\"put\":\"a\",\"value\":\"1\"},"
		    "{\"get\":\"a\"},{\"delete\":\"tmp\"},"
		    "{\"delete\":\"tmp\"},{\"get\":\"tmp\"},"
		    "{\"put\":\"b\",\"value\":\"2\"}]}",
	    OK(2, WRITTEN("a", 2, 2, 1) "," SHOWN("a", "1", 2, 2,
		      1) ","
			 "{\"deleted\":1},{\"deleted\":0},"
			 "{\"key\":\"tmp\",\"exists\":false}," WRITTEN(
			     "b", 2, 2, 1)));
}
END_TEST

START_TEST(operation_incr)
{
	assert_done("{\"then\":[{\"incr\":\"n\"},{\"incr\":\"n\",\"by\":-5}]}",
	    OK(1, SHOWN("n", "1", 1, 1, 1) "," SHOWN("n", "-4", 1, 1, 1)));
	api_stage_put("/kv/text", "x");
	api_stage_transact("{\"then\":[{\"get\":\"n\"},{\"incr\":\"text\"}]}",
	    409, "\"op\":1");
	api_stage_transact("{\"then\":[{\"incr\":\"n\",\"by\":1.5}]}", 400,
	    "\"member\":\"then[0].by\"");
}
END_TEST

START_TEST(operation_append)
{
	assert_done("{\"then\":[{\"append\":\"a\",\"value\":\"x\"},"
		    "{\"append\":\"a\",\"value_base64\":\"eQ==\"}]}",
	    OK(1, SHOWN("a", "x", 1, 1, 1) "," SHOWN("a", "xy", 1, 1, 1)));
}
END_TEST

START_TEST(operations_copy_and_move)
{
	api_stage_put("/kv/a", "v");
	assert_done("{\"then\":[{\"copy\":\"a\",\"to\":\"b\"},"
		    "{\"move\":\"b\",\"to\":\"c\"},{\"get\":\"b\"},"
		    "{\"get\":\"c\"}]}",
	    OK(2, WRITTEN("b", 2, 2, 1) "," WRITTEN(
		      "c", 2, 2, 1) ","
				    "{\"key\":\"b\",\"exists\":false}," SHOWN(
					"c", "v", 2, 2, 1)));
	api_stage_transact(
	    "{\"then\":[{\"copy\":\"none\",\"to\":\"b\"}]}", 404, "\"op\":0");
	api_stage_transact(
	    "{\"then\":[{\"copy\":\"a\"}]}", 400, "no member \\\"to\\\"");
}
END_TEST

START_TEST(operation_list)
{
	assert_done("{\"then\":[{\"put\":\"l/a\",\"value\":\"1\"},"
		    "{\"put\":\"l/b\",\"value\":\"2\"},"
		    "{\"list\":\"l/\"},{\"list\":\"l/\",\"limit\":1,"
		    "\"reverse\":true,\"keys\":true},{\"list\":\"none\"}]}",
	    OK(1, WRITTEN("l/a", 1, 1, 1) "," WRITTEN("l/b", 1, 1,
		      1) ","
			 "{\"items\":[" SHOWN("l/a", "1", 1, 1, 1) "," SHOWN(
			     "l/b", "2", 1, 1,
			     1) "],\"more\":false},"
				"{\"items\":[" WRITTEN("l/b", 1, 1,
				    1) "],\"more\":true},"
				       "{\"items\":[],\"more\":false}"));
}
END_TEST

START_TEST(operation_delete_prefix)
{
	api_stage_put("/kv/d/1", "v");
	api_stage_put("/kv/d/2", "v");
	api_stage_put("/kv/e", "v");
	assert_done("{\"then\":[{\"delete_prefix\":\"d/\",\"limit\":1},"
		    "{\"delete_prefix\":\"d/\"},{\"delete_prefix\":\"d/\"}]}",
	    OK(4, "{\"deleted\":1,\"more\":true},{\"deleted\":1},"
		  "{\"deleted\":0}"));
	api_stage_transact("{\"then\":[{\"delete_prefix\":\"\"}]}", 400, "all");
	/* All of them have some that need a condition. */
	api_stage_transact(
	    "{\"then\":[{\"delete_prefix\":\"\",\"all\":true}]}", 428, "cas/");
}
END_TEST

/* Seconds, text, or a lease; and without any, what was there ends. */
START_TEST(operations_with_a_lifetime)
{
	api_stage_transact(
	    "{\"then\":[{\"put\":\"a\",\"value\":\"1\",\"ttl\":\"1h\"}]}", 200,
	    "\"ttl\":3600}");
	api_stage_transact(
	    "{\"then\":[{\"put\":\"a\",\"value\":\"1\",\"ttl\":2.5}]}", 200,
	    "\"ttl\":2.5}");
	api_stage_transact(
	    "{\"then\":[{\"put\":\"a\",\"value\":\"1\",\"ttl\":\"60\"}]}", 200,
	    "\"ttl\":60}");
	api_stage_transact("{\"then\":[{\"incr\":\"a\"}]}", 200, "\"ttl\":");
	api_stage_transact("{\"then\":[{\"put\":\"a\",\"value\":\"1\","
			   "\"keep_ttl\":true}]}",
	    200, "\"ttl\":");
	api_stage_transact(
	    "{\"then\":[{\"touch\":\"a\",\"ttl\":7}]}", 200, "\"ttl\":7}");
	api_stage_transact(
	    "{\"then\":[{\"persist\":\"a\"}]}", 200, "\"version\":5}]}");
	api_stage_transact("{\"then\":[{\"touch\":\"a\"}]}", 400, "persist");
	api_stage_transact(
	    "{\"then\":[{\"touch\":\"none\",\"ttl\":7}]}", 404, "\"op\":0");
	api_stage_transact(
	    "{\"then\":[{\"put\":\"a\",\"value\":\"1\",\"ttl\":7,"
	    "\"keep_ttl\":true}]}",
	    400, "takes one of ttl, lease and keep_ttl");
	api_stage_transact("{\"then\":[{\"put\":\"a\",\"value\":\"1\","
			   "\"lease\":\"00000000000000ab\"}]}",
	    404, "lease_not_found");
}
END_TEST

START_TEST(operation_put_shows_the_previous)
{
	api_stage_put("/kv/a", "old");
	api_stage_transact("{\"then\":[{\"put\":\"a\",\"value\":\"new\","
			   "\"previous\":true}]}",
	    200, "\"value\":\"old\"");
	api_stage_transact("{\"then\":[{\"delete\":\"a\",\"previous\":true}]}",
	    200, "{\"deleted\":1,\"previous\":\"new\"}");
}
END_TEST

START_TEST(bytes_that_are_no_text)
{
	assert_done("{\"if\":[{\"key_base64\":\"/w==\",\"exists\":false}],"
		    "\"then\":[{\"put_base64\":\"/w==\","
		    "\"value_base64\":\"AP8=\"},{\"get_base64\":\"/w==\"},"
		    "{\"move_base64\":\"/w==\",\"to_base64\":\"/g==\"},"
		    "{\"list_base64\":\"/g==\"},"
		    "{\"put\":\"nul\",\"value\":\"a\\u0000b\"},"
		    "{\"get\":\"nul\"}]}",
	    OK(1, "{\"key_base64\":\"/w==\",\"revision\":1,\"created\":1,"
		  "\"version\":1},"
		  "{\"key_base64\":\"/w==\",\"value_base64\":\"AP8=\","
		  "\"revision\":1,\"created\":1,\"version\":1},"
		  "{\"key_base64\":\"/g==\",\"revision\":1,\"created\":1,"
		  "\"version\":1},"
		  "{\"items\":[{\"key_base64\":\"/g==\",\"value_base64\":"
		  "\"AP8=\",\"revision\":1,\"created\":1,\"version\":1}],"
		  "\"more\":false}," WRITTEN("nul", 1, 1, 1) "," SHOWN(
		      "nul", "a\\u0000b", 1, 1, 1)));
}
END_TEST

START_TEST(content_type_is_kept)
{
	struct reply reply;

	api_stage_transact("{\"then\":[{\"put\":\"a\",\"value\":\"{}\","
			   "\"content_type\":\"application/json\"}]}",
	    200, "\"revision\":1");
	reply = site_get(one, "/kv/a");
	ck_assert_str_eq(
	    reply_header(&reply, "Content-Type"), "application/json");
	reply_release(&reply);
}
END_TEST

/* ---- Conditions ---- */

static const char *const holding[] = {
	"\"revision\":2",
	"\"revision\":2,\"op\":\"=\"",
	"\"revision\":3,\"op\":\"<\"",
	"\"revision\":2,\"op\":\"<=\"",
	"\"revision\":1,\"op\":\">\"",
	"\"revision\":2,\"op\":\">=\"",
	"\"revision\":1,\"op\":\"!=\"",
	"\"created\":1",
	"\"version\":2",
	"\"exists\":true",
	"\"value\":\"v2\"",
	"\"value_base64\":\"djI=\"",
	"\"value\":\"v1\",\"op\":\">\"",
	"\"value\":\"\",\"op\":\"!=\"",
	"\"lease\":\"00000000000000ab\",\"op\":\"!=\"",
	"\"lease\":null",
};

static const char *const failing[] = {
	"\"revision\":1",
	"\"revision\":2,\"op\":\"<\"",
	"\"revision\":2,\"op\":\">\"",
	"\"revision\":2,\"op\":\"!=\"",
	"\"created\":2",
	"\"version\":1",
	"\"exists\":false",
	"\"value\":\"v1\"",
	"\"value\":\"v2\",\"op\":\"<\"",
	"\"lease\":\"00000000000000ab\"",
	"\"lease\":null,\"op\":\"!=\"",
};

START_TEST(conditions)
{
	char body[200];

	api_stage_put("/kv/a", "v1");
	api_stage_put("/kv/a", "v2");
	for (size_t i = 0; i < ARRAY_COUNT(holding); i++) {
		snprintf(body, sizeof(body), "{\"if\":[{\"key\":\"a\",%s}]}",
		    holding[i]);
		assert_done(body, OK(2, ""));
	}
	for (size_t i = 0; i < ARRAY_COUNT(failing); i++) {
		snprintf(body, sizeof(body), "{\"if\":[{\"key\":\"a\",%s}]}",
		    failing[i]);
		api_stage_transact(body, 412,
		    "\"failed\":[{\"index\":0,\"key\":\"a\",\"current\":2,"
		    "\"exists\":true}]");
	}
	/* What is not there has revision 0, and no value. */
	api_stage_transact("{\"if\":[{\"key\":\"x\",\"revision\":0},"
			   "{\"key\":\"x\",\"exists\":false}]}",
	    200, "true");
	api_stage_transact("{\"if\":[{\"key\":\"x\",\"value\":\"\"}]}", 412,
	    "\"current\":0,\"exists\":false");
}
END_TEST

/* They see the state before, all of them count, and all that fail are told. */
START_TEST(conditions_that_fail_change_nothing)
{
	api_stage_put("/kv/a", "v");
	api_stage_transact("{\"if\":[{\"key\":\"a\",\"revision\":9},"
			   "{\"key\":\"a\",\"exists\":true},"
			   "{\"key\":\"b\",\"exists\":true}],"
			   "\"then\":[{\"put\":\"b\",\"value\":\"1\"}]}",
	    412,
	    "\"failed\":[{\"index\":0,\"key\":\"a\",\"current\":1,\"exists\":"
	    "true},{\"index\":2,\"key\":\"b\",\"current\":0,\"exists\":false}"
	    "]");
	assert_problem(site_get(one, "/kv/b"), 404, "key_not_found");
}
END_TEST

/* With an else it is no failure, though it may be empty. */
START_TEST(else_branch)
{
	api_stage_put("/kv/a", "v");
	assert_done("{\"if\":[{\"key\":\"a\",\"exists\":false}],\"then\":["
		    "{\"delete\":\"a\"}],\"else\":[{\"get\":\"a\"}]}",
	    "{\"succeeded\":false,\"revision\":1,\"results\":[" SHOWN(
		"a", "v", 1, 1, 1) "]}\n");
	assert_done("{\"if\":[{\"key\":\"a\",\"exists\":false}],\"else\":[]}",
	    "{\"succeeded\":false,\"revision\":1,\"results\":[]}\n");
	assert_done("{\"if\":[{\"key\":\"a\",\"exists\":true}],\"then\":["
		    "{\"delete\":\"a\"}],\"else\":[{\"get\":\"a\"}]}",
	    OK(2, "{\"deleted\":1}"));
}
END_TEST

START_TEST(failing_operation_changes_nothing)
{
	api_stage_put("/kv/text", "x");
	api_stage_transact(
	    "{\"then\":[{\"put\":\"a\",\"value\":\"1\"},"
	    "{\"delete\":\"text\"},{\"incr\":\"a\"},{\"touch\":\"none\","
	    "\"ttl\":1}]}",
	    404, "\"op\":3");
	assert_problem(site_get(one, "/kv/a"), 404, "key_not_found");
	site_expect(one, "GET /kv/text", "", NULL, 200, "x");
}
END_TEST

/* ---- By way of another node ---- */

START_TEST(transaction_anywhere)
{
	struct buf body = { 0 };
	struct reply reply;

	api_stage_transact("{\"then\":[{\"put\":\"a\",\"value\":\"1\"}]}", 200,
	    "\"revision\":1");
	api_stage_transact("{\"if\":[{\"key\":\"a\",\"exists\":false}]}", 412,
	    "\"failed\":[{");
	api_stage_transact("{\"then\":[{\"get\":5}]}", 400, "then[0].get");
	site_expect(one, "POST /txn", "Content-Type: text/plain\r\n", "{}", 415,
	    "json");
	/* An answer that is much longer than what was asked. */
	api_stage_make_gets(&body, KV_TRANSACTION_OPS_MAX);
	reply = site_ask(one, "POST", "/txn", JSON, buf_slice(&body));
	assert_status(&reply, 200);
	ck_assert_uint_gt(reply.body.size, 60000);
	reply_release(&reply);
	buf_release(&body);
	site_expect(one, "DELETE /kv?prefix=a", "", NULL, 200,
	    "{\"deleted\":1,\"revision\":2}");
}
END_TEST

Suite *
api_transaction_suite(void)
{
	Suite *suite = suite_create("api_transaction");
	TCase *one_node = tcase_create("one");
	TCase *three = tcase_create("three");

	tcase_add_checked_fixture(one_node, api_stage_one, api_stage_end);
	tcase_add_test(one_node, operations_in_order);
	tcase_add_test(one_node, operation_incr);
	tcase_add_test(one_node, operation_append);
	tcase_add_test(one_node, operations_copy_and_move);
	tcase_add_test(one_node, operation_list);
	tcase_add_test(one_node, operation_delete_prefix);
	tcase_add_test(one_node, operations_with_a_lifetime);
	tcase_add_test(one_node, operation_put_shows_the_previous);
	tcase_add_test(one_node, bytes_that_are_no_text);
	tcase_add_test(one_node, content_type_is_kept);
	tcase_add_test(one_node, conditions);
	tcase_add_test(one_node, conditions_that_fail_change_nothing);
	tcase_add_test(one_node, else_branch);
	tcase_add_test(one_node, failing_operation_changes_nothing);
	suite_add_tcase(suite, one_node);
	tcase_add_checked_fixture(three, api_stage_roomy_three, api_stage_end);
	tcase_add_test(three, transaction_anywhere);
	suite_add_tcase(suite, three);
	return suite;
}
