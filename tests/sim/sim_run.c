#include "tests/sim/sim.h"

#include "common/panic.h"
#include "tests/sim/sim_check.h"
#include "tests/sim/sim_nemesis.h"
#include "tests/sim/sim_net.h"
#include "tests/sim/sim_recover.h"
#include "tests/sim/sim_replay.h"
#include "tests/sim/sim_rest.h"
#include "tests/sim/sim_watcher.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* A healthy cluster agrees within so many election timeouts, or hangs. */
#define HEALING_TIMEOUTS_MAX 200
/* And within so many terms, or they chase each other. Of twenty campaigns about
 * one runs into another, which costs two terms: a few times in 20,000 runs that
 * comes three times in a row. More often it may not: sim_campaign.c. */
#define HEALING_TERMS_MAX   7
#define HEALING_TERMS_USUAL 3
/* No run has so many a second; a cluster that does is caught in a loop. */
#define EVENTS_PER_SECOND_MAX 200000
/* A run with fewer operations done says little. */
#define OPERATIONS_MIN 20

/* ---- Helpers of all parts ---- */

void
sim_fail(struct sim *sim, const char *format, ...)
{
	va_list arguments;

	if (sim->failed)
		return;
	sim->failed = true;
	va_start(arguments, format);
	(void)vsnprintf(sim->failure, sizeof(sim->failure), format, arguments);
	va_end(arguments);
	sim_trace(sim, 0, "FAILED: %s", sim->failure);
}

void
sim_trace(const struct sim *sim, raft_id node, const char *format, ...)
{
	va_list arguments;

	if (!sim->trace)
		return;
	printf("%10.6f ", (double)sim->now / 1e6);
	if (node == 0)
		printf("-- ");
	else
		printf("n%" PRIu64 " ", node);
	va_start(arguments, format);
	(void)vprintf(format, arguments);
	va_end(arguments);
	printf("\n");
}

void
sim_mix(struct sim *sim, uint64_t value)
{
	sim->hash = (sim->hash ^ value) * UINT64_C(0x9fb21c651e98df25);
	sim->hash ^= sim->hash >> 32;
}

void
sim_schedule(struct sim *sim, raft_usec at, enum sim_event_kind kind,
    raft_id node, uint64_t number, void *object)
{
	const struct sim_event event = {
		.at = MAX(at, sim->now),
		.kind = kind,
		.node = node,
		.number = number,
		.object = object,
	};

	sim_heap_push(&sim->heap, &event);
}

/*
 * -ln(u) x mean for a uniform u, with log2 read off the leading zeros and
 * drawn as straight lines between powers of two: whole numbers only, so that
 * all machines draw alike.
 */
raft_usec
sim_exponential(struct rng *rng, raft_usec mean)
{
	uint64_t random = rng_next(rng) | 1;
	unsigned zeros = (unsigned)__builtin_clzll(random);
	uint64_t rest = (random << zeros << 1) >> 48; /* of 65,536 */
	uint64_t log2 = (uint64_t)(zeros + 1) * 65536 - rest;

	return MIN(mean * log2 / 94548, 8 * mean); /* 65,536 / ln 2 */
}

bool
sim_chance(struct rng *rng, uint32_t ppm)
{
	return ppm != 0 && rng_below(rng, 1000000) < ppm;
}

/* ---- Phases ---- */

static void
plan_phase(struct sim *sim, raft_usec at)
{
	sim_schedule(sim, at, SIM_EVENT_PHASE, 0, 0, NULL);
}

static raft_term
newest_term(struct sim *sim)
{
	raft_term term = 0;

	for (raft_id id = 1; id <= sim->config.hosts_count; id++) {
		const struct sim_watch *watch = &sim->checks->watches[id];

		term = MAX(term, MAX(watch->term, watch->life_term));
	}
	return term;
}

static void
begin_healing(struct sim *sim)
{
	sim_trace(sim, 0, "healing");
	sim->phase = SIM_HEAL;
	sim->healed_at = sim->now;
	sim->healed_term = newest_term(sim);
	sim_nemesis_heal(sim);
}

static void
judge_healing(struct sim *sim)
{
	raft_term terms = newest_term(sim) - sim->healed_term;

	sim->counters.healing_ms += (sim->now - sim->healed_at) / 1000;
	sim->counters.healing_terms += terms;
	sim->counters.healings_slow += terms > HEALING_TERMS_USUAL;
	if (terms > HEALING_TERMS_MAX)
		sim_fail(sim,
		    "healing took the term from %" PRIu64 " to %" PRIu64,
		    sim->healed_term, newest_term(sim));
}

static void
look_whether_healed(struct sim *sim)
{
	raft_usec timeout = sim->config.raft.election_timeout;
	raft_id leader;

	if (sim_clients_idle(sim) && sim_check_converged(sim, &leader)) {
		sim_trace(sim, 0, "healed");
		judge_healing(sim);
		sim->phase = SIM_FINAL;
		sim_clients_begin_final(sim, leader);
		return;
	}
	if (sim->now - sim->healed_at >
	    sim->config.patience + HEALING_TIMEOUTS_MAX * timeout)
		sim_fail(sim,
		    "the cluster does not recover within %d election timeouts",
		    HEALING_TIMEOUTS_MAX);
}

