#include "tests/lib/raft_solo.h"

#include "common/mem.h"
#include "common/panic.h"
#include <stdio.h>
#include <stdlib.h>

static void *
reserve(void *array, size_t *capacity, size_t count, size_t size)
{
	if (count <= *capacity)
		return array;
	*capacity = MAX(count, *capacity * 2);
	return mem_realloc(array, *capacity, size);
}

/* An entry that is kept somewhere points to its own membership. */
static void
adopt_members(struct solo_log *log)
{
	for (size_t i = 0; i < log->count; i++) {
		struct solo_entry *kept = &log->entries[i];

		kept->entry.members = kept->entry.type == RAFT_ENTRY_MEMBERS
					  ? &kept->members
					  : NULL;
	}
}

void
solo_log_append(struct solo_log *log, const struct raft_entry *entry)
{
	size_t capacity = log->capacity;
	struct solo_entry *kept;

	log->entries = reserve(log->entries, &log->capacity, log->count + 1,
	    sizeof(*log->entries));
	kept = &log->entries[log->count++];
	*kept = (struct solo_entry){ .entry = *entry };
	if (entry->type == RAFT_ENTRY_MEMBERS)
		kept->members = *entry->members;
	if (capacity != log->capacity || entry->type == RAFT_ENTRY_MEMBERS)
		adopt_members(log);
}

void
solo_message_copy(struct solo_message *copy, const struct raft_message *message)
{
	*copy = (struct solo_message){ .message = *message };
	for (uint32_t i = 0; i < message->entries_count; i++)
		solo_log_append(&copy->log, &message->entries[i]);
	copy->message.entries = NULL;
}

void
solo_init(struct solo *solo, raft_id id, unsigned count)
{
	*solo = (struct solo){
		.now = 1000000,
		.params = {
			.id = id,
			.election_timeout = SOLO_ELECTION_TIMEOUT,
			.heartbeat_interval = SOLO_HEARTBEAT_INTERVAL,
			.append_entries_max = 100,
			.append_bytes_max = 10000,
			.inflight_appends_max = 4,
			.inflight_bytes_max = 20000,
			.inflight_rounds_max = 2,
			.entry_bytes_max = 50000,
			.uncommitted_bytes_max = 1000000,
			.pending_reads_max = 2000,
			.disk_stall_max = 300000,
			.transfer_timeout = 100000,
			.seed = id,
		},
	};
	solo->disk.members.count = count;
	for (unsigned i = 0; i < count; i++) {
		solo->disk.members.member[i] = (struct raft_member){
			.id = i + 1,
			.role_old = RAFT_MEMBER_VOTER,
			.role_new = RAFT_MEMBER_VOTER,
		};
	}
}

void
solo_clear(struct solo *solo)
{
	for (size_t i = 0; i < solo->sent_count; i++)
		free(solo->sent[i].log.entries);
	solo->sent_count = 0;
	solo->reads_count = 0;
	solo->dropped_count = 0;
	solo->snapshots_count = 0;
	for (size_t i = 0; i <= SOLO_ID_MAX; i++)
		solo->snapshot_for[i] = 0;
	solo->persists_count = 0;
	solo->apply_first = 0;
	solo->apply_last = 0;
	solo->roles_count = 0;
	solo->alarms_count = 0;
	solo->members_changed = false;
	solo->fatals_count = 0;
}

void
solo_release(struct solo *solo)
{
	solo_clear(solo);
	raft_free(solo->raft);
	free(solo->sent);
	free(solo->reads);
	free(solo->dropped);
	free(solo->disk.log.entries);
	free(solo->disk.lost.entries);
	free(solo->persist_log.entries);
}

void
solo_preset(struct solo *solo, raft_term term, raft_id vote,
    const raft_term *entry_terms, size_t count)
{
	solo->disk.term = term;
	solo->disk.vote = vote;
	for (size_t i = 0; i < count; i++) {
		struct raft_entry entry = {
			.term = entry_terms[i],
			.type = RAFT_ENTRY_COMMAND,
			.size = 1,
		};

		solo_log_append(&solo->disk.log, &entry);
	}
}

