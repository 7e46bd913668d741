/*
 * Snapshots as the log sees them: group G of the scenarios, as far as it lives
 * in the core.
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
	cluster_init(&cluster, 3, 5);
}

static void
tear_down(void)
{
	solo_release(&solo);
	cluster_release(&cluster);
}

/* ---- The leader's side ---- */

/* Five entries of term 1 and the leader's, committed with peer 2. */
static void
lead(void)
{
	static const raft_term terms[] = { 1, 1, 1, 1, 1 };

	solo.disk.commit_hint = 5;
	solo_preset(&solo, 1, 0, terms, 5);
	solo_boot(&solo);
	solo_lead(&solo);
	solo_ack(&solo, 2, 6);
	ck_assert_uint_eq(solo_status(&solo).applied_index, 6);
}

/* Peer 3 does not hold what the last append to it lies behind. */
static void
refuse(raft_index hint_index, raft_term hint_term)
{
	struct raft_message answer =
	    solo_answer(&solo, &solo.appended[3], RAFT_APPEND_RESPONSE);

	answer.rejected_index = solo.appended[3].prev_index;
	answer.hint_index = hint_index;
	answer.hint_term = hint_term;
	ck_assert_int_eq(solo_deliver(&solo, &answer), 0);
}

/* As above; the log is cut, and peer 3 has nothing. */
static void
lead_empty_peer(void)
{
	lead();
	ck_assert_int_eq(solo_compact(&solo, 6), 0);
	solo_settle(&solo);
	refuse(0, 0);
	ck_assert_uint_eq(solo.snapshots_count, 1);
}

static int
sent(raft_index index)
{
	int result = raft_snapshot_sent(solo.raft, solo.now, 3, index);

	solo_settle(&solo);
	return result;
}

START_TEST(G1_need_snapshot)
{
	lead_empty_peer();
	ck_assert_uint_eq(solo.snapshot.peer, 3);
	ck_assert_uint_eq(solo.snapshot.at_least, 6);
	ck_assert_int_eq(solo_peer(&solo, 3).state, RAFT_PEER_SNAPSHOT);
	/* Heartbeats go on; entries do not, and it is asked for once. */
	solo_clear(&solo);
	solo_propose(&solo, 1);
	solo_settle(&solo);
	ck_assert_ptr_null(solo_sent(&solo, RAFT_APPEND_REQUEST, 3));
	solo_advance(&solo, SOLO_HEARTBEAT_INTERVAL);
	ck_assert_ptr_nonnull(solo_sent(&solo, RAFT_APPEND_REQUEST, 3));
	ck_assert_uint_eq(solo.appended[3].entries_count, 0);
	ck_assert_uint_eq(solo.appended[3].prev_index, 6);
	ck_assert_uint_eq(solo.snapshots_count, 0);
}
END_TEST

START_TEST(G2_sent)
{
	lead_empty_peer();
	solo_clear(&solo);
	ck_assert_int_eq(sent(6), 0);
	/* It is asked, not believed. */
	ck_assert_int_eq(solo_peer(&solo, 3).state, RAFT_PEER_PROBE);
	ck_assert_uint_eq(solo_peer(&solo, 3).match_index, 0);
	ck_assert_uint_eq(solo_peer(&solo, 3).next_index, 7);
	ck_assert_uint_eq(
	    solo_sent(&solo, RAFT_APPEND_REQUEST, 3)->prev_index, 6);
	solo_ack(&solo, 3, 6);
	ck_assert_int_eq(solo_peer(&solo, 3).state, RAFT_PEER_REPLICATE);
	ck_assert_uint_eq(solo_peer(&solo, 3).match_index, 6);
}
END_TEST

START_TEST(G2_sent_before_the_log_was_cut_again)
{
	lead_empty_peer();
	solo_propose(&solo, 1);
	solo_settle(&solo);
	solo_ack(&solo, 2, 7);
	ck_assert_int_eq(solo_compact(&solo, 7), 0);
	ck_assert_int_eq(solo_peer(&solo, 3).state, RAFT_PEER_SNAPSHOT);
	solo_clear(&solo);
	ck_assert_int_eq(sent(6), 0);
	ck_assert_uint_eq(solo_peer(&solo, 3).next_index, 8);
	refuse(6, 2);
	ck_assert_uint_eq(solo.snapshots_count, 1);
	ck_assert_uint_eq(solo.snapshot.at_least, 7);
}
END_TEST

START_TEST(G3_failed)
{
	raft_usec failed_at;

	lead_empty_peer();
	solo_clear(&solo);
	/* Out of step with the heartbeats. */
	solo.now += 7000;
	failed_at = solo.now;
	ck_assert_int_eq(sent(0), 0);
	while (solo.snapshots_count == 0) {
		ck_assert_uint_lt(
		    solo.now, failed_at + 2 * SOLO_ELECTION_TIMEOUT);
		solo_timeout(&solo);
		solo_ack(&solo, 2, 6);
		refuse(0, 0);
	}
	/* By the core's own deadline, and not before. */
	ck_assert_uint_eq(solo.now, failed_at + SOLO_ELECTION_TIMEOUT);
}
END_TEST

