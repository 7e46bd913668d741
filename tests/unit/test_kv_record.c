/* The form of records: whole, strict, and the same for ever. */

#include "common/macros.h"
#include "common/rng.h"
#include "tests/unit/suites.h"
#include "tests/unit/txn_site.h"
#include <stdlib.h>

/* As many combinations of what a version may have as there are seeds. */
static struct kv_version
random_version(struct rng *rng)
{
	uint64_t modified = 1 + rng_below(rng, UINT64_C(1) << 40);
	uint64_t depth = rng_below(rng, 100000);
	struct kv_version version = {
		.gone = rng_below(rng, 4) == 0,
		.item.modified = modified,
		.ordinal = (uint32_t)rng_below(rng, 1000),
		.depth = depth,
	};

	version.jump = kv_version_place(&version);
	version.jump_depth = depth == 0 ? 0 : depth - 1;
	if (depth != 0 && rng_below(rng, 2) == 0) {
		version.jump.revision = 1 + rng_below(rng, modified);
		version.jump.ordinal = (uint32_t)rng_below(rng, 1000) + 1000;
		version.jump_depth = rng_below(rng, depth);
	}
	if (version.gone)
		return version;
	version.item.created = 1 + rng_below(rng, modified);
	version.item.version =
	    1 + rng_below(rng, modified - version.item.created + 1);
	version.item.lease = rng_below(rng, 2) == 0 ? 0 : rng_next(rng) | 1;
	version.item.deadline_us = rng_below(rng, 2) * (rng_next(rng) | 1);
	version.item.content_type =
	    (enum kv_content_type)rng_below(rng, KV_CONTENT_TYPES_COUNT);
	version.item.value = slice_of("value", rng_below(rng, 6));
	return version;
}

static void
expect_same_version(const struct kv_version *a, const struct kv_version *b)
{
	ck_assert_int_eq(a->gone, b->gone);
	ck_assert_uint_eq(a->item.modified, b->item.modified);
	ck_assert_uint_eq(a->item.created, b->item.created);
	ck_assert_uint_eq(a->item.version, b->item.version);
	ck_assert_uint_eq(a->item.lease, b->item.lease);
	ck_assert_uint_eq(a->item.deadline_us, b->item.deadline_us);
	ck_assert_int_eq(a->item.content_type, b->item.content_type);
	ck_assert(slice_equal(a->item.value, b->item.value));
	ck_assert_uint_eq(a->ordinal, b->ordinal);
	ck_assert_uint_eq(a->depth, b->depth);
	ck_assert_uint_eq(a->jump.revision, b->jump.revision);
	ck_assert_uint_eq(a->jump.ordinal, b->jump.ordinal);
	ck_assert_uint_eq(a->jump_depth, b->jump_depth);
}

START_TEST(kv_version_comes_back)
{
	struct buf bytes = { 0 };
	struct rng rng;

	rng_init(&rng, 5);
	for (unsigned i = 0; i < 10000; i++) {
		struct kv_version version = random_version(&rng);
		struct kv_version back;

		buf_reset(&bytes);
		kv_version_encode(&bytes, &version);
		ck_assert_int_eq(
		    kv_version_decode(buf_slice(&bytes), &back), 0);
		expect_same_version(&version, &back);
	}
	buf_release(&bytes);
}
END_TEST

/* What is taken for a version is what would be written of it. */
START_TEST(kv_version_has_one_form)
{
	struct buf bytes = { 0 };
	struct buf again = { 0 };
	unsigned taken = 0;
	struct rng rng;

	rng_init(&rng, 6);
	for (unsigned i = 0; i < 100000; i++) {
		struct kv_version version = random_version(&rng);

		buf_reset(&bytes);
		kv_version_encode(&bytes, &version);
		bytes.data[rng_below(&rng, bytes.size)] =
		    (uint8_t)rng_next(&rng);
		if (kv_version_decode(buf_slice(&bytes), &version) != 0)
			continue;
		buf_reset(&again);
		kv_version_encode(&again, &version);
		ck_assert(slice_equal(buf_slice(&bytes), buf_slice(&again)));
		taken++;
	}
	ck_assert_uint_gt(taken, 1000);
	buf_release(&bytes);
	buf_release(&again);
}
END_TEST

START_TEST(kv_version_bytes_never_change)
{
	static const uint8_t known[] = { 0x2e, /* lease, deadline, jump, JSON */
		0xac, 0x02, 3, 10, /* modified 300, ordinal 3, depth 10 */
		0xc8, 0x01, 4, 0,  /* jump: 200 and 4 back, ordinal 0 */
		0xa0, 0x01, 2,     /* created 160 back, version 2 */
		0, 0, 0, 0, 0, 0, 0, 0xfe, /* lease */
		0x80, 0x08,                /* deadline 1024 */
		'v' };
	struct kv_version version = {
		.item = { .value = slice_of("v", 1),
		    .created = 140,
		    .modified = 300,
		    .version = 2,
		    .lease = 0xfe,
		    .deadline_us = 1024,
		    .content_type = KV_CONTENT_JSON },
		.ordinal = 3,
		.depth = 10,
		.jump = { .revision = 100 },
		.jump_depth = 6,
	};
	struct buf bytes = { 0 };

	kv_version_encode(&bytes, &version);
	ck_assert(
	    slice_equal(buf_slice(&bytes), slice_of(known, sizeof(known))));
	buf_release(&bytes);
}
END_TEST

