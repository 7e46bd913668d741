/* Linearizable reads: group J of the scenarios. */

#include "tests/lib/raft_cluster.h"
#include "tests/unit/suites.h"

#define SECOND 1000000
/* What a lease is shorter than the election timeout. */
#define LEASE (SOLO_ELECTION_TIMEOUT - SOLO_ELECTION_TIMEOUT / 20)

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

static raft_id
form(bool leases)
{
	for (raft_id id = 1; id <= 3; id++)
		cluster.nodes[id].solo.params.lease_reads = leases;
	cluster_boot_all(&cluster);
	(void)cluster_elect(&cluster, SECOND);
	cluster_converge(&cluster, SECOND);
	return cluster_leader(&cluster);
}

START_TEST(J1_no_read_before_own_commit)
{
	static const raft_term terms[] = { 1, 1 };

	solo.disk.commit_hint = 2;
	solo_preset(&solo, 1, 0, terms, 2);
	solo_boot(&solo);
	solo_lead(&solo);
	ck_assert_int_eq(read_at(1), 0);
	solo_settle(&solo);
	/* The round is confirmed, the own entry is not committed. */
	solo_ack(&solo, 2, 2);
	ck_assert_uint_eq(solo.reads_count, 0);
	solo_ack(&solo, 2, 3);
	ck_assert_uint_eq(solo.reads_count, 1);
	ck_assert_int_eq(solo.reads[0].status, 0);
}
END_TEST

START_TEST(J2_round_confirm)
{
	lead();
	ck_assert_int_eq(read_at(7), 0);
	solo_settle(&solo);
	ck_assert_uint_eq(solo_status(&solo).round, 1);
	ck_assert_uint_eq(solo.appended[2].round, 1);
	ck_assert_uint_eq(solo.appended[3].round, 1);
	ck_assert_uint_eq(solo.reads_count, 0);
	solo_ack(&solo, 3, 1);
	ck_assert_uint_eq(solo.reads_count, 1);
	ck_assert_uint_eq(solo.reads[0].read_id, 7);
	ck_assert_int_eq(solo.reads[0].status, 0);
}
END_TEST

START_TEST(J3_partitioned_old_leader)
{
	raft_id old = form(_i == 1);
	raft_id leader;

	cluster_isolate(&cluster, old);
	for (uint64_t read_id = 1; read_id < 100; read_id++) {
		/* As soon as somebody else leads, it writes. */
		(void)cluster_read(&cluster, old, read_id);
		leader = cluster_leader(&cluster);
		if (leader != old && leader != 0)
			(void)cluster_propose(&cluster, leader, 1);
		cluster_run(&cluster, 5000);
	}
	/* That no stale read was answered is asserted by the cluster. */
	ck_assert_uint_gt(cluster.committed.count, 2);
	ck_assert_uint_eq(cluster.reads_count, 0);
}
END_TEST

START_TEST(J4_register_then_confirm)
{
	struct raft_message first;

	lead();
	ck_assert_int_eq(read_at(1), 0);
	solo_settle(&solo);
	first = solo_answer(&solo, &solo.appended[2], RAFT_APPEND_RESPONSE);
	first.success = true;
	first.match_index = 1;
	/* The round has left already: the second read needs the next. */
	ck_assert_int_eq(read_at(2), 0);
	solo_settle(&solo);
	ck_assert_uint_eq(solo_status(&solo).round, 2);
	solo_deliver(&solo, &first);
	ck_assert_uint_eq(solo.reads_count, 1);
	ck_assert_uint_eq(solo.reads[0].read_id, 1);
	solo_ack(&solo, 2, 1);
	ck_assert_uint_eq(solo.reads_count, 2);
}
END_TEST

START_TEST(J5_single_node)
{
	solo_init(&solo, 1, 1);
	solo_boot(&solo);
	solo_timeout(&solo);
	solo_persisted(&solo);
	ck_assert_int_eq(read_at(1), 0);
	solo_take(&solo);
	ck_assert_uint_eq(solo.reads_count, 0);
	solo_settle(&solo);
	ck_assert_uint_eq(solo.reads_count, 1);
	ck_assert_int_eq(read_at(2), 0);
	solo_take(&solo); /* at once */
	ck_assert_uint_eq(solo.reads_count, 2);
}
END_TEST

