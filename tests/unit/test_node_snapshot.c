/* Snapshots between nodes, as whole clusters see them. */

#include "common/mem.h"
#include "node/node_snapshot.h"
#include "tests/unit/node_runs.h"
#include "tests/unit/suites.h"

#include <stdlib.h>

/* Writes that the leader does not keep for whoever missed them. */
#define MISSED 200

/* What the carriers below count. */
static unsigned pieces_count;
static raft_index first_index;

static struct node_piece
decode(const struct node_packet *packet)
{
	struct node_piece piece;

	ck_assert_int_eq(node_piece_decode(packet->piece, &piece), 0);
	return piece;
}

/* The link is gone before the piece gets through. */
static void
break_link(struct node_packet *packet)
{
	struct machine *from = packet->from;

	node_snapshot_answered(from->node, from->cluster->now,
	    packet->message.to, slice_of(NULL, 0));
}

static struct node_snapshot_status
sending_to(const struct machine *leader, const struct machine *follower)
{
	struct node_snapshot_status status;

	node_get_snapshot(leader->node, follower->id, &status);
	return status;
}

static void
check_came_back(struct machine *follower, unsigned snapshots)
{
	struct node_status status = machine_status(follower);

	run_check_same(follower->cluster);
	run_check(follower, MISSED, 0);
	ck_assert_uint_eq(status.snapshots_installed, snapshots);
	ck_assert_uint_eq(status.data_generation, snapshots);
	ck_assert(!status.receiving_snapshot);
}

START_TEST(a_follower_cut_off_past_compaction_comes_back)
{
	struct node_cluster *cluster = node_cluster_new(3);
	struct machine *leader = node_cluster_elect(cluster);
	struct machine *follower = run_cut_off(leader, MISSED);

	follower->isolated = false;
	node_cluster_pass(cluster, 3 * RUN_SECOND);
	check_came_back(follower, 1);
	ck_assert_uint_eq(
	    machine_status(node_cluster_leader(cluster)).snapshots_sent, 1);
	node_cluster_free(cluster);
}
END_TEST

/* What was installed is what the disk holds, with the log that fits it. */
START_TEST(an_installed_snapshot_outlives_a_restart)
{
	struct node_cluster *cluster = node_cluster_new(3);
	struct machine *leader = node_cluster_elect(cluster);
	struct machine *follower = run_cut_off(leader, MISSED);

	follower->isolated = false;
	node_cluster_pass(cluster, 3 * RUN_SECOND);
	machine_stop(follower);
	ck_assert_int_eq(machine_start(follower), 0);
	run_check(follower, MISSED, 0);
	ck_assert_uint_eq(machine_status(follower).data_generation, 1);
	ck_assert_ptr_null(follower->data_disks[0]);
	run_write(node_cluster_leader(cluster), 10, 1);
	node_cluster_pass(cluster, RUN_SECOND);
	run_check_same(cluster);
	node_cluster_free(cluster);
}
END_TEST

START_TEST(a_second_snapshot_takes_the_next_generation)
{
	struct node_cluster *cluster = node_cluster_new(3);
	struct machine *leader = node_cluster_elect(cluster);
	struct machine *follower = run_cut_off(leader, MISSED);

	follower->isolated = false;
	node_cluster_pass(cluster, 3 * RUN_SECOND);
	follower->isolated = true;
	run_write(node_cluster_leader(cluster), MISSED, 0);
	node_cluster_pass(cluster, 2 * RUN_SECOND);
	follower->isolated = false;
	node_cluster_pass(cluster, 3 * RUN_SECOND);
	check_came_back(follower, 2);
	node_cluster_free(cluster);
}
END_TEST

