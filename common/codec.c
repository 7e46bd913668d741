#include "common/codec.h"
#include "common/panic.h"

void
codec_store_u16(uint8_t *to, uint16_t value)
{
	to[0] = (uint8_t)(value >> 8);
	to[1] = (uint8_t)value;
}

void
codec_store_u32(uint8_t *to, uint32_t value)
{
	to[0] = (uint8_t)(value >> 24);
	to[1] = (uint8_t)(value >> 16);
	to[2] = (uint8_t)(value >> 8);
	to[3] = (uint8_t)value;
}

void
codec_store_u64(uint8_t *to, uint64_t value)
{
	codec_store_u32(to, (uint32_t)(value >> 32));
	codec_store_u32(to + 4, (uint32_t)value);
}

uint16_t
codec_load_u16(const uint8_t *from)
{
	return (uint16_t)(from[0] << 8 | from[1]);
}

uint32_t
codec_load_u32(const uint8_t *from)
{
	return (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 |
	       (uint32_t)from[2] << 8 | (uint32_t)from[3];
}

uint64_t
codec_load_u64(const uint8_t *from)
{
	return (uint64_t)codec_load_u32(from) << 32 | codec_load_u32(from + 4);
}

void
codec_append_u8(struct buf *buf, uint8_t value)
{
	buf_append(buf, &value, sizeof(value));
}

void
codec_append_u16(struct buf *buf, uint16_t value)
{
	codec_store_u16(buf_reserve(buf, sizeof(value)), value);
	buf->size += sizeof(value);
}

void
codec_append_u32(struct buf *buf, uint32_t value)
{
	codec_store_u32(buf_reserve(buf, sizeof(value)), value);
	buf->size += sizeof(value);
}

void
codec_append_u64(struct buf *buf, uint64_t value)
{
	codec_store_u64(buf_reserve(buf, sizeof(value)), value);
	buf->size += sizeof(value);
}

void
codec_append_bytes(struct buf *buf, struct slice bytes)
{
	ASSERT(bytes.size <= UINT32_MAX);
	codec_append_u32(buf, (uint32_t)bytes.size);
	buf_append_slice(buf, bytes);
}

void
codec_reader_init(struct codec_reader *reader, struct slice input)
{
	*reader = (struct codec_reader){ .rest = input };
}

struct slice
codec_read_raw(struct codec_reader *reader, size_t size)
{
	struct slice taken = { 0 };

	if (reader->failed || size > reader->rest.size) {
		reader->failed = true;
		return taken;
	}
	if (size == 0)
		return taken;
	taken = slice_of(reader->rest.data, size);
	reader->rest.data += size;
	reader->rest.size -= size;
	return taken;
}

uint8_t
codec_read_u8(struct codec_reader *reader)
{
	struct slice raw = codec_read_raw(reader, sizeof(uint8_t));

	return raw.size == 0 ? 0 : raw.data[0];
}

uint16_t
codec_read_u16(struct codec_reader *reader)
{
	struct slice raw = codec_read_raw(reader, sizeof(uint16_t));

	return raw.size == 0 ? 0 : codec_load_u16(raw.data);
}

uint32_t
codec_read_u32(struct codec_reader *reader)
{
	struct slice raw = codec_read_raw(reader, sizeof(uint32_t));

	return raw.size == 0 ? 0 : codec_load_u32(raw.data);
}

uint64_t
codec_read_u64(struct codec_reader *reader)
{
	struct slice raw = codec_read_raw(reader, sizeof(uint64_t));

	return raw.size == 0 ? 0 : codec_load_u64(raw.data);
}

struct slice
codec_read_bytes(struct codec_reader *reader)
{
	return codec_read_raw(reader, codec_read_u32(reader));
}

bool
codec_reader_done(const struct codec_reader *reader)
{
	return !reader->failed && reader->rest.size == 0;
}