START_TEST(G4_unexpected_end)
{
	uint64_t digest;

	lead();
	solo_ack(&solo, 3, 6);
	digest = raft_digest(solo.raft);
	ck_assert_int_eq(sent(6), 0);
	ck_assert_int_eq(sent(0), 0);
	ck_assert_int_eq(raft_snapshot_sent(solo.raft, solo.now, 77, 6), 0);
	ck_assert_uint_eq(raft_digest(solo.raft), digest);
}
END_TEST

START_TEST(G4_end_for_a_deposed_leader)
{
	uint64_t digest;

	lead_empty_peer();
	(void)solo_append(&solo, 2, 3, 6, 2, NULL, 0, 0);
	solo_settle(&solo);
	digest = raft_digest(solo.raft);
	ck_assert_int_eq(sent(6), 0);
	ck_assert_uint_eq(raft_digest(solo.raft), digest);
	/* It knows nothing of it when it leads again. */
	solo_lead(&solo);
	ck_assert_int_eq(solo_peer(&solo, 3).state, RAFT_PEER_PROBE);
	ck_assert_uint_eq(solo.snapshots_count, 0);
}
END_TEST

START_TEST(G4_broken_link_changes_nothing)
{
	lead_empty_peer();
	solo_clear(&solo);
	ck_assert_int_eq(raft_peer_unreachable(solo.raft, solo.now, 3), 0);
	solo_settle(&solo);
	ck_assert_int_eq(solo_peer(&solo, 3).state, RAFT_PEER_SNAPSHOT);
	ck_assert_uint_eq(solo.sent_count, 0);
}
END_TEST

START_TEST(G6_left_by_acknowledgement)
{
	lead_empty_peer();
	solo_advance(&solo, SOLO_HEARTBEAT_INTERVAL);
	solo_ack(&solo, 3, 5);
	ck_assert_int_eq(solo_peer(&solo, 3).state, RAFT_PEER_SNAPSHOT);
	solo_ack(&solo, 3, 6);
	ck_assert_int_eq(solo_peer(&solo, 3).state, RAFT_PEER_REPLICATE);
	ck_assert_uint_eq(solo_peer(&solo, 3).next_index, 7);
	/* The driver's report comes too late to mean anything. */
	ck_assert_int_eq(sent(0), 0);
	ck_assert_int_eq(solo_peer(&solo, 3).state, RAFT_PEER_REPLICATE);
}
END_TEST

START_TEST(G7_inactive_peer)
{
	lead_empty_peer();
	ck_assert_int_eq(sent(0), 0);
	solo_clear(&solo);
	for (unsigned i = 0; i < 20; i++) {
		solo_timeout(&solo);
		solo_ack(&solo, 2, 6);
	}
	ck_assert_uint_eq(solo.snapshots_count, 0);
	refuse(0, 0);
	ck_assert_uint_eq(solo.snapshots_count, 1);
}
END_TEST

START_TEST(C15_refusals_while_it_is_sent)
{
	uint64_t heard;

	lead_empty_peer();
	solo_advance(&solo, SOLO_HEARTBEAT_INTERVAL);
	ck_assert_int_eq(raft_read(solo.raft, solo.now, 1), 0);
	solo_settle(&solo);
	heard = solo_peer(&solo, 3).heard_at;
	refuse(3, 1);
	ck_assert_int_eq(solo_peer(&solo, 3).state, RAFT_PEER_SNAPSHOT);
	ck_assert_uint_eq(solo_peer(&solo, 3).next_index, 7);
	/* It is alive, and its echo confirms a round. */
	ck_assert_uint_gt(solo_peer(&solo, 3).heard_at, heard);
	ck_assert_uint_eq(solo.reads_count, 1);
}
END_TEST

START_TEST(G26_one_bad_peer)
{
	lead_empty_peer();
	for (unsigned i = 0; i < 10; i++) {
		raft_index index = solo_propose(&solo, 1);

		solo_settle(&solo);
		solo_ack(&solo, 2, index);
		ck_assert_uint_eq(solo_status(&solo).applied_index, index);
	}
}
END_TEST

START_TEST(G28_trailing_kept)
{
	lead();
	ck_assert_int_eq(solo_compact(&solo, 4), 0);
	solo_clear(&solo);
	/* Who lacks what is left needs no snapshot. */
	refuse(4, 1);
	ck_assert_uint_eq(solo.snapshots_count, 0);
	ck_assert_int_eq(solo_peer(&solo, 3).state, RAFT_PEER_PROBE);
	ck_assert_uint_eq(solo.appended[3].prev_index, 4);
	ck_assert_uint_eq(solo.appended[3].entries_count, 2);
	refuse(3, 1);
	ck_assert_uint_eq(solo.snapshots_count, 1);
	ck_assert_uint_eq(solo.snapshot.at_least, 4);
}
END_TEST

