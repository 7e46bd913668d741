/*
 * Heads and bodies to packets, in the order and by the rules of peer_server.c,
 * peer_dial.c and peer_link.c, with the decoders that they use.
 */

#include "common/err.h"
#include "common/hash.h"
#include "common/text.h"
#include "node/node_snapshot.h"
#include "tests/sim/real/real_stream.h"
#include <inttypes.h>

static struct slice
body_of(const struct real_message *message)
{
	return buf_slice(&message->reader->body);
}

static struct slice
field_of(const struct real_message *message, const char *name)
{
	return http_header_get(message->is_request
				   ? &message->reader->request.headers
				   : &message->reader->response.headers,
	    name);
}

static struct sim_packet *
packet_new(const struct real_message *message, enum sim_packet_kind kind)
{
	const struct real_connection *connection = message->connection;
	struct sim_packet *packet = sim_packet_new(kind,
	    message->is_request ? connection->dialer : connection->acceptor,
	    message->is_request ? connection->acceptor : connection->dialer);

	return packet;
}

/* Takes `packet`. */
static void
hand_on(struct sim *sim, const struct real_message *message,
    struct sim_packet *packet)
{
	const struct real_connection *connection = message->connection;
	const struct real_record *record = message->record;

	packet->dialer = connection->dialer;
	packet->session = connection->session;
	packet->replayed = connection->channel == REAL_AGAIN;
	packet->damaged |= record != NULL && record->packet->damaged;
	packet->number =
	    record != NULL ? record->packet->number : connection->piece_number;
	sim_net_take(sim, message->node, packet);
	sim_packet_unref(packet);
}

/*
 * What was read as `kind` is not what was sent: `difference`, or NULL. That may
 * be so only of what was flipped, and only if `refused_later`, by somebody who
 * finds out. Returns whether it is so.
 */
static bool
is_changed(struct sim *sim, const struct real_message *message,
    enum sim_packet_kind kind, const char *difference, bool refused_later)
{
	const struct real_record *record = message->record;

	if (record == NULL)
		difference = "its place";
	else if (record->packet->kind != kind)
		difference = "its kind";
	sim->counters.flips_harmless += message->tainted && difference == NULL;
	if (difference != NULL && !(message->tainted && refused_later))
		sim_fail(sim,
		    "node %" PRIu64 " takes what was %s: %s is not as sent",
		    message->node->id,
		    message->tainted ? "flipped" : "not flipped", difference);
	return difference != NULL;
}

/* What was read and is written again gives the same bytes. */
static void
check_again(struct sim *sim, const struct real_message *message,
    const struct buf *again)
{
	if (!slice_equal(buf_slice(again), body_of(message)))
		sim_fail(sim,
		    "what node %" PRIu64
		    " reads is not the same when it is written again",
		    message->node->id);
}

/* ---- Hellos ---- */

static int
decode_hello(struct sim *sim, const struct real_message *message,
    struct wire_hello *ret_hello)
{
	struct buf again = { 0 };
	int error = wire_decode_hello(body_of(message), ret_hello);

	if (error != 0)
		return ERR_INVALID;
	sim->counters.streams_hellos++;
	wire_append_hello(&again, ret_hello);
	if (!message->tainted)
		check_again(sim, message, &again);
	buf_release(&again);
	return 0;
}

static const char *
compare_hello(
    const struct real_message *message, const struct wire_hello *hello)
{
	const struct real_record *record = message->record;
	struct slice sent = buf_slice(&message->connection->hello);
	const char *difference;

	if (record == NULL || record->packet->hello == NULL)
		return "its kind";
	difference = real_compare_hellos(record->packet->hello, &hello->node);
	if (difference == NULL && message->is_request &&
	    !slice_equal(body_of(message), sent))
		difference = "the nonce";
	return difference;
}

/* That bits of a hello have flipped is found out when it is to be proved. */
static int
take_hello(struct sim *sim, const struct real_message *message)
{
	struct real_connection *connection = message->connection;
	bool probes = connection->channel == REAL_PROBE;
	enum sim_packet_kind kind =
	    probes ? SIM_PACKET_PROBE : SIM_PACKET_HELLO;
	struct wire_hello hello;
	struct sim_packet *packet;

	if (connection->has_hello || decode_hello(sim, message, &hello) != 0 ||
	    (hello.purpose == WIRE_PROBE) !=
		(hello.node.stage == NODE_HELLO_PROBE) ||
	    hello.node.from == 0)
		return ERR_INVALID;
	connection->has_hello = true;
	connection->heard = hello;
	buf_reset(&connection->heard_text);
	buf_append_slice(&connection->heard_text, body_of(message));
	connection->forged = is_changed(
	    sim, message, kind, compare_hello(message, &hello), true);
	sim->counters.flips_of_hellos += connection->forged;
	/* A probe is answered, too, but heard only with its proof, which the
	 * simulated network does not have. */
	if (probes && connection->forged)
		return 0;
	packet = packet_new(message, kind);
	*packet->hello = hello.node;
	hand_on(sim, message, packet);
	return 0;
}

