/*
 * Linearizable reads on other nodes than the leader, and what the leader does
 * for them: group J of the scenarios.
 */

#include "tests/lib/raft_cluster.h"
#include "tests/unit/suites.h"

#define SECOND 1000000

static struct solo solo;
static struct cluster cluster;

static void
set_up(void)
{
	solo_init(&solo, 1, 3);
	cluster_init(&cluster, 3, 21);
}

static void
tear_down(void)
{
	solo_release(&solo);
	cluster_release(&cluster);
}

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
read_at(uint64_t read_id)
{
	return raft_read(solo.raft, solo.now, read_id);
}

/* ---- Elsewhere than on the leader ---- */

/* Three entries, all applied, of leader 2 in term 1. */
static void
follow(void)
{
	static const raft_term terms[] = { 1, 1, 1 };

	if (solo.raft == NULL)
		solo_boot(&solo);
	(void)solo_append(&solo, 2, 1, 0, 0, terms, 3, 3);
	solo_settle(&solo);
	ck_assert_uint_eq(solo_status(&solo).applied_index, 3);
	solo_clear(&solo);
}

/* The leader's answer to the request that was sent last. */
static struct raft_message
confirmed(raft_index index)
{
	struct raft_message answer = solo_answer(
	    &solo, solo_sent(&solo, RAFT_READ_REQUEST, 2), RAFT_READ_RESPONSE);

	answer.success = true;
	answer.read_index = index;
	return answer;
}

static void
assert_failed(size_t count)
{
	ck_assert_uint_eq(solo.reads_count, count);
	for (size_t i = 0; i < count; i++)
		ck_assert_int_eq(solo.reads[i].status, ERR_NOT_LEADER);
}

START_TEST(J7_read_on_follower)
{
	struct raft_message answer;

	follow();
	ck_assert_int_eq(read_at(7), 0);
	solo_settle(&solo);
	ck_assert_uint_eq(solo.persists_count, 0);
	answer = confirmed(5);
	solo_deliver(&solo, &answer);
	/* Confirmed, and not applied here (J13). */
	ck_assert_uint_eq(solo.reads_count, 0);
	(void)solo_append(&solo, 2, 1, 3, 1, (raft_term[]){ 1, 1 }, 2, 4);
	solo_settle(&solo);
	ck_assert_uint_eq(solo.reads_count, 0);
	(void)solo_append(&solo, 2, 1, 5, 1, NULL, 0, 5);
	solo_settle(&solo);
	ck_assert_uint_eq(solo.reads_count, 1);
	ck_assert_uint_eq(solo.reads[0].read_id, 7);
	ck_assert_int_eq(solo.reads[0].status, 0);
}
END_TEST

/* What the answer says is committed need not wait for a heartbeat. */
START_TEST(J7_commit_in_the_answer)
{
	struct raft_message answer;

	follow();
	(void)solo_append(&solo, 2, 1, 3, 1, (raft_term[]){ 1 }, 1, 3);
	solo_settle(&solo);
	ck_assert_int_eq(read_at(7), 0);
	solo_settle(&solo);
	answer = confirmed(4);
	solo_deliver(&solo, &answer);
	solo_settle(&solo);
	ck_assert_uint_eq(solo_status(&solo).applied_index, 4);
	ck_assert_uint_eq(solo.reads_count, 1);
	ck_assert_int_eq(solo.reads[0].status, 0);
}
END_TEST

START_TEST(J7_no_leader_known)
{
	solo_boot(&solo);
	ck_assert_int_eq(read_at(1), ERR_NOT_LEADER);
	solo_precampaign(&solo);
	ck_assert_int_eq(read_at(1), ERR_NOT_LEADER);
}
END_TEST

START_TEST(J7_one_request_for_many)
{
	struct raft_message first;

	follow();
	for (uint64_t i = 1; i <= 100; i++)
		ck_assert_int_eq(read_at(i), 0);
	solo_settle(&solo);
	ck_assert_uint_eq(solo_sent_count(&solo, RAFT_READ_REQUEST), 1);
	first = confirmed(3);
	/* What comes later has to be confirmed later (J4). */
	for (uint64_t i = 101; i <= 200; i++)
		ck_assert_int_eq(read_at(i), 0);
	solo_settle(&solo);
	ck_assert_uint_eq(solo_sent_count(&solo, RAFT_READ_REQUEST), 1);
	solo_deliver(&solo, &first);
	ck_assert_uint_eq(solo.reads_count, 100);
	ck_assert_uint_eq(solo_sent_count(&solo, RAFT_READ_REQUEST), 2);
	solo_deliver(&solo, &first);
	ck_assert_uint_eq(solo.reads_count, 100);
	first = confirmed(3);
	solo_deliver(&solo, &first);
	ck_assert_uint_eq(solo.reads_count, 200);
	for (uint64_t i = 0; i < 200; i++)
		ck_assert_uint_eq(solo.reads[i].read_id, i + 1);
}
END_TEST

