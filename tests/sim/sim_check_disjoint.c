/*
 * Whether two nodes could be elected by voters that have nobody in common:
 * then each could commit without the other (H38). Judged from the disks, as if
 * all were started anew at this moment: each would campaign by the newest
 * membership on its disk, and vote by the end of its log. Brute force over all
 * subsets of the voters, for those pairs whose memberships differ.
 */

#include "tests/sim/sim_check.h"
#include <inttypes.h>

struct position {
	raft_term term;
	raft_index index;
};

static struct position
log_end(struct sim *sim, const struct sim_node *node)
{
	struct sim_log *log = &sim->checks->watches[node->id].log;

	return (struct position){
		.term = sim_log_at(log, log->last_index)->term,
		.index = log->last_index,
	};
}

/* Which members, as bits by place, would vote for a candidate at `end`. */
static uint64_t
granting(
    struct sim *sim, const struct raft_members *members, struct position end)
{
	uint64_t set = 0;

	for (unsigned i = 0; i < members->count; i++) {
		const struct sim_node *node =
		    sim_node_of_member(sim, members->member[i].id);
		struct position own;

		if (node == NULL || node->wiped || node->broken)
			continue;
		own = log_end(sim, node);
		if (own.term < end.term ||
		    (own.term == end.term && own.index <= end.index))
			set |= UINT64_C(1) << node->id;
	}
	return set;
}

static bool
is_quorum(struct sim *sim, const struct raft_members *members, uint64_t set)
{
	unsigned voters[2] = { 0 };
	unsigned count[2] = { 0 };

	for (unsigned i = 0; i < members->count; i++) {
		const struct raft_member *member = &members->member[i];
		const struct sim_node *node =
		    sim_node_of_member(sim, member->id);
		bool in = node != NULL && (set >> node->id & 1) != 0;

		voters[0] += member->role_old == RAFT_MEMBER_VOTER;
		voters[1] += member->role_new == RAFT_MEMBER_VOTER;
		count[0] += member->role_old == RAFT_MEMBER_VOTER && in;
		count[1] += member->role_new == RAFT_MEMBER_VOTER && in;
	}
	return count[1] > voters[1] / 2 &&
	       (!members->joint || count[0] > voters[0] / 2);
}

/* Some quorum of `a` within set_a leaves a quorum of `b` within set_b. */
static bool
disjoint(struct sim *sim, const struct raft_members *a, uint64_t set_a,
    const struct raft_members *b, uint64_t set_b)
{
	uint64_t subset = set_a;

	if (!is_quorum(sim, a, set_a) || !is_quorum(sim, b, set_b))
		return false;
	for (; subset != 0; subset = (subset - 1) & set_a) {
		if (is_quorum(sim, a, subset) &&
		    is_quorum(sim, b, set_b & ~subset))
			return true;
	}
	return false;
}

/* The membership by which it may campaign; NULL: it may not. */
static const struct raft_members *
candidacy(struct sim *sim, const struct sim_node *node)
{
	if (node->wiped || node->broken || node->removed ||
	    node->member_id == 0 || !sim_check_may_campaign(sim, node))
		return NULL;
	return sim->checks->watches[node->id].members;
}

/* The quorums of one membership overlap, that is what they are. */
static bool
same(const struct raft_members *a, const struct raft_members *b)
{
	if (a == b)
		return true;
	if (a->joint || b->joint || a->count != b->count)
		return false;
	for (unsigned i = 0; i < a->count; i++) {
		if (a->member[i].id != b->member[i].id ||
		    a->member[i].role_new != b->member[i].role_new)
			return false;
	}
	return true;
}

void
sim_check_disjoint(struct sim *sim, const struct sim_node *node)
{
	const struct raft_members *members = candidacy(sim, node);
	uint64_t set;

	if (members == NULL)
		return;
	set = granting(sim, members, log_end(sim, node));
	for (raft_id id = 1; id <= sim->config.hosts_count; id++) {
		const struct sim_node *other = sim_node_get(sim, id);
		const struct raft_members *theirs = candidacy(sim, other);

		if (other == node || theirs == NULL || same(members, theirs))
			continue;
		sim->counters.disjoint_checked++;
		if (disjoint(sim, members, set, theirs,
			granting(sim, theirs, log_end(sim, other))))
			sim_fail(sim,
			    "nodes %" PRIu64 " and %" PRIu64
			    " could be elected by quorums without a common "
			    "voter",
			    node->id, id);
	}
}
