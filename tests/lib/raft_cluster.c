#include "tests/lib/raft_cluster.h"

#include "common/mem.h"
#include "common/panic.h"
#include <stdlib.h>

static void
init_node(struct cluster *cluster, raft_id id)
{
	struct cluster_node *node = &cluster->nodes[id];

	solo_init(&node->solo, id, cluster->founders_count);
	node->disk_latency = 2000;
	node->clock_percent = 100;
}

void
cluster_init(struct cluster *cluster, unsigned count, uint64_t seed)
{
	ASSERT(count <= RAFT_MEMBERS_MAX);
	*cluster = (struct cluster){
		.founders_count = count,
		.count = count,
		.now = 1000000,
		.latency_min = 1000,
		.latency_max = 1000,
		.snapshot_latency = 10000,
	};
	rng_init(&cluster->rng, seed);
	for (raft_id id = 1; id <= count; id++) {
		init_node(cluster, id);
		cluster->nodes[id].solo.params.seed = seed * 100 + id;
	}
}

raft_id
cluster_add(struct cluster *cluster)
{
	raft_id id = ++cluster->count;

	ASSERT(id <= SOLO_ID_MAX);
	init_node(cluster, id);
	cluster->nodes[id].solo.params.seed = rng_next(&cluster->rng);
	return id;
}

void
cluster_release(struct cluster *cluster)
{
	for (raft_id id = 1; id <= cluster->count; id++)
		solo_release(&cluster->nodes[id].solo);
	for (size_t i = 0; i < cluster->letters_count; i++)
		free(cluster->letters[i].letter.log.entries);
	free(cluster->letters);
	free(cluster->leaders);
	free(cluster->reads);
	free(cluster->committed.entries);
	buf_release(&cluster->trace);
}

static raft_usec
local_time(const struct cluster *cluster, const struct cluster_node *node)
{
	return node->local_since +
	       (cluster->now - node->since) * node->clock_percent / 100;
}

/* When the node's clock will have reached `local`, rounded up. */
static raft_usec
cluster_time(const struct cluster_node *node, raft_usec local)
{
	if (local <= node->local_since)
		return node->since;
	return node->since +
	       ((local - node->local_since) * 100 + node->clock_percent - 1) /
		   node->clock_percent;
}

void
cluster_set_clock(struct cluster *cluster, raft_id id, unsigned percent)
{
	struct cluster_node *node = &cluster->nodes[id];

	node->local_since = local_time(cluster, node);
	node->since = cluster->now;
	node->clock_percent = percent;
}

static void
set_clock(struct cluster *cluster, raft_id id)
{
	struct cluster_node *node = &cluster->nodes[id];

	node->solo.now = local_time(cluster, node);
}

static bool
chance(struct cluster *cluster, unsigned percent)
{
	return percent > 0 && rng_below(&cluster->rng, 100) < percent;
}

static void
post(struct cluster *cluster, const struct solo_message *sent)
{
	struct cluster_letter *letter;
	struct raft_message message = sent->message;
	struct raft_entry *entries =
	    mem_zalloc(sent->log.count, sizeof(*entries));

	for (size_t i = 0; i < sent->log.count; i++)
		entries[i] = sent->log.entries[i].entry;
	message.entries = entries;
	if (cluster->letters_count == cluster->letters_capacity) {
		cluster->letters_capacity =
		    MAX(16, cluster->letters_capacity * 2);
		cluster->letters = mem_realloc(cluster->letters,
		    cluster->letters_capacity, sizeof(*cluster->letters));
	}
	letter = &cluster->letters[cluster->letters_count++];
	solo_message_copy(&letter->letter, &message);
	letter->number = cluster->letters_number++;
	letter->arrives_at =
	    cluster->now + rng_between(&cluster->rng, cluster->latency_min,
			       cluster->latency_max);
	free(entries);
}

static void
post_all(struct cluster *cluster, struct solo *solo)
{
	for (size_t i = 0; i < solo->sent_count; i++) {
		const struct solo_message *sent = &solo->sent[i];
		raft_id to = sent->message.to;

		if (to > cluster->count || cluster->cut[solo->params.id][to] ||
		    chance(cluster, cluster->drop_percent))
			continue;
		post(cluster, sent);
		if (chance(cluster, cluster->duplicate_percent))
			post(cluster, sent);
	}
}

/* The state as it is applied at the sender now goes on its way. */
static void
send_snapshots(struct cluster *cluster, struct cluster_node *node)
{
	const struct solo *solo = &node->solo;
	raft_index index = solo->disk.applied_index;

	for (raft_id to = 1; to <= cluster->count; to++) {
		if (solo->snapshot_for[to] == 0)
			continue;
		ASSERT(index >= solo->snapshot_for[to]);
		node->snapshots[to] = (struct cluster_snapshot){
			.index = index,
			.term = index == solo->disk.compacted_index
				    ? solo->disk.compacted_term
				    : solo_term(solo, index),
			.members = solo_members_at(solo, index),
			.arrives_at = cluster->now + cluster->snapshot_latency,
		};
	}
}

