/* Members whose files are damaged become whole again without an operator. */

#include "common/codec.h"
#include "node/node_log.h"
#include "tests/unit/node_cluster.h"
#include "tests/unit/suites.h"

#include <stdio.h>
#include <stdlib.h>

/* Enough that the front of the log is cut. */
#define MANY_KEYS 700
#define FEW_KEYS  20
/* Behind the last checkpoint. */
#define LAST_KEYS 5

struct fixture {
	struct node_cluster *cluster;
	struct machine *leader;
	struct machine *damaged; /* a follower, stopped */
	struct machine *other;
	unsigned keys;
	raft_index applied; /* by its data on disk */
	raft_index last;    /* of its log */
};

static struct node_status
status_of(const struct machine *machine)
{
	struct node_status status;

	node_get_status(machine->node, machine->cluster->now, &status);
	return status;
}

static void
put_keys(struct fixture *f, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct machine_put put;
		char key[16];

		snprintf(key, sizeof(key), "k%u", f->keys++);
		ck_assert_int_eq(machine_put(f->leader, &put, key, key), 0);
		node_cluster_settle(f->cluster);
		ck_assert_uint_eq(put.done, 1);
	}
}

static void
check_keys(const struct fixture *f, struct machine *machine)
{
	for (unsigned i = 0; i < f->keys; i++) {
		char key[16];

		snprintf(key, sizeof(key), "k%u", i);
		machine_check_value(machine, key, key);
	}
}

static void
set_up(struct fixture *f, unsigned keys)
{
	struct kv_stats kv;
	struct node_status status;

	*f = (struct fixture){ .cluster = node_cluster_new(3) };
	f->leader = node_cluster_elect(f->cluster);
	f->damaged = &f->cluster->machine[f->leader->id % 3];
	f->other = &f->cluster->machine[(f->leader->id + 1) % 3];
	put_keys(f, keys);
	node_cluster_pass(f->cluster, 2000000);
	put_keys(f, LAST_KEYS);
	node_cluster_pass(f->cluster, 200000);
	status = status_of(f->damaged);
	kv_get_stats(node_kv(f->damaged->node), &kv);
	f->applied = kv.checkpoint_index;
	f->last = status.raft.durable_index;
	ck_assert_uint_ge(f->applied, keys);
	ck_assert_uint_le(f->applied + LAST_KEYS, f->last);
	machine_stop(f->damaged);
}

static void
tear_down(struct fixture *f)
{
	node_cluster_free(f->cluster);
}

static void
expect_whole(const struct fixture *f)
{
	ck_assert(!status_of(f->damaged).repairing);
	check_keys(f, f->damaged);
	ck_assert_uint_eq(kv_applied_index(node_kv(f->damaged->node)),
	    kv_applied_index(node_kv(f->leader->node)));
	ck_assert_uint_eq(kv_state_hash(node_kv(f->damaged->node)),
	    kv_state_hash(node_kv(f->leader->node)));
}

/* Nothing is left of it at the next start. */
static void
expect_no_repair_again(struct fixture *f)
{
	machine_stop(f->damaged);
	ck_assert_int_eq(machine_start(f->damaged), 0);
	ck_assert_ptr_null(node_get_repair(f->damaged->node, NODE_REPAIR_LOG));
	ck_assert_ptr_null(node_get_repair(f->damaged->node, NODE_REPAIR_DATA));
	ck_assert(!status_of(f->damaged).repairing);
}

/* ---- Damage ---- */

static void
flip_entry(struct fixture *f, raft_index index)
{
	uint8_t key[8];

	codec_store_u64(key, index);
	ck_assert(store_mem_flip_bit(f->damaged->log_disk, NODE_TABLE_LOG,
	    slice_of(key, sizeof(key)), 333));
}

static void
remove_entry(struct fixture *f, raft_index index)
{
	struct store *store = store_mem_open(f->damaged->log_disk);
	struct store_txn *txn;
	uint8_t key[8];

	codec_store_u64(key, index);
	ck_assert_int_eq(store_begin(store, true, &txn), 0);
	ck_assert_int_eq(
	    store_delete(txn, NODE_TABLE_LOG, slice_of(key, sizeof(key))), 0);
	ck_assert_int_eq(store_commit(txn), 0);
	store_close(store);
}

