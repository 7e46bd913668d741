/* The journal's file: made, checked against the inner store, replayed. */

#include "common/mem.h"
#include "store/store_dir.h"
#include "store/store_journal_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* The file as it was found; no fd: there was none. */
struct image {
	int fd;
	uint8_t *bytes;
	uint64_t size;
};

int
journal_write(int fd, struct slice bytes, uint64_t offset)
{
	while (bytes.size != 0) {
		ssize_t size =
		    pwrite(fd, bytes.data, bytes.size, (off_t)offset);

		if (size < 0)
			return store_dir_error(errno);
		if (size == 0)
			return ERR_IO;
		bytes.data += size;
		bytes.size -= (size_t)size;
		offset += (uint64_t)size;
	}
	return 0;
}

static int
open_file(const char *directory, int flags, int *ret_fd)
{
	struct buf path = { 0 };
	int error = 0;
	int fd;

	buf_printf(&path, "%s/journal", directory);
	buf_append(&path, "", 1); /* its terminator */
	fd = open((const char *)path.data,
	    flags | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		error = store_dir_error(errno);
	else
		*ret_fd = fd;
	buf_release(&path);
	return error;
}

/*
 * Read past the page cache, as store_lmdb.c does: after a failed sync it holds
 * as clean what never reached the disk.
 */
static int
image_read(struct image *image)
{
	struct stat info;
	uint64_t done = 0;

	if (fstat(image->fd, &info) != 0)
		return ERR_IO;
	if (!S_ISREG(info.st_mode))
		return ERR_INVALID;
	/* Advice: where it is not taken, reads are as good as before. */
	(void)posix_fadvise(image->fd, 0, 0, POSIX_FADV_DONTNEED);
	/* A file that is larger is refused for its size. */
	image->size =
	    MIN((uint64_t)info.st_size, STORE_JOURNAL_CAPACITY_MAX + 1);
	image->bytes = mem_alloc((size_t)image->size);
	while (done < image->size) {
		ssize_t size = pread(image->fd, image->bytes + done,
		    (size_t)(image->size - done), (off_t)done);

		if (size <= 0)
			return ERR_IO;
		done += (uint64_t)size;
	}
	return 0;
}

static int
image_open(const char *directory, struct image *ret_image)
{
	int error = open_file(directory, 0, &ret_image->fd);

	if (error == ERR_NOT_FOUND)
		return 0;
	return error == 0 ? image_read(ret_image) : error;
}

static struct slice
image_from(const struct image *image, uint64_t offset)
{
	return slice_of(image->bytes + offset, (size_t)(image->size - offset));
}

/* True if a block with this id begins at the offset. */
static bool
image_header(const struct image *image, uint64_t offset, uint64_t id,
    struct journal_header *ret_header)
{
	struct journal_header header;

	if (offset + STORE_JOURNAL_UNIT > image->size ||
	    !journal_header_decode(image_from(image, offset), &header) ||
	    header.id != id)
		return false;
	*ret_header = header;
	return true;
}

/* True if a seal of this generation begins at the offset. */
static bool
image_seal(const struct image *image, uint64_t offset,
    const struct journal_state *state, struct journal_header *ret_header)
{
	return offset + STORE_JOURNAL_UNIT <= image->size &&
	       journal_seal_decode(image_from(image, offset), ret_header) &&
	       ret_header->id == state->id &&
	       ret_header->generation == state->generation;
}

/* The id that the file was made with; 0: none can be read. */
static uint64_t
image_owner(const struct image *image)
{
	struct journal_header header;

	if (image->size < STORE_JOURNAL_UNIT ||
	    !journal_header_decode(image_from(image, 0), &header) ||
	    header.generation != 0)
		return 0;
	return header.id;
}

/* The newest generation of which a block begins at or behind the offset. */
static uint64_t
image_newest(const struct image *image, uint64_t offset, uint64_t id)
{
	struct journal_header header;
	uint64_t newest = 0;

	for (; offset < image->size; offset += STORE_JOURNAL_UNIT)
		if (image_header(image, offset, id, &header))
			newest = MAX(newest, header.generation);
	return newest;
}

/* Do file and inner store belong together, and are they of one time? */
static int
image_check(const struct image *image, const struct journal_state *state,
    char *why, size_t size)
{
	uint64_t owner = image_owner(image);
	bool needed = state->id != 0 && !state->closed;

	if (needed && image->fd < 0)
		snprintf(why, size,
		    "the file journal is missing, and the last commits may "
		    "have been in it");
	else if (needed && image->size != state->capacity)
		snprintf(why, size,
		    "the file journal has %" PRIu64 " bytes and not %" PRIu64,
		    image->size, state->capacity);
	else if (needed && owner != state->id)
		snprintf(why, size,
		    "the file journal is damaged at its beginning, or "
		    "belongs to another directory");
	else if (image_newest(image, JOURNAL_BLOCKS_OFFSET,
		     state->id == 0 ? owner : state->id) > state->generation)
		snprintf(why, size,
		    "the file journal has commits that are newer than "
		    "data.mdb beside it: they are not of the same time");
	else
		return 0;
	return ERR_CORRUPT;
}

/*
 * One block, of which the header is valid. ERR_NOT_FOUND: the rest is not.
 */
static int
replay_block(const struct image *image, uint64_t offset,
    const struct journal_header *header, struct store_txn *txn,
    store_table tables_count)
{
	struct slice payload;

	if (journal_block_size(header) > image->size - offset)
		return ERR_CORRUPT;
	if (!journal_block_payload(image_from(image, offset), header, &payload))
		return ERR_NOT_FOUND;
	return journal_payload_apply(payload, txn, tables_count);
}

/* A way through the blocks of the state's generation. */
struct replay {
	const struct image *image;
	const struct journal_state *state;
	uint64_t offset;   /* of what comes next */
	uint64_t sequence; /* that it should have */
	uint32_t last_crc; /* of the block before */
};

/* ERR_NOT_FOUND: what comes next is no whole block. */
static int
replay_next(
    struct replay *replay, struct store_txn *txn, store_table tables_count)
{
	struct journal_header header;
	int error;

	if (!image_header(
		replay->image, replay->offset, replay->state->id, &header) ||
	    header.generation != replay->state->generation)
		return ERR_NOT_FOUND;
	if (header.sequence != replay->sequence)
		return ERR_CORRUPT;
	error = replay_block(
	    replay->image, replay->offset, &header, txn, tables_count);
	if (error != 0)
		return error;
	replay->offset += journal_block_size(&header);
	replay->sequence++;
	replay->last_crc = header.payload_crc;
	return 0;
}

/*
 * Was the block that is not whole flushed once? Then there is its seal or a
 * later block: a seal that is not of the block before, and anything behind.
 */
static bool
replay_lost_a_block(const struct replay *replay)
{
	const struct image *image = replay->image;
	const struct journal_state *state = replay->state;
	struct journal_header seal;

	if (image_seal(image, replay->offset, state, &seal) &&
	    (seal.sequence + 1 != replay->sequence ||
		seal.payload_crc != replay->last_crc))
		return true;
	for (uint64_t at = replay->offset + STORE_JOURNAL_UNIT;
	     at < image->size; at += STORE_JOURNAL_UNIT)
		if (image_seal(image, at, state, &seal))
			return true;
	return image_newest(image, replay->offset + STORE_JOURNAL_UNIT,
		   state->id) >= state->generation;
}

static int
replay_all(const struct image *image, const struct journal_state *state,
    struct store_txn *txn, store_table tables_count, char *why, size_t size)
{
	struct replay replay = { .image = image,
		.state = state,
		.offset = JOURNAL_BLOCKS_OFFSET,
		.sequence = 1 };
	int error;

	do
		error = replay_next(&replay, txn, tables_count);
	while (error == 0);
	if (error == ERR_NOT_FOUND)
		error = replay_lost_a_block(&replay) ? ERR_CORRUPT : 0;
	if (error != 0)
		snprintf(why, size,
		    "commit %" PRIu64
		    " since the last checkpoint, at byte %" PRIu64
		    " of the file journal: %s",
		    replay.sequence, replay.offset, err_text(error));
	return error;
}

/*
 * Every byte is written here, so that a flush of the blocks never is one of
 * the file's extents. What was there before is not lost by a crash: the state
 * of the inner store does not refer to it.
 */
static int
fill_file(int fd, const struct journal_state *state)
{
	uint8_t *zeros = mem_zalloc(1, (size_t)state->capacity);
	struct buf first = { 0 };
	int error;

	journal_block_clear(&first);
	journal_block_finish(&first, state->id, 0, 0);
	error = journal_write(fd, slice_of(zeros, (size_t)state->capacity), 0);
	if (error == 0)
		error = journal_write(fd, buf_slice(&first), 0);
	if (error == 0 && ftruncate(fd, (off_t)state->capacity) != 0)
		error = store_dir_error(errno);
	if (error == 0 && fsync(fd) != 0)
		error = store_dir_error(errno);
	buf_release(&first);
	free(zeros);
	return error;
}

static int
make_file(const struct store_journal_params *params,
    struct journal_state *state, int *ret_fd)
{
	int fd = -1;
	int error;

	if (state->id == 0)
		state->id = params->random_id;
	state->capacity = params->capacity;
	error = open_file(params->directory, O_CREAT, &fd);
	if (error != 0)
		return error;
	error = fill_file(fd, state);
	if (error == 0)
		error = store_dir_sync(params->directory);
	if (error != 0) {
		(void)close(fd); /* it is not used any more */
		return error;
	}
	*ret_fd = fd;
	return 0;
}

int
journal_file_open(const struct store_journal_params *params,
    struct store_txn *txn, struct journal_state *state, int *ret_fd, char *why,
    size_t size)
{
	struct image image = { .fd = -1 };
	int error;

	error = image_open(params->directory, &image);
	if (error != 0) {
		snprintf(why, size, "the file journal: %s", err_text(error));
		goto out;
	}
	error = image_check(&image, state, why, size);
	if (error != 0)
		goto out;
	if (state->id != 0 && !state->closed) {
		error =
		    replay_all(&image, state, txn, params->table, why, size);
		if (error == 0) {
			*ret_fd = image.fd;
			image.fd = -1;
		}
		goto out;
	}
	error = make_file(params, state, ret_fd);
	if (error != 0)
		snprintf(
		    why, size, "making the file journal: %s", err_text(error));
out:
	if (image.fd >= 0)
		(void)close(image.fd); /* nothing was written through it */
	free(image.bytes);
	return error;
}
