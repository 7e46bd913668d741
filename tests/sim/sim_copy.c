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

/* A copy of the time of a single voter asks nobody when it starts: that it is an
 * old one nothing can tell it. */
static bool
needs_others(struct sim *sim, const struct sim_node *node)
{
	struct sim_log *committed = &sim->checks->committed;
	const struct raft_members *members =
	    sim_check_members_at(sim, committed, committed->last_index);

	for (unsigned i = 0; i < members->count; i++) {
		const struct raft_member *member = &members->member[i];

		if (member->role_new == RAFT_MEMBER_VOTER &&
		    sim_node_of_member(sim, member->id) != node)
			return true;
	}
	return false;
}

/*
 * All members have heard that the node was started since the copy was taken:
 * nobody who could not know has to tell the old one from the newest.
 */
static bool
is_known_as_newer(struct sim *sim, const struct sim_node *node)
{
	struct sim_log *committed = &sim->checks->committed;
	const struct raft_members *members =
	    sim_check_members_at(sim, committed, committed->last_index);

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

/*
 * A copy is started beside the original, which runs on or comes back, at a place
 * of its own: it says that it is the same member, in another life.
 */
static void
put_beside(struct sim *sim, struct rng *rng, struct sim_node *node)
{
	raft_usec timeout = sim->config.raft.election_timeout;
	raft_id place = sim->config.hosts_count + 1;
	struct sim_node *copy = sim_node_get(sim, place);

	if (copy->beside != 0)
		return;
	copy->sim = sim;
	copy->id = place;
	copy->beside = node->id;
	copy->params = node->params;
	copy->disks = node->copy;
	node->copy = (struct sim_disks){ 0 };
	copy->commits_count = sim_disks_commits_count(&copy->disks);
	copy->copy_life = node->copy_life;
	copy->copy_renewals = node->copy_renewals;
	copy->rolled_back = true;
	copy->broken = true;
	copy->retired = false;
	copy->state = NODE_FORMING;
	copy->wake_at = RAFT_NEVER;
	sim->counters.copies_beside++;
	sim_trace(
	    sim, place, "a copy of %" PRIu64 " starts beside it", node->id);
	sim_schedule(sim, sim->now, SIM_EVENT_RESTART, place, 0, NULL);
	sim_schedule(sim, sim->now + rng_between(rng, timeout, 20 * timeout),
	    SIM_EVENT_RELIEF, 0, SIM_FAULT_COPY, NULL);
}

void
sim_copy_stop(struct sim *sim)
{
	struct sim_node *copy = sim_node_get(sim, sim->config.hosts_count + 1);

	if (copy->beside == 0)
		return;
	sim_node_retire(sim, copy);
	sim_disks_release(&copy->disks);
	copy->beside = 0;
}

void
sim_copy_strike(struct sim *sim, struct rng *rng)
{
	struct sim_node *node =
	    sim_node_get(sim, rng_between(rng, 1, sim->config.hosts_count));

	if (node->rolled_back || node->node == NULL || node->broken ||
	    node->wiped || node->state != NODE_MEMBER ||
	    sim->now < node->busy_until || !needs_others(sim, node))
		return;
	if (node->copy.log == NULL ||
	    node->copy_renewals != node->renewals + node->wounds ||
	    rng_below(rng, 4) == 0)
		take(sim, node);
	else if (rng_below(rng, 2) == 0 && is_known_as_newer(sim, node))
		put_beside(sim, rng, node);
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
	sim_copy_stop(sim);
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
	raft_id origin;

	if (boot_id != peer->params.boot_id)
		return;
	if (!peer->rolled_back) {
		if (accepted)
			node->heard_life[peer->id] = peer->life;
		return;
	}
	origin = peer->beside == 0 ? peer->id : peer->beside;
	sim->counters.copies_refused += !accepted;
	if (accepted && !node->rolled_back &&
	    node->heard_life[origin] > peer->copy_life &&
	    sim_node_get(sim, origin)->renewals +
		    sim_node_get(sim, origin)->wounds ==
		peer->copy_renewals)
		sim_fail(sim,
		    "node %" PRIu64 " listens to an old copy of %" PRIu64,
		    node->id, peer->id);
}

/* It knows that it is outdated: being started again does not help. */
void
sim_copy_look(struct sim *sim, struct sim_node *node)
{
	bool outdated = node->state == NODE_OUTDATED;

	if (node->beside != 0) {
		sim->counters.copies_beside_outdated +=
		    outdated && !node->removed;
		node->removed = outdated;
		return;
	}
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