START_TEST(J7_served_by_a_snapshot)
{
	struct raft_message answer;

	follow();
	ck_assert_int_eq(read_at(1), 0);
	solo_settle(&solo);
	answer = confirmed(40);
	solo_deliver(&solo, &answer);
	ck_assert_int_eq(solo_install(&solo, 50, 1, &solo.disk.members), 0);
	solo_take(&solo);
	ck_assert_uint_eq(solo.reads_count, 0);
	solo_settle(&solo);
	ck_assert_uint_eq(solo.reads_count, 1);
	ck_assert_int_eq(solo.reads[0].status, 0);
}
END_TEST

START_TEST(J8_read_on_learner)
{
	struct raft_message answer;

	solo.disk.members.member[0].role_old = RAFT_MEMBER_LEARNER;
	solo.disk.members.member[0].role_new = RAFT_MEMBER_LEARNER;
	follow();
	ck_assert_int_eq(read_at(1), 0);
	solo_settle(&solo);
	ck_assert_uint_eq(
	    raft_deadline(solo.raft), solo.now + SOLO_ELECTION_TIMEOUT);
	answer = confirmed(3);
	solo_deliver(&solo, &answer);
	ck_assert_uint_eq(solo.reads_count, 1);
	/* Left is when a learner gives up its leader. */
	solo_advance(&solo, 2 * SOLO_ELECTION_TIMEOUT);
	ck_assert_uint_eq(solo_status(&solo).leader, 0);
	ck_assert_uint_eq(raft_deadline(solo.raft), RAFT_NEVER);
}
END_TEST

START_TEST(J9_answer_to_another_request)
{
	struct raft_message answer;

	follow();
	ck_assert_int_eq(read_at(1), 0);
	solo_settle(&solo);
	answer = confirmed(3);
	answer.sequence -= 1;
	solo_deliver(&solo, &answer);
	answer.sequence += 2;
	solo_deliver(&solo, &answer);
	answer.sequence -= 1;
	answer.to_boot_id -= 1;
	solo_deliver(&solo, &answer);
	answer.to_boot_id += 1;
	answer.from = 3;
	solo_deliver(&solo, &answer);
	ck_assert_uint_eq(solo.reads_count, 0);
	answer.from = 2;
	solo_deliver(&solo, &answer);
	ck_assert_uint_eq(solo.reads_count, 1);
	ck_assert_int_eq(solo.reads[0].status, 0);
}
END_TEST

/* The first read is confirmed already, the third was not asked for yet. */
static void
wait_for_three(void)
{
	struct raft_message answer;

	follow();
	ck_assert_int_eq(read_at(1), 0);
	solo_settle(&solo);
	answer = confirmed(9);
	solo_deliver(&solo, &answer);
	ck_assert_int_eq(read_at(2), 0);
	solo_settle(&solo);
	ck_assert_int_eq(read_at(3), 0);
	solo_settle(&solo);
	ck_assert_uint_eq(solo.reads_count, 0);
}

START_TEST(J10_refused_by_the_leader)
{
	struct raft_message answer;

	wait_for_three();
	answer = confirmed(3);
	answer.success = _i != 0;
	answer.term += (raft_term)_i; /* it leads no longer */
	solo_deliver(&solo, &answer);
	assert_failed(3);
	ck_assert_uint_eq(solo_status(&solo).term, 1);
	/* And from there on as before. */
	solo_clear(&solo);
	ck_assert_int_eq(read_at(4), 0);
	solo_settle(&solo);
	answer = confirmed(3);
	solo_deliver(&solo, &answer);
	ck_assert_uint_eq(solo.reads_count, 1);
	ck_assert_int_eq(solo.reads[0].status, 0);
}
END_TEST

START_TEST(J10_leader_changes)
{
	wait_for_three();
	(void)solo_append(&solo, 3, 2, 3, 1, NULL, 0, 3);
	solo_settle(&solo);
	assert_failed(3);
}
END_TEST