static void
add_member(struct machine *leader, struct machine *joiner)
{
	struct node_change change = { .kind = NODE_ADD };
	struct node_params params = machine_params(joiner);
	struct machine_put put = { .write = { .done = machine_put_done } };
	struct node_hello hello;
	char why[256];

	node_get_hello(joiner->node, machine_status(leader).id, &hello);
	memcpy(change.member.name, params.name, sizeof(params.name));
	memcpy(change.member.address, params.address, sizeof(params.address));
	memcpy(change.member.directory, hello.directory, NODE_NONCE_SIZE);
	if (node_change_members(leader->node, leader->cluster->now, &change,
		&put.write, why, sizeof(why)) != 0)
		ck_abort_msg("%s", why);
	node_cluster_pass(leader->cluster, 5 * RUN_SECOND);
	ck_assert_uint_eq(put.done, 1);
}

/* Scenario G27: nothing of the log's beginning is left, nobody writes. */
START_TEST(an_empty_joiner_gets_a_snapshot_and_votes)
{
	struct node_cluster *cluster = node_cluster_new(3);
	struct machine *leader;
	struct machine *joiner;

	cluster->dials = true;
	leader = node_cluster_wait_for_leader(cluster);
	run_write(leader, MISSED, 0);
	node_cluster_pass(cluster, 2 * RUN_SECOND);
	ck_assert_uint_gt(machine_status(leader).raft.compacted_index, 0);
	joiner = node_cluster_join(cluster);
	add_member(leader, joiner);
	ck_assert_int_eq(machine_state(joiner), NODE_MEMBER);
	ck_assert_int_eq(node_get_role(joiner->node, machine_status(joiner).id),
	    RAFT_MEMBER_VOTER);
	check_came_back(joiner, 1);
	node_cluster_free(cluster);
}
END_TEST

/* ---- Links ---- */

/* No more than this many at a time, then the link breaks. */
#define PIECES_PER_LINK 10

static void
carry_on_short_links(struct node_packet *packet)
{
	if (++pieces_count % PIECES_PER_LINK == 0)
		break_link(packet);
	else
		node_cluster_carry(packet);
}

/* Scenario G22: it never begins from zero. */
START_TEST(a_link_that_breaks_again_and_again_is_enough)
{
	struct node_cluster *cluster = node_cluster_new(3);
	struct machine *leader = node_cluster_elect(cluster);
	struct machine *follower = run_cut_off(leader, MISSED);
	const struct node_params params = machine_params(leader);
	unsigned needed = MISSED * RUN_VALUE_SIZE / params.snapshot_piece_bytes;

	pieces_count = 0;
	cluster->carry = carry_on_short_links;
	follower->isolated = false;
	node_cluster_pass(cluster, 5 * RUN_SECOND);
	check_came_back(follower, 1);
	ck_assert_uint_ge(pieces_count, needed);
	/* A link brings all but the one that breaks it and the offer. */
	ck_assert_uint_le(pieces_count,
	    needed + needed / (PIECES_PER_LINK - 2) * 2 + PIECES_PER_LINK);
	node_cluster_free(cluster);
}
END_TEST

/* The piece arrives, its answer does not. */
static void
carry_without_every_third_answer(struct node_packet *packet)
{
	struct machine *to = packet->to;
	struct buf answer = { 0 };

	if (++pieces_count % 3 != 0) {
		node_cluster_carry(packet);
		return;
	}
	ck_assert_int_eq(node_receive_snapshot(to->node, to->cluster->now,
			     packet->from->id, packet->piece, &answer),
	    0);
	buf_release(&answer);
	break_link(packet);
}

START_TEST(lost_answers_are_no_lost_pieces)
{
	struct node_cluster *cluster = node_cluster_new(3);
	struct machine *leader = node_cluster_elect(cluster);
	struct machine *follower = run_cut_off(leader, MISSED);

	pieces_count = 0;
	cluster->carry = carry_without_every_third_answer;
	follower->isolated = false;
	node_cluster_pass(cluster, 10 * RUN_SECOND);
	check_came_back(follower, 1);
	node_cluster_free(cluster);
}
END_TEST

static struct slice kept_piece;

