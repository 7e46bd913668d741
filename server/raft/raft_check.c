/*
 * Owns what must be true between two events: each sentence as code, in the
 * order of the parts of `struct raft`. The cost grows with members and runs
 * of terms, not with entries, so that it can be called after every event.
 */

#include "raft/raft_impl.h"

#include <string.h>

struct finding {
	bool holds;
	const char *sentence;
};

/* The first sentence that does not hold; NULL if all do. */
static const char *
first_broken(const struct finding *findings, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		if (!findings[i].holds)
			return findings[i].sentence;
	}
	return NULL;
}

#define BROKEN(findings) first_broken(findings, ARRAY_COUNT(findings))

static const char *
check_order(const struct raft *raft)
{
	const struct raft_log *log = &raft->log;
	const struct finding findings[] = {
		{ !raft_state_lost(raft) ||
			raft->applying_index == raft->applied_index,
		    "nothing is applied to a state that does not reach the "
		    "log" },
		{ raft->applied_index <= raft->applying_index,
		    "only what was given is applied" },
		{ raft->applying_index <= log->commit_index,
		    "only what is committed is given to be applied" },
		{ raft->applying_index <= log->durable_index,
		    "only what is durable here is given to be applied" },
		{ log->commit_index <= log->last_index,
		    "only what is in the log is committed" },
		{ log->durable_index <= log->handed_index,
		    "only what was given to a PERSIST is durable" },
		{ log->handed_index <= log->last_index,
		    "only what is in the log was given to a PERSIST" },
		{ raft->verified_index <= log->last_index,
		    "only what is in the log agrees with the leader's" },
		{ raft->everywhere_index <= log->durable_index,
		    "what every member holds is durable here" },
		{ log->truncate_from == 0 ||
			log->truncate_from == log->handed_index + 1,
		    "the disk is cut where the next PERSIST begins" },
		{ log->commit_index < log->last_index ||
			log->uncommitted_bytes == 0,
		    "the quota is free when all is committed" },
	};

	return BROKEN(findings);
}

static const char *
check_runs(const struct raft *raft)
{
	const struct raft_log *log = &raft->log;
	size_t i;

	if ((log->runs_count == 0) != (log->last_index == log->compacted_index))
		return "an empty log has no runs";
	if (log->runs_count > 0 &&
	    log->runs[0].first != log->compacted_index + 1)
		return "the first run begins with the first kept entry";
	if (log->runs_count > 0 && log->runs[0].term < log->compacted_term)
		return "terms never fall along the log";
	for (i = 1; i < log->runs_count; i++) {
		if (log->runs[i].first <= log->runs[i - 1].first)
			return "runs have entries";
		if (log->runs[i].term <= log->runs[i - 1].term)
			return "terms grow from run to run";
	}
	if (log->runs_count > 0 &&
	    log->runs[log->runs_count - 1].first > log->last_index)
		return "the last run has entries";
	if (raft_log_last_term(log) > raft->term)
		return "no entry is of a later term than this node";
	return NULL;
}

static const char *
check_history(const struct raft *raft)
{
	const struct raft_history *history = &raft->history;
	size_t i;

	if (history->count == 0)
		return "a membership is in effect";
	if (history->members[0].index > raft->log.compacted_index)
		return "the oldest membership was in effect before the log";
	for (i = 0; i < history->count; i++) {
		if (!raft_members_valid(&history->members[i]))
			return "memberships are valid";
		if (i > 0 &&
		    (history->members[i].index <= raft->log.compacted_index ||
			history->members[i].index <=
			    history->members[i - 1].index ||
			history->members[i].index > raft->log.last_index))
			return "memberships are entries of the log, in order";
	}
	for (i = 0; i < raft_active(raft)->count; i++) {
		if (raft->peers[i].id != raft_active(raft)->member[i].id)
			return "peers are the members in effect";
	}
	return NULL;
}

static const char *
check_persist(const struct raft *raft)
{
	const struct raft_persist *persist = &raft->persist;
	const struct raft_log *log = &raft->log;
	const struct finding findings[] = {
		{ persist->durable_term <= persist->term,
		    "a durable term was given to a PERSIST" },
		{ persist->term <= raft->term, "the term never goes back" },
		{ persist->open || persist->durable_term == persist->term,
		    "what was given is durable if no PERSIST is open" },
		{ persist->open || persist->durable_vote == persist->vote,
		    "the vote that was given is durable with its term" },
		{ persist->open || log->durable_index == log->handed_index,
		    "entries that were given are durable too" },
		{ persist->term < raft->term || persist->vote == 0 ||
			persist->vote == raft->vote,
		    "a vote is given once in a term (section 5.2)" },
		{ !raft_repairing(raft) ||
			persist->repair_until == raft->repair.until,
		    "damage is found at a start only" },
	};

	return BROKEN(findings);
}

