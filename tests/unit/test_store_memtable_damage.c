/*
 * The log of a store with a memtable: a damaged one is not opened, and what is
 * damaged later is found, by commits and by scrubbing.
 */

#include "common/buf.h"
#include "common/codec.h"
#include "common/hash.h"
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

static struct slice
log_key(uint64_t sequence)
{
	static uint8_t memory[sizeof(uint64_t)];

	codec_store_u64(memory, sequence);
	return slice_of(memory, sizeof(memory));
}

/* ---- A damaged log ---- */

/* Of the record of a round: the numbers. */
struct numbers {
	uint64_t left;
	uint64_t began;
	uint64_t useless;
	uint64_t first;
};

/* The sequence numbers after fill_log, the last two of a second commit. */
enum {
	LOG_THROUGH,
	LOG_LONG_PUT,
	LOG_PUT,
	LOG_FIRST_ROUND,
	LOG_SECOND_PUT,
	LOG_ROUND,
	LOG_END
};

static void
expect_open(int code)
{
	ck_assert_int_eq(memtable_site_open(&site), code);
}

static void
fill_log(void)
{
	struct store_txn *txn = memtable_site_begin(&site, true);

	/* In the log they are the other way round. */
	memtable_site_put(txn, MEMTABLE_A, "k", "1");
	memtable_site_put(txn, MEMTABLE_B, "l", "22");
	memtable_site_put(txn, MEMTABLE_B, "m", "333");
	ck_assert_int_eq(
	    store_delete(txn, MEMTABLE_B, slice_from_text("m")), 0);
	ck_assert_int_eq(store_commit(txn), 0);
	memtable_site_commit(&site, MEMTABLE_A, "n", "1");
	ck_assert_uint_eq(memtable_site_log(&site).first, 0);
	ck_assert_uint_eq(memtable_site_log(&site).count, LOG_END);
}

static void
remove_record(uint64_t sequence)
{
	ck_assert(store_mem_replace(
	    site.disk, MEMTABLE_LOG, log_key(sequence), slice_of(NULL, 0)));
}

/* Seal, kind, table and size of the key, which all records have; the key and the
 * value. The hand is at "k". */
#define SEAL_SIZE  5
#define HEAD_SIZE  (SEAL_SIZE + 4)
#define ROUND_SIZE 32

static const struct {
	uint64_t sequence;
	size_t size;
} sizes[] = {
	{ LOG_THROUGH, HEAD_SIZE + 1 },
	{ LOG_LONG_PUT, HEAD_SIZE + 1 + 2 },
	{ LOG_PUT, HEAD_SIZE + 1 + 1 },
	{ LOG_ROUND, HEAD_SIZE + 1 + ROUND_SIZE },
};

START_TEST(memtable_log_with_a_flipped_bit_is_corrupt)
{
	fill_log();
	for (uint64_t bit = 0; bit < 8 * sizes[_i].size; bit++) {
		struct slice key = log_key(sizes[_i].sequence);

		ck_assert(
		    store_mem_flip_bit(site.disk, MEMTABLE_LOG, key, bit));
		expect_open(ERR_CORRUPT);
		ck_assert(
		    store_mem_flip_bit(site.disk, MEMTABLE_LOG, key, bit));
		/* Nor was it another bit twice. */
		expect_open(0);
	}
	ck_assert(store_mem_flip_bit(site.disk, MEMTABLE_LOG,
	    log_key(sizes[_i].sequence), 8 * sizes[_i].size));
	ck_assert(store_mem_flip_bit(
	    site.disk, MEMTABLE_LOG, log_key(sizes[_i].sequence), 0));
	expect_open(0);
}
END_TEST

/* The first, the last, or one between. */
START_TEST(memtable_log_that_lost_a_record_is_corrupt)
{
	fill_log();
	remove_record((uint64_t)_i);
	expect_open(ERR_CORRUPT);
}
END_TEST

