#include "api/api_watch.h"
#include "common/err.h"
#include <inttypes.h>

/*
 * A long poll: one answer with the events behind since=, as soon as there are
 * any, and with none when its time is over. Its revision is the next since=.
 *
 * Each has a copy of what it is told. Where all of them are told of more than
 * API_WATCH_POLLED_MAX at once, some let go what they have, and read it from
 * history by turns, each a part that fits into one step.
 */

static struct api_watch *
watch_of(struct api_hub_watcher *watcher)
{
	return CONTAINER_OF(watcher, struct api_watch, watcher);
}

/* It is nowhere any more. */
static void
reply(struct api_watch *watch, uint64_t revision)
{
	struct api_call *call = watch->call;
	struct buf *body = api_body(call->api);

	buf_printf(body, "{\"revision\":%" PRIu64 ",\"events\":[", revision);
	buf_append_slice(body, buf_slice(&watch->events));
	buf_append_text(body, "]}\n");
	api_reply_begin(call, 200);
	http_reply_header(
	    call->request, "Content-Type", slice_from_text("application/json"));
	http_reply_header(
	    call->request, "Cache-Control", slice_from_text("no-store"));
	api_reply_end(call, buf_slice(body));
}

static uint64_t
position(struct api_watch *watch)
{
	return api_hub_position(
	    watch->call->api->watches->hub, &watch->watcher);
}

/* A line is an event and a newline. */
static void
append_line(struct api_watch *watch, struct slice line)
{
	if (watch->events.size > 0)
		buf_append_text(&watch->events, ",");
	buf_append(&watch->events, line.data, line.size - 1);
}

/* What is told by the hub is in memory for all until they are settled. */
static void
let_go(struct api_watch *watch)
{
	watch->call->api->watches->polled_bytes -= watch->events.size;
}

static void
take(struct api_hub_watcher *watcher, uint64_t revision, bool more,
    struct slice text)
{
	struct api_watch *watch = watch_of(watcher);
	struct api_watches *watches = watch->call->api->watches;
	size_t before = watch->events.size;

	(void)more; /* it is in the text */
	if (watch->lost)
		return;
	if (before == 0)
		watch->resume = revision - 1;
	if (watches->polled_bytes + text.size > API_WATCH_POLLED_MAX) {
		watch->lost = true;
		watch->keeps_up = true;
		let_go(watch);
		buf_release(&watch->events);
		return;
	}
	append_line(watch, text);
	watches->polled_bytes += watch->events.size - before;
	metric_add(watches->events, 1);
}

static void
lose(struct api_hub_watcher *watcher, uint64_t revision)
{
	struct api_watch *watch = watch_of(watcher);

	(void)revision; /* the client knows it */
	watch->lost = true;
	watch->keeps_up = false;
}

/* It is all in history still. */
static void
go_back(struct api_watch *watch)
{
	struct api_call *call = watch->call;

	api_hub_pause(call->api->watches->hub, &watch->watcher);
	watch->watcher.after = watch->resume;
	watch->lost = false;
	api_step(call);
}

static void
settle(struct api_hub_watcher *watcher)
{
	struct api_watch *watch = watch_of(watcher);
	uint64_t revision = position(watch);

	let_go(watch);
	api_cancel(watch->call);
	if (watch->lost && watch->keeps_up)
		go_back(watch);
	else if (watch->lost)
		api_watch_fail_compacted(watch->call);
	else
		reply(watch, revision);
}

static const struct api_hub_ops poll_ops = { take, lose, settle };

static void
go_on(struct api_watch *watch)
{
	struct api_call *call = watch->call;
	struct api_watches *watches = call->api->watches;

	if (call->api->draining) {
		reply(watch, watch->watcher.after);
		return;
	}
	if (watch->watcher.after < api_hub_revision(watches->hub)) {
		api_step(call);
		return;
	}
	api_hub_go_live(watches->hub, &watch->watcher);
	call->way = API_STREAMING;
	list_push(&watches->polls, &call->link);
}

struct history_step {
	struct api_watch *watch;
	struct api_event_room room;
};

static void
append_event(void *context, const struct kv_event *event)
{
	struct history_step *step = context;
	struct api_watch *watch = step->watch;
	struct buf *text = &watch->call->api->watches->text;

	buf_reset(text);
	api_watch_append(watch, text, event, &step->room);
	append_line(watch, buf_slice(text));
}

static void
step(struct api_call *call)
{
	struct api_watch *watch = call->work;
	struct history_step step = { .watch = watch };

	if (api_watch_read(watch, append_event, &step) != 0)
		api_watch_fail_compacted(call);
	else if (watch->events.size > 0)
		reply(watch, watch->watcher.after);
	else
		go_on(watch);
}

/* The time is over, or the node shuts down. */
static void
give_up(struct api_call *call)
{
	struct api_watch *watch = call->work;

	reply(watch, position(watch));
}

void
api_poll_begin(struct api_call *call, bool resumes)
{
	static const struct api_operation operation = {
		.step = step,
		.given_up = give_up,
	};
	uint64_t present = kv_revision(node_kv(call->api->node));
	struct api_watch *watch = api_watch_new(call, &poll_ops, API_FORM_LINES,
	    resumes ? call->query.since : present);

	if (watch == NULL)
		return;
	call->operation = &operation;
	http_request_abandon_early(call->request);
	api_deadline_set(call, loop_now(call->api->loop) + call->query.wait_us);
	go_on(watch);
}
