#include "tests/unit/txn_site.h"

#include <check.h>

void
txn_site_apply(struct kv_bench *bench)
{
	ck_assert_int_eq(kv_bench_replay(bench), 0);
}

static void
log_ops(struct kv_bench *bench, const struct kv_op *ops, size_t count)
{
	struct buf *entry = kv_bench_log_entry(bench);

	kv_encode_transaction(entry, NULL);
	for (size_t i = 0; i < count; i++)
		kv_encode_op(entry, KV_THEN, &ops[i]);
}

void
txn_site_run(struct kv_bench *bench, const struct kv_op *ops, size_t count)
{
	log_ops(bench, ops, count);
	txn_site_apply(bench);
	ck_assert_int_eq(bench->result.status, KV_OK);
}

void
txn_site_run_one(struct kv_bench *bench, const struct kv_op *op)
{
	txn_site_run(bench, op, 1);
}

void
txn_site_put(struct kv_bench *bench, const char *key, const char *value)
{
	kv_bench_log_put(bench, TEXT(key), TEXT(value));
	txn_site_apply(bench);
}

void
txn_site_delete(struct kv_bench *bench, const char *key)
{
	kv_bench_log_delete(bench, TEXT(key));
	txn_site_apply(bench);
}

void
txn_site_grant(struct kv_bench *bench, uint64_t lease, uint64_t ttl_us)
{
	kv_encode_grant(kv_bench_log_entry(bench), NULL, lease, ttl_us);
	txn_site_apply(bench);
	ck_assert_int_eq(bench->result.status, KV_OK);
}

uint64_t
txn_site_digest(const struct kv_bench *bench)
{
	struct kv_state state = bench->kv->state;

	/* These go on with each entry. */
	state.applied_index = 0;
	state.cluster_time_us = 0;
	return kv_state_digest(&state);
}

bool
txn_site_same_sums(const struct kv_state *a, const struct kv_state *b)
{
	for (unsigned i = 0; i < KV_TABLES_COUNT; i++)
		if (a->sums[i].count != b->sums[i].count ||
		    a->sums[i].bytes != b->sums[i].bytes ||
		    a->sums[i].hash != b->sums[i].hash)
			return false;
	return a->live_bytes == b->live_bytes;
}

void
txn_site_expect_refused(struct kv_bench *bench, const struct kv_op *ops,
    size_t count, enum kv_status status, uint32_t op)
{
	uint64_t revision = kv_revision(bench->kv);
	uint64_t digest = txn_site_digest(bench);

	log_ops(bench, ops, count);
	txn_site_apply(bench);
	ck_assert_int_eq(bench->result.status, status);
	ck_assert_uint_eq(bench->result.op, op);
	ck_assert(!bench->result.succeeded);
	ck_assert(!bench->result.changed);
	ck_assert_uint_eq(bench->result.revision, revision);
	ck_assert_uint_eq(bench->result.outputs.size, 0);
	ck_assert_uint_eq(kv_revision(bench->kv), revision);
	ck_assert_uint_eq(txn_site_digest(bench), digest);
	ck_assert_int_eq(kv_verify(bench->kv), 0);
}

void
txn_site_expect_value(
    struct kv_bench *bench, const char *key, const char *value)
{
	struct kv_item item;
	int code = kv_get(bench->kv, TEXT(key), &item);

	if (value == NULL) {
		ck_assert_int_eq(code, ERR_NOT_FOUND);
		return;
	}
	ck_assert_int_eq(code, 0);
	ck_assert_msg(slice_equal(item.value, TEXT(value)), "%s is \"%.*s\"",
	    key, (int)item.value.size, (const char *)item.value.data);
}

struct kv_version
txn_site_version(struct kv_bench *bench, const char *key)
{
	struct kv_version version = { .gone = false };

	ck_assert_int_eq(kv_find(bench->kv, TEXT(key), &version), 0);
	return version;
}

struct kv_change
txn_site_event(struct kv_bench *bench, uint64_t revision, uint32_t ordinal)
{
	struct kv_place place = { .revision = revision, .ordinal = ordinal };
	struct kv_change change = { .existed = false };
	uint8_t memory[KV_PLACE_SIZE];
	struct slice body;

	ck_assert_int_eq(kv_table_get(bench->kv, KV_TABLE_HISTORY,
			     kv_place_key(place, memory), &body),
	    0);
	ck_assert_int_eq(kv_change_decode(body, &change), 0);
	return change;
}

uint64_t
txn_site_count(const struct kv_bench *bench, enum kv_table table)
{
	return bench->kv->state.sums[table].count;
}
