/* Replication and conflicts: group C of the scenarios. */

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

/* A booted core with entries of these terms, the newest one its term. */
static void
boot_with(const raft_term *terms, size_t count)
{
	solo_preset(&solo, count == 0 ? 0 : terms[count - 1], 0, terms, count);
	solo_boot(&solo);
}

static const struct raft_message *
answer_to(raft_id leader)
{
	const struct raft_message *answer;

	solo_settle(&solo);
	answer = solo_sent(&solo, RAFT_APPEND_RESPONSE, leader);
	ck_assert_ptr_nonnull(answer);
	return answer;
}

START_TEST(C1_prev_match_table)
{
	static const raft_term terms[] = { 1, 1, 2, 2, 2, 4 };
	static const struct {
		raft_index prev_index;
		raft_term prev_term;
		bool success;
		raft_index hint_index;
		raft_term hint_term;
	} rows[] = {
		{ 0, 0, true, 0, 0 },  /* the very beginning */
		{ 6, 4, true, 0, 0 },  /* the very end */
		{ 3, 2, true, 0, 0 },  /* the middle */
		{ 9, 4, false, 6, 4 }, /* beyond: a gap */
		{ 9, 1, false, 2, 1 }, /* beyond, and what is there is newer */
		{ 6, 3, false, 5, 2 }, /* own term higher: its run is skipped */
		{ 5, 3, false, 5, 2 }, /* own term lower: it may agree here */
		{ 5, 1, false, 2, 1 },
	};

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		const struct raft_message *answer;

		solo_init(&solo, 1, 3);
		boot_with(terms, ARRAY_COUNT(terms));
		(void)solo_append(&solo, 2, 5, rows[i].prev_index,
		    rows[i].prev_term, NULL, 0, 0);
		answer = answer_to(2);
		ck_assert_msg(answer->success == rows[i].success, "row %zu", i);
		ck_assert_uint_eq(answer->hint_index, rows[i].hint_index);
		ck_assert_uint_eq(answer->hint_term, rows[i].hint_term);
		if (rows[i].success)
			ck_assert_uint_eq(
			    answer->match_index, rows[i].prev_index);
		else
			ck_assert_uint_eq(
			    answer->rejected_index, rows[i].prev_index);
		ck_assert_uint_eq(solo_status(&solo).last_index, 6);
		solo_release(&solo);
	}
	solo_init(&solo, 1, 3);
}
END_TEST

START_TEST(C2_duplicate)
{
	static const raft_term terms[] = { 1, 1 };

	solo_boot(&solo);
	(void)solo_append(&solo, 2, 1, 0, 0, terms, 2, 0);
	ck_assert_uint_eq(answer_to(2)->match_index, 2);
	solo_clear(&solo);
	(void)solo_append(&solo, 2, 1, 0, 0, terms, 2, 0);
	ck_assert_uint_eq(solo.accepted.count, 0);
	ck_assert_uint_eq(answer_to(2)->match_index, 2);
	ck_assert_uint_eq(solo.persists_count, 0);
	ck_assert_uint_eq(raft_log_epoch(solo.raft), 0);
}
END_TEST

START_TEST(C3_duplicate_while_open)
{
	static const raft_term terms[] = { 1, 1 };

	solo_boot(&solo);
	(void)solo_append(&solo, 2, 1, 0, 0, terms, 2, 0);
	solo_take(&solo);
	(void)solo_append(&solo, 2, 1, 0, 0, terms, 2, 0);
	solo_take(&solo);
	ck_assert_uint_eq(solo_sent_count(&solo, RAFT_APPEND_RESPONSE), 0);
	ck_assert_uint_eq(answer_to(2)->match_index, 2);
	ck_assert_uint_eq(solo.persists_count, 1);
}
END_TEST

