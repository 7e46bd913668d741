/* Links and messages between members that know the secret. */

#include "common/err.h"
#include "common/metrics.h"
#include "net/peer_impl.h"
#include "tests/unit/peer_net.h"
#include "tests/unit/suites.h"

#include <check.h>
#include <stdlib.h>

static struct peer_net net;
static struct side *one;
static struct side *two;

static void
setup(void)
{
	peer_net_init(&net, 2);
	one = peer_net_side(&net, 1);
	two = peer_net_side(&net, 2);
}

static void
teardown(void)
{
	peer_net_release(&net);
}

static bool
is_bulk_open(struct side *side)
{
	return peer_link_is_open(&side->peers->peer[0]->bulk);
}

static void
connect_both(void)
{
	peer_net_start(&net, 1);
	peer_net_start(&net, 2);
	PEER_NET_WAIT(&net, peer_net_all_connected(&net) && is_bulk_open(one) &&
				is_bulk_open(two));
}

/* Appends without entries. */
static void
heartbeat(uint64_t sequence)
{
	peer_net_append(&net, 1, 2, sequence, slice_from_text(""), 0);
}

/* What the second answers to the first. */
static void
acknowledge(uint64_t sequence)
{
	struct raft_message response =
	    peer_net_message(&net, RAFT_APPEND_RESPONSE, 2, 1, sequence);

	response.success = true;
	peers_send(two->peers, &response, NULL);
}

static unsigned
under_way(const struct side *side)
{
	return side->peers->peer[0]->append.under_way +
	       side->peers->peer[0]->bulk.under_way;
}

/* ---- Connecting ---- */

START_TEST(connect_all)
{
	struct peer_net three;

	peer_net_init(&three, 3);
	for (raft_id id = 1; id <= 3; id++)
		peer_net_start(&three, id);
	PEER_NET_WAIT(&three, peer_net_all_connected(&three));
	for (raft_id id = 1; id <= 3; id++)
		ck_assert_uint_ge(peer_net_side(&three, id)->heard_count, 4);
	peer_net_release(&three);
}
END_TEST

START_TEST(connect_hears_the_hello)
{
	connect_both();
	ck_assert_uint_eq(one->heard.from, 2);
	ck_assert_uint_eq(one->heard.to, 1);
	ck_assert_uint_eq(one->heard.boot_id, two->boot_id);
	ck_assert_str_eq(one->heard.cluster, "test");
	ck_assert_str_eq(one->heard.name, "n2");
	ck_assert_str_eq(one->heard.members.member[0].name, "n");
}
END_TEST

/* An answer that was recorded once proves nothing to a new hello. */
START_TEST(connect_with_fresh_nonces)
{
	struct wire_hello hellos[2];

	two->holds = true;
	peer_net_start(&net, 1);
	peer_net_listen(&net, 2);
	PEER_NET_WAIT(&net, two->requests_count == 2);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(
		    wire_decode_hello(two->request[i]->body, &hellos[i]), 0);
	ck_assert_mem_ne(hellos[0].nonce, hellos[1].nonce, WIRE_NONCE_SIZE);
}
END_TEST

START_TEST(connect_with_other_secret)
{
	struct peers_link link;

	two->secret = "another secret";
	peer_net_start(&net, 1);
	peer_net_start(&net, 2);
	PEER_NET_WAIT(&net,
	    peers_get_link(one->peers, 2, &link) == 0 && link.attempts > 1);
	ck_assert(!link.connected);
	ck_assert_str_eq(
	    link.last_error, "it does not prove the cluster secret");
	ck_assert_uint_eq(one->heard_count, 0);
	ck_assert_uint_eq(two->heard_count, 0);
}
END_TEST

START_TEST(connect_without_secret)
{
	struct peers_link link;

	two->secret = "";
	peer_net_start(&net, 1);
	peer_net_start(&net, 2);
	PEER_NET_WAIT(&net,
	    peers_get_link(one->peers, 2, &link) == 0 && link.attempts > 1);
	ck_assert_str_eq(link.last_error, "this node has no cluster secret");
	ck_assert_uint_eq(one->heard_count + two->heard_count, 0);
}
END_TEST

