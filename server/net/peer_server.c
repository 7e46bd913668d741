#include "net/peer_impl.h"

#include "common/address.h"
#include "common/hash.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/panic.h"
#include "common/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * One connection of a peer, as the context of its HTTP connection: begun by
 * /raft/hello, in use once /raft/proof was right.
 */
struct session {
	bool proved;
	struct wire_hello hello; /* the peer's */
	/* What the peer must send to /raft/proof. */
	uint8_t proof[PEER_PROOF_SIZE];
};

static const struct {
	unsigned status;
	bool logged;
	const char *code;
} refusals[PEER_REFUSALS_COUNT] = {
	[PEER_REFUSE_PATH] = { 404, false, "unknown_path" },
	[PEER_REFUSE_METHOD] = { 405, false, "method_not_allowed" },
	[PEER_REFUSE_FORBIDDEN] = { 403, true, "forbidden" },
	[PEER_REFUSE_WRONG_CLUSTER] = { 421, true, "wrong_cluster" },
	[PEER_REFUSE_WRONG_ADDRESS] = { 421, true, "wrong_address" },
	[PEER_REFUSE_VERSION] = { 421, true, PEER_VERSION_CODE },
	[PEER_REFUSE_MALFORMED] = { 400, true, "malformed_message" },
	[PEER_REFUSE_DAMAGED] = { 400, true, "damaged_message" },
	/* It was not done, so it is sent again. */
	[PEER_REFUSE_UNSEALED] = { 503, true, "damaged_request" },
	[PEER_REFUSE_FORGED] = { 400, true, "forged_message" },
	/* The sender logs it, and this node says why it is so. */
	[PEER_REFUSE_NOT_READY] = { 503, false, "not_ready" },
	[PEER_REFUSE_BUSY] = { 503, true, "busy" },
};

void
peer_server_register_metrics(struct peers *peers)
{
	for (size_t i = 0; i < PEER_REFUSALS_COUNT; i++) {
		char labels[64];

		(void)snprintf(
		    labels, sizeof(labels), "reason=\"%s\"", refusals[i].code);
		peers->refusals[i] = metric_register(METRIC_COUNTER,
		    "luminous_raft_requests_refused_total", labels,
		    "Requests of members that were refused.");
	}
}

/* True if the reason was logged already; strangers get a line a second. */
static bool
is_reported(struct peers *peers, const char *reported, const char *reason)
{
	uint64_t now_us = loop_now(peers->loop);

	if (strcmp(reported, reason) == 0)
		return true;
	if (reported != peers->refused)
		return false;
	if (now_us < peers->refused_until_us)
		return true;
	peers->refused_until_us = now_us + PEER_STRANGER_LOG_US;
	return false;
}

/*
 * A line for each change of the reason, not for each attempt. `session` is
 * NULL if the sender has not proved to be who it says.
 */
static void
report_refusal(struct peers *peers, const struct session *session,
    const struct http_request *request, const char *detail)
{
	struct peer *peer = session == NULL
				? NULL
				: peers_find(peers, session->hello.node.from);
	char *reported = peer == NULL ? peers->refused : peer->refused;
	char name[PEER_REASON_SIZE] = "";

	if (is_reported(peers, reported, detail))
		return;
	peer_copy_reason(reported, slice_from_text(detail));
	if (session != NULL)
		peer_copy_reason(name,
		    slice_from_text(peer == NULL ? session->hello.node.name
						 : peer->member.name));
	log_notice("%s%s at %s is refused: %s",
	    session == NULL ? "a stranger" : "peer ", name,
	    http_connection_remote(request->connection), detail);
}

