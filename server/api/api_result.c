#include "api/api_impl.h"
#include "common/panic.h"
#include "net/http_uri.h"
#include <inttypes.h>

/* How a result of kv_apply is answered: errors, and keys that were written. */

struct kv_output
api_first_output(const struct kv_result *result)
{
	struct slice outputs = result->outputs;
	struct kv_output output;

	/* A repeat is known by a digest, which can be forged: what is answered
	 * then makes no sense, but may not stop the node. */
	if (kv_output_next(&outputs, &output) != 0)
		return (struct kv_output){ 0 };
	return output;
}

/* {"index":0,"key":"a","current":33} of all conditions that failed */
static void
append_failed(struct buf *members, struct slice outputs)
{
	struct kv_output output;
	const char *before = "";

	buf_append_text(members, ",\"failed\":[");
	while (kv_output_next(&outputs, &output) == 0) {
		if (output.kind != KV_OUTPUT_CONDITION)
			continue;
		buf_printf(
		    members, "%s{\"index\":%" PRIu32 ",", before, output.index);
		api_append_bytes_member(members, "key", output.key);
		buf_printf(members, ",\"current\":%" PRIu64 ",\"exists\":%s}",
		    output.exists ? output.modified : 0,
		    output.exists ? "true" : "false");
		before = ",";
	}
	buf_append_text(members, "]");
}

/* Of a list that begins with the key, if that is there. */
static struct kv_output
find_key(const struct api_call *call, const struct kv_result *result)
{
	struct slice outputs = result->outputs;
	struct kv_output output;

	while (kv_output_next(&outputs, &output) == 0) {
		if (output.kind == KV_OUTPUT_ITEM &&
		    slice_equal(output.key, buf_slice(&call->key)))
			return output;
	}
	return (struct kv_output){ .exists = false };
}

static void
fail_condition(struct api_call *call, const struct kv_result *result)
{
	struct api_problem *problem =
	    api_problem(call->api, API_PRECONDITION_FAILED);
	struct kv_output output;

	if (call->branch == KV_ELSE) {
		output = find_key(call, result);
		api_describe_condition(
		    call, output.exists, output.modified, problem);
	} else if (call->key.size == 0) {
		buf_append_text(&problem->detail,
		    "a condition does not hold, so nothing was done");
		append_failed(&problem->members, result->outputs);
	} else {
		output = api_first_output(result);
		api_describe_condition(call, output.exists,
		    output.exists ? output.modified : 0, problem);
	}
	api_reply_problem(call, problem);
}

static void
fail_held(struct api_call *call, const struct kv_result *result)
{
	struct kv_output output = api_first_output(result);
	struct api_problem *problem = api_problem(call->api, API_LOCK_HELD);

	buf_append_text(&problem->detail, "the lock is held");
	buf_append_text(&problem->hint,
	    "wait=60s waits for it, in order of arrival; who holds "
	    "it renews it by POST /lease/TOKEN?op=renew");
	buf_append_text(&problem->members, ",");
	api_append_bytes_member(&problem->members, "holder", output.value);
	api_problem_u64(problem, "fence", output.modified);
	api_reply_problem(call, problem);
}

/* Those that are the same for everything. */
static const struct {
	enum kv_status status;
	enum api_code code;
	bool of_op; /* one operation of several is to blame */
	const char *detail;
	const char *hint;
} rows[] = {
	{ KV_KEY_NOT_FOUND, API_KEY_NOT_FOUND, true, "there is no such key",
	    NULL },
	{ KV_NOT_A_NUMBER, API_NOT_A_NUMBER, true,
	    "the value is not a whole number of 64 bits, or the sum would not "
	    "be one",
	    "GET the key to see; a PUT of 0 begins anew" },
	{ KV_LEASE_NOT_FOUND, API_LEASE_NOT_FOUND, true, API_NO_LEASE_DETAIL,
	    API_NO_LEASE_HINT },
	{ KV_LEASE_EXISTS, API_LEASE_EXISTS, false,
	    "the id that was drawn is in use", "repeat it" },
	{ KV_LOCK_NOT_HELD, API_LOCK_NOT_FOUND, false,
	    "the lock is not held under this token, not any more or not yet",
	    "GET /lock/NAME shows who holds it" },
	{ KV_TOO_LARGE, API_BODY_TOO_LARGE, true,
	    "the value would be larger than a value may be",
	    "http.max-value is the limit, on every node" },
	{ KV_READS_TOO_MUCH, API_BODY_TOO_LARGE, true,
	    "what is to be shown of values is too large",
	    "the limit is 4 MiB, or 64 KiB with an Idempotency-Key: give a "
	    "list a \"limit\" or \"keys\":true, do without what was before, or "
	    "take it in parts" },
	{ KV_LOOKS_TOO_MUCH, API_BODY_TOO_LARGE, false,
	    "the values that conditions and lists look at are too large "
	    "together",
	    "the limit is 256 MiB: take it in parts" },
	{ KV_WRITES_TOO_MUCH, API_BODY_TOO_LARGE, true,
	    "it would write too much at once, with what history keeps of "
	    "before",
	    "the limit is 64 MiB: take it in parts" },
	{ KV_TOO_MANY, API_BODY_TOO_LARGE, true,
	    "too many keys at once, or on one lease",
	    "the limit is 10,000 keys, and 64 MiB of them and their values: "
	    "take them in parts, or several leases" },
	{ KV_REUSED, API_KEY_REUSED, false,
	    "this Idempotency-Key stands for another request",
	    "draw another key for each request" },
};