/* The side that is dialled does not want the dialler. */
START_TEST(connect_refused_by_their_hear)
{
	struct peers_link link;

	two->hear_result = ERR_MISMATCH;
	peer_net_start(&net, 1);
	peer_net_listen(&net, 2);
	PEER_NET_WAIT(&net,
	    peers_get_link(one->peers, 2, &link) == 0 && link.attempts > 1);
	ck_assert_str_eq(link.last_error, "another cluster");
	ck_assert_uint_gt(two->heard_count, 0);
	heartbeat(1);
	peer_net_pass_some(&net);
	ck_assert_uint_eq(two->received_count, 0);
}
END_TEST

/* The dialler does not want the side that it dials, and sends no proof. */
START_TEST(connect_refused_by_our_hear)
{
	struct peers_link link;

	one->hear_result = ERR_MISMATCH;
	peer_net_start(&net, 1);
	peer_net_listen(&net, 2);
	PEER_NET_WAIT(&net,
	    peers_get_link(one->peers, 2, &link) == 0 && link.attempts > 1);
	ck_assert_str_eq(link.last_error, "another cluster");
	ck_assert_uint_eq(two->heard_count, 0);
}
END_TEST

START_TEST(link_of_unknown_member)
{
	struct peers_link link;

	peer_net_start(&net, 1);
	peer_net_listen(&net, 2);
	ck_assert_int_eq(peers_get_link(one->peers, 1, &link), ERR_NOT_FOUND);
	ck_assert_int_eq(peers_get_link(one->peers, 9, &link), ERR_NOT_FOUND);
}
END_TEST

/* ---- Messages ---- */

START_TEST(append_and_answer)
{
	connect_both();
	peer_net_append(&net, 1, 2, 5, slice_from_text("record"), 3);
	peers_flush(one->peers);
	PEER_NET_WAIT(&net, two->received_count == 1);
	ck_assert_int_eq(two->received[0].kind, RAFT_APPEND_REQUEST);
	ck_assert_uint_eq(two->received[0].sequence, 5);
	ck_assert_uint_eq(two->received[0].entries_count, 3);
	ck_assert_str_eq(two->record, "record");
	acknowledge(5);
	PEER_NET_WAIT(&net, one->received_count == 1);
	ck_assert_int_eq(one->received[0].kind, RAFT_APPEND_RESPONSE);
	ck_assert_uint_eq(one->received[0].sequence, 5);
	ck_assert(one->received[0].success);
	ck_assert_uint_eq(under_way(one), 0);
}
END_TEST

START_TEST(votes_reads_and_answers)
{
	static const struct {
		enum raft_message_kind request;
		enum raft_message_kind response;
	} kinds[] = {
		{ RAFT_PREVOTE_REQUEST, RAFT_PREVOTE_RESPONSE },
		{ RAFT_VOTE_REQUEST, RAFT_VOTE_RESPONSE },
		{ RAFT_READ_REQUEST, RAFT_READ_RESPONSE },
	};
	struct raft_message message;

	connect_both();
	for (unsigned i = 0; i < ARRAY_COUNT(kinds); i++) {
		message =
		    peer_net_message(&net, kinds[i].request, 1, 2, 10 + i);
		peers_send(one->peers, &message, NULL);
		PEER_NET_WAIT(&net, two->received_count == i + 1);
		ck_assert_int_eq(two->received[i].kind, kinds[i].request);
		message =
		    peer_net_message(&net, kinds[i].response, 2, 1, 10 + i);
		message.granted = true;
		message.success = true;
		message.read_index = 8;
		peers_send(two->peers, &message, NULL);
		PEER_NET_WAIT(&net, one->received_count == i + 1);
		ck_assert_int_eq(one->received[i].kind, kinds[i].response);
		ck_assert(one->received[i].granted || one->received[i].success);
	}
	ck_assert_uint_eq(one->received[2].read_index, 8);
}
END_TEST

