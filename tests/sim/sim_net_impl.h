#ifndef TESTS_SIM_NET_IMPL_H
#define TESTS_SIM_NET_IMPL_H

/*
 * The network's inside: sim_net.c has the links and their faults,
 * sim_connection.c the connections over them, sim_message.c and sim_pieces.c
 * what the nodes send.
 */

#include "tests/sim/sim_net.h"
#include "tests/sim/sim_packet.h"

enum link_state { LINK_DOWN, LINK_DIALING, LINK_UP };

/* The connection that one node dials to another; 0 is no session. */
struct sim_connection {
	enum link_state state;     /* as the dialer sees it */
	uint64_t session;          /* of the dialer */
	struct node_member member; /* whom the dialer means */
	uint64_t accepted;    /* the session that the other side accepted */
	raft_id caller;       /* as whom it accepted the dialer */
	uint64_t dial_number; /* of the DIAL event that counts */
};

/* Old messages that may come again. */
#define OLD_PACKETS_MAX 64

/* A piece of a snapshot that waits for its answer; number 0: none. */
struct sim_piece {
	raft_id to;
	uint64_t number;
};

/* For each receiver one; of the past and the present membership. */
#define SIM_PIECES_MAX (2 * RAFT_MEMBERS_MAX)

struct sim_net {
	struct sim_piece pieces[SIM_NODES_MAX + 1][SIM_PIECES_MAX];
	uint64_t piece_number; /* the last one given */
	struct sim_connection connections[SIM_NODES_MAX + 1][SIM_NODES_MAX + 1];
	bool cut[SIM_NODES_MAX + 1][SIM_NODES_MAX + 1];
	uint32_t cut_classes;                                    /* 0: all */
	raft_usec arrival[SIM_NODES_MAX + 1][SIM_NODES_MAX + 1]; /* the last */
	unsigned cuts_count;
	uint64_t session; /* the last one given */
	uint32_t loss_ppm;
	raft_usec delay_mean;
	struct sim_packet **outbox[SIM_NODES_MAX + 1];
	size_t outbox_count[SIM_NODES_MAX + 1];
	size_t outbox_capacity[SIM_NODES_MAX + 1];
	struct sim_packet *old[OLD_PACKETS_MAX];
};

/* ---- sim_net.c ---- */

struct rng *sim_net_rng(struct sim *sim);
/* A bit of it changes on the way; `times` as likely as usual. Never while there
 * are no faults: each costs a connection, and what is healed is to stay so. */
bool sim_net_damages(struct sim *sim, uint32_t times);
/* It arrives at `at`, whatever it is; takes a reference. */
void sim_net_schedule(struct sim *sim, struct sim_packet *packet, raft_usec at);
/* Sends `packet` at `at`, and gives up the caller's reference. */
void sim_net_transmit(struct sim *sim, struct sim_packet *packet, raft_usec at);
/* The connection that the packet belongs to. */
struct sim_connection *
sim_net_connection(struct sim *sim, const struct sim_packet *packet);
/* Sends word of a session of the connection that `dialer` dialled. */
void sim_net_notice(struct sim *sim, enum sim_packet_kind kind, raft_id from,
    raft_id to, raft_id dialer, uint64_t session);

/* ---- sim_message.c ---- */

/* May the message be handed over? If not, whoever sent it may learn of it. */
bool sim_net_is_expected(
    struct sim *sim, struct sim_node *node, const struct sim_packet *packet);
/* `node` does not take what came over this connection. */
void sim_net_hang_up_on(
    struct sim *sim, struct sim_node *node, const struct sim_packet *packet);
void sim_net_receive_message(
    struct sim *sim, struct sim_node *node, const struct sim_packet *packet);

#endif