static void
damage_entry_in_state(struct fixture *f)
{
	flip_entry(f, f->applied - 3);
}

static void
damage_last_entry_in_state(struct fixture *f)
{
	flip_entry(f, f->applied);
}

static void
damage_entry_behind_state(struct fixture *f)
{
	flip_entry(f, f->applied + 1);
}

static void
damage_last_entry(struct fixture *f)
{
	flip_entry(f, f->last);
}

static void
damage_on_both_sides(struct fixture *f)
{
	flip_entry(f, f->applied - 3);
	flip_entry(f, f->applied + 2);
}

static void
remove_tail(struct fixture *f)
{
	for (raft_index i = f->last; i > f->applied + 2; i--)
		remove_entry(f, i);
}

static void
damage_data_record(struct fixture *f)
{
	ck_assert(store_mem_flip_bit(
	    f->damaged->data_disks[0], 1, slice_from_text("k7"), 77));
}

/* As the file's structure is found bad when it is opened. */
static void
damage_data_structure(struct fixture *f)
{
	store_mem_fail_operation(f->damaged->data_disks[0], 2, ERR_CORRUPT);
}

static void
remove_data(struct fixture *f)
{
	store_mem_disk_free(f->damaged->data_disks[0]);
	f->damaged->data_disks[0] = NULL;
}

static void
damage_data_and_entry(struct fixture *f)
{
	damage_data_record(f);
	flip_entry(f, f->applied - 3);
}

/* Neither the entry that it stands at nor the next can be read. */
static void
damage_what_proves_the_data(struct fixture *f)
{
	flip_entry(f, f->applied);
	flip_entry(f, f->applied + 1);
}

struct damage {
	const char *name;
	void (*inflict)(struct fixture *f);
	unsigned keys;
	const char *log;  /* what is said of the log; NULL: nothing */
	const char *data; /* and of the data */
	bool lost_tail;
	bool lost_state;
};

static const struct damage damages[] = {
	{ "entry that the state holds", damage_entry_in_state, FEW_KEYS,
	    "begins behind", NULL, false, false },
	{ "entry that the state holds, front cut", damage_entry_in_state,
	    MANY_KEYS, "begins behind", NULL, false, false },
	{ "entry that the state stands at", damage_last_entry_in_state,
	    FEW_KEYS, "begins behind", NULL, false, false },
	{ "entry behind the state", damage_entry_behind_state, FEW_KEYS,
	    "is cut there", NULL, true, false },
	{ "entry behind the state, front cut", damage_entry_behind_state,
	    MANY_KEYS, "is cut there", NULL, true, false },
	{ "last entry", damage_last_entry, FEW_KEYS, "is cut there", NULL, true,
	    false },
	{ "entries on both sides", damage_on_both_sides, FEW_KEYS,
	    "is cut there", NULL, true, false },
	{ "tail missing", remove_tail, MANY_KEYS, "is cut there", NULL, true,
	    false },
	{ "data record, whole log", damage_data_record, FEW_KEYS, NULL,
	    "from the log", false, false },
	{ "data record, front cut", damage_data_record, MANY_KEYS, NULL,
	    "from a snapshot", false, true },
	{ "data structure, whole log", damage_data_structure, FEW_KEYS, NULL,
	    "from the log", false, false },
	{ "data structure, front cut", damage_data_structure, MANY_KEYS, NULL,
	    "from a snapshot", false, true },
	{ "data missing, whole log", remove_data, FEW_KEYS, NULL, NULL, false,
	    false },
	{ "data missing, front cut", remove_data, MANY_KEYS, NULL,
	    "from a snapshot", false, true },
	{ "data and entry", damage_data_and_entry, FEW_KEYS, "is cut there",
	    "from the log", true, false },
	{ "data and entry, front cut", damage_data_and_entry, MANY_KEYS,
	    "is cut there", "from a snapshot", true, true },
	{ "data that nothing proves", damage_what_proves_the_data, FEW_KEYS,
	    "is cut there", "from the log", true, false },
};

static void
expect_text(const struct fixture *f, enum node_repair repair, const char *text)
{
	const char *told = node_get_repair(f->damaged->node, repair);

	if (text == NULL) {
		ck_assert_ptr_null(told);
		return;
	}
	ck_assert_ptr_nonnull(told);
	ck_assert_ptr_nonnull(strstr(told, text));
}

