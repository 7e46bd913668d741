/* The state machine as a stream of pieces: what comes out is what went in. */

#include "common/codec.h"
#include "common/macros.h"
#include "kv/kv_impl.h"
#include "store/store_lmdb.h"
#include "tests/lib/temp_dir.h"
#include "tests/unit/snapshot_site.h"
#include "tests/unit/suites.h"

/* So that what follows is of all of them. */
START_TEST(snapshot_has_every_table)
{
	snapshot_site_make_state();
	for (unsigned i = 0; i < KV_TABLES_COUNT; i++)
		ck_assert_msg(site.source.kv->state.sums[i].count != 0, "%s",
		    kv_tables[i]);
	ck_assert_uint_ne(kv_compacted(site.source.kv), 0);
}
END_TEST

START_TEST(snapshot_in_pieces_of_any_size_is_the_same_state)
{
	static const size_t sizes[] = { 0, 1, 5, 64, 300, 1000, 3000, 4000,
		1 << 20 };

	snapshot_site_make_state();
	for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
		snapshot_site_make_pieces(sizes[i]);
		snapshot_site_add_from(0);
		snapshot_site_expect_copy();
		snapshot_site_renew_target();
	}
}
END_TEST

/* The copy of the state that the site made, opened. */
static struct kv *
open_copy(void)
{
	struct kv *copy = NULL;

	snapshot_site_make_pieces(500);
	snapshot_site_add_from(0);
	ck_assert_int_eq(snapshot_site_finish(), 0);
	kv_writer_close(site.target.writer);
	site.target.writer = NULL;
	ck_assert_int_eq(kv_open(site.target.store, false, &copy), 0);
	return copy;
}

static enum kv_scan_next
compare_with_source(
    struct kv_scan *scan, struct slice key, const struct kv_item *item)
{
	struct kv_item source;

	ck_assert_int_eq(kv_get_at(site.source.kv, key, scan->at, &source), 0);
	ck_assert(slice_equal(source.value, item->value));
	ck_assert_uint_eq(source.modified, item->modified);
	return KV_SCAN_ON;
}

START_TEST(snapshot_brings_the_past_along)
{
	struct kv_item item;
	struct kv *copy;

	snapshot_site_make_state();
	copy = open_copy();
	for (uint64_t at = kv_compacted(copy); at <= kv_revision(copy); at++) {
		struct kv_scan scan = { .at = at, .take = compare_with_source };

		ck_assert_int_eq(kv_scan_step(copy, &scan, 100), 0);
		ck_assert(scan.ended);
		kv_scan_release(&scan);
	}
	ck_assert_int_eq(kv_get_at(copy, slice_from_text("key-d"), 11, &item),
	    ERR_NOT_FOUND);
	ck_assert_int_eq(
	    kv_get_at(copy, slice_from_text("key-d"), 10, &item), 0);
	ck_assert_int_eq(
	    kv_get_at(copy, slice_from_text("key-d"), 4, &item), ERR_COMPACTED);
	kv_close(copy);
}
END_TEST

/* Applies a command to both, with the same result; and empties it. */
static struct kv_result
apply_to_both(struct kv *copy, struct buf *command, uint64_t time_us)
{
	struct kv *kvs[2] = { site.source.kv, copy };
	struct kv_result results[2];

	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(kv_apply(kvs[i], kv_applied_index(kvs[i]) + 1,
				     time_us, buf_slice(command), &results[i]),
		    0);
	ck_assert_int_eq(results[0].status, results[1].status);
	ck_assert_uint_eq(results[0].replayed, results[1].replayed);
	ck_assert_uint_eq(results[0].revision, results[1].revision);
	ck_assert(slice_equal(results[0].outputs, results[1].outputs));
	ck_assert_uint_eq(kv_state_hash(kvs[0]), kv_state_hash(copy));
	ck_assert_int_eq(kv_verify(copy), 0);
	buf_reset(command);
	return results[1];
}

