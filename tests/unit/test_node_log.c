#include "common/codec.h"
#include "node/node.h"
#include "tests/unit/log_site.h"
#include "tests/unit/suites.h"

#include <stdlib.h>

START_TEST(log_reopens_with_what_was_committed)
{
	struct node_log_state state;
	struct log_site f;

	log_site_set_up(&f);
	log_site_append(&f, 4, 3);
	ck_assert_int_eq(log_site_commit(&f, 5, 0), 0);
	log_site_append(&f, 5, 2);
	log_site_close(&f);
	ck_assert_int_eq(log_site_open(&f), 0);
	node_log_get_state(f.log, &state);
	ck_assert_uint_eq(state.term, 5);
	ck_assert_uint_eq(state.vote, 2);
	ck_assert_uint_eq(state.last_index, 3);
	ck_assert_uint_eq(f.visited, 3);
	log_site_tear_down(&f);
}
END_TEST

/* A12: a crash at any operation leaves the old pair or the new one. */
START_TEST(A12_term_and_vote_are_one)
{
	struct node_log_state state;
	struct raft_op_persist persist = { .ticket = 1, .term = 9, .vote = 3 };
	bool failed = true;
	struct log_site f;

	for (uint64_t n = 1; failed; n++) {
		log_site_set_up(&f);
		log_site_append(&f, 4, 3);
		ck_assert_int_eq(log_site_commit(&f, 4, 0), 0);
		store_mem_seed(f.disk, n);
		store_mem_fail_operation(f.disk, n, ERR_IO);
		failed = node_log_commit(f.log, &persist) != 0;
		store_mem_fail_operation(f.disk, 0, 0);
		log_site_close(&f);
		ck_assert_int_eq(log_site_open(&f), 0);
		node_log_get_state(f.log, &state);
		ck_assert((state.term == 4 && state.vote == 2) ||
			  (state.term == 9 && state.vote == 3));
		if (!failed)
			ck_assert_uint_eq(state.term, 9);
		ck_assert_uint_eq(f.visited, 3);
		log_site_tear_down(&f);
	}
}
END_TEST

START_TEST(log_truncates_and_goes_on)
{
	struct node_log_state state;
	struct node_entry *entry;
	struct node_record record;
	struct log_site f;

	log_site_set_up(&f);
	log_site_append(&f, 1, 5);
	ck_assert_int_eq(log_site_commit(&f, 1, 0), 0);
	ck_assert_int_eq(node_log_truncate(f.log, 3), 0);
	log_site_append(&f, 2, 2);
	ck_assert_int_eq(log_site_commit(&f, 2, 3), 0);
	log_site_close(&f);
	ck_assert_int_eq(log_site_open(&f), 0);
	node_log_get_state(f.log, &state);
	ck_assert_uint_eq(state.last_index, 4);
	ck_assert_int_eq(node_log_get(f.log, 3, &entry), 0);
	ck_assert_int_eq(node_record_decode(entry->record, &record), 0);
	ck_assert_uint_eq(record.term, 2);
	log_site_tear_down(&f);
}
END_TEST

/* Entries cut before they were ever on disk leave no trace there. */
START_TEST(log_truncates_what_is_only_in_memory)
{
	struct node_log_state state;
	struct log_site f;

	log_site_set_up(&f);
	log_site_append(&f, 1, 2);
	ck_assert_int_eq(log_site_commit(&f, 1, 0), 0);
	log_site_append(&f, 1, 3);
	ck_assert_int_eq(node_log_truncate(f.log, 3), 0);
	log_site_append(&f, 2, 1);
	ck_assert_int_eq(log_site_commit(&f, 2, 0), 0);
	log_site_close(&f);
	ck_assert_int_eq(log_site_open(&f), 0);
	node_log_get_state(f.log, &state);
	ck_assert_uint_eq(state.last_index, 3);
	log_site_tear_down(&f);
}
END_TEST

