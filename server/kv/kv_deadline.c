/*
 * When things end by themselves. The table "deadline" has one entry for each
 * key with a deadline of its own and one for each lease, in order of time, and
 * an entry moves with every change of what it is about: so the first entry is
 * the next to end, and nothing is ever looked for.
 */

#include "kv/kv_impl.h"

#include "common/panic.h"

/* Time and what kind of thing it is of; its name follows. */
#define KV_DEADLINE_HEAD_SIZE 9
#define KV_DEADLINE_SIZE_MAX  (KV_DEADLINE_HEAD_SIZE + KV_KEY_SIZE_MAX)

/* Replays that an EXPIRE drops. */
#define KV_EXPIRE_REPLAYS_MAX 1000

static struct slice
kv_deadline_encode(
    const struct kv_deadline *deadline, uint8_t to[KV_DEADLINE_SIZE_MAX])
{
	ASSERT(deadline->time_us != 0);
	ASSERT(deadline->name.size <= KV_KEY_SIZE_MAX);
	codec_store_u64(to, deadline->time_us);
	to[8] = deadline->kind;
	memcpy(to + KV_DEADLINE_HEAD_SIZE, deadline->name.data,
	    deadline->name.size);
	return slice_of(to, KV_DEADLINE_HEAD_SIZE + deadline->name.size);
}

int
kv_deadline_decode(struct slice bytes, struct kv_deadline *ret_deadline)
{
	struct codec_reader reader;
	struct kv_deadline deadline;

	codec_reader_init(&reader, bytes);
	deadline.time_us = codec_read_u64(&reader);
	deadline.kind = codec_read_u8(&reader);
	deadline.name = reader.rest;
	if (reader.failed || deadline.time_us == 0)
		return ERR_CORRUPT;
	if (deadline.kind == KV_DEADLINE_KEY &&
	    (deadline.name.size == 0 || deadline.name.size > KV_KEY_SIZE_MAX))
		return ERR_CORRUPT;
	if (deadline.kind == KV_DEADLINE_LEASE &&
	    deadline.name.size != sizeof(uint64_t))
		return ERR_CORRUPT;
	if (deadline.kind != KV_DEADLINE_KEY &&
	    deadline.kind != KV_DEADLINE_LEASE)
		return ERR_CORRUPT;
	*ret_deadline = deadline;
	return 0;
}

static int
kv_deadline_put(struct kv *kv, const struct kv_deadline *deadline)
{
	uint8_t memory[KV_DEADLINE_SIZE_MAX];

	return kv_table_put(kv, KV_TABLE_DEADLINE,
	    kv_deadline_encode(deadline, memory), buf_slice(kv_body(kv)));
}

static int
kv_deadline_drop(struct kv *kv, const struct kv_deadline *deadline)
{
	uint8_t memory[KV_DEADLINE_SIZE_MAX];
	int code = kv_table_delete(
	    kv, KV_TABLE_DEADLINE, kv_deadline_encode(deadline, memory));

	/* What it is about says that there is one. */
	return code == ERR_NOT_FOUND ? ERR_CORRUPT : code;
}

int
kv_deadline_add(struct kv *kv, uint64_t deadline_us, struct slice key)
{
	struct kv_deadline deadline = {
		.time_us = deadline_us, .kind = KV_DEADLINE_KEY, .name = key
	};

	return deadline_us == 0 ? 0 : kv_deadline_put(kv, &deadline);
}

int
kv_deadline_remove(struct kv *kv, uint64_t deadline_us, struct slice key)
{
	struct kv_deadline deadline = {
		.time_us = deadline_us, .kind = KV_DEADLINE_KEY, .name = key
	};

	return deadline_us == 0 ? 0 : kv_deadline_drop(kv, &deadline);
}

int
kv_deadline_add_lease(struct kv *kv, uint64_t deadline_us, uint64_t id)
{
	uint8_t name[sizeof(id)];
	struct kv_deadline deadline = { .time_us = deadline_us,
		.kind = KV_DEADLINE_LEASE,
		.name = slice_of(name, sizeof(name)) };

	codec_store_u64(name, id);
	return kv_deadline_put(kv, &deadline);
}

int
kv_deadline_remove_lease(struct kv *kv, uint64_t deadline_us, uint64_t id)
{
	uint8_t name[sizeof(id)];
	struct kv_deadline deadline = { .time_us = deadline_us,
		.kind = KV_DEADLINE_LEASE,
		.name = slice_of(name, sizeof(name)) };

	codec_store_u64(name, id);
	return kv_deadline_drop(kv, &deadline);
}

/* The first of all, borrowed from the store. */
static int
kv_deadline_first(struct kv *kv, struct kv_deadline *ret_deadline)
{
	struct slice key;
	struct slice body;
	int code = kv_table_seek(
	    kv, KV_TABLE_DEADLINE, slice_of(NULL, 0), &key, &body);

	if (code != 0)
		return code;
	if (body.size != 0)
		return ERR_CORRUPT;
	return kv_deadline_decode(key, ret_deadline);
}

/* What the first deadline is of ends; *ended grows by it and its keys. */
static int
kv_deadline_end(
    struct kv *kv, const struct kv_deadline *deadline, uint64_t *ended)
{
	struct kv_lease_record lease;
	uint64_t id;
	int code;

	if (deadline->kind == KV_DEADLINE_KEY) {
		*ended += 1;
		kv->expired_count++;
		code = kv_change_delete(kv, deadline->name, KV_EVENT_EXPIRE);
		return code == ERR_NOT_FOUND ? ERR_CORRUPT : code;
	}
	id = codec_load_u64(deadline->name.data);
	code = kv_lease_load(kv, id, &lease);
	if (code != 0)
		return code == ERR_NOT_FOUND ? ERR_CORRUPT : code;
	*ended += 1 + lease.keys_count;
	kv->expired_count += lease.keys_count;
	return kv_lease_end(kv, id, KV_EVENT_EXPIRE);
}

int
kv_run_expire(struct kv *kv, const struct kv_command *command,
    struct kv_result *ret_result)
{
	uint64_t until_us = MIN(command->until_us, kv->now.time_us);
	uint64_t ended = 0;

	kv_succeed(ret_result);
	while (ended < command->limit &&
	       kv->now.written_bytes < KV_WRITE_BYTES_MAX) {
		struct kv_deadline deadline;
		int code = kv_deadline_first(kv, &deadline);

		if (code == ERR_NOT_FOUND)
			break;
		if (code != 0)
			return code;
		if (deadline.time_us > until_us)
			break;
		code = kv_deadline_end(kv, &deadline, &ended);
		if (code != 0)
			return code;
	}
	return kv_replay_drop(kv, KV_EXPIRE_REPLAYS_MAX);
}

int
kv_first_deadline(struct kv *kv, uint64_t *ret_us)
{
	struct kv_deadline deadline = { 0 };
	int code;

	if (kv->failed)
		return ERR_STOPPED;
	code = kv_deadline_first(kv, &deadline);
	if (code == ERR_NOT_FOUND)
		return code;
	if (kv_note(kv, code) != 0)
		return code;
	*ret_us = deadline.time_us;
	return 0;
}
