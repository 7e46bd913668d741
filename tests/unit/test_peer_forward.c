/* Forwarding clients' requests to another member. */

#include "common/err.h"
#include "net/peer_impl.h"
#include "tests/unit/peer_net.h"
#include "tests/unit/suites.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#define WAIT_US UINT64_C(5000000)

static struct peer_net net;
static struct side *one;
static struct side *two;

/* How a forwarded request ended. */
struct outcome {
	unsigned count;
	int error;
	bool sent;
	unsigned status;
	char body[32];
	struct peers_forward *cancels; /* when it ends; NULL: none */
};

static void
setup(void)
{
	peer_net_init(&net, 2);
	one = peer_net_side(&net, 1);
	two = peer_net_side(&net, 2);
	peer_net_start(&net, 1);
	peer_net_start(&net, 2);
	PEER_NET_WAIT(&net, peer_net_all_connected(&net));
}

static void
teardown(void)
{
	peer_net_release(&net);
}

static void
on_end(
    void *context, int error, bool sent, const struct http_client_reply *reply)
{
	struct outcome *outcome = context;

	outcome->count++;
	outcome->error = error;
	outcome->sent = sent;
	if (outcome->cancels != NULL)
		peers_cancel(one->peers, outcome->cancels);
	if (error != 0)
		return;
	outcome->status = reply->status;
	(void)snprintf(outcome->body, sizeof(outcome->body), "%.*s",
	    (int)reply->body.size, (const char *)reply->body.data);
}

static int
try_forward_as(bool waits, uint64_t wait_us, struct outcome *outcome,
    struct peers_forward **ret)
{
	return peers_forward(one->peers, 2, HTTP_PUT,
	    slice_from_text("/kv/a?x=1"), slice_from_text("Luminous-X: y\r\n"),
	    slice_from_text("value"), waits, loop_now(net.loop) + wait_us,
	    on_end, outcome, ret);
}

static int
try_forward(
    uint64_t wait_us, struct outcome *outcome, struct peers_forward **ret)
{
	return try_forward_as(false, wait_us, outcome, ret);
}

static struct peers_forward *
forward(struct outcome *outcome)
{
	struct peers_forward *made = NULL;

	*outcome = (struct outcome){ 0 };
	ck_assert_int_eq(try_forward(WAIT_US, outcome, &made), 0);
	return made;
}

static void
answer(unsigned place, unsigned status, const char *body)
{
	http_reply_begin(two->request[place], status);
	peers_seal(two->request[place], slice_from_text(body));
	http_reply_end(two->request[place], slice_from_text(body));
}

START_TEST(forward_and_answer)
{
	struct outcome outcome;
	struct http_request *request;

	(void)forward(&outcome);
	PEER_NET_WAIT(&net, two->requests_count == 1);
	request = two->request[0];
	ck_assert_int_eq(request->method, HTTP_PUT);
	ck_assert(slice_equal(request->path, slice_from_text("/kv/a")));
	ck_assert(slice_equal(request->query, slice_from_text("x=1")));
	ck_assert(slice_equal(request->body, slice_from_text("value")));
	ck_assert(slice_equal(
	    http_request_header(request, "Luminous-X"), slice_from_text("y")));
	ck_assert(
	    slice_equal(http_request_header(request, "Luminous-Forwarded-By"),
		slice_from_text("1")));
	ck_assert_uint_eq(peers_proved(request), 1);
	ck_assert_uint_eq(outcome.count, 0);
	answer(0, 201, "stored");
	PEER_NET_WAIT(&net, outcome.count == 1);
	ck_assert_int_eq(outcome.error, 0);
	ck_assert_uint_eq(outcome.status, 201);
	ck_assert_str_eq(outcome.body, "stored");
}
END_TEST

