#include "tests/sim/sim_replay.h"

#include "common/hash.h"
#include "common/mem.h"
#include "tests/lib/linear.h"
#include "tests/sim/sim_check.h"
#include <inttypes.h>
#include <stdlib.h>

#define LINEAR_STEPS_MAX 2000000

/* What a committed command does, found by the hash of its bytes. */
struct command {
	uint64_t payload;
	struct sim_op *op; /* of a put; of a delete any that deletes the key */
};

/* The key's record from this revision on. */
struct change {
	unsigned key;
	uint64_t value; /* 0: deleted */
	uint64_t created;
	uint64_t version;
	bool existed; /* before this change */
};

struct replay {
	struct sim *sim;
	struct command *commands;
	size_t commands_count;
	struct change *changes; /* by revision; [0] is not used */
	uint64_t revision;
};

static void
fail_op(struct sim *sim, const struct sim_op *op, const char *what)
{
	static const char *const names[] = {
		[SIM_OP_PUT] = "put",
		[SIM_OP_DELETE] = "delete",
		[SIM_OP_GET] = "get",
		[SIM_OP_GET_STALE] = "stale get",
	};

	sim_fail(sim,
	    "%s: %s key=%u value=%" PRIu64 " by client %u on node %" PRIu64
	    ", called %" PRIu64 ", returned %" PRIu64 ", revision %" PRIu64
	    ", entry %" PRIu64 " of term %" PRIu64,
	    what, names[op->kind], op->key, op->value, op->client, op->node,
	    op->called_at, op->returned_at, op->revision, op->index, op->term);
}

/* ---- The committed log ---- */

static int
compare_commands(const void *a, const void *b)
{
	const struct command *x = a;
	const struct command *y = b;

	return (x->payload > y->payload) - (x->payload < y->payload);
}

static void
list_commands(struct replay *replay)
{
	struct sim_clients *clients = replay->sim->clients;
	struct buf bytes = { 0 };

	replay->commands =
	    mem_zalloc(clients->ops_count + 1, sizeof(*replay->commands));
	for (size_t i = 0; i < clients->ops_count; i++) {
		struct sim_op *op = clients->ops[i];

		if (!sim_op_is_write(op))
			continue;
		buf_reset(&bytes);
		sim_op_command(replay->sim, op, &bytes);
		replay->commands[replay->commands_count++] = (struct command){
			.payload = hash64(0, buf_slice(&bytes)),
			.op = op,
		};
	}
	buf_release(&bytes);
	qsort(replay->commands, replay->commands_count,
	    sizeof(replay->commands[0]), compare_commands);
}

static struct sim_op *
find_command(const struct replay *replay, uint64_t payload)
{
	const struct command key = { .payload = payload };
	const struct command *found = bsearch(&key, replay->commands,
	    replay->commands_count, sizeof(key), compare_commands);

	return found == NULL ? NULL : found->op;
}

/* The record of `key` at `revision`; its value is 0 if there is none. */
static const struct change *
record_at(const struct replay *replay, unsigned key, uint64_t revision)
{
	static const struct change absent;

	for (uint64_t r = revision; r > 0; r--) {
		const struct change *change = &replay->changes[r];

		if (change->key == key)
			return change->value == 0 ? &absent : change;
	}
	return &absent;
}

static void
apply(struct replay *replay, const struct sim_op *op)
{
	const struct change *old = record_at(replay, op->key, replay->revision);
	struct change *change;

	if (op->kind == SIM_OP_DELETE && old->value == 0)
		return;
	change = &replay->changes[++replay->revision];
	*change = (struct change){
		.key = op->key,
		.existed = old->value != 0,
		.created = old->value != 0 ? old->created : replay->revision,
		.version = old->version,
	};
	if (op->kind == SIM_OP_PUT) {
		change->value = op->value;
		change->version++;
	}
}

/* A put is one entry at most, and none if its client was told it failed. */
static void
check_put_entry(
    struct sim *sim, struct sim_op *op, raft_index index, raft_term term)
{
	if (op->status == SIM_OP_FAILED)
		fail_op(sim, op, "a failed write is in the committed log");
	else if (op->applied_index != 0)
		fail_op(sim, op, "a write is twice in the committed log");
	else if (op->status == SIM_OP_DONE &&
		 (op->index != index || op->term != term))
		fail_op(
		    sim, op, "a write is at another place than it was told");
	op->applied_index = index;
}