/* Its answer is the campaign, which needs no request to answer. */
START_TEST(timeout_now_is_not_answered)
{
	struct raft_message message;

	connect_both();
	message = peer_net_message(&net, RAFT_TIMEOUT_NOW, 1, 2, 10);
	message.last_index = 7;
	peers_send(one->peers, &message, NULL);
	PEER_NET_WAIT(&net, two->received_count == 1);
	ck_assert_int_eq(two->received[0].kind, RAFT_TIMEOUT_NOW);
	ck_assert_uint_eq(two->received[0].last_index, 7);
	PEER_NET_WAIT(&net, under_way(one) == 0);
	ck_assert_uint_eq(peer_pending_count(two->peers, 1), 0);
	ck_assert_uint_eq(one->received_count, 0);
	ck_assert(peer_net_connected(&net, 1, 2));
}
END_TEST

/* A vote's answer is not an append's. */
START_TEST(answer_of_other_kind)
{
	struct raft_message message;

	connect_both();
	heartbeat(5);
	PEER_NET_WAIT(&net, two->received_count == 1);
	message = peer_net_message(&net, RAFT_VOTE_RESPONSE, 2, 1, 5);
	peers_send(two->peers, &message, NULL);
	peer_net_pass_some(&net);
	ck_assert_uint_eq(one->received_count, 0);
	ck_assert_uint_eq(under_way(one), 1);
	acknowledge(5);
	PEER_NET_WAIT(&net, one->received_count == 1);
}
END_TEST

/* One answer for all that one commit covers: the others end with nothing. */
START_TEST(answer_covers_earlier_ones)
{
	connect_both();
	for (uint64_t i = 1; i <= 4; i++)
		heartbeat(i);
	PEER_NET_WAIT(&net, two->received_count == 4);
	acknowledge(3);
	PEER_NET_WAIT(&net, one->received_count == 1);
	PEER_NET_WAIT(&net, under_way(one) == 1);
	ck_assert_uint_eq(one->received[0].sequence, 3);
	peer_net_pass_some(&net);
	ck_assert_uint_eq(one->received_count, 1);
	acknowledge(4);
	PEER_NET_WAIT(&net, under_way(one) == 0);
	ck_assert_uint_eq(one->received_count, 2);
}
END_TEST

/* An answer to a former life of the peer answers nothing. */
START_TEST(answer_to_other_life)
{
	struct raft_message response;

	connect_both();
	heartbeat(5);
	PEER_NET_WAIT(&net, two->received_count == 1);
	response = peer_net_message(&net, RAFT_APPEND_RESPONSE, 2, 1, 5);
	response.to_boot_id++;
	peers_send(two->peers, &response, NULL);
	peer_net_pass_some(&net);
	ck_assert_uint_eq(under_way(one), 1);
}
END_TEST

START_TEST(answer_forged)
{
	struct raft_message response;
	unsigned heard;

	connect_both();
	for (int i = 0; i < 3; i++) {
		heard = one->heard_count;
		two->received_count = 0;
		heartbeat(5);
		PEER_NET_WAIT(&net, two->received_count == 1);
		response =
		    peer_net_message(&net, RAFT_APPEND_RESPONSE, 2, 1, 5);
		if (i == 0)
			response.from = 3;
		else if (i == 1)
			response.boot_id++;
		else
			response.term = RAFT_NUMBER_MAX;
		one->receive_result = i == 2 ? ERR_INVALID : 0;
		peers_send(two->peers, &response, NULL);
		/* The link ends over it, and comes back. */
		PEER_NET_WAIT(&net, one->heard_count > heard);
		PEER_NET_WAIT(&net, peer_net_all_connected(&net));
		ck_assert_uint_eq(one->received_count, 0);
	}
	ck_assert_uint_eq(one->unreachable_count, 3);
}
END_TEST

/* What the node never answers ends before the link would. */
START_TEST(answer_never_given)
{
	net.election_timeout = 200000;
	connect_both();
	heartbeat(1);
	PEER_NET_WAIT(&net, two->received_count == 1);
	PEER_NET_WAIT(&net, under_way(one) == 0);
	ck_assert_uint_eq(one->unreachable_count, 0);
	ck_assert(peer_net_connected(&net, 1, 2));
	acknowledge(1);
	peer_net_pass_some(&net);
	ck_assert_uint_eq(one->received_count, 0);
}
END_TEST

