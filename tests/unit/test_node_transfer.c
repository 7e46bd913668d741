/* What transfers of snapshots may cost the sender: disk, checkpoints, tries. */

#include "node/node_snapshot.h"
#include "tests/unit/node_runs.h"
#include "tests/unit/suites.h"

#include <stdio.h>

#define MISSED 200

/* What the carriers below saw. */
static struct {
	unsigned offers;
	unsigned records;
	raft_usec offered_at[64];
	raft_index first_index;
	raft_index last_index;
} seen;

static void
note_offer(const struct node_packet *packet)
{
	struct node_piece piece;

	ck_assert_int_eq(node_piece_decode(packet->piece, &piece), 0);
	if (piece.kind != NODE_PIECE_OFFER)
		return;
	ck_assert_uint_lt(seen.offers, 64);
	seen.offered_at[seen.offers++] = packet->from->cluster->now;
	if (seen.first_index == 0)
		seen.first_index = piece.id.index;
	seen.last_index = piece.id.index;
}

static void
carry_and_note(struct node_packet *packet)
{
	note_offer(packet);
	node_cluster_carry(packet);
}

/* As from a receiver whose disk is full. */
static void
carry_to_one_that_refuses(struct node_packet *packet)
{
	struct node_answer answer = { .kind = NODE_ANSWER_REFUSED,
		.reason = ERR_NO_SPACE };
	struct node_piece piece;
	struct buf bytes = { 0 };

	note_offer(packet);
	ck_assert_int_eq(node_piece_decode(packet->piece, &piece), 0);
	answer.id = piece.id;
	node_answer_encode(&bytes, &answer);
	node_snapshot_answered(packet->from->node, packet->from->cluster->now,
	    packet->message.to, buf_slice(&bytes));
	buf_release(&bytes);
}

static bool
is_sending(const struct machine *leader, const struct machine *follower)
{
	struct node_snapshot_status status;

	node_get_snapshot(leader->node, follower->id, &status);
	return status.sending;
}

static void
tune_nothing(struct node_params *params)
{
	(void)params;
}

/* A follower of the new cluster that lacks what its leader has cut. */
static struct machine *
cut_off(run_tune_fn *tune)
{
	struct node_cluster *cluster = run_cluster_new(3, tune);

	memset(&seen, 0, sizeof(seen));
	cluster->carry = carry_and_note;
	return run_cut_off(node_cluster_elect(cluster), MISSED);
}

static void
check_came_back(struct machine *follower)
{
	run_check_same(follower->cluster);
	ck_assert_uint_eq(machine_status(follower).snapshots_installed, 1);
	ck_assert(
	    !is_sending(node_cluster_leader(follower->cluster), follower));
}

/* ---- Checkpoints ---- */

/* What is written in between is not in a checkpoint for long. */
static void
tune_rare_checkpoints(struct node_params *params)
{
	params->checkpoint_interval = 10 * RUN_SECOND;
	params->checkpoint_bytes = 1 << 16;
}

START_TEST(the_last_checkpoint_is_good_enough)
{
	struct machine *follower = cut_off(tune_rare_checkpoints);
	struct machine *leader = node_cluster_leader(follower->cluster);
	unsigned checkpoints;

	run_write(leader, 1, 1);
	checkpoints = leader->checkpoints;
	follower->isolated = false;
	node_cluster_pass(follower->cluster, 3 * RUN_SECOND);
	ck_assert_uint_eq(leader->checkpoints, checkpoints);
	check_came_back(follower);
	run_check(follower, 1, 1);
	node_cluster_free(follower->cluster);
}
END_TEST

