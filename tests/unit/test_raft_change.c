/*
 * Changes of the membership that one core can show alone: group H of the
 * scenarios. Those that need several are in test_raft_churn.c.
 */

#include "tests/lib/raft_solo.h"
#include "tests/unit/suites.h"

static struct solo solo;

static void
set_up(void)
{
	solo_init(&solo, 1, 3);
}

static void
tear_down(void)
{
	solo_release(&solo);
}

/* n1 leads three voters, all is committed. */
static void
lead(void)
{
	solo_boot(&solo);
	solo_lead(&solo);
	solo_ack(&solo, 2, 1);
	solo_ack(&solo, 3, 1);
	solo_clear(&solo);
}

static void
ack_last(raft_id peer)
{
	(void)solo_ack(&solo, peer, solo_status(&solo).last_index);
}

/* A change of one member that n2 and n3 acknowledge. */
static void
change_committed(raft_id id, enum raft_member_role role)
{
	ck_assert_int_eq(solo_change_member(&solo, id, role), 0);
	ack_last(2);
	ack_last(3);
	ck_assert(solo_status(&solo).members_committed);
}

static unsigned
memberships_count(void)
{
	struct raft_status status = solo_status(&solo);
	unsigned count = 0;

	for (raft_index i = status.compacted_index + 1; i <= status.last_index;
	     i++) {
		struct raft_entry entry;

		ck_assert_int_eq(raft_get_entry(solo.raft, i, &entry), 0);
		count += entry.type == RAFT_ENTRY_MEMBERS;
	}
	return count;
}

static struct raft_members
with_roles(const enum raft_member_role *roles, unsigned count)
{
	struct raft_members members = { .count = 0 };

	for (unsigned i = 0; i < count; i++) {
		const struct raft_member member = {
			.id = i + 1,
			.role_new = roles[i],
		};

		solo_set_member(&members, &member);
	}
	return members;
}

static bool
joint(void)
{
	return raft_get_members(solo.raft)->joint;
}

START_TEST(H1_one_at_a_time)
{
	lead();
	ck_assert_int_eq(solo_change_member(&solo, 4, RAFT_MEMBER_LEARNER), 0);
	ck_assert(!solo_status(&solo).members_committed);
	ck_assert_int_eq(
	    solo_change_member(&solo, 5, RAFT_MEMBER_LEARNER), ERR_BUSY);
	ack_last(2);
	ck_assert(solo_status(&solo).members_committed);
	ck_assert_int_eq(solo_change_member(&solo, 5, RAFT_MEMBER_LEARNER), 0);
	ck_assert_uint_eq(raft_get_members(solo.raft)->count, 5);
}
END_TEST

START_TEST(H2_own_term_guard)
{
	static const raft_term terms[] = { 1, 1 };

	solo.disk.commit_hint = 2;
	solo_preset(&solo, 1, 0, terms, 2);
	solo_boot(&solo);
	solo_lead(&solo);
	ack_last(2);
	ck_assert_uint_eq(solo_status(&solo).commit_index, 3);
	solo_crash(&solo);
	solo_boot(&solo);
	solo_lead(&solo);
	/* All before its term is committed, and yet. */
	ck_assert_int_eq(
	    solo_change_member(&solo, 4, RAFT_MEMBER_LEARNER), ERR_AGAIN);
	ack_last(2);
	ck_assert_int_eq(solo_change_member(&solo, 4, RAFT_MEMBER_LEARNER), 0);
}
END_TEST

START_TEST(H3_counts_under_the_new_members)
{
	lead();
	change_committed(4, RAFT_MEMBER_LEARNER);
	ck_assert_int_eq(solo_change_member(&solo, 4, RAFT_MEMBER_VOTER), 0);
	ck_assert(!joint());
	/* Three of four now, the new one among them or not. */
	ack_last(2);
	ck_assert(!solo_status(&solo).members_committed);
	ack_last(4);
	ck_assert(solo_status(&solo).members_committed);
}
END_TEST

START_TEST(H8_change_lost)
{
	static const raft_term newer[] = { 2, 2 };
	raft_index last;

	lead();
	last = solo_status(&solo).last_index;
	ck_assert_int_eq(solo_change_member(&solo, 4, RAFT_MEMBER_LEARNER), 0);
	solo_clear(&solo);
	(void)solo_append(&solo, 2, 2, last, 1, newer, 2, 1);
	solo_settle(&solo);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_FOLLOWER);
	ck_assert_int_eq(solo_role(&solo, 4), RAFT_MEMBER_NONE);
	ck_assert(solo.members_changed);
	/* Whoever waits is told that the entry is gone. */
	ck_assert_uint_eq(solo.dropped_count, 1);
	ck_assert_uint_eq(solo.dropped[0].first, last + 1);
	ck_assert_uint_eq(solo.dropped[0].term, 1);
}
END_TEST

