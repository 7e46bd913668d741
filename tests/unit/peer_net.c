#include "tests/unit/peer_net.h"

#include "common/err.h"
#include "common/hash.h"
#include "common/text.h"
#include "net/peer_impl.h"
#include "net/peer_proof.h"
#include "tests/unit/local_client.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define BODY_BYTES_MAX  (UINT64_C(4) << 20)
#define PIECE_BYTES_MAX (UINT64_C(1) << 20)
#define RECORDS_MAX     64
#define PASS_WAIT_US    20000
#define STEP_US_MAX     PASS_WAIT_US /* see loop_limit_step */
#define REQUEST_WAIT_US UINT64_C(5000000)

/* ---- The fake node ---- */

static void
make_hello(const struct side *side, raft_id to, struct node_hello *hello)
{
	*hello = (struct node_hello){
		.stage = to == 0 ? NODE_HELLO_PROBE : NODE_HELLO_MEMBER,
		.from = side->id,
		.to = to,
		.boot_id = side->boot_id,
		.cluster = "test",
		.members_index = 1,
		.members = { .count = 1,
		    .member = { { .id = side->id,
			.name = "n",
			.address = "a" } } },
	};
	(void)snprintf(
	    hello->name, sizeof(hello->name), "n%u", (unsigned)side->id);
}

static void
on_get_hello(void *context, raft_id to, struct node_hello *ret_hello)
{
	struct side *side = context;

	make_hello(side, to, ret_hello);
	if (!side->joining)
		return;
	ret_hello->stage = NODE_HELLO_JOINING;
	ret_hello->from = 0;
	ret_hello->members_index = 0;
	ret_hello->members.count = 0;
}

static int
on_hear(void *context, const struct node_hello *hello, char *why, size_t size)
{
	struct side *side = context;

	side->heard_count++;
	side->heard = *hello;
	(void)snprintf(why, size, "another cluster");
	return side->hear_result;
}

static int
on_receive(void *context, const struct raft_message *message,
    const struct slice *records)
{
	struct side *side = context;

	if (side->receive_result != 0)
		return side->receive_result;
	if (side->received_count < PEER_NET_NOTED_MAX) {
		side->received[side->received_count] = *message;
		side->received_on[side->received_count] = side->net->current;
	}
	side->received_count++;
	if (message->entries_count > 0)
		(void)snprintf(side->record, sizeof(side->record), "%.*s",
		    (int)records[0].size, (const char *)records[0].data);
	return 0;
}

static void
on_unreachable(void *context, raft_id peer)
{
	struct side *side = context;

	(void)peer;
	side->unreachable_count++;
}

static void
on_refused_peer(void *context, raft_id peer)
{
	struct side *side = context;

	(void)peer;
	side->refused_count++;
}

static void
note_text(char *to, size_t size, struct slice text)
{
	(void)snprintf(
	    to, size, "%.*s", (int)text.size, (const char *)text.data);
}

static int
on_receive_snapshot(
    void *context, raft_id from, struct slice piece, struct buf *ret_answer)
{
	struct side *side = context;

	side->pieces_count++;
	side->piece_from = from;
	side->piece_size = piece.size;
	note_text(side->piece, sizeof(side->piece), piece);
	buf_append_text(ret_answer, side->piece_answer);
	return side->piece_result;
}

static void
on_snapshot_answered(void *context, raft_id peer, struct slice answer)
{
	struct side *side = context;

	side->answered_count++;
	side->answered_by = peer;
	note_text(side->answered, sizeof(side->answered), answer);
	if (side->pieces_left > 0) {
		side->pieces_left--;
		peers_send_snapshot(side->peers, peer, slice_from_text("next"));
	}
}

static const struct peers_ops peers_ops = {
	.get_hello = on_get_hello,
	.hear = on_hear,
	.receive = on_receive,
	.unreachable = on_unreachable,
	.refused = on_refused_peer,
	.receive_snapshot = on_receive_snapshot,
	.snapshot_answered = on_snapshot_answered,
};

/* ---- The HTTP server ---- */

static uint64_t
on_body_max(void *context, const struct http_request *request)
{
	struct side *side = context;

	return peers_owns(request) && side->peers != NULL
		   ? peers_body_max(side->peers, request)
		   : BODY_BYTES_MAX;
}

static bool
on_reserved(void *context, const struct http_request *request)
{
	(void)context;
	return peers_owns(request) || peers_proved(request) != 0;
}

