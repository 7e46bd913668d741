#include "node/node_record.h"

#include <assert.h>

#include "common/codec.h"
#include "common/hash.h"
#include "common/panic.h"

enum {
	RECORD_VERSION = 1,
	RECORD_CHAIN_OFFSET = 32,
	RECORD_HEAD_SIZE = 40,
	RECORD_CRC_SIZE = 4,
};

static_assert(RECORD_HEAD_SIZE + RECORD_CRC_SIZE == NODE_RECORD_OVERHEAD,
    "a record is its head, its payload and its CRC");

static uint64_t
record_chain(struct slice bytes, uint64_t previous_chain)
{
	struct slice head = slice_of(bytes.data, RECORD_CHAIN_OFFSET);
	struct slice payload = slice_of(
	    bytes.data + RECORD_HEAD_SIZE, bytes.size - NODE_RECORD_OVERHEAD);

	return hash64(hash64(previous_chain, head), payload);
}

uint64_t
node_record_chain(struct slice bytes, uint64_t previous_chain)
{
	ASSERT(bytes.size >= NODE_RECORD_OVERHEAD);
	return record_chain(bytes, previous_chain);
}

void
node_record_encode(
    uint8_t *to, struct node_record *record, uint64_t previous_chain)
{
	size_t size = NODE_RECORD_OVERHEAD + record->payload.size;
	size_t crc_offset = size - RECORD_CRC_SIZE;

	ASSERT(record->payload.size <= UINT32_MAX);
	to[0] = RECORD_VERSION;
	to[1] = (uint8_t)record->type;
	codec_store_u16(to + 2, 0);
	codec_store_u32(to + 4, (uint32_t)record->payload.size);
	codec_store_u64(to + 8, record->index);
	codec_store_u64(to + 16, record->term);
	codec_store_u64(to + 24, record->time_us);
	if (record->payload.size != 0)
		memcpy(to + RECORD_HEAD_SIZE, record->payload.data,
		    record->payload.size);
	record->chain = record_chain(slice_of(to, size), previous_chain);
	codec_store_u64(to + RECORD_CHAIN_OFFSET, record->chain);
	codec_store_u32(to + crc_offset, crc32c(0, slice_of(to, crc_offset)));
}

static bool
record_type_known(uint8_t type)
{
	return type == RAFT_ENTRY_NOOP || type == RAFT_ENTRY_COMMAND ||
	       type == RAFT_ENTRY_MEMBERS;
}

int
node_record_decode(struct slice bytes, struct node_record *ret_record)
{
	size_t crc_offset;

	if (bytes.size < NODE_RECORD_OVERHEAD)
		return ERR_CORRUPT;
	crc_offset = bytes.size - RECORD_CRC_SIZE;
	if (codec_load_u32(bytes.data + crc_offset) !=
	    crc32c(0, slice_of(bytes.data, crc_offset)))
		return ERR_CORRUPT;
	if (bytes.data[0] != RECORD_VERSION ||
	    !record_type_known(bytes.data[1]))
		return ERR_VERSION;
	if (codec_load_u16(bytes.data + 2) != 0)
		return ERR_VERSION;
	if (codec_load_u32(bytes.data + 4) != bytes.size - NODE_RECORD_OVERHEAD)
		return ERR_CORRUPT;
	*ret_record = (struct node_record){
		.type = bytes.data[1],
		.index = codec_load_u64(bytes.data + 8),
		.term = codec_load_u64(bytes.data + 16),
		.time_us = codec_load_u64(bytes.data + 24),
		.chain = codec_load_u64(bytes.data + RECORD_CHAIN_OFFSET),
		.payload = slice_of(bytes.data + RECORD_HEAD_SIZE,
		    bytes.size - NODE_RECORD_OVERHEAD),
	};
	return 0;
}
