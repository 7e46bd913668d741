#include "tests/sim/sim_client.h"

#include "common/codec.h"
#include "common/mem.h"
#include "tests/sim/sim_check.h"
#include <inttypes.h>
#include <stdlib.h>

/* Generous: whoever waits so long for a healthy cluster waits in vain. */
#define FINAL_PATIENCE     UINT64_C(20000000)
#define FINAL_ATTEMPTS_MAX 10
#define FINAL_WRITES       2

static struct rng *
rng_of(struct sim *sim)
{
	return &sim->rng[SIM_RNG_CLIENT];
}

void
sim_clients_init(struct sim *sim)
{
	sim->clients = mem_zalloc(1, sizeof(*sim->clients));
	sim->clients->sim = sim;
	for (unsigned i = 0; i < sim->config.clients_count; i++)
		sim_schedule(sim,
		    sim_exponential(rng_of(sim), sim->config.think_mean),
		    SIM_EVENT_CLIENT, 0, i, NULL);
}

void
sim_clients_release(struct sim *sim)
{
	for (size_t i = 0; i < sim->clients->ops_count; i++) {
		buf_release(&sim->clients->ops[i]->command);
		buf_release(&sim->clients->ops[i]->outputs);
		free(sim->clients->ops[i]);
	}
	free(sim->clients->ops);
	sim_commander_release(&sim->clients->commander);
	free(sim->clients);
}

bool
sim_clients_idle(const struct sim *sim)
{
	for (unsigned i = 0; i < sim->config.clients_count; i++) {
		if (sim->clients->current[i] != NULL)
			return false;
	}
	return true;
}

/* ---- Bytes ---- */

void
sim_client_put_key(unsigned key, struct buf *to)
{
	buf_printf(to, "key-%u", key);
}

/* The number, then bytes that follow from it, up to a length that does. */
void
sim_client_put_value(const struct sim *sim, uint64_t value, struct buf *to)
{
	uint64_t room = sim->config.value_size_max - sizeof(uint64_t) + 1;
	uint64_t size = value * UINT64_C(0x9e3779b97f4a7c15) % room;

	codec_append_u64(to, value);
	memset(buf_reserve(to, size), (int)(value & 0xff), size);
	to->size += size;
}

/* The bytes of a plain put or delete. */
static void
encode_plain(const struct sim *sim, struct sim_op *op)
{
	struct buf key = { 0 };
	struct buf value = { 0 };

	sim_client_put_key(op->key, &key);
	if (op->kind == SIM_OP_PUT) {
		sim_client_put_value(sim, op->value, &value);
		kv_encode_put(&op->command, buf_slice(&key), buf_slice(&value));
	} else {
		kv_encode_delete(&op->command, buf_slice(&key));
	}
	buf_release(&key);
	buf_release(&value);
}

/* ---- Beginning ---- */

static struct sim_op *
op_new(struct sim *sim, unsigned client)
{
	struct sim_clients *clients = sim->clients;
	struct sim_op *op = mem_zalloc(1, sizeof(*op));

	if (clients->ops_count == clients->ops_capacity) {
		clients->ops_capacity = MAX(256, clients->ops_capacity * 2);
		clients->ops = mem_realloc(clients->ops, clients->ops_capacity,
		    sizeof(struct sim_op *));
	}
	clients->ops[clients->ops_count++] = op;
	clients->current[client] = op;
	op->client = client;
	op->called_at = sim->now;
	return op;
}

/* Some range, now or at a revision that was there lately. */
static void
draw_query(struct sim *sim, struct sim_query *query)
{
	static const struct sim_query ranges[] = {
		{ .start = "" },
		{ .start = "t/", .end = "t0" },
		{ .start = "t/1", .end = "t/2" },
		{ .start = "key-", .end = "n/1" },
		{ .start = "n/", .end = "q0" },
		{ .start = "t/0", .one = true },
		{ .start = "n/0", .one = true },
	};
	uint64_t revision = sim->clients->revision;

	*query = ranges[rng_below(rng_of(sim), ARRAY_COUNT(ranges))];
	query->limit = (unsigned)rng_between(rng_of(sim), 1, 20);
	query->reverse = rng_below(rng_of(sim), 3) == 0;
	if (revision > 0 && rng_below(rng_of(sim), 2) == 0)
		query->at =
		    revision - rng_below(rng_of(sim), MIN(revision, 30));
}

static void
draw_read(struct sim *sim, struct sim_op *op)
{
	const struct sim_config *config = &sim->config;
	bool stale = sim_chance(rng_of(sim), config->stale_ppm);

	if (sim_chance(rng_of(sim), config->list_ppm)) {
		op->kind = stale ? SIM_OP_LIST_STALE : SIM_OP_LIST;
		draw_query(sim, &op->query);
		return;
	}
	op->kind = stale ? SIM_OP_GET_STALE : SIM_OP_GET;
}

