/* Pre-votes, check-quorum and disruption: group B of the scenarios. */

#include "tests/lib/raft_cluster.h"
#include "tests/unit/suites.h"

#define SECOND 1000000

static struct solo solo;
static struct cluster cluster;

static void
set_up(void)
{
	solo_init(&solo, 1, 3);
	cluster_init(&cluster, 3, 42);
}

static void
tear_down(void)
{
	solo_release(&solo);
	cluster_release(&cluster);
}

/* A healthy cluster of `count`; its leader. */
static raft_id
form(unsigned count, uint64_t seed)
{
	cluster_release(&cluster);
	cluster_init(&cluster, count, seed);
	cluster_boot_all(&cluster);
	(void)cluster_elect(&cluster, SECOND);
	cluster_converge(&cluster, SECOND);
	return cluster_leader(&cluster);
}

static raft_id
other_than(raft_id a, raft_id b)
{
	raft_id id = 1;

	while (id == a || id == b)
		id++;
	return id;
}

static struct raft_status
status(raft_id id)
{
	return cluster_status(&cluster, id);
}

START_TEST(B1_rejoin_quiet)
{
	raft_id leader = form(3, 1);
	raft_id alone = other_than(leader, 0);
	raft_term term = status(leader).term;

	cluster_isolate(&cluster, alone);
	cluster_run(&cluster, 5 * SECOND);
	ck_assert_uint_eq(status(alone).term, term);
	cluster_heal(&cluster);
	cluster_run(&cluster, SECOND);
	ck_assert_uint_eq(status(leader).term, term);
	ck_assert_int_eq(status(leader).role, RAFT_LEADER);
	ck_assert_uint_eq(status(alone).leader, leader);
}
END_TEST

START_TEST(B2_prevote_pure)
{
	struct raft_status before;
	struct raft_status after;
	raft_usec deadline;

	solo_boot(&solo);
	before = solo_status(&solo);
	deadline = raft_deadline(solo.raft);
	solo.now += 1000;
	ck_assert(solo_ask(&solo, RAFT_PREVOTE_REQUEST, 2, 9, 0, 0));
	after = solo_status(&solo);
	ck_assert_uint_eq(after.term, before.term);
	ck_assert_uint_eq(after.vote, before.vote);
	ck_assert_int_eq(after.role, before.role);
	ck_assert_uint_eq(raft_deadline(solo.raft), deadline);
	ck_assert_uint_eq(solo.persists_count, 0);
	ck_assert_uint_eq(solo_sent(&solo, RAFT_PREVOTE_RESPONSE, 2)->term, 9);
}
END_TEST

START_TEST(B3_prevote_late_counts_not)
{
	struct raft_message late;

	solo_init(&solo, 1, 5);
	solo_boot(&solo);
	solo_precampaign(&solo);
	late = *solo_sent(&solo, RAFT_PREVOTE_REQUEST, 2);
	solo_precampaign(&solo);
	/* One grant of the former round, one of this: two more are needed. */
	solo_vote(&solo, &late, true);
	solo_vote(&solo, solo_sent(&solo, RAFT_PREVOTE_REQUEST, 3), true);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_PRECANDIDATE);
	solo_vote(&solo, solo_sent(&solo, RAFT_PREVOTE_REQUEST, 2), true);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_CANDIDATE);
	solo_settle(&solo);
	solo_vote(&solo, &late, true);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_CANDIDATE);
}
END_TEST

START_TEST(B4_prevote_checks_log)
{
	static const raft_term terms[] = { 1, 1, 2 };

	solo_preset(&solo, 2, 0, terms, 3);
	solo_boot_voter(&solo);
	ck_assert(!solo_ask(&solo, RAFT_PREVOTE_REQUEST, 2, 3, 2, 1));
	ck_assert_uint_eq(solo_sent(&solo, RAFT_PREVOTE_RESPONSE, 2)->term, 2);
	ck_assert(solo_ask(&solo, RAFT_PREVOTE_REQUEST, 2, 3, 3, 2));
}
END_TEST

START_TEST(B5_heard_leader)
{
	solo_boot(&solo);
	(void)solo_append(&solo, 2, 1, 0, 0, NULL, 0, 0);
	solo_settle(&solo);
	solo.now += SOLO_ELECTION_TIMEOUT - 1;
	ck_assert(!solo_ask(&solo, RAFT_PREVOTE_REQUEST, 3, 2, 9, 1));
	ck_assert(!solo_ask(&solo, RAFT_VOTE_REQUEST, 3, 2, 9, 1));
	ck_assert_uint_eq(solo_status(&solo).term, 1);
	solo.now += 1;
	ck_assert(solo_ask(&solo, RAFT_PREVOTE_REQUEST, 3, 2, 9, 1));
	ck_assert(solo_ask(&solo, RAFT_VOTE_REQUEST, 3, 2, 9, 1));
}
END_TEST

