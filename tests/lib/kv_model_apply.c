/* Commands but transactions: leases, locks, expiry, replays. */

#include "common/mem.h"
#include "common/panic.h"
#include "tests/lib/kv_model.h"
#include <stdlib.h>

static void
fail(struct kv_model *model, enum kv_status status)
{
	model->result.result.status = status;
}

void
kv_model_output(struct kv_model *model, const struct kv_output *output)
{
	struct kv_model_result *result = &model->result;

	result->outputs = mem_realloc(
	    result->outputs, result->outputs_count + 1, sizeof(*output));
	result->outputs[result->outputs_count++] = *output;
}

/* ---- Leases ---- */

static void
output_lease(struct kv_model *model, const struct kv_model_lease *lease)
{
	const struct kv_output output = {
		.kind = KV_OUTPUT_LEASE,
		.lease = lease->id,
		.ttl_us = lease->ttl_us,
	};

	kv_model_output(model, &output);
}

static void
run_grant(struct kv_model *model)
{
	const struct kv_model_lease lease = {
		.id = model->command.lease,
		.ttl_us = model->command.ttl_us,
		.deadline_us = model->time_us + model->command.ttl_us,
	};

	if (kv_model_get_lease(model, lease.id) != NULL) {
		fail(model, KV_LEASE_EXISTS);
		return;
	}
	output_lease(model, kv_model_add_lease(model, &lease));
}

static void
run_renew(struct kv_model *model)
{
	struct kv_model_lease *lease =
	    kv_model_find_lease(model, model->command.lease);

	if (lease == NULL) {
		fail(model, KV_LEASE_NOT_FOUND);
		return;
	}
	/* A wait is no longer than was asked for. */
	if (lease->lock.size != 0 && lease->fence == 0) {
		fail(model, KV_LOCK_NOT_HELD);
		return;
	}
	lease->deadline_us = model->time_us + lease->ttl_us;
	output_lease(model, lease);
}

static struct kv_model_lease *
first_in_line(struct kv_model *model, struct slice lock)
{
	struct kv_model_lease *first = NULL;

	for (size_t i = 0; i < model->state.leases_count; i++) {
		struct kv_model_lease *lease = &model->state.leases[i];

		if (slice_equal(lease->lock, lock) &&
		    (first == NULL || lease->ticket < first->ticket))
			first = lease;
	}
	return first;
}

static void
hold(struct kv_model *model, struct kv_model_lease *lease)
{
	lease->fence = model->revision;
	lease->deadline_us = model->time_us + lease->ttl_us;
	model->changed = true;
}

/* Its keys go, and the next in line holds its lock. How many ended? */
static uint64_t
end_lease(struct kv_model *model, uint64_t id, enum kv_event_type type)
{
	const struct kv_model_lease lease = *kv_model_get_lease(model, id);
	struct kv_model_lease *next;
	struct kv_model_list list;
	uint64_t count = 1;

	kv_model_list(model, &(struct kv_range){ 0 }, UINT64_MAX, &list);
	for (size_t i = 0; i < list.count; i++) {
		if (list.keys[i].item.lease != id)
			continue;
		kv_model_delete(model, list.keys[i].key, type);
		count++;
	}
	kv_model_list_release(&list);
	kv_model_remove_lease(model, id);
	if (lease.lock.size == 0 || lease.fence == 0)
		return count;
	next = first_in_line(model, lease.lock);
	if (next != NULL)
		hold(model, next);
	return count;
}

/* One of those that end is the lease itself. */
static void
revoke(struct kv_model *model, uint64_t id)
{
	const struct kv_output output = {
		.kind = KV_OUTPUT_DELETED,
		.count = end_lease(model, id, KV_EVENT_DELETE) - 1,
	};

	kv_model_output(model, &output);
}

static void
run_revoke(struct kv_model *model)
{
	if (kv_model_get_lease(model, model->command.lease) == NULL)
		fail(model, KV_LEASE_NOT_FOUND);
	else
		revoke(model, model->command.lease);
}