START_TEST(log_adopts_only_its_own_continuation)
{
	struct node_entry *entry;
	struct log_site a;
	struct log_site b;

	log_site_set_up(&a);
	log_site_set_up(&b);
	log_site_append(&a, 1, 2);
	ck_assert_int_eq(node_log_get(a.log, 1, &entry), 0);
	ck_assert_int_eq(node_log_adopt(b.log, entry->record), 0);
	ck_assert_int_eq(node_log_adopt(b.log, entry->record), ERR_INVALID);
	ck_assert_int_eq(node_log_truncate(b.log, 1), 0);
	log_site_append(&b, 7, 1);
	ck_assert_int_eq(node_log_get(a.log, 2, &entry), 0);
	ck_assert_int_eq(node_log_adopt(b.log, entry->record), ERR_MISMATCH);
	log_site_tear_down(&a);
	log_site_tear_down(&b);
}
END_TEST

START_TEST(log_cuts_its_front_a_bounded_piece_a_commit)
{
	struct node_log_state state;
	struct node_entry *entry;
	struct log_site f;
	unsigned commits = 0;

	log_site_set_up(&f);
	log_site_append(&f, 1, 3000);
	ck_assert_int_eq(log_site_commit(&f, 1, 0), 0);
	node_log_compact(f.log, 2990);
	do {
		log_site_append(&f, 2, 1);
		ck_assert_int_eq(log_site_commit(&f, 2, 0), 0);
		node_log_get_state(f.log, &state);
		commits++;
		ck_assert_uint_le(state.compacted_index, 520 * commits);
	} while (state.compacted_index < 2500 && commits < 100);
	ck_assert_uint_lt(commits, 100);
	ck_assert_int_eq(node_log_get(f.log, 2500, &entry), ERR_NOT_FOUND);
	log_site_close(&f);
	ck_assert_int_eq(log_site_open(&f), 0);
	node_log_get_state(f.log, &state);
	ck_assert_uint_ge(state.compacted_index, 2500);
	ck_assert_uint_eq(state.compacted_term, 1);
	ck_assert_uint_eq(f.visited, 3000 + commits - state.compacted_index);
	log_site_tear_down(&f);
}
END_TEST

/* Also over a log that is all cut: cluster time never goes back. */
START_TEST(cluster_time_survives_an_empty_log)
{
	struct node_log_state state;
	struct log_site f;

	log_site_set_up(&f);
	log_site_append(&f, 1, 512);
	ck_assert_int_eq(log_site_commit(&f, 1, 0), 0);
	node_log_compact(f.log, 512);
	ck_assert_int_eq(log_site_commit(&f, 2, 0), 0);
	node_log_get_state(f.log, &state);
	ck_assert_uint_eq(state.compacted_index, 512);
	log_site_close(&f);
	ck_assert_int_eq(log_site_open(&f), 0);
	node_log_get_state(f.log, &state);
	ck_assert_uint_eq(state.last_time_us, 512);
	log_site_append(&f, 2, 1);
	ck_assert_int_eq(node_log_truncate(f.log, 513), 0);
	node_log_get_state(f.log, &state);
	ck_assert_uint_eq(state.last_time_us, 512);
	log_site_tear_down(&f);
}
END_TEST

START_TEST(log_reads_from_disk_what_it_no_longer_caches)
{
	struct node_entry *entry;
	struct node_log_state state;
	struct log_site f;

	log_site_set_up(&f);
	log_site_close(&f);
	f.store = store_mem_open(f.disk);
	ck_assert_int_eq(
	    node_log_open(f.store, 0, &f.log, f.why, sizeof(f.why)), 0);
	log_site_append(&f, 1, 10);
	ck_assert_int_eq(log_site_commit(&f, 1, 0), 0);
	node_log_tidy(f.log, 10);
	for (raft_index i = 1; i <= 10; i++) {
		ck_assert_int_eq(node_log_get(f.log, i, &entry), 0);
		ck_assert_uint_eq(entry->index, i);
	}
	node_log_tidy(f.log, 10);
	ck_assert_int_eq(node_log_truncate(f.log, 4), 0);
	node_log_get_state(f.log, &state);
	ck_assert_uint_eq(state.last_index, 3);
	log_site_append(&f, 2, 1);
	ck_assert_int_eq(log_site_commit(&f, 2, 4), 0);
	log_site_tear_down(&f);
}
END_TEST

