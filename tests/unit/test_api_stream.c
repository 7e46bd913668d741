#include "common/macros.h"
#include "common/text.h"
#include "net/http_server_impl.h"
#include "tests/unit/api_stage.h"
#include "tests/unit/suites.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Lists and exports in a stream: whole, of one revision, or seen to be cut. */

#define NDJSON "Accept: application/x-ndjson\r\n"
#define TEXT   "Accept: text/plain\r\n"

/* Takes the chunks apart. False: the last one, of no bytes, is missing. */
static bool
join_chunks(const struct reply *reply, struct buf *to)
{
	const char *at = (const char *)reply->body.data;
	const char *end = at + reply->body.size;

	while (at < end) {
		size_t size = strtoul(at, NULL, 16);
		const char *begin = strstr(at, "\r\n");

		if (begin == NULL || size > (size_t)(end - begin) - 4)
			return false;
		buf_append(to, begin + 2, size);
		at = begin + 2 + size + 2;
		if (size == 0) {
			ck_assert_ptr_eq(at, end);
			return true;
		}
	}
	return false;
}

static void
assert_stream(struct site *site, const char *target, const char *headers,
    const char *content_type, const char *expected)
{
	struct reply reply = site_get_with(site, target, headers);
	struct buf body = { 0 };

	assert_status(&reply, 200);
	ck_assert_str_eq(reply_header(&reply, "Content-Type"), content_type);
	ck_assert_str_eq(reply_header(&reply, "Vary"), "Accept");
	ck_assert(join_chunks(&reply, &body));
	buf_append(&body, "", 1);
	ck_assert_str_eq((char *)body.data, expected);
	buf_release(&body);
	reply_release(&reply);
}

#define LINES_TYPE "application/x-ndjson"
#define TEXT_TYPE  "text/plain; charset=utf-8"

static void
put_some(void)
{
	api_stage_put("/kv/app/db", "db7\n");
	api_stage_put("/kv/app/%c3%a9%20x", "e");
	api_stage_put("/kv/b%ff", "%");
}

START_TEST(lines_of_a_prefix)
{
	put_some();
	assert_stream(one, "/kv?prefix=app/", NDJSON, LINES_TYPE,
	    "{\"key\":\"app/db\",\"value\":\"db7\\n\",\"revision\":1,"
	    "\"created\":1,\"version\":1}\n"
	    "{\"key\":\"app/\xc3\xa9 x\",\"value\":\"e\",\"revision\":2,"
	    "\"created\":2,\"version\":1}\n"
	    "{\"end\":true,\"revision\":3,\"count\":2}\n");
	assert_stream(one, "/kv?prefix=none", NDJSON, LINES_TYPE,
	    "{\"end\":true,\"revision\":3,\"count\":0}\n");
	assert_stream(one, "/kv?keys&reverse", NDJSON, LINES_TYPE,
	    "{\"key_base64\":\"Yv8=\"}\n{\"key\":\"app/\xc3\xa9 x\"}\n"
	    "{\"key\":\"app/db\"}\n"
	    "{\"end\":true,\"revision\":3,\"count\":3}\n");
	assert_stream(one, "/kv?keys&delimiter=/&at=2", NDJSON, LINES_TYPE,
	    "{\"prefix\":\"app/\"}\n"
	    "{\"end\":true,\"revision\":2,\"count\":1}\n");
}
END_TEST

/* What was left out is no loss on the way. */
START_TEST(lines_with_a_limit)
{
	put_some();
	assert_stream(one, "/kv?keys&limit=1", NDJSON, LINES_TYPE,
	    "{\"key\":\"app/db\"}\n{\"end\":true,\"revision\":3,\"count\":1,"
	    "\"more\":true,\"next\":\"app/db\"}\n");
	assert_stream(one, "/kv?keys&limit=3", NDJSON, LINES_TYPE,
	    "{\"key\":\"app/db\"}\n{\"key\":\"app/\xc3\xa9 x\"}\n"
	    "{\"key_base64\":\"Yv8=\"}\n"
	    "{\"end\":true,\"revision\":3,\"count\":3}\n");
}
END_TEST

/* Each line is the rest of a path, as it is, for `while read`. */
START_TEST(text_is_percent_encoded)
{
	static const char *const paths[] = { "/kv/app/db", "/kv/a%0Ab",
		"/kv/%2E%2E%2Fx", "/kv/a%2F%2Fb", "/kv/%C3%A9%20%25%2B%26",
		"/kv/%FF" };
	struct buf expected = { 0 };
	struct reply reply;

	for (size_t i = 0; i < ARRAY_COUNT(paths); i++)
		api_stage_put(paths[i], "v");
	assert_stream(one, "/kv", TEXT, TEXT_TYPE,
	    "%2E%2E%2Fx\na%0Ab\na%2F%2Fb\napp/db\n%C3%A9%20%25%2B%26\n"
	    "%FF\n");
	for (size_t i = 0; i < ARRAY_COUNT(paths); i++) {
		reply = site_get(one, paths[i]);
		assert_status(&reply, 200);
		reply_release(&reply);
	}
	assert_stream(
	    one, "/kv?prefix=app&delimiter=/", TEXT, TEXT_TYPE, "app/\n");
	buf_release(&expected);
}
END_TEST

