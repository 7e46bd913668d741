/* Dialling, the hello each way, and how connections end. */

#include "tests/sim/sim_copy.h"
#include "tests/sim/sim_media.h"
#include "tests/sim/sim_net_impl.h"
#include "tests/sim/sim_operator.h"
#include "tests/sim/sim_pieces.h"
#include "tests/sim/sim_recover.h"
#include <inttypes.h>

static void
plan_dial(struct sim *sim, raft_id dialer, raft_id acceptor, raft_usec after)
{
	struct sim_connection *connection =
	    &sim->net->connections[dialer][acceptor];

	connection->dial_number += SIM_NODES_MAX + 1;
	sim_schedule(sim, sim->now + after, SIM_EVENT_DIAL, dialer,
	    connection->dial_number + acceptor, NULL);
}

static void
plan_redial(struct sim *sim, raft_id dialer, raft_id acceptor)
{
	raft_usec timeout = sim->config.raft.election_timeout;

	plan_dial(sim, dialer, acceptor,
	    rng_between(sim_net_rng(sim), timeout / 50, timeout / 4));
}

static const struct node_member *
member_at(struct sim *sim, const struct sim_node *node, raft_id place)
{
	for (unsigned i = 0; i < node->book.count; i++) {
		const struct node_member *member = &node->book.member[i];

		if (sim_node_at(sim, member->address)->id == place)
			return member;
	}
	return NULL;
}

void
sim_net_dial(
    struct sim *sim, struct sim_node *node, const struct sim_event *event)
{
	raft_id peer = event->number % (SIM_NODES_MAX + 1);
	const struct node_member *member = member_at(sim, node, peer);
	struct sim_connection *connection =
	    &sim->net->connections[node->id][peer];
	struct sim_packet *packet;

	if (event->number != connection->dial_number + peer ||
	    connection->state == LINK_UP || member == NULL)
		return;
	connection->state = LINK_DIALING;
	connection->session = ++sim->net->session;
	connection->member = *member;
	packet = sim_packet_new(SIM_PACKET_HELLO, node->id, peer);
	packet->dialer = node->id;
	packet->session = connection->session;
	node_get_hello(node->node, member->id, packet->hello);
	memcpy(packet->hello->to_address, member->address,
	    sizeof(member->address));
	sim_net_transmit(sim, packet, sim->now);
	/* In case that no answer comes. */
	plan_dial(sim, node->id, peer, sim->config.raft.election_timeout / 2);
}

/* It was on its way when its sender was started again. */
static bool
is_of_the_past(struct sim *sim, const struct sim_packet *packet)
{
	const struct sim_node *from = sim_node_get(sim, packet->from);
	struct node_hello hello;

	if (from->node == NULL)
		return true;
	node_get_hello(from->node, 0, &hello);
	return hello.boot_id != packet->hello->boot_id;
}

static void
note_hearing(struct sim *sim, struct sim_node *node,
    const struct sim_packet *packet, bool accepted, const char *why)
{
	raft_id peer = packet->from;

	if (accepted)
		sim_recover_heard(sim, node, sim_node_get(sim, peer));
	if (accepted)
		node->heard[peer] = true;
	sim_trace(sim, node->id, "hello of %" PRIu64 "%s%s", peer,
	    accepted ? "" : " refused: ", accepted ? "" : why);
	sim->counters.hellos_refused += !accepted;
	if (accepted || node->wiped || sim_node_get(sim, peer)->wiped ||
	    sim->config.churns || sim->counters.damages > 0 || sim->recovered ||
	    sim->counters.copies_put_back > 0 ||
	    sim->counters.copies_beside > 0 || is_of_the_past(sim, packet))
		return;
	sim_fail(sim, "node %" PRIu64 " refuses the hello of %" PRIu64 ": %s",
	    node->id, peer, why);
}

static bool
hear(struct sim *sim, struct sim_node *node, const struct sim_packet *packet)
{
	char why[512] = "";
	bool accepted =
	    node_hear(node->node, packet->hello, why, sizeof(why)) == 0;

	note_hearing(sim, node, packet, accepted, why);
	sim_copy_heard(sim, node, sim_node_get(sim, packet->from),
	    packet->hello->boot_id, accepted);
	return accepted;
}

static struct sim_packet *
answer_new(const struct sim_node *node, enum sim_packet_kind kind,
    const struct sim_packet *packet)
{
	struct sim_packet *answer =
	    sim_packet_new(kind, node->id, packet->from);

	answer->dialer = packet->dialer;
	answer->session = packet->session;
	return answer;
}

