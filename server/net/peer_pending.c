#include "net/peer_impl.h"

#include "common/mem.h"

#include <stdlib.h>

/*
 * A request of a peer that waits for the node's answer, which comes in the
 * turn that makes durable what it promises.
 */
struct pending {
	struct list link; /* in peer->pending, by time of arrival */
	struct peer *peer;
	struct http_request *request;
	enum raft_message_kind kind;
	uint64_t boot_id;
	uint64_t sequence;
	uint64_t deadline_us;
};

static void
pending_free(struct pending *pending)
{
	list_remove(&pending->link);
	pending->peer->pending_count--;
	free(pending);
}

bool
peer_pending_has_room(const struct peer *peer)
{
	return peer->pending_count < PEER_PENDING_MAX;
}

void
peer_pending_add(struct peer *peer, struct http_request *request,
    const struct raft_message *message, uint64_t now_us)
{
	struct pending *pending = mem_zalloc(1, sizeof(*pending));

	pending->peer = peer;
	pending->request = request;
	pending->kind = message->kind;
	pending->boot_id = message->boot_id;
	pending->sequence = message->sequence;
	/* Before the peer gives up the link over it. */
	pending->deadline_us =
	    now_us + peer->peers->params.election_timeout / 4 * 3;
	list_push(&peer->pending, &pending->link);
	peer->pending_count++;
	request->context = pending;
}

/* Ends a request that has no answer of its own. */
static void
answer_nothing(struct pending *pending)
{
	struct http_request *request = pending->request;

	pending_free(pending);
	http_reply_begin(request, 204);
	http_reply_end(request, slice_of(NULL, 0));
}

static void
answer_message(struct pending *pending, const struct raft_message *response)
{
	struct http_request *request = pending->request;
	struct peer *peer = pending->peer;
	struct buf *text = &peer->peers->text;
	char crc[PEER_CRC_TEXT_SIZE];

	pending_free(pending);
	buf_reset(text);
	wire_append_message(text, response, NULL);
	peer_crc_text(buf_slice(text), crc);
	http_reply_begin(request, 200);
	http_reply_header(
	    request, "Content-Type", slice_from_text("application/json"));
	http_reply_header(request, PEER_CRC_HEADER, slice_from_text(crc));
	http_reply_end(request, buf_slice(text));
	metric_add(peer->bytes[PEER_SENT], text->size);
}

/* Whether `response` is of the kind that answers requests of `kind`. */
static bool
answers(enum raft_message_kind response, enum raft_message_kind kind)
{
	switch (kind) {
	case RAFT_PREVOTE_REQUEST: return response == RAFT_PREVOTE_RESPONSE;
	case RAFT_VOTE_REQUEST: return response == RAFT_VOTE_RESPONSE;
	case RAFT_APPEND_REQUEST: return response == RAFT_APPEND_RESPONSE;
	case RAFT_PREVOTE_RESPONSE:
	case RAFT_VOTE_RESPONSE:
	case RAFT_APPEND_RESPONSE: break;
	}
	return false;
}

void
peer_pending_answer(struct peer *peer, const struct raft_message *response)
{
	struct list *node;
	struct list *following;

	LIST_EACH_SAFE(node, following, &peer->pending) {
		struct pending *pending =
		    CONTAINER_OF(node, struct pending, link);

		if (!answers(response->kind, pending->kind) ||
		    pending->boot_id != response->to_boot_id ||
		    pending->sequence > response->sequence)
			continue;
		if (pending->sequence == response->sequence)
			answer_message(pending, response);
		else
			answer_nothing(pending);
	}
}

uint64_t
peer_pending_deadline(const struct peer *peer)
{
	if (list_empty(&peer->pending))
		return UINT64_MAX;
	return CONTAINER_OF(peer->pending.next, struct pending, link)
	    ->deadline_us;
}

void
peer_pending_expire(struct peer *peer, uint64_t now_us)
{
	while (peer_pending_deadline(peer) <= now_us)
		answer_nothing(
		    CONTAINER_OF(peer->pending.next, struct pending, link));
}

void
peers_abandoned(struct peers *peers, struct http_request *request)
{
	(void)peers; /* the request knows where it waits */
	if (request->context != NULL)
		pending_free(request->context);
}
