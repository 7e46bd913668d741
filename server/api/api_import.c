#include "api/api_import.h"
#include "common/err.h"
#include "common/json.h"
#include "common/mem.h"
#include "net/http_uri.h"
#include <inttypes.h>
#include <stdlib.h>

/*
 * PUT and POST /import: lines become keys, a batch at a time.
 *
 *	body part -> lines -> batch --- full, or the end ---> proposed here, or
 *	    ^                                                 sent to the leader
 *	    |                                                       |
 *	    +---- behind the turn: lines that are there already <---+
 *
 * The body is paused while a batch is under way. A batch goes the ways of any
 * write (api_leader.c), but to another leader as POST /txn.
 */

/* Each has a batch and a line in memory. */
#define IMPORTS_MAX 16

static void
free_import(struct api_call *call)
{
	struct api_import *import = call->work;

	call->api->imports_count--;
	buf_release(&import->input);
	buf_release(&import->batch.entries);
	free(import);
}

static void
reply_imported(struct api_import *import)
{
	struct buf *body = api_body(import->call->api);

	buf_printf(body,
	    "{\"imported\":%" PRIu64 ",\"skipped\":%" PRIu64
	    ",\"revision\":%" PRIu64 ",\"batches\":%" PRIu64 "}\n",
	    import->imported, import->skipped,
	    import->batches > 0 ? import->revision
				: kv_revision(node_kv(import->call->api->node)),
	    import->batches);
	api_reply_text(import->call, 200, "application/json", buf_slice(body));
}

/* Added to every error: what was done before it. */
static void
explain(struct api_call *call, struct api_problem *problem)
{
	const struct api_import *import = call->work;

	if (import == NULL)
		return;
	api_problem_u64(problem, "imported", import->imported);
	api_problem_u64(problem, "skipped", import->skipped);
}

static void
send_batch(struct api_import *import)
{
	struct api_call *call = import->call;

	import->is_sending = true;
	/* Each batch has that long; the body comes as slowly as it likes. */
	api_deadline_set(call, loop_now(call->api->loop) + api_timeout(call));
	api_ask_leader(call);
}

/* More of the body is wanted, which may take its time. */
static void
wait_for_body(struct api_call *call)
{
	api_await_client(call);
	api_deadline_set(call, RAFT_NEVER);
}

/* What has come is finished, but nobody knows how much more will. */
static bool
refuse_draining(struct api_import *import)
{
	struct api_call *call = import->call;

	if (!call->api->draining || import->is_complete)
		return false;
	api_fail(call, API_SHUTTING_DOWN,
	    "repeat it at another node: what is there by now is written again",
	    "%s is shutting down", call->api->params.node);
	return true;
}

static void
go_on(struct api_import *import)
{
	struct api_call *call = import->call;
	bool is_last;

	if (import->is_sending) {
		send_batch(import);
		return;
	}
	if (refuse_draining(import) || !api_import_read_lines(import))
		return;
	is_last = import->is_complete && !import->is_full;
	if (is_last && !api_import_check_end(import))
		return;
	if (import->is_full || (is_last && import->batch.count > 0)) {
		http_body_pause(call->request);
		send_batch(import);
	} else if (is_last) {
		reply_imported(import);
	} else {
		wait_for_body(call);
		http_body_resume(call->request);
	}
}

static void
take_part(struct api_call *call, struct slice part, bool last)
{
	struct api_import *import = call->work;

	buf_append_slice(&import->input, part);
	import->is_complete = last;
	api_cancel(call);
	go_on(import);
}

static void
step(struct api_call *call)
{
	go_on(call->work);
}

/* ---- What became of a batch; the next one follows behind the turn ---- */

static void
finish_batch(struct api_import *import, uint64_t revision)
{
	struct api_batch *batch = &import->batch;

	import->is_sending = false;
	import->imported += batch->count - batch->skipped_count;
	import->skipped += batch->skipped_count;
	if (batch->count > batch->skipped_count) {
		import->batches++;
		import->revision = revision;
	}
	api_batch_reset(batch);
	api_step(import->call);
}

/* Once more, without those that are there. */
static void
skip_present(struct api_import *import, const bool *is_present, size_t count)
{
	struct api_batch *batch = &import->batch;

	api_batch_skip(batch, is_present, count);
	if (batch->skipped_count == batch->count)
		finish_batch(import, import->revision);
	else
		api_step(import->call);
}

/* ---- Where this node leads ---- */

static bool
propose(struct api_call *call, struct buf *command)
{
	struct api_import *import = call->work;

	if (!api_fits(call, api_batch_growth(&import->batch, call->api)))
		return false;
	api_batch_encode(&import->batch, call->query.if_absent, command);
	return true;
}

static void
applied(struct api_call *call, const struct kv_result *result)
{
	bool is_present[API_BATCH_KEYS_MAX] = { false };
	struct api_import *import = call->work;
	struct slice outputs = result->outputs;
	struct kv_output output;

	if (result->status == KV_OK) {
		finish_batch(import, result->revision);
		return;
	}
	if (result->status != KV_CONDITION_FAILED) {
		(void)api_fail_result(call, result);
		return;
	}
	while (kv_output_next(&outputs, &output) == 0) {
		if (output.kind == KV_OUTPUT_CONDITION)
			is_present[output.index] = true;
	}
	skip_present(import, is_present, API_BATCH_KEYS_MAX);
}

