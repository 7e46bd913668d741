/* Flow control, batching and quotas: group F of the scenarios. */

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

/* A leader whose peers are in REPLICATE, with nothing under way. */
static void
lead(void)
{
	solo_boot(&solo);
	solo_lead(&solo);
	solo_ack(&solo, 2, 1);
	solo_ack(&solo, 3, 1);
	ck_assert_int_eq(solo_peer(&solo, 2).state, RAFT_PEER_REPLICATE);
	solo_clear(&solo);
}

/* Proposes and settles, so that each goes in an append of its own. */
static void
propose_each(unsigned count, uint32_t size)
{
	for (unsigned i = 0; i < count; i++) {
		solo_propose(&solo, size);
		solo_settle(&solo);
	}
}

/* Appends with entries that were sent to `peer`, and their entries. */
static unsigned
appends_to(raft_id peer, uint32_t *ret_entries)
{
	unsigned count = 0;

	*ret_entries = 0;
	for (size_t i = 0; i < solo.sent_count; i++) {
		const struct raft_message *message = &solo.sent[i].message;

		if (message->kind != RAFT_APPEND_REQUEST ||
		    message->to != peer || message->entries_count == 0)
			continue;
		count++;
		*ret_entries += message->entries_count;
	}
	return count;
}

START_TEST(F1_window_appends)
{
	uint32_t entries;

	lead();
	propose_each(10, 1);
	ck_assert_uint_eq(appends_to(2, &entries), 4);
	ck_assert_uint_eq(entries, 4);
	ck_assert_uint_eq(solo_peer(&solo, 2).inflight_appends, 4);
	/* An acknowledgement makes room; the rest goes in one. */
	solo_clear(&solo);
	solo_ack(&solo, 2, 2);
	ck_assert_uint_eq(appends_to(2, &entries), 1);
	ck_assert_uint_eq(entries, 6);
}
END_TEST

/* While no quorum can be sent more, the leader's own commit gathers. */
START_TEST(F1_commit_waits_for_room)
{
	size_t persists;

	lead();
	propose_each(4, 1);
	persists = solo.persists_count;
	propose_each(5, 1);
	ck_assert_uint_eq(solo.persists_count, persists);
	ck_assert_uint_eq(solo_status(&solo).durable_index, 5);
	solo_ack(&solo, 2, 2);
	ck_assert_uint_eq(solo.persists_count, persists + 1);
	ck_assert_uint_eq(solo_status(&solo).durable_index, 10);
}
END_TEST

/* Peers that are not there do not hold it up. */
START_TEST(F1_commit_does_not_wait_for_nobody)
{
	lead();
	propose_each(4, 1);
	ck_assert_int_eq(raft_peer_unreachable(solo.raft, solo.now, 2), 0);
	ck_assert_int_eq(raft_peer_unreachable(solo.raft, solo.now, 3), 0);
	propose_each(1, 1);
	ck_assert_uint_eq(solo_status(&solo).durable_index, 6);
}
END_TEST

START_TEST(F2_window_bytes)
{
	uint32_t entries;

	solo.params.inflight_bytes_max = 2000;
	lead();
	propose_each(3, 900);
	ck_assert_uint_eq(appends_to(2, &entries), 2);
	ck_assert_uint_eq(solo_peer(&solo, 2).inflight_bytes, 1800);
	solo_ack(&solo, 2, 4);
	solo_clear(&solo);
	/* One larger than the window goes alone, when it is empty. */
	propose_each(2, 3000);
	ck_assert_uint_eq(appends_to(2, &entries), 1);
	ck_assert_uint_eq(entries, 1);
	ck_assert_uint_eq(solo_peer(&solo, 2).inflight_bytes, 3000);
	solo_ack(&solo, 2, 5);
	ck_assert_uint_eq(solo_peer(&solo, 2).inflight_bytes, 3000);
	solo_ack(&solo, 2, 6);
	ck_assert_uint_eq(solo_peer(&solo, 2).inflight_bytes, 0);
}
END_TEST

