#ifndef KV_KV_IMPL_H
#define KV_KV_IMPL_H

/*
 * What the files of kv/ share: the two tables, the form of their records, and
 * the decoded command.
 *
 * Table "kv": the user's key -> sealed (created, modified, version, value).
 * Table "meta": "state" -> sealed struct kv_state; "node." name -> sealed
 * bytes of the node.
 *
 * Sealed is: u8 format version, u32 CRC-32C over the key in the table, the
 * version and the body, then the body. The first five bytes stay the same in
 * every later version, so that damage and news are told apart.
 */

#include "common/codec.h"
#include "kv/kv_snapshot.h"

enum kv_table { KV_TABLE_META, KV_TABLE_KV };

/* What all replicas agree on, and what checks the tables against it. */
struct kv_state {
	uint64_t applied_index;
	uint64_t revision; /* at most applied_index */
	uint64_t cluster_time_us;
	uint64_t keys_count;
	uint64_t live_bytes; /* of keys and values in "kv" */
	/*
	 * Sum of the hashes of all records in "kv", modulo 2^64: it does not
	 * depend on their order, and a put or a delete changes it in one step.
	 */
	uint64_t records_hash;
	/* The same for the node's records in "meta". */
	uint64_t metas_count;
	uint64_t metas_hash;
};

struct kv {
	struct store *data;
	struct store_txn *txn; /* NULL only after a failed checkpoint */
	struct kv_state state; /* stored at each checkpoint */
	uint64_t checkpoint_index;
	uint64_t dirty_bytes;
	uint64_t dirty_count;
	bool dirty;         /* anything, applied index too, since then */
	bool failed;        /* an error was returned: stop */
	struct buf scratch; /* the record being written */
};

/* Marks the kv as failed if `code` is an error; gives `code`. */
int kv_note(struct kv *kv, int code);

/* The stored state; none is the state before the first checkpoint. */
int kv_state_load(
    struct store_txn *txn, struct kv_state *ret_state) ATTR_MUST_CHECK;

/* ---- kv_record.c ---- */

#define KV_SEAL_SIZE      5  /* version and CRC */
#define KV_ITEM_HEAD_SIZE 24 /* before the value: created, modified, version */

/* Begins a sealed record in the empty `record`; its body is appended next. */
void kv_seal_begin(struct buf *record);
/* Completes the record that is stored under `key`. */
void kv_seal_end(struct buf *record, struct slice key);
/*
 * The body of a stored record, borrowed from it. ERR_CORRUPT: not what was
 * sealed under this key; ERR_VERSION: sound, but of a newer version.
 */
int kv_unseal(struct slice key, struct slice record,
    struct slice *ret_body) ATTR_MUST_CHECK;

/* What a record adds to records_hash or metas_hash. */
uint64_t kv_record_hash(struct slice key, struct slice record);

/* Appends the record of a key, sealed, to the empty `record`. */
void kv_item_encode(
    struct buf *record, struct slice key, const struct kv_item *item);
/* The item borrows from `record`. ERR_CORRUPT, ERR_VERSION. */
int kv_item_decode(struct slice key, struct slice record,
    struct kv_item *ret_item) ATTR_MUST_CHECK;

/* Where the state is in "meta". */
struct slice kv_state_key(void);
void kv_state_encode(struct buf *record, const struct kv_state *state);
int kv_state_decode(
    struct slice record, struct kv_state *ret_state) ATTR_MUST_CHECK;

/* See kv_state_hash. */
uint64_t kv_state_digest(const struct kv_state *state);

/* ---- kv_reader.c ---- */

struct kv_piece_record;

/* The first record of the cursor's table, that of *ret_record, behind the
 * position. ERR_NOT_FOUND, or an error of the store. */
int
kv_cursor_seek(struct store_cursor *cursor, const struct kv_position *position,
    struct kv_piece_record *ret_record) ATTR_MUST_CHECK;

/* ---- kv_meta.c ---- */

/* As kv_get_meta, in any transaction. */
int kv_meta_load(struct store_txn *txn, const char *name,
    struct slice *ret_bytes) ATTR_MUST_CHECK;

/* ---- kv_verify.c ---- */

/*
 * Verifies a record of a table, of a state with the revision sums->revision,
 * and takes it into the counts and hashes of `sums`. ERR_CORRUPT, ERR_VERSION.
 */
int kv_count_record(struct kv_state *sums, unsigned table, struct slice key,
    struct slice record) ATTR_MUST_CHECK;

/* Are the counts and hashes equal? */
bool kv_sums_agree(const struct kv_state *a, const struct kv_state *b);

/* ---- kv_command.c ---- */

enum kv_op { KV_OP_PUT = 1, KV_OP_DELETE = 2 };

struct kv_command {
	enum kv_op op;
	struct slice key;
	struct slice value; /* put only */
};

/* Strict; the command borrows from `bytes`. ERR_CORRUPT, ERR_VERSION. */
int kv_command_decode(
    struct slice bytes, struct kv_command *ret_command) ATTR_MUST_CHECK;

/* ---- kv_piece.c: u8 version, u32 count, records ---- */

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

#endif
