/* Compaction of history. */

#include "tests/unit/kv_site.h"
#include "tests/unit/suites.h"

#include <stdlib.h>

static struct kv_site site;

static void
set_up(void)
{
	kv_site_init(&site);
}

static void
tear_down(void)
{
	kv_site_release(&site);
}

/* Puts that have the revisions up to `revision`, a second apart. */
static void
put_until(uint64_t revision)
{
	while (kv_site_revision(&site) < revision) {
		site.now_us += SECOND_US;
		kv_site_put(&site, "a", "value");
	}
}

static struct kv_history
history(void)
{
	struct kv_history history;

	ck_assert_int_eq(kv_get_history(site.bench.kv, &history), 0);
	return history;
}

static struct kv_compaction
compaction(uint64_t oldest_us, uint64_t bytes_max, uint32_t limit)
{
	struct kv_compaction found;

	ck_assert_int_eq(kv_get_compaction(site.bench.kv, oldest_us, bytes_max,
			     limit, &found),
	    0);
	return found;
}

START_TEST(history_is_gone_at_once_and_deleted_in_parts)
{
	put_until(10);
	kv_site_compact(&site, 7, 3);
	kv_site_expect(&site, KV_OK);
	ck_assert(!site.bench.result.changed);
	ck_assert_uint_eq(site.bench.result.revision, 10);
	ck_assert_uint_eq(kv_compacted(site.bench.kv), 7);
	ck_assert_uint_eq(history().events_count, 7);
	kv_site_compact(&site, 7, 3);
	ck_assert_uint_eq(history().events_count, 4);
	kv_site_compact(&site, 7, 3);
	ck_assert_uint_eq(history().events_count, 3);
	kv_site_compact(&site, 7, 3);
	ck_assert_uint_eq(history().events_count, 3);
	ck_assert_uint_eq(history().compacted, 7);
	kv_site_restart(&site);
	ck_assert_uint_eq(kv_compacted(site.bench.kv), 7);
}
END_TEST

START_TEST(a_revision_above_the_present_one_means_that_one)
{
	put_until(3);
	kv_site_compact(&site, UINT64_MAX, 100);
	ck_assert_uint_eq(kv_compacted(site.bench.kv), 3);
	ck_assert_uint_eq(history().events_count, 0);
	ck_assert_uint_eq(history().bytes, 0);
	ck_assert_uint_eq(history().oldest_time_us, 0);
	ck_assert(kv_site_has(&site, "a"));
	kv_site_put(&site, "a", "goes on");
	ck_assert_uint_eq(history().events_count, 1);
	kv_site_restart(&site);
}
END_TEST

START_TEST(what_is_gone_does_not_come_back)
{
	put_until(5);
	kv_site_compact(&site, 4, 100);
	kv_site_compact(&site, 2, 100);
	ck_assert_uint_eq(kv_compacted(site.bench.kv), 4);
	kv_site_compact(&site, 0, 100);
	ck_assert_uint_eq(kv_compacted(site.bench.kv), 4);
	ck_assert_uint_eq(history().events_count, 1);
}
END_TEST

START_TEST(a_deleted_key_is_forgotten_with_the_event_that_deleted_it)
{
	kv_site_put(&site, "a", "1");
	kv_site_delete(&site, "a");
	kv_site_put(&site, "b", "1");
	ck_assert_uint_eq(kv_site_count(&site, KV_TABLE_GONE), 1);
	kv_site_compact(&site, 1, 100);
	ck_assert_uint_eq(kv_site_count(&site, KV_TABLE_GONE), 1);
	kv_site_compact(&site, 2, 100);
	ck_assert_uint_eq(kv_site_count(&site, KV_TABLE_GONE), 0);
	kv_site_restart(&site);
}
END_TEST

/* Only the last one is remembered, and goes with its own event. */
START_TEST(a_key_deleted_twice_is_not_forgotten_with_the_first_event)
{
	kv_site_put(&site, "a", "1");
	kv_site_delete(&site, "a");
	kv_site_put(&site, "a", "2");
	kv_site_delete(&site, "a");
	kv_site_compact(&site, 2, 100);
	ck_assert_uint_eq(kv_site_count(&site, KV_TABLE_GONE), 1);
	kv_site_compact(&site, 3, 100);
	ck_assert_uint_eq(kv_site_count(&site, KV_TABLE_GONE), 1);
	kv_site_compact(&site, 4, 100);
	ck_assert_uint_eq(kv_site_count(&site, KV_TABLE_GONE), 0);
	kv_site_restart(&site);
}
END_TEST

/* The record of a key that is there again is in "kv": nothing else goes. */
START_TEST(a_key_that_is_back_stays)
{
	kv_site_put(&site, "a", "1");
	kv_site_delete(&site, "a");
	kv_site_put(&site, "a", "2");
	kv_site_compact(&site, 3, 100);
	ck_assert(kv_site_has(&site, "a"));
	ck_assert_uint_eq(kv_site_count(&site, KV_TABLE_GONE), 0);
	kv_site_delete(&site, "a");
	ck_assert_int_eq(kv_site_event(&site, 4, 0), KV_EVENT_DELETE);
	kv_site_restart(&site);
}
END_TEST

