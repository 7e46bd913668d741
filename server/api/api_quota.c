#include "api/api_impl.h"
#include "common/err.h"
#include "common/log.h"
#include <inttypes.h>

/* How often the files may be asked for their free space. */
#define SPACE_INTERVAL_US 1000000

static void
fail_quota(struct api_call *call, uint64_t used, uint64_t added)
{
	uint64_t quota = call->api->params.quota_bytes;
	struct api_problem *problem =
	    api_problem(call->api, API_QUOTA_EXCEEDED);

	buf_printf(&problem->detail,
	    "%" PRIu64 " bytes of keys and values are stored, and %" PRIu64
	    " more would exceed the quota of %" PRIu64,
	    used, added, quota);
	buf_append_text(&problem->hint,
	    "delete keys, or raise storage.quota on every node");
	api_problem_u64(problem, "used", used);
	api_problem_u64(problem, "quota", quota);
	api_reply_problem(call, problem);
}

/* What was done already needs no room, and a client that repeats it has to
 * learn that it was. */
static bool
is_repeat(struct api_call *call)
{
	struct node *node = call->api->node;
	struct kv_identity identity;
	bool known = false;
	int rc;

	if (api_get_identity(call, &identity) == NULL)
		return false;
	rc = kv_has_replay(node_kv(node), identity.key, &known);
	if (rc != 0)
		node_fail(node, rc, "reading a replay");
	return known;
}

/* What changes is logged: clients alone would hear of it. */
static void
look_at_space(struct api *api)
{
	uint64_t now = loop_now(api->loop);

	if (api->space_checked_us != 0 &&
	    now - api->space_checked_us < SPACE_INTERVAL_US)
		return;
	api->space_checked_us = now;
	api->params.get_space(api->params.context, &api->space);
	if (!api->space_is_short && api->space.free < api->space.minimum) {
		api->space_is_short = true;
		log_warning("writes are refused (507): %s has %" PRIu64
			    " bytes free, less than %" PRIu64 "; %s",
		    api->space.what, api->space.free, api->space.minimum,
		    api->space.hint);
	} else if (api->space_is_short &&
		   api->space.free / 9 >= api->space.minimum / 8) {
		api->space_is_short = false;
		log_notice("writes are taken again: there is room");
	}
}

static bool
fits_space(struct api_call *call)
{
	struct api *api = call->api;
	struct api_problem *problem;

	look_at_space(api);
	if (api->space.free >= api->space.minimum || is_repeat(call))
		return true;
	problem = api_problem(api, API_QUOTA_EXCEEDED);
	buf_printf(&problem->detail,
	    "on %s %s has %" PRIu64 " bytes free, less than %" PRIu64,
	    api->params.node, api->space.what, api->space.free,
	    api->space.minimum);
	buf_append_text(&problem->hint, api->space.hint);
	api_problem_u64(problem, "free", api->space.free);
	api_problem_u64(problem, "minimum", api->space.minimum);
	api_reply_problem(call, problem);
	return false;
}

/* What does not grow is no reason to refuse, though the quota be lower now. */
static bool
is_in_quota(const struct api *api, uint64_t added, uint64_t *ret_used)
{
	uint64_t quota = api->params.quota_bytes;
	struct kv_stats stats;

	kv_get_stats(node_kv(api->node), &stats);
	*ret_used = stats.live_bytes;
	return quota == 0 || added == 0 || stats.live_bytes + added <= quota;
}

bool
api_fits(struct api_call *call, uint64_t added)
{
	uint64_t used;

	if (is_in_quota(call->api, added, &used))
		return fits_space(call);
	if (is_repeat(call))
		return true;
	fail_quota(call, used, added);
	return false;
}

/* Nearer to the quota than this, what is replaced is subtracted. */
#define NEAR_BYTES (2 * API_JSON_BYTES_MAX)

uint64_t
api_growth(struct api *api, struct slice key, uint64_t size)
{
	uint64_t added = key.size + size;
	struct kv_item item;
	uint64_t used;
	int rc;

	if (is_in_quota(api, NEAR_BYTES, &used))
		return added;
	rc = kv_get(node_kv(api->node), key, &item);
	if (rc == 0)
		added -= MIN(added, key.size + item.value.size);
	else if (rc != ERR_NOT_FOUND)
		node_fail(api->node, rc, "reading a key");
	return added;
}

bool
api_fits_value(struct api_call *call, struct slice key, uint64_t size)
{
	uint64_t added = key.size + size;
	struct kv_item item;
	uint64_t used;
	int rc;

	/* What is there already is looked up only where it counts. */
	if (is_in_quota(call->api, added, &used))
		return fits_space(call);
	rc = kv_get(node_kv(call->api->node), key, &item);
	if (rc == 0) {
		added -= MIN(added, key.size + item.value.size);
	} else if (rc != ERR_NOT_FOUND) {
		api_fail_damaged(call, rc, "reading a key");
		return false;
	}
	return api_fits(call, added);
}
