#ifndef TESTS_CUT_IMAGE_H
#define TESTS_CUT_IMAGE_H

/*
 * Starts a node on what a power cut left, by the same functions as the daemon,
 * and holds it against what was promised before.
 */

#include "common/macros.h"
#include "config.h"
#include "tests/cut/promises.h"

struct image_found {
	uint64_t revision; /* of its data */
	uint64_t term;
};

/*
 * In a process of its own, which it may end by a signal: to be run in a child.
 * The image is in the configuration's data-dir. `serves`: this node is a whole
 * cluster, so that all in its log is applied before the data is looked at; else
 * what is applied at the open. False: what is wrong was told to stderr.
 */
bool image_check(const struct config *config, const struct promises *promises,
    uint64_t records, bool serves, struct image_found *ret_found);

#endif