START_TEST(export_has_all_of_a_key)
{
	struct reply reply = site_ask(one, "PUT", "/kv/a?ttl=1h",
	    "Content-Type: application/json\r\n", slice_from_text("{}"));

	reply_release(&reply);
	api_stage_put("/kv/b", "2");
	reply = site_get(one, "/export");
	assert_contains(&reply,
	    "{\"key\":\"a\",\"value\":\"{}\",\"revision\":1,\"created\":1,"
	    "\"version\":1,\"ttl\":");
	assert_contains(&reply, ",\"content_type\":\"application/json\"}\n");
	reply_release(&reply);
	assert_stream(one, "/export?prefix=b", "", LINES_TYPE,
	    "{\"key\":\"b\",\"value\":\"2\",\"revision\":2,\"created\":2,"
	    "\"version\":1}\n{\"end\":true,\"revision\":2,\"count\":1}\n");
	site_expect(one, "GET /export?at=9", "", NULL, 400, "not there yet");
}
END_TEST

START_TEST(head_sends_no_stream)
{
	struct reply reply =
	    site_ask(one, "HEAD", "/export", "", slice_of(NULL, 0));

	assert_status(&reply, 200);
	ck_assert_uint_eq(reply.body.size, 0);
	reply_release(&reply);
}
END_TEST

/* ---- Long ones ---- */

#define MANY       6000
#define VALUE_SIZE 900

/* A client that asked, and reads nothing for a while. */
static int
ask_slowly(const char *target, const char *headers)
{
	int fd = site_send(one, "GET", target, headers, slice_of(NULL, 0));

	site_pass_until_busy(one);
	for (int i = 0; i < 100; i++)
		world_pass(world);
	ck_assert(!api_idle(one->api));
	return fd;
}

/* It is all made when it is wanted: neither memory nor a turn is full of it. */
START_TEST(stream_waits_for_its_client)
{
	struct buf body = { 0 };
	struct reply reply;
	size_t unsent;
	int fd;

	api_stage_fill(MANY, VALUE_SIZE);
	fd = ask_slowly("/export", "");
	unsent = one->server->output_bytes;
	ck_assert_uint_lt(unsent, 400000);
	reply = site_receive(world, fd);
	ck_assert_uint_gt(reply.size, MANY * VALUE_SIZE);
	ck_assert(join_chunks(&reply, &body));
	ck_assert(
	    memmem(body.data, body.size, "\"count\":6000}\n", 14) != NULL);
	buf_release(&body);
	reply_release(&reply);
	ck_assert(api_idle(one->api));
}
END_TEST

/* What changes meanwhile is not in it, and what goes is. */
START_TEST(stream_is_of_one_revision)
{
	struct reply reply;
	int fd;

	api_stage_fill(MANY, VALUE_SIZE);
	fd = ask_slowly("/kv", NDJSON);
	api_stage_put("/kv/k005998", "changed");
	api_stage_put("/kv/k005998x", "new");
	site_expect(one, "DELETE /kv/k005999", "", NULL, 200, "\"deleted\":1");
	reply = site_receive(world, fd);
	ck_assert_ptr_null(
	    memmem(reply.text, reply.size, "changed", strlen("changed")));
	ck_assert_ptr_null(memmem(reply.text, reply.size, "new", 3));
	ck_assert_ptr_nonnull(memmem(reply.text, reply.size, "k005999", 7));
	ck_assert_ptr_nonnull(memmem(reply.text, reply.size,
	    "{\"end\":true,\"revision\":6,\"count\":6000}\n", 39));
	reply_release(&reply);
}
END_TEST

static void
on_done(struct node_write *write, enum node_outcome outcome,
    const struct kv_result *result)
{
	(void)write;
	ck_assert_int_eq(outcome, NODE_DONE);
	ck_assert_int_eq(result->status, KV_OK);
}

static void
propose(struct node_write *write, struct buf *command)
{
	write->done = on_done;
	ck_assert_int_eq(node_write(one->node, loop_now(world->loop), write,
			     buf_slice(command)),
	    0);
	buf_reset(command);
}

/* The next revision changes a key, and then all before is gone: in one turn. */
static void
change_and_compact(const char *key, uint64_t revision)
{
	struct node_write writes[2];
	struct buf command = { 0 };

	kv_encode_put(
	    &command, slice_from_text(key), slice_from_text("changed"));
	propose(&writes[0], &command);
	kv_encode_compact(&command, revision, 1000);
	propose(&writes[1], &command);
	while (kv_compacted(node_kv(one->node)) < revision)
		world_pass(world);
	buf_release(&command);
}

/* Its past is gone before its end: a line says so, and the connection is cut,
 * so that nobody takes it for the whole. */
