#include "net/peer_impl.h"

#include "common/log.h"
#include "common/panic.h"

/*
 * The connection for pieces of a snapshot, dialled for the first piece and
 * closed when no more come. Each piece gets one answer: what the peer said, at
 * once, or the empty one, in peers_expire().
 */

void
peer_snapshot_init(struct peer_snapshot *snapshot, struct peer *peer)
{
	*snapshot = (struct peer_snapshot){ 0 };
	peer_dial_init(&snapshot->dial, peer, WIRE_SNAPSHOT, 1,
	    MAX(peer->peers->params.snapshot_bytes_max, PEER_REPLY_SIZE_MAX));
}

void
peer_snapshot_release(struct peer_snapshot *snapshot)
{
	peer_dial_release(&snapshot->dial);
	buf_release(&snapshot->piece);
}

/* ---- The empty answer ---- */

/* The node has one piece at a time for each peer, so there is always room. */
static void
add_unanswered(struct peers *peers, raft_id id)
{
	if (peers->unanswered_count < PEER_UNANSWERED_MAX)
		peers->unanswered[peers->unanswered_count++] = id;
	peers->due = true;
}

static void
forget_unanswered(struct peers *peers, raft_id id)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < peers->unanswered_count; i++) {
		if (peers->unanswered[i] != id)
			peers->unanswered[kept++] = peers->unanswered[i];
	}
	peers->unanswered_count = kept;
}

void
peer_snapshot_tell_unanswered(struct peers *peers)
{
	/* Each call may send the next piece, which may fail at once. */
	for (unsigned i = peers->unanswered_count; i > 0; i--) {
		raft_id id;

		if (peers->unanswered_count == 0)
			return;
		id = peers->unanswered[0];
		forget_unanswered(peers, id);
		peers->ops->snapshot_answered(
		    peers->context, id, slice_of(NULL, 0));
	}
}

static void
become_idle(struct peer_snapshot *snapshot)
{
	snapshot->state = PEER_SNAPSHOT_IDLE;
	snapshot->until_us =
	    loop_now(snapshot->dial.peers->loop) + PEER_SNAPSHOT_IDLE_US;
	buf_release(&snapshot->piece);
}

void
peer_snapshot_abandon(struct peer_snapshot *snapshot)
{
	if (snapshot->state == PEER_SNAPSHOT_IDLE)
		return;
	become_idle(snapshot);
	add_unanswered(snapshot->dial.peers, snapshot->dial.peer->member.id);
}

/* ---- Pieces ---- */

static void
on_reply(
    void *context, int error, bool sent, const struct http_client_reply *reply)
{
	struct peer_snapshot *snapshot = context;
	struct peer *peer = snapshot->dial.peer;
	struct peers *peers = peer->peers;

	(void)sent;
	/* on_closed follows an error; nobody waits for what was cancelled. */
	if (error != 0 || snapshot->state != PEER_SNAPSHOT_UNDER_WAY ||
	    snapshot->dial.state != PEER_DIAL_OPEN)
		return;
	if (reply->status != 200) {
		peer_dial_fail_reply(&snapshot->dial, reply);
		return;
	}
	become_idle(snapshot);
	snapshot->useful = true;
	snapshot->reported[0] = '\0';
	metric_add(peer->bytes[PEER_RECEIVED], reply->body.size);
	peers->ops->snapshot_answered(
	    peers->context, peer->member.id, reply->body);
}

static bool
is_open(const struct peer_snapshot *snapshot)
{
	return snapshot->dial.state == PEER_DIAL_OPEN &&
	       http_client_room(snapshot->dial.client) > 0;
}

static void
send_piece(struct peer_snapshot *snapshot, struct slice piece)
{
	struct http_client *client = snapshot->dial.client;

	/* Its progress counts, however long the whole takes. */
	http_client_request(client, HTTP_POST,
	    slice_from_text(PEER_SNAPSHOT_PATH),
	    slice_from_text(PEER_PIECE_FIELDS), &piece, 1, UINT64_MAX, on_reply,
	    snapshot);
	http_client_flush(client);
	snapshot->state = PEER_SNAPSHOT_UNDER_WAY;
	snapshot->moved_bytes = http_client_progress(client);
	snapshot->until_us =
	    loop_now(snapshot->dial.peers->loop) + PEER_SNAPSHOT_STALL_US;
	metric_add(snapshot->dial.peer->bytes[PEER_SENT], piece.size);
}

