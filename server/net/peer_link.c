#include "net/peer_impl.h"

#include "common/hash.h"
#include "common/log.h"
#include "common/panic.h"

#include <inttypes.h>

static const char *
link_name(const struct peer_link *link)
{
	return link->dial.purpose == WIRE_BULK ? "bulk connection"
					       : "connection";
}

void
peer_link_init(
    struct peer_link *link, struct peer *peer, enum wire_purpose purpose)
{
	*link = (struct peer_link){ .retry_at_us = UINT64_MAX };
	peer_dial_init(&link->dial, peer, purpose, PEER_LINK_PIPELINE_MAX,
	    PEER_REPLY_SIZE_MAX);
}

void
peer_link_release(struct peer_link *link)
{
	peer_dial_release(&link->dial);
}

void
peer_link_start(struct peer_link *link)
{
	link->retry_at_us = 0;
	link->dial.peers->due = true;
}

void
peer_link_wake(struct peer_link *link)
{
	if (link->dial.state == PEER_DIAL_CLOSED)
		peer_link_start(link);
}

bool
peer_link_is_open(const struct peer_link *link)
{
	return link->dial.state == PEER_DIAL_OPEN &&
	       http_client_is_open(link->dial.client);
}

/* ---- Messages ---- */

/* Whether an answer can be taken for one of this link's peer to this node. */
static bool
is_answer_to_us(
    const struct peer_link *link, const struct raft_message *message)
{
	const struct peer_dial *dial = &link->dial;

	switch (message->kind) {
	case RAFT_PREVOTE_RESPONSE:
	case RAFT_VOTE_RESPONSE:
	case RAFT_APPEND_RESPONSE:
	case RAFT_READ_RESPONSE: break;
	case RAFT_PREVOTE_REQUEST:
	case RAFT_VOTE_REQUEST:
	case RAFT_APPEND_REQUEST:
	case RAFT_TIMEOUT_NOW:
	case RAFT_READ_REQUEST: return false;
	}
	return message->from == dial->peer->member.id &&
	       message->to == dial->own_id &&
	       message->boot_id == dial->boot_id &&
	       message->to_boot_id == dial->own_boot_id;
}

static void
take_answer(struct peer_link *link, const struct http_client_reply *reply)
{
	struct peers *peers = link->dial.peers;
	struct raft_message message;

	if (!peer_crc_is_right(http_header_get(reply->headers, PEER_CRC_HEADER),
		crc32c(0, reply->body))) {
		peer_dial_fail(
		    &link->dial, ERR_INVALID, "its answer was damaged");
		return;
	}
	if (wire_decode_message(reply->body, &peers->records, &message) != 0 ||
	    !is_answer_to_us(link, &message) ||
	    peers->ops->receive(peers->context, &message, NULL) ==
		ERR_INVALID) {
		peer_dial_fail(
		    &link->dial, ERR_INVALID, "its answer is malformed");
		return;
	}
	link->useful = true;
}

static void
on_reply(
    void *context, int error, bool sent, const struct http_client_reply *reply)
{
	struct peer_link *link = context;

	(void)sent; /* messages get lost either way */
	ASSERT(link->under_way > 0);
	link->under_way--;
	if (error != 0) {
		link->lost = true;
		return;
	}
	if (link->dropped)
		link->dial.peers->due = true;
	metric_add(link->dial.peer->bytes[PEER_RECEIVED], reply->body.size);
	if (link->dial.state != PEER_DIAL_OPEN)
		return;
	if (reply->status == 200)
		take_answer(link, reply);
	else if (reply->status == 204)
		link->useful = true;
	else
		peer_dial_fail_reply(&link->dial, reply);
	if (link->dial.state == PEER_DIAL_FAILED)
		link->lost = true;
}

/*
 * Loop time at which a message of `size` must be answered. Large ones get the
 * time in which a slow network moves them and those before them.
 */
static uint64_t
answer_deadline(struct peer_link *link, size_t size)
{
	const struct peers *peers = link->dial.peers;
	uint64_t now_us = loop_now(peers->loop);

	if (link->dial.purpose != WIRE_BULK)
		return now_us + peers->params.election_timeout;
	link->drained_at_us = MAX(link->drained_at_us, now_us) +
			      size * UINT64_C(1000000) / PEER_BULK_RATE_MIN;
	return link->drained_at_us + peers->params.election_timeout;
}

void
peer_link_send(struct peer_link *link, const struct raft_message *message,
    struct slice text)
{
	char fields[PEER_MESSAGE_FIELDS_SIZE];

	/*
	 * A lost heartbeat or vote comes again by itself; that entries were
	 * lost is told when there is room again, for before they would only
	 * be sent into the same wall.
	 */
	if (!peer_link_is_open(link) ||
	    http_client_room(link->dial.client) == 0) {
		link->dropped |= message->entries_count > 0;
		return;
	}
	http_client_request(link->dial.client, HTTP_POST,
	    slice_from_text(peer_message_path(message->kind)),
	    peer_message_fields(text, fields), &text, 1,
	    answer_deadline(link, text.size), on_reply, link);
	link->under_way++;
	link->unflushed = true;
	metric_add(link->dial.peer->bytes[PEER_SENT], text.size);
}

