/* What a leader proposes for what has a deadline, and the cluster time that it
 * goes by. */

#include "kv/kv_impl.h"
#include "node/node_impl.h"
#include "tests/unit/node_runs.h"
#include "tests/unit/suites.h"

#include <stdio.h>

#define MARK_INTERVAL (5 * RUN_SECOND)

static bool
has(struct machine *machine, const char *key)
{
	struct kv_item item;
	int error = kv_get(node_kv(machine->node), slice_from_text(key), &item);

	if (error != 0)
		ck_assert_int_eq(error, ERR_NOT_FOUND);
	return error == 0;
}

static uint64_t
count(struct machine *machine, enum kv_table table)
{
	return node_kv(machine->node)->state.sums[table].count;
}

/* How long until the key is gone. */
static raft_usec
wait_until_gone(struct machine *machine, const char *key, raft_usec longest)
{
	raft_usec since = machine->cluster->now;

	while (has(machine, key)) {
		ck_assert_uint_le(machine->cluster->now - since, longest);
		node_cluster_pass(machine->cluster, 10000);
	}
	return machine->cluster->now - since;
}

/* ---- Expiry ---- */

START_TEST(a_key_expires_on_all_members_at_its_time)
{
	struct node_cluster *cluster = node_cluster_new(3);
	struct machine *leader = node_cluster_elect(cluster);

	run_put_ttl(leader, "a", 2 * RUN_SECOND);
	node_cluster_pass(cluster, 2 * RUN_SECOND - 10000);
	ck_assert(has(leader, "a"));
	node_cluster_pass(cluster, 10000);
	ck_assert(!has(leader, "a"));
	/* The others hear of the commit with the next heartbeat. */
	node_cluster_pass(cluster, 200000);
	for (unsigned i = 0; i < 3; i++)
		ck_assert(!has(&cluster->machine[i], "a"));
	run_check_same(cluster);
	node_cluster_free(cluster);
}
END_TEST

/* No step of the clock is needed for the next batch. */
START_TEST(many_keys_expire_in_batches_at_once)
{
	struct node_cluster *cluster = node_cluster_new(1);
	struct machine *n1 = node_cluster_elect(cluster);
	char key[16];

	for (unsigned i = 0; i < 2500; i++) {
		snprintf(key, sizeof(key), "%04u", i);
		run_put_ttl(n1, key, 2 * RUN_SECOND);
	}
	ck_assert_uint_eq(kv_revision(node_kv(n1->node)), 2500);
	node_cluster_pass(cluster, 2 * RUN_SECOND - 10000);
	ck_assert_uint_eq(count(n1, KV_TABLE_KV), 2500);
	node_cluster_pass(cluster, 10000);
	ck_assert_uint_eq(count(n1, KV_TABLE_KV), 0);
	ck_assert_uint_eq(kv_revision(node_kv(n1->node)), 2503);
	node_cluster_free(cluster);
}
END_TEST

START_TEST(a_key_expires_after_a_restart)
{
	struct node_cluster *cluster = node_cluster_new(1);
	struct machine *n1 = node_cluster_elect(cluster);

	run_put_ttl(n1, "a", 4 * RUN_SECOND);
	node_cluster_pass(cluster, 2 * RUN_SECOND);
	machine_stop(n1);
	cluster->now += 100 * (raft_usec)RUN_SECOND;
	ck_assert_int_eq(machine_start(n1), 0);
	node_cluster_settle(cluster);
	/* What passed while nobody led does not count, nor what no stamp told
	 * of. */
	node_cluster_pass(cluster, 4 * RUN_SECOND - 10000);
	ck_assert(has(n1, "a"));
	node_cluster_pass(cluster, MARK_INTERVAL);
	ck_assert(!has(n1, "a"));
	node_cluster_free(cluster);
}
END_TEST

