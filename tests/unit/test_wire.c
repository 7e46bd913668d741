/* Messages of peers: what is written is read again. */

#include "common/err.h"
#include "common/mem.h"
#include "common/rng.h"
#include "tests/unit/suites.h"
#include "tests/unit/wire_pieces.h"
#include "tests/unit/wire_samples.h"
#include <stdlib.h>

#define RANDOM_ROUNDS 3000

START_TEST(message_golden)
{
	enum raft_message_kind kind = (enum raft_message_kind)_i;
	const struct slice records[] = { slice_from_text("first"),
		slice_from_text("second") };
	struct buf text = { 0 };
	struct raft_message message;

	wire_sample_encode(&text, &wire_samples[kind], records);
	buf_append(&text, "", 1);
	ck_assert_str_eq((const char *)text.data, wire_golden[kind]);
	ck_assert_int_eq(
	    wire_sample_decode(slice_from_text(wire_golden[kind]), &message),
	    0);
	wire_sample_check_equal(&message, &wire_samples[kind]);
	ck_assert_ptr_null(message.entries);
	buf_release(&text);
}
END_TEST

START_TEST(message_records)
{
	struct wire_records records;
	struct raft_message message;

	wire_records_init(&records, WIRE_SAMPLE_RECORDS_MAX);
	ck_assert_int_eq(wire_decode_message(
			     slice_from_text(wire_golden[RAFT_APPEND_REQUEST]),
			     &records, &message),
	    0);
	ck_assert(slice_equal(records.record[0], slice_from_text("first")));
	ck_assert(slice_equal(records.record[1], slice_from_text("second")));
	wire_records_release(&records);
}
END_TEST

/* A number that uses more or fewer digits, bits or bytes each time. */
static uint64_t
random_number(struct rng *rng)
{
	return (rng_next(rng) >> 1 >> rng_below(rng, 63)) %
	       (RAFT_NUMBER_MAX + 1);
}

static void
random_message(struct rng *rng, struct raft_message *message)
{
	enum raft_message_kind kind =
	    (enum raft_message_kind)(1 + rng_below(rng, WIRE_KINDS_COUNT));
	const struct raft_message *has = &wire_samples[kind];

	*message = (struct raft_message){ .kind = kind };
	message->from = random_number(rng);
	message->to = random_number(rng);
	message->term = random_number(rng);
	message->boot_id = rng_next(rng);
	message->sequence = random_number(rng);
	if (has->to_boot_id != 0)
		message->to_boot_id = rng_next(rng);
	if (has->transfer)
		message->transfer = rng_below(rng, 2) == 0;
	if (has->read_index != 0)
		message->read_index = random_number(rng);
	if (has->success)
		message->success = rng_below(rng, 2) == 0;
	if (has->granted)
		message->granted = rng_below(rng, 2) == 0;
	if (has->last_index != 0) {
		message->last_index = random_number(rng);
		message->last_term = random_number(rng);
	}
	if (has->round != 0) {
		message->round = random_number(rng);
		message->sent_at = random_number(rng);
		message->state_index = random_number(rng);
	}
	if (kind == RAFT_APPEND_REQUEST) {
		message->prev_index = random_number(rng);
		message->prev_term = random_number(rng);
		message->commit_index = random_number(rng);
		message->everywhere_index = random_number(rng);
		message->agreed_index = random_number(rng);
		message->agreed_hash = rng_next(rng);
		message->entries_count =
		    (uint32_t)rng_below(rng, WIRE_SAMPLE_RECORDS_MAX + 1);
	}
	if (kind == RAFT_APPEND_RESPONSE) {
		message->promise = random_number(rng);
		message->match_index = random_number(rng);
		message->rejected_index = random_number(rng);
		message->hint_index = random_number(rng);
		message->hint_term = random_number(rng);
		message->state_hash = rng_next(rng);
		message->repairing = rng_below(rng, 2) == 0;
		message->snapshot_wanted = random_number(rng);
	}
}