/* As the log has them, and sound but for what is wrong with it. */
struct record {
	const char *name;
	unsigned version;
	unsigned kind;
	unsigned table;
	size_t key_size;
	size_t value_size;
	int code;
};

static const struct record records[] = {
	{ "sound", 1, MEMTABLE_PUT, MEMTABLE_A, 1, 1, 0 },
	{ "largest", 1, MEMTABLE_PUT, MEMTABLE_B, STORE_KEY_SIZE_MAX,
	    STORE_MEMTABLE_RECORD_MAX - STORE_KEY_SIZE_MAX, 0 },
	{ "no value", 1, MEMTABLE_PUT, MEMTABLE_A, 1, 0, 0 },
	{ "gone through", 1, MEMTABLE_THROUGH, MEMTABLE_A, 1, 0, 0 },
	{ "a round", 1, MEMTABLE_ROUND, MEMTABLE_A, STORE_KEY_SIZE_MAX,
	    ROUND_SIZE, 0 },
	{ "a round where nothing gathers", 1, MEMTABLE_ROUND, MEMTABLE_PLAIN, 1,
	    ROUND_SIZE, ERR_CORRUPT },
	{ "a round's begin", 1, MEMTABLE_ROUND, MEMTABLE_A, 0, ROUND_SIZE, 0 },
	{ "later version", 2, MEMTABLE_PUT, MEMTABLE_A, 1, 1, ERR_VERSION },
	{ "later version's kind", 255, 77, MEMTABLE_A, 1, 1, ERR_VERSION },
	{ "version 0", 0, MEMTABLE_PUT, MEMTABLE_A, 1, 1, ERR_CORRUPT },
	{ "kind 0", 1, 0, MEMTABLE_A, 1, 0, ERR_CORRUPT },
	{ "unknown kind", 1, MEMTABLE_ROUND + 1, MEMTABLE_A, 1, 0,
	    ERR_CORRUPT },
	{ "does not gather", 1, MEMTABLE_PUT, MEMTABLE_PLAIN, 1, 1,
	    ERR_CORRUPT },
	{ "through, does not gather", 1, MEMTABLE_THROUGH, MEMTABLE_PLAIN, 1, 0,
	    ERR_CORRUPT },
	{ "the log itself", 1, MEMTABLE_PUT, MEMTABLE_LOG, 1, 1, ERR_CORRUPT },
	{ "no table", 1, MEMTABLE_PUT, 255, 1, 1, ERR_CORRUPT },
	{ "a round in no table", 1, MEMTABLE_ROUND, MEMTABLE_LOG, 1, ROUND_SIZE,
	    ERR_CORRUPT },
	{ "empty key", 1, MEMTABLE_PUT, MEMTABLE_A, 0, 1, ERR_CORRUPT },
	{ "empty key, through", 1, MEMTABLE_THROUGH, MEMTABLE_A, 0, 0,
	    ERR_CORRUPT },
	{ "too large a key", 1, MEMTABLE_PUT, MEMTABLE_A,
	    STORE_KEY_SIZE_MAX + 1, 1, ERR_CORRUPT },
	{ "too large a key, of a round", 1, MEMTABLE_ROUND, MEMTABLE_A,
	    STORE_KEY_SIZE_MAX + 1, ROUND_SIZE, ERR_CORRUPT },
	{ "too large", 1, MEMTABLE_PUT, MEMTABLE_A, 1,
	    STORE_MEMTABLE_RECORD_MAX, ERR_CORRUPT },
	{ "a value gone through", 1, MEMTABLE_THROUGH, MEMTABLE_A, 1, 1,
	    ERR_CORRUPT },
	{ "a round without numbers", 1, MEMTABLE_ROUND, MEMTABLE_A, 1, 0,
	    ERR_CORRUPT },
	{ "a round of too few", 1, MEMTABLE_ROUND, MEMTABLE_A, 1,
	    ROUND_SIZE - 1, ERR_CORRUPT },
	{ "a round of too many", 1, MEMTABLE_ROUND, MEMTABLE_A, 1,
	    ROUND_SIZE + 1, ERR_CORRUPT },
};

