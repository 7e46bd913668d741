#include "node/node_recover.h"

#include "node/node_identity.h"
#include "node/node_log.h"
#include "tests/unit/node_cluster.h"
#include "tests/unit/suites.h"

#include <stdio.h>

/*
 * A majority is lost for good: one directory becomes the cluster (raft core
 * scenarios H35, H36), and grows again by the usual way.
 */

static const uint8_t new_id[NODE_NONCE_SIZE] = { 0xee, 7 };

static struct node_cluster *
formed(unsigned count)
{
	struct node_cluster *cluster = node_cluster_new(count);

	cluster->dials = true;
	(void)node_cluster_wait_for_leader(cluster);
	return cluster;
}

static void
put(struct node_cluster *cluster, const char *key)
{
	struct machine *leader = node_cluster_wait_for_leader(cluster);
	struct machine_put put;

	ck_assert_int_eq(machine_put(leader, &put, key, key), 0);
	node_cluster_pass(cluster, 1000000);
	ck_assert_uint_eq(put.done, 1);
	ck_assert_int_eq(put.outcome, NODE_DONE);
}

static int
add(struct node_cluster *cluster, const struct machine *new,
    struct machine_put *put)
{
	struct machine *leader = node_cluster_wait_for_leader(cluster);
	struct node_change change = { .kind = NODE_ADD };
	struct node_params params = machine_params(new);
	struct node_hello hello;

	node_get_hello(new->node, 0, &hello);
	memcpy(change.member.name, params.name, sizeof(params.name));
	memcpy(change.member.address, params.address, sizeof(params.address));
	memcpy(change.member.directory, hello.directory, NODE_NONCE_SIZE);
	*put = (struct machine_put){ .write = { .done = machine_put_done } };
	return node_change_members(leader->node, cluster->now, &change,
	    &put->write, leader->why, sizeof(leader->why));
}

static void
stop_all(struct node_cluster *cluster)
{
	struct node_packet *packet;

	for (unsigned i = 0; i < cluster->count; i++) {
		if (cluster->machine[i].node != NULL)
			machine_stop(&cluster->machine[i]);
	}
	while ((packet = node_cluster_next_packet(cluster)) != NULL)
		node_packet_free(packet);
}

/* ---- Looking into a directory ---- */

struct look {
	struct machine *machine;
	struct store *log;
	struct node_recover *recover;
	const struct node_recover_report *report;
	char why[MACHINE_WHY_SIZE];
};

static int
open_data(void *context, uint64_t generation, struct store **ret_store)
{
	struct machine *machine = context;
	struct store_mem_disk *disk =
	    machine->data_disks[generation % MACHINE_GENERATIONS];

	if (disk == NULL)
		return ERR_CORRUPT;
	*ret_store = store_mem_open(disk);
	return 0;
}

static int
look_into(struct machine *machine, struct look *look)
{
	int error;

	*look = (struct look){
		.machine = machine,
		.log = store_mem_open(machine->log_disk),
	};
	error = node_recover_open(&look->recover, look->log, open_data, machine,
	    look->why, sizeof(look->why));
	if (error != 0) {
		store_close(look->log);
		return error;
	}
	look->report = node_recover_get_report(look->recover);
	return 0;
}

static void
look_away(struct look *look)
{
	node_recover_close(look->recover);
	store_close(look->log);
}

static int
check(struct look *look, const struct node_recover_seen *seen, unsigned count,
    bool accept_loss)
{
	look->why[0] = '\0';
	return node_recover_check(look->recover, seen, count, accept_loss,
	    look->why, sizeof(look->why));
}

static void
force(struct machine *machine)
{
	struct look look;

	ck_assert_int_eq(look_into(machine, &look), 0);
	ck_assert_int_eq(check(&look, NULL, 0, true), 0);
	ck_assert_int_eq(node_recover_force(look.recover, new_id), 0);
	look_away(&look);
}

static struct node_recover_seen
seen_of(struct machine *machine)
{
	struct node_recover_seen seen;
	struct look look;

	ck_assert_int_eq(look_into(machine, &look), 0);
	seen = (struct node_recover_seen){
		.term = look.report->last_term,
		.index = look.report->last_index,
	};
	memcpy(seen.name, look.report->name, sizeof(seen.name));
	look_away(&look);
	return seen;
}

static uint64_t
digest(const struct machine *machine)
{
	return store_mem_digest(machine->log_disk);
}

