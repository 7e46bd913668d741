#include "tests/sim/sim_replay.h"

#include "common/hash.h"
#include "common/mem.h"
#include "node/node_record.h"
#include "tests/sim/sim_check.h"
#include "tests/sim/sim_pace.h"
#include "tests/sim/sim_watcher.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* All operations that asked for the same bytes: of most only one does. */
struct group {
	uint64_t payload;    /* their hash */
	size_t count;        /* of operations that may be in the log */
	size_t entries;      /* that are there */
	raft_usec called_at; /* of the first of them */
};

/* What was seen once an entry was applied. */
struct sight {
	raft_index index;
	raft_usec at;
	const struct sim_op *op; /* or */
	const struct sim_batch *batch;
};

struct replay {
	struct sim *sim;
	struct kv_model model;
	struct group *groups;
	size_t groups_count;
	struct sight *sights;
	size_t sights_count;
	size_t next;                   /* that is to be judged */
	const struct sim_entry *entry; /* the one applied last */
	struct sim_pace pace;
	struct buf why;
};

void
sim_replay_fail(
    struct sim *sim, const struct sim_op *op, const char *format, ...)
{
	char what[512];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(what, sizeof(what), format, arguments);
	va_end(arguments);
	sim_fail(sim,
	    "%s: %s key=%u value=%" PRIu64 " by client %u on node %" PRIu64
	    ", called %" PRIu64 ", returned %" PRIu64 ", revision %" PRIu64
	    ", entry %" PRIu64 " of term %" PRIu64,
	    what, sim_op_names[op->kind], op->key, op->value, op->client,
	    op->node, op->called_at, op->returned_at, op->revision, op->index,
	    op->term);
}

/* ---- The operations ---- */

static int
compare_groups(const void *a, const void *b)
{
	const struct group *x = a;
	const struct group *y = b;

	return (x->payload > y->payload) - (x->payload < y->payload);
}

/* One of each payload. */
static void
join_groups(struct replay *replay)
{
	size_t count = 0;

	if (replay->groups_count == 0)
		return;
	qsort(replay->groups, replay->groups_count, sizeof(replay->groups[0]),
	    compare_groups);
	for (size_t i = 1; i < replay->groups_count; i++) {
		struct group *last = &replay->groups[count];

		if (replay->groups[i].payload != last->payload) {
			replay->groups[++count] = replay->groups[i];
			continue;
		}
		last->count += replay->groups[i].count;
		last->called_at =
		    MIN(last->called_at, replay->groups[i].called_at);
	}
	replay->groups_count = count + 1;
}

static void
list_groups(struct replay *replay)
{
	struct sim_clients *clients = replay->sim->clients;

	replay->groups =
	    mem_zalloc(clients->ops_count + 1, sizeof(*replay->groups));
	for (size_t i = 0; i < clients->ops_count; i++) {
		const struct sim_op *op = clients->ops[i];

		if (!sim_op_is_write(op))
			continue;
		replay->groups[replay->groups_count++] = (struct group){
			.payload = hash64(0, buf_slice(&op->command)),
			.count = op->status != SIM_OP_FAILED,
			.called_at = op->called_at,
		};
	}
	join_groups(replay);
}

static int
compare_sights(const void *a, const void *b)
{
	const struct sight *x = a;
	const struct sight *y = b;

	if (x->index != y->index)
		return x->index < y->index ? -1 : 1;
	return (x->at > y->at) - (x->at < y->at);
}

static void
list_sights(struct replay *replay)
{
	const struct sim_clients *clients = replay->sim->clients;
	const struct sim_watchers *watchers = replay->sim->watchers;

	replay->sights =
	    mem_zalloc(clients->ops_count + watchers->batches_count + 1,
		sizeof(*replay->sights));
	for (size_t i = 0; i < clients->ops_count; i++) {
		const struct sim_op *op = clients->ops[i];

		if (op->status != SIM_OP_DONE)
			continue;
		replay->sights[replay->sights_count++] = (struct sight){
			.index = op->index,
			.at = op->called_at,
			.op = op,
		};
	}
	for (size_t i = 0; i < watchers->batches_count; i++)
		replay->sights[replay->sights_count++] = (struct sight){
			.index = watchers->batches[i]->index,
			.batch = watchers->batches[i],
		};
	if (replay->sights_count != 0)
		qsort(replay->sights, replay->sights_count,
		    sizeof(replay->sights[0]), compare_sights);
}

