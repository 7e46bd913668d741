#include "tests/lib/raft_cluster.h"

#include "common/mem.h"
#include "common/panic.h"
#include <stdio.h>
#include <stdlib.h>

static void
broken(const struct cluster *cluster, const char *rule, raft_id id,
    raft_index index)
{
	fprintf(stderr, "%s: n%d, index %d, at %llu us\n", rule, (int)id,
	    (int)index, (unsigned long long)cluster->now);
	abort();
}

/* Section 5.2: at most one leader in a term. */
static void
check_election(struct cluster *cluster, raft_id id)
{
	struct raft_status status = cluster_status(cluster, id);

	if (status.role != RAFT_LEADER)
		return;
	for (size_t i = 0; i < cluster->leaders_count; i++) {
		if (cluster->leaders[i].term != status.term)
			continue;
		if (cluster->leaders[i].leader != id)
			broken(cluster, "election safety", id, status.term);
		return;
	}
	if (cluster->leaders_count == cluster->leaders_capacity) {
		cluster->leaders_capacity =
		    MAX(16, cluster->leaders_capacity * 2);
		cluster->leaders = mem_realloc(cluster->leaders,
		    cluster->leaders_capacity, sizeof(*cluster->leaders));
	}
	cluster->leaders[cluster->leaders_count++] = (struct raft_op_role){
		.term = status.term,
		.leader = id,
	};
}

/* Section 5.3: logs that agree at an index agree before it. */
static void
check_matching(const struct cluster *cluster, raft_id id, raft_id other)
{
	const struct raft *a = cluster->nodes[id].solo.raft;
	const struct raft *b = cluster->nodes[other].solo.raft;
	struct raft_status status_a = cluster_status(cluster, id);
	struct raft_status status_b = cluster_status(cluster, other);
	raft_index first =
	    MAX(status_a.compacted_index, status_b.compacted_index) + 1;
	bool agreed = false;

	for (raft_index i = MIN(status_a.last_index, status_b.last_index);
	     i >= first; i--) {
		struct raft_entry entry_a;
		struct raft_entry entry_b;

		ASSERT(raft_get_entry(a, i, &entry_a) == 0);
		ASSERT(raft_get_entry(b, i, &entry_b) == 0);
		if (entry_a.term == entry_b.term) {
			agreed = true;
			if (entry_a.size != entry_b.size)
				broken(cluster, "log matching", id, i);
		} else if (agreed) {
			broken(cluster, "log matching", id, i);
		}
	}
}

static bool
on_disk(const struct solo_disk *disk, raft_index index, raft_term term)
{
	if (index <= disk->compacted_index)
		return true;
	if (index > disk->compacted_index + disk->log.count)
		return false;
	return disk->log.entries[index - disk->compacted_index - 1]
		   .entry.term == term;
}

static bool
quorum_holds(const struct cluster *cluster, const struct raft_members *members,
    raft_index index, raft_term term)
{
	uint64_t holds[RAFT_MEMBERS_MAX];

	for (unsigned i = 0; i < members->count; i++) {
		raft_id id = members->member[i].id;

		holds[i] =
		    id <= cluster->count &&
		    (on_disk(&cluster->nodes[id].solo.disk, index, term) ||
			cluster_promised(cluster, id, index, term));
	}
	return raft_quorum_value(members, holds) == 1;
}

/*
 * An acknowledged entry survives the loss of any minority's memory. A commit
 * may bring the next membership into effect at once: it was not counted by
 * that one.
 */
static void
check_quorum(
    const struct cluster *cluster, raft_id id, raft_index index, raft_term term)
{
	const struct cluster_node *node = &cluster->nodes[id];

	if (!quorum_holds(cluster, &node->members_seen, index, term) &&
	    !quorum_holds(
		cluster, raft_get_members(node->solo.raft), index, term))
		broken(cluster, "committed on a durable quorum", id, index);
}

