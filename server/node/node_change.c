/*
 * Changes of the membership, and of the leadership, that an operator asks for:
 * what they need of the core, and sentences for what is refused.
 *
 * A member that is added gets its id from the index of the entry that adds it.
 * What is proposed and lost to another leader's entry may give the same id
 * twice, but only one is ever committed, and a node takes up its id only then
 * (see node_formation.c).
 */

#include "common/panic.h"
#include "node/node_impl.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

/* A request on its way: what shall be, and where to complain. */
struct plan {
	struct node *node;
	raft_usec now;
	const struct node_change *change;
	const struct node_member *present; /* called change->name */
	struct raft_members target;
	struct node_members book; /* of all present members and new ones */
	char *why;
	size_t size;
};

ATTR_PRINTF(3, 4)
static int
refuse(const struct plan *plan, int error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(plan->why, plan->size, format, arguments);
	va_end(arguments);
	return error;
}

/* ---- Quorums ---- */

struct votes {
	unsigned voters;
	unsigned heard;
};

/* The voters there would be without `without`. */
static struct votes
count_votes(const struct plan *plan, raft_id without, char *silent, size_t size)
{
	const struct raft_members *roles = &plan->node->active.roles;
	struct votes votes = { .voters = 0 };
	size_t used = 0;

	silent[0] = '\0';
	for (unsigned i = 0; i < roles->count; i++) {
		const struct raft_member *member = &roles->member[i];

		if (member->role_new != RAFT_MEMBER_VOTER ||
		    member->id == without)
			continue;
		votes.voters++;
		if (node_reaches(plan->node, plan->now, member->id)) {
			votes.heard++;
			continue;
		}
		used += (size_t)snprintf(silent + used, size - used, "%s%s",
		    used == 0 ? "" : ", ",
		    node_find_member(plan->node, member->id)->name);
	}
	return votes;
}

/*
 * Without the member that leaves, those who are heard must be a quorum: else
 * the change could not be committed, or nothing after it. A new member is
 * alive: it was just asked who it is. Force is for the removal of others: a
 * leader that leaves itself does not lead any more to mend what it did.
 */
static int
check_quorum(const struct plan *plan, unsigned added)
{
	char silent[NODE_MEMBERS_MAX * (NODE_NAME_SIZE_MAX + 2) + 1];
	struct votes votes =
	    count_votes(plan, plan->present->id, silent, sizeof(silent));
	unsigned quorum = (votes.voters + added) / 2 + 1;
	bool leaves = plan->change->kind == NODE_REMOVE &&
		      plan->present->id == plan->node->id;

	if ((plan->change->force && !leaves) || votes.heard + added >= quorum)
		return 0;
	return refuse(plan, ERR_DENIED,
	    "without %s the cluster needs %u of %u voters, but does not hear "
	    "%s: bring that back, or remove that first",
	    plan->present->name, quorum, votes.voters + added, silent);
}

/* ---- The target ---- */

static void
copy_active(struct plan *plan)
{
	const struct raft_members *roles = &plan->node->active.roles;

	plan->book = plan->node->active.members;
	for (unsigned i = 0; i < roles->count; i++) {
		struct raft_member member = roles->member[i];

		/* A leaving one leaves by the change that is under way. */
		if (member.role_new == RAFT_MEMBER_NONE)
			continue;
		member.role_old = member.role_new;
		plan->target.member[plan->target.count++] = member;
	}
}

static void
drop_target(struct raft_members *target, raft_id id)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < target->count; i++) {
		struct raft_member member = target->member[i];

		if (member.id == id)
			continue;
		if (member.replaces == id)
			member.replaces = 0;
		target->member[kept++] = member;
	}
	target->count = kept;
}

/*
 * The name, if it is a new one, and the address are nobody's; the address may
 * be that of `except`, which moves. Not of one that is replaced: it is a member
 * until the new one votes, and both are dialled.
 */
static int
check_free(const struct plan *plan, raft_id except)
{
	const struct node_members *members = &plan->book;
	const struct node_member *wanted = &plan->change->member;

	for (unsigned i = 0; i < members->count; i++) {
		const struct node_member *member = &members->member[i];

		if (plan->change->kind != NODE_MOVE &&
		    strcmp(member->name, wanted->name) == 0)
			return refuse(plan, ERR_EXISTS,
			    "there is a member %s already, at %s", member->name,
			    member->address);
		if (member->id != except &&
		    strcmp(member->address, wanted->address) == 0)
			return refuse(plan, ERR_EXISTS,
			    "%s is the address of member %s", member->address,
			    member->name);
	}
	return 0;
}

