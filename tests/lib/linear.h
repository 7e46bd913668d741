#ifndef TESTS_LINEAR_H
#define TESTS_LINEAR_H

/*
 * Is a history of one key linearizable? A search after Wing & Gong with Lowe's
 * memoization: the set of operations already placed, with the state, is
 * visited once. The key is a register that is absent at first; or a counter,
 * whose values are their numbers, with 0 for one that is not there.
 *
 * An operation takes effect once, between its call and its return. One that
 * returned before another was called comes first; equal times overlap.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum linear_kind {
	LINEAR_GET,
	LINEAR_PUT,
	LINEAR_DELETE,
	LINEAR_SWAP, /* if the value is `expected`, writes `value`; either may be
	                0: absent. They are not the same. */
	LINEAR_ADD   /* `by`, to a counter; `value` is the sum */
};

struct linear_op {
	enum linear_kind kind;
	/* False: no answer came. It took effect at any time after its call,
	 * or never; its results and returned_at are ignored. A swap that found
	 * something else has no effect. */
	bool known;
	/* Put and delete: the answer said that the key was there before.
	 * Swap: it said that the value was the one expected. */
	bool existed;
	/* Put: the value written, not 0, distinct over all writes of the
	 * history. Get: the value read, 0 if the key was not there. */
	uint64_t value;
	uint64_t called_at;
	uint64_t returned_at; /* >= called_at */
	uint64_t expected;
	uint64_t by; /* not 0 */
};

enum linear_verdict {
	LINEAR_LEGAL,
	LINEAR_ILLEGAL,
	LINEAR_UNDECIDED /* the search took more than steps_max */
};

/*
 * *ret_blocked: unless legal, the position in `ops` of the operation that had
 * to come next where the longest order found ends.
 */
enum linear_verdict linear_check(const struct linear_op *ops, size_t count,
    uint64_t steps_max, size_t *ret_blocked);

#endif
