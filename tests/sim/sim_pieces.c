/*
 * The snapshot connection: one piece at a time for each receiver, and an answer
 * for each, be it the empty one, when the piece is lost or the link broke.
 */

#include "tests/sim/sim_pieces.h"

#include "node/node_snapshot.h"
#include "tests/sim/sim_damage.h"
#include "tests/sim/sim_moment.h"
#include "tests/sim/sim_net_impl.h"
#include <inttypes.h>

/* The slot of what is under way to `to`, or a free one. */
static struct sim_piece *
slot_of(struct sim *sim, const struct sim_node *node, raft_id to)
{
	struct sim_piece *pieces = sim->net->pieces[node->id];
	struct sim_piece *unused = NULL;

	for (unsigned i = 0; i < SIM_PIECES_MAX; i++) {
		if (pieces[i].number != 0 && pieces[i].to == to)
			return &pieces[i];
		if (pieces[i].number == 0)
			unused = &pieces[i];
	}
	return unused;
}

static void
plan_loss(struct sim *sim, const struct sim_node *node, uint64_t number,
    raft_usec after)
{
	sim_schedule(sim, MAX(node->turn_at, sim->now) + after,
	    SIM_EVENT_PIECE_LOST, node->id, number, NULL);
}

static struct sim_connection *
connection_to(
    struct sim *sim, const struct sim_node *node, raft_id to, raft_id *ret_peer)
{
	for (raft_id peer = 1; peer <= sim->config.hosts_count; peer++) {
		struct sim_connection *connection =
		    &sim->net->connections[node->id][peer];

		if (connection->state != LINK_UP || connection->member.id != to)
			continue;
		*ret_peer = peer;
		return connection;
	}
	return NULL;
}

void
sim_pieces_send(
    struct sim *sim, struct sim_node *node, raft_id to, struct slice piece)
{
	struct sim_piece *slot = slot_of(sim, node, to);
	struct sim_connection *connection;
	struct sim_packet *packet;
	raft_id peer;

	if (slot == NULL || slot->number != 0) {
		sim_fail(sim,
		    "node %" PRIu64
		    " sends two pieces of a snapshot to %" PRIu64 " at once",
		    node->id, to);
		return;
	}
	*slot = (struct sim_piece){ to, ++sim->net->piece_number };
	sim->counters.pieces_sent++;
	sim_trace(sim, node->id, "sends piece %" PRIu64 " to %" PRIu64,
	    slot->number, to);
	connection = connection_to(sim, node, to, &peer);
	if (node->false_state != 0)
		sim_damage_expose(sim, node);
	if (connection == NULL || node->false_state != 0) {
		plan_loss(sim, node, slot->number, 1000);
		return;
	}
	packet = sim_packet_piece(SIM_PACKET_PIECE, node->id, peer, piece);
	packet->dialer = node->id;
	packet->session = connection->session;
	packet->number = slot->number;
	packet->message.from = node->member_id;
	/* There are fewer of them than of messages. */
	if (sim_net_damages(sim, 4)) {
		struct sim_packet *damaged =
		    sim_packet_damaged(packet, rng_next(sim_net_rng(sim)));

		sim->counters.pieces_damaged++;
		sim_packet_unref(packet);
		packet = damaged;
	}
	plan_loss(sim, node, slot->number, sim->config.piece_patience);
	sim_net_transmit(sim, packet, node->turn_at);
	sim_moment_piece(sim);
}

void
sim_pieces_cancel(struct sim *sim, struct sim_node *node, raft_id to)
{
	struct sim_piece *slot = slot_of(sim, node, to);

	if (slot != NULL)
		*slot = (struct sim_piece){ 0 };
}

void
sim_pieces_reset(struct sim *sim, struct sim_node *node, raft_id to)
{
	struct sim_piece *slot = slot_of(sim, node, to);

	if (slot != NULL && slot->number != 0)
		plan_loss(sim, node, slot->number, 0);
}

void
sim_pieces_drop(struct sim *sim, struct sim_node *node)
{
	memset(sim->net->pieces[node->id], 0, sizeof(sim->net->pieces[0]));
}

/* ---- At the receiver ---- */