START_TEST(B6_lower_term_completes)
{
	struct raft_message refusal;

	solo_boot(&solo);
	solo_precampaign(&solo); /* would take term 1 */
	refusal = solo_answer(&solo, solo_sent(&solo, RAFT_PREVOTE_REQUEST, 2),
	    RAFT_PREVOTE_RESPONSE);
	refusal.term = 5;
	solo_deliver(&solo, &refusal);
	ck_assert_uint_eq(solo_status(&solo).term, 5);
	solo_lead(&solo);
	ck_assert_uint_eq(solo_status(&solo).term, 6);
}
END_TEST

START_TEST(B7_stuck_candidate_freed)
{
	raft_id leader = form(3, 2);
	raft_id stuck = other_than(leader, 0);
	raft_term term = status(leader).term;

	/* A node of a higher term, as pre-vote alone would not leave it. */
	cluster_crash(&cluster, stuck);
	cluster.nodes[stuck].solo.disk.term = term + 5;
	cluster.nodes[stuck].solo.disk.vote = 0;
	cluster_boot(&cluster, stuck);
	cluster_run(&cluster, SECOND);
	cluster_converge(&cluster, SECOND);
	ck_assert_uint_gt(status(stuck).term, term + 5);
	ck_assert_uint_le(status(stuck).term, term + 7);
}
END_TEST

START_TEST(B8_precandidate_no_leader)
{
	solo_boot(&solo);
	(void)solo_append(&solo, 2, 1, 0, 0, NULL, 0, 0);
	solo_settle(&solo);
	ck_assert_uint_eq(solo_status(&solo).leader, 2);
	solo_precampaign(&solo);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_PRECANDIDATE);
	ck_assert_uint_eq(solo_status(&solo).leader, 0);
	ck_assert(solo_ask(&solo, RAFT_PREVOTE_REQUEST, 3, 2, 0, 0));
	ck_assert(solo_ask(&solo, RAFT_VOTE_REQUEST, 3, 2, 0, 0));
}
END_TEST

START_TEST(B9_prevote_split)
{
	/* A hop takes up to a third of the timeout: campaigns overlap. */
	for (uint64_t seed = 1; seed <= 100; seed++) {
		struct cluster same;

		cluster_init(&same, 3, seed);
		same.latency_max = 30000;
		cluster_boot_all(&same);
		(void)cluster_elect(&same, 20 * SECOND);
		cluster_release(&same);
	}
}
END_TEST

START_TEST(B11_quorum_loss_stepdown)
{
	raft_id leader = form(3, 3);

	cluster_isolate(&cluster, leader);
	cluster_run(&cluster, 2 * SOLO_ELECTION_TIMEOUT);
	ck_assert_int_ne(status(leader).role, RAFT_LEADER);
	ck_assert_int_eq(cluster_propose(&cluster, leader, 1), ERR_NOT_LEADER);
}
END_TEST

START_TEST(B12_stepdown_silence)
{
	solo_init(&solo, 1, 5);
	solo_boot(&solo);
	solo_lead(&solo);
	solo_ack(&solo, 2, 1); /* two of five are no quorum */
	solo_clear(&solo);
	solo_advance(&solo, SOLO_ELECTION_TIMEOUT);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_FOLLOWER);
	ck_assert_uint_eq(solo_status(&solo).leader, 0);
	/* Until it campaigns itself nothing of that term is sent. */
	for (unsigned i = 0; i < 4; i++)
		solo_advance(&solo, SOLO_HEARTBEAT_INTERVAL);
	solo_ack(&solo, 2, 1);
	solo_settle(&solo);
	ck_assert_uint_eq(solo_sent_count(&solo, RAFT_APPEND_REQUEST), 0);
}
END_TEST

START_TEST(B13_bridge_partition)
{
	raft_id leader = form(5, 4);
	raft_id bridge = other_than(leader, 0);

	/* The leader sees the bridge only; the bridge sees all. */
	cluster_isolate(&cluster, leader);
	cluster.cut[leader][bridge] = false;
	cluster.cut[bridge][leader] = false;
	cluster_run(&cluster, SOLO_ELECTION_TIMEOUT);
	cluster_run(&cluster, SECOND);
	ck_assert_uint_ne(cluster_leader(&cluster), 0);
	ck_assert_uint_ne(cluster_leader(&cluster), leader);
}
END_TEST

START_TEST(B14_one_way_deaf)
{
	raft_id leader = form(3, 5);

	for (raft_id id = 1; id <= 3; id++)
		cluster.cut[id][leader] = true;
	cluster_run(&cluster, SECOND);
	ck_assert_int_ne(status(leader).role, RAFT_LEADER);
	ck_assert_uint_ne(cluster_leader(&cluster), 0);
}
END_TEST

