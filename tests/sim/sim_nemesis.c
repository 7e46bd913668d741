#include "tests/sim/sim_nemesis.h"

#include "common/mem.h"
#include "tests/sim/sim_check.h"
#include "tests/sim/sim_client.h"
#include "tests/sim/sim_copy.h"
#include "tests/sim/sim_damage.h"
#include "tests/sim/sim_nemesis_impl.h"
#include "tests/sim/sim_net.h"
#include "tests/sim/sim_operator.h"
#include "tests/sim/sim_pieces.h"
#include "tests/sim/sim_swap.h"
#include <inttypes.h>
#include <stdlib.h>

struct rng *
sim_nemesis_rng(struct sim *sim)
{
	return sim->nemesis->rng;
}

raft_usec
sim_nemesis_timeouts(struct sim *sim, unsigned low_tenths, unsigned high_tenths)
{
	return rng_between(sim_nemesis_rng(sim), low_tenths, high_tenths) *
	       sim->config.raft.election_timeout / 10;
}

static void
plan_strike(struct sim *sim, enum sim_fault fault)
{
	raft_usec mean = sim->config.fault_mean[fault];

	if (mean != 0)
		sim_schedule(sim,
		    MAX(sim->now, sim->config.warm_up) +
			sim_exponential(sim_nemesis_rng(sim), mean),
		    SIM_EVENT_NEMESIS, 0, fault, NULL);
}

void
sim_nemesis_plan_relief(struct sim *sim, enum sim_fault fault, raft_usec after)
{
	sim_schedule(sim, sim->now + after, SIM_EVENT_RELIEF, 0, fault, NULL);
}

void
sim_nemesis_init(struct sim *sim)
{
	struct sim_nemesis *nemesis = mem_zalloc(1, sizeof(*nemesis));

	sim->nemesis = nemesis;
	for (unsigned fault = 0; fault < SIM_FAULTS_COUNT; fault++) {
		rng_init(&nemesis->rngs[fault],
		    sim->config.seed * UINT64_C(0xbf58476d1ce4e5b9) + fault);
		nemesis->rng = &nemesis->rngs[fault];
		plan_strike(sim, (enum sim_fault)fault);
	}
	nemesis->rng = &sim->rng[SIM_RNG_NEMESIS];
}

void
sim_nemesis_release(struct sim *sim)
{
	free(sim->nemesis);
}

/* ---- Victims ---- */

raft_id
sim_nemesis_leader(struct sim *sim)
{
	for (raft_id id = 1; id <= sim->config.hosts_count; id++) {
		struct sim_node *node = sim_node_get(sim, id);

		if (node->node != NULL && node_is_leader(node->node))
			return id;
	}
	return 0;
}

struct sim_node *
sim_nemesis_choose(struct sim *sim)
{
	raft_id id = sim_nemesis_leader(sim);

	if (id == 0 || rng_below(sim_nemesis_rng(sim), 3) != 0)
		id = rng_between(
		    sim_nemesis_rng(sim), 1, sim->config.hosts_count);
	return sim_node_get(sim, id);
}

static raft_usec
draw_outage(struct sim *sim)
{
	return rng_below(sim_nemesis_rng(sim), 2) == 0
		   ? sim_nemesis_timeouts(sim, 0, 8)
		   : sim_nemesis_timeouts(sim, 10, 80);
}

/* ---- Processes and hosts ---- */

void
sim_nemesis_crash(
    struct sim *sim, struct sim_node *node, bool powered, raft_usec outage)
{
	/* A turn is one step here: a crash within it is SIM_FAULT_DISK_ERROR. */
	if (sim->now >= node->busy_until)
		sim_node_crash(sim, node, powered, outage);
}

static void
strike_crash(struct sim *sim)
{
	struct sim_node *node = sim_nemesis_choose(sim);

	sim_nemesis_crash(sim, node, true, draw_outage(sim));
}

