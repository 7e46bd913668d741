/* The ten tables in a file: their names, and damage to whatever they hold. */

#include "common/codec.h"
#include "common/macros.h"
#include "common/rng.h"
#include "kv/kv_impl.h"
#include "store/store_lmdb_impl.h"
#include "tests/lib/temp_dir.h"
#include "tests/unit/suites.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAP_BYTES           (64u << 20)
#define TABLES_COUNT_BEFORE 2 /* that a program before histories knew */

static char *path;
static char file[256];
static char why[160];

static void
set_up(void)
{
	if (access("/dev/shm", W_OK) == 0)
		(void)setenv("TMPDIR", "/dev/shm", 0);
	path = temp_dir_make();
	(void)snprintf(file, sizeof(file), "%s/data.mdb", path);
}

static void
tear_down(void)
{
	temp_dir_remove(path);
}

static struct store_lmdb_params
params_of(unsigned tables_count)
{
	why[0] = '\0';
	return (struct store_lmdb_params){ .path = path,
		.tables = kv_tables,
		.tables_count = tables_count,
		.map_bytes = MAP_BYTES,
		.why = why,
		.why_size = sizeof(why) };
}

static int
open_store(unsigned tables_count, struct store **ret_store)
{
	struct store_lmdb_params params = params_of(tables_count);

	return store_lmdb_open(&params, ret_store);
}

/* ---- Names ---- */

/* So that a damaged name is not taken for another table, or for news. */
START_TEST(kv_tables_are_told_from_damaged_names)
{
	struct store_lmdb_params params = params_of(KV_TABLES_COUNT);

	for (unsigned i = 0; i < KV_TABLES_COUNT; i++) {
		struct slice name = slice_from_text(kv_tables[i]);
		char damaged[32];

		ck_assert_int_eq(
		    store_lmdb_judge_name(&params, name), LMDB_NAME_KNOWN);
		for (size_t bit = 0; bit < name.size * 8; bit++) {
			memcpy(damaged, name.data, name.size);
			damaged[bit / 8] ^= (char)(1u << bit % 8);
			ck_assert_int_eq(store_lmdb_judge_name(&params,
					     slice_of(damaged, name.size)),
			    LMDB_NAME_DAMAGED);
		}
	}
}
END_TEST

/* Each program leaves the file of the other alone, or makes it its own. */
START_TEST(kv_tables_of_another_version)
{
	struct store *store = NULL;

	ck_assert_int_eq(open_store(TABLES_COUNT_BEFORE, &store), 0);
	store_close(store);
	ck_assert_int_eq(open_store(KV_TABLES_COUNT, &store), 0);
	store_close(store);
	ck_assert_int_eq(open_store(KV_TABLES_COUNT, &store), 0);
	store_close(store);
}
END_TEST

/* ---- Damage to a file that has them all ---- */

#define KEYS 300

static struct kv *
open_kv(struct store *store)
{
	struct kv *kv = NULL;

	ck_assert_int_eq(kv_open(store, true, &kv), 0);
	return kv;
}

static void
apply(struct kv *kv, struct buf *command)
{
	struct kv_result result;
	uint64_t index = kv_applied_index(kv) + 1;

	ck_assert_int_eq(
	    kv_apply(kv, index, index * 1000, buf_slice(command), &result), 0);
	ck_assert_int_eq(result.status, KV_OK);
	buf_reset(command);
}

/* Puts a key with an identity; one in three on a lease, one with a TTL. */
static void
add_put(struct buf *command, uint64_t number)
{
	static const enum kv_lifetime lifetimes[] = { KV_LIFETIME_NONE,
		KV_LIFETIME_LEASE, KV_LIFETIME_TTL };
	uint8_t key[40] = "key";
	uint8_t value[100] = { 0 };
	struct kv_identity identity = { .key = slice_of(key, 11) };
	struct kv_op op = { .kind = KV_PUT,
		.key = slice_of(key, sizeof(key)),
		.value = slice_of(value, (size_t)(number % sizeof(value))),
		.lifetime = lifetimes[number % ARRAY_COUNT(lifetimes)],
		.ttl_us = 3600000000,
		.lease = 1 + number % 7 };

	codec_store_u64(key + 3, number * 7919);
	kv_encode_transaction(command, &identity);
	kv_encode_op(command, KV_THEN, &op);
}

