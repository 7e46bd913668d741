#include "common/codec.h"
#include "tests/unit/log_site.h"
#include "tests/unit/suites.h"

static int
repair_log(struct log_site *f, uint64_t generation)
{
	return node_log_repair(f->log, generation, f->why, sizeof(f->why));
}

/* Entries 1..count of term 1, then a hard state of term 4; closed. */
static void
set_up_damaged(struct log_site *f, unsigned count, raft_index damaged)
{
	uint8_t key[8];

	log_site_set_up(f);
	log_site_append(f, 1, count);
	ck_assert_int_eq(log_site_commit(f, 4, 0), 0);
	log_site_close(f);
	if (damaged != 0)
		ck_assert(store_mem_flip_bit(
		    f->disk, NODE_TABLE_LOG, log_site_key(key, damaged), 300));
}

/* The end is cut with what it was, once and for all. */
START_TEST(repair_cuts_the_end_and_remembers_how_far_it_went)
{
	struct node_log_state state;
	struct log_site f;

	for (raft_index bad = 1; bad <= 5; bad++) {
		set_up_damaged(&f, 5, bad);
		log_site_expect_bad(&f, bad);
		ck_assert_int_eq(repair_log(&f, 0), 0);
		log_site_close(&f);
		ck_assert_int_eq(log_site_open(&f), 0);
		ck_assert_uint_eq(f.bad, 0);
		node_log_get_state(f.log, &state);
		ck_assert_uint_eq(state.last_index, bad - 1);
		ck_assert_uint_eq(state.durable_index, bad - 1);
		ck_assert_uint_eq(state.repair_until, 5);
		ck_assert_uint_eq(state.repair_term, 4);
		ck_assert_uint_eq(state.term, 4);
		ck_assert_uint_eq(state.vote, 2);
		log_site_append(&f, 5, 7);
		log_site_tear_down(&f);
	}
}
END_TEST

/* What was lost first is not forgotten when less is lost then. */
START_TEST(repair_twice_remembers_the_further_end)
{
	struct raft_op_persist persist = { .ticket = 1, .term = 6 };
	struct node_log_state state;
	struct log_site f;
	uint8_t key[8];

	set_up_damaged(&f, 9, 3);
	log_site_expect_bad(&f, 3);
	ck_assert_int_eq(repair_log(&f, 0), 0);
	log_site_append(&f, 5, 2);
	persist.first = 3;
	persist.last = 4;
	persist.repair_until = 9;
	persist.repair_term = 4;
	ck_assert_int_eq(node_log_commit(f.log, &persist), 0);
	log_site_close(&f);
	ck_assert(store_mem_flip_bit(
	    f.disk, NODE_TABLE_LOG, log_site_key(key, 4), 8));
	log_site_expect_bad(&f, 4);
	ck_assert_int_eq(repair_log(&f, 0), 0);
	node_log_get_state(f.log, &state);
	ck_assert_uint_eq(state.repair_until, 9);
	ck_assert_uint_eq(state.repair_term, 6);
	/* The core says when that is over. */
	persist = (struct raft_op_persist){ .ticket = 2, .term = 6 };
	ck_assert_int_eq(node_log_commit(f.log, &persist), 0);
	log_site_close(&f);
	ck_assert_int_eq(log_site_open(&f), 0);
	node_log_get_state(f.log, &state);
	ck_assert_uint_eq(state.repair_until, 0);
	ck_assert_uint_eq(state.repair_term, 0);
	log_site_tear_down(&f);
}
END_TEST