/* Section 5.4.3: nobody ever commits anything else at an index. */
static void
check_committed(struct cluster *cluster, raft_id id)
{
	struct cluster_node *node = &cluster->nodes[id];
	struct solo_log *committed = &cluster->committed;
	raft_index commit = cluster_status(cluster, id).commit_index;
	raft_index compacted = cluster_status(cluster, id).compacted_index;

	if (commit < node->commit_seen)
		broken(cluster, "commit never goes back", id, commit);
	/* What a snapshot brought is known by what comes behind it. */
	if (compacted > committed->count)
		broken(cluster, "a snapshot is committed", id, compacted);
	for (raft_index i = MAX(node->commit_seen, compacted) + 1; i <= commit;
	     i++) {
		struct raft_entry entry;
		const struct raft_entry *known;

		ASSERT(raft_get_entry(node->solo.raft, i, &entry) == 0);
		if (i > committed->count) {
			ASSERT(i == committed->count + 1);
			check_quorum(cluster, id, i, entry.term);
			solo_log_append(committed, &entry);
		}
		known = &committed->entries[i - 1].entry;
		if (known->term != entry.term || known->size != entry.size)
			broken(cluster, "state machine safety", id, i);
	}
	node->commit_seen = commit;
}

/*
 * Section 5.4: a leader has all that was committed before its term; and
 * section 5.3: it never cuts its own log.
 */
static void
check_leader_log(struct cluster *cluster, raft_id id)
{
	struct cluster_node *node = &cluster->nodes[id];
	struct raft_status status = cluster_status(cluster, id);
	uint64_t epoch = raft_log_epoch(node->solo.raft);

	if (status.role != RAFT_LEADER)
		return;
	if (status.term == node->led_seen) {
		if (epoch != node->epoch_led)
			broken(cluster, "leader append-only", id, status.term);
		return;
	}
	node->led_seen = status.term;
	node->epoch_led = epoch;
	for (raft_index i = status.compacted_index + 1;
	     i <= cluster->committed.count; i++) {
		const struct raft_entry *known =
		    &cluster->committed.entries[i - 1].entry;

		if (known->term < status.term &&
		    solo_term(&node->solo, i) != known->term)
			broken(cluster, "leader completeness", id, i);
	}
}

/* Section 8: a read sees all that was committed before it was asked for. */
static void
check_reads(struct cluster *cluster, raft_id id)
{
	const struct solo *solo = &cluster->nodes[id].solo;
	raft_index applied = solo_status(solo).applied_index;

	for (size_t i = 0; i < solo->reads_count; i++) {
		size_t place = 0;

		while (cluster->reads[place].id != solo->reads[i].read_id) {
			place++;
			ASSERT(place < cluster->reads_count);
		}
		if (solo->reads[i].status == 0) {
			cluster->reads_answered++;
			if (cluster->reads[place].committed > applied)
				cluster->reads_stale++;
		}
		cluster->reads[place] = cluster->reads[--cluster->reads_count];
	}
	if (cluster->reads_stale > 0 && !cluster->stale_reads)
		broken(cluster, "reads are linearizable", id, applied);
}

void
cluster_check(struct cluster *cluster, raft_id id)
{
	struct cluster_node *node = &cluster->nodes[id];
	raft_index last = cluster_status(cluster, id).last_index;
	uint64_t epoch = raft_log_epoch(node->solo.raft);

	check_election(cluster, id);
	check_leader_log(cluster, id);
	check_committed(cluster, id);
	check_reads(cluster, id);
	node->members_seen = *raft_get_members(node->solo.raft);
	if (last == node->last_seen && epoch == node->epoch_seen)
		return;
	node->last_seen = last;
	node->epoch_seen = epoch;
	cluster_check_disjoint(cluster, id);
	for (raft_id other = 1; other <= cluster->count; other++) {
		if (other != id && cluster->nodes[other].solo.raft != NULL)
			check_matching(cluster, id, other);
	}
}