static void
add_lock(struct buf *command, uint64_t number)
{
	struct kv_lock_request request = { .name = slice_from_text("lock"),
		.token = 1000 + number,
		.ttl_us = 3600000000,
		.wait_us = 3600000000 };

	kv_encode_lock(command, NULL, &request);
}

/* Many records in each table, over several checkpoints. */
static uint64_t
fill(void)
{
	struct store *store = NULL;
	struct buf command = { 0 };
	struct kv *kv;
	uint64_t hash;

	ck_assert_int_eq(open_store(KV_TABLES_COUNT, &store), 0);
	kv = open_kv(store);
	for (uint64_t lease = 1; lease <= 7; lease++) {
		kv_encode_grant(&command, NULL, lease, 3600000000);
		apply(kv, &command);
	}
	for (uint64_t i = 0; i < KEYS; i++) {
		struct slice key;
		uint8_t bytes[40] = "key";

		add_put(&command, i);
		apply(kv, &command);
		add_lock(&command, i);
		apply(kv, &command);
		codec_store_u64(bytes + 3, i * 7919);
		key = slice_of(bytes, sizeof(bytes));
		if (i % 2 == 0) {
			kv_encode_delete(&command, key);
			apply(kv, &command);
		}
		if (i % 50 == 0)
			ck_assert_int_eq(kv_checkpoint(kv), 0);
	}
	ck_assert_int_eq(kv_checkpoint(kv), 0);
	for (unsigned i = KV_TABLE_META + 1; i < KV_TABLES_COUNT; i++)
		ck_assert_uint_ge(kv->state.sums[i].count, KEYS / 6);
	hash = kv_state_hash(kv);
	kv_close(kv);
	store_close(store);
	buf_release(&command);
	return hash;
}

/* True: it was refused. Else it is the state that it was. */
static bool
is_refused(uint64_t hash)
{
	struct store *store = NULL;
	struct kv *kv = NULL;
	int code = open_store(KV_TABLES_COUNT, &store);

	if (code == 0)
		code = kv_open(store, true, &kv);
	if (code == 0)
		ck_assert_uint_eq(kv_state_hash(kv), hash);
	kv_close(kv);
	store_close(store);
	ck_assert(code == 0 || code == ERR_CORRUPT);
	return code != 0;
}

/*
 * Any byte of the file, changed in any way: it is found at open, or was none
 * that counts. The seed is the iteration.
 */
START_TEST(kv_damage_anywhere_in_the_file_is_found_or_harmless)
{
	uint64_t hash = fill();
	unsigned refused = 0;
	struct stat info;
	struct rng rng;
	int fd;

	rng_init(&rng, (uint64_t)_i);
	ck_assert(!is_refused(hash));
	for (unsigned i = 0; i < 150; i++) {
		uint8_t byte;
		uint8_t damaged;
		off_t at;

		fd = open(file, O_RDWR);
		ck_assert_int_eq(fstat(fd, &info), 0);
		at = (off_t)rng_below(&rng, (uint64_t)info.st_size);
		ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
		damaged = byte ^ (uint8_t)rng_between(&rng, 1, 255);
		ck_assert_int_eq(pwrite(fd, &damaged, 1, at), 1);
		refused += is_refused(hash);
		ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
		(void)close(fd);
	}
	ck_assert_uint_gt(refused, 20);
	ck_assert(!is_refused(hash));
}
END_TEST

Suite *
kv_tables_suite(void)
{
	Suite *suite = suite_create("kv_tables");
	TCase *core = tcase_create("core");

	tcase_add_checked_fixture(core, set_up, tear_down);
	tcase_add_test(core, kv_tables_are_told_from_damaged_names);
	tcase_add_test(core, kv_tables_of_another_version);
	tcase_add_loop_test(
	    core, kv_damage_anywhere_in_the_file_is_found_or_harmless, 0, 4);
	suite_add_tcase(suite, core);
	return suite;
}
