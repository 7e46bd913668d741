/* Pieces of snapshots and their answers as bytes. */

#include "common/codec.h"
#include "common/hash.h"
#include "kv/kv.h"
#include "node/node_snapshot.h"

enum { PIECE_VERSION = 1, ANSWER_VERSION = 1, SUM_SIZE = 4 };

bool
node_snapshot_id_equal(
    const struct node_snapshot_id *a, const struct node_snapshot_id *b)
{
	return a->index == b->index && a->term == b->term &&
	       a->state_hash == b->state_hash;
}

bool
node_position_equal(const struct kv_position *a, const struct kv_position *b)
{
	return a->table == b->table &&
	       slice_equal(slice_of(a->key, a->key_size),
		   slice_of(b->key, b->key_size));
}

/* ---- Encoding ---- */

static void
append_head(struct buf *to, unsigned version, unsigned kind,
    const struct node_snapshot_id *id)
{
	codec_append_u8(to, (uint8_t)version);
	codec_append_u8(to, (uint8_t)kind);
	codec_append_u64(to, id->index);
	codec_append_u64(to, id->term);
	codec_append_u64(to, id->state_hash);
}

static void
append_position(struct buf *to, const struct kv_position *position)
{
	codec_append_u8(to, position->table);
	codec_append_u16(to, position->key_size);
	buf_append(to, position->key, position->key_size);
}

void
node_piece_begin(struct buf *to, const struct node_piece *piece)
{
	append_head(to, PIECE_VERSION, piece->kind, &piece->id);
	switch (piece->kind) {
	case NODE_PIECE_OFFER:
		codec_append_u64(to, piece->chain);
		codec_append_u64(to, piece->time_us);
		codec_append_u64(to, piece->revision);
		codec_append_u64(to, piece->bytes);
		break;
	case NODE_PIECE_RECORDS:
	case NODE_PIECE_END: append_position(to, &piece->position); break;
	}
}

void
node_piece_end(struct buf *to)
{
	codec_append_u32(to, crc32c(0, buf_slice(to)));
}

void
node_answer_encode(struct buf *to, const struct node_answer *answer)
{
	size_t start = to->size;

	append_head(to, ANSWER_VERSION, answer->kind, &answer->id);
	if (answer->kind == NODE_ANSWER_GO_ON)
		append_position(to, &answer->position);
	if (answer->kind == NODE_ANSWER_REFUSED)
		codec_append_u8(to, (uint8_t)-answer->reason);
	codec_append_u32(
	    to, crc32c(0, slice_of(to->data + start, to->size - start)));
}

/* ---- Decoding ---- */

/* Takes the sum off the end; false if it is not right. */
static bool
open_summed(struct codec_reader *reader, struct slice bytes)
{
	struct slice summed;

	if (bytes.size < SUM_SIZE)
		return false;
	summed = slice_of(bytes.data, bytes.size - SUM_SIZE);
	if (codec_load_u32(bytes.data + summed.size) != crc32c(0, summed))
		return false;
	codec_reader_init(reader, summed);
	return true;
}

static void
read_id(struct codec_reader *reader, struct node_snapshot_id *ret_id)
{
	ret_id->index = codec_read_u64(reader);
	ret_id->term = codec_read_u64(reader);
	ret_id->state_hash = codec_read_u64(reader);
	if (ret_id->index == 0 || ret_id->term == 0)
		reader->failed = true;
}

/* The beginning is written in one way only: zeros. */
static void
read_position(struct codec_reader *reader, struct kv_position *ret_position)
{
	uint8_t table = codec_read_u8(reader);
	uint16_t size = codec_read_u16(reader);
	struct slice key = codec_read_raw(reader, size);

	if (reader->failed || size > STORE_KEY_SIZE_MAX ||
	    table >= KV_TABLES_COUNT || (size == 0 && table != 0)) {
		reader->failed = true;
		return;
	}
	ret_position->table = table;
	ret_position->key_size = size;
	if (key.size != 0)
		memcpy(ret_position->key, key.data, key.size);
}

int
node_piece_decode(struct slice bytes, struct node_piece *ret_piece)
{
	struct node_piece piece = { .bytes = 0 };
	struct codec_reader reader;
	uint8_t kind;

	if (!open_summed(&reader, bytes) ||
	    codec_read_u8(&reader) != PIECE_VERSION)
		return ERR_INVALID;
	kind = codec_read_u8(&reader);
	read_id(&reader, &piece.id);
	switch (kind) {
	case NODE_PIECE_OFFER:
		piece.chain = codec_read_u64(&reader);
		piece.time_us = codec_read_u64(&reader);
		piece.revision = codec_read_u64(&reader);
		piece.bytes = codec_read_u64(&reader);
		break;
	case NODE_PIECE_RECORDS:
		read_position(&reader, &piece.position);
		piece.records = codec_read_raw(&reader, reader.rest.size);
		break;
	case NODE_PIECE_END: read_position(&reader, &piece.position); break;
	default: return ERR_INVALID;
	}
	if (!codec_reader_done(&reader))
		return ERR_INVALID;
	piece.kind = kind;
	*ret_piece = piece;
	return 0;
}

int
node_answer_decode(struct slice bytes, struct node_answer *ret_answer)
{
	struct node_answer answer = { .reason = 0 };
	struct codec_reader reader;
	uint8_t kind;

	if (!open_summed(&reader, bytes) ||
	    codec_read_u8(&reader) != ANSWER_VERSION)
		return ERR_INVALID;
	kind = codec_read_u8(&reader);
	read_id(&reader, &answer.id);
	switch (kind) {
	case NODE_ANSWER_GO_ON: read_position(&reader, &answer.position); break;
	case NODE_ANSWER_REFUSED:
		answer.reason = -codec_read_u8(&reader);
		if (answer.reason == 0)
			return ERR_INVALID;
		break;
	case NODE_ANSWER_DONE:
	case NODE_ANSWER_LATER: break;
	default: return ERR_INVALID;
	}
	if (!codec_reader_done(&reader))
		return ERR_INVALID;
	answer.kind = kind;
	*ret_answer = answer;
	return 0;
}