/* Whoever joins becomes a voter, in the place of whom it replaces. */
static int
check_room(const struct plan *plan, raft_id replaced)
{
	const struct raft_members *target = &plan->target;
	unsigned voters = 1;

	for (unsigned i = 0; i < target->count; i++) {
		const struct raft_member *member = &target->member[i];

		if (member->role_new != RAFT_MEMBER_LEARNER &&
		    member->replaces == 0 && member->id != replaced)
			voters++;
	}
	if (voters > NODE_VOTERS_MAX)
		return refuse(plan, ERR_TOO_LARGE,
		    "a cluster has at most %d voters: remove one first, or "
		    "replace it",
		    NODE_VOTERS_MAX);
	if (plan->book.count == NODE_MEMBERS_MAX)
		return refuse(plan, ERR_TOO_LARGE,
		    "a cluster has at most %d members, with those that join: "
		    "wait until they vote",
		    NODE_MEMBERS_MAX);
	return 0;
}

/* ADD, and REPLACE: with the member that then leaves. */
static int
plan_join(struct plan *plan, raft_id replaced)
{
	struct node_log_state state;
	struct node_member member = plan->change->member;
	int error;

	error = check_free(plan, 0);
	if (error == 0)
		error = check_room(plan, replaced);
	if (error != 0)
		return error;
	node_log_get_state(plan->node->log, &state);
	member.id = state.last_index + 1 + NODE_MEMBERS_MAX;
	node_members_add(&plan->book, &member);
	plan->target.member[plan->target.count++] = (struct raft_member){
		.id = member.id,
		.role_old = RAFT_MEMBER_JOINING,
		.role_new = RAFT_MEMBER_JOINING,
		.replaces = replaced,
	};
	return 0;
}

static int
plan_add(struct plan *plan)
{
	return plan_join(plan, 0);
}

static int
plan_replace(struct plan *plan)
{
	const struct raft_members *target = &plan->target;

	for (unsigned i = 0; i < target->count; i++) {
		if (target->member[i].replaces == plan->present->id)
			return refuse(plan, ERR_EXISTS,
			    "%s is being replaced by %s already",
			    plan->present->name,
			    node_find_member(plan->node, target->member[i].id)
				->name);
	}
	if (node_get_role(plan->node, plan->present->id) == RAFT_MEMBER_VOTER) {
		int error = check_quorum(plan, 1);

		if (error != 0)
			return error;
	}
	return plan_join(plan, plan->present->id);
}

static int
plan_remove(struct plan *plan)
{
	raft_id id = plan->present->id;
	bool is_voter = node_get_role(plan->node, id) == RAFT_MEMBER_VOTER;
	char silent[NODE_MEMBERS_MAX * (NODE_NAME_SIZE_MAX + 2) + 1];
	int error;

	if (is_voter &&
	    count_votes(plan, id, silent, sizeof(silent)).voters == 0)
		return refuse(plan, ERR_INVALID,
		    "%s is the last voter: add another one first, or replace "
		    "it",
		    plan->present->name);
	if (is_voter) {
		error = check_quorum(plan, 0);
		if (error != 0)
			return error;
	}
	drop_target(&plan->target, id);
	return 0;
}

/*
 * Whoever moves goes on voting, but is not heard until it is found at the new
 * address: with a mistyped one never again. The others that are heard must be
 * a quorum without it. A leader hears itself wherever it is.
 */
static int
check_others(const struct plan *plan)
{
	const struct node_member *moved = plan->present;
	raft_id without = moved->id == plan->node->id ? 0 : moved->id;
	char silent[NODE_MEMBERS_MAX * (NODE_NAME_SIZE_MAX + 2) + 1];
	struct votes votes = count_votes(plan, without, silent, sizeof(silent));
	unsigned voters = votes.voters + (without == 0 ? 0 : 1);

	if (plan->change->force || votes.heard >= voters / 2 + 1)
		return 0;
	return refuse(plan, ERR_DENIED,
	    "%s does not answer at %s, and until it does the cluster needs %u "
	    "of %u voters, but hears only %u others",
	    moved->name, plan->change->member.address, voters / 2 + 1, voters,
	    votes.heard);
}

static int
plan_move(struct plan *plan)
{
	raft_id id = plan->present->id;
	int error;

	if (strcmp(plan->present->address, plan->change->member.address) == 0)
		return refuse(plan, ERR_EXISTS, "%s is at %s already",
		    plan->present->name, plan->present->address);
	for (unsigned i = 0; i < plan->book.count; i++) {
		struct node_member *member = &plan->book.member[i];

		if (member->id == id)
			memcpy(member->address, plan->change->member.address,
			    sizeof(member->address));
	}
	error = check_free(plan, id);
	if (error != 0 || node_get_role(plan->node, id) != RAFT_MEMBER_VOTER)
		return error;
	return check_others(plan);
}

/*
 * The same name and address in another directory. The old id's votes and
 * acknowledgements are not counted any more, the new one's not yet.
 */