START_TEST(answer_overdue)
{
	unsigned heard;

	net.election_timeout = 100000;
	connect_both();
	heard = one->heard_count;
	two->holds = true;
	heartbeat(1);
	heartbeat(2);
	PEER_NET_WAIT(&net, one->unreachable_count > 0);
	ck_assert_uint_eq(one->unreachable_count, 1);
	ck_assert(!peer_net_connected(&net, 1, 2));
	two->holds = false;
	PEER_NET_WAIT(&net, peer_net_connected(&net, 1, 2));
	ck_assert_uint_gt(one->heard_count, heard);
	ck_assert_uint_eq(one->refused_count, 0);
}
END_TEST

/* A node that does not take part is dialled again, but not in a loop. */
START_TEST(answer_not_ready)
{
	struct peer_link *link;
	unsigned heard;

	connect_both();
	link = &one->peers->peer[0]->append;
	two->receive_result = ERR_AGAIN;
	for (unsigned i = 1; i <= 3; i++) {
		PEER_NET_WAIT(&net, peer_net_connected(&net, 1, 2));
		heartbeat(i);
		PEER_NET_WAIT(&net, one->unreachable_count == i);
	}
	ck_assert_uint_ge(link->backoff_us, 2 * PEER_BACKOFF_MIN_US);
	two->receive_result = 0;
	PEER_NET_WAIT(&net, peer_net_connected(&net, 1, 2));
	/* That it connects and is refused again and again is one change. */
	ck_assert(!link->reported_up);
	heartbeat(9);
	PEER_NET_WAIT(&net, two->received_count == 1);
	heard = one->heard_count;
	acknowledge(9);
	PEER_NET_WAIT(&net, one->received_count == 1);
	ck_assert_uint_eq(one->heard_count, heard);
	ck_assert(link->reported_up);
}
END_TEST

START_TEST(message_to_unknown_member)
{
	struct raft_message message;

	connect_both();
	message = peer_net_message(&net, RAFT_VOTE_REQUEST, 1, 2, 1);
	message.to = 7;
	peers_send(one->peers, &message, NULL);
	peer_net_pass_some(&net);
	ck_assert_uint_eq(two->received_count, 0);
}
END_TEST

/* ---- The bulk link ---- */

static void
send_large(uint64_t sequence, size_t size)
{
	struct buf record = { 0 };

	memset(buf_reserve(&record, size), 'x', size);
	record.size = size;
	peer_net_append(&net, 1, 2, sequence, buf_slice(&record), 1);
	peers_flush(one->peers);
	buf_release(&record);
}

START_TEST(bulk_has_its_own_link)
{
	connect_both();
	heartbeat(1);
	send_large(2, 1000000);
	heartbeat(3);
	peer_net_append(&net, 1, 2, 4, slice_from_text("small"), 1);
	PEER_NET_WAIT(&net, two->received_count == 4);
	for (unsigned i = 0; i < 4; i++) {
		uint64_t sequence = two->received[i].sequence;
		bool on_bulk = two->received_on[i] != two->received_on[0];

		/* Entries behind a bulk append do not overtake it. */
		ck_assert_int_eq(on_bulk, sequence == 2 || sequence == 4);
	}
	acknowledge(4);
	PEER_NET_WAIT(&net, under_way(one) == 0);
	two->received_count = 0;
	heartbeat(5);
	peer_net_append(&net, 1, 2, 6, slice_from_text("small"), 1);
	PEER_NET_WAIT(&net, two->received_count == 2);
	ck_assert_ptr_eq(two->received_on[0], two->received_on[1]);
}
END_TEST

START_TEST(bulk_begins_above_its_limit)
{
	connect_both();
	/* In base64, with the rest of the message. */
	send_large(1, PEER_BULK_BODY_MIN / 4 * 3 - 1024);
	PEER_NET_WAIT(&net, two->received_count == 1);
	ck_assert_uint_eq(one->peers->peer[0]->bulk.under_way, 0);
	send_large(2, PEER_BULK_BODY_MIN / 4 * 3);
	ck_assert_uint_eq(one->peers->peer[0]->bulk.under_way, 1);
	PEER_NET_WAIT(&net, two->received_count == 2);
}
END_TEST

/* ---- Room ---- */

