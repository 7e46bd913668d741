#include "common/buf.h"
#include "common/codec.h"
#include "common/macros.h"
#include "tests/unit/suites.h"
#include <signal.h>
#include <stdlib.h>

START_TEST(buf_grows_and_keeps_its_bytes)
{
	struct buf buf = { 0 };

	for (unsigned i = 0; i < 10000; i++)
		codec_append_u8(&buf, (uint8_t)i);
	ck_assert_uint_eq(buf.size, 10000);
	for (unsigned i = 0; i < 10000; i++)
		ck_assert_uint_eq(buf.data[i], (uint8_t)i);
	buf_release(&buf);
	ck_assert_ptr_null(buf.data);
}
END_TEST

START_TEST(buf_append_nothing_gives_data)
{
	struct buf buf = { 0 };

	buf_append(&buf, NULL, 0);
	ck_assert_ptr_nonnull(buf.data);
	ck_assert_uint_eq(buf.size, 0);
	buf_release(&buf);
}
END_TEST

START_TEST(buf_prints_numbers)
{
	struct buf buf = { 0 };

	buf_append_u64(&buf, 0);
	buf_append_text(&buf, " ");
	buf_append_u64(&buf, UINT64_MAX);
	ck_assert_mem_eq(buf.data, "0 18446744073709551615", buf.size);
	ck_assert_uint_eq(buf.size, 22);
	buf_release(&buf);
}
END_TEST

/* Every fill level, so that the text ends before, at and past the memory. */
START_TEST(buf_printf_fits_at_every_fill)
{
	for (size_t before = 0; before < 130; before++) {
		struct buf buf = { 0 };

		memset(buf_reserve(&buf, before), 'x', before);
		buf.size = before;
		buf_printf(&buf, "%s-%d", "abcdefgh", 12345);
		ck_assert_uint_eq(buf.size, before + 14);
		ck_assert_mem_eq(buf.data + before, "abcdefgh-12345", 14);
		buf_release(&buf);
	}
}
END_TEST

START_TEST(buf_drain_keeps_the_rest)
{
	struct buf buf = { 0 };

	buf_append_text(&buf, "abcdef");
	buf_drain(&buf, 2);
	ck_assert(slice_equal(buf_slice(&buf), slice_from_text("cdef")));
	buf_drain(&buf, 4);
	ck_assert_uint_eq(buf.size, 0);
	buf_release(&buf);
}
END_TEST

START_TEST(buf_drain_of_too_much_is_a_bug)
{
	struct buf buf = { 0 };

	buf_append_text(&buf, "abc");
	buf_drain(&buf, 4);
}
END_TEST

START_TEST(buf_detach_leaves_it_empty)
{
	struct buf buf = { 0 };
	uint8_t *data;
	size_t size;

	buf_append_text(&buf, "abc");
	data = buf_detach(&buf, &size);
	ck_assert_uint_eq(size, 3);
	ck_assert_mem_eq(data, "abc", 3);
	ck_assert_ptr_null(buf.data);
	ck_assert_uint_eq(buf.capacity, 0);
	free(data);
}
END_TEST

START_TEST(codec_is_big_endian)
{
	static const uint8_t expected[] = { 0x01, 0x02, 0x03, 0x04, 0x05, 0x06,
		0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f };
	struct buf buf = { 0 };

	codec_append_u8(&buf, 0x01);
	codec_append_u16(&buf, 0x0203);
	codec_append_u32(&buf, 0x04050607);
	codec_append_u64(&buf, UINT64_C(0x08090a0b0c0d0e0f));
	ck_assert_uint_eq(buf.size, sizeof(expected));
	ck_assert_mem_eq(buf.data, expected, sizeof(expected));
	buf_release(&buf);
}
END_TEST

