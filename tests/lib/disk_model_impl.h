#ifndef TESTS_DISK_MODEL_IMPL_H
#define TESTS_DISK_MODEL_IMPL_H

/* Trees of files, and what may happen to them; private to disk_model*.c. */

#include "common/buf.h"
#include "tests/lib/disk_model.h"

#define DISK_ROOT    0u
#define DISK_NO_NODE (~0u)

struct disk_entry {
	char *name;
	unsigned node;
};

struct disk_node {
	bool is_directory;
	struct buf bytes;           /* of a file */
	struct disk_entry *entries; /* of a directory, as they were made */
	unsigned entries_count;
};

/* Nodes are never removed, as their numbers stand for them: only emptied. */
struct disk_tree {
	struct disk_node *nodes; /* the root first */
	unsigned count;
};

void disk_tree_init(struct disk_tree *tree); /* with a root */
void disk_tree_release(struct disk_tree *tree);
void disk_tree_copy(struct disk_tree *to, const struct disk_tree *from);

unsigned disk_tree_add(struct disk_tree *tree, bool is_directory);
void disk_tree_empty(struct disk_tree *tree, unsigned node);

/* The node of an entry of a directory; DISK_NO_NODE: there is none. */
unsigned disk_tree_entry(
    const struct disk_tree *tree, unsigned directory, const char *name);

void disk_tree_write(
    struct disk_tree *tree, unsigned file, uint64_t offset, struct slice bytes);

enum disk_operation_kind {
	DISK_WRITE,
	DISK_TRUNCATE,
	DISK_LINK,
	DISK_UNLINK,
	DISK_RENAME
};

struct disk_operation {
	enum disk_operation_kind kind;
	unsigned node;    /* the file, or the directory of the name */
	uint64_t offset;  /* write; truncate: the size */
	struct buf bytes; /* write: whole sectors, but for the end of a file */
	char *name;
	unsigned child;     /* link, rename: what has the name */
	char *from;         /* rename: the name it had */
	unsigned from_node; /* and the directory of that */
};

void disk_operation_release(struct disk_operation *operation);
void disk_operation_apply(
    const struct disk_operation *operation, struct disk_tree *tree);

struct disk_model {
	struct disk_tree live;    /* as the process sees it */
	struct disk_tree durable; /* with the same nodes */
	struct disk_operation *pending;
	size_t pending_count;
	size_t pending_room;
};

/* Forgets what no power cut can bring back. */
void disk_model_collect(struct disk_model *model);

#endif
