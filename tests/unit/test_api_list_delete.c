#include "common/mem.h"
#include "tests/unit/api_stage.h"
#include "tests/unit/suites.h"
#include <stdio.h>
#include <stdlib.h>

/* DELETE /kv: a range of keys in one revision. */

START_TEST(delete_a_prefix)
{
	api_stage_put("/kv/t/1", "v");
	api_stage_put("/kv/t/2", "v");
	api_stage_put("/kv/u", "v");
	site_expect(one, "DELETE /kv?prefix=t/", "", NULL, 200,
	    "{\"deleted\":2,\"revision\":4}\n");
	site_expect(one, "DELETE /kv?prefix=t/", "", NULL, 200,
	    "{\"deleted\":0,\"revision\":4}\n");
	site_expect(
	    one, "GET /kv?keys", "", NULL, 200, "\"items\":[{\"key\":\"u\"}]");
	site_expect(one, "DELETE /kv?start=t&end=v", "", NULL, 200,
	    "{\"deleted\":1,\"revision\":5}\n");
}
END_TEST

START_TEST(delete_with_a_limit)
{
	api_stage_put("/kv/t/1", "v");
	api_stage_put("/kv/t/2", "v");
	site_expect(one, "DELETE /kv?prefix=t/&limit=1", "", NULL, 200,
	    "{\"deleted\":1,\"revision\":3,\"more\":true}\n");
	site_expect(one, "DELETE /kv?prefix=t/&limit=1", "", NULL, 200,
	    "{\"deleted\":1,\"revision\":4,\"more\":false}\n");
	site_expect(one, "DELETE /kv?prefix=t/&limit=10001", "", NULL, 400,
	    "at most 10000");
}
END_TEST

/* A variable that was not set in a script is no reason to lose everything. */
START_TEST(delete_all_is_meant)
{
	api_stage_put("/kv/t", "v");
	site_expect(one, "DELETE /kv", "", NULL, 400, "all=1");
	site_expect(one, "DELETE /kv?prefix=", "", NULL, 400, "all=1");
	site_expect(one, "DELETE /kv?start=&end=", "", NULL, 400, "all=1");
	site_expect(one, "DELETE /kv?prefix=a&end=b", "", NULL, 400,
	    "do not go together");
	site_expect(one, "GET /kv?count", "", NULL, 200, "\"count\":1");
	/* Keys that need a condition may be among them. */
	site_expect(one, "DELETE /kv?all=1", "", NULL, 428, "cas/");
	site_expect(
	    one, "DELETE /kv?all=1&end=cas", "", NULL, 200, "\"deleted\":0");
}
END_TEST

START_TEST(delete_too_many_413)
{
	struct buf lines = { 0 };
	struct reply reply;

	for (unsigned i = 0; i <= KV_DELETE_KEYS_MAX; i++)
		buf_printf(&lines, "{\"key\":\"k%u\",\"value\":\"\"}\n", i);
	reply = site_ask(one, "PUT", "/import", "", buf_slice(&lines));
	assert_status(&reply, 200);
	reply_release(&reply);
	buf_release(&lines);
	site_expect(one, "DELETE /kv?prefix=k", "", NULL, 413,
	    "add limit=10000, and repeat it");
	site_expect(one, "POST /txn", "",
	    "{\"then\":[{\"delete_prefix\":\"k\"}]}", 413,
	    "10,000 keys, and 64 MiB");
	site_expect(one, "DELETE /kv?prefix=k&limit=10000", "", NULL, 200,
	    "\"deleted\":10000,\"revision\":12,\"more\":true}");
	site_expect(
	    one, "DELETE /kv?prefix=k", "", NULL, 200, "\"deleted\":1,");
}
END_TEST

/* Past the API, whose values are small here. */
static struct node_write large;
static bool is_put;

static void
on_put(struct node_write *write, enum node_outcome outcome,
    const struct kv_result *result)
{
	(void)write;
	ck_assert_int_eq(outcome, NODE_DONE);
	ck_assert_int_eq(result->status, KV_OK);
	is_put = true;
}

static void
put_large(unsigned number, struct slice value)
{
	struct buf command = { 0 };
	char key[16];

	(void)snprintf(key, sizeof(key), "k%u", number);
	kv_encode_put(&command, slice_from_text(key), value);
	large.done = on_put;
	is_put = false;
	ck_assert_int_eq(node_write(one->node, loop_now(world->loop), &large,
			     buf_slice(&command)),
	    0);
	buf_release(&command);
	while (!is_put)
		world_pass(world);
}

START_TEST(delete_too_much_413)
{
	const size_t size = 1000 * 1000;
	uint8_t *value = mem_zalloc(size, 1);

	for (unsigned i = 0; i <= KV_WRITE_BYTES_MAX / size; i++)
		put_large(i, slice_of(value, size));
	free(value);
	site_expect(one, "DELETE /kv?prefix=k", "", NULL, 413,
	    "more than 67108864 bytes of keys and values");
	site_expect(
	    one, "DELETE /kv?prefix=k", "", NULL, 413, "\"limit\":67108864");
	site_expect(one, "POST /txn", "",
	    "{\"then\":[{\"delete_prefix\":\"k\"}]}", 413,
	    "\"limit\":67108864");
	site_expect(one, "DELETE /kv?prefix=k&limit=10000", "", NULL, 200,
	    "\"deleted\":67,\"revision\":69,\"more\":true}");
	site_expect(
	    one, "DELETE /kv?prefix=k", "", NULL, 200, "\"deleted\":1,");
}
END_TEST

/* Keys that need a condition cannot have one here. */
START_TEST(delete_of_guarded_keys)
{
	api_stage_put("/kv/b", "v");
	site_expect(one, "DELETE /kv?prefix=ca", "", NULL, 428,
	    "a range has none: DELETE /kv/KEY one by one");
	site_expect(
	    one, "DELETE /kv?start=a&end=cas/", "", NULL, 200, "\"deleted\":1");
}
END_TEST

Suite *
api_list_delete_suite(void)
{
	Suite *suite = suite_create("api_list_delete");
	TCase *one_node = tcase_create("one_node");
	TCase *roomy = tcase_create("roomy");

	tcase_add_checked_fixture(one_node, api_stage_one, api_stage_end);
	tcase_add_test(one_node, delete_a_prefix);
	tcase_add_test(one_node, delete_with_a_limit);
	tcase_add_test(one_node, delete_all_is_meant);
	tcase_add_test(one_node, delete_of_guarded_keys);
	suite_add_tcase(suite, one_node);
	tcase_add_checked_fixture(roomy, api_stage_roomy, api_stage_end);
	tcase_add_test(roomy, delete_too_many_413);
	tcase_add_test(roomy, delete_too_much_413);
	suite_add_tcase(suite, roomy);
	return suite;
}
