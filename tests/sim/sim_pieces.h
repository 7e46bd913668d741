#ifndef TESTS_SIM_PIECES_H
#define TESTS_SIM_PIECES_H

/* Pieces of snapshots on their way, and the answers to them. */

#include "tests/sim/sim_net.h"
#include "tests/sim/sim_packet.h"

/* node_host's send_snapshot and cancel_snapshot. */
void sim_pieces_send(
    struct sim *sim, struct sim_node *node, raft_id to, struct slice piece);
void sim_pieces_cancel(struct sim *sim, struct sim_node *node, raft_id to);

/* The connection to `to` broke: what was under way is lost. */
void sim_pieces_reset(struct sim *sim, struct sim_node *node, raft_id to);
/* The node is gone: nobody waits any more. */
void sim_pieces_drop(struct sim *sim, struct sim_node *node);

/* Any snapshot under way, by place; false: there is none. */
bool
sim_pieces_find(struct sim *sim, raft_id *ret_sender, raft_id *ret_receiver);

/* What a node finds in its inbox: packets, and SIM_EVENT_PIECE_LOST. */
void sim_pieces_receive(
    struct sim *sim, struct sim_node *node, const struct sim_packet *packet);
void sim_pieces_answered(
    struct sim *sim, struct sim_node *node, const struct sim_packet *packet);
void sim_pieces_lost(
    struct sim *sim, struct sim_node *node, const struct sim_event *event);

#endif
