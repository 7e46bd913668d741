#ifndef TESTS_SIM_CAMPAIGN_H
#define TESTS_SIM_CAMPAIGN_H

/*
 * Many seeds, in processes of their own, so that a failed assertion ends one
 * of them and still names its seed.
 */

#include "tests/sim/sim.h"

struct sim_campaign {
	uint64_t first;
	uint64_t last;
	unsigned jobs_count;
	bool lists_coverage; /* a line for each counter */
	bool verify;         /* run each seed twice and compare */
	uint64_t coverage;   /* all that can happen has to, so often; 0: as
			        far as a campaign of its length shows it */
	struct sim_options options;
};

/* Prints a summary; true if all is well. */
bool sim_campaign_run(const struct sim_campaign *campaign);

/* Prints the command that repeats `seed`; with it, --shrink instead of --seed
 * makes it small. */
void sim_print_repeat(uint64_t seed, const struct sim_options *options);

#endif
