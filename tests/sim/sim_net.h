#ifndef TESTS_SIM_NET_H
#define TESTS_SIM_NET_H

/*
 * The network. A node dials each other one; a connection begins with a hello
 * each way and carries the dialer's requests and the answers to them. Between
 * any two hosts there is a link in each direction with its own delay and
 * faults.
 */

#include "tests/sim/sim_node.h"

struct sim_packet;

void sim_net_init(struct sim *sim);
void sim_net_release(struct sim *sim);

/* ---- For sim_node.c ---- */

/* Dials the members it knows, leaves those who are none any more. */
void sim_net_members_changed(struct sim *sim, struct sim_node *node);
/* The peers learn of it, if the host still has power. */
void sim_net_node_died(struct sim *sim, struct sim_node *node);
/* node_host's send and flush. */
void sim_net_send(struct sim *sim, struct sim_node *node,
    const struct raft_message *message, struct node_entry *const *entries);
void sim_net_flush(struct sim *sim, struct sim_node *node);
/* A turn that ended in a crash: some of what was not flushed may be gone. */
void sim_net_flush_some(struct sim *sim, struct sim_node *node);
/* Asks who is at a place; sim_operator_probed() gets the answer, if any. */
void sim_net_probe(
    struct sim *sim, struct sim_node *node, raft_id place, uint64_t number);
/* What a node finds in its inbox: SIM_EVENT_PACKET, SIM_EVENT_DIAL. */
void sim_net_receive(
    struct sim *sim, struct sim_node *node, const struct sim_event *event);
void sim_net_dial(
    struct sim *sim, struct sim_node *node, const struct sim_event *event);
/* The content of a packet is at `node`, which is in a turn. */
void sim_net_take(
    struct sim *sim, struct sim_node *node, const struct sim_packet *packet);
/* An event that nobody will handle. */
void sim_net_drop(const struct sim_event *event);

/* ---- For sim_run.c ---- */

/* SIM_EVENT_PACKET reaches a host. */
void sim_net_arrive(struct sim *sim, const struct sim_event *event);

/* ---- Faults ---- */

void sim_net_cut(struct sim *sim, raft_id from, raft_id to);
/* Where it is cut, only packets of these classes are lost, a bit for each; 0:
 * all are. */
void sim_net_cut_classes(struct sim *sim, uint32_t classes);
void sim_net_mend_all(struct sim *sim);
bool sim_net_is_cut(const struct sim *sim);
/* Additional loss, or delay, on all links; 0: none. */
void sim_net_set_loss(struct sim *sim, uint32_t ppm);
void sim_net_set_delay(struct sim *sim, raft_usec mean);
/* Resets both connections between two nodes. */
void sim_net_reset(struct sim *sim, raft_id a, raft_id b);
/* `node` is told that `peer` refuses connections, be it true or not. */
void sim_net_refuse(struct sim *sim, raft_id node, raft_id peer);
/* Sends an old message once more. */
void sim_net_replay(struct sim *sim);

#endif
