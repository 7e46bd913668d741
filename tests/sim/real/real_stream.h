#ifndef TESTS_SIM_REAL_STREAM_H
#define TESTS_SIM_REAL_STREAM_H

/*
 * Messages as bytes. Each connection is two streams, and each session of the
 * simulated network has connections of its own, so that no byte of an old one
 * ever comes in a new one. What is written to a stream arrives in order, in
 * segments that end anywhere, and bits of it may flip on the way.
 *
 *	real_connection.c connections: their lives and ends
 *	real_stream.c     what is written: segments, damage
 *	real_arrive.c     what arrives, and is read
 *	real_write.c      packets to bytes, by the functions of the product
 *	real_read.c       bytes to heads and bodies, by its parsers
 *	real_take.c       heads and bodies to packets, by its decoders and rules
 *	real_compare.c    what was sent against what came
 *
 * Whatever nothing has flipped must come as it was sent; what a flip has
 * changed must be refused, here as by the daemon or in the node.
 */

#include "common/buf.h"
#include "net/http_parse.h"
#include "net/peer_message.h"
#include "net/peer_proof.h"
#include "net/wire.h"
#include "tests/sim/sim_media.h"
#include "tests/sim/sim_net_impl.h"

#define REAL_SECRET "a secret of at least 32 bytes, as the daemon wants"

/* A connection serves one purpose; by it the same session has several. */
enum real_channel {
	REAL_MESSAGES, /* hellos, proof, messages */
	REAL_PIECES,   /* of snapshots; the hellos of REAL_MESSAGES count */
	REAL_PROBE,
	REAL_AGAIN /* one old message, from nowhere */
};

/* A message that is written and not read yet; offsets in the stream. */
struct real_record {
	uint64_t start;
	uint64_t end;
	struct sim_packet *packet;
	bool flipped;
};

/* All up to `end` is there at `at`. */
struct real_part {
	uint64_t end;
	raft_usec at;
};

struct real_reader {
	struct buf input; /* a head that is not complete */
	struct buf head;
	struct buf body;
	bool in_body;
	bool loses_bytes; /* REAL_DEFECT_SPLIT */
	uint64_t body_left;
	struct http_request_head request; /* they point into `head` */
	struct http_response_head response;
	uint64_t start; /* of the message */
	uint64_t position;
};

struct real_stream {
	bool dead;    /* nobody reads it any more */
	bool shifted; /* a message did not end where it was written to */
	struct buf bytes;
	uint64_t start; /* of `bytes` */
	uint64_t end;
	raft_usec last_at; /* when the last part arrives */
	struct real_record *records;
	size_t records_count;
	size_t records_capacity;
	struct real_part *parts;
	size_t parts_count;
	size_t parts_capacity;
	struct real_reader reader;
};

/* What the dialer's next answer is to. */
enum real_stage { REAL_HELLO, REAL_PROOF, REAL_OPEN };

struct real_connection {
	struct real_connection *next; /* of the same places, newer first */
	raft_id dialer;
	raft_id acceptor;
	uint64_t session; /* of the packets */
	uint64_t key; /* of the segments: the session, or REAL_AGAIN's own */
	bool busy;    /* it is being read */
	enum real_channel channel;
	struct real_stream stream[2]; /* [0] from the dialer */
	/* ---- The dialer's end ---- */
	enum real_stage stage;
	struct buf hello; /* as sent */
	uint8_t proof[PEER_PROOF_SIZE];
	uint64_t piece_number; /* under way */
	/* ---- The acceptor's ---- */
	bool has_hello;
	bool proved; /* the hello */
	bool forged; /* a flip has changed the hello, and nothing refused it */
	struct wire_hello heard;
	struct buf heard_text;
	uint8_t wanted_proof[PEER_PROOF_SIZE];
};