/* Does what a driver does in a turn, with a disk that takes its time. */
static void
pump(struct cluster *cluster, raft_id id)
{
	struct cluster_node *node = &cluster->nodes[id];
	struct solo *solo = &node->solo;
	bool open = solo->persist_open;

	while (solo_take(solo)) {
		if (solo->persist_open && !open)
			node->persisted_at = cluster->now + node->disk_latency;
		open = solo->persist_open;
	}
	post_all(cluster, solo);
	send_snapshots(cluster, node);
	cluster_tell_work(cluster, id);
	cluster_check(cluster, id);
	solo_clear(solo);
}

void
cluster_boot(struct cluster *cluster, raft_id id)
{
	struct cluster_node *node = &cluster->nodes[id];

	ASSERT(node->solo.raft == NULL);
	set_clock(cluster, id);
	solo_boot(&node->solo);
	node->commit_seen = node->solo.disk.compacted_index;
	node->last_seen = 0;
	node->epoch_seen = 0;
	node->members_seen = *raft_get_members(node->solo.raft);
	node->led_seen = 0;
	cluster_tell(cluster, "n%d boots: term %d, log up to %d", (int)id,
	    (int)node->solo.disk.term,
	    (int)(node->solo.disk.compacted_index + node->solo.disk.log.count));
	pump(cluster, id);
}

void
cluster_boot_all(struct cluster *cluster)
{
	for (raft_id id = 1; id <= cluster->count; id++)
		cluster_boot(cluster, id);
}

void
cluster_crash(struct cluster *cluster, raft_id id)
{
	cluster_tell(cluster, "n%d crashes", (int)id);
	solo_crash(&cluster->nodes[id].solo);
	for (raft_id to = 1; to <= cluster->count; to++)
		cluster->nodes[id].snapshots[to].index = 0;
}

void
cluster_isolate(struct cluster *cluster, raft_id id)
{
	cluster_tell(cluster, "n%d is cut off", (int)id);
	for (raft_id other = 1; other <= cluster->count; other++) {
		cluster->cut[id][other] = true;
		cluster->cut[other][id] = true;
	}
}

void
cluster_heal(struct cluster *cluster)
{
	cluster_tell(cluster, "the network heals");
	for (raft_id from = 1; from <= cluster->count; from++) {
		for (raft_id to = 1; to <= cluster->count; to++)
			cluster->cut[from][to] = false;
	}
}

struct raft_status
cluster_status(const struct cluster *cluster, raft_id id)
{
	return solo_status(&cluster->nodes[id].solo);
}

static void
arrive(struct cluster *cluster, size_t place)
{
	struct cluster_letter letter = cluster->letters[place];
	struct raft_message *message = &letter.letter.message;
	struct cluster_node *node = &cluster->nodes[message->to];
	struct raft_entry *entries =
	    mem_zalloc(letter.letter.log.count, sizeof(*entries));
	struct raft_accepted accepted;
	struct cluster_before before = { .last_term = 0 };

	cluster->letters[place] = cluster->letters[--cluster->letters_count];
	for (size_t i = 0; i < letter.letter.log.count; i++) {
		entries[i] = letter.letter.log.entries[i].entry;
		if (entries[i].type == RAFT_ENTRY_MEMBERS)
			entries[i].members =
			    &letter.letter.log.entries[i].members;
	}
	message->entries = entries;
	if (node->solo.raft != NULL &&
	    !cluster->cut[message->from][message->to]) {
		set_clock(cluster, message->to);
		before.status = cluster_status(cluster, message->to);
		before.last_term =
		    solo_term(&node->solo, before.status.last_index);
		(void)raft_get_peer(
		    node->solo.raft, message->from, &before.peer);
		ASSERT(solo_receive(&node->solo, message, &accepted) == 0);
		cluster_tell_letter(cluster, message, &before);
		pump(cluster, message->to);
	}
	free(entries);
	free(letter.letter.log.entries);
}

static void
end_snapshot(
    struct cluster *cluster, raft_id from, raft_id to, raft_index index)
{
	struct cluster_node *node = &cluster->nodes[from];

	node->snapshots[to].index = 0;
	set_clock(cluster, from);
	ASSERT(raft_snapshot_sent(node->solo.raft, node->solo.now, to, index) ==
	       0);
	pump(cluster, from);
}