/* What is in flight to a slow peer may be cut: it asks when that is lost. */
START_TEST(G28_cut_under_a_slow_peer)
{
	lead();
	solo_ack(&solo, 3, 6);
	for (unsigned i = 0; i < 3; i++) {
		solo_propose(&solo, 1);
		solo_settle(&solo);
	}
	solo_ack(&solo, 2, 9);
	ck_assert_int_eq(solo_compact(&solo, 8), 0);
	ck_assert_int_eq(solo_peer(&solo, 3).state, RAFT_PEER_REPLICATE);
	solo_ack(&solo, 3, 7);
	ck_assert_int_eq(solo_peer(&solo, 3).state, RAFT_PEER_REPLICATE);
	solo_clear(&solo);
	ck_assert_int_eq(raft_peer_unreachable(solo.raft, solo.now, 3), 0);
	solo_settle(&solo);
	ck_assert_uint_eq(solo.appended[3].prev_index, 8);
	refuse(7, 2);
	ck_assert_uint_eq(solo.snapshots_count, 1);
	ck_assert_uint_eq(solo.alarms_count, 0);
}
END_TEST

START_TEST(G30_compact_floor)
{
	lead();
	solo.hold_apply = true;
	solo_propose(&solo, 1);
	solo_settle(&solo);
	solo_ack(&solo, 2, 7);
	ck_assert_uint_eq(solo_status(&solo).commit_index, 7);
	ck_assert_int_eq(solo_compact(&solo, 7), ERR_INVALID);
	ck_assert_int_eq(solo_compact(&solo, 6), 0);
	ck_assert_int_eq(solo_compact(&solo, 3), 0);
	ck_assert_uint_eq(solo_status(&solo).compacted_index, 6);
}
END_TEST

/* ---- The receiver's side ---- */

/* Entries of these terms, `commit` of them committed by leader 2 in term 5. */
static void
follow(const raft_term *terms, size_t count, raft_index commit)
{
	solo_preset(&solo, 5, 0, terms, count);
	solo_boot(&solo);
	if (commit > 0)
		(void)solo_append(
		    &solo, 2, 5, commit, terms[commit - 1], NULL, 0, commit);
	solo_settle(&solo);
	solo_clear(&solo);
}

static int
install(raft_index index, raft_term term)
{
	return solo_install(&solo, index, term, &solo.disk.members);
}

/* Takes the PERSIST of an install and leaves it open. */
static void
open_install(raft_index index, raft_term term)
{
	ck_assert_int_eq(install(index, term), 0);
	solo_take(&solo);
	ck_assert(solo.persist_open);
	ck_assert_uint_eq(solo.persist.reset_index, index);
	ck_assert_uint_eq(solo.persist.reset_term, term);
}

/* Log and state begin at the snapshot, in memory and on the disk. */
static void
assert_installed(raft_index index, raft_term term)
{
	struct raft_status status = solo_status(&solo);

	ck_assert_uint_eq(status.compacted_index, index);
	ck_assert_uint_eq(status.last_index, index);
	ck_assert_uint_eq(status.durable_index, index);
	ck_assert_uint_eq(status.commit_index, index);
	ck_assert_uint_eq(status.applied_index, index);
	ck_assert_uint_eq(status.uncommitted_bytes, 0);
	ck_assert_uint_eq(solo.disk.compacted_index, index);
	ck_assert_uint_eq(solo.disk.compacted_term, term);
	ck_assert_uint_eq(solo.disk.log.count, 0);
}

static const raft_term five[] = { 1, 1, 2, 2, 2 };

START_TEST(G8_stale_snapshot)
{
	uint64_t digest;

	follow(five, 5, 4);
	digest = raft_digest(solo.raft);
	ck_assert_int_eq(install(3, 2), ERR_EXISTS);
	ck_assert_int_eq(install(4, 2), ERR_EXISTS);
	ck_assert_uint_eq(raft_digest(solo.raft), digest);
	ck_assert_int_eq(solo_compact(&solo, 4), 0);
	digest = raft_digest(solo.raft);
	ck_assert_int_eq(install(2, 1), ERR_EXISTS);
	ck_assert_uint_eq(raft_digest(solo.raft), digest);
}
END_TEST

START_TEST(G9_matching_log)
{
	follow(five, 5, 2);
	ck_assert_int_eq(install(4, 2), ERR_EXISTS);
	ck_assert_uint_eq(solo_status(&solo).commit_index, 4);
	solo_settle(&solo);
	ck_assert_uint_eq(solo.apply_last, 4);
	ck_assert_uint_eq(solo_status(&solo).last_index, 5);
	ck_assert_uint_eq(solo_status(&solo).compacted_index, 0);
	ck_assert_uint_eq(solo.persists_count, 0);
}
END_TEST