/* ---- Damage: E16, and a record that is missing ---- */

START_TEST(E16_damaged_entry_is_found)
{
	uint8_t key[8];
	struct log_site f;

	for (raft_index damaged = 1; damaged <= 3; damaged++) {
		log_site_set_up(&f);
		log_site_append(&f, 1, 3);
		ck_assert_int_eq(log_site_commit(&f, 1, 0), 0);
		log_site_close(&f);
		ck_assert(store_mem_flip_bit(
		    f.disk, NODE_TABLE_LOG, log_site_key(key, damaged), 77));
		log_site_expect_bad(&f, damaged);
		log_site_tear_down(&f);
	}
}
END_TEST

static void
remove_entry(struct store_mem_disk *disk, raft_index index)
{
	struct store *store = store_mem_open(disk);
	struct store_txn *txn;
	uint8_t key[8];

	ck_assert_int_eq(store_begin(store, true, &txn), 0);
	ck_assert_int_eq(
	    store_delete(txn, NODE_TABLE_LOG, log_site_key(key, index)), 0);
	ck_assert_int_eq(store_commit(txn), 0);
	store_close(store);
}

START_TEST(missing_entry_is_found)
{
	struct log_site f;

	for (raft_index missing = 1; missing <= 3; missing++) {
		log_site_set_up(&f);
		log_site_append(&f, 1, 3);
		ck_assert_int_eq(log_site_commit(&f, 1, 0), 0);
		log_site_close(&f);
		remove_entry(f.disk, missing);
		log_site_expect_bad(&f, missing);
		log_site_tear_down(&f);
	}
}
END_TEST

START_TEST(damaged_hard_state_refuses_to_open)
{
	struct log_site f;

	log_site_set_up(&f);
	log_site_append(&f, 1, 1);
	ck_assert_int_eq(log_site_commit(&f, 1, 0), 0);
	log_site_close(&f);
	for (uint64_t bit = 0; bit < 8u * 101; bit++) {
		ck_assert(store_mem_flip_bit(
		    f.disk, NODE_TABLE_STATE, slice_from_text("hard"), bit));
		ck_assert_int_eq(log_site_open(&f), ERR_CORRUPT);
		ck_assert_ptr_nonnull(strstr(f.why, "hard state"));
		store_close(f.store);
		ck_assert(store_mem_flip_bit(
		    f.disk, NODE_TABLE_STATE, slice_from_text("hard"), bit));
	}
	ck_assert_int_eq(log_site_open(&f), 0);
	log_site_tear_down(&f);
}
END_TEST

/* Every operation of a commit with cut, entries and a front cut may fail. */
START_TEST(E25_failed_commit_is_old_or_new)
{
	struct node_log_state state;
	bool failed = true;
	struct log_site f;

	for (uint64_t n = 1; failed; n++) {
		log_site_set_up(&f);
		log_site_append(&f, 1, 520);
		ck_assert_int_eq(log_site_commit(&f, 1, 0), 0);
		node_log_compact(f.log, 512);
		ck_assert_int_eq(node_log_truncate(f.log, 518), 0);
		log_site_append(&f, 2, 1);
		store_mem_seed(f.disk, n);
		store_mem_fail_operation(f.disk, n, ERR_IO);
		failed = log_site_commit(&f, 2, 518) != 0;
		store_mem_fail_operation(f.disk, 0, 0);
		log_site_close(&f);
		ck_assert_int_eq(log_site_open(&f), 0);
		node_log_get_state(f.log, &state);
		ck_assert((state.term == 1 && state.last_index == 520 &&
			      state.compacted_index == 0) ||
			  (state.term == 2 && state.last_index == 518 &&
			      state.compacted_index == 512));
		if (!failed)
			ck_assert_uint_eq(state.term, 2);
		log_site_tear_down(&f);
	}
}
END_TEST

/* ---- The log behind a snapshot ---- */

static const struct node_log_base snapshot_base = {
	.index = 900,
	.term = 7,
	.chain = 0x1234567890abcdef,
	.time_us = 5000,
	.data_generation = 3,
};

