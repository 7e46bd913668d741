/* The state machine as a stream of pieces: what comes out is what went in. */

#include "common/codec.h"
#include "common/macros.h"
#include "kv/kv_impl.h"
#include "kv/kv_snapshot.h"
#include "store/store_lmdb.h"
#include "tests/lib/kv_bench.h"
#include "tests/lib/temp_dir.h"
#include "tests/unit/suites.h"
#include <stdlib.h>

enum { TABLE_META, TABLE_KV };

#define PIECES_MAX 256
#define HEAD_SIZE  5 /* of a piece: version and count */

static struct kv_bench source;

/* Where a snapshot goes. */
struct target {
	struct store_mem_disk *disk;
	struct store *store;
	struct kv_writer *writer;
};

static struct target target;

/* A snapshot in pieces, with the positions before each and behind the last. */
struct pieces {
	struct kv_snapshot_info info;
	size_t count;
	struct buf piece[PIECES_MAX];
	struct kv_position position[PIECES_MAX + 1];
};

static struct pieces pieces;

static void
target_open(void)
{
	target.disk = store_mem_disk_new(KV_TABLES_COUNT);
	target.store = store_mem_open(target.disk);
	ck_assert_int_eq(kv_writer_open(target.store, &target.writer), 0);
}

static void
target_close(void)
{
	kv_writer_close(target.writer);
	store_close(target.store);
	store_mem_disk_free(target.disk);
	target = (struct target){ 0 };
}

static void
pieces_release(void)
{
	for (size_t i = 0; i < pieces.count; i++)
		buf_release(&pieces.piece[i]);
	pieces = (struct pieces){ 0 };
}

static void
set_up(void)
{
	kv_bench_init(&source);
	target_open();
}

static void
tear_down(void)
{
	pieces_release();
	target_close();
	kv_bench_release(&source);
}

static void
put(const char *key, struct slice value)
{
	kv_bench_log_put(&source, slice_from_text(key), value);
}

/* Changes that wait to be checkpointed are part of no snapshot. */
static void
checkpoint(void)
{
	ck_assert_int_eq(kv_bench_replay(&source), 0);
	ck_assert_int_eq(kv_checkpoint(source.kv), 0);
}

/* Values of no, few and many bytes, a deleted key, and the node's records. */
static void
make_state(void)
{
	static const uint8_t bytes[3000];
	static const size_t sizes[] = { 0, 1, 17, 100, 3000, 40, 999, 2 };
	char key[] = "key-a";

	for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
		key[4] = (char)('a' + i);
		put(key, slice_of(bytes, sizes[i]));
	}
	put("zone", slice_from_text("above every name in the other table"));
	put("key-c", slice_from_text("again"));
	kv_bench_log_skip(&source);
	kv_bench_log_delete(&source, slice_from_text("key-d"));
	ck_assert_int_eq(kv_bench_replay(&source), 0);
	ck_assert_int_eq(
	    kv_set_meta(source.kv, "members", slice_from_text("n1 n2")), 0);
	ck_assert_int_eq(
	    kv_set_meta(source.kv, "log", slice_from_text("base")), 0);
	checkpoint();
}

static struct kv_reader *
open_reader(void)
{
	struct kv_reader *reader = NULL;

	ck_assert_int_eq(kv_reader_open(source.store, &reader), 0);
	return reader;
}

/* Cuts the checkpointed state into pieces of about `size_max` bytes. */
static void
make_pieces(size_t size_max)
{
	struct kv_reader *reader = open_reader();
	struct kv_position at = { 0 };
	int code;

	pieces_release();
	kv_reader_get_info(reader, &pieces.info);
	for (;;) {
		ck_assert_uint_lt(pieces.count, PIECES_MAX);
		code = kv_reader_read(
		    reader, &at, size_max, &pieces.piece[pieces.count]);
		if (code != 0)
			break;
		pieces.position[++pieces.count] = at;
	}
	ck_assert_int_eq(code, ERR_NOT_FOUND);
	ck_assert_uint_eq(pieces.piece[pieces.count].size, 0);
	buf_release(&pieces.piece[pieces.count]);
	kv_reader_close(reader);
}

