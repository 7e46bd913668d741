/*
 * A snapshot in pieces, between a sender and a receiver that agree on nothing
 * but that: the input says which piece comes next, and what became of it on
 * the way (cut, changed, twice, out of order). A piece is taken whole or not at
 * all, and what is finished is the state that was sent, or ERR_CORRUPT. Around
 * them, the frames of pieces and answers are what they were made of.
 */

#include "common/codec.h"
#include "common/hash.h"
#include "common/macros.h"
#include "common/panic.h"
#include "kv/kv_impl.h"
#include "kv/kv_snapshot.h"
#include "node/node_snapshot.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/kv_bench.h"
#include "tests/lib/kv_stream.h"

#define COMMANDS_COUNT 60
#define PIECES_MAX     32
#define PIECE_SIZE     300

static struct kv_bench source;
static struct kv_snapshot_info info;
static struct buf pieces[PIECES_MAX];
static unsigned pieces_count;

static void
make_state(void)
{
	struct kv_stream stream;

	kv_bench_init(&source);
	kv_stream_init(&stream, 7);
	for (unsigned i = 0; i < COMMANDS_COUNT; i++) {
		struct buf command = { 0 };

		stream.revision = kv_revision(source.kv);
		kv_stream_next(&stream, &command);
		kv_bench_log_command(
		    &source, stream.time_us, buf_slice(&command));
		ASSERT(kv_bench_replay(&source) == 0);
		buf_release(&command);
	}
	ASSERT(kv_checkpoint(source.kv) == 0);
}

static void
set_up(void)
{
	struct kv_position at = { 0 };
	struct kv_reader *reader;

	if (pieces_count != 0)
		return;
	make_state();
	ASSERT(kv_reader_open(source.store, &reader) == 0);
	kv_reader_get_info(reader, &info);
	while (
	    pieces_count < PIECES_MAX &&
	    kv_reader_read(reader, &at, PIECE_SIZE, &pieces[pieces_count]) == 0)
		pieces_count++;
	ASSERT(pieces_count > 4);
	ASSERT(pieces_count < PIECES_MAX);
	kv_reader_close(reader);
}

/* ---- Frames ---- */

static void
check_frame(struct slice bytes)
{
	struct node_piece piece;
	struct buf again = { 0 };

	if (node_piece_decode(bytes, &piece) != 0)
		return;
	node_piece_begin(&again, &piece);
	buf_append_slice(&again, piece.records);
	node_piece_end(&again);
	ASSERT(slice_equal(buf_slice(&again), bytes));
	buf_release(&again);
}

static void
check_answer(struct slice bytes)
{
	struct node_answer answer;
	struct buf again = { 0 };

	if (node_answer_decode(bytes, &answer) != 0)
		return;
	node_answer_encode(&again, &answer);
	ASSERT(slice_equal(buf_slice(&again), bytes));
	buf_release(&again);
}

/* The rest of the input as a frame, and sealed as one. */
static void
check_frames(struct slice input)
{
	struct buf sealed = { 0 };

	check_frame(input);
	check_answer(input);
	buf_append_slice(&sealed, input);
	codec_append_u32(&sealed, crc32c(0, input));
	check_frame(buf_slice(&sealed));
	check_answer(buf_slice(&sealed));
	buf_release(&sealed);
}

/* ---- Pieces ---- */

struct receiver {
	struct store_mem_disk *disk;
	struct store *store;
	struct kv_writer *writer;
	unsigned next; /* the piece that is in order */
	/* One that was damaged, or behind a gap, was taken: as long as keys
	 * ascend and records verify, the end alone can tell. */
	bool damaged;
};

static struct slice
damage_piece(struct slice *input, struct buf *bytes, unsigned how)
{
	unsigned count = how % 4;
	size_t size;

	while (count-- > 0)
		(void)fuzz_damage(input, bytes);
	if (how < 128)
		return buf_slice(bytes);
	size = fuzz_take_u16(input);
	bytes->size = MIN(bytes->size, size);
	return buf_slice(bytes);
}

static void
add_piece(struct slice *input, struct receiver *receiver, unsigned place)
{
	unsigned how = fuzz_take_u8(input);
	struct kv_position before = *kv_writer_get_position(receiver->writer);
	struct buf bytes = { 0 };
	struct slice piece;
	int error;

	buf_append_slice(&bytes, buf_slice(&pieces[place]));
	piece = damage_piece(input, &bytes, how);
	error = kv_writer_add(receiver->writer, piece);
	if (slice_equal(piece, buf_slice(&pieces[place])) &&
	    place == receiver->next && !receiver->damaged) {
		ASSERT(error == 0);
		receiver->next++;
	} else if (error == 0) {
		receiver->damaged = true;
		receiver->next = place + 1;
	} else {
		ASSERT(error == ERR_INVALID || error == ERR_VERSION);
		ASSERT(node_position_equal(
		    &before, kv_writer_get_position(receiver->writer)));
	}
	buf_release(&bytes);
}

static void
finish(struct receiver *receiver)
{
	int error = kv_writer_finish(receiver->writer, &info);
	bool same;

	kv_writer_close(receiver->writer);
	receiver->writer = NULL;
	if (receiver->next == pieces_count && !receiver->damaged)
		ASSERT(error == 0);
	ASSERT(error == 0 || error == ERR_CORRUPT);
	same =
	    store_mem_digest(receiver->disk) == store_mem_digest(source.disk);
	ASSERT(same == (error == 0));
}

/* A list of pieces: mostly the next one. */
static void
receive(struct slice input)
{
	struct receiver receiver = {
		.disk = store_mem_disk_new(KV_TABLES_COUNT),
	};

	receiver.store = store_mem_open(receiver.disk);
	ASSERT(kv_writer_open(receiver.store, &receiver.writer) == 0);
	while (input.size > 0) {
		unsigned place = fuzz_take_u8(&input);

		if (place >= PIECES_MAX || place >= pieces_count)
			place = receiver.next % pieces_count;
		add_piece(&input, &receiver, place);
		if (place % 3 == 0)
			ASSERT(kv_writer_write(receiver.writer) == 0);
	}
	finish(&receiver);
	store_close(receiver.store);
	store_mem_disk_free(receiver.disk);
}

void
fuzz_kv_snapshot(struct slice input)
{
	unsigned what = fuzz_take_u8(&input);

	set_up();
	if (what == 'f')
		check_frames(input);
	else
		receive(input);
}
