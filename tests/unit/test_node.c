#include "tests/unit/node_cluster.h"
#include "tests/unit/suites.h"

#include <stdio.h>

struct get {
	struct node_read read;
	unsigned done;
	int status;
};

static void
get_done(struct node_read *read, int status)
{
	struct get *get = CONTAINER_OF(read, struct get, read);

	get->done++;
	get->status = status;
}

/* ---- One node ---- */

START_TEST(A21_single_node_leads_and_writes)
{
	struct node_cluster *cluster = node_cluster_new(1);
	struct machine *n1 = node_cluster_elect(cluster);
	struct node_status status;
	struct machine_put put1;

	ck_assert_int_eq(machine_put(n1, &put1, "key", "value"), 0);
	ck_assert_uint_eq(put1.done, 0);
	node_cluster_settle(cluster);
	ck_assert_uint_eq(put1.done, 1);
	ck_assert_int_eq(put1.outcome, NODE_DONE);
	ck_assert_int_eq(put1.result.status, KV_OK);
	ck_assert(put1.result.changed);
	ck_assert_uint_eq(put1.result.revision, 1);
	machine_check_value(n1, "key", "value");
	node_get_status(n1->node, cluster->now, &status);
	ck_assert(status.cluster_id_known);
	ck_assert_uint_eq(status.cluster_id[0], 17);
	node_cluster_free(cluster);
}
END_TEST

START_TEST(F17_writes_of_one_turn_share_one_commit)
{
	struct node_cluster *cluster = node_cluster_new(1);
	struct machine *n1 = node_cluster_elect(cluster);
	unsigned before = n1->commits;
	struct machine_put puts[50];

	for (unsigned i = 0; i < 50; i++)
		ck_assert_int_eq(machine_put(n1, &puts[i], "key", "value"), 0);
	node_cluster_settle(cluster);
	ck_assert_uint_eq(n1->commits, before + 1);
	for (unsigned i = 0; i < 50; i++)
		ck_assert_uint_eq(puts[i].result.revision, i + 1);
	node_cluster_free(cluster);
}
END_TEST

START_TEST(L23_idle_node_writes_nothing)
{
	struct node_cluster *cluster = node_cluster_new(1);
	struct machine *n1 = node_cluster_elect(cluster);
	unsigned commits;
	unsigned checkpoints;

	node_cluster_pass(cluster, 1000000);
	commits = n1->commits;
	checkpoints = n1->checkpoints;
	node_cluster_pass(cluster, 60000000);
	ck_assert_uint_eq(n1->commits, commits);
	ck_assert_uint_eq(n1->checkpoints, checkpoints);
	node_cluster_free(cluster);
}
END_TEST

START_TEST(E20_restart_replays_what_no_checkpoint_held)
{
	struct node_cluster *cluster = node_cluster_new(1);
	struct machine *n1 = node_cluster_elect(cluster);
	struct machine_put write;
	struct kv_item item;

	node_cluster_pass(cluster, 1000000);
	ck_assert_int_eq(machine_put(n1, &write, "a", "1"), 0);
	node_cluster_settle(cluster);
	node_cluster_pass(cluster, 1000000);
	ck_assert_int_eq(machine_put(n1, &write, "a", "2"), 0);
	node_cluster_settle(cluster);
	ck_assert_int_eq(machine_put(n1, &write, "b", "3"), 0);
	node_cluster_settle(cluster);
	machine_stop(n1);
	ck_assert_int_eq(machine_start(n1), 0);
	node_cluster_pass(cluster, 5000000);
	machine_check_value(n1, "a", "2");
	machine_check_value(n1, "b", "3");
	ck_assert_int_eq(machine_put(n1, &write, "a", "4"), 0);
	node_cluster_settle(cluster);
	ck_assert_uint_eq(write.result.revision, 4);
	ck_assert_int_eq(
	    kv_get(node_kv(n1->node), slice_from_text("a"), &item), 0);
	ck_assert_uint_eq(item.version, 3);
	node_cluster_free(cluster);
}
END_TEST

