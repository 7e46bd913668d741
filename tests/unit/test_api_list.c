#include "common/json.h"
#include "common/macros.h"
#include "tests/unit/api_stage.h"
#include "tests/unit/suites.h"

#include <stdio.h>

/* GET /kv in pages, and how many keys there are. */

#define NDJSON "Accept: application/x-ndjson\r\n"

static void
put(const char *target)
{
	struct reply reply = site_put(one, target, "v");

	assert_status(&reply, 201);
	reply_release(&reply);
}

/* Revisions 1 to 5, in this order. */
static const char *const targets[] = { "/kv/app/db/host", "/kv/app/db/port",
	"/kv/app/logo", "/kv/b", "/kv/%ff%00x" };

static void
setup_one(void)
{
	api_stage_unlimited();
	for (size_t i = 0; i < ARRAY_COUNT(targets); i++)
		put(targets[i]);
}

static void
setup_three(void)
{
	api_stage_three();
	put("/kv/a");
	put("/kv/b");
}

static void
assert_answer(const char *target, const char *body)
{
	struct reply reply = site_get(one, target);

	assert_status(&reply, 200);
	ck_assert_str_eq(
	    reply_header(&reply, "Content-Type"), "application/json");
	assert_body(&reply, body);
	reply_release(&reply);
}

#define ITEM(key, revision)                                                    \
	"{\"key\":\"" key "\",\"value\":\"v\",\"revision\":" #revision         \
	",\"created\":" #revision ",\"version\":1}"

START_TEST(page_of_a_prefix)
{
	assert_answer("/kv?prefix=app/db/",
	    "{\"revision\":5,\"items\":[" ITEM("app/db/host", 1) "," ITEM(
		"app/db/port", 2) "],\"more\":false}\n");
	assert_answer("/kv?prefix=nope",
	    "{\"revision\":5,\"items\":[],\"more\":false}\n");
}
END_TEST

START_TEST(page_of_start_and_end)
{
	/* From start on, and before end. */
	assert_answer("/kv?start=app/db/port&end=b",
	    "{\"revision\":5,\"items\":[" ITEM("app/db/port", 2) "," ITEM(
		"app/logo", 3) "],\"more\":false}\n");
	assert_answer("/kv?keys&start=app/logo",
	    "{\"revision\":5,\"items\":[{\"key\":\"app/logo\"},{\"key\":\"b\"},"
	    "{\"key_base64\":\"/wB4\"}],\"more\":false}\n");
	assert_answer("/kv?keys&end=app/db/port",
	    "{\"revision\":5,\"items\":[{\"key\":\"app/db/host\"}],"
	    "\"more\":false}\n");
	assert_answer("/kv?start=b&end=a",
	    "{\"revision\":5,\"items\":[],\"more\":false}\n");
}
END_TEST

START_TEST(page_tells_the_next)
{
	struct reply reply = site_get(one, "/kv?prefix=app/&limit=2&keys");

	assert_body(&reply,
	    "{\"revision\":5,\"items\":[{\"key\":\"app/db/host\"},{\"key\":"
	    "\"app/db/port\"}],\"next\":\"app/db/port\",\"more\":true}\n");
	ck_assert_str_eq(reply_header(&reply, "Link"),
	    "</kv?prefix=app/&limit=2&keys=&after=app/db/port>; rel=\"next\"");
	reply_release(&reply);
	/* The last page says so, though it is full. */
	reply =
	    site_get(one, "/kv?prefix=app/&limit=2&keys=&after=app/db/host");
	assert_body(&reply,
	    "{\"revision\":5,\"items\":[{\"key\":\"app/db/port\"},{\"key\":"
	    "\"app/logo\"}],\"more\":false}\n");
	ck_assert_str_eq(reply_header(&reply, "Link"), "");
	reply_release(&reply);
}
END_TEST

/* Follows the links, and gives all keys that came, with blanks between. */
static void
follow_links(const char *target, struct buf *keys)
{
	char next[512];

	snprintf(next, sizeof(next), "%s", target);
	while (next[0] != '\0') {
		struct reply reply = site_get(one, next);
		const char *at = (const char *)reply.body.data;
		const char *link;

		assert_status(&reply, 200);
		while ((at = strstr(at, "{\"key")) != NULL) {
			size_t size = strcspn(at, "}");

			buf_append(keys, at, size);
			buf_append_text(keys, " ");
			at += size;
		}
		link = reply_header(&reply, "Link");
		snprintf(
		    next, sizeof(next), "%.*s", (int)strcspn(link, ">"), link);
		memmove(next, next + (next[0] == '<'), strlen(next) + 1);
		reply_release(&reply);
	}
}

