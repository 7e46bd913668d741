#include "tests/sim/sim_damage.h"

#include "common/codec.h"
#include "kv/kv_impl.h"
#include "node/node_log.h"
#include "tests/sim/sim_check.h"
#include "tests/sim/sim_nemesis_impl.h"
#include "tests/sim/sim_operator.h"
#include <inttypes.h>

enum wound {
	WOUND_ENTRY,    /* a bit of one */
	WOUND_GAP,      /* one is gone */
	WOUND_TAIL,     /* the last ones are gone */
	WOUND_DATA,     /* a bit of a record of the state */
	WOUND_DATA_GAP, /* one is gone */
	WOUND_STATE,    /* it is sound, but another than that of the others */
	WOUND_HARD,     /* a bit of term, vote, and the log's ends */
	WOUND_IDENTITY, /* a bit of who it is */
	WOUND_MISDIRECTED, /* a record of another key, whole, under a key */
	WOUND_STALE,       /* a record of the state as it was once */
	WOUND_OLD_DATA,    /* all of the state as it was once */
	WOUNDS_COUNT
};

static const char *const wound_names[WOUNDS_COUNT] = {
	[WOUND_ENTRY] = "a bit of an entry",
	[WOUND_GAP] = "an entry",
	[WOUND_TAIL] = "the last entries",
	[WOUND_DATA] = "a bit of the state",
	[WOUND_DATA_GAP] = "a record of the state",
	[WOUND_STATE] = "the revision of the state",
	[WOUND_HARD] = "a bit of the hard state",
	[WOUND_IDENTITY] = "a bit of the identity",
	[WOUND_MISDIRECTED] = "where a record was written",
	[WOUND_STALE] = "a record, which was written and is not there,",
	[WOUND_OLD_DATA] = "the newest of the state",
};

/* ---- What can be borne ---- */

/* A leader's own may be on no disk yet. */
static bool
has_change(struct sim_node *node)
{
	struct node_status status;

	if (node->change != NULL && node->change->waiting)
		return true;
	if (node->node == NULL || node->state != NODE_MEMBER)
		return false;
	node_get_status(node->node, 0, &status);
	return status.raft.role == RAFT_LEADER &&
	       !status.raft.members_committed;
}

bool
sim_damage_change_under_way(struct sim *sim)
{
	struct sim_log *committed = &sim->checks->committed;

	for (raft_id id = 1; id <= sim->config.hosts_count; id++) {
		struct sim_watch *watch = &sim->checks->watches[id];

		if (has_change(sim_node_get(sim, id)))
			return true;
		for (raft_index i = committed->last_index + 1;
		     i <= watch->log.last_index; i++) {
			if (sim_log_at(&watch->log, i)->membership != NULL)
				return true;
		}
	}
	return false;
}

/*
 * All voters but fewer than half are whole, and no change of the members is
 * under way that would count them otherwise.
 */
bool
sim_damage_allows(struct sim *sim, const struct sim_node *victim)
{
	struct sim_log *committed = &sim->checks->committed;
	const struct raft_members *members =
	    sim_check_members_at(sim, committed, committed->last_index);
	unsigned voters = 0;
	unsigned lost = 0;
	bool votes = false;

	for (unsigned i = 0; i < members->count; i++) {
		const struct raft_member *member = &members->member[i];
		const struct sim_node *node =
		    sim_node_of_member(sim, member->id);

		if (member->role_new == RAFT_MEMBER_JOINING)
			return false;
		votes = votes || node == victim;
		voters += member->role_new == RAFT_MEMBER_VOTER;
		lost += node == NULL || node->wiped || node->broken ||
			node->state != NODE_MEMBER;
	}
	return votes && !members->joint && 2 * (lost + 1) < voters &&
	       !victim->broken && victim->state == NODE_MEMBER &&
	       !victim->wiped && !victim->removed &&
	       !sim_damage_change_under_way(sim);
}

/* ---- Wounds ---- */

static bool
flip(struct store_mem_disk *disk, store_table table, uint64_t random)
{
	struct buf key = { 0 };
	struct buf value = { 0 };
	bool done =
	    store_mem_pick(disk, table, random >> 20, &key, &value) &&
	    store_mem_flip_bit(disk, table, buf_slice(&key), random & 0xfffff);

	buf_release(&key);
	buf_release(&value);
	return done;
}

static bool
lose(struct store_mem_disk *disk, store_table table, uint64_t random)
{
	struct buf key = { 0 };
	struct buf value = { 0 };
	bool done =
	    store_mem_pick(disk, table, random, &key, &value) &&
	    store_mem_replace(disk, table, buf_slice(&key), slice_of(NULL, 0));

	buf_release(&key);
	buf_release(&value);
	return done;
}

