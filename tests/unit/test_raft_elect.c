/* Terms, votes and elections: group A of the scenarios. */

#include "tests/lib/raft_cluster.h"
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

static void
boot_with(raft_term term, raft_id vote, const raft_term *terms, size_t count)
{
	solo_preset(&solo, term, vote, terms, count);
	solo_boot_voter(&solo);
}

/* Brings a booted core into `role`, at term 1 if it is not a follower. */
static void
bring_into(enum raft_role role)
{
	if (role == RAFT_PRECANDIDATE)
		solo_precampaign(&solo);
	if (role == RAFT_CANDIDATE) {
		solo_stand(&solo);
		solo_settle(&solo);
	}
	if (role == RAFT_LEADER)
		solo_lead(&solo);
	ck_assert_int_eq(solo_status(&solo).role, role);
}

START_TEST(A1_adopt_term)
{
	static const enum raft_message_kind kinds[] = {
		RAFT_APPEND_REQUEST,
		RAFT_APPEND_RESPONSE,
		RAFT_VOTE_RESPONSE,
		RAFT_PREVOTE_RESPONSE,
	};

	/* Loop: role and kind. */
	struct raft_message message;
	struct raft_accepted accepted;

	solo_boot(&solo);
	bring_into((enum raft_role)(_i / 4));
	message = solo_message(&solo, kinds[_i % 4], 2, 9);
	message.to_boot_id = kinds[_i % 4] == RAFT_APPEND_REQUEST ? 0 : 1000001;
	ck_assert_int_eq(solo_receive(&solo, &message, &accepted), 0);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_FOLLOWER);
	ck_assert_uint_eq(solo_status(&solo).term, 9);
	ck_assert_uint_eq(solo_status(&solo).vote, 0);
	/* No answer leaves before the term is durable. */
	solo_clear(&solo);
	solo_take(&solo);
	ck_assert_uint_eq(solo.sent_count, 0);
	ck_assert_uint_eq(solo.persist.term, 9);
	solo_settle(&solo);
	ck_assert_uint_eq(
	    solo.sent_count, kinds[_i % 4] == RAFT_APPEND_REQUEST);
}
END_TEST

START_TEST(A2_reject_stale)
{
	static const raft_term terms[] = { 1, 2 };
	const struct raft_message *answer;
	raft_usec deadline;

	boot_with(5, 0, terms, 2);
	deadline = raft_deadline(solo.raft);
	solo.now += 1000;
	ck_assert_int_eq(solo_append(&solo, 2, 4, 2, 2, terms, 0, 0), 0);
	ck_assert_int_eq(solo_append(&solo, 2, 4, 1, 1, terms, 1, 0), 0);
	solo_settle(&solo);
	answer = solo_sent(&solo, RAFT_APPEND_RESPONSE, 2);
	ck_assert_ptr_nonnull(answer);
	ck_assert(!answer->success);
	ck_assert_uint_eq(answer->term, 5);
	ck_assert(!solo_ask(&solo, RAFT_VOTE_REQUEST, 3, 4, 9, 3));
	answer = solo_sent(&solo, RAFT_VOTE_RESPONSE, 3);
	ck_assert_uint_eq(answer->term, 5);
	ck_assert_uint_eq(solo_status(&solo).last_index, 2);
	ck_assert_uint_eq(raft_deadline(solo.raft), deadline);
	ck_assert_uint_eq(solo.persists_count, 0);
}
END_TEST

START_TEST(A3_boot_follower)
{
	static const raft_term terms[] = { 1, 2, 2 };
	raft_usec since = solo.now;
	raft_usec waits;

	/* A leader and a candidate leave the same disk behind. */
	boot_with(4, _i == 0 ? 0 : 1, terms, 3);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_FOLLOWER);
	ck_assert_uint_eq(solo_status(&solo).leader, 0);
	ck_assert_uint_eq(solo_status(&solo).term, 4);
	waits = raft_deadline(solo.raft) - since;
	ck_assert_uint_ge(waits, SOLO_ELECTION_TIMEOUT);
	ck_assert_uint_le(waits, 2 * SOLO_ELECTION_TIMEOUT);
	ck_assert(!solo_take(&solo));
}
END_TEST