static int
commit_reset(struct log_site *f, const struct node_log_base *base)
{
	const struct raft_op_persist persist = {
		.ticket = 1,
		.term = 8,
		.vote = 1,
		.reset_index = base->index,
		.reset_term = base->term,
		.commit_index = 2,
	};

	node_log_reset(f->log, base);
	return node_log_commit(f->log, &persist);
}

static void
expect_behind_snapshot(struct log_site *f)
{
	struct node_log_state state;

	node_log_get_state(f->log, &state);
	ck_assert_uint_eq(state.term, 8);
	ck_assert_uint_eq(state.vote, 1);
	ck_assert_uint_eq(state.commit_hint, 900);
	ck_assert_uint_eq(state.compacted_index, 900);
	ck_assert_uint_eq(state.compacted_term, 7);
	ck_assert_uint_eq(state.data_generation, 3);
	ck_assert_uint_eq(state.last_index, 900);
	ck_assert_uint_eq(state.durable_index, 900);
	ck_assert_uint_eq(state.last_time_us, 5000);
	ck_assert_uint_eq(state.bytes, 0);
}

START_TEST(log_begins_behind_a_snapshot)
{
	struct node_log_state state;
	struct node_entry *entry;
	struct log_site f;

	log_site_set_up(&f);
	log_site_append(&f, 1, 600);
	ck_assert_int_eq(log_site_commit(&f, 1, 0), 0);
	node_log_compact(f.log, 550);
	log_site_append(&f, 2, 5); /* never on disk */
	ck_assert_int_eq(commit_reset(&f, &snapshot_base), 0);
	expect_behind_snapshot(&f);
	ck_assert_int_eq(node_log_get(f.log, 600, &entry), ERR_NOT_FOUND);
	ck_assert_int_eq(node_log_get(f.log, 900, &entry), ERR_NOT_FOUND);
	log_site_close(&f);
	ck_assert_int_eq(log_site_open(&f), 0);
	ck_assert_uint_eq(f.visited, 0);
	expect_behind_snapshot(&f);
	log_site_append(&f, 8, 3);
	ck_assert_int_eq(node_log_truncate(f.log, 903), 0);
	ck_assert_int_eq(log_site_commit(&f, 8, 0), 0);
	log_site_close(&f);
	ck_assert_int_eq(log_site_open(&f), 0);
	ck_assert_uint_eq(f.visited, 2);
	node_log_get_state(f.log, &state);
	ck_assert_uint_eq(state.last_index, 902);
	ck_assert_uint_eq(state.last_time_us, 5002);
	ck_assert_uint_eq(state.data_generation, 3);
	log_site_tear_down(&f);
}
END_TEST

/* An uncommitted tail that reaches over the snapshot goes as well. */
START_TEST(G10_log_in_conflict_with_a_snapshot_is_dropped)
{
	struct log_site f;

	log_site_set_up(&f);
	log_site_append(&f, 1, 2000);
	ck_assert_int_eq(log_site_commit(&f, 1, 0), 0);
	ck_assert_int_eq(commit_reset(&f, &snapshot_base), 0);
	expect_behind_snapshot(&f);
	log_site_append(&f, 8, 1);
	ck_assert_int_eq(log_site_commit(&f, 8, 0), 0);
	log_site_close(&f);
	ck_assert_int_eq(log_site_open(&f), 0);
	ck_assert_uint_eq(f.visited, 1);
	log_site_tear_down(&f);
}
END_TEST

/* The old log or the new one, whole; true: the new one. */
static bool
expect_old_or_new(struct log_site *f)
{
	struct node_log_state state;

	ck_assert_int_eq(log_site_open(f), 0);
	node_log_get_state(f->log, &state);
	if (state.data_generation != 0) {
		expect_behind_snapshot(f);
		ck_assert_uint_eq(f->visited, 0);
		return true;
	}
	ck_assert_uint_eq(state.term, 1);
	ck_assert_uint_eq(state.compacted_index, 0);
	ck_assert_uint_eq(state.last_index, 20);
	ck_assert_uint_eq(f->visited, 20);
	return false;
}

/*
 * G18: a crash at any operation of the reset, and at its commit with either
 * outcome.
 */