/* Never early; late by what no stamp told of, and what nobody led. */
START_TEST(a_change_of_leaders_makes_expiry_late_by_a_mark_at_most)
{
	static const raft_usec stops[] = { 1, 4, 6, 9, 14, 19 };
	const raft_usec ttl = 20 * RUN_SECOND;
	struct node_cluster *cluster = node_cluster_new(3);
	struct machine *leader = node_cluster_elect(cluster);
	struct machine *next;
	raft_usec stopped_at;
	raft_usec led_at;
	raft_usec put_at;
	raft_usec took;

	run_put_ttl(leader, "a", ttl);
	put_at = cluster->now;
	node_cluster_pass(cluster, stops[_i] * RUN_SECOND);
	machine_stop(leader);
	stopped_at = cluster->now;
	while ((next = node_cluster_leader(cluster)) == NULL)
		node_cluster_pass(cluster, 10000);
	led_at = cluster->now;
	(void)wait_until_gone(next, "a", ttl + 10 * (raft_usec)RUN_SECOND);
	took = cluster->now - put_at;
	ck_assert_uint_ge(took, ttl);
	ck_assert_uint_le(
	    took, ttl + MARK_INTERVAL + (led_at - stopped_at) + 100000);
	ck_assert_int_eq(machine_start(leader), 0);
	node_cluster_pass(cluster, 2 * RUN_SECOND);
	run_check_same(cluster);
	node_cluster_free(cluster);
}
END_TEST

/* The one that was cut off takes it for due long since. */
START_TEST(a_leader_that_was_cut_off_expires_nothing)
{
	struct node_cluster *cluster = node_cluster_new(3);
	struct machine *old;
	struct machine *leader;

	cluster->dials = true;
	old = node_cluster_wait_for_leader(cluster);
	run_put_ttl(old, "a", 4 * RUN_SECOND);
	run_put_ttl(old, "b", 60 * RUN_SECOND);
	node_cluster_pass(cluster, RUN_SECOND);
	old->isolated = true;
	while ((leader = node_cluster_leader(cluster)) == NULL || leader == old)
		node_cluster_pass(cluster, 10000);
	run_put_ttl(leader, "a", 60 * RUN_SECOND);
	node_cluster_pass(cluster, 10 * RUN_SECOND);
	ck_assert(has(old, "a"));
	old->isolated = false;
	node_cluster_pass(cluster, 5 * RUN_SECOND);
	for (unsigned i = 0; i < 3; i++)
		ck_assert(has(&cluster->machine[i], "a"));
	/* Not right at a mark. */
	node_cluster_pass(cluster, 300000);
	run_check_same(cluster);
	node_cluster_free(cluster);
}
END_TEST

/* And once it is over, or has failed, what became due meanwhile ends. */
START_TEST(nothing_expires_while_the_leadership_is_handed_over)
{
	struct node_cluster *cluster = node_cluster_new(3);
	struct machine *leader = node_cluster_elect(cluster);
	struct machine *target = follower_of(leader);
	char name[8];

	run_put_ttl(leader, "a", RUN_SECOND);
	node_cluster_pass(cluster, 900000);
	/* To one that does not answer any more: it takes a second to fail. */
	machine_stop(target);
	snprintf(name, sizeof(name), "n%u", (unsigned)target->id);
	ck_assert_int_eq(node_transfer(leader->node, cluster->now, name), 0);
	node_cluster_pass(cluster, 900000);
	ck_assert(has(leader, "a"));
	ck_assert_uint_eq(count(leader, KV_TABLE_KV), 1);
	(void)wait_until_gone(node_cluster_leader(cluster), "a", 1000000);
	node_cluster_free(cluster);
}
END_TEST

START_TEST(a_lock_is_handed_over_when_its_holder_is_gone)
{
	struct node_cluster *cluster = node_cluster_new(1);
	struct machine *n1 = node_cluster_elect(cluster);
	struct kv_lock_request request = { .name = slice_from_text("deploy"),
		.ttl_us = 2 * RUN_SECOND };
	struct buf command = { 0 };
	struct kv_lock lock;

	for (uint64_t token = 1; token <= 2; token++) {
		request.token = token;
		request.wait_us = 60 * RUN_SECOND;
		kv_encode_lock(&command, NULL, &request);
		run_command(n1, &command);
	}
	for (uint64_t token = 1; token <= 2; token++) {
		ck_assert_int_eq(
		    kv_get_lock(node_kv(n1->node), request.name, &lock), 0);
		ck_assert_uint_eq(lock.token, token);
		node_cluster_pass(cluster, 2 * RUN_SECOND);
	}
	ck_assert_int_eq(
	    kv_get_lock(node_kv(n1->node), request.name, &lock), ERR_NOT_FOUND);
	node_cluster_free(cluster);
}
END_TEST

