/*
 * The log of a store with a memtable does not grow without end, nor do its
 * commits. test_store_memtable_damage.c has what is wrong with a log.
 */

#include "common/codec.h"
#include "common/rng.h"
#include "store/store_memtable_impl.h"
#include "tests/unit/memtable_site.h"
#include "tests/unit/suites.h"

#define BYTES_MAX 20000

static struct memtable_site site;

static void
set_up(void)
{
	memtable_site_init(&site, BYTES_MAX);
}

static void
tear_down(void)
{
	memtable_site_release(&site);
}

/* ---- The length of the log ---- */

/* In which order keys come. */
enum keys {
	RISING,
	RANDOM,
	HOT,    /* a few, over and over */
	RENEWED /* a new one, and one of those before is deleted */
};

struct burst {
	unsigned commits;
	unsigned records; /* of each */
	size_t value_size;
	enum keys keys;
};

#define LARGE (STORE_MEMTABLE_RECORD_MAX - sizeof(uint32_t))
/* Of a record: the most that it takes of a round. */
#define LARGEST (STORE_MEMTABLE_RECORD_MAX + MEMTABLE_NODE_COST)

static const struct burst bursts[][2] = {
	{ { 4000, 1, 10, RISING }, { 0 } },
	{ { 1000, 20, 10, RISING }, { 0 } },
	{ { 4000, 1, 10, RANDOM }, { 0 } },
	{ { 1000, 20, 10, RANDOM }, { 0 } },
	{ { 1000, 4, LARGE, RANDOM }, { 0 } },
	{ { 4000, 1, 10, HOT }, { 0 } },
	{ { 2000, 1, 10, RENEWED }, { 0 } },
	{ { 500, 20, 10, RENEWED }, { 0 } },
	{ { 500, 20, 10, RANDOM }, { 2000, 1, 10, HOT } },
	{ { 500, 20, 10, RISING }, { 2000, 1, 10, HOT } },
	/* Many small ones wait while few large ones come, and back. */
	{ { 500, 20, 0, RANDOM }, { 300, 1, LARGE, RANDOM } },
	{ { 500, 20, 0, RISING }, { 300, 1, LARGE, HOT } },
	{ { 300, 1, LARGE, RANDOM }, { 4000, 1, 0, HOT } },
	/* Larger than a round. */
	{ { 40, 2000, 10, RANDOM }, { 2000, 1, 0, HOT } },
};

/* What is written goes on from one burst to the next. */
struct writer {
	struct rng rng;
	uint32_t number;
	uint64_t largest; /* commit, as a part of a round */
};

static void
write_record(
    struct writer *writer, const struct burst *burst, struct store_txn *txn)
{
	static const uint8_t value[LARGE];
	uint8_t memory[sizeof(uint32_t)];
	struct slice key = slice_of(memory, sizeof(memory));
	uint32_t number = writer->number++;

	if (burst->keys == RANDOM)
		number = (uint32_t)rng_next(&writer->rng);
	else if (burst->keys == HOT)
		number = (uint32_t)rng_below(&writer->rng, 7);
	codec_store_u32(memory, number);
	ck_assert_int_eq(
	    store_put(txn, MEMTABLE_A, key, slice_of(value, burst->value_size)),
	    0);
	if (burst->keys != RENEWED || number < 100)
		return;
	codec_store_u32(memory, number - 100);
	ck_assert_int_eq(store_delete(txn, MEMTABLE_A, key), 0);
}

static void
write_commit(struct writer *writer, const struct burst *burst)
{
	struct store_txn *txn = memtable_site_begin(&site, true);

	for (unsigned i = 0; i < burst->records; i++)
		write_record(writer, burst, txn);
	writer->largest =
	    MAX(writer->largest, memtable_of(site.store)->pending_bytes);
	ck_assert_int_eq(store_commit(txn), 0);
}

