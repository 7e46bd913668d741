/* Operations as they come, and what a sync makes of them. */

#include "tests/lib/disk_model.h"

#include "common/mem.h"
#include "common/panic.h"
#include "tests/lib/disk_model_impl.h"

#include <stdlib.h>

struct disk_model *
disk_model_new(void)
{
	struct disk_model *model = mem_zalloc(1, sizeof(*model));

	disk_tree_init(&model->live);
	disk_tree_init(&model->durable);
	return model;
}

void
disk_model_free(struct disk_model *model)
{
	if (model == NULL)
		return;
	for (size_t i = 0; i < model->pending_count; i++)
		disk_operation_release(&model->pending[i]);
	free(model->pending);
	disk_tree_release(&model->live);
	disk_tree_release(&model->durable);
	free(model);
}

size_t
disk_model_pending_count(const struct disk_model *model)
{
	return model->pending_count;
}

/* Takes over what the operation owns; the live tree has it already. */
static void
add_pending(struct disk_model *model, struct disk_operation operation)
{
	if (model->pending_count == model->pending_room) {
		model->pending_room = model->pending_room * 2 + 16;
		model->pending = mem_realloc(model->pending,
		    model->pending_room, sizeof(*model->pending));
	}
	model->pending[model->pending_count++] = operation;
}

/* ---- Paths ---- */

/*
 * The directory that has, or is to have, the last name of a path; with that
 * name.
 */
static unsigned
find_parent(const struct disk_tree *tree, const char *path, const char **name)
{
	unsigned node = DISK_ROOT;
	const char *slash;

	while ((slash = strchr(path, '/')) != NULL) {
		struct buf part = { 0 };

		buf_append(&part, path, (size_t)(slash - path));
		buf_append(&part, "", 1); /* its terminator */
		node = disk_tree_entry(tree, node, (const char *)part.data);
		buf_release(&part);
		ASSERT(node != DISK_NO_NODE);
		path = slash + 1;
	}
	*name = path;
	return node;
}

static unsigned
find_node(const struct disk_model *model, const char *path)
{
	const char *name;
	unsigned parent = find_parent(&model->live, path, &name);

	/* "" is the root, and a slash at the end does no harm. */
	return *name == '\0' ? parent
			     : disk_tree_entry(&model->live, parent, name);
}

bool
disk_model_exists(const struct disk_model *model, const char *path)
{
	return find_node(model, path) != DISK_NO_NODE;
}

unsigned
disk_model_find(const struct disk_model *model, const char *path)
{
	unsigned node = find_node(model, path);

	ASSERT(node != DISK_NO_NODE);
	return node;
}

/* ---- Entries ---- */

static void
add_node(struct disk_model *model, const char *path, bool is_directory)
{
	unsigned node = disk_tree_add(&model->live, is_directory);
	unsigned same = disk_tree_add(&model->durable, is_directory);
	struct disk_operation link = { .kind = DISK_LINK, .child = node };
	const char *name;

	ASSERT(node == same);
	ASSERT(!disk_model_exists(model, path));
	link.node = find_parent(&model->live, path, &name);
	link.name = mem_strdup(name);
	disk_operation_apply(&link, &model->live);
	add_pending(model, link);
}

void
disk_model_mkdir(struct disk_model *model, const char *path)
{
	add_node(model, path, true);
}

void
disk_model_create(struct disk_model *model, const char *path)
{
	add_node(model, path, false);
}

void
disk_model_rename(struct disk_model *model, const char *from, const char *to)
{
	struct disk_operation operation = { .kind = DISK_RENAME,
		.child = disk_model_find(model, from) };
	const char *name;
	const char *from_name;

	operation.node = find_parent(&model->live, to, &name);
	operation.from_node = find_parent(&model->live, from, &from_name);
	operation.name = mem_strdup(name);
	operation.from = mem_strdup(from_name);
	disk_operation_apply(&operation, &model->live);
	add_pending(model, operation);
}

void
disk_model_remove(struct disk_model *model, const char *path)
{
	struct disk_operation operation = { .kind = DISK_UNLINK };
	unsigned node = disk_model_find(model, path);
	const char *name;

	ASSERT(node != DISK_ROOT);
	ASSERT(model->live.nodes[node].entries_count == 0);
	operation.node = find_parent(&model->live, path, &name);
	operation.name = mem_strdup(name);
	disk_operation_apply(&operation, &model->live);
	add_pending(model, operation);
}

/* ---- Bytes ---- */

void
disk_model_write_file(struct disk_model *model, unsigned file, uint64_t offset,
    struct slice bytes)
{
	struct disk_operation operation = { .kind = DISK_WRITE, .node = file };
	const struct buf *live = &model->live.nodes[file].bytes;
	uint64_t end = offset + bytes.size + DISK_MODEL_SECTOR - 1;

	if (bytes.size == 0)
		return;
	disk_tree_write(&model->live, file, offset, bytes);
	operation.offset = offset - offset % DISK_MODEL_SECTOR;
	end = MIN(end - end % DISK_MODEL_SECTOR, live->size);
	buf_append(&operation.bytes, live->data + operation.offset,
	    (size_t)(end - operation.offset));
	add_pending(model, operation);
}

