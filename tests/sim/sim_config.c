#include "tests/sim/sim_config.h"

#include "common/rng.h"
#include "kv/kv.h"
#include "node/node_record.h"
#include <inttypes.h>
#include <stdio.h>

#define MS UINT64_C(1000)

const char *const sim_part_names[SIM_PARTS_COUNT] = {
	[SIM_FAULT_CRASH] = "crash",
	[SIM_FAULT_POWER_CUT] = "power",
	[SIM_FAULT_DISK_ERROR] = "disk",
	[SIM_FAULT_DAMAGE] = "damage",
	[SIM_FAULT_COPY] = "copy",
	[SIM_FAULT_WIPE] = "wipe",
	[SIM_FAULT_PARTITION] = "cut",
	[SIM_FAULT_LOSS] = "loss",
	[SIM_FAULT_DELAY] = "delay",
	[SIM_FAULT_RESET] = "reset",
	[SIM_FAULT_REPLAY] = "replay",
	[SIM_FAULT_PAUSE] = "pause",
	[SIM_FAULT_STALL] = "stall",
	[SIM_FAULT_SLOW] = "slow",
	[SIM_FAULT_CLOCK] = "clock",
	[SIM_FAULT_REFUSAL] = "refusal",
	[SIM_FAULT_CHANGE] = "change",
	[SIM_FAULT_TRANSFER] = "transfer",
	[SIM_FAULT_SNAPSHOT] = "snapshot",
	[SIM_FAULT_SWAP] = "swap",
	[SIM_PART_NOISE] = "noise",
	[SIM_PART_WATCHERS] = "watchers",
	[SIM_PART_QUIRKS] = "quirks",
};

/* How many in a hundred runs have a fault, and how often it strikes there:
 * once in so many election timeouts, on average. */
static const struct {
	uint32_t percent;
	uint32_t mean_low;
	uint32_t mean_high;
} fault_draws[SIM_FAULTS_COUNT] = {
	[SIM_FAULT_CRASH] = { 55, 4, 40 },
	[SIM_FAULT_POWER_CUT] = { 30, 10, 60 },
	[SIM_FAULT_DISK_ERROR] = { 45, 4, 40 },
	[SIM_FAULT_DAMAGE] = { 25, 4, 30 },
	[SIM_FAULT_COPY] = { 12, 2, 10 },
	[SIM_FAULT_WIPE] = { 15, 15, 50 },
	[SIM_FAULT_PARTITION] = { 60, 4, 30 },
	[SIM_FAULT_LOSS] = { 30, 6, 40 },
	[SIM_FAULT_DELAY] = { 30, 6, 40 },
	[SIM_FAULT_RESET] = { 35, 2, 20 },
	[SIM_FAULT_REPLAY] = { 40, 1, 2 },
	[SIM_FAULT_PAUSE] = { 40, 4, 40 },
	[SIM_FAULT_STALL] = { 35, 4, 40 },
	[SIM_FAULT_SLOW] = { 25, 8, 40 },
	[SIM_FAULT_CLOCK] = { 40, 2, 20 },
	[SIM_FAULT_REFUSAL] = { 25, 3, 30 },
	[SIM_FAULT_CHANGE] = { 40, 3, 20 },
	[SIM_FAULT_TRANSFER] = { 30, 4, 30 },
	[SIM_FAULT_SNAPSHOT] = { 30, 2, 10 },
	[SIM_FAULT_SWAP] = { 15, 6, 30 },
};

static bool
percent(struct rng *rng, unsigned chance)
{
	return rng_below(rng, 100) < chance;
}

/* Small numbers are as likely as large ones: 1 .. 2^bits - 1. */
static uint64_t
scale(struct rng *rng, unsigned bits)
{
	uint64_t top = UINT64_C(1) << rng_below(rng, bits);

	return rng_between(rng, top, 2 * top - 1);
}

/* Of which the parts of the draw have one each; the faults come behind. */
enum { PART_FAULTS = 64, PART_PROFILE_FAULTS = 128 };

static void
part_rng(struct rng *rng, uint64_t seed, unsigned part)
{
	rng_init(rng, seed * UINT64_C(0x9e3779b97f4a7c15) + part);
}

/* With an even number of voters, two memberships that differ by one voter each
 * can have quorums without a common one. */
