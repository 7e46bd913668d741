#include "tests/sim/sim_check.h"

#include "common/hash.h"
#include "common/mem.h"
#include "tests/sim/sim_copy.h"
#include "tests/sim/sim_damage.h"
#include <inttypes.h>
#include <stdlib.h>

void
sim_checks_init(struct sim *sim)
{
	sim->checks = mem_zalloc(1, sizeof(*sim->checks));
	sim_check_members_init(sim);
}

void
sim_checks_release(struct sim *sim)
{
	struct sim_checks *checks = sim->checks;

	for (raft_id id = 1; id <= SIM_NODES_MAX; id++) {
		sim_image_release(&checks->watches[id].image);
		free(checks->watches[id].log.entries);
	}
	sim_check_members_release(sim);
	free(checks->committed.entries);
	free(checks->state_hashes);
	free(checks->leaders);
	sim_check_known_release(checks);
	free(checks);
}

static struct sim_watch *
watch_of(struct sim *sim, const struct sim_node *node)
{
	return &sim->checks->watches[node->id];
}

/* ---- Term and vote ---- */

static void
check_hard_state(struct sim *sim, const struct sim_node *node)
{
	struct sim_watch *watch = watch_of(sim, node);
	const struct sim_image *image = &watch->image;

	if (image->term < watch->term ||
	    (image->term == watch->term && watch->vote != 0 &&
		image->vote != watch->vote))
		sim_fail(sim,
		    "the disk of node %" PRIu64 " went from term %" PRIu64
		    ", vote %" PRIu64 " to term %" PRIu64 ", vote %" PRIu64,
		    node->id, watch->term, watch->vote, image->term,
		    image->vote);
	watch->term = image->term;
	watch->vote = image->vote;
}

static void
check_life_state(struct sim *sim, const struct sim_node *node,
    const struct raft_status *raft)
{
	struct sim_watch *watch = watch_of(sim, node);

	if (raft->term < watch->life_term || raft->term < watch->term ||
	    (raft->term == watch->life_term && watch->life_vote != 0 &&
		raft->vote != watch->life_vote))
		sim_fail(sim,
		    "node %" PRIu64 " went from term %" PRIu64 ", vote %" PRIu64
		    " to term %" PRIu64 ", vote %" PRIu64,
		    node->id, watch->life_term, watch->life_vote, raft->term,
		    raft->vote);
	watch->life_term = raft->term;
	watch->life_vote = raft->vote;
}

/* ---- State machine ---- */

static void
check_state_hash(struct sim *sim, struct sim_node *node, raft_index applied)
{
	struct sim_checks *checks = sim->checks;
	uint64_t hash = kv_state_hash(node_kv(node->node)) | 1;
	size_t capacity = checks->state_hashes_capacity;

	if (applied >= capacity) {
		capacity = MAX(256, capacity);
		while (applied >= capacity)
			capacity *= 2;
		checks->state_hashes = mem_realloc(
		    checks->state_hashes, capacity, sizeof(uint64_t));
		memset(checks->state_hashes + checks->state_hashes_capacity, 0,
		    (capacity - checks->state_hashes_capacity) *
			sizeof(uint64_t));
		checks->state_hashes_capacity = capacity;
	}
	if (checks->state_hashes[applied] == 0)
		checks->state_hashes[applied] = hash;
	else if (checks->state_hashes[applied] != hash)
		sim_fail(sim,
		    "node %" PRIu64 " has another state after entry %" PRIu64,
		    node->id, applied);
}

bool
sim_check_has_state(struct sim *sim, const struct sim_node *node)
{
	raft_index applied = kv_applied_index(node_kv(node->node));

	return applied < sim->checks->state_hashes_capacity &&
	       sim->checks->state_hashes[applied] ==
		   (kv_state_hash(node_kv(node->node)) | 1);
}

static void
check_applied(
    struct sim *sim, struct sim_node *node, const struct raft_status *raft)
{
	struct sim_watch *watch = watch_of(sim, node);
	uint64_t revision = kv_revision(node_kv(node->node));

