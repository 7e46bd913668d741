#ifndef TESTS_MEM_TREE_H
#define TESTS_MEM_TREE_H

/*
 * An ordered map of byte strings whose copies cost nothing: copies share their
 * nodes, and a change copies only what it touches. So a transaction, a crash
 * image and a clone of a whole disk are copies of one pointer.
 */

#include "common/slice.h"

struct mem_node;

/* One key with its value; never changed while shared. */
struct mem_record {
	unsigned refs;
	uint64_t priority; /* of its node, from the key */
	uint64_t hash;     /* of key and value */
	size_t key_size;
	size_t value_size;
	uint8_t bytes[]; /* key, then value */
};

/* A zeroed struct is an empty tree. */
struct mem_tree {
	struct mem_node *root;
	uint64_t count;
	uint64_t bytes;  /* of all keys and values */
	uint64_t digest; /* sum of the records' hashes */
};

struct slice mem_record_key(const struct mem_record *record);
struct slice mem_record_value(const struct mem_record *record);

/* Forgets all; the tree is empty and valid again. */
void mem_tree_release(struct mem_tree *tree);

/* A tree that shares everything with `tree` and is released on its own. */
struct mem_tree mem_tree_share(const struct mem_tree *tree);

/* Copies both; replaces what is there. */
void mem_tree_put(struct mem_tree *tree, struct slice key, struct slice value);

/* False if the key is not there. */
bool mem_tree_delete(struct mem_tree *tree, struct slice key);

/*
 * Records, or NULL. They are the tree's and valid until its next change.
 * `above` and `below` look beside the key, `at_or_above` at it as well.
 */
const struct mem_record *
mem_tree_find(const struct mem_tree *tree, struct slice key);
const struct mem_record *mem_tree_first(const struct mem_tree *tree);
const struct mem_record *mem_tree_last(const struct mem_tree *tree);
const struct mem_record *
mem_tree_above(const struct mem_tree *tree, struct slice key);
const struct mem_record *
mem_tree_at_or_above(const struct mem_tree *tree, struct slice key);
const struct mem_record *
mem_tree_below(const struct mem_tree *tree, struct slice key);

#endif