static void
draw_op(struct sim *sim, struct sim_op *op)
{
	const struct sim_config *config = &sim->config;

	op->key = (unsigned)rng_below(rng_of(sim), config->keys_count);
	if (sim_chance(rng_of(sim), config->get_ppm))
		draw_read(sim, op);
	else if (sim_chance(rng_of(sim), config->command_ppm))
		op->kind = SIM_OP_COMMAND;
	else
		op->kind = sim_chance(rng_of(sim), config->delete_ppm)
			       ? SIM_OP_DELETE
			       : SIM_OP_PUT;
}

/* The first two write, then every plain key is read. */
static void
choose_final_op(struct sim *sim, struct sim_op *op)
{
	unsigned step = sim->clients->final_step;

	if (step >= FINAL_WRITES) {
		op->kind = SIM_OP_GET;
		op->key = step - FINAL_WRITES;
		return;
	}
	op->kind = step == 0 ? SIM_OP_PUT : SIM_OP_COMMAND;
}

static void
send_op(struct sim *sim, struct sim_op *op)
{
	const struct sim_config *config = &sim->config;
	struct sim_clients *clients = sim->clients;
	raft_usec delay =
	    sim_exponential(rng_of(sim), config->client_delay_mean);
	raft_usec patience =
	    sim->phase == SIM_FINAL ? FINAL_PATIENCE : config->patience;
	raft_id leader = clients->leader[op->client];
	bool follow = leader != 0 && !sim_op_is_stale(op) &&
		      (sim_chance(rng_of(sim), config->follow_ppm) ||
			  sim->phase == SIM_FINAL);

	if (op->kind == SIM_OP_PUT)
		op->value = ++clients->values_count;
	if (op->kind == SIM_OP_COMMAND && sim->phase == SIM_FINAL)
		sim_command_outlast(sim, op->client, &op->command, &op->intent);
	else if (op->kind == SIM_OP_COMMAND)
		sim_command_draw(sim, op->client, &op->command, &op->intent);
	else if (sim_op_is_write(op))
		encode_plain(sim, op);
	op->node =
	    follow ? leader : rng_between(rng_of(sim), 1, config->hosts_count);
	sim_schedule(sim, sim->now + delay, SIM_EVENT_CALL, op->node, 0, op);
	sim_schedule(
	    sim, sim->now + patience, SIM_EVENT_DEADLINE, 0, op->client, op);
}

void
sim_client_begin(struct sim *sim, const struct sim_event *event)
{
	unsigned client = (unsigned)event->number;
	struct sim_op *op;

	if ((sim->phase != SIM_FAULTS && sim->phase != SIM_FINAL) ||
	    sim->clients->current[client] != NULL)
		return;
	/* Others have events left from before the healing. */
	if (sim->phase == SIM_FINAL && client != 0)
		return;
	if (sim->phase == SIM_FAULTS &&
	    sim->counters.operations >= sim->config.operations_max)
		return;
	sim->counters.operations += sim->phase == SIM_FAULTS;
	op = op_new(sim, client);
	if (sim->phase == SIM_FINAL)
		choose_final_op(sim, op);
	else
		draw_op(sim, op);
	send_op(sim, op);
}

void
sim_clients_begin_final(struct sim *sim, raft_id leader)
{
	sim->clients->leader[0] = leader;
	sim->clients->final_step = 0;
	sim->clients->final_done = false;
	sim_schedule(sim, sim->now, SIM_EVENT_CLIENT, 0, 0, NULL);
}

/* ---- Ending ---- */

static const char *const status_names[] = {
	[SIM_OP_PENDING] = "pending",
	[SIM_OP_DONE] = "done",
	[SIM_OP_FAILED] = "failed",
	[SIM_OP_UNKNOWN] = "unknown",
};
const char *const sim_op_names[SIM_OP_KINDS_COUNT] = {
	[SIM_OP_PUT] = "put",
	[SIM_OP_DELETE] = "delete",
	[SIM_OP_GET] = "get",
	[SIM_OP_GET_STALE] = "get-stale",
	[SIM_OP_COMMAND] = "command",
	[SIM_OP_LIST] = "list",
	[SIM_OP_LIST_STALE] = "list-stale",
};

static void
step_final(struct sim *sim, const struct sim_op *op)
{
	struct sim_clients *clients = sim->clients;

	if (op->status != SIM_OP_DONE) {
		if (++clients->final_attempts == FINAL_ATTEMPTS_MAX)
			sim_fail(sim,
			    "after healing a %s of key %u on node %" PRIu64
			    " is %s",
			    sim_op_names[op->kind], op->key, op->node,
			    status_names[op->status]);
		/* Who is no member knows nobody to ask. */
		(void)sim_check_converged(sim, &clients->leader[0]);
		sim_schedule(sim, sim->now + sim->config.raft.election_timeout,
		    SIM_EVENT_CLIENT, 0, 0, NULL);
		return;
	}
	clients->final_attempts = 0;
	if (++clients->final_step >= sim->config.keys_count + FINAL_WRITES)
		clients->final_done = true;
	else
		sim_schedule(sim, sim->now, SIM_EVENT_CLIENT, 0, 0, NULL);
}

