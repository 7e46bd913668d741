/* The commit rule: group D of the scenarios. */

#include "tests/lib/raft_cluster.h"
#include "tests/unit/suites.h"

#define SECOND 1000000

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

START_TEST(D1_figure_8)
{
	static const raft_term terms[] = { 1, 2 };

	/* (c): entry 2 of term 2 is on a majority, the leader is of term 4. */
	solo_init(&solo, 1, 5);
	solo_preset(&solo, 3, 0, terms, 2);
	solo_boot(&solo);
	solo_lead(&solo);
	ck_assert_uint_eq(solo_status(&solo).term, 4);
	solo_ack(&solo, 2, 2);
	solo_ack(&solo, 3, 2);
	ck_assert_uint_eq(solo_status(&solo).commit_index, 0);
	/* (e): its own entry is on a majority, and all before with it. */
	solo_ack(&solo, 2, 3);
	ck_assert_uint_eq(solo_status(&solo).commit_index, 0);
	solo_ack(&solo, 3, 3);
	ck_assert_uint_eq(solo_status(&solo).commit_index, 3);
}
END_TEST

START_TEST(D1_figure_8_lost)
{
	static const raft_term one[] = { 1 };
	static const raft_term two[] = { 1, 2 };
	static const raft_term three[] = { 1, 3 };
	struct cluster cluster;

	/* (d): S5 may still replace entry 2 of term 2 on S2 and S3. */
	cluster_init(&cluster, 5, 8);
	solo_preset(&cluster.nodes[1].solo, 4, 0, two, 2);
	solo_preset(&cluster.nodes[2].solo, 4, 0, two, 2);
	solo_preset(&cluster.nodes[3].solo, 4, 0, two, 2);
	solo_preset(&cluster.nodes[4].solo, 4, 0, one, 1);
	solo_preset(&cluster.nodes[5].solo, 4, 0, three, 2);
	cluster_boot(&cluster, 2);
	cluster_boot(&cluster, 4);
	cluster_boot(&cluster, 5);
	ck_assert_uint_eq(cluster_elect(&cluster, 5 * SECOND), 5);
	cluster_boot(&cluster, 1);
	cluster_boot(&cluster, 3);
	cluster_converge(&cluster, SECOND);
	for (raft_id id = 1; id <= 5; id++)
		ck_assert_uint_eq(solo_term(&cluster.nodes[id].solo, 2), 3);
	cluster_release(&cluster);
}
END_TEST

START_TEST(D2_own_term_commits_all_before)
{
	static const raft_term terms[] = { 1, 1, 2, 3 };

	solo_preset(&solo, 3, 0, terms, 4);
	solo_boot(&solo);
	solo_lead(&solo);
	solo_ack(&solo, 3, 4);
	ck_assert_uint_eq(solo_status(&solo).commit_index, 0);
	solo_ack(&solo, 3, 5);
	ck_assert_uint_eq(solo_status(&solo).commit_index, 5);
	ck_assert_uint_eq(solo.apply_first, 1);
	ck_assert_uint_eq(solo.apply_last, 5);
}
END_TEST

START_TEST(D9_leader_not_durable_no_count)
{
	solo_boot(&solo);
	solo_lead(&solo);
	solo_ack(&solo, 2, 1);
	solo_propose(&solo, 1);
	solo_take(&solo);
	ck_assert(solo.persist_open);
	solo_take(&solo); /* the append left before */
	ck_assert_uint_eq(solo.appended[2].entries_count, 1);
	{
		struct raft_message answer =
		    solo_answer(&solo, &solo.appended[2], RAFT_APPEND_RESPONSE);
		struct raft_accepted accepted;

		answer.success = true;
		answer.match_index = 2;
		ck_assert_int_eq(solo_receive(&solo, &answer, &accepted), 0);
	}
	ck_assert_uint_eq(solo_status(&solo).commit_index, 1);
	solo_persisted(&solo);
	ck_assert_uint_eq(solo_status(&solo).commit_index, 2);
}
END_TEST

START_TEST(D10_commit_without_leader_disk)
{
	solo_boot(&solo);
	solo_lead(&solo);
	solo_ack(&solo, 2, 1);
	solo_ack(&solo, 3, 1);
	solo_propose(&solo, 1);
	solo_take(&solo);
	for (raft_id id = 2; id <= 3; id++) {
		struct raft_message answer = solo_answer(
		    &solo, &solo.appended[id], RAFT_APPEND_RESPONSE);
		struct raft_accepted accepted;

		answer.success = true;
		answer.match_index = 2;
		ck_assert_int_eq(solo_receive(&solo, &answer, &accepted), 0);
	}
	ck_assert_uint_eq(solo_status(&solo).commit_index, 2);
	/* The state machine waits for the own log. */
	solo_clear(&solo);
	solo_take(&solo);
	ck_assert_uint_eq(solo.apply_last, 0);
	solo_settle(&solo);
	ck_assert_uint_eq(solo.apply_last, 2);
}
END_TEST

/* A boot with these halves: old voters 1, 2, 3, new voters as given. */
static void
boot_joint(const raft_id *voters_new, unsigned count)
{
	struct raft_members *members = &solo.disk.members;

	members->joint = true;
	members->count = 5;
	for (unsigned i = 0; i < 5; i++) {
		raft_id id = i + 1;

		members->member[i] = (struct raft_member){ .id = id };
		if (id <= 3)
			members->member[i].role_old = RAFT_MEMBER_VOTER;
		for (unsigned j = 0; j < count; j++) {
			if (voters_new[j] == id)
				members->member[i].role_new = RAFT_MEMBER_VOTER;
		}
	}
	solo_boot(&solo);
}

