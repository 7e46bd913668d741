#include "api/api_impl.h"
#include "common/err.h"
#include "common/panic.h"

/*
 * The three ways of a request that needs the leader. (A read needs only that
 * one is known: the node asks it for a confirmed index, and serves it here.)
 *
 *	     +-----------------------------------------------+
 *	     v                                               |
 *	api_ask_leader --- this node leads ----> in the node |
 *	     |    |                                |    |    | surely not
 *	     |    +------- another leads -> forwarded   |    | applied
 *	     |                                     |    +--->|
 *	     +--- nobody leads ----> parked        +---------+
 *
 * What leaves a way without an outcome goes round again until its deadline.
 * Callbacks of the node come in the middle of its turn, when it may not be
 * asked for anything: from there a call is parked and tried again afterwards.
 */

/* A known leader that did not serve a request is asked again after this. */
#define RETRY_INTERVAL_US 50000

/* Steps of long answers in one turn: together about 1 MiB or 10,000 keys. */
#define STEPS_MAX 4

#define NO_LEADER_HINT                                                         \
	"repeat it, nothing was changed; GET /cluster shows who is missing, "  \
	"and a GET with ?consistency=stale needs no leader"

static bool
is_write(const struct api_call *call)
{
	return call->operation->propose != NULL ||
	       call->operation->start != NULL;
}

uint64_t
api_timeout(const struct api_call *call)
{
	uint64_t longest_us = call->api->params.request_timeout_us;

	return call->query.timeout_us == 0
		   ? longest_us
		   : MIN(longest_us, call->query.timeout_us);
}

/* To be served, or to begin to wait for what wait= says. */
static void
set_deadline(struct api_call *call)
{
	if (call->place == 0)
		api_deadline_set(
		    call, call->request->received_us + api_timeout(call));
}

/* Names of the members that are not connected: "n2, n3". */
static void
append_absent(struct buf *to, const struct api *api)
{
	const struct node_members *members = node_get_members(api->node);
	const char *before = "";

	for (unsigned i = 0; i < members->count; i++) {
		const struct node_member *member = &members->member[i];
		struct peers_link link;

		if (peers_get_link(api->peers, member->id, &link) != 0 ||
		    link.connected)
			continue;
		buf_printf(to, "%s%s", before, member->name);
		before = ", ";
	}
}

static void
fail_forming(struct api_call *call)
{
	struct api_problem *problem = api_problem(call->api, API_STARTING);
	struct buf *absent = &call->api->scratch;

	buf_reset(absent);
	append_absent(absent, call->api);
	buf_append_text(&problem->detail,
	    "the cluster forms when every member has been heard once");
	if (absent->size > 0) {
		buf_append_text(&problem->detail, "; not connected yet: ");
		buf_append_slice(&problem->detail, buf_slice(absent));
	}
	api_reply_problem(call, problem);
}

static void
fail_wiped(struct api_call *call)
{
	api_fail(call, API_WIPED, "ask another member",
	    "the data directory of %s is empty, but the cluster remembers what "
	    "it held: this node takes no part",
	    call->api->params.node);
}

static void
fail_joining(struct api_call *call)
{
	api_fail(call, API_STARTING,
	    "POST /cluster/members?name=NAME&address=ADDRESS to a member adds "
	    "it, if node.join does not",
	    "%s waits to be made a member of the cluster",
	    call->api->params.node);
}

static void
fail_removed(struct api_call *call)
{
	api_fail(call, API_REMOVED, "ask a member",
	    "%s was removed from the cluster", call->api->params.node);
}

static void
fail_outdated(struct api_call *call)
{
	api_fail(call, API_OUTDATED,
	    "ask another member; put back the newest copy, or POST "
	    "/cluster/replace",
	    "the data directory of %s is an old copy: this node takes no part",
	    call->api->params.node);
}

bool
api_fail_unless_member(struct api_call *call)
{
	switch (call->api->state) {
	case NODE_FORMING: fail_forming(call); return true;
	case NODE_JOINING: fail_joining(call); return true;
	case NODE_WIPED: fail_wiped(call); return true;
	case NODE_REMOVED: fail_removed(call); return true;
	case NODE_OUTDATED: fail_outdated(call); return true;
	case NODE_MEMBER: return false;
	}
	return false;
}