START_TEST(J6_many_reads_one_round)
{
	lead();
	for (uint64_t i = 1; i <= 1000; i++)
		ck_assert_int_eq(read_at(i), 0);
	solo_settle(&solo);
	ck_assert_uint_eq(solo_status(&solo).round, 1);
	ck_assert_uint_eq(solo_sent_count(&solo, RAFT_APPEND_REQUEST), 2);
	solo_ack(&solo, 2, 1);
	ck_assert_uint_eq(solo.reads_count, 1000);
	for (uint64_t i = 0; i < 1000; i++)
		ck_assert_uint_eq(solo.reads[i].read_id, i + 1);
}
END_TEST

START_TEST(J6_rounds_are_bounded)
{
	lead();
	for (uint64_t i = 1; i <= 10; i++) {
		ck_assert_int_eq(read_at(i), 0);
		solo_settle(&solo);
	}
	/* Two at a time; the other eight reads wait for one more. */
	ck_assert_uint_eq(solo_status(&solo).round, 2);
	solo_ack(&solo, 2, 1);
	ck_assert_uint_eq(solo.reads_count, 2);
	ck_assert_uint_eq(solo_status(&solo).round, 3);
	solo_ack(&solo, 2, 1);
	ck_assert_uint_eq(solo.reads_count, 10);
}
END_TEST

START_TEST(J6_round_rides_on_entries)
{
	lead();
	ck_assert_int_eq(read_at(1), 0);
	solo_propose(&solo, 1);
	solo_settle(&solo);
	ck_assert_uint_eq(solo_sent_count(&solo, RAFT_APPEND_REQUEST), 2);
	ck_assert_uint_eq(solo.appended[2].round, 1);
	ck_assert_uint_eq(solo.appended[2].entries_count, 1);
}
END_TEST

START_TEST(J9_stale_round)
{
	struct raft_message old;

	lead();
	ck_assert_int_eq(read_at(1), 0);
	solo_settle(&solo);
	old = solo_answer(&solo, &solo.appended[2], RAFT_APPEND_RESPONSE);
	old.success = true;
	old.match_index = 1;
	old.term = 0; /* of an earlier term */
	solo_deliver(&solo, &old);
	ck_assert_uint_eq(solo.reads_count, 0);
	old.term = 1;
	old.to_boot_id -= 1; /* to an earlier life */
	solo_deliver(&solo, &old);
	ck_assert_uint_eq(solo.reads_count, 0);
	old.to_boot_id += 1;
	old.from = 8; /* from nobody */
	solo_deliver(&solo, &old);
	ck_assert_uint_eq(solo.reads_count, 0);
	old.from = 2;
	solo_deliver(&solo, &old);
	ck_assert_uint_eq(solo.reads_count, 1);
}
END_TEST

START_TEST(J9_rounds_of_former_leadership)
{
	lead();
	for (uint64_t i = 1; i <= 2; i++) {
		ck_assert_int_eq(read_at(i), 0);
		solo_settle(&solo);
	}
	solo.now += SOLO_ELECTION_TIMEOUT;
	ck_assert_int_eq(raft_timeout(solo.raft, solo.now), 0);
	solo_lead(&solo);
	/* Those rounds neither confirm this read nor hold it up. */
	ck_assert_int_eq(read_at(3), 0);
	solo_settle(&solo);
	ck_assert_uint_eq(solo_status(&solo).round, 3);
	solo_clear(&solo);
	solo_ack(&solo, 2, 2);
	ck_assert_uint_eq(solo.reads_count, 1);
	ck_assert_uint_eq(solo.reads[0].read_id, 3);
	ck_assert_int_eq(solo.reads[0].status, 0);
}
END_TEST

START_TEST(J10_stepdown_fails_reads)
{
	lead();
	ck_assert_int_eq(read_at(1), 0);
	ck_assert_int_eq(read_at(2), 0);
	(void)solo_append(&solo, 3, 2, 0, 0, NULL, 0, 0);
	solo_take(&solo);
	ck_assert_uint_eq(solo.reads_count, 2);
	ck_assert_int_eq(solo.reads[0].status, ERR_NOT_LEADER);
	ck_assert_int_eq(solo.reads[1].status, ERR_NOT_LEADER);
}
END_TEST

