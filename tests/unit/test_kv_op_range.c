/* What is deleted, got and listed, by itself or in ranges. */

#include "common/macros.h"
#include "common/mem.h"
#include "tests/unit/op_stage.h"
#include "tests/unit/suites.h"
#include <stdio.h>
#include <stdlib.h>

START_TEST(kv_delete_gives_what_was_before_if_asked)
{
	struct kv_op op = {
		.kind = KV_DELETE, .key = TEXT("a"), .previous = true
	};

	op_stage_run(op);
	ck_assert(!bench.result.changed);
	ck_assert(!op_stage_output(0).exists);
	ck_assert(!op_stage_output(0).has_value);
	ck_assert_uint_eq(op_stage_output(0).count, 0);
	txn_site_put(&bench, "a", "1");
	op_stage_run(op);
	ck_assert(op_stage_output(0).exists);
	op_stage_expect_text(op_stage_output(0).value, "1");
	ck_assert_uint_eq(op_stage_output(0).count, 1);
}
END_TEST

static void
put_letters(void)
{
	txn_site_put(&bench, "a", "1");
	txn_site_put(&bench, "b", "22");
	txn_site_put(&bench, "c", "333");
	txn_site_put(&bench, "d", "4444");
}

static struct kv_op
range(enum kv_op_kind kind, const char *start, const char *end, uint32_t limit)
{
	return (struct kv_op){ .kind = kind,
		.key = TEXT(start),
		.other = TEXT(end),
		.limit = limit };
}

static void
expect_range_deleted(uint64_t count, bool more)
{
	ck_assert_uint_eq(kv_bench_outputs_count(&bench), 1);
	ck_assert_int_eq(op_stage_output(0).kind, KV_OUTPUT_DELETED);
	ck_assert_uint_eq(op_stage_output(0).count, count);
	ck_assert_int_eq(op_stage_output(0).exists, count != 0);
	ck_assert_int_eq(op_stage_output(0).more, more);
	ck_assert_int_eq(bench.result.changed, count != 0);
}

START_TEST(kv_delete_range_is_one_revision)
{
	put_letters();
	op_stage_run(range(KV_DELETE_RANGE, "b", "d", 0));
	expect_range_deleted(2, false);
	ck_assert_uint_eq(kv_revision(bench.kv), 5);
	txn_site_expect_value(&bench, "a", "1");
	txn_site_expect_value(&bench, "b", NULL);
	txn_site_expect_value(&bench, "c", NULL);
	txn_site_expect_value(&bench, "d", "4444");
	ck_assert(slice_equal(txn_site_event(&bench, 5, 1).key, TEXT("c")));
	op_stage_run(range(KV_DELETE_RANGE, "b", "d", 0));
	expect_range_deleted(0, false);
	op_stage_run(range(KV_DELETE_RANGE, "d", "b", 0));
	expect_range_deleted(0, false);
}
END_TEST

START_TEST(kv_delete_range_with_a_limit)
{
	put_letters();
	op_stage_run(range(KV_DELETE_RANGE, "", "", 3));
	expect_range_deleted(3, true);
	op_stage_run(range(KV_DELETE_RANGE, "", "", 1));
	expect_range_deleted(1, false);
	ck_assert_uint_eq(txn_site_count(&bench, KV_TABLE_KV), 0);
}
END_TEST

/* Keys alone are little to tell, and much to read; conditions are likewise. */
START_TEST(kv_transaction_looks_at_so_many_bytes)
{
	struct kv_condition condition = { .key = TEXT("a"),
		.target = KV_TARGET_VERSION,
		.relation = KV_EQUAL,
		.number = 1 };
	size_t size = (size_t)KV_LOOK_BYTES_MAX / 16;
	uint8_t *bytes = mem_zalloc(size, 1);
	struct kv_op lists[17];

	op_stage_run((struct kv_op){
	    .kind = KV_PUT, .key = TEXT("a"), .value = slice_of(bytes, size) });
	free(bytes);
	for (size_t i = 0; i < ARRAY_COUNT(lists); i++) {
		lists[i] = range(KV_LIST, "", "", 0);
		lists[i].keys_only = true;
	}
	txn_site_run(&bench, lists, ARRAY_COUNT(lists) - 1);
	txn_site_expect_refused(&bench, lists, ARRAY_COUNT(lists),
	    KV_LOOKS_TOO_MUCH, ARRAY_COUNT(lists) - 1);
	for (unsigned count = 16; count <= 17; count++) {
		struct buf *entry = kv_bench_log_entry(&bench);

		kv_encode_transaction(entry, NULL);
		for (unsigned i = 0; i < count; i++)
			kv_encode_condition(entry, &condition);
		txn_site_apply(&bench);
		ck_assert_int_eq(bench.result.status,
		    count == 16 ? KV_OK : KV_LOOKS_TOO_MUCH);
		ck_assert_uint_eq(bench.result.outputs.size, 0);
	}
}
END_TEST

