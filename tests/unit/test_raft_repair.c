/*
 * What damage took from a log (raft_repair.c): the node that lacks it, the
 * leader that gives it back, and several cores together. Where only the state
 * is lost, see test_raft_state_lost.
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
	cluster_init(&cluster, 3, 23);
}

static void
tear_down(void)
{
	solo_release(&solo);
	cluster_release(&cluster);
}

/* ---- The node that lacks entries ---- */

/* It had five entries in term 3, and the last two are lost. */
static void
boot_damaged(void)
{
	static const raft_term kept[] = { 1, 1, 2 };

	solo_preset(&solo, 3, 0, kept, 3);
	solo.disk.repair_until = 5;
	solo.disk.repair_term = 3;
	solo_boot(&solo);
	solo_settle(&solo);
	ck_assert_uint_eq(solo_status(&solo).repair_until, 5);
}

/* `count` entries of `entry_term` behind 3/t2, from peer 2 leading `term`. */
static void
append(raft_term term, raft_term entry_term, uint32_t count, raft_index commit)
{
	const raft_term terms[] = { entry_term, entry_term, entry_term };

	ck_assert_int_eq(
	    solo_append(&solo, 2, term, 3, 2, terms, count, commit), 0);
}

static const struct raft_message *
answer(void)
{
	const struct raft_message *sent =
	    solo_sent(&solo, RAFT_APPEND_RESPONSE, 2);

	ck_assert_ptr_nonnull(sent);
	return sent;
}

static void
assert_repairing(bool repairing)
{
	ck_assert_uint_eq(solo_status(&solo).repair_until, repairing ? 5 : 0);
	ck_assert_uint_eq(solo.disk.repair_until, repairing ? 5 : 0);
	ck_assert_uint_eq(solo.disk.repair_term, repairing ? 3 : 0);
}

/* As the log that it had would, or later ones. */
START_TEST(votes_by_what_it_had)
{
	static const struct {
		raft_index index;
		raft_term term;
		bool granted;
	} rows[] = {
		{ 3, 2, false }, /* not behind what is left of it */
		{ 9, 2, false },
		{ 4, 3, false },
		{ 5, 3, true },
		{ 6, 3, true },
		{ 1, 4, true },
	};
	enum raft_message_kind kind =
	    _i == 0 ? RAFT_VOTE_REQUEST : RAFT_PREVOTE_REQUEST;

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		solo_release(&solo);
		solo_init(&solo, 1, 3);
		boot_damaged();
		solo.now += 2 * SOLO_ELECTION_TIMEOUT;
		ck_assert_msg(solo_ask(&solo, kind, 2, 5, rows[i].index,
				  rows[i].term) == rows[i].granted,
		    "row %zu", i);
		/* What is stored says on. */
		assert_repairing(true);
	}
}
END_TEST

/* And as what it has acknowledged since then. */
START_TEST(votes_by_what_it_has_too)
{
	boot_damaged();
	append(4, 4, 1, 0);
	solo_settle(&solo);
	assert_repairing(true);
	solo.now += 2 * SOLO_ELECTION_TIMEOUT;
	ck_assert(!solo_ask(&solo, RAFT_VOTE_REQUEST, 3, 5, 9, 3));
	ck_assert(solo_ask(&solo, RAFT_VOTE_REQUEST, 3, 5, 4, 4));
}
END_TEST

START_TEST(does_not_campaign)
{
	boot_damaged();
	ck_assert_uint_eq(raft_deadline(solo.raft), RAFT_NEVER);
	solo_advance(&solo, 4 * SOLO_ELECTION_TIMEOUT);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_FOLLOWER);
	ck_assert_uint_eq(solo.sent_count, 0);
	/* It notices that its leader is gone, as anybody does. */
	append(3, 3, 0, 0);
	solo_settle(&solo);
	ck_assert_uint_eq(solo_status(&solo).leader, 2);
	solo_timeout(&solo);
	ck_assert_uint_eq(solo_status(&solo).leader, 0);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_FOLLOWER);
}
END_TEST

