/*
 * Owns the role of this node and its term: the only doors between the roles
 * (section 5.1, figure 4; thesis 9.6 for pre-votes).
 *
 *	            deadline                 pre-quorum
 *	follower ------------> pre-candidate ----------> candidate
 *	  ^  ^ ^                 |   ^  |                  |  |  |
 *	  |  | +-----------------+   +--|--- deadline -----+  |  |
 *	  |  |   refused, leader        |                     |  |
 *	  |  +--------------------------|---------------------+  |
 *	  |      refused, leader        |                        | quorum
 *	  +----- higher term, quorum lost, disk stalls ------- leader
 *
 *	from            to              why                         in
 *	follower        pre-candidate   deadline                    raft_elect
 *	pre-candidate   pre-candidate   deadline                    raft_elect
 *	candidate       pre-candidate   deadline                    raft_elect
 *	pre-candidate   candidate       a quorum would vote         raft_elect
 *	(follower,
 *	pre-candidate)  candidate       the leader asks for it      raft_transfer
 *	candidate       leader          a quorum voted, durably     raft_elect
 *	any but leader  follower        leader of this term heard   raft_append
 *	any             follower        higher term heard           raft.c
 *	(pre-)candidate follower        a quorum refused            raft_elect
 *	leader          follower        quorum not heard, or
 *	                                the disk stalls             raft_progress
 *	leader          follower        it is out of the membership raft_change
 *	any             follower        a snapshot is installed     raft_snapshot
 *	any             stopped         an invariant is broken      raft.c
 *
 * What is true in each role is written as code in raft_check.c.
 */

#include "raft/raft_impl.h"

#include "common/panic.h"

static void
leave_role(struct raft *raft)
{
	ASSERT(raft->role != RAFT_STOPPED);
	/* Also those at a follower: another leader, or term, is ahead. */
	raft_read_fail_all(raft);
	raft->transfer = (struct raft_transfer){ .target = 0 };
	raft->campaign_transfer = false;
}

static void
enter_term(struct raft *raft, raft_term term, raft_id vote)
{
	ASSERT(term > raft->term);
	raft->term = term;
	raft->vote = vote;
	raft->term_leader = 0;
	raft->verified_index = 0;
}

static void
learn_leader(struct raft *raft, raft_id leader)
{
	raft->leader = leader;
	if (leader == 0 || raft->term_leader == leader)
		return;
	/* Election safety (section 5.2): one leader in a term. */
	ASSERT(raft->term_leader == 0);
	raft->term_leader = leader;
	raft->leader_changes++;
}

void
raft_become_follower(struct raft *raft, raft_term term, raft_id leader)
{
	ASSERT(term >= raft->term);
	ASSERT(leader != raft->params.id);
	leave_role(raft);
	/* A leader has no election deadline; the others keep theirs, so that
	 * nobody's campaign is put off by terms it hears of (B6, A28). */
	if (raft->role == RAFT_LEADER)
		raft_elect_reset(raft);
	if (term > raft->term)
		enter_term(raft, term, 0);
	raft->role = RAFT_FOLLOWER;
	learn_leader(raft, leader);
}

void
raft_become_precandidate(struct raft *raft)
{
	ASSERT(raft->role != RAFT_LEADER);
	leave_role(raft);
	raft->role = RAFT_PRECANDIDATE;
	learn_leader(raft, 0);
	raft_elect_begin(raft);
}

void
raft_become_candidate(struct raft *raft, bool transfer)
{
	ASSERT(raft->role == RAFT_PRECANDIDATE ||
	       (transfer && raft->role == RAFT_FOLLOWER));
	leave_role(raft);
	raft->campaign_transfer = transfer;
	enter_term(raft, raft->term + 1, raft->params.id);
	raft->role = RAFT_CANDIDATE;
	raft->elections++;
	learn_leader(raft, 0);
	raft_elect_begin(raft);
}

void
raft_become_leader(struct raft *raft)
{
	struct raft_entry entry = {
		.term = raft->term,
		.type = RAFT_ENTRY_NOOP,
	};
	struct raft_members members = *raft_active(raft);

	ASSERT(raft->role == RAFT_CANDIDATE);
	ASSERT(raft->vote == raft->params.id);
	ASSERT(raft_vote_durable(raft));
	leave_role(raft);
	raft->role = RAFT_LEADER;
	learn_leader(raft, raft->params.id);
	raft->fast_campaigns = 0;
	raft_progress_begin(raft);
	/*
	 * An entry of the own term, for only such are committed by counting
	 * (section 5.4.2). The first of all holds the membership instead of
	 * nothing, so that the log explains itself.
	 */
	if (raft->log.last_index == 0) {
		entry.type = RAFT_ENTRY_MEMBERS;
		entry.members = &members;
	}
	raft_append_entry(raft, &entry);
	raft->term_start = raft->log.last_index;
}

void
raft_become_stopped(struct raft *raft)
{
	leave_role(raft);
	raft->role = RAFT_STOPPED;
	raft->leader = 0;
}
