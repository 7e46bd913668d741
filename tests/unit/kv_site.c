#include "tests/unit/kv_site.h"

#include <check.h>
#include <stdio.h>

void
kv_site_init(struct kv_site *site)
{
	*site = (struct kv_site){ .now_us = SECOND_US };
	kv_bench_init(&site->bench);
}

void
kv_site_release(struct kv_site *site)
{
	kv_bench_release(&site->bench);
}

void
kv_site_restart(struct kv_site *site)
{
	ck_assert_int_eq(kv_checkpoint(site->bench.kv), 0);
	kv_bench_close(&site->bench);
	ck_assert_int_eq(kv_bench_open(&site->bench), 0);
}

void
kv_site_apply(struct kv_site *site, struct buf *command)
{
	kv_bench_log_command(&site->bench, site->now_us, buf_slice(command));
	buf_release(command);
	ck_assert_int_eq(kv_bench_replay(&site->bench), 0);
}

/* ---- Commands ---- */

static const struct kv_identity *
identity_of(const struct kv_site *site, struct kv_identity *memory)
{
	if (site->identity == NULL)
		return NULL;
	*memory = (struct kv_identity){ .key = slice_from_text(site->identity),
		.digest = site->digest };
	return memory;
}

static void
apply_op(struct kv_site *site, const struct kv_op *op)
{
	struct kv_identity memory;
	struct buf command = { 0 };

	kv_encode_transaction(&command, identity_of(site, &memory));
	kv_encode_op(&command, KV_THEN, op);
	kv_site_apply(site, &command);
}

void
kv_site_put(struct kv_site *site, const char *key, const char *value)
{
	const struct kv_op op = { .kind = KV_PUT,
		.key = slice_from_text(key),
		.value = slice_from_text(value) };

	apply_op(site, &op);
}

void
kv_site_put_ttl(struct kv_site *site, const char *key, uint64_t ttl_us)
{
	const struct kv_op op = { .kind = KV_PUT,
		.key = slice_from_text(key),
		.lifetime = KV_LIFETIME_TTL,
		.ttl_us = ttl_us };

	apply_op(site, &op);
}

void
kv_site_put_lease(struct kv_site *site, const char *key, uint64_t lease)
{
	const struct kv_op op = { .kind = KV_PUT,
		.key = slice_from_text(key),
		.lifetime = KV_LIFETIME_LEASE,
		.lease = lease };

	apply_op(site, &op);
}

void
kv_site_delete(struct kv_site *site, const char *key)
{
	const struct kv_op op = { .kind = KV_DELETE,
		.key = slice_from_text(key) };

	apply_op(site, &op);
}

void
kv_site_grant(struct kv_site *site, uint64_t lease, uint64_t ttl_us)
{
	struct kv_identity memory;
	struct buf command = { 0 };

	kv_encode_grant(&command, identity_of(site, &memory), lease, ttl_us);
	kv_site_apply(site, &command);
}

void
kv_site_renew(struct kv_site *site, uint64_t lease)
{
	struct kv_identity memory;
	struct buf command = { 0 };

	kv_encode_renew(&command, identity_of(site, &memory), lease);
	kv_site_apply(site, &command);
}

void
kv_site_revoke(struct kv_site *site, uint64_t lease)
{
	struct kv_identity memory;
	struct buf command = { 0 };

	kv_encode_revoke(&command, identity_of(site, &memory), lease);
	kv_site_apply(site, &command);
}

void
kv_site_lock(
    struct kv_site *site, const char *name, uint64_t token, uint64_t wait_us)
{
	char holder[32];
	struct kv_lock_request request = { .name = slice_from_text(name),
		.token = token,
		.ttl_us = KV_SITE_LOCK_TTL_US,
		.wait_us = wait_us };
	struct kv_identity memory;
	struct buf command = { 0 };

	snprintf(holder, sizeof(holder), "h%llu", (unsigned long long)token);
	request.holder = slice_from_text(holder);
	kv_encode_lock(&command, identity_of(site, &memory), &request);
	kv_site_apply(site, &command);
}

void
kv_site_unlock(struct kv_site *site, const char *name, uint64_t token)
{
	struct kv_identity memory;
	struct buf command = { 0 };

	kv_encode_unlock(
	    &command, identity_of(site, &memory), slice_from_text(name), token);
	kv_site_apply(site, &command);
}

void
kv_site_expire(struct kv_site *site, uint32_t limit)
{
	struct buf command = { 0 };

	kv_encode_expire(&command, site->now_us, limit);
	kv_site_apply(site, &command);
}

void
kv_site_compact(struct kv_site *site, uint64_t revision, uint32_t limit)
{
	struct buf command = { 0 };

	kv_encode_compact(&command, revision, limit);
	kv_site_apply(site, &command);
}

/* ---- Looking ---- */

void
kv_site_expect(const struct kv_site *site, enum kv_status status)
{
	ck_assert_int_eq(site->bench.result.status, status);
}

bool
kv_site_has(struct kv_site *site, const char *key)
{
	struct kv_item item;
	int code = kv_get(site->bench.kv, slice_from_text(key), &item);

	if (code != 0)
		ck_assert_int_eq(code, ERR_NOT_FOUND);
	return code == 0;
}

uint64_t
kv_site_revision(const struct kv_site *site)
{
	return kv_revision(site->bench.kv);
}

uint64_t
kv_site_count(const struct kv_site *site, enum kv_table table)
{
	return site->bench.kv->state.sums[table].count;
}

struct kv_output
kv_site_output(const struct kv_site *site)
{
	struct slice outputs = site->bench.result.outputs;
	struct kv_output output = { 0 };

	ck_assert_int_eq(kv_output_next(&outputs, &output), 0);
	ck_assert_uint_eq(outputs.size, 0);
	return output;
}

enum kv_event_type
kv_site_event(struct kv_site *site, uint64_t revision, uint32_t ordinal)
{
	const struct kv_place place = { .revision = revision,
		.ordinal = ordinal };
	uint8_t memory[KV_PLACE_SIZE];
	struct kv_change change;
	struct slice body;

	ck_assert_int_eq(kv_table_get(site->bench.kv, KV_TABLE_HISTORY,
			     kv_place_key(place, memory), &body),
	    0);
	ck_assert_int_eq(kv_change_decode(body, &change), 0);
	return change.type;
}

uint64_t
kv_site_holder(struct kv_site *site, const char *name)
{
	struct kv_lock lock;
	int code = kv_get_lock(site->bench.kv, slice_from_text(name), &lock);

	if (code == 0)
		return lock.token;
	ck_assert_int_eq(code, ERR_NOT_FOUND);
	return 0;
}

struct kv_lease
kv_site_lease(struct kv_site *site, uint64_t lease)
{
	struct kv_lease found = { 0 };

	ck_assert_int_eq(kv_get_lease(site->bench.kv, lease, &found), 0);
	return found;
}
