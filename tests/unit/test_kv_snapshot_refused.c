/* Pieces that are not those of the snapshot are refused, and none is finished. */

#include "common/codec.h"
#include "common/macros.h"
#include "tests/unit/snapshot_site.h"
#include "tests/unit/suites.h"

#define HEAD_SIZE 5 /* of a piece: version and count */

/* Nothing of what was refused has been added. */
static void
expect_unchanged(size_t added)
{
	ck_assert_mem_eq(kv_writer_get_position(site.target.writer),
	    &site.pieces.position[added], sizeof(struct kv_position));
	snapshot_site_add_from(added);
	snapshot_site_expect_copy();
}

START_TEST(G35_piece_with_a_flipped_bit_is_refused)
{
	snapshot_site_make_state();
	snapshot_site_make_pieces(1000);
	ck_assert_uint_ge(site.pieces.count, 3);
	for (size_t i = 0; i < site.pieces.count; i++) {
		struct buf *piece = &site.pieces.piece[i];

		for (size_t bit = 0; bit < piece->size * 8; bit++) {
			int code;

			piece->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
			code = snapshot_site_add(i);
			piece->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
			ck_assert_msg(
			    code == ERR_INVALID || code == ERR_VERSION,
			    "bit %zu of piece %zu: %d", bit, i, code);
		}
		ck_assert_int_eq(snapshot_site_add(i), 0);
	}
	snapshot_site_expect_copy();
}
END_TEST

START_TEST(piece_cut_at_every_byte_is_refused)
{
	struct slice whole;

	snapshot_site_make_state();
	snapshot_site_make_pieces(300);
	ck_assert_int_eq(snapshot_site_add(0), 0);
	whole = buf_slice(&site.pieces.piece[1]);
	for (size_t size = 0; size < whole.size; size++)
		ck_assert_int_eq(kv_writer_add(site.target.writer,
				     slice_of(whole.data, size)),
		    ERR_INVALID);
	expect_unchanged(1);
}
END_TEST

START_TEST(piece_with_more_behind_it_is_refused)
{
	snapshot_site_make_state();
	snapshot_site_make_pieces(300);
	buf_append(&site.pieces.piece[0], "", 1);
	ck_assert_int_eq(snapshot_site_add(0), ERR_INVALID);
	site.pieces.piece[0].size--;
	expect_unchanged(0);
}
END_TEST

START_TEST(piece_without_records_is_refused)
{
	static const uint8_t empty[HEAD_SIZE] = { 1, 0, 0, 0, 0 };

	snapshot_site_make_state();
	snapshot_site_make_pieces(300);
	ck_assert_int_eq(
	    kv_writer_add(site.target.writer, slice_of(empty, sizeof(empty))),
	    ERR_INVALID);
	expect_unchanged(0);
}
END_TEST

START_TEST(piece_of_a_newer_version_is_told_apart)
{
	snapshot_site_make_state();
	snapshot_site_make_pieces(300);
	site.pieces.piece[0].data[0]++;
	ck_assert_int_eq(snapshot_site_add(0), ERR_VERSION);
	site.pieces.piece[0].data[0]--;
	expect_unchanged(0);
}
END_TEST

START_TEST(G19_piece_that_came_before_is_refused)
{
	snapshot_site_make_state();
	snapshot_site_make_pieces(300);
	for (size_t i = 0; i < site.pieces.count; i++) {
		ck_assert_int_eq(snapshot_site_add(i), 0);
		for (size_t j = 0; j <= i; j++)
			ck_assert_int_eq(snapshot_site_add(j), ERR_INVALID);
	}
	snapshot_site_expect_copy();
}
END_TEST

/* One that names a table which is not there, or an empty key. */
START_TEST(G19_record_of_no_table_is_refused)
{
	struct buf piece = { 0 };

	snapshot_site_make_state();
	snapshot_site_make_pieces(300);
	for (uint8_t table = 0; table <= KV_TABLES_COUNT; table++) {
		codec_append_u8(&piece, 1);
		codec_append_u32(&piece, 1);
		codec_append_u8(&piece, table);
		codec_append_u16(&piece, table == KV_TABLES_COUNT ? 1 : 0);
		if (table == KV_TABLES_COUNT)
			codec_append_u8(&piece, 'k');
		codec_append_bytes(&piece, slice_from_text("value"));
		ck_assert_int_eq(
		    kv_writer_add(site.target.writer, buf_slice(&piece)),
		    ERR_INVALID);
		buf_reset(&piece);
	}
	buf_release(&piece);
	expect_unchanged(0);
}
END_TEST

