#ifndef API_API_WATCH_H
#define API_API_WATCH_H

/*
 * What the files of watches share.
 *
 * api_watch.c         the request, and what goes on without one
 * api_watch_stream.c  streams of lines, and of server-sent events
 * api_watch_poll.c    long polls
 * api_watch_wait.c    GET /kv/KEY?wait=
 */

#include "api/api_hub.h"
#include "api/api_watches.h"

/* A live stream that has more unsent is ended: it does not keep up. */
#define API_WATCH_UNSENT_MAX (1u << 20)
/* What the hub tells at once to all long polls together is at most so much, as
 * text: the others read it from history. */
#define API_WATCH_POLLED_MAX (8u << 20)
/* So long nothing is sent; then a line that says so. */
#define API_WATCH_PROGRESS_US 15000000u
/* Of one step through history or the state. */
#define API_WATCH_STEP_EVENTS 1000
#define API_WATCH_STEP_BYTES  (128u << 10)

/* A stream's walk over the state. */
struct api_watch_scan {
	struct kv_scan scan;
	struct api_watch *watch;
	size_t bytes; /* of this step */
};

/* call->work of those who watch: some 200 bytes, beside the call. */
struct api_watch {
	struct api_hub_watcher watcher;
	struct api_call *call;
	uint64_t sent_us; /* a stream: when something was last sent */
	uint64_t taken;   /* revision of the last event taken */
	uint64_t resume;  /* lost: where it goes on, or its client */
	bool lost;        /* what it was told of is not all; see `resume` */
	bool told;        /* a live stream: in this step of the hub, ... */
	bool keeps_up;    /* ... before which it had taken about all, as a long
	                     poll has: then it goes on from history itself */
	bool blocked;     /* a stream: see below */
	/* A stream that begins with the state. NULL: that is through. */
	struct api_watch_scan *scan;
	/* A long poll: its events, with commas between. */
	struct buf events;
	/* GET /kv/KEY?wait=: what answers it, and its operation of before. */
	void (*serve)(struct api_call *call);
	const struct api_operation *operation;
};

struct api_watches {
	struct api_hub *hub;
	/* Calls, by call->link. Those that step are in api->stepping. */
	struct list streams; /* live; the one that sent nothing for longest
	                        comes first */
	struct list polls;   /* that wait for an event */
	size_t polled_bytes; /* told to them in this step of the hub */
	struct list blocked; /* streams whose client has to read first */
	struct buf members;  /* of an event, and ... */
	struct buf previous;
	struct buf text; /* ... of what a step sends: empty between calls */
	struct metric *overflows;
	struct metric *events;
};

/*
 * The call begins to watch what its query and its key ask for, if it has one;
 * watcher.after is `after`. NULL: there are too many; answered. It leaves when
 * the call is freed.
 */
struct api_watch *api_watch_new(struct api_call *call,
    const struct api_hub_ops *ops, enum api_form form, uint64_t after);
/* Answers that events behind since= are gone. */
void api_watch_fail_compacted(struct api_call *call);

/* The next part of history for a watcher that is behind, at most one step:
 * what it is about goes to `tell` with `context`, and watcher.after goes on.
 * ERR_COMPACTED, and errors after which the node stops. */
int api_watch_read(struct api_watch *watch, kv_event_function tell,
    void *context) ATTR_MUST_CHECK;
/* Appends an event as it is shown to this watcher. */
void api_watch_append(struct api_watch *watch, struct buf *to,
    const struct kv_event *event, struct api_event_room *room);

/* The begin of a watch whose query is sound: behind since= or, unless it
 * `resumes`, at the present. */
void api_stream_begin(struct api_call *call, bool sse, bool resumes);
void api_poll_begin(struct api_call *call, bool resumes);

/* Says that the stream is alive, and how far it is. */
void api_stream_progress(struct api_watch *watch, uint64_t now_us);
/* Ends it, with a line that says from where to go on at another node. */
void api_stream_close(struct api_watch *watch);

#endif
