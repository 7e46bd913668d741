/* Asking an address who is there. */

#include "common/err.h"
#include "net/peer_impl.h"
#include "tests/unit/peer_net.h"
#include "tests/unit/suites.h"

#include <check.h>
#include <stdio.h>

static struct peer_net net;
static struct side *one;
static struct side *two;

struct outcome {
	unsigned count;
	int error;
	char why[2 * PEER_REASON_SIZE];
	struct node_hello hello;
	struct peers_probe *cancels; /* when it ends; NULL: none */
};

static struct outcome outcome;

static void
setup(void)
{
	peer_net_init(&net, 2);
	one = peer_net_side(&net, 1);
	two = peer_net_side(&net, 2);
	outcome = (struct outcome){ 0 };
}

static void
teardown(void)
{
	peer_net_release(&net);
}

static void
on_probed(
    void *context, const struct node_hello *hello, int error, const char *why)
{
	struct outcome *ended = context;

	ended->count++;
	ended->error = error;
	ck_assert_int_eq(error == 0, hello != NULL);
	ck_assert_int_eq(error == 0, why == NULL);
	if (hello != NULL)
		ended->hello = *hello;
	else
		(void)snprintf(ended->why, sizeof(ended->why), "%s", why);
	if (ended->cancels != NULL)
		peers_probe_cancel(one->peers, ended->cancels);
}

static struct peers_probe *
probe(raft_id id, struct outcome *ret_outcome)
{
	struct peers_probe *made = NULL;
	char address[32];

	(void)snprintf(
	    address, sizeof(address), "127.0.0.1:%u", net.port[id - 1]);
	ck_assert_int_eq(peers_probe(one->peers, address, UINT64_MAX, on_probed,
			     ret_outcome, &made),
	    0);
	return made;
}

/* The reason, around the address of the second. */
static void
check_failed(int error, const char *before, const char *behind)
{
	char why[2 * PEER_REASON_SIZE];

	PEER_NET_WAIT(&net, outcome.count > 0);
	peer_net_pass(&net);
	(void)snprintf(
	    why, sizeof(why), "%s127.0.0.1:%u%s", before, net.port[1], behind);
	ck_assert_uint_eq(outcome.count, 1);
	ck_assert_str_eq(outcome.why, why);
	ck_assert_int_eq(outcome.error, error);
	ck_assert_uint_eq(one->peers->probes_count, 0);
}

/* What somebody says who proves nothing is told to nobody but the log. */
static void
check_unproved(int error)
{
	check_failed(error,
	    "no luminousd that knows the cluster secret answers at ",
	    "; the log of the leader says more");
}

START_TEST(probe_of_joining_node)
{
	two->joining = true;
	peer_net_listen(&net, 1);
	peer_net_listen(&net, 2);
	(void)probe(2, &outcome);
	PEER_NET_WAIT(&net, outcome.count == 1);
	ck_assert_int_eq(outcome.error, 0);
	ck_assert_int_eq(outcome.hello.stage, NODE_HELLO_JOINING);
	ck_assert_uint_eq(outcome.hello.from, 0);
	ck_assert_uint_eq(outcome.hello.boot_id, two->boot_id);
	ck_assert_str_eq(outcome.hello.name, "n2");
	/* The other side knows as well whom it talks to. */
	ck_assert_uint_eq(two->heard_count, 1);
	ck_assert_int_eq(two->heard.stage, NODE_HELLO_PROBE);
	ck_assert_uint_eq(two->heard.from, 1);
	ck_assert_uint_eq(two->heard.to, 0);
	/* Who was asked is not judged here. */
	ck_assert_uint_eq(one->heard_count, 0);
	PEER_NET_WAIT(&net, http_server_connections(two->server) == 0);
}
END_TEST

START_TEST(probe_of_member)
{
	peer_net_listen(&net, 1);
	peer_net_listen(&net, 2);
	(void)probe(2, &outcome);
	PEER_NET_WAIT(&net, outcome.count == 1);
	ck_assert_int_eq(outcome.hello.stage, NODE_HELLO_MEMBER);
	ck_assert_uint_eq(outcome.hello.from, 2);
}
END_TEST

/* ---- Reasons ---- */

START_TEST(nobody_listens)
{
	peer_net_listen(&net, 1);
	peer_net_kill(&net, 2);
	(void)probe(2, &outcome);
	check_unproved(ERR_NOT_FOUND);
}
END_TEST

START_TEST(other_secret)
{
	two->secret = "another secret";
	peer_net_listen(&net, 1);
	peer_net_listen(&net, 2);
	(void)probe(2, &outcome);
	check_unproved(ERR_DENIED);
	ck_assert_uint_eq(two->heard_count, 0);
}
END_TEST

START_TEST(no_secret_there)
{
	two->secret = "";
	peer_net_listen(&net, 1);
	peer_net_listen(&net, 2);
	(void)probe(2, &outcome);
	check_unproved(ERR_DENIED);
}
END_TEST