/* Scenario G7: whoever is silent would only hold the state of today. */
START_TEST(a_silent_member_is_sent_nothing)
{
	struct machine *follower = cut_off(tune_nothing);
	struct machine *leader = node_cluster_leader(follower->cluster);
	unsigned checkpoints;

	/* What was written is in a checkpoint. */
	checkpoints = leader->checkpoints;
	node_cluster_pass(follower->cluster, 60 * RUN_SECOND);
	ck_assert_uint_eq(seen.offers, 0);
	ck_assert(!is_sending(leader, follower));
	ck_assert_uint_eq(leader->checkpoints, checkpoints);
	follower->isolated = false;
	node_cluster_pass(follower->cluster, 3 * RUN_SECOND);
	check_came_back(follower);
	node_cluster_free(follower->cluster);
}
END_TEST

/* ---- Tries ---- */

/* Each rest is twice the one before, up to a minute. */
START_TEST(one_that_refuses_is_asked_ever_less_often)
{
	struct machine *follower = cut_off(tune_rare_checkpoints);
	struct node_cluster *cluster = follower->cluster;
	struct machine *leader = node_cluster_leader(cluster);
	unsigned checkpoints = leader->checkpoints;

	cluster->carry = carry_to_one_that_refuses;
	follower->isolated = false;
	for (unsigned i = 0; i < 300; i++) {
		run_write(leader, 1, i);
		node_cluster_pass(cluster, RUN_SECOND);
	}
	/* At 0, 1, 3, 7, 15, 31, 63, 123, 183, 243 s, or a little later. */
	ck_assert_uint_ge(seen.offers, 9);
	ck_assert_uint_le(seen.offers, 10);
	for (unsigned i = 1; i < seen.offers; i++) {
		raft_usec rest = seen.offered_at[i] - seen.offered_at[i - 1];
		raft_usec least = MIN((raft_usec)RUN_SECOND << (i - 1),
		    (raft_usec)60 * RUN_SECOND);

		ck_assert_uint_ge(rest, least);
		ck_assert_uint_le(rest, least + RUN_SECOND / 2);
	}
	/* One in ten to fifteen seconds, as without a snapshot. */
	ck_assert_uint_le(leader->checkpoints - checkpoints, 31);
	cluster->carry = carry_and_note;
	node_cluster_pass(cluster, 61 * RUN_SECOND);
	check_came_back(follower);
	node_cluster_free(cluster);
}
END_TEST

/* What failed before one arrived is forgotten. */
START_TEST(the_rest_begins_anew_behind_one_that_arrived)
{
	struct machine *follower = cut_off(tune_nothing);
	struct node_cluster *cluster = follower->cluster;
	struct machine *leader = node_cluster_leader(cluster);

	cluster->carry = carry_to_one_that_refuses;
	follower->isolated = false;
	node_cluster_pass(cluster, 10 * RUN_SECOND);
	cluster->carry = carry_and_note;
	node_cluster_pass(cluster, 10 * RUN_SECOND);
	check_came_back(follower);
	follower->isolated = true;
	run_write(leader, MISSED, 1);
	node_cluster_pass(cluster, 2 * RUN_SECOND);
	memset(&seen, 0, sizeof(seen));
	cluster->carry = carry_to_one_that_refuses;
	follower->isolated = false;
	node_cluster_pass(cluster, 5 * RUN_SECOND);
	/* At 0, 1 and 3 s. */
	ck_assert_uint_eq(seen.offers, 3);
	node_cluster_free(cluster);
}
END_TEST

START_TEST(a_leader_that_falls_forgets_who_refused)
{
	struct machine *follower = cut_off(tune_nothing);
	struct node_cluster *cluster = follower->cluster;
	struct machine *leader = node_cluster_leader(cluster);

	cluster->carry = carry_to_one_that_refuses;
	follower->isolated = false;
	node_cluster_pass(cluster, 20 * RUN_SECOND);
	cluster->carry = carry_and_note;
	leader->isolated = true;
	/* The next one has not been refused yet. */
	node_cluster_pass(cluster, 6 * RUN_SECOND);
	ck_assert_ptr_ne(node_cluster_leader(cluster), leader);
	leader->isolated = false;
	node_cluster_pass(cluster, 3 * RUN_SECOND);
	check_came_back(follower);
	node_cluster_free(cluster);
}
END_TEST

