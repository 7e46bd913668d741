/* Who is a member, and who leads: changes of both, asked of the leader. */

#include "api/api_impl.h"
#include "common/err.h"
#include "common/text.h"
#include <inttypes.h>
#include <stdio.h>

#define MEMBER_PREFIX_SIZE (sizeof("/cluster/members/") - 1)

static enum raft_member_role
role_of(const struct api *api, const char *name)
{
	const struct node_member *member =
	    node_find_member_name(api->node, name);

	return member == NULL ? RAFT_MEMBER_NONE
			      : node_get_role(api->node, member->id);
}

/* {"name":"n4","address":"...","role":"voter"} */
static void
reply_member(struct api_call *call, unsigned status, const char *name)
{
	const struct node_member *member =
	    node_find_member_name(call->api->node, name);
	struct buf *body = api_body(call->api);

	buf_append_text(body, "{\"name\":");
	text_append_json_string(body, slice_from_text(name));
	if (member != NULL) {
		buf_append_text(body, ",\"address\":");
		text_append_json_string(body, slice_from_text(member->address));
	}
	buf_printf(body, ",\"role\":\"%s\"}\n",
	    raft_member_role_name(role_of(call->api, name)));
	api_reply_text(call, status, "application/json", buf_slice(body));
}

/* The node refused a change; `why` is a sentence for the operator. */
static void
fail_change(struct api_call *call, int error, const char *why)
{
	static const struct {
		int error;
		enum api_code code;
		const char *hint;
	} rows[] = {
		{ ERR_BUSY, API_CHANGE_IN_PROGRESS,
		    "GET /cluster shows it; repeat this when it is done" },
		{ ERR_MISMATCH, API_CHANGE_IN_PROGRESS,
		    "GET /cluster shows the members; repeat this if it is "
		    "still wanted" },
		{ ERR_NOT_FOUND, API_MEMBER_NOT_FOUND,
		    "GET /cluster shows the members" },
		{ ERR_EXISTS, API_MEMBER_EXISTS,
		    "GET /cluster shows the members" },
		{ ERR_TOO_LARGE, API_TOO_MANY_MEMBERS,
		    "remove one with DELETE /cluster/members/NAME" },
		{ ERR_DENIED, API_WOULD_LOSE_QUORUM,
		    "bring the missing ones back; force=1 does it all the "
		    "same, and may end all writes until they are" },
		{ ERR_INVALID, API_BAD_REQUEST, NULL },
	};

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		if (rows[i].error == error) {
			api_fail(call, rows[i].code, rows[i].hint, "%s", why);
			return;
		}
	}
	api_take_back(call, error);
}

static void
change(struct api_call *call, const struct node_change *wanted)
{
	struct api *api = call->api;
	char why[512] = "";
	int error;

	call->write.done = api_on_written;
	error = node_change_members(api->node, loop_now(api->loop), wanted,
	    &call->write, why, sizeof(why));
	if (error == 0)
		call->way = API_WRITING;
	else
		fail_change(call, error, why);
}

/* ---- Probing ---- */

/* It ends while there is time left for what follows from it. */
static void
probe(struct api_call *call, peers_probe_fn *fn)
{
	struct api *api = call->api;
	uint64_t now_us = loop_now(api->loop);
	uint64_t left_us = call->deadline_us - MIN(now_us, call->deadline_us);
	int error = peers_probe(api->peers, call->query.address,
	    now_us + left_us / 4 * 3, fn, call, &call->probe);

	if (error == 0)
		call->way = API_PROBING;
	else if (error == ERR_BUSY)
		api_fail(call, API_BUSY, "repeat it in a few seconds",
		    "other changes of the members ask at their addresses who "
		    "is there, and so many at a time are enough");
	else
		api_take_back(call, error);
}

/* True: the address is that of another member than `name`, which has been
 * answered. */
