#include "node/node_fellows.h"
#include "node/node_identity.h"
#include "node/node_log.h"
#include "tests/unit/node_cluster.h"
#include "tests/unit/suites.h"

#include <stdio.h>

/*
 * Copies of directories and old ones that were put back (faults D16, D17): by
 * hellos of real nodes, changed in what the rule is about, and by disks.
 */

static struct node_hello
hello_of(struct machine *from, raft_id to)
{
	struct node_hello hello;

	node_get_hello(from->node, to, &hello);
	return hello;
}

static int
hear(struct machine *machine, const struct node_hello *hello)
{
	machine->why[0] = '\0';
	return node_hear(
	    machine->node, hello, machine->why, sizeof(machine->why));
}

static void
expect_refusal(
    struct machine *machine, const struct node_hello *hello, const char *text)
{
	ck_assert_int_eq(hear(machine, hello), ERR_MISMATCH);
	ck_assert_msg(strstr(machine->why, text) != NULL, "'%s' lacks '%s'",
	    machine->why, text);
	/* And says what to do. */
	ck_assert_ptr_nonnull(strstr(machine->why, "/cluster/replace?old=n"));
}

static void
put(struct node_cluster *cluster, const char *value)
{
	struct machine *leader = node_cluster_wait_for_leader(cluster);
	struct machine_put put;

	ck_assert_int_eq(machine_put(leader, &put, "key", value), 0);
	node_cluster_pass(cluster, 1000000);
	ck_assert_uint_eq(put.done, 1);
	ck_assert_int_eq(put.outcome, NODE_DONE);
}

static struct node_cluster *
formed(bool dials)
{
	struct node_cluster *cluster = node_cluster_new(3);

	cluster->dials = dials;
	if (dials)
		(void)node_cluster_wait_for_leader(cluster);
	else
		(void)node_cluster_elect(cluster);
	put(cluster, "1");
	/* All have said hello as members. */
	if (!dials) {
		node_cluster_hear_all(cluster);
		node_cluster_settle(cluster);
	}
	return cluster;
}

static struct machine *
follower_of(struct node_cluster *cluster)
{
	struct machine *leader = node_cluster_wait_for_leader(cluster);

	return leader == &cluster->machine[0] ? &cluster->machine[1]
					      : &cluster->machine[0];
}

/* ---- Disks ---- */

struct backup {
	struct store_mem_disk *log;
	struct store_mem_disk *data[MACHINE_GENERATIONS];
};

static struct backup
back_up(const struct machine *machine)
{
	struct backup backup = { .log =
				     store_mem_disk_clone(machine->log_disk) };

	for (unsigned i = 0; i < MACHINE_GENERATIONS; i++) {
		if (machine->data_disks[i] != NULL)
			backup.data[i] =
			    store_mem_disk_clone(machine->data_disks[i]);
	}
	return backup;
}

/* Of a stopped machine; the backup is used up. */
static void
restore(struct machine *machine, const struct backup *backup)
{
	machine_wipe(machine);
	store_mem_disk_free(machine->log_disk);
	machine->log_disk = backup->log;
	memcpy(machine->data_disks, backup->data, sizeof(backup->data));
}

static void
restart(struct machine *machine)
{
	if (machine->node != NULL)
		machine_stop(machine);
	ck_assert_int_eq(machine_start(machine), 0);
}

/* The hello of the next start of the same directory. */
static void
next_life(struct node_hello *hello)
{
	memmove(&hello->former_boot_ids[1], &hello->former_boot_ids[0],
	    sizeof(hello->former_boot_ids) - sizeof(hello->former_boot_ids[0]));
	hello->former_boot_ids[0] = hello->boot_id++;
	hello->incarnation++;
}

/* ---- The rules ---- */

START_TEST(D17_older_life_of_a_member_is_refused)
{
	struct node_cluster *cluster = formed(false);
	struct machine *n1 = &cluster->machine[0];
	struct machine *n2 = &cluster->machine[1];
	struct node_hello hello;

	restart(n2);
	hello = hello_of(n2, 1);
	ck_assert_uint_eq(hello.incarnation, 2);
	ck_assert_int_eq(hear(n1, &hello), 0);
	node_cluster_settle(cluster);
	/* Also by what n1 has on its disk. */
	for (unsigned i = 0; i < 2; i++) {
		hello = hello_of(n2, 1);
		hello.known_incarnation = 0;
		hello.incarnation = 1;
		expect_refusal(n1, &hello,
		    "it was started 1 times, and n1 "
		    "has heard start 2 of it");
		hello.incarnation = 2;
		hello.boot_id++;
		expect_refusal(n1, &hello, "start 2 of another copy");
		hello = hello_of(n2, 1);
		hello.known_incarnation = 0;
		next_life(&hello);
		hello.term--;
		expect_refusal(n1, &hello, "n1 has heard term");
		/* One of the life that is known may have been overtaken. */
		hello = hello_of(n2, 1);
		hello.known_incarnation = 0;
		hello.term--;
		hello.last_index--;
		ck_assert_int_eq(hear(n1, &hello), 0);
		hello.stage = NODE_HELLO_FOUNDING;
		ck_assert_int_eq(hear(n1, &hello), 0);
		node_cluster_settle(cluster);
		restart(n1);
	}
	node_cluster_free(cluster);
}
END_TEST