static void
receive_hello(
    struct sim *sim, struct sim_node *node, const struct sim_packet *packet)
{
	struct sim_packet *welcome =
	    answer_new(node, SIM_PACKET_WELCOME, packet);

	node_get_hello(node->node, packet->hello->from, welcome->hello);
	sim_net_transmit(sim, welcome, node->turn_at);
}

/* A node that waits to be added has no id until it has heard us. */
static void
receive_welcome(
    struct sim *sim, struct sim_node *node, const struct sim_packet *packet)
{
	struct sim_connection *connection = sim_net_connection(sim, packet);
	struct sim_packet *proof;

	if (connection->state != LINK_DIALING ||
	    connection->session != packet->session ||
	    (packet->hello->from != connection->member.id &&
		packet->hello->stage != NODE_HELLO_JOINING) ||
	    !hear(sim, node, packet))
		return;
	proof = answer_new(node, SIM_PACKET_PROOF, packet);
	node_get_hello(node->node, connection->member.id, proof->hello);
	sim_net_transmit(sim, proof, node->turn_at);
}

static void
receive_proof(
    struct sim *sim, struct sim_node *node, const struct sim_packet *packet)
{
	struct sim_connection *connection = sim_net_connection(sim, packet);

	if (!hear(sim, node, packet))
		return;
	connection->accepted = packet->session;
	connection->caller = packet->hello->from;
	sim_net_transmit(
	    sim, answer_new(node, SIM_PACKET_ACCEPTED, packet), node->turn_at);
}

static void
receive_accepted(
    struct sim *sim, struct sim_node *node, const struct sim_packet *packet)
{
	struct sim_connection *connection = sim_net_connection(sim, packet);

	if (packet->dialer != node->id || connection->state != LINK_DIALING ||
	    connection->session != packet->session)
		return;
	connection->state = LINK_UP;
	sim->counters.connections++;
}

static void
receive_reset(
    struct sim *sim, struct sim_node *node, const struct sim_packet *packet)
{
	struct sim_connection *connection = sim_net_connection(sim, packet);

	if (packet->dialer != node->id) {
		if (connection->accepted == packet->session)
			connection->accepted = 0;
		return;
	}
	if (connection->state == LINK_DOWN ||
	    connection->session != packet->session)
		return;
	connection->state = LINK_DOWN;
	sim->counters.connections_reset++;
	sim_trace(
	    sim, node->id, "connection to %" PRIu64 " is reset", packet->from);
	node_peer_unreachable(node->node, sim_node_clock(node, node->turn_at),
	    connection->member.id);
	sim_pieces_reset(sim, node, connection->member.id);
	plan_redial(sim, node->id, packet->from);
}

static void
receive_refusal(
    struct sim *sim, struct sim_node *node, const struct sim_packet *packet)
{
	struct sim_connection *connection = sim_net_connection(sim, packet);
	const struct node_member *member = member_at(sim, node, packet->from);
	bool real = connection->state == LINK_DIALING &&
		    connection->session == packet->session;

	if ((!real && packet->session != 0) || member == NULL)
		return;
	sim_trace(
	    sim, node->id, "%" PRIu64 " refuses connections", packet->from);
	node_peer_refused(
	    node->node, sim_node_clock(node, node->turn_at), member->id);
	if (!real)
		return;
	connection->state = LINK_DOWN;
	sim->counters.dials_refused++;
	plan_redial(sim, node->id, packet->from);
}

/* ---- Probes: a connection of their own, for one hello each way ---- */

void
sim_net_probe(
    struct sim *sim, struct sim_node *node, raft_id place, uint64_t number)
{
	struct sim_packet *packet =
	    sim_packet_new(SIM_PACKET_PROBE, node->id, place);

	packet->dialer = node->id;
	packet->session = ++sim->net->session;
	packet->number = number;
	node_get_hello(node->node, 0, packet->hello);
	packet->hello->stage = NODE_HELLO_PROBE;
	sim_net_transmit(sim, packet, node->turn_at);
}

static void
receive_probe(
    struct sim *sim, struct sim_node *node, const struct sim_packet *packet)
{
	struct sim_packet *answer = answer_new(node, SIM_PACKET_PROBED, packet);
	char why[512] = "";

	/* It comes from a member, be that ever so old a one. */
	if (node_hear(node->node, packet->hello, why, sizeof(why)) != 0)
		sim_fail(sim, "node %" PRIu64 " does not answer a probe: %s",
		    node->id, why);
	answer->number = packet->number;
	node_get_hello(node->node, packet->hello->from, answer->hello);
	sim_net_transmit(sim, answer, node->turn_at);
}