/* ---- The data store ---- */

/* About a minute for what was missed. */
static void
tune_slow(struct node_params *params)
{
	params->snapshot_rate = MISSED * RUN_VALUE_SIZE / 60;
	params->snapshot_age_max = 30 * RUN_SECOND;
}

static void
write_more(struct machine *leader, unsigned count)
{
	static unsigned number;
	char key[32];
	char value[RUN_VALUE_SIZE + 1];

	memset(value, 'v', RUN_VALUE_SIZE);
	value[RUN_VALUE_SIZE] = '\0';
	for (unsigned i = 0; i < count; i++) {
		struct machine_put put;

		snprintf(key, sizeof(key), "more%08u", number++);
		ck_assert_int_eq(machine_put(leader, &put, key, value), 0);
		node_cluster_settle(leader->cluster);
		node_write_cancel(&put.write);
	}
	node_cluster_pass(leader->cluster, RUN_SECOND);
}

/*
 * Scenario G33. The transfer makes progress, and is let go all the same when
 * the file is three quarters full; the next has half of the rest; then there
 * is a rest.
 */
START_TEST(a_pinned_state_does_not_let_the_file_fill)
{
	struct machine *follower = cut_off(tune_slow);
	struct node_cluster *cluster = follower->cluster;
	struct machine *leader = node_cluster_leader(cluster);
	const uint64_t capacity = 3 * MISSED * RUN_VALUE_SIZE;

	store_mem_set_capacity(leader->data_disks[0], capacity);
	follower->isolated = false;
	node_cluster_pass(cluster, 2 * RUN_SECOND);
	ck_assert_uint_eq(seen.offers, 1);
	write_more(leader, MISSED);
	ck_assert_uint_eq(seen.offers, 1);
	write_more(leader, MISSED / 2);
	ck_assert_uint_eq(seen.offers, 2);
	ck_assert_uint_gt(seen.last_index, seen.first_index);
	ck_assert(is_sending(leader, follower));
	write_more(leader, MISSED / 3);
	ck_assert(!is_sending(leader, follower));
	ck_assert_uint_eq(seen.offers, 2);
	/* There is room again. */
	store_mem_set_capacity(leader->data_disks[0], UINT64_MAX);
	node_cluster_pass(cluster, 300 * (raft_usec)RUN_SECOND);
	ck_assert_uint_ge(seen.offers, 3);
	ck_assert_uint_le(seen.offers, 4); /* with the one behind the end */
	check_came_back(follower);
	node_cluster_free(cluster);
}
END_TEST

/* ---- Time ---- */

static uint64_t
count_sent(const struct node_packet *packet)
{
	struct node_snapshot_status status;

	node_get_snapshot(packet->from->node, packet->message.to, &status);
	return status.pieces;
}

static void
carry_and_look_for_the_next(struct node_packet *packet)
{
	struct node_piece piece;
	uint64_t sent = count_sent(packet);

	note_offer(packet);
	ck_assert_int_eq(node_piece_decode(packet->piece, &piece), 0);
	node_cluster_carry(packet);
	if (piece.kind == NODE_PIECE_RECORDS) {
		ck_assert_uint_eq(count_sent(packet), sent + 1);
		seen.records++;
	}
}

/* No turn comes in between, which may have a commit in it. */
START_TEST(the_next_piece_leaves_with_the_answer)
{
	struct machine *follower = cut_off(tune_nothing);

	follower->cluster->carry = carry_and_look_for_the_next;
	follower->isolated = false;
	node_cluster_pass(follower->cluster, 3 * RUN_SECOND);
	ck_assert_uint_gt(seen.records, 10);
	check_came_back(follower);
	node_cluster_free(follower->cluster);
}
END_TEST