START_TEST(J10_leader_is_gone)
{
	wait_for_three();
	ck_assert_int_eq(raft_peer_refused(solo.raft, solo.now, 2), 0);
	solo_settle(&solo);
	assert_failed(3);
}
END_TEST

START_TEST(J10_term_changes)
{
	wait_for_three();
	solo.now += 2 * SOLO_ELECTION_TIMEOUT;
	ck_assert(solo_ask(&solo, RAFT_VOTE_REQUEST, 3, 2, 3, 1));
	assert_failed(3);
}
END_TEST

START_TEST(J10_no_answer)
{
	struct raft_message late;
	raft_usec asked_at;

	wait_for_three();
	asked_at = solo.now;
	late = confirmed(3);
	while (solo.reads_count == 0) {
		ck_assert_uint_lt(
		    solo.now, asked_at + 2 * SOLO_ELECTION_TIMEOUT);
		solo.now += 1000;
		(void)solo_append(&solo, 2, 1, 3, 1, NULL, 0, 3);
		if (solo.now >= raft_deadline(solo.raft))
			(void)raft_timeout(solo.raft, solo.now);
		solo_settle(&solo);
	}
	assert_failed(3);
	ck_assert_uint_eq(solo.now, asked_at + SOLO_ELECTION_TIMEOUT);
	ck_assert_uint_eq(solo_status(&solo).leader, 2);
	solo_clear(&solo);
	ck_assert_int_eq(read_at(4), 0);
	solo_settle(&solo);
	solo_deliver(&solo, &late);
	ck_assert_uint_eq(solo.reads_count, 0);
}
END_TEST

/* ---- On the leader ---- */

/* A request of `from` to this leader, delivered. */
static void
ask_leader(raft_id from)
{
	struct raft_message request = solo_message(
	    &solo, RAFT_READ_REQUEST, from, solo_status(&solo).term);

	request.sequence = ++solo.sequence;
	ck_assert_int_eq(solo_deliver(&solo, &request), 0);
}

START_TEST(J2_round_for_another_node)
{
	const struct raft_message *answer;

	lead();
	/* What is committed at the request counts. */
	solo_propose(&solo, 1);
	ask_leader(3);
	ck_assert_uint_eq(solo_status(&solo).round, 1);
	ck_assert_ptr_null(solo_sent(&solo, RAFT_READ_RESPONSE, 0));
	solo_ack(&solo, 2, 2);
	answer = solo_sent(&solo, RAFT_READ_RESPONSE, 3);
	ck_assert_ptr_nonnull(answer);
	ck_assert(answer->success);
	ck_assert_uint_eq(answer->read_index, 1);
	ck_assert_uint_eq(answer->sequence, solo.sequence);
	ck_assert_uint_eq(answer->to_boot_id, 1003);
	ck_assert_uint_eq(solo.reads_count, 0);
	ck_assert_uint_eq(solo_sent_count(&solo, RAFT_READ_RESPONSE), 1);
}
END_TEST

START_TEST(J4_round_under_way_does_not_do)
{
	struct raft_message first;

	lead();
	ck_assert_int_eq(read_at(1), 0);
	solo_settle(&solo);
	first = solo_answer(&solo, &solo.appended[2], RAFT_APPEND_RESPONSE);
	first.success = true;
	first.match_index = 1;
	ask_leader(3);
	solo_deliver(&solo, &first);
	ck_assert_uint_eq(solo.reads_count, 1);
	ck_assert_ptr_null(solo_sent(&solo, RAFT_READ_RESPONSE, 3));
	solo_ack(&solo, 2, 1);
	ck_assert(solo_sent(&solo, RAFT_READ_RESPONSE, 3)->success);
}
END_TEST

START_TEST(J1_not_for_others_before_own_commit)
{
	static const raft_term terms[] = { 1, 1 };

	solo.disk.commit_hint = 2;
	solo_preset(&solo, 1, 0, terms, 2);
	solo_boot(&solo);
	solo_lead(&solo);
	ask_leader(3);
	solo_ack(&solo, 2, 2);
	ck_assert_ptr_null(solo_sent(&solo, RAFT_READ_RESPONSE, 3));
	solo_ack(&solo, 2, 3);
	ck_assert_uint_eq(
	    solo_sent(&solo, RAFT_READ_RESPONSE, 3)->read_index, 3);
}
END_TEST

