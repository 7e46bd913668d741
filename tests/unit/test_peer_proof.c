/* What a server of the peers' requests takes, and from whom. */

#include "common/err.h"
#include "common/hash.h"
#include "net/peer_impl.h"
#include "net/peer_proof.h"
#include "tests/unit/peer_net.h"
#include "tests/unit/suites.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define RIGHT_SECRET "the cluster secret"

static struct peer_net net;
static struct side *one;
static struct stranger stranger;

/* One member listens; a stranger, who may say to be member 2, is connected. */
static void
setup(void)
{
	peer_net_init(&net, 3);
	peer_net_listen(&net, 1);
	one = peer_net_side(&net, 1);
	stranger_init(&stranger, &net, 1);
}

static void
teardown(void)
{
	stranger_release(&stranger);
	peer_net_release(&net);
}

/* The stranger proves to be member 2. */
static void
prove(struct stranger *who, enum wire_purpose purpose)
{
	ck_assert_uint_eq(stranger_hello(who, 2, 1, purpose), 200);
	ck_assert_uint_eq(stranger_prove(who, RIGHT_SECRET), 204);
}

/* A heartbeat as member 2 may send it on the stranger's connection. */
static struct raft_message
right_message(uint64_t sequence)
{
	struct raft_message message =
	    peer_net_message(&net, RAFT_APPEND_REQUEST, 2, 1, sequence);

	message.boot_id = 77; /* of stranger_hello */
	return message;
}

static bool
body_contains(const char *text)
{
	buf_append(&stranger.body, "", 1);
	return strstr((const char *)stranger.body.data, text) != NULL;
}

static void
check_nothing_changed(void)
{
	ck_assert_uint_eq(one->heard_count, 0);
	ck_assert_uint_eq(one->received_count, 0);
}

/* ---- The HMAC ---- */

START_TEST(proof_depends_on_all)
{
	struct slice secret = slice_from_text("secret");
	struct slice a = slice_from_text("{client}");
	struct slice b = slice_from_text("{server}");
	uint8_t proofs[7][PEER_PROOF_SIZE];

	peer_proof_make(secret, PEER_SIDE_CLIENT, a, b, proofs[0]);
	peer_proof_make(secret, PEER_SIDE_SERVER, a, b, proofs[1]);
	peer_proof_make(secret, PEER_SIDE_CLIENT, b, a, proofs[2]);
	peer_proof_make(
	    slice_from_text("other"), PEER_SIDE_CLIENT, a, b, proofs[3]);
	/* The same bytes, cut elsewhere. */
	peer_proof_make(secret, PEER_SIDE_CLIENT, slice_from_text("{client}{"),
	    slice_from_text("server}"), proofs[4]);
	peer_proof_make(
	    secret, PEER_SIDE_CLIENT, a, slice_from_text(""), proofs[5]);
	peer_proof_make(secret, PEER_SIDE_CLIENT, a, b, proofs[6]);
	ck_assert(peer_proof_equal(proofs[0], proofs[6]));
	for (int i = 0; i < 6; i++) {
		for (int k = 0; k < i; k++)
			ck_assert(!peer_proof_equal(proofs[i], proofs[k]));
	}
}
END_TEST

/* Computed by another implementation of HMAC. */
START_TEST(proof_golden)
{
	static const uint8_t golden[PEER_PROOF_SIZE] = { 0xc7, 0x3b, 0x6e, 0x51,
		0x4e, 0x21, 0x67, 0xda, 0x2c, 0xcd, 0x7f, 0xf2, 0x6e, 0x23,
		0xb5, 0x43, 0x50, 0x53, 0x6b, 0x05, 0x30, 0xed, 0x9f, 0x9f,
		0x02, 0x4a, 0xd2, 0x7a, 0x98, 0x63, 0x6c, 0x2d };
	uint8_t proof[PEER_PROOF_SIZE];

	peer_proof_make(slice_from_text("Jefe"), PEER_SIDE_SERVER,
	    slice_from_text("{}"), slice_from_text("[]"), proof);
	ck_assert_mem_eq(proof, golden, sizeof(proof));
}
END_TEST

/* ---- Hello and proof ---- */

