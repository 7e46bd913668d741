#ifndef TESTS_SIM_CLIENT_H
#define TESTS_SIM_CLIENT_H

/*
 * Clients, each with one operation at a time, and the history of what they
 * saw. Values are unique, keys are few. An operation is answered, failed for
 * certain, or of unknown outcome.
 */

#include "tests/sim/sim_node.h"

enum sim_op_kind {
	SIM_OP_PUT,
	SIM_OP_DELETE,
	SIM_OP_GET,
	SIM_OP_GET_STALE /* of any node's state machine, at once */
};

enum sim_op_status {
	SIM_OP_PENDING,
	SIM_OP_DONE,
	SIM_OP_FAILED, /* it surely took no effect */
	SIM_OP_UNKNOWN
};

struct sim_op {
	enum sim_op_kind kind;
	enum sim_op_status status;
	unsigned client;
	unsigned key;
	uint64_t value; /* put: the one written; get: read, 0 absent */
	raft_id node;
	raft_usec called_at;
	raft_usec returned_at; /* of SIM_OP_DONE */

	/* The answer, noted by the node's turn, told at the reply. */
	enum sim_op_status answer;
	bool existed;      /* put, delete: the key was there before */
	uint64_t revision; /* of the change, or of the state read */
	uint64_t created;  /* of the record */
	uint64_t version;
	raft_index index; /* of the entry; 0: none yet */
	raft_term term;
	raft_index applied_index; /* of the entry in the committed log */

	struct sim_node *server; /* where it arrived; NULL: nowhere yet */
	bool waiting;            /* the node holds `write` or `read` */
	struct node_write write;
	struct node_read read;
};

struct sim_clients {
	struct sim *sim;
	struct sim_op **ops; /* all, by time of call */
	size_t ops_count;
	size_t ops_capacity;
	uint64_t values_count;           /* values are 1 .. values_count */
	raft_id leader[SIM_CLIENTS_MAX]; /* as each believes; 0: none */
	struct sim_op *current[SIM_CLIENTS_MAX];
	unsigned final_step; /* of SIM_FINAL: a put, then a get of each key */
	unsigned final_attempts;
	bool final_done;
};

void sim_clients_init(struct sim *sim);
void sim_clients_release(struct sim *sim);

/* True if no operation is under way. */
bool sim_clients_idle(const struct sim *sim);
/* The last write and the reads of all keys; final_done says when. */
void sim_clients_begin_final(struct sim *sim, raft_id leader);

/* Events; see sim_heap.h. */
void sim_client_begin(struct sim *sim, const struct sim_event *event);
void sim_client_arrive(struct sim *sim, const struct sim_event *event);
void sim_client_receive(
    struct sim *sim, struct sim_node *node, const struct sim_event *event);
void sim_client_reply(struct sim *sim, const struct sim_event *event);
void sim_client_deadline(struct sim *sim, const struct sim_event *event);

/* Operations that were at the node are cut off. */
void sim_client_node_died(struct sim *sim, struct sim_node *node);

static inline bool
sim_op_is_write(const struct sim_op *op)
{
	return op->kind == SIM_OP_PUT || op->kind == SIM_OP_DELETE;
}

/* The bytes of the command of a write. */
void
sim_op_command(const struct sim *sim, const struct sim_op *op, struct buf *to);

#endif
