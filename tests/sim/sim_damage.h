#ifndef TESTS_SIM_DAMAGE_H
#define TESTS_SIM_DAMAGE_H

/*
 * Damage: bits that flip, records that are gone, states that are wrong but
 * sound. It hits a minority of the voters at a time: the next one only when
 * the last one is whole again, by the help of the others alone.
 */

#include "tests/sim/sim_node.h"

/* Some damage on some node; nothing if none can be borne now. */
void sim_damage_strike(struct sim *sim, struct rng *rng);

/* Can the others do without the node, and what it has promised, for a while? */
bool sim_damage_allows(struct sim *sim, const struct sim_node *node);

/* Somebody may count members that others do not: on a disk, or by a leader
 * alone, there is a membership that is not committed. */
bool sim_damage_change_under_way(struct sim *sim);

/*
 * A node could not open its disks, or must stop, with this error: true if
 * damage is the reason, and it was done what the server would do about it. Then
 * it only has to be started again.
 */
bool sim_damage_explains(struct sim *sim, struct sim_node *node, int error);

/* The node has started: whatever was damaged is found by that. */
void sim_damage_started(struct sim *sim, struct sim_node *node);

/* After a turn: is it whole again? */
void sim_damage_look(
    struct sim *sim, struct sim_node *node, const struct node_status *status);

/* What is false here must not become the majority's by a snapshot: the node is
 * started anew, and finds that its state is damaged. */
void sim_damage_expose(struct sim *sim, struct sim_node *node);

/* No more comes; who runs on with damage that nobody has found yet is started
 * anew. */
void sim_damage_heal(struct sim *sim);

#endif
