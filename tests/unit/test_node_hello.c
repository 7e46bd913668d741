#include "common/codec.h"
#include "common/hash.h"
#include "node/node_identity.h"
#include "node/node_log.h"
#include "node/node_members.h"
#include "tests/unit/node_cluster.h"
#include "tests/unit/suites.h"

#include <stdio.h>

/*
 * Each state of a node against each stage of a peer. The hellos come from real
 * nodes, and are then changed in what the rule is about.
 */

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
}

static struct node_hello
hello_of(struct machine *from, raft_id to)
{
	struct node_hello hello;

	node_get_hello(from->node, to, &hello);
	return hello;
}

static struct node_cluster *
formed(unsigned count)
{
	struct node_cluster *cluster = node_cluster_new(count);

	(void)node_cluster_elect(cluster);
	return cluster;
}

/* A hello of n1 after an entry that adds `joining` as member 50. */
static struct node_hello
hello_to_joining(struct node_cluster *cluster, struct machine *joining)
{
	struct node_hello hello = hello_of(&cluster->machine[0], 50);
	struct node_params params = machine_params(joining);
	struct node_hello theirs = hello_of(joining, 1);
	struct node_member *member =
	    &hello.members.member[hello.members.count++];

	*member = (struct node_member){ .id = 50 };
	memcpy(member->name, params.name, sizeof(member->name));
	memcpy(member->address, params.address, sizeof(member->address));
	memcpy(member->directory, theirs.directory, NODE_NONCE_SIZE);
	memcpy(hello.known_directory, theirs.directory, NODE_NONCE_SIZE);
	hello.members_index = 41;
	return hello;
}

/* ---- Our own hello ---- */

START_TEST(hello_says_what_a_node_is)
{
	struct node_cluster *cluster = formed(3);
	struct machine *joining = node_cluster_join(cluster);
	struct node_hello hello = hello_of(joining, 1);

	ck_assert_int_eq(hello.stage, NODE_HELLO_JOINING);
	ck_assert_uint_eq(hello.from, 0);
	ck_assert_str_eq(hello.name, "n4");
	ck_assert_uint_eq(hello.members.count, 0);
	hello = hello_of(&cluster->machine[0], 2);
	ck_assert_int_eq(hello.stage, NODE_HELLO_MEMBER);
	ck_assert_uint_eq(hello.members_index, 1);
	ck_assert_uint_eq(hello.members.count, 3);
	ck_assert(hello.to_votes);
	ck_assert_mem_eq(hello.known_directory,
	    hello.members.member[1].directory, NODE_NONCE_SIZE);
	hello = hello_of(&cluster->machine[0], 0);
	ck_assert_int_eq(hello.stage, NODE_HELLO_PROBE);
	ck_assert(!hello.to_votes);
	ck_assert_uint_eq(hello.members.count, 3);
	node_cluster_free(cluster);
}
END_TEST

/* ---- A node that founds ---- */

START_TEST(founding_node_refuses_what_does_not_fit)
{
	struct node_cluster *cluster = node_cluster_new(2);
	struct machine *n1 = &cluster->machine[0];
	struct machine *n2 = &cluster->machine[1];
	struct node_hello hello;

	hello = hello_of(n2, 1);
	snprintf(hello.cluster, sizeof(hello.cluster), "other");
	expect_refusal(n1, &hello, "belongs to cluster other");
	hello = hello_of(n2, 3);
	expect_refusal(n1, &hello, "check the addresses");
	hello = hello_of(n2, 1);
	hello.from = 1;
	expect_refusal(n1, &hello, "check the addresses");
	hello = hello_of(n2, 1);
	hello.boot_id = 0;
	expect_refusal(n1, &hello, "malformed");
	hello = hello_of(n2, 1);
	hello.incarnation = 0;
	expect_refusal(n1, &hello, "malformed");
	hello = hello_of(n2, 1);
	snprintf(hello.members.member[0].address, NODE_ADDRESS_SIZE_MAX,
	    "10.0.0.9:5864");
	expect_refusal(n1, &hello, "another [members] list");
	hello = hello_of(node_cluster_join(cluster), 1);
	expect_refusal(n1, &hello, "no [members] list");
	ck_assert_int_eq(machine_state(n1), NODE_FORMING);
	hello = hello_of(n2, 1);
	ck_assert_int_eq(hear(n1, &hello), 0);
	node_cluster_settle(cluster);
	ck_assert_int_eq(machine_state(n1), NODE_MEMBER);
	node_cluster_free(cluster);
}
END_TEST