/* Started more often it is no newer: that life was not one of its own. */
START_TEST(D17_older_copy_that_was_started_more_often_is_refused)
{
	struct node_cluster *cluster = formed(false);
	struct machine *n1 = &cluster->machine[0];
	struct machine *n2 = &cluster->machine[1];
	struct node_hello hello;

	hello = hello_of(n2, 1);
	hello.known_incarnation = 0;
	for (unsigned i = 0; i < NODE_FORMER_LIVES; i++) {
		next_life(&hello);
		hello.former_boot_ids[i] += 1000;
		expect_refusal(n1, &hello, "start 1 of another copy");
		hello.former_boot_ids[i] -= 1000;
	}
	/* But if it is further than that life was, that one was the copy. */
	hello.former_boot_ids[NODE_FORMER_LIVES - 1]++;
	hello.last_index++;
	ck_assert_int_eq(hear(n1, &hello), 0);
	node_cluster_free(cluster);
}
END_TEST

/* What somebody has heard of an old copy does not put the newest one out. */
START_TEST(D17_fewer_starts_of_another_line_mean_nothing)
{
	struct node_cluster *cluster = formed(false);
	struct machine *n1 = &cluster->machine[0];
	struct node_hello hello;
	uint64_t boot_id = hello_of(n1, 2).boot_id;

	restart(n1);
	restart(n1);
	hello = hello_of(&cluster->machine[1], 1);
	hello.known_incarnation = 1;
	hello.known_boot_id = boot_id + 1;
	ck_assert_int_eq(hear(n1, &hello), 0);
	node_cluster_free(cluster);
}
END_TEST

START_TEST(D16_messages_of_an_older_life_are_not_taken)
{
	struct node_cluster *cluster = formed(false);
	struct machine *n1 = &cluster->machine[0];
	struct node_hello hello = hello_of(&cluster->machine[1], 1);
	struct raft_message message = {
		.kind = RAFT_PREVOTE_REQUEST,
		.from = 2,
		.to = 1,
		.term = hello.term + 1,
		.boot_id = hello.boot_id,
		.sequence = 1,
		.round = 1,
		.sent_at = 1,
	};

	ck_assert_int_eq(
	    node_receive(n1->node, cluster->now, &message, NULL), 0);
	hello.incarnation++;
	hello.boot_id++;
	ck_assert_int_eq(hear(n1, &hello), 0);
	ck_assert_int_eq(
	    node_receive(n1->node, cluster->now, &message, NULL), ERR_AGAIN);
	message.boot_id++;
	ck_assert_int_eq(
	    node_receive(n1->node, cluster->now, &message, NULL), 0);
	node_cluster_free(cluster);
}
END_TEST

START_TEST(D17_log_that_lacks_what_it_acknowledged_is_refused)
{
	struct node_cluster *cluster = formed(false);
	struct machine *leader = node_cluster_leader(cluster);
	struct machine *n = follower_of(cluster);
	struct node_hello hello;

	for (unsigned i = 0; i < 3; i++) {
		if (&cluster->machine[i] != leader && &cluster->machine[i] != n)
			machine_stop(&cluster->machine[i]);
	}
	put(cluster, "2");
	hello = hello_of(n, leader->id);
	hello.incarnation++;
	hello.boot_id++;
	hello.last_index--;
	expect_refusal(leader, &hello, "its log ends at entry");
	hello.term--;
	expect_refusal(leader, &hello, "has heard term");
	hello.term += 2;
	ck_assert_int_eq(hear(leader, &hello), 0);
	node_cluster_free(cluster);
}
END_TEST