START_TEST(no_secret_here)
{
	one->secret = "";
	peer_net_listen(&net, 1);
	peer_net_listen(&net, 2);
	(void)probe(2, &outcome);
	ck_assert_uint_eq(outcome.count, 0);
	check_failed(
	    ERR_UNSUPPORTED, "", " is not asked: there is no cluster secret");
}
END_TEST

static void
answer_probe(unsigned status, const char *body)
{
	two->holds = true;
	peer_net_listen(&net, 1);
	peer_net_listen(&net, 2);
	(void)probe(2, &outcome);
	PEER_NET_WAIT(&net, two->requests_count == 1);
	http_reply_begin(two->request[0], status);
	http_reply_end(two->request[0], slice_from_text(body));
}

START_TEST(other_server)
{
	static const struct {
		unsigned status;
		const char *body;
	} answers[] = { { 200, "<html>" }, { 404, "<html>" }, { 403, "" },
		{ 404, "{\"detail\":\"not found\"}" } };

	answer_probe(answers[_i].status, answers[_i].body);
	check_unproved(ERR_INVALID);
}
END_TEST

START_TEST(other_version)
{
	answer_probe(421,
	    "{\"code\":\"other_version\",\"detail\":\"this node speaks "
	    "version 9 of the peers' protocol\"}");
	check_unproved(ERR_VERSION);
}
END_TEST

START_TEST(connection_lost)
{
	two->holds = true;
	peer_net_listen(&net, 1);
	peer_net_listen(&net, 2);
	(void)probe(2, &outcome);
	PEER_NET_WAIT(&net, two->requests_count == 1);
	peer_net_kill(&net, 2);
	check_unproved(ERR_CLOSED);
}
END_TEST

START_TEST(no_answer_in_time)
{
	uint64_t deadline_us;

	two->holds = true;
	peer_net_listen(&net, 1);
	peer_net_listen(&net, 2);
	deadline_us = loop_now(net.loop) + PEER_PROBE_TIMEOUT_US;
	(void)probe(2, &outcome);
	PEER_NET_WAIT(&net, two->requests_count == 1);
	ck_assert_uint_le(peers_deadline(one->peers), deadline_us);
	peers_expire(one->peers, deadline_us - 1);
	ck_assert_uint_eq(outcome.count, 0);
	peers_expire(one->peers, deadline_us);
	check_unproved(ERR_TIMEOUT);
}
END_TEST

START_TEST(refused_by_their_node)
{
	two->hear_result = ERR_MISMATCH;
	peer_net_listen(&net, 1);
	peer_net_listen(&net, 2);
	(void)probe(2, &outcome);
	check_failed(ERR_MISMATCH, "the node at ", " says: another cluster");
}
END_TEST

/* A leader that moves looks for itself. */
START_TEST(probe_of_itself)
{
	peer_net_listen(&net, 1);
	(void)probe(1, &outcome);
	PEER_NET_WAIT(&net, outcome.count == 1);
	ck_assert_int_eq(outcome.error, 0);
	ck_assert_uint_eq(outcome.hello.from, 1);
	ck_assert_uint_eq(outcome.hello.boot_id, one->boot_id);
}
END_TEST

/* Of one who proves nothing no word is repeated. */
START_TEST(refused_by_a_stranger)
{
	answer_probe(
	    421, "{\"code\":\"wrong_cluster\",\"detail\":\"call 555\"}");
	check_unproved(ERR_MISMATCH);
}
END_TEST

START_TEST(deadline_of_the_caller)
{
	struct peers_probe *made = NULL;
	uint64_t deadline_us;
	char address[32];

	two->holds = true;
	peer_net_listen(&net, 1);
	peer_net_listen(&net, 2);
	(void)snprintf(address, sizeof(address), "127.0.0.1:%u", net.port[1]);
	deadline_us = loop_now(net.loop) + PEER_PROBE_TIMEOUT_US / 7;
	ck_assert_int_eq(peers_probe(one->peers, address, deadline_us,
			     on_probed, &outcome, &made),
	    0);
	PEER_NET_WAIT(&net, two->requests_count == 1);
	peers_expire(one->peers, deadline_us - 1);
	ck_assert_uint_eq(outcome.count, 0);
	peers_expire(one->peers, deadline_us);
	check_unproved(ERR_TIMEOUT);
}
END_TEST

START_TEST(address_is_no_address)
{
	struct peers_probe *made = NULL;

	peer_net_listen(&net, 1);
	ck_assert_int_eq(peers_probe(one->peers, "n2:5864", UINT64_MAX,
			     on_probed, &outcome, &made),
	    ERR_INVALID);
	ck_assert_ptr_null(made);
}
END_TEST

/* ---- Several ---- */

