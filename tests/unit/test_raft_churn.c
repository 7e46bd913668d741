/*
 * Changes of the membership among several cores: group H of the scenarios, and
 * random changes, transfers, crashes and partitions at once. The checks of
 * raft_cluster.h follow every event; a failure names its seed as the iteration
 * of the test.
 */

#include "tests/lib/raft_cluster.h"
#include "tests/unit/suites.h"

#define SECOND        1000000
#define SEEDS         150
#define ROUNDS        120
#define ROUND_USEC    15000
#define HEAL_USEC_MAX 5000000

static struct cluster cluster;

static void
set_up(void)
{
	cluster_init(&cluster, 3, 31);
}

static void
tear_down(void)
{
	cluster_release(&cluster);
}

/* A healthy cluster; its leader. */
static raft_id
form(void)
{
	cluster_boot_all(&cluster);
	(void)cluster_elect(&cluster, SECOND);
	cluster_converge(&cluster, SECOND);
	return cluster_leader(&cluster);
}

static int
set_role(raft_id leader, raft_id id, enum raft_member_role role)
{
	const struct raft_member member = { .id = id, .role_new = role };

	return cluster_set_member(&cluster, leader, &member);
}

static const struct raft_members *
members_of(raft_id id)
{
	return raft_get_members(cluster.nodes[id].solo.raft);
}

static enum raft_member_role
role_in(raft_id node, raft_id id)
{
	return solo_role(&cluster.nodes[node].solo, id);
}

/* A new node with this role, up and with all that is committed. */
static raft_id
add(enum raft_member_role role)
{
	raft_id id = cluster_add(&cluster);

	cluster_boot(&cluster, id);
	ck_assert_int_eq(set_role(cluster_leader(&cluster), id, role), 0);
	cluster_converge(&cluster, SECOND);
	return id;
}

/* Runs until the leader's membership is a committed one that is not joint. */
static void
settle_members(void)
{
	raft_usec limit = cluster.now + HEAL_USEC_MAX;

	for (;;) {
		raft_id leader = cluster_leader(&cluster);

		if (leader != 0 && !members_of(leader)->joint &&
		    cluster_status(&cluster, leader).members_committed)
			return;
		ck_assert_uint_lt(cluster.now, limit);
		ck_assert(cluster_step(&cluster));
	}
}

START_TEST(H7_change_survives_leader)
{
	raft_id leader = form();

	ck_assert_int_eq(set_role(leader, 4, RAFT_MEMBER_LEARNER), 0);
	/* The others have it on their disks, the leader has not heard so. */
	cluster_run(&cluster, 3500);
	ck_assert(!cluster_status(&cluster, leader).members_committed);
	cluster_crash(&cluster, leader);
	settle_members();
	ck_assert_uint_ne(cluster_leader(&cluster), leader);
	ck_assert_int_eq(
	    role_in(cluster_leader(&cluster), 4), RAFT_MEMBER_LEARNER);
}
END_TEST

START_TEST(H13_joins_under_load)
{
	raft_id leader = form();
	raft_id id;

	for (unsigned i = 0; i < 200; i++)
		(void)cluster_propose(&cluster, leader, 500);
	id = cluster_add(&cluster);
	cluster_boot(&cluster, id);
	ck_assert_int_eq(set_role(leader, id, RAFT_MEMBER_JOINING), 0);
	for (unsigned i = 0; i < 100; i++) {
		(void)cluster_propose(&cluster, leader, 500);
		cluster_run(&cluster, 2000);
	}
	ck_assert_int_eq(role_in(leader, id), RAFT_MEMBER_VOTER);
	cluster_converge(&cluster, SECOND);
	ck_assert_uint_eq(cluster_status(&cluster, leader).term, 1);
}
END_TEST

START_TEST(H13_new_leader_goes_on)
{
	raft_id leader = form();
	raft_id id = cluster_add(&cluster);

	ck_assert_int_eq(set_role(leader, id, RAFT_MEMBER_JOINING), 0);
	cluster_run(&cluster, SOLO_ELECTION_TIMEOUT);
	cluster_crash(&cluster, leader);
	(void)cluster_elect(&cluster, SECOND);
	cluster_boot(&cluster, id);
	cluster_run(&cluster, SOLO_ELECTION_TIMEOUT);
	settle_members();
	ck_assert_int_eq(
	    role_in(cluster_leader(&cluster), id), RAFT_MEMBER_VOTER);
}
END_TEST

