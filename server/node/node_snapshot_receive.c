/*
 * Snapshots from a leader. A second data store is filled beside the present
 * one; the log's commit decides which of the two belongs to it, so that a crash
 * at any step leaves the whole old state or the whole new one.
 */

#include "common/mem.h"
#include "common/panic.h"
#include "node/node_impl.h"

#include <inttypes.h>
#include <stdlib.h>

/* A snapshot that arrives, in the data store of the next generation. */
struct node_receiver {
	struct store *store;
	struct kv_writer *writer; /* NULL: it is complete */
	struct node_piece offer;
	uint64_t generation;
	raft_usec progress_at;
	struct raft_members members; /* complete: as of the snapshot, */
	struct buf members_note;     /* and as it notes them */
	bool installing;             /* the core waits for its commit */
};

void
node_receiver_free(struct node_receiver *receiver)
{
	if (receiver == NULL)
		return;
	kv_writer_close(receiver->writer);
	store_close(receiver->store);
	buf_release(&receiver->members_note);
	free(receiver);
}

static uint64_t
generation(const struct node *node)
{
	struct node_log_state state;

	node_log_get_state(node->log, &state);
	return state.data_generation;
}

/* Also what was removed in part has to go before it is used again. */
static int
remove_others(struct node *node)
{
	int error =
	    node->host.remove_data_but(node->host.context, generation(node));

	if (error != 0)
		return node_set_fault(
		    node, error, "removing old data: %s", err_text(error));
	return 0;
}

static int
drop(struct node *node)
{
	node_receiver_free(node->snapshots.receiver);
	node->snapshots.receiver = NULL;
	return remove_others(node);
}

/* ---- Answers ---- */

/* It failed, but what is here is whole: the sender may try again. */
static int
refuse(struct node *node, int reason, struct node_answer *answer)
{
	node->snapshots.refused_count++;
	node->snapshots.refused_last = reason;
	answer->kind = NODE_ANSWER_REFUSED;
	answer->reason = reason;
	return drop(node);
}

/* A full disk ends the transfer alone, a broken one the node. */
static int
fail(struct node *node, int error, struct node_answer *answer)
{
	if (error == ERR_IO)
		return node_set_fault(
		    node, error, "receiving a snapshot: %s", err_text(error));
	return refuse(node, error, answer);
}

static void
go_on(const struct node *node, struct node_answer *answer)
{
	answer->kind = NODE_ANSWER_GO_ON;
	answer->position =
	    *kv_writer_get_position(node->snapshots.receiver->writer);
}

/* ---- Offers ---- */

static int
look_for(
    const struct node *node, const struct node_piece *offer, bool *ret_present)
{
	struct raft_status raft;
	struct node_log_base base;
	int error;

	*ret_present = false;
	/* The log has it, but nothing to apply it to. */
	if (node_state_lost(node))
		return 0;
	raft_get_status(node->raft, &raft);
	*ret_present = offer->id.index <= raft.commit_index;
	if (*ret_present)
		return 0;
	/* All of it is in the log; a leader's appends will commit it. */
	error = node_log_get_base(node->log, offer->id.index, &base);
	*ret_present = error == 0 && base.term == offer->id.term &&
		       base.chain == offer->chain;
	return error == ERR_NOT_FOUND ? 0 : error;
}

/* The log cannot go on from there. */
static bool
is_too_old(const struct node *node, const struct node_piece *offer)
{
	struct node_log_state state;

	node_log_get_state(node->log, &state);
	return offer->id.index < state.compacted_index;
}

/* Another snapshot is on its way. An older one takes its place only if its
 * sender has fallen silent, so that two senders do not drive out each other. */
static bool
is_in_the_way(
    const struct node *node, const struct node_piece *offer, raft_usec now)
{
	const struct node_receiver *receiver = node->snapshots.receiver;

	if (receiver->writer == NULL)
		return true;
	return offer->id.index <= receiver->offer.id.index &&
	       now - MIN(now, receiver->progress_at) <
		   node->params.raft.election_timeout;
}

static int
begin(struct node *node, raft_usec now, const struct node_piece *offer,
    struct node_answer *answer)
{
	struct node_receiver *receiver = mem_zalloc(1, sizeof(*receiver));
	int error;

	node_receiver_free(node->snapshots.receiver);
	node->snapshots.receiver = receiver;
	receiver->offer = *offer;
	receiver->generation = generation(node) + 1;
	receiver->progress_at = now;
	error = node->host.open_data(
	    node->host.context, receiver->generation, true, &receiver->store);
	if (error == 0)
		error = kv_writer_open(receiver->store, &receiver->writer);
	if (error != 0)
		return fail(node, error, answer);
	go_on(node, answer);
	return 0;
}

