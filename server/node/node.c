/* Lifecycle, messages of peers, and looking. The turn is in node_turn.c. */

#include "common/hash.h"
#include "common/mem.h"
#include "common/panic.h"
#include "node/node_impl.h"
#include "node/node_members.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static_assert(
    NODE_MEMBERS_MAX <= RAFT_MEMBERS_MAX, "the core has room for every member");

const char *const node_log_tables[NODE_LOG_TABLES_COUNT] = {
	[NODE_TABLE_IDENTITY] = "node",
	[NODE_TABLE_STATE] = "state.1",
	[NODE_TABLE_LOG] = "log.1",
};

int
node_set_fault(struct node *node, int error, const char *format, ...)
{
	va_list arguments;

	if (node->error != 0)
		return node->error;
	node->error = error;
	va_start(arguments, format);
	vsnprintf(node->fault, sizeof(node->fault), format, arguments);
	va_end(arguments);
	return error;
}

void
node_fail(struct node *node, int error, const char *reason)
{
	(void)node_set_fault(node, error, "%s: %s", reason, err_text(error));
}

const char *
node_fault(const struct node *node)
{
	return node->fault;
}

static int
open_all(struct node *node, raft_usec now, char *why, size_t size)
{
	int error;

	error = node_formation_open(node, why, size);
	if (error != 0)
		return error;
	error = node_boot(node, now, why, size);
	if (error != 0)
		return error;
	/* Applies up to the commit hint, and forms a cluster of one. */
	error = node_turn(node, now);
	if (error != 0)
		snprintf(why, size, "%s", node->fault);
	/* Verified a moment ago: to do it again would not help. */
	return error == ERR_CORRUPT ? ERR_STOPPED : error;
}

int
node_new(struct node **ret_node, const struct node_params *params,
    struct store *log, const struct node_host *host, raft_usec now, char *why,
    size_t size)
{
	struct node *node = mem_zalloc(1, sizeof(*node));
	int error;

	ASSERT(params->boot_id != 0);
	node->params = *params;
	node->host = *host;
	node->log_store = log;
	node->settle_at = RAFT_NEVER;
	node->checkpoint_at = RAFT_NEVER;
	node_snapshots_init(&node->snapshots);
	node_scrub_init(node, now);
	node_renew_init(node);
	node_chores_init(node);
	list_init(&node->reads);
	list_init(&node->batches);
	for (size_t i = 0; i < NODE_WAITING_BUCKETS; i++)
		list_init(&node->waiting[i]);
	error = open_all(node, now, why, size);
	if (error != 0) {
		node_free(node);
		return error;
	}
	*ret_node = node;
	return 0;
}

void
node_free(struct node *node)
{
	if (node == NULL)
		return;
	node_clients_release(node);
	raft_free(node->raft);
	node_log_free(node->log);
	node_snapshots_release(&node->snapshots);
	node_scrub_release(node);
	kv_close(node->kv);
	store_close(node->data_store);
	free(node->ops);
	free(node->entries);
	free(node->received);
	free(node->received_members);
	free(node);
}

/* ---- Messages ---- */

static void
reserve_received(struct node *node, uint32_t count)
{
	if (count <= node->received_capacity)
		return;
	node->received_capacity = count;
	node->received =
	    mem_realloc(node->received, count, sizeof(*node->received));
	node->received_members = mem_realloc(
	    node->received_members, count, sizeof(*node->received_members));
}

static int
decode_received(struct node *node, const struct raft_message *message,
    const struct slice *records, uint32_t i)
{
	uint8_t cluster_id[NODE_NONCE_SIZE];
	struct raft_members *roles = &node->received_members[i];
	struct node_members members;
	struct node_record record;

	if (node_record_decode(records[i], &record) != 0 ||
	    record.index != message->prev_index + 1 + i ||
	    records[i].size > UINT32_MAX)
		return ERR_INVALID;
	node->received[i] = (struct raft_entry){
		.term = record.term,
		.type = record.type,
		.size = (uint32_t)records[i].size,
	};
	if (record.type != RAFT_ENTRY_MEMBERS)
		return 0;
	if (node_membership_decode(
		record.payload, cluster_id, &members, roles) != 0)
		return ERR_INVALID;
	roles->index = record.index;
	node->received[i].members = roles;
	return 0;
}