START_TEST(window_is_bounded)
{
	connect_both();
	for (uint64_t i = 1; i <= PEER_LINK_PIPELINE_MAX + 3; i++)
		peer_net_append(&net, 1, 2, i, slice_from_text("r"), 1);
	PEER_NET_WAIT(&net, two->received_count == PEER_LINK_PIPELINE_MAX);
	peer_net_pass_some(&net);
	ck_assert_uint_eq(two->received_count, PEER_LINK_PIPELINE_MAX);
	/* While there is no room, to tell would only cause more of it. */
	ck_assert_uint_eq(one->unreachable_count, 0);
	acknowledge(PEER_LINK_PIPELINE_MAX);
	PEER_NET_WAIT(&net, one->unreachable_count == 1);
	peer_net_pass_some(&net);
	ck_assert_uint_eq(one->unreachable_count, 1);
}
END_TEST

START_TEST(heartbeat_without_room_is_forgotten)
{
	connect_both();
	for (uint64_t i = 1; i <= PEER_LINK_PIPELINE_MAX + 3; i++)
		heartbeat(i);
	PEER_NET_WAIT(&net, two->received_count == PEER_LINK_PIPELINE_MAX);
	acknowledge(PEER_LINK_PIPELINE_MAX);
	PEER_NET_WAIT(&net, under_way(one) == 0);
	peer_net_pass_some(&net);
	ck_assert_uint_eq(one->unreachable_count, 0);
}
END_TEST

START_TEST(dropped_entries_are_told_when_connected)
{
	peer_net_kill(&net, 2);
	peer_net_start(&net, 1);
	peer_net_pass_some(&net);
	peer_net_append(&net, 1, 2, 1, slice_from_text("r"), 1);
	peer_net_append(&net, 1, 2, 2, slice_from_text("r"), 1);
	peer_net_pass_some(&net);
	ck_assert_uint_eq(one->unreachable_count, 0);
	peer_net_start(&net, 2);
	PEER_NET_WAIT(&net, one->unreachable_count == 1);
	ck_assert(peer_net_connected(&net, 1, 2));
	peer_net_pass_some(&net);
	ck_assert_uint_eq(one->unreachable_count, 1);
}
END_TEST

/* ---- Losing and finding ---- */

START_TEST(killed_peer_is_refused_once)
{
	struct peers_link link;

	connect_both();
	heartbeat(1);
	PEER_NET_WAIT(&net, two->received_count == 1);
	peer_net_kill(&net, 2);
	PEER_NET_WAIT(&net, one->refused_count > 0);
	ck_assert_uint_eq(one->unreachable_count, 1);
	PEER_NET_WAIT(&net,
	    peers_get_link(one->peers, 2, &link) == 0 && link.attempts > 3);
	ck_assert_str_eq(link.last_error, "connection refused");
	ck_assert(!link.connected);
	ck_assert_uint_eq(one->refused_count, 1);
	ck_assert_uint_eq(one->unreachable_count, 1);
}
END_TEST

START_TEST(killed_peer_comes_back)
{
	struct peers_link link;

	connect_both();
	peer_net_kill(&net, 2);
	PEER_NET_WAIT(&net, one->refused_count == 1);
	ck_assert_uint_eq(one->unreachable_count, 0);
	peer_net_start(&net, 2);
	PEER_NET_WAIT(&net, peer_net_all_connected(&net));
	ck_assert_int_eq(peers_get_link(one->peers, 2, &link), 0);
	ck_assert_uint_eq(link.attempts, 0);
	ck_assert_str_eq(link.last_error, "");
	ck_assert_uint_eq(one->heard.boot_id, two->boot_id);
	heartbeat(1);
	PEER_NET_WAIT(&net, two->received_count == 1);
	acknowledge(1);
	PEER_NET_WAIT(&net, one->received_count == 1);
	peer_net_kill(&net, 2);
	PEER_NET_WAIT(&net, one->refused_count == 2);
}
END_TEST

START_TEST(peer_that_never_was_is_not_refused)
{
	struct peers_link link;

	peer_net_kill(&net, 2);
	peer_net_start(&net, 1);
	PEER_NET_WAIT(&net,
	    peers_get_link(one->peers, 2, &link) == 0 && link.attempts > 3);
	ck_assert_str_eq(link.last_error, "connection refused");
	ck_assert_uint_eq(one->refused_count, 0);
}
END_TEST

