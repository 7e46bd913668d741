/* Operations at the node where they arrived. */

#include "common/codec.h"
#include "tests/sim/sim_check.h"
#include "tests/sim/sim_client.h"
#include "tests/sim/sim_net.h"
#include <inttypes.h>

/* What `item` says is there: the value's number, checked to its last byte. */
static uint64_t
parse_value(struct sim *sim, const struct sim_op *op, struct slice value)
{
	struct buf expected = { 0 };
	uint64_t number = 0;

	if (value.size >= sizeof(uint64_t))
		number = codec_load_u64(value.data);
	sim_client_put_value(sim, number, &expected);
	if (!slice_equal(buf_slice(&expected), value))
		sim_fail(sim,
		    "node %" PRIu64 " has a value for key %u that "
		    "nobody wrote",
		    op->node, op->key);
	buf_release(&expected);
	return number;
}

/* Gives the error of a disk that failed, and no other. */
static int
get_key(struct sim *sim, struct kv *kv, struct sim_op *op)
{
	struct buf key = { 0 };
	struct kv_item item;
	int error;

	sim_client_put_key(op->key, &key);
	error = kv_get(kv, buf_slice(&key), &item);
	if (error == 0) {
		op->value = parse_value(sim, op, item.value);
		sim_query_append(&op->outputs, buf_slice(&key), &item, true);
	}
	buf_release(&key);
	return error == ERR_NOT_FOUND ? 0 : error;
}

static int
list_keys(struct sim *sim, struct kv *kv, struct sim_op *op)
{
	/* Whoever asks a node that is behind gets what it has. */
	op->query.at = MIN(op->query.at, kv_revision(kv));
	op->code = sim_query_node(kv, &op->query, &op->outputs);
	if (op->code == ERR_COMPACTED) {
		buf_reset(&op->outputs);
		sim->counters.lists_compacted++;
		return 0;
	}
	sim->counters.lists++;
	sim->counters.lists_of_the_past += op->query.at != 0;
	return op->code;
}

/* Reads the state machine for `op`; false if the disk failed. */
static bool
look_up(struct sim *sim, struct sim_node *node, struct sim_op *op)
{
	struct kv *kv = node_kv(node->node);
	int error;

	op->value = 0;
	op->revision = kv_revision(kv);
	op->index = kv_applied_index(kv);
	error =
	    sim_op_is_list(op) ? list_keys(sim, kv, op) : get_key(sim, kv, op);
	if (error == 0)
		return true;
	node_fail(node->node, error, "read");
	node->told = true;
	return false;
}

/* Did a plain put or delete find the key? */
static void
note_existed(struct sim *sim, struct sim_op *op)
{
	struct slice outputs = op->result.outputs;
	struct kv_output output = { 0 };

	if (kv_output_next(&outputs, &output) != 0)
		sim_fail(sim, "a %s has no output", sim_op_names[op->kind]);
	op->existed = output.exists;
	sim->counters.deletes_of_nothing +=
	    op->kind == SIM_OP_DELETE && !output.exists;
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
		sim_client_answer(sim, node, op, SIM_OP_FAILED);
		return;
	}
	op->result = *result;
	buf_append_slice(&op->outputs, result->outputs);
	op->result.outputs = buf_slice(&op->outputs);
	op->revision = result->revision;
	if (op->kind != SIM_OP_COMMAND)
		note_existed(sim, op);
	sim_check_acknowledged(sim, node, op);
	sim_client_answer(sim, node, op, SIM_OP_DONE);
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
		sim_client_answer(sim, node, op, SIM_OP_FAILED);
		return;
	}
	count_read(sim, node);
	sim_client_answer(sim, node, op,
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
	sim_client_answer(sim, node, op, SIM_OP_FAILED);
}

static void
receive_write(struct sim *sim, struct sim_node *node, struct sim_op *op)
{
	int error;

	op->write.done = on_write_done;
	error = node_write(node->node, sim_node_clock(node, node->turn_at),
	    &op->write, buf_slice(&op->command));
	op->waiting = error == 0;
	if (error != 0)
		refuse(sim, node, op, error);
}

static void
receive_read(struct sim *sim, struct sim_node *node, struct sim_op *op)
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
		if (op->waiting && sim_op_is_write(op))
			node_write_cancel(&op->write);
		else if (op->waiting)
			node_read_cancel(&op->read);
		op->waiting = false;
		return;
	}
	op->server = node;
	if (sim_op_is_write(op)) {
		receive_write(sim, node, op);
		return;
	}
	if (!sim_op_is_stale(op)) {
		receive_read(sim, node, op);
		return;
	}
	sim->counters.reads_stale++;
	sim_client_answer(sim, node, op,
	    look_up(sim, node, op) ? SIM_OP_DONE : SIM_OP_FAILED);
}