/* Committed before this node's own disk has it: applied when it has. */
START_TEST(G9_matching_log_not_durable)
{
	static const raft_term more[] = { 5 };

	follow(five, 5, 5);
	(void)solo_append(&solo, 2, 5, 5, 2, more, 1, 5);
	solo_take(&solo);
	ck_assert_int_eq(install(6, 5), ERR_EXISTS);
	solo_take(&solo);
	ck_assert_uint_eq(solo.apply_last, 0);
	solo_settle(&solo);
	ck_assert_uint_eq(solo.apply_last, 6);
}
END_TEST

START_TEST(G10_conflicting_log)
{
	uint64_t epoch;

	follow(five, 5, 2);
	epoch = raft_log_epoch(solo.raft);
	open_install(4, 3);
	ck_assert_uint_eq(solo.persist.truncate_from, 0);
	ck_assert_uint_eq(solo.persist.first, 0);
	/* Until then the log is the old one. */
	ck_assert_uint_eq(solo_status(&solo).last_index, 5);
	solo_settle(&solo);
	assert_installed(4, 3);
	ck_assert_uint_ne(raft_log_epoch(solo.raft), epoch);
	ck_assert_uint_eq(solo.dropped_count, 1);
	ck_assert_uint_eq(solo.dropped[0].first, 3);
	ck_assert_uint_eq(solo.dropped[0].last, 5);
	ck_assert_uint_eq(solo.dropped[0].term, 2);
	ck_assert_uint_eq(solo.apply_first, 0);
}
END_TEST

START_TEST(G10_beyond_the_log)
{
	static const raft_term more[] = { 5 };

	follow(five, 5, 5);
	ck_assert_int_eq(install(90, 4), 0);
	solo_settle(&solo);
	assert_installed(90, 4);
	/* The leader goes on behind it. */
	(void)solo_append(&solo, 2, 5, 90, 4, more, 1, 91);
	solo_settle(&solo);
	ck_assert_uint_eq(solo.apply_first, 91);
	ck_assert_uint_eq(solo.apply_last, 91);
	ck_assert_uint_eq(
	    solo_sent(&solo, RAFT_APPEND_RESPONSE, 2)->match_index, 91);
}
END_TEST

START_TEST(G10_entries_that_were_not_written)
{
	static const raft_term more[] = { 5, 5 };

	/* Accepted and acknowledged to nobody, when the snapshot comes. */
	follow(five, 5, 5);
	(void)solo_append(&solo, 2, 5, 5, 2, more, 2, 5);
	ck_assert_int_eq(install(20, 5), 0);
	solo_settle(&solo);
	assert_installed(20, 5);
	ck_assert_uint_eq(solo.persists_count, 1);
	ck_assert_uint_eq(solo.dropped_count, 1);
	ck_assert_uint_eq(solo.dropped[0].first, 6);
	ck_assert_uint_eq(solo.dropped[0].last, 7);
	/* The snapshot holds more than was asked to be acknowledged. */
	ck_assert(solo_sent(&solo, RAFT_APPEND_RESPONSE, 2)->success);
	ck_assert_uint_eq(
	    solo_sent(&solo, RAFT_APPEND_RESPONSE, 2)->match_index, 20);
}
END_TEST

START_TEST(G11_members)
{
	struct raft_members members = solo.disk.members;

	members.index = 8;
	members.member[2].role_old = RAFT_MEMBER_LEARNER;
	members.member[2].role_new = RAFT_MEMBER_LEARNER;
	members.member[3] = (struct raft_member){
		.id = 17,
		.role_old = RAFT_MEMBER_NONE,
		.role_new = RAFT_MEMBER_VOTER,
	};
	members.count = 4;
	members.joint = true;
	follow(five, 5, 5);
	ck_assert_int_eq(solo_install(&solo, 9, 4, &members), 0);
	ck_assert_uint_eq(raft_get_members(solo.raft)->count, 3);
	solo_settle(&solo);
	ck_assert(solo.members_changed);
	ck_assert_mem_eq(
	    raft_get_members(solo.raft), &members, sizeof(members));
	/* And after a restart. */
	solo_crash(&solo);
	solo_boot(&solo);
	ck_assert_mem_eq(
	    raft_get_members(solo.raft), &members, sizeof(members));
}
END_TEST

