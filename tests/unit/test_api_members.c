#include "common/macros.h"
#include "tests/unit/api_site.h"
#include "tests/unit/suites.h"

#include <stdio.h>

static struct world *world;

static void
setup_three(void)
{
	world = world_new_three();
}

static void
teardown(void)
{
	world_free(world);
}

/* The target ends with an address or a name. */
static struct reply
ask(struct site *site, const char *method, const char *before, const char *end)
{
	char target[256];

	snprintf(target, sizeof(target), "%s%s", before, end);
	return site_ask(site, method, target, "", slice_of(NULL, 0));
}

/* Asks until the answer has `text` in it. */
static void
wait_for(struct site *site, const char *target, const char *text)
{
	uint64_t until = world_later(world, SITE_TIMEOUT_US);
	struct reply reply;
	bool found;

	while (world_later(world, 0) < until) {
		reply = site_get(site, target);
		found = strstr(reply.text, text) != NULL;
		reply_release(&reply);
		if (found)
			return;
	}
	ck_abort_msg("%s of %s never had %s", target, site->name, text);
}

static void
pass_for(uint64_t us)
{
	uint64_t until = world_later(world, us);

	while (world_later(world, 0) < until)
		world_pass(world);
}

/* The follower that is not `other`, which may be dead. */
static struct site *
other_follower(const struct site *other)
{
	for (unsigned i = 0; i < world->count; i++) {
		struct site *site = &world->site[i];

		if (site != other && !site->dead && !node_is_leader(site->node))
			return site;
	}
	return NULL;
}

static raft_index
members_index(const struct site *site)
{
	struct node_status status;

	node_get_status(site->node, loop_now(world->loop), &status);
	return status.raft.members_index;
}

static void
assert_member(struct reply reply, unsigned status, const struct site *site,
    const char *role)
{
	char body[256];

	assert_status(&reply, status);
	snprintf(body, sizeof(body),
	    "{\"name\":\"%s\",\"address\":\"%s\",\"role\":\"%s\"}\n",
	    site->name, site->address, role);
	assert_body(&reply, body);
	ck_assert_str_eq(
	    reply_header(&reply, "Content-Type"), "application/json");
	reply_release(&reply);
}

/* ---- Adding ---- */

#define ADD_WAITING(wait) "/cluster/members?name=n4&wait=" wait "&address="
#define ADD               "/cluster/members?name=n4&address="

START_TEST(add_and_wait_201)
{
	struct site *joining = world_add_joining(world);
	struct reply reply = site_put(world_leader(world), "/kv/a", "1");

	reply_release(&reply);
	assert_member(ask(world_leader(world), "POST", ADD_WAITING("10s"),
			  joining->address),
	    201, joining, "voter");
	/* It serves what was there before it. */
	reply = site_get(joining, "/kv/a");
	assert_status(&reply, 200);
	assert_body(&reply, "1");
	reply_release(&reply);
	wait_for(joining, "/readyz", "ready\n");
	wait_for(joining, "/cluster", "\"quorum\":3,\"healthy\":4");
}
END_TEST

START_TEST(add_through_a_follower_201)
{
	struct site *joining = world_add_joining(world);

	assert_member(ask(world_follower(world), "POST", ADD_WAITING("10s"),
			  joining->address),
	    201, joining, "voter");
}
END_TEST

START_TEST(add_without_waiting_202)
{
	struct site *leader = world_leader(world);
	struct site *joining = world_add_joining(world);

	joining->frozen = true;
	assert_member(ask(leader, "POST", ADD, joining->address), 202, joining,
	    "joining");
	wait_for(
	    leader, "/cluster", "\"change_in_progress\":\"n4 catches up\"");
	wait_for(leader, "/cluster", "\"role\":\"joining\"");
	joining->frozen = false;
	wait_for(leader, "/cluster", "\"change_in_progress\":null");
	wait_for(joining, "/cluster", "\"quorum\":3,");
}
END_TEST

/* Whoever forwarded the request waits longer than the leader. */
START_TEST(wait_that_is_too_short_202)
{
	struct site *joining = world_add_joining(world);

	joining->frozen = true;
	assert_member(ask(world_follower(world), "POST", ADD_WAITING("200ms"),
			  joining->address),
	    202, joining, "joining");
	assert_member(ask(world_leader(world), "POST", ADD_WAITING("200ms"),
			  joining->address),
	    202, joining, "joining");
}
END_TEST

