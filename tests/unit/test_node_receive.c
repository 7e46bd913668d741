/* A snapshot's receiver: crashes, faults of its disks, and strange senders. */

#include "node/node_snapshot.h"
#include "tests/unit/node_runs.h"
#include "tests/unit/suites.h"

#define MISSED 100

/* What a carrier does to the receiver; reset by transfer_new. */
static struct {
	struct machine *receiver;
	raft_index old_applied;
	unsigned pieces_count;
	unsigned crash_at; /* this piece; 0: none */
	unsigned crashes;
	bool armed;          /* the fault is set */
	uint64_t operations; /* of the new data's disk, last */
	uint64_t fail_operation;
	uint64_t fail_commit;
	uint64_t seed;
	enum node_piece_kind fail_from; /* set behind such a piece */
	bool fails_log;                 /* the log's disk, or the new data's */
} plan;

static struct node_cluster *
transfer_new(void)
{
	struct node_cluster *cluster = node_cluster_new(3);
	struct machine *leader = node_cluster_elect(cluster);

	memset(&plan, 0, sizeof(plan));
	plan.receiver = run_cut_off(leader, MISSED);
	plan.old_applied = machine_status(plan.receiver).raft.applied_index;
	return cluster;
}

static struct node_piece
decode(struct slice bytes)
{
	struct node_piece piece;

	ck_assert_int_eq(node_piece_decode(bytes, &piece), 0);
	return piece;
}

/* Scenario G18: the old state or the new one, and its log with it. */
static void
check_whole(struct machine *machine)
{
	struct node_status status = machine_status(machine);
	char why[256];

	if (!node_check(machine->node, why, sizeof(why)))
		ck_abort_msg("%s", why);
	if (status.data_generation == 0)
		ck_assert_uint_eq(status.raft.applied_index, plan.old_applied);
	else
		run_check(machine, MISSED, 0);
	for (unsigned i = 0; i < MACHINE_GENERATIONS; i++)
		ck_assert(i == status.data_generation ||
			  machine->data_disks[i] == NULL);
}

static void
restart(struct machine *machine)
{
	if (machine->node != NULL)
		machine_stop(machine);
	if (machine_start(machine) != 0)
		ck_abort_msg("%s", machine->why);
	check_whole(machine);
}

static void
finish(struct node_cluster *cluster)
{
	cluster->carry = node_cluster_carry;
	plan.receiver->may_fail = false;
	node_cluster_pass(cluster, 4 * RUN_SECOND);
	run_check_same(cluster);
	run_check(plan.receiver, MISSED, 0);
	node_cluster_free(cluster);
}

/* ---- Crashes ---- */

static void
carry_and_crash(struct node_packet *packet)
{
	node_cluster_carry(packet);
	if (++plan.pieces_count != plan.crash_at)
		return;
	plan.crashes++;
	restart(plan.receiver);
}

START_TEST(a_crash_behind_any_piece_leaves_one_state_whole)
{
	unsigned crashes;

	for (unsigned i = 1;; i++) {
		struct node_cluster *cluster = transfer_new();

		plan.crash_at = i;
		cluster->carry = carry_and_crash;
		plan.receiver->isolated = false;
		node_cluster_pass(cluster, 2 * RUN_SECOND);
		crashes = plan.crashes;
		finish(cluster);
		if (crashes == 0)
			break;
		ck_assert_uint_lt(i, 1000);
	}
}
END_TEST

/* ---- Faults ---- */

static void
arm(void)
{
	struct machine *machine = plan.receiver;
	uint64_t generation = machine_status(machine).data_generation + 1;
	struct store_mem_disk *disk = plan.fails_log
					  ? machine->log_disk
					  : machine->data_disks[generation];

	plan.armed = true;
	store_mem_seed(disk, plan.seed);
	store_mem_fail_operation(disk, plan.fail_operation, ERR_IO);
	store_mem_fail_commit(disk, plan.fail_commit, ERR_IO);
}