START_TEST(D17_founder_that_was_a_member_does_not_found_again)
{
	struct node_cluster *cluster = node_cluster_new(3);
	struct machine *n3 = &cluster->machine[2];
	struct backup backup = back_up(n3);
	struct node_hello hello;

	cluster->dials = true;
	(void)node_cluster_wait_for_leader(cluster);
	put(cluster, "1");
	machine_stop(n3);
	restore(n3, &backup);
	restart(n3);
	ck_assert_int_eq(machine_state(n3), NODE_FORMING);
	hello = hello_of(n3, 1);
	expect_refusal(&cluster->machine[0], &hello, "was a member already");
	node_cluster_pass(cluster, 3000000);
	ck_assert_int_eq(machine_state(n3), NODE_WIPED);
	put(cluster, "2");
	ck_assert_int_eq(machine_state(n3), NODE_WIPED);
	node_cluster_free(cluster);
}
END_TEST

START_TEST(member_that_others_know_better_takes_no_part_any_more)
{
	static const struct {
		int64_t incarnation;
		int64_t boot_id;
		int64_t last_index;
		int64_t term;
		bool outdated;
	} rows[] = {
		{ 0, 0, 0, 0, false },
		{ 1, 0, 0, 0, true },
		{ 0, 1, 0, 0, true },
		{ -1, 1, 0, 0, false },
		{ 0, 0, 1, 0, true },
		{ 0, 0, 1, 1, false },
		{ 0, 0, 1, -1, false },
	};

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		struct node_cluster *cluster = formed(false);
		struct machine *n1 = &cluster->machine[0];
		struct node_hello own = hello_of(n1, 2);
		struct node_hello hello = hello_of(&cluster->machine[1], 1);

		hello.known_incarnation =
		    own.incarnation + (uint64_t)rows[i].incarnation;
		hello.known_boot_id = own.boot_id + (uint64_t)rows[i].boot_id;
		hello.known_last_index =
		    own.last_index + (uint64_t)rows[i].last_index;
		hello.term += (uint64_t)rows[i].term;
		/* Its term must not go back either. */
		if (rows[i].term < 0)
			hello.incarnation = 0;
		if (!rows[i].outdated) {
			ck_assert_int_eq(hear(n1, &hello),
			    rows[i].term < 0 ? ERR_MISMATCH : 0);
			node_cluster_free(cluster);
			continue;
		}
		expect_refusal(n1, &hello,
		    "this directory of node n1 is an "
		    "old copy");
		ck_assert_int_eq(node_turn(n1->node, cluster->now), 0);
		ck_assert_int_eq(machine_state(n1), NODE_OUTDATED);
		expect_refusal(n1, &hello, "is an old copy");
		ck_assert_uint_eq(node_deadline(n1->node), RAFT_NEVER);
		/* Being started more often does not make it newer. */
		machine_stop(n1);
		for (unsigned j = 0; j < 3; j++)
			ck_assert_int_eq(machine_start(n1), ERR_MISMATCH);
		ck_assert_ptr_nonnull(strstr(n1->why, "is an old copy"));
		machine_wipe(n1);
		ck_assert_int_eq(machine_start(n1), 0);
		node_cluster_free(cluster);
	}
}
END_TEST

/* ---- Disks put back ---- */

/* The machine takes no part, says so when it is started, and the others go
 * on. */
static void
check_fenced(struct node_cluster *cluster, struct machine *machine)
{
	node_cluster_pass(cluster, 3000000);
	ck_assert_int_eq(machine_state(machine), NODE_OUTDATED);
	put(cluster, "3");
	machine_stop(machine);
	ck_assert_int_eq(machine_start(machine), ERR_MISMATCH);
	put(cluster, "4");
	machine_wipe(machine);
	ck_assert_int_eq(machine_start(machine), 0);
}

START_TEST(D17_backup_of_one_member_is_fenced)
{
	/* Starts between backup and restore, and after it, alone. */
	static const unsigned rows[][2] = { { 0, 0 }, { 1, 0 }, { 2, 0 },
		{ 1, 1 }, { 0, 5 }, { 2, 9 } };

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		struct node_cluster *cluster = formed(true);
		struct machine *n = follower_of(cluster);
		struct backup backup = back_up(n);

		put(cluster, "2");
		for (unsigned j = 0; j < rows[i][0]; j++) {
			restart(n);
			node_cluster_pass(cluster, 2000000);
			ck_assert_int_eq(machine_state(n), NODE_MEMBER);
		}
		machine_stop(n);
		restore(n, &backup);
		for (unsigned j = 0; j < rows[i][1]; j++)
			restart(n);
		restart(n);
		check_fenced(cluster, n);
		node_cluster_free(cluster);
	}
}
END_TEST

/* A copy started elsewhere, with the original's name. */
static struct machine *
start_copy(struct node_cluster *cluster, const struct machine *original,
    const struct backup *backup)
{
	struct machine *copy = node_cluster_join(cluster);
	struct node_params params;

	machine_stop(copy);
	restore(copy, backup);
	params = machine_params(copy);
	snprintf(
	    params.name, sizeof(params.name), "n%u", (unsigned)original->id);
	params.boot_id += 1000;
	copy->joins = false; /* it is none of those in its list */
	ck_assert_int_eq(machine_start_with(copy, &params), 0);
	return copy;
}

