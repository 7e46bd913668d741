/*
 * LMDB has no checksums, and follows what it reads: a flipped bit in a page
 * number or an offset makes it crash or run for ever, one in its list of free
 * pages makes it overwrite pages that are in use. So before it is let near a
 * file, all of its structure is walked, by the newer meta page:
 *
 *	trees	each page is what its place in the tree says, its nodes lie in
 *		it without overlap (store_lmdb_format.h), keys ascend within
 *		pages and over them, as far below each other as the depth says;
 *		the pages and entries found are as many as the tree's record has
 *	pages	each is in use once: by a tree, as part of a value, or as free;
 *		none is forgotten
 *	tables	each has a name that is known; or else one that another version
 *		may have given it: then the file is whole, but not for this one
 *	free	its keys are transactions, up to the one that the meta page
 *		has, its lists descend
 *
 * Each transaction behind the first replaces the main tree's root, and so lists
 * the old one's page under its own number: by that the numbers of both meta
 * pages are checked.
 *
 * What is not covered is what LMDB does not interpret: the bytes of keys (but
 * for their order) and values, the size of a value as far as its place allows
 * for another, and what is not in use. The records have checksums for that.
 *
 * Every page being accounted for is LMDB's own invariant: a transaction writes
 * the numbers of all that it freed or had reserved and did not use, and one
 * that does not commit leaves the lists of the one before in place. What it
 * does not keep to is the end of the file: pages taken there and given back by
 * the same transaction are free without ever having been written, so that the
 * file may be shorter than the meta page says. Only pages in use must be there.
 *
 * It is one pass over the pages in use, without the values in overflow pages:
 * of them the first page's header is looked at. Memory: a bit per page, and two
 * pages per level.
 */

#include "common/buf.h"
#include "common/mem.h"
#include "common/panic.h"
#include "store/store_dir.h"
#include "store/store_lmdb_impl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define META_PAGES         2
#define UNKNOWN_TABLES_MAX 16

enum tree { TREE_MAIN, TREE_TABLE, TREE_FREE };

struct check {
	int fd;
	uint32_t page_size;
	uint64_t file_pages; /* whole ones */
	uint64_t last_page;
	uint64_t txn;
	uint64_t *taken; /* a bit per page */
	uint64_t taken_count;
	struct lmdb_db tables[STORE_TABLES_MAX + UNKNOWN_TABLES_MAX];
	unsigned tables_count;  /* with those of unknown names, */
	unsigned unknown_count; /* which are so many */
	char unknown[32];       /* the name of one, maybe cut */
	const struct store_lmdb_params *params;
};

/* The way from one key to the next through a tree. */
struct walk {
	struct check *check;
	enum tree tree;
	struct lmdb_db found; /* what was counted so far */
	unsigned depth;
	uint8_t *pages[LMDB_DEPTH_MAX];   /* of the way down; NULL: none yet */
	uint8_t *piece;                   /* of a value; NULL: none yet */
	uint8_t last[STORE_KEY_SIZE_MAX]; /* key, or a branch's bound */
	size_t last_size;                 /* 0: none yet */
	bool last_is_bound; /* and so the next key may be equal to it */
};

/* A list of free pages while it is read. */
struct free_list {
	uint64_t left;     /* how many are to come */
	uint64_t previous; /* above all that are to come */
	bool begun;        /* the count was read */
};

static int
refuse(const struct check *check, uint64_t page, const char *what)
{
	(void)snprintf(check->params->why, check->params->why_size,
	    "page %" PRIu64 " of the file data.mdb: %s", page, what);
	return ERR_CORRUPT;
}

/* Takes note that these pages are in use, or free: for one thing only. */
static int
take(struct check *check, uint64_t first, uint64_t count)
{
	if (first < META_PAGES || first > check->last_page ||
	    count > check->last_page - first + 1)
		return refuse(check, first, "referred to, and there is none");
	for (uint64_t page = first; page < first + count; page++) {
		uint64_t bit = UINT64_C(1) << (page % 64);

		if ((check->taken[page / 64] & bit) != 0)
			return refuse(check, page, "in use twice");
		check->taken[page / 64] |= bit;
	}
	check->taken_count += count;
	return 0;
}

static int
read_at(const struct check *check, uint64_t page, uint64_t offset, uint8_t *to,
    size_t size)
{
	uint64_t at = page * check->page_size + offset;

	while (size != 0) {
		ssize_t done = pread(check->fd, to, size, (off_t)at);

		if (done < 0)
			return store_dir_error(errno);
		if (done == 0)
			return refuse(check, page, "behind the file's end");
		to += done;
		size -= (size_t)done;
		at += (uint64_t)done;
	}
	return 0;
}

static uint8_t *
buffer_of(struct walk *walk, uint8_t **buffer)
{
	if (*buffer == NULL)
		*buffer = mem_alloc(walk->check->page_size);
	return *buffer;
}

