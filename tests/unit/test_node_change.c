#include "tests/unit/node_cluster.h"
#include "tests/unit/suites.h"

#include <stdio.h>

/*
 * Changes of the membership from the operator's request to the end, between
 * nodes that find each other by the addresses that they are told.
 */

static const uint8_t no_nonce[NODE_NONCE_SIZE];

static struct node_cluster *
formed(unsigned count)
{
	struct node_cluster *cluster = node_cluster_new(count);

	cluster->dials = true;
	(void)node_cluster_wait_for_leader(cluster);
	return cluster;
}

static struct node_change
make_change(int kind, const struct machine *present, const struct machine *new)
{
	struct node_change change = { .kind = kind };
	struct node_params params;
	struct node_hello hello;

	if (present != NULL)
		snprintf(change.name, sizeof(change.name), "n%u",
		    (unsigned)present->id);
	if (new == NULL)
		return change;
	params = machine_params(new);
	memcpy(change.member.name, params.name, sizeof(params.name));
	memcpy(change.member.address, params.address, sizeof(params.address));
	node_get_hello(new->node, 0, &hello);
	memcpy(change.member.directory, hello.directory, NODE_NONCE_SIZE);
	return change;
}

static int
ask(struct machine *leader, const struct node_change *change,
    struct machine_put *put)
{
	*put = (struct machine_put){ .write = { .done = machine_put_done } };
	return node_change_members(leader->node, leader->cluster->now, change,
	    &put->write, leader->why, sizeof(leader->why));
}

static void
change(struct node_cluster *cluster, int kind, const struct machine *present,
    const struct machine *new)
{
	struct machine *leader = node_cluster_leader(cluster);
	struct node_change wanted = make_change(kind, present, new);
	struct machine_put put;

	ck_assert_ptr_nonnull(leader);
	ck_assert_msg(ask(leader, &wanted, &put) == 0, "%s", leader->why);
	node_cluster_settle(cluster);
	ck_assert_uint_eq(put.done, 1);
	ck_assert_int_eq(put.outcome, NODE_DONE);
}

static enum raft_member_role
role_of(const struct machine *asked, const struct machine *machine)
{
	struct node_params params = machine_params(machine);
	const struct node_members *members = node_get_members(asked->node);

	for (unsigned i = 0; i < members->count; i++) {
		if (strcmp(members->member[i].name, params.name) == 0)
			return node_get_role(
			    asked->node, members->member[i].id);
	}
	return RAFT_MEMBER_NONE;
}

static void
write_some(struct node_cluster *cluster, const char *value)
{
	struct machine *leader = node_cluster_wait_for_leader(cluster);
	struct machine_put put;

	ck_assert_int_eq(machine_put(leader, &put, "key", value), 0);
	node_cluster_pass(cluster, 1000000);
	ck_assert_uint_eq(put.done, 1);
	ck_assert_int_eq(put.outcome, NODE_DONE);
}

/* Each of the machines votes, and holds the value. */
static void
check_voters(struct node_cluster *cluster, const unsigned *places,
    unsigned count, const char *value)
{
	for (unsigned i = 0; i < count; i++) {
		struct machine *machine = &cluster->machine[places[i]];
		char why[256];

		ck_assert_int_eq(machine_state(machine), NODE_MEMBER);
		ck_assert_int_eq(node_get_members(machine->node)->count, count);
		for (unsigned j = 0; j < count; j++)
			ck_assert_int_eq(
			    role_of(machine, &cluster->machine[places[j]]),
			    RAFT_MEMBER_VOTER);
		machine_check_value(machine, "key", value);
		ck_assert_msg(
		    node_check(machine->node, why, sizeof(why)), "%s", why);
	}
}

/* ---- Adding ---- */