START_TEST(J13_wait_applied)
{
	lead();
	solo.hold_apply = true;
	solo_propose(&solo, 1);
	solo_settle(&solo);
	solo_ack(&solo, 2, 2);
	ck_assert_int_eq(read_at(1), 0);
	solo_settle(&solo);
	solo_ack(&solo, 2, 2);
	ck_assert_uint_eq(solo.reads_count, 0);
	ck_assert_int_eq(raft_applied(solo.raft, solo.now, 2), 0);
	solo_take(&solo);
	ck_assert_uint_eq(solo.reads_count, 1);
}
END_TEST

START_TEST(J14_lease_from_send_time)
{
	raft_usec sent_at;

	solo.params.lease_reads = true;
	lead();
	solo_advance(&solo, SOLO_HEARTBEAT_INTERVAL);
	sent_at = solo.now;
	solo.now += 15000; /* the echo takes its time */
	solo_ack(&solo, 2, 1);
	ck_assert_uint_eq(raft_lease_until(solo.raft), sent_at + LEASE);
	solo_clear(&solo);
	ck_assert_int_eq(read_at(1), 0);
	solo_take(&solo);
	ck_assert_uint_eq(solo.reads_count, 1);
	ck_assert_uint_eq(solo_status(&solo).round, 0);
}
END_TEST

/* A voter without the switch forgets its promise in a restart: it does not
 * count, or a rolling change of the option would break leases (J18). */
START_TEST(J18_lease_needs_voters_that_keep_it)
{
	struct raft_message answer;

	solo.params.lease_reads = true;
	lead();
	solo.now = raft_lease_until(solo.raft);
	solo_timeout(&solo);
	answer = solo_answer(&solo, &solo.appended[2], RAFT_APPEND_RESPONSE);
	answer.success = true;
	answer.match_index = 1;
	ck_assert_int_eq(solo_deliver(&solo, &answer), 0);
	ck_assert_uint_le(raft_lease_until(solo.raft), solo.now);
	answer.promise = SOLO_ELECTION_TIMEOUT;
	ck_assert_int_eq(solo_deliver(&solo, &answer), 0);
	ck_assert_uint_gt(raft_lease_until(solo.raft), solo.now);
}
END_TEST

START_TEST(J15_lease_expired)
{
	solo.params.lease_reads = true;
	lead();
	solo.now = raft_lease_until(solo.raft);
	ck_assert_int_eq(read_at(1), 0);
	solo_settle(&solo);
	ck_assert_uint_eq(solo.reads_count, 0);
	ck_assert_uint_eq(solo_status(&solo).round, 1);
	solo_ack(&solo, 2, 1);
	ck_assert_uint_eq(solo.reads_count, 1);
}
END_TEST

/*
 * Reads at a leader that is cut off while the others, on clocks that run at
 * `percent`, elect another one and write: how many answers were stale.
 */
static uint64_t
stale_reads(unsigned percent)
{
	uint64_t stale = 0;

	for (uint64_t seed = 1; seed <= 20; seed++) {
		raft_id old;
		raft_id leader;
		uint64_t read_id = 1;

		cluster_release(&cluster);
		cluster_init(&cluster, 3, seed);
		cluster.stale_reads = true;
		old = form(true);
		for (raft_id id = 1; id <= 3; id++) {
			if (id != old)
				cluster_set_clock(&cluster, id, percent);
		}
		cluster.latency_min = 100;
		cluster.latency_max = 100;
		cluster_run(&cluster, SECOND);
		if (cluster_leader(&cluster) != old)
			continue;
		cluster_isolate(&cluster, old);
		for (unsigned i = 0; i < 400; i++) {
			(void)cluster_read(&cluster, old, read_id++);
			leader = cluster_leader(&cluster);
			if (leader != 0 && leader != old)
				(void)cluster_propose(&cluster, leader, 1);
			cluster_run(&cluster, 500);
		}
		stale += cluster.reads_stale;
	}
	return stale;
}

