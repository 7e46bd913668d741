/*
 * A store with a memtable beside one without: the same operations, and what is
 * read has to be the same, in the open transaction, in readers that stay while
 * others commit, and after crashes. A failure names its seed and the step.
 */

#include "common/buf.h"
#include "common/codec.h"
#include "common/rng.h"
#include "store/store_memtable_impl.h"
#include "tests/unit/memtable_site.h"
#include "tests/unit/suites.h"

#define SEEDS   6
#define STEPS   6000
#define KEYS    30
#define READERS 3
#define MOVES   12

/* One transaction of each store. */
struct both {
	struct store_txn *real; /* NULL: not open */
	struct store_txn *plain;
};

struct pair {
	struct memtable_site site;
	struct store_mem_disk *plain_disk;
	struct store *plain;
	struct both writer; /* always open */
	struct both readers[READERS];
	struct rng rng;
	uint64_t seed;
	uint64_t step;
};

/* That the commits came by what is to be tested. */
struct tally {
	uint64_t evictions;
	uint64_t evictions_beside_readers;
	uint64_t kept_for_readers; /* that were merged */
	uint64_t cuts;
	uint64_t crashes;
	uint64_t scrubbed; /* steps */
	uint64_t found;    /* records that were compared */
};

static const uint64_t bytes_max[] = { 1, 100, 1000, 100000 };

/* ---- Transactions of both ---- */

static void
both_begin(struct pair *pair, struct both *both, bool write)
{
	both->real = memtable_site_begin(&pair->site, write);
	ck_assert_int_eq(store_begin(pair->plain, write, &both->plain), 0);
}

static void
both_abort(struct both *both)
{
	if (both->real == NULL)
		return;
	store_abort(both->real);
	store_abort(both->plain);
	both->real = NULL;
}

static void
pair_init(struct pair *pair, uint64_t seed, uint64_t bytes)
{
	*pair = (struct pair){
		.plain_disk = store_mem_disk_new(MEMTABLE_LOG),
		.seed = seed,
	};
	memtable_site_init(&pair->site, bytes);
	pair->plain = store_mem_open(pair->plain_disk);
	rng_init(&pair->rng, seed);
	both_begin(pair, &pair->writer, true);
}

static void
pair_release(struct pair *pair)
{
	for (int i = 0; i < READERS; i++)
		both_abort(&pair->readers[i]);
	memtable_site_release(&pair->site);
	store_close(pair->plain);
	store_mem_disk_free(pair->plain_disk);
}

/* ---- Comparing ---- */

static void
same_code(const struct pair *pair, const char *what, int real, int plain)
{
	ck_assert_msg(real == plain,
	    "bytes_max %lu, seed %lu, step %lu: %s gave '%s' and not '%s'",
	    (unsigned long)pair->site.bytes_max, (unsigned long)pair->seed,
	    (unsigned long)pair->step, what, err_text(real), err_text(plain));
}

static void
same_bytes(const struct pair *pair, const char *what, struct slice real,
    struct slice plain)
{
	ck_assert_msg(slice_equal(real, plain),
	    "bytes_max %lu, seed %lu, step %lu: %s gave other bytes",
	    (unsigned long)pair->site.bytes_max, (unsigned long)pair->seed,
	    (unsigned long)pair->step, what);
}

static void
compare_get(const struct pair *pair, const struct both *both, store_table table,
    struct slice key)
{
	struct slice plain_value = { 0 };
	struct slice value = { 0 };
	int code = store_get(both->real, table, key, &value);
	int plain = store_get(both->plain, table, key, &plain_value);

	same_code(pair, "get", code, plain);
	same_bytes(pair, "get", value, plain_value);
}

/* A cursor of each store. */
struct walk {
	struct store_cursor *real;
	struct store_cursor *plain;
};

static void
walk_open(const struct both *both, store_table table, struct walk *ret_walk)
{
	ck_assert_int_eq(
	    store_cursor_open(both->real, table, &ret_walk->real), 0);
	ck_assert_int_eq(
	    store_cursor_open(both->plain, table, &ret_walk->plain), 0);
}

static void
walk_close(const struct walk *walk)
{
	store_cursor_close(walk->real);
	store_cursor_close(walk->plain);
}

static int
walk_move(const struct pair *pair, const struct walk *walk,
    enum store_move where, struct slice key)
{
	struct slice keys[2] = { { 0 }, { 0 } };
	struct slice values[2] = { { 0 }, { 0 } };
	int code =
	    store_cursor_move(walk->real, where, key, &keys[0], &values[0]);
	int plain =
	    store_cursor_move(walk->plain, where, key, &keys[1], &values[1]);

	same_code(pair, "move", code, plain);
	if (code == 0) {
		same_bytes(pair, "move", keys[0], keys[1]);
		same_bytes(pair, "move", values[0], values[1]);
	}
	return code;
}

