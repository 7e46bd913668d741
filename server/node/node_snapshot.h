#ifndef NODE_NODE_SNAPSHOT_H
#define NODE_NODE_SNAPSHOT_H

/*
 * Snapshots between nodes (section 7): the state of a checkpoint, pushed in
 * pieces, each answered before the next follows.
 *
 *	sender                          receiver
 *	OFFER what it is       ->       opens an empty data store beside its own
 *	                       <-       GO_ON at the beginning
 *	RECORDS behind there   ->       adds them
 *	                       <-       GO_ON behind them
 *	...
 *	END                    ->       finishes the store; the next turn installs
 *	                       <-       LATER
 *	OFFER                  ->
 *	                       <-       DONE
 *
 * The receiver alone knows where it is, and says so in each answer. So whatever
 * gets lost, comes twice or late changes nothing, and a sender that lost its
 * connection, or another that has the same state, goes on behind the last
 * record that arrived: it begins with an OFFER and is told. What is half filled
 * when the receiver stops is removed at its next start.
 *
 * What is in a snapshot is committed, so no term guards the transfer, and any
 * member of the cluster may send one.
 */

#include "common/buf.h"
#include "common/list.h"
#include "kv/kv_snapshot.h"
#include "node/node_log.h"

struct node;
struct node_receiver;

/* ---- Pieces and answers as bytes: node_piece.c ---- */

/*
 * A piece:
 *
 *	u8   format version (1)
 *	u8   kind
 *	u64  index, u64 term, u64 state hash: which snapshot
 *	     OFFER: u64 running hash and u64 cluster time of the entry at index,
 *	     u64 revision, u64 about how many bytes
 *	     RECORDS: a position, and what kv_reader_read made
 *	     END: a position
 *	u32  CRC-32C of all before
 *
 * An answer:
 *
 *	u8   format version (1)
 *	u8   kind
 *	u64  index, u64 term, u64 state hash: of the piece it answers
 *	     GO_ON: a position
 *	     REFUSED: u8 reason, an ERR_... without its sign
 *	u32  CRC-32C of all before
 *
 * A position: u8 table, u16 size of the key, the key.
 */

struct node_snapshot_id {
	raft_index index;
	raft_term term;
	uint64_t state_hash;
};

enum node_piece_kind {
	NODE_PIECE_OFFER = 1,
	NODE_PIECE_RECORDS = 2,
	NODE_PIECE_END = 3
};

struct node_piece {
	enum node_piece_kind kind;
	struct node_snapshot_id id;
	/* OFFER: what the receiver's log goes on from, and what to expect. */
	uint64_t chain;
	uint64_t time_us;
	uint64_t revision;
	uint64_t bytes;
	/* RECORDS and END: where the receiver has to be. */
	struct kv_position position;
	struct slice records; /* RECORDS; borrowed from the bytes */
};

enum node_answer_kind {
	NODE_ANSWER_DONE = 1,   /* the receiver holds this state, or a later */
	NODE_ANSWER_GO_ON = 2,  /* send what is behind `position` */
	NODE_ANSWER_LATER = 3,  /* not now: offer it again in a while */
	NODE_ANSWER_REFUSED = 4 /* it failed, and what was sent is dropped */
};

struct node_answer {
	enum node_answer_kind kind;
	struct node_snapshot_id id;
	struct kv_position position; /* GO_ON */
	int reason;                  /* REFUSED: ERR_... */
};

bool node_snapshot_id_equal(
    const struct node_snapshot_id *a, const struct node_snapshot_id *b);
bool
node_position_equal(const struct kv_position *a, const struct kv_position *b);

/* Fills the empty `to` with all but the records, which are appended to it,
 * and the sum, which node_piece_end appends. */
void node_piece_begin(struct buf *to, const struct node_piece *piece);
void node_piece_end(struct buf *to);
void node_answer_encode(struct buf *to, const struct node_answer *answer);