/* ---- Locks ---- */

static void
output_holder(struct kv_model *model, const struct kv_model_lease *lease)
{
	const struct kv_output output = {
		.kind = KV_OUTPUT_LOCK,
		.has_value = true,
		.value = lease->holder,
		.modified = lease->fence,
		.ttl_us = lease->ttl_us,
	};

	kv_model_output(model, &output);
}

static uint64_t
next_ticket(const struct kv_model *model)
{
	uint64_t ticket = 1;

	for (size_t i = 0; i < model->state.leases_count; i++)
		ticket = MAX(ticket, model->state.leases[i].ticket + 1);
	return ticket;
}

static void
run_lock(struct kv_model *model)
{
	const struct kv_lock_request *request = &model->command.lock;
	const struct kv_model_lease *holder =
	    kv_model_get_lock(model, request->name);
	struct kv_model_lease lease = {
		.id = request->token,
		.ttl_us = request->ttl_us,
		.deadline_us = model->time_us + request->wait_us,
	};
	struct kv_model_lease *added;

	if (kv_model_get_lease(model, request->token) != NULL) {
		fail(model, KV_LEASE_EXISTS);
		return;
	}
	if (holder != NULL && request->wait_us == 0) {
		fail(model, KV_LOCK_HELD);
		output_holder(model, holder);
		return;
	}
	model->result.result.succeeded = holder == NULL;
	lease.lock = kv_model_keep(model, request->name);
	lease.holder = kv_model_keep(model, request->holder);
	lease.ticket = next_ticket(model);
	added = kv_model_add_lease(model, &lease);
	if (holder == NULL)
		hold(model, added);
	output_lease(model, added);
}

static void
run_unlock(struct kv_model *model)
{
	const struct kv_lock_request *request = &model->command.lock;
	const struct kv_model_lease *lease =
	    kv_model_get_lease(model, request->token);

	if (lease == NULL || !slice_equal(lease->lock, request->name)) {
		fail(model, KV_LOCK_NOT_HELD);
		return;
	}
	revoke(model, request->token);
}

/* ---- The leader's own ---- */

static void
run_expire(struct kv_model *model)
{
	uint64_t until = MIN(model->command.until_us, model->time_us);
	uint64_t count = 0;
	struct kv_model_end end;

	while (count < model->command.limit && kv_model_next_end(model, &end) &&
	       end.deadline_us <= until) {
		if (end.key.size == 0) {
			count += end_lease(model, end.lease, KV_EVENT_EXPIRE);
			continue;
		}
		kv_model_delete(model, end.key, KV_EVENT_EXPIRE);
		count++;
	}
}

static void
run_compact(struct kv_model *model)
{
	struct kv_model_state *state = &model->state;
	uint64_t revision = MIN(model->command.revision, state->revision);

	state->compacted = MAX(state->compacted, revision);
}

static void
run(struct kv_model *model)
{
	switch (model->command.kind) {
	case KV_COMMAND_TRANSACTION: kv_model_run_transaction(model); break;
	case KV_COMMAND_GRANT: run_grant(model); break;
	case KV_COMMAND_RENEW: run_renew(model); break;
	case KV_COMMAND_REVOKE: run_revoke(model); break;
	case KV_COMMAND_LOCK: run_lock(model); break;
	case KV_COMMAND_UNLOCK: run_unlock(model); break;
	case KV_COMMAND_EXPIRE: run_expire(model); break;
	case KV_COMMAND_MARK: break;
	case KV_COMMAND_COMPACT: run_compact(model); break;
	}
}

/* ---- Replays ---- */

/* Those that are too old, or too many. */
static void
drop_replays(struct kv_model *model)
{
	struct kv_model_state *state = &model->state;
	size_t count = 0;

	while (
	    count < state->replays_count &&
	    (state->replays[count].time_us + KV_REPLAY_US <= model->time_us ||
		state->replays_count - count > KV_REPLAYS_MAX))
		count++;
	if (count == 0)
		return;
	state->replays_count -= count;
	memmove(state->replays, state->replays + count,
	    state->replays_count * sizeof(state->replays[0]));
}

