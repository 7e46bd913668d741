#include "api/api_impl.h"
#include "common/macros.h"
#include "tests/unit/api_stage.h"
#include "tests/unit/suites.h"

#include <stdio.h>
#include <unistd.h>

/* PUT and POST /import: what it takes, what it refuses, and how far it came. */

static void
setup_quota(void)
{
	world = world_new_one(2000);
	one = &world->site[0];
}

static void
expect(const char *target, const char *lines, unsigned status, const char *says)
{
	char request[100];

	snprintf(request, sizeof(request), "PUT %s", target);
	site_expect(one, request, "", lines, status, says);
}

static void
import(struct site *site, const char *target, const struct buf *lines,
    const char *expected)
{
	struct reply reply =
	    site_ask(site, "PUT", target, "", buf_slice(lines));

	assert_status(&reply, 200);
	ck_assert_str_eq(
	    reply_header(&reply, "Content-Type"), "application/json");
	assert_body(&reply, expected);
	reply_release(&reply);
}

/* Lines with keys from `first` on. */
static void
make_lines(struct buf *lines, unsigned first, unsigned count)
{
	for (unsigned i = first; i < first + count; i++)
		buf_printf(
		    lines, "{\"key\":\"k%06u\",\"value\":\"%u\"}\n", i, i);
}

/* ---- What it takes ---- */

START_TEST(lines_by_hand)
{
	expect("/import",
	    "{\"key\":\"a\",\"value\":\"1\"}\n"
	    "\r\n"
	    " {\"value_base64\":\"AP8=\", \"key_base64\":\"/w==\"}\r\n"
	    "{\"key\":\"nul\",\"value\":\"\\u0000\"}\n"
	    "{\"key\":\"c\",\"value\":\"\"}",
	    200,
	    "{\"imported\":4,\"skipped\":0,\"revision\":1,\"batches\":1}\n");
	site_expect(one, "GET /kv", "", NULL, 200,
	    "\"items\":[{\"key\":\"a\",\"value\":\"1\",\"revision\":1,"
	    "\"created\":1,\"version\":1},{\"key\":\"c\",\"value\":\"\","
	    "\"revision\":1,\"created\":1,\"version\":1},{\"key\":\"nul\","
	    "\"value\":\"\\u0000\",\"revision\":1,\"created\":1,\"version\":1},"
	    "{\"key_base64\":\"/w==\",\"value_base64\":\"AP8=\"");
	site_expect(one, "POST /import", "", "{\"end\":true,\"count\":0}", 200,
	    "{\"imported\":0,\"skipped\":0,\"revision\":1,\"batches\":0}\n");
}
END_TEST

/* What export says, import takes: byte for byte, types and lifetimes as well. */
START_TEST(export_comes_back)
{
	struct reply export;
	struct reply reply;
	struct buf lines = { 0 };
	const char *at;

	reply = site_ask(one, "PUT", "/kv/json",
	    "Content-Type: application/json\r\n", slice_from_text("{}"));
	reply_release(&reply);
	api_stage_put("/kv/ttl?ttl=1h", "x");
	reply = site_ask(
	    one, "PUT", "/kv/%00%ff", "", slice_of("\x01\x00\xfe\n", 4));
	reply_release(&reply);
	export = site_get(one, "/export");
	/* One chunk, between two line ends. */
	at = strchr((const char *)export.body.data, '{');
	buf_append(&lines, at, (size_t)(strstr(at, "\r\n") - at));
	site_expect(one, "DELETE /kv?start=%00&end=cas", "", NULL, 200, "");
	site_expect(one, "DELETE /kv?start=j", "", NULL, 200, "");
	import(one, "/import", &lines,
	    "{\"imported\":3,\"skipped\":0,\"revision\":6,\"batches\":1}\n");
	reply = site_get(one, "/kv/json");
	ck_assert_str_eq(
	    reply_header(&reply, "Content-Type"), "application/json");
	reply_release(&reply);
	reply = site_get(one, "/kv/ttl");
	/* Of 3,600 seconds. */
	ck_assert_int_eq(reply_header(&reply, "Luminous-TTL")[0], '3');
	ck_assert_uint_ge(strlen(reply_header(&reply, "Luminous-TTL")), 4);
	reply_release(&reply);
	reply = site_get(one, "/kv/%00%ff");
	ck_assert(slice_equal(reply.body, slice_of("\x01\x00\xfe\n", 4)));
	reply_release(&reply);
	reply_release(&export);
	buf_release(&lines);
}
END_TEST

