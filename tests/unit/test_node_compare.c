/* Members compare their states: the rules alone, and in whole clusters. */

#include "kv/kv_impl.h"
#include "node/node_impl.h"
#include "tests/unit/node_runs.h"
#include "tests/unit/suites.h"

#include <stdio.h>
#include <string.h>

#define TERM     7
#define PATIENCE 1000
#define RIGHT    11
#define WRONG    22

/* ---- The rules ---- */

/* Voters 1 .. voters, then learners. */
static struct raft_members
make_members(unsigned voters, unsigned learners)
{
	struct raft_members members = { .count = voters + learners };

	for (unsigned i = 0; i < members.count; i++) {
		struct raft_member *member = &members.member[i];

		member->id = i + 1;
		member->role_new =
		    i < voters ? RAFT_MEMBER_VOTER : RAFT_MEMBER_LEARNER;
		member->role_old = member->role_new;
	}
	return members;
}

/* What member 1, the leader, puts into an append that leaves at `now`. */
static struct raft_message
ask(struct node_compare *compare, const struct raft_members *members,
    raft_usec now, raft_index applied)
{
	struct raft_message request = { .kind = RAFT_APPEND_REQUEST,
		.from = 1 };
	const struct node_compare_leader leader = {
		.id = 1,
		.term = TERM,
		.now = now,
		.patience = PATIENCE,
		.state = { .index = applied, .hash = RIGHT },
		.idle = true,
		.members = members,
	};

	node_compare_ask(compare, &leader, &request);
	return request;
}

static void
answer(struct node_compare *compare, const struct raft_members *members,
    raft_id from, uint64_t hash)
{
	const struct raft_message response = {
		.kind = RAFT_APPEND_RESPONSE,
		.from = from,
		.term = TERM,
		.state_index = compare->question.index,
		.state_hash = hash,
	};

	node_compare_hear(compare, members, &response);
}

/* The leader's own hash is RIGHT. */
static const struct {
	const char *name;
	unsigned voters;
	unsigned learners;
	uint64_t answers[5]; /* of members 2 .. 6; 0: none came */
	uint64_t agreed;     /* 0: no majority */
	bool differs;        /* the leader does */
	bool split;
} verdicts[] = {
	{ "nobody answers", 3, 0, { 0 }, 0, false, false },
	{ "one answers", 3, 0, { RIGHT }, RIGHT, false, false },
	{ "one differs", 3, 0, { WRONG, RIGHT }, RIGHT, false, false },
	{ "one of two differs", 3, 0, { WRONG }, 0, false, true },
	{ "the leader differs", 3, 0, { WRONG, WRONG }, WRONG, true, false },
	{ "all differ", 3, 0, { WRONG, 33 }, 0, false, true },
	{ "two voters differ", 2, 0, { WRONG }, 0, false, true },
	{ "two of four", 4, 0, { RIGHT, WRONG, WRONG }, 0, false, true },
	{ "two of five", 5, 0, { WRONG, WRONG }, 0, false, true },
	{ "three of five", 5, 0, { WRONG, WRONG, 0, WRONG }, WRONG, true,
	    false },
	{ "a learner does not count", 3, 1, { 0, 0, RIGHT }, 0, false, false },
	{ "a learner is no split", 3, 1, { 0, 0, WRONG }, 0, false, false },
	{ "learners outvote nobody", 2, 3, { RIGHT, WRONG, WRONG, WRONG },
	    RIGHT, false, false },
};

START_TEST(D_a_majority_of_the_voters_decides)
{
	for (size_t i = 0; i < ARRAY_COUNT(verdicts); i++) {
		struct raft_members members =
		    make_members(verdicts[i].voters, verdicts[i].learners);
		struct node_compare compare = { .term = 0 };
		struct raft_message request = ask(&compare, &members, 1, 100);

		ck_assert_uint_eq(request.state_index, 100);
		ck_assert_uint_eq(request.agreed_index, 0);
		for (raft_id id = 2; id <= members.count; id++) {
			if (verdicts[i].answers[id - 2] != 0)
				answer(&compare, &members, id,
				    verdicts[i].answers[id - 2]);
		}
		request = ask(&compare, &members, 1 + PATIENCE, 100);
		ck_assert_msg(
		    (compare.split.index != 0) == verdicts[i].split &&
			(compare.differs_at != 0) == verdicts[i].differs &&
			request.agreed_index ==
			    (verdicts[i].agreed == 0 ? 0u : 100u) &&
			request.agreed_hash == verdicts[i].agreed,
		    "%s", verdicts[i].name);
		/* What is decided is asked no more. */
		ck_assert_uint_eq(
		    request.state_index, verdicts[i].agreed == 0 ? 100 : 0);
	}
}
END_TEST