/* 503 would say that nothing was done. */
START_TEST(follower_that_shuts_down_504)
{
	struct site *follower = world_follower(world);
	struct site *joining = world_add_joining(world);
	char target[128];
	int fd;

	joining->frozen = true;
	snprintf(
	    target, sizeof(target), ADD_WAITING("60s") "%s", joining->address);
	fd = site_send(follower, "POST", target, "", slice_of(NULL, 0));
	wait_for(world_leader(world), "/cluster",
	    "\"change_in_progress\":\"n4 catches up\"");
	api_drain(follower->api);
	assert_problem(site_receive(world, fd), 504, "outcome_unknown");
}
END_TEST

START_TEST(add_repeated_changes_nothing)
{
	struct site *leader = world_leader(world);
	struct site *joining = world_add_joining(world);
	raft_index index;

	assert_member(ask(leader, "POST", ADD_WAITING("10s"), joining->address),
	    201, joining, "voter");
	index = members_index(leader);
	assert_member(
	    ask(leader, "POST", ADD, joining->address), 201, joining, "voter");
	ck_assert_uint_eq(members_index(leader), index);
}
END_TEST

START_TEST(add_of_a_node_that_is_not_there_409)
{
	struct site *joining = world_add_joining(world);
	struct reply reply;

	site_stop(joining);
	reply = ask(world_leader(world), "POST", ADD, joining->address);
	assert_contains(&reply, "n4 at 127.0.0.1:");
	assert_contains(
	    &reply, "no luminousd that knows the cluster secret answers at ");
	assert_contains(&reply, "node.join");
	assert_problem(reply, 409, "cannot_join");
}
END_TEST

START_TEST(add_of_a_node_that_does_not_join_409)
{
	struct site *follower = world_follower(world);
	struct reply reply =
	    ask(world_leader(world), "POST", ADD, follower->address);

	assert_contains(&reply, "is the address of member ");
	assert_problem(reply, 409, "member_exists");
}
END_TEST

START_TEST(add_of_a_name_that_is_taken_409)
{
	struct site *leader = world_leader(world);
	struct site *joining = world_add_joining(world);
	raft_index index = members_index(leader);
	struct reply reply = ask(leader, "POST",
	    "/cluster/members?name=n2&address=", joining->address);

	assert_contains(&reply, "n2 is a member already");
	assert_problem(reply, 409, "member_exists");
	ck_assert_uint_eq(members_index(leader), index);
}
END_TEST

/* ---- Before it is a member ---- */

START_TEST(joining_node_serves_nothing)
{
	struct site *joining = world_add_joining(world);

	assert_problem(
	    site_get(joining, "/kv/a?timeout=50ms"), 503, "starting");
	assert_problem(
	    site_get(joining, "/kv/a?consistency=stale"), 503, "starting");
	assert_problem(site_get(joining, "/readyz"), 503, "not_ready");
	wait_for(joining, "/cluster", "\"state\":\"joining\",\"leader\":\"\"");
	wait_for(joining, "/cluster", "\"members\":[]");
}
END_TEST

/* ---- Removing ---- */

START_TEST(remove_of_a_follower_200)
{
	struct site *leader = world_leader(world);
	struct site *follower = world_follower(world);
	struct reply reply;
	char body[64];

	/* It has learned of the founding. */
	assert_problem(site_get(follower, "/kv/a"), 404, "key_not_found");
	reply = ask(leader, "DELETE", "/cluster/members/", follower->name);
	assert_status(&reply, 200);
	snprintf(body, sizeof(body), "{\"removed\":\"%s\"}\n", follower->name);
	assert_body(&reply, body);
	reply_release(&reply);
	wait_for(leader, "/cluster", "\"quorum\":2,\"healthy\":2");
	/* It hears of it, and says so. */
	wait_for(follower, "/cluster", "\"state\":\"removed\"");
	assert_problem(site_get(follower, "/kv/a"), 503, "removed");
	assert_problem(site_put(follower, "/kv/a", "1"), 503, "removed");
	assert_problem(site_get(follower, "/readyz"), 503, "not_ready");
	assert_problem(
	    ask(leader, "DELETE", "/cluster/members/", follower->name), 404,
	    "member_not_found");
}
END_TEST