#define ALL_KEYS                                                               \
	"{\"key\":\"app/db/host\" {\"key\":\"app/db/port\" "                   \
	"{\"key\":\"app/logo\" {\"key\":\"b\" {\"key_base64\":\"/wB4\" "

/* The link alone is enough, with whatever bytes are in it. */
START_TEST(links_lead_through_all)
{
	static const char *const ways[] = { "/kv?limit=1&keys",
		"/kv?keys=1&limit=2",
		"/kv?limit=3&%6beys&prefix=", "/kv?keys&limit=4",
		"/kv?keys&limit=5", "/kv?keys" };
	struct buf keys = { 0 };

	for (size_t i = 0; i < ARRAY_COUNT(ways); i++) {
		buf_reset(&keys);
		follow_links(ways[i], &keys);
		buf_append(&keys, "", 1);
		ck_assert_str_eq((char *)keys.data, ALL_KEYS);
	}
	buf_release(&keys);
}
END_TEST

START_TEST(next_that_is_no_text)
{
	struct reply reply;

	put("/kv/%ff%00y");
	reply = site_get(one, "/kv?start=%ff&limit=1&keys");
	assert_body(&reply,
	    "{\"revision\":6,\"items\":[{\"key_base64\":\"/wB4\"}],"
	    "\"next_base64\":\"/wB4\",\"more\":true}\n");
	ck_assert_str_eq(reply_header(&reply, "Link"),
	    "</kv?start=%FF&limit=1&keys=&after=%FF%00x>; rel=\"next\"");
	reply_release(&reply);
}
END_TEST

START_TEST(page_in_reverse)
{
	struct reply reply = site_get(one, "/kv?reverse&keys&limit=2&end=c");

	assert_body(&reply,
	    "{\"revision\":5,\"items\":[{\"key\":\"b\"},{\"key\":"
	    "\"app/logo\"}],\"next\":\"app/logo\",\"more\":true}\n");
	reply_release(&reply);
	assert_answer("/kv?reverse&keys&limit=2&end=c&after=app/logo",
	    "{\"revision\":5,\"items\":[{\"key\":\"app/db/port\"},{\"key\":"
	    "\"app/db/host\"}],\"more\":false}\n");
}
END_TEST

/* A position need not be a key, nor in the range. */
START_TEST(after_anything)
{
	assert_answer("/kv?keys&prefix=app/&after=app/e",
	    "{\"revision\":5,\"items\":[{\"key\":\"app/logo\"}],"
	    "\"more\":false}\n");
	assert_answer("/kv?keys&prefix=app/l&after=a",
	    "{\"revision\":5,\"items\":[{\"key\":\"app/logo\"}],"
	    "\"more\":false}\n");
	assert_answer("/kv?keys&prefix=app/l&after=x",
	    "{\"revision\":5,\"items\":[],\"more\":false}\n");
	assert_answer("/kv?keys&prefix=app/l&after=x&reverse",
	    "{\"revision\":5,\"items\":[{\"key\":\"app/logo\"}],"
	    "\"more\":false}\n");
	assert_answer("/kv?keys&prefix=app/l&after=a&reverse",
	    "{\"revision\":5,\"items\":[],\"more\":false}\n");
}
END_TEST

START_TEST(delimiter_makes_groups)
{
	assert_answer("/kv?prefix=app/&delimiter=/&keys",
	    "{\"revision\":5,\"items\":[{\"key\":\"app/logo\"}],\"prefixes\":["
	    "\"app/db/\"],\"more\":false}\n");
	assert_answer("/kv?delimiter=/&keys",
	    "{\"revision\":5,\"items\":[{\"key\":\"b\"},{\"key_base64\":"
	    "\"/wB4\"}],\"prefixes\":[\"app/\"],\"more\":false}\n");
	assert_answer("/kv?delimiter=%00&keys&start=b",
	    "{\"revision\":5,\"items\":[{\"key\":\"b\"}],\"prefixes\":[],"
	    "\"prefixes_base64\":[\"/wA=\"],\"more\":false}\n");
	/* Longer ones as well. */
	assert_answer("/kv?delimiter=db/&keys&prefix=app/",
	    "{\"revision\":5,\"items\":[{\"key\":\"app/logo\"}],\"prefixes\":["
	    "\"app/db/\"],\"more\":false}\n");
}
END_TEST

