#include "api/api_impl.h"
#include "api/api_watches.h"
#include "common/clock.h"
#include "common/mem.h"
#include "common/panic.h"
#include "common/text.h"
#include <stdlib.h>

struct api *
api_new(struct loop *loop, const struct api_params *params, struct node *node,
    struct peers *peers)
{
	struct api *api = mem_zalloc(1, sizeof(*api));

	api->loop = loop;
	api->params = *params;
	api->node = node;
	api->peers = peers;
	api->retry_us = RAFT_NEVER;
	api->started_wall_us = clock_wall_us();
	list_init(&api->spare);
	list_init(&api->parked);
	list_init(&api->forwarded);
	list_init(&api->waiting);
	list_init(&api->stepping);
	list_init(&api->inactive);
	list_init(&api->returned);
	rng_init(&api->rng, params->seed);
	api_metrics_init(api);
	api_watches_init(api);
	api_on_change(api);
	return api;
}

void
api_free(struct api *api)
{
	if (api == NULL)
		return;
	ASSERT(api->calls_count == 0);
	api_watches_release(api);
	api_forget_locks(api);
	api_calls_release(api);
	api_metrics_release(api);
	buf_release(&api->problem.detail);
	buf_release(&api->problem.hint);
	buf_release(&api->problem.members);
	buf_release(&api->body);
	buf_release(&api->scratch);
	buf_release(&api->command);
	buf_release(&api->target);
	buf_release(&api->headers);
	free(api);
}

uint64_t
api_body_max(struct api *api, const struct http_request *request)
{
	unsigned allowed;
	const struct api_route *route = api_route_find(request, &allowed);

	if (route == NULL)
		return 0;
	if ((route->flags & API_ROUTE_JSON) != 0)
		return API_JSON_BYTES_MAX;
	return (route->flags & API_ROUTE_VALUE) != 0
		   ? api->params.value_bytes_max
		   : 0;
}

bool
api_streams_body(struct api *api, const struct http_request *request)
{
	unsigned allowed;
	const struct api_route *route = api_route_find(request, &allowed);

	(void)api; /* the same for every api */
	return route != NULL && (route->flags & API_ROUTE_STREAM) != 0;
}

void
api_body_part(
    struct api *api, struct http_request *request, struct slice part, bool last)
{
	struct api_call *call = request->context;

	ASSERT(call->api == api);
	call->operation->body(call, part, last);
}

void
api_drained(struct api *api, struct http_request *request)
{
	struct api_call *call = request->context;

	ASSERT(call->api == api);
	call->operation->drained(call);
}

bool
api_reserved(struct api *api, const struct http_request *request)
{
	unsigned allowed;
	const struct api_route *route = api_route_find(request, &allowed);

	(void)api; /* the same for every api */
	return route != NULL && (route->flags & API_ROUTE_HEALTH) != 0;
}

static bool
is_change(const struct http_request *request)
{
	return request->method == HTTP_PUT || request->method == HTTP_DELETE ||
	       request->method == HTTP_POST;
}

/* "http://HOST:PORT" against "HOST:PORT"; an opaque origin is "null". */
static bool
is_other_origin(const struct http_request *request)
{
	struct slice origin = http_request_header(request, "Origin");
	struct slice host = http_request_header(request, "Host");
	size_t scheme_size;

	if (origin.data == NULL)
		return false;
	if (origin.size < host.size + sizeof("://") - 1)
		return true;
	scheme_size = origin.size - host.size;
	return memcmp(origin.data + scheme_size - 3, "://", 3) != 0 ||
	       !slice_equal(
		   slice_of(origin.data + scheme_size, host.size), host);
}

/*
 * A page of another site makes its visitor's browser write here. Browsers say
 * so (Fetch Metadata; older ones, and those that see a plain-text site, send
 * Origin alone), and nobody else does.
 */
static bool
refuse_cross_site(struct api_call *call)
{
	const struct http_request *request = call->request;

	if (!is_change(request) ||
	    (!slice_equal(http_request_header(request, "Sec-Fetch-Site"),
		 slice_from_text("cross-site")) &&
		!is_other_origin(request)))
		return false;
	api_fail(call, API_FORBIDDEN, NULL,
	    "a page of another site may not change keys");
	return true;
}

