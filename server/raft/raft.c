/*
 * Owns the life of a core and the way in: each event checks that the node
 * still works, moves the clock, applies the rule for all servers (section
 * 5.1: a higher term is taken over) and goes to the part that it concerns.
 */

#include "raft/raft_impl.h"

#include "common/mem.h"
#include "common/panic.h"
#include <stdlib.h>

const char *
raft_role_name(enum raft_role role)
{
	switch (role) {
	case RAFT_FOLLOWER: return "follower";
	case RAFT_PRECANDIDATE: return "pre-candidate";
	case RAFT_CANDIDATE: return "candidate";
	case RAFT_LEADER: return "leader";
	case RAFT_STOPPED: return "stopped";
	}
	return "unknown";
}

const char *
raft_member_role_name(enum raft_member_role role)
{
	switch (role) {
	case RAFT_MEMBER_NONE: return "none";
	case RAFT_MEMBER_VOTER: return "voter";
	case RAFT_MEMBER_LEARNER: return "learner";
	case RAFT_MEMBER_JOINING: return "joining";
	}
	return "unknown";
}

static bool
params_valid(const struct raft_params *params)
{
	if (params->id == 0 || params->id > RAFT_NUMBER_MAX)
		return false;
	if (params->election_timeout > RAFT_DURATION_MAX ||
	    params->heartbeat_interval == 0 ||
	    params->heartbeat_interval > params->election_timeout / 3)
		return false;
	if (params->append_entries_max == 0 || params->append_bytes_max == 0)
		return false;
	if (params->inflight_appends_max == 0 ||
	    params->inflight_appends_max > RAFT_INFLIGHT_MAX ||
	    params->inflight_bytes_max == 0 || params->inflight_rounds_max == 0)
		return false;
	if (params->entry_bytes_max == 0 ||
	    params->uncommitted_bytes_max < params->entry_bytes_max)
		return false;
	if (params->transfer_timeout == 0 ||
	    params->transfer_timeout > RAFT_DURATION_MAX)
		return false;
	return params->pending_reads_max > 0 && params->disk_stall_max > 0 &&
	       params->disk_stall_max <= RAFT_DURATION_MAX;
}

/* What cannot be the work of raft_take() on a disk that kept its promises. */
static bool
boot_valid(const struct raft_boot *boot)
{
	raft_term term = boot->compacted_term;
	raft_index last = boot->compacted_index + boot->entries_count;
	size_t i;

	if (boot->term > RAFT_NUMBER_MAX || last > RAFT_NUMBER_MAX ||
	    last < boot->compacted_index || boot->boot_id == 0)
		return false;
	if ((boot->compacted_index == 0) != (boot->compacted_term == 0))
		return false;
	if (boot->term == 0 && boot->vote != 0)
		return false;
	for (i = 0; i < boot->entries_count; i++) {
		const struct raft_entry *entry = &boot->entries[i];

		if (entry->term < term || entry->term == 0)
			return false;
		if (entry->type == RAFT_ENTRY_MEMBERS &&
		    (entry->members == NULL ||
			!raft_members_valid(entry->members)))
			return false;
		term = entry->term;
	}
	/* Entries are durable no earlier than their term is (E1). */
	if (term > boot->term)
		return false;
	if ((boot->repair_until == 0) != (boot->repair_term == 0) ||
	    boot->repair_until > RAFT_NUMBER_MAX ||
	    boot->repair_term > boot->term)
		return false;
	return boot->applied_index <= last &&
	       boot->members.index <= boot->compacted_index &&
	       raft_members_valid(&boot->members);
}

static void
load_log(struct raft *raft, const struct raft_boot *boot)
{
	struct raft_log *log = &raft->log;
	raft_index commit = MAX(boot->commit_hint, boot->compacted_index);
	size_t i;

	raft_log_init(log, boot->compacted_index, boot->compacted_term);
	raft_history_push(&raft->history, &boot->members, boot->members.index);
	for (i = 0; i < boot->entries_count; i++)
		raft_append_entry(raft, &boot->entries[i]);
	log->handed_index = log->last_index;
	log->durable_index = log->last_index;
	commit = MIN(commit, log->last_index);
	raft_log_commit(log, MAX(commit, boot->applied_index));
	raft->applying_index = boot->applied_index;
	raft->applied_index = boot->applied_index;
	raft_progress_members(raft);
	raft->out.members_changed = false;
}

