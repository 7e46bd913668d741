/* Versions of the past. */

#include "common/codec.h"
#include "common/macros.h"
#include "kv/kv_impl.h"
#include "tests/unit/past_site.h"
#include "tests/unit/suites.h"

/* A key as it was at each revision from `first` on, a line each. */
static void
expect_versions(const char *text, uint64_t first, const char *expected)
{
	struct slice key = slice_from_text(text);
	struct buf shown = { 0 };

	for (uint64_t at = first; at <= kv_revision(past.bench.kv); at++) {
		struct kv_item item;
		int code = kv_get_at(past.bench.kv, key, at, &item);

		ck_assert(code == 0 || code == ERR_NOT_FOUND);
		past_show(&shown, key, code == 0 ? &item : NULL);
	}
	past_expect_text(&shown, expected);
	buf_release(&shown);
}

START_TEST(kv_get_at_gives_the_version_of_then)
{
	past_put("a", "one");
	past_put("b", "other");
	past_put("a", "two");
	past_put("a", "three");
	expect_versions("a", 0,
	    "\"a\" -\n"
	    "\"a\"=one 1/1/1\n"
	    "\"a\"=one 1/1/1\n"
	    "\"a\"=two 1/3/2\n"
	    "\"a\"=three 1/4/3\n");
	expect_versions(
	    "c", 0, "\"c\" -\n\"c\" -\n\"c\" -\n\"c\" -\n\"c\" -\n");
}
END_TEST

START_TEST(kv_get_at_sees_a_key_come_and_go)
{
	past_put("a", "one");
	past_delete("a");
	past_put("b", "other");
	past_put("a", "again");
	past_put("a", "more");
	past_delete("a");
	expect_versions("a", 0,
	    "\"a\" -\n"
	    "\"a\"=one 1/1/1\n"
	    "\"a\" -\n"
	    "\"a\" -\n"
	    "\"a\"=again 4/4/1\n"
	    "\"a\"=more 4/5/2\n"
	    "\"a\" -\n");
}
END_TEST

/* A touch makes no version: the one that it touched has the new lifetime. */
START_TEST(kv_get_at_shows_the_last_lifetime_of_a_version)
{
	past_put("a", "one");
	past_touch("a", 5000000);
	past_touch("a", 7000000);
	past_put("a", "two");
	past_touch("a", 9000000);
	ck_assert_uint_eq(kv_revision(past.bench.kv), 2);
	expect_versions("a", 1,
	    "\"a\"=one 1/1/1 d10000000\n"
	    "\"a\"=two 1/2/2 d14000000\n");
}
END_TEST

/* Two changes by one command are one version; a key may come and go in it. */
START_TEST(kv_get_at_has_one_version_of_a_command)
{
	struct kv_op put = { .kind = KV_PUT, .key = slice_from_text("a") };
	struct kv_op delete = { .kind = KV_DELETE,
		.key = slice_from_text("a") };
	struct buf command = { 0 };

	past_put("a", "before");
	kv_encode_transaction(&command, NULL);
	put.value = slice_from_text("one");
	kv_encode_op(&command, KV_THEN, &put);
	kv_encode_op(&command, KV_THEN, &delete);
	put.value = slice_from_text("two");
	kv_encode_op(&command, KV_THEN, &put);
	past_apply(&command);
	kv_encode_transaction(&command, NULL);
	kv_encode_op(&command, KV_THEN, &put);
	kv_encode_op(&command, KV_THEN, &delete);
	past_apply(&command);
	buf_release(&command);
	past_put("b", "other");
	expect_versions("a", 1,
	    "\"a\"=before 1/1/1\n"
	    "\"a\"=two 2/2/1\n"
	    "\"a\" -\n\"a\" -\n");
}
END_TEST

/* What is at the edge can be read, by versions from before it and behind. */
START_TEST(kv_get_at_reaches_back_to_where_history_is_gone)
{
	struct slice key = slice_from_text("a");
	struct kv_item item;

	past_put("a", "one");
	past_put("a", "two");
	past_put("b", "kept");
	past_delete("b");
	past_put("a", "three");
	past_compact(3);
	ck_assert_uint_eq(kv_compacted(past.bench.kv), 3);
	expect_versions(
	    "a", 3, "\"a\"=two 1/2/2\n\"a\"=two 1/2/2\n\"a\"=three 1/5/3\n");
	expect_versions("b", 3, "\"b\"=kept 3/3/1\n\"b\" -\n\"b\" -\n");
	ck_assert_int_eq(
	    kv_get_at(past.bench.kv, key, 2, &item), ERR_COMPACTED);
	ck_assert_int_eq(
	    kv_get_at(past.bench.kv, key, 0, &item), ERR_COMPACTED);
	/* It is an answer. */
	ck_assert_int_eq(kv_checkpoint(past.bench.kv), 0);
	past_compact(4);
	expect_versions("b", 4, "\"b\" -\n\"b\" -\n");
}
END_TEST

