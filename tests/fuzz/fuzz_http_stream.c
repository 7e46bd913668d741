/*
 * A client's bytes at a real server: sent at once, byte by byte and in pieces
 * of any size, they are the same requests with the same bodies, and refused at
 * the same place; and behind what was refused nothing is read. Whoever gets a
 * second meaning out of the same bytes can smuggle requests.
 */

#include "common/macros.h"
#include "common/panic.h"
#include "common/rng.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/http_probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define INPUT_SIZE_MAX 500
#define WHOLE          SIZE_MAX
#define TURNS_MAX      2000

static struct probe probe;
static bool started;
static size_t parts_before; /* bytes, before the body that comes in parts */

/* A body in parts is answered behind its last: else it depends on when it comes
 * whether the connection ends before. */
static void
on_request(struct probe *of, struct http_request *request)
{
	static const char prefix[] = "/parts";

	of->hold =
	    (request->method == HTTP_PUT || request->method == HTTP_POST) &&
	    request->path.size >= sizeof(prefix) - 1 &&
	    memcmp(request->path.data, prefix, sizeof(prefix) - 1) == 0;
	parts_before = of->parts.size;
}

static void
on_part(struct probe *of, struct http_request *request, bool last)
{
	(void)request;
	if (!last)
		return;
	buf_printf(&of->events, "%zu bytes\n", of->parts.size - parts_before);
	of->hold = false;
}

static void
set_up(void)
{
	struct http_server_params params = probe_params;

	if (started)
		return;
	/* Small, so that a fuzzer gets to them. */
	params.target_bytes_max = 200;
	params.head_bytes_max = 600;
	probe_start(&probe, &params);
	probe.on_request = on_request;
	probe.on_part = on_part;
	/* What such a body is cut into is no business of anybody's. */
	probe.quiet_parts = true;
	started = true;
}

/* True when the server has hung up. */
static bool
turn(int fd, struct buf *answers)
{
	probe_turn(&probe);
	return !probe_receive(fd, answers);
}

static bool
send_piece(int fd, struct slice piece)
{
	return send(fd, piece.data, piece.size, MSG_NOSIGNAL) ==
	       (ssize_t)piece.size;
}

/* Turns until the server has closed, as it does behind a client's end. */
static void
end(int fd, struct buf *answers)
{
	unsigned turns = 0;

	(void)shutdown(fd, SHUT_WR);
	while (!turn(fd, answers))
		ASSERT(turns++ < TURNS_MAX);
	close(fd);
	while (http_server_connections(probe.server) > 0) {
		probe_turn(&probe);
		ASSERT(turns++ < TURNS_MAX);
	}
}

/* What the server made of it. */
struct meaning {
	struct buf events;
	struct buf parts; /* of bodies that come so, one behind the other */
	bool refused;     /* at the end */
};

static void
say(struct slice input, size_t step_max, struct meaning *ret_meaning)
{
	struct buf answers = { 0 };
	int fd = probe_connect(&probe);
	struct rng rng;

	rng_init(&rng, input.size);
	buf_reset(&probe.events);
	buf_reset(&probe.parts);
	probe.refused = 0;
	while (input.size > 0) {
		size_t size = step_max == WHOLE
				  ? WHOLE
				  : (size_t)rng_between(&rng, 1, step_max);

		if (!send_piece(fd, fuzz_take(&input, size)) ||
		    turn(fd, &answers))
			break;
	}
	end(fd, &answers);
	/* Nothing is read behind what was refused. */
	ASSERT(probe.refused == 0 ||
	       (probe.refused == 1 && probe.refused_at == probe.events.size &&
		   probe.refused_parts == probe.parts_count));
	*ret_meaning = (struct meaning){ .refused = probe.refused > 0 };
	buf_append_slice(&ret_meaning->events, buf_slice(&probe.events));
	buf_append_slice(&ret_meaning->parts, buf_slice(&probe.parts));
	buf_release(&answers);
}

/* Before a body is refused, more or less of what was good of it may have been
 * handed over. */
static void
check_same(const struct meaning *a, const struct meaning *b)
{
	struct slice parts_a = buf_slice(&a->parts);
	struct slice parts_b = buf_slice(&b->parts);

	if (!slice_equal(buf_slice(&a->events), buf_slice(&b->events)))
		fprintf(stderr, "whole:\n%.*sin pieces:\n%.*s",
		    (int)a->events.size, (const char *)a->events.data,
		    (int)b->events.size, (const char *)b->events.data);
	ASSERT(slice_equal(buf_slice(&a->events), buf_slice(&b->events)));
	if (a->refused) {
		size_t size = MIN(parts_a.size, parts_b.size);

		parts_a.size = size;
		parts_b.size = size;
	}
	ASSERT(slice_equal(parts_a, parts_b));
}

void
fuzz_http_stream(struct slice input)
{
	static const size_t steps[] = { 1, 7, 100 };
	struct meaning whole;

	if (input.size == 0 || input.size > INPUT_SIZE_MAX)
		return;
	set_up();
	say(input, WHOLE, &whole);
	for (size_t i = 0; i < ARRAY_COUNT(steps); i++) {
		struct meaning cut;

		say(input, steps[i], &cut);
		check_same(&whole, &cut);
		buf_release(&cut.events);
		buf_release(&cut.parts);
	}
	buf_release(&whole.events);
	buf_release(&whole.parts);
}