static bool
sole_voter(const struct raft *raft, const struct raft_members *members)
{
	uint64_t own[RAFT_MEMBERS_MAX];
	unsigned i;

	for (i = 0; i < members->count; i++)
		own[i] = members->member[i].id == raft->params.id;
	return raft_quorum_value(members, own) == 1;
}

/*
 * Nobody else leads, or may: not by the membership in effect alone, which may be
 * of an entry by which a leader is removing itself. Until that is committed it
 * leads on (4.2.2), and may answer reads by a lease that this node promised.
 */
static bool
always_sole_voter(const struct raft *raft)
{
	size_t i;

	for (i = 0; i < raft->history.count; i++)
		if (!sole_voter(raft, &raft->history.members[i]))
			return false;
	return true;
}

/*
 * A promise of the former life not to vote may still run (J18). Whether that
 * had leases is not known, so each life keeps it, or a rolling change of the
 * option would break the leases of those where it is still on. It costs little:
 * a node that has just started does not campaign for as long either. Before
 * the first term there was nobody to promise anything to.
 */
static void
promise_again(struct raft *raft)
{
	if (raft->term == 0)
		return;
	raft->promised_until = raft->now + raft->params.election_timeout;
	raft->sticky_until = raft->promised_until;
}

int
raft_new(struct raft **ret_raft, const struct raft_params *params,
    const struct raft_boot *boot, raft_usec now)
{
	struct raft *raft;

	if (!params_valid(params))
		return ERR_INVALID;
	if (!boot_valid(boot))
		return ERR_CORRUPT;
	raft = mem_zalloc(1, sizeof(*raft));
	raft->params = *params;
	raft->boot_id = boot->boot_id;
	raft->now = now;
	raft->term = boot->term;
	raft->vote = boot->vote;
	raft->persist = (struct raft_persist){
		.term = boot->term,
		.vote = boot->vote,
		.repair_until = boot->repair_until,
		.durable_term = boot->term,
		.durable_vote = boot->vote,
	};
	raft->repair = (struct raft_repair){
		.until = boot->repair_until,
		.term = boot->repair_term,
	};
	raft->out.role_told = (struct raft_op_role){
		.role = RAFT_FOLLOWER,
		.term = boot->term,
	};
	rng_init(&raft->rng, params->seed ^ boot->boot_id);
	load_log(raft, boot);
	raft_repair_check(raft);
	raft_elect_reset(raft);
	/* Nobody else could lead: there is nobody to wait for. */
	if (always_sole_voter(raft))
		raft->deadline = now;
	promise_again(raft);
	*ret_raft = raft;
	return 0;
}

void
raft_free(struct raft *raft)
{
	if (raft == NULL)
		return;
	raft_log_release(&raft->log);
	raft_out_release(&raft->out);
	free(raft->history.members);
	free(raft->reads.ring);
	free(raft);
}

void
raft_stop(struct raft *raft, const char *reason, raft_index index)
{
	raft->out.fatal = (struct raft_op_fatal){
		.reason = reason,
		.index = index,
		.term = raft->term,
	};
	raft_become_stopped(raft);
}

bool
raft_disk_stalled(const struct raft *raft)
{
	return raft->persist.open && raft->now - raft->persist.opened_at >=
					 raft->params.disk_stall_max;
}

bool
raft_vote_durable(const struct raft *raft)
{
	return raft->persist.durable_term == raft->term &&
	       raft->persist.durable_vote == raft->vote;
}

/* ERR_STOPPED if this node works no longer. Time never goes back in here. */
static int
enter(struct raft *raft, raft_usec now)
{
	raft->now = MAX(raft->now, now);
	return raft->role == RAFT_STOPPED ? ERR_STOPPED : 0;
}

static int
leave(const struct raft *raft, int result)
{
	return raft->role == RAFT_STOPPED ? ERR_STOPPED : result;
}

static bool
is_response(const struct raft_message *message)
{
	return message->kind == RAFT_PREVOTE_RESPONSE ||
	       message->kind == RAFT_VOTE_RESPONSE ||
	       message->kind == RAFT_APPEND_RESPONSE;
}

/*
 * Section 5.1: a higher term is taken over. Not that of a pre-vote, which is
 * only asked for; and not that of a candidate while a leader is alive
 * (thesis 4.2.3), or a node that was cut off could depose it.
 */
