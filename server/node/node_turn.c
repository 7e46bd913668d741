/*
 * The turn. Events before it only changed the core's state; here everything
 * that follows from them is done, once and in this order:
 *
 *	send what does not wait for our disk, and flush
 *	    followers' disks work while ours does (thesis 10.2.1)
 *	one log transaction: term, vote, entries; the only sync
 *	    whatever arrived while it ran is gathered into the next one
 *	tell the core that it is durable
 *	    it releases votes, acknowledgements and the commit
 *	apply what is committed
 *	    after the commit, so the state never runs ahead of the durable log
 *	answer clients and peers
 *	    their sockets are flushed by whoever called the turn, or
 *	flush, and checkpoint or settle the log store, if that is due
 *	    last: they may block, and then nobody waits for it
 */

#include "common/mem.h"
#include "node/node_impl.h"

#include <inttypes.h>

/* Work begets work (a vote, then a no-op); what is left waits a turn. */
#define ROUNDS_MAX 16

/* What was read from disk to be applied is freed after so many entries. */
#define TIDY_ENTRIES 1024

/* For so long at most a commit stays unsettled; see store_settle. */
#define SETTLE_DELAY (1000u * 1000u)

/* To estimate what a checkpoint writes; see dirty_page_bytes. */
#define PAGE_BYTES            4096
#define RECORD_OVERHEAD_BYTES 64

static int
gather_entries(struct node *node, const struct raft_op_send *send)
{
	uint32_t count = send->message->entries_count;

	if (count > node->entries_capacity) {
		node->entries_capacity = count;
		node->entries =
		    mem_realloc(node->entries, count, sizeof(*node->entries));
	}
	for (uint32_t i = 0; i < count; i++) {
		raft_index index = send->first + i;
		int error = node_log_get(node->log, index, &node->entries[i]);

		if (error != 0)
			return node_set_fault(node, error,
			    "log entry %" PRIu64 ": %s", index,
			    err_text(error));
	}
	return 0;
}

static int
send_message(struct node *node, const struct raft_op_send *send)
{
	int error;

	/* The log was cut behind this message's back: others replace it. */
	if (send->message->log_epoch != raft_log_epoch(node->raft) &&
	    send->message->entries_count != 0)
		return 0;
	error = gather_entries(node, send);
	if (error != 0)
		return error;
	node->host.send(node->host.context, send->message, node->entries);
	return 0;
}

static int
persist(struct node *node, raft_usec *now, const struct raft_op_persist *op)
{
	raft_usec started;
	int error;

	node->host.flush(node->host.context);
	started = node->host.now(node->host.context);
	error = node_log_commit(node->log, op);
	if (error != 0)
		return node_set_fault(
		    node, error, "log commit: %s", err_text(error));
	*now = node->host.now(node->host.context);
	node->host.on_commit(node->host.context, false, *now - started);
	return 0;
}

static int
apply_record(struct node *node, const struct node_record *record)
{
	struct kv_result result;
	int error;

	switch (record->type) {
	case RAFT_ENTRY_COMMAND:
		error = kv_apply(node->kv, record->index, record->time_us,
		    record->payload, &result);
		if (error == 0)
			node_answer_writes(
			    node, record->index, record->term, &result);
		return error;
	case RAFT_ENTRY_MEMBERS:
		error = node_take_membership(node, record->payload);
		if (error != 0)
			return error;
		break;
	case RAFT_ENTRY_NOOP: break;
	}
	error = kv_skip(node->kv, record->index);
	if (error == 0)
		node_answer_writes(node, record->index, record->term, NULL);
	return error;
}

static int
apply(struct node *node, const struct raft_op_apply *op)
{
	struct node_record record;
	struct node_entry *entry;

	for (raft_index i = op->first; i <= op->last; i++) {
		int error;

		/* A long replay must not keep all of the log in memory. */
		if (i % TIDY_ENTRIES == 0)
			node_log_tidy(node->log, i - 1);
		error = node_log_get(node->log, i, &entry);

		if (error == 0)
			error = node_record_decode(entry->record, &record);
		if (error == 0)
			error = apply_record(node, &record);
		if (error != 0)
			return node_set_fault(node, error,
			    "applying entry %" PRIu64 ": %s", i,
			    err_text(error));
	}
	return 0;
}

/* Ops stay valid only until the next event: keep those that cause events. */
static void
copy_ops(struct node *node, const struct raft_ops *ops)
{
	if (ops->count > node->ops_capacity) {
		node->ops_capacity = ops->count;
		node->ops =
		    mem_realloc(node->ops, ops->count, sizeof(*node->ops));
	}
	memcpy(node->ops, ops->op, ops->count * sizeof(*ops->op));
}

static int
perform(struct node *node, raft_usec *now, const struct raft_op *op)
{
	int error;

	switch (op->kind) {
	case RAFT_OP_SEND: return send_message(node, &op->send);
	case RAFT_OP_PERSIST:
		error = persist(node, now, &op->persist);
		if (error != 0)
			return error;
		(void)raft_persisted(node->raft, *now, op->persist.ticket);
		return 0; /* an error there is a FATAL in the next take */
	case RAFT_OP_APPLY:
		error = apply(node, &op->apply);
		if (error != 0)
			return error;
		(void)raft_applied(node->raft, *now, op->apply.last);
		return 0;
	case RAFT_OP_READ:
		node_answer_read(node, op->read.read_id, op->read.status);
		return 0;
	case RAFT_OP_ROLE:
	case RAFT_OP_MEMBERS: node->changed = true; return 0;
	case RAFT_OP_DROPPED:
		/* What is applied in their place tells the waiting clients. */
		return 0;
	case RAFT_OP_ALARM:
		node->host.on_alarm(
		    node->host.context, op->alarm.alarm, op->alarm.peer);
		return 0;
	case RAFT_OP_FATAL:
		return node_set_fault(node, ERR_STOPPED,
		    "raft: %s (entry %" PRIu64 ", term %" PRIu64 ")",
		    op->fatal.reason, op->fatal.index, op->fatal.term);
	}
	return 0;
}