START_TEST(remove_of_the_leader_through_a_follower_200)
{
	struct site *leader = world_leader(world);
	struct site *follower = world_follower(world);
	struct reply reply =
	    ask(follower, "DELETE", "/cluster/members/", leader->name);

	assert_status(&reply, 200);
	reply_release(&reply);
	wait_for(leader, "/cluster", "\"state\":\"removed\"");
	reply = site_put(follower, "/kv/a", "1");
	assert_status(&reply, 201);
	ck_assert_str_ne(reply_header(&reply, "Luminous-Leader"), leader->name);
	reply_release(&reply);
}
END_TEST

START_TEST(remove_that_would_lose_the_quorum_409)
{
	struct site *leader = world_leader(world);
	struct site *gone = world_follower(world);
	struct site *alive = other_follower(gone);
	struct reply reply;

	site_stop(gone);
	pass_for(2 * SITE_ELECTION_TIMEOUT_US);
	reply = ask(leader, "DELETE", "/cluster/members/", alive->name);
	assert_contains(&reply, "does not hear ");
	assert_contains(&reply, gone->name);
	assert_contains(&reply, "force=1");
	assert_problem(reply, 409, "would_lose_quorum");
	/* The one that is gone may go. */
	reply = ask(leader, "DELETE", "/cluster/members/", gone->name);
	assert_status(&reply, 200);
	reply_release(&reply);
}
END_TEST

/* It is done as soon as the one that was not heard is. */
START_TEST(remove_by_force_200)
{
	struct site *leader = world_leader(world);
	struct site *silent = world_follower(world);
	struct site *alive = other_follower(silent);
	struct reply reply;
	char target[64];
	int fd;

	silent->frozen = true;
	pass_for(2 * SITE_ELECTION_TIMEOUT_US);
	assert_problem(ask(leader, "DELETE", "/cluster/members/", alive->name),
	    409, "would_lose_quorum");
	snprintf(
	    target, sizeof(target), "/cluster/members/%s?force=1", alive->name);
	fd = site_send(leader, "DELETE", target, "", slice_of(NULL, 0));
	site_pass_until_busy(leader);
	pass_for(20000);
	silent->frozen = false;
	reply = site_receive(world, fd);
	assert_status(&reply, 200);
	reply_release(&reply);
}
END_TEST

/* ---- Replacing and moving ---- */

START_TEST(replace_of_one_that_is_gone_201)
{
	struct site *leader = world_leader(world);
	struct site *gone = world_follower(world);
	struct site *joining = world_add_joining(world);
	struct reply reply;
	char target[128];

	site_stop(gone);
	snprintf(target, sizeof(target),
	    "/cluster/replace?old=%s&new=n4&wait=10s&address=", gone->name);
	assert_member(ask(leader, "POST", target, joining->address), 201,
	    joining, "voter");
	reply = site_get(leader, "/cluster");
	snprintf(target, sizeof(target), "\"name\":\"%s\"", gone->name);
	ck_assert_ptr_null(strstr(reply.text, target));
	assert_contains(&reply, "\"quorum\":2,");
	reply_release(&reply);
}
END_TEST

START_TEST(replace_refused)
{
	struct site *leader = world_leader(world);
	struct site *joining = world_add_joining(world);
	raft_index index = members_index(leader);

	assert_problem(
	    ask(leader, "POST",
		"/cluster/replace?old=n9&new=n4&address=", joining->address),
	    404, "member_not_found");
	assert_problem(
	    ask(leader, "POST",
		"/cluster/replace?old=n1&new=n2&address=", joining->address),
	    409, "member_exists");
	ck_assert_uint_eq(members_index(leader), index);
}
END_TEST