/* One connection that ends is not a process that died. */
START_TEST(single_broken_link_is_no_refusal)
{
	connect_both();
	http_client_close(one->peers->peer[0]->bulk.dial.client);
	peer_dial_fail(
	    &one->peers->peer[0]->bulk.dial, ERR_CLOSED, "broken by the test");
	PEER_NET_WAIT(&net, is_bulk_open(one));
	ck_assert_uint_eq(one->refused_count, 0);
	ck_assert_uint_eq(one->unreachable_count, 0);
}
END_TEST

/* A peer that proves itself is dialled at once, whatever the back-off. */
START_TEST(returning_peer_is_dialled_at_once)
{
	struct peer_link *link;
	uint64_t retry_at_us;

	peer_net_kill(&net, 2);
	peer_net_start(&net, 1);
	link = &one->peers->peer[0]->append;
	PEER_NET_WAIT(&net, link->backoff_us == PEER_BACKOFF_MAX_US &&
				link->dial.state == PEER_DIAL_CLOSED);
	retry_at_us = link->retry_at_us;
	peer_net_start(&net, 2);
	PEER_NET_WAIT(&net, peer_net_connected(&net, 1, 2));
	ck_assert_uint_lt(loop_now(net.loop), retry_at_us);
}
END_TEST

START_TEST(metrics_by_peer)
{
	struct buf text = { 0 };

	connect_both();
	heartbeat(1);
	PEER_NET_WAIT(&net, two->received_count == 1);
	metrics_print(&text);
	buf_append(&text, "", 1);
	ck_assert_ptr_nonnull(strstr((const char *)text.data,
	    "luminous_raft_peer_bytes_total{peer=\"n1\","
	    "direction=\"received\"} 2"));
	ck_assert_ptr_nonnull(strstr((const char *)text.data,
	    "luminous_raft_peer_connects_total{peer=\"n2\","
	    "result=\"ok\"} 2\n"));
	buf_release(&text);
}
END_TEST

Suite *
peer_suite(void)
{
	Suite *suite = suite_create("peer");
	TCase *tcase = tcase_create("peer");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, connect_all);
	tcase_add_test(tcase, connect_hears_the_hello);
	tcase_add_test(tcase, connect_with_fresh_nonces);
	tcase_add_test(tcase, connect_with_other_secret);
	tcase_add_test(tcase, connect_without_secret);
	tcase_add_test(tcase, connect_refused_by_their_hear);
	tcase_add_test(tcase, connect_refused_by_our_hear);
	tcase_add_test(tcase, link_of_unknown_member);
	tcase_add_test(tcase, append_and_answer);
	tcase_add_test(tcase, votes_reads_and_answers);
	tcase_add_test(tcase, timeout_now_is_not_answered);
	tcase_add_test(tcase, answer_of_other_kind);
	tcase_add_test(tcase, answer_covers_earlier_ones);
	tcase_add_test(tcase, answer_to_other_life);
	tcase_add_test(tcase, answer_forged);
	tcase_add_test(tcase, answer_never_given);
	tcase_add_test(tcase, answer_overdue);
	tcase_add_test(tcase, answer_not_ready);
	tcase_add_test(tcase, message_to_unknown_member);
	tcase_add_test(tcase, bulk_has_its_own_link);
	tcase_add_test(tcase, bulk_begins_above_its_limit);
	tcase_add_test(tcase, window_is_bounded);
	tcase_add_test(tcase, heartbeat_without_room_is_forgotten);
	tcase_add_test(tcase, dropped_entries_are_told_when_connected);
	tcase_add_test(tcase, killed_peer_is_refused_once);
	tcase_add_test(tcase, killed_peer_comes_back);
	tcase_add_test(tcase, peer_that_never_was_is_not_refused);
	tcase_add_test(tcase, single_broken_link_is_no_refusal);
	tcase_add_test(tcase, returning_peer_is_dialled_at_once);
	tcase_add_test(tcase, metrics_by_peer);
	suite_add_tcase(suite, tcase);
	return suite;
}
