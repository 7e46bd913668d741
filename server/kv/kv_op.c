/*
 * The operations of a transaction on a single key. Each looks at everything
 * that may refuse it before its first change, so that one alone needs no undo.
 */

#include "kv/kv_impl.h"

#include "common/panic.h"
#include <inttypes.h>
#include <stdio.h>

static int
kv_refuse(struct kv_operation *run, enum kv_status status)
{
	run->status = status;
	return 0;
}

bool
kv_op_may_read(struct kv *kv, struct kv_operation *run, uint64_t bytes)
{
	if (kv->now.read_bytes_max - kv->now.read_bytes < bytes) {
		run->status = KV_READS_TOO_MUCH;
		return false;
	}
	kv->now.read_bytes += bytes;
	return true;
}

int
kv_output_describe(
    struct kv *kv, const struct kv_item *item, struct kv_output *output)
{
	uint64_t deadline_us;
	int code;

	output->modified = item->modified;
	output->created = item->created;
	output->version = item->version;
	output->lease = item->lease;
	output->content_type = item->content_type;
	if (item->lease == 0 && item->deadline_us == 0)
		return 0;
	code = kv_get_deadline(kv, item, &deadline_us);
	if (code != 0)
		return code;
	/* One that is over and waits for an EXPIRE still has some. */
	output->ttl_us = 1;
	if (deadline_us > kv->now.time_us)
		output->ttl_us = deadline_us - kv->now.time_us;
	return 0;
}

/* A value in the store as a copy, which lasts until the next such call. */
static struct slice
kv_take_copy(struct kv *kv, struct slice value)
{
	buf_reset(&kv->copy);
	buf_append_slice(&kv->copy, value);
	return buf_slice(&kv->copy);
}

/* ---- Lifetimes ---- */

/* What a key that is replaced or moves has: its lifetime, and what leaving its
 * lease makes free there. */
struct kv_life {
	uint64_t lease;
	uint64_t deadline_us;
	uint64_t bytes;
};

/* All 0 if the key is missing. */
static struct kv_life
kv_life_of(struct slice key, const struct kv_item *item)
{
	return (struct kv_life){ .lease = item->lease,
		.deadline_us = item->deadline_us,
		.bytes = item->lease == 0 ? 0 : key.size + item->value.size };
}

/* Puts a key of so many bytes on a lease, if there is room. */
static int
kv_choose_lease(struct kv *kv, struct kv_operation *run, uint64_t id,
    struct kv_life before, uint64_t bytes, struct kv_item *item)
{
	struct kv_lease_record lease;
	int code = id == 0 ? ERR_NOT_FOUND : kv_lease_load(kv, id, &lease);

	if (code == ERR_NOT_FOUND)
		return kv_refuse(run, KV_LEASE_NOT_FOUND);
	if (code != 0)
		return code;
	if (before.lease == id) {
		if (lease.keys_count == 0 || lease.keys_bytes < before.bytes)
			return ERR_CORRUPT;
		lease.keys_count--;
		lease.keys_bytes -= before.bytes;
	}
	if (lease.keys_count >= KV_LEASE_KEYS_MAX ||
	    lease.keys_bytes + bytes > KV_LEASE_BYTES_MAX)
		return kv_refuse(run, KV_TOO_MANY);
	item->lease = id;
	return 0;
}

/* Gives `item`, which with its value is to be at `key`, its lease and deadline;
 * `before` goes. */
static int
kv_choose_lifetime(struct kv *kv, struct kv_operation *run,
    struct kv_life before, struct slice key, struct kv_item *item)
{
	uint64_t bytes = key.size + item->value.size;

	item->lease = 0;
	item->deadline_us = 0;
	switch (run->op->lifetime) {
	case KV_LIFETIME_NONE: return 0;
	case KV_LIFETIME_KEEP:
		item->deadline_us = before.deadline_us;
		if (before.lease == 0)
			return 0;
		return kv_choose_lease(
		    kv, run, before.lease, before, bytes, item);
	case KV_LIFETIME_TTL:
		item->deadline_us = kv->now.time_us + run->op->ttl_us;
		return 0;
	case KV_LIFETIME_LEASE:
		return kv_choose_lease(
		    kv, run, run->op->lease, before, bytes, item);
	}
	return ERR_CORRUPT;
}

