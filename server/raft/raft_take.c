/*
 * Owns the work that is handed out: collects it from the other parts in the
 * order that the driver relies on, in arrays that are used again, so that a
 * take allocates nothing once they have grown to the load.
 *
 * Messages and entries may move while arrays grow: pointers to them are set
 * when all is collected.
 */

#include "raft/raft_impl.h"

#include "common/mem.h"
#include "common/panic.h"
#include <stdlib.h>

#define RESERVE_MIN 16

void *
raft_reserve(void *array, size_t *capacity, size_t count, size_t size)
{
	size_t wanted = MAX(*capacity, (size_t)RESERVE_MIN);

	if (count <= *capacity)
		return array;
	while (wanted < count)
		wanted *= 2;
	*capacity = wanted;
	return mem_realloc(array, wanted, size);
}

struct raft_message *
raft_out_message(struct raft *raft, enum raft_message_kind kind, raft_id to)
{
	struct raft_out *out = &raft->out;
	struct raft_outgoing *outgoing;

	out->sends = raft_reserve(out->sends, &out->sends_capacity,
	    out->sends_count + 1, sizeof(*out->sends));
	outgoing = &out->sends[out->sends_count++];
	*outgoing = (struct raft_outgoing){
		.message = {
			.kind = kind,
			.from = raft->params.id,
			.to = to,
			.term = raft->term,
			.boot_id = raft->boot_id,
			.log_epoch = raft->log.epoch,
		},
	};
	return &outgoing->message;
}

void
raft_out_entries(struct raft *raft, raft_index first, uint32_t count)
{
	struct raft_out *out = &raft->out;
	struct raft_outgoing *outgoing = &out->sends[out->sends_count - 1];

	/* Peers that keep up get the same entries. */
	if (out->arena_first != first || out->arena_entries != count) {
		out->arena = raft_reserve(out->arena, &out->arena_capacity,
		    out->arena_count + count, sizeof(*out->arena));
		raft_copy_entries(
		    raft, first, count, &out->arena[out->arena_count]);
		out->arena_count += count;
		out->arena_first = first;
		out->arena_entries = count;
	}
	outgoing->first = first;
	outgoing->arena_offset = out->arena_count - count;
	outgoing->message.entries_count = count;
}

struct raft_op *
raft_out_op(struct raft *raft, enum raft_op_kind kind)
{
	struct raft_out *out = &raft->out;

	out->ops = raft_reserve(out->ops, &out->ops_capacity,
	    out->ops_count + 1, sizeof(*out->ops));
	out->ops[out->ops_count] = (struct raft_op){ .kind = kind };
	return &out->ops[out->ops_count++];
}

void
raft_out_dropped(
    struct raft *raft, raft_index first, raft_index last, raft_term term)
{
	struct raft_out *out = &raft->out;

	out->dropped = raft_reserve(out->dropped, &out->dropped_capacity,
	    out->dropped_count + 1, sizeof(*out->dropped));
	out->dropped[out->dropped_count++] = (struct raft_op_dropped){
		.first = first,
		.last = last,
		.term = term,
	};
}

void
raft_out_alarm(
    struct raft *raft, enum raft_alarm alarm, raft_id peer, raft_index index)
{
	struct raft_out *out = &raft->out;

	/* More than the driver was ready to hear would say nothing new. */
	if (out->alarms_count == ARRAY_COUNT(out->alarms))
		return;
	out->alarms[out->alarms_count++] = (struct raft_op_alarm){
		.alarm = alarm,
		.peer = peer,
		.index = index,
	};
}

void
raft_out_release(struct raft_out *out)
{
	free(out->sends);
	free(out->arena);
	free(out->ops);
	free(out->dropped);
}

static void
collect_sends(struct raft *raft)
{
	struct raft_out *out = &raft->out;
	size_t i;

	raft_read_begin_round(raft);
	raft_read_ask(raft);
	raft_progress_collect(raft);
	raft_transfer_collect(raft);
	raft_elect_collect(raft);
	raft_answer_collect(raft);
	for (i = 0; i < out->sends_count; i++) {
		struct raft_outgoing *outgoing = &out->sends[i];

		if (outgoing->message.entries_count > 0)
			outgoing->message.entries =
			    &out->arena[outgoing->arena_offset];
		raft_out_op(raft, RAFT_OP_SEND)->send = (struct raft_op_send){
			.message = &outgoing->message,
			.first = outgoing->first,
		};
	}
}

