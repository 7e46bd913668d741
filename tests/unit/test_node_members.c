#include "node/node_members.h"
#include "tests/unit/suites.h"

#include <stdio.h>
#include <string.h>

static const uint8_t cluster_id[NODE_NONCE_SIZE] = { 1, 2, 3 };

/* n1, a voter that leaves; n2, a voter; n3, which is joining for n1. */
static struct node_membership
make_membership(void)
{
	struct node_membership membership = {
		.roles = { .joint = true, .count = 3 },
	};

	for (unsigned i = 0; i < 3; i++) {
		struct node_member member = { .id = i + 1 };

		snprintf(member.name, sizeof(member.name), "n%u", i + 1);
		snprintf(member.address, sizeof(member.address),
		    "10.0.0.%u:5864", i + 1);
		memset(member.directory, (int)i + 7, NODE_NONCE_SIZE);
		node_members_add(&membership.members, &member);
		membership.roles.member[i].id = i + 1;
	}
	membership.roles.member[0].role_old = RAFT_MEMBER_VOTER;
	membership.roles.member[1].role_old = RAFT_MEMBER_VOTER;
	membership.roles.member[1].role_new = RAFT_MEMBER_VOTER;
	membership.roles.member[2].role_old = RAFT_MEMBER_LEARNER;
	membership.roles.member[2].role_new = RAFT_MEMBER_JOINING;
	membership.roles.member[2].replaces = 1;
	return membership;
}

static struct buf
encode(const struct node_membership *membership)
{
	struct buf bytes = { 0 };

	node_membership_encode(
	    &bytes, cluster_id, &membership->members, &membership->roles);
	return bytes;
}

static int
decode(struct slice bytes, struct node_membership *ret_membership)
{
	uint8_t id[NODE_NONCE_SIZE];
	int error = node_membership_decode(
	    bytes, id, &ret_membership->members, &ret_membership->roles);

	if (error == 0)
		ck_assert_mem_eq(id, cluster_id, sizeof(id));
	return error;
}

START_TEST(all_of_a_membership_comes_back)
{
	struct node_membership before = make_membership();
	struct node_membership after = { .roles.index = 0 };
	struct buf bytes = encode(&before);

	ck_assert_int_eq(decode(buf_slice(&bytes), &after), 0);
	ck_assert(after.roles.joint);
	ck_assert_uint_eq(after.roles.count, 3);
	for (unsigned i = 0; i < 3; i++) {
		const struct raft_member *a = &before.roles.member[i];
		const struct raft_member *b = &after.roles.member[i];

		ck_assert_uint_eq(a->id, b->id);
		ck_assert_int_eq(a->role_old, b->role_old);
		ck_assert_int_eq(a->role_new, b->role_new);
		ck_assert_uint_eq(a->replaces, b->replaces);
		ck_assert_mem_eq(before.members.member[i].directory,
		    after.members.member[i].directory, NODE_NONCE_SIZE);
	}
	ck_assert(node_members_equal(&before.members, &after.members));
	buf_release(&bytes);
}
END_TEST

/* The roles are the last 3 times 10 bytes. */
START_TEST(H37_unknown_role_is_of_a_newer_version)
{
	struct node_membership membership = make_membership();
	struct buf bytes = encode(&membership);

	for (unsigned i = 0; i < 3; i++) {
		for (unsigned half = 0; half < 2; half++) {
			size_t at = bytes.size - 30 + 10 * i + half;
			uint8_t role = bytes.data[at];

			bytes.data[at] = RAFT_MEMBER_JOINING + 1;
			ck_assert_int_eq(decode(buf_slice(&bytes), &membership),
			    ERR_VERSION);
			bytes.data[at] = role;
		}
	}
	buf_release(&bytes);
}
END_TEST

START_TEST(H37_other_version_is_refused)
{
	struct node_membership membership = make_membership();
	struct buf bytes = encode(&membership);

	bytes.data[0]++;
	ck_assert_int_eq(decode(buf_slice(&bytes), &membership), ERR_VERSION);
	buf_release(&bytes);
}
END_TEST

START_TEST(every_truncation_and_anything_behind_is_refused)
{
	struct node_membership membership = make_membership();
	struct buf bytes = encode(&membership);

	for (size_t size = 0; size < bytes.size; size++)
		ck_assert_int_ne(
		    decode(slice_of(bytes.data, size), &membership), 0);
	codec_append_u8(&bytes, 0);
	ck_assert_int_eq(decode(buf_slice(&bytes), &membership), ERR_CORRUPT);
	buf_release(&bytes);
}
END_TEST

static void
refuse(struct node_membership *membership)
{
	struct buf bytes = encode(membership);

	ck_assert_int_eq(decode(buf_slice(&bytes), membership), ERR_CORRUPT);
	buf_release(&bytes);
}

START_TEST(names_differ)
{
	struct node_membership membership = make_membership();

	snprintf(membership.members.member[2].name, NODE_NAME_SIZE_MAX, "n1");
	refuse(&membership);
}
END_TEST

START_TEST(ids_ascend)
{
	struct node_membership membership = make_membership();

	membership.members.member[1].id = 9;
	membership.roles.member[1].id = 9;
	refuse(&membership);
	membership = make_membership();
	membership.members.member[0].id = 0;
	membership.roles.member[0].id = 0;
	refuse(&membership);
}
END_TEST

START_TEST(dropping_keeps_the_others_in_order)
{
	struct node_membership membership = make_membership();

	node_members_drop(&membership.members, 2);
	node_members_drop(&membership.members, 9);
	ck_assert_uint_eq(membership.members.count, 2);
	ck_assert_uint_eq(membership.members.member[0].id, 1);
	ck_assert_uint_eq(membership.members.member[1].id, 3);
	ck_assert_ptr_null(node_members_find_name(&membership.members, "n2"));
}
END_TEST

Suite *
node_members_suite(void)
{
	Suite *suite = suite_create("node_members");
	TCase *payload = tcase_create("payload");

	tcase_add_test(payload, all_of_a_membership_comes_back);
	tcase_add_test(payload, H37_unknown_role_is_of_a_newer_version);
	tcase_add_test(payload, H37_other_version_is_refused);
	tcase_add_test(
	    payload, every_truncation_and_anything_behind_is_refused);
	tcase_add_test(payload, names_differ);
	tcase_add_test(payload, ids_ascend);
	tcase_add_test(payload, dropping_keeps_the_others_in_order);
	suite_add_tcase(suite, payload);
	return suite;
}
