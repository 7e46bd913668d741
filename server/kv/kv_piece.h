#ifndef KV_KV_PIECE_H
#define KV_KV_PIECE_H

/* Pieces of a snapshot, for kv_reader.c, kv_writer.c and kv_scrub.c: u8 version,
 * u32 count, records. */

#include "kv/kv_impl.h"

/* A record is u8 table, u16 size of the key, key, u32 size, stored record. */
#define KV_PIECE_RECORD_OVERHEAD 7

struct kv_piece_record {
	unsigned table;
	struct slice key;
	struct slice record;
};

/* Begins a piece at the end of `to`, with room for its count. */
void kv_piece_begin(struct buf *to);
void kv_piece_append(struct buf *to, const struct kv_piece_record *record);
/* Completes the piece that begins at `start`. */
void kv_piece_end(struct buf *to, size_t start, uint32_t count);

struct kv_piece_reader {
	struct codec_reader codec;
	uint32_t left; /* records */
};

/* `piece` is borrowed. ERR_INVALID; ERR_VERSION: of a newer version. */
int kv_piece_open(
    struct kv_piece_reader *reader, struct slice piece) ATTR_MUST_CHECK;
/* ERR_NOT_FOUND: that was the last one, and the end; ERR_INVALID. */
int kv_piece_next(struct kv_piece_reader *reader,
    struct kv_piece_record *ret_record) ATTR_MUST_CHECK;

void
kv_position_set(struct kv_position *position, unsigned table, struct slice key);

/* kv_reader.c */

/* The first record of the cursor's table, that of *ret_record, behind the
 * position. ERR_NOT_FOUND, or an error of the store. */
int
kv_cursor_seek(struct store_cursor *cursor, const struct kv_position *position,
    struct kv_piece_record *ret_record) ATTR_MUST_CHECK;

#endif