/* ---- Writing ---- */

/* Writes the key, and adds `output` with how it is now. */
static int
kv_write(struct kv *kv, struct slice key, const struct kv_present *before,
    const struct kv_item *item, struct kv_output *output)
{
	struct kv_version version;
	int code;

	output->kind = KV_OUTPUT_WRITTEN;
	output->key = key;
	output->exists = kv_is_live(before);
	code = kv_change_put(kv, key, before, item, &version);
	if (code == 0)
		code = kv_output_describe(kv, &version.item, output);
	if (code == 0)
		kv_output_add(kv, output);
	return code;
}

static int
kv_op_put(struct kv *kv, struct kv_operation *run)
{
	const struct kv_op *op = run->op;
	struct kv_item item = { .value = op->value,
		.content_type = op->content_type };
	struct kv_output output = { .index = run->index };
	struct kv_present before;
	int code = kv_look(kv, op->key, &before);

	if (code == 0)
		code = kv_choose_lifetime(kv, run,
		    kv_life_of(op->key, &before.version.item), op->key, &item);
	if (code != 0 || run->status != KV_OK)
		return code;
	if (op->previous && kv_is_live(&before)) {
		struct slice value = before.version.item.value;

		if (!kv_op_may_read(kv, run, value.size))
			return 0;
		output.has_value = true;
		output.value = kv_take_copy(kv, value);
	}
	return kv_write(kv, op->key, &before, &item, &output);
}

/* The key of the first child that is not there, from the revision's on, in
 * `memory`; and what there was of it. No number is tried twice in a transaction:
 * else each of many children looked at all those before it. */
static int
kv_choose_child(struct kv *kv, struct kv_operation *run,
    uint8_t memory[KV_KEY_SIZE_MAX], struct kv_present *ret_before)
{
	struct slice parent = run->op->key;
	struct slice key = slice_of(memory, parent.size + KV_CHILD_DIGITS);
	char digits[KV_CHILD_DIGITS + 1];
	int code;

	ASSERT(key.size <= KV_KEY_SIZE_MAX);
	if (parent.size != 0)
		memcpy(memory, parent.data, parent.size);
	while (kv->now.names_tried < KV_CHILD_NAMES_MAX) {
		(void)snprintf(digits, sizeof(digits), "%020" PRIu64,
		    kv->now.revision + kv->now.names_tried++);
		memcpy(memory + parent.size, digits, KV_CHILD_DIGITS);
		code = kv_look(kv, key, ret_before);
		if (code != 0 || !kv_is_live(ret_before))
			return code;
		if (!kv_may_look(kv, ret_before->version.item.value.size))
			break;
	}
	return kv_refuse(run, KV_TOO_MANY);
}

static int
kv_op_create_child(struct kv *kv, struct kv_operation *run)
{
	const struct kv_op *op = run->op;
	struct kv_item item = { .value = op->value,
		.content_type = op->content_type };
	struct kv_output output = { .index = run->index };
	uint8_t memory[KV_KEY_SIZE_MAX];
	struct slice key = slice_of(memory, op->key.size + KV_CHILD_DIGITS);
	struct kv_present before;
	int code = kv_choose_child(kv, run, memory, &before);

	if (code == 0 && run->status == KV_OK)
		code = kv_choose_lifetime(
		    kv, run, kv_life_of(key, &before.version.item), key, &item);
	if (code != 0 || run->status != KV_OK)
		return code;
	return kv_write(kv, key, &before, &item, &output);
}

/* ---- Numbers ---- */

/* -?[0-9]+\n? */
static bool
kv_parse_number(struct slice text, int64_t *ret_number)
{
	bool negative = text.size != 0 && text.data[0] == '-';
	size_t i = negative ? 1 : 0;
	int64_t number = 0;

	if (text.size != 0 && text.data[text.size - 1] == '\n')
		text.size--;
	if (i >= text.size)
		return false;
	for (; i < text.size; i++) {
		int digit = text.data[i] - '0';

		if (digit < 0 || digit > 9 ||
		    __builtin_mul_overflow(number, 10, &number) ||
		    __builtin_sub_overflow(number, digit, &number))
			return false;
	}
	/* Counted downwards, as there is one negative number more. */
	if (!negative && number == INT64_MIN)
		return false;
	*ret_number = negative ? number : -number;
	return true;
}

