#include "common/err.h"
#include "net/http_uri.h"
#include "tests/unit/suites.h"

/* Bytes may be NUL, so sizes come from the literals. */
#define TEXT(text)                                                             \
	{                                                                      \
		(const uint8_t *)(text), sizeof(text) - 1                      \
	}

static const struct {
	struct slice text;
	struct slice path;  /* as part of a path */
	struct slice query; /* as part of a query */
	int rc;
} decodings[] = {
	{ TEXT(""), TEXT(""), TEXT(""), 0 },
	{ TEXT("a/b"), TEXT("a/b"), TEXT("a/b"), 0 },
	{ TEXT("a%2Fb%2fc"), TEXT("a/b/c"), TEXT("a/b/c"), 0 },
	{ TEXT("a+b"), TEXT("a+b"), TEXT("a b"), 0 },
	{ TEXT("%2B"), TEXT("+"), TEXT("+"), 0 },
	{ TEXT("%2520"), TEXT("%20"), TEXT("%20"), 0 },
	{ TEXT("%00%ff%C3%A9"), TEXT("\0\xff\xc3\xa9"), TEXT("\0\xff\xc3\xa9"),
	    0 },
	{ TEXT("\xc3\xa9"), TEXT("\xc3\xa9"), TEXT("\xc3\xa9"), 0 },
	{ TEXT("%"), TEXT(""), TEXT(""), ERR_INVALID },
	{ TEXT("a%2"), TEXT(""), TEXT(""), ERR_INVALID },
	{ TEXT("%zz"), TEXT(""), TEXT(""), ERR_INVALID },
	{ TEXT("%2"), TEXT(""), TEXT(""), ERR_INVALID },
	{ TEXT("% 2"), TEXT(""), TEXT(""), ERR_INVALID },
	{ TEXT("%+2"), TEXT(""), TEXT(""), ERR_INVALID },
	{ TEXT("%0x"), TEXT(""), TEXT(""), ERR_INVALID },
	{ TEXT("%u0041"), TEXT(""), TEXT(""), ERR_INVALID },
	{ TEXT("%%41"), TEXT(""), TEXT(""), ERR_INVALID },
};

static void
check_decoded(int rc, const struct buf *to, struct slice expected, int row)
{
	ck_assert_int_eq(rc, decodings[row].rc);
	if (rc != 0)
		expected = slice_of(NULL, 0);
	ck_assert_uint_eq(to->size, strlen("kept") + expected.size);
	ck_assert(memcmp(to->data, "kept", strlen("kept")) == 0);
	ck_assert(slice_equal(
	    slice_of(to->data + strlen("kept"), expected.size), expected));
}

START_TEST(decode_path)
{
	struct buf to = { 0 };
	int rc;

	buf_append_text(&to, "kept");
	rc = http_percent_decode(decodings[_i].text, &to);
	check_decoded(rc, &to, decodings[_i].path, _i);
	buf_release(&to);
}
END_TEST

START_TEST(decode_query)
{
	struct buf to = { 0 };
	int rc;

	buf_append_text(&to, "kept");
	rc = http_query_decode(decodings[_i].text, &to);
	check_decoded(rc, &to, decodings[_i].query, _i);
	buf_release(&to);
}
END_TEST