/* Nobody is in a hurry: they are known no more, and need no marks. */
START_TEST(answers_kept_for_replays_leave_an_idle_cluster)
{
	const struct kv_identity identity = { .key = slice_from_text("once") };
	const struct kv_op op = { .kind = KV_PUT, .key = slice_from_text("a") };
	struct node_cluster *cluster = node_cluster_new(1);
	struct machine *n1 = node_cluster_elect(cluster);
	unsigned commits;

	run_op(n1, &identity, &op);
	node_cluster_pass(cluster, RUN_SECOND);
	commits = n1->commits;
	node_cluster_pass(cluster, KV_REPLAY_US);
	ck_assert_uint_eq(count(n1, KV_TABLE_REPLAY), 1);
	ck_assert_uint_eq(n1->commits, commits);
	node_cluster_pass(cluster, 60 * RUN_SECOND);
	ck_assert_uint_eq(count(n1, KV_TABLE_REPLAY), 0);
	ck_assert_uint_eq(count(n1, KV_TABLE_ORDER), 0);
	ck_assert_uint_eq(n1->commits, commits + 1);
	node_cluster_free(cluster);
}
END_TEST

/* A state machine that fails while it is looked at stops its node. */
START_TEST(damage_that_is_looked_at_stops_the_node)
{
	struct node_cluster *cluster = node_cluster_new(1);
	struct machine *n1 = node_cluster_elect(cluster);
	struct store_mem_disk *disk;
	struct buf key = { 0 };
	struct buf value = { 0 };

	run_put_ttl(n1, "a", 60 * RUN_SECOND);
	node_cluster_pass(cluster, RUN_SECOND);
	disk = n1->data_disks[machine_status(n1).data_generation %
			      MACHINE_GENERATIONS];
	ck_assert(store_mem_pick(disk, KV_TABLE_DEADLINE, 0, &key, &value));
	ck_assert(
	    store_mem_flip_bit(disk, KV_TABLE_DEADLINE, buf_slice(&key), 20));
	n1->may_fail = true;
	run_put(n1, "b");
	ck_assert_ptr_null(n1->node);
	ck_assert_int_eq(n1->error, ERR_CORRUPT);
	ck_assert_ptr_nonnull(strstr(n1->why, "state machine"));
	buf_release(&key);
	buf_release(&value);
	node_cluster_free(cluster);
}
END_TEST

/* ---- Marks ---- */

START_TEST(cluster_time_is_marked_while_something_has_a_deadline)
{
	struct node_cluster *cluster = node_cluster_new(1);
	struct machine *n1 = node_cluster_elect(cluster);
	const struct kv_op op = { .kind = KV_DELETE,
		.key = slice_from_text("a") };
	raft_index index;
	raft_usec deadline;

	run_put_ttl(n1, "a", 1000 * (uint64_t)RUN_SECOND);
	node_cluster_pass(cluster, 100000);
	index = run_last_index(n1);
	node_cluster_pass(cluster, 20 * RUN_SECOND);
	ck_assert_uint_eq(run_last_index(n1), index + 4);
	/* It is the only thing that has one. */
	run_op(n1, NULL, &op);
	index = run_last_index(n1);
	node_cluster_pass(cluster, 60 * RUN_SECOND);
	ck_assert_uint_eq(run_last_index(n1), index);
	/* And nothing is waited for. */
	deadline = node_deadline(n1->node);
	ck_assert_uint_gt(deadline, cluster->now + 60 * (raft_usec)RUN_SECOND);
	node_cluster_free(cluster);
}
END_TEST

/* Any entry is a mark. */
START_TEST(a_busy_cluster_needs_no_marks)
{
	struct node_cluster *cluster = node_cluster_new(1);
	struct machine *n1 = node_cluster_elect(cluster);
	raft_index index;

	run_put_ttl(n1, "a", 1000 * (uint64_t)RUN_SECOND);
	index = run_last_index(n1);
	for (unsigned i = 0; i < 20; i++) {
		node_cluster_pass(cluster, RUN_SECOND);
		run_put(n1, "b");
	}
	ck_assert_uint_eq(run_last_index(n1), index + 20);
	node_cluster_free(cluster);
}
END_TEST

/* ---- Cluster time ---- */

/* It has nothing to do with what the machine's clock says. */
START_TEST(cluster_time_begins_with_the_cluster)
{
	struct node_cluster *cluster = node_cluster_new(1);
	struct machine *n1 = &cluster->machine[0];
	raft_usec began_at = cluster->now;

	(void)node_cluster_elect(cluster);
	run_put(n1, "a");
	ck_assert_uint_gt(kv_cluster_time_us(node_kv(n1->node)), 0);
	ck_assert_uint_eq(node_cluster_time(n1->node, cluster->now),
	    kv_cluster_time_us(node_kv(n1->node)));
	ck_assert_uint_le(
	    node_cluster_time(n1->node, cluster->now), cluster->now - began_at);
	/* Nor after a restart, though the clock went on. */
	machine_stop(n1);
	cluster->now += 1000 * (raft_usec)RUN_SECOND;
	ck_assert_int_eq(machine_start(n1), 0);
	node_cluster_settle(cluster);
	ck_assert_uint_le(
	    node_cluster_time(n1->node, cluster->now), 10 * RUN_SECOND);
	node_cluster_free(cluster);
}
END_TEST

