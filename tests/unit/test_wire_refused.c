/* Texts that are no messages of peers are refused as a whole. */

#include "common/err.h"
#include "common/macros.h"
#include "tests/unit/suites.h"
#include "tests/unit/wire_pieces.h"
#include "tests/unit/wire_samples.h"
#include <sys/mman.h>
#include <unistd.h>

/* Whether `text` is refused, and the caller's message left alone. */
static bool
is_refused(struct slice text)
{
	struct raft_message message;
	struct raft_message before;

	memset(&message, 0x5a, sizeof(message));
	before = message;
	return wire_sample_decode(text, &message) == ERR_INVALID &&
	       memcmp(&message, &before, sizeof(message)) == 0;
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

START_TEST(message_truncated)
{
	const char *text = wire_golden[_i];
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

	pieces_split(wire_golden[_i], &pieces);
	pieces_join(&text, &pieces);
	ck_assert(
	    slice_equal(buf_slice(&text), slice_from_text(wire_golden[_i])));
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

	pieces_split(wire_golden[_i], &pieces);
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

	pieces_split(wire_golden[_i], &pieces);
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

	pieces_split(wire_golden[_i], &pieces);
	for (size_t i = 0; i < ARRAY_COUNT(others); i++) {
		pieces_join_replaced(
		    &text, &pieces, 1, slice_from_text(others[i]));
		ck_assert(is_refused(buf_slice(&text)));
	}
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

	wire_records_init(&records, WIRE_SAMPLE_RECORDS_MAX);
	buf_append_text(&text, wire_golden[_i]);
	for (size_t i = 0; i < text.size; i++) {
		uint8_t right = text.data[i];

		for (unsigned byte = 0; byte < 256; byte++) {
			text.data[i] = (uint8_t)byte;
			if (wire_decode_message(
				buf_slice(&text), &records, &message) != 0)
				continue;
			buf_reset(&again);
			wire_sample_encode(&again, &message, records.record);
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
		buf_append_text(&text, wire_golden[_i]);
		buf_append_text(&text, tails[i]);
		ck_assert(is_refused(buf_slice(&text)));
	}
	buf_append(&text, "", 1);
	ck_assert(is_refused(buf_slice(&text)));
	buf_release(&text);
}
END_TEST

Suite *
wire_refused_suite(void)
{
	Suite *suite = suite_create("wire_refused");
	TCase *refused = tcase_create("refused");
	int end = WIRE_KINDS_COUNT + 1;

	tcase_add_loop_test(refused, message_truncated, 1, end);
	tcase_add_loop_test(refused, message_member_missing_or_twice, 1, end);
	tcase_add_loop_test(refused, message_member_wrong, 1, end);
	tcase_add_loop_test(refused, message_member_of_other_type, 1, end);
	tcase_add_loop_test(refused, message_other_group, 1, end);
	tcase_add_loop_test(refused, message_byte_changed, 1, end);
	tcase_add_loop_test(refused, message_trailing_bytes, 1, end);
	suite_add_tcase(suite, refused);
	return suite;
}