static void
refuse(const struct raft_members *target, const char *what)
{
	raft_index last = solo_status(&solo).last_index;

	ck_assert_msg(solo_change(&solo, target) == ERR_INVALID, "%s", what);
	ck_assert_msg(solo_status(&solo).last_index == last, "%s", what);
}

START_TEST(H9_refused_targets)
{
	static const enum raft_member_role learners[] = { RAFT_MEMBER_LEARNER,
		RAFT_MEMBER_LEARNER, RAFT_MEMBER_LEARNER };
	const struct raft_members none = { .count = 0 };
	const struct raft_member ninth = {
		.id = 90,
		.role_new = RAFT_MEMBER_VOTER,
	};
	struct raft_members target;

	lead();
	target = *raft_get_members(solo.raft);
	refuse(&target, "nothing changes");
	refuse(&none, "nobody is left");
	target = with_roles(learners, 3);
	refuse(&target, "no voter is left");
	target = *raft_get_members(solo.raft);
	target.member[0].id = 0;
	refuse(&target, "an id of 0");
	target.member[0].id = 2;
	refuse(&target, "a member twice");
	target = *raft_get_members(solo.raft);
	solo_set_member(&target, &ninth);
	refuse(&target, "a voter that was no learner");
	target.count = RAFT_MEMBERS_MAX + 1;
	refuse(&target, "too many members");
	target = *raft_get_members(solo.raft);
	target.member[2].role_new = RAFT_MEMBER_JOINING;
	refuse(&target, "a voter cannot join");
	target.member[2].role_new = RAFT_MEMBER_NONE;
	refuse(&target, "a member of no role");
	target.member[2].role_new = (enum raft_member_role)7;
	refuse(&target, "a role of a newer version");
}
END_TEST

START_TEST(H9_joint_too_large)
{
	static const enum raft_member_role roles[] = { RAFT_MEMBER_VOTER,
		RAFT_MEMBER_VOTER, RAFT_MEMBER_VOTER, RAFT_MEMBER_LEARNER,
		RAFT_MEMBER_LEARNER, RAFT_MEMBER_LEARNER, RAFT_MEMBER_LEARNER,
		RAFT_MEMBER_LEARNER, RAFT_MEMBER_LEARNER };
	const struct raft_member tenth = {
		.id = 10,
		.role_new = RAFT_MEMBER_LEARNER,
	};
	const struct raft_member gone = { .id = 9 };
	struct raft_members target = with_roles(roles, 9);

	lead();
	ck_assert_int_eq(solo_change(&solo, &target), 0);
	ack_last(2);
	/* One learner for another: one entry, at no time ten members. */
	solo_set_member(&target, &gone);
	solo_set_member(&target, &tenth);
	ck_assert_int_eq(solo_change(&solo, &target), 0);
	ack_last(2);
	/* With two voters it would take a joint membership of ten. */
	target.member[8].id = 11;
	target.member[3].role_new = RAFT_MEMBER_VOTER;
	target.member[4].role_new = RAFT_MEMBER_VOTER;
	refuse(&target, "ten members while joint");
}
END_TEST

START_TEST(H10_expected_index)
{
	struct raft_members target;
	const struct raft_member learner = {
		.id = 4,
		.role_new = RAFT_MEMBER_LEARNER,
	};
	raft_index index = 99;
	raft_term term = 99;

	lead();
	change_committed(5, RAFT_MEMBER_LEARNER);
	target = *raft_get_members(solo.raft);
	solo_set_member(&target, &learner);
	ck_assert_int_eq(
	    raft_change_members(solo.raft, solo.now, &target, 1, &index, &term),
	    ERR_MISMATCH);
	ck_assert_int_eq(
	    raft_renew_members(solo.raft, solo.now, 1, &index, &term),
	    ERR_MISMATCH);
	ck_assert_uint_eq(index, 99);
	ck_assert_int_eq(
	    raft_change_members(solo.raft, solo.now, &target, 2, &index, &term),
	    0);
	ck_assert_uint_eq(index, 3);
	ck_assert_uint_eq(term, 1);
}
END_TEST