/* The others count on between stamps, as the leader does. */
START_TEST(members_know_cluster_time)
{
	struct node_cluster *cluster = node_cluster_new(3);
	struct machine *leader = node_cluster_elect(cluster);
	uint64_t before;

	run_put(leader, "a");
	node_cluster_pass(cluster, 200000);
	before = node_cluster_time(leader->node, cluster->now);
	node_cluster_pass(cluster, 60 * RUN_SECOND);
	for (unsigned i = 0; i < 3; i++) {
		uint64_t time =
		    node_cluster_time(cluster->machine[i].node, cluster->now);

		ck_assert_uint_le(time, before + 60 * (uint64_t)RUN_SECOND);
		ck_assert_uint_ge(
		    time, before + 60 * (uint64_t)RUN_SECOND - 200000);
	}
	node_cluster_free(cluster);
}
END_TEST

static void
pass_and_watch(struct node_cluster *cluster, uint64_t times[3], raft_usec us)
{
	raft_usec until = cluster->now + us;

	while (cluster->now < until) {
		node_cluster_pass(cluster, 10000);
		for (unsigned i = 0; i < 3; i++) {
			uint64_t time = node_cluster_time(
			    cluster->machine[i].node, cluster->now);

			ck_assert_uint_ge(time, times[i]);
			times[i] = time;
		}
	}
}

/* Though the stamps of a new leader are behind what others counted on to. */
START_TEST(cluster_time_never_goes_back_on_a_node)
{
	struct node_cluster *cluster = node_cluster_new(3);
	uint64_t times[3] = { 0 };
	struct machine *leader;

	cluster->dials = true;
	for (unsigned round = 0; round < 4; round++) {
		leader = node_cluster_wait_for_leader(cluster);
		run_put(leader, "a");
		pass_and_watch(cluster, times, 10 * RUN_SECOND);
		leader->isolated = true;
		pass_and_watch(cluster, times, 4 * RUN_SECOND);
		leader->isolated = false;
		pass_and_watch(cluster, times, 4 * RUN_SECOND);
		run_put(node_cluster_leader(cluster), "b");
		pass_and_watch(cluster, times, 60 * RUN_SECOND);
	}
	/* In the end they agree. */
	for (unsigned i = 1; i < 3; i++)
		ck_assert_uint_le(
		    MAX(times[0], times[i]) - MIN(times[0], times[i]), 200000);
	node_cluster_free(cluster);
}
END_TEST

Suite *
node_chores_suite(void)
{
	Suite *suite = suite_create("node_chores");
	TCase *expiry = tcase_create("expiry");
	TCase *marks = tcase_create("marks");
	TCase *time = tcase_create("time");

	tcase_add_test(expiry, a_key_expires_on_all_members_at_its_time);
	tcase_add_test(expiry, many_keys_expire_in_batches_at_once);
	tcase_add_test(expiry, a_key_expires_after_a_restart);
	tcase_add_loop_test(expiry,
	    a_change_of_leaders_makes_expiry_late_by_a_mark_at_most, 0, 6);
	tcase_add_test(expiry, a_leader_that_was_cut_off_expires_nothing);
	tcase_add_test(
	    expiry, nothing_expires_while_the_leadership_is_handed_over);
	tcase_add_test(expiry, a_lock_is_handed_over_when_its_holder_is_gone);
	tcase_add_test(expiry, answers_kept_for_replays_leave_an_idle_cluster);
	tcase_add_test(expiry, damage_that_is_looked_at_stops_the_node);
	suite_add_tcase(suite, expiry);
	tcase_add_test(
	    marks, cluster_time_is_marked_while_something_has_a_deadline);
	tcase_add_test(marks, a_busy_cluster_needs_no_marks);
	suite_add_tcase(suite, marks);
	tcase_add_test(time, cluster_time_begins_with_the_cluster);
	tcase_add_test(time, members_know_cluster_time);
	tcase_add_test(time, cluster_time_never_goes_back_on_a_node);
	suite_add_tcase(suite, time);
	return suite;
}