START_TEST(C4_overlap)
{
	static const raft_term terms[] = { 1, 1, 1, 1 };

	boot_with(terms, 2);
	(void)solo_append(&solo, 2, 1, 0, 0, terms, 4, 0);
	ck_assert_uint_eq(solo.accepted.first, 3);
	ck_assert_uint_eq(solo.accepted.offset, 2);
	ck_assert_uint_eq(solo.accepted.count, 2);
	ck_assert_uint_eq(answer_to(2)->match_index, 4);
	ck_assert_uint_eq(solo.persist.first, 3);
	ck_assert_uint_eq(solo.persist.last, 4);
	ck_assert_uint_eq(solo.persist.truncate_from, 0);
}
END_TEST

START_TEST(C5_shorter_old)
{
	static const raft_term terms[] = { 1, 1, 1 };

	solo_boot(&solo);
	(void)solo_append(&solo, 2, 1, 0, 0, terms, 3, 0);
	solo_settle(&solo);
	(void)solo_append(&solo, 2, 1, 0, 0, terms, 1, 0);
	ck_assert_uint_eq(solo_status(&solo).last_index, 3);
	ck_assert_uint_eq(answer_to(2)->match_index, 3);
	ck_assert_uint_eq(solo.dropped_count, 0);
}
END_TEST

START_TEST(C6_truncate_on_conflict)
{
	static const raft_term own[] = { 1, 2, 2, 3 };
	static const raft_term newer[] = { 4 };

	boot_with(own, 4);
	(void)solo_append(&solo, 2, 4, 1, 1, newer, 1, 0);
	ck_assert_uint_eq(solo.accepted.first, 2);
	ck_assert_uint_eq(answer_to(2)->match_index, 2);
	ck_assert_uint_eq(solo_status(&solo).last_index, 2);
	ck_assert_uint_eq(solo_term(&solo, 2), 4);
	ck_assert_uint_eq(solo.persist.truncate_from, 2);
	ck_assert_uint_eq(solo.persist.first, 2);
	/* K4: exactly once for each, by the term that it had. */
	ck_assert_uint_eq(solo.dropped_count, 2);
	ck_assert_uint_eq(solo.dropped[0].first, 2);
	ck_assert_uint_eq(solo.dropped[0].last, 3);
	ck_assert_uint_eq(solo.dropped[0].term, 2);
	ck_assert_uint_eq(solo.dropped[1].first, 4);
	ck_assert_uint_eq(solo.dropped[1].last, 4);
	ck_assert_uint_eq(solo.dropped[1].term, 3);
}
END_TEST

START_TEST(C7_conflict_below_commit)
{
	static const raft_term own[] = { 1, 1, 1 };
	static const raft_term other[] = { 2 };
	int result;

	solo.disk.commit_hint = 2;
	boot_with(own, 3);
	if (_i == 0)
		result = solo_append(&solo, 2, 2, 1, 1, other, 1, 0);
	else
		result = solo_append(&solo, 2, 2, 2, 2, NULL, 0, 0);
	ck_assert_int_eq(result, ERR_STOPPED);
	solo_settle(&solo);
	ck_assert_uint_eq(solo.fatals_count, 1);
	ck_assert_uint_eq(solo.fatal.index, 2);
	ck_assert_uint_eq(solo.persists_count, 0);
	ck_assert_uint_eq(solo.sent_count, 0);
}
END_TEST

START_TEST(C8_heartbeat_stale_suffix)
{
	static const raft_term own[] = { 1, 1, 2, 2 };

	boot_with(own, 4);
	(void)solo_append(&solo, 2, 3, 2, 1, NULL, 0, 4);
	ck_assert_uint_eq(answer_to(2)->match_index, 2);
	ck_assert_uint_eq(solo_status(&solo).last_index, 4);
	ck_assert_uint_eq(solo_status(&solo).commit_index, 2);
}
END_TEST

/* Probes that a leader with `theirs` needs to agree with `own`. */
static unsigned
probes(const raft_term *theirs, size_t theirs_count, const raft_term *own,
    size_t own_count, raft_index *ret_agree)
{
	struct solo leader;
	unsigned count = 0;
	const struct raft_message *answer;

	solo_init(&leader, 2, 3);
	solo_preset(&leader, 100, 0, theirs, theirs_count);
	solo_boot(&leader);
	solo_lead(&leader);
	solo_init(&solo, 1, 3);
	solo_preset(&solo, 100, 0, own, own_count);
	solo_boot(&solo);
	do {
		struct raft_message request = leader.appended[1];

		request.entries_count = 0;
		request.entries = NULL;
		solo_deliver(&solo, &request);
		answer = solo_sent(&solo, RAFT_APPEND_RESPONSE, 2);
		ck_assert_ptr_nonnull(answer);
		*ret_agree = request.prev_index;
		count++;
		solo_deliver(&leader, answer);
	} while (!answer->success);
	solo_release(&leader);
	solo_release(&solo);
	return count;
}