static int
take_proof(struct sim *sim, const struct real_message *message)
{
	struct real_connection *connection = message->connection;
	uint8_t proof[PEER_PROOF_SIZE];
	struct sim_packet *packet;

	if (!connection->has_hello || connection->proved ||
	    text_parse_hex(field_of(message, PEER_PROOF_HEADER), proof,
		sizeof(proof)) != 0 ||
	    !(peer_proof_equal(proof, connection->wanted_proof) ||
		sim->streams->defect == REAL_DEFECT_PROOF))
		return ERR_INVALID;
	(void)is_changed(sim, message, SIM_PACKET_PROOF,
	    connection->forged ? "the hello" : NULL, false);
	connection->proved = true;
	packet = packet_new(message, SIM_PACKET_PROOF);
	*packet->hello = connection->heard.node;
	hand_on(sim, message, packet);
	return 0;
}

static int
check_welcome(struct real_connection *connection,
    const struct real_message *message, enum real_defect defect)
{
	struct slice secret = slice_from_text(REAL_SECRET);
	uint8_t proof[PEER_PROOF_SIZE];
	uint8_t right[PEER_PROOF_SIZE];

	if (text_parse_hex(field_of(message, PEER_PROOF_HEADER), proof,
		sizeof(proof)) != 0)
		return ERR_INVALID;
	peer_proof_make(secret, PEER_SIDE_SERVER, buf_slice(&connection->hello),
	    body_of(message), right);
	if (!peer_proof_equal(proof, right) && defect != REAL_DEFECT_PROOF)
		return ERR_DENIED;
	peer_proof_make(secret, PEER_SIDE_CLIENT, buf_slice(&connection->hello),
	    body_of(message), connection->proof);
	return 0;
}

static int
take_welcome(struct sim *sim, const struct real_message *message)
{
	struct real_connection *connection = message->connection;
	enum sim_packet_kind kind = connection->channel == REAL_PROBE
					? SIM_PACKET_PROBED
					: SIM_PACKET_WELCOME;
	struct wire_hello hello;
	struct sim_packet *packet;
	int error;

	if (message->reader->response.status != 200)
		return ERR_INVALID;
	error = check_welcome(connection, message, sim->streams->defect);
	/* The acceptor has answered a hello that it read otherwise. */
	if (error == ERR_DENIED && connection->forged)
		return ERR_MISMATCH;
	if (error != 0 || decode_hello(sim, message, &hello) != 0)
		return ERR_INVALID;
	(void)is_changed(
	    sim, message, kind, compare_hello(message, &hello), false);
	connection->stage = REAL_PROOF;
	packet = packet_new(message, kind);
	*packet->hello = hello.node;
	hand_on(sim, message, packet);
	return 0;
}

static int
take_accepted(struct sim *sim, const struct real_message *message)
{
	/* Behind an answer that was lost there are messages. */
	if (message->reader->response.status != 204)
		return message->tainted ? ERR_INVALID : ERR_AGAIN;
	(void)is_changed(sim, message, SIM_PACKET_ACCEPTED, NULL, false);
	message->connection->stage = REAL_OPEN;
	hand_on(sim, message, packet_new(message, SIM_PACKET_ACCEPTED));
	return 0;
}

/* ---- Messages ---- */

/* Of its connection, as the daemon wants it; an old one has no hello. */
static bool
is_from_session(
    const struct real_message *message, const struct raft_message *raft)
{
	const struct wire_hello *hello = &message->connection->heard;

	if (!message->is_request || message->connection->channel == REAL_AGAIN)
		return true;
	return message->connection->proved && raft->from == hello->node.from &&
	       raft->to == hello->node.to &&
	       raft->boot_id == hello->node.boot_id;
}

/* A request's path says what it is. */
static bool
is_of_path(const struct real_message *message, const struct raft_message *raft)
{
	bool responds = raft->kind == RAFT_PREVOTE_RESPONSE ||
			raft->kind == RAFT_VOTE_RESPONSE ||
			raft->kind == RAFT_APPEND_RESPONSE ||
			raft->kind == RAFT_READ_RESPONSE;

	if (!message->is_request || responds)
		return !message->is_request && responds;
	return slice_equal(message->reader->request.path,
	    slice_from_text(peer_message_path(raft->kind)));
}

