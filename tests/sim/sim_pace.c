#include "tests/sim/sim_pace.h"

#include "common/mem.h"
#include <inttypes.h>
#include <stdio.h>

#define MILLION INT64_C(1000000)
/* Clocks that change their rate round each time. */
#define ROUNDING (1000 * MILLION)

/* ---- Pace ---- */

void
sim_pace_lapse(struct sim *sim, const struct sim_lapse *lapse)
{
	sim->lapses = mem_realloc(
	    sim->lapses, sim->lapses_count + 1, sizeof(*sim->lapses));
	sim->lapses[sim->lapses_count++] = *lapse;
}

/* By how much the fastest clock was ahead of its rate, by all jumps. */
static int64_t
jumped_until(const struct sim *sim, raft_usec at)
{
	int64_t sum = 0;

	for (size_t i = 0; i < sim->lapses_count; i++)
		sum += sim->lapses[i].at <= at ? (int64_t)sim->lapses[i].jumped
					       : 0;
	return sum;
}

/* For how long some clock stood still; the lapses are there in order. */
static int64_t
stood_until(const struct sim *sim, raft_usec at)
{
	raft_usec until = 0;
	raft_usec sum = 0;

	for (size_t i = 0; i < sim->lapses_count; i++) {
		const struct sim_lapse *lapse = &sim->lapses[i];
		raft_usec from = MAX(lapse->at, until);
		raft_usec to = MIN(lapse->at + lapse->stood, at);

		if (to <= from)
			continue;
		sum += to - from;
		until = to;
	}
	return (int64_t)sum;
}

/* Both times in millionths of microseconds, the true one by such a clock. */
static int64_t
ahead(const struct sim_stamp *stamp, raft_usec at, int64_t rate_ppm)
{
	return (int64_t)stamp->time_us * MILLION -
	       (int64_t)at * (MILLION + rate_ppm);
}

static int64_t
ahead_of_fastest(
    const struct sim *sim, const struct sim_stamp *stamp, raft_usec at)
{
	return ahead(stamp, at, sim->config.drift_ppm) -
	       jumped_until(sim, at) * MILLION;
}

static int64_t
ahead_of_slowest(
    const struct sim *sim, const struct sim_stamp *stamp, raft_usec at)
{
	int64_t drift = -(int64_t)sim->config.drift_ppm;

	return ahead(stamp, at, drift) +
	       stood_until(sim, at) * (MILLION + drift);
}

static void
check_early(
    struct sim *sim, struct sim_pace *pace, const struct sim_stamp *stamp)
{
	if (pace->known && ahead_of_fastest(sim, stamp, stamp->seen_at) >
			       pace->early + ROUNDING)
		sim_fail(sim,
		    "cluster time %" PRIu64 " of entry %" PRIu64
		    " is there too early",
		    stamp->time_us, stamp->index);
	if (stamp->called_at == 0)
		return;
	if (!pace->known ||
	    ahead_of_fastest(sim, stamp, stamp->called_at) < pace->early)
		pace->early = ahead_of_fastest(sim, stamp, stamp->called_at);
	pace->known = true;
}

static void
check_late(
    struct sim *sim, struct sim_pace *pace, const struct sim_stamp *stamp)
{
	bool same = pace->term == stamp->term;

	if (same && stamp->called_at != 0) {
		sim->counters.stamps_checked++;
		if (ahead_of_slowest(sim, stamp, stamp->called_at) <
		    pace->late - ROUNDING)
			sim_fail(sim,
			    "cluster time %" PRIu64 " of entry %" PRIu64
			    " is there too late",
			    stamp->time_us, stamp->index);
	}
	if (!same || ahead_of_slowest(sim, stamp, stamp->seen_at) > pace->late)
		pace->late = ahead_of_slowest(sim, stamp, stamp->seen_at);
	pace->term = stamp->term;
}

/* ---- What ends ---- */

static void
check_ends(struct sim *sim, const struct kv_model *model,
    const struct sim_stamp *stamp)
{
	const struct kv_model_state *state = &model->state;
	bool expires = model->command.kind == KV_COMMAND_EXPIRE;
	bool one = false;

	if (!model->result.result.changed || model->result.result.replayed)
		return;
	for (size_t i = state->events_count; i > 0; i--) {
		const struct kv_event *event = &state->events[i - 1];

		if (event->revision != state->revision)
			break;
		one = true;
		sim->counters.keys_expired += event->type == KV_EVENT_EXPIRE;
		sim->counters.leases_expired +=
		    event->type == KV_EVENT_EXPIRE &&
		    event->previous.lease != 0;
		if (expires != (event->type == KV_EVENT_EXPIRE))
			sim_fail(sim, "entry %" PRIu64 " %s a key",
			    stamp->index, expires ? "deletes" : "expires");
		if (event->previous.deadline_us > stamp->time_us && expires)
			sim_fail(sim,
			    "entry %" PRIu64 " ends a key before its time",
			    stamp->index);
	}
	sim->counters.expiries += expires && one;
}

/* ---- Locks ---- */

static void
check_lock(struct sim *sim, struct sim_pace *pace, const struct kv_model *model,
    unsigned number)
{
	const struct kv_model_lease *holder = NULL;
	char name[16];

	snprintf(name, sizeof(name), "lock-%u", number);
	for (size_t i = 0; i < model->state.leases_count; i++) {
		const struct kv_model_lease *lease = &model->state.leases[i];

		if (lease->fence == 0 ||
		    !slice_equal(lease->lock, slice_from_text(name)))
			continue;
		if (holder != NULL)
			sim_fail(sim, "two hold %s", name);
		holder = lease;
	}
	if (holder == NULL) {
		pace->tokens[number] = 0;
		return;
	}
	if (holder->id == pace->tokens[number])
		return;
	sim->counters.locks_handed_over += pace->tokens[number] != 0;
	if (holder->fence <= pace->fences[number])
		sim_fail(sim, "the fence of %s does not grow", name);
	pace->tokens[number] = holder->id;
	pace->fences[number] = holder->fence;
}

void
sim_pace_check(struct sim *sim, struct sim_pace *pace,
    const struct kv_model *model, const struct sim_stamp *stamp)
{
	if (stamp->time_us < pace->time_us)
		sim_fail(sim,
		    "the stamp of entry %" PRIu64 " is below that before",
		    stamp->index);
	check_early(sim, pace, stamp);
	check_late(sim, pace, stamp);
	check_ends(sim, model, stamp);
	for (unsigned i = 1; i < SIM_PACE_LOCKS; i++)
		check_lock(sim, pace, model, i);
	pace->time_us = stamp->time_us;
	sim->counters.marks += model->command.kind == KV_COMMAND_MARK;
	sim->counters.compactions += model->command.kind == KV_COMMAND_COMPACT;
}