START_TEST(C9_fast_backtrack_table)
{
	static const struct {
		raft_term theirs[12];
		raft_term own[12];
		raft_index agree;
		unsigned probes_max;
	} rows[] = {
		{ { 1, 3, 3, 3, 5, 5, 5, 5, 5 }, { 1, 1, 1, 1, 2, 2 }, 1, 2 },
		{ { 1, 3, 3, 3, 5, 5, 5, 5, 5 }, { 1, 3, 3, 3, 3, 3, 3, 7 }, 4,
		    2 },
		{ { 1, 1, 1, 3, 3, 3, 6 }, { 1, 1, 1, 2, 2, 4, 4, 4 }, 3, 3 },
		{ { 1, 1, 1, 1, 1, 4 }, { 1, 1, 2, 2 }, 2, 3 },
		{ { 1, 3, 4 }, { 1, 2, 2, 2, 2 }, 1, 2 },
		{ { 2, 2, 2 }, { 0 }, 0, 2 },
		{ { 2, 5, 5 }, { 4, 4, 4, 4 }, 0, 3 },
		{ { 1, 2, 4, 6, 8 }, { 1, 3, 5, 7, 9 }, 1, 5 },
	};

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		raft_index agree = 0;
		size_t theirs = 0;
		size_t own = 0;
		unsigned count;

		while (theirs < 12 && rows[i].theirs[theirs] != 0)
			theirs++;
		while (own < 12 && rows[i].own[own] != 0)
			own++;
		count =
		    probes(rows[i].theirs, theirs, rows[i].own, own, &agree);
		ck_assert_msg(
		    agree == rows[i].agree, "row %zu: %d", i, (int)agree);
		ck_assert_msg(
		    count <= rows[i].probes_max, "row %zu: %u", i, count);
	}
	solo_init(&solo, 1, 3);
}
END_TEST

/* Presets the disks of a cluster, then lets it come to rest. */
static void
preset(struct cluster *cluster, raft_id id, raft_term term,
    const raft_term *terms, size_t count)
{
	solo_preset(&cluster->nodes[id].solo, term, 0, terms, count);
}

START_TEST(C10_figure_7)
{
	static const raft_term leader[] = { 1, 1, 1, 4, 4, 5, 5, 6, 6, 6 };
	static const raft_term a[] = { 1, 1, 1, 4, 4, 5, 5, 6, 6 };
	static const raft_term b[] = { 1, 1, 1, 4 };
	static const raft_term c[] = { 1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6 };
	static const raft_term d[] = { 1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7 };
	static const raft_term e[] = { 1, 1, 1, 4, 4, 4, 4 };
	static const raft_term f[] = { 1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3 };
	struct cluster cluster;

	cluster_init(&cluster, 7, 7);
	preset(&cluster, 1, 7, leader, ARRAY_COUNT(leader));
	preset(&cluster, 2, 7, a, ARRAY_COUNT(a));
	preset(&cluster, 3, 7, b, ARRAY_COUNT(b));
	preset(&cluster, 4, 7, c, ARRAY_COUNT(c));
	preset(&cluster, 5, 7, d, ARRAY_COUNT(d));
	preset(&cluster, 6, 7, e, ARRAY_COUNT(e));
	preset(&cluster, 7, 7, f, ARRAY_COUNT(f));
	/* c and d, which would win, come when the leader of the figure
	 * leads: it has the votes of a, b, e and f. */
	for (raft_id id = 1; id <= 7; id++) {
		if (id != 4 && id != 5)
			cluster_boot(&cluster, id);
	}
	ck_assert_uint_eq(cluster_elect(&cluster, 5 * SECOND), 1);
	cluster_boot(&cluster, 4);
	cluster_boot(&cluster, 5);
	cluster_converge(&cluster, SECOND);
	for (raft_id id = 1; id <= 7; id++) {
		const struct solo *node = &cluster.nodes[id].solo;

		ck_assert_uint_eq(solo_status(node).last_index, 11);
		for (raft_index i = 1; i <= 10; i++)
			ck_assert_uint_eq(solo_term(node, i), leader[i - 1]);
		ck_assert_uint_gt(solo_term(node, 11), 7);
	}
	cluster_release(&cluster);
}
END_TEST