/* Answers with a problem (RFC 9457) and ends the connection. */
ATTR_PRINTF(5, 6)
static void
refuse(struct peers *peers, const struct session *session,
    struct http_request *request, enum peer_refusal refusal, const char *format,
    ...)
{
	unsigned status = refusals[refusal].status;
	char text[PEER_REASON_SIZE];
	char detail[PEER_REASON_SIZE];
	struct buf body = { 0 };
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	/* What a peer said may be quoted in it. */
	peer_copy_reason(detail, slice_from_text(text));
	metric_add(peers->refusals[refusal], 1);
	if (refusals[refusal].logged)
		report_refusal(peers, session, request, detail);
	buf_printf(&body,
	    "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%u,"
	    "\"code\":\"%s\",\"detail\":",
	    http_status_phrase(status), status, refusals[refusal].code);
	text_append_json_string(&body, slice_from_text(detail));
	buf_append_text(&body, "}\n");
	http_reply_begin(request, status);
	http_reply_header(request, "Content-Type",
	    slice_from_text("application/problem+json"));
	if (refusal == PEER_REFUSE_METHOD)
		http_reply_header(request, "Allow", slice_from_text("POST"));
	http_reply_close(request);
	peers_seal(request, buf_slice(&body));
	http_reply_end(request, buf_slice(&body));
	buf_release(&body);
}

/* The session of a request; NULL if it is not proved, or one that only looks:
 * a probe's means this node, whoever it is, and is good for nothing else. */
static const struct session *
proved_session(const struct http_request *request)
{
	const struct session *session =
	    http_connection_context(request->connection);

	return session != NULL && session->proved &&
		       session->hello.purpose != WIRE_PROBE
		   ? session
		   : NULL;
}

/* ---- Hello and proof ---- */

/* Remembers what the peer said and must prove, and gives our answer. */
static void
answer_hello(struct peers *peers, struct http_request *request,
    const struct wire_hello *hello)
{
	struct session *session = mem_zalloc(1, sizeof(*session));
	struct slice secret = buf_slice(&peers->secret);
	struct wire_hello ours = { .purpose = hello->purpose };
	uint8_t proof[PEER_PROOF_SIZE];
	struct buf proof_text = { 0 };
	struct buf body = { 0 };

	peers->ops->get_hello(peers->context, hello->node.from, &ours.node);
	peer_proof_nonce(ours.nonce, sizeof(ours.nonce));
	wire_append_hello(&body, &ours);
	session->hello = *hello;
	peer_proof_make(secret, PEER_SIDE_CLIENT, request->body,
	    buf_slice(&body), session->proof);
	peer_proof_make(
	    secret, PEER_SIDE_SERVER, request->body, buf_slice(&body), proof);
	text_append_hex(&proof_text, slice_of(proof, sizeof(proof)));
	http_connection_set_context(request->connection, session, free);
	http_reply_begin(request, 200);
	http_reply_header(
	    request, "Content-Type", slice_from_text(PEER_MESSAGE_TYPE));
	http_reply_header(request, PEER_PROOF_HEADER, buf_slice(&proof_text));
	http_reply_end(request, buf_slice(&body));
	buf_release(&proof_text);
	buf_release(&body);
}

/*
 * Whoever gets a member dialled at an address of his (the clients' port lets
 * him move a member) could pass its hello and proof on to the real one, and
 * would be taken for it. But the dialler says whom it dialled, its proof covers
 * that, and so a hello that was not sent here is refused before an answer could
 * prove anything to anybody.
 *
 * This node's addresses are the one that this connection came in at, and the
 * one of its configuration, for the others may find it behind a forwarded port.
 * Not the one that the membership gives it: that may be his.
 */
static bool
check_dialled(struct peers *peers, struct http_request *request,
    const struct wire_hello *hello)
{
	char dialled[ADDRESS_TEXT_SIZE] = "nowhere";
	char local[ADDRESS_TEXT_SIZE];
	struct address address;

	if (address_parse(slice_from_text(hello->node.to_address), &address) ==
	    0)
		address_format(&address, dialled);
	http_connection_local(request->connection, local);
	if (strcmp(dialled, local) == 0 || strcmp(dialled, peers->address) == 0)
		return true;
	refuse(peers, NULL, request, PEER_REFUSE_WRONG_ADDRESS,
	    "the hello was sent to %s, this node is at %s: the address leads "
	    "to somebody who passed it on, or is missing in this node's "
	    "configuration",
	    dialled, peers->address);
	return false;
}

