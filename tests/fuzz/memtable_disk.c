#include "tests/fuzz/memtable_disk.h"

#include "common/codec.h"
#include "common/hash.h"
#include "common/panic.h"
#include "store/store_memtable.h"
#include "tests/fuzz/fuzz.h"

/* Bits: each record gets the sum that it should have; the round's numbers are in
 * their order, and the log ends with one. */
#define FIX_CRC     0x01u
#define FIX_ROUND   0x02u
#define RECORDS_MAX 48

/* Of a record in the log. */
#define SEAL_SIZE   5
#define HEADER_SIZE 9
#define ROUND_SIZE  32
enum { KIND_PUT = 1, KIND_THROUGH, KIND_ROUND };

/* ---- What is written, as the input says ---- */

static uint32_t
crc_of(struct slice key, struct slice record)
{
	uint32_t crc = crc32c(0, key);

	crc = crc32c(crc, slice_of(record.data, 1));
	return crc32c(
	    crc, slice_of(record.data + SEAL_SIZE, record.size - SEAL_SIZE));
}

static void
fix_crc(struct slice key, struct buf *record)
{
	if (record->size >= SEAL_SIZE)
		codec_store_u32(
		    record->data + 1, crc_of(key, buf_slice(record)));
}

/* Mostly the number after the last one's; `where` says what else. */
static struct slice
take_log_key(struct slice *input, unsigned where, uint64_t *sequence,
    uint8_t memory[sizeof(uint64_t)])
{
	size_t size = sizeof(uint64_t);

	switch (where % 16) {
	case 13: size = 1 + where / 16 % 8; break;
	case 14: *sequence = fuzz_take_u64(input); break;
	case 15: *sequence += where / 16; break;
	default: break;
	}
	codec_store_u64(memory, (*sequence)++);
	return slice_of(memory, size);
}

struct slice
memtable_disk_take_key(struct slice *input)
{
	unsigned choice = fuzz_take_u8(input);
	size_t size = choice < 240 ? 1 : choice - 239;
	struct slice key = fuzz_take(input, size);

	return key.size != 0 ? key : slice_of("k", 1);
}

static void
fill_table(struct store_txn *txn, struct slice *input, unsigned where)
{
	struct slice key = memtable_disk_take_key(input);
	struct slice value = fuzz_take(input, fuzz_take_u8(input));

	ASSERT(store_put(txn, where % DISK_TABLES_COUNT, key, value) == 0);
}

static void
append_header(
    struct buf *record, unsigned kind, store_table table, struct slice key)
{
	codec_append_u8(record, 1);
	codec_append_u32(record, 0);
	codec_append_u8(record, (uint8_t)kind);
	codec_append_u8(record, (uint8_t)table);
	codec_append_u16(record, (uint16_t)key.size);
	buf_append_slice(record, key);
}

static void
take_change(struct slice *input, struct buf *record)
{
	unsigned choice = fuzz_take_u8(input);
	unsigned kind = choice % 4 == 0 ? KIND_THROUGH : KIND_PUT;

	append_header(record, kind, choice / 4 % DISK_TABLES_COUNT,
	    memtable_disk_take_key(input));
	if (kind == KIND_PUT)
		buf_append_slice(record, fuzz_take(input, choice / 16));
}

/* A number from `from` on, and up to `to`, if the bits say so. */
static uint64_t
take_number(struct slice *input, unsigned bits, uint64_t from, uint64_t to)
{
	if ((bits & FIX_ROUND) == 0)
		return from + fuzz_take_u64(input);
	return to <= from ? from : from + fuzz_take_u8(input) % (to - from + 1);
}

/* That of the log's first record; `sequence` if it has none. */
static uint64_t
first_of_log(struct store_txn *txn, uint64_t sequence)
{
	struct slice none = { 0 };
	struct store_cursor *cursor;
	struct slice value;
	struct slice key;

	ASSERT(store_cursor_open(txn, DISK_LOG_TABLE, &cursor) == 0);
	if (store_cursor_move(cursor, STORE_FIRST, none, &key, &value) == 0 &&
	    key.size == sizeof(sequence))
		sequence = codec_load_u64(key.data);
	store_cursor_close(cursor);
	return sequence;
}