START_TEST(H11_H13_added_member_joins_and_becomes_a_voter)
{
	static const unsigned all[] = { 0, 1, 2, 3 };
	struct node_cluster *cluster = formed(3);
	struct machine *leader = node_cluster_leader(cluster);
	struct machine *n4 = node_cluster_join(cluster);
	struct machine_put puts[200];
	struct node_status status;

	/* More than one append brings. */
	for (unsigned i = 0; i < 200; i++)
		ck_assert_int_eq(machine_put(leader, &puts[i], "key", "1"), 0);
	node_cluster_settle(cluster);
	ck_assert_int_eq(machine_state(n4), NODE_JOINING);
	ck_assert_uint_eq(node_get_members(n4->node)->count, 0);
	change(cluster, NODE_ADD, NULL, n4);
	ck_assert_int_eq(
	    role_of(node_cluster_leader(cluster), n4), RAFT_MEMBER_JOINING);
	node_cluster_pass(cluster, 5000000);
	write_some(cluster, "2");
	check_voters(cluster, all, 4, "2");
	node_get_status(n4->node, cluster->now, &status);
	ck_assert_uint_gt(status.id, NODE_MEMBERS_MAX);
	ck_assert_uint_eq(status.quorum, 3);
	ck_assert(status.cluster_id_known);
	ck_assert_uint_eq(n4->book.count, 4);
	node_cluster_free(cluster);
}
END_TEST

START_TEST(H14_one_node_grows_to_three)
{
	static const unsigned all[] = { 0, 1, 2 };
	struct node_cluster *cluster = formed(1);

	write_some(cluster, "1");
	change(cluster, NODE_ADD, NULL, node_cluster_join(cluster));
	node_cluster_pass(cluster, 3000000);
	change(cluster, NODE_ADD, NULL, node_cluster_join(cluster));
	node_cluster_pass(cluster, 3000000);
	write_some(cluster, "2");
	check_voters(cluster, all, 3, "2");
	node_cluster_free(cluster);
}
END_TEST

/* It is told its id only when nobody else can get it any more. */
static void
check_needed(struct node_cluster *cluster, unsigned count, bool needed)
{
	for (unsigned i = 0; i < count; i++)
		ck_assert_int_eq(
		    node_is_needed(cluster->machine[i].node), needed);
}

/* Of two voters each is: the other one alone is no majority. */
START_TEST(voter_is_needed_where_the_others_are_no_majority)
{
	struct node_cluster *cluster = formed(1);
	struct machine *n2;

	check_needed(cluster, 1, true);
	n2 = node_cluster_join(cluster);
	ck_assert(!node_is_needed(n2->node));
	change(cluster, NODE_ADD, NULL, n2);
	node_cluster_pass(cluster, 3000000);
	check_needed(cluster, 2, true);
	change(cluster, NODE_ADD, NULL, node_cluster_join(cluster));
	node_cluster_pass(cluster, 3000000);
	check_needed(cluster, 3, false);
	machine_stop(n2);
	ck_assert_int_eq(machine_start(n2), 0);
	ck_assert(!node_is_needed(n2->node));
	node_cluster_pass(cluster, 3000000);
	change(cluster, NODE_REMOVE, &cluster->machine[2], NULL);
	node_cluster_pass(cluster, 3000000);
	check_needed(cluster, 2, true);
	node_cluster_free(cluster);
}
END_TEST

START_TEST(joining_node_takes_no_id_that_is_not_committed)
{
	struct node_cluster *cluster = formed(3);
	struct machine *leader = node_cluster_leader(cluster);
	struct machine *n4 = node_cluster_join(cluster);
	struct node_change wanted = make_change(NODE_ADD, NULL, n4);
	struct machine_put put;

	for (unsigned i = 0; i < 3; i++)
		cluster->machine[i].isolated = &cluster->machine[i] != leader;
	node_cluster_settle(cluster);
	ck_assert_int_eq(ask(leader, &wanted, &put), 0);
	node_cluster_pass(cluster, 300000);
	ck_assert_uint_eq(leader->book.count, 4);
	ck_assert_int_eq(machine_state(n4), NODE_JOINING);
	ck_assert_ptr_nonnull(strstr(n4->why, "not yet heard"));
	for (unsigned i = 0; i < 3; i++)
		cluster->machine[i].isolated = false;
	node_cluster_pass(cluster, 5000000);
	if (put.outcome == NODE_DONE)
		ck_assert_int_eq(machine_state(n4), NODE_MEMBER);
	node_cluster_free(cluster);
}
END_TEST

