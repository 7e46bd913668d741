/* Snapshots to peers that lack entries which are cut. */

#include "common/mem.h"
#include "node/node_sender.h"

#include <stdlib.h>

#define US_PER_SECOND 1000000
/* The longest rest between attempts; the first is an election timeout. */
#define REST_MAX (60u * US_PER_SECOND)

void
node_snapshots_init(struct node_snapshots *snapshots)
{
	list_init(&snapshots->senders);
}

static void
sender_free(struct node_sender *sender)
{
	list_remove(&sender->link);
	node_sender_close(sender);
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
	node_sender_close(sender);
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

/* ---- The turn ---- */

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
open_and_send(struct node *node, struct node_sender *sender, raft_usec now)
{
	int error = 0;

	if (sender->reader == NULL)
		error = node_sender_open(node, sender);
	if (error == ERR_BUSY) {
		sender->due = now + node->params.raft.heartbeat_interval;
		return 0;
	}
	return error == 0 ? node_sender_send(node, sender, now) : error;
}

static int
send_due(struct node *node, struct node_sender *sender, raft_usec now)
{
	int error = 0;

	if (!sender->waiting && now >= sender->due)
		error = open_and_send(node, sender, now);
	else if (sender->waiting)
		error = node_sender_read_ahead(node, sender);
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
	raft_index made = node_checkpoint_index(node);
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
	sender->complete = false;
	/* Not behind this turn's commit: it can arrive meanwhile. */
	if (now >= sender->due && !sender->outgrown)
		node_sender_send_ahead(node, sender, now);
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