/* What is all but over lives for the shortest time there is. */
START_TEST(short_lifetimes)
{
	struct reply reply;

	expect("/import", "{\"key\":\"a\",\"value\":\"1\",\"ttl\":0.001}", 200,
	    "\"imported\":1");
	expect("/import", "{\"key\":\"b\",\"value\":\"1\",\"ttl\":\"1m\"}", 200,
	    "\"imported\":1");
	reply = site_get(one, "/kv/b");
	ck_assert_str_ne(reply_header(&reply, "Luminous-TTL"), "");
	reply_release(&reply);
	expect("/import", "{\"key\":\"b\",\"value\":\"1\",\"ttl\":\"1ms\"}",
	    400, "\"member\":\"ttl\"");
}
END_TEST

START_TEST(if_absent_keeps_what_is_there)
{
	api_stage_put("/kv/b", "mine");
	expect("/import?if=absent",
	    "{\"key\":\"a\",\"value\":\"1\"}\n{\"key\":\"b\",\"value\":\"2\"}\n"
	    "{\"key\":\"c\",\"value\":\"3\"}\n",
	    200,
	    "{\"imported\":2,\"skipped\":1,\"revision\":2,\"batches\":1}\n");
	site_expect(one, "GET /kv/b", "", NULL, 200, "mine");
	site_expect(one, "GET /kv/c", "", NULL, 200, "3");
	expect("/import?if=absent",
	    "{\"key\":\"a\",\"value\":\"x\"}\n{\"key\":\"b\",\"value\":\"x\"}",
	    200,
	    "{\"imported\":0,\"skipped\":2,\"revision\":2,\"batches\":0}\n");
	/* The first of two lines is there when the second comes. */
	expect("/import?if=absent",
	    "{\"key\":\"d\",\"value\":\"1\"}\n{\"key\":\"d\",\"value\":\"2\"}",
	    200, "\"imported\":1,\"skipped\":1,\"revision\":3,\"batches\":1}");
	site_expect(one, "GET /kv/d?json", "", NULL, 200, "\"value\":\"1\"");
	expect("/import",
	    "{\"key\":\"d\",\"value\":\"3\"}\n{\"key\":\"d\",\"value\":\"4\"}",
	    200, "\"imported\":2,\"skipped\":0,\"revision\":4,\"batches\":1}");
	site_expect(one, "GET /kv/d?json", "", NULL, 200, "\"value\":\"4\"");
	expect("/import?if=present", "", 400, "if takes absent");
}
END_TEST

START_TEST(batches_of_a_thousand)
{
	struct buf lines = { 0 };

	make_lines(&lines, 0, 2500);
	import(one, "/import", &lines,
	    "{\"imported\":2500,\"skipped\":0,\"revision\":3,\"batches\":3}\n");
	buf_reset(&lines);
	make_lines(&lines, 2000, 1000);
	import(one, "/import?if=absent", &lines,
	    "{\"imported\":500,\"skipped\":500,\"revision\":5,"
	    "\"batches\":2}\n");
	site_expect(one, "GET /kv?count", "", NULL, 200, "\"count\":3000");
	buf_release(&lines);
}
END_TEST

START_TEST(batches_of_a_mib)
{
	struct buf lines = { 0 };

	for (int i = 0; i < 3000; i++)
		buf_printf(&lines, "{\"key\":\"k%04d\",\"value\":\"%0*d\"}\n",
		    i % 2000, SITE_VALUE_MAX, i);
	import(one, "/import", &lines,
	    "{\"imported\":3000,\"skipped\":0,\"revision\":3,\"batches\":3}\n");
	buf_release(&lines);
}
END_TEST

START_TEST(atomic_is_one_revision)
{
	struct buf lines = { 0 };
	struct reply reply;

	make_lines(&lines, 0, 1000);
	import(one, "/import?atomic=1", &lines,
	    "{\"imported\":1000,\"skipped\":0,\"revision\":1,"
	    "\"batches\":1}\n");
	make_lines(&lines, 1000, 1);
	reply = site_ask(one, "PUT", "/import?atomic", "", buf_slice(&lines));
	assert_contains(&reply, "line 1001: this is too much");
	assert_contains(&reply, "\"imported\":0");
	assert_problem(reply, 413, "too_large");
	site_expect(one, "GET /kv?count", "", NULL, 200, "\"revision\":1}");
	buf_release(&lines);
}
END_TEST