/* 1, 2 and 3 make room for 4 and 5: both halves have to agree. */
START_TEST(D_a_joint_membership_needs_both_majorities)
{
	struct raft_members members = make_members(5, 0);
	struct node_compare compare = { .term = 0 };

	members.joint = true;
	members.member[1].role_new = RAFT_MEMBER_NONE;
	members.member[2].role_new = RAFT_MEMBER_NONE;
	members.member[3].role_old = RAFT_MEMBER_LEARNER;
	members.member[4].role_old = RAFT_MEMBER_LEARNER;
	(void)ask(&compare, &members, 1, 100);
	answer(&compare, &members, 2, RIGHT);
	answer(&compare, &members, 3, RIGHT);
	ck_assert(!compare.decided);
	answer(&compare, &members, 4, RIGHT);
	ck_assert(compare.decided);
}
END_TEST

/* One answer of each member, to the question asked, in the term. */
START_TEST(D_other_answers_do_not_count)
{
	struct raft_members members = make_members(3, 0);
	struct node_compare compare = { .term = 0 };
	struct raft_message response = {
		.kind = RAFT_APPEND_RESPONSE,
		.from = 2,
		.term = TERM,
		.state_index = 100,
		.state_hash = RIGHT,
	};

	(void)ask(&compare, &members, 1, 100);
	response.from = 9;
	node_compare_hear(&compare, &members, &response);
	response.from = 2;
	response.term = TERM - 1;
	node_compare_hear(&compare, &members, &response);
	response.term = TERM;
	response.state_index = 64;
	node_compare_hear(&compare, &members, &response);
	response.state_index = 0;
	node_compare_hear(&compare, &members, &response);
	ck_assert_uint_eq(compare.answers_count, 1);
	answer(&compare, &members, 2, WRONG);
	answer(&compare, &members, 2, RIGHT);
	ck_assert_uint_eq(compare.answers_count, 2);
	ck_assert(!compare.decided);
}
END_TEST

/* Somebody cannot answer it any more: the next is asked, and no earlier. */
START_TEST(D_a_question_gives_way_in_time)
{
	struct raft_members members = make_members(3, 0);
	struct node_compare compare = { .term = 0 };
	struct raft_message request = ask(&compare, &members, 1, 100);

	request = ask(&compare, &members, PATIENCE, 200);
	ck_assert_uint_eq(request.state_index, 100);
	request = ask(&compare, &members, PATIENCE + 1, 200);
	ck_assert_uint_eq(request.state_index, 200);
	ck_assert_uint_eq(compare.split.index, 0);
}
END_TEST

START_TEST(D_a_split_is_told_once_in_a_term)
{
	struct raft_members members = make_members(2, 0);
	struct node_compare compare = { .term = 0 };

	for (unsigned i = 1; i < 5; i++) {
		(void)ask(&compare, &members, i * PATIENCE, 100 * i);
		ck_assert_uint_eq(compare.split.index, i == 2 ? 100 : 0);
		if (i == 2) {
			ck_assert_uint_eq(compare.split.a, 1);
			ck_assert_uint_eq(compare.split.b, 2);
		}
		compare.split.index = 0;
		answer(&compare, &members, 2, WRONG);
	}
	compare.term = TERM - 1; /* it leads again */
	(void)ask(&compare, &members, 5 * PATIENCE, 500);
	answer(&compare, &members, 2, WRONG);
	(void)ask(&compare, &members, 6 * PATIENCE, 500);
	ck_assert_uint_eq(compare.split.index, 500);
}
END_TEST

static void
note_all(struct node_compare *compare, raft_index first, raft_index last)
{
	for (raft_index i = first; i <= last; i++) {
		const struct node_sample state = { .index = i, .hash = i };

		if (node_compare_wants(compare, i))
			node_compare_note(compare, &state);
	}
}

