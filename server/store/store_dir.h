#ifndef STORE_STORE_DIR_H
#define STORE_STORE_DIR_H

/*
 * The data directory of one daemon: made durable when it is created, held
 * against a second daemon for as long as it is open, and on a local disk only.
 */

#include "common/buf.h"
#include "common/err.h"
#include "common/macros.h"
#include <stdbool.h>
#include <stdint.h>

struct store_dir;
struct store_trash;

/*
 * Creates the directory `path` (mode 0700) unless it is there, and syncs it
 * and its parent; the parent must exist. Then takes the file `lock` in it
 * exclusively until store_dir_close or the end of the process.
 * ERR_LOCKED: another process holds it. ERR_UNSUPPORTED: a file system that is
 * not local, whose locks and syncs cannot be trusted. ERR_NOT_FOUND: no
 * parent. ERR_DENIED, ERR_NO_SPACE, ERR_INVALID (not a directory), ERR_IO.
 */
int
store_dir_open(const char *path, struct store_dir **ret_dir) ATTR_MUST_CHECK;

/* Lets go of the lock. NULL is fine. */
void store_dir_close(struct store_dir *dir);

/*
 * Was the directory removed, or the lock in it, or is another one at its path
 * now (it was moved away, or a file system was mounted over it)? What is written
 * then is to files that end with the process, or that its next start will not
 * find. False if that cannot be told. Two calls of stat(2).
 */
bool store_dir_is_gone(const struct store_dir *dir);

/* Bytes that an unprivileged process may still write. ERR_IO. */
int store_dir_free_bytes(
    const struct store_dir *dir, uint64_t *ret_bytes) ATTR_MUST_CHECK;

/*
 * The first part of store_dir_open alone, for directories inside it: creates,
 * syncs, checks the file system. Same errors, without ERR_LOCKED.
 */
int store_dir_create(const char *path) ATTR_MUST_CHECK;

/*
 * Makes the entries of the directory, and its own entry in its parent,
 * durable: to be called after files were created in it.
 */
int store_dir_sync(const char *path) ATTR_MUST_CHECK;

/* ---- Generations of a store, each in a directory of its own ---- */

/* Appends the path: `parent`/`name` for generation 0, "name.N" for N. */
void store_dir_append_path(
    struct buf *to, const char *parent, const char *name, uint64_t generation);

/* False if `entry` is no name that store_dir_append_path gives. */
bool store_dir_parse_generation(
    const char *entry, const char *name, uint64_t *ret_generation);

/*
 * Finds the directory of the lowest generation from `first` on in `parent`.
 * ERR_NOT_FOUND: there is none (or no parent); else as of store_dir_open.
 */
int store_dir_find_next(const char *parent, const char *name, uint64_t first,
    uint64_t *ret_generation) ATTR_MUST_CHECK;

/*
 * Removes the directory of a store that is not open, with the files of the
 * store, durably; 0 if it is not there. What a crash leaves of it is to be
 * removed by another call. ERR_EXISTS: it holds anything else, and is left as
 * it is. ERR_INVALID: not a directory.
 */
int store_dir_remove(const char *path) ATTR_MUST_CHECK;
/* The same, but the blocks of the files are given back by store_trash_step. */
int store_dir_remove_into(
    const char *path, struct store_trash *trash) ATTR_MUST_CHECK;

/* The ERR_* for an errno of a call on files, or of LMDB. ENOMEM is fatal, as it
 * is everywhere (common/mem.h). */
int store_dir_error(int error);

#endif
