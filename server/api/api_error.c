#include "api/api_impl.h"
#include "common/text.h"
#include <stdarg.h>
#include <stdio.h>

struct row {
	unsigned status;
	const char *code;
	const char *title;
};

/* The only place where a code meets its status. Codes are for ever. */
static const struct row rows[] = {
	[API_BAD_REQUEST] = { 400, "bad_request", "Bad request" },
	[API_BAD_JSON] = { 400, "bad_json", "Bad JSON" },
	[API_BAD_TTL] = { 400, "bad_ttl", "Bad TTL" },
	[API_FORBIDDEN] = { 403, "forbidden", "Forbidden" },
	[API_KEY_NOT_FOUND] = { 404, "key_not_found", "Key not found" },
	[API_LEASE_NOT_FOUND] = { 404, "lease_not_found", "Lease not found" },
	[API_LOCK_NOT_FOUND] = { 404, "lock_not_found", "Lock not held" },
	[API_MEMBER_NOT_FOUND] = { 404, "member_not_found",
	    "Member not found" },
	[API_UNKNOWN_PATH] = { 404, "unknown_path", "Unknown path" },
	[API_METHOD_NOT_ALLOWED] = { 405, "method_not_allowed",
	    "Method not allowed" },
	[API_TIMEOUT] = { 408, "timeout", "Request not complete in time" },
	[API_CANNOT_JOIN] = { 409, "cannot_join", "The node cannot join" },
	[API_CANNOT_MOVE] = { 409, "cannot_move", "The member cannot move" },
	[API_LEASE_EXISTS] = { 409, "lease_exists", "Lease exists" },
	[API_LOCK_HELD] = { 409, "lock_held", "Lock held" },
	[API_NOT_A_NUMBER] = { 409, "not_a_number", "Not a number" },
	[API_CHANGE_IN_PROGRESS] = { 409, "change_in_progress",
	    "Another change is in progress" },
	[API_MEMBER_EXISTS] = { 409, "member_exists", "Member exists" },
	[API_NOT_TRANSFERRED] = { 409, "not_transferred",
	    "The leadership stayed" },
	[API_TOO_MANY_MEMBERS] = { 409, "too_many_members",
	    "Too many members" },
	[API_WOULD_LOSE_QUORUM] = { 409, "would_lose_quorum",
	    "The quorum would be lost" },
	[API_COMPACTED] = { 410, "compacted", "History is gone" },
	[API_PRECONDITION_FAILED] = { 412, "precondition_failed",
	    "Precondition failed" },
	[API_BODY_TOO_LARGE] = { 413, "too_large", "Body too large" },
	[API_TARGET_TOO_LARGE] = { 414, "too_large", "Target too long" },
	[API_MEDIA_TYPE] = { 415, "unsupported_media_type",
	    "Unsupported media type" },
	[API_EXPECTATION_FAILED] = { 417, "expectation_failed",
	    "Expectation failed" },
	[API_WRONG_CLUSTER] = { 421, "wrong_cluster", "Wrong cluster" },
	[API_KEY_REUSED] = { 422, "idempotency_key_reused",
	    "Idempotency-Key reused" },
	[API_PRECONDITION_REQUIRED] = { 428, "precondition_required",
	    "Precondition required" },
	[API_TOO_MANY_WATCHERS] = { 429, "too_many_watchers",
	    "Too many watchers" },
	[API_HEADERS_TOO_LARGE] = { 431, "too_large", "Headers too large" },
	[API_INTERNAL] = { 500, "internal", "Internal error" },
	[API_NOT_IMPLEMENTED] = { 501, "not_implemented", "Not implemented" },
	[API_NO_LEADER] = { 503, "no_leader", "No leader" },
	[API_NOT_LEADER] = { 503, "not_leader", "Not the leader" },
	[API_NOT_READY] = { 503, "not_ready", "Not ready" },
	[API_REPAIRING] = { 503, "repairing", "Repairing" },
	[API_STARTING] = { 503, "starting", "Starting" },
	[API_TOO_STALE] = { 503, "too_stale", "Too stale" },
	[API_WIPED] = { 503, "wiped", "Data directory lost" },
	[API_REMOVED] = { 503, "removed", "No longer a member" },
	[API_OUTDATED] = { 503, "outdated", "Old copy of the data directory" },
	[API_SHUTTING_DOWN] = { 503, "shutting_down", "Shutting down" },
	[API_BUSY] = { 503, "busy", "Too busy" },
	[API_TOO_MANY_CONNECTIONS] = { 503, "too_many_connections",
	    "Too many connections" },
	[API_OUTCOME_UNKNOWN] = { 504, "outcome_unknown", "Outcome unknown" },
	[API_VERSION_NOT_SUPPORTED] = { 505, "version_not_supported",
	    "HTTP version not supported" },
	[API_QUOTA_EXCEEDED] = { 507, "quota_exceeded", "Quota exceeded" },
};

struct api_problem *
api_problem(struct api *api, enum api_code code)
{
	struct api_problem *problem = &api->problem;

	problem->code = code;
	buf_reset(&problem->detail);
	buf_reset(&problem->hint);
	buf_reset(&problem->members);
	problem->allowed = 0;
	problem->etag = NULL;
	return problem;
}

void
api_problem_u64(struct api_problem *problem, const char *name, uint64_t value)
{
	buf_printf(&problem->members, ",\"%s\":", name);
	buf_append_u64(&problem->members, value);
}