/* The CRC is over the key, the version and what comes behind the CRC. */
static void
seal_record(struct buf *bytes, struct slice key)
{
	uint32_t crc = crc32c(crc32c(0, key), slice_of(bytes->data, 1));

	crc = crc32c(
	    crc, slice_of(bytes->data + SEAL_SIZE, bytes->size - SEAL_SIZE));
	codec_store_u32(bytes->data + 1, crc);
}

static void
encode(const struct record *record, const uint8_t *value, struct slice key,
    struct buf *to)
{
	static const uint8_t some[STORE_MEMTABLE_RECORD_MAX + 1];

	codec_append_u8(to, (uint8_t)record->version);
	codec_append_u32(to, 0);
	codec_append_u8(to, (uint8_t)record->kind);
	codec_append_u8(to, (uint8_t)record->table);
	codec_append_u16(to, (uint16_t)record->key_size);
	buf_append(to, some, record->key_size);
	buf_append(to, value == NULL ? some : value, record->value_size);
	seal_record(to, key);
}

static void
replace_record(
    uint64_t sequence, const struct record *record, const uint8_t *value)
{
	struct buf bytes = { 0 };

	encode(record, value, log_key(sequence), &bytes);
	ck_assert(store_mem_replace(
	    site.disk, MEMTABLE_LOG, log_key(sequence), buf_slice(&bytes)));
	buf_release(&bytes);
}

/* Or the scrub finds it while it runs, and after each opening again. */
START_TEST(memtable_log_of_no_use_is_read_as_well)
{
	const struct memtable *memtable = memtable_of(site.store);
	struct slice key;

	while (memtable->round.useless < memtable->log_first + 2)
		memtable_site_commit(&site, MEMTABLE_A, "k", "1");
	key = log_key(memtable->log_first + 1);
	if (_i == 0)
		ck_assert(store_mem_flip_bit(site.disk, MEMTABLE_LOG, key, 99));
	else
		ck_assert(store_mem_replace(
		    site.disk, MEMTABLE_LOG, key, slice_of(NULL, 0)));
	ck_assert_int_eq(memtable_site_open(&site), ERR_CORRUPT);
}
END_TEST

START_TEST(memtable_log_takes_sound_records_alone)
{
	const struct record *record = &records[_i];
	int code;

	fill_log();
	replace_record(LOG_LONG_PUT, record, NULL);
	code = memtable_site_open(&site);
	ck_assert_msg(
	    code == record->code, "%s: '%s'", record->name, err_text(code));
}
END_TEST

/* The same; but what is last has to be of a round. */
START_TEST(memtable_log_ends_with_a_sound_round)
{
	const struct record *record = &records[_i];
	bool of_round = record->kind == MEMTABLE_ROUND;
	int wanted =
	    record->code == 0 && !of_round ? ERR_CORRUPT : record->code;
	int code;

	fill_log();
	replace_record(LOG_ROUND, record, NULL);
	code = memtable_site_open(&site);
	ck_assert_msg(code == wanted, "%s: '%s'", record->name, err_text(code));
}
END_TEST

/* A sound record, but for its end. */
START_TEST(memtable_log_record_that_is_cut_off_is_corrupt)
{
	struct buf bytes = { 0 };

	fill_log();
	encode(&records[0], NULL, log_key(1), &bytes);
	bytes.size = (size_t)_i;
	if (bytes.size >= SEAL_SIZE)
		seal_record(&bytes, log_key(1));
	ck_assert(store_mem_replace(site.disk, MEMTABLE_LOG, log_key(1),
	    slice_of(bytes.data, bytes.size)));
	buf_release(&bytes);
	expect_open(ERR_CORRUPT);
}
END_TEST