START_TEST(A4_timeout_campaigns)
{
	solo_boot(&solo);
	solo_precampaign(&solo);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_PRECANDIDATE);
	ck_assert_uint_eq(solo_status(&solo).term, 0);
	ck_assert_uint_eq(solo.sent_count, 2);
	ck_assert_uint_eq(solo_sent(&solo, RAFT_PREVOTE_REQUEST, 2)->term, 1);
	ck_assert_uint_eq(solo_sent(&solo, RAFT_PREVOTE_REQUEST, 3)->term, 1);
	ck_assert_uint_eq(solo.persists_count, 0);
	solo_vote(&solo, solo_sent(&solo, RAFT_PREVOTE_REQUEST, 3), true);
	solo_settle(&solo);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_CANDIDATE);
	ck_assert_uint_eq(solo_status(&solo).term, 1);
	ck_assert_uint_eq(solo_status(&solo).vote, 1);
	ck_assert_uint_eq(solo_sent_count(&solo, RAFT_VOTE_REQUEST), 2);
}
END_TEST

START_TEST(A5_candidate_retries)
{
	struct raft_message first;

	solo_init(&solo, 1, 5);
	solo_boot(&solo);
	solo_stand(&solo);
	solo_settle(&solo);
	first = *solo_sent(&solo, RAFT_VOTE_REQUEST, 2);
	solo_vote(&solo, &first, true);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_CANDIDATE);
	solo_stand(&solo);
	solo_settle(&solo);
	ck_assert_uint_eq(solo_status(&solo).term, 2);
	/* One vote of now and one of before are no three of five. */
	solo_vote(&solo, &first, true);
	solo_vote(&solo, solo_sent(&solo, RAFT_VOTE_REQUEST, 3), true);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_CANDIDATE);
	solo_vote(&solo, solo_sent(&solo, RAFT_VOTE_REQUEST, 2), true);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_LEADER);
}
END_TEST

START_TEST(A6_random_spread)
{
	raft_usec least = RAFT_NEVER;
	raft_usec most = 0;

	for (uint64_t seed = 1; seed <= 1000; seed++) {
		raft_usec waits;

		solo_init(&solo, 1, 3);
		solo.params.seed = seed;
		solo_boot(&solo);
		if (_i == 1)
			solo_stand(&solo);
		waits = raft_deadline(solo.raft) - solo.now;
		least = MIN(least, waits);
		most = MAX(most, waits);
		solo_release(&solo);
	}
	solo_init(&solo, 1, 3);
	ck_assert_uint_ge(least, SOLO_ELECTION_TIMEOUT);
	ck_assert_uint_le(most, 2 * SOLO_ELECTION_TIMEOUT);
	/* Nearly the whole range is used. */
	ck_assert_uint_le(least, SOLO_ELECTION_TIMEOUT * 11 / 10);
	ck_assert_uint_ge(most, SOLO_ELECTION_TIMEOUT * 19 / 10);
}
END_TEST

START_TEST(A7_non_conflict)
{
	unsigned terms_lost = 0;

	for (uint64_t seed = 1; seed <= 100; seed++) {
		struct cluster cluster;

		cluster_init(&cluster, _i == 0 ? 3 : 5, seed);
		cluster_boot_all(&cluster);
		(void)cluster_elect(&cluster, 2000000);
		terms_lost +=
		    cluster_status(&cluster, cluster_leader(&cluster)).term !=
		    1;
		cluster_release(&cluster);
	}
	ck_assert_uint_le(terms_lost, 15);
}
END_TEST

/* The role of a candidate among `count` voters after these answers. */
static enum raft_role
tally(unsigned count, unsigned grants, unsigned denials)
{
	enum raft_role role;

	solo_init(&solo, 1, count);
	solo_boot(&solo);
	solo_stand(&solo);
	solo_settle(&solo);
	for (raft_id id = 2; id <= 1 + grants + denials; id++)
		(void)solo_vote(&solo, solo_sent(&solo, RAFT_VOTE_REQUEST, id),
		    id <= 1 + grants);
	role = solo_status(&solo).role;
	solo_release(&solo);
	return role;
}