static void
inflict(struct fixture *f, const struct damage *damage)
{
	struct node_status status;

	set_up(f, damage->keys);
	damage->inflict(f);
	ck_assert_int_eq(machine_start(f->damaged), 0);
	expect_text(f, NODE_REPAIR_LOG, damage->log);
	expect_text(f, NODE_REPAIR_DATA, damage->data);
	status = status_of(f->damaged);
	ck_assert_int_eq(status.raft.state_lost, damage->lost_state);
	ck_assert_uint_eq(
	    status.raft.repair_until, damage->lost_tail ? f->last : 0);
	ck_assert_int_eq(
	    status.repairing, damage->lost_tail || damage->lost_state);
}

START_TEST(member_is_whole_again)
{
	const struct damage *damage = &damages[_i];
	struct fixture f;

	inflict(&f, damage);
	node_cluster_pass(f.cluster, 5000000);
	ck_assert_ptr_eq(node_cluster_leader(f.cluster), f.leader);
	expect_whole(&f);
	put_keys(&f, 3);
	node_cluster_pass(f.cluster, 1000000);
	expect_whole(&f);
	expect_no_repair_again(&f);
	tear_down(&f);
}
END_TEST

/*
 * What it acknowledged and lost may be committed with its acknowledgement: it
 * votes for whoever has all of that, and is not elected itself.
 */
START_TEST(damaged_member_votes_and_is_not_elected)
{
	const struct damage *damage = &damages[_i];
	struct machine *elected;
	struct fixture f;

	inflict(&f, damage);
	/* Nothing it was sent arrives. */
	machine_stop(f.leader);
	node_cluster_pass(f.cluster, 10000000);
	elected = node_cluster_leader(f.cluster);
	if (damage->lost_tail || damage->lost_state)
		ck_assert_ptr_eq(elected, f.other);
	else
		ck_assert_ptr_nonnull(elected);
	ck_assert_int_eq(machine_start(f.leader), 0);
	node_cluster_pass(f.cluster, 10000000);
	f.leader = node_cluster_leader(f.cluster);
	ck_assert_ptr_nonnull(f.leader);
	expect_whole(&f);
	tear_down(&f);
}
END_TEST

/* A restart in the middle of it changes nothing. */
START_TEST(repair_goes_on_after_a_restart)
{
	const struct damage *damage = &damages[_i];
	struct node_status status;
	struct fixture f;

	inflict(&f, damage);
	machine_stop(f.damaged);
	ck_assert_int_eq(machine_start(f.damaged), 0);
	status = status_of(f.damaged);
	ck_assert_int_eq(status.raft.state_lost, damage->lost_state);
	ck_assert_uint_eq(
	    status.raft.repair_until, damage->lost_tail ? f.last : 0);
	node_cluster_pass(f.cluster, 5000000);
	expect_whole(&f);
	tear_down(&f);
}
END_TEST

/* D3: a disk that fails says nothing of what is on it. */
START_TEST(failing_disk_repairs_nothing)
{
	static const int errors[] = { ERR_IO, ERR_NO_SPACE, ERR_VERSION };
	struct store_mem_disk *log;
	struct node_status status;
	struct fixture f;

	set_up(&f, FEW_KEYS);
	log = f.damaged->log_disk;
	for (unsigned i = 0; i < ARRAY_COUNT(errors); i++) {
		for (uint64_t n = 1; n <= 20; n++) {
			store_mem_fail_operation(log, n, errors[i]);
			ck_assert_int_eq(machine_start(f.damaged), errors[i]);
			store_mem_fail_operation(log, 0, 0);
			store_mem_fail_operation(
			    f.damaged->data_disks[0], n, errors[i]);
			ck_assert_int_eq(machine_start(f.damaged), errors[i]);
			store_mem_fail_operation(
			    f.damaged->data_disks[0], 0, 0);
		}
	}
	ck_assert_int_eq(machine_start(f.damaged), 0);
	status = status_of(f.damaged);
	ck_assert(!status.repairing);
	ck_assert_uint_eq(status.raft.last_index, f.last);
	ck_assert_uint_eq(status.raft.compacted_index, 0);
	ck_assert_uint_eq(status.data_generation, 0);
	tear_down(&f);
}
END_TEST