static void
on_request(void *context, struct http_request *request)
{
	struct side *side = context;

	if (peers_owns(request) && side->peers != NULL && !side->holds) {
		side->net->current = request->connection;
		peers_request(side->peers, request);
		side->net->current = NULL;
		return;
	}
	if (side->requests_count < PEER_NET_NOTED_MAX)
		side->request[side->requests_count] = request;
	side->requests_count++;
}

static void
on_abandoned(void *context, struct http_request *request)
{
	struct side *side = context;

	side->abandoned_count++;
	if (peers_owns(request) && request->context != NULL)
		peers_abandoned(side->peers, request);
}

static void
on_refused(void *context, struct http_request *request,
    enum http_refusal refusal, const char *detail, uint64_t limit,
    const char *option)
{
	(void)context;
	(void)detail;
	(void)limit;
	(void)option;
	http_reply_begin(
	    request, refusal == HTTP_REFUSE_BODY_TOO_LARGE ? 413 : 400);
	http_reply_end(request, slice_from_text(""));
}

static const struct http_server_ops server_ops = {
	.body_max = on_body_max,
	.reserved = on_reserved,
	.on_request = on_request,
	.on_abandoned = on_abandoned,
	.on_refused = on_refused,
};

static const struct http_server_params server_params = {
	.connections_max = 400,
	.target_bytes_max = 1024,
	.head_bytes_max = 8192,
	.input_bytes_max = UINT64_C(64) << 20,
	.output_bytes_max = UINT64_C(64) << 20,
	.idle_timeout_us = 60000000,
	.header_timeout_us = 60000000,
	.body_timeout_us = 60000000,
	.write_timeout_us = 60000000,
};

/* ---- Members ---- */

struct side *
peer_net_side(struct peer_net *net, raft_id id)
{
	ck_assert_uint_ge(id, 1);
	ck_assert_uint_le(id, net->sides_count);
	return &net->side[id - 1];
}

static void
listen_on(struct side *side)
{
	uint16_t *port = &side->net->port[side->id - 1];
	char address[32];

	side->server =
	    http_server_new(side->net->loop, &server_params, &server_ops, side);
	if (*port == 0) {
		*port = local_listen(side->server);
		return;
	}
	(void)snprintf(address, sizeof(address), "127.0.0.1:%u", *port);
	ck_assert_int_eq(http_server_listen(side->server, address), 0);
}

/* All listen, so that all ports are known and stay theirs. */
void
peer_net_init(struct peer_net *net, unsigned count)
{
	*net = (struct peer_net){ .sides_count = count,
		.election_timeout = 2000000 };
	ck_assert_int_eq(loop_new(&net->loop), 0);
	loop_limit_step(net->loop, STEP_US_MAX);
	for (unsigned i = 0; i < count; i++) {
		struct side *side = &net->side[i];

		side->net = net;
		side->id = i + 1;
		side->secret = "the cluster secret";
		side->piece_answer = "go on";
		listen_on(side);
	}
}

void
peer_net_listen(struct peer_net *net, raft_id id)
{
	struct side *side = peer_net_side(net, id);
	const struct peers_params params = {
		.secret = slice_from_text(side->secret),
		.address = side->address == NULL ? "" : side->address,
		.election_timeout = net->election_timeout,
		.idle_timeout_us = 60000000,
		.body_bytes_max = BODY_BYTES_MAX,
		.snapshot_bytes_max = PIECE_BYTES_MAX,
		.records_max = RECORDS_MAX,
		.seed = id,
	};
	static const struct node_members nobody;

	side->boot_id += 0x100000000 + id;
	if (side->server == NULL)
		listen_on(side);
	side->peers = peers_new(net->loop, &params, &peers_ops, side);
	peers_set_members(side->peers, &nobody, side->joining ? 0 : id);
}

struct node_members
peer_net_members(const struct peer_net *net)
{
	struct node_members members = { .count = net->sides_count };

	for (unsigned i = 0; i < net->sides_count; i++) {
		struct node_member *member = &members.member[i];

		member->id = i + 1;
		(void)snprintf(
		    member->name, sizeof(member->name), "n%u", i + 1);
		(void)snprintf(member->address, sizeof(member->address),
		    "127.0.0.1:%u", net->port[i]);
	}
	return members;
}