/* The record of one key is found under another one. */
static bool
misdirect(struct store_mem_disk *disk, store_table table, uint64_t random)
{
	struct buf key = { 0 };
	struct buf value = { 0 };
	struct buf other = { 0 };
	struct buf lost = { 0 };
	bool done =
	    store_mem_pick(disk, table, random >> 32, &key, &lost) &&
	    store_mem_pick(disk, table, random, &other, &value) &&
	    !slice_equal(buf_slice(&lost), buf_slice(&value)) &&
	    store_mem_replace(disk, table, buf_slice(&key), buf_slice(&value));

	buf_release(&key);
	buf_release(&value);
	buf_release(&other);
	buf_release(&lost);
	return done;
}

/* False if `past` has no such key, or the same. */
static bool
put_back_value(struct store_mem_disk *disk, struct store_mem_disk *past,
    store_table table, struct slice key, struct slice now)
{
	struct store *store = store_mem_open(past);
	struct store_txn *txn;
	struct slice value;
	bool done = false;

	if (store_begin(store, false, &txn) == 0) {
		done = store_get(txn, table, key, &value) == 0 &&
		       !slice_equal(value, now) &&
		       store_mem_replace(disk, table, key, value);
		store_abort(txn);
	}
	store_close(store);
	return done;
}

/* A value that was there when the data was copied. */
static bool
make_stale(struct sim_node *node, struct store_mem_disk *disk,
    store_table table, uint64_t random)
{
	struct buf key = { 0 };
	struct buf value = { 0 };
	bool done = false;

	for (unsigned i = 0; i < 32 && !done && node->past != NULL; i++) {
		buf_reset(&key);
		buf_reset(&value);
		done = store_mem_pick(disk, table, random + i, &key, &value) &&
		       put_back_value(disk, node->past, table, buf_slice(&key),
			   buf_slice(&value));
	}
	buf_release(&key);
	buf_release(&value);
	return done;
}

static bool
roll_back_data(struct sim_node *node)
{
	bool done = sim_disks_put_back_data(
	    &node->disks, node->past, node->past_generation);

	node->commits_count = sim_disks_commits_count(&node->disks);
	return done;
}

static bool
lose_tail(struct sim *sim, struct sim_node *node, uint64_t random)
{
	const struct sim_image *image = &sim->checks->watches[node->id].image;
	uint64_t count = 1 + random % 8;
	bool done = false;
	uint8_t key[8];

	for (raft_index i = image->last_index;
	     i > image->compacted_index && count > 0; i--, count--) {
		codec_store_u64(key, i);
		done = store_mem_replace(node->disks.log, NODE_TABLE_LOG,
			   slice_of(key, sizeof(key)), slice_of(NULL, 0)) ||
		       done;
	}
	return done;
}

/* One revision more than there was, with its checksum: whatever is read there
 * is right, but only those who have the true one know that it is not. */
static bool
falsify_state(struct store_mem_disk *data)
{
	struct kv_state state;
	struct buf key = { 0 };
	struct buf record = { 0 };
	uint64_t place = 0;
	bool done = false;

	/* It is one of few in its table. */
	while (!done && place < 8 &&
	       store_mem_pick(data, KV_TABLE_META, place++, &key, &record)) {
		if (slice_equal(buf_slice(&key), kv_state_key()) &&
		    kv_state_decode(buf_slice(&record), &state) == 0 &&
		    state.revision < state.applied_index) {
			state.revision++;
			buf_reset(&record);
			kv_state_encode(&record, &state);
			done = store_mem_replace(data, KV_TABLE_META,
			    kv_state_key(), buf_slice(&record));
		}
		buf_reset(&key);
		buf_reset(&record);
	}
	buf_release(&key);
	buf_release(&record);
	return done;
}

static bool
hurt(struct sim *sim, struct sim_node *node, enum wound wound, uint64_t random)
{
	struct store_mem_disk *log = node->disks.log;
	struct store_mem_disk *data = sim_disks_data(&node->disks);
	store_table table = KV_TABLE_KV;

	if (random >> 61 < 3)
		table = (store_table)(random >> 32) % KV_DISK_TABLES_COUNT;

	switch (wound) {
	case WOUND_ENTRY: return flip(log, NODE_TABLE_LOG, random);
	case WOUND_GAP: return lose(log, NODE_TABLE_LOG, random);
	case WOUND_TAIL: return lose_tail(sim, node, random);
	case WOUND_DATA: return data != NULL && flip(data, table, random);
	case WOUND_DATA_GAP: return data != NULL && lose(data, table, random);
	case WOUND_STATE: return data != NULL && falsify_state(data);
	case WOUND_HARD: return flip(log, NODE_TABLE_STATE, random);
	case WOUND_IDENTITY: return flip(log, NODE_TABLE_IDENTITY, random);
	case WOUND_MISDIRECTED:
		return random >> 63 == 0
			   ? misdirect(log, NODE_TABLE_LOG, random)
			   : data != NULL && misdirect(data, table, random);
	case WOUND_STALE:
		return data != NULL && make_stale(node, data, table, random);
	case WOUND_OLD_DATA: return roll_back_data(node);
	case WOUNDS_COUNT: break;
	}
	return false;
}