static void
append_one_of_each(struct buf *buf)
{
	codec_append_u8(buf, UINT8_MAX);
	codec_append_u16(buf, UINT16_MAX - 1);
	codec_append_u32(buf, UINT32_MAX - 2);
	codec_append_u64(buf, UINT64_MAX - 3);
	codec_append_bytes(buf, slice_from_text("bytes"));
	codec_append_bytes(buf, slice_of(NULL, 0));
}

START_TEST(codec_reads_what_it_wrote)
{
	struct buf buf = { 0 };
	struct codec_reader reader;

	append_one_of_each(&buf);
	codec_reader_init(&reader, buf_slice(&buf));
	ck_assert_uint_eq(codec_read_u8(&reader), UINT8_MAX);
	ck_assert_uint_eq(codec_read_u16(&reader), UINT16_MAX - 1);
	ck_assert_uint_eq(codec_read_u32(&reader), UINT32_MAX - 2);
	ck_assert_uint_eq(codec_read_u64(&reader), UINT64_MAX - 3);
	ck_assert(
	    slice_equal(codec_read_bytes(&reader), slice_from_text("bytes")));
	ck_assert(!codec_reader_done(&reader));
	ck_assert_uint_eq(codec_read_bytes(&reader).size, 0);
	ck_assert(codec_reader_done(&reader));
	buf_release(&buf);
}
END_TEST

/* The copy has no byte to spare, so that a sanitizer sees any over-read. */
START_TEST(codec_truncated_anywhere_fails)
{
	struct buf buf = { 0 };

	append_one_of_each(&buf);
	for (size_t size = 0; size < buf.size; size++) {
		uint8_t *exact = malloc(size + 1);
		struct codec_reader reader;

		memcpy(exact + 1, buf.data, size);
		codec_reader_init(&reader, slice_of(exact + 1, size));
		(void)codec_read_u8(&reader);
		(void)codec_read_u16(&reader);
		(void)codec_read_u32(&reader);
		(void)codec_read_u64(&reader);
		(void)codec_read_bytes(&reader);
		(void)codec_read_bytes(&reader);
		ck_assert(reader.failed);
		ck_assert(!codec_reader_done(&reader));
		free(exact);
	}
	buf_release(&buf);
}
END_TEST

START_TEST(codec_reads_nothing_after_a_failure)
{
	struct codec_reader reader;

	codec_reader_init(&reader, slice_of("\1\1\1", 3));
	ck_assert_uint_eq(codec_read_u32(&reader), 0);
	ck_assert_uint_eq(codec_read_u8(&reader), 0);
	ck_assert_uint_eq(codec_read_raw(&reader, 0).size, 0);
	ck_assert(reader.failed);
}
END_TEST

START_TEST(codec_length_beyond_the_input_fails)
{
	struct codec_reader reader;

	codec_reader_init(&reader, slice_of("\xff\xff\xff\xff"
					    "abc",
				       7));
	ck_assert_uint_eq(codec_read_bytes(&reader).size, 0);
	ck_assert(reader.failed);
}
END_TEST

START_TEST(slices_compare_as_keys_sort)
{
	static const char *const ordered[] = { "", "a", "aa", "ab", "b",
		"\xff" };

	for (size_t i = 0; i < ARRAY_COUNT(ordered); i++) {
		for (size_t j = 0; j < ARRAY_COUNT(ordered); j++) {
			int order = slice_compare(slice_from_text(ordered[i]),
			    slice_from_text(ordered[j]));

			ck_assert_int_eq(order < 0, i < j);
			ck_assert_int_eq(order > 0, i > j);
		}
	}
}
END_TEST

