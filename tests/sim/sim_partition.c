/* Who hears whom, for a while, and who believes that whom is gone. */

#include "tests/sim/sim_nemesis_impl.h"
#include "tests/sim/sim_net.h"
#include "tests/sim/sim_packet.h"

static bool
is_ring(const struct sim *sim, raft_id from, raft_id to)
{
	raft_id count = sim->config.hosts_count;
	raft_id distance = (from + count - to) % count;

	return distance <= 1 || distance == count - 1;
}

static bool
is_gone(const struct sim *sim, raft_id id)
{
	const struct sim_nemesis *nemesis = sim->nemesis;

	return sim->now >= nemesis->gone_from[id] &&
	       sim->now < nemesis->gone_until[id];
}

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
	case PARTITION_RING: return is_ring(sim, from, to);
	case PARTITION_SWIZZLE: return !is_gone(sim, from) && !is_gone(sim, to);
	case PARTITION_ALL: return false;
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
	sim_net_cut_classes(sim, up ? sim->nemesis->partition_classes : 0);
	sim_trace(sim, sim->nemesis->partition_node, "partition %d/%x %s",
	    (int)sim->nemesis->partition, sim->nemesis->partition_classes,
	    up ? "is there" : "ends");
}

static void
plan_change(struct sim *sim)
{
	struct sim_nemesis *nemesis = sim->nemesis;
	raft_usec after = nemesis->partition_until - sim->now;
	raft_usec pause = sim_nemesis_timeouts(sim, 1, 15);

	if (nemesis->partition_flaps || nemesis->partition == PARTITION_SWIZZLE)
		after = MIN(after, pause);
	sim_nemesis_plan_relief(sim, SIM_FAULT_PARTITION, after);
}

static void
plan_bridge_crash(struct sim *sim)
{
	if (sim->nemesis->partition == PARTITION_BRIDGE &&
	    sim->config.fault_mean[SIM_FAULT_CRASH] != 0)
		sim_nemesis_plan_relief(
		    sim, SIM_FAULT_CRASH, sim_nemesis_timeouts(sim, 2, 20));
}

void
sim_partition_crash_bridge(struct sim *sim)
{
	const struct sim_nemesis *nemesis = sim->nemesis;

	if (sim->now >= nemesis->partition_until ||
	    nemesis->partition != PARTITION_BRIDGE)
		return;
	sim_nemesis_crash(sim, sim_node_get(sim, nemesis->partition_node), true,
	    sim_nemesis_timeouts(sim, 0, 2));
	plan_bridge_crash(sim);
}

static void
spread_rumour(struct sim *sim, raft_id peer, bool all)
{
	raft_id node =
	    rng_between(sim_nemesis_rng(sim), 1, sim->config.hosts_count);

	for (raft_id id = 1; id <= sim->config.hosts_count; id++) {
		if (id != peer && (all || id == node))
			sim_net_refuse(sim, id, peer);
	}
}

void
sim_partition_refuse(struct sim *sim)
{
	raft_id peer = sim_nemesis_choose(sim)->id;

	spread_rumour(sim, peer, rng_below(sim_nemesis_rng(sim), 2) == 0);
}

/* All are gone for a moment in the middle. */
static void
draw_swizzle(struct sim *sim)
{
	struct sim_nemesis *nemesis = sim->nemesis;
	raft_usec half = (nemesis->partition_until - sim->now) / 2;
	struct rng *rng = sim_nemesis_rng(sim);

	for (raft_id id = 1; id <= sim->config.hosts_count; id++) {
		bool stays = (nemesis->partition_random >> id & 1) != 0;

		nemesis->gone_from[id] = sim->now + rng_below(rng, half + 1);
		nemesis->gone_until[id] =
		    stays ? 0 : sim->now + half + rng_below(rng, half + 1);
	}
}

/* One class, or some of them. */
static uint32_t
draw_classes(struct sim *sim, enum partition_kind kind)
{
	struct rng *rng = sim_nemesis_rng(sim);
	uint32_t one = 1u << rng_between(rng, 1, SIM_CLASSES_COUNT - 1);
	uint32_t some = (uint32_t)rng_below(rng, 1u << SIM_CLASSES_COUNT) &
			~(1u << SIM_CLASS_OTHER);
	uint32_t classes = rng_below(rng, 3) == 0 ? one | some : one;

	return kind == PARTITION_ALL || rng_below(rng, 5) == 0 ? classes : 0;
}

static enum partition_kind
draw_kind(struct sim *sim)
{
	enum partition_kind kind = (enum partition_kind)rng_below(
	    sim_nemesis_rng(sim), PARTITION_KINDS_COUNT);

	/* Of three, all see all. */
	if (kind == PARTITION_RING && sim->config.hosts_count < 4)
		return PARTITION_ALL;
	return kind;
}

