#include "common/panic.h"
#include "tests/lib/kv_model.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* One operation of the branch that runs. */
struct step {
	struct kv_model *model;
	const struct kv_op *op;
	uint32_t index;
	enum kv_status status;
	uint64_t *left;        /* bytes that may still be read */
	uint64_t names_tried;  /* of children */
	uint64_t keys_deleted; /* by ranges */
};

/* Counts what is put out; false: that is too much. */
static bool
may_read(struct step *step, uint64_t bytes)
{
	if (*step->left < bytes)
		return false;
	*step->left -= bytes;
	return true;
}

static bool
must_read(struct step *step, uint64_t bytes)
{
	if (!may_read(step, bytes))
		step->status = KV_READS_TOO_MUCH;
	return step->status == KV_OK;
}

/* ---- Conditions ---- */

static bool
relation_holds(enum kv_relation relation, int order)
{
	switch (relation) {
	case KV_EQUAL: return order == 0;
	case KV_NOT_EQUAL: return order != 0;
	case KV_LESS: return order < 0;
	case KV_LESS_OR_EQUAL: return order <= 0;
	case KV_GREATER: return order > 0;
	case KV_GREATER_OR_EQUAL: return order >= 0;
	}
	fatal("a relation that is none");
}

static uint64_t
number_of(const struct kv_item *item, enum kv_target target)
{
	if (item == NULL)
		return 0;
	switch (target) {
	case KV_TARGET_MODIFIED: return item->modified;
	case KV_TARGET_CREATED: return item->created;
	case KV_TARGET_VERSION: return item->version;
	case KV_TARGET_LEASE: return item->lease;
	case KV_TARGET_VALUE: break;
	}
	fatal("a target that is no number");
}

static bool
condition_holds(
    const struct kv_model *model, const struct kv_condition *condition)
{
	const struct kv_item *item = kv_model_get(model, condition->key);
	uint64_t number;

	if (condition->target == KV_TARGET_VALUE)
		return item != NULL &&
		       relation_holds(condition->relation,
			   slice_compare(item->value, condition->value));
	number = number_of(item, condition->target);
	return relation_holds(condition->relation,
	    (number > condition->number) - (number < condition->number));
}

/* ---- Outputs ---- */

static uint64_t
time_left(const struct kv_model *model, const struct kv_item *item)
{
	uint64_t deadline = kv_model_get_deadline(model, item);

	if (deadline == 0)
		return 0;
	return deadline > model->time_us ? deadline - model->time_us : 1;
}

/* The numbers of a key, which may not be there. */
static void
describe(const struct kv_model *model, const struct kv_item *item,
    struct kv_output *output)
{
	if (item == NULL)
		return;
	output->modified = item->modified;
	output->created = item->created;
	output->version = item->version;
	output->lease = item->lease;
	output->content_type = item->content_type;
	output->ttl_us = time_left(model, item);
}

static void
output_condition(
    struct kv_model *model, uint32_t index, const struct kv_condition *failed)
{
	const struct kv_item *item = kv_model_get(model, failed->key);
	struct kv_output output = {
		.kind = KV_OUTPUT_CONDITION,
		.index = index,
		.key = failed->key,
		.exists = item != NULL,
	};

	describe(model, item, &output);
	kv_model_output(model, &output);
}

static void
output_item(struct step *step, struct slice key, bool with_value)
{
	const struct kv_item *item = kv_model_get(step->model, key);
	struct kv_output output = {
		.kind = KV_OUTPUT_ITEM,
		.index = step->index,
		.key = kv_model_keep(step->model, key),
		.exists = item != NULL,
	};

	if (item != NULL && with_value) {
		output.has_value = true;
		output.value = item->value;
	}
	if (!must_read(step, output.value.size))
		return;
	describe(step->model, item, &output);
	kv_model_output(step->model, &output);
}

/* ---- Operations ---- */

/* What the lifetime of an operation gives to the key. */
static bool
find_lifetime(
    struct step *step, const struct kv_item *before, struct kv_item *item)
{
	const struct kv_op *op = step->op;
	bool attached = before != NULL && before->lease == op->lease;

	item->lease = 0;
	item->deadline_us = 0;
	switch (op->lifetime) {
	case KV_LIFETIME_NONE: return true;
	case KV_LIFETIME_KEEP:
		if (before != NULL) {
			item->lease = before->lease;
			item->deadline_us = before->deadline_us;
		}
		return true;
	case KV_LIFETIME_TTL:
		item->deadline_us = step->model->time_us + op->ttl_us;
		return true;
	case KV_LIFETIME_LEASE: break;
	}
	item->lease = op->lease;
	if (kv_model_get_lease(step->model, op->lease) == NULL)
		step->status = KV_LEASE_NOT_FOUND;
	else if (!attached && kv_model_count_keys(step->model, op->lease) >=
				  KV_LEASE_KEYS_MAX)
		step->status = KV_TOO_MANY;
	return step->status == KV_OK;
}

