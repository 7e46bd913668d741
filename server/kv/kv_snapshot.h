#ifndef KV_KV_SNAPSHOT_H
#define KV_KV_SNAPSHOT_H

/*
 * The state machine as a stream of pieces, and back (section 7). A piece is a
 * run of records, in the order of tables and keys, raw as they are stored, so
 * that everything replicated is in it: keys, the node's records, and whatever
 * tables come later.
 *
 *	kv_checkpoint; reader_open -> info
 *	reader_read(position)      -> piece, next position       until the end
 *	    writer_add(piece)                          on the other machine
 *	    writer_finish(info)    -> the store is what kv_open wants
 *
 * A position names the last record sent: reading goes on behind it, in this
 * reader or another of the same index, hours later or after a broken link.
 */

#include "kv/kv.h"

/* A table and the last key sent in it; all zero: the beginning. */
struct kv_position {
	uint8_t table;
	uint16_t key_size;
	uint8_t key[STORE_KEY_SIZE_MAX];
};

/* What a snapshot is; equal on the sender and, at the end, on the receiver. */
struct kv_snapshot_info {
	uint64_t applied_index;
	uint64_t revision;
	uint64_t state_hash; /* see kv_state_hash */
	uint64_t bytes;      /* about, of all pieces */
};

struct kv_reader;

/*
 * Pins the last checkpoint of `data` in a read transaction: pages that it
 * needs are not reused until it is closed, so that has to be soon. ERR_BUSY:
 * too many; else errors after which the node stops.
 */
int kv_reader_open(
    struct store *data, struct kv_reader **ret_reader) ATTR_MUST_CHECK;
void kv_reader_close(struct kv_reader *reader); /* NULL is fine */

void kv_reader_get_info(
    const struct kv_reader *reader, struct kv_snapshot_info *ret_info);
/* A node's record in the pinned state, as of kv_get_meta; valid until close. */
int kv_reader_get_meta(struct kv_reader *reader, const char *name,
    struct slice *ret_bytes) ATTR_MUST_CHECK;

/*
 * Appends records behind *position to `piece`, until it holds size_max bytes or
 * one record more, verifies each, and moves *position. ERR_NOT_FOUND: there is
 * nothing behind it, the piece is empty. ERR_CORRUPT: damage was found.
 */
int kv_reader_read(struct kv_reader *reader, struct kv_position *position,
    size_t size_max, struct buf *piece) ATTR_MUST_CHECK;

struct kv_writer;

/*
 * Fills an empty store of kv_store_open, which stays the caller's.
 * ERR_EXISTS: it is not empty; else errors of the store.
 */
int kv_writer_open(
    struct store *data, struct kv_writer **ret_writer) ATTR_MUST_CHECK;
/* Not finished: what it wrote is of no use, remove the store. NULL is fine. */
void kv_writer_close(struct kv_writer *writer);

/*
 * Verifies and takes a piece, which waits to be written by kv_writer_write, or
 * by the next call. ERR_INVALID: not a piece, a damaged record, or one that does
 * not come behind those before it: nothing was added; ERR_VERSION: the same for
 * a piece of a newer version. Else an error of writing the one before.
 */
int kv_writer_add(struct kv_writer *writer, struct slice piece) ATTR_MUST_CHECK;
/* True if kv_writer_write has nothing to do, or has failed. */
bool kv_writer_is_idle(const struct kv_writer *writer);
/*
 * Writes what waits; commits now and then, so that memory is bounded, and
 * blocks then. ERR_NO_SPACE, ERR_IO: the writer is only to be closed, and says
 * the same to every further call.
 */
int kv_writer_write(struct kv_writer *writer) ATTR_MUST_CHECK;

/* Behind what was added: where reading has to go on. Valid until the next. */
const struct kv_position *
kv_writer_get_position(const struct kv_writer *writer);

/*
 * Verifies all of it like kv_open, by what was counted on the way, and makes
 * it durable; the store is then fit for kv_open without `verify`. ERR_CORRUPT:
 * it is not the state that `info` promised. The writer is only to be closed
 * after.
 */
int kv_writer_finish(struct kv_writer *writer,
    const struct kv_snapshot_info *info) ATTR_MUST_CHECK;

#endif
