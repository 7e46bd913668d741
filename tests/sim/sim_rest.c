#include "tests/sim/sim_rest.h"

#include "tests/sim/sim_check.h"
#include "tests/sim/sim_command.h"
#include "tests/sim/sim_watcher.h"
#include <inttypes.h>

/* As of the node: it marks the time that often while anything has a deadline. */
#define MARK_INTERVAL UINT64_C(5000000)
/* A deadline that is there is acted on, and committed, in so many election
 * timeouts. */
#define TIMEOUTS_MAX 8

/* The stamp of the last command that is committed, and when it was seen. */
static void
last_stamp(struct sim *sim, uint64_t *ret_us, raft_usec *ret_seen_at)
{
	struct sim_log *log = &sim->checks->committed;

	*ret_us = 0;
	*ret_seen_at = 0;
	for (raft_index i = log->last_index; i > 0; i--) {
		const struct sim_entry *entry = sim_log_at(log, i);
		struct node_record record;

		if (entry->type != RAFT_ENTRY_COMMAND ||
		    !sim_check_record(
			sim, i, entry->term, &record, ret_seen_at))
			continue;
		*ret_us = record.time_us;
		return;
	}
}

void
sim_rest_begin(struct sim *sim)
{
	struct rng *rng = &sim->rng[SIM_RNG_NEMESIS];
	struct sim_rest *rest = &sim->rest;

	sim_trace(sim, 0, "rest");
	sim->phase = SIM_REST;
	*rest = (struct sim_rest){ .began_at = sim->now };
	last_stamp(sim, &rest->time_us, &rest->seen_at);
	if (rng_below(rng, 2) == 0)
		rest->crash_at = sim->now + rng_below(rng, SIM_TTL_MAX);
}

static void
crash(struct sim *sim, struct sim_node *leader)
{
	struct sim_rest *rest = &sim->rest;

	rest->crash_at = 0;
	rest->crashed_at = sim->now;
	sim->counters.rests_disturbed++;
	sim_node_crash(sim, leader, true, sim->config.raft.election_timeout);
}

static bool
has_leader(struct sim *sim)
{
	for (raft_id id = 1; id <= sim->config.hosts_count; id++) {
		const struct sim_node *node = sim_node_get(sim, id);

		if (node->node != NULL && node_is_leader(node->node))
			return true;
	}
	return false;
}

/* How much less passed for the cluster than in truth? Clocks are right. */
static void
check_pace(struct sim *sim)
{
	const struct sim_rest *rest = &sim->rest;
	/* An entry may be seen on a disk some time after it was stamped. */
	uint64_t lost_max = sim->config.raft.election_timeout;
	raft_usec seen_at;
	uint64_t time_us;
	uint64_t lost;

	last_stamp(sim, &time_us, &seen_at);
	if (rest->crashed_at != 0)
		lost_max += MARK_INTERVAL + rest->led_at - rest->crashed_at +
			    2 * sim->config.raft.election_timeout;
	lost = seen_at - rest->seen_at -
	       MIN(time_us - rest->time_us, seen_at - rest->seen_at);
	if (time_us < rest->time_us || lost > lost_max)
		sim_fail(sim,
		    "cluster time went from %" PRIu64 " to %" PRIu64
		    " in %" PRIu64 " us: it may lose %" PRIu64,
		    rest->time_us, time_us, seen_at - rest->seen_at, lost_max);
}

/* Nothing is there whose time is over by more than it takes to end it. */
static void
check_deadline(struct sim *sim, uint64_t us)
{
	raft_usec slack = TIMEOUTS_MAX * sim->config.raft.election_timeout;
	raft_usec seen_at;
	uint64_t now_us;

	last_stamp(sim, &now_us, &seen_at);
	now_us += sim->now - seen_at;
	if (sim->rest.crashed_at == 0 && us + slack < now_us)
		sim_fail(sim,
		    "what should have ended at %" PRIu64 " is there at %" PRIu64
		    " of cluster time",
		    us, now_us);
	/* Who waits for a lock may wait for a TTL, and then hold it for one. */
	if (sim->now - sim->rest.began_at >
	    3 * SIM_TTL_MAX + MARK_INTERVAL + 20 * slack)
		sim_fail(sim, "what has a deadline does not end");
}

void
sim_rest_look(struct sim *sim)
{
	struct sim_rest *rest = &sim->rest;
	struct sim_node *leader;
	raft_id id;
	uint64_t us;
	struct kv *kv;

	if (rest->crashed_at != 0 && rest->led_at == 0 && has_leader(sim))
		rest->led_at = sim->now;
	if (!sim_check_converged(sim, &id))
		return;
	leader = sim_node_get(sim, id);
	kv = node_kv(leader->node);
	if (kv_first_deadline(kv, &us) == 0) {
		if (rest->crash_at != 0 && sim->now >= rest->crash_at)
			crash(sim, leader);
		else
			check_deadline(sim, us);
		return;
	}
	if (!sim_watchers_are_at(sim, kv_revision(kv)))
		return;
	check_pace(sim);
	rest->over = true;
}