/* By one. */
static void
put_too_many(void)
{
	char name[32];

	for (unsigned i = 0; i <= KV_DELETE_KEYS_MAX; i++) {
		(void)snprintf(name, sizeof(name), "%05u", i);
		txn_site_put(&bench, name, "");
	}
}

START_TEST(kv_delete_range_of_too_many)
{
	put_too_many();
	op_stage_refuse(range(KV_DELETE_RANGE, "", "", 0), KV_TOO_MANY);
	op_stage_refuse(range(KV_DELETE_RANGE, "", "", KV_DELETE_KEYS_MAX + 1),
	    KV_TOO_MANY);
	op_stage_run(range(KV_DELETE_RANGE, "", "", KV_DELETE_KEYS_MAX));
	expect_range_deleted(KV_DELETE_KEYS_MAX, true);
	op_stage_run(range(KV_DELETE_RANGE, "", "", 0));
	expect_range_deleted(1, false);
}
END_TEST

/* A transaction takes no longer for having several. */
START_TEST(kv_delete_ranges_of_too_many)
{
	const struct kv_op ranges[] = {
		range(KV_DELETE_RANGE, "", "", KV_DELETE_KEYS_MAX / 2),
		range(KV_DELETE_RANGE, "", "", KV_DELETE_KEYS_MAX / 2),
		range(KV_DELETE_RANGE, "", "", 1),
	};

	put_too_many();
	txn_site_expect_refused(&bench, ranges, 3, KV_TOO_MANY, 2);
	txn_site_run(&bench, ranges, 2);
	ck_assert_uint_eq(op_stage_output(1).count, KV_DELETE_KEYS_MAX / 2);
	ck_assert(op_stage_output(1).more);
	txn_site_run(&bench, ranges, 3);
	ck_assert_uint_eq(op_stage_output(0).count, 1);
}
END_TEST

/* Large values are deleted a few at a time, so that none takes long. */
START_TEST(kv_delete_range_of_too_much)
{
	size_t size = KV_WRITE_BYTES_MAX / 4;
	uint8_t *value = mem_zalloc(1, size);

	for (char name = 'a'; name <= 'd'; name++) {
		kv_bench_log_put(
		    &bench, slice_of(&name, 1), slice_of(value, size));
		txn_site_apply(&bench);
	}
	free(value);
	op_stage_refuse(range(KV_DELETE_RANGE, "", "", 0), KV_WRITES_TOO_MUCH);
	op_stage_run(range(KV_DELETE_RANGE, "", "", 10));
	expect_range_deleted(3, true);
	op_stage_run(range(KV_DELETE_RANGE, "", "", 10));
	expect_range_deleted(1, false);
}
END_TEST

START_TEST(kv_get_of_a_key_and_of_none)
{
	struct kv_op op = { .kind = KV_GET, .key = TEXT("b") };

	put_letters();
	op_stage_run(op);
	ck_assert(!bench.result.changed);
	ck_assert_uint_eq(bench.result.revision, 4);
	ck_assert_int_eq(op_stage_output(0).kind, KV_OUTPUT_ITEM);
	ck_assert(op_stage_output(0).exists);
	op_stage_expect_text(op_stage_output(0).key, "b");
	op_stage_expect_text(op_stage_output(0).value, "22");
	ck_assert_uint_eq(op_stage_output(0).modified, 2);
	ck_assert_uint_eq(op_stage_output(0).created, 2);
	ck_assert_uint_eq(op_stage_output(0).version, 1);
	op.key = TEXT("x");
	op_stage_run(op);
	ck_assert(!op_stage_output(0).exists);
	ck_assert(!op_stage_output(0).has_value);
	op_stage_expect_text(op_stage_output(0).key, "x");
}
END_TEST

