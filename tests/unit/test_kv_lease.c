/* Leases, deadlines and expiry. */

#include "tests/unit/kv_site.h"
#include "tests/unit/suites.h"

#include <stdio.h>

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

static void
expect_no_lease(uint64_t id)
{
	struct kv_lease lease;

	ck_assert_int_eq(
	    kv_get_lease(site.bench.kv, id, &lease), ERR_NOT_FOUND);
}

static void
expect_first_deadline(uint64_t us)
{
	uint64_t first = 0;

	ck_assert_int_eq(kv_first_deadline(site.bench.kv, &first), 0);
	ck_assert_uint_eq(first, us);
}

static void
expect_no_deadline(void)
{
	uint64_t first;

	ck_assert_int_eq(
	    kv_first_deadline(site.bench.kv, &first), ERR_NOT_FOUND);
}

/* ---- Leases ---- */

START_TEST(a_grant_makes_a_lease_without_a_revision)
{
	struct kv_output output;
	struct kv_lease lease;

	kv_site_grant(&site, 7, 15 * SECOND_US);
	kv_site_expect(&site, KV_OK);
	ck_assert(site.bench.result.succeeded);
	ck_assert(!site.bench.result.changed);
	ck_assert_uint_eq(kv_site_revision(&site), 0);
	output = kv_site_output(&site);
	ck_assert_int_eq(output.kind, KV_OUTPUT_LEASE);
	ck_assert_uint_eq(output.lease, 7);
	ck_assert_uint_eq(output.ttl_us, 15 * SECOND_US);
	lease = kv_site_lease(&site, 7);
	ck_assert_uint_eq(lease.id, 7);
	ck_assert_uint_eq(lease.ttl_us, 15 * SECOND_US);
	ck_assert_uint_eq(lease.deadline_us, 16 * SECOND_US);
	ck_assert_uint_eq(lease.keys_count, 0);
	ck_assert_uint_eq(lease.lock.size, 0);
}
END_TEST

START_TEST(a_second_grant_of_an_id_is_refused)
{
	kv_site_grant(&site, 7, 15 * SECOND_US);
	site.now_us += SECOND_US;
	kv_site_grant(&site, 7, 60 * SECOND_US);
	kv_site_expect(&site, KV_LEASE_EXISTS);
	ck_assert_uint_eq(kv_site_lease(&site, 7).deadline_us, 16 * SECOND_US);
}
END_TEST

START_TEST(a_renewal_gives_the_whole_ttl_again)
{
	kv_site_grant(&site, 7, 15 * SECOND_US);
	kv_site_put_lease(&site, "a", 7);
	site.now_us += 10 * SECOND_US;
	kv_site_renew(&site, 7);
	kv_site_expect(&site, KV_OK);
	ck_assert(!site.bench.result.changed);
	ck_assert_uint_eq(kv_site_output(&site).ttl_us, 15 * SECOND_US);
	expect_first_deadline(26 * SECOND_US);
	site.now_us += 14 * SECOND_US;
	kv_site_expire(&site, 100);
	ck_assert(kv_site_has(&site, "a"));
	site.now_us += SECOND_US;
	kv_site_expire(&site, 100);
	ck_assert(!kv_site_has(&site, "a"));
}
END_TEST

START_TEST(what_is_no_lease_is_neither_renewed_nor_revoked)
{
	kv_site_renew(&site, 7);
	kv_site_expect(&site, KV_LEASE_NOT_FOUND);
	kv_site_revoke(&site, 7);
	kv_site_expect(&site, KV_LEASE_NOT_FOUND);
	ck_assert_uint_eq(kv_site_revision(&site), 0);
	ck_assert_uint_eq(kv_site_count(&site, KV_TABLE_LEASE), 0);
	ck_assert_uint_eq(kv_site_count(&site, KV_TABLE_DEADLINE), 0);
}
END_TEST

START_TEST(a_revoke_deletes_all_keys_in_one_revision)
{
	kv_site_grant(&site, 7, 15 * SECOND_US);
	kv_site_put_lease(&site, "a", 7);
	kv_site_put_lease(&site, "b", 7);
	kv_site_put(&site, "c", "stays");
	kv_site_revoke(&site, 7);
	kv_site_expect(&site, KV_OK);
	ck_assert(site.bench.result.changed);
	ck_assert_uint_eq(site.bench.result.revision, 4);
	ck_assert(!kv_site_has(&site, "a"));
	ck_assert(!kv_site_has(&site, "b"));
	ck_assert(kv_site_has(&site, "c"));
	ck_assert_int_eq(kv_site_event(&site, 4, 0), KV_EVENT_DELETE);
	ck_assert_int_eq(kv_site_event(&site, 4, 1), KV_EVENT_DELETE);
	expect_no_lease(7);
	expect_no_deadline();
	ck_assert_uint_eq(kv_site_count(&site, KV_TABLE_ATTACHED), 0);
	kv_site_restart(&site);
}
END_TEST

