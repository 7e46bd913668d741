#ifndef COMMON_CODEC_H
#define COMMON_CODEC_H

/*
 * Fixed-width integers in big-endian order, so that encoded indices sort as
 * numbers; short ones for numbers that are mostly small; and a reader that
 * never runs past its input. Most of it is inline, as a record is made of, and
 * a command read in, dozens of such steps.
 */

#include "common/buf.h"
#include "common/panic.h"

static inline void
codec_store_u16(uint8_t *to, uint16_t value)
{
	to[0] = (uint8_t)(value >> 8);
	to[1] = (uint8_t)value;
}

static inline void
codec_store_u32(uint8_t *to, uint32_t value)
{
	to[0] = (uint8_t)(value >> 24);
	to[1] = (uint8_t)(value >> 16);
	to[2] = (uint8_t)(value >> 8);
	to[3] = (uint8_t)value;
}

static inline void
codec_store_u64(uint8_t *to, uint64_t value)
{
	codec_store_u32(to, (uint32_t)(value >> 32));
	codec_store_u32(to + 4, (uint32_t)value);
}

static inline uint16_t
codec_load_u16(const uint8_t *from)
{
	return (uint16_t)(from[0] << 8 | from[1]);
}

static inline uint32_t
codec_load_u32(const uint8_t *from)
{
	return (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 |
	       (uint32_t)from[2] << 8 | (uint32_t)from[3];
}

static inline uint64_t
codec_load_u64(const uint8_t *from)
{
	return (uint64_t)codec_load_u32(from) << 32 | codec_load_u32(from + 4);
}

static inline void
codec_append_u8(struct buf *buf, uint8_t value)
{
	*buf_reserve(buf, sizeof(value)) = value;
	buf->size += sizeof(value);
}

static inline void
codec_append_u16(struct buf *buf, uint16_t value)
{
	codec_store_u16(buf_reserve(buf, sizeof(value)), value);
	buf->size += sizeof(value);
}

static inline void
codec_append_u32(struct buf *buf, uint32_t value)
{
	codec_store_u32(buf_reserve(buf, sizeof(value)), value);
	buf->size += sizeof(value);
}

static inline void
codec_append_u64(struct buf *buf, uint64_t value)
{
	codec_store_u64(buf_reserve(buf, sizeof(value)), value);
	buf->size += sizeof(value);
}

/* 7 bits a byte, the lowest first (LEB128): 1 byte below 128, at most 10. */
#define CODEC_VARINT_MORE 0x80 /* set in all bytes but the last */
void codec_append_long(struct buf *buf, uint64_t value); /* of any size */
static inline void
codec_append_varint(struct buf *buf, uint64_t value)
{
	if (value < CODEC_VARINT_MORE)
		codec_append_u8(buf, (uint8_t)value);
	else
		codec_append_long(buf, value);
}

/* A u32 length and the bytes. */
void codec_append_bytes(struct buf *buf, struct slice bytes);
/* The same with a short length, of codec_append_varint. */
static inline void
codec_append_sized(struct buf *buf, struct slice bytes)
{
	ASSERT(bytes.size <= UINT32_MAX);
	codec_append_varint(buf, bytes.size);
	buf_append_slice(buf, bytes);
}

/*
 * Reads in order. After a read past the end every read gives 0 or an empty
 * slice and `failed` stays true, so a decoder checks once, at its end.
 */
struct codec_reader {
	struct slice rest;
	bool failed;
};

static inline void
codec_reader_init(struct codec_reader *reader, struct slice input)
{
	*reader = (struct codec_reader){ .rest = input };
}

/* `size` bytes of the input, borrowed from it. */
static inline struct slice
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

static inline uint8_t
codec_read_u8(struct codec_reader *reader)
{
	struct slice raw = codec_read_raw(reader, sizeof(uint8_t));

	return raw.size == 0 ? 0 : raw.data[0];
}

static inline uint16_t
codec_read_u16(struct codec_reader *reader)
{
	struct slice raw = codec_read_raw(reader, sizeof(uint16_t));

	return raw.size == 0 ? 0 : codec_load_u16(raw.data);
}

static inline uint32_t
codec_read_u32(struct codec_reader *reader)
{
	struct slice raw = codec_read_raw(reader, sizeof(uint32_t));

	return raw.size == 0 ? 0 : codec_load_u32(raw.data);
}

static inline uint64_t
codec_read_u64(struct codec_reader *reader)
{
	struct slice raw = codec_read_raw(reader, sizeof(uint64_t));

	return raw.size == 0 ? 0 : codec_load_u64(raw.data);
}
/* What codec_append_varint wrote; any longer form of the number fails. */
uint64_t codec_read_long(struct codec_reader *reader); /* of any size */
static inline uint64_t
codec_read_varint(struct codec_reader *reader)
{
	struct slice *rest = &reader->rest;

	if (reader->failed || rest->size == 0 ||
	    rest->data[0] >= CODEC_VARINT_MORE)
		return codec_read_long(reader);
	rest->size--;
	return *rest->data++;
}

/* What codec_append_bytes wrote, borrowed from the input. */
struct slice codec_read_bytes(struct codec_reader *reader);
/* What codec_append_sized wrote, likewise. */
static inline struct slice
codec_read_sized(struct codec_reader *reader)
{
	return codec_read_raw(reader, codec_read_varint(reader));
}

/* True if nothing failed and nothing is left. */
static inline bool
codec_reader_done(const struct codec_reader *reader)
{
	return !reader->failed && reader->rest.size == 0;
}

#endif
