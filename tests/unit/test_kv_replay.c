/* Answers kept for commands with an identity. */

#include "tests/unit/kv_site.h"
#include "tests/unit/suites.h"

#include <stdio.h>

static struct kv_site site;

static void
set_up(void)
{
	kv_site_init(&site);
	site.identity = "key-1";
	site.digest = 1;
}

static void
tear_down(void)
{
	kv_site_release(&site);
}

START_TEST(a_repeated_command_gives_its_first_result_and_changes_nothing)
{
	struct kv_output output;

	kv_site_put(&site, "a", "1");
	ck_assert(!site.bench.result.replayed);
	site.identity = NULL;
	kv_site_put(&site, "a", "2");
	site.identity = "key-1";
	site.now_us += 5 * SECOND_US;
	kv_site_put(&site, "a", "1");
	kv_site_expect(&site, KV_OK);
	ck_assert(site.bench.result.replayed);
	ck_assert(site.bench.result.succeeded);
	ck_assert_uint_eq(site.bench.result.revision, 1);
	output = kv_site_output(&site);
	ck_assert_int_eq(output.kind, KV_OUTPUT_WRITTEN);
	ck_assert_uint_eq(output.modified, 1);
	ck_assert(slice_equal(output.key, slice_from_text("a")));
	ck_assert_uint_eq(kv_site_revision(&site), 2);
}
END_TEST

START_TEST(another_command_with_the_same_identity_is_refused)
{
	kv_site_put(&site, "a", "1");
	site.digest = 2;
	kv_site_put(&site, "b", "1");
	kv_site_expect(&site, KV_REUSED);
	ck_assert(!site.bench.result.succeeded);
	ck_assert(!site.bench.result.replayed);
	ck_assert_uint_eq(site.bench.result.revision, 1);
	ck_assert(!kv_site_has(&site, "b"));
	/* Nor did that displace the first one. */
	site.digest = 1;
	kv_site_put(&site, "a", "1");
	ck_assert(site.bench.result.replayed);
}
END_TEST

START_TEST(another_identity_is_another_command)
{
	kv_site_put(&site, "a", "1");
	site.identity = "key-2";
	kv_site_put(&site, "a", "1");
	ck_assert(!site.bench.result.replayed);
	ck_assert_uint_eq(kv_site_revision(&site), 2);
}
END_TEST

/* What was refused is refused again, though it would pass by now. */
START_TEST(a_refusal_is_repeated_too)
{
	site.identity = NULL;
	kv_site_lock(&site, "deploy", 7, 0);
	site.identity = "key-1";
	kv_site_lock(&site, "deploy", 8, 0);
	kv_site_expect(&site, KV_LOCK_HELD);
	site.identity = NULL;
	kv_site_unlock(&site, "deploy", 7);
	site.identity = "key-1";
	kv_site_lock(&site, "deploy", 9, 0);
	kv_site_expect(&site, KV_LOCK_HELD);
	ck_assert(site.bench.result.replayed);
	ck_assert(
	    slice_equal(kv_site_output(&site).value, slice_from_text("h7")));
	ck_assert_uint_eq(kv_site_holder(&site, "deploy"), 0);
}
END_TEST

/* The repetition brings another random id: the first one counts. */
START_TEST(a_repeated_grant_gives_the_first_id)
{
	kv_site_grant(&site, 7, 15 * SECOND_US);
	kv_site_grant(&site, 8, 15 * SECOND_US);
	ck_assert(site.bench.result.replayed);
	ck_assert_uint_eq(kv_site_output(&site).lease, 7);
	ck_assert_uint_eq(kv_site_count(&site, KV_TABLE_LEASE), 1);
}
END_TEST

START_TEST(answers_outlive_a_restart)
{
	kv_site_put(&site, "a", "1");
	kv_site_restart(&site);
	kv_site_put(&site, "a", "1");
	ck_assert(site.bench.result.replayed);
}
END_TEST

START_TEST(an_answer_is_known_until_its_time_is_over)
{
	uint64_t first = 0;

	kv_site_put(&site, "a", "1");
	ck_assert_int_eq(kv_first_replay(site.bench.kv, &first), 0);
	ck_assert_uint_eq(first, site.now_us + KV_REPLAY_US);
	site.now_us += KV_REPLAY_US - 1;
	kv_site_put(&site, "a", "1");
	ck_assert(site.bench.result.replayed);
	/* Still stored, but known no more. */
	site.now_us += 1;
	ck_assert_uint_eq(kv_site_count(&site, KV_TABLE_REPLAY), 1);
	kv_site_put(&site, "a", "1");
	ck_assert(!site.bench.result.replayed);
	ck_assert_uint_eq(kv_site_revision(&site), 2);
	/* It took the place of the first one, and is as good. */
	ck_assert_uint_eq(kv_site_count(&site, KV_TABLE_REPLAY), 1);
	ck_assert_uint_eq(kv_site_count(&site, KV_TABLE_ORDER), 1);
	kv_site_put(&site, "a", "1");
	ck_assert(site.bench.result.replayed);
	kv_site_restart(&site);
}
END_TEST

static void
put_as(unsigned number)
{
	char identity[32];

	snprintf(identity, sizeof(identity), "key-%u", number);
	site.identity = identity;
	kv_site_put(&site, "a", "1");
	site.identity = NULL;
}