/* A hello that this node can be meant by; the node judges the rest when it is
 * proved. */
static bool
check_ids(struct peers *peers, struct http_request *request,
    const struct wire_hello *hello)
{
	const struct node_hello *node = &hello->node;
	bool is_probe = node->stage == NODE_HELLO_PROBE;

	if ((hello->purpose == WIRE_PROBE) != is_probe || node->from == 0)
		refuse(peers, NULL, request, PEER_REFUSE_MALFORMED,
		    "the hello is of a node that does not dial so");
	else if (!is_probe && peers->self != 0 && node->to != peers->self)
		refuse(peers, NULL, request, PEER_REFUSE_WRONG_CLUSTER,
		    "the hello is for member %ju, this is member %ju",
		    (uintmax_t)node->to, (uintmax_t)peers->self);
	else if (!is_probe && node->from == peers->self)
		refuse(peers, NULL, request, PEER_REFUSE_WRONG_CLUSTER,
		    "this is member %ju itself", (uintmax_t)node->from);
	else
		return true;
	return false;
}

static void
on_hello(struct peers *peers, struct http_request *request)
{
	struct wire_hello hello;
	int rc = wire_decode_hello(request->body, &hello);

	if (http_connection_context(request->connection) != NULL)
		refuse(peers, NULL, request, PEER_REFUSE_MALFORMED,
		    "a connection has one hello");
	else if (peers->secret.size == 0)
		refuse(peers, NULL, request, PEER_REFUSE_FORBIDDEN,
		    "this node has no cluster secret");
	else if (rc == ERR_VERSION)
		refuse(peers, NULL, request, PEER_REFUSE_VERSION,
		    "this node speaks version %d of the peers' protocol",
		    WIRE_VERSION);
	else if (rc != 0)
		refuse(peers, NULL, request, PEER_REFUSE_MALFORMED,
		    "the hello is malformed");
	else if (check_dialled(peers, request, &hello) &&
		 check_ids(peers, request, &hello))
		answer_hello(peers, request, &hello);
}

static bool
is_proof_right(
    const struct session *session, const struct http_request *request)
{
	uint8_t proof[PEER_PROOF_SIZE];

	return text_parse_hex(http_request_header(request, PEER_PROOF_HEADER),
		   proof, sizeof(proof)) == 0 &&
	       peer_proof_equal(proof, session->proof);
}

static bool
carries_messages(const struct session *session)
{
	return session->hello.purpose == WIRE_APPEND ||
	       session->hello.purpose == WIRE_BULK;
}

/* Also of one that this node does not dial: its list may be an old one. */
static void
accept_peer(
    struct peers *peers, struct session *session, struct http_request *request)
{
	struct peer *peer = peers_find(peers, session->hello.node.from);
	bool is_probe = session->hello.purpose == WIRE_PROBE;

	session->proved = true;
	if (!is_probe)
		http_connection_protect(request->connection);
	if (carries_messages(session))
		http_connection_allow_pipelining(request->connection);
	if (peer != NULL && !is_probe) {
		peer_link_wake(&peer->append);
		peer_link_wake(&peer->bulk);
	}
	http_reply_begin(request, 204);
	http_reply_end(request, slice_of(NULL, 0));
}

static void
on_proof(struct peers *peers, struct http_request *request)
{
	struct session *session = http_connection_context(request->connection);
	char why[PEER_REASON_SIZE];

	if (session == NULL || session->proved) {
		refuse(peers, NULL, request, PEER_REFUSE_FORBIDDEN,
		    "a proof follows a hello");
		return;
	}
	if (!is_proof_right(session, request)) {
		refuse(peers, NULL, request, PEER_REFUSE_FORBIDDEN,
		    "the proof of the cluster secret is wrong");
		return;
	}
	if (peers->ops->hear(
		peers->context, &session->hello.node, why, sizeof(why)) != 0) {
		refuse(peers, session, request, PEER_REFUSE_WRONG_CLUSTER, "%s",
		    why);
		return;
	}
	accept_peer(peers, session, request);
}