START_TEST(F3_lost_window_recovers)
{
	uint32_t entries;

	lead();
	propose_each(4, 1); /* all lost */
	solo_ack(&solo, 3, 5);
	solo_clear(&solo);
	/* For three election timeouts they may just be slow. */
	for (unsigned i = 0; i < 14; i++) {
		solo_advance(&solo, SOLO_HEARTBEAT_INTERVAL);
		solo_ack(&solo, 3, 5); /* keeps the lead */
	}
	ck_assert_uint_eq(appends_to(2, &entries), 0);
	solo_advance(&solo, SOLO_HEARTBEAT_INTERVAL);
	ck_assert_uint_eq(appends_to(2, &entries), 1);
	ck_assert_uint_eq(entries, 4);
	ck_assert_int_eq(solo_peer(&solo, 2).state, RAFT_PEER_PROBE);
	solo_ack(&solo, 2, 5);
	ck_assert_int_eq(solo_peer(&solo, 2).state, RAFT_PEER_REPLICATE);
	ck_assert_uint_eq(solo_peer(&solo, 2).inflight_appends, 0);
}
END_TEST

START_TEST(F4_probe_one)
{
	uint32_t entries;

	solo_boot(&solo);
	solo_lead(&solo);
	propose_each(5, 1);
	ck_assert_uint_eq(appends_to(2, &entries), 0);
	/* Unanswered it asks again each heartbeat, without the bytes. */
	solo_clear(&solo);
	solo_advance(&solo, SOLO_HEARTBEAT_INTERVAL);
	solo_advance(&solo, SOLO_HEARTBEAT_INTERVAL);
	ck_assert_uint_eq(appends_to(2, &entries), 0);
	ck_assert_uint_eq(solo_sent_count(&solo, RAFT_APPEND_REQUEST), 4);
	ck_assert_uint_eq(solo.appended[2].prev_index, 0);
}
END_TEST

START_TEST(F5_probe_to_replicate)
{
	solo_boot(&solo);
	solo_lead(&solo);
	propose_each(3, 1);
	ck_assert_int_eq(solo_peer(&solo, 2).state, RAFT_PEER_PROBE);
	ck_assert_uint_eq(solo_peer(&solo, 2).next_index, 1);
	solo_clear(&solo);
	solo_ack(&solo, 2, 1);
	ck_assert_int_eq(solo_peer(&solo, 2).state, RAFT_PEER_REPLICATE);
	ck_assert_uint_eq(solo.appended[2].prev_index, 1);
	ck_assert_uint_eq(solo.appended[2].entries_count, 3);
	ck_assert_uint_eq(solo_peer(&solo, 2).next_index, 5);
}
END_TEST

START_TEST(F6_unreachable)
{
	lead();
	propose_each(3, 1);
	ck_assert_uint_eq(solo_peer(&solo, 2).next_index, 5);
	ck_assert_int_eq(raft_peer_unreachable(solo.raft, solo.now, 2), 0);
	ck_assert_int_eq(solo_peer(&solo, 2).state, RAFT_PEER_PROBE);
	ck_assert_uint_eq(solo_peer(&solo, 2).next_index, 2);
	ck_assert_uint_eq(solo_peer(&solo, 2).inflight_appends, 0);
	solo_settle(&solo);
	ck_assert_uint_eq(solo.appended[2].prev_index, 1);
	ck_assert_uint_eq(solo.appended[2].entries_count, 3);
}
END_TEST

START_TEST(F7_peer_returns)
{
	uint32_t entries;

	lead();
	ck_assert_int_eq(raft_peer_unreachable(solo.raft, solo.now, 2), 0);
	propose_each(5, 1);
	solo_clear(&solo);
	/* The answer to the heartbeat says where it is. */
	solo_ack(&solo, 2, 1);
	ck_assert_uint_eq(appends_to(2, &entries), 1);
	ck_assert_uint_eq(entries, 5);
}
END_TEST

START_TEST(F9_window_reset_on_election)
{
	lead();
	propose_each(4, 1);
	solo.now += SOLO_ELECTION_TIMEOUT;
	ck_assert_int_eq(raft_timeout(solo.raft, solo.now), 0);
	solo_lead(&solo);
	ck_assert_int_eq(solo_peer(&solo, 2).state, RAFT_PEER_PROBE);
	ck_assert_uint_eq(solo_peer(&solo, 2).inflight_appends, 0);
	ck_assert_uint_eq(solo_peer(&solo, 2).match_index, 0);
	ck_assert_uint_eq(solo_peer(&solo, 2).next_index, 6);
}
END_TEST