/* Leases, locks, deadlines, replays and compaction go on where they were. */
START_TEST(snapshot_goes_on_as_its_source_does)
{
	struct buf command = { 0 };
	struct kv_lock lock;
	struct kv_item item;
	struct kv *copy;

	snapshot_site_make_state();
	copy = open_copy();
	/* The command with the identity "once". */
	buf_append_slice(
	    &command, buf_slice(&site.source.log[site.source.log_count - 4]));
	ck_assert(apply_to_both(copy, &command, 30000).replayed);
	kv_encode_unlock(&command, NULL, slice_from_text("deploy"), 8);
	ck_assert_int_eq(apply_to_both(copy, &command, 31000).status, KV_OK);
	ck_assert_int_eq(
	    kv_get_lock(copy, slice_from_text("deploy"), &lock), 0);
	ck_assert_uint_eq(lock.token, 9);
	kv_encode_renew(&command, NULL, 7);
	ck_assert_int_eq(apply_to_both(copy, &command, 32000).status, KV_OK);
	kv_encode_compact(&command, 9, 2);
	(void)apply_to_both(copy, &command, 33000);
	/* First the key with its own deadline, later what is on leases. */
	kv_encode_expire(&command, UINT64_MAX, 100);
	(void)apply_to_both(copy, &command, 55000000);
	ck_assert_int_eq(
	    kv_get(copy, slice_from_text("fleeting"), &item), ERR_NOT_FOUND);
	ck_assert_int_eq(kv_get(copy, slice_from_text("leased"), &item), 0);
	kv_encode_expire(&command, UINT64_MAX, 100);
	(void)apply_to_both(copy, &command, 700000000);
	ck_assert_int_eq(
	    kv_get(copy, slice_from_text("leased"), &item), ERR_NOT_FOUND);
	ck_assert_int_eq(
	    kv_get_lock(copy, slice_from_text("deploy"), &lock), ERR_NOT_FOUND);
	kv_close(copy);
	buf_release(&command);
}
END_TEST

START_TEST(snapshot_piece_is_as_large_as_asked_and_one_record)
{
	snapshot_site_make_state();
	snapshot_site_make_pieces(1);
	ck_assert_uint_eq(site.pieces.count, snapshot_site_records_count());
	snapshot_site_make_pieces(1000);
	for (size_t i = 0; i + 1 < site.pieces.count; i++) {
		ck_assert_uint_ge(site.pieces.piece[i].size, 1000);
		ck_assert_uint_lt(site.pieces.piece[i].size, 1000 + 3100);
	}
	snapshot_site_make_pieces(1 << 20);
	ck_assert_uint_eq(site.pieces.count, 1);
	ck_assert_uint_le(site.pieces.info.bytes, site.pieces.piece[0].size);
	ck_assert_uint_ge(
	    site.pieces.info.bytes * 10, site.pieces.piece[0].size * 9);
}
END_TEST

/* The caller's bytes stay in front of the piece and do not count. */
START_TEST(snapshot_piece_is_appended)
{
	struct kv_reader *reader;
	struct kv_position at = { 0 };
	struct buf piece = { 0 };

	snapshot_site_make_state();
	snapshot_site_make_pieces(200);
	buf_append_text(&piece, "head");
	reader = snapshot_site_open_reader();
	ck_assert_int_eq(kv_reader_read(reader, &at, 200, &piece), 0);
	ck_assert(slice_equal(slice_of(piece.data + 4, piece.size - 4),
	    buf_slice(&site.pieces.piece[0])));
	kv_reader_close(reader);
	buf_release(&piece);
}
END_TEST

/* G22: at every record, by another reader with other sizes. */
START_TEST(G22_snapshot_goes_on_at_every_position)
{
	size_t count;

	snapshot_site_make_state();
	snapshot_site_make_pieces(1);
	count = site.pieces.count;
	for (size_t broken = 0; broken <= count; broken++) {
		struct kv_reader *reader;
		struct kv_position at;
		struct buf piece = { 0 };

		for (size_t i = 0; i < broken; i++)
			ck_assert_int_eq(snapshot_site_add(i), 0);
		at = *kv_writer_get_position(site.target.writer);
		ck_assert_mem_eq(
		    &at, &site.pieces.position[broken], sizeof(at));
		reader = snapshot_site_open_reader();
		while (kv_reader_read(reader, &at, 150, &piece) == 0) {
			ck_assert_int_eq(kv_writer_add(site.target.writer,
					     buf_slice(&piece)),
			    0);
			ck_assert_mem_eq(
			    kv_writer_get_position(site.target.writer), &at,
			    sizeof(at));
			buf_reset(&piece);
		}
		kv_reader_close(reader);
		buf_release(&piece);
		snapshot_site_expect_copy();
		snapshot_site_renew_target();
	}
}
END_TEST

