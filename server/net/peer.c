#include "net/peer_impl.h"

#include "common/hash.h"
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
peers_find(struct peers *peers, raft_id id)
{
	for (unsigned i = 0; i < peers->count; i++) {
		if (peers->peer[i].member->id == id)
			return &peers->peer[i];
	}
	return NULL;
}

void
peer_crc_text(struct slice body, char ret_text[PEER_CRC_TEXT_SIZE])
{
	(void)snprintf(ret_text, PEER_CRC_TEXT_SIZE, "%08x", crc32c(0, body));
}

bool
peer_crc_is_right(struct slice header, struct slice body)
{
	char text[PEER_CRC_TEXT_SIZE];

	peer_crc_text(body, text);
	return slice_equal(header, slice_from_text(text));
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

static void
register_metrics(struct peer *peer)
{
	static const char *const directions[] = { "sent", "received" };
	static const char *const results[] = { "ok", "refused", "failed" };
	char labels[NODE_NAME_SIZE_MAX + 64];

	for (size_t i = 0; i < ARRAY_COUNT(directions); i++) {
		(void)snprintf(labels, sizeof(labels),
		    "peer=\"%s\",direction=\"%s\"", peer->member->name,
		    directions[i]);
		peer->bytes[i] = metric_register(METRIC_COUNTER,
		    "luminous_raft_peer_bytes_total", labels,
		    "Bytes of messages to and from a peer.");
	}
	for (size_t i = 0; i < ARRAY_COUNT(results); i++) {
		(void)snprintf(labels, sizeof(labels),
		    "peer=\"%s\",result=\"%s\"", peer->member->name,
		    results[i]);
		peer->connects[i] = metric_register(METRIC_COUNTER,
		    "luminous_raft_peer_connects_total", labels,
		    "Attempts to connect to a peer and to prove oneself.");
	}
}

static void
init_peer(
    struct peer *peer, struct peers *peers, const struct node_member *member)
{
	peer->peers = peers;
	peer->member = member;
	list_init(&peer->pending);
	peer_link_init(&peer->append, peer, WIRE_APPEND);
	peer_link_init(&peer->bulk, peer, WIRE_BULK);
	peer_pool_init(&peer->pool);
	register_metrics(peer);
}

struct peers *
peers_new(struct loop *loop, const struct peers_params *params,
    const struct peers_ops *ops, void *context)
{
	struct peers *peers = mem_zalloc(1, sizeof(*peers));

	peers->loop = loop;
	peers->params = *params;
	buf_append_slice(&peers->secret, params->secret);
	peers->params.secret = buf_slice(&peers->secret);
	peers->ops = ops;
	peers->context = context;
	rng_init(&peers->rng, params->seed);
	wire_records_init(&peers->records, params->records_max);
	peer_server_register_metrics(peers);
	for (unsigned i = 0; i < params->members.count; i++) {
		const struct node_member *member =
		    &peers->params.members.member[i];

		if (member->id != params->self)
			init_peer(&peers->peer[peers->count++], peers, member);
	}
	return peers;
}

void
peers_free(struct peers *peers)
{
	if (peers == NULL)
		return;
	for (unsigned i = 0; i < peers->count; i++) {
		struct peer *peer = &peers->peer[i];

		ASSERT(list_empty(&peer->pending));
		peer_link_release(&peer->append);
		peer_link_release(&peer->bulk);
		peer_pool_release(&peer->pool);
	}
	explicit_bzero(peers->secret.data, peers->secret.size);
	buf_release(&peers->secret);
	buf_release(&peers->text);
	wire_records_release(&peers->records);
	free(peers);
}

void
peers_start(struct peers *peers)
{
	for (unsigned i = 0; i < peers->count; i++) {
		peer_link_start(&peers->peer[i].append);
		peer_link_start(&peers->peer[i].bulk);
	}
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
	struct peer *peer = peers_find(peers, message->to);

	/* An id of the log's membership that this node was not told of. */
	if (peer == NULL)
		return;
	switch (message->kind) {
	case RAFT_PREVOTE_REQUEST:
	case RAFT_VOTE_REQUEST:
	case RAFT_APPEND_REQUEST: send_request(peer, message, entries); break;
	case RAFT_PREVOTE_RESPONSE:
	case RAFT_VOTE_RESPONSE:
	case RAFT_APPEND_RESPONSE: peer_pending_answer(peer, message); break;
	}
}

void
peers_flush(struct peers *peers)
{
	for (unsigned i = 0; i < peers->count; i++) {
		peer_link_flush(&peers->peer[i].append);
		peer_link_flush(&peers->peer[i].bulk);
	}
}

/* ---- Looking and time ---- */

int
peers_get_link(
    const struct peers *peers, raft_id peer_id, struct peers_link *ret_link)
{
	for (unsigned i = 0; i < peers->count; i++) {
		const struct peer_link *link = &peers->peer[i].append;

		if (peers->peer[i].member->id != peer_id)
			continue;
		ret_link->connected = peer_link_is_open(link);
		ret_link->attempts = link->attempts;
		memcpy(ret_link->last_error, link->dial.reason,
		    sizeof(ret_link->last_error));
		return 0;
	}
	return ERR_NOT_FOUND;
}

uint64_t
peers_deadline(const struct peers *peers)
{
	uint64_t deadline_us = UINT64_MAX;

	if (peers->due)
		return 0;
	for (unsigned i = 0; i < peers->count; i++) {
		const struct peer *peer = &peers->peer[i];

		deadline_us =
		    MIN(deadline_us, peer_link_deadline(&peer->append));
		deadline_us = MIN(deadline_us, peer_link_deadline(&peer->bulk));
		deadline_us = MIN(deadline_us, peer_pool_deadline(&peer->pool));
		deadline_us = MIN(deadline_us, peer_pending_deadline(peer));
	}
	return deadline_us;
}

void
peers_expire(struct peers *peers, uint64_t now_us)
{
	peers->due = false;
	for (unsigned i = 0; i < peers->count; i++) {
		struct peer *peer = &peers->peer[i];

		peer_link_expire(&peer->append, now_us);
		peer_link_expire(&peer->bulk, now_us);
		peer_pool_expire(peer, now_us);
		peer_pending_expire(peer, now_us);
	}
}