raft_id
peers_proved(const struct http_request *request)
{
	const struct session *session = proved_session(request);

	return session == NULL ? 0 : session->hello.node.from;
}

/* ---- Forwarded requests ---- */

static bool
is_forwarding(const struct http_request *request)
{
	const struct session *session = proved_session(request);

	return session != NULL && session->hello.purpose == WIRE_FORWARD;
}

bool
peers_refuse_damaged(struct peers *peers, struct http_request *request)
{
	if (!is_forwarding(request) || peer_request_is_sealed(request))
		return false;
	refuse(peers, proved_session(request), request, PEER_REFUSE_UNSEALED,
	    "the request was damaged on its way");
	return true;
}

void
peers_seal(struct http_request *request, struct slice body)
{
	if (is_forwarding(request))
		peer_seal_answer(request, body);
}

/* ---- Messages ---- */

/*
 * The message is what the connection and the path say it is. By its hello, and
 * not by peers->self: that made a member of a node that waited for it.
 */
static bool
is_from_session(const struct session *session,
    const struct raft_message *message, enum raft_message_kind kind)
{
	return message->kind == kind &&
	       message->from == session->hello.node.from &&
	       message->to == session->hello.node.to &&
	       message->boot_id == session->hello.node.boot_id;
}

static void
count_received(struct peers *peers, const struct session *session,
    const struct http_request *request)
{
	struct peer *peer = peers_find(peers, session->hello.node.from);

	if (peer != NULL)
		metric_add(peer->bytes[PEER_RECEIVED], request->body.size);
}

/* So that a refusal that comes again is logged again. */
static void
forget_refusal(struct peers *peers, const struct session *session)
{
	struct peer *peer = peers_find(peers, session->hello.node.from);

	if (peer != NULL)
		peer->refused[0] = '\0';
}

/* The node did not take it. */
static void
refuse_untaken(struct peers *peers, const struct session *session,
    struct http_request *request, int error)
{
	if (error == ERR_AGAIN)
		refuse(peers, session, request, PEER_REFUSE_NOT_READY,
		    "this node does not take part (yet)");
	else
		refuse(peers, session, request, PEER_REFUSE_MALFORMED,
		    "the message breaks the protocol");
}

static void
receive(struct peers *peers, const struct session *session,
    struct http_request *request, const struct raft_message *message)
{
	unsigned waiting = peer_pending_count(peers, message->from);
	int rc;

	if (waiting >= PEER_PENDING_MAX) {
		refuse(peers, session, request, PEER_REFUSE_BUSY,
		    "%u requests wait for their answer", waiting);
		return;
	}
	rc =
	    peers->ops->receive(peers->context, message, peers->records.record);
	if (rc != 0) {
		refuse_untaken(peers, session, request, rc);
		return;
	}
	forget_refusal(peers, session);
	if (message->kind != RAFT_TIMEOUT_NOW) {
		peer_pending_add(
		    peers, request, message, loop_now(peers->loop));
		return;
	}
	http_reply_begin(request, 204);
	http_reply_end(request, slice_of(NULL, 0));
}

static void
on_message(struct peers *peers, struct http_request *request,
    enum raft_message_kind kind)
{
	const struct session *session = proved_session(request);
	struct raft_message message;

	if (session == NULL || !carries_messages(session)) {
		refuse(peers, session, request, PEER_REFUSE_FORBIDDEN,
		    "messages follow a hello and its proof");
		return;
	}
	count_received(peers, session, request);
	if (!peer_crc_is_right(http_request_header(request, PEER_CRC_HEADER),
		crc32c(0, request->body)))
		refuse(peers, session, request, PEER_REFUSE_DAMAGED,
		    "the message was damaged on its way");
	else if (wire_decode_message(
		     request->body, &peers->records, &message) != 0)
		refuse(peers, session, request, PEER_REFUSE_MALFORMED,
		    "the message is malformed");
	else if (!is_from_session(session, &message, kind))
		refuse(peers, session, request, PEER_REFUSE_FORGED,
		    "the message is not of its connection");
	else
		receive(peers, session, request, &message);
}

