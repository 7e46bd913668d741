#ifndef TESTS_SIM_SHRINK_H
#define TESTS_SIM_SHRINK_H

/*
 * Makes a seed that fails small: without kinds of faults, with fewer nodes,
 * clients and operations, with no fault from some time on, in less time, again
 * and again, as long as the run still fails in the same way (the same words,
 * whatever the numbers).
 */

#include "tests/sim/sim.h"

/* Prints what it tries and, in the end, the command of the smallest run; false
 * if the seed does not fail at all. */
bool sim_shrink(uint64_t seed, const struct sim_options *options);

#endif
