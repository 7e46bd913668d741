/* Members that come, move and go while others are in use. */

#include "common/err.h"
#include "net/peer_impl.h"
#include "tests/unit/peer_net.h"
#include "tests/unit/suites.h"

#include <check.h>
#include <stdio.h>

static struct peer_net net;
static struct side *one;
static struct side *two;
static struct side *three;

static void
setup(void)
{
	peer_net_init(&net, 3);
	one = peer_net_side(&net, 1);
	two = peer_net_side(&net, 2);
	three = peer_net_side(&net, 3);
}

static void
teardown(void)
{
	peer_net_release(&net);
}

static void
connect_all(void)
{
	for (raft_id id = 1; id <= 3; id++)
		peer_net_start(&net, id);
	PEER_NET_WAIT(&net, peer_net_all_connected(&net));
}

/* The list without one member. */
static struct node_members
members_without(raft_id id)
{
	struct node_members members = peer_net_members(&net);

	for (unsigned i = (unsigned)id; i < members.count; i++)
		members.member[i - 1] = members.member[i];
	members.count--;
	return members;
}

static void
remove_from(struct side *side, raft_id id)
{
	struct node_members members = members_without(id);

	peers_set_members(side->peers, &members, side->id);
}

static bool
is_listed(struct side *side, raft_id id)
{
	struct peers_link link;

	return peers_get_link(side->peers, id, &link) == 0;
}

static void
acknowledge(struct side *from, raft_id to, uint64_t sequence)
{
	struct raft_message response = peer_net_message(
	    &net, RAFT_APPEND_RESPONSE, from->id, to, sequence);

	peers_send(from->peers, &response, NULL);
}

/* ---- Who is dialled ---- */

START_TEST(nobody_at_first)
{
	peer_net_listen(&net, 1);
	peer_net_listen(&net, 2);
	peer_net_pass_some(&net);
	ck_assert(!is_listed(one, 2));
	ck_assert_uint_eq(peers_deadline(one->peers), UINT64_MAX);
	ck_assert_uint_eq(http_server_connections(two->server), 0);
}
END_TEST

START_TEST(no_member_dials_nobody)
{
	struct node_members members = peer_net_members(&net);

	one->joining = true;
	peer_net_listen(&net, 1);
	peer_net_listen(&net, 2);
	peers_set_members(one->peers, &members, 0);
	peer_net_pass_some(&net);
	ck_assert(!is_listed(one, 2));
	ck_assert_uint_eq(http_server_connections(two->server), 0);
}
END_TEST

START_TEST(added_member_is_dialled)
{
	struct node_members members = members_without(3);
	struct peer *kept;

	peer_net_listen(&net, 1);
	peer_net_listen(&net, 2);
	peer_net_listen(&net, 3);
	peers_set_members(one->peers, &members, 1);
	PEER_NET_WAIT(&net, peer_net_connected(&net, 1, 2));
	kept = peer_net_peer(&net, 1, 2);
	PEER_NET_WAIT(&net, peer_link_is_open(&kept->bulk));
	two->heard_count = 0;
	members = peer_net_members(&net);
	peers_set_members(one->peers, &members, 1);
	PEER_NET_WAIT(&net, peer_net_connected(&net, 1, 3));
	/* The other one was left alone. */
	ck_assert_ptr_eq(peer_net_peer(&net, 1, 2), kept);
	ck_assert(peer_net_connected(&net, 1, 2));
	ck_assert_uint_eq(two->heard_count, 0);
}
END_TEST

START_TEST(removed_member_is_left)
{
	peer_net_listen(&net, 3);
	peer_net_start(&net, 1);
	peer_net_listen(&net, 2);
	PEER_NET_WAIT(&net, peer_net_connected(&net, 1, 3));
	peer_net_append(&net, 1, 3, 1, slice_from_text("r"), 1);
	PEER_NET_WAIT(&net, three->received_count == 1);
	remove_from(one, 3);
	ck_assert(!is_listed(one, 3));
	PEER_NET_WAIT(&net, http_server_connections(three->server) == 0);
	ck_assert(list_empty(&one->peers->gone));
	/* Who is no member any more is nothing to tell the node about. */
	ck_assert_uint_eq(one->unreachable_count, 0);
	PEER_NET_WAIT(&net, peer_net_connected(&net, 1, 2));
}
END_TEST

