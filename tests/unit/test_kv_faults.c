/*
 * The state machine on failing and damaged disks: a crash at every operation
 * of the store, then replay; and every kind of damage to stored records.
 */

#include "common/codec.h"
#include "common/hash.h"
#include "common/macros.h"
#include "common/mem.h"
#include "common/rng.h"
#include "tests/lib/kv_bench.h"
#include "tests/unit/suites.h"
#include <stdlib.h>

enum { TABLE_META, TABLE_KV, TABLE_GONE, TABLE_HISTORY };

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

#define SCRIPT_ENTRIES   40
#define SCRIPT_KEYS      6
#define CHECKPOINT_EVERY 7

static void
log_script(struct kv_bench *to)
{
	struct rng rng;

	rng_init(&rng, 7);
	for (int i = 0; i < SCRIPT_ENTRIES; i++) {
		uint64_t value = rng_next(&rng);
		char key = (char)('a' + rng_below(&rng, SCRIPT_KEYS));

		if (rng_below(&rng, 8) == 0)
			kv_bench_log_skip(to);
		else if (rng_below(&rng, 3) == 0)
			kv_bench_log_delete(to, slice_of(&key, 1));
		else
			kv_bench_log_put(to, slice_of(&key, 1),
			    slice_of(&value, sizeof(value)));
	}
}

/* Applies all of the log, one checkpoint each so many entries and one last. */
static int
run_script(struct kv_bench *on)
{
	size_t total = on->log_count;
	int code = 0;

	while (code == 0 && kv_applied_index(on->kv) < total) {
		size_t next = kv_applied_index(on->kv) + CHECKPOINT_EVERY;

		on->log_count = MIN(next, total);
		code = kv_bench_replay(on);
		if (code == 0)
			code = kv_set_meta(on->kv, "n", slice_of(&next, 1));
		if (code == 0)
			code = kv_checkpoint(on->kv);
	}
	on->log_count = total;
	return code;
}

/* Hash of the state that the script gives where nothing fails. */
static uint64_t
script_hash(void)
{
	struct kv_bench whole;
	uint64_t hash;

	kv_bench_init(&whole);
	log_script(&whole);
	ck_assert_int_eq(run_script(&whole), 0);
	hash = kv_state_hash(whole.kv);
	kv_bench_release(&whole);
	return hash;
}

/* What a node does after an error: it stops, and is started again. */
static void
restart_and_finish(struct kv_bench *on, uint64_t expected, uint64_t n)
{
	kv_bench_close(on);
	store_mem_fail_operation(on->disk, 0, 0);
	ck_assert_msg(
	    kv_bench_open(on) == 0, "operation %lu", (unsigned long)n);
	ck_assert_int_eq(run_script(on), 0);
	ck_assert_msg(kv_state_hash(on->kv) == expected, "operation %lu",
	    (unsigned long)n);
	ck_assert_int_eq(kv_verify(on->kv), 0);
}

/* Begins anew with operation n failing; false if the script needs fewer. */
static bool
sweep_once(uint64_t n, uint64_t expected)
{
	struct kv_bench swept;
	bool failed;
	int code;

	kv_bench_init(&swept);
	log_script(&swept);
	kv_bench_close(&swept);
	store_mem_seed(swept.disk, n);
	store_mem_fail_operation(swept.disk, n, ERR_IO);
	code = kv_bench_open(&swept);
	if (code == 0)
		code = run_script(&swept);
	failed = code != 0;
	if (failed) {
		ck_assert_int_eq(code, ERR_IO);
		if (swept.kv != NULL)
			ck_assert_int_eq(kv_checkpoint(swept.kv), ERR_STOPPED);
		restart_and_finish(&swept, expected, n);
	}
	kv_bench_release(&swept);
	return failed;
}

START_TEST(kv_crash_at_every_operation_then_replay)
{
	uint64_t expected = script_hash();
	uint64_t n = 1;

	while (sweep_once(n, expected))
		n++;
	ck_assert_uint_gt(n, 2 * SCRIPT_ENTRIES);
}
END_TEST

/* Whatever side of a failed commit the disk is on, replay ends alike. */
START_TEST(kv_failed_checkpoint_is_old_or_new)
{
	uint64_t expected = script_hash();
	bool seen[2] = { false, false };

	for (uint64_t seed = 1; seed <= 16; seed++) {
		struct kv_bench node;
		uint64_t index;

		kv_bench_init(&node);
		log_script(&node);
		store_mem_seed(node.disk, seed);
		store_mem_fail_commit(node.disk, 2, ERR_NO_SPACE);
		ck_assert_int_eq(run_script(&node), ERR_NO_SPACE);
		kv_bench_close(&node);
		ck_assert_int_eq(kv_bench_open(&node), 0);
		index = kv_applied_index(node.kv);
		ck_assert_uint_eq(index % CHECKPOINT_EVERY, 0);
		seen[index / CHECKPOINT_EVERY - 1] = true;
		ck_assert_int_eq(run_script(&node), 0);
		ck_assert_uint_eq(kv_state_hash(node.kv), expected);
		kv_bench_release(&node);
	}
	ck_assert(seen[0]);
	ck_assert(seen[1]);
}
END_TEST