START_TEST(a_revoke_of_a_lease_without_keys_takes_no_revision)
{
	kv_site_grant(&site, 7, 15 * SECOND_US);
	kv_site_revoke(&site, 7);
	kv_site_expect(&site, KV_OK);
	ck_assert(!site.bench.result.changed);
	ck_assert_uint_eq(kv_site_revision(&site), 0);
	expect_no_lease(7);
}
END_TEST

START_TEST(a_key_leaves_its_lease_when_it_is_written_without)
{
	kv_site_grant(&site, 7, 15 * SECOND_US);
	kv_site_put_lease(&site, "a", 7);
	kv_site_put_lease(&site, "b", 7);
	ck_assert_uint_eq(kv_site_lease(&site, 7).keys_count, 2);
	kv_site_put(&site, "a", "now for good");
	kv_site_delete(&site, "b");
	ck_assert_uint_eq(kv_site_lease(&site, 7).keys_count, 0);
	kv_site_put_lease(&site, "b", 7);
	kv_site_revoke(&site, 7);
	ck_assert(kv_site_has(&site, "a"));
	ck_assert(!kv_site_has(&site, "b"));
}
END_TEST

START_TEST(a_key_moves_from_lease_to_lease)
{
	kv_site_grant(&site, 7, 15 * SECOND_US);
	kv_site_grant(&site, 8, 25 * SECOND_US);
	kv_site_put_lease(&site, "a", 7);
	kv_site_put_lease(&site, "a", 8);
	ck_assert_uint_eq(kv_site_lease(&site, 7).keys_count, 0);
	ck_assert_uint_eq(kv_site_lease(&site, 8).keys_count, 1);
	kv_site_revoke(&site, 7);
	ck_assert(kv_site_has(&site, "a"));
	kv_site_revoke(&site, 8);
	ck_assert(!kv_site_has(&site, "a"));
}
END_TEST

START_TEST(a_put_under_a_lease_that_is_gone_is_refused)
{
	kv_site_put_lease(&site, "a", 7);
	kv_site_expect(&site, KV_LEASE_NOT_FOUND);
	ck_assert(!kv_site_has(&site, "a"));
}
END_TEST

START_TEST(leases_and_their_keys_are_listed_in_order)
{
	static const uint64_t ids[] = { 3, 9, UINT64_MAX };
	struct kv_lease lease = { .id = 0 };
	struct buf key = { 0 };

	kv_site_grant(&site, 9, 15 * SECOND_US);
	kv_site_grant(&site, UINT64_MAX, 15 * SECOND_US);
	kv_site_grant(&site, 3, 15 * SECOND_US);
	for (size_t i = 0; i < ARRAY_COUNT(ids); i++) {
		ck_assert_int_eq(
		    kv_next_lease(site.bench.kv, lease.id, &lease), 0);
		ck_assert_uint_eq(lease.id, ids[i]);
	}
	ck_assert_int_eq(
	    kv_next_lease(site.bench.kv, lease.id, &lease), ERR_NOT_FOUND);

	kv_site_put_lease(&site, "a", 9);
	kv_site_put_lease(&site, "ab", 9);
	kv_site_put_lease(&site, "x", UINT64_MAX);
	for (const char *const *want = (const char *const[]){ "a", "ab", NULL };
	     *want != NULL; want++) {
		ck_assert_int_eq(
		    kv_next_lease_key(site.bench.kv, 9, buf_slice(&key), &key),
		    0);
		ck_assert(slice_equal(buf_slice(&key), slice_from_text(*want)));
	}
	ck_assert_int_eq(
	    kv_next_lease_key(site.bench.kv, 9, buf_slice(&key), &key),
	    ERR_NOT_FOUND);
	ck_assert_int_eq(
	    kv_next_lease_key(site.bench.kv, 3, (struct slice){ 0 }, &key),
	    ERR_NOT_FOUND);
	buf_release(&key);
}
END_TEST

/* ---- Expiry ---- */

