/* Damage in every table, and tables that contradict each other. */

#include "common/codec.h"
#include "common/macros.h"
#include "kv/kv_impl.h"
#include "tests/unit/snapshot_site.h"
#include "tests/unit/suites.h"

/* ---- Damage to records ---- */

/* A committed record, by its number in its table. */
struct record {
	store_table table;
	struct buf key;
	struct buf bytes;
};

static bool
pick(struct record *record, store_table table, uint64_t number)
{
	*record = (struct record){ .table = table };
	if (number > 0 && number >= site.source.kv->state.sums[table].count)
		return false;
	return store_mem_pick(
	    site.source.disk, table, number, &record->key, &record->bytes);
}

static void
release(struct record *record)
{
	buf_release(&record->key);
	buf_release(&record->bytes);
}

static void
replace(const struct record *record, struct slice bytes)
{
	ck_assert(store_mem_replace(
	    site.source.disk, record->table, buf_slice(&record->key), bytes));
}

static void
reopen(void)
{
	kv_bench_close(&site.source);
	site.source.store = store_mem_open(site.source.disk);
	ck_assert_int_eq(kv_open(site.source.store, false, &site.source.kv), 0);
}

/* A pass in steps of one record. */
static int
scrub(struct buf *why)
{
	struct kv_scrub *pass = kv_scrub_new(site.source.kv);
	size_t bytes;
	int code;

	do
		code = kv_scrub_step(pass, 1, &bytes);
	while (code == 0);
	kv_scrub_describe(pass, why);
	kv_scrub_free(pass);
	return code;
}

/* Verification at open, a scrub and a snapshot all find it. */
static void
expect_found(const struct record *record)
{
	struct kv_position at = { 0 };
	struct kv_reader *reader = NULL;
	struct buf piece = { 0 };
	struct buf why = { 0 };
	int code;

	ck_assert_int_eq(scrub(&why), ERR_CORRUPT);
	ck_assert_uint_gt(why.size, 4);
	reopen();
	ck_assert_int_eq(kv_verify(site.source.kv), ERR_CORRUPT);
	code = kv_reader_open(site.source.store, &reader);
	if (code == 0)
		code = kv_reader_read(reader, &at, 1u << 20, &piece);
	ck_assert_msg(
	    code == ERR_CORRUPT, "table %s", kv_tables[record->table]);
	kv_reader_close(reader);
	buf_release(&piece);
	buf_release(&why);
}

START_TEST(kv_flipped_bit_is_found_in_every_table)
{
	struct record record;

	snapshot_site_make_state();
	for (uint64_t n = 0; pick(&record, (store_table)_i, n); n++) {
		size_t bits = MIN(record.bytes.size, 40) * 8;

		for (size_t bit = 0; bit < bits; bit++) {
			bool is_state =
			    record.table == KV_TABLE_META &&
			    slice_equal(buf_slice(&record.key), kv_state_key());

			if (is_state)
				break;
			ck_assert(store_mem_flip_bit(site.source.disk,
			    record.table, buf_slice(&record.key), bit));
			expect_found(&record);
			replace(&record, buf_slice(&record.bytes));
			reopen();
		}
		release(&record);
	}
	ck_assert_int_eq(kv_verify(site.source.kv), 0);
	release(&record);
}
END_TEST

START_TEST(kv_missing_record_is_found_in_every_table)
{
	struct record record;

	snapshot_site_make_state();
	for (uint64_t n = 0; pick(&record, (store_table)_i, n); n++) {
		struct buf why = { 0 };

		replace(&record, slice_of(NULL, 0));
		ck_assert_int_eq(scrub(&why), ERR_CORRUPT);
		kv_bench_close(&site.source);
		ck_assert_int_eq(kv_bench_open(&site.source), ERR_CORRUPT);
		buf_release(&why);
		release(&record);
		/* The disk cannot put it back: begin anew. */
		kv_bench_release(&site.source);
		kv_bench_init(&site.source);
		snapshot_site_make_state();
	}
	release(&record);
}
END_TEST

