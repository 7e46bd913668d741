#include "common/buf.h"
#include "common/err.h"
#include "common/json.h"
#include "tests/unit/suites.h"

#define SIZE_LIMIT (1024 * 1024)

static int
parse(struct slice text)
{
	json_t *object = NULL;
	int rc = json_parse_object(text, SIZE_LIMIT, &object);

	ck_assert((rc == 0) == (object != NULL));
	json_decref(object);
	return rc;
}

static const char *const good[] = {
	"{}",
	" { \"a\" : 1 } \n",
	"{\"a\":[1,2,{\"b\":null}],\"c\":\"\\u00e4\\\"\\\\\"}",
	"{\"a\":\"[[[[{{{{,,,,\"}",
	"{\"a\":-9223372036854775808,\"b\":1e3}",
};

static const char *const bad[] = {
	"",
	"{",
	"{}}",
	"{} {}",
	"[]",
	"1",
	"null",
	"\"text\"",
	"{\"a\":1,}",
	"{\"a\":1 \"b\":2}",
	"{a:1}",
	"{'a':1}",
	"{\"a\":01}",
	"{\"a\":+1}",
	"{\"a\":.5}",
	"{\"a\":0x1}",
	"{\"a\":NaN}",
	"{\"a\":tru}",
	"{\"a\":9223372036854775808}", /* over 2^63-1 */
	"{\"a\":1e999}",
	"{\"a\":1,\"a\":1}", /* duplicate member */
	"{\"a\":\"\\u0000\"}",
	"{\"a\":\"\\ud800\"}",
	"{\"a\":\"\xff\"}",
	"{\"a\":\"\n\"}",
	"{\"a\":\"unfinished",
	"{\"a\":\"unfinished\\",
	"{/**/}",
	"\xef\xbb\xbf{}",
};

START_TEST(json_accepts)
{
	ck_assert_int_eq(parse(slice_from_text(good[_i])), 0);
}
END_TEST

START_TEST(json_refuses)
{
	ck_assert_int_eq(parse(slice_from_text(bad[_i])), ERR_INVALID);
}
END_TEST

START_TEST(json_refuses_nul_behind_the_text)
{
	ck_assert_int_eq(parse(slice_of("{}\0", 3)), ERR_INVALID);
}
END_TEST

START_TEST(json_refuses_every_truncation)
{
	static const char text[] = "{\"ab\":[1,-2.5e3,true,\"x\\n\"],\"c\":{}}";

	ck_assert_int_eq(parse(slice_from_text(text)), 0);
	for (size_t size = 0; size < sizeof(text) - 1; size++)
		ck_assert_int_eq(parse(slice_of(text, size)), ERR_INVALID);
}
END_TEST

START_TEST(json_size_limit)
{
	struct slice text = slice_from_text("{\"a\":1}");
	json_t *object = NULL;

	ck_assert_int_eq(
	    json_parse_object(text, text.size - 1, &object), ERR_TOO_LARGE);
	ck_assert_ptr_null(object);
	ck_assert_int_eq(json_parse_object(text, text.size, &object), 0);
	json_decref(object);
}
END_TEST

/* An object with an array of arrays: `depth` containers in all. */
static int
parse_depth(int depth)
{
	struct buf text = { 0 };
	int rc;

	buf_append_text(&text, "{\"a\":");
	for (int i = 1; i < depth; i++)
		buf_append_text(&text, "[");
	for (int i = 1; i < depth; i++)
		buf_append_text(&text, "]");
	buf_append_text(&text, "}");
	rc = parse(buf_slice(&text));
	buf_release(&text);
	return rc;
}

START_TEST(json_depth_limit)
{
	ck_assert_int_eq(parse_depth(32), 0);
	ck_assert_int_eq(parse_depth(33), ERR_TOO_LARGE);
	ck_assert_int_eq(parse_depth(100000), ERR_TOO_LARGE);
}
END_TEST

/* Brackets in a string are no depth, wherever the string seems to end. */
START_TEST(json_depth_is_not_counted_in_strings)
{
	static const char brackets[] = "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[";
	struct buf text = { 0 };

	buf_printf(&text, "{\"a\":\"\\\"%s\\\\\"}", brackets);
	ck_assert_int_eq(parse(buf_slice(&text)), 0);
	buf_reset(&text);
	buf_printf(&text, "{\"a\\\\\":%s", brackets);
	ck_assert_int_eq(parse(buf_slice(&text)), ERR_TOO_LARGE);
	buf_release(&text);
}
END_TEST

/* An object with one array of `count` numbers. */
static int
parse_count(int count)
{
	struct buf text = { 0 };
	int rc;

	buf_append_text(&text, "{\"a\":[0");
	for (int i = 1; i < count; i++)
		buf_append_text(&text, ",0");
	buf_append_text(&text, "]}");
	rc = parse(buf_slice(&text));
	buf_release(&text);
	return rc;
}

START_TEST(json_count_limit)
{
	ck_assert_int_eq(parse_count(65534), 0);
	ck_assert_int_eq(parse_count(65535), ERR_TOO_LARGE);
}
END_TEST

static json_t *members;

static void
setup_members(void)
{
	static const char text[] =
	    "{\"zero\":0,\"big\":9223372036854775807,\"minus\":-1,"
	    "\"real\":1.0,\"yes\":true,\"no\":false,\"null\":null,"
	    "\"text\":\"abc\",\"hex\":\"00ff\",\"array\":[1],\"object\":{}}";

	ck_assert_int_eq(
	    json_parse_object(slice_from_text(text), SIZE_LIMIT, &members), 0);
}

