/*
 * Memberships in the log: in effect on append, rolled back with it, kept over
 * restarts and compaction (A34 and the parts of H that need no change of
 * membership by this node).
 */

#include "tests/lib/raft_solo.h"
#include "tests/unit/suites.h"

static struct solo solo;

static void
set_up(void)
{
	solo_init(&solo, 1, 3);
}

static void
tear_down(void)
{
	solo_release(&solo);
}

static struct raft_members
voters(const raft_id *ids, unsigned count)
{
	struct raft_members members = { .count = count };

	for (unsigned i = 0; i < count; i++)
		members.member[i] = (struct raft_member){
			.id = ids[i],
			.role_old = RAFT_MEMBER_VOTER,
			.role_new = RAFT_MEMBER_VOTER,
		};
	return members;
}

/* An append of one membership and `more` commands, all of `term`. */
static int
append_members(raft_id leader, raft_term term, raft_index prev_index,
    raft_term prev_term, const struct raft_members *members, unsigned more)
{
	struct raft_message append =
	    solo_message(&solo, RAFT_APPEND_REQUEST, leader, term);
	struct raft_entry entries[4];

	ck_assert_uint_lt(more, ARRAY_COUNT(entries));
	for (unsigned i = 0; i <= more; i++)
		entries[i] = (struct raft_entry){
			.term = term,
			.type =
			    i == 0 ? RAFT_ENTRY_MEMBERS : RAFT_ENTRY_COMMAND,
			.members = i == 0 ? members : NULL,
		};
	append.sequence = ++solo.sequence;
	append.prev_index = prev_index;
	append.prev_term = prev_term;
	append.entries = entries;
	append.entries_count = more + 1;
	return solo_deliver(&solo, &append);
}

START_TEST(H3_effective_on_append)
{
	static const raft_id ids[] = { 1, 4, 5 };
	struct raft_members members = voters(ids, 3);
	struct raft_entry entry;

	solo_boot(&solo);
	ck_assert_uint_eq(raft_get_members(solo.raft)->member[1].id, 2);
	ck_assert_int_eq(append_members(2, 1, 0, 0, &members, 1), 0);
	ck_assert(solo.members_changed);
	ck_assert_uint_eq(raft_get_members(solo.raft)->member[1].id, 4);
	ck_assert_uint_eq(raft_get_members(solo.raft)->index, 1);
	ck_assert_int_eq(raft_get_entry(solo.raft, 1, &entry), 0);
	ck_assert_ptr_nonnull(entry.members);
	ck_assert_uint_eq(entry.members->member[2].id, 5);
	/* It is these that are asked for votes, uncommitted as it is. */
	solo_precampaign(&solo);
	ck_assert_ptr_nonnull(solo_sent(&solo, RAFT_PREVOTE_REQUEST, 4));
	ck_assert_ptr_nonnull(solo_sent(&solo, RAFT_PREVOTE_REQUEST, 5));
	ck_assert_ptr_null(solo_sent(&solo, RAFT_PREVOTE_REQUEST, 2));
}
END_TEST

START_TEST(H4_rollback_truncate)
{
	static const raft_id ids[] = { 1, 4, 5 };
	static const raft_term newer[] = { 2 };
	struct raft_members members = voters(ids, 3);

	solo_boot(&solo);
	(void)solo_append(&solo, 2, 1, 0, 0, (const raft_term[]){ 1 }, 1, 0);
	ck_assert_int_eq(append_members(2, 1, 1, 1, &members, 0), 0);
	members.member[2].id = 6;
	ck_assert_int_eq(append_members(2, 1, 2, 1, &members, 0), 0);
	ck_assert_uint_eq(raft_get_members(solo.raft)->member[2].id, 6);
	solo_clear(&solo);
	/* The last one is cut, the one before is in effect again. */
	(void)solo_append(&solo, 3, 2, 2, 1, newer, 1, 0);
	solo_settle(&solo);
	ck_assert(solo.members_changed);
	ck_assert_uint_eq(raft_get_members(solo.raft)->member[2].id, 5);
	/* H5: and back to the initial one. */
	(void)solo_append(&solo, 2, 3, 1, 1, (const raft_term[]){ 3 }, 1, 0);
	solo_settle(&solo);
	ck_assert_uint_eq(raft_get_members(solo.raft)->member[2].id, 3);
	ck_assert_uint_eq(raft_get_members(solo.raft)->index, 0);
}
END_TEST