static bool
refuse_taken(struct api_call *call, const char *name)
{
	const struct node_members *members = node_get_members(call->api->node);

	for (unsigned i = 0; i < members->count; i++) {
		const struct node_member *member = &members->member[i];

		if (strcmp(member->address, call->query.address) != 0 ||
		    strcmp(member->name, name) == 0)
			continue;
		api_fail(call, API_MEMBER_EXISTS,
		    "GET /cluster shows the members",
		    "%s is the address of member %s", member->address,
		    member->name);
		return true;
	}
	return false;
}

/* ---- Adding: the node is looked at first ---- */

/* The member takes the place of `old`, or has: that is gone then. */
static bool
replaces(const struct api_call *call, raft_id id)
{
	const struct node_member *old =
	    node_find_member_name(call->api->node, call->query.old);

	return old == NULL || node_get_replaced(call->api->node, id) == old->id;
}

/* A request that is repeated finds what it did before. */
static bool
is_repeated(const struct api_call *call)
{
	const struct node_member *member =
	    node_find_member_name(call->api->node, call->query.name);

	return member != NULL &&
	       strcmp(member->address, call->query.address) == 0 &&
	       (call->query.old[0] == '\0' || replaces(call, member->id));
}

/* `hello` is NULL if nobody answers there now. */
static void
repeat_add(struct api_call *call, const struct node_hello *hello)
{
	const struct api_query *query = &call->query;
	const struct node_member *member =
	    node_find_member_name(call->api->node, query->name);

	if (hello == NULL ||
	    memcmp(hello->directory, member->directory, NODE_NONCE_SIZE) == 0) {
		api_wait(call);
		return;
	}
	api_fail(call, API_MEMBER_EXISTS,
	    "put the former directory back, or start it under a new name at "
	    "another address with node.join = wait and an empty node.data-dir",
	    "%s comes with another directory than the cluster knows, and votes "
	    "that it gave may have counted: POST "
	    "/cluster/replace?old=%s&new=%sb&address=ADDRESS",
	    query->name, query->name, query->name);
}

static void
on_probed(void *context, const struct node_hello *hello, int error,
    const char *why_not)
{
	struct api_call *call = context;
	const struct api_query *query = &call->query;
	struct node_change wanted = {
		.kind = query->old[0] == '\0' ? NODE_ADD : NODE_REPLACE,
		.force = query->force,
	};
	char why[512];

	call->way = API_IDLE;
	if (is_repeated(call)) {
		repeat_add(call, error == 0 ? hello : NULL);
		return;
	}
	if (error != 0) {
		api_fail(call, API_CANNOT_JOIN,
		    "start luminousd there, with node.join and an empty "
		    "data-dir, and the cluster's name and secret",
		    "%s at %s: %s", query->name, query->address, why_not);
		return;
	}
	if (node_judge_joining(
		call->api->node, hello, query->name, why, sizeof(why)) != 0) {
		api_fail(call, API_CANNOT_JOIN, NULL, "%s", why);
		return;
	}
	snprintf(wanted.name, sizeof(wanted.name), "%s", query->old);
	snprintf(
	    wanted.member.name, sizeof(wanted.member.name), "%s", query->name);
	snprintf(wanted.member.address, sizeof(wanted.member.address), "%s",
	    query->address);
	memcpy(wanted.member.directory, hello->directory, NODE_NONCE_SIZE);
	change(call, &wanted);
}

static void
start_add(struct api_call *call)
{
	struct api *api = call->api;

	if (!is_repeated(call) &&
	    node_find_member_name(api->node, call->query.name) != NULL) {
		api_fail(call, API_MEMBER_EXISTS,
		    "choose another name: a name is never used for another "
		    "node while it is a member's",
		    "%s is a member already", call->query.name);
		return;
	}
	if (call->query.old[0] != '\0' && !is_repeated(call) &&
	    node_find_member_name(api->node, call->query.old) == NULL) {
		api_fail(call, API_MEMBER_NOT_FOUND,
		    "GET /cluster shows the members", "there is no member %s",
		    call->query.old);
		return;
	}
	if (!refuse_taken(call, call->query.name))
		probe(call, on_probed);
}

