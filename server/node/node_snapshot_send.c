/* Snapshots to peers that lack entries which are cut. */

#include "common/mem.h"
#include "node/node_impl.h"

#include <stdlib.h>

#define US_PER_SECOND 1000000
/* The longest rest between attempts; the first is an election timeout. */
#define REST_MAX (60u * US_PER_SECOND)

/*
 * A peer that needs a snapshot, until it has one. After an attempt that failed
 * the core is told, and asks again if the peer is still there; the next one
 * begins when it has asked, and not before the rest is over: what a full disk
 * refuses would else be read and sent over and over.
 */
struct node_sender {
	struct list link;
	raft_id peer;
	bool asked;          /* by the core, which waits for the end */
	raft_usec rest;      /* before the next attempt; 0: none has failed */
	raft_index at_least; /* a checkpoint there, or after, is what it gets */
	struct kv_reader *reader; /* NULL: it has not begun */
	uint64_t file_bytes_max;  /* of the data store, while that is pinned */
	bool outgrown;            /* it has become larger */
	struct node_piece offer;
	struct kv_position position; /* the receiver has all up to there */
	bool accepted;               /* the receiver has told where it is */
	bool complete;               /* all was sent, up to its end */
	bool waiting;                /* for an answer */
	bool restarted; /* with a newer state, after one grew too old */
	raft_usec due;  /* of the next piece, unless waiting */
	raft_usec progress_at;
	raft_usec since;
	uint64_t bytes_sent;
	uint64_t pieces_count;
};

void
node_snapshots_init(struct node_snapshots *snapshots)
{
	list_init(&snapshots->senders);
}

static void
sender_free(struct node_sender *sender)
{
	list_remove(&sender->link);
	kv_reader_close(sender->reader);
	free(sender);
}

void
node_snapshots_release(struct node_snapshots *snapshots)
{
	struct list *link;
	struct list *following;

	LIST_EACH_SAFE(link, following, &snapshots->senders)
		sender_free(CONTAINER_OF(link, struct node_sender, link));
	node_receiver_free(snapshots->receiver);
	snapshots->receiver = NULL;
}

static struct node_sender *
find_sender(const struct node *node, raft_id peer)
{
	struct list *link;

	LIST_EACH(link, &node->snapshots.senders) {
		struct node_sender *sender =
		    CONTAINER_OF(link, struct node_sender, link);

		if (sender->peer == peer)
			return sender;
	}
	return NULL;
}

/* What is under way to the peer is not waited for any more. */
static void
stop_waiting(struct node *node, struct node_sender *sender)
{
	if (sender->waiting)
		node->host.cancel_snapshot(node->host.context, sender->peer);
	sender->waiting = false;
}

static void
cancel(struct node *node, struct node_sender *sender)
{
	stop_waiting(node, sender);
	sender_free(sender);
}

void
node_send_cancel_all(struct node *node)
{
	struct list *link;
	struct list *following;

	LIST_EACH_SAFE(link, following, &node->snapshots.senders)
		cancel(node, CONTAINER_OF(link, struct node_sender, link));
}

/* Gives up the pinned state; a later checkpoint takes its place, at `due`. */
static void
begin_anew(struct node *node, struct node_sender *sender, raft_usec due)
{
	stop_waiting(node, sender);
	kv_reader_close(sender->reader);
	sender->reader = NULL;
	sender->outgrown = false;
	sender->position = (struct kv_position){ .table = 0 };
	sender->accepted = false;
	sender->complete = false;
	sender->due = due;
	sender->progress_at = due;
}

/*
 * The core's entry, and the membership that names the peer. What is not
 * applied cannot be waited for with a checkpoint, but the core's may.
 */
static raft_index
needed_index(const struct node *node, raft_index at_least)
{
	struct raft_status raft;

	raft_get_status(node->raft, &raft);
	return MAX(
	    at_least, MIN(raft.members_index, kv_applied_index(node->kv)));
}

void
node_send_snapshot(
    struct node *node, raft_usec now, const struct raft_op_snapshot *snapshot)
{
	struct node_sender *sender = find_sender(node, snapshot->peer);