struct peer *
peer_net_peer(struct peer_net *net, raft_id from, raft_id to)
{
	struct peer *peer = peers_find(peer_net_side(net, from)->peers, to);

	ck_assert_ptr_nonnull(peer);
	return peer;
}

void
peer_net_start(struct peer_net *net, raft_id id)
{
	struct node_members members = peer_net_members(net);

	peer_net_listen(net, id);
	peers_set_members(peer_net_side(net, id)->peers, &members, id);
}

void
peer_net_kill(struct peer_net *net, raft_id id)
{
	struct side *side = peer_net_side(net, id);

	/* Before the peers: it tells them what is abandoned. */
	http_server_free(side->server);
	side->server = NULL;
	peers_free(side->peers);
	side->peers = NULL;
}

void
peer_net_release(struct peer_net *net)
{
	for (unsigned i = 0; i < net->sides_count; i++) {
		peer_net_kill(net, i + 1);
	}
	loop_free(net->loop);
}

void
peer_net_pass(struct peer_net *net)
{
	uint64_t deadline_us = loop_update_now(net->loop) + PASS_WAIT_US;

	for (unsigned i = 0; i < net->sides_count; i++) {
		struct side *side = &net->side[i];

		if (side->peers == NULL)
			continue;
		deadline_us = MIN(deadline_us, peers_deadline(side->peers));
		deadline_us =
		    MIN(deadline_us, http_server_deadline(side->server));
	}
	loop_pass(net->loop, deadline_us);
	for (unsigned i = 0; i < net->sides_count; i++) {
		struct side *side = &net->side[i];

		if (side->peers == NULL)
			continue;
		peers_expire(side->peers, loop_now(net->loop));
		http_server_expire(side->server, loop_now(net->loop));
		peers_flush(side->peers);
		http_server_flush(side->server);
	}
}

void
peer_net_pass_some(struct peer_net *net)
{
	for (int i = 0; i < 20; i++)
		peer_net_pass(net);
}

bool
peer_net_connected(struct peer_net *net, raft_id from, raft_id to)
{
	struct peers_link link;

	ck_assert_int_eq(
	    peers_get_link(peer_net_side(net, from)->peers, to, &link), 0);
	return link.connected;
}

bool
peer_net_all_connected(struct peer_net *net)
{
	for (unsigned i = 1; i <= net->sides_count; i++) {
		for (unsigned k = 1; k <= net->sides_count; k++) {
			if (i == k || net->side[i - 1].peers == NULL ||
			    net->side[k - 1].peers == NULL)
				continue;
			if (!peer_net_connected(net, i, k))
				return false;
		}
	}
	return true;
}

/* ---- Messages ---- */

struct raft_message
peer_net_message(struct peer_net *net, enum raft_message_kind kind,
    raft_id from, raft_id to, uint64_t sequence)
{
	struct raft_message message = {
		.kind = kind,
		.from = from,
		.to = to,
		.term = 3,
		.boot_id = peer_net_side(net, from)->boot_id,
		.sequence = sequence,
	};

	if (kind == RAFT_PREVOTE_RESPONSE || kind == RAFT_VOTE_RESPONSE ||
	    kind == RAFT_APPEND_RESPONSE || kind == RAFT_READ_RESPONSE)
		message.to_boot_id = peer_net_side(net, to)->boot_id;
	return message;
}

void
peer_net_append(struct peer_net *net, raft_id from, raft_id to,
    uint64_t sequence, struct slice record, uint32_t count)
{
	struct raft_message message =
	    peer_net_message(net, RAFT_APPEND_REQUEST, from, to, sequence);
	struct node_entry entry = { .record = record };
	struct node_entry *entries[RECORDS_MAX];

	ck_assert_uint_le(count, RECORDS_MAX);
	for (uint32_t i = 0; i < count; i++)
		entries[i] = &entry;
	message.entries_count = count;
	peers_send(peer_net_side(net, from)->peers, &message, entries);
	free(entry.wire_text);
}

/* ---- A stranger ---- */

static void
stranger_on_open(void *context)
{
	(void)context;
}

static void
stranger_on_closed(void *context, int error, bool refused)
{
	struct stranger *stranger = context;

	(void)error;
	(void)refused;
	stranger->closed = true;
}

static const struct http_client_ops stranger_ops = {
	.on_open = stranger_on_open,
	.on_closed = stranger_on_closed,
};

