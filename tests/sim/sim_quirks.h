#ifndef TESTS_SIM_QUIRKS_H
#define TESTS_SIM_QUIRKS_H

/*
 * Rare paths made common, by extremes of what the node's parameters may be and
 * by what its host may do to it at any time. A run has each quirk one time in
 * four; those that are no parameter then strike one time in four where they can.
 */

#include "tests/sim/sim_node.h"

/* Gives the node its parameters, all but who it is and whom it knows: at the
 * first start as this node those of the run, at later ones now and then extremes of its own,
 * as when the options of one member after the other are changed. */
void sim_quirks_tune(struct sim *sim, struct sim_node *node);

/* A turn before it is wanted, with nothing to do; else `at`. */
raft_usec sim_quirks_wake(struct sim *sim, raft_usec at);

/* Of a turn's entries, only those to a bare majority are on their way. */
bool sim_quirks_hold_back(
    struct sim *sim, struct sim_node *node, const struct raft_message *message);

/* An answer is sent twice. */
bool sim_quirks_repeat(struct sim *sim);

#endif