/* The record that a position names may be gone in a later state. */
START_TEST(position_of_a_deleted_key_is_between_its_neighbours)
{
	struct kv_position at = { .table = KV_TABLE_KV, .key_size = 5 };
	struct kv_reader *reader;
	struct buf piece = { 0 };

	snapshot_site_make_state();
	memcpy(at.key, "key-d", 5);
	reader = snapshot_site_open_reader();
	ck_assert_int_eq(kv_reader_read(reader, &at, 1, &piece), 0);
	ck_assert(slice_equal(
	    slice_of(at.key, at.key_size), slice_from_text("key-e")));
	at = (struct kv_position){ .table = KV_TABLES_COUNT };
	ck_assert_int_eq(kv_reader_read(reader, &at, 1, &piece), ERR_NOT_FOUND);
	kv_reader_close(reader);
	buf_release(&piece);
}
END_TEST

START_TEST(reader_tells_what_the_snapshot_is)
{
	struct kv_reader *reader;
	struct kv_snapshot_info info;
	struct slice bytes;

	snapshot_site_make_state();
	reader = snapshot_site_open_reader();
	kv_reader_get_info(reader, &info);
	ck_assert_uint_eq(info.applied_index, kv_applied_index(site.source.kv));
	ck_assert_uint_eq(info.revision, kv_revision(site.source.kv));
	ck_assert_uint_eq(info.state_hash, kv_state_hash(site.source.kv));
	ck_assert_int_eq(kv_reader_get_meta(reader, "members", &bytes), 0);
	ck_assert(slice_equal(bytes, slice_from_text("n1 n2")));
	ck_assert_int_eq(
	    kv_reader_get_meta(reader, "other", &bytes), ERR_NOT_FOUND);
	kv_reader_close(reader);
}
END_TEST

/* G34: nothing was ever applied; and entries, but no key. */
START_TEST(G34_snapshot_of_an_empty_state)
{
	snapshot_site_make_pieces(100);
	ck_assert_uint_eq(site.pieces.count, 0);
	ck_assert_uint_eq(site.pieces.info.applied_index, 0);
	snapshot_site_expect_copy();
	snapshot_site_renew_target();
	kv_bench_log_skip(&site.source);
	snapshot_site_checkpoint();
	snapshot_site_make_pieces(100);
	ck_assert_uint_eq(site.pieces.count, 1);
	ck_assert_uint_eq(site.pieces.info.applied_index, 1);
	snapshot_site_add_from(0);
	snapshot_site_expect_copy();
}
END_TEST

/* G20: what is pinned stays, whatever is written and checkpointed. */
START_TEST(G20_reader_keeps_its_state_under_writes)
{
	uint64_t digest;
	struct kv_reader *reader;
	struct kv_position at = { 0 };
	struct kv_snapshot_info info;
	struct buf piece = { 0 };

	snapshot_site_make_state();
	digest = store_mem_digest(site.source.disk);
	reader = snapshot_site_open_reader();
	while (kv_reader_read(reader, &at, 1, &piece) == 0) {
		ck_assert_int_eq(
		    kv_writer_add(site.target.writer, buf_slice(&piece)), 0);
		buf_reset(&piece);
		snapshot_site_put("key-a", slice_from_text("new"));
		snapshot_site_put("key-bb", slice_from_text("added"));
		kv_bench_log_delete(&site.source, slice_from_text("zone"));
		snapshot_site_checkpoint();
	}
	kv_reader_get_info(reader, &info);
	kv_reader_close(reader);
	buf_release(&piece);
	ck_assert_int_eq(kv_writer_finish(site.target.writer, &info), 0);
	ck_assert_uint_eq(store_mem_digest(site.target.disk), digest);
	ck_assert_uint_ne(store_mem_digest(site.source.disk), digest);
}
END_TEST

#define LARGE_KEYS       3000
#define LARGE_VALUE_SIZE 4096
#define LARGE_PIECE      (256 * 1024)

static struct store *
open_lmdb(const char *path)
{
	struct store_lmdb_params params = { .path = path,
		.tables = kv_tables,
		.tables_count = KV_TABLES_COUNT,
		.map_bytes = 128u << 20 };
	struct store *store = NULL;

	ck_assert_int_eq(store_lmdb_open(&params, &store), 0);
	return store;
}

static void
put_large(struct kv *kv, uint64_t index, uint32_t number)
{
	static uint8_t value[LARGE_VALUE_SIZE];
	struct buf command = { 0 };
	struct kv_result result;
	uint8_t key[4];

	codec_store_u32(key, number);
	codec_store_u64(value, index);
	kv_encode_put(&command, slice_of(key, sizeof(key)),
	    slice_of(value, sizeof(value)));
	ck_assert_int_eq(
	    kv_apply(kv, index, index, buf_slice(&command), &result), 0);
	buf_release(&command);
}

