/* Locks: queues of leases. */

#include "tests/unit/kv_site.h"
#include "tests/unit/suites.h"

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

static struct kv_lock
get_lock(const char *name)
{
	struct kv_lock lock = { 0 };

	ck_assert_int_eq(
	    kv_get_lock(site.bench.kv, slice_from_text(name), &lock), 0);
	return lock;
}

/* It stands in line. */
static void
expect_waits(const char *name, uint64_t token)
{
	ck_assert(slice_equal(
	    kv_site_lease(&site, token).lock, slice_from_text(name)));
	ck_assert_uint_ne(get_lock(name).token, token);
}

static void
expect_gone(uint64_t token)
{
	struct kv_lease lease;

	ck_assert_int_eq(
	    kv_get_lease(site.bench.kv, token, &lease), ERR_NOT_FOUND);
}

static void
expect_no_records(void)
{
	ck_assert_uint_eq(kv_site_count(&site, KV_TABLE_LOCK), 0);
	ck_assert_uint_eq(kv_site_count(&site, KV_TABLE_LEASE), 0);
	ck_assert_uint_eq(kv_site_count(&site, KV_TABLE_DEADLINE), 0);
}

START_TEST(a_free_lock_is_held_at_once)
{
	struct kv_lock lock;
	struct kv_output output;

	kv_site_put(&site, "a", "1");
	kv_site_lock(&site, "deploy", 7, 0);
	kv_site_expect(&site, KV_OK);
	ck_assert(site.bench.result.succeeded);
	ck_assert(site.bench.result.changed);
	ck_assert_uint_eq(site.bench.result.revision, 2);
	output = kv_site_output(&site);
	ck_assert_int_eq(output.kind, KV_OUTPUT_LEASE);
	ck_assert_uint_eq(output.lease, 7);
	ck_assert_uint_eq(output.ttl_us, KV_SITE_LOCK_TTL_US);
	lock = get_lock("deploy");
	ck_assert_uint_eq(lock.token, 7);
	ck_assert_uint_eq(lock.fence, 2);
	ck_assert(slice_equal(lock.holder, slice_from_text("h7")));
	ck_assert_uint_eq(lock.ttl_us, KV_SITE_LOCK_TTL_US);
	ck_assert_uint_eq(lock.deadline_us, 31 * SECOND_US);
	ck_assert_uint_eq(lock.waiting_count, 0);
	ck_assert(slice_equal(
	    kv_site_lease(&site, 7).lock, slice_from_text("deploy")));
	kv_site_restart(&site);
}
END_TEST

START_TEST(a_held_lock_is_refused_to_who_does_not_wait)
{
	struct kv_output output;

	kv_site_lock(&site, "deploy", 7, 0);
	kv_site_lock(&site, "deploy", 8, 0);
	kv_site_expect(&site, KV_LOCK_HELD);
	ck_assert(!site.bench.result.succeeded);
	ck_assert(!site.bench.result.changed);
	output = kv_site_output(&site);
	ck_assert_int_eq(output.kind, KV_OUTPUT_LOCK);
	ck_assert(slice_equal(output.value, slice_from_text("h7")));
	ck_assert_uint_eq(output.modified, 1);
	ck_assert_uint_eq(output.ttl_us, KV_SITE_LOCK_TTL_US);
	ck_assert_uint_eq(kv_site_count(&site, KV_TABLE_LOCK), 1);
	ck_assert_uint_eq(kv_site_count(&site, KV_TABLE_LEASE), 1);
	expect_gone(8);
}
END_TEST

START_TEST(a_token_in_use_is_refused)
{
	kv_site_grant(&site, 7, SECOND_US);
	kv_site_lock(&site, "deploy", 7, 0);
	kv_site_expect(&site, KV_LEASE_EXISTS);
	ck_assert_uint_eq(kv_site_holder(&site, "deploy"), 0);
	kv_site_lock(&site, "deploy", 8, 0);
	kv_site_lock(&site, "other", 8, 0);
	kv_site_expect(&site, KV_LEASE_EXISTS);
}
END_TEST

/* Names do not meet though one begins as the other does. */
START_TEST(locks_of_different_names_do_not_meet)
{
	kv_site_lock(&site, "a", 7, 0);
	kv_site_lock(&site, "aa", 8, 0);
	kv_site_lock(&site, "b", 9, 0);
	ck_assert_uint_eq(kv_site_holder(&site, "a"), 7);
	ck_assert_uint_eq(kv_site_holder(&site, "aa"), 8);
	ck_assert_uint_eq(kv_site_holder(&site, "b"), 9);
	ck_assert_uint_eq(kv_site_holder(&site, "c"), 0);
	kv_site_unlock(&site, "a", 8);
	kv_site_expect(&site, KV_LOCK_NOT_HELD);
	ck_assert_uint_eq(kv_site_holder(&site, "aa"), 8);
}
END_TEST

