#ifndef TESTS_SIM_REPLAY_H
#define TESTS_SIM_REPLAY_H

/*
 * What the clients saw, at the end of a run: against a replay of the committed
 * log through a model of its own, which fixes the state at each revision;
 * against real time by revision; and, without trust in revisions, by a search
 * for a linear order of each key.
 */

#include "tests/sim/sim.h"

void sim_replay_check(struct sim *sim);

#endif
