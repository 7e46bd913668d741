#include "net/loop.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/panic.h"
#include <event2/event.h>
#include <event2/event_struct.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/*
 * libevent waits in whole milliseconds, and a wait of days is as good as one
 * without an end: whoever drives the passes looks at the clock again.
 */
#define LOOP_WAIT_MAX_US (UINT64_C(86400) * 1000000)
#define LOOP_SIGNALS_MAX 8

struct loop_signal {
	struct event event;
	loop_signal_fn *fn;
	void *context;
};

struct loop {
	struct event_base *base;
	struct event timer;
	uint64_t now_us;
	/* loop_limit_step; the time lags behind the clock by what it cut off. */
	uint64_t step_us_max;
	uint64_t lag_us;
	/* A wait has begun since now_us was read. */
	bool now_stale;
	unsigned signals_count;
	unsigned watches_count;
	struct loop_signal signals[LOOP_SIGNALS_MAX];
};

struct loop_io {
	struct loop *loop;
	struct event event;
	int fd;
	unsigned interest;
	loop_io_fn *fn;
	void *context;
};

static uint64_t
loop_read_clock(struct loop *loop)
{
	uint64_t now_us = clock_monotonic_us() - loop->lag_us;
	uint64_t step_us = now_us - loop->now_us;

	if (step_us <= loop->step_us_max)
		return now_us;
	loop->lag_us += step_us - loop->step_us_max;
	return loop->now_us + loop->step_us_max;
}

/*
 * libevent 2.1 tells nobody that a wait has ended, so the first callback of a
 * pass reads the clock for all of them.
 */
static void
loop_awake(struct loop *loop)
{
	if (loop->now_stale)
		(void)loop_update_now(loop); /* wanted for its effect */
}

static void
timer_cb(evutil_socket_t fd, short what, void *context)
{
	struct loop *loop = context;

	(void)fd;
	(void)what;
	loop_awake(loop);
}

/*
 * The kernel refuses an fd to its event queue for want of memory, or of watches
 * of this user (epoll(7)). With the change list that is found out in a later
 * pass, and told in this way alone: a node that went on would not hear of it.
 * Behind an error, as of the pipe for signals, libevent exits with a status that
 * says nothing.
 */
static void
libevent_log_cb(int severity, const char *message)
{
	if (severity < EVENT_LOG_WARN)
		return;
	if (strncmp(message, "Epoll ", strlen("Epoll ")) == 0)
		fatal("the event loop takes no more, for want of memory or "
		      "by fs.epoll.max_user_watches: %s",
		    message);
	if (severity >= EVENT_LOG_ERR)
		fatal("the event loop cannot go on: %s", message);
	log_warning("libevent: %s", message);
}

/* The change list saves an epoll_ctl whenever an fd goes on and off in a
 * pass. It asks that no fd is watched twice through dup(2); none is. */
static struct event_base *
loop_open_base(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base;

	if (config == NULL)
		return NULL;
	if (event_config_set_flag(
		config, EVENT_BASE_FLAG_NOLOCK |
			    EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST) != 0) {
		event_config_free(config);
		return NULL;
	}
	base = event_base_new_with_config(config);
	event_config_free(config);
	return base;
}

int
loop_new(struct loop **ret_loop)
{
	struct event_base *base;
	struct loop *loop;

	event_set_log_callback(libevent_log_cb);
	base = loop_open_base();
	if (base == NULL)
		return ERR_IO;
	loop = mem_zalloc(1, sizeof(*loop));
	loop->base = base;
	loop->now_us = clock_monotonic_us();
	loop->step_us_max = UINT64_MAX;
	if (evtimer_assign(&loop->timer, base, timer_cb, loop) != 0)
		fatal("the event loop has no timer");
	*ret_loop = loop;
	return 0;
}

/* `how`: SIG_BLOCK or SIG_UNBLOCK. */
static void
mask_signal(int how, int signal_number)
{
	sigset_t one;

	(void)sigemptyset(&one);              /* it cannot fail */
	(void)sigaddset(&one, signal_number); /* it is one */
	if (sigprocmask(how, &one, NULL) != 0)
		fatal("signals cannot be blocked");
}

void
loop_free(struct loop *loop)
{
	if (loop == NULL)
		return;
	ASSERT(loop->watches_count == 0);
	for (unsigned i = 0; i < loop->signals_count; i++) {
		struct event *event = &loop->signals[i].event;

		mask_signal(SIG_BLOCK, event_get_signal(event));
		(void)event_del(event); /* the base goes */
	}
	(void)event_del(&loop->timer); /* the base goes */
	event_base_free(loop->base);
	free(loop);
}

