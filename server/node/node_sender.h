#ifndef NODE_NODE_SENDER_H
#define NODE_NODE_SENDER_H

/*
 * One transfer to one receiver: what is pinned, where the receiver is, and the
 * next piece. When it begins, rests and ends: node_snapshot_send.c.
 */

#include "node/node_impl.h"

/* A piece that was read before it can be sent. */
struct node_sender_ahead {
	struct buf piece; /* empty: none */
	struct kv_position from;
	struct kv_position to;
	bool is_end;
};

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
	struct kv_position expected; /* then: where it will be */
	struct node_sender_ahead ahead;
	bool restarted; /* with a newer state, after one grew too old */
	raft_usec due;  /* of the next piece, unless waiting */
	raft_usec progress_at;
	raft_usec since;
	uint64_t bytes_sent;
	uint64_t pieces_count;
};

/*
 * Pins the present checkpoint and says what it is. ERR_BUSY: it is not late
 * enough, or cannot be pinned now.
 */
int
node_sender_open(struct node *node, struct node_sender *sender) ATTR_MUST_CHECK;
/* Gives up what is pinned and read. */
void node_sender_close(struct node_sender *sender);
/* While an answer is waited for: reads what comes behind it, unless that is
 * done. */
int node_sender_read_ahead(
    struct node *node, struct node_sender *sender) ATTR_MUST_CHECK;
/* Sends the offer, or what is behind the receiver's position. */
int node_sender_send(struct node *node, struct node_sender *sender,
    raft_usec now) ATTR_MUST_CHECK;
/* The same, but only if it has been read. */
void node_sender_send_ahead(
    struct node *node, struct node_sender *sender, raft_usec now);
raft_index node_checkpoint_index(const struct node *node);

#endif