static bool
refuse_cluster(struct api_call *call)
{
	struct api *api = call->api;
	struct slice asked =
	    http_request_header(call->request, "Luminous-Cluster");
	struct slice own;

	if (asked.data == NULL)
		return false;
	own = api_cluster_id(api);
	if (own.size == 0 || slice_equal(asked, own))
		return false;
	api_fail(call, API_WRONG_CLUSTER, "Luminous-Cluster takes its id",
	    "this is the cluster %s with the id %.*s", api->params.cluster,
	    (int)own.size, (const char *)own.data);
	return true;
}

/* Conditions and promises that must not be passed over in silence. */
static bool
refuse_headers(struct api_call *call)
{
	static const struct {
		const char *name;
		unsigned flag; /* of a route that honours it */
	} headers[] = {
		{ "If-Match", API_ROUTE_CONDITION },
		{ "If-None-Match", API_ROUTE_CONDITION },
		{ "Idempotency-Key", API_ROUTE_IDENTITY },
		{ "Content-Range", 0 },
	};

	if (!is_change(call->request))
		return false;
	for (size_t i = 0; i < ARRAY_COUNT(headers); i++) {
		if ((call->route->flags & headers[i].flag) != 0)
			continue;
		if (http_request_header(call->request, headers[i].name).data ==
		    NULL)
			continue;
		api_fail(call, API_NOT_IMPLEMENTED, "leave the header out",
		    "%s cannot be honoured for %s, so nothing was done",
		    headers[i].name, http_method_name(call->request->method));
		return true;
	}
	return false;
}

/* A value comes back as it was sent, and nothing would say that it is packed;
 * what is JSON is not unpacked either. */
static bool
refuse_coding(struct api_call *call)
{
	struct slice coding =
	    http_request_header(call->request, "Content-Encoding");

	if (!is_change(call->request) || coding.data == NULL ||
	    http_name_is(coding, "identity"))
		return false;
	api_fail(call, API_MEDIA_TYPE,
	    "leave the header out: a value may be any bytes, and is kept as "
	    "they are",
	    "Content-Encoding is not kept with a value, nor undone here");
	return true;
}

static bool
refuse_draining(struct api_call *call)
{
	if (!call->api->draining ||
	    (call->route->flags & API_ROUTE_HEALTH) != 0)
		return false;
	api_fail(call, API_SHUTTING_DOWN, "ask another node",
	    "%s is shutting down", call->api->params.node);
	return true;
}

/* They last for minutes: without a limit they would take every connection. */
static bool
refuse_patient(struct api_call *call)
{
	if ((call->route->flags & API_ROUTE_PATIENT) == 0 ||
	    call->query.wait_us == 0 ||
	    api_count_call(call, &call->api->patient_count, API_WAITS_MAX))
		return false;
	api_fail(call, API_BUSY, "repeat it later, or without wait",
	    "too many requests wait for members already");
	return true;
}

/* Only the word of a member that proved itself counts. */
static bool
is_forwarded(const struct http_request *request)
{
	return peers_proved(request) != 0 &&
	       http_request_header(request, "Luminous-Forwarded-By").data !=
		   NULL;
}

void
api_request(struct api *api, struct http_request *request)
{
	struct api_call *call = api_call_new(api, request);
	unsigned allowed;

	call->route = api_route_find(request, &allowed);
	if (call->route == NULL) {
		api_reply_unrouted(call, allowed);
		return;
	}
	call->local = is_forwarded(request);
	if (refuse_draining(call) || refuse_cross_site(call) ||
	    refuse_cluster(call) || refuse_headers(call) ||
	    refuse_coding(call) || !api_query_parse(call) ||
	    refuse_patient(call))
		return;
	call->route->handle(call);
}

void
api_abandoned(struct api *api, struct http_request *request)
{
	struct api_call *call = request->context;

	ASSERT(call->api == api);
	api_cancel(call);
	api_call_free(call);
}

static void
fail_value_too_large(struct api_call *call)
{
	uint64_t limit = call->api->params.value_bytes_max;
	struct api_problem *problem =
	    api_problem(call->api, API_BODY_TOO_LARGE);

	buf_append_text(&problem->detail, "the value is larger than ");
	text_append_size(&problem->detail, limit);
	buf_append_text(
	    &problem->hint, "http.max-value is the limit, on every node");
	api_problem_u64(problem, "limit", limit);
	api_problem_text(problem, "option", "http.max-value");
	api_reply_problem(call, problem);
}