/* It arrives, or is asked after until it is in place. */
static void
arrive_snapshot(struct cluster *cluster, raft_id from, raft_id to)
{
	struct cluster_snapshot *snapshot = &cluster->nodes[from].snapshots[to];
	struct solo *solo = &cluster->nodes[to].solo;
	int result;

	if (solo->raft == NULL || cluster->cut[from][to] ||
	    cluster->cut[to][from]) {
		end_snapshot(cluster, from, to, 0);
		return;
	}
	set_clock(cluster, to);
	result = solo_install(
	    solo, snapshot->index, snapshot->term, &snapshot->members);
	/* One of before its log began, when it needs a state for that log. */
	if (result == ERR_INVALID && solo_status(solo).state_lost &&
	    snapshot->index < solo_status(solo).compacted_index) {
		end_snapshot(cluster, from, to, 0);
		return;
	}
	ASSERT(result == 0 || result == ERR_BUSY || result == ERR_EXISTS);
	if (result == 0) {
		cluster->snapshots_installed++;
		cluster_tell(cluster, "n%d < n%d  snapshot at %d/t%d", (int)to,
		    (int)from, (int)snapshot->index, (int)snapshot->term);
	}
	snapshot->arrives_at = cluster->now + 1000;
	pump(cluster, to);
	if (result == ERR_EXISTS)
		end_snapshot(cluster, from, to, snapshot->index);
}

/* The snapshot that arrives next; RAFT_NEVER if none does. */
static raft_usec
next_snapshot(const struct cluster *cluster, raft_id *ret_from, raft_id *ret_to)
{
	raft_usec at = RAFT_NEVER;

	for (raft_id from = 1; from <= cluster->count; from++) {
		for (raft_id to = 1; to <= cluster->count; to++) {
			const struct cluster_snapshot *snapshot =
			    &cluster->nodes[from].snapshots[to];

			if (snapshot->index == 0 || snapshot->arrives_at >= at)
				continue;
			at = snapshot->arrives_at;
			*ret_from = from;
			*ret_to = to;
		}
	}
	return at;
}

/* The place of the letter that comes next; letters_count if none does. */
static size_t
next_letter(const struct cluster *cluster)
{
	size_t best = cluster->letters_count;

	for (size_t i = 0; i < cluster->letters_count; i++) {
		const struct cluster_letter *letter = &cluster->letters[i];

		if (best == cluster->letters_count ||
		    letter->arrives_at < cluster->letters[best].arrives_at ||
		    (letter->arrives_at == cluster->letters[best].arrives_at &&
			letter->number < cluster->letters[best].number))
			best = i;
	}
	return best;
}

/* When the node itself does something next, and whether that is its disk. */
static raft_usec
node_next(const struct cluster_node *node, bool *ret_disk)
{
	raft_usec at;

	*ret_disk = false;
	if (node->solo.raft == NULL)
		return RAFT_NEVER;
	at = raft_deadline(node->solo.raft);
	if (at != RAFT_NEVER)
		at = cluster_time(node, at);
	if (node->solo.persist_open && !node->disk_stalls &&
	    node->persisted_at <= at) {
		*ret_disk = true;
		at = node->persisted_at;
	}
	return at;
}

static void
act(struct cluster *cluster, raft_id id, bool disk)
{
	struct solo *solo = &cluster->nodes[id].solo;

	set_clock(cluster, id);
	if (disk)
		solo_persisted(solo);
	else
		(void)raft_timeout(solo->raft, solo->now);
	pump(cluster, id);
}

/* As cluster_step, for things until `limit` only. */
static bool
step_until(struct cluster *cluster, raft_usec limit)
{
	size_t letter = next_letter(cluster);
	raft_usec at = letter < cluster->letters_count
			   ? cluster->letters[letter].arrives_at
			   : RAFT_NEVER;
	raft_id actor = 0;
	bool disk = false;
	raft_id from = 0;
	raft_id to = 0;
	raft_usec snapshot_at = next_snapshot(cluster, &from, &to);

	for (raft_id id = 1; id <= cluster->count; id++) {
		bool by_disk;
		raft_usec next = node_next(&cluster->nodes[id], &by_disk);

		if (next < at) {
			at = next;
			actor = id;
			disk = by_disk;
		}
	}
	if (MIN(at, snapshot_at) == RAFT_NEVER || MIN(at, snapshot_at) > limit)
		return false;
	cluster->now = MAX(cluster->now, MIN(at, snapshot_at));
	if (snapshot_at < at)
		arrive_snapshot(cluster, from, to);
	else if (actor == 0)
		arrive(cluster, letter);
	else
		act(cluster, actor, disk);
	return true;
}

bool
cluster_step(struct cluster *cluster)
{
	return step_until(cluster, RAFT_NEVER - 1);
}

void
cluster_run(struct cluster *cluster, raft_usec duration)
{
	raft_usec limit = cluster->now + duration;

	while (step_until(cluster, limit))
		continue;
	cluster->now = limit;
}