static void
strike_power_cut(struct sim *sim)
{
	struct sim_node *node = sim_nemesis_choose(sim);

	if (rng_below(sim_nemesis_rng(sim), 2) == 0) {
		sim_nemesis_crash(sim, node, false, draw_outage(sim));
		return;
	}
	sim->counters.crashes_of_all++;
	for (raft_id id = 1; id <= sim->config.hosts_count; id++)
		sim_nemesis_crash(
		    sim, sim_node_get(sim, id), false, draw_outage(sim));
}

static void
strike_disk_error(struct sim *sim)
{
	struct sim_node *node = sim_nemesis_choose(sim);
	bool log_disk = rng_below(sim_nemesis_rng(sim), 3) != 0;
	uint64_t n = rng_between(sim_nemesis_rng(sim), 1, log_disk ? 12 : 25);
	int code =
	    rng_below(sim_nemesis_rng(sim), 2) == 0 ? ERR_IO : ERR_NO_SPACE;

	sim_trace(sim, node->id,
	    "operation %" PRIu64 " of the %s disk will fail", n,
	    log_disk ? "log" : "data");
	sim_node_break_disk(node, log_disk, n, code);
}

/* Once, and only one of at least three voters, while no log holds a change
 * that is not committed: nothing else may be missing then. */
static bool
may_lose(struct sim *sim, const struct sim_node *victim)
{
	struct sim_log *committed = &sim->checks->committed;
	const struct raft_members *members =
	    sim_check_members_at(sim, committed, committed->last_index);
	unsigned voters = 0;

	for (unsigned i = 0; i < members->count; i++) {
		const struct sim_node *node =
		    sim_node_of_member(sim, members->member[i].id);

		voters += members->member[i].role_new == RAFT_MEMBER_VOTER;
		if (node == NULL || node->state != NODE_MEMBER ||
		    node->broken ||
		    members->member[i].role_new == RAFT_MEMBER_JOINING)
			return false;
	}
	return voters >= 3 && !members->joint && victim->state == NODE_MEMBER &&
	       sim_check_is_member(sim, victim) &&
	       !sim_damage_change_under_way(sim);
}

static void
strike_wipe(struct sim *sim)
{
	struct sim_node *node = sim_nemesis_choose(sim);

	if (sim->nemesis->has_wiped || sim_nemesis_leader(sim) == 0 ||
	    sim->now < node->busy_until)
		return;
	if (!may_lose(sim, node))
		return;
	sim_node_crash(sim, node, false, draw_outage(sim));
	if (node->node != NULL)
		return;
	sim_trace(sim, node->id, "its disks are emptied");
	sim->nemesis->has_wiped = true;
	sim->counters.wipes++;
	sim_node_wipe(node);
	sim_check_wiped(sim, node);
}

static void
strike_damage(struct sim *sim)
{
	sim_damage_strike(sim, sim_nemesis_rng(sim));
}

static void
strike_copy(struct sim *sim)
{
	sim_copy_strike(sim, sim_nemesis_rng(sim));
}

static void
strike_swap(struct sim *sim)
{
	sim_swap_strike(sim, sim_nemesis_rng(sim), sim_nemesis_choose(sim));
}

static void
strike_pause(struct sim *sim)
{
	struct sim_node *node = sim_nemesis_choose(sim);
	raft_usec until = sim->now + sim_nemesis_timeouts(sim, 1, 40);

	sim_trace(sim, node->id, "stands still until %" PRIu64, until);
	sim->counters.pauses++;
	sim_node_pause(sim, node, until);
	/* As of a host that is suspended, or moved to another. */
	if (!sim->config.clocks_jump || rng_below(sim_nemesis_rng(sim), 2) == 0)
		return;
	sim->counters.clock_stops++;
	sim_node_stop_clock(node, until);
}

/* A few election timeouts, or an hour. */
static void
jump(struct sim *sim, struct sim_node *node)
{
	raft_usec by = sim_nemesis_timeouts(sim, 1, 60);

	if (rng_below(sim_nemesis_rng(sim), 8) == 0)
		by = UINT64_C(3600000000);
	sim_trace(sim, node->id, "its clock jumps by %" PRIu64, by);
	sim->counters.clock_jumps++;
	sim_node_jump(node, by);
}