START_TEST(C11_long_divergence)
{
	static raft_term theirs[10000];
	static raft_term own[10000];
	raft_index agree = 0;

	/* 50 terms each, one follows the other: only entry 1 is the same. */
	for (size_t i = 0; i < 10000; i++) {
		theirs[i] = i == 0 ? 1 : 2 + i / 400 * 2;
		own[i] = i == 0 ? 1 : 3 + i / 400 * 2;
	}
	ck_assert_uint_le(probes(theirs, 10000, own, 10000, &agree), 51);
	ck_assert_uint_eq(agree, 1);
	solo_init(&solo, 1, 3);
}
END_TEST

/* Answers for `peer` with a refusal of the newest append to it. */
static void
refuse(raft_id peer, raft_index hint_index, raft_term hint_term)
{
	struct raft_message answer =
	    solo_answer(&solo, &solo.appended[peer], RAFT_APPEND_RESPONSE);

	answer.rejected_index = solo.appended[peer].prev_index;
	answer.hint_index = hint_index;
	answer.hint_term = hint_term;
	ck_assert_int_eq(solo_deliver(&solo, &answer), 0);
}

START_TEST(C12_reject_hint_not_match)
{
	static const raft_term terms[] = { 1, 1, 1, 1 };

	boot_with(terms, 4);
	solo_lead(&solo);
	refuse(2, 2, 1);
	ck_assert_uint_eq(solo_peer(&solo, 2).match_index, 0);
	ck_assert_uint_eq(solo_peer(&solo, 2).next_index, 3);
	ck_assert_int_eq(solo_peer(&solo, 2).state, RAFT_PEER_PROBE);
	ck_assert_uint_eq(solo.appended[2].prev_index, 2);
	solo_ack(&solo, 3, 5);
	ck_assert_uint_eq(solo_status(&solo).commit_index, 5);
	ck_assert_uint_eq(solo_status(&solo).everywhere_index, 0);
}
END_TEST

START_TEST(C13_stale_reject_replicate)
{
	struct raft_message old;
	struct raft_peer_status before;

	solo_boot(&solo);
	solo_lead(&solo);
	old = solo_answer(&solo, &solo.appended[2], RAFT_APPEND_RESPONSE);
	solo_ack(&solo, 2, 1);
	solo_propose(&solo, 1);
	solo_settle(&solo);
	solo_ack(&solo, 2, 2);
	solo_propose(&solo, 1);
	solo_settle(&solo);
	before = solo_peer(&solo, 2);
	old.rejected_index = 1; /* below match */
	solo_deliver(&solo, &old);
	old.rejected_index = 2; /* not of an append in flight */
	solo_deliver(&solo, &old);
	ck_assert_int_eq(solo_peer(&solo, 2).state, RAFT_PEER_REPLICATE);
	ck_assert_uint_eq(solo_peer(&solo, 2).next_index, before.next_index);
	ck_assert_uint_eq(solo_peer(&solo, 2).inflight_appends, 1);
}
END_TEST