uint64_t
api_result_limit(const struct api_call *call, enum kv_status status)
{
	struct kv_identity ignored;

	if (status == KV_TOO_LARGE)
		return call->api->params.value_bytes_max;
	if (status == KV_LOOKS_TOO_MUCH)
		return KV_LOOK_BYTES_MAX;
	if (status == KV_WRITES_TOO_MUCH)
		return KV_WRITE_BYTES_MAX;
	if (status == KV_READS_TOO_MUCH)
		return api_get_identity(call, &ignored) == NULL
			   ? KV_OUTPUT_BYTES_MAX
			   : KV_REPLAY_OUTPUT_BYTES_MAX;
	return KV_DELETE_KEYS_MAX;
}

static void
append_limit(const struct api_call *call, enum kv_status status,
    struct api_problem *problem)
{
	api_problem_u64(problem, "limit", api_result_limit(call, status));
	if (status == KV_TOO_LARGE)
		api_problem_text(problem, "option", "http.max-value");
}

static void
fail_status(struct api_call *call, const struct kv_result *result)
{
	struct api_problem *problem;

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		if (rows[i].status != result->status)
			continue;
		problem = api_problem(call->api, rows[i].code);
		buf_append_text(&problem->detail, rows[i].detail);
		if (rows[i].hint != NULL)
			buf_append_text(&problem->hint, rows[i].hint);
		if (rows[i].code == API_BODY_TOO_LARGE)
			append_limit(call, result->status, problem);
		if (rows[i].of_op && call->key.size == 0)
			api_problem_u64(problem, "op", result->op);
		api_reply_problem(call, problem);
		return;
	}
	ASSERT(!"a result without a row");
}

bool
api_fail_result(struct api_call *call, const struct kv_result *result)
{
	call->replayed = result->replayed;
	if (result->status == KV_CONDITION_FAILED ||
	    (result->status == KV_OK && call->branch == KV_ELSE &&
		result->succeeded))
		fail_condition(call, result);
	else if (result->status == KV_LOCK_HELD)
		fail_held(call, result);
	else if (result->status != KV_OK)
		fail_status(call, result);
	else
		return false;
	return true;
}

/* ---- A key that was written ---- */

static void
begin_written(
    struct api_call *call, unsigned status, const struct kv_output *output)
{
	struct api_etag etag = api_etag_of(output->modified);

	api_reply_begin(call, status);
	http_reply_header(call->request, "ETag", slice_from_text(etag.text));
	http_reply_header(call->request, "Vary", slice_from_text("Accept"));
}

static void
note_preference(struct api_call *call, const char *preference)
{
	http_reply_header(
	    call->request, "Preference-Applied", slice_from_text(preference));
}

void
api_append_previous(struct buf *body, const struct kv_output *output)
{
	buf_append_text(body, ",\"previous\":");
	if (!output->has_value) {
		buf_append_text(body, "null");
		return;
	}
	buf_append_text(body, "{");
	api_append_bytes_member(body, "value", output->value);
	buf_append_text(body, "}");
}

static void
append_written(
    struct buf *body, const struct kv_output *output, enum api_shown shown)
{
	buf_append_text(body, "{");
	api_append_output(body, output, shown == API_SHOWN_VALUE);
	if (shown == API_SHOWN_PREVIOUS)
		api_append_previous(body, output);
	buf_append_text(body, "}\n");
}

/* RFC 9110, 10.2.2: an absolute path. */
static void
reply_location(struct api_call *call, struct slice key)
{
	struct buf *location = &call->api->scratch;

	buf_reset(location);
	buf_append_text(location, "/kv/");
	http_path_encode(key, location);
	http_reply_header(call->request, "Location", buf_slice(location));
}

void
api_reply_written(struct api_call *call, unsigned status,
    const struct kv_output *output, enum api_shown shown)
{
	struct http_request *request = call->request;
	bool is_child = call->request->method == HTTP_POST && status == 201;
	struct buf *body;

	if (!is_child &&
	    api_header_lists(request, "Prefer", "return=minimal")) {
		begin_written(call, 204, output);
		note_preference(call, "return=minimal");
		api_reply_end(call, slice_of(NULL, 0));
		return;
	}
	body = api_body(call->api);
	append_written(body, output, shown);
	begin_written(call, status, output);
	if (is_child)
		reply_location(call, output->key);
	if (shown == API_SHOWN_PREVIOUS)
		note_preference(call, "return=previous");
	http_reply_header(
	    request, "Content-Type", slice_from_text("application/json"));
	api_reply_end(call, buf_slice(body));
}