/* ---- Where another one does ---- */

/* The leader's own error, with what was done before it. */
static void
relay_error(struct api_call *call, const struct http_client_reply *reply)
{
	struct api_problem *members = api_problem(call->api, API_INTERNAL);
	struct buf *body = api_body(call->api);

	if (reply->status < 400 || reply->body.size < 3) {
		api_fail(call, API_INTERNAL, NULL,
		    "the leader's answer, of status %u, is not understood",
		    reply->status);
		return;
	}
	explain(call, members);
	buf_append(body, reply->body.data, reply->body.size - 2);
	buf_append_slice(body, buf_slice(&members->members));
	buf_append_text(body, "}\n");
	api_reply_text(
	    call, reply->status, "application/problem+json", buf_slice(body));
}

static void
take_failed(struct api_call *call, const json_t *answer)
{
	bool is_present[API_BATCH_KEYS_MAX] = { false };
	const json_t *failed = json_object_get(answer, "failed");

	for (size_t i = 0; i < json_array_size(failed); i++) {
		uint64_t index;

		if (json_get_u64(json_array_get(failed, i), "index", &index) ==
			0 &&
		    index < API_BATCH_KEYS_MAX)
			is_present[index] = true;
	}
	/* A key by itself was a PUT, which has no list. */
	if (failed == NULL)
		is_present[0] = true;
	skip_present(call->work, is_present, API_BATCH_KEYS_MAX);
}

static void
take_answer(struct api_call *call, const struct http_client_reply *reply)
{
	json_t *answer = NULL;
	struct json_place place;
	uint64_t revision;

	/* There may be a NUL in a key. */
	if (json_parse_document(
		reply->body, API_JSON_BYTES_MAX, &answer, &place) != 0)
		relay_error(call, reply);
	else if (reply->status == 412)
		take_failed(call, answer);
	else if (reply->status < 300 &&
		 json_get_u64(answer, "revision", &revision) == 0)
		finish_batch(call->work, revision);
	else
		relay_error(call, reply);
	json_decref(answer);
}

static void
on_forwarded(
    void *context, int error, bool sent, const struct http_client_reply *reply)
{
	struct api_call *call = context;

	list_remove(&call->link);
	call->way = API_IDLE;
	/* A 503 is a promise: nothing was applied. */
	if (error == 0 && reply->status != 503)
		take_answer(call, reply);
	else if (error == 0 || !sent)
		api_park(call);
	else
		api_fail_unknown(call);
}

/* One that is too large for JSON goes as it is. */
static void
make_put(struct api_call *call, const struct api_entry *entry)
{
	const char *type = api_content_type_text(entry->content_type);
	struct buf *target = &call->api->target;
	struct buf *headers = &call->api->headers;

	buf_append_text(target, "/kv/");
	http_path_encode(entry->key, target);
	if (entry->ttl_us != 0)
		buf_printf(target, "?ttl=%" PRIu64 "us", entry->ttl_us);
	if (type != NULL)
		buf_printf(headers, "Content-Type: %s\r\n", type);
	if (call->query.if_absent)
		buf_append_text(headers, "If-None-Match: *\r\n");
}

static void
make_transaction(struct api_call *call, struct buf *body)
{
	const struct api_import *import = call->work;

	buf_append_text(&call->api->target, "/txn");
	buf_append_text(
	    &call->api->headers, "Content-Type: application/json\r\n");
	api_batch_append_json(&import->batch, call->query.if_absent, body);
}

static void
forward(struct api_call *call, raft_id leader)
{
	struct api_import *import = call->work;
	struct api *api = call->api;
	struct api_batch_place place = { 0 };
	struct buf json = { 0 };
	struct api_entry entry;
	bool is_put = import->batch.bytes > API_BATCH_BYTES_MAX;

	buf_reset(&api->target);
	buf_reset(&api->headers);
	if (is_put && api_batch_next(&import->batch, &place, &entry))
		make_put(call, &entry);
	else
		make_transaction(call, &json);
	api_forward_as(call, leader, is_put ? HTTP_PUT : HTTP_POST,
	    is_put ? entry.value : buf_slice(&json), on_forwarded);
	buf_release(&json);
}

/* ---- The request ---- */

void
api_import_post(struct api_call *call)
{
	static const struct api_operation operation = {
		.body = take_part,
		.step = step,
		.propose = propose,
		.applied = applied,
		.forward = forward,
		.explain = explain,
	};
	struct api_import *import;

	if (call->api->imports_count == IMPORTS_MAX) {
		api_fail(call, API_BUSY, "repeat it later",
		    "%d imports are under way already", IMPORTS_MAX);
		return;
	}
	import = mem_zalloc(1, sizeof(*import));
	import->call = call;
	call->api->imports_count++;
	call->work = import;
	call->work_free = free_import;
	call->operation = &operation;
	wait_for_body(call);
}