START_TEST(the_queue_is_in_the_order_of_arrival)
{
	kv_site_lock(&site, "deploy", 7, 0);
	/* Neither by token nor by who waits the longest. */
	kv_site_lock(&site, "deploy", 9, 60 * SECOND_US);
	kv_site_expect(&site, KV_OK);
	ck_assert(!site.bench.result.succeeded);
	ck_assert(!site.bench.result.changed);
	ck_assert_uint_eq(kv_site_output(&site).lease, 9);
	kv_site_lock(&site, "deploy", 8, 90 * SECOND_US);
	ck_assert_uint_eq(kv_site_holder(&site, "deploy"), 7);
	expect_waits("deploy", 9);
	expect_waits("deploy", 8);
	ck_assert_uint_eq(get_lock("deploy").waiting_count, 2);
	kv_site_unlock(&site, "deploy", 7);
	ck_assert_uint_eq(kv_site_holder(&site, "deploy"), 9);
	expect_gone(7);
	expect_waits("deploy", 8);
	kv_site_unlock(&site, "deploy", 9);
	ck_assert_uint_eq(kv_site_holder(&site, "deploy"), 8);
	kv_site_unlock(&site, "deploy", 8);
	ck_assert_uint_eq(kv_site_holder(&site, "deploy"), 0);
	expect_no_records();
	kv_site_restart(&site);
}
END_TEST

/* Its whole TTL from then, and a fence above the last one. */
START_TEST(a_hand_over_takes_a_revision)
{
	struct kv_lock lock;

	kv_site_lock(&site, "deploy", 7, 0);
	kv_site_lock(&site, "deploy", 8, 60 * SECOND_US);
	site.now_us += 20 * SECOND_US;
	kv_site_unlock(&site, "deploy", 7);
	kv_site_expect(&site, KV_OK);
	ck_assert(site.bench.result.changed);
	ck_assert_uint_eq(site.bench.result.revision, 2);
	lock = get_lock("deploy");
	ck_assert_uint_eq(lock.token, 8);
	ck_assert_uint_eq(lock.fence, 2);
	ck_assert(slice_equal(lock.holder, slice_from_text("h8")));
	ck_assert_uint_eq(lock.deadline_us, site.now_us + KV_SITE_LOCK_TTL_US);
	ck_assert_uint_eq(lock.waiting_count, 0);
}
END_TEST

START_TEST(a_release_that_nobody_waits_for_takes_no_revision)
{
	kv_site_lock(&site, "deploy", 7, 0);
	kv_site_unlock(&site, "deploy", 7);
	kv_site_expect(&site, KV_OK);
	ck_assert(!site.bench.result.changed);
	ck_assert_uint_eq(kv_site_revision(&site), 1);
	kv_site_lock(&site, "deploy", 8, 0);
	ck_assert_uint_eq(get_lock("deploy").fence, 2);
}
END_TEST

START_TEST(a_holder_that_expires_hands_over)
{
	kv_site_lock(&site, "deploy", 7, 0);
	kv_site_lock(&site, "deploy", 8, 60 * SECOND_US);
	site.now_us += KV_SITE_LOCK_TTL_US - 1;
	kv_site_expire(&site, 100);
	ck_assert_uint_eq(kv_site_holder(&site, "deploy"), 7);
	site.now_us += 1;
	kv_site_expire(&site, 100);
	ck_assert(site.bench.result.changed);
	ck_assert_uint_eq(kv_site_holder(&site, "deploy"), 8);
	ck_assert_uint_eq(
	    get_lock("deploy").deadline_us, site.now_us + KV_SITE_LOCK_TTL_US);
}
END_TEST

START_TEST(a_renewed_lock_is_held_on)
{
	kv_site_lock(&site, "deploy", 7, 0);
	site.now_us += 20 * SECOND_US;
	kv_site_renew(&site, 7);
	kv_site_expect(&site, KV_OK);
	site.now_us += 20 * SECOND_US;
	kv_site_expire(&site, 100);
	ck_assert_uint_eq(kv_site_holder(&site, "deploy"), 7);
	ck_assert_uint_eq(get_lock("deploy").fence, 1);
}
END_TEST

START_TEST(who_waits_gives_up_in_time)
{
	kv_site_lock(&site, "deploy", 7, 0);
	kv_site_lock(&site, "deploy", 8, 10 * SECOND_US);
	kv_site_lock(&site, "deploy", 9, 60 * SECOND_US);
	site.now_us += 10 * SECOND_US;
	kv_site_expire(&site, 100);
	ck_assert(!site.bench.result.changed);
	expect_gone(8);
	expect_waits("deploy", 9);
	ck_assert_uint_eq(get_lock("deploy").waiting_count, 1);
	kv_site_unlock(&site, "deploy", 7);
	ck_assert_uint_eq(kv_site_holder(&site, "deploy"), 9);
	kv_site_restart(&site);
}
END_TEST