/* E9, E26: every operation of a write's commit fails once; nothing that was
 * acknowledged is gone after a restart, and the fault is named. */
START_TEST(E9_failed_commit_stops_the_node)
{
	bool failed = true;

	for (uint64_t n = 1; failed; n++) {
		struct node_cluster *cluster = node_cluster_new(1);
		struct machine *n1 = node_cluster_elect(cluster);
		struct machine_put first;
		struct machine_put second;
		struct machine_put third;

		ck_assert_int_eq(machine_put(n1, &first, "a", "1"), 0);
		node_cluster_settle(cluster);
		store_mem_seed(n1->log_disk, n);
		store_mem_fail_operation(n1->log_disk, n, ERR_NO_SPACE);
		ck_assert_int_eq(machine_put(n1, &second, "b", "2"), 0);
		failed = node_turn(n1->node, cluster->now) != 0;
		store_mem_fail_operation(n1->log_disk, 0, 0);
		if (failed) {
			ck_assert_uint_eq(second.done, 0);
			ck_assert_str_eq(
			    node_fault(n1->node), "log commit: no space left");
			ck_assert_int_ne(node_turn(n1->node, cluster->now), 0);
			ck_assert_int_eq(
			    machine_put(n1, &third, "c", "3"), ERR_NOT_LEADER);
		} else {
			ck_assert_uint_eq(second.done, 1);
		}
		machine_stop(n1);
		ck_assert_int_eq(machine_start(n1), 0);
		node_cluster_pass(cluster, 5000000);
		machine_check_value(n1, "a", "1");
		if (!failed)
			machine_check_value(n1, "b", "2");
		node_cluster_free(cluster);
	}
}
END_TEST

START_TEST(E9_failed_checkpoint_stops_the_node)
{
	struct node_cluster *cluster = node_cluster_new(1);
	struct machine *n1 = node_cluster_elect(cluster);
	struct machine_put write;
	int error = 0;

	ck_assert_int_eq(machine_put(n1, &write, "a", "1"), 0);
	node_cluster_settle(cluster);
	store_mem_fail_commit(n1->data_disks[0], 1, ERR_IO);
	for (unsigned i = 0; i < 200 && error == 0; i++) {
		cluster->now += 10000;
		error = node_turn(n1->node, cluster->now);
	}
	ck_assert_int_eq(error, ERR_IO);
	ck_assert_ptr_nonnull(strstr(node_fault(n1->node), "checkpoint"));
	store_mem_fail_commit(n1->data_disks[0], 0, 0);
	machine_stop(n1);
	ck_assert_int_eq(machine_start(n1), 0);
	node_cluster_pass(cluster, 5000000);
	machine_check_value(n1, "a", "1");
	node_cluster_free(cluster);
}
END_TEST

START_TEST(E19_data_ahead_of_the_log_refuses)
{
	struct node_cluster *cluster = node_cluster_new(1);
	struct machine *n1 = node_cluster_elect(cluster);
	struct store_mem_disk *old_log;
	struct machine_put write;

	node_cluster_pass(cluster, 1000000);
	old_log = store_mem_disk_clone(n1->log_disk);
	ck_assert_int_eq(machine_put(n1, &write, "a", "1"), 0);
	node_cluster_settle(cluster);
	node_cluster_pass(cluster, 1000000);
	machine_stop(n1);
	store_mem_disk_free(n1->log_disk);
	n1->log_disk = old_log;
	ck_assert_int_eq(machine_start(n1), ERR_CORRUPT);
	ck_assert_ptr_nonnull(strstr(n1->why, "the log ends at"));
	machine_wipe(n1);
	ck_assert_int_eq(machine_start(n1), 0);
	node_cluster_free(cluster);
}
END_TEST

/* Whole and as long as the log, but of other entries: the log, all of it, says
 * what the data is. */
