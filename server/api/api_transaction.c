#include "api/api_transaction.h"
#include "api/api_json.h"
#include <inttypes.h>

/* POST /txn, and what came of it. */

/* ---- Results ---- */

/* A GET of a key that is not there. */
static void
append_missing(struct buf *to, const struct kv_output *output)
{
	api_append_bytes_member(to, "key", output->key);
	buf_append_text(to, ",\"exists\":false");
}

static void
append_deleted(struct buf *to, const struct kv_output *output)
{
	buf_printf(to, "\"deleted\":%" PRIu64, output->count);
	if (output->more)
		buf_append_text(to, ",\"more\":true");
	if (!output->has_value)
		return;
	buf_append_text(to, ",");
	api_append_bytes_member(to, "previous", output->value);
}

/* Takes the items that belong to it. */
static void
append_list(
    struct buf *to, const struct kv_output *output, struct slice *outputs)
{
	struct kv_output item;

	buf_append_text(to, "\"items\":[");
	for (uint64_t i = 0; i < output->count; i++) {
		if (kv_output_next(outputs, &item) != 0)
			break;
		buf_append_text(to, i == 0 ? "{" : ",{");
		api_append_output(to, &item, true);
		buf_append_text(to, "}");
	}
	buf_printf(to, "],\"more\":%s", output->more ? "true" : "false");
}

static void
append_result(
    struct buf *to, const struct kv_output *output, struct slice *outputs)
{
	switch (output->kind) {
	case KV_OUTPUT_WRITTEN: api_append_output(to, output, true); break;
	case KV_OUTPUT_ITEM:
		if (output->exists)
			api_append_output(to, output, true);
		else
			append_missing(to, output);
		break;
	case KV_OUTPUT_DELETED: append_deleted(to, output); break;
	case KV_OUTPUT_LIST: append_list(to, output, outputs); break;
	case KV_OUTPUT_CONDITION:
	case KV_OUTPUT_LEASE:
	case KV_OUTPUT_LOCK: break; /* of no operation */
	}
}

static void
reply_results(struct api_call *call, const struct kv_result *result)
{
	struct buf *body = api_body(call->api);
	struct slice outputs = result->outputs;
	struct kv_output output;
	const char *before = "{";

	buf_printf(body,
	    "{\"succeeded\":%s,\"revision\":%" PRIu64 ",\"results\":[",
	    result->succeeded ? "true" : "false", result->revision);
	while (kv_output_next(&outputs, &output) == 0) {
		if (output.kind == KV_OUTPUT_CONDITION)
			continue; /* why it is the else branch */
		buf_append_text(body, before);
		append_result(body, &output, &outputs);
		buf_append_text(body, "}");
		before = ",{";
	}
	buf_append_text(body, "]}\n");
	api_reply_text(call, 200, "application/json", buf_slice(body));
}

/* ---- The request ---- */

/* All of it goes into the log, also where nothing of it is kept; but for some
 * deletes there is always room. */
#define SMALL_BYTES_MAX 4096

static bool
propose(struct api_call *call, struct buf *command)
{
	struct kv_identity identity;
	uint64_t added = 0;
	bool keeps = false;

	return api_transaction_encode(call, api_get_identity(call, &identity),
		   command, &added, &keeps) &&
	       ((!keeps && command->size <= SMALL_BYTES_MAX) ||
		   api_fits(call, added));
}

static void
applied(struct api_call *call, const struct kv_result *result)
{
	if (!api_fail_result(call, result))
		reply_results(call, result);
}

/*
 * A page of another site can make a browser send a form, but no JSON that says
 * so. Without any type, as curl -T sends it, it is no browser's.
 */
static bool
check_media_type(struct api_call *call)
{
	struct slice type = http_request_header(call->request, "Content-Type");

	if (type.data == NULL ||
	    api_parse_content_type(type) == KV_CONTENT_JSON)
		return true;
	api_fail(call, API_MEDIA_TYPE,
	    "curl --json sends it so, and -H 'Content-Type: application/json'",
	    "a transaction is application/json");
	return false;
}

void
api_transaction_post(struct api_call *call)
{
	static const struct api_operation operation = {
		.propose = propose,
		.applied = applied,
	};

	if (check_media_type(call))
		api_write(call, &operation);
}
