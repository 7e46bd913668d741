#include "api/api_listing.h"
#include "common/err.h"
#include "common/mem.h"
#include "net/http_uri.h"
#include <inttypes.h>
#include <stdlib.h>

/*
 * Listings without an end of their own, all at the revision of their begin. A
 * step follows when the client took what the one before made: its memory, and
 * the time that it takes, do not depend on how much there is to tell.
 */

static void
append_line_of_key(
    struct api_listing *listing, struct slice key, const struct kv_item *item)
{
	(void)item; /* a group is shown as its begin */
	http_path_encode(key, &listing->out);
	buf_append_text(&listing->out, "\n");
}

static void
append_line(
    struct api_listing *listing, struct slice key, const struct kv_item *item)
{
	struct buf *out = &listing->out;

	buf_append_text(out, "{");
	if (item == NULL)
		api_append_bytes_member(out, "prefix", key);
	else if (listing->call->query.keys)
		api_append_bytes_member(out, "key", key);
	else
		api_append_item(
		    listing->call->api, out, key, item, listing->item_flags);
	buf_append_text(out, "}\n");
}

static void
finish_plain(struct api_listing *listing)
{
	(void)listing;
}

/* Without this line, what was received is not all. */
static void
finish_lines(struct api_listing *listing)
{
	buf_printf(&listing->out,
	    "{\"end\":true,\"revision\":%" PRIu64 ",\"count\":%" PRIu64,
	    listing->revision, listing->count);
	if (listing->limited) {
		buf_append_text(&listing->out, ",\"more\":true,");
		api_append_bytes_member(
		    &listing->out, "next", api_listing_next(listing));
	}
	buf_append_text(&listing->out, "}\n");
}

static void
free_stream(struct api_call *call)
{
	api_listing_release(call->work);
	free(call->work);
}

/* Says why, in a line of its own, and cuts the connection. A list of keys has
 * no place for such a line. */
static void
cut(struct api_call *call, const struct api_problem *problem)
{
	const struct api_listing *listing = call->work;
	struct buf *line = api_body(call->api);

	if (problem != NULL && listing->finish == finish_lines)
		api_append_problem(line, problem);
	(void)http_reply_part(call->request, buf_slice(line));
	api_reply_cut(call);
}

static void
cut_by_error(struct api_call *call, int error)
{
	if (error != ERR_COMPACTED)
		node_fail(call->api->node, error, "reading keys");
	cut(call,
	    error == ERR_COMPACTED ? api_problem_compacted(call->api) : NULL);
}

/* It may last for as long as the client likes; the node does not. */
static void
cut_at_drain(struct api_call *call)
{
	struct api *api = call->api;
	struct api_problem *problem = api_problem(api, API_SHUTTING_DOWN);

	buf_printf(&problem->detail, "%s is shutting down", api->params.node);
	buf_append_text(&problem->hint, "repeat it at another node");
	cut(call, problem);
}

static void
wait_for_client(struct api_call *call)
{
	struct api_listing *listing = call->work;

	listing->waits = true;
	api_await_client(call);
}

static void
step(struct api_call *call)
{
	struct api_listing *listing = call->work;
	bool is_room;
	bool done;
	int rc;

	listing->waits = false;
	if (call->api->draining) {
		cut_at_drain(call);
		return;
	}
	rc = api_listing_step(listing, API_STEP_KEYS_MAX);
	done = api_listing_done(listing);
	if (rc == 0 && done)
		listing->finish(listing);
	is_room = http_reply_part(call->request, buf_slice(&listing->out));
	buf_reset(&listing->out);
	if (rc != 0)
		cut_by_error(call, rc);
	else if (done)
		api_reply_finish(call);
	else if (is_room)
		api_step(call);
	else
		wait_for_client(call);
}

static void
begin_stream(struct api_call *call, const char *content_type)
{
	api_reply_begin(call, 200);
	http_reply_header(
	    call->request, "Content-Type", slice_from_text(content_type));
	http_reply_header(call->request, "Vary", slice_from_text("Accept"));
	api_reply_stream(call);
}

static void
serve(struct api_call *call, const struct api_listing *form,
    const char *content_type)
{
	struct api_listing *listing = mem_zalloc(1, sizeof(*listing));

	*listing = *form;
	listing->call = call;
	listing->bytes_max = API_STEP_BYTES_MAX;
	if ((call->query.given & API_QUERY_AT) != 0)
		listing->item_flags |= API_ITEM_PAST;
	call->work = listing;
	call->work_free = free_stream;
	if (!api_listing_begin(listing))
		return;
	begin_stream(call, content_type);
	if (call->request->method == HTTP_HEAD)
		api_reply_finish(call);
	else
		step(call);
}

static void
serve_keys(struct api_call *call)
{
	static const struct api_listing form = {
		.append = append_line_of_key,
		.finish = finish_plain,
	};

	serve(call, &form, "text/plain; charset=utf-8");
}

static void
serve_lines(struct api_call *call)
{
	static const struct api_listing form = {
		.append = append_line,
		.finish = finish_lines,
		.item_flags = API_ITEM_VALUE,
	};

	serve(call, &form, "application/x-ndjson");
}

static void
serve_export(struct api_call *call)
{
	static const struct api_listing form = {
		.append = append_line,
		.finish = finish_lines,
		.item_flags = API_ITEM_VALUE | API_ITEM_CONTENT_TYPE,
	};

	serve(call, &form, "application/x-ndjson");
}

/* One that steps goes on anyway. */
static void
on_drained(struct api_call *call)
{
	const struct api_listing *listing = call->work;

	if (!listing->waits)
		return;
	api_cancel(call);
	api_step(call);
}

#define STREAM(how)                                                            \
	{                                                                      \
		.serve = (how), .waited = api_read_waited, .step = step,       \
		.drained = on_drained                                          \
	}

void
api_stream_keys(struct api_call *call)
{
	static const struct api_operation operation = STREAM(serve_keys);

	api_read(call, &operation);
}

void
api_stream_lines(struct api_call *call)
{
	static const struct api_operation operation = STREAM(serve_lines);

	api_read(call, &operation);
}

void
api_export_get(struct api_call *call)
{
	static const struct api_operation operation = STREAM(serve_export);

	api_read(call, &operation);
}
