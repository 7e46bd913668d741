#include "common/err.h"
#include "common/text.h"
#include "tests/unit/suites.h"

/* An input, what parsing it gives, and how the value is written again. */
struct number {
	const char *text;
	int rc;
	uint64_t value;
	const char *written; /* NULL: as `text` */
};

static const struct number u64s[] = {
	{ "0", 0, 0, NULL },
	{ "7", 0, 7, NULL },
	{ "18446744073709551615", 0, UINT64_MAX, NULL },
	{ "007", 0, 7, NULL },
	{ "18446744073709551616", ERR_TOO_LARGE, 0, NULL },
	{ "99999999999999999999999", ERR_TOO_LARGE, 0, NULL },
	{ "", ERR_INVALID, 0, NULL },
	{ " 5", ERR_INVALID, 0, NULL },
	{ "5 ", ERR_INVALID, 0, NULL },
	{ "+5", ERR_INVALID, 0, NULL },
	{ "-5", ERR_INVALID, 0, NULL },
	{ "0x5", ERR_INVALID, 0, NULL },
	{ "5.0", ERR_INVALID, 0, NULL },
	{ "99999999999999999999999x", ERR_INVALID, 0, NULL },
};

static const struct number durations[] = {
	{ "0", 0, 0, NULL },
	{ "0ms", 0, 0, "0" },
	{ "1us", 0, 1, NULL },
	{ "500ms", 0, 500000, NULL },
	{ "1000ms", 0, 1000000, "1s" },
	{ "1500ms", 0, 1500000, NULL },
	{ "5s", 0, 5000000, NULL },
	{ "90s", 0, 90000000, NULL },
	{ "2m", 0, 120000000, NULL },
	{ "60m", 0, UINT64_C(3600000000), "1h" },
	{ "1d", 0, UINT64_C(86400000000), NULL },
	{ "213503982d", 0, UINT64_C(213503982) * 86400000000, NULL },
	{ "213503983d", ERR_TOO_LARGE, 0, NULL },
	{ "18446744073709551616us", ERR_TOO_LARGE, 0, NULL },
	{ "5", ERR_INVALID, 0, NULL },
	{ "00", ERR_INVALID, 0, NULL },
	{ "", ERR_INVALID, 0, NULL },
	{ "s", ERR_INVALID, 0, NULL },
	{ "5 s", ERR_INVALID, 0, NULL },
	{ "5S", ERR_INVALID, 0, NULL },
	{ "5sec", ERR_INVALID, 0, NULL },
	{ "-5s", ERR_INVALID, 0, NULL },
	{ "1.5s", ERR_INVALID, 0, NULL },
	{ "1h30m", ERR_INVALID, 0, NULL },
	{ "99999999999999999999999w", ERR_INVALID, 0, NULL },
};

static const struct number sizes[] = {
	{ "0", 0, 0, NULL },
	{ "0MiB", 0, 0, "0" },
	{ "512B", 0, 512, NULL },
	{ "1000B", 0, 1000, NULL },
	{ "1024B", 0, 1024, "1KiB" },
	{ "64KiB", 0, 65536, NULL },
	{ "1MiB", 0, 1048576, NULL },
	{ "8GiB", 0, UINT64_C(8) << 30, NULL },
	{ "3TiB", 0, UINT64_C(3) << 40, NULL },
	{ "16777215TiB", 0, UINT64_C(16777215) << 40, NULL },
	{ "16777216TiB", ERR_TOO_LARGE, 0, NULL },
	{ "512", ERR_INVALID, 0, NULL },
	{ "1MB", ERR_INVALID, 0, NULL },
	{ "1mib", ERR_INVALID, 0, NULL },
	{ "1M", ERR_INVALID, 0, NULL },
	{ "MiB", ERR_INVALID, 0, NULL },
	{ "1 MiB", ERR_INVALID, 0, NULL },
	{ "-1MiB", ERR_INVALID, 0, NULL },
	{ "", ERR_INVALID, 0, NULL },
};

/* A result of 12345 means that the parser left it alone. */
static void
check_number(const struct number *number, int rc, uint64_t value)
{
	ck_assert_msg(rc == number->rc, "\"%s\" gives %d", number->text, rc);
	ck_assert_uint_eq(value, rc == 0 ? number->value : 12345);
}

static void
check_written(const struct number *number, struct buf *written)
{
	const char *expected =
	    number->written == NULL ? number->text : number->written;

	buf_append(written, "", 1);
	ck_assert_str_eq((const char *)written->data, expected);
	buf_release(written);
}

START_TEST(u64_table)
{
	const struct number *number = &u64s[_i];
	uint64_t value = 12345;
	int rc = text_parse_u64(slice_from_text(number->text), &value);

	check_number(number, rc, value);
}
END_TEST

START_TEST(duration_table)
{
	const struct number *number = &durations[_i];
	uint64_t value = 12345;
	int rc = text_parse_duration(slice_from_text(number->text), &value);
	struct buf written = { 0 };

	check_number(number, rc, value);
	if (rc != 0)
		return;
	text_append_duration(&written, value);
	check_written(number, &written);
}
END_TEST

START_TEST(size_table)
{
	const struct number *number = &sizes[_i];
	uint64_t value = 12345;
	int rc = text_parse_size(slice_from_text(number->text), &value);
	struct buf written = { 0 };

	check_number(number, rc, value);
	if (rc != 0)
		return;
	text_append_size(&written, value);
	check_written(number, &written);
}
END_TEST