START_TEST(move_200)
{
	struct site *leader = world_leader(world);
	struct site *follower = world_follower(world);
	char former[NODE_ADDRESS_SIZE_MAX + 1];
	char target[128];
	struct reply reply;

	memcpy(former, follower->address, sizeof(former));
	site_stop(follower);
	site_start_elsewhere(follower);
	ck_assert_str_ne(follower->address, former);
	snprintf(target, sizeof(target),
	    "/cluster/members/%s?address=", follower->name);
	assert_member(ask(leader, "PUT", target, follower->address), 200,
	    follower, "voter");
	/* The leader finds it there. */
	reply = site_get(follower, "/kv/a");
	assert_problem(reply, 404, "key_not_found");
	wait_for(leader, "/cluster", "\"healthy\":3");
	reply = site_get(follower, "/cluster");
	ck_assert_ptr_null(strstr(reply.text, former));
	reply_release(&reply);
}
END_TEST

START_TEST(move_refused)
{
	struct site *leader = world_leader(world);
	struct site *follower = world_follower(world);
	char target[128];

	assert_problem(
	    ask(leader, "PUT", "/cluster/members/n9?address=", "10.0.0.9:1"),
	    404, "member_not_found");
	snprintf(target, sizeof(target),
	    "/cluster/members/%s?address=", follower->name);
	assert_problem(
	    ask(leader, "PUT", target, leader->address), 409, "member_exists");
}
END_TEST

/* What is asked for is so already. */
START_TEST(move_repeated_200)
{
	struct site *leader = world_leader(world);
	struct site *follower = world_follower(world);
	raft_index index = members_index(leader);
	char target[128];

	snprintf(target, sizeof(target),
	    "/cluster/members/%s?address=", follower->name);
	assert_member(ask(leader, "PUT", target, follower->address), 200,
	    follower, "voter");
	ck_assert_uint_eq(members_index(leader), index);
}
END_TEST

/* "Tell the new address, then start it there." */
START_TEST(move_to_where_nobody_is_yet_200)
{
	struct site *leader = world_leader(world);
	struct site *follower = world_follower(world);
	struct reply reply;
	char target[128];

	site_stop(follower);
	snprintf(target, sizeof(target),
	    "/cluster/members/%s?address=", follower->name);
	reply = ask(leader, "PUT", target, "127.0.0.1:1");
	assert_status(&reply, 200);
	assert_contains(&reply, "\"address\":\"127.0.0.1:1\"");
	reply_release(&reply);
}
END_TEST

/* H34: two mistyped addresses would leave the leader alone. */
START_TEST(move_that_would_lose_the_quorum_409)
{
	struct site *leader = world_leader(world);
	struct site *gone = world_follower(world);
	struct site *alive = other_follower(gone);
	raft_index index = members_index(leader);
	struct reply reply;
	char target[128];

	site_stop(gone);
	pass_for(2 * SITE_ELECTION_TIMEOUT_US);
	snprintf(target, sizeof(target),
	    "/cluster/members/%s?address=", alive->name);
	reply = ask(leader, "PUT", target, "127.0.0.1:1");
	assert_contains(&reply, alive->name);
	assert_contains(&reply, "does not answer at 127.0.0.1:1");
	assert_contains(&reply, "force=1");
	assert_problem(reply, 409, "would_lose_quorum");
	/* Nor with the other one at another wrong address. */
	snprintf(
	    target, sizeof(target), "/cluster/members/%s?address=", gone->name);
	reply = ask(leader, "PUT", target, "127.0.0.1:2");
	assert_status(&reply, 200);
	reply_release(&reply);
	ck_assert_uint_gt(members_index(leader), index);
	index = members_index(leader);
	snprintf(target, sizeof(target),
	    "/cluster/members/%s?address=", alive->name);
	assert_problem(ask(leader, "PUT", target, "127.0.0.1:1"), 409,
	    "would_lose_quorum");
	ck_assert_uint_eq(members_index(leader), index);
}
END_TEST

START_TEST(move_by_force_200)
{
	struct site *leader = world_leader(world);
	struct site *gone = world_follower(world);
	struct site *alive = other_follower(gone);
	char target[128];
	struct reply reply;
	int fd;

	gone->frozen = true;
	pass_for(2 * SITE_ELECTION_TIMEOUT_US);
	snprintf(target, sizeof(target),
	    "/cluster/members/%s?force=1&address=127.0.0.1:1", alive->name);
	fd = site_send(leader, "PUT", target, "", slice_of(NULL, 0));
	site_pass_until_busy(leader);
	pass_for(20000);
	gone->frozen = false;
	reply = site_receive(world, fd);
	assert_status(&reply, 200);
	reply_release(&reply);
}
END_TEST