/* The number that it is to be; else the status says why not. */
static bool
kv_increment(struct kv_operation *run, const struct kv_present *before,
    int64_t *ret_number)
{
	int64_t number = 0;

	if ((kv_is_live(before) &&
		!kv_parse_number(before->version.item.value, &number)) ||
	    __builtin_add_overflow(number, run->op->by, ret_number)) {
		run->status = KV_NOT_A_NUMBER;
		return false;
	}
	return true;
}

static int
kv_op_increment(struct kv *kv, struct kv_operation *run)
{
	struct kv_output output = { .index = run->index, .has_value = true };
	struct kv_present before;
	struct kv_item item;
	char text[sizeof("-9223372036854775808")];
	int64_t number;
	int code = kv_look(kv, run->op->key, &before);

	if (code != 0 || !kv_increment(run, &before, &number))
		return code;
	item = before.version.item;
	(void)snprintf(text, sizeof(text), "%" PRId64, number);
	item.value = slice_from_text(text);
	output.value = item.value;
	code = kv_choose_lifetime(kv, run,
	    kv_life_of(run->op->key, &before.version.item), run->op->key,
	    &item);
	if (code != 0 || run->status != KV_OK ||
	    !kv_op_may_read(kv, run, item.value.size))
		return code;
	return kv_write(kv, run->op->key, &before, &item, &output);
}

/* ---- Append ---- */

static int
kv_op_append(struct kv *kv, struct kv_operation *run)
{
	const struct kv_op *op = run->op;
	struct kv_operation reading = *run;
	struct kv_output output = { .index = run->index };
	struct kv_present before;
	struct kv_item item;
	int code = kv_look(kv, op->key, &before);

	if (code != 0)
		return code;
	item = before.version.item;
	if (op->size_max < item.value.size ||
	    op->size_max - item.value.size < op->value.size)
		return kv_refuse(run, KV_TOO_LARGE);
	(void)kv_take_copy(kv, item.value);
	buf_append_slice(&kv->copy, op->value);
	item.value = buf_slice(&kv->copy);
	code = kv_choose_lifetime(
	    kv, run, kv_life_of(op->key, &before.version.item), op->key, &item);
	if (code != 0 || run->status != KV_OK)
		return code;
	/* That it cannot be shown is no reason not to do it. */
	if (kv_op_may_read(kv, &reading, item.value.size)) {
		output.has_value = true;
		output.value = item.value;
	}
	return kv_write(kv, op->key, &before, &item, &output);
}

/* ---- Touch ---- */

static int
kv_op_touch(struct kv *kv, struct kv_operation *run)
{
	struct kv_output output = { .kind = KV_OUTPUT_WRITTEN,
		.index = run->index,
		.key = run->op->key,
		.exists = true };
	struct kv_version version;
	struct kv_item item;
	int code = kv_find(kv, run->op->key, &version);

	if (code == ERR_NOT_FOUND)
		return kv_refuse(run, KV_KEY_NOT_FOUND);
	if (code != 0)
		return code;
	item = version.item;
	code = kv_choose_lifetime(kv, run,
	    kv_life_of(run->op->key, &version.item), run->op->key, &item);
	if (code != 0 || run->status != KV_OK)
		return code;
	code =
	    kv_change_lifetime(kv, run->op->key, item.lease, item.deadline_us);
	if (code == 0)
		code = kv_output_describe(kv, &item, &output);
	if (code == 0)
		kv_output_add(kv, &output);
	return code;
}

/* ---- Copy and move ---- */

static int
kv_op_copy(struct kv *kv, struct kv_operation *run)
{
	const struct kv_op *op = run->op;
	struct kv_output output = { .index = run->index };
	struct kv_version source;
	struct kv_present before;
	int code = kv_find(kv, op->key, &source);

	if (code == ERR_NOT_FOUND)
		return kv_refuse(run, KV_KEY_NOT_FOUND);
	if (code == 0)
		code = kv_look(kv, op->other, &before);
	if (code == 0)
		code = kv_choose_lifetime(kv, run,
		    kv_life_of(op->other, &before.version.item), op->other,
		    &source.item);
	if (code != 0 || run->status != KV_OK)
		return code;
	return kv_write(kv, op->other, &before, &source.item, &output);
}