/* So short that history costs little: a put of a new key has 7 bytes more. */
START_TEST(kv_version_of_small_numbers_is_short)
{
	struct kv_version version = {
		.item = { .created = 1, .modified = 1, .version = 1 },
		.jump = { .revision = 1 }
	};
	struct buf bytes = { 0 };

	kv_version_encode(&bytes, &version);
	ck_assert_uint_eq(bytes.size, 6);
	buf_release(&bytes);
}
END_TEST

START_TEST(kv_change_comes_back)
{
	struct kv_change change = { .type = KV_EVENT_EXPIRE,
		.time_us = UINT64_C(1) << 50,
		.key = TEXT("key"),
		.existed = true,
		.before = { .item = { .value = TEXT("old"),
				.created = 3,
				.modified = 5,
				.version = 2 },
		    .jump = { .revision = 5 } } };
	struct kv_change back;
	struct buf bytes = { 0 };

	kv_change_encode(&bytes, &change);
	ck_assert_int_eq(kv_change_decode(buf_slice(&bytes), &back), 0);
	ck_assert_int_eq(back.type, KV_EVENT_EXPIRE);
	ck_assert_uint_eq(back.time_us, change.time_us);
	ck_assert(slice_equal(back.key, change.key));
	ck_assert(back.existed);
	expect_same_version(&back.before, &change.before);
	/* All but its last bytes, which are the value. */
	for (size_t size = 0; size < bytes.size - 3; size++)
		ck_assert_int_eq(
		    kv_change_decode(slice_of(bytes.data, size), &back),
		    ERR_CORRUPT);
	bytes.data[0] = KV_EVENT_PUT;
	ck_assert_int_eq(
	    kv_change_decode(buf_slice(&bytes), &back), ERR_CORRUPT);
	bytes.data[0] = 0x80 | (KV_EVENT_EXPIRE + 1);
	ck_assert_int_eq(
	    kv_change_decode(buf_slice(&bytes), &back), ERR_CORRUPT);
	bytes.data[0] = 0x80;
	ck_assert_int_eq(
	    kv_change_decode(buf_slice(&bytes), &back), ERR_CORRUPT);
	buf_release(&bytes);
}
END_TEST

START_TEST(kv_state_comes_back)
{
	struct kv_state state = { .applied_index = 10,
		.revision = 7,
		.cluster_time_us = 99,
		.compacted = 5,
		.live_bytes = 3 };
	struct kv_state back;
	struct buf record = { 0 };

	for (unsigned i = 0; i < KV_TABLES_COUNT; i++)
		state.sums[i] = (struct kv_sum){ i, 2 * i, 3 * i };
	kv_state_encode(&record, &state);
	ck_assert_int_eq(kv_state_decode(buf_slice(&record), &back), 0);
	ck_assert_uint_eq(back.applied_index, 10);
	ck_assert_uint_eq(back.revision, 7);
	ck_assert_uint_eq(back.cluster_time_us, 99);
	ck_assert_uint_eq(back.compacted, 5);
	ck_assert(txn_site_same_sums(&state, &back));
	ck_assert_uint_eq(kv_state_digest(&state), kv_state_digest(&back));
	buf_release(&record);
}
END_TEST

/* All but the node's own table and the count of live bytes, which follow. */
START_TEST(kv_state_digest_tells_all_of_it)
{
	struct kv_state state = { .applied_index = 10 };
	uint64_t *numbers[] = { &state.applied_index, &state.revision,
		&state.cluster_time_us, &state.compacted };
	uint64_t digest = kv_state_digest(&state);

	for (size_t i = 0; i < ARRAY_COUNT(numbers); i++) {
		++*numbers[i];
		ck_assert_uint_ne(kv_state_digest(&state), digest);
		--*numbers[i];
	}
	for (unsigned i = 0; i < KV_TABLES_COUNT; i++) {
		state.sums[i].hash++;
		ck_assert_int_eq(
		    kv_state_digest(&state) == digest, i == KV_TABLE_META);
		state.sums[i].hash--;
	}
}
END_TEST

Suite *
kv_record_suite(void)
{
	Suite *suite = suite_create("kv_record");
	TCase *core = tcase_create("core");

	tcase_add_test(core, kv_version_comes_back);
	tcase_add_test(core, kv_version_has_one_form);
	tcase_add_test(core, kv_version_bytes_never_change);
	tcase_add_test(core, kv_version_of_small_numbers_is_short);
	tcase_add_test(core, kv_change_comes_back);
	tcase_add_test(core, kv_state_comes_back);
	tcase_add_test(core, kv_state_digest_tells_all_of_it);
	suite_add_tcase(suite, core);
	return suite;
}