	if (sender == NULL) {
		sender = mem_zalloc(1, sizeof(*sender));
		sender->peer = snapshot->peer;
		list_push(&node->snapshots.senders, &sender->link);
		begin_anew(node, sender, now);
	} else if (sender->reader != NULL &&
		   sender->offer.id.index < snapshot->at_least) {
		begin_anew(node, sender, now);
	}
	if (!sender->asked) {
		sender->asked = true;
		sender->since = now;
		sender->bytes_sent = 0;
		sender->pieces_count = 0;
		begin_anew(node, sender, MAX(now, sender->due));
	}
	sender->at_least = needed_index(node, snapshot->at_least);
}

static void
tell_core(struct node *node, const struct node_sender *sender, raft_usec now,
    raft_index index)
{
	(void)raft_snapshot_sent(node->raft, now, sender->peer, index);
	node->again = true;
}

/* This attempt is over. Each that follows comes later behind the last. */
static void
failed(struct node *node, struct node_sender *sender, raft_usec now)
{
	sender->rest = sender->rest == 0 ? node->params.raft.election_timeout
					 : MIN(2 * sender->rest, REST_MAX);
	begin_anew(node, sender, now + sender->rest);
	sender->restarted = false;
	sender->asked = false;
	tell_core(node, sender, now, 0);
}

/* The receiver holds the snapshot, or had no need of it. */
static void
arrived(struct node *node, const struct node_sender *sender)
{
	struct node_snapshots *snapshots = &node->snapshots;

	if (snapshots->refused_by == sender->peer)
		snapshots->refused_by = 0;
	if (!sender->complete)
		return;
	snapshots->sent_count++;
	node_compact_adapt(node, sender->offer.id.index);
}

/* ---- Pieces ---- */

/*
 * A pinned state keeps its pages from being used again, so the file grows with
 * every write. It may fill three quarters of what it can; one that was larger
 * before, half of the rest.
 */
static uint64_t
file_bytes_max(const struct store_stat *stat)
{
	uint64_t left =
	    stat->map_bytes - MIN(stat->map_bytes, stat->file_bytes);

	return MAX(
	    stat->map_bytes - stat->map_bytes / 4, stat->file_bytes + left / 2);
}

void
node_send_look_at_file(struct node *node)
{
	struct store_stat stat;
	struct list *link;

	if (list_empty(&node->snapshots.senders))
		return;
	store_get_stat(node->data_store, &stat);
	LIST_EACH(link, &node->snapshots.senders) {
		struct node_sender *sender =
		    CONTAINER_OF(link, struct node_sender, link);

		if (sender->reader != NULL &&
		    stat.file_bytes > sender->file_bytes_max)
			sender->outgrown = true;
	}
}

static raft_index
checkpoint_index(const struct node *node)
{
	struct kv_stats stats;

	kv_get_stats(node->kv, &stats);
	return stats.checkpoint_index;
}

/* Pins the present checkpoint, and says what it is. ERR_BUSY: not now. */
static int
open_reader(struct node *node, struct node_sender *sender)
{
	struct kv_snapshot_info info;
	struct node_log_base base;
	struct store_stat stat;
	struct slice bytes;
	int error;

	if (checkpoint_index(node) < sender->at_least)
		return ERR_BUSY;
	store_get_stat(node->data_store, &stat);
	error = kv_reader_open(node->data_store, &sender->reader);
	if (error != 0)
		return error;
	sender->file_bytes_max = file_bytes_max(&stat);
	error = kv_reader_get_meta(sender->reader, NODE_BASE_META, &bytes);
	if (error == 0)
		error = node_base_decode(bytes, &base);
	if (error != 0)
		return error == ERR_NOT_FOUND ? ERR_CORRUPT : error;
	kv_reader_get_info(sender->reader, &info);
	if (info.applied_index != base.index)
		return ERR_CORRUPT;
	sender->offer = (struct node_piece){
		.kind = NODE_PIECE_OFFER,
		.id = { base.index, base.term, info.state_hash },
		.chain = base.chain,
		.time_us = base.time_us,
		.revision = info.revision,
		.bytes = info.bytes,
	};
	return 0;
}