	if (raft->applied_index < watch->applied_index ||
	    raft->applied_index > raft->commit_index ||
	    raft->applied_index > watch->image.last_index)
		sim_fail(sim,
		    "applied index of node %" PRIu64 " went from %" PRIu64
		    " to %" PRIu64,
		    node->id, watch->applied_index, raft->applied_index);
	if (revision < watch->revision)
		sim_fail(
		    sim, "revision of node %" PRIu64 " went back", node->id);
	watch->applied_index = raft->applied_index;
	watch->revision = revision;
	if (node->false_state == 0)
		check_state_hash(sim, node, raft->applied_index);
}

/* ---- After a turn ---- */

/*
 * Only a committed membership may tell that, and it holds for ever: of this id.
 * Whoever was added, removed and added again before it heard of any of that may
 * learn the first id of a member that is behind, and then that this is removed.
 */
static void
check_removed(struct sim *sim, struct sim_node *node)
{
	node->removed = true;
	sim->counters.removed_noticed++;
	if (sim_check_has_id(sim, node->member_id))
		sim_fail(
		    sim, "node %" PRIu64 " takes itself for removed", node->id);
}

static void
count_refused_snapshots(struct sim *sim, struct sim_node *node)
{
	for (unsigned i = 0; i < node->book.count; i++) {
		struct node_snapshot_status status;
		raft_id peer = node->book.member[i].id;
		bool *refused =
		    &node->refused
			 [sim_node_at(sim, node->book.member[i].address)->id];

		node_get_snapshot(node->node, peer, &status);
		sim->counters.snapshots_refused +=
		    status.refused != 0 && !*refused;
		*refused = status.refused != 0;
	}
}

/*
 * A log that has the snapshot's entry stays: when the state was lost it gets one
 * under it; else nothing is installed, and all up to that entry is committed.
 */
static void
count_installed(
    struct sim *sim, struct sim_node *node, const struct node_status *status)
{
	struct sim_watch *watch = watch_of(sim, node);
	struct sim_counters *counters = &sim->counters;
	struct kv_stats stats;

	if (status->snapshots_installed != watch->snapshots_installed) {
		kv_get_stats(node_kv(node->node), &stats);
		counters->snapshots_installed++;
		counters->snapshots_under_log +=
		    status->raft.compacted_index < stats.checkpoint_index;
	} else if (node->piece_end > watch->commit_before &&
		   node->append_at != node->turn_at) {
		counters->snapshots_committed +=
		    status->raft.commit_index >= node->piece_end;
	}
	node->piece_end = 0;
	watch->commit_before = status->raft.commit_index;
}

static void
count_events(
    struct sim *sim, struct sim_node *node, const struct node_status *status)
{
	struct sim_watch *watch = watch_of(sim, node);
	struct sim_counters *counters = &sim->counters;

	if (status->raft.role == RAFT_LEADER) {
		counters->transfers_aborted +=
		    watch->transfer_target != 0 &&
		    status->raft.transfer_target == 0;
		watch->transfer_target = status->raft.transfer_target;
	} else if (status->raft.leader != 0) {
		counters->transfers_done +=
		    status->raft.leader == watch->transfer_target;
		watch->transfer_target = 0;
	}
	counters->snapshots_sent +=
	    status->snapshots_sent - watch->snapshots_sent;
	count_installed(sim, node, status);
	count_refused_snapshots(sim, node);
	watch->snapshots_sent = status->snapshots_sent;
	watch->snapshots_installed = status->snapshots_installed;
	counters->elections += status->raft.elections - watch->elections;
	watch->elections = status->raft.elections;
}

/* What was acknowledged in this turn was committed in it, at the latest. */
static void
check_acknowledged(struct sim *sim, const struct sim_node *node)
{
	if (watch_of(sim, node)->acknowledged_index >
	    sim->checks->committed.last_index)
		sim_fail(sim,
		    "node %" PRIu64 " acknowledges entry %" PRIu64
		    ", which is not committed",
		    node->id, watch_of(sim, node)->acknowledged_index);
}

