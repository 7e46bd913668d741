#ifndef COMMON_CODEC_H
#define COMMON_CODEC_H

/*
 * Fixed-width integers in big-endian order, so that encoded indices sort as
 * numbers, and a reader that never runs past its input.
 */

#include "common/buf.h"

void codec_store_u16(uint8_t *to, uint16_t value);
void codec_store_u32(uint8_t *to, uint32_t value);
void codec_store_u64(uint8_t *to, uint64_t value);
uint16_t codec_load_u16(const uint8_t *from);
uint32_t codec_load_u32(const uint8_t *from);
uint64_t codec_load_u64(const uint8_t *from);

void codec_append_u8(struct buf *buf, uint8_t value);
void codec_append_u16(struct buf *buf, uint16_t value);
void codec_append_u32(struct buf *buf, uint32_t value);
void codec_append_u64(struct buf *buf, uint64_t value);
/* A u32 length and the bytes. */
void codec_append_bytes(struct buf *buf, struct slice bytes);

/*
 * Reads in order. After a read past the end every read gives 0 or an empty
 * slice and `failed` stays true, so a decoder checks once, at its end.
 */
struct codec_reader {
	struct slice rest;
	bool failed;
};

void codec_reader_init(struct codec_reader *reader, struct slice input);
uint8_t codec_read_u8(struct codec_reader *reader);
uint16_t codec_read_u16(struct codec_reader *reader);
uint32_t codec_read_u32(struct codec_reader *reader);
uint64_t codec_read_u64(struct codec_reader *reader);
/* `size` bytes of the input, borrowed from it. */
struct slice codec_read_raw(struct codec_reader *reader, size_t size);
/* What codec_append_bytes wrote, borrowed from the input. */
struct slice codec_read_bytes(struct codec_reader *reader);
/* True if nothing failed and nothing is left. */
bool codec_reader_done(const struct codec_reader *reader);

#endif
