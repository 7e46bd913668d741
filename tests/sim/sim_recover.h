#ifndef TESTS_SIM_RECOVER_H
#define TESTS_SIM_RECOVER_H

/*
 * After all else, in some runs: all members but one are lost for good. The
 * cluster is made anew from the disks of that one, who holds all that was
 * acknowledged, and grows again by new nodes. One of the lost ones comes back
 * with its old disks, and must not be listened to.
 */

#include "tests/sim/sim_node.h"

/* False: this run has none of it. Else sim->phase is SIM_REGROW. */
bool sim_recover_begin(struct sim *sim, raft_id survivor);
/* Does the next thing there is to do. */
void sim_recover_step(struct sim *sim);
/* `node` listens to `peer`. */
void sim_recover_heard(
    struct sim *sim, const struct sim_node *node, const struct sim_node *peer);

#endif