START_TEST(H13_replaces_a_dead_one)
{
	raft_id leader = form();
	raft_id dead = leader == 3 ? 2 : 3;
	raft_id id = cluster_add(&cluster);
	const struct raft_member member = {
		.id = id,
		.role_new = RAFT_MEMBER_JOINING,
		.replaces = dead,
	};

	cluster_crash(&cluster, dead);
	cluster_boot(&cluster, id);
	ck_assert_int_eq(cluster_set_member(&cluster, leader, &member), 0);
	cluster_run(&cluster, SOLO_ELECTION_TIMEOUT);
	settle_members();
	ck_assert_int_eq(role_in(leader, id), RAFT_MEMBER_VOTER);
	ck_assert_int_eq(role_in(leader, dead), RAFT_MEMBER_NONE);
	ck_assert_uint_eq(members_of(leader)->count, 3);
}
END_TEST

START_TEST(H14_one_to_two)
{
	raft_id id;

	cluster_release(&cluster);
	cluster_init(&cluster, 1, 31);
	(void)form();
	id = add(RAFT_MEMBER_JOINING);
	cluster_run(&cluster, SOLO_ELECTION_TIMEOUT);
	ck_assert_int_eq(role_in(1, id), RAFT_MEMBER_VOTER);
	ck_assert_int_eq(cluster_propose(&cluster, 1, 7), 0);
	cluster_converge(&cluster, SECOND);
	/* It dies: nobody leads, nothing is lost, and its return heals. */
	cluster_crash(&cluster, id);
	cluster_run(&cluster, 4 * SOLO_ELECTION_TIMEOUT);
	ck_assert_uint_eq(cluster_leader(&cluster), 0);
	cluster_boot(&cluster, id);
	(void)cluster_elect(&cluster, SECOND);
	cluster_converge(&cluster, SECOND);
}
END_TEST

START_TEST(H17_remove_leader)
{
	raft_id leader = form();
	raft_usec since;

	ck_assert_int_eq(set_role(leader, leader, RAFT_MEMBER_NONE), 0);
	/* H19: what comes behind its removal is not lost silently. */
	for (unsigned i = 0; i < 10; i++)
		ck_assert_int_eq(cluster_propose(&cluster, leader, 3), 0);
	since = cluster.now;
	while (cluster_leader(&cluster) == leader)
		ck_assert(cluster_step(&cluster));
	/* It hands over: an election timeout is not waited for. */
	ck_assert_uint_lt(cluster.now - since, SOLO_ELECTION_TIMEOUT / 2);
	cluster_run(&cluster, SOLO_ELECTION_TIMEOUT);
	ck_assert_int_ne(cluster_status(&cluster, leader).role, RAFT_LEADER);
	ck_assert_uint_ne(cluster_leader(&cluster), 0);
	cluster_converge(&cluster, SECOND);
	ck_assert_uint_eq(
	    cluster_status(&cluster, cluster_leader(&cluster)).commit_index,
	    cluster.committed.count);
	ck_assert_uint_ge(cluster.committed.count, 13);
	/* H18: for ever after. */
	cluster_run(&cluster, 10 * SOLO_ELECTION_TIMEOUT);
	ck_assert_uint_eq(
	    raft_deadline(cluster.nodes[leader].solo.raft), RAFT_NEVER);
}
END_TEST

/* {1, 2, 3} to {1, 4, 5} among nodes that are up, asked for, not done. */
static void
begin_replacement(void)
{
	static const raft_id ids[] = { 1, 4, 5 };
	struct raft_members target = { .count = 3 };

	(void)form();
	(void)add(RAFT_MEMBER_LEARNER);
	(void)add(RAFT_MEMBER_LEARNER);
	for (unsigned i = 0; i < 3; i++)
		target.member[i] = (struct raft_member){
			.id = ids[i],
			.role_new = RAFT_MEMBER_VOTER,
		};
	ck_assert_int_eq(
	    cluster_change(&cluster, cluster_leader(&cluster), &target), 0);
}

static void
assert_replaced(void)
{
	raft_id leader = cluster_leader(&cluster);

	ck_assert_uint_eq(members_of(leader)->count, 3);
	ck_assert_int_eq(role_in(leader, 1), RAFT_MEMBER_VOTER);
	ck_assert_int_eq(role_in(leader, 5), RAFT_MEMBER_VOTER);
}