static int
work(struct node *node, raft_usec *now)
{
	struct raft_ops ops;

	for (int round = 0; round < ROUNDS_MAX; round++) {
		node_fill_log(node, *now);
		raft_take(node->raft, &ops);
		if (ops.count == 0)
			return 0;
		copy_ops(node, &ops);
		for (size_t i = 0; i < ops.count; i++) {
			int error = perform(node, now, &node->ops[i]);

			if (error != 0)
				return error;
		}
	}
	node->again = true;
	return 0;
}

/* The log keeps what a member or the own checkpoint still needs. */
static void
compact(struct node *node)
{
	struct raft_status raft;
	struct node_log_state log;
	struct kv_stats kv;
	raft_index index;

	raft_get_status(node->raft, &raft);
	node_log_get_state(node->log, &log);
	kv_get_stats(node->kv, &kv);
	index = MIN(raft.everywhere_index, kv.checkpoint_index);
	index = MIN(index, log.durable_index);
	if (index <= raft.compacted_index)
		return;
	if (raft_compact(node->raft, index) == 0)
		node_log_compact(node->log, index);
}

/*
 * What a checkpoint will have to write, about: each change of a random key
 * dirties a page of its own, until all pages are dirty. Pages are half full at
 * worst.
 */
static uint64_t
dirty_page_bytes(const struct kv_stats *stats)
{
	uint64_t touched = stats->dirty_count * PAGE_BYTES + stats->dirty_bytes;
	uint64_t all =
	    stats->keys_count * RECORD_OVERHEAD_BYTES + stats->live_bytes;

	return MIN(touched, 2 * all + stats->dirty_bytes);
}

static bool
checkpoint_due(struct node *node, raft_usec now)
{
	struct kv_stats stats;

	kv_get_stats(node->kv, &stats);
	if (kv_applied_index(node->kv) == stats.checkpoint_index)
		return false;
	if (node->checkpoint_at == RAFT_NEVER)
		node->checkpoint_at = now + node->params.checkpoint_interval;
	return dirty_page_bytes(&stats) >= node->params.checkpoint_bytes ||
	       now >= node->checkpoint_at;
}

static int
checkpoint(struct node *node, raft_usec now)
{
	raft_usec started;
	int error;

	if (!checkpoint_due(node, now))
		return 0;
	node->host.flush(node->host.context);
	started = node->host.now(node->host.context);
	error = kv_checkpoint(node->kv);
	if (error != 0)
		return node_set_fault(
		    node, error, "checkpoint: %s", err_text(error));
	node->checkpoint_at = RAFT_NEVER;
	node->host.on_commit(node->host.context, true,
	    node->host.now(node->host.context) - started);
	return 0;
}

static int
settle(struct node *node, raft_usec now)
{
	raft_usec started;
	int error;

	if (store_is_settled(node->log_store)) {
		node->settle_at = RAFT_NEVER;
		return 0;
	}
	if (node->settle_at == RAFT_NEVER)
		node->settle_at = now + SETTLE_DELAY;
	if (now < node->settle_at)
		return 0;
	node->host.flush(node->host.context);
	started = node->host.now(node->host.context);
	error = store_settle(node->log_store);
	if (error != 0)
		return node_set_fault(
		    node, error, "log commit: %s", err_text(error));
	node->settle_at = RAFT_NEVER;
	node->host.on_commit(node->host.context, false,
	    node->host.now(node->host.context) - started);
	return 0;
}

static int
turn(struct node *node, raft_usec now)
{
	int error;

	error = node_formation_turn(node);
	if (error != 0)
		return error;
	if (node->state != NODE_MEMBER)
		return 0;
	if (node->raft == NULL) {
		error = node_boot(node, now, node->fault, sizeof(node->fault));
		if (error != 0)
			return node->error = error;
	}
	if (now >= raft_deadline(node->raft))
		(void)raft_timeout(node->raft, now);
	/* A lease is judged by the time now, not by when the pass began: the
	 * process may have been stopped in between. */
	node_ask_reads(node, node->host.now(node->host.context));
	error = work(node, &now);
	if (error == 0)
		error = checkpoint(node, now);
	if (error != 0)
		return error;
	compact(node);
	node_log_tidy(node->log, kv_applied_index(node->kv));
	return 0;
}

int
node_turn(struct node *node, raft_usec now)
{
	int error;

	if (node->error != 0)
		return node->error;
	node->again = false;
	error = turn(node, now);
	if (error == 0)
		error = settle(node, now);
	if (error == 0 && node->changed) {
		node->changed = false;
		node->host.on_change(node->host.context);
	}
	return error;
}

raft_usec
node_deadline(const struct node *node)
{
	if (node->again || node->error != 0)
		return 0;
	if (node->raft == NULL)
		return node->settle_at;
	return MIN(raft_deadline(node->raft),
	    MIN(node->checkpoint_at, node->settle_at));
}
