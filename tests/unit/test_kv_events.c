/* Events: what changed from one revision to another, in order. */

#include "common/codec.h"
#include "common/macros.h"
#include "kv/kv_impl.h"
#include "tests/unit/past_site.h"
#include "tests/unit/suites.h"

/* A reader of events, and what it was told. */
struct follower {
	struct kv_range range;
	uint64_t revision;
	struct buf told;
	unsigned count;
	unsigned revisions_count; /* that were told to their end */
};

static const char *
name_of(enum kv_event_type type)
{
	switch (type) {
	case KV_EVENT_PUT: return "put ";
	case KV_EVENT_DELETE: return "delete ";
	case KV_EVENT_EXPIRE: return "expire ";
	}
	return "?";
}

/* "3+ put "key"=value ..., was ...": with a plus if there are more. */
static void
tell(void *context, const struct kv_event *event)
{
	struct follower *follower = context;
	struct buf *to = &follower->told;

	follower->count++;
	follower->revisions_count += !event->more;
	buf_printf(to, "%lu%s %s", (unsigned long)event->revision,
	    event->more ? "+" : "", name_of(event->type));
	past_show(
	    to, event->key, event->type == KV_EVENT_PUT ? &event->item : NULL);
	if (!event->existed)
		return;
	to->size--;
	buf_append_text(to, ", was ");
	past_show(to, event->key, &event->previous);
}

static int
read_some(struct follower *follower, uint64_t until, uint32_t events_max,
    size_t bytes_max)
{
	return kv_read_events(past.bench.kv, &follower->range, until,
	    events_max, bytes_max, tell, follower, &follower->revision);
}

static void
read_all(struct follower *follower)
{
	uint64_t now = kv_revision(past.bench.kv);

	ck_assert_int_eq(read_some(follower, now, 1000000, 1 << 30), 0);
	ck_assert_uint_eq(follower->revision, now);
}

static void
expect_told(struct follower *follower, const char *expected)
{
	past_expect_text(&follower->told, expected);
}

static void
release(struct follower *follower)
{
	buf_release(&follower->told);
}

static void
add_put(struct buf *command, const char *key, const char *value)
{
	struct kv_op op = { .kind = KV_PUT,
		.key = slice_from_text(key),
		.value = slice_from_text(value) };

	kv_encode_op(command, KV_THEN, &op);
}

static void
add_delete(struct buf *command, const char *key)
{
	struct kv_op op = { .kind = KV_DELETE, .key = slice_from_text(key) };

	kv_encode_op(command, KV_THEN, &op);
}

/* Puts all of these letters as keys, in one revision. */
static void
put_together(const char *letters, const char *value)
{
	struct buf command = { 0 };

	kv_encode_transaction(&command, NULL);
	for (; *letters != '\0'; letters++) {
		char key[2] = { *letters, '\0' };

		add_put(&command, key, value);
	}
	past_apply(&command);
	buf_release(&command);
}

START_TEST(kv_events_are_told_in_order_with_what_was_before)
{
	struct follower follower = { .revision = 0 };

	past_put("b", "one");
	past_put("a", "two");
	past_put("b", "three");
	past_delete("b");
	past_put("b", "five");
	read_all(&follower);
	expect_told(&follower, "1 put \"b\"=one 1/1/1\n"
			       "2 put \"a\"=two 2/2/1\n"
			       "3 put \"b\"=three 1/3/2, was \"b\"=one 1/1/1\n"
			       "4 delete \"b\" -, was \"b\"=three 1/3/2\n"
			       "5 put \"b\"=five 5/5/1\n");
	release(&follower);
}
END_TEST

