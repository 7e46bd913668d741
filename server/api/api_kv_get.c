#include "api/api_impl.h"
#include "api/api_watches.h"
#include "common/err.h"
#include <inttypes.h>

static void
reply_ttl(struct api_call *call, const struct kv_item *item)
{
	struct buf *text = &call->api->scratch;
	uint64_t deadline_us = api_item_deadline(call->api, item);

	if (deadline_us == 0)
		return;
	buf_reset(text);
	api_append_seconds(text, api_ttl_us(call->api, deadline_us));
	http_reply_header(call->request, "Luminous-TTL", buf_slice(text));
}

static const char *
content_type_of(const struct kv_item *item)
{
	const char *type = api_content_type_text(item->content_type);

	return type != NULL ? type : "application/octet-stream";
}

static struct slice
append_json(struct api_call *call, const struct kv_item *item, bool past)
{
	struct buf *body = api_body(call->api);

	buf_append_text(body, "{");
	api_append_item(call->api, body, buf_slice(&call->key), item,
	    API_ITEM_VALUE | API_ITEM_CONTENT_TYPE |
		(past ? API_ITEM_PAST : 0));
	buf_append_text(body, "}\n");
	return buf_slice(body);
}

static void
begin_item(struct api_call *call, unsigned status, const struct kv_item *item)
{
	struct http_request *request = call->request;
	struct api_etag etag = api_etag_of(item->modified);

	api_reply_begin(call, status);
	http_reply_header(request, "ETag", slice_from_text(etag.text));
	http_reply_header(request, "Vary", slice_from_text("Accept"));
	if ((call->query.given & API_QUERY_WAIT) != 0)
		http_reply_header(
		    request, "Cache-Control", slice_from_text("no-store"));
}

static void
reply_item(struct api_call *call, const struct kv_item *item)
{
	struct http_request *request = call->request;
	bool as_json = api_wants_json(call);
	bool past = (call->query.given & API_QUERY_AT) != 0;

	begin_item(call, 200, item);
	http_reply_header(request, "Content-Type",
	    slice_from_text(
		as_json ? "application/json" : content_type_of(item)));
	http_reply_header_u64(request, "Luminous-Key-Created", item->created);
	http_reply_header_u64(request, "Luminous-Key-Version", item->version);
	if (!past)
		reply_ttl(call, item);
	/* A stored page runs no script in this origin (CVE-2020-25864). */
	http_reply_header(
	    request, "Content-Security-Policy", slice_from_text("sandbox"));
	api_reply_end(
	    call, as_json ? append_json(call, item, past) : item->value);
}

static void
reply_by_conditions(struct api_call *call, const struct kv_item *item)
{
	if (!api_check_if_match(call, item->modified))
		return;
	if (!api_is_not_modified(call, item->modified)) {
		reply_item(call, item);
		return;
	}
	begin_item(call, 304, item);
	api_reply_end(call, slice_of(NULL, 0));
}

static void
fail_missing(struct api_call *call)
{
	struct api_problem *problem;

	if ((call->query.given & API_QUERY_WAIT) != 0) {
		problem = api_problem(call->api, API_KEY_NOT_FOUND);
		buf_append_text(&problem->detail, "there is no such key");
		problem->etag = API_MISSING_TAG;
		api_reply_problem(call, problem);
		return;
	}
	if ((call->query.given & API_QUERY_AT) != 0)
		api_fail(call, API_KEY_NOT_FOUND, NULL,
		    "there was no such key at revision %" PRIu64,
		    call->query.at);
	else
		api_fail(call, API_KEY_NOT_FOUND, NULL, "there is no such key");
}

static void
serve_get(struct api_call *call)
{
	struct kv_item item;
	int rc;

	if (api_fail_at(call))
		return;
	rc = api_get_item(call, &item);
	if (rc != 0 && rc != ERR_NOT_FOUND)
		return;
	if (api_wait_for_change(call, rc == 0 ? &item : NULL, serve_get))
		return;
	if (rc == 0)
		reply_by_conditions(call, &item);
	else
		fail_missing(call);
}

static bool
refuse_waiting_for_the_past(struct api_call *call)
{
	const uint64_t both = API_QUERY_AT | API_QUERY_WAIT;

	if ((call->query.given & both) != both)
		return false;
	api_fail(call, API_BAD_REQUEST, "leave out one of them",
	    "at asks for the past, and wait for a change: the past has none");
	return true;
}

void
api_kv_get(struct api_call *call)
{
	static const struct api_operation operation = {
		.serve = serve_get,
		.waited = api_read_waited,
	};

	if (!api_take_key(call) || refuse_waiting_for_the_past(call))
		return;
	api_read(call, &operation);
}