START_TEST(probes_are_bounded)
{
	static struct outcome outcomes[PEER_PROBES_MAX];
	struct peers_probe *made = NULL;

	peer_net_listen(&net, 1);
	peer_net_listen(&net, 2);
	for (unsigned i = 0; i < PEER_PROBES_MAX; i++)
		(void)probe(2, &outcomes[i]);
	ck_assert_int_eq(peers_probe(one->peers, "127.0.0.1:1", UINT64_MAX,
			     on_probed, &outcome, &made),
	    ERR_BUSY);
	for (unsigned i = 0; i < PEER_PROBES_MAX; i++)
		PEER_NET_WAIT(&net, outcomes[i].count == 1);
	(void)probe(2, &outcome);
	PEER_NET_WAIT(&net, outcome.count == 1);
}
END_TEST

START_TEST(cancelled_probe)
{
	peer_net_listen(&net, 1);
	peer_net_listen(&net, 2);
	peers_probe_cancel(one->peers, probe(2, &outcome));
	ck_assert_uint_eq(one->peers->probes_count, 0);
	peer_net_pass_some(&net);
	ck_assert_uint_eq(outcome.count, 0);
}
END_TEST

/* Of two that end at once the first cancels the second. */
START_TEST(cancelled_by_another)
{
	struct outcome other = { 0 };

	two->holds = true;
	peer_net_listen(&net, 1);
	peer_net_listen(&net, 2);
	(void)probe(2, &outcome);
	outcome.cancels = probe(2, &other);
	PEER_NET_WAIT(&net, two->requests_count == 2);
	peers_expire(one->peers, loop_now(net.loop) + PEER_PROBE_TIMEOUT_US);
	ck_assert_uint_eq(outcome.count, 1);
	ck_assert_uint_eq(other.count, 0);
	ck_assert_uint_eq(one->peers->probes_count, 0);
}
END_TEST

START_TEST(freed_with_a_probe)
{
	two->holds = true;
	peer_net_listen(&net, 1);
	peer_net_listen(&net, 2);
	(void)probe(2, &outcome);
	PEER_NET_WAIT(&net, two->requests_count == 1);
	peer_net_kill(&net, 1);
	ck_assert_uint_eq(outcome.count, 0);
}
END_TEST

/* ---- Who is asked ---- */

START_TEST(no_messages_follow)
{
	struct raft_message message;
	struct stranger stranger;

	peer_net_listen(&net, 1);
	stranger_init(&stranger, &net, 1);
	ck_assert_uint_eq(stranger_hello(&stranger, 2, 0, WIRE_PROBE), 200);
	ck_assert_uint_eq(stranger_prove(&stranger, "the cluster secret"), 204);
	message = peer_net_message(&net, RAFT_VOTE_REQUEST, 2, 1, 1);
	message.boot_id = 77;
	ck_assert_uint_eq(
	    stranger_post_message(&stranger, "/raft/vote", &message), 403);
	ck_assert_uint_eq(one->received_count, 0);
	stranger_release(&stranger);
}
END_TEST

/* To look and to say who one is are two things. */
START_TEST(stage_of_other_purpose)
{
	static const struct {
		raft_id to;
		enum wire_purpose purpose;
	} hellos[] = { { 0, WIRE_APPEND }, { 1, WIRE_PROBE } };

	peer_net_listen(&net, 1);
	for (size_t i = 0; i < ARRAY_COUNT(hellos); i++) {
		struct stranger stranger;

		stranger_init(&stranger, &net, 1);
		ck_assert_uint_eq(stranger_hello(&stranger, 2, hellos[i].to,
				      hellos[i].purpose),
		    400);
		stranger_release(&stranger);
	}
}
END_TEST

Suite *
peer_probe_suite(void)
{
	Suite *suite = suite_create("peer_probe");
	TCase *tcase = tcase_create("probe");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, probe_of_joining_node);
	tcase_add_test(tcase, probe_of_member);
	tcase_add_test(tcase, nobody_listens);
	tcase_add_test(tcase, other_secret);
	tcase_add_test(tcase, no_secret_there);
	tcase_add_test(tcase, no_secret_here);
	tcase_add_loop_test(tcase, other_server, 0, 4);
	tcase_add_test(tcase, other_version);
	tcase_add_test(tcase, connection_lost);
	tcase_add_test(tcase, no_answer_in_time);
	tcase_add_test(tcase, refused_by_their_node);
	tcase_add_test(tcase, refused_by_a_stranger);
	tcase_add_test(tcase, deadline_of_the_caller);
	tcase_add_test(tcase, probe_of_itself);
	tcase_add_test(tcase, address_is_no_address);
	tcase_add_test(tcase, probes_are_bounded);
	tcase_add_test(tcase, cancelled_probe);
	tcase_add_test(tcase, cancelled_by_another);
	tcase_add_test(tcase, freed_with_a_probe);
	tcase_add_test(tcase, no_messages_follow);
	tcase_add_test(tcase, stage_of_other_purpose);
	suite_add_tcase(suite, tcase);
	return suite;
}
