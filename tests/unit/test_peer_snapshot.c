/* Pieces of snapshots and their answers. */

#include "common/err.h"
#include "net/peer_impl.h"
#include "tests/unit/peer_net.h"
#include "tests/unit/suites.h"

#include <check.h>

static struct peer_net net;
static struct side *one;
static struct side *two;
static struct peer_snapshot *snapshot; /* from one to two */

static void
setup(void)
{
	peer_net_init(&net, 2);
	one = peer_net_side(&net, 1);
	two = peer_net_side(&net, 2);
	peer_net_start(&net, 1);
	peer_net_start(&net, 2);
	PEER_NET_WAIT(&net, peer_net_all_connected(&net));
	snapshot = &peer_net_peer(&net, 1, 2)->snapshot;
}

static void
teardown(void)
{
	peer_net_release(&net);
}

static void
send_piece(const char *piece)
{
	peers_send_snapshot(one->peers, 2, slice_from_text(piece));
}

static void
send_large_piece(size_t size)
{
	struct buf piece = { 0 };

	memset(buf_reserve(&piece, size), 'x', size);
	piece.size = size;
	peers_send_snapshot(one->peers, 2, buf_slice(&piece));
	buf_release(&piece);
}

/* The one answer to the last piece. */
static void
check_answer(const char *answer)
{
	PEER_NET_WAIT(&net, one->answered_count > 0);
	ck_assert_uint_eq(one->answered_count, 1);
	ck_assert_uint_eq(one->answered_by, 2);
	ck_assert_str_eq(one->answered, answer);
	ck_assert_int_eq(snapshot->state, PEER_SNAPSHOT_IDLE);
	one->answered_count = 0;
}

/* A piece is with the second, who does not answer. */
static void
hold_piece(void)
{
	send_piece("first");
	check_answer("go on");
	two->holds = true;
	send_piece("second");
	PEER_NET_WAIT(&net, two->requests_count == 1);
	ck_assert_int_eq(snapshot->state, PEER_SNAPSHOT_UNDER_WAY);
}

START_TEST(piece_and_answer)
{
	peer_net_pass_some(&net);
	ck_assert_int_eq(snapshot->dial.state, PEER_DIAL_CLOSED);
	send_piece("piece");
	check_answer("go on");
	ck_assert_uint_eq(two->pieces_count, 1);
	ck_assert_uint_eq(two->piece_from, 1);
	ck_assert_str_eq(two->piece, "piece");
}
END_TEST

START_TEST(pieces_on_one_connection)
{
	uint32_t connections;

	send_piece("first");
	check_answer("go on");
	connections = http_server_connections(two->server);
	two->heard_count = 0;
	one->pieces_left = 5;
	send_piece("second");
	PEER_NET_WAIT(&net, one->answered_count == 6);
	ck_assert_uint_eq(two->pieces_count, 7);
	ck_assert_str_eq(two->piece, "next");
	ck_assert_uint_eq(two->heard_count, 0);
	ck_assert_uint_eq(http_server_connections(two->server), connections);
}
END_TEST

START_TEST(piece_of_any_size)
{
	send_large_piece(one->peers->params.snapshot_bytes_max);
	check_answer("go on");
	ck_assert_uint_eq(
	    two->piece_size, one->peers->params.snapshot_bytes_max);
	send_large_piece(one->peers->params.snapshot_bytes_max + 1);
	check_answer("");
	ck_assert_uint_eq(two->pieces_count, 1);
	send_large_piece(0);
	check_answer("go on");
}
END_TEST

/* Scenario G24: the answer comes while most of the piece is still here. */
START_TEST(piece_refused_while_it_is_sent)
{
	send_large_piece(one->peers->params.snapshot_bytes_max + (32u << 20));
	check_answer("");
	ck_assert_uint_eq(two->pieces_count, 0);
	/* Nothing of it is taken for the next one. */
	send_piece("piece");
	check_answer("go on");
	ck_assert_str_eq(two->piece, "piece");
	one->pieces_left = 2;
	send_piece("first");
	PEER_NET_WAIT(&net, one->answered_count == 3);
	ck_assert_str_eq(two->piece, "next");
	ck_assert_uint_eq(two->pieces_count, 4);
}
END_TEST

/* Scenario G23: messages go on as if there was no snapshot. */
START_TEST(heartbeat_overtakes_piece)
{
	send_large_piece(one->peers->params.snapshot_bytes_max);
	peer_net_append(&net, 1, 2, 1, slice_from_text(""), 0);
	PEER_NET_WAIT(&net, two->received_count == 1);
	ck_assert_uint_eq(one->answered_count, 0);
	check_answer("go on");
}
END_TEST

