/* Lists, now and at past revisions, in steps. */

#include "common/codec.h"
#include "common/macros.h"
#include "common/mem.h"
#include "kv/kv_impl.h"
#include "tests/unit/past_site.h"
#include "tests/unit/suites.h"
#include <stdlib.h>

static const struct kv_range everything;

/* A scan that shows what it takes, and what it does at each key. */
struct script {
	struct kv_scan scan;
	struct buf shown;
	unsigned taken;
	unsigned stop_at; /* which one is the last; 0: none is */
	unsigned back_at; /* which one is not taken */
	char delimiter;   /* behind it all is skipped; 0: nothing is */
};

static enum kv_scan_next
take(struct kv_scan *scan, struct slice key, const struct kv_item *item)
{
	struct script *script = CONTAINER_OF(scan, struct script, scan);
	const uint8_t *at = NULL;

	(void)item;
	script->taken++;
	if (script->taken == script->back_at)
		return KV_SCAN_BACK;
	if (script->delimiter != 0)
		at = memchr(key.data, script->delimiter, key.size);
	if (at != NULL)
		key.size = (size_t)(at - key.data) + 1;
	buf_append_slice(&script->shown, key);
	buf_append_text(&script->shown, " ");
	scan->skip_size = key.size;
	if (at != NULL)
		return KV_SCAN_SKIP;
	return script->taken == script->stop_at ? KV_SCAN_STOP : KV_SCAN_ON;
}

static void
step(struct script *script, uint32_t keys_max)
{
	script->scan.take = take;
	ck_assert_int_eq(
	    kv_scan_step(past.bench.kv, &script->scan, keys_max), 0);
}

/* All that is left, in steps of so many keys. */
static void
run(struct script *script, uint32_t keys_max)
{
	do
		step(script, keys_max);
	while (!script->scan.ended);
}

static void
expect_shown(struct script *script, const char *expected)
{
	past_expect_text(&script->shown, expected);
}

static void
release(struct script *script)
{
	kv_scan_release(&script->scan);
	buf_release(&script->shown);
}

/* The keys of a range at a revision, forward and reverse, in steps of one key,
 * some, and all. */
static void
expect_keys(const struct kv_range *range, uint64_t at, const char *forward,
    const char *reverse)
{
	static const uint32_t sizes[] = { 1, 2, 3, 1000 };

	for (size_t i = 0; i < 2 * ARRAY_COUNT(sizes); i++) {
		struct script script = { .scan = { .range = *range,
					     .at = at,
					     .reverse = i % 2 == 1 } };

		run(&script, sizes[i / 2]);
		expect_shown(&script, i % 2 == 1 ? reverse : forward);
		release(&script);
	}
}

static struct kv_range
range_of(const char *start, const char *end)
{
	return (struct kv_range){ .start = slice_from_text(start),
		.end = slice_from_text(end) };
}

static void
expect_range(const char *start, const char *end, const char *forward,
    const char *reverse)
{
	struct kv_range range = range_of(start, end);

	expect_keys(&range, 0, forward, reverse);
	expect_keys(&range, kv_revision(past.bench.kv), forward, reverse);
}

static void
put_all(const char *const *keys, size_t count)
{
	for (size_t i = 0; i < count; i++)
		past_put(keys[i], "v");
}

START_TEST(kv_range_of_prefix_ends_above_its_keys)
{
	static const struct {
		const char *prefix;
		const char *end;
	} cases[] = { { "", "" }, { "a", "b" }, { "a/", "a0" },
		{ "a\xff", "b" }, { "a\xff\xff", "b" }, { "a\xfe", "a\xff" },
		{ "\xff", "" }, { "\xff\xff", "" } };
	uint8_t memory[8];

	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		struct slice prefix = slice_from_text(cases[i].prefix);
		struct kv_range range = kv_range_of_prefix(prefix, memory);

		ck_assert(slice_equal(range.start, prefix));
		ck_assert(
		    slice_equal(range.end, slice_from_text(cases[i].end)));
	}
}
END_TEST