static const struct {
	struct slice bytes;
	const char *anywhere; /* http_percent_encode */
	const char *path;     /* http_path_encode */
} encodings[] = {
	{ TEXT(""), "", "" },
	{ TEXT("app/db-1_x~y.z"), "app/db-1_x~y.z", "app/db-1_x~y.z" },
	{ TEXT("app/"), "app/", "app/" },
	{ TEXT("a b+c%&=?#'\""), "a%20b%2Bc%25%26%3D%3F%23%27%22",
	    "a%20b%2Bc%25%26%3D%3F%23%27%22" },
	{ TEXT("\0\xff\n"), "%00%FF%0A", "%00%FF%0A" },
	/* What is normalised on the way. */
	{ TEXT("a//b.c"), "a//b.c", "a%2F%2Fb%2Ec" },
	{ TEXT("/a"), "/a", "%2Fa" },
	{ TEXT("a/./b"), "a/./b", "a%2F%2E%2Fb" },
	{ TEXT("a/../b"), "a/../b", "a%2F%2E%2E%2Fb" },
	{ TEXT(".."), "..", "%2E%2E" },
	{ TEXT("a/.."), "a/..", "a%2F%2E%2E" },
	{ TEXT("./a"), "./a", "%2E%2Fa" },
	/* And what only looks like it. */
	{ TEXT("a/.../.b/c."), "a/.../.b/c.", "a/.../.b/c." },
};

static void
check_encoded(void (*encode)(struct slice bytes, struct buf *to),
    int (*decode)(struct slice text, struct buf *to), struct slice bytes,
    const char *expected)
{
	struct buf text = { 0 };
	struct buf back = { 0 };

	encode(bytes, &text);
	ck_assert(slice_equal(buf_slice(&text), slice_from_text(expected)));
	ck_assert_int_eq(decode(buf_slice(&text), &back), 0);
	ck_assert(slice_equal(buf_slice(&back), bytes));
	buf_release(&text);
	buf_release(&back);
}

START_TEST(encode_and_back)
{
	struct slice bytes = encodings[_i].bytes;

	check_encoded(http_percent_encode, http_percent_decode, bytes,
	    encodings[_i].anywhere);
	check_encoded(http_percent_encode, http_query_decode, bytes,
	    encodings[_i].anywhere);
	check_encoded(
	    http_path_encode, http_percent_decode, bytes, encodings[_i].path);
}
END_TEST

START_TEST(encode_what_was_sent)
{
	struct buf text = { 0 };

	http_target_encode(slice_from_text("/a%2F/\xc3\xa9/{+|}\x7f"), &text);
	ck_assert(slice_equal(
	    buf_slice(&text), slice_from_text("/a%2F/%C3%A9/{+|}\x7f")));
	buf_release(&text);
}
END_TEST

/* The parameters as "name=value;", without decoding. */
static const struct {
	const char *query;
	const char *parameters;
} queries[] = {
	{ "", "" },
	{ "a=1", "a=1;" },
	{ "a=1&b=2", "a=1;b=2;" },
	{ "&&a=1&&b&", "a=1;b=;" },
	{ "a", "a=;" },
	{ "=1", "=1;" },
	{ "a=b=c", "a=b=c;" },
	{ "a%3D=%26", "a%3D=%26;" },
	{ "a=1;b=2", "a=1;b=2;" },
};

START_TEST(query_parameters)
{
	struct slice rest = slice_from_text(queries[_i].query);
	struct http_query_parameter parameter;
	struct buf seen = { 0 };

	while (http_query_next(&rest, &parameter)) {
		buf_append_slice(&seen, parameter.name);
		buf_append_text(&seen, "=");
		buf_append_slice(&seen, parameter.value);
		buf_append_text(&seen, ";");
	}
	ck_assert(slice_equal(
	    buf_slice(&seen), slice_from_text(queries[_i].parameters)));
	buf_release(&seen);
}
END_TEST

Suite *
http_uri_suite(void)
{
	Suite *suite = suite_create("http_uri");
	TCase *tests = tcase_create("http_uri");

	tcase_add_loop_test(tests, decode_path, 0, ARRAY_COUNT(decodings));
	tcase_add_loop_test(tests, decode_query, 0, ARRAY_COUNT(decodings));
	tcase_add_loop_test(tests, encode_and_back, 0, ARRAY_COUNT(encodings));
	tcase_add_test(tests, encode_what_was_sent);
	tcase_add_loop_test(tests, query_parameters, 0, ARRAY_COUNT(queries));
	suite_add_tcase(suite, tests);
	return suite;
}
