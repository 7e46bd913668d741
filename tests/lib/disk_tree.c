/* The trees of disk_model: nodes by number, entries that name them. */

#include "common/mem.h"
#include "common/panic.h"
#include "tests/lib/disk_model_impl.h"

#include <stdlib.h>

unsigned
disk_tree_add(struct disk_tree *tree, bool is_directory)
{
	tree->nodes =
	    mem_realloc(tree->nodes, tree->count + 1, sizeof(*tree->nodes));
	tree->nodes[tree->count] =
	    (struct disk_node){ .is_directory = is_directory };
	return tree->count++;
}

void
disk_tree_init(struct disk_tree *tree)
{
	*tree = (struct disk_tree){ .count = 0 };
	(void)disk_tree_add(tree, true); /* DISK_ROOT, as it is the first */
}

void
disk_tree_empty(struct disk_tree *tree, unsigned node)
{
	struct disk_node *emptied = &tree->nodes[node];

	buf_release(&emptied->bytes);
	for (unsigned i = 0; i < emptied->entries_count; i++)
		free(emptied->entries[i].name);
	free(emptied->entries);
	*emptied = (struct disk_node){ .is_directory = emptied->is_directory };
}

void
disk_tree_release(struct disk_tree *tree)
{
	for (unsigned i = 0; i < tree->count; i++)
		disk_tree_empty(tree, i);
	free(tree->nodes);
	*tree = (struct disk_tree){ .count = 0 };
}

/* ---- Directories ---- */

static struct disk_entry *
find_entry(const struct disk_tree *tree, unsigned directory, const char *name)
{
	const struct disk_node *node = &tree->nodes[directory];

	ASSERT(node->is_directory);
	for (unsigned i = 0; i < node->entries_count; i++)
		if (strcmp(node->entries[i].name, name) == 0)
			return &node->entries[i];
	return NULL;
}

unsigned
disk_tree_entry(
    const struct disk_tree *tree, unsigned directory, const char *name)
{
	const struct disk_entry *entry = find_entry(tree, directory, name);

	return entry == NULL ? DISK_NO_NODE : entry->node;
}

static void
add_entry(
    struct disk_tree *tree, unsigned directory, const char *name, unsigned node)
{
	struct disk_node *parent = &tree->nodes[directory];
	struct disk_entry *entry = find_entry(tree, directory, name);

	if (entry != NULL) {
		entry->node = node;
		return;
	}
	parent->entries = mem_realloc(parent->entries,
	    parent->entries_count + 1, sizeof(*parent->entries));
	parent->entries[parent->entries_count++] =
	    (struct disk_entry){ .name = mem_strdup(name), .node = node };
}

static void
remove_entry(struct disk_tree *tree, unsigned directory, const char *name)
{
	struct disk_node *parent = &tree->nodes[directory];
	struct disk_entry *entry = find_entry(tree, directory, name);

	if (entry == NULL)
		return;
	free(entry->name);
	*entry = parent->entries[--parent->entries_count];
}

void
disk_tree_copy(struct disk_tree *to, const struct disk_tree *from)
{
	*to = (struct disk_tree){ .count = 0 };
	for (unsigned i = 0; i < from->count; i++) {
		const struct disk_node *node = &from->nodes[i];

		(void)disk_tree_add(to, node->is_directory); /* number i */
		buf_append_slice(&to->nodes[i].bytes, buf_slice(&node->bytes));
		for (unsigned j = 0; j < node->entries_count; j++)
			add_entry(to, i, node->entries[j].name,
			    node->entries[j].node);
	}
}

/* ---- Files ---- */

/* Zeros up to `size`, if it is shorter. */
static void
stretch(struct buf *bytes, uint64_t size)
{
	size_t missing;

	if (bytes->size >= size)
		return;
	missing = (size_t)(size - bytes->size);
	memset(buf_reserve(bytes, missing), 0, missing);
	bytes->size += missing;
}

void
disk_tree_write(
    struct disk_tree *tree, unsigned file, uint64_t offset, struct slice bytes)
{
	struct disk_node *node = &tree->nodes[file];

	ASSERT(!node->is_directory);
	if (bytes.size == 0)
		return;
	stretch(&node->bytes, offset + bytes.size);
	memcpy(node->bytes.data + offset, bytes.data, bytes.size);
}

static void
set_size(struct disk_tree *tree, unsigned file, uint64_t size)
{
	struct disk_node *node = &tree->nodes[file];

	ASSERT(!node->is_directory);
	stretch(&node->bytes, size);
	node->bytes.size = (size_t)size;
}

/* ---- Operations ---- */

void
disk_operation_release(struct disk_operation *operation)
{
	buf_release(&operation->bytes);
	free(operation->name);
	free(operation->from);
}

void
disk_operation_apply(
    const struct disk_operation *operation, struct disk_tree *tree)
{
	unsigned node = operation->node;

	switch (operation->kind) {
	case DISK_WRITE:
		disk_tree_write(tree, node, operation->offset,
		    buf_slice(&operation->bytes));
		break;
	case DISK_TRUNCATE: set_size(tree, node, operation->offset); break;
	case DISK_LINK:
		add_entry(tree, node, operation->name, operation->child);
		break;
	case DISK_UNLINK: remove_entry(tree, node, operation->name); break;
	case DISK_RENAME:
		remove_entry(tree, operation->from_node, operation->from);
		add_entry(tree, node, operation->name, operation->child);
		break;
	}
}
