/*
 * Owns linearizable reads (section 8; thesis 6.4): a read is answered when
 *
 *	- a quorum has echoed a round begun after the read came, which proves
 *	  that nobody had been elected since;
 *	- all that was committed when it came, and this leader's first entry,
 *	  which proves that the leader knows what is committed, is applied.
 *
 * Reads that come while rounds are under way share the next round, so the
 * number of rounds does not grow with the number of reads. With leases, a
 * quorum whose voters promised not to vote for a while replaces the round:
 * the promise runs from when they were asked, on a clock that may be 5 %
 * faster than this one (thesis 6.4.1).
 *
 * Other nodes ask the leader for the index, which it gives as soon as it would
 * answer a read of its own but for applying, and answer when they have applied
 * all up to it. One request is under way at a time, for all reads that had
 * come when it left; it does not move the terms, and whatever goes wrong with
 * it fails the reads: whoever reads can ask again.
 */

#include "raft/raft_impl.h"

#include "common/panic.h"
#include <stdlib.h>

#define READS_MIN            256
#define LEASE_MARGIN_DIVISOR 20 /* 5 % */

struct raft_pending_read *
raft_read_at(const struct raft_reads *reads, size_t place)
{
	return &reads->ring[(reads->head + place) & (reads->capacity - 1)];
}

static void
grow(struct raft_reads *reads)
{
	size_t capacity = 0;
	struct raft_pending_read *ring = raft_reserve(NULL, &capacity,
	    MAX(READS_MIN, reads->capacity * 2), sizeof(*ring));
	size_t i;

	for (i = 0; i < reads->count; i++)
		ring[i] = *raft_read_at(reads, i);
	free(reads->ring);
	reads->ring = ring;
	reads->capacity = capacity;
	reads->head = 0;
}

raft_usec
raft_read_promise(raft_usec sent_at, raft_usec promise)
{
	return promise == 0
		   ? 0
		   : sent_at + promise - promise / LEASE_MARGIN_DIVISOR;
}

raft_usec
raft_lease_until(const struct raft *raft)
{
	const struct raft_members *members = raft_active(raft);
	uint64_t until[RAFT_MEMBERS_MAX];
	unsigned i;

	if (raft->role != RAFT_LEADER || !raft->params.lease_reads ||
	    raft_transfer_voids_lease(raft))
		return 0;
	for (i = 0; i < members->count; i++) {
		until[i] = raft->peers[i].id == raft->params.id
			       ? raft_read_promise(
				     raft->now, raft->params.election_timeout)
			       : raft->peers[i].promised_until;
	}
	return raft_quorum_value(members, until);
}

/* The round that confirms what a leader is asked now; 0: its lease does. */
static uint64_t
want_round(struct raft *raft)
{
	if (raft->now < raft_lease_until(raft))
		return 0;
	raft->reads.round_wanted = true;
	/* Not the round under way: it may have been echoed already (J4). */
	return raft->round + 1;
}

/* All that is committed now, and what proves that the leader knows it. */
static raft_index
index_now(const struct raft *raft)
{
	return MAX(raft->log.commit_index, raft->term_start);
}

int
raft_read(struct raft *raft, raft_usec now, uint64_t read_id)
{
	struct raft_reads *reads = &raft->reads;
	struct raft_pending_read read = {
		.id = read_id,
		.index = RAFT_INDEX_UNKNOWN,
	};

	if (raft->role == RAFT_STOPPED)
		return ERR_STOPPED;
	raft->now = MAX(raft->now, now);
	if (raft->leader == 0 || raft_state_lost(raft))
		return ERR_NOT_LEADER;
	if (reads->count >= raft->params.pending_reads_max)
		return ERR_BUSY;
	if (reads->count == reads->capacity)
		grow(reads);
	if (raft->role == RAFT_LEADER) {
		read.round = want_round(raft);
		read.index = index_now(raft);
	} else {
		reads->unasked++;
	}
	*raft_read_at(reads, reads->count) = read;
	reads->count++;
	return 0;
}

/* ---- Asking the leader, and answering ---- */