/* What became of an offer. */
static void
count_answer(struct sim *sim, struct sim_node *node,
    const struct sim_packet *packet, const struct buf *bytes)
{
	struct sim_counters *counters = &sim->counters;
	struct node_piece piece;
	struct node_answer answer;

	if (node_piece_decode(
		slice_of(packet->bytes, packet->bytes_size), &piece) != 0 ||
	    node_answer_decode(buf_slice(bytes), &answer) != 0)
		return;
	counters->snapshots_late += answer.kind == NODE_ANSWER_LATER;
	if (piece.kind == NODE_PIECE_END)
		node->piece_end = piece.id.index;
	if (piece.kind != NODE_PIECE_OFFER)
		return;
	counters->snapshots_offered++;
	counters->snapshots_held += answer.kind == NODE_ANSWER_DONE;
	if (answer.kind != NODE_ANSWER_GO_ON)
		return;
	if (answer.position.table != 0 || answer.position.key_size != 0)
		counters->snapshots_resumed++;
	else
		counters->snapshots_begun++;
}

void
sim_pieces_receive(
    struct sim *sim, struct sim_node *node, const struct sim_packet *packet)
{
	raft_usec now = sim_node_clock(node, node->turn_at);
	const struct sim_connection *connection =
	    sim_net_connection(sim, packet);
	struct buf answer = { 0 };
	struct sim_packet *reply;
	int error;

	if (!sim_net_is_expected(sim, node, packet))
		return;
	error = node_receive_snapshot(node->node, now, connection->caller,
	    slice_of(packet->bytes, packet->bytes_size), &answer);
	sim_trace(sim, node->id, "hears piece %" PRIu64 "%s%s", packet->number,
	    packet->damaged ? ", damaged" : "",
	    error == 0 ? "" : err_text(error));
	if (error == 0 && packet->damaged)
		sim_fail(sim,
		    "node %" PRIu64 " takes a damaged piece of a snapshot",
		    node->id);
	else if (error == 0) {
		count_answer(sim, node, packet, &answer);
		reply = sim_packet_piece(SIM_PACKET_PIECE_ANSWER, node->id,
		    packet->from, buf_slice(&answer));
		reply->dialer = packet->dialer;
		reply->session = packet->session;
		reply->number = packet->number;
		sim_net_transmit(sim, reply, node->turn_at);
	} else if (error == ERR_AGAIN) {
		sim_net_hang_up_on(sim, node, packet);
	} else if (!packet->damaged && !sim_node_may_refuse(node, error)) {
		sim_fail(sim,
		    "node %" PRIu64 " does not take a piece of a snapshot: %s",
		    node->id, err_text(error));
	}
	buf_release(&answer);
}

/* ---- At the sender ---- */

static void
tell(struct sim *sim, struct sim_node *node, uint64_t number,
    struct slice answer)
{
	struct sim_piece *pieces = sim->net->pieces[node->id];

	for (unsigned i = 0; i < SIM_PIECES_MAX; i++) {
		raft_id to = pieces[i].to;

		if (pieces[i].number != number)
			continue;
		pieces[i] = (struct sim_piece){ 0 };
		node_snapshot_answered(node->node,
		    sim_node_clock(node, node->turn_at), to, answer);
		sim->counters.pieces_lost += answer.size == 0;
		return;
	}
}

void
sim_pieces_answered(
    struct sim *sim, struct sim_node *node, const struct sim_packet *packet)
{
	if (packet->dialer == node->id)
		tell(sim, node, packet->number,
		    slice_of(packet->bytes, packet->bytes_size));
}

void
sim_pieces_lost(
    struct sim *sim, struct sim_node *node, const struct sim_event *event)
{
	tell(sim, node, event->number, slice_of(NULL, 0));
}

/* ---- For faults ---- */

bool
sim_pieces_find(struct sim *sim, raft_id *ret_sender, raft_id *ret_receiver)
{
	for (raft_id id = 1; id <= sim->config.hosts_count; id++) {
		const struct sim_piece *pieces = sim->net->pieces[id];

		for (unsigned i = 0; i < SIM_PIECES_MAX; i++) {
			const struct sim_node *to =
			    sim_node_of_member(sim, pieces[i].to);

			if (pieces[i].number == 0 || to == NULL)
				continue;
			*ret_sender = id;
			*ret_receiver = to->id;
			return true;
		}
	}
	return false;
}