START_TEST(forward_reuses_connections)
{
	struct http_connection *connection = NULL;
	struct outcome outcome;

	for (unsigned i = 0; i < 3; i++) {
		(void)forward(&outcome);
		PEER_NET_WAIT(&net, two->requests_count == i + 1);
		if (i == 0)
			connection = two->request[0]->connection;
		ck_assert_ptr_eq(two->request[i]->connection, connection);
		answer(i, 200, "");
		PEER_NET_WAIT(&net, outcome.count == 1);
	}
	ck_assert_uint_eq(one->peers->peer[0]->pool.connections_count, 1);
}
END_TEST

/* ---- Damage that TCP does not find ---- */

/* An answer, sealed, of which something else arrives. */
static void
answer_damaged(const char *sealed, const char *sent)
{
	struct http_request *request = two->request[0];

	http_reply_begin(request, 201);
	if (sealed != NULL)
		peers_seal(request, slice_from_text(sealed));
	http_reply_end(request, slice_from_text(sent));
}

/* What was done is not known then. */
START_TEST(damaged_answer_is_none)
{
	static const struct {
		const char *sealed;
		const char *sent;
	} answers[] = { { NULL, "stored" }, { "stored", "stoned" },
		{ "stored", "store" }, { "", "stored" } };
	struct buf metrics = { 0 };

	for (size_t i = 0; i < ARRAY_COUNT(answers); i++) {
		struct outcome outcome;

		two->requests_count = 0;
		(void)forward(&outcome);
		PEER_NET_WAIT(&net, two->requests_count == 1);
		answer_damaged(answers[i].sealed, answers[i].sent);
		PEER_NET_WAIT(&net, outcome.count == 1);
		ck_assert_int_eq(outcome.error, ERR_INVALID);
		ck_assert(outcome.sent);
		PEER_NET_WAIT(
		    &net, one->peers->peer[0]->pool.connections_count == 0);
	}
	metrics_print(&metrics);
	buf_append(&metrics, "", 1);
	ck_assert(strstr((const char *)metrics.data,
	    "luminous_http_forwarded_damaged_total 4\n"));
	buf_release(&metrics);
}
END_TEST

static struct http_headers
headers_of(const char *name, const char *value, const char *crc)
{
	return (struct http_headers){ 3,
		{ { slice_from_text("Host"), slice_from_text("two") },
		    { slice_from_text(name), slice_from_text(value) },
		    { slice_from_text("Luminous-Crc32c"),
			slice_from_text(crc) } } };
}

/* Every part of a request counts. */
START_TEST(damaged_request_is_seen)
{
	struct slice body = slice_from_text("value");
	struct buf text = { 0 };
	struct http_headers headers;
	struct http_request request = { .method = HTTP_PUT,
		.path = slice_from_text("/kv/a"),
		.query = slice_from_text("x=1"),
		.headers = &headers,
		.body = body };
	char crc[PEER_CRC_TEXT_SIZE] = "";

	buf_append_text(&text, "If-Match: 7\r\n");
	peer_seal_request(&text, HTTP_PUT, slice_from_text("/kv/a?x=1"), body);
	ck_assert_uint_gt(text.size, 10);
	memcpy(crc, text.data + text.size - 10, 8);
	headers = headers_of("If-Match", "7", crc);
	ck_assert(peer_request_is_sealed(&request));
	headers = headers_of("If-Match", "8", crc);
	ck_assert(!peer_request_is_sealed(&request));
	headers = headers_of("If-Watch", "7", crc);
	ck_assert(!peer_request_is_sealed(&request));
	headers = headers_of("If-Match", "7", "");
	ck_assert(!peer_request_is_sealed(&request));
	headers = headers_of("If-Match", "7", crc);
	request.body = slice_from_text("valve");
	ck_assert(!peer_request_is_sealed(&request));
	request.body = body;
	request.query = slice_from_text("x=2");
	ck_assert(!peer_request_is_sealed(&request));
	request.query = slice_of(NULL, 0);
	ck_assert(!peer_request_is_sealed(&request));
	request.query = slice_from_text("x=1");
	request.path = slice_from_text("/kv/b");
	ck_assert(!peer_request_is_sealed(&request));
	request.path = slice_from_text("/kv/a");
	request.method = HTTP_POST;
	ck_assert(!peer_request_is_sealed(&request));
	buf_release(&text);
}
END_TEST