/* Not served, and nobody is left to ask in time. */
static void
fail_unserved(struct api_call *call)
{
	const char *leader =
	    api_member_name(call->api, node_leader(call->api->node));

	if (api_fail_unless_member(call))
		return;
	if (leader[0] == '\0')
		api_fail(call, API_NO_LEADER, NO_LEADER_HINT,
		    "no leader is known to %s", call->api->params.node);
	else
		api_fail(call, API_NO_LEADER, NO_LEADER_HINT,
		    "the leader %s did not serve the request in time", leader);
}

/* Where to look, or how to repeat it without harm. */
static const char *
unknown_hint(const struct api_call *call)
{
	if (call->operation->start != NULL)
		return "GET /cluster to see";
	if ((call->route->flags & API_ROUTE_STREAM) != 0)
		return "repeat it: what is there by now is written again, or "
		       "with if=absent skipped";
	if (http_request_header(call->request, "Idempotency-Key").data != NULL)
		return "repeat it with the same Idempotency-Key, and it is "
		       "done once; or GET the key to see";
	if (call->operation->waited != NULL)
		return "the lock may be held or waited for until the ttl ends; "
		       "with an Idempotency-Key it could be repeated, and the "
		       "answer would be the same token";
	return "GET the key to see; with an Idempotency-Key it could be "
	       "repeated, and would be done once";
}

void
api_fail_unknown(struct api_call *call)
{
	api_fail(call, API_OUTCOME_UNKNOWN, unknown_hint(call),
	    "the write was handed to the cluster, but its outcome did not come "
	    "in time: it may be applied or not");
}

void
api_park(struct api_call *call)
{
	struct api *api = call->api;

	call->way = API_PARKED;
	list_push(&api->parked, &call->link);
	/* Without a leader, api_on_change tells of the next one. */
	if (node_leader(api->node) != 0)
		api->retry_us =
		    MIN(api->retry_us, loop_now(api->loop) + RETRY_INTERVAL_US);
}

/* One hop at most: what was forwarded to us goes back, its sender waits. */
static void
park_or_return(struct api_call *call)
{
	if (!call->local)
		api_park(call);
	else if (call->operation->given_up != NULL)
		call->operation->given_up(call);
	else
		api_fail(call, API_NO_LEADER, NULL, "%s does not lead",
		    call->api->params.node);
}

void
api_take_back(struct api_call *call, int rc)
{
	/* ERR_AGAIN: it is about to hand the leadership over. */
	if (rc == ERR_NOT_LEADER || rc == ERR_AGAIN)
		park_or_return(call);
	else if (rc == ERR_BUSY)
		api_fail(call, API_BUSY, "repeat it later",
		    "too many requests wait for the cluster already");
	else if (rc == ERR_TOO_LARGE)
		api_fail(call, API_BODY_TOO_LARGE,
		    "do it in parts, or with fewer conditions",
		    "the request makes too large an entry of the log");
	else
		api_fail(call, API_INTERNAL, NULL,
		    "the node refused the request: %s", err_text(rc));
}

static void
on_read(struct node_read *read, int status)
{
	struct api_call *call = CONTAINER_OF(read, struct api_call, read);

	call->way = API_IDLE;
	if (status != 0) {
		api_take_back(call, status);
		return;
	}
	call->api->confirmed_us = loop_now(call->api->loop);
	call->operation->serve(call);
}

void
api_on_written(struct node_write *write, enum node_outcome outcome,
    const struct kv_result *result)
{
	struct api_call *call = CONTAINER_OF(write, struct api_call, write);

	call->way = API_IDLE;
	if (outcome == NODE_DONE)
		call->operation->applied(call, result);
	else
		park_or_return(call);
}

static void
read_here(struct api_call *call)
{
	int rc;

	call->read.done = on_read;
	rc = node_read(call->api->node, &call->read);
	if (rc == 0)
		call->way = API_READING;
	else
		api_take_back(call, rc);
}

static void
write_here(struct api_call *call)
{
	struct api *api = call->api;
	struct buf *command = &api->command;
	int rc;

	buf_reset(command);
	if (!call->operation->propose(call, command))
		return;
	call->write.done = api_on_written;
	rc = node_write(
	    api->node, loop_now(api->loop), &call->write, buf_slice(command));
	if (rc == 0)
		call->way = API_WRITING;
	else
		api_take_back(call, rc);
}

