#include "api/api_impl.h"
#include "common/macros.h"

/* A leader is ready if a quorum confirmed it not longer ago than this ... */
#define CONFIRMED_WITHIN_US 2000000
/* ... or does so within this when asked. */
#define CONFIRM_WAIT_US 1000000

struct check {
	const char *name;
	/* False: not passed, and `why` says more. */
	bool (*passes)(struct api *api, struct buf *why);
};

static bool
passes_running(struct api *api, struct buf *why)
{
	buf_append_text(why, "shutting down");
	return !api->leaving && !api->draining;
}

static bool
passes_member(struct api *api, struct buf *why)
{
	static const char *const texts[] = {
		[NODE_FORMING] = "the cluster is not formed yet",
		[NODE_JOINING] = "it waits to be made a member",
		[NODE_WIPED] = ("the data directory is empty, but the cluster "
				"remembers what it held"),
		[NODE_REMOVED] = "it was removed from the cluster",
		[NODE_OUTDATED] = ("the data directory is an old copy: put "
				   "back the newest, or replace this node"),
		[NODE_MEMBER] = "",
	};

	buf_append_text(why, texts[api->state]);
	return api->state == NODE_MEMBER;
}

static bool
passes_whole(struct api *api, struct buf *why)
{
	struct node_status status;

	node_get_status(api->node, loop_now(api->loop), &status);
	if (status.state == NODE_JOINING)
		buf_printf(why,
		    "repairing: waits for the leader, which needs a majority "
		    "without this node; the damaged files are kept in "
		    "%s/damaged",
		    api->params.data_dir);
	else if (status.begun_again)
		buf_printf(why,
		    "repairing: its directory was begun anew, and it is no "
		    "voter yet; the damaged files are kept in %s/damaged",
		    api->params.data_dir);
	else if (status.raft.state_lost)
		buf_append_text(why, "repairing: waits for a snapshot");
	else
		buf_append_text(why, "repairing: waits for entries of the log");
	return !status.repairing;
}

static bool
passes_leader(struct api *api, struct buf *why)
{
	buf_append_text(why, "none is known");
	return node_leader(api->node) != 0;
}

static bool
is_confirmed(const struct api *api)
{
	uint64_t now = loop_now(api->loop);

	return api->confirmed_us != 0 &&
	       now - api->confirmed_us <= CONFIRMED_WITHIN_US;
}

/*
 * A follower that hears no leader for an election timeout is a candidate: that
 * it follows one says that it is in contact.
 */
static bool
passes_quorum(struct api *api, struct buf *why)
{
	struct node_status status;

	if (node_is_leader(api->node)) {
		buf_append_text(why, "no quorum confirmed the leader");
		return is_confirmed(api);
	}
	node_get_status(api->node, loop_now(api->loop), &status);
	buf_append_text(why, "no contact with a leader");
	return status.raft.role == RAFT_FOLLOWER && status.raft.leader != 0;
}

static const struct check checks[] = {
	{ "running", passes_running },
	{ "whole", passes_whole },
	{ "member", passes_member },
	{ "leader", passes_leader },
	{ "quorum", passes_quorum },
};

/* Appends one line for each check; false if one was not passed, and the
 * problem's detail says which was the first. */
static bool
run_checks(struct api *api, struct buf *lines, struct buf *detail)
{
	struct buf *why = &api->scratch;

	for (size_t i = 0; i < ARRAY_COUNT(checks); i++) {
		const struct check *check = &checks[i];

		buf_reset(why);
		if (check->passes(api, why)) {
			buf_printf(lines, "[+]%s\n", check->name);
			continue;
		}
		buf_printf(lines, "[-]%s: ", check->name);
		buf_append_slice(lines, buf_slice(why));
		buf_append_text(lines, "\n");
		if (detail->size > 0)
			continue;
		buf_printf(detail, "%s: ", check->name);
		buf_append_slice(detail, buf_slice(why));
	}
	return detail->size == 0;
}

static void
answer_ready(struct api_call *call)
{
	struct api_problem *problem = api_problem(call->api, API_NOT_READY);
	struct buf *lines = api_body(call->api);
	bool ready = run_checks(call->api, lines, &problem->detail);

	if (!ready && !call->query.verbose) {
		buf_append_text(&problem->hint, "?verbose shows every check");
		api_reply_problem(call, problem);
		return;
	}
	if (!call->query.verbose)
		buf_reset(lines);
	buf_append_text(lines, ready ? "ready\n" : "not ready\n");
	api_reply_text(call, ready ? 200 : 503, "text/plain; charset=utf-8",
	    buf_slice(lines));
}

void
api_readyz_get(struct api_call *call)
{
	static const struct api_operation operation = {
		.serve = answer_ready,
		.given_up = answer_ready,
	};

	if (call->api->draining || is_confirmed(call->api) ||
	    !node_is_leader(call->api->node)) {
		answer_ready(call);
		return;
	}
	call->operation = &operation;
	call->local = true;
	call->query.timeout_us = CONFIRM_WAIT_US;
	api_ask_leader(call);
}

/* That it answers is the answer: the loop turns. */
void
api_livez_get(struct api_call *call)
{
	api_reply_text(
	    call, 200, "text/plain; charset=utf-8", slice_from_text("alive\n"));
}

static void
fail_not_leader(struct api_call *call, const struct node_member *leader)
{
	struct api_problem *problem = api_problem(call->api, API_NOT_LEADER);

	buf_printf(&problem->detail, "%s leads, not %s", leader->name,
	    call->api->params.node);
	buf_printf(&problem->hint,
	    "it is at %s; any node takes any request, and hands it on",
	    leader->address);
	api_problem_text(problem, "leader", leader->name);
	api_problem_text(problem, "address", leader->address);
	api_reply_problem(call, problem);
}

void
api_leader_get(struct api_call *call)
{
	struct api *api = call->api;
	const struct node_member *leader =
	    node_find_member(api->node, node_leader(api->node));

	if (leader == NULL) {
		api_fail(call, API_NOT_LEADER,
		    "GET /cluster shows who is missing",
		    "no leader is known to %s", api->params.node);
		return;
	}
	if (!node_is_leader(api->node)) {
		fail_not_leader(call, leader);
		return;
	}
	buf_printf(api_body(api), "%s\n", leader->name);
	api_reply_text(
	    call, 200, "text/plain; charset=utf-8", buf_slice(&api->body));
}
