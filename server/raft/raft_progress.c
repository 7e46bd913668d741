/*
 * Owns what a leader knows of the others and sends to them (section 5.3), and
 * what it may commit (section 5.4.2). Learners are sent to like voters, and
 * are missing wherever raft_quorum_value() counts.
 *
 *	         accepted: next = match + 1
 *	PROBE --------------------------------> REPLICATE
 *	  ^                                        |
 *	  +---- refused, unreachable, lost --------+
 *	        next = where they may agree
 *
 * From either a peer that needs what the log no longer holds comes to
 * SNAPSHOT, see raft_snapshot.c.
 *
 * PROBE does not know where the logs agree: one append at a time, repeated as
 * a heartbeat, next_index moves only with an answer. REPLICATE knows: appends
 * leave one after the other, next_index moves as they leave, and the window
 * bounds them by count and bytes. In both match_index < next_index; what lies
 * between them in REPLICATE is in flight.
 *
 * A heartbeat is an append without entries. In REPLICATE it starts at
 * match_index, so that one that overtakes appends does not look like a gap.
 */

#include "raft/raft_impl.h"

#include <string.h>

/*
 * An append not answered for so many election timeouts is lost. The driver
 * tells of broken links at once; a link that is only slow must not get the
 * same entries again and again.
 */
#define LOST_TIMEOUTS 3

struct raft_peer *
raft_peer_find(struct raft *raft, raft_id id)
{
	int i = raft_members_find(raft_active(raft), id);

	return i < 0 ? NULL : &raft->peers[i];
}

static void
reset_peer(const struct raft *raft, struct raft_peer *peer, raft_id id)
{
	*peer = (struct raft_peer){
		.id = id,
		.state = RAFT_PEER_PROBE,
		.next_index = raft->log.last_index + 1,
	};
}

void
raft_progress_members(struct raft *raft)
{
	const struct raft_members *members = raft_active(raft);
	struct raft_peer before[RAFT_MEMBERS_MAX];
	unsigned i;
	unsigned j;

	memcpy(before, raft->peers, sizeof(before));
	for (i = 0; i < members->count; i++) {
		raft_id id = members->member[i].id;

		reset_peer(raft, &raft->peers[i], id);
		for (j = 0; j < RAFT_MEMBERS_MAX; j++) {
			if (before[j].id == id)
				raft->peers[i] = before[j];
		}
	}
	for (; i < RAFT_MEMBERS_MAX; i++)
		raft->peers[i] = (struct raft_peer){ .id = 0 };
	raft->out.members_changed = true;
}

void
raft_progress_begin(struct raft *raft)
{
	const struct raft_members *members = raft_active(raft);
	unsigned i;

	for (i = 0; i < members->count; i++)
		reset_peer(raft, &raft->peers[i], members->member[i].id);
	raft->quorum_since = raft->now;
	raft->round_confirmed = raft->round;
}

static struct raft_inflight *
inflight_at(struct raft_peer *peer, uint32_t place)
{
	return &peer->inflight[(peer->inflight_head + place) %
			       RAFT_INFLIGHT_MAX];
}

void
raft_progress_probe(struct raft *raft, struct raft_peer *peer)
{
	/* A probe that was not answered asks at the same place again. */
	if (peer->state == RAFT_PEER_REPLICATE)
		peer->next_index = peer->match_index + 1;
	peer->next_index = MAX(peer->next_index, raft->log.compacted_index + 1);
	/* It has nothing in flight, and asking would not help it. */
	if (peer->state == RAFT_PEER_SNAPSHOT)
		return;
	peer->state = RAFT_PEER_PROBE;
	peer->probe_sequence = 0;
	peer->inflight_head = 0;
	peer->inflight_count = 0;
	peer->inflight_bytes = 0;
}

void
raft_progress_compacted(struct raft *raft)
{
	unsigned i;

	/* The oldest that can be sent is asked for; who lacks more says so. */
	for (i = 0; i < raft_active(raft)->count; i++) {
		struct raft_peer *peer = &raft->peers[i];

		if (peer->next_index <= raft->log.compacted_index)
			raft_progress_probe(raft, peer);
	}
}

/* ---- Sending ---- */