/* A piece of a snapshot; what is in it is the node's to check. */
static void
on_snapshot(struct peers *peers, struct http_request *request)
{
	const struct session *session = proved_session(request);
	struct buf answer = { 0 };
	int rc;

	if (session == NULL || session->hello.purpose != WIRE_SNAPSHOT) {
		refuse(peers, session, request, PEER_REFUSE_FORBIDDEN,
		    "snapshots follow a hello and its proof");
		return;
	}
	count_received(peers, session, request);
	rc = peers->ops->receive_snapshot(
	    peers->context, session->hello.node.from, request->body, &answer);
	if (rc != 0) {
		refuse_untaken(peers, session, request, rc);
	} else {
		forget_refusal(peers, session);
		http_reply_begin(request, 200);
		http_reply_header(
		    request, "Content-Type", slice_from_text(PEER_PIECE_TYPE));
		http_reply_end(request, buf_slice(&answer));
	}
	buf_release(&answer);
}

static void
on_append(struct peers *peers, struct http_request *request)
{
	on_message(peers, request, RAFT_APPEND_REQUEST);
}

static void
on_vote(struct peers *peers, struct http_request *request)
{
	on_message(peers, request, RAFT_VOTE_REQUEST);
}

static void
on_prevote(struct peers *peers, struct http_request *request)
{
	on_message(peers, request, RAFT_PREVOTE_REQUEST);
}

static void
on_read(struct peers *peers, struct http_request *request)
{
	on_message(peers, request, RAFT_READ_REQUEST);
}

static void
on_timeout_now(struct peers *peers, struct http_request *request)
{
	on_message(peers, request, RAFT_TIMEOUT_NOW);
}

/* ---- Routes ---- */

static const struct {
	const char *path;
	void (*on_request)(struct peers *peers, struct http_request *request);
} routes[] = {
	{ "/raft/append", on_append },
	{ "/raft/vote", on_vote },
	{ "/raft/prevote", on_prevote },
	{ "/raft/read", on_read },
	{ "/raft/timeout-now", on_timeout_now },
	{ PEER_SNAPSHOT_PATH, on_snapshot },
	{ PEER_HELLO_PATH, on_hello },
	{ PEER_PROOF_PATH, on_proof },
};

bool
peers_owns(const struct http_request *request)
{
	static const char prefix[] = "/raft/";

	return request->path.size >= sizeof(prefix) - 1 &&
	       memcmp(request->path.data, prefix, sizeof(prefix) - 1) == 0;
}

uint64_t
peers_body_max(const struct peers *peers, const struct http_request *request)
{
	const struct session *session = proved_session(request);

	if (session != NULL && carries_messages(session))
		return peers->params.body_bytes_max;
	if (session != NULL && session->hello.purpose == WIRE_SNAPSHOT)
		return peers->params.snapshot_bytes_max;
	return WIRE_HELLO_SIZE_MAX;
}

void
peers_request(struct peers *peers, struct http_request *request)
{
	for (size_t i = 0; i < ARRAY_COUNT(routes); i++) {
		if (!slice_equal(
			request->path, slice_from_text(routes[i].path)))
			continue;
		if (request->method == HTTP_POST)
			routes[i].on_request(peers, request);
		else
			refuse(peers, NULL, request, PEER_REFUSE_METHOD,
			    "peers use POST");
		return;
	}
	refuse(peers, NULL, request, PEER_REFUSE_PATH,
	    "peers use /raft/hello, proof, append, vote, prevote, read, "
	    "timeout-now and snapshot");
}