START_TEST(a_few_that_are_too_old_are_dropped_with_each_that_is_kept)
{
	for (unsigned i = 0; i < 10; i++)
		put_as(i);
	ck_assert_uint_eq(kv_site_count(&site, KV_TABLE_REPLAY), 10);
	site.now_us += KV_REPLAY_US;
	put_as(10);
	ck_assert_uint_lt(kv_site_count(&site, KV_TABLE_REPLAY), 10);
	ck_assert_uint_gt(kv_site_count(&site, KV_TABLE_REPLAY), 1);
	for (unsigned i = 11; i < 14; i++)
		put_as(i);
	ck_assert_uint_eq(kv_site_count(&site, KV_TABLE_REPLAY), 4);
	ck_assert_uint_eq(kv_site_count(&site, KV_TABLE_ORDER), 4);
	kv_site_restart(&site);
}
END_TEST

START_TEST(an_expire_drops_what_is_too_old)
{
	uint64_t first;

	for (unsigned i = 0; i < 10; i++)
		put_as(i);
	site.now_us += KV_REPLAY_US - 1;
	kv_site_expire(&site, 100);
	ck_assert_uint_eq(kv_site_count(&site, KV_TABLE_REPLAY), 10);
	site.now_us += 1;
	kv_site_expire(&site, 100);
	ck_assert_uint_eq(kv_site_count(&site, KV_TABLE_REPLAY), 0);
	ck_assert_uint_eq(kv_site_count(&site, KV_TABLE_ORDER), 0);
	ck_assert_int_eq(kv_first_replay(site.bench.kv, &first), ERR_NOT_FOUND);
}
END_TEST

START_TEST(the_oldest_go_when_there_are_too_many)
{
	for (unsigned i = 0; i < KV_REPLAYS_MAX; i++)
		put_as(i);
	put_as(0);
	ck_assert(site.bench.result.replayed);
	put_as(KV_REPLAYS_MAX);
	ck_assert(!site.bench.result.replayed);
	ck_assert_uint_eq(
	    kv_site_count(&site, KV_TABLE_REPLAY), KV_REPLAYS_MAX);
	put_as(1);
	ck_assert(site.bench.result.replayed);
	put_as(0);
	ck_assert(!site.bench.result.replayed);
}
END_TEST

/* Reads the key "big" as a command with an identity. */
static void
get_big_as(unsigned number)
{
	struct kv_op op = { .kind = KV_GET, .key = slice_from_text("big") };
	struct kv_identity identity = { .digest = 1 };
	struct buf command = { 0 };
	char text[32];

	snprintf(text, sizeof(text), "big-%u", number);
	identity.key = slice_from_text(text);
	kv_encode_transaction(&command, &identity);
	kv_encode_op(&command, KV_THEN, &op);
	kv_site_apply(&site, &command);
	kv_site_expect(&site, KV_OK);
}

static uint64_t
kept_bytes(void)
{
	return site.bench.kv->state.sums[KV_TABLE_REPLAY].bytes;
}

START_TEST(the_oldest_go_when_they_are_too_large_together)
{
	static uint8_t value[KV_REPLAY_OUTPUT_BYTES_MAX];
	unsigned fit = KV_REPLAYS_BYTES_MAX / KV_REPLAY_OUTPUT_BYTES_MAX;
	struct buf command = { 0 };
	uint64_t count;

	kv_encode_put(
	    &command, slice_from_text("big"), slice_of(value, sizeof(value)));
	kv_site_apply(&site, &command);
	for (unsigned i = 0; i < 5000; i++)
		put_as(i);
	for (unsigned i = 0; i < fit - 1; i++) {
		get_big_as(i);
		ck_assert_uint_le(kept_bytes(), KV_REPLAYS_BYTES_MAX);
	}
	/* The small ones went first, many for one large one, and no more of
	 * them than had to. */
	count = kv_site_count(&site, KV_TABLE_REPLAY);
	ck_assert_uint_gt(
	    kept_bytes(), KV_REPLAYS_BYTES_MAX - KV_REPLAY_OUTPUT_BYTES_MAX);
	ck_assert_uint_eq(kv_site_count(&site, KV_TABLE_ORDER), count);
	get_big_as(0);
	ck_assert(site.bench.result.replayed);
	for (unsigned i = fit - 1; i < fit + 2; i++) {
		get_big_as(i);
		ck_assert_uint_le(kept_bytes(), KV_REPLAYS_BYTES_MAX);
	}
	get_big_as(fit + 1);
	ck_assert(site.bench.result.replayed);
	get_big_as(0);
	ck_assert(!site.bench.result.replayed);
	kv_site_restart(&site);
}
END_TEST

Suite *
kv_replay_suite(void)
{
	Suite *suite = suite_create("kv_replay");
	TCase *core = tcase_create("core");

	tcase_add_checked_fixture(core, set_up, tear_down);
	tcase_add_test(core,
	    a_repeated_command_gives_its_first_result_and_changes_nothing);
	tcase_add_test(core, another_command_with_the_same_identity_is_refused);
	tcase_add_test(core, another_identity_is_another_command);
	tcase_add_test(core, a_refusal_is_repeated_too);
	tcase_add_test(core, a_repeated_grant_gives_the_first_id);
	tcase_add_test(core, answers_outlive_a_restart);
	tcase_add_test(core, an_answer_is_known_until_its_time_is_over);
	tcase_add_test(
	    core, a_few_that_are_too_old_are_dropped_with_each_that_is_kept);
	tcase_add_test(core, an_expire_drops_what_is_too_old);
	tcase_add_test(core, the_oldest_go_when_there_are_too_many);
	tcase_add_test(core, the_oldest_go_when_they_are_too_large_together);
	suite_add_tcase(suite, core);
	return suite;
}
