/* From the two stores to a running core, and what has to fit together. */

#include "common/hash.h"
#include "common/mem.h"
#include "common/panic.h"
#include "node/node_impl.h"
#include "node/node_snapshot.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

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
	/* No damage, for which its sums would be wrong: every member has it. */
	if (error != 0)
		return error == ERR_CORRUPT ? ERR_STOPPED : error;
	if (scan->count == scan->capacity) {
		scan->capacity = MAX(1024, scan->capacity * 2);
		scan->entries = mem_realloc(
		    scan->entries, scan->capacity, sizeof(*scan->entries));
	}
	scan->entries[scan->count++] = entry;
	return 0;
}

static void
scan_release(void *context)
{
	struct scan *scan = context;

	for (size_t i = 0; i < scan->count; i++)
		free((void *)(uintptr_t)scan->entries[i].members);
	free(scan->entries);
	*scan = (struct scan){ .entries = NULL };
}

static const struct raft_members *
scan_last_members(void *context)
{
	const struct scan *scan = context;

	for (size_t i = scan->count; i > 0; i--) {
		if (scan->entries[i - 1].members != NULL)
			return scan->entries[i - 1].members;
	}
	return NULL;
}

static const struct node_visitor scan_visitor = {
	.visit = scan_entry,
	.forget = scan_release,
	.last_members = scan_last_members,
};

/*
 * The membership before the log's first entry. The one that is stored may be
 * newer: then it is in the log, and what was before it matters to nobody, as
 * it is committed.
 */
static int
load_base(struct node *node, raft_index compacted_index,
    struct raft_members *ret_roles)
{
	uint8_t cluster_id[NODE_NONCE_SIZE];
	struct node_membership membership;
	int error;

	error = node_load_membership(node);
	if (error == 0)
		error = node_stored_membership(
		    node->kv, node->log, cluster_id, &membership);
	if (error != 0 && error != ERR_NOT_FOUND)
		return error;
	if (error == ERR_NOT_FOUND ||
	    membership.roles.index > compacted_index) {
		node_base_membership(node, &membership);
		membership.roles.index = 0;
	}
	*ret_roles = membership.roles;
	return 0;
}

static int
start_core(struct node *node, const struct scan *scan, raft_usec now, char *why,
    size_t size)
{
	struct raft_params params = node->params.raft;
	struct node_log_state state;
	struct raft_boot boot;
	int error;

	node_log_get_state(node->log, &state);
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
		.repair_until = state.repair_until,
		.repair_term = state.repair_term,
	};
	error = load_base(node, state.compacted_index, &boot.members);
	if (error != 0) {
		snprintf(why, size, "membership: %s", err_text(error));
		return error;
	}
	params.id = node->id;
	/* The core mixes in the boot id. */
	params.seed = hash64(0, slice_of(&node->id, sizeof(node->id)));
	error = raft_new(&node->raft, &params, &boot, now);
	if (error != 0) {
		snprintf(why, size, "log and hard state: %s", err_text(error));
		return error;
	}
	error = node_update_membership(node);
	if (error != 0)
		snprintf(why, size, "%s", node->fault);
	return error;
}

int
node_boot_core(struct node *node, raft_usec now, char *why, size_t size)
{
	const struct scan empty = { .entries = NULL };

	ASSERT(node->state == NODE_MEMBER);
	ASSERT(node->raft == NULL);
	return start_core(node, &empty, now, why, size);
}

/* Only a member has a log. */
static int
check_stage(
    const struct node *node, const struct scan *scan, char *why, size_t size)
{
	if (node->state == NODE_MEMBER || node->state == NODE_REMOVED ||
	    scan->count == 0)
		return 0;
	snprintf(why, size,
	    "there is a log, but the identity says that this node was never "
	    "a member");
	return ERR_CORRUPT;
}

int
node_boot(struct node *node, raft_usec now, char *why, size_t size)
{
	struct scan scan = { .entries = NULL };
	int error;

	error = node_repair_open(node, &scan_visitor, &scan, why, size);
	if (error == 0)
		node_time_begin(node, now);
	if (error == 0)
		error = check_stage(node, &scan, why, size);
	if (error == 0 && node->state == NODE_MEMBER)
		error = start_core(node, &scan, now, why, size);
	scan_release(&scan);
	return error;
}
