#include "api/api_listing.h"
#include <inttypes.h>

/* DELETE /kv: all keys of a range, or so many of them, in one revision. */

/* Nobody means every key who leaves out a parameter, or whose shell did. */
static bool
fail_all(struct api_call *call)
{
	const struct api_query *query = &call->query;

	if (query->all || query->prefix.size > 0 || query->start.size > 0 ||
	    query->end.size > 0)
		return false;
	api_fail(call, API_BAD_REQUEST,
	    "give prefix=, or start= and end=; all=1 deletes every key",
	    "this would delete every key");
	return true;
}

static bool
fail_limit(struct api_call *call)
{
	if (call->query.limit <= KV_DELETE_KEYS_MAX)
		return false;
	api_fail(call, API_BAD_REQUEST, "repeat it while the answer has more",
	    "limit is at most %d", KV_DELETE_KEYS_MAX);
	return true;
}

static bool
propose(struct api_call *call, struct buf *command)
{
	struct buf memory = { 0 };
	struct kv_identity identity;
	struct kv_range range;
	bool is_sound = api_take_range(call, &memory, &range);

	if (is_sound) {
		kv_encode_transaction(
		    command, api_get_identity(call, &identity));
		kv_encode_op(command, KV_THEN,
		    &(struct kv_op){
			.kind = KV_DELETE_RANGE,
			.key = range.start,
			.other = range.end,
			.limit = (uint32_t)call->query.limit,
		    });
	}
	buf_release(&memory);
	return is_sound;
}

/* Too many, or too large together. */
static void
fail_too_many(struct api_call *call, enum kv_status status)
{
	struct api_problem *problem =
	    api_problem(call->api, API_BODY_TOO_LARGE);
	uint64_t limit = api_result_limit(call, status);

	buf_printf(&problem->detail,
	    "these are more than %" PRIu64
	    " %s, which is too much for one revision",
	    limit, status == KV_TOO_MANY ? "keys" : "bytes of keys and values");
	buf_printf(&problem->hint,
	    "add limit=%d, and repeat it while the answer has \"more\":true",
	    KV_DELETE_KEYS_MAX);
	api_problem_u64(problem, "limit", limit);
	api_reply_problem(call, problem);
}

static void
applied(struct api_call *call, const struct kv_result *result)
{
	struct kv_output output;
	struct buf *body;

	if (result->status == KV_TOO_MANY ||
	    result->status == KV_WRITES_TOO_MUCH) {
		call->replayed = result->replayed;
		fail_too_many(call, result->status);
		return;
	}
	if (api_fail_result(call, result))
		return;
	output = api_first_output(result);
	body = api_body(call->api);
	buf_printf(body, "{\"deleted\":%" PRIu64 ",\"revision\":%" PRIu64,
	    output.count, result->revision);
	if (call->query.limit != 0)
		buf_printf(
		    body, ",\"more\":%s", output.more ? "true" : "false");
	buf_append_text(body, "}\n");
	api_reply_text(call, 200, "application/json", buf_slice(body));
}

void
api_list_delete(struct api_call *call)
{
	static const struct api_operation operation = {
		.propose = propose,
		.applied = applied,
	};
	struct buf memory = { 0 };
	struct kv_range range;
	bool is_sound = !fail_all(call) && !fail_limit(call) &&
			api_take_range(call, &memory, &range);

	if (is_sound && api_range_needs_condition(call->api, &range)) {
		api_fail_required(call,
		    "a range has none: DELETE /kv/KEY one by one, with "
		    "If-Match or cas=REVISION");
		is_sound = false;
	}
	buf_release(&memory);
	if (is_sound)
		api_write(call, &operation);
}