START_TEST(D7_joint_commits_by_both)
{
	static const raft_id voters_new[] = { 3, 4, 5 };

	boot_joint(voters_new, 3);
	solo_lead(&solo);
	solo_ack(&solo, 4, 1);
	solo_ack(&solo, 5, 1);
	/* All but one of the new, and the leader alone of the old. */
	ck_assert_uint_eq(solo_status(&solo).commit_index, 0);
	solo_ack(&solo, 2, 1);
	ck_assert_uint_eq(solo_status(&solo).commit_index, 1);
}
END_TEST

START_TEST(D11_leader_outside_members)
{
	static const raft_id voters_new[] = { 3, 4, 5 };

	/* The leader is not in the new half: it does not count there. */
	boot_joint(voters_new, 3);
	solo_lead(&solo);
	solo_ack(&solo, 2, 1);
	solo_ack(&solo, 3, 1);
	ck_assert_uint_eq(solo_status(&solo).commit_index, 0);
	solo_ack(&solo, 4, 1);
	ck_assert_uint_eq(solo_status(&solo).commit_index, 1);
}
END_TEST

START_TEST(D12_commit_monotone_over_restart)
{
	static const raft_term terms[] = { 1, 1, 1 };

	solo_boot(&solo);
	(void)solo_append(&solo, 2, 1, 0, 0, terms, 3, 2);
	solo_settle(&solo);
	ck_assert_uint_eq(solo_status(&solo).commit_index, 2);
	(void)solo_append(&solo, 2, 1, 3, 1, NULL, 0, 1);
	ck_assert_uint_eq(solo_status(&solo).commit_index, 2);
	solo_crash(&solo);
	solo_boot(&solo);
	ck_assert_uint_eq(solo_status(&solo).applied_index, 2);
	ck_assert_uint_eq(solo_status(&solo).commit_index, 2);
}
END_TEST

START_TEST(D13_follower_commit_clamp)
{
	static const raft_term own[] = { 1, 1, 1 };
	static const raft_term theirs[] = { 2 };

	solo_preset(&solo, 1, 0, own, 3);
	solo_boot(&solo);
	(void)solo_append(&solo, 2, 3, 1, 1, NULL, 0, 3);
	ck_assert_uint_eq(solo_status(&solo).commit_index, 1);
	(void)solo_append(&solo, 2, 3, 1, 1, theirs, 1, 3);
	ck_assert_uint_eq(solo_status(&solo).commit_index, 2);
}
END_TEST

START_TEST(D14_verified_reset)
{
	static const raft_term terms[] = { 1, 1, 1 };
	const struct raft_message *answer;

	solo_boot(&solo);
	(void)solo_append(&solo, 2, 1, 0, 0, terms, 3, 0);
	solo_settle(&solo);
	/* The same log, another leader: what it has not shown is unknown. */
	(void)solo_append(&solo, 3, 2, 1, 1, NULL, 0, 3);
	solo_settle(&solo);
	answer = solo_sent(&solo, RAFT_APPEND_RESPONSE, 3);
	ck_assert_uint_eq(answer->match_index, 1);
	ck_assert_uint_eq(solo_status(&solo).commit_index, 1);
}
END_TEST

START_TEST(D15_commit_past_last)
{
	static const raft_term terms[] = { 1 };

	solo_boot(&solo);
	ck_assert_int_eq(solo_append(&solo, 2, 1, 0, 0, terms, 1, 99), 0);
	solo_settle(&solo);
	ck_assert_uint_eq(solo_status(&solo).commit_index, 1);
	ck_assert_uint_eq(solo.apply_last, 1);
}
END_TEST

START_TEST(D16_apply_once_in_order)
{
	static const raft_term terms[] = { 1, 1, 1, 1 };

	solo.hold_apply = true;
	solo_boot(&solo);
	(void)solo_append(&solo, 2, 1, 0, 0, terms, 4, 2);
	solo_settle(&solo);
	ck_assert_uint_eq(solo.apply_first, 1);
	ck_assert_uint_eq(solo.apply_last, 2);
	/* Given once, though not applied yet; the record asserts the order. */
	(void)solo_append(&solo, 2, 1, 4, 1, NULL, 0, 4);
	solo_settle(&solo);
	ck_assert_uint_eq(solo.apply_last, 4);
	ck_assert_int_eq(raft_applied(solo.raft, solo.now, 4), 0);
	ck_assert_uint_eq(solo_status(&solo).applied_index, 4);
	ck_assert(!solo_take(&solo));
	ck_assert_int_eq(raft_applied(solo.raft, solo.now, 5), ERR_STOPPED);
	solo_take(&solo);
	ck_assert_uint_eq(solo.fatals_count, 1);
}
END_TEST

Suite *
raft_commit_suite(void)
{
	Suite *suite = suite_create("raft_commit");
	TCase *commit = tcase_create("commit");

	tcase_add_checked_fixture(commit, set_up, tear_down);
	tcase_add_test(commit, D1_figure_8);
	tcase_add_test(commit, D1_figure_8_lost);
	tcase_add_test(commit, D2_own_term_commits_all_before);
	tcase_add_test(commit, D7_joint_commits_by_both);
	tcase_add_test(commit, D9_leader_not_durable_no_count);
	tcase_add_test(commit, D10_commit_without_leader_disk);
	tcase_add_test(commit, D11_leader_outside_members);
	tcase_add_test(commit, D12_commit_monotone_over_restart);
	tcase_add_test(commit, D13_follower_commit_clamp);
	tcase_add_test(commit, D14_verified_reset);
	tcase_add_test(commit, D15_commit_past_last);
	tcase_add_test(commit, D16_apply_once_in_order);
	suite_add_tcase(suite, commit);
	return suite;
}