START_TEST(does_not_campaign_when_told)
{
	struct raft_message now = solo_message(&solo, RAFT_TIMEOUT_NOW, 2, 3);

	boot_damaged();
	append(3, 3, 1, 0);
	solo_settle(&solo);
	now.last_index = 4;
	now.last_term = 3;
	ck_assert_int_eq(solo_deliver(&solo, &now), 0);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_FOLLOWER);
	/* Told so when it is whole it would. */
	append(3, 3, 2, 0);
	solo_settle(&solo);
	now.last_index = 5;
	ck_assert_int_eq(solo_deliver(&solo, &now), 0);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_CANDIDATE);
}
END_TEST

START_TEST(sole_voter_is_quiet)
{
	solo_release(&solo);
	solo_init(&solo, 1, 1);
	boot_damaged();
	ck_assert_uint_eq(raft_deadline(solo.raft), RAFT_NEVER);
	solo_advance(&solo, SECOND);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_FOLLOWER);
}
END_TEST

START_TEST(acknowledges_what_it_holds)
{
	solo.params.lease_reads = true;
	boot_damaged();
	append(3, 3, 1, 0);
	solo_settle(&solo);
	ck_assert(answer()->success);
	ck_assert(answer()->repairing);
	ck_assert_uint_eq(answer()->match_index, 4);
	ck_assert_uint_eq(answer()->promise, 0);
	/* A gap is refused, with the truth. */
	ck_assert_int_eq(solo_append(&solo, 2, 3, 5, 3, NULL, 0, 0), 0);
	solo_settle(&solo);
	ck_assert(!answer()->success);
	ck_assert(answer()->repairing);
	ck_assert_uint_eq(answer()->hint_index, 4);
	assert_repairing(true);
}
END_TEST

START_TEST(whole_by_the_leader_s_log)
{
	solo.params.lease_reads = true;
	boot_damaged();
	append(3, 3, 2, 0);
	solo_take(&solo);
	/* Not while it could be lost again. */
	ck_assert_uint_eq(solo_status(&solo).repair_until, 5);
	ck_assert_uint_eq(solo.persist.repair_until, 5);
	ck_assert_uint_eq(solo.persist.repair_term, 3);
	solo_persisted(&solo);
	ck_assert_uint_eq(solo_status(&solo).repair_until, 0);
	ck_assert_uint_eq(solo.disk.repair_until, 5);
	solo_settle(&solo);
	assert_repairing(false);
	ck_assert(!answer()->repairing);
	ck_assert_uint_eq(answer()->match_index, 5);
	ck_assert_uint_eq(answer()->promise, SOLO_ELECTION_TIMEOUT);
	solo.now += 2 * SOLO_ELECTION_TIMEOUT;
	ck_assert(solo_ask(&solo, RAFT_VOTE_REQUEST, 3, 4, 5, 3));
}
END_TEST

/* Entries that are there again, but not known to be the leader's. */
START_TEST(whole_only_as_far_as_verified)
{
	boot_damaged();
	append(3, 3, 2, 0);
	solo_take(&solo);
	solo_persisted(&solo);
	/* The crash takes (0, 0), and leaves the entries. */
	solo_crash(&solo);
	solo_boot(&solo);
	solo_settle(&solo);
	assert_repairing(true);
	ck_assert_uint_eq(solo_status(&solo).durable_index, 5);
	append(4, 3, 1, 0);
	solo_settle(&solo);
	assert_repairing(true);
	append(4, 3, 2, 0);
	solo_settle(&solo);
	assert_repairing(false);
}
END_TEST

START_TEST(whole_by_an_entry_of_a_later_term)
{
	boot_damaged();
	/* A later leader's log is shorter than what was lost. */
	append(4, 4, 1, 0);
	solo_settle(&solo);
	ck_assert_uint_eq(solo_status(&solo).last_index, 4);
	assert_repairing(true);
	append(4, 4, 1, 4);
	solo_settle(&solo);
	assert_repairing(false);
}
END_TEST

