/*
 * The log's keys are sequence numbers, u64 big-endian, without a gap. A record
 * is sealed as those of kv/ are, u8 format version and u32 CRC-32C over the key,
 * the version and the body; its body is u8 kind, u8 table, u16 size of the key,
 * the key, and
 *
 *	put      the value
 *	through  nothing
 *	round    the hand is that key; u64 bytes that are left, u64 began, u64
 *	         useless, u64 number of the first record
 *
 * The last record of each commit is of the round: so that a log whose begin or
 * end is lost is known, and that what was merged before is not again.
 */

#include "store/store_memtable_impl.h"

#include "common/codec.h"
#include "common/hash.h"
#include "common/panic.h"

#define LOG_RECORD_VERSION 1
#define LOG_SEAL_SIZE      5

#define LOG_ROUND_SIZE (4 * sizeof(uint64_t))

/* No log comes so far. It leaves room for numbers to go on. */
#define LOG_SEQUENCE_MAX (UINT64_MAX / 2)

struct log_record {
	uint64_t sequence;
	enum memtable_kind kind;
	store_table table;
	struct slice key;
	struct slice value;
};

static struct slice
log_key(uint64_t sequence, uint8_t to[sizeof(uint64_t)])
{
	codec_store_u64(to, sequence);
	return slice_of(to, sizeof(uint64_t));
}

static uint32_t
log_crc(struct slice key, struct slice record)
{
	uint32_t crc = crc32c(0, key);

	crc = crc32c(crc, slice_of(record.data, 1));
	return crc32c(crc,
	    slice_of(record.data + LOG_SEAL_SIZE, record.size - LOG_SEAL_SIZE));
}

/* ---- Appending ---- */

static void
log_encode(
    struct buf *to, struct slice sequence, const struct log_record *record)
{
	buf_reset(to);
	codec_append_u8(to, LOG_RECORD_VERSION);
	codec_append_u32(to, 0); /* the CRC, once the body is there */
	codec_append_u8(to, (uint8_t)record->kind);
	codec_append_u8(to, (uint8_t)record->table);
	codec_append_u16(to, (uint16_t)record->key.size);
	buf_append_slice(to, record->key);
	buf_append_slice(to, record->value);
	codec_store_u32(to->data + 1, log_crc(sequence, buf_slice(to)));
}

static int
log_append(struct memtable *memtable, struct store_txn *under,
    const struct log_record *record)
{
	uint8_t memory[sizeof(uint64_t)];
	struct slice key = log_key(memtable->log_end, memory);
	int code;

	log_encode(&memtable->scratch, key, record);
	code = store_append(
	    under, memtable->log_table, key, buf_slice(&memtable->scratch));
	memtable->log_end++;
	/* Something is there that no commit has written. */
	return code == ERR_INVALID ? ERR_CORRUPT : code;
}

int
memtable_log_append(struct memtable *memtable, struct store_txn *under)
{
	const struct memtable_node *node = memtable->pending;
	int code = 0;

	for (; code == 0 && node != NULL; node = node->pending_next) {
		struct log_record record = {
			.kind = node->newest->kind,
			.table = node->table,
			.key = node->key,
			.value = memtable_value(node->newest),
		};

		code = log_append(memtable, under, &record);
	}
	return code;
}

int
memtable_log_append_round(struct memtable *memtable, struct store_txn *under)
{
	const struct memtable_round *round = &memtable->round;
	uint8_t numbers[LOG_ROUND_SIZE];
	struct log_record record = {
		.kind = MEMTABLE_ROUND,
		.table = round->hand.table,
		.key = slice_of(round->hand.key, round->hand.key_size),
		.value = slice_of(numbers, sizeof(numbers)),
	};

	codec_store_u64(numbers, round->left);
	codec_store_u64(numbers + 8, round->began);
	codec_store_u64(numbers + 16, round->useless);
	codec_store_u64(numbers + 24, memtable->log_first);
	return log_append(memtable, under, &record);
}

int
memtable_log_cut(
    struct memtable *memtable, struct store_txn *under, uint64_t count)
{
	uint8_t memory[sizeof(uint64_t)];
	struct store_cut cut;
	int code;