/* It is refused as surely not done, under a seal of its own. */
START_TEST(unsealed_request_is_refused)
{
	struct stranger stranger;

	stranger_init(&stranger, &net, 1);
	ck_assert_uint_eq(stranger_hello(&stranger, 2, 1, WIRE_FORWARD), 200);
	ck_assert_uint_eq(stranger_prove(&stranger, "the cluster secret"), 204);
	stranger_send(&stranger, "/kv/a", "Luminous-Forwarded-By: 2\r\n",
	    slice_from_text("value"));
	PEER_NET_WAIT(&net, one->requests_count == 1);
	ck_assert(peers_refuse_damaged(one->peers, one->request[0]));
	PEER_NET_WAIT(&net, stranger.replies_count == 3);
	ck_assert_uint_eq(stranger.status[2], 503);
	buf_append(&stranger.body, "", 1);
	ck_assert_ptr_nonnull(
	    strstr((const char *)stranger.body.data, "damaged_request"));
	stranger_release(&stranger);
}
END_TEST

/* One request at a time on each: a slow one holds up nobody. */
START_TEST(forward_in_parallel)
{
	struct outcome outcomes[3];

	for (unsigned i = 0; i < 3; i++)
		(void)forward(&outcomes[i]);
	PEER_NET_WAIT(&net, two->requests_count == 3);
	ck_assert_ptr_ne(
	    two->request[0]->connection, two->request[1]->connection);
	ck_assert_ptr_ne(
	    two->request[1]->connection, two->request[2]->connection);
	for (unsigned i = 3; i-- > 0;)
		answer(i, 200, "");
	for (unsigned i = 0; i < 3; i++)
		PEER_NET_WAIT(&net, outcomes[i].count == 1);
}
END_TEST

START_TEST(forward_to_unreachable_member)
{
	struct outcome outcome = { 0 };
	struct peers_forward *made;

	peer_net_kill(&net, 2);
	PEER_NET_WAIT(&net, !peer_net_connected(&net, 1, 2));
	ck_assert_int_eq(try_forward(WAIT_US, &outcome, &made), ERR_CLOSED);
	ck_assert_uint_eq(outcome.count, 0);
}
END_TEST

START_TEST(forward_to_no_member)
{
	struct outcome outcome = { 0 };
	struct peers_forward *made;

	for (raft_id id = 1; id <= 3; id += 2)
		ck_assert_int_eq(
		    peers_forward(one->peers, id, HTTP_GET,
			slice_from_text("/"), slice_from_text(""),
			slice_from_text(""), false, 0, on_end, &outcome, &made),
		    ERR_CLOSED);
}
END_TEST

START_TEST(forward_broken_before_sent)
{
	struct outcome outcome;

	(void)forward(&outcome);
	peer_net_kill(&net, 2);
	PEER_NET_WAIT(&net, outcome.count == 1);
	ck_assert_int_eq(outcome.error, ERR_CLOSED);
	ck_assert(!outcome.sent);
}
END_TEST

START_TEST(forward_broken_after_sent)
{
	struct outcome outcome;

	(void)forward(&outcome);
	PEER_NET_WAIT(&net, two->requests_count == 1);
	peer_net_kill(&net, 2);
	PEER_NET_WAIT(&net, outcome.count == 1);
	ck_assert_int_eq(outcome.error, ERR_CLOSED);
	ck_assert(outcome.sent);
	PEER_NET_WAIT(&net, one->peers->peer[0]->pool.connections_count == 0);
}
END_TEST