/* At once, though its events are deleted little by little. */
START_TEST(kv_history_is_gone_before_its_events_are)
{
	struct kv_item item;

	for (int i = 0; i < 9; i++)
		past_put("a", i % 2 == 0 ? "even" : "odd");
	past.compact_limit = 1;
	for (int i = 0; i < 9; i++) {
		past_compact(8);
		ck_assert_int_eq(
		    kv_get_at(past.bench.kv, slice_from_text("a"), 7, &item),
		    ERR_COMPACTED);
		expect_versions("a", 8, "\"a\"=odd 1/8/8\n\"a\"=even 1/9/9\n");
		past_restart();
	}
}
END_TEST

/* A key that was deleted and whose history is gone begins anew. */
START_TEST(kv_history_begins_anew_behind_what_is_gone)
{
	past_put("a", "one");
	past_delete("a");
	past_compact(2);
	past_put("a", "two");
	past_put("a", "three");
	expect_versions(
	    "a", 2, "\"a\" -\n\"a\"=two 3/3/1\n\"a\"=three 3/4/2\n");
}
END_TEST

/* ---- Long histories ---- */

#define DEEP 10000
/* Operations of the store for one look: one for the key, and three times the
 * logarithm of how many versions there are (31 in fact). */
#define DEEP_OPERATIONS_MAX (1 + 3 * 14)

static void
put_number(uint64_t number)
{
	uint8_t value[8];

	codec_store_u64(value, number);
	past_put_for(
	    slice_from_text("deep"), slice_of(value, sizeof(value)), 0, 0);
}

/* Looks at every version from `first` on; gives the operations of the worst. */
static uint64_t
expect_all_found(uint64_t first)
{
	uint64_t worst = 0;

	for (uint64_t at = first; at <= kv_revision(past.bench.kv); at++) {
		uint64_t before = store_mem_operations_count(past.bench.disk);
		uint64_t spent;
		struct kv_item item;

		ck_assert_int_eq(kv_get_at(past.bench.kv,
				     slice_from_text("deep"), at, &item),
		    0);
		ck_assert_uint_eq(codec_load_u64(item.value.data), at);
		ck_assert_uint_eq(item.modified, at);
		spent = store_mem_operations_count(past.bench.disk) - before;
		worst = MAX(worst, spent);
	}
	return worst;
}

START_TEST(kv_get_at_walks_a_logarithm_of_the_versions)
{
	for (uint64_t i = 1; i <= DEEP; i++)
		put_number(i);
	ck_assert_uint_le(expect_all_found(1), DEEP_OPERATIONS_MAX);
	/* The present one is found at once, and that before it. */
	ck_assert_uint_le(expect_all_found(DEEP), 1);
	ck_assert_uint_le(expect_all_found(DEEP - 1), 2);
}
END_TEST

/* Where jumps would lead to what is gone, new ones begin. */
START_TEST(kv_get_at_walks_as_little_under_compaction)
{
	for (uint64_t i = 1; i <= DEEP; i++) {
		put_number(i);
		if (i % 101 == 0 && i > 1500)
			past_compact(i - 1500);
	}
	ck_assert_uint_le(
	    expect_all_found(kv_compacted(past.bench.kv)), DEEP_OPERATIONS_MAX);
}
END_TEST

/* Whatever has become of the key since. */
START_TEST(kv_get_at_walks_as_little_over_deletes)
{
	for (uint64_t i = 1; i <= DEEP; i++) {
		if (i % 7 == 0)
			past_delete("deep");
		else
			put_number(i);
	}
	for (uint64_t at = 1; at <= DEEP; at++) {
		uint64_t before = store_mem_operations_count(past.bench.disk);
		struct kv_item item;

		ck_assert_int_eq(kv_get_at(past.bench.kv,
				     slice_from_text("deep"), at, &item),
		    at % 7 == 0 ? ERR_NOT_FOUND : 0);
		ck_assert_uint_le(
		    store_mem_operations_count(past.bench.disk) - before,
		    DEEP_OPERATIONS_MAX);
	}
}
END_TEST

/* ---- Damage ---- */

