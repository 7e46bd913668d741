/*
 * Everything that the state machine does, over a store that fails at each
 * operation, and over one that has lost any one record or has an older one in
 * its place: it stops for good, and nothing half done is written.
 */

#include "common/codec.h"
#include "common/hash.h"
#include "common/macros.h"
#include "tests/lib/kv_bench.h"
#include "tests/lib/kv_stream.h"
#include "tests/unit/suites.h"

#include <stdio.h>
#include <stdlib.h>

#define COMMANDS 200
/* So old is what comes back in place of a record. */
#define STALE_COMMANDS 12
/* A record's version and sum; kv_record.c. */
#define SEAL_END 5
/* Values may be long, and say nothing. */
#define FORGED_BYTES 100

/* The commands, and the disk as it is before each. */
static struct {
	struct buf commands[COMMANDS];
	uint64_t times_us[COMMANDS];
	struct store_mem_disk *before[COMMANDS + 1];
	uint64_t hash[COMMANDS + 1]; /* of the state there */
} past;

/* The state machine under test, on a copy of one of these disks. */
static struct kv_bench bench;

/* ---- Making them ---- */

static void
record_command(struct kv_bench *whole, struct kv_stream *stream, unsigned i)
{
	struct kv_result result;

	stream->revision = kv_revision(whole->kv);
	kv_stream_next(stream, &past.commands[i]);
	past.times_us[i] = stream->time_us;
	ck_assert_int_eq(kv_apply(whole->kv, i + 1, past.times_us[i],
			     buf_slice(&past.commands[i]), &result),
	    0);
	ck_assert_int_eq(kv_checkpoint(whole->kv), 0);
	past.before[i + 1] = store_mem_disk_clone(whole->disk);
	past.hash[i + 1] = kv_state_hash(whole->kv);
}

static void
set_up(void)
{
	struct kv_stream stream;
	struct kv_bench whole;

	kv_bench_init(&whole);
	kv_stream_init(&stream, 5);
	ck_assert_int_eq(
	    kv_set_meta(whole.kv, "members", slice_from_text("n1")), 0);
	ck_assert_int_eq(kv_checkpoint(whole.kv), 0);
	past.before[0] = store_mem_disk_clone(whole.disk);
	for (unsigned i = 0; i < COMMANDS; i++)
		record_command(&whole, &stream, i);
	kv_bench_release(&whole);
}

static void
tear_down(void)
{
	for (unsigned i = 0; i <= COMMANDS; i++)
		store_mem_disk_free(past.before[i]);
	for (unsigned i = 0; i < COMMANDS; i++)
		buf_release(&past.commands[i]);
	memset(&past, 0, sizeof(past));
}

/* Opens a copy of the disk as of before command i, without a check. */
static void
begin(unsigned i)
{
	bench = (struct kv_bench){ 0 };
	bench.disk = store_mem_disk_clone(past.before[i]);
	bench.store = store_mem_open(bench.disk);
	ck_assert_int_eq(kv_open(bench.store, false, &bench.kv), 0);
}

static void
end(void)
{
	kv_bench_release(&bench);
}

static int
apply(unsigned i)
{
	return kv_apply(bench.kv, i + 1, past.times_us[i],
	    buf_slice(&past.commands[i]), &bench.result);
}

/* Nothing can be read, changed or written any more. */
static void
expect_stopped(void)
{
	struct kv_item item;
	uint64_t us;

	ck_assert_int_eq(
	    kv_get(bench.kv, slice_from_text("a"), &item), ERR_STOPPED);
	ck_assert_int_eq(kv_first_deadline(bench.kv, &us), ERR_STOPPED);
	ck_assert_int_eq(
	    kv_skip(bench.kv, kv_applied_index(bench.kv) + 1), ERR_STOPPED);
	ck_assert_int_eq(
	    kv_set_meta(bench.kv, "x", slice_from_text("y")), ERR_STOPPED);
	ck_assert_int_eq(kv_verify(bench.kv), ERR_STOPPED);
	ck_assert_int_eq(kv_checkpoint(bench.kv), ERR_STOPPED);
}

/* ---- Failing operations ---- */

