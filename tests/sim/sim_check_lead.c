/*
 * A leader that hears no quorum leaves its place (B12): whoever it can still
 * reach, but does not hear, would wait for it instead of electing another.
 */

#include "tests/sim/sim_check.h"
#include <inttypes.h>

/* It does so after one; what it heard while a membership was another does not
 * count, and begins anew. */
#define SILENT_TIMEOUTS_MAX 2

struct hearing {
	const struct sim_node *leader;
	raft_usec since;
};

static bool
is_heard(struct sim *sim, struct sim_node *node, const void *context)
{
	const struct hearing *hearing = context;
	const struct sim_node *leader = hearing->leader;
	struct raft_peer_status peer;

	(void)sim;
	if (node == leader)
		return true;
	return node_get_peer(leader->node, node->member_id, &peer) == 0 &&
	       peer.heard_at >= hearing->since;
}

void
sim_check_hears(
    struct sim *sim, struct sim_node *node, const struct raft_status *raft)
{
	struct sim_watch *watch = &sim->checks->watches[node->id];
	/* When the turn began: its commits may have taken long. */
	raft_usec now = sim_node_clock(node, sim->now);
	raft_usec patience =
	    SILENT_TIMEOUTS_MAX * sim->config.raft.election_timeout;
	struct hearing hearing = { .leader = node };

	if (raft->role != RAFT_LEADER)
		return;
	if (watch->role != RAFT_LEADER || watch->led_term != raft->term ||
	    watch->members_index != raft->members_index ||
	    raft->members_index > watch->log.last_index) {
		watch->led_term = raft->term;
		watch->led_at = now;
	}
	if (now < watch->led_at + patience)
		return;
	hearing.since = now - patience;
	if (!sim_check_quorum(sim,
		sim_check_members_at(sim, &watch->log, watch->log.last_index),
		is_heard, &hearing))
		sim_fail(sim,
		    "node %" PRIu64 " leads in term %" PRIu64
		    " and has heard no quorum for %d election timeouts",
		    node->id, raft->term, SILENT_TIMEOUTS_MAX);
}