START_TEST(E19_data_of_another_history_is_made_anew)
{
	struct node_cluster *cluster = node_cluster_new(1);
	struct node_cluster *other = node_cluster_new(1);
	struct machine *n1 = node_cluster_elect(cluster);
	struct machine *n2 = node_cluster_elect(other);
	struct machine_put write1;
	struct machine_put write2;

	ck_assert_int_eq(machine_put(n1, &write1, "a", "1"), 0);
	ck_assert_int_eq(machine_put(n2, &write2, "a", "2"), 0);
	node_cluster_pass(cluster, 1000000);
	node_cluster_pass(other, 1000000);
	machine_stop(n1);
	machine_stop(n2);
	store_mem_disk_free(n1->data_disks[0]);
	n1->data_disks[0] = store_mem_disk_clone(n2->data_disks[0]);
	ck_assert_int_eq(machine_start(n1), 0);
	ck_assert_ptr_nonnull(strstr(
	    node_get_repair(n1->node, NODE_REPAIR_DATA), "from the log"));
	ck_assert_ptr_null(node_get_repair(n1->node, NODE_REPAIR_LOG));
	node_cluster_pass(cluster, 5000000);
	machine_check_value(n1, "a", "1");
	ck_assert_ptr_null(n1->data_disks[0]);
	ck_assert_int_eq(machine_start(n2), 0);
	node_cluster_free(cluster);
	node_cluster_free(other);
}
END_TEST

START_TEST(G18_other_generations_of_data_are_removed_at_start)
{
	struct node_cluster *cluster = node_cluster_new(1);
	struct machine *n1 = node_cluster_elect(cluster);

	machine_stop(n1);
	n1->data_disks[1] = store_mem_disk_new(KV_TABLES_COUNT);
	ck_assert_int_eq(machine_start(n1), 0);
	ck_assert_ptr_null(n1->data_disks[1]);
	ck_assert_ptr_nonnull(n1->data_disks[0]);
	node_cluster_free(cluster);
}
END_TEST

/* Without its log it is no empty directory: that would be told as a wiped
 * one only after a peer was heard. */
START_TEST(E19_data_without_a_log_refuses)
{
	struct node_cluster *cluster = node_cluster_new(1);
	struct machine *n1 = node_cluster_elect(cluster);
	struct machine_put put;

	ck_assert_int_eq(machine_put(n1, &put, "a", "1"), 0);
	node_cluster_settle(cluster);
	node_cluster_pass(cluster, 1000000);
	machine_stop(n1);
	store_mem_disk_free(n1->log_disk);
	n1->log_disk = store_mem_disk_new(NODE_LOG_TABLES_COUNT);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(machine_start(n1), ERR_CORRUPT);
		ck_assert_ptr_nonnull(strstr(n1->why, "the log ends at 0"));
	}
	machine_wipe(n1);
	ck_assert_int_eq(machine_start(n1), 0);
	node_cluster_free(cluster);
}
END_TEST

START_TEST(D15_directory_of_another_node_refuses)
{
	struct node_cluster *cluster = node_cluster_new(1);
	struct machine *n1 = &cluster->machine[0];
	struct node_params params = machine_params(n1);

	machine_stop(n1);
	snprintf(params.name, sizeof(params.name), "n9");
	ck_assert_int_eq(machine_start_with(n1, &params), ERR_MISMATCH);
	ck_assert_ptr_nonnull(strstr(n1->why, "belongs to node n1"));
	ck_assert_int_eq(machine_start(n1), 0);
	node_cluster_free(cluster);
}
END_TEST

/* ---- Formation ---- */