START_TEST(A8_tally_table)
{
	static const unsigned counts[] = { 2, 3, 4, 5, 7 };
	unsigned count = counts[_i];
	unsigned majority = count / 2 + 1;

	for (unsigned grants = 0; grants < count; grants++) {
		for (unsigned denials = 0; grants + denials < count;
		     denials++) {
			enum raft_role expected = RAFT_CANDIDATE;

			/* The own vote is a grant. Whoever is decided does
			 * not see the rest: grants come first. */
			if (grants + 1 >= majority)
				expected = RAFT_LEADER;
			else if (count - denials < majority)
				expected = RAFT_FOLLOWER;
			ck_assert_int_eq(
			    tally(count, grants, denials), expected);
		}
	}
	solo_init(&solo, 1, 3);
}
END_TEST

START_TEST(A9_one_vote_per_term)
{
	solo_boot(&solo);
	ck_assert(solo_ask(&solo, RAFT_VOTE_REQUEST, 2, 3, 0, 0));
	ck_assert(!solo_ask(&solo, RAFT_VOTE_REQUEST, 3, 3, 0, 0));
	ck_assert(solo_ask(&solo, RAFT_VOTE_REQUEST, 2, 3, 0, 0));
}
END_TEST

START_TEST(A10_vote_after_restart)
{
	solo_boot_voter(&solo);
	ck_assert(solo_ask(&solo, RAFT_VOTE_REQUEST, 2, 3, 0, 0));
	solo_crash(&solo);
	solo_boot_voter(&solo);
	ck_assert(!solo_ask(&solo, RAFT_VOTE_REQUEST, 3, 3, 0, 0));
	ck_assert(solo_ask(&solo, RAFT_VOTE_REQUEST, 2, 3, 0, 0));
}
END_TEST

START_TEST(A11_vote_not_durable)
{
	struct raft_message request;
	struct raft_accepted accepted;

	solo_boot(&solo);
	request = solo_message(&solo, RAFT_VOTE_REQUEST, 2, 3);
	ck_assert_int_eq(solo_receive(&solo, &request, &accepted), 0);
	solo_take(&solo);
	ck_assert(solo.persist_open);
	ck_assert_uint_eq(solo_sent_count(&solo, RAFT_VOTE_RESPONSE), 0);
	solo_take(&solo);
	ck_assert_uint_eq(solo_sent_count(&solo, RAFT_VOTE_RESPONSE), 0);
	solo_crash(&solo);
	solo_boot(&solo);
	ck_assert(solo_ask(&solo, RAFT_VOTE_REQUEST, 3, 3, 0, 0));
}
END_TEST

START_TEST(A12_vote_atomic)
{
	struct raft_message request;
	struct raft_accepted accepted;

	solo_preset(&solo, 2, 3, NULL, 0);
	solo_boot_voter(&solo);
	request = solo_message(&solo, RAFT_VOTE_REQUEST, 2, 5);
	ck_assert_int_eq(solo_receive(&solo, &request, &accepted), 0);
	/* A crash before, and one after, the only write there is. */
	solo_take(&solo);
	ck_assert_uint_eq(solo.persists_count, 1);
	ck_assert_uint_eq(solo.persist.term, 5);
	ck_assert_uint_eq(solo.persist.vote, 2);
	if (_i == 1)
		solo_persisted(&solo);
	solo_crash(&solo);
	solo_boot_voter(&solo);
	ck_assert_uint_eq(solo_status(&solo).term, _i == 1 ? 5 : 2);
	ck_assert_uint_eq(solo_status(&solo).vote, _i == 1 ? 2 : 3);
}
END_TEST

