/* Each operation of a transaction: what it does, gives, and refuses. */

#include "common/macros.h"
#include "common/mem.h"
#include "tests/unit/suites.h"
#include "tests/unit/txn_site.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define LEASE 77

static struct kv_bench bench;

static void
set_up(void)
{
	kv_bench_init(&bench);
}

static void
tear_down(void)
{
	ck_assert_int_eq(kv_verify(bench.kv), 0);
	kv_bench_release(&bench);
}

static void
run(struct kv_op op)
{
	txn_site_run_one(&bench, &op);
}

static void
refuse(struct kv_op op, enum kv_status status)
{
	txn_site_expect_refused(&bench, &op, 1, status, 0);
}

static struct kv_output
output(unsigned n)
{
	return kv_bench_output(&bench, n);
}

static void
expect_text(struct slice bytes, const char *text)
{
	ck_assert_msg(slice_equal(bytes, TEXT(text)), "\"%.*s\"",
	    (int)bytes.size, (const char *)bytes.data);
}

/* ---- Put ---- */

START_TEST(kv_put_gives_what_was_before_if_asked)
{
	struct kv_op put = { .kind = KV_PUT,
		.key = TEXT("a"),
		.value = TEXT("1"),
		.previous = true };

	run(put);
	ck_assert(!output(0).exists);
	ck_assert(!output(0).has_value);
	put.value = TEXT("2");
	run(put);
	ck_assert(output(0).exists);
	expect_text(output(0).value, "1");
	put.previous = false;
	run(put);
	ck_assert(output(0).exists);
	ck_assert(!output(0).has_value);
}
END_TEST

START_TEST(kv_put_keeps_its_content_type)
{
	run((struct kv_op){ .kind = KV_PUT,
	    .key = TEXT("a"),
	    .content_type = KV_CONTENT_JSON });
	ck_assert_int_eq(output(0).content_type, KV_CONTENT_JSON);
	ck_assert_int_eq(
	    txn_site_version(&bench, "a").item.content_type, KV_CONTENT_JSON);
	txn_site_put(&bench, "a", "");
	ck_assert_int_eq(
	    txn_site_version(&bench, "a").item.content_type, KV_CONTENT_NONE);
}
END_TEST

/* ---- Lifetimes ---- */

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
	run(put_with(KV_LIFETIME_TTL));
	ck_assert_uint_eq(output(0).ttl_us, 500000);
	ck_assert_uint_eq(
	    txn_site_version(&bench, "a").item.deadline_us, 502000);
	ck_assert_uint_eq(txn_site_count(&bench, KV_TABLE_DEADLINE), 1);
	run((struct kv_op){ .kind = KV_GET, .key = TEXT("a") });
	ck_assert_uint_eq(output(0).ttl_us, 499000);
	run(put_with(KV_LIFETIME_KEEP));
	ck_assert_uint_eq(
	    txn_site_version(&bench, "a").item.deadline_us, 502000);
	run(put_with(KV_LIFETIME_NONE));
	ck_assert_uint_eq(txn_site_version(&bench, "a").item.deadline_us, 0);
	ck_assert_uint_eq(output(0).ttl_us, 0);
	ck_assert_uint_eq(txn_site_count(&bench, KV_TABLE_DEADLINE), 0);
}
END_TEST

START_TEST(kv_key_goes_with_its_deadline_entry)
{
	run(put_with(KV_LIFETIME_TTL));
	txn_site_delete(&bench, "a");
	ck_assert_uint_eq(txn_site_count(&bench, KV_TABLE_DEADLINE), 0);
	run(put_with(KV_LIFETIME_KEEP));
	ck_assert_uint_eq(txn_site_version(&bench, "a").item.deadline_us, 0);
}
END_TEST

START_TEST(kv_put_on_a_lease)
{
	refuse(put_with(KV_LIFETIME_LEASE), KV_LEASE_NOT_FOUND);
	txn_site_grant(&bench, LEASE, 900000);
	run(put_with(KV_LIFETIME_LEASE));
	ck_assert_uint_eq(output(0).lease, LEASE);
	/* What the lease has left: it was granted a millisecond before. */
	ck_assert_uint_eq(output(0).ttl_us, 899000);
	ck_assert_uint_eq(txn_site_count(&bench, KV_TABLE_ATTACHED), 1);
	run(put_with(KV_LIFETIME_KEEP));
	ck_assert_uint_eq(txn_site_version(&bench, "a").item.lease, LEASE);
	ck_assert_uint_eq(txn_site_count(&bench, KV_TABLE_ATTACHED), 1);
	run(put_with(KV_LIFETIME_TTL));
	ck_assert_uint_eq(txn_site_version(&bench, "a").item.lease, 0);
	ck_assert_uint_eq(txn_site_count(&bench, KV_TABLE_ATTACHED), 0);
}
END_TEST