/* Without faults the first leader stays, and nobody is disappointed. */
static void
check_calm(struct sim *sim)
{
	const struct sim_counters *counters = &sim->counters;

	if (!sim->config.calm)
		return;
	if (counters->leaders != 1)
		sim_fail(sim, "%" PRIu64 " leaders, though nothing went wrong",
		    counters->leaders);
	if (!sim->config.bothered &&
	    counters->answers_lost + counters->reads_unconfirmed != 0)
		sim_fail(sim, "operations failed, though nothing went wrong");
}

/* Nobody who watches is left behind. */
static bool
watchers_have_all(struct sim *sim, raft_id leader)
{
	struct kv *kv = node_kv(sim_node_get(sim, leader)->node);

	if (sim_watchers_are_at(sim, kv_revision(kv)))
		return true;
	if (sim->now - sim->healed_at >
	    sim->config.patience +
		2 * HEALING_TIMEOUTS_MAX * sim->config.raft.election_timeout)
		sim_fail(sim, "a watcher does not come to the end");
	return false;
}

static void
look_whether_done(struct sim *sim)
{
	raft_id leader;

	if (!sim->clients->final_done || !sim_check_converged(sim, &leader))
		return;
	if (!watchers_have_all(sim, leader))
		return;
	check_calm(sim);
	sim_rest_begin(sim);
}

static void
look_whether_rested(struct sim *sim)
{
	raft_id leader;

	sim_rest_look(sim);
	if (!sim->rest.over || !sim_check_converged(sim, &leader))
		return;
	sim_check_contents(sim);
	if (sim_recover_begin(sim, leader))
		return;
	sim->phase = SIM_DONE;
}

static void
look_whether_regrown(struct sim *sim)
{
	/* One joins after the other, each by a snapshot. */
	raft_usec patience = sim->config.hosts_count * sim->config.patience;

	sim_recover_step(sim);
	if (sim->phase == SIM_REGROW &&
	    sim->now - sim->healed_at >
		patience +
		    HEALING_TIMEOUTS_MAX * sim->config.raft.election_timeout)
		sim_fail(sim, "the cluster does not grow again");
}

static void
look_at_phase(struct sim *sim)
{
	switch (sim->phase) {
	case SIM_FAULTS: begin_healing(sim); break;
	case SIM_HEAL: look_whether_healed(sim); break;
	case SIM_FINAL: look_whether_done(sim); break;
	case SIM_REST: look_whether_rested(sim); break;
	case SIM_REGROW: look_whether_regrown(sim); break;
	case SIM_DONE: break;
	}
	plan_phase(sim, sim->now + sim->config.raft.election_timeout / 4);
}

/* ---- Events ---- */

/* Takes `event` and what it carries. */
static void
handle(struct sim *sim, const struct sim_event *event)
{
	switch (event->kind) {
	case SIM_EVENT_WAKE: sim_node_wake(sim, event); break;
	case SIM_EVENT_RESTART: sim_node_restart(sim, event); break;
	case SIM_EVENT_PACKET: sim_net_arrive(sim, event); break;
	case SIM_EVENT_DIAL:
	case SIM_EVENT_PIECE_LOST:
	case SIM_EVENT_OPERATE:
		if (sim_node_get(sim, event->node)->node != NULL)
			sim_node_post(sim, event);
		break;
	case SIM_EVENT_CALL: sim_client_arrive(sim, event); break;
	case SIM_EVENT_CLIENT: sim_client_begin(sim, event); break;
	case SIM_EVENT_REPLY: sim_client_reply(sim, event); break;
	case SIM_EVENT_DEADLINE: sim_client_deadline(sim, event); break;
	case SIM_EVENT_WATCHER: sim_watcher_connect(sim, event); break;
	case SIM_EVENT_WATCH: sim_watcher_arrive(sim, event); break;
	case SIM_EVENT_TOLD: sim_watcher_told(sim, event); break;
	case SIM_EVENT_NEMESIS: sim_nemesis_strike(sim, event); break;
	case SIM_EVENT_RELIEF: sim_nemesis_relieve(sim, event); break;
	case SIM_EVENT_PHASE: look_at_phase(sim); break;
	case SIM_EVENT_CANCEL: /* goes straight to an inbox */
	case SIM_EVENT_KINDS_COUNT: ASSERT(!"no such event in the heap");
	}
}

/* What is looked for has happened. */
static void
look_for_planted(struct sim *sim)
{
	unsigned number = sim->config.options.fail_if;

	if (number != 0 && sim_counters_get(&sim->counters, number - 1) != 0)
		sim_fail(sim, "there are %s", sim_counters_name(number - 1));
}