START_TEST(J14_lease_for_another_node)
{
	solo.params.lease_reads = true;
	lead();
	ask_leader(3);
	ck_assert_uint_eq(solo_status(&solo).round, 0);
	ck_assert(solo_sent(&solo, RAFT_READ_RESPONSE, 3)->success);
	solo_clear(&solo);
	solo.now = raft_lease_until(solo.raft);
	ask_leader(3);
	ck_assert_ptr_null(solo_sent(&solo, RAFT_READ_RESPONSE, 3));
	ck_assert_uint_eq(solo_status(&solo).round, 1);
}
END_TEST

START_TEST(J10_deposed_leader_refuses_others)
{
	lead();
	ask_leader(3);
	solo_clear(&solo);
	(void)solo_append(&solo, 2, 2, 1, 1, NULL, 0, 1);
	solo_settle(&solo);
	ck_assert(!solo_sent(&solo, RAFT_READ_RESPONSE, 3)->success);
	/* Whoever does not lead says so at once. */
	solo_clear(&solo);
	ask_leader(3);
	ck_assert(!solo_sent(&solo, RAFT_READ_RESPONSE, 3)->success);
}
END_TEST

/* Requests neither bring terms nor are they taken in another one. */
START_TEST(J9_request_of_another_term)
{
	struct raft_message request;

	lead();
	request = solo_message(&solo, RAFT_READ_REQUEST, 3, 9);
	solo_deliver(&solo, &request);
	ck_assert(!solo_sent(&solo, RAFT_READ_RESPONSE, 3)->success);
	ck_assert_uint_eq(solo_status(&solo).term, 1);
	ck_assert_uint_eq(solo_status(&solo).round, 0);
}
END_TEST

START_TEST(J8_learner_confirms_nothing)
{
	solo.disk.members.member[2].role_old = RAFT_MEMBER_LEARNER;
	solo.disk.members.member[2].role_new = RAFT_MEMBER_LEARNER;
	lead();
	ask_leader(3);
	solo_ack(&solo, 3, 1);
	ck_assert_ptr_null(solo_sent(&solo, RAFT_READ_RESPONSE, 3));
	solo_ack(&solo, 2, 1);
	ck_assert(solo_sent(&solo, RAFT_READ_RESPONSE, 3)->success);
}
END_TEST

/* Members 1 .. count, all of them voters. */
static void
change_to(unsigned count, enum raft_member_role last)
{
	struct raft_members target = *raft_get_members(solo.raft);
	raft_index index;
	raft_term term;

	target.count = count;
	target.member[count - 1].id = count;
	target.member[count - 1].role_new = last;
	ck_assert_int_eq(raft_change_members(solo.raft, solo.now, &target,
			     target.index, &index, &term),
	    0);
	solo_settle(&solo);
}

START_TEST(J11_quorum_shrinks)
{
	solo_release(&solo);
	solo_init(&solo, 1, 2);
	solo_boot(&solo);
	solo_lead(&solo);
	solo_ack(&solo, 2, 1);
	solo_clear(&solo);
	ck_assert_int_eq(read_at(1), 0);
	solo_settle(&solo);
	ck_assert_uint_eq(solo.reads_count, 0);
	/* The silent one goes, and nobody is left who could answer. */
	change_to(1, RAFT_MEMBER_VOTER);
	ck_assert_uint_eq(solo.reads_count, 1);
	ck_assert_int_eq(solo.reads[0].status, 0);
}
END_TEST

START_TEST(J12_quorum_grows)
{
	solo_release(&solo);
	solo_init(&solo, 1, 4);
	solo.disk.members.member[3].role_old = RAFT_MEMBER_LEARNER;
	solo.disk.members.member[3].role_new = RAFT_MEMBER_LEARNER;
	lead();
	solo_ack(&solo, 4, 1);
	ck_assert_int_eq(read_at(1), 0);
	solo_settle(&solo);
	change_to(4, RAFT_MEMBER_VOTER);
	/* Two of three would have done; of four they do not. */
	solo_ack(&solo, 2, 1);
	ck_assert_uint_eq(solo.reads_count, 0);
	solo_ack(&solo, 4, 1);
	ck_assert_uint_eq(solo.reads_count, 1);
}
END_TEST

START_TEST(J22_flood_at_a_follower)
{
	struct raft_message answer;
	unsigned taken = 0;

	follow();
	for (uint64_t i = 1; i <= 100000; i++) {
		taken += read_at(i) == 0;
		if (i % 1000 == 0)
			solo_settle(&solo);
	}
	ck_assert_uint_eq(taken, solo.params.pending_reads_max);
	ck_assert_uint_eq(solo_sent_count(&solo, RAFT_READ_REQUEST), 1);
	answer = confirmed(3);
	solo_deliver(&solo, &answer);
	answer = confirmed(3);
	solo_deliver(&solo, &answer);
	ck_assert_uint_eq(solo.reads_count, taken);
}
END_TEST