static void
send_append(struct raft *raft, struct raft_peer *peer, raft_index prev_index,
    uint32_t count)
{
	const struct raft_log *log = &raft->log;
	struct raft_message *message =
	    raft_out_message(raft, RAFT_APPEND_REQUEST, peer->id);

	message->sequence = ++raft->sequence;
	message->prev_index = prev_index;
	message->prev_term = raft_log_term(log, prev_index);
	message->commit_index = log->commit_index;
	message->everywhere_index = raft->everywhere_index;
	message->round = raft->round;
	message->sent_at = raft->now;
	if (count > 0)
		raft_out_entries(raft, prev_index + 1, count);
	peer->sent = true;
	peer->sent_at = raft->now;
	peer->round_sent = raft->round;
}

/*
 * How many entries from next_index on make the next append, and their bytes.
 * The first one goes whatever its size, if the window has room for it or is
 * empty (F2, F16).
 */
static uint32_t
batch(
    const struct raft *raft, const struct raft_peer *peer, uint32_t *ret_bytes)
{
	const struct raft_params *params = &raft->params;
	raft_index index = peer->next_index;
	uint64_t bytes = 0;
	uint32_t count = 0;

	while (index <= raft->log.last_index &&
	       count < params->append_entries_max) {
		uint64_t more = bytes + raft_log_slot(&raft->log, index)->size;

		if (count > 0 && more > params->append_bytes_max)
			break;
		if ((count > 0 || peer->inflight_count > 0) &&
		    peer->inflight_bytes + more > params->inflight_bytes_max)
			break;
		bytes = more;
		index++;
		count++;
	}
	*ret_bytes = (uint32_t)bytes;
	return count;
}

static void
send_window(struct raft *raft, struct raft_peer *peer)
{
	while (peer->inflight_count < raft->params.inflight_appends_max) {
		uint32_t bytes;
		uint32_t count = batch(raft, peer, &bytes);

		if (count == 0)
			return;
		send_append(raft, peer, peer->next_index - 1, count);
		peer->next_index += count;
		peer->inflight_count++;
		peer->inflight_bytes += bytes;
		*inflight_at(peer, peer->inflight_count - 1) =
		    (struct raft_inflight){
			    .last = peer->next_index - 1,
			    .sequence = raft->sequence,
			    .sent_at = raft->now,
			    .bytes = bytes,
		    };
	}
}

/*
 * The first append at a guess carries entries, for mostly the guess is right.
 * While no answer comes, heartbeats ask again, without the bytes (F4).
 */
static void
send_probe(struct raft *raft, struct raft_peer *peer)
{
	uint32_t bytes;

	send_append(
	    raft, peer, peer->next_index - 1, batch(raft, peer, &bytes));
	peer->probe_sequence = raft->sequence;
}

static void
send_heartbeat(struct raft *raft, struct raft_peer *peer)
{
	raft_index prev_index = peer->state == RAFT_PEER_REPLICATE
				    ? peer->match_index
				    : peer->next_index - 1;

	send_append(raft, peer, MAX(prev_index, raft->log.compacted_index), 0);
}

static raft_usec
heartbeat_at(const struct raft *raft, const struct raft_peer *peer)
{
	return peer->sent ? peer->sent_at + raft->params.heartbeat_interval
			  : raft->now;
}

void
raft_progress_collect(struct raft *raft)
{
	const struct raft_members *members = raft_active(raft);
	unsigned i;

	if (raft->role != RAFT_LEADER)
		return;
	for (i = 0; i < members->count; i++) {
		struct raft_peer *peer = &raft->peers[i];

		if (peer->id == raft->params.id)
			continue;
		if (peer->state == RAFT_PEER_REPLICATE)
			send_window(raft, peer);
		else if (peer->state == RAFT_PEER_PROBE &&
			 peer->probe_sequence == 0)
			send_probe(raft, peer);
		if (raft->now >= heartbeat_at(raft, peer) ||
		    peer->round_sent < raft->round)
			send_heartbeat(raft, peer);
	}
}

/*
 * Whether the own commit of new entries does better to wait. While they could
 * not be sent to a quorum, as windows are full, a commit would gain nothing:
 * the answer that opens a window lets one commit, here and there, take all
 * that has come by then. Small appends would only crowd the disks.
 */
bool
raft_progress_waits(const struct raft *raft)
{
	const struct raft_members *members = raft_active(raft);
	uint64_t sent[RAFT_MEMBERS_MAX];
	bool answer_due = false;
	unsigned i;

	if (raft->role != RAFT_LEADER)
		return false;
	for (i = 0; i < members->count; i++) {
		const struct raft_peer *peer = &raft->peers[i];

		sent[i] = peer->id == raft->params.id ||
			  peer->next_index > raft->log.handed_index + 1;
		answer_due |= peer->inflight_count > 0;
	}
	return answer_due && raft_quorum_value(members, sent) == 0;
}

