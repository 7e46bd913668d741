/*
 * A node whose state machine ends before its log begins: it takes part in all
 * but applying, until a snapshot brings a state that reaches the log.
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
	cluster_init(&cluster, 3, 29);
}

static void
tear_down(void)
{
	solo_release(&solo);
	cluster_release(&cluster);
}

/* ---- The node ---- */

/* Entries 4 .. 8 behind the cut at 3/t1, with a learner from entry 6 on. */
static void
boot_lost(void)
{
	static const raft_term terms[] = { 1, 2, 0, 2, 2 };
	const struct raft_member learner = {
		.id = 4,
		.role_old = RAFT_MEMBER_LEARNER,
		.role_new = RAFT_MEMBER_LEARNER,
	};
	struct raft_members members = solo.disk.members;
	const struct raft_entry change = {
		.term = 2,
		.type = RAFT_ENTRY_MEMBERS,
		.members = &members,
	};

	solo_set_member(&members, &learner);
	solo.disk.compacted_index = 3;
	solo.disk.compacted_term = 1;
	solo_preset(&solo, 2, 0, terms, 2);
	solo_log_append(&solo.disk.log, &change);
	solo_preset(&solo, 2, 0, terms + 3, 2);
	solo.disk.commit_hint = 5;
	solo_boot(&solo);
	solo_settle(&solo);
	ck_assert(solo_status(&solo).state_lost);
	ck_assert_uint_eq(solo_status(&solo).commit_index, 5);
	ck_assert_uint_eq(solo_status(&solo).applied_index, 0);
}

/* From peer 2, leading term 3: nothing new, `commit` is committed. */
static const struct raft_message *
beat(raft_index commit)
{
	const struct raft_message *answer;

	ck_assert_int_eq(solo_append(&solo, 2, 3, 8, 2, NULL, 0, commit), 0);
	solo_settle(&solo);
	answer = solo_sent(&solo, RAFT_APPEND_RESPONSE, 2);
	ck_assert_ptr_nonnull(answer);
	return answer;
}

static int
install(raft_index index, raft_term term)
{
	return solo_install(&solo, index, term, &solo.disk.members);
}

START_TEST(votes_and_acknowledges)
{
	boot_lost();
	solo.now += 2 * SOLO_ELECTION_TIMEOUT;
	ck_assert(!solo_ask(&solo, RAFT_VOTE_REQUEST, 2, 3, 7, 2));
	ck_assert(solo_ask(&solo, RAFT_VOTE_REQUEST, 2, 3, 8, 2));
	ck_assert(beat(6)->success);
	ck_assert_uint_eq(beat(6)->match_index, 8);
	ck_assert_uint_eq(beat(6)->snapshot_wanted, 3);
	ck_assert(!beat(6)->repairing);
	/* Refusals say so too. */
	ck_assert_int_eq(solo_append(&solo, 2, 3, 9, 3, NULL, 0, 6), 0);
	solo_settle(&solo);
	ck_assert(!solo_sent(&solo, RAFT_APPEND_RESPONSE, 2)->success);
	ck_assert_uint_eq(
	    solo_sent(&solo, RAFT_APPEND_RESPONSE, 2)->snapshot_wanted, 3);
}
END_TEST

START_TEST(applies_and_reads_nothing)
{
	boot_lost();
	(void)beat(8);
	ck_assert_uint_eq(solo_status(&solo).commit_index, 8);
	ck_assert_uint_eq(solo.apply_first, 0);
	ck_assert_uint_eq(solo_status(&solo).leader, 2);
	ck_assert_int_eq(raft_read(solo.raft, solo.now, 1), ERR_NOT_LEADER);
	/* And nothing of its log is cut for what it does not hold. */
	ck_assert_int_eq(raft_compact(solo.raft, 5), ERR_INVALID);
}
END_TEST

START_TEST(does_not_campaign)
{
	struct raft_message now = solo_message(&solo, RAFT_TIMEOUT_NOW, 2, 3);
	static const raft_term more[] = { 3 };

	boot_lost();
	ck_assert_uint_eq(raft_deadline(solo.raft), RAFT_NEVER);
	solo_advance(&solo, SECOND);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_FOLLOWER);
	ck_assert_int_eq(solo_append(&solo, 2, 3, 8, 2, more, 1, 8), 0);
	solo_settle(&solo);
	now.last_index = 9;
	now.last_term = 3;
	ck_assert_int_eq(solo_deliver(&solo, &now), 0);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_FOLLOWER);
}
END_TEST

