/*
 * Owns elections (section 5.2 and 5.4.1; thesis 9.6 for pre-votes, 4.2.3 for
 * voters that do not let a live leader be disturbed).
 *
 * A campaign asks first whether a quorum would vote, which changes nothing
 * anywhere, and only then takes a new term. The request for the real vote
 * advertises what is durable and leaves after (term, own vote) is durable: a
 * node that crashed in between and campaigned again in the same term with a
 * shorter log could otherwise be elected by grants to its former life (A20).
 */

#include "raft/raft_impl.h"

#include "common/panic.h"

void
raft_elect_reset(struct raft *raft)
{
	raft_usec low = raft->params.election_timeout;
	raft_usec high = 2 * raft->params.election_timeout;

	/* The leader's process is gone: nobody is given time to come back, but
	 * the followers must not all start at the same moment. */
	if (raft->fast_campaigns > 0) {
		low = raft->params.heartbeat_interval / 2;
		high = raft->params.heartbeat_interval;
	}
	raft->deadline = raft->now + rng_between(&raft->rng, low, high);
}

bool
raft_elect_allowed(const struct raft *raft)
{
	raft_id id = raft->params.id;

	if (raft_repair_bars(raft))
		return false;
	return raft_members_voter(raft_active(raft), id) ||
	       raft_members_voter(raft_history_committed(
				      &raft->history, raft->log.commit_index),
		   id);
}

bool
raft_elect_sticky(const struct raft *raft)
{
	/* A leader that has lost its quorum steps down by itself. */
	return raft->role == RAFT_LEADER || raft->now < raft->sticky_until;
}

void
raft_elect_begin(struct raft *raft)
{
	const struct raft_members *members = raft_active(raft);
	unsigned i;

	for (i = 0; i < members->count; i++) {
		struct raft_peer *peer = &raft->peers[i];

		peer->verdict = RAFT_VERDICT_NONE;
		peer->ask = peer->id != raft->params.id &&
			    raft_members_voter(members, peer->id);
	}
	raft->campaign_sequence = raft->sequence + 1;
	raft_elect_reset(raft);
}

enum outcome { OUTCOME_OPEN, OUTCOME_WON, OUTCOME_LOST };

static enum outcome
outcome(const struct raft *raft)
{
	const struct raft_members *members = raft_active(raft);
	uint64_t yes[RAFT_MEMBERS_MAX];
	uint64_t not_no[RAFT_MEMBERS_MAX];
	/* The own vote counts when it would survive a crash (A18). */
	bool own = raft->role == RAFT_PRECANDIDATE || raft_vote_durable(raft);
	unsigned i;

	for (i = 0; i < members->count; i++) {
		const struct raft_peer *peer = &raft->peers[i];
		bool self = peer->id == raft->params.id;

		yes[i] = self ? own : peer->verdict == RAFT_VERDICT_YES;
		not_no[i] = self || peer->verdict != RAFT_VERDICT_NO;
	}
	if (raft_quorum_value(members, yes) == 1)
		return OUTCOME_WON;
	return raft_quorum_value(members, not_no) == 1 ? OUTCOME_OPEN
						       : OUTCOME_LOST;
}

void
raft_elect_count(struct raft *raft)
{
	if (raft->role != RAFT_PRECANDIDATE && raft->role != RAFT_CANDIDATE)
		return;
	switch (outcome(raft)) {
	case OUTCOME_OPEN: return;
	case OUTCOME_LOST:
		/* The deadline of the campaign stands for the next one. */
		raft_become_follower(raft, raft->term, 0);
		return;
	case OUTCOME_WON: break;
	}
	if (raft->role == RAFT_CANDIDATE) {
		raft_become_leader(raft);
		return;
	}
	raft_become_candidate(raft, false);
}

void
raft_elect_timeout(struct raft *raft)
{
	if (raft->now < raft->deadline)
		return;
	/* Who may not campaign still notices that its leader is gone. */
	if (!raft_elect_allowed(raft)) {
		if (raft->leader != 0)
			raft_become_follower(raft, raft->term, 0);
		raft_elect_reset(raft);
		return;
	}
	/* With an install open the log is about to be another (A32). */
	if (raft_installing(raft) || raft_disk_stalled(raft)) {
		raft_elect_reset(raft);
		return;
	}
	if (raft->fast_campaigns > 0)
		raft->fast_campaigns--;
	raft_become_precandidate(raft);
	raft_elect_count(raft);
}