/* ---- Whole or cut ---- */

#define ITEM "{\"key\":\"a\",\"value\":\"1\",\"revision\":7}\n"

START_TEST(end_line_is_checked)
{
	expect("/import", ITEM "{\"end\":true,\"revision\":7,\"count\":1}\n",
	    200, "\"imported\":1");
	expect("/import", "{\"end\":true,\"count\":0,\"revision\":7}", 200,
	    "\"imported\":0");
	expect("/import",
	    ITEM "{\"end\":true,\"count\":1,\"more\":true,\"next\":\"a\"}", 200,
	    "\"imported\":1");
	expect("/import", ITEM, 400, "cut on its way");
	expect("/import", "", 400, "nothing to import");
	expect("/import", ITEM "{\"end\":true,\"revision\":7,\"count\":2}\n",
	    400, "another number of keys");
	expect("/import", "{\"end\":false}", 400, "always true");
	expect("/import",
	    "{\"end\":true,\"count\":0}\n{\"key\":\"a\",\"value\":\"1\"}", 400,
	    "behind the end line");
	expect("/import",
	    ITEM "{\"code\":\"compacted\",\"status\":410,\"detail\":\"gone\"}",
	    400, "broken off by an error: gone");
	/* Nothing of a batch that is not whole was done. */
	site_expect(one, "GET /kv/a?json", "", NULL, 200, "\"version\":2");
}
END_TEST

static const struct {
	const char *line;
	const char *says;
} refused[] = {
	{ "{\"key\":\"a\"", "\"line\":1,\"column\":" },
	{ "{\"key\":\"a\",\"value\":\"1\"}{\"key\":\"b\"}", "-d @FILE joins" },
	{ "key=value", "\"line\":1" },
	{ "5", "line 1: " },
	{ "{}", "no member \\\"key\\\"" },
	{ "{\"key\":\"a\"}", "no member \\\"value\\\"" },
	{ "{\"key\":\"\",\"value\":\"1\"}", "1 to 480 bytes" },
	{ "{\"key\":\"a\",\"value\":1}", "\"member\":\"value\"" },
	{ "{\"key\":\"a\",\"value\":\"1\",\"value_base64\":\"MQ==\"}",
	    "\"member\":\"value_base64\"" },
	{ "{\"key\":\"a\",\"value\":\"1\",\"tll\":5}", "\"member\":\"tll\"" },
	{ "{\"type\":\"put\",\"key\":\"a\",\"value\":\"1\"}",
	    "\"member\":\"type\"" },
	{ "{\"prefix\":\"a\"}", "\"member\":\"prefix\"" },
	{ "{\"key\":\"a\",\"value\":\"1\",\"content_type\":5}",
	    "\"member\":\"content_type\"" },
};

START_TEST(malformed_lines)
{
	for (size_t i = 0; i < ARRAY_COUNT(refused); i++) {
		struct reply reply = site_ask(one, "PUT", "/import", "",
		    slice_from_text(refused[i].line));

		ck_assert_msg(strstr(reply.text, refused[i].says) != NULL,
		    "%s: no %s in %s", refused[i].line, refused[i].says,
		    reply.text);
		assert_contains(&reply, "\"imported\":0");
		assert_problem(reply, 400, "bad_json");
	}
}
END_TEST

START_TEST(malformed_line_of_many)
{
	struct buf lines = { 0 };
	struct reply reply;

	make_lines(&lines, 0, 1500);
	buf_append_text(&lines, "oops\n");
	reply = site_ask(one, "PUT", "/import", "", buf_slice(&lines));
	assert_contains(&reply, "line 1501: column ");
	assert_contains(&reply, "\"line\":1501,");
	assert_contains(&reply, "\"imported\":1000,\"skipped\":0");
	assert_problem(reply, 400, "bad_json");
	site_expect(one, "GET /kv?count", "", NULL, 200, "\"count\":1000");
	buf_release(&lines);
}
END_TEST