static void
strike_stall(struct sim *sim)
{
	struct sim_node *node = sim_nemesis_choose(sim);

	sim->counters.disk_stalls++;
	node->stall = sim_nemesis_timeouts(sim, 1, 30);
}

static void
strike_slow(struct sim *sim)
{
	struct sim_node *node = sim_nemesis_choose(sim);

	node->slow_until = sim->now + sim_nemesis_timeouts(sim, 10, 80);
	node->slow_factor = (uint32_t)rng_between(sim_nemesis_rng(sim), 3, 50);
}

static void
strike_clock(struct sim *sim)
{
	struct sim_node *node = sim_nemesis_choose(sim);
	int32_t drift = (int32_t)sim->config.drift_ppm;
	int32_t rate;

	sim->counters.clock_changes++;
	if (sim->config.clocks_jump && node->node != NULL &&
	    rng_below(sim_nemesis_rng(sim), 3) == 0) {
		jump(sim, node);
		return;
	}
	switch (rng_below(sim_nemesis_rng(sim), 3)) {
	case 0: rate = drift; break;
	case 1: rate = -drift; break;
	default:
		rate = (int32_t)rng_below(
			   sim_nemesis_rng(sim), 2 * (uint64_t)drift) -
		       drift;
		break;
	}
	sim_node_set_rate(node, rate);
}

/* ---- Network ---- */

static void
strike_loss(struct sim *sim)
{
	sim_net_set_loss(
	    sim, (uint32_t)rng_between(sim_nemesis_rng(sim), 50000, 600000));
	sim_nemesis_plan_relief(
	    sim, SIM_FAULT_LOSS, sim_nemesis_timeouts(sim, 5, 60));
}

static void
relieve_loss(struct sim *sim)
{
	sim_net_set_loss(sim, 0);
}

static void
strike_delay(struct sim *sim)
{
	sim_net_set_delay(sim, sim_nemesis_timeouts(sim, 1, 12));
	sim_nemesis_plan_relief(
	    sim, SIM_FAULT_DELAY, sim_nemesis_timeouts(sim, 5, 60));
}

static void
relieve_delay(struct sim *sim)
{
	sim_net_set_delay(sim, 0);
}

static void
strike_reset(struct sim *sim)
{
	raft_id a = sim_nemesis_choose(sim)->id;
	raft_id b =
	    rng_between(sim_nemesis_rng(sim), 1, sim->config.hosts_count);

	if (a != b)
		sim_net_reset(sim, a, b);
}

/* While a snapshot is sent, one of the three that it needs goes. */
static void
break_snapshot(struct sim *sim, raft_id sender, raft_id receiver)
{
	switch (rng_below(sim_nemesis_rng(sim), 8)) {
	case 4:
	case 5:
	case 6:
	case 7: sim_partition_divert(sim, sender, receiver); break;
	case 0:
		sim->counters.snapshot_senders_crashed++;
		sim_nemesis_crash(
		    sim, sim_node_get(sim, sender), true, draw_outage(sim));
		break;
	case 1:
		sim->counters.snapshot_receivers_crashed++;
		sim_nemesis_crash(
		    sim, sim_node_get(sim, receiver), true, draw_outage(sim));
		break;
	default:
		sim->counters.snapshot_links_broken++;
		sim_net_reset(sim, sender, receiver);
		break;
	}
}

/* Or the next one finds no room where it arrives. */
static void
strike_snapshot(struct sim *sim)
{
	struct sim_node *node = sim_nemesis_choose(sim);
	raft_id sender;
	raft_id receiver;

	if (sim_pieces_find(sim, &sender, &receiver))
		break_snapshot(sim, sender, receiver);
	else
		node->disks.room = rng_between(sim_nemesis_rng(sim), 1, 400);
}