static void
carry_and_arm(struct node_packet *packet)
{
	struct node_piece piece = decode(packet->piece);

	if (plan.fails_log && piece.kind == plan.fail_from && !plan.armed)
		arm();
	node_cluster_carry(packet);
	if (!plan.fails_log && piece.kind == plan.fail_from && !plan.armed)
		arm();
}

static void
disarm(void)
{
	store_mem_fail_operation(plan.receiver->log_disk, 0, 0);
	store_mem_fail_commit(plan.receiver->log_disk, 0, 0);
	for (unsigned i = 0; i < MACHINE_GENERATIONS; i++) {
		if (plan.receiver->data_disks[i] != NULL)
			store_mem_fail_operation(
			    plan.receiver->data_disks[i], 0, 0);
	}
}

/* Runs into the planned fault; false if it lies behind the end. */
static bool
run_into_fault(struct node_cluster *cluster)
{
	bool failed;

	cluster->carry = carry_and_arm;
	plan.receiver->may_fail = true;
	plan.receiver->isolated = false;
	node_cluster_pass(cluster, RUN_SECOND);
	failed = plan.receiver->node == NULL;
	disarm();
	if (failed)
		restart(plan.receiver);
	finish(cluster);
	return failed;
}

/* Operations of the new data store, from the offer on; in steps, as it is the
 * same ones for each piece. */
START_TEST(a_fault_of_the_new_data_leaves_the_old_state)
{
	bool failed = true;

	for (uint64_t n = 1; failed; n += n < 40 ? 1 : 9) {
		struct node_cluster *cluster = transfer_new();

		plan.fail_from = NODE_PIECE_OFFER;
		plan.fail_operation = n;
		failed = run_into_fault(cluster);
		ck_assert(failed || n > 40);
	}
}
END_TEST

START_TEST(a_failed_commit_of_the_new_data_leaves_the_old_state)
{
	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct node_cluster *cluster = transfer_new();

		plan.fail_from = NODE_PIECE_OFFER;
		plan.fail_commit = 1;
		plan.seed = seed;
		ck_assert(run_into_fault(cluster));
	}
}
END_TEST

START_TEST(a_fault_of_the_log_leaves_one_state_whole)
{
	bool failed = true;

	for (uint64_t n = 1; failed && n < 40; n++) {
		struct node_cluster *cluster = transfer_new();

		plan.fail_from = NODE_PIECE_END;
		plan.fails_log = true;
		plan.fail_operation = n;
		failed = run_into_fault(cluster);
		ck_assert(failed || n > 3);
	}
}
END_TEST

/* An entry reaches a follower, which does not hear that it is committed. */
static struct machine *
append_uncommitted(struct node_cluster *cluster, struct machine_put *write)
{
	struct machine *leader = node_cluster_elect(cluster);
	struct node_packet *packet;
	struct machine *to = NULL;

	ck_assert_int_eq(machine_put(leader, write, "key", "value"), 0);
	ck_assert_int_eq(node_turn(leader->node, cluster->now), 0);
	while ((packet = node_cluster_next_packet(cluster)) != NULL) {
		if (packet->message.entries_count == 1 && to == NULL) {
			to = packet->to;
			ck_assert_int_eq(node_receive(to->node, cluster->now,
					     &packet->message, packet->records),
			    0);
			ck_assert_int_eq(node_turn(to->node, cluster->now), 0);
		}
		node_packet_free(packet);
	}
	ck_assert_ptr_nonnull(to);
	return to;
}

