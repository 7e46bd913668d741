#include "tests/sim/sim_operator.h"

#include "common/mem.h"
#include "tests/sim/sim_check.h"
#include "tests/sim/sim_moment.h"
#include "tests/sim/sim_net.h"
#include <inttypes.h>
#include <stdio.h>

enum request {
	REQUEST_ADD,
	REQUEST_REMOVE,
	REQUEST_REPLACE,
	REQUEST_MOVE,
	REQUEST_TRANSFER_BEST,
	REQUEST_TRANSFER,
	REQUESTS_COUNT
};

static const char *const change_names[] = {
	[NODE_ADD] = "add",
	[NODE_REMOVE] = "remove",
	[NODE_REPLACE] = "replace",
	[NODE_RENEW] = "renew",
	[NODE_MOVE] = "move",
};

static struct rng *
rng_of(struct sim *sim)
{
	return &sim->rng[SIM_RNG_NEMESIS];
}

/* ---- Asking ---- */

/* One that leads, or thinks so; seldom any, which has to refuse. */
static struct sim_node *
choose_server(struct sim *sim, struct rng *rng)
{
	unsigned count = sim->config.hosts_count;
	raft_id first = rng_between(rng, 1, count);

	for (unsigned i = 0; i < count && rng_below(rng, 10) != 0; i++) {
		struct sim_node *node =
		    sim_node_get(sim, (first + i) % count + 1);

		if (node->node != NULL && node_is_leader(node->node))
			return node;
	}
	return sim_node_get(sim, first);
}

static void
ask(struct sim *sim, struct rng *rng, enum request request)
{
	struct sim_node *node = choose_server(sim, rng);
	uint64_t random = rng_next(rng) >> 32;

	sim_schedule(sim, sim->now, SIM_EVENT_OPERATE, node->id,
	    random << 8 | request, NULL);
}

/* Who is no member, and knows that or was wiped, starts anew. */
static void
renew_hosts(struct sim *sim)
{
	for (raft_id id = 1; id <= sim->config.hosts_count; id++) {
		struct sim_node *node = sim_node_get(sim, id);

		if ((!node->removed && !node->wiped) ||
		    sim_check_is_member(sim, node))
			continue;
		if (sim->now < node->busy_until)
			continue;
		if (node->node != NULL)
			sim_node_crash(sim, node, false, 0);
		if (node->node != NULL)
			continue;
		sim_trace(sim, id, "begins anew, to be added");
		sim_node_renew(sim, node);
		sim_check_wiped(sim, node);
		sim_schedule(
		    sim, sim->now + 1000, SIM_EVENT_RESTART, id, 0, NULL);
	}
}

static const enum request requests[] = { REQUEST_ADD, REQUEST_ADD, REQUEST_ADD,
	REQUEST_REMOVE, REQUEST_REMOVE, REQUEST_REPLACE, REQUEST_REPLACE,
	REQUEST_MOVE };

/* At once, or any time within `span`. */
static void
ask_soon(struct sim *sim, const struct sim_node *node, raft_usec span)
{
	struct rng *rng = rng_of(sim);
	raft_usec after = rng_below(rng, 2) == 0 ? 0 : rng_below(rng, span);
	uint64_t random = rng_next(rng) >> 32;
	enum request request = requests[rng_below(rng, ARRAY_COUNT(requests))];

	/* No other needs an answer of somebody else first. */
	if (rng_below(rng, 2) == 0)
		request = REQUEST_REMOVE;
	sim_schedule(sim, sim->now + after, SIM_EVENT_OPERATE, node->id,
	    random << 8 | request, NULL);
}

void
sim_operator_hurry(struct sim *sim, struct sim_node *leader)
{
	if (!sim->config.churns || sim->phase != SIM_FAULTS ||
	    sim->now < sim->config.warm_up ||
	    sim->now > sim->config.faults_until ||
	    rng_below(rng_of(sim), 2) != 0)
		return;
	ask_soon(sim, leader, sim->config.raft.election_timeout / 20);
}

void
sim_operator_grow(struct sim *sim, const struct sim_node *leader)
{
	/* Not a multiple of 16, which stands for any place. */
	sim_schedule(sim, sim->now, SIM_EVENT_OPERATE, leader->id,
	    UINT64_C(0x100) << 8 | REQUEST_ADD, NULL);
}

void
sim_operator_change(struct sim *sim, struct rng *rng)
{
	renew_hosts(sim);
	ask(sim, rng, requests[rng_below(rng, ARRAY_COUNT(requests))]);
}

