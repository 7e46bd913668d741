/* What nodes send: from the outbox of a turn to the inbox of a peer. */

#include "common/mem.h"
#include "common/panic.h"
#include "tests/sim/sim_check.h"
#include "tests/sim/sim_net_impl.h"
#include "tests/sim/sim_quirks.h"
#include <inttypes.h>

static bool
is_response(const struct raft_message *message)
{
	return message->kind == RAFT_PREVOTE_RESPONSE ||
	       message->kind == RAFT_VOTE_RESPONSE ||
	       message->kind == RAFT_APPEND_RESPONSE ||
	       message->kind == RAFT_READ_RESPONSE;
}

static void
trace_message(const struct sim *sim, const struct sim_node *node,
    const char *verb, const struct raft_message *message, int error)
{
	char text[200];

	if (!sim->trace)
		return;
	sim_packet_describe(message, text, sizeof(text));
	sim_trace(sim, node->id, "%s %s%s%s", verb, text,
	    error == 0 ? "" : ": ", error == 0 ? "" : err_text(error));
}

void
sim_net_send(struct sim *sim, struct sim_node *node,
    const struct raft_message *message, struct node_entry *const *entries)
{
	struct sim_net *net = sim->net;
	size_t *count = &net->outbox_count[node->id];
	size_t *capacity = &net->outbox_capacity[node->id];

	ASSERT(message->to != message->from);
	if (*count == *capacity) {
		*capacity = MAX(16, *capacity * 2);
		net->outbox[node->id] = mem_realloc(net->outbox[node->id],
		    *capacity, sizeof(struct sim_packet *));
	}
	net->outbox[node->id][(*count)++] =
	    sim_packet_message(node->id, message, entries);
	trace_message(sim, node, "sends", message, 0);
}

static void
remember(struct sim *sim, struct sim_packet *packet)
{
	struct sim_packet **place =
	    &sim->net->old[rng_below(sim_net_rng(sim), OLD_PACKETS_MAX)];

	/* One in a few, so that old ones stay for a while. */
	if (sim->config.fault_mean[SIM_FAULT_REPLAY] == 0 ||
	    !sim_chance(sim_net_rng(sim), 200000))
		return;
	sim_packet_unref(*place);
	*place = sim_packet_ref(packet);
}

/* An append of which one bit changes on the way; the caller's to unref. */
static struct sim_packet *
maybe_damage(struct sim *sim, struct sim_packet *packet)
{
	if (packet->message.entries_count == 0 || !sim_net_damages(sim, 1))
		return sim_packet_ref(packet);
	sim->counters.packets_damaged++;
	return sim_packet_damaged(packet, rng_next(sim_net_rng(sim)));
}

/* The place and the session of the one whom a message is for; false: there is
 * no connection. Answers go over that of the request. */
static bool
address_packet(
    struct sim *sim, struct sim_node *node, struct sim_packet *packet)
{
	raft_id to = packet->message.to;
	bool response = is_response(&packet->message);

	for (raft_id peer = 1; peer <= sim->config.hosts_count; peer++) {
		const struct sim_connection *ours =
		    &sim->net->connections[node->id][peer];
		const struct sim_connection *theirs =
		    &sim->net->connections[peer][node->id];

		if (response ? theirs->accepted == 0 || theirs->caller != to
			     : ours->state != LINK_UP || ours->member.id != to)
			continue;
		packet->to = peer;
		packet->dialer = response ? peer : node->id;
		packet->session = response ? theirs->accepted : ours->session;
		return true;
	}
	return false;
}

static void
flush_packet(struct sim *sim, struct sim_node *node, struct sim_packet *packet)
{
	if (!address_packet(sim, node, packet) ||
	    sim_quirks_hold_back(sim, node, &packet->message))
		return;
	remember(sim, packet);
	if (is_response(&packet->message) && sim_quirks_repeat(sim))
		sim_net_transmit(sim, sim_packet_ref(packet), node->turn_at);
	sim_net_transmit(sim, maybe_damage(sim, packet), node->turn_at);
}

void
sim_net_flush(struct sim *sim, struct sim_node *node)
{
	struct sim_net *net = sim->net;

	for (size_t i = 0; i < net->outbox_count[node->id]; i++) {
		struct sim_packet *packet = net->outbox[node->id][i];

		flush_packet(sim, node, packet);
		sim_packet_unref(packet);
	}
	net->outbox_count[node->id] = 0;
}

void
sim_net_flush_some(struct sim *sim, struct sim_node *node)
{
	struct sim_net *net = sim->net;
	size_t *count = &net->outbox_count[node->id];
	size_t keep = rng_below(sim_net_rng(sim), *count + 1);

	while (*count > keep)
		sim_packet_unref(net->outbox[node->id][--*count]);
	sim_net_flush(sim, node);
}