START_TEST(H6_restart_uncommitted_members)
{
	static const raft_id ids[] = { 1, 4, 5 };
	struct raft_members members = voters(ids, 3);

	solo_boot(&solo);
	ck_assert_int_eq(append_members(2, 1, 0, 0, &members, 2), 0);
	solo_crash(&solo);
	solo_boot(&solo);
	ck_assert_uint_eq(solo_status(&solo).commit_index, 0);
	ck_assert_uint_eq(raft_get_members(solo.raft)->member[1].id, 4);
}
END_TEST

START_TEST(members_survive_compaction)
{
	static const raft_id ids[] = { 1, 4, 5 };
	struct raft_members members = voters(ids, 3);
	struct raft_message append;

	solo_boot(&solo);
	ck_assert_int_eq(append_members(2, 1, 0, 0, &members, 3), 0);
	append = solo_message(&solo, RAFT_APPEND_REQUEST, 2, 1);
	append.prev_index = 4;
	append.prev_term = 1;
	append.commit_index = 4;
	append.everywhere_index = 4;
	append.sequence = 9;
	solo_deliver(&solo, &append);
	ck_assert_int_eq(solo_compact(&solo, 3), 0);
	ck_assert_uint_eq(raft_get_members(solo.raft)->index, 1);
	ck_assert_uint_eq(raft_get_members(solo.raft)->member[1].id, 4);
	solo_crash(&solo);
	solo_boot(&solo);
	ck_assert_uint_eq(solo_status(&solo).compacted_index, 3);
	ck_assert_uint_eq(raft_get_members(solo.raft)->index, 1);
	ck_assert_uint_eq(raft_get_members(solo.raft)->member[1].id, 4);
}
END_TEST

START_TEST(A34_members_changed_between_campaigns)
{
	static const raft_id ids[] = { 1, 4, 5 };
	struct raft_members members = voters(ids, 3);
	struct raft_message removed;

	solo_boot(&solo);
	solo_stand(&solo);
	solo_settle(&solo);
	solo_vote(&solo, solo_sent(&solo, RAFT_VOTE_REQUEST, 2), false);
	solo_vote(&solo, solo_sent(&solo, RAFT_VOTE_REQUEST, 3), false);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_FOLLOWER);
	ck_assert_int_eq(append_members(2, 2, 0, 0, &members, 0), 0);
	solo_stand(&solo);
	solo_settle(&solo);
	removed = solo_answer(
	    &solo, solo_sent(&solo, RAFT_VOTE_REQUEST, 4), RAFT_VOTE_RESPONSE);
	removed.granted = true;
	removed.from = 2;
	solo_deliver(&solo, &removed);
	removed.from = 3;
	solo_deliver(&solo, &removed);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_CANDIDATE);
	removed.from = 4;
	solo_deliver(&solo, &removed);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_LEADER);
}
END_TEST

START_TEST(H17_vote_while_not_member)
{
	/* Out of the committed membership it is quiet, but votes by the
	 * log. */
	static const raft_id ids[] = { 2, 3, 4 };
	struct raft_members members = voters(ids, 3);

	solo_boot(&solo);
	ck_assert_int_eq(append_members(2, 1, 0, 0, &members, 0), 0);
	(void)solo_append(&solo, 2, 1, 1, 1, NULL, 0, 1);
	solo_advance(&solo, 10 * SOLO_ELECTION_TIMEOUT);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_FOLLOWER);
	ck_assert_uint_eq(raft_deadline(solo.raft), RAFT_NEVER);
	ck_assert(solo_ask(&solo, RAFT_VOTE_REQUEST, 4, 2, 1, 1));
}
END_TEST

Suite *
raft_members_suite(void)
{
	Suite *suite = suite_create("raft_members");
	TCase *members = tcase_create("members");

	tcase_add_checked_fixture(members, set_up, tear_down);
	tcase_add_test(members, A34_members_changed_between_campaigns);
	tcase_add_test(members, H3_effective_on_append);
	tcase_add_test(members, H4_rollback_truncate);
	tcase_add_test(members, H6_restart_uncommitted_members);
	tcase_add_test(members, H17_vote_while_not_member);
	tcase_add_test(members, members_survive_compaction);
	suite_add_tcase(suite, members);
	return suite;
}