/* A group counts as one, is told of once, and may be where a page ends. */
START_TEST(groups_over_pages)
{
	struct reply reply;

	put("/kv/app/db/");
	reply = site_get(one, "/kv?prefix=app/&delimiter=/&keys&limit=1");
	assert_body(&reply,
	    "{\"revision\":6,\"items\":[],\"prefixes\":[\"app/db/\"],"
	    "\"next\":\"app/db/\",\"more\":true}\n");
	reply_release(&reply);
	assert_answer("/kv?prefix=app/&delimiter=/&keys&limit=1&after=app/db/",
	    "{\"revision\":6,\"items\":[{\"key\":\"app/logo\"}],\"prefixes\":["
	    "],\"more\":false}\n");
	assert_answer("/kv?prefix=app/&delimiter=/&keys&after=app/logo&reverse",
	    "{\"revision\":6,\"items\":[],\"prefixes\":[\"app/db/\"],"
	    "\"more\":false}\n");
	assert_answer("/kv?prefix=app/&delimiter=/&keys&after=app/db/&reverse",
	    "{\"revision\":6,\"items\":[],\"prefixes\":[],\"more\":false}\n");
	/* A last group that nothing can be behind. */
	put("/kv/%ff%ff");
	assert_answer("/kv?start=c&delimiter=%ff&keys&after=%ff",
	    "{\"revision\":7,\"items\":[],\"prefixes\":[],\"more\":false}\n");
}
END_TEST

START_TEST(page_of_the_past)
{
	struct reply reply =
	    site_ask(one, "DELETE", "/kv/b", "", slice_of(NULL, 0));

	reply_release(&reply);
	put("/kv/new");
	assert_answer("/kv?start=b&end=z&keys",
	    "{\"revision\":7,\"items\":[{\"key\":\"new\"}],\"more\":false}\n");
	assert_answer("/kv?start=b&end=z&at=4",
	    "{\"revision\":4,\"items\":[" ITEM("b", 4) "],\"more\":false}\n");
	assert_answer("/kv?start=b&end=z&at=3",
	    "{\"revision\":3,\"items\":[],\"more\":false}\n");
	assert_answer(
	    "/kv?at=0", "{\"revision\":0,\"items\":[],\"more\":false}\n");
	assert_answer(
	    "/kv?count&at=0", "{\"count\":0,\"bytes\":0,\"revision\":0}\n");
	/* The link keeps to it. */
	reply = site_get(one, "/kv?at=4&limit=1&keys");
	ck_assert_str_eq(reply_header(&reply, "Link"),
	    "</kv?at=4&limit=1&keys=&after=app/db/host>; rel=\"next\"");
	reply_release(&reply);
	site_expect(one, "GET /kv?at=8", "", NULL, 400, "not there yet");
}
END_TEST

START_TEST(count_tells_keys_and_bytes)
{
	assert_answer(
	    "/kv?count", "{\"count\":5,\"bytes\":39,\"revision\":5}\n");
	assert_answer("/kv?prefix=app/&count",
	    "{\"count\":3,\"bytes\":33,\"revision\":5}\n");
	assert_answer("/kv?prefix=app/&count&after=app/db/port",
	    "{\"count\":1,\"bytes\":9,\"revision\":5}\n");
	assert_answer(
	    "/kv?prefix=x&count", "{\"count\":0,\"bytes\":0,\"revision\":5}\n");
	site_expect(one, "GET /kv?count&limit=2", "", NULL, 400,
	    "leave out limit, reverse, keys and delimiter");
}
END_TEST

