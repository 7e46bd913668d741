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
count_connect(const struct peer_dial *dial, int result)
{
	if (dial->peer != NULL)
		metric_add(dial->peer->connects[result], 1);
}

static void
fail_reason(struct peer_dial *dial, int error, struct slice reason)
{
	if (dial->state == PEER_DIAL_FAILED)
		return;
	if (dial->state != PEER_DIAL_OPEN)
		count_connect(dial,
		    dial->refused ? PEER_CONNECT_REFUSED : PEER_CONNECT_FAILED);
	dial->state = PEER_DIAL_FAILED;
	dial->error = error;
	peer_copy_reason(dial->reason, reason);
	dial->peers->due = true;
}

void
peer_dial_fail(struct peer_dial *dial, int error, const char *format, ...)
{
	char reason[PEER_REASON_SIZE];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(reason, sizeof(reason), format, arguments);
	va_end(arguments);
	fail_reason(dial, error, slice_from_text(reason));
}

static int
error_of_refusal(unsigned status, struct slice code)
{
	if (slice_equal(code, slice_from_text(PEER_VERSION_CODE)))
		return ERR_VERSION;
	return status == 403 ? ERR_DENIED : ERR_MISMATCH;
}

void
peer_dial_fail_reply(
    struct peer_dial *dial, const struct http_client_reply *reply)
{
	struct slice code;
	struct slice detail;
	json_t *problem = NULL;

	if (json_parse_object(reply->body, PEER_REPLY_SIZE_MAX, &problem) ==
		0 &&
	    json_get_text(problem, "code", &code) == 0 &&
	    json_get_text(problem, "detail", &detail) == 0)
		fail_reason(
		    dial, error_of_refusal(reply->status, code), detail);
	else
		peer_dial_fail(dial, ERR_INVALID, "it answers with status %u",
		    reply->status);
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
	count_connect(dial, PEER_CONNECT_OK);
	dial->peers->due = true;
}

static void
send_proof(struct peer_dial *dial, struct slice server_hello)
{
	struct peers *peers = dial->peers;
	uint8_t proof[PEER_PROOF_SIZE];
	struct buf headers = { 0 };

	peer_proof_make(buf_slice(&peers->secret), PEER_SIDE_CLIENT,
	    buf_slice(&dial->hello), server_hello, proof);
	buf_append_text(&headers, PEER_PROOF_HEADER ": ");
	text_append_hex(&headers, slice_of(proof, sizeof(proof)));
	buf_append_text(&headers, "\r\n");
	dial->state = PEER_DIAL_PROOF;
	http_client_request(dial->client, HTTP_POST,
	    slice_from_text(PEER_PROOF_PATH), buf_slice(&headers), NULL, 0,
	    loop_now(peers->loop) + dial->timeout_us, on_proof, dial);
	http_client_flush(dial->client);
	buf_release(&headers);
}

/*
 * Whether the server's answer to our hello proves that it has the secret.
 * ERR_INVALID: it gives no proof; ERR_DENIED: a wrong one.
 */
static int
check_proof(const struct peer_dial *dial, const struct http_client_reply *reply)
{
	uint8_t right[PEER_PROOF_SIZE];
	uint8_t proof[PEER_PROOF_SIZE];

	if (text_parse_hex(http_header_get(reply->headers, PEER_PROOF_HEADER),
		proof, sizeof(proof)) != 0)
		return ERR_INVALID;
	peer_proof_make(buf_slice(&dial->peers->secret), PEER_SIDE_SERVER,
	    buf_slice(&dial->hello), reply->body, right);
	return peer_proof_equal(proof, right) ? 0 : ERR_DENIED;
}

/* A node that waits to be made a member has no id, until it has heard us. */
static bool
is_from_peer(const struct peer_dial *dial, const struct node_hello *hello)
{
	return hello->from == dial->peer->member.id ||
	       hello->stage == NODE_HELLO_JOINING;
}

static bool
is_accepted(struct peer_dial *dial, const struct wire_hello *hello)
{
	struct peers *peers = dial->peers;
	char why[PEER_REASON_SIZE];

	if (hello->node.to != dial->own_id || hello->purpose != dial->purpose ||
	    (dial->peer != NULL && !is_from_peer(dial, &hello->node))) {
		peer_dial_fail(dial, ERR_INVALID,
		    "member %ju answers at %s, as to member %ju",
		    (uintmax_t)hello->node.from, dial->address,
		    (uintmax_t)hello->node.to);
		return false;
	}
	if (dial->peer == NULL) {
		*dial->heard = hello->node;
		return true;
	}
	if (peers->ops->hear(peers->context, &hello->node, why, sizeof(why)) !=
	    0) {
		peer_dial_fail(dial, ERR_MISMATCH, "%s", why);
		return false;
	}
	return true;
}