static int
add(size_t i)
{
	return kv_writer_add(target.writer, buf_slice(&pieces.piece[i]));
}

static void
add_from(size_t i)
{
	for (; i < pieces.count; i++)
		ck_assert_int_eq(add(i), 0);
}

static int
finish(void)
{
	return kv_writer_finish(target.writer, &pieces.info);
}

static void
expect_equal(struct kv *a, struct kv *b)
{
	struct kv_stats stats_a;
	struct kv_stats stats_b;

	ck_assert_uint_eq(kv_state_hash(a), kv_state_hash(b));
	ck_assert_uint_eq(kv_revision(a), kv_revision(b));
	ck_assert_uint_eq(kv_applied_index(a), kv_applied_index(b));
	ck_assert_uint_eq(a->state.cluster_time_us, b->state.cluster_time_us);
	kv_get_stats(a, &stats_a);
	kv_get_stats(b, &stats_b);
	ck_assert_uint_eq(stats_a.keys_count, stats_b.keys_count);
	ck_assert_uint_eq(stats_a.live_bytes, stats_b.live_bytes);
	ck_assert_uint_eq(stats_a.checkpoint_index, stats_b.checkpoint_index);
}

/* Finishes; the target is then the source, byte by byte, and goes on. */
static void
expect_copy(void)
{
	struct kv *copy = NULL;

	ck_assert_int_eq(finish(), 0);
	kv_writer_close(target.writer);
	target.writer = NULL;
	ck_assert_uint_eq(
	    store_mem_digest(target.disk), store_mem_digest(source.disk));
	ck_assert_int_eq(kv_open(target.store, false, &copy), 0);
	ck_assert_int_eq(kv_verify(copy), 0);
	expect_equal(copy, source.kv);
	ck_assert_int_eq(kv_skip(copy, kv_applied_index(copy) + 1), 0);
	ck_assert_int_eq(kv_checkpoint(copy), 0);
	kv_close(copy);
}

/* ---- Copying ---- */

START_TEST(snapshot_in_pieces_of_any_size_is_the_same_state)
{
	static const size_t sizes[] = { 0, 1, 5, 64, 300, 1000, 3000, 4000,
		1 << 20 };

	make_state();
	for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
		make_pieces(sizes[i]);
		add_from(0);
		expect_copy();
		target_close();
		target_open();
	}
}
END_TEST

START_TEST(snapshot_piece_is_as_large_as_asked_and_one_record)
{
	make_state();
	make_pieces(1);
	ck_assert_uint_eq(pieces.count, 3 + 8);
	make_pieces(1000);
	for (size_t i = 0; i + 1 < pieces.count; i++) {
		ck_assert_uint_ge(pieces.piece[i].size, 1000);
		ck_assert_uint_lt(pieces.piece[i].size, 1000 + 3100);
	}
	make_pieces(1 << 20);
	ck_assert_uint_eq(pieces.count, 1);
	ck_assert_uint_le(pieces.info.bytes, pieces.piece[0].size);
	ck_assert_uint_ge(pieces.info.bytes * 10, pieces.piece[0].size * 9);
}
END_TEST

/* The caller's bytes stay in front of the piece and do not count. */
START_TEST(snapshot_piece_is_appended)
{
	struct kv_reader *reader;
	struct kv_position at = { 0 };
	struct buf piece = { 0 };

	make_state();
	make_pieces(200);
	buf_append_text(&piece, "head");
	reader = open_reader();
	ck_assert_int_eq(kv_reader_read(reader, &at, 200, &piece), 0);
	ck_assert(slice_equal(slice_of(piece.data + 4, piece.size - 4),
	    buf_slice(&pieces.piece[0])));
	kv_reader_close(reader);
	buf_release(&piece);
}
END_TEST

