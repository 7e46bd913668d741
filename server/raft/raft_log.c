/*
 * Owns what the core keeps of the log: size and type of each entry in a ring,
 * their terms as runs of equal terms, and how far the disk has followed
 * (section 5.3; thesis 10.2.1 for writing in parallel).
 *
 * Three marks say how far entries have come on the way to the disk:
 *
 *	durable <= handed <= last
 *
 * handed .. last waits for the next PERSIST; durable .. handed is being
 * written by the open one. Cutting the log pulls all three back, so that the
 * completion of a PERSIST never makes an entry durable that has meanwhile
 * taken the place of one it wrote (scenario E4).
 */

#include "raft/raft_impl.h"

#include "common/mem.h"
#include "common/panic.h"
#include <stdlib.h>

#define SLOTS_MIN 1024

void
raft_log_init(
    struct raft_log *log, raft_index compacted_index, raft_term compacted_term)
{
	*log = (struct raft_log){
		.compacted_index = compacted_index,
		.compacted_term = compacted_term,
		.last_index = compacted_index,
		.commit_index = compacted_index,
		.handed_index = compacted_index,
		.durable_index = compacted_index,
		.slots = mem_zalloc(SLOTS_MIN, sizeof(struct raft_slot)),
		.slots_capacity = SLOTS_MIN,
	};
}

void
raft_log_release(struct raft_log *log)
{
	free(log->slots);
	free(log->runs);
}

/* The place in `runs` of the run that holds the kept entry `index`. */
static size_t
run_at(const struct raft_log *log, raft_index index)
{
	size_t low = 0;
	size_t high = log->runs_count;

	ASSERT(index > log->compacted_index);
	ASSERT(index <= log->last_index);
	if (index >= log->runs[high - 1].first)
		return high - 1;
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (log->runs[middle].first <= index)
			low = middle;
		else
			high = middle;
	}
	return low;
}

raft_term
raft_log_term(const struct raft_log *log, raft_index index)
{
	if (index == log->compacted_index)
		return log->compacted_term;
	return log->runs[run_at(log, index)].term;
}

static struct raft_slot *
slot_at(const struct raft_log *log, raft_index index)
{
	return &log->slots[index & (log->slots_capacity - 1)];
}

const struct raft_slot *
raft_log_slot(const struct raft_log *log, raft_index index)
{
	ASSERT(index > log->compacted_index);
	ASSERT(index <= log->last_index);
	return slot_at(log, index);
}

raft_index
raft_log_find(const struct raft_log *log, raft_index index, raft_term term)
{
	size_t run;

	if (index <= log->compacted_index)
		return log->compacted_index;
	run = run_at(log, index);
	while (log->runs[run].term > term) {
		index = log->runs[run].first - 1;
		if (run == 0)
			break;
		run--;
	}
	return index;
}

static void
resize_slots(struct raft_log *log, size_t capacity)
{
	struct raft_slot *slots = mem_zalloc(capacity, sizeof(*slots));
	raft_index i;

	for (i = log->compacted_index + 1; i <= log->last_index; i++)
		slots[i & (capacity - 1)] = *slot_at(log, i);
	free(log->slots);
	log->slots = slots;
	log->slots_capacity = capacity;
}

void
raft_log_append(
    struct raft_log *log, raft_term term, uint32_t type, uint32_t size)
{
	raft_term last_term = raft_log_last_term(log);
	raft_index index = log->last_index + 1;

	ASSERT(term >= last_term);
	if (index - log->compacted_index > log->slots_capacity)
		resize_slots(log, log->slots_capacity * 2);
	*slot_at(log, index) = (struct raft_slot){
		.size = size,
		.type = type,
	};
	if (log->runs_count == 0 || term != last_term) {
		log->runs = raft_reserve(log->runs, &log->runs_capacity,
		    log->runs_count + 1, sizeof(*log->runs));
		log->runs[log->runs_count++] = (struct raft_run){
			.first = index,
			.term = term,
		};
	}
	log->last_index = index;
	log->uncommitted_bytes += size;
}