START_TEST(removed_and_added_again)
{
	struct node_members members = peer_net_members(&net);

	connect_all();
	remove_from(one, 3);
	peers_set_members(one->peers, &members, 1);
	ck_assert(!peer_net_connected(&net, 1, 3));
	PEER_NET_WAIT(&net, peer_net_connected(&net, 1, 3));
	peer_net_append(&net, 1, 3, 1, slice_from_text("r"), 1);
	PEER_NET_WAIT(&net, three->received_count == 1);
}
END_TEST

START_TEST(moved_member_is_dialled_there)
{
	struct node_members members = peer_net_members(&net);
	struct peers_link link;

	peer_net_listen(&net, 1);
	peer_net_listen(&net, 2);
	peer_net_listen(&net, 3);
	(void)snprintf(members.member[1].address,
	    sizeof(members.member[1].address), "%s", members.member[2].address);
	peers_set_members(one->peers, &members, 1);
	PEER_NET_WAIT(&net,
	    peers_get_link(one->peers, 2, &link) == 0 && link.attempts > 1);
	ck_assert_str_eq(
	    link.last_error, "the hello is for member 2, this is member 3");
	members = peer_net_members(&net);
	peers_set_members(one->peers, &members, 1);
	PEER_NET_WAIT(&net, peer_net_connected(&net, 1, 2));
}
END_TEST

/* What was heard there says nothing of the new address, and it is told at
 * once; appends that were on their way may be lost, and when it is connected
 * again, that is told. */
START_TEST(moved_member_is_told_unreachable)
{
	struct node_members members = peer_net_members(&net);

	connect_all();
	peer_net_append(&net, 1, 2, 1, slice_from_text("r"), 1);
	PEER_NET_WAIT(&net, two->received_count == 1);
	members.member[1].address[0] = '0';
	peers_set_members(one->peers, &members, 1);
	members = peer_net_members(&net);
	peers_set_members(one->peers, &members, 1);
	peers_expire(one->peers, loop_now(net.loop));
	ck_assert_uint_eq(one->unreachable_count, 1);
	PEER_NET_WAIT(&net, one->unreachable_count == 2);
	ck_assert(peer_net_connected(&net, 1, 2));
}
END_TEST

/* Nobody asks any more about one that has left. */
START_TEST(removed_member_is_told_nothing_of)
{
	connect_all();
	remove_from(one, 2);
	peer_net_pass_some(&net);
	ck_assert_uint_eq(one->unreachable_count, 0);
}
END_TEST

static bool
has_metrics_of(const char *name)
{
	struct buf text = { 0 };
	char label[32];
	bool found;

	(void)snprintf(label, sizeof(label), "{peer=\"%s\"", name);
	metrics_print(&text);
	buf_append(&text, "", 1);
	found = strstr((const char *)text.data, label) != NULL;
	buf_release(&text);
	return found;
}

/* Members that are replaced for months leave nothing behind. */
START_TEST(metrics_of_removed_member_are_gone)
{
	struct node_members members;

	connect_all();
	/* The other two have it as well: the process is that of all here. */
	remove_from(two, 3);
	remove_from(one, 3);
	PEER_NET_WAIT(&net, list_empty(&two->peers->gone));
	PEER_NET_WAIT(&net, list_empty(&one->peers->gone));
	ck_assert(!has_metrics_of("n3"));
	ck_assert(has_metrics_of("n2"));
	members = peer_net_members(&net);
	peers_set_members(one->peers, &members, 1);
	ck_assert(has_metrics_of("n3"));
}
END_TEST

/* A counter that fell back to 0 would be a restart to who reads it. */
START_TEST(metrics_of_moved_member_go_on)
{
	struct node_members members = peer_net_members(&net);
	struct metric *before;

	connect_all();
	before = peer_net_peer(&net, 1, 2)->connects[PEER_CONNECT_OK];
	members.member[1].address[0] = '0';
	peers_set_members(one->peers, &members, 1);
	PEER_NET_WAIT(&net, list_empty(&one->peers->gone));
	ck_assert_ptr_eq(
	    peer_net_peer(&net, 1, 2)->connects[PEER_CONNECT_OK], before);
	ck_assert(has_metrics_of("n2"));
}
END_TEST