static void
take_round(struct store_txn *txn, struct slice *input, unsigned bits,
    uint64_t sequence, struct buf *record)
{
	unsigned choice = fuzz_take_u8(input);
	uint64_t first = first_of_log(txn, sequence);
	struct slice hand = { 0 };
	uint64_t useless;
	uint64_t began;

	if (choice >= 64)
		hand = memtable_disk_take_key(input);
	append_header(record, KIND_ROUND, choice % (DISK_LOG_TABLE + 1), hand);
	codec_append_u64(record, (bits & FIX_ROUND) != 0
				     ? 8ULL * fuzz_take_u8(input)
				     : fuzz_take_u64(input));
	useless = take_number(input, bits, first, sequence);
	began = take_number(input, bits, useless, sequence);
	codec_append_u64(record, began);
	codec_append_u64(record, useless);
	codec_append_u64(
	    record, choice % 64 == 63 ? fuzz_take_u64(input) : first);
}

static void
fill_log(struct store_txn *txn, struct slice *input, unsigned where,
    unsigned bits, uint64_t *sequence)
{
	uint8_t memory[sizeof(uint64_t)];
	struct slice key = take_log_key(input, where, sequence, memory);
	struct buf record = { 0 };

	if (where < 64)
		buf_append_slice(
		    &record, fuzz_take(input, fuzz_take_u8(input)));
	else if (where < 144)
		take_change(input, &record);
	else
		take_round(txn, input, bits, *sequence - 1, &record);
	if ((bits & FIX_CRC) != 0)
		fix_crc(key, &record);
	ASSERT(store_put(txn, DISK_LOG_TABLE, key, buf_slice(&record)) == 0);
	buf_release(&record);
}

struct store_mem_disk *
memtable_disk_new(struct slice *input)
{
	struct store_mem_disk *disk = store_mem_disk_new(DISK_LOG_TABLE + 1);
	struct store *store = store_mem_open(disk);
	unsigned bits = fuzz_take_u8(input);
	unsigned count = fuzz_take_below(input, RECORDS_MAX + 1);
	uint64_t sequence = 0;
	struct store_txn *txn;

	ASSERT(store_begin(store, true, &txn) == 0);
	while (count-- > 0) {
		unsigned where = fuzz_take_u8(input);

		if (where >= 192)
			fill_table(txn, input, where);
		else
			fill_log(txn, input, where, bits, &sequence);
	}
	if ((bits & FIX_ROUND) != 0 && sequence != 0)
		fill_log(txn, input, 144, bits, &sequence);
	ASSERT(store_commit(txn) == 0);
	store_close(store);
	return disk;
}

/* ---- What there should be to see ---- */

/* What the last record of a log says. */
struct round {
	store_table table;
	struct slice hand;
	uint64_t began;
	uint64_t useless;
	uint64_t first;
};

struct record {
	unsigned kind;
	store_table table;
	struct slice key;
	struct slice value;
};

static bool
is_sound(const struct record *record)
{
	if (record->table >= DISK_TABLES_COUNT ||
	    record->key.size > STORE_KEY_SIZE_MAX)
		return false;
	if (record->key.size == 0)
		return record->kind == KIND_ROUND && record->table == 0 &&
		       record->value.size == ROUND_SIZE;
	if (record->table == DISK_PLAIN_TABLE)
		return false;
	switch (record->kind) {
	case KIND_PUT:
		return record->key.size + record->value.size <=
		       STORE_MEMTABLE_RECORD_MAX;
	case KIND_THROUGH: return record->value.size == 0;
	case KIND_ROUND: return record->value.size == ROUND_SIZE;
	default: return false;
	}
}

static bool
decode(struct slice key, struct slice bytes, struct record *ret_record)
{
	size_t key_size;

	if (key.size != sizeof(uint64_t) || bytes.size < HEADER_SIZE ||
	    bytes.data[0] != 1 ||
	    codec_load_u32(bytes.data + 1) != crc_of(key, bytes))
		return false;
	key_size = codec_load_u16(bytes.data + SEAL_SIZE + 2);
	if (bytes.size < HEADER_SIZE + key_size)
		return false;
	*ret_record = (struct record){
		.kind = bytes.data[SEAL_SIZE],
		.table = bytes.data[SEAL_SIZE + 1],
		.key = slice_of(bytes.data + HEADER_SIZE, key_size),
		.value = slice_of(bytes.data + HEADER_SIZE + key_size,
		    bytes.size - HEADER_SIZE - key_size),
	};
	return is_sound(ret_record);
}

