#include "common/codec.h"
#include "common/hash.h"
#include "node/node_snapshot.h"
#include "tests/unit/suites.h"

static const struct node_snapshot_id some_id = {
	.index = 1000,
	.term = 7,
	.state_hash = 0x1122334455667788,
};

static struct kv_position
position_of(uint8_t table, const char *key)
{
	struct kv_position position = {
		.table = table,
		.key_size = (uint16_t)strlen(key),
	};

	memcpy(position.key, key, strlen(key));
	return position;
}

static void
encode_piece(struct buf *to, const struct node_piece *piece)
{
	buf_reset(to);
	node_piece_begin(to, piece);
	buf_append_slice(to, piece->records);
	node_piece_end(to);
}

/* Of each kind, with all that it has. */
static struct node_piece
some_piece(enum node_piece_kind kind)
{
	struct node_piece piece = { .kind = kind, .id = some_id };

	switch (kind) {
	case NODE_PIECE_OFFER:
		piece.chain = 0x99;
		piece.time_us = 12345678;
		piece.revision = 900;
		piece.bytes = UINT64_MAX;
		break;
	case NODE_PIECE_RECORDS:
		piece.records = slice_from_text("records");
		piece.position = position_of(1, "key");
		break;
	case NODE_PIECE_END: piece.position = position_of(1, "last"); break;
	}
	return piece;
}

static struct node_answer
some_answer(enum node_answer_kind kind)
{
	struct node_answer answer = { .kind = kind, .id = some_id };

	if (kind == NODE_ANSWER_GO_ON)
		answer.position = position_of(1, "key");
	if (kind == NODE_ANSWER_REFUSED)
		answer.reason = ERR_NO_SPACE;
	return answer;
}

START_TEST(piece_comes_back)
{
	struct node_piece piece = some_piece((enum node_piece_kind)_i);
	struct node_piece back;
	struct buf bytes = { 0 };

	encode_piece(&bytes, &piece);
	ck_assert_int_eq(node_piece_decode(buf_slice(&bytes), &back), 0);
	ck_assert_int_eq(back.kind, piece.kind);
	ck_assert(node_snapshot_id_equal(&back.id, &piece.id));
	ck_assert_uint_eq(back.chain, piece.chain);
	ck_assert_uint_eq(back.time_us, piece.time_us);
	ck_assert_uint_eq(back.revision, piece.revision);
	ck_assert_uint_eq(back.bytes, piece.bytes);
	ck_assert(node_position_equal(&back.position, &piece.position));
	ck_assert(slice_equal(back.records, piece.records));
	buf_release(&bytes);
}
END_TEST

START_TEST(answer_comes_back)
{
	struct node_answer answer = some_answer((enum node_answer_kind)_i);
	struct node_answer back;
	struct buf bytes = { 0 };

	node_answer_encode(&bytes, &answer);
	ck_assert_int_eq(node_answer_decode(buf_slice(&bytes), &back), 0);
	ck_assert_int_eq(back.kind, answer.kind);
	ck_assert(node_snapshot_id_equal(&back.id, &answer.id));
	ck_assert(node_position_equal(&back.position, &answer.position));
	ck_assert_int_eq(back.reason, answer.reason);
	buf_release(&bytes);
}
END_TEST

/* It is appended to what the transport has there already. */
START_TEST(answer_is_appended)
{
	struct node_answer answer = some_answer(NODE_ANSWER_DONE);
	struct node_answer back;
	struct buf bytes = { 0 };

	buf_append_text(&bytes, "before");
	node_answer_encode(&bytes, &answer);
	buf_drain(&bytes, 6);
	ck_assert_int_eq(node_answer_decode(buf_slice(&bytes), &back), 0);
	buf_release(&bytes);
}
END_TEST