START_TEST(J16_lease_within_drift)
{
	ck_assert_uint_eq(stale_reads(100), 0);
	ck_assert_uint_eq(stale_reads(104), 0);
	ck_assert_uint_eq(stale_reads(80), 0);
}
END_TEST

START_TEST(J16_lease_beyond_drift)
{
	/* The assumption is what protects: without it reads are stale. */
	ck_assert_uint_gt(stale_reads(300), 0);
}
END_TEST

START_TEST(J16_no_campaign_for_refused)
{
	raft_usec deadline;

	solo.params.lease_reads = true;
	solo_boot(&solo);
	(void)solo_append(&solo, 2, 1, 0, 0, NULL, 0, 0);
	solo_settle(&solo);
	deadline = raft_deadline(solo.raft);
	ck_assert_int_eq(raft_peer_refused(solo.raft, solo.now, 2), 0);
	ck_assert_uint_eq(raft_deadline(solo.raft), deadline);
	ck_assert_uint_eq(solo_status(&solo).leader, 2);
	ck_assert(!solo_ask(&solo, RAFT_VOTE_REQUEST, 3, 2, 0, 0));
}
END_TEST

START_TEST(J16_promise_outlives_the_term)
{
	struct raft_message late;

	/* A late refusal of an own pre-vote brings a higher term: the promise
	 * to the leader heard since holds on. */
	solo.params.lease_reads = true;
	solo_boot(&solo);
	solo_precampaign(&solo);
	late = solo_answer(&solo, solo_sent(&solo, RAFT_PREVOTE_REQUEST, 3),
	    RAFT_PREVOTE_RESPONSE);
	late.term = 4;
	(void)solo_append(&solo, 2, 3, 0, 0, NULL, 0, 0);
	solo_settle(&solo);
	solo_deliver(&solo, &late);
	ck_assert_uint_eq(solo_status(&solo).term, 4);
	ck_assert(!solo_ask(&solo, RAFT_VOTE_REQUEST, 3, 4, 9, 3));
	solo.now += SOLO_ELECTION_TIMEOUT;
	ck_assert(solo_ask(&solo, RAFT_VOTE_REQUEST, 3, 4, 9, 3));
}
END_TEST

START_TEST(J17_lease_after_pause)
{
	solo.params.lease_reads = true;
	lead();
	solo.now += 10 * SECOND;
	ck_assert_int_eq(read_at(1), 0);
	solo_take(&solo);
	ck_assert_uint_eq(solo.reads_count, 0);
	ck_assert_int_eq(raft_timeout(solo.raft, solo.now), 0);
	solo_take(&solo);
	ck_assert_uint_eq(solo.reads_count, 1);
	ck_assert_int_eq(solo.reads[0].status, ERR_NOT_LEADER);
}
END_TEST

/* Whether it has leases or not now: its former life may have had some. */
START_TEST(J18_lease_after_restart_of_voter)
{
	solo.params.lease_reads = _i == 1;
	solo_preset(&solo, 1, 0, NULL, 0);
	solo_boot(&solo);
	ck_assert(!solo_ask(&solo, RAFT_PREVOTE_REQUEST, 2, 2, 0, 0));
	ck_assert(!solo_ask(&solo, RAFT_VOTE_REQUEST, 2, 2, 0, 0));
	/* The leader's process is gone, as it seems. */
	ck_assert_int_eq(solo_append(&solo, 3, 1, 0, 0, NULL, 0, 0), 0);
	solo.now += 1;
	ck_assert_int_eq(raft_peer_refused(solo.raft, solo.now, 3), 0);
	solo.now += SOLO_ELECTION_TIMEOUT - 2;
	ck_assert(!solo_ask(&solo, RAFT_VOTE_REQUEST, 2, 2, 0, 0));
	solo.now += 2;
	ck_assert(solo_ask(&solo, RAFT_VOTE_REQUEST, 2, 2, 0, 0));
}
END_TEST

/* In the first term nobody had been promised anything. */
START_TEST(J18_no_former_life)
{
	solo_boot(&solo);
	ck_assert(solo_ask(&solo, RAFT_VOTE_REQUEST, 2, 1, 0, 0));
}
END_TEST

