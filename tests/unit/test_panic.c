#include "common/err.h"
#include "common/mem.h"
#include "common/panic.h"
#include "tests/unit/suites.h"
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

START_TEST(assert_aborts)
{
	volatile int two = 2;

	ASSERT(two == 3);
}
END_TEST

START_TEST(assert_of_a_truth_goes_on)
{
	volatile int two = 2;

	ASSERT(two == 2);
}
END_TEST

START_TEST(fatal_exits_with_70)
{
	fatal("the test says %s", "so");
}
END_TEST

START_TEST(mem_zalloc_overflow_is_fatal)
{
	(void)mem_zalloc(SIZE_MAX / 2, 3);
}
END_TEST

START_TEST(mem_realloc_overflow_is_fatal)
{
	(void)mem_realloc(NULL, SIZE_MAX / 2, 3);
}
END_TEST

START_TEST(mem_of_nothing_is_memory)
{
	void *blocks[] = { mem_alloc(0), mem_zalloc(0, 8),
		mem_realloc(NULL, 0, 8), mem_copy(NULL, 0) };

	for (size_t i = 0; i < ARRAY_COUNT(blocks); i++) {
		ck_assert_ptr_nonnull(blocks[i]);
		free(blocks[i]);
	}
}
END_TEST

START_TEST(mem_copies)
{
	char *copy = mem_strdup("text");
	uint8_t *bytes = mem_copy("a\0b", 3);
	uint64_t *zeros = mem_zalloc(3, sizeof(*zeros));

	ck_assert_str_eq(copy, "text");
	ck_assert_mem_eq(bytes, "a\0b", 3);
	ck_assert_uint_eq(zeros[0] | zeros[1] | zeros[2], 0);
	free(copy);
	free(bytes);
	free(zeros);
}
END_TEST

/* A code without a text, or two with the same, would mislead a reader. */
START_TEST(every_error_has_its_text)
{
	for (int code = ERR_COMPACTED; code <= 0; code++) {
		ck_assert_ptr_nonnull(err_text(code));
		ck_assert_str_ne(err_text(code), "unknown error");
		for (int other = ERR_COMPACTED; other < code; other++)
			ck_assert_str_ne(err_text(code), err_text(other));
	}
	ck_assert_str_eq(err_text(ERR_COMPACTED - 1), "unknown error");
	ck_assert_str_eq(err_text(1), "unknown error");
	ck_assert_str_eq(err_text(INT32_MIN), "unknown error");
}
END_TEST

Suite *
panic_suite(void)
{
	Suite *suite = suite_create("panic");
	TCase *tcase = tcase_create("panic");

	tcase_add_test_raise_signal(tcase, assert_aborts, SIGABRT);
	tcase_add_test(tcase, assert_of_a_truth_goes_on);
	tcase_add_exit_test(tcase, fatal_exits_with_70, 70);
	tcase_add_exit_test(tcase, mem_zalloc_overflow_is_fatal, 70);
	tcase_add_exit_test(tcase, mem_realloc_overflow_is_fatal, 70);
	tcase_add_test(tcase, mem_of_nothing_is_memory);
	tcase_add_test(tcase, mem_copies);
	tcase_add_test(tcase, every_error_has_its_text);
	suite_add_tcase(suite, tcase);
	return suite;
}