/* G9: the log has the snapshot's entry, and stays. */
START_TEST(G9_log_is_kept)
{
	raft_index index = 4 + (raft_index)_i; /* 4 .. 8 */

	boot_lost();
	(void)beat(7);
	solo_clear(&solo);
	ck_assert_int_eq(install(index, index == 4 ? 1 : 2), 0);
	solo_take(&solo);
	ck_assert(solo.persist.reset_keeps);
	ck_assert_uint_eq(solo.persist.reset_index, index);
	ck_assert_uint_eq(solo.persist.reset_term, index == 4 ? 1 : 2);
	ck_assert_uint_eq(solo.persist.truncate_from, 0);
	ck_assert_uint_eq(solo.persist.first, 0);
	ck_assert(solo_status(&solo).state_lost);
	solo_settle(&solo);
	ck_assert(!solo_status(&solo).state_lost);
	ck_assert_uint_eq(solo_status(&solo).compacted_index, 3);
	ck_assert_uint_eq(solo_status(&solo).last_index, 8);
	ck_assert_uint_eq(
	    solo_status(&solo).commit_index, MAX(index, (raft_index)7));
	ck_assert_uint_eq(solo.apply_first, index < 7 ? index + 1 : 0);
	ck_assert_uint_eq(
	    solo_status(&solo).applied_index, MAX(index, (raft_index)7));
	ck_assert_uint_eq(solo.dropped_count, 0);
	/* The membership behind it stays in effect, and is the log's. */
	ck_assert_int_eq(solo_role(&solo, 4), RAFT_MEMBER_LEARNER);
	ck_assert_uint_eq(raft_get_members(solo.raft)->index, 6);
	ck_assert_uint_eq(beat(7)->snapshot_wanted, 0);
	ck_assert_uint_eq(beat(7)->match_index, 8);
}
END_TEST

/* The state may end where the log begins: nothing is missing between them. */
START_TEST(snapshot_at_the_cut)
{
	boot_lost();
	ck_assert_int_eq(install(2, 1), ERR_INVALID);
	ck_assert_int_eq(install(3, 2), ERR_INVALID);
	ck_assert_int_eq(install(3, 1), 0);
	solo_settle(&solo);
	ck_assert(!solo_status(&solo).state_lost);
	ck_assert_uint_eq(solo.apply_first, 4);
	ck_assert_uint_eq(solo.apply_last, 5);
	/* Now it is like any other. */
	ck_assert_int_eq(install(3, 1), ERR_EXISTS);
	ck_assert_int_eq(install(2, 1), ERR_EXISTS);
	ck_assert_uint_ne(raft_deadline(solo.raft), RAFT_NEVER);
}
END_TEST

START_TEST(G10_log_is_replaced)
{
	boot_lost();
	ck_assert_int_eq(install(20, 2), 0);
	solo_take(&solo);
	ck_assert(!solo.persist.reset_keeps);
	solo_settle(&solo);
	ck_assert(!solo_status(&solo).state_lost);
	ck_assert_uint_eq(solo_status(&solo).compacted_index, 20);
	ck_assert_uint_eq(solo_status(&solo).last_index, 20);
	/* Only what was in the log is told as dropped. */
	ck_assert_uint_eq(solo.dropped[0].first, 4);
	ck_assert_uint_eq(solo.dropped[solo.dropped_count - 1].last, 8);
	/* Its membership with it (G12). */
	ck_assert_int_eq(solo_role(&solo, 4), RAFT_MEMBER_NONE);
}
END_TEST

START_TEST(G10_conflicting_log)
{
	boot_lost();
	/* Against what is committed it cannot be. */
	ck_assert_int_eq(install(5, 3), ERR_INVALID);
	ck_assert_int_eq(install(7, 3), 0);
	solo_settle(&solo);
	ck_assert_uint_eq(solo_status(&solo).last_index, 7);
	ck_assert_uint_eq(solo_status(&solo).compacted_index, 7);
	ck_assert(!solo_status(&solo).state_lost);
}
END_TEST