/*
 * One voter restarts with leases switched off, while the leader is cut off and
 * holds a lease by its promise. The other voter, which promised nothing, is
 * about to stand: it is not elected before the lease is over, and so no read
 * of the old leader is stale, which the cluster asserts.
 */
START_TEST(J18_lease_switched_off)
{
	raft_id leader;
	raft_id other;
	raft_id voter;
	uint64_t read_id = 1;

	cluster_release(&cluster);
	cluster_init(&cluster, 3, (uint64_t)_i);
	for (raft_id id = 1; id <= 3; id++)
		cluster.nodes[id].solo.params.lease_reads = true;
	cluster_boot_all(&cluster);
	leader = cluster_elect(&cluster, SECOND);
	cluster_converge(&cluster, SECOND);
	other = 1 + leader % 3;
	voter = 1 + other % 3;
	/* It hears of nobody until its timeout is nearly over. */
	cluster_isolate(&cluster, other);
	cluster_run(&cluster, SOLO_ELECTION_TIMEOUT * 3 / 4);
	cluster_heal(&cluster);
	cluster_isolate(&cluster, leader);
	cluster_crash(&cluster, voter);
	cluster.nodes[voter].solo.params.lease_reads = false;
	cluster_boot(&cluster, voter);
	for (unsigned i = 0; i < 2 * SOLO_ELECTION_TIMEOUT / 1000; i++) {
		cluster_run(&cluster, 1000);
		if (cluster_status(&cluster, other).role == RAFT_LEADER)
			(void)cluster_propose(&cluster, other, 1);
		if (cluster_status(&cluster, leader).role == RAFT_LEADER &&
		    cluster_read(&cluster, leader, read_id) == 0)
			read_id++;
	}
	ck_assert_uint_gt(cluster.reads_answered, 0);
}
END_TEST

START_TEST(J22_read_flood_bounded)
{
	unsigned taken = 0;

	lead();
	for (uint64_t i = 1; i <= 100000; i++)
		taken += read_at(i) == 0;
	ck_assert_uint_eq(taken, solo.params.pending_reads_max);
	ck_assert_int_eq(read_at(1), ERR_BUSY);
	solo_settle(&solo);
	solo_ack(&solo, 2, 1);
	ck_assert_uint_eq(solo.reads_count, taken);
	ck_assert_int_eq(read_at(1), 0);
}
END_TEST

Suite *
raft_read_suite(void)
{
	Suite *suite = suite_create("raft_read");
	TCase *reads = tcase_create("read");

	tcase_add_checked_fixture(reads, set_up, tear_down);
	tcase_add_test(reads, J1_no_read_before_own_commit);
	tcase_add_test(reads, J2_round_confirm);
	tcase_add_loop_test(reads, J3_partitioned_old_leader, 0, 2);
	tcase_add_test(reads, J4_register_then_confirm);
	tcase_add_test(reads, J5_single_node);
	tcase_add_test(reads, J6_many_reads_one_round);
	tcase_add_test(reads, J6_rounds_are_bounded);
	tcase_add_test(reads, J6_round_rides_on_entries);
	tcase_add_test(reads, J9_stale_round);
	tcase_add_test(reads, J9_rounds_of_former_leadership);
	tcase_add_test(reads, J10_stepdown_fails_reads);
	tcase_add_test(reads, J13_wait_applied);
	tcase_add_test(reads, J14_lease_from_send_time);
	tcase_add_test(reads, J15_lease_expired);
	tcase_add_test(reads, J16_lease_within_drift);
	tcase_add_test(reads, J16_lease_beyond_drift);
	tcase_add_test(reads, J16_no_campaign_for_refused);
	tcase_add_test(reads, J16_promise_outlives_the_term);
	tcase_add_test(reads, J17_lease_after_pause);
	tcase_add_loop_test(reads, J18_lease_after_restart_of_voter, 0, 2);
	tcase_add_test(reads, J18_no_former_life);
	tcase_add_loop_test(reads, J18_lease_switched_off, 1, 21);
	tcase_add_test(reads, J18_lease_needs_voters_that_keep_it);
	tcase_add_test(reads, J22_read_flood_bounded);
	suite_add_tcase(suite, reads);
	return suite;
}
