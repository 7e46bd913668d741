/* Operations that write one key: what each does, gives, and refuses. */

#include "common/macros.h"
#include "tests/unit/op_stage.h"
#include "tests/unit/suites.h"

#define LEASE 77

/* ---- Put ---- */

START_TEST(kv_put_gives_what_was_before_if_asked)
{
	struct kv_op put = { .kind = KV_PUT,
		.key = TEXT("a"),
		.value = TEXT("1"),
		.previous = true };

	op_stage_run(put);
	ck_assert(!op_stage_output(0).exists);
	ck_assert(!op_stage_output(0).has_value);
	put.value = TEXT("2");
	op_stage_run(put);
	ck_assert(op_stage_output(0).exists);
	op_stage_expect_text(op_stage_output(0).value, "1");
	put.previous = false;
	op_stage_run(put);
	ck_assert(op_stage_output(0).exists);
	ck_assert(!op_stage_output(0).has_value);
}
END_TEST

START_TEST(kv_put_keeps_its_content_type)
{
	op_stage_run((struct kv_op){ .kind = KV_PUT,
	    .key = TEXT("a"),
	    .content_type = KV_CONTENT_JSON });
	ck_assert_int_eq(op_stage_output(0).content_type, KV_CONTENT_JSON);
	ck_assert_int_eq(
	    txn_site_version(&bench, "a").item.content_type, KV_CONTENT_JSON);
	txn_site_put(&bench, "a", "");
	ck_assert_int_eq(
	    txn_site_version(&bench, "a").item.content_type, KV_CONTENT_NONE);
}
END_TEST

/* ---- Increment ---- */

static struct kv_op
increment(int64_t by)
{
	return (struct kv_op){ .kind = KV_INCREMENT,
		.key = TEXT("n"),
		.by = by,
		.lifetime = KV_LIFETIME_KEEP };
}

START_TEST(kv_increment_of_a_missing_key)
{
	op_stage_run(increment(-5));
	op_stage_expect_text(op_stage_output(0).value, "-5");
	ck_assert(!op_stage_output(0).exists);
	txn_site_expect_value(&bench, "n", "-5");
}
END_TEST

START_TEST(kv_increment_over_the_whole_range)
{
	static const struct {
		const char *value;
		int64_t by;
		const char *sum;
	} cases[] = {
		{ "0", 1, "1" },
		{ "-1", 1, "0" },
		{ "007", 1, "8" },
		{ "5\n", 1, "6" },
		{ "-0", 0, "0" },
		{ "9223372036854775806", 1, "9223372036854775807" },
		{ "-9223372036854775807", -1, "-9223372036854775808" },
		{ "-9223372036854775808", INT64_MAX, "-1" },
		{ "9223372036854775807", INT64_MIN, "-1" },
	};

	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		txn_site_put(&bench, "n", cases[i].value);
		op_stage_run(increment(cases[i].by));
		op_stage_expect_text(op_stage_output(0).value, cases[i].sum);
		txn_site_expect_value(&bench, "n", cases[i].sum);
	}
}
END_TEST

START_TEST(kv_increment_of_what_is_no_number)
{
	static const struct {
		const char *value;
		int64_t by;
	} cases[] = {
		{ "", 1 },
		{ "-", 1 },
		{ "\n", 1 },
		{ "+1", 1 },
		{ " 1", 1 },
		{ "1 ", 1 },
		{ "1\n\n", 1 },
		{ "1.5", 1 },
		{ "0x1", 1 },
		{ "--1", 1 },
		{ "9223372036854775808", 0 },
		{ "-9223372036854775809", 0 },
		{ "9223372036854775807", 1 },
		{ "-9223372036854775808", -1 },
		{ "99999999999999999999999999", -1 },
	};

	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		txn_site_put(&bench, "n", cases[i].value);
		op_stage_refuse(increment(cases[i].by), KV_NOT_A_NUMBER);
	}
}
END_TEST

START_TEST(kv_increment_keeps_type_and_lifetime)
{
	op_stage_run((struct kv_op){ .kind = KV_PUT,
	    .key = TEXT("n"),
	    .value = TEXT("1"),
	    .content_type = KV_CONTENT_TEXT,
	    .lifetime = KV_LIFETIME_TTL,
	    .ttl_us = 500000 });
	op_stage_run(increment(1));
	ck_assert_int_eq(op_stage_output(0).content_type, KV_CONTENT_TEXT);
	ck_assert_uint_eq(op_stage_output(0).ttl_us, 499000);
	ck_assert_uint_eq(op_stage_output(0).version, 2);
}
END_TEST

/* ---- Append ---- */

static struct kv_op
append(const char *value, uint64_t size_max)
{
	return (struct kv_op){ .kind = KV_APPEND,
		.key = TEXT("a"),
		.value = TEXT(value),
		.size_max = size_max };
}