void
stranger_init(struct stranger *stranger, struct peer_net *net, raft_id to)
{
	static const struct http_client_params params = {
		.pipeline_max = HTTP_PIPELINE_MAX,
		.reply_bytes_max = 65536,
		.connect_timeout_us = REQUEST_WAIT_US,
	};

	*stranger = (struct stranger){ .net = net };
	stranger->client =
	    http_client_new(net->loop, &params, &stranger_ops, stranger);
	(void)snprintf(stranger->address, sizeof(stranger->address),
	    "127.0.0.1:%u", net->port[to - 1]);
	stranger->to_address = stranger->address;
	ck_assert_int_eq(
	    http_client_connect(stranger->client, stranger->address), 0);
	PEER_NET_WAIT(net, http_client_is_open(stranger->client));
}

void
stranger_release(struct stranger *stranger)
{
	http_client_free(stranger->client);
	buf_release(&stranger->body);
	buf_release(&stranger->proof);
	buf_release(&stranger->hello);
}

static void
stranger_on_reply(
    void *context, int error, bool sent, const struct http_client_reply *reply)
{
	struct stranger *stranger = context;

	(void)sent;
	ck_assert_uint_lt(stranger->replies_count, PEER_NET_NOTED_MAX);
	stranger->status[stranger->replies_count++] =
	    error == 0 ? reply->status : 0;
	if (error != 0)
		return;
	buf_reset(&stranger->body);
	buf_append_slice(&stranger->body, reply->body);
	buf_reset(&stranger->proof);
	buf_append_slice(&stranger->proof,
	    http_header_get(reply->headers, "Luminous-Proof"));
}

void
stranger_send(struct stranger *stranger, const char *path, const char *headers,
    struct slice body)
{
	http_client_request(stranger->client, HTTP_POST, slice_from_text(path),
	    slice_from_text(headers), &body, 1,
	    loop_now(stranger->net->loop) + REQUEST_WAIT_US, stranger_on_reply,
	    stranger);
	http_client_flush(stranger->client);
}

unsigned
stranger_post(struct stranger *stranger, const char *path, const char *headers,
    struct slice body)
{
	unsigned before = stranger->replies_count;

	stranger_send(stranger, path, headers, body);
	PEER_NET_WAIT(stranger->net, stranger->replies_count > before);
	return stranger->status[before];
}

unsigned
stranger_hello(struct stranger *stranger, raft_id from, raft_id to,
    enum wire_purpose purpose)
{
	struct wire_hello hello = { .purpose = purpose };

	make_hello(peer_net_side(stranger->net, 1), to, &hello.node);
	hello.node.from = from;
	hello.node.boot_id = 77;
	(void)snprintf(hello.node.to_address, sizeof(hello.node.to_address),
	    "%s", stranger->to_address);
	buf_reset(&stranger->hello);
	wire_append_hello(&stranger->hello, &hello);
	return stranger_post(
	    stranger, "/raft/hello", "", buf_slice(&stranger->hello));
}

unsigned
stranger_prove(struct stranger *stranger, const char *secret)
{
	uint8_t proof[PEER_PROOF_SIZE];
	struct buf headers = { 0 };
	unsigned status;

	peer_proof_make(slice_from_text(secret), PEER_SIDE_CLIENT,
	    buf_slice(&stranger->hello), buf_slice(&stranger->body), proof);
	buf_append_text(&headers, "Luminous-Proof: ");
	text_append_hex(&headers, slice_of(proof, sizeof(proof)));
	buf_append(&headers, "\r\n", 3);
	status = stranger_post(stranger, "/raft/proof",
	    (const char *)headers.data, slice_from_text(""));
	buf_release(&headers);
	return status;
}

void
stranger_send_message(struct stranger *stranger, const char *path,
    const struct raft_message *message)
{
	struct buf text = { 0 };
	char headers[64];

	wire_append_message(&text, message, NULL);
	(void)snprintf(headers, sizeof(headers), "Luminous-Crc32c: %08x\r\n",
	    crc32c(0, buf_slice(&text)));
	stranger_send(stranger, path, headers, buf_slice(&text));
	buf_release(&text);
}

unsigned
stranger_post_message(struct stranger *stranger, const char *path,
    const struct raft_message *message)
{
	unsigned before = stranger->replies_count;

	stranger_send_message(stranger, path, message);
	PEER_NET_WAIT(stranger->net, stranger->replies_count > before);
	return stranger->status[before];
}