/* What a run may be given to find; see struct sim_options. */
enum real_defect {
	REAL_DEFECT_CRC,   /* the CRC of messages is not looked at */
	REAL_DEFECT_PROOF, /* nor is the proof of hellos */
	REAL_DEFECT_FIELD, /* a member of append requests does not come */
	REAL_DEFECT_SPLIT, /* a byte gets lost where a read ends in a head */
	REAL_DEFECT_EPOCH, /* a connection begins with the rest of an old one */
	REAL_DEFECT_NONE
};

/* How the streams of a run are cut. */
enum real_cut { REAL_CUT_NOWHERE, REAL_CUT_ANYWHERE, REAL_CUT_EVERYWHERE };

struct sim_streams {
	struct real_connection
	    *connections[SIM_NODES_MAX + 1][SIM_NODES_MAX + 1];
	enum real_defect defect;
	struct wire_records records;
	uint64_t body_bytes_max;
	enum real_cut cut;    /* in time */
	enum real_cut feed;   /* what a read returns */
	bool gathers;         /* several messages come together */
	uint32_t flip_ppm;    /* of the messages */
	uint64_t again_count; /* REAL_AGAIN so far */
};

/* A message that is complete. */
struct real_message {
	struct sim_node *node; /* which reads it, within its turn */
	struct real_connection *connection;
	bool is_request;
	const struct real_reader *reader;
	/* What was written at these very places; NULL if a flip has moved them,
	 * so that this is made of other bytes. */
	const struct real_record *record;
	bool tainted; /* it has bytes that a flip may have changed */
};

/* ---- real_connection.c ---- */

extern const struct sim_streams_ops real_streams_ops;

struct rng *real_rng(struct sim *sim);
enum real_channel real_channel_of(const struct sim_packet *packet);
/* The one with this key; NULL: it has been given up. */
struct real_connection *real_connection_find(struct sim *sim,
    const struct sim_packet *packet, enum real_channel channel, uint64_t key);
/* Where the packet is to be written. What begins a connection makes one; NULL:
 * what belongs to one that was given up is lost with it. */
struct real_connection *
real_connection_for(struct sim *sim, const struct sim_packet *packet);
struct real_stream *
real_stream_from(struct real_connection *connection, raft_id from);
/* `to` loses the connection; `surely`: whatever links are cut. */
void real_tell_reset(struct sim *sim, const struct real_connection *connection,
    raft_id from, raft_id to, bool surely, raft_usec at);
/* Ends a connection at both ends: `node` does not take what it reads. */
void real_hang_up(
    struct sim *sim, struct sim_node *node, struct real_connection *connection);

/* ---- real_stream.c, real_arrive.c: see struct sim_streams_ops ---- */

void
real_stream_write(struct sim *sim, struct sim_packet *packet, raft_usec at);
void real_stream_read(
    struct sim *sim, struct sim_node *node, const struct sim_packet *segment);

/* ---- real_write.c ---- */

/* Appends the packet as it goes over the connection. */
void real_write(struct sim *sim, struct real_connection *connection,
    const struct sim_packet *packet, struct buf *to);
/* The body of the request or response that carries a message. */
void real_write_message(const struct sim_packet *packet, struct buf *to);

/* ---- real_read.c ---- */

void real_reader_release(struct real_reader *reader);
/* Takes bytes up to the end of a message, or all of them; ERR_INVALID if they
 * cannot become one. `ret_complete` says which it was. */
int real_reader_take(struct real_reader *reader, bool is_request,
    uint64_t body_bytes_max, struct slice *bytes,
    bool *ret_complete) ATTR_MUST_CHECK;

/* ---- real_take.c ---- */

/* Hands the message on to its node, if it is taken. If not, the connection is
 * to end: ERR_INVALID: no node says this; ERR_MISMATCH: it answers a hello with
 * a flip in it; ERR_AGAIN: not now, for something before it was lost. */
int
real_take(struct sim *sim, const struct real_message *message) ATTR_MUST_CHECK;

/* ---- real_compare.c ---- */

/* NULL if they are equal, or what is not. */
const char *real_compare_messages(const struct sim_packet *sent,
    const struct raft_message *came, const struct slice *records);
const char *real_compare_hellos(
    const struct node_hello *sent, const struct node_hello *came);

#endif
