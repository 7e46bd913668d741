#include "net/peer_impl.h"

#include "common/json.h"
#include "common/text.h"

#include <stdarg.h>
#include <stdio.h>

/*
 * CLOSED -> CONNECTING     peer_dial_begin
 * CONNECTING -> HELLO      on_open sends the hello
 * HELLO -> PROOF           on_hello: the peer has proved itself and is heard
 * PROOF -> OPEN            on_proof: it has accepted our proof
 * any but CLOSED -> FAILED peer_dial_fail
 * any -> CLOSED            peer_dial_close
 */

static void
fail_reason(struct peer_dial *dial, struct slice reason)
{
	struct peer *peer = dial->peer;

	if (dial->state == PEER_DIAL_FAILED)
		return;
	if (dial->state != PEER_DIAL_OPEN)
		metric_add(peer->connects[dial->refused ? PEER_CONNECT_REFUSED
							: PEER_CONNECT_FAILED],
		    1);
	dial->state = PEER_DIAL_FAILED;
	peer_copy_reason(dial->reason, reason);
	peer->peers->due = true;
}

void
peer_dial_fail(struct peer_dial *dial, const char *format, ...)
{
	char reason[PEER_REASON_SIZE];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(reason, sizeof(reason), format, arguments);
	va_end(arguments);
	fail_reason(dial, slice_from_text(reason));
}

void
peer_dial_fail_reply(
    struct peer_dial *dial, const struct http_client_reply *reply)
{
	struct slice detail;
	json_t *problem;

	if (json_parse_object(reply->body, PEER_REPLY_SIZE_MAX, &problem) !=
	    0) {
		peer_dial_fail(
		    dial, "it answers with status %u", reply->status);
		return;
	}
	if (json_get_text(problem, "detail", &detail) == 0)
		fail_reason(dial, detail);
	else
		peer_dial_fail(
		    dial, "it answers with status %u", reply->status);
	json_decref(problem);
}

static void
on_proof(
    void *context, int error, bool sent, const struct http_client_reply *reply)
{
	struct peer_dial *dial = context;

	(void)sent;
	/* on_closed follows an error, and says what it was. */
	if (error != 0 || dial->state != PEER_DIAL_PROOF)
		return;
	if (reply->status != 204) {
		peer_dial_fail_reply(dial, reply);
		return;
	}
	dial->state = PEER_DIAL_OPEN;
	dial->reason[0] = '\0';
	metric_add(dial->peer->connects[PEER_CONNECT_OK], 1);
	dial->peer->peers->due = true;
}

static void
send_proof(struct peer_dial *dial, struct slice server_hello)
{
	struct peers *peers = dial->peer->peers;
	uint8_t proof[PEER_PROOF_SIZE];
	struct buf headers = { 0 };

	peer_proof_make(buf_slice(&peers->secret), PEER_SIDE_CLIENT,
	    buf_slice(&dial->hello), server_hello, proof);
	buf_append_text(&headers, PEER_PROOF_HEADER ": ");
	text_append_hex(&headers, slice_of(proof, sizeof(proof)));
	buf_append_text(&headers, "\r\n");
	dial->state = PEER_DIAL_PROOF;
	http_client_request(dial->client, HTTP_POST,
	    slice_from_text("/raft/proof"), buf_slice(&headers), NULL, 0,
	    loop_now(peers->loop) + peers->params.election_timeout, on_proof,
	    dial);
	http_client_flush(dial->client);
	buf_release(&headers);
}

/* Whether the server's answer to our hello proves that it has the secret. */
static bool
is_proved(const struct peer_dial *dial, const struct http_client_reply *reply)
{
	uint8_t right[PEER_PROOF_SIZE];
	uint8_t proof[PEER_PROOF_SIZE];

	if (text_parse_hex(http_header_get(reply->headers, PEER_PROOF_HEADER),
		proof, sizeof(proof)) != 0)
		return false;
	peer_proof_make(buf_slice(&dial->peer->peers->secret), PEER_SIDE_SERVER,
	    buf_slice(&dial->hello), reply->body, right);
	return peer_proof_equal(proof, right);
}