/* What takes no revision is told to nobody; an expiry as what it is. */
START_TEST(kv_events_are_of_what_changed)
{
	struct follower follower = { .revision = 0 };
	struct buf command = { 0 };

	past_put_for(slice_from_text("a"), slice_from_text("v"), 3000000, 0);
	past_delete("missing");
	past_touch("a", 2000000);
	kv_encode_grant(&command, NULL, 9, 60000000);
	past_apply(&command);
	ck_assert_uint_eq(kv_revision(past.bench.kv), 1);
	past.time_us += 5000000;
	kv_encode_expire(&command, UINT64_MAX, 10);
	past_apply(&command);
	read_all(&follower);
	expect_told(&follower,
	    "1 put \"a\"=v 1/1/1 d5000000\n"
	    "2 expire \"a\" -, was \"a\"=v 1/1/1 d5000000\n");
	buf_release(&command);
	release(&follower);
}
END_TEST

/* One event of a key, of what the command made of it in the end. */
START_TEST(kv_events_of_a_command_are_one_for_a_key)
{
	struct follower follower = { .revision = 1 };
	struct buf command = { 0 };

	past_put("a", "before");
	kv_encode_transaction(&command, NULL);
	add_put(&command, "b", "one");
	add_put(&command, "a", "one");
	add_put(&command, "c", "one");
	add_delete(&command, "c");
	add_put(&command, "b", "two");
	add_delete(&command, "a");
	past_apply(&command);
	read_all(&follower);
	expect_told(&follower, "2+ put \"b\"=two 2/2/1\n"
			       "2 delete \"a\" -, was \"a\"=before 1/1/1\n");
	buf_release(&command);
	release(&follower);
}
END_TEST

START_TEST(kv_events_of_a_revision_come_together)
{
	struct follower follower = { .revision = 0 };
	unsigned steps = 0;

	put_together("abc", "1");
	past_put("d", "2");
	put_together("ef", "3");
	/* Not even one fits, nor does any byte: always one revision. */
	while (follower.revision < kv_revision(past.bench.kv)) {
		ck_assert_int_eq(read_some(&follower, 3, 1, 1), 0);
		ck_assert_uint_eq(follower.revision, ++steps);
		ck_assert_uint_eq(follower.revisions_count, steps);
	}
	expect_told(&follower, "1+ put \"a\"=1 1/1/1\n1+ put \"b\"=1 1/1/1\n"
			       "1 put \"c\"=1 1/1/1\n"
			       "2 put \"d\"=2 2/2/1\n"
			       "3+ put \"e\"=3 3/3/1\n3 put \"f\"=3 3/3/1\n");
	release(&follower);
}
END_TEST

/* "More" are those of the range: the last of them is the last one told. */
START_TEST(kv_events_are_those_of_the_range)
{
	struct follower follower = { .range.start = slice_from_text("b"),
		.range.end = slice_from_text("d") };

	put_together("abcd", "1");
	put_together("dca", "2");
	put_together("ade", "3");
	past_delete("b");
	past_delete("a");
	read_all(&follower);
	expect_told(&follower, "1+ put \"b\"=1 1/1/1\n1 put \"c\"=1 1/1/1\n"
			       "2 put \"c\"=2 1/2/2, was \"c\"=1 1/1/1\n"
			       "4 delete \"b\" -, was \"b\"=1 1/1/1\n");
	release(&follower);
}
END_TEST

/* Those that are none of the range are looked at, too. */
START_TEST(kv_events_are_read_so_many_at_a_time)
{
	struct follower follower = { .range.start = slice_from_text("x") };

	for (int i = 0; i < 50; i++)
		past_put("a", "v");
	past_put("x", "v");
	for (uint64_t steps = 1; steps <= 5; steps++) {
		ck_assert_int_eq(read_some(&follower, 51, 10, 1 << 20), 0);
		ck_assert_uint_eq(follower.revision, 10 * steps);
		ck_assert_uint_eq(follower.count, 0);
	}
	ck_assert_int_eq(read_some(&follower, 51, 10, 1 << 20), 0);
	ck_assert_uint_eq(follower.revision, 51);
	ck_assert_uint_eq(follower.count, 1);
	release(&follower);
}
END_TEST