START_TEST(founding_node_that_the_cluster_does_not_know_is_told_so)
{
	struct node_cluster *cluster = formed(3);
	struct machine *n1 = &cluster->machine[0];
	struct machine *n3 = &cluster->machine[2];
	struct node_hello hello = hello_of(n1, 3);

	machine_stop(n3);
	machine_wipe(n3);
	ck_assert_int_eq(machine_start(n3), 0);
	memset(hello.known_directory, 0, NODE_NONCE_SIZE);
	expect_refusal(n3, &hello, "POST /cluster/members?name=n3");
	ck_assert_int_eq(machine_state(n3), NODE_FORMING);
	node_cluster_free(cluster);
}
END_TEST

START_TEST(late_founder_need_not_hear_those_that_have_left)
{
	struct node_cluster *cluster = node_cluster_new(3);
	struct machine *n1 = &cluster->machine[0];
	struct machine *n3 = &cluster->machine[2];
	struct node_hello hello;

	ck_assert_int_eq(machine_hear(&cluster->machine[1], n1), 0);
	ck_assert_int_eq(machine_hear(n3, n1), 0);
	node_cluster_settle(cluster);
	hello = hello_of(n1, 3);
	ck_assert_int_eq(hello.stage, NODE_HELLO_MEMBER);
	hello.members_index = 30;
	hello.members.member[1] = hello.members.member[2];
	hello.members.count = 2;
	ck_assert_int_eq(hear(n3, &hello), 0);
	node_cluster_settle(cluster);
	ck_assert_int_eq(machine_state(n3), NODE_MEMBER);
	node_cluster_free(cluster);
}
END_TEST

START_TEST(E22_wiped_node_says_how_it_is_replaced)
{
	struct node_cluster *cluster = formed(3);
	struct machine *n1 = &cluster->machine[0];
	struct machine *n3 = &cluster->machine[2];
	struct node_hello hello;

	machine_stop(n3);
	machine_wipe(n3);
	ck_assert_int_eq(machine_start(n3), 0);
	hello = hello_of(n1, 3);
	expect_refusal(n3, &hello, "/cluster/replace?old=n3&new=n3b");
	ck_assert_int_eq(machine_state(n3), NODE_WIPED);
	hello = hello_of(n3, 1);
	ck_assert_int_eq(hello.stage, NODE_HELLO_FOUNDING);
	expect_refusal(n1, &hello, "/cluster/replace?old=n3&new=n3b");
	/* Nobody else can make it forget. */
	machine_stop(&cluster->machine[1]);
	machine_wipe(&cluster->machine[1]);
	ck_assert_int_eq(machine_start(&cluster->machine[1]), 0);
	ck_assert_int_eq(machine_hear(&cluster->machine[1], n3), 0);
	node_cluster_pass(cluster, 2000000);
	ck_assert_int_eq(machine_state(n3), NODE_WIPED);
	node_cluster_free(cluster);
}
END_TEST

/* What a wiped node is told: its second start need not be in an empty one. */
START_TEST(E22_founder_that_shall_join_now_begins_anew)
{
	struct node_cluster *cluster = formed(3);
	struct machine *n3 = &cluster->machine[2];
	struct node_params params = machine_params(n3);
	struct node_hello before;
	struct node_hello hello;

	machine_stop(n3);
	machine_wipe(n3);
	ck_assert_int_eq(machine_start(n3), 0);
	before = hello_of(n3, 1);
	machine_stop(n3);
	params.members.count = 0;
	memset(params.directory_nonce, 0x5a, NODE_NONCE_SIZE);
	ck_assert_int_eq(machine_start_with(n3, &params), 0);
	ck_assert_int_eq(machine_state(n3), NODE_JOINING);
	hello = hello_of(n3, 1);
	ck_assert_mem_ne(hello.directory, before.directory, NODE_NONCE_SIZE);
	expect_refusal(&cluster->machine[0], &hello, "comes with another");
	node_cluster_free(cluster);
}
END_TEST

