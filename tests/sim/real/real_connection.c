/* Connections: their lives and ends. */

#include "tests/sim/real/real_stream.h"

#include "common/mem.h"
#include "common/panic.h"
#include <inttypes.h>
#include <stdlib.h>

/* Between two places, of each channel; older ones are given up. */
#define CONNECTIONS_MAX 8
struct rng *
real_rng(struct sim *sim)
{
	return &sim->rng[SIM_RNG_MEDIA];
}

/* ---- Lives ---- */

static const char *const defect_names[] = {
	[REAL_DEFECT_CRC] = "crc",
	[REAL_DEFECT_PROOF] = "proof",
	[REAL_DEFECT_FIELD] = "field",
	[REAL_DEFECT_SPLIT] = "split",
	[REAL_DEFECT_EPOCH] = "epoch",
	[REAL_DEFECT_NONE] = NULL,
};

static enum real_defect
find_defect(const char *name)
{
	for (unsigned i = 0; name != NULL && i < REAL_DEFECT_NONE; i++) {
		if (strcmp(defect_names[i], name) == 0)
			return (enum real_defect)i;
	}
	return REAL_DEFECT_NONE;
}

static void
init(struct sim *sim)
{
	const struct raft_params *raft = &sim->config.raft;
	struct sim_streams *streams = mem_zalloc(1, sizeof(*streams));
	struct rng *rng = real_rng(sim);
	uint32_t without = sim->config.options.without;

	sim->streams = streams;
	wire_records_init(&streams->records, raft->append_entries_max);
	/* As the daemon does: see server_fill_peers_params(). */
	streams->body_bytes_max =
	    (raft->append_bytes_max + (uint64_t)raft->entry_bytes_max) * 3 / 2 +
	    raft->append_entries_max * UINT64_C(128) + 65536 +
	    sim->config.snapshot_piece_bytes;
	streams->cut = (enum real_cut)rng_below(rng, 3);
	streams->feed = (enum real_cut)rng_below(rng, 3);
	streams->gathers = rng_below(rng, 2) == 0;
	if (rng_below(rng, 5) < 2 && !sim->config.calm &&
	    (without >> SIM_PART_NOISE & 1) == 0)
		streams->flip_ppm = UINT32_C(100) << rng_below(rng, 7);
	streams->defect = find_defect(sim->defect);
	/* Some of them show in flipped messages only. */
	if (streams->defect != REAL_DEFECT_NONE)
		streams->flip_ppm = 20000;
}

static void
stream_release(struct real_stream *stream)
{
	for (size_t i = 0; i < stream->records_count; i++)
		sim_packet_unref(stream->records[i].packet);
	free(stream->records);
	free(stream->parts);
	buf_release(&stream->bytes);
	real_reader_release(&stream->reader);
}

static void
connection_free(struct real_connection *connection)
{
	stream_release(&connection->stream[0]);
	stream_release(&connection->stream[1]);
	buf_release(&connection->hello);
	buf_release(&connection->heard_text);
	free(connection);
}

static void
release(struct sim *sim)
{
	struct sim_streams *streams = sim->streams;

	for (raft_id dialer = 1; dialer <= SIM_NODES_MAX; dialer++) {
		for (raft_id peer = 1; peer <= SIM_NODES_MAX; peer++) {
			struct real_connection *connection =
			    streams->connections[dialer][peer];

			while (connection != NULL) {
				struct real_connection *next = connection->next;

				connection_free(connection);
				connection = next;
			}
		}
	}
	wire_records_release(&streams->records);
	free(streams);
	sim->streams = NULL;
}

static raft_id
acceptor_of(const struct sim_packet *packet)
{
	return packet->dialer == packet->from ? packet->to : packet->from;
}

struct real_connection *
real_connection_find(struct sim *sim, const struct sim_packet *packet,
    enum real_channel channel, uint64_t key)
{
	struct real_connection *connection =
	    sim->streams->connections[packet->dialer][acceptor_of(packet)];

	while (connection != NULL &&
	       (connection->key != key || connection->channel != channel))
		connection = connection->next;
	return connection;
}

static void
drop_oldest(struct real_connection **place, enum real_channel channel)
{
	unsigned count = 0;

	while (*place != NULL) {
		struct real_connection *connection = *place;

		count += connection->channel == channel;
		if (connection->channel != channel ||
		    count <= CONNECTIONS_MAX || connection->busy) {
			place = &connection->next;
			continue;
		}
		*place = connection->next;
		connection_free(connection);
	}
}

static struct real_connection *
connect(struct sim *sim, const struct sim_packet *packet,
    enum real_channel channel, uint64_t key)
{
	struct real_connection **place =
	    &sim->streams->connections[packet->dialer][acceptor_of(packet)];
	struct real_connection *connection = mem_zalloc(1, sizeof(*connection));