static void
hand_on_message(struct sim *sim, const struct real_message *message,
    const struct raft_message *raft)
{
	struct sim_packet *packet = packet_new(message, SIM_PACKET_MESSAGE);
	struct buf again = { 0 };

	sim_packet_fill(packet, raft, sim->streams->records.record);
	real_write_message(packet, &again);
	check_again(sim, message, &again);
	buf_release(&again);
	hand_on(sim, message, packet);
}

static int
take_message(struct sim *sim, const struct real_message *message)
{
	const struct real_record *record = message->record;
	struct wire_records *records = &sim->streams->records;
	struct raft_message raft;
	const char *difference = NULL;

	if (sim->streams->defect != REAL_DEFECT_CRC &&
	    !peer_crc_is_right(field_of(message, PEER_CRC_HEADER),
		crc32c(0, body_of(message)))) {
		sim->counters.flips_refused_by_crc++;
		return ERR_INVALID;
	}
	if (wire_decode_message(body_of(message), records, &raft) != 0 ||
	    !is_of_path(message, &raft) || !is_from_session(message, &raft))
		return ERR_INVALID;
	if (sim->streams->defect == REAL_DEFECT_FIELD)
		raft.commit_index = 0;
	sim->counters.streams_messages++;
	if (record != NULL && record->packet->kind == SIM_PACKET_MESSAGE)
		difference = real_compare_messages(
		    record->packet, &raft, records->record);
	if (is_changed(sim, message, SIM_PACKET_MESSAGE, difference, false))
		return ERR_INVALID;
	hand_on_message(sim, message, &raft);
	return 0;
}

/* ---- Pieces of a snapshot, of which the nodes check the sums ---- */

static int
take_piece(struct sim *sim, const struct real_message *message,
    enum sim_packet_kind kind)
{
	const struct real_record *record = message->record;
	struct slice bytes = body_of(message);
	struct sim_packet *packet;
	struct node_answer answer;
	bool equal = record != NULL &&
		     slice_equal(bytes, slice_of(record->packet->bytes,
					    record->packet->bytes_size));
	bool changed =
	    is_changed(sim, message, kind, equal ? NULL : "its body", true);

	if (changed && kind == SIM_PACKET_PIECE_ANSWER &&
	    node_answer_decode(bytes, &answer) == 0)
		sim_fail(sim,
		    "node %" PRIu64 " takes a flipped answer to a piece",
		    message->node->id);
	sim->counters.streams_pieces++;
	sim->counters.flips_of_pieces += changed;
	packet = sim_packet_piece(kind,
	    message->is_request ? message->connection->dialer
				: message->connection->acceptor,
	    message->node->id, bytes);
	packet->damaged = changed;
	hand_on(sim, message, packet);
	return 0;
}

/* ---- By path and by turn ---- */

static int
take_request(struct sim *sim, const struct real_message *message)
{
	const struct http_request_head *head = &message->reader->request;
	enum real_channel channel = message->connection->channel;

	if (head->method != HTTP_POST)
		return ERR_INVALID;
	if (slice_equal(head->path, slice_from_text(PEER_HELLO_PATH)))
		return take_hello(sim, message);
	if (slice_equal(head->path, slice_from_text(PEER_PROOF_PATH)))
		return take_proof(sim, message);
	if (channel == REAL_PIECES &&
	    slice_equal(head->path, slice_from_text(PEER_SNAPSHOT_PATH)))
		return take_piece(sim, message, SIM_PACKET_PIECE);
	if (channel == REAL_PIECES || channel == REAL_PROBE)
		return ERR_INVALID;
	return take_message(sim, message);
}

static int
take_response(struct sim *sim, const struct real_message *message)
{
	const struct real_connection *connection = message->connection;
	bool good = message->reader->response.status == 200;

	switch (connection->channel) {
	case REAL_PROBE: return take_welcome(sim, message);
	case REAL_PIECES:
		return good ? take_piece(sim, message, SIM_PACKET_PIECE_ANSWER)
			    : ERR_INVALID;
	case REAL_AGAIN: return take_message(sim, message);
	case REAL_MESSAGES: break;
	}
	switch (connection->stage) {
	case REAL_HELLO: return take_welcome(sim, message);
	case REAL_PROOF: return take_accepted(sim, message);
	case REAL_OPEN: break;
	}
	return good ? take_message(sim, message) : ERR_INVALID;
}

int
real_take(struct sim *sim, const struct real_message *message)
{
	return message->is_request ? take_request(sim, message)
				   : take_response(sim, message);
}