START_TEST(C14_stale_reject_probe)
{
	static const raft_term terms[] = { 1, 1, 1, 1, 1, 1 };
	struct raft_message old;

	boot_with(terms, 6);
	solo_lead(&solo);
	old = solo_answer(&solo, &solo.appended[2], RAFT_APPEND_RESPONSE);
	old.rejected_index = 6;
	old.hint_index = 4;
	old.hint_term = 1;
	solo_deliver(&solo, &old);
	ck_assert_uint_eq(solo_peer(&solo, 2).next_index, 5);
	old.hint_index = 1; /* the same again, duplicated and worse */
	solo_deliver(&solo, &old);
	ck_assert_uint_eq(solo_peer(&solo, 2).next_index, 5);
	/* One of the right request that names another place. */
	old = solo_answer(&solo, &solo.appended[2], RAFT_APPEND_RESPONSE);
	old.rejected_index = 3;
	solo_deliver(&solo, &old);
	ck_assert_uint_eq(solo_peer(&solo, 2).next_index, 5);
}
END_TEST

START_TEST(C16_ack_reorder)
{
	solo_boot(&solo);
	solo_lead(&solo);
	solo_ack(&solo, 2, 1);
	for (unsigned i = 0; i < 4; i++) {
		solo_propose(&solo, 1);
		solo_settle(&solo);
	}
	solo_ack(&solo, 2, 5);
	solo_ack(&solo, 2, 3);
	ck_assert_uint_eq(solo_peer(&solo, 2).match_index, 5);
	ck_assert_uint_eq(solo_peer(&solo, 2).next_index, 6);
	ck_assert_uint_eq(solo_peer(&solo, 2).inflight_appends, 0);
}
END_TEST

START_TEST(C17_ack_from_future)
{
	struct raft_message answer;

	solo_boot(&solo);
	solo_lead(&solo);
	ck_assert_int_eq(solo_ack(&solo, 2, 2), ERR_INVALID);
	ck_assert_uint_eq(solo_peer(&solo, 2).match_index, 0);
	ck_assert_uint_eq(solo_status(&solo).commit_index, 0);
	answer = solo_answer(&solo, &solo.appended[2], RAFT_APPEND_RESPONSE);
	answer.success = true;
	answer.round = 99;
	ck_assert_int_eq(solo_deliver(&solo, &answer), ERR_INVALID);
	answer.round = 0;
	answer.sent_at = solo.now + 1;
	ck_assert_int_eq(solo_deliver(&solo, &answer), ERR_INVALID);
	answer.sent_at = solo.now;
	answer.sequence = 999;
	ck_assert_int_eq(solo_deliver(&solo, &answer), ERR_INVALID);
}
END_TEST

START_TEST(C18_ack_old_term)
{
	struct raft_message answer;

	solo_boot(&solo);
	solo_lead(&solo);
	answer = solo_answer(&solo, &solo.appended[2], RAFT_APPEND_RESPONSE);
	answer.success = true;
	answer.match_index = 1;
	answer.term = 0;
	ck_assert_int_eq(solo_deliver(&solo, &answer), 0);
	ck_assert_uint_eq(solo_peer(&solo, 2).match_index, 0);
	ck_assert_uint_eq(solo_peer(&solo, 2).heard_at, 0);
}
END_TEST

START_TEST(C20_unknown_sender)
{
	static const raft_term terms[] = { 1 };
	struct raft_message answer;

	/* An append from outside the (maybe old) membership is judged. */
	solo_boot(&solo);
	(void)solo_append(&solo, 8, 1, 0, 0, terms, 1, 1);
	ck_assert(answer_to(8)->success);
	ck_assert_uint_eq(solo_status(&solo).leader, 8);
	/* Its acknowledgement counts nowhere. */
	solo.now += SOLO_ELECTION_TIMEOUT;
	solo_lead(&solo);
	answer = solo_answer(&solo, &solo.appended[2], RAFT_APPEND_RESPONSE);
	answer.from = 8;
	answer.success = true;
	answer.match_index = 2;
	ck_assert_int_eq(solo_deliver(&solo, &answer), 0);
	ck_assert_uint_eq(solo_status(&solo).commit_index, 1);
	answer.term = 99;
	ck_assert_int_eq(solo_deliver(&solo, &answer), 0);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_LEADER);
}
END_TEST