static void
fail_json_too_large(struct api_call *call)
{
	struct api_problem *problem =
	    api_problem(call->api, API_BODY_TOO_LARGE);

	buf_append_text(&problem->detail, "the JSON is larger than ");
	text_append_size(&problem->detail, API_JSON_BYTES_MAX);
	buf_printf(&problem->hint,
	    "a transaction has at most that, and %d conditions and operations; "
	    "what need not happen at once goes into several",
	    KV_TRANSACTION_OPS_MAX);
	api_problem_u64(problem, "limit", API_JSON_BYTES_MAX);
	api_reply_problem(call, problem);
}

/* Of something that this node and the one which forwarded it may differ in. */
static bool
is_of_limits(enum http_refusal refusal)
{
	return refusal == HTTP_REFUSE_BODY_TOO_LARGE ||
	       refusal == HTTP_REFUSE_TARGET_TOO_LONG ||
	       refusal == HTTP_REFUSE_HEADERS_TOO_LARGE ||
	       refusal == HTTP_REFUSE_TOO_MANY_CONNECTIONS ||
	       refusal == HTTP_REFUSE_TOO_MUCH_INPUT;
}

void
api_refused(struct api *api, struct http_request *request,
    enum http_refusal refusal, const char *detail, uint64_t limit,
    const char *option)
{
	struct api_call *call = api_call_new(api, request);
	unsigned allowed = 0;

	call->unread = !is_of_limits(refusal);
	if (refusal != HTTP_REFUSE_BODY_TOO_LARGE || peers_owns(request)) {
		api_fail_refusal(call, refusal, detail, limit, option);
		return;
	}
	/* Where no value is taken at all, that is what has to be said. */
	call->route = api_route_find(request, &allowed);
	if (call->route != NULL &&
	    (call->route->flags & API_ROUTE_VALUE) != 0) {
		fail_value_too_large(call);
		return;
	}
	if (call->route != NULL && (call->route->flags & API_ROUTE_JSON) != 0) {
		fail_json_too_large(call);
		return;
	}
	call->unread = true; /* the path may not be the sender's either */
	if (call->route == NULL)
		api_reply_unrouted(call, allowed);
	else
		api_fail(call, API_BODY_TOO_LARGE,
		    "parameters go into the query, as in ?ttl=15s",
		    "%s takes no body here", http_method_name(request->method));
}

void
api_on_change(struct api *api)
{
	raft_id leader = node_leader(api->node);
	struct node_status status;

	node_get_status(api->node, loop_now(api->loop), &status);
	api->state = status.state;
	/* One that was removed hears nothing more of the others. */
	if (status.state != NODE_MEMBER)
		api_watches_close(api);
	if (leader != 0)
		peers_hasten_others(api->peers, leader);
	api_ask_leader_again(api);
}

void
api_on_turn(struct api *api)
{
	if (!list_empty(&api->waiting))
		api_look_at_waiting(api, false);
	api_return_locks(api);
}

void
api_on_pass(struct api *api)
{
	api_watches_step(api);
	api_take_steps(api);
}

/* They would outlast the time to drain. A lock goes back when its request does,
 * but a member that was added stays. */
static void
give_up_patient(struct api *api)
{
	struct list *node;
	struct list *following;

	LIST_EACH_SAFE(node, following, &api->forwarded) {
		struct api_call *call =
		    CONTAINER_OF(node, struct api_call, link);

		if (call->counted == NULL)
			continue;
		api_cancel(call);
		if (call->operation->start != NULL)
			api_fail_unknown(call);
		else
			api_fail(call, API_SHUTTING_DOWN, "ask another node",
			    "%s is shutting down", api->params.node);
	}
}

void
api_leave(struct api *api)
{
	api->leaving = true;
}

void
api_drain(struct api *api)
{
	api->draining = true;
	api_look_at_waiting(api, true);
	api_watches_close(api);
	api_await_no_client(api);
	give_up_patient(api);
}

bool
api_idle(const struct api *api)
{
	return api->calls_count == 0;
}

uint64_t
api_deadline(const struct api *api)
{
	const struct api_call *first = api_deadline_first(api);
	uint64_t deadline_us = MIN(api->retry_us, api_watches_deadline(api));

	if (!list_empty(&api->stepping))
		return loop_now(api->loop);
	return first == NULL ? deadline_us
			     : MIN(first->deadline_us, deadline_us);
}

void
api_expire(struct api *api, uint64_t now_us)
{
	struct api_call *first;

	while ((first = api_deadline_first(api)) != NULL &&
	       first->deadline_us <= now_us)
		api_give_up(first);
	api_watches_expire(api, now_us);
	if (api->retry_us <= now_us)
		api_ask_leader_again(api);
}