/* H29: whichever node stops, and when, the change ends. */
START_TEST(H29_add_survives_a_restart_at_each_step)
{
	static const unsigned all[] = { 0, 1, 2, 3 };

	for (unsigned step = 0; step < 12; step++) {
		struct node_cluster *cluster = formed(3);
		struct machine *n4 = node_cluster_join(cluster);
		struct machine *victim =
		    step % 2 == 0 ? n4 : node_cluster_leader(cluster);

		change(cluster, NODE_ADD, NULL, n4);
		node_cluster_pass(cluster, (step / 2) * 10000);
		machine_stop(victim);
		node_cluster_pass(cluster, 500000);
		ck_assert_int_eq(machine_start(victim), 0);
		node_cluster_pass(cluster, 8000000);
		write_some(cluster, "1");
		check_voters(cluster, all, 4, "1");
		node_cluster_free(cluster);
	}
}
END_TEST

START_TEST(added_member_learns_by_snapshot_what_the_log_lacks)
{
	static const unsigned all[] = { 0, 1, 2, 3 };
	struct node_cluster *cluster = formed(3);
	struct machine *leader = node_cluster_leader(cluster);
	struct node_status status;
	struct machine_put put;
	struct machine *n4;

	for (unsigned i = 0; i < 3000; i++) {
		char key[16];

		snprintf(key, sizeof(key), "k%u", i);
		ck_assert_int_eq(machine_put(leader, &put, key, "value"), 0);
		node_cluster_settle(cluster);
		if (i % 100 == 0)
			node_cluster_pass(cluster, 600000);
	}
	node_get_status(leader->node, cluster->now, &status);
	ck_assert_uint_lt(status.log_entries, 2000);
	n4 = node_cluster_join(cluster);
	change(cluster, NODE_ADD, NULL, n4);
	node_cluster_pass(cluster, 10000000);
	write_some(cluster, "1");
	check_voters(cluster, all, 4, "1");
	machine_check_value(n4, "k0", "value");
	node_get_status(n4->node, cluster->now, &status);
	ck_assert_uint_eq(status.snapshots_installed, 1);
	machine_stop(n4);
	ck_assert_int_eq(machine_start(n4), 0);
	node_cluster_pass(cluster, 3000000);
	check_voters(cluster, all, 4, "1");
	node_cluster_free(cluster);
}
END_TEST

/* ---- Removing ---- */

static struct machine *
follower_of(struct node_cluster *cluster)
{
	struct machine *leader = node_cluster_leader(cluster);

	return &cluster->machine[leader->id % cluster->founders_count];
}

START_TEST(H21_removed_member_finds_out_and_is_refused_at_its_next_start)
{
	struct node_cluster *cluster = formed(3);
	struct machine *gone = follower_of(cluster);

	change(cluster, NODE_REMOVE, gone, NULL);
	node_cluster_pass(cluster, 3000000);
	ck_assert_int_eq(machine_state(gone), NODE_REMOVED);
	ck_assert_uint_eq(gone->book.count, 0);
	ck_assert_uint_eq(
	    node_get_members(node_cluster_leader(cluster)->node)->count, 2);
	machine_stop(gone);
	ck_assert_int_eq(machine_start(gone), ERR_MISMATCH);
	ck_assert_ptr_nonnull(strstr(gone->why, "was removed"));
	ck_assert_ptr_nonnull(strstr(gone->why, "POST /cluster/members?name="));
	machine_wipe(gone);
	gone->joins = true;
	ck_assert_int_eq(machine_start(gone), 0);
	ck_assert_int_eq(machine_state(gone), NODE_JOINING);
	node_cluster_free(cluster);
}
END_TEST

START_TEST(H21_member_removed_while_it_was_away_finds_out)
{
	struct node_cluster *cluster = formed(3);
	struct machine *gone = follower_of(cluster);

	machine_stop(gone);
	node_cluster_pass(cluster, 2000000);
	change(cluster, NODE_REMOVE, gone, NULL);
	node_cluster_pass(cluster, 1000000);
	ck_assert_int_eq(machine_start(gone), 0);
	ck_assert_int_eq(machine_state(gone), NODE_MEMBER);
	node_cluster_pass(cluster, 1000000);
	ck_assert_int_eq(machine_state(gone), NODE_REMOVED);
	write_some(cluster, "1");
	node_cluster_free(cluster);
}
END_TEST