START_TEST(G18_reset_is_old_or_new)
{
	bool seen[2] = { false, false };
	unsigned succeeded = 0;
	struct log_site f;

	for (uint64_t n = 1; n <= 32; n++) {
		bool new;
		int error;

		log_site_set_up(&f);
		log_site_append(&f, 1, 20);
		ck_assert_int_eq(log_site_commit(&f, 1, 0), 0);
		log_site_append(&f, 1, 1);
		store_mem_seed(f.disk, n);
		if (n <= 16)
			store_mem_fail_operation(f.disk, n, ERR_IO);
		else
			store_mem_fail_commit(f.disk, 1, ERR_IO);
		error = commit_reset(&f, &snapshot_base);
		store_mem_fail_operation(f.disk, 0, 0);
		log_site_close(&f);
		new = expect_old_or_new(&f);
		ck_assert(new || error != 0);
		seen[new] = true;
		succeeded += error == 0;
		log_site_tear_down(&f);
	}
	ck_assert_uint_gt(succeeded, 0);
	ck_assert(seen[false]);
	ck_assert(seen[true]);
}
END_TEST

START_TEST(log_behind_a_snapshot_misses_no_record)
{
	struct log_site f;

	for (raft_index missing = 901; missing <= 902; missing++) {
		log_site_set_up(&f);
		ck_assert_int_eq(commit_reset(&f, &snapshot_base), 0);
		log_site_append(&f, 8, 2);
		ck_assert_int_eq(log_site_commit(&f, 8, 0), 0);
		log_site_close(&f);
		remove_entry(f.disk, missing);
		log_site_expect_bad(&f, missing);
		log_site_tear_down(&f);
	}
}
END_TEST

/* Only the state was lost: the entries go on behind the snapshot. */
START_TEST(log_keeps_its_entries_under_a_new_state)
{
	const struct raft_op_persist persist = {
		.ticket = 1,
		.term = 1,
		.vote = 1,
		.reset_index = 5,
		.reset_term = 1,
		.reset_keeps = true,
		.commit_index = 5,
	};
	struct node_log_state state;
	struct node_log_base base;
	struct log_site f;

	log_site_set_up(&f);
	log_site_append(&f, 1, 9);
	ck_assert_int_eq(log_site_commit(&f, 1, 0), 0);
	log_site_get_base(&f, 5, &base);
	base.data_generation = 4;
	node_log_reset(f.log, &base);
	ck_assert_int_eq(node_log_commit(f.log, &persist), 0);
	log_site_close(&f);
	ck_assert_int_eq(log_site_open(&f), 0);
	ck_assert_uint_eq(f.bad, 0);
	ck_assert_uint_eq(f.visited, 9);
	node_log_get_state(f.log, &state);
	ck_assert_uint_eq(state.data_generation, 4);
	ck_assert_uint_eq(state.compacted_index, 0);
	ck_assert_uint_eq(state.last_index, 9);
	log_site_tear_down(&f);
}
END_TEST

/* What a snapshot carries of one log is where another one goes on. */
START_TEST(log_base_continues_the_log_elsewhere)
{
	struct node_log_base base;
	struct node_entry *entry;
	struct log_site a;
	struct log_site b;

	log_site_set_up(&a);
	log_site_set_up(&b);
	log_site_append(&a, 3, 600);
	ck_assert_int_eq(log_site_commit(&a, 3, 0), 0);
	for (raft_index index = 150; index < 600; index += 150) {
		ck_assert_int_eq(node_log_get_base(a.log, index, &base), 0);
		ck_assert_uint_eq(base.index, index);
		ck_assert_uint_eq(base.term, 3);
		ck_assert_uint_eq(base.data_generation, 0);
		node_log_tidy(a.log, 600);
		base.data_generation = 1;
		ck_assert_int_eq(commit_reset(&b, &base), 0);
		ck_assert_int_eq(node_log_get(a.log, index + 1, &entry), 0);
		ck_assert_int_eq(node_log_adopt(b.log, entry->record), 0);
	}
	log_site_tear_down(&a);
	log_site_tear_down(&b);
}
END_TEST