START_TEST(H11_learner_counts_nowhere)
{
	lead();
	change_committed(4, RAFT_MEMBER_LEARNER);
	(void)solo_propose(&solo, 10);
	solo_settle(&solo);
	ack_last(4);
	ck_assert_uint_eq(solo_status(&solo).commit_index, 2);
	ck_assert_uint_eq(
	    solo_peer(&solo, 4).match_index, solo_status(&solo).last_index);
	/* And its echo confirms no reads (J8). */
	ck_assert_int_eq(raft_read(solo.raft, solo.now, 1), 0);
	solo_settle(&solo);
	ack_last(4);
	ck_assert_uint_eq(solo.reads_count, 0);
	ack_last(2);
	ck_assert_uint_eq(solo_status(&solo).commit_index, 3);
	ck_assert_uint_eq(solo.reads_count, 1);
	/* Nor does it keep the leader in its place (check-quorum). */
	for (unsigned i = 0; i < 30; i++) {
		solo_advance(&solo, SOLO_HEARTBEAT_INTERVAL);
		if (solo_status(&solo).role == RAFT_LEADER)
			ack_last(4);
	}
	ck_assert_int_ne(solo_status(&solo).role, RAFT_LEADER);
}
END_TEST

START_TEST(H12_promote_too_early)
{
	lead();
	for (unsigned i = 0; i < 5; i++)
		(void)solo_propose(&solo, 10);
	solo_settle(&solo);
	change_committed(4, RAFT_MEMBER_JOINING);
	solo_ack(&solo, 4, 1);
	solo_ack(&solo, 4, 5);
	ck_assert_int_eq(solo_role(&solo, 4), RAFT_MEMBER_JOINING);
	ack_last(4);
	ck_assert_int_eq(solo_role(&solo, 4), RAFT_MEMBER_VOTER);
	ck_assert(!joint());
}
END_TEST

/* Time passes, in which n2 and n3 are heard. */
static void
pass(raft_usec duration)
{
	for (; duration > 0; duration -= SOLO_HEARTBEAT_INTERVAL) {
		solo_advance(&solo, SOLO_HEARTBEAT_INTERVAL);
		ack_last(2);
		ack_last(3);
	}
}

START_TEST(H13_catch_up_rounds)
{
	lead();
	change_committed(4, RAFT_MEMBER_JOINING);
	/* Silence is not waited for by anybody. */
	pass(5 * SOLO_ELECTION_TIMEOUT);
	ck_assert_int_eq(solo_role(&solo, 4), RAFT_MEMBER_JOINING);
	solo_ack(&solo, 4, 1);
	/* A round that takes longer than an election timeout is no good. */
	pass(SOLO_ELECTION_TIMEOUT + SOLO_HEARTBEAT_INTERVAL);
	(void)solo_propose(&solo, 10);
	solo_settle(&solo);
	solo_ack(&solo, 4, 2);
	ck_assert_int_eq(solo_role(&solo, 4), RAFT_MEMBER_JOINING);
	/* The next one has to bring what has come meanwhile. */
	solo_ack(&solo, 4, 2);
	ck_assert_int_eq(solo_role(&solo, 4), RAFT_MEMBER_JOINING);
	pass(SOLO_ELECTION_TIMEOUT - SOLO_HEARTBEAT_INTERVAL);
	solo_ack(&solo, 4, 3);
	ck_assert_int_eq(solo_role(&solo, 4), RAFT_MEMBER_VOTER);
}
END_TEST

START_TEST(H13_promotion_waits_for_another_change)
{
	lead();
	change_committed(4, RAFT_MEMBER_JOINING);
	solo_ack(&solo, 4, 2);
	ck_assert_int_eq(solo_change_member(&solo, 5, RAFT_MEMBER_LEARNER), 0);
	ack_last(4);
	ck_assert_int_eq(solo_role(&solo, 4), RAFT_MEMBER_JOINING);
	ack_last(2);
	ack_last(4);
	ck_assert_int_eq(solo_role(&solo, 4), RAFT_MEMBER_VOTER);
}
END_TEST

/* n4 that replaces `replaced`, caught up. */
static void
replace(raft_id replaced)
{
	struct raft_members target;
	const struct raft_member member = {
		.id = 4,
		.role_new = RAFT_MEMBER_JOINING,
		.replaces = replaced,
	};

	target = *raft_get_members(solo.raft);
	solo_set_member(&target, &member);
	ck_assert_int_eq(solo_change(&solo, &target), 0);
	ack_last(2);
	ack_last(4);
	ack_last(4);
}