/* Gives the PERSIST all that the log has for the disk. */
static void
hand_log(struct raft *raft, struct raft_op_persist *persist)
{
	struct raft_log *log = &raft->log;

	persist->truncate_from = log->truncate_from;
	if (log->handed_index < log->last_index) {
		persist->first = log->handed_index + 1;
		persist->last = log->last_index;
	}
	log->handed_index = log->last_index;
	log->truncate_from = 0;
	raft_answer_handed(raft);
}

/* The log that is kept has its turn with the next PERSIST; else it is gone. */
static void
hand_reset(struct raft *raft, struct raft_op_persist *persist)
{
	persist->reset_index = raft->install.index;
	persist->reset_term = raft->install.term;
	persist->reset_keeps = raft->install.keeps;
	if (raft->install.keeps)
		return;
	raft->log.handed_index = raft->log.last_index;
	raft->log.truncate_from = 0;
	raft_answer_handed(raft);
}

/*
 * Term and vote go in one record with the entries (A12, E1). One PERSIST is
 * open at a time: what arises meanwhile makes the next one (F17).
 */
static void
collect_persist(struct raft *raft)
{
	struct raft_persist *persist = &raft->persist;
	const struct raft_log *log = &raft->log;
	struct raft_op *op;

	if (persist->open)
		return;
	if (persist->term == raft->term && persist->vote == raft->vote &&
	    persist->repair_until == raft->repair.until &&
	    log->truncate_from == 0 && !raft_installing(raft) &&
	    (log->handed_index == log->last_index || raft_progress_waits(raft)))
		return;
	op = raft_out_op(raft, RAFT_OP_PERSIST);
	op->persist = (struct raft_op_persist){
		.ticket = ++persist->ticket,
		.term = raft->term,
		.vote = raft->vote,
		.repair_until = raft->repair.until,
		.repair_term = raft->repair.term,
		.commit_index = log->commit_index,
	};
	if (raft_installing(raft))
		hand_reset(raft, &op->persist);
	else
		hand_log(raft, &op->persist);
	persist->open = true;
	persist->opened_at = raft->now;
	persist->term = raft->term;
	persist->vote = raft->vote;
	persist->repair_until = raft->repair.until;
}

/*
 * Only what is durable here too: the state machine is then never ahead of the
 * log that would have to explain it after a crash.
 */
static void
collect_apply(struct raft *raft)
{
	raft_index last = MIN(raft->log.commit_index, raft->log.durable_index);

	/* What an open PERSIST is about to replace stays as it is. */
	if (last <= raft->applying_index || raft_installing(raft) ||
	    raft_state_lost(raft))
		return;
	raft_out_op(raft, RAFT_OP_APPLY)->apply = (struct raft_op_apply){
		.first = raft->applying_index + 1,
		.last = last,
	};
	raft->applying_index = last;
}

static void
collect_role(struct raft *raft)
{
	struct raft_op_role *told = &raft->out.role_told;

	if (told->role == raft->role && told->term == raft->term &&
	    told->leader == raft->leader)
		return;
	*told = (struct raft_op_role){
		.role = raft->role,
		.term = raft->term,
		.leader = raft->leader,
	};
	raft_out_op(raft, RAFT_OP_ROLE)->role = *told;
}

static void
collect_notices(struct raft *raft)
{
	struct raft_out *out = &raft->out;
	size_t i;

	if (out->members_changed)
		raft_out_op(raft, RAFT_OP_MEMBERS)->members = raft_active(raft);
	out->members_changed = false;
	collect_role(raft);
	for (i = 0; i < out->alarms_count; i++)
		raft_out_op(raft, RAFT_OP_ALARM)->alarm = out->alarms[i];
	out->alarms_count = 0;
	if (raft->role != RAFT_STOPPED || out->fatal_told)
		return;
	raft_out_op(raft, RAFT_OP_FATAL)->fatal = out->fatal;
	out->fatal_told = true;
}

void
raft_take(struct raft *raft, struct raft_ops *ret_ops)
{
	struct raft_out *out = &raft->out;
	bool works = raft->role != RAFT_STOPPED;
	size_t i;

	out->sends_count = 0;
	out->arena_count = 0;
	out->arena_entries = 0;
	out->ops_count = 0;
	if (works) {
		collect_sends(raft);
		collect_persist(raft);
	}
	for (i = 0; i < out->dropped_count; i++)
		raft_out_op(raft, RAFT_OP_DROPPED)->dropped = out->dropped[i];
	out->dropped_count = 0;
	if (works) {
		raft_snapshot_collect(raft);
		collect_apply(raft);
	}
	raft_read_collect(raft);
	collect_notices(raft);
	*ret_ops = (struct raft_ops){
		.op = out->ops,
		.count = out->ops_count,
	};
}