/* The lifetime of a key that moves onto another: it may keep its own, and what
 * either has of a lease is free for it. */
static int
kv_choose_moved(struct kv *kv, struct kv_operation *run,
    const struct kv_item *target, struct kv_item *source)
{
	const struct kv_op *op = run->op;
	bool keeps =
	    op->lifetime == KV_LIFETIME_KEEP ||
	    (op->lifetime == KV_LIFETIME_LEASE && op->lease == source->lease);
	struct kv_life before =
	    keeps ? kv_life_of(op->key, source) : kv_life_of(op->other, target);

	return kv_choose_lifetime(kv, run, before, op->other, source);
}

static int
kv_op_move(struct kv *kv, struct kv_operation *run)
{
	const struct kv_op *op = run->op;
	struct kv_output output = { .index = run->index };
	struct kv_version source;
	struct kv_present before;
	int code;

	if (slice_equal(op->key, op->other))
		return kv_op_copy(kv, run);
	code = kv_find(kv, op->key, &source);
	if (code == ERR_NOT_FOUND)
		return kv_refuse(run, KV_KEY_NOT_FOUND);
	if (code == 0)
		code = kv_look(kv, op->other, &before);
	if (code == 0)
		code = kv_choose_moved(
		    kv, run, &before.version.item, &source.item);
	if (code != 0 || run->status != KV_OK)
		return code;
	source.item.value = kv_take_copy(kv, source.item.value);
	/* First it leaves its lease, so that there is room. */
	code = kv_change_delete(kv, op->key, KV_EVENT_DELETE);
	if (code == 0)
		code = kv_look(kv, op->other, &before);
	if (code != 0)
		return code;
	return kv_write(kv, op->other, &before, &source.item, &output);
}

/* ---- Delete and get ---- */

static int
kv_op_delete(struct kv *kv, struct kv_operation *run)
{
	const struct kv_op *op = run->op;
	struct kv_output output = {
		.kind = KV_OUTPUT_DELETED, .index = run->index, .key = op->key
	};
	struct kv_version version;
	int code = 0;

	if (op->previous)
		code = kv_find(kv, op->key, &version);
	if (op->previous && code == 0) {
		if (!kv_op_may_read(kv, run, version.item.value.size))
			return 0;
		output.has_value = true;
		output.value = kv_take_copy(kv, version.item.value);
	}
	if (code == 0)
		code = kv_change_delete(kv, op->key, KV_EVENT_DELETE);
	output.exists = code == 0;
	output.count = code == 0;
	if (code != 0 && code != ERR_NOT_FOUND)
		return code;
	kv_output_add(kv, &output);
	return 0;
}

static int
kv_op_get(struct kv *kv, struct kv_operation *run)
{
	struct kv_output output = {
		.kind = KV_OUTPUT_ITEM, .index = run->index, .key = run->op->key
	};
	struct kv_version version;
	int code = kv_find(kv, run->op->key, &version);

	if (code == 0) {
		if (!kv_op_may_read(kv, run, version.item.value.size))
			return 0;
		output.exists = true;
		output.has_value = true;
		output.value = version.item.value;
		code = kv_output_describe(kv, &version.item, &output);
	} else if (code == ERR_NOT_FOUND) {
		code = 0;
	}
	if (code == 0)
		kv_output_add(kv, &output);
	return code;
}

static int (*const kv_ops[])(struct kv *kv, struct kv_operation *run) = {
	[KV_PUT] = kv_op_put,
	[KV_DELETE] = kv_op_delete,
	[KV_DELETE_RANGE] = kv_op_delete_range,
	[KV_GET] = kv_op_get,
	[KV_LIST] = kv_op_list,
	[KV_INCREMENT] = kv_op_increment,
	[KV_APPEND] = kv_op_append,
	[KV_TOUCH] = kv_op_touch,
	[KV_COPY] = kv_op_copy,
	[KV_MOVE] = kv_op_move,
	[KV_CREATE_CHILD] = kv_op_create_child,
};

int
kv_run_op(struct kv *kv, struct kv_operation *run)
{
	return kv_ops[run->op->kind](kv, run);
}