START_TEST(H17_leader_removes_itself)
{
	struct node_cluster *cluster = formed(3);
	struct machine *gone = node_cluster_leader(cluster);

	change(cluster, NODE_REMOVE, gone, NULL);
	node_cluster_pass(cluster, 5000000);
	ck_assert_int_eq(machine_state(gone), NODE_REMOVED);
	ck_assert(!node_is_leader(gone->node));
	ck_assert_ptr_ne(node_cluster_leader(cluster), gone);
	write_some(cluster, "1");
	node_cluster_free(cluster);
}
END_TEST

/* Those that follow it know it as gone, and hear it all the same. */
START_TEST(I10_leader_that_removes_itself_hands_over_at_once)
{
	struct node_cluster *cluster = formed(3);
	struct machine *gone = node_cluster_leader(cluster);
	struct node_params params = machine_params(gone);

	change(cluster, NODE_REMOVE, gone, NULL);
	node_cluster_pass(cluster, params.raft.election_timeout / 2);
	ck_assert_ptr_nonnull(node_cluster_leader(cluster));
	ck_assert_ptr_ne(node_cluster_leader(cluster), gone);
	node_cluster_free(cluster);
}
END_TEST

START_TEST(leader_does_not_leave_less_than_a_quorum_even_by_force)
{
	struct node_cluster *cluster = formed(3);
	struct machine *leader = node_cluster_leader(cluster);
	struct node_change wanted = make_change(NODE_REMOVE, leader, NULL);
	struct machine_put put;

	machine_stop(follower_of(cluster));
	node_cluster_pass(cluster, 2000000);
	wanted.force = true;
	ck_assert_int_eq(ask(leader, &wanted, &put), ERR_DENIED);
	ck_assert_ptr_nonnull(strstr(leader->why, "does not hear"));
	node_cluster_free(cluster);
}
END_TEST

START_TEST(removing_a_voter_that_the_quorum_needs_is_denied)
{
	struct node_cluster *cluster = formed(3);
	struct machine *leader = node_cluster_leader(cluster);
	struct machine *dead = follower_of(cluster);
	struct machine *alive =
	    &cluster->machine[6 - leader->id - dead->id - 1];
	struct node_change wanted = make_change(NODE_REMOVE, alive, NULL);
	struct machine_put put;

	machine_stop(dead);
	node_cluster_pass(cluster, 2000000);
	ck_assert_int_eq(ask(leader, &wanted, &put), ERR_DENIED);
	ck_assert_ptr_nonnull(strstr(leader->why, "does not hear"));
	/* The dead one itself may go. */
	change(cluster, NODE_REMOVE, dead, NULL);
	ck_assert_int_eq(machine_start(dead), 0);
	node_cluster_free(cluster);
}
END_TEST

START_TEST(force_removes_all_the_same)
{
	struct node_cluster *cluster = formed(3);
	struct machine *leader = node_cluster_leader(cluster);
	struct machine *dead = follower_of(cluster);
	struct node_change wanted;
	struct machine_put put;

	machine_stop(dead);
	node_cluster_pass(cluster, 2000000);
	wanted = make_change(NODE_REMOVE,
	    &cluster->machine[6 - leader->id - dead->id - 1], NULL);
	wanted.force = true;
	ck_assert_int_eq(ask(leader, &wanted, &put), 0);
	ck_assert_int_eq(machine_start(dead), 0);
	node_cluster_pass(cluster, 5000000);
	ck_assert_uint_eq(
	    node_get_members(node_cluster_leader(cluster)->node)->count, 2);
	node_cluster_free(cluster);
}
END_TEST