/*
 * Copies the state that is pinned now, while every piece of it is overwritten,
 * and checkpointed, behind the reader's back.
 */
static uint64_t
copy_under_writes(struct store *from, struct kv *kv, struct store *to)
{
	struct kv_position at = { 0 };
	struct kv_snapshot_info info;
	struct kv_reader *reader = NULL;
	struct kv_writer *writer = NULL;
	struct buf piece = { 0 };
	uint32_t number = 0;

	ck_assert_int_eq(kv_reader_open(from, &reader), 0);
	kv_reader_get_info(reader, &info);
	ck_assert_int_eq(kv_writer_open(to, &writer), 0);
	while (kv_reader_read(reader, &at, LARGE_PIECE, &piece) == 0) {
		ck_assert_int_eq(kv_writer_add(writer, buf_slice(&piece)), 0);
		buf_reset(&piece);
		for (int i = 0; i < 20; i++)
			put_large(kv, kv_applied_index(kv) + 1, number++);
		ck_assert_int_eq(kv_checkpoint(kv), 0);
	}
	kv_reader_close(reader);
	buf_release(&piece);
	ck_assert_int_eq(kv_writer_finish(writer, &info), 0);
	kv_writer_close(writer);
	return info.state_hash;
}

START_TEST(G20_large_snapshot_between_lmdb_stores)
{
	char *from_path = temp_dir_make();
	char *to_path = temp_dir_make();
	struct store *from = open_lmdb(from_path);
	struct store *to = open_lmdb(to_path);
	struct kv *kv = NULL;
	uint64_t hash;

	ck_assert_int_eq(kv_open(from, true, &kv), 0);
	for (uint32_t i = 0; i < LARGE_KEYS; i++)
		put_large(kv, i + 1, i);
	ck_assert_int_eq(kv_checkpoint(kv), 0);
	hash = copy_under_writes(from, kv, to);
	ck_assert_uint_gt(kv_applied_index(kv), LARGE_KEYS);
	kv_close(kv);
	store_close(from);
	store_close(to);
	to = open_lmdb(to_path);
	ck_assert_int_eq(kv_open(to, true, &kv), 0);
	ck_assert_uint_eq(kv_state_hash(kv), hash);
	ck_assert_uint_eq(kv_applied_index(kv), LARGE_KEYS);
	kv_close(kv);
	store_close(to);
	temp_dir_remove(from_path);
	temp_dir_remove(to_path);
}
END_TEST

/* Memory and the sync of a commit are bounded, whatever the size of all. */
START_TEST(writer_commits_now_and_then)
{
	uint64_t before = store_mem_commits_count(site.target.disk);
	uint64_t commits;

	for (uint32_t i = 0; i < LARGE_KEYS; i++)
		put_large(site.source.kv, i + 1, i);
	ck_assert_int_eq(kv_checkpoint(site.source.kv), 0);
	snapshot_site_make_pieces(LARGE_PIECE);
	snapshot_site_add_from(0);
	commits = store_mem_commits_count(site.target.disk) - before;
	ck_assert_uint_ge(commits, 2);
	ck_assert_uint_le(commits, 4);
	snapshot_site_expect_copy();
}
END_TEST

Suite *
kv_snapshot_suite(void)
{
	Suite *suite = suite_create("kv_snapshot");
	TCase *copying = snapshot_site_case(suite, "copying");

	tcase_add_test(copying, snapshot_has_every_table);
	tcase_add_test(
	    copying, snapshot_in_pieces_of_any_size_is_the_same_state);
	tcase_add_test(copying, snapshot_brings_the_past_along);
	tcase_add_test(copying, snapshot_goes_on_as_its_source_does);
	tcase_add_test(
	    copying, snapshot_piece_is_as_large_as_asked_and_one_record);
	tcase_add_test(copying, snapshot_piece_is_appended);
	tcase_add_test(copying, G22_snapshot_goes_on_at_every_position);
	tcase_add_test(
	    copying, position_of_a_deleted_key_is_between_its_neighbours);
	tcase_add_test(copying, reader_tells_what_the_snapshot_is);
	tcase_add_test(copying, G34_snapshot_of_an_empty_state);
	tcase_add_test(copying, G20_reader_keeps_its_state_under_writes);
	tcase_add_test(copying, G20_large_snapshot_between_lmdb_stores);
	tcase_add_test(copying, writer_commits_now_and_then);
	return suite;
}