START_TEST(F10_quota)
{
	struct raft_entry entry = {
		.type = RAFT_ENTRY_COMMAND,
		.size = 400,
	};
	raft_index first;
	raft_term term;

	solo.params.entry_bytes_max = 1000;
	solo.params.uncommitted_bytes_max = 1000;
	lead();
	propose_each(2, 400);
	ck_assert_uint_eq(solo_status(&solo).uncommitted_bytes, 800);
	ck_assert_int_eq(
	    raft_propose(solo.raft, solo.now, &entry, 1, &first, &term),
	    ERR_BUSY);
	solo_ack(&solo, 2, 2);
	ck_assert_uint_eq(solo_status(&solo).uncommitted_bytes, 400);
	ck_assert_int_eq(
	    raft_propose(solo.raft, solo.now, &entry, 1, &first, &term), 0);
	ck_assert_uint_eq(first, 4);
	/* Another leader cuts all of it: exact to the byte. */
	(void)solo_append(&solo, 3, 9, 2, 1, (const raft_term[]){ 9 }, 1, 0);
	solo_settle(&solo);
	ck_assert_uint_eq(solo_status(&solo).last_index, 3);
	ck_assert_uint_eq(solo_status(&solo).uncommitted_bytes, 1);
}
END_TEST

START_TEST(F11_quota_noop)
{
	static const raft_term terms[] = { 1, 1 };

	solo_preset(&solo, 1, 0, terms, 2);
	solo.disk.log.entries[0].entry.size = 900;
	solo.disk.log.entries[1].entry.size = 900;
	solo.params.entry_bytes_max = 1000;
	solo.params.uncommitted_bytes_max = 1000;
	solo_boot(&solo);
	solo_lead(&solo);
	ck_assert_uint_eq(solo_status(&solo).last_index, 3);
	solo_ack(&solo, 2, 3);
	ck_assert_uint_eq(solo_status(&solo).commit_index, 3);
	ck_assert_uint_eq(solo_status(&solo).uncommitted_bytes, 0);
}
END_TEST

START_TEST(F12_quota_partition)
{
	struct raft_entry entry = {
		.type = RAFT_ENTRY_COMMAND,
		.size = 1000,
	};
	raft_index first;
	raft_term term;
	unsigned taken = 0;

	solo.params.entry_bytes_max = 1000;
	solo.params.uncommitted_bytes_max = 50000;
	lead();
	for (unsigned i = 0; i < 1000; i++) {
		taken += raft_propose(solo.raft, solo.now, &entry, 1, &first,
			     &term) == 0;
		solo_settle(&solo);
	}
	ck_assert_uint_eq(taken, 50);
	ck_assert_uint_eq(solo_status(&solo).last_index, 51);
}
END_TEST

START_TEST(F13_batch_one_take)
{
	uint32_t entries;

	lead();
	for (unsigned i = 0; i < 100; i++)
		solo_propose(&solo, 10);
	solo_settle(&solo);
	ck_assert_uint_eq(solo.persists_count, 1);
	ck_assert_uint_eq(appends_to(2, &entries), 1);
	ck_assert_uint_eq(entries, 100);
	ck_assert_uint_eq(appends_to(3, &entries), 1);
	ck_assert_uint_eq(entries, 100);
}
END_TEST

START_TEST(F14_batch_limit)
{
	uint32_t entries;
	raft_index prev = 1;

	solo.params.append_bytes_max = 10000;
	solo.params.inflight_bytes_max = 1000000;
	lead();
	for (unsigned i = 0; i < 30; i++)
		solo_propose(&solo, 3000);
	solo_settle(&solo);
	while (solo_peer(&solo, 2).match_index < 31)
		solo_ack(&solo, 2,
		    solo.appended[2].prev_index +
			solo.appended[2].entries_count);
	ck_assert_uint_eq(appends_to(2, &entries), 10);
	ck_assert_uint_eq(entries, 30);
	for (size_t i = 0; i < solo.sent_count; i++) {
		const struct raft_message *message = &solo.sent[i].message;

		if (message->to != 2 || message->entries_count == 0)
			continue;
		ck_assert_uint_eq(message->prev_index, prev);
		ck_assert_uint_le(message->entries_count, 3);
		prev += message->entries_count;
	}
}
END_TEST

START_TEST(F14_batch_count_limit)
{
	uint32_t entries;

	solo.params.append_entries_max = 7;
	lead();
	for (unsigned i = 0; i < 20; i++)
		solo_propose(&solo, 1);
	solo_settle(&solo);
	ck_assert_uint_eq(appends_to(2, &entries), 3);
	ck_assert_uint_eq(entries, 20);
	ck_assert_uint_eq(solo.appended[2].entries_count, 6);
}
END_TEST