START_TEST(H13_replaces)
{
	lead();
	replace(3);
	/* Two voters differ: the change is joint, and finishes by itself. */
	ck_assert(joint());
	ck_assert_int_eq(solo_role(&solo, 3), RAFT_MEMBER_NONE);
	ack_last(2);
	ck_assert(!joint());
	ck_assert_uint_eq(raft_get_members(solo.raft)->count, 3);
	ck_assert_int_eq(solo_role(&solo, 4), RAFT_MEMBER_VOTER);
	ck_assert_uint_eq(raft_get_members(solo.raft)->member[2].replaces, 0);
}
END_TEST

START_TEST(H13_replaces_who_is_gone)
{
	const struct raft_member joining = {
		.id = 4,
		.role_new = RAFT_MEMBER_JOINING,
		.replaces = 9,
	};
	struct raft_members target;

	lead();
	target = *raft_get_members(solo.raft);
	solo_set_member(&target, &joining);
	ck_assert_int_eq(solo_change(&solo, &target), 0);
	ck_assert_uint_eq(raft_get_members(solo.raft)->member[3].replaces, 0);
	ack_last(2);
	/* Whom it is to replace is removed before it has caught up. */
	target.member[3].replaces = 3;
	ck_assert_int_eq(solo_change(&solo, &target), 0);
	ck_assert_uint_eq(raft_get_members(solo.raft)->member[3].replaces, 3);
	ack_last(2);
	ck_assert_int_eq(solo_change_member(&solo, 3, RAFT_MEMBER_NONE), 0);
	ck_assert_uint_eq(raft_get_members(solo.raft)->member[2].replaces, 0);
}
END_TEST

START_TEST(H15_demote_voter)
{
	lead();
	ck_assert_int_eq(solo_change_member(&solo, 3, RAFT_MEMBER_LEARNER), 0);
	ck_assert(!joint());
	ack_last(3);
	ck_assert(!solo_status(&solo).members_committed);
	ack_last(2);
	ck_assert(solo_status(&solo).members_committed);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_LEADER);
	ck_assert_uint_eq(solo_status(&solo).term, 1);
}
END_TEST

START_TEST(H16_remove_unreachable)
{
	struct raft_peer_status peer;

	lead();
	(void)solo_propose(&solo, 10);
	solo_settle(&solo);
	ck_assert_uint_eq(solo_peer(&solo, 3).inflight_appends, 1);
	ck_assert_int_eq(solo_change_member(&solo, 3, RAFT_MEMBER_NONE), 0);
	solo_clear(&solo);
	ack_last(2);
	ck_assert(solo_status(&solo).members_committed);
	ck_assert_int_eq(raft_get_peer(solo.raft, 3, &peer), ERR_NOT_FOUND);
	solo_advance(&solo, SOLO_HEARTBEAT_INTERVAL);
	ck_assert_ptr_null(solo_sent(&solo, RAFT_APPEND_REQUEST, 3));
	ck_assert_ptr_nonnull(solo_sent(&solo, RAFT_APPEND_REQUEST, 2));
}
END_TEST

START_TEST(H16_remove_one_of_two)
{
	/* It alone is the new quorum: the dead one is not waited for. */
	solo_release(&solo);
	solo_init(&solo, 1, 2);
	solo_boot(&solo);
	solo_lead(&solo);
	solo_ack(&solo, 2, 1);
	ck_assert_int_eq(raft_read(solo.raft, solo.now, 7), 0);
	solo_settle(&solo);
	ck_assert_uint_eq(solo.reads_count, 0);
	ck_assert_int_eq(solo_change_member(&solo, 2, RAFT_MEMBER_NONE), 0);
	ck_assert(solo_status(&solo).members_committed);
	/* J11: the read that waited for it is answered. */
	ck_assert_uint_eq(solo.reads_count, 1);
	ck_assert_int_eq(solo.reads[0].status, 0);
	solo_advance(&solo, 10 * SOLO_ELECTION_TIMEOUT);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_LEADER);
}
END_TEST