START_TEST(J22_flood_of_requests)
{
	lead();
	/* One is kept of each node, and of so many nodes. */
	for (unsigned i = 0; i < 20000; i++) {
		struct raft_message request =
		    solo_message(&solo, RAFT_READ_REQUEST, 2 + i % 100, 1);

		request.sequence = i + 1;
		ck_assert_int_eq(solo_deliver(&solo, &request), 0);
	}
	ck_assert_uint_eq(solo_sent_count(&solo, RAFT_READ_RESPONSE), 0);
	solo_ack(&solo, 2, 1);
	solo_ack(&solo, 3, 1);
	ck_assert_uint_le(
	    solo_sent_count(&solo, RAFT_READ_RESPONSE), 2 * RAFT_MEMBERS_MAX);
	ck_assert_uint_ge(
	    solo_sent(&solo, RAFT_READ_RESPONSE, 2)->sequence, 19900);
}
END_TEST

/* A leader and a follower of it are cut off together from the others. */
START_TEST(J3_partitioned_old_follower)
{
	raft_id old;
	raft_id with;

	cluster_release(&cluster);
	cluster_init(&cluster, 5, 33 + (uint64_t)_i);
	for (raft_id id = 1; id <= 5; id++)
		cluster.nodes[id].solo.params.lease_reads = _i == 1;
	cluster_boot_all(&cluster);
	old = cluster_elect(&cluster, SECOND);
	cluster_converge(&cluster, SECOND);
	with = old % 5 + 1;
	for (raft_id id = 1; id <= 5; id++) {
		cluster.cut[id][old] = id != with;
		cluster.cut[old][id] = id != with;
		cluster.cut[id][with] = id != old;
		cluster.cut[with][id] = id != old;
	}
	for (uint64_t read_id = 1; read_id < 100; read_id++) {
		raft_id leader = cluster_leader(&cluster);

		(void)cluster_read(&cluster, with, read_id);
		if (leader != old && leader != 0)
			(void)cluster_propose(&cluster, leader, 1);
		cluster_run(&cluster, 5000);
	}
	ck_assert_uint_gt(cluster.committed.count, 2);
	cluster_heal(&cluster);
	cluster_converge(&cluster, SECOND);
	ck_assert_int_eq(cluster_read(&cluster, with, 1000), 0);
	cluster_run(&cluster, SECOND);
	ck_assert_uint_eq(cluster.reads_count, 0);
}
END_TEST

Suite *
raft_read_remote_suite(void)
{
	Suite *suite = suite_create("raft_read_remote");
	TCase *reads = tcase_create("read");

	tcase_add_checked_fixture(reads, set_up, tear_down);
	tcase_add_test(reads, J7_read_on_follower);
	tcase_add_test(reads, J7_commit_in_the_answer);
	tcase_add_test(reads, J7_no_leader_known);
	tcase_add_test(reads, J7_one_request_for_many);
	tcase_add_test(reads, J7_served_by_a_snapshot);
	tcase_add_test(reads, J8_read_on_learner);
	tcase_add_test(reads, J9_answer_to_another_request);
	tcase_add_loop_test(reads, J10_refused_by_the_leader, 0, 2);
	tcase_add_test(reads, J10_leader_changes);
	tcase_add_test(reads, J10_leader_is_gone);
	tcase_add_test(reads, J10_term_changes);
	tcase_add_test(reads, J10_no_answer);
	tcase_add_test(reads, J2_round_for_another_node);
	tcase_add_test(reads, J4_round_under_way_does_not_do);
	tcase_add_test(reads, J1_not_for_others_before_own_commit);
	tcase_add_test(reads, J14_lease_for_another_node);
	tcase_add_test(reads, J10_deposed_leader_refuses_others);
	tcase_add_test(reads, J9_request_of_another_term);
	tcase_add_test(reads, J8_learner_confirms_nothing);
	tcase_add_test(reads, J11_quorum_shrinks);
	tcase_add_test(reads, J12_quorum_grows);
	tcase_add_test(reads, J22_flood_at_a_follower);
	tcase_add_test(reads, J22_flood_of_requests);
	tcase_add_loop_test(reads, J3_partitioned_old_follower, 0, 2);
	suite_add_tcase(suite, reads);
	return suite;
}