START_TEST(kv_full_disk_stops_and_goes_on_with_space)
{
	uint64_t expected = script_hash();

	log_script(&bench);
	store_mem_set_capacity(bench.disk, 150);
	ck_assert_int_eq(run_script(&bench), ERR_NO_SPACE);
	store_mem_set_capacity(bench.disk, UINT64_MAX);
	restart_and_finish(&bench, expected, 0);
}
END_TEST

/* ---- Damage ---- */

/* Two keys and a record of the node, checkpointed; the process has ended. */
static void
make_state(void)
{
	kv_bench_log_put(
	    &bench, slice_from_text("a"), slice_from_text("first"));
	kv_bench_log_put(
	    &bench, slice_from_text("b"), slice_from_text("second"));
	ck_assert_int_eq(kv_bench_replay(&bench), 0);
	ck_assert_int_eq(
	    kv_set_meta(bench.kv, "members", slice_from_text("n1")), 0);
	ck_assert_int_eq(kv_checkpoint(bench.kv), 0);
	kv_bench_close(&bench);
}

/* Bytes of a stored record, to be freed; the store is closed. */
static struct buf
read_raw(store_table table, const char *key)
{
	struct store *store = store_mem_open(bench.disk);
	struct store_txn *txn = NULL;
	struct buf record = { 0 };
	struct slice value;

	ck_assert_int_eq(store_begin(store, false, &txn), 0);
	ck_assert_int_eq(
	    store_get(txn, table, slice_from_text(key), &value), 0);
	buf_append_slice(&record, value);
	store_abort(txn);
	store_close(store);
	return record;
}

/* Puts these bytes behind the state machine's back; NULL deletes. */
static void
write_raw(store_table table, const char *key, const struct buf *record)
{
	struct store *store = store_mem_open(bench.disk);
	struct store_txn *txn = NULL;
	struct slice name = slice_from_text(key);

	ck_assert_int_eq(store_begin(store, true, &txn), 0);
	if (record == NULL)
		ck_assert_int_eq(store_delete(txn, table, name), 0);
	else
		ck_assert_int_eq(
		    store_put(txn, table, name, buf_slice(record)), 0);
	ck_assert_int_eq(store_commit(txn), 0);
	store_close(store);
}

static void
expect_open(int expected)
{
	ck_assert_int_eq(kv_bench_open(&bench), expected);
	kv_bench_close(&bench);
}

static void
expect_every_flip_found(store_table table, const char *key)
{
	struct buf record = read_raw(table, key);

	for (uint64_t bit = 0; bit < record.size * 8; bit++) {
		ck_assert(store_mem_flip_bit(
		    bench.disk, table, slice_from_text(key), bit));
		expect_open(ERR_CORRUPT);
		ck_assert(store_mem_flip_bit(
		    bench.disk, table, slice_from_text(key), bit));
	}
	expect_open(0);
	buf_release(&record);
}

START_TEST(kv_flipped_bit_is_found_at_open)
{
	make_state();
	expect_every_flip_found(TABLE_KV, "a");
	expect_every_flip_found(TABLE_META, "state");
	expect_every_flip_found(TABLE_META, "node.members");
}
END_TEST

START_TEST(kv_flipped_bit_is_found_by_get)
{
	struct buf record;
	struct kv_item item;

	make_state();
	record = read_raw(TABLE_KV, "a");
	for (uint64_t bit = 0; bit < record.size * 8; bit++) {
		struct slice key = slice_from_text("a");

		ck_assert_int_eq(kv_bench_open(&bench), 0);
		ck_assert(store_mem_flip_bit(bench.disk, TABLE_KV, key, bit));
		ck_assert_int_eq(
		    kv_get(bench.kv, slice_from_text("b"), &item), 0);
		ck_assert_int_eq(kv_get(bench.kv, key, &item), ERR_CORRUPT);
		ck_assert_int_eq(kv_get(bench.kv, key, &item), ERR_STOPPED);
		ck_assert_int_eq(kv_checkpoint(bench.kv), ERR_STOPPED);
		kv_bench_close(&bench);
		ck_assert(store_mem_flip_bit(bench.disk, TABLE_KV, key, bit));
	}
	buf_release(&record);
}
END_TEST