START_TEST(G12_supersedes_uncommitted_members)
{
	struct raft_members pending = solo.disk.members;
	struct raft_entry entry = {
		.term = 3,
		.type = RAFT_ENTRY_MEMBERS,
		.size = 1,
		.members = &pending,
	};
	static const raft_term after[] = { 5, 5 };
	static const raft_term other[] = { 6 };

	pending.count = 2;
	solo_preset(&solo, 5, 0, five, 5);
	solo_log_append(&solo.disk.log, &entry);
	solo.disk.commit_hint = 5;
	solo_boot(&solo);
	ck_assert_uint_eq(raft_get_members(solo.raft)->index, 6);
	ck_assert_int_eq(install(6, 4), 0);
	solo_settle(&solo);
	ck_assert_uint_eq(raft_get_members(solo.raft)->index, 0);
	ck_assert_uint_eq(raft_get_members(solo.raft)->count, 3);
	/* A cut behind it does not bring the old one back. */
	(void)solo_append(&solo, 2, 5, 6, 4, after, 2, 6);
	solo_settle(&solo);
	(void)solo_append(&solo, 3, 6, 6, 4, other, 1, 6);
	solo_settle(&solo);
	ck_assert_uint_eq(raft_get_members(solo.raft)->count, 3);
}
END_TEST

START_TEST(G13_members_behind_the_snapshot)
{
	struct raft_members later = solo.disk.members;
	struct raft_entry entry = {
		.term = 5,
		.type = RAFT_ENTRY_MEMBERS,
		.size = 1,
		.members = &later,
	};

	/* The snapshot lies between two memberships. */
	follow(five, 5, 5);
	ck_assert_int_eq(install(20, 4), 0);
	solo_settle(&solo);
	later.member[2].role_old = RAFT_MEMBER_LEARNER;
	later.member[2].role_new = RAFT_MEMBER_LEARNER;
	solo_crash(&solo);
	solo_log_append(&solo.disk.log, &entry);
	solo_boot(&solo);
	ck_assert_uint_eq(raft_get_members(solo.raft)->index, 21);
	/* Its cut falls back to the snapshot's. */
	(void)solo_append(&solo, 2, 6, 20, 4, (raft_term[]){ 6 }, 1, 20);
	solo_settle(&solo);
	ck_assert_uint_eq(raft_get_members(solo.raft)->index, 0);
	ck_assert_int_eq(
	    raft_get_members(solo.raft)->member[2].role_new, RAFT_MEMBER_VOTER);
}
END_TEST

/* A membership stays known when the cut passes it, and again behind it. */
START_TEST(G14_two_compactions)
{
	struct raft_members later = solo.disk.members;
	const struct raft_entry entry = {
		.term = 2,
		.type = RAFT_ENTRY_MEMBERS,
		.members = &later,
	};

	later.member[2].role_old = RAFT_MEMBER_LEARNER;
	later.member[2].role_new = RAFT_MEMBER_LEARNER;
	solo_preset(&solo, 5, 0, five, 3);
	solo_log_append(&solo.disk.log, &entry);
	solo_preset(&solo, 5, 0, five + 3, 2);
	solo.disk.commit_hint = 6;
	solo_boot(&solo);
	solo_settle(&solo);
	for (raft_index cut = 3; cut <= 6; cut++) {
		ck_assert_int_eq(solo_compact(&solo, cut), 0);
		ck_assert_uint_eq(raft_get_members(solo.raft)->index, 4);
		solo_crash(&solo);
		solo_boot(&solo);
		solo_settle(&solo);
		ck_assert_uint_eq(solo_status(&solo).compacted_index, cut);
		ck_assert_uint_eq(raft_get_members(solo.raft)->index, 4);
		ck_assert_int_eq(solo_role(&solo, 3), RAFT_MEMBER_LEARNER);
		ck_assert(solo_status(&solo).members_committed);
	}
}
END_TEST

START_TEST(G15_append_races_install)
{
	static const raft_term more[] = { 5 };
	const struct raft_message *answer;
	raft_usec deadline;

	follow(five, 5, 5);
	open_install(20, 5);
	deadline = raft_deadline(solo.raft);
	solo.now += 1000;
	(void)solo_append(&solo, 2, 5, 5, 2, more, 1, 6);
	ck_assert_uint_eq(solo.accepted.first, 0);
	solo_take(&solo);
	ck_assert_uint_eq(solo_status(&solo).last_index, 5);
	ck_assert_uint_eq(solo_status(&solo).commit_index, 5);
	/* Refused at once; the leader is heard. */
	answer = solo_sent(&solo, RAFT_APPEND_RESPONSE, 2);
	ck_assert_ptr_nonnull(answer);
	ck_assert(!answer->success);
	ck_assert_uint_eq(answer->hint_index, 5);
	ck_assert_uint_ne(raft_deadline(solo.raft), deadline);
	ck_assert(!solo_ask(&solo, RAFT_PREVOTE_REQUEST, 3, 6, 30, 5));
	assert_installed(20, 5);
	(void)solo_append(&solo, 2, 5, 20, 5, more, 1, 20);
	solo_settle(&solo);
	ck_assert_uint_eq(solo_status(&solo).last_index, 21);
}
END_TEST

