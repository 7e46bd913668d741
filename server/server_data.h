#ifndef SERVER_DATA_H
#define SERVER_DATA_H

/*
 * The data stores below the data directory. A snapshot that is installed goes
 * into a fresh one, beside the one in use, and the log says which of them
 * counts: generation 0 is the directory "data", N is "data.N". Whatever the log
 * does not name is of no use, at any moment of a crash.
 */

#include "common/err.h"
#include "common/macros.h"
#include "store/store.h"
#include "store/store_trash.h"

/*
 * Opens a generation, creating it when missing; durable in its parent before
 * this returns. `empty`: what it held before is removed first; ERR_EXISTS, and
 * nothing is, if there is anything else in its directory, which only a person
 * can have put there. Errors as of store_lmdb_open and store_dir_remove; each is
 * logged. `memtable_bytes` as of kv_store_open.
 */
int server_data_open(const char *base_dir, uint64_t generation, bool empty,
    uint64_t map_bytes, uint64_t memtable_bytes,
    struct store **ret_store) ATTR_MUST_CHECK;

/*
 * Removes all generations but that one; none of them is open. Their blocks are
 * given back by the steps of `trash`. One with files
 * that are not its own is left, and a warning says so: it is in nobody's way.
 * Other errors as of store_dir_remove; each is logged, and ends it.
 */
int server_data_remove_but(const char *base_dir, uint64_t generation,
    struct store_trash *trash) ATTR_MUST_CHECK;

#endif
