/* What the structure of a data file must be, and that damage to it is seen. */

#include "common/buf.h"
#include "common/codec.h"
#include "common/macros.h"
#include "common/mem.h"
#include "common/rng.h"
#include "store/store_lmdb_impl.h"
#include "tests/lib/temp_dir.h"
#include "tests/unit/suites.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAP_BYTES      (64u << 20)
#define TABLES_COUNT   3
#define KEYS_COUNT     600
#define VALUE_SIZE_MAX 30000
#define PAGE_SIZE      4096

static const char *const table_names[TABLES_COUNT] = { "a", "b", "c" };

static char *path;
static char *data_file;
static char why[160];

static char *
name_of_file(const char *directory)
{
	struct buf name = { 0 };
	size_t size;

	buf_printf(&name, "%s/data.mdb", directory);
	buf_append(&name, "", 1);
	return (char *)buf_detach(&name, &size);
}

/* Thousands of files are made: in memory, where that can be. */
static void
set_up(void)
{
	if (access("/dev/shm", W_OK) == 0)
		(void)setenv("TMPDIR", "/dev/shm", 0);
	path = temp_dir_make();
	data_file = name_of_file(path);
}

static void
tear_down(void)
{
	free(data_file);
	temp_dir_remove(path);
}

static struct store_lmdb_params
params_of(const char *directory, unsigned tables_count)
{
	why[0] = '\0';
	return (struct store_lmdb_params){ .path = directory,
		.tables = table_names,
		.tables_count = tables_count,
		.map_bytes = MAP_BYTES,
		.why = why,
		.why_size = sizeof(why) };
}

static int
open_store_at(const char *directory, struct store **ret_store)
{
	struct store_lmdb_params params = params_of(directory, TABLES_COUNT);

	return store_lmdb_open(&params, ret_store);
}

static struct store *
must_open(void)
{
	struct store *store = NULL;
	int code = open_store_at(path, &store);

	ck_assert_msg(code == 0, "%s: %s", err_text(code), why);
	return store;
}

static struct store_txn *
begin(struct store *store, bool write)
{
	struct store_txn *txn = NULL;

	ck_assert_int_eq(store_begin(store, write, &txn), 0);
	return txn;
}

/* ---- Random contents ---- */

/* Sizes from 1 to the largest, all letters alike but for the number. */
static struct slice
key_of(uint64_t number, uint8_t *bytes)
{
	size_t size = 8 + number * 37 % (STORE_KEY_SIZE_MAX - 7);

	memset(bytes, 'k', size);
	codec_store_u64(bytes, number);
	return slice_of(bytes, size);
}

/* Mostly small, some that fill a page, some that take several. */
static size_t
random_size(struct rng *rng)
{
	switch (rng_below(rng, 8)) {
	case 0: return (size_t)rng_below(rng, VALUE_SIZE_MAX);
	case 1: return (size_t)rng_between(rng, 1000, 5000);
	case 2: return 0;
	default: return (size_t)rng_below(rng, 200);
	}
}

static void
change(struct store_txn *txn, struct rng *rng)
{
	static uint8_t value[VALUE_SIZE_MAX];
	uint8_t bytes[STORE_KEY_SIZE_MAX];
	struct slice key = key_of(rng_below(rng, KEYS_COUNT), bytes);
	store_table table = (store_table)rng_below(rng, TABLES_COUNT);
	int code = 0;

	if (rng_below(rng, 3) != 0) {
		memset(value, (int)rng_below(rng, 256), sizeof(value));
		code = store_put(
		    txn, table, key, slice_of(value, random_size(rng)));
	} else {
		code = store_delete(txn, table, key);
	}
	ck_assert(code == 0 || code == ERR_NOT_FOUND);
}

static void
change_often(struct store_txn *txn, struct rng *rng, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		change(txn, rng);
	if (rng_below(rng, 100) == 0)
		ck_assert_int_eq(
		    store_clear(txn, (store_table)rng_below(rng, TABLES_COUNT)),
		    0);
}

