/*
 * Owns what damage took from a log, and how it is made good.
 *
 * A node that acknowledged entries and finds at a start that some of them can
 * no longer be read cuts its log before the first of these, and in the same
 * durable commit notes how far the log reached (repair_until) and in which term
 * (repair_term): an upper bound of all that it ever acknowledged. From then on
 * it is a member whose promises are older than its log:
 *
 *	- it does not campaign, for its log may lack what is committed;
 *	- it votes as if its log ended at (repair_term, repair_until) too, behind
 *	  which none of its logs ever ended: a candidate that is not behind
 *	  that has all that it acknowledged (section 5.4.1). Voting for nobody
 *	  would leave two nodes that were restarted at once with nobody to
 *	  repair the one;
 *	- it acknowledges what it holds, for that is true.
 *
 * It is whole again, and votes by its log alone, when that is durable and
 *
 *	(1) is known to equal that of a leader, or what is committed, up to
 *	    repair_until; or
 *	(2) holds a committed entry of a term above repair_term.
 *
 * Why that is safe. Let E be an entry of term t that is, or may yet become,
 * committed by counting the lost acknowledgement of it; it was given in a term
 * not above repair_term, so t <= repair_term too. Leader completeness rests on
 * one voter that acknowledged E before it voted for the next leader, and that
 * votes by a log that has E. Take any leader of a later term than the one in
 * which E was acknowledged. Its voters include one, Z, that had acknowledged E
 * before, and voted by a log that had E, or by a position that is not before
 * the end of such a log. Either way the leader has E. If its last term is above
 * that of the log, the leader of that last term had E, by induction, and it has
 * that one's entries. If both are the same, as can be for repair_term only if
 * the lost log ended in it too, its log is of the same leader, and is not
 * shorter. As E stays with whoever holds it, this holds for each leader after
 * it, however many nodes are being repaired, as long as those that have become
 * whole hold what counts of what they acknowledged:
 *
 *	(1) The leader that is followed is of repair_term or later: it is the
 *	    one that E was acknowledged to, or a later one, and has E, at an
 *	    index not above repair_until. And there is one history of what is
 *	    committed: whoever holds that up to repair_until holds E.
 *	(2) The entry's leader was elected in a term above repair_term, and has
 *	    E, which has a lower term and so lies before the entry: both logs
 *	    agree there (log matching). Whatever else was lost is not in that
 *	    leader's log, which is why nobody will ever commit it.
 *
 * It becomes so at once, not only when (0, 0) is durable: all that it rests on
 * is, votes leave with or after the PERSIST that stores it, and a crash in
 * between leaves a node that is more careful than it needs to be.
 *
 * A leader keeps counting what such a peer had acknowledged before: that moved
 * the commit index, which never goes back, and the argument above is that it
 * was right to. It only learns that entries must be sent again, and does so
 * from what the peer still holds. A peer that has less than it said and does
 * not say why is another matter: see RAFT_ALARM_LOST_TAIL.
 *
 * A node whose log is whole, but whose state machine ends before the log
 * begins, votes and acknowledges as ever, for both are about the log. It waits
 * for a snapshot to have something to apply to, see raft_snapshot.c, and would
 * be of no use as a leader.
 */

#include "raft/raft_impl.h"

/* How much of the durable log is that of all leaders from here on. */
static raft_index
settled(const struct raft *raft)
{
	const struct raft_log *log = &raft->log;

	return MIN(
	    MAX(raft->verified_index, log->commit_index), log->durable_index);
}

void
raft_repair_check(struct raft *raft)
{
	const struct raft_log *log = &raft->log;
	raft_index committed = MIN(log->commit_index, log->durable_index);

	if (!raft_repairing(raft))
		return;
	if (settled(raft) < raft->repair.until &&
	    raft_log_term(log, committed) <= raft->repair.term)
		return;
	raft->repair = (struct raft_repair){ .until = 0 };
}

bool
raft_repair_covers(const struct raft *raft, const struct raft_message *message)
{
	const struct raft_repair *repair = &raft->repair;

	if (message->last_term != repair->term)
		return message->last_term > repair->term;
	return message->last_index >= repair->until;
}

bool
raft_repair_bars(const struct raft *raft)
{
	return raft_repairing(raft) || raft_state_lost(raft);
}

bool
raft_is_damaged(const struct raft *raft)
{
	return raft_repair_bars(raft);
}

/* ---- The leader's side ---- */

bool
raft_repair_wants(const struct raft *raft, const struct raft_peer *peer)
{
	/* What this leader cannot give yet, maybe for want of this peer's
	 * acknowledgements, is not waited for. */
	return peer->snapshot_wanted != 0 &&
	       peer->snapshot_wanted <= raft->applied_index;
}

/* It holds all up to `held`, and of what it had more, nothing. */
static void
move_back(struct raft *raft, struct raft_peer *peer, raft_index held)
{
	peer->match_index = held;
	peer->match_sequence = raft->sequence;
	if (peer->state == RAFT_PEER_REPLICATE)
		raft_progress_probe(raft, peer);
	else if (peer->state == RAFT_PEER_SNAPSHOT)
		peer->next_index = MAX(held, raft->log.compacted_index) + 1;
}

static void
tell(struct raft *raft, struct raft_peer *peer, uint64_t boot_id)
{
	if (peer->alarmed_boot_id == boot_id)
		return;
	peer->alarmed_boot_id = boot_id;
	raft_out_alarm(raft, RAFT_ALARM_REPAIRING, peer->id, peer->match_index);
}

void
raft_repair_heard(struct raft *raft, struct raft_peer *peer,
    const struct raft_message *message)
{
	raft_index held =
	    message->success ? message->match_index : message->hint_index;

	peer->repairing = message->repairing;
	/* Older ones are of the time before the snapshot that is there now. */
	if (message->sequence > peer->snapshot_sequence)
		peer->snapshot_wanted = message->snapshot_wanted;
	/* Only who was asked after it had said more has lost something. */
	if (message->repairing && held < peer->match_index &&
	    message->sequence > peer->match_sequence) {
		move_back(raft, peer, held);
		tell(raft, peer, message->boot_id);
	}
	if (raft_repair_wants(raft, peer))
		raft_snapshot_need(raft, peer);
}
