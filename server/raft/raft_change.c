/*
 * Owns changes of the membership (section 6; thesis 4): which are allowed,
 * which entry makes them, and what a leader does by itself to finish them.
 *
 *	         one voter differs
 *	settled ------------------------------------> settled
 *	   |                                            ^
 *	   | more differ                    committed   |
 *	   +---------------> joint ---------------------+
 *
 * An arrow is one entry, in effect from the moment it is in the log, and the
 * next one begins when it is committed. So two memberships that may decide at
 * the same time have a voter in common in every pair of quorums. The arrow out
 * of a joint membership is taken by whichever leader finds it committed.
 *
 * A leader may only change anything after an entry of its own term is
 * committed: two leaders that each change one voter of a membership that the
 * other has not heard of could otherwise commit without each other (Ongaro's
 * note of 2015 on single-server changes).
 */

#include "raft/raft_impl.h"

#include "common/panic.h"

static bool
is_voter(const struct raft_members *members, raft_id id)
{
	int i = raft_members_find(members, id);

	return i >= 0 && members->member[i].role_new == RAFT_MEMBER_VOTER;
}

/* 0 if a change may begin now. */
static int
allowed(const struct raft *raft)
{
	const struct raft_members *active = raft_active(raft);

	if (raft->role != RAFT_LEADER)
		return ERR_NOT_LEADER;
	if (raft->log.commit_index < raft->term_start ||
	    raft->transfer.target != 0)
		return ERR_AGAIN;
	if (active->joint || active->index > raft->log.commit_index)
		return ERR_BUSY;
	return 0;
}

static void
append_members(struct raft *raft, const struct raft_members *members)
{
	const struct raft_entry entry = {
		.term = raft->term,
		.type = RAFT_ENTRY_MEMBERS,
		.members = members,
	};

	raft_append_entry(raft, &entry);
	/* Whoever counts from now on is given time to be heard. */
	raft->quorum_since = raft->now;
	/* Those that remain may have confirmed all that reads wait for (J11). */
	raft_read_confirm(raft);
}

/* What a member replaces is not told any longer when that is gone. */
static void
forget_replaced(struct raft_members *members)
{
	unsigned i;

	for (i = 0; i < members->count; i++) {
		struct raft_member *member = &members->member[i];
		int replaced = raft_members_find(members, member->replaces);

		if (member->role_new != RAFT_MEMBER_JOINING || replaced < 0 ||
		    members->member[replaced].role_new == RAFT_MEMBER_NONE)
			member->replaces = 0;
	}
}

/* The membership of `members` once it is left for its incoming half. */
static struct raft_members
incoming(const struct raft_members *members)
{
	struct raft_members half = { .joint = false };
	unsigned i;

	for (i = 0; i < members->count; i++) {
		struct raft_member member = members->member[i];

		if (member.role_new == RAFT_MEMBER_NONE)
			continue;
		member.role_old = member.role_new;
		half.member[half.count++] = member;
	}
	forget_replaced(&half);
	return half;
}

/* The place of the member of the lowest id that is not below `from`. */
static const struct raft_member *
next_member(const struct raft_members *members, raft_id from)
{
	unsigned i;

	for (i = 0; i < members->count; i++) {
		if (members->member[i].id >= from)
			return &members->member[i];
	}
	return NULL;
}

/* Both memberships in one, `from` as its outgoing half. */
static int
join(const struct raft_members *from, const struct raft_members *to,
    struct raft_members *ret_joint)
{
	struct raft_members joint = { .joint = true };
	raft_id id = 1;

	for (;;) {
		const struct raft_member *old = next_member(from, id);
		const struct raft_member *new = next_member(to, id);
		struct raft_member *member = &joint.member[joint.count];

		if (old == NULL && new == NULL)
			break;
		if (joint.count == RAFT_MEMBERS_MAX)
			return ERR_INVALID;
		id = MIN(old != NULL ? old->id : RAFT_NUMBER_MAX,
		    new != NULL ? new->id : RAFT_NUMBER_MAX);
		if (new != NULL &&new->id == id)
			*member = *new;
		member->id = id;
		member->role_old = old != NULL && old->id == id
				       ? old->role_new
				       : RAFT_MEMBER_NONE;
		joint.count++;
		id++;
	}
	forget_replaced(&joint);
	*ret_joint = joint;
	return 0;
}

static unsigned
voters_missing(const struct raft_members *from, const struct raft_members *in)
{
	unsigned missing = 0;
	unsigned i;

	for (i = 0; i < from->count; i++) {
		raft_id id = from->member[i].id;

		missing += is_voter(from, id) && !is_voter(in, id);
	}
	return missing;
}

unsigned
raft_change_voters(const struct raft_members *a, const struct raft_members *b)
{
	return voters_missing(a, b) + voters_missing(b, a);
}

static bool
same_members(const struct raft_members *a, const struct raft_members *b)
{
	unsigned i;

	if (a->count != b->count)
		return false;
	for (i = 0; i < a->count; i++) {
		if (a->member[i].id != b->member[i].id ||
		    a->member[i].role_new != b->member[i].role_new ||
		    a->member[i].replaces != b->member[i].replaces)
			return false;
	}
	return true;
}