/* Whoever else is there is not the member, by force neither. */
START_TEST(move_to_somebody_else_409)
{
	struct site *leader = world_leader(world);
	struct site *follower = world_follower(world);
	struct site *joining = world_add_joining(world);
	raft_index index = members_index(leader);
	struct reply reply;
	char target[128];

	snprintf(target, sizeof(target),
	    "/cluster/members/%s?force=1&address=", follower->name);
	reply = ask(leader, "PUT", target, joining->address);
	assert_contains(&reply, "is n4, but not the member ");
	assert_problem(reply, 409, "cannot_move");
	ck_assert_uint_eq(members_index(leader), index);
}
END_TEST

/* Whoever has just died is not counted on until an election timeout later. */
START_TEST(remove_just_after_another_died_409)
{
	struct site *leader = world_leader(world);
	struct site *gone = world_follower(world);
	struct site *alive = other_follower(gone);
	struct reply reply;

	site_stop(gone);
	pass_for(20000);
	reply = ask(leader, "DELETE", "/cluster/members/", alive->name);
	assert_contains(&reply, gone->name);
	assert_problem(reply, 409, "would_lose_quorum");
}
END_TEST

/* A request that is repeated finds the old one gone, as it asked. */
START_TEST(replace_repeated_201)
{
	struct site *leader = world_leader(world);
	struct site *old = world_follower(world);
	struct site *joining = world_add_joining(world);
	raft_index index;
	char target[128];

	snprintf(target, sizeof(target),
	    "/cluster/replace?old=%s&new=n4&wait=10s&address=", old->name);
	assert_member(ask(leader, "POST", target, joining->address), 201,
	    joining, "voter");
	index = members_index(leader);
	assert_member(ask(leader, "POST", target, joining->address), 201,
	    joining, "voter");
	ck_assert_uint_eq(members_index(leader), index);
}
END_TEST

START_TEST(waiting_for_one_that_is_removed_404)
{
	struct site *leader = world_leader(world);
	struct site *joining = world_add_joining(world);
	struct reply reply;
	char target[128];
	int fd;

	joining->frozen = true;
	assert_member(ask(leader, "POST", ADD, joining->address), 202, joining,
	    "joining");
	snprintf(target, sizeof(target), "%s%s", ADD_WAITING("10s"),
	    joining->address);
	fd = site_send(leader, "POST", target, "", slice_of(NULL, 0));
	site_pass_until_busy(leader);
	/* It is known who is there by then, and waited for. */
	pass_for(200000);
	reply = ask(leader, "DELETE", "/cluster/members/", "n4");
	assert_status(&reply, 200);
	reply_release(&reply);
	reply = site_receive(world, fd);
	assert_contains(&reply, "removed before it voted");
	assert_problem(reply, 404, "member_not_found");
}
END_TEST

/* ---- The leadership ---- */

static void
assert_leads(struct reply reply, const struct site *site)
{
	char body[64];

	assert_status(&reply, 200);
	snprintf(body, sizeof(body), "{\"leader\":\"%s\"}\n", site->name);
	assert_body(&reply, body);
	reply_release(&reply);
	ck_assert(node_is_leader(site->node));
}

START_TEST(transfer_to_one_200)
{
	struct site *follower = world_follower(world);

	assert_leads(ask(world_leader(world), "POST",
			 "/cluster/leader?to=", follower->name),
	    follower);
}
END_TEST

START_TEST(transfer_through_a_follower_200)
{
	struct site *follower = world_follower(world);
	struct site *other = other_follower(follower);

	assert_leads(ask(other, "POST", "/cluster/leader?to=", follower->name),
	    follower);
}
END_TEST

START_TEST(transfer_to_the_best_200)
{
	struct site *leader = world_leader(world);
	struct reply reply = ask(leader, "POST", "/cluster/leader", "");

	assert_status(&reply, 200);
	ck_assert(!node_is_leader(leader->node));
	reply_release(&reply);
}
END_TEST