START_TEST(H23_replacement)
{
	begin_replacement();
	ck_assert(members_of(cluster_leader(&cluster))->joint);
	cluster_run(&cluster, SOLO_ELECTION_TIMEOUT);
	settle_members();
	assert_replaced();
	cluster_converge(&cluster, SECOND);
}
END_TEST

START_TEST(H25_new_leader_leaves_joint)
{
	raft_id leader;

	begin_replacement();
	leader = cluster_leader(&cluster);
	/* On all disks, and the leader is gone before it hears of that. */
	cluster_run(&cluster, 3500);
	ck_assert(members_of(leader)->joint);
	cluster_crash(&cluster, leader);
	(void)cluster_elect(&cluster, SECOND);
	settle_members();
	assert_replaced();
}
END_TEST

/* A replacement in which node `id` crashes after `steps` events. */
static void
crash_at(raft_id id, unsigned steps)
{
	cluster_release(&cluster);
	cluster_init(&cluster, 3, 31);
	begin_replacement();
	for (unsigned i = 0; i < steps; i++)
		(void)cluster_step(&cluster);
	cluster_crash(&cluster, id);
	cluster_run(&cluster, 3 * SOLO_ELECTION_TIMEOUT);
	cluster_boot(&cluster, id);
	cluster_run(&cluster, 3 * SOLO_ELECTION_TIMEOUT);
	settle_members();
	cluster_converge(&cluster, SECOND);
	ck_assert_uint_ne(cluster_leader(&cluster), 0);
}

START_TEST(H29_joint_crash_each_step)
{
	for (raft_id id = 1; id <= 5; id++)
		crash_at(id, (unsigned)_i);
}
END_TEST

START_TEST(H31_uncommitted_members_rolled_back)
{
	raft_id old = form();
	raft_id leader;

	cluster_isolate(&cluster, old);
	ck_assert_int_eq(set_role(old, 4, RAFT_MEMBER_LEARNER), 0);
	cluster_run(&cluster, 4 * SOLO_ELECTION_TIMEOUT);
	/* Elected under the older membership, which is the one there is. */
	leader = cluster_leader(&cluster);
	ck_assert_uint_ne(leader, 0);
	ck_assert_uint_ne(leader, old);
	ck_assert_int_eq(role_in(old, 4), RAFT_MEMBER_LEARNER);
	cluster_heal(&cluster);
	cluster_converge(&cluster, SECOND);
	ck_assert_int_eq(role_in(old, 4), RAFT_MEMBER_NONE);
}
END_TEST

START_TEST(H32_writes_and_changes)
{
	raft_id leader = form();
	raft_id id = add(RAFT_MEMBER_LEARNER);
	unsigned changes = 0;
	unsigned writes = 0;

	for (unsigned i = 0; i < 1000; i++) {
		writes += cluster_propose(&cluster, leader, 10) == 0;
		if (i % 20 == 0)
			changes += set_role(leader, id,
				       role_in(leader, id) == RAFT_MEMBER_VOTER
					   ? RAFT_MEMBER_LEARNER
					   : RAFT_MEMBER_VOTER) == 0;
		cluster_run(&cluster, 500);
	}
	cluster_converge(&cluster, SECOND);
	ck_assert_uint_eq(writes, 1000);
	ck_assert_uint_ge(changes, 40);
	ck_assert_uint_eq(cluster.committed.count,
	    cluster_status(&cluster, leader).last_index);
}
END_TEST

/* ---- Random runs ---- */

static raft_id
any_node(void)
{
	return 1 + rng_below(&cluster.rng, cluster.count);
}

static enum raft_member_role
any_role(void)
{
	return (enum raft_member_role)rng_below(&cluster.rng, 4);
}

/* Asks for one or several members to be something else; mostly refused. */
static void
change(raft_id leader)
{
	struct raft_members target = *members_of(leader);

	for (unsigned i = (unsigned)rng_between(&cluster.rng, 1, 3); i > 0;
	     i--) {
		struct raft_member member = {
			.id = any_node(),
			.role_new = any_role(),
		};

		if (rng_below(&cluster.rng, 4) == 0)
			member.replaces = any_node();
		/* Whoever is out of it never comes again under its id. */
		if (role_in(leader, member.id) == RAFT_MEMBER_NONE)
			member.role_new = RAFT_MEMBER_NONE;
		solo_set_member(&target, &member);
	}
	(void)cluster_change(&cluster, leader, &target);
}