START_TEST(A13_up_to_date_rule)
{
	static const raft_term terms[] = { 1, 2, 2 }; /* own last: 3/t2 */
	static const struct {
		raft_index index;
		raft_term term;
		bool granted;
	} rows[] = {
		{ 0, 0, false },
		{ 1, 1, false },
		{ 9, 1, false },
		{ 2, 2, false },
		{ 3, 2, true },
		{ 4, 2, true },
		{ 1, 3, true },
		{ 3, 3, true },
		{ 9, 4, true },
	};

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		enum raft_message_kind kind =
		    _i == 0 ? RAFT_VOTE_REQUEST : RAFT_PREVOTE_REQUEST;

		solo_init(&solo, 1, 3);
		boot_with(5, 0, terms, 3);
		ck_assert_msg(solo_ask(&solo, kind, 2, 6, rows[i].index,
				  rows[i].term) == rows[i].granted,
		    "row %zu", i);
		solo_release(&solo);
	}
	solo_init(&solo, 1, 3);
}
END_TEST

START_TEST(A14_empty_log_vote)
{
	solo_boot(&solo);
	ck_assert(solo_ask(&solo, RAFT_PREVOTE_REQUEST, 2, 1, 0, 0));
	ck_assert(solo_ask(&solo, RAFT_VOTE_REQUEST, 2, 1, 0, 0));
}
END_TEST

START_TEST(A15_compacted_only_log)
{
	solo.disk.term = 5;
	solo.disk.compacted_index = 10;
	solo.disk.compacted_term = 4;
	solo.disk.applied_index = 10;
	solo_boot_voter(&solo);
	ck_assert(!solo_ask(&solo, RAFT_VOTE_REQUEST, 2, 6, 9, 4));
	ck_assert(!solo_ask(&solo, RAFT_VOTE_REQUEST, 2, 7, 20, 3));
	ck_assert(solo_ask(&solo, RAFT_VOTE_REQUEST, 2, 8, 10, 4));
	ck_assert(solo_ask(&solo, RAFT_VOTE_REQUEST, 2, 9, 1, 5));
}
END_TEST

START_TEST(A16_candidate_steps_aside)
{
	solo_boot(&solo);
	solo_stand(&solo); /* term 1 */
	solo_settle(&solo);
	solo_stand(&solo); /* term 2 */
	solo_settle(&solo);
	ck_assert_int_eq(solo_append(&solo, 2, 1, 0, 0, NULL, 0, 0), 0);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_CANDIDATE);
	ck_assert_int_eq(solo_append(&solo, 2, 2, 0, 0, NULL, 0, 0), 0);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_FOLLOWER);
	ck_assert_uint_eq(solo_status(&solo).leader, 2);
}
END_TEST

START_TEST(A17_same_term_stepdown_keeps_vote)
{
	solo_boot(&solo);
	solo_stand(&solo);
	solo_settle(&solo);
	ck_assert_int_eq(solo_append(&solo, 2, 1, 0, 0, NULL, 0, 0), 0);
	solo_settle(&solo);
	ck_assert_uint_eq(solo_status(&solo).vote, 1);
	ck_assert_uint_eq(solo.disk.vote, 1);
	solo_crash(&solo);
	solo_boot(&solo);
	ck_assert(!solo_ask(&solo, RAFT_VOTE_REQUEST, 3, 1, 0, 0));
}
END_TEST

START_TEST(A18_self_vote_late)
{
	solo_boot(&solo);
	solo_stand(&solo);
	ck_assert(solo.persist_open);
	ck_assert_int_eq(solo_append(&solo, 3, 1, 0, 0, NULL, 0, 0), 0);
	solo_settle(&solo); /* the own vote is durable now */
	ck_assert_int_eq(solo_status(&solo).role, RAFT_FOLLOWER);
	ck_assert_uint_eq(solo_status(&solo).leader, 3);
	ck_assert_uint_eq(solo_sent_count(&solo, RAFT_VOTE_REQUEST), 0);
}
END_TEST

START_TEST(A18_self_vote_by_its_own_write)
{
	/* A sole voter, whose disk is still busy with an earlier term. */
	solo_init(&solo, 1, 1);
	solo_boot(&solo);
	(void)solo_append(&solo, 8, 5, 0, 0, NULL, 0, 0);
	solo_take(&solo);
	solo_timeout(&solo);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_CANDIDATE);
	solo_persisted(&solo); /* of term 5 */
	ck_assert_int_eq(solo_status(&solo).role, RAFT_CANDIDATE);
	solo_take(&solo);
	solo_persisted(&solo); /* of term 6 */
	ck_assert_int_eq(solo_status(&solo).role, RAFT_LEADER);
}
END_TEST