raft_id
cluster_leader(const struct cluster *cluster)
{
	raft_id leader = 0;
	raft_term term = 0;

	for (raft_id id = 1; id <= cluster->count; id++) {
		struct raft_status status;

		if (cluster->nodes[id].solo.raft == NULL)
			continue;
		status = cluster_status(cluster, id);
		if (status.role == RAFT_LEADER && status.term > term) {
			leader = id;
			term = status.term;
		}
	}
	return leader;
}

raft_id
cluster_elect(struct cluster *cluster, raft_usec limit)
{
	limit += cluster->now;
	while (cluster_leader(cluster) == 0)
		ASSERT(step_until(cluster, limit));
	return cluster_leader(cluster);
}

static bool
converged(const struct cluster *cluster)
{
	raft_id leader = cluster_leader(cluster);
	const struct raft_members *members;
	raft_index last;

	if (leader == 0)
		return false;
	last = cluster_status(cluster, leader).last_index;
	members = raft_get_members(cluster->nodes[leader].solo.raft);
	for (unsigned i = 0; i < members->count; i++) {
		raft_id id = members->member[i].id;

		if (cluster->nodes[id].solo.raft == NULL)
			continue;
		if (cluster_status(cluster, id).applied_index != last ||
		    cluster_status(cluster, id).leader != leader)
			return false;
	}
	return true;
}

void
cluster_converge(struct cluster *cluster, raft_usec limit)
{
	limit += cluster->now;
	while (!converged(cluster))
		ASSERT(step_until(cluster, limit));
}

int
cluster_propose(struct cluster *cluster, raft_id id, uint32_t size)
{
	struct solo *solo = &cluster->nodes[id].solo;
	struct raft_entry entry = {
		.type = RAFT_ENTRY_COMMAND,
		.size = size,
	};
	raft_index first;
	raft_term term;
	int result;

	set_clock(cluster, id);
	result = raft_propose(solo->raft, solo->now, &entry, 1, &first, &term);
	if (result == 0)
		cluster_tell(cluster, "n%d takes a proposal as %d/t%d", (int)id,
		    (int)first, (int)term);
	pump(cluster, id);
	return result;
}

static void
note_read(struct cluster *cluster, uint64_t read_id)
{
	if (cluster->reads_count == cluster->reads_capacity) {
		cluster->reads_capacity = MAX(16, cluster->reads_capacity * 2);
		cluster->reads = mem_realloc(cluster->reads,
		    cluster->reads_capacity, sizeof(*cluster->reads));
	}
	cluster->reads[cluster->reads_count++] = (struct cluster_read){
		.id = read_id,
		.committed = cluster->committed.count,
	};
}

int
cluster_read(struct cluster *cluster, raft_id id, uint64_t read_id)
{
	struct solo *solo = &cluster->nodes[id].solo;
	int result;

	set_clock(cluster, id);
	result = raft_read(solo->raft, solo->now, read_id);
	if (result == 0) {
		cluster_tell(
		    cluster, "n%d is asked for read %d", (int)id, (int)read_id);
		note_read(cluster, read_id);
	}
	pump(cluster, id);
	return result;
}

void
cluster_refused(struct cluster *cluster, raft_id id, raft_id peer)
{
	struct solo *solo = &cluster->nodes[id].solo;

	cluster_tell(cluster, "n%d finds that n%d is gone", (int)id, (int)peer);
	set_clock(cluster, id);
	(void)raft_peer_refused(solo->raft, solo->now, peer);
	pump(cluster, id);
}

int
cluster_change(
    struct cluster *cluster, raft_id id, const struct raft_members *target)
{
	struct solo *solo = &cluster->nodes[id].solo;
	raft_index index;
	raft_term term;
	int result;

	set_clock(cluster, id);
	result = raft_change_members(solo->raft, solo->now, target,
	    solo_status(solo).members_index, &index, &term);
	if (result == 0)
		cluster_tell(cluster, "n%d changes the members by %d/t%d",
		    (int)id, (int)index, (int)term);
	pump(cluster, id);
	return result;
}

int
cluster_set_member(
    struct cluster *cluster, raft_id id, const struct raft_member *member)
{
	struct raft_members target =
	    *raft_get_members(cluster->nodes[id].solo.raft);

	solo_set_member(&target, member);
	return cluster_change(cluster, id, &target);
}

int
cluster_transfer(struct cluster *cluster, raft_id id, raft_id target)
{
	struct solo *solo = &cluster->nodes[id].solo;
	int result;

	set_clock(cluster, id);
	result = raft_transfer(solo->raft, solo->now, target);
	if (result == 0)
		cluster_tell(cluster, "n%d hands over to n%d", (int)id,
		    (int)solo_status(solo).transfer_target);
	pump(cluster, id);
	return result;
}