/* Whether the log has what is offered can only the log tell. */
START_TEST(a_fault_of_the_log_at_an_offer_stops_the_node)
{
	struct node_cluster *cluster = node_cluster_new(3);
	struct machine_put write;
	struct machine *machine = append_uncommitted(cluster, &write);
	struct node_piece piece = { .kind = NODE_PIECE_OFFER };
	struct node_status status;
	struct buf answer = { 0 };
	struct buf offer = { 0 };

	machine->isolated = true;
	machine_stop(machine);
	ck_assert_int_eq(machine_start(machine), 0);
	status = machine_status(machine);
	ck_assert_uint_lt(status.raft.commit_index, status.raft.last_index);
	piece.id.index = status.raft.last_index;
	piece.id.term = status.raft.term;
	node_piece_begin(&offer, &piece);
	node_piece_end(&offer);
	store_mem_fail_operation(machine->log_disk, 1, ERR_IO);
	ck_assert_int_eq(node_receive_snapshot(machine->node, cluster->now,
			     machine->id % 3 + 1, buf_slice(&offer), &answer),
	    ERR_IO);
	ck_assert_ptr_nonnull(strstr(node_fault(machine->node), "log entry"));
	store_mem_fail_operation(machine->log_disk, 0, 0);
	buf_release(&offer);
	buf_release(&answer);
	node_cluster_free(cluster);
}
END_TEST

/* The seed decides whether the commit took place all the same. */
START_TEST(a_failed_commit_of_the_log_leaves_one_state_whole)
{
	for (uint64_t n = 1; n <= 2; n++) {
		for (uint64_t seed = 1; seed <= 4; seed++) {
			struct node_cluster *cluster = transfer_new();

			plan.fail_from = NODE_PIECE_END;
			plan.fails_log = true;
			plan.fail_commit = n;
			plan.seed = seed;
			ck_assert(run_into_fault(cluster) || n > 1);
		}
	}
}
END_TEST

/* ---- A full disk ---- */

static void
carry_to_a_full_disk(struct node_packet *packet)
{
	struct node_piece piece = decode(packet->piece);

	node_cluster_carry(packet);
	if (piece.kind == NODE_PIECE_OFFER)
		store_mem_set_capacity(
		    plan.receiver->data_disks[1], MISSED * 100);
}

START_TEST(a_full_disk_ends_the_transfer_and_not_the_node)
{
	struct node_cluster *cluster = transfer_new();
	struct machine *leader = node_cluster_leader(cluster);
	struct node_snapshot_status status;

	cluster->carry = carry_to_a_full_disk;
	plan.receiver->isolated = false;
	node_cluster_pass(cluster, RUN_SECOND / 2);
	node_get_snapshot(leader->node, plan.receiver->id, &status);
	ck_assert(!status.sending);
	ck_assert_int_eq(status.refused, ERR_NO_SPACE);
	check_whole(plan.receiver);
	ck_assert(!machine_status(plan.receiver).receiving_snapshot);
	cluster->carry = node_cluster_carry;
	node_cluster_pass(cluster, 3 * RUN_SECOND);
	node_get_snapshot(leader->node, plan.receiver->id, &status);
	ck_assert_int_eq(status.refused, 0);
	finish(cluster);
}
END_TEST

/* ---- Time ---- */

/* Its write, and now and then a commit, comes behind the answer. */
static void
carry_and_watch_the_disk(struct node_packet *packet)
{
	struct node_piece piece = decode(packet->piece);
	uint64_t before;

	if (piece.kind != NODE_PIECE_RECORDS) {
		node_cluster_carry(packet);
		return;
	}
	before = store_mem_operations_count(plan.receiver->data_disks[1]);
	node_cluster_carry(packet);
	ck_assert_uint_eq(
	    store_mem_operations_count(plan.receiver->data_disks[1]), before);
	/* The one before was written by the turn. */
	if (plan.pieces_count++ > 0)
		ck_assert_uint_gt(before, plan.operations);
	plan.operations = before;
}

START_TEST(a_piece_is_answered_before_it_is_written)
{
	struct node_cluster *cluster = transfer_new();

	cluster->carry = carry_and_watch_the_disk;
	plan.receiver->isolated = false;
	node_cluster_pass(cluster, RUN_SECOND);
	ck_assert_uint_gt(plan.pieces_count, 10);
	finish(cluster);
}
END_TEST

