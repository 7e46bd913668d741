/* Persistence and crashes: group E of the scenarios. */

#include "tests/lib/raft_cluster.h"
#include "tests/unit/suites.h"

#define SECOND 1000000

static struct solo solo;
static struct cluster cluster;

static void
set_up(void)
{
	solo_init(&solo, 1, 3);
	cluster_init(&cluster, 3, 5);
}

static void
tear_down(void)
{
	solo_release(&solo);
	cluster_release(&cluster);
}

static raft_id
form(void)
{
	cluster_boot_all(&cluster);
	(void)cluster_elect(&cluster, SECOND);
	cluster_converge(&cluster, SECOND);
	return cluster_leader(&cluster);
}

START_TEST(E1_term_with_entries)
{
	static const raft_term terms[] = { 4 };

	/* One PERSIST has both, so no crash comes between them. */
	solo_boot(&solo);
	(void)solo_append(&solo, 2, 4, 0, 0, terms, 1, 0);
	solo_take(&solo);
	ck_assert_uint_eq(solo.persist.term, 4);
	ck_assert_uint_eq(solo.persist.first, 1);
	/* A disk that has it the other way round is not ours. */
	solo_crash(&solo);
	solo_preset(&solo, 3, 0, terms, 1);
	{
		struct raft_entry entry = { .term = 4,
			.type = RAFT_ENTRY_COMMAND };
		struct raft_boot boot = { .boot_id = 1,
			.term = 3,
			.entries = &entry,
			.entries_count = 1,
			.members = solo.disk.members };

		ck_assert_int_eq(
		    raft_new(&solo.raft, &solo.params, &boot, 0), ERR_CORRUPT);
	}
}
END_TEST

START_TEST(E2_ack_after_durable)
{
	static const raft_term terms[] = { 1 };

	solo_boot(&solo);
	(void)solo_append(&solo, 2, 1, 0, 0, terms, 1, 0);
	for (unsigned i = 0; i < 3; i++)
		solo_take(&solo);
	ck_assert_uint_eq(solo.sent_count, 0);
	ck_assert(solo.persist_open);
	solo_persisted(&solo);
	solo_take(&solo);
	ck_assert_uint_eq(solo_sent_count(&solo, RAFT_APPEND_RESPONSE), 1);
	ck_assert_uint_eq(
	    solo_sent(&solo, RAFT_APPEND_RESPONSE, 2)->match_index, 1);
}
END_TEST

START_TEST(E3_ack_content_at_release)
{
	static const raft_term terms[] = { 1, 1 };
	const struct raft_message *answer;

	solo_boot(&solo);
	(void)solo_append(&solo, 2, 1, 0, 0, terms, 2, 0);
	solo_take(&solo);
	(void)solo_append(&solo, 2, 1, 2, 1, terms, 2, 0);
	(void)solo_append(&solo, 2, 1, 4, 1, terms, 2, 0);
	solo_take(&solo);
	solo_persisted(&solo);
	solo_take(&solo);
	ck_assert_uint_eq(solo_sent_count(&solo, RAFT_APPEND_RESPONSE), 1);
	answer = solo_sent(&solo, RAFT_APPEND_RESPONSE, 2);
	ck_assert_uint_eq(answer->match_index, 2);
	ck_assert_uint_eq(answer->sequence, 1);
	solo_persisted(&solo);
	solo_take(&solo);
	ck_assert_uint_eq(solo_sent_count(&solo, RAFT_APPEND_RESPONSE), 2);
	answer = solo_sent(&solo, RAFT_APPEND_RESPONSE, 2);
	ck_assert_uint_eq(answer->match_index, 6);
	ck_assert_uint_eq(answer->sequence, 3);
}
END_TEST

