/* The rules of the state machine; its faults are in test_kv_faults.c. */

#include "common/codec.h"
#include "common/macros.h"
#include "common/mem.h"
#include "common/rng.h"
#include "kv/kv_impl.h"
#include "tests/lib/kv_bench.h"
#include "tests/unit/suites.h"
#include <stdlib.h>

static struct kv_bench bench;

static void
set_up(void)
{
	kv_bench_init(&bench);
}

static void
tear_down(void)
{
	kv_bench_release(&bench);
}

static void
put_bytes(struct slice key, struct slice value)
{
	kv_bench_log_put(&bench, key, value);
	ck_assert_int_eq(kv_bench_replay(&bench), 0);
}

static void
put(const char *key, const char *value)
{
	put_bytes(slice_from_text(key), slice_from_text(value));
}

static void
remove_key(const char *key)
{
	kv_bench_log_delete(&bench, slice_from_text(key));
	ck_assert_int_eq(kv_bench_replay(&bench), 0);
}

static void
skip(void)
{
	kv_bench_log_skip(&bench);
	ck_assert_int_eq(kv_bench_replay(&bench), 0);
}

static void
crash(void)
{
	kv_bench_close(&bench);
	ck_assert_int_eq(kv_bench_open(&bench), 0);
}

static void
checkpoint(void)
{
	ck_assert_int_eq(kv_checkpoint(bench.kv), 0);
}

static void
expect_written(
    bool existed, uint64_t revision, uint64_t created, uint64_t version)
{
	struct kv_output output = kv_bench_output(&bench, 0);

	ck_assert_int_eq(bench.result.status, KV_OK);
	ck_assert(bench.result.changed);
	ck_assert_uint_eq(bench.result.revision, revision);
	ck_assert_int_eq(output.kind, KV_OUTPUT_WRITTEN);
	ck_assert_int_eq(output.exists, existed);
	ck_assert_uint_eq(output.modified, revision);
	ck_assert_uint_eq(output.created, created);
	ck_assert_uint_eq(output.version, version);
}

static void
expect_deleted(uint64_t count, uint64_t revision)
{
	struct kv_output output = kv_bench_output(&bench, 0);

	ck_assert_int_eq(bench.result.status, KV_OK);
	ck_assert_int_eq(bench.result.changed, count != 0);
	ck_assert_uint_eq(bench.result.revision, revision);
	ck_assert_int_eq(output.kind, KV_OUTPUT_DELETED);
	ck_assert_int_eq(output.exists, count != 0);
	ck_assert_uint_eq(output.count, count);
}

static struct kv_item
get(struct slice key)
{
	struct kv_item item = { 0 };

	ck_assert_int_eq(kv_get(bench.kv, key, &item), 0);
	return item;
}

static void
expect_missing(const char *key)
{
	struct kv_item item;

	ck_assert_int_eq(
	    kv_get(bench.kv, slice_from_text(key), &item), ERR_NOT_FOUND);
}

START_TEST(kv_put_creates_then_replaces)
{
	struct kv_item item;

	expect_missing("a");
	put("a", "1");
	expect_written(false, 1, 1, 1);
	put("b", "1");
	expect_written(false, 2, 2, 1);
	put("a", "2");
	expect_written(true, 3, 1, 2);
	item = get(slice_from_text("a"));
	ck_assert(slice_equal(item.value, slice_from_text("2")));
	ck_assert_uint_eq(item.created, 1);
	ck_assert_uint_eq(item.modified, 3);
	ck_assert_uint_eq(item.version, 2);
}
END_TEST

START_TEST(kv_same_value_is_a_change)
{
	put("a", "1");
	put("a", "1");
	expect_written(true, 2, 1, 2);
}
END_TEST

START_TEST(kv_delete_of_missing_key_takes_no_revision)
{
	put("a", "1");
	remove_key("b");
	expect_deleted(0, 1);
	ck_assert_uint_eq(kv_revision(bench.kv), 1);
	ck_assert_uint_eq(kv_applied_index(bench.kv), 2);
}
END_TEST

START_TEST(kv_key_begins_anew_after_delete)
{
	put("a", "1");
	put("a", "2");
	remove_key("a");
	expect_deleted(1, 3);
	expect_missing("a");
	put("a", "3");
	expect_written(false, 4, 4, 1);
}
END_TEST