START_TEST(F15_oversize_entry)
{
	struct raft_entry entries[] = {
		{ .type = RAFT_ENTRY_COMMAND, .size = 1 },
		{ .type = RAFT_ENTRY_COMMAND, .size = 1001 },
	};
	raft_index first;
	raft_term term;

	solo.params.entry_bytes_max = 1000;
	lead();
	ck_assert_int_eq(
	    raft_propose(solo.raft, solo.now, entries, 2, &first, &term),
	    ERR_TOO_LARGE);
	/* All or none (K11). */
	ck_assert_uint_eq(solo_status(&solo).last_index, 1);
	entries[1].size = 1000;
	ck_assert_int_eq(
	    raft_propose(solo.raft, solo.now, entries, 2, &first, &term), 0);
	ck_assert_uint_eq(first, 2);
	ck_assert_uint_eq(solo_status(&solo).last_index, 3);
}
END_TEST

START_TEST(F15_commands_only)
{
	struct raft_entry entry = { .type = RAFT_ENTRY_NOOP };
	raft_index first;
	raft_term term;

	lead();
	ck_assert_int_eq(
	    raft_propose(solo.raft, solo.now, &entry, 1, &first, &term),
	    ERR_INVALID);
	ck_assert_int_eq(
	    raft_propose(solo.raft, solo.now, &entry, 0, &first, &term),
	    ERR_INVALID);
}
END_TEST

START_TEST(F16_oversize_after_limit_change)
{
	static const raft_term terms[] = { 1, 1, 1 };
	uint32_t entries;

	solo_preset(&solo, 1, 0, terms, 3);
	solo.disk.log.entries[1].entry.size = 30000;
	solo.params.entry_bytes_max = 100;
	solo.params.append_bytes_max = 200;
	solo.params.inflight_bytes_max = 400;
	solo_boot(&solo);
	solo_lead(&solo);
	{
		struct raft_message answer =
		    solo_answer(&solo, &solo.appended[2], RAFT_APPEND_RESPONSE);

		answer.rejected_index = 3;
		solo_deliver(&solo, &answer); /* an empty log */
	}
	while (solo_peer(&solo, 2).match_index < 4)
		solo_ack(&solo, 2,
		    solo.appended[2].prev_index +
			solo.appended[2].entries_count);
	(void)appends_to(2, &entries);
	ck_assert_uint_eq(entries, 4);
}
END_TEST

START_TEST(F17_group_commit)
{
	lead();
	solo_propose(&solo, 1);
	solo_take(&solo);
	for (unsigned i = 0; i < 50; i++) {
		solo_propose(&solo, 1);
		solo_take(&solo);
	}
	ck_assert_uint_eq(solo.persists_count, 1);
	solo_settle(&solo);
	ck_assert_uint_eq(solo.persists_count, 2);
}
END_TEST

START_TEST(F18_ack_coalescing)
{
	static const raft_term terms[] = { 1 };
	const struct raft_message *answer;

	solo_boot(&solo);
	for (raft_index i = 0; i < 5; i++)
		(void)solo_append(&solo, 2, 1, i, i == 0 ? 0 : 1, terms, 1, 0);
	solo_settle(&solo);
	ck_assert_uint_eq(solo_sent_count(&solo, RAFT_APPEND_RESPONSE), 1);
	answer = solo_sent(&solo, RAFT_APPEND_RESPONSE, 2);
	ck_assert_uint_eq(answer->match_index, 5);
	ck_assert_uint_eq(answer->sequence, 5);
}
END_TEST

START_TEST(F19_slow_peer_isolated)
{
	struct cluster cluster;
	raft_id leader;
	raft_id slow;

	cluster_init(&cluster, 3, 19);
	cluster_boot_all(&cluster);
	(void)cluster_elect(&cluster, SECOND);
	cluster_converge(&cluster, SECOND);
	leader = cluster_leader(&cluster);
	slow = leader % 3 + 1;
	cluster.nodes[slow].disk_latency = 60000;
	for (unsigned i = 0; i < 100; i++) {
		raft_index last;

		ck_assert_int_eq(cluster_propose(&cluster, leader, 100), 0);
		last = cluster_status(&cluster, leader).last_index;
		/* Two hops and two disks, as if the third were not there. */
		cluster_run(&cluster, 8000);
		ck_assert_uint_eq(
		    cluster_status(&cluster, leader).commit_index, last);
		ck_assert_uint_le(solo_peer(&cluster.nodes[leader].solo, slow)
				      .inflight_appends,
		    4);
	}
	cluster_converge(&cluster, SECOND);
	cluster_release(&cluster);
}
END_TEST