START_TEST(kv_lease_without_id_is_not_found)
{
	struct kv_op op = put_with(KV_LIFETIME_LEASE);

	op.lease = 0;
	refuse(op, KV_LEASE_NOT_FOUND);
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
		run(op);
	}
}

START_TEST(kv_full_lease_takes_no_more)
{
	struct kv_op op = put_with(KV_LIFETIME_LEASE);

	fill_lease();
	refuse(op, KV_TOO_MANY);
	/* But a key that has its place there keeps it, also if it moves. */
	op.key = TEXT("key00000");
	run(op);
	run((struct kv_op){ .kind = KV_MOVE,
	    .key = TEXT("key00000"),
	    .other = TEXT("a"),
	    .lifetime = KV_LIFETIME_KEEP });
	run((struct kv_op){ .kind = KV_MOVE,
	    .key = TEXT("a"),
	    .other = TEXT("key00000"),
	    .lifetime = KV_LIFETIME_LEASE,
	    .lease = LEASE });
	ck_assert_uint_eq(
	    txn_site_count(&bench, KV_TABLE_ATTACHED), KV_LEASE_KEYS_MAX);
}
END_TEST

#define QUARTER ((size_t)KV_LEASE_BYTES_MAX / 4)

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
		run(op);
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
	refuse(op, KV_TOO_MANY);
	refuse(append, KV_TOO_MANY);
	refuse(move, KV_TOO_MANY);
	/* What needs no more room is fine, and leaves some if it needs less. */
	move.other = TEXT("e");
	run(move);
	move.key = TEXT("e");
	move.other = TEXT("b"); /* which goes */
	run(move);
	run(op);
	append.key = TEXT("b");
	run(append);
	op.key = TEXT("c");
	op.lifetime = KV_LIFETIME_NONE;
	run(op);
	append.key = TEXT("d");
	run(append);
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

	refuse(touch, KV_KEY_NOT_FOUND);
	txn_site_put(&bench, "a", "value");
	run(touch);
	ck_assert(!bench.result.changed);
	ck_assert_uint_eq(bench.result.revision, 1);
	ck_assert_int_eq(output(0).kind, KV_OUTPUT_WRITTEN);
	ck_assert(output(0).exists);
	ck_assert_uint_eq(output(0).modified, 1);
	ck_assert_uint_eq(output(0).ttl_us, 700000);
	ck_assert_uint_eq(txn_site_count(&bench, KV_TABLE_HISTORY), 1);
	ck_assert_uint_eq(txn_site_count(&bench, KV_TABLE_DEADLINE), 1);
	txn_site_expect_value(&bench, "a", "value");
	touch.lifetime = KV_LIFETIME_LEASE;
	touch.lease = LEASE;
	refuse(touch, KV_LEASE_NOT_FOUND);
	txn_site_grant(&bench, LEASE, 900000);
	run(touch);
	ck_assert_uint_eq(txn_site_count(&bench, KV_TABLE_ATTACHED), 1);
	touch.lifetime = KV_LIFETIME_NONE;
	run(touch);
	ck_assert_uint_eq(txn_site_count(&bench, KV_TABLE_ATTACHED), 0);
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
	run(increment(-5));
	expect_text(output(0).value, "-5");
	ck_assert(!output(0).exists);
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
		run(increment(cases[i].by));
		expect_text(output(0).value, cases[i].sum);
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
		refuse(increment(cases[i].by), KV_NOT_A_NUMBER);
	}
}
END_TEST

START_TEST(kv_increment_keeps_type_and_lifetime)
{
	run((struct kv_op){ .kind = KV_PUT,
	    .key = TEXT("n"),
	    .value = TEXT("1"),
	    .content_type = KV_CONTENT_TEXT,
	    .lifetime = KV_LIFETIME_TTL,
	    .ttl_us = 500000 });
	run(increment(1));
	ck_assert_int_eq(output(0).content_type, KV_CONTENT_TEXT);
	ck_assert_uint_eq(output(0).ttl_us, 499000);
	ck_assert_uint_eq(output(0).version, 2);
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
	run(append("12", 5));
	ck_assert(!output(0).exists);
	expect_text(output(0).value, "12");
	run(append("345", 5));
	ck_assert(output(0).exists);
	expect_text(output(0).value, "12345");
	txn_site_expect_value(&bench, "a", "12345");
	refuse(append("6", 5), KV_TOO_LARGE);
	refuse(append("", 4), KV_TOO_LARGE);
	run(append("", 5));
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
	run((struct kv_op){ .kind = KV_PUT,
	    .key = TEXT("a"),
	    .value = TEXT("value"),
	    .content_type = KV_CONTENT_PEM,
	    .lifetime = KV_LIFETIME_TTL,
	    .ttl_us = 500000 });
}

