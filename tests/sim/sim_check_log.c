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
	uint64_t cut = follow_image(sim, node, watch);

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

/* On how many disks the entry `index` is as committed, or was before a wipe. */
static unsigned
count_holders(struct sim *sim, raft_index index, uint64_t hash)
{
	struct sim_checks *checks = sim->checks;
	struct sim_entry entry;
	unsigned count = 0;

	for (raft_id id = 1; id <= sim->config.nodes_count; id++) {
		struct sim_node *node = sim_node_get(sim, id);
		struct sim_image *image = &checks->watches[id].image;

		sim_image_load(image, node);
		if (node->wiped || index <= image->compacted_index)
			count++;
		else if (sim_image_entry(sim, image, index, &entry))
			count += entry.hash == hash;
	}
	return count;
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
	unsigned count;

	if (until <= committed->last_index)
		return;
	for (raft_index i = committed->last_index + 1; i <= until; i++) {
		*sim_log_at(committed, i) = *sim_log_at(log, i);
		sim_log_at(committed, i)->committed_in = raft->term;
	}
	committed->last_index = until;
	check_own_term(sim, node, raft, sim_log_at(committed, until)->term);
	count = count_holders(sim, until, sim_log_at(committed, until)->hash);
	if (count < sim->config.nodes_count / 2 + 1)
		sim_fail(sim,
		    "node %" PRIu64 " takes entry %" PRIu64
		    " for committed, which only %u disks hold",
		    node->id, until, count);
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

void
sim_check_leader(struct sim *sim, struct sim_node *node, raft_term term)
{
	struct sim_watch *watch = &sim->checks->watches[node->id];
	struct sim_log *committed = &sim->checks->committed;

	sim_check_one_leader(sim, node, term);
	if (watch->role == RAFT_LEADER && watch->life_term == term)
		return;
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
