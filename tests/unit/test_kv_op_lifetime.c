/* What operations do with the lifetime of a key. */

#include "common/mem.h"
#include "tests/unit/op_stage.h"
#include "tests/unit/suites.h"
#include <stdio.h>
#include <stdlib.h>

#define LEASE   77
#define QUARTER ((size_t)KV_LEASE_BYTES_MAX / 4)

static struct kv_op
put_with(enum kv_lifetime lifetime)
{
	return (struct kv_op){ .kind = KV_PUT,
		.key = TEXT("a"),
		.lifetime = lifetime,
		.ttl_us = 500000,
		.lease = LEASE };
}

/* Entry n has the time n ms. */
START_TEST(kv_ttl_counts_from_the_entry)
{
	txn_site_put(&bench, "b", "");
	op_stage_run(put_with(KV_LIFETIME_TTL));
	ck_assert_uint_eq(op_stage_output(0).ttl_us, 500000);
	ck_assert_uint_eq(
	    txn_site_version(&bench, "a").item.deadline_us, 502000);
	ck_assert_uint_eq(txn_site_count(&bench, KV_TABLE_DEADLINE), 1);
	op_stage_run((struct kv_op){ .kind = KV_GET, .key = TEXT("a") });
	ck_assert_uint_eq(op_stage_output(0).ttl_us, 499000);
	op_stage_run(put_with(KV_LIFETIME_KEEP));
	ck_assert_uint_eq(
	    txn_site_version(&bench, "a").item.deadline_us, 502000);
	op_stage_run(put_with(KV_LIFETIME_NONE));
	ck_assert_uint_eq(txn_site_version(&bench, "a").item.deadline_us, 0);
	ck_assert_uint_eq(op_stage_output(0).ttl_us, 0);
	ck_assert_uint_eq(txn_site_count(&bench, KV_TABLE_DEADLINE), 0);
}
END_TEST

START_TEST(kv_key_goes_with_its_deadline_entry)
{
	op_stage_run(put_with(KV_LIFETIME_TTL));
	txn_site_delete(&bench, "a");
	ck_assert_uint_eq(txn_site_count(&bench, KV_TABLE_DEADLINE), 0);
	op_stage_run(put_with(KV_LIFETIME_KEEP));
	ck_assert_uint_eq(txn_site_version(&bench, "a").item.deadline_us, 0);
}
END_TEST

START_TEST(kv_put_on_a_lease)
{
	op_stage_refuse(put_with(KV_LIFETIME_LEASE), KV_LEASE_NOT_FOUND);
	txn_site_grant(&bench, LEASE, 900000);
	op_stage_run(put_with(KV_LIFETIME_LEASE));
	ck_assert_uint_eq(op_stage_output(0).lease, LEASE);
	/* What the lease has left: it was granted a millisecond before. */
	ck_assert_uint_eq(op_stage_output(0).ttl_us, 899000);
	ck_assert_uint_eq(txn_site_count(&bench, KV_TABLE_ATTACHED), 1);
	op_stage_run(put_with(KV_LIFETIME_KEEP));
	ck_assert_uint_eq(txn_site_version(&bench, "a").item.lease, LEASE);
	ck_assert_uint_eq(txn_site_count(&bench, KV_TABLE_ATTACHED), 1);
	op_stage_run(put_with(KV_LIFETIME_TTL));
	ck_assert_uint_eq(txn_site_version(&bench, "a").item.lease, 0);
	ck_assert_uint_eq(txn_site_count(&bench, KV_TABLE_ATTACHED), 0);
}
END_TEST

START_TEST(kv_lease_without_id_is_not_found)
{
	struct kv_op op = put_with(KV_LIFETIME_LEASE);

	op.lease = 0;
	op_stage_refuse(op, KV_LEASE_NOT_FOUND);
}
END_TEST

/* Attaches as many keys to the lease as it may have. */
static void
fill_lease(void)
{
	char name[32];
	struct kv_op op = put_with(KV_LIFETIME_LEASE);

	txn_site_grant(&bench, LEASE, 900000000);
	for (unsigned i = 0; i < KV_LEASE_KEYS_MAX; i++) {
		(void)snprintf(name, sizeof(name), "key%05u", i);
		op.key = TEXT(name);
		op_stage_run(op);
	}
}

START_TEST(kv_full_lease_takes_no_more)
{
	struct kv_op op = put_with(KV_LIFETIME_LEASE);

	fill_lease();
	op_stage_refuse(op, KV_TOO_MANY);
	/* But a key that has its place there keeps it, also if it moves. */
	op.key = TEXT("key00000");
	op_stage_run(op);
	op_stage_run((struct kv_op){ .kind = KV_MOVE,
	    .key = TEXT("key00000"),
	    .other = TEXT("a"),
	    .lifetime = KV_LIFETIME_KEEP });
	op_stage_run((struct kv_op){ .kind = KV_MOVE,
	    .key = TEXT("a"),
	    .other = TEXT("key00000"),
	    .lifetime = KV_LIFETIME_LEASE,
	    .lease = LEASE });
	ck_assert_uint_eq(
	    txn_site_count(&bench, KV_TABLE_ATTACHED), KV_LEASE_KEYS_MAX);
}
END_TEST

