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

	if (raft->role != RAFT_LEADER || !raft->params.lease_reads)
		return 0;
	for (i = 0; i < members->count; i++) {
		until[i] = raft->peers[i].id == raft->params.id
			       ? raft_read_promise(
				     raft->now, raft->params.election_timeout)
			       : raft->peers[i].promised_until;
	}
	return raft_quorum_value(members, until);
}

int
raft_read(struct raft *raft, raft_usec now, uint64_t read_id)
{
	struct raft_reads *reads = &raft->reads;
	bool leased;

	if (raft->role == RAFT_STOPPED)
		return ERR_STOPPED;
	raft->now = MAX(raft->now, now);
	if (raft->role != RAFT_LEADER)
		return ERR_NOT_LEADER;
	if (reads->count >= raft->params.pending_reads_max)
		return ERR_BUSY;
	if (reads->count == reads->capacity)
		grow(reads);
	leased = raft->now < raft_lease_until(raft);
	if (!leased)
		reads->round_wanted = true;
	/* Not the round under way: it may have been echoed already (J4). */
	*raft_read_at(reads, reads->count) = (struct raft_pending_read){
		.id = read_id,
		.round = leased ? 0 : raft->round + 1,
		.index = MAX(raft->log.commit_index, raft->term_start),
	};
	reads->count++;
	return 0;
}

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