/* The state on the disk never is ahead of the log there (G16). */
START_TEST(G16_waits_for_the_log)
{
	static const raft_term more[] = { 3, 3 };

	boot_lost();
	ck_assert_int_eq(solo_append(&solo, 2, 3, 8, 2, more, 2, 9), 0);
	ck_assert_int_eq(install(9, 3), ERR_BUSY);
	/* One from before that need not, and leaves what is not written to
	 * the next PERSIST. */
	ck_assert_int_eq(install(7, 2), 0);
	solo_take(&solo);
	ck_assert_uint_eq(solo.persist.reset_index, 7);
	ck_assert_uint_eq(solo.persist.first, 0);
	ck_assert_ptr_null(solo_sent(&solo, RAFT_APPEND_RESPONSE, 2));
	solo_persisted(&solo);
	ck_assert_uint_eq(solo_status(&solo).durable_index, 8);
	solo_take(&solo);
	ck_assert_uint_eq(solo.persist.reset_index, 0);
	ck_assert_uint_eq(solo.persist.first, 9);
	ck_assert_uint_eq(solo.persist.last, 10);
	ck_assert_ptr_null(solo_sent(&solo, RAFT_APPEND_RESPONSE, 2));
	solo_settle(&solo);
	ck_assert_uint_eq(
	    solo_sent(&solo, RAFT_APPEND_RESPONSE, 2)->match_index, 10);
	ck_assert_uint_eq(solo.apply_last, 9);
}
END_TEST

/* As above, with a cut that the disk has not seen. */
START_TEST(G16_leaves_a_cut_to_the_next)
{
	static const raft_term other[] = { 3 };

	boot_lost();
	ck_assert_int_eq(solo_append(&solo, 2, 3, 7, 2, other, 1, 5), 0);
	ck_assert_int_eq(install(8, 3), ERR_BUSY);
	ck_assert_int_eq(install(5, 2), 0);
	solo_take(&solo);
	ck_assert_uint_eq(solo.persist.truncate_from, 0);
	solo_persisted(&solo);
	solo_take(&solo);
	ck_assert_uint_eq(solo.persist.truncate_from, 8);
	ck_assert_uint_eq(solo.persist.first, 8);
	solo_settle(&solo);
	ck_assert_uint_eq(solo_term(&solo, 8), 3);
	ck_assert_uint_eq(solo.disk.log.count, 5);
}
END_TEST

START_TEST(G15_appends_while_it_is_installed)
{
	static const raft_term more[] = { 3 };

	boot_lost();
	ck_assert_int_eq(install(5, 2), 0);
	ck_assert_int_eq(install(5, 2), ERR_BUSY);
	solo_take(&solo);
	ck_assert_int_eq(install(5, 2), ERR_BUSY);
	ck_assert_int_eq(solo_append(&solo, 2, 3, 8, 2, more, 1, 8), 0);
	ck_assert_uint_eq(solo.accepted.first, 0);
	ck_assert_uint_eq(solo_status(&solo).last_index, 8);
	solo_settle(&solo);
	ck_assert(!solo_sent(&solo, RAFT_APPEND_RESPONSE, 2)->success);
	ck_assert_uint_eq(
	    solo_sent(&solo, RAFT_APPEND_RESPONSE, 2)->hint_index, 8);
}
END_TEST

START_TEST(G18_crash_while_it_is_installed)
{
	boot_lost();
	ck_assert_int_eq(install(5, 2), 0);
	solo_take(&solo);
	if (_i == 1)
		solo_persisted(&solo);
	solo_crash(&solo);
	solo_boot(&solo);
	solo_settle(&solo);
	ck_assert(solo_status(&solo).state_lost == (_i == 0));
	ck_assert_uint_eq(solo_status(&solo).applied_index, _i == 0 ? 0 : 5);
	ck_assert_uint_eq(solo_status(&solo).last_index, 8);
}
END_TEST

/* Nothing was cut: there is a log to begin from, and nothing is lost. */
START_TEST(whole_log_needs_no_snapshot)
{
	static const raft_term terms[] = { 1, 1, 1 };

	solo_preset(&solo, 1, 0, terms, 3);
	solo.disk.commit_hint = 3;
	solo_boot(&solo);
	solo_settle(&solo);
	ck_assert(!solo_status(&solo).state_lost);
	ck_assert_uint_eq(solo.apply_first, 1);
	ck_assert_uint_eq(solo.apply_last, 3);
}
END_TEST