START_TEST(E22_member_does_not_begin_anew_to_join)
{
	struct node_cluster *cluster = formed(3);
	struct machine *n3 = &cluster->machine[2];
	struct node_params params = machine_params(n3);

	machine_stop(n3);
	params.members.count = 0;
	ck_assert_int_eq(machine_start_with(n3, &params), 0);
	ck_assert_int_eq(machine_state(n3), NODE_MEMBER);
	node_cluster_free(cluster);
}
END_TEST

/* ---- A node that joins ---- */

START_TEST(joining_node_listens_only_to_who_knows_it)
{
	struct node_cluster *cluster = formed(3);
	struct machine *n4 = node_cluster_join(cluster);
	struct machine *n5 = node_cluster_join(cluster);
	struct node_hello hello;

	hello = hello_of(n5, 0);
	expect_refusal(n4, &hello, "POST /cluster/members?name=n4");
	hello = hello_to_joining(cluster, n4);
	hello.stage = NODE_HELLO_FOUNDING;
	expect_refusal(n4, &hello, "waits to be added");
	hello = hello_to_joining(cluster, n5);
	expect_refusal(n4, &hello, "waits to be added");
	hello = hello_to_joining(cluster, n4);
	snprintf(hello.cluster, sizeof(hello.cluster), "other");
	expect_refusal(n4, &hello, "belongs to cluster other");
	hello = hello_to_joining(cluster, n4);
	hello.members.count--;
	expect_refusal(n4, &hello, "not yet heard");
	hello = hello_to_joining(cluster, n4);
	memset(hello.cluster_id, 0, NODE_NONCE_SIZE);
	expect_refusal(n4, &hello, "not yet heard");
	hello = hello_to_joining(cluster, n4);
	snprintf(hello.members.member[3].name, NODE_NAME_SIZE_MAX, "n9");
	expect_refusal(n4, &hello, "was added as n9");
	node_cluster_settle(cluster);
	ck_assert_int_eq(machine_state(n4), NODE_JOINING);
	node_cluster_free(cluster);
}
END_TEST

START_TEST(E22_joining_node_that_votes_already_has_lost_its_state)
{
	struct node_cluster *cluster = formed(3);
	struct machine *n4 = node_cluster_join(cluster);
	struct node_hello hello = hello_to_joining(cluster, n4);

	ck_assert(!hello.to_votes);
	hello.to_votes = true;
	expect_refusal(n4, &hello, "/cluster/replace?old=n4&new=n4b");
	node_cluster_settle(cluster);
	ck_assert_int_eq(machine_state(n4), NODE_JOINING);
	node_cluster_free(cluster);
}
END_TEST

START_TEST(joining_node_adopts_id_and_members_durably)
{
	struct node_cluster *cluster = formed(3);
	struct machine *n4 = node_cluster_join(cluster);
	struct node_hello hello = hello_to_joining(cluster, n4);
	struct node_status status;

	ck_assert_int_eq(hear(n4, &hello), 0);
	/* Another one within the same turn changes nothing. */
	hello.to = 51;
	hello.members.member[3].id = 51;
	ck_assert_int_eq(hear(n4, &hello), 0);
	ck_assert_int_eq(node_turn(n4->node, cluster->now), 0);
	for (unsigned i = 0; i < 2; i++) {
		node_get_status(n4->node, cluster->now, &status);
		ck_assert_int_eq(status.state, NODE_MEMBER);
		ck_assert_uint_eq(status.id, 50);
		ck_assert(status.cluster_id_known);
		ck_assert_uint_eq(n4->book.count, 4);
		ck_assert_int_eq(node_get_role(n4->node, 1), RAFT_MEMBER_VOTER);
		ck_assert_int_eq(
		    node_get_role(n4->node, 50), RAFT_MEMBER_LEARNER);
		ck_assert_int_eq(node_get_role(n4->node, 7), RAFT_MEMBER_NONE);
		machine_stop(n4);
		ck_assert_int_eq(machine_start(n4), 0);
	}
	node_cluster_free(cluster);
}
END_TEST

