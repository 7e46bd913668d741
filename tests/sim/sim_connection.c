/* Dialling, the hello each way, and how connections end. */

#include "tests/sim/sim_net_impl.h"
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

void
sim_net_dial(
    struct sim *sim, struct sim_node *node, const struct sim_event *event)
{
	raft_id peer = event->number % (SIM_NODES_MAX + 1);
	struct sim_connection *connection =
	    &sim->net->connections[node->id][peer];
	struct sim_packet *packet;

	if (event->number != connection->dial_number + peer ||
	    connection->state == LINK_UP)
		return;
	connection->state = LINK_DIALING;
	connection->session = ++sim->net->session;
	packet = sim_packet_new(SIM_PACKET_HELLO, node->id, peer);
	packet->dialer = node->id;
	packet->session = connection->session;
	node_get_hello(node->node, peer, packet->hello);
	sim_net_transmit(sim, packet, sim->now);
	/* In case that no answer comes. */
	plan_dial(sim, node->id, peer, sim->config.raft.election_timeout / 2);
}

static void
note_hearing(struct sim *sim, struct sim_node *node, raft_id peer,
    bool accepted, const char *why)
{
	if (accepted)
		node->heard[peer] = true;
	sim_trace(sim, node->id, "hello of %" PRIu64 "%s%s", peer,
	    accepted ? "" : " refused: ", accepted ? "" : why);
	if (accepted || node->wiped || sim_node_get(sim, peer)->wiped)
		return;
	sim_fail(sim, "node %" PRIu64 " refuses the hello of %" PRIu64 ": %s",
	    node->id, peer, why);
}

static bool
hear(struct sim *sim, struct sim_node *node, const struct sim_packet *packet)
{
	char why[256] = "";
	bool accepted =
	    node_hear(node->node, packet->hello, why, sizeof(why)) == 0;

	note_hearing(sim, node, packet->from, accepted, why);
	return accepted;
}

static void
receive_hello(
    struct sim *sim, struct sim_node *node, const struct sim_packet *packet)
{
	struct sim_packet *welcome;

	if (!hear(sim, node, packet))
		return;
	sim_net_connection(sim, packet)->accepted = packet->session;
	welcome = sim_packet_new(SIM_PACKET_WELCOME, node->id, packet->from);
	welcome->dialer = packet->dialer;
	welcome->session = packet->session;
	node_get_hello(node->node, packet->from, welcome->hello);
	sim_net_transmit(sim, welcome, node->turn_at);
}

static void
receive_welcome(
    struct sim *sim, struct sim_node *node, const struct sim_packet *packet)
{
	struct sim_connection *connection = sim_net_connection(sim, packet);

	if (connection->state != LINK_DIALING ||
	    connection->session != packet->session || !hear(sim, node, packet))
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
	node_peer_unreachable(
	    node->node, sim_node_clock(node, node->turn_at), packet->from);
	plan_redial(sim, node->id, packet->from);
}

static void
receive_refusal(
    struct sim *sim, struct sim_node *node, const struct sim_packet *packet)
{
	struct sim_connection *connection = sim_net_connection(sim, packet);
	bool real = connection->state == LINK_DIALING &&
		    connection->session == packet->session;

	if (!real && packet->session != 0)
		return;
	sim_trace(
	    sim, node->id, "%" PRIu64 " refuses connections", packet->from);
	node_peer_refused(
	    node->node, sim_node_clock(node, node->turn_at), packet->from);
	if (!real)
		return;
	connection->state = LINK_DOWN;
	sim->counters.dials_refused++;
	plan_redial(sim, node->id, packet->from);
}

/* ---- Lives ---- */

void
sim_net_node_started(struct sim *sim, struct sim_node *node)
{
	for (raft_id peer = 1; peer <= sim->config.nodes_count; peer++) {
		if (peer != node->id)
			plan_dial(sim, node->id, peer,
			    rng_below(sim_net_rng(sim), 2000));
	}
}

void
sim_net_node_died(struct sim *sim, struct sim_node *node)
{
	raft_id id = node->id;

	for (raft_id peer = 1; peer <= sim->config.nodes_count; peer++) {
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
sim_net_receive(
    struct sim *sim, struct sim_node *node, const struct sim_event *event)
{
	const struct sim_packet *packet = event->object;

	switch (packet->kind) {
	case SIM_PACKET_HELLO: receive_hello(sim, node, packet); break;
	case SIM_PACKET_WELCOME: receive_welcome(sim, node, packet); break;
	case SIM_PACKET_RESET: receive_reset(sim, node, packet); break;
	case SIM_PACKET_REFUSAL: receive_refusal(sim, node, packet); break;
	case SIM_PACKET_MESSAGE:
		sim_net_receive_message(sim, node, packet);
		break;
	}
}