START_TEST(H14_new_voter_is_given_time)
{
	/* A voter that was never heard does not end the leadership at once. */
	solo_release(&solo);
	solo_init(&solo, 1, 1);
	solo_boot(&solo);
	solo_lead(&solo);
	solo_advance(&solo, 10 * SOLO_ELECTION_TIMEOUT);
	ck_assert_int_eq(solo_change_member(&solo, 2, RAFT_MEMBER_LEARNER), 0);
	solo_advance(&solo, 10 * SOLO_ELECTION_TIMEOUT);
	ck_assert_int_eq(solo_change_member(&solo, 2, RAFT_MEMBER_VOTER), 0);
	solo_advance(&solo, SOLO_ELECTION_TIMEOUT - 1);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_LEADER);
	solo_advance(&solo, 1);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_FOLLOWER);
}
END_TEST

START_TEST(H17_remove_leader)
{
	const struct raft_message *told;
	struct raft_message answer;

	lead();
	ck_assert_int_eq(solo_change_member(&solo, 1, RAFT_MEMBER_NONE), 0);
	/* It leads on without counting itself. */
	solo_ack(&solo, 2, 2);
	ck_assert(!solo_status(&solo).members_committed);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_LEADER);
	solo_clear(&solo);
	solo_ack(&solo, 3, 2);
	ck_assert(solo_status(&solo).members_committed);
	/* Its place goes to one who has all, and that ends it. */
	told = solo_sent(&solo, RAFT_TIMEOUT_NOW, 2);
	ck_assert_ptr_nonnull(told);
	ck_assert_uint_eq(told->last_index, 2);
	answer = solo_answer(&solo, &solo.appended[2], RAFT_APPEND_RESPONSE);
	answer.term = 2;
	(void)solo_deliver(&solo, &answer);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_FOLLOWER);
}
END_TEST

START_TEST(H18_removed_leader_quiet)
{
	lead();
	ck_assert_int_eq(solo_change_member(&solo, 1, RAFT_MEMBER_NONE), 0);
	solo_ack(&solo, 2, 2);
	solo_ack(&solo, 3, 2);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_LEADER);
	/* Nobody takes its place: it goes all the same. */
	solo_advance(&solo, SOLO_ELECTION_TIMEOUT);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_FOLLOWER);
	solo_settle(&solo);
	solo_clear(&solo);
	ck_assert_uint_eq(raft_deadline(solo.raft), RAFT_NEVER);
	solo_advance(&solo, 100 * SOLO_ELECTION_TIMEOUT);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_FOLLOWER);
	ck_assert_uint_eq(solo.sent_count, 0);
}
END_TEST

START_TEST(H17_demoted_leader)
{
	solo_release(&solo);
	solo_init(&solo, 1, 2);
	solo_boot(&solo);
	solo_lead(&solo);
	solo_ack(&solo, 2, 1);
	ck_assert_int_eq(solo_change_member(&solo, 1, RAFT_MEMBER_LEARNER), 0);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_LEADER);
	solo_ack(&solo, 2, 2);
	ck_assert_int_eq(raft_propose(solo.raft, solo.now,
			     &(const struct raft_entry){
				 .type = RAFT_ENTRY_COMMAND, .size = 1 },
			     1, &(raft_index){ 0 }, &(raft_term){ 0 }),
	    ERR_AGAIN);
}
END_TEST

/* An append of one membership behind `prev_index`, from `leader`. */
static void
append_members(raft_id leader, raft_term term, raft_index prev_index,
    raft_term prev_term, const struct raft_members *members)
{
	struct raft_message append =
	    solo_message(&solo, RAFT_APPEND_REQUEST, leader, term);
	struct raft_entry entry = {
		.term = term,
		.type = RAFT_ENTRY_MEMBERS,
		.members = members,
	};

	append.sequence = ++solo.sequence;
	append.prev_index = prev_index;
	append.prev_term = prev_term;
	append.entries = &entry;
	append.entries_count = 1;
	ck_assert_int_eq(solo_deliver(&solo, &append), 0);
}

static struct raft_members
voters(raft_id first, raft_id last)
{
	struct raft_members members = { .count = 0 };

	for (raft_id id = first; id <= last; id++)
		members.member[members.count++] = (struct raft_member){
			.id = id,
			.role_old = RAFT_MEMBER_VOTER,
			.role_new = RAFT_MEMBER_VOTER,
		};
	return members;
}

/*
 * n2 leads, and removes itself and n3: until that is committed it leads on, and
 * may read by a lease that n1 promised. So n1, which starts again and by its log
 * is the only voter, waits as any other does.
 */
