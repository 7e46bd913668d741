#ifndef TESTS_SIM_CLIENT_H
#define TESTS_SIM_CLIENT_H

/*
 * Clients, each with one operation at a time, and the history of what they
 * saw. An operation is answered, failed for certain, or of unknown outcome.
 *
 * Some keys, "key-N", are written by plain puts of unique values and by plain
 * deletes alone, so that the history of each can be searched for a linear
 * order. All the others are there for everything that a command can do
 * (sim_command.h).
 */

#include "tests/sim/sim_command.h"
#include "tests/sim/sim_node.h"
#include "tests/sim/sim_query.h"

enum sim_op_kind {
	SIM_OP_PUT,
	SIM_OP_DELETE,
	SIM_OP_GET,
	SIM_OP_GET_STALE, /* of any node's state machine, at once */
	SIM_OP_COMMAND,   /* any other command */
	SIM_OP_LIST,      /* of a range, now or in the past */
	SIM_OP_LIST_STALE,
	SIM_OP_KINDS_COUNT
};
extern const char *const sim_op_names[SIM_OP_KINDS_COUNT];

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
	struct buf command;    /* of a write */
	struct sim_intent intent;
	struct sim_query query; /* of a list */

	/* The answer, noted by the node's turn, told at the reply. */
	enum sim_op_status answer;
	bool existed;      /* put, delete: the key was there before */
	uint64_t revision; /* of the change, or of the state read */
	/* Of the entry, or applied when it was read; 0: none yet. */
	raft_index index;
	raft_term term;          /* of the entry */
	struct kv_result result; /* of a write */
	struct buf outputs;      /* of it; or what was listed */
	int code;                /* of a list: 0 or ERR_COMPACTED */

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
	uint64_t revision;               /* the largest that any of them saw */
	raft_id leader[SIM_CLIENTS_MAX]; /* as each believes; 0: none */
	struct sim_op *current[SIM_CLIENTS_MAX];
	struct sim_commander commander;
	unsigned final_step; /* of SIM_FINAL: writes, then gets */
	unsigned final_attempts;
	bool final_done;
};

void sim_clients_init(struct sim *sim);
void sim_clients_release(struct sim *sim);

/* True if no operation is under way. */
bool sim_clients_idle(const struct sim *sim);
/* The last writes and the reads of all keys; final_done says when. */
void sim_clients_begin_final(struct sim *sim, raft_id leader);

/* Events; see sim_heap.h. */
void sim_client_begin(struct sim *sim, const struct sim_event *event);
void sim_client_arrive(struct sim *sim, const struct sim_event *event);
/* sim_serve.c */
void sim_client_receive(
    struct sim *sim, struct sim_node *node, const struct sim_event *event);
void sim_client_reply(struct sim *sim, const struct sim_event *event);
void sim_client_deadline(struct sim *sim, const struct sim_event *event);

/* An answer leaves the node for the client. */
void sim_client_answer(struct sim *sim, const struct sim_node *node,
    struct sim_op *op, enum sim_op_status status);
/* The bytes of a plain key, and of its values: the number, then bytes that
 * follow from it, up to a length that does. */
void sim_client_put_key(unsigned key, struct buf *to);
void
sim_client_put_value(const struct sim *sim, uint64_t value, struct buf *to);

/* Operations that were at the node are cut off. */
void sim_client_node_died(struct sim *sim, struct sim_node *node);

static inline bool
sim_op_is_write(const struct sim_op *op)
{
	return op->kind == SIM_OP_PUT || op->kind == SIM_OP_DELETE ||
	       op->kind == SIM_OP_COMMAND;
}

static inline bool
sim_op_is_stale(const struct sim_op *op)
{
	return op->kind == SIM_OP_GET_STALE || op->kind == SIM_OP_LIST_STALE;
}

static inline bool
sim_op_is_list(const struct sim_op *op)
{
	return op->kind == SIM_OP_LIST || op->kind == SIM_OP_LIST_STALE;
}

#endif
