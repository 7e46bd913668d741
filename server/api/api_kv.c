#include "api/api_impl.h"
#include "common/err.h"
#include "net/http_uri.h"
#include <inttypes.h>
#include <stdio.h>

#define KV_PREFIX_SIZE (sizeof("/kv/") - 1)

/* How often the files may be asked for their free space. */
#define SPACE_INTERVAL_US 1000000

/* A revision in quotes: RFC 9110, 8.8.3. */
struct etag {
	char text[24];
};

static struct etag
etag_of(uint64_t revision)
{
	struct etag etag;

	snprintf(etag.text, sizeof(etag.text), "\"%" PRIu64 "\"", revision);
	return etag;
}

/* False: the path holds no key, which has been answered. */
static bool
take_key(struct api_call *call)
{
	struct slice path = call->request->path;
	struct slice encoded =
	    slice_of(path.data + KV_PREFIX_SIZE, path.size - KV_PREFIX_SIZE);

	if (http_percent_decode(encoded, &call->key) != 0) {
		api_fail(call, API_BAD_REQUEST, "write % itself as %25",
		    "the path holds a %% without two hex digits");
		return false;
	}
	if (call->key.size == 0) {
		api_fail(call, API_BAD_REQUEST, "write the key behind /kv/",
		    "the path holds no key");
		return false;
	}
	if (call->key.size > KV_KEY_SIZE_MAX) {
		struct api_problem *problem =
		    api_problem(call->api, API_TARGET_TOO_LARGE);

		buf_printf(&problem->detail,
		    "the key has %zu bytes, more than %d", call->key.size,
		    KV_KEY_SIZE_MAX);
		api_problem_u64(problem, "limit", KV_KEY_SIZE_MAX);
		api_reply_problem(call, problem);
		return false;
	}
	return true;
}

/* ERR_NOT_FOUND, or 0. Anything else is damage; answered then. */
static int
get_item(struct api_call *call, struct kv_item *ret_item)
{
	struct node *node = call->api->node;
	int rc = kv_get(node_kv(node), buf_slice(&call->key), ret_item);

	if (rc == 0 || rc == ERR_NOT_FOUND)
		return rc;
	node_fail(node, rc, "reading a key");
	api_fail(call, API_INTERNAL, "this node stops; ask another",
	    "the key cannot be read: %s", err_text(rc));
	return rc;
}

/* `list` is "*" or entity tags with commas between, which may themselves be
 * in the tags. Weak comparison: RFC 9110, 13.1.2. */
static bool
lists_etag(struct slice list, struct slice etag)
{
	const uint8_t *at = list.data;
	const uint8_t *end = list.data + list.size;

	if (slice_equal(list, slice_from_text("*")))
		return true;
	while (at < end) {
		const uint8_t *quote = memchr(at, '"', (size_t)(end - at));
		const uint8_t *close;

		if (quote == NULL)
			return false;
		close = memchr(quote + 1, '"', (size_t)(end - quote - 1));
		if (close == NULL)
			return false;
		at = close + 1;
		if (slice_equal(slice_of(quote, (size_t)(at - quote)), etag))
			return true;
	}
	return false;
}

static bool
is_not_modified(const struct api_call *call, const struct etag *etag)
{
	struct slice list = http_request_header(call->request, "If-None-Match");

	return list.size > 0 && lists_etag(list, slice_from_text(etag->text));
}

static void
begin_item(struct api_call *call, unsigned status, const struct etag *etag)
{
	struct http_request *request = call->request;

	api_reply_begin(call, status);
	http_reply_header(request, "ETag", slice_from_text(etag->text));
	http_reply_header(request, "Vary", slice_from_text("Accept"));
}

static struct slice
append_item(struct api_call *call, const struct kv_item *item)
{
	struct buf *body = api_body(call->api);

	buf_append_text(body, "{");
	api_append_bytes_member(body, "key", buf_slice(&call->key));
	buf_append_text(body, ",");
	api_append_bytes_member(body, "value", item->value);
	buf_printf(body,
	    ",\"revision\":%" PRIu64 ",\"created\":%" PRIu64
	    ",\"version\":%" PRIu64 "}\n",
	    item->modified, item->created, item->version);
	return buf_slice(body);
}