static bool
brings_term(const struct raft *raft, const struct raft_message *message)
{
	if (message->term <= raft->term)
		return false;
	switch (message->kind) {
	case RAFT_PREVOTE_REQUEST:
	case RAFT_READ_REQUEST:
	case RAFT_READ_RESPONSE: return false;
	case RAFT_PREVOTE_RESPONSE: return !message->granted;
	case RAFT_VOTE_REQUEST:
		return message->transfer || !raft_elect_sticky(raft);
	case RAFT_VOTE_RESPONSE:
	case RAFT_APPEND_REQUEST:
	case RAFT_TIMEOUT_NOW:
	case RAFT_APPEND_RESPONSE: return true;
	}
	return false;
}

int
raft_receive(struct raft *raft, raft_usec now,
    const struct raft_message *message, struct raft_accepted *ret_accepted)
{
	int result = 0;

	*ret_accepted = (struct raft_accepted){ .first = 0 };
	if (enter(raft, now) != 0)
		return ERR_STOPPED;
	if (!raft_message_valid(raft, message))
		return ERR_INVALID;
	/* Answers to a former life of this node, or from somebody who is no
	 * member, are worth nothing (A20, A25, C20). */
	if (is_response(message) &&
	    (message->to_boot_id != raft->boot_id ||
		raft_peer_find(raft, message->from) == NULL))
		return 0;
	if (brings_term(raft, message))
		raft_become_follower(raft, message->term, 0);
	switch (message->kind) {
	case RAFT_PREVOTE_REQUEST: raft_elect_prerequest(raft, message); break;
	case RAFT_VOTE_REQUEST: raft_elect_request(raft, message); break;
	case RAFT_PREVOTE_RESPONSE:
	case RAFT_VOTE_RESPONSE: raft_elect_response(raft, message); break;
	case RAFT_APPEND_REQUEST:
		raft_append_request(raft, message, ret_accepted);
		break;
	case RAFT_APPEND_RESPONSE:
		result = raft_progress_response(raft, message);
		break;
	case RAFT_READ_REQUEST: raft_read_request(raft, message); break;
	case RAFT_READ_RESPONSE: raft_read_response(raft, message); break;
	case RAFT_TIMEOUT_NOW: raft_transfer_told(raft, message); break;
	}
	return leave(raft, result);
}

int
raft_timeout(struct raft *raft, raft_usec now)
{
	if (enter(raft, now) != 0)
		return ERR_STOPPED;
	if (raft->role == RAFT_LEADER)
		raft_progress_timeout(raft);
	else
		raft_elect_timeout(raft);
	raft_read_timeout(raft);
	return 0;
}

int
raft_propose(struct raft *raft, raft_usec now, const struct raft_entry *entries,
    uint32_t count, raft_index *ret_first, raft_term *ret_term)
{
	uint64_t bytes = 0;
	uint32_t i;

	if (enter(raft, now) != 0)
		return ERR_STOPPED;
	if (raft->role != RAFT_LEADER)
		return ERR_NOT_LEADER;
	if (raft->transfer.target != 0)
		return ERR_AGAIN;
	if (count == 0)
		return ERR_INVALID;
	for (i = 0; i < count; i++) {
		if (entries[i].type != RAFT_ENTRY_COMMAND)
			return ERR_INVALID;
		if (entries[i].size > raft->params.entry_bytes_max)
			return ERR_TOO_LARGE;
		bytes += entries[i].size;
	}
	if (raft->log.uncommitted_bytes + bytes >
	    raft->params.uncommitted_bytes_max)
		return ERR_BUSY;
	*ret_first = raft->log.last_index + 1;
	*ret_term = raft->term;
	for (i = 0; i < count; i++)
		raft_log_append(&raft->log, raft->term, RAFT_ENTRY_COMMAND,
		    entries[i].size);
	return 0;
}

int
raft_persisted(struct raft *raft, raft_usec now, raft_ticket ticket)
{
	struct raft_persist *persist = &raft->persist;

	if (enter(raft, now) != 0)
		return ERR_STOPPED;
	if (ticket > persist->ticket || ticket == 0) {
		raft_stop(raft, "a PERSIST that was not given is completed",
		    raft->log.durable_index);
		return ERR_STOPPED;
	}
	if (!persist->open || ticket != persist->ticket)
		return 0;
	persist->open = false;
	persist->durable_term = persist->term;
	persist->durable_vote = persist->vote;
	if (raft_installing(raft))
		raft_snapshot_installed(raft);
	raft->log.durable_index = raft->log.handed_index;
	raft_repair_check(raft);
	raft_elect_count(raft);
	raft_progress_commit(raft);
	return 0;
}

int
raft_applied(struct raft *raft, raft_usec now, raft_index index)
{
	if (enter(raft, now) != 0)
		return ERR_STOPPED;
	if (index > raft->applying_index) {
		raft_stop(raft, "more is applied than was given", index);
		return ERR_STOPPED;
	}
	raft->applied_index = MAX(raft->applied_index, index);
	return 0;
}

