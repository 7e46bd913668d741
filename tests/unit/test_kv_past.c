/*
 * Random commands, and after them the past: a store at a past revision lists
 * exactly as it was, and its events are the differences of its states. A failure
 * names its seed as the iteration of the test.
 */

#include "common/macros.h"
#include "common/rng.h"
#include "tests/unit/past_site.h"
#include "tests/unit/suites.h"
#include <stdio.h>

#define SEEDS    12
#define COMMANDS 1000
/* Of keys: how many letters there are, and how many are at most in one. */
#define LETTERS_COUNT 3
#define KEY_SIZE_MAX  3
#define LEASES        4
#define LOCKS         2

static struct rng rng;
static bool expired[PAST_REVISIONS_MAX]; /* and not deleted, by revision */

static bool
one_in(uint64_t count)
{
	return rng_below(&rng, count) == 0;
}

/* ---- Keys ---- */

/* Appends all keys that begin with the first `size` bytes of `key`. */
static void
make_keys(struct slice *keys, unsigned *count, uint8_t *key, size_t size)
{
	static uint8_t memory[PAST_KEYS_MAX][KEY_SIZE_MAX];

	if (size != 0) {
		memcpy(memory[*count], key, size);
		keys[*count] = slice_of(memory[*count], size);
		++*count;
	}
	for (int i = 0; size < KEY_SIZE_MAX && i < LETTERS_COUNT; i++) {
		/* In order: a slash is before any letter. */
		key[size] = (uint8_t) "/a\xff"[i];
		make_keys(keys, count, key, size + 1);
	}
}

static void
begin(uint64_t seed)
{
	struct slice keys[PAST_KEYS_MAX];
	uint8_t key[KEY_SIZE_MAX];
	unsigned count = 0;

	rng_init(&rng, seed);
	memset(expired, 0, sizeof(expired));
	make_keys(keys, &count, key, 0);
	past_site_copy(keys, count);
}

static struct slice
any_key(void)
{
	return past.keys[rng_below(&rng, past.keys_count)];
}

static struct kv_range
any_range(void)
{
	struct kv_range range = { .start = any_key(), .end = any_key() };

	if (one_in(2))
		range.start.size = 0;
	if (one_in(2))
		range.end.size = 0;
	return range;
}

/* ---- Commands ---- */

static struct kv_op
any_op(char *value, size_t value_size)
{
	static const enum kv_op_kind kinds[] = { KV_PUT, KV_PUT, KV_PUT, KV_PUT,
		KV_DELETE, KV_TOUCH, KV_APPEND, KV_COPY, KV_MOVE,
		KV_DELETE_RANGE };
	struct kv_op op = {
		.kind = kinds[rng_below(&rng, ARRAY_COUNT(kinds))],
		.key = any_key(),
		.other = any_key(),
		.lifetime = (enum kv_lifetime)rng_below(&rng, 4),
		.ttl_us = rng_between(&rng, 1, 90) * 1000000,
		.lease = rng_between(&rng, 1, LEASES),
		.size_max = 24,
		.limit = (uint32_t)rng_between(&rng, 1, 3),
		.value = slice_of(value, 0),
	};
	int size =
	    snprintf(value, value_size, "%u", (unsigned)rng_below(&rng, 1000));

	op.value.size = (size_t)size;
	return op;
}

static void
any_transaction(struct buf *command)
{
	unsigned count = one_in(3) ? (unsigned)rng_between(&rng, 2, 6) : 1;

	kv_encode_transaction(command, NULL);
	for (unsigned i = 0; i < count; i++) {
		char value[8];
		struct kv_op op = any_op(value, sizeof(value));

		/* A lifetime that no state has ever had may be seen later: what
		 * a command touches before it replaces it. */
		if (count > 1 && op.kind == KV_TOUCH)
			op.kind = KV_PUT;
		kv_encode_op(command, KV_THEN, &op);
	}
}