START_TEST(B15_one_way_mute)
{
	raft_id leader = form(3, 6);
	raft_id mute = other_than(leader, 0);
	raft_term term = status(leader).term;

	for (raft_id id = 1; id <= 3; id++)
		cluster.cut[mute][id] = true;
	cluster_run(&cluster, SECOND);
	ck_assert_int_eq(status(leader).role, RAFT_LEADER);
	ck_assert_uint_eq(status(leader).term, term);
	ck_assert_uint_eq(status(mute).term, term);
}
END_TEST

START_TEST(B16_quorum_kept)
{
	raft_id leader = form(5, 7);
	raft_term term = status(leader).term;

	cluster_crash(&cluster, other_than(leader, 0));
	cluster_isolate(&cluster, other_than(leader, other_than(leader, 0)));
	cluster_run(&cluster, 5 * SECOND);
	ck_assert_int_eq(status(leader).role, RAFT_LEADER);
	ck_assert_uint_eq(status(leader).term, term);
}
END_TEST

START_TEST(B17_slow_but_enough)
{
	raft_id leader = form(3, 8);
	raft_term term = status(leader).term;

	/* There and back takes 0.9 of the timeout, in the end. */
	for (unsigned percent = 5; percent <= 45; percent += 5) {
		cluster.latency_min = SOLO_ELECTION_TIMEOUT * percent / 100;
		cluster.latency_max = cluster.latency_min;
		cluster_run(&cluster, SOLO_ELECTION_TIMEOUT);
	}
	cluster_run(&cluster, 3 * SECOND);
	ck_assert_int_eq(status(leader).role, RAFT_LEADER);
	ck_assert_uint_eq(status(leader).term, term);
}
END_TEST

START_TEST(B18_entries_refresh_the_timer)
{
	static const raft_term terms[] = { 1 };

	solo_boot(&solo);
	for (raft_index i = 0; i < 20; i++) {
		solo.now += SOLO_ELECTION_TIMEOUT - 1;
		ck_assert_int_eq(raft_timeout(solo.raft, solo.now), 0);
		ck_assert_int_eq(solo_status(&solo).role, RAFT_FOLLOWER);
		(void)solo_append(&solo, 2, 1, i, i == 0 ? 0 : 1, terms, 1, 0);
		solo_settle(&solo);
	}
	/* Refused ones too: the leader is there (C9). */
	solo.now += SOLO_ELECTION_TIMEOUT - 1;
	(void)solo_append(&solo, 2, 1, 90, 1, terms, 1, 0);
	ck_assert_uint_ge(
	    raft_deadline(solo.raft), solo.now + SOLO_ELECTION_TIMEOUT);
}
END_TEST

START_TEST(B23_lagging_quorum)
{
	raft_id leader = form(3, 9);
	raft_id ahead = other_than(leader, 0);
	raft_id behind = other_than(leader, ahead);

	cluster_isolate(&cluster, behind);
	ck_assert_int_eq(cluster_propose(&cluster, leader, 7), 0);
	cluster_run(&cluster, SOLO_ELECTION_TIMEOUT / 2);
	cluster_crash(&cluster, leader);
	cluster_heal(&cluster);
	cluster_run(&cluster, 2 * SECOND);
	ck_assert_uint_eq(cluster_leader(&cluster), ahead);
}
END_TEST

START_TEST(B24_deposed_leader_is_told)
{
	struct raft_message refusal;

	solo_boot(&solo);
	solo_lead(&solo);
	refusal = solo_answer(&solo, &solo.appended[2], RAFT_APPEND_RESPONSE);
	refusal.term = 3;
	solo_deliver(&solo, &refusal);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_FOLLOWER);
	ck_assert_uint_eq(solo_status(&solo).term, 3);
	/* And it tells others in its turn. */
	(void)solo_append(&solo, 2, 1, 0, 0, NULL, 0, 0);
	solo_settle(&solo);
	ck_assert_uint_eq(solo_sent(&solo, RAFT_APPEND_RESPONSE, 2)->term, 3);
	ck_assert(!solo_sent(&solo, RAFT_APPEND_RESPONSE, 2)->success);
}
END_TEST

START_TEST(B25_paused_leader)
{
	solo_boot(&solo);
	solo_lead(&solo);
	solo_ack(&solo, 2, 1);
	solo_propose(&solo, 1);
	solo.now += 10 * SECOND; /* stopped, and started again */
	solo_clear(&solo);
	solo_timeout(&solo);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_FOLLOWER);
	ck_assert_uint_eq(solo_sent_count(&solo, RAFT_APPEND_REQUEST), 0);
	ck_assert_uint_eq(solo_status(&solo).commit_index, 1);
}
END_TEST

