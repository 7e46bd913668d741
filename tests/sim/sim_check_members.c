/* Memberships: those in the logs, their quorums, and what they change. */

#include "common/mem.h"
#include "common/panic.h"
#include "tests/sim/sim_check.h"
#include <inttypes.h>
#include <stdlib.h>

void
sim_check_members_init(struct sim *sim)
{
	struct raft_members *founders = &sim->checks->founders;

	founders->count = sim->config.nodes_count;
	for (unsigned i = 0; i < founders->count; i++)
		founders->member[i] = (struct raft_member){
			.id = i + 1,
			.role_old = RAFT_MEMBER_VOTER,
			.role_new = RAFT_MEMBER_VOTER,
		};
}

void
sim_check_members_release(struct sim *sim)
{
	struct sim_membership *next;

	for (struct sim_membership *m = sim->checks->memberships; m != NULL;
	     m = next) {
		next = m->next;
		free(m);
	}
}

const struct node_membership *
sim_check_membership(struct sim *sim, uint64_t hash, struct slice payload)
{
	struct sim_checks *checks = sim->checks;
	struct sim_membership *found;
	uint8_t cluster_id[NODE_NONCE_SIZE];

	for (found = checks->memberships; found != NULL; found = found->next) {
		if (found->payload == hash)
			return &found->membership;
	}
	found = mem_zalloc(1, sizeof(*found));
	found->payload = hash;
	if (node_membership_decode(payload, cluster_id,
		&found->membership.members, &found->membership.roles) != 0)
		sim_fail(sim, "a membership on a disk is malformed");
	found->next = checks->memberships;
	checks->memberships = found;
	return &found->membership;
}

const struct raft_members *
sim_check_members_at(struct sim *sim, struct sim_log *log, raft_index index)
{
	for (raft_index i = index; i > 0; i--) {
		const struct sim_entry *entry = sim_log_at(log, i);

		if (entry->membership != NULL)
			return &entry->membership->roles;
	}
	return &sim->checks->founders;
}

static bool
is_named(const struct sim_entry *entry, const struct sim_node *node)
{
	return entry->membership != NULL &&
	       node_members_find_name(
		   &entry->membership->members, node->params.name) != NULL;
}

/* In the newest membership up to `index`. */
static bool
is_member_at(struct sim *sim, struct sim_log *log, raft_index index,
    const struct sim_node *node)
{
	for (raft_index i = index; i > 0; i--) {
		if (sim_log_at(log, i)->membership != NULL)
			return is_named(sim_log_at(log, i), node);
	}
	return node->id <= sim->config.nodes_count && node->renewals == 0;
}

bool
sim_check_has_id(struct sim *sim, raft_id id)
{
	struct sim_log *committed = &sim->checks->committed;
	const struct raft_members *members =
	    sim_check_members_at(sim, committed, committed->last_index);

	for (unsigned i = 0; i < members->count; i++) {
		if (members->member[i].id == id)
			return true;
	}
	return false;
}

bool
sim_check_is_member(struct sim *sim, const struct sim_node *node)
{
	struct sim_log *committed = &sim->checks->committed;

	if (is_member_at(sim, committed, committed->last_index, node))
		return true;
	for (raft_id id = 1; id <= sim->config.hosts_count; id++) {
		struct sim_log *log = &sim->checks->watches[id].log;

		for (raft_index i = committed->last_index + 1;
		     i <= log->last_index; i++) {
			if (is_named(sim_log_at(log, i), node))
				return true;
		}
	}
	return false;
}

/* ---- Quorums ---- */

bool
sim_check_quorum(struct sim *sim, const struct raft_members *members,
    bool (*has)(struct sim *sim, struct sim_node *node, const void *context),
    const void *context)
{
	unsigned voters[2] = { 0 };
	unsigned count[2] = { 0 };

	for (unsigned i = 0; i < members->count; i++) {
		const struct raft_member *member = &members->member[i];
		struct sim_node *node = sim_node_of_member(sim, member->id);
		bool old = member->role_old == RAFT_MEMBER_VOTER;
		bool new = member->role_new == RAFT_MEMBER_VOTER;
		bool yes = node == NULL || node->wiped || node->broken ||
			   has(sim, node, context);

		voters[0] += old;
		voters[1] += new;
		count[0] += old && yes;
		count[1] += new &&yes;
	}
	return count[1] > voters[1] / 2 &&
	       (!members->joint || count[0] > voters[0] / 2);
}

/* ---- Counting ---- */

static const struct raft_member *
find_role(const struct raft_members *members, raft_id id)
{
	for (unsigned i = 0; i < members->count; i++) {
		if (members->member[i].id == id)
			return &members->member[i];
	}
	return NULL;
}

static void
count_old_member(struct sim *sim, const struct raft_member *member,
    const struct raft_members *after)
{
	const struct raft_member *now = find_role(after, member->id);
	const struct sim_node *node;

	if (now != NULL) {
		sim->counters.members_promoted +=
		    member->role_new == RAFT_MEMBER_JOINING &&
		    now->role_new == RAFT_MEMBER_VOTER;
		return;
	}
	node = sim_node_of_member(sim, member->id);
	sim->counters.members_removed++;
	if (node != NULL)
		sim->counters.leaders_removed +=
		    sim->checks->watches[node->id].role == RAFT_LEADER;
}

void
sim_check_members_committed(struct sim *sim, raft_index index)
{
	struct sim_log *committed = &sim->checks->committed;
	struct sim_counters *counters = &sim->counters;
	const struct sim_entry *entry = sim_log_at(committed, index);
	const struct raft_members *before =
	    sim_check_members_at(sim, committed, index - 1);
	const struct raft_members *after;
	raft_index last = index - 1;

	if (entry->membership == NULL)
		return;
	after = &entry->membership->roles;
	while (last > 0 && sim_log_at(committed, last)->membership == NULL)
		last--;
	counters->joints_entered += after->joint && !before->joint;
	counters->joints_left += before->joint && !after->joint;
	if (before->joint && !after->joint)
		counters->joints_left_by_another +=
		    sim_log_at(committed, last)->term != entry->term;
	for (unsigned i = 0; i < after->count; i++)
		counters->members_added +=
		    find_role(before, after->member[i].id) == NULL;
	for (unsigned i = 0; i < before->count; i++)
		count_old_member(sim, &before->member[i], after);
	/* The same members with the same roles, at another address. */
	if (last > 0 && before->count == after->count &&
	    before->joint == after->joint &&
	    memcmp(before->member, after->member,
		after->count * sizeof(after->member[0])) == 0)
		counters->members_moved++;
}
