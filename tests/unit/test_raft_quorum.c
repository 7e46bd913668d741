/*
 * Quorums and memberships as pure functions: D3 to D7 and D19 of the scenarios,
 * against brute force where that is possible.
 */

#include "common/rng.h"
#include "tests/lib/raft_solo.h"
#include "tests/unit/suites.h"

#define VOTERS_MAX 7
#define VALUES     5 /* 0 .. 4 */

static struct raft_members
voters(unsigned count)
{
	struct raft_members members = { .count = count };

	for (unsigned i = 0; i < count; i++)
		members.member[i] = (struct raft_member){
			.id = i + 1,
			.role_old = RAFT_MEMBER_VOTER,
			.role_new = RAFT_MEMBER_VOTER,
		};
	return members;
}

static bool
half_reached(const struct raft_members *members, const uint64_t *values,
    uint64_t value, bool old)
{
	unsigned all = 0;
	unsigned reached = 0;

	for (unsigned i = 0; i < members->count; i++) {
		enum raft_member_role role = old ? members->member[i].role_old
						 : members->member[i].role_new;

		if (role != RAFT_MEMBER_VOTER)
			continue;
		all++;
		reached += values[i] >= value;
	}
	return 2 * reached > all;
}

/* The definition: the largest value that each half has a majority at. */
static uint64_t
brute(const struct raft_members *members, const uint64_t *values)
{
	uint64_t value = VALUES;

	while (value > 0 && (!half_reached(members, values, value, false) ||
				(members->joint && !half_reached(members,
						       values, value, true))))
		value--;
	return value;
}

START_TEST(D4_quorum_brute)
{
	for (unsigned count = 1; count <= VOTERS_MAX; count++) {
		struct raft_members members = voters(count);
		uint64_t values[RAFT_MEMBERS_MAX] = { 0 };
		unsigned i = 0;

		while (i < count) {
			ck_assert_uint_eq(raft_quorum_value(&members, values),
			    brute(&members, values));
			/* The next vector, as an odometer turns. */
			for (i = 0; i < count && ++values[i] == VALUES; i++)
				values[i] = 0;
		}
	}
}
END_TEST

START_TEST(D4_quorum_brute_joint)
{
	struct rng rng;

	rng_init(&rng, 4);
	for (unsigned run = 0; run < 20000; run++) {
		unsigned count = (unsigned)rng_between(&rng, 2, 9);
		struct raft_members members = voters(count);
		uint64_t values[RAFT_MEMBERS_MAX];

		members.joint = true;
		for (unsigned i = 0; i < count; i++) {
			/* Learners and those that join count nowhere. */
			members.member[i].role_old =
			    (enum raft_member_role)rng_below(&rng, 4);
			members.member[i].role_new =
			    (enum raft_member_role)rng_below(&rng, 4);
			values[i] = rng_below(&rng, VALUES);
		}
		/* Either half needs a voter. */
		members.member[0].role_old = RAFT_MEMBER_VOTER;
		members.member[1].role_new = RAFT_MEMBER_VOTER;
		ck_assert_uint_eq(raft_quorum_value(&members, values),
		    brute(&members, values));
	}
}
END_TEST

START_TEST(D3_median)
{
	static const struct {
		unsigned count;
		uint64_t values[7];
		uint64_t expected;
	} rows[] = {
		{ 3, { 3, 2, 1 }, 2 },
		{ 3, { 1, 1, 9 }, 1 },
		{ 5, { 9, 9, 3, 1, 1 }, 3 },
		{ 5, { 1, 2, 3, 4, 5 }, 3 },
		{ 7, { 7, 1, 6, 2, 5, 3, 4 }, 4 },
	};

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		struct raft_members members = voters(rows[i].count);

		ck_assert_uint_eq(raft_quorum_value(&members, rows[i].values),
		    rows[i].expected);
	}
}
END_TEST

START_TEST(D5_five_voter_sequence)
{
	/* Updates one by one, in an order that incremental structures that
	 * keep the values sorted get wrong: falling below, then passing. */
	static const struct {
		unsigned voter;
		uint64_t value;
		uint64_t expected;
	} rows[] = {
		{ 0, 3, 0 },
		{ 1, 3, 0 },
		{ 2, 2, 2 },
		{ 2, 4, 3 },
		{ 3, 4, 3 },
		{ 4, 4, 4 },
		{ 0, 5, 4 },
		{ 1, 5, 4 },
		{ 3, 5, 5 },
	};
	struct raft_members members = voters(5);
	uint64_t values[RAFT_MEMBERS_MAX] = { 0 };

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		values[rows[i].voter] = rows[i].value;
		ck_assert_uint_eq(
		    raft_quorum_value(&members, values), rows[i].expected);
	}
}
END_TEST

