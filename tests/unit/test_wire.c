#include "net/wire.h"

#include "common/base64.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/rng.h"
#include "tests/unit/suites.h"
#include "tests/unit/wire_pieces.h"

#include <check.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define RECORDS_MAX   8
#define KINDS_COUNT   9
#define RANDOM_ROUNDS 3000

/*
 * What each kind looks like. A change here is a change of the protocol: raise
 * WIRE_VERSION with it.
 */
static const char *const golden[KINDS_COUNT + 1] = {
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

static const struct raft_message messages[KINDS_COUNT + 1] = {
	[RAFT_PREVOTE_REQUEST] = { .kind = RAFT_PREVOTE_REQUEST,
	    .from = 1,
	    .to = 2,
	    .term = 8,
	    .boot_id = 0xdeadbeef,
	    .sequence = 77,
	    .last_index = 100,
	    .last_term = 7 },
	[RAFT_PREVOTE_RESPONSE] = { .kind = RAFT_PREVOTE_RESPONSE,
	    .from = 1,
	    .to = 2,
	    .term = 8,
	    .boot_id = 0xdeadbeef,
	    .to_boot_id = UINT64_C(0xfedcba9876543210),
	    .sequence = 77,
	    .granted = true },
	[RAFT_VOTE_REQUEST] = { .kind = RAFT_VOTE_REQUEST,
	    .from = 1,
	    .to = 2,
	    .term = 8,
	    .boot_id = 0xdeadbeef,
	    .sequence = 77,
	    .last_index = 100,
	    .last_term = 7,
	    .transfer = true },
	[RAFT_VOTE_RESPONSE] = { .kind = RAFT_VOTE_RESPONSE,
	    .from = 1,
	    .to = 2,
	    .term = 8,
	    .boot_id = 0xdeadbeef,
	    .to_boot_id = UINT64_C(0xfedcba9876543210),
	    .sequence = 77,
	    .granted = true },
	[RAFT_APPEND_REQUEST] = { .kind = RAFT_APPEND_REQUEST,
	    .from = 1,
	    .to = 2,
	    .term = 8,
	    .boot_id = 0xdeadbeef,
	    .sequence = 77,
	    .prev_index = 100,
	    .prev_term = 7,
	    .commit_index = 99,
	    .everywhere_index = 98,
	    .round = 5,
	    .sent_at = 123456789,
	    .state_index = 90,
	    .agreed_index = 80,
	    .agreed_hash = UINT64_C(0x89abcdef01234567),
	    .entries_count = 2 },
	[RAFT_APPEND_RESPONSE] = { .kind = RAFT_APPEND_RESPONSE,
	    .from = 1,
	    .to = 2,
	    .term = 8,
	    .boot_id = 0xdeadbeef,
	    .to_boot_id = UINT64_C(0xfedcba9876543210),
	    .sequence = 77,
	    .round = 5,
	    .sent_at = 123456789,
	    .state_index = 90,
	    .state_hash = UINT64_C(0xfedcba9876543211),
	    .success = true,
	    .promise = 950000,
	    .match_index = 100,
	    .repairing = true,
	    .snapshot_wanted = 70 },
	[RAFT_TIMEOUT_NOW] = { .kind = RAFT_TIMEOUT_NOW,
	    .from = 1,
	    .to = 2,
	    .term = 8,
	    .boot_id = 0xdeadbeef,
	    .sequence = 77,
	    .last_index = 100,
	    .last_term = 7 },
	[RAFT_READ_REQUEST] = { .kind = RAFT_READ_REQUEST,
	    .from = 1,
	    .to = 2,
	    .term = 8,
	    .boot_id = 0xdeadbeef,
	    .sequence = 77 },
	[RAFT_READ_RESPONSE] = { .kind = RAFT_READ_RESPONSE,
	    .from = 1,
	    .to = 2,
	    .term = 8,
	    .boot_id = 0xdeadbeef,
	    .to_boot_id = UINT64_C(0xfedcba9876543210),
	    .sequence = 77,
	    .read_index = 99,
	    .success = true },
};

/* ---- Entries ---- */

/* Entries over records that stay the caller's. */
struct entries {
	struct node_entry entry[RECORDS_MAX];
	struct node_entry *pointer[RECORDS_MAX];
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
	for (size_t i = 0; i < RECORDS_MAX; i++)
		free(entries->entry[i].wire_text);
}

static void
encode(struct buf *to, const struct raft_message *message,
    const struct slice *records)
{
	struct entries entries;

	entries_init(&entries, records, message->entries_count);
	wire_append_message(to, message, entries.pointer);
	entries_release(&entries);
}

static int
decode(struct slice text, struct raft_message *ret_message)
{
	struct wire_records records;
	int rc;

	wire_records_init(&records, RECORDS_MAX);
	rc = wire_decode_message(text, &records, ret_message);
	wire_records_release(&records);
	return rc;
}

/* Whether `text` is refused, and the caller's message left alone. */
static bool
is_refused(struct slice text)
{
	struct raft_message message;
	struct raft_message before;

	memset(&message, 0x5a, sizeof(message));
	before = message;
	return decode(text, &message) == ERR_INVALID &&
	       memcmp(&message, &before, sizeof(message)) == 0;
}

static void
check_equal(const struct raft_message *a, const struct raft_message *b)
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

/* Values that no member may have. */
static const char *const bad_values[] = { "", "null", "-1", "-0", "1.0", "1e3",
	"01", "+1", " 1", "1 ", "0x1", "4611686018427387905",
	"18446744073709551615", "18446744073709551617",
	"99999999999999999999999", "\"1\"", "\"\"", "\"append\"",
	"\"00000000DEADBEEF\"", "\"0000000deadbeef\"", "\"000000000deadbeef\"",
	"\"00000000deadbee\\u0066\"", "TRUE", "tru", "truefalse", "nan", "{}",
	"[[]]", "[1]", "[null]", "[\"Zmlyc3Q\"]", "[\"Zmlyc3Q=\",]",
	"[,\"Zmlyc3Q=\"]", "[\"Zmlyc3Q=\"\"c2Vjb25k\"]", "[\"Zmlyc3R=\"]",
	"[\"Zm ly\"]", "[\"Zmly\\n\"]", "[\"Zmly]", "[ ]" };

START_TEST(message_golden)
{
	enum raft_message_kind kind = (enum raft_message_kind)_i;
	const struct slice records[] = { slice_from_text("first"),
		slice_from_text("second") };
	struct buf text = { 0 };
	struct raft_message message;

	encode(&text, &messages[kind], records);
	buf_append(&text, "", 1);
	ck_assert_str_eq((const char *)text.data, golden[kind]);
	ck_assert_int_eq(decode(slice_from_text(golden[kind]), &message), 0);
	check_equal(&message, &messages[kind]);
	ck_assert_ptr_null(message.entries);
	buf_release(&text);
}
END_TEST

START_TEST(message_records)
{
	struct wire_records records;
	struct raft_message message;

	wire_records_init(&records, RECORDS_MAX);
	ck_assert_int_eq(
	    wire_decode_message(slice_from_text(golden[RAFT_APPEND_REQUEST]),
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
	    (enum raft_message_kind)(1 + rng_below(rng, KINDS_COUNT));
	const struct raft_message *has = &messages[kind];

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
		    (uint32_t)rng_below(rng, RECORDS_MAX + 1);
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
	uint8_t bytes[RECORDS_MAX][300];
	struct slice slices[RECORDS_MAX];
	struct wire_records records;
	struct raft_message message;
	struct raft_message decoded;
	struct buf text = { 0 };
	struct rng rng;

	rng_init(&rng, 20);
	wire_records_init(&records, RECORDS_MAX);
	for (int round = 0; round < RANDOM_ROUNDS; round++) {
		random_message(&rng, &message);
		for (size_t i = 0; i < message.entries_count; i++) {
			size_t size = (size_t)rng_below(&rng, 300);

			for (size_t k = 0; k < size; k++)
				bytes[i][k] = (uint8_t)rng_next(&rng);
			slices[i] = slice_of(bytes[i], size);
		}
		buf_reset(&text);
		encode(&text, &message, slices);
		ck_assert_msg(wire_decode_message(
				  buf_slice(&text), &records, &decoded) == 0,
		    "seed 20, round %d: %.*s", round, (int)text.size,
		    (const char *)text.data);
		check_equal(&decoded, &message);
		for (size_t i = 0; i < message.entries_count; i++)
			ck_assert(slice_equal(records.record[i], slices[i]));
	}
	buf_release(&text);
	wire_records_release(&records);
}
END_TEST

START_TEST(message_splices_kept_text)
{
	struct raft_message message = messages[RAFT_APPEND_REQUEST];
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

START_TEST(message_truncated)
{
	const char *text = golden[_i];
	size_t size = strlen(text);
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	/* Each prefix ends where reading on is a fault. */
	uint8_t *memory = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(memory, MAP_FAILED);
	ck_assert_int_eq(mprotect(memory + page, page, PROT_NONE), 0);
	for (size_t i = 0; i < size; i++) {
		uint8_t *at = memory + page - i;

		memcpy(at, text, i);
		ck_assert_msg(is_refused(slice_of(at, i)), "%zu bytes", i);
	}
	ck_assert_int_eq(munmap(memory, 2 * page), 0);
}
END_TEST

START_TEST(message_member_missing_or_twice)
{
	struct pieces pieces;
	struct buf text = { 0 };

	pieces_split(golden[_i], &pieces);
	pieces_join(&text, &pieces);
	ck_assert(slice_equal(buf_slice(&text), slice_from_text(golden[_i])));
	for (unsigned i = 0; i < pieces.count; i++) {
		struct pieces changed = pieces;

		pieces_remove(&changed, i);
		pieces_join(&text, &changed);
		ck_assert_msg(is_refused(buf_slice(&text)), "without %u", i);
		changed = pieces;
		changed.piece[changed.count++] = pieces.piece[i];
		pieces_join(&text, &changed);
		ck_assert_msg(is_refused(buf_slice(&text)), "twice %u", i);
		if (i == 0)
			continue;
		changed = pieces;
		changed.piece[i] = pieces.piece[i - 1];
		changed.piece[i - 1] = pieces.piece[i];
		pieces_join(&text, &changed);
		ck_assert_msg(is_refused(buf_slice(&text)), "swapped %u", i);
	}
	buf_release(&text);
}
END_TEST

START_TEST(message_member_wrong)
{
	struct pieces pieces;
	struct buf text = { 0 };

	pieces_split(golden[_i], &pieces);
	for (unsigned i = 0; i < pieces.count; i++) {
		for (size_t k = 0; k < ARRAY_COUNT(bad_values); k++) {
			pieces_join_replaced(
			    &text, &pieces, i, slice_from_text(bad_values[k]));
			ck_assert_msg(is_refused(buf_slice(&text)), "%.*s",
			    (int)text.size, (const char *)text.data);
		}
	}
	buf_release(&text);
}
END_TEST

/* A value of another member of the same message is of the wrong type too. */
START_TEST(message_member_of_other_type)
{
	struct pieces pieces;
	struct buf text = { 0 };

	pieces_split(golden[_i], &pieces);
	for (unsigned i = 0; i < pieces.count; i++) {
		for (unsigned k = 0; k < pieces.count; k++) {
			struct slice mine = pieces_value(&pieces, i);
			struct slice other = pieces_value(&pieces, k);
			bool same_type =
			    mine.data[0] == other.data[0] ||
			    (mine.data[0] <= '9' && mine.data[0] >= '0' &&
				other.data[0] <= '9' && other.data[0] >= '0');

			if (same_type)
				continue;
			pieces_join_replaced(&text, &pieces, i, other);
			ck_assert_msg(is_refused(buf_slice(&text)), "%.*s",
			    (int)text.size, (const char *)text.data);
		}
	}
	buf_release(&text);
}
END_TEST

START_TEST(message_other_group)
{
	static const char *const others[] = { "0", "2", "10", "11" };
	struct pieces pieces;
	struct buf text = { 0 };

	pieces_split(golden[_i], &pieces);
	for (size_t i = 0; i < ARRAY_COUNT(others); i++) {
		pieces_join_replaced(
		    &text, &pieces, 1, slice_from_text(others[i]));
		ck_assert(is_refused(buf_slice(&text)));
	}
	buf_release(&text);
}
END_TEST

START_TEST(message_largest_number)
{
	struct raft_message message;
	struct pieces pieces;
	struct buf text = { 0 };

	pieces_split(golden[RAFT_VOTE_REQUEST], &pieces);
	pieces_join_replaced(
	    &text, &pieces, 4, slice_from_text("4611686018427387904"));
	ck_assert_int_eq(decode(buf_slice(&text), &message), 0);
	ck_assert_uint_eq(message.term, RAFT_NUMBER_MAX);
	buf_release(&text);
}
END_TEST

/* Whatever one changed byte makes of it: refused, or read as it stands. */
START_TEST(message_byte_changed)
{
	struct wire_records records;
	struct raft_message message;
	struct buf text = { 0 };
	struct buf again = { 0 };

	wire_records_init(&records, RECORDS_MAX);
	buf_append_text(&text, golden[_i]);
	for (size_t i = 0; i < text.size; i++) {
		uint8_t right = text.data[i];

		for (unsigned byte = 0; byte < 256; byte++) {
			text.data[i] = (uint8_t)byte;
			if (wire_decode_message(
				buf_slice(&text), &records, &message) != 0)
				continue;
			buf_reset(&again);
			encode(&again, &message, records.record);
			ck_assert(
			    slice_equal(buf_slice(&again), buf_slice(&text)));
		}
		text.data[i] = right;
	}
	buf_release(&text);
	buf_release(&again);
	wire_records_release(&records);
}
END_TEST

START_TEST(message_trailing_bytes)
{
	static const char *const tails[] = { " ", "\n", "}", ",", "{}", "x" };
	struct buf text = { 0 };

	for (size_t i = 0; i < ARRAY_COUNT(tails); i++) {
		buf_reset(&text);
		buf_append_text(&text, golden[_i]);
		buf_append_text(&text, tails[i]);
		ck_assert(is_refused(buf_slice(&text)));
	}
	buf_append(&text, "", 1);
	ck_assert(is_refused(buf_slice(&text)));
	buf_release(&text);
}
END_TEST

START_TEST(message_too_many_records)
{
	struct raft_message message = messages[RAFT_APPEND_REQUEST];
	struct slice slices[RECORDS_MAX];
	struct wire_records records;
	struct buf text = { 0 };

	for (size_t i = 0; i < RECORDS_MAX; i++)
		slices[i] = slice_from_text("record");
	message.entries_count = RECORDS_MAX;
	encode(&text, &message, slices);
	wire_records_init(&records, RECORDS_MAX);
	ck_assert_int_eq(
	    wire_decode_message(buf_slice(&text), &records, &message), 0);
	wire_records_release(&records);
	wire_records_init(&records, RECORDS_MAX - 1);
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
	int end = KINDS_COUNT + 1;

	tcase_add_loop_test(message, message_golden, 1, end);
	tcase_add_test(message, message_records);
	tcase_add_test(message, message_round_trip);
	tcase_add_test(message, message_splices_kept_text);
	tcase_add_loop_test(message, message_truncated, 1, end);
	tcase_add_loop_test(message, message_member_missing_or_twice, 1, end);
	tcase_add_loop_test(message, message_member_wrong, 1, end);
	tcase_add_loop_test(message, message_member_of_other_type, 1, end);
	tcase_add_loop_test(message, message_other_group, 1, end);
	tcase_add_test(message, message_largest_number);
	tcase_add_loop_test(message, message_byte_changed, 1, end);
	tcase_add_loop_test(message, message_trailing_bytes, 1, end);
	tcase_add_test(message, message_too_many_records);
	suite_add_tcase(suite, message);
	return suite;
}