START_TEST(E4_aba_log_race)
{
	static const raft_term old[] = { 1, 1 };
	static const raft_term newer[] = { 2, 2 };

	solo_boot(&solo);
	(void)solo_append(&solo, 2, 1, 0, 0, old, 2, 0);
	solo_take(&solo); /* ticket 1 writes (1,t1) and (2,t1) */
	(void)solo_append(&solo, 3, 2, 1, 1, newer, 2, 0);
	solo_persisted(&solo);
	ck_assert_uint_eq(solo_status(&solo).durable_index, 1);
	solo_take(&solo); /* ticket 2 */
	ck_assert_uint_eq(solo_sent_count(&solo, RAFT_APPEND_RESPONSE), 0);
	ck_assert_uint_eq(solo.persist.truncate_from, 2);
	ck_assert_uint_eq(solo.persist.first, 2);
	ck_assert_uint_eq(solo.persist.last, 3);
	solo_persisted(&solo);
	ck_assert_uint_eq(solo_status(&solo).durable_index, 3);
	solo_settle(&solo);
	ck_assert_uint_eq(
	    solo_sent(&solo, RAFT_APPEND_RESPONSE, 3)->match_index, 3);
	ck_assert_uint_eq(solo.disk.log.count, 3);
	ck_assert_uint_eq(solo.disk.log.entries[1].entry.term, 2);
}
END_TEST

START_TEST(E4_cut_twice_before_the_disk)
{
	static const raft_term one[] = { 1, 1, 1, 1 };
	static const raft_term two[] = { 2, 2 };
	static const raft_term three[] = { 3 };

	solo_boot(&solo);
	(void)solo_append(&solo, 2, 1, 0, 0, one, 4, 0);
	solo_settle(&solo);
	(void)solo_append(&solo, 3, 2, 2, 1, two, 2, 0);
	(void)solo_append(&solo, 2, 3, 1, 1, three, 1, 0);
	solo_settle(&solo);
	ck_assert_uint_eq(solo.persist.truncate_from, 2);
	ck_assert_uint_eq(solo.disk.log.count, 2);
	ck_assert_uint_eq(solo.disk.log.entries[1].entry.term, 3);
}
END_TEST

START_TEST(E5_ack_after_term_change)
{
	static const raft_term terms[] = { 1, 1 };
	const struct raft_message *answer;
	struct raft_message request;

	solo_boot(&solo);
	(void)solo_append(&solo, 2, 1, 0, 0, terms, 2, 0);
	solo_take(&solo);
	solo.now += SOLO_ELECTION_TIMEOUT;
	request = solo_message(&solo, RAFT_VOTE_REQUEST, 3, 2);
	request.last_index = 2;
	request.last_term = 1;
	solo_deliver(&solo, &request);
	answer = solo_sent(&solo, RAFT_APPEND_RESPONSE, 2);
	ck_assert_ptr_nonnull(answer);
	ck_assert(!answer->success);
	ck_assert_uint_eq(answer->term, 2);
	ck_assert_uint_eq(answer->match_index, 0);
	ck_assert(solo_sent(&solo, RAFT_VOTE_RESPONSE, 3)->granted);
}
END_TEST

START_TEST(E6_ex_leader_completion)
{
	solo_boot(&solo);
	solo_lead(&solo);
	solo_ack(&solo, 2, 1);
	solo_propose(&solo, 1);
	solo_take(&solo);
	solo.now += SOLO_ELECTION_TIMEOUT;
	ck_assert_int_eq(raft_timeout(solo.raft, solo.now), 0);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_FOLLOWER);
	solo_persisted(&solo);
	ck_assert_uint_eq(solo_status(&solo).durable_index, 2);
	ck_assert_uint_eq(solo_status(&solo).commit_index, 1);
}
END_TEST

START_TEST(E7_unknown_ticket)
{
	solo_boot(&solo);
	solo_lead(&solo);
	ck_assert_int_eq(raft_persisted(solo.raft, solo.now, 99), ERR_STOPPED);
	solo_take(&solo);
	ck_assert_uint_eq(solo.fatals_count, 1);
	ck_assert_uint_eq(solo.sent_count, 0);
	ck_assert_uint_eq(solo.persists_count, 0);
}
END_TEST