START_TEST(D6_even_quorum)
{
	struct raft_members two = voters(2);
	struct raft_members four = voters(4);
	const uint64_t half_of_two[] = { 1, 0 };
	const uint64_t half_of_four[] = { 1, 1, 0, 0 };
	const uint64_t three_of_four[] = { 1, 0, 1, 1 };

	ck_assert_uint_eq(raft_quorum_value(&two, half_of_two), 0);
	ck_assert_uint_eq(raft_quorum_value(&four, half_of_four), 0);
	ck_assert_uint_eq(raft_quorum_value(&four, three_of_four), 1);
}
END_TEST

/* Old voters 1, 2, 3; new voters 3, 4, 5. */
static struct raft_members
joint_members(void)
{
	struct raft_members members = voters(5);

	members.joint = true;
	members.member[0].role_new = RAFT_MEMBER_NONE;
	members.member[1].role_new = RAFT_MEMBER_NONE;
	members.member[3].role_old = RAFT_MEMBER_NONE;
	members.member[4].role_old = RAFT_MEMBER_NONE;
	return members;
}

START_TEST(D7_joint_needs_both)
{
	struct raft_members members = joint_members();
	const uint64_t new_only[] = { 0, 0, 9, 9, 9 };
	const uint64_t old_only[] = { 9, 9, 9, 0, 0 };
	const uint64_t both[] = { 0, 9, 9, 9, 0 };

	ck_assert_uint_eq(raft_quorum_value(&members, new_only), 0);
	ck_assert_uint_eq(raft_quorum_value(&members, old_only), 0);
	ck_assert_uint_eq(raft_quorum_value(&members, both), 9);
}
END_TEST

/* What raft_new says to a boot with this membership. */
static int
boot_with(const struct raft_members *members)
{
	struct solo solo;
	struct raft_boot boot = { .boot_id = 1, .members = *members };
	struct raft *raft = NULL;
	int result;

	solo_init(&solo, 1, 1);
	result = raft_new(&raft, &solo.params, &boot, 0);
	raft_free(raft);
	solo_release(&solo);
	return result;
}

START_TEST(D19_zero_voter)
{
	struct raft_members none = { .count = 0 };
	struct raft_members joint = joint_members();

	ck_assert_int_eq(boot_with(&none), ERR_CORRUPT);
	ck_assert_int_eq(boot_with(&joint), 0);
	for (unsigned i = 0; i < joint.count; i++) {
		joint.member[i].role_old = RAFT_MEMBER_NONE;
		joint.member[i].role_new = RAFT_MEMBER_VOTER;
	}
	ck_assert_int_eq(boot_with(&joint), ERR_CORRUPT);
}
END_TEST

START_TEST(D19_malformed_members)
{
	struct raft_members members = voters(3);

	ck_assert_int_eq(boot_with(&members), 0);
	members.member[1].id = 1; /* twice */
	ck_assert_int_eq(boot_with(&members), ERR_CORRUPT);
	members = voters(3);
	members.member[0].id = 0;
	ck_assert_int_eq(boot_with(&members), ERR_CORRUPT);
	members = voters(3);
	members.member[2].role_old = RAFT_MEMBER_NONE; /* not joint */
	ck_assert_int_eq(boot_with(&members), ERR_CORRUPT);
	members = voters(3);
	members.count = RAFT_MEMBERS_MAX + 1;
	ck_assert_int_eq(boot_with(&members), ERR_CORRUPT);
	members = voters(3);
	members.member[2].role_new = (enum raft_member_role)7;
	members.member[2].role_old = (enum raft_member_role)7;
	ck_assert_int_eq(boot_with(&members), ERR_CORRUPT);
}
END_TEST

START_TEST(D19_malformed_replaces)
{
	struct raft_members members = voters(3);

	members.member[2].role_old = RAFT_MEMBER_JOINING;
	members.member[2].role_new = RAFT_MEMBER_JOINING;
	members.member[2].replaces = 2;
	ck_assert_int_eq(boot_with(&members), 0);
	members.member[2].replaces = 3; /* itself */
	ck_assert_int_eq(boot_with(&members), ERR_CORRUPT);
	members.member[2].replaces = 4; /* nobody */
	ck_assert_int_eq(boot_with(&members), ERR_CORRUPT);
	members.member[2].replaces = 2;
	members.member[2].role_old = RAFT_MEMBER_LEARNER;
	members.member[2].role_new = RAFT_MEMBER_LEARNER;
	ck_assert_int_eq(boot_with(&members), ERR_CORRUPT);
}
END_TEST

Suite *
raft_quorum_suite(void)
{
	Suite *suite = suite_create("raft_quorum");
	TCase *quorum = tcase_create("quorum");

	tcase_add_test(quorum, D3_median);
	tcase_add_test(quorum, D4_quorum_brute);
	tcase_add_test(quorum, D4_quorum_brute_joint);
	tcase_add_test(quorum, D5_five_voter_sequence);
	tcase_add_test(quorum, D6_even_quorum);
	tcase_add_test(quorum, D7_joint_needs_both);
	tcase_add_test(quorum, D19_zero_voter);
	tcase_add_test(quorum, D19_malformed_members);
	tcase_add_test(quorum, D19_malformed_replaces);
	suite_add_tcase(suite, quorum);
	return suite;
}