START_TEST(list_refuses)
{
	char target[700];

	site_expect(one, "GET /kv?limit=1001", "", NULL, 400, "\"limit\":1000");
	site_expect(one, "GET /kv?limit=0", "", NULL, 400, "bad_request");
	site_expect(one, "GET /kv?prefix=a&start=b", "", NULL, 400,
	    "do not go together");
	site_expect(
	    one, "GET /kv?prefix=a&end=b", "", NULL, 400, "do not go together");
	site_expect(one, "GET /kv?delimiter=", "", NULL, 400, "bad_request");
	site_expect(
	    one, "GET /kv?max_lag=1s", "", NULL, 400, "add consistency=stale");
	for (size_t i = 0; i < 4; i++) {
		static const char *const names[] = { "prefix", "start", "end",
			"after" };

		snprintf(
		    target, sizeof(target), "GET /kv?%s=%0481d", names[i], 0);
		site_expect(one, target, "", NULL, 414, "\"limit\":480");
	}
}
END_TEST

START_TEST(list_head)
{
	struct reply reply =
	    site_ask(one, "HEAD", "/kv?limit=1", "", slice_of(NULL, 0));

	assert_status(&reply, 200);
	ck_assert_uint_eq(reply.body.size, 0);
	ck_assert_str_eq(reply_header(&reply, "Vary"), "Accept");
	ck_assert_str_ne(reply_header(&reply, "Link"), "");
	ck_assert_str_ne(reply_header(&reply, "Content-Length"), "0");
	reply_release(&reply);
	reply = site_ask(one, "HEAD", "/kv", NDJSON, slice_of(NULL, 0));
	assert_status(&reply, 200);
	ck_assert_uint_eq(reply.body.size, 0);
	ck_assert_str_eq(
	    reply_header(&reply, "Content-Type"), "application/x-ndjson");
	reply_release(&reply);
}
END_TEST

START_TEST(list_says_when_keys_go)
{
	struct reply reply = site_put(one, "/kv/t?ttl=1h", "v");

	reply_release(&reply);
	reply = site_get(one, "/kv?prefix=t");
	assert_contains(&reply, "\"version\":1,\"ttl\":");
	reply_release(&reply);
	/* That is of now, and says nothing of then. */
	assert_answer("/kv?prefix=t&at=6",
	    "{\"revision\":6,\"items\":[" ITEM("t", 6) "],\"more\":false}\n");
}
END_TEST

/* ---- Bounds ---- */

static unsigned
count_text(const struct reply *reply, const char *text)
{
	const char *at = (const char *)reply->body.data;
	unsigned count = 0;

	while ((at = strstr(at, text)) != NULL) {
		at += strlen(text);
		count++;
	}
	return count;
}

START_TEST(page_has_100_unless_asked)
{
	struct reply reply;

	api_stage_fill(1200, 1);
	reply = site_get(one, "/kv");
	ck_assert_uint_eq(count_text(&reply, "\"key\""), 100);
	assert_contains(&reply, "\"next\":\"k000099\",\"more\":true}");
	reply_release(&reply);
	reply = site_get(one, "/kv?limit=1000");
	ck_assert_uint_eq(count_text(&reply, "\"key\""), 1000);
	reply_release(&reply);
}
END_TEST

/* A page ends at 1 MiB, whatever its limit is. */
START_TEST(page_of_1_mib)
{
	struct reply reply;
	unsigned count;

	api_stage_fill(1100, SITE_VALUE_MAX);
	reply = site_get(one, "/kv?limit=1000");
	count = count_text(&reply, "\"key\"");
	ck_assert_uint_lt(count, 1000);
	ck_assert_uint_gt(count, 900);
	ck_assert_uint_gt(reply.body.size, 1000000);
	ck_assert_uint_lt(reply.body.size, 1100000);
	assert_contains(&reply, "\"more\":true}");
	reply_release(&reply);
	/* Keys alone take less. */
	reply = site_get(one, "/kv?limit=1000&keys");
	ck_assert_uint_eq(count_text(&reply, "\"key\""), 1000);
	reply_release(&reply);
}
END_TEST

/* Keys that were not there yet are looked at as well: the page is short, even
 * empty, but says that there may be more, and the next one goes on. */