START_TEST(H9_last_voter_stays)
{
	struct node_cluster *cluster = formed(1);
	struct machine *n1 = &cluster->machine[0];
	struct node_change wanted = make_change(NODE_REMOVE, n1, NULL);
	struct machine_put put;

	wanted.force = true;
	ck_assert_int_eq(ask(n1, &wanted, &put), ERR_INVALID);
	ck_assert_ptr_nonnull(strstr(n1->why, "last voter"));
	node_cluster_free(cluster);
}
END_TEST

/* ---- Replacing ---- */

START_TEST(H23_dead_member_is_replaced_by_one_request)
{
	struct node_cluster *cluster = formed(3);
	struct machine *dead = follower_of(cluster);
	struct machine *n4 = node_cluster_join(cluster);
	unsigned places[3];
	unsigned count = 0;

	write_some(cluster, "1");
	dead = follower_of(cluster);
	machine_stop(dead);
	node_cluster_pass(cluster, 2000000);
	change(cluster, NODE_REPLACE, dead, n4);
	node_cluster_pass(cluster, 5000000);
	write_some(cluster, "2");
	for (unsigned i = 0; i < 4; i++) {
		if (&cluster->machine[i] != dead)
			places[count++] = i;
	}
	check_voters(cluster, places, 3, "2");
	ck_assert_int_eq(machine_start(dead), 0);
	node_cluster_pass(cluster, 1000000);
	ck_assert_int_eq(machine_state(dead), NODE_REMOVED);
	node_cluster_free(cluster);
}
END_TEST

START_TEST(one_node_is_replaced_by_another)
{
	static const unsigned all[] = { 1 };
	struct node_cluster *cluster = formed(1);
	struct machine *n1 = &cluster->machine[0];
	struct machine *n2 = node_cluster_join(cluster);

	write_some(cluster, "1");
	change(cluster, NODE_REPLACE, n1, n2);
	node_cluster_pass(cluster, 5000000);
	ck_assert_int_eq(machine_state(n1), NODE_REMOVED);
	write_some(cluster, "2");
	check_voters(cluster, all, 1, "2");
	node_cluster_free(cluster);
}
END_TEST

/* E22: a wiped member never votes again, and its sentence says what helps. */
START_TEST(wiped_member_is_replaced_by_itself_under_a_new_name)
{
	struct node_cluster *cluster = formed(3);
	struct machine *wiped = follower_of(cluster);
	struct machine *n4;

	write_some(cluster, "1");
	wiped = follower_of(cluster);
	machine_stop(wiped);
	machine_wipe(wiped);
	ck_assert_int_eq(machine_start(wiped), 0);
	node_cluster_pass(cluster, 1000000);
	ck_assert_int_eq(machine_state(wiped), NODE_WIPED);
	ck_assert_ptr_nonnull(strstr(wiped->why, "/cluster/replace?old="));
	machine_stop(wiped);
	n4 = node_cluster_join(cluster);
	change(cluster, NODE_REPLACE, wiped, n4);
	node_cluster_pass(cluster, 5000000);
	ck_assert_int_eq(
	    role_of(node_cluster_leader(cluster), n4), RAFT_MEMBER_VOTER);
	ck_assert_int_eq(
	    role_of(node_cluster_leader(cluster), wiped), RAFT_MEMBER_NONE);
	ck_assert_int_eq(machine_start(wiped), 0);
	node_cluster_free(cluster);
}
END_TEST

/* Both are members until the new one votes. */
START_TEST(H9_replacing_member_needs_an_address_of_its_own)
{
	struct node_cluster *cluster = formed(3);
	struct machine *leader = node_cluster_leader(cluster);
	struct machine *old = follower_of(cluster);
	struct node_change wanted =
	    make_change(NODE_REPLACE, old, node_cluster_join(cluster));
	struct machine_put put;

	memcpy(wanted.member.address, old->address, sizeof(old->address));
	ck_assert_int_eq(ask(leader, &wanted, &put), ERR_EXISTS);
	ck_assert_ptr_nonnull(strstr(leader->why, "is the address of member"));
	write_some(cluster, "1");
	node_cluster_free(cluster);
}
END_TEST