/* Of a transfer that was seen beginning. */
static void
break_seen(struct sim *sim)
{
	raft_id sender;
	raft_id receiver;

	if (sim_pieces_find(sim, &sender, &receiver))
		break_snapshot(sim, sender, receiver);
}

void
sim_nemesis_break_snapshot(struct sim *sim)
{
	sim_nemesis_plan_relief(sim, SIM_FAULT_SNAPSHOT,
	    rng_below(sim_nemesis_rng(sim), 2 * sim->config.delay_min + 2000));
}

static void
strike_replay(struct sim *sim)
{
	uint64_t count = rng_between(sim_nemesis_rng(sim), 1, 16);

	while (count-- > 0)
		sim_net_replay(sim);
}

/* ---- Operators ---- */

static void
strike_change(struct sim *sim)
{
	sim_operator_change(sim, sim_nemesis_rng(sim));
}

static void
strike_transfer(struct sim *sim)
{
	sim_operator_transfer(sim, sim_nemesis_rng(sim));
}

/* ---- All of them ---- */

static const struct {
	void (*strike)(struct sim *sim);
	void (*relieve)(struct sim *sim); /* NULL: it ends by itself */
} faults[SIM_FAULTS_COUNT] = {
	[SIM_FAULT_CRASH] = { strike_crash, sim_partition_crash_bridge },
	[SIM_FAULT_POWER_CUT] = { strike_power_cut, NULL },
	[SIM_FAULT_DISK_ERROR] = { strike_disk_error, NULL },
	[SIM_FAULT_DAMAGE] = { strike_damage, NULL },
	[SIM_FAULT_COPY] = { strike_copy, sim_copy_restore },
	[SIM_FAULT_WIPE] = { strike_wipe, NULL },
	[SIM_FAULT_PARTITION] = { sim_partition_strike, sim_partition_relieve },
	[SIM_FAULT_LOSS] = { strike_loss, relieve_loss },
	[SIM_FAULT_DELAY] = { strike_delay, relieve_delay },
	[SIM_FAULT_RESET] = { strike_reset, NULL },
	[SIM_FAULT_REPLAY] = { strike_replay, NULL },
	[SIM_FAULT_PAUSE] = { strike_pause, NULL },
	[SIM_FAULT_STALL] = { strike_stall, NULL },
	[SIM_FAULT_SLOW] = { strike_slow, NULL },
	[SIM_FAULT_CLOCK] = { strike_clock, NULL },
	[SIM_FAULT_REFUSAL] = { sim_partition_refuse, NULL },
	[SIM_FAULT_CHANGE] = { strike_change, NULL },
	[SIM_FAULT_TRANSFER] = { strike_transfer, NULL },
	[SIM_FAULT_SNAPSHOT] = { strike_snapshot, break_seen },
	[SIM_FAULT_SWAP] = { strike_swap, NULL },
};

void
sim_nemesis_strike(struct sim *sim, const struct sim_event *event)
{
	struct sim_nemesis *nemesis = sim->nemesis;

	if (sim->phase != SIM_FAULTS || sim->now > sim->config.faults_until)
		return;
	sim->counters.strikes++;
	sim->counters.strikes_under_traffic += !sim_clients_idle(sim);
	nemesis->rng = &nemesis->rngs[event->number];
	faults[event->number].strike(sim);
	plan_strike(sim, (enum sim_fault)event->number);
	nemesis->rng = &sim->rng[SIM_RNG_NEMESIS];
}

void
sim_nemesis_relieve(struct sim *sim, const struct sim_event *event)
{
	if (sim->phase == SIM_FAULTS)
		faults[event->number].relieve(sim);
}

void
sim_nemesis_heal(struct sim *sim)
{
	sim_net_mend_all(sim);
	sim_net_set_loss(sim, 0);
	sim_net_set_delay(sim, 0);
	sim_damage_heal(sim);
	sim_copy_restore(sim);
	for (raft_id id = 1; id <= sim->config.hosts_count; id++) {
		struct sim_node *node = sim_node_get(sim, id);

		sim_node_mend(sim, node);
	}
}