	if (count == 0)
		return 0;
	memtable->log_first += count;
	code = store_delete_until(under, memtable->log_table,
	    log_key(memtable->log_first - 1, memory), &cut);
	if (code != 0)
		return code;
	return cut.count == count ? 0 : ERR_CORRUPT;
}

/* ---- Reading ---- */

/* Before all, or on what was in the memtable. */
static bool
log_hand_is_sound(
    const struct memtable *memtable, const struct log_record *record)
{
	return record->key.size == 0
		   ? record->table == 0
		   : memtable_gathers(memtable, record->table);
}

static bool
log_record_is_sound(
    const struct memtable *memtable, const struct log_record *record)
{
	if (record->table >= memtable->tables_count ||
	    record->key.size > STORE_KEY_SIZE_MAX)
		return false;
	switch (record->kind) {
	case MEMTABLE_PUT:
		return memtable_gathers(memtable, record->table) &&
		       record->key.size >= 1 &&
		       record->key.size + record->value.size <=
			   STORE_MEMTABLE_RECORD_MAX;
	case MEMTABLE_THROUGH:
		return memtable_gathers(memtable, record->table) &&
		       record->key.size >= 1 && record->value.size == 0;
	case MEMTABLE_ROUND:
		return log_hand_is_sound(memtable, record) &&
		       record->value.size == LOG_ROUND_SIZE;
	}
	return false;
}

/* Which tables gather belongs to the version. */
static int
log_decode(const struct memtable *memtable, struct slice key,
    struct slice bytes, struct log_record *ret_record)
{
	struct codec_reader reader;
	uint16_t key_size;

	if (key.size != sizeof(uint64_t) || bytes.size < LOG_SEAL_SIZE ||
	    codec_load_u32(bytes.data + 1) != log_crc(key, bytes))
		return ERR_CORRUPT;
	if (bytes.data[0] != LOG_RECORD_VERSION)
		return bytes.data[0] == 0 ? ERR_CORRUPT : ERR_VERSION;
	codec_reader_init(&reader,
	    slice_of(bytes.data + LOG_SEAL_SIZE, bytes.size - LOG_SEAL_SIZE));
	ret_record->sequence = codec_load_u64(key.data);
	ret_record->kind = (enum memtable_kind)codec_read_u8(&reader);
	ret_record->table = codec_read_u8(&reader);
	key_size = codec_read_u16(&reader);
	ret_record->key = codec_read_raw(&reader, key_size);
	ret_record->value = codec_read_raw(&reader, reader.rest.size);
	if (!codec_reader_done(&reader) ||
	    !log_record_is_sound(memtable, ret_record))
		return ERR_CORRUPT;
	return 0;
}

/* The record where the move leads. ERR_NOT_FOUND: there is none. */
static int
log_read(const struct memtable *memtable, struct store_cursor *cursor,
    enum store_move where, struct slice wanted, struct log_record *ret_record)
{
	struct slice bytes;
	struct slice key;
	int code = store_cursor_move(cursor, where, wanted, &key, &bytes);

	return code != 0 ? code : log_decode(memtable, key, bytes, ret_record);
}

/* The record of that number, which is there and where the move leads; those that
 * follow are NEXT. */
static int
log_read_next(const struct memtable *memtable, struct store_cursor *cursor,
    enum store_move *where, uint64_t sequence, struct log_record *ret_record)
{
	uint8_t memory[sizeof(uint64_t)];
	int code = log_read(
	    memtable, cursor, *where, log_key(sequence, memory), ret_record);

	*where = STORE_NEXT;
	if (code == 0 && ret_record->sequence != sequence)
		code = ERR_CORRUPT;
	return code == ERR_NOT_FOUND ? ERR_CORRUPT : code;
}

/* ---- Loading ---- */

