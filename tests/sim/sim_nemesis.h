#ifndef TESTS_SIM_NEMESIS_H
#define TESTS_SIM_NEMESIS_H

/* Faults: each kind strikes by itself, at random times, while faults last. */

#include "tests/sim/sim.h"

void sim_nemesis_init(struct sim *sim);
void sim_nemesis_release(struct sim *sim);

/* SIM_EVENT_NEMESIS and SIM_EVENT_RELIEF. */
void sim_nemesis_strike(struct sim *sim, const struct sim_event *event);
void sim_nemesis_relieve(struct sim *sim, const struct sim_event *event);

/* Until then nobody hears the node, nor does it hear anybody; or there are two
 * halves; instead of the partition that there may be. */
void sim_nemesis_isolate(struct sim *sim, raft_id node, raft_usec until);
void sim_nemesis_divide(struct sim *sim, raft_usec until);
/* Soon, while a piece of a snapshot is on its way. */
void sim_nemesis_break_snapshot(struct sim *sim);

/* Ends all faults: what is down comes back, what is broken is mended. */
void sim_nemesis_heal(struct sim *sim);

#endif