/* Four keys of one byte that fill the lease to the last one. */
static void
fill_lease_with_bytes(void)
{
	uint8_t *bytes = mem_zalloc(QUARTER, 1);
	struct kv_op op = put_with(KV_LIFETIME_LEASE);

	txn_site_grant(&bench, LEASE, 900000000);
	op.value = slice_of(bytes, QUARTER - 1);
	for (unsigned i = 0; i < 4; i++) {
		op.key = slice_of(&"abcd"[i], 1);
		op_stage_run(op);
	}
	free(bytes);
}

START_TEST(kv_lease_takes_so_many_bytes)
{
	struct kv_op op = put_with(KV_LIFETIME_LEASE);
	struct kv_op append = { .kind = KV_APPEND,
		.key = TEXT("a"),
		.value = TEXT("1"),
		.lifetime = KV_LIFETIME_KEEP,
		.size_max = KV_LEASE_BYTES_MAX };
	struct kv_op move = { .kind = KV_MOVE,
		.key = TEXT("a"),
		.other = TEXT("longer"),
		.lifetime = KV_LIFETIME_KEEP };

	fill_lease_with_bytes();
	op.key = TEXT("e");
	op.value = TEXT("");
	op_stage_refuse(op, KV_TOO_MANY);
	op_stage_refuse(append, KV_TOO_MANY);
	op_stage_refuse(move, KV_TOO_MANY);
	/* What needs no more room is fine, and leaves some if it needs less. */
	move.other = TEXT("e");
	op_stage_run(move);
	move.key = TEXT("e");
	move.other = TEXT("b"); /* which goes */
	op_stage_run(move);
	op_stage_run(op);
	append.key = TEXT("b");
	op_stage_run(append);
	op.key = TEXT("c");
	op.lifetime = KV_LIFETIME_NONE;
	op_stage_run(op);
	append.key = TEXT("d");
	op_stage_run(append);
	kv_encode_revoke(kv_bench_log_entry(&bench), NULL, LEASE);
	txn_site_apply(&bench);
	ck_assert_uint_eq(txn_site_count(&bench, KV_TABLE_KV), 1);
}
END_TEST

START_TEST(kv_touch_changes_the_lifetime_alone)
{
	struct kv_op touch = { .kind = KV_TOUCH,
		.key = TEXT("a"),
		.lifetime = KV_LIFETIME_TTL,
		.ttl_us = 700000 };

	op_stage_refuse(touch, KV_KEY_NOT_FOUND);
	txn_site_put(&bench, "a", "value");
	op_stage_run(touch);
	ck_assert(!bench.result.changed);
	ck_assert_uint_eq(bench.result.revision, 1);
	ck_assert_int_eq(op_stage_output(0).kind, KV_OUTPUT_WRITTEN);
	ck_assert(op_stage_output(0).exists);
	ck_assert_uint_eq(op_stage_output(0).modified, 1);
	ck_assert_uint_eq(op_stage_output(0).ttl_us, 700000);
	ck_assert_uint_eq(txn_site_count(&bench, KV_TABLE_HISTORY), 1);
	ck_assert_uint_eq(txn_site_count(&bench, KV_TABLE_DEADLINE), 1);
	txn_site_expect_value(&bench, "a", "value");
	touch.lifetime = KV_LIFETIME_LEASE;
	touch.lease = LEASE;
	op_stage_refuse(touch, KV_LEASE_NOT_FOUND);
	txn_site_grant(&bench, LEASE, 900000);
	op_stage_run(touch);
	ck_assert_uint_eq(txn_site_count(&bench, KV_TABLE_ATTACHED), 1);
	touch.lifetime = KV_LIFETIME_NONE;
	op_stage_run(touch);
	ck_assert_uint_eq(txn_site_count(&bench, KV_TABLE_ATTACHED), 0);
}
END_TEST

Suite *
kv_op_lifetime_suite(void)
{
	Suite *suite = suite_create("kv_op_lifetime");
	TCase *tests = tcase_create("kv_op_lifetime");

	tcase_add_checked_fixture(tests, op_stage_begin, op_stage_end);
	tcase_add_test(tests, kv_ttl_counts_from_the_entry);
	tcase_add_test(tests, kv_key_goes_with_its_deadline_entry);
	tcase_add_test(tests, kv_put_on_a_lease);
	tcase_add_test(tests, kv_lease_without_id_is_not_found);
	tcase_add_test(tests, kv_full_lease_takes_no_more);
	tcase_add_test(tests, kv_lease_takes_so_many_bytes);
	tcase_add_test(tests, kv_touch_changes_the_lifetime_alone);
	suite_add_tcase(suite, tests);
	return suite;
}
