/*
 * Damage to the disk of a node that is down, and what its driver makes of it
 * before the next start.
 */

#include "tests/lib/raft_cluster.h"

#include "common/panic.h"

void
cluster_damage_log(struct cluster *cluster, raft_id id, raft_index from)
{
	struct solo *solo = &cluster->nodes[id].solo;
	struct solo_disk *disk = &solo->disk;
	raft_index last = disk->compacted_index + disk->log.count;
	size_t kept = (size_t)(from - 1 - disk->compacted_index);

	ASSERT(solo->raft == NULL);
	ASSERT(from > MAX(disk->applied_index, disk->compacted_index));
	ASSERT(from <= last);
	/* What is lost twice is known from the first time. */
	ASSERT(disk->repair_until == 0);
	disk->lost.count = 0;
	for (size_t i = kept; i < disk->log.count; i++)
		solo_log_append(&disk->lost, &disk->log.entries[i].entry);
	disk->lost_first = from;
	disk->log.count = kept;
	disk->repair_until = last;
	disk->repair_term = disk->term;
	cluster_tell(
	    cluster, "n%d loses %d..%d", (int)id, (int)from, (int)last);
}

void
cluster_lose_state(struct cluster *cluster, raft_id id)
{
	struct solo *solo = &cluster->nodes[id].solo;

	ASSERT(solo->raft == NULL);
	solo->disk.applied_index = 0;
	cluster_tell(cluster, "n%d loses its state", (int)id);
}

bool
cluster_damaged(const struct cluster *cluster, raft_id id)
{
	const struct solo_disk *disk = &cluster->nodes[id].solo.disk;

	return disk->repair_until != 0 ||
	       disk->applied_index < disk->compacted_index;
}

bool
cluster_promised(
    const struct cluster *cluster, raft_id id, raft_index index, raft_term term)
{
	const struct solo_disk *disk = &cluster->nodes[id].solo.disk;

	if (disk->repair_until == 0 || index < disk->lost_first ||
	    index - disk->lost_first >= disk->lost.count)
		return false;
	return disk->lost.entries[index - disk->lost_first].entry.term == term;
}