/* An entry that nobody could read would be the end of the cluster. */
START_TEST(members_that_cannot_be_read_back_are_not_logged)
{
	struct node_cluster *cluster = formed(3);
	struct machine *leader = node_cluster_leader(cluster);
	struct node_change wanted =
	    make_change(NODE_ADD, NULL, node_cluster_join(cluster));
	struct machine_put put;

	wanted.member.address[0] = '\0';
	ck_assert_int_eq(ask(leader, &wanted, &put), ERR_INVALID);
	ck_assert_ptr_nonnull(strstr(leader->why, "no valid list"));
	write_some(cluster, "1");
	node_cluster_free(cluster);
}
END_TEST

START_TEST(H29_replace_survives_a_restart_at_each_step)
{
	for (unsigned step = 0; step < 12; step++) {
		struct node_cluster *cluster = formed(3);
		struct machine *old = follower_of(cluster);
		struct machine *n4 = node_cluster_join(cluster);
		struct machine *victim =
		    step % 2 == 0 ? n4 : node_cluster_leader(cluster);
		unsigned places[3];
		unsigned count = 0;

		change(cluster, NODE_REPLACE, old, n4);
		node_cluster_pass(cluster, (step / 2) * 10000);
		machine_stop(victim);
		node_cluster_pass(cluster, 500000);
		ck_assert_int_eq(machine_start(victim), 0);
		node_cluster_pass(cluster, 8000000);
		write_some(cluster, "1");
		ck_assert_int_eq(machine_state(old), NODE_REMOVED);
		for (unsigned i = 0; i < 4; i++) {
			if (&cluster->machine[i] != old)
				places[count++] = i;
		}
		check_voters(cluster, places, 3, "1");
		node_cluster_free(cluster);
	}
}
END_TEST

/* ---- Moving ---- */

START_TEST(H33_moved_member_is_dialled_at_its_new_address)
{
	static const unsigned all[] = { 0, 1, 2 };
	struct node_cluster *cluster = formed(3);
	struct machine *leader = node_cluster_leader(cluster);
	struct machine *moved = follower_of(cluster);
	struct node_change wanted = make_change(NODE_MOVE, moved, NULL);
	struct machine_put put;

	machine_stop(moved);
	snprintf(moved->address, sizeof(moved->address), "10.0.0.99:5864");
	ck_assert_int_eq(machine_start(moved), 0);
	write_some(cluster, "1");
	ck_assert_uint_eq(leader->links[moved->id - 1], 0);
	memcpy(wanted.member.address, moved->address, sizeof(moved->address));
	ck_assert_int_eq(ask(leader, &wanted, &put), 0);
	node_cluster_pass(cluster, 1000000);
	ck_assert_uint_eq(put.done, 1);
	ck_assert_int_eq(put.outcome, NODE_DONE);
	ck_assert_str_eq(
	    leader->book.member[moved->id - 1].address, "10.0.0.99:5864");
	ck_assert_uint_eq(leader->links[moved->id - 1], moved->id);
	check_voters(cluster, all, 3, "1");
	ck_assert_int_eq(ask(leader, &wanted, &put), ERR_EXISTS);
	machine_stop(leader);
	ck_assert_int_eq(machine_start(leader), 0);
	ck_assert_str_eq(node_find_member(leader->node, moved->id)->address,
	    "10.0.0.99:5864");
	node_cluster_free(cluster);
}
END_TEST

/* ---- Refusals ---- */

START_TEST(H9_names_and_addresses_are_unique)
{
	struct node_cluster *cluster = formed(3);
	struct machine *leader = node_cluster_leader(cluster);
	struct machine *n4 = node_cluster_join(cluster);
	struct node_change wanted = make_change(NODE_ADD, NULL, n4);
	struct machine_put put;

	snprintf(wanted.member.name, sizeof(wanted.member.name), "n1");
	ck_assert_int_eq(ask(leader, &wanted, &put), ERR_EXISTS);
	wanted = make_change(NODE_ADD, NULL, n4);
	snprintf(wanted.member.address, sizeof(wanted.member.address),
	    "10.0.0.1:5864");
	ck_assert_int_eq(ask(leader, &wanted, &put), ERR_EXISTS);
	wanted = make_change(NODE_MOVE, &cluster->machine[1], NULL);
	snprintf(wanted.member.address, sizeof(wanted.member.address),
	    "10.0.0.1:5864");
	ck_assert_int_eq(ask(leader, &wanted, &put), ERR_EXISTS);
	wanted = make_change(NODE_REMOVE, n4, NULL);
	ck_assert_int_eq(ask(leader, &wanted, &put), ERR_NOT_FOUND);
	node_cluster_free(cluster);
}
END_TEST

