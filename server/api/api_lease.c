#include "api/api_impl.h"
#include "common/err.h"
#include <inttypes.h>

/* Leases: keys written with lease=ID go when it ends. */

#define LEASE_PREFIX_SIZE (sizeof("/lease/") - 1)
#define LIMIT_INITIAL     100
#define LIMIT_MAX         1000
/* Leases that are looked at for one page. */
#define LOOKS_MAX 10000

uint64_t
api_draw_id(struct api *api)
{
	uint64_t id;

	do
		id = rng_next(&api->rng);
	while (id == 0);
	return id;
}

/* The id in the path, into query.lease. False: none; answered. */
static bool
take_lease(struct api_call *call)
{
	if (!api_take_name(
		call, LEASE_PREFIX_SIZE, KV_KEY_SIZE_MAX, "lease's id"))
		return false;
	if (api_parse_id(buf_slice(&call->key), &call->query.lease))
		return true;
	api_fail(call, API_BAD_REQUEST,
	    "POST /lease?ttl=15s makes a lease and tells its id",
	    "a lease's id has 16 hex digits");
	return false;
}

static bool
check_limit(struct api_call *call)
{
	if ((call->query.given & API_QUERY_LIMIT) == 0)
		call->query.limit = LIMIT_INITIAL;
	if (call->query.limit <= LIMIT_MAX)
		return true;
	api_fail(call, API_BAD_REQUEST,
	    "ask for the next ones with after=", "limit is at most %d",
	    LIMIT_MAX);
	return false;
}

static void
append_id_member(struct buf *to, const char *name, uint64_t id)
{
	buf_printf(to, "\"%s\":\"", name);
	api_append_id(to, id);
	buf_append_text(to, "\"");
}

/* ---- Made, renewed, ended ---- */

static bool
propose_grant(struct api_call *call, struct buf *command)
{
	struct kv_identity identity;

	if (!api_fits(call, 0))
		return false;
	kv_encode_grant(command, api_get_identity(call, &identity),
	    api_draw_id(call->api), call->query.ttl_us);
	return true;
}

static bool
propose_renew(struct api_call *call, struct buf *command)
{
	struct kv_identity identity;

	kv_encode_renew(
	    command, api_get_identity(call, &identity), call->query.lease);
	return true;
}

static bool
propose_revoke(struct api_call *call, struct buf *command)
{
	struct kv_identity identity;

	kv_encode_revoke(
	    command, api_get_identity(call, &identity), call->query.lease);
	return true;
}

/* {"lease":"7f3a...","ttl":15,"revision":46} */
static void
append_granted(
    struct buf *body, const struct kv_output *output, uint64_t revision)
{
	buf_append_text(body, "{");
	append_id_member(body, "lease", output->lease);
	buf_append_text(body, ",\"ttl\":");
	api_append_seconds(body, output->ttl_us);
	buf_printf(body, ",\"revision\":%" PRIu64 "}\n", revision);
}

static void
applied_grant(struct api_call *call, const struct kv_result *result)
{
	struct buf *location = &call->api->scratch;
	struct buf *body = api_body(call->api);
	struct kv_output output;

	if (api_fail_result(call, result))
		return;
	output = api_first_output(result);
	append_granted(body, &output, result->revision);
	buf_reset(location);
	buf_append_text(location, "/lease/");
	api_append_id(location, output.lease);
	api_reply_begin(call, 201);
	http_reply_header(call->request, "Location", buf_slice(location));
	http_reply_header(
	    call->request, "Content-Type", slice_from_text("application/json"));
	api_reply_end(call, buf_slice(body));
}

static void
applied_renew(struct api_call *call, const struct kv_result *result)
{
	struct buf *body = api_body(call->api);
	struct kv_output output;

	if (api_fail_result(call, result))
		return;
	output = api_first_output(result);
	append_granted(body, &output, result->revision);
	api_reply_text(call, 200, "application/json", buf_slice(body));
}

static void
applied_revoke(struct api_call *call, const struct kv_result *result)
{
	struct buf *body = api_body(call->api);

	if (api_fail_result(call, result))
		return;
	buf_printf(
	    body, "{\"deleted\":%" PRIu64 ",", api_first_output(result).count);
	append_id_member(body, "lease", call->query.lease);
	buf_printf(body, ",\"revision\":%" PRIu64 "}\n", result->revision);
	api_reply_text(call, 200, "application/json", buf_slice(body));
}

void
api_leases_post(struct api_call *call)
{
	static const struct api_operation operation = {
		.propose = propose_grant,
		.applied = applied_grant,
	};

	if (api_query_require(call, API_QUERY_TTL))
		api_write(call, &operation);
}

void
api_lease_post(struct api_call *call)
{
	static const struct api_operation operation = {
		.propose = propose_renew,
		.applied = applied_renew,
	};

	if (!take_lease(call))
		return;
	if (!slice_equal(call->query.op, slice_from_text("renew"))) {
		api_fail(call, API_BAD_REQUEST, "DELETE ends a lease",
		    "POST of a lease takes op=renew");
		return;
	}
	api_write(call, &operation);
}

void
api_lease_delete(struct api_call *call)
{
	static const struct api_operation operation = {
		.propose = propose_revoke,
		.applied = applied_revoke,
	};

	if (take_lease(call))
		api_write(call, &operation);
}