static void
draw_size(struct sim_config *config, struct rng *rng)
{
	static const unsigned sizes[] = { 1, 2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 4,
		5, 5, 5, 5, 5, 5, 5 };
	bool even = percent(rng, 40);
	uint64_t number = rng_below(rng, ARRAY_COUNT(sizes));

	/* What the other profiles are about needs somebody else. */
	if (config->options.profile != SIM_PROFILE_MIX)
		number = MAX(number, 2);
	config->nodes_count = sizes[number];
	if (even && config->options.profile == SIM_PROFILE_CHURN)
		config->nodes_count = 4;
	if (config->options.nodes_count != 0)
		config->nodes_count = config->options.nodes_count;
}

static void
draw_raft(struct sim_config *config, struct rng *rng)
{
	struct raft_params *raft = &config->raft;
	uint32_t share = (uint32_t)rng_between(rng, 3, 8);

	raft->election_timeout = rng_between(rng, 80, 500) * MS;
	raft->heartbeat_interval = raft->election_timeout / share;
	raft->append_entries_max = (uint32_t)scale(rng, 8);
	raft->append_bytes_max = (uint32_t)scale(rng, 16);
	raft->inflight_appends_max = (uint32_t)rng_between(rng, 1, 8);
	raft->inflight_bytes_max = (uint32_t)scale(rng, 18);
	raft->inflight_rounds_max = (uint32_t)rng_between(rng, 1, 4);
	raft->entry_bytes_max = NODE_RECORD_OVERHEAD + KV_COMMAND_OVERHEAD_MAX +
				config->value_size_max;
	raft->uncommitted_bytes_max = raft->entry_bytes_max + scale(rng, 14);
	raft->pending_reads_max = (uint32_t)scale(rng, 8);
	raft->disk_stall_max = raft->election_timeout;
	raft->transfer_timeout = raft->election_timeout;
	raft->lease_reads = percent(rng, 25);
}

static void
draw_store(struct sim_config *config, struct rng *rng)
{
	config->checkpoint_bytes = scale(rng, 16);
	config->checkpoint_interval =
	    percent(rng, 30) ? 5 * MS : scale(rng, 12) * MS;
	config->cache_bytes_max = percent(rng, 50) ? scale(rng, 10) : 1 << 20;
	config->commit_min = 50 * scale(rng, 4);
	config->commit_mean = 50 * scale(rng, 5);
}

/* Few bytes, so that whoever falls back a little needs a snapshot, and many
 * pieces of it. */
static void
draw_snapshots(struct sim_config *config, struct rng *rng)
{
	bool eager = percent(rng, 60);

	config->recovers = percent(rng, 10) && !config->calm;
	config->trailing_bytes_min = scale(rng, eager ? 10 : 18);
	config->trailing_bytes_max =
	    config->trailing_bytes_min + scale(rng, eager ? 12 : 20);
	config->snapshot_piece_bytes = 64 + (uint32_t)scale(rng, 11);
	config->snapshot_rate = percent(rng, 25) ? 2000 + scale(rng, 18) : 0;
	config->snapshot_age_max =
	    rng_between(rng, 4, 20) * config->raft.election_timeout;
	config->piece_patience =
	    rng_between(rng, 1, 4) * config->raft.election_timeout / 2;
}

static void
draw_clients(struct sim_config *config, struct rng *rng)
{
	static const uint32_t value_sizes[] = { 16, 16, 100, 100, 3000 };

	config->clients_count = (unsigned)rng_between(rng, 2, SIM_CLIENTS_MAX);
	config->keys_count = (unsigned)rng_between(rng, 1, SIM_KEYS_MAX);
	config->think_mean = rng_between(rng, 10, 120) * MS;
	config->patience = rng_between(rng, 50, 3000) * MS;
	config->value_size_max =
	    value_sizes[rng_below(rng, ARRAY_COUNT(value_sizes))];
	config->get_ppm = (uint32_t)rng_between(rng, 200000, 700000);
	config->stale_ppm = (uint32_t)rng_between(rng, 0, 400000);
	config->delete_ppm = (uint32_t)rng_between(rng, 0, 400000);
	config->follow_ppm = (uint32_t)rng_between(rng, 300000, 1000000);
	config->reply_loss_ppm = percent(rng, 30) ? 20000 : 0;
	config->client_delay_mean = percent(rng, 50) ? 20 : scale(rng, 12);
}