START_TEST(C22_prev_in_compacted)
{
	static const raft_term terms[] = { 2, 2, 2, 2 };

	solo.disk.compacted_index = 10;
	solo.disk.compacted_term = 1;
	solo.disk.applied_index = 10;
	solo_preset(&solo, 2, 0, terms, 1); /* 11 */
	solo_boot(&solo);
	/* 9, 10, 11, 12: two are cut, one is here, one is new. */
	(void)solo_append(
	    &solo, 2, 2, 8, 1, (const raft_term[]){ 1, 1, 2, 2 }, 4, 0);
	ck_assert_uint_eq(solo.accepted.first, 12);
	ck_assert_uint_eq(solo.accepted.offset, 3);
	ck_assert_uint_eq(answer_to(2)->match_index, 12);
}
END_TEST

START_TEST(C23_prev_compacted_no_conflict)
{
	solo.disk.term = 2;
	solo.disk.compacted_index = 10;
	solo.disk.compacted_term = 2;
	solo.disk.applied_index = 10;
	solo_boot(&solo);
	(void)solo_append(&solo, 2, 2, 3, 1, (const raft_term[]){ 1, 1 }, 2, 0);
	ck_assert_uint_eq(solo.accepted.count, 0);
	ck_assert(answer_to(2)->success);
	ck_assert_uint_eq(answer_to(2)->match_index, 10);
	ck_assert_uint_eq(solo_status(&solo).last_index, 10);
}
END_TEST

START_TEST(C24_epoch_guard)
{
	static const raft_term newer[] = { 3 };
	uint64_t epoch;

	solo_boot(&solo);
	solo_lead(&solo);
	solo_ack(&solo, 2, 1);
	solo_propose(&solo, 1);
	solo_settle(&solo);
	epoch = solo.appended[2].log_epoch;
	ck_assert_uint_eq(epoch, raft_log_epoch(solo.raft));
	(void)solo_append(&solo, 3, 3, 1, 1, newer, 1, 0);
	ck_assert_uint_ne(epoch, raft_log_epoch(solo.raft));
}
END_TEST

START_TEST(C26_old_leader_overwrite)
{
	struct cluster cluster;
	raft_id old;

	cluster_init(&cluster, 3, 26);
	cluster_boot_all(&cluster);
	(void)cluster_elect(&cluster, SECOND);
	cluster_converge(&cluster, SECOND);
	old = cluster_leader(&cluster);
	cluster_isolate(&cluster, old);
	ck_assert_int_eq(cluster_propose(&cluster, old, 5), 0);
	ck_assert_int_eq(cluster_propose(&cluster, old, 6), 0);
	cluster_run(&cluster, SECOND);
	ck_assert_int_eq(
	    cluster_propose(&cluster, cluster_leader(&cluster), 7), 0);
	cluster_run(&cluster, SOLO_ELECTION_TIMEOUT);
	cluster.tracing = true;
	cluster_heal(&cluster);
	cluster_converge(&cluster, SECOND);
	buf_append(&cluster.trace, "", 1);
	ck_assert_ptr_nonnull(
	    strstr((const char *)cluster.trace.data, "drops 2..3 of term 1"));
	cluster_release(&cluster);
}
END_TEST

START_TEST(C27_empty_append_advances_commit)
{
	static const raft_term terms[] = { 1, 1 };

	solo_boot(&solo);
	(void)solo_append(&solo, 2, 1, 0, 0, terms, 2, 0);
	solo_settle(&solo);
	ck_assert_uint_eq(solo.apply_last, 0);
	(void)solo_append(&solo, 2, 1, 2, 1, NULL, 0, 2);
	solo_settle(&solo);
	ck_assert_uint_eq(solo.apply_first, 1);
	ck_assert_uint_eq(solo.apply_last, 2);
	ck_assert_uint_eq(solo.persists_count, 1);
}
END_TEST

START_TEST(C28_commit_push)
{
	struct cluster cluster;
	raft_id leader;

	cluster_init(&cluster, 3, 28);
	cluster_boot_all(&cluster);
	(void)cluster_elect(&cluster, SECOND);
	cluster_converge(&cluster, SECOND);
	leader = cluster_leader(&cluster);
	ck_assert_int_eq(cluster_propose(&cluster, leader, 1), 0);
	/* There and back, two disks, a heartbeat later, there. */
	cluster_run(&cluster, 10000 + SOLO_HEARTBEAT_INTERVAL);
	for (raft_id id = 1; id <= 3; id++)
		ck_assert_uint_eq(cluster_status(&cluster, id).commit_index, 2);
	cluster_release(&cluster);
}
END_TEST

