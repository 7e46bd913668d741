#ifndef STORE_STORE_LMDB_FORMAT_H
#define STORE_STORE_LMDB_FORMAT_H

/*
 * The file of LMDB 0.9 (MDB_DATA_VERSION 1) as it lies on the disk: the memory
 * of its structs MDB_meta, MDB_db, MDB_page and MDB_node on a machine of 64
 * bits, in that machine's byte order. Private to the store_lmdb_*.c files; pure
 * functions of bytes, that trust none of them.
 */

#include "common/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LMDB_META_SIZE     152 /* of a meta page, what is in use */
#define LMDB_DB_SIZE       48
#define LMDB_HEADER_SIZE   16
#define LMDB_PAGE_SIZE_MIN 512
#define LMDB_PAGE_SIZE_MAX 65536
#define LMDB_DEPTH_MAX     32             /* CURSOR_STACK */
#define LMDB_NO_PAGE       (~UINT64_C(0)) /* P_INVALID */

/* Flags of a page; what reaches the disk has one of them alone. */
#define LMDB_PAGE_BRANCH   0x01u
#define LMDB_PAGE_LEAF     0x02u
#define LMDB_PAGE_OVERFLOW 0x04u
#define LMDB_PAGE_META     0x08u

/* Flags of a tree: that of the free list alone has one. */
#define LMDB_DB_INTEGER_KEYS 0x08u

/* Flags of a node in a leaf. */
#define LMDB_NODE_BIG   0x01u /* the value is in overflow pages */
#define LMDB_NODE_TABLE 0x02u /* the value is a struct lmdb_db */

/* What is known of a tree from outside of it. */
struct lmdb_db {
	uint32_t page_size; /* of the free list: that of the file; else 0 */
	uint16_t flags;
	uint16_t depth; /* levels; 0: an empty tree, without a root */
	uint64_t branch_pages;
	uint64_t leaf_pages;
	uint64_t overflow_pages;
	uint64_t entries;
	uint64_t root;
};

struct lmdb_meta {
	uint64_t number; /* of its page */
	uint16_t flags;
	uint32_t magic;
	uint32_t version;
	struct lmdb_db free; /* the free list */
	struct lmdb_db main; /* of which each entry is a table */
	uint64_t last_page;
	uint64_t txn;
};

struct lmdb_header {
	uint64_t number; /* of the page itself */
	uint16_t flags;
	uint16_t lower; /* end of the node offsets */
	uint16_t upper; /* begin of the nodes */
	uint32_t pages; /* overflow: how many, in place of the two above */
};

struct lmdb_node {
	struct slice key;
	uint64_t child; /* branch: the page; leaf: the first overflow page */
	unsigned flags; /* leaf */
	struct slice value; /* leaf: what is in the page of it */
	uint64_t value_size;
};

/* `bytes`: LMDB_META_SIZE of a page's begin. */
void lmdb_meta_decode(const uint8_t *bytes, struct lmdb_meta *ret_meta);
/* `bytes`: LMDB_DB_SIZE. */
void lmdb_db_decode(const uint8_t *bytes, struct lmdb_db *ret_db);
/* `bytes`: LMDB_HEADER_SIZE. */
void lmdb_header_decode(const uint8_t *bytes, struct lmdb_header *ret_header);

/*
 * Checks a page of LMDB_PAGE_BRANCH or LMDB_PAGE_LEAF for all that can be told
 * from itself: its number and kind, and that its nodes lie within it, one
 * behind the other without a gap. NULL, or what is wrong. Only of a page that
 * passed may nodes be read.
 */
const char *lmdb_page_check(struct slice page, uint64_t number, unsigned kind);
unsigned lmdb_page_nodes_count(struct slice page);
struct lmdb_node
lmdb_page_node(struct slice page, unsigned kind, unsigned position);

/* How many overflow pages a value takes, at least. */
uint64_t lmdb_overflow_pages(uint64_t value_size, uint32_t page_size);

#endif
