/* Malformed and hostile messages: they change nothing (A36, L13, L14). */

#include "common/rng.h"
#include "tests/lib/raft_solo.h"
#include "tests/unit/suites.h"

static struct solo solo;

static void
set_up(void)
{
	static const raft_term terms[] = { 1, 1, 2 };

	solo_init(&solo, 1, 3);
	solo_preset(&solo, 3, 0, terms, 3);
	solo_boot(&solo);
}

static void
tear_down(void)
{
	solo_release(&solo);
}

static void
assert_refused(const struct raft_message *message, const char *what)
{
	uint64_t digest = raft_digest(solo.raft);
	struct raft_accepted accepted = { .first = 9 };

	ck_assert_msg(
	    solo_receive(&solo, message, &accepted) == ERR_INVALID, "%s", what);
	ck_assert_msg(raft_digest(solo.raft) == digest, "%s", what);
	ck_assert_uint_eq(accepted.first, 0);
}

START_TEST(L14_hostile_headers)
{
	struct raft_message good = solo_message(&solo, RAFT_VOTE_REQUEST, 2, 4);
	struct raft_message bad = good;

	bad.to = 2;
	assert_refused(&bad, "for another node");
	bad = good;
	bad.from = 1;
	assert_refused(&bad, "from this node");
	bad.from = 0;
	assert_refused(&bad, "from nobody");
	bad = good;
	bad.boot_id = 0;
	assert_refused(&bad, "without a life");
	bad = good;
	bad.kind = (enum raft_message_kind)0;
	assert_refused(&bad, "of no kind");
	bad.kind = (enum raft_message_kind)99;
	assert_refused(&bad, "of an unknown kind");
	bad = good;
	bad.term = UINT64_MAX;
	assert_refused(&bad, "term too large");
	bad = good;
	bad.last_index = 5;
	assert_refused(&bad, "an index without a term");
	bad.last_term = 4;
	assert_refused(&bad, "a last entry of the term asked for");
	bad.last_term = 3;
	bad.last_index = UINT64_MAX;
	assert_refused(&bad, "index too large");
	bad = good;
	bad.kind = RAFT_PREVOTE_REQUEST;
	bad.transfer = true;
	assert_refused(&bad, "a pre-vote that the leader asked for");
}
END_TEST

START_TEST(L14_hostile_timeout_now)
{
	struct raft_message bad = solo_message(&solo, RAFT_TIMEOUT_NOW, 2, 3);

	bad.last_index = 3;
	bad.last_term = 2;
	assert_refused(&bad, "a leader whose last entry is not its own");
	bad.last_index = 0;
	bad.last_term = 3;
	assert_refused(&bad, "a leader without an entry");
	bad.term = 0;
	bad.last_term = 0;
	assert_refused(&bad, "a leader of term 0");
	bad.term = 3;
	bad.last_term = 3;
	bad.last_index = UINT64_MAX;
	assert_refused(&bad, "index too large");
}
END_TEST

START_TEST(C21_hostile_appends)
{
	struct raft_members none = { .count = 0 };
	struct raft_entry entries[] = {
		{ .term = 2, .type = RAFT_ENTRY_COMMAND },
		{ .term = 3, .type = RAFT_ENTRY_COMMAND },
	};
	struct raft_message good =
	    solo_message(&solo, RAFT_APPEND_REQUEST, 2, 3);
	struct raft_message bad;

	good.prev_index = 2;
	good.prev_term = 1;
	good.entries = entries;
	good.entries_count = 2;
	bad = good;
	bad.term = 0;
	assert_refused(&bad, "a leader of term 0");
	bad = good;
	bad.prev_term = 0;
	assert_refused(&bad, "previous index without a term");
	bad = good;
	bad.prev_term = 3;
	assert_refused(&bad, "terms that fall");
	bad = good;
	bad.term = 2;
	assert_refused(&bad, "entries of a later term than the sender's");
	bad = good;
	bad.entries = NULL;
	assert_refused(&bad, "entries announced and not there");
	bad = good;
	bad.commit_index = UINT64_MAX;
	assert_refused(&bad, "commit too large");
	bad = good;
	bad.everywhere_index = UINT64_MAX;
	assert_refused(&bad, "everywhere too large");
	bad = good;
	bad.state_index = RAFT_NUMBER_MAX + 1;
	assert_refused(&bad, "an index of a state too large");
	bad = good;
	bad.agreed_index = RAFT_NUMBER_MAX + 1;
	assert_refused(&bad, "an agreed index too large");
	bad = good;
	bad.prev_index = RAFT_NUMBER_MAX;
	assert_refused(&bad, "entries beyond the last number");
	entries[1].type = (enum raft_entry_type)7;
	assert_refused(&good, "an entry of no type");
	entries[1].type = RAFT_ENTRY_MEMBERS;
	assert_refused(&good, "a membership that is not there");
	entries[1].members = &none;
	assert_refused(&good, "a membership without voters");
	entries[1].type = RAFT_ENTRY_COMMAND;
	entries[0].term = 0;
	assert_refused(&good, "an entry of term 0");
}
END_TEST

