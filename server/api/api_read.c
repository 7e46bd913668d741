#include "api/api_impl.h"
#include "common/err.h"
#include <inttypes.h>

/*
 * Which state a read is served from. A strong one waits until this node has
 * applied all that was committed when it arrived; a stale one takes what is
 * here, within the bounds that the client sets.
 */

/*
 * What is mended from the log or a snapshot is of an older time than what was
 * shown here before: not until it is whole again, and without a state nothing.
 */
static bool
fail_repairing(struct api_call *call)
{
	struct api *api = call->api;
	struct node_status status;

	if (!node_is_repairing(api->node))
		return false;
	node_get_status(api->node, loop_now(api->loop), &status);
	if (status.state != NODE_MEMBER ||
	    (!call->query.stale && !status.raft.state_lost))
		return false;
	api_fail(call, API_REPAIRING,
	    "ask another node; GET /readyz tells when this one is whole again",
	    "%s found damage in its data-dir and gets what it lost from the "
	    "others",
	    api->params.node);
	return true;
}

/* What is read from the leader's own point of time needs no bounds. */
static bool
fail_bounds(struct api_call *call)
{
	if ((call->query.given &
		(API_QUERY_MAX_LAG | API_QUERY_MIN_REVISION)) == 0)
		return false;
	api_fail(call, API_BAD_REQUEST, "add consistency=stale",
	    "max_lag and min_revision are bounds of stale reads");
	return true;
}

/* The oldest revision that will do; what is asked for `at` has to be there. */
static uint64_t
wanted_revision(const struct api_call *call)
{
	return MAX(call->query.min_revision, call->query.at);
}

bool
api_read_waited(struct api_call *call, bool last)
{
	uint64_t revision = kv_revision(node_kv(call->api->node));

	if (revision < wanted_revision(call) && !last)
		return false;
	api_cancel(call);
	if (revision >= wanted_revision(call))
		call->operation->serve(call);
	else
		api_fail(call, API_TOO_STALE,
		    "ask another node, or without consistency=stale",
		    "%s has revision %" PRIu64 ", not yet %" PRIu64,
		    call->api->params.node, revision, wanted_revision(call));
	return true;
}

static void
read_stale(struct api_call *call)
{
	uint64_t lag_us;

	if (api_fail_unless_member(call))
		return;
	lag_us = api_lag_us(call->api);
	if ((call->query.given & API_QUERY_MAX_LAG) != 0 &&
	    lag_us > call->query.max_lag_us) {
		api_fail(call, API_TOO_STALE,
		    "ask another node, or without consistency=stale",
		    "%s has not heard a leader for %.3f s",
		    call->api->params.node, (double)lag_us / 1e6);
		return;
	}
	if (kv_revision(node_kv(call->api->node)) >= wanted_revision(call))
		call->operation->serve(call);
	else
		api_wait(call);
}

void
api_read(struct api_call *call, const struct api_operation *operation)
{
	call->operation = operation;
	if (fail_repairing(call))
		return;
	if (call->query.stale)
		read_stale(call);
	else if (!fail_bounds(call))
		api_ask_leader(call);
}

struct api_problem *
api_problem_compacted(struct api *api)
{
	struct kv *kv = node_kv(api->node);
	struct api_problem *problem = api_problem(api, API_COMPACTED);

	buf_printf(&problem->detail,
	    "history before revision %" PRIu64 " is gone", kv_compacted(kv));
	api_problem_u64(problem, "oldest", kv_compacted(kv));
	api_problem_u64(problem, "current", kv_revision(kv));
	return problem;
}

bool
api_fail_at(struct api_call *call)
{
	struct kv *kv = node_kv(call->api->node);
	uint64_t at = call->query.at;

	if ((call->query.given & API_QUERY_AT) == 0)
		return false;
	if (at > kv_revision(kv)) {
		api_fail(call, API_BAD_REQUEST,
		    "leave out at, or ask for a revision that is there",
		    "at=%" PRIu64 " is not there yet: the revision is %" PRIu64,
		    at, kv_revision(kv));
		return true;
	}
	if (at < kv_compacted(kv)) {
		struct api_problem *problem = api_problem_compacted(call->api);

		buf_append_text(&problem->hint,
		    "leave out at, or ask for `oldest` or later; how long "
		    "history is kept is set by history.max-age and "
		    "history.max-size");
		api_reply_problem(call, problem);
		return true;
	}
	return false;
}

void
api_fail_damaged(struct api_call *call, int error, const char *reason)
{
	node_fail(call->api->node, error, reason);
	api_fail(call, API_INTERNAL, "this node stops; ask another", "%s: %s",
	    reason, err_text(error));
}