START_TEST(H20_last_voter_waits_for_who_removes_itself)
{
	struct raft_members members = voters(1, 1);

	solo_boot(&solo);
	append_members(2, 1, 0, 0, &members);
	solo_settle(&solo);
	solo_crash(&solo);
	solo_boot(&solo);
	ck_assert_uint_ge(
	    raft_deadline(solo.raft), solo.now + SOLO_ELECTION_TIMEOUT);
	/* And then it needs nobody. */
	solo_timeout(&solo);
	solo_settle(&solo);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_LEADER);
}
END_TEST

START_TEST(H20_removed_must_still_elect)
{
	struct raft_members members = voters(2, 3);

	solo_boot(&solo);
	append_members(2, 1, 0, 0, &members);
	solo_stand(&solo);
	solo_settle(&solo);
	ck_assert_uint_eq(solo_sent_count(&solo, RAFT_VOTE_REQUEST), 2);
	/* It does not count itself: both others have to agree. */
	solo_vote(&solo, solo_sent(&solo, RAFT_VOTE_REQUEST, 2), true);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_CANDIDATE);
	solo_vote(&solo, solo_sent(&solo, RAFT_VOTE_REQUEST, 3), true);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_LEADER);
	solo_settle(&solo);
	solo_clear(&solo);
	/* What it commits is its own end. */
	solo_ack(&solo, 2, 2);
	solo_ack(&solo, 3, 2);
	ck_assert(solo_status(&solo).members_committed);
	ck_assert_ptr_nonnull(solo_sent(&solo, RAFT_TIMEOUT_NOW, 2));
	solo_advance(&solo, SOLO_ELECTION_TIMEOUT);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_FOLLOWER);
	ck_assert_uint_eq(raft_deadline(solo.raft), RAFT_NEVER);
}
END_TEST

START_TEST(H21_removed_learns)
{
	struct raft_members members = voters(2, 3);

	solo_boot(&solo);
	append_members(2, 1, 0, 0, &members);
	ck_assert_uint_ne(raft_deadline(solo.raft), RAFT_NEVER);
	(void)solo_append(&solo, 2, 1, 1, 1, NULL, 0, 1);
	/* It campaigns no more, but notices when its leader is silent. */
	ck_assert_uint_eq(solo_status(&solo).leader, 2);
	ck_assert_uint_ne(raft_deadline(solo.raft), RAFT_NEVER);
	solo_advance(&solo, 2 * SOLO_ELECTION_TIMEOUT);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_FOLLOWER);
	ck_assert_uint_eq(solo_status(&solo).leader, 0);
	ck_assert_uint_eq(raft_deadline(solo.raft), RAFT_NEVER);
}
END_TEST

/* What a snapshot says is committed has the consequences of a commit. */
START_TEST(H17_leader_learns_of_its_removal_from_a_snapshot)
{
	struct raft_status status;

	lead();
	ck_assert_int_eq(solo_change_member(&solo, 1, RAFT_MEMBER_NONE), 0);
	status = solo_status(&solo);
	ck_assert(!status.members_committed);
	ck_assert_int_eq(solo_install(&solo, status.last_index, status.term,
			     &solo.disk.members),
	    ERR_EXISTS);
	status = solo_status(&solo);
	ck_assert(status.members_committed);
	ck_assert(status.role == RAFT_FOLLOWER || status.transfer_target != 0);
}
END_TEST

START_TEST(H22_answers_of_a_former_member)
{
	struct raft_message stale;
	uint64_t digest;

	lead();
	(void)solo_propose(&solo, 10);
	solo_settle(&solo);
	stale = solo_answer(&solo, &solo.appended[3], RAFT_APPEND_RESPONSE);
	stale.success = true;
	stale.match_index = 2;
	ck_assert_int_eq(solo_change_member(&solo, 3, RAFT_MEMBER_NONE), 0);
	ack_last(2);
	/* Its successor has another id, so nothing is mistaken for its own. */
	ck_assert_int_eq(solo_change_member(&solo, 4, RAFT_MEMBER_JOINING), 0);
	digest = raft_digest(solo.raft);
	(void)solo_deliver(&solo, &stale);
	ck_assert_uint_eq(raft_digest(solo.raft), digest);
	ck_assert_uint_eq(solo_peer(&solo, 4).match_index, 0);
}
END_TEST