START_TEST(page_of_10000_looked_at)
{
	struct reply reply = site_put(one, "/kv/z", "1");
	unsigned pages = 0;
	char next[300] = "/kv?at=1&keys";

	reply_release(&reply);
	api_stage_fill(10500, 1);
	while (next[0] != '\0') {
		const char *link;

		reply = site_get(one, next);
		assert_status(&reply, 200);
		ck_assert_uint_eq(
		    count_text(&reply, "\"key\""), pages == 1 ? 1 : 0);
		link = reply_header(&reply, "Link");
		snprintf(
		    next, sizeof(next), "%.*s", (int)strcspn(link, ">"), link);
		memmove(next, next + (next[0] == '<'), strlen(next) + 1);
		reply_release(&reply);
		pages++;
	}
	ck_assert_uint_eq(pages, 2);
}
END_TEST

/* Over many turns, and of the revision of its begin. */
START_TEST(count_of_many)
{
	struct reply reply;
	int fd;

	api_stage_fill(30000, 1);
	fd = site_send(one, "GET", "/kv?count", "", slice_of(NULL, 0));
	site_pass_until_busy(one);
	reply =
	    site_ask(one, "DELETE", "/kv?prefix=k0000", "", slice_of(NULL, 0));
	assert_contains(&reply, "{\"deleted\":100,\"revision\":31}");
	reply_release(&reply);
	reply = site_receive(world, fd);
	assert_body(
	    &reply, "{\"count\":30000,\"bytes\":348890,\"revision\":30}\n");
	reply_release(&reply);
}
END_TEST

/* ---- Which state ---- */

START_TEST(list_anywhere)
{
	struct reply reply = site_get(one, "/kv?count");

	assert_body(&reply, "{\"count\":2,\"bytes\":4,\"revision\":2}\n");
	reply_release(&reply);
	reply = site_get(one, "/kv?consistency=stale&min_revision=2");
	assert_contains(&reply, "\"revision\":2,\"items\":[{");
	ck_assert_str_ne(reply_header(&reply, "Luminous-Applied"), "");
	reply_release(&reply);
}
END_TEST

/* A stale read of a revision that is to come waits for it. */
START_TEST(list_waits_for_revision)
{
	struct reply reply;
	int fd = site_send(one, "GET",
	    "/kv?consistency=stale&min_revision=3&keys", "", slice_of(NULL, 0));

	site_pass_until_busy(one);
	reply = site_put(world_leader(world), "/kv/c", "1");
	reply_release(&reply);
	reply = site_receive(world, fd);
	assert_contains(&reply, "{\"key\":\"c\"}");
	reply_release(&reply);
	fd = site_send(
	    one, "GET", "/kv?consistency=stale&at=9", "", slice_of(NULL, 0));
	site_pass_until_busy(one);
	api_expire(one->api, world_later(world, SITE_TIMEOUT_US));
	assert_problem(site_receive(world, fd), 503, "too_stale");
}
END_TEST

Suite *
api_list_suite(void)
{
	Suite *suite = suite_create("api_list");
	TCase *pages = tcase_create("pages");
	TCase *bounds = tcase_create("bounds");
	TCase *three = tcase_create("three");

	tcase_add_checked_fixture(pages, setup_one, api_stage_end);
	tcase_add_test(pages, page_of_a_prefix);
	tcase_add_test(pages, page_of_start_and_end);
	tcase_add_test(pages, page_tells_the_next);
	tcase_add_test(pages, links_lead_through_all);
	tcase_add_test(pages, next_that_is_no_text);
	tcase_add_test(pages, page_in_reverse);
	tcase_add_test(pages, after_anything);
	tcase_add_test(pages, delimiter_makes_groups);
	tcase_add_test(pages, groups_over_pages);
	tcase_add_test(pages, page_of_the_past);
	tcase_add_test(pages, count_tells_keys_and_bytes);
	tcase_add_test(pages, list_refuses);
	tcase_add_test(pages, list_head);
	tcase_add_test(pages, list_says_when_keys_go);
	suite_add_tcase(suite, pages);
	tcase_add_checked_fixture(bounds, api_stage_roomy, api_stage_end);
	tcase_add_test(bounds, page_has_100_unless_asked);
	tcase_add_test(bounds, page_of_1_mib);
	tcase_add_test(bounds, page_of_10000_looked_at);
	tcase_add_test(bounds, count_of_many);
	suite_add_tcase(suite, bounds);
	tcase_add_checked_fixture(three, setup_three, api_stage_end);
	tcase_add_test(three, list_anywhere);
	tcase_add_test(three, list_waits_for_revision);
	suite_add_tcase(suite, three);
	return suite;
}