START_TEST(kv_range_has_its_start_and_not_its_end)
{
	struct kv_range range = range_of("b", "d");
	struct kv_range open = range_of("b", "");

	ck_assert(!kv_range_has(&range, slice_from_text("a")));
	ck_assert(kv_range_has(&range, slice_from_text("b")));
	ck_assert(kv_range_has(&range, slice_from_text("cz")));
	ck_assert(!kv_range_has(&range, slice_from_text("d")));
	ck_assert(kv_range_has(&open, slice_from_text("\xff\xff")));
	ck_assert(kv_range_has(&everything, slice_from_text("a")));
}
END_TEST

START_TEST(kv_scan_shows_a_range_in_order)
{
	static const char *const keys[] = { "b", "a", "d", "ab", "c" };

	expect_range("", "", "", "");
	put_all(keys, ARRAY_COUNT(keys));
	expect_range("", "", "a ab b c d ", "d c b ab a ");
	expect_range("ab", "d", "ab b c ", "c b ab ");
	expect_range("aa", "cc", "ab b c ", "c b ab ");
	expect_range("e", "", "", "");
	expect_range("", "a", "", "");
	expect_range("c", "b", "", "");
	expect_range("c", "c", "", "");
}
END_TEST

/* At each revision of a history with every kind of change. */
START_TEST(kv_scan_at_a_revision_shows_what_was_there)
{
	past_put("a", "1");
	past_put("c", "2");
	past_delete("a");
	past_put("b", "4");
	past_put("a", "5");
	past_delete("c");
	past_delete("b");
	past_put("c", "8");
	expect_keys(&everything, 1, "a ", "a ");
	expect_keys(&everything, 2, "a c ", "c a ");
	expect_keys(&everything, 3, "c ", "c ");
	expect_keys(&everything, 4, "b c ", "c b ");
	expect_keys(&everything, 5, "a b c ", "c b a ");
	expect_keys(&everything, 6, "a b ", "b a ");
	expect_keys(&everything, 7, "a ", "a ");
	expect_keys(&everything, 8, "a c ", "c a ");
}
END_TEST

/* Items are those of then. */
START_TEST(kv_scan_at_a_revision_shows_old_items)
{
	struct buf shown = { 0 };

	past_put("a", "one");
	past_put("a", "two");
	past_put("b", "gone later");
	past_delete("b");
	past_put("a", "three");
	past_list(&shown, &everything, 3, false, 10);
	past_expect_text(&shown, "\"a\"=two 1/2/2\n\"b\"=gone later 3/3/1\n");
	past_list(&shown, &everything, 4, true, 10);
	past_expect_text(&shown, "\"a\"=two 1/2/2\n");
	past_list(&shown, &everything, 0, false, 10);
	past_expect_text(&shown, "\"a\"=three 1/5/3\n");
	buf_release(&shown);
}
END_TEST

START_TEST(kv_scan_stops_behind_a_key_and_goes_on)
{
	static const char *const keys[] = { "a", "b", "c", "d" };

	put_all(keys, ARRAY_COUNT(keys));
	for (int reverse = 0; reverse <= 1; reverse++) {
		struct script script = { .scan = { .reverse = reverse },
			.stop_at = 2 };

		step(&script, 100);
		ck_assert(!script.scan.ended);
		expect_shown(&script, reverse ? "d c " : "a b ");
		step(&script, 100);
		expect_shown(&script, reverse ? "b a " : "c d ");
		ck_assert(script.scan.ended);
		step(&script, 100);
		expect_shown(&script, "");
		release(&script);
	}
}
END_TEST

START_TEST(kv_scan_goes_on_with_a_key_that_was_not_taken)
{
	static const char *const keys[] = { "a", "b", "c" };

	put_all(keys, ARRAY_COUNT(keys));
	for (int reverse = 0; reverse <= 1; reverse++) {
		struct script script = { .scan = { .reverse = reverse },
			.back_at = 2 };

		step(&script, 100);
		expect_shown(&script, reverse ? "c " : "a ");
		step(&script, 100);
		expect_shown(&script, reverse ? "b a " : "b c ");
		release(&script);
	}
}
END_TEST

