/* What a node asks of its host. */

#include "tests/sim/sim_host.h"

#include "tests/sim/sim_check.h"
#include "tests/sim/sim_damage.h"
#include "tests/sim/sim_net.h"
#include "tests/sim/sim_pieces.h"
#include <inttypes.h>

static raft_usec
draw_commit(struct sim_node *node)
{
	const struct sim_config *config = &node->sim->config;
	struct rng *rng = &node->sim->rng[SIM_RNG_DISK];
	raft_usec took =
	    config->commit_min + sim_exponential(rng, config->commit_mean);

	if (node->turn_at < node->slow_until)
		took *= node->slow_factor;
	took += node->stall;
	node->stall = 0;
	return took;
}

void
sim_host_pass_commits(struct sim_node *node)
{
	uint64_t count = sim_disks_commits_count(&node->disks);

	for (; node->commits_count < count; node->commits_count++)
		node->turn_at += draw_commit(node);
}

static raft_usec
host_now(void *context)
{
	struct sim_node *node = context;

	sim_host_pass_commits(node);
	return sim_node_clock(node, node->turn_at);
}

static void
host_send(void *context, const struct raft_message *message,
    struct node_entry *const *entries)
{
	struct sim_node *node = context;

	sim_host_pass_commits(node);
	sim_check_promise(node->sim, node, message);
	sim_net_send(node->sim, node, message, entries);
}

static void
host_flush(void *context)
{
	struct sim_node *node = context;

	sim_net_flush(node->sim, node);
}

static void
host_on_change(void *context)
{
	(void)context; /* the state is looked at after each turn */
}

static void
host_on_commit(void *context, bool checkpoint, raft_usec took)
{
	struct sim_node *node = context;

	if (checkpoint)
		node->sim->counters.checkpoints++;
	sim_trace(node->sim, node->id, "%s took %" PRIu64 "us",
	    checkpoint ? "checkpoint" : "commit", took);
}

static void
host_on_alarm(void *context, enum raft_alarm alarm, raft_id peer)
{
	struct sim_node *node = context;

	sim_check_alarm(node->sim, node, alarm, peer);
}

/*
 * But for false states: where two voters have one nobody knows who is right,
 * and an answer may be told when the state that gave it has been mended.
 */
static void
host_on_difference(void *context, raft_id a, raft_id b, raft_index index)
{
	struct sim_node *node = context;

	if (node->sim->counters.states_falsified != 0)
		return;
	sim_fail(node->sim,
	    "the states of %" PRIu64 " and %" PRIu64
	    " differ at entry %" PRIu64,
	    a, b, index);
}

static void
host_on_members(void *context, const struct node_members *members)
{
	struct sim_node *node = context;

	node->book = *members;
	node->book_changed = true;
}

static void
host_send_snapshot(void *context, raft_id to, struct slice piece)
{
	struct sim_node *node = context;

	sim_host_pass_commits(node);
	sim_pieces_send(node->sim, node, to, piece);
}

static void
host_cancel_snapshot(void *context, raft_id to)
{
	struct sim_node *node = context;

	sim_pieces_cancel(node->sim, node, to);
}

static int
host_open_data(
    void *context, uint64_t generation, bool empty, struct store **ret_store)
{
	struct sim_node *node = context;

	sim_host_pass_commits(node);
	return sim_disks_open_data(&node->disks, generation, empty, ret_store);
}

static int
host_remove_data_but(void *context, uint64_t generation)
{
	struct sim_node *node = context;

	sim_host_pass_commits(node);
	return sim_disks_remove_data_but(&node->disks, generation);
}

struct node_host
sim_host_of(struct sim_node *node)
{
	return (struct node_host){
		.context = node,
		.now = host_now,
		.send = host_send,
		.flush = host_flush,
		.on_change = host_on_change,
		.on_commit = host_on_commit,
		.on_alarm = host_on_alarm,
		.on_difference = host_on_difference,
		.on_members = host_on_members,
		.send_snapshot = host_send_snapshot,
		.cancel_snapshot = host_cancel_snapshot,
		.open_data = host_open_data,
		.remove_data_but = host_remove_data_but,
	};
}