/* Both at once: repaired by one snapshot, voting by the log only then. */
START_TEST(with_entries_lost_too)
{
	boot_lost();
	solo_crash(&solo);
	solo.disk.log.count = 2;
	solo.disk.repair_until = 8;
	solo.disk.repair_term = 2;
	solo_boot(&solo);
	solo_settle(&solo);
	ck_assert_int_eq(solo_append(&solo, 2, 3, 5, 2, NULL, 0, 5), 0);
	solo_settle(&solo);
	ck_assert(solo_sent(&solo, RAFT_APPEND_RESPONSE, 2)->repairing);
	ck_assert_uint_eq(
	    solo_sent(&solo, RAFT_APPEND_RESPONSE, 2)->snapshot_wanted, 3);
	ck_assert_int_eq(install(10, 3), 0);
	solo_settle(&solo);
	ck_assert(!solo_status(&solo).state_lost);
	ck_assert_uint_eq(solo_status(&solo).repair_until, 0);
	ck_assert_uint_eq(solo.disk.repair_until, 0);
}
END_TEST

/* ---- The leader ---- */

/* It leads term 1 with entries up to 6; peer 2 holds all of them, and the log
 * is cut at 2. */
static void
lead(void)
{
	solo_boot(&solo);
	solo_lead(&solo);
	for (unsigned i = 0; i < 5; i++)
		solo_propose(&solo, 1);
	solo_settle(&solo);
	solo_ack(&solo, 2, 6);
	ck_assert_uint_eq(solo_status(&solo).applied_index, 6);
	ck_assert_int_eq(solo_compact(&solo, 2), 0);
	solo_clear(&solo);
}

/* Peer 2 acknowledges the last append, and wants a snapshot. */
static int
want(raft_index match, raft_index wanted)
{
	struct raft_message message =
	    solo_answer(&solo, &solo.appended[2], RAFT_APPEND_RESPONSE);

	message.success = true;
	message.match_index = match;
	message.snapshot_wanted = wanted;
	return solo_deliver(&solo, &message);
}

static void
sent(raft_index index)
{
	ck_assert_int_eq(raft_snapshot_sent(solo.raft, solo.now, 2, index), 0);
	solo_settle(&solo);
}

START_TEST(leader_sends_a_snapshot)
{
	lead();
	ck_assert_int_eq(want(6, 4), 0);
	ck_assert_int_eq(solo_peer(&solo, 2).state, RAFT_PEER_SNAPSHOT);
	ck_assert_uint_eq(solo_peer(&solo, 2).match_index, 6);
	ck_assert_uint_eq(solo.snapshots_count, 1);
	ck_assert_uint_eq(solo.snapshot.peer, 2);
	ck_assert_uint_eq(solo.snapshot.at_least, 4);
	/* What it holds of the log is no reason to stop. */
	solo_clear(&solo);
	solo_advance(&solo, SOLO_HEARTBEAT_INTERVAL);
	ck_assert_uint_eq(solo.appended[2].prev_index, 6);
	ck_assert_int_eq(want(6, 4), 0);
	ck_assert_int_eq(solo_peer(&solo, 2).state, RAFT_PEER_SNAPSHOT);
	ck_assert_uint_eq(solo.snapshots_count, 0);
	/* One that has it by another way is done. */
	ck_assert_int_eq(want(6, 0), 0);
	ck_assert_int_eq(solo_peer(&solo, 2).state, RAFT_PEER_REPLICATE);
	ck_assert_uint_eq(solo_peer(&solo, 2).next_index, 7);
}
END_TEST

START_TEST(leader_hears_it_from_a_refusal)
{
	struct raft_message refusal;

	lead();
	ck_assert_int_eq(raft_peer_unreachable(solo.raft, solo.now, 2), 0);
	solo_settle(&solo);
	refusal = solo_answer(&solo, &solo.appended[2], RAFT_APPEND_RESPONSE);
	refusal.rejected_index = 6;
	refusal.hint_index = 6;
	refusal.hint_term = 1;
	refusal.snapshot_wanted = 4;
	ck_assert_int_eq(solo_deliver(&solo, &refusal), 0);
	ck_assert_int_eq(solo_peer(&solo, 2).state, RAFT_PEER_SNAPSHOT);
	ck_assert_uint_eq(solo_peer(&solo, 2).match_index, 6);
	ck_assert_uint_eq(solo_peer(&solo, 2).next_index, 7);
}
END_TEST