void
solo_boot(struct solo *solo)
{
	const struct solo_disk *disk = &solo->disk;
	struct raft_entry *entries =
	    mem_zalloc(disk->log.count, sizeof(*entries));
	struct raft_boot boot;

	for (size_t i = 0; i < disk->log.count; i++)
		entries[i] = disk->log.entries[i].entry;
	solo->boot_id++;
	boot = (struct raft_boot){
		.boot_id = solo->params.id * 1000000 + solo->boot_id,
		.term = disk->term,
		.vote = disk->vote,
		.compacted_index = disk->compacted_index,
		.compacted_term = disk->compacted_term,
		.entries = entries,
		.entries_count = disk->log.count,
		.members = disk->members,
		.applied_index = disk->applied_index,
		.commit_hint = disk->commit_hint,
		.repair_until = disk->repair_until,
		.repair_term = disk->repair_term,
	};
	ASSERT(raft_new(&solo->raft, &solo->params, &boot, solo->now) == 0);
	free(entries);
}

void
solo_boot_voter(struct solo *solo)
{
	solo_boot(solo);
	solo->now += solo->params.election_timeout;
}

void
solo_crash(struct solo *solo)
{
	raft_free(solo->raft);
	solo->raft = NULL;
	solo->persist_open = false;
	solo->persist_log.count = 0;
}

int
solo_compact(struct solo *solo, raft_index index)
{
	struct solo_disk *disk = &solo->disk;
	int result = raft_compact(solo->raft, index);
	size_t cut;

	if (result != 0 || index <= disk->compacted_index)
		return result;
	cut = (size_t)(index - disk->compacted_index);
	disk->compacted_term = disk->log.entries[cut - 1].entry.term;
	for (size_t i = 0; i < cut; i++) {
		const struct solo_entry *kept = &disk->log.entries[i];

		if (kept->entry.type != RAFT_ENTRY_MEMBERS)
			continue;
		disk->members = kept->members;
		disk->members.index = disk->compacted_index + i + 1;
	}
	disk->compacted_index = index;
	disk->log.count -= cut;
	for (size_t i = 0; i < disk->log.count; i++)
		disk->log.entries[i] = disk->log.entries[i + cut];
	adopt_members(&disk->log);
	return 0;
}

int
solo_install(struct solo *solo, raft_index index, raft_term term,
    const struct raft_members *members)
{
	int result =
	    raft_install_snapshot(solo->raft, solo->now, index, term, members);

	if (result == 0)
		solo->install_members = *members;
	return result;
}

struct raft_members
solo_members_at(const struct solo *solo, raft_index index)
{
	struct raft_members members = solo->disk.members;
	raft_index i = solo->disk.compacted_index + 1;

	for (; i <= index; i++) {
		struct raft_entry entry;

		ASSERT(raft_get_entry(solo->raft, i, &entry) == 0);
		if (entry.type == RAFT_ENTRY_MEMBERS)
			members = *entry.members;
	}
	return members;
}

static void
check(const struct solo *solo)
{
	char why[120];

	if (raft_check(solo->raft, why, sizeof(why)))
		return;
	fprintf(stderr, "n%llu breaks: %s\n",
	    (unsigned long long)solo->params.id, why);
	abort();
}

static void
record_send(struct solo *solo, const struct raft_op_send *send)
{
	solo->sent = reserve(solo->sent, &solo->sent_capacity,
	    solo->sent_count + 1, sizeof(*solo->sent));
	solo_message_copy(&solo->sent[solo->sent_count++], send->message);
	if (send->message->entries_count > 0)
		ASSERT(send->first == send->message->prev_index + 1);
	if (send->message->kind == RAFT_APPEND_REQUEST)
		solo->appended[send->message->to] = *send->message;
}

static void
record_persist(struct solo *solo, const struct raft_op_persist *persist)
{
	ASSERT(!solo->persist_open);
	solo->persist_open = true;
	solo->persist = *persist;
	solo->persists_count++;
	solo->persist_log.count = 0;
	if (persist->first == 0)
		return;
	for (raft_index i = persist->first; i <= persist->last; i++) {
		struct raft_entry entry;

		ASSERT(raft_get_entry(solo->raft, i, &entry) == 0);
		solo_log_append(&solo->persist_log, &entry);
	}
}

static void
record_apply(struct solo *solo, const struct raft_op_apply *apply)
{
	raft_index before =
	    solo->apply_last != 0 ? solo->apply_last : apply->first - 1;

	ASSERT(apply->first == before + 1);
	if (solo->apply_first == 0)
		solo->apply_first = apply->first;
	solo->apply_last = apply->last;
}