START_TEST(codec_varint_comes_back_in_its_shortest_form)
{
	static const struct {
		uint64_t value;
		size_t size;
	} cases[] = { { 0, 1 }, { 1, 1 }, { 127, 1 }, { 128, 2 }, { 16383, 2 },
		{ 16384, 3 }, { UINT32_MAX, 5 }, { (UINT64_C(1) << 63) - 1, 9 },
		{ UINT64_C(1) << 63, 10 }, { UINT64_MAX, 10 } };

	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		struct codec_reader reader;
		struct buf buf = { 0 };

		codec_append_varint(&buf, cases[i].value);
		ck_assert_uint_eq(buf.size, cases[i].size);
		codec_reader_init(&reader, buf_slice(&buf));
		ck_assert_uint_eq(codec_read_varint(&reader), cases[i].value);
		ck_assert(codec_reader_done(&reader));
		/* Cut at every byte. */
		for (size_t size = 0; size < buf.size; size++) {
			codec_reader_init(&reader, slice_of(buf.data, size));
			ck_assert_uint_eq(codec_read_varint(&reader), 0);
			ck_assert(reader.failed);
		}
		buf_release(&buf);
	}
}
END_TEST

/* Each number has one form: what is decoded and encoded again is the same. */
START_TEST(codec_varint_of_another_form_fails)
{
	static const struct {
		const char *bytes;
		size_t size;
	} cases[] = {
		{ "\x80\x00", 2 },     /* 0 in two bytes */
		{ "\xff\x80\x00", 3 }, /* 127 in three */
		{ "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
		    10 }, /* 2^64 .. */
		{ "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 11 },
	};

	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		struct codec_reader reader;

		codec_reader_init(
		    &reader, slice_of(cases[i].bytes, cases[i].size));
		ck_assert_uint_eq(codec_read_varint(&reader), 0);
		ck_assert(reader.failed);
	}
}
END_TEST

START_TEST(codec_sized_bytes_come_back)
{
	static const size_t sizes[] = { 0, 1, 127, 128, 300 };
	uint8_t bytes[300];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i + 1);
	for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
		struct slice written = slice_of(bytes, sizes[i]);
		struct codec_reader reader;
		struct buf buf = { 0 };

		codec_append_sized(&buf, written);
		ck_assert_uint_eq(
		    buf.size, sizes[i] + (sizes[i] < 128 ? 1 : 2));
		codec_reader_init(&reader, buf_slice(&buf));
		ck_assert(slice_equal(codec_read_sized(&reader), written));
		ck_assert(codec_reader_done(&reader));
		/* Cut at every byte. */
		for (size_t size = 0; size < buf.size; size++) {
			codec_reader_init(&reader, slice_of(buf.data, size));
			ck_assert_uint_eq(codec_read_sized(&reader).size, 0);
			ck_assert(reader.failed);
		}
		buf_release(&buf);
	}
}
END_TEST

Suite *
codec_suite(void)
{
	Suite *suite = suite_create("codec");
	TCase *buf = tcase_create("buf");
	TCase *codec = tcase_create("codec");

	tcase_add_test(buf, buf_grows_and_keeps_its_bytes);
	tcase_add_test(buf, buf_append_nothing_gives_data);
	tcase_add_test(buf, buf_prints_numbers);
	tcase_add_test(buf, buf_printf_fits_at_every_fill);
	tcase_add_test(buf, buf_drain_keeps_the_rest);
	tcase_add_test_raise_signal(
	    buf, buf_drain_of_too_much_is_a_bug, SIGABRT);
	tcase_add_test(buf, buf_detach_leaves_it_empty);
	suite_add_tcase(suite, buf);
	tcase_add_test(codec, codec_is_big_endian);
	tcase_add_test(codec, codec_reads_what_it_wrote);
	tcase_add_test(codec, codec_truncated_anywhere_fails);
	tcase_add_test(codec, codec_reads_nothing_after_a_failure);
	tcase_add_test(codec, codec_length_beyond_the_input_fails);
	tcase_add_test(codec, codec_varint_comes_back_in_its_shortest_form);
	tcase_add_test(codec, codec_varint_of_another_form_fails);
	tcase_add_test(codec, codec_sized_bytes_come_back);
	tcase_add_test(codec, slices_compare_as_keys_sort);
	suite_add_tcase(suite, codec);
	return suite;
}
