#include "tests/sim/sim_nemesis.h"

#include "common/mem.h"
#include "tests/sim/sim_check.h"
#include "tests/sim/sim_copy.h"
#include "tests/sim/sim_damage.h"
#include "tests/sim/sim_net.h"
#include "tests/sim/sim_operator.h"
#include "tests/sim/sim_pieces.h"
#include <inttypes.h>
#include <stdlib.h>

enum partition_kind {
	PARTITION_HALVES,
	PARTITION_LEADER,  /* alone */
	PARTITION_NODE,    /* any, alone */
	PARTITION_ONE_WAY, /* one node cannot be heard, or cannot hear */
	PARTITION_BRIDGE,  /* halves, and one node that sees both */
	PARTITION_LINKS,   /* some directions of some pairs */
	PARTITION_KINDS_COUNT
};

struct sim_nemesis {
	enum partition_kind partition;
	raft_id partition_node;
	uint64_t partition_random; /* decides what kind it is exactly */
	bool partition_flaps;
	bool partition_up;
	raft_usec partition_until;
	bool has_wiped;
};

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

static void
plan_strike(struct sim *sim, enum sim_fault fault)
{
	raft_usec mean = sim->config.fault_mean[fault];

	if (mean != 0)
		sim_schedule(sim,
		    MAX(sim->now, sim->config.warm_up) +
			sim_exponential(rng_of(sim), mean),
		    SIM_EVENT_NEMESIS, 0, fault, NULL);
}

static void
plan_relief(struct sim *sim, enum sim_fault fault, raft_usec after)
{
	sim_schedule(sim, sim->now + after, SIM_EVENT_RELIEF, 0, fault, NULL);
}

void
sim_nemesis_init(struct sim *sim)
{
	sim->nemesis = mem_zalloc(1, sizeof(*sim->nemesis));
	for (unsigned fault = 0; fault < SIM_FAULTS_COUNT; fault++)
		plan_strike(sim, (enum sim_fault)fault);
}

void
sim_nemesis_release(struct sim *sim)
{
	free(sim->nemesis);
}

/* ---- Victims ---- */

/* The leader's id, 0 if there is none. */
static raft_id
find_leader(struct sim *sim)
{
	for (raft_id id = 1; id <= sim->config.hosts_count; id++) {
		struct sim_node *node = sim_node_get(sim, id);

		if (node->node != NULL && node_is_leader(node->node))
			return id;
	}
	return 0;
}

/* Any node, the leader more often than others. */
static struct sim_node *
choose_node(struct sim *sim)
{
	raft_id id = find_leader(sim);

	if (id == 0 || rng_below(rng_of(sim), 3) != 0)
		id = rng_between(rng_of(sim), 1, sim->config.hosts_count);
	return sim_node_get(sim, id);
}

static raft_usec
draw_outage(struct sim *sim)
{
	return rng_below(rng_of(sim), 2) == 0 ? timeouts(sim, 0, 8)
					      : timeouts(sim, 10, 80);
}

/* ---- Processes and hosts ---- */

static void
crash(struct sim *sim, struct sim_node *node, bool powered, raft_usec outage)
{
	/* A turn is one step here: a crash within it is SIM_FAULT_DISK_ERROR. */
	if (sim->now >= node->busy_until)
		sim_node_crash(sim, node, powered, outage);
}

static void
strike_crash(struct sim *sim)
{
	struct sim_node *node = choose_node(sim);

	crash(sim, node, true, draw_outage(sim));
}

static void
strike_power_cut(struct sim *sim)
{
	struct sim_node *node = choose_node(sim);

	if (rng_below(rng_of(sim), 2) == 0) {
		crash(sim, node, false, draw_outage(sim));
		return;
	}
	sim->counters.crashes_of_all++;
	for (raft_id id = 1; id <= sim->config.hosts_count; id++)
		crash(sim, sim_node_get(sim, id), false, draw_outage(sim));
}

static void
strike_disk_error(struct sim *sim)
{
	struct sim_node *node = choose_node(sim);
	bool log_disk = rng_below(rng_of(sim), 3) != 0;
	uint64_t n = rng_between(rng_of(sim), 1, log_disk ? 12 : 25);
	int code = rng_below(rng_of(sim), 2) == 0 ? ERR_IO : ERR_NO_SPACE;

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
	for (raft_id id = 1; id <= sim->config.hosts_count; id++) {
		struct sim_watch *watch = &sim->checks->watches[id];

		for (raft_index i = committed->last_index + 1;
		     i <= watch->log.last_index; i++) {
			if (sim_log_at(&watch->log, i)->membership != NULL)
				return false;
		}
	}
	return voters >= 3 && !members->joint && victim->state == NODE_MEMBER &&
	       sim_check_is_member(sim, victim);
}