START_TEST(proof_right)
{
	struct raft_message message = right_message(1);

	prove(&stranger, WIRE_APPEND);
	ck_assert_uint_eq(one->heard_count, 1);
	ck_assert_uint_eq(one->heard.from, 2);
	stranger_send_message(&stranger, "/raft/append", &message);
	PEER_NET_WAIT(&net, one->received_count == 1);
}
END_TEST

START_TEST(hello_alone_changes_nothing)
{
	ck_assert_uint_eq(stranger_hello(&stranger, 2, 1, WIRE_APPEND), 200);
	check_nothing_changed();
}
END_TEST

START_TEST(proof_wrong)
{
	ck_assert_uint_eq(stranger_hello(&stranger, 2, 1, WIRE_APPEND), 200);
	ck_assert_uint_eq(stranger_prove(&stranger, "guess"), 403);
	ck_assert(body_contains("\"code\":\"forbidden\""));
	check_nothing_changed();
	PEER_NET_WAIT(&net, stranger.closed);
}
END_TEST

/* The server's own proof, sent back to it. */
START_TEST(proof_reflected)
{
	struct buf headers = { 0 };

	ck_assert_uint_eq(stranger_hello(&stranger, 2, 1, WIRE_APPEND), 200);
	buf_append_text(&headers, "Luminous-Proof: ");
	buf_append_slice(&headers, buf_slice(&stranger.proof));
	buf_append(&headers, "\r\n", 3);
	ck_assert_uint_eq(stranger_post(&stranger, "/raft/proof",
			      (const char *)headers.data, slice_from_text("")),
	    403);
	check_nothing_changed();
	buf_release(&headers);
}
END_TEST

/* A hello and a proof that were right once, on another connection. */
START_TEST(proof_replayed)
{
	struct stranger second;
	struct buf first_answer = { 0 };

	ck_assert_uint_eq(stranger_hello(&stranger, 2, 1, WIRE_APPEND), 200);
	buf_append_slice(&first_answer, buf_slice(&stranger.body));
	ck_assert_uint_eq(stranger_prove(&stranger, RIGHT_SECRET), 204);
	one->heard_count = 0;
	stranger_init(&second, &net, 1);
	buf_append_slice(&second.hello, buf_slice(&stranger.hello));
	ck_assert_uint_eq(
	    stranger_post(&second, "/raft/hello", "", buf_slice(&second.hello)),
	    200);
	/* The proof goes over the answer to the first hello. */
	buf_reset(&second.body);
	buf_append_slice(&second.body, buf_slice(&first_answer));
	ck_assert_uint_eq(stranger_prove(&second, RIGHT_SECRET), 403);
	check_nothing_changed();
	buf_release(&first_answer);
	stranger_release(&second);
}
END_TEST

START_TEST(proof_malformed)
{
	static const char *const headers[] = { "", "Luminous-Proof: \r\n",
		"Luminous-Proof: 00\r\n",
		("Luminous-Proof: zz0102030405060708090a0b0c0d0e0f"
		 "101112131415161718191a1b1c1d1e1f\r\n") };

	for (size_t i = 0; i < ARRAY_COUNT(headers); i++) {
		struct stranger other;

		stranger_init(&other, &net, 1);
		ck_assert_uint_eq(
		    stranger_hello(&other, 2, 1, WIRE_APPEND), 200);
		ck_assert_uint_eq(stranger_post(&other, "/raft/proof",
				      headers[i], slice_from_text("")),
		    403);
		stranger_release(&other);
	}
	check_nothing_changed();
}
END_TEST

START_TEST(proof_without_hello)
{
	ck_assert_uint_eq(stranger_prove(&stranger, RIGHT_SECRET), 403);
	check_nothing_changed();
}
END_TEST

START_TEST(proof_twice)
{
	prove(&stranger, WIRE_APPEND);
	ck_assert_uint_eq(stranger_prove(&stranger, RIGHT_SECRET), 403);
	ck_assert_uint_eq(one->heard_count, 1);
}
END_TEST

START_TEST(hello_twice)
{
	prove(&stranger, WIRE_APPEND);
	ck_assert_uint_eq(stranger_hello(&stranger, 3, 1, WIRE_APPEND), 400);
	ck_assert_uint_eq(one->heard_count, 1);
}
END_TEST