START_TEST(kv_copy_takes_value_and_type)
{
	refuse(transfer(KV_COPY, "a", "b"), KV_KEY_NOT_FOUND);
	put_source();
	run(transfer(KV_COPY, "a", "b"));
	ck_assert(slice_equal(output(0).key, TEXT("b")));
	ck_assert(!output(0).exists);
	ck_assert_int_eq(output(0).content_type, KV_CONTENT_PEM);
	/* A new key that keeps its lifetime has none. */
	ck_assert_uint_eq(output(0).ttl_us, 0);
	txn_site_expect_value(&bench, "a", "value");
	txn_site_expect_value(&bench, "b", "value");
	run(transfer(KV_COPY, "b", "a"));
	ck_assert_uint_eq(output(0).ttl_us, 498000);
	ck_assert_uint_eq(output(0).version, 2);
}
END_TEST

START_TEST(kv_move_takes_the_lifetime_too)
{
	refuse(transfer(KV_MOVE, "a", "b"), KV_KEY_NOT_FOUND);
	txn_site_put(&bench, "b", "old");
	put_source();
	run(transfer(KV_MOVE, "a", "b"));
	ck_assert_uint_eq(kv_bench_outputs_count(&bench), 1);
	ck_assert(slice_equal(output(0).key, TEXT("b")));
	ck_assert(output(0).exists);
	ck_assert_uint_eq(output(0).created, 1);
	ck_assert_uint_eq(output(0).version, 2);
	ck_assert_uint_eq(output(0).ttl_us, 499000);
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
	run(transfer(KV_MOVE, "a", "a"));
	txn_site_expect_value(&bench, "a", "value");
	ck_assert_uint_eq(output(0).version, 2);
	ck_assert_uint_eq(output(0).ttl_us, 499000);
}
END_TEST

START_TEST(kv_move_to_a_lease_that_is_not_there)
{
	struct kv_op op = transfer(KV_MOVE, "a", "b");

	put_source();
	op.lifetime = KV_LIFETIME_LEASE;
	op.lease = LEASE;
	refuse(op, KV_LEASE_NOT_FOUND);
}
END_TEST

/* ---- Children ---- */

START_TEST(kv_child_is_named_by_its_revision)
{
	struct kv_op op = { .kind = KV_CREATE_CHILD,
		.key = TEXT("queue/"),
		.value = TEXT("job"),
		.content_type = KV_CONTENT_TEXT };

	txn_site_put(&bench, "a", "");
	run(op);
	expect_text(output(0).key, "queue/00000000000000000002");
	ck_assert_int_eq(output(0).content_type, KV_CONTENT_TEXT);
	txn_site_expect_value(&bench, "queue/00000000000000000002", "job");
	run(op);
	expect_text(output(0).key, "queue/00000000000000000003");
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
	run(op);
	expect_text(output(0).key, "queue/00000000000000000005");
	ck_assert(!output(0).exists);
	txn_site_expect_value(&bench, "queue/00000000000000000003", "mine");
	txn_site_expect_value(&bench, "queue/00000000000000000004", "too");
	/* Nor what was there a moment ago and is again. */
	txn_site_delete(&bench, "queue/00000000000000000005");
	txn_site_run(&bench, two, 2);
	expect_text(output(0).key, "queue/00000000000000000005");
	expect_text(output(1).key, "queue/00000000000000000006");
	ck_assert_uint_eq(output(1).modified, 5);
}
END_TEST

