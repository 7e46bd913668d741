/* When the state is made durable, and which entries go then. */

#include "common/codec.h"
#include "common/hash.h"
#include "common/mem.h"
#include "node/node_impl.h"

/* ---- Checkpoint ---- */

/*
 * Members change alike: with the same bounds all would write at the same time,
 * and nobody be there to take a command meanwhile. So each uses from all of a
 * bound to half as much again, drawn anew for each checkpoint.
 */
static uint64_t
drawn(const struct node *node, const struct kv_stats *stats, uint64_t bound)
{
	uint8_t bytes[8];
	uint64_t hash;

	codec_store_u64(bytes, stats->checkpoint_index);
	hash = hash64(node->id, slice_of(bytes, sizeof(bytes)));
	return bound + bound / 2 / 256 * (hash % 256);
}

static bool
checkpoint_due(struct node *node, raft_usec now)
{
	const struct node_params *params = &node->params;
	struct kv_stats stats;

	kv_get_stats(node->kv, &stats);
	if (kv_applied_index(node->kv) == stats.checkpoint_index)
		return false;
	if (node->checkpoint_at == RAFT_NEVER)
		node->checkpoint_at =
		    now + drawn(node, &stats, params->checkpoint_interval);
	return stats.dirty_bytes + stats.commit_bytes >=
		   drawn(node, &stats, params->checkpoint_bytes) ||
	       now >= node->checkpoint_at ||
	       node_send_wants_checkpoint(node, now);
}

/* So that the state tells in which history, and where in it, it stands. */
static int
note_base(struct node *node)
{
	struct node_log_base base;
	struct buf bytes = { 0 };
	int error;

	error = node_log_get_base(node->log, kv_applied_index(node->kv), &base);
	if (error != 0)
		return error;
	codec_append_u64(&bytes, base.index);
	codec_append_u64(&bytes, base.term);
	codec_append_u64(&bytes, base.chain);
	codec_append_u64(&bytes, base.time_us);
	error = kv_set_meta(node->kv, NODE_BASE_META, buf_slice(&bytes));
	buf_release(&bytes);
	return error;
}

int
node_base_decode(struct slice bytes, struct node_log_base *ret_base)
{
	struct node_log_base base = { .data_generation = 0 };
	struct codec_reader reader;

	codec_reader_init(&reader, bytes);
	base.index = codec_read_u64(&reader);
	base.term = codec_read_u64(&reader);
	base.chain = codec_read_u64(&reader);
	base.time_us = codec_read_u64(&reader);
	if (!codec_reader_done(&reader))
		return ERR_CORRUPT;
	*ret_base = base;
	return 0;
}

int
node_checkpoint_turn(struct node *node, raft_usec now)
{
	raft_usec started;
	int error;

	if (!checkpoint_due(node, now))
		return 0;
	started = node_begin_commit(node);
	error = note_base(node);
	if (error == 0)
		error = kv_checkpoint(node->kv);
	if (error != 0)
		return node_set_fault(
		    node, error, "checkpoint: %s", err_text(error));
	node->checkpoint_at = RAFT_NEVER;
	(void)node_end_commit(node, true, started);
	node_send_look_at_file(node);
	return 0;
}

/* ---- Compaction ---- */

static uint64_t
entry_bytes(const struct node *node, raft_index index)
{
	struct raft_entry entry;

	return raft_get_entry(node->raft, index, &entry) == 0 ? entry.size : 0;
}

static uint64_t
trailing_bytes(const struct node *node)
{
	const struct node_params *params = &node->params;
	uint64_t wanted = node->snapshots.trailing.bytes_wanted;

	wanted = MAX(wanted, params->trailing_bytes_min);
	return MIN(wanted, params->trailing_bytes_max);
}

/* Follows the log: what is new in it, and if its end was cut, all of it. */
static void
follow(struct node *node, const struct raft_status *raft)
{
	struct node_trailing *trailing = &node->snapshots.trailing;
	uint64_t epoch = raft_log_epoch(node->raft);

	if (trailing->epoch != epoch ||
	    trailing->floor < raft->compacted_index ||
	    trailing->last > raft->last_index) {
		trailing->epoch = epoch;
		trailing->floor = raft->compacted_index;
		trailing->last = raft->compacted_index;
		trailing->bytes = 0;
	}
	while (trailing->last < raft->last_index)
		trailing->bytes += entry_bytes(node, ++trailing->last);
}

/*
 * Moves the floor up for as long as enough is kept behind it: of what the
 * receiver of a snapshot will need next, more.
 */
static void
lift_floor(struct node *node)
{
	struct node_trailing *trailing = &node->snapshots.trailing;
	raft_index sending = node_sending_index(node);
	uint64_t bytes_min = trailing_bytes(node);

	while (trailing->floor < trailing->last) {
		uint64_t bytes = entry_bytes(node, trailing->floor + 1);

		if (trailing->floor >= sending)
			bytes_min = node->params.trailing_bytes_max;
		if (trailing->bytes - bytes < bytes_min)
			return;
		trailing->bytes -= bytes;
		trailing->floor++;
	}
}

void
node_compact(struct node *node)
{
	struct node_trailing *trailing = &node->snapshots.trailing;
	struct node_log_state log;
	struct raft_status raft;
	struct kv_stats kv;
	raft_index index;

	raft_get_status(node->raft, &raft);
	node_log_get_state(node->log, &log);
	kv_get_stats(node->kv, &kv);
	follow(node, &raft);
	lift_floor(node);
	index = MIN(raft.everywhere_index, node_sending_index(node));
	index = MAX(index, trailing->floor);
	index = MIN(index, MIN(kv.checkpoint_index, log.durable_index));
	if (index <= raft.compacted_index)
		return;
	while (trailing->floor < index)
		trailing->bytes -= entry_bytes(node, ++trailing->floor);
	if (raft_compact(node->raft, index) == 0)
		node_log_compact(node->log, index);
}

void
node_compact_adapt(struct node *node, raft_index index)
{
	struct node_trailing *trailing = &node->snapshots.trailing;
	struct raft_status raft;
	uint64_t written = 0;

	raft_get_status(node->raft, &raft);
	for (raft_index i = index + 1; i <= raft.last_index; i++)
		written += entry_bytes(node, i);
	/* The floor is found anew. */
	*trailing = (struct node_trailing){ .bytes_wanted = 2 * written };
}
