#ifndef TESTS_STORE_MEM_H
#define TESTS_STORE_MEM_H

/*
 * The store in memory, for unit tests and the simulator. A disk outlives the
 * store that is opened on it, as a disk outlives a crashed process: commit
 * makes durable, and closing the store in the middle of a transaction, which
 * is how a crash is played, loses that transaction.
 *
 * Faults are set on the disk. Operations are begin, get, put, append, delete,
 * clear, cursor_open, cursor_move and commit. After a failed
 * operation that changes, its transaction can only be aborted, as with LMDB.
 * After a failed commit the disk holds the state before or the state after,
 * as the seed says.
 */

#include "common/buf.h"
#include "common/macros.h"
#include "store/store.h"

struct store_mem_disk;

/* An empty disk for stores of `tables_count` tables. */
struct store_mem_disk *store_mem_disk_new(unsigned tables_count);

/* No store may be open on it. NULL is fine. */
void store_mem_disk_free(struct store_mem_disk *disk);

/* A disk with the same committed contents, without faults. Costs little. */
struct store_mem_disk *store_mem_disk_clone(const struct store_mem_disk *disk);

/* Makes its committed contents those of `from`, a disk of the same tables; a
 * store may be open, without transactions. */
void store_mem_take_back(
    struct store_mem_disk *disk, const struct store_mem_disk *from);

/* Opens a store; one at a time. Never fails. */
struct store *store_mem_open(struct store_mem_disk *disk);

/* Equal for disks with equal committed contents. */
uint64_t store_mem_digest(const struct store_mem_disk *disk);

/* ---- Faults ---- */

/*
 * The n-th operation from now on (1: the next) fails with `code`, once.
 * n 0: none does any more.
 */
void
store_mem_fail_operation(struct store_mem_disk *disk, uint64_t n, int code);

/* The same for the n-th commit. */
void store_mem_fail_commit(struct store_mem_disk *disk, uint64_t n, int code);

/* Decides what a failed commit leaves behind; 1 if never set. */
void store_mem_seed(struct store_mem_disk *disk, uint64_t seed);

/*
 * Puts that would make the keys and values larger than this give
 * ERR_NO_SPACE. UINT64_MAX, as at first: no limit.
 */
void store_mem_set_capacity(struct store_mem_disk *disk, uint64_t bytes);

/*
 * Flips bit `bit` % (bits of the value) of a committed value, and of that key's
 * in an open write transaction: damage under a running process. False if the
 * key is not committed or its value is empty.
 */
bool store_mem_flip_bit(struct store_mem_disk *disk, store_table table,
    struct slice key, uint64_t bit);

/*
 * Puts `value` under a committed key, behind the back of whoever has the store
 * open, or removes the key (value.data NULL). False if it is not committed.
 */
bool store_mem_replace(struct store_mem_disk *disk, store_table table,
    struct slice key, struct slice value);

/*
 * Appends one committed key, whichever `random` hits, and its value; false if
 * the table is empty. Takes time with the size of the table.
 */
bool store_mem_pick(const struct store_mem_disk *disk, store_table table,
    uint64_t random, struct buf *ret_key, struct buf *ret_value);

/* Operations, failed ones too, since the disk was made; for the simulator. */
uint64_t store_mem_operations_count(const struct store_mem_disk *disk);
/* Commits among them. */
uint64_t store_mem_commits_count(const struct store_mem_disk *disk);

#endif