START_TEST(large_values_and_lines_413)
{
	struct buf lines = { 0 };
	struct reply reply;

	buf_printf(&lines,
	    "{\"key\":\"a\",\"value\":\"1\"}\n{\"key\":\"b\","
	    "\"value\":\"%0*d\"}\n",
	    SITE_VALUE_MAX + 1, 0);
	reply = site_ask(one, "PUT", "/import", "", buf_slice(&lines));
	assert_contains(&reply, "\"line\":2,");
	assert_contains(&reply, "\"option\":\"http.max-value\"");
	assert_problem(reply, 413, "too_large");
	buf_reset(&lines);
	buf_printf(&lines, "{\"key\":\"a\",\"value\":\"%0*d", 20000, 0);
	reply = site_ask(one, "PUT", "/import", "", buf_slice(&lines));
	assert_contains(&reply, "line 1: the line is too long");
	assert_problem(reply, 413, "too_large");
	buf_release(&lines);
}
END_TEST

START_TEST(import_keeps_to_conditions_and_identity)
{
	expect("/import", "{\"key\":\"cas/a\",\"value\":\"1\"}", 428,
	    "line 1: keys that begin with 'cas/'");
	expect("/import", "{\"key\":\"cas/a\",\"value\":\"1\"}", 428,
	    "\"hint\":\"if=absent imports");
	expect("/import?if=absent", "{\"key\":\"cas/a\",\"value\":\"1\"}", 200,
	    "\"imported\":1");
	site_expect(one, "PUT /import", "Idempotency-Key: x\r\n", "", 501,
	    "Idempotency-Key");
}
END_TEST

START_TEST(import_within_the_quota)
{
	struct buf lines = { 0 };
	struct reply reply;

	for (int i = 0; i < 3; i++)
		buf_printf(
		    &lines, "{\"key\":\"k%d\",\"value\":\"%0900d\"}\n", i, i);
	reply = site_ask(one, "PUT", "/import", "", buf_slice(&lines));
	assert_contains(&reply, "\"imported\":0");
	assert_problem(reply, 507, "quota_exceeded");
	buf_reset(&lines);
	buf_printf(&lines, "{\"key\":\"k\",\"value\":\"%01000d\"}\n", 1);
	/* The second time it takes its own place. */
	import(one, "/import", &lines,
	    "{\"imported\":1,\"skipped\":0,\"revision\":1,\"batches\":1}\n");
	import(one, "/import", &lines,
	    "{\"imported\":1,\"skipped\":0,\"revision\":2,\"batches\":1}\n");
	buf_release(&lines);
}
END_TEST

/* ---- As it comes ---- */

static void
send_text(int fd, const char *text)
{
	ck_assert_int_eq(
	    send(fd, text, strlen(text), MSG_NOSIGNAL), (int)strlen(text));
	for (int i = 0; i < 5; i++)
		world_pass(world);
}

#define HEAD                                                                   \
	"PUT /import HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"             \
	"Transfer-Encoding: chunked\r\n\r\n"

/* A line may come in any parts, and a pipe takes its time. */
START_TEST(import_in_parts)
{
	static const char *const parts[] = { "1\r\n{\r\n",
		"13\r\n\"key\":\"a\",\"value\":\"\r\n", "3\r\n1\"}\r\n",
		"1b\r\n\n{\"key\":\"b\",\"value\":\"22\"}\n\n\r\n",
		"0\r\n\r\n" };
	struct reply reply;
	int fd = site_send_bytes(one, slice_from_text(HEAD));

	for (size_t i = 0; i < ARRAY_COUNT(parts); i++) {
		send_text(fd, parts[i]);
		if (i + 1 < ARRAY_COUNT(parts))
			ck_assert_uint_gt(one->api->calls_count, 0);
		/* However long it takes. */
		api_expire(one->api, world_later(world, 60000000));
	}
	reply = site_receive(world, fd);
	assert_body(&reply, "{\"imported\":2,\"skipped\":0,\"revision\":1,"
			    "\"batches\":1}\n");
	reply_release(&reply);
	ck_assert_uint_eq(one->api->imports_count, 0);
}
END_TEST

