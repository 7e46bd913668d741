/* Transfer of the leadership: group I of the scenarios. */

#include "tests/lib/raft_cluster.h"
#include "tests/unit/suites.h"

#define SECOND 1000000

static struct solo solo;
static struct cluster cluster;

static void
set_up(void)
{
	solo_init(&solo, 1, 3);
	cluster_init(&cluster, 3, 23);
}

static void
tear_down(void)
{
	solo_release(&solo);
	cluster_release(&cluster);
}

/* n1 leads three voters, all is committed and everywhere. */
static void
lead(void)
{
	solo_boot(&solo);
	solo_lead(&solo);
	solo_ack(&solo, 2, 1);
	solo_ack(&solo, 3, 1);
	solo_clear(&solo);
}

static int
transfer(raft_id target)
{
	int result = raft_transfer(solo.raft, solo.now, target);

	solo_settle(&solo);
	return result;
}

static int
propose(void)
{
	struct raft_entry entry = { .type = RAFT_ENTRY_COMMAND, .size = 1 };
	raft_index first;
	raft_term term;

	return raft_propose(solo.raft, solo.now, &entry, 1, &first, &term);
}

/* A healthy cluster; its leader. */
static raft_id
form(void)
{
	cluster_boot_all(&cluster);
	(void)cluster_elect(&cluster, SECOND);
	cluster_converge(&cluster, SECOND);
	return cluster_leader(&cluster);
}

static raft_id
other_than(raft_id id)
{
	return id == 1 ? 2 : 1;
}

START_TEST(I1_up_to_date_target)
{
	raft_id leader = form();
	raft_id target = other_than(leader);
	raft_term term = cluster_status(&cluster, leader).term;

	ck_assert_int_eq(cluster_transfer(&cluster, leader, target), 0);
	/* TIMEOUT_NOW, its disk, a request, a voter's disk, a vote. */
	cluster_run(&cluster, 3 * 1000 + 2 * 2000);
	ck_assert_int_eq(cluster_status(&cluster, target).role, RAFT_LEADER);
	ck_assert_uint_eq(cluster_status(&cluster, target).term, term + 1);
	ck_assert_uint_eq(cluster_status(&cluster, leader).transfer_target, 0);
	cluster_converge(&cluster, SECOND);
	ck_assert_int_eq(cluster_propose(&cluster, target, 1), 0);
	cluster_converge(&cluster, SECOND);
}
END_TEST

START_TEST(I2_lagging_target)
{
	lead();
	(void)solo_propose(&solo, 10);
	solo_settle(&solo);
	solo_ack(&solo, 3, 2);
	ck_assert_int_eq(transfer(2), 0);
	ck_assert_uint_eq(solo_status(&solo).transfer_target, 2);
	ck_assert_ptr_null(solo_sent(&solo, RAFT_TIMEOUT_NOW, 0));
	solo_ack(&solo, 2, 2);
	ck_assert_ptr_nonnull(solo_sent(&solo, RAFT_TIMEOUT_NOW, 2));
	ck_assert_uint_eq(solo_sent(&solo, RAFT_TIMEOUT_NOW, 2)->last_index, 2);
	ck_assert_uint_eq(solo_sent(&solo, RAFT_TIMEOUT_NOW, 2)->last_term, 1);
	/* Said again, in case it was lost, and not more often. */
	solo_ack(&solo, 2, 2);
	ck_assert_uint_eq(solo_sent_count(&solo, RAFT_TIMEOUT_NOW), 1);
	solo_advance(&solo, SOLO_HEARTBEAT_INTERVAL);
	ck_assert_uint_eq(solo_sent_count(&solo, RAFT_TIMEOUT_NOW), 2);
}
END_TEST