/* ---- H35 ---- */

START_TEST(H35_report_says_what_the_directory_holds)
{
	struct node_cluster *cluster = formed(3);
	struct machine *n3 = &cluster->machine[2];
	struct node_status status;
	struct look look;
	uint64_t before;

	put(cluster, "a");
	node_get_status(n3->node, cluster->now, &status);
	stop_all(cluster);
	before = digest(n3);
	ck_assert_int_eq(look_into(n3, &look), 0);
	ck_assert_str_eq(look.report->cluster, "test");
	ck_assert_str_eq(look.report->name, "n3");
	ck_assert_uint_eq(look.report->id, 3);
	ck_assert_uint_eq(look.report->generation, 1);
	ck_assert(look.report->cluster_id_known);
	ck_assert_mem_eq(
	    look.report->cluster_id, status.cluster_id, NODE_NONCE_SIZE);
	ck_assert_uint_eq(look.report->term, status.raft.term);
	ck_assert_uint_eq(look.report->last_index, status.raft.last_index);
	ck_assert_uint_eq(look.report->last_term, status.raft.term);
	ck_assert_uint_le(look.report->applied_index, status.raft.last_index);
	ck_assert_uint_eq(look.report->membership.members.count, 3);
	ck_assert_uint_eq(look.report->membership.roles.index, 1);
	ck_assert(!look.report->outdated);
	look_away(&look);
	ck_assert_uint_eq(digest(n3), before);
	node_cluster_free(cluster);
}
END_TEST

static void
check_alone(
    struct node_cluster *cluster, struct machine *machine, raft_term term)
{
	struct node_status status;
	char why[256];

	ck_assert_ptr_eq(node_cluster_wait_for_leader(cluster), machine);
	node_get_status(machine->node, cluster->now, &status);
	ck_assert_uint_eq(status.id, machine->id);
	ck_assert_uint_eq(status.generation, 2);
	ck_assert_mem_eq(status.cluster_id, new_id, NODE_NONCE_SIZE);
	ck_assert_uint_gt(status.raft.term, term + 1);
	ck_assert_uint_eq(status.quorum, 1);
	ck_assert_uint_eq(node_get_members(machine->node)->count, 1);
	ck_assert_int_eq(
	    node_get_role(machine->node, machine->id), RAFT_MEMBER_VOTER);
	ck_assert_msg(node_check(machine->node, why, sizeof(why)), "%s", why);
}

START_TEST(H35_survivor_goes_on_alone_and_refuses_old_members)
{
	struct node_cluster *cluster = formed(3);
	struct machine *n3 = &cluster->machine[2];
	struct node_status status;
	struct node_hello hello;

	put(cluster, "a");
	put(cluster, "b");
	node_get_status(n3->node, cluster->now, &status);
	stop_all(cluster);
	force(n3);
	/* Also when it is started again before or after it has led. */
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_int_eq(machine_start(n3), 0);
		node_get_hello(n3->node, 1, &hello);
		ck_assert_mem_eq(hello.cluster_id, new_id, NODE_NONCE_SIZE);
		ck_assert_uint_eq(hello.generation, 2);
		if (i > 0) {
			check_alone(cluster, n3, status.raft.term);
			machine_check_value(n3, "a", "a");
			machine_check_value(n3, "b", "b");
		}
		machine_stop(n3);
	}
	ck_assert_int_eq(machine_start(n3), 0);
	put(cluster, "c");
	node_get_status(n3->node, cluster->now, &status);
	/* The others were not lost after all. */
	for (unsigned i = 0; i < 2; i++)
		ck_assert_int_eq(machine_start(&cluster->machine[i]), 0);
	cluster->machine[1].why[0] = '\0';
	n3->why[0] = '\0';
	ck_assert_int_eq(machine_hear(n3, &cluster->machine[1]), ERR_MISMATCH);
	ck_assert_ptr_nonnull(strstr(cluster->machine[1].why,
	    "made anew by force since the data-dir of n2"));
	ck_assert_int_eq(machine_hear(&cluster->machine[1], n3), ERR_MISMATCH);
	ck_assert_ptr_nonnull(
	    strstr(n3->why, "start n2 with an empty node.data-dir"));
	node_cluster_pass(cluster, 5000000);
	check_alone(cluster, n3, 0);
	ck_assert_uint_eq(node_get_members(n3->node)->count, 1);
	node_cluster_free(cluster);
}
END_TEST