/* As many parts as bytes: each is looked at once, and lines are found. */
START_TEST(import_byte_by_byte)
{
	static const char lines[] = "{\"key\":\"a\",\"value\":\"1\"}\n\n"
				    "{\"key\":\"b\",\"value\":\"2\"}\n"
				    "{\"key\":\"c\",\"value\":\"3\"}";
	struct buf request = { 0 };
	struct reply reply;

	buf_append_text(&request, HEAD);
	for (size_t i = 0; i + 1 < sizeof(lines); i++)
		buf_printf(&request, "1\r\n%c\r\n", lines[i]);
	buf_append_text(&request, "0\r\n\r\n");
	reply = site_receive(world, site_send_bytes(one, buf_slice(&request)));
	assert_body(&reply, "{\"imported\":3,\"skipped\":0,\"revision\":1,"
			    "\"batches\":1}\n");
	reply_release(&reply);
	buf_release(&request);
}
END_TEST

START_TEST(client_goes_while_it_imports)
{
	int fd = site_send_bytes(one, slice_from_text(HEAD));

	send_text(fd, "18\r\n{\"key\":\"a\",\"value\":\"1\"}\n\r\n");
	ck_assert_uint_eq(one->api->imports_count, 1);
	close(fd);
	for (int i = 0; i < WORLD_PASSES_MAX && !api_idle(one->api); i++)
		world_pass(world);
	ck_assert(api_idle(one->api));
	ck_assert_uint_eq(one->api->imports_count, 0);
	site_expect(one, "GET /kv?count", "", NULL, 200, "\"count\":0");
}
END_TEST

/* A stop waits for no pipe, and tells how far the import came. */
START_TEST(import_at_drain_503)
{
	struct reply reply;
	int fd = site_send_bytes(one, slice_from_text(HEAD));

	send_text(fd, "18\r\n{\"key\":\"a\",\"value\":\"1\"}\n\r\n");
	ck_assert_uint_eq(one->api->imports_count, 1);
	api_drain(one->api);
	ck_assert(api_idle(one->api));
	reply = site_receive(world, fd);
	assert_contains(&reply, "\"imported\":0");
	assert_problem(reply, 503, "shutting_down");
}
END_TEST

START_TEST(too_many_imports_503)
{
	int fds[16];

	for (size_t i = 0; i < ARRAY_COUNT(fds); i++) {
		fds[i] = site_send_bytes(one, slice_from_text(HEAD));
		world_pass(world);
	}
	while (one->api->imports_count < ARRAY_COUNT(fds))
		world_pass(world);
	expect("/import", "", 503, "16 imports are under way");
	for (size_t i = 0; i < ARRAY_COUNT(fds); i++)
		close(fds[i]);
	while (one->api->imports_count > 0)
		world_pass(world);
	expect("/import", ITEM, 400, "cut on its way");
}
END_TEST

/* A node that cannot serve says what was done before it. */
START_TEST(outcome_of_a_batch_unknown)
{
	struct buf lines = { 0 };
	struct reply reply;
	int fd = site_send_bytes(one, slice_from_text(HEAD));

	for (int i = 0; i < 1001; i++)
		buf_printf(&lines,
		    "1b\r\n{\"key\":\"k%04d\",\"value\":\"\"}\n\r\n", i);
	buf_append(&lines, "", 1);
	send_text(fd, (const char *)lines.data);
	for (int i = 0; i < 1000; i++)
		world_pass(world);
	one->frozen = true;
	buf_reset(&lines);
	send_text(fd, "0\r\n\r\n");
	api_expire(one->api, world_later(world, SITE_TIMEOUT_US));
	reply = site_receive(world, fd);
	assert_contains(&reply, "\"imported\":1000");
	assert_problem(reply, 504, "outcome_unknown");
	one->frozen = false;
	world_pass(world);
	buf_release(&lines);
}
END_TEST

START_TEST(timeout_of_a_batch)
{
	struct reply reply;
	int fd;

	one->frozen = true;
	fd = site_send(one, "PUT", "/import?timeout=100ms", "",
	    slice_from_text("{\"key\":\"a\",\"value\":\"1\"}"));
	while (api_deadline(one->api) == RAFT_NEVER)
		world_pass(world);
	api_expire(one->api, world_later(world, 100000));
	reply = site_receive(world, fd);
	assert_contains(&reply, "\"hint\":\"repeat it: what is there by now");
	assert_problem(reply, 504, "outcome_unknown");
	one->frozen = false;
	world_pass(world);
}
END_TEST

