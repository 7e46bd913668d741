/* When a leader proposes that history is forgotten, and how much of it. */

#include "node/node_impl.h"
#include "tests/unit/node_runs.h"
#include "tests/unit/suites.h"
#include <stdio.h>

#define HISTORY_AGE   (16 * RUN_SECOND)
#define HISTORY_BYTES 8192

static void
bound_age(struct node_params *params)
{
	params->history_age_us = HISTORY_AGE;
}

static void
bound_size(struct node_params *params)
{
	params->history_bytes_max = HISTORY_BYTES;
}

static struct kv_history
history(struct machine *machine)
{
	struct kv_history history;

	ck_assert_int_eq(kv_get_history(node_kv(machine->node), &history), 0);
	return history;
}

/* By age, as long as it is full and an eighth longer at most; then an idle
 * cluster has none, and writes nothing. */
START_TEST(history_is_compacted_by_age)
{
	struct node_cluster *cluster = run_cluster_new(1, bound_age);
	struct machine *n1 = node_cluster_elect(cluster);
	raft_index index;

	for (unsigned i = 0; i < 3; i++)
		run_put(n1, "a");
	node_cluster_pass(cluster, HISTORY_AGE);
	ck_assert_uint_eq(history(n1).events_count, 3);
	run_put(n1, "a");
	node_cluster_pass(cluster, HISTORY_AGE / 8);
	ck_assert_uint_eq(history(n1).events_count, 1);
	ck_assert_uint_eq(history(n1).compacted, 3);
	node_cluster_pass(cluster, HISTORY_AGE);
	ck_assert_uint_eq(history(n1).events_count, 0);
	ck_assert_uint_eq(history(n1).compacted, 4);
	index = run_last_index(n1);
	node_cluster_pass(cluster, 10 * HISTORY_AGE);
	ck_assert_uint_eq(run_last_index(n1), index);
	node_cluster_free(cluster);
}
END_TEST

/* By size, and by far not with each write. */
START_TEST(history_is_compacted_by_size)
{
	struct node_cluster *cluster = run_cluster_new(3, bound_size);
	struct machine *leader = node_cluster_elect(cluster);
	raft_index index = run_last_index(leader);
	const unsigned puts = 3000;

	for (unsigned i = 0; i < puts; i++) {
		run_put(leader, "a");
		ck_assert_uint_le(history(leader).bytes,
		    HISTORY_BYTES + HISTORY_BYTES / 8 + 200);
	}
	ck_assert_uint_ge(history(leader).bytes, HISTORY_BYTES - 200);
	ck_assert_uint_lt(run_last_index(leader) - index, puts + puts / 8);
	ck_assert_uint_gt(run_last_index(leader) - index, puts);
	node_cluster_pass(cluster, RUN_SECOND);
	run_check_same(cluster);
	node_cluster_free(cluster);
}
END_TEST

/* A put in each turn, while compactions are under way: the entries that were
 * made beside the puts. */
static raft_index
put_and_turn(struct machine *machine, unsigned puts, raft_usec step)
{
	raft_index before = run_last_index(machine);
	struct machine_put put;

	for (unsigned i = 0; i < puts; i++) {
		machine->cluster->now += step;
		ck_assert_int_eq(machine_put(machine, &put, "a", "value"), 0);
		ck_assert_int_eq(
		    node_turn(machine->node, machine->cluster->now), 0);
		node_write_cancel(&put.write);
	}
	return run_last_index(machine) - before - puts;
}

START_TEST(a_steady_load_does_not_compact_with_each_write)
{
	struct node_cluster *cluster = run_cluster_new(1, bound_size);
	struct machine *n1 = node_cluster_elect(cluster);
	raft_index compactions = put_and_turn(n1, 5000, 0);

	ck_assert_uint_ge(compactions, 100);
	ck_assert_uint_le(compactions, 500);
	ck_assert_uint_le(history(n1).bytes, HISTORY_BYTES * 5 / 4);
	node_cluster_free(cluster);
	/* The same by age: eight times in each, or so. */
	cluster = run_cluster_new(1, bound_age);
	n1 = node_cluster_elect(cluster);
	compactions = put_and_turn(n1, 5000, HISTORY_AGE / 500);
	ck_assert_uint_ge(compactions, 8 * 8);
	ck_assert_uint_le(compactions, 8 * 10);
	node_cluster_free(cluster);
}
END_TEST

static void
hand_over(struct machine *from, struct machine *to)
{
	char name[8];

	snprintf(name, sizeof(name), "n%u", (unsigned)to->id);
	ck_assert_int_eq(
	    node_transfer(from->node, from->cluster->now, name), 0);
	node_cluster_pass(from->cluster, RUN_SECOND);
	ck_assert(node_is_leader(to->node));
}

/* Whether it led before or not. */
START_TEST(a_new_leader_does_what_a_compaction_left_undone)
{
	struct node_cluster *cluster = node_cluster_new(3);
	struct machine *leader = node_cluster_elect(cluster);
	struct machine *other = follower_of(leader);
	struct buf command = { 0 };

	for (unsigned i = 0; i < 100; i++)
		run_put(leader, "a");
	hand_over(leader, other);
	kv_encode_compact(&command, 60, 10);
	run_command(other, &command);
	ck_assert_uint_eq(history(other).events_count, 90);
	hand_over(other, leader);
	ck_assert_uint_eq(history(leader).events_count, 40);
	node_cluster_free(cluster);
}
END_TEST

START_TEST(a_new_leader_compacts_what_is_over_its_bounds)
{
	struct node_cluster *cluster = node_cluster_new(1);
	struct machine *n1 = node_cluster_elect(cluster);

	while (history(n1).bytes < 5 * HISTORY_BYTES)
		run_put(n1, "a");
	machine_stop(n1);
	run_start(n1, bound_size);
	node_cluster_pass(cluster, RUN_SECOND);
	ck_assert_uint_le(history(n1).bytes, HISTORY_BYTES);
	node_cluster_free(cluster);
}
END_TEST

START_TEST(an_idle_cluster_writes_nothing)
{
	struct node_cluster *cluster = node_cluster_new(3);
	struct machine *leader = node_cluster_elect(cluster);
	raft_index index;

	run_put(leader, "a");
	node_cluster_pass(cluster, RUN_SECOND);
	index = run_last_index(leader);
	node_cluster_pass(cluster, 120 * RUN_SECOND);
	ck_assert_uint_eq(run_last_index(leader), index);
	ck_assert_uint_eq(leader->node->chores.due_at, RAFT_NEVER);
	node_cluster_free(cluster);
}
END_TEST

Suite *
node_compaction_suite(void)
{
	Suite *suite = suite_create("node_compaction");
	TCase *tests = tcase_create("node_compaction");

	tcase_add_test(tests, history_is_compacted_by_age);
	tcase_add_test(tests, history_is_compacted_by_size);
	tcase_add_test(tests, a_steady_load_does_not_compact_with_each_write);
	tcase_add_test(tests, a_new_leader_does_what_a_compaction_left_undone);
	tcase_add_test(tests, a_new_leader_compacts_what_is_over_its_bounds);
	tcase_add_test(tests, an_idle_cluster_writes_nothing);
	suite_add_tcase(suite, tests);
	return suite;
}
