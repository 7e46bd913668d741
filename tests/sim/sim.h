#ifndef TESTS_SIM_H
#define TESTS_SIM_H

/*
 * The deterministic simulator: whole clusters of the production replica (core,
 * node with its turn, state machine, store seam) in one process, on a virtual
 * clock, a seeded network and disks in memory. The seed decides everything, so
 * that a run is repeated by repeating its seed.
 *
 * sim.h           one run: its parts, its end, its trace
 * sim_config      what the seed draws: sizes, times, which faults exist
 * sim_heap        events in the order of their time
 * sim_net         links between nodes: delays, loss, partitions
 * sim_connection  the connections over them
 * sim_message     what the nodes send over these
 * sim_media       as what: structs, or bytes
 * sim_pieces      and the snapshots
 * sim_node        a replica's process: clock, turns, crashes
 * sim_host        what it asks of its host
 * sim_disk        the disks of a node
 * sim_files       as files
 * sim_client      clients and the history of what they saw
 * sim_serve       their operations at a node
 * sim_command     what they ask for, beyond puts and deletes
 * sim_query       lists, of a node and of the model
 * sim_watcher     clients that watch
 * sim_nemesis     faults
 * sim_partition   those that cut links
 * sim_damage      damage to disks, and who is whole again
 * sim_copy        old copies of disks
 * sim_swap        disks of another node, or of another cluster
 * sim_recover     one member is left, and a new cluster grows from it
 * sim_quirks      rare paths, made common
 * sim_moment      faults at the worst of moments
 * sim_operator    changes of the members and of the leadership
 * sim_check       invariants after each event: of nodes, logs, commits, members
 *                 and leaders
 * sim_image       what the durable image of a log holds
 * sim_replay      the history against the committed log
 * sim_pace        cluster time, expiry and locks, by the committed log
 * sim_order       and against real time: linearizability
 * sim_rest        the end of a run, in which all that may ends
 * sim_run         phases of one run
 * sim_process     one run in a process of its own
 * sim_campaign    many seeds, in processes
 * sim_shrink      a failing seed, made small
 * sim_regressions seeds that failed once
 * sim_arguments   the command line
 */

#include "common/buf.h"
#include "common/macros.h"
#include "common/rng.h"
#include "tests/sim/sim_config.h"
#include "tests/sim/sim_counters.h"
#include "tests/sim/sim_heap.h"

/* One generator for each purpose: a fault less does not shuffle the rest. */
enum sim_purpose {
	SIM_RNG_NETWORK,
	SIM_RNG_DISK,
	SIM_RNG_CLIENT,
	SIM_RNG_WATCHER,
	SIM_RNG_NEMESIS,
	SIM_RNG_NODE,
	SIM_RNG_MEDIA,
	SIM_RNG_QUIRK,
	SIM_RNG_FILES,
	SIM_RNG_COUNT
};

enum sim_phase {
	SIM_FAULTS, /* with a warm-up before the first of them */
	SIM_HEAL,   /* nothing is broken any more; clients finish */
	SIM_FINAL,  /* all agree; a last write and reads of all keys */
	SIM_REST,   /* nobody asks for anything; see sim_rest.h */
	SIM_REGROW, /* from one member; then SIM_FINAL once more */
	SIM_DONE
};

struct sim_net;
struct sim_streams;
struct sim_node;
struct sim_clients;
struct sim_watchers;
struct sim_nemesis;
struct sim_checks;
struct sim_lapse;

/* See sim_rest.h. */
struct sim_rest {
	raft_usec began_at;
	uint64_t time_us;   /* cluster time then ... */
	raft_usec seen_at;  /* ... of the entry that came then */
	raft_usec crash_at; /* 0: no crash, or it happened: */
	raft_usec crashed_at;
	raft_usec led_at; /* there is a leader again */
	bool over;
};

struct sim {
	struct sim_config config;
	struct rng rng[SIM_RNG_COUNT];
	raft_usec now;
	enum sim_phase phase;
	raft_usec healed_at;
	raft_term healed_term; /* the newest there was then */
	struct sim_rest rest;
	/* See sim_recover.h. */
	bool recovered;
	bool renewed;
	unsigned grow_until; /* members */
	struct sim_heap heap;
	struct sim_node *nodes; /* config.hosts_count of them */
	struct sim_net *net;
	enum sim_messages messages;
	struct sim_streams *streams; /* NULL: they are structs */
	const char *defect;
	struct sim_clients *clients;
	struct sim_watchers *watchers;
	struct sim_nemesis *nemesis;
	struct sim_checks *checks;
	struct sim_lapse *lapses; /* see sim_pace.h */
	size_t lapses_count;
	struct sim_counters counters;
	uint64_t hash; /* of all events so far */
	bool trace;
	bool failed;
	char failure[1024]; /* the first */
};

/* Notes that this run failed, if it is the first time, and why. */
ATTR_PRINTF(2, 3) void sim_fail(struct sim *sim, const char *format, ...);

/* One line of the trace; node 0: of none. */
ATTR_PRINTF(3, 4)
void sim_trace(const struct sim *sim, raft_id node, const char *format, ...);

void sim_mix(struct sim *sim, uint64_t value);

/* `kind` happens for `node` at `at`, or now if that has passed. */
void sim_schedule(struct sim *sim, raft_usec at, enum sim_event_kind kind,
    raft_id node, uint64_t number, void *object);

/* Exponentially distributed around `mean`, at most 20 times that. */
raft_usec sim_exponential(struct rng *rng, raft_usec mean);
/* True `ppm` times in a million. */
bool sim_chance(struct rng *rng, uint32_t ppm);

/* ---- sim_run.c ---- */

struct sim_result {
	bool failed;
	const char *vacuous; /* why the run showed nothing; NULL: it did */
	char failure[1024];
	char line[512]; /* the run in one line */
	uint64_t hash;
	struct sim_counters counters;
};

void sim_run(uint64_t seed, const struct sim_options *options,
    struct sim_result *ret_result);

#endif
