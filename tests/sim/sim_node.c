#include "tests/sim/sim_node.h"

#include "common/mem.h"
#include "common/panic.h"
#include "tests/sim/sim_check.h"
#include "tests/sim/sim_client.h"
#include "tests/sim/sim_copy.h"
#include "tests/sim/sim_damage.h"
#include "tests/sim/sim_host.h"
#include "tests/sim/sim_moment.h"
#include "tests/sim/sim_net.h"
#include "tests/sim/sim_operator.h"
#include "tests/sim/sim_pace.h"
#include "tests/sim/sim_pieces.h"
#include "tests/sim/sim_quirks.h"
#include "tests/sim/sim_watcher.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* A node that is woken so often in one moment does not come to rest. */
#define WAKES_AT_ONCE_MAX 1000

/* ---- Clock ---- */

raft_usec
sim_node_clock(const struct sim_node *node, raft_usec at)
{
	const struct sim_clock *clock = &node->clock;
	int64_t passed = (int64_t)(MAX(at, clock->real) - clock->real);

	return clock->shown + (uint64_t)passed +
	       (uint64_t)(passed * clock->rate_ppm / 1000000);
}

void
sim_node_set_rate(struct sim_node *node, int32_t rate_ppm)
{
	raft_usec now = MAX(node->sim->now, node->turn_at);

	node->clock = (struct sim_clock){
		.real = now,
		.shown = sim_node_clock(node, now),
		.rate_ppm = rate_ppm,
	};
}

void
sim_node_stop_clock(struct sim_node *node, raft_usec until)
{
	struct sim_lapse lapse = { .at = node->sim->now };

	sim_node_set_rate(node, node->clock.rate_ppm);
	if (node->clock.real >= until)
		return;
	lapse.stood = until - lapse.at;
	node->clock.real = until;
	sim_pace_lapse(node->sim, &lapse);
}

/* When the clock shows `shown`. */
static raft_usec
real_time(const struct sim_node *node, raft_usec shown)
{
	const struct sim_clock *clock = &node->clock;
	uint64_t pace = (uint64_t)(1000000 + clock->rate_ppm);

	if (shown == RAFT_NEVER)
		return RAFT_NEVER;
	if (shown <= clock->shown)
		return clock->real;
	return clock->real +
	       ((shown - clock->shown) * 1000000 + pace - 1) / pace;
}

/* ---- Life ---- */

static void
fill_params(struct sim *sim, struct sim_node *node)
{
	struct node_params *params = &node->params;
	struct node_members *members = &params->members;

	*params = (struct node_params){ .cluster = "simulated" };
	snprintf(params->address, sizeof(params->address),
	    "192.0.2.%" PRIu64 ":5864", node->id);
	snprintf(params->name, sizeof(params->name),
	    node->renewals == 0 ? "n%" PRIu64 : "n%" PRIu64 "-%u", node->id,
	    node->renewals);
	if (node->id > sim->config.nodes_count || node->renewals > 0)
		return;
	members->count = sim->config.nodes_count;
	for (unsigned i = 0; i < members->count; i++) {
		struct node_member *member = &members->member[i];

		member->id = i + 1;
		snprintf(member->name, sizeof(member->name), "n%u", i + 1);
		snprintf(member->address, sizeof(member->address),
		    "192.0.2.%u:5864", i + 1);
	}
}

static void
draw_nonce(struct rng *rng, uint8_t *nonce)
{
	for (size_t i = 0; i < NODE_NONCE_SIZE; i++)
		nonce[i] = (uint8_t)rng_below(rng, 256);
}

void
sim_nodes_init(struct sim *sim)
{
	sim->nodes =
	    mem_zalloc(sim->config.hosts_count + 1, sizeof(*sim->nodes));
	for (raft_id id = 1; id <= sim->config.hosts_count; id++) {
		struct sim_node *node = sim_node_get(sim, id);

		node->sim = sim;
		node->id = id;
		sim_disks_init(&node->disks, sim);
		node->wake_at = RAFT_NEVER;
		fill_params(sim, node);
		sim_schedule(sim,
		    rng_below(&sim->rng[SIM_RNG_NODE],
			sim->config.raft.election_timeout),
		    SIM_EVENT_RESTART, id, 0, NULL);
	}
}

struct sim_node *
sim_node_get(struct sim *sim, raft_id id)
{
	ASSERT(id >= 1);
	ASSERT(id <= sim->config.hosts_count + 1);
	return &sim->nodes[id - 1];
}

struct sim_node *
sim_node_of_member(struct sim *sim, raft_id id)
{
	for (raft_id place = 1; place <= sim->config.hosts_count; place++) {
		struct sim_node *node = sim_node_get(sim, place);

		if (id != 0 && node->member_id == id)
			return node;
	}
	return NULL;
}