START_TEST(H35_recovered_cluster_grows_again)
{
	struct node_cluster *cluster = formed(3);
	struct machine *n2 = &cluster->machine[1];
	struct machine_put added;
	struct node_status status;

	put(cluster, "a");
	stop_all(cluster);
	force(n2);
	ck_assert_int_eq(machine_start(n2), 0);
	for (unsigned i = 3; i < 5; i++) {
		struct machine *new = node_cluster_join(cluster);

		ck_assert_int_eq(add(cluster, new, &added), 0);
		node_cluster_pass(cluster, 5000000);
		ck_assert_int_eq(machine_state(new), NODE_MEMBER);
		node_get_status(new->node, cluster->now, &status);
		ck_assert_uint_eq(status.generation, 2);
		ck_assert_mem_eq(status.cluster_id, new_id, NODE_NONCE_SIZE);
		ck_assert_int_eq(
		    node_get_role(n2->node, status.id), RAFT_MEMBER_VOTER);
		machine_check_value(new, "a", "a");
	}
	machine_stop(n2);
	put(cluster, "b");
	ck_assert_int_eq(machine_start(n2), 0);
	node_cluster_pass(cluster, 3000000);
	machine_check_value(n2, "b", "b");
	ck_assert_uint_eq(node_get_members(n2->node)->count, 3);
	node_cluster_free(cluster);
}
END_TEST

/* The membership was changing, and the joint one is in its log alone. */
START_TEST(H35_joint_membership_is_left_too)
{
	struct node_cluster *cluster = formed(3);
	struct machine *leader = node_cluster_wait_for_leader(cluster);
	struct machine *n4 = node_cluster_join(cluster);
	struct machine_put added;
	struct look look;
	bool joint = false;

	ck_assert_int_eq(add(cluster, n4, &added), 0);
	/* Stopped at each moment until it is done; the first joint one is
	 * taken. */
	for (unsigned i = 0; !joint && i < 500; i++) {
		node_cluster_pass(cluster, 10000);
		joint = false;
		machine_stop(leader);
		ck_assert_int_eq(look_into(leader, &look), 0);
		joint = look.report->membership.roles.joint ||
			look.report->membership.members.count == 4;
		look_away(&look);
		ck_assert_int_eq(machine_start(leader), 0);
	}
	ck_assert(joint);
	stop_all(cluster);
	force(leader);
	ck_assert_int_eq(machine_start(leader), 0);
	put(cluster, "a");
	check_alone(cluster, leader, 0);
	node_cluster_free(cluster);
}
END_TEST

/* Each operation fails once: all of it happens, or nothing. */
START_TEST(H35_crash_leaves_the_old_or_the_new_cluster)
{
	bool failed = true;

	for (uint64_t n = 1; failed; n++) {
		struct node_cluster *cluster = formed(3);
		struct machine *n1 = &cluster->machine[0];
		struct node_status status;
		struct look look;

		put(cluster, "a");
		stop_all(cluster);
		ck_assert_int_eq(look_into(n1, &look), 0);
		store_mem_fail_operation(n1->log_disk, n, ERR_IO);
		failed = node_recover_force(look.recover, new_id) != 0;
		store_mem_fail_operation(n1->log_disk, 0, 0);
		look_away(&look);
		ck_assert_int_eq(look_into(n1, &look), 0);
		if (look.report->generation == 1) {
			ck_assert(failed);
			ck_assert_int_eq(check(&look, NULL, 0, true), 0);
			ck_assert_int_eq(
			    node_recover_force(look.recover, new_id), 0);
		} else {
			ck_assert_int_eq(
			    check(&look, NULL, 0, true), ERR_EXISTS);
			ck_assert_ptr_nonnull(strstr(look.why, "generation 2"));
		}
		look_away(&look);
		ck_assert_int_eq(machine_start(n1), 0);
		(void)node_cluster_wait_for_leader(cluster);
		node_get_status(n1->node, cluster->now, &status);
		ck_assert_uint_eq(status.generation, 2);
		node_cluster_free(cluster);
	}
}
END_TEST

/* ---- H36 ---- */

static void
expect_refusal(struct look *look, const struct node_recover_seen *seen,
    unsigned count, int error, const char *text)
{
	ck_assert_int_eq(check(look, seen, count, false), error);
	ck_assert_msg(strstr(look->why, text) != NULL, "'%s' lacks '%s'",
	    look->why, text);
}