/* It gets the log from its beginning, and with it the founders alone. */
START_TEST(joined_node_keeps_what_it_was_told_until_its_log_is_there)
{
	struct node_cluster *cluster = formed(3);
	struct machine *n1 = &cluster->machine[0];
	struct machine *n4 = node_cluster_join(cluster);
	struct node_hello hello = hello_to_joining(cluster, n4);
	struct raft_message message = {
		.kind = RAFT_APPEND_REQUEST,
		.from = 1,
		.to = 50,
		.term = 1,
		.boot_id = hello.boot_id,
		.sequence = 1,
		.round = 1,
		.sent_at = 1,
		.entries_count = 1,
		.commit_index = 1,
	};
	struct node_status status;
	struct buf record = { 0 };
	struct slice records;

	ck_assert_int_eq(hear(n4, &hello), 0);
	node_cluster_settle(cluster);
	node_get_status(n1->node, cluster->now, &status);
	message.term = status.raft.term;
	ck_assert_int_eq(node_get_record(n1->node, 1, &record), 0);
	records = buf_slice(&record);
	ck_assert_int_eq(
	    node_receive(n4->node, cluster->now, &message, &records), 0);
	while (node_deadline(n4->node) <= cluster->now)
		ck_assert_int_eq(node_turn(n4->node, cluster->now), 0);
	node_get_status(n4->node, cluster->now, &status);
	ck_assert_uint_eq(status.raft.applied_index, 1);
	ck_assert_int_eq(status.state, NODE_MEMBER);
	ck_assert_uint_eq(n4->book.count, 4);
	ck_assert_uint_eq(hello_of(n4, 1).members_index, 41);
	buf_release(&record);
	node_cluster_free(cluster);
}
END_TEST

/* ---- A member ---- */

START_TEST(member_refuses_strangers_and_old_copies)
{
	struct node_cluster *cluster = formed(3);
	struct machine *n1 = &cluster->machine[0];
	struct machine *n2 = &cluster->machine[1];
	struct node_hello hello;

	hello = hello_of(n2, 1);
	hello.cluster_id[3]++;
	expect_refusal(n1, &hello, "another cluster of the same name");
	hello = hello_of(n2, 1);
	hello.known_directory[5]++;
	expect_refusal(n1, &hello, "an old copy");
	hello = hello_of(n2, 1);
	hello.directory[5]++;
	expect_refusal(n1, &hello, "wiped or replaced");
	hello = hello_of(n2, 3);
	expect_refusal(n1, &hello, "check the addresses");
	hello = hello_of(n2, 1);
	hello.from = 8;
	expect_refusal(n1, &hello, "was removed");
	hello = hello_of(node_cluster_join(cluster), 1);
	expect_refusal(n1, &hello, "POST /cluster/members?name=n4");
	hello = hello_of(n2, 1);
	hello.stage = NODE_HELLO_FOUNDING;
	snprintf(hello.name, sizeof(hello.name), "n7");
	expect_refusal(n1, &hello, "waits to found a cluster");
	ck_assert_int_eq(machine_state(n1), NODE_MEMBER);
	node_cluster_free(cluster);
}
END_TEST

START_TEST(member_accepts_what_may_be_newer_than_what_it_knows)
{
	struct node_cluster *cluster = formed(3);
	struct machine *n1 = &cluster->machine[0];
	struct node_hello hello = hello_of(&cluster->machine[1], 1);

	hello.from = 50;
	ck_assert_int_eq(hear(n1, &hello), 0);
	memset(hello.known_directory, 0, NODE_NONCE_SIZE);
	ck_assert_int_eq(hear(n1, &hello), 0);
	node_cluster_free(cluster);
}
END_TEST