/* Scenario G21: the receiver was slow, not the link: nothing is sent twice. */
static void
carry_all_but_the_end_s_answer(struct node_packet *packet)
{
	struct machine *from = packet->from;
	struct machine *to = packet->to;
	struct node_piece piece;
	struct buf answer = { 0 };

	note_offer(packet);
	ck_assert_int_eq(node_piece_decode(packet->piece, &piece), 0);
	if (piece.kind != NODE_PIECE_END) {
		node_cluster_carry(packet);
		return;
	}
	ck_assert_int_eq(node_receive_snapshot(to->node, to->cluster->now,
			     from->id, packet->piece, &answer),
	    0);
	buf_release(&answer);
	node_snapshot_answered(from->node, from->cluster->now,
	    packet->message.to, slice_of(NULL, 0));
}

START_TEST(an_install_that_outlasts_the_link_is_not_begun_anew)
{
	struct machine *follower = cut_off(tune_nothing);

	follower->cluster->carry = carry_all_but_the_end_s_answer;
	follower->isolated = false;
	node_cluster_pass(follower->cluster, 3 * RUN_SECOND);
	ck_assert_uint_eq(seen.offers, 2);
	check_came_back(follower);
	node_cluster_free(follower->cluster);
}
END_TEST

/* ---- Order ---- */

static enum node_answer_kind
offer_to(struct machine *machine, raft_index index, raft_term term)
{
	struct node_piece piece = { .kind = NODE_PIECE_OFFER,
		.id = { index, term, 77 } };
	struct node_answer answer;
	struct buf bytes = { 0 };
	struct buf reply = { 0 };

	node_piece_begin(&bytes, &piece);
	node_piece_end(&bytes);
	ck_assert_int_eq(
	    node_receive_snapshot(machine->node, machine->cluster->now,
		machine->id % 3 + 1, buf_slice(&bytes), &reply),
	    0);
	ck_assert_int_eq(node_answer_decode(buf_slice(&reply), &answer), 0);
	buf_release(&bytes);
	buf_release(&reply);
	return answer.kind;
}

/* Scenario G31: newer is the one of the higher index, as a number. */
START_TEST(newer_is_the_one_of_the_higher_index)
{
	struct node_cluster *cluster = node_cluster_new(3);
	struct machine *machine = follower_of(node_cluster_elect(cluster));

	ck_assert_int_eq(offer_to(machine, 999, 2), NODE_ANSWER_GO_ON);
	ck_assert_int_eq(offer_to(machine, 998, 3), NODE_ANSWER_LATER);
	ck_assert_int_eq(offer_to(machine, 99, 9), NODE_ANSWER_LATER);
	ck_assert_int_eq(offer_to(machine, 1000, 1), NODE_ANSWER_GO_ON);
	ck_assert_int_eq(offer_to(machine, 999, 2), NODE_ANSWER_LATER);
	ck_assert_int_eq(offer_to(machine, 1000, 1), NODE_ANSWER_GO_ON);
	node_cluster_free(cluster);
}
END_TEST

Suite *
node_transfer_suite(void)
{
	Suite *suite = suite_create("node_transfer");
	TCase *tcase = tcase_create("node_transfer");

	suite_add_tcase(suite, tcase);
	tcase_add_test(tcase, the_last_checkpoint_is_good_enough);
	tcase_add_test(tcase, a_silent_member_is_sent_nothing);
	tcase_add_test(tcase, one_that_refuses_is_asked_ever_less_often);
	tcase_add_test(tcase, the_rest_begins_anew_behind_one_that_arrived);
	tcase_add_test(tcase, a_leader_that_falls_forgets_who_refused);
	tcase_add_test(tcase, a_pinned_state_does_not_let_the_file_fill);
	tcase_add_test(tcase, the_next_piece_leaves_with_the_answer);
	tcase_add_test(
	    tcase, an_install_that_outlasts_the_link_is_not_begun_anew);
	tcase_add_test(tcase, newer_is_the_one_of_the_higher_index);
	return suite;
}