/* ---- The committed log ---- */

/* Nobody else asks for those of the leader. */
static bool
is_chore(const struct kv_command *command)
{
	return command->kind == KV_COMMAND_EXPIRE ||
	       command->kind == KV_COMMAND_MARK ||
	       command->kind == KV_COMMAND_COMPACT;
}

/* It was asked for, at least as often as it is there. Gives the time at which it
 * was, or 0. */
static raft_usec
check_entry(struct replay *replay, raft_index index, struct slice payload)
{
	const struct group key = { .payload = hash64(0, payload) };
	struct group *group =
	    replay->groups_count == 0
		? NULL
		: bsearch(&key, replay->groups, replay->groups_count,
		      sizeof(key), compare_groups);
	struct kv_command command;

	if (kv_command_decode(payload, &command) != 0) {
		sim_fail(replay->sim, "entry %" PRIu64 " is no command", index);
		return 0;
	}
	if (is_chore(&command))
		return 0;
	if (group == NULL)
		sim_fail(replay->sim,
		    "entry %" PRIu64 " is a command that nobody gave", index);
	else if (++group->entries > group->count)
		sim_fail(replay->sim,
		    "entry %" PRIu64 " is a command that failed, or is there "
		    "once too often",
		    index);
	return group == NULL ? 0 : group->called_at;
}

static void
apply(struct replay *replay, raft_index index)
{
	struct sim *sim = replay->sim;
	struct node_record record;
	struct sim_stamp stamp = { .index = index };

	replay->entry = sim_log_at(&sim->checks->committed, index);
	if (replay->entry->type != RAFT_ENTRY_COMMAND)
		return;
	if (!sim_check_record(
		sim, index, replay->entry->term, &record, &stamp.seen_at)) {
		sim_fail(sim, "entry %" PRIu64 " was on no disk", index);
		return;
	}
	stamp.called_at = check_entry(replay, index, record.payload);
	if (sim->failed)
		return;
	stamp.term = record.term;
	stamp.time_us = record.time_us;
	kv_model_apply(&replay->model, record.time_us, record.payload);
	sim_pace_check(sim, &replay->pace, &replay->model, &stamp);
}

/* ---- Answers ---- */

static void
check_write(struct replay *replay, const struct sim_op *op)
{
	const struct sim_entry *entry = replay->entry;

	if (entry == NULL || entry->term != op->term ||
	    entry->payload != hash64(0, buf_slice(&op->command))) {
		sim_replay_fail(replay->sim, op,
		    "a write is at another place than it was told");
		return;
	}
	if (!kv_model_check_result(&replay->model, &op->result, &replay->why))
		sim_replay_fail(replay->sim, op,
		    "the answer is not what the log does: %.*s",
		    (int)replay->why.size, (const char *)replay->why.data);
}

static void
check_get(struct replay *replay, const struct sim_op *op)
{
	struct buf expected = { 0 };
	char key[24];
	const struct kv_item *item;

	snprintf(key, sizeof(key), "key-%u", op->key);
	item = kv_model_get(&replay->model, slice_from_text(key));
	if (item != NULL)
		sim_query_append(&expected, slice_from_text(key), item, true);
	if (!slice_equal(buf_slice(&expected), buf_slice(&op->outputs)))
		sim_replay_fail(replay->sim, op, "what was read never was");
	buf_release(&expected);
}

static void
check_list(struct replay *replay, const struct sim_op *op)
{
	const struct kv_model *model = &replay->model;
	struct buf expected = { 0 };
	bool gone = op->query.at != 0 && op->query.at < model->state.compacted;

	if (gone != (op->code == ERR_COMPACTED)) {
		sim_replay_fail(replay->sim, op,
		    "revision %" PRIu64 " is %s, and history begins with "
		    "%" PRIu64,
		    op->query.at, gone ? "still there" : "gone",
		    model->state.compacted);
		return;
	}
	if (!gone)
		sim_query_model(model, &op->query, &expected);
	if (!slice_equal(buf_slice(&expected), buf_slice(&op->outputs)))
		sim_replay_fail(replay->sim, op,
		    "what was listed at revision %" PRIu64 " never was",
		    op->query.at);
	buf_release(&expected);
}

