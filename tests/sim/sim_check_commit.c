/* Leader completeness, and the committed log. */

#include "common/hash.h"
#include "common/mem.h"
#include "common/panic.h"
#include "node/node_record.h"
#include "tests/sim/sim_check.h"
#include <inttypes.h>

/* ---- Commit ---- */

struct held {
	raft_index index;
	raft_term term;
};

/* Is the entry on the node's disk? Log matching makes its term enough. */
static bool
holds(struct sim *sim, struct sim_node *node, const void *context)
{
	const struct held *held = context;
	struct sim_image *image = &sim->checks->watches[node->id].image;
	struct sim_entry entry;

	sim_image_load(image, node);
	if (held->index <= image->compacted_index)
		return true;
	return sim_image_entry(sim, image, held->index, &entry) &&
	       entry.term == held->term;
}

const struct raft_members *
sim_check_members_of(
    struct sim *sim, const struct sim_node *node, raft_index index)
{
	struct sim_log *log = &sim->checks->watches[node->id].log;
	const struct node_membership *membership = NULL;
	struct buf bytes = { 0 };
	struct node_record record;

	if (index == 0)
		return &sim->checks->founders;
	if (index <= log->last_index) {
		membership = sim_log_at(log, index)->membership;
	} else if (node_get_record(node->node, index, &bytes) == 0 &&
		   node_record_decode(buf_slice(&bytes), &record) == 0 &&
		   record.type == RAFT_ENTRY_MEMBERS) {
		membership = sim_check_membership(
		    sim, hash64(0, record.payload), record.payload);
	}
	buf_release(&bytes);
	return membership == NULL ? NULL : &membership->roles;
}

bool
sim_check_is_joint(struct sim *sim, struct sim_node *node)
{
	const struct raft_members *members;
	struct node_status status;

	node_get_status(
	    node->node, sim_node_clock(node, node->turn_at), &status);
	members = sim_check_members_of(sim, node, status.raft.members_index);
	return members != NULL && members->joint;
}

/*
 * By a membership that was in effect since the node's last turn ended: one at
 * least that it might have counted by has the entry on a quorum of its disks,
 * in both halves if it is joint.
 */
static bool
is_held(struct sim *sim, const struct sim_node *node,
    const struct raft_status *raft, const struct held *held)
{
	raft_index from = sim->checks->watches[node->id].members_index;

	for (raft_index i = from; i <= raft->members_index; i++) {
		const struct raft_members *members =
		    sim_check_members_of(sim, node, i);

		if (members != NULL &&
		    sim_check_quorum(sim, members, holds, held))
			return true;
	}
	return false;
}

/* A leader counts by itself; nobody told it since its last turn. */
static bool
led_before(const struct sim_watch *watch, const struct raft_status *raft)
{
	return raft->role == RAFT_LEADER && watch->role == RAFT_LEADER &&
	       watch->life_term == raft->term;
}

void
sim_check_acknowledged(
    struct sim *sim, struct sim_node *node, const struct sim_op *op)
{
	struct sim_watch *watch = &sim->checks->watches[node->id];
	const struct held held = { op->index, op->term };
	struct node_status status;

	sim->counters.acknowledgements_checked++;
	watch->acknowledged_index = MAX(watch->acknowledged_index, op->index);
	/* What was committed before was judged then. */
	if (op->index <= sim->checks->committed.last_index)
		return;
	node_get_status(
	    node->node, sim_node_clock(node, node->turn_at), &status);
	if (!led_before(watch, &status.raft))
		return;
	sim->counters.acknowledgements_held++;
	if (!is_held(sim, node, &status.raft, &held))
		sim_fail(sim,
		    "node %" PRIu64 " acknowledges entry %" PRIu64
		    ", which no quorum of disks holds",
		    node->id, op->index);
}

/* Section 5.4.2: a leader commits by an entry of its own term. */
static void
check_own_term(struct sim *sim, const struct sim_node *node,
    const struct raft_status *raft, raft_term term)
{
	const struct sim_watch *watch = &sim->checks->watches[node->id];

	if (led_before(watch, raft) && term != raft->term)
		sim_fail(sim,
		    "node %" PRIu64 " leads in term %" PRIu64
		    " and commits up to an entry of term %" PRIu64,
		    node->id, raft->term, term);
}

/* Section 5.4.2 at work: on a quorum of disks, but of an older term. */
static void
count_held_back(struct sim *sim, const struct sim_node *node,
    const struct raft_status *raft)
{
	struct sim_log *log = &sim->checks->watches[node->id].log;
	struct held held = { .index = raft->commit_index + 1 };

	if (raft->role != RAFT_LEADER || held.index > log->last_index)
		return;
	held.term = sim_log_at(log, held.index)->term;
	if (held.term < raft->term)
		sim->counters.old_terms_held_back +=
		    is_held(sim, node, raft, &held);
}

