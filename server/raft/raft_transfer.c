/*
 * Owns the transfer of the leadership (thesis 3.10).
 *
 *	         asked for                 target holds all
 *	idle ---------------> catching up ------------------> told
 *	 ^                        |                            |
 *	 +------ too late --------+-- too late, or deposed ----+
 *
 * While it lasts no proposals are taken, so that the target can hold all. What
 * TIMEOUT_NOW sets off cannot be called back: the target's requests, which
 * voters grant although they have just heard this leader, may come at any
 * time later. So a leader that has told anybody serves no reads by leases for
 * the rest of its term (I16).
 */

#include "raft/raft_impl.h"

/* It is there, and would campaign if it were told to. */
static bool
ready(const struct raft *raft, const struct raft_peer *peer)
{
	return peer->heard_at != 0 && !raft_peer_damaged(peer) &&
	       raft->now - peer->heard_at < raft->params.election_timeout;
}

/* The voter that is ready and holds most; 0 if there is none (I18). */
static raft_id
best_target(const struct raft *raft)
{
	const struct raft_members *members = raft_active(raft);
	const struct raft_peer *best = NULL;
	unsigned i;

	for (i = 0; i < members->count; i++) {
		const struct raft_peer *peer = &raft->peers[i];

		if (peer->id == raft->params.id ||
		    !raft_members_voter(members, peer->id) ||
		    !ready(raft, peer))
			continue;
		if (best == NULL || peer->match_index > best->match_index)
			best = peer;
	}
	return best == NULL ? 0 : best->id;
}

static void
begin(struct raft *raft, raft_id target, raft_usec timeout)
{
	raft->transfer.target = target;
	raft->transfer.deadline = raft->now + timeout;
	raft->transfer.told_at = 0;
}

int
raft_transfer(struct raft *raft, raft_usec now, raft_id target)
{
	const struct raft_members *active = raft_active(raft);
	const struct raft_peer *peer = raft_peer_find(raft, target);

	if (raft->role == RAFT_STOPPED)
		return ERR_STOPPED;
	raft->now = MAX(raft->now, now);
	if (raft->role != RAFT_LEADER)
		return ERR_NOT_LEADER;
	if (target == raft->params.id ||
	    (target != 0 && !raft_members_voter(active, target)))
		return ERR_INVALID;
	if (active->joint || active->index > raft->log.commit_index)
		return ERR_BUSY;
	if (raft->transfer.target != 0 &&
	    (target == 0 || target == raft->transfer.target))
		return 0;
	if (target == 0)
		target = best_target(raft);
	else if (!ready(raft, peer))
		target = 0;
	if (target == 0)
		return ERR_NOT_FOUND;
	begin(raft, target, raft->params.transfer_timeout);
	return 0;
}

bool
raft_transfer_leave(struct raft *raft)
{
	raft_id target = best_target(raft);

	/* If it comes to nothing the others elect, and need as long. */
	if (target != 0)
		begin(raft, target, raft->params.election_timeout);
	return target != 0;
}

bool
raft_transfer_voids_lease(const struct raft *raft)
{
	return raft->transfer.target != 0 || raft->transfer.told;
}

/* When the target is to be told next; RAFT_NEVER while it lacks something. */
static raft_usec
tell_at(const struct raft *raft)
{
	const struct raft_transfer *transfer = &raft->transfer;
	int i = raft_members_find(raft_active(raft), transfer->target);

	if (raft->role != RAFT_LEADER || i < 0 ||
	    raft_peer_damaged(&raft->peers[i]) ||
	    raft->peers[i].match_index != raft->log.last_index)
		return RAFT_NEVER;
	return transfer->told_at == 0
		   ? raft->now
		   : transfer->told_at + raft->params.heartbeat_interval;
}

void
raft_transfer_collect(struct raft *raft)
{
	struct raft_message *message;

	if (raft->now < tell_at(raft))
		return;
	message =
	    raft_out_message(raft, RAFT_TIMEOUT_NOW, raft->transfer.target);
	message->sequence = ++raft->sequence;
	message->last_index = raft->log.last_index;
	message->last_term = raft_log_last_term(&raft->log);
	raft->transfer.told_at = raft->now;
	raft->transfer.told = true;
}

void
raft_transfer_timeout(struct raft *raft)
{
	if (raft->transfer.target == 0 || raft->now < raft->transfer.deadline)
		return;
	raft->transfer.target = 0;
	/* A leader that is no member any longer does not lead on. */
	if (!raft_members_voter(raft_active(raft), raft->params.id))
		raft_become_follower(raft, raft->term, 0);
}

raft_usec
raft_transfer_deadline(const struct raft *raft)
{
	return raft->transfer.target == 0
		   ? RAFT_NEVER
		   : MIN(raft->transfer.deadline, tell_at(raft));
}

void
raft_transfer_told(struct raft *raft, const struct raft_message *message)
{
	const struct raft_log *log = &raft->log;

	/* What was meant for another term, or another log, is too late (I11),
	 * and what is not on the disk here is not there yet (I12). */
	if (message->term != raft->term || message->from != raft->term_leader)
		return;
	if (message->last_index != log->last_index ||
	    message->last_term != raft_log_last_term(log) ||
	    log->durable_index != log->last_index)
		return;
	if (raft->role != RAFT_FOLLOWER && raft->role != RAFT_PRECANDIDATE)
		return;
	if (!raft_elect_allowed(raft) || raft_installing(raft) ||
	    raft_disk_stalled(raft))
		return;
	raft_become_candidate(raft, true);
}
