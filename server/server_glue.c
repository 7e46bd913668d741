#include "server_glue.h"

#include "net/loop.h"

/* ---- What peers ask of the node ---- */

static void
peer_get_hello(void *context, raft_id to, struct node_hello *ret_hello)
{
	struct server_glue *glue = context;

	node_get_hello(glue->node, to, ret_hello);
}

static int
peer_hear(void *context, const struct node_hello *hello, char *why, size_t size)
{
	struct server_glue *glue = context;

	return node_hear(glue->node, hello, why, size);
}

static int
peer_receive(void *context, const struct raft_message *message,
    const struct slice *records)
{
	struct server_glue *glue = context;

	/* A promise counts from when the message was read, not from when the
	 * pass began: the process may have been stopped in between. */
	return node_receive(
	    glue->node, loop_update_now(glue->loop), message, records);
}

static void
peer_unreachable(void *context, raft_id peer)
{
	struct server_glue *glue = context;

	node_peer_unreachable(glue->node, loop_now(glue->loop), peer);
}

static void
peer_refused(void *context, raft_id peer)
{
	struct server_glue *glue = context;

	node_peer_refused(glue->node, loop_now(glue->loop), peer);
}

static int
peer_receive_snapshot(
    void *context, raft_id from, struct slice piece, struct buf *ret_answer)
{
	struct server_glue *glue = context;

	return node_receive_snapshot(
	    glue->node, loop_now(glue->loop), from, piece, ret_answer);
}

static void
peer_snapshot_answered(void *context, raft_id peer, struct slice answer)
{
	struct server_glue *glue = context;

	node_snapshot_answered(glue->node, loop_now(glue->loop), peer, answer);
}

const struct peers_ops server_peers_ops = {
	.get_hello = peer_get_hello,
	.hear = peer_hear,
	.receive = peer_receive,
	.unreachable = peer_unreachable,
	.refused = peer_refused,
	.receive_snapshot = peer_receive_snapshot,
	.snapshot_answered = peer_snapshot_answered,
};

/* ---- What the HTTP server asks ---- */

static uint64_t
http_body_max(void *context, const struct http_request *request)
{
	struct server_glue *glue = context;

	return peers_owns(request) ? peers_body_max(glue->peers, request)
				   : api_body_max(glue->api, request);
}

static bool
http_reserved(void *context, const struct http_request *request)
{
	struct server_glue *glue = context;

	return peers_owns(request) || api_reserved(glue->api, request);
}

static void
http_on_request(void *context, struct http_request *request)
{
	struct server_glue *glue = context;

	if (peers_owns(request))
		peers_request(glue->peers, request);
	else if (!peers_refuse_damaged(glue->peers, request))
		api_request(glue->api, request);
}

/* Bodies and answers of peers come whole. */
static bool
http_streams_body(void *context, const struct http_request *request)
{
	struct server_glue *glue = context;

	return !peers_owns(request) && api_streams_body(glue->api, request);
}

static void
http_on_body(
    void *context, struct http_request *request, struct slice part, bool last)
{
	struct server_glue *glue = context;

	api_body_part(glue->api, request, part, last);
}

static void
http_on_drained(void *context, struct http_request *request)
{
	struct server_glue *glue = context;

	api_drained(glue->api, request);
}

static void
http_on_abandoned(void *context, struct http_request *request)
{
	struct server_glue *glue = context;

	if (peers_owns(request))
		peers_abandoned(glue->peers, request);
	else
		api_abandoned(glue->api, request);
}

static void
http_on_refused(void *context, struct http_request *request,
    enum http_refusal refusal, const char *detail, uint64_t limit,
    const char *option)
{
	struct server_glue *glue = context;

	api_refused(glue->api, request, refusal, detail, limit, option);
}

const struct http_server_ops server_http_ops = {
	.body_max = http_body_max,
	.reserved = http_reserved,
	.on_request = http_on_request,
	.streams_body = http_streams_body,
	.on_body = http_on_body,
	.on_drained = http_on_drained,
	.on_abandoned = http_on_abandoned,
	.on_refused = http_on_refused,
};