static const struct {
	struct numbers numbers;
	uint64_t lost; /* so many from the first on */
	int code;
} rounds[] = {
	{ { 1, 0, 0, 0 }, 0, 0 },
	{ { 0, 4, 2, 0 }, 0, 0 },
	{ { UINT64_MAX, 5, 5, 0 }, 0, 0 },
	{ { 1, 5, 5, 5 }, 5, 0 },
	{ { 1, 5, 3, 2 }, 2, 0 },
	/* It begins elsewhere. */
	{ { 1, 4, 2, 1 }, 0, ERR_CORRUPT },
	{ { 1, 4, 2, 0 }, 1, ERR_CORRUPT },
	{ { 1, 4, 2, 2 }, 1, ERR_CORRUPT },
	/* first > useless > began > its own number. */
	{ { 1, 4, 2, 3 }, 3, ERR_CORRUPT },
	{ { 1, 2, 3, 0 }, 0, ERR_CORRUPT },
	{ { 1, 6, 2, 0 }, 0, ERR_CORRUPT },
	{ { 1, 6, 6, 5 }, 5, ERR_CORRUPT },
	{ { 1, 6, 6, 6 }, 5, ERR_CORRUPT },
	{ { 1, UINT64_MAX, 2, 0 }, 0, ERR_CORRUPT },
	{ { 1, UINT64_MAX, UINT64_MAX, UINT64_MAX }, 0, ERR_CORRUPT },
};

static const struct record round_record = { "a round", 1, MEMTABLE_ROUND,
	MEMTABLE_A, 1, ROUND_SIZE, 0 };

static void
store_numbers(const struct numbers *numbers, uint8_t to[ROUND_SIZE])
{
	codec_store_u64(to, numbers->left);
	codec_store_u64(to + 8, numbers->began);
	codec_store_u64(to + 16, numbers->useless);
	codec_store_u64(to + 24, numbers->first);
}

START_TEST(memtable_log_of_a_round_with_wrong_numbers_is_corrupt)
{
	uint8_t value[ROUND_SIZE];

	fill_log();
	store_numbers(&rounds[_i].numbers, value);
	replace_record(LOG_ROUND, &round_record, value);
	for (uint64_t i = 0; i < rounds[_i].lost; i++)
		remove_record(i);
	expect_open(rounds[_i].code);
}
END_TEST

/* No commit could follow it. */
START_TEST(memtable_log_that_ends_with_the_last_number_is_corrupt)
{
	struct numbers numbers = { 1, UINT64_MAX, UINT64_MAX, UINT64_MAX };
	uint8_t value[ROUND_SIZE];
	struct buf bytes = { 0 };
	struct store_txn *txn;
	struct store *disk;

	store_numbers(&numbers, value);
	encode(&round_record, value, log_key(UINT64_MAX), &bytes);
	store_close(site.store);
	site.store = NULL;
	disk = store_mem_open(site.disk);
	ck_assert_int_eq(store_begin(disk, true, &txn), 0);
	ck_assert_int_eq(store_put(txn, MEMTABLE_LOG, log_key(UINT64_MAX),
			     buf_slice(&bytes)),
	    0);
	ck_assert_int_eq(store_commit(txn), 0);
	store_close(disk);
	buf_release(&bytes);
	expect_open(ERR_CORRUPT);
}
END_TEST

START_TEST(memtable_log_that_is_lost_is_empty)
{
	fill_log();
	for (uint64_t i = 0; i < LOG_END; i++)
		remove_record(i);
	expect_open(0);
	ck_assert_uint_eq(memtable_of(site.store)->nodes_count, 0);
}
END_TEST