START_TEST(forward_times_out_after_sent)
{
	struct outcome outcome = { 0 };
	struct peers_forward *made;

	ck_assert_int_eq(try_forward(100000, &outcome, &made), 0);
	PEER_NET_WAIT(&net, outcome.count == 1);
	ck_assert_uint_eq(two->requests_count, 1);
	ck_assert_int_eq(outcome.error, ERR_TIMEOUT);
	ck_assert(outcome.sent);
}
END_TEST

/* Sent or not: the member that leads answers in its own time. */
START_TEST(forward_to_one_that_leads_no_more_is_hastened)
{
	struct outcome sent = { 0 };
	struct outcome waits = { 0 };
	struct peers_forward *made;
	struct peer_pool *pool = &one->peers->peer[0]->pool;
	uint64_t hastened_us = net.election_timeout / 2;
	uint64_t long_us = 20 * hastened_us;

	ck_assert_int_eq(try_forward(long_us, &sent, &made), 0);
	PEER_NET_WAIT(&net, two->requests_count == 1);
	peers_hasten_others(one->peers, 2);
	ck_assert_uint_gt(
	    peer_pool_deadline(pool), loop_now(net.loop) + 2 * hastened_us);
	ck_assert_int_eq(try_forward(long_us, &waits, &made), 0);
	peers_hasten_others(one->peers, 1);
	ck_assert_uint_le(
	    peer_pool_deadline(pool), loop_now(net.loop) + hastened_us);
	PEER_NET_WAIT(&net, sent.count == 1 && waits.count == 1);
	ck_assert_int_eq(sent.error, ERR_TIMEOUT);
	ck_assert(sent.sent);
}
END_TEST

/* It may be minutes away from its answer, which comes all the same. */
START_TEST(forward_that_waits_is_not_hastened)
{
	struct outcome outcome = { 0 };
	struct peers_forward *made;
	struct peer_pool *pool = &one->peers->peer[0]->pool;
	uint64_t long_us = 10 * net.election_timeout;

	ck_assert_int_eq(try_forward_as(true, long_us, &outcome, &made), 0);
	PEER_NET_WAIT(&net, two->requests_count == 1);
	peers_hasten_others(one->peers, 1);
	ck_assert_uint_gt(
	    peer_pool_deadline(pool), loop_now(net.loop) + long_us / 2);
	answer(0, 200, "late");
	PEER_NET_WAIT(&net, outcome.count == 1);
	ck_assert_str_eq(outcome.body, "late");
}
END_TEST

START_TEST(forward_times_out_while_waiting)
{
	struct outcome outcome = { 0 };
	struct peers_forward *made;

	/* Not even the hello is answered. */
	two->holds = true;
	ck_assert_int_eq(try_forward(100000, &outcome, &made), 0);
	PEER_NET_WAIT(&net, outcome.count == 1);
	ck_assert_int_eq(outcome.error, ERR_TIMEOUT);
	ck_assert(!outcome.sent);
}
END_TEST

/* Each has its own deadline, and the first in the queue need not be first. */
START_TEST(pool_knows_the_earliest_deadline_of_those_that_wait)
{
	struct peer *peer = one->peers->peer[0];
	struct outcome late = { 0 };
	struct outcome early = { 0 };
	struct peers_forward *made;
	uint64_t now = loop_now(net.loop);

	two->holds = true;
	ck_assert_uint_gt(peer->pool.waiting_until_us, now + WAIT_US);
	ck_assert_int_eq(try_forward(60000, &late, &made), 0);
	ck_assert_int_eq(try_forward(40000, &early, &made), 0);
	ck_assert_uint_eq(peer_pool_deadline(&peer->pool), now + 40000);
	peers_cancel(one->peers, made);
	peer_pool_expire(peer, now + 40000);
	ck_assert_uint_eq(late.count, 0);
	ck_assert_uint_eq(peer_pool_deadline(&peer->pool), now + 60000);
	peer_pool_expire(peer, now + 60000);
	ck_assert_uint_eq(late.count, 1);
	ck_assert_uint_eq(early.count, 0);
	ck_assert_uint_eq(peer->pool.waiting_until_us, UINT64_MAX);
}
END_TEST

