#include "common/macros.h"
#include "common/rng.h"
#include "tests/unit/suites.h"

/* What xoshiro256** gives after splitmix64 from seed 0; never to change. */
START_TEST(rng_known_numbers)
{
	static const uint64_t expected[] = {
		UINT64_C(0x99ec5f36cb75f2b4),
		UINT64_C(0xbf6e1f784956452a),
		UINT64_C(0x1a5f849d4933e6e0),
		UINT64_C(0x6aa594f1262d2d2c),
	};
	struct rng rng;

	rng_init(&rng, 0);
	for (size_t i = 0; i < ARRAY_COUNT(expected); i++)
		ck_assert_uint_eq(rng_next(&rng), expected[i]);
}
END_TEST

START_TEST(rng_same_seed_same_numbers)
{
	struct rng a;
	struct rng b;
	struct rng other;
	int differences = 0;

	rng_init(&a, 42);
	rng_init(&b, 42);
	rng_init(&other, 43);
	for (int i = 0; i < 1000; i++) {
		uint64_t number = rng_next(&a);

		ck_assert_uint_eq(number, rng_next(&b));
		differences += number != rng_next(&other);
	}
	ck_assert_int_gt(differences, 990);
}
END_TEST

START_TEST(rng_below_reaches_all_and_only_those)
{
	struct rng rng;

	rng_init(&rng, 7);
	for (uint64_t bound = 1; bound <= 10; bound++) {
		unsigned seen = 0;

		for (int i = 0; i < 1000; i++) {
			uint64_t number = rng_below(&rng, bound);

			ck_assert_uint_lt(number, bound);
			seen |= 1u << number;
		}
		ck_assert_uint_eq(seen, (1u << bound) - 1);
	}
}
END_TEST

START_TEST(rng_between_includes_both_ends)
{
	struct rng rng;
	unsigned seen = 0;

	rng_init(&rng, 7);
	for (int i = 0; i < 1000; i++) {
		uint64_t number = rng_between(&rng, 5, 8);

		ck_assert_uint_ge(number, 5);
		ck_assert_uint_le(number, 8);
		seen |= 1u << number;
	}
	ck_assert_uint_eq(seen, 0x1e0);
	ck_assert_uint_eq(rng_between(&rng, 9, 9), 9);
	(void)rng_between(&rng, 0, UINT64_MAX);
}
END_TEST

Suite *
rng_suite(void)
{
	Suite *suite = suite_create("rng");
	TCase *tcase = tcase_create("rng");

	tcase_add_test(tcase, rng_known_numbers);
	tcase_add_test(tcase, rng_same_seed_same_numbers);
	tcase_add_test(tcase, rng_below_reaches_all_and_only_those);
	tcase_add_test(tcase, rng_between_includes_both_ends);
	suite_add_tcase(suite, tcase);
	return suite;
}