/* So little history that whoever is slow comes too late. */
static void
draw_history(struct sim_config *config, struct rng *rng)
{
	config->list_ppm = (uint32_t)rng_between(rng, 0, 500000);
	config->command_ppm =
	    percent(rng, 85) ? (uint32_t)rng_between(rng, 100000, 900000) : 0;
	config->watchers_count = (unsigned)rng_below(rng, SIM_WATCHERS_MAX + 1);
	config->history_age_us = percent(rng, 50) ? scale(rng, 13) * MS : 0;
	config->history_bytes_max = percent(rng, 50) ? scale(rng, 14) : 0;
	config->identity_ppm = (uint32_t)rng_between(rng, 100000, 700000);
	if (config->snapshot_rate == 0)
		return;
	/* Else a snapshot takes longer than anybody waits, or a single record
	 * does: an answer kept for a list of large values. */
	config->snapshot_rate =
	    MAX(config->snapshot_rate, UINT64_C(20) * config->value_size_max);
	config->history_bytes_max = config->snapshot_rate;
	config->identity_ppm = 20000;
}

static void
draw_network(struct sim_config *config, struct rng *rng)
{
	raft_usec limit = config->raft.election_timeout / 20;

	config->calm = percent(rng, 8);
	config->gather_max = percent(rng, 50) ? 0 : scale(rng, 11);
	config->delay_min = 20 * scale(rng, 6);
	config->delay_mean = 20 * scale(rng, 9);
	config->delay_min = MIN(config->delay_min, limit);
	config->delay_mean = MIN(config->delay_mean, limit);
	config->in_order = percent(rng, 40);
	config->bound_to_sessions = percent(rng, 60);
	if (config->calm) {
		config->delay_mean = MIN(config->delay_mean, limit / 5);
		return;
	}
	if (percent(rng, 50))
		config->loss_ppm = (uint32_t)scale(rng, 16);
	if (percent(rng, 50))
		config->double_ppm = (uint32_t)scale(rng, 17);
	if (percent(rng, 30))
		config->damage_ppm = (uint32_t)scale(rng, 15);
}

/* By a generator for each, so that a new kind leaves the others as they are. */
static void
draw_faults(struct sim_config *config, struct rng *rng)
{
	raft_usec timeout = config->raft.election_timeout;

	for (unsigned i = 0; i < SIM_FAULTS_COUNT; i++) {
		struct rng own;
		bool exists;
		uint64_t mean;

		part_rng(&own, config->seed, PART_FAULTS + i);
		exists = percent(&own, fault_draws[i].percent);
		mean = rng_between(
		    &own, fault_draws[i].mean_low, fault_draws[i].mean_high);
		if (exists && !config->calm)
			config->fault_mean[i] = mean * timeout;
	}
	config->warm_up = percent(rng, 25) ? 0 : 6 * timeout;
	config->duration = 100 * timeout;
	config->duration = MAX(config->duration, 8000 * MS);
	config->duration = MIN(config->duration, 20000 * MS);
}

/* A lease is only wrong if much happens before it ends. */
static void
draw_hurry(struct sim_config *config, struct rng *rng)
{
	raft_usec timeout = config->raft.election_timeout;

	if (!config->raft.lease_reads || config->calm || percent(rng, 40))
		return;
	config->clients_count = SIM_CLIENTS_MAX;
	config->keys_count = (unsigned)rng_between(rng, 1, 2);
	config->think_mean = rng_between(rng, 5, 20) * MS;
	config->stale_ppm = 0;
	config->follow_ppm = 700000;
	config->client_delay_mean = 20;
	config->raft.heartbeat_interval = timeout / 3;
	config->fault_mean[SIM_FAULT_CRASH] = 8 * timeout;
	config->fault_mean[SIM_FAULT_PARTITION] = 4 * timeout;
	config->fault_mean[SIM_FAULT_REFUSAL] = 10 * timeout;
	config->fault_mean[SIM_FAULT_CLOCK] = 4 * timeout;
	config->duration = MIN(config->duration, 8000 * MS);
}

#define BIT(fault) (1u << SIM_FAULT_##fault)

const char *const sim_profile_names[SIM_PROFILES_COUNT] = {
	[SIM_PROFILE_MIX] = "mix",
	[SIM_PROFILE_CHURN] = "churn",
	[SIM_PROFILE_SNAPSHOT] = "snapshot",
	[SIM_PROFILE_DISK] = "disk",
	[SIM_PROFILE_NET] = "net",
	[SIM_PROFILE_CLOCK] = "clock",
};