START_TEST(H1_second_change_waits_for_the_first)
{
	struct node_cluster *cluster = formed(3);
	struct machine *leader = node_cluster_leader(cluster);
	struct node_change first =
	    make_change(NODE_ADD, NULL, node_cluster_join(cluster));
	struct node_change second =
	    make_change(NODE_ADD, NULL, node_cluster_join(cluster));
	struct machine_put put1;
	struct machine_put put2;

	ck_assert_int_eq(ask(leader, &first, &put1), 0);
	ck_assert_int_eq(ask(leader, &second, &put2), ERR_BUSY);
	ck_assert_ptr_nonnull(strstr(leader->why, "under way"));
	node_cluster_pass(cluster, 3000000);
	ck_assert_int_eq(ask(leader, &second, &put2), 0);
	node_cluster_pass(cluster, 3000000);
	ck_assert_uint_eq(node_get_members(leader->node)->count, 5);
	node_cluster_free(cluster);
}
END_TEST

START_TEST(followers_refuse_changes)
{
	struct node_cluster *cluster = formed(3);
	struct machine *follower = follower_of(cluster);
	struct node_change wanted = make_change(NODE_REMOVE, follower, NULL);
	struct machine_put put;

	ck_assert_int_eq(ask(follower, &wanted, &put), ERR_NOT_LEADER);
	ck_assert_int_eq(
	    node_transfer(follower->node, cluster->now, NULL), ERR_NOT_LEADER);
	node_cluster_free(cluster);
}
END_TEST

START_TEST(voters_are_limited)
{
	struct node_cluster *cluster = formed(NODE_VOTERS_MAX);
	struct machine *leader = node_cluster_leader(cluster);
	struct machine *n8 = node_cluster_join(cluster);
	struct node_change wanted = make_change(NODE_ADD, NULL, n8);
	struct machine_put put;

	ck_assert_int_eq(ask(leader, &wanted, &put), ERR_TOO_LARGE);
	change(cluster, NODE_REPLACE, follower_of(cluster), n8);
	node_cluster_pass(cluster, 5000000);
	leader = node_cluster_leader(cluster);
	ck_assert_uint_eq(
	    node_get_members(leader->node)->count, NODE_VOTERS_MAX);
	ck_assert_int_eq(role_of(leader, n8), RAFT_MEMBER_VOTER);
	node_cluster_free(cluster);
}
END_TEST

/* ---- Transfer ---- */

START_TEST(I1_leadership_goes_where_it_is_told_to)
{
	struct node_cluster *cluster = formed(3);
	struct machine *leader = node_cluster_leader(cluster);
	struct machine *target = follower_of(cluster);
	struct machine_put put;
	char name[8];

	snprintf(name, sizeof(name), "n%u", (unsigned)target->id);
	ck_assert_int_eq(
	    node_transfer(leader->node, cluster->now, "n9"), ERR_NOT_FOUND);
	ck_assert_int_eq(node_transfer(leader->node, cluster->now, name), 0);
	ck_assert_int_eq(machine_put(leader, &put, "key", "1"), ERR_AGAIN);
	node_cluster_pass(cluster, 100000);
	ck_assert_ptr_eq(node_cluster_leader(cluster), target);
	ck_assert_int_eq(node_transfer(target->node, cluster->now, NULL), 0);
	node_cluster_pass(cluster, 100000);
	ck_assert_ptr_ne(node_cluster_leader(cluster), target);
	node_cluster_free(cluster);
}
END_TEST

/* ---- What a node knows of itself and others ---- */

