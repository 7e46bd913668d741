/* Log matching, leader completeness, and the committed log. */

#include "common/mem.h"
#include "common/panic.h"
#include "tests/sim/sim_check.h"
#include <inttypes.h>
#include <stdlib.h>

struct sim_known {
	raft_index index; /* 0: empty */
	raft_term term;
	uint64_t hash;
};

struct sim_entry *
sim_log_at(struct sim_log *log, raft_index index)
{
	size_t capacity = log->capacity;

	if (index >= capacity) {
		capacity = MAX(256, capacity);
		while (index >= capacity)
			capacity *= 2;
		log->entries =
		    mem_realloc(log->entries, capacity, sizeof(*log->entries));
		memset(log->entries + log->capacity, 0,
		    (capacity - log->capacity) * sizeof(*log->entries));
		log->capacity = capacity;
	}
	return &log->entries[index];
}

/* ---- Log matching: one record for each (index, term) ---- */

static struct sim_known *
known_slot(struct sim_checks *checks, raft_index index, raft_term term)
{
	size_t mask = checks->known_capacity - 1;
	size_t i = (index * UINT64_C(0x9e3779b97f4a7c15) ^
		       term * UINT64_C(0xbf58476d1ce4e5b9)) >>
		   20;

	for (i &= mask; checks->known[i].index != 0; i = (i + 1) & mask) {
		if (checks->known[i].index == index &&
		    checks->known[i].term == term)
			break;
	}
	return &checks->known[i];
}

static void
grow_known(struct sim_checks *checks)
{
	struct sim_known *old = checks->known;
	size_t old_capacity = checks->known_capacity;

	if (checks->known_count * 2 < old_capacity)
		return;
	checks->known_capacity = MAX(1024, old_capacity * 2);
	checks->known =
	    mem_zalloc(checks->known_capacity, sizeof(*checks->known));
	for (size_t i = 0; i < old_capacity; i++) {
		if (old[i].index != 0)
			*known_slot(checks, old[i].index, old[i].term) = old[i];
	}
	free(old);
}

static void
check_matching(struct sim *sim, const struct sim_node *node, raft_index index,
    const struct sim_entry *entry)
{
	struct sim_checks *checks = sim->checks;
	struct sim_known *known;

	grow_known(checks);
	sim->counters.records_compared++;
	known = known_slot(checks, index, entry->term);
	if (known->index == 0) {
		*known = (struct sim_known){
			.index = index,
			.term = entry->term,
			.hash = entry->hash,
		};
		checks->known_count++;
	} else if (known->hash != entry->hash) {
		sim_fail(sim,
		    "log matching: node %" PRIu64 " has another entry %" PRIu64
		    " of term %" PRIu64,
		    node->id, index, entry->term);
	}
}

/* An entry is cut from the end of a log: it must not be a committed one. */
static void
check_cut(struct sim *sim, const struct sim_node *node, raft_index index,
    const struct sim_entry *old)
{
	struct sim_log *committed = &sim->checks->committed;

	if (index <= committed->last_index &&
	    sim_log_at(committed, index)->hash == old->hash)
		sim_fail(sim,
		    "node %" PRIu64 " cut entry %" PRIu64
		    ", which is committed",
		    node->id, index);
}

/* A snapshot took the place of what the log begins behind. */
static void
follow_reset(struct sim *sim, struct sim_node *node, struct sim_watch *watch)
{
	struct sim_log *committed = &sim->checks->committed;
	raft_index compacted = watch->image.compacted_index;

	if (compacted > committed->last_index) {
		sim_fail(sim,
		    "the log of node %" PRIu64 " begins behind entry %" PRIu64
		    ", which is not committed",
		    node->id, compacted);
		return;
	}
	for (raft_index i = watch->compacted_index + 1; i <= compacted; i++) {
		const struct sim_entry entry = *sim_log_at(committed, i);

		*sim_log_at(&watch->log, i) = entry;
	}
	watch->log.last_index = MAX(watch->log.last_index, compacted);
}

