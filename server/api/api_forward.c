#include "api/api_impl.h"
#include "common/err.h"
#include "common/text.h"
#include "net/http_uri.h"

/* What the leader needs to know of a client's request. */
static const char *const sent_headers[] = {
	"Accept",
	"Content-Type",
	"Idempotency-Key",
	"If-Match",
	"If-None-Match",
	"Luminous-Cluster",
	"Prefer",
};

/* What a client gets to see of the leader's answer; the rest is our own. */
static const char *const relayed_headers[] = {
	"Allow",
	"Content-Type",
	"ETag",
	"Idempotency-Replayed",
	"Link",
	"Location",
	"Luminous-Leader",
	"Luminous-Revision",
	"Preference-Applied",
	"Vary",
};

static void
relay(struct api_call *call, const struct http_client_reply *reply)
{
	api_reply_begin_relayed(call, reply->status);
	for (size_t i = 0; i < ARRAY_COUNT(relayed_headers); i++) {
		struct slice value =
		    http_header_get(reply->headers, relayed_headers[i]);

		/* A tab is allowed (RFC 9110, 5.5), but in none of ours. */
		if (value.data != NULL && http_text_is_clean(value))
			http_reply_header(
			    call->request, relayed_headers[i], value);
	}
	api_reply_end(call, reply->body);
}

/* No leader is waited for as long as one may wait for what wait= says. */
static void
park_again(struct api_call *call)
{
	api_deadline_set(
	    call, MIN(call->deadline_us,
		      loop_now(call->api->loop) + api_timeout(call)));
	api_park(call);
}

/*
 * It was sent, and no answer came. With an Idempotency-Key it is done once,
 * however often it is sent.
 */
static void
on_unknown(struct api_call *call)
{
	struct api *api = call->api;

	if (http_request_header(call->request, "Idempotency-Key").data ==
	    NULL) {
		metric_add(api->forwarded_unknown, 1);
		api_fail_unknown(call);
		return;
	}
	call->uncertain = true;
	metric_add(api->forwarded_repeated, 1);
	park_again(call);
}

static void
on_forwarded(
    void *context, int error, bool sent, const struct http_client_reply *reply)
{
	struct api_call *call = context;
	struct api *api = call->api;

	call->way = API_IDLE;
	list_remove(&call->link);
	if (error == 0 && reply->status != 503) {
		metric_add(api->forwarded_relayed, 1);
		relay(call, reply);
	} else if (error == 0 || !sent) {
		/* A 503 is a promise: nothing was applied. */
		metric_add(api->forwarded_repeated, 1);
		park_again(call);
	} else {
		on_unknown(call);
	}
}

static void
append_target(struct buf *to, const struct http_request *request)
{
	buf_reset(to);
	buf_append_slice(to, request->path);
	if (request->query.size == 0)
		return;
	buf_append_text(to, "?");
	buf_append_slice(to, request->query);
}

static bool
is_sent(const struct http_header *header)
{
	for (size_t i = 0; i < ARRAY_COUNT(sent_headers); i++) {
		if (http_name_is(header->name, sent_headers[i]))
			return true;
	}
	return false;
}

/* All lines of each: a list may be split over several. */
static void
append_headers(struct buf *to, const struct http_request *request)
{
	buf_reset(to);
	for (unsigned i = 0; i < request->headers->count; i++) {
		const struct http_header *header = &request->headers->header[i];

		if (!is_sent(header))
			continue;
		buf_append_slice(to, header->name);
		buf_append_text(to, ": ");
		buf_append_slice(to, header->value);
		buf_append_text(to, "\r\n");
	}
}

/* The leader has as long to begin to wait, and then waits. */
static uint64_t
deadline_there(const struct api_call *call)
{
	uint64_t wait_us = call->query.wait_us;

	return wait_us == 0
		   ? call->deadline_us
		   : call->request->received_us + api_timeout(call) + wait_us;
}

void
api_forward_as(struct api_call *call, raft_id leader, enum http_method method,
    struct slice body, http_client_reply_fn *fn)
{
	uint64_t deadline_us = deadline_there(call);
	struct api *api = call->api;
	int rc = peers_forward(api->peers, leader, method,
	    buf_slice(&api->target), buf_slice(&api->headers), body,
	    call->query.wait_us != 0, deadline_us, fn, call, &call->forward);

	if (rc == 0) {
		api_deadline_set(call, deadline_us);
		call->way = API_FORWARDED;
		list_push(&api->forwarded, &call->link);
	} else if (rc == ERR_BUSY) {
		api_fail(call, API_BUSY, "repeat it later",
		    "too many requests wait to be forwarded to %s already",
		    api_member_name(api, leader));
	} else {
		api_park(call);
	}
}

void
api_forward(struct api_call *call, raft_id leader)
{
	const struct http_request *request = call->request;

	append_target(&call->api->target, request);
	append_headers(&call->api->headers, request);
	api_forward_as(
	    call, leader, request->method, request->body, on_forwarded);
}

/* All parameters but redirect, as sent. */
static void
append_query(struct buf *to, struct slice query)
{
	struct http_query_parameter parameter;
	const char *before = "?";

	while (http_query_next(&query, &parameter)) {
		if (slice_equal(parameter.name, slice_from_text("redirect")))
			continue;
		buf_append_text(to, before);
		http_target_encode(parameter.name, to);
		if (parameter.value.data != NULL) {
			buf_append_text(to, "=");
			http_target_encode(parameter.value, to);
		}
		before = "&";
	}
}

/* 307 alone makes curl and the others repeat method and body. */
void
api_redirect(struct api_call *call, raft_id leader)
{
	const struct node_member *member =
	    node_find_member(call->api->node, leader);
	struct buf *location = &call->api->scratch;
	struct buf *body = api_body(call->api);

	if (member == NULL) {
		api_park(call);
		return;
	}
	buf_reset(location);
	buf_printf(location, "http://%s", member->address);
	http_target_encode(call->request->path, location);
	append_query(location, call->request->query);
	buf_append_text(body, "{\"location\":");
	text_append_json_string(body, buf_slice(location));
	buf_append_text(body, "}\n");
	api_reply_begin(call, 307);
	http_reply_header(call->request, "Location", buf_slice(location));
	http_reply_header(
	    call->request, "Content-Type", slice_from_text("application/json"));
	api_reply_end(call, buf_slice(body));
}
