/*
 * A member is dialled at an address, and says so: who listens there but is not
 * it can pass on what is said, and gains nothing by that.
 */

#include "common/err.h"
#include "net/http_server_impl.h"
#include "net/peer_impl.h"
#include "tests/unit/peer_net.h"
#include "tests/unit/suites.h"

#include <check.h>
#include <stdio.h>

static struct peer_net net;
static struct side *one;   /* an honest member */
static struct side *two;   /* another one, who dials */
static struct side *relay; /* somebody: the requests to it are noted */

static void
setup(void)
{
	peer_net_init(&net, 3);
	one = peer_net_side(&net, 1);
	two = peer_net_side(&net, 2);
	relay = peer_net_side(&net, 3);
	relay->holds = true;
	peer_net_listen(&net, 3);
	peer_net_listen(&net, 1);
}

static void
teardown(void)
{
	peer_net_release(&net);
}

static bool
said(struct stranger *stranger, const char *text)
{
	buf_append(&stranger->body, "", 1);
	stranger->body.size--;
	return strstr((const char *)stranger->body.data, text) != NULL;
}

/* Says hello to the first with another address; the status. */
static unsigned
hello_to(const char *to_address, raft_id to, enum wire_purpose purpose)
{
	struct stranger stranger;
	unsigned status;

	stranger_init(&stranger, &net, 1);
	if (to_address != NULL)
		stranger.to_address = to_address;
	status = stranger_hello(&stranger, 2, to, purpose);
	if (status != 200) {
		ck_assert(said(&stranger, "\"code\":\"wrong_address\""));
		ck_assert(said(&stranger, "the hello was sent to "));
		/* Nor does it prove anything to whoever passed it on. */
		ck_assert_uint_eq(stranger.proof.size, 0);
	}
	stranger_release(&stranger);
	return status;
}

/* ---- Which address is one's own ---- */

START_TEST(hello_to_where_it_came_in)
{
	ck_assert_uint_eq(hello_to(NULL, 1, WIRE_APPEND), 200);
	ck_assert_uint_eq(hello_to(NULL, 0, WIRE_PROBE), 200);
}
END_TEST

/* Behind a forwarded port it is known by an address that it never sees. */
START_TEST(hello_to_the_configured_address)
{
	peer_net_kill(&net, 1);
	one->address = "[fd00::1]:5864";
	peer_net_listen(&net, 1);
	ck_assert_uint_eq(hello_to("[fd00::1]:5864", 1, WIRE_BULK), 200);
	ck_assert_uint_eq(hello_to("[fd00:0::1]:5864", 1, WIRE_BULK), 200);
	ck_assert_uint_eq(hello_to("[fd00::1]:5865", 1, WIRE_BULK), 421);
	ck_assert_uint_eq(hello_to(NULL, 1, WIRE_BULK), 200);
}
END_TEST

START_TEST(hello_to_other_address)
{
	static const char *const others[] = { "", "10.0.0.9:5864", "n1",
		"127.0.0.1:1", "0.0.0.0:0" };
	static const enum wire_purpose purposes[] = { WIRE_APPEND, WIRE_BULK,
		WIRE_SNAPSHOT, WIRE_FORWARD, WIRE_PROBE };

	for (size_t i = 0; i < ARRAY_COUNT(others); i++) {
		for (size_t k = 0; k < ARRAY_COUNT(purposes); k++)
			ck_assert_uint_eq(
			    hello_to(others[i],
				purposes[k] == WIRE_PROBE ? 0 : 1, purposes[k]),
			    421);
	}
	ck_assert_uint_eq(one->heard_count, 0);
}
END_TEST

/* The membership is what the clients' port can change: it does not make an
 * address this node's own. */
START_TEST(hello_to_the_address_of_the_membership)
{
	struct node_members members = peer_net_members(&net);

	(void)snprintf(members.member[0].address,
	    sizeof(members.member[0].address), "10.0.0.9:5864");
	peers_set_members(one->peers, &members, 1);
	ck_assert_uint_eq(hello_to("10.0.0.9:5864", 1, WIRE_APPEND), 421);
}
END_TEST

/* ---- A relay ---- */

static struct slice
relayed_body(unsigned place)
{
	return relay->request[place]->body;
}

/* Passes the hello of the second on to the first, and the answer back. */
static void
pass_on(struct stranger *stranger)
{
	PEER_NET_WAIT(&net, relay->requests_count > 0);
	stranger_init(stranger, &net, 1);
	ck_assert_uint_eq(
	    stranger_post(stranger, "/raft/hello", "", relayed_body(0)), 421);
	ck_assert(said(stranger, "\"code\":\"wrong_address\""));
	ck_assert_uint_eq(stranger->proof.size, 0);
	http_reply_begin(relay->request[0], 421);
	http_reply_end(relay->request[0], buf_slice(&stranger->body));
}

