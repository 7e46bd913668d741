#ifndef TESTS_CHECK_HISTORY_H
#define TESTS_CHECK_HISTORY_H

/*
 * Judges what clients of a real cluster asked and were told. A history is a
 * file of JSON objects, one a line, in any order but for the first and the
 * last. Times are of one clock, in nanoseconds.
 *
 * The first:
 *
 *	{"history":1,"seed":7,"commit":"...","size":3,"workload":"mixed",
 *	 "nemesis":"what is done to the cluster","prefix":"t12/","since":12}
 *
 * All keys begin with `prefix`; `since` is the store's revision before the
 * first operation. It may ask for more, each 0 unless given:
 *
 *	ok_min         so many operations have to have succeeded
 *	info_min       of so many the outcome has to be unknown
 *	kinds_min      {"put":3,...}: so many of these have to have been done
 *	expired_min    so many keys have to have expired
 *	intervals_min  so many faults have to have been there, each of them
 *	               during traffic,
 *	together_min   and so many of them at one moment
 *	undecided_max  the search may give up on so many keys
 *	bank_sum       lists of all of `prefix` x/ have balances, numbers at the
 *	               begin of values, of that sum
 *
 * The last: {"end":true,"rev":R}; R is the store's revision then, and the
 * answers of all operations have none above it.
 *
 * Between them, one object for each operation:
 *
 *	client   its number; not used again once an outcome was unknown
 *	op       see the table
 *	call     before the first byte was sent
 *	ret      after the last byte of the answer was read; null: none was
 *	status   ok; fail: surely not done; info: not known; odd: an answer that
 *	         no such request should get
 *	rev      ok: the revision in the answer
 *	node     who answered
 *	req      the Idempotency-Key; with again:true it is a repetition of an
 *	         operation that was ok, and has the same answer
 *
 *	get      key; out: the value, null: absent; mod, version, created; stale,
 *	         at, final: true for the last read of a key; gone: history does
 *	         not reach back to `at`
 *	put      key, value; ttl (ms) or lease; version, created; done: false if
 *	         there is no such lease
 *	cas      key, value, expect (the value), expect_rev (0: absent); done;
 *	         version, created, or if it was not done, current
 *	del      key; existed; also with expect, expect_rev, done, current
 *	incr     key, by; out, version, created
 *	append   key, value; out, version, created
 *	child    key (a prefix), value; name: the key that it made; version
 *	touch    key, ttl; version, created; done: false if there is no such key
 *	list     prefix, after, limit, at, final, gone; more;
 *	         out: [[key, value, mod, version, created], ...]
 *	txn      if, then, else: as they were sent, of the conditions `value` and
 *	         `exists` and of put, get, delete; done: the conditions held;
 *	         out: the results as they came
 *	lease    ttl (ms); lease: its id
 *	renew    lease; done
 *	revoke   lease; done; deleted
 *	lock     key (a name), value (the holder), ttl; done; lease: the token;
 *	         rev is the fence
 *	unlock   key, lease; done; deleted
 *	holder   key; out, fence
 *	watch    prefix, since; form: stream, snapshot (up to the line that is
 *	         synced), poll; end: cut, client, closed (by the server), goes on
 *	         (another record has the rest); lines: [[time, the line], ...]
 *
 * The faults are in a file of their own, in the same clock, none to be left
 * open: {"kind":"partition","begin":...,"end":...}
 *
 * What is looked at:
 *
 *	changes  the streams of all nodes together tell one sequence of changes
 *	watches  each stream and poll is that sequence, from where it began: with
 *	         no gap, nothing twice, no revision in half, and ends that are
 *	         true to resume from
 *	writes   each write has a revision of its own, at which it did what its
 *	         answer says to what was there; and there is no other change, but
 *	         by writes of unknown outcome, each once at most
 *	reads    reads and lists show what was there at their revision; what
 *	         failed by a condition could not but fail
 *	order    no answer is of before what was answered before its call
 *	locks    fences grow; who proves to hold a lock held it alone
 *	ttl      nothing expires before its time, which begins with the call
 *	search   the history of each key is linearizable, without a look at any
 *	         revision (tests/lib/linear.h)
 *	vacuity  enough was tested
 *
 * A revision is believed as a witness only: a wrong one does not fit.
 */

#include "common/buf.h"

enum check_verdict {
	CHECK_GOOD = 0,
	CHECK_VIOLATION = 1,
	CHECK_VACUOUS = 3 /* too little, or unreadable: nothing is proven */
};

struct check_options {
	/* Of the search: steps for each key, 0: 2,000,000; and milliseconds for
	 * all of them, after which keys are undecided, 0: no limit. */
	uint64_t steps_max;
	uint64_t search_ms_max;
};

/*
 * Judges one history. `faults` is empty if there is no such file. What is
 * wrong is appended to `report`, "FAIL name: ..." with the lines that
 * contradict each other; then figures, and last 'N passed, N failed'.
 */
enum check_verdict check_history(struct slice history, struct slice faults,
    const struct check_options *options, struct buf *report);

#endif