START_TEST(who_waits_may_leave)
{
	kv_site_lock(&site, "deploy", 7, 0);
	kv_site_lock(&site, "deploy", 8, 10 * SECOND_US);
	kv_site_unlock(&site, "deploy", 8);
	kv_site_expect(&site, KV_OK);
	ck_assert(!site.bench.result.changed);
	ck_assert_uint_eq(get_lock("deploy").waiting_count, 0);
	kv_site_unlock(&site, "deploy", 7);
	expect_no_records();
}
END_TEST

/* Else it would wait longer than it asked for. */
START_TEST(a_token_that_waits_is_not_renewed)
{
	kv_site_lock(&site, "deploy", 7, 0);
	kv_site_lock(&site, "deploy", 8, 10 * SECOND_US);
	site.now_us += 5 * SECOND_US;
	kv_site_renew(&site, 8);
	kv_site_expect(&site, KV_LOCK_NOT_HELD);
	ck_assert_uint_eq(kv_site_lease(&site, 8).deadline_us, 11 * SECOND_US);
}
END_TEST

START_TEST(a_revoked_token_leaves_its_lock)
{
	kv_site_lock(&site, "deploy", 7, 0);
	kv_site_lock(&site, "deploy", 8, 60 * SECOND_US);
	kv_site_put_lease(&site, "status", 7);
	kv_site_revoke(&site, 7);
	ck_assert_uint_eq(kv_site_holder(&site, "deploy"), 8);
	ck_assert(!kv_site_has(&site, "status"));
	/* The key and the hand-over have one revision. */
	ck_assert_uint_eq(kv_site_revision(&site), 3);
	ck_assert_uint_eq(get_lock("deploy").fence, 3);
}
END_TEST

START_TEST(who_does_not_hold_a_lock_cannot_release_it)
{
	kv_site_lock(&site, "deploy", 7, 0);
	kv_site_unlock(&site, "deploy", 8);
	kv_site_expect(&site, KV_LOCK_NOT_HELD);
	kv_site_grant(&site, 8, SECOND_US);
	kv_site_unlock(&site, "deploy", 8);
	kv_site_expect(&site, KV_LOCK_NOT_HELD);
	kv_site_unlock(&site, "other", 7);
	kv_site_expect(&site, KV_LOCK_NOT_HELD);
	ck_assert_uint_eq(kv_site_holder(&site, "deploy"), 7);
	kv_site_lease(&site, 8);
}
END_TEST

/* Many end in one command: each hands over to the next, whose own end is not
 * there yet. */
START_TEST(each_holder_has_its_whole_ttl)
{
	for (uint64_t token = 1; token <= 3; token++)
		kv_site_lock(&site, "deploy", token, 1000 * SECOND_US);
	for (uint64_t token = 1; token <= 3; token++) {
		ck_assert_uint_eq(kv_site_holder(&site, "deploy"), token);
		site.now_us += KV_SITE_LOCK_TTL_US;
		kv_site_expire(&site, 100);
	}
	expect_no_records();
}
END_TEST

Suite *
kv_lock_suite(void)
{
	Suite *suite = suite_create("kv_lock");
	TCase *core = tcase_create("core");

	tcase_add_checked_fixture(core, set_up, tear_down);
	tcase_add_test(core, a_free_lock_is_held_at_once);
	tcase_add_test(core, a_held_lock_is_refused_to_who_does_not_wait);
	tcase_add_test(core, a_token_in_use_is_refused);
	tcase_add_test(core, locks_of_different_names_do_not_meet);
	tcase_add_test(core, the_queue_is_in_the_order_of_arrival);
	tcase_add_test(core, a_hand_over_takes_a_revision);
	tcase_add_test(core, a_release_that_nobody_waits_for_takes_no_revision);
	tcase_add_test(core, a_holder_that_expires_hands_over);
	tcase_add_test(core, a_renewed_lock_is_held_on);
	tcase_add_test(core, who_waits_gives_up_in_time);
	tcase_add_test(core, who_waits_may_leave);
	tcase_add_test(core, a_token_that_waits_is_not_renewed);
	tcase_add_test(core, a_revoked_token_leaves_its_lock);
	tcase_add_test(core, who_does_not_hold_a_lock_cannot_release_it);
	tcase_add_test(core, each_holder_has_its_whole_ttl);
	suite_add_tcase(suite, core);
	return suite;
}