/* Commits, aborts, and now and then a reader that holds what was freed. */
static void
transact(struct store *store, struct rng *rng, unsigned count)
{
	struct store_txn *reader = NULL;

	for (unsigned i = 0; i < count; i++) {
		struct store_txn *txn = begin(store, true);

		change_often(txn, rng, (unsigned)rng_between(rng, 1, 40));
		if (reader == NULL && rng_below(rng, 10) == 0)
			reader = begin(store, false);
		if (rng_below(rng, 10) == 0)
			store_abort(txn);
		else
			ck_assert_int_eq(store_commit(txn), 0);
		if (reader != NULL && rng_below(rng, 5) == 0) {
			store_abort(reader);
			reader = NULL;
		}
	}
	if (reader != NULL)
		store_abort(reader);
}

/* ---- Whole files ---- */

START_TEST(check_takes_what_random_transactions_leave)
{
	struct rng rng;

	rng_init(&rng, (uint64_t)_i);
	for (unsigned round = 0; round < 15; round++) {
		struct store *store = must_open();

		transact(store, &rng, (unsigned)rng_between(&rng, 1, 30));
		store_close(store);
	}
	store_close(must_open());
}
END_TEST

static void
copy_file(const char *to_directory)
{
	char *to = name_of_file(to_directory);
	uint8_t *bytes = mem_alloc(MAP_BYTES);
	int fd = open(data_file, O_RDONLY);
	ssize_t size = read(fd, bytes, MAP_BYTES);

	ck_assert_int_gt(size, 0);
	(void)close(fd);
	fd = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ck_assert_int_eq(write(fd, bytes, (size_t)size), size);
	(void)close(fd);
	free(bytes);
	free(to);
}

/* Killed in the middle of a transaction: what the file has at that moment. */
START_TEST(check_takes_what_a_crash_leaves)
{
	struct store *store = must_open();
	struct rng rng;

	rng_init(&rng, (uint64_t)_i);
	for (unsigned round = 0; round < 10; round++) {
		char *other = temp_dir_make();
		struct store_txn *txn;
		struct store *copy = NULL;

		transact(store, &rng, 5);
		txn = begin(store, true);
		change_often(txn, &rng, 100);
		copy_file(other);
		ck_assert_msg(open_store_at(other, &copy) == 0, "%s", why);
		transact(copy, &rng, 3);
		store_close(copy);
		ck_assert_int_eq(store_commit(txn), 0);
		ck_assert_msg(open_store_at(other, &copy) == 0, "%s", why);
		store_close(copy);
		temp_dir_remove(other);
	}
	store_close(store);
}
END_TEST

/* LMDB keeps the pages of a large value when a small one comes in its place. */
START_TEST(check_takes_small_values_in_large_places)
{
	static const uint8_t value[VALUE_SIZE_MAX];
	struct slice key = slice_from_text("key");
	struct store *store = must_open();
	struct store_txn *txn = begin(store, true);

	ck_assert_int_eq(
	    store_put(txn, 0, key, slice_of(value, VALUE_SIZE_MAX)), 0);
	ck_assert_int_eq(store_put(txn, 0, key, slice_of(value, 10)), 0);
	ck_assert_int_eq(store_commit(txn), 0);
	store_close(store);
	store_close(must_open());
}
END_TEST

/* Pages that were taken at the end and given back need not be there. */
START_TEST(check_takes_a_file_that_is_short_of_free_pages)
{
	static const uint8_t value[VALUE_SIZE_MAX];
	struct slice key = slice_from_text("key");
	struct store *store = must_open();
	struct store_stat store_stat;
	struct store_txn *txn;
	struct stat info;
	struct rng rng;

	rng_init(&rng, 1);
	transact(store, &rng, 10);
	txn = begin(store, true);
	ck_assert_int_eq(store_put(txn, 1, key, slice_of(value, 10)), 0);
	for (unsigned i = 0; i < 100; i++)
		ck_assert_int_eq(store_put(txn, 0, slice_of(value, i + 1),
				     slice_of(value, VALUE_SIZE_MAX)),
		    0);
	for (unsigned i = 100; i > 0; i--)
		ck_assert_int_eq(store_delete(txn, 0, slice_of(value, i)), 0);
	ck_assert_int_eq(store_commit(txn), 0);
	store_get_stat(store, &store_stat);
	store_close(store);
	ck_assert_int_eq(stat(data_file, &info), 0);
	ck_assert_uint_lt((uint64_t)info.st_size, store_stat.file_bytes);
	store_close(must_open());
}
END_TEST

