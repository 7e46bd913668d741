/*
 * Random commands on the engine and on the model of tests/lib/kv_model.h:
 * equal results, equal states, at all times. A failure names its seed and the
 * number of the command; KV_MODEL_SEED begins there, and KV_MODEL_COMMANDS is
 * how many a seed has.
 */

#include "common/macros.h"
#include "kv/kv_snapshot.h"
#include "tests/lib/kv_bench.h"
#include "tests/lib/kv_model.h"
#include "tests/lib/kv_stream.h"
#include "tests/unit/suites.h"
#include <stdlib.h>

#define SEEDS          4
#define COMMANDS       2000
#define COMPARE_EVERY  25
#define SNAPSHOT_EVERY 400

struct pair {
	struct kv_bench bench;
	struct kv_model model;
	struct kv_stream stream;
	uint64_t seed;
	uint64_t number; /* of the command */
	unsigned statuses[KV_REUSED + 1];
	unsigned replayed;
	unsigned events[KV_EVENT_EXPIRE + 1];
};

static void
pair_init(struct pair *pair, uint64_t seed)
{
	*pair = (struct pair){ .seed = seed };
	kv_bench_init(&pair->bench);
	kv_model_init(&pair->model);
	kv_stream_init(&pair->stream, seed);
}

static void
pair_release(struct pair *pair)
{
	kv_bench_release(&pair->bench);
	kv_model_release(&pair->model);
}

static void
disagree(const struct pair *pair, const char *what, const struct buf *why)
{
	struct buf text = { 0 };

	if (pair->bench.log_count != 0)
		kv_stream_describe(
		    buf_slice(&pair->bench.log[pair->bench.log_count - 1]),
		    &text);
	ck_abort_msg("seed %lu, command %lu: %s: %.*s\n%.*s",
	    (unsigned long)pair->seed, (unsigned long)pair->number, what,
	    (int)why->size, (const char *)why->data, (int)text.size,
	    (const char *)text.data);
}

static void
compare_states(struct pair *pair, struct kv *kv)
{
	struct buf why = { 0 };

	if (!kv_model_check_state(
		&pair->model, kv, pair->seed ^ pair->number << 32, &why))
		disagree(pair, "another state", &why);
	if (kv_verify(kv) != 0)
		disagree(pair, "does not verify", &why);
	buf_release(&why);
}

/* One more command, on both. */
static void
apply(struct pair *pair, struct slice command)
{
	const struct kv_result *result = &pair->bench.result;
	struct buf why = { 0 };

	pair->number++;
	kv_bench_log_command(&pair->bench, pair->stream.time_us, command);
	if (kv_bench_replay(&pair->bench) != 0)
		disagree(pair, "does not apply", &why);
	kv_model_apply(&pair->model, pair->stream.time_us,
	    buf_slice(&pair->bench.log[pair->bench.log_count - 1]));
	if (!kv_model_check_result(&pair->model, result, &why))
		disagree(pair, "another result", &why);
	if (kv_revision(pair->bench.kv) != pair->model.state.revision)
		disagree(pair, "another revision", &why);
	pair->statuses[result->status]++;
	pair->replayed += result->replayed;
	buf_release(&why);
}

static void
apply_next(struct pair *pair)
{
	struct buf command = { 0 };

	pair->stream.revision = pair->model.state.revision;
	kv_stream_next(&pair->stream, &command);
	apply(pair, buf_slice(&command));
	buf_release(&command);
}

/* ---- Lives ---- */

/* Loses what was not checkpointed, and replays it from the log. */
static void
crash(struct pair *pair)
{
	uint64_t hash = kv_state_hash(pair->bench.kv);

	kv_bench_close(&pair->bench);
	ck_assert_int_eq(kv_bench_open(&pair->bench), 0);
	ck_assert_int_eq(kv_bench_replay(&pair->bench), 0);
	if (kv_state_hash(pair->bench.kv) != hash)
		disagree(
		    pair, "another hash after a crash", &(struct buf){ 0 });
}

/* All pieces of the last checkpoint, to an empty disk. */
static void
send_snapshot(struct pair *pair, struct store *to)
{
	struct kv_snapshot_info info;
	struct kv_position at = { 0 };
	struct kv_reader *reader;
	struct kv_writer *writer;
	struct buf piece = { 0 };

	ck_assert_int_eq(kv_reader_open(pair->bench.store, &reader), 0);
	ck_assert_int_eq(kv_writer_open(to, &writer), 0);
	kv_reader_get_info(reader, &info);
	while (kv_reader_read(reader, &at, 700, &piece) == 0) {
		ck_assert_int_eq(kv_writer_add(writer, buf_slice(&piece)), 0);
		buf_reset(&piece);
	}
	ck_assert_int_eq(kv_writer_finish(writer, &info), 0);
	kv_writer_close(writer);
	kv_reader_close(reader);
	buf_release(&piece);
}

