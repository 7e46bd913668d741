/*
 * A node has the versions of its key that somebody sees, newest first: the one
 * that the open transaction writes, the one committed last, which comes back if
 * that transaction is aborted, and those of readers that began before.
 */

#include "store/store_memtable_impl.h"

#include "common/mem.h"
#include "common/panic.h"
#include <stdlib.h>

static int
compare_nodes(const struct memtable_node *a, const struct memtable_node *b)
{
	return slice_compare(a->key, b->key);
}

/* NOLINTBEGIN: the library's own code, from here on to the end mark */
RB_GENERATE_INTERNAL(
    memtable_tree, memtable_node, link, compare_nodes, static ATTR_UNUSED)
/* NOLINTEND */

/* ---- Looking ---- */

static struct memtable_tree *
tree_of(struct memtable *memtable, const struct memtable_node *node)
{
	return node->newest->kind == MEMTABLE_THROUGH
		   ? &memtable->through[node->table]
		   : &memtable->trees[node->table];
}

struct memtable_node *
memtable_find(struct memtable *memtable, store_table table, struct slice key)
{
	struct memtable_node probe = { .key = key };
	struct memtable_node *node =
	    RB_FIND(memtable_tree, &memtable->trees[table], &probe);

	if (node != NULL || RB_EMPTY(&memtable->through[table]))
		return node;
	return RB_FIND(memtable_tree, &memtable->through[table], &probe);
}

static struct memtable_node *
above_in(struct memtable_tree *tree, struct slice key, bool or_equal)
{
	struct memtable_node probe = { .key = key };
	struct memtable_node *node = RB_NFIND(memtable_tree, tree, &probe);

	if (node != NULL && !or_equal && slice_equal(node->key, key))
		return RB_NEXT(memtable_tree, tree, node);
	return node;
}

static struct memtable_node *
below_in(struct memtable_tree *tree, struct slice key)
{
	struct memtable_node probe = { .key = key };
	struct memtable_node *node = RB_NFIND(memtable_tree, tree, &probe);

	return node == NULL ? RB_MAX(memtable_tree, tree)
			    : RB_PREV(memtable_tree, tree, node);
}

/* No key is in both trees. */
static struct memtable_node *
lower(struct memtable_node *a, struct memtable_node *b)
{
	if (a == NULL || b == NULL)
		return a == NULL ? b : a;
	return slice_compare(a->key, b->key) < 0 ? a : b;
}

static struct memtable_node *
higher(struct memtable_node *a, struct memtable_node *b)
{
	if (a == NULL || b == NULL)
		return a == NULL ? b : a;
	return slice_compare(a->key, b->key) > 0 ? a : b;
}

struct memtable_node *
memtable_above(struct memtable *memtable, store_table table, struct slice key,
    bool or_equal, bool all)
{
	struct memtable_node *node =
	    above_in(&memtable->trees[table], key, or_equal);

	if (!all)
		return node;
	return lower(node, above_in(&memtable->through[table], key, or_equal));
}

struct memtable_node *
memtable_below(
    struct memtable *memtable, store_table table, struct slice key, bool all)
{
	struct memtable_node *node = below_in(&memtable->trees[table], key);

	if (!all)
		return node;
	return higher(node, below_in(&memtable->through[table], key));
}

struct memtable_node *
memtable_first(struct memtable *memtable, store_table table, bool all)
{
	struct memtable_node *node =
	    RB_MIN(memtable_tree, &memtable->trees[table]);

	if (!all)
		return node;
	return lower(node, RB_MIN(memtable_tree, &memtable->through[table]));
}

struct memtable_node *
memtable_last(struct memtable *memtable, store_table table, bool all)
{
	struct memtable_node *node =
	    RB_MAX(memtable_tree, &memtable->trees[table]);

	if (!all)
		return node;
	return higher(node, RB_MAX(memtable_tree, &memtable->through[table]));
}

struct memtable_node *
memtable_next(struct memtable *memtable, struct memtable_node *node, bool all)
{
	if (!all)
		return RB_NEXT(memtable_tree, NULL, node);
	return memtable_above(memtable, node->table, node->key, false, all);
}

