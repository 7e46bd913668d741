/* Conditions, branches, and that all takes effect or nothing does. */

#include "common/macros.h"
#include "common/mem.h"
#include "common/rng.h"
#include "tests/unit/op_stage.h"
#include "tests/unit/suites.h"
#include <stdlib.h>

#define LEASE 77

static struct kv_op
put(const char *key, const char *value)
{
	return (struct kv_op){
		.kind = KV_PUT, .key = TEXT(key), .value = TEXT(value)
	};
}

static struct kv_op
get(const char *key)
{
	return (struct kv_op){ .kind = KV_GET, .key = TEXT(key) };
}

/* ---- Conditions ---- */

/* Does it hold of key "a"? */
static bool
holds(struct kv_condition condition)
{
	struct buf *entry = kv_bench_log_entry(&bench);

	condition.key = TEXT("a");
	kv_encode_transaction(entry, NULL);
	kv_encode_condition(entry, &condition);
	txn_site_apply(&bench);
	ck_assert_int_eq(bench.result.status == KV_OK, bench.result.succeeded);
	ck_assert(!bench.result.changed);
	return bench.result.succeeded;
}

/* The relations from EQUAL to GREATER_OR_EQUAL that hold are 'y'. */
static void
expect_relations(struct kv_condition condition, const char *hold)
{
	for (unsigned i = 0; i < 6; i++) {
		condition.relation = (enum kv_relation)(KV_EQUAL + i);
		ck_assert_msg(holds(condition) == (hold[i] == 'y'),
		    "target %d relation %u", (int)condition.target, i + 1);
	}
}

static void
expect_number(enum kv_target target, uint64_t number)
{
	struct kv_condition condition = { .target = target, .number = number };

	expect_relations(condition, "ynnyny");
	condition.number = number + 1;
	expect_relations(condition, "nyyynn");
	if (number == 0)
		return;
	condition.number = number - 1;
	expect_relations(condition, "nynnyy");
}

START_TEST(kv_conditions_on_numbers)
{
	struct kv_op on_lease = put("a", "2");

	txn_site_put(&bench, "b", "1");
	txn_site_put(&bench, "a", "1");
	txn_site_grant(&bench, LEASE, 900000);
	on_lease.lifetime = KV_LIFETIME_LEASE;
	on_lease.lease = LEASE;
	txn_site_run_one(&bench, &on_lease);
	txn_site_run_one(&bench, &on_lease);
	expect_number(KV_TARGET_MODIFIED, 4);
	expect_number(KV_TARGET_CREATED, 2);
	expect_number(KV_TARGET_VERSION, 3);
	expect_number(KV_TARGET_LEASE, LEASE);
}
END_TEST

START_TEST(kv_conditions_on_a_missing_key)
{
	for (int target = KV_TARGET_MODIFIED; target <= KV_TARGET_LEASE;
	     target++)
		expect_number((enum kv_target)target, 0);
	expect_relations(
	    (struct kv_condition){ .target = KV_TARGET_VALUE }, "nnnnnn");
}
END_TEST

START_TEST(kv_conditions_on_values)
{
	struct kv_condition condition = { .target = KV_TARGET_VALUE,
		.value = TEXT("ab") };

	txn_site_put(&bench, "a", "ab");
	expect_relations(condition, "ynnyny");
	condition.value = TEXT("abc");
	expect_relations(condition, "nyyynn");
	condition.value = TEXT("a");
	expect_relations(condition, "nynnyy");
	/* As bytes without a sign. */
	condition.value = TEXT("\xff");
	expect_relations(condition, "nyyynn");
}
END_TEST

static struct kv_condition
exists(const char *key)
{
	return (struct kv_condition){ .key = TEXT(key),
		.target = KV_TARGET_VERSION,
		.relation = KV_GREATER };
}