/* ---- Lives ---- */

static bool
is_same_member(
    const struct sim_connection *connection, const struct node_member *member)
{
	return member != NULL && connection->member.id == member->id &&
	       strcmp(connection->member.address, member->address) == 0;
}

/* Word of it goes to the other side; whoever dials again is served. */
static void
hang_up(struct sim *sim, struct sim_node *node, raft_id peer)
{
	struct sim_connection *connection =
	    &sim->net->connections[node->id][peer];

	if (connection->state != LINK_DOWN)
		sim_net_notice(sim, SIM_PACKET_RESET, node->id, peer, node->id,
		    connection->session);
	connection->state = LINK_DOWN;
	connection->dial_number += SIM_NODES_MAX + 1;
	sim_pieces_reset(sim, node, connection->member.id);
}

void
sim_net_members_changed(struct sim *sim, struct sim_node *node)
{
	if (!node->book_changed)
		return;
	node->book_changed = false;
	for (raft_id peer = 1; peer <= sim->config.hosts_count; peer++) {
		const struct node_member *member = member_at(sim, node, peer);
		struct sim_connection *connection =
		    &sim->net->connections[node->id][peer];

		if (peer == node->id || peer == node->beside)
			continue;
		if (connection->state != LINK_DOWN &&
		    !is_same_member(connection, member))
			hang_up(sim, node, peer);
		if (member != NULL && connection->state == LINK_DOWN)
			plan_dial(sim, node->id, peer,
			    rng_below(sim_net_rng(sim), 2000));
	}
}

void
sim_net_node_died(struct sim *sim, struct sim_node *node)
{
	raft_id id = node->id;

	for (raft_id peer = 1; peer <= sim->config.hosts_count; peer++) {
		struct sim_connection *ours = &sim->net->connections[id][peer];
		struct sim_connection *theirs =
		    &sim->net->connections[peer][id];

		if (node->powered && ours->state != LINK_DOWN)
			sim_net_notice(
			    sim, SIM_PACKET_RESET, id, peer, id, ours->session);
		if (node->powered && theirs->accepted != 0)
			sim_net_notice(sim, SIM_PACKET_RESET, id, peer, peer,
			    theirs->accepted);
		ours->state = LINK_DOWN;
		ours->session = 0;
		ours->dial_number += SIM_NODES_MAX + 1;
		theirs->accepted = 0;
	}
	if (sim_streams(sim) != NULL)
		sim_streams(sim)->node_died(sim, node);
}

void
sim_net_reset(struct sim *sim, raft_id a, raft_id b)
{
	const struct sim_connection *ours = &sim->net->connections[a][b];
	const struct sim_connection *theirs = &sim->net->connections[b][a];

	if (ours->state == LINK_UP) {
		sim_net_notice(sim, SIM_PACKET_RESET, b, a, a, ours->session);
		sim_net_notice(sim, SIM_PACKET_RESET, a, b, a, ours->session);
	}
	if (theirs->state == LINK_UP) {
		sim_net_notice(sim, SIM_PACKET_RESET, a, b, b, theirs->session);
		sim_net_notice(sim, SIM_PACKET_RESET, b, a, b, theirs->session);
	}
}

void
sim_net_take(
    struct sim *sim, struct sim_node *node, const struct sim_packet *packet)
{
	switch (packet->kind) {
	case SIM_PACKET_HELLO: receive_hello(sim, node, packet); break;
	case SIM_PACKET_WELCOME: receive_welcome(sim, node, packet); break;
	case SIM_PACKET_PROOF: receive_proof(sim, node, packet); break;
	case SIM_PACKET_ACCEPTED: receive_accepted(sim, node, packet); break;
	case SIM_PACKET_RESET: receive_reset(sim, node, packet); break;
	case SIM_PACKET_REFUSAL: receive_refusal(sim, node, packet); break;
	case SIM_PACKET_PROBE: receive_probe(sim, node, packet); break;
	case SIM_PACKET_PROBED: sim_operator_probed(sim, node, packet); break;
	case SIM_PACKET_MESSAGE:
		sim_net_receive_message(sim, node, packet);
		break;
	case SIM_PACKET_PIECE: sim_pieces_receive(sim, node, packet); break;
	case SIM_PACKET_PIECE_ANSWER:
		sim_pieces_answered(sim, node, packet);
		break;
	case SIM_PACKET_SEGMENT: sim_streams(sim)->read(sim, node, packet);
	}
}

void
sim_net_receive(
    struct sim *sim, struct sim_node *node, const struct sim_event *event)
{
	sim_net_take(sim, node, event->object);
}
