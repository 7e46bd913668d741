#include "api/api_impl.h"
#include "common/base64.h"
#include "common/text.h"
#include <stdio.h>
#include <strings.h>

/* A body above this is rare; its memory is not kept. */
#define BODY_KEPT_MAX (64u * 1024)

/* Unknown only until the cluster is formed. */
static bool
know_cluster_id(struct api *api)
{
	struct node_status status;
	struct buf hex = { 0 };

	node_get_status(api->node, loop_now(api->loop), &status);
	if (!status.cluster_id_known)
		return false;
	text_append_hex(
	    &hex, slice_of(status.cluster_id, sizeof(status.cluster_id)));
	memcpy(api->cluster_id, hex.data, sizeof(api->cluster_id));
	buf_release(&hex);
	api->cluster_id_known = true;
	return true;
}

struct slice
api_cluster_id(struct api *api)
{
	if (!api->cluster_id_known && !know_cluster_id(api))
		return slice_of(NULL, 0);
	return slice_of(api->cluster_id, sizeof(api->cluster_id));
}

void
api_reply_begin_relayed(struct api_call *call, unsigned status)
{
	struct http_request *request = call->request;
	struct api *api = call->api;
	struct slice cluster_id = api_cluster_id(api);

	api_count_reply(call, status);
	http_reply_begin(request, status);
	http_reply_header(
	    request, "Luminous-Node", slice_from_text(api->params.node));
	if (cluster_id.size > 0)
		http_reply_header(request, "Luminous-Cluster", cluster_id);
	/* No browser guesses a value to be a page (RFC 9110, 8.3). */
	http_reply_header(
	    request, "X-Content-Type-Options", slice_from_text("nosniff"));
	if (call->replayed)
		http_reply_header(
		    request, "Idempotency-Replayed", slice_from_text("true"));
	if (status == 503 || status == 429)
		http_reply_header(request, "Retry-After", slice_from_text("1"));
}

uint64_t
api_lag_us(const struct api *api)
{
	uint64_t now = loop_now(api->loop);

	return now - MIN(node_heard_leader_at(api->node, now), now);
}

/* How old what a stale read shows may be. */
static void
append_staleness(struct api_call *call)
{
	struct api *api = call->api;
	uint64_t lag_us = api_lag_us(api);
	char lag[32];

	http_reply_header_u64(call->request, "Luminous-Applied",
	    kv_applied_index(node_kv(api->node)));
	if (lag_us == loop_now(api->loop))
		return; /* no leader was heard in this life */
	snprintf(lag, sizeof(lag), "%.3f", (double)lag_us / 1e6);
	http_reply_header(call->request, "Luminous-Lag", slice_from_text(lag));
}

void
api_reply_begin(struct api_call *call, unsigned status)
{
	struct http_request *request = call->request;
	struct api *api = call->api;
	const char *leader = api_member_name(api, node_leader(api->node));

	api_reply_begin_relayed(call, status);
	http_reply_header_u64(
	    request, "Luminous-Revision", kv_revision(node_kv(api->node)));
	if (call->query.stale)
		append_staleness(call);
	if (leader[0] != '\0')
		http_reply_header(
		    request, "Luminous-Leader", slice_from_text(leader));
}

void
api_reply_end(struct api_call *call, struct slice body)
{
	struct http_request *request = call->request;
	struct api *api = call->api;

	if (!call->unread)
		peers_seal(request, body);
	api_observe_reply(call);
	api_call_free(call);
	http_reply_end(request, body);
	if (api->body.capacity > BODY_KEPT_MAX)
		buf_release(&api->body);
}

void
api_reply_stream(struct api_call *call)
{
	http_reply_stream(call->request);
	api_deadline_set(call, RAFT_NEVER);
}

void
api_reply_finish(struct api_call *call)
{
	struct http_request *request = call->request;

	api_observe_reply(call);
	api_call_free(call);
	http_reply_finish(request);
}

void
api_reply_cut(struct api_call *call)
{
	struct http_request *request = call->request;

	api_observe_reply(call);
	api_call_free(call);
	http_reply_cut(request);
}

void
api_reply_text(struct api_call *call, unsigned status, const char *content_type,
    struct slice body)
{
	api_reply_begin(call, status);
	http_reply_header(
	    call->request, "Content-Type", slice_from_text(content_type));
	api_reply_end(call, body);
}

struct buf *
api_body(struct api *api)
{
	buf_reset(&api->body);
	return &api->body;
}

static struct slice
trim(struct slice text)
{
	while (text.size > 0 && (text.data[0] == ' ' || text.data[0] == '\t'))
		text = slice_of(text.data + 1, text.size - 1);
	while (text.size > 0 && (text.data[text.size - 1] == ' ' ||
				    text.data[text.size - 1] == '\t'))
		text.size--;
	return text;
}

/* Takes what comes before `separator` off the front of `rest`. */
static struct slice
take_part(struct slice *rest, char separator)
{
	const uint8_t *end = memchr(rest->data, separator, rest->size);
	struct slice part;

	if (end == NULL) {
		part = *rest;
		*rest = slice_of(NULL, 0);
		return trim(part);
	}
	part = slice_of(rest->data, (size_t)(end - rest->data));
	*rest = slice_of(end + 1, rest->size - part.size - 1);
	return trim(part);
}

/* "q=0", "q=0.000": not acceptable (RFC 9110, 12.4.2). */
static bool
is_weight_zero(struct slice parameter)
{
	if (parameter.size < 3 ||
	    strncasecmp((const char *)parameter.data, "q=", 2) != 0)
		return false;
	for (size_t i = 2; i < parameter.size; i++) {
		if (parameter.data[i] != '0' && parameter.data[i] != '.')
			return false;
	}
	return true;
}

static bool
lists(struct slice rest, const char *element)
{
	while (rest.size > 0) {
		struct slice parameters = take_part(&rest, ',');
		bool refused = false;

		if (!http_name_is(take_part(&parameters, ';'), element))
			continue;
		while (parameters.size > 0) {
			if (is_weight_zero(take_part(&parameters, ';')))
				refused = true;
		}
		if (!refused)
			return true;
	}
	return false;
}

bool
api_header_lists(
    const struct http_request *request, const char *name, const char *element)
{
	const struct http_headers *headers = request->headers;

	/* It may be split over several lines (RFC 9110, 5.3). */
	for (unsigned i = 0; i < headers->count; i++) {
		if (http_name_is(headers->header[i].name, name) &&
		    lists(headers->header[i].value, element))
			return true;
	}
	return false;
}

bool
api_wants_json(const struct api_call *call)
{
	return call->query.json ||
	       api_header_lists(call->request, "Accept", "application/json");
}

bool
api_wants_text(const struct api_call *call)
{
	return !api_wants_json(call) &&
	       api_header_lists(call->request, "Accept", "text/plain");
}

void
api_append_bytes_member(struct buf *to, const char *name, struct slice bytes)
{
	buf_append_text(to, "\"");
	buf_append_text(to, name);
	if (text_is_utf8(bytes)) {
		buf_append_text(to, "\":");
		text_append_json_string(to, bytes);
		return;
	}
	buf_append_text(to, "_base64\":\"");
	base64_encode(to, bytes);
	buf_append_text(to, "\"");
}

const char *
api_member_name(const struct api *api, raft_id id)
{
	const struct node_member *member =
	    id == 0 ? NULL : node_find_member(api->node, id);

	return member == NULL ? "" : member->name;
}