/* Each piece comes, then the one before it, then it comes again. */
static void
carry_in_disorder(struct node_packet *packet)
{
	struct machine *to = packet->to;
	raft_usec now = to->cluster->now;
	struct buf answer = { 0 };

	ck_assert_int_eq(node_receive_snapshot(to->node, now, packet->from->id,
			     packet->piece, &answer),
	    0);
	if (kept_piece.size != 0)
		ck_assert_int_eq(node_receive_snapshot(to->node, now,
				     packet->from->id, kept_piece, &answer),
		    0);
	buf_release(&answer);
	free((void *)(uintptr_t)kept_piece.data);
	kept_piece = slice_of(mem_copy(packet->piece.data, packet->piece.size),
	    packet->piece.size);
	node_cluster_carry(packet);
}

/* Scenario G19. */
START_TEST(pieces_twice_and_in_disorder_change_nothing)
{
	struct node_cluster *cluster = node_cluster_new(3);
	struct machine *leader = node_cluster_elect(cluster);
	struct machine *follower = run_cut_off(leader, MISSED);

	cluster->carry = carry_in_disorder;
	follower->isolated = false;
	node_cluster_pass(cluster, 5 * RUN_SECOND);
	check_came_back(follower, 1);
	free((void *)(uintptr_t)kept_piece.data);
	kept_piece = slice_of(NULL, 0);
	node_cluster_free(cluster);
}
END_TEST

/* Every third piece is damaged on its way, each at another bit. */
static void
carry_with_damage(struct node_packet *packet)
{
	uint8_t *bytes = (uint8_t *)(uintptr_t)packet->piece.data;
	struct machine *to = packet->to;
	struct buf answer = { 0 };
	size_t bit = pieces_count * 7919 % (packet->piece.size * 8);

	if (++pieces_count % 3 != 0) {
		node_cluster_carry(packet);
		return;
	}
	bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	ck_assert_int_eq(node_receive_snapshot(to->node, to->cluster->now,
			     packet->from->id, packet->piece, &answer),
	    ERR_INVALID);
	ck_assert_uint_eq(answer.size, 0);
	break_link(packet);
}

/* Scenario G35. */
START_TEST(damaged_pieces_are_sent_again)
{
	struct node_cluster *cluster = node_cluster_new(3);
	struct machine *leader = node_cluster_elect(cluster);
	struct machine *follower = run_cut_off(leader, MISSED);

	pieces_count = 0;
	cluster->carry = carry_with_damage;
	follower->isolated = false;
	node_cluster_pass(cluster, 20 * RUN_SECOND);
	check_came_back(follower, 1);
	node_cluster_free(cluster);
}
END_TEST

/* ---- Time ---- */

/* About 4 s for what was missed. */
static void
tune_slow(struct node_params *params)
{
	params->snapshot_rate = MISSED * RUN_VALUE_SIZE / 4;
}

START_TEST(the_rate_is_kept_and_writes_go_on)
{
	struct node_cluster *cluster = run_cluster_new(3, tune_slow);
	struct machine *leader = node_cluster_elect(cluster);
	struct machine *follower = run_cut_off(leader, MISSED);

	follower->isolated = false;
	for (unsigned i = 0; i < 30; i++) {
		node_cluster_pass(cluster, RUN_SECOND / 10);
		run_write(leader, 10, i);
	}
	ck_assert_uint_eq(machine_status(follower).snapshots_installed, 0);
	ck_assert(sending_to(leader, follower).sending);
	node_cluster_pass(cluster, 4 * RUN_SECOND);
	/* What was written meanwhile was kept for it: one was enough. */
	run_check(follower, 10, 29);
	run_check_same(cluster);
	ck_assert_uint_eq(machine_status(follower).snapshots_installed, 1);
	ck_assert(!sending_to(leader, follower).sending);
	node_cluster_free(cluster);
}
END_TEST

