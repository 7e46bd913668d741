/* The scrub, as a node runs it: what it finds, and at what pace. */

#include "common/codec.h"
#include "kv/kv_impl.h"
#include "node/node_impl.h"
#include "tests/unit/node_runs.h"
#include "tests/unit/suites.h"

#include <stdio.h>
#include <string.h>

#define KEYS       80
#define STEP_BYTES (64 * 1024)

static void
tune(struct node_params *params)
{
	params->scrub_rate = 1 << 20;
	params->scrub_pause = 10 * RUN_SECOND;
	params->cache_bytes_max = 20 * RUN_VALUE_SIZE;
}

/* One that holds KEYS keys, all in a checkpoint and in the log. */
static struct node_cluster *
set_up(run_tune_fn *tune_fn)
{
	struct node_cluster *cluster = run_cluster_new(1, tune_fn);

	run_write(node_cluster_elect(cluster), KEYS, 0);
	node_cluster_pass(cluster, 2 * RUN_SECOND);
	cluster->machine[0].may_fail = true;
	return cluster;
}

static struct slice
entry_key(uint8_t to[8], raft_index index)
{
	codec_store_u64(to, index);
	return slice_of(to, 8);
}

static const struct {
	const char *name; /* of a record of the data; NULL: a log entry */
	store_table table;
	raft_index index;
	const char *fault;
} damages[] = {
	{ "key00000000", KV_TABLE_KV, 0, "scrub: data: key \"key00000000\"" },
	{ "key00000079", KV_TABLE_KV, 0, "scrub: data: key \"key00000079\"" },
	{ "node.log", KV_TABLE_META, 0, "scrub: data: record \"node.log\"" },
	{ "state", KV_TABLE_META, 0, "scrub: data: record \"state\"" },
	/* Below the cache, and in it: memory does not hide the disk. */
	{ NULL, NODE_TABLE_LOG, 40, "scrub: log entry 40" },
	{ NULL, NODE_TABLE_LOG, 80, "scrub: log entry 80" },
};

START_TEST(damage_that_nobody_reads_is_found)
{
	const size_t i = (size_t)_i;
	struct node_cluster *cluster = set_up(tune);
	struct machine *n1 = &cluster->machine[0];
	uint8_t key[8];
	char why[128];

	if (damages[i].name != NULL)
		ck_assert(store_mem_flip_bit(n1->data_disks[0],
		    damages[i].table, slice_from_text(damages[i].name), 77));
	else
		ck_assert(store_mem_flip_bit(n1->log_disk, damages[i].table,
		    entry_key(key, damages[i].index), 77));
	node_cluster_pass(cluster, 20 * RUN_SECOND);
	ck_assert_ptr_null(n1->node);
	ck_assert_int_eq(n1->error, ERR_CORRUPT);
	snprintf(why, sizeof(why), "%s: %s", damages[i].fault,
	    err_text(ERR_CORRUPT));
	ck_assert_str_eq(n1->why, why);
	node_cluster_free(cluster);
}
END_TEST

/* It is sound where it is, but it is another's. */
START_TEST(an_entry_in_the_place_of_another_is_found)
{
	struct node_cluster *cluster = set_up(tune);
	struct machine *n1 = &cluster->machine[0];
	struct store_txn *txn;
	struct buf record = { 0 };
	uint8_t key[8];

	ck_assert_int_eq(node_get_record(n1->node, 30, &record), 0);
	ck_assert_int_eq(store_begin(n1->log, true, &txn), 0);
	ck_assert_int_eq(store_put(txn, NODE_TABLE_LOG, entry_key(key, 31),
			     buf_slice(&record)),
	    0);
	ck_assert_int_eq(store_commit(txn), 0);
	buf_release(&record);
	node_cluster_pass(cluster, 20 * RUN_SECOND);
	ck_assert_int_eq(n1->error, ERR_CORRUPT);
	ck_assert_ptr_nonnull(strstr(n1->why, "scrub: log entry 31: "));
	node_cluster_free(cluster);
}
END_TEST

/* All that is there is sound, but it does not add up. */
START_TEST(a_missing_record_is_found_when_nothing_changes)
{
	struct node_cluster *cluster = set_up(tune);
	struct machine *n1 = &cluster->machine[0];

	ck_assert_int_eq(store_delete(node_kv(n1->node)->txn, KV_TABLE_KV,
			     slice_from_text("key00000005")),
	    0);
	node_cluster_pass(cluster, 20 * RUN_SECOND);
	ck_assert_int_eq(n1->error, ERR_CORRUPT);
	ck_assert_ptr_nonnull(
	    strstr(n1->why, "scrub: data: records are missing or foreign, "));
	node_cluster_free(cluster);
}
END_TEST

START_TEST(a_disk_that_fails_stops_the_node)
{
	struct node_cluster *cluster = set_up(tune);
	struct machine *n1 = &cluster->machine[0];

	/* Nothing else reads. */
	store_mem_fail_operation(n1->data_disks[0], 5, ERR_IO);
	node_cluster_pass(cluster, 20 * RUN_SECOND);
	ck_assert_int_eq(n1->error, ERR_IO);
	ck_assert_ptr_nonnull(strstr(n1->why, "scrub: data: "));
	ck_assert_ptr_null(strstr(n1->why, "missing"));
	node_cluster_free(cluster);
}
END_TEST