START_TEST(kv_events_are_told_so_many_bytes_at_a_time)
{
	static const uint8_t value[1000];
	struct follower follower = { .revision = 0 };

	for (int i = 0; i < 30; i++)
		past_put_for(
		    slice_from_text("a"), slice_of(value, sizeof(value)), 0, 0);
	/* The first has no value of before. */
	ck_assert_int_eq(read_some(&follower, 30, 1000, 9000), 0);
	ck_assert_uint_eq(follower.revision, 5);
	ck_assert_int_eq(read_some(&follower, 30, 1000, 9000), 0);
	ck_assert_uint_eq(follower.revision, 10);
	release(&follower);
}
END_TEST

START_TEST(kv_events_are_told_up_to_a_revision)
{
	struct follower follower = { .revision = 1 };

	past_put("a", "1");
	past_put("b", "2");
	put_together("cd", "3");
	past_put("e", "4");
	ck_assert_int_eq(read_some(&follower, 3, 100, 100), 0);
	ck_assert_uint_eq(follower.revision, 3);
	expect_told(&follower, "2 put \"b\"=2 2/2/1\n"
			       "3+ put \"c\"=3 3/3/1\n3 put \"d\"=3 3/3/1\n");
	ck_assert_int_eq(read_some(&follower, 3, 100, 100), 0);
	ck_assert_int_eq(read_some(&follower, 2, 100, 100), 0);
	ck_assert_uint_eq(follower.revision, 3);
	expect_told(&follower, "");
	release(&follower);
}
END_TEST

/* Revisions may have no event: a lock that changes hands. */
START_TEST(kv_events_go_on_over_revisions_without_any)
{
	struct kv_lock_request request = {
		.name = slice_from_text("l"), .token = 5, .ttl_us = 9000000
	};
	struct follower follower = { .revision = 0 };
	struct buf command = { 0 };

	kv_encode_lock(&command, NULL, &request);
	past_apply(&command);
	ck_assert_uint_eq(kv_revision(past.bench.kv), 1);
	read_all(&follower);
	ck_assert_uint_eq(follower.count, 0);
	past_put("a", "2");
	request.name = slice_from_text("m");
	request.token = 6;
	kv_encode_lock(&command, NULL, &request);
	past_apply(&command);
	read_all(&follower);
	ck_assert_uint_eq(follower.revision, 3);
	expect_told(&follower, "2 put \"a\"=2 2/2/1\n");
	buf_release(&command);
	release(&follower);
}
END_TEST

START_TEST(kv_events_before_what_is_gone_are_compacted)
{
	struct follower follower = { .revision = 2 };

	past_put("a", "1");
	past_put("a", "2");
	past_put("a", "3");
	past_put("a", "4");
	past_compact(3);
	ck_assert_int_eq(read_some(&follower, 4, 9, 99), ERR_COMPACTED);
	ck_assert_uint_eq(follower.revision, 2);
	ck_assert_uint_eq(follower.count, 0);
	/* It is an answer; and whoever has seen the edge goes on. */
	follower.revision = 3;
	read_all(&follower);
	expect_told(&follower, "4 put \"a\"=4 1/4/4, was \"a\"=3 1/3/3\n");
	release(&follower);
}
END_TEST

/* A version from before the edge can be what was there before an event. */
START_TEST(kv_events_know_what_was_before_the_edge)
{
	struct follower follower = { .revision = 3 };

	past_put("a", "1");
	past_put("b", "2");
	past_delete("b");
	past_compact(3);
	past_delete("a");
	past_put("b", "5");
	read_all(&follower);
	expect_told(&follower, "4 delete \"a\" -, was \"a\"=1 1/1/1\n"
			       "5 put \"b\"=5 5/5/1\n");
	release(&follower);
}
END_TEST

#define MANY 5000