START_TEST(A19_prevotes_are_no_votes)
{
	struct raft_message request;

	solo_boot(&solo);
	solo_precampaign(&solo);
	solo_vote(&solo, solo_sent(&solo, RAFT_PREVOTE_REQUEST, 2), true);
	request = *solo_sent(&solo, RAFT_PREVOTE_REQUEST, 3);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_CANDIDATE);
	solo_settle(&solo);
	solo_vote(&solo, &request, true);
	solo_settle(&solo);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_CANDIDATE);
}
END_TEST

START_TEST(A20_request_after_durable)
{
	struct raft_message grant;
	struct raft_message request;

	solo_boot(&solo);
	solo_stand(&solo);
	ck_assert_uint_eq(solo_sent_count(&solo, RAFT_VOTE_REQUEST), 0);
	solo_persisted(&solo);
	solo_take(&solo);
	ck_assert_uint_eq(solo_sent_count(&solo, RAFT_VOTE_REQUEST), 2);
	request = *solo_sent(&solo, RAFT_VOTE_REQUEST, 2);
	grant = solo_answer(&solo, &request, RAFT_VOTE_RESPONSE);
	grant.granted = true;
	solo_crash(&solo);
	solo.disk.term = 0; /* as if the write had been lost */
	solo.disk.vote = 0;
	solo_boot(&solo);
	solo_stand(&solo);
	solo_settle(&solo);
	ck_assert_uint_eq(solo_status(&solo).term, 1);
	/* A grant to the former life, for the same term. */
	ck_assert_int_eq(solo_deliver(&solo, &grant), 0);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_CANDIDATE);
}
END_TEST

START_TEST(A21_single_node)
{
	solo_init(&solo, 1, 1);
	solo_boot(&solo);
	ck_assert_uint_eq(raft_deadline(solo.raft), solo.now);
	solo_timeout(&solo);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_CANDIDATE);
	solo_persisted(&solo);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_LEADER);
	solo_take(&solo);
	ck_assert_uint_eq(solo_status(&solo).commit_index, 0);
	solo_persisted(&solo);
	ck_assert_uint_eq(solo_status(&solo).commit_index, 1);
	solo_settle(&solo);
	ck_assert_uint_eq(solo.sent_count, 0);
	ck_assert_uint_eq(solo.persists_count, 2);
	ck_assert_uint_eq(raft_deadline(solo.raft), RAFT_NEVER);
}
END_TEST

START_TEST(A22_two_node)
{
	struct cluster cluster;

	cluster_init(&cluster, 2, 1);
	cluster_boot(&cluster, 1);
	cluster_run(&cluster, 5000000);
	ck_assert_uint_eq(cluster_status(&cluster, 1).term, 0);
	ck_assert_uint_eq(cluster_leader(&cluster), 0);
	cluster_boot(&cluster, 2);
	(void)cluster_elect(&cluster, 1000000);
	cluster_release(&cluster);
}
END_TEST

START_TEST(A25_stranger_votes)
{
	struct raft_message grant;

	solo_init(&solo, 1, 5);
	solo_boot(&solo);
	solo_stand(&solo);
	solo_settle(&solo);
	grant = solo_answer(
	    &solo, solo_sent(&solo, RAFT_VOTE_REQUEST, 2), RAFT_VOTE_RESPONSE);
	grant.granted = true;
	solo_deliver(&solo, &grant);
	solo_deliver(&solo, &grant); /* the same voter again */
	ck_assert_int_eq(solo_status(&solo).role, RAFT_CANDIDATE);
	grant.from = 8; /* no member */
	solo_deliver(&solo, &grant);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_CANDIDATE);
	grant.from = 3;
	solo_deliver(&solo, &grant);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_LEADER);
}
END_TEST

