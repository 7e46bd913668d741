#ifndef TESTS_SIM_OPERATOR_H
#define TESTS_SIM_OPERATOR_H

/* An operator, who changes the members and moves the leadership. */

#include "tests/sim/sim_node.h"

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

/* SIM_EVENT_OPERATE, in the inbox of a node. */
void sim_operator_receive(
    struct sim *sim, struct sim_node *node, const struct sim_event *event);
/* Nobody will be answered. */
void sim_operator_node_died(struct sim_node *node);

#endif