struct memtable_node *
memtable_previous(
    struct memtable *memtable, struct memtable_node *node, bool all)
{
	if (!all)
		return RB_PREV(memtable_tree, NULL, node);
	return memtable_below(memtable, node->table, node->key, all);
}

static struct slice
hand_key(const struct memtable *memtable)
{
	const struct memtable_place *hand = &memtable->round.hand;

	return slice_of(hand->key, hand->key_size);
}

bool
memtable_is_ahead(
    const struct memtable *memtable, store_table table, struct slice key)
{
	store_table hand_table = memtable->round.hand.table;

	if (table != hand_table)
		return table > hand_table;
	return slice_compare(key, hand_key(memtable)) > 0;
}

static struct memtable_node *
or_of_next_table(
    struct memtable *memtable, struct memtable_node *node, store_table table)
{
	while (node == NULL && ++table < memtable->tables_count)
		node = memtable_first(memtable, table, false);
	return node;
}

struct memtable_node *
memtable_first_ahead(struct memtable *memtable)
{
	store_table table = memtable->round.hand.table;
	struct slice key = hand_key(memtable);

	return or_of_next_table(memtable,
	    memtable_above(memtable, table, key, false, false), table);
}

struct memtable_node *
memtable_next_ahead(struct memtable *memtable, struct memtable_node *node)
{
	return or_of_next_table(
	    memtable, memtable_next(memtable, node, false), node->table);
}

const struct memtable_version *
memtable_seen(const struct memtable_node *node, uint64_t commit)
{
	const struct memtable_version *version = node->newest;

	while (version != NULL && version->commit > commit)
		version = version->older;
	return version;
}

/* ---- Changing ---- */

static struct memtable_node *
make_node(store_table table, struct slice key)
{
	struct memtable_node *node = mem_alloc(sizeof(*node) + key.size);

	*node = (struct memtable_node){ .table = table };
	memcpy(node->bytes, key.data, key.size);
	node->key = slice_of(node->bytes, key.size);
	return node;
}

static uint64_t
bytes_of(const struct memtable_node *node)
{
	return node->merged != 0 ? 0 : node->key.size + node->newest->size;
}

/* Puts a node where its newest version belongs, and counts it. */
static void
link_node(struct memtable *memtable, struct memtable_node *node)
{
	(void)RB_INSERT(memtable_tree, tree_of(memtable, node), node);
	if (node->newest->kind == MEMTABLE_THROUGH)
		return;
	memtable->nodes_count++;
	memtable->bytes += bytes_of(node);
	if (memtable_is_ahead(memtable, node->table, node->key))
		memtable->nodes_ahead++;
}

/* Before its newest version changes. */
static void
unlink_node(struct memtable *memtable, struct memtable_node *node)
{
	(void)RB_REMOVE(memtable_tree, tree_of(memtable, node), node);
	if (node->newest->kind == MEMTABLE_THROUGH)
		return;
	memtable->nodes_count--;
	memtable->bytes -= bytes_of(node);
	if (memtable_is_ahead(memtable, node->table, node->key))
		memtable->nodes_ahead--;
}

static void
push_version(struct memtable_node *node, uint64_t commit,
    enum memtable_kind kind, struct slice value)
{
	struct memtable_version *version =
	    mem_alloc(sizeof(*version) + value.size);

	*version = (struct memtable_version){
		.older = node->newest,
		.commit = commit,
		.kind = kind,
		.size = (uint32_t)value.size,
	};
	if (value.size != 0)
		memcpy(version->bytes, value.data, value.size);
	node->newest = version;
}

static void
pop_version(struct memtable_node *node)
{
	struct memtable_version *newest = node->newest;

	node->newest = newest->older;
	free(newest);
}

static uint64_t
cost(const struct memtable_node *node)
{
	if (node->newest->kind == MEMTABLE_THROUGH)
		return MEMTABLE_MARK_COST;
	return node->key.size + node->newest->size + MEMTABLE_NODE_COST;
}