START_TEST(log_base_of_the_entry_before_the_first)
{
	struct node_log_base whole;
	struct node_log_base cut;
	struct log_site f;

	log_site_set_up(&f);
	log_site_append(&f, 1, 520);
	ck_assert_int_eq(log_site_commit(&f, 1, 0), 0);
	ck_assert_int_eq(node_log_get_base(f.log, 512, &whole), 0);
	node_log_compact(f.log, 512);
	ck_assert_int_eq(log_site_commit(&f, 1, 0), 0);
	ck_assert_int_eq(node_log_get_base(f.log, 512, &cut), 0);
	ck_assert_uint_eq(cut.term, whole.term);
	ck_assert_uint_eq(cut.chain, whole.chain);
	ck_assert_uint_eq(cut.time_us, whole.time_us);
	ck_assert_int_eq(node_log_get_base(f.log, 511, &cut), ERR_NOT_FOUND);
	ck_assert_int_eq(node_log_get_base(f.log, 521, &cut), ERR_NOT_FOUND);
	log_site_tear_down(&f);
}
END_TEST

static uint64_t
generation_of(const struct log_site *f)
{
	struct node_log_state state;

	node_log_get_state(f->log, &state);
	return state.data_generation;
}

/* Whatever memory is ahead by is not made durable with it, nor forgotten. */
START_TEST(distrusted_data_changes_the_generation_alone)
{
	struct node_log_state state;
	struct log_site f;

	log_site_set_up(&f);
	log_site_append(&f, 4, 600);
	ck_assert_int_eq(log_site_commit(&f, 4, 0), 0);
	node_log_compact(f.log, 520);
	ck_assert_int_eq(log_site_commit(&f, 5, 0), 0);
	ck_assert_int_eq(node_log_truncate(f.log, 590), 0);
	log_site_append(&f, 6, 5);
	ck_assert_int_eq(node_log_distrust_data(f.log), 0);
	log_site_close(&f);
	ck_assert_int_eq(log_site_open(&f), 0);
	ck_assert_uint_eq(generation_of(&f), 1);
	node_log_get_state(f.log, &state);
	ck_assert_uint_eq(state.term, 5);
	ck_assert_uint_eq(state.vote, 2);
	ck_assert_uint_ge(state.compacted_index, 512);
	ck_assert_uint_eq(state.last_index, 600);
	log_site_tear_down(&f);
}
END_TEST

START_TEST(distrusted_data_is_old_or_new)
{
	bool failed = true;
	struct log_site f;

	for (uint64_t n = 1; failed; n++) {
		log_site_set_up(&f);
		log_site_append(&f, 4, 3);
		ck_assert_int_eq(log_site_commit(&f, 4, 0), 0);
		store_mem_seed(f.disk, n);
		store_mem_fail_operation(f.disk, n, ERR_IO);
		failed = node_log_distrust_data(f.log) != 0;
		store_mem_fail_operation(f.disk, 0, 0);
		log_site_close(&f);
		ck_assert_int_eq(log_site_open(&f), 0);
		ck_assert_uint_le(generation_of(&f), 1);
		if (!failed)
			ck_assert_uint_eq(generation_of(&f), 1);
		log_site_tear_down(&f);
	}
}
END_TEST

/* Entries found sound from *position on, in steps of one; the error at last. */
static int
scrub(struct log_site *f, raft_index *position, unsigned *ret_count)
{
	size_t bytes;
	int error;

	*ret_count = 0;
	while ((error = node_log_scrub(f->log, position, 1, &bytes)) == 0)
		++*ret_count;
	return error;
}

