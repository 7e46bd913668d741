/*
 * Whether two nodes could be elected by voters that have nobody in common:
 * then each could commit without the other (H38). Brute force over all
 * subsets of the voters.
 */

#include "tests/lib/raft_cluster.h"

#include <stdio.h>
#include <stdlib.h>

struct position {
	raft_term term;
	raft_index index;
};

/* The end of the log by which a node votes: a node that is down has what is
 * on its disk. */
static struct position
log_end(const struct cluster *cluster, raft_id id)
{
	const struct solo *solo = &cluster->nodes[id].solo;
	const struct solo_disk *disk = &solo->disk;
	struct position end = { disk->compacted_term, disk->compacted_index };

	if (solo->raft != NULL) {
		end.index = solo_status(solo).last_index;
		if (end.index > solo_status(solo).compacted_index)
			end.term = solo_term(solo, end.index);
	} else if (disk->log.count > 0) {
		end.index += disk->log.count;
		end.term = disk->log.entries[disk->log.count - 1].entry.term;
	}
	return end;
}

/* It does not ask for votes, and gives them by more than its log. */
static bool
repairing(const struct cluster *cluster, raft_id id)
{
	const struct solo *solo = &cluster->nodes[id].solo;

	return solo->raft != NULL ? solo_status(solo).repair_until != 0
				  : solo->disk.repair_until != 0;
}

static bool
behind(struct position a, struct position b)
{
	return a.term < b.term || (a.term == b.term && a.index < b.index);
}

/* Whether node `id` would vote for a candidate at `end`. */
static bool
grants(const struct cluster *cluster, raft_id id, struct position end)
{
	const struct solo_disk *disk = &cluster->nodes[id].solo.disk;
	const struct position had = { disk->repair_term, disk->repair_until };

	if (repairing(cluster, id) && behind(end, had))
		return false;
	return !behind(end, log_end(cluster, id));
}

/* Which members, as bits by id, would vote for a candidate at `end`. */
static uint64_t
granting(const struct cluster *cluster, const struct raft_members *members,
    struct position end)
{
	uint64_t set = 0;

	for (unsigned i = 0; i < members->count; i++) {
		raft_id id = members->member[i].id;

		if (id <= cluster->count && grants(cluster, id, end))
			set |= UINT64_C(1) << id;
	}
	return set;
}

static bool
is_quorum(const struct raft_members *members, uint64_t set)
{
	uint64_t in[RAFT_MEMBERS_MAX];

	for (unsigned i = 0; i < members->count; i++)
		in[i] = (set >> members->member[i].id) & 1;
	return raft_quorum_value(members, in) == 1;
}

/* Some quorum of `a` within set_a leaves a quorum of `b` within set_b. */
static bool
disjoint(const struct raft_members *a, uint64_t set_a,
    const struct raft_members *b, uint64_t set_b)
{
	uint64_t subset = set_a;

	if (!is_quorum(a, set_a) || !is_quorum(b, set_b))
		return false;
	for (; subset != 0; subset = (subset - 1) & set_a) {
		if (is_quorum(a, subset) && is_quorum(b, set_b & ~subset))
			return true;
	}
	return false;
}

/* The quorums of one membership overlap, that is what they are. */
static bool
same(const struct raft_members *a, const struct raft_members *b)
{
	if (a->joint || b->joint || a->count != b->count)
		return false;
	for (unsigned i = 0; i < a->count; i++) {
		if (a->member[i].id != b->member[i].id ||
		    a->member[i].role_new != b->member[i].role_new)
			return false;
	}
	return true;
}

void
cluster_check_disjoint(const struct cluster *cluster, raft_id id)
{
	const struct raft *raft = cluster->nodes[id].solo.raft;
	const struct raft_members *members = raft_get_members(raft);
	uint64_t set = granting(cluster, members, log_end(cluster, id));

	if (repairing(cluster, id))
		return;
	for (raft_id other = 1; other <= cluster->count; other++) {
		const struct raft *peer = cluster->nodes[other].solo.raft;
		const struct raft_members *theirs;
		uint64_t other_set;

		if (other == id || peer == NULL || repairing(cluster, other))
			continue;
		theirs = raft_get_members(peer);
		if (same(members, theirs))
			continue;
		other_set = granting(cluster, theirs, log_end(cluster, other));
		if (!disjoint(members, set, theirs, other_set))
			continue;
		fprintf(stderr,
		    "n%d and n%d: quorums without a common voter, "
		    "at %llu us\n",
		    (int)id, (int)other, (unsigned long long)cluster->now);
		abort();
	}
}