/* Command i with the n-th operation failing; false: it has fewer. */
static bool
fail_command(unsigned i, uint64_t n)
{
	int code;

	begin(i);
	store_mem_fail_operation(bench.disk, n, ERR_IO);
	code = apply(i);
	store_mem_fail_operation(bench.disk, 0, 0);
	if (code == 0) {
		ck_assert_uint_eq(kv_state_hash(bench.kv), past.hash[i + 1]);
		end();
		return false;
	}
	ck_assert_int_eq(code, ERR_IO);
	expect_stopped();
	kv_bench_close(&bench);
	ck_assert_uint_eq(
	    store_mem_digest(bench.disk), store_mem_digest(past.before[i]));
	ck_assert_int_eq(kv_bench_open(&bench), 0);
	ck_assert_int_eq(apply(i), 0);
	ck_assert_uint_eq(kv_state_hash(bench.kv), past.hash[i + 1]);
	end();
	return true;
}

START_TEST(kv_command_with_any_operation_failing_is_not_half_done)
{
	uint64_t failures = 0;

	for (unsigned i = 0; i < COMMANDS; i++) {
		uint64_t n = 1;

		while (fail_command(i, n))
			n++;
		failures += n - 1;
	}
	ck_assert_uint_gt(failures, 5 * COMMANDS);
}
END_TEST

/* ---- Reads ---- */

static enum kv_scan_next
take_key(struct kv_scan *scan, struct slice key, const struct kv_item *item)
{
	(void)scan;
	(void)key;
	(void)item;
	return KV_SCAN_ON;
}

static int
scan_at(uint64_t at, bool reverse)
{
	struct kv_scan scan = {
		.at = at, .reverse = reverse, .take = take_key
	};
	int code = 0;

	while (code == 0 && !scan.ended)
		code = kv_scan_step(bench.kv, &scan, 3);
	kv_scan_release(&scan);
	return code;
}

/* The middle of what can be read. */
static uint64_t
middle(void)
{
	return (kv_compacted(bench.kv) + kv_revision(bench.kv) + 1) / 2;
}

static int
read_scan(void)
{
	return scan_at(0, false);
}

static int
read_scan_back(void)
{
	return scan_at(0, true);
}

static int
read_past(void)
{
	return scan_at(middle(), false);
}

static int
read_past_back(void)
{
	return scan_at(middle(), true);
}

static void
tell_event(void *context, const struct kv_event *event)
{
	(void)context;
	(void)event;
}

static int
read_events(void)
{
	const struct kv_range all = { 0 };
	uint64_t until = kv_revision(bench.kv);
	uint64_t revision = kv_compacted(bench.kv);
	int code = 0;

	while (code == 0 && revision < until)
		code = kv_read_events(bench.kv, &all, until, 4, 1 << 16,
		    tell_event, NULL, &revision);
	return code;
}

static int
read_history(void)
{
	struct kv_history history;

	return kv_get_history(bench.kv, &history);
}

static int
read_compaction(void)
{
	struct kv_compaction compaction;

	return kv_get_compaction(
	    bench.kv, kv_cluster_time_us(bench.kv), 0, 1000, &compaction);
}

/* Each with all of its keys, its lock and who holds that. */
static int
read_lease(const struct kv_lease *lease)
{
	struct buf key = { 0 };
	struct kv_lock lock;
	struct kv_lease same;
	int code = kv_get_lease(bench.kv, lease->id, &same);

	if (code == 0 && lease->lock.size != 0)
		code = kv_get_lock(bench.kv, lease->lock, &lock);
	while (code == 0)
		code = kv_next_lease_key(
		    bench.kv, lease->id, buf_slice(&key), &key);
	buf_release(&key);
	return code == ERR_NOT_FOUND ? 0 : code;
}

static int
read_leases(void)
{
	struct kv_lease lease = { 0 };
	int code;

	while ((code = kv_next_lease(bench.kv, lease.id, &lease)) == 0) {
		code = read_lease(&lease);
		if (code != 0)
			return code;
	}
	return code;
}