static void
truncate_log(struct raft_log *log, raft_index from)
{
	raft_index i;

	ASSERT(from > log->commit_index);
	ASSERT(from <= log->last_index);
	for (i = from; i <= log->last_index; i++)
		log->uncommitted_bytes -= slot_at(log, i)->size;
	while (
	    log->runs_count > 0 && log->runs[log->runs_count - 1].first >= from)
		log->runs_count--;
	log->last_index = from - 1;
	log->epoch++;
	if (from > log->handed_index)
		return;
	/* A cut not yet handed out begins behind handed_index: it is wider. */
	log->truncate_from = from;
	log->handed_index = from - 1;
	log->durable_index = MIN(log->durable_index, from - 1);
}

void
raft_log_commit(struct raft_log *log, raft_index index)
{
	ASSERT(index >= log->commit_index);
	ASSERT(index <= log->last_index);
	while (log->commit_index < index) {
		log->commit_index++;
		log->uncommitted_bytes -= slot_at(log, log->commit_index)->size;
	}
}

void
raft_log_compact(struct raft_log *log, raft_index index)
{
	size_t run;
	size_t i;

	ASSERT(index <= log->commit_index);
	ASSERT(index <= log->durable_index);
	if (index <= log->compacted_index)
		return;
	run = run_at(log, index);
	log->compacted_term = log->runs[run].term;
	log->compacted_index = index;
	log->runs[run].first = index + 1;
	if (index == log->last_index ||
	    (run + 1 < log->runs_count &&
		log->runs[run + 1].first == index + 1))
		run++;
	for (i = run; i < log->runs_count; i++)
		log->runs[i - run] = log->runs[i];
	log->runs_count -= run;
	while (log->slots_capacity > SLOTS_MIN &&
	       log->last_index - index < log->slots_capacity / 8)
		resize_slots(log, log->slots_capacity / 4);
}

/* Forgets all: the log begins behind `index`, as it does on the disk. */
static void
log_reset(struct raft_log *log, raft_index index, raft_term term)
{
	uint64_t epoch = log->epoch + 1;

	raft_log_release(log);
	raft_log_init(log, index, term);
	log->epoch = epoch;
}

void
raft_append_entry(struct raft *raft, const struct raft_entry *entry)
{
	raft_log_append(
	    &raft->log, entry->term, (uint32_t)entry->type, entry->size);
	if (entry->type != RAFT_ENTRY_MEMBERS)
		return;
	raft_history_push(&raft->history, entry->members, raft->log.last_index);
	raft_progress_members(raft);
}

/* One notice per run of terms: clients wait for (term, index). */
static void
tell_dropped(struct raft *raft, raft_index first)
{
	const struct raft_log *log = &raft->log;

	while (first <= log->last_index) {
		size_t run = run_at(log, first);
		raft_index last = run + 1 < log->runs_count
				      ? log->runs[run + 1].first - 1
				      : log->last_index;

		raft_out_dropped(raft, first, last, log->runs[run].term);
		first = last + 1;
	}
}

void
raft_cut_entries(struct raft *raft, raft_index from)
{
	tell_dropped(raft, from);
	truncate_log(&raft->log, from);
	if (raft_history_truncate(&raft->history, from))
		raft_progress_members(raft);
}

void
raft_reset_entries(struct raft *raft, raft_index index, raft_term term,
    const struct raft_members *members)
{
	/* Also those that are committed: nobody will see them applied. */
	tell_dropped(
	    raft, MAX(raft->applied_index, raft->log.compacted_index) + 1);
	log_reset(&raft->log, index, term);
	/* Memberships of entries that are gone never come back (G12). */
	raft->history.count = 0;
	raft_history_push(&raft->history, members, members->index);
	raft_progress_members(raft);
}

void
raft_copy_entries(const struct raft *raft, raft_index first, uint32_t count,
    struct raft_entry *entries)
{
	const struct raft_log *log = &raft->log;
	size_t run = run_at(log, first);
	uint32_t i;

	for (i = 0; i < count; i++) {
		raft_index index = first + i;
		const struct raft_slot *slot = slot_at(log, index);

		if (run + 1 < log->runs_count &&
		    log->runs[run + 1].first == index)
			run++;
		entries[i] = (struct raft_entry){
			.term = log->runs[run].term,
			.type = (enum raft_entry_type)slot->type,
			.size = slot->size,
		};
		if (slot->type == RAFT_ENTRY_MEMBERS)
			entries[i].members =
			    raft_history_at(&raft->history, index);
	}
}