/* ERR_INVALID: damaged on the way, or not one. */
int node_piece_decode(
    struct slice bytes, struct node_piece *ret_piece) ATTR_MUST_CHECK;
int node_answer_decode(
    struct slice bytes, struct node_answer *ret_answer) ATTR_MUST_CHECK;

/* ---- A node's part in it: members of struct node ---- */

/*
 * The log's end that compaction keeps for members that are a little behind:
 * entries floor + 1 .. last, of `bytes` bytes.
 */
struct node_trailing {
	raft_index floor;
	raft_index last;
	uint64_t bytes;
	uint64_t epoch;        /* of the core's log that they belong to */
	uint64_t bytes_wanted; /* adapts to the last transfer */
};

struct node_snapshots {
	struct list senders;            /* of struct node_sender */
	struct node_receiver *receiver; /* NULL: nothing is half filled */
	/* The last one that cannot be of this history; index 0: none. */
	struct node_snapshot_id impossible;
	uint64_t sent_count;
	uint64_t installed_count;
	raft_id refused_by; /* 0: nobody has refused the last one */
	int refused_reason;
	uint64_t refused_count; /* by this node */
	int refused_last;       /* why: ERR_... */
	struct node_trailing trailing;
};

void node_snapshots_init(struct node_snapshots *snapshots);
/* Drops all transfers. What was half received stays on disk. */
void node_snapshots_release(struct node_snapshots *snapshots);

/* ---- node_checkpoint.c ---- */

/* The name of the state machine's note of the last applied entry: u64 index,
 * u64 term, u64 running hash, u64 cluster time. */
#define NODE_BASE_META "log"

/* ERR_CORRUPT: not a note. data_generation is left 0. */
int node_base_decode(
    struct slice bytes, struct node_log_base *ret_base) ATTR_MUST_CHECK;

/* Checkpoints if that is due; blocks for as long as it takes. */
int node_checkpoint_turn(struct node *node, raft_usec now) ATTR_MUST_CHECK;

/*
 * Gives up the entries that a checkpoint holds, and that nobody lacks or that
 * are more than should be kept for whoever does.
 */
void node_compact(struct node *node);
/* A snapshot at `index` has arrived: next time, what was written since then
 * shall not have been cut meanwhile. */
void node_compact_adapt(struct node *node, raft_index index);

/* ---- node_snapshot_send.c ---- */

/* Does what RAFT_OP_SNAPSHOT says. */
void node_send_snapshot(
    struct node *node, raft_usec now, const struct raft_op_snapshot *snapshot);
/* True if a transfer has to wait for a checkpoint, as the last one is too old
 * for it. */
bool node_send_wants_checkpoint(const struct node *node, raft_usec now);
/* The index of the oldest snapshot that is being sent; none: UINT64_MAX. */
raft_index node_sending_index(const struct node *node);
/* Behind each checkpoint: what is pinned must not let the data store fill. */
void node_send_look_at_file(struct node *node);
/* Sends the pieces that are due, behind the checkpoint. */
int node_send_turn(struct node *node, raft_usec now) ATTR_MUST_CHECK;
/* When the next turn is wanted for it; RAFT_NEVER for none. */
raft_usec node_send_deadline(const struct node *node);
/* Ends all transfers: nothing is read from the data store any more. */
void node_send_cancel_all(struct node *node);

/* ---- node_snapshot_receive.c ---- */

/* Writes what was received since the last turn; blocks now and then. */
int node_receive_turn(struct node *node) ATTR_MUST_CHECK;
/* Offers the core what is completely received. */
int node_install_turn(struct node *node, raft_usec now) ATTR_MUST_CHECK;
/* Tells the log of the reset that a PERSIST asks for, before its commit. */
void
node_install_prepare(struct node *node, const struct raft_op_persist *persist);
/* Puts the received state in the place of the present one, behind it. */
int node_install_finish(struct node *node) ATTR_MUST_CHECK;
void node_receiver_free(struct node_receiver *receiver); /* NULL is fine */

#endif