START_TEST(kv_skip_moves_the_index_alone)
{
	put("a", "1");
	skip();
	ck_assert_uint_eq(kv_applied_index(bench.kv), 2);
	ck_assert_uint_eq(kv_revision(bench.kv), 1);
	put("a", "2");
	expect_written(true, 2, 1, 2);
}
END_TEST

START_TEST(kv_keys_are_bytes)
{
	uint8_t longest[KV_KEY_SIZE_MAX];
	struct slice keys[] = { slice_of("\0", 1), slice_of("\0\0", 2),
		slice_of("\xff\xfe\0a", 4), slice_of(longest, 480),
		slice_of(longest, 479) };

	memset(longest, 0xff, sizeof(longest));
	for (size_t i = 0; i < ARRAY_COUNT(keys); i++)
		put_bytes(keys[i], slice_of(&i, sizeof(i)));
	for (size_t i = 0; i < ARRAY_COUNT(keys); i++)
		ck_assert(
		    slice_equal(get(keys[i]).value, slice_of(&i, sizeof(i))));
}
END_TEST

START_TEST(kv_values_of_any_size)
{
	static const size_t sizes[] = { 0, 1, 100000, 1u << 20, 0 };
	uint8_t *value = mem_zalloc(1, 1u << 20);

	for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
		struct slice wanted = slice_of(value, sizes[i]);

		memset(value, (int)i, 1u << 20);
		put_bytes(slice_from_text("k"), wanted);
		ck_assert(slice_equal(get(slice_from_text("k")).value, wanted));
	}
	free(value);
}
END_TEST

START_TEST(kv_cluster_time_never_goes_back)
{
	struct buf command = { 0 };
	struct kv_result result;

	kv_encode_delete(&command, slice_from_text("a"));
	ck_assert_int_eq(
	    kv_apply(bench.kv, 1, 500, buf_slice(&command), &result), 0);
	ck_assert_int_eq(
	    kv_apply(bench.kv, 2, 400, buf_slice(&command), &result), 0);
	ck_assert_uint_eq(bench.kv->state.cluster_time_us, 500);
	checkpoint();
	crash();
	ck_assert_uint_eq(bench.kv->state.cluster_time_us, 500);
	buf_release(&command);
}
END_TEST

START_TEST(kv_crash_goes_back_to_the_checkpoint)
{
	uint64_t hash;

	put("a", "1");
	checkpoint();
	hash = kv_state_hash(bench.kv);
	put("a", "2");
	remove_key("a");
	crash();
	ck_assert_uint_eq(kv_applied_index(bench.kv), 1);
	ck_assert_uint_eq(kv_state_hash(bench.kv), hash);
	ck_assert(
	    slice_equal(get(slice_from_text("a")).value, slice_from_text("1")));
}
END_TEST

START_TEST(kv_checkpoint_of_nothing_writes_nothing)
{
	uint64_t commits;

	put("a", "1");
	checkpoint();
	commits = store_mem_commits_count(bench.disk);
	checkpoint();
	ck_assert_uint_eq(store_mem_commits_count(bench.disk), commits);
	skip();
	checkpoint();
	ck_assert_uint_eq(store_mem_commits_count(bench.disk), commits + 1);
}
END_TEST

START_TEST(kv_stats_count_what_is_there)
{
	struct kv_stats stats;

	put("a", "12345");
	put("bb", "1");
	put("a", "12");
	skip();
	kv_get_stats(bench.kv, &stats);
	ck_assert_uint_eq(stats.keys_count, 2);
	ck_assert_uint_eq(stats.live_bytes, 3 + 3);
	ck_assert_uint_gt(stats.dirty_bytes, 12);
	ck_assert_uint_eq(stats.checkpoint_index, 0);
	checkpoint();
	remove_key("bb");
	kv_get_stats(bench.kv, &stats);
	ck_assert_uint_eq(stats.keys_count, 1);
	ck_assert_uint_eq(stats.live_bytes, 3);
	ck_assert_uint_gt(stats.dirty_bytes, 2);
	ck_assert_uint_eq(stats.checkpoint_index, 4);
}
END_TEST

/* The same state machine over a memtable of one byte. */
static void
open_gathering(void)
{
	kv_bench_close(&bench);
	store_mem_disk_free(bench.disk);
	bench.disk = store_mem_disk_new(KV_DISK_TABLES_COUNT);
	ck_assert_int_eq(
	    kv_store_open(store_mem_open(bench.disk), 1, &bench.store), 0);
	ck_assert_int_eq(kv_open(bench.store, true, &bench.kv), 0);
}

