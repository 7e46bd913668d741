#include "tests/sim/sim_copy.h"

#include "tests/sim/sim_check.h"
#include "tests/sim/sim_damage.h"
#include <inttypes.h>

static void
take(struct sim *sim, struct sim_node *node)
{
	sim_copy_release(node);
	sim_disks_clone(&node->disks, &node->copy);
	node->copy_life = node->life;
	node->copy_renewals = node->renewals + node->wounds;
	sim_trace(sim, node->id, "its disks are copied");
}

/*
 * All members have heard that the node was started since the copy was taken:
 * nobody who could not know has to tell the old one from the newest.
 */
static bool
is_known_as_newer(struct sim *sim, const struct sim_node *node)
{
	const struct sim_log *committed = &sim->checks->committed;
	const struct raft_members *members = sim_check_members_at(
	    sim, &sim->checks->committed, committed->last_index);

	for (unsigned i = 0; i < members->count; i++) {
		const struct sim_node *other =
		    sim_node_of_member(sim, members->member[i].id);

		if (other != node &&
		    (other == NULL ||
			other->heard_life[node->id] != node->life))
			return false;
	}
	return node->life > node->copy_life;
}

static void
swap(struct sim_node *node)
{
	const struct sim_disks disks = node->disks;

	node->disks = node->copy;
	node->copy = disks;
	node->commits_count = sim_disks_commits_count(&node->disks);
	/* What is still on its way was said by neither. */
	node->params.boot_id = 0;
	node->rolled_back = !node->rolled_back;
	node->broken = node->rolled_back;
}

static void
put_back(struct sim *sim, struct rng *rng, struct sim_node *node)
{
	raft_usec timeout = sim->config.raft.election_timeout;

	sim_node_crash(sim, node, true, rng_below(rng, timeout));
	if (node->node != NULL)
		return;
	swap(node);
	node->whole_index = sim->checks->committed.last_index;
	sim->counters.copies_put_back++;
	sim_trace(sim, node->id, "an old copy of its disks is put back");
	sim_schedule(sim, sim->now + rng_between(rng, timeout, 8 * timeout),
	    SIM_EVENT_RELIEF, 0, SIM_FAULT_COPY, NULL);
}

void
sim_copy_strike(struct sim *sim, struct rng *rng)
{
	struct sim_node *node =
	    sim_node_get(sim, rng_between(rng, 1, sim->config.hosts_count));

	if (node->rolled_back || node->node == NULL || node->broken ||
	    node->wiped || node->state != NODE_MEMBER ||
	    sim->now < node->busy_until)
		return;
	if (node->copy.log == NULL ||
	    node->copy_renewals != node->renewals + node->wounds ||
	    rng_below(rng, 4) == 0)
		take(sim, node);
	else if (is_known_as_newer(sim, node) && sim_damage_allows(sim, node))
		put_back(sim, rng, node);
	else if (sim_damage_allows(sim, node))
		/* It is started anew, and the others hear of it. */
		sim_node_crash(sim, node, true,
		    rng_below(rng, sim->config.raft.election_timeout));
}

void
sim_copy_restore(struct sim *sim)
{
	for (raft_id id = 1; id <= sim->config.hosts_count; id++) {
		struct sim_node *node = sim_node_get(sim, id);

		if (!node->rolled_back)
			continue;
		if (node->node != NULL)
			sim_node_crash(sim, node, true, 0);
		swap(node);
		sim_copy_release(node);
		sim->counters.copies_taken_away++;
		sim_trace(sim, id, "the newest disks are put back");
		sim_schedule(
		    sim, sim->now + 1000, SIM_EVENT_RESTART, id, 0, NULL);
	}
}

void
sim_copy_heard(struct sim *sim, struct sim_node *node,
    const struct sim_node *peer, uint64_t boot_id, bool accepted)
{
	if (boot_id != peer->params.boot_id)
		return;
	if (!peer->rolled_back) {
		if (accepted)
			node->heard_life[peer->id] = peer->life;
		return;
	}
	sim->counters.copies_refused += !accepted;
	if (accepted && !node->rolled_back &&
	    node->heard_life[peer->id] > peer->copy_life)
		sim_fail(sim,
		    "node %" PRIu64 " listens to an old copy of %" PRIu64,
		    node->id, peer->id);
}

/* It knows that it is outdated: being started again does not help. */
void
sim_copy_look(struct sim *sim, struct sim_node *node)
{
	node->doomed =
	    node->doomed || (node->state == NODE_OUTDATED &&
				rng_below(&sim->rng[SIM_RNG_NEMESIS], 4) == 0);
}

void
sim_copy_release(struct sim_node *node)
{
	if (node->copy.log != NULL)
		sim_disks_release(&node->copy);
}