void
disk_model_truncate_file(struct disk_model *model, unsigned file, uint64_t size)
{
	struct disk_operation operation = {
		.kind = DISK_TRUNCATE,
		.node = file,
		.offset = size,
	};

	disk_operation_apply(&operation, &model->live);
	add_pending(model, operation);
}

void
disk_model_write(struct disk_model *model, const char *path, uint64_t offset,
    struct slice bytes)
{
	disk_model_write_file(
	    model, disk_model_find(model, path), offset, bytes);
}

void
disk_model_truncate(struct disk_model *model, const char *path, uint64_t size)
{
	disk_model_truncate_file(model, disk_model_find(model, path), size);
}

struct slice
disk_model_bytes(const struct disk_model *model, unsigned file)
{
	return buf_slice(&model->live.nodes[file].bytes);
}

/* ---- Syncs ---- */

void
disk_model_sync_range(
    struct disk_model *model, unsigned file, uint64_t offset, uint64_t size)
{
	size_t kept = 0;

	for (size_t i = 0; i < model->pending_count; i++) {
		struct disk_operation *each = &model->pending[i];

		if (each->kind == DISK_WRITE && each->node == file &&
		    each->offset < offset + size &&
		    offset < each->offset + each->bytes.size) {
			disk_operation_apply(each, &model->durable);
			disk_operation_release(each);
		} else {
			model->pending[kept++] = *each;
		}
	}
	model->pending_count = kept;
}

/* Marks what can be come to from a node, of either tree. */
static void
mark(const struct disk_model *model, unsigned node, bool *marks)
{
	const struct disk_node *live = &model->live.nodes[node];
	const struct disk_node *durable = &model->durable.nodes[node];

	if (marks[node])
		return;
	marks[node] = true;
	for (unsigned i = 0; i < live->entries_count; i++)
		mark(model, live->entries[i].node, marks);
	for (unsigned i = 0; i < durable->entries_count; i++)
		mark(model, durable->entries[i].node, marks);
}

/* And by a pending operation that gives it a name. True if any was found. */
static bool
mark_pending(const struct disk_model *model, bool *marks)
{
	bool found = false;

	for (size_t i = 0; i < model->pending_count; i++) {
		const struct disk_operation *each = &model->pending[i];
		bool names =
		    each->kind == DISK_LINK || each->kind == DISK_RENAME;

		if (names && marks[each->node] && !marks[each->child]) {
			mark(model, each->child, marks);
			found = true;
		}
	}
	return found;
}

/*
 * A rename between two directories of which the new one is synced: the new name
 * is durable, the old one may still be there.
 */
static void
end_arrival(struct disk_model *model, struct disk_operation *rename)
{
	struct disk_operation arrival = *rename;

	arrival.kind = DISK_LINK;
	disk_operation_apply(&arrival, &model->durable);
	free(rename->name);
	rename->kind = DISK_UNLINK;
	rename->node = rename->from_node;
	rename->name = rename->from;
	rename->from = NULL;
}

/* What a sync of a node does to a pending operation. False: it is still so. */
static bool
sync_operation(
    struct disk_model *model, struct disk_operation *operation, unsigned node)
{
	bool leaves = operation->kind == DISK_RENAME &&
		      operation->from_node != operation->node;

	if (leaves && operation->node == node) {
		end_arrival(model, operation);
		return false;
	}
	if ((leaves ? operation->from_node : operation->node) != node)
		return false;
	disk_operation_apply(operation, &model->durable);
	return true;
}

/* Drops the pending operations on nodes that are not marked. */
static void
drop_pending(struct disk_model *model, const bool *marks)
{
	size_t kept = 0;

	for (size_t i = 0; i < model->pending_count; i++) {
		if (marks[model->pending[i].node])
			model->pending[kept++] = model->pending[i];
		else
			disk_operation_release(&model->pending[i]);
	}
	model->pending_count = kept;
}

void
disk_model_collect(struct disk_model *model)
{
	bool *marks = mem_zalloc(model->live.count, sizeof(*marks));

	mark(model, DISK_ROOT, marks);
	while (mark_pending(model, marks))
		;
	for (unsigned i = 0; i < model->live.count; i++) {
		if (marks[i])
			continue;
		disk_tree_empty(&model->live, i);
		disk_tree_empty(&model->durable, i);
	}
	drop_pending(model, marks);
	free(marks);
}

void
disk_model_sync_file(struct disk_model *model, unsigned file)
{
	size_t kept = 0;

	for (size_t i = 0; i < model->pending_count; i++) {
		if (sync_operation(model, &model->pending[i], file))
			disk_operation_release(&model->pending[i]);
		else
			model->pending[kept++] = model->pending[i];
	}
	model->pending_count = kept;
	if (model->live.nodes[file].is_directory)
		disk_model_collect(model);
}

void
disk_model_sync(struct disk_model *model, const char *path)
{
	disk_model_sync_file(model, disk_model_find(model, path));
}
