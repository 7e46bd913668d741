/* What a power cut takes of a disk_model, and the files that are left. */

#include "common/err.h"
#include "common/hash.h"
#include "common/mem.h"
#include "common/panic.h"
#include "common/rng.h"
#include "tests/lib/disk_model_impl.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of files, what is zero in whole blocks is left a hole: quicker by far. */
#define HOLE_UNIT 4096u

/* ---- Which operations ---- */

enum fate { FATE_LOST, FATE_KEPT, FATE_TORN };

struct cut {
	const struct disk_model *model;
	enum disk_model_choice choice;
	struct rng rng;
	size_t
	    chosen; /* the one operation that is spoken of, if there is one */
	bool one_torn; /* only that, and all others are kept */
};

/* One of the pending writes; the count of all if there is none. */
static size_t
choose_write(const struct disk_model *model, struct rng *rng)
{
	size_t chosen = model->pending_count;
	uint64_t seen = 0;

	for (size_t i = 0; i < model->pending_count; i++)
		if (model->pending[i].kind == DISK_WRITE &&
		    rng_below(rng, ++seen) == 0)
			chosen = i;
	return chosen;
}

static void
cut_init(struct cut *cut, const struct disk_model *model,
    enum disk_model_choice choice, uint64_t number)
{
	*cut = (struct cut){ .model = model, .choice = choice };
	rng_init(&cut->rng, number);
	if (model->pending_count != 0)
		cut->chosen = (size_t)(number % model->pending_count);
	if (choice != DISK_MODEL_TORN)
		return;
	cut->one_torn = rng_below(&cut->rng, 2) == 0;
	cut->chosen = choose_write(model, &cut->rng);
}

static enum fate
fate_if(bool kept)
{
	return kept ? FATE_KEPT : FATE_LOST;
}

static enum fate
cut_fate(struct cut *cut, size_t position)
{
	switch (cut->choice) {
	case DISK_MODEL_NONE: return FATE_LOST;
	case DISK_MODEL_ALL: return FATE_KEPT;
	case DISK_MODEL_BUT_ONE: return fate_if(position != cut->chosen);
	case DISK_MODEL_ONLY_ONE: return fate_if(position == cut->chosen);
	case DISK_MODEL_RANDOM: return fate_if(rng_below(&cut->rng, 2) == 0);
	case DISK_MODEL_TORN: break;
	}
	if (position == cut->chosen)
		return FATE_TORN;
	if (cut->one_torn)
		return FATE_KEPT;
	if (cut->model->pending[position].kind == DISK_WRITE &&
	    rng_below(&cut->rng, 3) == 0)
		return FATE_TORN;
	return fate_if(rng_below(&cut->rng, 2) == 0);
}

/* Its first sectors, its last ones, or any. */
static void
apply_torn(struct disk_tree *image, const struct disk_operation *operation,
    struct rng *rng)
{
	struct slice bytes = buf_slice(&operation->bytes);
	size_t count = (bytes.size + DISK_MODEL_SECTOR - 1) / DISK_MODEL_SECTOR;
	uint64_t shape = rng_below(rng, 3);
	uint64_t border = rng_below(rng, count + 1);

	for (size_t i = 0; i < count; i++) {
		size_t offset = i * DISK_MODEL_SECTOR;
		size_t size = MIN(bytes.size - offset, DISK_MODEL_SECTOR);
		bool kept = shape == 0   ? i < border
			    : shape == 1 ? i >= border
					 : rng_below(rng, 2) == 0;

		if (kept)
			disk_tree_write(image, operation->node,
			    operation->offset + offset,
			    slice_of(bytes.data + offset, size));
	}
}

/* What the cut leaves, which the caller releases. */
static void
make_image(const struct disk_model *model, enum disk_model_choice choice,
    uint64_t number, struct disk_tree *ret_image)
{
	struct cut cut;

	disk_tree_copy(ret_image, &model->durable);
	cut_init(&cut, model, choice, number);
	for (size_t i = 0; i < model->pending_count; i++) {
		const struct disk_operation *each = &model->pending[i];

		switch (cut_fate(&cut, i)) {
		case FATE_LOST: break;
		case FATE_KEPT: disk_operation_apply(each, ret_image); break;
		case FATE_TORN: apply_torn(ret_image, each, &cut.rng); break;
		}
	}
}