struct sim_node *
sim_node_at(struct sim *sim, const char *address)
{
	return sim_node_get(
	    sim, strtoull(address + strlen("192.0.2."), NULL, 10));
}

static void
drop_inbox(struct sim_node *node)
{
	for (size_t i = 0; i < node->inbox_count; i++)
		sim_net_drop(&node->inbox[i]);
	node->inbox_count = 0;
}

static void
close_stores(struct sim_node *node)
{
	sim_disks_die(&node->disks, node->powered);
	node_free(node->node);
	store_close(node->log);
	node->node = NULL;
	node->log = NULL;
	node->told = false;
	node->doomed = false;
	sim_disks_died(&node->disks, node->powered);
}

void
sim_nodes_release(struct sim *sim)
{
	for (raft_id id = 1; id <= sim->config.hosts_count; id++) {
		struct sim_node *node = sim_node_get(sim, id);

		drop_inbox(node);
		close_stores(node);
		sim_disks_release(&node->disks);
		sim_copy_release(node);
		store_mem_disk_free(node->past);
	}
	sim_copy_stop(sim);
	for (raft_id id = 1; id <= sim->config.hosts_count + 1; id++) {
		struct sim_node *node = sim_node_get(sim, id);

		free(node->inbox);
		free(node->change);
	}
	free(sim->nodes);
}

/* A process that is started again finds its clock going on, a host that was
 * without power finds it at some other value. */
static void
start_clock(struct sim *sim, struct sim_node *node)
{
	struct rng *rng = &sim->rng[SIM_RNG_NODE];
	raft_usec shown = sim_node_clock(node, sim->now);

	if (node->life == 1 || !node->powered)
		shown = rng_between(rng, 1, 1000000000);
	node->clock = (struct sim_clock){
		.real = sim->now,
		.shown = shown,
		.rate_ppm = node->clock.rate_ppm,
	};
}

static void
plan_wake(struct sim *sim, struct sim_node *node, raft_usec at)
{
	at = MAX(at, sim->now);
	at = MAX(at, node->busy_until);
	at = MAX(at, node->paused_until);
	if (at == node->wake_at)
		return;
	node->wake_at = at;
	node->wake_number++;
	if (at != RAFT_NEVER)
		sim_schedule(
		    sim, at, SIM_EVENT_WAKE, node->id, node->wake_number, NULL);
}

void
sim_node_jump(struct sim_node *node, raft_usec by)
{
	const struct sim_lapse lapse = {
		.at = node->sim->now,
		.jumped = by,
	};

	sim_node_set_rate(node, node->clock.rate_ppm);
	node->clock.shown += by;
	sim_pace_lapse(node->sim, &lapse);
	/* Whatever that makes due is so at once. */
	if (node->node != NULL)
		plan_wake(node->sim, node, node->sim->now);
}

/* So that the node must stop. */
static bool
disk_failed(const struct sim_node *node)
{
	return sim_disks_failed(&node->disks);
}

/* Nothing is left of the process; true if the disk had been told to fail. */
static bool
bury(struct sim *sim, struct sim_node *node)
{
	bool failed = disk_failed(node);

	/* It may not have come to remember whom it has heard. */
	if (failed)
		memset(node->heard_life, 0, sizeof(node->heard_life));
	drop_inbox(node);
	sim_client_node_died(sim, node);
	sim_watchers_node_died(sim, node);
	sim_pieces_drop(sim, node);
	close_stores(node);
	sim_check_died(sim, node);
	sim_operator_node_died(node);
	sim_net_node_died(sim, node);
	node->wake_at = RAFT_NEVER;
	node->wake_number++;
	node->paused_until = 0;
	node->stall = 0;
	return failed;
}

static void
start_failed(struct sim *sim, struct sim_node *node, int error, const char *why)
{
	raft_usec pause = sim->config.raft.election_timeout;
	bool failed = bury(sim, node);

	/* It may have crashed in the turn in which it noted so. */
	if (!failed && error == ERR_MISMATCH &&
	    !sim_check_has_id(sim, node->member_id)) {
		sim_trace(sim, node->id, "does not start: %s", why);
		node->removed = true;
		return;
	}
	/* It found out that it is one, and is of no use any more. */
	if (!failed && node->rolled_back && error == ERR_MISMATCH) {
		sim->counters.copies_outdated++;
		sim_trace(sim, node->id, "does not start: %s", why);
		return;
	}
	if (!failed && !sim_damage_explains(sim, node, error)) {
		sim_fail(
		    sim, "node %" PRIu64 " does not start: %s", node->id, why);
		return;
	}
	sim->counters.crashes_at_boot += failed;
	sim_trace(sim, node->id, "crash at start: %s", why);
	sim_schedule(
	    sim, sim->now + pause, SIM_EVENT_RESTART, node->id, 0, NULL);
}