START_TEST(member_waits_for_a_founder_that_has_not_heard_all_yet)
{
	struct node_cluster *cluster = node_cluster_new(3);
	struct machine *n1 = &cluster->machine[0];
	struct machine *n2 = &cluster->machine[1];

	ck_assert_int_eq(machine_hear(n2, n1), 0);
	ck_assert_int_eq(machine_hear(&cluster->machine[2], n1), 0);
	node_cluster_settle(cluster);
	ck_assert_int_eq(machine_state(n1), NODE_MEMBER);
	ck_assert_int_eq(machine_state(n2), NODE_FORMING);
	ck_assert_int_eq(machine_hear(n2, n1), 0);
	node_cluster_free(cluster);
}
END_TEST

START_TEST(H21_member_believes_a_newer_membership_that_lacks_it)
{
	struct node_cluster *cluster = formed(3);
	struct machine *n1 = &cluster->machine[0];
	struct machine *n2 = &cluster->machine[1];
	struct node_hello hello = hello_of(n2, 1);

	node_members_drop(&hello.members, 1);
	/* As old as its own: not to be believed. */
	ck_assert_int_eq(hear(n1, &hello), 0);
	hello.members_index = 2;
	expect_refusal(n1, &hello, "was removed from cluster test");
	node_cluster_settle(cluster);
	ck_assert_int_eq(machine_state(n1), NODE_REMOVED);
	ck_assert_uint_eq(node_deadline(n1->node), RAFT_NEVER);
	hello = hello_of(n2, 1);
	expect_refusal(n1, &hello, "was removed from cluster test");
	machine_stop(n1);
	ck_assert_int_eq(machine_start(n1), ERR_MISMATCH);
	ck_assert_ptr_nonnull(strstr(n1->why, "empty node.data-dir"));
	machine_wipe(n1);
	ck_assert_int_eq(machine_start(n1), 0);
	node_cluster_free(cluster);
}
END_TEST

/* It was removed before the first entry came to it, and with it the id. */
START_TEST(H21_removed_founder_knows_the_cluster_by_another_founder)
{
	struct node_cluster *cluster = node_cluster_new(3);
	struct machine *n3 = &cluster->machine[2];
	struct node_status status;
	struct node_hello hello;

	node_cluster_hear_all(cluster);
	ck_assert_int_eq(node_turn(n3->node, cluster->now), 0);
	node_get_status(n3->node, cluster->now, &status);
	ck_assert_int_eq(status.state, NODE_MEMBER);
	ck_assert(!status.cluster_id_known);
	hello = hello_of(&cluster->machine[0], 3);
	hello.stage = NODE_HELLO_MEMBER;
	memset(hello.cluster_id, 7, NODE_NONCE_SIZE);
	hello.members_index = 5;
	node_members_drop(&hello.members, 3);
	/* Whoever it is, it is not that founder. */
	hello.directory[3]++;
	ck_assert_int_eq(hear(n3, &hello), ERR_MISMATCH);
	ck_assert_int_eq(node_turn(n3->node, cluster->now), 0);
	ck_assert_int_eq(machine_state(n3), NODE_MEMBER);
	hello.directory[3]--;
	expect_refusal(n3, &hello, "was removed from cluster test");
	ck_assert_int_eq(node_turn(n3->node, cluster->now), 0);
	ck_assert_int_eq(machine_state(n3), NODE_REMOVED);
	node_cluster_free(cluster);
}
END_TEST

/* ---- Probing ---- */

START_TEST(probe_is_answered_by_all)
{
	struct node_cluster *cluster = formed(3);
	struct machine *n1 = &cluster->machine[0];
	struct machine *n4 = node_cluster_join(cluster);
	struct node_hello probe = hello_of(n1, 0);

	ck_assert_int_eq(hear(n4, &probe), 0);
	ck_assert_int_eq(hear(&cluster->machine[1], &probe), 0);
	ck_assert_int_eq(machine_state(n4), NODE_JOINING);
	node_cluster_free(cluster);
}
END_TEST