START_TEST(E8_old_ticket_again)
{
	raft_index durable;

	solo_boot(&solo);
	solo_lead(&solo);
	solo_propose(&solo, 1);
	solo_take(&solo);
	durable = solo_status(&solo).durable_index;
	/* All before the open one are complete already. */
	ck_assert_int_eq(
	    raft_persisted(solo.raft, solo.now, solo.persist.ticket - 1), 0);
	ck_assert_uint_eq(solo_status(&solo).durable_index, durable);
	solo_persisted(&solo);
	ck_assert_uint_eq(solo_status(&solo).durable_index, durable + 1);
	ck_assert_int_eq(
	    raft_persisted(solo.raft, solo.now, solo.persist.ticket), 0);
	ck_assert_uint_eq(solo_status(&solo).durable_index, durable + 1);
}
END_TEST

START_TEST(E10_slow_leader_disk)
{
	raft_id leader = form();

	cluster.nodes[leader].disk_latency = 40000;
	for (unsigned i = 0; i < 20; i++) {
		ck_assert_int_eq(cluster_propose(&cluster, leader, 1), 0);
		cluster_run(&cluster, 10000);
	}
	ck_assert_int_eq(cluster_status(&cluster, leader).role, RAFT_LEADER);
	/* The others commit what its own disk does not have yet. */
	ck_assert_uint_gt(cluster_status(&cluster, leader).commit_index,
	    cluster_status(&cluster, leader).durable_index);
	ck_assert_uint_ge(cluster_status(&cluster, leader).commit_index, 19);
}
END_TEST

START_TEST(E11_slow_leader_loses_lead)
{
	raft_id leader = form();
	raft_index commit;

	cluster.nodes[leader].disk_latency = 80000;
	for (unsigned i = 0; i < 5; i++) {
		ck_assert_int_eq(cluster_propose(&cluster, leader, 1), 0);
		cluster_run(&cluster, 10000);
	}
	commit = cluster_status(&cluster, leader).commit_index;
	cluster_crash(&cluster, leader);
	ck_assert_uint_lt(cluster.nodes[leader].solo.disk.log.count, commit);
	cluster_run(&cluster, SECOND);
	cluster_boot(&cluster, leader);
	cluster_converge(&cluster, SECOND);
	ck_assert_uint_ge(
	    cluster_status(&cluster, leader).commit_index, commit);
}
END_TEST

START_TEST(E12_disk_stall_stepdown)
{
	raft_id leader = form();

	cluster.nodes[leader].disk_stalls = true;
	ck_assert_int_eq(cluster_propose(&cluster, leader, 1), 0);
	cluster_run(&cluster, 300000);
	ck_assert_int_ne(cluster_status(&cluster, leader).role, RAFT_LEADER);
	cluster_run(&cluster, SECOND);
	ck_assert_uint_ne(cluster_leader(&cluster), 0);
	ck_assert_uint_ne(cluster_leader(&cluster), leader);
}
END_TEST

START_TEST(E13_disk_stall_follower)
{
	raft_id leader = form();
	raft_id hung = leader % 3 + 1;
	raft_term term = cluster_status(&cluster, leader).term;

	cluster.nodes[hung].disk_stalls = true;
	ck_assert_int_eq(cluster_propose(&cluster, leader, 1), 0);
	cluster_run(&cluster, 5 * SECOND);
	ck_assert_int_eq(cluster_status(&cluster, leader).role, RAFT_LEADER);
	/* It is alive, says so, and holds what it held. */
	{
		struct raft_peer_status peer =
		    solo_peer(&cluster.nodes[leader].solo, hung);

		ck_assert_uint_ge(
		    peer.heard_at, cluster.now - SOLO_ELECTION_TIMEOUT);
		ck_assert_uint_eq(peer.match_index, 1);
	}
	/* Cut off it does not campaign. */
	cluster_isolate(&cluster, hung);
	cluster_run(&cluster, SECOND);
	ck_assert_int_eq(cluster_status(&cluster, hung).role, RAFT_FOLLOWER);
	ck_assert_uint_eq(cluster_status(&cluster, hung).term, term);
}
END_TEST

