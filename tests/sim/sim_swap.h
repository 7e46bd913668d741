#ifndef TESTS_SIM_SWAP_H
#define TESTS_SIM_SWAP_H

/*
 * A node that is started on the wrong directory, that of another member or of
 * another cluster, as an operator may do by mistake. It must refuse and change
 * nothing there; then it gets its own again.
 */

#include "tests/sim/sim_node.h"

void sim_swap_strike(struct sim *sim, struct rng *rng, struct sim_node *node);

#endif
