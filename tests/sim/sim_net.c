#include "tests/sim/sim_net.h"

#include "common/mem.h"
#include "tests/sim/sim_media.h"
#include "tests/sim/sim_net_impl.h"
#include <stdlib.h>

const struct sim_streams_ops *
sim_streams(const struct sim *sim)
{
	return sim->messages == SIM_MESSAGES_BYTES ? sim_media.streams : NULL;
}

void
sim_net_init(struct sim *sim)
{
	sim->net = mem_zalloc(1, sizeof(*sim->net));
	if (sim_streams(sim) != NULL)
		sim_streams(sim)->init(sim);
}

void
sim_net_release(struct sim *sim)
{
	struct sim_net *net = sim->net;

	for (size_t i = 0; i < OLD_PACKETS_MAX; i++)
		sim_packet_unref(net->old[i]);
	for (raft_id id = 1; id <= SIM_NODES_MAX; id++) {
		for (size_t i = 0; i < net->outbox_count[id]; i++)
			sim_packet_unref(net->outbox[id][i]);
		free(net->outbox[id]);
	}
	if (sim_streams(sim) != NULL)
		sim_streams(sim)->release(sim);
	free(net);
}

void
sim_net_drop(const struct sim_event *event)
{
	if (event->kind == SIM_EVENT_PACKET)
		sim_packet_unref(event->object);
}

struct rng *
sim_net_rng(struct sim *sim)
{
	return &sim->rng[SIM_RNG_NETWORK];
}

bool
sim_net_damages(struct sim *sim, uint32_t times)
{
	return sim->phase == SIM_FAULTS &&
	       sim_chance(sim_net_rng(sim), times * sim->config.damage_ppm);
}

/* ---- Links ---- */

void
sim_net_schedule(struct sim *sim, struct sim_packet *packet, raft_usec at)
{
	sim_schedule(
	    sim, at, SIM_EVENT_PACKET, packet->to, 0, sim_packet_ref(packet));
}

static bool
has_content(const struct sim_packet *packet)
{
	return packet->kind != SIM_PACKET_RESET &&
	       packet->kind != SIM_PACKET_REFUSAL &&
	       packet->kind != SIM_PACKET_SEGMENT;
}

static void
schedule_packet(struct sim *sim, struct sim_packet *packet, raft_usec at)
{
	if (sim_streams(sim) != NULL && has_content(packet))
		sim_streams(sim)->write(sim, packet, at);
	else
		sim_net_schedule(sim, packet, at);
}

/* Old messages were past the cut before it was made; a rumour of a refusal,
 * which has no session, comes from elsewhere. */
static bool
is_cut(const struct sim *sim, const struct sim_packet *packet)
{
	uint32_t classes = sim->net->cut_classes;

	return sim->net->cut[packet->from][packet->to] && !packet->replayed &&
	       packet->session != 0 &&
	       (classes == 0 || (classes >> sim_packet_class(packet) & 1) != 0);
}

static void
transmit(struct sim *sim, struct sim_packet *packet, raft_usec at)
{
	const struct sim_config *config = &sim->config;
	struct sim_net *net = sim->net;
	bool healthy = sim->phase != SIM_FAULTS;
	raft_usec mean = MAX(config->delay_mean, net->delay_mean);
	raft_usec *last = &net->arrival[packet->from][packet->to];

	if (is_cut(sim, packet)) {
		sim->counters.packets_cut_off++;
		return;
	}
	if (healthy)
		mean = MIN(mean, config->raft.election_timeout / 50);
	if (!healthy &&
	    sim_chance(sim_net_rng(sim), config->loss_ppm + net->loss_ppm)) {
		sim->counters.packets_lost++;
		return;
	}
	at += config->delay_min + sim_exponential(sim_net_rng(sim), mean);
	if (at < *last) {
		sim->counters.packets_overtaken += !config->in_order;
		at = config->in_order ? *last : at;
	}
	*last = MAX(*last, at);
	schedule_packet(sim, packet, at);
	if (!healthy &&
	    (packet->kind == SIM_PACKET_MESSAGE ||
		packet->kind == SIM_PACKET_PIECE) &&
	    sim_chance(sim_net_rng(sim), config->double_ppm)) {
		sim->counters.packets_doubled++;
		schedule_packet(sim, packet,
		    at + sim_exponential(sim_net_rng(sim), 2 * mean));
	}
}

