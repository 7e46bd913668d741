/* Conditions, and the branch that they choose. */

#include "kv/kv_impl.h"

static bool
kv_relation_holds(enum kv_relation relation, int order)
{
	switch (relation) {
	case KV_EQUAL: return order == 0;
	case KV_NOT_EQUAL: return order != 0;
	case KV_LESS: return order < 0;
	case KV_LESS_OR_EQUAL: return order <= 0;
	case KV_GREATER: return order > 0;
	case KV_GREATER_OR_EQUAL: return order >= 0;
	}
	return false;
}

static uint64_t
kv_target_number(enum kv_target target, const struct kv_item *item)
{
	switch (target) {
	case KV_TARGET_MODIFIED: return item->modified;
	case KV_TARGET_CREATED: return item->created;
	case KV_TARGET_VERSION: return item->version;
	case KV_TARGET_LEASE: return item->lease;
	case KV_TARGET_VALUE: break;
	}
	return 0;
}

/* `item` is zero if the key is missing. */
static bool
kv_condition_holds(const struct kv_condition *condition, bool exists,
    const struct kv_item *item)
{
	uint64_t number = kv_target_number(condition->target, item);
	int order = (number > condition->number) - (number < condition->number);

	if (condition->target == KV_TARGET_VALUE) {
		if (!exists)
			return false;
		order = slice_compare(item->value, condition->value);
	}
	return kv_relation_holds(condition->relation, order);
}

struct kv_judgement {
	bool hold;      /* all so far */
	bool too_large; /* to look at: the rest is not judged */
};

/* Adds an output if the condition fails. */
static int
kv_judge(struct kv *kv, const struct kv_condition *condition, uint32_t index,
    struct kv_judgement *judgement)
{
	struct kv_output output = { .kind = KV_OUTPUT_CONDITION,
		.index = index,
		.key = condition->key };
	struct kv_version version = { .gone = true };
	int code = kv_find(kv, condition->key, &version);

	if (code != 0 && code != ERR_NOT_FOUND)
		return code;
	output.exists = code == 0;
	judgement->too_large = !kv_may_look(kv, version.item.value.size);
	if (kv_condition_holds(condition, output.exists, &version.item))
		return 0;
	judgement->hold = false;
	if (output.exists) {
		code = kv_output_describe(kv, &version.item, &output);
		if (code != 0)
			return code;
	}
	kv_output_add(kv, &output);
	return 0;
}

/* Judges all of them, as a client wants to know of each. */
static int
kv_judge_all(struct kv *kv, const struct kv_command *command,
    struct kv_judgement *judgement)
{
	struct slice parts = command->parts;
	struct kv_part part;
	uint32_t index = 0;
	int code = 0;

	*judgement = (struct kv_judgement){ .hold = true };
	if (command->conditions_count == 0)
		return 0;
	while (code == 0 && !judgement->too_large &&
	       kv_part_next(&parts, &part) && part.kind == KV_PART_CONDITION)
		code = kv_judge(kv, &part.condition, index++, judgement);
	return code;
}

/* Runs the operations of one branch, up to one that fails. */
static int
kv_run_branch(
    struct kv *kv, struct slice parts, unsigned kind, struct kv_result *result)
{
	struct kv_operation run = { .index = 0 };
	struct kv_part part;
	int code = 0;

	while (
	    code == 0 && run.status == KV_OK && kv_part_next(&parts, &part)) {
		if (part.kind != kind)
			continue;
		run.op = &part.op;
		result->op = run.index;
		code = kv_run_op(kv, &run);
		/* One alone looks first, and what it may write is little. */
		if (run.index > 0 && kv->now.written_bytes > KV_WRITE_BYTES_MAX)
			run.status = KV_WRITES_TOO_MUCH;
		run.index++;
	}
	if (code != 0)
		return code;
	result->status = run.status;
	if (run.status == KV_OK)
		result->op = 0;
	else
		buf_reset(&kv->outputs);
	return 0;
}

int
kv_run_transaction(struct kv *kv, const struct kv_command *command,
    struct kv_result *ret_result)
{
	struct kv_judgement judgement;
	int code = kv_judge_all(kv, command, &judgement);
	bool hold = judgement.hold;

	if (code != 0)
		return code;
	if (judgement.too_large) {
		buf_reset(&kv->outputs);
		return kv_fail(ret_result, KV_LOOKS_TOO_MUCH);
	}
	if (!hold && !command->has_else)
		return kv_fail(ret_result, KV_CONDITION_FAILED);
	kv->now.read_bytes_max = command->identity.key.size == 0
				     ? KV_OUTPUT_BYTES_MAX
				     : KV_REPLAY_OUTPUT_BYTES_MAX;
	buf_reset(&kv->outputs);
	kv_succeed(ret_result);
	ret_result->succeeded = hold;
	return kv_run_branch(
	    kv, command->parts, hold ? KV_PART_THEN : KV_PART_ELSE, ret_result);
}