START_TEST(C29_lost_append_resend)
{
	raft_index last = 0;

	solo_boot(&solo);
	solo_lead(&solo);
	solo_ack(&solo, 2, 1);
	solo_ack(&solo, 3, 1);
	solo_propose(&solo, 1);
	solo_settle(&solo); /* lost */
	last = solo_propose(&solo, 1);
	solo_settle(&solo); /* refused as a gap */
	ck_assert_uint_eq(solo.appended[2].prev_index, 2);
	refuse(2, 1, 1);
	ck_assert_uint_eq(solo.appended[2].prev_index, 1);
	ck_assert_uint_eq(solo.appended[2].entries_count, 2);
	solo_ack(&solo, 2, last);
	ck_assert_uint_eq(solo_status(&solo).commit_index, last);
	ck_assert_uint_eq(solo_peer(&solo, 2).inflight_appends, 0);
}
END_TEST

START_TEST(C29_reordered_appends_recover)
{
	struct raft_message second;

	solo_boot(&solo);
	solo_lead(&solo);
	solo_ack(&solo, 2, 1);
	solo_propose(&solo, 1);
	solo_settle(&solo);
	solo_propose(&solo, 1);
	solo_settle(&solo);
	/* The second arrived first and was refused; the first was taken, and
	 * its acknowledgement comes before the refusal. */
	second = solo_answer(&solo, &solo.appended[2], RAFT_APPEND_RESPONSE);
	second.rejected_index = 2;
	second.hint_index = 1;
	second.hint_term = 1;
	solo.appended[2].sequence--;
	solo_ack(&solo, 2, 2);
	solo_clear(&solo);
	solo_deliver(&solo, &second);
	/* It is sent again at once, not after a timeout. */
	ck_assert_uint_eq(solo_sent_count(&solo, RAFT_APPEND_REQUEST), 1);
	ck_assert_uint_eq(solo.appended[2].prev_index, 2);
	ck_assert_uint_eq(solo.appended[2].entries_count, 1);
}
END_TEST

START_TEST(C31_lost_tail_follower)
{
	struct raft_message answer;

	solo_boot(&solo);
	solo_lead(&solo);
	solo_propose(&solo, 1);
	solo_settle(&solo);
	solo_ack(&solo, 2, 2);
	ck_assert_uint_eq(solo_status(&solo).commit_index, 2);
	ck_assert_int_eq(raft_peer_unreachable(solo.raft, solo.now, 2), 0);
	solo_settle(&solo);
	/* A new life of peer 2 that has lost entry 2. */
	answer = solo_answer(&solo, &solo.appended[2], RAFT_APPEND_RESPONSE);
	answer.boot_id = 7777;
	answer.rejected_index = 2;
	answer.hint_index = 1;
	answer.hint_term = 1;
	solo_advance(&solo, SOLO_HEARTBEAT_INTERVAL);
	answer.sequence = solo.appended[2].sequence;
	ck_assert_int_eq(solo_deliver(&solo, &answer), 0);
	ck_assert_uint_eq(solo.alarms_count, 1);
	ck_assert_int_eq(solo.alarm.alarm, RAFT_ALARM_LOST_TAIL);
	ck_assert_uint_eq(solo.alarm.peer, 2);
	ck_assert_uint_eq(solo.alarm.index, 1);
	/* Once; the leader goes on, and gives it nothing. */
	solo_advance(&solo, SOLO_HEARTBEAT_INTERVAL);
	answer.sequence = solo.appended[2].sequence;
	ck_assert_int_eq(solo_deliver(&solo, &answer), 0);
	ck_assert_uint_eq(solo.alarms_count, 1);
	ck_assert_uint_eq(solo_peer(&solo, 2).match_index, 2);
	ck_assert_uint_eq(solo_peer(&solo, 2).next_index, 3);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_LEADER);
}
END_TEST