/* Scenario G29: 300 KB were written meanwhile, so twice that is kept. */
START_TEST(a_slow_transfer_makes_the_log_longer)
{
	struct node_cluster *cluster = run_cluster_new(3, tune_slow);
	struct machine *leader = node_cluster_elect(cluster);
	struct machine *follower = run_cut_off(leader, MISSED);

	follower->isolated = false;
	for (unsigned i = 0; i < 30; i++) {
		node_cluster_pass(cluster, RUN_SECOND / 10);
		run_write(leader, 10, i);
	}
	node_cluster_pass(cluster, 4 * RUN_SECOND);
	follower->isolated = true;
	run_write(leader, 500, 0);
	node_cluster_pass(cluster, 2 * RUN_SECOND);
	follower->isolated = false;
	node_cluster_pass(cluster, 4 * RUN_SECOND);
	run_check_same(cluster);
	ck_assert_uint_eq(machine_status(follower).snapshots_installed, 1);
	node_cluster_free(cluster);
}
END_TEST

/* Scenario G28. */
START_TEST(a_follower_a_little_behind_needs_no_snapshot)
{
	struct node_cluster *cluster = node_cluster_new(3);
	struct machine *leader = node_cluster_elect(cluster);
	struct machine *follower = follower_of(leader);

	run_write(leader, MISSED, 0);
	follower->isolated = true;
	run_write(leader, 50, 1);
	node_cluster_pass(cluster, 2 * RUN_SECOND);
	ck_assert_uint_gt(machine_status(leader).raft.compacted_index, 0);
	follower->isolated = false;
	node_cluster_pass(cluster, 2 * RUN_SECOND);
	run_check_same(cluster);
	ck_assert_uint_eq(machine_status(follower).snapshots_installed, 0);
	node_cluster_free(cluster);
}
END_TEST

/* It lacks more than the log ever keeps. */
START_TEST(the_log_is_bounded_while_a_member_is_away)
{
	struct node_cluster *cluster = node_cluster_new(3);
	struct machine *leader = node_cluster_elect(cluster);
	const struct node_params params = machine_params(leader);

	follower_of(leader)->isolated = true;
	for (unsigned i = 0; i < 20; i++) {
		run_write(leader, MISSED, i);
		node_cluster_pass(cluster, RUN_SECOND);
	}
	/* The cut itself lags behind by a bounded number of entries. */
	ck_assert_uint_lt(machine_status(leader).log_bytes,
	    params.trailing_bytes_min + 4 * MISSED * RUN_VALUE_SIZE);
	node_cluster_free(cluster);
}
END_TEST

/* Nothing comes back, as from a link that hangs. */
static void
carry_nothing(struct node_packet *packet)
{
	struct node_piece piece = decode(packet);

	if (pieces_count++ == 0)
		first_index = piece.id.index;
}

/* Scenarios G5 and G33. */
START_TEST(a_pinned_state_without_progress_is_let_go)
{
	struct node_cluster *cluster = node_cluster_new(3);
	struct machine *leader = node_cluster_elect(cluster);
	struct machine *follower = run_cut_off(leader, MISSED);
	const raft_usec age_max = machine_params(leader).snapshot_age_max;

	pieces_count = 0;
	cluster->carry = carry_nothing;
	follower->isolated = false;
	node_cluster_pass(cluster, age_max / 2);
	ck_assert_uint_eq(pieces_count, 1);
	run_write(leader, 10, 0);
	node_cluster_pass(cluster, age_max);
	/* Once more, with the state of then. */
	ck_assert_uint_eq(pieces_count, 2);
	ck_assert_uint_gt(sending_to(leader, follower).index, first_index);
	node_cluster_pass(cluster, age_max);
	/* The core asks again, after a while. */
	ck_assert_uint_eq(pieces_count, 3);
	cluster->carry = node_cluster_carry;
	node_cluster_pass(cluster, 2 * age_max);
	check_came_back(follower, 1);
	node_cluster_free(cluster);
}
END_TEST

/* Scenario G26: nobody else waits for the one. */
START_TEST(a_transfer_that_hangs_holds_up_nobody)
{
	struct node_cluster *cluster = node_cluster_new(3);
	struct machine *leader = node_cluster_elect(cluster);
	struct machine_put put;

	(void)run_cut_off(leader, MISSED);
	pieces_count = 0;
	cluster->carry = carry_nothing;
	follower_of(leader)->isolated = false;
	node_cluster_pass(cluster, RUN_SECOND);
	ck_assert_uint_eq(pieces_count, 1);
	ck_assert_int_eq(machine_put(leader, &put, "key", "value"), 0);
	node_cluster_settle(cluster);
	ck_assert_uint_eq(put.done, 1);
	ck_assert_ptr_eq(node_cluster_leader(cluster), leader);
	node_cluster_free(cluster);
}
END_TEST