static int
read_item_at(uint64_t revision)
{
	static const char *const keys[] = { "a", "a/b", "a/b/c", "b", "n1",
		"n2", "q/" };
	struct kv_item item;
	uint64_t us;
	int code = 0;

	for (unsigned i = 0; i < ARRAY_COUNT(keys) && code == 0; i++) {
		struct slice key = slice_from_text(keys[i]);

		code = revision == 0
			   ? kv_get(bench.kv, key, &item)
			   : kv_get_at(bench.kv, key, revision, &item);
		if (code == 0)
			code = kv_get_deadline(bench.kv, &item, &us);
		if (code == ERR_NOT_FOUND)
			code = 0;
	}
	return code;
}

static int
read_items(void)
{
	return read_item_at(0);
}

static int
read_past_items(void)
{
	return read_item_at(middle());
}

static int
read_deadline(void)
{
	uint64_t us;

	return kv_first_deadline(bench.kv, &us);
}

static int
read_replay(void)
{
	uint64_t us;

	return kv_first_replay(bench.kv, &us);
}

static int
read_identities(void)
{
	char name[16];
	bool known;
	int code = 0;

	for (unsigned i = 0; i < 40 && code == 0; i++) {
		snprintf(name, sizeof(name), "id-%u", i);
		code = kv_has_replay(bench.kv, slice_from_text(name), &known);
	}
	return code;
}

static int
read_meta(void)
{
	struct slice bytes;

	return kv_get_meta(bench.kv, "members", &bytes);
}

static int
write_meta(void)
{
	return kv_set_meta(bench.kv, "members", slice_from_text("n2"));
}

static int
read_all(void)
{
	return kv_verify(bench.kv);
}

static int
read_by_steps(void)
{
	struct kv_scrub *scrub = kv_scrub_new(bench.kv);
	size_t bytes;
	int code = 0;

	while (code == 0)
		code = kv_scrub_step(scrub, 100, &bytes);
	kv_scrub_free(scrub);
	return code;
}

static const struct {
	const char *name;
	int (*run)(void);
	int code;   /* of a sound state */
	bool finds; /* every record that is missing or not the newest */
} reads[] = {
	{ "scan", read_scan, 0, false },
	{ "scan back", read_scan_back, 0, false },
	{ "past", read_past, 0, false },
	{ "past back", read_past_back, 0, false },
	{ "events", read_events, 0, false },
	{ "history", read_history, 0, false },
	{ "compaction", read_compaction, 0, false },
	{ "leases", read_leases, ERR_NOT_FOUND, false },
	{ "items", read_items, 0, false },
	{ "past items", read_past_items, 0, false },
	{ "deadline", read_deadline, 0, false },
	{ "replay", read_replay, 0, false },
	{ "identities", read_identities, 0, false },
	{ "meta", read_meta, 0, false },
	{ "write meta", write_meta, 0, false },
	{ "verify", read_all, 0, true },
	{ "scrub", read_by_steps, ERR_NOT_FOUND, true },
};

/* Where there is the most to read. */
static unsigned
fullest(void)
{
	unsigned best = 0;
	uint64_t most = 0;

	for (unsigned i = COMMANDS / 2; i <= COMMANDS; i++) {
		struct kv_stats stats;

		begin(i);
		kv_get_stats(bench.kv, &stats);
		end();
		if (stats.leases_count * stats.keys_count <= most)
			continue;
		most = stats.leases_count * stats.keys_count;
		best = i;
	}
	ck_assert_uint_gt(most, 0);
	return best;
}

START_TEST(kv_read_with_any_operation_failing_stops)
{
	unsigned at = fullest();
	int code = ERR_IO;

	for (uint64_t n = 1; code == ERR_IO; n++) {
		begin(at);
		store_mem_fail_operation(bench.disk, n, ERR_IO);
		code = reads[_i].run();
		store_mem_fail_operation(bench.disk, 0, 0);
		if (code == ERR_IO) {
			expect_stopped();
			ck_assert_int_eq(reads[_i].run(), ERR_STOPPED);
		} else {
			ck_assert_uint_gt(n, 1);
		}
		end();
	}
	ck_assert_msg(code == reads[_i].code, "%s: %d", reads[_i].name, code);
}
END_TEST