START_TEST(hex_round_trip)
{
	static const uint8_t bytes[] = { 0x00, 0x7f, 0x80, 0xff, 0xa5 };
	uint8_t parsed[sizeof(bytes)];
	struct buf text = { 0 };

	text_append_hex(&text, slice_of(bytes, sizeof(bytes)));
	ck_assert(slice_equal(buf_slice(&text), slice_from_text("007f80ffa5")));
	ck_assert_int_eq(
	    text_parse_hex(buf_slice(&text), parsed, sizeof(parsed)), 0);
	ck_assert_mem_eq(parsed, bytes, sizeof(bytes));
	ck_assert_int_eq(text_parse_hex(slice_from_text("007F80FFA5"), parsed,
			     sizeof(parsed)),
	    0);
	ck_assert_mem_eq(parsed, bytes, sizeof(bytes));
	buf_release(&text);
}
END_TEST

static const char *const bad_hex[] = { "", "ab", "abc", "abcde", "abcdef",
	"abcg", "ab d", "0xab", "ab:d", "ab/d", "ab@d", "ab`d" };

START_TEST(hex_refuses_malformed_text)
{
	uint8_t parsed[2] = { 1, 2 };

	ck_assert_int_eq(
	    text_parse_hex(slice_from_text(bad_hex[_i]), parsed, 2),
	    ERR_INVALID);
	ck_assert_uint_eq(parsed[0], 1);
	ck_assert_uint_eq(parsed[1], 2);
}
END_TEST

static const char *const good_utf8[] = {
	"",
	"plain",
	"\x7f",
	"\xc2\x80", /* U+0080 */
	"\xdf\xbf",
	"\xe0\xa0\x80", /* U+0800 */
	"\xed\x9f\xbf", /* U+D7FF, the last before the surrogates */
	"\xee\x80\x80", /* U+E000, the first behind them */
	"\xef\xbf\xbf",
	"\xf0\x90\x80\x80", /* U+10000 */
	"\xf4\x8f\xbf\xbf", /* U+10FFFF */
	"a\xc3\xa4z\xe2\x82\xacz\xf0\x9f\x98\x80z",
};

static const char *const bad_utf8[] = {
	"\x80",
	"\xbf",
	"\xc0\x80", /* overlong NUL */
	"\xc1\xbf",
	"\xc2",
	"\xc2z",
	"\xe0\x80\x80", /* overlong */
	"\xe0\x9f\xbf",
	"\xe2\x82",
	"\xe2\x82z",
	"\xed\xa0\x80", /* surrogates */
	"\xed\xbf\xbf",
	"\xf0\x80\x80\x80", /* overlong */
	"\xf0\x8f\xbf\xbf",
	"\xf0\x9f\x98",
	"\xf0\x9f\x98z",
	"\xf4\x90\x80\x80", /* above U+10FFFF */
	"\xf5\x80\x80\x80",
	"\xfe",
	"\xff",
	"ok\xc3\xa4\xa4",
};

START_TEST(utf8_accepts)
{
	ck_assert(text_is_utf8(slice_from_text(good_utf8[_i])));
}
END_TEST

START_TEST(utf8_refuses)
{
	ck_assert(!text_is_utf8(slice_from_text(bad_utf8[_i])));
}
END_TEST

struct json_string {
	const char *bytes;
	size_t size;
	const char *expected;
};

static const struct json_string json_strings[] = {
	{ "", 0, "\"\"" },
	{ "plain", 5, "\"plain\"" },
	{ "a\"b\\c/d", 7, "\"a\\\"b\\\\c/d\"" },
	{ "\b\f\n\r\t", 5, "\"\\b\\f\\n\\r\\t\"" },
	{ "\0x\x1f", 3, "\"\\u0000x\\u001f\"" },
	{ "\x7f\xc3\xa4", 3, "\"\x7f\xc3\xa4\"" },
	{ "\n\n", 2, "\"\\n\\n\"" },
};

START_TEST(json_string_escapes)
{
	const struct json_string *string = &json_strings[_i];
	struct buf to = { 0 };

	text_append_json_string(&to, slice_of(string->bytes, string->size));
	ck_assert(
	    slice_equal(buf_slice(&to), slice_from_text(string->expected)));
	buf_release(&to);
}
END_TEST

Suite *
text_suite(void)
{
	Suite *suite = suite_create("text");
	TCase *tcase = tcase_create("text");

	tcase_add_loop_test(tcase, u64_table, 0, ARRAY_COUNT(u64s));
	tcase_add_loop_test(tcase, duration_table, 0, ARRAY_COUNT(durations));
	tcase_add_loop_test(tcase, size_table, 0, ARRAY_COUNT(sizes));
	tcase_add_test(tcase, hex_round_trip);
	tcase_add_loop_test(
	    tcase, hex_refuses_malformed_text, 0, ARRAY_COUNT(bad_hex));
	tcase_add_loop_test(tcase, utf8_accepts, 0, ARRAY_COUNT(good_utf8));
	tcase_add_loop_test(tcase, utf8_refuses, 0, ARRAY_COUNT(bad_utf8));
	tcase_add_loop_test(
	    tcase, json_string_escapes, 0, ARRAY_COUNT(json_strings));
	suite_add_tcase(suite, tcase);
	return suite;
}