/* The records behind the position, or the end if there are none. */
static int
make_records(struct node *node, struct node_sender *sender, struct buf *piece)
{
	struct kv_position position = sender->position;
	struct node_piece head = {
		.kind = NODE_PIECE_RECORDS,
		.id = sender->offer.id,
		.position = position,
	};
	int error;

	node_piece_begin(piece, &head);
	error = kv_reader_read(sender->reader, &position,
	    node->params.snapshot_piece_bytes, piece);
	if (error != ERR_NOT_FOUND)
		return error;
	sender->complete = true;
	buf_reset(piece);
	head.kind = NODE_PIECE_END;
	node_piece_begin(piece, &head);
	return 0;
}

static int
send_piece(struct node *node, struct node_sender *sender, raft_usec now)
{
	uint64_t rate = node->params.snapshot_rate;
	struct buf piece = { 0 };
	int error = 0;

	if (sender->accepted)
		error = make_records(node, sender, &piece);
	else
		node_piece_begin(&piece, &sender->offer);
	if (error == 0) {
		node_piece_end(&piece);
		sender->waiting = true;
		sender->due = now;
		if (rate != 0)
			sender->due += piece.size * US_PER_SECOND / rate;
		sender->bytes_sent += piece.size;
		sender->pieces_count++;
		node->host.send_snapshot(
		    node->host.context, sender->peer, buf_slice(&piece));
	}
	buf_release(&piece);
	return error;
}

/* ---- The turn ---- */

/*
 * The core may have ended it: this node leads no more, the peer has left, or
 * its acknowledgements show that it has caught up.
 */
static bool
is_wanted(struct node *node, const struct node_sender *sender)
{
	struct raft_peer_status peer;

	if (raft_get_peer(node->raft, sender->peer, &peer) != 0)
		return false;
	if (peer.state == RAFT_PEER_SNAPSHOT)
		return true;
	if (peer.match_index >= sender->offer.id.index)
		arrived(node, sender);
	return false;
}

/* Until when the receiver has to show progress. */
static raft_usec
patience_ends(const struct node *node, const struct node_sender *sender)
{
	return sender->progress_at + node->params.snapshot_age_max;
}

static int
send_due(struct node *node, struct node_sender *sender, raft_usec now)
{
	int error = 0;

	if (sender->waiting || now < sender->due)
		return 0;
	if (sender->reader == NULL)
		error = open_reader(node, sender);
	if (error == ERR_BUSY) {
		sender->due = now + node->params.raft.heartbeat_interval;
		return 0;
	}
	if (error == 0)
		error = send_piece(node, sender, now);
	if (error != 0)
		return node_set_fault(
		    node, error, "reading a snapshot: %s", err_text(error));
	return 0;
}

/* Nobody takes the pinned state, or it costs too much: once more, with a later
 * one. */
static void
let_go(struct node *node, struct node_sender *sender, raft_usec now)
{
	if (sender->restarted) {
		failed(node, sender, now);
		return;
	}
	sender->restarted = true;
	sender->at_least =
	    MIN(sender->offer.id.index + 1, kv_applied_index(node->kv));
	begin_anew(node, sender, now);
	node->again = true; /* a checkpoint may be due */
}

static int
look_after(struct node *node, struct node_sender *sender, raft_usec now)
{
	if (!is_wanted(node, sender)) {
		cancel(node, sender);
		return 0;
	}
	if (!sender->asked)
		return 0;
	if (sender->outgrown || now >= patience_ends(node, sender)) {
		let_go(node, sender, now);
		return 0;
	}
	return send_due(node, sender, now);
}

int
node_send_turn(struct node *node, raft_usec now)
{
	struct list *link;
	struct list *following;

	LIST_EACH_SAFE(link, following, &node->snapshots.senders) {
		int error = look_after(
		    node, CONTAINER_OF(link, struct node_sender, link), now);

		if (error != 0)
			return error;
	}
	return 0;
}