/* ---- By way of another node ---- */

START_TEST(import_through_a_follower)
{
	struct buf lines = { 0 };

	make_lines(&lines, 0, 2500);
	import(one, "/import", &lines,
	    "{\"imported\":2500,\"skipped\":0,\"revision\":3,\"batches\":3}\n");
	make_lines(&lines, 2500, 100);
	import(one, "/import?if=absent", &lines,
	    "{\"imported\":100,\"skipped\":2500,\"revision\":5,"
	    "\"batches\":2}\n");
	site_expect(one, "GET /kv?count", "", NULL, 200, "\"count\":2600");
	expect("/import",
	    "{\"key_base64\":\"/w==\",\"value_base64\":\"AP8=\",\"ttl\":60,"
	    "\"content_type\":\"text/plain\"}",
	    200, "\"revision\":6");
	site_expect(one, "GET /kv/%ff?json", "", NULL, 200,
	    "\"value_base64\":\"AP8=\"");
	/* The leader's answer shows the key. */
	expect("/import", "{\"key\":\"a\\u0000\",\"value\":\"1\"}", 200,
	    "\"imported\":1");
	buf_release(&lines);
}
END_TEST

/* The leader's own errors, with how far it came. */
START_TEST(errors_of_the_leader)
{
	world_leader(world)->free_bytes = 0;
	expect("/import", "{\"key\":\"a\",\"value\":\"1\"}", 507,
	    "\"imported\":0");
	expect("/import", "{\"key\":\"a\",\"value\":\"1\"}", 507,
	    "quota_exceeded");
}
END_TEST

/* Nobody leads for a while: the batch waits, and goes to whoever leads then. */
START_TEST(import_waits_for_a_leader)
{
	struct site *leader = world_leader(world);
	struct reply reply;
	int fd;

	site_stop(leader);
	fd = site_send(one, "PUT", "/import", "",
	    slice_from_text("{\"key\":\"a\",\"value\":\"1\"}"));
	reply = site_receive(world, fd);
	assert_status(&reply, 200);
	assert_contains(&reply, "\"imported\":1");
	reply_release(&reply);
}
END_TEST

Suite *
api_import_suite(void)
{
	Suite *suite = suite_create("api_import");
	TCase *one_node = tcase_create("one");
	TCase *quota = tcase_create("quota");
	TCase *three = tcase_create("three");

	tcase_add_checked_fixture(one_node, api_stage_roomy, api_stage_end);
	tcase_add_test(one_node, lines_by_hand);
	tcase_add_test(one_node, export_comes_back);
	tcase_add_test(one_node, short_lifetimes);
	tcase_add_test(one_node, if_absent_keeps_what_is_there);
	tcase_add_test(one_node, batches_of_a_thousand);
	tcase_add_test(one_node, batches_of_a_mib);
	tcase_add_test(one_node, atomic_is_one_revision);
	tcase_add_test(one_node, end_line_is_checked);
	tcase_add_test(one_node, malformed_lines);
	tcase_add_test(one_node, malformed_line_of_many);
	tcase_add_test(one_node, large_values_and_lines_413);
	tcase_add_test(one_node, import_keeps_to_conditions_and_identity);
	tcase_add_test(one_node, import_in_parts);
	tcase_add_test(one_node, import_byte_by_byte);
	tcase_add_test(one_node, import_at_drain_503);
	tcase_add_test(one_node, client_goes_while_it_imports);
	tcase_add_test(one_node, too_many_imports_503);
	tcase_add_test(one_node, outcome_of_a_batch_unknown);
	tcase_add_test(one_node, timeout_of_a_batch);
	suite_add_tcase(suite, one_node);
	tcase_add_checked_fixture(quota, setup_quota, api_stage_end);
	tcase_add_test(quota, import_within_the_quota);
	suite_add_tcase(suite, quota);
	tcase_add_checked_fixture(three, api_stage_roomy_three, api_stage_end);
	tcase_add_test(three, import_through_a_follower);
	tcase_add_test(three, errors_of_the_leader);
	tcase_add_test(three, import_waits_for_a_leader);
	suite_add_tcase(suite, three);
	return suite;
}