/* ---- Striking ---- */

/* It runs on, and finds out when it reads that, or is started again. */
static bool
is_found_while_running(enum wound wound)
{
	return wound == WOUND_ENTRY || wound == WOUND_GAP ||
	       wound == WOUND_DATA || wound == WOUND_MISDIRECTED;
}

static void
count_wound(struct sim *sim, const struct sim_node *node, enum wound wound)
{
	struct sim_counters *counters = &sim->counters;

	counters->damages++;
	counters->damages_while_running += node->latent;
	switch (wound) {
	case WOUND_ENTRY:
	case WOUND_GAP:
	case WOUND_TAIL: counters->damages_of_log++; break;
	case WOUND_DATA:
	case WOUND_DATA_GAP: counters->damages_of_data++; break;
	case WOUND_STATE: counters->states_falsified++; break;
	case WOUND_HARD:
	case WOUND_IDENTITY: counters->damages_of_memory++; break;
	case WOUND_MISDIRECTED: counters->damages_misdirected++; break;
	case WOUND_STALE: counters->damages_stale++; break;
	case WOUND_OLD_DATA: counters->damages_old_data++; break;
	case WOUNDS_COUNT: break;
	}
}

static raft_id
choose(struct sim *sim, struct rng *rng)
{
	raft_id leader = sim_nemesis_leader(sim);

	return leader != 0 && rng_below(rng, 3) == 0
		   ? leader
		   : rng_between(rng, 1, sim->config.hosts_count);
}

/*
 * A false state is found by comparison with those of a majority. While fewer
 * than half are down for long, whoever has it may lead those that are left, and
 * the others need its snapshot when they come back.
 */
static void
hide_others(struct sim *sim, struct rng *rng, const struct sim_node *victim)
{
	raft_usec timeout = sim->config.raft.election_timeout;
	unsigned count = (sim->config.nodes_count - 1) / 2;

	if (sim->config.fault_mean[SIM_FAULT_CRASH] == 0 ||
	    rng_below(rng, 4) == 0)
		return;
	for (raft_id id = 1; id <= sim->config.hosts_count; id++) {
		struct sim_node *node = sim_node_get(sim, id);

		if (count == 0 || node == victim || node->node == NULL ||
		    sim->now < node->busy_until)
			continue;
		count--;
		sim_node_crash(
		    sim, node, true, rng_between(rng, 10, 40) * timeout);
	}
}

/* What may come back one day. */
static void
copy_data(struct sim *sim)
{
	for (raft_id id = 1; id <= sim->config.hosts_count; id++) {
		struct sim_node *node = sim_node_get(sim, id);

		if (node->broken || sim_disks_data(&node->disks) == NULL)
			continue;
		store_mem_disk_free(node->past);
		node->past = store_mem_disk_clone(sim_disks_data(&node->disks));
		node->past_generation = sim_disks_data_generation(&node->disks);
	}
}

void
sim_damage_strike(struct sim *sim, struct rng *rng)
{
	raft_id id = choose(sim, rng);
	enum wound wound = (enum wound)rng_below(rng, WOUNDS_COUNT);
	raft_usec outage =
	    rng_between(rng, 0, 3 * sim->config.raft.election_timeout);
	bool runs_on = is_found_while_running(wound) && rng_below(rng, 2) == 0;
	uint64_t random = rng_next(rng);
	struct sim_node *node = sim_node_get(sim, id);
	bool leads;

	if (rng_below(rng, 3) == 0)
		copy_data(sim);
	if (!sim_damage_allows(sim, node) || sim->now < node->busy_until ||
	    (runs_on && node->node == NULL))
		return;
	leads = node->node != NULL && node_is_leader(node->node);
	if (!runs_on)
		sim_node_crash(sim, node, true, outage);
	node->broken = hurt(sim, node, wound, random);
	if (!node->broken)
		return;
	node->latent = runs_on;
	node->false_state = wound == WOUND_STATE
				? sim_disks_data_generation(&node->disks) + 1
				: 0;
	node->wounds++;
	node->whole_index = sim->checks->committed.last_index;
	sim->counters.damages_of_leader += leads;
	count_wound(sim, node, wound);
	if (wound == WOUND_STATE)
		hide_others(sim, rng, node);
	sim_trace(sim, id, "%s is damaged%s", wound_names[wound],
	    runs_on ? ", unnoticed" : "");
}

