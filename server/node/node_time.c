/*
 * Cluster time: what entries are stamped with, and by what deadlines in the
 * state machine are judged. A leader counts on from the last stamp in its log,
 * at the pace of its own clock; the time between two leaders does not count. So
 * it is late after a change of leaders, by what passed since the last stamp,
 * and never early: everything lives as long as it was asked to.
 *
 * What is shown to clients never goes back on one node. A new leader's stamps
 * may be behind what it had counted on to before: then it shows the same until
 * they have caught up.
 */

#include "node/node_impl.h"

static uint64_t
count_on(uint64_t base_us, raft_usec base_at, raft_usec now)
{
	return base_us + (now > base_at ? now - base_at : 0);
}

uint64_t
node_stamp_time(const struct node *node, raft_usec now)
{
	return count_on(node->time.base_us, node->time.base_at, now);
}

raft_usec
node_stamp_due(const struct node *node, uint64_t time_us)
{
	const struct node_time *time = &node->time;

	return time->base_at +
	       (time_us > time->base_us ? time_us - time->base_us : 0);
}

uint64_t
node_cluster_time(const struct node *node, raft_usec now)
{
	const struct node_time *time = &node->time;
	uint64_t us = time->leads ? node_stamp_time(node, now)
				  : count_on(time->seen_us, time->seen_at, now);

	return MAX(us, time->floor_us);
}

void
node_time_begin(struct node *node, raft_usec now)
{
	node->time.seen_us = kv_cluster_time_us(node->kv);
	node->time.seen_at = now;
}

void
node_time_lead(
    struct node *node, raft_usec now, raft_term term, raft_index index)
{
	struct node_time *time = &node->time;
	struct node_log_state log;

	node_log_get_state(node->log, &log);
	time->floor_us = node_cluster_time(node, now);
	time->base_us = log.last_time_us;
	time->base_at = now;
	time->term = term;
	time->first_index = index;
	time->leads = true;
}

void
node_time_note_role(struct node *node, raft_usec now)
{
	/* A leader's stamps begin with its first entry: node_time_lead. */
	if (node_is_leader(node))
		return;
	node->time.floor_us = node_cluster_time(node, now);
	node->time.leads = false;
}

void
node_time_note_applied(struct node *node, raft_usec now, uint64_t stamp_us)
{
	struct node_time *time = &node->time;

	time->floor_us = node_cluster_time(node, now);
	time->seen_us = stamp_us;
	time->seen_at = now;
}