/* ---- Answers ---- */

/* The refused append is one that can still be refused (C13, C14). */
static bool
refusal_counts(struct raft_peer *peer, const struct raft_message *message)
{
	uint32_t i;

	if (message->rejected_index == 0 ||
	    message->rejected_index < peer->match_index)
		return false;
	if (peer->state == RAFT_PEER_PROBE)
		return peer->probe_sequence != 0 &&
		       message->sequence >= peer->probe_sequence &&
		       message->rejected_index == peer->next_index - 1 &&
		       message->rejected_index > peer->match_index;
	/* In SNAPSHOT there are none (C15). */
	for (i = 0; i < peer->inflight_count; i++) {
		if (inflight_at(peer, i)->sequence == message->sequence)
			return true;
	}
	return false;
}

/*
 * The peer, asked after it said that it held all up to match_index, does not
 * hold it. Nobody can repair a promise: the operator is told, and the peer
 * gets nothing that it could promise again (C31).
 */
static void
watch_lost_tail(struct raft *raft, struct raft_peer *peer,
    const struct raft_message *message)
{
	if (message->hint_index >= peer->match_index ||
	    message->rejected_index > peer->match_index)
		return;
	if (message->sequence <= peer->match_sequence)
		return;
	if (message->boot_id == peer->alarmed_boot_id)
		return;
	peer->alarmed_boot_id = message->boot_id;
	raft_out_alarm(
	    raft, RAFT_ALARM_LOST_TAIL, peer->id, message->hint_index);
}

static void
refused(struct raft *raft, struct raft_peer *peer,
    const struct raft_message *message)
{
	const struct raft_log *log = &raft->log;
	raft_index agree;

	if (!message->repairing)
		watch_lost_tail(raft, peer, message);
	if (!refusal_counts(peer, message))
		return;
	/* The mirror of the follower's search: runs of terms above hint_term
	 * cannot be in its log at or before hint_index (thesis 5.3). */
	agree = MIN(message->hint_index, message->rejected_index - 1);
	agree = MIN(agree, log->last_index);
	/* An acknowledgement may have overtaken this refusal: then it is what
	 * counts. */
	if (MAX(peer->match_index, agree) < log->compacted_index) {
		raft_snapshot_need(raft, peer);
		return;
	}
	agree = raft_log_find(log, agree, message->hint_term);
	raft_progress_probe(raft, peer);
	peer->next_index = MAX(peer->match_index, agree) + 1;
}

static void
accepted(struct raft *raft, struct raft_peer *peer,
    const struct raft_message *message)
{
	raft_index match = MAX(peer->match_index, message->match_index);

	if (match > peer->match_index)
		peer->match_sequence = raft->sequence;
	peer->match_index = match;
	if (peer->state == RAFT_PEER_PROBE ||
	    (peer->state == RAFT_PEER_SNAPSHOT &&
		match >= raft->log.compacted_index &&
		!raft_repair_wants(raft, peer))) {
		peer->state = RAFT_PEER_REPLICATE;
		peer->snapshot_asked = false;
		peer->next_index = MAX(match, raft->log.compacted_index) + 1;
	}
	while (
	    peer->inflight_count > 0 && inflight_at(peer, 0)->last <= match) {
		peer->inflight_bytes -= inflight_at(peer, 0)->bytes;
		peer->inflight_head =
		    (peer->inflight_head + 1) % RAFT_INFLIGHT_MAX;
		peer->inflight_count--;
	}
	peer->next_index = MAX(peer->next_index, match + 1);
	raft_progress_commit(raft);
}

