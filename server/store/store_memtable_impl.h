#ifndef STORE_STORE_MEMTABLE_IMPL_H
#define STORE_STORE_MEMTABLE_IMPL_H

/*
 * What the store_memtable*.c files share.
 *
 * store_memtable.c         the store: transactions, get, put, delete
 * store_memtable_map.c     what is in memory: nodes and their versions
 * store_memtable_log.c     the log: its records, loading, scrubbing
 * store_memtable_round.c   the way from the memtable to the tables, at its pace
 * store_memtable_cursor.c  cursors over both
 */

#include "common/buf.h"
#include "common/list.h"
#include "store/store_memtable.h"
#include <bsd/sys/tree.h>

/* What a node takes in memory beside key and value, about; see bytes_max. */
#define MEMTABLE_NODE_COST 128
/* What a mark takes of a round: no memory, but deletes go on when a disk is
 * full, and their marks may then not make the log much longer. */
#define MEMTABLE_MARK_COST 1024

/* What the memtable says of a key. The numbers are in the log. */
enum memtable_kind {
	MEMTABLE_PUT = 1, /* this is its value */
	MEMTABLE_THROUGH, /* nothing any more: see the table */
	MEMTABLE_ROUND    /* in the log only: how far the round has come */
};

/* One state of a key. Never changed; freed when nobody can see it any more. */
struct memtable_version {
	struct memtable_version
	    *older;      /* that some transaction sees, or NULL */
	uint64_t commit; /* whose number makes it durable */
	enum memtable_kind kind;
	uint32_t size;
	uint8_t bytes[]; /* of the value */
};

/* A key with at least one version. */
struct memtable_node {
	RB_ENTRY(memtable_node) link;
	struct memtable_node *pending_next;
	struct memtable_version *newest;
	struct slice key; /* in `bytes` */
	store_table table;
	bool is_pending; /* the newest version is of the open transaction */
	/* The commit with which the table says the same, so that the node is
	 * kept for readers from before; 0: it does not. */
	uint64_t merged;
	uint8_t bytes[];
};

RB_HEAD(memtable_tree, memtable_node);

/* A place in the order of tables and keys; of size 0: before all of its table. */
struct memtable_place {
	store_table table;
	size_t key_size;
	uint8_t key[STORE_KEY_SIZE_MAX];
};

/*
 * The hand goes over the nodes. What is ahead of it is to be merged in what is
 * left of the round; new nodes may be ahead, or behind for the next one. Numbers
 * are sequence numbers of the log.
 */
struct memtable_round {
	struct memtable_place hand; /* the last that was passed */
	uint64_t left;              /* of bytes_max, see there */
	uint64_t began;             /* end of the log then */
	uint64_t useless;           /* records below are of no use: they go */
};

struct memtable {
	struct store store;
	struct store *under;
	unsigned tables_count;
	store_table log_table;
	uint32_t gathers;
	uint64_t bytes_max;
	uint64_t commits; /* so far; the open write transaction is the next */
	uint64_t changes; /* that cursors have to look again after */
	struct list readers;
	struct memtable_tree trees[STORE_TABLES_MAX];
	/* Nodes whose newest version is THROUGH: who writes has nothing to see
	 * there, and must not have to pass them. They go with the commit, but
	 * for those that a reader needs. */
	struct memtable_tree through[STORE_TABLES_MAX];
	struct memtable_node *pending; /* in no order */
	uint64_t pending_count;
	uint64_t pending_bytes; /* what they take of a round */
	uint64_t deletes_count; /* in the open transaction */
	uint64_t nodes_count;   /* in `trees` */
	uint64_t nodes_ahead;   /* likewise */
	uint64_t bytes;         /* of keys and values that are not merged */
	struct memtable_round round;
	uint64_t log_first;
	uint64_t log_end; /* behind the last */
	struct buf scratch;
};

struct memtable_txn {
	struct store_txn txn;
	struct store_txn *under;
	bool writes;
	struct list link; /* of a reader, in memtable.readers */
	uint64_t commit;  /* it sees the versions up to this one */
	uint64_t log_end; /* and the log up to here */
};

static inline struct memtable *
memtable_of(struct store *store)
{
	return CONTAINER_OF(store, struct memtable, store);
}

static inline struct memtable_txn *
memtable_txn_of(struct store_txn *txn)
{
	return CONTAINER_OF(txn, struct memtable_txn, txn);
}

static inline bool
memtable_gathers(const struct memtable *memtable, store_table table)
{
	return (memtable->gathers >> table & 1) != 0;
}