START_TEST(formation_waits_for_every_member)
{
	struct node_cluster *cluster = node_cluster_new(3);
	struct node_status status;

	ck_assert_int_eq(
	    machine_hear(&cluster->machine[1], &cluster->machine[0]), 0);
	node_cluster_pass(cluster, 10000000);
	node_get_status(cluster->machine[0].node, cluster->now, &status);
	ck_assert_int_eq(status.state, NODE_FORMING);
	ck_assert_uint_eq(status.reached, 2);
	ck_assert_ptr_null(node_cluster_leader(cluster));
	ck_assert_int_eq(
	    machine_hear(&cluster->machine[2], &cluster->machine[0]), 0);
	node_cluster_settle(cluster);
	node_get_status(cluster->machine[0].node, cluster->now, &status);
	ck_assert_int_eq(status.state, NODE_MEMBER);
	(void)node_cluster_elect(cluster);
	node_cluster_free(cluster);
}
END_TEST

START_TEST(formation_is_durable)
{
	struct node_cluster *cluster = node_cluster_new(3);
	struct node_status status;

	node_cluster_hear_all(cluster);
	node_cluster_settle(cluster);
	for (unsigned i = 0; i < 3; i++) {
		machine_stop(&cluster->machine[i]);
		ck_assert_int_eq(machine_start(&cluster->machine[i]), 0);
		node_get_status(
		    cluster->machine[i].node, cluster->now, &status);
		ck_assert_int_eq(status.state, NODE_MEMBER);
	}
	(void)node_cluster_wait_for_leader(cluster);
	node_cluster_free(cluster);
}
END_TEST

START_TEST(E24_other_member_lists_refuse_each_other)
{
	struct node_cluster *cluster = node_cluster_new(3);
	struct machine *n1 = &cluster->machine[0];
	struct node_params params = machine_params(n1);

	machine_stop(n1);
	machine_wipe(n1);
	snprintf(params.members.member[2].address, NODE_ADDRESS_SIZE_MAX,
	    "10.0.0.9:5864");
	ck_assert_int_eq(machine_start_with(n1, &params), 0);
	ck_assert_int_eq(machine_hear(&cluster->machine[1], n1), ERR_MISMATCH);
	ck_assert_ptr_nonnull(strstr(n1->why, "[members]"));
	node_cluster_free(cluster);
}
END_TEST

START_TEST(E22_wiped_node_finds_out_and_stays_out)
{
	struct node_cluster *cluster = node_cluster_new(3);
	struct machine *leader = node_cluster_elect(cluster);
	struct machine *wiped = &cluster->machine[leader->id % 3];
	struct node_status status;

	machine_stop(wiped);
	machine_wipe(wiped);
	ck_assert_int_eq(machine_start(wiped), 0);
	ck_assert_int_eq(machine_hear(wiped, leader), ERR_MISMATCH);
	ck_assert_ptr_nonnull(strstr(leader->why, "wiped"));
	ck_assert_int_eq(machine_hear(leader, wiped), ERR_MISMATCH);
	ck_assert_ptr_nonnull(strstr(wiped->why, "remembers"));
	node_cluster_pass(cluster, 5000000);
	node_get_status(wiped->node, cluster->now, &status);
	ck_assert_int_eq(status.state, NODE_WIPED);
	ck_assert_ptr_eq(node_cluster_leader(cluster), leader);
	node_cluster_free(cluster);
}
END_TEST

/* A late node that never formed and a wiped one cannot outvote the data. */
START_TEST(wiped_and_late_node_do_not_form_a_second_cluster)
{
	struct node_cluster *cluster = node_cluster_new(3);
	struct machine *n1 = &cluster->machine[0];
	struct machine *n2 = &cluster->machine[1];
	struct machine *n3 = &cluster->machine[2];
	struct node_status status;

	ck_assert_int_eq(machine_hear(n1, n2), 0);
	ck_assert_int_eq(machine_hear(n3, n2), 0);
	ck_assert_int_eq(machine_hear(n2, n1), 0);
	ck_assert_int_eq(machine_hear(n3, n1), 0);
	node_cluster_settle(cluster);
	machine_stop(n2);
	machine_wipe(n2);
	ck_assert_int_eq(machine_start(n2), 0);
	ck_assert_int_eq(machine_hear(n2, n3), 0);
	ck_assert_int_eq(machine_hear(n3, n2), 0);
	node_cluster_pass(cluster, 5000000);
	node_get_status(n2->node, cluster->now, &status);
	ck_assert_int_eq(status.state, NODE_FORMING);
	ck_assert_int_eq(machine_hear(n1, n2), ERR_MISMATCH);
	ck_assert_int_eq(machine_hear(n1, n3), 0);
	node_cluster_pass(cluster, 5000000);
	node_get_status(n2->node, cluster->now, &status);
	ck_assert_int_eq(status.state, NODE_WIPED);
	node_cluster_free(cluster);
}
END_TEST