START_TEST(directory_that_becomes_known)
{
	struct node_members members = peer_net_members(&net);
	struct peer *kept;

	connect_all();
	kept = peer_net_peer(&net, 1, 2);
	members.member[1].directory[0] = 7;
	peers_set_members(one->peers, &members, 1);
	ck_assert_ptr_eq(peer_net_peer(&net, 1, 2), kept);
	ck_assert(peer_net_connected(&net, 1, 2));
	/* Now it is another one. */
	members.member[1].directory[0] = 8;
	peers_set_members(one->peers, &members, 1);
	ck_assert_ptr_ne(peer_net_peer(&net, 1, 2), kept);
	PEER_NET_WAIT(&net, peer_net_connected(&net, 1, 2));
}
END_TEST

START_TEST(removed_itself)
{
	struct node_members members = members_without(1);

	connect_all();
	peers_set_members(one->peers, &members, 0);
	ck_assert(!is_listed(one, 2));
	ck_assert(!is_listed(one, 3));
	peer_net_pass_some(&net);
	ck_assert(list_empty(&one->peers->gone));
	ck_assert_uint_eq(one->unreachable_count, 0);
}
END_TEST

/* ---- What is under way ---- */

/* Answers find their request by who asked, not by its place in a list. */
START_TEST(pending_request_outlives_the_list)
{
	struct node_members members = { .count = 0 };

	connect_all();
	peer_net_append(&net, 1, 2, 5, slice_from_text("r"), 1);
	peer_net_append(&net, 3, 2, 5, slice_from_text("r"), 1);
	PEER_NET_WAIT(&net, two->received_count == 2);
	remove_from(two, 1);
	peer_net_pass_some(&net);
	acknowledge(two, 3, 5);
	PEER_NET_WAIT(&net, three->received_count == 1);
	ck_assert_uint_eq(one->received_count, 0);
	peers_set_members(two->peers, &members, 2);
	acknowledge(two, 1, 5);
	PEER_NET_WAIT(&net, one->received_count == 1);
	ck_assert_uint_eq(one->received[0].from, 2);
	ck_assert_uint_eq(three->received_count, 1);
}
END_TEST

START_TEST(answer_under_way_outlives_the_list)
{
	connect_all();
	peer_net_append(&net, 1, 3, 5, slice_from_text("r"), 1);
	PEER_NET_WAIT(&net, three->received_count == 1);
	remove_from(one, 2);
	acknowledge(three, 1, 5);
	PEER_NET_WAIT(&net, one->received_count == 1);
	ck_assert_uint_eq(one->received[0].from, 3);
	ck_assert_uint_eq(peer_net_peer(&net, 1, 3)->append.under_way, 0);
}
END_TEST

struct outcome {
	unsigned count;
	int error;
	bool sent;
};

static void
on_end(
    void *context, int error, bool sent, const struct http_client_reply *reply)
{
	struct outcome *outcome = context;

	(void)reply;
	outcome->count++;
	outcome->error = error;
	outcome->sent = sent;
}

static struct peers_forward *
forward(raft_id to, struct outcome *outcome)
{
	struct peers_forward *made = NULL;

	*outcome = (struct outcome){ 0 };
	ck_assert_int_eq(
	    peers_forward(one->peers, to, HTTP_GET, slice_from_text("/kv/a"),
		slice_of(NULL, 0), slice_of(NULL, 0), false,
		loop_now(net.loop) + 5000000, on_end, outcome, &made),
	    0);
	return made;
}

/* As of a leader that was asked to remove itself. */
START_TEST(forwarded_request_outlives_its_member)
{
	struct outcome sent;
	struct outcome waits;

	connect_all();
	(void)forward(2, &sent);
	PEER_NET_WAIT(&net, two->requests_count == 1);
	(void)forward(2, &waits);
	remove_from(one, 2);
	PEER_NET_WAIT(&net, waits.count == 1);
	ck_assert_int_eq(waits.error, ERR_CLOSED);
	ck_assert(!waits.sent);
	ck_assert_uint_eq(sent.count, 0);
	http_reply_begin(two->request[0], 200);
	peers_seal(two->request[0], slice_of(NULL, 0));
	http_reply_end(two->request[0], slice_of(NULL, 0));
	PEER_NET_WAIT(&net, sent.count == 1);
	ck_assert_int_eq(sent.error, 0);
	PEER_NET_WAIT(&net, list_empty(&one->peers->gone));
}
END_TEST