void
peer_link_flush(struct peer_link *link)
{
	if (!link->unflushed)
		return;
	link->unflushed = false;
	http_client_flush(link->dial.client);
}

/* ---- Up and down ---- */

static void
report_up(struct peer_link *link)
{
	const struct node_member *member = &link->dial.peer->member;

	if (link->reported_up)
		return;
	link->reported_up = true;
	link->reported[0] = '\0';
	if (link->dial.purpose == WIRE_APPEND)
		log_notice(
		    "peer %s (%s): connected", member->name, member->address);
	else
		log_debug("peer %s (%s): %s made", member->name,
		    member->address, link_name(link));
}

static void
report_down(struct peer_link *link)
{
	const struct node_member *member = &link->dial.peer->member;
	const char *change = link->reported_up ? "lost" : "not made";

	if (!link->reported_up &&
	    strcmp(link->reported, link->dial.reason) == 0)
		return;
	link->reported_up = false;
	peer_copy_reason(link->reported, slice_from_text(link->dial.reason));
	if (link->dial.purpose == WIRE_APPEND)
		log_notice("peer %s (%s): %s %s: %s", member->name,
		    member->address, link_name(link), change, link->reported);
	else
		log_debug("peer %s (%s): %s %s: %s", member->name,
		    member->address, link_name(link), change, link->reported);
}

static void
on_dial_open(struct peer_link *link, uint64_t now_us)
{
	link->was_open = true;
	link->opened_at_us = now_us;
	link->useful = false;
	link->attempts = 0;
	link->dial.peer->was_up = true;
}

/* Whether a link that is or was open did more than to open. */
static bool
is_settled(const struct peer_link *link, uint64_t now_us)
{
	return link->useful || now_us - link->opened_at_us >= PEER_SETTLED_US;
}

/*
 * Refused while nothing is connected any more: the process is gone, and not
 * just one connection.
 */
static void
tell_refused(struct peer *peer)
{
	if (!peer->was_up || peer_link_is_open(&peer->append) ||
	    peer_link_is_open(&peer->bulk))
		return;
	peer->was_up = false;
	peer->peers->ops->refused(peer->peers->context, peer->member.id);
}

/*
 * After the loss of a link that worked the next attempt follows at once: a
 * refusal tells that the process died. A peer that accepts connections but no
 * messages is not dialled in a loop.
 */
static void
plan_retry(struct peer_link *link, uint64_t now_us)
{
	struct peers *peers = link->dial.peers;
	uint64_t wait_us = link->backoff_us;

	if (link->was_open && is_settled(link, now_us))
		wait_us = 0;
	link->backoff_us = wait_us == 0 ? PEER_BACKOFF_MIN_US
					: MIN(wait_us * 2, PEER_BACKOFF_MAX_US);
	if (wait_us != 0)
		wait_us = rng_between(&peers->rng, wait_us / 2, wait_us);
	link->retry_at_us = now_us + wait_us;
}

static void
on_dial_failed(struct peer_link *link, uint64_t now_us)
{
	struct peer *peer = link->dial.peer;
	struct peers *peers = peer->peers;
	bool refused = link->dial.refused;

	peer_dial_close(&link->dial);
	/* An idle link is closed by the other side now and then; only if it
	 * cannot be had again at once that is worth a line. */
	if (!link->was_open || link->lost)
		report_down(link);
	if (!link->was_open)
		link->attempts++;
	if (link->lost)
		peers->ops->unreachable(peers->context, peer->member.id);
	if (refused)
		tell_refused(peer);
	plan_retry(link, now_us);
	if (link->was_open)
		link->flaps = !is_settled(link, now_us);
	link->was_open = false;
	link->lost = false;
	link->unflushed = false;
	link->drained_at_us = 0;
}

static void
tell_dropped(struct peer_link *link)
{
	struct peers *peers = link->dial.peers;

	if (!link->dropped || !peer_link_is_open(link) ||
	    http_client_room(link->dial.client) == 0)
		return;
	link->dropped = false;
	peers->ops->unreachable(peers->context, link->dial.peer->member.id);
}

uint64_t
peer_link_deadline(const struct peer_link *link)
{
	if (link->dial.state == PEER_DIAL_CLOSED)
		return link->retry_at_us;
	return peer_dial_deadline(&link->dial);
}

void
peer_link_expire(struct peer_link *link, uint64_t now_us)
{
	peer_dial_expire(&link->dial, now_us);
	if (link->dial.state == PEER_DIAL_OPEN && !link->was_open)
		on_dial_open(link, now_us);
	if (link->dial.state == PEER_DIAL_OPEN &&
	    (!link->flaps || is_settled(link, now_us)))
		report_up(link);
	if (link->dial.state == PEER_DIAL_FAILED)
		on_dial_failed(link, now_us);
	if (link->dial.state == PEER_DIAL_CLOSED && now_us >= link->retry_at_us)
		peer_dial_begin(&link->dial);
	tell_dropped(link);
}