/* Names from 100 on. */
static void
put_children(unsigned count)
{
	struct kv_op op = { .kind = KV_PUT };
	struct buf command = { 0 };
	char key[64];

	for (unsigned i = 0; i < count; i++) {
		if (i % KV_TRANSACTION_OPS_MAX == 0)
			kv_encode_transaction(&command, NULL);
		(void)snprintf(key, sizeof(key), "queue/%020u", 100 + i);
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

	put_children(KV_CHILD_NAMES_MAX);
	go_to_revision(100);
	refuse(op, KV_TOO_MANY);
	txn_site_delete(&bench, "queue/00000000000000000100");
	run(op);
	expect_text(output(0).key, "queue/00000000000000010100");
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
		run(op);
	}
	free(bytes);
	op = (struct kv_op){ .kind = KV_CREATE_CHILD, .key = TEXT("queue/") };
	refuse(op, KV_TOO_MANY);
	txn_site_put(&bench, "else", "where");
	run(op);
	(void)snprintf(key, sizeof(key), "queue/%020" PRIu64, 2 * count + 3);
	expect_text(output(0).key, key);
}
END_TEST

/* ---- Delete ---- */

START_TEST(kv_delete_gives_what_was_before_if_asked)
{
	struct kv_op op = {
		.kind = KV_DELETE, .key = TEXT("a"), .previous = true
	};

	run(op);
	ck_assert(!bench.result.changed);
	ck_assert(!output(0).exists);
	ck_assert(!output(0).has_value);
	ck_assert_uint_eq(output(0).count, 0);
	txn_site_put(&bench, "a", "1");
	run(op);
	ck_assert(output(0).exists);
	expect_text(output(0).value, "1");
	ck_assert_uint_eq(output(0).count, 1);
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
	ck_assert_int_eq(output(0).kind, KV_OUTPUT_DELETED);
	ck_assert_uint_eq(output(0).count, count);
	ck_assert_int_eq(output(0).exists, count != 0);
	ck_assert_int_eq(output(0).more, more);
	ck_assert_int_eq(bench.result.changed, count != 0);
}

START_TEST(kv_delete_range_is_one_revision)
{
	put_letters();
	run(range(KV_DELETE_RANGE, "b", "d", 0));
	expect_range_deleted(2, false);
	ck_assert_uint_eq(kv_revision(bench.kv), 5);
	txn_site_expect_value(&bench, "a", "1");
	txn_site_expect_value(&bench, "b", NULL);
	txn_site_expect_value(&bench, "c", NULL);
	txn_site_expect_value(&bench, "d", "4444");
	ck_assert(slice_equal(txn_site_event(&bench, 5, 1).key, TEXT("c")));
	run(range(KV_DELETE_RANGE, "b", "d", 0));
	expect_range_deleted(0, false);
	run(range(KV_DELETE_RANGE, "d", "b", 0));
	expect_range_deleted(0, false);
}
END_TEST