/* Whether it is the first key of a prefix or the last that is skipped from. */
START_TEST(kv_scan_skips_a_prefix)
{
	static const char *const keys[] = { "a", "d/", "d/1", "d/2/x", "d0",
		"e/1", "e/2", "f", "g/1", "g/2" };

	put_all(keys, ARRAY_COUNT(keys));
	for (uint32_t keys_max = 1; keys_max < 12; keys_max++) {
		for (int reverse = 0; reverse <= 1; reverse++) {
			struct script script = { .scan = { .reverse = reverse },
				.delimiter = '/' };

			run(&script, keys_max);
			expect_shown(&script,
			    reverse ? "g/ f e/ d0 d/ a " : "a d/ d0 e/ f g/ ");
			release(&script);
		}
	}
}
END_TEST

/* Of what is deleted since then as well; and a skip costs one look. */
START_TEST(kv_scan_at_a_revision_skips_a_prefix)
{
	static const char *const keys[] = { "a/1", "a/2", "a/3", "b/1", "b/2",
		"c" };
	uint64_t at;

	put_all(keys, ARRAY_COUNT(keys));
	at = kv_revision(past.bench.kv);
	past_delete("a/1");
	past_delete("a/3");
	past_delete("b/1");
	past_delete("b/2");
	past_put("a/4", "later");
	for (int reverse = 0; reverse <= 1; reverse++) {
		struct script script = { .scan = { .at = at,
					     .reverse = reverse },
			.delimiter = '/' };

		/* Reverse, the first look is at the key that came later. */
		step(&script, reverse ? 4 : 3);
		expect_shown(&script, reverse ? "c b/ a/ " : "a/ b/ c ");
		release(&script);
	}
}
END_TEST

START_TEST(kv_scan_skips_a_prefix_that_nothing_is_above)
{
	static const char *const keys[] = { "a",
		"\xff\xff"
		"1",
		"\xff\xff"
		"2" };

	put_all(keys, ARRAY_COUNT(keys));
	for (int reverse = 0; reverse <= 1; reverse++) {
		struct script script = { .scan = { .reverse = reverse },
			.delimiter = '\xff' };

		run(&script, 1);
		expect_shown(&script, reverse ? "\xff a " : "a \xff ");
		release(&script);
	}
}
END_TEST

static void
expect_from(const char *position, bool reverse, const char *expected)
{
	struct script script = { .scan = { .range = range_of("b", "e"),
				     .reverse = reverse } };

	buf_append_text(&script.scan.position, position);
	run(&script, 2);
	expect_shown(&script, expected);
	release(&script);
}

/* As a client gives it: what was shown last, whatever has become of it. */
START_TEST(kv_scan_begins_behind_a_position)
{
	static const char *const keys[] = { "a", "b", "c", "d", "e" };

	put_all(keys, ARRAY_COUNT(keys));
	expect_from("b", false, "c d ");
	expect_from("bb", false, "c d ");
	expect_from("d", false, "");
	expect_from("x", false, "");
	expect_from("a", false, "b c d ");
	expect_from("d", true, "c b ");
	expect_from("cc", true, "c b ");
	expect_from("b", true, "");
	expect_from("a", true, "");
	expect_from("e", true, "d c b ");
	expect_from("x", true, "d c b ");
}
END_TEST

/* Bounds and positions may be longer than any key. */
START_TEST(kv_scan_takes_bounds_of_any_size)
{
	uint8_t bytes[2000];
	struct slice longest = slice_of(bytes, KV_KEY_SIZE_MAX);
	struct kv_range range = { .start = slice_of(bytes, sizeof(bytes)) };

	memset(bytes, 'm', sizeof(bytes));
	past_put("a", "1");
	past_put("z", "1");
	past_put_for(longest, slice_from_text("v"), 0, 0);
	expect_keys(&range, 0, "z ", "z ");
	range = (struct kv_range){ .end = slice_of(bytes, sizeof(bytes)) };
	for (int reverse = 0; reverse <= 1; reverse++) {
		struct script script = { .scan = { .range = range,
					     .reverse = reverse } };

		run(&script, 1);
		ck_assert_uint_eq(script.taken, 2);
		release(&script);
	}
}
END_TEST

