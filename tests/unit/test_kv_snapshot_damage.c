/* Snapshots from damaged stores, and into stores that fail. */

#include "kv/kv_impl.h"
#include "tests/unit/snapshot_site.h"
#include "tests/unit/suites.h"

START_TEST(reader_finds_damage_in_a_key)
{
	struct slice key = slice_from_text("key-c");
	struct kv_position at = { .table = KV_TABLE_KV };
	struct kv_position before = at;
	struct buf piece = { 0 };

	snapshot_site_make_state();
	for (uint64_t bit = 0; bit < 8u * 34; bit++) {
		struct kv_reader *reader;

		ck_assert(store_mem_flip_bit(
		    site.source.disk, KV_TABLE_KV, key, bit));
		reader = snapshot_site_open_reader();
		ck_assert_int_eq(
		    kv_reader_read(reader, &at, 4000, &piece), ERR_CORRUPT);
		ck_assert_uint_eq(piece.size, 0);
		ck_assert_mem_eq(&at, &before, sizeof(at));
		kv_reader_close(reader);
		ck_assert(store_mem_flip_bit(
		    site.source.disk, KV_TABLE_KV, key, bit));
	}
	buf_release(&piece);
}
END_TEST

START_TEST(reader_finds_damage_in_meta)
{
	struct kv_reader *reader = NULL;
	struct kv_position at = { 0 };
	struct buf piece = { 0 };
	struct slice bytes;

	snapshot_site_make_state();
	ck_assert(store_mem_flip_bit(site.source.disk, KV_TABLE_META,
	    slice_from_text("node.members"), 50));
	reader = snapshot_site_open_reader();
	ck_assert_int_eq(
	    kv_reader_get_meta(reader, "members", &bytes), ERR_CORRUPT);
	ck_assert_int_eq(
	    kv_reader_read(reader, &at, 4000, &piece), ERR_CORRUPT);
	kv_reader_close(reader);
	ck_assert(store_mem_flip_bit(
	    site.source.disk, KV_TABLE_META, slice_from_text("state"), 99));
	ck_assert_int_eq(
	    kv_reader_open(site.source.store, &reader), ERR_CORRUPT);
	buf_release(&piece);
}
END_TEST

START_TEST(writer_fills_an_empty_store_alone)
{
	struct kv_writer *writer = NULL;

	kv_close(site.source.kv);
	site.source.kv = NULL;
	ck_assert_int_eq(kv_writer_open(site.source.store, &writer), 0);
	kv_writer_close(writer);
	writer = NULL;
	ck_assert_int_eq(kv_open(site.source.store, true, &site.source.kv), 0);
	snapshot_site_make_state();
	kv_close(site.source.kv);
	site.source.kv = NULL;
	ck_assert_int_eq(
	    kv_writer_open(site.source.store, &writer), ERR_EXISTS);
	ck_assert_ptr_null(writer);
}
END_TEST

/* G18: a crash at every operation leaves what is no state, or all of it. */
START_TEST(G18_snapshot_is_whole_or_no_state)
{
	bool failed = true;

	snapshot_site_make_state();
	snapshot_site_make_pieces(300);
	for (uint64_t n = 1; failed; n++) {
		struct kv *kv = NULL;
		int code = 0;

		store_mem_seed(site.target.disk, n);
		store_mem_fail_operation(site.target.disk, n, ERR_IO);
		for (size_t i = 0; code == 0 && i < site.pieces.count; i++)
			code = snapshot_site_add(i);
		if (code == 0)
			code = snapshot_site_finish();
		failed = code != 0;
		store_mem_fail_operation(site.target.disk, 0, 0);
		code = snapshot_site_add(0);
		ck_assert(code == ERR_STOPPED || code == ERR_IO);
		ck_assert_int_eq(snapshot_site_finish(), code);
		kv_writer_close(site.target.writer);
		site.target.writer = NULL;
		store_close(site.target.store);
		site.target.store = store_mem_open(site.target.disk);
		code = kv_open(site.target.store, true, &kv);
		if (code == 0 && kv_applied_index(kv) != 0)
			snapshot_site_expect_equal(kv, site.source.kv);
		else
			ck_assert(failed);
		kv_close(kv);
		snapshot_site_renew_target();
	}
}
END_TEST

START_TEST(writer_stops_when_its_disk_is_full)
{
	snapshot_site_make_state();
	snapshot_site_make_pieces(1000);
	store_mem_set_capacity(site.target.disk, 4000);
	ck_assert_int_eq(snapshot_site_add(0), 0);
	ck_assert_int_eq(snapshot_site_add(1), 0);
	ck_assert_int_eq(snapshot_site_add(2), ERR_NO_SPACE);
	ck_assert_int_eq(snapshot_site_add(2), ERR_NO_SPACE);
	ck_assert_int_eq(kv_writer_write(site.target.writer), ERR_NO_SPACE);
	ck_assert(kv_writer_is_idle(site.target.writer));
	ck_assert_int_eq(snapshot_site_finish(), ERR_NO_SPACE);
}
END_TEST

/* A piece is taken at once, and written when there is time. */
START_TEST(piece_waits_to_be_written)
{
	uint64_t operations;

	snapshot_site_make_state();
	snapshot_site_make_pieces(1000);
	ck_assert(kv_writer_is_idle(site.target.writer));
	operations = store_mem_operations_count(site.target.disk);
	ck_assert_int_eq(snapshot_site_add(0), 0);
	ck_assert_uint_eq(
	    store_mem_operations_count(site.target.disk), operations);
	ck_assert(!kv_writer_is_idle(site.target.writer));
	ck_assert_int_eq(kv_writer_write(site.target.writer), 0);
	ck_assert_uint_gt(
	    store_mem_operations_count(site.target.disk), operations);
	ck_assert(kv_writer_is_idle(site.target.writer));
	operations = store_mem_operations_count(site.target.disk);
	ck_assert_int_eq(kv_writer_write(site.target.writer), 0);
	ck_assert_uint_eq(
	    store_mem_operations_count(site.target.disk), operations);
	snapshot_site_add_from(1);
	snapshot_site_expect_copy();
}
END_TEST

Suite *
kv_snapshot_damage_suite(void)
{
	Suite *suite = suite_create("kv_snapshot_damage");
	TCase *damage = snapshot_site_case(suite, "damage");

	tcase_add_test(damage, reader_finds_damage_in_a_key);
	tcase_add_test(damage, reader_finds_damage_in_meta);
	tcase_add_test(damage, writer_fills_an_empty_store_alone);
	tcase_add_test(damage, G18_snapshot_is_whole_or_no_state);
	tcase_add_test(damage, writer_stops_when_its_disk_is_full);
	tcase_add_test(damage, piece_waits_to_be_written);
	return suite;
}
