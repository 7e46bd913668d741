#ifndef TESTS_UNIT_TXN_SITE_H
#define TESTS_UNIT_TXN_SITE_H

/* Transactions on a kv_bench, and what they did. */

#include "kv/kv_impl.h"
#include "tests/lib/kv_bench.h"

#define TEXT(text) slice_from_text(text)

/* Applies the last entry of the log; fails the test on an error. */
void txn_site_apply(struct kv_bench *bench);
/* Applies a transaction of these operations. */
void
txn_site_run(struct kv_bench *bench, const struct kv_op *ops, size_t count);
void txn_site_run_one(struct kv_bench *bench, const struct kv_op *op);
void txn_site_put(struct kv_bench *bench, const char *key, const char *value);
void txn_site_delete(struct kv_bench *bench, const char *key);
void txn_site_grant(struct kv_bench *bench, uint64_t lease, uint64_t ttl_us);

/* Of all records and the revision: equal if nothing changed. */
uint64_t txn_site_digest(const struct kv_bench *bench);
/* Do they have the same records? */
bool txn_site_same_sums(const struct kv_state *a, const struct kv_state *b);
/* Runs it, and fails unless the result has this status and op, no outputs, and
 * nothing changed. */
void txn_site_expect_refused(struct kv_bench *bench, const struct kv_op *ops,
    size_t count, enum kv_status status, uint32_t op);

/* `value` NULL: the key is missing. */
void txn_site_expect_value(
    struct kv_bench *bench, const char *key, const char *value);
/* The version of a key that is there. */
struct kv_version txn_site_version(struct kv_bench *bench, const char *key);
/* The event at a place in history, which has one. */
struct kv_change
txn_site_event(struct kv_bench *bench, uint64_t revision, uint32_t ordinal);
uint64_t txn_site_count(const struct kv_bench *bench, enum kv_table table);

#endif
