/* A run of records as bytes. Their integrity is in the records themselves. */

#include "kv/kv_piece.h"

#include "common/panic.h"

#define KV_PIECE_VERSION      1
#define KV_PIECE_COUNT_OFFSET 1

void
kv_piece_begin(struct buf *to)
{
	codec_append_u8(to, KV_PIECE_VERSION);
	codec_append_u32(to, 0); /* the count, once it is known */
}

void
kv_piece_append(struct buf *to, const struct kv_piece_record *record)
{
	ASSERT(record->key.size <= STORE_KEY_SIZE_MAX);
	codec_append_u8(to, (uint8_t)record->table);
	codec_append_u16(to, (uint16_t)record->key.size);
	buf_append_slice(to, record->key);
	codec_append_bytes(to, record->record);
}

void
kv_piece_end(struct buf *to, size_t start, uint32_t count)
{
	codec_store_u32(to->data + start + KV_PIECE_COUNT_OFFSET, count);
}

int
kv_piece_open(struct kv_piece_reader *reader, struct slice piece)
{
	uint8_t version;

	codec_reader_init(&reader->codec, piece);
	version = codec_read_u8(&reader->codec);
	if (version > KV_PIECE_VERSION)
		return ERR_VERSION;
	reader->left = codec_read_u32(&reader->codec);
	if (version != KV_PIECE_VERSION || reader->left == 0)
		return ERR_INVALID;
	return 0;
}

int
kv_piece_next(
    struct kv_piece_reader *reader, struct kv_piece_record *ret_record)
{
	struct kv_piece_record record;

	if (reader->left == 0)
		return codec_reader_done(&reader->codec) ? ERR_NOT_FOUND
							 : ERR_INVALID;
	record.table = codec_read_u8(&reader->codec);
	record.key =
	    codec_read_raw(&reader->codec, codec_read_u16(&reader->codec));
	record.record = codec_read_bytes(&reader->codec);
	if (reader->codec.failed || record.table >= KV_TABLES_COUNT ||
	    record.key.size < 1 || record.key.size > STORE_KEY_SIZE_MAX)
		return ERR_INVALID;
	reader->left--;
	*ret_record = record;
	return 0;
}

void
kv_position_set(struct kv_position *position, unsigned table, struct slice key)
{
	ASSERT(key.size <= STORE_KEY_SIZE_MAX);
	position->table = (uint8_t)table;
	position->key_size = (uint16_t)key.size;
	memcpy(position->key, key.data, key.size);
}