START_TEST(H36_newer_log_elsewhere_is_taken_instead)
{
	struct node_cluster *cluster = formed(3);
	struct machine *leader = node_cluster_wait_for_leader(cluster);
	struct machine *behind = leader == &cluster->machine[0]
				     ? &cluster->machine[1]
				     : &cluster->machine[0];
	struct node_recover_seen seen[2];
	unsigned count = 0;
	uint64_t before;
	struct look look;

	machine_stop(behind);
	put(cluster, "a");
	stop_all(cluster);
	for (unsigned i = 0; i < 3; i++) {
		if (&cluster->machine[i] != behind)
			seen[count++] = seen_of(&cluster->machine[i]);
	}
	before = digest(behind);
	ck_assert_int_eq(look_into(behind, &look), 0);
	expect_refusal(&look, seen, 2, ERR_MISMATCH, "is newer");
	ck_assert_ptr_nonnull(strstr(look.why, "recover on n"));
	/* The term counts before the index. */
	seen[0].term = look.report->last_term + 1;
	seen[0].index = 1;
	seen[1].term = 1;
	expect_refusal(&look, seen, 2, ERR_MISMATCH, "is newer");
	seen[0].term = look.report->last_term;
	seen[0].index = look.report->last_index;
	seen[1].term = look.report->last_term - 1;
	seen[1].index = look.report->last_index + 100;
	ck_assert_int_eq(check(&look, seen, 2, false), 0);
	ck_assert_ptr_nonnull(strstr(look.why, "no acknowledged write"));
	look_away(&look);
	ck_assert_uint_eq(digest(behind), before);
	node_cluster_free(cluster);
}
END_TEST

START_TEST(H36_every_other_voter_is_asked_for)
{
	struct node_cluster *cluster = formed(3);
	struct node_recover_seen seen[3] = { { .name = "n1" },
		{ .name = "n2" } };
	struct look look;

	stop_all(cluster);
	ck_assert_int_eq(look_into(&cluster->machine[2], &look), 0);
	expect_refusal(&look, NULL, 0, ERR_INVALID, "nothing is said of n1");
	expect_refusal(&look, seen, 1, ERR_INVALID, "nothing is said of n2");
	ck_assert_ptr_nonnull(strstr(look.why, "--accept-loss"));
	ck_assert_int_eq(check(&look, seen, 2, false), 0);
	/* One of three was not seen: each majority has one that was. */
	ck_assert_int_eq(check(&look, seen, 1, true), 0);
	ck_assert_ptr_nonnull(strstr(look.why, "no acknowledged write"));
	ck_assert_int_eq(check(&look, seen, 0, true), 0);
	ck_assert_ptr_nonnull(strstr(look.why, "may be lost"));
	seen[2] = seen[0];
	expect_refusal(&look, seen, 3, ERR_INVALID, "given twice");
	snprintf(seen[2].name, sizeof(seen[2].name), "n3");
	expect_refusal(&look, seen, 3, ERR_INVALID, "that node itself");
	snprintf(seen[2].name, sizeof(seen[2].name), "n9");
	expect_refusal(&look, seen, 3, ERR_INVALID, "no member is called so");
	look_away(&look);
	node_cluster_free(cluster);
}
END_TEST

/* ---- What is not recovered ---- */

START_TEST(directory_without_a_member_is_refused)
{
	struct node_cluster *cluster = node_cluster_new(3);
	struct machine *n1 = &cluster->machine[0];
	struct machine *n4 = node_cluster_join(cluster);
	struct node_identity identity;
	struct store *store;
	struct look look;

	stop_all(cluster);
	ck_assert_int_eq(look_into(n1, &look), ERR_MISMATCH);
	ck_assert_ptr_nonnull(strstr(look.why, "waits to found"));
	ck_assert_int_eq(look_into(n4, &look), ERR_MISMATCH);
	ck_assert_ptr_nonnull(strstr(look.why, "waits to be added"));
	store = store_mem_open(n1->log_disk);
	ck_assert_int_eq(node_identity_load(store, &identity), 0);
	identity.stage = NODE_STAGE_REMOVED;
	ck_assert_int_eq(node_identity_save(store, &identity), 0);
	store_close(store);
	ck_assert_int_eq(look_into(n1, &look), ERR_MISMATCH);
	ck_assert_ptr_nonnull(strstr(look.why, "was removed"));
	machine_wipe(n1);
	ck_assert_int_eq(look_into(n1, &look), ERR_NOT_FOUND);
	for (unsigned i = 0; i < 4; i++)
		ck_assert_int_eq(machine_start(&cluster->machine[i]), 0);
	node_cluster_free(cluster);
}
END_TEST