START_TEST(kv_append_up_to_its_limit)
{
	op_stage_run(append("12", 5));
	ck_assert(!op_stage_output(0).exists);
	op_stage_expect_text(op_stage_output(0).value, "12");
	op_stage_run(append("345", 5));
	ck_assert(op_stage_output(0).exists);
	op_stage_expect_text(op_stage_output(0).value, "12345");
	txn_site_expect_value(&bench, "a", "12345");
	op_stage_refuse(append("6", 5), KV_TOO_LARGE);
	op_stage_refuse(append("", 4), KV_TOO_LARGE);
	op_stage_run(append("", 5));
	txn_site_expect_value(&bench, "a", "12345");
}
END_TEST

/* ---- Copy and move ---- */

static struct kv_op
transfer(enum kv_op_kind kind, const char *from, const char *to)
{
	return (struct kv_op){ .kind = kind,
		.key = TEXT(from),
		.other = TEXT(to),
		.lifetime = KV_LIFETIME_KEEP };
}

static void
put_source(void)
{
	op_stage_run((struct kv_op){ .kind = KV_PUT,
	    .key = TEXT("a"),
	    .value = TEXT("value"),
	    .content_type = KV_CONTENT_PEM,
	    .lifetime = KV_LIFETIME_TTL,
	    .ttl_us = 500000 });
}

START_TEST(kv_copy_takes_value_and_type)
{
	op_stage_refuse(transfer(KV_COPY, "a", "b"), KV_KEY_NOT_FOUND);
	put_source();
	op_stage_run(transfer(KV_COPY, "a", "b"));
	ck_assert(slice_equal(op_stage_output(0).key, TEXT("b")));
	ck_assert(!op_stage_output(0).exists);
	ck_assert_int_eq(op_stage_output(0).content_type, KV_CONTENT_PEM);
	/* A new key that keeps its lifetime has none. */
	ck_assert_uint_eq(op_stage_output(0).ttl_us, 0);
	txn_site_expect_value(&bench, "a", "value");
	txn_site_expect_value(&bench, "b", "value");
	op_stage_run(transfer(KV_COPY, "b", "a"));
	ck_assert_uint_eq(op_stage_output(0).ttl_us, 498000);
	ck_assert_uint_eq(op_stage_output(0).version, 2);
}
END_TEST

START_TEST(kv_move_takes_the_lifetime_too)
{
	op_stage_refuse(transfer(KV_MOVE, "a", "b"), KV_KEY_NOT_FOUND);
	txn_site_put(&bench, "b", "old");
	put_source();
	op_stage_run(transfer(KV_MOVE, "a", "b"));
	ck_assert_uint_eq(kv_bench_outputs_count(&bench), 1);
	ck_assert(slice_equal(op_stage_output(0).key, TEXT("b")));
	ck_assert(op_stage_output(0).exists);
	ck_assert_uint_eq(op_stage_output(0).created, 1);
	ck_assert_uint_eq(op_stage_output(0).version, 2);
	ck_assert_uint_eq(op_stage_output(0).ttl_us, 499000);
	txn_site_expect_value(&bench, "a", NULL);
	txn_site_expect_value(&bench, "b", "value");
	ck_assert_uint_eq(txn_site_count(&bench, KV_TABLE_DEADLINE), 1);
	ck_assert_uint_eq(kv_revision(bench.kv), 3);
}
END_TEST

/* It would be lost. */
START_TEST(kv_move_onto_itself_keeps_the_key)
{
	put_source();
	op_stage_run(transfer(KV_MOVE, "a", "a"));
	txn_site_expect_value(&bench, "a", "value");
	ck_assert_uint_eq(op_stage_output(0).version, 2);
	ck_assert_uint_eq(op_stage_output(0).ttl_us, 499000);
}
END_TEST

START_TEST(kv_move_to_a_lease_that_is_not_there)
{
	struct kv_op op = transfer(KV_MOVE, "a", "b");

	put_source();
	op.lifetime = KV_LIFETIME_LEASE;
	op.lease = LEASE;
	op_stage_refuse(op, KV_LEASE_NOT_FOUND);
}
END_TEST

Suite *
kv_op_suite(void)
{
	Suite *suite = suite_create("kv_op");
	TCase *core = tcase_create("core");

	tcase_add_checked_fixture(core, op_stage_begin, op_stage_end);
	tcase_add_test(core, kv_put_gives_what_was_before_if_asked);
	tcase_add_test(core, kv_put_keeps_its_content_type);
	tcase_add_test(core, kv_increment_of_a_missing_key);
	tcase_add_test(core, kv_increment_over_the_whole_range);
	tcase_add_test(core, kv_increment_of_what_is_no_number);
	tcase_add_test(core, kv_increment_keeps_type_and_lifetime);
	tcase_add_test(core, kv_append_up_to_its_limit);
	tcase_add_test(core, kv_copy_takes_value_and_type);
	tcase_add_test(core, kv_move_takes_the_lifetime_too);
	tcase_add_test(core, kv_move_onto_itself_keeps_the_key);
	tcase_add_test(core, kv_move_to_a_lease_that_is_not_there);
	suite_add_tcase(suite, core);
	return suite;
}
