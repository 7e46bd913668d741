#include "tests/unit/wire_samples.h"
#include "common/macros.h"
#include <check.h>
#include <stdlib.h>

const char *const wire_golden[WIRE_KINDS_COUNT + 1] = {
	[RAFT_PREVOTE_REQUEST] =
	    "{\"kind\":\"prevote_request\",\"group\":1,\"from\":1,\"to\":2,"
	    "\"term\":8,\"boot\":\"00000000deadbeef\",\"sequence\":77,"
	    "\"last_index\":100,\"last_term\":7}",
	[RAFT_PREVOTE_RESPONSE] =
	    "{\"kind\":\"prevote_response\",\"group\":1,\"from\":1,\"to\":2,"
	    "\"term\":8,\"boot\":\"00000000deadbeef\","
	    "\"to_boot\":\"fedcba9876543210\",\"sequence\":77,"
	    "\"granted\":true}",
	[RAFT_VOTE_REQUEST] =
	    "{\"kind\":\"vote_request\",\"group\":1,\"from\":1,\"to\":2,"
	    "\"term\":8,\"boot\":\"00000000deadbeef\",\"sequence\":77,"
	    "\"last_index\":100,\"last_term\":7,\"transfer\":true}",
	[RAFT_VOTE_RESPONSE] =
	    "{\"kind\":\"vote_response\",\"group\":1,\"from\":1,\"to\":2,"
	    "\"term\":8,\"boot\":\"00000000deadbeef\","
	    "\"to_boot\":\"fedcba9876543210\",\"sequence\":77,"
	    "\"granted\":true}",
	[RAFT_APPEND_REQUEST] =
	    "{\"kind\":\"append_request\",\"group\":1,\"from\":1,\"to\":2,"
	    "\"term\":8,\"boot\":\"00000000deadbeef\",\"sequence\":77,"
	    "\"prev_index\":100,\"prev_term\":7,\"commit_index\":99,"
	    "\"everywhere_index\":98,\"round\":5,\"sent_at\":123456789,"
	    "\"state_index\":90,\"agreed_index\":80,"
	    "\"agreed_hash\":\"89abcdef01234567\","
	    "\"entries\":[\"Zmlyc3Q=\",\"c2Vjb25k\"]}",
	[RAFT_APPEND_RESPONSE] =
	    "{\"kind\":\"append_response\",\"group\":1,\"from\":1,\"to\":2,"
	    "\"term\":8,\"boot\":\"00000000deadbeef\","
	    "\"to_boot\":\"fedcba9876543210\",\"sequence\":77,\"round\":5,"
	    "\"sent_at\":123456789,\"state_index\":90,"
	    "\"state_hash\":\"fedcba9876543211\",\"success\":true,"
	    "\"promise\":950000,\"match_index\":100,"
	    "\"rejected_index\":0,\"hint_index\":0,\"hint_term\":0,"
	    "\"repairing\":true,\"snapshot_wanted\":70}",
	[RAFT_TIMEOUT_NOW] =
	    "{\"kind\":\"timeout_now\",\"group\":1,\"from\":1,\"to\":2,"
	    "\"term\":8,\"boot\":\"00000000deadbeef\",\"sequence\":77,"
	    "\"last_index\":100,\"last_term\":7}",
	[RAFT_READ_REQUEST] =
	    "{\"kind\":\"read_request\",\"group\":1,\"from\":1,\"to\":2,"
	    "\"term\":8,\"boot\":\"00000000deadbeef\",\"sequence\":77}",
	[RAFT_READ_RESPONSE] =
	    "{\"kind\":\"read_response\",\"group\":1,\"from\":1,\"to\":2,"
	    "\"term\":8,\"boot\":\"00000000deadbeef\","
	    "\"to_boot\":\"fedcba9876543210\",\"sequence\":77,"
	    "\"read_index\":99,\"success\":true}",
};

/* What all of them have. */
#define SAMPLE_OF(of_kind)                                                     \
	.kind = (of_kind), .from = 1, .to = 2, .term = 8,                      \
	.boot_id = 0xdeadbeef, .sequence = 77

