#ifndef TESTS_SIM_NEMESIS_H
#define TESTS_SIM_NEMESIS_H

/* Faults: each kind strikes by itself, at random times, while faults last. */

#include "tests/sim/sim.h"

void sim_nemesis_init(struct sim *sim);
void sim_nemesis_release(struct sim *sim);

/* SIM_EVENT_NEMESIS and SIM_EVENT_RELIEF. */
void sim_nemesis_strike(struct sim *sim, const struct sim_event *event);
void sim_nemesis_relieve(struct sim *sim, const struct sim_event *event);

/* Ends all faults: what is down comes back, what is broken is mended. */
void sim_nemesis_heal(struct sim *sim);

#endif