START_TEST(F20_pending_drain)
{
	uint32_t entries;

	solo.params.append_entries_max = 2;
	lead();
	propose_each(16, 1);
	solo_clear(&solo);
	solo_ack(&solo, 2, 5);
	ck_assert_uint_eq(appends_to(2, &entries), 4);
	ck_assert_uint_eq(entries, 8);
}
END_TEST

START_TEST(heartbeat_does_not_look_like_a_gap)
{
	lead();
	propose_each(2, 1);
	ck_assert_uint_eq(solo_peer(&solo, 2).next_index, 4);
	solo_advance(&solo, SOLO_HEARTBEAT_INTERVAL);
	ck_assert_uint_eq(solo.appended[2].entries_count, 0);
	ck_assert_uint_eq(solo.appended[2].prev_index, 1);
	solo_ack(&solo, 2, 3);
	solo_advance(&solo, SOLO_HEARTBEAT_INTERVAL);
	ck_assert_uint_eq(solo.appended[2].prev_index, 3);
	ck_assert_uint_eq(solo.appended[2].commit_index, 3);
}
END_TEST

START_TEST(params_are_checked)
{
	struct raft_params good = solo.params;
	struct raft_boot boot = { .boot_id = 1, .members = solo.disk.members };

	for (unsigned i = 0; i < 11; i++) {
		struct raft_params params = good;

		switch (i) {
		case 0: params.id = 0; break;
		case 1: params.heartbeat_interval = 0; break;
		case 2:
			params.heartbeat_interval = params.election_timeout / 2;
			break;
		case 3: params.append_entries_max = 0; break;
		case 4: params.append_bytes_max = 0; break;
		case 5: params.inflight_appends_max = 1000; break;
		case 6: params.inflight_rounds_max = 0; break;
		case 7: params.uncommitted_bytes_max = 1; break;
		case 8: params.pending_reads_max = 0; break;
		case 9: params.disk_stall_max = 0; break;
		case 10: params.transfer_timeout = 0; break;
		}
		ck_assert_msg(
		    raft_new(&solo.raft, &params, &boot, 0) == ERR_INVALID,
		    "case %u", i);
	}
	boot.boot_id = 0;
	ck_assert_int_eq(raft_new(&solo.raft, &good, &boot, 0), ERR_CORRUPT);
}
END_TEST

Suite *
raft_flow_suite(void)
{
	Suite *suite = suite_create("raft_flow");
	TCase *flow = tcase_create("flow");

	tcase_add_checked_fixture(flow, set_up, tear_down);
	tcase_add_test(flow, F1_window_appends);
	tcase_add_test(flow, F1_commit_waits_for_room);
	tcase_add_test(flow, F1_commit_does_not_wait_for_nobody);
	tcase_add_test(flow, F2_window_bytes);
	tcase_add_test(flow, F3_lost_window_recovers);
	tcase_add_test(flow, F4_probe_one);
	tcase_add_test(flow, F5_probe_to_replicate);
	tcase_add_test(flow, F6_unreachable);
	tcase_add_test(flow, F7_peer_returns);
	tcase_add_test(flow, F9_window_reset_on_election);
	tcase_add_test(flow, F10_quota);
	tcase_add_test(flow, F11_quota_noop);
	tcase_add_test(flow, F12_quota_partition);
	tcase_add_test(flow, F13_batch_one_take);
	tcase_add_test(flow, F14_batch_limit);
	tcase_add_test(flow, F14_batch_count_limit);
	tcase_add_test(flow, F15_oversize_entry);
	tcase_add_test(flow, F15_commands_only);
	tcase_add_test(flow, F16_oversize_after_limit_change);
	tcase_add_test(flow, F17_group_commit);
	tcase_add_test(flow, F18_ack_coalescing);
	tcase_add_test(flow, F19_slow_peer_isolated);
	tcase_add_test(flow, F20_pending_drain);
	tcase_add_test(flow, heartbeat_does_not_look_like_a_gap);
	tcase_add_test(flow, params_are_checked);
	suite_add_tcase(suite, flow);
	return suite;
}