void
sim_net_hang_up_on(
    struct sim *sim, struct sim_node *node, const struct sim_packet *packet)
{
	struct sim_connection *connection = sim_net_connection(sim, packet);

	if (packet->dialer == node->id || packet->replayed)
		return;
	if (connection->accepted == packet->session)
		connection->accepted = 0;
	sim_net_notice(sim, SIM_PACKET_RESET, node->id, packet->from,
	    packet->dialer, packet->session);
}

/* May the message be handed over? If not, whoever sent it may learn of it. */
bool
sim_net_is_expected(
    struct sim *sim, struct sim_node *node, const struct sim_packet *packet)
{
	const struct sim_connection *connection =
	    sim_net_connection(sim, packet);
	bool heard = node->heard[packet->from];
	bool bound = sim->config.bound_to_sessions;

	/* For a node that was here before: of it, nobody accepted this. */
	if (packet->kind == SIM_PACKET_MESSAGE &&
	    packet->message.to != node->member_id) {
		sim_net_hang_up_on(sim, node, packet);
		return false;
	}
	if (packet->replayed)
		return heard;
	if (packet->dialer == node->id)
		return heard && connection->state == LINK_UP &&
		       (!bound || connection->session == packet->session);
	if (heard && connection->accepted != 0 &&
	    (!bound || connection->accepted == packet->session))
		return true;
	sim_net_notice(sim, SIM_PACKET_RESET, node->id, packet->from,
	    packet->dialer, packet->session);
	return false;
}

static bool
is_same(const struct raft_status *a, const struct raft_status *b)
{
	return a->term == b->term && a->vote == b->vote && a->role == b->role &&
	       a->leader == b->leader && a->last_index == b->last_index &&
	       a->commit_index == b->commit_index;
}

/* A message of a past term changes nothing, but that a candidate may give up
 * whom voters refuse that do not heed its term; and who only asks whether it would
 * be elected moves neither term nor vote nor role. */
static void
check_late(struct sim *sim, struct sim_node *node,
    const struct raft_message *message, const struct node_status *before)
{
	struct node_status after;

	if (before->state != NODE_MEMBER ||
	    (message->term >= before->raft.term &&
		message->kind != RAFT_PREVOTE_REQUEST))
		return;
	node_get_status(node->node, 0, &after);
	if (after.raft.term != before->raft.term ||
	    after.raft.vote != before->raft.vote ||
	    (message->kind == RAFT_PREVOTE_REQUEST &&
		after.raft.role != before->raft.role) ||
	    (message->term < before->raft.term &&
		message->kind != RAFT_VOTE_RESPONSE &&
		message->kind != RAFT_PREVOTE_RESPONSE &&
		!is_same(&before->raft, &after.raft)))
		sim_fail(sim,
		    "node %" PRIu64 " in term %" PRIu64
		    " is changed by a message of term %" PRIu64,
		    node->id, before->raft.term, message->term);
	sim->counters.late_ignored += message->term < before->raft.term;
}

void
sim_net_receive_message(
    struct sim *sim, struct sim_node *node, const struct sim_packet *packet)
{
	raft_usec now = sim_node_clock(node, node->turn_at);
	struct node_status status;
	uint64_t before = 0;
	char text[200];
	int error;

	if (!sim_net_is_expected(sim, node, packet))
		return;
	if (packet->message.kind == RAFT_APPEND_REQUEST)
		node->append_at = node->turn_at;
	if (packet->damaged)
		before = node_digest(node->node);
	node_get_status(node->node, 0, &status);
	/* An old message that comes again counts as well as one that was late. */
	sim->checks->watches[node->id].heard_at[packet->from] =
	    sim_node_clock(node, sim->now);
	error =
	    node_receive(node->node, now, &packet->message, packet->records);
	trace_message(sim, node,
	    packet->damaged    ? "hears, damaged,"
	    : packet->replayed ? "hears again"
			       : "hears",
	    &packet->message, error);
	if (error == 0)
		check_late(sim, node, &packet->message, &status);
	if (error == ERR_AGAIN)
		sim_net_hang_up_on(sim, node, packet);
	if (error == 0 || error == ERR_AGAIN ||
	    sim_node_may_refuse(node, error))
		return;
	sim_packet_describe(&packet->message, text, sizeof(text));
	if (!packet->damaged || error != ERR_INVALID)
		sim_fail(sim, "node %" PRIu64 " does not take %s: %s", node->id,
		    text, err_text(error));
	else if (node_digest(node->node) != before)
		sim_fail(sim, "node %" PRIu64 " is changed by a damaged %s",
		    node->id, text);
}