START_TEST(kv_delete_range_with_a_limit)
{
	put_letters();
	run(range(KV_DELETE_RANGE, "", "", 3));
	expect_range_deleted(3, true);
	run(range(KV_DELETE_RANGE, "", "", 1));
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

	run((struct kv_op){
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

START_TEST(kv_delete_range_of_too_many)
{
	char name[32];

	for (unsigned i = 0; i <= KV_DELETE_KEYS_MAX; i++) {
		(void)snprintf(name, sizeof(name), "%05u", i);
		txn_site_put(&bench, name, "");
	}
	refuse(range(KV_DELETE_RANGE, "", "", 0), KV_TOO_MANY);
	refuse(range(KV_DELETE_RANGE, "", "", KV_DELETE_KEYS_MAX + 1),
	    KV_TOO_MANY);
	run(range(KV_DELETE_RANGE, "", "", KV_DELETE_KEYS_MAX));
	expect_range_deleted(KV_DELETE_KEYS_MAX, true);
	run(range(KV_DELETE_RANGE, "", "", 0));
	expect_range_deleted(1, false);
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
	refuse(range(KV_DELETE_RANGE, "", "", 0), KV_TOO_MANY);
	run(range(KV_DELETE_RANGE, "", "", 10));
	expect_range_deleted(3, true);
	run(range(KV_DELETE_RANGE, "", "", 10));
	expect_range_deleted(1, false);
}
END_TEST

/* ---- Get and list ---- */

START_TEST(kv_get_of_a_key_and_of_none)
{
	struct kv_op op = { .kind = KV_GET, .key = TEXT("b") };

	put_letters();
	run(op);
	ck_assert(!bench.result.changed);
	ck_assert_uint_eq(bench.result.revision, 4);
	ck_assert_int_eq(output(0).kind, KV_OUTPUT_ITEM);
	ck_assert(output(0).exists);
	expect_text(output(0).key, "b");
	expect_text(output(0).value, "22");
	ck_assert_uint_eq(output(0).modified, 2);
	ck_assert_uint_eq(output(0).created, 2);
	ck_assert_uint_eq(output(0).version, 1);
	op.key = TEXT("x");
	run(op);
	ck_assert(!output(0).exists);
	ck_assert(!output(0).has_value);
	expect_text(output(0).key, "x");
}
END_TEST

/* `keys` has a letter for each item. */
static void
expect_list(const char *keys, bool more)
{
	size_t count = strlen(keys);

	ck_assert_int_eq(output(0).kind, KV_OUTPUT_LIST);
	ck_assert_uint_eq(output(0).count, count);
	ck_assert_int_eq(output(0).more, more);
	ck_assert_uint_eq(kv_bench_outputs_count(&bench), count + 1);
	for (unsigned i = 0; i < count; i++) {
		ck_assert_int_eq(output(i + 1).kind, KV_OUTPUT_ITEM);
		ck_assert(output(i + 1).exists);
		ck_assert(
		    slice_equal(output(i + 1).key, slice_of(keys + i, 1)));
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

		run(op);
		expect_list(cases[i].forth, cases[i].more);
		op.reverse = true;
		run(op);
		expect_list(cases[i].back, cases[i].more);
	}
}
END_TEST

START_TEST(kv_list_of_an_empty_state)
{
	struct kv_op op = range(KV_LIST, "", "", 0);

	run(op);
	expect_list("", false);
	op.reverse = true;
	op.other = TEXT("x");
	run(op);
	expect_list("", false);
}
END_TEST

START_TEST(kv_list_with_and_without_values)
{
	struct kv_op op = range(KV_LIST, "b", "d", 0);

	put_letters();
	run(op);
	expect_text(output(1).value, "22");
	expect_text(output(2).value, "333");
	ck_assert_uint_eq(output(2).modified, 3);
	op.keys_only = true;
	run(op);
	ck_assert(!output(1).has_value);
	ck_assert_uint_eq(output(1).version, 1);
}
END_TEST

Suite *
kv_op_suite(void)
{
	Suite *suite = suite_create("kv_op");
	TCase *core = tcase_create("core");

	tcase_add_checked_fixture(core, set_up, tear_down);
	tcase_add_test(core, kv_put_gives_what_was_before_if_asked);
	tcase_add_test(core, kv_put_keeps_its_content_type);
	tcase_add_test(core, kv_ttl_counts_from_the_entry);
	tcase_add_test(core, kv_key_goes_with_its_deadline_entry);
	tcase_add_test(core, kv_put_on_a_lease);
	tcase_add_test(core, kv_lease_without_id_is_not_found);
	tcase_add_test(core, kv_full_lease_takes_no_more);
	tcase_add_test(core, kv_lease_takes_so_many_bytes);
	tcase_add_test(core, kv_touch_changes_the_lifetime_alone);
	tcase_add_test(core, kv_increment_of_a_missing_key);
	tcase_add_test(core, kv_increment_over_the_whole_range);
	tcase_add_test(core, kv_increment_of_what_is_no_number);
	tcase_add_test(core, kv_increment_keeps_type_and_lifetime);
	tcase_add_test(core, kv_append_up_to_its_limit);
	tcase_add_test(core, kv_copy_takes_value_and_type);
	tcase_add_test(core, kv_move_takes_the_lifetime_too);
	tcase_add_test(core, kv_move_onto_itself_keeps_the_key);
	tcase_add_test(core, kv_move_to_a_lease_that_is_not_there);
	tcase_add_test(core, kv_child_is_named_by_its_revision);
	tcase_add_test(core, kv_child_takes_no_name_that_is_taken);
	tcase_add_test(core, kv_child_tries_so_many_names);
	tcase_add_test(core, kv_child_looks_at_so_many_bytes);
	tcase_add_test(core, kv_delete_gives_what_was_before_if_asked);
	tcase_add_test(core, kv_delete_range_is_one_revision);
	tcase_add_test(core, kv_delete_range_with_a_limit);
	tcase_add_test(core, kv_transaction_looks_at_so_many_bytes);
	tcase_add_test(core, kv_delete_range_of_too_many);
	tcase_add_test(core, kv_delete_range_of_too_much);
	tcase_add_test(core, kv_get_of_a_key_and_of_none);
	tcase_add_test(core, kv_list_of_every_range);
	tcase_add_test(core, kv_list_of_an_empty_state);
	tcase_add_test(core, kv_list_with_and_without_values);
	suite_add_tcase(suite, core);
	return suite;
}
