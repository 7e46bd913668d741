/* What is written to a stream: flipped bits, and segments that end anywhere. */

#include "tests/sim/real/real_stream.h"

#include "common/hash.h"
#include "common/mem.h"

static void
add_record(
    struct real_stream *stream, struct sim_packet *packet, uint64_t start)
{
	if (stream->records_count == stream->records_capacity) {
		stream->records_capacity = MAX(8, stream->records_capacity * 2);
		stream->records = mem_realloc(stream->records,
		    stream->records_capacity, sizeof(*stream->records));
	}
	stream->records[stream->records_count++] = (struct real_record){
		.start = start,
		.end = stream->end,
		.packet = sim_packet_ref(packet),
	};
}

/*
 * A bit flips. Should a reader wait for what never comes, as for the rest of a
 * body whose size has changed, then the deadline of an answer ends that.
 */
static void
maybe_flip(struct sim *sim, struct real_connection *connection,
    struct real_stream *stream)
{
	struct real_record *record =
	    &stream->records[stream->records_count - 1];
	uint64_t size = record->end - record->start;
	raft_usec at = sim->now + sim->config.raft.election_timeout;
	/* There are fewer of the others. */
	uint32_t factor = record->packet->kind == SIM_PACKET_MESSAGE ? 1 : 10;
	uint64_t bit;

	if (sim->phase != SIM_FAULTS || connection->channel == REAL_AGAIN ||
	    !sim_chance(real_rng(sim), sim->streams->flip_ppm * factor))
		return;
	bit = rng_below(real_rng(sim), size * 8);
	stream->bytes.data[record->start - stream->start + bit / 8] ^=
	    (uint8_t)(1u << bit % 8);
	record->flipped = true;
	sim->counters.flips++;
	real_tell_reset(sim, connection, connection->dialer,
	    connection->acceptor, true, at);
	real_tell_reset(sim, connection, connection->acceptor,
	    connection->dialer, true, at);
}

static void
add_part(struct sim *sim, struct real_stream *stream,
    const struct sim_packet *packet, uint64_t key, uint64_t end, raft_usec at,
    raft_usec hold)
{
	struct sim_packet *segment =
	    sim_packet_new(SIM_PACKET_SEGMENT, packet->from, packet->to);

	if (stream->parts_count == stream->parts_capacity) {
		stream->parts_capacity = MAX(8, stream->parts_capacity * 2);
		stream->parts = mem_realloc(stream->parts,
		    stream->parts_capacity, sizeof(*stream->parts));
	}
	stream->parts[stream->parts_count++] = (struct real_part){ end, at };
	segment->carried = packet->kind;
	segment->dialer = packet->dialer;
	segment->session = key;
	segment->replayed = packet->replayed;
	segment->number = (uint64_t)real_channel_of(packet);
	sim_net_schedule(sim, segment, at + hold);
	sim_packet_unref(segment);
}

/* How much later one looks who waits for more: never long enough to matter to
 * an election, nor to anybody where nothing is to go wrong. */
static raft_usec
draw_hold(struct sim *sim)
{
	raft_usec most = sim->config.raft.election_timeout / 40;

	if (!sim->streams->gathers)
		return 0;
	if (sim->config.calm)
		most = MIN(most, sim->config.delay_mean);
	return rng_below(real_rng(sim), most + 1);
}

/*
 * One to four parts, of which the last is there at `at`, or when what was
 * written before it is. Who gathers looks later, and finds what else has come.
 */
static void
send_parts(struct sim *sim, struct real_connection *connection,
    struct real_stream *stream, const struct sim_packet *packet, uint64_t start,
    raft_usec at)
{
	struct rng *rng = real_rng(sim);
	uint64_t more =
	    sim->streams->cut == REAL_CUT_NOWHERE ? 0 : rng_below(rng, 4);
	raft_usec part_at = MAX(stream->last_at, sim->now);

	at = MAX(at, part_at);
	for (; more > 0 && start + 1 < stream->end; more--) {
		start = sim->streams->cut == REAL_CUT_EVERYWHERE
			    ? start + 1
			    : rng_between(rng, start + 1, stream->end - 1);
		part_at = rng_between(rng, part_at, at);
		add_part(
		    sim, stream, packet, connection->key, start, part_at, 0);
	}
	stream->last_at = at;
	add_part(sim, stream, packet, connection->key, stream->end, at,
	    draw_hold(sim));
}

void
real_stream_write(struct sim *sim, struct sim_packet *packet, raft_usec at)
{
	struct real_connection *connection = real_connection_for(sim, packet);
	struct real_stream *stream;
	uint64_t start;

	if (connection == NULL)
		return;
	stream = real_stream_from(connection, packet->from);
	if (stream->dead) {
		real_hang_up(sim, sim_node_get(sim, packet->from), connection);
		return;
	}
	if (packet->kind == SIM_PACKET_PIECE)
		connection->piece_number = packet->number;
	start = stream->end;
	real_write(sim, connection, packet, &stream->bytes);
	stream->end = stream->start + stream->bytes.size;
	sim_mix(sim,
	    crc32c(0, slice_of(stream->bytes.data + (start - stream->start),
			  stream->end - start)));
	add_record(stream, packet, start);
	maybe_flip(sim, connection, stream);
	send_parts(sim, connection, stream, packet, start, at);
}