/* ---- Strange pieces ---- */

/* Sends a piece to the receiver by hand. */
static struct node_answer
ask(const struct node_piece *piece)
{
	struct machine *to = plan.receiver;
	struct node_answer answer;
	struct buf bytes = { 0 };
	struct buf reply = { 0 };

	node_piece_begin(&bytes, piece);
	buf_append_slice(&bytes, piece->records);
	node_piece_end(&bytes);
	ck_assert_int_eq(node_receive_snapshot(to->node, to->cluster->now,
			     to->id % 3 + 1, buf_slice(&bytes), &reply),
	    0);
	ck_assert_int_eq(node_answer_decode(buf_slice(&reply), &answer), 0);
	ck_assert(node_snapshot_id_equal(&answer.id, &piece->id));
	buf_release(&bytes);
	buf_release(&reply);
	return answer;
}

static struct node_piece
offer_at(raft_index index)
{
	return (struct node_piece){
		.kind = NODE_PIECE_OFFER,
		.id = { .index = index, .term = 1, .state_hash = index },
		.chain = 1,
		.revision = 1,
	};
}

/* Scenario G8. */
START_TEST(what_is_committed_here_is_not_wanted)
{
	struct node_cluster *cluster = transfer_new();
	struct node_piece offer = offer_at(plan.old_applied);

	ck_assert_int_eq(ask(&offer).kind, NODE_ANSWER_DONE);
	ck_assert(!machine_status(plan.receiver).receiving_snapshot);
	node_cluster_free(cluster);
}
END_TEST

/* As after a restart of the receiver. */
START_TEST(pieces_of_an_unknown_transfer_have_to_be_offered)
{
	struct node_cluster *cluster = transfer_new();
	struct node_piece piece = offer_at(1000);

	piece.kind = NODE_PIECE_RECORDS;
	piece.records = slice_from_text("?");
	ck_assert_int_eq(ask(&piece).kind, NODE_ANSWER_LATER);
	piece = offer_at(1000);
	piece.kind = NODE_PIECE_END;
	ck_assert_int_eq(ask(&piece).kind, NODE_ANSWER_LATER);
	piece = offer_at(1000);
	ck_assert_int_eq(ask(&piece).kind, NODE_ANSWER_GO_ON);
	piece = offer_at(1001);
	piece.kind = NODE_PIECE_END;
	ck_assert_int_eq(ask(&piece).kind, NODE_ANSWER_LATER);
	node_cluster_free(cluster);
}
END_TEST

/* Scenario G19: a gap. */
START_TEST(a_piece_from_elsewhere_is_told_the_position)
{
	struct node_cluster *cluster = transfer_new();
	struct node_piece piece = offer_at(1000);
	struct node_answer answer;

	ck_assert_int_eq(ask(&piece).kind, NODE_ANSWER_GO_ON);
	piece.kind = NODE_PIECE_RECORDS;
	piece.position.table = 1;
	piece.position.key_size = 3;
	answer = ask(&piece);
	ck_assert_int_eq(answer.kind, NODE_ANSWER_GO_ON);
	ck_assert_uint_eq(answer.position.key_size, 0);
	piece.kind = NODE_PIECE_END;
	ck_assert_int_eq(ask(&piece).kind, NODE_ANSWER_GO_ON);
	node_cluster_free(cluster);
}
END_TEST

START_TEST(records_that_are_none_end_the_transfer)
{
	struct node_cluster *cluster = transfer_new();
	struct node_piece piece = offer_at(1000);
	struct node_answer answer;

	ck_assert_int_eq(ask(&piece).kind, NODE_ANSWER_GO_ON);
	piece.kind = NODE_PIECE_RECORDS;
	piece.records = slice_from_text("?");
	answer = ask(&piece);
	ck_assert_int_eq(answer.kind, NODE_ANSWER_REFUSED);
	ck_assert_int_ne(answer.reason, 0);
	check_whole(plan.receiver);
	plan.receiver->isolated = false;
	finish(cluster);
}
END_TEST