/* A fresh node that shall be a voter, instead of another or in addition. */
static void
join(raft_id leader)
{
	struct raft_member member = { .role_new = RAFT_MEMBER_JOINING };

	if (cluster.count == SOLO_ID_MAX || members_of(leader)->count >= 6)
		return;
	member.id = cluster_add(&cluster);
	if (rng_below(&cluster.rng, 2) == 0)
		member.replaces = any_node();
	cluster_boot(&cluster, member.id);
	(void)cluster_set_member(&cluster, leader, &member);
}

/* What node `id` would have in effect, up or down. */
static raft_index
members_index(raft_id id)
{
	const struct solo *solo = &cluster.nodes[id].solo;
	const struct solo_disk *disk = &solo->disk;

	if (solo->raft != NULL)
		return solo_status(solo).members_index;
	for (size_t i = disk->log.count; i > 0; i--) {
		if (disk->log.entries[i - 1].entry.type == RAFT_ENTRY_MEMBERS)
			return disk->compacted_index + i;
	}
	return disk->members.index;
}

static bool
any_damaged(void)
{
	for (raft_id id = 1; id <= cluster.count; id++) {
		if (cluster_damaged(&cluster, id))
			return true;
	}
	return false;
}

/*
 * A minority of the voters at a time, until it is whole again. All members
 * agree on who they are, so that nobody comes to be the last of them while it
 * waits for what the others have.
 */
static bool
may_be_damaged(raft_id id)
{
	raft_id leader = cluster_leader(&cluster);
	const struct raft_members *members;
	unsigned voters = 0;

	if (leader == 0 || any_damaged())
		return false;
	members = members_of(leader);
	if (members->joint ||
	    !cluster_status(&cluster, leader).members_committed)
		return false;
	for (unsigned i = 0; i < members->count; i++) {
		raft_id member = members->member[i].id;

		if (member <= cluster.count &&
		    members_index(member) != members->index)
			return false;
		voters += members->member[i].role_new == RAFT_MEMBER_VOTER;
	}
	return voters >= 3 && role_in(leader, id) != RAFT_MEMBER_NONE;
}

static bool damages; /* in this run; and how often either kind was done: */
static unsigned logs_damaged;
static unsigned states_lost;

static void
damage(raft_id id)
{
	struct solo_disk *disk = &cluster.nodes[id].solo.disk;
	raft_index last = disk->compacted_index + disk->log.count;
	raft_index first;

	/* What is durable of the state lags behind what was applied. */
	disk->applied_index = rng_between(
	    &cluster.rng, disk->compacted_index, disk->applied_index);
	first = disk->applied_index + 1;
	if (first <= last && rng_below(&cluster.rng, 3) > 0) {
		cluster_damage_log(
		    &cluster, id, rng_between(&cluster.rng, first, last));
		logs_damaged++;
	}
	if (rng_below(&cluster.rng, 2) == 0) {
		cluster_lose_state(&cluster, id);
		states_lost += disk->compacted_index > 0;
	}
}

static void
crash_or_boot(void)
{
	raft_id id = any_node();

	if (cluster.nodes[id].solo.raft == NULL) {
		if (damages && may_be_damaged(id))
			damage(id);
		cluster_boot(&cluster, id);
	} else if (rng_below(&cluster.rng, 3) == 0)
		cluster_crash(&cluster, id);
}

static void
disturb(void)
{
	switch (rng_below(&cluster.rng, 8)) {
	case 0: cluster_isolate(&cluster, any_node()); break;
	case 1: cluster.cut[any_node()][any_node()] = true; break;
	case 2:
		cluster.drop_percent = (unsigned)rng_below(&cluster.rng, 20);
		cluster.duplicate_percent = cluster.drop_percent;
		cluster.latency_max = 1000 + rng_below(&cluster.rng, 15000);
		break;
	case 3:
		cluster.nodes[any_node()].disk_latency =
		    rng_below(&cluster.rng, 20000);
		break;
	default:
		cluster_heal(&cluster);
		cluster.drop_percent = 0;
		cluster.duplicate_percent = 0;
		cluster.latency_max = 2000;
		break;
	}
}