static void
tell_commander(struct sim *sim, const struct sim_op *op)
{
	struct slice command = buf_slice(&op->command);

	if (op->status == SIM_OP_DONE)
		sim_command_done(
		    sim, op->client, &op->intent, command, &op->result);
	else
		sim_command_unknown(sim, op->client, &op->intent, command);
}

/* The client knows as much as it will ever know of `op`. */
static void
finish(struct sim *sim, struct sim_op *op, enum sim_op_status status)
{
	struct sim_clients *clients = sim->clients;

	op->status = status;
	op->returned_at = sim->now;
	clients->current[op->client] = NULL;
	sim_trace(sim, op->node,
	    "client %u: %s key=%u value=%" PRIu64 " %s rev=%" PRIu64
	    " index=%" PRIu64 "/%" PRIu64 " called=%" PRIu64,
	    op->client, sim_op_names[op->kind], op->key, op->value,
	    status_names[status], op->revision, op->index, op->term,
	    op->called_at);
	sim_mix(sim, op->revision ^ (uint64_t)status << 62);
	if (status == SIM_OP_DONE && sim_op_is_write(op))
		sim->counters.writes_done++;
	if (status == SIM_OP_UNKNOWN)
		sim->counters.answers_unknown++;
	if (status == SIM_OP_DONE)
		clients->revision = MAX(clients->revision, op->revision);
	if (op->kind == SIM_OP_COMMAND)
		tell_commander(sim, op);
	/* Whoever was served stays. */
	if (status != SIM_OP_DONE && clients->leader[op->client] == op->node)
		clients->leader[op->client] = 0;
	if (status == SIM_OP_DONE && sim_op_is_write(op))
		clients->leader[op->client] = op->node;
	if (sim->phase == SIM_FINAL)
		step_final(sim, op);
	else
		sim_schedule(sim,
		    sim->now +
			sim_exponential(rng_of(sim), sim->config.think_mean),
		    SIM_EVENT_CLIENT, 0, op->client, NULL);
}

void
sim_client_answer(struct sim *sim, const struct sim_node *node,
    struct sim_op *op, enum sim_op_status status)
{
	raft_usec delay =
	    sim_exponential(rng_of(sim), sim->config.client_delay_mean);

	op->waiting = false;
	op->answer = status;
	/* Nobody can know yet that it is wrong: it is not judged by that. */
	if (op->status != SIM_OP_PENDING || node->false_state != 0)
		return;
	if (sim->phase == SIM_FAULTS &&
	    sim_chance(rng_of(sim), sim->config.reply_loss_ppm))
		return;
	sim_schedule(
	    sim, node->turn_at + delay, SIM_EVENT_REPLY, 0, op->client, op);
}

void
sim_client_reply(struct sim *sim, const struct sim_event *event)
{
	struct sim_op *op = event->object;

	if (op->status == SIM_OP_PENDING)
		finish(sim, op, op->answer);
}

void
sim_client_deadline(struct sim *sim, const struct sim_event *event)
{
	struct sim_op *op = event->object;
	struct sim_event cancel = {
		.kind = SIM_EVENT_CANCEL,
		.node = op->node,
		.object = op,
	};

	if (op->status != SIM_OP_PENDING)
		return;
	finish(sim, op, SIM_OP_UNKNOWN);
	if (op->waiting)
		sim_node_post(sim, &cancel);
}

/* ---- The way to the node ---- */

void
sim_client_arrive(struct sim *sim, const struct sim_event *event)
{
	struct sim_op *op = event->object;
	struct sim_node *node = sim_node_get(sim, event->node);

	if (op->status != SIM_OP_PENDING)
		return;
	if (node->node != NULL) {
		sim_node_post(sim, event);
		return;
	}
	/* No connection, no effect. */
	sim->counters.answers_refused++;
	finish(sim, op, SIM_OP_FAILED);
}

void
sim_client_node_died(struct sim *sim, struct sim_node *node)
{
	for (unsigned i = 0; i < sim->config.clients_count; i++) {
		struct sim_op *op = sim->clients->current[i];

		if (op != NULL && op->node == node->id && op->server == node &&
		    op->waiting)
			finish(sim, op, SIM_OP_UNKNOWN);
	}
	for (size_t i = 0; i < sim->clients->ops_count; i++) {
		if (sim->clients->ops[i]->server == node)
			sim->clients->ops[i]->waiting = false;
	}
}