static const char *
check_leader(const struct raft *raft)
{
	const struct raft_log *log = &raft->log;
	const struct finding findings[] = {
		{ raft->leader == raft->params.id, "a leader knows itself" },
		{ raft->term_leader == raft->params.id,
		    "a leader is its term's only one" },
		{ raft->vote == raft->params.id, "a leader voted for itself" },
		{ raft_vote_durable(raft), "a leader's own vote is durable" },
		{ raft->term_start > 0 && raft->term_start <= log->last_index,
		    "a leader began its term with an entry" },
		{ raft_log_last_term(log) == raft->term,
		    "a leader's last entry is its own" },
		{ raft->round_confirmed <= raft->round,
		    "only rounds that began are confirmed" },
	};

	return BROKEN(findings);
}

static const char *
check_role(const struct raft *raft)
{
	switch (raft->role) {
	case RAFT_STOPPED: return NULL;
	case RAFT_LEADER: return check_leader(raft);
	case RAFT_CANDIDATE:
		if (raft->vote != raft->params.id)
			return "a candidate votes for itself";
		return raft->leader != 0 ? "a candidate knows no leader" : NULL;
	case RAFT_PRECANDIDATE:
		return raft->leader != 0 ? "a pre-candidate knows no leader"
					 : NULL;
	case RAFT_FOLLOWER:
		if (raft->leader != 0 && raft->leader != raft->term_leader)
			return "a follower's leader is that of the term";
		return raft->leader == raft->params.id
			   ? "a follower does not follow itself"
			   : NULL;
	}
	return "the role is a known one";
}

/* Whether the entry of `next` may have been added behind `before`. */
static bool
follows(const struct raft_members *before, const struct raft_members *next)
{
	unsigned kept = 0;
	unsigned i;

	if (before->joint == next->joint)
		return !next->joint && raft_change_voters(before, next) <= 1;
	if (before->joint)
		return raft_change_voters(before, next) == 0;
	for (i = 0; i < next->count; i++) {
		raft_id id = next->member[i].id;
		int place = raft_members_find(before, id);

		kept += place >= 0;
		if (next->member[i].role_old !=
		    (place < 0 ? RAFT_MEMBER_NONE
			       : before->member[place].role_new))
			return false;
	}
	return kept == before->count;
}

/*
 * Section 6: what a leader adds has a common voter in every pair of quorums
 * with what was before, and one step is committed before the next.
 */
static const char *
check_change(const struct raft *raft)
{
	const struct raft_history *history = &raft->history;
	const struct raft_members *active = raft_active(raft);
	raft_index commit = raft->log.commit_index;
	bool settled = active->index <= commit;
	unsigned open = 0;
	size_t i;

	if (raft->role != RAFT_LEADER)
		return raft->transfer.target != 0 || raft->transfer.told
			   ? "only a leader hands the leadership over"
			   : NULL;
	for (i = 1; i < history->count; i++) {
		open += history->members[i].index > commit;
		if (history->members[i].index > raft->term_start &&
		    !follows(&history->members[i - 1], &history->members[i]))
			return "a leader changes one voter, or through a joint "
			       "membership";
	}
	if (raft->transfer.target != 0 &&
	    (!settled || active->joint ||
		!raft_members_voter(active, raft->transfer.target)))
		return "the leadership goes to a voter, not during a change";
	if (commit < raft->term_start)
		return NULL;
	if (open > 1)
		return "a leader has one membership that is not committed";
	if (settled && active->joint)
		return "a joint membership that is committed is left";
	return settled && raft->transfer.target == 0 &&
		       !raft_members_voter(active, raft->params.id)
		   ? "a leader that is out of the membership leaves its place"
		   : NULL;
}

static const char *
check_window(const struct raft *raft, const struct raft_peer *peer)
{
	raft_index last = peer->match_index;
	uint64_t bytes = 0;
	uint32_t i;

	for (i = 0; i < peer->inflight_count; i++) {
		const struct raft_inflight *inflight =
		    &peer->inflight[(peer->inflight_head + i) %
				    RAFT_INFLIGHT_MAX];

		if (inflight->last <= last)
			return "appends in flight bring something, in order";
		last = inflight->last;
		bytes += inflight->bytes;
	}
	if (bytes != peer->inflight_bytes)
		return "the window's bytes are those of its appends";
	if (peer->inflight_count > raft->params.inflight_appends_max)
		return "the window is bounded in appends";
	if (peer->inflight_count > 1 && bytes > raft->params.inflight_bytes_max)
		return "the window is bounded in bytes";
	if (peer->state != RAFT_PEER_REPLICATE)
		return peer->inflight_count > 0
			   ? "only who follows the log has a window"
			   : NULL;
	return last + 1 != peer->next_index && peer->inflight_count > 0
		   ? "what lies between match and next is in flight"
		   : NULL;
}