int
raft_peer_unreachable(struct raft *raft, raft_usec now, raft_id id)
{
	struct raft_peer *peer = raft_peer_find(raft, id);

	if (enter(raft, now) != 0)
		return ERR_STOPPED;
	if (raft->role == RAFT_LEADER && peer != NULL)
		raft_progress_probe(raft, peer);
	return 0;
}

int
raft_peer_refused(struct raft *raft, raft_usec now, raft_id peer)
{
	if (enter(raft, now) != 0)
		return ERR_STOPPED;
	/* With leases, its promise to the leader binds this node until the
	 * promised time is over, whatever became of the leader. */
	if (raft->params.lease_reads || raft->role != RAFT_FOLLOWER ||
	    raft->leader != peer || peer == 0)
		return 0;
	raft_become_follower(raft, raft->term, 0);
	raft->sticky_until = MAX(raft->now, raft->promised_until);
	raft->fast_campaigns = RAFT_FAST_CAMPAIGNS_MAX;
	raft_elect_reset(raft);
	return 0;
}

int
raft_compact(struct raft *raft, raft_index index)
{
	if (raft->role == RAFT_STOPPED)
		return ERR_STOPPED;
	if (index > raft->applied_index)
		return ERR_INVALID;
	raft_log_compact(&raft->log, index);
	raft_history_compact(&raft->history, index);
	raft_progress_compacted(raft);
	return 0;
}

raft_usec
raft_deadline(const struct raft *raft)
{
	raft_usec deadline = RAFT_NEVER;

	if (raft->role == RAFT_STOPPED)
		return RAFT_NEVER;
	if (raft->role == RAFT_LEADER)
		deadline = raft_progress_deadline(raft);
	else if (raft_elect_allowed(raft) || raft->leader != 0)
		deadline = raft->deadline;
	deadline = MIN(deadline, raft_read_deadline(raft));
	return MIN(deadline, raft_answer_deadline(raft));
}

void
raft_get_status(const struct raft *raft, struct raft_status *ret_status)
{
	*ret_status = (struct raft_status){
		.role = raft->role,
		.term = raft->term,
		.vote = raft->vote,
		.leader = raft->leader,
		.compacted_index = raft->log.compacted_index,
		.last_index = raft->log.last_index,
		.durable_index = raft->log.durable_index,
		.commit_index = raft->log.commit_index,
		.applied_index = raft->applied_index,
		.everywhere_index = raft->everywhere_index,
		.uncommitted_bytes = raft->log.uncommitted_bytes,
		.round = raft->round,
		.elections = raft->elections,
		.leader_changes = raft->leader_changes,
		.transfer_target = raft->transfer.target,
		.members_index = raft_active(raft)->index,
		.members_committed =
		    raft_active(raft)->index <= raft->log.commit_index,
		.repair_until = raft->repair.until,
		.state_lost = raft_state_lost(raft),
	};
}

enum raft_role
raft_get_role(const struct raft *raft)
{
	return raft->role;
}

raft_id
raft_get_leader(const struct raft *raft)
{
	return raft->leader;
}

int
raft_get_peer(
    const struct raft *raft, raft_id id, struct raft_peer_status *ret_peer)
{
	int i = raft_members_find(raft_active(raft), id);
	const struct raft_peer *peer;

	if (raft->role != RAFT_LEADER)
		return ERR_NOT_LEADER;
	if (i < 0 || id == raft->params.id)
		return ERR_NOT_FOUND;
	peer = &raft->peers[i];
	*ret_peer = (struct raft_peer_status){
		.id = id,
		.state = peer->state,
		.match_index = peer->match_index,
		.next_index = peer->next_index,
		.inflight_appends = peer->inflight_count,
		.inflight_bytes = peer->inflight_bytes,
		.heard_at = peer->heard_at,
		.rtt = peer->rtt,
	};
	return 0;
}

const struct raft_members *
raft_get_members(const struct raft *raft)
{
	return raft_active(raft);
}

int
raft_get_entry(
    const struct raft *raft, raft_index index, struct raft_entry *ret_entry)
{
	if (index <= raft->log.compacted_index || index > raft->log.last_index)
		return ERR_NOT_FOUND;
	raft_copy_entries(raft, index, 1, ret_entry);
	return 0;
}

uint64_t
raft_log_epoch(const struct raft *raft)
{
	return raft->log.epoch;
}
