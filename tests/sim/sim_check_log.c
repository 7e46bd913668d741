/* Log matching: what changes on the disks of the logs. */

#include "common/mem.h"
#include "common/panic.h"
#include "kv/kv_impl.h"
#include "tests/sim/sim_check.h"
#include <inttypes.h>
#include <stdlib.h>

struct sim_known {
	raft_index index; /* 0: empty */
	raft_term term;
	uint64_t hash;
	raft_usec seen_at; /* when it was first on a disk */
	uint8_t *record;
	size_t size;
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
note_known(struct sim *sim, struct sim_known *known,
    const struct sim_image *image, raft_index index,
    const struct sim_entry *entry)
{
	struct slice record = sim_image_record(image, index);

	*known = (struct sim_known){
		.index = index,
		.term = entry->term,
		.hash = entry->hash,
		.seen_at = sim->now,
		.record = mem_copy(record.data, record.size),
		.size = record.size,
	};
	sim->checks->known_count++;
}

bool
sim_check_record(struct sim *sim, raft_index index, raft_term term,
    struct node_record *ret_record, raft_usec *ret_seen_at)
{
	const struct sim_known *known;

	if (sim->checks->known_capacity == 0)
		return false;
	known = known_slot(sim->checks, index, term);
	*ret_seen_at = known->seen_at;
	return known->index != 0 &&
	       node_record_decode(
		   slice_of(known->record, known->size), ret_record) == 0;
}

void
sim_check_known_release(struct sim_checks *checks)
{
	for (size_t i = 0; i < checks->known_capacity; i++)
		free(checks->known[i].record);
	free(checks->known);
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
		note_known(
		    sim, known, &checks->watches[node->id].image, index, entry);
	} else if (known->hash != entry->hash) {
		sim_fail(sim,
		    "log matching: node %" PRIu64 " has another entry %" PRIu64
		    " of term %" PRIu64,
		    node->id, index, entry->term);
	}
}

/*
 * Entries from `from` on are cut from the end of a log: none must be committed,
 * unless a leader of an earlier term than that in which it was, who speaks late,
 * puts its own there: `term` is that of the entry that takes the first place.
 */
static void
check_cut(struct sim *sim, const struct sim_node *node, raft_index index,
    raft_term term)
{
	struct sim_log *log = &sim->checks->watches[node->id].log;
	struct sim_log *committed = &sim->checks->committed;

	if (!node->broken && index <= committed->last_index &&
	    sim_log_at(committed, index)->committed_in <= term &&
	    sim_log_at(committed, index)->hash == sim_log_at(log, index)->hash)
		sim_fail(sim,
		    "node %" PRIu64 " cut entry %" PRIu64
		    ", which is committed",
		    node->id, index);
}

/* A snapshot took the place of what the log begins behind: true if some of that
 * was something else before, or not there. */
static bool
follow_reset(struct sim *sim, struct sim_node *node, struct sim_watch *watch)
{
	struct sim_log *committed = &sim->checks->committed;
	raft_index compacted = watch->image.compacted_index;
	bool changed = false;

	/* Damage was cut from the front up to a state that has more applied than
	 * was seen: the turn that did so ended in a crash. It counts as
	 * committed now, by what the node says. */
	if (compacted > committed->last_index && node->wounds > 0 &&
	    compacted <= watch->log.last_index)
		return false;
	if (compacted > committed->last_index) {
		sim_fail(sim,
		    "the log of node %" PRIu64 " begins behind entry %" PRIu64
		    ", which is not committed",
		    node->id, compacted);
		return false;
	}
	for (raft_index i = watch->compacted_index + 1; i <= compacted; i++) {
		const struct sim_entry entry = *sim_log_at(committed, i);

		changed = changed || i > watch->log.last_index ||
			  sim_log_at(&watch->log, i)->hash != entry.hash;
		*sim_log_at(&watch->log, i) = entry;
	}
	watch->log.last_index = MAX(watch->log.last_index, compacted);
	return changed;
}

/* The first entry that is not as it was on the disk before; one behind the last
 * if all are. Records are chained: all before an equal one are equal, too. */
static raft_index
first_changed(
    struct sim *sim, const struct sim_watch *watch, struct sim_log *log)
{
	raft_index last = MIN(watch->image.last_index, log->last_index);
	struct sim_entry entry;

	while (last > watch->image.compacted_index &&
	       sim_image_entry(sim, &watch->image, last, &entry) &&
	       sim_log_at(log, last)->hash != entry.hash)
		last--;
	return last + 1;
}

