/* What a change of a key leaves: its version, its event, and the way back. */

#include "common/macros.h"
#include "tests/unit/suites.h"
#include "tests/unit/txn_site.h"
#include <stdlib.h>

static struct kv_bench bench;

static void
set_up(void)
{
	kv_bench_init(&bench);
}

static void
tear_down(void)
{
	kv_bench_release(&bench);
}

static struct kv_op
put(const char *key, const char *value)
{
	return (struct kv_op){
		.kind = KV_PUT, .key = TEXT(key), .value = TEXT(value)
	};
}

static struct kv_op
drop(const char *key)
{
	return (struct kv_op){ .kind = KV_DELETE, .key = TEXT(key) };
}

/* ---- Events ---- */

START_TEST(kv_event_has_what_was_before)
{
	struct kv_change event;

	txn_site_put(&bench, "a", "1");
	event = txn_site_event(&bench, 1, 0);
	ck_assert_int_eq(event.type, KV_EVENT_PUT);
	ck_assert(!event.existed);
	ck_assert_uint_eq(event.time_us, 1000);
	ck_assert(slice_equal(event.key, TEXT("a")));
	txn_site_put(&bench, "a", "2");
	event = txn_site_event(&bench, 2, 0);
	ck_assert(event.existed);
	ck_assert(slice_equal(event.before.item.value, TEXT("1")));
	ck_assert_uint_eq(event.before.item.modified, 1);
	txn_site_delete(&bench, "a");
	event = txn_site_event(&bench, 3, 0);
	ck_assert_int_eq(event.type, KV_EVENT_DELETE);
	ck_assert(slice_equal(event.before.item.value, TEXT("2")));
	ck_assert_uint_eq(event.before.item.version, 2);
	/* A new life goes on with the history of the old one. */
	txn_site_put(&bench, "a", "3");
	event = txn_site_event(&bench, 4, 0);
	ck_assert(event.existed);
	ck_assert(event.before.gone);
	ck_assert_uint_eq(event.before.item.modified, 3);
	ck_assert_uint_eq(txn_site_version(&bench, "a").depth, 3);
}
END_TEST

START_TEST(kv_deleted_key_is_gone_until_it_is_put)
{
	txn_site_put(&bench, "a", "1");
	ck_assert_uint_eq(txn_site_count(&bench, KV_TABLE_GONE), 0);
	txn_site_delete(&bench, "a");
	ck_assert_uint_eq(txn_site_count(&bench, KV_TABLE_GONE), 1);
	ck_assert_uint_eq(txn_site_count(&bench, KV_TABLE_KV), 0);
	txn_site_put(&bench, "a", "2");
	ck_assert_uint_eq(txn_site_count(&bench, KV_TABLE_GONE), 0);
	ck_assert_uint_eq(txn_site_count(&bench, KV_TABLE_KV), 1);
}
END_TEST

START_TEST(kv_events_of_one_command_are_numbered)
{
	struct kv_op ops[] = { put("b", "1"), put("a", "1"), drop("c") };

	txn_site_put(&bench, "c", "0");
	txn_site_run(&bench, ops, ARRAY_COUNT(ops));
	ck_assert(slice_equal(txn_site_event(&bench, 2, 0).key, TEXT("b")));
	ck_assert(slice_equal(txn_site_event(&bench, 2, 1).key, TEXT("a")));
	ck_assert(slice_equal(txn_site_event(&bench, 2, 2).key, TEXT("c")));
	ck_assert_uint_eq(txn_site_version(&bench, "a").ordinal, 1);
}
END_TEST

/* ---- One key twice in one command ---- */

START_TEST(kv_second_put_replaces_the_first)
{
	struct kv_op ops[] = { put("a", "1"), put("a", "2") };
	struct kv_change event;

	txn_site_put(&bench, "a", "0");
	txn_site_run(&bench, ops, ARRAY_COUNT(ops));
	txn_site_expect_value(&bench, "a", "2");
	ck_assert_uint_eq(txn_site_version(&bench, "a").item.version, 2);
	ck_assert_uint_eq(txn_site_version(&bench, "a").depth, 1);
	ck_assert_uint_eq(txn_site_count(&bench, KV_TABLE_HISTORY), 2);
	event = txn_site_event(&bench, 2, 0);
	ck_assert(slice_equal(event.before.item.value, TEXT("0")));
	ck_assert_int_eq(kv_verify(bench.kv), 0);
}
END_TEST

START_TEST(kv_put_then_delete_is_a_delete)
{
	struct kv_op ops[] = { put("a", "1"), drop("a") };
	struct kv_change event;

	txn_site_put(&bench, "a", "0");
	txn_site_run(&bench, ops, ARRAY_COUNT(ops));
	txn_site_expect_value(&bench, "a", NULL);
	ck_assert_uint_eq(txn_site_count(&bench, KV_TABLE_HISTORY), 2);
	event = txn_site_event(&bench, 2, 0);
	ck_assert_int_eq(event.type, KV_EVENT_DELETE);
	ck_assert(slice_equal(event.before.item.value, TEXT("0")));
	ck_assert_int_eq(kv_verify(bench.kv), 0);
}
END_TEST

START_TEST(kv_delete_then_put_creates_anew)
{
	struct kv_op ops[] = { drop("a"), put("a", "1"), put("a", "2") };
	struct kv_version version;
	struct kv_change event;

	txn_site_put(&bench, "a", "0");
	txn_site_put(&bench, "a", "0");
	txn_site_run(&bench, ops, ARRAY_COUNT(ops));
	version = txn_site_version(&bench, "a");
	ck_assert_uint_eq(version.item.created, 3);
	ck_assert_uint_eq(version.item.version, 1);
	event = txn_site_event(&bench, 3, 0);
	ck_assert_int_eq(event.type, KV_EVENT_PUT);
	ck_assert_uint_eq(event.before.item.version, 2);
	ck_assert_uint_eq(txn_site_count(&bench, KV_TABLE_HISTORY), 3);
	ck_assert_uint_eq(txn_site_count(&bench, KV_TABLE_GONE), 0);
	ck_assert_int_eq(kv_verify(bench.kv), 0);
}
END_TEST

