#include "tests/sim/sim_recover.h"

#include "node/node_recover.h"
#include "tests/sim/sim_check.h"
#include "tests/sim/sim_operator.h"
#include <inttypes.h>

static int
open_data(void *context, uint64_t generation, struct store **ret_store)
{
	struct sim_node *node = context;

	return sim_disks_open_data(&node->disks, generation, false, ret_store);
}

/* As the operator does with the daemon's --force-new-cluster. */
static void
force(struct sim *sim, struct sim_node *node)
{
	struct store *log = NULL;
	struct node_recover *recover = NULL;
	uint8_t cluster_id[NODE_NONCE_SIZE];
	char why[512] = "";
	int error;

	for (size_t i = 0; i < sizeof(cluster_id); i++)
		cluster_id[i] = (uint8_t)rng_next(&sim->rng[SIM_RNG_NODE]) | 1;
	error = sim_disks_open_log(&node->disks, &log, why, sizeof(why));
	if (error == 0)
		error = node_recover_open(
		    &recover, log, open_data, node, why, sizeof(why));
	if (error == 0)
		error = node_recover_check(
		    recover, NULL, 0, true, why, sizeof(why));
	if (error == 0)
		error = node_recover_force(recover, cluster_id);
	if (error != 0)
		sim_fail(sim, "node %" PRIu64 " is no new cluster: %s, %s",
		    node->id, err_text(error), why);
	node_recover_close(recover);
	store_close(log);
}

bool
sim_recover_begin(struct sim *sim, raft_id survivor)
{
	struct sim_node *node = sim_node_get(sim, survivor);

	sim->grow_until = node_get_members(node->node)->count;
	if (!sim->config.recovers || sim->recovered || sim->grow_until < 3)
		return false;
	for (raft_id id = 1; id <= sim->config.hosts_count; id++)
		sim_node_retire(sim, sim_node_get(sim, id));
	sim_trace(sim, survivor, "is all that is left");
	sim->counters.recoveries++;
	sim->recovered = true;
	sim->phase = SIM_REGROW;
	sim->healed_at = sim->now;
	force(sim, node);
	node->retired = false;
	/* One of the others comes back, and cannot lead alone. */
	sim_node_get(sim, survivor % sim->config.hosts_count + 1)->retired =
	    false;
	for (raft_id id = 1; id <= sim->config.hosts_count; id++) {
		sim_node_get(sim, id)->broken = id != survivor;
		/* Never whole again. */
		sim_node_get(sim, id)->whole_index = RAFT_NUMBER_MAX;
		sim_schedule(
		    sim, sim->now + 1000, SIM_EVENT_RESTART, id, 0, NULL);
	}
	return true;
}

/* They come back as others, to be added. */
static void
renew_others(struct sim *sim)
{
	for (raft_id id = 1; id <= sim->config.hosts_count; id++) {
		struct sim_node *node = sim_node_get(sim, id);

		if (!node->broken)
			continue;
		sim_node_retire(sim, node);
		sim_node_renew(sim, node);
		sim_check_wiped(sim, node);
		sim_schedule(
		    sim, sim->now + 1000, SIM_EVENT_RESTART, id, 0, NULL);
	}
	sim->renewed = true;
}

void
sim_recover_step(struct sim *sim)
{
	raft_usec timeout = sim->config.raft.election_timeout;
	const struct node_members *members;
	struct sim_node *leader;
	raft_id place;

	if (sim->failed || !sim_check_converged(sim, &place))
		return;
	if (!sim->renewed) {
		if (sim->now - sim->healed_at > 10 * timeout)
			renew_others(sim);
		return;
	}
	leader = sim_node_get(sim, place);
	members = node_get_members(leader->node);
	if (members->count >= sim->grow_until) {
		sim->counters.recoveries_done++;
		sim->phase = SIM_FINAL;
		sim_clients_begin_final(sim, place);
		return;
	}
	sim_operator_grow(sim, leader);
}

void
sim_recover_heard(
    struct sim *sim, const struct sim_node *node, const struct sim_node *peer)
{
	if (sim->recovered && !sim->renewed && node->broken != peer->broken)
		sim_fail(sim,
		    "node %" PRIu64 " listens to %" PRIu64
		    " of the cluster of before",
		    node->id, peer->id);
}
