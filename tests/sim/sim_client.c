#include "tests/sim/sim_client.h"

#include "common/codec.h"
#include "common/mem.h"
#include "common/panic.h"
#include "tests/sim/sim_check.h"
#include "tests/sim/sim_net.h"
#include <inttypes.h>
#include <stdlib.h>

/* Generous: whoever waits so long for a healthy cluster waits in vain. */
#define FINAL_PATIENCE     UINT64_C(20000000)
#define FINAL_ATTEMPTS_MAX 10

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
	for (size_t i = 0; i < sim->clients->ops_count; i++)
		free(sim->clients->ops[i]);
	free(sim->clients->ops);
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

static void
put_key(unsigned key, struct buf *to)
{
	buf_printf(to, "key-%u", key);
}

/* The number, then bytes that follow from it, up to a length that does. */
static void
put_value(const struct sim *sim, uint64_t value, struct buf *to)
{
	uint64_t room = sim->config.value_size_max - sizeof(uint64_t) + 1;
	uint64_t size = value * UINT64_C(0x9e3779b97f4a7c15) % room;

	codec_append_u64(to, value);
	memset(buf_reserve(to, size), (int)(value & 0xff), size);
	to->size += size;
}

void
sim_op_command(const struct sim *sim, const struct sim_op *op, struct buf *to)
{
	struct buf key = { 0 };
	struct buf value = { 0 };

	put_key(op->key, &key);
	if (op->kind == SIM_OP_PUT) {
		put_value(sim, op->value, &value);
		kv_encode_put(to, buf_slice(&key), buf_slice(&value));
	} else {
		kv_encode_delete(to, buf_slice(&key));
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

static void
draw_op(struct sim *sim, struct sim_op *op)
{
	const struct sim_config *config = &sim->config;

	op->key = (unsigned)rng_below(rng_of(sim), config->keys_count);
	if (sim_chance(rng_of(sim), config->get_ppm))
		op->kind = sim_chance(rng_of(sim), config->stale_ppm)
			       ? SIM_OP_GET_STALE
			       : SIM_OP_GET;
	else
		op->kind = sim_chance(rng_of(sim), config->delete_ppm)
			       ? SIM_OP_DELETE
			       : SIM_OP_PUT;
}

/* The first writes, then every key is read. */
static void
choose_final_op(struct sim *sim, struct sim_op *op)
{
	struct sim_clients *clients = sim->clients;

	op->kind = clients->final_step == 0 ? SIM_OP_PUT : SIM_OP_GET;
	op->key = clients->final_step == 0 ? 0 : clients->final_step - 1;
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
	bool follow = leader != 0 && op->kind != SIM_OP_GET_STALE &&
		      (sim_chance(rng_of(sim), config->follow_ppm) ||
			  sim->phase == SIM_FINAL);

	if (op->kind == SIM_OP_PUT)
		op->value = ++clients->values_count;
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

	if (sim->phase == SIM_HEAL || sim->phase == SIM_REGROW ||
	    sim->clients->current[client] != NULL)
		return;
	/* Others have events left from before the healing. */
	if (sim->phase == SIM_FINAL && client != 0)
		return;
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
static const char *const kind_names[] = {
	[SIM_OP_PUT] = "put",
	[SIM_OP_DELETE] = "delete",
	[SIM_OP_GET] = "get",
	[SIM_OP_GET_STALE] = "get-stale",
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
			    kind_names[op->kind], op->key, op->node,
			    status_names[op->status]);
		/* Who is no member knows nobody to ask. */
		(void)sim_check_converged(sim, &clients->leader[0]);
		sim_schedule(sim, sim->now + sim->config.raft.election_timeout,
		    SIM_EVENT_CLIENT, 0, 0, NULL);
		return;
	}
	clients->final_attempts = 0;
	if (++clients->final_step > sim->config.keys_count)
		clients->final_done = true;
	else
		sim_schedule(sim, sim->now, SIM_EVENT_CLIENT, 0, 0, NULL);
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
	    op->client, kind_names[op->kind], op->key, op->value,
	    status_names[status], op->revision, op->index, op->term,
	    op->called_at);
	sim_mix(sim, op->revision ^ (uint64_t)status << 62);
	if (status == SIM_OP_DONE && sim_op_is_write(op))
		sim->counters.writes_done++;
	if (status == SIM_OP_UNKNOWN)
		sim->counters.answers_unknown++;
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

/* An answer leaves node for the client. */
static void
answer(struct sim *sim, const struct sim_node *node, struct sim_op *op,
    enum sim_op_status status)
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

/* ---- At the node ---- */

/* What `item` says is there: the value's number, checked to its last byte. */
static uint64_t
parse_value(struct sim *sim, const struct sim_op *op, struct slice value)
{
	struct buf expected = { 0 };
	uint64_t number = 0;

	if (value.size >= sizeof(uint64_t))
		number = codec_load_u64(value.data);
	put_value(sim, number, &expected);
	if (!slice_equal(buf_slice(&expected), value))
		sim_fail(sim,
		    "node %" PRIu64 " has a value for key %u that "
		    "nobody wrote",
		    op->node, op->key);
	buf_release(&expected);
	return number;
}

/* Reads the state machine for `op`; false if the disk failed. */
static bool
look_up(struct sim *sim, struct sim_node *node, struct sim_op *op)
{
	struct kv *kv = node_kv(node->node);
	struct buf key = { 0 };
	struct kv_item item;
	int error;

	put_key(op->key, &key);
	error = kv_get(kv, buf_slice(&key), &item);
	buf_release(&key);
	if (error != 0 && error != ERR_NOT_FOUND) {
		node_fail(node->node, error, "read");
		node->told = true;
		return false;
	}
	op->revision = kv_revision(kv);
	op->value = 0;
	if (error == ERR_NOT_FOUND)
		return true;
	op->value = parse_value(sim, op, item.value);
	op->created = item.created;
	op->version = item.version;
	return true;
}

static void
on_write_done(struct node_write *write, enum node_outcome outcome,
    const struct kv_result *result)
{
	struct sim_op *op = CONTAINER_OF(write, struct sim_op, write);
	struct sim_node *node = op->server;
	struct sim *sim = node->sim;

	op->index = write->index;
	op->term = write->term;
	if (outcome == NODE_LOST) {
		sim->counters.answers_lost++;
		answer(sim, node, op, SIM_OP_FAILED);
		return;
	}
	op->existed =
	    result->outcome == KV_REPLACED || result->outcome == KV_DELETED;
	op->revision = result->revision;
	op->created = result->created;
	op->version = result->version;
	sim->counters.deletes_of_nothing += result->outcome == KV_NOT_FOUND;
	sim_check_acknowledged(sim, node, op);
	answer(sim, node, op, SIM_OP_DONE);
}

static void
count_read(struct sim *sim, struct sim_node *node)
{
	raft_usec now = sim_node_clock(node, node->turn_at);

	if (!node_is_leader(node->node)) {
		enum raft_member_role role =
		    node_get_role(node->node, node->member_id);

		sim->counters.reads_on_followers++;
		sim->counters.reads_on_learners += role != RAFT_MEMBER_VOTER;
	} else if (node_lease_until(node->node) > now)
		sim->counters.reads_by_lease++;
	else
		sim->counters.reads_by_round++;
	if (sim_net_is_cut(sim))
		sim->counters.reads_under_partition++;
}

static void
on_read_done(struct node_read *read, int status)
{
	struct sim_op *op = CONTAINER_OF(read, struct sim_op, read);
	struct sim_node *node = op->server;
	struct sim *sim = node->sim;

	if (status != 0) {
		sim->counters.reads_unconfirmed += status == ERR_NOT_LEADER;
		sim->counters.reads_failed_on_followers +=
		    !node_is_leader(node->node);
		sim->counters.answers_busy += status == ERR_BUSY;
		answer(sim, node, op, SIM_OP_FAILED);
		return;
	}
	count_read(sim, node);
	answer(sim, node, op,
	    look_up(sim, node, op) ? SIM_OP_DONE : SIM_OP_FAILED);
}

static raft_id
place_of_leader(struct sim *sim, const struct sim_node *node)
{
	const struct sim_node *leader =
	    sim_node_of_member(sim, node_leader(node->node));

	return leader == NULL ? 0 : leader->id;
}

static void
refuse(struct sim *sim, struct sim_node *node, struct sim_op *op, int error)
{
	if (error == ERR_NOT_LEADER) {
		sim->counters.answers_not_leader++;
		sim->clients->leader[op->client] = place_of_leader(sim, node);
	} else if (error == ERR_BUSY || error == ERR_AGAIN) {
		sim->counters.answers_busy++;
	} else {
		sim_fail(sim, "node %" PRIu64 " refuses an operation: %s",
		    node->id, err_text(error));
	}
	answer(sim, node, op, SIM_OP_FAILED);
}

static void
receive_write(struct sim *sim, struct sim_node *node, struct sim_op *op)
{
	struct buf command = { 0 };
	int error;

	op->write.done = on_write_done;
	sim_op_command(sim, op, &command);
	error = node_write(node->node, sim_node_clock(node, node->turn_at),
	    &op->write, buf_slice(&command));
	buf_release(&command);
	op->waiting = error == 0;
	if (error != 0)
		refuse(sim, node, op, error);
}

static void
receive_get(struct sim *sim, struct sim_node *node, struct sim_op *op)
{
	int error;

	op->read.done = on_read_done;
	error = node_read(node->node, &op->read);
	op->waiting = error == 0;
	if (error != 0)
		refuse(sim, node, op, error);
}

void
sim_client_receive(
    struct sim *sim, struct sim_node *node, const struct sim_event *event)
{
	struct sim_op *op = event->object;

	if (event->kind == SIM_EVENT_CANCEL) {
		if (op->waiting && op->kind == SIM_OP_GET)
			node_read_cancel(&op->read);
		else if (op->waiting)
			node_write_cancel(&op->write);
		op->waiting = false;
		return;
	}
	op->server = node;
	switch (op->kind) {
	case SIM_OP_PUT:
	case SIM_OP_DELETE: receive_write(sim, node, op); break;
	case SIM_OP_GET: receive_get(sim, node, op); break;
	case SIM_OP_GET_STALE:
		sim->counters.reads_stale++;
		answer(sim, node, op,
		    look_up(sim, node, op) ? SIM_OP_DONE : SIM_OP_FAILED);
		break;
	}
}

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
