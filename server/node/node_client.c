/* Writes and reads that wait, and the log's own end. */

#include "common/mem.h"
#include "common/panic.h"
#include "node/node_impl.h"
#include "node/node_members.h"

#include <stdlib.h>

/* All reads of one turn: the core confirms them by one round. */
struct read_batch {
	struct list link;
	uint64_t id;
	struct list reads;
};

static void
append_own(struct node *node, raft_usec now, const struct raft_entry *entry)
{
	if (entry->type == RAFT_ENTRY_MEMBERS)
		node_append_membership(node, now, entry, &node->active.members);
	else
		node_log_append(node->log, entry->type, entry->term,
		    node_stamp_time(node, now), slice_of(NULL, 0));
}

void
node_fill_log(struct node *node, raft_usec now)
{
	struct node_log_state state;
	struct raft_entry entry;

	for (;;) {
		node_log_get_state(node->log, &state);
		if (raft_get_entry(node->raft, state.last_index + 1, &entry) !=
		    0)
			return;
		/* The core makes a new leader's first entry, and memberships
		 * that follow from others, whose members are all known. */
		ASSERT(entry.type != RAFT_ENTRY_COMMAND);
		if (entry.term != node->time.term)
			node_time_lead(
			    node, now, entry.term, state.last_index + 1);
		append_own(node, now, &entry);
	}
}

static struct list *
bucket_of(struct node *node, raft_index index)
{
	return &node->waiting[index & (NODE_WAITING_BUCKETS - 1)];
}

void
node_wait(struct node *node, struct node_write *write)
{
	list_push(bucket_of(node, write->index), &write->link);
	node->again = true;
}

int
node_write(struct node *node, raft_usec now, struct node_write *write,
    struct slice command)
{
	struct raft_entry entry = { .type = RAFT_ENTRY_COMMAND };
	size_t size = NODE_RECORD_OVERHEAD + command.size;
	int error;

	if (node->state != NODE_MEMBER || node->error != 0)
		return ERR_NOT_LEADER;
	if (size > UINT32_MAX)
		return ERR_TOO_LARGE;
	entry.size = (uint32_t)size;
	node_fill_log(node, now);
	error = raft_propose(
	    node->raft, now, &entry, 1, &write->index, &write->term);
	if (error != 0)
		return error;
	node_log_append(node->log, RAFT_ENTRY_COMMAND, write->term,
	    node_stamp_time(node, now), command);
	node_wait(node, write);
	return 0;
}

void
node_write_cancel(struct node_write *write)
{
	list_remove(&write->link);
}

void
node_answer_writes(struct node *node, raft_index index, raft_term term,
    const struct kv_result *result)
{
	struct list *bucket = bucket_of(node, index);
	struct list due;
	struct list *link;
	struct list *following;

	if (list_empty(bucket))
		return;
	/* Callbacks may cancel others: first take out all that are due. */
	list_init(&due);
	LIST_EACH_SAFE(link, following, bucket) {
		if (CONTAINER_OF(link, struct node_write, link)->index ==
		    index) {
			list_remove(link);
			list_push(&due, link);
		}
	}
	while (!list_empty(&due)) {
		struct node_write *write =
		    CONTAINER_OF(due.next, struct node_write, link);

		list_remove(&write->link);
		if (write->term == term)
			write->done(write, NODE_DONE, result);
		else
			write->done(write, NODE_LOST, NULL);
	}
}

int
node_read(struct node *node, struct node_read *read)
{
	if (node->error != 0 || node_leader(node) == 0)
		return ERR_NOT_LEADER;
	list_push(&node->reads, &read->link);
	node->again = true;
	return 0;
}

void
node_read_cancel(struct node_read *read)
{
	list_remove(&read->link);
}

static void
answer_batch(struct read_batch *batch, int status)
{
	while (!list_empty(&batch->reads)) {
		struct node_read *read =
		    CONTAINER_OF(batch->reads.next, struct node_read, link);

		list_remove(&read->link);
		read->done(read, status);
	}
	free(batch);
}

void
node_ask_reads(struct node *node, raft_usec now)
{
	struct read_batch *batch;
	int error;

	if (list_empty(&node->reads))
		return;
	batch = mem_zalloc(1, sizeof(*batch));
	batch->id = ++node->read_id;
	list_init(&batch->link);
	list_init(&batch->reads);
	list_splice(&batch->reads, &node->reads);
	error = raft_read(node->raft, now, batch->id);
	if (error != 0) {
		answer_batch(batch, error);
		return;
	}
	list_push(&node->batches, &batch->link);
}

void
node_answer_read(struct node *node, uint64_t read_id, int status)
{
	struct list *link;

	LIST_EACH(link, &node->batches) {
		struct read_batch *batch =
		    CONTAINER_OF(link, struct read_batch, link);

		if (batch->id != read_id)
			continue;
		list_remove(link);
		answer_batch(batch, status);
		return;
	}
	ASSERT(!"the core answered a read that was not asked for");
}

void
node_fail_reads(struct node *node)
{
	struct list failed;

	list_init(&failed);
	list_splice(&failed, &node->reads);
	while (!list_empty(&node->batches)) {
		struct read_batch *batch =
		    CONTAINER_OF(node->batches.next, struct read_batch, link);

		list_remove(&batch->link);
		answer_batch(batch, ERR_NOT_LEADER);
	}
	while (!list_empty(&failed)) {
		struct node_read *read =
		    CONTAINER_OF(failed.next, struct node_read, link);

		list_remove(&read->link);
		read->done(read, ERR_NOT_LEADER);
	}
}

static void
forget(struct list *list)
{
	while (!list_empty(list))
		list_remove(list->next);
}

void
node_clients_release(struct node *node)
{
	while (!list_empty(&node->batches)) {
		struct read_batch *batch =
		    CONTAINER_OF(node->batches.next, struct read_batch, link);

		list_remove(&batch->link);
		forget(&batch->reads);
		free(batch);
	}
	forget(&node->reads);
	for (size_t i = 0; i < NODE_WAITING_BUCKETS; i++)
		forget(&node->waiting[i]);
}