START_TEST(kv_failed_conditions_are_told_of)
{
	struct buf *entry = kv_bench_log_entry(&bench);
	struct kv_condition at_9 = { .key = TEXT("b"),
		.target = KV_TARGET_MODIFIED,
		.relation = KV_EQUAL,
		.number = 9 };
	struct kv_condition missing = exists("x");
	struct kv_condition found = exists("b");
	struct kv_op op = put("c", "1");

	kv_encode_put(entry, TEXT("b"), TEXT("1"));
	entry = kv_bench_log_entry(&bench);
	kv_encode_transaction(entry, NULL);
	kv_encode_condition(entry, &at_9);
	kv_encode_condition(entry, &found);
	kv_encode_condition(entry, &missing);
	kv_encode_op(entry, KV_THEN, &op);
	txn_site_apply(&bench);
	ck_assert_int_eq(bench.result.status, KV_CONDITION_FAILED);
	ck_assert(!bench.result.succeeded);
	ck_assert(!bench.result.changed);
	ck_assert_uint_eq(bench.result.revision, 1);
	ck_assert_uint_eq(kv_bench_outputs_count(&bench), 2);
	ck_assert_int_eq(op_stage_output(0).kind, KV_OUTPUT_CONDITION);
	ck_assert_uint_eq(op_stage_output(0).index, 0);
	ck_assert(op_stage_output(0).exists);
	ck_assert_uint_eq(op_stage_output(0).modified, 1);
	ck_assert(slice_equal(op_stage_output(0).key, TEXT("b")));
	ck_assert_uint_eq(op_stage_output(1).index, 2);
	ck_assert(!op_stage_output(1).exists);
	ck_assert_uint_eq(op_stage_output(1).modified, 0);
	txn_site_expect_value(&bench, "c", NULL);
}
END_TEST

START_TEST(kv_conditions_see_the_state_before)
{
	struct buf *entry = kv_bench_log_entry(&bench);
	struct kv_condition condition = exists("a");
	struct kv_op op = put("a", "1");

	kv_encode_transaction(entry, NULL);
	kv_encode_condition(entry, &condition);
	kv_encode_op(entry, KV_THEN, &op);
	txn_site_apply(&bench);
	ck_assert_int_eq(bench.result.status, KV_CONDITION_FAILED);
}
END_TEST

/* ---- Branches ---- */

/* If "a" exists, puts b; else gets c. */
static void
run_branches(void)
{
	struct buf *entry = kv_bench_log_entry(&bench);
	struct kv_condition condition = exists("a");
	struct kv_op then = put("b", "1");
	struct kv_op otherwise = get("c");

	kv_encode_transaction(entry, NULL);
	kv_encode_condition(entry, &condition);
	kv_encode_op(entry, KV_THEN, &then);
	kv_encode_op(entry, KV_ELSE, &otherwise);
	txn_site_apply(&bench);
	ck_assert_int_eq(bench.result.status, KV_OK);
	ck_assert_uint_eq(kv_bench_outputs_count(&bench), 1);
	ck_assert_uint_eq(op_stage_output(0).index, 0);
}

START_TEST(kv_one_branch_runs)
{
	run_branches();
	ck_assert(!bench.result.succeeded);
	ck_assert(!bench.result.changed);
	ck_assert_int_eq(op_stage_output(0).kind, KV_OUTPUT_ITEM);
	txn_site_put(&bench, "a", "");
	run_branches();
	ck_assert(bench.result.succeeded);
	ck_assert(bench.result.changed);
	ck_assert_int_eq(op_stage_output(0).kind, KV_OUTPUT_WRITTEN);
}
END_TEST

START_TEST(kv_empty_else_branch_is_no_failure)
{
	struct buf *entry = kv_bench_log_entry(&bench);
	struct kv_condition condition = exists("a");

	kv_encode_transaction(entry, NULL);
	kv_encode_condition(entry, &condition);
	kv_encode_else(entry);
	txn_site_apply(&bench);
	ck_assert_int_eq(bench.result.status, KV_OK);
	ck_assert(!bench.result.succeeded);
	ck_assert_uint_eq(bench.result.outputs.size, 0);
}
END_TEST

START_TEST(kv_operations_see_those_before)
{
	struct kv_op ops[] = {
		put("a", "1"),
		{ .kind = KV_INCREMENT, .key = TEXT("a"), .by = 1 },
		get("a"),
		{ .kind = KV_LIST },
		{ .kind = KV_DELETE, .key = TEXT("a") },
		{ .kind = KV_LIST },
	};

	txn_site_run(&bench, ops, ARRAY_COUNT(ops));
	ck_assert_uint_eq(kv_bench_outputs_count(&bench), 7);
	ck_assert(slice_equal(op_stage_output(1).value, TEXT("2")));
	ck_assert(slice_equal(op_stage_output(2).value, TEXT("2")));
	ck_assert_uint_eq(op_stage_output(3).count, 1);
	ck_assert(slice_equal(op_stage_output(4).value, TEXT("2")));
	ck_assert_uint_eq(op_stage_output(4).index, 3);
	ck_assert_uint_eq(op_stage_output(5).count, 1);
	ck_assert_uint_eq(op_stage_output(6).count, 0);
	ck_assert_uint_eq(op_stage_output(6).index, 5);
}
END_TEST