START_TEST(A26_votes_for_strangers_by_log)
{
	/* The own membership may be old: the log decides. */
	static const raft_term terms[] = { 1 };

	boot_with(1, 0, terms, 1);
	ck_assert(!solo_ask(&solo, RAFT_VOTE_REQUEST, 7, 2, 0, 0));
	ck_assert(solo_ask(&solo, RAFT_VOTE_REQUEST, 7, 3, 1, 1));
}
END_TEST

START_TEST(A27_vote_from_any_state)
{
	solo_boot(&solo);
	bring_into((enum raft_role)_i);
	/* A leader that hears its quorum is not disturbed (B5). */
	ck_assert_int_eq(
	    solo_ask(&solo, RAFT_VOTE_REQUEST, 2, 5, 9, 4), _i != RAFT_LEADER);
	ck_assert_int_eq(solo_status(&solo).role,
	    _i == RAFT_LEADER ? RAFT_LEADER : RAFT_FOLLOWER);
}
END_TEST

START_TEST(A28_denied_no_reset)
{
	static const raft_term terms[] = { 1 };
	raft_usec deadline;

	boot_with(1, 0, terms, 1);
	deadline = raft_deadline(solo.raft);
	solo.now += 50000;
	ck_assert(!solo_ask(&solo, RAFT_VOTE_REQUEST, 2, 2, 0, 0));
	ck_assert_uint_eq(raft_deadline(solo.raft), deadline);
	ck_assert(solo_ask(&solo, RAFT_VOTE_REQUEST, 2, 3, 1, 1));
	ck_assert_uint_ge(
	    raft_deadline(solo.raft), solo.now + SOLO_ELECTION_TIMEOUT);
}
END_TEST

START_TEST(A29_leader_noop)
{
	static const raft_term terms[] = { 1, 1 };
	struct raft_entry entry;

	if (_i == 1)
		solo_preset(&solo, 1, 0, terms, 2);
	solo_boot(&solo);
	solo_lead(&solo);
	/* The first entry of all holds the membership instead. */
	ck_assert_int_eq(raft_get_entry(solo.raft, _i == 1 ? 3 : 1, &entry), 0);
	ck_assert_int_eq(
	    entry.type, _i == 1 ? RAFT_ENTRY_NOOP : RAFT_ENTRY_MEMBERS);
	ck_assert_uint_eq(entry.term, solo_status(&solo).term);
	ck_assert_uint_eq(solo_status(&solo).last_index, _i == 1 ? 3 : 1);
	ck_assert_uint_eq(solo.appended[2].entries_count, 1);
	if (_i == 1)
		return;
	ck_assert_uint_eq(entry.members->count, 3);
	ck_assert_uint_eq(entry.members->index, 1);
	ck_assert_uint_eq(raft_get_members(solo.raft)->index, 1);
}
END_TEST

START_TEST(A30_log_order_dictionary)
{
	static const raft_term terms[] = { 1, 1, 1, 1, 1, 1, 1, 1, 1 };

	boot_with(2, 0, terms, 9);
	ck_assert(solo_ask(&solo, RAFT_VOTE_REQUEST, 2, 3, 1, 2));
}
END_TEST

START_TEST(A31_unpersisted_tail_in_request)
{
	static const raft_term terms[] = { 1, 1 };

	solo_boot(&solo);
	ck_assert_int_eq(solo_append(&solo, 2, 1, 0, 0, terms, 1, 0), 0);
	solo_settle(&solo);
	ck_assert_int_eq(solo_append(&solo, 2, 1, 1, 1, terms, 1, 0), 0);
	solo_take(&solo); /* entry 2 is on its way to the disk */
	solo_precampaign(&solo);
	ck_assert_uint_eq(
	    solo_sent(&solo, RAFT_PREVOTE_REQUEST, 3)->last_index, 1);
	solo_vote(&solo, solo_sent(&solo, RAFT_PREVOTE_REQUEST, 3), true);
	solo_settle(&solo);
	ck_assert_uint_eq(
	    solo_sent(&solo, RAFT_VOTE_REQUEST, 3)->last_index, 2);
}
END_TEST