/* Under load the newest multiple is asked, as all have it. */
START_TEST(D_samples_reach_back_so_far)
{
	const raft_index last = NODE_SAMPLE_INTERVAL * NODE_SAMPLES_COUNT + 100;
	const struct node_sample state = { .index = last, .hash = last };
	static const struct {
		raft_index asked;
		bool known;
	} cases[] = {
		{ 0, false },
		{ last, true },
		{ last - 1, false },
		{ last + 1, false },
		{ last - last % NODE_SAMPLE_INTERVAL, true },
		{ 2 * NODE_SAMPLE_INTERVAL, true },
		{ NODE_SAMPLE_INTERVAL, false },
	};
	struct node_compare compare = { .asked_by = 1 };

	note_all(&compare, 1, last);
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		struct raft_message response = { .to = 1 };

		compare.asked_index = cases[i].asked;
		node_compare_answer(&compare, &state, &response);
		ck_assert_uint_eq(
		    response.state_index, cases[i].known ? cases[i].asked : 0);
		ck_assert_uint_eq(response.state_hash, response.state_index);
		/* Only whoever asked is told. */
		response = (struct raft_message){ .to = 2 };
		node_compare_answer(&compare, &state, &response);
		ck_assert_uint_eq(response.state_index, 0);
	}
}
END_TEST

/* What is agreed waits for a member that has not got there yet. */
START_TEST(D_a_member_behind_is_judged_when_it_gets_there)
{
	for (uint64_t hash = 150; hash <= 151; hash++) {
		struct node_compare compare = { .term = 0 };
		const struct node_sample state = { .index = 100, .hash = 100 };
		struct raft_message request = {
			.from = 1,
			.agreed_index = 150,
			.agreed_hash = hash,
		};

		node_compare_obey(&compare, &state, &request);
		/* The first is kept, or it would never be reached. */
		request.agreed_index = 300;
		node_compare_obey(&compare, &state, &request);
		note_all(&compare, 101, 149);
		ck_assert_uint_eq(compare.differs_at, 0);
		note_all(&compare, 150, 200);
		ck_assert_uint_eq(compare.differs_at, hash == 150 ? 0 : 150);
	}
}
END_TEST

/* ---- Clusters ---- */

/* Soundly sealed, but not what the entries made: it counts when the key is
 * written again. */
static void
change_silently(struct machine *machine, const char *key, const char *value)
{
	struct kv *kv = node_kv(machine->node);
	struct slice name = slice_from_text(key);
	struct buf record = { 0 };
	struct kv_version version;

	ck_assert_int_eq(kv_find(kv, name, &version), 0);
	version.item.value = slice_from_text(value);
	kv_seal_begin(&record);
	kv_version_encode(&record, &version);
	kv_seal_end(&record, name);
	ck_assert_int_eq(
	    store_put(kv->txn, KV_TABLE_KV, name, buf_slice(&record)), 0);
	buf_release(&record);
	machine->may_fail = true;
}

static void
put(struct machine *leader, const char *value)
{
	struct machine_put put;

	ck_assert_int_eq(machine_put(leader, &put, "key", value), 0);
	node_cluster_settle(leader->cluster);
	ck_assert_uint_eq(put.done, 1);
}

/* It has stopped, and its next start is with other data. */
static void
check_stopped(struct machine *machine)
{
	ck_assert_ptr_null(machine->node);
	ck_assert_int_eq(machine->error, ERR_CORRUPT);
	ck_assert_ptr_nonnull(strstr(machine->why, "state at entry "));
	ck_assert_ptr_nonnull(
	    strstr(machine->why, " differs from the majority's: "));
	ck_assert_int_eq(machine_start(machine), 0);
	ck_assert_uint_eq(machine_status(machine).data_generation, 1);
}

START_TEST(D_a_follower_that_differs_stops_within_three_heartbeats)
{
	struct node_cluster *cluster = node_cluster_new(3);
	struct machine *leader = node_cluster_elect(cluster);
	struct machine *follower = follower_of(leader);

	put(leader, "1");
	node_cluster_pass(cluster, RUN_SECOND);
	change_silently(follower, "key", "x");
	put(leader, "2");
	node_cluster_pass(cluster, 3 * RUN_SECOND / 10);
	check_stopped(follower);
	ck_assert_ptr_eq(node_cluster_leader(cluster), leader);
	put(leader, "3");
	node_cluster_pass(cluster, 2 * RUN_SECOND);
	run_check_same(cluster);
	node_cluster_free(cluster);
}
END_TEST