static void
release_members(void)
{
	json_decref(members);
}

START_TEST(get_u64)
{
	static const char *const wrong[] = { "minus", "real", "yes", "null",
		"text", "array", "object", "missing" };
	uint64_t value = 7;

	for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
		ck_assert_int_eq(
		    json_get_u64(members, wrong[i], &value), ERR_INVALID);
		ck_assert_uint_eq(value, 7);
	}
	ck_assert_int_eq(json_get_u64(members, "zero", &value), 0);
	ck_assert_uint_eq(value, 0);
	ck_assert_int_eq(json_get_u64(members, "big", &value), 0);
	ck_assert_uint_eq(value, INT64_MAX);
}
END_TEST

START_TEST(get_bool)
{
	bool value = false;

	ck_assert_int_eq(json_get_bool(members, "yes", &value), 0);
	ck_assert(value);
	ck_assert_int_eq(json_get_bool(members, "zero", &value), ERR_INVALID);
	ck_assert_int_eq(json_get_bool(members, "null", &value), ERR_INVALID);
	ck_assert_int_eq(json_get_bool(members, "nil", &value), ERR_INVALID);
	ck_assert(value);
	ck_assert_int_eq(json_get_bool(members, "no", &value), 0);
	ck_assert(!value);
}
END_TEST

START_TEST(get_text)
{
	struct slice value = slice_from_text("before");

	ck_assert_int_eq(json_get_text(members, "zero", &value), ERR_INVALID);
	ck_assert_int_eq(json_get_text(members, "nil", &value), ERR_INVALID);
	ck_assert(slice_equal(value, slice_from_text("before")));
	ck_assert_int_eq(json_get_text(members, "text", &value), 0);
	ck_assert(slice_equal(value, slice_from_text("abc")));
}
END_TEST

START_TEST(get_hex)
{
	uint8_t value[2];

	ck_assert_int_eq(json_get_hex(members, "hex", value, 2), 0);
	ck_assert_mem_eq(value, "\x00\xff", 2);
	ck_assert_int_eq(json_get_hex(members, "hex", value, 1), ERR_INVALID);
	ck_assert_int_eq(json_get_hex(members, "text", value, 2), ERR_INVALID);
	ck_assert_int_eq(json_get_hex(members, "zero", value, 2), ERR_INVALID);
	ck_assert_int_eq(json_get_hex(members, "nil", value, 2), ERR_INVALID);
}
END_TEST

START_TEST(get_array)
{
	json_t *value = NULL;

	ck_assert_int_eq(
	    json_get_array(members, "object", &value), ERR_INVALID);
	ck_assert_int_eq(json_get_array(members, "nil", &value), ERR_INVALID);
	ck_assert_ptr_null(value);
	ck_assert_int_eq(json_get_array(members, "array", &value), 0);
	ck_assert_uint_eq(json_array_size(value), 1);
}
END_TEST

/* ---- Documents ---- */

static const struct {
	const char *text;
	size_t line;
	size_t column;
	const char *what;
	int rc;
} places[] = {
	{ "{\"a\":1}", 0, 0, "", 0 },
	{ "{\"a\":\"\\u0000\"}", 0, 0, "", 0 },
	{ "{\"a\" 1}", 1, 6, "':' expected", ERR_INVALID },
	{ "{\n\"a\":1,\n \"b\":x}", 3, 6, "invalid token", ERR_INVALID },
	{ "{\"a\":1,\"a\":2}", 1, 10, "duplicate object key", ERR_INVALID },
	{ "{\"a\":1", 1, 6, "'}' expected", ERR_INVALID },
	{ "[]", 0, 0, "not an object", ERR_INVALID },
	{ "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", 0, 0, "too deep",
	    ERR_TOO_LARGE },
};

START_TEST(json_tells_the_place)
{
	json_t *object = NULL;
	struct json_place place;
	int rc = json_parse_document(
	    slice_from_text(places[_i].text), SIZE_LIMIT, &object, &place);

	ck_assert_int_eq(rc, places[_i].rc);
	ck_assert_uint_eq(place.line, places[_i].line);
	ck_assert_uint_eq(place.column, places[_i].column);
	ck_assert_msg(strstr(place.what, places[_i].what) != NULL, "%s: %s",
	    places[_i].text, place.what);
	json_decref(object);
}
END_TEST

Suite *
json_suite(void)
{
	Suite *suite = suite_create("json");
	TCase *text = tcase_create("text");
	TCase *member = tcase_create("member");

	tcase_add_loop_test(text, json_accepts, 0, ARRAY_COUNT(good));
	tcase_add_loop_test(text, json_refuses, 0, ARRAY_COUNT(bad));
	tcase_add_test(text, json_refuses_nul_behind_the_text);
	tcase_add_test(text, json_refuses_every_truncation);
	tcase_add_test(text, json_size_limit);
	tcase_add_test(text, json_depth_limit);
	tcase_add_test(text, json_depth_is_not_counted_in_strings);
	tcase_add_test(text, json_count_limit);
	tcase_add_loop_test(text, json_tells_the_place, 0, ARRAY_COUNT(places));
	suite_add_tcase(suite, text);
	tcase_add_checked_fixture(member, setup_members, release_members);
	tcase_add_test(member, get_u64);
	tcase_add_test(member, get_bool);
	tcase_add_test(member, get_text);
	tcase_add_test(member, get_hex);
	tcase_add_test(member, get_array);
	suite_add_tcase(suite, member);
	return suite;
}