static const struct {
	unsigned sure; /* in every run */
	unsigned never;
} profiles[SIM_PROFILES_COUNT] = {
	[SIM_PROFILE_CHURN] = { BIT(CHANGE) | BIT(TRANSFER), 0 },
	[SIM_PROFILE_SNAPSHOT] = { BIT(SNAPSHOT) | BIT(CRASH), BIT(SLOW) },
	[SIM_PROFILE_DISK] = { BIT(DISK_ERROR) | BIT(STALL) | BIT(POWER_CUT) |
				   BIT(DAMAGE),
	    BIT(DELAY) | BIT(LOSS) },
	[SIM_PROFILE_NET] = { BIT(PARTITION) | BIT(RESET) | BIT(REPLAY),
	    BIT(DISK_ERROR) | BIT(SLOW) },
	[SIM_PROFILE_CLOCK] = { BIT(CLOCK) | BIT(PAUSE) | BIT(PARTITION), 0 },
};

static void
bend_to_profile(struct sim_config *config, struct rng *rng)
{
	enum sim_profile profile = config->options.profile;
	raft_usec timeout = config->raft.election_timeout;

	for (unsigned i = 0; i < SIM_FAULTS_COUNT && !config->calm; i++) {
		struct rng own;
		uint64_t mean;

		part_rng(&own, config->seed, PART_PROFILE_FAULTS + i);
		mean = rng_between(
		    &own, fault_draws[i].mean_low, fault_draws[i].mean_high);
		if (profiles[profile].sure >> i & 1)
			config->fault_mean[i] =
			    MIN(mean * timeout, config->duration / 6);
		if (profiles[profile].never >> i & 1)
			config->fault_mean[i] = 0;
	}
	if (profile == SIM_PROFILE_CLOCK)
		config->raft.lease_reads = percent(rng, 80);
	/* Many are refused, or spoiled by another fault. */
	if (profile == SIM_PROFILE_CHURN) {
		config->fault_mean[SIM_FAULT_CHANGE] /= 2;
		config->fault_mean[SIM_FAULT_TRANSFER] /= 2;
	}
	/* Whoever has lost the state needs one, though its log is there. */
	if (profile == SIM_PROFILE_SNAPSHOT && !config->calm &&
	    percent(rng, 60))
		config->fault_mean[SIM_FAULT_DAMAGE] =
		    rng_between(rng, 4, 15) * timeout;
	if (profile == SIM_PROFILE_SNAPSHOT) {
		config->trailing_bytes_min = scale(rng, 6);
		config->trailing_bytes_max =
		    scale(rng, 9) + config->trailing_bytes_min;
		config->checkpoint_interval = 5 * MS;
		config->keys_count = SIM_KEYS_MAX;
		config->snapshot_piece_bytes = 64 + (uint32_t)scale(rng, 6);
		config->snapshot_rate = percent(rng, 50) ? 2000 : 0;
		config->snapshot_rate *= scale(rng, 5);
		config->fault_mean[SIM_FAULT_SNAPSHOT] /= 8;
	}
	if (profile != SIM_PROFILE_MIX && !config->calm && percent(rng, 90))
		config->warm_up = 6 * timeout;
}

static void
draw_hosts(struct sim_config *config, struct rng *rng)
{
	unsigned spares = (unsigned)rng_between(rng, 1, SIM_SPARES_MAX);

	config->churns = config->fault_mean[SIM_FAULT_CHANGE] != 0;
	config->hosts_count = config->nodes_count;
	if (config->churns)
		config->hosts_count += spares;
	/* One of the other two is left, which may not go on alone. */
	if (config->nodes_count < 3)
		config->fault_mean[SIM_FAULT_WIPE] = 0;
	/* Leases trust clocks to differ by no more than 5 in 100. */
	config->drift_ppm = config->raft.lease_reads ? 20000 : 300000;
}

static void
draw_scrub(struct sim_config *config, struct rng *rng)
{
	config->scrub_rate = percent(rng, 50) ? 1000 + scale(rng, 20) : 0;
	config->scrub_pause = scale(rng, 12) * MS;
}

static void
draw_oddities(struct sim_config *config, struct rng *rng)
{
	for (unsigned i = 0; i < SIM_QUIRKS_COUNT; i++) {
		if (percent(rng, 25))
			config->quirks |= 1u << i;
	}
	/* Leases trust that no clock does. */
	config->clocks_jump =
	    percent(
		rng, config->options.profile == SIM_PROFILE_CLOCK ? 70 : 25) &&
	    !config->raft.lease_reads;
	/* Where nothing goes wrong, no message is late either. */
	if (config->calm)
		config->quirks &= ~(1u << SIM_QUIRK_QUORUM_SENDS);
}