int
raft_progress_response(struct raft *raft, const struct raft_message *message)
{
	struct raft_peer *peer = raft_peer_find(raft, message->from);

	if (raft->role != RAFT_LEADER || peer == NULL ||
	    message->term != raft->term)
		return 0;
	/* What was never sent cannot come back (C17). */
	if (message->sequence > raft->sequence ||
	    message->round > raft->round || message->sent_at > raft->now ||
	    message->match_index > raft->log.last_index ||
	    message->snapshot_wanted > raft->log.last_index)
		return ERR_INVALID;
	peer->heard_at = raft->now;
	peer->rtt = raft->now - message->sent_at;
	peer->promised_until = MAX(peer->promised_until,
	    raft_read_promise(message->sent_at, message->promise));
	peer->round_echoed = MAX(peer->round_echoed, message->round);
	raft_read_confirm(raft);
	raft_repair_heard(raft, peer, message);
	if (!message->success) {
		refused(raft, peer, message);
		return 0;
	}
	accepted(raft, peer, message);
	/* This may have changed the peers: from here on by its id. */
	raft_change_caught_up(raft, message->from);
	return 0;
}

/* ---- What follows from it ---- */

void
raft_progress_commit(struct raft *raft)
{
	const struct raft_members *members = raft_active(raft);
	uint64_t match[RAFT_MEMBERS_MAX];
	/* A leader that is no member has a log of its own all the same. */
	raft_index everywhere = raft->log.durable_index;
	raft_index quorum;
	unsigned i;

	if (raft->role != RAFT_LEADER)
		return;
	for (i = 0; i < members->count; i++) {
		/* The leader's own disk counts like any other (D9, D10). */
		match[i] = raft->peers[i].id == raft->params.id
			       ? raft->log.durable_index
			       : raft->peers[i].match_index;
		everywhere = MIN(everywhere, match[i]);
	}
	raft->everywhere_index = MAX(raft->everywhere_index, everywhere);
	quorum = raft_quorum_value(members, match);
	/* Section 5.4.2, figure 8: entries of earlier terms are committed by
	 * one of the own term, never by counting them. */
	if (quorum >= raft->term_start && quorum > raft->log.commit_index)
		raft_log_commit(&raft->log, quorum);
	raft_change_committed(raft);
}

/* When a quorum of voters was last heard; RAFT_NEVER for one voter. */
static raft_usec
quorum_heard_at(const struct raft *raft)
{
	const struct raft_members *members = raft_active(raft);
	uint64_t heard[RAFT_MEMBERS_MAX];
	unsigned i;

	for (i = 0; i < members->count; i++) {
		const struct raft_peer *peer = &raft->peers[i];

		heard[i] = peer->id == raft->params.id
			       ? RAFT_NEVER
			       : MAX(peer->heard_at, raft->quorum_since);
	}
	return raft_quorum_value(members, heard);
}

static raft_usec
quorum_deadline(const struct raft *raft)
{
	raft_usec heard_at = quorum_heard_at(raft);

	return heard_at == RAFT_NEVER
		   ? RAFT_NEVER
		   : heard_at + raft->params.election_timeout;
}

static raft_usec
lost_at(const struct raft *raft, const struct raft_peer *peer)
{
	if (peer->inflight_count == 0)
		return RAFT_NEVER;
	return peer->inflight[peer->inflight_head].sent_at +
	       LOST_TIMEOUTS * raft->params.election_timeout;
}

void
raft_progress_timeout(struct raft *raft)
{
	const struct raft_members *members = raft_active(raft);
	unsigned i;

	/* Whoever cannot hear a quorum, or make its own log durable, leaves
	 * the place to others and is silent in this term (B12, E12). */
	if (raft->now >= quorum_deadline(raft) || raft_disk_stalled(raft)) {
		raft_become_follower(raft, raft->term, 0);
		return;
	}
	raft_transfer_timeout(raft);
	if (raft->role != RAFT_LEADER)
		return;
	for (i = 0; i < members->count; i++) {
		struct raft_peer *peer = &raft->peers[i];

		if (raft->now >= lost_at(raft, peer))
			raft_progress_probe(raft, peer);
	}
}

raft_usec
raft_progress_deadline(const struct raft *raft)
{
	const struct raft_members *members = raft_active(raft);
	raft_usec deadline = quorum_deadline(raft);
	unsigned i;

	if (raft->persist.open)
		deadline = MIN(deadline,
		    raft->persist.opened_at + raft->params.disk_stall_max);
	deadline = MIN(deadline, raft_transfer_deadline(raft));
	for (i = 0; i < members->count; i++) {
		const struct raft_peer *peer = &raft->peers[i];

		if (peer->id == raft->params.id)
			continue;
		deadline = MIN(deadline, heartbeat_at(raft, peer));
		deadline = MIN(deadline, lost_at(raft, peer));
		deadline = MIN(deadline, raft_snapshot_deadline(raft, peer));
	}
	return deadline;
}