START_TEST(not_whole_by_an_entry_of_the_same_term)
{
	boot_damaged();
	append(4, 3, 1, 4);
	solo_settle(&solo);
	ck_assert_uint_eq(solo_status(&solo).commit_index, 4);
	assert_repairing(true);
}
END_TEST

/* Others have committed it before it is durable here (D10). */
START_TEST(not_whole_by_what_is_not_durable)
{
	boot_damaged();
	append(4, 4, 2, 5);
	solo_take(&solo);
	ck_assert_uint_eq(solo_status(&solo).commit_index, 5);
	ck_assert_uint_eq(solo_status(&solo).repair_until, 5);
	solo_settle(&solo);
	assert_repairing(false);
}
END_TEST

START_TEST(whole_by_a_snapshot)
{
	boot_damaged();
	append(4, 3, 0, 0);
	solo_settle(&solo);
	/* From before the end of what was lost: it goes on. */
	ck_assert_int_eq(solo_install(&solo, 4, 3, &solo.disk.members), 0);
	solo_settle(&solo);
	assert_repairing(true);
	ck_assert_int_eq(solo_install(&solo, 6, 3, &solo.disk.members), 0);
	solo_settle(&solo);
	assert_repairing(false);
}
END_TEST

/* What the disk says decides after each crash. */
START_TEST(stays_over_a_restart)
{
	boot_damaged();
	append(4, 3, 1, 0);
	solo_settle(&solo);
	solo_crash(&solo);
	solo_boot(&solo);
	solo_settle(&solo);
	assert_repairing(true);
	ck_assert(!solo_ask(&solo, RAFT_VOTE_REQUEST, 3, 9, 4, 3));
}
END_TEST

START_TEST(impossible_boots)
{
	static const struct {
		raft_index until;
		raft_term term;
	} table[] = {
		{ 5, 0 }, /* entries of no term */
		{ 0, 3 }, /* no entries, of a term */
		{ 5, 4 }, /* of a later term than the stored one */
		{ RAFT_NUMBER_MAX + 1, 3 },
	};
	struct raft_entry entry = { .term = 1, .type = RAFT_ENTRY_COMMAND };

	for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
		const struct raft_boot boot = {
			.boot_id = 1,
			.term = 3,
			.entries = &entry,
			.entries_count = 1,
			.members = solo.disk.members,
			.repair_until = table[i].until,
			.repair_term = table[i].term,
		};

		ck_assert_int_eq(
		    raft_new(&solo.raft, &solo.params, &boot, 0), ERR_CORRUPT);
	}
}
END_TEST

/* Each part of what a core knows of damage is in its digest. */
START_TEST(digest_tells_damage)
{
	uint64_t digests[3];

	for (unsigned i = 0; i < ARRAY_COUNT(digests); i++) {
		solo_release(&solo);
		solo_init(&solo, 1, 3);
		solo_preset(&solo, 3, 0, NULL, 0);
		solo.disk.repair_until = i == 1 ? 6 : 5;
		solo.disk.repair_term = i == 2 ? 2 : 3;
		solo_boot(&solo);
		digests[i] = raft_digest(solo.raft);
	}
	ck_assert_uint_ne(digests[0], digests[1]);
	ck_assert_uint_ne(digests[0], digests[2]);
}
END_TEST

/* ---- The leader ---- */

/* It leads term 1 with entries up to 6, all of which peer 2 holds; so does
 * peer 3, up to 2. */
static void
lead(void)
{
	solo_boot(&solo);
	solo_lead(&solo);
	for (unsigned i = 0; i < 5; i++)
		solo_propose(&solo, 1);
	solo_settle(&solo);
	solo_ack(&solo, 3, 2);
	solo_ack(&solo, 2, 6);
	ck_assert_uint_eq(solo_status(&solo).commit_index, 6);
	ck_assert_uint_eq(solo_status(&solo).applied_index, 6);
	solo_clear(&solo);
}