static bool
is_settled(const struct api_call *call)
{
	return role_of(call->api, call->query.name) == RAFT_MEMBER_VOTER &&
	       (call->query.old[0] == '\0' ||
		   node_find_member_name(call->api->node, call->query.old) ==
		       NULL);
}

/* 201: it votes. 202: it is a member and will vote once it has caught up. */
static bool
waited_add(struct api_call *call, bool last)
{
	bool settled = is_settled(call);
	bool is_there =
	    node_find_member_name(call->api->node, call->query.name) != NULL;

	if (!settled && is_there && call->query.wait_us != 0 && !last)
		return false;
	api_cancel(call);
	if (!is_there) {
		fail_change(
		    call, ERR_NOT_FOUND, "it was removed before it voted");
		return true;
	}
	reply_member(call, settled ? 201 : 202, call->query.name);
	return true;
}

static void
applied_add(struct api_call *call, const struct kv_result *result)
{
	(void)result; /* a membership has none */
	api_wait(call);
}

static const struct api_operation add_operation = {
	.start = start_add,
	.applied = applied_add,
	.waited = waited_add,
};

void
api_members_post(struct api_call *call)
{
	if (api_query_require(call, API_QUERY_NAME | API_QUERY_ADDRESS))
		api_write(call, &add_operation);
}

void
api_replace_post(struct api_call *call)
{
	if (api_query_require(
		call, API_QUERY_OLD | API_QUERY_NEW | API_QUERY_ADDRESS))
		api_write(call, &add_operation);
}

/* ---- One member ---- */

/* False: the path names none, which has been answered. */
static bool
take_name(struct api_call *call)
{
	struct slice path = call->request->path;
	struct slice name = slice_of(
	    path.data + MEMBER_PREFIX_SIZE, path.size - MEMBER_PREFIX_SIZE);

	if (!api_parse_name(name, call->query.name)) {
		api_fail(call, API_BAD_REQUEST,
		    "a member's name is 1 to 32 of a-z0-9-",
		    "the path names no member");
		return false;
	}
	return true;
}

static void
start_remove(struct api_call *call)
{
	struct node_change wanted = {
		.kind = NODE_REMOVE,
		.force = call->query.force,
	};

	snprintf(wanted.name, sizeof(wanted.name), "%s", call->query.name);
	change(call, &wanted);
}

static void
applied_remove(struct api_call *call, const struct kv_result *result)
{
	struct buf *body = api_body(call->api);

	(void)result; /* a membership has none */
	buf_printf(body, "{\"removed\":\"%s\"}\n", call->query.name);
	api_reply_text(call, 200, "application/json", buf_slice(body));
}

void
api_member_delete(struct api_call *call)
{
	static const struct api_operation operation = {
		.start = start_remove,
		.applied = applied_remove,
	};

	if (take_name(call))
		api_write(call, &operation);
}

static void
move(struct api_call *call, bool force)
{
	struct node_change wanted = {
		.kind = NODE_MOVE,
		.force = force,
	};

	snprintf(wanted.name, sizeof(wanted.name), "%s", call->query.name);
	snprintf(wanted.member.address, sizeof(wanted.member.address), "%s",
	    call->query.address);
	change(call, &wanted);
}

/* By its directory; a founder's may not be known yet. */
static bool
is_member(const struct node_hello *hello, const struct node_member *member)
{
	static const uint8_t unknown[NODE_NONCE_SIZE];

	return hello->stage == NODE_HELLO_MEMBER && hello->from == member->id &&
	       (memcmp(member->directory, unknown, NODE_NONCE_SIZE) == 0 ||
		   memcmp(member->directory, hello->directory,
		       NODE_NONCE_SIZE) == 0);
}

/*
 * Where nobody answers it may be started later, if the cluster does without it
 * until then. Where somebody else answers it never will be.
 */