START_TEST(forward_cancelled_while_waiting)
{
	struct outcome outcome;

	peers_cancel(one->peers, forward(&outcome));
	PEER_NET_WAIT(&net, one->peers->peer[0]->pool.connections_count == 1 &&
				peers_deadline(one->peers) != 0);
	for (int i = 0; i < 20; i++)
		peer_net_pass(&net);
	ck_assert_uint_eq(outcome.count, 0);
	ck_assert_uint_eq(two->requests_count, 0);
}
END_TEST

START_TEST(forward_cancelled_after_sent)
{
	struct outcome outcome;
	struct outcome next;
	struct peers_forward *made = forward(&outcome);

	PEER_NET_WAIT(&net, two->requests_count == 1);
	peers_cancel(one->peers, made);
	/* The connection is not free before the answer is there. */
	(void)forward(&next);
	PEER_NET_WAIT(&net, two->requests_count == 2);
	ck_assert_ptr_ne(
	    two->request[0]->connection, two->request[1]->connection);
	answer(0, 200, "first");
	answer(1, 200, "second");
	PEER_NET_WAIT(&net, next.count == 1);
	ck_assert_str_eq(next.body, "second");
	ck_assert_uint_eq(outcome.count, 0);
}
END_TEST

/* A callback that cancels another request of those that end with it. */
START_TEST(forward_cancelled_by_another)
{
	struct outcome first;
	struct outcome second;

	(void)forward(&first);
	first.cancels = forward(&second);
	peer_net_kill(&net, 2);
	PEER_NET_WAIT(&net, first.count == 1);
	for (int i = 0; i < 20; i++)
		peer_net_pass(&net);
	ck_assert_uint_eq(second.count, 0);
}
END_TEST

START_TEST(forward_is_bounded)
{
	static struct outcome
	    outcomes[PEER_POOL_CONNECTIONS_MAX + PEER_POOL_WAITING_MAX];
	struct peer_pool *pool = &one->peers->peer[0]->pool;
	struct outcome outcome = { 0 };
	struct peers_forward *made;

	for (unsigned i = 0; i < PEER_POOL_CONNECTIONS_MAX; i++)
		(void)forward(&outcomes[i]);
	PEER_NET_WAIT(&net, two->requests_count == PEER_POOL_CONNECTIONS_MAX);
	ck_assert_uint_eq(pool->waiting_count, 0);
	for (unsigned i = 0; i < PEER_POOL_WAITING_MAX; i++)
		(void)forward(&outcomes[PEER_POOL_CONNECTIONS_MAX + i]);
	ck_assert_uint_eq(pool->waiting_count, PEER_POOL_WAITING_MAX);
	ck_assert_uint_eq(pool->connections_count, PEER_POOL_CONNECTIONS_MAX);
	ck_assert_int_eq(try_forward(WAIT_US, &outcome, &made), ERR_BUSY);
	ck_assert_uint_eq(outcome.count, 0);
	/* As soon as one ends there is room, and the oldest goes next. */
	answer(0, 200, "");
	PEER_NET_WAIT(
	    &net, two->requests_count == PEER_POOL_CONNECTIONS_MAX + 1);
	ck_assert_uint_eq(outcomes[0].count, 1);
	answer(PEER_POOL_CONNECTIONS_MAX, 200, "oldest");
	PEER_NET_WAIT(&net, outcomes[PEER_POOL_CONNECTIONS_MAX].count == 1);
	ck_assert_str_eq(outcomes[PEER_POOL_CONNECTIONS_MAX].body, "oldest");
	/* What waits is told when all connections are lost. */
	peer_net_kill(&net, 2);
	PEER_NET_WAIT(&net, pool->waiting_count == 0);
	for (unsigned i = 0; i < ARRAY_COUNT(outcomes); i++)
		ck_assert_uint_eq(outcomes[i].count, 1);
	ck_assert(!outcomes[ARRAY_COUNT(outcomes) - 1].sent);
}
END_TEST