static void
any_lease_command(struct buf *command)
{
	uint64_t lease = rng_between(&rng, 1, LEASES);

	switch (rng_below(&rng, 5)) {
	case 0: kv_encode_revoke(command, NULL, lease); break;
	case 1: kv_encode_renew(command, NULL, lease); break;
	default: kv_encode_grant(command, NULL, lease, 30000000); break;
	}
}

/* Revisions without events. */
static void
any_lock_command(struct buf *command)
{
	uint64_t token = LEASES + rng_between(&rng, 1, LOCKS);
	struct kv_lock_request request = { .name = slice_from_text("lock"),
		.token = token,
		.ttl_us = 20000000,
		.wait_us = 20000000 };

	if (one_in(2))
		kv_encode_lock(command, NULL, &request);
	else
		kv_encode_unlock(command, NULL, request.name, token);
}

static void
any_compaction(struct buf *command)
{
	uint64_t now = kv_revision(past.bench.kv);
	uint64_t edge = kv_compacted(past.bench.kv);

	/* Mostly some of it, rarely all. */
	if (!one_in(8))
		now = edge + (now - edge) / 2;
	kv_encode_compact(command, rng_between(&rng, edge, now),
	    (uint32_t)rng_between(&rng, 1, 20));
}

static void
run_command(void)
{
	struct buf command = { 0 };
	uint64_t before = kv_revision(past.bench.kv);
	uint64_t kind = rng_below(&rng, 40);

	if (kind < 2)
		any_lease_command(&command);
	else if (kind < 4)
		any_lock_command(&command);
	else if (kind < 6)
		kv_encode_expire(
		    &command, UINT64_MAX, (uint32_t)rng_between(&rng, 1, 3));
	else if (kind < 7)
		any_compaction(&command);
	else
		any_transaction(&command);
	past_apply(&command);
	if (kind >= 4 && kind < 6 && kv_revision(past.bench.kv) != before)
		expired[before + 1] = true;
	buf_release(&command);
	if (one_in(100))
		past_restart();
}

/* ---- Lists ---- */

/* A walk that stops and turns back where it likes. */
struct wanderer {
	struct kv_scan scan;
	struct buf shown;
	size_t
	    skip; /* only the first of those alike in so many bytes; 0: all */
};

static enum kv_scan_next
wander(struct kv_scan *scan, struct slice key, const struct kv_item *item)
{
	struct wanderer *wanderer = CONTAINER_OF(scan, struct wanderer, scan);

	if (one_in(8))
		return KV_SCAN_BACK;
	past_show(&wanderer->shown, key, item);
	scan->skip_size = wanderer->skip;
	if (wanderer->skip != 0 && wanderer->skip <= key.size)
		return KV_SCAN_SKIP;
	return one_in(8) ? KV_SCAN_STOP : KV_SCAN_ON;
}

/* What it must show. */
static void
list_copy(struct buf *to, const struct wanderer *wanderer)
{
	const struct kv_scan *scan = &wanderer->scan;
	const struct past_state *state = &past.states[scan->at];
	struct slice skipped = { 0 };

	for (unsigned n = 0; n < past.keys_count; n++) {
		unsigned i = scan->reverse ? past.keys_count - 1 - n : n;
		struct slice key = past.keys[i];
		size_t size = wanderer->skip;

		if (state->items[i] == NULL || !kv_range_has(&scan->range, key))
			continue;
		if (size != 0 && skipped.size == size && key.size >= size &&
		    memcmp(key.data, skipped.data, size) == 0)
			continue;
		past_show(to, key, &state->items[i]->item);
		skipped = slice_of(key.data, key.size < size ? 0 : size);
	}
}

static uint64_t
any_revision(void)
{
	return rng_between(&rng, MAX(1, kv_compacted(past.bench.kv)),
	    kv_revision(past.bench.kv));
}