START_TEST(kv_created_and_deleted_leaves_no_trace)
{
	struct kv_op ops[] = { put("a", "1"), drop("a") };
	struct kv_state before;

	txn_site_put(&bench, "b", "0");
	before = bench.kv->state;
	txn_site_run(&bench, ops, ARRAY_COUNT(ops));
	ck_assert(txn_site_same_sums(&before, &bench.kv->state));
	/* Not even a hole in the numbers: the revision was given out. */
	ck_assert(bench.result.changed);
	ck_assert_uint_eq(kv_revision(bench.kv), 2);
	ck_assert_int_eq(kv_verify(bench.kv), 0);
}
END_TEST

/* The same of a key that was there once: it is gone as before. */
START_TEST(kv_created_and_deleted_is_gone_as_before)
{
	struct kv_op ops[] = { put("a", "1"), put("a", "2"), drop("a") };
	struct kv_state before;

	txn_site_put(&bench, "a", "0");
	txn_site_delete(&bench, "a");
	before = bench.kv->state;
	txn_site_run(&bench, ops, ARRAY_COUNT(ops));
	ck_assert(txn_site_same_sums(&before, &bench.kv->state));
	txn_site_put(&bench, "a", "3");
	ck_assert_uint_eq(txn_site_event(&bench, 4, 0).before.item.modified, 2);
}
END_TEST

START_TEST(kv_key_may_come_and_go_in_one_command)
{
	struct kv_op ops[] = { put("a", "1"), drop("a"), put("a", "2"),
		put("b", "1") };

	txn_site_run(&bench, ops, ARRAY_COUNT(ops));
	txn_site_expect_value(&bench, "a", "2");
	ck_assert_uint_eq(txn_site_count(&bench, KV_TABLE_HISTORY), 2);
	/* The one that was taken back leaves its number. */
	ck_assert_uint_eq(txn_site_version(&bench, "a").ordinal, 1);
	ck_assert_uint_eq(txn_site_version(&bench, "b").ordinal, 2);
	ck_assert_int_eq(kv_verify(bench.kv), 0);
}
END_TEST

/* ---- The way back ---- */

#define VERSIONS 10000

/* How many events lie on the way from a version to that of `revision`. */
static unsigned
walk_back(struct kv_version version, uint64_t revision)
{
	unsigned steps = 0;

	while (version.item.modified > revision) {
		struct kv_place place = version.jump;
		struct kv_change event;

		if (place.revision <= revision ||
		    place.revision <= bench.kv->state.compacted)
			place = kv_version_place(&version);
		event = txn_site_event(&bench, place.revision, place.ordinal);
		ck_assert(event.existed);
		if (place.revision == version.jump.revision)
			ck_assert_uint_eq(
			    event.before.depth, version.jump_depth);
		version = event.before;
		steps++;
	}
	ck_assert_uint_eq(version.item.modified, revision);
	return steps;
}

static void
write_versions(void)
{
	for (unsigned i = 0; i < VERSIONS; i++)
		txn_site_put(&bench, "a", "x");
}

/* At most 3 log2(n + 1) - 2 (Myers 1983): 37 of 10,000. */
START_TEST(kv_way_back_is_short)
{
	struct kv_version version;
	unsigned most = 0;

	write_versions();
	version = txn_site_version(&bench, "a");
	ck_assert_uint_eq(version.depth, VERSIONS - 1);
	for (uint64_t revision = 1; revision <= VERSIONS; revision++)
		most = MAX(most, walk_back(version, revision));
	ck_assert_uint_le(most, 37);
	ck_assert_uint_gt(most, 5);
}
END_TEST

/* Also if what is before some revision went, at one time or another. */
START_TEST(kv_way_back_is_short_after_compaction)
{
	struct kv_version version;
	unsigned most = 0;

	for (unsigned i = 1; i <= VERSIONS; i++) {
		txn_site_put(&bench, "a", "x");
		if (i % 97 == 0)
			bench.kv->state.compacted = i - MIN(i, 1500);
	}
	version = txn_site_version(&bench, "a");
	for (uint64_t revision = bench.kv->state.compacted + 1;
	     revision <= VERSIONS; revision++)
		most = MAX(most, walk_back(version, revision));
	ck_assert_uint_le(most, 37);
}
END_TEST

Suite *
kv_change_suite(void)
{
	Suite *suite = suite_create("kv_change");
	TCase *core = tcase_create("core");

	tcase_add_checked_fixture(core, set_up, tear_down);
	tcase_add_test(core, kv_event_has_what_was_before);
	tcase_add_test(core, kv_deleted_key_is_gone_until_it_is_put);
	tcase_add_test(core, kv_events_of_one_command_are_numbered);
	tcase_add_test(core, kv_second_put_replaces_the_first);
	tcase_add_test(core, kv_put_then_delete_is_a_delete);
	tcase_add_test(core, kv_delete_then_put_creates_anew);
	tcase_add_test(core, kv_created_and_deleted_leaves_no_trace);
	tcase_add_test(core, kv_created_and_deleted_is_gone_as_before);
	tcase_add_test(core, kv_key_may_come_and_go_in_one_command);
	tcase_add_test(core, kv_way_back_is_short);
	tcase_add_test(core, kv_way_back_is_short_after_compaction);
	suite_add_tcase(suite, core);
	return suite;
}