static void
start(struct sim *sim, struct sim_node *node)
{
	struct rng *rng = &sim->rng[SIM_RNG_NODE];
	const struct node_host host = sim_host_of(node);
	char why[512] = "";
	int error;

	node->life++;
	start_clock(sim, node);
	memset(node->heard, 0, sizeof(node->heard));
	sim_quirks_tune(sim, node);
	node->params.boot_id = rng_next(rng) | 1;
	draw_nonce(rng, node->params.directory_nonce);
	draw_nonce(rng, node->params.cluster_id);
	node->book = (struct node_members){ 0 };
	node->turn_at = sim->now;
	node->powered = true;
	error = sim_disks_open_log(&node->disks, &node->log, why, sizeof(why));
	if (error == 0)
		error = node_new(&node->node, &node->params, node->log, &host,
		    sim_node_clock(node, sim->now), why, sizeof(why));
	if (error != 0) {
		node->node = NULL;
		start_failed(sim, node, error, why);
		return;
	}
	sim_host_pass_commits(node);
	node->busy_until = node->turn_at;
	sim_net_flush(sim, node);
	sim_trace(sim, node->id, "start, life %" PRIu64, node->life);
	sim->counters.restarts += node->life > 1;
	sim_damage_started(sim, node);
	sim_check_start(sim, node);
	sim_net_members_changed(sim, node);
	plan_wake(sim, node, real_time(node, node_deadline(node->node)));
}

void
sim_node_restart(struct sim *sim, const struct sim_event *event)
{
	struct sim_node *node = sim_node_get(sim, event->node);

	if (node->node == NULL && !node->retired)
		start(sim, node);
}

void
sim_node_crash(
    struct sim *sim, struct sim_node *node, bool powered, raft_usec after)
{
	if (node->node == NULL)
		return;
	sim_trace(sim, node->id, "crash%s, back in %" PRIu64 "us",
	    powered ? "" : " without power", after);
	sim->counters.crashes++;
	sim->counters.crashes_of_leader += node_is_leader(node->node);
	node->powered = powered;
	(void)bury(sim, node); /* this crash needs no other reason */
	sim_schedule(
	    sim, sim->now + after, SIM_EVENT_RESTART, node->id, 0, NULL);
}

void
sim_node_retire(struct sim *sim, struct sim_node *node)
{
	node->powered = false;
	if (node->node != NULL)
		(void)bury(sim, node);
	node->busy_until = 0;
	node->retired = true;
}

void
sim_node_wipe(struct sim_node *node)
{
	ASSERT(node->node == NULL);
	sim_disks_release(&node->disks);
	sim_disks_init(&node->disks, node->sim);
	node->commits_count = 0;
	node->lost_id = node->member_id;
	node->member_id = 0;
	memset(node->heard_life, 0, sizeof(node->heard_life));
	node->wiped = true;
}

void
sim_node_renew(struct sim *sim, struct sim_node *node)
{
	sim_node_wipe(node);
	node->renewals++;
	node->wiped = false;
	node->broken = false;
	node->retired = false;
	node->removed = false;
	fill_params(sim, node);
}

void
sim_node_break_disk(struct sim_node *node, bool log_disk, uint64_t n, int code)
{
	sim_disks_break(&node->disks, log_disk,
	    rng_next(&node->sim->rng[SIM_RNG_DISK]), n, code);
}

bool
sim_node_may_refuse(const struct sim_node *node, int error)
{
	return node->told || disk_failed(node) ||
	       (node->latent && (error == ERR_CORRUPT || error == ERR_STOPPED));
}

void
sim_node_pause(struct sim *sim, struct sim_node *node, raft_usec until)
{
	node->paused_until = MAX(node->paused_until, until);
	if (node->node != NULL && node->wake_at < node->paused_until)
		plan_wake(sim, node, node->paused_until);
}

void
sim_node_mend(struct sim *sim, struct sim_node *node)
{
	/* One that has failed already still has to stop its node. */
	if (!disk_failed(node))
		sim_disks_mend(&node->disks);
	node->stall = 0;
	node->slow_until = 0;
	node->paused_until = 0;
	sim_node_set_rate(node, 0);
	if (node->node == NULL)
		start(sim, node);
	else
		plan_wake(sim, node, sim->now);
}

/* ---- Turns ---- */