/* What the state holds is not missed, and all behind it stays. */
START_TEST(repair_cuts_the_front_behind_the_state)
{
	struct node_log_base base;
	struct node_log_state state;
	struct log_site f;
	uint8_t key[8];

	for (raft_index bad = 1; bad <= 4; bad++) {
		set_up_damaged(&f, 9, 0);
		ck_assert_int_eq(log_site_open(&f), 0);
		log_site_get_base(&f, 4, &base);
		log_site_close(&f);
		ck_assert(store_mem_flip_bit(
		    f.disk, NODE_TABLE_LOG, log_site_key(key, bad), 300));
		log_site_expect_bad(&f, bad);
		ck_assert_int_eq(node_log_prove(f.log, &base), 0);
		f.visited = 0;
		ck_assert_int_eq(node_log_load(f.log, &base, log_site_visit, &f,
				     &f.bad, f.why, sizeof(f.why)),
		    0);
		ck_assert_uint_eq(f.bad, 0);
		ck_assert_uint_eq(f.visited, 5);
		ck_assert_int_eq(repair_log(&f, 3), 0);
		log_site_close(&f);
		ck_assert_int_eq(log_site_open(&f), 0);
		ck_assert_uint_eq(f.bad, 0);
		ck_assert_uint_eq(f.visited, 5);
		node_log_get_state(f.log, &state);
		ck_assert_uint_eq(state.compacted_index, 4);
		ck_assert_uint_eq(state.compacted_term, 1);
		ck_assert_uint_eq(state.last_index, 9);
		ck_assert_uint_eq(state.repair_until, 0);
		ck_assert_uint_eq(state.data_generation, 3);
		log_site_tear_down(&f);
	}
}
END_TEST

/* A state of another history proves nothing, nor one that nothing names. */
START_TEST(base_of_another_history_is_not_proved)
{
	struct node_log_base base;
	struct log_site f;
	uint8_t key[8];

	set_up_damaged(&f, 9, 0);
	ck_assert_int_eq(log_site_open(&f), 0);
	for (raft_index index = 1; index <= 9; index++) {
		log_site_get_base(&f, index, &base);
		ck_assert_int_eq(node_log_prove(f.log, &base), 0);
		base.chain ^= 1;
		ck_assert_int_eq(node_log_prove(f.log, &base), ERR_MISMATCH);
	}
	log_site_get_base(&f, 5, &base);
	log_site_close(&f);
	ck_assert(store_mem_flip_bit(
	    f.disk, NODE_TABLE_LOG, log_site_key(key, 5), 300));
	log_site_expect_bad(&f, 5);
	ck_assert_int_eq(node_log_prove(f.log, &base), 0);
	base.chain ^= 1;
	ck_assert_int_eq(node_log_prove(f.log, &base), ERR_MISMATCH);
	base.chain ^= 1;
	ck_assert(store_mem_flip_bit(
	    f.disk, NODE_TABLE_LOG, log_site_key(key, 6), 300));
	ck_assert_int_eq(node_log_prove(f.log, &base), ERR_MISMATCH);
	log_site_tear_down(&f);
}
END_TEST

static void
add_record(struct log_site *f, raft_index index, const char *bytes)
{
	struct store *store = store_mem_open(f->disk);
	struct store_txn *txn;
	uint8_t key[8];

	ck_assert_int_eq(store_begin(store, true, &txn), 0);
	ck_assert_int_eq(store_put(txn, NODE_TABLE_LOG,
			     log_site_key(key, index), slice_from_text(bytes)),
	    0);
	ck_assert_int_eq(store_commit(txn), 0);
	store_close(store);
}

/* The hard state is not this log's: what was promised is not known. */
START_TEST(records_beyond_the_hard_state_refuse_to_open)
{
	struct log_site f;

	set_up_damaged(&f, 3, 0);
	add_record(&f, 4, "foreign");
	ck_assert_int_eq(log_site_open(&f), ERR_CORRUPT);
	ck_assert_ptr_nonnull(strstr(f.why, "foreign"));
	store_close(f.store);
	store_mem_disk_free(f.disk);
}
END_TEST

/* A record whose key was damaged lies where it is not looked for. */
START_TEST(repair_refuses_what_does_not_verify_afterwards)
{
	struct log_site f;

	set_up_damaged(&f, 3, 2);
	add_record(&f, 77, "stray");
	log_site_expect_bad(&f, 2);
	ck_assert_int_eq(repair_log(&f, 0), ERR_CORRUPT);
	log_site_close(&f);
	log_site_expect_bad(&f, 2);
	log_site_tear_down(&f);
}
END_TEST