/* From voters 1, 2, 3 with learners 4, 5 into the joint one with 1, 4, 5. */
static void
enter_joint(void)
{
	static const enum raft_member_role roles[] = { RAFT_MEMBER_VOTER,
		RAFT_MEMBER_NONE, RAFT_MEMBER_LEARNER, RAFT_MEMBER_VOTER,
		RAFT_MEMBER_VOTER };
	struct raft_members target = with_roles(roles, 5);

	lead();
	change_committed(4, RAFT_MEMBER_LEARNER);
	change_committed(5, RAFT_MEMBER_LEARNER);
	ack_last(4);
	ack_last(5);
	ck_assert_int_eq(solo_change(&solo, &target), 0);
	ck_assert(joint());
	ck_assert_uint_eq(raft_get_members(solo.raft)->count, 5);
}

START_TEST(H23_joint_commits_by_both)
{
	enter_joint();
	ack_last(4);
	ack_last(5);
	ck_assert(!solo_status(&solo).members_committed);
	ck_assert(joint());
	ack_last(2);
	/* Committed, and left at once. */
	ck_assert(!joint());
	ck_assert_int_eq(solo_role(&solo, 2), RAFT_MEMBER_NONE);
	/* From here on the new ones alone. */
	ack_last(4);
	ck_assert(solo_status(&solo).members_committed);
}
END_TEST

START_TEST(H23_joint_elects_and_reads_by_both)
{
	enter_joint();
	ck_assert_int_eq(raft_read(solo.raft, solo.now, 1), 0);
	solo_settle(&solo);
	solo_ack(&solo, 4, 1);
	solo_ack(&solo, 5, 1);
	ck_assert_uint_eq(solo.reads_count, 0);
	solo_ack(&solo, 3, 1);
	ck_assert_uint_eq(solo.reads_count, 1);
	solo_crash(&solo);
	solo_boot(&solo);
	ck_assert(joint());
	solo_precampaign(&solo);
	ck_assert_uint_eq(solo_sent_count(&solo, RAFT_PREVOTE_REQUEST), 4);
	solo_vote(&solo, solo_sent(&solo, RAFT_PREVOTE_REQUEST, 4), true);
	solo_vote(&solo, solo_sent(&solo, RAFT_PREVOTE_REQUEST, 5), true);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_PRECANDIDATE);
	solo_vote(&solo, solo_sent(&solo, RAFT_PREVOTE_REQUEST, 2), true);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_CANDIDATE);
}
END_TEST

START_TEST(H24_auto_leave_once)
{
	unsigned count;

	enter_joint();
	count = memberships_count();
	ack_last(4);
	ack_last(2);
	ck_assert_uint_eq(memberships_count(), count + 1);
	ack_last(2);
	ack_last(4);
	ack_last(5);
	solo_advance(&solo, SOLO_HEARTBEAT_INTERVAL);
	ack_last(4);
	ck_assert_uint_eq(memberships_count(), count + 1);
}
END_TEST

START_TEST(H26_leave_is_not_doubled)
{
	unsigned count;

	enter_joint();
	ack_last(4);
	ack_last(2);
	ck_assert(!joint());
	count = memberships_count();
	/* A leader that finds the leave in its log adds none. */
	solo_crash(&solo);
	solo_boot(&solo);
	solo_lead(&solo);
	ack_last(4);
	ack_last(5);
	ck_assert(solo_status(&solo).members_committed);
	ck_assert_uint_eq(memberships_count(), count);
}
END_TEST

START_TEST(H27_joint_recovered_commit_first)
{
	raft_index index;

	enter_joint();
	index = solo_status(&solo).members_index;
	/* The disk knows that it is committed; the leave did not get there. */
	solo.disk.commit_hint = index;
	solo_crash(&solo);
	solo_boot(&solo);
	ck_assert_uint_eq(solo_status(&solo).commit_index, index);
	solo_lead(&solo);
	ck_assert(joint());
	/* Not before something of the own term is committed, by both. */
	ack_last(4);
	ck_assert(joint());
	ack_last(2);
	ck_assert(!joint());
}
END_TEST

