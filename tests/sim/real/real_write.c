/* Packets to bytes. */

#include "common/hash.h"
#include "common/mem.h"
#include "common/panic.h"
#include "common/text.h"
#include "net/http_write.h"
#include "tests/sim/real/real_stream.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* When the simulation begins, for the field Date: in 2026. */
#define WALL_US UINT64_C(1780000000000000)

static void
write_request(const struct real_connection *connection, const char *path,
    struct slice fields, struct slice body, struct buf *to)
{
	char host[NODE_ADDRESS_SIZE_MAX + 1];

	snprintf(host, sizeof(host), "192.0.2.%" PRIu64 ":5864",
	    connection->acceptor);
	http_write_request_head(to, HTTP_POST, slice_from_text(path),
	    slice_from_text(host), fields, body.size);
	buf_append_slice(to, body);
}

/* As http_reply_begin() and http_reply_end() do; a field more, or none. */
static void
write_response(const struct sim *sim, const char *type, const char *name,
    struct slice value, struct slice body, struct buf *to)
{
	http_write_status(to, type == NULL ? 204 : 200);
	http_write_date(to, WALL_US + sim->now);
	if (type != NULL)
		http_write_field(to, "Content-Type", slice_from_text(type));
	if (name != NULL)
		http_write_field(to, name, value);
	if (type != NULL)
		http_write_field_u64(to, "Content-Length", body.size);
	buf_append(to, "\r\n", 2);
	buf_append_slice(to, body);
}

/* ---- Hellos ---- */

/* The dialer's says, and the answer repeats. The simulation has one connection
 * for all messages, so it may be for either kind. */
static enum wire_purpose
purpose_of(
    const struct real_connection *connection, const struct sim_packet *packet)
{
	if (packet->kind == SIM_PACKET_PROBE)
		return WIRE_PROBE;
	if (packet->kind != SIM_PACKET_HELLO)
		return connection->heard.purpose;
	return connection->session % 2 == 0 ? WIRE_APPEND : WIRE_BULK;
}

/* As peer_dial.c and peer_server.c make it, but for the nonce. */
static void
write_hello_text(struct sim *sim, const struct real_connection *connection,
    const struct sim_packet *packet, struct buf *to)
{
	struct wire_hello hello = {
		.purpose = purpose_of(connection, packet),
		.node = *packet->hello,
	};

	for (size_t i = 0; i < sizeof(hello.nonce); i++)
		hello.nonce[i] = (uint8_t)rng_next(real_rng(sim));
	wire_append_hello(to, &hello);
}

static void
write_hello(struct sim *sim, struct real_connection *connection,
    const struct sim_packet *packet, struct buf *to)
{
	buf_reset(&connection->hello);
	write_hello_text(sim, connection, packet, &connection->hello);
	write_request(connection, PEER_HELLO_PATH,
	    slice_from_text(PEER_HELLO_FIELDS), buf_slice(&connection->hello),
	    to);
}

static void
write_welcome(struct sim *sim, struct real_connection *connection,
    const struct sim_packet *packet, struct buf *to)
{
	struct slice secret = slice_from_text(REAL_SECRET);
	struct slice theirs = buf_slice(&connection->heard_text);
	uint8_t proof[PEER_PROOF_SIZE];
	struct buf ours = { 0 };
	struct buf proof_text = { 0 };

	write_hello_text(sim, connection, packet, &ours);
	peer_proof_make(secret, PEER_SIDE_CLIENT, theirs, buf_slice(&ours),
	    connection->wanted_proof);
	peer_proof_make(
	    secret, PEER_SIDE_SERVER, theirs, buf_slice(&ours), proof);
	text_append_hex(&proof_text, slice_of(proof, sizeof(proof)));
	write_response(sim, PEER_MESSAGE_TYPE, PEER_PROOF_HEADER,
	    buf_slice(&proof_text), buf_slice(&ours), to);
	buf_release(&ours);
	buf_release(&proof_text);
}

static void
write_proof(const struct real_connection *connection, struct buf *to)
{
	struct buf fields = { 0 };
	struct buf proof_text = { 0 };

	text_append_hex(&proof_text,
	    slice_of(connection->proof, sizeof(connection->proof)));
	http_write_field(&fields, PEER_PROOF_HEADER, buf_slice(&proof_text));
	write_request(connection, PEER_PROOF_PATH, buf_slice(&fields),
	    slice_of(NULL, 0), to);
	buf_release(&fields);
	buf_release(&proof_text);
}

/* ---- Messages ---- */

void
real_write_message(const struct sim_packet *packet, struct buf *to)
{
	uint32_t count = packet->message.entries_count;
	struct node_entry *entry = mem_zalloc(count + 1, sizeof(*entry));
	struct node_entry **entries = mem_zalloc(count + 1, sizeof(*entries));

	for (uint32_t i = 0; i < count; i++) {
		entry[i].record = packet->records[i];
		entries[i] = &entry[i];
	}
	wire_append_message(to, &packet->message, entries);
	for (uint32_t i = 0; i < count; i++)
		free(entry[i].wire_text);
	free(entries);
	free(entry);
}

static void
write_message(struct sim *sim, const struct real_connection *connection,
    const struct sim_packet *packet, struct buf *to)
{
	char fields[PEER_MESSAGE_FIELDS_SIZE];
	char crc[PEER_CRC_TEXT_SIZE];
	struct buf text = { 0 };
	struct slice body;

	real_write_message(packet, &text);
	body = buf_slice(&text);
	if (packet->from == connection->dialer) {
		write_request(connection,
		    peer_message_path(packet->message.kind),
		    peer_message_fields(body, fields), body, to);
	} else {
		peer_crc_text(crc32c(0, body), crc);
		write_response(sim, PEER_MESSAGE_TYPE, PEER_CRC_HEADER,
		    slice_from_text(crc), body, to);
	}
	buf_release(&text);
}

void
real_write(struct sim *sim, struct real_connection *connection,
    const struct sim_packet *packet, struct buf *to)
{
	struct slice bytes = slice_of(packet->bytes, packet->bytes_size);
	struct slice nothing = slice_of(NULL, 0);

	switch (packet->kind) {
	case SIM_PACKET_HELLO:
	case SIM_PACKET_PROBE: write_hello(sim, connection, packet, to); break;
	case SIM_PACKET_WELCOME:
	case SIM_PACKET_PROBED:
		write_welcome(sim, connection, packet, to);
		break;
	case SIM_PACKET_PROOF: write_proof(connection, to); break;
	case SIM_PACKET_ACCEPTED:
		write_response(sim, NULL, NULL, nothing, nothing, to);
		break;
	case SIM_PACKET_MESSAGE:
		write_message(sim, connection, packet, to);
		break;
	case SIM_PACKET_PIECE:
		write_request(connection, PEER_SNAPSHOT_PATH,
		    slice_from_text(PEER_PIECE_FIELDS), bytes, to);
		break;
	case SIM_PACKET_PIECE_ANSWER:
		write_response(sim, PEER_PIECE_TYPE, NULL, nothing, bytes, to);
		break;
	case SIM_PACKET_RESET:
	case SIM_PACKET_REFUSAL:
	case SIM_PACKET_SEGMENT: ASSERT(!"it has no content");
	}
}
