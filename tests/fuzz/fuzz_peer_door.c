/*
 * The door for peers, of a server with real peers and a node that notes what
 * it is told. The input is a list of what a stranger says on one connection:
 * hellos, proofs, messages and pieces of snapshots, good ones, damaged ones and
 * any bytes. Who does not prove the secret is heard by nobody; and who does is
 * heard only as who he said he is.
 */

#include "common/codec.h"
#include "common/hash.h"
#include "common/macros.h"
#include "common/panic.h"
#include "common/text.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/peer_net.h"

#include <stdio.h>
#include <stdlib.h>

#define SAYINGS_MAX  20
#define INPUT_MAX    2000
#define WAIT_PASSES  3
#define FROM         2
#define TO           1
#define STRANGE_BOOT 77 /* as stranger_hello says it */

static const char *const paths[] = { "/raft/append", "/raft/vote",
	"/raft/prevote", "/raft/read", "/raft/timeout-now", "/raft/snapshot",
	"/raft/hello", "/raft/proof", "/raft/nope", "/raft/" };

static struct peer_net net;
static struct side *side;

struct visit {
	struct stranger stranger;
	bool proved;
	bool is_waiting; /* for the answer to a message that was taken */
};

static void
set_up(void)
{
	if (side != NULL)
		return;
	peer_net_init(&net, 3);
	peer_net_listen(&net, TO);
	side = peer_net_side(&net, TO);
}

static bool
is_expected(unsigned status)
{
	return status == 0 || status == 200 || status == 204 ||
	       (status >= 400 && status < 432) || status == 503;
}

/* A message that was taken is answered when its time is over, with 204: nobody
 * sends an answer here. So that is not waited for. */
static void
post(struct visit *visit, const char *path, const char *headers,
    struct slice body)
{
	struct stranger *stranger = &visit->stranger;
	unsigned before = stranger->replies_count;
	unsigned received = side->received_count;

	stranger_send(stranger, path, headers, body);
	for (unsigned i = 0; i < WAIT_PASSES && !stranger->closed &&
			     stranger->replies_count == before &&
			     side->received_count == received;
	     i++)
		peer_net_pass(&net);
	for (unsigned i = before; i < stranger->replies_count; i++)
		ASSERT(is_expected(stranger->status[i]));
	visit->is_waiting = side->received_count != received;
}

static const char *
take_path(struct slice *input)
{
	return paths[fuzz_take_below(input, ARRAY_COUNT(paths))];
}

static struct slice
take_body(struct slice *input)
{
	return fuzz_take(input, fuzz_take_u16(input) % INPUT_MAX);
}

/* ---- Hellos and proofs ---- */

static void
say_hello(struct visit *visit, struct slice *input)
{
	static const enum wire_purpose purposes[] = { WIRE_APPEND, WIRE_BULK,
		WIRE_SNAPSHOT, WIRE_FORWARD, WIRE_PROBE };

	(void)stranger_hello(&visit->stranger, FROM, TO,
	    purposes[fuzz_take_below(input, ARRAY_COUNT(purposes))]);
}

/* The last one once more, but for a few bytes. */
static void
say_damaged_hello(struct visit *visit, struct slice *input)
{
	struct buf *hello = &visit->stranger.hello;
	unsigned changes = 1 + fuzz_take_below(input, 3);

	if (hello->size == 0)
		buf_append_slice(hello, take_body(input));
	while (changes-- > 0)
		(void)fuzz_damage(input, hello);
	post(visit, "/raft/hello", "", buf_slice(hello));
}

/* Bytes that may stand in a field; the rest is left out. */
static void
say_any_proof(struct visit *visit, struct slice *input)
{
	struct slice bytes = fuzz_take(input, fuzz_take_u8(input));
	struct buf headers = { 0 };

	buf_append_text(&headers, "Luminous-Proof: a");
	for (size_t i = 0; i < bytes.size; i++) {
		if (bytes.data[i] >= 0x20 && bytes.data[i] < 0x7f)
			buf_append(&headers, &bytes.data[i], 1);
	}
	buf_append(&headers, "\r\n", 3);
	post(visit, "/raft/proof", (const char *)headers.data,
	    slice_from_text(""));
	buf_release(&headers);
}