/* The answer is proved: judges what it says. */
static void
hear(struct peer_dial *dial, struct slice text)
{
	struct wire_hello hello;
	int rc = wire_decode_hello(text, &hello);

	if (rc != 0) {
		peer_dial_fail(dial, rc, "its hello is malformed");
		return;
	}
	if (!is_accepted(dial, &hello))
		return;
	dial->boot_id = hello.node.boot_id;
	send_proof(dial, text);
}

static void
on_hello(
    void *context, int error, bool sent, const struct http_client_reply *reply)
{
	struct peer_dial *dial = context;
	int rc;

	(void)sent;
	if (error != 0 || dial->state != PEER_DIAL_HELLO)
		return;
	if (reply->status != 200) {
		peer_dial_fail_reply(dial, reply);
		return;
	}
	rc = check_proof(dial, reply);
	if (rc != 0) {
		peer_dial_fail(
		    dial, rc, "it does not prove the cluster secret");
		return;
	}
	dial->proved = true;
	hear(dial, reply->body);
}

static void
make_hello(const struct peer_dial *dial, struct wire_hello *hello)
{
	const struct peers *peers = dial->peers;
	raft_id to = dial->peer == NULL ? 0 : dial->peer->member.id;

	hello->purpose = dial->purpose;
	peers->ops->get_hello(peers->context, to, &hello->node);
	if (dial->peer == NULL)
		hello->node.stage = NODE_HELLO_PROBE;
	(void)snprintf(hello->node.to_address, sizeof(hello->node.to_address),
	    "%s", dial->address);
	peer_proof_nonce(hello->nonce, sizeof(hello->nonce));
}

static void
on_open(void *context)
{
	struct peer_dial *dial = context;
	struct wire_hello hello;
	struct slice body;

	if (dial->state != PEER_DIAL_CONNECTING)
		return;
	dial->reached = true;
	make_hello(dial, &hello);
	dial->own_id = hello.node.from;
	dial->own_boot_id = hello.node.boot_id;
	buf_reset(&dial->hello);
	wire_append_hello(&dial->hello, &hello);
	dial->state = PEER_DIAL_HELLO;
	body = buf_slice(&dial->hello);
	http_client_request(dial->client, HTTP_POST,
	    slice_from_text(PEER_HELLO_PATH),
	    slice_from_text(PEER_HELLO_FIELDS), &body, 1,
	    loop_now(dial->peers->loop) + dial->timeout_us, on_hello, dial);
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
		peer_dial_fail(dial, error, "connection refused");
	else if (error == ERR_TIMEOUT)
		peer_dial_fail(dial, error, "it does not answer in time");
	else
		peer_dial_fail(dial, error, "%s", err_text(error));
}

static const struct http_client_ops client_ops = {
	.on_open = on_open,
	.on_closed = on_closed,
};

static void
make_client(
    struct peer_dial *dial, uint32_t pipeline_max, uint64_t reply_bytes_max)
{
	const struct http_client_params params = {
		.pipeline_max = pipeline_max,
		.reply_bytes_max = reply_bytes_max,
		.connect_timeout_us = dial->timeout_us,
	};

	dial->client =
	    http_client_new(dial->peers->loop, &params, &client_ops, dial);
}

void
peer_dial_init(struct peer_dial *dial, struct peer *peer,
    enum wire_purpose purpose, uint32_t pipeline_max, uint64_t reply_bytes_max)
{
	*dial = (struct peer_dial){
		.peers = peer->peers,
		.peer = peer,
		.address = peer->member.address,
		.purpose = purpose,
		.timeout_us = peer->peers->params.election_timeout,
	};
	make_client(dial, pipeline_max, reply_bytes_max);
}

void
peer_dial_init_probe(struct peer_dial *dial, struct peers *peers,
    const char *address, struct node_hello *heard)
{
	*dial = (struct peer_dial){
		.peers = peers,
		.address = address,
		.purpose = WIRE_PROBE,
		.timeout_us = PEER_PROBE_TIMEOUT_US,
		.heard = heard,
	};
	make_client(dial, 1, PEER_REPLY_SIZE_MAX);
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
	dial->state = PEER_DIAL_CONNECTING;
	dial->refused = false;
	dial->reached = false;
	dial->proved = false;
	if (dial->peers->secret.size == 0)
		peer_dial_fail(
		    dial, ERR_UNSUPPORTED, "this node has no cluster secret");
	else if (http_client_connect(dial->client, dial->address) != 0)
		peer_dial_fail(
		    dial, ERR_INVALID, "%s is no address", dial->address);
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
