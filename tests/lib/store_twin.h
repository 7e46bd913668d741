#ifndef TESTS_STORE_TWIN_H
#define TESTS_STORE_TWIN_H

/*
 * Two stores as one: a real one, and beside it the one in memory, which is too
 * simple to be wrong and outlives a crash. Whatever is changed is changed in
 * both; whatever is read is read from both, and has to be the same; the answers
 * are the real one's. So the disk in memory holds at any time what commits have
 * made durable, and a real store that is opened after a crash must hold the same.
 *
 * Errors of the real store are its own affair: they are handed on, and the
 * commit that failed is in doubt.
 */

#include "tests/lib/store_mem.h"

/* What was found out; outlives the store. All zero at first. */
struct store_twin_notes {
	bool differs;
	char what[160]; /* the first difference */
	/* What the disk would hold had the last commit not failed; NULL: it did
	 * not fail. */
	struct store_mem_disk *in_doubt;
	uint64_t reads_compared;
};

/* Drops what is in doubt. */
void store_twin_release(struct store_twin_notes *notes);

/*
 * Takes `real`, which must have the contents of `disk`; see store_twin_compare.
 * The disk and the notes must outlive the store.
 */
struct store *store_twin_open(struct store *real, struct store_mem_disk *disk,
    struct store_twin_notes *notes);

/*
 * Reads all of both. False, and `what` (of `size` bytes) says where, if they
 * are not the same, or the real one's error. No transaction may be open of the
 * real one.
 */
bool store_twin_compare(struct store *real, const struct store_mem_disk *disk,
    unsigned tables_count, char *what, size_t size);

#endif