START_TEST(relay_of_a_member)
{
	struct node_members members = peer_net_members(&net);
	struct stranger stranger;
	struct peers_link link;

	/* PUT /cluster/members/n1?address=, where somebody listens. */
	memcpy(members.member[0].address, members.member[2].address,
	    sizeof(members.member[0].address));
	members.count = 2;
	peer_net_listen(&net, 2);
	peers_set_members(two->peers, &members, 2);
	pass_on(&stranger);
	PEER_NET_WAIT(&net,
	    peers_get_link(two->peers, 1, &link) == 0 && link.attempts > 0);
	ck_assert(!link.connected);
	ck_assert_ptr_nonnull(strstr(link.last_error, "the hello was sent to"));
	ck_assert_uint_eq(one->heard_count, 0);
	ck_assert_uint_eq(two->heard_count, 0);
	stranger_release(&stranger);
	/* Back at the right address it is connected. */
	members = peer_net_members(&net);
	members.count = 2;
	peers_set_members(two->peers, &members, 2);
	PEER_NET_WAIT(&net, peer_net_connected(&net, 2, 1));
	ck_assert_uint_gt(one->heard_count, 0);
}
END_TEST

struct outcome {
	unsigned count;
	int error;
	char why[2 * PEER_REASON_SIZE];
};

static void
on_probed(
    void *context, const struct node_hello *hello, int error, const char *why)
{
	struct outcome *outcome = context;

	ck_assert_ptr_null(hello);
	outcome->count++;
	outcome->error = error;
	(void)snprintf(outcome->why, sizeof(outcome->why), "%s", why);
}

START_TEST(relay_of_a_probe)
{
	struct node_members members = peer_net_members(&net);
	struct outcome outcome = { 0 };
	struct peers_probe *made = NULL;
	struct stranger stranger;

	peer_net_listen(&net, 2);
	ck_assert_int_eq(peers_probe(two->peers, members.member[2].address,
			     UINT64_MAX, on_probed, &outcome, &made),
	    0);
	pass_on(&stranger);
	PEER_NET_WAIT(&net, outcome.count == 1);
	ck_assert_int_eq(outcome.error, ERR_MISMATCH);
	ck_assert_ptr_nonnull(
	    strstr(outcome.why, "no luminousd that knows the cluster secret"));
	ck_assert_uint_eq(one->heard_count, 0);
	stranger_release(&stranger);
}
END_TEST

/* ---- What a probe is good for ---- */

/* It means whoever listens, so it makes nobody a member. */
START_TEST(probe_does_not_make_proved)
{
	struct stranger stranger;

	stranger_init(&stranger, &net, 1);
	ck_assert_uint_eq(stranger_hello(&stranger, 2, 0, WIRE_PROBE), 200);
	ck_assert_uint_eq(stranger_prove(&stranger, "the cluster secret"), 204);
	stranger_send(&stranger, "/kv/a", "Luminous-Forwarded-By: 2\r\n",
	    slice_from_text(""));
	PEER_NET_WAIT(&net, one->requests_count == 1);
	ck_assert_uint_eq(peers_proved(one->request[0]), 0);
	ck_assert(!one->request[0]->connection->is_protected);
	stranger_release(&stranger);
}
END_TEST

START_TEST(other_purposes_are_protected)
{
	struct stranger stranger;

	stranger_init(&stranger, &net, 1);
	ck_assert_uint_eq(stranger_hello(&stranger, 2, 1, WIRE_FORWARD), 200);
	ck_assert_uint_eq(stranger_prove(&stranger, "the cluster secret"), 204);
	stranger_send(&stranger, "/kv/a", "", slice_from_text(""));
	PEER_NET_WAIT(&net, one->requests_count == 1);
	ck_assert_uint_eq(peers_proved(one->request[0]), 2);
	ck_assert(one->request[0]->connection->is_protected);
	stranger_release(&stranger);
}
END_TEST

Suite *
peer_address_suite(void)
{
	Suite *suite = suite_create("peer_address");
	TCase *tcase = tcase_create("address");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, hello_to_where_it_came_in);
	tcase_add_test(tcase, hello_to_the_configured_address);
	tcase_add_test(tcase, hello_to_other_address);
	tcase_add_test(tcase, hello_to_the_address_of_the_membership);
	tcase_add_test(tcase, relay_of_a_member);
	tcase_add_test(tcase, relay_of_a_probe);
	tcase_add_test(tcase, probe_does_not_make_proved);
	tcase_add_test(tcase, other_purposes_are_protected);
	suite_add_tcase(suite, tcase);
	return suite;
}