static int
take_offer(struct node *node, raft_usec now, const struct node_piece *offer,
    struct node_answer *answer)
{
	struct node_receiver *receiver = node->snapshots.receiver;
	bool is_present;
	int error = look_for(node, offer, &is_present);

	if (error != 0)
		return node_set_fault(node, error, "log entry %" PRIu64 ": %s",
		    offer->id.index, err_text(error));
	if (is_present) {
		answer->kind = NODE_ANSWER_DONE;
		return 0;
	}
	if (is_too_old(node, offer)) {
		answer->kind = NODE_ANSWER_REFUSED;
		answer->reason = ERR_AGAIN;
		return 0;
	}
	if (node_snapshot_id_equal(&offer->id, &node->snapshots.impossible)) {
		answer->kind = NODE_ANSWER_REFUSED;
		answer->reason = ERR_MISMATCH;
		return 0;
	}
	if (receiver == NULL)
		return begin(node, now, offer, answer);
	if (node_snapshot_id_equal(&offer->id, &receiver->offer.id) &&
	    receiver->writer != NULL) {
		go_on(node, answer);
		return 0;
	}
	if (!is_in_the_way(node, offer, now))
		return begin(node, now, offer, answer);
	answer->kind = NODE_ANSWER_LATER;
	return 0;
}

/* ---- Records ---- */

static int
take_records(struct node *node, raft_usec now, const struct node_piece *piece,
    struct node_answer *answer)
{
	struct node_receiver *receiver = node->snapshots.receiver;
	int error;

	error = kv_writer_add(receiver->writer, piece->records);
	if (error != 0)
		return fail(node, error, answer);
	receiver->progress_at = now;
	node->again = true; /* to write it, while the next is on its way */
	go_on(node, answer);
	return 0;
}

/* The note of the last entry is the offer's. */
static int
check_base(struct kv_reader *reader, const struct node_piece *offer)
{
	struct node_log_base base;
	struct slice bytes;
	int error;

	error = kv_reader_get_meta(reader, NODE_BASE_META, &bytes);
	if (error == 0)
		error = node_base_decode(bytes, &base);
	if (error != 0)
		return error;
	if (base.index != offer->id.index || base.term != offer->id.term ||
	    base.chain != offer->chain || base.time_us != offer->time_us)
		return ERR_CORRUPT;
	return 0;
}

static int
read_members(
    struct node *node, struct kv_reader *reader, struct node_receiver *receiver)
{
	uint8_t cluster_id[NODE_NONCE_SIZE];
	struct node_membership membership;
	struct slice bytes;
	int error;

	error = kv_reader_get_meta(reader, NODE_MEMBERSHIP_META, &bytes);
	if (error == 0)
		error =
		    node_membership_note_decode(bytes, cluster_id, &membership);
	if (error != 0)
		return error;
	if (node->cluster_id_known &&
	    memcmp(cluster_id, node->cluster_id, NODE_NONCE_SIZE) != 0)
		return ERR_MISMATCH;
	receiver->members = membership.roles;
	buf_reset(&receiver->members_note);
	buf_append_slice(&receiver->members_note, bytes);
	return 0;
}

static int
complete(struct node *node, struct node_receiver *receiver)
{
	const struct node_piece *offer = &receiver->offer;
	const struct kv_snapshot_info info = {
		.applied_index = offer->id.index,
		.revision = offer->revision,
		.state_hash = offer->id.state_hash,
		.bytes = offer->bytes,
	};
	struct kv_reader *reader;
	int error;

	error = kv_writer_finish(receiver->writer, &info);
	if (error != 0)
		return error;
	error = kv_reader_open(receiver->store, &reader);
	if (error != 0)
		return error;
	error = check_base(reader, offer);
	if (error == 0)
		error = read_members(node, reader, receiver);
	kv_reader_close(reader);
	if (error != 0)
		return error;
	kv_writer_close(receiver->writer);
	receiver->writer = NULL;
	return 0;
}

static int
take_end(struct node *node, struct node_answer *answer)
{
	int error = complete(node, node->snapshots.receiver);

	if (error != 0)
		return fail(node, error, answer);
	node->again = true;
	answer->kind = NODE_ANSWER_LATER;
	return 0;
}

/* ---- Pieces ---- */

static int
take_piece(struct node *node, raft_usec now, const struct node_piece *piece,
    struct node_answer *answer)
{
	const struct node_receiver *receiver = node->snapshots.receiver;