START_TEST(kv_transaction_of_nothing_changes_nothing)
{
	uint64_t digest = txn_site_digest(&bench);

	txn_site_run(&bench, NULL, 0);
	ck_assert(bench.result.succeeded);
	ck_assert(!bench.result.changed);
	ck_assert_uint_eq(txn_site_digest(&bench), digest);
}
END_TEST

/* ---- All or nothing ---- */

static const struct {
	enum kv_status status;
	struct kv_op op;
} failures[] = {
	{ KV_KEY_NOT_FOUND, { .kind = KV_COPY,
				.key = { (const uint8_t *)"x", 1 },
				.other = { (const uint8_t *)"y", 1 } } },
	{ KV_KEY_NOT_FOUND, { .kind = KV_MOVE,
				.key = { (const uint8_t *)"x", 1 },
				.other = { (const uint8_t *)"y", 1 } } },
	{ KV_KEY_NOT_FOUND,
	    { .kind = KV_TOUCH, .key = { (const uint8_t *)"x", 1 } } },
	{ KV_NOT_A_NUMBER,
	    { .kind = KV_INCREMENT, .key = { (const uint8_t *)"a", 1 } } },
	{ KV_LEASE_NOT_FOUND, { .kind = KV_PUT,
				  .key = { (const uint8_t *)"a", 1 },
				  .lifetime = KV_LIFETIME_LEASE,
				  .lease = LEASE + 1 } },
	{ KV_TOO_LARGE,
	    { .kind = KV_APPEND, .key = { (const uint8_t *)"a", 1 } } },
};

/* Everything that an operation can change, changed before one that fails. */
START_TEST(kv_failing_operation_undoes_those_before)
{
	struct kv_op ops[] = {
		put("a", "new"),
		put("e", "created"),
		{ .kind = KV_DELETE, .key = TEXT("b") },
		{ .kind = KV_PUT,
		    .key = TEXT("c"),
		    .lifetime = KV_LIFETIME_TTL,
		    .ttl_us = 500000 },
		{ .kind = KV_TOUCH,
		    .key = TEXT("d"),
		    .lifetime = KV_LIFETIME_LEASE,
		    .lease = LEASE },
		put("a", "newer"),
		{ .kind = KV_DELETE, .key = TEXT("e") },
		{ .kind = KV_MOVE,
		    .key = TEXT("c"),
		    .other = TEXT("b"),
		    .lifetime = KV_LIFETIME_LEASE,
		    .lease = LEASE },
		{ .kind = KV_DELETE_RANGE, .key = TEXT("a") },
		put("a", "newest"),
		failures[_i].op,
		put("f", "never"),
	};

	txn_site_put(&bench, "a", "first");
	txn_site_put(&bench, "b", "b");
	txn_site_put(&bench, "c", "c");
	txn_site_put(&bench, "d", "d");
	txn_site_grant(&bench, LEASE, 900000);
	txn_site_expect_refused(&bench, ops, ARRAY_COUNT(ops),
	    failures[_i].status, ARRAY_COUNT(ops) - 2);
	txn_site_expect_value(&bench, "a", "first");
	txn_site_expect_value(&bench, "c", "c");
	/* And the next one finds everything in order. */
	txn_site_run(&bench, ops, ARRAY_COUNT(ops) - 2);
	ck_assert_uint_eq(bench.result.revision, 5);
}
END_TEST

static struct kv_op
random_op(struct rng *rng)
{
	static const char *const names[] = { "a", "b", "c", "d", "e" };
	static const enum kv_op_kind kinds[] = { KV_PUT, KV_PUT, KV_DELETE,
		KV_DELETE_RANGE, KV_APPEND, KV_TOUCH, KV_COPY, KV_MOVE };
	struct kv_op op = {
		.kind = kinds[rng_below(rng, ARRAY_COUNT(kinds))],
		.key = TEXT(names[rng_below(rng, ARRAY_COUNT(names))]),
		.other = TEXT(names[rng_below(rng, ARRAY_COUNT(names))]),
		.value = TEXT("some value"),
		.lifetime = (enum kv_lifetime)rng_below(rng, 4),
		.ttl_us = KV_TTL_US_MIN + rng_below(rng, 1000),
		.lease = LEASE,
		.size_max = 40,
	};

	return op;
}

