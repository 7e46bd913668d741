/* What arrives on a stream: reads that end anywhere, and what was written. */

#include "tests/sim/real/real_stream.h"
#include <inttypes.h>

/* Behind so many bytes of one read even the smallest reads get larger. */
#define SINGLE_BYTES_MAX 2000

/* Is there a flip in what was read of the message up to `end`? */
static bool
is_tainted(const struct real_stream *stream, uint64_t end)
{
	for (size_t i = 0; i < stream->records_count; i++) {
		const struct real_record *record = &stream->records[i];

		if (record->start >= end)
			break;
		if (record->flipped)
			return true;
	}
	return stream->shifted;
}

/* Forgets what was written before `end`. */
static void
drop_records(struct real_stream *stream, uint64_t end)
{
	size_t count = 0;

	while (
	    count < stream->records_count && stream->records[count].end <= end)
		sim_packet_unref(stream->records[count++].packet);
	stream->records_count -= count;
	memmove(stream->records, stream->records + count,
	    stream->records_count * sizeof(*stream->records));
}

static const struct real_record *
record_at(const struct real_stream *stream, uint64_t start, uint64_t end)
{
	for (size_t i = 0; i < stream->records_count; i++) {
		const struct real_record *record = &stream->records[i];

		if (record->start == start && record->end == end)
			return record;
	}
	return NULL;
}

/* Ends the connection over what was read of it up to `end`. */
static void
refuse(struct sim *sim, struct sim_node *node,
    struct real_connection *connection, const struct real_stream *stream,
    uint64_t end, int error)
{
	bool tainted = is_tainted(stream, end);

	if (error == ERR_INVALID && !tainted)
		sim_fail(sim,
		    "node %" PRIu64 " refuses what %" PRIu64
		    " has said and nothing has changed",
		    node->id,
		    node->id == connection->dialer ? connection->acceptor
						   : connection->dialer);
	sim_trace(sim, node->id, "ends a connection over %s",
	    tainted                 ? "flipped bits"
	    : error == ERR_MISMATCH ? "a hello of flipped bits"
				    : "a message out of order");
	sim->counters.flips_refused += tainted || error == ERR_MISMATCH;
	real_hang_up(sim, node, connection);
}

/* True if the connection goes on. */
static bool
take(struct sim *sim, struct sim_node *node, struct real_connection *connection,
    struct real_stream *stream)
{
	const struct real_reader *reader = &stream->reader;
	const struct real_message message = {
		.node = node,
		.connection = connection,
		.is_request = stream == &connection->stream[0],
		.reader = reader,
		.record = record_at(stream, reader->start, reader->position),
		.tainted = is_tainted(stream, reader->position),
	};
	uint64_t end = reader->position;
	int error;

	if (message.record == NULL && !message.tainted)
		sim_fail(sim, "node %" PRIu64 " reads what nobody has written",
		    node->id);
	stream->shifted |= message.record == NULL;
	error = real_take(sim, &message);
	if (error != 0)
		refuse(sim, node, connection, stream, end, error);
	drop_records(stream, end);
	return error == 0;
}

/* How much the next read returns. */
static size_t
next_read(struct sim *sim, size_t size, size_t done)
{
	switch (sim->streams->feed) {
	case REAL_CUT_NOWHERE: return size;
	case REAL_CUT_ANYWHERE: return rng_between(real_rng(sim), 1, size);
	case REAL_CUT_EVERYWHERE: break;
	}
	return done < SINGLE_BYTES_MAX ? 1 : size;
}

static void
count_gathered(struct sim *sim)
{
	sim->counters.streams_gathered++;
	sim->counters.streams_gathered_runs = 1;
}

/* What one recv(2) has returned; false: the connection has ended. */
static bool
take_bytes(struct sim *sim, struct sim_node *node,
    struct real_connection *connection, struct real_stream *stream,
    struct slice bytes)
{
	uint64_t count = 0;

	while (bytes.size > 0) {
		bool complete = false;

		if (real_reader_take(&stream->reader,
			stream == &connection->stream[0],
			sim->streams->body_bytes_max, &bytes, &complete) != 0) {
			refuse(sim, node, connection, stream,
			    stream->reader.position + bytes.size, ERR_INVALID);
			return false;
		}
		if (!complete)
			continue;
		if (!take(sim, node, connection, stream) || stream->dead ||
		    sim->failed)
			return false;
		if (++count == 2)
			count_gathered(sim);
	}
	return true;
}

/* The bytes that have arrived by now, and are not read yet. */
static size_t
arrived(const struct sim *sim, struct real_stream *stream)
{
	uint64_t end = stream->start;
	size_t count = 0;

	while (
	    count < stream->parts_count && stream->parts[count].at <= sim->now)
		end = stream->parts[count++].end;
	stream->parts_count -= count;
	memmove(stream->parts, stream->parts + count,
	    stream->parts_count * sizeof(*stream->parts));
	return (size_t)(end - stream->start);
}

static void
read_stream(struct sim *sim, struct sim_node *node,
    struct real_connection *connection, struct real_stream *stream)
{
	size_t size = arrived(sim, stream);
	size_t done = 0;

	while (done < size) {
		size_t next = next_read(sim, size - done, done);

		if (!take_bytes(sim, node, connection, stream,
			slice_of(stream->bytes.data + done, next)))
			return;
		done += next;
	}
	buf_drain(&stream->bytes, size);
	stream->start += size;
	if (size > 0 && (stream->reader.in_body || stream->reader.input.size))
		sim->counters.streams_split++;
}

void
real_stream_read(
    struct sim *sim, struct sim_node *node, const struct sim_packet *segment)
{
	struct real_connection *connection = real_connection_find(
	    sim, segment, (enum real_channel)segment->number, segment->session);
	struct real_stream *stream;

	if (connection == NULL)
		return;
	stream = real_stream_from(connection, segment->from);
	if (stream->dead) {
		sim->counters.streams_broken++;
		real_hang_up(sim, node, connection);
		return;
	}
	connection->busy = true;
	read_stream(sim, node, connection, stream);
	connection->busy = false;
}