static void
record(struct solo *solo, const struct raft_op *op)
{
	switch (op->kind) {
	case RAFT_OP_SEND: record_send(solo, &op->send); break;
	case RAFT_OP_PERSIST: record_persist(solo, &op->persist); break;
	case RAFT_OP_APPLY: record_apply(solo, &op->apply); break;
	case RAFT_OP_READ:
		solo->reads = reserve(solo->reads, &solo->reads_capacity,
		    solo->reads_count + 1, sizeof(*solo->reads));
		solo->reads[solo->reads_count++] = op->read;
		break;
	case RAFT_OP_ROLE:
		solo->role = op->role;
		solo->roles_count++;
		break;
	case RAFT_OP_MEMBERS: solo->members_changed = true; break;
	case RAFT_OP_DROPPED:
		solo->dropped = reserve(solo->dropped, &solo->dropped_capacity,
		    solo->dropped_count + 1, sizeof(*solo->dropped));
		solo->dropped[solo->dropped_count++] = op->dropped;
		break;
	case RAFT_OP_SNAPSHOT:
		ASSERT(op->snapshot.peer <= SOLO_ID_MAX);
		solo->snapshot = op->snapshot;
		solo->snapshot_for[op->snapshot.peer] = op->snapshot.at_least;
		solo->snapshots_count++;
		break;
	case RAFT_OP_ALARM:
		solo->alarm = op->alarm;
		solo->alarms_count++;
		break;
	case RAFT_OP_FATAL:
		solo->fatal = op->fatal;
		solo->fatals_count++;
		break;
	}
}

/* The place of each kind in a take, as raft.h promises it. */
static const int order[] = {
	[RAFT_OP_SEND] = 1,
	[RAFT_OP_PERSIST] = 2,
	[RAFT_OP_DROPPED] = 3,
	[RAFT_OP_SNAPSHOT] = 4,
	[RAFT_OP_APPLY] = 5,
	[RAFT_OP_READ] = 6,
	[RAFT_OP_MEMBERS] = 7,
	[RAFT_OP_ROLE] = 8,
	[RAFT_OP_ALARM] = 9,
	[RAFT_OP_FATAL] = 10,
};

bool
solo_take(struct solo *solo)
{
	struct raft_ops ops;
	raft_index apply = 0;

	check(solo);
	raft_take(solo->raft, &ops);
	for (size_t i = 0; i < ops.count; i++) {
		if (i > 0)
			ASSERT(
			    order[ops.op[i - 1].kind] <= order[ops.op[i].kind]);
		if (ops.op[i].kind == RAFT_OP_APPLY)
			apply = ops.op[i].apply.last;
		record(solo, &ops.op[i]);
	}
	check(solo);
	if (apply != 0 && !solo->hold_apply) {
		solo->disk.applied_index = apply;
		(void)raft_applied(solo->raft, solo->now, apply);
	}
	return ops.count > 0;
}

static void
reset_disk(struct solo *solo)
{
	struct solo_disk *disk = &solo->disk;
	const struct raft_op_persist *persist = &solo->persist;

	ASSERT(persist->truncate_from == 0);
	ASSERT(persist->first == 0);
	disk->applied_index = persist->reset_index;
	solo->apply_first = 0;
	solo->apply_last = 0;
	if (persist->reset_keeps) {
		ASSERT(persist->reset_index >= disk->compacted_index);
		ASSERT(persist->reset_index <=
		       disk->compacted_index + disk->log.count);
		return;
	}
	disk->compacted_index = persist->reset_index;
	disk->compacted_term = persist->reset_term;
	disk->log.count = 0;
	disk->members = solo->install_members;
}

static void
write_disk(struct solo *solo)
{
	struct solo_disk *disk = &solo->disk;
	const struct raft_op_persist *persist = &solo->persist;

	ASSERT(persist->term >= disk->term);
	disk->term = persist->term;
	disk->vote = persist->vote;
	disk->commit_hint = persist->commit_index;
	disk->repair_until = persist->repair_until;
	disk->repair_term = persist->repair_term;
	if (persist->reset_index != 0)
		reset_disk(solo);
	if (persist->truncate_from != 0) {
		ASSERT(persist->truncate_from > disk->compacted_index);
		disk->log.count = (size_t)(persist->truncate_from - 1 -
					   disk->compacted_index);
	}
	if (persist->first != 0)
		ASSERT(persist->first ==
		       disk->compacted_index + disk->log.count + 1);
	for (size_t i = 0; i < solo->persist_log.count; i++)
		solo_log_append(
		    &disk->log, &solo->persist_log.entries[i].entry);
}