static void
check_state(struct sim *sim, struct sim_node *node, enum node_state state)
{
	struct sim_watch *watch = watch_of(sim, node);

	if (state == watch->state)
		return;
	sim->counters.joined +=
	    watch->state == NODE_JOINING && state == NODE_MEMBER;
	watch->state = state;
	if (state == NODE_REMOVED)
		check_removed(sim, node);
	if (state == NODE_MEMBER) {
		sim->counters.formations += !watch->image.formed;
		/* Removed and added, it is another member. */
		if (node->wiped && node->member_id == node->lost_id)
			sim_fail(sim,
			    "node %" PRIu64 " was wiped and takes part",
			    node->id);
		node->wiped = false;
	}
	if (state == NODE_OUTDATED)
		sim_fail(sim,
		    "node %" PRIu64 " takes its directory for an old copy",
		    node->id);
	if (state == NODE_WIPED) {
		sim->counters.wiped_noticed++;
		if (!node->wiped)
			sim_fail(sim, "node %" PRIu64 " takes itself for wiped",
			    node->id);
	}
}

static void
trace_state(struct sim *sim, const struct sim_node *node,
    const struct raft_status *raft)
{
	const struct sim_watch *watch = watch_of(sim, node);

	sim_trace(sim, node->id,
	    "is %s term=%" PRIu64 " vote=%" PRIu64 " leader=%" PRIu64
	    " log=%" PRIu64 "..%" PRIu64 " commit=%" PRIu64 " applied=%" PRIu64,
	    raft_role_name(raft->role), raft->term, raft->vote, raft->leader,
	    raft->compacted_index + 1, raft->last_index, raft->commit_index,
	    watch->applied_index);
}

static void
check_leading(
    struct sim *sim, struct sim_node *node, const struct raft_status *raft)
{
	const struct sim_watch *watch = watch_of(sim, node);

	sim_check_leader(sim, node, raft->term);
	if (watch->role != RAFT_LEADER || watch->life_term != raft->term)
		sim_check_votes(sim, node, raft);
	sim_check_leases(sim, node, raft->term);
}

void
sim_check_turn(struct sim *sim, struct sim_node *node)
{
	struct sim_watch *watch = watch_of(sim, node);
	struct node_status status;
	char why[256] = "";

	sim_disks_check_twins(&node->disks);
	if (!node_check(node->node, why, sizeof(why)))
		sim_fail(sim, "node %" PRIu64 ": %s", node->id, why);
	node_get_status(
	    node->node, sim_node_clock(node, node->turn_at), &status);
	node->state = status.state;
	node->member_id = status.id;
	node->generation = status.data_generation;
	if (node->rolled_back) {
		sim_copy_look(sim, node);
		return;
	}
	check_state(sim, node, status.state);
	sim_image_load(&watch->image, node);
	if (status.state != NODE_MEMBER)
		return;
	check_hard_state(sim, node);
	sim_damage_look(sim, node, &status);
	sim_check_log(sim, node, &status.raft);
	if (status.raft.role == RAFT_LEADER)
		check_leading(sim, node, &status.raft);
	sim_check_commit(sim, node, &status.raft);
	check_life_state(sim, node, &status.raft);
	check_applied(sim, node, &status.raft);
	check_acknowledged(sim, node);
	sim_check_roles(sim, node, &status.raft);
	watch->role = status.raft.role;
	watch->members_index = status.raft.members_index;
	count_events(sim, node, &status);
	trace_state(sim, node, &status.raft);
}

void
sim_check_start(struct sim *sim, struct sim_node *node)
{
	struct sim_watch *watch = watch_of(sim, node);
	struct kv_stats stats;

	watch->life_term = 0;
	watch->life_vote = 0;
	watch->role = RAFT_FOLLOWER;
	watch->commit_index = 0;
	watch->compared_index = 0;
	watch->members_index = 0;
	watch->covered_index = 0;
	watch->applied_index = 0;
	watch->revision = 0;
	watch->elections = 0;
	watch->transfer_target = 0;
	watch->snapshots_sent = 0;
	watch->snapshots_installed = 0;
	watch->acknowledged_index = 0;
	watch->state = NODE_FORMING;
	memset(watch->sent_last, 0, sizeof(watch->sent_last));
	memset(watch->heard_at, 0, sizeof(watch->heard_at));
	memset(watch->matched, 0, sizeof(watch->matched));
	sim_check_turn(sim, node);
	if (sim_chance(&sim->rng[SIM_RNG_FILES], sim->config.start_image_ppm))
		sim_disks_check_image(&node->disks, node->generation);
	kv_get_stats(node_kv(node->node), &stats);
	sim->counters.replays_at_boot +=
	    kv_applied_index(node_kv(node->node)) > stats.checkpoint_index;
}

