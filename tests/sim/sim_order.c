/* The order of the operations, in the log and without trust in it. */

#include "common/mem.h"
#include "tests/lib/linear.h"
#include "tests/sim/sim_replay.h"
#include <inttypes.h>
#include <stdlib.h>

#define LINEAR_STEPS_MAX 2000000

/* ---- Against real time ---- */

static int
compare_returns(const void *a, const void *b)
{
	const struct sim_op *x = *(struct sim_op *const *)a;
	const struct sim_op *y = *(struct sim_op *const *)b;

	if (x->returned_at != y->returned_at)
		return x->returned_at < y->returned_at ? -1 : 1;
	return (x->client > y->client) - (x->client < y->client);
}

/*
 * What returned before a call has taken effect, or was read, at no later entry
 * of the log; and at an earlier one, if the call is a write. With answers that
 * are right where they are in the log, that is linearizability, of all keys
 * together. Stale reads may be late, but what they saw is there for all.
 */
void
sim_order_check(struct sim *sim)
{
	const struct sim_clients *clients = sim->clients;
	struct sim_op **returned = mem_copy(
	    clients->ops, clients->ops_count * sizeof(struct sim_op *));
	raft_index index = 0;
	size_t next = 0;

	if (clients->ops_count != 0)
		qsort(returned, clients->ops_count, sizeof(returned[0]),
		    compare_returns);
	for (size_t i = 0; i < clients->ops_count; i++) {
		const struct sim_op *op = clients->ops[i];

		for (; next < clients->ops_count &&
		       returned[next]->returned_at < op->called_at;
		     next++) {
			if (returned[next]->status == SIM_OP_DONE)
				index = MAX(index, returned[next]->index);
		}
		if (op->status != SIM_OP_DONE || sim_op_is_stale(op))
			continue;
		sim->counters.orders_checked++;
		if (op->index < index ||
		    (sim_op_is_write(op) && op->index == index))
			sim_replay_fail(
			    sim, op, "older than what was seen before it");
	}
	free(returned);
}

/* ---- Linear order of each key ---- */

static size_t
collect_key(
    const struct sim_clients *clients, unsigned key, struct linear_op *to)
{
	static const enum linear_kind kinds[] = {
		[SIM_OP_PUT] = LINEAR_PUT,
		[SIM_OP_DELETE] = LINEAR_DELETE,
		[SIM_OP_GET] = LINEAR_GET,
	};
	size_t count = 0;

	for (size_t i = 0; i < clients->ops_count; i++) {
		const struct sim_op *op = clients->ops[i];

		if (op->key != key || op->kind >= SIM_OP_GET_STALE ||
		    op->status == SIM_OP_FAILED)
			continue;
		to[count++] = (struct linear_op){
			.kind = kinds[op->kind],
			.known = op->status == SIM_OP_DONE,
			.existed = op->existed,
			.value = op->value,
			.called_at = op->called_at,
			.returned_at = op->returned_at,
		};
	}
	return count;
}

void
sim_order_search(struct sim *sim)
{
	struct linear_op *ops =
	    mem_zalloc(sim->clients->ops_count + 1, sizeof(*ops));

	for (unsigned key = 0; key < sim->config.keys_count; key++) {
		size_t count = collect_key(sim->clients, key, ops);
		size_t blocked = 0;
		enum linear_verdict verdict =
		    linear_check(ops, count, LINEAR_STEPS_MAX, &blocked);

		sim->counters.histories_checked++;
		sim->counters.histories_undecided +=
		    verdict == LINEAR_UNDECIDED;
		if (verdict == LINEAR_ILLEGAL)
			sim_fail(sim,
			    "the history of key %u is not linearizable: "
			    "operation called at %" PRIu64 " does not fit",
			    key, ops[blocked].called_at);
	}
	free(ops);
}