/* ---- Pace ---- */

START_TEST(a_pass_ends_with_a_pause)
{
	struct node_cluster *cluster = set_up(tune);
	struct machine *n1 = &cluster->machine[0];
	struct node_status status;
	uint64_t bytes;

	/* The first one, too: opening has read everything. */
	ck_assert_uint_eq(machine_status(n1).scrub_bytes, 0);
	node_cluster_pass(cluster, 4 * RUN_SECOND);
	status = machine_status(n1);
	ck_assert_uint_eq(status.scrub_passes, 1);
	/* Every record once in the data and once in the log. */
	ck_assert_uint_ge(status.scrub_bytes, 2 * KEYS * RUN_VALUE_SIZE);
	ck_assert_uint_le(status.scrub_bytes, 3 * KEYS * RUN_VALUE_SIZE);
	bytes = status.scrub_bytes;
	node_cluster_pass(cluster, 8 * RUN_SECOND);
	ck_assert_uint_eq(machine_status(n1).scrub_bytes, bytes);
	node_cluster_pass(cluster, 2 * RUN_SECOND);
	ck_assert_uint_eq(machine_status(n1).scrub_bytes, 2 * bytes);
	node_cluster_free(cluster);
}
END_TEST

static void
tune_slow(struct node_params *params)
{
	params->scrub_rate = 10000;
	params->scrub_pause = 10 * RUN_SECOND;
}

START_TEST(the_scrub_keeps_its_rate_in_small_steps)
{
	struct node_cluster *cluster = set_up(tune_slow);
	struct machine *n1 = &cluster->machine[0];
	uint64_t before = 0;

	for (unsigned second = 0; second < 30; second++) {
		uint64_t bytes;

		node_cluster_pass(cluster, RUN_SECOND);
		bytes = machine_status(n1).scrub_bytes;
		ck_assert_uint_le(bytes, 10000 * second + STEP_BYTES * 5 / 4);
		ck_assert_uint_le(bytes - before, STEP_BYTES * 5 / 4);
		before = bytes;
	}
	ck_assert_uint_ge(before, 10000 * 15);
	node_cluster_free(cluster);
}
END_TEST

static void
tune_off(struct node_params *params)
{
	params->scrub_rate = 0;
	params->scrub_pause = RUN_SECOND;
}

START_TEST(without_a_rate_it_is_off)
{
	struct node_cluster *cluster = set_up(tune_off);

	node_cluster_pass(cluster, 100 * RUN_SECOND);
	ck_assert_uint_eq(machine_status(&cluster->machine[0]).scrub_bytes, 0);
	node_cluster_free(cluster);
}
END_TEST

/* ---- While everything changes ---- */

static void
tune_hasty(struct node_params *params)
{
	params->scrub_rate = 20 * RUN_VALUE_SIZE;
	params->scrub_pause = 1000;
	params->cache_bytes_max = 0;
}

/* Front and end of the log are cut, keys come and go, a snapshot takes the
 * place of the data: nothing of that is damage. */
START_TEST(changes_below_the_scrub_are_no_damage)
{
	struct node_cluster *cluster = run_cluster_new(3, tune_hasty);
	struct machine *leader = node_cluster_elect(cluster);
	struct machine_put lost[20];
	struct machine *follower;

	run_write(leader, 200, 1);
	follower = run_cut_off(leader, 200);
	while (follower->node->scrub.data == NULL)
		node_cluster_pass(cluster, RUN_SECOND);
	follower->isolated = false;
	for (unsigned i = 0; i < 30; i++) {
		run_write(leader, 5, i);
		node_cluster_pass(cluster, RUN_SECOND / 10);
	}
	ck_assert_uint_eq(machine_status(follower).snapshots_installed, 1);
	leader->isolated = true;
	for (unsigned i = 0; i < 20; i++)
		ck_assert_int_eq(
		    machine_put(leader, &lost[i], "key", "lost"), 0);
	(void)node_cluster_wait_for_leader(cluster);
	for (unsigned i = 0; i < 20; i++)
		node_write_cancel(&lost[i].write);
	run_write(node_cluster_leader(cluster), 5, 0);
	leader->isolated = false;
	node_cluster_pass(cluster, 60 * RUN_SECOND);
	run_check_same(cluster);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_uint_ge(
		    machine_status(&cluster->machine[i]).scrub_passes, 2);
	node_cluster_free(cluster);
}
END_TEST

Suite *
node_scrub_suite(void)
{
	Suite *suite = suite_create("node_scrub");
	TCase *tcase = tcase_create("node_scrub");

	tcase_add_loop_test(tcase, damage_that_nobody_reads_is_found, 0,
	    (int)ARRAY_COUNT(damages));
	tcase_add_test(tcase, an_entry_in_the_place_of_another_is_found);
	tcase_add_test(tcase, a_missing_record_is_found_when_nothing_changes);
	tcase_add_test(tcase, a_disk_that_fails_stops_the_node);
	tcase_add_test(tcase, a_pass_ends_with_a_pause);
	tcase_add_test(tcase, the_scrub_keeps_its_rate_in_small_steps);
	tcase_add_test(tcase, without_a_rate_it_is_off);
	tcase_add_test(tcase, changes_below_the_scrub_are_no_damage);
	suite_add_tcase(suite, tcase);
	return suite;
}
