/*
 * A member whose disks fail at each operation, or have lost or damaged any one
 * record: at its start, while it runs, and when an operator looks into its
 * directory. It stops with a reason, and is in the cluster again afterwards.
 */

#include "node/node_recover.h"
#include "tests/unit/node_runs.h"
#include "tests/unit/suites.h"

#include <stdlib.h>

enum { DISK_LOG, DISK_DATA, DISKS_COUNT };

static const unsigned tables_count[DISKS_COUNT] = { NODE_LOG_TABLES_COUNT,
	KV_TABLES_COUNT };

static struct node_cluster *cluster;
static struct machine *victim; /* a follower, stopped */
static struct store_mem_disk *saved[DISKS_COUNT];

static struct store_mem_disk **
disk_of(unsigned disk)
{
	return disk == DISK_LOG ? &victim->log_disk : &victim->data_disks[0];
}

static void
set_up(void)
{
	struct machine *leader;

	cluster = node_cluster_new(3);
	leader = node_cluster_elect(cluster);
	run_write(leader, 3, 0);
	node_cluster_pass(cluster, 2 * RUN_SECOND);
	/* Not in a checkpoint yet. */
	run_write(leader, 2, 1);
	victim = follower_of(leader);
	machine_stop(victim);
	for (unsigned i = 0; i < DISKS_COUNT; i++)
		saved[i] = store_mem_disk_clone(*disk_of(i));
}

static void
tear_down(void)
{
	if (victim->node == NULL)
		ck_assert_int_eq(machine_start(victim), 0);
	node_cluster_free(cluster);
	for (unsigned i = 0; i < DISKS_COUNT; i++)
		store_mem_disk_free(saved[i]);
}

/* The stopped one has its disks as they were, for looking only: the others
 * would know it for an old copy. */
static void
restore(void)
{
	for (unsigned i = 0; i < DISKS_COUNT; i++) {
		store_mem_disk_free(*disk_of(i));
		*disk_of(i) = store_mem_disk_clone(saved[i]);
	}
}

static void
expect_member_again(void)
{
	ck_assert_msg(machine_start(victim) == 0, "%s", victim->why);
	node_cluster_pass(cluster, 3 * RUN_SECOND);
	run_check_same(cluster);
	machine_stop(victim);
}

/* ---- Starting ---- */

/* False: it needs fewer operations. */
static bool
fail_start(unsigned disk, uint64_t n)
{
	int error;

	victim->why[0] = '\0';
	store_mem_fail_operation(*disk_of(disk), n, ERR_IO);
	error = machine_start(victim);
	store_mem_fail_operation(*disk_of(disk), 0, 0);
	if (error == 0) {
		machine_stop(victim);
		return false;
	}
	ck_assert_msg(error == ERR_IO, "%s: %s", err_text(error), victim->why);
	ck_assert_msg(victim->why[0] != '\0', "operation %u", (unsigned)n);
	expect_member_again();
	return true;
}

START_TEST(start_with_any_operation_failing_says_why)
{
	uint64_t n = 1;

	while (fail_start((unsigned)_i, n))
		n++;
	ck_assert_uint_gt(n, 10);
}
END_TEST

/* ---- Running ---- */

static bool
fail_running(unsigned disk, uint64_t n)
{
	struct machine *leader = node_cluster_wait_for_leader(cluster);
	bool failed;

	ck_assert_int_eq(machine_start(victim), 0);
	node_cluster_pass(cluster, RUN_SECOND / 10);
	victim->may_fail = true;
	victim->why[0] = '\0';
	store_mem_fail_operation(*disk_of(disk), n, ERR_IO);
	run_write(leader, 1, (unsigned)n);
	node_cluster_pass(cluster, RUN_SECOND);
	store_mem_fail_operation(*disk_of(disk), 0, 0);
	victim->may_fail = false;
	failed = victim->node == NULL;
	if (failed) {
		ck_assert_int_eq(victim->error, ERR_IO);
		ck_assert_str_ne(victim->why, "");
		expect_member_again();
	} else {
		machine_stop(victim);
	}
	return failed;
}

START_TEST(member_with_any_operation_failing_stops_and_comes_back)
{
	uint64_t n = 1;

	while (fail_running((unsigned)_i, n))
		n++;
	ck_assert_uint_gt(n, 3);
}
END_TEST

/* ---- Looking into its directory ---- */

static int
open_data(void *context, uint64_t generation, struct store **ret_store)
{
	(void)context;
	ck_assert_uint_eq(generation, 0);
	*ret_store = store_mem_open(*disk_of(DISK_DATA));
	return 0;
}

static int
look(struct node_recover_report *ret_report, char *why, size_t size)
{
	struct store *log = store_mem_open(*disk_of(DISK_LOG));
	struct node_recover *recover;
	int error =
	    node_recover_open(&recover, log, open_data, NULL, why, size);

	if (error == 0) {
		*ret_report = *node_recover_get_report(recover);
		node_recover_close(recover);
	}
	store_close(log);
	return error;
}

static struct node_recover_report
look_at_sound(void)
{
	struct node_recover_report report = { 0 };
	char why[256];

	restore();
	ck_assert_int_eq(look(&report, why, sizeof(why)), 0);
	ck_assert_uint_gt(report.last_index, 5);
	return report;
}