/* Without a revision each step shows what is there by then; with one, no. */
START_TEST(kv_scan_now_sees_changes_between_steps)
{
	static const char *const keys[] = { "a", "c", "d" };
	struct script now = { .taken = 0 };
	struct script then = { .taken = 0 };

	put_all(keys, ARRAY_COUNT(keys));
	then.scan.at = kv_revision(past.bench.kv);
	step(&now, 1);
	step(&then, 1);
	past_put("b", "new");
	past_delete("a");
	past_delete("c");
	run(&now, 1);
	run(&then, 1);
	expect_shown(&now, "a b d ");
	expect_shown(&then, "a c d ");
	release(&now);
	release(&then);
}
END_TEST

#define MANY 200

/* Keys that are gone count as well, and cost no more than others. */
START_TEST(kv_scan_step_looks_at_so_many_keys)
{
	struct script script = { .taken = 0 };
	uint64_t before;
	unsigned steps = 0;

	for (int i = 0; i < MANY; i++) {
		uint8_t key[4];

		codec_store_u32(key, (uint32_t)i + 0x61000000);
		past_put_for(slice_of(key, 4), slice_of(NULL, 0), 0, 0);
	}
	past_put("z", "1");
	script.scan.at = kv_revision(past.bench.kv);
	for (int i = 0; i < MANY; i++) {
		struct buf command = { 0 };
		uint8_t key[4];

		codec_store_u32(key, (uint32_t)i + 0x61000000);
		kv_encode_delete(&command, slice_of(key, 4));
		past_apply(&command);
		buf_release(&command);
	}
	while (!script.scan.ended) {
		unsigned taken = script.taken;

		before = store_mem_operations_count(past.bench.disk);
		step(&script, 10);
		ck_assert_uint_le(script.taken, taken + 10);
		/* Moves and looks into history, and 6 to begin. */
		ck_assert_uint_le(
		    store_mem_operations_count(past.bench.disk) - before,
		    2 * 10 + 6);
		steps++;
	}
	ck_assert_uint_eq(script.taken, MANY + 1);
	ck_assert_uint_eq(steps, MANY / 10 + 1);
	/* And now they are none of its business. */
	script.scan = (struct kv_scan){ .position = script.scan.position };
	buf_reset(&script.scan.position);
	step(&script, 2);
	ck_assert(script.scan.ended);
	ck_assert_uint_eq(script.taken, MANY + 2);
	release(&script);
}
END_TEST

static void
put_bytes(const char *key, size_t size)
{
	uint8_t *bytes = mem_zalloc(size, 1);

	kv_bench_log_put(
	    &past.bench, slice_from_text(key), slice_of(bytes, size));
	ck_assert_int_eq(kv_bench_replay(&past.bench), 0);
	free(bytes);
}

/* Nothing of them is shown, and all of it is read. */
START_TEST(kv_scan_step_reads_so_many_bytes)
{
	const size_t size = (size_t)KV_SCAN_BYTES_MAX / 2;
	struct script script = { .scan = { .at = 2 } };

	put_bytes("a", 1);
	put_bytes("b", 1);
	/* That were written since, of which one came between. */
	put_bytes("a", size);
	put_bytes("a", size);
	/* That were not there. */
	put_bytes("aa", size);
	put_bytes("ab", size);
	put_bytes("ac", 1);
	step(&script, 100);
	expect_shown(&script, "a ");
	step(&script, 100);
	expect_shown(&script, "");
	ck_assert(slice_equal(
	    buf_slice(&script.scan.position), slice_from_text("ab")));
	step(&script, 100);
	expect_shown(&script, "b ");
	ck_assert(script.scan.ended);
	release(&script);
}
END_TEST