/* Each delete may dirty a page, but the tables have no more than these; history,
 * which has pages of its own, does not count. */
START_TEST(kv_commit_writes_no_more_than_small_tables_have)
{
	const struct kv_sum *sums;
	uint64_t most = 0;
	struct kv_stats stats;
	char key[] = "k00";

	open_gathering();
	for (unsigned i = 0; i < 200; i++) {
		key[1] = (char)('0' + i % 100 / 10);
		key[2] = (char)('0' + i % 10);
		if (i < 100)
			put(key, "1");
		else
			remove_key(key);
		if (i == 99)
			checkpoint();
	}
	sums = bench.kv->state.sums;
	for (unsigned i = 0; i < KV_TABLES_COUNT; i++) {
		if (!kv_table_is_queue(i))
			most += 2 * (sums[i].bytes + 64 * sums[i].count);
	}
	kv_get_stats(bench.kv, &stats);
	ck_assert_uint_gt(stats.commit_bytes, 0);
	ck_assert_uint_le(stats.commit_bytes, most);
}
END_TEST

START_TEST(kv_state_hash_is_the_same_on_replicas)
{
	struct kv_bench other;

	kv_bench_init(&other);
	for (int i = 0; i < 2; i++) {
		struct kv_bench *replica = i == 0 ? &bench : &other;

		kv_bench_log_put(
		    replica, slice_from_text("a"), slice_from_text("1"));
		kv_bench_log_put(
		    replica, slice_from_text("b"), slice_from_text("2"));
		ck_assert_int_eq(kv_bench_replay(replica), 0);
	}
	checkpoint();
	ck_assert_uint_eq(kv_state_hash(bench.kv), kv_state_hash(other.kv));
	kv_bench_release(&other);
}
END_TEST

/* The hash of the state after puts of two values to two keys. */
static uint64_t
hash_of(
    const char *key1, const char *value1, const char *key2, const char *value2)
{
	struct kv_bench other;
	uint64_t hash;

	kv_bench_init(&other);
	kv_bench_log_put(
	    &other, slice_from_text(key1), slice_from_text(value1));
	kv_bench_log_put(
	    &other, slice_from_text(key2), slice_from_text(value2));
	ck_assert_int_eq(kv_bench_replay(&other), 0);
	hash = kv_state_hash(other.kv);
	kv_bench_release(&other);
	return hash;
}

START_TEST(kv_state_hash_tells_states_apart)
{
	uint64_t hash = hash_of("a", "1", "b", "2");

	ck_assert_uint_eq(hash, hash_of("a", "1", "b", "2"));
	ck_assert_uint_ne(hash, hash_of("b", "2", "a", "1"));
	ck_assert_uint_ne(hash, hash_of("a", "2", "b", "1"));
	ck_assert_uint_ne(hash, hash_of("a", "1", "c", "2"));
	ck_assert_uint_ne(hash, hash_of("a", "1b", "b", "2"));
}
END_TEST

START_TEST(kv_meta_is_durable_with_the_state)
{
	uint64_t hash = kv_state_hash(bench.kv);
	struct slice bytes;

	ck_assert_int_eq(
	    kv_get_meta(bench.kv, "members", &bytes), ERR_NOT_FOUND);
	ck_assert_int_eq(
	    kv_set_meta(bench.kv, "members", slice_from_text("old")), 0);
	ck_assert_int_eq(
	    kv_set_meta(bench.kv, "members", slice_from_text("new")), 0);
	ck_assert_int_eq(kv_set_meta(bench.kv, "m", slice_of(NULL, 0)), 0);
	ck_assert_uint_eq(kv_state_hash(bench.kv), hash);
	checkpoint();
	ck_assert_int_eq(
	    kv_set_meta(bench.kv, "members", slice_from_text("lost")), 0);
	crash();
	ck_assert_int_eq(kv_get_meta(bench.kv, "members", &bytes), 0);
	ck_assert(slice_equal(bytes, slice_from_text("new")));
	ck_assert_int_eq(kv_get_meta(bench.kv, "m", &bytes), 0);
	ck_assert_uint_eq(bytes.size, 0);
}
END_TEST

/* ---- A model ---- */

#define MODEL_KEYS  40
#define MODEL_STEPS 3000

