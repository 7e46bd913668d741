#include "api/api_watch.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/panic.h"
#include <inttypes.h>
#include <stdlib.h>

/*
 * A stream goes through up to three phases:
 *
 *	snapshot   the state at a pinned revision, in steps
 *	history    events up to the hub's revision, in steps
 *	live       the hub tells of the rest
 *
 * In the first two the stream sets the pace: while the client has much to read,
 * it is blocked. In the third the writers do, and a client that does not keep
 * up is let go: it comes back with the revision it has got, to the second. One
 * that does, but is told of more at once than may be unsent, goes there itself.
 */

/* Keys looked at in one step. */
#define SCAN_KEYS_MAX 1000

static struct api_watch *
watch_of(struct api_hub_watcher *watcher)
{
	return CONTAINER_OF(watcher, struct api_watch, watcher);
}

static struct buf *
empty_text(struct api_watch *watch)
{
	struct buf *text = &watch->call->api->watches->text;

	buf_reset(text);
	return text;
}

static uint64_t
position(struct api_watch *watch)
{
	return api_hub_position(
	    watch->call->api->watches->hub, &watch->watcher);
}

/* ---- The end ---- */

static void
end(struct api_watch *watch, const char *type, uint64_t resume)
{
	struct api_call *call = watch->call;
	struct http_request *request = call->request;
	struct buf *text = empty_text(watch);

	api_event_append_end(text, watch->watcher.form, type, resume);
	(void)http_reply_part(request, buf_slice(text));
	api_cancel(call);
	api_call_free(call);
	http_reply_finish(request);
}

static void
overflow(struct api_watch *watch, uint64_t resume)
{
	metric_add(watch->call->api->watches->overflows, 1);
	end(watch, "overflow", resume);
}

void
api_stream_close(struct api_watch *watch)
{
	end(watch, "closing", watch->scan != NULL ? 0 : position(watch));
}

/* ---- Live ---- */

static void go_on(struct api_watch *watch, bool room);

static void
go_live(struct api_watch *watch)
{
	struct api_call *call = watch->call;
	struct api_watches *watches = call->api->watches;

	api_hub_go_live(watches->hub, &watch->watcher);
	call->way = API_STREAMING;
	watch->sent_us = loop_now(call->api->loop);
	list_push(&watches->streams, &call->link);
}

/* It is the last in the order of silence. */
static void
send_live(struct api_watch *watch, struct slice text, uint64_t now_us)
{
	struct api_call *call = watch->call;

	(void)http_reply_part(call->request, text);
	watch->sent_us = now_us;
	list_remove(&call->link);
	list_push(&call->api->watches->streams, &call->link);
}

/* Is there too much to send to this one already? */
static bool
is_full(const struct api_watch *watch)
{
	const struct http_request *request = watch->call->request;

	return http_reply_unsent(request) > API_WATCH_UNSENT_MAX ||
	       (watch->keeps_up && http_reply_is_crowded(request));
}

static void
take(struct api_hub_watcher *watcher, uint64_t revision, bool more,
    struct slice text)
{
	struct api_watch *watch = watch_of(watcher);
	struct api_call *call = watch->call;

	(void)more; /* it is in the text */
	if (watch->lost)
		return;
	if (!watch->told)
		watch->keeps_up =
		    http_reply_unsent(call->request) < HTTP_DRAINED_SIZE;
	watch->told = true;
	/* A revision is sent whole, or not at all. */
	if (watch->taken != revision && is_full(watch)) {
		watch->lost = true;
		watch->resume = revision - 1;
		return;
	}
	watch->taken = revision;
	send_live(watch, text, loop_now(call->api->loop));
	metric_add(call->api->watches->events, 1);
}

static void
lose(struct api_hub_watcher *watcher, uint64_t revision)
{
	struct api_watch *watch = watch_of(watcher);

	watch->lost = true;
	watch->keeps_up = false;
	watch->resume = revision;
}

/* The rest comes from history, at the client's pace. */
static void
go_back(struct api_watch *watch)
{
	struct api_call *call = watch->call;

	api_cancel(call);
	api_hub_pause(call->api->watches->hub, &watch->watcher);
	watch->watcher.after = watch->resume;
	watch->lost = false;
	go_on(watch, http_reply_part(call->request, slice_from_text("")));
}

static void
settle(struct api_hub_watcher *watcher)
{
	struct api_watch *watch = watch_of(watcher);

	watch->told = false;
	if (watch->lost && watch->keeps_up)
		go_back(watch);
	else if (watch->lost)
		overflow(watch, watch->resume);
}

static const struct api_hub_ops stream_ops = { take, lose, settle };

void
api_stream_progress(struct api_watch *watch, uint64_t now_us)
{
	struct buf *text = empty_text(watch);

	/* What waits to be read is sign enough. */
	if (http_reply_unsent(watch->call->request) == 0)
		api_event_append_progress(
		    text, watch->watcher.form, position(watch));
	send_live(watch, buf_slice(text), now_us);
}

/* ---- Steps ---- */

/* After a step; `room`: the client takes more. */
static void
go_on(struct api_watch *watch, bool room)
{
	struct api_call *call = watch->call;
	struct api_watches *watches = call->api->watches;

	watch->blocked = false;
	if (call->api->draining) {
		api_stream_close(watch);
		return;
	}
	if (watch->scan == NULL &&
	    watch->watcher.after >= api_hub_revision(watches->hub)) {
		go_live(watch);
		return;
	}
	if (room) {
		api_step(call);
		return;
	}
	watch->blocked = true;
	call->way = API_STREAMING;
	list_push(&watches->blocked, &call->link);
}