/* G22: at every record, by another reader with other sizes. */
START_TEST(G22_snapshot_goes_on_at_every_position)
{
	size_t count;

	make_state();
	make_pieces(1);
	count = pieces.count;
	for (size_t broken = 0; broken <= count; broken++) {
		struct kv_reader *reader;
		struct kv_position at;
		struct buf piece = { 0 };

		for (size_t i = 0; i < broken; i++)
			ck_assert_int_eq(add(i), 0);
		at = *kv_writer_get_position(target.writer);
		ck_assert_mem_eq(&at, &pieces.position[broken], sizeof(at));
		reader = open_reader();
		while (kv_reader_read(reader, &at, 150, &piece) == 0) {
			ck_assert_int_eq(
			    kv_writer_add(target.writer, buf_slice(&piece)), 0);
			ck_assert_mem_eq(kv_writer_get_position(target.writer),
			    &at, sizeof(at));
			buf_reset(&piece);
		}
		kv_reader_close(reader);
		buf_release(&piece);
		expect_copy();
		target_close();
		target_open();
	}
}
END_TEST

/* The record that a position names may be gone in a later state. */
START_TEST(position_of_a_deleted_key_is_between_its_neighbours)
{
	struct kv_position at = { .table = TABLE_KV, .key_size = 5 };
	struct kv_reader *reader;
	struct buf piece = { 0 };

	make_state();
	memcpy(at.key, "key-d", 5);
	reader = open_reader();
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

	make_state();
	reader = open_reader();
	kv_reader_get_info(reader, &info);
	ck_assert_uint_eq(info.applied_index, kv_applied_index(source.kv));
	ck_assert_uint_eq(info.revision, kv_revision(source.kv));
	ck_assert_uint_eq(info.state_hash, kv_state_hash(source.kv));
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
	make_pieces(100);
	ck_assert_uint_eq(pieces.count, 0);
	ck_assert_uint_eq(pieces.info.applied_index, 0);
	expect_copy();
	target_close();
	target_open();
	kv_bench_log_skip(&source);
	checkpoint();
	make_pieces(100);
	ck_assert_uint_eq(pieces.count, 1);
	ck_assert_uint_eq(pieces.info.applied_index, 1);
	add_from(0);
	expect_copy();
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

	make_state();
	digest = store_mem_digest(source.disk);
	reader = open_reader();
	while (kv_reader_read(reader, &at, 1, &piece) == 0) {
		ck_assert_int_eq(
		    kv_writer_add(target.writer, buf_slice(&piece)), 0);
		buf_reset(&piece);
		put("key-a", slice_from_text("new"));
		put("key-bb", slice_from_text("added"));
		kv_bench_log_delete(&source, slice_from_text("zone"));
		checkpoint();
	}
	kv_reader_get_info(reader, &info);
	kv_reader_close(reader);
	buf_release(&piece);
	ck_assert_int_eq(kv_writer_finish(target.writer, &info), 0);
	ck_assert_uint_eq(store_mem_digest(target.disk), digest);
	ck_assert_uint_ne(store_mem_digest(source.disk), digest);
}
END_TEST

/* ---- What is not the snapshot ---- */

/* Nothing of what was refused has been added. */
static void
expect_unchanged(size_t added)
{
	ck_assert_mem_eq(kv_writer_get_position(target.writer),
	    &pieces.position[added], sizeof(struct kv_position));
	add_from(added);
	expect_copy();
}

START_TEST(G35_piece_with_a_flipped_bit_is_refused)
{
	make_state();
	make_pieces(1000);
	ck_assert_uint_ge(pieces.count, 3);
	for (size_t i = 0; i < pieces.count; i++) {
		struct buf *piece = &pieces.piece[i];

		for (size_t bit = 0; bit < piece->size * 8; bit++) {
			int code;

			piece->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
			code = add(i);
			piece->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
			ck_assert_msg(
			    code == ERR_INVALID || code == ERR_VERSION,
			    "bit %zu of piece %zu: %d", bit, i, code);
		}
		ck_assert_int_eq(add(i), 0);
	}
	expect_copy();
}
END_TEST

START_TEST(piece_cut_at_every_byte_is_refused)
{
	struct slice whole;

	make_state();
	make_pieces(300);
	ck_assert_int_eq(add(0), 0);
	whole = buf_slice(&pieces.piece[1]);
	for (size_t size = 0; size < whole.size; size++)
		ck_assert_int_eq(
		    kv_writer_add(target.writer, slice_of(whole.data, size)),
		    ERR_INVALID);
	expect_unchanged(1);
}
END_TEST