void
solo_persisted(struct solo *solo)
{
	ASSERT(solo->persist_open);
	write_disk(solo);
	solo->persist_open = false;
	(void)raft_persisted(solo->raft, solo->now, solo->persist.ticket);
	check(solo);
}

void
solo_settle(struct solo *solo)
{
	bool more = true;

	while (more) {
		more = solo_take(solo);
		if (solo->persist_open) {
			solo_persisted(solo);
			more = true;
		}
	}
}

void
solo_timeout(struct solo *solo)
{
	raft_usec deadline = raft_deadline(solo->raft);

	if (deadline != RAFT_NEVER)
		solo->now = MAX(solo->now, deadline);
	(void)raft_timeout(solo->raft, solo->now);
	solo_take(solo);
}

void
solo_advance(struct solo *solo, raft_usec duration)
{
	solo->now += duration;
	(void)raft_timeout(solo->raft, solo->now);
	solo_take(solo);
}

struct raft_message
solo_message(const struct solo *solo, enum raft_message_kind kind, raft_id from,
    raft_term term)
{
	return (struct raft_message){
		.kind = kind,
		.from = from,
		.to = solo->params.id,
		.term = term,
		.boot_id = 1000 + from,
		.sequence = 1,
	};
}

struct raft_message
solo_answer(const struct solo *solo, const struct raft_message *request,
    enum raft_message_kind kind)
{
	struct raft_message answer =
	    solo_message(solo, kind, request->to, request->term);

	answer.to_boot_id = request->boot_id;
	answer.sequence = request->sequence;
	answer.round = request->round;
	answer.sent_at = request->sent_at;
	return answer;
}

int
solo_receive(struct solo *solo, const struct raft_message *message,
    struct raft_accepted *ret_accepted)
{
	int result = raft_receive(solo->raft, solo->now, message, ret_accepted);

	check(solo);
	return result;
}

int
solo_deliver(struct solo *solo, const struct raft_message *message)
{
	struct raft_accepted accepted;
	int result = solo_receive(solo, message, &accepted);

	solo_settle(solo);
	return result;
}

const struct raft_message *
solo_sent(const struct solo *solo, enum raft_message_kind kind, raft_id to)
{
	for (size_t i = solo->sent_count; i > 0; i--) {
		const struct raft_message *message = &solo->sent[i - 1].message;

		if (message->kind == kind && (to == 0 || message->to == to))
			return message;
	}
	return NULL;
}

size_t
solo_sent_count(const struct solo *solo, enum raft_message_kind kind)
{
	size_t count = 0;

	for (size_t i = 0; i < solo->sent_count; i++)
		count += solo->sent[i].message.kind == kind;
	return count;
}

struct raft_status
solo_status(const struct solo *solo)
{
	struct raft_status status;

	raft_get_status(solo->raft, &status);
	return status;
}

struct raft_peer_status
solo_peer(const struct solo *solo, raft_id peer)
{
	struct raft_peer_status status;

	ASSERT(raft_get_peer(solo->raft, peer, &status) == 0);
	return status;
}

raft_term
solo_term(const struct solo *solo, raft_index index)
{
	struct raft_entry entry;

	return raft_get_entry(solo->raft, index, &entry) == 0 ? entry.term : 0;
}

int
solo_vote(struct solo *solo, const struct raft_message *request, bool granted)
{
	struct raft_message answer = solo_answer(solo, request,
	    request->kind == RAFT_VOTE_REQUEST ? RAFT_VOTE_RESPONSE
					       : RAFT_PREVOTE_RESPONSE);
	struct raft_accepted accepted;

	answer.granted = granted;
	return solo_receive(solo, &answer, &accepted);
}

/* All others grant what was asked by messages of `kind`. */
static void
grant_all(struct solo *solo, enum raft_message_kind kind)
{
	for (size_t i = 0; i < solo->sent_count; i++) {
		if (solo->sent[i].message.kind == kind)
			(void)solo_vote(solo, &solo->sent[i].message, true);
	}
}

void
solo_precampaign(struct solo *solo)
{
	solo_clear(solo);
	solo_timeout(solo);
}

void
solo_stand(struct solo *solo)
{
	solo_precampaign(solo);
	grant_all(solo, RAFT_PREVOTE_REQUEST);
	solo_take(solo);
	ASSERT(solo_status(solo).role == RAFT_CANDIDATE);
}