/* However many wait for minutes, the others have connections as before. */
START_TEST(those_that_wait_hold_up_nobody)
{
	static struct outcome outcomes[PEER_POOL_CONNECTIONS_MAX + 1];
	struct peer_pool *pool = &one->peers->peer[0]->pool;
	struct peers_forward *made = NULL;
	struct outcome outcome;

	for (unsigned i = 0; i < ARRAY_COUNT(outcomes); i++)
		ck_assert_int_eq(
		    try_forward_as(true, WAIT_US, &outcomes[i], &made), 0);
	PEER_NET_WAIT(&net, two->requests_count == ARRAY_COUNT(outcomes));
	(void)forward(&outcome);
	PEER_NET_WAIT(&net, two->requests_count == ARRAY_COUNT(outcomes) + 1);
	answer(ARRAY_COUNT(outcomes), 200, "");
	PEER_NET_WAIT(&net, outcome.count == 1);
	ck_assert_uint_eq(pool->patient_count, ARRAY_COUNT(outcomes));
	for (unsigned i = 0; i < ARRAY_COUNT(outcomes); i++)
		answer(i, 200, "");
	PEER_NET_WAIT(&net, pool->patient_count == 0);
}
END_TEST

START_TEST(those_that_wait_are_bounded)
{
	struct peer_pool *pool = &one->peers->peer[0]->pool;
	struct peers_forward *made = NULL;
	struct outcome outcome = { 0 };

	pool->patient_count = PEER_POOL_PATIENT_MAX - 1;
	ck_assert_int_eq(try_forward_as(true, WAIT_US, &outcome, &made), 0);
	ck_assert_int_eq(
	    try_forward_as(true, WAIT_US, &outcome, &made), ERR_BUSY);
	peers_cancel(one->peers, made);
	ck_assert_uint_eq(pool->patient_count, PEER_POOL_PATIENT_MAX - 1);
	(void)forward(&outcome);
	PEER_NET_WAIT(&net, two->requests_count == 1);
}
END_TEST

START_TEST(idle_connections_are_closed)
{
	struct peer_pool *pool = &one->peers->peer[0]->pool;
	struct outcome outcome;

	(void)forward(&outcome);
	PEER_NET_WAIT(&net, two->requests_count == 1);
	answer(0, 200, "");
	PEER_NET_WAIT(&net, outcome.count == 1);
	peer_net_pass(&net);
	ck_assert_uint_eq(pool->connections_count, 1);
	ck_assert_uint_le(peer_pool_deadline(pool),
	    loop_now(net.loop) + one->peers->params.idle_timeout_us / 2);
	peer_pool_expire(one->peers->peer[0],
	    loop_now(net.loop) + one->peers->params.idle_timeout_us / 2 -
		1000000);
	ck_assert_uint_eq(pool->connections_count, 1);
	peer_pool_expire(one->peers->peer[0],
	    loop_now(net.loop) + one->peers->params.idle_timeout_us / 2);
	ck_assert_uint_eq(pool->connections_count, 0);
}
END_TEST

static void
forward_for_answer(size_t size, struct outcome *outcome)
{
	struct buf body = { 0 };

	memset(buf_reserve(&body, size), 'x', size);
	body.size = size;
	(void)forward(outcome);
	PEER_NET_WAIT(&net, two->requests_count == 1);
	http_reply_begin(two->request[0], 200);
	peers_seal(two->request[0], buf_slice(&body));
	http_reply_end(two->request[0], buf_slice(&body));
	PEER_NET_WAIT(&net, outcome->count == 1);
	ck_assert(outcome->sent);
	buf_release(&body);
}

