#ifndef TESTS_SIM_REPLAY_H
#define TESTS_SIM_REPLAY_H

/*
 * What the clients saw, at the end of a run: each answer against the model
 * (tests/lib/kv_model.h), to which the committed log is given, at the entry
 * where it was given; against real time by these entries; and, without trust in
 * the log, by a search for a linear order of each plain key.
 */

#include "tests/sim/sim_client.h"

void sim_replay_check(struct sim *sim);

ATTR_PRINTF(3, 4)
void sim_replay_fail(
    struct sim *sim, const struct sim_op *op, const char *format, ...);

/* ---- sim_order.c ---- */

void sim_order_check(struct sim *sim);
void sim_order_search(struct sim *sim);

#endif