/* Scenario G20; and two senders must not drive out each other. */
START_TEST(an_older_offer_waits_until_the_newer_is_silent)
{
	struct node_cluster *cluster = transfer_new();
	struct node_piece older = offer_at(1000);
	struct node_piece newer = offer_at(2000);

	ck_assert_int_eq(ask(&older).kind, NODE_ANSWER_GO_ON);
	ck_assert_int_eq(ask(&newer).kind, NODE_ANSWER_GO_ON);
	ck_assert_int_eq(ask(&older).kind, NODE_ANSWER_LATER);
	cluster->now += 2 * RUN_SECOND;
	ck_assert_int_eq(ask(&newer).kind, NODE_ANSWER_GO_ON);
	ck_assert_int_eq(ask(&older).kind, NODE_ANSWER_GO_ON);
	node_cluster_free(cluster);
}
END_TEST

/* The receiver gets each piece under another name than it has. */
static struct node_answer last_answer;
static uint64_t hash_change;
static uint64_t chain_change;

static void
carry_changed(struct node_packet *packet)
{
	struct machine *from = packet->from;
	struct node_piece piece = decode(packet->piece);
	struct node_answer answer;
	struct buf reply = { 0 };

	piece.id.state_hash += hash_change;
	piece.chain += chain_change;
	last_answer = ask(&piece);
	answer = last_answer;
	answer.id.state_hash -= hash_change;
	node_answer_encode(&reply, &answer);
	node_snapshot_answered(from->node, from->cluster->now,
	    packet->message.to, buf_slice(&reply));
	buf_release(&reply);
}

static void
check_refused(struct node_cluster *cluster, int reason)
{
	cluster->carry = carry_changed;
	if (plan.receiver->cluster == cluster)
		plan.receiver->isolated = false;
	else
		follower_of(node_cluster_leader(cluster))->isolated = false;
	node_cluster_pass(cluster, RUN_SECOND / 2);
	ck_assert_int_eq(last_answer.kind, NODE_ANSWER_REFUSED);
	ck_assert_int_eq(last_answer.reason, reason);
	check_whole(plan.receiver);
}

START_TEST(a_state_that_is_not_the_promised_one_is_refused)
{
	struct node_cluster *cluster = transfer_new();

	hash_change = 1;
	chain_change = 0;
	check_refused(cluster, ERR_CORRUPT);
	finish(cluster);
}
END_TEST

START_TEST(a_state_of_another_history_is_refused)
{
	struct node_cluster *cluster = transfer_new();

	hash_change = 0;
	chain_change = 1;
	check_refused(cluster, ERR_CORRUPT);
	finish(cluster);
}
END_TEST

static void
tune_foreign(struct node_params *params)
{
	memset(params->cluster_id, 0xff, sizeof(params->cluster_id));
}

/* Scenario G25. */
START_TEST(a_snapshot_of_another_cluster_is_refused)
{
	struct node_cluster *cluster = transfer_new();
	struct node_cluster *foreign = run_cluster_new(3, tune_foreign);

	plan.receiver->isolated = true;
	(void)run_cut_off(node_cluster_elect(foreign), 2 * MISSED);
	hash_change = 0;
	chain_change = 0;
	check_refused(foreign, ERR_MISMATCH);
	node_cluster_free(foreign);
	plan.receiver->isolated = false;
	finish(cluster);
}
END_TEST