static struct round
decode_round(struct slice key, struct slice bytes)
{
	struct record record;
	struct round round;

	ASSERT(decode(key, bytes, &record));
	ASSERT(record.kind == KIND_ROUND);
	round.table = record.table;
	round.hand = record.key;
	round.began = codec_load_u64(record.value.data + 8);
	round.useless = codec_load_u64(record.value.data + 16);
	round.first = codec_load_u64(record.value.data + 24);
	ASSERT(round.first <= round.useless && round.useless <= round.began);
	ASSERT(round.began <= codec_load_u64(key.data));
	return round;
}

/* What came before the round and is not ahead of its hand is in its table. */
static bool
is_merged(const struct round *round, uint64_t sequence, store_table table,
    struct slice key)
{
	if (sequence >= round->began)
		return false;
	if (table != round->table)
		return table < round->table;
	return slice_compare(key, round->hand) <= 0;
}

/* What a record of a log that was taken does to the tables as they were. */
static void
replay(struct store_txn *txn, struct store_txn *before,
    const struct round *round, struct slice sequence, struct slice bytes)
{
	struct record record;
	struct slice value;
	int error;

	ASSERT(decode(sequence, bytes, &record));
	if (record.kind == KIND_PUT) {
		if (!is_merged(round, codec_load_u64(sequence.data),
			record.table, record.key))
			ASSERT(store_put(txn, record.table, record.key,
				   record.value) == 0);
		return;
	}
	if (record.kind == KIND_ROUND)
		return;
	if (store_get(before, record.table, record.key, &value) == 0) {
		ASSERT(store_put(txn, record.table, record.key, value) == 0);
		return;
	}
	error = store_delete(txn, record.table, record.key);
	ASSERT(error == 0 || error == ERR_NOT_FOUND);
}

/* Those that are of use, which have no gap; the others may have. */
static void
replay_records(struct store_txn *txn, struct store_txn *before,
    struct store_cursor *cursor, struct memtable_disk_log *ret_log)
{
	uint8_t useless[sizeof(uint64_t)];
	struct slice none = { 0 };
	struct round round;
	struct slice bytes;
	struct slice key;
	uint64_t next;

	*ret_log = (struct memtable_disk_log){ .is_whole = true };
	if (store_cursor_move(cursor, STORE_LAST, none, &key, &bytes) != 0)
		return;
	round = decode_round(key, bytes);
	ret_log->sequence = codec_load_u64(key.data);
	codec_store_u64(useless, round.useless);
	ASSERT(store_cursor_move(cursor, STORE_FIRST, none, &key, &bytes) == 0);
	ASSERT(key.size == sizeof(next));
	ASSERT(codec_load_u64(key.data) == round.first);
	next = round.first;
	while (slice_compare(key, slice_of(useless, sizeof(useless))) < 0) {
		struct record record;

		ret_log->is_whole &= decode(key, bytes, &record) &&
				     codec_load_u64(key.data) == next;
		next++;
		ASSERT(store_cursor_move(
			   cursor, STORE_NEXT, none, &key, &bytes) == 0);
	}
	ret_log->is_whole &= next == round.useless;
	next = round.useless;
	do {
		ASSERT(codec_load_u64(key.data) == next);
		next++;
		replay(txn, before, &round, key, bytes);
	} while (
	    store_cursor_move(cursor, STORE_NEXT, none, &key, &bytes) == 0);
}

void
memtable_disk_replay(
    struct store_mem_disk *disk, struct memtable_disk_log *ret_log)
{
	struct store *store = store_mem_open(disk);
	struct store_cursor *cursor;
	struct store_txn *before;
	struct store_txn *txn;

	ASSERT(store_begin(store, false, &before) == 0);
	ASSERT(store_begin(store, true, &txn) == 0);
	ASSERT(store_cursor_open(before, DISK_LOG_TABLE, &cursor) == 0);
	replay_records(txn, before, cursor, ret_log);
	store_cursor_close(cursor);
	store_abort(before);
	ASSERT(store_commit(txn) == 0);
	store_close(store);
}
