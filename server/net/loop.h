#ifndef NET_LOOP_H
#define NET_LOOP_H

/*
 * The event loop: sockets, signals and one timer over libevent, which ends in
 * this directory. One pass runs callbacks, which only enqueue; what follows
 * from them is done once, by whoever drives the passes (server.c: the turn).
 */

#include "common/macros.h"
#include <stdbool.h>
#include <stdint.h>

struct loop;
struct loop_io;

enum {
	LOOP_READ = (1u << 0),
	LOOP_WRITE = (1u << 1),
	LOOP_EDGE = (1u << 2), /* with the others: only what is news */
};

typedef void loop_io_fn(void *context, unsigned ready);
typedef void loop_signal_fn(void *context, int signal_number);

/* ERR_IO if the kernel gives no event queue, or no memory for it. */
int loop_new(struct loop **ret_loop) ATTR_MUST_CHECK;
/* All watches must be gone. Signals that were watched are blocked until another
 * loop watches them: a process that ends for a reason of its own ends with
 * that. NULL is fine. */
void loop_free(struct loop *loop);

/*
 * Calls `fn` from loop_pass whenever `fd` is ready for one of `interest`
 * (LOOP_READ, LOOP_WRITE, LOOP_EDGE, 0). The fd stays the caller's.
 */
struct loop_io *loop_watch(struct loop *loop, int fd, unsigned interest,
    loop_io_fn *fn, void *context);
/* Changes what is waited for; cheap if it is what was. */
void loop_io_set_interest(struct loop_io *io, unsigned interest);
/* May be called from its own callback. NULL is fine. */
void loop_io_free(struct loop_io *io);

/* `fn` runs in the loop, not in the signal's context. */
int loop_on_signal(struct loop *loop, int signal_number, loop_signal_fn *fn,
    void *context) ATTR_MUST_CHECK;

/*
 * One pass: waits until something is ready or `deadline_us` (monotonic;
 * UINT64_MAX: no limit; in the past: only look) and runs the callbacks.
 */
void loop_pass(struct loop *loop, uint64_t deadline_us);

/*
 * The time, in monotonic microseconds, read when the last wait ended or at the
 * last loop_update_now(), whichever was later. After anything that may have
 * blocked (a commit), update it before a deadline is judged.
 */
uint64_t loop_now(const struct loop *loop);
uint64_t loop_update_now(struct loop *loop);

/*
 * For tests of several nodes on one loop: between two readings the time goes
 * on by at most `step_us_max`, whatever the clock says. When the machine stops
 * them all for a while, none of them takes that for the silence of the others.
 */
void loop_limit_step(struct loop *loop, uint64_t step_us_max);

#endif