START_TEST(check_refuses_tables_of_unknown_names)
{
	struct store_lmdb_params params = params_of(path, TABLES_COUNT);
	struct store *store = NULL;

	store_close(must_open());
	params.tables_count--;
	ck_assert_int_eq(store_lmdb_open(&params, &store), ERR_CORRUPT);
	ck_assert_ptr_nonnull(strstr(why, "unknown name"));
	store_close(must_open());
}
END_TEST

/* Makes a file with the tables "a", "b", "c" and this one. */
static void
make_table(const char *name)
{
	const char *const names[] = { "a", "b", "c", name };
	struct store_lmdb_params params = params_of(path, 4);
	struct store *store = NULL;
	struct store_txn *txn;

	(void)unlink(data_file);
	params.tables = names;
	ck_assert_int_eq(store_lmdb_open(&params, &store), 0);
	txn = begin(store, true);
	for (unsigned i = 0; i < 100; i++) {
		uint8_t key[8];

		codec_store_u64(key, i);
		ck_assert_int_eq(store_put(txn, 3, slice_of(key, sizeof(key)),
				     slice_of(key, sizeof(key))),
		    0);
	}
	ck_assert_int_eq(store_commit(txn), 0);
	store_close(store);
}

/* A version that knows fewer tables must not take the file for damaged. */
START_TEST(check_tells_tables_of_another_version_from_damaged_names)
{
	static const struct {
		const char *name;
		int expected;
	} names[] = {
		{ "a.2", ERR_VERSION },
		{ "members", ERR_VERSION },
		{ "aa", ERR_VERSION },
		{ "d", ERR_CORRUPT }, /* "c" with a flipped byte */
		{ "a\x01", ERR_CORRUPT },
		{ "a b", ERR_CORRUPT },
		{ "caf\xc3\xa9", ERR_CORRUPT },
	};

	for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
		struct store *store = NULL;
		int code;

		make_table(names[i].name);
		code = open_store_at(path, &store);
		ck_assert_msg(code == names[i].expected, "%s: %s, %s",
		    names[i].name, err_text(code), why);
		ck_assert_ptr_nonnull(strstr(
		    why, code == ERR_VERSION ? names[i].name : "unknown name"));
	}
}
END_TEST

/* A bit of a known name, and it is damage that can be mended. */
START_TEST(check_takes_a_flipped_bit_of_a_name_for_damage)
{
	const char *const names[] = { "hard_state" };
	struct store_lmdb_params params = params_of(path, 1);
	struct store *store = NULL;
	char flipped[] = "hard_state";

	params.tables = names;
	for (unsigned bit = 0; bit < 8 * 10; bit++) {
		const char *const others[] = { flipped };
		struct store_lmdb_params other = params;

		flipped[bit / 8] = (char)(flipped[bit / 8] ^ 1 << bit % 8);
		(void)unlink(data_file);
		other.tables = others;
		ck_assert_int_eq(store_lmdb_open(&other, &store), 0);
		store_close(store);
		ck_assert_int_eq(store_lmdb_open(&params, &store), ERR_CORRUPT);
		flipped[bit / 8] = (char)(flipped[bit / 8] ^ 1 << bit % 8);
	}
}
END_TEST