START_TEST(damaged_log_is_refused_with_the_reason)
{
	struct node_cluster *cluster = formed(1);
	struct machine *n1 = &cluster->machine[0];
	uint8_t key[8] = { [7] = 2 };
	struct look look;

	put(cluster, "a");
	machine_stop(n1);
	ck_assert(store_mem_flip_bit(
	    n1->log_disk, NODE_TABLE_LOG, slice_of(key, sizeof(key)), 100));
	ck_assert_int_eq(look_into(n1, &look), ERR_CORRUPT);
	ck_assert_ptr_nonnull(strstr(look.why, "log entry 2"));
	ck_assert(store_mem_flip_bit(
	    n1->log_disk, NODE_TABLE_LOG, slice_of(key, sizeof(key)), 100));
	ck_assert_int_eq(look_into(n1, &look), 0);
	look_away(&look);
	ck_assert_int_eq(machine_start(n1), 0);
	node_cluster_free(cluster);
}
END_TEST

/* It was cut at a start, and nobody has sent it what was lost: the last resort
 * of an operator, who has to say so. */
START_TEST(log_that_lacks_entries_takes_accept_loss)
{
	struct node_cluster *cluster = formed(3);
	struct node_recover_seen seen[2] = { { .name = "n1" },
		{ .name = "n2" } };
	struct machine *n3 = &cluster->machine[2];
	uint8_t key[8] = { 0 };
	struct node_status status;
	struct node_hello hello;
	struct look look;
	raft_index last;

	put(cluster, "a");
	stop_all(cluster);
	last = seen_of(n3).index;
	key[7] = (uint8_t)last;
	ck_assert(store_mem_flip_bit(
	    n3->log_disk, NODE_TABLE_LOG, slice_of(key, sizeof(key)), 100));
	for (unsigned i = 0; i < MACHINE_GENERATIONS; i++) {
		store_mem_disk_free(n3->data_disks[i]);
		n3->data_disks[i] = NULL;
	}
	ck_assert_int_eq(machine_start(n3), 0);
	node_get_hello(n3->node, 1, &hello);
	ck_assert_uint_eq(hello.last_index, last);
	machine_stop(n3);
	ck_assert_int_eq(look_into(n3, &look), 0);
	expect_refusal(&look, seen, 2, ERR_INVALID, "damage took entries");
	ck_assert_int_eq(check(&look, seen, 2, true), 0);
	ck_assert_ptr_nonnull(strstr(look.why, "no acknowledged write"));
	/* This one holds no more what only it and n2 may have acknowledged. */
	ck_assert_int_eq(check(&look, seen, 1, true), 0);
	ck_assert_ptr_nonnull(strstr(look.why, "may be lost"));
	ck_assert_int_eq(node_recover_force(look.recover, new_id), 0);
	look_away(&look);
	ck_assert_int_eq(machine_start(n3), 0);
	/* Its log still tells of others: it waits for them as any voter. */
	node_cluster_pass(cluster, 3000000);
	node_get_status(n3->node, cluster->now, &status);
	ck_assert(!status.repairing);
	ck_assert(node_is_leader(n3->node));
	node_cluster_free(cluster);
}
END_TEST

Suite *
node_recover_suite(void)
{
	Suite *suite = suite_create("node_recover");
	TCase *tcase = tcase_create("recover");

	tcase_add_test(tcase, H35_report_says_what_the_directory_holds);
	tcase_add_test(
	    tcase, H35_survivor_goes_on_alone_and_refuses_old_members);
	tcase_add_test(tcase, H35_recovered_cluster_grows_again);
	tcase_add_test(tcase, H35_joint_membership_is_left_too);
	tcase_add_test(tcase, H35_crash_leaves_the_old_or_the_new_cluster);
	tcase_add_test(tcase, H36_newer_log_elsewhere_is_taken_instead);
	tcase_add_test(tcase, H36_every_other_voter_is_asked_for);
	tcase_add_test(tcase, directory_without_a_member_is_refused);
	tcase_add_test(tcase, damaged_log_is_refused_with_the_reason);
	tcase_add_test(tcase, log_that_lacks_entries_takes_accept_loss);
	suite_add_tcase(suite, tcase);
	return suite;
}
