#ifndef STORE_STORE_LMDB_IMPL_H
#define STORE_STORE_LMDB_IMPL_H

/*
 * What LMDB's interface does not give, done to the file from outside; private
 * to store_lmdb.c.
 */

#include "common/err.h"
#include "common/macros.h"
#include <stddef.h>

/*
 * Judges the two meta pages of the data file behind `fd`, before LMDB maps it.
 * An empty file is fine. ERR_CORRUPT, ERR_VERSION, ERR_IO.
 */
int store_lmdb_check_meta(int fd) ATTR_MUST_CHECK;

/*
 * Address of the mapping, `size` bytes long, of the open file behind `fd`; NULL
 * if the system does not tell.
 */
void *store_lmdb_find_map(int fd, size_t size);

#endif
