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
 *	    they may block, and then nobody waits for them
 *	send the pieces of snapshots that are due
 *	    a snapshot is a checkpoint, the one just made
 *	write a piece that was received
 *	    its answer has left, and the sender makes the next
 *	propose what a leader has to do by itself
 *	give up log entries that nobody needs
 *	verify some of what lies on disk, if that is due
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
send_message(struct node *node, raft_usec now, const struct raft_op_send *send)
{
	struct raft_message message = *send->message;
	int error;

	/* The log was cut behind this message's back: others replace it. */
	if (message.log_epoch != raft_log_epoch(node->raft) &&
	    message.entries_count != 0)
		return 0;
	error = gather_entries(node, send);
	if (error != 0)
		return error;
	node_compare_send(node, now, &message);
	node->host.send(node->host.context, &message, node->entries);
	return 0;
}

raft_usec
node_begin_commit(struct node *node)
{
	node->host.flush(node->host.context);
	return node->host.now(node->host.context);
}

raft_usec
node_end_commit(struct node *node, bool checkpoint, raft_usec started)
{
	raft_usec now = node->host.now(node->host.context);

	node->host.on_commit(node->host.context, checkpoint, now - started);
	return now;
}

static int
persist(struct node *node, raft_usec *now, const struct raft_op_persist *op)
{
	raft_usec started;
	int error;

	node_install_prepare(node, op);
	started = node_begin_commit(node);
	error = node_log_commit(node->log, op);
	if (error != 0)
		return node_set_fault(
		    node, error, "log commit: %s", err_text(error));
	*now = node_end_commit(node, false, started);
	if (op->reset_index == 0)
		return 0;
	error = node_install_finish(node);
	if (error == 0)
		node_time_note_applied(
		    node, *now, kv_cluster_time_us(node->kv));
	return error;
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
apply(struct node *node, raft_usec now, const struct raft_op_apply *op)
{
	struct node_record record = { .time_us = 0 };
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
		error = node_compare_applied(node, i);
		if (error != 0)
			return error;
	}
	node_time_note_applied(node, now, record.time_us);
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
	case RAFT_OP_SEND: return send_message(node, *now, &op->send);
	case RAFT_OP_PERSIST:
		error = persist(node, now, &op->persist);
		if (error != 0)
			return error;
		(void)raft_persisted(node->raft, *now, op->persist.ticket);
		return 0; /* an error there is a FATAL in the next take */
	case RAFT_OP_APPLY:
		error = apply(node, *now, &op->apply);
		if (error != 0)
			return error;
		(void)raft_applied(node->raft, *now, op->apply.last);
		return 0;
	case RAFT_OP_READ:
		node_answer_read(node, op->read.read_id, op->read.status);
		return 0;
	case RAFT_OP_ROLE:
		node_time_note_role(node, *now);
		node->changed = true;
		return 0;
	case RAFT_OP_MEMBERS:
		/* What follows from this one may be in the core already. */
		node_fill_log(node, *now);
		return node_update_membership(node);
	case RAFT_OP_DROPPED:
		/* What is applied in their place tells the waiting clients. */
		return 0;
	case RAFT_OP_SNAPSHOT:
		node_send_snapshot(node, *now, &op->snapshot);
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
	started = node_begin_commit(node);
	error = store_settle(node->log_store);
	if (error != 0)
		return node_set_fault(
		    node, error, "log commit: %s", err_text(error));
	node->settle_at = RAFT_NEVER;
	(void)node_end_commit(node, false, started);
	return 0;
}

static int
turn(struct node *node, raft_usec now)
{
	int error;

	error = node_formation_turn(node);
	if (error == 0)
		error = node_fellows_turn(node);
	if (error != 0)
		return error;
	if (node->state != NODE_MEMBER)
		return 0;
	if (node->raft == NULL) {
		error =
		    node_boot_core(node, now, node->fault, sizeof(node->fault));
		if (error != 0)
			return node->error = error;
	}
	error = node_compare_turn(node);
	if (error != 0)
		return error;
	if (now >= raft_deadline(node->raft))
		(void)raft_timeout(node->raft, now);
	/* A lease is judged by the time now, not by when the pass began: the
	 * process may have been stopped in between. */
	node_ask_reads(node, node->host.now(node->host.context));
	node_renew_turn(node, now);
	error = node_install_turn(node, now);
	if (error == 0)
		error = work(node, &now);
	if (error == 0)
		error = node_chores_turn(node, now);
	if (error == 0)
		node_renew_judge(node);
	if (error == 0)
		error = node_checkpoint_turn(node, now);
	if (error == 0)
		error = node_send_turn(node, now);
	if (error == 0)
		error = node_receive_turn(node);
	if (error != 0)
		return error;
	node_compact(node);
	node_log_tidy(node->log, kv_applied_index(node->kv));
	return node_scrub_turn(node, now);
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
	if (error == 0 && node->members_changed) {
		node->members_changed = false;
		node->host.on_members(
		    node->host.context, &node->active.members);
	}
	if (error == 0 && node->changed) {
		node->changed = false;
		node->host.on_change(node->host.context);
	}
	return error;
}

raft_usec
node_deadline(const struct node *node)
{
	raft_usec deadline;

	if (node->again || node->error != 0 || node_formation_due(node))
		return 0;
	if (node->raft == NULL || node->state != NODE_MEMBER)
		return node->settle_at;
	deadline = MIN(raft_deadline(node->raft), node->checkpoint_at);
	deadline = MIN(deadline, node->settle_at);
	deadline = MIN(deadline, node->scrub.due_at);
	deadline = MIN(deadline, node->chores.due_at);
	return MIN(deadline, node_send_deadline(node));
}