/* Writes `item` to a key, and says so; `told` may be a value to tell. */
static void
write_key(struct step *step, struct slice key, const struct kv_item *item,
    const struct slice *told)
{
	struct kv_output output = {
		.kind = KV_OUTPUT_WRITTEN,
		.index = step->index,
		.key = kv_model_keep(step->model, key),
		.exists = kv_model_get(step->model, key) != NULL,
	};

	if (told != NULL) {
		output.has_value = true;
		output.value = kv_model_keep(step->model, *told);
	}
	describe(step->model, kv_model_put(step->model, key, item), &output);
	kv_model_output(step->model, &output);
}

static void
run_put(struct step *step, struct slice key)
{
	const struct kv_op *op = step->op;
	const struct kv_item *before = kv_model_get(step->model, key);
	bool tells = op->previous && before != NULL;
	struct slice previous = { 0 };
	struct kv_item item = {
		.value = op->value,
		.content_type = op->content_type,
	};

	if (tells)
		previous = before->value;
	if (find_lifetime(step, before, &item) &&
	    must_read(step, previous.size))
		write_key(step, key, &item, tells ? &previous : NULL);
}

static void
run_create_child(struct step *step)
{
	uint64_t revision = step->model->revision;
	struct buf key = { 0 };

	do {
		buf_reset(&key);
		buf_append_slice(&key, step->op->key);
		buf_printf(&key, "%020" PRIu64, revision + step->names_tried++);
	} while (kv_model_get(step->model, buf_slice(&key)) != NULL);
	run_put(step, buf_slice(&key));
	buf_release(&key);
}

/* A whole number in decimal, perhaps with a newline. */
static bool
parse_number(struct slice text, int64_t *ret_number)
{
	char copy[64] = "";
	size_t size = text.size;

	if (size != 0 && text.data[size - 1] == '\n')
		size--;
	if (size == 0 || size >= sizeof(copy))
		return false;
	memcpy(copy, text.data, size);
	if (strspn(copy, "-0123456789") != size || copy[size - 1] == '-' ||
	    strrchr(copy, '-') > copy)
		return false;
	errno = 0;
	*ret_number = strtoll(copy, NULL, 10);
	return errno == 0;
}

static void
run_increment(struct step *step)
{
	const struct kv_op *op = step->op;
	const struct kv_item *before = kv_model_get(step->model, op->key);
	struct kv_item item = { 0 };
	struct slice told;
	char text[32];
	int64_t number = 0;

	if (before != NULL && !parse_number(before->value, &number)) {
		step->status = KV_NOT_A_NUMBER;
		return;
	}
	if ((op->by > 0 && number > INT64_MAX - op->by) ||
	    (op->by < 0 && number < INT64_MIN - op->by)) {
		step->status = KV_NOT_A_NUMBER;
		return;
	}
	snprintf(text, sizeof(text), "%" PRId64, number + op->by);
	told = slice_from_text(text);
	item.value = told;
	if (before != NULL)
		item.content_type = before->content_type;
	if (find_lifetime(step, before, &item) && must_read(step, told.size))
		write_key(step, op->key, &item, &told);
}

static void
run_append(struct step *step)
{
	const struct kv_op *op = step->op;
	const struct kv_item *before = kv_model_get(step->model, op->key);
	struct kv_item item = { 0 };
	struct buf value = { 0 };
	struct slice told;

	if (before != NULL) {
		buf_append_slice(&value, before->value);
		item.content_type = before->content_type;
	}
	buf_append_slice(&value, op->value);
	told = buf_slice(&value);
	item.value = told;
	if (value.size > op->size_max)
		step->status = KV_TOO_LARGE;
	else if (find_lifetime(step, before, &item))
		write_key(step, op->key, &item,
		    may_read(step, told.size) ? &told : NULL);
	buf_release(&value);
}

static void
run_touch(struct step *step)
{
	const struct kv_op *op = step->op;
	const struct kv_item *before = kv_model_get(step->model, op->key);
	struct kv_output output = {
		.kind = KV_OUTPUT_WRITTEN,
		.index = step->index,
		.key = op->key,
		.exists = true,
	};
	struct kv_item item;

	if (before == NULL) {
		step->status = KV_KEY_NOT_FOUND;
		return;
	}
	if (!find_lifetime(step, before, &item))
		return;
	kv_model_set_lifetime(
	    step->model, op->key, item.lease, item.deadline_us);
	describe(step->model, kv_model_get(step->model, op->key), &output);
	kv_model_output(step->model, &output);
}

/* COPY and MOVE. */
static void
run_copy(struct step *step)
{
	const struct kv_op *op = step->op;
	const struct kv_item *from = kv_model_get(step->model, op->key);
	const struct kv_item *to = kv_model_get(step->model, op->other);
	struct kv_item item;

	if (from == NULL) {
		step->status = KV_KEY_NOT_FOUND;
		return;
	}
	item = *from;
	if (!find_lifetime(step, op->kind == KV_MOVE ? from : to, &item))
		return;
	if (op->kind == KV_MOVE && !slice_equal(op->key, op->other))
		kv_model_delete(step->model, op->key, KV_EVENT_DELETE);
	write_key(step, op->other, &item, NULL);
}