void
sim_net_transmit(struct sim *sim, struct sim_packet *packet, raft_usec at)
{
	transmit(sim, packet, at);
	sim_packet_unref(packet);
}

/* A notice about the session of a connection, without a message. */
void
sim_net_notice(struct sim *sim, enum sim_packet_kind kind, raft_id from,
    raft_id to, raft_id dialer, uint64_t session)
{
	struct sim_packet *packet = sim_packet_new(kind, from, to);

	packet->dialer = dialer;
	packet->session = session;
	sim_net_transmit(sim, packet, sim->now);
}

struct sim_connection *
sim_net_connection(struct sim *sim, const struct sim_packet *packet)
{
	raft_id acceptor =
	    packet->dialer == packet->from ? packet->to : packet->from;

	return &sim->net->connections[packet->dialer][acceptor];
}

static enum sim_packet_kind
content_of(const struct sim_packet *packet)
{
	return packet->kind == SIM_PACKET_SEGMENT ? packet->carried
						  : packet->kind;
}

void
sim_net_arrive(struct sim *sim, const struct sim_event *event)
{
	struct sim_packet *packet = event->object;
	struct sim_node *node = sim_node_get(sim, packet->to);

	if (is_cut(sim, packet)) {
		sim->counters.packets_cut_off++;
		sim_packet_unref(packet);
		return;
	}
	if (node->node != NULL) {
		sim_node_post(sim, event);
		return;
	}
	if (node->powered && content_of(packet) == SIM_PACKET_HELLO)
		sim_net_notice(sim, SIM_PACKET_REFUSAL, node->id, packet->from,
		    packet->dialer, packet->session);
	else if (node->powered && packet->kind != SIM_PACKET_RESET &&
		 packet->kind != SIM_PACKET_REFUSAL)
		sim_net_notice(sim, SIM_PACKET_RESET, node->id, packet->from,
		    packet->dialer, packet->session);
	sim_packet_unref(packet);
}

/* ---- Faults ---- */

void
sim_net_cut(struct sim *sim, raft_id from, raft_id to)
{
	sim->net->cuts_count += !sim->net->cut[from][to];
	sim->net->cut[from][to] = true;
}

void
sim_net_cut_classes(struct sim *sim, uint32_t classes)
{
	sim->net->cut_classes = classes;
}

void
sim_net_mend_all(struct sim *sim)
{
	memset(sim->net->cut, 0, sizeof(sim->net->cut));
	sim->net->cut_classes = 0;
	sim->net->cuts_count = 0;
}

bool
sim_net_is_cut(const struct sim *sim)
{
	return sim->net->cuts_count > 0;
}

void
sim_net_set_loss(struct sim *sim, uint32_t ppm)
{
	sim->net->loss_ppm = ppm;
}

void
sim_net_set_delay(struct sim *sim, raft_usec mean)
{
	sim->net->delay_mean = mean;
}

void
sim_net_refuse(struct sim *sim, raft_id node, raft_id peer)
{
	struct sim_packet *packet =
	    sim_packet_new(SIM_PACKET_REFUSAL, peer, node);

	packet->dialer = node;
	schedule_packet(
	    sim, packet, sim->now + sim_exponential(sim_net_rng(sim), 1000));
	sim_packet_unref(packet);
}

void
sim_net_replay(struct sim *sim)
{
	const struct sim_packet *old =
	    sim->net->old[rng_below(sim_net_rng(sim), OLD_PACKETS_MAX)];
	struct sim_packet *packet;

	if (old == NULL)
		return;
	sim->counters.packets_replayed++;
	packet = sim_packet_copy(old);
	packet->replayed = true;
	sim_net_transmit(sim, packet, sim->now);
}