START_TEST(D_a_leader_that_differs_does_not_serve_on)
{
	struct node_cluster *cluster = node_cluster_new(3);
	struct machine *leader = node_cluster_elect(cluster);
	struct machine *next;

	put(leader, "1");
	node_cluster_pass(cluster, RUN_SECOND);
	change_silently(leader, "key", "x");
	put(leader, "2");
	node_cluster_pass(cluster, 3 * RUN_SECOND / 10);
	ck_assert_ptr_null(leader->node);
	next = node_cluster_wait_for_leader(cluster);
	put(next, "3");
	check_stopped(leader);
	node_cluster_pass(cluster, 2 * RUN_SECOND);
	run_check_same(cluster);
	node_cluster_free(cluster);
}
END_TEST

/* Under load no question is about the last entry: multiples decide. */
START_TEST(D_a_follower_that_differs_stops_under_load)
{
	struct node_cluster *cluster = node_cluster_new(3);
	struct machine *leader = node_cluster_elect(cluster);
	struct machine *follower = follower_of(leader);
	struct machine_put puts[8];
	unsigned rounds = 0;

	put(leader, "1");
	node_cluster_pass(cluster, RUN_SECOND);
	change_silently(follower, "key", "x");
	while (follower->node != NULL && rounds++ < 100) {
		for (unsigned i = 0; i < ARRAY_COUNT(puts); i++)
			ck_assert_int_eq(
			    machine_put(leader, &puts[i], "key", "2"), 0);
		node_cluster_settle(cluster);
	}
	ck_assert_uint_le(rounds, 64 / ARRAY_COUNT(puts) + 3);
	check_stopped(follower);
	put(leader, "3");
	node_cluster_pass(cluster, 2 * RUN_SECOND);
	run_check_same(cluster);
	node_cluster_free(cluster);
}
END_TEST

START_TEST(D_without_a_majority_there_is_an_alarm_alone)
{
	for (unsigned count = 2; count <= 3; count++) {
		struct node_cluster *cluster = node_cluster_new(count);
		struct machine *leader = node_cluster_elect(cluster);
		char value[2] = "a";

		put(leader, "1");
		node_cluster_pass(cluster, RUN_SECOND);
		for (unsigned i = 0; i < count; i++, value[0]++) {
			change_silently(&cluster->machine[i], "key", value);
			cluster->machine[i].may_fail = false;
		}
		put(leader, "2");
		node_cluster_pass(cluster, RUN_SECOND / 2);
		ck_assert_uint_eq(leader->splits, 0);
		node_cluster_pass(cluster, RUN_SECOND);
		put(leader, "3");
		node_cluster_pass(cluster, 3 * RUN_SECOND);
		ck_assert_uint_eq(leader->splits, 1);
		ck_assert_uint_eq(leader->split.a, leader->id);
		ck_assert_uint_ne(leader->split.b, leader->id);
		node_cluster_free(cluster);
	}
}
END_TEST

/* An append of the leader to `to`, which has not arrived yet. */
static struct node_packet *
catch_append(struct node_cluster *cluster, const struct machine *to)
{
	struct node_packet *packet;

	for (;;) {
		cluster->now += 10000;
		for (unsigned i = 0; i < cluster->count; i++)
			ck_assert_int_eq(
			    node_turn(cluster->machine[i].node, cluster->now),
			    0);
		while ((packet = node_cluster_next_packet(cluster)) != NULL) {
			if (packet->to == to &&
			    packet->message.kind == RAFT_APPEND_REQUEST)
				return packet;
			node_packet_free(packet);
		}
	}
}

/* The core takes appends of a term from its leader alone; here, of the present
 * term alone. */
START_TEST(D_a_leader_of_before_makes_nobody_stop)
{
	struct node_cluster *cluster = node_cluster_new(3);
	struct machine *leader = node_cluster_elect(cluster);
	struct machine *follower = leader;
	struct node_packet *packet;
	struct raft_message message;
	struct raft_message old;
	raft_index applied;

	leader->isolated = true;
	leader = node_cluster_wait_for_leader(cluster);
	ck_assert_ptr_ne(leader, follower);
	follower->isolated = false;
	put(leader, "1");
	node_cluster_pass(cluster, RUN_SECOND);
	applied = kv_applied_index(node_kv(follower->node));
	packet = catch_append(cluster, follower);
	message = packet->message;
	message.agreed_index = applied;
	message.agreed_hash = WRONG;
	old = message;
	old.term--;
	old.prev_term = 0;
	old.prev_index = 0;
	ck_assert_int_eq(
	    node_receive(follower->node, cluster->now, &old, NULL), 0);
	ck_assert_uint_eq(follower->node->compare.differs_at, 0);
	ck_assert_int_eq(
	    node_receive(follower->node, cluster->now, &message, NULL), 0);
	ck_assert_uint_eq(follower->node->compare.differs_at, applied);
	node_packet_free(packet);
	node_cluster_free(cluster);
}
END_TEST