START_TEST(E14_stall_recovers)
{
	raft_id leader = form();

	cluster.nodes[leader].disk_stalls = true;
	ck_assert_int_eq(cluster_propose(&cluster, leader, 1), 0);
	cluster_run(&cluster, 2 * SECOND);
	cluster.nodes[leader].disk_stalls = false;
	cluster_converge(&cluster, SECOND);
	ck_assert_uint_ge(cluster_status(&cluster, leader).applied_index, 2);
}
END_TEST

START_TEST(E19_applied_ahead_of_log)
{
	struct raft_entry entry = { .term = 1, .type = RAFT_ENTRY_COMMAND };
	struct raft_boot boot = { .boot_id = 1,
		.term = 1,
		.entries = &entry,
		.entries_count = 1,
		.members = solo.disk.members };

	boot.applied_index = 2;
	ck_assert_int_eq(
	    raft_new(&solo.raft, &solo.params, &boot, 0), ERR_CORRUPT);
	boot.compacted_index = 5;
	boot.compacted_term = 1;
	boot.applied_index = 7;
	ck_assert_int_eq(
	    raft_new(&solo.raft, &solo.params, &boot, 0), ERR_CORRUPT);
	/* Before what was cut the state is lost, see raft_repair (E17). */
	boot.applied_index = 6;
	ck_assert_int_eq(raft_new(&solo.raft, &solo.params, &boot, 0), 0);
	ck_assert(!solo_status(&solo).state_lost);
}
END_TEST

START_TEST(E20_reapply_from_durable)
{
	static const raft_term terms[] = { 1, 1, 1, 1 };

	solo.disk.applied_index = 2;
	solo.disk.commit_hint = 3;
	solo_preset(&solo, 1, 0, terms, 4);
	solo_boot(&solo);
	solo_take(&solo);
	ck_assert_uint_eq(solo.apply_first, 3);
	ck_assert_uint_eq(solo.apply_last, 3);
}
END_TEST

START_TEST(E21_commit_hint_lost)
{
	static const raft_term terms[] = { 1, 1, 1 };

	solo_preset(&solo, 1, 0, terms, 3);
	solo_boot(&solo);
	ck_assert_uint_eq(solo_status(&solo).commit_index, 0);
	(void)solo_append(&solo, 2, 1, 3, 1, NULL, 0, 3);
	ck_assert_uint_eq(solo_status(&solo).commit_index, 3);
	/* One above the log, of a log that was cut since, is no harm. */
	solo_crash(&solo);
	solo.disk.commit_hint = 9;
	solo_boot(&solo);
	ck_assert_uint_eq(solo_status(&solo).commit_index, 3);
}
END_TEST

START_TEST(E23_answers_to_former_life)
{
	struct raft_message answer;

	solo_boot(&solo);
	solo_lead(&solo);
	answer = solo_answer(&solo, &solo.appended[2], RAFT_APPEND_RESPONSE);
	answer.success = true;
	answer.match_index = 1;
	answer.to_boot_id += 1;
	ck_assert_int_eq(solo_deliver(&solo, &answer), 0);
	ck_assert_uint_eq(solo_peer(&solo, 2).match_index, 0);
	ck_assert_uint_eq(solo_peer(&solo, 2).heard_at, 0);
	answer.term = 9;
	ck_assert_int_eq(solo_deliver(&solo, &answer), 0);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_LEADER);
}
END_TEST