START_TEST(I3_target_after_snapshot)
{
	static const raft_term terms[] = { 1, 1, 1 };
	struct raft_message answer;

	solo.disk.commit_hint = 3;
	solo.disk.applied_index = 3;
	solo_preset(&solo, 1, 0, terms, 3);
	solo_boot(&solo);
	ck_assert_int_eq(solo_compact(&solo, 3), 0);
	solo_lead(&solo);
	solo_ack(&solo, 3, 4);
	answer = solo_answer(&solo, &solo.appended[2], RAFT_APPEND_RESPONSE);
	answer.rejected_index = 3;
	(void)solo_deliver(&solo, &answer);
	ck_assert_int_eq(solo_peer(&solo, 2).state, RAFT_PEER_SNAPSHOT);
	ck_assert_int_eq(transfer(2), 0);
	ck_assert_int_eq(raft_snapshot_sent(solo.raft, solo.now, 2, 3), 0);
	solo_settle(&solo);
	ck_assert_ptr_null(solo_sent(&solo, RAFT_TIMEOUT_NOW, 0));
	solo_ack(&solo, 2, 4);
	ck_assert_ptr_nonnull(solo_sent(&solo, RAFT_TIMEOUT_NOW, 2));
}
END_TEST

START_TEST(I4_refused_targets)
{
	lead();
	ck_assert_int_eq(transfer(1), ERR_INVALID);
	ck_assert_int_eq(transfer(9), ERR_INVALID);
	ck_assert_int_eq(solo_change_member(&solo, 4, RAFT_MEMBER_LEARNER), 0);
	solo_ack(&solo, 2, 2);
	solo_ack(&solo, 4, 2);
	ck_assert_int_eq(transfer(4), ERR_INVALID);
	ck_assert_uint_eq(solo_status(&solo).transfer_target, 0);
	ck_assert_int_eq(propose(), 0);
	solo_crash(&solo);
	solo_boot(&solo);
	ck_assert_int_eq(transfer(2), ERR_NOT_LEADER);
}
END_TEST

START_TEST(I4_silent_target)
{
	lead();
	solo_advance(&solo, SOLO_ELECTION_TIMEOUT / 2);
	solo_ack(&solo, 2, 1);
	solo_advance(&solo, SOLO_ELECTION_TIMEOUT / 2);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_LEADER);
	ck_assert_int_eq(transfer(3), ERR_NOT_FOUND);
	ck_assert_int_eq(transfer(2), 0);
}
END_TEST

/* Time passes, in which both others answer heartbeats. */
static void
pass(raft_usec duration)
{
	for (; duration > 0; duration -= SOLO_HEARTBEAT_INTERVAL) {
		solo_advance(&solo, SOLO_HEARTBEAT_INTERVAL);
		solo_ack(&solo, 2, 1);
		solo_ack(&solo, 3, 1);
	}
}

START_TEST(I5_timeout)
{
	solo.params.transfer_timeout = 5 * SOLO_HEARTBEAT_INTERVAL;
	lead();
	ck_assert_int_eq(transfer(2), 0);
	pass(4 * SOLO_HEARTBEAT_INTERVAL);
	ck_assert_int_eq(propose(), ERR_AGAIN);
	pass(SOLO_HEARTBEAT_INTERVAL);
	ck_assert_uint_eq(solo_status(&solo).transfer_target, 0);
	ck_assert_int_eq(propose(), 0);
	solo_settle(&solo);
	solo_clear(&solo);
	/* It is told no more. */
	solo_ack(&solo, 2, 2);
	pass(5 * SOLO_HEARTBEAT_INTERVAL);
	ck_assert_ptr_null(solo_sent(&solo, RAFT_TIMEOUT_NOW, 0));
}
END_TEST

START_TEST(I5_deadline_is_told)
{
	lead();
	(void)solo_propose(&solo, 10);
	solo_settle(&solo);
	ck_assert_int_eq(transfer(2), 0);
	/* Nothing else is due so late: the timer alone gets there. */
	for (unsigned i = 0; i < 100; i++) {
		solo_timeout(&solo);
		solo_ack(&solo, 3, 2);
	}
	ck_assert_int_eq(solo_status(&solo).role, RAFT_LEADER);
	ck_assert_uint_eq(solo_status(&solo).transfer_target, 0);
}
END_TEST

