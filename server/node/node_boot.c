/* From the two stores to a running core, and what has to fit together. */

#include "common/codec.h"
#include "common/hash.h"
#include "common/mem.h"
#include "common/panic.h"
#include "node/node_impl.h"
#include "node/node_members.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* The state machine's note of the membership: u64 index, the payload. */
#define MEMBERSHIP_META "members"

/* What the scan of the log collects for the core. */
struct scan {
	struct raft_entry *entries;
	size_t count;
	size_t capacity;
};

static int
scan_members(const struct node_record *record, struct raft_entry *entry)
{
	uint8_t cluster_id[NODE_NONCE_SIZE];
	struct node_members members;
	struct raft_members *roles = mem_zalloc(1, sizeof(*roles));
	int error;

	error = node_membership_decode(
	    record->payload, cluster_id, &members, roles);
	if (error != 0) {
		free(roles);
		return error;
	}
	roles->index = record->index;
	entry->members = roles;
	return 0;
}

static int
scan_entry(void *context, const struct node_record *record, uint32_t size)
{
	struct scan *scan = context;
	struct raft_entry entry = {
		.term = record->term,
		.type = record->type,
		.size = size,
	};
	int error = 0;

	if (record->type == RAFT_ENTRY_MEMBERS)
		error = scan_members(record, &entry);
	if (error != 0)
		return error;
	if (scan->count == scan->capacity) {
		scan->capacity = MAX(1024, scan->capacity * 2);
		scan->entries = mem_realloc(
		    scan->entries, scan->capacity, sizeof(*scan->entries));
	}
	scan->entries[scan->count++] = entry;
	return 0;
}

static void
scan_release(struct scan *scan)
{
	for (size_t i = 0; i < scan->count; i++)
		free((void *)(uintptr_t)scan->entries[i].members);
	free(scan->entries);
}

/* The membership that the state machine holds, if it has one. */
static int
load_membership(struct node *node, struct raft_members *ret_roles)
{
	struct node_members members;
	struct codec_reader reader;
	struct slice bytes;
	uint64_t index;
	int error;

	node_members_to_raft(&node->identity.members, ret_roles);
	error = kv_get_meta(node->kv, MEMBERSHIP_META, &bytes);
	if (error == ERR_NOT_FOUND)
		return 0;
	if (error != 0)
		return error;
	codec_reader_init(&reader, bytes);
	index = codec_read_u64(&reader);
	error = node_membership_decode(
	    reader.rest, node->cluster_id, &members, ret_roles);
	if (error != 0)
		return error;
	ret_roles->index = index;
	node->cluster_id_known = true;
	return 0;
}

int
node_take_membership(struct node *node, struct slice payload)
{
	struct node_members members;
	struct raft_members roles;
	struct buf bytes = { 0 };
	int error;

	error =
	    node_membership_decode(payload, node->cluster_id, &members, &roles);
	if (error != 0)
		return error;
	node->cluster_id_known = true;
	node->changed = true;
	codec_append_u64(&bytes, kv_applied_index(node->kv) + 1);
	buf_append_slice(&bytes, payload);
	error = kv_set_meta(node->kv, MEMBERSHIP_META, buf_slice(&bytes));
	buf_release(&bytes);
	return error;
}

/* Log and state machine were checked each by itself: do they fit? */
static int
check_fit(const struct node *node, const struct node_log_state *state,
    char *why, size_t size)
{
	raft_index applied = kv_applied_index(node->kv);

	if (applied > state->last_index) {
		snprintf(why, size,
		    "the data holds entry %" PRIu64
		    " but the log ends at %" PRIu64
		    ": they are not of the same time; put back a data-dir "
		    "that is whole",
		    applied, state->last_index);
		return ERR_CORRUPT;
	}
	if (state->commit_hint > state->last_index) {
		snprintf(why, size,
		    "the hard state knows of commits up to entry %" PRIu64
		    " but the log ends at %" PRIu64,
		    state->commit_hint, state->last_index);
		return ERR_CORRUPT;
	}
	if (applied < state->compacted_index) {
		snprintf(why, size,
		    "the log begins at entry %" PRIu64
		    " but the data ends at %" PRIu64
		    ": they are not of the same time; put back a data-dir "
		    "that is whole",
		    state->compacted_index + 1, applied);
		return ERR_CORRUPT;
	}
	return 0;
}

static int
start_core(
    struct node *node, struct scan *scan, raft_usec now, char *why, size_t size)
{
	struct raft_params params = node->params.raft;
	struct node_log_state state;
	struct raft_boot boot;
	int error;

	node_log_get_state(node->log, &state);
	error = check_fit(node, &state, why, size);
	if (error != 0)
		return error;
	boot = (struct raft_boot){
		.boot_id = node->params.boot_id,
		.term = state.term,
		.vote = state.vote,
		.compacted_index = state.compacted_index,
		.compacted_term = state.compacted_term,
		.entries = scan->entries,
		.entries_count = scan->count,
		.applied_index = kv_applied_index(node->kv),
		.commit_hint = state.commit_hint,
	};
	error = load_membership(node, &boot.members);
	if (error != 0) {
		snprintf(why, size, "membership: %s", err_text(error));
		return error;
	}
	if (boot.members.index > state.compacted_index)
		node_members_to_raft(&node->identity.members, &boot.members);
	params.id = node->id;
	/* The core mixes in the boot id. */
	params.seed = hash64(0, slice_of(&node->id, sizeof(node->id)));
	error = raft_new(&node->raft, &params, &boot, now);
	if (error != 0)
		snprintf(why, size, "log and hard state: %s", err_text(error));
	return error;
}

int
node_boot(struct node *node, raft_usec now, char *why, size_t size)
{
	struct scan scan = { .entries = NULL };
	int error;

	ASSERT(node->state == NODE_MEMBER);
	ASSERT(node->raft == NULL);
	error = node_log_open(node->log_store, node->params.cache_bytes_max,
	    scan_entry, &scan, &node->log, why, size);
	if (error == 0)
		error = start_core(node, &scan, now, why, size);
	scan_release(&scan);
	node->changed = true;
	return error;
}