/* ---- Free pages ---- */

/* Takes the next numbers of a list: whole ones. */
static int
free_list_read(struct check *check, struct free_list *list, uint64_t page,
    struct slice bytes, uint64_t value_size)
{
	for (; bytes.size != 0; bytes.data += 8, bytes.size -= 8) {
		uint64_t number;
		int error;

		memcpy(&number, bytes.data, sizeof(number));
		if (!list->begun) {
			if (number > value_size / 8 - 1)
				return refuse(check, page,
				    "a free list that "
				    "is cut");
			*list = (struct free_list){ .left = number,
				.previous = UINT64_MAX,
				.begun = true };
			continue;
		}
		if (list->left == 0)
			return 0; /* room that LMDB had reserved */
		if (number >= list->previous)
			return refuse(check, page, "a free list out of order");
		error = take(check, number, 1);
		if (error != 0)
			return error;
		list->previous = number;
		list->left--;
	}
	return 0;
}

/* The list is in overflow pages, behind the header of the first. */
static int
free_list_read_big(
    struct walk *walk, struct free_list *list, const struct lmdb_node *node)
{
	struct check *check = walk->check;
	uint8_t *piece = buffer_of(walk, &walk->piece);

	for (uint64_t at = 0; at < node->value_size; at += check->page_size) {
		size_t size = (size_t)MIN(
		    node->value_size - at, (uint64_t)check->page_size);
		int error = read_at(
		    check, node->child, LMDB_HEADER_SIZE + at, piece, size);

		if (error == 0)
			error = free_list_read(check, list, node->child,
			    slice_of(piece, size), node->value_size);
		if (error != 0)
			return error;
	}
	return 0;
}

static int
check_free_list(struct walk *walk, uint64_t page, const struct lmdb_node *node)
{
	struct free_list list = { .begun = false };
	uint64_t txn;

	memcpy(&txn, node->key.data, sizeof(txn));
	if (txn == 0 || txn > walk->check->txn)
		return refuse(
		    walk->check, page, "free pages of no past transaction");
	if (node->value_size == 0 || node->value_size % 8 != 0)
		return refuse(walk->check, page, "a free list that is cut");
	if ((node->flags & LMDB_NODE_BIG) != 0)
		return free_list_read_big(walk, &list, node);
	return free_list_read(
	    walk->check, &list, page, node->value, node->value_size);
}

/* ---- Trees ---- */

static int
compare_keys(enum tree tree, struct slice a, struct slice b)
{
	uint64_t first;
	uint64_t second;

	if (tree != TREE_FREE)
		return slice_compare(a, b);
	memcpy(&first, a.data, sizeof(first));
	memcpy(&second, b.data, sizeof(second));
	return (first > second) - (first < second);
}

/*
 * Keys and the bounds in branches come in order: left of a bound are the keys
 * below it, right of it the others.
 */
static int
check_key(struct walk *walk, uint64_t page, struct slice key, bool is_bound)
{
	struct slice last = slice_of(walk->last, walk->last_size);

	if (key.size == 0 || key.size > STORE_KEY_SIZE_MAX ||
	    (walk->tree == TREE_FREE && key.size != sizeof(uint64_t)))
		return refuse(walk->check, page, "a key of a wrong size");
	if (last.size != 0) {
		int order = compare_keys(walk->tree, key, last);

		if (order < 0 || (order == 0 && !walk->last_is_bound))
			return refuse(walk->check, page, "keys out of order");
	}
	memcpy(walk->last, key.data, key.size);
	walk->last_size = key.size;
	walk->last_is_bound = is_bound;
	return 0;
}

/* A value that was larger once keeps its pages. */
static int
check_overflow(struct walk *walk, const struct lmdb_node *node)
{
	struct check *check = walk->check;
	uint8_t bytes[LMDB_HEADER_SIZE];
	struct lmdb_header header;
	int error = take(check, node->child, 1);

	if (error == 0)
		error = read_at(check, node->child, 0, bytes, sizeof(bytes));
	if (error != 0)
		return error;
	lmdb_header_decode(bytes, &header);
	if (header.number != node->child)
		return refuse(check, node->child, "the number of another page");
	if (header.flags != LMDB_PAGE_OVERFLOW)
		return refuse(check, node->child, "a page of another kind");
	if (header.pages <
	    lmdb_overflow_pages(node->value_size, check->page_size))
		return refuse(check, node->child, "less than its value");
	if (header.pages > check->file_pages ||
	    node->child > check->file_pages - header.pages)
		return refuse(check, node->child, "behind the file's end");
	walk->found.overflow_pages += header.pages;
	if (header.pages == 1)
		return 0;
	return take(check, node->child + 1, header.pages - 1);
}