static void
draw_partition(struct sim *sim)
{
	struct sim_nemesis *nemesis = sim->nemesis;
	raft_id leader = sim_nemesis_leader(sim);

	nemesis->partition = draw_kind(sim);
	nemesis->partition_random = rng_next(sim_nemesis_rng(sim));
	nemesis->partition_node = sim_nemesis_choose(sim)->id;
	nemesis->partition_flaps = rng_below(sim_nemesis_rng(sim), 4) == 0 &&
				   nemesis->partition != PARTITION_SWIZZLE;
	nemesis->partition_until = sim->now + sim_nemesis_timeouts(sim, 2, 80);
	nemesis->partition_classes = draw_classes(sim, nemesis->partition);
	if (nemesis->partition == PARTITION_SWIZZLE)
		draw_swizzle(sim);
	if (nemesis->partition == PARTITION_LEADER && leader != 0)
		nemesis->partition_node = leader;
	/* The leader sees one other node, which sees all. */
	if (nemesis->partition == PARTITION_BRIDGE && leader != 0) {
		nemesis->partition_random = UINT64_C(1) << leader;
		nemesis->partition_node = leader % sim->config.hosts_count + 1;
	}
}

/* Not the leader, who hears and is heard by all the others. */
static bool
draw_bother(struct sim *sim)
{
	struct sim_nemesis *nemesis = sim->nemesis;
	raft_id leader = sim_nemesis_leader(sim);

	if (leader == 0)
		return false;
	nemesis->partition = rng_below(sim_nemesis_rng(sim), 3) == 0
				 ? PARTITION_NODE
				 : PARTITION_ONE_WAY;
	nemesis->partition_node = (leader + rng_between(sim_nemesis_rng(sim), 0,
						sim->config.hosts_count - 2)) %
				      sim->config.hosts_count +
				  1;
	sim->counters.bothers++;
	return true;
}

static void
count_partition(struct sim *sim)
{
	const struct sim_nemesis *nemesis = sim->nemesis;
	struct sim_counters *counters = &sim->counters;

	counters->partitions++;
	counters->leaders_isolated +=
	    nemesis->partition == PARTITION_LEADER &&
	    sim_nemesis_leader(sim) == nemesis->partition_node;
	counters->partitions_one_way += nemesis->partition == PARTITION_ONE_WAY;
	counters->partitions_bridge += nemesis->partition == PARTITION_BRIDGE;
	counters->partitions_ring += nemesis->partition == PARTITION_RING;
	counters->partitions_swizzle += nemesis->partition == PARTITION_SWIZZLE;
	counters->partitions_of_some += nemesis->partition_classes != 0;
	counters->partitions_flapping += nemesis->partition_flaps;
}

void
sim_partition_strike(struct sim *sim)
{
	struct sim_nemesis *nemesis = sim->nemesis;

	if (sim->now < nemesis->partition_until)
		return;
	draw_partition(sim);
	if (sim->config.bothered && !draw_bother(sim))
		return;
	count_partition(sim);
	set_partition(sim, true);
	if (nemesis->partition == PARTITION_LEADER &&
	    sim->config.fault_mean[SIM_FAULT_REFUSAL] != 0)
		spread_rumour(sim, nemesis->partition_node, true);
	plan_change(sim);
	plan_bridge_crash(sim);
}

static void
begin(struct sim *sim, enum partition_kind kind, raft_id node, raft_usec until)
{
	struct sim_nemesis *nemesis = sim->nemesis;

	nemesis->partition = kind;
	nemesis->partition_random = rng_next(sim_nemesis_rng(sim));
	nemesis->partition_node = node;
	nemesis->partition_flaps = false;
	nemesis->partition_classes = 0;
	nemesis->partition_until = until;
	sim->counters.partitions++;
	set_partition(sim, true);
	plan_change(sim);
}

void
sim_nemesis_isolate(struct sim *sim, raft_id node, raft_usec until)
{
	begin(sim, PARTITION_NODE, node, until);
}

void
sim_nemesis_divide(struct sim *sim, raft_usec until)
{
	begin(sim, PARTITION_HALVES, 0, until);
}

void
sim_partition_divert(struct sim *sim, raft_id sender, raft_id receiver)
{
	sim->counters.snapshot_receivers_diverted++;
	begin(sim, PARTITION_BRIDGE, receiver,
	    sim->now + sim_nemesis_timeouts(sim, 10, 40));
	sim->nemesis->partition_random = UINT64_C(1) << sender;
	set_partition(sim, true);
}

void
sim_partition_relieve(struct sim *sim)
{
	struct sim_nemesis *nemesis = sim->nemesis;

	if (sim->now >= nemesis->partition_until) {
		set_partition(sim, false);
		return;
	}
	set_partition(sim,
	    nemesis->partition == PARTITION_SWIZZLE || !nemesis->partition_up);
	plan_change(sim);
}