/* Section 5.4.1: the candidate's log is at least as up to date as ours. */
static bool
up_to_date(const struct raft *raft, const struct raft_message *message)
{
	raft_term last_term = raft_log_last_term(&raft->log);

	if (message->last_term != last_term)
		return message->last_term > last_term;
	return message->last_index >= raft->log.last_index;
}

/* Whether a vote in message->term, not below our term, can be given. */
static bool
would_vote(const struct raft *raft, const struct raft_message *message)
{
	/* A leader that asked for the campaign is not disturbed by it. */
	if (raft_elect_sticky(raft) && !message->transfer)
		return false;
	/* The log alone no longer says what the candidate has to have. */
	if (!raft_repair_covers(raft, message))
		return false;
	if (message->term == raft->term) {
		if (raft->vote != 0 && raft->vote != message->from)
			return false;
		if (raft->term_leader != 0 &&
		    raft->term_leader != message->from)
			return false;
	}
	return up_to_date(raft, message);
}

void
raft_elect_prerequest(struct raft *raft, const struct raft_message *message)
{
	struct raft_answer *answer = raft_answer_vote(raft, message);

	if (answer == NULL)
		return;
	answer->term = message->term;
	answer->positive =
	    message->term >= raft->term && would_vote(raft, message);
}

void
raft_elect_request(struct raft *raft, const struct raft_message *message)
{
	/* A higher term was taken over already, unless a leader is alive. */
	bool grant = message->term == raft->term && would_vote(raft, message);
	struct raft_answer *answer;

	if (grant) {
		/* Votes other than for itself are given by followers only: a
		 * candidate's vote in its term is its own. */
		ASSERT(raft->role == RAFT_FOLLOWER ||
		       raft->role == RAFT_PRECANDIDATE);
		if (raft->role == RAFT_PRECANDIDATE)
			raft_become_follower(raft, raft->term, 0);
		raft->vote = message->from;
		raft->fast_campaigns = 0;
		raft_elect_reset(raft);
	}
	answer = raft_answer_vote(raft, message);
	if (answer == NULL)
		return;
	answer->term = raft->term;
	answer->positive = grant;
}

void
raft_elect_response(struct raft *raft, const struct raft_message *message)
{
	enum raft_role role = message->kind == RAFT_PREVOTE_RESPONSE
				  ? RAFT_PRECANDIDATE
				  : RAFT_CANDIDATE;
	raft_term term = role == RAFT_PRECANDIDATE && message->granted
			     ? raft->term + 1
			     : raft->term;
	struct raft_peer *peer = raft_peer_find(raft, message->from);

	/* Late ones of an earlier campaign count nowhere (A5, B3). */
	if (raft->role != role || peer == NULL)
		return;
	if (message->sequence < raft->campaign_sequence)
		return;
	/* A refusal of a pre-vote comes from lower terms too. */
	if (message->granted && message->term != term)
		return;
	peer->verdict = message->granted ? RAFT_VERDICT_YES : RAFT_VERDICT_NO;
	raft_elect_count(raft);
}

void
raft_elect_collect(struct raft *raft)
{
	const struct raft_members *members = raft_active(raft);
	const struct raft_log *log = &raft->log;
	bool pre = raft->role == RAFT_PRECANDIDATE;
	unsigned i;

	if (!pre && raft->role != RAFT_CANDIDATE)
		return;
	if (!pre && !raft_vote_durable(raft))
		return;
	for (i = 0; i < members->count; i++) {
		struct raft_peer *peer = &raft->peers[i];
		struct raft_message *message;

		if (!peer->ask)
			continue;
		peer->ask = false;
		message = raft_out_message(raft,
		    pre ? RAFT_PREVOTE_REQUEST : RAFT_VOTE_REQUEST, peer->id);
		message->sequence = ++raft->sequence;
		message->term = pre ? raft->term + 1 : raft->term;
		message->transfer = !pre && raft->campaign_transfer;
		message->last_index = log->durable_index;
		message->last_term = raft_log_term(log, log->durable_index);
	}
}