START_TEST(idle_connection_is_closed)
{
	uint64_t now_us;

	send_piece("piece");
	check_answer("go on");
	peer_net_pass(&net);
	now_us = loop_now(net.loop);
	/* Nothing is due: the loop may sleep. */
	ck_assert_uint_gt(peers_deadline(one->peers), now_us);
	ck_assert_uint_le(
	    peer_snapshot_deadline(snapshot), now_us + PEER_SNAPSHOT_IDLE_US);
	peer_snapshot_expire(snapshot, snapshot->until_us - 1);
	ck_assert_int_eq(snapshot->dial.state, PEER_DIAL_OPEN);
	peer_snapshot_expire(snapshot, snapshot->until_us);
	ck_assert_int_eq(snapshot->dial.state, PEER_DIAL_CLOSED);
	ck_assert_uint_eq(peer_snapshot_deadline(snapshot), UINT64_MAX);
	send_piece("piece");
	check_answer("go on");
}
END_TEST

/* ---- The empty answer ---- */

START_TEST(piece_refused_by_node)
{
	static const int results[] = { ERR_INVALID, ERR_AGAIN };

	for (size_t i = 0; i < ARRAY_COUNT(results); i++) {
		two->piece_result = results[i];
		send_piece("piece");
		check_answer("");
	}
	two->piece_result = 0;
	send_piece("piece");
	check_answer("go on");
}
END_TEST

START_TEST(piece_to_dead_peer)
{
	peer_net_kill(&net, 2);
	send_piece("piece");
	check_answer("");
	ck_assert_str_eq(snapshot->dial.reason, "connection refused");
	ck_assert_uint_eq(one->unreachable_count, 0);
}
END_TEST

/* A node that sends again at once does not dial in a loop. */
START_TEST(failed_dials_back_off)
{
	uint64_t start_us = loop_update_now(net.loop);

	peer_net_kill(&net, 2);
	one->pieces_left = 2;
	send_piece("piece");
	PEER_NET_WAIT(&net, one->answered_count == 3);
	ck_assert_uint_ge(
	    loop_now(net.loop), start_us + 3 * PEER_BACKOFF_MIN_US);
	ck_assert_uint_eq(snapshot->backoff_us, 4 * PEER_BACKOFF_MIN_US);
	peer_net_start(&net, 2);
	one->answered_count = 0;
	send_piece("piece");
	check_answer("go on");
}
END_TEST

START_TEST(link_broken_under_way)
{
	hold_piece();
	peer_net_kill(&net, 2);
	check_answer("");
	peer_net_pass_some(&net);
	ck_assert_uint_eq(one->answered_count, 0);
}
END_TEST

/* What counts is that something moves, however long the whole takes. */
START_TEST(piece_without_progress)
{
	uint64_t now_us;

	hold_piece();
	now_us = snapshot->until_us;
	peer_snapshot_expire(snapshot, now_us - 1);
	ck_assert_int_eq(snapshot->state, PEER_SNAPSHOT_UNDER_WAY);
	snapshot->moved_bytes--;
	peer_snapshot_expire(snapshot, now_us);
	ck_assert_int_eq(snapshot->state, PEER_SNAPSHOT_UNDER_WAY);
	ck_assert_uint_eq(
	    peer_snapshot_deadline(snapshot), now_us + PEER_SNAPSHOT_STALL_US);
	peer_snapshot_expire(snapshot, now_us + PEER_SNAPSHOT_STALL_US);
	ck_assert_int_eq(snapshot->dial.state, PEER_DIAL_CLOSED);
	check_answer("");
}
END_TEST

START_TEST(piece_to_no_member)
{
	peers_send_snapshot(one->peers, 9, slice_from_text("piece"));
	ck_assert_uint_eq(one->answered_count, 0);
	PEER_NET_WAIT(&net, one->answered_count == 1);
	ck_assert_uint_eq(one->answered_by, 9);
	ck_assert_str_eq(one->answered, "");
}
END_TEST

START_TEST(member_removed_under_way)
{
	static const struct node_members nobody;

	hold_piece();
	peers_set_members(one->peers, &nobody, 1);
	/* Within the node's turn nothing comes back. */
	ck_assert_uint_eq(one->answered_count, 0);
	PEER_NET_WAIT(&net, one->answered_count == 1);
	ck_assert_str_eq(one->answered, "");
	peer_net_pass_some(&net);
	ck_assert_uint_eq(one->answered_count, 1);
}
END_TEST

