#include "net/peer_impl.h"

#include "common/mem.h"
#include "common/panic.h"
#include "common/text.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static_assert(sizeof(((struct peers_link *)0)->last_error) == PEER_REASON_SIZE,
    "a reason fits");

struct peer *
peers_find(const struct peers *peers, raft_id id)
{
	for (unsigned i = 0; i < peers->count; i++) {
		if (peers->peer[i]->member.id == id)
			return peers->peer[i];
	}
	return NULL;
}

void
peer_copy_reason(char ret_reason[PEER_REASON_SIZE], struct slice text)
{
	size_t size = MIN(text.size, (size_t)PEER_REASON_SIZE - 1);

	for (size_t i = 0; i < size; i++) {
		uint8_t byte = text.data[i];

		ret_reason[i] = byte >= 0x20 && byte < 0x7f ? (char)byte : '?';
	}
	ret_reason[size] = '\0';
}

/* ---- Lifecycle ---- */

struct peers *
peers_new(struct loop *loop, const struct peers_params *params,
    const struct peers_ops *ops, void *context)
{
	struct peers *peers = mem_zalloc(1, sizeof(*peers));

	peers->loop = loop;
	peers->params = *params;
	buf_append_slice(&peers->secret, params->secret);
	peers->params.secret = buf_slice(&peers->secret);
	(void)snprintf(
	    peers->address, sizeof(peers->address), "%s", params->address);
	peers->params.address = peers->address;
	peers->ops = ops;
	peers->context = context;
	rng_init(&peers->rng, params->seed);
	wire_records_init(&peers->records, params->records_max);
	list_init(&peers->pending);
	list_init(&peers->probes);
	list_init(&peers->gone);
	peer_server_register_metrics(peers);
	peers->damaged_answers = metric_register(METRIC_COUNTER,
	    "luminous_http_forwarded_damaged_total", NULL,
	    "Answers to forwarded requests that were damaged on their way.");
	return peers;
}

void
peers_free(struct peers *peers)
{
	if (peers == NULL)
		return;
	ASSERT(list_empty(&peers->pending));
	peer_probes_release(peers);
	peer_members_release(peers);
	explicit_bzero(peers->secret.data, peers->secret.size);
	buf_release(&peers->secret);
	buf_release(&peers->text);
	wire_records_release(&peers->records);
	free(peers);
}

/* ---- Messages ---- */

/*
 * Heartbeats never queue behind a large body. While one is under way other
 * entries follow it on its link: overtaking it they would be refused for the
 * gap before them.
 */
static struct peer_link *
choose_link(
    struct peer *peer, const struct raft_message *message, size_t text_size)
{
	if (message->entries_count > 0 &&
	    (text_size > PEER_BULK_BODY_MIN || peer->bulk.under_way > 0))
		return &peer->bulk;
	return &peer->append;
}

static void
send_request(struct peer *peer, const struct raft_message *message,
    struct node_entry *const *entries)
{
	struct buf *text = &peer->peers->text;

	if (!peer_link_is_open(&peer->append) &&
	    !peer_link_is_open(&peer->bulk)) {
		peer->append.dropped |= message->entries_count > 0;
		return;
	}
	buf_reset(text);
	wire_append_message(text, message, entries);
	peer_link_send(
	    choose_link(peer, message, text->size), message, buf_slice(text));
}

void
peers_send(struct peers *peers, const struct raft_message *message,
    struct node_entry *const *entries)
{
	struct peer *peer;

	switch (message->kind) {
	case RAFT_PREVOTE_REQUEST:
	case RAFT_VOTE_REQUEST:
	case RAFT_APPEND_REQUEST:
	case RAFT_TIMEOUT_NOW:
	case RAFT_READ_REQUEST:
		peer = peers_find(peers, message->to);
		/* An id of the log's membership that this node was not told
		 * of. */
		if (peer != NULL)
			send_request(peer, message, entries);
		break;
	case RAFT_PREVOTE_RESPONSE:
	case RAFT_VOTE_RESPONSE:
	case RAFT_APPEND_RESPONSE:
	case RAFT_READ_RESPONSE: peer_pending_answer(peers, message); break;
	}
}

void
peers_flush(struct peers *peers)
{
	for (unsigned i = 0; i < peers->count; i++) {
		peer_link_flush(&peers->peer[i]->append);
		peer_link_flush(&peers->peer[i]->bulk);
	}
}

/* ---- Looking and time ---- */

int
peers_get_link(
    const struct peers *peers, raft_id peer_id, struct peers_link *ret_link)
{
	const struct peer *peer = peers_find(peers, peer_id);

	if (peer == NULL)
		return ERR_NOT_FOUND;
	ret_link->connected = peer_link_is_open(&peer->append);
	ret_link->attempts = peer->append.attempts;
	memcpy(ret_link->last_error, peer->append.dial.reason,
	    sizeof(ret_link->last_error));
	return 0;
}

uint64_t
peers_deadline(const struct peers *peers)
{
	uint64_t deadline_us = UINT64_MAX;

	if (peers->due)
		return 0;
	for (unsigned i = 0; i < peers->count; i++) {
		const struct peer *peer = peers->peer[i];

		deadline_us =
		    MIN(deadline_us, peer_link_deadline(&peer->append));
		deadline_us = MIN(deadline_us, peer_link_deadline(&peer->bulk));
		deadline_us =
		    MIN(deadline_us, peer_snapshot_deadline(&peer->snapshot));
		deadline_us = MIN(deadline_us, peer_pool_deadline(&peer->pool));
	}
	deadline_us = MIN(deadline_us, peer_members_deadline(peers));
	deadline_us = MIN(deadline_us, peer_probes_deadline(peers));
	return MIN(deadline_us, peer_pending_deadline(peers));
}

void
peers_expire(struct peers *peers, uint64_t now_us)
{
	peers->due = false;
	for (unsigned i = 0; i < peers->count; i++) {
		struct peer *peer = peers->peer[i];

		peer_link_expire(&peer->append, now_us);
		peer_link_expire(&peer->bulk, now_us);
		peer_snapshot_expire(&peer->snapshot, now_us);
		peer_pool_expire(peer, now_us);
	}
	peer_members_expire(peers, now_us);
	peer_pending_expire(peers, now_us);
	peer_probes_expire(peers, now_us);
	peer_snapshot_tell_unanswered(peers);
}