START_TEST(stream_is_cut_with_its_history)
{
	struct buf body = { 0 };
	struct reply reply;
	int fd;

	api_stage_fill(MANY, VALUE_SIZE);
	fd = ask_slowly("/export", "");
	change_and_compact("k005999", 7);
	reply = site_receive(world, fd);
	assert_status(&reply, 200);
	ck_assert(!join_chunks(&reply, &body));
	ck_assert_ptr_null(memmem(body.data, body.size, "\"end\"", 5));
	ck_assert_ptr_nonnull(
	    memmem(body.data, body.size, "\"code\":\"compacted\"", 18));
	buf_release(&body);
	reply_release(&reply);
	ck_assert(api_idle(one->api));
	site_expect(one, "GET /export?at=6", "", NULL, 410,
	    "\"oldest\":7,\"current\":7");
	site_expect(one, "GET /kv?at=6", "", NULL, 410, "compacted");
	site_expect(one, "GET /kv?at=6&count", "", NULL, 410, "compacted");
}
END_TEST

/* A stop does not wait for who reads slowly: a line says why it ends. */
START_TEST(stream_is_cut_at_drain)
{
	struct buf body = { 0 };
	struct reply reply;
	int fd;

	api_stage_fill(MANY, VALUE_SIZE);
	fd = ask_slowly("/export", "");
	api_drain(one->api);
	ck_assert(api_idle(one->api));
	reply = site_receive(world, fd);
	assert_status(&reply, 200);
	ck_assert(!join_chunks(&reply, &body));
	ck_assert_ptr_null(memmem(body.data, body.size, "\"end\"", 5));
	ck_assert_ptr_nonnull(
	    memmem(body.data, body.size, "\"code\":\"shutting_down\"", 22));
	buf_release(&body);
	reply_release(&reply);
}
END_TEST

START_TEST(count_is_cut_with_its_history)
{
	int fd;

	api_stage_fill(30000, 1);
	fd = site_send(one, "GET", "/kv?count", "", slice_of(NULL, 0));
	site_pass_until_busy(one);
	change_and_compact("x", 31);
	assert_problem(site_receive(world, fd), 410, "compacted");
}
END_TEST

START_TEST(client_goes_while_it_streams)
{
	int fd;

	api_stage_fill(MANY, VALUE_SIZE);
	fd = ask_slowly("/export", "");
	close(fd);
	for (int i = 0; i < WORLD_PASSES_MAX && !api_idle(one->api); i++)
		world_pass(world);
	ck_assert(api_idle(one->api));
}
END_TEST

/* Nobody waits for somebody else's long list. */
START_TEST(streams_take_turns)
{
	int fds[6];

	api_stage_fill(MANY, VALUE_SIZE);
	for (size_t i = 0; i < ARRAY_COUNT(fds); i++)
		fds[i] =
		    site_send(one, "GET", "/export", "", slice_of(NULL, 0));
	for (size_t i = 0; i < ARRAY_COUNT(fds); i++) {
		struct reply reply;
		struct buf body = { 0 };

		site_expect(one, "GET /kv/k000000", "", NULL, 200, "000");
		reply = site_receive(world, fds[i]);
		ck_assert(join_chunks(&reply, &body));
		buf_release(&body);
		reply_release(&reply);
	}
}
END_TEST

START_TEST(streams_from_anywhere)
{
	api_stage_put("/kv/a", "1");
	assert_stream(one, "/export", "", LINES_TYPE,
	    "{\"key\":\"a\",\"value\":\"1\",\"revision\":1,\"created\":1,"
	    "\"version\":1}\n{\"end\":true,\"revision\":1,\"count\":1}\n");
	assert_stream(one, "/kv?consistency=stale&min_revision=1", TEXT,
	    TEXT_TYPE, "a\n");
}
END_TEST

Suite *
api_stream_suite(void)
{
	Suite *suite = suite_create("api_stream");
	TCase *one_node = tcase_create("one");
	TCase *three = tcase_create("three");

	tcase_add_checked_fixture(one_node, api_stage_roomy, api_stage_end);
	tcase_add_test(one_node, lines_of_a_prefix);
	tcase_add_test(one_node, lines_with_a_limit);
	tcase_add_test(one_node, text_is_percent_encoded);
	tcase_add_test(one_node, export_has_all_of_a_key);
	tcase_add_test(one_node, head_sends_no_stream);
	tcase_add_test(one_node, stream_waits_for_its_client);
	tcase_add_test(one_node, stream_is_of_one_revision);
	tcase_add_test(one_node, stream_is_cut_with_its_history);
	tcase_add_test(one_node, stream_is_cut_at_drain);
	tcase_add_test(one_node, count_is_cut_with_its_history);
	tcase_add_test(one_node, client_goes_while_it_streams);
	tcase_add_test(one_node, streams_take_turns);
	suite_add_tcase(suite, one_node);
	tcase_add_checked_fixture(three, api_stage_roomy_three, api_stage_end);
	tcase_add_test(three, streams_from_anywhere);
	suite_add_tcase(suite, three);
	return suite;
}