struct history_step {
	struct api_watch *watch;
	struct buf *text;
	struct api_event_room room;
};

static void
append_event(void *context, const struct kv_event *event)
{
	struct history_step *step = context;

	api_watch_append(step->watch, step->text, event, &step->room);
}

static void
step_history(struct api_watch *watch)
{
	struct history_step step = { .watch = watch,
		.text = empty_text(watch) };
	int rc = api_watch_read(watch, append_event, &step);

	if (rc != 0) {
		overflow(watch, watch->watcher.after);
		return;
	}
	go_on(
	    watch, http_reply_part(watch->call->request, buf_slice(step.text)));
}

static enum kv_scan_next
take_key(struct kv_scan *kv_scan, struct slice key, const struct kv_item *item)
{
	struct api_watch_scan *scan =
	    CONTAINER_OF(kv_scan, struct api_watch_scan, scan);
	struct api_watch *watch = scan->watch;
	struct api *api = watch->call->api;
	struct buf *members = &api->watches->members;

	buf_reset(members);
	api_append_item(
	    api, members, key, item, API_ITEM_VALUE | API_ITEM_PAST);
	api_event_append_state(&api->watches->text, watch->watcher.form,
	    item->modified, buf_slice(members));
	scan->bytes += members->size;
	return scan->bytes >= API_WATCH_STEP_BYTES ? KV_SCAN_STOP : KV_SCAN_ON;
}

static void
end_snapshot(struct api_watch *watch)
{
	api_event_append_synced(&watch->call->api->watches->text,
	    watch->watcher.form, watch->watcher.after);
	kv_scan_release(&watch->scan->scan);
	free(watch->scan);
	watch->scan = NULL;
}

static void
step_snapshot(struct api_watch *watch)
{
	struct api *api = watch->call->api;
	struct buf *text = empty_text(watch);
	int rc;

	watch->scan->bytes = 0;
	rc =
	    kv_scan_step(node_kv(api->node), &watch->scan->scan, SCAN_KEYS_MAX);
	if (rc != 0) {
		if (rc != ERR_COMPACTED)
			node_fail(api->node, rc, "reading keys");
		/* Half a state is nothing to go on from. */
		overflow(watch, 0);
		return;
	}
	if (watch->scan->scan.ended)
		end_snapshot(watch);
	go_on(watch, http_reply_part(watch->call->request, buf_slice(text)));
}

static void
step(struct api_call *call)
{
	struct api_watch *watch = call->work;

	if (watch->scan != NULL)
		step_snapshot(watch);
	else
		step_history(watch);
}

static void
drained(struct api_call *call)
{
	struct api_watch *watch = call->work;

	/* A live stream does not wait for this, and a stepping one goes on. */
	if (watch->watcher.live || !watch->blocked)
		return;
	list_remove(&call->link);
	api_step(call);
}

/* ---- The begin ---- */

static void
begin_snapshot(struct api_watch *watch)
{
	struct api_watch_scan *scan = mem_zalloc(1, sizeof(*scan));

	scan->watch = watch;
	scan->scan.range = *api_hub_range(&watch->watcher);
	scan->scan.at = watch->watcher.after;
	scan->scan.take = take_key;
	watch->scan = scan;
}

static void
reply_head(struct api_call *call, bool sse)
{
	struct http_request *request = call->request;

	api_reply_begin(call, 200);
	http_reply_header(request, "Content-Type",
	    slice_from_text(
		sse ? "text/event-stream" : "application/x-ndjson"));
	http_reply_header(
	    request, "Cache-Control", slice_from_text("no-store"));
	/* nginx would collect what is meant to arrive now. */
	http_reply_header(request, "X-Accel-Buffering", slice_from_text("no"));
	http_reply_header(request, "Vary", slice_from_text("Accept"));
	api_observe_reply(call);
	api_reply_stream(call);
}

/* When to connect again, and from where if no event comes before. */
static void
append_greeting(struct buf *text, const struct api_watch *watch)
{
	if (watch->watcher.form != API_FORM_SSE)
		return;
	buf_append_text(text, "retry: 2000\n");
	if (watch->scan == NULL)
		buf_printf(text, "id: %" PRIu64 "\n\n", watch->watcher.after);
}

/* What was only needed to begin. */
static void
release_query(struct api_call *call)
{
	struct api_query *query = &call->query;

	query->prefix = query->start = query->end = slice_of(NULL, 0);
	buf_release(&call->query_bytes);
	buf_release(&call->key);
}

void
api_stream_begin(struct api_call *call, bool sse, bool resumes)
{
	static const struct api_operation operation = {
		.step = step,
		.drained = drained,
	};
	uint64_t present = kv_revision(node_kv(call->api->node));
	struct api_watch *watch = api_watch_new(call, &stream_ops,
	    sse ? API_FORM_SSE : API_FORM_LINES,
	    resumes ? call->query.since : present);
	struct buf *text;

	if (watch == NULL)
		return;
	call->operation = &operation;
	if (call->query.snapshot && !resumes)
		begin_snapshot(watch);
	release_query(call);
	reply_head(call, sse);
	text = empty_text(watch);
	append_greeting(text, watch);
	go_on(watch, http_reply_part(call->request, buf_slice(text)));
}
