#include "common/rng.h"
#include "common/panic.h"

static uint64_t
splitmix64(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static uint64_t
rotate_left(uint64_t value, unsigned bits)
{
	return value << bits | value >> (64 - bits);
}

void
rng_init(struct rng *rng, uint64_t seed)
{
	for (int i = 0; i < 4; i++)
		rng->state[i] = splitmix64(&seed);
}

uint64_t
rng_next(struct rng *rng)
{
	uint64_t *s = rng->state;
	uint64_t result = rotate_left(s[1] * 5, 7) * 9;
	uint64_t shifted = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= shifted;
	s[3] = rotate_left(s[3], 45);
	return result;
}

uint64_t
rng_below(struct rng *rng, uint64_t bound)
{
	uint64_t number;
	uint64_t surplus;

	ASSERT(bound > 0);
	/* 2^64 mod bound numbers too many: without them all are as likely. */
	surplus = (0 - bound) % bound;
	do {
		number = rng_next(rng);
	} while (number < surplus);
	return number % bound;
}

uint64_t
rng_between(struct rng *rng, uint64_t low, uint64_t high)
{
	ASSERT(low <= high);
	if (high - low == UINT64_MAX)
		return rng_next(rng);
	return low + rng_below(rng, high - low + 1);
}