	connection->dialer = packet->dialer;
	connection->acceptor = acceptor_of(packet);
	connection->session = packet->session;
	connection->key = key;
	connection->channel = channel;
	connection->stream[0].reader.loses_bytes =
	    sim->streams->defect == REAL_DEFECT_SPLIT;
	if (sim->streams->defect == REAL_DEFECT_EPOCH && *place != NULL)
		buf_append_slice(&connection->stream[0].reader.input,
		    buf_slice(&(*place)->stream[0].reader.input));
	connection->next = *place;
	*place = connection;
	drop_oldest(place, channel);
	sim->counters.streams_begun++;
	return connection;
}

enum real_channel
real_channel_of(const struct sim_packet *packet)
{
	switch (packet->kind) {
	case SIM_PACKET_PROBE:
	case SIM_PACKET_PROBED: return REAL_PROBE;
	case SIM_PACKET_PIECE:
	case SIM_PACKET_PIECE_ANSWER: return REAL_PIECES;
	case SIM_PACKET_HELLO:
	case SIM_PACKET_WELCOME:
	case SIM_PACKET_PROOF:
	case SIM_PACKET_ACCEPTED:
	case SIM_PACKET_MESSAGE: break;
	case SIM_PACKET_RESET:
	case SIM_PACKET_REFUSAL:
	case SIM_PACKET_SEGMENT: ASSERT(!"it has no content");
	}
	return packet->replayed ? REAL_AGAIN : REAL_MESSAGES;
}

/* What begins a connection makes one; what was lost with an old one has none. */
struct real_connection *
real_connection_for(struct sim *sim, const struct sim_packet *packet)
{
	enum real_channel channel = real_channel_of(packet);
	struct real_connection *connection;
	bool begins = packet->kind == SIM_PACKET_HELLO ||
		      packet->kind == SIM_PACKET_PROBE ||
		      packet->kind == SIM_PACKET_PIECE;

	if (channel == REAL_AGAIN)
		return connect(
		    sim, packet, channel, ++sim->streams->again_count);
	connection =
	    real_connection_find(sim, packet, channel, packet->session);
	if (connection == NULL && begins)
		return connect(sim, packet, channel, packet->session);
	return connection;
}

struct real_stream *
real_stream_from(struct real_connection *connection, raft_id from)
{
	return &connection->stream[from == connection->dialer ? 0 : 1];
}

/* ---- The end of a connection ---- */

/* Perhaps in the middle of a message, which is never seen again. */
static void
end_stream(struct sim *sim, struct real_stream *stream)
{
	const struct real_reader *reader = &stream->reader;

	if (!stream->dead && (reader->in_body || reader->input.size > 0))
		sim->counters.streams_cut_short++;
	stream->dead = true;
}

/* Whoever has the connection loses it, whatever links are cut. */
void
real_tell_reset(struct sim *sim, const struct real_connection *connection,
    raft_id from, raft_id to, bool surely, raft_usec at)
{
	struct sim_packet *packet = sim_packet_new(SIM_PACKET_RESET, from, to);

	packet->dialer = connection->dialer;
	packet->session = connection->key;
	packet->replayed = surely;
	if (surely)
		sim_net_schedule(sim, packet, at);
	else
		sim_net_transmit(sim, sim_packet_ref(packet), at);
	sim_packet_unref(packet);
}

void
real_hang_up(
    struct sim *sim, struct sim_node *node, struct real_connection *connection)
{
	raft_id other = node->id == connection->dialer ? connection->acceptor
						       : connection->dialer;

	end_stream(sim, &connection->stream[0]);
	end_stream(sim, &connection->stream[1]);
	if (connection->channel == REAL_AGAIN)
		return;
	real_tell_reset(sim, connection, other, node->id, true, node->turn_at);
	real_tell_reset(sim, connection, node->id, other, false, node->turn_at);
}

static void
node_died(struct sim *sim, struct sim_node *node)
{
	for (raft_id peer = 1; peer <= SIM_NODES_MAX; peer++) {
		struct real_connection *ours =
		    sim->streams->connections[node->id][peer];
		struct real_connection *theirs =
		    sim->streams->connections[peer][node->id];

		for (; ours != NULL; ours = ours->next)
			end_stream(sim, &ours->stream[1]);
		for (; theirs != NULL; theirs = theirs->next)
			end_stream(sim, &theirs->stream[0]);
	}
}

const struct sim_streams_ops real_streams_ops = {
	.defects = defect_names,
	.init = init,
	.release = release,
	.write = real_stream_write,
	.read = real_stream_read,
	.node_died = node_died,
};
