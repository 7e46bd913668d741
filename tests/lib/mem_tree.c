/*
 * A treap whose priorities are hashes of the keys, so that the same keys give
 * the same tree. A node counts who points to it. Whoever walks down from a
 * root and has made each node on the way its own (own_node) may change the
 * node it stands on.
 */

#include "tests/lib/mem_tree.h"

#include "common/hash.h"
#include "common/mem.h"
#include "common/panic.h"
#include <stdlib.h>

struct mem_node {
	unsigned refs;
	struct mem_node *left;
	struct mem_node *right;
	struct mem_record *record;
};

struct slice
mem_record_key(const struct mem_record *record)
{
	return slice_of(record->bytes, record->key_size);
}

struct slice
mem_record_value(const struct mem_record *record)
{
	return slice_of(record->bytes + record->key_size, record->value_size);
}

static void
copy_slice(uint8_t *to, struct slice from)
{
	if (from.size > 0)
		memcpy(to, from.data, from.size);
}

static struct mem_record *
new_record(struct slice key, struct slice value)
{
	struct mem_record *record =
	    mem_alloc(sizeof(*record) + key.size + value.size);

	*record = (struct mem_record){ .refs = 1,
		.priority = hash64(0, key),
		.key_size = key.size,
		.value_size = value.size };
	record->hash = hash64(record->priority, value);
	copy_slice(record->bytes, key);
	copy_slice(record->bytes + key.size, value);
	return record;
}

static void
drop_record(struct mem_record *record)
{
	ASSERT(record->refs > 0);
	if (--record->refs == 0)
		free(record);
}

static struct mem_node *
share_node(struct mem_node *node)
{
	if (node != NULL)
		node->refs++;
	return node;
}

static void
drop_node(struct mem_node *node)
{
	if (node == NULL || --node->refs > 0)
		return;
	drop_node(node->left);
	drop_node(node->right);
	drop_record(node->record);
	free(node);
}

static struct mem_node *
new_node(struct mem_record *record)
{
	struct mem_node *node = mem_alloc(sizeof(*node));

	*node = (struct mem_node){ .refs = 1, .record = record };
	return node;
}

/* Trades a reference to `node` for one to a node that nobody else sees. */
static struct mem_node *
own_node(struct mem_node *node)
{
	struct mem_node *copy;

	if (node->refs == 1)
		return node;
	copy = new_node(node->record);
	copy->record->refs++;
	copy->left = share_node(node->left);
	copy->right = share_node(node->right);
	node->refs--;
	return copy;
}

static int
compare_node(struct slice key, const struct mem_node *node)
{
	return slice_compare(key, mem_record_key(node->record));
}

static bool
node_is_above(const struct mem_node *a, const struct mem_node *b)
{
	return a->record->priority > b->record->priority;
}

static struct mem_node *
rotate_right(struct mem_node *node)
{
	struct mem_node *top = node->left;

	node->left = top->right;
	top->right = node;
	return top;
}

static struct mem_node *
rotate_left(struct mem_node *node)
{
	struct mem_node *top = node->right;

	node->right = top->left;
	top->left = node;
	return top;
}

/* Consumes `node` and `record`; gives the new root of the subtree. */
static struct mem_node *
put_below(struct mem_node *node, struct mem_record *record)
{
	int order;

	if (node == NULL)
		return new_node(record);
	node = own_node(node);
	order = compare_node(mem_record_key(record), node);
	if (order == 0) {
		drop_record(node->record);
		node->record = record;
		return node;
	}
	if (order < 0) {
		node->left = put_below(node->left, record);
		return node_is_above(node->left, node) ? rotate_right(node)
						       : node;
	}
	node->right = put_below(node->right, record);
	return node_is_above(node->right, node) ? rotate_left(node) : node;
}