/* `keys` has a letter for each item. */
static void
expect_list(const char *keys, bool more)
{
	size_t count = strlen(keys);

	ck_assert_int_eq(op_stage_output(0).kind, KV_OUTPUT_LIST);
	ck_assert_uint_eq(op_stage_output(0).count, count);
	ck_assert_int_eq(op_stage_output(0).more, more);
	ck_assert_uint_eq(kv_bench_outputs_count(&bench), count + 1);
	for (unsigned i = 0; i < count; i++) {
		ck_assert_int_eq(op_stage_output(i + 1).kind, KV_OUTPUT_ITEM);
		ck_assert(op_stage_output(i + 1).exists);
		ck_assert(slice_equal(
		    op_stage_output(i + 1).key, slice_of(keys + i, 1)));
	}
}

START_TEST(kv_list_of_every_range)
{
	static const struct {
		const char *start;
		const char *end;
		uint32_t limit;
		const char *forth;
		const char *back;
		bool more;
	} cases[] = {
		{ "", "", 0, "abcd", "dcba", false },
		{ "", "", 3, "abc", "dcb", true },
		{ "", "", 4, "abcd", "dcba", false },
		{ "b", "d", 0, "bc", "cb", false },
		{ "b", "c\x01", 0, "bc", "cb", false },
		{ "aa", "dd", 0, "bcd", "dcb", false },
		{ "b", "", 1, "b", "d", true },
		{ "", "c", 0, "ab", "ba", false },
		{ "e", "", 0, "", "", false },
		{ "", "a", 0, "", "", false },
		{ "c", "b", 0, "", "", false },
		{ "c", "c", 0, "", "", false },
	};

	put_letters();
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		struct kv_op op = range(
		    KV_LIST, cases[i].start, cases[i].end, cases[i].limit);

		op_stage_run(op);
		expect_list(cases[i].forth, cases[i].more);
		op.reverse = true;
		op_stage_run(op);
		expect_list(cases[i].back, cases[i].more);
	}
}
END_TEST

START_TEST(kv_list_of_an_empty_state)
{
	struct kv_op op = range(KV_LIST, "", "", 0);

	op_stage_run(op);
	expect_list("", false);
	op.reverse = true;
	op.other = TEXT("x");
	op_stage_run(op);
	expect_list("", false);
}
END_TEST

START_TEST(kv_list_with_and_without_values)
{
	struct kv_op op = range(KV_LIST, "b", "d", 0);

	put_letters();
	op_stage_run(op);
	op_stage_expect_text(op_stage_output(1).value, "22");
	op_stage_expect_text(op_stage_output(2).value, "333");
	ck_assert_uint_eq(op_stage_output(2).modified, 3);
	op.keys_only = true;
	op_stage_run(op);
	ck_assert(!op_stage_output(1).has_value);
	ck_assert_uint_eq(op_stage_output(1).version, 1);
}
END_TEST

Suite *
kv_op_range_suite(void)
{
	Suite *suite = suite_create("kv_op_range");
	TCase *tests = tcase_create("kv_op_range");

	tcase_add_checked_fixture(tests, op_stage_begin, op_stage_end);
	tcase_add_test(tests, kv_delete_gives_what_was_before_if_asked);
	tcase_add_test(tests, kv_delete_range_is_one_revision);
	tcase_add_test(tests, kv_delete_range_with_a_limit);
	tcase_add_test(tests, kv_transaction_looks_at_so_many_bytes);
	tcase_add_test(tests, kv_delete_range_of_too_many);
	tcase_add_test(tests, kv_delete_ranges_of_too_many);
	tcase_add_test(tests, kv_delete_range_of_too_much);
	tcase_add_test(tests, kv_get_of_a_key_and_of_none);
	tcase_add_test(tests, kv_list_of_every_range);
	tcase_add_test(tests, kv_list_of_an_empty_state);
	tcase_add_test(tests, kv_list_with_and_without_values);
	suite_add_tcase(suite, tests);
	return suite;
}