START_TEST(I6_proposals_during)
{
	raft_index last;

	lead();
	ck_assert_int_eq(propose(), 0);
	last = solo_status(&solo).last_index;
	ck_assert_int_eq(transfer(2), 0);
	ck_assert_int_eq(propose(), ERR_AGAIN);
	ck_assert_uint_eq(solo_status(&solo).last_index, last);
	/* What came before is replicated and committed as ever. */
	solo_ack(&solo, 3, last);
	ck_assert_uint_eq(solo_status(&solo).commit_index, last);
}
END_TEST

START_TEST(I7_second_transfer)
{
	solo.params.transfer_timeout = 3 * SOLO_HEARTBEAT_INTERVAL;
	lead();
	ck_assert_int_eq(transfer(2), 0);
	pass(2 * SOLO_HEARTBEAT_INTERVAL);
	/* The same again does not prolong it. */
	ck_assert_int_eq(transfer(2), 0);
	ck_assert_int_eq(transfer(0), 0);
	pass(SOLO_HEARTBEAT_INTERVAL);
	ck_assert_uint_eq(solo_status(&solo).transfer_target, 0);
	ck_assert_int_eq(transfer(2), 0);
	pass(2 * SOLO_HEARTBEAT_INTERVAL);
	solo_clear(&solo);
	/* Another one takes its place. */
	ck_assert_int_eq(transfer(3), 0);
	ck_assert_uint_eq(solo_status(&solo).transfer_target, 3);
	ck_assert_ptr_nonnull(solo_sent(&solo, RAFT_TIMEOUT_NOW, 3));
	pass(2 * SOLO_HEARTBEAT_INTERVAL);
	ck_assert_uint_eq(solo_status(&solo).transfer_target, 3);
}
END_TEST

START_TEST(H34_I8_I9_no_change_during_transfer)
{
	lead();
	ck_assert_int_eq(transfer(2), 0);
	ck_assert_int_eq(
	    solo_change_member(&solo, 2, RAFT_MEMBER_NONE), ERR_AGAIN);
	ck_assert_int_eq(
	    solo_change_member(&solo, 4, RAFT_MEMBER_LEARNER), ERR_AGAIN);
}
END_TEST

START_TEST(I9_no_promotion_during_transfer)
{
	lead();
	ck_assert_int_eq(solo_change_member(&solo, 4, RAFT_MEMBER_JOINING), 0);
	solo_ack(&solo, 2, 2);
	solo_ack(&solo, 4, 2);
	ck_assert_int_eq(transfer(3), 0);
	solo_ack(&solo, 4, 2);
	ck_assert_int_eq(solo_role(&solo, 4), RAFT_MEMBER_JOINING);
	for (unsigned i = 0; i < 6; i++) {
		solo_advance(&solo, SOLO_HEARTBEAT_INTERVAL);
		solo_ack(&solo, 2, 2);
		solo_ack(&solo, 4, 2);
	}
	/* It came to nothing, and what waited for that goes on. */
	ck_assert_uint_eq(solo_status(&solo).transfer_target, 0);
	ck_assert_int_eq(solo_role(&solo, 4), RAFT_MEMBER_VOTER);
}
END_TEST

START_TEST(H34_I9_no_transfer_during_change)
{
	lead();
	ck_assert_int_eq(solo_change_member(&solo, 4, RAFT_MEMBER_LEARNER), 0);
	ck_assert_int_eq(transfer(2), ERR_BUSY);
	solo_ack(&solo, 2, 2);
	ck_assert_int_eq(transfer(2), 0);
}
END_TEST

START_TEST(I10_higher_term_during)
{
	struct raft_message answer;

	lead();
	ck_assert_int_eq(transfer(2), 0);
	answer = solo_answer(&solo, &solo.appended[3], RAFT_APPEND_RESPONSE);
	answer.term = 5;
	(void)solo_deliver(&solo, &answer);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_FOLLOWER);
	ck_assert_uint_eq(solo_status(&solo).transfer_target, 0);
	/* Leading again, it takes proposals. */
	solo_lead(&solo);
	ck_assert_int_eq(propose(), 0);
}
END_TEST

