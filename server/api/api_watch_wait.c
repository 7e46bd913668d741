#include "api/api_watch.h"

/*
 * GET /kv/KEY?wait=: an answer when the key is another than the client knows.
 * What it knows says If-None-Match; a missing key has the tag "0" here, so that
 * curl --etag-save and --etag-compare make a loop that waits in any state.
 * Without If-None-Match it waits for the next change.
 */

static struct api_watch *
watch_of(struct api_hub_watcher *watcher)
{
	return CONTAINER_OF(watcher, struct api_watch, watcher);
}

static struct slice
known_tags(const struct api_call *call)
{
	return http_request_header(call->request, "If-None-Match");
}

/* What the client has is what is there. */
static bool
is_known(const struct api_call *call, const struct kv_item *item)
{
	if (item != NULL)
		return api_is_not_modified(call, item->modified);
	return slice_equal(
		   known_tags(call), slice_from_text(API_MISSING_TAG)) ||
	       slice_equal(known_tags(call), slice_from_text("0"));
}

/* It waits for nothing any more; `last`: whatever there is, is the answer. */
static void
serve(struct api_call *call, bool last)
{
	struct api_watch *watch = call->work;

	api_hub_pause(call->api->watches->hub, &watch->watcher);
	call->operation = watch->operation;
	if (last)
		call->query.wait_us = 0;
	watch->serve(call);
}

static void
take(struct api_hub_watcher *watcher, uint64_t revision, bool more,
    struct slice text)
{
	(void)watcher; /* it is settled, and looks at the key then */
	(void)revision;
	(void)more;
	(void)text;
}

/* It may have changed, and looks as well. */
static void
lose(struct api_hub_watcher *watcher, uint64_t revision)
{
	(void)watcher;
	(void)revision;
}

static void
look_again(struct api_call *call)
{
	serve(call, known_tags(call).data == NULL);
}

/* Many may wait for one large value: what there is no room for at once comes by
 * turns, with a flush between. */
static void
settle(struct api_hub_watcher *watcher)
{
	struct api_call *call = watch_of(watcher)->call;

	api_cancel(call);
	if (!http_reply_is_crowded(call->request)) {
		look_again(call);
		return;
	}
	api_hub_pause(call->api->watches->hub, watcher);
	api_step(call);
}

static void
give_up(struct api_call *call)
{
	serve(call, true);
}

static struct api_watch *
begin(struct api_call *call, void (*serve_call)(struct api_call *call))
{
	static const struct api_hub_ops ops = { take, lose, settle };
	struct api_watch *watch = api_watch_new(call, &ops, API_FORM_NONE, 0);

	if (watch == NULL)
		return NULL;
	watch->serve = serve_call;
	watch->operation = call->operation;
	http_request_abandon_early(call->request);
	api_deadline_set(call, loop_now(call->api->loop) + call->query.wait_us);
	return watch;
}

bool
api_wait_for_change(struct api_call *call, const struct kv_item *item,
    void (*serve_call)(struct api_call *call))
{
	static const struct api_operation operation = {
		.step = look_again,
		.given_up = give_up,
	};
	struct api *api = call->api;
	struct api_watch *watch = call->work;

	if (call->query.wait_us == 0 || api->draining ||
	    (known_tags(call).data != NULL && !is_known(call, item)))
		return false;
	if (watch == NULL)
		watch = begin(call, serve_call);
	if (watch == NULL)
		return true;
	watch->watcher.after = kv_revision(node_kv(api->node));
	api_hub_go_live(api->watches->hub, &watch->watcher);
	call->operation = &operation;
	call->way = API_STREAMING;
	list_push(&api->watches->polls, &call->link);
	return true;
}