static void
expect_same(const struct node_recover_report *report,
    const struct node_recover_report *sound)
{
	ck_assert_uint_eq(report->id, sound->id);
	ck_assert_uint_eq(report->term, sound->term);
	ck_assert_uint_eq(report->last_index, sound->last_index);
	ck_assert_uint_eq(report->last_term, sound->last_term);
	ck_assert_uint_eq(report->applied_index, sound->applied_index);
	ck_assert_uint_eq(
	    report->membership.members.count, sound->membership.members.count);
	ck_assert_mem_eq(
	    report->cluster_id, sound->cluster_id, NODE_NONCE_SIZE);
}

START_TEST(look_with_any_operation_failing_says_why_and_changes_nothing)
{
	const struct node_recover_report sound = look_at_sound();
	struct node_recover_report report;
	char why[256];
	int error = ERR_IO;

	for (uint64_t n = 1; error != 0; n++) {
		why[0] = '\0';
		store_mem_fail_operation(*disk_of((unsigned)_i), n, ERR_IO);
		error = look(&report, why, sizeof(why));
		store_mem_fail_operation(*disk_of((unsigned)_i), 0, 0);
		for (unsigned i = 0; i < DISKS_COUNT; i++)
			ck_assert_uint_eq(store_mem_digest(*disk_of(i)),
			    store_mem_digest(saved[i]));
		if (error != 0) {
			ck_assert_msg(error == ERR_IO, "%s", why);
			ck_assert_str_ne(why, "");
		} else {
			ck_assert_uint_gt(n, 3);
		}
	}
	expect_same(&report, &sound);
}
END_TEST

/* ---- Damage of any record ---- */

struct record {
	store_table table;
	struct buf key;
	size_t size;
};

struct records {
	struct record *record;
	size_t count;
};

static void
list_table(struct store_txn *txn, store_table table, struct records *records)
{
	struct store_cursor *cursor;
	struct slice key;
	struct slice value;

	ck_assert_int_eq(store_cursor_open(txn, table, &cursor), 0);
	while (store_cursor_move(
		   cursor, STORE_NEXT, slice_of(NULL, 0), &key, &value) == 0) {
		struct record *record;

		records->record = realloc(records->record,
		    (records->count + 1) * sizeof(*records->record));
		record = &records->record[records->count++];
		*record = (struct record){ .table = table, .size = value.size };
		buf_append_slice(&record->key, key);
	}
	store_cursor_close(cursor);
}

static struct records
list_records(unsigned disk)
{
	struct store *store = store_mem_open(saved[disk]);
	struct records records = { 0 };
	struct store_txn *txn = NULL;

	ck_assert_int_eq(store_begin(store, false, &txn), 0);
	for (unsigned table = 0; table < tables_count[disk]; table++)
		list_table(txn, table, &records);
	store_abort(txn);
	store_close(store);
	return records;
}

static void
release_records(struct records *records)
{
	for (size_t i = 0; i < records->count; i++)
		buf_release(&records->record[i].key);
	free(records->record);
}

/* It is refused with a reason, or was not needed. */
static void
look_at_damaged(const struct node_recover_report *sound)
{
	struct node_recover_report report;
	char why[256] = "";
	int error = look(&report, why, sizeof(why));

	if (error == 0) {
		expect_same(&report, sound);
		return;
	}
	ck_assert(error == ERR_CORRUPT || error == ERR_NOT_FOUND ||
		  error == ERR_VERSION);
	ck_assert_str_ne(why, "");
}

START_TEST(look_at_any_damaged_record_is_refused_with_the_reason)
{
	const struct node_recover_report sound = look_at_sound();
	struct records records = list_records((unsigned)_i);

	for (size_t i = 0; i < records.count; i++) {
		const struct record *record = &records.record[i];
		struct slice key = buf_slice(&record->key);

		restore();
		ck_assert(store_mem_replace(*disk_of((unsigned)_i),
		    record->table, key, slice_of(NULL, 0)));
		look_at_damaged(&sound);
		for (uint64_t bit = 0; bit < record->size * 8; bit += 3) {
			restore();
			ck_assert(store_mem_flip_bit(
			    *disk_of((unsigned)_i), record->table, key, bit));
			look_at_damaged(&sound);
		}
	}
	ck_assert_uint_gt(records.count, 4);
	release_records(&records);
	restore();
}
END_TEST

Suite *
node_faults_suite(void)
{
	Suite *suite = suite_create("node_faults");
	TCase *tcase = tcase_create("every");

	tcase_set_timeout(tcase, 120);
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_loop_test(
	    tcase, start_with_any_operation_failing_says_why, 0, DISKS_COUNT);
	tcase_add_loop_test(tcase,
	    member_with_any_operation_failing_stops_and_comes_back, 0,
	    DISKS_COUNT);
	tcase_add_loop_test(tcase,
	    look_with_any_operation_failing_says_why_and_changes_nothing, 0,
	    DISKS_COUNT);
	tcase_add_loop_test(tcase,
	    look_at_any_damaged_record_is_refused_with_the_reason, 0,
	    DISKS_COUNT);
	suite_add_tcase(suite, tcase);
	return suite;
}