/* ---- The only voter ---- */

static void
set_up_lonely(struct fixture *f, unsigned keys)
{
	struct kv_stats kv;
	struct node_status status;

	*f = (struct fixture){ .cluster = node_cluster_new(1) };
	f->leader = node_cluster_elect(f->cluster);
	f->damaged = f->leader;
	put_keys(f, keys);
	node_cluster_pass(f->cluster, 2000000);
	put_keys(f, LAST_KEYS);
	status = status_of(f->damaged);
	kv_get_stats(node_kv(f->damaged->node), &kv);
	f->applied = kv.checkpoint_index;
	f->last = status.raft.durable_index;
	machine_stop(f->damaged);
}

START_TEST(only_voter_guesses_nothing)
{
	static const struct {
		void (*inflict)(struct fixture *f);
		unsigned keys;
		int error;
	} rows[] = {
		{ damage_entry_in_state, FEW_KEYS, 0 },
		{ damage_entry_behind_state, FEW_KEYS, ERR_STOPPED },
		{ damage_last_entry, FEW_KEYS, ERR_STOPPED },
		{ remove_tail, FEW_KEYS, ERR_STOPPED },
		{ damage_data_record, FEW_KEYS, 0 },
		{ damage_data_record, MANY_KEYS, ERR_STOPPED },
		{ remove_data, FEW_KEYS, 0 },
		{ remove_data, MANY_KEYS, ERR_STOPPED },
		{ damage_data_and_entry, FEW_KEYS, ERR_STOPPED },
	};
	struct fixture f;

	set_up_lonely(&f, rows[_i].keys);
	rows[_i].inflict(&f);
	ck_assert_int_eq(machine_start(f.damaged), rows[_i].error);
	if (rows[_i].error == 0) {
		node_cluster_pass(f.cluster, 3000000);
		check_keys(&f, f.damaged);
	} else {
		ck_assert_ptr_nonnull(strstr(f.damaged->why, "the only voter"));
		machine_wipe(f.damaged);
		ck_assert_int_eq(machine_start(f.damaged), 0);
	}
	tear_down(&f);
}
END_TEST

/* ---- Memory that is lost ---- */

static void
damage_hard_state(struct fixture *f)
{
	ck_assert(store_mem_flip_bit(f->damaged->log_disk, NODE_TABLE_STATE,
	    slice_from_text("hard"), 99));
}

static void
damage_identity(struct fixture *f)
{
	ck_assert(store_mem_flip_bit(f->damaged->log_disk, NODE_TABLE_IDENTITY,
	    slice_from_text("identity"), 99));
}

static void
damage_log_structure(struct fixture *f)
{
	store_mem_fail_operation(f->damaged->log_disk, 9, ERR_CORRUPT);
}

/* An old copy of the log, under data of today. */
static void
remove_log(struct fixture *f)
{
	store_mem_disk_free(f->damaged->log_disk);
	f->damaged->log_disk = store_mem_disk_new(NODE_LOG_TABLES_COUNT);
}

static void (*const forgettings[])(struct fixture *f) = {
	damage_hard_state,
	damage_identity,
	damage_log_structure,
	remove_log,
};

/* As the server does: what there was is set aside. */
static void
begin_again(struct machine *machine)
{
	machine_wipe(machine);
	machine->damaged = true;
	ck_assert_int_eq(machine_start(machine), 0);
	ck_assert_int_eq(machine_state(machine), NODE_JOINING);
	ck_assert(status_of(machine).repairing);
}

static unsigned
count_voters(const struct machine *machine)
{
	const struct node_members *members = node_get_members(machine->node);
	unsigned voters = 0;

	for (unsigned i = 0; i < members->count; i++)
		voters += node_get_role(machine->node, members->member[i].id) ==
			  RAFT_MEMBER_VOTER;
	return voters;
}