/* ---- Shown ---- */

static void
append_lease(struct api *api, struct buf *to, const struct kv_lease *lease)
{
	append_id_member(to, "lease", lease->id);
	buf_append_text(to, ",\"ttl\":");
	api_append_seconds(to, lease->ttl_us);
	buf_append_text(to, ",\"remaining\":");
	api_append_seconds(to, api_ttl_us(api, lease->deadline_us));
	if (lease->lock.size == 0)
		return;
	buf_append_text(to, ",");
	api_append_bytes_member(to, "lock", lease->lock);
}

/* Up to `limit` keys behind query.after; ERR_NOT_FOUND: those are all. `last`
 * is the last one that was appended. */
static int
append_keys(struct api_call *call, struct buf *to, struct buf *last)
{
	struct kv *kv = node_kv(call->api->node);
	struct buf key = { 0 };
	int rc = 0;

	buf_append_slice(last, call->query.after);
	for (uint64_t i = 0; i <= call->query.limit; i++) {
		rc = kv_next_lease_key(
		    kv, call->query.lease, buf_slice(last), &key);
		if (rc != 0 || i == call->query.limit)
			break;
		buf_append_text(to, i == 0 ? "{" : ",{");
		api_append_bytes_member(to, "key", buf_slice(&key));
		buf_append_text(to, "}");
		buf_reset(last);
		buf_append_slice(last, buf_slice(&key));
	}
	buf_release(&key);
	return rc;
}

static void
reply_lease(struct api_call *call, const struct kv_lease *lease)
{
	struct buf *body = api_body(call->api);
	struct buf last = { 0 };
	int rc;

	buf_append_text(body, "{");
	append_lease(call->api, body, lease);
	buf_printf(
	    body, ",\"count\":%" PRIu64 ",\"keys\":[", lease->keys_count);
	rc = append_keys(call, body, &last);
	buf_printf(body, "],\"more\":%s", rc == 0 ? "true" : "false");
	if (rc == 0) {
		buf_append_text(body, ",");
		api_append_bytes_member(body, "next", buf_slice(&last));
	}
	buf_append_text(body, "}\n");
	buf_release(&last);
	if (rc == 0 || rc == ERR_NOT_FOUND)
		api_reply_text(call, 200, "application/json", buf_slice(body));
	else
		api_fail_damaged(call, rc, "reading the keys of a lease");
}

static void
serve_lease(struct api_call *call)
{
	struct kv_lease lease;
	int rc =
	    kv_get_lease(node_kv(call->api->node), call->query.lease, &lease);

	if (rc == 0)
		reply_lease(call, &lease);
	else if (rc == ERR_NOT_FOUND)
		api_fail(call, API_LEASE_NOT_FOUND, API_NO_LEASE_HINT,
		    API_NO_LEASE_DETAIL);
	else
		api_fail_damaged(call, rc, "reading a lease");
}

void
api_lease_get(struct api_call *call)
{
	static const struct api_operation operation = {
		.serve = serve_lease,
		.waited = api_read_waited,
	};

	if (take_lease(call) && check_limit(call))
		api_read(call, &operation);
}

/*
 * The leases behind *after, but those of locks: their ids are tokens, which
 * only their holders know. ERR_NOT_FOUND: those are all. 0: others are behind
 * *after, which is no token, but may be a little before one.
 */
static int
append_leases(struct api_call *call, struct buf *to, uint64_t *after)
{
	struct kv *kv = node_kv(call->api->node);
	uint64_t at = *after;
	uint64_t shown = 0;
	struct kv_lease lease;
	int rc;

	for (unsigned looks = 0; looks < LOOKS_MAX; looks++) {
		rc = kv_next_lease(kv, at, &lease);
		if (rc != 0 || shown == call->query.limit)
			return rc;
		at = lease.id;
		*after = lease.lock.size == 0 ? at : at & ~UINT64_C(0xffff);
		if (lease.lock.size != 0)
			continue;
		buf_append_text(to, shown++ == 0 ? "{" : ",{");
		append_lease(call->api, to, &lease);
		buf_printf(to, ",\"count\":%" PRIu64 "}", lease.keys_count);
	}
	return 0;
}

static void
serve_leases(struct api_call *call)
{
	struct buf *body = api_body(call->api);
	uint64_t after = call->query.lease;
	int rc;

	buf_append_text(body, "{\"leases\":[");
	rc = append_leases(call, body, &after);
	buf_printf(body, "],\"more\":%s", rc == 0 ? "true" : "false");
	if (rc == 0) {
		buf_append_text(body, ",");
		append_id_member(body, "next", after);
	}
	buf_append_text(body, "}\n");
	if (rc == 0 || rc == ERR_NOT_FOUND)
		api_reply_text(call, 200, "application/json", buf_slice(body));
	else
		api_fail_damaged(call, rc, "reading leases");
}

void
api_leases_get(struct api_call *call)
{
	static const struct api_operation operation = {
		.serve = serve_leases,
		.waited = api_read_waited,
	};

	if (!check_limit(call))
		return;
	if ((call->query.given & API_QUERY_AFTER) != 0 &&
	    !api_parse_id(call->query.after, &call->query.lease)) {
		api_fail(call, API_BAD_REQUEST, "after takes what next said",
		    "after is no lease's id");
		return;
	}
	api_read(call, &operation);
}