START_TEST(D16_of_a_copy_and_its_original_one_takes_part)
{
	for (unsigned behind = 0; behind < 2; behind++) {
		struct node_cluster *cluster = formed(true);
		struct machine *n = follower_of(cluster);
		struct backup backup = back_up(n);
		struct machine *copy;
		unsigned members;

		if (behind == 1)
			put(cluster, "2");
		copy = start_copy(cluster, n, &backup);
		node_cluster_pass(cluster, 3000000);
		members = (machine_state(n) == NODE_MEMBER) +
			  (machine_state(copy) == NODE_MEMBER);
		ck_assert_uint_eq(members, 1);
		/* What lacks entries is never the one. */
		if (behind == 1)
			ck_assert_int_eq(machine_state(copy), NODE_OUTDATED);
		put(cluster, "3");
		node_cluster_free(cluster);
	}
}
END_TEST

/* All members of one time remember of each other what they are. */
START_TEST(D17_cluster_that_is_put_back_as_a_whole_forms)
{
	struct node_cluster *cluster = formed(true);
	struct backup backups[3];

	for (unsigned i = 0; i < 3; i++) {
		restart(&cluster->machine[i]);
		node_cluster_pass(cluster, 2000000);
	}
	for (unsigned i = 0; i < 3; i++)
		machine_stop(&cluster->machine[i]);
	for (unsigned i = 0; i < 3; i++)
		backups[i] = back_up(&cluster->machine[i]);
	for (unsigned times = 0; times < 2; times++) {
		for (unsigned i = 0; i < 3; i++)
			ck_assert_int_eq(
			    machine_start(&cluster->machine[i]), 0);
		put(cluster, "2");
		restart(&cluster->machine[2]);
		put(cluster, "3");
		for (unsigned i = 0; times == 0 && i < 3; i++) {
			machine_stop(&cluster->machine[i]);
			restore(&cluster->machine[i], &backups[i]);
		}
	}
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(
		    machine_state(&cluster->machine[i]), NODE_MEMBER);
	node_cluster_free(cluster);
}
END_TEST

/* ---- The record ---- */

START_TEST(damaged_memory_of_others_is_refused)
{
	struct node_cluster *cluster = formed(false);
	struct machine *n1 = &cluster->machine[0];
	struct node_fellows fellows;
	struct backup backup;

	machine_stop(n1);
	backup = back_up(n1);
	for (uint64_t bit = 0; bit < 8 * 20; bit += 7) {
		struct store *store;

		ck_assert(store_mem_flip_bit(n1->log_disk, NODE_TABLE_IDENTITY,
		    slice_from_text("fellows"), bit));
		store = store_mem_open(n1->log_disk);
		ck_assert_int_eq(
		    node_fellows_load(store, &fellows), ERR_CORRUPT);
		store_close(store);
		ck_assert(store_mem_flip_bit(n1->log_disk, NODE_TABLE_IDENTITY,
		    slice_from_text("fellows"), bit));
	}
	ck_assert_int_eq(machine_start(n1), 0);
	machine_stop(n1);
	restore(n1, &backup);
	ck_assert_int_eq(machine_start(n1), 0);
	node_cluster_free(cluster);
}
END_TEST

Suite *
node_fellows_suite(void)
{
	Suite *suite = suite_create("node_fellows");
	TCase *rules = tcase_create("rules");
	TCase *disks = tcase_create("disks");

	tcase_add_test(rules, D17_older_life_of_a_member_is_refused);
	tcase_add_test(
	    rules, D17_older_copy_that_was_started_more_often_is_refused);
	tcase_add_test(rules, D17_fewer_starts_of_another_line_mean_nothing);
	tcase_add_test(rules, D16_messages_of_an_older_life_are_not_taken);
	tcase_add_test(
	    rules, D17_log_that_lacks_what_it_acknowledged_is_refused);
	tcase_add_test(
	    rules, D17_founder_that_was_a_member_does_not_found_again);
	tcase_add_test(
	    rules, member_that_others_know_better_takes_no_part_any_more);
	tcase_add_test(rules, damaged_memory_of_others_is_refused);
	suite_add_tcase(suite, rules);
	tcase_add_test(disks, D17_backup_of_one_member_is_fenced);
	tcase_add_test(disks, D16_of_a_copy_and_its_original_one_takes_part);
	tcase_add_test(disks, D17_cluster_that_is_put_back_as_a_whole_forms);
	suite_add_tcase(suite, disks);
	return suite;
}
