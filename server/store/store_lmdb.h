#ifndef STORE_STORE_LMDB_H
#define STORE_STORE_LMDB_H

/*
 * The store on disk: one LMDB environment in a directory of its own. Every
 * commit is synced; a write transaction may stay open for long, a read
 * transaction may not, as it keeps pages from being reused.
 *
 * LMDB itself neither keeps a second process away nor syncs directories: the
 * caller holds the lock of the data directory around it (store_dir.h).
 */

#include "store/store.h"

struct store_lmdb_params {
	const char *path;          /* created, with mode 0700, in a parent */
	const char *const *tables; /* names; created when missing */
	unsigned tables_count;     /* at most STORE_TABLES_MAX */
	uint64_t map_bytes; /* limit of the file; address space, not memory */
	/* Where it is said what an ERR_CORRUPT, or an ERR_VERSION for a table,
	 * was for; NULL and 0: nowhere. To be empty before; what else fails
	 * leaves it so. */
	char *why;
	size_t why_size;
};

/*
 * Opens, or creates, the environment. Nothing of `params` is kept. The pages in
 * use are all read before, but for values of more than half a page: LMDB itself
 * believes what it finds, and has no checksums (store_lmdb_check.c).
 * ERR_UNSUPPORTED: not a local file system. ERR_CORRUPT: the file is no LMDB
 * environment, its two meta pages are not of consecutive transactions, or its
 * pages are not the trees and the free list that they should be.
 * ERR_VERSION: a format that this LMDB does not know, or the file is sound but
 * has a table that is none of `params`: a printable name that differs from each
 * of those by more than a byte (else that is ERR_CORRUPT: a damaged name).
 * ERR_NOT_FOUND, ERR_DENIED, ERR_INVALID: the path. ERR_NO_SPACE, ERR_IO.
 * Never open one environment twice in a process (fcntl(2) locks would go).
 */
int store_lmdb_open(const struct store_lmdb_params *params,
    struct store **ret_store) ATTR_MUST_CHECK;

#endif
