#ifndef DATA_DIR_H
#define DATA_DIR_H

#include "common/macros.h"

/*
 * Before anything is written into the data directory: refuses one that holds
 * something and nothing of a node, as a mistyped node.data-dir does, and logs
 * what was found: ERR_MISMATCH. 0 for one that is not there, is empty, or was
 * begun by a node; and for one that cannot be read, which fails to open.
 * ERR_CORRUPT: it lost its log; logged, and what to do is the caller's to say.
 */
int data_dir_check(const char *path) ATTR_MUST_CHECK;

#endif