/* Each under the key of the next one. */
START_TEST(kv_swapped_records_are_found_in_every_table)
{
	struct record a;
	struct record b;

	snapshot_site_make_state();
	ck_assert(pick(&a, (store_table)_i, 0));
	if (pick(&b, (store_table)_i, 1)) {
		replace(&a, buf_slice(&b.bytes));
		replace(&b, buf_slice(&a.bytes));
		expect_found(&a);
	}
	release(&a);
	release(&b);
}
END_TEST

START_TEST(kv_scrub_says_where_damage_is)
{
	static const struct {
		store_table table;
		const char *why;
	} cases[] = {
		{ KV_TABLE_META, "data: record \"node.log\"" },
		{ KV_TABLE_KV, "data: key \"fleeting\"" },
		{ KV_TABLE_GONE, "data: gone record \"key-d\"" },
		{ KV_TABLE_HISTORY,
		    "data: history record 000000000000000400000000" },
		{ KV_TABLE_LEASE, "data: lease record 0000000000000007" },
		{ KV_TABLE_REPLAY, "data: replay record \"once\"" },
	};

	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		struct record record;
		struct buf why = { 0 };

		snapshot_site_make_state();
		ck_assert(pick(&record, cases[i].table, 0));
		ck_assert(store_mem_flip_bit(site.source.disk, record.table,
		    buf_slice(&record.key), 60));
		ck_assert_int_eq(scrub(&why), ERR_CORRUPT);
		buf_append(&why, "", 1);
		ck_assert_str_eq((const char *)why.data, cases[i].why);
		release(&record);
		buf_release(&why);
		kv_bench_release(&site.source);
		kv_bench_init(&site.source);
	}
}
END_TEST

/* ---- Tables that contradict each other ---- */

/*
 * What a fault in the program would do: a record is written or deleted in the
 * proper way, so that the sums agree and the record is sound.
 */
static void
expect_contradiction(void)
{
	struct buf why = { 0 };

	ck_assert_int_eq(scrub(&why), ERR_CORRUPT);
	buf_append(&why, "", 1);
	ck_assert_ptr_nonnull(strstr((const char *)why.data, "contradict"));
	buf_release(&why);
	site.source.kv->failed = false;
	ck_assert_int_eq(kv_verify(site.source.kv), ERR_CORRUPT);
}

/* In tables where each record has its partner in another one. */
START_TEST(kv_lonely_record_is_found)
{
	static const store_table tables[] = { KV_TABLE_GONE, KV_TABLE_DEADLINE,
		KV_TABLE_LEASE, KV_TABLE_ATTACHED, KV_TABLE_LOCK,
		KV_TABLE_REPLAY, KV_TABLE_ORDER };

	for (size_t i = 0; i < ARRAY_COUNT(tables); i++) {
		struct record record;

		snapshot_site_make_state();
		ck_assert(pick(&record, tables[i], 0));
		ck_assert_int_eq(kv_verify(site.source.kv), 0);
		ck_assert_int_eq(
		    kv_table_delete(site.source.kv, (enum kv_table)tables[i],
			buf_slice(&record.key)),
		    0);
		expect_contradiction();
		release(&record);
		kv_bench_release(&site.source);
		kv_bench_init(&site.source);
	}
}
END_TEST

/* Events that nobody can read any more are missed by nobody. */
START_TEST(kv_missing_event_is_found_unless_it_is_compacted)
{
	uint64_t compacted;
	uint64_t count;

	snapshot_site_make_state();
	compacted = kv_compacted(site.source.kv);
	count = site.source.kv->state.sums[KV_TABLE_HISTORY].count;
	for (uint64_t n = 0; n < count; n++) {
		struct record record;
		struct kv_place place;

		ck_assert(pick(&record, KV_TABLE_HISTORY, n));
		ck_assert_int_eq(
		    kv_place_decode(buf_slice(&record.key), &place), 0);
		ck_assert_int_eq(kv_table_delete(site.source.kv,
				     KV_TABLE_HISTORY, buf_slice(&record.key)),
		    0);
		if (place.revision > compacted)
			expect_contradiction();
		else
			ck_assert_int_eq(kv_verify(site.source.kv), 0);
		release(&record);
		kv_bench_release(&site.source);
		kv_bench_init(&site.source);
		snapshot_site_make_state();
	}
}
END_TEST