/* Of those that are unknown, the first is told. */
static int
note_name(struct check *check, uint64_t page, struct slice name)
{
	switch (store_lmdb_judge_name(check->params, name)) {
	case LMDB_NAME_KNOWN: return 0;
	case LMDB_NAME_UNKNOWN: break;
	case LMDB_NAME_DAMAGED:
		return refuse(check, page, "a table of an unknown name");
	}
	if (check->unknown_count == UNKNOWN_TABLES_MAX)
		return refuse(check, page, "too many tables");
	if (check->unknown_count++ == 0)
		(void)snprintf(check->unknown, sizeof(check->unknown), "%.*s",
		    (int)name.size, (const char *)name.data);
	return 0;
}

/* All else of the file is sound: it is not damaged. */
static int
refuse_unknown_tables(const struct check *check)
{
	if (check->unknown_count == 0)
		return 0;
	(void)snprintf(check->params->why, check->params->why_size,
	    "its table %s is unknown to this version of luminousd: start the "
	    "one that wrote it",
	    check->unknown);
	return ERR_VERSION;
}

static int
note_table(struct walk *walk, uint64_t page, const struct lmdb_node *node)
{
	struct check *check = walk->check;
	int error;

	if (node->flags != LMDB_NODE_TABLE || node->value_size != LMDB_DB_SIZE)
		return refuse(check, page, "a table that is none");
	error = note_name(check, page, node->key);
	if (error != 0)
		return error;
	/* The names are different, and so not more than each kind has. */
	ASSERT(check->tables_count < ARRAY_COUNT(check->tables));
	lmdb_db_decode(node->value.data, &check->tables[check->tables_count++]);
	return 0;
}

static int
check_entry(struct walk *walk, uint64_t page, const struct lmdb_node *node)
{
	int error = check_key(walk, page, node->key, false);

	if (error != 0)
		return error;
	walk->found.entries++;
	if (walk->tree == TREE_MAIN)
		return note_table(walk, page, node);
	if ((node->flags & ~LMDB_NODE_BIG) != 0)
		return refuse(walk->check, page, "a value of unknown kind");
	if ((node->flags & LMDB_NODE_BIG) != 0)
		error = check_overflow(walk, node);
	if (error == 0 && walk->tree == TREE_FREE)
		error = check_free_list(walk, page, node);
	return error;
}

/* LMDB stops the process at a branch of one child, but in the free list. */
static bool
has_nodes_enough(const struct walk *walk, unsigned kind, unsigned count)
{
	if (kind == LMDB_PAGE_BRANCH && walk->tree != TREE_FREE)
		return count >= 2;
	return count >= 1;
}

/* As deep as the tree's record says, at most LMDB_DEPTH_MAX. */
static int
walk_page(struct walk *walk, uint64_t number, unsigned level)
{
	struct check *check = walk->check;
	bool is_leaf = level + 1 == walk->depth;
	unsigned kind = is_leaf ? LMDB_PAGE_LEAF : LMDB_PAGE_BRANCH;
	struct slice page =
	    slice_of(buffer_of(walk, &walk->pages[level]), check->page_size);
	const char *wrong;
	int error = take(check, number, 1);

	if (error == 0)
		error = read_at(
		    check, number, 0, walk->pages[level], check->page_size);
	if (error != 0)
		return error;
	wrong = lmdb_page_check(page, number, kind);
	if (wrong == NULL &&
	    !has_nodes_enough(walk, kind, lmdb_page_nodes_count(page)))
		wrong = "too few nodes";
	if (wrong != NULL)
		return refuse(check, number, wrong);
	*(is_leaf ? &walk->found.leaf_pages : &walk->found.branch_pages) += 1;
	for (unsigned i = 0; error == 0 && i < lmdb_page_nodes_count(page);
	     i++) {
		struct lmdb_node node = lmdb_page_node(page, kind, i);

		if (is_leaf) {
			error = check_entry(walk, number, &node);
			continue;
		}
		/* What is below the second key goes to the first child. */
		if (i != 0)
			error = check_key(walk, number, node.key, true);
		if (error == 0)
			error = walk_page(walk, node.child, level + 1);
	}
	return error;
}

static bool
counts_are_equal(const struct lmdb_db *a, const struct lmdb_db *b)
{
	return a->branch_pages == b->branch_pages &&
	       a->leaf_pages == b->leaf_pages &&
	       a->overflow_pages == b->overflow_pages &&
	       a->entries == b->entries;
}

static bool
db_is_sound(const struct check *check, const struct lmdb_db *db, enum tree tree)
{
	bool is_free = tree == TREE_FREE;

	return db->flags == (is_free ? LMDB_DB_INTEGER_KEYS : 0) &&
	       db->page_size == (is_free ? check->page_size : 0) &&
	       db->depth <= LMDB_DEPTH_MAX &&
	       (db->depth == 0) == (db->root == LMDB_NO_PAGE);
}