/* n1 follows n2 in term 1, with one entry that is durable unless `open`. */
static struct raft_message
follow(bool open)
{
	struct raft_message now;

	solo_boot(&solo);
	(void)solo_append(&solo, 2, 1, 0, 0, (const raft_term[]){ 1 }, 1, 1);
	if (open)
		solo_take(&solo);
	else
		solo_settle(&solo);
	now = solo_message(&solo, RAFT_TIMEOUT_NOW, 2, 1);
	now.sequence = ++solo.sequence;
	now.last_index = 1;
	now.last_term = 1;
	return now;
}

static enum raft_role
role_after(const struct raft_message *now)
{
	struct raft_accepted accepted;

	ck_assert_int_eq(solo_receive(&solo, now, &accepted), 0);
	return solo_status(&solo).role;
}

START_TEST(I1_target_campaigns_at_once)
{
	struct raft_message now = follow(false);

	ck_assert_int_eq(role_after(&now), RAFT_CANDIDATE);
	ck_assert_uint_eq(solo_status(&solo).term, 2);
	solo_take(&solo);
	/* Its vote is durable before it asks, as ever (A20). */
	ck_assert_ptr_null(solo_sent(&solo, RAFT_VOTE_REQUEST, 0));
	solo_settle(&solo);
	ck_assert_ptr_nonnull(solo_sent(&solo, RAFT_VOTE_REQUEST, 2));
	ck_assert(solo_sent(&solo, RAFT_VOTE_REQUEST, 3)->transfer);
	ck_assert_ptr_null(solo_sent(&solo, RAFT_PREVOTE_REQUEST, 0));
	/* Its next campaign is one like any other. */
	solo_stand(&solo);
	solo_settle(&solo);
	ck_assert(!solo_sent(&solo, RAFT_VOTE_REQUEST, 3)->transfer);
}
END_TEST

/*
 * A leader that is out of the membership, as the follower knows already, leads
 * on until it has handed its place over: it is followed, and told by (H17).
 */
START_TEST(H17_follows_who_is_out_until_it_hands_over)
{
	struct raft_message now = follow(false);
	struct raft_message append =
	    solo_message(&solo, RAFT_APPEND_REQUEST, 2, 1);
	struct raft_members members = solo.disk.members;
	const struct raft_member out = { .id = 2 };
	const struct raft_entry entry = {
		.term = 1,
		.type = RAFT_ENTRY_MEMBERS,
		.members = &members,
	};

	solo_set_member(&members, &out);
	append.sequence = ++solo.sequence;
	append.prev_index = 1;
	append.prev_term = 1;
	append.entries = &entry;
	append.entries_count = 1;
	ck_assert_int_eq(solo_deliver(&solo, &append), 0);
	ck_assert_int_eq(solo_role(&solo, 2), RAFT_MEMBER_NONE);
	/* Committed, and still led by it. */
	ck_assert_int_eq(solo_append(&solo, 2, 1, 2, 1, NULL, 0, 2), 0);
	solo_settle(&solo);
	ck_assert(solo_status(&solo).members_committed);
	ck_assert_uint_eq(solo_status(&solo).leader, 2);
	ck_assert(solo_sent(&solo, RAFT_APPEND_RESPONSE, 2)->success);
	ck_assert_uint_eq(
	    solo_sent(&solo, RAFT_APPEND_RESPONSE, 2)->match_index, 2);
	now.sequence = ++solo.sequence;
	now.last_index = 2;
	ck_assert_int_eq(role_after(&now), RAFT_CANDIDATE);
	solo_clear(&solo);
	solo_settle(&solo);
	/* It asks the members that there are, at once. */
	ck_assert_ptr_nonnull(solo_sent(&solo, RAFT_VOTE_REQUEST, 3));
	ck_assert_ptr_null(solo_sent(&solo, RAFT_VOTE_REQUEST, 2));
	ck_assert(solo_sent(&solo, RAFT_VOTE_REQUEST, 3)->transfer);
}
END_TEST