/* ---- Records that are missing, or older than they should be ---- */

struct place {
	store_table table;
	struct buf key;
	struct buf old; /* the older one; empty: there is none */
};

struct places {
	struct place *place;
	size_t count;
};

static void
find_old(struct store_mem_disk *disk, struct place *place)
{
	struct store *store = store_mem_open(disk);
	struct store_txn *txn = NULL;
	struct slice value;

	ck_assert_int_eq(store_begin(store, false, &txn), 0);
	if (store_get(txn, place->table, buf_slice(&place->key), &value) == 0)
		buf_append_slice(&place->old, value);
	store_abort(txn);
	store_close(store);
}

static void
add_places(struct places *places, struct store_txn *txn, store_table table)
{
	struct store_cursor *cursor;
	struct slice key;
	struct slice value;

	ck_assert_int_eq(store_cursor_open(txn, table, &cursor), 0);
	while (store_cursor_move(
		   cursor, STORE_NEXT, slice_of(NULL, 0), &key, &value) == 0) {
		struct place *place;

		places->place = realloc(places->place,
		    (places->count + 1) * sizeof(*places->place));
		place = &places->place[places->count++];
		*place = (struct place){ .table = table };
		buf_append_slice(&place->key, key);
	}
	store_cursor_close(cursor);
}

/* All records before command i, with those of some commands before. */
static struct places
list_places(unsigned i)
{
	struct store *store = store_mem_open(past.before[i]);
	struct store_txn *txn = NULL;
	struct places places = { 0 };

	ck_assert_int_eq(store_begin(store, false, &txn), 0);
	for (unsigned table = 0; table < KV_TABLES_COUNT; table++)
		add_places(&places, txn, table);
	store_abort(txn);
	store_close(store);
	if (i >= STALE_COMMANDS)
		for (size_t k = 0; k < places.count; k++)
			find_old(
			    past.before[i - STALE_COMMANDS], &places.place[k]);
	return places;
}

static void
release_places(struct places *places)
{
	for (size_t i = 0; i < places->count; i++) {
		buf_release(&places->place[i].key);
		buf_release(&places->place[i].old);
	}
	free(places->place);
}

/* Damages a copy of the disk before command i; false: it would be the same. */
static bool
begin_damaged(unsigned i, const struct place *place, bool stale)
{
	uint64_t before = store_mem_digest(past.before[i]);
	struct slice value = { 0 };

	if (stale && place->old.size == 0)
		return false;
	if (stale)
		value = buf_slice(&place->old);
	begin(i);
	ck_assert(store_mem_replace(
	    bench.disk, place->table, buf_slice(&place->key), value));
	if (store_mem_digest(bench.disk) != before)
		return true;
	end();
	return false;
}

struct found {
	unsigned by_command;
	unsigned by_check;
	unsigned replaced;
};

/* It goes on without what is damaged, or stops; a check finds it all the same,
 * if the command has not replaced it. */
static void
damage_command(
    unsigned i, const struct place *place, bool stale, struct found *found)
{
	int code;

	if (!begin_damaged(i, place, stale))
		return;
	code = apply(i);
	if (code != 0) {
		ck_assert_int_eq(code, ERR_CORRUPT);
		expect_stopped();
		found->by_command++;
	} else if (kv_verify(bench.kv) != 0) {
		expect_stopped();
		found->by_check++;
	} else {
		ck_assert_uint_eq(kv_state_hash(bench.kv), past.hash[i + 1]);
		found->replaced++;
	}
	end();
}

START_TEST(kv_command_on_any_damaged_record_stops_or_a_check_finds_it)
{
	struct found found = { 0 };

	for (unsigned i = 0; i < COMMANDS; i++) {
		struct places places = list_places(i);

		for (size_t k = 0; k < places.count; k++)
			damage_command(i, &places.place[k], _i == 1, &found);
		release_places(&places);
	}
	/* A stale record most often reads as well as the newest. */
	ck_assert_uint_gt(found.by_command, _i == 1 ? 2 : COMMANDS / 2);
	ck_assert_uint_gt(found.by_check, COMMANDS);
	ck_assert_uint_gt(found.by_check, found.replaced);
}
END_TEST