/* The right proof, but for the secret; or, one bit besides. */
static void
say_wrong_proof(struct visit *visit)
{
	/* Else the next answer is that of the message. */
	if (visit->stranger.hello.size != 0 && !visit->is_waiting)
		ASSERT(stranger_prove(&visit->stranger, "another secret...") !=
		       204);
}

static void
prove(struct visit *visit)
{
	if (visit->stranger.hello.size != 0 && !visit->is_waiting &&
	    stranger_prove(&visit->stranger, side->secret) == 204)
		visit->proved = true;
}

/* ---- Messages ---- */

static void
say_message(struct visit *visit, struct slice *input, uint32_t damage)
{
	struct slice body = take_body(input);
	char headers[64];

	(void)snprintf(headers, sizeof(headers), "Luminous-Crc32c: %08x\r\n",
	    crc32c(0, body) ^ damage);
	post(visit, take_path(input), headers, body);
}

static void
say_bytes(struct visit *visit, struct slice *input)
{
	struct slice body = take_body(input);

	post(visit, take_path(input), "", body);
}

/* One that could be of this connection. */
static void
say_good_message(struct visit *visit, struct slice *input)
{
	struct raft_message message = {
		.kind = RAFT_VOTE_REQUEST,
		.from = fuzz_take_below(input, 4),
		.to = fuzz_take_below(input, 4),
		.boot_id = STRANGE_BOOT + fuzz_take_below(input, 2),
		.term = fuzz_take_u64(input) % RAFT_NUMBER_MAX,
		.sequence = fuzz_take_u64(input) % RAFT_NUMBER_MAX,
		.last_index = fuzz_take_u8(input),
		.last_term = fuzz_take_u8(input),
	};
	struct buf text = { 0 };
	char headers[64];

	wire_append_message(&text, &message, NULL);
	(void)snprintf(headers, sizeof(headers), "Luminous-Crc32c: %08x\r\n",
	    crc32c(0, buf_slice(&text)));
	post(visit, take_path(input), headers, buf_slice(&text));
	buf_release(&text);
}

static void
say(struct visit *visit, struct slice *input, bool knows)
{
	unsigned what = fuzz_take_u8(input) % 16;

	switch (what) {
	case 0:
	case 1: say_hello(visit, input); break;
	case 2: say_damaged_hello(visit, input); break;
	case 3: say_any_proof(visit, input); break;
	case 4: say_wrong_proof(visit); break;
	case 5:
	case 6:
		if (knows)
			prove(visit);
		break;
	case 7: say_message(visit, input, 1); break;
	case 8: say_bytes(visit, input); break;
	case 9:
	case 10:
	case 11: say_message(visit, input, 0); break;
	default: say_good_message(visit, input); break;
	}
}

/* ---- What the node was told ---- */

static void
check_told(const struct visit *visit)
{
	if (!visit->proved) {
		ASSERT(side->received_count == 0);
		ASSERT(side->pieces_count == 0);
		ASSERT(side->heard_count == 0);
		return;
	}
	for (unsigned i = 0; i < side->received_count; i++) {
		ASSERT(side->received[i].from == side->heard.from);
		ASSERT(side->received[i].to == TO);
		ASSERT(side->received[i].boot_id == side->heard.boot_id);
	}
	if (side->pieces_count > 0)
		ASSERT(side->piece_from == side->heard.from);
}

static void
forget(void)
{
	side->received_count = 0;
	side->pieces_count = 0;
	side->heard_count = 0;
}

void
fuzz_peer_door(struct slice input)
{
	bool knows = fuzz_take_u8(&input) % 2 == 1;
	struct visit visit = { .proved = false };

	set_up();
	forget();
	stranger_init(&visit.stranger, &net, TO);
	for (unsigned i = 0;
	     i < SAYINGS_MAX && input.size > 0 && !visit.stranger.closed; i++)
		say(&visit, &input, knows);
	check_told(&visit);
	stranger_release(&visit.stranger);
	peer_net_pass(&net);
	peer_net_pass(&net);
}