START_TEST(I11_stale_timeout_now)
{
	struct raft_message now = follow(false);
	struct raft_message wrong = now;

	wrong.from = 3;
	ck_assert_int_eq(role_after(&wrong), RAFT_FOLLOWER);
	wrong = now;
	wrong.last_index = 2;
	ck_assert_int_eq(role_after(&wrong), RAFT_FOLLOWER);
	(void)solo_append(&solo, 3, 2, 1, 1, NULL, 0, 1);
	solo_settle(&solo);
	ck_assert_int_eq(role_after(&now), RAFT_FOLLOWER);
	/* A term that it had not heard of comes without a leader it knows. */
	now.term = 3;
	now.last_term = 3;
	ck_assert_int_eq(role_after(&now), RAFT_FOLLOWER);
	ck_assert_uint_eq(solo_status(&solo).term, 3);
}
END_TEST

START_TEST(I12_target_not_flushed)
{
	struct raft_message now = follow(true);

	ck_assert_int_eq(role_after(&now), RAFT_FOLLOWER);
	solo_persisted(&solo);
	ck_assert_int_eq(role_after(&now), RAFT_CANDIDATE);
}
END_TEST

START_TEST(I4_target_is_no_voter)
{
	struct raft_message now;

	solo.disk.members.member[0].role_old = RAFT_MEMBER_LEARNER;
	solo.disk.members.member[0].role_new = RAFT_MEMBER_LEARNER;
	now = follow(false);
	ck_assert_int_eq(role_after(&now), RAFT_FOLLOWER);
}
END_TEST

START_TEST(I13_transfer_back)
{
	raft_id first = form();
	raft_id second = other_than(first);
	raft_term term = cluster_status(&cluster, first).term;

	ck_assert_int_eq(cluster_transfer(&cluster, first, second), 0);
	cluster_run(&cluster, SOLO_ELECTION_TIMEOUT / 2);
	ck_assert_uint_eq(cluster_leader(&cluster), second);
	ck_assert_int_eq(cluster_transfer(&cluster, second, first), 0);
	cluster_run(&cluster, SOLO_ELECTION_TIMEOUT / 2);
	ck_assert_uint_eq(cluster_leader(&cluster), first);
	ck_assert_uint_eq(cluster_status(&cluster, first).term, term + 2);
}
END_TEST

START_TEST(I14_B22_transfer_beats_stickiness)
{
	struct raft_message request;

	(void)follow(false);
	/* n2 was heard just now: a vote is refused, unless it asked for it. */
	ck_assert(!solo_ask(&solo, RAFT_VOTE_REQUEST, 3, 2, 1, 1));
	ck_assert_uint_eq(solo_status(&solo).term, 1);
	request = solo_message(&solo, RAFT_VOTE_REQUEST, 3, 2);
	request.sequence = ++solo.sequence;
	request.last_index = 1;
	request.last_term = 1;
	request.transfer = true;
	(void)solo_deliver(&solo, &request);
	ck_assert(solo_sent(&solo, RAFT_VOTE_RESPONSE, 3)->granted);
	ck_assert_uint_eq(solo_status(&solo).term, 2);
}
END_TEST

START_TEST(B22_leader_votes_for_its_target)
{
	struct raft_message request;

	lead();
	ck_assert_int_eq(transfer(2), 0);
	request = solo_message(&solo, RAFT_VOTE_REQUEST, 2, 2);
	request.last_index = 1;
	request.last_term = 1;
	request.transfer = true;
	(void)solo_deliver(&solo, &request);
	ck_assert(solo_sent(&solo, RAFT_VOTE_RESPONSE, 2)->granted);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_FOLLOWER);
}
END_TEST

START_TEST(I15_heartbeat_to_candidate)
{
	struct raft_message now = follow(false);

	ck_assert_int_eq(role_after(&now), RAFT_CANDIDATE);
	(void)solo_append(&solo, 2, 1, 1, 1, NULL, 0, 1);
	solo_settle(&solo);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_CANDIDATE);
	ck_assert_uint_eq(solo_sent(&solo, RAFT_APPEND_RESPONSE, 2)->term, 2);
}
END_TEST