static inline struct slice
memtable_value(const struct memtable_version *version)
{
	return slice_of(version->bytes, version->size);
}

/* ---- store_memtable_map.c ---- */

struct memtable_node *
memtable_find(struct memtable *memtable, store_table table, struct slice key);
/*
 * Neighbours of a key or of a node in its table; NULL: none. `all`: THROUGH nodes
 * among them, for readers, who may see older versions of those.
 */
struct memtable_node *memtable_above(struct memtable *memtable,
    store_table table, struct slice key, bool or_equal, bool all);
struct memtable_node *memtable_below(
    struct memtable *memtable, store_table table, struct slice key, bool all);
struct memtable_node *
memtable_first(struct memtable *memtable, store_table table, bool all);
struct memtable_node *
memtable_last(struct memtable *memtable, store_table table, bool all);
struct memtable_node *
memtable_next(struct memtable *memtable, struct memtable_node *node, bool all);
struct memtable_node *memtable_previous(
    struct memtable *memtable, struct memtable_node *node, bool all);
/* The first behind the hand, and that behind a node, of whatever table, without
 * THROUGH nodes. */
struct memtable_node *memtable_first_ahead(struct memtable *memtable);
struct memtable_node *
memtable_next_ahead(struct memtable *memtable, struct memtable_node *node);
bool memtable_is_ahead(
    const struct memtable *memtable, store_table table, struct slice key);

/* What a transaction sees of a node: NULL if it sees nothing. */
const struct memtable_version *
memtable_seen(const struct memtable_node *node, uint64_t commit);

/* The state of a key that the transaction with that number writes (0: it is in
 * the log already); both slices are copied. */
void memtable_set(struct memtable *memtable, uint64_t commit, store_table table,
    struct slice key, enum memtable_kind kind, struct slice value);
/* With the commit that is under way the table says what the newest version
 * says. The node goes, unless a reader would miss it. */
void memtable_let_go(struct memtable *memtable, struct memtable_node *node);
/* Without readers: takes out THROUGH nodes that were kept for them. */
void memtable_sweep(struct memtable *memtable, uint64_t count_max);
/* Takes a node that is not pending out and frees it. */
void memtable_remove(struct memtable *memtable, struct memtable_node *node);
/* Nothing is pending any more: as committed, or taken back. */
void memtable_keep_pending(struct memtable *memtable);
void memtable_drop_pending(struct memtable *memtable);
/* Frees all. */
void memtable_release(struct memtable *memtable);

/* ---- store_memtable_log.c ---- */

/* Fills the empty memtable from the log. Errors as of store_memtable_open. */
int memtable_log_load(struct memtable *memtable) ATTR_MUST_CHECK;
/* Appends all that is pending. ERR_CORRUPT: something is in the way. */
int memtable_log_append(
    struct memtable *memtable, struct store_txn *under) ATTR_MUST_CHECK;
/* Appends how far the round has come: the last record of each commit. */
int memtable_log_append_round(
    struct memtable *memtable, struct store_txn *under) ATTR_MUST_CHECK;
/* Cuts the first records. ERR_CORRUPT: they are not so many. */
int memtable_log_cut(struct memtable *memtable, struct store_txn *under,
    uint64_t count) ATTR_MUST_CHECK;
/* As store_scrub_step. */
int memtable_log_scrub_step(struct store_txn *txn, struct store_scrub *scrub,
    size_t bytes_max, size_t *ret_bytes) ATTR_MUST_CHECK;

/* ---- store_memtable_round.c ---- */

/* The first round, of an empty log. */
void memtable_round_init(struct memtable *memtable);
/* Moves a share of nodes to their tables, and cuts one of the log, for a commit
 * of so many records that take so many bytes of the round. */
int memtable_round_advance(struct memtable *memtable, struct store_txn *under,
    uint64_t records, uint64_t bytes) ATTR_MUST_CHECK;
/* What that, and what was deleted, would write to tables now, about. */
uint64_t memtable_round_bytes(const struct memtable *memtable);

/* ---- store_memtable_cursor.c ---- */

int memtable_cursor_open(struct store_txn *txn, store_table table,
    struct store_cursor **ret_cursor) ATTR_MUST_CHECK;
void memtable_cursor_close(struct store_cursor *cursor);
int memtable_cursor_move(struct store_cursor *cursor, enum store_move where,
    struct slice key, struct slice *ret_key,
    struct slice *ret_value) ATTR_MUST_CHECK;

#endif
