#include "api/api_watch.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/text.h"
#include "net/http_uri.h"
#include <inttypes.h>
#include <stdlib.h>

#define WATCH_PREFIX_SIZE (sizeof("/watch/") - 1)

/*
 *	GET /watch?...            which way?
 *	  wait=                   a long poll
 *	  text/event-stream       a stream of server-sent events
 *	  else                    a stream of lines
 *
 * Without since= a watch begins when a quorum has confirmed that this node has
 * all that was acknowledged before. With since= it begins at once: it is told
 * of everything behind that revision, whenever it comes. Only a revision that
 * is not here yet makes it ask a quorum as well, since if the cluster has not
 * come to it, it is of another cluster, and waiting for it would be silence.
 */

/* ---- What is asked for ---- */

static bool
is_given(const struct api_call *call, uint64_t parameter)
{
	return (call->query.given & parameter) != 0;
}

/* A browser that reconnects repeats the URL, and adds where it is by now. */
static bool
take_last_event_id(struct api_call *call)
{
	struct slice id = http_request_header(call->request, "Last-Event-ID");

	if (id.size == 0)
		return true;
	if (text_parse_u64(id, &call->query.since) != 0) {
		api_fail(call, API_BAD_REQUEST,
		    "it is the id of the last event received",
		    "Last-Event-ID is not a revision");
		return false;
	}
	call->query.given |= API_QUERY_SINCE;
	return true;
}

static bool
refuse_combination(struct api_call *call)
{
	bool is_range = is_given(call, API_QUERY_START | API_QUERY_END);

	if (is_given(call, API_QUERY_PREFIX) && is_range)
		api_fail(call, API_BAD_REQUEST, "give one of them",
		    "prefix, and start with end, exclude each other");
	else if (is_given(call, API_QUERY_WAIT) && call->query.snapshot)
		api_fail(call, API_BAD_REQUEST,
		    "leave out wait, or list the keys with GET /kv first",
		    "only a stream, which is one without wait, begins with a "
		    "snapshot");
	else if (is_given(call, API_QUERY_END) &&
		 slice_compare(call->query.start, call->query.end) >= 0)
		api_fail(call, API_BAD_REQUEST,
		    "start is the first key, and end the one behind the last",
		    "no key is at or behind start and before end");
	else
		return false;
	return true;
}

static bool
refuse_size(struct api_call *call)
{
	const struct api_query *query = &call->query;

	if (query->prefix.size <= KV_KEY_SIZE_MAX &&
	    query->start.size <= KV_KEY_SIZE_MAX &&
	    query->end.size <= KV_KEY_SIZE_MAX)
		return false;
	api_fail(call, API_BAD_REQUEST, NULL,
	    "prefix, start and end have at most %d bytes, as keys have",
	    KV_KEY_SIZE_MAX);
	return true;
}

static bool
refuse_too_many(struct api_call *call)
{
	struct api *api = call->api;
	struct api_problem *problem;

	if (api_hub_count(api->watches->hub) < api->params.watchers_max)
		return false;
	problem = api_problem(api, API_TOO_MANY_WATCHERS);
	buf_printf(&problem->detail,
	    "%s serves %" PRIu32 " watchers already, as many as it may",
	    api->params.node, api->params.watchers_max);
	buf_append_text(&problem->hint,
	    "ask another node, or raise http.max-watchers on every node");
	api_problem_u64(problem, "limit", api->params.watchers_max);
	api_problem_text(problem, "option", "http.max-watchers");
	api_reply_problem(call, problem);
	return true;
}

/* ---- Positions that are none ---- */

/* The target again, but with snapshot=1 and not from a place that is gone. */
static void
append_next(struct api_call *call, struct buf *to)
{
	static const char *const left_out[] = { "since", "wait", "snapshot" };
	struct slice rest = call->request->query;
	struct http_query_parameter parameter;

	http_target_encode(call->request->path, to);
	buf_append_text(to, "?");
	while (http_query_next(&rest, &parameter)) {
		bool shown = true;

		for (size_t i = 0; i < ARRAY_COUNT(left_out); i++)
			shown = shown && !slice_equal(parameter.name,
					     slice_from_text(left_out[i]));
		if (!shown)
			continue;
		http_target_encode(parameter.name, to);
		buf_append_text(to, "=");
		http_target_encode(parameter.value, to);
		buf_append_text(to, "&");
	}
	buf_append_text(to, "snapshot=1");
}

