#ifndef TESTS_SIM_MOMENT_H
#define TESTS_SIM_MOMENT_H

/*
 * Faults at the moments at which they hurt most: a change of the members that
 * only the leader knows of, a transfer of the leadership that has begun, a
 * piece of a snapshot on its way. In runs in which there are such changes,
 * transfers and broken snapshots, and in some of these moments only.
 */

#include "tests/sim/sim_node.h"

/* The node has read its inbox; what it does about it is still to come. */
void sim_moment_read(struct sim *sim, struct sim_node *node);
/* Its turn has ended, and what it sends is on its way. */
void sim_moment_turned(struct sim *sim, struct sim_node *node);
/* It leads, and has begun to hand the leadership over to somebody. */
void sim_moment_transfer(struct sim *sim, struct sim_node *node);
/* A piece of a snapshot is sent. */
void sim_moment_piece(struct sim *sim);

#endif