/* All that two rounds hold, and a few commits: each round ends with one that may
 * go beyond its end, and the next begins behind the first that it has. */
static void
expect_two_rounds(const struct writer *writer)
{
	struct memtable *memtable = memtable_of(site.store);
	uint64_t cost = memtable_site_log(&site).cost;
	struct store_stat stat;

	ck_assert_msg(cost <= 2 * BYTES_MAX + 4 * writer->largest,
	    "the log has %lu, commits %lu", (unsigned long)cost,
	    (unsigned long)writer->largest);
	store_get_stat(site.store, &stat);
	ck_assert_uint_le(
	    stat.waiting_bytes + MEMTABLE_NODE_COST * memtable->nodes_count,
	    2 * BYTES_MAX + 4 * writer->largest);
}

START_TEST(memtable_log_holds_two_rounds)
{
	struct writer writer = { 0 };

	rng_init(&writer.rng, (uint64_t)_i + 1);
	for (int part = 0; part < 2; part++) {
		const struct burst *burst = &bursts[_i][part];

		for (unsigned i = 0; i < burst->commits; i++) {
			write_commit(&writer, burst);
			/* Looking takes time. */
			if (i % 10 == 0)
				expect_two_rounds(&writer);
		}
	}
}
END_TEST

/*
 * A part of the records is cut with the same part of a round: where many small
 * ones come before few large ones in each, the large ones stay while the next
 * come, and that is up to one round more.
 */
START_TEST(memtable_log_of_uneven_rounds_holds_three)
{
	static const struct burst small = { 1, 1, 0, RANDOM };
	static const struct burst large = { 1, 1, LARGE, RANDOM };
	struct writer writer = { 0 };
	uint64_t most = 0;

	rng_init(&writer.rng, 1);
	for (int i = 0; i < 2000; i++) {
		uint64_t left = memtable_of(site.store)->round.left;
		bool at_begin = left > BYTES_MAX / 5 * 4;

		write_commit(&writer, at_begin ? &small : &large);
		most = MAX(most, memtable_site_log(&site).cost);
	}
	ck_assert_uint_le(most, 3 * BYTES_MAX + 4 * writer.largest);
}
END_TEST

/* However soon each comes: no round has ended then, when it is opened again. */
START_TEST(memtable_log_holds_two_rounds_over_restarts)
{
	const struct burst *burst = &bursts[_i][0];
	struct writer writer = { 0 };
	uint64_t cost = MEMTABLE_NODE_COST + 4 + burst->value_size;
	uint64_t commits = BYTES_MAX / 10 * 9 / (cost * burst->records);
	uint64_t first = 0;

	rng_init(&writer.rng, (uint64_t)_i + 1);
	for (int restart = 0; restart < 40; restart++) {
		for (unsigned i = 0; i < MAX(commits, 1); i++)
			write_commit(&writer, burst);
		memtable_site_reopen(&site, BYTES_MAX);
		expect_two_rounds(&writer);
		/* The second round is over then, and the first is cut. */
		if (restart > 4)
			ck_assert_uint_gt(
			    memtable_site_log(&site).first, first);
		first = memtable_site_log(&site).first;
	}
}
END_TEST

/* ---- What a commit does ---- */

/* As in the module. */
#define SHARE_MAX  4
#define SHARE_MIN  1000
#define MANY_BYTES 2000000

/* Nine tenths of a round of small ones, and what makes up the rest. */
static const struct burst many = { 1, 13000, 4, RISING };
static const struct burst more = { 1, 200, LARGE, RISING };
static const struct burst one = { 1, 1, 4, HOT };

/* All of a round is ahead: it began with what was behind the one before. */
static void
fill_round(struct writer *writer)
{
	memtable_site_reopen(&site, MANY_BYTES);
	memtable_site_commit(&site, MEMTABLE_B, "hand", "1");
	ck_assert_uint_eq(memtable_of(site.store)->nodes_count, 0);
	write_commit(writer, &many);
	write_commit(writer, &more);
	ck_assert_uint_eq(
	    memtable_of(site.store)->nodes_ahead, many.records + more.records);
}