void
api_watch_fail_compacted(struct api_call *call)
{
	struct api_problem *problem = api_problem_compacted(call->api);
	struct buf next = { 0 };

	append_next(call, &next);
	buf_append(&next, "", 1);
	api_problem_text(problem, "next", (const char *)next.data);
	buf_release(&next);
	buf_append_text(&problem->hint, "repeat with snapshot=1");
	if (is_given(call, API_QUERY_WAIT))
		buf_append_text(&problem->hint,
		    " and without wait, or list the keys with GET /kv and go "
		    "on with since= the revision of the list");
	api_reply_problem(call, problem);
}

static void
fail_future(struct api_call *call)
{
	uint64_t revision = kv_revision(node_kv(call->api->node));
	struct api_problem *problem = api_problem(call->api, API_BAD_REQUEST);

	buf_printf(&problem->detail,
	    "since=%" PRIu64 " is not there yet: the revision is %" PRIu64,
	    call->query.since, revision);
	buf_append_text(&problem->hint,
	    "is it of another cluster, or of before a restore? Compare "
	    "Luminous-Cluster, and begin with snapshot=1");
	api_problem_u64(problem, "current", revision);
	api_reply_problem(call, problem);
}

/* ---- The begin ---- */

static void
begin(struct api_call *call)
{
	bool resumes = is_given(call, API_QUERY_SINCE);

	if (resumes &&
	    call->query.since < kv_compacted(node_kv(call->api->node))) {
		if (!call->query.snapshot) {
			api_watch_fail_compacted(call);
			return;
		}
		resumes = false;
	}
	if (is_given(call, API_QUERY_WAIT))
		api_poll_begin(call, resumes);
	else
		api_stream_begin(call,
		    api_header_lists(
			call->request, "Accept", "text/event-stream"),
		    resumes);
}

static bool
is_future(const struct api_call *call)
{
	return is_given(call, API_QUERY_SINCE) &&
	       call->query.since > kv_revision(node_kv(call->api->node));
}

/* This node has all that was committed when the request came. */
static void
serve(struct api_call *call)
{
	if (is_future(call) && !call->query.stale) {
		if (!call->query.snapshot) {
			fail_future(call);
			return;
		}
		call->query.given &= ~API_QUERY_SINCE;
	}
	begin(call);
}

/* No quorum in time: a client that resumes waits for it here. */
static void
begin_unconfirmed(struct api_call *call)
{
	if (!api_fail_unless_member(call))
		begin(call);
}

static void
ask(struct api_call *call)
{
	static const struct api_operation at_present = {
		.serve = serve,
		.waited = api_read_waited,
	};
	static const struct api_operation behind_since = {
		.serve = serve,
		.waited = api_read_waited,
		.given_up = begin_unconfirmed,
	};
	bool resumes;

	if (!take_last_event_id(call) || refuse_combination(call) ||
	    refuse_size(call) || refuse_too_many(call))
		return;
	resumes = is_given(call, API_QUERY_SINCE);
	if (!resumes || is_future(call)) {
		api_read(call, resumes ? &behind_since : &at_present);
		return;
	}
	call->operation = &behind_since;
	begin_unconfirmed(call);
}

void
api_watch_get(struct api_call *call)
{
	ask(call);
}

void
api_watch_key_get(struct api_call *call)
{
	if (api_take_name(call, WATCH_PREFIX_SIZE, KV_KEY_SIZE_MAX, "key"))
		ask(call);
}

/* ---- Watches ---- */

static void
free_watch(struct api_call *call)
{
	struct api_watch *watch = call->work;

	api_hub_leave(call->api->watches->hub, &watch->watcher);
	if (watch->scan != NULL)
		kv_scan_release(&watch->scan->scan);
	free(watch->scan);
	buf_release(&watch->events);
	free(watch);
}

static void
attach(struct api_hub *hub, struct api_watch *watch)
{
	const struct api_call *call = watch->call;
	const struct api_query *query = &call->query;

	if (call->key.size > 0)
		api_hub_attach_key(hub, &watch->watcher, buf_slice(&call->key));
	else if (is_given(call, API_QUERY_START | API_QUERY_END))
		api_hub_attach_range(
		    hub, &watch->watcher, query->start, query->end);
	else
		api_hub_attach_prefix(hub, &watch->watcher, query->prefix);
}