START_TEST(kv_scan_at_a_revision_ends_when_it_is_compacted)
{
	struct script script = { .scan.at = 2 };

	past_put("a", "1");
	past_put("b", "2");
	past_put("b", "3");
	step(&script, 1);
	past_compact(2);
	step(&script, 1);
	expect_shown(&script, "a b ");
	past_compact(3);
	ck_assert_int_eq(
	    kv_scan_step(past.bench.kv, &script.scan, 1), ERR_COMPACTED);
	/* It is an answer. */
	ck_assert_int_eq(kv_checkpoint(past.bench.kv), 0);
	release(&script);
}
END_TEST

static void
expect_damage(store_table table, struct slice key)
{
	struct script script = { .scan = { .at = 1, .take = take } };

	past_put("a", "1");
	past_put("b", "2");
	past_delete("a");
	ck_assert_int_eq(kv_checkpoint(past.bench.kv), 0);
	ck_assert(store_mem_flip_bit(past.bench.disk, table, key, 99));
	ck_assert_int_eq(
	    kv_scan_step(past.bench.kv, &script.scan, 10), ERR_CORRUPT);
	ck_assert_int_eq(
	    kv_scan_step(past.bench.kv, &script.scan, 10), ERR_STOPPED);
	ck_assert_int_eq(kv_checkpoint(past.bench.kv), ERR_STOPPED);
	release(&script);
}

START_TEST(kv_scan_finds_damage)
{
	uint8_t memory[KV_PLACE_SIZE];

	switch (_i) {
	case 0: expect_damage(KV_TABLE_KV, slice_from_text("b")); break;
	case 1: expect_damage(KV_TABLE_GONE, slice_from_text("a")); break;
	default:
		expect_damage(KV_TABLE_HISTORY,
		    kv_place_key((struct kv_place){ .revision = 3 }, memory));
		break;
	}
}
END_TEST

/* Sound, but later than the state is. */
START_TEST(kv_scan_finds_a_record_from_the_future)
{
	struct script script = { .scan.take = take };
	struct kv_version version;
	struct slice key = slice_from_text("a");
	struct buf body = { 0 };

	past_put("a", "1");
	ck_assert_int_eq(kv_find(past.bench.kv, key, &version), 0);
	version.item.modified = 2;
	version.jump.revision = 2;
	kv_version_encode(&body, &version);
	ck_assert_int_eq(
	    kv_table_put(past.bench.kv, KV_TABLE_KV, key, buf_slice(&body)), 0);
	ck_assert_int_eq(
	    kv_scan_step(past.bench.kv, &script.scan, 10), ERR_CORRUPT);
	ck_assert_uint_eq(script.taken, 0);
	buf_release(&body);
	release(&script);
}
END_TEST

Suite *
kv_scan_suite(void)
{
	Suite *suite = suite_create("kv_scan");
	TCase *core = past_site_case(suite, "core");

	tcase_add_test(core, kv_range_of_prefix_ends_above_its_keys);
	tcase_add_test(core, kv_range_has_its_start_and_not_its_end);
	tcase_add_test(core, kv_scan_shows_a_range_in_order);
	tcase_add_test(core, kv_scan_at_a_revision_shows_what_was_there);
	tcase_add_test(core, kv_scan_at_a_revision_shows_old_items);
	tcase_add_test(core, kv_scan_stops_behind_a_key_and_goes_on);
	tcase_add_test(core, kv_scan_goes_on_with_a_key_that_was_not_taken);
	tcase_add_test(core, kv_scan_skips_a_prefix);
	tcase_add_test(core, kv_scan_at_a_revision_skips_a_prefix);
	tcase_add_test(core, kv_scan_skips_a_prefix_that_nothing_is_above);
	tcase_add_test(core, kv_scan_begins_behind_a_position);
	tcase_add_test(core, kv_scan_takes_bounds_of_any_size);
	tcase_add_test(core, kv_scan_now_sees_changes_between_steps);
	tcase_add_test(core, kv_scan_step_looks_at_so_many_keys);
	tcase_add_test(core, kv_scan_step_reads_so_many_bytes);
	tcase_add_test(core, kv_scan_at_a_revision_ends_when_it_is_compacted);
	tcase_add_loop_test(core, kv_scan_finds_damage, 0, 3);
	tcase_add_test(core, kv_scan_finds_a_record_from_the_future);
	return suite;
}