/* ---- The model itself ---- */

void
disk_model_crash(
    struct disk_model *model, enum disk_model_choice choice, uint64_t number)
{
	struct disk_tree image;

	make_image(model, choice, number, &image);
	for (size_t i = 0; i < model->pending_count; i++)
		disk_operation_release(&model->pending[i]);
	model->pending_count = 0;
	disk_tree_release(&model->live);
	disk_tree_release(&model->durable);
	disk_tree_copy(&model->live, &image);
	model->durable = image;
	disk_model_collect(model);
}

/* Of a node and what is below, however its entries are ordered. */
static uint64_t
digest_node(const struct disk_tree *tree, unsigned number)
{
	const struct disk_node *node = &tree->nodes[number];
	uint64_t digest = node->is_directory ? 1 : 2;

	if (!node->is_directory)
		return hash64(digest, buf_slice(&node->bytes));
	for (unsigned i = 0; i < node->entries_count; i++)
		digest += hash64(digest_node(tree, node->entries[i].node),
		    slice_from_text(node->entries[i].name));
	return digest;
}

uint64_t
disk_model_image_digest(const struct disk_model *model,
    enum disk_model_choice choice, uint64_t number)
{
	struct disk_tree image;
	uint64_t digest;

	make_image(model, choice, number, &image);
	digest = digest_node(&image, DISK_ROOT);
	disk_tree_release(&image);
	return digest;
}

/* ---- Files ---- */

static bool
is_zero(const uint8_t *bytes, size_t size)
{
	return bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0;
}

static int
write_all(int fd, const uint8_t *bytes, size_t size, size_t offset)
{
	while (size != 0) {
		ssize_t written = pwrite(fd, bytes, size, (off_t)offset);

		if (written <= 0)
			return ERR_IO;
		bytes += written;
		size -= (size_t)written;
		offset += (size_t)written;
	}
	return 0;
}

/* The end of the unit or run of units at `offset` that are alike. */
static size_t
run_end(struct slice bytes, size_t offset, bool *ret_zero)
{
	size_t end = offset;
	bool first = true;

	while (end < bytes.size) {
		size_t size = MIN(bytes.size - end, HOLE_UNIT);
		bool zero = is_zero(bytes.data + end, size);

		if (!first && zero != *ret_zero)
			break;
		*ret_zero = zero;
		first = false;
		end += size;
	}
	return end;
}

static int
write_bytes(int fd, struct slice bytes)
{
	int error = 0;

	if (ftruncate(fd, (off_t)bytes.size) != 0)
		return ERR_IO;
	for (size_t at = 0; at < bytes.size && error == 0;) {
		bool zero = false;
		size_t end = run_end(bytes, at, &zero);

		if (!zero)
			error = write_all(fd, bytes.data + at, end - at, at);
		at = end;
	}
	return error;
}

static int
write_file(int directory_fd, const char *name, struct slice bytes)
{
	int fd = openat(
	    directory_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int error;

	if (fd < 0)
		return ERR_IO;
	error = write_bytes(fd, bytes);
	if (close(fd) != 0 && error == 0)
		error = ERR_IO;
	return error;
}

/* Closes the descriptor of the directory. */
static int
write_entries(const struct disk_tree *tree, unsigned directory, int fd)
{
	const struct disk_node *node = &tree->nodes[directory];
	int error = fd < 0 ? ERR_IO : 0;

	for (unsigned i = 0; i < node->entries_count && error == 0; i++) {
		const struct disk_entry *entry = &node->entries[i];
		const struct disk_node *child = &tree->nodes[entry->node];

		if (!child->is_directory)
			error = write_file(
			    fd, entry->name, buf_slice(&child->bytes));
		else if (mkdirat(fd, entry->name, 0700) != 0)
			error = ERR_IO;
		else
			error = write_entries(tree, entry->node,
			    openat(fd, entry->name,
				O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	}
	if (fd >= 0)
		(void)close(fd); /* nothing was written through it */
	return error;
}

int
disk_model_write_image(const struct disk_model *model,
    enum disk_model_choice choice, uint64_t number, const char *directory)
{
	struct disk_tree image;
	int error;

	make_image(model, choice, number, &image);
	error = write_entries(&image, DISK_ROOT,
	    open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	disk_tree_release(&image);
	return error;
}
