#include "tests/unit/past_site.h"

#include "common/mem.h"
#include "common/text.h"
#include "kv/kv_impl.h"
#include <stdlib.h>

struct past_site past;

static void
set_up(void)
{
	memset(&past, 0, sizeof(past));
	kv_bench_init(&past.bench);
	past.time_us = 1000000;
	past.compact_limit = UINT32_MAX;
}

static void
tear_down(void)
{
	while (past.all != NULL) {
		struct past_item *item = past.all;

		past.all = item->next;
		free(item);
	}
	free(past.states);
	kv_bench_release(&past.bench);
}

TCase *
past_site_case(Suite *suite, const char *name)
{
	TCase *tests = tcase_create(name);

	tcase_add_checked_fixture(tests, set_up, tear_down);
	suite_add_tcase(suite, tests);
	return tests;
}

/* ---- Copies ---- */

void
past_site_copy(const struct slice *keys, unsigned count)
{
	ck_assert_uint_eq(kv_revision(past.bench.kv), 0);
	ck_assert_uint_le(count, PAST_KEYS_MAX);
	past.states = mem_zalloc(PAST_REVISIONS_MAX, sizeof(*past.states));
	for (unsigned i = 0; i < count; i++) {
		if (i > 0)
			ck_assert(slice_compare(keys[i - 1], keys[i]) < 0);
		memcpy(past.memory[i], keys[i].data, keys[i].size);
		past.keys[i] = slice_of(past.memory[i], keys[i].size);
	}
	past.keys_count = count;
}

static struct past_item *
copy_item(const struct kv_item *item)
{
	struct past_item *copy = mem_alloc(sizeof(*copy) + item->value.size);

	copy->item = *item;
	memcpy(copy->value, item->value.data, item->value.size);
	copy->item.value = slice_of(copy->value, item->value.size);
	copy->next = past.all;
	past.all = copy;
	return copy;
}

static struct past_item *
copy_key(struct slice key, struct past_item *before)
{
	struct kv_item item;
	int code = kv_get(past.bench.kv, key, &item);

	if (code == ERR_NOT_FOUND)
		return NULL;
	ck_assert_int_eq(code, 0);
	if (before == NULL || before->item.modified != item.modified)
		return copy_item(&item);
	ck_assert(slice_equal(before->item.value, item.value));
	before->item.lease = item.lease;
	before->item.deadline_us = item.deadline_us;
	return before;
}

/* The state after a command, which came after that of `before`. */
static void
copy_state(uint64_t before)
{
	uint64_t revision = kv_revision(past.bench.kv);

	ck_assert_uint_lt(revision, PAST_REVISIONS_MAX);
	ck_assert_uint_le(revision, before + 1);
	for (unsigned i = 0; i < past.keys_count; i++) {
		struct past_item *item = past.states[before].items[i];
		struct past_item *now = copy_key(past.keys[i], item);

		if (revision == before)
			ck_assert_ptr_eq(now, item);
		past.states[revision].items[i] = now;
	}
}

/* ---- Commands ---- */

void
past_apply(struct buf *command)
{
	uint64_t before = kv_revision(past.bench.kv);
	uint64_t index = kv_applied_index(past.bench.kv) + 1;

	ck_assert_int_eq(kv_apply(past.bench.kv, index, past.time_us,
			     buf_slice(command), &past.result),
	    0);
	past.time_us += 1000000;
	if (past.states != NULL)
		copy_state(before);
	buf_reset(command);
}

static void
apply_once(struct buf *command)
{
	past_apply(command);
	ck_assert_int_eq(past.result.status, KV_OK);
	buf_release(command);
}

static void
apply_op(const struct kv_op *op)
{
	struct buf command = { 0 };

	kv_encode_transaction(&command, NULL);
	kv_encode_op(&command, KV_THEN, op);
	apply_once(&command);
}

static enum kv_lifetime
lifetime_of(uint64_t ttl_us, uint64_t lease)
{
	if (lease != 0)
		return KV_LIFETIME_LEASE;
	return ttl_us != 0 ? KV_LIFETIME_TTL : KV_LIFETIME_NONE;
}