static void
commit_more(struct sim *sim, const struct sim_node *node, struct sim_log *log,
    raft_index until, const struct raft_status *raft)
{
	struct sim_log *committed = &sim->checks->committed;
	struct held held;

	if (until <= committed->last_index)
		return;
	for (raft_index i = committed->last_index + 1; i <= until; i++) {
		struct sim_entry entry = *sim_log_at(log, i);

		entry.committed_in = raft->term;
		*sim_log_at(committed, i) = entry;
		sim_check_members_committed(sim, i);
	}
	committed->last_index = until;
	held = (struct held){ until, sim_log_at(committed, until)->term };
	check_own_term(sim, node, raft, held.term);
	if (led_before(&sim->checks->watches[node->id], raft) &&
	    !is_held(sim, node, raft, &held))
		sim_fail(sim,
		    "node %" PRIu64 " takes entry %" PRIu64
		    " for committed, which no quorum of disks holds",
		    node->id, until);
}

void
sim_check_commit(
    struct sim *sim, struct sim_node *node, const struct raft_status *raft)
{
	struct sim_watch *watch = &sim->checks->watches[node->id];
	struct sim_log *committed = &sim->checks->committed;
	raft_index until = MIN(raft->commit_index, watch->log.last_index);

	if (raft->commit_index < watch->commit_index)
		sim_fail(sim,
		    "commit index of node %" PRIu64 " falls to %" PRIu64,
		    node->id, raft->commit_index);
	watch->commit_index = raft->commit_index;
	count_held_back(sim, node, raft);
	commit_more(sim, node, &watch->log, until, raft);
	for (raft_index i = watch->compared_index + 1; i <= until; i++) {
		if (sim_log_at(&watch->log, i)->hash ==
		    sim_log_at(committed, i)->hash)
			continue;
		sim_fail(sim,
		    "node %" PRIu64 " has committed another entry %" PRIu64,
		    node->id, i);
		return;
	}
	watch->compared_index = MAX(watch->compared_index, until);
}

/* ---- Leaders ---- */

static struct sim_leader *
leader_at(struct sim_checks *checks, raft_term term)
{
	size_t capacity = checks->leaders_capacity;

	if (term >= capacity) {
		capacity = MAX(64, capacity);
		while (term >= capacity)
			capacity *= 2;
		checks->leaders = mem_realloc(
		    checks->leaders, capacity, sizeof(*checks->leaders));
		memset(checks->leaders + checks->leaders_capacity, 0,
		    (capacity - checks->leaders_capacity) *
			sizeof(*checks->leaders));
		checks->leaders_capacity = capacity;
	}
	return &checks->leaders[term];
}

void
sim_check_one_leader(struct sim *sim, struct sim_node *node, raft_term term)
{
	struct sim_leader *leader = leader_at(sim->checks, term);

	if (leader->node == 0) {
		*leader = (struct sim_leader){
			.node = node->id,
			.life = node->life,
		};
		sim->counters.leaders++;
		sim->counters.leaders_alone += sim->config.nodes_count == 1;
	} else if (leader->node != node->id || leader->life != node->life) {
		sim_fail(sim,
		    "two leaders in term %" PRIu64 ": node %" PRIu64
		    ", life %" PRIu64 ", and node %" PRIu64 ", life %" PRIu64,
		    term, leader->node, leader->life, node->id, node->life);
	}
}

struct election {
	const struct sim_node *node;
	raft_term term;
};

/* Who has voted in a newer term may have voted in this one before. */
static bool
voted(struct sim *sim, struct sim_node *node, const void *context)
{
	const struct election *election = context;
	const struct sim_watch *watch = &sim->checks->watches[node->id];

	return node == election->node ||
	       watch->promised_term > election->term ||
	       (watch->promised_term == election->term &&
		   watch->promised_vote == election->node->member_id);
}

/* By a quorum of voters in the newest membership that it did not make. */
static void
check_election(struct sim *sim, const struct sim_node *node, raft_term term)
{
	struct sim_log *log = &sim->checks->watches[node->id].log;
	const struct election election = { node, term };
	raft_index index = log->last_index;

	while (index > 0 && sim_log_at(log, index)->term >= term)
		index--;
	sim->counters.elections_checked++;
	if (!sim_check_quorum(
		sim, sim_check_members_at(sim, log, index), voted, &election))
		sim_fail(sim,
		    "node %" PRIu64 " leads in term %" PRIu64
		    " without a quorum of votes",
		    node->id, term);
}

void
sim_check_leader(struct sim *sim, struct sim_node *node, raft_term term)
{
	struct sim_watch *watch = &sim->checks->watches[node->id];
	struct sim_log *committed = &sim->checks->committed;

	sim_check_one_leader(sim, node, term);
	if (watch->role == RAFT_LEADER && watch->life_term == term)
		return;
	check_election(sim, node, term);
	for (raft_index i = 1; i <= committed->last_index; i++) {
		/* Votes that come late make leaders of terms long past. */
		if (sim_log_at(committed, i)->committed_in >= term)
			return;
		if (i <= watch->log.last_index &&
		    sim_log_at(&watch->log, i)->hash ==
			sim_log_at(committed, i)->hash)
			continue;
		sim_fail(sim,
		    "node %" PRIu64 " leads in term %" PRIu64
		    " without entry %" PRIu64 ", which is committed",
		    node->id, term, i);
		return;
	}
}
