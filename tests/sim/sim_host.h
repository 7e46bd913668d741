#ifndef TESTS_SIM_HOST_H
#define TESTS_SIM_HOST_H

/* What a node asks of its host: time, disks, and a way to its peers. */

#include "tests/sim/sim_node.h"

struct node_host sim_host_of(struct sim_node *node);

/* Lets commits that were made since the last look take their time. */
void sim_host_pass_commits(struct sim_node *node);

#endif