/* The answer is proved: judges what it says. */
static void
hear(struct peer_dial *dial, struct slice text)
{
	struct peers *peers = dial->peer->peers;
	char why[PEER_REASON_SIZE];
	struct wire_hello hello;

	if (wire_decode_hello(text, &hello) != 0) {
		peer_dial_fail(dial, "its hello is malformed");
		return;
	}
	if (hello.node.from != dial->peer->member->id ||
	    hello.node.to != peers->params.self ||
	    hello.purpose != dial->purpose) {
		peer_dial_fail(dial,
		    "member %ju answers at %s, as to member %ju",
		    (uintmax_t)hello.node.from, dial->peer->member->address,
		    (uintmax_t)hello.node.to);
		return;
	}
	if (peers->ops->hear(peers->context, &hello.node, why, sizeof(why)) !=
	    0) {
		peer_dial_fail(dial, "%s", why);
		return;
	}
	dial->boot_id = hello.node.boot_id;
	send_proof(dial, text);
}

static void
on_hello(
    void *context, int error, bool sent, const struct http_client_reply *reply)
{
	struct peer_dial *dial = context;

	(void)sent;
	if (error != 0 || dial->state != PEER_DIAL_HELLO)
		return;
	if (reply->status != 200) {
		peer_dial_fail_reply(dial, reply);
		return;
	}
	if (!is_proved(dial, reply)) {
		peer_dial_fail(dial, "it does not prove the cluster secret");
		return;
	}
	hear(dial, reply->body);
}

static void
on_open(void *context)
{
	struct peer_dial *dial = context;
	struct peers *peers = dial->peer->peers;
	struct wire_hello hello = { .purpose = dial->purpose };
	struct slice body;

	if (dial->state != PEER_DIAL_CONNECTING)
		return;
	peers->ops->get_hello(
	    peers->context, dial->peer->member->id, &hello.node);
	peer_proof_nonce(hello.nonce, sizeof(hello.nonce));
	dial->own_boot_id = hello.node.boot_id;
	buf_reset(&dial->hello);
	wire_append_hello(&dial->hello, &hello);
	dial->state = PEER_DIAL_HELLO;
	body = buf_slice(&dial->hello);
	http_client_request(dial->client, HTTP_POST,
	    slice_from_text("/raft/hello"),
	    slice_from_text("Content-Type: application/json\r\n"), &body, 1,
	    loop_now(peers->loop) + peers->params.election_timeout, on_hello,
	    dial);
	http_client_flush(dial->client);
}

static void
on_closed(void *context, int error, bool refused)
{
	struct peer_dial *dial = context;

	if (dial->state == PEER_DIAL_FAILED)
		return;
	dial->refused = refused;
	if (refused)
		peer_dial_fail(dial, "connection refused");
	else if (error == ERR_TIMEOUT)
		peer_dial_fail(dial, "it does not answer in time");
	else
		peer_dial_fail(dial, "%s", err_text(error));
}

static const struct http_client_ops client_ops = {
	.on_open = on_open,
	.on_closed = on_closed,
};

void
peer_dial_init(struct peer_dial *dial, struct peer *peer,
    enum wire_purpose purpose, uint32_t pipeline_max, uint64_t reply_bytes_max)
{
	const struct http_client_params params = {
		.pipeline_max = pipeline_max,
		.reply_bytes_max = reply_bytes_max,
		.connect_timeout_us = peer->peers->params.election_timeout,
	};

	*dial = (struct peer_dial){ .peer = peer, .purpose = purpose };
	dial->client =
	    http_client_new(peer->peers->loop, &params, &client_ops, dial);
}

void
peer_dial_release(struct peer_dial *dial)
{
	http_client_free(dial->client);
	buf_release(&dial->hello);
}

void
peer_dial_begin(struct peer_dial *dial)
{
	const char *address = dial->peer->member->address;

	dial->state = PEER_DIAL_CONNECTING;
	dial->refused = false;
	if (dial->peer->peers->secret.size == 0)
		peer_dial_fail(dial, "this node has no cluster secret");
	else if (http_client_connect(dial->client, address) != 0)
		peer_dial_fail(dial, "%s is no address", address);
}

void
peer_dial_close(struct peer_dial *dial)
{
	http_client_close(dial->client);
	dial->state = PEER_DIAL_CLOSED;
}

uint64_t
peer_dial_deadline(const struct peer_dial *dial)
{
	if (dial->state == PEER_DIAL_CLOSED)
		return UINT64_MAX;
	return http_client_deadline(dial->client);
}

void
peer_dial_expire(struct peer_dial *dial, uint64_t now_us)
{
	if (dial->state != PEER_DIAL_CLOSED)
		http_client_expire(dial->client, now_us);
}
