#include "node/node_members.h"
#include "node/node_record.h"
#include "tests/unit/suites.h"

#include <stdlib.h>

static const struct node_members three = {
	.count = 3,
	.member = {
	    { .id = 1, .name = "n1", .address = "10.0.0.1:5864" },
	    { .id = 2, .name = "n2", .address = "10.0.0.2:5864" },
	    { .id = 3, .name = "n3", .address = "10.0.0.3:5864" },
	},
};

static struct slice
make_record(uint8_t *bytes, const char *payload, uint64_t previous_chain)
{
	struct node_record record = {
		.type = RAFT_ENTRY_COMMAND,
		.index = 7,
		.term = 3,
		.time_us = 99,
		.payload = slice_from_text(payload),
	};

	node_record_encode(bytes, &record, previous_chain);
	return slice_of(bytes, NODE_RECORD_OVERHEAD + record.payload.size);
}

START_TEST(record_round_trip)
{
	uint8_t bytes[128];
	struct slice encoded = make_record(bytes, "payload", 5);
	struct node_record record;

	ck_assert_int_eq(node_record_decode(encoded, &record), 0);
	ck_assert_int_eq(record.type, RAFT_ENTRY_COMMAND);
	ck_assert_uint_eq(record.index, 7);
	ck_assert_uint_eq(record.term, 3);
	ck_assert_uint_eq(record.time_us, 99);
	ck_assert(slice_equal(record.payload, slice_from_text("payload")));
	ck_assert_uint_eq(record.chain, node_record_chain(encoded, 5));
	ck_assert_uint_ne(record.chain, node_record_chain(encoded, 6));
}
END_TEST

START_TEST(record_every_flipped_bit_is_seen)
{
	uint8_t bytes[128];
	struct slice encoded = make_record(bytes, "payload", 5);
	struct node_record record;

	for (size_t bit = 0; bit < encoded.size * 8; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		ck_assert_int_eq(
		    node_record_decode(encoded, &record), ERR_CORRUPT);
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	ck_assert_int_eq(node_record_decode(encoded, &record), 0);
}
END_TEST

START_TEST(record_cut_at_every_byte_is_refused)
{
	uint8_t bytes[128];
	struct slice encoded = make_record(bytes, "payload", 5);
	struct node_record record;

	for (size_t size = 0; size < encoded.size; size++)
		ck_assert_int_eq(
		    node_record_decode(slice_of(bytes, size), &record),
		    ERR_CORRUPT);
}
END_TEST

START_TEST(record_chain_depends_on_each_part)
{
	uint8_t a[128];
	uint8_t b[128];
	struct slice one = make_record(a, "payload", 5);
	struct slice two = make_record(b, "payloae", 5);

	ck_assert_uint_ne(node_record_chain(one, 5), node_record_chain(two, 5));
}
END_TEST

START_TEST(membership_round_trip_joint)
{
	uint8_t id[NODE_NONCE_SIZE] = { 1, 2, 3 };
	uint8_t decoded_id[NODE_NONCE_SIZE];
	struct node_members members;
	struct raft_members roles;
	struct raft_members decoded;
	struct buf payload = { 0 };

	node_members_to_raft(&three, &roles);
	roles.joint = true;
	roles.member[2].role_old = RAFT_MEMBER_NONE;
	node_membership_encode(&payload, id, &three, &roles);
	ck_assert_int_eq(node_membership_decode(buf_slice(&payload), decoded_id,
			     &members, &decoded),
	    0);
	ck_assert_mem_eq(id, decoded_id, sizeof(id));
	ck_assert(node_members_equal(&members, &three));
	ck_assert(decoded.joint);
	ck_assert_int_eq(decoded.member[2].role_old, RAFT_MEMBER_NONE);
	ck_assert_int_eq(decoded.member[2].role_new, RAFT_MEMBER_VOTER);
	buf_release(&payload);
}
END_TEST

START_TEST(membership_refuses_other_versions_and_cuts)
{
	uint8_t id[NODE_NONCE_SIZE] = { 0 };
	struct node_members members;
	struct raft_members roles;
	struct buf payload = { 0 };

	node_members_to_raft(&three, &roles);
	node_membership_encode(&payload, id, &three, &roles);
	for (size_t size = 0; size < payload.size; size++)
		ck_assert_int_eq(
		    node_membership_decode(
			slice_of(payload.data, size), id, &members, &roles),
		    ERR_CORRUPT);
	payload.data[0]++;
	ck_assert_int_eq(
	    node_membership_decode(buf_slice(&payload), id, &members, &roles),
	    ERR_VERSION);
	buf_release(&payload);
}
END_TEST

Suite *
node_record_suite(void)
{
	Suite *suite = suite_create("node_record");
	TCase *tcase = tcase_create("record");

	tcase_add_test(tcase, record_round_trip);
	tcase_add_test(tcase, record_every_flipped_bit_is_seen);
	tcase_add_test(tcase, record_cut_at_every_byte_is_refused);
	tcase_add_test(tcase, record_chain_depends_on_each_part);
	tcase_add_test(tcase, membership_round_trip_joint);
	tcase_add_test(tcase, membership_refuses_other_versions_and_cuts);
	suite_add_tcase(suite, tcase);
	return suite;
}