static void
replay_log(struct replay *replay)
{
	struct sim *sim = replay->sim;
	struct sim_log *log = &sim->checks->committed;

	replay->changes =
	    mem_zalloc(log->last_index + 2, sizeof(*replay->changes));
	for (raft_index i = 1; i <= log->last_index; i++) {
		const struct sim_entry *entry = sim_log_at(log, i);
		struct sim_op *op;

		if (entry->type != RAFT_ENTRY_COMMAND)
			continue;
		op = find_command(replay, entry->payload);
		if (op == NULL) {
			sim_fail(sim,
			    "entry %" PRIu64 " is a command that nobody gave",
			    i);
			return;
		}
		if (op->kind == SIM_OP_PUT)
			check_put_entry(sim, op, i, entry->term);
		apply(replay, op);
	}
}

/* ---- Answers against the replay ---- */

static void
check_write(const struct replay *replay, const struct sim_op *op)
{
	const struct change *change;

	if (op->revision > replay->revision) {
		fail_op(replay->sim, op, "the answer's revision never was");
		return;
	}
	if (op->kind == SIM_OP_DELETE && !op->existed) {
		if (record_at(replay, op->key, op->revision)->value != 0)
			fail_op(replay->sim, op, "it found no key that was");
		return;
	}
	change = &replay->changes[op->revision];
	if (op->revision == 0 || change->key != op->key ||
	    change->value != op->value || change->created != op->created ||
	    change->version != op->version || change->existed != op->existed)
		fail_op(replay->sim, op, "the answer is not what the log does");
}

static void
check_read(const struct replay *replay, const struct sim_op *op)
{
	const struct change *record;

	if (op->revision > replay->revision) {
		fail_op(replay->sim, op, "the revision read never was");
		return;
	}
	record = record_at(replay, op->key, op->revision);
	if (record->value != op->value || record->created != op->created ||
	    record->version != op->version)
		fail_op(replay->sim, op, "what was read never was");
}

static void
check_answers(const struct replay *replay)
{
	const struct sim_clients *clients = replay->sim->clients;

	for (size_t i = 0; i < clients->ops_count; i++) {
		const struct sim_op *op = clients->ops[i];

		if (op->status != SIM_OP_DONE)
			continue;
		if (sim_op_is_write(op))
			check_write(replay, op);
		else
			check_read(replay, op);
	}
}

/* ---- Revisions against real time ---- */

static int
compare_returns(const void *a, const void *b)
{
	const struct sim_op *x = *(struct sim_op *const *)a;
	const struct sim_op *y = *(struct sim_op *const *)b;

	if (x->returned_at != y->returned_at)
		return x->returned_at < y->returned_at ? -1 : 1;
	return (x->client > y->client) - (x->client < y->client);
}

static bool
is_ordered(const struct sim_op *op)
{
	return op->status == SIM_OP_DONE && op->kind != SIM_OP_GET_STALE;
}

/* What returned before a call has no larger revision than its answer. */
static void
check_real_time(struct sim *sim)
{
	const struct sim_clients *clients = sim->clients;
	struct sim_op **returned = mem_copy(
	    clients->ops, clients->ops_count * sizeof(struct sim_op *));
	uint64_t revision = 0;
	size_t next = 0;

	if (clients->ops_count != 0)
		qsort(returned, clients->ops_count, sizeof(returned[0]),
		    compare_returns);
	for (size_t i = 0; i < clients->ops_count; i++) {
		const struct sim_op *op = clients->ops[i];
		bool changes = sim_op_is_write(op) &&
			       (op->kind == SIM_OP_PUT || op->existed);

		for (; next < clients->ops_count &&
		       returned[next]->returned_at < op->called_at;
		     next++) {
			if (is_ordered(returned[next]))
				revision =
				    MAX(revision, returned[next]->revision);
		}
		if (is_ordered(op) &&
		    (op->revision < revision ||
			(changes && op->revision == revision)))
			fail_op(sim, op, "older than what was seen before it");
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

		if (op->key != key || op->kind == SIM_OP_GET_STALE ||
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

static void
check_linear(struct sim *sim)
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

void
sim_replay_check(struct sim *sim)
{
	struct replay replay = { .sim = sim };

	list_commands(&replay);
	replay_log(&replay);
	if (!sim->failed)
		check_answers(&replay);
	if (!sim->failed)
		check_real_time(sim);
	if (!sim->failed)
		check_linear(sim);
	free(replay.commands);
	free(replay.changes);
}