START_TEST(I16_lease_ends_before_timeout_now)
{
	solo.params.lease_reads = true;
	lead();
	pass(SOLO_HEARTBEAT_INTERVAL);
	ck_assert_uint_gt(raft_lease_until(solo.raft), solo.now);
	(void)solo_propose(&solo, 10);
	ck_assert_int_eq(transfer(2), 0);
	ck_assert_ptr_null(solo_sent(&solo, RAFT_TIMEOUT_NOW, 0));
	ck_assert_uint_eq(raft_lease_until(solo.raft), 0);
	solo_ack(&solo, 2, 2);
	solo_ack(&solo, 3, 2);
	ck_assert_ptr_nonnull(solo_sent(&solo, RAFT_TIMEOUT_NOW, 2));
	ck_assert_uint_eq(raft_lease_until(solo.raft), 0);
	/* A read is one by a round. */
	ck_assert_int_eq(raft_read(solo.raft, solo.now, 1), 0);
	solo_settle(&solo);
	ck_assert_uint_eq(solo.reads_count, 0);
	solo_ack(&solo, 3, 2);
	ck_assert_uint_eq(solo.reads_count, 1);
	/* What was said may be acted upon at any time: no lease again. */
	pass(SOLO_ELECTION_TIMEOUT);
	ck_assert_uint_eq(solo_status(&solo).transfer_target, 0);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_LEADER);
	ck_assert_uint_eq(raft_lease_until(solo.raft), 0);
}
END_TEST

START_TEST(I16_lease_after_nobody_was_told)
{
	solo.params.lease_reads = true;
	lead();
	pass(SOLO_HEARTBEAT_INTERVAL);
	(void)solo_propose(&solo, 10);
	ck_assert_int_eq(transfer(2), 0);
	/* The target does not get there, and is not told. */
	pass(SOLO_ELECTION_TIMEOUT);
	ck_assert_ptr_null(solo_sent(&solo, RAFT_TIMEOUT_NOW, 0));
	ck_assert_uint_eq(solo_status(&solo).transfer_target, 0);
	ck_assert_uint_gt(raft_lease_until(solo.raft), solo.now);
}
END_TEST

START_TEST(I17_two_nodes)
{
	raft_id leader;

	cluster_release(&cluster);
	cluster_init(&cluster, 2, 29);
	leader = form();
	ck_assert_int_eq(cluster_transfer(&cluster, leader, 3 - leader), 0);
	cluster_run(&cluster, SOLO_ELECTION_TIMEOUT / 2);
	ck_assert_uint_eq(cluster_leader(&cluster), 3 - leader);
	/* A target that dies just then: all is as before, after a while. */
	cluster_converge(&cluster, SECOND);
	leader = cluster_leader(&cluster);
	ck_assert_int_eq(cluster_transfer(&cluster, leader, 3 - leader), 0);
	cluster_crash(&cluster, 3 - leader);
	cluster_run(&cluster, 2 * SOLO_ELECTION_TIMEOUT);
	ck_assert_uint_eq(cluster_status(&cluster, leader).transfer_target, 0);
	cluster_boot(&cluster, 3 - leader);
	cluster_converge(&cluster, SECOND);
}
END_TEST

START_TEST(I18_best_target)
{
	lead();
	(void)solo_propose(&solo, 10);
	solo_settle(&solo);
	solo_ack(&solo, 3, 2);
	ck_assert_int_eq(transfer(0), 0);
	ck_assert_uint_eq(solo_status(&solo).transfer_target, 3);
	ck_assert_ptr_nonnull(solo_sent(&solo, RAFT_TIMEOUT_NOW, 3));
}
END_TEST