void
sim_node_post(struct sim *sim, const struct sim_event *event)
{
	struct sim_node *node = sim_node_get(sim, event->node);
	raft_usec gather = 0;

	ASSERT(node->node != NULL);
	if (node->inbox_count == node->inbox_capacity) {
		node->inbox_capacity = MAX(32, node->inbox_capacity * 2);
		node->inbox = mem_realloc(
		    node->inbox, node->inbox_capacity, sizeof(*node->inbox));
	}
	node->inbox[node->inbox_count++] = *event;
	if (sim->config.gather_max != 0)
		gather =
		    rng_below(&sim->rng[SIM_RNG_NODE], sim->config.gather_max);
	if (node->wake_at > sim->now + gather)
		plan_wake(sim, node, sim->now + gather);
}

static void
read_inbox(struct sim *sim, struct sim_node *node)
{
	for (size_t i = 0; i < node->inbox_count && !sim->failed; i++) {
		const struct sim_event *event = &node->inbox[i];

		if (event->kind == SIM_EVENT_PACKET)
			sim_net_receive(sim, node, event);
		else if (event->kind == SIM_EVENT_DIAL)
			sim_net_dial(sim, node, event);
		else if (event->kind == SIM_EVENT_PIECE_LOST)
			sim_pieces_lost(sim, node, event);
		else if (event->kind == SIM_EVENT_WATCH)
			sim_watcher_receive(sim, node, event);
		else if (event->kind == SIM_EVENT_OPERATE)
			sim_operator_receive(sim, node, event);
		else
			sim_client_receive(sim, node, event);
	}
	drop_inbox(node);
}

/* The node says that it must stop: was a disk told to fail? */
static void
stop(struct sim *sim, struct sim_node *node, int error)
{
	struct rng *rng = &sim->rng[SIM_RNG_NODE];
	bool was_log = node->disks.faulty == node->disks.log;
	raft_usec pause = rng_below(rng, 4 * sim->config.raft.election_timeout);

	if (!disk_failed(node) && sim_damage_explains(sim, node, error)) {
		sim_trace(
		    sim, node->id, "opens again: %s", node_fault(node->node));
		sim_node_crash(sim, node, true, pause);
		return;
	}
	if (!disk_failed(node)) {
		sim_fail(sim, "node %" PRIu64 " stopped: %s", node->id,
		    node_fault(node->node));
		return;
	}
	sim_trace(sim, node->id, "stops: %s", node_fault(node->node));
	if (was_log)
		sim->counters.crashes_in_log_commit++;
	else
		sim->counters.crashes_in_checkpoint++;
	sim_net_flush_some(sim, node);
	sim_node_crash(sim, node, true, pause);
}

static void
count_wake(struct sim *sim, struct sim_node *node, raft_usec before)
{
	node->wakes_at_once = before == sim->now ? node->wakes_at_once + 1 : 0;
	if (node->wakes_at_once > WAKES_AT_ONCE_MAX)
		sim_fail(sim, "node %" PRIu64 " never comes to rest", node->id);
}

/* A snapshot found no room: its sender is told so with the next piece. */
static bool
is_refusing(const struct sim_node *node)
{
	struct node_status status;

	node_get_status(node->node, 0, &status);
	return sim_disks_are_full(&node->disks, status.data_generation);
}

static void
turn(struct sim *sim, struct sim_node *node)
{
	raft_usec before = node->turn_at;
	bool led = node_is_leader(node->node);
	int error;

	sim->counters.turns++;
	node->turn_at = sim->now;
	count_wake(sim, node, before);
	read_inbox(sim, node);
	sim_moment_read(sim, node);
	error = node_turn(node->node, sim_node_clock(node, node->turn_at));
	if (error != 0) {
		stop(sim, node, error);
		return;
	}
	if (disk_failed(node) && !node->told && !is_refusing(node)) {
		sim_fail(sim, "node %" PRIu64 " went on after a disk error",
		    node->id);
		return;
	}
	sim_host_pass_commits(node);
	sim_net_flush(sim, node);
	node->busy_until = node->turn_at;
	sim_check_turn(sim, node);
	sim_watchers_turn(sim, node);
	if (!led && node_is_leader(node->node))
		sim_operator_hurry(sim, node);
	sim_net_members_changed(sim, node);
	sim_mix(sim, node_digest(node->node));
	plan_wake(sim, node,
	    sim_quirks_wake(sim, real_time(node, node_deadline(node->node))));
	sim_moment_turned(sim, node);
}

void
sim_node_wake(struct sim *sim, const struct sim_event *event)
{
	struct sim_node *node = sim_node_get(sim, event->node);

	if (node->node == NULL || event->number != node->wake_number)
		return;
	node->wake_at = RAFT_NEVER;
	if (sim->now < node->paused_until || sim->now < node->busy_until)
		plan_wake(sim, node, sim->now);
	else
		turn(sim, node);
}