static void
run_delete(struct step *step)
{
	const struct kv_op *op = step->op;
	const struct kv_item *before = kv_model_get(step->model, op->key);
	struct kv_output output = {
		.kind = KV_OUTPUT_DELETED,
		.index = step->index,
		.key = op->key,
		.exists = before != NULL,
		.count = before != NULL,
	};

	if (op->previous && before != NULL) {
		output.has_value = true;
		output.value = before->value;
	}
	if (!must_read(step, output.value.size))
		return;
	if (before != NULL)
		kv_model_delete(step->model, op->key, KV_EVENT_DELETE);
	kv_model_output(step->model, &output);
}

static void
run_delete_range(struct step *step)
{
	const struct kv_op *op = step->op;
	const struct kv_range range = { op->key, op->other };
	struct kv_output output = {
		.kind = KV_OUTPUT_DELETED,
		.index = step->index,
	};
	struct kv_model_list list;
	size_t count;

	kv_model_list(step->model, &range, UINT64_MAX, &list);
	count = op->limit == 0 ? list.count : MIN(list.count, op->limit);
	output.count = count;
	output.exists = count != 0;
	output.more = count < list.count;
	step->keys_deleted += count;
	if (step->keys_deleted > KV_DELETE_KEYS_MAX)
		step->status = KV_TOO_MANY;
	else
		for (size_t i = 0; i < count; i++)
			kv_model_delete(
			    step->model, list.keys[i].key, KV_EVENT_DELETE);
	kv_model_list_release(&list);
	kv_model_output(step->model, &output);
}

static void
run_list(struct step *step)
{
	const struct kv_op *op = step->op;
	const struct kv_range range = { op->key, op->other };
	struct kv_output output = {
		.kind = KV_OUTPUT_LIST,
		.index = step->index,
	};
	struct kv_model_list list;
	size_t count;

	kv_model_list(step->model, &range, UINT64_MAX, &list);
	count = op->limit == 0 ? list.count : MIN(list.count, op->limit);
	output.count = count;
	output.more = count < list.count;
	kv_model_output(step->model, &output);
	for (size_t i = 0; i < count; i++) {
		size_t place = op->reverse ? list.count - 1 - i : i;
		struct slice key = list.keys[place].key;

		if (must_read(step, key.size + KV_LIST_KEY_OVERHEAD))
			output_item(step, key, !op->keys_only);
	}
	kv_model_list_release(&list);
}

static void
run_op(struct step *step)
{
	switch (step->op->kind) {
	case KV_PUT: run_put(step, step->op->key); break;
	case KV_DELETE: run_delete(step); break;
	case KV_DELETE_RANGE: run_delete_range(step); break;
	case KV_GET: output_item(step, step->op->key, true); break;
	case KV_LIST: run_list(step); break;
	case KV_INCREMENT: run_increment(step); break;
	case KV_APPEND: run_append(step); break;
	case KV_TOUCH: run_touch(step); break;
	case KV_COPY:
	case KV_MOVE: run_copy(step); break;
	case KV_CREATE_CHILD: run_create_child(step); break;
	}
}

/* ---- The whole ---- */

static bool
check_conditions(struct kv_model *model)
{
	struct slice parts = model->command.parts;
	struct kv_part part;
	uint32_t index = 0;
	bool hold = true;

	while (kv_part_next(&parts, &part)) {
		if (part.kind != KV_PART_CONDITION)
			continue;
		if (!condition_holds(model, &part.condition)) {
			hold = false;
			if (!model->command.has_else)
				output_condition(model, index, &part.condition);
		}
		index++;
	}
	return hold;
}

static enum kv_status
run_branch(struct kv_model *model, unsigned kind, uint32_t *ret_op)
{
	uint64_t left = model->command.identity.key.size != 0
			    ? KV_REPLAY_OUTPUT_BYTES_MAX
			    : KV_OUTPUT_BYTES_MAX;
	struct slice parts = model->command.parts;
	struct step step = { .model = model, .left = &left };
	struct kv_part part;

	while (step.status == KV_OK && kv_part_next(&parts, &part)) {
		if (part.kind != kind)
			continue;
		step.op = &part.op;
		run_op(&step);
		*ret_op = step.index++;
	}
	return step.status;
}

void
kv_model_run_transaction(struct kv_model *model)
{
	struct kv_result *result = &model->result.result;
	bool hold = check_conditions(model);
	uint32_t op = 0;

	result->succeeded = hold;
	if (!hold && !model->command.has_else) {
		result->status = KV_CONDITION_FAILED;
		return;
	}
	result->status =
	    run_branch(model, hold ? KV_PART_THEN : KV_PART_ELSE, &op);
	if (result->status == KV_OK)
		return;
	result->op = op;
	model->result.outputs_count = 0;
}