static int
plan_renew(struct plan *plan)
{
	struct raft_members *target = &plan->target;
	const struct node_member *present = plan->present;
	struct node_member member = *present;
	struct raft_member role = {
		.role_old = RAFT_MEMBER_JOINING,
		.role_new = RAFT_MEMBER_JOINING,
	};
	struct node_log_state state;
	int error;

	if (present->id == plan->node->id ||
	    memcmp(present->directory, plan->change->member.directory,
		NODE_NONCE_SIZE) == 0)
		return refuse(
		    plan, ERR_EXISTS, "%s is in that directory", present->name);
	if (node_get_role(plan->node, present->id) == RAFT_MEMBER_VOTER) {
		error = check_quorum(plan, 0);
		if (error != 0)
			return error;
	}
	for (unsigned i = 0; i < target->count; i++) {
		if (target->member[i].id == present->id)
			role.replaces = target->member[i].replaces;
	}
	node_log_get_state(plan->node->log, &state);
	member.id = state.last_index + 1 + NODE_MEMBERS_MAX;
	memcpy(
	    member.directory, plan->change->member.directory, NODE_NONCE_SIZE);
	role.id = member.id;
	drop_target(target, present->id);
	node_members_drop(&plan->book, plan->present->id);
	node_members_add(&plan->book, &member);
	target->member[target->count++] = role;
	return 0;
}

/* ---- Proposing ---- */

static const char *
refusal_of(int error)
{
	switch (error) {
	case ERR_NOT_LEADER: return "this node does not lead";
	case ERR_AGAIN:
		return "the leader is new, or gives its place up: ask again";
	case ERR_BUSY:
		return "another change of the members is under way: wait until "
		       "it is done";
	default: return err_text(error);
	}
}

/* What is logged must be readable everywhere, or the cluster ends with it. */
static int
check_readable(const struct plan *plan)
{
	const struct raft_members *target = &plan->target;
	struct node_membership membership = { .members.count = 0 };
	uint8_t cluster_id[NODE_NONCE_SIZE];
	struct buf payload = { 0 };
	int error;

	for (unsigned i = 0; i < target->count; i++)
		node_members_add(&membership.members,
		    node_members_find(&plan->book, target->member[i].id));
	node_membership_encode(
	    &payload, plan->node->cluster_id, &membership.members, target);
	error = node_membership_decode(buf_slice(&payload), cluster_id,
	    &membership.members, &membership.roles);
	buf_release(&payload);
	if (error != 0)
		return refuse(plan, ERR_INVALID,
		    "the members would be no valid list: %s", err_text(error));
	return 0;
}

static int
propose(struct plan *plan, struct node_write *write)
{
	struct node *node = plan->node;
	raft_index expected = node->active.roles.index;
	raft_index index;
	raft_term term;
	struct raft_entry entry;
	int error;

	error = check_readable(plan);
	if (error != 0)
		return error;
	if (plan->change->kind == NODE_MOVE)
		error = raft_renew_members(
		    node->raft, plan->now, expected, &index, &term);
	else
		error = raft_change_members(node->raft, plan->now,
		    &plan->target, expected, &index, &term);
	if (error != 0)
		return refuse(plan, error, "%s", refusal_of(error));
	error = raft_get_entry(node->raft, index, &entry);
	ASSERT(error == 0);
	ASSERT(entry.type == RAFT_ENTRY_MEMBERS);
	node_append_membership(node, plan->now, &entry, &plan->book);
	write->index = index;
	write->term = term;
	node_wait(node, write);
	return 0;
}

int
node_change_members(struct node *node, raft_usec now,
    const struct node_change *change, struct node_write *write, char *why,
    size_t size)
{
	static int (*const plans[])(struct plan *) = {
		[NODE_ADD] = plan_add,
		[NODE_REMOVE] = plan_remove,
		[NODE_REPLACE] = plan_replace,
		[NODE_RENEW] = plan_renew,
		[NODE_MOVE] = plan_move,
	};
	struct plan plan = {
		.node = node,
		.now = now,
		.change = change,
		.why = why,
		.size = size,
	};
	int error;

	if (node->error != 0 || !node_is_leader(node))
		return refuse(
		    &plan, ERR_NOT_LEADER, "%s", refusal_of(ERR_NOT_LEADER));
	node_fill_log(node, now);
	copy_active(&plan);
	if (change->kind != NODE_ADD) {
		plan.present = node_find_member_name(node, change->name);
		if (plan.present == NULL)
			return refuse(&plan, ERR_NOT_FOUND,
			    "there is no member %s", change->name);
	}
	error = plans[change->kind](&plan);
	if (error != 0)
		return error;
	return propose(&plan, write);
}

int
node_transfer(struct node *node, raft_usec now, const char *name)
{
	const struct node_member *member;
	raft_id target = 0;
	int error;

	if (node->error != 0 || !node_is_leader(node))
		return ERR_NOT_LEADER;
	if (name != NULL) {
		member = node_find_member_name(node, name);
		if (member == NULL)
			return ERR_NOT_FOUND;
		target = member->id;
	}
	error = raft_transfer(node->raft, now, target);
	node->again = true;
	return error;
}