/* The same work with a crash of node `id` after `steps` events. */
static void
crash_after(raft_id id, unsigned steps)
{
	struct cluster other;
	raft_id leader;

	cluster_init(&other, 3, 25);
	cluster_boot_all(&other);
	for (unsigned i = 0; i < steps; i++) {
		leader = cluster_leader(&other);
		if (leader != 0 && i % 4 == 0)
			(void)cluster_propose(&other, leader, i + 1);
		(void)cluster_step(&other);
	}
	cluster_crash(&other, id);
	cluster_run(&other, SOLO_ELECTION_TIMEOUT);
	cluster_boot(&other, id);
	cluster_converge(&other, 2 * SECOND);
	leader = cluster_leader(&other);
	ck_assert_int_eq(cluster_propose(&other, leader, 1), 0);
	cluster_converge(&other, SECOND);
	cluster_release(&other);
}

START_TEST(E25_crash_every_point)
{
	for (unsigned steps = 1; steps < 150; steps++)
		crash_after((raft_id)_i, steps);
}
END_TEST

START_TEST(single_log_write_while_open)
{
	/* F17 seen from the disk: at most one PERSIST is open. */
	solo_boot(&solo);
	solo_lead(&solo);
	for (unsigned i = 0; i < 5; i++) {
		solo_propose(&solo, 1);
		solo_take(&solo);
	}
	ck_assert_uint_eq(solo.persists_count, 1);
	solo_persisted(&solo);
	solo_take(&solo);
	ck_assert_uint_eq(solo.persists_count, 2);
	ck_assert_uint_eq(solo.persist.last - solo.persist.first + 1, 4);
}
END_TEST

START_TEST(idle_writes_nothing)
{
	size_t persists;

	(void)form();
	cluster_run(&cluster, 10 * SOLO_HEARTBEAT_INTERVAL);
	persists = cluster.nodes[1].solo.persist.ticket +
		   cluster.nodes[2].solo.persist.ticket +
		   cluster.nodes[3].solo.persist.ticket;
	cluster_run(&cluster, 10 * SECOND);
	ck_assert_uint_eq(persists, cluster.nodes[1].solo.persist.ticket +
					cluster.nodes[2].solo.persist.ticket +
					cluster.nodes[3].solo.persist.ticket);
}
END_TEST

Suite *
raft_persist_suite(void)
{
	Suite *suite = suite_create("raft_persist");
	TCase *persist = tcase_create("persist");

	tcase_add_checked_fixture(persist, set_up, tear_down);
	tcase_add_test(persist, E1_term_with_entries);
	tcase_add_test(persist, E2_ack_after_durable);
	tcase_add_test(persist, E3_ack_content_at_release);
	tcase_add_test(persist, E4_aba_log_race);
	tcase_add_test(persist, E4_cut_twice_before_the_disk);
	tcase_add_test(persist, E5_ack_after_term_change);
	tcase_add_test(persist, E6_ex_leader_completion);
	tcase_add_test(persist, E7_unknown_ticket);
	tcase_add_test(persist, E8_old_ticket_again);
	tcase_add_test(persist, E10_slow_leader_disk);
	tcase_add_test(persist, E11_slow_leader_loses_lead);
	tcase_add_test(persist, E12_disk_stall_stepdown);
	tcase_add_test(persist, E13_disk_stall_follower);
	tcase_add_test(persist, E14_stall_recovers);
	tcase_add_test(persist, E19_applied_ahead_of_log);
	tcase_add_test(persist, E20_reapply_from_durable);
	tcase_add_test(persist, E21_commit_hint_lost);
	tcase_add_test(persist, E23_answers_to_former_life);
	tcase_add_loop_test(persist, E25_crash_every_point, 1, 4);
	tcase_add_test(persist, single_log_write_while_open);
	tcase_add_test(persist, idle_writes_nothing);
	suite_add_tcase(suite, persist);
	return suite;
}