void
peers_send_snapshot(struct peers *peers, raft_id to, struct slice piece)
{
	struct peer *peer = peers_find(peers, to);
	struct peer_snapshot *snapshot;

	if (peer == NULL) {
		add_unanswered(peers, to);
		return;
	}
	snapshot = &peer->snapshot;
	ASSERT(snapshot->state == PEER_SNAPSHOT_IDLE);
	if (is_open(snapshot)) {
		send_piece(snapshot, piece);
		return;
	}
	buf_append_slice(&snapshot->piece, piece);
	snapshot->state = PEER_SNAPSHOT_WAITING;
	peers->due = true;
}

void
peers_cancel_snapshot(struct peers *peers, raft_id to)
{
	struct peer *peer = peers_find(peers, to);
	bool under_way;

	forget_unanswered(peers, to);
	if (peer == NULL || peer->snapshot.state == PEER_SNAPSHOT_IDLE)
		return;
	under_way = peer->snapshot.state == PEER_SNAPSHOT_UNDER_WAY;
	become_idle(&peer->snapshot);
	/* The rest of the piece is worth nothing, and would be in the way. */
	if (under_way)
		peer_dial_close(&peer->snapshot.dial);
}

/* ---- Time ---- */

static void
check_progress(struct peer_snapshot *snapshot, uint64_t now_us)
{
	uint64_t moved_bytes = http_client_progress(snapshot->dial.client);

	if (moved_bytes != snapshot->moved_bytes) {
		snapshot->moved_bytes = moved_bytes;
		snapshot->until_us = now_us + PEER_SNAPSHOT_STALL_US;
	} else if (now_us >= snapshot->until_us) {
		peer_dial_fail(&snapshot->dial, ERR_TIMEOUT,
		    "a piece of a snapshot does not move");
	}
}

/* Each change of the reason gets a line, since the node tries again. */
static void
report(struct peer_snapshot *snapshot)
{
	const struct node_member *member = &snapshot->dial.peer->member;

	if (strcmp(snapshot->reported, snapshot->dial.reason) == 0)
		return;
	peer_copy_reason(
	    snapshot->reported, slice_from_text(snapshot->dial.reason));
	log_notice("peer %s (%s): a piece of a snapshot is not delivered: %s",
	    member->name, member->address, snapshot->reported);
}

static void
on_dial_failed(struct peer_snapshot *snapshot, uint64_t now_us)
{
	peer_dial_close(&snapshot->dial);
	if (snapshot->useful)
		snapshot->backoff_us = 0;
	else
		snapshot->backoff_us =
		    snapshot->backoff_us == 0
			? PEER_BACKOFF_MIN_US
			: MIN(snapshot->backoff_us * 2, PEER_BACKOFF_MAX_US);
	snapshot->retry_at_us = now_us + snapshot->backoff_us;
	if (snapshot->state != PEER_SNAPSHOT_IDLE)
		report(snapshot);
	peer_snapshot_abandon(snapshot);
}

uint64_t
peer_snapshot_deadline(const struct peer_snapshot *snapshot)
{
	switch (snapshot->dial.state) {
	case PEER_DIAL_CLOSED:
		return snapshot->state == PEER_SNAPSHOT_WAITING
			   ? snapshot->retry_at_us
			   : UINT64_MAX;
	case PEER_DIAL_OPEN:
		return MIN(
		    snapshot->until_us, peer_dial_deadline(&snapshot->dial));
	case PEER_DIAL_CONNECTING:
	case PEER_DIAL_HELLO:
	case PEER_DIAL_PROOF:
	case PEER_DIAL_FAILED: break;
	}
	return peer_dial_deadline(&snapshot->dial);
}

static void
expire_open(struct peer_snapshot *snapshot, uint64_t now_us)
{
	switch (snapshot->state) {
	case PEER_SNAPSHOT_IDLE:
		if (now_us >= snapshot->until_us)
			peer_dial_close(&snapshot->dial);
		break;
	case PEER_SNAPSHOT_WAITING:
		if (!is_open(snapshot))
			break;
		send_piece(snapshot, buf_slice(&snapshot->piece));
		buf_release(&snapshot->piece);
		break;
	case PEER_SNAPSHOT_UNDER_WAY: check_progress(snapshot, now_us); break;
	}
}

void
peer_snapshot_expire(struct peer_snapshot *snapshot, uint64_t now_us)
{
	struct peer_dial *dial = &snapshot->dial;

	peer_dial_expire(dial, now_us);
	if (dial->state == PEER_DIAL_OPEN)
		expire_open(snapshot, now_us);
	if (dial->state == PEER_DIAL_FAILED)
		on_dial_failed(snapshot, now_us);
	if (dial->state == PEER_DIAL_CLOSED &&
	    snapshot->state == PEER_SNAPSHOT_WAITING &&
	    now_us >= snapshot->retry_at_us) {
		snapshot->useful = false;
		peer_dial_begin(dial);
	}
}
