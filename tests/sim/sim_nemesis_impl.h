#ifndef TESTS_SIM_NEMESIS_IMPL_H
#define TESTS_SIM_NEMESIS_IMPL_H

/* The nemesis's inside: sim_nemesis.c has the faults, sim_partition.c those
 * that are partitions. */

#include "tests/sim/sim_nemesis.h"
#include "tests/sim/sim_node.h"

enum partition_kind {
	PARTITION_HALVES,
	PARTITION_LEADER,  /* alone */
	PARTITION_NODE,    /* any, alone */
	PARTITION_ONE_WAY, /* one node cannot be heard, or cannot hear */
	PARTITION_BRIDGE,  /* halves, and one node that sees both */
	PARTITION_LINKS,   /* some directions of some pairs */
	PARTITION_RING,    /* all see their neighbours, no two see the same */
	PARTITION_SWIZZLE, /* some go one by one, and come in another order */
	PARTITION_ALL,     /* for some classes of packets only */
	PARTITION_KINDS_COUNT
};

struct sim_nemesis {
	/* One for each kind: a kind less does not shuffle the rest. */
	struct rng rngs[SIM_FAULTS_COUNT];
	struct rng *rng; /* that of what strikes, else the common one */
	enum partition_kind partition;
	raft_id partition_node;
	uint64_t partition_random; /* decides what kind it is exactly */
	bool partition_flaps;
	bool partition_up;
	uint32_t partition_classes; /* of packets that are cut off; 0: all */
	/* Of a swizzle: when each node goes, and when it comes back. */
	raft_usec gone_from[SIM_NODES_MAX + 1];
	raft_usec gone_until[SIM_NODES_MAX + 1];
	raft_usec partition_until;
	bool has_wiped;
};

/* ---- sim_nemesis.c ---- */

/* That of the fault that strikes now. */
struct rng *sim_nemesis_rng(struct sim *sim);
/* So many tenths of an election timeout. */
raft_usec sim_nemesis_timeouts(
    struct sim *sim, unsigned low_tenths, unsigned high_tenths);
void
sim_nemesis_plan_relief(struct sim *sim, enum sim_fault fault, raft_usec after);
/* The leader's id, 0 if there is none. */
raft_id sim_nemesis_leader(struct sim *sim);
/* Any node, the leader more often than others. */
struct sim_node *sim_nemesis_choose(struct sim *sim);
/* Not within a turn: that is SIM_FAULT_DISK_ERROR. */
void sim_nemesis_crash(
    struct sim *sim, struct sim_node *node, bool powered, raft_usec outage);

/* ---- sim_partition.c ---- */

void sim_partition_strike(struct sim *sim);
void sim_partition_relieve(struct sim *sim);
/* Does the node in the middle remember, after a short outage, whom it has
 * promised what? */
void sim_partition_crash_bridge(struct sim *sim);
/* A rumour that nobody listens where some node does. */
void sim_partition_refuse(struct sim *sim);
/* The sender of a snapshot reaches nobody but the receiver, who is led by
 * another one before it is complete. */
void sim_partition_divert(struct sim *sim, raft_id sender, raft_id receiver);

#endif