START_TEST(leader_sends_one_that_reaches_its_own_log)
{
	lead();
	ck_assert_int_eq(solo_compact(&solo, 5), 0);
	ck_assert_int_eq(want(6, 4), 0);
	ck_assert_uint_eq(solo.snapshot.at_least, 5);
}
END_TEST

START_TEST(leader_goes_on_behind_it)
{
	struct raft_message late;

	lead();
	late = solo_answer(&solo, &solo.appended[2], RAFT_APPEND_RESPONSE);
	late.success = true;
	late.match_index = 6;
	late.snapshot_wanted = 4;
	ck_assert_int_eq(solo_deliver(&solo, &late), 0);
	solo_clear(&solo);
	sent(6);
	ck_assert_int_eq(solo_peer(&solo, 2).state, RAFT_PEER_PROBE);
	/* An answer from before it was in place asks for nothing. */
	ck_assert_int_eq(solo_deliver(&solo, &late), 0);
	ck_assert_uint_eq(solo.snapshots_count, 0);
	ck_assert_int_ne(solo_peer(&solo, 2).state, RAFT_PEER_SNAPSHOT);
	solo_ack(&solo, 2, 6);
	ck_assert_int_eq(solo_peer(&solo, 2).state, RAFT_PEER_REPLICATE);
	/* Lost again, it is sent again. */
	solo_advance(&solo, SOLO_HEARTBEAT_INTERVAL);
	ck_assert_int_eq(want(6, 5), 0);
	ck_assert_uint_eq(solo.snapshots_count, 1);
	ck_assert_uint_eq(solo.snapshot.at_least, 5);
}
END_TEST

START_TEST(leader_tries_again)
{
	lead();
	ck_assert_int_eq(want(6, 4), 0);
	solo_clear(&solo);
	sent(0);
	ck_assert_int_eq(solo_peer(&solo, 2).state, RAFT_PEER_SNAPSHOT);
	ck_assert_uint_eq(solo.snapshots_count, 0);
	solo_advance(&solo, SOLO_ELECTION_TIMEOUT / 2);
	ck_assert_int_eq(want(6, 4), 0);
	solo_advance(&solo, SOLO_ELECTION_TIMEOUT / 2);
	ck_assert_uint_eq(solo.snapshots_count, 1);
}
END_TEST

/*
 * A leader whose own state is not that late yet: it goes on with the log, for
 * it may need this peer's acknowledgements to get there.
 */
START_TEST(leader_that_has_applied_less)
{
	static const raft_term terms[] = { 1, 1, 1, 1, 1 };

	solo_preset(&solo, 1, 0, terms, 5);
	solo_boot(&solo);
	solo_lead(&solo);
	ck_assert_uint_eq(solo_status(&solo).applied_index, 0);
	ck_assert_int_eq(want(5, 4), 0);
	ck_assert_int_eq(solo_peer(&solo, 2).state, RAFT_PEER_REPLICATE);
	ck_assert_uint_eq(solo.snapshots_count, 0);
	ck_assert_int_eq(want(6, 4), 0);
	ck_assert_uint_eq(solo_status(&solo).applied_index, 6);
	solo_advance(&solo, SOLO_HEARTBEAT_INTERVAL);
	ck_assert_int_eq(want(6, 4), 0);
	ck_assert_uint_eq(solo.snapshots_count, 1);
	ck_assert_uint_eq(solo.snapshot.at_least, 4);
}
END_TEST

/* What a leader does not have nobody has applied (C17). */
START_TEST(C17_wants_what_is_not_there)
{
	lead();
	ck_assert_int_eq(want(6, 7), ERR_INVALID);
	ck_assert_uint_eq(solo.snapshots_count, 0);
}
END_TEST