START_TEST(G16_install_races_persist)
{
	static const raft_term more[] = { 5 };
	raft_ticket ticket;

	follow(five, 5, 5);
	(void)solo_append(&solo, 2, 5, 5, 2, more, 1, 5);
	solo_take(&solo);
	ticket = solo.persist.ticket;
	ck_assert_int_eq(install(20, 5), ERR_BUSY);
	solo_persisted(&solo);
	ck_assert_int_eq(install(20, 5), 0);
	ck_assert_int_eq(install(21, 5), ERR_BUSY);
	solo_take(&solo);
	ck_assert_int_eq(install(21, 5), ERR_BUSY);
	/* The completion of the older one says nothing about this one. */
	ck_assert_int_eq(raft_persisted(solo.raft, solo.now, ticket), 0);
	ck_assert_uint_eq(solo_status(&solo).last_index, 6);
	solo_settle(&solo);
	assert_installed(20, 5);
	ck_assert_int_eq(raft_persisted(solo.raft, solo.now, ticket), 0);
	assert_installed(20, 5);
}
END_TEST

START_TEST(G16_install_races_apply)
{
	follow(five, 5, 2);
	solo.hold_apply = true;
	(void)solo_append(&solo, 2, 5, 5, 2, NULL, 0, 4);
	solo_settle(&solo);
	ck_assert_uint_eq(solo.apply_last, 4);
	ck_assert_int_eq(install(20, 5), ERR_BUSY);
	ck_assert_int_eq(raft_applied(solo.raft, solo.now, 4), 0);
	ck_assert_int_eq(install(20, 5), 0);
}
END_TEST

START_TEST(G16_nothing_is_applied)
{
	follow(five, 5, 2);
	(void)solo_append(&solo, 2, 5, 5, 2, NULL, 0, 4);
	ck_assert_int_eq(install(20, 5), 0);
	solo_settle(&solo);
	ck_assert_uint_eq(solo.apply_first, 0);
	assert_installed(20, 5);
	/* Committed, and never applied here one by one. */
	ck_assert_uint_eq(solo.dropped[0].first, 3);
}
END_TEST

START_TEST(G17_new_term_while_it_is_installed)
{
	static const raft_term more[] = { 7 };

	follow(five, 5, 5);
	open_install(20, 5);
	(void)solo_append(&solo, 3, 7, 20, 5, more, 1, 21);
	solo_settle(&solo);
	assert_installed(20, 5);
	ck_assert_uint_eq(solo_status(&solo).term, 7);
	ck_assert(!solo_sent(&solo, RAFT_APPEND_RESPONSE, 3)->success);
	(void)solo_append(&solo, 3, 7, 20, 5, more, 1, 21);
	solo_settle(&solo);
	ck_assert_uint_eq(solo_status(&solo).applied_index, 21);
}
END_TEST

START_TEST(G18_crash_while_it_is_installed)
{
	follow(five, 5, 4);
	open_install(20, 5);
	if (_i == 1)
		solo_persisted(&solo);
	solo_crash(&solo);
	solo_boot(&solo);
	if (_i == 1) {
		assert_installed(20, 5);
		return;
	}
	ck_assert_uint_eq(solo_status(&solo).last_index, 5);
	ck_assert_uint_eq(solo_status(&solo).compacted_index, 0);
	ck_assert_int_eq(install(20, 5), 0);
}
END_TEST

START_TEST(G25_snapshot_without_this_node)
{
	struct raft_members members = {
		.index = 1,
		.count = 1,
		.member = { { .id = 2,
		    .role_old = RAFT_MEMBER_VOTER,
		    .role_new = RAFT_MEMBER_VOTER } },
	};

	/* It is about to be made a member by what comes behind. */
	solo_boot(&solo);
	ck_assert_int_eq(solo_install(&solo, 9, 1, &members), 0);
	solo_settle(&solo);
	assert_installed(9, 1);
	ck_assert_uint_eq(raft_deadline(solo.raft), RAFT_NEVER);
	(void)solo_append(&solo, 2, 1, 9, 1, (raft_term[]){ 1 }, 1, 10);
	solo_settle(&solo);
	ck_assert_uint_eq(solo_status(&solo).applied_index, 10);
}
END_TEST

START_TEST(G32_of_a_candidate)
{
	follow(five, 5, 5);
	solo.now += 2 * SOLO_ELECTION_TIMEOUT;
	solo_stand(&solo);
	solo_persisted(&solo);
	ck_assert_int_eq(install(20, 6), 0);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_FOLLOWER);
	/* Its vote in this term is given. */
	ck_assert_uint_eq(solo_status(&solo).vote, 1);
	solo_settle(&solo);
	assert_installed(20, 6);
}
END_TEST

START_TEST(G32_of_a_deposed_leader)
{
	lead();
	ck_assert_int_eq(raft_read(solo.raft, solo.now, 1), 0);
	solo_propose(&solo, 1);
	/* It would hold what is committed: another one has come since. */
	ck_assert_int_eq(install(20, 4), 0);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_FOLLOWER);
	ck_assert_uint_eq(solo_status(&solo).term, 4);
	solo_settle(&solo);
	assert_installed(20, 4);
	ck_assert_uint_eq(solo.dropped_count, 1);
	ck_assert_uint_eq(solo.dropped[0].first, 7);
	ck_assert_int_eq(solo.reads[0].status, ERR_NOT_LEADER);
}
END_TEST