START_TEST(log_scrub_follows_cuts_at_both_ends)
{
	raft_index position = 0;
	unsigned count;
	struct log_site f;

	log_site_set_up(&f);
	log_site_append(&f, 1, 600);
	ck_assert_int_eq(scrub(&f, &position, &count), ERR_NOT_FOUND);
	ck_assert_uint_eq(count, 0); /* nothing is on disk */
	ck_assert_int_eq(log_site_commit(&f, 1, 0), 0);
	ck_assert_int_eq(scrub(&f, &position, &count), ERR_NOT_FOUND);
	ck_assert_uint_eq(count, 600);
	/* What it has read is replaced by other entries, and more. */
	ck_assert_int_eq(node_log_truncate(f.log, 590), 0);
	log_site_append(&f, 2, 30);
	ck_assert_int_eq(log_site_commit(&f, 2, 590), 0);
	ck_assert_int_eq(scrub(&f, &position, &count), ERR_NOT_FOUND);
	ck_assert_uint_eq(count, 19);
	/* The front goes, with where it stood. */
	position = 10;
	node_log_compact(f.log, 512);
	ck_assert_int_eq(log_site_commit(&f, 2, 0), 0);
	ck_assert_int_eq(scrub(&f, &position, &count), ERR_NOT_FOUND);
	ck_assert_uint_eq(count, 619 - 512);
	log_site_tear_down(&f);
}
END_TEST

/* Sound in itself, with the right index, but of another history. */
START_TEST(log_scrub_finds_a_foreign_entry)
{
	struct node_entry *entry;
	struct store_txn *txn;
	raft_index position = 0;
	uint8_t key[8];
	unsigned count;
	struct log_site f;
	struct log_site other;

	log_site_set_up(&f);
	log_site_set_up(&other);
	log_site_append(&f, 1, 50);
	log_site_append(&other, 2, 50);
	ck_assert_int_eq(log_site_commit(&f, 1, 0), 0);
	ck_assert_int_eq(node_log_get(other.log, 31, &entry), 0);
	codec_store_u64(key, 31);
	ck_assert_int_eq(store_begin(f.store, true, &txn), 0);
	ck_assert_int_eq(store_put(txn, NODE_TABLE_LOG,
			     slice_of(key, sizeof(key)), entry->record),
	    0);
	ck_assert_int_eq(store_commit(txn), 0);
	ck_assert_int_eq(scrub(&f, &position, &count), ERR_CORRUPT);
	ck_assert_uint_eq(position, 30);
	log_site_tear_down(&f);
	log_site_tear_down(&other);
}
END_TEST

Suite *
node_log_suite(void)
{
	Suite *suite = suite_create("node_log");
	TCase *tcase = tcase_create("log");

	/* Crashes at every place take seconds under a sanitizer. */

	tcase_add_test(tcase, log_reopens_with_what_was_committed);
	tcase_add_test(tcase, A12_term_and_vote_are_one);
	tcase_add_test(tcase, log_truncates_and_goes_on);
	tcase_add_test(tcase, log_truncates_what_is_only_in_memory);
	tcase_add_test(tcase, log_adopts_only_its_own_continuation);
	tcase_add_test(tcase, log_cuts_its_front_a_bounded_piece_a_commit);
	tcase_add_test(tcase, cluster_time_survives_an_empty_log);
	tcase_add_test(tcase, log_reads_from_disk_what_it_no_longer_caches);
	tcase_add_test(tcase, E16_damaged_entry_is_found);
	tcase_add_test(tcase, missing_entry_is_found);
	tcase_add_test(tcase, damaged_hard_state_refuses_to_open);
	tcase_add_test(tcase, E25_failed_commit_is_old_or_new);
	tcase_add_test(tcase, log_begins_behind_a_snapshot);
	tcase_add_test(tcase, G10_log_in_conflict_with_a_snapshot_is_dropped);
	tcase_add_test(tcase, G18_reset_is_old_or_new);
	tcase_add_test(tcase, log_behind_a_snapshot_misses_no_record);
	tcase_add_test(tcase, log_base_continues_the_log_elsewhere);
	tcase_add_test(tcase, log_base_of_the_entry_before_the_first);
	tcase_add_test(tcase, distrusted_data_changes_the_generation_alone);
	tcase_add_test(tcase, distrusted_data_is_old_or_new);
	tcase_add_test(tcase, log_scrub_follows_cuts_at_both_ends);
	tcase_add_test(tcase, log_scrub_finds_a_foreign_entry);
	tcase_add_test(tcase, log_keeps_its_entries_under_a_new_state);
	suite_add_tcase(suite, tcase);
	return suite;
}