/* Consumes both; every key of `left` is below every key of `right`. */
static struct mem_node *
merge_nodes(struct mem_node *left, struct mem_node *right)
{
	if (left == NULL)
		return right;
	if (right == NULL)
		return left;
	if (node_is_above(left, right)) {
		left = own_node(left);
		left->right = merge_nodes(left->right, right);
		return left;
	}
	right = own_node(right);
	right->left = merge_nodes(left, right->left);
	return right;
}

/* The key is there. Consumes `node`; gives the new root of the subtree. */
static struct mem_node *
delete_below(struct mem_node *node, struct slice key)
{
	struct mem_node *merged;
	int order;

	ASSERT(node != NULL);
	node = own_node(node);
	order = compare_node(key, node);
	if (order < 0) {
		node->left = delete_below(node->left, key);
		return node;
	}
	if (order > 0) {
		node->right = delete_below(node->right, key);
		return node;
	}
	merged = merge_nodes(node->left, node->right);
	node->left = NULL;
	node->right = NULL;
	drop_node(node);
	return merged;
}

void
mem_tree_release(struct mem_tree *tree)
{
	drop_node(tree->root);
	*tree = (struct mem_tree){ 0 };
}

struct mem_tree
mem_tree_share(const struct mem_tree *tree)
{
	(void)share_node(tree->root); /* the copy below points to it */
	return *tree;
}

static void
count_out(struct mem_tree *tree, const struct mem_record *record)
{
	tree->count--;
	tree->bytes -= record->key_size + record->value_size;
	tree->digest -= record->hash;
}

void
mem_tree_put(struct mem_tree *tree, struct slice key, struct slice value)
{
	const struct mem_record *old = mem_tree_find(tree, key);
	struct mem_record *record = new_record(key, value);

	if (old != NULL)
		count_out(tree, old);
	tree->count++;
	tree->bytes += key.size + value.size;
	tree->digest += record->hash;
	tree->root = put_below(tree->root, record);
}

bool
mem_tree_delete(struct mem_tree *tree, struct slice key)
{
	const struct mem_record *old = mem_tree_find(tree, key);

	if (old == NULL)
		return false;
	count_out(tree, old);
	tree->root = delete_below(tree->root, key);
	return true;
}

const struct mem_record *
mem_tree_find(const struct mem_tree *tree, struct slice key)
{
	const struct mem_node *node = tree->root;

	while (node != NULL) {
		int order = compare_node(key, node);

		if (order == 0)
			return node->record;
		node = order < 0 ? node->left : node->right;
	}
	return NULL;
}

const struct mem_record *
mem_tree_first(const struct mem_tree *tree)
{
	const struct mem_node *node = tree->root;

	while (node != NULL && node->left != NULL)
		node = node->left;
	return node == NULL ? NULL : node->record;
}

const struct mem_record *
mem_tree_last(const struct mem_tree *tree)
{
	const struct mem_node *node = tree->root;

	while (node != NULL && node->right != NULL)
		node = node->right;
	return node == NULL ? NULL : node->record;
}

/* The lowest record above `key`, or at it if `key_itself`. */
static const struct mem_record *
find_upwards(const struct mem_tree *tree, struct slice key, bool key_itself)
{
	const struct mem_record *found = NULL;
	const struct mem_node *node = tree->root;

	while (node != NULL) {
		int order = compare_node(key, node);

		if (order < 0 || (order == 0 && key_itself)) {
			found = node->record;
			node = node->left;
		} else {
			node = node->right;
		}
	}
	return found;
}

const struct mem_record *
mem_tree_above(const struct mem_tree *tree, struct slice key)
{
	return find_upwards(tree, key, false);
}

const struct mem_record *
mem_tree_at_or_above(const struct mem_tree *tree, struct slice key)
{
	return find_upwards(tree, key, true);
}

const struct mem_record *
mem_tree_below(const struct mem_tree *tree, struct slice key)
{
	const struct mem_record *found = NULL;
	const struct mem_node *node = tree->root;

	while (node != NULL) {
		if (compare_node(key, node) > 0) {
			found = node->record;
			node = node->right;
		} else {
			node = node->left;
		}
	}
	return found;
}
