/* The comparison of states (node_compare.h) in the node. */

#include "node/node_impl.h"

#include <inttypes.h>

static struct node_sample
state_of(const struct node *node)
{
	return (struct node_sample){
		.index = kv_applied_index(node->kv),
		.hash = kv_state_hash(node->kv),
	};
}

int
node_compare_applied(struct node *node, raft_index index)
{
	struct node_sample state;

	if (!node_compare_wants(&node->compare, index))
		return 0;
	state = state_of(node);
	node_compare_note(&node->compare, &state);
	return node_compare_turn(node);
}

static void
ask(struct node *node, raft_usec now, struct raft_message *request)
{
	struct raft_status raft;
	struct node_compare_leader leader = {
		.id = node->id,
		.term = request->term,
		.now = now,
		.patience = node->params.raft.election_timeout,
		.state = state_of(node),
		.members = &node->active.roles,
	};

	raft_get_status(node->raft, &raft);
	/* Sent when it was one, and it is none any more. */
	if (raft.role != RAFT_LEADER || raft.term != request->term)
		return;
	leader.idle = leader.state.index == raft.last_index;
	node_compare_ask(&node->compare, &leader, request);
}

void
node_compare_send(
    struct node *node, raft_usec now, struct raft_message *message)
{
	struct node_sample state;

	if (message->kind == RAFT_APPEND_REQUEST)
		ask(node, now, message);
	if (message->kind != RAFT_APPEND_RESPONSE)
		return;
	state = state_of(node);
	node_compare_answer(&node->compare, &state, message);
}

void
node_compare_receive(struct node *node, const struct raft_message *message)
{
	struct node_sample state;
	struct raft_status raft;

	if (message->kind != RAFT_APPEND_REQUEST &&
	    message->kind != RAFT_APPEND_RESPONSE)
		return;
	raft_get_status(node->raft, &raft);
	if (raft.term != message->term)
		return;
	if (message->kind == RAFT_APPEND_REQUEST &&
	    raft.leader == message->from) {
		state = state_of(node);
		node_compare_obey(&node->compare, &state, message);
	} else if (message->kind == RAFT_APPEND_RESPONSE &&
		   raft.role == RAFT_LEADER) {
		node_compare_hear(&node->compare, &node->active.roles, message);
	}
}

/* The next generation is empty: nothing may be left there of a snapshot that
 * was on its way. */
static int
distrust_data(struct node *node)
{
	struct node_log_state log;
	raft_usec started;
	int error;

	node_log_get_state(node->log, &log);
	node_receiver_free(node->snapshots.receiver);
	node->snapshots.receiver = NULL;
	error =
	    node->host.remove_data_but(node->host.context, log.data_generation);
	if (error != 0)
		return node_set_fault(
		    node, error, "removing old data: %s", err_text(error));
	started = node_begin_commit(node);
	error = node_log_distrust_data(node->log);
	if (error != 0)
		return node_set_fault(
		    node, error, "log commit: %s", err_text(error));
	(void)node_end_commit(node, false, started);
	return 0;
}

int
node_compare_turn(struct node *node)
{
	struct node_compare *compare = &node->compare;
	int error;

	if (compare->split.index != 0)
		node->host.on_difference(node->host.context, compare->split.a,
		    compare->split.b, compare->split.index);
	compare->split.index = 0;
	if (compare->differs_at == 0)
		return 0;
	error = distrust_data(node);
	if (error != 0)
		return error;
	return node_set_fault(node, ERR_CORRUPT,
	    "state at entry %" PRIu64 " differs from the majority's: this "
	    "node's data is not used any more",
	    compare->differs_at);
}
