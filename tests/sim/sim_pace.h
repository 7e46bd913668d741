#ifndef TESTS_SIM_PACE_H
#define TESTS_SIM_PACE_H

/*
 * Cluster time against true time, and what hangs on it, entry by entry of the
 * committed log. But for clocks that jump, it never runs faster than the fastest clock, whoever leads: so
 * nothing ends before its time. While one leads, it does not run slower than the
 * slowest: so nothing ends late but for changes of leaders. Nothing expires but
 * by an EXPIRE, no lock is held twice, and fences grow.
 */

#include "raft/raft.h"
#include "tests/lib/kv_model.h"
#include "tests/sim/sim.h"

/* Some clock jumped ahead, or stood still, at that time: that much more, or
 * less, may have passed for the cluster. */
struct sim_lapse {
	raft_usec at;
	raft_usec jumped;
	raft_usec stood;
};

void sim_pace_lapse(struct sim *sim, const struct sim_lapse *lapse);

struct sim_stamp {
	raft_index index;
	raft_term term;
	uint64_t time_us;
	raft_usec called_at; /* it was made after that; 0: not known */
	raft_usec seen_at;   /* and before that */
};

#define SIM_PACE_LOCKS 3 /* 1 and 2 */

struct sim_pace {
	uint64_t time_us; /* of the last entry */
	raft_term term;
	int64_t early; /* the least that an entry had passed for the fastest */
	int64_t late;  /* the most, for the slowest, in this term */
	bool known;
	uint64_t tokens[SIM_PACE_LOCKS];
	uint64_t fences[SIM_PACE_LOCKS];
};

/* The model has just applied this entry. */
void sim_pace_check(struct sim *sim, struct sim_pace *pace,
    const struct kv_model *model, const struct sim_stamp *stamp);

#endif
