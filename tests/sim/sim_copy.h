#ifndef TESTS_SIM_COPY_H
#define TESTS_SIM_COPY_H

/*
 * Old copies of a member's disks, put in the place of the newest ones for a
 * while: as a backup that is put back, or a virtual machine that is set back.
 * Whoever has heard the member since must not listen to that, nor to such a copy
 * that is started at another place while the member runs.
 */

#include "tests/sim/sim_node.h"

/* Takes a copy of some node's disks, or puts one back that was taken. */
void sim_copy_strike(struct sim *sim, struct rng *rng);
/* The newest disks come back, wherever an old copy was put. */
void sim_copy_restore(struct sim *sim);
/* The copy that runs beside its original does not any more, if there is one. */
void sim_copy_stop(struct sim *sim);
/* `node` has judged the hello of `peer`. */
void sim_copy_heard(struct sim *sim, struct sim_node *node,
    const struct sim_node *peer, uint64_t boot_id, bool accepted);
/* After each turn of an old copy. */
void sim_copy_look(struct sim *sim, struct sim_node *node);
void sim_copy_release(struct sim_node *node);

#endif
