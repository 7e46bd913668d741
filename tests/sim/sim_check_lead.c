/*
 * What a leader may rely on. One that is elected votes (A23, H20). And while a
 * lease runs, nobody else leads in a later term (J13): a read by it would be a
 * wrong one only if something was written and asked for in between.
 */

#include "tests/sim/sim_check.h"
#include <inttypes.h>

static bool
is_voter(const struct raft_members *members, raft_id id)
{
	return raft_members_find(members, id) >= 0 &&
	       raft_members_voter(members, id);
}

void
sim_check_votes(struct sim *sim, const struct sim_node *node,
    const struct raft_status *raft)
{
	struct sim_log *log = &sim->checks->watches[node->id].log;
	raft_index index = log->last_index;
	raft_index commit = MIN(raft->commit_index, log->last_index);

	if (raft->repair_until != 0)
		sim_fail(sim,
		    "node %" PRIu64 " leads in term %" PRIu64
		    " and may lack entries up to %" PRIu64,
		    node->id, raft->term, raft->repair_until);
	/* Those before its own first entry, the newest or what is committed. */
	while (index > 0 && sim_log_at(log, index)->term >= raft->term)
		index--;
	commit = MIN(commit, index);
	if (!is_voter(sim_check_members_at(sim, log, index), node->member_id) &&
	    !is_voter(sim_check_members_at(sim, log, commit), node->member_id))
		sim_fail(sim,
		    "node %" PRIu64 " leads in term %" PRIu64
		    " and has no vote itself",
		    node->id, raft->term);
}

void
sim_check_leases(struct sim *sim, const struct sim_node *node, raft_term term)
{
	for (raft_id id = 1; id <= sim->config.hosts_count; id++) {
		const struct sim_node *other = sim_node_get(sim, id);
		const struct sim_watch *watch = &sim->checks->watches[id];

		if (other == node || other->node == NULL ||
		    other->rolled_back || watch->role != RAFT_LEADER ||
		    watch->life_term >= term)
			continue;
		if (node_lease_until(other->node) >
		    sim_node_clock(other, sim->now))
			sim_fail(sim,
			    "node %" PRIu64 " has a lease in term %" PRIu64
			    ", and node %" PRIu64 " leads in term %" PRIu64,
			    id, watch->life_term, node->id, term);
	}
}