/* It is complete, and older than what is committed here says it can be. */
START_TEST(a_snapshot_that_cannot_be_installed_is_not_filled_again)
{
	struct node_cluster *cluster = node_cluster_new(3);
	struct node_cluster *other = node_cluster_new(3);
	struct machine *leader = node_cluster_elect(cluster);

	for (unsigned i = 0; i < 3; i++) {
		ck_assert_int_eq(
		    node_transfer(leader->node, cluster->now, NULL), 0);
		node_cluster_pass(cluster, RUN_SECOND);
		leader = node_cluster_leader(cluster);
	}
	memset(&plan, 0, sizeof(plan));
	plan.receiver = run_cut_off(leader, MISSED);
	plan.old_applied = machine_status(plan.receiver).raft.applied_index;
	(void)run_cut_off(node_cluster_elect(other), 2 * MISSED);
	hash_change = 0;
	chain_change = 0;
	other->carry = carry_changed;
	follower_of(node_cluster_leader(other))->isolated = false;
	node_cluster_pass(other, RUN_SECOND / 2);
	ck_assert_int_eq(last_answer.kind, NODE_ANSWER_LATER);
	node_cluster_settle(cluster);
	node_cluster_pass(other, 3 * RUN_SECOND);
	ck_assert_int_eq(last_answer.kind, NODE_ANSWER_REFUSED);
	ck_assert_int_eq(last_answer.reason, ERR_MISMATCH);
	check_whole(plan.receiver);
	node_cluster_free(other);
	plan.receiver->isolated = false;
	finish(cluster);
}
END_TEST

START_TEST(a_stranger_to_the_cluster_takes_nothing)
{
	struct node_cluster *cluster = node_cluster_new(3);
	struct machine *machine = &cluster->machine[0];
	struct buf bytes = { 0 };
	struct buf reply = { 0 };
	struct node_piece offer = offer_at(1000);

	node_piece_begin(&bytes, &offer);
	node_piece_end(&bytes);
	ck_assert_int_eq(node_receive_snapshot(machine->node, cluster->now, 2,
			     buf_slice(&bytes), &reply),
	    ERR_AGAIN);
	buf_release(&bytes);
	buf_release(&reply);
	node_cluster_free(cluster);
}
END_TEST

Suite *
node_receive_suite(void)
{
	Suite *suite = suite_create("node_receive");
	TCase *tcase = tcase_create("node_receive");

	suite_add_tcase(suite, tcase);
	tcase_add_test(tcase, a_crash_behind_any_piece_leaves_one_state_whole);
	tcase_add_test(tcase, a_fault_of_the_new_data_leaves_the_old_state);
	tcase_add_test(
	    tcase, a_failed_commit_of_the_new_data_leaves_the_old_state);
	tcase_add_test(tcase, a_fault_of_the_log_leaves_one_state_whole);
	tcase_add_test(tcase, a_fault_of_the_log_at_an_offer_stops_the_node);
	tcase_add_test(
	    tcase, a_failed_commit_of_the_log_leaves_one_state_whole);
	tcase_add_test(tcase, a_full_disk_ends_the_transfer_and_not_the_node);
	tcase_add_test(tcase, a_piece_is_answered_before_it_is_written);
	tcase_add_test(tcase, what_is_committed_here_is_not_wanted);
	tcase_add_test(tcase, pieces_of_an_unknown_transfer_have_to_be_offered);
	tcase_add_test(tcase, a_piece_from_elsewhere_is_told_the_position);
	tcase_add_test(tcase, records_that_are_none_end_the_transfer);
	tcase_add_test(tcase, an_older_offer_waits_until_the_newer_is_silent);
	tcase_add_test(tcase, a_state_that_is_not_the_promised_one_is_refused);
	tcase_add_test(tcase, a_state_of_another_history_is_refused);
	tcase_add_test(tcase, a_snapshot_of_another_cluster_is_refused);
	tcase_add_test(
	    tcase, a_snapshot_that_cannot_be_installed_is_not_filled_again);
	tcase_add_test(tcase, a_stranger_to_the_cluster_takes_nothing);
	return suite;
}