/* A reader at the tip pays for what is new, however long the history is. */
START_TEST(kv_events_at_the_tip_cost_what_is_new)
{
	struct follower follower = { .revision = MANY };
	uint64_t before;

	for (int i = 0; i < MANY; i++)
		past_put("a", "v");
	before = store_mem_operations_count(past.bench.disk);
	read_all(&follower);
	ck_assert_uint_eq(store_mem_operations_count(past.bench.disk), before);
	past_put("a", "new");
	past_put("b", "new");
	before = store_mem_operations_count(past.bench.disk);
	read_all(&follower);
	ck_assert_uint_eq(follower.count, 2);
	/* A cursor, a move to each and past them, and a look at each key. */
	ck_assert_uint_le(
	    store_mem_operations_count(past.bench.disk) - before, 6);
	release(&follower);
}
END_TEST

/* Each item is near the one before: it is not looked for from the present. */
START_TEST(kv_events_of_one_key_cost_a_few_steps_each)
{
	struct follower follower = { .revision = 0 };
	uint64_t before;

	for (int i = 0; i < MANY; i++)
		past_put("a", "v");
	before = store_mem_operations_count(past.bench.disk);
	read_all(&follower);
	ck_assert_uint_eq(follower.count, MANY);
	/* A move, and three steps of the way. */
	ck_assert_uint_le(
	    store_mem_operations_count(past.bench.disk) - before, 4 * MANY);
	release(&follower);
}
END_TEST

START_TEST(kv_events_find_damage)
{
	struct follower follower = { .revision = 0 };
	uint8_t memory[KV_PLACE_SIZE];
	struct kv_place place = { .revision = 2 };
	struct slice event = kv_place_key(place, memory);
	struct slice key = slice_from_text("b");
	struct store_mem_disk *disk = past.bench.disk;

	past_put("a", "1");
	past_put("b", "2");
	ck_assert_int_eq(kv_checkpoint(past.bench.kv), 0);
	if (_i == 0)
		ck_assert(
		    store_mem_flip_bit(disk, KV_TABLE_HISTORY, event, 60));
	else if (_i == 1)
		ck_assert(store_mem_flip_bit(disk, KV_TABLE_KV, key, 60));
	else
		ck_assert(store_mem_replace(
		    disk, KV_TABLE_KV, key, slice_of(NULL, 0)));
	ck_assert_int_eq(read_some(&follower, 2, 9, 99), ERR_CORRUPT);
	ck_assert_uint_eq(follower.revision, 0);
	ck_assert_int_eq(read_some(&follower, 2, 9, 99), ERR_STOPPED);
	ck_assert_int_eq(kv_checkpoint(past.bench.kv), ERR_STOPPED);
	release(&follower);
}
END_TEST

Suite *
kv_events_suite(void)
{
	Suite *suite = suite_create("kv_events");
	TCase *core = past_site_case(suite, "core");

	tcase_add_test(core, kv_events_are_told_in_order_with_what_was_before);
	tcase_add_test(core, kv_events_are_of_what_changed);
	tcase_add_test(core, kv_events_of_a_command_are_one_for_a_key);
	tcase_add_test(core, kv_events_of_a_revision_come_together);
	tcase_add_test(core, kv_events_are_those_of_the_range);
	tcase_add_test(core, kv_events_are_read_so_many_at_a_time);
	tcase_add_test(core, kv_events_are_told_so_many_bytes_at_a_time);
	tcase_add_test(core, kv_events_are_told_up_to_a_revision);
	tcase_add_test(core, kv_events_go_on_over_revisions_without_any);
	tcase_add_test(core, kv_events_before_what_is_gone_are_compacted);
	tcase_add_test(core, kv_events_know_what_was_before_the_edge);
	tcase_add_test(core, kv_events_at_the_tip_cost_what_is_new);
	tcase_add_test(core, kv_events_of_one_key_cost_a_few_steps_each);
	tcase_add_loop_test(core, kv_events_find_damage, 0, 3);
	return suite;
}
