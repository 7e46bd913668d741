/*
 * Owns snapshots (section 7), as far as they concern the log: which peer of a
 * leader needs one, and what becomes of this node's log when one is installed.
 * The state itself, its transfer and its place on the disk are the driver's.
 *
 *	            refused below the log
 *	PROBE ----------------------------------> SNAPSHOT
 *	  ^                                        |  |
 *	  +---- raft_snapshot_sent ----------------+  |
 *	                                              v
 *	REPLICATE <---- an acknowledgement that reaches the log
 *
 * A peer that lost its state comes there as well, as soon as this leader has a
 * state that is late enough; it holds a part of the log, and wants a snapshot
 * all the same.
 *
 * A peer in SNAPSHOT gets heartbeats and nothing else; they lie at the log's
 * front, or where the peer's ends if that is later, so that the answer to one
 * tells when the peer has got there, by whichever snapshot.
 *
 * Installing takes one PERSIST, which replaces log and state together. Until
 * it is completed this node has its old log: it votes by it, and what it
 * refuses to append it is sent again. A node that lost its state and nothing
 * else keeps the log, if the snapshot's last entry is in it: what it has
 * acknowledged behind that it must not forget.
 */

#include "raft/raft_impl.h"

#include "common/panic.h"

/* ---- The leader's side ---- */

void
raft_snapshot_need(struct raft *raft, struct raft_peer *peer)
{
	if (peer->state == RAFT_PEER_SNAPSHOT)
		return;
	raft_progress_probe(raft, peer);
	peer->state = RAFT_PEER_SNAPSHOT;
	peer->next_index =
	    MAX(peer->match_index, raft->log.compacted_index) + 1;
	peer->snapshot_asked = false;
	peer->snapshot_at = raft->now;
}

/* Whoever is silent would only hold the state of today for nothing (G7). */
static bool
wanted(const struct raft *raft, const struct raft_peer *peer, raft_usec now)
{
	return peer->state == RAFT_PEER_SNAPSHOT && !peer->snapshot_asked &&
	       peer->heard_at != 0 &&
	       now < peer->heard_at + raft->params.election_timeout;
}

void
raft_snapshot_collect(struct raft *raft)
{
	unsigned i;

	if (raft->role != RAFT_LEADER)
		return;
	for (i = 0; i < raft_active(raft)->count; i++) {
		struct raft_peer *peer = &raft->peers[i];

		if (raft->now < peer->snapshot_at ||
		    !wanted(raft, peer, raft->now))
			continue;
		peer->snapshot_asked = true;
		raft_out_op(raft, RAFT_OP_SNAPSHOT)->snapshot =
		    (struct raft_op_snapshot){
			    .peer = peer->id,
			    .at_least = MAX(raft->log.compacted_index,
				peer->snapshot_wanted),
		    };
	}
}

raft_usec
raft_snapshot_deadline(const struct raft *raft, const struct raft_peer *peer)
{
	raft_usec at = MAX(peer->snapshot_at, raft->now);

	return wanted(raft, peer, at) ? at : RAFT_NEVER;
}

int
raft_snapshot_sent(
    struct raft *raft, raft_usec now, raft_id id, raft_index index)
{
	struct raft_peer *peer = raft_peer_find(raft, id);

	if (raft->role == RAFT_STOPPED)
		return ERR_STOPPED;
	raft->now = MAX(raft->now, now);
	if (raft->role != RAFT_LEADER || peer == NULL ||
	    peer->state != RAFT_PEER_SNAPSHOT || !peer->snapshot_asked)
		return 0;
	peer->snapshot_asked = false;
	if (index == 0) {
		peer->snapshot_at = raft->now + raft->params.election_timeout;
		return 0;
	}
	/* Where to look, not what is known: the peer says itself what it
	 * holds, when it is asked there. */
	index = MIN(MAX(index, peer->match_index), raft->log.last_index);
	peer->state = RAFT_PEER_PROBE;
	peer->probe_sequence = 0;
	peer->snapshot_wanted = 0;
	peer->snapshot_sequence = raft->sequence;
	peer->next_index = MAX(index, raft->log.compacted_index) + 1;
	return 0;
}