void
sim_operator_transfer(struct sim *sim, struct rng *rng)
{
	ask(sim, rng,
	    rng_below(rng, 2) == 0 ? REQUEST_TRANSFER : REQUEST_TRANSFER_BEST);
}

/* ---- At the node ---- */

static void
on_done(struct node_write *write, enum node_outcome outcome,
    const struct kv_result *result)
{
	struct sim_change *change =
	    CONTAINER_OF(write, struct sim_change, write);

	(void)result;
	change->waiting = false;
	if (outcome == NODE_DONE)
		change->server->sim->counters.changes_done++;
	else
		change->server->sim->counters.changes_lost++;
}

void
sim_operator_node_died(struct sim_node *node)
{
	if (node->change != NULL)
		node->change->waiting = false;
}

/* A place where somebody waits to be added, from `random` on; now and then any
 * place, where that may be somebody who is a member. */
static raft_id
choose_joiner(struct sim *sim, uint64_t random)
{
	unsigned count = sim->config.hosts_count;

	for (unsigned i = 0; i < count && random % 16 != 0; i++) {
		struct sim_node *node =
		    sim_node_get(sim, (random + i) % count + 1);

		if (node->node != NULL && node->state == NODE_JOINING &&
		    !node->wiped)
			return node->id;
	}
	return random / 16 % count + 1;
}

static const struct node_member *
choose_member(struct sim *sim, const struct sim_node *node, uint64_t random)
{
	const struct node_members *members = node_get_members(node->node);

	for (unsigned i = 0; i < members->count; i++) {
		const struct node_member *member = &members->member[i];
		struct sim_node *host = sim_node_at(sim, member->address);

		/* Before anybody else goes, who cannot come back. */
		if (host->wiped || host->removed)
			return member;
	}
	return members->count == 0 ? NULL
				   : &members->member[random % members->count];
}

/* Whoever cannot come back counts among those that are not heard. */
static bool
is_any_wiped(struct sim *sim)
{
	for (raft_id id = 1; id <= sim->config.hosts_count; id++) {
		if (sim_node_get(sim, id)->wiped)
			return true;
	}
	return false;
}

/* Nor does who is not whole, for a while, though an old message may make it
 * seem to be heard: an operator sees that, and waits. */
static bool
is_any_broken(struct sim *sim)
{
	for (raft_id id = 1; id <= sim->config.hosts_count; id++) {
		if (sim_node_get(sim, id)->broken)
			return true;
	}
	return false;
}

static bool
fill_change(struct sim *sim, struct sim_node *node, enum request request,
    uint64_t random, struct node_change *change)
{
	static const int kinds[] = { NODE_ADD, NODE_REMOVE, NODE_REPLACE,
		NODE_MOVE };
	const struct node_member *member =
	    choose_member(sim, node, random >> 16);

	memset(change, 0, sizeof(*change));
	change->kind = kinds[request];
	if (request != REQUEST_ADD) {
		if (member == NULL)
			return false;
		snprintf(
		    change->name, sizeof(change->name), "%s", member->name);
	}
	if (request <= REQUEST_REPLACE && request != REQUEST_ADD &&
	    is_any_broken(sim))
		return false;
	if (request == REQUEST_REMOVE)
		change->force = random % 2 == 0 && !is_any_wiped(sim);
	if (request == REQUEST_MOVE)
		snprintf(change->member.address, sizeof(change->member.address),
		    "192.0.2.%" PRIu64 ":%u",
		    sim_node_at(sim, member->address)->id,
		    (unsigned)(5000 + random % 1000));
	return true;
}

/* Only who waits to be added may be; the name is what the operator knows. */
static bool
judge(struct sim *sim, struct sim_node *node, const struct sim_packet *packet,
    struct node_change *change)
{
	const struct node_params *params =
	    &sim_node_get(sim, packet->from)->params;
	const struct node_hello *hello = packet->hello;
	bool joins = hello->stage == NODE_HELLO_JOINING &&
		     strcmp(hello->name, params->name) == 0;
	char why[512] = "";
	int error = node_judge_joining(
	    node->node, hello, params->name, why, sizeof(why));