void
past_put_for(
    struct slice key, struct slice value, uint64_t ttl_us, uint64_t lease)
{
	struct kv_op op = { .kind = KV_PUT,
		.key = key,
		.value = value,
		.lifetime = lifetime_of(ttl_us, lease),
		.ttl_us = ttl_us,
		.lease = lease };

	apply_op(&op);
}

void
past_put(const char *key, const char *value)
{
	past_put_for(slice_from_text(key), slice_from_text(value), 0, 0);
}

void
past_delete(const char *key)
{
	struct kv_op op = { .kind = KV_DELETE, .key = slice_from_text(key) };

	apply_op(&op);
}

void
past_touch(const char *key, uint64_t ttl_us)
{
	struct kv_op op = { .kind = KV_TOUCH,
		.key = slice_from_text(key),
		.lifetime = lifetime_of(ttl_us, 0),
		.ttl_us = ttl_us };

	apply_op(&op);
}

void
past_compact(uint64_t revision)
{
	struct buf command = { 0 };

	kv_encode_compact(&command, revision, past.compact_limit);
	apply_once(&command);
}

void
past_restart(void)
{
	ck_assert_int_eq(kv_checkpoint(past.bench.kv), 0);
	kv_bench_close(&past.bench);
	ck_assert_int_eq(kv_bench_open(&past.bench), 0);
}

/* ---- Lists ---- */

void
past_show(struct buf *to, struct slice key, const struct kv_item *item)
{
	if (text_is_utf8(key))
		text_append_json_string(to, key);
	else
		text_append_hex(to, key);
	if (item == NULL) {
		buf_append_text(to, " -\n");
		return;
	}
	buf_append_text(to, "=");
	buf_append_slice(to, item->value);
	buf_printf(to, " %lu/%lu/%lu", (unsigned long)item->created,
	    (unsigned long)item->modified, (unsigned long)item->version);
	if (item->lease != 0)
		buf_printf(to, " l%lu", (unsigned long)item->lease);
	if (item->deadline_us != 0)
		buf_printf(to, " d%lu", (unsigned long)item->deadline_us);
	buf_append_text(to, "\n");
}

struct listing {
	struct kv_scan scan;
	struct buf *to;
};

static enum kv_scan_next
list_key(struct kv_scan *scan, struct slice key, const struct kv_item *item)
{
	past_show(CONTAINER_OF(scan, struct listing, scan)->to, key, item);
	return KV_SCAN_ON;
}

void
past_list(struct buf *to, const struct kv_range *range, uint64_t at,
    bool reverse, uint32_t keys_max)
{
	struct listing listing = { .scan = { .range = *range,
				       .at = at,
				       .reverse = reverse,
				       .take = list_key },
		.to = to };

	while (!listing.scan.ended)
		ck_assert_int_eq(
		    kv_scan_step(past.bench.kv, &listing.scan, keys_max), 0);
	kv_scan_release(&listing.scan);
}

void
past_list_copy(
    struct buf *to, const struct kv_range *range, uint64_t at, bool reverse)
{
	const struct past_state *state =
	    &past.states[at == 0 ? kv_revision(past.bench.kv) : at];

	for (unsigned n = 0; n < past.keys_count; n++) {
		unsigned i = reverse ? past.keys_count - 1 - n : n;

		if (state->items[i] != NULL &&
		    kv_range_has(range, past.keys[i]))
			past_show(to, past.keys[i], &state->items[i]->item);
	}
}

void
past_expect_same(const struct buf *found, const struct buf *expected)
{
	ck_assert_msg(slice_equal(buf_slice(found), buf_slice(expected)),
	    "found:\n%.*s\nexpected:\n%.*s", (int)found->size,
	    (const char *)found->data, (int)expected->size,
	    (const char *)expected->data);
}

void
past_expect_text(struct buf *found, const char *expected)
{
	ck_assert_msg(slice_equal(buf_slice(found), slice_from_text(expected)),
	    "found:\n%.*s\nexpected:\n%s", (int)found->size,
	    (const char *)found->data, expected);
	buf_reset(found);
}