/* The answer of a new life of peer 2 to the last append, as it is. */
static struct raft_message
reborn(raft_index held)
{
	struct raft_message message =
	    solo_answer(&solo, &solo.appended[2], RAFT_APPEND_RESPONSE);

	message.boot_id = 7777;
	message.repairing = true;
	message.rejected_index = solo.appended[2].prev_index;
	message.hint_index = held;
	message.hint_term = held == 0 ? 0 : 1;
	return message;
}

static void
beat(void)
{
	solo_advance(&solo, SOLO_HEARTBEAT_INTERVAL);
	ck_assert_uint_eq(solo.appended[2].entries_count, 0);
}

/* As lead(); peer 2 has said that it holds up to 3, after a heartbeat. */
static void
lead_damaged(void)
{
	struct raft_message message;

	lead();
	beat();
	ck_assert_uint_eq(solo.appended[2].prev_index, 6);
	message = reborn(3);
	ck_assert_int_eq(solo_deliver(&solo, &message), 0);
}

START_TEST(sends_again)
{
	lead_damaged();
	ck_assert_uint_eq(solo_peer(&solo, 2).match_index, 3);
	ck_assert_uint_eq(solo.appended[2].prev_index, 3);
	ck_assert_uint_eq(solo.appended[2].entries_count, 3);
	ck_assert_uint_eq(solo.alarms_count, 1);
	ck_assert_int_eq(solo.alarm.alarm, RAFT_ALARM_REPAIRING);
	ck_assert_uint_eq(solo.alarm.peer, 2);
	ck_assert_uint_eq(solo.alarm.index, 3);
	/* What was committed stays so, and what all had, they had. */
	ck_assert_uint_eq(solo_status(&solo).commit_index, 6);
	ck_assert_uint_eq(solo_status(&solo).everywhere_index, 2);
	solo_ack(&solo, 2, 6);
	ck_assert_uint_eq(solo_peer(&solo, 2).match_index, 6);
	ck_assert_int_eq(solo_peer(&solo, 2).state, RAFT_PEER_REPLICATE);
	ck_assert_uint_eq(solo_status(&solo).commit_index, 6);
}
END_TEST

START_TEST(alarm_once_for_each_life)
{
	struct raft_message message;

	lead_damaged();
	solo_ack(&solo, 2, 6);
	beat();
	message = reborn(4);
	ck_assert_int_eq(solo_deliver(&solo, &message), 0);
	ck_assert_uint_eq(solo_peer(&solo, 2).match_index, 4);
	ck_assert_uint_eq(solo.alarms_count, 1);
	solo_ack(&solo, 2, 6);
	beat();
	message = reborn(5);
	message.boot_id = 8888;
	ck_assert_int_eq(solo_deliver(&solo, &message), 0);
	ck_assert_uint_eq(solo.alarms_count, 2);
}
END_TEST

/* What it answers to requests from before it said more tells nothing. */
START_TEST(late_answers_move_nothing_back)
{
	struct raft_message message;

	lead();
	message = reborn(3);
	beat();
	ck_assert_int_eq(solo_deliver(&solo, &message), 0);
	ck_assert_uint_eq(solo_peer(&solo, 2).match_index, 6);
	ck_assert_uint_eq(solo.alarms_count, 0);
	/* And nothing is moved back twice by one loss. */
	message = reborn(3);
	ck_assert_int_eq(solo_deliver(&solo, &message), 0);
	ck_assert_uint_eq(solo_peer(&solo, 2).match_index, 3);
	message.hint_index = 2;
	ck_assert_int_eq(solo_deliver(&solo, &message), 0);
	ck_assert_uint_eq(solo_peer(&solo, 2).match_index, 3);
}
END_TEST