START_TEST(kv_live_bytes_that_are_wrong_are_found)
{
	snapshot_site_make_state();
	site.source.kv->state.live_bytes++;
	expect_contradiction();
}
END_TEST

/* A lease that counts more keys than there are, or fewer, or more bytes. */
START_TEST(kv_lease_that_counts_wrongly_is_found)
{
	static const uint64_t counts[] = { 0, 2, 1 };
	struct kv_lease_record lease;
	uint8_t id[8];
	struct slice key = slice_of(id, sizeof(id));
	struct record record;
	struct slice body;

	snapshot_site_make_state();
	codec_store_u64(id, 7);
	ck_assert_int_eq(kv_lease_load(site.source.kv, 7, &lease), 0);
	ck_assert_uint_eq(lease.keys_count, 1);
	ck_assert(pick(&record, KV_TABLE_LEASE, 0));
	body = slice_of(
	    record.bytes.data + KV_SEAL_SIZE, record.bytes.size - KV_SEAL_SIZE);
	/* Behind its time to live and its deadline, and then its bytes. */
	codec_store_u64(record.bytes.data + KV_SEAL_SIZE + 16, counts[_i]);
	if (_i == 2)
		codec_store_u64(record.bytes.data + KV_SEAL_SIZE + 24,
		    lease.keys_bytes + 1);
	ck_assert_int_eq(
	    kv_table_put(site.source.kv, KV_TABLE_LEASE, key, body), 0);
	ck_assert_int_eq(kv_lease_load(site.source.kv, 7, &lease), 0);
	ck_assert_uint_eq(lease.keys_count, counts[_i]);
	expect_contradiction();
	release(&record);
}
END_TEST

/* ---- Records that cannot be of this state ---- */

static void
expect_refused(enum kv_table table, struct slice key, struct slice body)
{
	struct kv_count count;
	struct buf record = { 0 };

	kv_seal_begin(&record);
	buf_append_slice(&record, body);
	kv_seal_end(&record, key);
	kv_count_begin(&count, &site.source.kv->state);
	ck_assert_int_eq(
	    kv_count_record(&count, table, key, buf_slice(&record)),
	    ERR_CORRUPT);
	buf_release(&record);
}

static void
expect_version_refused(enum kv_table table, bool gone, uint64_t modified)
{
	struct kv_version version = { .gone = gone,
		.item = { .modified = modified },
		.jump = { .revision = modified } };
	struct buf body = { 0 };

	if (!gone) {
		version.item.created = 1;
		version.item.version = 1;
	}
	kv_version_encode(&body, &version);
	expect_refused(table, slice_from_text("key"), buf_slice(&body));
	buf_release(&body);
}

START_TEST(kv_record_of_another_table_or_state_is_refused)
{
	static const uint8_t numbers[8] = { 0xff, 0xff };
	struct slice none = { 0 };
	struct slice text = slice_from_text("text");

	snapshot_site_make_state();
	expect_version_refused(KV_TABLE_KV, true, 1);
	expect_version_refused(KV_TABLE_GONE, false, 1);
	expect_version_refused(
	    KV_TABLE_KV, false, kv_revision(site.source.kv) + 1);
	expect_version_refused(
	    KV_TABLE_GONE, true, kv_revision(site.source.kv) + 1);
	expect_refused(KV_TABLE_META, text, none);
	for (unsigned table = KV_TABLE_KV; table < KV_TABLES_COUNT; table++) {
		struct slice number = slice_of(numbers, sizeof(numbers));

		expect_refused((enum kv_table)table, number, text);
		expect_refused((enum kv_table)table, text, none);
	}
}
END_TEST

