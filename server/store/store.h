#ifndef STORE_STORE_H
#define STORE_STORE_H

/*
 * Ordered tables in transactions: what the node needs of a disk, and no more.
 * LMDB implements it for the daemon (store_lmdb.h); the tests have one in
 * memory with faults.
 *
 * One write transaction at a time, from begin to commit or abort; it sees its
 * own changes. Keys are 1..STORE_KEY_SIZE_MAX bytes and sort as memcmp does.
 *
 * Slices that come out of a transaction point into the store. They are valid
 * until the next put, delete, commit or abort of that transaction, and those of
 * a read transaction until the next commit of the other: copy first.
 *
 * Errors: ERR_NOT_FOUND is the only one a caller may go on after. All others
 * (ERR_IO, ERR_NO_SPACE, ERR_CORRUPT) mean that the environment is broken: the
 * node stops, nothing is retried (a failed fsync may have lost what the page
 * cache still shows).
 */

#include "common/err.h"
#include "common/macros.h"
#include "common/slice.h"

#define STORE_KEY_SIZE_MAX 511
#define STORE_TABLES_MAX   16

struct store;
struct store_txn;
struct store_cursor;

/* Position of a table's name in the list given at open. */
typedef unsigned store_table;

/* How a cursor moves; only STORE_AT_OR_AFTER looks at the key given. */
enum store_move {
	STORE_FIRST,
	STORE_LAST,
	STORE_NEXT,
	STORE_PREVIOUS,
	STORE_AT_OR_AFTER
};

struct store_stat {
	uint64_t file_bytes; /* size of the store on disk */
	uint64_t map_bytes;  /* how far it can grow */
	uint64_t used_bytes; /* pages in use, as of the last commit */
	/* Of keys and values that wait in memory for their pages. */
	uint64_t waiting_bytes;
};

/* What store_delete_until deleted. */
struct store_cut {
	uint64_t count; /* records */
	uint64_t bytes; /* of their keys and values */
};

/* How far store_scrub_step has read; zeros: nothing yet. */
struct store_scrub {
	uint64_t next;
	uint64_t end;
};

/* The seam. Use the functions below, not the members. */
struct store_ops {
	int (*begin)(struct store *, bool write, struct store_txn **);
	int (*commit)(struct store_txn *);
	void (*abort)(struct store_txn *);
	int (*get)(struct store_txn *, store_table, struct slice key,
	    struct slice *ret_value);
	int (*put)(struct store_txn *, store_table, struct slice key,
	    struct slice value, bool append);
	int (*del)(struct store_txn *, store_table, struct slice key);
	int (*del_until)(struct store_txn *, store_table, struct slice key,
	    struct store_cut *ret_cut);
	int (*clear)(struct store_txn *, store_table);
	int (*cursor_open)(
	    struct store_txn *, store_table, struct store_cursor **);
	void (*cursor_close)(struct store_cursor *);
	int (*cursor_move)(struct store_cursor *, enum store_move where,
	    struct slice key, struct slice *ret_key, struct slice *ret_value);
	/* NULL: there is nothing beside the tables. */
	int (*scrub_step)(struct store_txn *, struct store_scrub *,
	    size_t bytes_max, size_t *ret_bytes);
	uint64_t (*commit_bytes)(struct store *); /* NULL: 0 */
	void (*stat)(struct store *, struct store_stat *);
	void (*close)(struct store *);
	/* Both or neither; see store_settle. */
	bool (*is_settled)(struct store *);
	int (*settle)(struct store *);
};

/*
 * First member of every implementation, which sets `ops` alone and leaves the
 * rest zero: it belongs to the functions below.
 */
struct store {
	const struct store_ops *ops;
	struct store_txn *writer; /* the open write transaction or NULL */
	unsigned readers_count;   /* open read transactions */
	bool broken;              /* a commit failed, or cannot be undone */
};
struct store_txn {
	struct store *store;
};
struct store_cursor {
	struct store *store;
};

/*
 * Closes the store and frees it; an open write transaction is aborted. Read
 * transactions must have ended. NULL is fine.
 */
void store_close(struct store *store);

/*
 * Only one write transaction may be open. ERR_STOPPED after a failed commit;
 * ERR_BUSY: too many read transactions.
 */
int store_begin(struct store *store, bool write,
    struct store_txn **ret_txn) ATTR_MUST_CHECK;

/*
 * Makes a write transaction durable: when it returns 0, a power cut cannot
 * undo it. Ends the transaction in any case; its cursors must be closed.
 */
int store_commit(struct store_txn *txn) ATTR_MUST_CHECK;
void store_abort(struct store_txn *txn);

/* What a commit would write now, about, beside the records that were put. */
uint64_t store_get_commit_bytes(struct store *store);

int store_get(struct store_txn *txn, store_table table, struct slice key,
    struct slice *ret_value) ATTR_MUST_CHECK;
/* Neither key nor value may point into the store; nor may that of a delete. */
int store_put(struct store_txn *txn, store_table table, struct slice key,
    struct slice value) ATTR_MUST_CHECK;
/* As store_put, for a key above all others of the table; else ERR_INVALID. */
int store_append(struct store_txn *txn, store_table table, struct slice key,
    struct slice value) ATTR_MUST_CHECK;
int store_delete(
    struct store_txn *txn, store_table table, struct slice key) ATTR_MUST_CHECK;
/*
 * Deletes the records of a table from its first up to that of `key`, if there is
 * one, and says what they were; none is no error. For tables that grow at their
 * end: a third of the time of deleting each.
 */
int store_delete_until(struct store_txn *txn, store_table table,
    struct slice key, struct store_cut *ret_cut) ATTR_MUST_CHECK;
/* Deletes all of a table, in a hundredth of the time if values are small. */
int store_clear(struct store_txn *txn, store_table table) ATTR_MUST_CHECK;

/*
 * Reads on in what the store keeps beside its tables, which no cursor shows: about
 * so many bytes, and says how many. What is there when it begins is read once; the
 * rest is for the next. ERR_NOT_FOUND: all was read. ERR_CORRUPT.
 */
int store_scrub_step(struct store_txn *txn, struct store_scrub *scrub,
    size_t bytes_max, size_t *ret_bytes) ATTR_MUST_CHECK;

/*
 * Cursors read in order. A new one stands outside: STORE_NEXT gives the first,
 * STORE_PREVIOUS the last. Past either end is ERR_NOT_FOUND, after which only
 * FIRST, LAST and AT_OR_AFTER (a key of valid size) may follow. A cursor is
 * invalidated by a change of its table through its transaction: close it
 * before, open another after.
 */
int store_cursor_open(struct store_txn *txn, store_table table,
    struct store_cursor **ret_cursor) ATTR_MUST_CHECK;
void store_cursor_close(struct store_cursor *cursor);
int store_cursor_move(struct store_cursor *cursor, enum store_move where,
    struct slice key, struct slice *ret_key,
    struct slice *ret_value) ATTR_MUST_CHECK;

void store_get_stat(struct store *store, struct store_stat *ret_stat);

/*
 * A store may make commits durable in a way that is fast now and has to be
 * followed up some time later, in its own interest (store_journal.h). Until
 * then it is not settled. Settling blocks like a commit, and an error counts
 * like one of a commit; no transaction may be open. Most stores are settled
 * at any time.
 */
bool store_is_settled(struct store *store);
int store_settle(struct store *store) ATTR_MUST_CHECK;

#endif