START_TEST(G32_term_comes_with_it)
{
	follow(five, 5, 5);
	open_install(20, 9);
	ck_assert_uint_eq(solo_status(&solo).term, 9);
	ck_assert_uint_eq(solo_status(&solo).leader, 0);
	ck_assert_uint_eq(solo.persist.term, 9);
	ck_assert_uint_eq(solo.persist.vote, 0);
	solo_settle(&solo);
	assert_installed(20, 9);
	solo_crash(&solo);
	solo_boot(&solo);
	assert_installed(20, 9);
}
END_TEST

START_TEST(A32_no_campaign_while_it_is_installed)
{
	follow(five, 5, 5);
	open_install(20, 5);
	for (unsigned i = 0; i < 5; i++) {
		solo_timeout(&solo);
		ck_assert_int_eq(solo_status(&solo).role, RAFT_FOLLOWER);
	}
	ck_assert_uint_eq(solo.sent_count, 0);
	solo_settle(&solo);
	solo_timeout(&solo);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_PRECANDIDATE);
}
END_TEST

/* Who votes by its old log votes as it would without a snapshot. */
START_TEST(A15_votes_while_it_is_installed)
{
	follow(five, 5, 5);
	solo.now += 2 * SOLO_ELECTION_TIMEOUT;
	open_install(20, 5);
	ck_assert(!solo_ask(&solo, RAFT_VOTE_REQUEST, 3, 6, 4, 2));
	assert_installed(20, 5);
	/* And now by the snapshot. */
	ck_assert(!solo_ask(&solo, RAFT_VOTE_REQUEST, 3, 7, 19, 5));
	ck_assert(solo_ask(&solo, RAFT_VOTE_REQUEST, 3, 8, 20, 5));
}
END_TEST

START_TEST(G34_empty_state)
{
	solo_boot(&solo);
	ck_assert_int_eq(install(0, 0), ERR_INVALID);
	ck_assert_int_eq(install(1, 1), 0);
	solo_settle(&solo);
	assert_installed(1, 1);
}
END_TEST

/* By their numbers: 9 before 10, a term before an index. */
START_TEST(G31_order_by_index)
{
	follow(five, 5, 5);
	ck_assert_int_eq(install(9, 4), 0);
	solo_settle(&solo);
	assert_installed(9, 4);
	ck_assert_int_eq(install(10, 4), 0);
	solo_settle(&solo);
	assert_installed(10, 4);
	ck_assert_int_eq(install(9, 4), ERR_EXISTS);
	/* Of an earlier term than what is committed, and later: cannot be. */
	ck_assert_int_eq(install(11, 3), ERR_INVALID);
	assert_installed(10, 4);
}
END_TEST

START_TEST(impossible_snapshots)
{
	struct raft_members members = solo.disk.members;
	uint64_t digest;

	follow(five, 5, 4);
	(void)solo_append(&solo, 2, 5, 5, 2, NULL, 0, 4);
	digest = raft_digest(solo.raft);
	ck_assert_int_eq(install(20, 0), ERR_INVALID);
	ck_assert_int_eq(install(UINT64_MAX, 5), ERR_INVALID);
	ck_assert_int_eq(install(20, UINT64_MAX), ERR_INVALID);
	/* Another history than what is committed, */
	ck_assert_int_eq(install(3, 1), ERR_INVALID);
	ck_assert_int_eq(install(20, 1), ERR_INVALID);
	/* or than the leader's log. */
	ck_assert_int_eq(install(5, 3), ERR_INVALID);
	members.index = 21;
	ck_assert_int_eq(solo_install(&solo, 20, 5, &members), ERR_INVALID);
	members.index = 0;
	members.count = 0;
	ck_assert_int_eq(solo_install(&solo, 20, 5, &members), ERR_INVALID);
	ck_assert_uint_eq(raft_digest(solo.raft), digest);
}
END_TEST

/* ---- Both ---- */

/*
 * All but `behind` go on and cut their logs; it comes back. Returns the term
 * that they had until then.
 */