/* Appends the body of a ticket, as kv_lock.c has it. */
static void
append_ticket(struct buf *to, uint64_t fence)
{
	codec_append_u64(to, 8);
	codec_append_u64(to, fence);
	codec_append_u64(to, 0);
}

/* Of a log index or a revision that the state has not come to. */
START_TEST(kv_record_from_the_future_is_refused)
{
	const struct kv_state *state;
	struct kv_change change = { .type = KV_EVENT_PUT,
		.key = slice_from_text("key") };
	struct kv_result result = { .status = KV_OK };
	struct kv_place place = { .ordinal = 0 };
	uint8_t memory[KV_PLACE_SIZE];
	struct buf key = { 0 };
	struct buf body = { 0 };

	snapshot_site_make_state();
	state = &site.source.kv->state;
	place.revision = state->revision + 1;
	kv_change_encode(&body, &change);
	expect_refused(
	    KV_TABLE_HISTORY, kv_place_key(place, memory), buf_slice(&body));
	for (int i = 0; i < 2; i++) {
		buf_reset(&key);
		codec_append_u16(&key, 1);
		buf_append_text(&key, "l");
		codec_append_u64(&key, state->applied_index + (i == 0));
		buf_reset(&body);
		append_ticket(&body, state->revision + (i == 1));
		expect_refused(
		    KV_TABLE_LOCK, buf_slice(&key), buf_slice(&body));
	}
	buf_reset(&body);
	result.revision = state->revision + 1;
	codec_append_u64(&body, 1);
	codec_append_u64(&body, 1);
	codec_append_u64(&body, 1);
	kv_result_encode(&body, &result);
	expect_refused(
	    KV_TABLE_REPLAY, slice_from_text("id"), buf_slice(&body));
	buf_reset(&key);
	codec_append_u64(&key, state->applied_index + 1);
	expect_refused(KV_TABLE_ORDER, buf_slice(&key), slice_from_text("id"));
	buf_release(&key);
	buf_release(&body);
}
END_TEST

/* An event that has no deletion before it to undo, or that is before itself. */
START_TEST(kv_event_that_cannot_have_happened_is_refused)
{
	struct kv_change change = { .type = KV_EVENT_DELETE,
		.key = slice_from_text("key") };
	uint8_t memory[KV_PLACE_SIZE];
	struct kv_place place = { .revision = 3 };
	struct slice key = kv_place_key(place, memory);
	struct buf body = { 0 };

	snapshot_site_make_state();
	kv_change_encode(&body, &change);
	expect_refused(KV_TABLE_HISTORY, key, buf_slice(&body));
	buf_reset(&body);
	change.existed = true;
	change.before = (struct kv_version){ .gone = true,
		.item = { .modified = 2 },
		.jump = { .revision = 2 } };
	kv_change_encode(&body, &change);
	expect_refused(KV_TABLE_HISTORY, key, buf_slice(&body));
	buf_reset(&body);
	change.type = KV_EVENT_PUT;
	change.before.item.modified = 3;
	kv_change_encode(&body, &change);
	expect_refused(KV_TABLE_HISTORY, key, buf_slice(&body));
	buf_reset(&body);
	change.before.item.modified = 2;
	change.time_us = kv_cluster_time_us(site.source.kv) + 1;
	kv_change_encode(&body, &change);
	expect_refused(KV_TABLE_HISTORY, key, buf_slice(&body));
	buf_release(&body);
}
END_TEST

/* ---- Scrubbing what changes ---- */

static void
run(void)
{
	ck_assert_int_eq(kv_bench_replay(&site.source), 0);
}