/* As a transaction's may be, that shows many values. */
START_TEST(forward_large_answer)
{
	struct outcome outcome;

	forward_for_answer(24u << 20, &outcome);
	ck_assert_int_eq(outcome.error, 0);
	ck_assert_uint_eq(outcome.status, 200);
}
END_TEST

START_TEST(forward_answer_too_large)
{
	struct outcome outcome;

	forward_for_answer(PEER_FORWARD_REPLY_SIZE_MAX + 1, &outcome);
	ck_assert_int_eq(outcome.error, ERR_TOO_LARGE);
}
END_TEST

/* A member that takes messages but no connections for requests is not dialled
 * in a loop. */
START_TEST(failed_dials_back_off)
{
	struct peer_pool *pool = &one->peers->peer[0]->pool;
	struct outcome outcome;
	uint64_t start_us = loop_update_now(net.loop);

	two->hear_result = ERR_MISMATCH;
	(void)forward(&outcome);
	PEER_NET_WAIT(&net, outcome.count == 1);
	ck_assert_int_eq(outcome.error, ERR_CLOSED);
	ck_assert_uint_eq(pool->backoff_us, PEER_BACKOFF_MIN_US);
	(void)forward(&outcome);
	ck_assert_uint_eq(pool->connections_count, 0);
	ck_assert_uint_eq(peer_pool_deadline(pool), pool->dial_again_us);
	PEER_NET_WAIT(&net, outcome.count == 1);
	ck_assert_uint_ge(loop_now(net.loop), start_us + PEER_BACKOFF_MIN_US);
	ck_assert_uint_eq(pool->backoff_us, 2 * PEER_BACKOFF_MIN_US);
	two->hear_result = 0;
	(void)forward(&outcome);
	PEER_NET_WAIT(&net, two->requests_count == 1);
	ck_assert_uint_eq(pool->backoff_us, 0);
	(void)forward(&outcome);
	ck_assert_uint_eq(pool->connections_count, 2);
}
END_TEST

Suite *
peer_forward_suite(void)
{
	Suite *suite = suite_create("peer_forward");
	TCase *tcase = tcase_create("forward");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, forward_and_answer);
	tcase_add_test(tcase, forward_reuses_connections);
	tcase_add_test(tcase, damaged_answer_is_none);
	tcase_add_test(tcase, damaged_request_is_seen);
	tcase_add_test(tcase, unsealed_request_is_refused);
	tcase_add_test(tcase, forward_in_parallel);
	tcase_add_test(tcase, forward_to_unreachable_member);
	tcase_add_test(tcase, forward_to_no_member);
	tcase_add_test(tcase, forward_broken_before_sent);
	tcase_add_test(tcase, forward_broken_after_sent);
	tcase_add_test(tcase, forward_times_out_after_sent);
	tcase_add_test(tcase, forward_to_one_that_leads_no_more_is_hastened);
	tcase_add_test(tcase, forward_that_waits_is_not_hastened);
	tcase_add_test(tcase, forward_times_out_while_waiting);
	tcase_add_test(
	    tcase, pool_knows_the_earliest_deadline_of_those_that_wait);
	tcase_add_test(tcase, forward_cancelled_while_waiting);
	tcase_add_test(tcase, forward_cancelled_after_sent);
	tcase_add_test(tcase, forward_cancelled_by_another);
	tcase_add_test(tcase, failed_dials_back_off);
	tcase_add_test(tcase, forward_is_bounded);
	tcase_add_test(tcase, those_that_wait_hold_up_nobody);
	tcase_add_test(tcase, those_that_wait_are_bounded);
	tcase_add_test(tcase, idle_connections_are_closed);
	tcase_add_test(tcase, forward_large_answer);
	tcase_add_test(tcase, forward_answer_too_large);
	suite_add_tcase(suite, tcase);
	return suite;
}