static void
walk_release(struct walk *walk)
{
	for (unsigned i = 0; i < LMDB_DEPTH_MAX; i++)
		free(walk->pages[i]);
	free(walk->piece);
}

/* Does the free list end with the transaction that it was written by? */
static bool
is_of_transaction(struct slice last_key, uint64_t txn)
{
	uint64_t last = 0;

	if (last_key.size == sizeof(last))
		memcpy(&last, last_key.data, sizeof(last));
	return last == txn || (last == 0 && txn < 2);
}

static int
walk_tree(struct check *check, const struct lmdb_db *db, enum tree tree)
{
	struct walk walk = { .check = check, .tree = tree, .depth = db->depth };
	int error = 0;

	if (!db_is_sound(check, db, tree))
		return refuse(check, db->root,
		    "the root of a tree whose "
		    "record is damaged");
	if (db->depth != 0)
		error = walk_page(&walk, db->root, 0);
	if (error == 0 && !counts_are_equal(db, &walk.found))
		error = refuse(check, db->root,
		    "the root of a tree that has "
		    "more or less than it should");
	if (error == 0 && tree == TREE_FREE &&
	    !is_of_transaction(slice_of(walk.last, walk.last_size), check->txn))
		error = refuse(check, check->txn & 1,
		    "a meta page that says "
		    "another transaction "
		    "than its free list");
	walk_release(&walk);
	return error;
}

/*
 * The last key of the older meta page's free list, which is whole unless it is
 * damaged, but need not be: false if it cannot be read.
 */
static bool
find_last_key(struct walk *walk, uint64_t number, struct slice *ret_key)
{
	struct slice page =
	    slice_of(buffer_of(walk, &walk->piece), walk->check->page_size);

	*ret_key = slice_of(NULL, 0);
	for (unsigned level = 0; level < walk->depth; level++) {
		bool is_leaf = level + 1 == walk->depth;
		unsigned kind = is_leaf ? LMDB_PAGE_LEAF : LMDB_PAGE_BRANCH;
		struct lmdb_node node;

		if (number >= walk->check->file_pages ||
		    read_at(walk->check, number, 0, walk->piece, page.size) !=
			0 ||
		    lmdb_page_check(page, number, kind) != NULL ||
		    lmdb_page_nodes_count(page) == 0)
			return false;
		node =
		    lmdb_page_node(page, kind, lmdb_page_nodes_count(page) - 1);
		number = node.child;
		*ret_key = node.key;
	}
	return true;
}

/* Else the older meta page may be the newer, with a damaged number. */
static int
check_older(struct check *check, const struct lmdb_meta *older)
{
	struct walk walk = { .check = check, .depth = older->free.depth };
	struct slice key;
	int error = 0;

	if (db_is_sound(check, &older->free, TREE_FREE) &&
	    find_last_key(&walk, older->free.root, &key) &&
	    !is_of_transaction(key, older->txn))
		error = refuse(check, older->number,
		    "a meta page that says "
		    "another transaction "
		    "than its free list");
	walk_release(&walk);
	return error;
}

/* ---- All of it ---- */

static int
walk_all(struct check *check, const struct lmdb_meta *meta)
{
	int error = walk_tree(check, &meta->main, TREE_MAIN);

	for (unsigned i = 0; error == 0 && i < check->tables_count; i++)
		error = walk_tree(check, &check->tables[i], TREE_TABLE);
	if (error == 0)
		error = walk_tree(check, &meta->free, TREE_FREE);
	if (error == 0 &&
	    check->taken_count + META_PAGES != check->last_page + 1)
		error = refuse(check, check->last_page,
		    "the last one, and of those before some are neither in "
		    "use nor free");
	return error;
}

int
store_lmdb_check_pages(int fd, const struct lmdb_metas *metas,
    const struct store_lmdb_params *params)
{
	struct check check = { .fd = fd,
		.page_size = metas->newer.free.page_size,
		.last_page = metas->newer.last_page,
		.txn = metas->newer.txn,
		.params = params };
	struct stat info;
	int error;

	if (fstat(fd, &info) != 0)
		return ERR_IO;
	check.file_pages = (uint64_t)info.st_size / check.page_size;
	/* Each page behind the file's end takes a number in a free list. */
	if (check.last_page + 1 < META_PAGES ||
	    check.last_page >= (uint64_t)info.st_size / 8)
		return refuse(&check, check.last_page,
		    "the last one, as the meta page says");
	check.taken = mem_zalloc(
	    (size_t)(check.last_page / 64 + 1), sizeof(*check.taken));
	error = walk_all(&check, &metas->newer);
	if (error == 0)
		error = check_older(&check, &metas->older);
	if (error == 0)
		error = refuse_unknown_tables(&check);
	free(check.taken);
	return error;
}
