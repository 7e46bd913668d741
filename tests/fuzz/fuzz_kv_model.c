/*
 * Commands on the engine and on the model of tests/lib/kv_model.h: equal
 * results and equal states. The input is a list of them, so that libFuzzer
 * takes sequences apart and puts them together: a command that a seed of two
 * bytes generates, raw bytes of one, a crash, a checkpoint, a comparison.
 */

#include "common/panic.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/kv_bench.h"
#include "tests/lib/kv_model.h"
#include "tests/lib/kv_stream.h"

#include <stdio.h>

#define COMMANDS_MAX  150
#define COMPARE_EVERY 10

struct pair {
	struct kv_bench bench;
	struct kv_model model;
	struct kv_stream stream;
	unsigned commands;
};

static void
must(const struct pair *pair, bool condition, const struct buf *why)
{
	if (condition)
		return;
	fprintf(stderr, "command %u: %.*s\n", pair->commands, (int)why->size,
	    (const char *)why->data);
	ASSERT(condition);
}

static void
compare(struct pair *pair)
{
	struct buf why = { 0 };

	must(pair,
	    kv_model_check_state(
		&pair->model, pair->bench.kv, pair->commands, &why),
	    &why);
	ASSERT(kv_verify(pair->bench.kv) == 0);
	buf_release(&why);
}

static void
apply(struct pair *pair, struct slice command)
{
	struct buf why = { 0 };

	pair->commands++;
	kv_bench_log_command(&pair->bench, pair->stream.time_us, command);
	ASSERT(kv_bench_replay(&pair->bench) == 0);
	kv_model_apply(&pair->model, pair->stream.time_us, command);
	must(pair,
	    kv_model_check_result(&pair->model, &pair->bench.result, &why),
	    &why);
	ASSERT(kv_revision(pair->bench.kv) == pair->model.state.revision);
	if (pair->commands % COMPARE_EVERY == 0)
		compare(pair);
	buf_release(&why);
}

static void
apply_generated(struct pair *pair, struct slice *input)
{
	struct buf command = { 0 };

	rng_init(&pair->stream.rng, fuzz_take_u16(input));
	pair->stream.revision = pair->model.state.revision;
	kv_stream_next(&pair->stream, &command);
	apply(pair, buf_slice(&command));
	buf_release(&command);
}

/* What does not decode never gets to a state machine. */
static void
apply_raw(struct pair *pair, struct slice *input)
{
	struct slice bytes = fuzz_take(input, fuzz_take_u8(input));
	struct kv_command command;

	pair->stream.time_us += (uint64_t)fuzz_take_u16(input) * 1000;
	if (kv_command_decode(bytes, &command) == 0)
		apply(pair, bytes);
}

static void
crash(struct pair *pair)
{
	uint64_t hash = kv_state_hash(pair->bench.kv);

	kv_bench_close(&pair->bench);
	ASSERT(kv_bench_open(&pair->bench) == 0);
	ASSERT(kv_bench_replay(&pair->bench) == 0);
	ASSERT(kv_state_hash(pair->bench.kv) == hash);
}

void
fuzz_kv_model(struct slice input)
{
	struct pair pair = { .commands = 0 };

	kv_bench_init(&pair.bench);
	kv_model_init(&pair.model);
	kv_stream_init(&pair.stream, 0);
	while (input.size > 0 && pair.commands < COMMANDS_MAX) {
		unsigned what = fuzz_take_u8(&input);

		if (what < 200)
			apply_generated(&pair, &input);
		else if (what < 240)
			apply_raw(&pair, &input);
		else if (what < 244)
			crash(&pair);
		else if (what < 250)
			ASSERT(kv_checkpoint(pair.bench.kv) == 0);
		else
			compare(&pair);
	}
	compare(&pair);
	kv_bench_release(&pair.bench);
	kv_model_release(&pair.model);
}
