/*
 * The data file of a state machine, damaged as the input says, and opened.
 * LMDB believes what it finds and has no checksums: so the checks at the open
 * and those of the state machine have to refuse it or be right, and neither
 * reads where there is nothing. A store that opens can be read and written.
 */

#include "common/macros.h"
#include "common/panic.h"
#include "kv/kv_impl.h"
#include "store/store_lmdb.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/kv_stream.h"
#include "tests/lib/temp_dir.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MAP_BYTES      (16u << 20)
#define PAGE_SIZE      4096
#define COMMANDS_COUNT 80
#define WRITES_COUNT   20

static char *directory;
static char path[200];
static struct buf image;
/* Of the two states that the file has seen last. */
static uint64_t hashes[2];

static int
open_store(struct store **ret_store)
{
	static char why[200];
	struct store_lmdb_params params = { .path = directory,
		.tables = kv_tables,
		.tables_count = KV_TABLES_COUNT,
		.map_bytes = MAP_BYTES,
		.why = why,
		.why_size = sizeof(why) };
	int error;

	why[0] = '\0';
	error = store_lmdb_open(&params, ret_store);
	ASSERT(error == 0 || why[0] != '\0' || error == ERR_VERSION);
	return error;
}

static void
write_image(struct slice bytes)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	ASSERT(fd >= 0);
	ASSERT(write(fd, bytes.data, bytes.size) == (ssize_t)bytes.size);
	(void)close(fd);
}

static void
read_image(struct buf *to)
{
	int fd = open(path, O_RDONLY);

	to->size = (size_t)read(fd, buf_reserve(to, MAP_BYTES), MAP_BYTES);
	ASSERT(to->size > 0);
	ASSERT(to->size < MAP_BYTES);
	(void)close(fd);
}

static void
forget_directory(void)
{
	temp_dir_remove(directory);
}

/* ---- The file that there is ---- */

static void
apply(struct kv *kv, struct kv_stream *stream, uint64_t index)
{
	struct buf command = { 0 };
	struct kv_result result;

	stream->revision = kv_revision(kv);
	kv_stream_next(stream, &command);
	ASSERT(kv_apply(kv, index, stream->time_us, buf_slice(&command),
		   &result) == 0);
	buf_release(&command);
}

static void
set_up(void)
{
	struct kv_stream stream;
	struct store *store;
	struct kv *kv;

	if (directory != NULL)
		return;
	directory = temp_dir_make();
	(void)atexit(forget_directory);
	snprintf(path, sizeof(path), "%s/data.mdb", directory);
	ASSERT(open_store(&store) == 0);
	ASSERT(kv_open(store, true, &kv) == 0);
	kv_stream_init(&stream, 11);
	for (uint64_t i = 1; i <= COMMANDS_COUNT; i++) {
		apply(kv, &stream, i);
		if (i % (COMMANDS_COUNT / 4) != 0)
			continue;
		ASSERT(kv_checkpoint(kv) == 0);
		hashes[0] = hashes[1];
		hashes[1] = kv_state_hash(kv);
	}
	kv_close(kv);
	store_close(store);
	read_image(&image);
}

/* ---- What must be true ---- */

static void
read_table(struct store_txn *txn, store_table table)
{
	struct store_cursor *cursor;
	struct slice none = slice_of(NULL, 0);
	uint8_t last[STORE_KEY_SIZE_MAX];
	size_t last_size = 0;
	struct slice value;
	struct slice key;

	ASSERT(store_cursor_open(txn, table, &cursor) == 0);
	while (store_cursor_move(cursor, STORE_NEXT, none, &key, &value) == 0) {
		ASSERT(key.size >= 1);
		ASSERT(key.size <= STORE_KEY_SIZE_MAX);
		ASSERT(slice_compare(slice_of(last, last_size), key) < 0);
		memcpy(last, key.data, key.size);
		last_size = key.size;
		for (size_t i = 0; i < value.size; i += 64)
			(void)*(const volatile uint8_t *)&value.data[i];
	}
	store_cursor_close(cursor);
}

static void
check_reads(struct store *store)
{
	struct store_txn *txn;

	ASSERT(store_begin(store, false, &txn) == 0);
	for (store_table table = 0; table < KV_TABLES_COUNT; table++)
		read_table(txn, table);
	store_abort(txn);
}

/* LMDB takes pages of its free list, and splits and merges those in use. */
static void
check_writes(struct store *store)
{
	static const uint8_t value[900];
	struct store_txn *txn;
	uint8_t key[2] = { 0 };

	ASSERT(store_begin(store, true, &txn) == 0);
	for (unsigned i = 0; i < WRITES_COUNT; i++) {
		key[0] = (uint8_t)(i * 13);
		ASSERT(store_put(txn, i % KV_TABLES_COUNT,
			   slice_of(key, sizeof(key)),
			   slice_of(value, i * 43)) == 0);
	}
	ASSERT(store_commit(txn) == 0);
}

/* As a node starts: whatever is taken for a state is the last one or, behind
 * damage in several places, the one before. */
static void
check_state(struct store *store, unsigned changed)
{
	struct kv *kv;
	uint64_t hash;

	if (kv_open(store, true, &kv) != 0)
		return;
	hash = kv_state_hash(kv);
	ASSERT(hash == hashes[1] || (changed > 1 && hash == hashes[0]));
	ASSERT(kv_verify(kv) == 0);
	kv_close(kv);
}

/* Not to nothing: that is no file that was lost, but one that is new. */
static void
cut(struct slice *input, struct buf *bytes)
{
	size_t size;

	if (input->size == 0)
		return;
	size = 1 + (size_t)fuzz_take_u8(input) * PAGE_SIZE;
	size += fuzz_take_u8(input);
	bytes->size = MIN(bytes->size, size);
}

void
fuzz_store_lmdb(struct slice input)
{
	unsigned changes = fuzz_take_below(&input, 5);
	unsigned changed = 0;
	struct buf bytes = { 0 };
	struct store *store;

	set_up();
	buf_append_slice(&bytes, buf_slice(&image));
	while (changes-- > 0)
		changed += fuzz_damage(&input, &bytes);
	cut(&input, &bytes);
	write_image(buf_slice(&bytes));
	if (open_store(&store) == 0) {
		check_reads(store);
		check_state(store, changed);
		check_writes(store);
		store_close(store);
		ASSERT(open_store(&store) == 0);
		store_close(store);
	}
	buf_release(&bytes);
}
