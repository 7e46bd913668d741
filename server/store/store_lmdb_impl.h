#ifndef STORE_STORE_LMDB_IMPL_H
#define STORE_STORE_LMDB_IMPL_H

/*
 * What LMDB's interface does not give, done to the file from outside; private
 * to the store_lmdb*.c files.
 */

#include "common/err.h"
#include "common/macros.h"
#include "store/store_lmdb.h"
#include "store/store_lmdb_format.h"

/* The two meta pages: the one that LMDB will take, and that before it. */
struct lmdb_metas {
	struct lmdb_meta newer;
	struct lmdb_meta older;
};

/*
 * LMDB makes its file in place, and what a power cut leaves of that, one of the
 * two meta pages perhaps, looks like damage. So a note lies beside the file until
 * it is whole and durable: begin_file makes it durably where there is no file
 * yet, and removes a file beside which there is one, as nobody was told of it;
 * but one that was used since is another file, and the note is removed instead.
 * end_file removes the note, and syncs the directory. Errors as of a file.
 */
int
store_lmdb_begin_file(const struct store_lmdb_params *params) ATTR_MUST_CHECK;
int store_lmdb_end_file(const struct store_lmdb_params *params) ATTR_MUST_CHECK;

/*
 * Looks at the data file of `params`, which may not exist yet, before LMDB does:
 * all of the two checks below. And empties the page cache of it: after a failed
 * sync the cache holds as clean what never reached the disk, and only the disk's
 * own bytes may be built upon. Errors as of the checks, or of a file.
 */
int
store_lmdb_check_file(const struct store_lmdb_params *params) ATTR_MUST_CHECK;

/*
 * Judges the two meta pages of the data file behind `fd`, before LMDB maps it.
 * ERR_NOT_FOUND: the file is empty. ERR_CORRUPT, ERR_VERSION, ERR_IO.
 */
int store_lmdb_check_meta(int fd, struct lmdb_metas *ret_metas) ATTR_MUST_CHECK;

/*
 * Walks all that the newer one refers to: store_lmdb_check.c has the rules. Of
 * `params` it needs the names of the tables, and `why`. ERR_CORRUPT: that says
 * what was found, and in which page. ERR_VERSION: a table of an unknown name, in
 * a file that is sound. ERR_IO.
 */
int store_lmdb_check_pages(int fd, const struct lmdb_metas *metas,
    const struct store_lmdb_params *params) ATTR_MUST_CHECK;

enum lmdb_name {
	LMDB_NAME_KNOWN,
	LMDB_NAME_UNKNOWN, /* as another version may call a table */
	LMDB_NAME_DAMAGED
};

/*
 * Judges the name of a table. It is damaged if it is not printable, or differs
 * from a known one in a single byte: so a new table must not be called almost
 * as another is.
 */
enum lmdb_name store_lmdb_judge_name(
    const struct store_lmdb_params *params, struct slice name);

/*
 * Address of the mapping, `size` bytes long, of the open file behind `fd`; NULL
 * if the system does not tell.
 */
void *store_lmdb_find_map(int fd, size_t size);

#endif
