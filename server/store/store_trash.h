#ifndef STORE_STORE_TRASH_H
#define STORE_STORE_TRASH_H

/*
 * Large files that are removed without holding up the caller. A file system
 * gives a file's blocks back within the call that removes it: 1 GiB took ext4
 * 0.3 s in one piece and seconds in many. Here the name goes at once, and the
 * file, which is open still, is cut shorter step by step. When the process ends
 * before, the kernel does the rest; no crash leaves any of it behind.
 */

#include "common/macros.h"

#include <stdbool.h>

/* What one step gives back: a few milliseconds of a disk that has no other
 * work, where the file is not in many pieces. */
#define STORE_TRASH_STEP_BYTES (8 << 20)

/* All zero: empty. */
struct store_trash {
	int *fds; /* of the files, without names */
	unsigned count;
};

/* Closes the files, which waits for what is left of them. */
void store_trash_release(struct store_trash *trash);

/*
 * Removes a file's name from an open directory; the rest is done by the steps.
 * 0 if there is none. Errors as of store_dir_error.
 */
int store_trash_take(struct store_trash *trash, int directory_fd,
    const char *name) ATTR_MUST_CHECK;

bool store_trash_is_empty(const struct store_trash *trash);
/* One step, unless it is empty. */
void store_trash_step(struct store_trash *trash);

#endif