struct model_key {
	uint64_t created; /* 0: not there */
	uint64_t modified;
	uint64_t version;
	uint64_t value;
};

struct model {
	uint64_t revision;
	struct model_key keys[MODEL_KEYS];
};

static struct slice
model_name(uint64_t number, uint8_t *to)
{
	codec_store_u16(to, (uint16_t)number);
	return slice_of(to, 2);
}

static void
model_step(struct model *model, struct rng *rng)
{
	uint64_t number = rng_below(rng, MODEL_KEYS);
	struct model_key *key = &model->keys[number];
	uint64_t value = rng_next(rng);
	uint8_t name[2];

	if (rng_below(rng, 3) == 0) {
		kv_bench_log_delete(&bench, model_name(number, name));
		model->revision += key->created != 0;
		*key = (struct model_key){ 0 };
		return;
	}
	kv_bench_log_put(
	    &bench, model_name(number, name), slice_of(&value, sizeof(value)));
	model->revision++;
	if (key->created == 0)
		key->created = model->revision;
	key->modified = model->revision;
	key->version++;
	key->value = value;
}

static void
model_compare(const struct model *model, uint64_t seed)
{
	ck_assert_msg(kv_revision(bench.kv) == model->revision, "seed %lu",
	    (unsigned long)seed);
	for (uint64_t i = 0; i < MODEL_KEYS; i++) {
		const struct model_key *key = &model->keys[i];
		struct kv_item item = { 0 };
		uint8_t name[2];
		int code = kv_get(bench.kv, model_name(i, name), &item);

		ck_assert_msg(code == (key->created == 0 ? ERR_NOT_FOUND : 0),
		    "seed %lu key %lu", (unsigned long)seed, (unsigned long)i);
		if (code != 0)
			continue;
		ck_assert_msg(
		    item.created == key->created &&
			item.modified == key->modified &&
			item.version == key->version &&
			slice_equal(item.value, slice_of(&key->value, 8)),
		    "seed %lu key %lu", (unsigned long)seed, (unsigned long)i);
	}
}

START_TEST(kv_random_commands_as_a_model)
{
	uint64_t seed = (uint64_t)_i + 1;
	struct model model = { 0 };
	struct rng rng;

	rng_init(&rng, seed);
	for (int i = 0; i < MODEL_STEPS; i++) {
		model_step(&model, &rng);
		if (rng_below(&rng, 50) == 0)
			kv_bench_log_skip(&bench);
		ck_assert_int_eq(kv_bench_replay(&bench), 0);
		if (rng_below(&rng, 100) == 0)
			checkpoint();
		if (rng_below(&rng, 200) == 0) {
			crash();
			ck_assert_int_eq(kv_bench_replay(&bench), 0);
		}
		if (i % 16 == 0)
			model_compare(&model, seed);
	}
	ck_assert_int_eq(kv_verify(bench.kv), 0);
}
END_TEST

static void
add_rules(TCase *core)
{
	tcase_add_test(core, kv_put_creates_then_replaces);
	tcase_add_test(core, kv_same_value_is_a_change);
	tcase_add_test(core, kv_delete_of_missing_key_takes_no_revision);
	tcase_add_test(core, kv_key_begins_anew_after_delete);
	tcase_add_test(core, kv_skip_moves_the_index_alone);
	tcase_add_test(core, kv_keys_are_bytes);
	tcase_add_test(core, kv_values_of_any_size);
	tcase_add_test(core, kv_cluster_time_never_goes_back);
	tcase_add_test(core, kv_crash_goes_back_to_the_checkpoint);
	tcase_add_test(core, kv_checkpoint_of_nothing_writes_nothing);
	tcase_add_test(core, kv_stats_count_what_is_there);
	tcase_add_test(core, kv_commit_writes_no_more_than_small_tables_have);
	tcase_add_test(core, kv_state_hash_is_the_same_on_replicas);
	tcase_add_test(core, kv_state_hash_tells_states_apart);
	tcase_add_test(core, kv_meta_is_durable_with_the_state);
}

Suite *
kv_suite(void)
{
	Suite *suite = suite_create("kv");
	TCase *core = tcase_create("core");

	tcase_add_checked_fixture(core, set_up, tear_down);
	add_rules(core);
	tcase_add_loop_test(core, kv_random_commands_as_a_model, 0, 5);
	suite_add_tcase(suite, core);
	return suite;
}
