#include "tests/sim/sim_shrink.h"

#include "tests/sim/sim_campaign.h"
#include "tests/sim/sim_process.h"
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>

/* What one round finds may let the next one find more. */
#define ROUNDS_MAX 4
#define US_PER_MS  1000

struct shrink {
	uint64_t seed;
	struct sim_options options; /* the smallest run that fails so far */
	char failure[1024];
	uint64_t events;
	unsigned tries;
	struct sim_result *result; /* of the last one tried */
};

/* The same words, whatever the numbers in them. */
static bool
is_same_failure(const char *a, const char *b)
{
	for (;;) {
		while (isdigit((unsigned char)*a))
			a++;
		while (isdigit((unsigned char)*b))
			b++;
		if (*a != *b)
			return false;
		if (*a == '\0')
			return true;
		a++;
		b++;
	}
}

/* Takes `options` if they make a run that fails, too. */
static bool
still_fails(struct shrink *shrink, const struct sim_options *options)
{
	struct sim_result *result = shrink->result;

	shrink->tries++;
	sim_process_run(shrink->seed, options, result);
	if (!result->failed ||
	    !is_same_failure(result->failure, shrink->failure))
		return false;
	shrink->options = *options;
	memcpy(shrink->failure, result->failure, sizeof(shrink->failure));
	shrink->events = result->counters.events;
	return true;
}

/* ---- What can be less ---- */

static void
set_nodes(struct sim_options *options, uint64_t value)
{
	options->nodes_count = (unsigned)value;
}

static uint64_t
get_nodes(const struct shrink *shrink, const struct sim_config *config)
{
	(void)shrink;
	return config->nodes_count;
}

static void
set_clients(struct sim_options *options, uint64_t value)
{
	options->clients_count = (unsigned)value;
}

static uint64_t
get_clients(const struct shrink *shrink, const struct sim_config *config)
{
	(void)shrink;
	return config->clients_count;
}

static void
set_operations(struct sim_options *options, uint64_t value)
{
	options->operations_max = value;
}

static uint64_t
get_operations(const struct shrink *shrink, const struct sim_config *config)
{
	return MIN(config->operations_max, shrink->result->counters.operations);
}

static void
set_faults_until(struct sim_options *options, uint64_t value)
{
	options->faults_until = value * US_PER_MS;
}

static uint64_t
get_faults_until(const struct shrink *shrink, const struct sim_config *config)
{
	(void)shrink;
	return MIN(config->faults_until, config->duration) / US_PER_MS + 1;
}

static void
set_duration(struct sim_options *options, uint64_t value)
{
	options->duration = value * US_PER_MS;
}

static uint64_t
get_duration(const struct shrink *shrink, const struct sim_config *config)
{
	(void)shrink;
	return config->duration / US_PER_MS;
}

static const struct {
	void (*set)(struct sim_options *options, uint64_t value);
	uint64_t (*get)(
	    const struct shrink *shrink, const struct sim_config *config);
	uint64_t step; /* nothing is gained by less */
} knobs[] = {
	{ set_nodes, get_nodes, 1 },
	{ set_faults_until, get_faults_until, 20 },
	{ set_duration, get_duration, 20 },
	{ set_clients, get_clients, 1 },
	{ set_operations, get_operations, 1 },
};

/* As if less always failed less: what was tried and did not fail is a bound. */
static bool
lower(struct shrink *shrink, unsigned knob)
{
	struct sim_config config;
	uint64_t low = 0;
	uint64_t high;
	bool any = false;

	sim_config_draw(&config, shrink->seed, &shrink->options);
	high = knobs[knob].get(shrink, &config);
	while (low + knobs[knob].step < high) {
		struct sim_options options = shrink->options;
		uint64_t middle = low + (high - low) / 2;

		knobs[knob].set(&options, middle);
		if (still_fails(shrink, &options)) {
			any = true;
			high = middle;
		} else {
			low = middle;
		}
	}
	return any;
}

static bool
leave_out(struct shrink *shrink)
{
	bool any = false;

	for (unsigned i = 0; i < SIM_PARTS_COUNT; i++) {
		struct sim_options options = shrink->options;

		if ((options.without >> i & 1) != 0)
			continue;
		options.without |= 1u << i;
		any = still_fails(shrink, &options) || any;
	}
	return any;
}

static bool
make_smaller(struct shrink *shrink)
{
	bool any = leave_out(shrink);

	for (unsigned i = 0; i < ARRAY_COUNT(knobs); i++)
		any = lower(shrink, i) || any;
	printf("%u runs tried, %" PRIu64 " events\n", shrink->tries,
	    shrink->events);
	return any;
}

bool
sim_shrink(uint64_t seed, const struct sim_options *options)
{
	struct shrink shrink = {
		.seed = seed,
		.options = *options,
		.result = sim_process_result(),
	};
	uint64_t events;

	sim_process_run(seed, options, shrink.result);
	if (!shrink.result->failed) {
		printf("seed %" PRIu64 " does not fail\n", seed);
		return false;
	}
	printf("seed %" PRIu64 ": %s\n", seed, shrink.result->failure);
	memcpy(shrink.failure, shrink.result->failure, sizeof(shrink.failure));
	events = shrink.result->counters.events;
	shrink.events = events;
	for (unsigned i = 0; i < ROUNDS_MAX && make_smaller(&shrink); i++)
		;
	printf("smallest: %s\n", shrink.failure);
	printf("%" PRIu64 " events instead of %" PRIu64 "\n", shrink.events,
	    events);
	sim_print_repeat(seed, &shrink.options);
	return true;
}