struct api_watch *
api_watch_new(struct api_call *call, const struct api_hub_ops *ops,
    enum api_form form, uint64_t after)
{
	struct api_watch *watch;

	if (refuse_too_many(call))
		return NULL;
	watch = mem_zalloc(1, sizeof(*watch));
	watch->call = call;
	watch->watcher.ops = ops;
	watch->watcher.form = form;
	watch->watcher.previous = call->query.prev;
	watch->watcher.after = after;
	call->work = watch;
	call->work_free = free_watch;
	attach(call->api->watches->hub, watch);
	return watch;
}

int
api_watch_read(struct api_watch *watch, kv_event_function tell, void *context)
{
	struct api *api = watch->call->api;
	uint64_t until = api_hub_revision(api->watches->hub);
	int rc = kv_read_events(node_kv(api->node),
	    api_hub_range(&watch->watcher), until, API_WATCH_STEP_EVENTS,
	    API_WATCH_STEP_BYTES, tell, context, &watch->watcher.after);

	if (rc != 0 && rc != ERR_COMPACTED)
		node_fail(api->node, rc, "reading history");
	return rc;
}

void
api_watch_append(struct api_watch *watch, struct buf *to,
    const struct kv_event *event, struct api_event_room *room)
{
	struct api *api = watch->call->api;
	struct api_watches *watches = api->watches;

	buf_reset(&watches->members);
	buf_reset(&watches->previous);
	api_event_append_members(api, &watches->members, event, room);
	if (watch->watcher.previous)
		api_event_append_previous(api, &watches->previous, event, room);
	api_event_append(to, watch->watcher.form, event->type, event->revision,
	    event->more, buf_slice(&watches->members),
	    buf_slice(&watches->previous));
	metric_add(watches->events, 1);
}

/* ---- Of the api ---- */

void
api_watches_init(struct api *api)
{
	struct api_watches *watches = mem_zalloc(1, sizeof(*watches));

	api->watches = watches;
	watches->hub = api_hub_new(api);
	list_init(&watches->streams);
	list_init(&watches->polls);
	list_init(&watches->blocked);
	watches->overflows = metric_register(METRIC_COUNTER,
	    "luminous_watch_overflows_total", NULL,
	    "Watches ended that did not keep up, or whose history was gone.");
	watches->events = metric_register(METRIC_COUNTER,
	    "luminous_watch_events_total", NULL, "Events sent to watchers.");
}

void
api_watches_release(struct api *api)
{
	struct api_watches *watches = api->watches;

	api_hub_free(watches->hub);
	buf_release(&watches->members);
	buf_release(&watches->previous);
	buf_release(&watches->text);
	free(watches);
}

size_t
api_watches_count(const struct api *api)
{
	return api_hub_count(api->watches->hub);
}

void
api_watches_step(struct api *api)
{
	api_hub_step(api->watches->hub);
}

static struct api_watch *
first_stream(const struct api_watches *watches)
{
	struct list *first = watches->streams.next;

	return first == &watches->streams
		   ? NULL
		   : CONTAINER_OF(first, struct api_call, link)->work;
}

uint64_t
api_watches_deadline(const struct api *api)
{
	const struct api_watch *first = first_stream(api->watches);

	if (api_hub_has_more(api->watches->hub))
		return loop_now(api->loop);
	return first == NULL ? RAFT_NEVER
			     : first->sent_us + API_WATCH_PROGRESS_US;
}

void
api_watches_expire(struct api *api, uint64_t now_us)
{
	struct api_watch *first;

	while ((first = first_stream(api->watches)) != NULL &&
	       first->sent_us + API_WATCH_PROGRESS_US <= now_us)
		api_stream_progress(first, now_us);
}

static void
end_streams(struct list *calls)
{
	while (!list_empty(calls))
		api_stream_close(
		    CONTAINER_OF(calls->next, struct api_call, link)->work);
}

/* Those that step see it at their next one. */
void
api_watches_close(struct api *api)
{
	struct api_watches *watches = api->watches;

	end_streams(&watches->streams);
	end_streams(&watches->blocked);
	while (!list_empty(&watches->polls))
		api_give_up(
		    CONTAINER_OF(watches->polls.next, struct api_call, link));
}