/* Voters come from learners: an empty one would add to the quorum only. */
static bool
roles_follow(const struct raft_members *from, const struct raft_members *to)
{
	unsigned i;

	for (i = 0; i < to->count; i++) {
		const struct raft_member *member = &to->member[i];
		bool voter = is_voter(from, member->id);

		if (member->role_new == RAFT_MEMBER_VOTER &&
		    raft_members_find(from, member->id) < 0)
			return false;
		if (member->role_new == RAFT_MEMBER_JOINING && voter)
			return false;
	}
	return true;
}

/* Appends the entry that leads to `target`. */
static int
begin(struct raft *raft, const struct raft_members *target)
{
	const struct raft_members *active = raft_active(raft);
	struct raft_members joint;

	if (raft_change_voters(active, target) <= 1) {
		append_members(raft, target);
		return 0;
	}
	if (join(active, target, &joint) != 0)
		return ERR_INVALID;
	append_members(raft, &joint);
	return 0;
}

static int
expect(struct raft *raft, raft_usec now, raft_index expected_index)
{
	int result;

	if (raft->role == RAFT_STOPPED)
		return ERR_STOPPED;
	raft->now = MAX(raft->now, now);
	result = allowed(raft);
	if (result == 0 && raft_active(raft)->index != expected_index)
		return ERR_MISMATCH;
	return result;
}

int
raft_change_members(struct raft *raft, raft_usec now,
    const struct raft_members *target, raft_index expected_index,
    raft_index *ret_index, raft_term *ret_term)
{
	const struct raft_members *active = raft_active(raft);
	struct raft_members members;
	int result = expect(raft, now, expected_index);

	if (result != 0)
		return result;
	if (target->count > RAFT_MEMBERS_MAX)
		return ERR_INVALID;
	members = incoming(target);
	if (members.count != target->count || !raft_members_valid(&members) ||
	    !roles_follow(active, &members) || same_members(active, &members))
		return ERR_INVALID;
	result = begin(raft, &members);
	if (result != 0)
		return result;
	*ret_index = raft->log.last_index;
	*ret_term = raft->term;
	return 0;
}

int
raft_renew_members(struct raft *raft, raft_usec now, raft_index expected_index,
    raft_index *ret_index, raft_term *ret_term)
{
	struct raft_members members = *raft_active(raft);
	int result = expect(raft, now, expected_index);

	if (result != 0)
		return result;
	append_members(raft, &members);
	*ret_index = raft->log.last_index;
	*ret_term = raft->term;
	return 0;
}

void
raft_change_committed(struct raft *raft)
{
	const struct raft_members *active = raft_active(raft);

	/* Not before an entry of the own term is: a joint membership that a
	 * former leader committed may not be known here as such (H27). */
	if (raft->role != RAFT_LEADER ||
	    raft->log.commit_index < raft->term_start ||
	    active->index > raft->log.commit_index)
		return;
	if (active->joint) {
		struct raft_members members = incoming(active);

		append_members(raft, &members);
		return;
	}
	/* It is out of this itself: its place goes to the best of the others,
	 * or to whoever is elected (thesis 4.2.2). */
	if (!is_voter(active, raft->params.id) && raft->transfer.target == 0 &&
	    !raft_transfer_leave(raft))
		raft_become_follower(raft, raft->term, 0);
}

/*
 * The member with this id has caught up: it becomes a voter, and whom it
 * replaces leaves.
 */
static void
promote(struct raft *raft, raft_id id)
{
	struct raft_members target = *raft_active(raft);
	struct raft_member *member =
	    &target.member[raft_members_find(&target, id)];
	int replaced = raft_members_find(&target, member->replaces);
	int result;

	member->role_new = RAFT_MEMBER_VOTER;
	if (replaced >= 0)
		target.member[replaced].role_new = RAFT_MEMBER_NONE;
	target = incoming(&target);
	result = begin(raft, &target);
	/* All are members already: there is room for them. */
	ASSERT(result == 0);
}

/*
 * Thesis 4.2.1: what is in the log when a round begins is to be acknowledged
 * when it ends. A round within an election timeout tells that the member, once
 * it is counted, would not hold up commits for longer than that.
 */
void
raft_change_caught_up(struct raft *raft, raft_id id)
{
	struct raft_peer *peer = raft_peer_find(raft, id);
	const struct raft_members *active = raft_active(raft);
	bool quick;

	if (raft->role != RAFT_LEADER || peer == NULL ||
	    active->member[raft_members_find(active, id)].role_new !=
		RAFT_MEMBER_JOINING)
		return;
	if (raft_peer_damaged(peer))
		return;
	if (peer->match_index < peer->catch_up_index)
		return;
	quick = peer->catch_up_index != 0 && raft->now - peer->catch_up_since <=
						 raft->params.election_timeout;
	if (quick && allowed(raft) == 0) {
		promote(raft, id);
		return;
	}
	peer->catch_up_index = raft->log.last_index;
	peer->catch_up_since = raft->now;
}
