/*
 * The pieces of a transfer. While one is under way the next is read, and it is
 * sent in the moment in which the answer comes, not behind the commit of the
 * turn that follows: the receiver should not wait for the sender's disk.
 */

#include "node/node_sender.h"

#define US_PER_SECOND 1000000

raft_index
node_checkpoint_index(const struct node *node)
{
	struct kv_stats stats;

	kv_get_stats(node->kv, &stats);
	return stats.checkpoint_index;
}

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

int
node_sender_open(struct node *node, struct node_sender *sender)
{
	struct kv_snapshot_info info;
	struct node_log_base base;
	struct store_stat stat;
	struct slice bytes;
	int error;

	if (node_checkpoint_index(node) < sender->at_least)
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

/* Reads the records behind `from`, or the end if there are none. */
static int
read_ahead(struct node *node, struct node_sender *sender,
    const struct kv_position *from)
{
	struct node_sender_ahead *ahead = &sender->ahead;
	struct node_piece head = {
		.kind = NODE_PIECE_RECORDS,
		.id = sender->offer.id,
		.position = *from,
	};
	int error;

	buf_reset(&ahead->piece);
	ahead->from = *from;
	ahead->to = *from;
	node_piece_begin(&ahead->piece, &head);
	error = kv_reader_read(sender->reader, &ahead->to,
	    node->params.snapshot_piece_bytes, &ahead->piece);
	ahead->is_end = error == ERR_NOT_FOUND;
	if (ahead->is_end) {
		buf_reset(&ahead->piece);
		head.kind = NODE_PIECE_END;
		node_piece_begin(&ahead->piece, &head);
	} else if (error != 0) {
		buf_reset(&ahead->piece);
		return error;
	}
	node_piece_end(&ahead->piece);
	return 0;
}

static bool
is_read_ahead(
    const struct node_sender *sender, const struct kv_position *position)
{
	return sender->ahead.piece.size != 0 &&
	       node_position_equal(&sender->ahead.from, position);
}

static void
send_piece(struct node *node, struct node_sender *sender, raft_usec now,
    struct slice piece)
{
	uint64_t rate = node->params.snapshot_rate;

	sender->waiting = true;
	sender->due = now;
	if (rate != 0)
		sender->due += piece.size * US_PER_SECOND / rate;
	sender->bytes_sent += piece.size;
	sender->pieces_count++;
	node->host.send_snapshot(node->host.context, sender->peer, piece);
}

static void
send_offer(struct node *node, struct node_sender *sender, raft_usec now)
{
	struct buf piece = { 0 };

	node_piece_begin(&piece, &sender->offer);
	node_piece_end(&piece);
	sender->expected = sender->position;
	send_piece(node, sender, now, buf_slice(&piece));
	buf_release(&piece);
}

static void
send_ahead(struct node *node, struct node_sender *sender, raft_usec now)
{
	struct buf *piece = &sender->ahead.piece;

	sender->expected = sender->ahead.to;
	sender->complete = sender->ahead.is_end;
	send_piece(node, sender, now, buf_slice(piece));
	buf_reset(piece);
}

int
node_sender_send(struct node *node, struct node_sender *sender, raft_usec now)
{
	int error = 0;

	node->again = true; /* to read ahead of it */
	if (!sender->accepted) {
		send_offer(node, sender, now);
		return 0;
	}
	if (!is_read_ahead(sender, &sender->position))
		error = read_ahead(node, sender, &sender->position);
	if (error == 0)
		send_ahead(node, sender, now);
	return error;
}

void
node_sender_send_ahead(
    struct node *node, struct node_sender *sender, raft_usec now)
{
	if (is_read_ahead(sender, &sender->position))
		send_ahead(node, sender, now);
}

int
node_sender_read_ahead(struct node *node, struct node_sender *sender)
{
	if (sender->complete || is_read_ahead(sender, &sender->expected))
		return 0;
	return read_ahead(node, sender, &sender->expected);
}

void
node_sender_close(struct node_sender *sender)
{
	kv_reader_close(sender->reader);
	sender->reader = NULL;
	buf_release(&sender->ahead.piece);
}