static void
check_list(void)
{
	struct wanderer wanderer = { .scan = { .range = any_range(),
					 .at = any_revision(),
					 .reverse = one_in(2),
					 .take = wander },
		.skip = one_in(2) ? 0 : rng_between(&rng, 1, 2) };
	struct buf expected = { 0 };

	while (!wanderer.scan.ended)
		ck_assert_int_eq(kv_scan_step(past.bench.kv, &wanderer.scan,
				     (uint32_t)rng_between(&rng, 1, 9)),
		    0);
	list_copy(&expected, &wanderer);
	past_expect_same(&wanderer.shown, &expected);
	kv_scan_release(&wanderer.scan);
	buf_release(&wanderer.shown);
	buf_release(&expected);
}

/* As it is now, and at a revision that does not change while it is listed. */
static void
check_whole_lists(void)
{
	static const struct kv_range everything;
	struct buf found = { 0 };
	struct buf expected = { 0 };
	uint64_t at = one_in(2) ? 0 : any_revision();
	bool reverse = one_in(2);

	past_list(&found, &everything, at, reverse,
	    (uint32_t)rng_between(&rng, 1, 50));
	past_list_copy(&expected, &everything, at, reverse);
	past_expect_same(&found, &expected);
	buf_release(&found);
	buf_release(&expected);
}

static void
check_get(void)
{
	uint64_t at = any_revision();
	unsigned i = (unsigned)rng_below(&rng, past.keys_count);
	const struct past_item *copy = past.states[at].items[i];
	struct buf found = { 0 };
	struct buf expected = { 0 };
	struct kv_item item;
	int code = kv_get_at(past.bench.kv, past.keys[i], at, &item);

	ck_assert_int_eq(code, copy == NULL ? ERR_NOT_FOUND : 0);
	past_show(&found, past.keys[i], code == 0 ? &item : NULL);
	past_show(&expected, past.keys[i], copy == NULL ? NULL : &copy->item);
	past_expect_same(&found, &expected);
	buf_release(&found);
	buf_release(&expected);
}

/* ---- Events ---- */

struct witness {
	const struct kv_range *range;
	uint64_t revision;        /* of the events told last */
	bool more;                /* others of it must follow */
	bool told[PAST_KEYS_MAX]; /* of that revision */
};

static unsigned
place_of(struct slice key)
{
	for (unsigned i = 0; i < past.keys_count; i++)
		if (slice_equal(past.keys[i], key))
			return i;
	ck_abort_msg("an event of an unknown key");
}

static void
expect_item(
    struct slice key, const struct kv_item *item, const struct past_item *copy)
{
	struct buf found = { 0 };
	struct buf expected = { 0 };

	past_show(&found, key, item);
	past_show(&expected, key, copy == NULL ? NULL : &copy->item);
	past_expect_same(&found, &expected);
	buf_release(&found);
	buf_release(&expected);
}

/* All keys of the range that differ from the state before were told of. */
static void
check_told(const struct witness *witness, uint64_t revision)
{
	const struct past_state *now = &past.states[revision];

	for (unsigned i = 0; revision > 0 && i < past.keys_count; i++) {
		bool differs = now->items[i] != now[-1].items[i] &&
			       kv_range_has(witness->range, past.keys[i]);
		bool told = witness->revision == revision && witness->told[i];

		ck_assert_msg(differs == told, "key %u at %lu", i,
		    (unsigned long)revision);
	}
}