/* What was kept of another state must not speak against the new one. */
START_TEST(D_an_installed_snapshot_begins_anew)
{
	struct node_cluster *cluster = node_cluster_new(3);
	struct machine *leader = node_cluster_elect(cluster);
	struct machine *follower = run_cut_off(leader, 200);
	struct node_compare *compare = &follower->node->compare;

	compare->ring[3] = (struct node_sample){
		.index = 3 * NODE_SAMPLE_INTERVAL,
		.hash = WRONG,
	};
	compare->awaited = (struct node_sample){
		.index = machine_status(leader).raft.last_index + 1,
		.hash = WRONG,
	};
	follower->isolated = false;
	node_cluster_pass(cluster, 3 * RUN_SECOND);
	ck_assert_uint_eq(machine_status(follower).snapshots_installed, 1);
	ck_assert_uint_eq(compare->ring[3].index, 0);
	put(leader, "1");
	node_cluster_pass(cluster, RUN_SECOND);
	run_check_same(cluster);
	node_cluster_free(cluster);
}
END_TEST

/* The disk fails in between: it stops all the same, and says so. */
START_TEST(D_a_generation_that_cannot_be_raised_is_a_fault)
{
	struct node_cluster *cluster = node_cluster_new(3);
	struct machine *leader = node_cluster_elect(cluster);
	struct machine *follower = follower_of(leader);

	put(leader, "1");
	node_cluster_pass(cluster, 2 * RUN_SECOND);
	follower->may_fail = true;
	follower->node->compare.differs_at = 2;
	follower->node->again = true;
	store_mem_fail_commit(follower->log_disk, 1, ERR_NO_SPACE);
	node_cluster_settle(cluster);
	ck_assert_ptr_null(follower->node);
	ck_assert_int_eq(follower->error, ERR_NO_SPACE);
	ck_assert_str_eq(follower->why, "log commit: no space left");
	node_cluster_free(cluster);
}
END_TEST

/* Nothing of a snapshot on its way is taken for the data of later. */
START_TEST(D_the_next_generation_is_empty)
{
	struct node_cluster *cluster = node_cluster_new(3);
	struct machine *leader = node_cluster_elect(cluster);
	struct machine *follower = follower_of(leader);

	put(leader, "1");
	node_cluster_pass(cluster, 2 * RUN_SECOND);
	follower->may_fail = true;
	follower->data_disks[1] = store_mem_disk_clone(follower->data_disks[0]);
	follower->node->compare.differs_at = 2;
	follower->node->again = true;
	node_cluster_settle(cluster);
	ck_assert_ptr_null(follower->data_disks[1]);
	check_stopped(follower);
	node_cluster_free(cluster);
}
END_TEST

Suite *
node_compare_suite(void)
{
	Suite *suite = suite_create("node_compare");
	TCase *rules = tcase_create("rules");
	TCase *clusters = tcase_create("clusters");

	tcase_add_test(rules, D_a_majority_of_the_voters_decides);
	tcase_add_test(rules, D_a_joint_membership_needs_both_majorities);
	tcase_add_test(rules, D_other_answers_do_not_count);
	tcase_add_test(rules, D_a_question_gives_way_in_time);
	tcase_add_test(rules, D_a_split_is_told_once_in_a_term);
	tcase_add_test(rules, D_samples_reach_back_so_far);
	tcase_add_test(rules, D_a_member_behind_is_judged_when_it_gets_there);
	suite_add_tcase(suite, rules);
	tcase_add_test(
	    clusters, D_a_follower_that_differs_stops_within_three_heartbeats);
	tcase_add_test(clusters, D_a_leader_that_differs_does_not_serve_on);
	tcase_add_test(clusters, D_a_follower_that_differs_stops_under_load);
	tcase_add_test(clusters, D_without_a_majority_there_is_an_alarm_alone);
	tcase_add_test(clusters, D_a_leader_of_before_makes_nobody_stop);
	tcase_add_test(clusters, D_an_installed_snapshot_begins_anew);
	tcase_add_test(
	    clusters, D_a_generation_that_cannot_be_raised_is_a_fault);
	tcase_add_test(clusters, D_the_next_generation_is_empty);
	suite_add_tcase(suite, clusters);
	return suite;
}