static void
reply_item(struct api_call *call, const struct kv_item *item)
{
	struct http_request *request = call->request;
	struct etag etag = etag_of(item->modified);
	bool as_json = api_wants_json(call);

	if (is_not_modified(call, &etag)) {
		begin_item(call, 304, &etag);
		api_reply_end(call, slice_of(NULL, 0));
		return;
	}
	begin_item(call, 200, &etag);
	http_reply_header(request, "Content-Type",
	    slice_from_text(
		as_json ? "application/json" : "application/octet-stream"));
	http_reply_header_u64(request, "Luminous-Key-Created", item->created);
	http_reply_header_u64(request, "Luminous-Key-Version", item->version);
	/* A stored page runs no script in this origin (CVE-2020-25864). */
	http_reply_header(
	    request, "Content-Security-Policy", slice_from_text("sandbox"));
	api_reply_end(call, as_json ? append_item(call, item) : item->value);
}

static void
serve_get(struct api_call *call)
{
	struct kv_item item;
	int rc = get_item(call, &item);

	if (rc == 0)
		reply_item(call, &item);
	else if (rc == ERR_NOT_FOUND)
		api_fail(call, API_KEY_NOT_FOUND, NULL, "there is no such key");
}

/* This node's state, if it is as new as the client wants. */
static bool
waited_stale(struct api_call *call, bool last)
{
	uint64_t revision = kv_revision(node_kv(call->api->node));

	if (revision < call->query.min_revision && !last)
		return false;
	api_cancel(call);
	if (revision >= call->query.min_revision)
		serve_get(call);
	else
		api_fail(call, API_TOO_STALE,
		    "ask another node, or without consistency=stale",
		    "%s has revision %" PRIu64 ", not yet %" PRIu64,
		    call->api->params.node, revision, call->query.min_revision);
	return true;
}

/*
 * What is mended from the log or a snapshot is of an older time than what was
 * shown here before: not until it is whole again, and without a state nothing.
 */
static bool
fail_repairing(struct api_call *call)
{
	struct api *api = call->api;
	struct node_status status;

	if (!node_is_repairing(api->node))
		return false;
	node_get_status(api->node, loop_now(api->loop), &status);
	if (status.state != NODE_MEMBER ||
	    (!call->query.stale && !status.raft.state_lost))
		return false;
	api_fail(call, API_REPAIRING,
	    "ask another node; GET /readyz tells when this one is whole again",
	    "%s found damage in its data-dir and gets what it lost from the "
	    "others",
	    api->params.node);
	return true;
}

static void
get_stale(struct api_call *call)
{
	static const struct api_operation operation = {
		.waited = waited_stale,
	};
	uint64_t lag_us;

	if (api_fail_unless_member(call))
		return;
	lag_us = api_lag_us(call->api);
	if ((call->query.given & API_QUERY_MAX_LAG) != 0 &&
	    lag_us > call->query.max_lag_us) {
		api_fail(call, API_TOO_STALE,
		    "ask another node, or without consistency=stale",
		    "%s has not heard a leader for %.3f s",
		    call->api->params.node, (double)lag_us / 1e6);
		return;
	}
	if (kv_revision(node_kv(call->api->node)) >= call->query.min_revision) {
		serve_get(call);
		return;
	}
	call->operation = &operation;
	api_wait(call);
}

/* What is read from the leader's own point of time needs no bounds. */
static bool
refuse_bounds(struct api_call *call)
{
	if ((call->query.given &
		(API_QUERY_MAX_LAG | API_QUERY_MIN_REVISION)) == 0)
		return false;
	api_fail(call, API_BAD_REQUEST, "add consistency=stale",
	    "max_lag and min_revision are bounds of stale reads");
	return true;
}

void
api_kv_get(struct api_call *call)
{
	static const struct api_operation operation = { .serve = serve_get };

	if (!take_key(call) || fail_repairing(call))
		return;
	call->operation = &operation;
	if (call->query.stale)
		get_stale(call);
	else if (!refuse_bounds(call))
		api_ask_leader(call);
}