static void
expect_renewed(const struct fixture *f, raft_id old_id)
{
	const char *name = f->damaged->id == 1   ? "n1"
			   : f->damaged->id == 2 ? "n2"
						 : "n3";
	const struct node_member *member =
	    node_find_member_name(f->leader->node, name);

	ck_assert_ptr_nonnull(member);
	ck_assert_uint_ne(member->id, old_id);
	ck_assert_str_eq(member->address, f->damaged->address);
	ck_assert_uint_eq(status_of(f->damaged).id, member->id);
	ck_assert_uint_eq(node_get_members(f->leader->node)->count, 3);
	ck_assert_uint_eq(count_voters(f->leader), 3);
	expect_whole(f);
}

START_TEST(member_begins_again_in_its_place)
{
	struct fixture f;

	set_up(&f, FEW_KEYS);
	f.cluster->dials = true;
	forgettings[_i](&f);
	ck_assert_int_eq(machine_start(f.damaged), ERR_CORRUPT);
	begin_again(f.damaged);
	node_cluster_pass(f.cluster, 20000000);
	expect_renewed(&f, f.damaged->id);
	/* Again: its new directory is no more worth than the first. */
	machine_stop(f.damaged);
	begin_again(f.damaged);
	put_keys(&f, 2);
	node_cluster_pass(f.cluster, 20000000);
	expect_renewed(&f, f.damaged->id);
	tear_down(&f);
}
END_TEST

/* The entry that renewed a member is cut, and the state that noted it is lost:
 * the log still tells who the members are, before a snapshot does. */
START_TEST(members_are_known_without_a_state)
{
	const struct node_member *renewed;
	struct fixture f;

	set_up(&f, MANY_KEYS);
	f.cluster->dials = true;
	begin_again(f.damaged);
	node_cluster_pass(f.cluster, 20000000);
	expect_renewed(&f, f.damaged->id);
	put_keys(&f, MANY_KEYS);
	node_cluster_pass(f.cluster, 2000000);
	renewed = node_find_member(f.leader->node, status_of(f.damaged).id);
	ck_assert_ptr_nonnull(renewed);
	machine_stop(f.other);
	ck_assert(store_mem_flip_bit(
	    f.other->data_disks[0], 1, slice_from_text("k7"), 77));
	ck_assert_int_eq(machine_start(f.other), 0);
	ck_assert(status_of(f.other).raft.state_lost);
	ck_assert_ptr_nonnull(node_find_member(f.other->node, renewed->id));
	ck_assert_uint_eq(count_voters(f.other), 3);
	node_cluster_pass(f.cluster, 5000000);
	ck_assert(!status_of(f.other).repairing);
	check_keys(&f, f.other);
	/* And these two are a majority. */
	machine_stop(f.leader);
	node_cluster_pass(f.cluster, 10000000);
	ck_assert_ptr_nonnull(node_cluster_leader(f.cluster));
	tear_down(&f);
}
END_TEST

/* Restarts while it waits change nothing: one directory is one renewal. */
START_TEST(renewal_of_the_same_directory_is_one)
{
	struct node_status before;
	struct fixture f;

	set_up(&f, FEW_KEYS);
	f.cluster->dials = true;
	begin_again(f.damaged);
	machine_stop(f.damaged);
	ck_assert_int_eq(machine_start(f.damaged), 0);
	node_cluster_pass(f.cluster, 20000000);
	expect_renewed(&f, f.damaged->id);
	before = status_of(f.damaged);
	machine_stop(f.damaged);
	ck_assert_int_eq(machine_start(f.damaged), 0);
	node_cluster_pass(f.cluster, 5000000);
	ck_assert_uint_eq(status_of(f.damaged).id, before.id);
	expect_renewed(&f, f.damaged->id);
	tear_down(&f);
}
END_TEST

/*
 * As a learner, it has not yet what the former directory had: until it votes by
 * what is committed it is repairing, over a restart and without the others.
 */