/* ---- Leaders ---- */

/*
 * Scenario G17. It has the same state: its own entries need the follower to
 * be committed.
 */
START_TEST(another_leader_goes_on_where_the_first_was)
{
	struct node_cluster *cluster = run_cluster_new(3, tune_slow);
	struct machine *leader = node_cluster_elect(cluster);
	struct machine *follower = run_cut_off(leader, MISSED);
	struct machine *next;

	follower->isolated = false;
	node_cluster_pass(cluster, 2 * RUN_SECOND);
	ck_assert(sending_to(leader, follower).sending);
	ck_assert(machine_status(follower).receiving_snapshot);
	leader->isolated = true;
	next = node_cluster_wait_for_leader(cluster);
	node_cluster_pass(cluster, 10 * RUN_SECOND);
	next = node_cluster_leader(cluster);
	ck_assert_ptr_ne(next, leader);
	ck_assert(!sending_to(leader, follower).sending);
	ck_assert_uint_eq(machine_status(next).snapshots_sent, 1);
	leader->isolated = false;
	node_cluster_pass(cluster, 2 * RUN_SECOND);
	check_came_back(follower, 1);
	node_cluster_free(cluster);
}
END_TEST

/* Only the sender knows it, and so begins with an offer. */
START_TEST(a_restarted_sender_goes_on_where_the_receiver_is)
{
	struct node_cluster *cluster = run_cluster_new(3, tune_slow);
	struct machine *leader = node_cluster_elect(cluster);
	struct machine *follower = run_cut_off(leader, MISSED);

	follower->isolated = false;
	node_cluster_pass(cluster, 2 * RUN_SECOND);
	ck_assert(machine_status(follower).receiving_snapshot);
	machine_stop(leader);
	run_start(leader, tune_slow);
	node_cluster_pass(cluster, 15 * RUN_SECOND);
	check_came_back(follower, 1);
	node_cluster_free(cluster);
}
END_TEST

static void
add_tests(TCase *tcase)
{
	tcase_add_test(tcase, a_follower_cut_off_past_compaction_comes_back);
	tcase_add_test(tcase, an_installed_snapshot_outlives_a_restart);
	tcase_add_test(tcase, a_second_snapshot_takes_the_next_generation);
	tcase_add_test(tcase, an_empty_joiner_gets_a_snapshot_and_votes);
	tcase_add_test(tcase, a_link_that_breaks_again_and_again_is_enough);
	tcase_add_test(tcase, lost_answers_are_no_lost_pieces);
	tcase_add_test(tcase, pieces_twice_and_in_disorder_change_nothing);
	tcase_add_test(tcase, damaged_pieces_are_sent_again);
	tcase_add_test(tcase, the_rate_is_kept_and_writes_go_on);
	tcase_add_test(tcase, a_slow_transfer_makes_the_log_longer);
	tcase_add_test(tcase, a_follower_a_little_behind_needs_no_snapshot);
	tcase_add_test(tcase, the_log_is_bounded_while_a_member_is_away);
	tcase_add_test(tcase, a_pinned_state_without_progress_is_let_go);
	tcase_add_test(tcase, a_transfer_that_hangs_holds_up_nobody);
	tcase_add_test(tcase, another_leader_goes_on_where_the_first_was);
	tcase_add_test(tcase, a_restarted_sender_goes_on_where_the_receiver_is);
}

Suite *
node_snapshot_suite(void)
{
	Suite *suite = suite_create("node_snapshot");
	TCase *tcase = tcase_create("node_snapshot");

	suite_add_tcase(suite, tcase);
	add_tests(tcase);
	return suite;
}