/* As many as it may. */
static void
commit_more(struct writer *writer)
{
	/* Begin, commit, the record of the round and the cut are others. */
	uint64_t most = SHARE_MAX * more.records + SHARE_MIN;
	uint64_t nodes = memtable_of(site.store)->nodes_count;
	uint64_t before = store_mem_operations_count(site.disk);

	write_commit(writer, &more);
	ck_assert_uint_le(store_mem_operations_count(site.disk) - before,
	    4 + more.records + most);
	ck_assert_uint_eq(
	    memtable_of(site.store)->nodes_count, nodes + more.records - most);
}

/* So that all of a round's bytes are used, and a third of it is ahead. */
static void
commit_round(struct writer *writer)
{
	unsigned commits = MANY_BYTES / (more.records * LARGEST) + 1;

	for (unsigned i = 0; i < commits; i++)
		commit_more(writer);
	ck_assert_uint_eq(memtable_of(site.store)->round.left, 0);
	ck_assert_uint_gt(
	    memtable_of(site.store)->nodes_ahead, many.records / 3);
}

START_TEST(memtable_commit_moves_no_more_than_its_cap)
{
	struct writer writer = { 0 };
	struct memtable *memtable;

	rng_init(&writer.rng, 1);
	fill_round(&writer);
	commit_round(&writer);
	/* The round goes on, until all is merged. */
	memtable = memtable_of(site.store);
	while (memtable->round.left == 0) {
		uint64_t nodes = memtable->nodes_count;

		write_commit(&writer, &one);
		ck_assert_uint_lt(memtable->nodes_count, nodes);
		ck_assert_uint_ge(
		    memtable->nodes_count + SHARE_MIN + SHARE_MAX, nodes);
	}
	ck_assert_uint_le(memtable->nodes_count, 7);
}
END_TEST

START_TEST(memtable_says_what_a_commit_would_move)
{
	struct writer writer = { 0 };
	struct store_txn *txn;
	uint64_t bytes;

	ck_assert_uint_eq(store_get_commit_bytes(site.store), 0);
	fill_round(&writer);
	ck_assert_uint_eq(store_get_commit_bytes(site.store), 0);
	txn = memtable_site_begin(&site, true);
	memtable_site_put(txn, MEMTABLE_B, "k", "1");
	bytes = store_get_commit_bytes(site.store);
	ck_assert_uint_gt(bytes, 0);
	ck_assert_uint_le(bytes, UINT64_C(4096));
	store_abort(txn);
	ck_assert_uint_eq(store_get_commit_bytes(site.store), 0);
	commit_round(&writer);
	/* At most a page of 4 KiB for each. */
	bytes = store_get_commit_bytes(site.store);
	ck_assert_uint_gt(bytes, 0);
	ck_assert_uint_le(bytes, SHARE_MIN * UINT64_C(4096));
}
END_TEST

/* ---- The suite ---- */

static void
add_bounds(TCase *tests)
{
	tcase_add_loop_test(
	    tests, memtable_log_holds_two_rounds, 0, ARRAY_COUNT(bursts));
	tcase_add_test(tests, memtable_log_of_uneven_rounds_holds_three);
	tcase_add_loop_test(
	    tests, memtable_log_holds_two_rounds_over_restarts, 0, 8);
	tcase_add_test(tests, memtable_commit_moves_no_more_than_its_cap);
	tcase_add_test(tests, memtable_says_what_a_commit_would_move);
}

Suite *
store_memtable_log_suite(void)
{
	Suite *suite = suite_create("store_memtable_log");
	TCase *bounds = tcase_create("bounds");

	tcase_add_checked_fixture(bounds, set_up, tear_down);
	add_bounds(bounds);
	suite_add_tcase(suite, bounds);
	return suite;
}
