#include "node/node_log.h"

#include "common/base64.h"
#include "common/codec.h"
#include "common/mem.h"
#include "common/panic.h"
#include "node/node_log_impl.h"

#include <stdlib.h>

/* ---- Entries in memory ---- */

static struct node_entry *
entry_new(raft_index index, size_t record_size)
{
	struct node_entry *entry = mem_alloc(sizeof(*entry) + record_size);

	*entry = (struct node_entry){
		.index = index,
		.record = slice_of(entry + 1, record_size),
	};
	return entry;
}

static void
entry_free(struct node_entry *entry)
{
	free(entry->wire_text);
	free(entry);
}

struct slice
node_entry_wire(struct node_entry *entry)
{
	struct buf text = { 0 };

	if (entry->wire_text == NULL) {
		buf_reserve(&text, BASE64_SIZE(entry->record.size));
		base64_encode(&text, entry->record);
		entry->wire_text = (char *)buf_detach(&text, &entry->wire_size);
	}
	return slice_of(entry->wire_text, entry->wire_size);
}

static struct node_entry **
ring_at(const struct node_log *log, raft_index index)
{
	return &log->ring[index & (log->ring_capacity - 1)];
}

static void
ring_grow(struct node_log *log)
{
	size_t capacity = log->ring_capacity * 2;
	struct node_entry **ring =
	    mem_zalloc(capacity, sizeof(struct node_entry *));

	for (raft_index i = log->cached_first; i <= log->last_index; i++)
		ring[i & (capacity - 1)] = *ring_at(log, i);
	free(log->ring);
	log->ring = ring;
	log->ring_capacity = capacity;
}

/* Puts `entry`, whose record continues the log, behind the last. */
static void
push(struct node_log *log, struct node_entry *entry,
    const struct node_record *record)
{
	ASSERT(entry->index == log->last_index + 1);
	if (log->last_index + 1 - log->cached_first == log->ring_capacity)
		ring_grow(log);
	log->last_index++;
	log->last_chain = record->chain;
	log->last_time_us = record->time_us;
	*ring_at(log, entry->index) = entry;
	log->cached_bytes += entry->record.size;
	log->bytes += entry->record.size;
}

void
node_log_append(struct node_log *log, enum raft_entry_type type, raft_term term,
    uint64_t time_us, struct slice payload)
{
	size_t size = NODE_RECORD_OVERHEAD + payload.size;
	struct node_entry *entry = entry_new(log->last_index + 1, size);
	struct node_record record = {
		.type = type,
		.index = log->last_index + 1,
		.term = term,
		.time_us = MAX(time_us, log->last_time_us),
		.payload = payload,
	};

	node_record_encode((uint8_t *)(entry + 1), &record, log->last_chain);
	push(log, entry, &record);
}

int
node_log_adopt(struct node_log *log, struct slice bytes)
{
	struct node_record record;
	struct node_entry *entry;

	if (node_record_decode(bytes, &record) != 0 ||
	    record.index != log->last_index + 1)
		return ERR_INVALID;
	/* Cluster time never goes back in a log, as its open demands. */
	if (record.chain != node_record_chain(bytes, log->last_chain) ||
	    record.time_us < log->last_time_us)
		return ERR_MISMATCH;
	entry = entry_new(record.index, bytes.size);
	memcpy(entry + 1, bytes.data, bytes.size);
	push(log, entry, &record);
	return 0;
}

int
node_log_truncate(struct node_log *log, raft_index from)
{
	struct node_record record = {
		.chain = log->compacted_chain,
		.time_us = log->compacted_time_us,
	};
	struct node_entry *entry;
	int error;

	ASSERT(from > log->compacted_index);
	if (from > log->last_index)
		return 0;
	for (raft_index i = from; i <= log->last_index; i++) {
		error = node_log_get(log, i, &entry);
		if (error != 0)
			return error;
		log->bytes -= entry->record.size;
		if (i < log->cached_first)
			continue;
		log->cached_bytes -= entry->record.size;
		*ring_at(log, i) = NULL;
		entry_free(entry);
	}
	log->last_index = from - 1;
	if (log->cached_first > from)
		log->cached_first = from;
	if (from - 1 > log->compacted_index) {
		error = node_log_get(log, from - 1, &entry);
		if (error == 0)
			error = node_record_decode(entry->record, &record);
		if (error != 0)
			return error;
	}
	log->last_chain = record.chain;
	log->last_time_us = record.time_us;
	return 0;
}

void
node_log_begin_at(struct node_log *log, const struct node_log_base *base)
{
	for (raft_index i = log->cached_first; i <= log->last_index; i++) {
		entry_free(*ring_at(log, i));
		*ring_at(log, i) = NULL;
	}
	log->cached_first = base->index + 1;
	log->cached_bytes = 0;
	log->bytes = 0;
	log->compacted_index = base->index;
	log->compacted_term = base->term;
	log->compacted_chain = base->chain;
	log->compacted_time_us = base->time_us;
	log->data_generation = base->data_generation;
	log->compact_until = base->index;
	log->commit_hint = MAX(log->commit_hint, base->index);
	log->durable_index = base->index;
	log->last_index = base->index;
	log->last_chain = base->chain;
	log->last_time_us = base->time_us;
}

