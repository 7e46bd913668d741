#ifndef COMMON_RNG_H
#define COMMON_RNG_H

/*
 * Seeded pseudo-random numbers (xoshiro256**, seeded by splitmix64): the same
 * seed gives the same numbers everywhere. Never for secrets.
 */

#include <stdint.h>

struct rng {
	uint64_t state[4];
};

void rng_init(struct rng *rng, uint64_t seed);
uint64_t rng_next(struct rng *rng);
/* Uniform in 0 .. bound-1; bound > 0. */
uint64_t rng_below(struct rng *rng, uint64_t bound);
/* Uniform in low .. high, both included; low <= high. */
uint64_t rng_between(struct rng *rng, uint64_t low, uint64_t high);

#endif
