/*
 * Owns memberships: what is a valid one, what a quorum of it is, and the
 * history that a cut of the log rolls back. A membership is in effect from
 * the moment its entry is in the log (section 6); joint ones need both halves.
 */

#include "raft/raft_impl.h"

#include "common/panic.h"
#include <stdlib.h>

static bool
role_valid(enum raft_member_role role)
{
	switch (role) {
	case RAFT_MEMBER_NONE:
	case RAFT_MEMBER_VOTER:
	case RAFT_MEMBER_LEARNER:
	case RAFT_MEMBER_JOINING: return true;
	}
	return false;
}

/* Only who joins replaces anybody: another member, which is to stay so long. */
static bool
replaces_valid(
    const struct raft_members *members, const struct raft_member *member)
{
	int replaced = raft_members_find(members, member->replaces);

	if (member->replaces == 0)
		return true;
	return member->role_new == RAFT_MEMBER_JOINING && replaced >= 0 &&
	       member->replaces != member->id &&
	       members->member[replaced].role_new != RAFT_MEMBER_NONE;
}

static bool
member_valid(const struct raft_members *members, unsigned i)
{
	const struct raft_member *member = &members->member[i];

	if (member->id == 0 || member->id > RAFT_NUMBER_MAX)
		return false;
	if (i > 0 && member->id <= members->member[i - 1].id)
		return false;
	if (!role_valid(member->role_old) || !role_valid(member->role_new))
		return false;
	if (!members->joint && member->role_old != member->role_new)
		return false;
	if (!replaces_valid(members, member))
		return false;
	return member->role_old != RAFT_MEMBER_NONE ||
	       member->role_new != RAFT_MEMBER_NONE;
}

bool
raft_members_valid(const struct raft_members *members)
{
	bool voter_old = false;
	bool voter_new = false;
	unsigned i;

	if (members->count > RAFT_MEMBERS_MAX ||
	    members->index > RAFT_NUMBER_MAX)
		return false;
	for (i = 0; i < members->count; i++) {
		const struct raft_member *member = &members->member[i];

		if (!member_valid(members, i))
			return false;
		voter_old |= member->role_old == RAFT_MEMBER_VOTER;
		voter_new |= member->role_new == RAFT_MEMBER_VOTER;
	}
	return voter_old && voter_new;
}

int
raft_members_find(const struct raft_members *members, raft_id id)
{
	unsigned i;

	for (i = 0; i < members->count; i++) {
		if (members->member[i].id == id)
			return (int)i;
	}
	return -1;
}

bool
raft_members_voter(const struct raft_members *members, raft_id id)
{
	int i = raft_members_find(members, id);

	if (i < 0)
		return false;
	return members->member[i].role_old == RAFT_MEMBER_VOTER ||
	       members->member[i].role_new == RAFT_MEMBER_VOTER;
}

/* The value that a majority of the voters in `sorted` has reached. */
static uint64_t
majority_value(uint64_t *sorted, unsigned count)
{
	unsigned i;
	unsigned j;

	ASSERT(count > 0);
	for (i = 1; i < count; i++) {
		uint64_t value = sorted[i];

		for (j = i; j > 0 && sorted[j - 1] < value; j--)
			sorted[j] = sorted[j - 1];
		sorted[j] = value;
	}
	/* Descending: count / 2 + 1 voters are at least at this one. */
	return sorted[count / 2];
}

uint64_t
raft_quorum_value(const struct raft_members *members, const uint64_t *values)
{
	uint64_t half_old[RAFT_MEMBERS_MAX];
	uint64_t half_new[RAFT_MEMBERS_MAX];
	unsigned count_old = 0;
	unsigned count_new = 0;
	uint64_t value;
	unsigned i;

	for (i = 0; i < members->count; i++) {
		if (members->member[i].role_old == RAFT_MEMBER_VOTER)
			half_old[count_old++] = values[i];
		if (members->member[i].role_new == RAFT_MEMBER_VOTER)
			half_new[count_new++] = values[i];
	}
	value = majority_value(half_new, count_new);
	if (members->joint)
		value = MIN(value, majority_value(half_old, count_old));
	return value;
}

void
raft_history_push(struct raft_history *history,
    const struct raft_members *members, raft_index index)
{
	history->members = raft_reserve(history->members, &history->capacity,
	    history->count + 1, sizeof(*history->members));
	history->members[history->count] = *members;
	history->members[history->count].index = index;
	history->count++;
}

bool
raft_history_truncate(struct raft_history *history, raft_index from)
{
	size_t before = history->count;

	while (history->count > 1 &&
	       history->members[history->count - 1].index >= from)
		history->count--;
	return history->count != before;
}

void
raft_history_compact(struct raft_history *history, raft_index index)
{
	size_t base = 0;
	size_t i;

	while (base + 1 < history->count &&
	       history->members[base + 1].index <= index)
		base++;
	for (i = base; i < history->count; i++)
		history->members[i - base] = history->members[i];
	history->count -= base;
}

const struct raft_members *
raft_history_committed(
    const struct raft_history *history, raft_index commit_index)
{
	size_t i = history->count;

	/* The first one is at the compacted index or before. */
	while (i > 1 && history->members[i - 1].index > commit_index)
		i--;
	return &history->members[i - 1];
}

const struct raft_members *
raft_history_at(const struct raft_history *history, raft_index index)
{
	size_t i = history->count;

	while (history->members[i - 1].index != index) {
		i--;
		ASSERT(i > 0);
	}
	return &history->members[i - 1];
}