START_TEST(judging_says_why_a_node_cannot_join)
{
	struct node_cluster *cluster = formed(3);
	struct machine *n1 = &cluster->machine[0];
	struct machine *n4 = node_cluster_join(cluster);
	struct node_hello hello = hello_of(n4, 1);
	char why[MACHINE_WHY_SIZE];

	ck_assert_int_eq(
	    node_judge_joining(n1->node, &hello, "n4", why, sizeof(why)), 0);
	ck_assert_int_eq(
	    node_judge_joining(n1->node, &hello, "n5", why, sizeof(why)),
	    ERR_MISMATCH);
	ck_assert_ptr_nonnull(strstr(why, "is called n4, not n5"));
	snprintf(hello.cluster, sizeof(hello.cluster), "other");
	ck_assert_int_eq(
	    node_judge_joining(n1->node, &hello, "n4", why, sizeof(why)),
	    ERR_MISMATCH);
	ck_assert_ptr_nonnull(strstr(why, "of cluster other"));
	hello = hello_of(&cluster->machine[1], 1);
	ck_assert_int_eq(
	    node_judge_joining(n1->node, &hello, "n2", why, sizeof(why)),
	    ERR_MISMATCH);
	ck_assert_ptr_nonnull(strstr(why, "member of this cluster already"));
	hello.cluster_id[0]++;
	ck_assert_int_eq(
	    node_judge_joining(n1->node, &hello, "n2", why, sizeof(why)),
	    ERR_MISMATCH);
	ck_assert_ptr_nonnull(strstr(why, "member of another cluster"));
	hello.stage = NODE_HELLO_FOUNDING;
	ck_assert_int_eq(
	    node_judge_joining(n1->node, &hello, "n2", why, sizeof(why)),
	    ERR_MISMATCH);
	ck_assert_ptr_nonnull(strstr(why, "node.join = wait"));
	node_cluster_free(cluster);
}
END_TEST

/* ---- The record ---- */

static struct slice
identity_key(void)
{
	return slice_from_text("identity");
}

/* What starting says after byte `at` of the record was changed. */
static int
start_changed(struct machine *machine, size_t at, bool sum)
{
	struct store *store = store_mem_open(machine->log_disk);
	struct buf bytes = { 0 };
	struct store_txn *txn;
	struct slice found;

	ck_assert_int_eq(store_begin(store, true, &txn), 0);
	ck_assert_int_eq(
	    store_get(txn, NODE_TABLE_IDENTITY, identity_key(), &found), 0);
	buf_append_slice(&bytes, found);
	bytes.data[at] ^= 1;
	if (sum)
		codec_store_u32(bytes.data + bytes.size - 4,
		    crc32c(0, slice_of(bytes.data, bytes.size - 4)));
	ck_assert_int_eq(store_put(txn, NODE_TABLE_IDENTITY, identity_key(),
			     buf_slice(&bytes)),
	    0);
	ck_assert_int_eq(store_commit(txn), 0);
	store_close(store);
	buf_release(&bytes);
	return machine_start(machine);
}

START_TEST(damaged_identity_is_refused)
{
	struct node_cluster *cluster = node_cluster_new(1);
	struct machine *n1 = &cluster->machine[0];

	for (size_t at = 0; at < 40; at++) {
		machine_stop(n1);
		machine_wipe(n1);
		ck_assert_int_eq(machine_start(n1), 0);
		machine_stop(n1);
		ck_assert_int_eq(start_changed(n1, at, false), ERR_CORRUPT);
		machine_wipe(n1);
		ck_assert_int_eq(machine_start(n1), 0);
	}
	node_cluster_free(cluster);
}
END_TEST

START_TEST(identity_of_another_version_is_refused_with_a_sentence)
{
	struct node_cluster *cluster = node_cluster_new(1);
	struct machine *n1 = &cluster->machine[0];

	machine_stop(n1);
	ck_assert_int_eq(start_changed(n1, 0, true), ERR_VERSION);
	ck_assert_ptr_nonnull(strstr(n1->why, "another version"));
	machine_wipe(n1);
	ck_assert_int_eq(machine_start(n1), 0);
	node_cluster_free(cluster);
}
END_TEST