START_TEST(the_window_of_history_is_told)
{
	put_until(3);
	ck_assert_uint_eq(history().compacted, 0);
	ck_assert_uint_eq(history().events_count, 3);
	ck_assert_uint_gt(history().bytes, 3 * sizeof("value"));
	ck_assert_uint_eq(history().oldest_time_us, 2 * SECOND_US);
	kv_site_compact(&site, 1, 100);
	ck_assert_uint_eq(history().oldest_time_us, 3 * SECOND_US);
}
END_TEST

/* ---- What should be compacted ---- */

START_TEST(nothing_is_to_do_within_the_bounds)
{
	ck_assert_uint_eq(compaction(UINT64_MAX, 0, 100).count, 0);
	put_until(3);
	ck_assert_uint_eq(compaction(2 * SECOND_US, 1000, 100).count, 0);
	ck_assert_uint_eq(compaction(0, history().bytes, 100).count, 0);
}
END_TEST

START_TEST(what_is_too_old_is_to_go)
{
	struct kv_compaction found;

	/* Revision r at r + 1 seconds. */
	put_until(10);
	found = compaction(6 * SECOND_US, UINT64_MAX, 100);
	ck_assert_uint_eq(found.revision, 4);
	ck_assert_uint_eq(found.count, 4);
	ck_assert(!found.more);
	ck_assert_uint_eq(found.next_time_us, 6 * SECOND_US);
	found = compaction(6 * SECOND_US, UINT64_MAX, 3);
	ck_assert_uint_eq(found.revision, 3);
	ck_assert_uint_eq(found.count, 3);
	ck_assert(found.more);
	found = compaction(6 * SECOND_US, UINT64_MAX, 4);
	ck_assert_uint_eq(found.count, 4);
	ck_assert(!found.more);
	found = compaction(2 * SECOND_US, UINT64_MAX, 4);
	ck_assert_uint_eq(found.count, 0);
	ck_assert_uint_eq(found.next_time_us, 2 * SECOND_US);
}
END_TEST

START_TEST(what_is_too_much_is_to_go)
{
	struct kv_compaction found;
	uint64_t bytes;

	put_until(10);
	bytes = history().bytes;
	found = compaction(0, bytes - 1, 100);
	ck_assert_uint_eq(found.revision, 1);
	ck_assert_uint_eq(found.count, 1);
	found = compaction(0, 0, 100);
	ck_assert_uint_eq(found.revision, 10);
	ck_assert_uint_eq(found.next_time_us, 0);
	kv_site_compact(&site, found.revision, found.count);
	ck_assert_uint_eq(history().events_count, 0);
	ck_assert_uint_eq(compaction(0, 0, 100).count, 0);
}
END_TEST

/* A revision goes whole for a reader, though in parts from the disk. */
START_TEST(what_was_left_undone_is_to_go)
{
	struct kv_compaction found;

	put_until(10);
	kv_site_compact(&site, 8, 3);
	found = compaction(0, UINT64_MAX, 100);
	ck_assert_uint_eq(found.revision, 8);
	ck_assert_uint_eq(found.count, 5);
	found = compaction(0, UINT64_MAX, 2);
	ck_assert_uint_eq(found.count, 2);
	kv_site_compact(&site, found.revision, found.count);
	ck_assert_uint_eq(kv_compacted(site.bench.kv), 8);
	ck_assert_uint_eq(history().events_count, 5);
}
END_TEST

/* Large values go a few at a time: each is read to be deleted. */
START_TEST(a_compaction_is_bounded_in_bytes)
{
	char *value = malloc((1 << 20) + 1);

	memset(value, 'v', 1 << 20);
	value[1 << 20] = '\0';
	for (unsigned i = 0; i < 20; i++)
		kv_site_put(&site, "a", value);
	free(value);
	ck_assert_uint_le(compaction(UINT64_MAX, 0, 100).count, 6);
	ck_assert_uint_ge(compaction(UINT64_MAX, 0, 100).count, 4);
	ck_assert(compaction(UINT64_MAX, 0, 100).more);
}
END_TEST

Suite *
kv_compact_suite(void)
{
	Suite *suite = suite_create("kv_compact");
	TCase *commands = tcase_create("commands");
	TCase *looking = tcase_create("looking");

	tcase_add_checked_fixture(commands, set_up, tear_down);
	tcase_add_test(commands, history_is_gone_at_once_and_deleted_in_parts);
	tcase_add_test(
	    commands, a_revision_above_the_present_one_means_that_one);
	tcase_add_test(commands, what_is_gone_does_not_come_back);
	tcase_add_test(commands,
	    a_deleted_key_is_forgotten_with_the_event_that_deleted_it);
	tcase_add_test(commands,
	    a_key_deleted_twice_is_not_forgotten_with_the_first_event);
	tcase_add_test(commands, a_key_that_is_back_stays);
	suite_add_tcase(suite, commands);
	tcase_add_checked_fixture(looking, set_up, tear_down);
	tcase_add_test(looking, the_window_of_history_is_told);
	tcase_add_test(looking, nothing_is_to_do_within_the_bounds);
	tcase_add_test(looking, what_is_too_old_is_to_go);
	tcase_add_test(looking, what_is_too_much_is_to_go);
	tcase_add_test(looking, what_was_left_undone_is_to_go);
	tcase_add_test(looking, a_compaction_is_bounded_in_bytes);
	suite_add_tcase(suite, looking);
	return suite;
}