static int
take_accepted(struct node *node, const struct raft_accepted *accepted,
    const struct slice *records)
{
	int error;

	error = node_log_truncate(node->log, accepted->first);
	for (uint32_t i = 0; error == 0 && i < accepted->count; i++)
		error =
		    node_log_adopt(node->log, records[accepted->offset + i]);
	if (error == 0)
		return 0;
	/* Index and term matched, the history does not: log matching broke. */
	return node_set_fault(node, error,
	    "log entry %llu from a peer does not continue this log: %s",
	    (unsigned long long)accepted->first, err_text(error));
}

/*
 * What the leader has committed now may not be here yet. One such promise is
 * watched at a time: the next begins when it is kept, so that a node which is
 * always a little behind still learns how far.
 */
static void
note_leader(
    struct node *node, raft_usec now, const struct raft_message *message)
{
	struct raft_status status;

	if (message->kind != RAFT_APPEND_REQUEST)
		return;
	if (node->freshening_at != 0 &&
	    kv_applied_index(node->kv) < node->freshening_index)
		return;
	node->fresh_at = node->freshening_at;
	raft_get_status(node->raft, &status);
	if (status.term != message->term || status.leader != message->from)
		return;
	node->freshening_at = now;
	node->freshening_index = message->commit_index;
}

int
node_receive(struct node *node, raft_usec now,
    const struct raft_message *message, const struct slice *records)
{
	struct raft_message copy = *message;
	struct raft_accepted accepted;
	int error;

	if (node->error != 0)
		return ERR_STOPPED;
	if (node->raft == NULL || node->state != NODE_MEMBER)
		return ERR_AGAIN;
	/* It hears why when it connects again. But a leader that has removed
	 * itself hands its place over. */
	if (node_is_gone(node, message->from) &&
	    message->from != node_leader(node))
		return ERR_AGAIN;
	if (!node_is_newest_life(node, message->from, message->boot_id))
		return ERR_AGAIN;
	reserve_received(node, copy.entries_count);
	for (uint32_t i = 0; i < copy.entries_count; i++) {
		error = decode_received(node, message, records, i);
		if (error != 0)
			return error;
	}
	copy.entries = node->received;
	node_fill_log(node, now);
	error = raft_receive(node->raft, now, &copy, &accepted);
	node->again = true;
	if (error == 0) {
		note_leader(node, now, message);
		node_compare_receive(node, message);
	}
	if (error != 0 || accepted.count == 0)
		return error;
	return take_accepted(node, &accepted, records);
}

/* The oldest gives its place to a new one. */
static void
note_lost(struct node *node, raft_usec now, raft_id peer)
{
	struct node_lost *place = &node->lost[0];

	for (unsigned i = 0; i < ARRAY_COUNT(node->lost); i++) {
		struct node_lost *lost = &node->lost[i];

		if (lost->id == peer) {
			place = lost;
			break;
		}
		if (lost->at < place->at)
			place = lost;
	}
	*place = (struct node_lost){ .id = peer, .at = now };
}

void
node_peer_unreachable(struct node *node, raft_usec now, raft_id peer)
{
	if (node->raft == NULL || node->state != NODE_MEMBER)
		return;
	note_lost(node, now, peer);
	(void)raft_peer_unreachable(node->raft, now, peer);
	node->again = true;
}

void
node_peer_refused(struct node *node, raft_usec now, raft_id peer)
{
	if (node->raft == NULL || node->state != NODE_MEMBER)
		return;
	note_lost(node, now, peer);
	(void)raft_peer_refused(node->raft, now, peer);
	node->again = true;
}

/* ---- Looking ---- */

struct kv *
node_kv(struct node *node)
{
	return node->kv;
}

bool
node_is_leader(const struct node *node)
{
	return node->raft != NULL && node->state == NODE_MEMBER &&
	       raft_get_role(node->raft) == RAFT_LEADER;
}

bool
node_is_repairing(const struct node *node)
{
	return node->begun_again ||
	       (node->raft != NULL && raft_is_damaged(node->raft));
}

raft_id
node_leader(const struct node *node)
{
	if (node->raft == NULL || node->state != NODE_MEMBER)
		return 0;
	return raft_get_leader(node->raft);
}

raft_usec
node_lease_until(const struct node *node)
{
	return node->raft == NULL ? 0 : raft_lease_until(node->raft);
}

raft_usec
node_heard_leader_at(const struct node *node, raft_usec now)
{
	if (node_is_leader(node))
		return now;
	return kv_applied_index(node->kv) < node->freshening_index
		   ? node->fresh_at
		   : node->freshening_at;
}