START_TEST(hello_to_other_member)
{
	ck_assert_uint_eq(stranger_hello(&stranger, 2, 3, WIRE_APPEND), 421);
	ck_assert(body_contains("\"code\":\"wrong_cluster\""));
	check_nothing_changed();
}
END_TEST

START_TEST(hello_from_itself)
{
	ck_assert_uint_eq(stranger_hello(&stranger, 1, 1, WIRE_APPEND), 421);
	ck_assert(body_contains("this is member 1 itself"));
	check_nothing_changed();
}
END_TEST

/* Who joins has no id, and is asked; it does not ask. */
START_TEST(hello_from_joining)
{
	struct wire_hello hello = { .node = { .stage = NODE_HELLO_JOINING,
					.to = 1,
					.boot_id = 7,
					.cluster = "test",
					.name = "n9" } };
	struct buf text = { 0 };

	memcpy(
	    hello.node.to_address, stranger.address, sizeof(stranger.address));
	wire_append_hello(&text, &hello);
	ck_assert_uint_eq(
	    stranger_post(&stranger, "/raft/hello", "", buf_slice(&text)), 400);
	check_nothing_changed();
	buf_release(&text);
}
END_TEST

/* A list of members may be an old one: who knows the secret is heard. */
START_TEST(hello_from_unknown_member)
{
	struct raft_message message = right_message(1);
	struct raft_message response =
	    peer_net_message(&net, RAFT_APPEND_RESPONSE, 1, 2, 1);

	message.from = RAFT_NUMBER_MAX;
	ck_assert_uint_eq(
	    stranger_hello(&stranger, RAFT_NUMBER_MAX, 1, WIRE_APPEND), 200);
	ck_assert_uint_eq(stranger_prove(&stranger, RIGHT_SECRET), 204);
	ck_assert_uint_eq(one->heard.from, RAFT_NUMBER_MAX);
	stranger_send_message(&stranger, "/raft/append", &message);
	PEER_NET_WAIT(&net, one->received_count == 1);
	ck_assert_uint_eq(one->received[0].from, RAFT_NUMBER_MAX);
	response.to_boot_id = 77;
	/* That of another sender is not for it. */
	peers_send(one->peers, &response, NULL);
	peer_net_pass_some(&net);
	ck_assert_uint_eq(stranger.replies_count, 2); /* hello and proof */
	response.to = RAFT_NUMBER_MAX;
	peers_send(one->peers, &response, NULL);
	PEER_NET_WAIT(&net, stranger.replies_count == 3);
	ck_assert_uint_eq(stranger.status[2], 200);
	ck_assert(body_contains("\"kind\":\"append_response\""));
}
END_TEST

START_TEST(refusal_of_unknown_member)
{
	struct raft_message message = right_message(1);

	message.from = 9;
	one->receive_result = ERR_INVALID;
	ck_assert_uint_eq(stranger_hello(&stranger, 9, 1, WIRE_APPEND), 200);
	ck_assert_uint_eq(stranger_prove(&stranger, RIGHT_SECRET), 204);
	ck_assert_uint_eq(
	    stranger_post_message(&stranger, "/raft/append", &message), 400);
}
END_TEST

START_TEST(hello_malformed)
{
	ck_assert_uint_eq(
	    stranger_post(&stranger, "/raft/hello", "", slice_from_text("{}")),
	    400);
	check_nothing_changed();
}
END_TEST

START_TEST(hello_of_other_version)
{
	ck_assert_uint_eq(stranger_post(&stranger, "/raft/hello", "",
			      slice_from_text("{\"version\":1}")),
	    421);
	ck_assert(body_contains("speaks version 4"));
}
END_TEST

START_TEST(hello_too_large)
{
	struct buf body = { 0 };

	memset(buf_reserve(&body, WIRE_HELLO_SIZE_MAX + 1), 'x',
	    WIRE_HELLO_SIZE_MAX + 1);
	body.size = WIRE_HELLO_SIZE_MAX + 1;
	ck_assert_uint_eq(
	    stranger_post(&stranger, "/raft/hello", "", buf_slice(&body)), 413);
	buf_release(&body);
}
END_TEST