/* Its disk is slow: it has the entries again, but not there. */
START_TEST(moved_back_by_an_acknowledgement)
{
	struct raft_message message;

	lead();
	beat();
	message = reborn(0);
	message.success = true;
	message.match_index = 4;
	ck_assert_int_eq(solo_deliver(&solo, &message), 0);
	ck_assert_uint_eq(solo_peer(&solo, 2).match_index, 4);
	ck_assert_uint_eq(solo_peer(&solo, 2).next_index, 7);
	ck_assert_uint_eq(solo.appended[2].prev_index, 4);
	ck_assert_uint_eq(solo.appended[2].entries_count, 2);
	/* Who is whole may hold what it does not say (C16). */
	solo_ack(&solo, 2, 6);
	beat();
	solo_ack(&solo, 2, 5);
	ck_assert_uint_eq(solo_peer(&solo, 2).match_index, 6);
}
END_TEST

START_TEST(moved_back_while_it_is_probed)
{
	struct raft_message message;

	lead();
	ck_assert_int_eq(raft_peer_unreachable(solo.raft, solo.now, 2), 0);
	solo_settle(&solo);
	ck_assert_int_eq(solo_peer(&solo, 2).state, RAFT_PEER_PROBE);
	message = reborn(2);
	ck_assert_int_eq(solo_deliver(&solo, &message), 0);
	ck_assert_uint_eq(solo_peer(&solo, 2).match_index, 2);
	ck_assert_uint_eq(solo_peer(&solo, 2).next_index, 3);
	ck_assert_uint_eq(solo.appended[2].prev_index, 2);
}
END_TEST

START_TEST(moved_back_with_appends_in_flight)
{
	struct raft_message message;

	lead();
	solo_propose(&solo, 1);
	solo_settle(&solo);
	solo_propose(&solo, 1);
	solo_settle(&solo);
	ck_assert_uint_eq(solo_peer(&solo, 2).inflight_appends, 2);
	message = reborn(3);
	ck_assert_int_eq(solo_deliver(&solo, &message), 0);
	ck_assert_uint_eq(solo_peer(&solo, 2).match_index, 3);
	ck_assert_uint_eq(solo.appended[2].prev_index, 3);
	ck_assert_uint_eq(solo.appended[2].entries_count, 5);
	/* Its word for them counts again. */
	solo_ack(&solo, 2, 8);
	ck_assert_uint_eq(solo_status(&solo).commit_index, 8);
}
END_TEST

START_TEST(compacted_entries_come_as_a_snapshot)
{
	struct raft_message message;

	lead();
	ck_assert_int_eq(solo_compact(&solo, 6), 0);
	beat();
	message = reborn(3);
	ck_assert_int_eq(solo_deliver(&solo, &message), 0);
	ck_assert_uint_eq(solo.appended[2].prev_index, 6);
	message = reborn(3);
	ck_assert_int_eq(solo_deliver(&solo, &message), 0);
	ck_assert_int_eq(solo_peer(&solo, 2).state, RAFT_PEER_SNAPSHOT);
	ck_assert_uint_eq(solo.snapshot_for[2], 6);
	ck_assert_uint_eq(solo_peer(&solo, 2).match_index, 3);
}
END_TEST

START_TEST(no_target_of_a_transfer)
{
	struct raft_message message;

	lead_damaged();
	ck_assert_int_eq(raft_transfer(solo.raft, solo.now, 2), ERR_NOT_FOUND);
	/* The best of the others, though it holds less. */
	ck_assert_int_eq(raft_transfer(solo.raft, solo.now, 0), 0);
	ck_assert_uint_eq(solo_status(&solo).transfer_target, 3);
	/* Whoever comes to be so meanwhile is not told. */
	solo_clear(&solo);
	message = solo_answer(&solo, &solo.appended[3], RAFT_APPEND_RESPONSE);
	message.success = true;
	message.repairing = true;
	message.match_index = 6;
	ck_assert_int_eq(solo_deliver(&solo, &message), 0);
	ck_assert_ptr_null(solo_sent(&solo, RAFT_TIMEOUT_NOW, 3));
	message.repairing = false;
	ck_assert_int_eq(solo_deliver(&solo, &message), 0);
	ck_assert_ptr_nonnull(solo_sent(&solo, RAFT_TIMEOUT_NOW, 3));
}
END_TEST