void
api_problem_text(
    struct api_problem *problem, const char *name, const char *value)
{
	buf_printf(&problem->members, ",\"%s\":", name);
	text_append_json_string(&problem->members, slice_from_text(value));
}

void
api_append_problem(struct buf *to, const struct api_problem *problem)
{
	const struct row *row = &rows[problem->code];

	buf_printf(to, "{\"code\":\"%s\",\"status\":%u,\"title\":\"%s\"",
	    row->code, row->status, row->title);
	buf_append_text(to, ",\"detail\":");
	text_append_json_string(to, buf_slice(&problem->detail));
	if (problem->hint.size > 0) {
		buf_append_text(to, ",\"hint\":");
		text_append_json_string(to, buf_slice(&problem->hint));
	}
	buf_append_slice(to, buf_slice(&problem->members));
	buf_append_text(to, "}\n");
}

static void
append_text(struct buf *to, const struct api_problem *problem)
{
	buf_append_text(to, "luminous: ");
	buf_append_slice(to, buf_slice(&problem->detail));
	if (problem->hint.size > 0) {
		buf_append_text(to, " (");
		buf_append_slice(to, buf_slice(&problem->hint));
		buf_append_text(to, ")");
	}
	buf_append_text(to, "\n");
}

static void
reply_allowed(struct api_call *call, unsigned allowed)
{
	struct buf *methods = &call->api->scratch;

	buf_reset(methods);
	api_append_methods(methods, allowed);
	http_reply_header(call->request, "Allow", buf_slice(methods));
}

void
api_reply_problem(struct api_call *call, struct api_problem *problem)
{
	struct buf *body = api_body(call->api);
	const char *content_type = "application/problem+json";

	/* What may have been done before must not be said to be undone. */
	if (call->uncertain && (rows[problem->code].status == 503 ||
				   rows[problem->code].status == 507)) {
		call->uncertain = false;
		api_fail_unknown(call);
		return;
	}
	if (call->operation != NULL && call->operation->explain != NULL)
		call->operation->explain(call, problem);
	if (api_wants_text(call)) {
		content_type = "text/plain; charset=utf-8";
		append_text(body, problem);
	} else {
		api_append_problem(body, problem);
	}
	api_reply_begin(call, rows[problem->code].status);
	if (problem->allowed != 0)
		reply_allowed(call, problem->allowed);
	if (problem->etag != NULL)
		http_reply_header(
		    call->request, "ETag", slice_from_text(problem->etag));
	http_reply_header(
	    call->request, "Content-Type", slice_from_text(content_type));
	api_reply_end(call, buf_slice(body));
}

void
api_fail(struct api_call *call, enum api_code code, const char *hint,
    const char *detail_format, ...)
{
	struct api_problem *problem = api_problem(call->api, code);
	char detail[512];
	va_list arguments;

	va_start(arguments, detail_format);
	vsnprintf(detail, sizeof(detail), detail_format, arguments);
	va_end(arguments);
	buf_append_text(&problem->detail, detail);
	if (hint != NULL)
		buf_append_text(&problem->hint, hint);
	api_reply_problem(call, problem);
}

void
api_fail_refusal(struct api_call *call, enum http_refusal refusal,
    const char *detail, uint64_t limit, const char *option)
{
	static const enum api_code codes[] = {
		[HTTP_REFUSE_MALFORMED] = API_BAD_REQUEST,
		[HTTP_REFUSE_HEADER_TIMEOUT] = API_TIMEOUT,
		[HTTP_REFUSE_BODY_TIMEOUT] = API_TIMEOUT,
		[HTTP_REFUSE_BODY_TOO_LARGE] = API_BODY_TOO_LARGE,
		[HTTP_REFUSE_TARGET_TOO_LONG] = API_TARGET_TOO_LARGE,
		[HTTP_REFUSE_EXPECTATION] = API_EXPECTATION_FAILED,
		[HTTP_REFUSE_HEADERS_TOO_LARGE] = API_HEADERS_TOO_LARGE,
		[HTTP_REFUSE_METHOD] = API_NOT_IMPLEMENTED,
		[HTTP_REFUSE_TRANSFER_CODING] = API_NOT_IMPLEMENTED,
		[HTTP_REFUSE_TOO_MANY_CONNECTIONS] = API_TOO_MANY_CONNECTIONS,
		[HTTP_REFUSE_TOO_MUCH_INPUT] = API_BUSY,
		[HTTP_REFUSE_VERSION] = API_VERSION_NOT_SUPPORTED,
	};
	struct api_problem *problem = api_problem(call->api, codes[refusal]);

	buf_append_text(&problem->detail, detail);
	if (option != NULL) {
		buf_printf(&problem->hint, "the limit is set by %s", option);
		api_problem_u64(problem, "limit", limit);
		api_problem_text(problem, "option", option);
	}
	api_reply_problem(call, problem);
}

#define QUOTED_SIZE_MAX 64

void
api_append_quoted(struct buf *to, struct slice bytes)
{
	size_t size = MIN(bytes.size, QUOTED_SIZE_MAX);

	buf_append_text(to, "'");
	for (size_t i = 0; i < size; i++) {
		bool printable = bytes.data[i] >= 0x20 && bytes.data[i] < 0x7f;

		buf_append(
		    to, printable ? &bytes.data[i] : (const uint8_t *)"?", 1);
	}
	buf_append_text(to, size < bytes.size ? "...'" : "'");
}