START_TEST(directories_are_known_to_all_once_the_log_is)
{
	struct node_cluster *cluster = formed(3);

	for (unsigned i = 0; i < 3; i++) {
		const struct node_members *members =
		    node_get_members(cluster->machine[i].node);

		for (unsigned j = 0; j < 3; j++)
			ck_assert_mem_ne(members->member[j].directory, no_nonce,
			    NODE_NONCE_SIZE);
	}
	node_cluster_free(cluster);
}
END_TEST

START_TEST(heard_leader_is_as_of_what_is_applied)
{
	struct node_cluster *cluster = formed(3);
	struct machine *leader = node_cluster_leader(cluster);
	struct machine *follower = follower_of(cluster);
	raft_usec cut_at;

	node_cluster_pass(cluster, 1000000);
	ck_assert_uint_eq(
	    node_heard_leader_at(leader->node, cluster->now), cluster->now);
	ck_assert_uint_ge(node_heard_leader_at(follower->node, cluster->now),
	    cluster->now - 100000);
	cut_at = cluster->now;
	follower->isolated = true;
	node_cluster_pass(cluster, 3000000);
	ck_assert_uint_le(
	    node_heard_leader_at(follower->node, cluster->now), cut_at);
	node_cluster_free(cluster);
}
END_TEST

static void
add_changes(Suite *suite)
{
	TCase *joins = tcase_create("add");
	TCase *leaves = tcase_create("remove");
	TCase *replace = tcase_create("replace");

	tcase_add_test(joins, H11_H13_added_member_joins_and_becomes_a_voter);
	tcase_add_test(joins, H14_one_node_grows_to_three);
	tcase_add_test(joins, voter_is_needed_where_the_others_are_no_majority);
	tcase_add_test(joins, joining_node_takes_no_id_that_is_not_committed);
	tcase_add_test(joins, H29_add_survives_a_restart_at_each_step);
	tcase_add_test(
	    joins, added_member_learns_by_snapshot_what_the_log_lacks);
	suite_add_tcase(suite, joins);
	tcase_add_test(leaves,
	    H21_removed_member_finds_out_and_is_refused_at_its_next_start);
	tcase_add_test(leaves, H21_member_removed_while_it_was_away_finds_out);
	tcase_add_test(leaves, H17_leader_removes_itself);
	tcase_add_test(
	    leaves, removing_a_voter_that_the_quorum_needs_is_denied);
	tcase_add_test(leaves, force_removes_all_the_same);
	tcase_add_test(
	    leaves, I10_leader_that_removes_itself_hands_over_at_once);
	tcase_add_test(
	    leaves, leader_does_not_leave_less_than_a_quorum_even_by_force);
	tcase_add_test(leaves, H9_last_voter_stays);
	suite_add_tcase(suite, leaves);
	tcase_add_test(replace, H23_dead_member_is_replaced_by_one_request);
	tcase_add_test(replace, one_node_is_replaced_by_another);
	tcase_add_test(
	    replace, wiped_member_is_replaced_by_itself_under_a_new_name);
	tcase_add_test(
	    replace, H9_replacing_member_needs_an_address_of_its_own);
	tcase_add_test(
	    replace, members_that_cannot_be_read_back_are_not_logged);
	tcase_add_test(replace, H29_replace_survives_a_restart_at_each_step);
	tcase_add_test(replace, H33_moved_member_is_dialled_at_its_new_address);
	suite_add_tcase(suite, replace);
}

Suite *
node_change_suite(void)
{
	Suite *suite = suite_create("node_change");
	TCase *refusals = tcase_create("refusals");
	TCase *looking = tcase_create("transfer and looking");

	add_changes(suite);
	tcase_add_test(refusals, H9_names_and_addresses_are_unique);
	tcase_add_test(refusals, H1_second_change_waits_for_the_first);
	tcase_add_test(refusals, followers_refuse_changes);
	tcase_add_test(refusals, voters_are_limited);
	suite_add_tcase(suite, refusals);
	tcase_add_test(looking, I1_leadership_goes_where_it_is_told_to);
	tcase_add_test(looking, directories_are_known_to_all_once_the_log_is);
	tcase_add_test(looking, heard_leader_is_as_of_what_is_applied);
	suite_add_tcase(suite, looking);
	return suite;
}