/* Whatever somebody who leads, or believes so, can be asked for. */
static void
use(raft_id id, uint64_t *read_id)
{
	struct solo *solo = &cluster.nodes[id].solo;

	if (solo->raft == NULL)
		return;
	if (rng_below(&cluster.rng, 20) == 0)
		(void)solo_compact(solo, solo_status(solo).applied_index);
	if (solo_status(solo).role != RAFT_LEADER)
		return;
	for (uint64_t i = rng_below(&cluster.rng, 4); i > 0; i--) {
		(void)cluster_propose(
		    &cluster, id, 1 + (uint32_t)rng_below(&cluster.rng, 2000));
		if (cluster_read(&cluster, id, *read_id) == 0)
			(*read_id)++;
	}
	/* Rarely, so that there mostly are enough voters for it. */
	if (damages && (any_damaged() || rng_below(&cluster.rng, 10) > 0))
		return;
	switch (rng_below(&cluster.rng, 8)) {
	case 0:
	case 1: change(id); break;
	case 2: join(id); break;
	case 3:
		(void)cluster_transfer(
		    &cluster, id, rng_below(&cluster.rng, cluster.count + 1));
		break;
	default: break;
	}
}

/* All faults stop: a leader comes, and finishes what was begun. */
static void
heal_all(void)
{
	cluster_heal(&cluster);
	cluster.drop_percent = 0;
	cluster.duplicate_percent = 0;
	cluster.latency_max = 2000;
	for (raft_id id = 1; id <= cluster.count; id++) {
		cluster.nodes[id].disk_latency = 2000;
		if (cluster.nodes[id].solo.raft == NULL)
			cluster_boot(&cluster, id);
	}
	cluster_converge(&cluster, HEAL_USEC_MAX);
	cluster_run(&cluster, 5 * SOLO_ELECTION_TIMEOUT);
	settle_members();
	ck_assert_int_eq(
	    cluster_propose(&cluster, cluster_leader(&cluster), 1), 0);
	cluster_converge(&cluster, HEAL_USEC_MAX);
}

static void
run_random(unsigned founders, uint64_t seed)
{
	uint64_t read_id = 1;

	cluster_release(&cluster);
	cluster_init(&cluster, founders, seed);
	for (raft_id id = 1; id <= cluster.count; id++)
		cluster.nodes[id].solo.params.lease_reads = seed % 3 == 0;
	cluster_boot_all(&cluster);
	for (unsigned i = 0; i < ROUNDS; i++) {
		if (rng_below(&cluster.rng, 6) == 0)
			disturb();
		crash_or_boot();
		for (raft_id id = 1; id <= cluster.count; id++)
			use(id, &read_id);
		cluster_run(&cluster, ROUND_USEC);
	}
	heal_all();
}

START_TEST(H38_no_disjoint_quorums)
{
	run_random(1 + (unsigned)_i % 4, (uint64_t)_i);
}
END_TEST

/* The same while nodes come back with a part of their log, or their state,
 * gone: who waits for it elects nobody who lacks it, and gets it back. */
START_TEST(H38_no_disjoint_quorums_with_damage)
{
	damages = true;
	run_random(3 + (unsigned)_i % 3, (uint64_t)_i);
	for (raft_id id = 1; id <= cluster.count; id++) {
		if (role_in(cluster_leader(&cluster), id) != RAFT_MEMBER_NONE)
			ck_assert(!cluster_damaged(&cluster, id));
	}
}
END_TEST

START_TEST(damage_is_done)
{
	damages = true;
	for (uint64_t seed = 1; seed <= 20; seed++)
		run_random(3, seed);
	ck_assert_uint_gt(logs_damaged, 10);
	ck_assert_uint_gt(states_lost, 5);
}
END_TEST

Suite *
raft_churn_suite(void)
{
	Suite *suite = suite_create("raft_churn");
	TCase *churn = tcase_create("churn");

	tcase_add_checked_fixture(churn, set_up, tear_down);
	tcase_add_test(churn, H7_change_survives_leader);
	tcase_add_test(churn, H13_joins_under_load);
	tcase_add_test(churn, H13_new_leader_goes_on);
	tcase_add_test(churn, H13_replaces_a_dead_one);
	tcase_add_test(churn, H14_one_to_two);
	tcase_add_test(churn, H17_remove_leader);
	tcase_add_test(churn, H23_replacement);
	tcase_add_test(churn, H25_new_leader_leaves_joint);
	tcase_add_loop_test(churn, H29_joint_crash_each_step, 0, 40);
	tcase_add_test(churn, H31_uncommitted_members_rolled_back);
	tcase_add_test(churn, H32_writes_and_changes);
	tcase_add_loop_test(churn, H38_no_disjoint_quorums, 1, SEEDS + 1);
	tcase_add_loop_test(
	    churn, H38_no_disjoint_quorums_with_damage, 1, SEEDS + 1);
	tcase_add_test(churn, damage_is_done);
	suite_add_tcase(suite, churn);
	return suite;
}