/* A leader has heard it within an election timeout; it hears itself. */
static bool
hears(const struct node *node, raft_usec now, raft_id id)
{
	struct raft_peer_status peer;

	if (id == node->id)
		return true;
	return node_get_peer(node, id, &peer) == 0 && peer.heard_at != 0 &&
	       now - MIN(now, peer.heard_at) <
		   node->params.raft.election_timeout;
}

bool
node_reaches(const struct node *node, raft_usec now, raft_id id)
{
	struct raft_peer_status peer;

	if (!hears(node, now, id))
		return false;
	if (id == node->id || node_get_peer(node, id, &peer) != 0)
		return true;
	for (unsigned i = 0; i < ARRAY_COUNT(node->lost); i++) {
		if (node->lost[i].id == id)
			return peer.heard_at > node->lost[i].at;
	}
	return true;
}

static void
count_voters(const struct node *node, raft_usec now, unsigned *ret_quorum,
    unsigned *ret_reached)
{
	const struct raft_members *roles = &node->active.roles;
	unsigned voters = 0;
	unsigned reached = 0;

	for (unsigned i = 0; i < roles->count; i++) {
		if (roles->member[i].role_new != RAFT_MEMBER_VOTER)
			continue;
		voters++;
		if (node->raft == NULL)
			reached += node->heard[i] ? 1 : 0;
		else
			reached +=
			    hears(node, now, roles->member[i].id) ? 1 : 0;
	}
	*ret_quorum = voters == 0 ? 0 : voters / 2 + 1;
	*ret_reached = reached;
}

void
node_get_data_stat(const struct node *node, struct store_stat *ret_stat)
{
	store_get_stat(node->data_store, ret_stat);
}

void
node_get_status(
    const struct node *node, raft_usec now, struct node_status *ret_status)
{
	struct node_log_state log;

	*ret_status = (struct node_status){
		.state = node->state,
		.id = node->id,
		.cluster_id_known = node->cluster_id_known,
		.generation = node->identity.generation,
		.revision = kv_revision(node->kv),
		.snapshots_sent = node->snapshots.sent_count,
		.snapshots_installed = node->snapshots.installed_count,
		.snapshots_refused = node->snapshots.refused_count,
		.snapshot_refusal = node->snapshots.refused_last,
		.receiving_snapshot = node->snapshots.receiver != NULL,
		.scrub_bytes = node->scrub.bytes,
		.scrub_passes = node->scrub.passes,
	};
	memcpy(ret_status->cluster_id, node->cluster_id, NODE_NONCE_SIZE);
	count_voters(node, now, &ret_status->quorum, &ret_status->reached);
	node_log_get_state(node->log, &log);
	ret_status->data_generation = log.data_generation;
	ret_status->begun_again = node->begun_again;
	ret_status->repairing = node_is_repairing(node);
	if (node->raft == NULL)
		return;
	raft_get_status(node->raft, &ret_status->raft);
	ret_status->log_entries = log.last_index - log.compacted_index;
	ret_status->log_bytes = log.bytes;
}

int
node_get_peer(
    const struct node *node, raft_id peer, struct raft_peer_status *ret_peer)
{
	if (node->raft == NULL || node->state != NODE_MEMBER)
		return ERR_NOT_LEADER;
	return raft_get_peer(node->raft, peer, ret_peer);
}

bool
node_check(const struct node *node, char *why, size_t size)
{
	struct raft_status raft;
	struct node_log_state log;
	raft_index applied = kv_applied_index(node->kv);

	if (node->raft == NULL)
		return true;
	if (!raft_check(node->raft, why, size))
		return false;
	raft_get_status(node->raft, &raft);
	node_log_get_state(node->log, &log);
	if (applied != raft.applied_index) {
		snprintf(why, size,
		    "core and state machine differ in what is "
		    "applied");
		return false;
	}
	if (applied > log.durable_index) {
		snprintf(why, size, "applied beyond the durable log");
		return false;
	}
	if (log.durable_index < raft.durable_index) {
		snprintf(why, size, "the core takes for durable what is not");
		return false;
	}
	return true;
}

uint64_t
node_digest(const struct node *node)
{
	uint64_t part[3] = {
		node->raft == NULL ? 0 : raft_digest(node->raft),
		kv_state_hash(node->kv),
		(uint64_t)node->state,
	};

	return hash64(0, slice_of(part, sizeof(part)));
}

int
node_get_record(struct node *node, raft_index index, struct buf *ret_record)
{
	struct node_entry *entry;
	int error;

	if (node->log == NULL)
		return ERR_NOT_FOUND;
	error = node_log_get(node->log, index, &entry);
	if (error == 0)
		buf_append_slice(ret_record, entry->record);
	return error;
}