static short
interest_to_event(unsigned interest)
{
	short what = EV_PERSIST;

	if ((interest & LOOP_READ) != 0)
		what |= EV_READ;
	if ((interest & LOOP_WRITE) != 0)
		what |= EV_WRITE;
	if ((interest & LOOP_EDGE) != 0)
		what |= EV_ET;
	return what;
}

static void
io_cb(evutil_socket_t fd, short what, void *context)
{
	struct loop_io *io = context;
	unsigned ready = 0;

	(void)fd;
	loop_awake(io->loop);
	if ((what & EV_READ) != 0)
		ready |= LOOP_READ;
	if ((what & EV_WRITE) != 0)
		ready |= LOOP_WRITE;
	io->fn(io->context, ready);
}

static void
io_add(struct loop_io *io, unsigned interest)
{
	io->interest = interest;
	if (interest == 0)
		return;
	if (event_assign(&io->event, io->loop->base, io->fd,
		interest_to_event(interest), io_cb, io) != 0 ||
	    event_add(&io->event, NULL) != 0)
		fatal("the event loop cannot watch file descriptor %d, for "
		      "want of memory",
		    io->fd);
}

static void
io_remove(struct loop_io *io)
{
	if (io->interest == 0)
		return;
	if (event_del(&io->event) != 0)
		fatal("the event loop cannot forget file descriptor %d, for "
		      "want of memory",
		    io->fd);
}

struct loop_io *
loop_watch(
    struct loop *loop, int fd, unsigned interest, loop_io_fn *fn, void *context)
{
	struct loop_io *io = mem_zalloc(1, sizeof(*io));

	ASSERT(fd >= 0);
	io->loop = loop;
	io->fd = fd;
	io->fn = fn;
	io->context = context;
	loop->watches_count++;
	io_add(io, interest);
	return io;
}

void
loop_io_set_interest(struct loop_io *io, unsigned interest)
{
	if (io->interest == interest)
		return;
	io_remove(io);
	io_add(io, interest);
}

void
loop_io_free(struct loop_io *io)
{
	if (io == NULL)
		return;
	ASSERT(io->loop->watches_count > 0);
	io->loop->watches_count--;
	io_remove(io);
	free(io);
}

static void
signal_cb(evutil_socket_t signal_number, short what, void *context)
{
	struct loop_signal *watch = context;

	(void)what;
	watch->fn(watch->context, (int)signal_number);
}

int
loop_on_signal(
    struct loop *loop, int signal_number, loop_signal_fn *fn, void *context)
{
	struct loop_signal *watch;

	ASSERT(loop->signals_count < LOOP_SIGNALS_MAX);
	watch = &loop->signals[loop->signals_count];
	watch->fn = fn;
	watch->context = context;
	if (evsignal_assign(&watch->event, loop->base, signal_number, signal_cb,
		watch) != 0)
		return ERR_INVALID;
	if (evsignal_add(&watch->event, NULL) != 0)
		return ERR_IO;
	/* A loop of before may have left it blocked. */
	mask_signal(SIG_UNBLOCK, signal_number);
	loop->signals_count++;
	return 0;
}

/* Arms the timer for the wait; false if there is nothing to wait for. */
static bool
loop_arm(struct loop *loop, uint64_t deadline_us)
{
	uint64_t now_us;
	uint64_t wait_us;
	struct timeval wait;

	if (deadline_us == UINT64_MAX) {
		(void)event_del(&loop->timer); /* it may not be armed */
		return true;
	}
	now_us = loop_read_clock(loop);
	if (deadline_us <= now_us)
		return false;
	wait_us = MIN(deadline_us - now_us, LOOP_WAIT_MAX_US);
	wait.tv_sec = (time_t)(wait_us / 1000000);
	wait.tv_usec = (suseconds_t)(wait_us % 1000000);
	if (evtimer_add(&loop->timer, &wait) != 0)
		fatal(
		    "the event loop cannot set its timer, for want of memory");
	return true;
}

void
loop_pass(struct loop *loop, uint64_t deadline_us)
{
	/* EVLOOP_NONBLOCK alone goes on until nothing is ready any more. */
	int flags = EVLOOP_ONCE;

	if (!loop_arm(loop, deadline_us))
		flags |= EVLOOP_NONBLOCK;
	loop->now_stale = true;
	/* 1 means that nothing is watched: as well a pass without events. */
	if (event_base_loop(loop->base, flags) < 0)
		fatal("the event loop cannot wait for events");
	loop_awake(loop);
}

uint64_t
loop_now(const struct loop *loop)
{
	return loop->now_us;
}

uint64_t
loop_update_now(struct loop *loop)
{
	loop->now_us = loop_read_clock(loop);
	loop->now_stale = false;
	return loop->now_us;
}

void
loop_limit_step(struct loop *loop, uint64_t step_us_max)
{
	loop->step_us_max = step_us_max;
}