START_TEST(a_key_expires_at_its_deadline_and_not_before)
{
	kv_site_put_ttl(&site, "a", 5 * SECOND_US);
	expect_first_deadline(6 * SECOND_US);
	site.now_us = 6 * SECOND_US - 1;
	kv_site_expire(&site, 100);
	kv_site_expect(&site, KV_OK);
	ck_assert(!site.bench.result.changed);
	ck_assert(kv_site_has(&site, "a"));
	site.now_us = 6 * SECOND_US;
	kv_site_expire(&site, 100);
	ck_assert(site.bench.result.changed);
	ck_assert_uint_eq(site.bench.result.revision, 2);
	ck_assert(!kv_site_has(&site, "a"));
	ck_assert_int_eq(kv_site_event(&site, 2, 0), KV_EVENT_EXPIRE);
	expect_no_deadline();
	kv_site_restart(&site);
}
END_TEST

/* The stamp of the entry decides, whatever the leader asked for. */
START_TEST(nothing_expires_before_cluster_time_is_there)
{
	struct buf command = { 0 };

	kv_site_put_ttl(&site, "a", 5 * SECOND_US);
	kv_encode_expire(&command, UINT64_MAX, 100);
	kv_site_apply(&site, &command);
	ck_assert(kv_site_has(&site, "a"));
}
END_TEST

/* What the leader did not ask for is left, though it is due by the stamp. */
START_TEST(nothing_expires_after_the_time_asked_for)
{
	struct buf command = { 0 };

	kv_site_put_ttl(&site, "a", 5 * SECOND_US);
	site.now_us = 60 * SECOND_US;
	kv_encode_expire(&command, 6 * SECOND_US - 1, 100);
	kv_site_apply(&site, &command);
	ck_assert(kv_site_has(&site, "a"));
}
END_TEST

START_TEST(a_deadline_moves_with_each_change_of_the_key)
{
	kv_site_put_ttl(&site, "a", 5 * SECOND_US);
	site.now_us += 3 * SECOND_US;
	kv_site_put_ttl(&site, "a", 5 * SECOND_US);
	expect_first_deadline(9 * SECOND_US);
	kv_site_put(&site, "a", "for good");
	expect_no_deadline();
	kv_site_put_ttl(&site, "a", 5 * SECOND_US);
	kv_site_delete(&site, "a");
	expect_no_deadline();
	site.now_us += 60 * SECOND_US;
	kv_site_put(&site, "a", "again");
	kv_site_expire(&site, 100);
	ck_assert(kv_site_has(&site, "a"));
}
END_TEST

START_TEST(the_earliest_expire_first_and_the_limit_is_kept)
{
	kv_site_put_ttl(&site, "late", 5 * SECOND_US);
	kv_site_put_ttl(&site, "early", 2 * SECOND_US);
	kv_site_put_ttl(&site, "middle", 4 * SECOND_US);
	site.now_us += 60 * SECOND_US;
	kv_site_expire(&site, 2);
	ck_assert(!kv_site_has(&site, "early"));
	ck_assert(!kv_site_has(&site, "middle"));
	ck_assert(kv_site_has(&site, "late"));
	ck_assert_uint_eq(kv_site_revision(&site), 4);
	kv_site_expire(&site, 2);
	ck_assert(!kv_site_has(&site, "late"));
	ck_assert_uint_eq(kv_site_revision(&site), 5);
	kv_site_expire(&site, 0);
	ck_assert_uint_eq(kv_site_revision(&site), 5);
}
END_TEST

/* In one revision, and whole, though it has more keys than the limit; but then
 * nothing else begins. */
START_TEST(a_lease_ends_whole)
{
	struct kv_stats stats;

	kv_site_grant(&site, 7, 2 * SECOND_US);
	kv_site_put_lease(&site, "a", 7);
	kv_site_put_lease(&site, "b", 7);
	kv_site_put_lease(&site, "c", 7);
	kv_site_put_ttl(&site, "other", 3 * SECOND_US);
	site.now_us += 60 * SECOND_US;
	kv_site_expire(&site, 2);
	expect_no_lease(7);
	for (const char *key = "abc"; *key != '\0'; key++) {
		const char name[] = { *key, '\0' };

		ck_assert(!kv_site_has(&site, name));
	}
	ck_assert(kv_site_has(&site, "other"));
	ck_assert_uint_eq(kv_site_revision(&site), 5);
	for (uint32_t i = 0; i < 3; i++)
		ck_assert_int_eq(kv_site_event(&site, 5, i), KV_EVENT_EXPIRE);
	kv_site_expire(&site, 2);
	ck_assert(!kv_site_has(&site, "other"));
	kv_get_stats(site.bench.kv, &stats);
	ck_assert_uint_eq(stats.expired_count, 4);
	ck_assert_uint_eq(stats.leases_count, 0);
	kv_site_restart(&site);
}
END_TEST