static void
run_events(struct sim *sim)
{
	uint64_t events_max =
	    (sim->config.duration / 1000000 + 10) * EVENTS_PER_SECOND_MAX;
	struct sim_event event;

	while (!sim->failed && sim->phase != SIM_DONE &&
	       sim_heap_pop(&sim->heap, &event)) {
		sim->now = event.at;
		sim_mix(sim, event.at ^ (uint64_t)event.kind << 56 ^
				 event.node << 48 ^ event.number << 32);
		handle(sim, &event);
		if (++sim->counters.events > events_max)
			sim_fail(
			    sim, "no end after %" PRIu64 " events", events_max);
		look_for_planted(sim);
	}
	sim->counters.simulated_ms = sim->now / 1000;
}

/* ---- One run ---- */

static void
setup(struct sim *sim, uint64_t seed, const struct sim_options *options)
{
	struct rng rng;

	sim_config_draw(&sim->config, seed, options);
	sim->trace = options->trace;
	sim->messages = options->messages;
	sim->defect = options->defect;
	rng_init(&rng, ~seed);
	for (unsigned i = 0; i < SIM_RNG_COUNT; i++)
		rng_init(&sim->rng[i], rng_next(&rng));
	sim_net_init(sim);
	sim_checks_init(sim);
	sim_nodes_init(sim);
	sim_clients_init(sim);
	sim_watchers_init(sim);
	sim_nemesis_init(sim);
	plan_phase(sim, sim->config.duration);
}

static void
teardown(struct sim *sim)
{
	struct sim_event event;

	while (sim_heap_pop(&sim->heap, &event))
		sim_net_drop(&event);
	sim_heap_release(&sim->heap);
	sim_nodes_release(sim);
	sim_net_release(sim);
	sim_clients_release(sim);
	sim_watchers_release(sim);
	sim_nemesis_release(sim);
	sim_checks_release(sim);
	free(sim->lapses);
}

/* What a profile is there for. */
static bool
shows_profile(enum sim_profile profile, const struct sim_counters *counters)
{
	switch (profile) {
	case SIM_PROFILE_CHURN:
		return counters->changes_done + counters->transfers_done > 0;
	case SIM_PROFILE_SNAPSHOT: return counters->snapshots_installed > 0;
	case SIM_PROFILE_DISK:
		return counters->crashes_in_log_commit +
			   counters->crashes_in_checkpoint +
			   counters->crashes_at_boot + counters->damages >
		       0;
	case SIM_PROFILE_NET: return counters->packets_cut_off > 0;
	case SIM_PROFILE_CLOCK:
		return counters->clock_changes > 0 && counters->pauses > 0;
	case SIM_PROFILE_MIX:
	case SIM_PROFILES_COUNT: break;
	}
	return true;
}

static const char *
find_vacuous(const struct sim *sim, uint64_t done)
{
	const struct sim_counters *counters = &sim->counters;
	bool has_faults = false;

	for (unsigned i = 0; i < SIM_FAULTS_COUNT; i++)
		has_faults = has_faults || sim->config.fault_mean[i] != 0;
	if (done < OPERATIONS_MIN)
		return "hardly any operation succeeded";
	if (has_faults && counters->strikes_under_traffic == 0)
		return "no fault came while an operation was under way";
	if (has_faults && !sim->config.calm &&
	    !shows_profile(sim->config.options.profile, counters))
		return "what the profile is about did not happen";
	return NULL;
}

static void
report(const struct sim *sim, struct sim_result *ret_result)
{
	const struct sim_counters *counters = &sim->counters;
	uint64_t done = counters->writes_done + counters->reads_by_round +
			counters->reads_by_lease + counters->reads_on_followers;
	char config[256];

	ret_result->failed = sim->failed;
	ret_result->vacuous = find_vacuous(sim, done);
	ret_result->hash = sim->hash;
	ret_result->counters = *counters;
	memcpy(ret_result->failure, sim->failure, sizeof(sim->failure));
	sim_config_print(&sim->config, config, sizeof(config));
	snprintf(ret_result->line, sizeof(ret_result->line),
	    "seed %" PRIu64 ": %s events=%" PRIu64 " done=%" PRIu64
	    " failed=%" PRIu64 " unknown=%" PRIu64 " elections=%" PRIu64
	    " hash=%016" PRIx64,
	    sim->config.seed, config, counters->events, done,
	    counters->answers_not_leader + counters->answers_busy +
		counters->answers_lost + counters->answers_refused +
		counters->reads_unconfirmed,
	    counters->answers_unknown, counters->elections, sim->hash);
}

void
sim_run(uint64_t seed, const struct sim_options *options,
    struct sim_result *ret_result)
{
	struct sim sim = { 0 };

	setup(&sim, seed, options);
	run_events(&sim);
	if (!sim.failed)
		sim_replay_check(&sim);
	report(&sim, ret_result);
	teardown(&sim);
}
