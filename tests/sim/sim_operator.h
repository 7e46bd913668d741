#ifndef TESTS_SIM_OPERATOR_H
#define TESTS_SIM_OPERATOR_H

/* An operator, who changes the members and moves the leadership. */

#include "tests/sim/sim_node.h"
#include "tests/sim/sim_packet.h"

/* One that a node was asked for. */
struct sim_change {
	struct node_write write;
	struct sim_node *server;
	bool waiting; /* the node holds `write` */
};

/* Faults: a request goes to a node, mostly one that leads. */
void sim_operator_change(struct sim *sim, struct rng *rng);
void sim_operator_transfer(struct sim *sim, struct rng *rng);

/* A node begins to lead: a change may come too early for it. */
void sim_operator_hurry(struct sim *sim, struct sim_node *leader);

/* Whoever waits is added, one at a time. */
void sim_operator_grow(struct sim *sim, const struct sim_node *leader);

/* SIM_EVENT_OPERATE, in the inbox of a node. */
void sim_operator_receive(
    struct sim *sim, struct sim_node *node, const struct sim_event *event);
/* Somebody has answered to sim_net_probe(), which an operator's request needs
 * before it is done. */
void sim_operator_probed(
    struct sim *sim, struct sim_node *node, const struct sim_packet *packet);
/* Nobody will be answered. */
void sim_operator_node_died(struct sim_node *node);

#endif
