/*
 * A block of the journal, in big-endian order:
 *
 *	u32 magic | u32 version | u64 id | u64 generation | u64 sequence |
 *	u32 size of the changes | u32 their CRC-32C | u32 CRC-32C of all this |
 *	changes | zeros up to a multiple of the unit
 *
 * The header has a checksum of its own: what it says of the size, and whose it
 * is, can be relied on where the rest is torn. A change:
 *
 *	u8 what | u8 table | u32 size, key | u32 size, value (of a put, append)
 *
 * The seal of a block is its header once more, with a magic and so a checksum
 * of its own, and zeros up to the end of the unit.
 */

#include "common/codec.h"
#include "common/hash.h"
#include "store/store_journal_impl.h"

#define BLOCK_MAGIC   0x4c756d4au /* "LumJ" */
#define SEAL_MAGIC    0x4c756d53u /* "LumS" */
#define BLOCK_VERSION 1u
#define HEADER_SIZE   44
#define CHANGE_SIZE   10 /* without key and value */

void
journal_block_clear(struct buf *block)
{
	buf_reset(block);
	memset(buf_reserve(block, HEADER_SIZE), 0, HEADER_SIZE);
	block->size = HEADER_SIZE;
}

bool
journal_block_is_empty(const struct buf *block)
{
	return block->size == HEADER_SIZE;
}

static bool
has_value(unsigned change)
{
	return change == JOURNAL_PUT || change == JOURNAL_APPEND;
}

void
journal_block_add(struct buf *block, enum journal_change change,
    store_table table, struct slice key, struct slice value)
{
	codec_append_u8(block, (uint8_t)change);
	codec_append_u8(block, (uint8_t)table);
	codec_append_bytes(block, key);
	if (has_value(change))
		codec_append_bytes(block, value);
}

uint64_t
journal_change_size(struct slice key, struct slice value)
{
	return CHANGE_SIZE + key.size + value.size;
}

static uint64_t
round_up(uint64_t size)
{
	return (size + STORE_JOURNAL_UNIT - 1) / STORE_JOURNAL_UNIT *
	       STORE_JOURNAL_UNIT;
}

void
journal_block_finish(
    struct buf *block, uint64_t id, uint64_t generation, uint64_t sequence)
{
	struct slice payload =
	    slice_of(block->data + HEADER_SIZE, block->size - HEADER_SIZE);
	size_t padding = (size_t)round_up(block->size) - block->size;
	uint8_t *header;

	memset(buf_reserve(block, padding), 0, padding);
	block->size += padding;
	header = block->data;
	payload.data = header + HEADER_SIZE; /* the buf may have moved */
	codec_store_u32(header, BLOCK_MAGIC);
	codec_store_u32(header + 4, BLOCK_VERSION);
	codec_store_u64(header + 8, id);
	codec_store_u64(header + 16, generation);
	codec_store_u64(header + 24, sequence);
	codec_store_u32(header + 32, (uint32_t)payload.size);
	codec_store_u32(header + 36, crc32c(0, payload));
	codec_store_u32(header + 40, crc32c(0, slice_of(header, 40)));
}

static bool
decode(struct slice bytes, uint32_t magic, struct journal_header *ret_header)
{
	const uint8_t *header = bytes.data;

	if (codec_load_u32(header) != magic ||
	    codec_load_u32(header + 4) != BLOCK_VERSION ||
	    codec_load_u32(header + 40) != crc32c(0, slice_of(header, 40)))
		return false;
	*ret_header = (struct journal_header){
		.id = codec_load_u64(header + 8),
		.generation = codec_load_u64(header + 16),
		.sequence = codec_load_u64(header + 24),
		.payload_size = codec_load_u32(header + 32),
		.payload_crc = codec_load_u32(header + 36),
	};
	return true;
}

bool
journal_header_decode(struct slice bytes, struct journal_header *ret_header)
{
	return decode(bytes, BLOCK_MAGIC, ret_header);
}

void
journal_seal_make(struct slice block, uint8_t *ret_unit)
{
	memset(ret_unit, 0, STORE_JOURNAL_UNIT);
	memcpy(ret_unit, block.data, HEADER_SIZE);
	codec_store_u32(ret_unit, SEAL_MAGIC);
	codec_store_u32(ret_unit + 40, crc32c(0, slice_of(ret_unit, 40)));
}

bool
journal_seal_decode(struct slice bytes, struct journal_header *ret_header)
{
	return decode(bytes, SEAL_MAGIC, ret_header);
}

uint64_t
journal_block_size(const struct journal_header *header)
{
	return round_up(HEADER_SIZE + (uint64_t)header->payload_size);
}

bool
journal_block_payload(struct slice bytes, const struct journal_header *header,
    struct slice *ret_payload)
{
	struct slice payload =
	    slice_of(bytes.data + HEADER_SIZE, header->payload_size);

	if (crc32c(0, payload) != header->payload_crc)
		return false;
	*ret_payload = payload;
	return true;
}

static int
apply_change(struct codec_reader *reader, struct store_txn *txn,
    store_table tables_count)
{
	unsigned change = codec_read_u8(reader);
	store_table table = codec_read_u8(reader);
	struct slice key = codec_read_bytes(reader);
	struct slice value = slice_of(NULL, 0);
	struct store_cut cut;

	if (has_value(change))
		value = codec_read_bytes(reader);
	if (reader->failed || table >= tables_count || key.size == 0 ||
	    key.size > STORE_KEY_SIZE_MAX)
		return ERR_CORRUPT;
	switch (change) {
	case JOURNAL_PUT: return store_put(txn, table, key, value);
	case JOURNAL_APPEND: return store_append(txn, table, key, value);
	case JOURNAL_DELETE: return store_delete(txn, table, key);
	case JOURNAL_DELETE_UNTIL:
		return store_delete_until(txn, table, key, &cut);
	default: return ERR_CORRUPT;
	}
}

int
journal_payload_apply(
    struct slice payload, struct store_txn *txn, store_table tables_count)
{
	struct codec_reader reader;

	codec_reader_init(&reader, payload);
	while (reader.rest.size != 0) {
		int error = apply_change(&reader, txn, tables_count);

		/* It was possible when it was made, from the same contents. */
		if (error == ERR_NOT_FOUND || error == ERR_INVALID)
			return ERR_CORRUPT;
		if (error != 0)
			return error;
	}
	return 0;
}