START_TEST(no_target_of_a_transfer)
{
	lead();
	ck_assert_int_eq(want(6, 4), 0);
	ck_assert_int_eq(raft_transfer(solo.raft, solo.now, 2), ERR_NOT_FOUND);
	ck_assert_int_eq(raft_transfer(solo.raft, solo.now, 0), ERR_NOT_FOUND);
	ck_assert_int_eq(want(6, 0), 0);
	ck_assert_int_eq(raft_transfer(solo.raft, solo.now, 0), 0);
	ck_assert_uint_eq(solo_status(&solo).transfer_target, 2);
}
END_TEST

/* ---- Together ---- */

/* A healthy cluster with ten commands, all logs cut behind them. */
static raft_id
form(void)
{
	raft_id leader;

	cluster_boot_all(&cluster);
	leader = cluster_elect(&cluster, SECOND);
	for (unsigned i = 0; i < 10; i++)
		ck_assert_int_eq(cluster_propose(&cluster, leader, 1 + i), 0);
	cluster_converge(&cluster, SECOND);
	for (raft_id id = 1; id <= 3; id++)
		ck_assert_int_eq(solo_compact(&cluster.nodes[id].solo, 10), 0);
	return leader;
}

START_TEST(one_of_three)
{
	raft_id leader = form();
	raft_id lost = leader == 1 ? 2 : 1;

	cluster_crash(&cluster, lost);
	cluster_lose_state(&cluster, lost);
	cluster_boot(&cluster, lost);
	ck_assert(cluster_status(&cluster, lost).state_lost);
	cluster_converge(&cluster, SECOND);
	ck_assert(!cluster_status(&cluster, lost).state_lost);
	ck_assert_uint_eq(cluster.snapshots_installed, 1);
	/* By a log that stayed. */
	ck_assert_uint_eq(cluster_status(&cluster, lost).compacted_index, 10);
	ck_assert_uint_eq(cluster_leader(&cluster), leader);
}
END_TEST

/* All but one: that one is elected by the others' logs, and has all. */
START_TEST(two_of_three)
{
	raft_id healthy = form();

	for (raft_id id = 1; id <= 3; id++) {
		cluster_crash(&cluster, id);
		if (id != healthy)
			cluster_lose_state(&cluster, id);
	}
	cluster_boot_all(&cluster);
	ck_assert_uint_eq(cluster_elect(&cluster, 2 * SECOND), healthy);
	cluster_converge(&cluster, SECOND);
	ck_assert_uint_eq(cluster.snapshots_installed, 2);
}
END_TEST

Suite *
raft_state_lost_suite(void)
{
	Suite *suite = suite_create("raft_state_lost");
	TCase *lost = tcase_create("state_lost");

	tcase_add_checked_fixture(lost, set_up, tear_down);
	tcase_add_test(lost, votes_and_acknowledges);
	tcase_add_test(lost, applies_and_reads_nothing);
	tcase_add_test(lost, does_not_campaign);
	tcase_add_loop_test(lost, G9_log_is_kept, 0, 5);
	tcase_add_test(lost, snapshot_at_the_cut);
	tcase_add_test(lost, G10_log_is_replaced);
	tcase_add_test(lost, G10_conflicting_log);
	tcase_add_test(lost, G16_waits_for_the_log);
	tcase_add_test(lost, G16_leaves_a_cut_to_the_next);
	tcase_add_test(lost, G15_appends_while_it_is_installed);
	tcase_add_loop_test(lost, G18_crash_while_it_is_installed, 0, 2);
	tcase_add_test(lost, whole_log_needs_no_snapshot);
	tcase_add_test(lost, with_entries_lost_too);
	tcase_add_test(lost, leader_sends_a_snapshot);
	tcase_add_test(lost, leader_hears_it_from_a_refusal);
	tcase_add_test(lost, leader_sends_one_that_reaches_its_own_log);
	tcase_add_test(lost, leader_goes_on_behind_it);
	tcase_add_test(lost, leader_tries_again);
	tcase_add_test(lost, leader_that_has_applied_less);
	tcase_add_test(lost, C17_wants_what_is_not_there);
	tcase_add_test(lost, no_target_of_a_transfer);
	tcase_add_test(lost, one_of_three);
	tcase_add_test(lost, two_of_three);
	suite_add_tcase(suite, lost);
	return suite;
}