static void
compare_all(
    const struct pair *pair, const struct both *both, struct tally *tally)
{
	struct slice none = { 0 };

	for (store_table table = 0; table < MEMTABLE_LOG; table++) {
		struct walk walk;

		walk_open(both, table, &walk);
		while (walk_move(pair, &walk, STORE_NEXT, none) == 0)
			tally->found++;
		walk_close(&walk);
	}
}

/* ---- Changes ---- */

static struct slice
some_key(struct pair *pair, uint8_t memory[2])
{
	uint64_t number = rng_below(&pair->rng, KEYS);

	/* Some are others' beginnings. */
	memory[0] = (uint8_t)('a' + number / 2);
	memory[1] = 'x';
	return slice_of(memory, number % 2 + 1);
}

static struct slice
some_value(struct pair *pair, uint8_t memory[2 * STORE_MEMTABLE_RECORD_MAX])
{
	bool large = rng_below(&pair->rng, 20) == 0;
	size_t size =
	    rng_below(&pair->rng, large ? 2 * STORE_MEMTABLE_RECORD_MAX : 200);

	memset(memory, (int)rng_below(&pair->rng, 256), size);
	return slice_of(memory, size);
}

static void
change(struct pair *pair, store_table table)
{
	const struct both *both = &pair->writer;
	uint8_t bytes[2 * STORE_MEMTABLE_RECORD_MAX];
	uint8_t memory[2];
	struct slice key = some_key(pair, memory);
	struct slice value = some_value(pair, bytes);
	uint64_t what = rng_below(&pair->rng, 8);

	if (what < 3)
		same_code(pair, "delete", store_delete(both->real, table, key),
		    store_delete(both->plain, table, key));
	else if (what == 3)
		same_code(pair, "append",
		    store_append(both->real, table, key, value),
		    store_append(both->plain, table, key, value));
	else
		same_code(pair, "put", store_put(both->real, table, key, value),
		    store_put(both->plain, table, key, value));
}

/* ---- Reading ---- */

/* The open transaction or a reader. */
static struct both *
some_transaction(struct pair *pair)
{
	struct both *reader = &pair->readers[rng_below(&pair->rng, READERS)];

	return reader->real == NULL || rng_below(&pair->rng, 2) == 0
		   ? &pair->writer
		   : reader;
}

static enum store_move
some_move(struct pair *pair, bool outside)
{
	/* Mostly steps, in both directions. */
	static const enum store_move moves[] = { STORE_FIRST, STORE_LAST,
		STORE_AT_OR_AFTER, STORE_NEXT, STORE_NEXT, STORE_NEXT,
		STORE_PREVIOUS, STORE_PREVIOUS, STORE_PREVIOUS };

	return moves[rng_below(&pair->rng, outside ? 3 : ARRAY_COUNT(moves))];
}

static void
turn_reader(struct pair *pair, struct tally *tally)
{
	struct both *reader = &pair->readers[rng_below(&pair->rng, READERS)];

	if (reader->real == NULL) {
		both_begin(pair, reader, false);
		return;
	}
	compare_all(pair, reader, tally);
	both_abort(reader);
}

/* ---- Ends of transactions ---- */

/* The nodes that are, or are not, merged. */
static uint64_t
count_nodes(struct memtable *memtable, bool merged)
{
	uint64_t count = 0;

	for (store_table i = 0; i < MEMTABLE_LOG; i++) {
		struct memtable_node *node = memtable_first(memtable, i, false);

		for (; node != NULL;
		     node = memtable_next(memtable, node, false))
			count += (node->merged != 0) == merged;
	}
	return count;
}

static void
expect_waiting(const struct pair *pair)
{
	struct store_stat stat;

	store_get_stat(pair->site.store, &stat);
	ck_assert_int_eq(stat.waiting_bytes == 0,
	    count_nodes(memtable_of(pair->site.store), false) == 0);
}

static bool
has_merged(struct memtable *memtable)
{
	return count_nodes(memtable, true) != 0;
}

static void
commit(struct pair *pair, struct tally *tally)
{
	struct memtable *memtable = memtable_of(pair->site.store);
	uint64_t nodes = memtable->nodes_count;
	uint64_t first = memtable->log_first;
	bool evicted;

	ck_assert_int_eq(store_commit(pair->writer.real), 0);
	ck_assert_int_eq(store_commit(pair->writer.plain), 0);
	evicted = memtable->nodes_count < nodes;
	tally->evictions += evicted;
	tally->evictions_beside_readers +=
	    evicted && !list_empty(&memtable->readers);
	tally->kept_for_readers += has_merged(memtable);
	tally->cuts += memtable->log_first > first;
	expect_waiting(pair);
	both_begin(pair, &pair->writer, true);
}