START_TEST(B26_clock_step_forward)
{
	raft_id leader = form(3, 10);
	raft_id odd = other_than(leader, 0);
	raft_term term = status(leader).term;
	struct solo *node = &cluster.nodes[odd].solo;

	(void)raft_timeout(node->raft, cluster.now + UINT64_C(3600) * SECOND);
	solo_take(node);
	ck_assert_uint_eq(solo_sent_count(node, RAFT_PREVOTE_REQUEST), 2);
	solo_clear(node);
	cluster_run(&cluster, 2 * SECOND);
	ck_assert_uint_eq(status(leader).term, term);
	ck_assert_int_eq(status(leader).role, RAFT_LEADER);
}
END_TEST

START_TEST(B27_clock_stuck)
{
	raft_id leader = form(3, 11);

	/* Its time stands still, so it sends nothing: others elect. */
	cluster_isolate(&cluster, leader);
	cluster_run(&cluster, SOLO_ELECTION_TIMEOUT / 2);
	cluster_set_clock(&cluster, leader, 1);
	cluster_heal(&cluster);
	cluster_run(&cluster, 2 * SECOND);
	ck_assert_uint_ne(cluster_leader(&cluster), leader);
	ck_assert_uint_ne(cluster_leader(&cluster), 0);
}
END_TEST

START_TEST(B28_slow_voter)
{
	raft_id leader = form(3, 12);
	raft_term term = status(leader).term;

	/* Every answer takes three heartbeats. */
	cluster.nodes[other_than(leader, 0)].disk_latency =
	    3 * SOLO_HEARTBEAT_INTERVAL;
	for (unsigned i = 0; i < 50; i++) {
		ck_assert_int_eq(cluster_propose(&cluster, leader, 1), 0);
		cluster_run(&cluster, SOLO_HEARTBEAT_INTERVAL);
	}
	ck_assert_int_eq(status(leader).role, RAFT_LEADER);
	ck_assert_uint_eq(status(leader).term, term);
}
END_TEST

START_TEST(B29_full_omission)
{
	raft_id leader = form(5, 13);

	/* Links go up and down in turn; in the end a quorum is stable. */
	for (unsigned i = 0; i < 100; i++) {
		raft_id a = 1 + rng_below(&cluster.rng, 5);
		raft_id b = 1 + rng_below(&cluster.rng, 5);

		cluster.cut[a][b] = !cluster.cut[a][b];
		cluster_run(&cluster, SOLO_ELECTION_TIMEOUT / 4);
	}
	cluster_heal(&cluster);
	cluster_isolate(&cluster, leader);
	cluster_isolate(&cluster, other_than(leader, 0));
	cluster_run(&cluster, 2 * SECOND);
	leader = cluster_leader(&cluster);
	ck_assert_uint_ne(leader, 0);
	ck_assert_int_eq(cluster_propose(&cluster, leader, 1), 0);
	cluster_run(&cluster, SOLO_ELECTION_TIMEOUT);
	ck_assert_uint_eq(
	    status(leader).commit_index, status(leader).last_index);
}
END_TEST

Suite *
raft_prevote_suite(void)
{
	Suite *suite = suite_create("raft_prevote");
	TCase *prevote = tcase_create("prevote");

	tcase_add_checked_fixture(prevote, set_up, tear_down);
	tcase_add_test(prevote, B1_rejoin_quiet);
	tcase_add_test(prevote, B2_prevote_pure);
	tcase_add_test(prevote, B3_prevote_late_counts_not);
	tcase_add_test(prevote, B4_prevote_checks_log);
	tcase_add_test(prevote, B5_heard_leader);
	tcase_add_test(prevote, B6_lower_term_completes);
	tcase_add_test(prevote, B7_stuck_candidate_freed);
	tcase_add_test(prevote, B8_precandidate_no_leader);
	tcase_add_test(prevote, B9_prevote_split);
	tcase_add_test(prevote, B11_quorum_loss_stepdown);
	tcase_add_test(prevote, B12_stepdown_silence);
	tcase_add_test(prevote, B13_bridge_partition);
	tcase_add_test(prevote, B14_one_way_deaf);
	tcase_add_test(prevote, B15_one_way_mute);
	tcase_add_test(prevote, B16_quorum_kept);
	tcase_add_test(prevote, B17_slow_but_enough);
	tcase_add_test(prevote, B18_entries_refresh_the_timer);
	tcase_add_test(prevote, B23_lagging_quorum);
	tcase_add_test(prevote, B24_deposed_leader_is_told);
	tcase_add_test(prevote, B25_paused_leader);
	tcase_add_test(prevote, B26_clock_step_forward);
	tcase_add_test(prevote, B27_clock_stuck);
	tcase_add_test(prevote, B28_slow_voter);
	tcase_add_test(prevote, B29_full_omission);
	suite_add_tcase(suite, prevote);
	return suite;
}