START_TEST(begun_again_is_repairing_until_it_votes)
{
	struct fixture f;

	set_up(&f, FEW_KEYS);
	f.cluster->dials = true;
	begin_again(f.damaged);
	for (int i = 0; i < 20000; i++) {
		if (machine_state(f.damaged) == NODE_MEMBER)
			break;
		ck_assert(status_of(f.damaged).begun_again);
		node_cluster_pass(f.cluster, 1000);
	}
	ck_assert_int_eq(machine_state(f.damaged), NODE_MEMBER);
	ck_assert(status_of(f.damaged).begun_again);
	ck_assert(status_of(f.damaged).repairing);
	machine_stop(f.leader);
	machine_stop(f.other);
	machine_stop(f.damaged);
	ck_assert_int_eq(machine_start(f.damaged), 0);
	node_cluster_pass(f.cluster, 5000000);
	ck_assert_int_eq(machine_state(f.damaged), NODE_MEMBER);
	ck_assert(status_of(f.damaged).begun_again);
	ck_assert(status_of(f.damaged).repairing);
	ck_assert_int_eq(machine_start(f.leader), 0);
	ck_assert_int_eq(machine_start(f.other), 0);
	node_cluster_pass(f.cluster, 20000000);
	ck_assert_uint_eq(count_voters(f.damaged), 3);
	ck_assert(!status_of(f.damaged).begun_again);
	expect_whole(&f);
	/* The files were not removed in time: it is whole all the same. */
	machine_stop(f.damaged);
	ck_assert_int_eq(machine_start(f.damaged), 0);
	node_cluster_pass(f.cluster, 2000000);
	ck_assert(!status_of(f.damaged).begun_again);
	tear_down(&f);
}
END_TEST

/* D17: whoever lost its directory otherwise does not come back by itself. */
START_TEST(wiped_member_is_not_renewed)
{
	struct fixture f;

	set_up(&f, FEW_KEYS);
	f.cluster->dials = true;
	machine_wipe(f.damaged);
	ck_assert_int_eq(machine_start(f.damaged), 0);
	node_cluster_pass(f.cluster, 20000000);
	ck_assert_int_ne(machine_state(f.damaged), NODE_MEMBER);
	ck_assert_ptr_nonnull(node_find_member(f.leader->node, f.damaged->id));
	f.damaged->joins = true;
	machine_stop(f.damaged);
	machine_wipe(f.damaged);
	ck_assert_int_eq(machine_start(f.damaged), 0);
	node_cluster_pass(f.cluster, 20000000);
	ck_assert_int_eq(machine_state(f.damaged), NODE_JOINING);
	tear_down(&f);
}
END_TEST

/* Without the others' majority nothing is changed. */
START_TEST(renewal_waits_for_a_quorum_without_it)
{
	struct fixture f;

	set_up(&f, FEW_KEYS);
	f.cluster->dials = true;
	machine_stop(f.other);
	node_cluster_pass(f.cluster, 3000000);
	begin_again(f.damaged);
	node_cluster_pass(f.cluster, 10000000);
	ck_assert_int_eq(machine_state(f.damaged), NODE_JOINING);
	ck_assert_ptr_nonnull(node_find_member(f.leader->node, f.damaged->id));
	ck_assert_int_eq(machine_start(f.other), 0);
	node_cluster_pass(f.cluster, 30000000);
	f.leader = node_cluster_leader(f.cluster);
	ck_assert_ptr_nonnull(f.leader);
	expect_renewed(&f, f.damaged->id);
	tear_down(&f);
}
END_TEST

Suite *
node_repair_suite(void)
{
	Suite *suite = suite_create("node_repair");
	TCase *tcase = tcase_create("repair");

	tcase_add_loop_test(
	    tcase, member_is_whole_again, 0, ARRAY_COUNT(damages));
	tcase_add_loop_test(tcase, damaged_member_votes_and_is_not_elected, 0,
	    ARRAY_COUNT(damages));
	tcase_add_loop_test(
	    tcase, repair_goes_on_after_a_restart, 0, ARRAY_COUNT(damages));
	tcase_add_test(tcase, failing_disk_repairs_nothing);
	tcase_add_loop_test(tcase, only_voter_guesses_nothing, 0, 9);
	tcase_add_loop_test(tcase, member_begins_again_in_its_place, 0,
	    ARRAY_COUNT(forgettings));
	tcase_add_test(tcase, members_are_known_without_a_state);
	tcase_add_test(tcase, renewal_of_the_same_directory_is_one);
	tcase_add_test(tcase, begun_again_is_repairing_until_it_votes);
	tcase_add_test(tcase, wiped_member_is_not_renewed);
	tcase_add_test(tcase, renewal_waits_for_a_quorum_without_it);
	suite_add_tcase(suite, tcase);
	return suite;
}