static raft_term
leave_behind(raft_id behind, bool writes)
{
	raft_term term;

	cluster_boot_all(&cluster);
	(void)cluster_elect(&cluster, SECOND);
	cluster_converge(&cluster, SECOND);
	cluster_crash(&cluster, behind);
	cluster_run(&cluster, SECOND);
	for (unsigned i = 0; i < 20; i++)
		ck_assert_int_eq(
		    cluster_propose(&cluster, cluster_leader(&cluster), 1), 0);
	cluster_converge(&cluster, SECOND);
	for (raft_id id = 1; id <= 3; id++) {
		struct solo *node = &cluster.nodes[id].solo;

		if (id != behind)
			ck_assert_int_eq(
			    solo_compact(node, solo_status(node).applied_index),
			    0);
	}
	term = cluster_status(&cluster, cluster_leader(&cluster)).term;
	cluster_boot(&cluster, behind);
	if (writes)
		ck_assert_int_eq(
		    cluster_propose(&cluster, cluster_leader(&cluster), 1), 0);
	cluster_converge(&cluster, 5 * SECOND);
	ck_assert_uint_eq(cluster.snapshots_installed, 1);
	return term;
}

START_TEST(G27_cut_to_the_tip)
{
	(void)leave_behind(1, _i == 1);
}
END_TEST

/* Putting it in place takes longer than any timeout: it is waited for. */
START_TEST(G21_install_longer_than_the_timeout)
{
	raft_term term;

	cluster.nodes[2].disk_latency = 2 * SOLO_ELECTION_TIMEOUT;
	/* Once, as leave_behind asserts. */
	term = leave_behind(2, true);
	ck_assert_uint_eq(
	    cluster_status(&cluster, cluster_leader(&cluster)).term, term);
}
END_TEST

START_TEST(G23_slow_snapshot_no_election)
{
	raft_term term;

	cluster.snapshot_latency = 20 * SOLO_ELECTION_TIMEOUT;
	term = leave_behind(2, true);
	ck_assert_uint_eq(
	    cluster_status(&cluster, cluster_leader(&cluster)).term, term);
}
END_TEST

Suite *
raft_snapshot_suite(void)
{
	Suite *suite = suite_create("raft_snapshot");
	TCase *leader = tcase_create("leader");
	TCase *receiver = tcase_create("receiver");
	TCase *both = tcase_create("both");

	tcase_add_checked_fixture(leader, set_up, tear_down);
	tcase_add_test(leader, G1_need_snapshot);
	tcase_add_test(leader, G2_sent);
	tcase_add_test(leader, G2_sent_before_the_log_was_cut_again);
	tcase_add_test(leader, G3_failed);
	tcase_add_test(leader, G4_unexpected_end);
	tcase_add_test(leader, G4_end_for_a_deposed_leader);
	tcase_add_test(leader, G4_broken_link_changes_nothing);
	tcase_add_test(leader, G6_left_by_acknowledgement);
	tcase_add_test(leader, G7_inactive_peer);
	tcase_add_test(leader, C15_refusals_while_it_is_sent);
	tcase_add_test(leader, G26_one_bad_peer);
	tcase_add_test(leader, G28_trailing_kept);
	tcase_add_test(leader, G28_cut_under_a_slow_peer);
	tcase_add_test(leader, G30_compact_floor);
	suite_add_tcase(suite, leader);
	tcase_add_checked_fixture(receiver, set_up, tear_down);
	tcase_add_test(receiver, G8_stale_snapshot);
	tcase_add_test(receiver, G9_matching_log);
	tcase_add_test(receiver, G9_matching_log_not_durable);
	tcase_add_test(receiver, G10_conflicting_log);
	tcase_add_test(receiver, G10_beyond_the_log);
	tcase_add_test(receiver, G10_entries_that_were_not_written);
	tcase_add_test(receiver, G11_members);
	tcase_add_test(receiver, G12_supersedes_uncommitted_members);
	tcase_add_test(receiver, G13_members_behind_the_snapshot);
	tcase_add_test(receiver, G14_two_compactions);
	tcase_add_test(receiver, G15_append_races_install);
	tcase_add_test(receiver, G16_install_races_persist);
	tcase_add_test(receiver, G16_install_races_apply);
	tcase_add_test(receiver, G16_nothing_is_applied);
	tcase_add_test(receiver, G17_new_term_while_it_is_installed);
	tcase_add_loop_test(receiver, G18_crash_while_it_is_installed, 0, 2);
	tcase_add_test(receiver, G25_snapshot_without_this_node);
	tcase_add_test(receiver, G32_of_a_candidate);
	tcase_add_test(receiver, G32_of_a_deposed_leader);
	tcase_add_test(receiver, G32_term_comes_with_it);
	tcase_add_test(receiver, A32_no_campaign_while_it_is_installed);
	tcase_add_test(receiver, A15_votes_while_it_is_installed);
	tcase_add_test(receiver, G34_empty_state);
	tcase_add_test(receiver, G31_order_by_index);
	tcase_add_test(receiver, impossible_snapshots);
	suite_add_tcase(suite, receiver);
	tcase_add_checked_fixture(both, set_up, tear_down);
	tcase_add_loop_test(both, G27_cut_to_the_tip, 0, 2);
	tcase_add_test(both, G23_slow_snapshot_no_election);
	tcase_add_test(both, G21_install_longer_than_the_timeout);
	suite_add_tcase(suite, both);
	return suite;
}