/* The state after those that failed is that of the others alone. */
START_TEST(kv_random_transactions_take_effect_or_do_not)
{
	uint64_t seed = (uint64_t)_i + 1;
	unsigned failed = 0;
	unsigned changed = 0;
	struct rng rng;

	rng_init(&rng, seed);
	txn_site_grant(&bench, LEASE, KV_TTL_US_MAX);
	for (unsigned i = 0; i < 1000; i++) {
		struct buf *entry = kv_bench_log_entry(&bench);
		uint64_t digest = txn_site_digest(&bench);
		uint64_t count = 1 + rng_below(&rng, 8);

		kv_encode_transaction(entry, NULL);
		while (count-- > 0) {
			struct kv_op op = random_op(&rng);

			kv_encode_op(entry, KV_THEN, &op);
		}
		txn_site_apply(&bench);
		if (bench.result.status != KV_OK) {
			failed++;
			ck_assert_msg(txn_site_digest(&bench) == digest,
			    "seed %lu step %u", (unsigned long)seed, i);
		}
		changed += bench.result.changed;
		if (i % 20 == 0)
			ck_assert_msg(kv_verify(bench.kv) == 0,
			    "seed %lu step %u", (unsigned long)seed, i);
	}
	ck_assert_uint_gt(failed, 100);
	ck_assert_uint_gt(changed, 100);
}
END_TEST

/* ---- What may be read ---- */

/* Puts values of this size under so many names: "a", "b" ... */
static void
put_large(unsigned count, size_t size)
{
	uint8_t *value = mem_zalloc(1, size);

	for (unsigned i = 0; i < count; i++) {
		char name = (char)('a' + i);

		kv_bench_log_put(
		    &bench, slice_of(&name, 1), slice_of(value, size));
		txn_site_apply(&bench);
	}
	free(value);
}

START_TEST(kv_transaction_reads_up_to_its_limit)
{
	struct kv_op ops[] = { get("a"), get("b"), get("c"), get("d"),
		get("e") };

	put_large(4, KV_OUTPUT_BYTES_MAX / 4);
	txn_site_put(&bench, "e", "1");
	txn_site_run(&bench, ops, 4);
	txn_site_expect_refused(
	    &bench, ops, ARRAY_COUNT(ops), KV_READS_TOO_MUCH, 4);
}
END_TEST

START_TEST(kv_list_reads_up_to_its_limit)
{
	struct kv_op list = { .kind = KV_LIST };
	size_t quarter = KV_OUTPUT_BYTES_MAX / 4;

	put_large(4, quarter - 1 - KV_LIST_KEY_OVERHEAD);
	txn_site_run_one(&bench, &list);
	txn_site_put(&bench, "e", "");
	txn_site_expect_refused(&bench, &list, 1, KV_READS_TOO_MUCH, 0);
	list.keys_only = true;
	txn_site_run_one(&bench, &list);
	ck_assert_uint_eq(op_stage_output(0).count, 5);
}
END_TEST

/* What was before is read too, and too much of it changes nothing. */
START_TEST(kv_previous_values_count)
{
	struct kv_op ops[] = {
		{ .kind = KV_PUT, .key = TEXT("a"), .previous = true },
		{ .kind = KV_DELETE, .key = TEXT("b"), .previous = true },
		{ .kind = KV_PUT, .key = TEXT("c"), .previous = true },
	};

	put_large(3, KV_OUTPUT_BYTES_MAX / 2);
	txn_site_expect_refused(
	    &bench, ops, ARRAY_COUNT(ops), KV_READS_TOO_MUCH, 2);
	txn_site_run(&bench, ops, 2);
	put_large(1, KV_OUTPUT_BYTES_MAX + 1);
	txn_site_expect_refused(&bench, ops, 1, KV_READS_TOO_MUCH, 0);
}
END_TEST

/* Copies are small commands that write much. */
START_TEST(kv_transaction_writes_up_to_its_limit)
{
	struct kv_op ops[5];

	for (size_t i = 0; i < ARRAY_COUNT(ops); i++)
		ops[i] = (struct kv_op){
			.kind = KV_COPY, .key = TEXT("a"), .other = TEXT("b")
		};
	put_large(1, KV_WRITE_BYTES_MAX / 4);
	txn_site_expect_refused(
	    &bench, ops, ARRAY_COUNT(ops), KV_WRITES_TOO_MUCH, 3);
	txn_site_run(&bench, ops, 3);
}
END_TEST

/* Runs one operation with an identity. */
static void
run_as(const char *identity, struct kv_op op)
{
	struct buf *entry = kv_bench_log_entry(&bench);
	struct kv_identity with = { .key = TEXT(identity) };

	kv_encode_transaction(entry, &with);
	kv_encode_op(entry, KV_THEN, &op);
	txn_site_apply(&bench);
}