/* A replica that is restored is the same, and stays so. */
static void
restore(struct pair *pair)
{
	struct store_mem_disk *disk = store_mem_disk_new(KV_TABLES_COUNT);
	struct store *store = store_mem_open(disk);
	struct kv *kv;

	ck_assert_int_eq(kv_checkpoint(pair->bench.kv), 0);
	send_snapshot(pair, store);
	ck_assert_int_eq(kv_open(store, true, &kv), 0);
	if (kv_state_hash(kv) != kv_state_hash(pair->bench.kv))
		disagree(pair, "another hash of a copy", &(struct buf){ 0 });
	compare_states(pair, kv);
	kv_close(pair->bench.kv);
	store_close(pair->bench.store);
	store_mem_disk_free(pair->bench.disk);
	pair->bench.kv = kv;
	pair->bench.store = store;
	pair->bench.disk = disk;
}

/* A replica that is given the whole log is the same. */
static void
compare_with_another(struct pair *pair)
{
	const struct kv_bench *from = &pair->bench;
	struct kv_bench other;

	kv_bench_init(&other);
	for (size_t i = 0; i < from->log_count; i++)
		kv_bench_log_command(
		    &other, from->times_us[i], buf_slice(&from->log[i]));
	ck_assert_int_eq(kv_bench_replay(&other), 0);
	if (kv_state_hash(other.kv) != kv_state_hash(from->kv))
		disagree(pair, "another hash of a replica", &(struct buf){ 0 });
	kv_bench_release(&other);
}

/* ---- Tests ---- */

static uint64_t
setting(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

/* A stream that hardly does anything would find nothing. */
static void
expect_variety(const struct pair *pair)
{
	for (int status = KV_OK; status <= KV_REUSED; status++) {
		/* Those take more keys, and larger ones, than there are. */
		if (status != KV_TOO_MANY && status != KV_LOOKS_TOO_MUCH &&
		    status != KV_WRITES_TOO_MUCH)
			ck_assert_msg(pair->statuses[status] > 0,
			    "seed %lu never has status %d",
			    (unsigned long)pair->seed, status);
	}
	ck_assert_uint_gt(pair->replayed, 0);
	ck_assert_uint_gt(pair->model.state.compacted, 0);
}

START_TEST(kv_model_agrees_with_random_commands)
{
	uint64_t seed = setting("KV_MODEL_SEED", 1) + (uint64_t)_i;
	uint64_t commands = setting("KV_MODEL_COMMANDS", COMMANDS);
	struct pair pair;
	struct rng rng;

	pair_init(&pair, seed);
	rng_init(&rng, ~seed);
	while (pair.number < commands) {
		apply_next(&pair);
		if (pair.number % COMPARE_EVERY == 0)
			compare_states(&pair, pair.bench.kv);
		if (pair.number % SNAPSHOT_EVERY == 0)
			restore(&pair);
		if (rng_below(&rng, 50) == 0)
			ck_assert_int_eq(kv_checkpoint(pair.bench.kv), 0);
		if (rng_below(&rng, 100) == 0)
			crash(&pair);
	}
	compare_states(&pair, pair.bench.kv);
	compare_with_another(&pair);
	if (commands >= COMMANDS)
		expect_variety(&pair);
	pair_release(&pair);
}
END_TEST

/* The first commands of many streams: what only an early state brings. */
START_TEST(kv_model_agrees_after_each_command)
{
	for (uint64_t i = 0; i < 20; i++) {
		struct pair pair;

		pair_init(&pair, 1000 + 20 * (uint64_t)_i + i);
		while (pair.number < 60) {
			apply_next(&pair);
			compare_states(&pair, pair.bench.kv);
		}
		pair_release(&pair);
	}
}
END_TEST

Suite *
kv_model_suite(void)
{
	Suite *suite = suite_create("kv_model");
	TCase *core = tcase_create("core");

	tcase_add_loop_test(
	    core, kv_model_agrees_with_random_commands, 0, SEEDS);
	tcase_add_loop_test(core, kv_model_agrees_after_each_command, 0, 4);
	suite_add_tcase(suite, core);
	return suite;
}