START_TEST(transfer_to_the_leader_200)
{
	struct site *leader = world_leader(world);
	uint64_t term_before;
	struct node_status status;

	node_get_status(leader->node, loop_now(world->loop), &status);
	term_before = status.raft.term;
	assert_leads(
	    ask(leader, "POST", "/cluster/leader?to=", leader->name), leader);
	node_get_status(leader->node, loop_now(world->loop), &status);
	ck_assert_uint_eq(status.raft.term, term_before);
}
END_TEST

START_TEST(transfer_to_nobody_404)
{
	assert_problem(
	    ask(world_leader(world), "POST", "/cluster/leader?to=", "n9"), 404,
	    "member_not_found");
}
END_TEST

START_TEST(transfer_to_one_that_is_gone_409)
{
	struct site *leader = world_leader(world);
	struct site *gone = world_follower(world);
	struct reply reply;

	site_stop(gone);
	pass_for(2 * SITE_ELECTION_TIMEOUT_US);
	reply = ask(leader, "POST", "/cluster/leader?to=", gone->name);
	assert_contains(&reply, "is not in touch");
	assert_problem(reply, 409, "not_transferred");
	ck_assert(node_is_leader(leader->node));
}
END_TEST

/* It is given up long before the request is. */
START_TEST(transfer_that_is_not_taken_over_409)
{
	struct site *leader = world_leader(world);
	struct site *silent = world_follower(world);
	uint64_t began = world_later(world, 0);

	silent->frozen = true;
	assert_problem(ask(leader, "POST", "/cluster/leader?to=", silent->name),
	    409, "not_transferred");
	ck_assert_uint_lt(
	    world_later(world, 0), began + 5 * SITE_ELECTION_TIMEOUT_US);
	ck_assert(node_is_leader(leader->node));
}
END_TEST

START_TEST(transfer_to_one_that_joins_400)
{
	struct site *leader = world_leader(world);
	struct site *joining = world_add_joining(world);
	struct reply reply;

	joining->frozen = true;
	reply = ask(leader, "POST", ADD, joining->address);
	assert_status(&reply, 202);
	reply_release(&reply);
	assert_problem(ask(leader, "POST", "/cluster/leader?to=", "n4"), 400,
	    "bad_request");
}
END_TEST

/* ---- What is refused ---- */

START_TEST(one_change_at_a_time_409)
{
	struct site *leader = world_leader(world);
	struct site *one = world_follower(world);
	struct site *two = other_follower(one);
	struct reply reply;
	char target[64];
	int fd;

	one->frozen = true;
	two->frozen = true;
	snprintf(target, sizeof(target), "/cluster/members/%s", one->name);
	fd = site_send(leader, "DELETE", target, "", slice_of(NULL, 0));
	site_pass_until_busy(leader);
	assert_problem(ask(leader, "DELETE", "/cluster/members/", two->name),
	    409, "change_in_progress");
	assert_problem(ask(leader, "POST", "/cluster/leader?to=", two->name),
	    409, "change_in_progress");
	one->frozen = false;
	two->frozen = false;
	reply = site_receive(world, fd);
	assert_status(&reply, 200);
	reply_release(&reply);
}
END_TEST