START_TEST(I18_nobody_alive)
{
	solo_boot(&solo);
	solo_lead(&solo);
	ck_assert_int_eq(transfer(0), ERR_BUSY);
	solo_ack(&solo, 2, 1);
	/* A learner that holds all is no target. */
	ck_assert_int_eq(solo_change_member(&solo, 4, RAFT_MEMBER_LEARNER), 0);
	solo_ack(&solo, 2, 2);
	solo_advance(&solo, SOLO_ELECTION_TIMEOUT - 1);
	solo_ack(&solo, 4, 2);
	solo_ack(&solo, 3, 1);
	solo_advance(&solo, 1);
	ck_assert_int_eq(transfer(2), ERR_NOT_FOUND);
	ck_assert_int_eq(transfer(0), 0);
	ck_assert_uint_eq(solo_status(&solo).transfer_target, 3);
	solo_release(&solo);
	solo_init(&solo, 1, 1);
	solo_boot(&solo);
	solo_lead(&solo);
	ck_assert_int_eq(transfer(0), ERR_NOT_FOUND);
}
END_TEST

START_TEST(I19_transfer_storm)
{
	unsigned taken = 0;

	(void)form();
	cluster.latency_max = 4000;
	cluster.drop_percent = 3;
	for (unsigned i = 0; i < 100; i++) {
		raft_id leader = cluster_leader(&cluster);

		if (leader != 0) {
			(void)cluster_transfer(
			    &cluster, leader, 1 + rng_below(&cluster.rng, 3));
			taken += cluster_propose(&cluster, leader, 5) == 0;
		}
		cluster_run(&cluster, 25000);
		leader = cluster_leader(&cluster);
		if (leader != 0)
			taken += cluster_propose(&cluster, leader, 5) == 0;
		cluster_run(&cluster, 25000);
	}
	ck_assert_uint_gt(taken, 20);
	ck_assert_uint_gt(cluster_status(&cluster, 1).leader_changes, 20);
	cluster.drop_percent = 0;
	cluster_converge(&cluster, SECOND);
}
END_TEST

Suite *
raft_transfer_suite(void)
{
	Suite *suite = suite_create("raft_transfer");
	TCase *transfer = tcase_create("transfer");

	tcase_add_checked_fixture(transfer, set_up, tear_down);
	tcase_add_test(transfer, I1_up_to_date_target);
	tcase_add_test(transfer, I1_target_campaigns_at_once);
	tcase_add_test(transfer, I2_lagging_target);
	tcase_add_test(transfer, I3_target_after_snapshot);
	tcase_add_test(transfer, I4_refused_targets);
	tcase_add_test(transfer, I4_silent_target);
	tcase_add_test(transfer, I4_target_is_no_voter);
	tcase_add_test(transfer, I5_timeout);
	tcase_add_test(transfer, I5_deadline_is_told);
	tcase_add_test(transfer, I6_proposals_during);
	tcase_add_test(transfer, I7_second_transfer);
	tcase_add_test(transfer, H34_I8_I9_no_change_during_transfer);
	tcase_add_test(transfer, I9_no_promotion_during_transfer);
	tcase_add_test(transfer, H34_I9_no_transfer_during_change);
	tcase_add_test(transfer, I10_higher_term_during);
	tcase_add_test(transfer, I11_stale_timeout_now);
	tcase_add_test(transfer, H17_follows_who_is_out_until_it_hands_over);
	tcase_add_test(transfer, I12_target_not_flushed);
	tcase_add_test(transfer, I13_transfer_back);
	tcase_add_test(transfer, I14_B22_transfer_beats_stickiness);
	tcase_add_test(transfer, B22_leader_votes_for_its_target);
	tcase_add_test(transfer, I15_heartbeat_to_candidate);
	tcase_add_test(transfer, I16_lease_ends_before_timeout_now);
	tcase_add_test(transfer, I16_lease_after_nobody_was_told);
	tcase_add_test(transfer, I17_two_nodes);
	tcase_add_test(transfer, I18_best_target);
	tcase_add_test(transfer, I18_nobody_alive);
	tcase_add_test(transfer, I19_transfer_storm);
	suite_add_tcase(suite, transfer);
	return suite;
}