void
sim_check_wiped(struct sim *sim, struct sim_node *node)
{
	struct sim_watch *watch = watch_of(sim, node);

	sim_image_release(&watch->image);
	free(watch->log.entries);
	*watch = (struct sim_watch){ 0 };
}

/* ---- Promises ---- */

/* In a term a node votes once, over all its lives. */
static void
check_vote(struct sim *sim, const struct sim_node *node, raft_term term,
    raft_id candidate)
{
	struct sim_watch *watch = watch_of(sim, node);
	const struct sim_image *image = &watch->image;

	if (image->term < term ||
	    (image->term == term && image->vote != candidate))
		sim_fail(sim,
		    "node %" PRIu64 " votes for %" PRIu64 " in term %" PRIu64
		    " but its disk has term %" PRIu64 ", vote %" PRIu64,
		    node->id, candidate, term, image->term, image->vote);
	if (watch->promised_term == term && watch->promised_vote != candidate)
		sim_fail(sim,
		    "node %" PRIu64 " votes for %" PRIu64 " and %" PRIu64
		    " in term %" PRIu64,
		    node->id, watch->promised_vote, candidate, term);
	if (term < watch->promised_term)
		return;
	watch->promised_term = term;
	watch->promised_vote = candidate;
}

static void
check_match(struct sim *sim, const struct sim_node *node,
    const struct raft_message *message)
{
	const struct sim_image *image = &watch_of(sim, node)->image;
	const struct sim_node *to = sim_node_of_member(sim, message->to);
	struct sim_watch *leader;
	raft_index match = message->match_index;
	struct sim_entry entry;

	if (image->term < message->term || image->last_index < match) {
		sim_fail(sim,
		    "node %" PRIu64 " acknowledges entry %" PRIu64
		    " in term %" PRIu64 " but its disk has term %" PRIu64
		    " and ends at %" PRIu64,
		    node->id, match, message->term, image->term,
		    image->last_index);
		return;
	}
	if (to == NULL)
		return;
	leader = watch_of(sim, to);
	if (leader->role != RAFT_LEADER || leader->life_term != message->term ||
	    match > leader->log.last_index ||
	    !sim_image_entry(sim, image, match, &entry))
		return;
	if (entry.hash != sim_log_at(&leader->log, match)->hash)
		sim_fail(sim,
		    "node %" PRIu64 " acknowledges entry %" PRIu64
		    " to %" PRIu64 ", whose own is another",
		    node->id, match, message->to);
}

static void
count_append(struct sim *sim, const struct sim_node *node,
    const struct raft_message *message)
{
	const struct sim_node *to = sim_node_of_member(sim, message->to);
	raft_index *last =
	    &watch_of(sim, node)->sent_last[to == NULL ? 0 : to->id];

	if (message->entries_count == 0) {
		sim->counters.heartbeats++;
		return;
	}
	sim->counters.appends++;
	sim->counters.appends_repeated += message->prev_index < *last;
	*last = message->prev_index + message->entries_count;
}

void
sim_check_promise(
    struct sim *sim, struct sim_node *node, const struct raft_message *message)
{
	/* Nobody listens to that. */
	if (node->rolled_back)
		return;
	sim_image_load(&watch_of(sim, node)->image, node);
	sim->counters.promises_checked++;
	sim_check_sender(sim, node, message);
	if (sim_chance(&sim->rng[SIM_RNG_FILES], sim->config.image_ppm))
		sim_disks_check_image(&node->disks, node->generation);
	switch (message->kind) {
	case RAFT_PREVOTE_REQUEST: break;
	case RAFT_PREVOTE_RESPONSE:
		sim->counters.prevotes_refused += !message->granted;
		break;
	case RAFT_VOTE_REQUEST:
		check_vote(sim, node, message->term, message->from);
		break;
	case RAFT_VOTE_RESPONSE:
		sim->counters.votes_refused += !message->granted;
		if (message->granted)
			check_vote(sim, node, message->term, message->to);
		break;
	case RAFT_APPEND_REQUEST:
		sim_check_one_leader(sim, node, message->term);
		count_append(sim, node, message);
		break;
	case RAFT_APPEND_RESPONSE:
		sim->counters.appends_refused += !message->success;
		if (message->success)
			check_match(sim, node, message);
		break;
	case RAFT_TIMEOUT_NOW:
		sim_check_one_leader(sim, node, message->term);
		break;
	case RAFT_READ_REQUEST:
	case RAFT_READ_RESPONSE: break;
	}
}