	if (piece->kind == NODE_PIECE_OFFER)
		return take_offer(node, now, piece, answer);
	if (receiver == NULL || receiver->writer == NULL ||
	    !node_snapshot_id_equal(&piece->id, &receiver->offer.id)) {
		answer->kind = NODE_ANSWER_LATER;
		return 0;
	}
	if (!node_position_equal(
		&piece->position, kv_writer_get_position(receiver->writer))) {
		go_on(node, answer);
		return 0;
	}
	if (piece->kind == NODE_PIECE_RECORDS)
		return take_records(node, now, piece, answer);
	return take_end(node, answer);
}

int
node_receive_snapshot(struct node *node, raft_usec now, raft_id from,
    struct slice bytes, struct buf *ret_answer)
{
	struct node_answer answer = { .reason = 0 };
	struct node_piece piece;
	int error;

	if (node->error != 0)
		return ERR_STOPPED;
	if (node->state != NODE_MEMBER || node->raft == NULL)
		return ERR_AGAIN;
	if (from == node->id || node_piece_decode(bytes, &piece) != 0)
		return ERR_INVALID;
	answer.id = piece.id;
	error = take_piece(node, now, &piece, &answer);
	if (error == 0)
		node_answer_encode(ret_answer, &answer);
	else
		node->again = true; /* it fails with that */
	return error;
}

/* ---- Installing ---- */

/* What is half filled is of no use when the log got there by itself. */
static bool
is_overtaken(const struct node *node, const struct node_receiver *receiver)
{
	struct raft_status raft;

	raft_get_status(node->raft, &raft);
	return !node_state_lost(node) &&
	       raft.commit_index >= receiver->offer.id.index;
}

/*
 * A full disk is told with the next piece: the answer to this one is gone, or
 * goes now, so that the sender reads the next while this one is written.
 */
int
node_receive_turn(struct node *node)
{
	struct node_receiver *receiver = node->snapshots.receiver;
	int error;

	if (receiver == NULL || receiver->writer == NULL ||
	    kv_writer_is_idle(receiver->writer))
		return 0;
	node->host.flush(node->host.context);
	error = kv_writer_write(receiver->writer);
	if (error == ERR_IO)
		return node_set_fault(
		    node, error, "receiving a snapshot: %s", err_text(error));
	return 0;
}

int
node_install_turn(struct node *node, raft_usec now)
{
	struct node_receiver *receiver = node->snapshots.receiver;
	const struct node_snapshot_id *id;
	int error;

	if (receiver == NULL || receiver->installing)
		return 0;
	if (is_overtaken(node, receiver))
		return drop(node);
	if (receiver->writer != NULL)
		return 0;
	id = &receiver->offer.id;
	error = raft_install_snapshot(
	    node->raft, now, id->index, id->term, &receiver->members);
	if (error == ERR_BUSY) {
		node->again = true;
		return 0;
	}
	/* It cannot be of this history: to fill it again would not help. */
	if (error == ERR_INVALID)
		node->snapshots.impossible = *id;
	if (error != 0)
		return drop(node);
	receiver->installing = true;
	return 0;
}

void
node_install_prepare(struct node *node, const struct raft_op_persist *persist)
{
	const struct node_receiver *receiver = node->snapshots.receiver;
	const struct node_piece *offer;
	struct node_log_base base;

	if (persist->reset_index == 0)
		return;
	ASSERT(receiver != NULL && receiver->installing);
	offer = &receiver->offer;
	ASSERT(offer->id.index == persist->reset_index);
	base = (struct node_log_base){
		.index = offer->id.index,
		.term = offer->id.term,
		.chain = offer->chain,
		.time_us = offer->time_us,
		.data_generation = receiver->generation,
	};
	node_log_reset(node->log, &base);
	node_log_note_members(node->log, buf_slice(&receiver->members_note));
}

int
node_install_finish(struct node *node)
{
	struct node_receiver *receiver = node->snapshots.receiver;
	struct kv *kv;
	int error;

	error = kv_open(receiver->store, false, &kv);
	if (error != 0)
		return node_set_fault(
		    node, error, "installed snapshot: %s", err_text(error));
	/* Nothing may be read from the old store any more. */
	node_send_cancel_all(node);
	node_compare_clear(&node->compare);
	node_scrub_release(node);
	kv_close(node->kv);
	store_close(node->data_store);
	node->kv = kv;
	node->data_store = receiver->store;
	receiver->store = NULL;
	node_receiver_free(receiver);
	node->snapshots.receiver = NULL;
	node->snapshots.installed_count++;
	node->checkpoint_at = RAFT_NEVER;
	node->changed = true;
	error = node_load_membership(node);
	if (error != 0)
		return node_set_fault(node, error,
		    "membership of the snapshot: %s", err_text(error));
	return remove_others(node);
}