static void
on_move_probed(void *context, const struct node_hello *hello, int error,
    const char *why_not)
{
	struct api_call *call = context;
	const struct api_query *query = &call->query;
	const struct node_member *member =
	    node_find_member_name(call->api->node, query->name);
	bool answers;

	call->way = API_IDLE;
	if (member == NULL) {
		fail_change(call, ERR_NOT_FOUND, "there is no such member");
		return;
	}
	answers = error == 0 && is_member(hello, member);
	if (answers || error == ERR_NOT_FOUND || error == ERR_TIMEOUT)
		move(call, answers || query->force);
	else if (error == 0)
		api_fail(call, API_CANNOT_MOVE, NULL,
		    "the node at %s is %s, but not the member %s",
		    query->address, hello->name, query->name);
	else
		api_fail(call, API_CANNOT_MOVE,
		    "check the address: nobody or this member should be there",
		    "%s to %s: %s", query->name, query->address, why_not);
}

static void
start_move(struct api_call *call)
{
	const struct node_member *member =
	    node_find_member_name(call->api->node, call->query.name);

	if (member == NULL)
		fail_change(call, ERR_NOT_FOUND, "there is no such member");
	else if (strcmp(member->address, call->query.address) == 0)
		reply_member(call, 200, call->query.name);
	else if (!refuse_taken(call, call->query.name))
		probe(call, on_move_probed);
}

static void
applied_move(struct api_call *call, const struct kv_result *result)
{
	(void)result; /* a membership has none */
	reply_member(call, 200, call->query.name);
}

void
api_member_put(struct api_call *call)
{
	static const struct api_operation operation = {
		.start = start_move,
		.applied = applied_move,
	};

	if (take_name(call) && api_query_require(call, API_QUERY_ADDRESS))
		api_write(call, &operation);
}

/* ---- The leadership ---- */

static bool
is_wanted_leader(const struct api_call *call)
{
	const struct api *api = call->api;
	const char *leader = api_member_name(api, node_leader(api->node));

	if (leader[0] == '\0')
		return false;
	return call->query.name[0] == '\0'
		   ? !node_is_leader(api->node)
		   : strcmp(leader, call->query.name) == 0;
}

/* Nobody took over in time: this node goes on leading. */
static bool
is_aborted(const struct api *api)
{
	struct node_status status;

	node_get_status(api->node, loop_now(api->loop), &status);
	return status.raft.role == RAFT_LEADER &&
	       status.raft.transfer_target == 0;
}

static bool
waited_leader(struct api_call *call, bool last)
{
	struct api *api = call->api;
	bool done = is_wanted_leader(call);
	const char *leader = api_member_name(api, node_leader(api->node));
	struct buf *body;

	if (!done && !last && !is_aborted(api))
		return false;
	api_cancel(call);
	if (!done) {
		api_fail(call, API_NOT_TRANSFERRED, "GET /cluster shows why",
		    "the leadership was not taken over in time");
		return true;
	}
	body = api_body(api);
	buf_printf(body, "{\"leader\":\"%s\"}\n", leader);
	api_reply_text(call, 200, "application/json", buf_slice(body));
	return true;
}

static void
start_transfer(struct api_call *call)
{
	struct api *api = call->api;
	const char *to = call->query.name[0] == '\0' ? NULL : call->query.name;
	int error;

	if (to != NULL && is_wanted_leader(call)) {
		api_wait(call);
		return;
	}
	error = node_transfer(api->node, loop_now(api->loop), to);
	if (error == 0)
		api_wait(call);
	else if (error == ERR_NOT_FOUND && to == NULL)
		api_fail(call, API_NOT_TRANSFERRED, "GET /cluster shows why",
		    "no other voter is in touch");
	else if (error == ERR_NOT_FOUND &&
		 node_find_member_name(api->node, to) != NULL)
		api_fail(call, API_NOT_TRANSFERRED, "GET /cluster shows why",
		    "%s is not in touch", to);
	else if (error == ERR_NOT_FOUND)
		fail_change(call, error, "there is no such member");
	else if (error == ERR_INVALID)
		fail_change(call, error, "it is no voter: it cannot lead");
	else
		fail_change(call, error, "the members are being changed");
}

void
api_leader_post(struct api_call *call)
{
	static const struct api_operation operation = {
		.start = start_transfer,
		.waited = waited_leader,
	};

	api_write(call, &operation);
}