/* As follow_log, for what the image holds. */
static uint64_t
follow_image(struct sim *sim, struct sim_node *node, struct sim_watch *watch)
{
	const struct sim_image *image = &watch->image;
	struct sim_log *log = &watch->log;
	raft_index first = first_changed(sim, watch, log);
	raft_index last = log->last_index;
	struct sim_entry entry = { .term = UINT64_MAX };

	if (first <= image->last_index && first <= last)
		(void)sim_image_entry(sim, image, first, &entry);
	for (raft_index i = first; i <= last; i++) {
		check_cut(sim, node, i, entry.term);
		sim->counters.truncations_of_members +=
		    sim_log_at(log, i)->membership != NULL;
	}
	for (raft_index i = MAX(first, image->compacted_index + 1);
	     i <= image->last_index; i++) {
		if (!sim_image_entry(sim, image, i, &entry))
			break;
		check_matching(sim, node, i, &entry);
		*sim_log_at(log, i) = entry;
	}
	log->last_index = image->last_index;
	return last + 1 - MIN(first, last + 1);
}

/* The newest membership in the log, of which entries up to `same` stayed. */
static void
follow_members(struct sim *sim, struct sim_watch *watch, raft_index same)
{
	raft_index i = watch->log.last_index;

	for (; i > same; i--) {
		const struct sim_entry *entry = sim_log_at(&watch->log, i);

		if (entry->membership == NULL)
			continue;
		watch->members = &entry->membership->roles;
		watch->newest_members = i;
		return;
	}
	if (same != 0)
		return;
	watch->members = &sim->checks->founders;
	watch->newest_members = 0;
}

/* How many entries that had been on the disk before are there no more. */
static uint64_t
follow_log(struct sim *sim, struct sim_node *node)
{
	struct sim_watch *watch = &sim->checks->watches[node->id];
	raft_index last = watch->log.last_index;
	raft_index compacted = watch->compacted_index;
	bool reset = follow_reset(sim, node, watch);
	uint64_t cut = follow_image(sim, node, watch);

	if (cut > 0 || reset)
		last = 0;
	if (last == 0 || last != watch->log.last_index)
		follow_members(sim, watch, last);
	watch->compacted_index = watch->image.compacted_index;
	sim->counters.log_trims += watch->compacted_index > compacted;
	if (watch->image.formed &&
	    (cut > 0 || last == 0 || last != watch->log.last_index))
		sim_check_disjoint(sim, node);
	return cut;
}

void
sim_check_died(struct sim *sim, struct sim_node *node)
{
	struct sim_watch *watch = &sim->checks->watches[node->id];

	/* Nobody knows what is left of it. */
	if (node->broken)
		return;
	sim_image_load(&watch->image, node);
	if (watch->image.formed)
		(void)follow_log(sim, node);
}

/* What the data on the disk of the node has applied. */
static raft_index
applied_on_disk(const struct sim_node *node)
{
	struct store_mem_disk *disk;
	struct store *store;
	struct store_txn *txn;
	struct slice bytes;
	struct kv_state state = { 0 };

	disk = store_mem_disk_clone(sim_disks_data(&node->disks));
	store = store_mem_open(disk);
	if (store_begin(store, false, &txn) == 0) {
		if (store_get(txn, KV_TABLE_META, kv_state_key(), &bytes) ==
			0 &&
		    kv_state_decode(bytes, &state) != 0)
			state.applied_index = 0;
		store_abort(txn);
	}
	store_close(store);
	store_mem_disk_free(disk);
	return state.applied_index;
}

/* What is cut from the front of a log is in the state, both on disk. */
static void
check_covered(struct sim *sim, const struct sim_node *node,
    const struct raft_status *raft)
{
	struct sim_watch *watch = &sim->checks->watches[node->id];
	raft_index cut = watch->image.compacted_index;

	if (cut == watch->covered_index || node->broken || raft->state_lost ||
	    sim_disks_data(&node->disks) == NULL ||
	    sim_disks_data_generation(&node->disks) != node->generation)
		return;
	watch->covered_index = cut;
	sim->counters.cuts_checked++;
	if (applied_on_disk(node) < cut)
		sim_fail(sim,
		    "the log of node %" PRIu64 " is cut up to entry %" PRIu64
		    ", and its data goes up to %" PRIu64,
		    node->id, cut, applied_on_disk(node));
}

void
sim_check_log(
    struct sim *sim, struct sim_node *node, const struct raft_status *raft)
{
	struct sim_watch *watch = &sim->checks->watches[node->id];
	uint64_t cut = follow_log(sim, node);

	check_covered(sim, node, raft);
	sim->counters.truncations += cut > 0;
	sim->counters.truncations_of_many += cut > 1;
	if (cut > 0 && watch->role == RAFT_LEADER &&
	    raft->role == RAFT_LEADER && watch->life_term == raft->term)
		sim_fail(sim, "node %" PRIu64 " leads and cuts its own log",
		    node->id);
}
