/*
 * Owns the answers that this node owes: every request gets one, but none
 * leaves before what it promises is durable (section 5, "before responding
 * to RPCs"; thesis 3.8).
 *
 * An answer is judged when its request arrives and composed when it leaves.
 * In between the term may have changed, which turns consent into refusal
 * (E5), and more requests of the same sender may have come: the newest is
 * answered, for all (F18). Appends need two places, since those that the open
 * PERSIST covers are answered before those that came after it (E3).
 */

#include "raft/raft_impl.h"

#include "common/panic.h"

static struct raft_caller *
find_caller(struct raft *raft, raft_id id)
{
	size_t i;

	for (i = 0; i < raft->callers_count; i++) {
		if (raft->callers[i].id == id)
			return &raft->callers[i];
	}
	if (raft->callers_count == RAFT_CALLERS_MAX)
		return NULL;
	raft->callers[raft->callers_count] = (struct raft_caller){ .id = id };
	return &raft->callers[raft->callers_count++];
}

static struct raft_answer *
owe(struct raft_answer *answer, const struct raft_message *message)
{
	/* A duplicate or late one: the newer request is answered for both. */
	if (answer->owed && answer->boot_id == message->boot_id &&
	    answer->sequence > message->sequence)
		return NULL;
	*answer = (struct raft_answer){
		.owed = true,
		.sequence = message->sequence,
		.boot_id = message->boot_id,
		.round = message->round,
		.sent_at = message->sent_at,
		.rejected_index = message->prev_index,
		.entries = message->entries_count > 0,
	};
	return answer;
}

struct raft_answer *
raft_answer_vote(struct raft *raft, const struct raft_message *message)
{
	struct raft_caller *caller = find_caller(raft, message->from);

	if (caller == NULL)
		return NULL;
	return owe(message->kind == RAFT_VOTE_REQUEST ? &caller->vote
						      : &caller->prevote,
	    message);
}

struct raft_answer *
raft_answer_append(
    struct raft *raft, const struct raft_message *message, raft_index need)
{
	struct raft_caller *caller = find_caller(raft, message->from);
	struct raft_answer *answer;

	if (caller == NULL)
		return NULL;
	answer = owe(need > raft->log.handed_index ? &caller->append_later
						   : &caller->append_handed,
	    message);
	if (answer == NULL)
		return NULL;
	answer->term = raft->term;
	answer->need = need;
	return answer;
}

struct raft_answer *
raft_answer_read(struct raft *raft, const struct raft_message *message)
{
	struct raft_caller *caller = find_caller(raft, message->from);
	struct raft_answer *answer;

	if (caller == NULL)
		return NULL;
	answer = owe(&caller->read, message);
	if (answer != NULL)
		answer->term = raft->term;
	return answer;
}

void
raft_answer_handed(struct raft *raft)
{
	size_t i;

	for (i = 0; i < raft->callers_count; i++) {
		struct raft_caller *caller = &raft->callers[i];

		if (!caller->append_later.owed)
			continue;
		caller->append_handed = caller->append_later;
		caller->append_later = (struct raft_answer){ .owed = false };
	}
}

/*
 * An answer that acknowledges nothing new does not wait for a slow disk: the
 * sender shall know that this node is alive (E13).
 */
static bool
passes_slow_disk(const struct raft *raft, const struct raft_answer *answer)
{
	return !answer->entries && raft->persist.open &&
	       raft->now - raft->persist.opened_at >=
		   raft->params.heartbeat_interval;
}

static struct raft_message *
compose(struct raft *raft, enum raft_message_kind kind, raft_id to,
    struct raft_answer *answer)
{
	struct raft_message *message = raft_out_message(raft, kind, to);

	message->to_boot_id = answer->boot_id;
	message->sequence = answer->sequence;
	answer->owed = false;
	return message;
}

static void
collect_prevote(struct raft *raft, struct raft_caller *caller)
{
	struct raft_answer *answer = &caller->prevote;
	struct raft_message *message;

	if (!answer->owed)
		return;
	message = compose(raft, RAFT_PREVOTE_RESPONSE, caller->id, answer);
	message->granted = answer->positive && answer->term >= raft->term;
	if (message->granted)
		message->term = answer->term;
}

static void
collect_vote(struct raft *raft, struct raft_caller *caller)
{
	struct raft_answer *answer = &caller->vote;
	struct raft_message *message;

	if (!answer->owed)
		return;
	message = compose(raft, RAFT_VOTE_RESPONSE, caller->id, answer);
	message->granted = answer->positive && answer->term == raft->term;
	if (message->granted)
		ASSERT(raft->persist.durable_vote == caller->id);
}

static void
collect_append(
    struct raft *raft, struct raft_caller *caller, struct raft_answer *answer)
{
	const struct raft_log *log = &raft->log;
	struct raft_message *message;
	bool current = answer->term == raft->term;

	if (!answer->owed)
		return;
	if (current && answer->need > log->durable_index &&
	    !passes_slow_disk(raft, answer))
		return;
	message = compose(raft, RAFT_APPEND_RESPONSE, caller->id, answer);
	message->round = answer->round;
	message->sent_at = answer->sent_at;
	message->success = answer->positive && current;
	message->repairing = raft_repairing(raft);
	if (raft_state_lost(raft))
		message->snapshot_wanted = log->compacted_index;
	if (raft->params.lease_reads && !message->repairing)
		message->promise = raft->params.election_timeout;
	if (message->success) {
		message->match_index =
		    MIN(raft->verified_index, log->durable_index);
		return;
	}
	message->rejected_index = answer->rejected_index;
	message->hint_index = answer->hint_index;
	message->hint_term = answer->hint_term;
}

static void
collect_read(struct raft *raft, struct raft_caller *caller)
{
	struct raft_answer *answer = &caller->read;
	bool leads = raft->role == RAFT_LEADER && answer->term == raft->term;
	struct raft_message *message;

	if (!answer->owed)
		return;
	if (answer->positive && leads &&
	    (answer->round > raft->round_confirmed ||
		raft->log.commit_index < raft->term_start))
		return;
	message = compose(raft, RAFT_READ_RESPONSE, caller->id, answer);
	message->success = answer->positive && leads;
	if (message->success)
		message->read_index = answer->need;
}

static bool
owed_any(const struct raft_caller *caller)
{
	return caller->prevote.owed || caller->vote.owed ||
	       caller->append_handed.owed || caller->append_later.owed ||
	       caller->read.owed;
}

void
raft_answer_collect(struct raft *raft)
{
	size_t i = 0;

	/* Any answer tells our term, and a term told is a term kept (A1). */
	if (!raft_vote_durable(raft))
		return;
	while (i < raft->callers_count) {
		struct raft_caller *caller = &raft->callers[i];

		collect_prevote(raft, caller);
		collect_vote(raft, caller);
		collect_append(raft, caller, &caller->append_handed);
		collect_append(raft, caller, &caller->append_later);
		collect_read(raft, caller);
		if (owed_any(caller))
			i++;
		else
			*caller = raft->callers[--raft->callers_count];
	}
}

raft_usec
raft_answer_deadline(const struct raft *raft)
{
	size_t i;

	if (!raft->persist.open || !raft_vote_durable(raft))
		return RAFT_NEVER;
	for (i = 0; i < raft->callers_count; i++) {
		const struct raft_caller *caller = &raft->callers[i];

		if ((caller->append_handed.owed &&
			!caller->append_handed.entries) ||
		    (caller->append_later.owed &&
			!caller->append_later.entries))
			return raft->persist.opened_at +
			       raft->params.heartbeat_interval;
	}
	return RAFT_NEVER;
}