/* Whoever is made a voter can vote: it is whole. */
START_TEST(no_promotion_before_it_is_whole)
{
	struct raft_message message;

	lead();
	ck_assert_int_eq(solo_change_member(&solo, 4, RAFT_MEMBER_JOINING), 0);
	solo_ack(&solo, 2, 7);
	for (unsigned i = 0; i < 3; i++) {
		message =
		    solo_answer(&solo, &solo.appended[4], RAFT_APPEND_RESPONSE);
		message.success = true;
		message.repairing = true;
		message.match_index = 7;
		ck_assert_int_eq(solo_deliver(&solo, &message), 0);
	}
	ck_assert_int_eq(solo_role(&solo, 4), RAFT_MEMBER_JOINING);
	solo_ack(&solo, 4, 7);
	solo_ack(&solo, 4, 7);
	ck_assert_int_eq(solo_role(&solo, 4), RAFT_MEMBER_VOTER);
}
END_TEST

/* ---- Together ---- */

/* A healthy cluster with `count` commands; its leader. */
static raft_id
form(unsigned count)
{
	raft_id leader;

	cluster_boot_all(&cluster);
	leader = cluster_elect(&cluster, SECOND);
	for (unsigned i = 0; i < count; i++)
		ck_assert_int_eq(cluster_propose(&cluster, leader, 1 + i), 0);
	cluster_converge(&cluster, SECOND);
	return leader;
}

/* Restarts node `id` without entries from `from` on, and their effects. */
static void
restart_damaged(raft_id id, raft_index from)
{
	cluster_crash(&cluster, id);
	cluster.nodes[id].solo.disk.applied_index = from - 1;
	cluster_damage_log(&cluster, id, from);
	cluster_boot(&cluster, id);
}

START_TEST(follower_is_repaired)
{
	raft_id leader = form(10);
	raft_id damaged = leader == 1 ? 2 : 1;

	restart_damaged(damaged, 4);
	cluster_converge(&cluster, SECOND);
	cluster_run(&cluster, SOLO_HEARTBEAT_INTERVAL);
	ck_assert(!cluster_damaged(&cluster, damaged));
	ck_assert_uint_eq(cluster_leader(&cluster), leader);
	ck_assert_uint_eq(cluster_status(&cluster, leader).term, 1);
}
END_TEST

START_TEST(leader_is_repaired)
{
	raft_id leader = form(10);

	restart_damaged(leader, 4);
	ck_assert_uint_ne(cluster_elect(&cluster, SECOND), leader);
	cluster_converge(&cluster, SECOND);
	cluster_run(&cluster, SOLO_HEARTBEAT_INTERVAL);
	ck_assert(!cluster_damaged(&cluster, leader));
}
END_TEST

/*
 * The only other node that holds what is committed is down: nobody is elected
 * until it comes back. With the vote of the damaged one entry 3 would be lost.
 */
START_TEST(damaged_does_not_elect_who_lacks_it)
{
	static const raft_term three[] = { 1, 1, 1 };

	solo_preset(&cluster.nodes[1].solo, 1, 1, three, 3);
	solo_preset(&cluster.nodes[2].solo, 1, 1, three, 3);
	solo_preset(&cluster.nodes[3].solo, 1, 1, three, 2);
	for (unsigned i = 0; i < 3; i++)
		solo_log_append(&cluster.committed,
		    &cluster.nodes[1].solo.disk.log.entries[i].entry);
	cluster_damage_log(&cluster, 2, 3);
	cluster_boot(&cluster, 2);
	cluster_boot(&cluster, 3);
	cluster_run(&cluster, 2 * SECOND);
	ck_assert_uint_eq(cluster_leader(&cluster), 0);
	cluster_boot(&cluster, 1);
	ck_assert_uint_eq(cluster_elect(&cluster, SECOND), 1);
	cluster_converge(&cluster, SECOND);
	cluster_run(&cluster, SOLO_HEARTBEAT_INTERVAL);
	ck_assert(!cluster_damaged(&cluster, 2));
}
END_TEST