START_TEST(kv_identity_lowers_the_limit)
{
	struct kv_op append = { .kind = KV_APPEND,
		.key = TEXT("a"),
		.value = TEXT("1"),
		.size_max = UINT64_MAX };

	put_large(1, KV_REPLAY_OUTPUT_BYTES_MAX);
	run_as("1", get("a"));
	ck_assert_int_eq(bench.result.status, KV_OK);
	/* To append is possible, only that it is not shown. */
	run_as("2", append);
	ck_assert_int_eq(bench.result.status, KV_OK);
	ck_assert(!op_stage_output(0).has_value);
	ck_assert_uint_eq(txn_site_version(&bench, "a").item.value.size,
	    KV_REPLAY_OUTPUT_BYTES_MAX + 1);
	run_as("3", get("a"));
	ck_assert_int_eq(bench.result.status, KV_READS_TOO_MUCH);
	txn_site_run_one(&bench, &append);
	ck_assert(op_stage_output(0).has_value);
}
END_TEST

/* ---- Identities ---- */

START_TEST(kv_replay_gives_the_same_and_changes_nothing)
{
	struct kv_op increment = {
		.kind = KV_INCREMENT, .key = TEXT("n"), .by = 5
	};
	uint64_t digest;

	run_as("id", increment);
	ck_assert(bench.result.changed);
	ck_assert(!bench.result.replayed);
	digest = txn_site_digest(&bench);
	run_as("id", increment);
	ck_assert(bench.result.replayed);
	ck_assert(bench.result.succeeded);
	ck_assert_uint_eq(bench.result.revision, 1);
	ck_assert(slice_equal(op_stage_output(0).value, TEXT("5")));
	ck_assert_uint_eq(txn_site_digest(&bench), digest);
	txn_site_expect_value(&bench, "n", "5");
	run_as("other", increment);
	txn_site_expect_value(&bench, "n", "10");
}
END_TEST

/* A failure is an answer too: a repeat must not succeed behind its back. */
START_TEST(kv_failure_is_kept_for_replays)
{
	struct kv_op touch = { .kind = KV_TOUCH, .key = TEXT("a") };

	run_as("id", touch);
	ck_assert_int_eq(bench.result.status, KV_KEY_NOT_FOUND);
	ck_assert(!bench.result.replayed);
	txn_site_put(&bench, "a", "1");
	run_as("id", touch);
	ck_assert_int_eq(bench.result.status, KV_KEY_NOT_FOUND);
	ck_assert(bench.result.replayed);
}
END_TEST

/* ---- The leader's own ---- */

START_TEST(kv_mark_moves_time_alone)
{
	uint64_t digest = txn_site_digest(&bench);

	kv_encode_mark(kv_bench_log_entry(&bench));
	txn_site_apply(&bench);
	ck_assert_int_eq(bench.result.status, KV_OK);
	ck_assert(!bench.result.changed);
	ck_assert_uint_eq(kv_cluster_time_us(bench.kv), 1000);
	ck_assert_uint_eq(txn_site_digest(&bench), digest);
}
END_TEST

static void
add_all(TCase *core)
{
	tcase_add_test(core, kv_conditions_on_numbers);
	tcase_add_test(core, kv_conditions_on_a_missing_key);
	tcase_add_test(core, kv_conditions_on_values);
	tcase_add_test(core, kv_failed_conditions_are_told_of);
	tcase_add_test(core, kv_conditions_see_the_state_before);
	tcase_add_test(core, kv_one_branch_runs);
	tcase_add_test(core, kv_empty_else_branch_is_no_failure);
	tcase_add_test(core, kv_operations_see_those_before);
	tcase_add_test(core, kv_transaction_of_nothing_changes_nothing);
	tcase_add_loop_test(core, kv_failing_operation_undoes_those_before, 0,
	    (int)ARRAY_COUNT(failures));
	tcase_add_loop_test(
	    core, kv_random_transactions_take_effect_or_do_not, 0, 8);
	tcase_add_test(core, kv_transaction_reads_up_to_its_limit);
	tcase_add_test(core, kv_list_reads_up_to_its_limit);
	tcase_add_test(core, kv_previous_values_count);
	tcase_add_test(core, kv_transaction_writes_up_to_its_limit);
	tcase_add_test(core, kv_identity_lowers_the_limit);
	tcase_add_test(core, kv_replay_gives_the_same_and_changes_nothing);
	tcase_add_test(core, kv_failure_is_kept_for_replays);
	tcase_add_test(core, kv_mark_moves_time_alone);
}

Suite *
kv_transaction_suite(void)
{
	Suite *suite = suite_create("kv_transaction");
	TCase *core = tcase_create("core");

	tcase_add_checked_fixture(core, op_stage_begin, op_stage_end);
	add_all(core);
	suite_add_tcase(suite, core);
	return suite;
}
