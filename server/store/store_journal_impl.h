#ifndef STORE_STORE_JOURNAL_IMPL_H
#define STORE_STORE_JOURNAL_IMPL_H

/* The journal's inside, for the store_journal*.c files. */

#include "common/buf.h"
#include "store/store_journal.h"

/* ---- Blocks: store_journal_block.c ---- */

/* The first unit of the file holds an empty block of generation 0, which says
 * whose file it is; it is never written again. */
#define JOURNAL_BLOCKS_OFFSET STORE_JOURNAL_UNIT

struct journal_header {
	uint64_t id;
	uint64_t generation;
	uint64_t sequence; /* within the generation, from 1 on */
	uint32_t payload_size;
	uint32_t payload_crc;
};

enum journal_change {
	JOURNAL_PUT = 1,
	JOURNAL_APPEND,
	JOURNAL_DELETE,
	JOURNAL_DELETE_UNTIL
};

/* Makes the buf an empty block: room for a header. */
void journal_block_clear(struct buf *block);
bool journal_block_is_empty(const struct buf *block);
/* Adds a change; what deletes has no value. */
void journal_block_add(struct buf *block, enum journal_change change,
    store_table table, struct slice key, struct slice value);
/* What journal_block_add will make it grow by. */
uint64_t journal_change_size(struct slice key, struct slice value);
/* Fills in the header, and zeros up to a whole number of units. */
void journal_block_finish(
    struct buf *block, uint64_t id, uint64_t generation, uint64_t sequence);

/*
 * Reads the header of a block; false unless `bytes`, a unit at least, begin
 * with a valid one of this format (journal_state has the format's version).
 */
bool
journal_header_decode(struct slice bytes, struct journal_header *ret_header);
/*
 * The seal of a finished block, for the unit behind it: written once the block
 * was flushed, it says so to the next open.
 */
void journal_seal_make(struct slice block, uint8_t *ret_unit);
/* As journal_header_decode, which it is never true with. */
bool journal_seal_decode(struct slice bytes, struct journal_header *ret_header);
/* Bytes of the file that the block takes. */
uint64_t journal_block_size(const struct journal_header *header);
/*
 * The changes in the block that `bytes`, of its size at least, begin with;
 * false if they are torn or damaged.
 */
bool journal_block_payload(struct slice bytes,
    const struct journal_header *header, struct slice *ret_payload);
/*
 * Makes the changes again. ERR_CORRUPT: they are none, or do not fit what is
 * there; or the store's error.
 */
int journal_payload_apply(struct slice payload, struct store_txn *txn,
    store_table tables_count) ATTR_MUST_CHECK;

/* ---- What the inner store knows: store_journal_state.c ---- */

struct journal_state {
	uint64_t id; /* 0: there never was a journal */
	uint64_t generation;
	uint64_t capacity;
	bool closed; /* no blocks of this generation were or will be written */
};

int journal_state_load(struct store_txn *txn, store_table table,
    struct journal_state *ret_state) ATTR_MUST_CHECK;
int journal_state_save(struct store_txn *txn, store_table table,
    const struct journal_state *state) ATTR_MUST_CHECK;

/* ---- The file: store_journal_file.c ---- */

/* Writes all of it there, or gives the error. */
int journal_write(int fd, struct slice bytes, uint64_t offset) ATTR_MUST_CHECK;

/*
 * Opens the file that belongs to the state, or makes it where none does or
 * nothing can be lost with it, with its directory's entry; fills in an id and
 * the capacity then. Replays into `txn` what it has of the state's generation.
 */
int journal_file_open(const struct store_journal_params *params,
    struct store_txn *txn, struct journal_state *state, int *ret_fd, char *why,
    size_t size) ATTR_MUST_CHECK;

#endif