START_TEST(compacted_entries_are_missed)
{
	static const raft_term terms[] = { 1, 1, 1, 1, 1 };

	boot_with(terms, 5);
	solo_lead(&solo);
	solo_ack(&solo, 2, 6);
	solo_ack(&solo, 3, 6);
	ck_assert_uint_eq(solo_status(&solo).everywhere_index, 6);
	ck_assert_int_eq(solo_compact(&solo, 7), ERR_INVALID);
	ck_assert_int_eq(solo_compact(&solo, 4), 0);
	ck_assert_uint_eq(solo_status(&solo).compacted_index, 4);
	ck_assert_uint_eq(solo_term(&solo, 4), 0);
	ck_assert_uint_eq(solo_term(&solo, 5), 1);
	/* A new leader meets a peer whose disk was wiped. */
	solo_crash(&solo);
	solo_boot(&solo);
	solo_lead(&solo);
	refuse(2, 0, 0);
	ck_assert_int_eq(solo_peer(&solo, 2).state, RAFT_PEER_SNAPSHOT);
	/* It gets heartbeats, and no entries that it cannot use. */
	solo_clear(&solo);
	refuse(2, 0, 0);
	ck_assert_uint_eq(solo_sent_count(&solo, RAFT_APPEND_REQUEST), 0);
}
END_TEST

START_TEST(everywhere_is_told_and_never_falls)
{
	static const raft_term terms[] = { 1, 1, 1 };
	struct raft_message append;

	solo_boot(&solo);
	(void)solo_append(&solo, 2, 1, 0, 0, terms, 3, 0);
	solo_settle(&solo);
	append = solo_message(&solo, RAFT_APPEND_REQUEST, 2, 1);
	append.prev_index = 3;
	append.prev_term = 1;
	append.sequence = 50;
	append.everywhere_index = 2;
	solo_deliver(&solo, &append);
	ck_assert_uint_eq(solo_status(&solo).everywhere_index, 2);
	append.everywhere_index = 1;
	append.sequence = 51;
	solo_deliver(&solo, &append);
	ck_assert_uint_eq(solo_status(&solo).everywhere_index, 2);
}
END_TEST

Suite *
raft_append_suite(void)
{
	Suite *suite = suite_create("raft_append");
	TCase *append = tcase_create("append");

	tcase_add_checked_fixture(append, set_up, tear_down);
	tcase_add_test(append, C1_prev_match_table);
	tcase_add_test(append, C2_duplicate);
	tcase_add_test(append, C3_duplicate_while_open);
	tcase_add_test(append, C4_overlap);
	tcase_add_test(append, C5_shorter_old);
	tcase_add_test(append, C6_truncate_on_conflict);
	tcase_add_loop_test(append, C7_conflict_below_commit, 0, 2);
	tcase_add_test(append, C8_heartbeat_stale_suffix);
	tcase_add_test(append, C9_fast_backtrack_table);
	tcase_add_test(append, C10_figure_7);
	tcase_add_test(append, C11_long_divergence);
	tcase_add_test(append, C12_reject_hint_not_match);
	tcase_add_test(append, C13_stale_reject_replicate);
	tcase_add_test(append, C14_stale_reject_probe);
	tcase_add_test(append, C16_ack_reorder);
	tcase_add_test(append, C17_ack_from_future);
	tcase_add_test(append, C18_ack_old_term);
	tcase_add_test(append, C20_unknown_sender);
	tcase_add_test(append, C22_prev_in_compacted);
	tcase_add_test(append, C23_prev_compacted_no_conflict);
	tcase_add_test(append, C24_epoch_guard);
	tcase_add_test(append, C26_old_leader_overwrite);
	tcase_add_test(append, C27_empty_append_advances_commit);
	tcase_add_test(append, C28_commit_push);
	tcase_add_test(append, C29_lost_append_resend);
	tcase_add_test(append, C29_reordered_appends_recover);
	tcase_add_test(append, C31_lost_tail_follower);
	tcase_add_test(append, compacted_entries_are_missed);
	tcase_add_test(append, everywhere_is_told_and_never_falls);
	suite_add_tcase(suite, append);
	return suite;
}
