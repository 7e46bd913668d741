#include "common/buf.h"
#include "common/mem.h"
#include "store/store_dir.h"
#include "store/store_lmdb_impl.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* How the file is read before it is walked, unless it is above this part of
 * the machine's memory. */
#define STORE_LMDB_AHEAD_BYTES (1024 * 1024)
#define STORE_LMDB_AHEAD_PART  4

/* Both are in the list of store_dir.c, as they are removed with a store. */
#define DATA_NAME "data.mdb"
#define NOTE_NAME "data.mdb.new"

/* The transaction that makes the tables of a new file. */
#define TXN_OF_TABLES 1

static char *
lmdb_path_of(const struct store_lmdb_params *params, const char *name)
{
	struct buf path = { 0 };
	size_t size;

	buf_printf(&path, "%s/%s", params->path, name);
	buf_append(&path, "", 1); /* its terminator */
	return (char *)buf_detach(&path, &size);
}

/* What cannot be told is not taken for absent. */
static int
lmdb_exists(const char *path, bool *ret_exists)
{
	bool exists = access(path, F_OK) == 0;

	if (!exists && errno != ENOENT)
		return store_dir_error(errno);
	*ret_exists = exists;
	return 0;
}

static int
lmdb_remove(const char *path)
{
	return unlink(path) == 0 || errno == ENOENT ? 0
						    : store_dir_error(errno);
}

static int
lmdb_make_note(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return store_dir_error(errno);
	(void)close(fd); /* nothing was written through it */
	return 0;
}

/* More than its tables were ever committed: a note beside it is not its own,
 * but was left in a directory into which somebody copied the file. */
static bool
lmdb_is_used(const char *path)
{
	struct lmdb_metas metas;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool used;

	if (fd < 0)
		return false;
	used = store_lmdb_check_meta(fd, &metas) == 0 &&
	       metas.newer.txn > TXN_OF_TABLES;
	(void)close(fd); /* nothing was written through it */
	return used;
}

int
store_lmdb_begin_file(const struct store_lmdb_params *params)
{
	char *data = lmdb_path_of(params, DATA_NAME);
	char *note = lmdb_path_of(params, NOTE_NAME);
	bool noted = false;
	bool exists = false;
	int code = lmdb_exists(note, &noted);

	if (code == 0)
		code = lmdb_exists(data, &exists);
	if (code == 0 && noted) {
		code = lmdb_remove(lmdb_is_used(data) ? note : data);
	} else if (code == 0 && !exists) {
		code = lmdb_make_note(note);
		if (code == 0)
			code = store_dir_sync(params->path);
	}
	free(note);
	free(data);
	return code;
}

int
store_lmdb_end_file(const struct store_lmdb_params *params)
{
	char *note = lmdb_path_of(params, NOTE_NAME);
	int code = lmdb_remove(note);

	free(note);
	return code == 0 ? store_dir_sync(params->path) : code;
}

/*
 * Reads the file once from begin to end, if it can stay in the page cache: in
 * the order of its trees, in which all of it is read soon, a disk gave 40 MB/s
 * and not 800. What fails here fails again where it matters.
 */
static void
lmdb_read_ahead(int fd)
{
	uint64_t memory =
	    (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	struct stat info;
	uint8_t *piece;

	if (fstat(fd, &info) != 0 ||
	    (uint64_t)info.st_size > memory / STORE_LMDB_AHEAD_PART)
		return;
	piece = mem_alloc(STORE_LMDB_AHEAD_BYTES);
	for (off_t at = 0; at < info.st_size; at += STORE_LMDB_AHEAD_BYTES)
		if (pread(fd, piece, STORE_LMDB_AHEAD_BYTES, at) <= 0)
			break;
	free(piece);
}

int
store_lmdb_check_file(const struct store_lmdb_params *params)
{
	char *name = lmdb_path_of(params, DATA_NAME);
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	int code = fd < 0 ? store_dir_error(errno) : 0;
	struct lmdb_metas metas;

	free(name);
	if (fd < 0)
		return code == ERR_NOT_FOUND ? 0 : code;
	/* Advice: where it is not taken, reads are as good as before. */
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	code = store_lmdb_check_meta(fd, &metas);
	if (code == 0)
		lmdb_read_ahead(fd);
	if (code == 0)
		code = store_lmdb_check_pages(fd, &metas, params);
	else if (code == ERR_CORRUPT)
		(void)snprintf(params->why, params->why_size,
		    "the meta pages of the file data.mdb");
	(void)close(fd); /* nothing was written through it */
	return code == ERR_NOT_FOUND ? 0 : code; /* empty: to be made */
}