void
api_ask_leader(struct api_call *call)
{
	struct api *api = call->api;
	raft_id leader = node_leader(api->node);

	set_deadline(call);
	if (call->query.redirect && leader != 0 && !node_is_leader(api->node)) {
		api_redirect(call, leader);
		return;
	}
	if (!is_write(call) && leader != 0) {
		read_here(call);
		return;
	}
	if (node_is_leader(api->node)) {
		if (call->operation->start != NULL)
			call->operation->start(call);
		else
			write_here(call);
		return;
	}
	if (api->state == NODE_WIPED || api->state == NODE_REMOVED ||
	    api->state == NODE_OUTDATED)
		(void)api_fail_unless_member(call);
	else if (call->local || leader == 0)
		park_or_return(call);
	else if (call->operation->forward != NULL)
		call->operation->forward(call, leader);
	else
		api_forward(call, leader);
}

void
api_write(struct api_call *call, const struct api_operation *operation)
{
	if (!api_check_identity(call))
		return;
	call->operation = operation;
	api_ask_leader(call);
}

void
api_wait(struct api_call *call)
{
	uint64_t wait_us = call->query.wait_us;

	set_deadline(call);
	if (wait_us != 0 && is_write(call))
		api_deadline_set(call, loop_now(call->api->loop) + wait_us);
	else if (wait_us != 0)
		api_deadline_set(
		    call, MIN(call->deadline_us,
			      loop_now(call->api->loop) + wait_us));
	call->way = API_WAITING;
	list_push(&call->api->waiting, &call->link);
	(void)call->operation->waited(call, call->api->draining);
}

/* `waited` takes the call out of the list by answering it. */
void
api_look_at_waiting(struct api *api, bool last)
{
	struct list *node;
	struct list *following;

	LIST_EACH_SAFE(node, following, &api->waiting) {
		struct api_call *call =
		    CONTAINER_OF(node, struct api_call, link);

		(void)call->operation->waited(call, last);
	}
}

void
api_step(struct api_call *call)
{
	call->way = API_STREAMING;
	list_push(&call->api->stepping, &call->link);
}

void
api_await_client(struct api_call *call)
{
	call->way = API_STREAMING;
	list_push(&call->api->inactive, &call->link);
}

void
api_await_no_client(struct api *api)
{
	while (!list_empty(&api->inactive)) {
		struct api_call *call =
		    CONTAINER_OF(api->inactive.next, struct api_call, link);

		api_cancel(call);
		call->operation->step(call);
	}
}

/* Those that want another one go to the end of the line. */
void
api_take_steps(struct api *api)
{
	for (unsigned i = 0; i < STEPS_MAX; i++) {
		struct api_call *call;

		if (list_empty(&api->stepping))
			return;
		call = CONTAINER_OF(api->stepping.next, struct api_call, link);
		list_remove(&call->link);
		call->way = API_IDLE;
		call->operation->step(call);
	}
}

void
api_ask_leader_again(struct api *api)
{
	struct list due;

	api->retry_us = RAFT_NEVER;
	list_init(&due);
	list_splice(&due, &api->parked);
	while (!list_empty(&due)) {
		struct api_call *call =
		    CONTAINER_OF(due.next, struct api_call, link);

		list_remove(&call->link);
		call->way = API_IDLE;
		api_ask_leader(call);
	}
}

void
api_cancel(struct api_call *call)
{
	switch (call->way) {
	case API_IDLE: break;
	case API_PARKED: list_remove(&call->link); break;
	case API_READING: node_read_cancel(&call->read); break;
	case API_WRITING: node_write_cancel(&call->write); break;
	case API_PROBING:
		peers_probe_cancel(call->api->peers, call->probe);
		break;
	case API_WAITING:
	case API_STREAMING: list_remove(&call->link); break;
	case API_FORWARDED:
		list_remove(&call->link);
		peers_cancel(call->api->peers, call->forward);
		break;
	}
	call->way = API_IDLE;
}

void
api_give_up(struct api_call *call)
{
	bool unknown = is_write(call) && call->way != API_PARKED &&
		       call->way != API_PROBING;
	bool unanswered = call->way == API_PROBING;
	bool unconfirmed = call->way == API_READING;

	if (call->way == API_WAITING) {
		(void)call->operation->waited(call, true);
		return;
	}
	api_cancel(call);
	if (call->operation->given_up != NULL)
		call->operation->given_up(call);
	else if (unanswered)
		api_fail(call, API_CANNOT_JOIN, NULL,
		    "%s at %s does not answer in time", call->query.name,
		    call->query.address);
	else if (unknown)
		api_fail_unknown(call);
	else if (unconfirmed)
		api_fail(call, API_NO_LEADER, NO_LEADER_HINT,
		    "no quorum confirmed in time that %s still leads",
		    call->api->params.node);
	else
		fail_unserved(call);
}