static void
make_pending(struct memtable *memtable, struct memtable_node *node)
{
	memtable->pending_bytes += cost(node);
	if (node->is_pending)
		return;
	node->is_pending = true;
	memtable->pending_count++;
	node->pending_next = memtable->pending;
	memtable->pending = node;
}

void
memtable_set(struct memtable *memtable, uint64_t commit, store_table table,
    struct slice key, enum memtable_kind kind, struct slice value)
{
	struct memtable_node *node = memtable_find(memtable, table, key);

	if (node == NULL)
		node = make_node(table, key);
	else
		unlink_node(memtable, node);
	if (node->is_pending)
		memtable->pending_bytes -= cost(node);
	if (node->newest != NULL && node->newest->commit == commit)
		pop_version(node);
	push_version(node, commit, kind, value);
	node->merged = 0;
	link_node(memtable, node);
	if (commit != 0)
		make_pending(memtable, node);
}

void
memtable_remove(struct memtable *memtable, struct memtable_node *node)
{
	ASSERT(!node->is_pending);
	unlink_node(memtable, node);
	while (node->newest != NULL)
		pop_version(node);
	free(node);
}

/* ---- What readers need ---- */

/* Does one see `version`, and not the one after it? */
static bool
is_needed(const struct memtable *memtable,
    const struct memtable_version *version, uint64_t next_commit)
{
	struct list *at = memtable->readers.next;

	for (; at != &memtable->readers; at = at->next) {
		const struct memtable_txn *reader =
		    CONTAINER_OF(at, struct memtable_txn, link);

		if (version->commit <= reader->commit &&
		    reader->commit < next_commit)
			return true;
	}
	return false;
}

/* Frees versions that no reader sees, but for the newest. */
static void
prune(struct memtable *memtable, struct memtable_node *node)
{
	struct memtable_version *newer = node->newest;

	while (newer->older != NULL) {
		struct memtable_version *version = newer->older;

		if (is_needed(memtable, version, newer->commit)) {
			newer = version;
			continue;
		}
		newer->older = version->older;
		free(version);
	}
}

void
memtable_let_go(struct memtable *memtable, struct memtable_node *node)
{
	if (node->newest->kind == MEMTABLE_PUT)
		memtable->bytes -= bytes_of(node);
	if (node->merged == 0)
		node->merged = memtable->commits + 1;
	prune(memtable, node);
	/* Readers from then on find it in the table. */
	if (node->newest->older == NULL &&
	    !is_needed(memtable, node->newest, node->merged))
		memtable_remove(memtable, node);
}

void
memtable_sweep(struct memtable *memtable, uint64_t count_max)
{
	for (store_table i = 0; i < memtable->tables_count; i++) {
		struct memtable_tree *tree = &memtable->through[i];

		for (; count_max > 0 && !RB_EMPTY(tree); count_max--)
			memtable_remove(memtable, RB_ROOT(tree));
	}
}

/* ---- The end of a transaction ---- */

static struct memtable_node *
take_pending(struct memtable *memtable)
{
	struct memtable_node *node = memtable->pending;

	memtable->pending_count = 0;
	memtable->pending_bytes = 0;
	if (node == NULL)
		return NULL;
	memtable->pending = node->pending_next;
	node->is_pending = false;
	return node;
}

void
memtable_keep_pending(struct memtable *memtable)
{
	struct memtable_node *node;

	while ((node = take_pending(memtable)) != NULL) {
		if (node->newest->kind == MEMTABLE_THROUGH)
			memtable_let_go(memtable, node);
		else
			prune(memtable, node);
	}
}

void
memtable_drop_pending(struct memtable *memtable)
{
	struct memtable_node *node;

	while ((node = take_pending(memtable)) != NULL) {
		unlink_node(memtable, node);
		pop_version(node);
		/* What was merged before counts as not: once more is no harm. */
		if (node->newest == NULL)
			free(node);
		else
			link_node(memtable, node);
	}
}

void
memtable_release(struct memtable *memtable)
{
	struct memtable_node *node;

	while (take_pending(memtable) != NULL)
		continue;
	for (store_table i = 0; i < memtable->tables_count; i++) {
		while ((node = memtable_first(memtable, i, true)) != NULL)
			memtable_remove(memtable, node);
	}
}