/* Something is in the way of the next commit, or gone from under it. */
START_TEST(memtable_commit_finds_that_the_log_has_changed)
{
	struct store_txn *txn;
	int code = 0;

	memtable_site_reopen(&site, 1);
	fill_log();
	remove_record(LOG_PUT);
	for (int i = 0; code == 0 && i < 3; i++) {
		txn = memtable_site_begin(&site, true);
		memtable_site_put(txn, MEMTABLE_A, "k", "1");
		code = store_commit(txn);
	}
	ck_assert_int_eq(code, ERR_CORRUPT);
}
END_TEST

START_TEST(memtable_opening_fails_as_the_store_below)
{
	uint64_t n = 0;
	int code;

	fill_log();
	do {
		store_close(site.store);
		site.store = NULL;
		store_mem_fail_operation(site.disk, ++n, ERR_IO);
		code = memtable_site_open(&site);
		ck_assert(code == 0 || code == ERR_IO);
	} while (code != 0);
	/* A transaction, a cursor, the last record, and all. */
	ck_assert_uint_eq(n, 3 + LOG_END + 1);
}
END_TEST

/* ---- Scrubbing ---- */

/* Reads all that is left of a scrub, and says how many steps that took. */
static int
scrub_all(struct store_scrub *scrub, size_t bytes_max, uint64_t *ret_steps)
{
	struct store_txn *txn = memtable_site_begin(&site, false);
	int code = 0;

	*ret_steps = 0;
	while (code == 0) {
		size_t bytes;

		code = store_scrub_step(txn, scrub, bytes_max, &bytes);
		*ret_steps += code == 0;
	}
	store_abort(txn);
	return code;
}

START_TEST(memtable_scrub_reads_each_record_once)
{
	struct store_scrub scrub = { 0 };
	uint64_t before;
	uint64_t steps;

	ck_assert_int_eq(scrub_all(&scrub, 1, &steps), ERR_NOT_FOUND);
	ck_assert_uint_eq(steps, 0);
	fill_log();
	scrub = (struct store_scrub){ 0 };
	before = store_mem_operations_count(site.disk);
	ck_assert_int_eq(scrub_all(&scrub, 1, &steps), ERR_NOT_FOUND);
	ck_assert_uint_eq(steps, LOG_END);
	/* The transaction; a cursor and a move for each. */
	ck_assert_uint_eq(
	    store_mem_operations_count(site.disk) - before, 1 + 2 * LOG_END);
	scrub = (struct store_scrub){ 0 };
	before = store_mem_operations_count(site.disk);
	ck_assert_int_eq(scrub_all(&scrub, SIZE_MAX, &steps), ERR_NOT_FOUND);
	ck_assert_uint_eq(steps, 1);
	ck_assert_uint_eq(
	    store_mem_operations_count(site.disk) - before, 2 + LOG_END);
}
END_TEST

static size_t
scrub_one(struct store_scrub *scrub)
{
	struct store_txn *txn = memtable_site_begin(&site, true);
	size_t bytes;

	ck_assert_int_eq(store_scrub_step(txn, scrub, 1, &bytes), 0);
	store_abort(txn);
	return bytes;
}

/* What is appended meanwhile is for the next, and what is cut is no damage. */
START_TEST(memtable_scrub_goes_on_beside_commits)
{
	struct store_scrub scrub = { 0 };
	uint64_t steps;

	fill_log();
	(void)scrub_one(&scrub);
	memtable_site_commit(&site, MEMTABLE_A, "k", "1");
	ck_assert_uint_eq(memtable_site_log(&site).count, LOG_END + 2);
	ck_assert_int_eq(scrub_all(&scrub, 1, &steps), ERR_NOT_FOUND);
	ck_assert_uint_eq(steps, LOG_END - 1);
	scrub = (struct store_scrub){ 0 };
	(void)scrub_one(&scrub);
	memtable_site_reopen(&site, 1);
	for (int i = 0; i < 4; i++)
		memtable_site_commit(&site, MEMTABLE_A, "k", "1");
	ck_assert_uint_gt(memtable_site_log(&site).first, LOG_END + 2);
	ck_assert_int_eq(scrub_all(&scrub, 1, &steps), ERR_NOT_FOUND);
	ck_assert_uint_eq(steps, 0);
}
END_TEST