START_TEST(kv_get_at_finds_a_missing_or_damaged_event)
{
	uint8_t memory[KV_PLACE_SIZE];
	struct kv_place place = { .revision = 2 };
	struct slice event = kv_place_key(place, memory);
	struct slice key = slice_from_text("a");
	struct kv_item item;

	past_put("a", "one");
	past_put("a", "two");
	ck_assert_int_eq(kv_checkpoint(past.bench.kv), 0);
	if (_i == 0)
		ck_assert(store_mem_flip_bit(
		    past.bench.disk, KV_TABLE_HISTORY, event, 77));
	else
		ck_assert(store_mem_replace(past.bench.disk, KV_TABLE_HISTORY,
		    event, slice_of(NULL, 0)));
	ck_assert_int_eq(kv_get_at(past.bench.kv, key, 2, &item), 0);
	ck_assert_int_eq(kv_get_at(past.bench.kv, key, 1, &item), ERR_CORRUPT);
	ck_assert_int_eq(kv_get_at(past.bench.kv, key, 2, &item), ERR_STOPPED);
	ck_assert_int_eq(kv_checkpoint(past.bench.kv), ERR_STOPPED);
}
END_TEST

/* Versions that are before each other would be walked for ever. */
START_TEST(kv_get_at_finds_a_way_that_leads_nowhere)
{
	struct kv_change change = { .type = KV_EVENT_PUT,
		.key = slice_from_text("a"),
		.existed = true };
	uint8_t memory[KV_PLACE_SIZE];
	struct kv_place place = { .revision = 2 };
	struct buf body = { 0 };
	struct kv_item item;

	past_put("a", "one");
	past_put("a", "two");
	ck_assert_int_eq(kv_find(past.bench.kv, change.key, &change.before), 0);
	kv_change_encode(&body, &change);
	ck_assert_int_eq(kv_table_put(past.bench.kv, KV_TABLE_HISTORY,
			     kv_place_key(place, memory), buf_slice(&body)),
	    0);
	ck_assert_int_eq(
	    kv_get_at(past.bench.kv, change.key, 1, &item), ERR_CORRUPT);
	buf_release(&body);
}
END_TEST

/* ---- When a key goes by itself ---- */

static uint64_t
deadline_of(const char *key, uint64_t at)
{
	uint64_t deadline_us = 1;
	struct kv_item item;

	ck_assert_int_eq(
	    kv_get_at(past.bench.kv, slice_from_text(key), at, &item), 0);
	ck_assert_int_eq(
	    kv_get_deadline(past.bench.kv, &item, &deadline_us), 0);
	return deadline_us;
}

START_TEST(kv_get_deadline_is_the_keys_own_or_its_leases)
{
	struct slice value = slice_from_text("v");
	struct buf command = { 0 };

	past_put("never", "v");
	kv_encode_grant(&command, NULL, 77, 20000000);
	past_apply(&command);
	past_put_for(slice_from_text("leased"), value, 0, 77);
	past_put_for(slice_from_text("own"), value, 3000000, 0);
	ck_assert_uint_eq(deadline_of("never", 3), 0);
	ck_assert_uint_eq(deadline_of("leased", 3), 22000000);
	ck_assert_uint_eq(deadline_of("own", 3), 7000000);
	kv_encode_renew(&command, NULL, 77);
	past_apply(&command);
	ck_assert_uint_eq(deadline_of("leased", 3), 25000000);
	/* The lease is gone, what was attached to it can still be seen. */
	kv_encode_revoke(&command, NULL, 77);
	past_apply(&command);
	ck_assert_uint_eq(deadline_of("leased", 3), 0);
	buf_release(&command);
}
END_TEST

Suite *
kv_history_suite(void)
{
	Suite *suite = suite_create("kv_history");
	TCase *core = past_site_case(suite, "core");

	tcase_add_test(core, kv_get_at_gives_the_version_of_then);
	tcase_add_test(core, kv_get_at_sees_a_key_come_and_go);
	tcase_add_test(core, kv_get_at_shows_the_last_lifetime_of_a_version);
	tcase_add_test(core, kv_get_at_has_one_version_of_a_command);
	tcase_add_test(core, kv_get_at_reaches_back_to_where_history_is_gone);
	tcase_add_test(core, kv_history_is_gone_before_its_events_are);
	tcase_add_test(core, kv_history_begins_anew_behind_what_is_gone);
	tcase_add_test(core, kv_get_at_walks_a_logarithm_of_the_versions);
	tcase_add_test(core, kv_get_at_walks_as_little_under_compaction);
	tcase_add_test(core, kv_get_at_walks_as_little_over_deletes);
	tcase_add_loop_test(
	    core, kv_get_at_finds_a_missing_or_damaged_event, 0, 2);
	tcase_add_test(core, kv_get_at_finds_a_way_that_leads_nowhere);
	tcase_add_test(core, kv_get_deadline_is_the_keys_own_or_its_leases);
	return suite;
}