START_TEST(piece_with_more_behind_it_is_refused)
{
	make_state();
	make_pieces(300);
	buf_append(&pieces.piece[0], "", 1);
	ck_assert_int_eq(add(0), ERR_INVALID);
	pieces.piece[0].size--;
	expect_unchanged(0);
}
END_TEST

START_TEST(piece_without_records_is_refused)
{
	static const uint8_t empty[HEAD_SIZE] = { 1, 0, 0, 0, 0 };

	make_state();
	make_pieces(300);
	ck_assert_int_eq(
	    kv_writer_add(target.writer, slice_of(empty, sizeof(empty))),
	    ERR_INVALID);
	expect_unchanged(0);
}
END_TEST

START_TEST(piece_of_a_newer_version_is_told_apart)
{
	make_state();
	make_pieces(300);
	pieces.piece[0].data[0]++;
	ck_assert_int_eq(add(0), ERR_VERSION);
	pieces.piece[0].data[0]--;
	expect_unchanged(0);
}
END_TEST

START_TEST(G19_piece_that_came_before_is_refused)
{
	make_state();
	make_pieces(300);
	for (size_t i = 0; i < pieces.count; i++) {
		ck_assert_int_eq(add(i), 0);
		for (size_t j = 0; j <= i; j++)
			ck_assert_int_eq(add(j), ERR_INVALID);
	}
	expect_copy();
}
END_TEST