void
raft_read_ask(struct raft *raft)
{
	struct raft_reads *reads = &raft->reads;
	struct raft_message *message;

	if (reads->unasked == 0 || reads->asked > 0)
		return;
	ASSERT(raft->role == RAFT_FOLLOWER);
	message = raft_out_message(raft, RAFT_READ_REQUEST, raft->leader);
	message->sequence = ++raft->sequence;
	reads->asked = reads->unasked;
	reads->unasked = 0;
	reads->asked_sequence = raft->sequence;
	reads->asked_at = raft->now;
}

void
raft_read_request(struct raft *raft, const struct raft_message *message)
{
	struct raft_answer *answer = raft_answer_read(raft, message);

	if (answer == NULL || raft->role != RAFT_LEADER ||
	    message->term != raft->term)
		return;
	answer->positive = true;
	answer->round = want_round(raft);
	answer->need = index_now(raft);
}

void
raft_read_response(struct raft *raft, const struct raft_message *message)
{
	struct raft_reads *reads = &raft->reads;
	size_t first = reads->count - reads->unasked - reads->asked;
	raft_index commit;
	size_t i;

	/* To the request under way and no other (J9). */
	if (reads->asked == 0 || message->from != raft->leader ||
	    message->to_boot_id != raft->boot_id ||
	    message->sequence != reads->asked_sequence)
		return;
	if (!message->success || message->term != raft->term) {
		raft_read_fail_all(raft);
		return;
	}
	for (i = 0; i < reads->asked; i++)
		raft_read_at(reads, first + i)->index = message->read_index;
	reads->asked = 0;
	/* The index is committed. To learn it from here spares the reads the
	 * wait for a heartbeat, which would tell the same (section 5.3). */
	commit = MIN(message->read_index, raft->verified_index);
	if (commit > raft->log.commit_index)
		raft_log_commit(&raft->log, commit);
}

raft_usec
raft_read_deadline(const struct raft *raft)
{
	return raft->reads.asked == 0
		   ? RAFT_NEVER
		   : raft->reads.asked_at + raft->params.election_timeout;
}

void
raft_read_timeout(struct raft *raft)
{
	if (raft->now >= raft_read_deadline(raft))
		raft_read_fail_all(raft);
}

/* ---- Rounds, on the leader ---- */

void
raft_read_begin_round(struct raft *raft)
{
	if (raft->role != RAFT_LEADER || !raft->reads.round_wanted)
		return;
	/* The next one begins when one of these is confirmed: what has come
	 * until then shares it. */
	if (raft->round - raft->round_confirmed >=
	    raft->params.inflight_rounds_max)
		return;
	raft->round++;
	raft->reads.round_wanted = false;
	raft_read_confirm(raft);
}

void
raft_read_confirm(struct raft *raft)
{
	const struct raft_members *members = raft_active(raft);
	uint64_t echoed[RAFT_MEMBERS_MAX];
	unsigned i;

	for (i = 0; i < members->count; i++) {
		echoed[i] = raft->peers[i].id == raft->params.id
				? raft->round
				: raft->peers[i].round_echoed;
	}
	raft->round_confirmed =
	    MAX(raft->round_confirmed, raft_quorum_value(members, echoed));
}

void
raft_read_fail_all(struct raft *raft)
{
	raft->reads.failed = raft->reads.count;
	raft->reads.round_wanted = false;
	raft->reads.asked = 0;
	raft->reads.unasked = 0;
}

static void
answer_first(struct raft *raft, int status)
{
	struct raft_reads *reads = &raft->reads;
	struct raft_op *op = raft_out_op(raft, RAFT_OP_READ);

	op->read = (struct raft_op_read){
		.read_id = raft_read_at(reads, 0)->id,
		.status = status,
	};
	reads->head = (reads->head + 1) & (reads->capacity - 1);
	reads->count--;
}

void
raft_read_collect(struct raft *raft)
{
	struct raft_reads *reads = &raft->reads;

	for (; reads->failed > 0; reads->failed--)
		answer_first(raft, ERR_NOT_LEADER);
	while (reads->count > 0) {
		const struct raft_pending_read *read = raft_read_at(reads, 0);

		if (read->round > raft->round_confirmed ||
		    read->index > raft->applied_index)
			return;
		answer_first(raft, 0);
	}
}