void
solo_lead(struct solo *solo)
{
	solo_stand(solo);
	solo_settle(solo);
	grant_all(solo, RAFT_VOTE_REQUEST);
	solo_settle(solo);
	ASSERT(solo_status(solo).role == RAFT_LEADER);
	solo_clear(solo);
}

int
solo_append(struct solo *solo, raft_id leader, raft_term term,
    raft_index prev_index, raft_term prev_term, const raft_term *terms,
    uint32_t count, raft_index commit_index)
{
	struct raft_message append =
	    solo_message(solo, RAFT_APPEND_REQUEST, leader, term);
	struct raft_entry *entries = mem_zalloc(count, sizeof(*entries));
	int result;

	for (uint32_t i = 0; i < count; i++)
		entries[i] = (struct raft_entry){
			.term = terms[i],
			.type = RAFT_ENTRY_COMMAND,
			.size = 1,
		};
	append.sequence = ++solo->sequence;
	append.prev_index = prev_index;
	append.prev_term = prev_term;
	append.entries = entries;
	append.entries_count = count;
	append.commit_index = commit_index;
	append.sent_at = solo->now;
	result = solo_receive(solo, &append, &solo->accepted);
	free(entries);
	return result;
}

bool
solo_ask(struct solo *solo, enum raft_message_kind kind, raft_id from,
    raft_term term, raft_index last_index, raft_term last_term)
{
	struct raft_message request = solo_message(solo, kind, from, term);
	const struct raft_message *answer;

	request.sequence = ++solo->sequence;
	request.last_index = last_index;
	request.last_term = last_term;
	ASSERT(solo_deliver(solo, &request) == 0);
	answer = solo_sent(solo,
	    kind == RAFT_VOTE_REQUEST ? RAFT_VOTE_RESPONSE
				      : RAFT_PREVOTE_RESPONSE,
	    from);
	ASSERT(answer != NULL);
	ASSERT(answer->sequence == request.sequence);
	return answer->granted;
}

int
solo_ack(struct solo *solo, raft_id peer, raft_index match)
{
	const struct raft_message *request = &solo->appended[peer];
	struct raft_message answer;

	ASSERT(request->to == peer);
	answer = solo_answer(solo, request, RAFT_APPEND_RESPONSE);
	answer.success = true;
	if (solo->params.lease_reads)
		answer.promise = solo->params.election_timeout;
	answer.match_index = match;
	return solo_deliver(solo, &answer);
}

raft_index
solo_propose(struct solo *solo, uint32_t size)
{
	struct raft_entry entry = {
		.type = RAFT_ENTRY_COMMAND,
		.size = size,
	};
	raft_index first;
	raft_term term;

	ASSERT(
	    raft_propose(solo->raft, solo->now, &entry, 1, &first, &term) == 0);
	return first;
}

void
solo_set_member(struct raft_members *target, const struct raft_member *member)
{
	struct raft_members result = { .count = 0 };
	bool placed = member->role_new == RAFT_MEMBER_NONE;

	for (unsigned i = 0; i < target->count; i++) {
		raft_id id = target->member[i].id;

		if (!placed && member->id <= id) {
			result.member[result.count++] = *member;
			placed = true;
		}
		if (id == member->id)
			continue;
		ASSERT(result.count < RAFT_MEMBERS_MAX);
		result.member[result.count++] = target->member[i];
	}
	if (!placed) {
		ASSERT(result.count < RAFT_MEMBERS_MAX);
		result.member[result.count++] = *member;
	}
	*target = result;
}

int
solo_change(struct solo *solo, const struct raft_members *target)
{
	raft_index index;
	raft_term term;
	int result = raft_change_members(solo->raft, solo->now, target,
	    solo_status(solo).members_index, &index, &term);

	if (result == 0) {
		ASSERT(index == solo_status(solo).last_index);
		ASSERT(term == solo_status(solo).term);
	}
	solo_settle(solo);
	return result;
}

int
solo_change_member(struct solo *solo, raft_id id, enum raft_member_role role)
{
	struct raft_members target = *raft_get_members(solo->raft);
	const struct raft_member member = { .id = id, .role_new = role };

	solo_set_member(&target, &member);
	return solo_change(solo, &target);
}

enum raft_member_role
solo_role(const struct solo *solo, raft_id id)
{
	const struct raft_members *members = raft_get_members(solo->raft);

	for (unsigned i = 0; i < members->count; i++) {
		if (members->member[i].id == id)
			return members->member[i].role_new;
	}
	return RAFT_MEMBER_NONE;
}