/* The sums are what they were, but a record was there while it was read. */
START_TEST(kv_scrub_is_not_deceived_by_what_comes_and_goes)
{
	struct kv_scrub *pass;
	struct kv_state before;
	size_t bytes;
	int code = 0;

	snapshot_site_make_state();
	before = site.source.kv->state;
	kv_encode_grant(kv_bench_log_entry(&site.source), NULL, 1, 1000000);
	run();
	pass = kv_scrub_new(site.source.kv);
	for (uint64_t n = 0; n < snapshot_site_records_count() - 1; n++) {
		ck_assert_int_eq(kv_scrub_step(pass, 1, &bytes), 0);
		/* It is made and goes again under the reader's eyes. */
		kv_encode_revoke(kv_bench_log_entry(&site.source), NULL, 1);
		run();
		ck_assert_int_eq(memcmp(before.sums, site.source.kv->state.sums,
				     sizeof(before.sums)),
		    0);
		kv_encode_grant(
		    kv_bench_log_entry(&site.source), NULL, 1, 1000000);
		run();
	}
	kv_encode_revoke(kv_bench_log_entry(&site.source), NULL, 1);
	run();
	while (code == 0)
		code = kv_scrub_step(pass, 1, &bytes);
	ck_assert_int_eq(code, ERR_NOT_FOUND);
	kv_scrub_free(pass);
}
END_TEST

/* Two events are written for each record that is read. */
START_TEST(kv_scrub_ends_though_more_is_written)
{
	struct kv_scrub *pass;
	uint64_t count;
	uint64_t steps = 0;
	size_t bytes;
	int code;

	snapshot_site_make_state();
	count = snapshot_site_records_count();
	pass = kv_scrub_new(site.source.kv);
	while ((code = kv_scrub_step(pass, 1, &bytes)) == 0) {
		snapshot_site_put("zone", slice_from_text("again"));
		snapshot_site_put("zone", slice_from_text("and again"));
		run();
		ck_assert_uint_le(++steps, 3 * count);
	}
	ck_assert_int_eq(code, ERR_NOT_FOUND);
	kv_scrub_free(pass);
}
END_TEST

/* Nothing is deleted by it, but events come to be of no account. */
START_TEST(kv_scrub_goes_on_over_a_compaction)
{
	struct kv_scrub *pass;
	size_t bytes;
	int code = 0;

	snapshot_site_make_state();
	pass = kv_scrub_new(site.source.kv);
	for (uint64_t n = 0; code == 0; n++) {
		code = kv_scrub_step(pass, 1, &bytes);
		if (n == snapshot_site_records_count() / 2) {
			uint64_t changes = site.source.kv->changes_count;

			kv_encode_compact(
			    kv_bench_log_entry(&site.source), 9, 0);
			run();
			ck_assert_uint_eq(
			    site.source.kv->changes_count, changes);
			ck_assert_uint_eq(kv_compacted(site.source.kv), 9);
		}
	}
	ck_assert_int_eq(code, ERR_NOT_FOUND);
	kv_scrub_free(pass);
	ck_assert_int_eq(kv_verify(site.source.kv), 0);
}
END_TEST

Suite *
kv_verify_suite(void)
{
	Suite *suite = suite_create("kv_verify");
	TCase *core = snapshot_site_case(suite, "core");

	tcase_add_loop_test(
	    core, kv_flipped_bit_is_found_in_every_table, 0, KV_TABLES_COUNT);
	tcase_add_loop_test(core, kv_missing_record_is_found_in_every_table, 0,
	    KV_TABLES_COUNT);
	tcase_add_loop_test(core, kv_swapped_records_are_found_in_every_table,
	    0, KV_TABLES_COUNT);
	tcase_add_test(core, kv_scrub_says_where_damage_is);
	tcase_add_test(core, kv_lonely_record_is_found);
	tcase_add_test(core, kv_missing_event_is_found_unless_it_is_compacted);
	tcase_add_test(core, kv_live_bytes_that_are_wrong_are_found);
	tcase_add_loop_test(core, kv_lease_that_counts_wrongly_is_found, 0, 3);
	tcase_add_test(core, kv_record_of_another_table_or_state_is_refused);
	tcase_add_test(core, kv_record_from_the_future_is_refused);
	tcase_add_test(core, kv_event_that_cannot_have_happened_is_refused);
	tcase_add_test(core, kv_scrub_is_not_deceived_by_what_comes_and_goes);
	tcase_add_test(core, kv_scrub_ends_though_more_is_written);
	tcase_add_test(core, kv_scrub_goes_on_over_a_compaction);
	return suite;
}