void
node_log_reset(struct node_log *log, const struct node_log_base *base)
{
	log->reset = *base;
}

/* ---- Reading ---- */

int
node_log_read(struct node_log *log, struct store_txn *txn, raft_index index,
    struct slice *ret_bytes)
{
	uint8_t key[8];
	struct node_record record;
	int error;

	codec_store_u64(key, index);
	error = store_get(
	    txn, NODE_TABLE_LOG, slice_of(key, sizeof(key)), ret_bytes);
	if (error == ERR_NOT_FOUND)
		return index > log->compacted_index ? ERR_CORRUPT : error;
	if (error != 0)
		return error;
	error = node_record_decode(*ret_bytes, &record);
	if (error == 0 && record.index != index)
		return ERR_CORRUPT;
	return error;
}

static int
read_cold(struct node_log *log, raft_index index, struct node_entry **ret_entry)
{
	struct store_txn *txn;
	struct node_entry *entry;
	struct slice bytes;
	int error;

	error = store_begin(log->store, false, &txn);
	if (error != 0)
		return error;
	error = node_log_read(log, txn, index, &bytes);
	if (error == 0) {
		entry = entry_new(index, bytes.size);
		memcpy(entry + 1, bytes.data, bytes.size);
		log->cold = mem_realloc(
		    log->cold, log->cold_count + 1, sizeof(*log->cold));
		log->cold[log->cold_count++] = entry;
		*ret_entry = entry;
	}
	store_abort(txn);
	return error;
}

int
node_log_get(
    struct node_log *log, raft_index index, struct node_entry **ret_entry)
{
	if (index <= log->compacted_index || index > log->last_index)
		return ERR_NOT_FOUND;
	if (index < log->cached_first)
		return read_cold(log, index, ret_entry);
	*ret_entry = *ring_at(log, index);
	return 0;
}

int
node_log_get_base(
    struct node_log *log, raft_index index, struct node_log_base *ret_base)
{
	struct node_log_base base = {
		.index = index,
		.term = log->compacted_term,
		.chain = log->compacted_chain,
		.time_us = log->compacted_time_us,
	};
	struct node_record record;
	struct node_entry *entry;
	int error;

	if (index != log->compacted_index) {
		error = node_log_get(log, index, &entry);
		if (error == 0)
			error = node_record_decode(entry->record, &record);
		if (error != 0)
			return error;
		base.term = record.term;
		base.chain = record.chain;
		base.time_us = record.time_us;
	}
	*ret_base = base;
	return 0;
}

void
node_log_uncache_first(struct node_log *log)
{
	struct node_entry **place = ring_at(log, log->cached_first);

	ASSERT(log->cached_first <= log->durable_index);
	log->cached_bytes -= (*place)->record.size;
	entry_free(*place);
	*place = NULL;
	log->cached_first++;
}

void
node_log_tidy(struct node_log *log, raft_index applied_index)
{
	raft_index free_until = MIN(applied_index, log->durable_index);

	for (size_t i = 0; i < log->cold_count; i++)
		entry_free(log->cold[i]);
	log->cold_count = 0;
	while (log->cached_bytes > log->cache_bytes_max &&
	       log->cached_first <= free_until)
		node_log_uncache_first(log);
}

void
node_log_get_state(const struct node_log *log, struct node_log_state *ret_state)
{
	*ret_state = (struct node_log_state){
		.term = log->term,
		.vote = log->vote,
		.commit_hint = log->commit_hint,
		.compacted_index = log->compacted_index,
		.compacted_term = log->compacted_term,
		.data_generation = log->data_generation,
		.repair_until = log->repair_until,
		.repair_term = log->repair_term,
		.last_index = log->last_index,
		.durable_index = log->durable_index,
		.last_time_us = log->last_time_us,
		.bytes = log->bytes,
	};
}

void
node_log_note_members(struct node_log *log, struct slice note)
{
	ASSERT(note.size >= 8);
	if (log->members.size != 0 &&
	    codec_load_u64(note.data) <= codec_load_u64(log->members.data))
		return;
	buf_reset(&log->members);
	buf_append_slice(&log->members, note);
	log->members_changed = true;
}

struct slice
node_log_get_members(const struct node_log *log)
{
	return buf_slice(&log->members);
}

void
node_log_free(struct node_log *log)
{
	if (log == NULL)
		return;
	for (raft_index i = log->cached_first; i <= log->last_index; i++)
		entry_free(*ring_at(log, i));
	for (size_t i = 0; i < log->cold_count; i++)
		entry_free(log->cold[i]);
	buf_release(&log->members);
	free(log->cold);
	free(log->ring);
	free(log);
}