	if ((error == 0) != joins)
		sim_fail(sim, "node %" PRIu64 " judges of %s, who %s: %s",
		    node->id, params->name, joins ? "waits" : "does not wait",
		    why);
	sim->counters.probes_refused += error != 0;
	if (error != 0)
		return false;
	snprintf(change->member.name, sizeof(change->member.name), "%s",
	    params->name);
	snprintf(change->member.address, sizeof(change->member.address), "%s",
	    params->address);
	memcpy(change->member.directory, hello->directory, NODE_NONCE_SIZE);
	return true;
}

static void
count_refusal(
    struct sim *sim, const struct sim_node *node, int error, const char *why)
{
	struct sim_counters *counters = &sim->counters;

	switch (error) {
	case ERR_NOT_LEADER: counters->changes_not_leader++; break;
	case ERR_AGAIN: counters->changes_own_term++; break;
	case ERR_BUSY: counters->changes_busy++; break;
	case ERR_DENIED: counters->changes_denied++; break;
	case ERR_NOT_FOUND:
	case ERR_INVALID:
	case ERR_EXISTS:
	case ERR_TOO_LARGE: counters->changes_refused++; break;
	default:
		sim_fail(sim, "node %" PRIu64 " refuses a change: %s, %s",
		    node->id, err_text(error), why);
	}
}

static void
begin_change(
    struct sim *sim, struct sim_node *node, const struct node_change *change)
{
	raft_usec now = sim_node_clock(node, node->turn_at);
	char why[512] = "";
	int error;

	if (node->change == NULL)
		node->change = mem_zalloc(1, sizeof(*node->change));
	if (node->change->waiting)
		node_write_cancel(&node->change->write);
	*node->change = (struct sim_change){ .server = node };
	node->change->write.done = on_done;
	error = node_change_members(
	    node->node, now, change, &node->change->write, why, sizeof(why));
	node->change->waiting = error == 0;
	sim_trace(sim, node->id, "is asked to %s %s %s: %s %s",
	    change_names[change->kind], change->name, change->member.name,
	    error == 0 ? "" : err_text(error), why);
	if (error != 0) {
		count_refusal(sim, node, error, why);
		return;
	}
	sim->counters.changes_begun++;
	/* Somebody else wants something at the same time; but nobody does while
	 * a cluster grows again, which would shrink by it. */
	if (sim->phase != SIM_REGROW && rng_below(rng_of(sim), 3) == 0)
		ask_soon(sim, node, sim->config.raft.election_timeout / 10);
}

/* Who is to be added is asked first. */
static void
receive_change(struct sim *sim, struct sim_node *node, enum request request,
    uint64_t random)
{
	struct node_change change;

	if (request == REQUEST_ADD || request == REQUEST_REPLACE) {
		raft_id place = choose_joiner(sim, random >> 8);

		if (place != node->id)
			sim_net_probe(sim, node, place, random << 8 | request);
		return;
	}
	if (fill_change(sim, node, request, random, &change))
		begin_change(sim, node, &change);
}

void
sim_operator_probed(
    struct sim *sim, struct sim_node *node, const struct sim_packet *packet)
{
	enum request request = (enum request)(packet->number & 0xff);
	struct node_change change;

	sim->counters.probes++;
	if (node->state == NODE_MEMBER &&
	    fill_change(sim, node, request, packet->number >> 8, &change) &&
	    judge(sim, node, packet, &change))
		begin_change(sim, node, &change);
}

static void
receive_transfer(struct sim *sim, struct sim_node *node, enum request request,
    uint64_t random)
{
	raft_usec now = sim_node_clock(node, node->turn_at);
	const struct node_members *members = node_get_members(node->node);
	const char *name = NULL;
	int error;

	if (members->count == 0)
		return;
	if (request == REQUEST_TRANSFER)
		name = members->member[random % members->count].name;
	error = node_transfer(node->node, now, name);
	sim_trace(sim, node->id, "is asked to transfer to %s: %s",
	    name == NULL ? "the best" : name,
	    error == 0 ? "" : err_text(error));
	if (error != 0) {
		count_refusal(sim, node, error, "transfer");
		return;
	}
	sim->counters.transfers_begun++;
	sim_moment_transfer(sim, node);
}

void
sim_operator_receive(
    struct sim *sim, struct sim_node *node, const struct sim_event *event)
{
	enum request request = (enum request)(event->number & 0xff);
	uint64_t random = event->number >> 8;

	if (node->state != NODE_MEMBER)
		return;
	if (request >= REQUEST_TRANSFER_BEST)
		receive_transfer(sim, node, request, random);
	else
		receive_change(sim, node, request, random);
}