const struct raft_message wire_samples[WIRE_KINDS_COUNT + 1] = {
	[RAFT_PREVOTE_REQUEST] = { SAMPLE_OF(RAFT_PREVOTE_REQUEST),
	    .last_index = 100, .last_term = 7 },
	[RAFT_PREVOTE_RESPONSE] = { SAMPLE_OF(RAFT_PREVOTE_RESPONSE),
	    .to_boot_id = UINT64_C(0xfedcba9876543210), .granted = true },
	[RAFT_VOTE_REQUEST] = { SAMPLE_OF(RAFT_VOTE_REQUEST), .last_index = 100,
	    .last_term = 7, .transfer = true },
	[RAFT_VOTE_RESPONSE] = { SAMPLE_OF(RAFT_VOTE_RESPONSE),
	    .to_boot_id = UINT64_C(0xfedcba9876543210), .granted = true },
	[RAFT_APPEND_REQUEST] = { SAMPLE_OF(RAFT_APPEND_REQUEST),
	    .prev_index = 100, .prev_term = 7, .commit_index = 99,
	    .everywhere_index = 98, .round = 5, .sent_at = 123456789,
	    .state_index = 90, .agreed_index = 80,
	    .agreed_hash = UINT64_C(0x89abcdef01234567), .entries_count = 2 },
	[RAFT_APPEND_RESPONSE] = { SAMPLE_OF(RAFT_APPEND_RESPONSE),
	    .to_boot_id = UINT64_C(0xfedcba9876543210), .round = 5,
	    .sent_at = 123456789, .state_index = 90,
	    .state_hash = UINT64_C(0xfedcba9876543211), .success = true,
	    .promise = 950000, .match_index = 100, .repairing = true,
	    .snapshot_wanted = 70 },
	[RAFT_TIMEOUT_NOW] = { SAMPLE_OF(RAFT_TIMEOUT_NOW), .last_index = 100,
	    .last_term = 7 },
	[RAFT_READ_REQUEST] = { SAMPLE_OF(RAFT_READ_REQUEST) },
	[RAFT_READ_RESPONSE] = { SAMPLE_OF(RAFT_READ_RESPONSE),
	    .to_boot_id = UINT64_C(0xfedcba9876543210), .read_index = 99,
	    .success = true },
};

/* Entries over records that stay the caller's. */
struct entries {
	struct node_entry entry[WIRE_SAMPLE_RECORDS_MAX];
	struct node_entry *pointer[WIRE_SAMPLE_RECORDS_MAX];
};

static void
entries_init(struct entries *entries, const struct slice *records, size_t count)
{
	*entries = (struct entries){ 0 };
	for (size_t i = 0; i < count; i++) {
		entries->entry[i].record = records[i];
		entries->pointer[i] = &entries->entry[i];
	}
}

static void
entries_release(struct entries *entries)
{
	for (size_t i = 0; i < WIRE_SAMPLE_RECORDS_MAX; i++)
		free(entries->entry[i].wire_text);
}

void
wire_sample_encode(struct buf *to, const struct raft_message *message,
    const struct slice *records)
{
	struct entries entries;

	entries_init(&entries, records, message->entries_count);
	wire_append_message(to, message, entries.pointer);
	entries_release(&entries);
}

int
wire_sample_decode(struct slice text, struct raft_message *ret_message)
{
	struct wire_records records;
	int rc;

	wire_records_init(&records, WIRE_SAMPLE_RECORDS_MAX);
	rc = wire_decode_message(text, &records, ret_message);
	wire_records_release(&records);
	return rc;
}

void
wire_sample_check_equal(
    const struct raft_message *a, const struct raft_message *b)
{
	ck_assert_int_eq(a->kind, b->kind);
	ck_assert_uint_eq(a->from, b->from);
	ck_assert_uint_eq(a->to, b->to);
	ck_assert_uint_eq(a->term, b->term);
	ck_assert_uint_eq(a->boot_id, b->boot_id);
	ck_assert_uint_eq(a->to_boot_id, b->to_boot_id);
	ck_assert_uint_eq(a->sequence, b->sequence);
	ck_assert_uint_eq(a->last_index, b->last_index);
	ck_assert_uint_eq(a->last_term, b->last_term);
	ck_assert_int_eq(a->transfer, b->transfer);
	ck_assert_int_eq(a->granted, b->granted);
	ck_assert_uint_eq(a->prev_index, b->prev_index);
	ck_assert_uint_eq(a->prev_term, b->prev_term);
	ck_assert_uint_eq(a->commit_index, b->commit_index);
	ck_assert_uint_eq(a->everywhere_index, b->everywhere_index);
	ck_assert_uint_eq(a->round, b->round);
	ck_assert_uint_eq(a->sent_at, b->sent_at);
	ck_assert_uint_eq(a->entries_count, b->entries_count);
	ck_assert_uint_eq(a->read_index, b->read_index);
	ck_assert_int_eq(a->success, b->success);
	ck_assert_uint_eq(a->promise, b->promise);
	ck_assert_uint_eq(a->match_index, b->match_index);
	ck_assert_uint_eq(a->rejected_index, b->rejected_index);
	ck_assert_uint_eq(a->hint_index, b->hint_index);
	ck_assert_uint_eq(a->hint_term, b->hint_term);
	ck_assert_uint_eq(a->state_index, b->state_index);
	ck_assert_uint_eq(a->state_hash, b->state_hash);
	ck_assert_uint_eq(a->agreed_index, b->agreed_index);
	ck_assert_uint_eq(a->agreed_hash, b->agreed_hash);
	ck_assert_int_eq(a->repairing, b->repairing);
	ck_assert_uint_eq(a->snapshot_wanted, b->snapshot_wanted);
}