/* The numbers of a damaged record would go on into its next version. */
START_TEST(kv_flipped_bit_is_found_by_commands)
{
	struct slice key = slice_from_text("a");

	make_state();
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(kv_bench_open(&bench), 0);
		ck_assert(store_mem_flip_bit(bench.disk, TABLE_KV, key, 100));
		bench.log_count = 2;
		if (i == 0)
			kv_bench_log_put(&bench, key, key);
		else
			kv_bench_log_delete(&bench, key);
		ck_assert_int_eq(kv_bench_replay(&bench), ERR_CORRUPT);
		buf_release(&bench.log[2]);
		kv_bench_close(&bench);
		ck_assert(store_mem_flip_bit(bench.disk, TABLE_KV, key, 100));
	}
	bench.log_count = 2;
}
END_TEST

/* Runs on a state whose record of "a" is that from before its last command. */
static void
run_on_stale(bool deleted)
{
	struct slice key = slice_from_text("a");
	struct buf stale;

	kv_bench_log_put(&bench, key, slice_from_text("a long value"));
	ck_assert_int_eq(kv_bench_replay(&bench), 0);
	ck_assert_int_eq(kv_checkpoint(bench.kv), 0);
	kv_bench_close(&bench);
	stale = read_raw(TABLE_KV, "a");
	ck_assert_int_eq(kv_bench_open(&bench), 0);
	if (deleted)
		kv_bench_log_delete(&bench, key);
	else
		kv_bench_log_put(&bench, key, slice_from_text("short"));
	ck_assert_int_eq(kv_bench_replay(&bench), 0);
	ck_assert_int_eq(kv_checkpoint(bench.kv), 0);
	kv_bench_close(&bench);
	if (deleted) {
		/* Without the check, as if it had come back since. */
		write_raw(TABLE_KV, "a", &stale);
		bench.store = store_mem_open(bench.disk);
		ck_assert_int_eq(kv_open(bench.store, false, &bench.kv), 0);
	} else {
		ck_assert_int_eq(kv_bench_open(&bench), 0);
		ck_assert(store_mem_replace(
		    bench.disk, TABLE_KV, key, buf_slice(&stale)));
	}
	buf_release(&stale);
}

/* Sound in itself, but more than what is counted: damage, and no bug. */
START_TEST(kv_stale_larger_record_is_found_by_commands)
{
	bool by_delete = _i % 2 == 1;

	run_on_stale(_i / 2 == 1);
	if (by_delete)
		kv_bench_log_delete(&bench, slice_from_text("a"));
	else
		kv_bench_log_put(
		    &bench, slice_from_text("a"), slice_from_text("new"));
	ck_assert_int_eq(kv_bench_replay(&bench), ERR_CORRUPT);
	ck_assert_int_eq(kv_checkpoint(bench.kv), ERR_STOPPED);
}
END_TEST

START_TEST(kv_flipped_bit_is_found_by_get_meta)
{
	struct slice bytes;

	make_state();
	ck_assert_int_eq(kv_bench_open(&bench), 0);
	ck_assert(store_mem_flip_bit(
	    bench.disk, TABLE_META, slice_from_text("node.members"), 50));
	ck_assert_int_eq(kv_get_meta(bench.kv, "members", &bytes), ERR_CORRUPT);
}
END_TEST

START_TEST(kv_missing_record_is_found)
{
	static const struct {
		store_table table;
		const char *key;
	} records[] = { { TABLE_KV, "a" }, { TABLE_META, "node.members" },
		{ TABLE_META, "state" } };

	make_state();
	for (size_t i = 0; i < ARRAY_COUNT(records); i++) {
		struct buf record = read_raw(records[i].table, records[i].key);

		write_raw(records[i].table, records[i].key, NULL);
		expect_open(ERR_CORRUPT);
		write_raw(records[i].table, records[i].key, &record);
		expect_open(0);
		buf_release(&record);
	}
}
END_TEST

/* Sound in itself, but of an earlier commit. */
START_TEST(kv_stale_record_is_found)
{
	struct buf old;

	make_state();
	old = read_raw(TABLE_KV, "a");
	ck_assert_int_eq(kv_bench_open(&bench), 0);
	kv_bench_log_put(
	    &bench, slice_from_text("a"), slice_from_text("third"));
	ck_assert_int_eq(kv_bench_replay(&bench), 0);
	ck_assert_int_eq(kv_checkpoint(bench.kv), 0);
	kv_bench_close(&bench);
	expect_open(0);
	write_raw(TABLE_KV, "a", &old);
	expect_open(ERR_CORRUPT);
	buf_release(&old);
}
END_TEST

START_TEST(kv_record_under_another_key_is_found)
{
	struct buf first;
	struct buf second;

	make_state();
	first = read_raw(TABLE_KV, "a");
	second = read_raw(TABLE_KV, "b");
	write_raw(TABLE_KV, "a", &second);
	write_raw(TABLE_KV, "b", &first);
	expect_open(ERR_CORRUPT);
	buf_release(&first);
	buf_release(&second);
}
END_TEST