static void
strike_wipe(struct sim *sim)
{
	struct sim_node *node = choose_node(sim);

	if (sim->nemesis->has_wiped || find_leader(sim) == 0 ||
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
	sim_damage_strike(sim, rng_of(sim));
}

static void
strike_copy(struct sim *sim)
{
	sim_copy_strike(sim, rng_of(sim));
}

static void
strike_pause(struct sim *sim)
{
	struct sim_node *node = choose_node(sim);
	raft_usec until = sim->now + timeouts(sim, 1, 40);

	sim_trace(sim, node->id, "stands still until %" PRIu64, until);
	sim->counters.pauses++;
	sim_node_pause(sim, node, until);
}

static void
strike_stall(struct sim *sim)
{
	struct sim_node *node = choose_node(sim);

	sim->counters.disk_stalls++;
	node->stall = timeouts(sim, 1, 30);
}

static void
strike_slow(struct sim *sim)
{
	struct sim_node *node = choose_node(sim);

	node->slow_until = sim->now + timeouts(sim, 10, 80);
	node->slow_factor = (uint32_t)rng_between(rng_of(sim), 3, 50);
}

static void
strike_clock(struct sim *sim)
{
	struct sim_node *node = choose_node(sim);
	int32_t drift = (int32_t)sim->config.drift_ppm;
	int32_t rate;

	sim->counters.clock_changes++;
	switch (rng_below(rng_of(sim), 3)) {
	case 0: rate = drift; break;
	case 1: rate = -drift; break;
	default:
		rate = (int32_t)rng_below(rng_of(sim), 2 * (uint64_t)drift) -
		       drift;
		break;
	}
	sim_node_set_rate(node, rate);
}

/* ---- Network ---- */

/* Is the direction from `from` to `to` open in this partition? */
static bool
is_open(const struct sim *sim, raft_id from, raft_id to)
{
	const struct sim_nemesis *nemesis = sim->nemesis;
	uint64_t random = nemesis->partition_random;
	raft_id node = nemesis->partition_node;
	bool same_side = (random >> from & 1) == (random >> to & 1);

	switch (nemesis->partition) {
	case PARTITION_HALVES: return same_side;
	case PARTITION_LEADER:
	case PARTITION_NODE: return from != node && to != node;
	case PARTITION_ONE_WAY:
		return (random & 1) == 0 ? from != node : to != node;
	case PARTITION_BRIDGE: return same_side || from == node || to == node;
	case PARTITION_LINKS:
		return (random >> ((from * 8 + to) & 63) & 1) == 0;
	case PARTITION_KINDS_COUNT: break;
	}
	return true;
}

static void
set_partition(struct sim *sim, bool up)
{
	sim->nemesis->partition_up = up;
	sim_net_mend_all(sim);
	for (raft_id from = 1; up && from <= sim->config.hosts_count; from++) {
		for (raft_id to = 1; to <= sim->config.hosts_count; to++) {
			if (from != to && !is_open(sim, from, to))
				sim_net_cut(sim, from, to);
		}
	}
	sim_trace(sim, sim->nemesis->partition_node, "partition %d %s",
	    (int)sim->nemesis->partition, up ? "begins" : "ends");
}

static void
plan_partition_change(struct sim *sim)
{
	struct sim_nemesis *nemesis = sim->nemesis;
	raft_usec after = nemesis->partition_until - sim->now;
	raft_usec pause = timeouts(sim, 1, 15);

	if (nemesis->partition_flaps)
		after = MIN(after, pause);
	plan_relief(sim, SIM_FAULT_PARTITION, after);
}

static void
plan_bridge_crash(struct sim *sim)
{
	if (sim->nemesis->partition == PARTITION_BRIDGE &&
	    sim->config.fault_mean[SIM_FAULT_CRASH] != 0)
		plan_relief(sim, SIM_FAULT_CRASH, timeouts(sim, 2, 20));
}

/* Does the node in the middle remember, after a short outage, whom it has
 * promised what? */
static void
crash_bridge(struct sim *sim)
{
	const struct sim_nemesis *nemesis = sim->nemesis;

	if (sim->now >= nemesis->partition_until ||
	    nemesis->partition != PARTITION_BRIDGE)
		return;
	crash(sim, sim_node_get(sim, nemesis->partition_node), true,
	    timeouts(sim, 0, 2));
	plan_bridge_crash(sim);
}

static void
spread_rumour(struct sim *sim, raft_id peer, bool all)
{
	raft_id node = rng_between(rng_of(sim), 1, sim->config.hosts_count);

	for (raft_id id = 1; id <= sim->config.hosts_count; id++) {
		if (id != peer && (all || id == node))
			sim_net_refuse(sim, id, peer);
	}
}

static void
strike_refusal(struct sim *sim)
{
	raft_id peer = choose_node(sim)->id;

	spread_rumour(sim, peer, rng_below(rng_of(sim), 2) == 0);
}

static void
strike_partition(struct sim *sim)
{
	struct sim_nemesis *nemesis = sim->nemesis;
	struct sim_counters *counters = &sim->counters;
	raft_id leader = find_leader(sim);

	if (sim->now < nemesis->partition_until)
		return;
	nemesis->partition =
	    (enum partition_kind)rng_below(rng_of(sim), PARTITION_KINDS_COUNT);
	nemesis->partition_random = rng_next(rng_of(sim));
	nemesis->partition_node = choose_node(sim)->id;
	nemesis->partition_flaps = rng_below(rng_of(sim), 4) == 0;
	nemesis->partition_until = sim->now + timeouts(sim, 2, 80);
	if (nemesis->partition == PARTITION_LEADER && leader != 0)
		nemesis->partition_node = leader;
	/* The leader sees one other node, which sees all. */
	if (nemesis->partition == PARTITION_BRIDGE && leader != 0) {
		nemesis->partition_random = UINT64_C(1) << leader;
		nemesis->partition_node = leader % sim->config.hosts_count + 1;
	}
	counters->partitions++;
	counters->leaders_isolated +=
	    nemesis->partition == PARTITION_LEADER && leader != 0;
	counters->partitions_one_way += nemesis->partition == PARTITION_ONE_WAY;
	counters->partitions_bridge += nemesis->partition == PARTITION_BRIDGE;
	counters->partitions_flapping += nemesis->partition_flaps;
	set_partition(sim, true);
	if (nemesis->partition == PARTITION_LEADER &&
	    sim->config.fault_mean[SIM_FAULT_REFUSAL] != 0)
		spread_rumour(sim, nemesis->partition_node, true);
	plan_partition_change(sim);
	plan_bridge_crash(sim);
}

static void
begin_partition(
    struct sim *sim, enum partition_kind kind, raft_id node, raft_usec until)
{
	struct sim_nemesis *nemesis = sim->nemesis;

	nemesis->partition = kind;
	nemesis->partition_random = rng_next(rng_of(sim));
	nemesis->partition_node = node;
	nemesis->partition_flaps = false;
	nemesis->partition_until = until;
	sim->counters.partitions++;
	set_partition(sim, true);
	plan_partition_change(sim);
}

void
sim_nemesis_isolate(struct sim *sim, raft_id node, raft_usec until)
{
	begin_partition(sim, PARTITION_NODE, node, until);
}

void
sim_nemesis_divide(struct sim *sim, raft_usec until)
{
	begin_partition(sim, PARTITION_HALVES, 0, until);
}

static void
relieve_partition(struct sim *sim)
{
	struct sim_nemesis *nemesis = sim->nemesis;

	if (sim->now >= nemesis->partition_until) {
		set_partition(sim, false);
		return;
	}
	set_partition(sim, !nemesis->partition_up);
	plan_partition_change(sim);
}

static void
strike_loss(struct sim *sim)
{
	sim_net_set_loss(
	    sim, (uint32_t)rng_between(rng_of(sim), 50000, 600000));
	plan_relief(sim, SIM_FAULT_LOSS, timeouts(sim, 5, 60));
}

static void
relieve_loss(struct sim *sim)
{
	sim_net_set_loss(sim, 0);
}

static void
strike_delay(struct sim *sim)
{
	sim_net_set_delay(sim, timeouts(sim, 1, 12));
	plan_relief(sim, SIM_FAULT_DELAY, timeouts(sim, 5, 60));
}

static void
relieve_delay(struct sim *sim)
{
	sim_net_set_delay(sim, 0);
}

static void
strike_reset(struct sim *sim)
{
	raft_id a = choose_node(sim)->id;
	raft_id b = rng_between(rng_of(sim), 1, sim->config.hosts_count);

	if (a != b)
		sim_net_reset(sim, a, b);
}

/* The sender reaches nobody but the receiver, who is led by another one before
 * the snapshot is complete. */
static void
divert_receiver(struct sim *sim, raft_id sender, raft_id receiver)
{
	sim->counters.snapshot_receivers_diverted++;
	begin_partition(
	    sim, PARTITION_BRIDGE, receiver, sim->now + timeouts(sim, 10, 40));
	sim->nemesis->partition_random = UINT64_C(1) << sender;
	set_partition(sim, true);
}

/* While a snapshot is sent, one of the three that it needs goes. */
static void
break_snapshot(struct sim *sim, raft_id sender, raft_id receiver)
{
	switch (rng_below(rng_of(sim), 6)) {
	case 4:
	case 5: divert_receiver(sim, sender, receiver); break;
	case 0:
		sim->counters.snapshot_senders_crashed++;
		crash(sim, sim_node_get(sim, sender), true, draw_outage(sim));
		break;
	case 1:
		sim->counters.snapshot_receivers_crashed++;
		crash(sim, sim_node_get(sim, receiver), true, draw_outage(sim));
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
	struct sim_node *node = choose_node(sim);
	raft_id sender;
	raft_id receiver;

	if (sim_pieces_find(sim, &sender, &receiver))
		break_snapshot(sim, sender, receiver);
	else
		node->disks.room = rng_between(rng_of(sim), 1, 400);
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
	plan_relief(sim, SIM_FAULT_SNAPSHOT,
	    rng_below(rng_of(sim), 2 * sim->config.delay_min + 2000));
}

static void
strike_replay(struct sim *sim)
{
	uint64_t count = rng_between(rng_of(sim), 1, 16);

	while (count-- > 0)
		sim_net_replay(sim);
}

/* ---- Operators ---- */

static void
strike_change(struct sim *sim)
{
	sim_operator_change(sim, rng_of(sim));
}

static void
strike_transfer(struct sim *sim)
{
	sim_operator_transfer(sim, rng_of(sim));
}

/* ---- All of them ---- */

static const struct {
	void (*strike)(struct sim *sim);
	void (*relieve)(struct sim *sim); /* NULL: it ends by itself */
} faults[SIM_FAULTS_COUNT] = {
	[SIM_FAULT_CRASH] = { strike_crash, crash_bridge },
	[SIM_FAULT_POWER_CUT] = { strike_power_cut, NULL },
	[SIM_FAULT_DISK_ERROR] = { strike_disk_error, NULL },
	[SIM_FAULT_DAMAGE] = { strike_damage, NULL },
	[SIM_FAULT_COPY] = { strike_copy, sim_copy_restore },
	[SIM_FAULT_WIPE] = { strike_wipe, NULL },
	[SIM_FAULT_PARTITION] = { strike_partition, relieve_partition },
	[SIM_FAULT_LOSS] = { strike_loss, relieve_loss },
	[SIM_FAULT_DELAY] = { strike_delay, relieve_delay },
	[SIM_FAULT_RESET] = { strike_reset, NULL },
	[SIM_FAULT_REPLAY] = { strike_replay, NULL },
	[SIM_FAULT_PAUSE] = { strike_pause, NULL },
	[SIM_FAULT_STALL] = { strike_stall, NULL },
	[SIM_FAULT_SLOW] = { strike_slow, NULL },
	[SIM_FAULT_CLOCK] = { strike_clock, NULL },
	[SIM_FAULT_REFUSAL] = { strike_refusal, NULL },
	[SIM_FAULT_CHANGE] = { strike_change, NULL },
	[SIM_FAULT_TRANSFER] = { strike_transfer, NULL },
	[SIM_FAULT_SNAPSHOT] = { strike_snapshot, break_seen },
};

void
sim_nemesis_strike(struct sim *sim, const struct sim_event *event)
{
	if (sim->phase != SIM_FAULTS)
		return;
	faults[event->number].strike(sim);
	plan_strike(sim, (enum sim_fault)event->number);
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