void
sim_check_alarm(
    struct sim *sim, struct sim_node *node, enum raft_alarm alarm, raft_id peer)
{
	const struct sim_node *node_peer = sim_node_of_member(sim, peer);

	if (node_peer == NULL || node_peer->wiped || node_peer->wounds > 0)
		return;
	sim_fail(sim, "node %" PRIu64 " says that %" PRIu64 " %s", node->id,
	    peer,
	    alarm == RAFT_ALARM_LOST_TAIL ? "lost a part of its log"
					  : "needs entries that are cut");
}

/* ---- At the end ---- */

/* The leader of the newest term. */
static struct sim_node *
find_leader(struct sim *sim)
{
	struct sim_node *leader = NULL;
	raft_term term = 0;

	for (raft_id id = 1; id <= sim->config.hosts_count; id++) {
		struct sim_node *node = sim_node_get(sim, id);
		struct sim_watch *watch = watch_of(sim, node);

		if (node->node == NULL || !node_is_leader(node->node) ||
		    watch->life_term < term)
			continue;
		leader = node;
		term = watch->life_term;
	}
	return leader;
}

static bool
has_converged(struct sim *sim, struct sim_node *leader, raft_id id)
{
	struct sim_node *node = sim_node_of_member(sim, id);
	struct node_status status;
	const struct raft_status *raft = &status.raft;

	if (node == NULL || node->node == NULL ||
	    node_get_role(leader->node, id) != RAFT_MEMBER_VOTER)
		return false;
	node_get_status(node->node, 0, &status);
	return status.state == NODE_MEMBER && !node->broken &&
	       raft->leader == leader->member_id &&
	       raft->applied_index == raft->last_index &&
	       raft->commit_index == raft->last_index &&
	       raft->durable_index == raft->last_index &&
	       raft->last_index == sim->checks->committed.last_index;
}

bool
sim_check_converged(struct sim *sim, raft_id *ret_place)
{
	struct sim_node *leader = find_leader(sim);
	const struct node_members *members;

	if (leader == NULL)
		return false;
	members = node_get_members(leader->node);
	for (unsigned i = 0; i < members->count; i++) {
		const struct node_member *member = &members->member[i];
		const struct sim_node *host = sim_node_at(sim, member->address);

		if (!host->wiped && !host->removed &&
		    !has_converged(sim, leader, member->id))
			return false;
	}
	*ret_place = leader->id;
	return true;
}

void
sim_check_contents(struct sim *sim)
{
	struct buf record = { 0 };

	for (raft_id id = 1; id <= sim->config.hosts_count; id++) {
		struct sim_node *node = sim_node_get(sim, id);
		struct sim_watch *watch = watch_of(sim, node);

		if (node->node == NULL)
			continue;
		if (kv_verify(node_kv(node->node)) != 0)
			sim_fail(sim,
			    "the state of node %" PRIu64 " is damaged", id);
		/* What it took in before it heard that it is none any more
		 * never gets there. */
		if (watch->state != NODE_MEMBER)
			continue;
		for (raft_index i = watch->image.compacted_index + 1;
		     i <= watch->log.last_index; i++) {
			buf_reset(&record);
			if (node_get_record(node->node, i, &record) == 0 &&
			    hash64(0, buf_slice(&record)) ==
				sim_log_at(&watch->log, i)->hash)
				continue;
			sim_fail(sim,
			    "node %" PRIu64 " gives another entry %" PRIu64
			    " than its disk holds",
			    id, i);
			break;
		}
	}
	buf_release(&record);
}
