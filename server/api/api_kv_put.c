#include "api/api_impl.h"
#include <inttypes.h>

/* PUT and DELETE of one key. */

static bool
wants_previous(const struct api_call *call)
{
	return api_header_lists(call->request, "Prefer", "return=previous");
}

/* Whether the answer has it: not where it repeats one that was asked for
 * without, as then nobody knows any more what was before. */
static bool
shows_previous(const struct api_call *call, const struct kv_output *output)
{
	return wants_previous(call) && (output->has_value || !output->exists);
}

/*
 * curl -T - reads its input once: when --retry sends it again, the body is empty,
 * and a value that nobody wanted would take the place of what is there.
 */
static bool
check_body(struct api_call *call)
{
	const struct http_request *request = call->request;

	if (request->body.size != 0 ||
	    http_request_header(request, "Transfer-Encoding").size == 0)
		return true;
	api_fail(call, API_BAD_REQUEST,
	    "to write an empty value say so: -X PUT -d ''; curl -T - sends "
	    "nothing when it repeats by --retry: give it a file, or -X PUT "
	    "--data-binary @-",
	    "a body of unknown length came out empty");
	return false;
}

/* What a write of the key in the path has to keep to. False: answered. */
static bool
check_write(struct api_call *call)
{
	return api_take_key(call) && api_check_conditions(call) &&
	       api_check_required(call);
}

static bool
propose_put(struct api_call *call, struct buf *command)
{
	const struct http_request *request = call->request;
	struct kv_op op = {
		.kind = KV_PUT,
		.key = buf_slice(&call->key),
		.value = request->body,
		.content_type = api_parse_content_type(
		    http_request_header(request, "Content-Type")),
		.previous = wants_previous(call),
	};

	if (!api_take_lifetime(call, KV_LIFETIME_NONE, &op) ||
	    !api_fits_value(call, op.key, op.value.size))
		return false;
	api_encode_begin(call, command);
	kv_encode_op(command, call->branch, &op);
	return true;
}

static void
applied_put(struct api_call *call, const struct kv_result *result)
{
	struct kv_output output;

	if (api_fail_result(call, result))
		return;
	output = api_first_output(result);
	api_reply_written(call, output.exists ? 200 : 201, &output,
	    shows_previous(call, &output) ? API_SHOWN_PREVIOUS
					  : API_SHOWN_NOTHING);
}

void
api_kv_put(struct api_call *call)
{
	static const struct api_operation operation = {
		.propose = propose_put,
		.applied = applied_put,
	};
	struct kv_op ignored;

	if (check_write(call) && check_body(call) &&
	    api_take_lifetime(call, KV_LIFETIME_NONE, &ignored))
		api_write(call, &operation);
}

static bool
propose_delete(struct api_call *call, struct buf *command)
{
	api_encode_begin(call, command);
	kv_encode_op(command, call->branch,
	    &(struct kv_op){
		.kind = KV_DELETE,
		.key = buf_slice(&call->key),
		.previous = wants_previous(call),
	    });
	return true;
}

static void
applied_delete(struct api_call *call, const struct kv_result *result)
{
	struct buf *body = api_body(call->api);
	struct kv_output output;

	if (api_fail_result(call, result))
		return;
	output = api_first_output(result);
	buf_printf(body, "{\"deleted\":%" PRIu64 ",", output.count);
	api_append_bytes_member(body, "key", buf_slice(&call->key));
	buf_printf(body, ",\"revision\":%" PRIu64, result->revision);
	if (shows_previous(call, &output))
		api_append_previous(body, &output);
	buf_append_text(body, "}\n");
	api_reply_begin(call, 200);
	if (shows_previous(call, &output))
		http_reply_header(call->request, "Preference-Applied",
		    slice_from_text("return=previous"));
	http_reply_header(
	    call->request, "Content-Type", slice_from_text("application/json"));
	api_reply_end(call, buf_slice(body));
}

void
api_kv_delete(struct api_call *call)
{
	static const struct api_operation operation = {
		.propose = propose_delete,
		.applied = applied_delete,
	};

	if (check_write(call))
		api_write(call, &operation);
}
