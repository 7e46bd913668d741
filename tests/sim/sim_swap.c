#include "tests/sim/sim_swap.h"

#include "tests/sim/sim_host.h"
#include <inttypes.h>
#include <stdio.h>

/* Opens the node on the disks that it has now; what node_new() says. */
static int
open_node(struct sim *sim, struct sim_node *node,
    const struct node_params *params, char *why, size_t size)
{
	const struct node_host host = sim_host_of(node);
	struct node *opened = NULL;
	struct store *log;
	int error = sim_disks_open_log(&node->disks, &log, why, size);

	if (error != 0)
		return error;
	node->turn_at = sim->now;
	node->commits_count = sim_disks_commits_count(&node->disks);
	error = node_new(&opened, params, log, &host,
	    sim_node_clock(node, sim->now), why, size);
	if (error == 0)
		node_free(opened);
	store_close(log);
	return error;
}

/* What a node of the same name has in a cluster of another one. */
static void
make_foreign(struct sim *sim, struct sim_node *node)
{
	struct node_params params = node->params;
	char why[512] = "";

	sim_disks_init(&node->disks, sim);
	sim_disks_mend(&node->disks);
	snprintf(params.cluster, sizeof(params.cluster), "elsewhere");
	if (open_node(sim, node, &params, why, sizeof(why)) != 0)
		sim_fail(sim, "no other cluster can be made: %s", why);
}

/* Some other node that runs, and so has a directory; NULL: nobody does. */
static struct sim_node *
choose_other(struct sim *sim, struct rng *rng, const struct sim_node *node)
{
	struct sim_node *other =
	    sim_node_get(sim, rng_between(rng, 1, sim->config.hosts_count));

	return other == node || other->node == NULL || other->broken ||
		       other->rolled_back
		   ? NULL
		   : other;
}

static void
check_refusal(struct sim *sim, struct sim_node *node)
{
	uint64_t before = store_mem_digest(node->disks.log);
	char why[512] = "";
	int error = open_node(sim, node, &node->params, why, sizeof(why));

	sim_trace(sim, node->id, "on disks that are not its own: %s", why);
	if (error != ERR_MISMATCH)
		sim_fail(sim,
		    "node %" PRIu64 " on the disks of another one: %s",
		    node->id, err_text(error));
	else if (store_mem_digest(node->disks.log) != before)
		sim_fail(sim,
		    "node %" PRIu64 " changes disks that are not its own",
		    node->id);
}

void
sim_swap_strike(struct sim *sim, struct rng *rng, struct sim_node *node)
{
	const struct node_members book = node->book;
	const struct sim_node *other = choose_other(sim, rng, node);
	bool elsewhere = rng_below(rng, 2) == 0;
	struct sim_disks own;

	if (node->node == NULL || node->broken || node->rolled_back ||
	    sim->now < node->busy_until || (!elsewhere && other == NULL))
		return;
	sim_node_crash(sim, node, true,
	    rng_below(rng, 2 * sim->config.raft.election_timeout));
	own = node->disks;
	if (elsewhere)
		make_foreign(sim, node);
	else
		sim_disks_clone(&other->disks, &node->disks);
	check_refusal(sim, node);
	sim_disks_release(&node->disks);
	node->disks = own;
	node->commits_count = sim_disks_commits_count(&node->disks);
	node->book = book;
	sim->counters.directories_of_members += !elsewhere;
	sim->counters.directories_of_clusters += elsewhere;
}