/* How many entries that had been on the disk before are there no more. */
static uint64_t
follow_image(struct sim *sim, struct sim_node *node, struct sim_watch *watch)
{
	const struct sim_image *image = &watch->image;
	struct sim_log *log = &watch->log;
	struct sim_entry entry;
	uint64_t cut = 0;

	for (raft_index i = image->last_index + 1; i <= log->last_index; i++) {
		check_cut(sim, node, i, sim_log_at(log, i));
		cut++;
	}
	for (raft_index i = image->last_index; i > image->compacted_index;
	     i--) {
		struct sim_entry *place = sim_log_at(log, i);

		if (!sim_image_entry(sim, image, i, &entry))
			break;
		/* Records are chained: all before are the same, too. */
		if (i <= log->last_index && place->hash == entry.hash)
			break;
		if (i <= log->last_index) {
			check_cut(sim, node, i, place);
			cut++;
		}
		check_matching(sim, node, i, &entry);
		*place = entry;
	}
	log->last_index = image->last_index;
	return cut;
}

void
sim_check_log(
    struct sim *sim, struct sim_node *node, const struct raft_status *raft)
{
	struct sim_watch *watch = &sim->checks->watches[node->id];
	uint64_t cut;

	follow_reset(sim, node, watch);
	cut = follow_image(sim, node, watch);

	sim->counters.truncations += cut > 0;
	sim->counters.truncations_of_many += cut > 1;
	if (cut > 0 && watch->role == RAFT_LEADER &&
	    raft->role == RAFT_LEADER && watch->life_term == raft->term)
		sim_fail(sim, "node %" PRIu64 " leads and cuts its own log",
		    node->id);
	if (watch->image.compacted_index > watch->compacted_index)
		sim->counters.log_trims++;
	watch->compacted_index = watch->image.compacted_index;
}

/* ---- Commit ---- */

struct held {
	raft_index index;
	uint64_t hash;
};

/* Is the entry on the node's disk as committed? */
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
	       entry.hash == held->hash;
}

/* The membership in effect, which need not be on the leader's own disk yet;
 * the incoming half of it. */
static struct raft_members
members_in_effect(const struct sim_node *node)
{
	const struct node_members *book = node_get_members(node->node);
	struct raft_members members = { .count = book->count };

	for (unsigned i = 0; i < book->count; i++) {
		raft_id id = book->member[i].id;

		members.member[i].id = id;
		members.member[i].role_new = node_get_role(node->node, id);
	}
	return members;
}

/* In the membership of then, or in any newer one of the leader's. */
static bool
is_held(struct sim *sim, const struct sim_node *node, struct sim_log *log,
    raft_index index)
{
	const struct held held = { index, sim_log_at(log, index)->hash };
	const struct raft_members members = members_in_effect(node);

	if (sim_check_quorum(
		sim, sim_check_members_at(sim, log, index), holds, &held))
		return true;
	for (raft_index i = index + 1; i <= log->last_index; i++) {
		const struct sim_entry *entry = sim_log_at(log, i);

		if (entry->membership != NULL &&
		    sim_check_quorum(
			sim, &entry->membership->roles, holds, &held))
			return true;
	}
	return sim_check_quorum(sim, &members, holds, &held);
}

/* Section 5.4.2: a leader commits by an entry of its own term. */
static void
check_own_term(struct sim *sim, const struct sim_node *node,
    const struct raft_status *raft, raft_term term)
{
	const struct sim_watch *watch = &sim->checks->watches[node->id];

	/* It led before this turn, so that nobody else told it. */
	if (raft->role == RAFT_LEADER && watch->role == RAFT_LEADER &&
	    watch->life_term == raft->term && term != raft->term)
		sim_fail(sim,
		    "node %" PRIu64 " leads in term %" PRIu64
		    " and commits up to an entry of term %" PRIu64,
		    node->id, raft->term, term);
}

static void
commit_more(struct sim *sim, const struct sim_node *node, struct sim_log *log,
    raft_index until, const struct raft_status *raft)
{
	struct sim_log *committed = &sim->checks->committed;

	if (until <= committed->last_index)
		return;
	for (raft_index i = committed->last_index + 1; i <= until; i++) {
		struct sim_entry entry = *sim_log_at(log, i);

		entry.committed_in = raft->term;
		*sim_log_at(committed, i) = entry;
		sim_check_members_committed(sim, i);
	}
	committed->last_index = until;
	check_own_term(sim, node, raft, sim_log_at(committed, until)->term);
	if (raft->role == RAFT_LEADER && !is_held(sim, node, log, until))
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