START_TEST(wrong_cluster)
{
	one->hear_result = ERR_MISMATCH;
	ck_assert_uint_eq(stranger_hello(&stranger, 2, 1, WIRE_APPEND), 200);
	ck_assert_uint_eq(stranger_prove(&stranger, RIGHT_SECRET), 421);
	ck_assert(body_contains("\"detail\":\"another cluster\""));
	PEER_NET_WAIT(&net, stranger.closed);
}
END_TEST

/* ---- Messages ---- */

START_TEST(message_before_hello)
{
	struct raft_message message = right_message(1);

	ck_assert_uint_eq(
	    stranger_post_message(&stranger, "/raft/append", &message), 403);
	check_nothing_changed();
}
END_TEST

START_TEST(message_before_proof)
{
	struct raft_message message = right_message(1);

	ck_assert_uint_eq(stranger_hello(&stranger, 2, 1, WIRE_APPEND), 200);
	ck_assert_uint_eq(
	    stranger_post_message(&stranger, "/raft/append", &message), 403);
	check_nothing_changed();
}
END_TEST

START_TEST(message_on_other_connection)
{
	static const enum wire_purpose purposes[] = { WIRE_FORWARD,
		WIRE_SNAPSHOT };

	for (size_t i = 0; i < ARRAY_COUNT(purposes); i++) {
		struct raft_message message = right_message(1);
		struct stranger other;

		stranger_init(&other, &net, 1);
		prove(&other, purposes[i]);
		ck_assert_uint_eq(
		    stranger_post_message(&other, "/raft/append", &message),
		    403);
		stranger_release(&other);
	}
	ck_assert_uint_eq(one->received_count, 0);
}
END_TEST

START_TEST(message_forged)
{
	for (int i = 0; i < 5; i++) {
		struct raft_message message = right_message(1);
		const char *path = "/raft/append";
		struct stranger other;

		switch (i) {
		case 0: message.from = 3; break;
		case 1: message.to = 3; break;
		case 2: message.boot_id = 78; break;
		case 3: path = "/raft/vote"; break;
		default: message.kind = RAFT_APPEND_RESPONSE; break;
		}
		stranger_init(&other, &net, 1);
		prove(&other, WIRE_APPEND);
		ck_assert_uint_eq(
		    stranger_post_message(&other, path, &message), 400);
		stranger_release(&other);
	}
	ck_assert_uint_eq(one->received_count, 0);
}
END_TEST

START_TEST(message_damaged)
{
	static const char text[] = "{\"kind\":\"append_request\"";
	static const char *const headers[] = { "",
		"Luminous-Crc32c: 00000000\r\n", "Luminous-Crc32c: 5a02\r\n" };

	for (size_t i = 0; i < ARRAY_COUNT(headers); i++) {
		struct stranger other;

		stranger_init(&other, &net, 1);
		prove(&other, WIRE_APPEND);
		ck_assert_uint_eq(stranger_post(&other, "/raft/append",
				      headers[i], slice_from_text(text)),
		    400);
		buf_append(&other.body, "", 1);
		ck_assert_ptr_nonnull(
		    strstr((const char *)other.body.data, "damaged_message"));
		stranger_release(&other);
	}
	ck_assert_uint_eq(one->received_count, 0);
}
END_TEST

START_TEST(message_malformed)
{
	struct slice text = slice_from_text("{\"kind\":\"append_request\"");
	char headers[sizeof(PEER_CRC_HEADER) + PEER_CRC_TEXT_SIZE + 8];
	char crc[PEER_CRC_TEXT_SIZE];

	peer_crc_text(crc32c(0, text), crc);
	(void)snprintf(
	    headers, sizeof(headers), "%s: %s\r\n", PEER_CRC_HEADER, crc);
	prove(&stranger, WIRE_APPEND);
	ck_assert_uint_eq(
	    stranger_post(&stranger, "/raft/append", headers, text), 400);
	ck_assert(body_contains("malformed_message"));
	ck_assert_uint_eq(one->received_count, 0);
}
END_TEST