START_TEST(message_round_trip)
{
	uint8_t bytes[WIRE_SAMPLE_RECORDS_MAX][300];
	struct slice slices[WIRE_SAMPLE_RECORDS_MAX];
	struct wire_records records;
	struct raft_message message;
	struct raft_message decoded;
	struct buf text = { 0 };
	struct rng rng;

	rng_init(&rng, 20);
	wire_records_init(&records, WIRE_SAMPLE_RECORDS_MAX);
	for (int round = 0; round < RANDOM_ROUNDS; round++) {
		random_message(&rng, &message);
		for (size_t i = 0; i < message.entries_count; i++) {
			size_t size = (size_t)rng_below(&rng, 300);

			for (size_t k = 0; k < size; k++)
				bytes[i][k] = (uint8_t)rng_next(&rng);
			slices[i] = slice_of(bytes[i], size);
		}
		buf_reset(&text);
		wire_sample_encode(&text, &message, slices);
		ck_assert_msg(wire_decode_message(
				  buf_slice(&text), &records, &decoded) == 0,
		    "seed 20, round %d: %.*s", round, (int)text.size,
		    (const char *)text.data);
		wire_sample_check_equal(&decoded, &message);
		for (size_t i = 0; i < message.entries_count; i++)
			ck_assert(slice_equal(records.record[i], slices[i]));
	}
	buf_release(&text);
	wire_records_release(&records);
}
END_TEST

START_TEST(message_splices_kept_text)
{
	struct raft_message message = wire_samples[RAFT_APPEND_REQUEST];
	struct node_entry entry = { .record = slice_from_text("never encoded"),
		.wire_text = mem_strdup("a2VwdA=="),
		.wire_size = 8 };
	struct node_entry *entries[] = { &entry };
	struct buf text = { 0 };

	message.entries_count = 1;
	wire_append_message(&text, &message, entries);
	buf_append(&text, "", 1);
	ck_assert_ptr_nonnull(
	    strstr((const char *)text.data, "\"entries\":[\"a2VwdA==\"]}"));
	buf_release(&text);
	free(entry.wire_text);
}
END_TEST

START_TEST(message_largest_number)
{
	struct raft_message message;
	struct pieces pieces;
	struct buf text = { 0 };

	pieces_split(wire_golden[RAFT_VOTE_REQUEST], &pieces);
	pieces_join_replaced(
	    &text, &pieces, 4, slice_from_text("4611686018427387904"));
	ck_assert_int_eq(wire_sample_decode(buf_slice(&text), &message), 0);
	ck_assert_uint_eq(message.term, RAFT_NUMBER_MAX);
	buf_release(&text);
}
END_TEST

START_TEST(message_too_many_records)
{
	struct raft_message message = wire_samples[RAFT_APPEND_REQUEST];
	struct slice slices[WIRE_SAMPLE_RECORDS_MAX];
	struct wire_records records;
	struct buf text = { 0 };

	for (size_t i = 0; i < WIRE_SAMPLE_RECORDS_MAX; i++)
		slices[i] = slice_from_text("record");
	message.entries_count = WIRE_SAMPLE_RECORDS_MAX;
	wire_sample_encode(&text, &message, slices);
	wire_records_init(&records, WIRE_SAMPLE_RECORDS_MAX);
	ck_assert_int_eq(
	    wire_decode_message(buf_slice(&text), &records, &message), 0);
	wire_records_release(&records);
	wire_records_init(&records, WIRE_SAMPLE_RECORDS_MAX - 1);
	ck_assert_int_eq(
	    wire_decode_message(buf_slice(&text), &records, &message),
	    ERR_INVALID);
	wire_records_release(&records);
	buf_release(&text);
}
END_TEST

Suite *
wire_suite(void)
{
	Suite *suite = suite_create("wire");
	TCase *message = tcase_create("message");
	int end = WIRE_KINDS_COUNT + 1;

	tcase_add_loop_test(message, message_golden, 1, end);
	tcase_add_test(message, message_records);
	tcase_add_test(message, message_round_trip);
	tcase_add_test(message, message_splices_kept_text);
	tcase_add_test(message, message_largest_number);
	tcase_add_test(message, message_too_many_records);
	suite_add_tcase(suite, message);
	return suite;
}