/* One that names a table which is not there, or an empty key. */
START_TEST(G19_record_of_no_table_is_refused)
{
	struct buf piece = { 0 };

	make_state();
	make_pieces(300);
	for (uint8_t table = 0; table <= KV_TABLES_COUNT; table++) {
		codec_append_u8(&piece, 1);
		codec_append_u32(&piece, 1);
		codec_append_u8(&piece, table);
		codec_append_u16(&piece, table == KV_TABLES_COUNT ? 1 : 0);
		if (table == KV_TABLES_COUNT)
			codec_append_u8(&piece, 'k');
		codec_append_bytes(&piece, slice_from_text("value"));
		ck_assert_int_eq(
		    kv_writer_add(target.writer, buf_slice(&piece)),
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

	buf_append_slice(&joined, buf_slice(&pieces.piece[a]));
	buf_append(&joined, pieces.piece[b].data + HEAD_SIZE,
	    pieces.piece[b].size - HEAD_SIZE);
	codec_store_u32(joined.data + 1, 2);
	code = kv_writer_add(target.writer, buf_slice(&joined));
	buf_release(&joined);
	return code;
}

START_TEST(G19_records_out_of_order_in_a_piece_are_refused)
{
	make_state();
	make_pieces(1);
	for (size_t i = 0; i + 1 < pieces.count; i += 2) {
		ck_assert_int_eq(add_joined(i + 1, i), ERR_INVALID);
		ck_assert_int_eq(add_joined(i, i), ERR_INVALID);
		ck_assert_mem_eq(kv_writer_get_position(target.writer),
		    &pieces.position[i], sizeof(struct kv_position));
		ck_assert_int_eq(add_joined(i, i + 1), 0);
	}
	add_from(pieces.count - pieces.count % 2);
	expect_copy();
}
END_TEST

/* Whichever is missing: without the state's record, keys are refused. */
START_TEST(G19_snapshot_with_a_gap_is_not_finished)
{
	size_t refused = 0;

	make_state();
	make_pieces(1);
	for (size_t missing = 0; missing < pieces.count; missing++) {
		for (size_t i = 0; i < pieces.count; i++) {
			int code = i == missing ? 0 : add(i);

			ck_assert(code == 0 || code == ERR_INVALID);
			refused += code != 0;
		}
		ck_assert_int_eq(finish(), ERR_CORRUPT);
		ck_assert_int_eq(finish(), ERR_STOPPED);
		ck_assert_int_eq(add(0), ERR_STOPPED);
		target_close();
		target_open();
	}
	ck_assert_uint_gt(refused, 0);
}
END_TEST

/* Pieces of an older state and of a newer one. */
START_TEST(G19_pieces_of_two_snapshots_are_not_finished)
{
	make_state();
	make_pieces(1000);
	ck_assert_int_eq(add(0), 0);
	put("key-a", slice_from_text("changed"));
	put("key-h", slice_from_text("changed"));
	checkpoint();
	make_pieces(1000);
	for (size_t i = 1; i < pieces.count; i++) {
		int code = add(i);

		ck_assert(code == 0 || code == ERR_INVALID);
	}
	ck_assert_int_eq(finish(), ERR_CORRUPT);
}
END_TEST

START_TEST(snapshot_of_another_offer_is_not_finished)
{
	make_state();
	for (int i = 0; i < 3; i++) {
		make_pieces(1000);
		add_from(0);
		pieces.info.applied_index += i == 0;
		pieces.info.revision += i == 1;
		pieces.info.state_hash += i == 2;
		ck_assert_int_eq(finish(), ERR_CORRUPT);
		target_close();
		target_open();
	}
}
END_TEST

/* ---- Damage and failing disks ---- */

START_TEST(reader_finds_damage_in_a_key)
{
	struct slice key = slice_from_text("key-c");
	struct kv_position at = { .table = TABLE_KV };
	struct kv_position before = at;
	struct buf piece = { 0 };

	make_state();
	for (uint64_t bit = 0; bit < 8u * 34; bit++) {
		struct kv_reader *reader;

		ck_assert(store_mem_flip_bit(source.disk, TABLE_KV, key, bit));
		reader = open_reader();
		ck_assert_int_eq(
		    kv_reader_read(reader, &at, 4000, &piece), ERR_CORRUPT);
		ck_assert_uint_eq(piece.size, 0);
		ck_assert_mem_eq(&at, &before, sizeof(at));
		kv_reader_close(reader);
		ck_assert(store_mem_flip_bit(source.disk, TABLE_KV, key, bit));
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

	make_state();
	ck_assert(store_mem_flip_bit(
	    source.disk, TABLE_META, slice_from_text("node.members"), 50));
	reader = open_reader();
	ck_assert_int_eq(
	    kv_reader_get_meta(reader, "members", &bytes), ERR_CORRUPT);
	ck_assert_int_eq(
	    kv_reader_read(reader, &at, 4000, &piece), ERR_CORRUPT);
	kv_reader_close(reader);
	ck_assert(store_mem_flip_bit(
	    source.disk, TABLE_META, slice_from_text("state"), 99));
	ck_assert_int_eq(kv_reader_open(source.store, &reader), ERR_CORRUPT);
	buf_release(&piece);
}
END_TEST

START_TEST(writer_fills_an_empty_store_alone)
{
	struct kv_writer *writer = NULL;

	kv_close(source.kv);
	source.kv = NULL;
	ck_assert_int_eq(kv_writer_open(source.store, &writer), 0);
	kv_writer_close(writer);
	writer = NULL;
	ck_assert_int_eq(kv_open(source.store, true, &source.kv), 0);
	make_state();
	kv_close(source.kv);
	source.kv = NULL;
	ck_assert_int_eq(kv_writer_open(source.store, &writer), ERR_EXISTS);
	ck_assert_ptr_null(writer);
}
END_TEST

/* G18: a crash at every operation leaves what is no state, or all of it. */
START_TEST(G18_snapshot_is_whole_or_no_state)
{
	bool failed = true;

	make_state();
	make_pieces(300);
	for (uint64_t n = 1; failed; n++) {
		struct kv *kv = NULL;
		int code = 0;

		store_mem_seed(target.disk, n);
		store_mem_fail_operation(target.disk, n, ERR_IO);
		for (size_t i = 0; code == 0 && i < pieces.count; i++)
			code = add(i);
		if (code == 0)
			code = finish();
		failed = code != 0;
		store_mem_fail_operation(target.disk, 0, 0);
		code = add(0);
		ck_assert(code == ERR_STOPPED || code == ERR_IO);
		ck_assert_int_eq(finish(), code);
		kv_writer_close(target.writer);
		target.writer = NULL;
		store_close(target.store);
		target.store = store_mem_open(target.disk);
		code = kv_open(target.store, true, &kv);
		if (code == 0 && kv_applied_index(kv) != 0)
			expect_equal(kv, source.kv);
		else
			ck_assert(failed);
		kv_close(kv);
		target_close();
		target_open();
	}
}
END_TEST

START_TEST(writer_stops_when_its_disk_is_full)
{
	make_state();
	make_pieces(1000);
	store_mem_set_capacity(target.disk, 4000);
	ck_assert_int_eq(add(0), 0);
	ck_assert_int_eq(add(1), 0);
	ck_assert_int_eq(add(2), ERR_NO_SPACE);
	ck_assert_int_eq(add(2), ERR_NO_SPACE);
	ck_assert_int_eq(kv_writer_write(target.writer), ERR_NO_SPACE);
	ck_assert(kv_writer_is_idle(target.writer));
	ck_assert_int_eq(finish(), ERR_NO_SPACE);
}
END_TEST

/* A piece is taken at once, and written when there is time. */
START_TEST(piece_waits_to_be_written)
{
	uint64_t operations;

	make_state();
	make_pieces(1000);
	ck_assert(kv_writer_is_idle(target.writer));
	operations = store_mem_operations_count(target.disk);
	ck_assert_int_eq(add(0), 0);
	ck_assert_uint_eq(store_mem_operations_count(target.disk), operations);
	ck_assert(!kv_writer_is_idle(target.writer));
	ck_assert_int_eq(kv_writer_write(target.writer), 0);
	ck_assert_uint_gt(store_mem_operations_count(target.disk), operations);
	ck_assert(kv_writer_is_idle(target.writer));
	operations = store_mem_operations_count(target.disk);
	ck_assert_int_eq(kv_writer_write(target.writer), 0);
	ck_assert_uint_eq(store_mem_operations_count(target.disk), operations);
	add_from(1);
	expect_copy();
}
END_TEST

/* ---- On a real store ---- */

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
	uint64_t before = store_mem_commits_count(target.disk);
	uint64_t commits;

	for (uint32_t i = 0; i < LARGE_KEYS; i++)
		put_large(source.kv, i + 1, i);
	ck_assert_int_eq(kv_checkpoint(source.kv), 0);
	make_pieces(LARGE_PIECE);
	add_from(0);
	commits = store_mem_commits_count(target.disk) - before;
	ck_assert_uint_ge(commits, 2);
	ck_assert_uint_le(commits, 4);
	expect_copy();
}
END_TEST

static void
add_copying(Suite *suite)
{
	TCase *copying = tcase_create("copying");

	tcase_add_checked_fixture(copying, set_up, tear_down);
	tcase_add_test(
	    copying, snapshot_in_pieces_of_any_size_is_the_same_state);
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
	tcase_set_timeout(copying, 60);
	suite_add_tcase(suite, copying);
}

static void
add_refusals(Suite *suite)
{
	TCase *refusals = tcase_create("refusals");

	tcase_add_checked_fixture(refusals, set_up, tear_down);
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
	tcase_set_timeout(refusals, 60);
	suite_add_tcase(suite, refusals);
}

static void
add_damage(Suite *suite)
{
	TCase *damage = tcase_create("damage");

	tcase_add_checked_fixture(damage, set_up, tear_down);
	tcase_add_test(damage, reader_finds_damage_in_a_key);
	tcase_add_test(damage, reader_finds_damage_in_meta);
	tcase_add_test(damage, writer_fills_an_empty_store_alone);
	tcase_add_test(damage, G18_snapshot_is_whole_or_no_state);
	tcase_add_test(damage, writer_stops_when_its_disk_is_full);
	tcase_add_test(damage, piece_waits_to_be_written);
	suite_add_tcase(suite, damage);
}

Suite *
kv_snapshot_suite(void)
{
	Suite *suite = suite_create("kv_snapshot");

	add_copying(suite);
	add_refusals(suite);
	add_damage(suite);
	return suite;
}
