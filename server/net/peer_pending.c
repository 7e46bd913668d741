#include "net/peer_impl.h"

#include "common/hash.h"
#include "common/mem.h"

#include <stdlib.h>

/*
 * A request of a peer that waits for the node's answer, which comes in the
 * turn that makes durable what it promises.
 */
struct pending {
	struct list link; /* in peers->pending, by time of arrival */
	struct http_request *request;
	enum raft_message_kind kind;
	raft_id from;
	uint64_t boot_id;
	uint64_t sequence;
	uint64_t deadline_us;
};

static void
pending_free(struct pending *pending)
{
	list_remove(&pending->link);
	free(pending);
}

unsigned
peer_pending_count(const struct peers *peers, raft_id from)
{
	struct list *node;
	unsigned count = 0;

	LIST_EACH(node, &peers->pending) {
		if (CONTAINER_OF(node, struct pending, link)->from == from)
			count++;
	}
	return count;
}

void
peer_pending_add(struct peers *peers, struct http_request *request,
    const struct raft_message *message, uint64_t now_us)
{
	struct pending *pending = mem_zalloc(1, sizeof(*pending));

	pending->request = request;
	pending->kind = message->kind;
	pending->from = message->from;
	pending->boot_id = message->boot_id;
	pending->sequence = message->sequence;
	/* Before the peer gives up the link over it. */
	pending->deadline_us = now_us + peers->params.election_timeout / 4 * 3;
	list_push(&peers->pending, &pending->link);
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
answer_message(struct peers *peers, struct pending *pending,
    const struct raft_message *response)
{
	struct http_request *request = pending->request;
	struct peer *peer = peers_find(peers, pending->from);
	struct buf *text = &peers->text;
	char crc[PEER_CRC_TEXT_SIZE];

	pending_free(pending);
	buf_reset(text);
	wire_append_message(text, response, NULL);
	peer_crc_text(crc32c(0, buf_slice(text)), crc);
	http_reply_begin(request, 200);
	http_reply_header(
	    request, "Content-Type", slice_from_text(PEER_MESSAGE_TYPE));
	http_reply_header(request, PEER_CRC_HEADER, slice_from_text(crc));
	http_reply_end(request, buf_slice(text));
	if (peer != NULL)
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
	case RAFT_READ_REQUEST: return response == RAFT_READ_RESPONSE;
	case RAFT_TIMEOUT_NOW:
	case RAFT_PREVOTE_RESPONSE:
	case RAFT_VOTE_RESPONSE:
	case RAFT_APPEND_RESPONSE:
	case RAFT_READ_RESPONSE: break;
	}
	return false;
}

void
peer_pending_answer(struct peers *peers, const struct raft_message *response)
{
	struct list *node;
	struct list *following;

	LIST_EACH_SAFE(node, following, &peers->pending) {
		struct pending *pending =
		    CONTAINER_OF(node, struct pending, link);

		if (!answers(response->kind, pending->kind) ||
		    pending->from != response->to ||
		    pending->boot_id != response->to_boot_id ||
		    pending->sequence > response->sequence)
			continue;
		if (pending->sequence == response->sequence)
			answer_message(peers, pending, response);
		else
			answer_nothing(pending);
	}
}

uint64_t
peer_pending_deadline(const struct peers *peers)
{
	if (list_empty(&peers->pending))
		return UINT64_MAX;
	return CONTAINER_OF(peers->pending.next, struct pending, link)
	    ->deadline_us;
}

void
peer_pending_expire(struct peers *peers, uint64_t now_us)
{
	while (peer_pending_deadline(peers) <= now_us)
		answer_nothing(
		    CONTAINER_OF(peers->pending.next, struct pending, link));
}

void
peers_abandoned(struct peers *peers, struct http_request *request)
{
	(void)peers; /* the request knows where it waits */
	if (request->context != NULL)
		pending_free(request->context);
}