START_TEST(A35_two_leaders_one_term)
{
	struct raft_message append;

	solo_boot(&solo);
	if (_i == 0)
		solo_lead(&solo);
	else
		(void)solo_append(&solo, 2, 1, 0, 0, NULL, 0, 0);
	append = solo_message(&solo, RAFT_APPEND_REQUEST, 3, 1);
	ck_assert_int_eq(solo_deliver(&solo, &append), ERR_STOPPED);
	ck_assert_uint_eq(solo.fatals_count, 1);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_STOPPED);
	/* Once, and then nothing any more. */
	solo_clear(&solo);
	ck_assert(!solo_take(&solo));
	ck_assert_int_eq(raft_timeout(solo.raft, solo.now), ERR_STOPPED);
	ck_assert_int_eq(solo_deliver(&solo, &append), ERR_STOPPED);
	ck_assert_uint_eq(raft_deadline(solo.raft), RAFT_NEVER);
}
END_TEST

START_TEST(A36_term_overflow_guard)
{
	struct raft_message message;
	uint64_t digest;

	solo_boot(&solo);
	digest = raft_digest(solo.raft);
	message = solo_message(
	    &solo, (enum raft_message_kind)_i, 2, UINT64_C(1) << 63);
	ck_assert_int_eq(solo_deliver(&solo, &message), ERR_INVALID);
	ck_assert_uint_eq(raft_digest(solo.raft), digest);
}
END_TEST

START_TEST(A37_split_vote_heals)
{
	for (uint64_t seed = 1; seed <= 100; seed++) {
		struct cluster cluster;

		cluster_init(&cluster, 4, seed);
		cluster_boot_all(&cluster);
		(void)cluster_elect(&cluster, 3000000);
		cluster_release(&cluster);
	}
}
END_TEST

START_TEST(A38_restart_not_late)
{
	struct cluster cluster;
	raft_id leader;

	cluster_init(&cluster, 3, 38);
	cluster_boot_all(&cluster);
	leader = cluster_elect(&cluster, 1000000);
	cluster_crash(&cluster, leader);
	for (raft_id id = 1; id <= 3; id++) {
		if (id == leader)
			continue;
		cluster_crash(&cluster, id);
		cluster_boot(&cluster, id);
		ck_assert_uint_le(raft_deadline(cluster.nodes[id].solo.raft),
		    cluster.now + 2 * SOLO_ELECTION_TIMEOUT);
	}
	(void)cluster_elect(&cluster, 1000000);
	cluster_release(&cluster);
}
END_TEST

START_TEST(refused_leader_is_followed_soon)
{
	raft_usec waits;

	solo_boot(&solo);
	(void)solo_append(&solo, 2, 1, 0, 0, NULL, 0, 0);
	solo_settle(&solo);
	ck_assert(!solo_ask(&solo, RAFT_PREVOTE_REQUEST, 3, 2, 0, 0));
	ck_assert_int_eq(raft_peer_refused(solo.raft, solo.now, 3), 0);
	ck_assert_uint_eq(solo_status(&solo).leader, 2); /* not the leader */
	ck_assert_int_eq(raft_peer_refused(solo.raft, solo.now, 2), 0);
	ck_assert_uint_eq(solo_status(&solo).leader, 0);
	waits = raft_deadline(solo.raft) - solo.now;
	ck_assert_uint_ge(waits, SOLO_HEARTBEAT_INTERVAL / 2);
	ck_assert_uint_le(waits, SOLO_HEARTBEAT_INTERVAL);
	ck_assert(solo_ask(&solo, RAFT_PREVOTE_REQUEST, 3, 2, 0, 0));
	ck_assert(solo_ask(&solo, RAFT_VOTE_REQUEST, 3, 2, 0, 0));
	/* The candidate gets the time that it needs. */
	ck_assert_uint_ge(
	    raft_deadline(solo.raft), solo.now + SOLO_ELECTION_TIMEOUT);
}
END_TEST