/* In the first records too, which opening does not read when they are useless. */
START_TEST(memtable_scrub_finds_damage)
{
	bool gap = _i >= LOG_END;
	uint64_t sequence = (uint64_t)_i % LOG_END;
	struct store_scrub scrub = { 0 };
	uint64_t steps;

	fill_log();
	if (gap)
		remove_record(sequence);
	else
		ck_assert(store_mem_flip_bit(
		    site.disk, MEMTABLE_LOG, log_key(sequence), 77));
	ck_assert_int_eq(scrub_all(&scrub, 1, &steps), ERR_CORRUPT);
	ck_assert_uint_eq(steps, sequence);
}
END_TEST

/* A commit is nothing to whoever began before it. */
START_TEST(memtable_scrub_by_a_reader_ends_where_it_began)
{
	struct store_txn *reader;
	struct store_scrub scrub = { 0 };
	size_t bytes;

	fill_log();
	reader = memtable_site_begin(&site, false);
	memtable_site_commit(&site, MEMTABLE_A, "k", "1");
	ck_assert_int_eq(store_scrub_step(reader, &scrub, SIZE_MAX, &bytes), 0);
	ck_assert_int_eq(
	    store_scrub_step(reader, &scrub, SIZE_MAX, &bytes), ERR_NOT_FOUND);
	store_abort(reader);
}
END_TEST

/* ---- The suite ---- */

static void
add_damage(TCase *tests)
{
	tcase_add_loop_test(tests, memtable_log_with_a_flipped_bit_is_corrupt,
	    0, ARRAY_COUNT(sizes));
	tcase_add_loop_test(
	    tests, memtable_log_that_lost_a_record_is_corrupt, 0, LOG_END);
	tcase_add_loop_test(
	    tests, memtable_log_of_no_use_is_read_as_well, 0, 2);
	tcase_add_loop_test(tests, memtable_log_takes_sound_records_alone, 0,
	    ARRAY_COUNT(records));
	tcase_add_loop_test(tests, memtable_log_ends_with_a_sound_round, 0,
	    ARRAY_COUNT(records));
	tcase_add_loop_test(tests,
	    memtable_log_record_that_is_cut_off_is_corrupt, 0, HEAD_SIZE);
	tcase_add_loop_test(tests,
	    memtable_log_of_a_round_with_wrong_numbers_is_corrupt, 0,
	    ARRAY_COUNT(rounds));
	tcase_add_test(
	    tests, memtable_log_that_ends_with_the_last_number_is_corrupt);
	tcase_add_test(tests, memtable_log_that_is_lost_is_empty);
	tcase_add_test(tests, memtable_commit_finds_that_the_log_has_changed);
	tcase_add_test(tests, memtable_opening_fails_as_the_store_below);
}

static void
add_scrubbing(TCase *tests)
{
	tcase_add_test(tests, memtable_scrub_reads_each_record_once);
	tcase_add_test(tests, memtable_scrub_goes_on_beside_commits);
	tcase_add_loop_test(tests, memtable_scrub_finds_damage, 0, 2 * LOG_END);
	tcase_add_test(tests, memtable_scrub_by_a_reader_ends_where_it_began);
}

Suite *
store_memtable_damage_suite(void)
{
	Suite *suite = suite_create("store_memtable_damage");
	TCase *damage = tcase_create("damage");
	TCase *scrubbing = tcase_create("scrubbing");

	tcase_add_checked_fixture(damage, set_up, tear_down);
	add_damage(damage);
	suite_add_tcase(suite, damage);
	tcase_add_checked_fixture(scrubbing, set_up, tear_down);
	add_scrubbing(scrubbing);
	suite_add_tcase(suite, scrubbing);
	return suite;
}