/* That of the state itself, which is in memory while it is open. */
static bool
is_state(const struct place *place)
{
	return place->table == KV_TABLE_META &&
	       slice_equal(buf_slice(&place->key), slice_from_text("state"));
}

static void
damage_read(unsigned at, unsigned number, const struct place *place, bool stale)
{
	int code;

	if (!begin_damaged(at, place, stale))
		return;
	code = reads[number].run();
	if (reads[number].finds && !is_state(place))
		ck_assert_int_eq(code, ERR_CORRUPT);
	if (code == ERR_CORRUPT)
		expect_stopped();
	else
		ck_assert(code == 0 || code == ERR_NOT_FOUND);
	end();
}

START_TEST(kv_read_of_any_damaged_record_stops_or_a_check_finds_it)
{
	unsigned at = fullest();
	struct places places = list_places(at);

	for (size_t k = 0; k < places.count; k++)
		for (unsigned i = 0; i < ARRAY_COUNT(reads); i++)
			damage_read(at, i, &places.place[k], _i == 1);
	release_places(&places);
}
END_TEST

/* With a sum that fits, as a bug would write it. */
static void
seal(const struct place *place, struct buf *record)
{
	uint32_t crc = crc32c(0, buf_slice(&place->key));

	crc = crc32c(crc, slice_of(record->data, 1));
	crc = crc32c(
	    crc, slice_of(record->data + SEAL_END, record->size - SEAL_END));
	codec_store_u32(record->data + 1, crc);
}

/* A check finds it, and no decoder takes it for more than it is. */
static void
expect_forgery_found(
    unsigned at, const struct place *place, const struct buf *record)
{
	int code;

	begin(at);
	ck_assert(store_mem_replace(bench.disk, place->table,
	    buf_slice(&place->key), buf_slice(record)));
	code = kv_verify(bench.kv);
	/* A kind of content that is not known may be a newer version's. */
	ck_assert(code == ERR_CORRUPT || code == ERR_VERSION);
	expect_stopped();
	end();
}

/* Cut at each byte, and with each byte another one. */
static void
forge_record(unsigned at, const struct place *place)
{
	struct buf record = { 0 };
	size_t size;

	buf_append_slice(&record, buf_slice(&place->old));
	size = MIN(record.size, FORGED_BYTES);
	for (size_t i = SEAL_END; i < size; i++) {
		uint8_t byte = record.data[i];

		record.data[i] = byte == 0 ? 0xff : 0;
		seal(place, &record);
		expect_forgery_found(at, place, &record);
		record.data[i] = (uint8_t)(byte + 1);
		seal(place, &record);
		expect_forgery_found(at, place, &record);
		record.data[i] = byte;
	}
	for (record.size = SEAL_END; record.size < size; record.size++) {
		seal(place, &record);
		expect_forgery_found(at, place, &record);
	}
	buf_release(&record);
}

START_TEST(kv_check_finds_every_record_of_other_content)
{
	unsigned at = fullest();
	struct places places = list_places(at);

	for (size_t i = 0; i < places.count; i++) {
		buf_reset(&places.place[i].old);
		find_old(past.before[at], &places.place[i]);
		if (!is_state(&places.place[i]))
			forge_record(at, &places.place[i]);
	}
	release_places(&places);
}
END_TEST

Suite *
kv_sweep_suite(void)
{
	Suite *suite = suite_create("kv_sweep");
	TCase *tcase = tcase_create("every");

	tcase_set_timeout(tcase, 120);
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(
	    tcase, kv_command_with_any_operation_failing_is_not_half_done);
	tcase_add_loop_test(tcase, kv_read_with_any_operation_failing_stops, 0,
	    ARRAY_COUNT(reads));
	tcase_add_loop_test(tcase,
	    kv_command_on_any_damaged_record_stops_or_a_check_finds_it, 0, 2);
	tcase_add_loop_test(tcase,
	    kv_read_of_any_damaged_record_stops_or_a_check_finds_it, 0, 2);
	tcase_add_test(tcase, kv_check_finds_every_record_of_other_content);
	suite_add_tcase(suite, tcase);
	return suite;
}