/* Both of two were restarted, and the one that held less is damaged. */
START_TEST(one_of_two_is_repaired)
{
	raft_id leader;

	cluster_release(&cluster);
	cluster_init(&cluster, 2, 23);
	cluster_boot_all(&cluster);
	leader = cluster_elect(&cluster, SECOND);
	for (unsigned i = 0; i < 10; i++)
		ck_assert_int_eq(cluster_propose(&cluster, leader, 1), 0);
	cluster_converge(&cluster, SECOND);
	cluster_crash(&cluster, leader);
	cluster_crash(&cluster, 3 - leader);
	cluster.nodes[3 - leader].solo.disk.applied_index = 3;
	cluster_damage_log(&cluster, 3 - leader, 5);
	cluster_boot_all(&cluster);
	ck_assert_uint_eq(cluster_elect(&cluster, 2 * SECOND), leader);
	cluster_converge(&cluster, SECOND);
	cluster_run(&cluster, SOLO_HEARTBEAT_INTERVAL);
	ck_assert(!cluster_damaged(&cluster, 3 - leader));
}
END_TEST

/* All of the log and all of the state at once: as a new disk, but it votes
 * when it is whole. */
START_TEST(everything_is_repaired)
{
	raft_id leader = form(10);
	raft_id damaged = leader == 1 ? 2 : 1;
	raft_id other = 6 - leader - damaged;

	restart_damaged(damaged, 1);
	cluster_converge(&cluster, SECOND);
	cluster_run(&cluster, SOLO_HEARTBEAT_INTERVAL);
	/* Its vote is needed, and is there. */
	cluster_crash(&cluster, other);
	cluster_crash(&cluster, leader);
	cluster_boot(&cluster, leader);
	(void)cluster_elect(&cluster, 2 * SECOND);
	cluster_converge(&cluster, SECOND);
}
END_TEST

Suite *
raft_repair_suite(void)
{
	Suite *suite = suite_create("raft_repair");
	TCase *repair = tcase_create("repair");

	tcase_add_checked_fixture(repair, set_up, tear_down);
	tcase_add_loop_test(repair, votes_by_what_it_had, 0, 2);
	tcase_add_test(repair, votes_by_what_it_has_too);
	tcase_add_test(repair, does_not_campaign);
	tcase_add_test(repair, does_not_campaign_when_told);
	tcase_add_test(repair, sole_voter_is_quiet);
	tcase_add_test(repair, acknowledges_what_it_holds);
	tcase_add_test(repair, whole_by_the_leader_s_log);
	tcase_add_test(repair, whole_only_as_far_as_verified);
	tcase_add_test(repair, whole_by_an_entry_of_a_later_term);
	tcase_add_test(repair, not_whole_by_an_entry_of_the_same_term);
	tcase_add_test(repair, not_whole_by_what_is_not_durable);
	tcase_add_test(repair, whole_by_a_snapshot);
	tcase_add_test(repair, stays_over_a_restart);
	tcase_add_test(repair, impossible_boots);
	tcase_add_test(repair, digest_tells_damage);
	tcase_add_test(repair, sends_again);
	tcase_add_test(repair, alarm_once_for_each_life);
	tcase_add_test(repair, late_answers_move_nothing_back);
	tcase_add_test(repair, moved_back_by_an_acknowledgement);
	tcase_add_test(repair, moved_back_while_it_is_probed);
	tcase_add_test(repair, moved_back_with_appends_in_flight);
	tcase_add_test(repair, compacted_entries_come_as_a_snapshot);
	tcase_add_test(repair, no_target_of_a_transfer);
	tcase_add_test(repair, no_promotion_before_it_is_whole);
	tcase_add_test(repair, follower_is_repaired);
	tcase_add_test(repair, leader_is_repaired);
	tcase_add_test(repair, damaged_does_not_elect_who_lacks_it);
	tcase_add_test(repair, one_of_two_is_repaired);
	tcase_add_test(repair, everything_is_repaired);
	suite_add_tcase(suite, repair);
	return suite;
}