bool
node_send_wants_checkpoint(const struct node *node, raft_usec now)
{
	raft_index made = checkpoint_index(node);
	struct list *link;

	LIST_EACH(link, &node->snapshots.senders) {
		const struct node_sender *sender =
		    CONTAINER_OF(link, struct node_sender, link);

		if (sender->asked && sender->reader == NULL &&
		    sender->due <= now && made < sender->at_least &&
		    sender->at_least <= kv_applied_index(node->kv))
			return true;
	}
	return false;
}

raft_index
node_sending_index(const struct node *node)
{
	raft_index index = UINT64_MAX;
	struct list *link;

	LIST_EACH(link, &node->snapshots.senders) {
		const struct node_sender *sender =
		    CONTAINER_OF(link, struct node_sender, link);

		if (sender->reader != NULL)
			index = MIN(index, sender->offer.id.index);
	}
	return index;
}

raft_usec
node_send_deadline(const struct node *node)
{
	raft_usec deadline = RAFT_NEVER;
	struct list *link;

	LIST_EACH(link, &node->snapshots.senders) {
		const struct node_sender *sender =
		    CONTAINER_OF(link, struct node_sender, link);

		if (!sender->asked)
			continue;
		deadline = MIN(deadline, patience_ends(node, sender));
		if (!sender->waiting)
			deadline = MIN(deadline, sender->due);
	}
	return deadline;
}

/* ---- Answers ---- */

/* Asks the receiver where it is, in a while. */
static void
offer_again(struct node *node, struct node_sender *sender, raft_usec now)
{
	sender->accepted = false;
	sender->due = now + node->params.raft.heartbeat_interval;
}

static void
go_on(struct node *node, struct node_sender *sender, raft_usec now,
    const struct kv_position *position)
{
	if (!node_position_equal(&sender->position, position))
		sender->progress_at = now;
	else if (sender->accepted)
		/* It did not take the last one: no busy loop. */
		sender->due = now + node->params.raft.heartbeat_interval;
	sender->position = *position;
	sender->accepted = true;
}

void
node_snapshot_answered(
    struct node *node, raft_usec now, raft_id peer, struct slice bytes)
{
	struct node_snapshots *snapshots = &node->snapshots;
	struct node_sender *sender = find_sender(node, peer);
	struct node_answer answer;

	if (node->error != 0 || sender == NULL || !sender->waiting)
		return;
	sender->waiting = false;
	node->again = true;
	if (node_answer_decode(bytes, &answer) != 0 ||
	    !node_snapshot_id_equal(&answer.id, &sender->offer.id)) {
		offer_again(node, sender, now);
		return;
	}
	switch (answer.kind) {
	case NODE_ANSWER_GO_ON:
		go_on(node, sender, now, &answer.position);
		return;
	case NODE_ANSWER_LATER: offer_again(node, sender, now); return;
	case NODE_ANSWER_REFUSED:
		snapshots->refused_by = peer;
		snapshots->refused_reason = answer.reason;
		failed(node, sender, now);
		return;
	case NODE_ANSWER_DONE:
		arrived(node, sender);
		tell_core(node, sender, now, sender->offer.id.index);
		sender_free(sender);
		return;
	}
}

void
node_get_snapshot(const struct node *node, raft_id peer,
    struct node_snapshot_status *ret_status)
{
	const struct node_sender *sender = find_sender(node, peer);

	*ret_status = (struct node_snapshot_status){ .sending = false };
	if (node->snapshots.refused_by == peer)
		ret_status->refused = node->snapshots.refused_reason;
	if (sender == NULL || (sender->reader == NULL && sender->rest != 0))
		return;
	ret_status->sending = true;
	ret_status->index = sender->reader == NULL ? 0 : sender->offer.id.index;
	ret_status->bytes_sent = sender->bytes_sent;
	ret_status->pieces = sender->pieces_count;
	ret_status->since = sender->since;
}