/* ---- Three nodes ---- */

START_TEST(three_nodes_hold_the_same_state)
{
	struct node_cluster *cluster = node_cluster_new(3);
	struct machine *leader = node_cluster_elect(cluster);
	uint64_t hash;
	struct machine_put write;

	for (unsigned i = 0; i < 100; i++) {
		ck_assert_int_eq(
		    machine_put(leader, &write, "key", "value"), 0);
		node_cluster_settle(cluster);
		ck_assert_uint_eq(write.done, 1);
	}
	node_cluster_pass(cluster, 1000000);
	hash = kv_state_hash(node_kv(leader->node));
	for (unsigned i = 0; i < 3; i++)
		ck_assert_uint_eq(
		    kv_state_hash(node_kv(cluster->machine[i].node)), hash);
	node_cluster_free(cluster);
}
END_TEST

/* Parallel leader append: peers' disks work while ours does. */
START_TEST(append_leaves_before_the_own_commit)
{
	struct node_cluster *cluster = node_cluster_new(3);
	struct machine *leader = node_cluster_elect(cluster);
	struct machine_put write;

	leader->commits = 0;
	leader->sent_before_commit = false;
	ck_assert_int_eq(machine_put(leader, &write, "key", "value"), 0);
	ck_assert_int_eq(node_turn(leader->node, cluster->now), 0);
	ck_assert(leader->sent_before_commit);
	ck_assert_uint_eq(leader->commits, 1);
	node_cluster_free(cluster);
}
END_TEST

START_TEST(K3_deposed_leader_answers_nobody_until_it_knows)
{
	struct node_cluster *cluster = node_cluster_new(3);
	struct machine *old = node_cluster_elect(cluster);
	struct machine *other;
	struct machine_put lost;
	struct machine_put kept;
	struct node_packet *packet;

	/* Proposed, made durable here, and cut off before anybody heard. */
	ck_assert_int_eq(machine_put(old, &lost, "key", "lost"), 0);
	ck_assert_int_eq(node_turn(old->node, cluster->now), 0);
	while ((packet = node_cluster_next_packet(cluster)) != NULL)
		node_packet_free(packet);
	other = old;
	for (unsigned i = 0; i < 1000 && other == old; i++) {
		cluster->now += 10000;
		for (unsigned m = 0; m < 3; m++) {
			struct machine *member = &cluster->machine[m];

			if (member != old)
				ck_assert_int_eq(
				    node_turn(member->node, cluster->now), 0);
			if (member != old && node_is_leader(member->node))
				other = member;
		}
		while ((packet = node_cluster_next_packet(cluster)) != NULL) {
			struct raft_message *message = &packet->message;

			if (message->to != old->id)
				(void)node_receive(
				    cluster->machine[message->to - 1].node,
				    cluster->now, message, packet->records);
			node_packet_free(packet);
		}
	}
	ck_assert_ptr_ne(other, old);
	ck_assert_uint_eq(lost.done, 0);
	ck_assert_int_eq(machine_put(other, &kept, "key", "kept"), 0);
	node_cluster_pass(cluster, 3000000);
	ck_assert_uint_eq(kept.done, 1);
	ck_assert_int_eq(kept.outcome, NODE_DONE);
	ck_assert_uint_eq(lost.done, 1);
	ck_assert_int_eq(lost.outcome, NODE_LOST);
	machine_check_value(old, "key", "kept");
	node_cluster_free(cluster);
}
END_TEST