static const char *
check_peer(const struct raft *raft, const struct raft_peer *peer)
{
	const struct finding findings[] = {
		{ peer->match_index < peer->next_index,
		    "a peer's match is below its next" },
		{ peer->next_index <= raft->log.last_index + 1,
		    "a peer's next is at most one behind the log" },
		{ peer->next_index > raft->log.compacted_index,
		    "a peer's next is not cut" },
		{ peer->state != RAFT_PEER_SNAPSHOT ||
			peer->next_index ==
			    MAX(peer->match_index, raft->log.compacted_index) +
				1,
		    "who needs a snapshot goes on at the log's front, or "
		    "where its own log ends" },
		{ peer->state == RAFT_PEER_SNAPSHOT || !peer->snapshot_asked,
		    "only who needs a snapshot is sent one" },
		{ peer->round_echoed <= peer->round_sent ||
			peer->round_echoed == 0,
		    "a peer echoes rounds that it was sent" },
	};
	const char *broken = BROKEN(findings);

	return broken != NULL ? broken : check_window(raft, peer);
}

static const char *
check_peers(const struct raft *raft)
{
	unsigned i;

	if (raft->role != RAFT_LEADER)
		return NULL;
	for (i = 0; i < raft_active(raft)->count; i++) {
		const char *broken = NULL;

		if (raft->peers[i].id != raft->params.id)
			broken = check_peer(raft, &raft->peers[i]);
		if (broken != NULL)
			return broken;
	}
	return NULL;
}

static const char *
check_reads(const struct raft *raft)
{
	const struct raft_reads *reads = &raft->reads;
	const struct finding findings[] = {
		{ reads->failed <= reads->count,
		    "reads that failed are pending" },
		{ reads->count <= raft->params.pending_reads_max,
		    "pending reads are bounded" },
		{ raft->leader != 0 || reads->failed == reads->count,
		    "reads wait for nobody but a leader" },
		{ raft->role == RAFT_LEADER || !reads->round_wanted,
		    "only a leader begins rounds" },
		{ reads->failed + reads->asked + reads->unasked <= reads->count,
		    "reads that the leader is asked for are pending" },
		{ raft->role == RAFT_FOLLOWER ||
			reads->asked + reads->unasked == 0,
		    "only a follower asks its leader" },
		{ reads->asked_sequence <= raft->sequence,
		    "the request that was sent is answered" },
		{ raft->callers_count <= RAFT_CALLERS_MAX,
		    "owed answers are bounded" },
	};

	return BROKEN(findings);
}

static const char *
check_install(const struct raft *raft)
{
	const struct raft_install *install = &raft->install;
	const struct finding findings[] = {
		{ raft->role == RAFT_FOLLOWER || raft->role == RAFT_STOPPED,
		    "who installs a snapshot follows" },
		{ install->index > (install->keeps ? raft->applied_index
						   : raft->log.commit_index),
		    "a snapshot brings something" },
		{ !install->keeps || install->index <= raft->log.durable_index,
		    "a log that is kept holds the snapshot's entry" },
		{ install->term <= raft->term,
		    "a snapshot is of no later term than this node" },
		{ install->members.index <= install->index,
		    "a snapshot holds its membership" },
		{ raft->applying_index == raft->applied_index,
		    "nothing is applied while a snapshot is installed" },
	};

	return raft_installing(raft) ? BROKEN(findings) : NULL;
}

static const char *
check_repair(const struct raft *raft)
{
	const struct raft_repair *repair = &raft->repair;
	const struct finding findings[] = {
		{ raft->promised_until <= raft->sticky_until,
		    "a former life's promise is kept" },
		{ (repair->until == 0) == (repair->term == 0),
		    "what was lost was of some term" },
		{ repair->term <= raft->term,
		    "what was lost is of no later term" },
		{ !raft_repair_bars(raft) || raft->role == RAFT_FOLLOWER ||
			raft->role == RAFT_STOPPED,
		    "who lacks what damage took follows" },
		{ !raft_repairing(raft) ||
			MIN(raft->log.commit_index, raft->log.durable_index) <
			    repair->until,
		    "who holds what is committed up to there is whole" },
	};

	return BROKEN(findings);
}

bool
raft_check(const struct raft *raft, char *why, size_t size)
{
	static const char *(*const checks[])(const struct raft *) = {
		check_order,
		check_runs,
		check_history,
		check_persist,
		check_install,
		check_repair,
		check_role,
		check_change,
		check_peers,
		check_reads,
	};
	size_t i;

	for (i = 0; i < ARRAY_COUNT(checks); i++) {
		const char *broken = checks[i](raft);
		size_t length;

		if (broken == NULL)
			continue;
		if (size == 0)
			return false;
		length = MIN(strlen(broken), size - 1);
		memcpy(why, broken, length);
		why[length] = '\0';
		return false;
	}
	return true;
}
