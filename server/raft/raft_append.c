/*
 * Owns what a follower does with an append (section 5.3, figure 2): is the
 * sender this term's leader, does its log agree with ours at prev_index, what
 * is new, how far is it known to agree, and so how far is it committed.
 *
 * verified_index is the last entry known equal to the log of this term's
 * leader. A follower may hold a longer log of older terms: nothing behind
 * verified_index is committed or acknowledged, whatever the leader's commit
 * index says (D13).
 */

#include "raft/raft_impl.h"

#include "common/panic.h"

static void
refuse(struct raft *raft, const struct raft_message *message,
    raft_index hint_index)
{
	struct raft_answer *answer = raft_answer_append(raft, message, 0);

	if (answer == NULL)
		return;
	answer->hint_index = hint_index;
	answer->hint_term = raft_log_term(&raft->log, hint_index);
}

/*
 * Where the leader should look next: an entry of a term above prev_term
 * cannot be in its log at or before prev_index, so whole runs are skipped.
 * This never gets below what is committed, which is in the leader's log.
 */
static raft_index
hint(const struct raft *raft, const struct raft_message *message)
{
	raft_index index = MIN(message->prev_index, raft->log.last_index);

	return raft_log_find(&raft->log, index, message->prev_term);
}

/* Takes message->from as the leader of this term and lets it be heard. */
static void
follow(struct raft *raft, const struct raft_message *message)
{
	if (raft->role != RAFT_FOLLOWER || raft->leader != message->from)
		raft_become_follower(raft, raft->term, message->from);
	raft->fast_campaigns = 0;
	raft->sticky_until = raft->now + raft->params.election_timeout;
	raft_elect_reset(raft);
}

/* Section 5.3: both logs agree up to prev_index if they do at it. */
static bool
prev_matches(struct raft *raft, const struct raft_message *message)
{
	const struct raft_log *log = &raft->log;

	if (message->prev_index > log->last_index)
		return false;
	/* Cut entries were committed, they are the same everywhere. */
	if (message->prev_index < log->compacted_index)
		return true;
	if (raft_log_term(log, message->prev_index) == message->prev_term)
		return true;
	if (message->prev_index <= log->commit_index)
		raft_stop(raft,
		    "a leader's log conflicts with what is committed",
		    message->prev_index);
	return false;
}

/*
 * The offset of the first entry that is not in the log yet. Those that are
 * there stay, also when the request is an old, short one (C5).
 */
static uint32_t
count_known(const struct raft *raft, const struct raft_message *message)
{
	const struct raft_log *log = &raft->log;
	uint32_t i;

	for (i = 0; i < message->entries_count; i++) {
		raft_index index = message->prev_index + 1 + i;

		if (index < log->compacted_index)
			continue;
		if (index > log->last_index)
			break;
		if (raft_log_term(log, index) != message->entries[i].term)
			break;
	}
	return i;
}

/* False if the append would change what is committed. */
static bool
take_entries(struct raft *raft, const struct raft_message *message,
    struct raft_accepted *ret_accepted)
{
	uint32_t known = count_known(raft, message);
	raft_index first = message->prev_index + 1 + known;
	uint32_t i;

	if (known == message->entries_count)
		return true;
	if (first <= raft->log.commit_index) {
		raft_stop(raft,
		    "a leader's entry conflicts with what is committed", first);
		return false;
	}
	/* A leader only appends in its term (section 5.3). */
	if (first <= raft->verified_index) {
		raft_stop(
		    raft, "a leader's log changed within its term", first);
		return false;
	}
	if (first <= raft->log.last_index)
		raft_cut_entries(raft, first);
	ASSERT(first == raft->log.last_index + 1);
	for (i = known; i < message->entries_count; i++)
		raft_append_entry(raft, &message->entries[i]);
	*ret_accepted = (struct raft_accepted){
		.first = first,
		.offset = known,
		.count = message->entries_count - known,
	};
	return true;
}

static void
learn_commit(struct raft *raft, const struct raft_message *message)
{
	struct raft_log *log = &raft->log;
	raft_index commit = MIN(message->commit_index, raft->verified_index);

	if (commit > log->commit_index)
		raft_log_commit(log, commit);
	raft->everywhere_index = MAX(raft->everywhere_index,
	    MIN(message->everywhere_index, log->durable_index));
}

void
raft_append_request(struct raft *raft, const struct raft_message *message,
    struct raft_accepted *ret_accepted)
{
	struct raft_answer *answer;
	raft_index equal;

	if (message->term < raft->term) {
		/* The new term in the answer is all that counts. */
		(void)raft_answer_append(raft, message, 0);
		return;
	}
	ASSERT(message->term == raft->term);
	/* Election safety (section 5.2, A35). */
	if (raft->term_leader != 0 && raft->term_leader != message->from) {
		raft_stop(raft, "two leaders in one term", message->prev_index);
		return;
	}
	follow(raft, message);
	/* The log that this would be put behind is about to be replaced: it
	 * comes again (G15). */
	if (raft_installing(raft)) {
		refuse(raft, message, hint(raft, message));
		return;
	}
	if (!prev_matches(raft, message)) {
		if (raft->role != RAFT_STOPPED)
			refuse(raft, message, hint(raft, message));
		return;
	}
	if (!take_entries(raft, message, ret_accepted))
		return;
	equal = message->prev_index + message->entries_count;
	equal = MAX(equal, raft->log.compacted_index);
	raft->verified_index = MAX(raft->verified_index, equal);
	learn_commit(raft, message);
	raft_repair_check(raft);
	answer = raft_answer_append(raft, message, raft->verified_index);
	if (answer != NULL)
		answer->positive = true;
}