START_TEST(J6_reads_of_one_turn_share_one_round)
{
	struct node_cluster *cluster = node_cluster_new(3);
	struct machine *leader = node_cluster_elect(cluster);
	struct raft_status before;
	struct node_status status;
	struct get reads[100];

	node_get_status(leader->node, cluster->now, &status);
	before = status.raft;
	for (unsigned i = 0; i < 100; i++) {
		reads[i] = (struct get){ .read = { .done = get_done } };
		ck_assert_int_eq(node_read(leader->node, &reads[i].read), 0);
	}
	node_cluster_settle(cluster);
	for (unsigned i = 0; i < 100; i++) {
		ck_assert_uint_eq(reads[i].done, 1);
		ck_assert_int_eq(reads[i].status, 0);
	}
	node_get_status(leader->node, cluster->now, &status);
	ck_assert_uint_eq(status.raft.round, before.round + 1);
	node_cluster_free(cluster);
}
END_TEST

static struct machine *
elect_with_leases(struct node_cluster *cluster)
{
	for (unsigned i = 0; i < cluster->count; i++) {
		struct machine *machine = &cluster->machine[i];
		struct node_params params = machine_params(machine);

		params.raft.lease_reads = true;
		machine_stop(machine);
		ck_assert_int_eq(machine_start_with(machine, &params), 0);
	}
	return node_cluster_elect(cluster);
}

/* The process was stopped after the loop looked at its clock. */
START_TEST(P4_lease_that_ends_within_a_pass_answers_nobody)
{
	struct node_cluster *cluster = node_cluster_new(3);
	struct machine *leader = elect_with_leases(cluster);
	struct get early = { .read = { .done = get_done } };
	struct get late = { .read = { .done = get_done } };
	raft_usec began = cluster->now;

	ck_assert_uint_gt(node_lease_until(leader->node), began);
	ck_assert_int_eq(node_read(leader->node, &early.read), 0);
	ck_assert_int_eq(node_turn(leader->node, began), 0);
	ck_assert_uint_eq(early.done, 1);
	ck_assert_int_eq(node_read(leader->node, &late.read), 0);
	cluster->now = node_lease_until(leader->node);
	ck_assert_int_eq(node_turn(leader->node, began), 0);
	ck_assert_uint_eq(late.done, 0);
	node_cluster_settle(cluster);
	ck_assert_uint_eq(late.done, 1);
	node_cluster_free(cluster);
}
END_TEST

START_TEST(follower_refuses_writes_and_serves_reads)
{
	struct node_cluster *cluster = node_cluster_new(3);
	struct machine *leader = node_cluster_elect(cluster);
	struct machine *follower = &cluster->machine[leader->id % 3];
	struct get read = { .read = { .done = get_done } };
	struct machine_put write;

	ck_assert_int_eq(
	    machine_put(follower, &write, "key", "value"), ERR_NOT_LEADER);
	ck_assert_int_eq(node_read(follower->node, &read.read), 0);
	node_cluster_settle(cluster);
	ck_assert_uint_eq(read.done, 1);
	ck_assert_int_eq(read.status, 0);
	ck_assert_uint_eq(node_leader(follower->node), leader->id);
	node_cluster_free(cluster);
}
END_TEST

