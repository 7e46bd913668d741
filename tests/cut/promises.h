#ifndef TESTS_CUT_PROMISES_H
#define TESTS_CUT_PROMISES_H

/*
 * What the daemon had said to clients and to other members at each moment of
 * its trace, and what each revision changed. The file has a line for each, as
 * tests/proc/lib/promises.py makes it:
 *
 *	put REVISION KEY VALUE
 *	delete REVISION KEY
 *	said POSITION revision REVISION        a client got an answer
 *	said POSITION vote TERM ID             ID 0: the term alone
 *	said POSITION entries INDEX            they are in its log
 *	said POSITION life DIRECTORY COUNT     in a hello
 *	said POSITION nothing 0                damage came: it may be another now
 *
 * Positions count records of the trace; lines of one kind come in their order.
 */

#include "common/macros.h"
#include "tests/lib/mem_tree.h"

struct promises;

/* NULL: told to stderr. */
struct promises *promises_load(const char *path);
void promises_free(struct promises *promises);

/* All that was said before a moment, together. */
struct promises_made {
	uint64_t count; /* how many lines it comes from */
	uint64_t revision;
	uint64_t term;
	uint64_t vote; /* in that term; 0: none */
	uint64_t last_index;
	uint64_t lives_count;
	const char *directory; /* hexadecimal; NULL: not told */
	bool damaged;          /* what was said before does not count */
};

/* By so many records of the trace. */
struct promises_made
promises_until(const struct promises *promises, uint64_t records);

/* Makes the keys as they were at a revision. */
void promises_state(
    const struct promises *promises, uint64_t revision, struct mem_tree *state);

#endif