/* Scenario G35. */
START_TEST(every_flipped_bit_of_a_piece_is_found)
{
	struct node_piece piece = some_piece((enum node_piece_kind)_i);
	struct buf bytes = { 0 };

	encode_piece(&bytes, &piece);
	for (size_t bit = 0; bit < bytes.size * 8; bit++) {
		bytes.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		ck_assert_int_eq(
		    node_piece_decode(buf_slice(&bytes), &piece), ERR_INVALID);
		bytes.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	buf_release(&bytes);
}
END_TEST

START_TEST(every_flipped_bit_of_an_answer_is_found)
{
	struct node_answer answer = some_answer((enum node_answer_kind)_i);
	struct buf bytes = { 0 };

	node_answer_encode(&bytes, &answer);
	for (size_t bit = 0; bit < bytes.size * 8; bit++) {
		bytes.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		ck_assert_int_eq(node_answer_decode(buf_slice(&bytes), &answer),
		    ERR_INVALID);
		bytes.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	buf_release(&bytes);
}
END_TEST

/* Puts the right sum behind bytes that are not a piece. */
static int
decode_summed(struct buf *bytes, size_t size)
{
	struct node_piece piece;

	bytes->size = size;
	node_piece_end(bytes);
	return node_piece_decode(buf_slice(bytes), &piece);
}

START_TEST(every_prefix_of_a_piece_is_refused)
{
	struct node_piece piece = some_piece((enum node_piece_kind)_i);
	struct node_piece back;
	struct buf bytes = { 0 };
	size_t size;

	encode_piece(&bytes, &piece);
	size = bytes.size - 4 - piece.records.size;
	for (size_t i = 0; i < bytes.size; i++)
		ck_assert_int_eq(
		    node_piece_decode(slice_of(bytes.data, i), &back),
		    ERR_INVALID);
	/* Also when the sum says that they are meant like that. */
	for (size_t i = 0; i < size; i++) {
		encode_piece(&bytes, &piece);
		ck_assert_int_eq(decode_summed(&bytes, i), ERR_INVALID);
	}
	buf_release(&bytes);
}
END_TEST

START_TEST(every_prefix_of_an_answer_is_refused)
{
	struct node_answer answer = some_answer((enum node_answer_kind)_i);
	struct node_answer back;
	struct buf bytes = { 0 };
	size_t size;

	node_answer_encode(&bytes, &answer);
	size = bytes.size - 4;
	for (size_t i = 0; i < size; i++) {
		buf_reset(&bytes);
		node_answer_encode(&bytes, &answer);
		bytes.size = i;
		node_piece_end(&bytes);
		ck_assert_int_eq(
		    node_answer_decode(buf_slice(&bytes), &back), ERR_INVALID);
	}
	buf_release(&bytes);
}
END_TEST

/* Offsets of what decides, in every piece: see node_snapshot.h. */
enum { VERSION_AT = 0, KIND_AT = 1, INDEX_AT = 2, POSITION_AT = 26 };

struct change {
	const char *what;
	enum node_piece_kind kind;
	size_t at;
	uint8_t byte;
};

static const struct change changes[] = {
	{ "another version", NODE_PIECE_OFFER, VERSION_AT, 2 },
	{ "no kind", NODE_PIECE_OFFER, KIND_AT, 0 },
	{ "an unknown kind", NODE_PIECE_OFFER, KIND_AT, 4 },
	{ "an offer as an end", NODE_PIECE_OFFER, KIND_AT, NODE_PIECE_END },
	{ "an end as an offer", NODE_PIECE_END, KIND_AT, NODE_PIECE_OFFER },
	{ "an unknown table", NODE_PIECE_END, POSITION_AT, KV_TABLES_COUNT },
	{ "a long key", NODE_PIECE_RECORDS, POSITION_AT + 1, 255 },
	{ "a short key", NODE_PIECE_END, POSITION_AT + 2, 1 },
};

START_TEST(strange_pieces_are_refused)
{
	const struct change *change = &changes[_i];
	struct node_piece piece = some_piece(change->kind);
	struct buf bytes = { 0 };

	encode_piece(&bytes, &piece);
	bytes.data[change->at] = change->byte;
	if (decode_summed(&bytes, bytes.size - 4) != ERR_INVALID)
		ck_abort_msg("%s was taken", change->what);
	buf_release(&bytes);
}
END_TEST

START_TEST(a_beginning_in_another_table_is_refused)
{
	struct node_piece piece = some_piece(NODE_PIECE_END);
	struct buf bytes = { 0 };

	piece.position = position_of(1, "");
	encode_piece(&bytes, &piece);
	ck_assert_int_eq(
	    node_piece_decode(buf_slice(&bytes), &piece), ERR_INVALID);
	buf_release(&bytes);
}
END_TEST

START_TEST(index_and_term_zero_are_refused)
{
	struct node_piece piece = some_piece(NODE_PIECE_OFFER);
	struct node_piece back;
	struct buf bytes = { 0 };

	piece.id.index = 0;
	encode_piece(&bytes, &piece);
	ck_assert_int_eq(
	    node_piece_decode(buf_slice(&bytes), &back), ERR_INVALID);
	piece.id = some_id;
	piece.id.term = 0;
	encode_piece(&bytes, &piece);
	ck_assert_int_eq(
	    node_piece_decode(buf_slice(&bytes), &back), ERR_INVALID);
	buf_release(&bytes);
}
END_TEST

START_TEST(a_refusal_has_a_reason)
{
	struct node_answer answer = some_answer(NODE_ANSWER_REFUSED);
	struct buf bytes = { 0 };

	answer.reason = 0;
	node_answer_encode(&bytes, &answer);
	ck_assert_int_eq(
	    node_answer_decode(buf_slice(&bytes), &answer), ERR_INVALID);
	buf_release(&bytes);
}
END_TEST

Suite *
node_piece_suite(void)
{
	Suite *suite = suite_create("node_piece");
	TCase *tcase = tcase_create("node_piece");

	suite_add_tcase(suite, tcase);
	tcase_add_loop_test(tcase, piece_comes_back, 1, 4);
	tcase_add_loop_test(tcase, answer_comes_back, 1, 5);
	tcase_add_test(tcase, answer_is_appended);
	tcase_add_loop_test(tcase, every_flipped_bit_of_a_piece_is_found, 1, 4);
	tcase_add_loop_test(
	    tcase, every_flipped_bit_of_an_answer_is_found, 1, 5);
	tcase_add_loop_test(tcase, every_prefix_of_a_piece_is_refused, 1, 4);
	tcase_add_loop_test(tcase, every_prefix_of_an_answer_is_refused, 1, 5);
	tcase_add_loop_test(
	    tcase, strange_pieces_are_refused, 0, (int)ARRAY_COUNT(changes));
	tcase_add_test(tcase, a_beginning_in_another_table_is_refused);
	tcase_add_test(tcase, index_and_term_zero_are_refused);
	tcase_add_test(tcase, a_refusal_has_a_reason);
	return suite;
}
