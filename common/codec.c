#include "common/codec.h"

#define CODEC_VARINT_BITS     7
#define CODEC_VARINT_SIZE_MAX 10

void
codec_append_long(struct buf *buf, uint64_t value)
{
	uint8_t *to = buf_reserve(buf, CODEC_VARINT_SIZE_MAX);
	size_t size = 0;

	while (value >= CODEC_VARINT_MORE) {
		to[size++] = (uint8_t)(value | CODEC_VARINT_MORE);
		value >>= CODEC_VARINT_BITS;
	}
	to[size++] = (uint8_t)value;
	buf->size += size;
}

void
codec_append_bytes(struct buf *buf, struct slice bytes)
{
	ASSERT(bytes.size <= UINT32_MAX);
	codec_append_u32(buf, (uint32_t)bytes.size);
	buf_append_slice(buf, bytes);
}

uint64_t
codec_read_long(struct codec_reader *reader)
{
	uint64_t value = 0;
	unsigned shift = 0;
	size_t size = 0;
	uint8_t byte;
	uint64_t bits;

	do {
		if (reader->failed || size == reader->rest.size ||
		    size == CODEC_VARINT_SIZE_MAX) {
			reader->failed = true;
			return 0;
		}
		byte = reader->rest.data[size++];
		bits = byte & (CODEC_VARINT_MORE - 1);
		value |= bits << shift;
		/* Bits that do not fit, or a last byte that adds nothing. */
		if (value >> shift != bits || (byte == 0 && shift != 0)) {
			reader->failed = true;
			return 0;
		}
		shift += CODEC_VARINT_BITS;
	} while ((byte & CODEC_VARINT_MORE) != 0);
	reader->rest.data += size;
	reader->rest.size -= size;
	return value;
}

struct slice
codec_read_bytes(struct codec_reader *reader)
{
	return codec_read_raw(reader, codec_read_u32(reader));
}