/* ---- Cancelling ---- */

START_TEST(cancelled_while_waiting)
{
	send_piece("first");
	peers_cancel_snapshot(one->peers, 2);
	peer_net_pass_some(&net);
	ck_assert_uint_eq(one->answered_count, 0);
	ck_assert_uint_eq(two->pieces_count, 0);
	send_piece("second");
	check_answer("go on");
	ck_assert_str_eq(two->piece, "second");
}
END_TEST

START_TEST(cancelled_under_way)
{
	hold_piece();
	peers_cancel_snapshot(one->peers, 2);
	two->holds = false;
	two->piece_answer = "the third";
	send_piece("third");
	check_answer("the third");
	peer_net_pass_some(&net);
	ck_assert_uint_eq(one->answered_count, 0);
	ck_assert_uint_eq(two->pieces_count, 2);
}
END_TEST

/* Its empty answer is not taken for that of the next piece. */
START_TEST(cancelled_after_failure)
{
	peers_send_snapshot(one->peers, 9, slice_from_text("piece"));
	peers_cancel_snapshot(one->peers, 9);
	peer_net_pass_some(&net);
	ck_assert_uint_eq(one->answered_count, 0);
}
END_TEST

START_TEST(cancelled_when_idle)
{
	send_piece("first");
	check_answer("go on");
	peers_cancel_snapshot(one->peers, 2);
	ck_assert_int_eq(snapshot->dial.state, PEER_DIAL_OPEN);
	peer_net_pass_some(&net);
	ck_assert_uint_eq(one->answered_count, 0);
}
END_TEST

/* ---- The receiver ---- */

static unsigned
post_piece(raft_id from, enum wire_purpose purpose, bool proves)
{
	struct stranger stranger;
	unsigned status;

	stranger_init(&stranger, &net, 2);
	ck_assert_uint_eq(stranger_hello(&stranger, from, 2, purpose), 200);
	if (proves)
		ck_assert_uint_eq(
		    stranger_prove(&stranger, "the cluster secret"), 204);
	status = stranger_post(
	    &stranger, "/raft/snapshot", "", slice_from_text("piece"));
	stranger_release(&stranger);
	return status;
}

START_TEST(piece_needs_its_connection)
{
	ck_assert_uint_eq(post_piece(1, WIRE_SNAPSHOT, false), 403);
	ck_assert_uint_eq(post_piece(1, WIRE_APPEND, true), 403);
	ck_assert_uint_eq(post_piece(1, WIRE_FORWARD, true), 403);
	ck_assert_uint_eq(two->pieces_count, 0);
	ck_assert_uint_eq(post_piece(1, WIRE_SNAPSHOT, true), 200);
	ck_assert_uint_eq(two->pieces_count, 1);
}
END_TEST

START_TEST(piece_of_unknown_member)
{
	ck_assert_uint_eq(post_piece(70, WIRE_SNAPSHOT, true), 200);
	ck_assert_uint_eq(two->piece_from, 70);
}
END_TEST

Suite *
peer_snapshot_suite(void)
{
	Suite *suite = suite_create("peer_snapshot");
	TCase *tcase = tcase_create("snapshot");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, piece_and_answer);
	tcase_add_test(tcase, pieces_on_one_connection);
	tcase_add_test(tcase, piece_of_any_size);
	tcase_add_test(tcase, piece_refused_while_it_is_sent);
	tcase_add_test(tcase, heartbeat_overtakes_piece);
	tcase_add_test(tcase, idle_connection_is_closed);
	tcase_add_test(tcase, piece_refused_by_node);
	tcase_add_test(tcase, piece_to_dead_peer);
	tcase_add_test(tcase, failed_dials_back_off);
	tcase_add_test(tcase, link_broken_under_way);
	tcase_add_test(tcase, piece_without_progress);
	tcase_add_test(tcase, piece_to_no_member);
	tcase_add_test(tcase, member_removed_under_way);
	tcase_add_test(tcase, cancelled_while_waiting);
	tcase_add_test(tcase, cancelled_under_way);
	tcase_add_test(tcase, cancelled_after_failure);
	tcase_add_test(tcase, cancelled_when_idle);
	tcase_add_test(tcase, piece_needs_its_connection);
	tcase_add_test(tcase, piece_of_unknown_member);
	suite_add_tcase(suite, tcase);
	return suite;
}
