#include "common/hash.h"
#include "common/rng.h"
#include "tests/unit/suites.h"

/* The examples of RFC 3720 appendix B.4, and the check value of the CRC. */
START_TEST(crc32c_rfc3720_vectors)
{
	uint8_t bytes[32];

	memset(bytes, 0, sizeof(bytes));
	ck_assert_uint_eq(crc32c(0, slice_of(bytes, 32)), 0x8a9136aa);
	memset(bytes, 0xff, sizeof(bytes));
	ck_assert_uint_eq(crc32c(0, slice_of(bytes, 32)), 0x62a8ab43);
	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	ck_assert_uint_eq(crc32c(0, slice_of(bytes, 32)), 0x46dd794e);
	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(31 - i);
	ck_assert_uint_eq(crc32c(0, slice_of(bytes, 32)), 0x113fdb5c);
	ck_assert_uint_eq(crc32c(0, slice_from_text("123456789")), 0xe3069283);
	ck_assert_uint_eq(crc32c(0, slice_of(NULL, 0)), 0);
}
END_TEST

START_TEST(crc32c_same_with_and_without_instruction)
{
	uint8_t bytes[100];
	struct rng rng;

	rng_init(&rng, 3720);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)rng_next(&rng);
	for (size_t from = 0; from < 9; from++) {
		for (size_t to = from; to <= sizeof(bytes); to++) {
			struct slice part = slice_of(bytes + from, to - from);
			uint32_t before = (uint32_t)rng_next(&rng);

			ck_assert_uint_eq(crc32c(before, part),
			    crc32c_portable(before, part));
		}
	}
}
END_TEST

START_TEST(crc32c_continues_over_parts)
{
	struct slice whole = slice_from_text("a record in several parts");
	uint32_t expected = crc32c(0, whole);

	for (size_t cut = 0; cut <= whole.size; cut++) {
		uint32_t crc = crc32c(0, slice_of(whole.data, cut));

		crc = crc32c(crc, slice_of(whole.data + cut, whole.size - cut));
		ck_assert_uint_eq(crc, expected);
	}
}
END_TEST

/* Stored in files: these values may never change (XXH3 with 64 bits). */
START_TEST(hash64_is_xxh3)
{
	ck_assert_uint_eq(
	    hash64(0, slice_of(NULL, 0)), UINT64_C(0x2d06800538d394c2));
	ck_assert_uint_ne(
	    hash64(1, slice_from_text("a")), hash64(2, slice_from_text("a")));
}
END_TEST

Suite *
hash_suite(void)
{
	Suite *suite = suite_create("hash");
	TCase *tcase = tcase_create("hash");

	tcase_add_test(tcase, crc32c_rfc3720_vectors);
	tcase_add_test(tcase, crc32c_same_with_and_without_instruction);
	tcase_add_test(tcase, crc32c_continues_over_parts);
	tcase_add_test(tcase, hash64_is_xxh3);
	suite_add_tcase(suite, tcase);
	return suite;
}
