#include "tests/sim/sim_moment.h"

#include "tests/sim/sim_check.h"
#include "tests/sim/sim_nemesis.h"
#include <inttypes.h>

static struct rng *
rng_of(struct sim *sim)
{
	return &sim->rng[SIM_RNG_NEMESIS];
}

static raft_usec
timeouts(struct sim *sim, unsigned low_tenths, unsigned high_tenths)
{
	return rng_between(rng_of(sim), low_tenths, high_tenths) *
	       sim->config.raft.election_timeout / 10;
}

/* Does `fault` exist, is it the time for it, and one in `times`? */
static bool
strikes(struct sim *sim, enum sim_fault fault, unsigned times)
{
	return sim->config.fault_mean[fault] != 0 && sim->phase == SIM_FAULTS &&
	       sim->now >= sim->config.warm_up &&
	       sim->now <= sim->config.faults_until &&
	       rng_below(rng_of(sim), times) == 0;
}

/* ---- A change of the members ---- */

/*
 * Alone with its change until others have elected, or with some of the voters,
 * or dead as soon as it has told them: whoever leads next knows of the change
 * or does not, and the old leader comes back with it.
 */
static void
spoil_change(struct sim *sim, struct sim_node *node, bool joint)
{
	raft_usec until = sim->now + timeouts(sim, 10, 60);

	sim->counters.changes_spoiled++;
	switch (rng_below(rng_of(sim), joint ? 6 : 4)) {
	case 0:
	case 1: sim_nemesis_isolate(sim, node->id, until); break;
	case 2: sim_nemesis_divide(sim, until); break;
	default: node->doomed = true; break;
	}
}

void
sim_moment_read(struct sim *sim, struct sim_node *node)
{
	struct sim_watch *watch = &sim->checks->watches[node->id];
	struct node_status status;

	if (!node_is_leader(node->node))
		return;
	node_get_status(
	    node->node, sim_node_clock(node, node->turn_at), &status);
	if (status.raft.members_committed ||
	    status.raft.members_index <= watch->members_index ||
	    !strikes(sim, SIM_FAULT_CHANGE, 3))
		return;
	spoil_change(sim, node, sim_check_is_joint(sim, node));
}

void
sim_moment_turned(struct sim *sim, struct sim_node *node)
{
	if (!node->doomed)
		return;
	node->doomed = false;
	sim_node_crash(sim, node, true, timeouts(sim, 0, 40));
}

/* ---- A transfer ---- */

void
sim_moment_transfer(struct sim *sim, struct sim_node *node)
{
	struct node_status status;
	const struct sim_node *target;

	node_get_status(
	    node->node, sim_node_clock(node, node->turn_at), &status);
	target = sim_node_of_member(sim, status.raft.transfer_target);
	if (target == NULL || !strikes(sim, SIM_FAULT_TRANSFER, 3))
		return;
	sim->counters.transfers_spoiled++;
	sim_nemesis_isolate(sim, target->id, sim->now + timeouts(sim, 5, 30));
}

/* ---- A snapshot ---- */

void
sim_moment_piece(struct sim *sim)
{
	if (strikes(sim, SIM_FAULT_SNAPSHOT, 24))
		sim_nemesis_break_snapshot(sim);
}