START_TEST(forwarded_request_of_gone_member_is_cancelled)
{
	struct peers_forward *made[2];
	struct outcome outcomes[2];

	connect_all();
	made[0] = forward(2, &outcomes[0]);
	PEER_NET_WAIT(&net, two->requests_count == 1);
	made[1] = forward(2, &outcomes[1]);
	remove_from(one, 2);
	peers_cancel(one->peers, made[0]);
	peers_cancel(one->peers, made[1]);
	peer_net_kill(&net, 2);
	PEER_NET_WAIT(&net, list_empty(&one->peers->gone));
	ck_assert_uint_eq(outcomes[0].count + outcomes[1].count, 0);
}
END_TEST

START_TEST(freed_with_gone_members)
{
	struct outcome outcome;

	connect_all();
	(void)forward(2, &outcome);
	PEER_NET_WAIT(&net, two->requests_count == 1);
	remove_from(one, 2);
	peer_net_pass(&net);
	ck_assert(!list_empty(&one->peers->gone));
	peer_net_kill(&net, 1);
	ck_assert_uint_eq(outcome.count, 0);
}
END_TEST

/* ---- Joining ---- */

/* It has no id in its answer, and is a member of what it hears. */
START_TEST(joining_node_is_made_a_member)
{
	struct node_members members = peer_net_members(&net);

	two->joining = true;
	peer_net_start(&net, 1);
	peer_net_listen(&net, 2);
	PEER_NET_WAIT(&net, peer_net_connected(&net, 1, 2));
	ck_assert_int_eq(one->heard.stage, NODE_HELLO_JOINING);
	ck_assert_uint_eq(one->heard.from, 0);
	ck_assert_int_eq(two->heard.stage, NODE_HELLO_MEMBER);
	ck_assert_uint_eq(two->heard.to, 2);
	/* Messages may come before its peers know of the new id. */
	peer_net_append(&net, 1, 2, 5, slice_from_text("r"), 1);
	PEER_NET_WAIT(&net, two->received_count == 1);
	acknowledge(two, 1, 5);
	PEER_NET_WAIT(&net, one->received_count == 1);
	two->joining = false;
	peers_set_members(two->peers, &members, 2);
	PEER_NET_WAIT(&net, peer_net_connected(&net, 2, 1));
	ck_assert(peer_net_connected(&net, 1, 2));
	ck_assert_uint_eq(one->heard.from, 2);
}
END_TEST

START_TEST(joining_node_refuses)
{
	struct peers_link link;

	two->joining = true;
	two->hear_result = ERR_MISMATCH;
	peer_net_start(&net, 1);
	peer_net_listen(&net, 2);
	PEER_NET_WAIT(&net,
	    peers_get_link(one->peers, 2, &link) == 0 && link.attempts > 1);
	ck_assert_str_eq(link.last_error, "another cluster");
}
END_TEST

Suite *
peer_members_suite(void)
{
	Suite *suite = suite_create("peer_members");
	TCase *tcase = tcase_create("members");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, nobody_at_first);
	tcase_add_test(tcase, no_member_dials_nobody);
	tcase_add_test(tcase, added_member_is_dialled);
	tcase_add_test(tcase, removed_member_is_left);
	tcase_add_test(tcase, removed_and_added_again);
	tcase_add_test(tcase, moved_member_is_dialled_there);
	tcase_add_test(tcase, moved_member_is_told_unreachable);
	tcase_add_test(tcase, removed_member_is_told_nothing_of);
	tcase_add_test(tcase, metrics_of_removed_member_are_gone);
	tcase_add_test(tcase, metrics_of_moved_member_go_on);
	tcase_add_test(tcase, directory_that_becomes_known);
	tcase_add_test(tcase, removed_itself);
	tcase_add_test(tcase, pending_request_outlives_the_list);
	tcase_add_test(tcase, answer_under_way_outlives_the_list);
	tcase_add_test(tcase, forwarded_request_outlives_its_member);
	tcase_add_test(tcase, forwarded_request_of_gone_member_is_cancelled);
	tcase_add_test(tcase, freed_with_gone_members);
	tcase_add_test(tcase, joining_node_is_made_a_member);
	tcase_add_test(tcase, joining_node_refuses);
	suite_add_tcase(suite, tcase);
	return suite;
}
