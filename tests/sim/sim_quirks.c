#include "tests/sim/sim_quirks.h"

static struct rng *
rng_of(struct sim *sim)
{
	return &sim->rng[SIM_RNG_QUIRK];
}

/* Does the run have it, and does it strike now? */
static bool
strikes(struct sim *sim, enum sim_quirk quirk)
{
	return (sim->config.quirks >> quirk & 1) != 0 &&
	       sim->phase == SIM_FAULTS && rng_below(rng_of(sim), 4) == 0;
}

/* ---- Parameters ---- */

static void
tune(struct node_params *params, enum sim_quirk quirk)
{
	struct raft_params *raft = &params->raft;

	switch (quirk) {
	case SIM_QUIRK_ONE_ENTRY: raft->append_entries_max = 1; break;
	case SIM_QUIRK_ONE_BYTE: raft->append_bytes_max = 1; break;
	case SIM_QUIRK_ONE_APPEND:
		raft->inflight_appends_max = 1;
		raft->inflight_bytes_max = 1;
		raft->inflight_rounds_max = 1;
		break;
	case SIM_QUIRK_ONE_PROPOSAL:
		raft->uncommitted_bytes_max = raft->entry_bytes_max;
		break;
	case SIM_QUIRK_ONE_READ: raft->pending_reads_max = 1; break;
	case SIM_QUIRK_CHECKPOINTS:
		params->checkpoint_bytes = 1;
		params->checkpoint_interval = 1000;
		break;
	case SIM_QUIRK_NO_CACHE: params->cache_bytes_max = 1; break;
	case SIM_QUIRK_NO_TRAIL:
		params->trailing_bytes_min = 1;
		params->trailing_bytes_max = 1;
		break;
	case SIM_QUIRK_PIECES: params->snapshot_piece_bytes = 64; break;
	case SIM_QUIRK_NO_HISTORY: params->history_bytes_max = 1; break;
	case SIM_QUIRK_SCRUB:
		params->scrub_rate = 1 << 20;
		params->scrub_pause = 1000;
		break;
	case SIM_QUIRK_QUORUM_SENDS:
	case SIM_QUIRK_RESENT:
	case SIM_QUIRK_EARLY:
	case SIM_QUIRK_RETUNED:
	case SIM_QUIRKS_COUNT: break;
	}
}

void
sim_quirks_tune(struct sim *sim, struct sim_node *node)
{
	const struct sim_config *config = &sim->config;
	struct node_params *params = &node->params;
	bool tuned = params->raft.election_timeout != 0;
	uint32_t quirks = config->quirks;

	if (tuned && !strikes(sim, SIM_QUIRK_RETUNED))
		return;
	if (tuned) {
		sim->counters.quirks_retuned++;
		quirks =
		    (uint32_t)(rng_next(rng_of(sim)) & rng_next(rng_of(sim)));
	}
	params->raft = config->raft;
	params->checkpoint_bytes = config->checkpoint_bytes;
	params->checkpoint_interval = config->checkpoint_interval;
	params->cache_bytes_max = config->cache_bytes_max;
	params->trailing_bytes_min = config->trailing_bytes_min;
	params->trailing_bytes_max = config->trailing_bytes_max;
	params->snapshot_piece_bytes = config->snapshot_piece_bytes;
	params->snapshot_rate = config->snapshot_rate;
	params->snapshot_age_max = config->snapshot_age_max;
	params->history_age_us = config->history_age_us;
	params->history_bytes_max = config->history_bytes_max;
	params->scrub_rate = config->scrub_rate;
	params->scrub_pause = config->scrub_pause;
	for (unsigned i = 0; i < SIM_QUIRKS_COUNT; i++) {
		if ((quirks >> i & 1) != 0)
			tune(params, (enum sim_quirk)i);
	}
}

/* ---- Time ---- */

raft_usec
sim_quirks_wake(struct sim *sim, raft_usec at)
{
	/* Not for ever at once: time has to pass in between. */
	if (at == RAFT_NEVER || at < sim->now + 1000 ||
	    !strikes(sim, SIM_QUIRK_EARLY))
		return at;
	sim->counters.quirks_early++;
	return rng_between(rng_of(sim), sim->now + 1000, at);
}

/* ---- Messages ---- */

static unsigned
count_voters(const struct sim_node *node, raft_id below)
{
	const struct node_members *members = node_get_members(node->node);
	unsigned count = 0;

	for (unsigned i = 0; i < members->count; i++) {
		raft_id id = members->member[i].id;

		count += id < below && id != node->member_id &&
			 node_get_role(node->node, id) == RAFT_MEMBER_VOTER;
	}
	return count;
}

bool
sim_quirks_hold_back(
    struct sim *sim, struct sim_node *node, const struct raft_message *message)
{
	unsigned others;

	if (message->kind != RAFT_APPEND_REQUEST ||
	    message->entries_count == 0 ||
	    !strikes(sim, SIM_QUIRK_QUORUM_SENDS))
		return false;
	others = count_voters(node, RAFT_NUMBER_MAX);
	if (count_voters(node, message->to) < (others + 1) / 2)
		return false;
	sim->counters.quirks_held_back++;
	return true;
}

bool
sim_quirks_repeat(struct sim *sim)
{
	if (!strikes(sim, SIM_QUIRK_RESENT))
		return false;
	sim->counters.quirks_resent++;
	return true;
}
