#ifndef TESTS_SIM_REST_H
#define TESTS_SIM_REST_H

/*
 * The end of a run: nobody asks for anything any more, and what has a deadline
 * ends by itself, in time. In some runs the leader crashes meanwhile, and the
 * next one goes on from the last stamp: late by no more than the interval of
 * marks and the time without a leader.
 */

#include "tests/sim/sim.h"

/* In SIM_FINAL, when all is done: SIM_REST, and what comes after it. */
void sim_rest_begin(struct sim *sim);
/* Every now and then; rest.over says when it is. */
void sim_rest_look(struct sim *sim);

#endif