START_TEST(parameters_refused)
{
	static const struct {
		const char *method;
		const char *target;
		const char *says;
	} rows[] = {
		{ "POST", "/cluster/members", "missing: name, address" },
		{ "POST", "/cluster/members?name=n4", "missing: address" },
		{ "POST", "/cluster/members?address=10.0.0.4:1",
		    "missing: name" },
		{ "POST", "/cluster/members?name=N4&address=10.0.0.4:1",
		    "1 to 32 of a-z0-9-" },
		{ "POST", "/cluster/members?name=&address=10.0.0.4:1",
		    "1 to 32 of a-z0-9-" },
		{ "POST", "/cluster/members?name=n4&address=db7:1",
		    "a numeric address" },
		{ "POST", "/cluster/members?name=n4&address=0.0.0.0:1",
		    "a numeric address" },
		{ "POST", "/cluster/members?name=n4&address=10.0.0.4:0",
		    "a numeric address" },
		{ "POST", "/cluster/members?name=n4&address=10.0.0.4:1&wait=5x",
		    "such as 30s" },
		{ "POST", "/cluster/members?name=n4&name=n5", "given twice" },
		{ "POST", "/cluster/members?old=n3", "known here: name" },
		{ "POST", "/cluster/replace?old=n3", "missing: address, new" },
		{ "PUT", "/cluster/members/n3", "missing: address" },
		{ "PUT", "/cluster/members/?address=10.0.0.4:1",
		    "the path names no member" },
		{ "DELETE", "/cluster/members/", "the path names no member" },
		{ "DELETE", "/cluster/members/N3", "1 to 32 of a-z0-9-" },
		{ "DELETE", "/cluster/members/n3?force=no", "nothing, or 1" },
		{ "POST", "/cluster/leader?to=N2", "1 to 32 of a-z0-9-" },
	};
	struct site *leader = world_leader(world);
	raft_index index = members_index(leader);

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		struct reply reply = site_ask(leader, rows[i].method,
		    rows[i].target, "", slice_of(NULL, 0));

		assert_contains(&reply, rows[i].says);
		assert_problem(reply, 400, "bad_request");
	}
	ck_assert_uint_eq(members_index(leader), index);
	assert_problem(
	    site_get(leader, "/cluster/members"), 405, "method_not_allowed");
	assert_problem(
	    site_get(leader, "/cluster/leader"), 405, "method_not_allowed");
}
END_TEST

static TCase *
make_case(Suite *suite, const char *name)
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, setup_three, teardown);
	suite_add_tcase(suite, tcase);
	return tcase;
}

Suite *
api_members_suite(void)
{
	Suite *suite = suite_create("api_members");
	TCase *adding = make_case(suite, "adding");
	TCase *leaving = make_case(suite, "leaving");
	TCase *leading = make_case(suite, "leading");

	tcase_add_test(adding, add_and_wait_201);
	tcase_add_test(adding, add_through_a_follower_201);
	tcase_add_test(adding, add_without_waiting_202);
	tcase_add_test(adding, wait_that_is_too_short_202);
	tcase_add_test(adding, follower_that_shuts_down_504);
	tcase_add_test(adding, add_repeated_changes_nothing);
	tcase_add_test(adding, add_of_a_node_that_is_not_there_409);
	tcase_add_test(adding, add_of_a_node_that_does_not_join_409);
	tcase_add_test(adding, add_of_a_name_that_is_taken_409);
	tcase_add_test(adding, joining_node_serves_nothing);
	tcase_add_test(adding, parameters_refused);
	tcase_add_test(leaving, remove_of_a_follower_200);
	tcase_add_test(leaving, remove_of_the_leader_through_a_follower_200);
	tcase_add_test(leaving, remove_that_would_lose_the_quorum_409);
	tcase_add_test(leaving, remove_by_force_200);
	tcase_add_test(leaving, one_change_at_a_time_409);
	tcase_add_test(leaving, replace_of_one_that_is_gone_201);
	tcase_add_test(leaving, replace_refused);
	tcase_add_test(leaving, move_200);
	tcase_add_test(leaving, move_refused);
	tcase_add_test(leaving, move_repeated_200);
	tcase_add_test(leaving, move_to_where_nobody_is_yet_200);
	tcase_add_test(leaving, move_that_would_lose_the_quorum_409);
	tcase_add_test(leaving, move_by_force_200);
	tcase_add_test(leaving, move_to_somebody_else_409);
	tcase_add_test(leaving, remove_just_after_another_died_409);
	tcase_add_test(leaving, replace_repeated_201);
	tcase_add_test(leaving, waiting_for_one_that_is_removed_404);
	tcase_add_test(leading, transfer_to_one_200);
	tcase_add_test(leading, transfer_through_a_follower_200);
	tcase_add_test(leading, transfer_to_the_best_200);
	tcase_add_test(leading, transfer_to_the_leader_200);
	tcase_add_test(leading, transfer_to_nobody_404);
	tcase_add_test(leading, transfer_to_one_that_is_gone_409);
	tcase_add_test(leading, transfer_that_is_not_taken_over_409);
	tcase_add_test(leading, transfer_to_one_that_joins_400);
	return suite;
}