START_TEST(a_lease_without_keys_expires_without_a_revision)
{
	kv_site_grant(&site, 7, 2 * SECOND_US);
	site.now_us += 2 * SECOND_US;
	kv_site_expire(&site, 100);
	ck_assert(!site.bench.result.changed);
	expect_no_lease(7);
	expect_no_deadline();
}
END_TEST

/* All of the keys that one may have, some of them changed in between. */
START_TEST(a_lease_takes_as_many_keys_as_it_may_have)
{
	char key[32];

	kv_site_grant(&site, 7, 2 * SECOND_US);
	for (unsigned i = 0; i < KV_LEASE_KEYS_MAX; i++) {
		snprintf(key, sizeof(key), "key/%05u", i);
		kv_site_put_lease(&site, key, 7);
	}
	kv_site_expect(&site, KV_OK);
	kv_site_put_lease(&site, "one/more", 7);
	kv_site_expect(&site, KV_TOO_MANY);
	ck_assert(!kv_site_has(&site, "one/more"));
	kv_site_put_lease(&site, "key/00000", 7);
	kv_site_expect(&site, KV_OK);
	kv_site_delete(&site, "key/00001");
	kv_site_put_lease(&site, "one/more", 7);
	kv_site_expect(&site, KV_OK);
	ck_assert_uint_eq(
	    kv_site_lease(&site, 7).keys_count, KV_LEASE_KEYS_MAX);
	site.now_us += 2 * SECOND_US;
	kv_site_expire(&site, 1);
	ck_assert_uint_eq(kv_site_count(&site, KV_TABLE_KV), 0);
	ck_assert_uint_eq(kv_site_count(&site, KV_TABLE_ATTACHED), 0);
	kv_site_restart(&site);
}
END_TEST

/* A sound record that is missing is damage, and stops the replica. */
START_TEST(a_deadline_of_nothing_is_damage)
{
	struct buf command = { 0 };

	ck_assert_int_eq(kv_deadline_add(site.bench.kv, 2 * SECOND_US,
			     slice_from_text("ghost")),
	    0);
	site.now_us += 2 * SECOND_US;
	kv_encode_expire(&command, site.now_us, 100);
	kv_bench_log_command(&site.bench, site.now_us, buf_slice(&command));
	buf_release(&command);
	ck_assert_int_eq(kv_bench_replay(&site.bench), ERR_CORRUPT);
	ck_assert_int_eq(
	    kv_first_deadline(site.bench.kv, &site.now_us), ERR_STOPPED);
}
END_TEST

Suite *
kv_lease_suite(void)
{
	Suite *suite = suite_create("kv_lease");
	TCase *leases = tcase_create("leases");
	TCase *expiry = tcase_create("expiry");

	tcase_add_checked_fixture(leases, set_up, tear_down);
	tcase_add_test(leases, a_grant_makes_a_lease_without_a_revision);
	tcase_add_test(leases, a_second_grant_of_an_id_is_refused);
	tcase_add_test(leases, a_renewal_gives_the_whole_ttl_again);
	tcase_add_test(leases, what_is_no_lease_is_neither_renewed_nor_revoked);
	tcase_add_test(leases, a_revoke_deletes_all_keys_in_one_revision);
	tcase_add_test(
	    leases, a_revoke_of_a_lease_without_keys_takes_no_revision);
	tcase_add_test(
	    leases, a_key_leaves_its_lease_when_it_is_written_without);
	tcase_add_test(leases, a_key_moves_from_lease_to_lease);
	tcase_add_test(leases, a_put_under_a_lease_that_is_gone_is_refused);
	tcase_add_test(leases, leases_and_their_keys_are_listed_in_order);
	suite_add_tcase(suite, leases);
	tcase_add_checked_fixture(expiry, set_up, tear_down);
	tcase_add_test(expiry, a_key_expires_at_its_deadline_and_not_before);
	tcase_add_test(expiry, nothing_expires_before_cluster_time_is_there);
	tcase_add_test(expiry, nothing_expires_after_the_time_asked_for);
	tcase_add_test(expiry, a_deadline_moves_with_each_change_of_the_key);
	tcase_add_test(expiry, the_earliest_expire_first_and_the_limit_is_kept);
	tcase_add_test(expiry, a_lease_ends_whole);
	tcase_add_test(expiry, a_lease_without_keys_expires_without_a_revision);
	tcase_add_test(expiry, a_lease_takes_as_many_keys_as_it_may_have);
	tcase_add_test(expiry, a_deadline_of_nothing_is_damage);
	suite_add_tcase(suite, expiry);
	return suite;
}