static int
load_round(struct memtable *memtable, const struct log_record *record)
{
	struct memtable_round *round = &memtable->round;
	const uint8_t *numbers = record->value.data;

	if (record->kind != MEMTABLE_ROUND ||
	    record->sequence > LOG_SEQUENCE_MAX)
		return ERR_CORRUPT;
	round->hand.table = record->table;
	round->hand.key_size = record->key.size;
	if (record->key.size != 0)
		memcpy(round->hand.key, record->key.data, record->key.size);
	/* It may have been larger. */
	round->left = MIN(codec_load_u64(numbers), memtable->bytes_max);
	round->began = codec_load_u64(numbers + 8);
	round->useless = codec_load_u64(numbers + 16);
	memtable->log_first = codec_load_u64(numbers + 24);
	memtable->log_end = record->sequence + 1;
	return memtable->log_first <= round->useless &&
		       round->useless <= round->began &&
		       round->began <= record->sequence
		   ? 0
		   : ERR_CORRUPT;
}

static void
load_record(struct memtable *memtable, const struct log_record *record)
{
	struct memtable_node *node;

	if (record->kind == MEMTABLE_ROUND ||
	    record->sequence < memtable->round.useless)
		return;
	/* Also behind the hand: a put of before may be loaded, as ahead. */
	if (record->kind == MEMTABLE_THROUGH) {
		node = memtable_find(memtable, record->table, record->key);
		if (node != NULL)
			memtable_remove(memtable, node);
		return;
	}
	/* The hand has passed it in this round, so its table has it. */
	if (record->sequence < memtable->round.began &&
	    !memtable_is_ahead(memtable, record->table, record->key))
		return;
	memtable_set(memtable, 0, record->table, record->key, record->kind,
	    record->value);
}

/* ERR_NOT_FOUND: the log is empty. */
static int
load_all(struct memtable *memtable, struct store_cursor *cursor)
{
	enum store_move where = STORE_FIRST;
	struct slice none = { 0 };
	struct log_record record;
	uint64_t sequence;
	int code = log_read(memtable, cursor, STORE_LAST, none, &record);

	if (code == 0)
		code = load_round(memtable, &record);
	/* All of it, though some is of no use: the scrub reads that, too, and
	 * must not find what opening has passed over. */
	sequence = memtable->log_first;
	for (; code == 0 && sequence < memtable->log_end; sequence++) {
		code =
		    log_read_next(memtable, cursor, &where, sequence, &record);
		if (code == 0)
			load_record(memtable, &record);
	}
	return code;
}

int
memtable_log_load(struct memtable *memtable)
{
	struct store_cursor *cursor;
	struct store_txn *txn;
	int code = store_begin(memtable->under, false, &txn);

	if (code != 0)
		return code;
	code = store_cursor_open(txn, memtable->log_table, &cursor);
	if (code == 0) {
		code = load_all(memtable, cursor);
		store_cursor_close(cursor);
	}
	store_abort(txn);
	return code == ERR_NOT_FOUND ? 0 : code;
}

/* ---- Scrubbing ---- */

static int
scrub_run(struct memtable *memtable, struct store_cursor *cursor,
    struct store_scrub *scrub, size_t bytes_max, size_t *ret_bytes)
{
	enum store_move where = STORE_AT_OR_AFTER;
	struct log_record record;
	int code = 0;

	while (
	    code == 0 && scrub->next < scrub->end && *ret_bytes < bytes_max) {
		code = log_read_next(
		    memtable, cursor, &where, scrub->next, &record);
		if (code == 0)
			*ret_bytes += record.key.size + record.value.size +
				      sizeof(uint64_t) + LOG_SEAL_SIZE;
		scrub->next++;
	}
	return code;
}

int
memtable_log_scrub_step(struct store_txn *txn, struct store_scrub *scrub,
    size_t bytes_max, size_t *ret_bytes)
{
	struct memtable *memtable = memtable_of(txn->store);
	struct store_cursor *cursor;
	int code;

	if (scrub->end == 0)
		scrub->end = memtable_txn_of(txn)->log_end;
	scrub->next = MAX(scrub->next, memtable->log_first);
	if (scrub->next >= scrub->end)
		return ERR_NOT_FOUND;
	code = store_cursor_open(
	    memtable_txn_of(txn)->under, memtable->log_table, &cursor);
	if (code != 0)
		return code;
	code = scrub_run(memtable, cursor, scrub, bytes_max, ret_bytes);
	store_cursor_close(cursor);
	return code;
}