START_TEST(node_that_is_none_of_its_members_is_refused)
{
	struct node_cluster *cluster = node_cluster_new(1);
	struct machine *n1 = &cluster->machine[0];
	struct node_params params = machine_params(n1);

	machine_stop(n1);
	machine_wipe(n1);
	snprintf(params.name, sizeof(params.name), "n9");
	ck_assert_int_eq(machine_start_with(n1, &params), ERR_INVALID);
	ck_assert_ptr_nonnull(strstr(n1->why, "none of the [members]"));
	ck_assert_int_eq(machine_start(n1), 0);
	node_cluster_free(cluster);
}
END_TEST

/* Each operation of the commit that makes a node a member fails once. */
START_TEST(E9_failed_adoption_leaves_the_node_joining)
{
	bool failed = true;

	for (uint64_t n = 1; failed; n++) {
		struct node_cluster *cluster = formed(3);
		struct machine *n4 = node_cluster_join(cluster);
		struct node_hello hello = hello_to_joining(cluster, n4);

		ck_assert_int_eq(hear(n4, &hello), 0);
		store_mem_fail_operation(n4->log_disk, n, ERR_IO);
		failed = node_turn(n4->node, cluster->now) != 0;
		store_mem_fail_operation(n4->log_disk, 0, 0);
		if (failed)
			ck_assert_str_eq(node_fault(n4->node),
			    "identity: input/output error");
		machine_stop(n4);
		ck_assert_int_eq(machine_start(n4), 0);
		/* A failed commit may have happened all the same. */
		if (machine_state(n4) == NODE_JOINING)
			ck_assert_int_eq(hear(n4, &hello), 0);
		ck_assert_int_eq(node_turn(n4->node, cluster->now), 0);
		ck_assert_int_eq(machine_state(n4), NODE_MEMBER);
		node_cluster_free(cluster);
	}
}
END_TEST

static void
add_record(Suite *suite)
{
	TCase *record = tcase_create("record");

	tcase_add_test(record, damaged_identity_is_refused);
	tcase_add_test(
	    record, identity_of_another_version_is_refused_with_a_sentence);
	tcase_add_test(record, node_that_is_none_of_its_members_is_refused);
	tcase_add_test(record, E9_failed_adoption_leaves_the_node_joining);
	suite_add_tcase(suite, record);
}

Suite *
node_hello_suite(void)
{
	Suite *suite = suite_create("node_hello");
	TCase *founding = tcase_create("founding");
	TCase *joining = tcase_create("joining");
	TCase *member = tcase_create("member");

	tcase_add_test(founding, hello_says_what_a_node_is);
	tcase_add_test(founding, founding_node_refuses_what_does_not_fit);
	tcase_add_test(
	    founding, founding_node_that_the_cluster_does_not_know_is_told_so);
	tcase_add_test(
	    founding, late_founder_need_not_hear_those_that_have_left);
	tcase_add_test(founding, E22_wiped_node_says_how_it_is_replaced);
	tcase_add_test(founding, E22_founder_that_shall_join_now_begins_anew);
	tcase_add_test(founding, E22_member_does_not_begin_anew_to_join);
	suite_add_tcase(suite, founding);
	tcase_add_test(joining, joining_node_listens_only_to_who_knows_it);
	tcase_add_test(
	    joining, E22_joining_node_that_votes_already_has_lost_its_state);
	tcase_add_test(joining, joining_node_adopts_id_and_members_durably);
	tcase_add_test(
	    joining, joined_node_keeps_what_it_was_told_until_its_log_is_there);
	tcase_add_test(joining, probe_is_answered_by_all);
	tcase_add_test(joining, judging_says_why_a_node_cannot_join);
	suite_add_tcase(suite, joining);
	tcase_add_test(member, member_refuses_strangers_and_old_copies);
	tcase_add_test(
	    member, member_accepts_what_may_be_newer_than_what_it_knows);
	tcase_add_test(
	    member, member_waits_for_a_founder_that_has_not_heard_all_yet);
	tcase_add_test(
	    member, H21_member_believes_a_newer_membership_that_lacks_it);
	suite_add_tcase(suite, member);
	tcase_add_test(
	    member, H21_removed_founder_knows_the_cluster_by_another_founder);
	add_record(suite);
	return suite;
}