/* The records of pieces `a` and `b`, which hold one each, as one piece. */
static int
add_joined(size_t a, size_t b)
{
	struct buf joined = { 0 };
	int code;

	buf_append_slice(&joined, buf_slice(&site.pieces.piece[a]));
	buf_append(&joined, site.pieces.piece[b].data + HEAD_SIZE,
	    site.pieces.piece[b].size - HEAD_SIZE);
	codec_store_u32(joined.data + 1, 2);
	code = kv_writer_add(site.target.writer, buf_slice(&joined));
	buf_release(&joined);
	return code;
}

START_TEST(G19_records_out_of_order_in_a_piece_are_refused)
{
	snapshot_site_make_state();
	snapshot_site_make_pieces(1);
	for (size_t i = 0; i + 1 < site.pieces.count; i += 2) {
		ck_assert_int_eq(add_joined(i + 1, i), ERR_INVALID);
		ck_assert_int_eq(add_joined(i, i), ERR_INVALID);
		ck_assert_mem_eq(kv_writer_get_position(site.target.writer),
		    &site.pieces.position[i], sizeof(struct kv_position));
		ck_assert_int_eq(add_joined(i, i + 1), 0);
	}
	snapshot_site_add_from(site.pieces.count - site.pieces.count % 2);
	snapshot_site_expect_copy();
}
END_TEST

/* Whichever is missing: without the state's record, keys are refused. */
START_TEST(G19_snapshot_with_a_gap_is_not_finished)
{
	size_t refused = 0;

	snapshot_site_make_state();
	snapshot_site_make_pieces(1);
	for (size_t missing = 0; missing < site.pieces.count; missing++) {
		for (size_t i = 0; i < site.pieces.count; i++) {
			int code = i == missing ? 0 : snapshot_site_add(i);

			ck_assert(code == 0 || code == ERR_INVALID);
			refused += code != 0;
		}
		ck_assert_int_eq(snapshot_site_finish(), ERR_CORRUPT);
		ck_assert_int_eq(snapshot_site_finish(), ERR_STOPPED);
		ck_assert_int_eq(snapshot_site_add(0), ERR_STOPPED);
		snapshot_site_renew_target();
	}
	ck_assert_uint_gt(refused, 0);
}
END_TEST

/* Pieces of an older state and of a newer one. */
START_TEST(G19_pieces_of_two_snapshots_are_not_finished)
{
	snapshot_site_make_state();
	snapshot_site_make_pieces(1000);
	ck_assert_int_eq(snapshot_site_add(0), 0);
	snapshot_site_put("key-a", slice_from_text("changed"));
	snapshot_site_put("key-h", slice_from_text("changed"));
	snapshot_site_checkpoint();
	snapshot_site_make_pieces(1000);
	for (size_t i = 1; i < site.pieces.count; i++) {
		int code = snapshot_site_add(i);

		ck_assert(code == 0 || code == ERR_INVALID);
	}
	ck_assert_int_eq(snapshot_site_finish(), ERR_CORRUPT);
}
END_TEST

START_TEST(snapshot_of_another_offer_is_not_finished)
{
	snapshot_site_make_state();
	for (int i = 0; i < 3; i++) {
		snapshot_site_make_pieces(1000);
		snapshot_site_add_from(0);
		site.pieces.info.applied_index += i == 0;
		site.pieces.info.revision += i == 1;
		site.pieces.info.state_hash += i == 2;
		ck_assert_int_eq(snapshot_site_finish(), ERR_CORRUPT);
		snapshot_site_renew_target();
	}
}
END_TEST

Suite *
kv_snapshot_refused_suite(void)
{
	Suite *suite = suite_create("kv_snapshot_refused");
	TCase *refusals = snapshot_site_case(suite, "refusals");

	tcase_add_test(refusals, G35_piece_with_a_flipped_bit_is_refused);
	tcase_add_test(refusals, piece_cut_at_every_byte_is_refused);
	tcase_add_test(refusals, piece_with_more_behind_it_is_refused);
	tcase_add_test(refusals, piece_without_records_is_refused);
	tcase_add_test(refusals, piece_of_a_newer_version_is_told_apart);
	tcase_add_test(refusals, G19_piece_that_came_before_is_refused);
	tcase_add_test(refusals, G19_record_of_no_table_is_refused);
	tcase_add_test(
	    refusals, G19_records_out_of_order_in_a_piece_are_refused);
	tcase_add_test(refusals, G19_snapshot_with_a_gap_is_not_finished);
	tcase_add_test(refusals, G19_pieces_of_two_snapshots_are_not_finished);
	tcase_add_test(refusals, snapshot_of_another_offer_is_not_finished);
	return suite;
}
