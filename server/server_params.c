/* What the parts of the daemon are given, out of its configuration. */

#include "node/node_record.h"
#include "server_damage.h"
#include "server_impl.h"

#include <stdio.h>

/* Unapplied and recent entries kept in memory for peers. */
#define CACHE_BYTES_MAX (1u << 20)
/* Of a snapshot, in one request. */
#define SNAPSHOT_PIECE_BYTES (512u << 10)
/* A pinned state keeps old pages; without progress for so long it is let go. */
#define SNAPSHOT_AGE_MAX_US (30u * 1000000)
/* Between two passes of the scrub. */
#define SCRUB_PAUSE_US (60u * 1000000)

/* ---- The node ---- */

void
server_fill_members(
    const struct config *config, struct node_members *ret_members)
{
	*ret_members = (struct node_members){ .count = 0 };
	if (config->join == NULL)
		ret_members->count = (unsigned)config->members_count;
	for (unsigned i = 0; i < ret_members->count; i++) {
		struct node_member *member = &ret_members->member[i];

		member->id = i + 1;
		snprintf(member->name, sizeof(member->name), "%s",
		    config->members[i].name);
		snprintf(member->address, sizeof(member->address), "%s",
		    config->members[i].address);
	}
}

/* Of one entry of the log: a put of the largest value, or a transaction. */
static uint64_t
entry_bytes_max(const struct config *config)
{
	return MAX(config->value_bytes_max + KV_COMMAND_OVERHEAD_MAX,
		   API_TRANSACTION_BYTES_MAX) +
	       NODE_RECORD_OVERHEAD;
}

static struct raft_params
raft_params_of(const struct config *config)
{
	return (struct raft_params){
		.election_timeout = config->election_timeout_us,
		.heartbeat_interval = config->heartbeat_interval_us,
		.append_entries_max = config->batch_entries_max,
		.append_bytes_max = (uint32_t)config->batch_bytes_max,
		.inflight_appends_max = 4,
		.inflight_bytes_max =
		    (uint32_t)MAX(4 * config->batch_bytes_max, 4u << 20),
		.inflight_rounds_max = 2,
		.entry_bytes_max = (uint32_t)entry_bytes_max(config),
		.uncommitted_bytes_max = SERVER_UNCOMMITTED_BYTES_MAX,
		.pending_reads_max = 1024,
		.disk_stall_max = config->election_timeout_us,
		.transfer_timeout = config->election_timeout_us,
		.lease_reads = config->lease_reads,
	};
}

void
server_fill_node_params(
    const struct config *config, struct node_params *ret_params)
{
	struct node_params params = {
		.raft = raft_params_of(config),
		.checkpoint_bytes = config->checkpoint_bytes,
		.checkpoint_interval = config->checkpoint_interval_us,
		.cache_bytes_max = CACHE_BYTES_MAX,
		.trailing_bytes_min = config->trailing_bytes,
		.trailing_bytes_max =
		    MAX(config->trailing_bytes, config->log_quota_bytes / 2),
		.snapshot_piece_bytes = SNAPSHOT_PIECE_BYTES,
		.snapshot_rate = config->snapshot_rate,
		.snapshot_age_max = SNAPSHOT_AGE_MAX_US,
		.history_age_us = config->history_age_us,
		.history_bytes_max = config->history_bytes_max,
		.scrub_rate = config->scrub_rate,
		.scrub_pause = SCRUB_PAUSE_US,
	};

	snprintf(
	    params.cluster, sizeof(params.cluster), "%s", config->cluster_name);
	snprintf(params.name, sizeof(params.name), "%s", config->node_name);
	snprintf(params.address, sizeof(params.address), "%s", config->address);
	params.damaged = server_damage_pending(config->data_dir);
	if (!params.damaged)
		server_fill_members(config, &params.members);
	server_fill_random(
	    params.directory_nonce, sizeof(params.directory_nonce));
	server_fill_random(params.cluster_id, sizeof(params.cluster_id));
	server_fill_random(&params.boot_id, sizeof(params.boot_id));
	params.boot_id = (params.boot_id >> 1) | 1;
	*ret_params = params;
}

/* ---- The peers ---- */

void
server_fill_peers_params(
    const struct config *config, struct peers_params *ret_params)
{
	struct peers_params params = {
		.secret = slice_of(config->secret, config->secret_size),
		.address = config->address,
		.election_timeout = config->election_timeout_us,
		.idle_timeout_us = config->idle_timeout_us,
		.records_max = config->batch_entries_max,
	};
	uint64_t records_bytes =
	    config->batch_bytes_max + entry_bytes_max(config);

	params.snapshot_bytes_max =
	    SNAPSHOT_PIECE_BYTES + records_bytes + 65536;
	/* Base64 with room for quotes, commas and the members around it. */
	params.body_bytes_max =
	    records_bytes * 3 / 2 + config->batch_entries_max * 128u + 65536;
	server_fill_random(&params.seed, sizeof(params.seed));
	*ret_params = params;
}
