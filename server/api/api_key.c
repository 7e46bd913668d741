#include "api/api_impl.h"
#include "common/err.h"
#include "net/http_uri.h"
#include <string.h>

#define KV_PREFIX_SIZE (sizeof("/kv/") - 1)

struct api_etag
api_etag_of(uint64_t revision)
{
	struct api_etag etag;
	char *end = etag.text + sizeof(etag.text);
	char *from = end;

	/* From its last byte on: every answer has one, too many for printf. */
	*--from = '\0';
	*--from = '"';
	do {
		*--from = (char)('0' + revision % 10);
		revision /= 10;
	} while (revision != 0);
	*--from = '"';
	memmove(etag.text, from, (size_t)(end - from));
	return etag;
}

bool
api_take_name(
    struct api_call *call, size_t skipped, size_t size_max, const char *what)
{
	struct slice path = call->request->path;
	struct slice encoded =
	    slice_of(path.data + skipped, path.size - skipped);
	struct api_problem *problem;

	if (http_percent_decode(encoded, &call->key) != 0) {
		api_fail(call, API_BAD_REQUEST, "write % itself as %25",
		    "the path holds a %% without two hex digits");
		return false;
	}
	if (call->key.size >= 1 && call->key.size <= size_max)
		return true;
	if (call->key.size == 0) {
		problem = api_problem(call->api, API_BAD_REQUEST);
		buf_printf(&problem->detail, "the path holds no %s", what);
		buf_printf(&problem->hint, "write the %s behind %.*s", what,
		    (int)skipped, (const char *)path.data);
	} else {
		problem = api_problem(call->api, API_TARGET_TOO_LARGE);
		buf_printf(&problem->detail,
		    "the %s has %zu bytes, more than %zu", what, call->key.size,
		    size_max);
		api_problem_u64(problem, "limit", size_max);
	}
	api_reply_problem(call, problem);
	return false;
}

bool
api_take_key(struct api_call *call)
{
	return api_take_name(call, KV_PREFIX_SIZE, KV_KEY_SIZE_MAX, "key");
}

int
api_get_item(struct api_call *call, struct kv_item *ret_item)
{
	struct kv *kv = node_kv(call->api->node);
	struct slice key = buf_slice(&call->key);
	int rc = (call->query.given & API_QUERY_AT) != 0
		     ? kv_get_at(kv, key, call->query.at, ret_item)
		     : kv_get(kv, key, ret_item);

	if (rc != 0 && rc != ERR_NOT_FOUND)
		api_fail_damaged(call, rc, "reading a key");
	return rc;
}

bool
api_take_lifetime(
    struct api_call *call, enum kv_lifetime otherwise, struct kv_op *op)
{
	const struct api_query *query = &call->query;
	bool ttl = (query->given & API_QUERY_TTL) != 0;
	bool lease = (query->given & API_QUERY_LEASE) != 0;

	if (ttl + lease + query->keep_ttl > 1) {
		api_fail(call, API_BAD_REQUEST, "give one of them",
		    "ttl, lease and keep_ttl exclude each other");
		return false;
	}
	op->lifetime = ttl               ? KV_LIFETIME_TTL
		       : lease           ? KV_LIFETIME_LEASE
		       : query->keep_ttl ? KV_LIFETIME_KEEP
					 : otherwise;
	op->ttl_us = query->ttl_us;
	op->lease = query->lease;
	return true;
}