/* Of a damaged store nothing is said: it is not the log's record that is bad. */
START_TEST(broken_disk_is_no_damage)
{
	static const int errors[] = { ERR_IO, ERR_CORRUPT };
	struct log_site f;
	int error;

	for (unsigned i = 0; i < 2; i++) {
		for (uint64_t n = 1; n <= 6; n++) {
			set_up_damaged(&f, 3, 0);
			store_mem_fail_operation(f.disk, n, errors[i]);
			error = log_site_open(&f);
			ck_assert_int_eq(error, errors[i]);
			store_mem_fail_operation(f.disk, 0, 0);
			store_close(f.store);
			store_mem_disk_free(f.disk);
		}
	}
}
END_TEST

/* A crash at any step leaves the damage as it was, or all of it repaired. */
START_TEST(failed_repair_is_old_or_new)
{
	struct node_log_state state;
	bool failed = true;
	struct log_site f;

	for (uint64_t n = 1; failed; n++) {
		set_up_damaged(&f, 9, 6);
		log_site_expect_bad(&f, 6);
		store_mem_seed(f.disk, n);
		store_mem_fail_operation(f.disk, n, ERR_IO);
		failed = repair_log(&f, 2) != 0;
		store_mem_fail_operation(f.disk, 0, 0);
		log_site_close(&f);
		ck_assert_int_eq(log_site_open(&f), 0);
		node_log_get_state(f.log, &state);
		ck_assert_uint_eq(state.last_index, 5);
		ck_assert_uint_eq(state.repair_until, f.bad != 0 ? 0 : 9);
		ck_assert_uint_eq(state.data_generation, f.bad != 0 ? 0 : 2);
		if (!failed)
			ck_assert_uint_eq(f.bad, 0);
		log_site_tear_down(&f);
	}
}
END_TEST

/* Whoever the members are outlives the entry and the state that told it. */
START_TEST(note_of_the_members_is_the_newest_one_and_durable)
{
	struct buf note = { 0 };
	struct log_site f;

	log_site_set_up(&f);
	codec_append_u64(&note, 7);
	codec_append_u8(&note, 1);
	node_log_note_members(f.log, buf_slice(&note));
	log_site_append(&f, 1, 1);
	ck_assert_int_eq(log_site_commit(&f, 1, 0), 0);
	log_site_close(&f);
	ck_assert_int_eq(log_site_open(&f), 0);
	ck_assert(slice_equal(node_log_get_members(f.log), buf_slice(&note)));
	/* An older one, of a replay. */
	note.data[0] = 0;
	codec_store_u64(note.data, 6);
	node_log_note_members(f.log, buf_slice(&note));
	ck_assert(!slice_equal(node_log_get_members(f.log), buf_slice(&note)));
	log_site_close(&f);
	for (uint64_t bit = 0; bit < 8u * 13; bit++) {
		ck_assert(store_mem_flip_bit(
		    f.disk, NODE_TABLE_STATE, slice_from_text("members"), bit));
		ck_assert_int_eq(log_site_open(&f), ERR_CORRUPT);
		store_close(f.store);
		ck_assert(store_mem_flip_bit(
		    f.disk, NODE_TABLE_STATE, slice_from_text("members"), bit));
	}
	ck_assert_int_eq(log_site_open(&f), 0);
	buf_release(&note);
	log_site_tear_down(&f);
}
END_TEST

Suite *
node_log_repair_suite(void)
{
	Suite *suite = suite_create("node_log_repair");
	TCase *tcase = tcase_create("repair");

	tcase_add_test(
	    tcase, repair_cuts_the_end_and_remembers_how_far_it_went);
	tcase_add_test(tcase, repair_twice_remembers_the_further_end);
	tcase_add_test(tcase, repair_cuts_the_front_behind_the_state);
	tcase_add_test(tcase, base_of_another_history_is_not_proved);
	tcase_add_test(tcase, records_beyond_the_hard_state_refuse_to_open);
	tcase_add_test(tcase, repair_refuses_what_does_not_verify_afterwards);
	tcase_add_test(tcase, broken_disk_is_no_damage);
	tcase_add_test(tcase, failed_repair_is_old_or_new);
	tcase_add_test(
	    tcase, note_of_the_members_is_the_newest_one_and_durable);
	suite_add_tcase(suite, tcase);
	return suite;
}