static void
witness_event(void *context, const struct kv_event *event)
{
	struct witness *witness = context;
	const struct past_state *now = &past.states[event->revision];
	unsigned i = place_of(event->key);

	ck_assert(kv_range_has(witness->range, event->key));
	ck_assert(witness->more == (event->revision == witness->revision));
	if (event->revision != witness->revision) {
		ck_assert_uint_gt(event->revision, witness->revision);
		check_told(witness, witness->revision);
		for (uint64_t r = witness->revision + 1; r < event->revision;
		     r++)
			check_told(witness, r);
		memset(witness->told, 0, sizeof(witness->told));
	}
	ck_assert(!witness->told[i]);
	witness->told[i] = true;
	witness->revision = event->revision;
	witness->more = event->more;
	ck_assert((event->type == KV_EVENT_PUT) == (now->items[i] != NULL));
	expect_item(event->key,
	    event->type == KV_EVENT_PUT ? &event->item : NULL, now->items[i]);
	expect_item(event->key, event->existed ? &event->previous : NULL,
	    now[-1].items[i]);
	if (event->type != KV_EVENT_PUT)
		ck_assert((event->type == KV_EVENT_EXPIRE) ==
			  expired[event->revision]);
}

/* From some revision to another one, in steps of some events. */
static void
check_events(void)
{
	struct kv_range range = any_range();
	uint64_t revision = any_revision();
	uint64_t until =
	    rng_between(&rng, revision, kv_revision(past.bench.kv));
	struct witness witness = { .range = &range, .revision = revision };

	memset(witness.told, 0, sizeof(witness.told));
	/* Those of the first revision are behind it. */
	for (unsigned i = 0; i < past.keys_count; i++)
		witness.told[i] = past.states[revision].items[i] !=
				      past.states[revision - 1].items[i] &&
				  kv_range_has(&range, past.keys[i]);
	while (revision < until) {
		uint64_t before = revision;

		ck_assert_int_eq(kv_read_events(past.bench.kv, &range, until,
				     (uint32_t)rng_between(&rng, 1, 30),
				     rng_between(&rng, 1, 500), witness_event,
				     &witness, &revision),
		    0);
		ck_assert_uint_gt(revision, before);
		ck_assert(!witness.more);
	}
	ck_assert_uint_eq(revision, until);
	for (uint64_t r = witness.revision; r <= until; r++)
		check_told(&witness, r);
}

/* ---- */

START_TEST(kv_past_is_exactly_as_it_was)
{
	begin((uint64_t)_i);
	for (unsigned n = 0; n < COMMANDS; n++) {
		run_command();
		if (kv_revision(past.bench.kv) == 0)
			continue;
		check_list();
		check_whole_lists();
		check_get();
		if (one_in(4))
			check_events();
	}
	ck_assert_uint_gt(kv_revision(past.bench.kv), COMMANDS / 3);
	ck_assert_uint_gt(kv_compacted(past.bench.kv), 0);
	ck_assert_int_eq(kv_verify(past.bench.kv), 0);
}
END_TEST

/* A listing that is pinned, while what it lists changes between its steps. */
START_TEST(kv_past_stays_as_it_was_while_it_is_listed)
{
	begin((uint64_t)_i);
	for (unsigned n = 0; n < COMMANDS / 4; n++)
		run_command();
	for (unsigned n = 0; n < 60; n++) {
		struct wanderer wanderer = { .scan = { .at = any_revision(),
						 .range = any_range(),
						 .reverse = one_in(2),
						 .take = wander } };
		struct buf expected = { 0 };

		list_copy(&expected, &wanderer);
		while (!wanderer.scan.ended) {
			struct slice key = any_key();

			ck_assert_int_eq(
			    kv_scan_step(past.bench.kv, &wanderer.scan, 2), 0);
			past_put_for(key, key, 0, 0);
		}
		past_expect_same(&wanderer.shown, &expected);
		kv_scan_release(&wanderer.scan);
		buf_release(&wanderer.shown);
		buf_release(&expected);
	}
}
END_TEST

Suite *
kv_past_suite(void)
{
	Suite *suite = suite_create("kv_past");
	TCase *random = past_site_case(suite, "random");

	tcase_add_loop_test(random, kv_past_is_exactly_as_it_was, 0, SEEDS);
	tcase_add_loop_test(
	    random, kv_past_stays_as_it_was_while_it_is_listed, 0, SEEDS);
	return suite;
}
