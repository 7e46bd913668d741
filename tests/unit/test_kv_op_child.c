/* Children: keys that are named by the revision. */

#include "common/macros.h"
#include "common/mem.h"
#include "tests/unit/op_stage.h"
#include "tests/unit/suites.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

START_TEST(kv_child_is_named_by_its_revision)
{
	struct kv_op op = { .kind = KV_CREATE_CHILD,
		.key = TEXT("queue/"),
		.value = TEXT("job"),
		.content_type = KV_CONTENT_TEXT };

	txn_site_put(&bench, "a", "");
	op_stage_run(op);
	op_stage_expect_text(
	    op_stage_output(0).key, "queue/00000000000000000002");
	ck_assert_int_eq(op_stage_output(0).content_type, KV_CONTENT_TEXT);
	txn_site_expect_value(&bench, "queue/00000000000000000002", "job");
	op_stage_run(op);
	op_stage_expect_text(
	    op_stage_output(0).key, "queue/00000000000000000003");
}
END_TEST

static void
put_child(uint64_t number, const char *value)
{
	char key[64];

	(void)snprintf(key, sizeof(key), "queue/%020" PRIu64, number);
	txn_site_put(&bench, key, value);
}

START_TEST(kv_child_takes_no_name_that_is_taken)
{
	const struct kv_op op = { .kind = KV_CREATE_CHILD,
		.key = TEXT("queue/"),
		.value = TEXT("job") };
	const struct kv_op two[] = { op, op };

	put_child(3, "mine");
	put_child(4, "too");
	op_stage_run(op);
	op_stage_expect_text(
	    op_stage_output(0).key, "queue/00000000000000000005");
	ck_assert(!op_stage_output(0).exists);
	txn_site_expect_value(&bench, "queue/00000000000000000003", "mine");
	txn_site_expect_value(&bench, "queue/00000000000000000004", "too");
	/* Nor what was there a moment ago and is again. */
	txn_site_delete(&bench, "queue/00000000000000000005");
	txn_site_run(&bench, two, 2);
	op_stage_expect_text(
	    op_stage_output(0).key, "queue/00000000000000000005");
	op_stage_expect_text(
	    op_stage_output(1).key, "queue/00000000000000000006");
	ck_assert_uint_eq(op_stage_output(1).modified, 5);
}
END_TEST

/* Whatever their parents are: so they have one order, and none is tried again. */
START_TEST(kv_child_of_a_transaction_has_a_number_of_its_own)
{
	const struct kv_op children[] = {
		{ .kind = KV_CREATE_CHILD, .key = TEXT("queue/") },
		{ .kind = KV_CREATE_CHILD, .key = TEXT("other/") },
		{ .kind = KV_CREATE_CHILD, .key = TEXT("queue/") },
	};

	txn_site_run(&bench, children, ARRAY_COUNT(children));
	op_stage_expect_text(
	    op_stage_output(0).key, "queue/00000000000000000001");
	op_stage_expect_text(
	    op_stage_output(1).key, "other/00000000000000000002");
	op_stage_expect_text(
	    op_stage_output(2).key, "queue/00000000000000000003");
	op_stage_run(children[1]);
	op_stage_expect_text(
	    op_stage_output(0).key, "other/00000000000000000003");
}
END_TEST

static void
put_children(const char *parent, unsigned from, unsigned count)
{
	struct kv_op op = { .kind = KV_PUT };
	struct buf command = { 0 };
	char key[64];

	for (unsigned i = 0; i < count; i++) {
		if (i % KV_TRANSACTION_OPS_MAX == 0)
			kv_encode_transaction(&command, NULL);
		(void)snprintf(key, sizeof(key), "%s%020u", parent, from + i);
		op.key = TEXT(key);
		kv_encode_op(&command, KV_THEN, &op);
		if (i + 1 < count && (i + 1) % KV_TRANSACTION_OPS_MAX != 0)
			continue;
		kv_bench_log_command(
		    &bench, bench.log_count * 1000, buf_slice(&command));
		txn_site_apply(&bench);
		buf_reset(&command);
	}
	buf_release(&command);
}

/* Puts a key elsewhere until the next revision is this one. */
static void
go_to_revision(uint64_t revision)
{
	while (kv_revision(bench.kv) + 1 < revision)
		txn_site_put(&bench, "else", "where");
	ck_assert_uint_eq(kv_revision(bench.kv) + 1, revision);
}

START_TEST(kv_child_tries_so_many_names)
{
	struct kv_op op = { .kind = KV_CREATE_CHILD, .key = TEXT("queue/") };

	put_children("queue/", 100, KV_CHILD_NAMES_MAX);
	go_to_revision(100);
	op_stage_refuse(op, KV_TOO_MANY);
	txn_site_delete(&bench, "queue/00000000000000000100");
	op_stage_run(op);
	op_stage_expect_text(
	    op_stage_output(0).key, "queue/00000000000000010100");
}
END_TEST

/* All of a transaction together, as each look takes time on every replica. */
START_TEST(kv_child_tries_so_many_names_in_a_transaction)
{
	const unsigned half = KV_CHILD_NAMES_MAX / 2;
	const struct kv_op children[] = {
		{ .kind = KV_CREATE_CHILD, .key = TEXT("queue/") },
		{ .kind = KV_CREATE_CHILD, .key = TEXT("other/") },
	};

	put_children("queue/", 100, half);
	put_children("other/", 100 + half + 1, half);
	go_to_revision(100);
	txn_site_expect_refused(&bench, children, 2, KV_TOO_MANY, 1);
	txn_site_delete(&bench, "other/00000000000000010099");
	txn_site_run(&bench, children, 2);
	op_stage_expect_text(
	    op_stage_output(0).key, "queue/00000000000000005100");
	op_stage_expect_text(
	    op_stage_output(1).key, "other/00000000000000010099");
}
END_TEST

START_TEST(kv_child_looks_at_so_many_bytes)
{
	const size_t size = (size_t)1 << 20;
	uint8_t *bytes = mem_zalloc(size, 1);
	struct kv_op op = { .kind = KV_PUT, .value = slice_of(bytes, size) };
	uint64_t count = KV_LOOK_BYTES_MAX / size;
	char key[64];

	for (uint64_t i = 0; i <= count; i++) {
		(void)snprintf(
		    key, sizeof(key), "queue/%020" PRIu64, count + 2 + i);
		op.key = TEXT(key);
		op_stage_run(op);
	}
	free(bytes);
	op = (struct kv_op){ .kind = KV_CREATE_CHILD, .key = TEXT("queue/") };
	op_stage_refuse(op, KV_TOO_MANY);
	txn_site_put(&bench, "else", "where");
	op_stage_run(op);
	(void)snprintf(key, sizeof(key), "queue/%020" PRIu64, 2 * count + 3);
	op_stage_expect_text(op_stage_output(0).key, key);
}
END_TEST

Suite *
kv_op_child_suite(void)
{
	Suite *suite = suite_create("kv_op_child");
	TCase *tests = tcase_create("kv_op_child");

	tcase_add_checked_fixture(tests, op_stage_begin, op_stage_end);
	tcase_add_test(tests, kv_child_is_named_by_its_revision);
	tcase_add_test(tests, kv_child_takes_no_name_that_is_taken);
	tcase_add_test(
	    tests, kv_child_of_a_transaction_has_a_number_of_its_own);
	tcase_add_test(tests, kv_child_tries_so_many_names);
	tcase_add_test(tests, kv_child_tries_so_many_names_in_a_transaction);
	tcase_add_test(tests, kv_child_looks_at_so_many_bytes);
	suite_add_tcase(suite, tests);
	return suite;
}