/* True if the command is answered by an earlier one. */
static bool
answer_again(struct kv_model *model)
{
	const struct kv_model_state *state = &model->state;
	const struct kv_identity *identity = &model->command.identity;
	struct kv_model_result *result = &model->result;

	for (size_t i = 0; i < state->replays_count; i++) {
		const struct kv_model_replay *replay = &state->replays[i];

		if (!slice_equal(replay->key, identity->key))
			continue;
		if (replay->digest != identity->digest) {
			result->result.status = KV_REUSED;
			result->result.revision = state->revision;
			return true;
		}
		for (size_t j = 0; j < replay->result.outputs_count; j++)
			kv_model_output(model, &replay->result.outputs[j]);
		result->result = replay->result.result;
		result->result.replayed = true;
		return true;
	}
	return false;
}

static void
keep_answer(struct kv_model *model)
{
	struct kv_model_state *state = &model->state;
	struct kv_model_replay replay = {
		.key = kv_model_keep(model, model->command.identity.key),
		.digest = model->command.identity.digest,
		.time_us = model->time_us,
		.result = model->result,
	};
	size_t size = model->result.outputs_count * sizeof(struct kv_output);

	/* What the outputs point to is kept, or is the command's. */
	for (size_t i = 0; i < replay.result.outputs_count; i++) {
		struct kv_output *output = &replay.result.outputs[i];

		output->key = kv_model_keep(model, output->key);
		output->value = kv_model_keep(model, output->value);
	}
	model->kept = mem_realloc(
	    model->kept, model->kept_count + 1, sizeof(model->kept[0]));
	replay.result.outputs = mem_copy(model->result.outputs, size);
	model->kept[model->kept_count++] = replay.result.outputs;
	state->replays = mem_realloc(
	    state->replays, state->replays_count + 1, sizeof(replay));
	state->replays[state->replays_count++] = replay;
}

/* ---- Applying ---- */

static void
copy_state(const struct kv_model_state *from, struct kv_model_state *to)
{
	*to = *from;
	to->events =
	    mem_copy(from->events, from->events_count * sizeof(*from->events));
	to->leases =
	    mem_copy(from->leases, from->leases_count * sizeof(*from->leases));
	to->replays = mem_copy(
	    from->replays, from->replays_count * sizeof(*from->replays));
}

static void
release_state(struct kv_model_state *state)
{
	free(state->events);
	free(state->leases);
	free(state->replays);
}

/* Runs it, and takes all of it back if it fails. */
static void
run_or_not(struct kv_model *model)
{
	struct kv_result *result = &model->result.result;
	struct kv_model_state before;

	copy_state(&model->state, &before);
	result->succeeded = true;
	run(model);
	if (result->status != KV_OK) {
		result->succeeded = false;
		release_state(&model->state);
		model->state = before;
		model->changed = false;
	} else {
		release_state(&before);
	}
	model->state.revision += model->changed;
	result->changed = model->changed;
	result->revision = model->state.revision;
}

void
kv_model_apply(
    struct kv_model *model, uint64_t cluster_time_us, struct slice command)
{
	struct kv_model_state *state = &model->state;

	if (kv_command_decode(command, &model->command) != 0)
		fatal("a command that is none");
	free(model->result.outputs);
	model->result = (struct kv_model_result){ 0 };
	state->cluster_time_us = MAX(state->cluster_time_us, cluster_time_us);
	model->time_us = state->cluster_time_us;
	model->revision = state->revision + 1;
	model->changed = false;
	drop_replays(model);
	if (model->command.identity.key.size != 0 && answer_again(model))
		return;
	run_or_not(model);
	if (model->command.identity.key.size != 0)
		keep_answer(model);
	drop_replays(model);
}
