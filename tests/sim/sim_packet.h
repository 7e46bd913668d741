#ifndef TESTS_SIM_PACKET_H
#define TESTS_SIM_PACKET_H

/* What travels between nodes: never changed once it is on its way. */

#include "node/transport.h"

enum sim_packet_kind {
	SIM_PACKET_HELLO,    /* the dialer's */
	SIM_PACKET_WELCOME,  /* the other side's hello */
	SIM_PACKET_PROOF,    /* the dialer's hello again: now it counts */
	SIM_PACKET_ACCEPTED, /* the connection may be used */
	SIM_PACKET_RESET,    /* the connection is no more */
	SIM_PACKET_REFUSAL,  /* nobody listens there */
	SIM_PACKET_PROBE,    /* of a member: who is there? */
	SIM_PACKET_PROBED,   /* the hello of whoever is */
	SIM_PACKET_MESSAGE,
	SIM_PACKET_PIECE,        /* of a snapshot */
	SIM_PACKET_PIECE_ANSWER, /* to the piece of this number */
	/* Only if messages are bytes: some have arrived, see sim_media.h. */
	SIM_PACKET_SEGMENT
};

/* What a link may let pass while it loses the rest. */
enum sim_packet_class {
	SIM_CLASS_OTHER, /* of the connection itself, and what is asked there */
	SIM_CLASS_PREVOTES,
	SIM_CLASS_VOTES,
	SIM_CLASS_HEARTBEATS,
	SIM_CLASS_ENTRIES,
	SIM_CLASS_APPEND_ANSWERS,
	SIM_CLASS_READS,
	SIM_CLASS_TIMEOUT_NOW,
	SIM_CLASS_SNAPSHOTS,
	SIM_CLASSES_COUNT
};

struct sim_packet {
	unsigned references;
	enum sim_packet_kind kind;
	enum sim_packet_kind carried; /* a segment's: what it is a part of */
	raft_id from;
	raft_id to;
	raft_id dialer; /* of the connection; one of the two */
	uint64_t session;
	bool replayed;
	bool damaged;
	uint64_t number;          /* of a piece, of a probe, of a segment */
	struct node_hello *hello; /* of those that carry one */
	struct raft_message message;
	struct slice *records; /* of the message's entries */
	uint8_t *bytes;        /* they point in here; or the piece */
	size_t bytes_size;
};

/* With one reference, as all that come new. */
struct sim_packet *
sim_packet_new(enum sim_packet_kind kind, raft_id from, raft_id to);
/* A deep copy of a message with the records of its entries. */
struct sim_packet *sim_packet_message(raft_id from,
    const struct raft_message *message, struct node_entry *const *entries);
/* Makes a MESSAGE of `message` with its records, all copied. */
void sim_packet_fill(struct sim_packet *packet,
    const struct raft_message *message, const struct slice *records);
/* PIECE and PIECE_ANSWER; `piece` is copied. */
struct sim_packet *sim_packet_piece(
    enum sim_packet_kind kind, raft_id from, raft_id to, struct slice piece);
struct sim_packet *sim_packet_copy(const struct sim_packet *packet);
/* A copy with one bit of a record or of a piece changed; it has some. */
struct sim_packet *
sim_packet_damaged(const struct sim_packet *packet, uint64_t random);

struct sim_packet *sim_packet_ref(struct sim_packet *packet);
void sim_packet_unref(struct sim_packet *packet); /* NULL is fine */

enum sim_packet_class sim_packet_class(const struct sim_packet *packet);

/* A short description of a message. */
void
sim_packet_describe(const struct raft_message *message, char *to, size_t size);

#endif