START_TEST(kv_record_cut_at_every_byte_is_found)
{
	struct buf record;

	make_state();
	record = read_raw(TABLE_KV, "a");
	while (record.size > 0) {
		record.size--;
		write_raw(TABLE_KV, "a", &record);
		expect_open(ERR_CORRUPT);
	}
	buf_release(&record);
}
END_TEST

/* Another program's record, newer or older: whole, and told from damage. */
START_TEST(kv_record_of_other_version)
{
	struct slice key = slice_from_text("a");
	struct buf record = { 0 };
	uint32_t crc;

	make_state();
	codec_append_u8(&record, _i == 0 ? 1 : 3);
	codec_append_u32(&record, 0);
	buf_append_text(&record, "whatever it means");
	crc = crc32c(0, key);
	crc = crc32c(crc, slice_of(record.data, 1));
	crc = crc32c(crc, slice_of(record.data + 5, record.size - 5));
	codec_store_u32(record.data + 1, crc);
	write_raw(TABLE_KV, "a", &record);
	expect_open(ERR_VERSION);
	buf_release(&record);
}
END_TEST

/* A whole pass in steps of one record; the first error, or ERR_NOT_FOUND. */
static int
scrub_all(unsigned *ret_records)
{
	struct kv_scrub *scrub = kv_scrub_new(bench.kv);
	size_t bytes;
	int code;

	*ret_records = 0;
	while ((code = kv_scrub_step(scrub, 1, &bytes)) == 0)
		++*ret_records;
	kv_scrub_free(scrub);
	return code;
}

START_TEST(kv_scrub_reads_every_record)
{
	struct kv_stats stats;
	unsigned records;

	make_state();
	ck_assert_int_eq(kv_bench_open(&bench), 0);
	kv_get_stats(bench.kv, &stats);
	ck_assert_int_eq(scrub_all(&records), ERR_NOT_FOUND);
	/* The state's own record, one meta, and an event of each key. */
	ck_assert_uint_eq(records, 2 * stats.keys_count + 2);
	ck_assert(
	    store_mem_flip_bit(bench.disk, TABLE_KV, slice_from_text("a"), 99));
	ck_assert_int_eq(scrub_all(&records), ERR_CORRUPT);
	/* The state machine is not used any more. */
	ck_assert_int_eq(kv_checkpoint(bench.kv), ERR_STOPPED);
	ck_assert_int_eq(scrub_all(&records), ERR_STOPPED);
}
END_TEST

/* Records before and behind the position come and go. */
START_TEST(kv_scrub_goes_on_over_changes)
{
	struct kv_scrub *scrub;
	char key = 'a';
	size_t bytes;
	int code;

	make_state();
	ck_assert_int_eq(kv_bench_open(&bench), 0);
	scrub = kv_scrub_new(bench.kv);
	while ((code = kv_scrub_step(scrub, 1, &bytes)) == 0) {
		kv_bench_log_delete(&bench, slice_of(&key, 1));
		key++;
		kv_bench_log_put(
		    &bench, slice_of(&key, 1), slice_from_text("new"));
		ck_assert_int_eq(kv_bench_replay(&bench), 0);
	}
	ck_assert_int_eq(code, ERR_NOT_FOUND);
	kv_scrub_free(scrub);
}
END_TEST

Suite *
kv_faults_suite(void)
{
	Suite *suite = suite_create("kv_faults");
	TCase *core = tcase_create("core");

	tcase_add_checked_fixture(core, set_up, tear_down);
	tcase_add_test(core, kv_crash_at_every_operation_then_replay);
	tcase_add_test(core, kv_failed_checkpoint_is_old_or_new);
	tcase_add_test(core, kv_full_disk_stops_and_goes_on_with_space);
	tcase_add_test(core, kv_flipped_bit_is_found_at_open);
	tcase_add_test(core, kv_flipped_bit_is_found_by_get);
	tcase_add_test(core, kv_flipped_bit_is_found_by_commands);
	tcase_add_loop_test(
	    core, kv_stale_larger_record_is_found_by_commands, 0, 4);
	tcase_add_test(core, kv_flipped_bit_is_found_by_get_meta);
	tcase_add_test(core, kv_missing_record_is_found);
	tcase_add_test(core, kv_stale_record_is_found);
	tcase_add_test(core, kv_record_under_another_key_is_found);
	tcase_add_test(core, kv_record_cut_at_every_byte_is_found);
	tcase_add_loop_test(core, kv_record_of_other_version, 0, 2);
	tcase_add_test(core, kv_scrub_reads_every_record);
	tcase_add_test(core, kv_scrub_goes_on_over_changes);
	suite_add_tcase(suite, core);
	return suite;
}