/* ---- The receiver's side ---- */

/* Whether the log holds the snapshot's last entry, and so all of it (G9). */
static bool
holds(const struct raft_log *log, raft_index index, raft_term term)
{
	return index >= log->compacted_index && index <= log->last_index &&
	       raft_log_term(log, index) == term;
}

/*
 * No snapshot of this cluster is like that: it belongs to another history than
 * what is committed here, or than the log of this term's leader. A leader
 * sends snapshots to those who have answered in its term, so no leader of an
 * earlier term than the snapshot's is followed here.
 */
static bool
contradicts(const struct raft *raft, raft_index index, raft_term term)
{
	const struct raft_log *log = &raft->log;

	if (index < log->compacted_index)
		return false;
	if (index <= MAX(log->commit_index, raft->verified_index))
		return !holds(log, index, term);
	return term < raft_log_term(log, log->commit_index);
}

/*
 * What a snapshot is that does not contradict: 0 if it is to be installed, and
 * whether the log stays. As raft_install_snapshot.
 */
static int
judge(struct raft *raft, raft_index index, raft_term term, bool *ret_keeps)
{
	struct raft_log *log = &raft->log;
	bool has = holds(log, index, term);

	*ret_keeps = false;
	if (raft_state_lost(raft)) {
		/* It would not reach the log either. */
		if (index < log->compacted_index)
			return ERR_INVALID;
		*ret_keeps = has;
		/* The state on the disk never is ahead of the log there. */
		return has && index > log->durable_index ? ERR_BUSY : 0;
	}
	if (index <= log->commit_index)
		return ERR_EXISTS;
	if (raft_installing(raft))
		return ERR_BUSY;
	if (!has)
		return 0;
	raft_log_commit(log, index);
	raft_change_committed(raft);
	return ERR_EXISTS;
}

static bool
snapshot_valid(
    raft_index index, raft_term term, const struct raft_members *members)
{
	return index > 0 && index <= RAFT_NUMBER_MAX && term > 0 &&
	       term <= RAFT_NUMBER_MAX && members->index <= index &&
	       raft_members_valid(members);
}

int
raft_install_snapshot(struct raft *raft, raft_usec now, raft_index index,
    raft_term term, const struct raft_members *members)
{
	bool keeps;
	int result;

	if (raft->role == RAFT_STOPPED)
		return ERR_STOPPED;
	raft->now = MAX(raft->now, now);
	if (!snapshot_valid(index, term, members) ||
	    contradicts(raft, index, term))
		return ERR_INVALID;
	result = judge(raft, index, term, &keeps);
	if (result != 0)
		return result;
	/* What these have begun belongs to the present log and state (G16). */
	if (raft_installing(raft) || raft->persist.open ||
	    raft->applying_index != raft->applied_index)
		return ERR_BUSY;
	/* A leader lacks nothing that is committed: another one has come. */
	if (term > raft->term || raft->role != RAFT_FOLLOWER)
		raft_become_follower(raft, MAX(term, raft->term), 0);
	raft->install = (struct raft_install){
		.index = index,
		.term = term,
		.keeps = keeps,
		.members = *members,
	};
	return 0;
}

static void
replace_log(struct raft *raft, const struct raft_install *install)
{
	raft_index index = install->index;

	ASSERT(index > raft->log.commit_index);
	raft_reset_entries(raft, index, install->term, &install->members);
	/* What is committed is in the log of every later leader (5.4.3). */
	raft->verified_index = index;
	raft->everywhere_index = MIN(raft->everywhere_index, index);
}

void
raft_snapshot_installed(struct raft *raft)
{
	const struct raft_install *install = &raft->install;
	raft_index index = install->index;

	ASSERT(raft->role == RAFT_FOLLOWER);
	if (!install->keeps)
		replace_log(raft, install);
	else if (index > raft->log.commit_index)
		raft_log_commit(&raft->log, index);
	raft->applying_index = index;
	raft->applied_index = index;
	raft->install = (struct raft_install){ .index = 0 };
}