START_TEST(message_judged_by_node)
{
	static const struct {
		int result;
		unsigned status;
	} cases[] = { { ERR_INVALID, 400 }, { ERR_AGAIN, 503 } };

	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		struct raft_message message = right_message(1);
		struct stranger other;

		one->receive_result = cases[i].result;
		stranger_init(&other, &net, 1);
		prove(&other, WIRE_APPEND);
		ck_assert_uint_eq(
		    stranger_post_message(&other, "/raft/append", &message),
		    cases[i].status);
		stranger_release(&other);
	}
}
END_TEST

START_TEST(message_too_large)
{
	struct raft_message message = right_message(1);
	struct buf record = { 0 };
	struct buf text = { 0 };
	struct node_entry entry = { 0 };
	struct node_entry *entries[] = { &entry };

	memset(buf_reserve(&record, 4u << 20), 0, 4u << 20);
	record.size = 4u << 20;
	entry.record = buf_slice(&record);
	message.entries_count = 1;
	wire_append_message(&text, &message, entries);
	prove(&stranger, WIRE_BULK);
	ck_assert_uint_eq(
	    stranger_post(&stranger, "/raft/append", "", buf_slice(&text)),
	    413);
	free(entry.wire_text);
	buf_release(&record);
	buf_release(&text);
}
END_TEST

/* Answered in one go: nothing, nothing, and the message. */
START_TEST(pipelined_messages)
{
	struct raft_message response =
	    peer_net_message(&net, RAFT_APPEND_RESPONSE, 1, 2, 3);

	prove(&stranger, WIRE_APPEND);
	for (uint64_t i = 1; i <= 3; i++) {
		struct raft_message message = right_message(i);

		stranger_send_message(&stranger, "/raft/append", &message);
	}
	PEER_NET_WAIT(&net, one->received_count == 3);
	ck_assert_uint_eq(stranger.replies_count, 2); /* hello and proof */
	response.to_boot_id = 77;
	peers_send(one->peers, &response, NULL);
	PEER_NET_WAIT(&net, stranger.replies_count == 5);
	ck_assert_uint_eq(stranger.status[2], 204);
	ck_assert_uint_eq(stranger.status[3], 204);
	ck_assert_uint_eq(stranger.status[4], 200);
	ck_assert(body_contains("\"kind\":\"append_response\""));
}
END_TEST

START_TEST(pending_messages_are_bounded)
{
	struct raft_message message = right_message(PEER_PENDING_MAX + 1);
	struct stranger other;

	prove(&stranger, WIRE_APPEND);
	for (uint64_t i = 1; i <= PEER_PENDING_MAX; i++) {
		struct raft_message first = right_message(i);

		stranger_send_message(&stranger, "/raft/append", &first);
	}
	PEER_NET_WAIT(&net, one->received_count == PEER_PENDING_MAX);
	stranger_init(&other, &net, 1);
	prove(&other, WIRE_BULK);
	ck_assert_uint_eq(
	    stranger_post_message(&other, "/raft/append", &message), 503);
	ck_assert_uint_eq(one->received_count, PEER_PENDING_MAX);
	stranger_release(&other);
}
END_TEST

/* The sender is gone: its requests make room. */
START_TEST(pending_message_abandoned)
{
	struct raft_message message = right_message(1);
	struct raft_message response =
	    peer_net_message(&net, RAFT_APPEND_RESPONSE, 1, 2, 1);

	prove(&stranger, WIRE_APPEND);
	stranger_send_message(&stranger, "/raft/append", &message);
	PEER_NET_WAIT(&net, one->received_count == 1);
	ck_assert_uint_eq(peer_pending_count(one->peers, 2), 1);
	http_client_close(stranger.client);
	PEER_NET_WAIT(&net, one->abandoned_count == 1);
	ck_assert_uint_eq(peer_pending_count(one->peers, 2), 0);
	response.to_boot_id = 77;
	peers_send(one->peers, &response, NULL);
	peer_net_pass(&net);
}
END_TEST

/* ---- Other requests ---- */

START_TEST(path_unknown)
{
	ck_assert_uint_eq(stranger_post(&stranger, "/raft/snapshots", "",
			      slice_from_text("")),
	    404);
}
END_TEST