START_TEST(log_is_cut_when_all_have_it_and_the_checkpoint_holds_it)
{
	struct node_cluster *cluster = node_cluster_new(3);
	struct machine *leader = node_cluster_elect(cluster);
	struct node_status status;
	struct machine_put write;

	for (unsigned i = 0; i < 2000; i++) {
		ck_assert_int_eq(
		    machine_put(leader, &write, "key", "value"), 0);
		node_cluster_settle(cluster);
		if (i % 100 == 0)
			node_cluster_pass(cluster, 600000);
	}
	node_cluster_pass(cluster, 1000000);
	for (unsigned i = 0; i < 3; i++) {
		node_get_status(
		    cluster->machine[i].node, cluster->now, &status);
		ck_assert_uint_lt(status.log_entries, 700);
	}
	for (unsigned i = 0; i < 3; i++) {
		machine_stop(&cluster->machine[i]);
		ck_assert_int_eq(machine_start(&cluster->machine[i]), 0);
	}
	machine_check_value(
	    node_cluster_wait_for_leader(cluster), "key", "value");
	node_cluster_free(cluster);
}
END_TEST

START_TEST(damaged_record_from_a_peer_changes_nothing)
{
	struct node_cluster *cluster = node_cluster_new(3);
	struct machine *leader = node_cluster_elect(cluster);
	struct machine_put write;
	struct node_packet *packet;
	unsigned damaged = 0;

	ck_assert_int_eq(machine_put(leader, &write, "key", "value"), 0);
	ck_assert_int_eq(node_turn(leader->node, cluster->now), 0);
	while ((packet = node_cluster_next_packet(cluster)) != NULL) {
		struct node *to = cluster->machine[packet->message.to - 1].node;
		uint64_t digest = node_digest(to);

		if (packet->message.entries_count == 1) {
			((uint8_t *)(uintptr_t)packet->records[0].data)[50] ^=
			    1;
			ck_assert_int_eq(node_receive(to, cluster->now,
					     &packet->message, packet->records),
			    ERR_INVALID);
			ck_assert_uint_eq(node_digest(to), digest);
			damaged++;
		}
		node_packet_free(packet);
	}
	ck_assert_uint_eq(damaged, 2);
	node_cluster_free(cluster);
}
END_TEST

Suite *
node_suite(void)
{
	Suite *suite = suite_create("node");
	TCase *one = tcase_create("one node");
	TCase *formation = tcase_create("formation");
	TCase *three = tcase_create("three nodes");

	tcase_add_test(one, A21_single_node_leads_and_writes);
	tcase_add_test(one, F17_writes_of_one_turn_share_one_commit);
	tcase_add_test(one, L23_idle_node_writes_nothing);
	tcase_add_test(one, E20_restart_replays_what_no_checkpoint_held);
	tcase_add_test(one, E9_failed_commit_stops_the_node);
	tcase_add_test(one, E9_failed_checkpoint_stops_the_node);
	tcase_add_test(one, E19_data_ahead_of_the_log_refuses);
	tcase_add_test(one, E19_data_of_another_history_is_made_anew);
	tcase_add_test(one, E19_data_without_a_log_refuses);
	tcase_add_test(one, G18_other_generations_of_data_are_removed_at_start);
	tcase_add_test(one, D15_directory_of_another_node_refuses);
	suite_add_tcase(suite, one);
	tcase_add_test(formation, formation_waits_for_every_member);
	tcase_add_test(formation, formation_is_durable);
	tcase_add_test(formation, E24_other_member_lists_refuse_each_other);
	tcase_add_test(formation, E22_wiped_node_finds_out_and_stays_out);
	tcase_add_test(
	    formation, wiped_and_late_node_do_not_form_a_second_cluster);
	suite_add_tcase(suite, formation);
	tcase_add_test(three, three_nodes_hold_the_same_state);
	tcase_add_test(three, append_leaves_before_the_own_commit);
	tcase_add_test(three, K3_deposed_leader_answers_nobody_until_it_knows);
	tcase_add_test(three, J6_reads_of_one_turn_share_one_round);
	tcase_add_test(three, P4_lease_that_ends_within_a_pass_answers_nobody);
	tcase_add_test(three, follower_refuses_writes_and_serves_reads);
	tcase_add_test(
	    three, log_is_cut_when_all_have_it_and_the_checkpoint_holds_it);
	tcase_add_test(three, damaged_record_from_a_peer_changes_nothing);
	suite_add_tcase(suite, three);
	return suite;
}