static void
roll_back(struct pair *pair)
{
	both_abort(&pair->writer);
	both_begin(pair, &pair->writer, true);
}

static void
crash(struct pair *pair, struct tally *tally)
{
	for (int i = 0; i < READERS; i++)
		both_abort(&pair->readers[i]);
	memtable_site_reopen(&pair->site, pair->site.bytes_max);
	store_abort(pair->writer.plain);
	both_begin(pair, &pair->writer, true);
	compare_all(pair, &pair->writer, tally);
	tally->crashes++;
}

/* ---- Walks ---- */

/*
 * What goes on beside a walk. A walk of the open transaction bears changes of
 * another table alone, in memory or through; one of a reader anything.
 */
static void
disturb(struct pair *pair, const struct both *walker, store_table table,
    struct tally *tally)
{
	uint64_t what = rng_below(&pair->rng, 16);

	if (what >= 4)
		return;
	if (walker == &pair->writer || what == 0)
		change(pair, (table + 1) % MEMTABLE_LOG);
	else if (what == 1)
		change(pair, table);
	else if (what == 2)
		commit(pair, tally);
	else
		roll_back(pair);
}

static void
walk_at_random(struct pair *pair, struct tally *tally)
{
	store_table table = (store_table)rng_below(&pair->rng, MEMTABLE_LOG);
	const struct both *walker = some_transaction(pair);
	struct walk walk;
	int code = 0;

	walk_open(walker, table, &walk);
	for (int i = 0; i < MOVES; i++) {
		enum store_move where = some_move(pair, code != 0);
		uint8_t memory[2];

		code = walk_move(pair, &walk, where, some_key(pair, memory));
		disturb(pair, walker, table, tally);
	}
	walk_close(&walk);
}

/* ---- What no cursor shows ---- */

/* All of the log is sound, for whoever looks. */
static void
scrub(struct pair *pair, struct tally *tally)
{
	size_t step = rng_between(&pair->rng, 1, 1000);
	struct both *both = some_transaction(pair);
	struct store_scrub scrub = { 0 };
	int code = 0;

	while (code == 0) {
		size_t bytes;

		code = store_scrub_step(both->real, &scrub, step, &bytes);
		ck_assert_int_eq(code == 0, bytes > 0);
		tally->scrubbed++;
	}
	same_code(pair, "scrub", code, ERR_NOT_FOUND);
}

/* ---- All of it ---- */

static void
do_step(struct pair *pair, struct tally *tally)
{
	uint64_t what = rng_below(&pair->rng, 2000);
	uint8_t memory[2];

	pair->step++;
	if (what == 0)
		crash(pair, tally);
	else if (what < 50)
		roll_back(pair);
	else if (what < 300)
		commit(pair, tally);
	else if (what < 330)
		turn_reader(pair, tally);
	else if (what < 430)
		walk_at_random(pair, tally);
	else if (what < 440)
		scrub(pair, tally);
	else if (what < 1000)
		compare_get(pair, some_transaction(pair),
		    (store_table)rng_below(&pair->rng, MEMTABLE_LOG),
		    some_key(pair, memory));
	else
		change(pair, (store_table)rng_below(&pair->rng, MEMTABLE_LOG));
}

static void
run(uint64_t seed, uint64_t bytes, struct tally *tally)
{
	struct pair pair;

	pair_init(&pair, seed, bytes);
	for (unsigned i = 0; i < STEPS; i++)
		do_step(&pair, tally);
	expect_waiting(&pair);
	crash(&pair, tally);
	pair_release(&pair);
}

START_TEST(memtable_shows_what_a_store_without_does)
{
	struct tally tally = { 0 };

	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		run(seed, bytes_max[_i], &tally);
	/* A test that came by nothing of this has tested nothing. */
	ck_assert_uint_gt(tally.evictions, 0);
	ck_assert_uint_gt(tally.evictions_beside_readers, 0);
	/* What is merged when it is committed, no reader has seen before. */
	if (bytes_max[_i] > 1)
		ck_assert_uint_gt(tally.kept_for_readers, 0);
	ck_assert_uint_gt(tally.cuts, 0);
	ck_assert_uint_gt(tally.crashes, SEEDS);
	ck_assert_uint_gt(tally.scrubbed, 0);
	ck_assert_uint_gt(tally.found, 0);
}
END_TEST

Suite *
store_memtable_model_suite(void)
{
	Suite *suite = suite_create("store_memtable_model");
	TCase *core = tcase_create("core");

	tcase_add_loop_test(core, memtable_shows_what_a_store_without_does, 0,
	    ARRAY_COUNT(bytes_max));
	suite_add_tcase(suite, core);
	return suite;
}