static void
on_get_reply(
    void *context, int error, bool sent, const struct http_client_reply *reply)
{
	unsigned *status = context;

	(void)sent;
	ck_assert_int_eq(error, 0);
	*status = reply->status;
	ck_assert(slice_equal(
	    http_header_get(reply->headers, "Allow"), slice_from_text("POST")));
}

START_TEST(method_unknown)
{
	unsigned status = 0;

	http_client_request(stranger.client, HTTP_GET,
	    slice_from_text("/raft/hello"), slice_from_text(""), NULL, 0,
	    UINT64_MAX, on_get_reply, &status);
	http_client_flush(stranger.client);
	PEER_NET_WAIT(&net, status != 0);
	ck_assert_uint_eq(status, 405);
}
END_TEST

/* Luminous-Forwarded-By of somebody who has proved nothing. */
START_TEST(stranger_is_not_proved)
{
	stranger_send(&stranger, "/kv/a", "Luminous-Forwarded-By: 2\r\n",
	    slice_from_text(""));
	PEER_NET_WAIT(&net, one->requests_count == 1);
	ck_assert_uint_eq(peers_proved(one->request[0]), 0);
}
END_TEST

START_TEST(hello_does_not_make_proved)
{
	ck_assert_uint_eq(stranger_hello(&stranger, 2, 1, WIRE_FORWARD), 200);
	stranger_send(&stranger, "/kv/a", "", slice_from_text(""));
	PEER_NET_WAIT(&net, one->requests_count == 1);
	ck_assert_uint_eq(peers_proved(one->request[0]), 0);
}
END_TEST

START_TEST(proof_makes_proved)
{
	prove(&stranger, WIRE_FORWARD);
	stranger_send(&stranger, "/kv/a", "", slice_from_text(""));
	PEER_NET_WAIT(&net, one->requests_count == 1);
	ck_assert_uint_eq(peers_proved(one->request[0]), 2);
}
END_TEST

Suite *
peer_proof_suite(void)
{
	Suite *suite = suite_create("peer_proof");
	TCase *pure = tcase_create("hmac");
	TCase *tcase = tcase_create("server");

	tcase_add_test(pure, proof_depends_on_all);
	tcase_add_test(pure, proof_golden);
	suite_add_tcase(suite, pure);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, proof_right);
	tcase_add_test(tcase, hello_alone_changes_nothing);
	tcase_add_test(tcase, proof_wrong);
	tcase_add_test(tcase, proof_reflected);
	tcase_add_test(tcase, proof_replayed);
	tcase_add_test(tcase, proof_malformed);
	tcase_add_test(tcase, proof_without_hello);
	tcase_add_test(tcase, proof_twice);
	tcase_add_test(tcase, hello_twice);
	tcase_add_test(tcase, hello_to_other_member);
	tcase_add_test(tcase, hello_from_itself);
	tcase_add_test(tcase, hello_from_joining);
	tcase_add_test(tcase, hello_from_unknown_member);
	tcase_add_test(tcase, refusal_of_unknown_member);
	tcase_add_test(tcase, hello_malformed);
	tcase_add_test(tcase, hello_of_other_version);
	tcase_add_test(tcase, hello_too_large);
	tcase_add_test(tcase, wrong_cluster);
	tcase_add_test(tcase, message_before_hello);
	tcase_add_test(tcase, message_before_proof);
	tcase_add_test(tcase, message_on_other_connection);
	tcase_add_test(tcase, message_forged);
	tcase_add_test(tcase, message_damaged);
	tcase_add_test(tcase, message_malformed);
	tcase_add_test(tcase, message_judged_by_node);
	tcase_add_test(tcase, message_too_large);
	tcase_add_test(tcase, pipelined_messages);
	tcase_add_test(tcase, pending_messages_are_bounded);
	tcase_add_test(tcase, pending_message_abandoned);
	tcase_add_test(tcase, path_unknown);
	tcase_add_test(tcase, method_unknown);
	tcase_add_test(tcase, stranger_is_not_proved);
	tcase_add_test(tcase, hello_does_not_make_proved);
	tcase_add_test(tcase, proof_makes_proved);
	suite_add_tcase(suite, tcase);
	return suite;
}