static void
check_op(struct replay *replay, const struct sim_op *op)
{
	if (sim_op_is_write(op)) {
		check_write(replay, op);
		return;
	}
	if (op->revision != replay->model.state.revision)
		sim_replay_fail(replay->sim, op, "read at another revision");
	else if (sim_op_is_list(op))
		check_list(replay, op);
	else
		check_get(replay, op);
}

/* Also of those that never arrived: they might have. */
static void
check_batch(struct replay *replay, const struct sim_batch *batch)
{
	const struct sim_watcher *watcher =
	    &replay->sim->watchers->watchers[batch->watcher];
	const struct kv_model_state *state = &replay->model.state;
	struct buf expected = { 0 };
	bool gone = batch->since < state->compacted;

	replay->sim->counters.batches_checked++;
	sim_watcher_expect(&replay->model, &watcher->range, batch, &expected);
	if ((batch->kind == SIM_BATCH_COMPACTED && !gone) ||
	    (batch->kind == SIM_BATCH_EVENTS && gone) ||
	    (batch->kind == SIM_BATCH_LIST &&
		batch->until != state->revision) ||
	    batch->until > state->revision ||
	    !slice_equal(buf_slice(&expected), buf_slice(&batch->bytes)))
		sim_fail(replay->sim,
		    "node %" PRIu64
		    " tells watcher %u what is not so (kind %u):"
		    " %zu events since %" PRIu64 " until %" PRIu64
		    ", after entry %" PRIu64 ", history from %" PRIu64,
		    batch->node, batch->watcher, batch->kind, batch->count,
		    batch->since, batch->until, batch->index, state->compacted);
	buf_release(&expected);
}

/* All that was seen when `index` was applied, and nothing behind it. */
static void
check_sights(struct replay *replay, raft_index index)
{
	while (!replay->sim->failed && replay->next < replay->sights_count) {
		const struct sight *sight = &replay->sights[replay->next];

		if (sight->index > index)
			return;
		if (sight->op != NULL)
			check_op(replay, sight->op);
		else
			check_batch(replay, sight->batch);
		replay->next++;
	}
}

static void
replay_log(struct replay *replay)
{
	struct sim *sim = replay->sim;
	raft_index last = sim->checks->committed.last_index;

	check_sights(replay, 0);
	for (raft_index i = 1; i <= last && !sim->failed; i++) {
		apply(replay, i);
		check_sights(replay, i);
	}
	if (!sim->failed && replay->next < replay->sights_count)
		sim_fail(sim,
		    "an answer from behind the committed log, at %" PRIu64,
		    replay->sights[replay->next].index);
}

/* What the nodes have in the end is what the model has. */
static void
check_nodes(struct replay *replay)
{
	struct sim *sim = replay->sim;

	for (raft_id id = 1; id <= sim->config.hosts_count; id++) {
		struct sim_node *node = sim_node_get(sim, id);

		if (node->node == NULL || node->state != NODE_MEMBER ||
		    kv_applied_index(node_kv(node->node)) !=
			sim->checks->committed.last_index)
			continue;
		sim->counters.states_compared++;
		if (kv_model_check_state(&replay->model, node_kv(node->node),
			sim->config.seed, &replay->why))
			continue;
		sim_fail(sim,
		    "the state of node %" PRIu64 " is not what the log does: "
		    "%.*s",
		    id, (int)replay->why.size, (const char *)replay->why.data);
		return;
	}
}

void
sim_replay_check(struct sim *sim)
{
	struct replay replay = { .sim = sim };

	kv_model_init(&replay.model);
	list_groups(&replay);
	list_sights(&replay);
	replay_log(&replay);
	if (!sim->failed)
		check_nodes(&replay);
	if (!sim->failed)
		sim_order_check(sim);
	if (!sim->failed)
		sim_order_search(sim);
	kv_model_release(&replay.model);
	free(replay.groups);
	free(replay.sights);
	buf_release(&replay.why);
}