START_TEST(L14_hostile_responses)
{
	struct raft_message bad =
	    solo_message(&solo, RAFT_APPEND_RESPONSE, 2, 3);

	bad.match_index = UINT64_MAX;
	assert_refused(&bad, "match too large");
	bad.match_index = 0;
	bad.rejected_index = UINT64_MAX;
	assert_refused(&bad, "rejected too large");
	bad.rejected_index = 1;
	bad.hint_index = 3;
	assert_refused(&bad, "a hint without a term");
	bad.hint_index = 0;
	bad.snapshot_wanted = RAFT_NUMBER_MAX + 1;
	assert_refused(&bad, "a snapshot too late");
	bad.snapshot_wanted = 0;
	bad.state_index = RAFT_NUMBER_MAX + 1;
	assert_refused(&bad, "an index of a state too large");
	bad = solo_message(&solo, RAFT_READ_RESPONSE, 2, 3);
	bad.read_index = UINT64_MAX;
	assert_refused(&bad, "read index too large");
}
END_TEST

/* Mostly small numbers, so that fields fit each other now and then. */
static uint64_t
odd_number(struct rng *rng)
{
	switch (rng_below(rng, 8)) {
	case 0: return UINT64_MAX - rng_below(rng, 3);
	case 1: return RAFT_NUMBER_MAX + rng_below(rng, 3) - 1;
	default: return rng_below(rng, 6);
	}
}

static struct raft_message
odd_message(struct rng *rng, struct raft_entry *entries)
{
	struct raft_message message = {
		.kind = (enum raft_message_kind)rng_below(rng, 11),
		.from = rng_below(rng, 5),
		.to = 1,
		.term = odd_number(rng),
		.boot_id = rng_below(rng, 3),
		.to_boot_id = 1000001,
		.sequence = odd_number(rng),
		.last_index = odd_number(rng),
		.last_term = odd_number(rng),
		.granted = rng_below(rng, 2) == 0,
		.transfer = rng_below(rng, 2) == 0,
		.prev_index = odd_number(rng),
		.prev_term = odd_number(rng),
		.commit_index = odd_number(rng),
		.everywhere_index = odd_number(rng),
		.round = odd_number(rng),
		.sent_at = rng_below(rng, 2) == 0 ? odd_number(rng) : solo.now,
		.entries_count = (uint32_t)rng_below(rng, 4),
		.entries = entries,
		.success = rng_below(rng, 2) == 0,
		.match_index = odd_number(rng),
		.rejected_index = odd_number(rng),
		.hint_index = odd_number(rng),
		.hint_term = odd_number(rng),
		.repairing = rng_below(rng, 2) == 0,
		.snapshot_wanted = rng_below(rng, 2) == 0 ? odd_number(rng) : 0,
		.read_index = odd_number(rng),
	};

	for (uint32_t i = 0; i < message.entries_count; i++)
		entries[i] = (struct raft_entry){
			.term = odd_number(rng),
			.type = (enum raft_entry_type)rng_below(rng, 4),
			.size = (uint32_t)rng_below(rng, 100),
		};
	return message;
}

START_TEST(L13_odd_messages)
{
	struct rng rng;

	rng_init(&rng, (uint64_t)_i);
	for (unsigned i = 0; i < 3000; i++) {
		struct raft_entry entries[4];
		struct raft_message message = odd_message(&rng, entries);
		uint64_t digest = raft_digest(solo.raft);
		struct raft_accepted accepted;
		int result = solo_receive(&solo, &message, &accepted);

		/* The invariants are asserted by the take. */
		if (result == ERR_INVALID)
			ck_assert_uint_eq(raft_digest(solo.raft), digest);
		if (result == ERR_STOPPED)
			break;
		if (rng_below(&rng, 10) == 0)
			solo_timeout(&solo);
		solo_settle(&solo);
		solo_clear(&solo);
		/* Absurd but legal terms are not what this is about. */
		if (solo_status(&solo).term > 1000)
			break;
	}
}
END_TEST

Suite *
raft_message_suite(void)
{
	Suite *suite = suite_create("raft_message");
	TCase *messages = tcase_create("message");

	tcase_add_checked_fixture(messages, set_up, tear_down);
	tcase_add_test(messages, L14_hostile_headers);
	tcase_add_test(messages, C21_hostile_appends);
	tcase_add_test(messages, L14_hostile_responses);
	tcase_add_test(messages, L14_hostile_timeout_now);
	tcase_add_loop_test(messages, L13_odd_messages, 1, 60);
	suite_add_tcase(suite, messages);
	return suite;
}