START_TEST(H28_H30_demoted_through_joint)
{
	static const enum raft_member_role roles[] = { RAFT_MEMBER_VOTER,
		RAFT_MEMBER_LEARNER, RAFT_MEMBER_LEARNER, RAFT_MEMBER_VOTER };
	struct raft_members target = with_roles(roles, 4);
	const struct raft_member *demoted;

	lead();
	change_committed(4, RAFT_MEMBER_LEARNER);
	ck_assert_int_eq(solo_change(&solo, &target), 0);
	demoted = &raft_get_members(solo.raft)->member[2];
	ck_assert_int_eq(demoted->role_old, RAFT_MEMBER_VOTER);
	ck_assert_int_eq(demoted->role_new, RAFT_MEMBER_LEARNER);
	/* It is needed in the old half until that is left. */
	ack_last(4);
	ck_assert(joint());
	ack_last(3);
	ck_assert(!joint());
	demoted = &raft_get_members(solo.raft)->member[2];
	ck_assert_int_eq(demoted->role_old, RAFT_MEMBER_LEARNER);
	ack_last(2);
	ack_last(3);
	ck_assert(!solo_status(&solo).members_committed);
	ack_last(4);
	ck_assert(solo_status(&solo).members_committed);
}
END_TEST

START_TEST(H33_renew_members)
{
	raft_index index;
	raft_term term;

	lead();
	change_committed(4, RAFT_MEMBER_LEARNER);
	solo_clear(&solo);
	ck_assert_int_eq(
	    raft_renew_members(solo.raft, solo.now, 2, &index, &term), 0);
	ck_assert_uint_eq(index, 3);
	solo_settle(&solo);
	ck_assert(solo.members_changed);
	ck_assert_uint_eq(raft_get_members(solo.raft)->index, 3);
	ck_assert_uint_eq(raft_get_members(solo.raft)->count, 4);
	/* What is known of the peers stays. */
	ck_assert_uint_eq(solo_peer(&solo, 2).match_index, 2);
	ck_assert_int_eq(
	    raft_renew_members(solo.raft, solo.now, 3, &index, &term),
	    ERR_BUSY);
	ack_last(2);
	ck_assert_int_eq(
	    raft_renew_members(solo.raft, solo.now, 3, &index, &term), 0);
}
END_TEST

START_TEST(only_a_leader_changes_members)
{
	raft_index index;
	raft_term term;

	solo_boot(&solo);
	ck_assert_int_eq(
	    solo_change_member(&solo, 4, RAFT_MEMBER_LEARNER), ERR_NOT_LEADER);
	ck_assert_int_eq(
	    raft_renew_members(solo.raft, solo.now, 0, &index, &term),
	    ERR_NOT_LEADER);
}
END_TEST

Suite *
raft_change_suite(void)
{
	Suite *suite = suite_create("raft_change");
	TCase *change = tcase_create("change");

	tcase_add_checked_fixture(change, set_up, tear_down);
	tcase_add_test(change, H1_one_at_a_time);
	tcase_add_test(change, H2_own_term_guard);
	tcase_add_test(change, H3_counts_under_the_new_members);
	tcase_add_test(change, H8_change_lost);
	tcase_add_test(change, H9_refused_targets);
	tcase_add_test(change, H9_joint_too_large);
	tcase_add_test(change, H10_expected_index);
	tcase_add_test(change, H11_learner_counts_nowhere);
	tcase_add_test(change, H12_promote_too_early);
	tcase_add_test(change, H13_catch_up_rounds);
	tcase_add_test(change, H13_promotion_waits_for_another_change);
	tcase_add_test(change, H13_replaces);
	tcase_add_test(change, H13_replaces_who_is_gone);
	tcase_add_test(change, H14_new_voter_is_given_time);
	tcase_add_test(change, H15_demote_voter);
	tcase_add_test(change, H16_remove_unreachable);
	tcase_add_test(change, H16_remove_one_of_two);
	tcase_add_test(change, H17_remove_leader);
	tcase_add_test(change, H17_demoted_leader);
	tcase_add_test(change, H18_removed_leader_quiet);
	tcase_add_test(change, H20_last_voter_waits_for_who_removes_itself);
	tcase_add_test(change, H20_removed_must_still_elect);
	tcase_add_test(change, H21_removed_learns);
	tcase_add_test(
	    change, H17_leader_learns_of_its_removal_from_a_snapshot);
	tcase_add_test(change, H22_answers_of_a_former_member);
	tcase_add_test(change, H23_joint_commits_by_both);
	tcase_add_test(change, H23_joint_elects_and_reads_by_both);
	tcase_add_test(change, H24_auto_leave_once);
	tcase_add_test(change, H26_leave_is_not_doubled);
	tcase_add_test(change, H27_joint_recovered_commit_first);
	tcase_add_test(change, H28_H30_demoted_through_joint);
	tcase_add_test(change, H33_renew_members);
	tcase_add_test(change, only_a_leader_changes_members);
	suite_add_tcase(suite, change);
	return suite;
}