START_TEST(refused_leader_cluster_is_quick)
{
	unsigned slow = 0;

	for (uint64_t seed = 1; seed <= 100; seed++) {
		struct cluster cluster;
		raft_id leader;

		cluster_init(&cluster, 3, seed);
		cluster_boot_all(&cluster);
		cluster_converge(&cluster, 2000000);
		leader = cluster_leader(&cluster);
		cluster_crash(&cluster, leader);
		for (raft_id id = 1; id <= 3; id++) {
			if (id != leader)
				cluster_refused(&cluster, id, leader);
		}
		cluster_run(&cluster, SOLO_ELECTION_TIMEOUT);
		slow += cluster_leader(&cluster) == 0;
		cluster_release(&cluster);
	}
	/* A split vote costs a short deadline more, not a long one. */
	ck_assert_uint_le(slow, 2);
}
END_TEST

START_TEST(quiet_unless_voter)
{
	solo_init(&solo, 4, 3);
	solo_boot(&solo);
	ck_assert_uint_eq(raft_deadline(solo.raft), RAFT_NEVER);
	solo_advance(&solo, 10 * SOLO_ELECTION_TIMEOUT);
	ck_assert_int_eq(solo_status(&solo).role, RAFT_FOLLOWER);
	ck_assert_uint_eq(solo.sent_count, 0);
}
END_TEST

Suite *
raft_elect_suite(void)
{
	Suite *suite = suite_create("raft_elect");
	TCase *elect = tcase_create("elect");

	tcase_add_checked_fixture(elect, set_up, tear_down);
	tcase_add_loop_test(elect, A1_adopt_term, 0, 16);
	tcase_add_test(elect, A2_reject_stale);
	tcase_add_loop_test(elect, A3_boot_follower, 0, 2);
	tcase_add_test(elect, A4_timeout_campaigns);
	tcase_add_test(elect, A5_candidate_retries);
	tcase_add_loop_test(elect, A6_random_spread, 0, 2);
	tcase_add_loop_test(elect, A7_non_conflict, 0, 2);
	tcase_add_loop_test(elect, A8_tally_table, 0, 5);
	tcase_add_test(elect, A9_one_vote_per_term);
	tcase_add_test(elect, A10_vote_after_restart);
	tcase_add_test(elect, A11_vote_not_durable);
	tcase_add_loop_test(elect, A12_vote_atomic, 0, 2);
	tcase_add_loop_test(elect, A13_up_to_date_rule, 0, 2);
	tcase_add_test(elect, A14_empty_log_vote);
	tcase_add_test(elect, A15_compacted_only_log);
	tcase_add_test(elect, A16_candidate_steps_aside);
	tcase_add_test(elect, A17_same_term_stepdown_keeps_vote);
	tcase_add_test(elect, A18_self_vote_late);
	tcase_add_test(elect, A18_self_vote_by_its_own_write);
	tcase_add_test(elect, A19_prevotes_are_no_votes);
	tcase_add_test(elect, A20_request_after_durable);
	tcase_add_test(elect, A21_single_node);
	tcase_add_test(elect, A22_two_node);
	tcase_add_test(elect, A25_stranger_votes);
	tcase_add_test(elect, A26_votes_for_strangers_by_log);
	tcase_add_loop_test(
	    elect, A27_vote_from_any_state, RAFT_FOLLOWER, RAFT_LEADER + 1);
	tcase_add_test(elect, A28_denied_no_reset);
	tcase_add_loop_test(elect, A29_leader_noop, 0, 2);
	tcase_add_test(elect, A30_log_order_dictionary);
	tcase_add_test(elect, A31_unpersisted_tail_in_request);
	tcase_add_loop_test(elect, A35_two_leaders_one_term, 0, 2);
	tcase_add_loop_test(elect, A36_term_overflow_guard,
	    RAFT_PREVOTE_REQUEST, RAFT_APPEND_RESPONSE + 1);
	tcase_add_test(elect, A37_split_vote_heals);
	tcase_add_test(elect, A38_restart_not_late);
	tcase_add_test(elect, refused_leader_is_followed_soon);
	tcase_add_test(elect, refused_leader_cluster_is_quick);
	tcase_add_test(elect, quiet_unless_voter);
	suite_add_tcase(suite, elect);
	return suite;
}