static void
fail_quota(struct api_call *call, uint64_t used)
{
	uint64_t quota = call->api->params.quota_bytes;
	struct api_problem *problem =
	    api_problem(call->api, API_QUOTA_EXCEEDED);

	buf_printf(&problem->detail,
	    "%" PRIu64 " bytes of keys and values are stored, and this put "
	    "would exceed the quota of %" PRIu64,
	    used, quota);
	buf_append_text(&problem->hint,
	    "delete keys, or raise storage.quota on every node");
	api_problem_u64(problem, "used", used);
	api_problem_u64(problem, "quota", quota);
	api_reply_problem(call, problem);
}

static bool
fits_quota(struct api_call *call)
{
	uint64_t quota = call->api->params.quota_bytes;
	uint64_t added = call->key.size + call->request->body.size;
	struct kv_stats stats;
	struct kv_item item;
	int rc;

	kv_get_stats(node_kv(call->api->node), &stats);
	if (quota == 0 || stats.live_bytes + added <= quota)
		return true;
	rc = get_item(call, &item);
	if (rc == 0 &&
	    stats.live_bytes + added - (call->key.size + item.value.size) <=
		quota)
		return true;
	if (rc == 0 || rc == ERR_NOT_FOUND)
		fail_quota(call, stats.live_bytes);
	return false;
}

static bool
fits_space(struct api_call *call)
{
	struct api *api = call->api;
	uint64_t now = loop_now(api->loop);
	struct api_problem *problem;

	if (api->space_checked_us == 0 ||
	    now - api->space_checked_us >= SPACE_INTERVAL_US) {
		api->space_checked_us = now;
		api->params.get_space(api->params.context, &api->space);
	}
	if (api->space.free >= api->space.minimum)
		return true;
	problem = api_problem(api, API_QUOTA_EXCEEDED);
	buf_printf(&problem->detail,
	    "%s has %" PRIu64 " bytes free, less than %" PRIu64,
	    api->space.what, api->space.free, api->space.minimum);
	buf_append_text(&problem->hint, api->space.hint);
	api_problem_u64(problem, "free", api->space.free);
	api_problem_u64(problem, "minimum", api->space.minimum);
	api_reply_problem(call, problem);
	return false;
}

static bool
propose_put(struct api_call *call, struct buf *command)
{
	if (!fits_quota(call) || !fits_space(call))
		return false;
	kv_encode_put(command, buf_slice(&call->key), call->request->body);
	return true;
}

static void
applied_put(struct api_call *call, const struct kv_result *result)
{
	struct etag etag = etag_of(result->revision);
	struct buf *body = api_body(call->api);

	if (api_header_lists(call->request, "Prefer", "return=minimal")) {
		begin_item(call, 204, &etag);
		http_reply_header(call->request, "Preference-Applied",
		    slice_from_text("return=minimal"));
		api_reply_end(call, slice_of(NULL, 0));
		return;
	}
	buf_append_text(body, "{");
	api_append_bytes_member(body, "key", buf_slice(&call->key));
	buf_printf(body,
	    ",\"revision\":%" PRIu64 ",\"created\":%" PRIu64
	    ",\"version\":%" PRIu64 "}\n",
	    result->revision, result->created, result->version);
	begin_item(call, result->outcome == KV_CREATED ? 201 : 200, &etag);
	http_reply_header(
	    call->request, "Content-Type", slice_from_text("application/json"));
	api_reply_end(call, buf_slice(body));
}

void
api_kv_put(struct api_call *call)
{
	static const struct api_operation operation = {
		.propose = propose_put,
		.applied = applied_put,
	};

	if (!take_key(call))
		return;
	call->operation = &operation;
	api_ask_leader(call);
}

static bool
propose_delete(struct api_call *call, struct buf *command)
{
	kv_encode_delete(command, buf_slice(&call->key));
	return true;
}

static void
applied_delete(struct api_call *call, const struct kv_result *result)
{
	struct buf *body = api_body(call->api);

	buf_printf(
	    body, "{\"deleted\":%d,", result->outcome == KV_DELETED ? 1 : 0);
	api_append_bytes_member(body, "key", buf_slice(&call->key));
	buf_printf(body, ",\"revision\":%" PRIu64 "}\n", result->revision);
	api_reply_text(call, 200, "application/json", buf_slice(body));
}

void
api_kv_delete(struct api_call *call)
{
	static const struct api_operation operation = {
		.propose = propose_delete,
		.applied = applied_delete,
	};

	if (!take_key(call))
		return;
	call->operation = &operation;
	api_ask_leader(call);
}