/* A tree that is not sound is damage, whatever its name. */
START_TEST(check_looks_into_tables_of_another_version)
{
	struct store *store = NULL;
	struct stat info;
	uint8_t zeros[16] = { 0 };
	unsigned corrupt = 0;
	int fd;

	make_table("members");
	fd = open(data_file, O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(fstat(fd, &info), 0);
	for (off_t at = 2L * PAGE_SIZE; at < info.st_size; at += PAGE_SIZE) {
		uint8_t header[16];
		int code;

		ck_assert_int_eq(pread(fd, header, 16, at), 16);
		ck_assert_int_eq(pwrite(fd, zeros, 16, at), 16);
		code = open_store_at(path, &store);
		ck_assert(code == ERR_CORRUPT || code == ERR_VERSION);
		corrupt += code == ERR_CORRUPT;
		ck_assert_int_eq(pwrite(fd, header, 16, at), 16);
	}
	(void)close(fd);
	/* Roots of the table, the main tree and the free list. */
	ck_assert_uint_ge(corrupt, 3);
	ck_assert_int_eq(open_store_at(path, &store), ERR_VERSION);
}
END_TEST

START_TEST(check_refuses_a_file_cut_short)
{
	struct store *store = must_open();
	struct stat info;
	struct rng rng;

	rng_init(&rng, 1);
	transact(store, &rng, 20);
	store_close(store);
	ck_assert_int_eq(stat(data_file, &info), 0);
	ck_assert_int_eq(truncate(data_file, info.st_size / 2), 0);
	ck_assert_int_eq(open_store_at(path, &store), ERR_CORRUPT);
	ck_assert_ptr_nonnull(strstr(why, "page"));
}
END_TEST

/* ---- Damage ---- */

/* What a byte of the file is, as far as damage to it may go unseen. */
enum use {
	USE_OTHER,   /* seen, or of no consequence */
	USE_CONTENT, /* of a key or value */
	USE_SIZE     /* of a key's or value's size */
};

struct record {
	store_table table;
	struct buf key;
	struct buf value;
};

/* A small file, what is in it, and where. */
struct sample {
	struct record *records;
	unsigned count;
	uint8_t *uses;
	size_t size;
	int fd;
};

static void
mark(struct sample *sample, const uint8_t *map, const uint8_t *from,
    size_t size, enum use use)
{
	size_t at = (size_t)(from - map);

	ck_assert_uint_le(at + size, sample->size);
	memset(sample->uses + at, (int)use, size);
}

static void
note_record(struct sample *sample, const uint8_t *map, store_table table,
    struct slice key, struct slice value)
{
	struct record *record;

	sample->records = mem_realloc(
	    sample->records, sample->count + 1, sizeof(*sample->records));
	record = &sample->records[sample->count++];
	*record = (struct record){ .table = table };
	buf_append(&record->key, key.data, key.size);
	buf_append(&record->value, value.data, value.size);
	mark(sample, map, key.data, key.size, USE_CONTENT);
	mark(sample, map, value.data, value.size, USE_CONTENT);
	mark(sample, map, key.data - 8, 4, USE_SIZE);
	mark(sample, map, key.data - 2, 2, USE_SIZE);
}

static void
note_records(struct sample *sample, struct store *store)
{
	const uint8_t *map = store_lmdb_find_map(sample->fd, MAP_BYTES);
	struct store_txn *txn = begin(store, false);

	ck_assert_ptr_nonnull(map);
	for (store_table table = 0; table < TABLES_COUNT; table++) {
		struct store_cursor *cursor = NULL;
		struct slice key;
		struct slice value;

		ck_assert_int_eq(store_cursor_open(txn, table, &cursor), 0);
		while (store_cursor_move(cursor, STORE_NEXT, slice_of(NULL, 0),
			   &key, &value) == 0)
			note_record(sample, map, table, key, value);
		store_cursor_close(cursor);
	}
	store_abort(txn);
}

/* Trees of three and two levels, large values, and a list of free pages. */
static void
sample_init(struct sample *sample, uint64_t seed)
{
	struct store *store = must_open();
	struct store_txn *txn;
	struct stat info;
	struct rng rng;

	rng_init(&rng, seed);
	for (unsigned i = 0; i < 6; i++) {
		txn = begin(store, true);
		change_often(txn, &rng, 40);
		ck_assert_int_eq(store_commit(txn), 0);
	}
	*sample = (struct sample){ .fd = open(data_file, O_RDWR) };
	ck_assert_int_eq(fstat(sample->fd, &info), 0);
	sample->size = (size_t)info.st_size;
	sample->uses = mem_zalloc(1, sample->size);
	note_records(sample, store);
	store_close(store);
	ck_assert_uint_gt(sample->count, 50);
}

static void
sample_release(struct sample *sample)
{
	for (unsigned i = 0; i < sample->count; i++) {
		buf_release(&sample->records[i].key);
		buf_release(&sample->records[i].value);
	}
	free(sample->records);
	free(sample->uses);
	(void)close(sample->fd);
}

/* The key that the cursor found is found by search as well. */
static bool
is_found(struct store_txn *txn, store_table table, struct slice key,
    struct slice value)
{
	struct slice found;

	return store_get(txn, table, key, &found) == 0 &&
	       slice_equal(found, value);
}

/* As many records as before, in order, and unless `loose` the same. */
static bool
has_records(const struct sample *sample, struct store_txn *txn, bool loose)
{
	unsigned position = 0;
	bool good = true;

	for (store_table table = 0; table < TABLES_COUNT; table++) {
		struct store_cursor *cursor = NULL;
		struct slice key;
		struct slice value;

		good = good && store_cursor_open(txn, table, &cursor) == 0;
		while (good && position < sample->count &&
		       store_cursor_move(cursor, STORE_NEXT, slice_of(NULL, 0),
			   &key, &value) == 0) {
			struct record *record = &sample->records[position++];

			good = record->table == table &&
			       is_found(txn, table, key, value) &&
			       (loose ||
				   (slice_equal(key, buf_slice(&record->key)) &&
				       slice_equal(
					   value, buf_slice(&record->value))));
		}
		if (cursor != NULL)
			store_cursor_close(cursor);
	}
	return good && position == sample->count;
}

enum verdict { VERDICT_GOOD, VERDICT_NOT_OPENED, VERDICT_WRONG, VERDICT_LATER };

/* Opens, reads all, writes over what is free, and opens again. */
static enum verdict
use_file(const struct sample *sample, bool loose)
{
	struct store *store = NULL;
	struct store_txn *txn;
	struct rng rng;
	bool good;

	if (open_store_at(path, &store) != 0)
		return VERDICT_NOT_OPENED;
	txn = begin(store, false);
	good = has_records(sample, txn, loose);
	store_abort(txn);
	if (!good)
		return VERDICT_WRONG;
	rng_init(&rng, 1);
	transact(store, &rng, 1);
	store_close(store);
	if (open_store_at(path, &store) != 0)
		return VERDICT_LATER;
	store_close(store);
	return VERDICT_GOOD;
}

/* In a process of its own, in a copy of the file; a crash is its status. */
static int
use_file_in_child(const struct sample *sample, bool loose)
{
	pid_t child = fork();
	int status = 0;

	ck_assert_int_ge(child, 0);
	if (child == 0) {
		char *copy = temp_dir_make();

		copy_file(copy);
		path = copy;
		status = (int)use_file(sample, loose);
		temp_dir_remove(copy);
		_exit(status);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	return status;
}

static int
check_file(int fd)
{
	struct store_lmdb_params params = params_of(path, TABLES_COUNT);
	struct lmdb_metas metas;
	int code = store_lmdb_check_meta(fd, &metas);

	return code == 0 ? store_lmdb_check_pages(fd, &metas, &params) : code;
}

/* Damages the byte at an offset, and repairs it. True: it was refused. */
static bool
try_damage(struct sample *sample, size_t offset, uint8_t bits, uint64_t seed)
{
	enum use use = (enum use)sample->uses[offset];
	uint8_t byte;
	uint8_t other;
	int status = 0;
	int code;

	ck_assert_int_eq(pread(sample->fd, &byte, 1, (off_t)offset), 1);
	other = byte ^ bits;
	ck_assert_int_eq(pwrite(sample->fd, &other, 1, (off_t)offset), 1);
	code = check_file(sample->fd);
	if (code == 0)
		status = use_file_in_child(sample, use != USE_OTHER);
	ck_assert_int_eq(pwrite(sample->fd, &byte, 1, (off_t)offset), 1);
	ck_assert_msg(code == 0 || code == ERR_CORRUPT || code == ERR_VERSION,
	    "seed %u, page %zu, byte %zu ^ %02x: %s", (unsigned)seed,
	    offset / PAGE_SIZE, offset % PAGE_SIZE, bits, err_text(code));
	ck_assert_msg(status == 0,
	    "seed %u, page %zu, byte %zu ^ %02x (use %d): status %x",
	    (unsigned)seed, offset / PAGE_SIZE, offset % PAGE_SIZE, bits,
	    (int)use, (unsigned)status);
	return code != 0;
}

/* Bytes anywhere, of which most are contents or free. */
START_TEST(check_damage_anywhere)
{
	struct sample sample;
	struct rng rng;
	unsigned refused = 0;

	sample_init(&sample, (uint64_t)_i);
	rng_init(&rng, (uint64_t)_i + 1000);
	for (unsigned i = 0; i < 80; i++) {
		size_t offset = (size_t)rng_below(&rng, sample.size);
		uint8_t bits = (uint8_t)rng_between(&rng, 1, 255);

		if (try_damage(&sample, offset, bits, (uint64_t)_i))
			refused++;
	}
	ck_assert_uint_gt(refused, 0);
	sample_release(&sample);
}
END_TEST

/* Single bits of what is no content: nearly all of it structure or free. */
START_TEST(check_damage_to_the_structure)
{
	struct sample sample;
	struct rng rng;
	unsigned refused = 0;

	sample_init(&sample, (uint64_t)_i);
	rng_init(&rng, (uint64_t)_i + 2000);
	for (unsigned i = 0; i < 2000; i++) {
		size_t page = (size_t)rng_below(&rng, sample.size / PAGE_SIZE);
		/* Headers and offsets are at the page's begin. */
		size_t offset = page * PAGE_SIZE + (size_t)rng_below(&rng, 60);
		uint8_t bits = (uint8_t)(1u << rng_below(&rng, 8));

		if (sample.uses[offset] == USE_CONTENT)
			continue;
		if (try_damage(&sample, offset, bits, (uint64_t)_i))
			refused++;
	}
	ck_assert_uint_gt(refused, 100);
	sample_release(&sample);
}
END_TEST

/* The heads of the nodes, of which sizes alone may change within limits. */
START_TEST(check_damage_to_nodes)
{
	struct sample sample;
	struct rng rng;
	unsigned refused = 0;
	unsigned tried = 0;

	sample_init(&sample, (uint64_t)_i);
	rng_init(&rng, (uint64_t)_i + 3000);
	for (size_t at = 2 * PAGE_SIZE; at + 8 < sample.size; at++) {
		if (sample.uses[at] != USE_SIZE ||
		    sample.uses[at + 4] != USE_OTHER)
			continue;
		for (unsigned i = 0; i < 8; i++, tried++)
			if (try_damage(&sample, at + i,
				(uint8_t)(1u << rng_below(&rng, 8)),
				(uint64_t)_i))
				refused++;
		at += 7;
	}
	ck_assert_uint_gt(refused, tried / 2);
	sample_release(&sample);
}
END_TEST

/* The newer meta page: nothing in it that counts can change unseen. */
START_TEST(check_damage_to_the_newer_meta_page)
{
	struct sample sample;
	struct lmdb_metas metas;
	size_t begin_at;

	sample_init(&sample, (uint64_t)_i);
	ck_assert_int_eq(store_lmdb_check_meta(sample.fd, &metas), 0);
	begin_at = (size_t)(metas.newer.txn & 1) * PAGE_SIZE;
	for (size_t at = 0; at < LMDB_META_SIZE; at++)
		for (unsigned bit = 0; bit < 8; bit++) {
			/* Padding; the mapping's address and size. */
			bool idle = at == 8 || at == 9 || at == 12 ||
				    at == 13 || at == 14 || at == 15 ||
				    (at >= 24 && at < 40);
			bool refused = idle;

			if (!idle)
				refused = try_damage(&sample, begin_at + at,
				    (uint8_t)(1u << bit), (uint64_t)_i);
			ck_assert_msg(refused, "byte %zu, bit %u", at, bit);
		}
	sample_release(&sample);
}
END_TEST

Suite *
store_lmdb_check_suite(void)
{
	Suite *suite = suite_create("store_lmdb_check");
	TCase *core = tcase_create("core");

	tcase_add_checked_fixture(core, set_up, tear_down);
	tcase_add_loop_test(
	    core, check_takes_what_random_transactions_leave, 0, 4);
	tcase_add_loop_test(core, check_takes_what_a_crash_leaves, 0, 2);
	tcase_add_test(core, check_takes_small_values_in_large_places);
	tcase_add_test(core, check_takes_a_file_that_is_short_of_free_pages);
	tcase_add_test(core, check_refuses_tables_of_unknown_names);
	tcase_add_test(
	    core, check_tells_tables_of_another_version_from_damaged_names);
	tcase_add_test(core, check_takes_a_flipped_bit_of_a_name_for_damage);
	tcase_add_test(core, check_looks_into_tables_of_another_version);
	tcase_add_test(core, check_refuses_a_file_cut_short);
	tcase_add_loop_test(core, check_damage_anywhere, 0, 2);
	tcase_add_loop_test(core, check_damage_to_the_structure, 0, 2);
	tcase_add_test(core, check_damage_to_nodes);
	tcase_add_test(core, check_damage_to_the_newer_meta_page);
	suite_add_tcase(suite, core);
	return suite;
}