/* Who does not lead, and is deaf, mute or cut off, deposes nobody. */
static void
draw_bother(struct sim_config *config, struct rng *rng)
{
	raft_usec timeout = config->raft.election_timeout;

	config->bothered =
	    config->calm && config->nodes_count >= 3 && percent(rng, 60) &&
	    (config->options.without >> SIM_FAULT_PARTITION & 1) == 0;
	if (!config->bothered)
		return;
	config->fault_mean[SIM_FAULT_PARTITION] = 4 * timeout;
	config->warm_up = 6 * timeout;
}

/* Before the hosts are drawn: without changes, nobody waits to be added. */
static void
leave_out(struct sim_config *config, uint32_t without)
{
	for (unsigned i = 0; i < SIM_FAULTS_COUNT; i++) {
		if ((without >> i & 1) != 0)
			config->fault_mean[i] = 0;
	}
	if ((without >> SIM_PART_NOISE & 1) == 0)
		return;
	config->loss_ppm = 0;
	config->double_ppm = 0;
	config->damage_ppm = 0;
	config->reply_loss_ppm = 0;
}

static void
apply_options(struct sim_config *config, const struct sim_options *options)
{
	config->operations_max = UINT64_MAX;
	config->faults_until = RAFT_NEVER;
	if (options->clients_count != 0)
		config->clients_count = options->clients_count;
	if (options->operations_max != 0)
		config->operations_max = options->operations_max;
	if (options->faults_until != 0)
		config->faults_until = options->faults_until;
	if (options->duration != 0)
		config->duration = options->duration;
	if ((options->without >> SIM_PART_WATCHERS & 1) != 0)
		config->watchers_count = 0;
	if ((options->without >> SIM_PART_QUIRKS & 1) != 0)
		config->quirks = 0;
}

/* In this order: some look at what others have drawn. */
static void (*const draws[])(struct sim_config *config, struct rng *rng) = {
	draw_size,
	draw_clients,
	draw_raft,
	draw_store,
	draw_network,
	draw_faults,
	draw_hurry,
	draw_snapshots,
	bend_to_profile,
	draw_hosts,
	draw_scrub,
	draw_history,
	draw_oddities,
	draw_bother,
};

const char *const sim_disks_names[SIM_DISKS_COUNT] = {
	[SIM_DISKS_MEMORY] = "memory",
	[SIM_DISKS_LMDB] = "lmdb",
	[SIM_DISKS_LYING] = "lying",
};

/*
 * All faults that files cannot have are named here. Damage is that of single
 * records: their place in a file is LMDB's affair.
 */
static void
take_files(struct sim_config *config)
{
	raft_usec *power_cut = &config->fault_mean[SIM_FAULT_POWER_CUT];
	bool left_out =
	    (config->options.without >> SIM_FAULT_POWER_CUT & 1) != 0;

	config->fault_mean[SIM_FAULT_DAMAGE] = 0;
	config->image_ppm = 5000;
	config->start_image_ppm = 500000;
	if (*power_cut == 0 && !left_out)
		*power_cut = config->fault_mean[SIM_FAULT_CRASH];
}

void
sim_config_draw(
    struct sim_config *config, uint64_t seed, const struct sim_options *options)
{
	*config = (struct sim_config){
		.seed = seed,
		.options = *options,
	};
	for (unsigned i = 0; i < ARRAY_COUNT(draws); i++) {
		struct rng rng;

		part_rng(&rng, seed, i);
		draws[i](config, &rng);
		if (draws[i] == bend_to_profile)
			leave_out(config, options->without);
	}
	if (options->disks != SIM_DISKS_MEMORY)
		take_files(config);
	apply_options(config, options);
}

void
sim_config_print(const struct sim_config *config, char *to, size_t size)
{
	const struct raft_params *raft = &config->raft;
	int used;

	used = snprintf(to, size,
	    "nodes=%u+%u election=%" PRIu64 "ms batch=%" PRIu32 "/%" PRIu32
	    "B window=%" PRIu32 " lease=%d clients=%u keys=%u quirks=%" PRIx32
	    " faults=",
	    config->nodes_count, config->hosts_count - config->nodes_count,
	    raft->election_timeout / MS, raft->append_entries_max,
	    raft->append_bytes_max, raft->inflight_appends_max,
	    raft->lease_reads, config->clients_count, config->keys_count,
	    config->quirks);
	for (unsigned i = 0; i < SIM_FAULTS_COUNT; i++) {
		if (config->fault_mean[i] == 0)
			continue;
		if (used < 0 || (size_t)used >= size)
			return;
		used += snprintf(to + used, size - (size_t)used, "%s%s",
		    to[used - 1] == '=' ? "" : "+", sim_part_names[i]);
	}
}