/* ---- Coming back ---- */

/* Its memory is lost: it begins again in an empty directory. */
static void
set_aside(struct sim *sim, struct sim_node *node)
{
	sim->counters.damages_set_aside++;
	sim_trace(sim, node->id, "begins again in an empty directory");
	sim_node_wipe(node);
	node->false_state = 0;
	sim_check_wiped(sim, node);
	node->wiped = false;
	node->params.damaged = true;
	node->params.members = (struct node_members){ 0 };
}

bool
sim_damage_explains(struct sim *sim, struct sim_node *node, int error)
{
	if (!node->broken || node->rolled_back || error != ERR_CORRUPT)
		return false;
	/* While it runs, opening again is what finds out how bad it is. */
	if (node->node == NULL)
		set_aside(sim, node);
	else
		sim->counters.damages_found_running++;
	return true;
}

/* Crashes and power cuts leave nothing to be repaired. */
static void
check_repairs(struct sim *sim, const struct sim_node *node)
{
	if (node->broken || node->rolled_back || node->false_state != 0)
		return;
	for (enum node_repair i = 0; i < NODE_REPAIRS_COUNT; i++) {
		const char *said = node_get_repair(node->node, i);

		if (said != NULL)
			sim_fail(sim,
			    "node %" PRIu64 ", which nothing damaged: %s",
			    node->id, said);
	}
}

/* A snapshot, in the turn in which the former life ended, which nobody has
 * looked at: it takes the place of the log, and is another generation of data. */
static bool
has_installed(struct sim *sim, const struct sim_node *node,
    const struct node_status *status)
{
	const struct sim_watch *former = &sim->checks->watches[node->id];

	return status->data_generation != node->generation &&
	       status->raft.applied_index > former->applied_index &&
	       status->raft.last_index == status->raft.applied_index;
}

/* A log that is shorter than it was says so, or it would be believed. */
static void
check_noted(struct sim *sim, const struct sim_node *node,
    const struct node_status *status)
{
	const struct sim_watch *former = &sim->checks->watches[node->id];
	raft_index last = former->log.last_index;

	if (node->latent && status->state == NODE_MEMBER &&
	    status->raft.last_index < last &&
	    status->raft.repair_until < last &&
	    !has_installed(sim, node, status))
		sim_fail(sim,
		    "the log of node %" PRIu64 " ended at %" PRIu64
		    " and now does at %" PRIu64
		    ", of which it has no note but %" PRIu64,
		    node->id, last, status->raft.last_index,
		    status->raft.repair_until);
}

void
sim_damage_started(struct sim *sim, struct sim_node *node)
{
	struct node_status status;

	check_repairs(sim, node);
	if (!node->broken || node->rolled_back)
		return;
	node_get_status(
	    node->node, sim_node_clock(node, node->turn_at), &status);
	check_noted(sim, node, &status);
	node->latent = false;
	sim->counters.damages_log_cut += status.raft.repair_until != 0;
	sim->counters.damages_state_lost += status.raft.state_lost;
}

void
sim_damage_look(
    struct sim *sim, struct sim_node *node, const struct node_status *status)
{
	if (!node->broken || node->rolled_back || node->latent ||
	    status->state != NODE_MEMBER)
		return;
	sim->counters.members_renewed += node->params.damaged;
	node->params.damaged = false;
	/* By comparison, or because a snapshot came; or all that was false has
	 * been written over, which holds when nobody crashes any more. */
	if (node->false_state == status->data_generation + 1 &&
	    (sim->phase == SIM_FAULTS || !sim_check_has_state(sim, node)))
		return;
	if (node->false_state != 0) {
		if (node->false_state == status->data_generation + 1)
			sim->counters.states_overwritten++;
		else
			sim->counters.states_mended++;
		sim->checks->watches[node->id].revision = 0;
	}
	node->false_state = 0;
	if (status->repairing || status->raft.repair_until != 0 ||
	    status->raft.state_lost ||
	    status->raft.applied_index < node->whole_index ||
	    sim->checks->watches[node->id].image.last_index < node->whole_index)
		return;
	sim->counters.damages_made_good++;
	sim_trace(sim, node->id, "is whole again");
	node->broken = false;
}

void
sim_damage_expose(struct sim *sim, struct sim_node *node)
{
	sim->counters.states_exposed++;
	(void)flip(sim_disks_data(&node->disks), KV_TABLE_META, 0);
	node->doomed = true;
}

void
sim_damage_heal(struct sim *sim)
{
	for (raft_id id = 1; id <= sim->config.hosts_count; id++) {
		struct sim_node *node = sim_node_get(sim, id);

		node->doomed = node->doomed || node->latent;
	}
}
