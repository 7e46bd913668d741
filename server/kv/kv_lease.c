/*
 * Leases: what keys and a lock hang on, so that all of it ends at once. A lease
 * is one record, an entry in "deadline", and one in "attached" for each of its
 * keys.
 *
 * A lease may be the token of a lock (kv_lock.c). While it waits there, its
 * deadline is the end of its wait, and it cannot be renewed: that would make it
 * wait longer than asked for.
 */

#include "kv/kv_impl.h"

#include "common/panic.h"

#define KV_LEASE_ID_SIZE     8
#define KV_ATTACHED_SIZE_MAX (KV_LEASE_ID_SIZE + KV_KEY_SIZE_MAX)

static struct slice
kv_lease_key(uint64_t id, uint8_t to[KV_LEASE_ID_SIZE])
{
	codec_store_u64(to, id);
	return slice_of(to, KV_LEASE_ID_SIZE);
}

static struct slice
kv_attached_key(uint64_t id, struct slice key, uint8_t to[KV_ATTACHED_SIZE_MAX])
{
	ASSERT(key.size <= KV_KEY_SIZE_MAX);
	codec_store_u64(to, id);
	if (key.size != 0)
		memcpy(to + KV_LEASE_ID_SIZE, key.data, key.size);
	return slice_of(to, KV_LEASE_ID_SIZE + key.size);
}

static void
kv_lease_encode(struct buf *to, const struct kv_lease_record *lease)
{
	codec_append_u64(to, lease->ttl_us);
	codec_append_u64(to, lease->deadline_us);
	codec_append_u64(to, lease->keys_count);
	codec_append_u64(to, lease->keys_bytes);
	codec_append_u64(to, lease->ticket);
	buf_append_slice(to, lease->lock);
}

int
kv_lease_decode(struct slice body, struct kv_lease_record *ret_lease)
{
	struct codec_reader reader;
	struct kv_lease_record lease;

	codec_reader_init(&reader, body);
	lease.ttl_us = codec_read_u64(&reader);
	lease.deadline_us = codec_read_u64(&reader);
	lease.keys_count = codec_read_u64(&reader);
	lease.keys_bytes = codec_read_u64(&reader);
	lease.ticket = codec_read_u64(&reader);
	lease.lock = reader.rest;
	if (reader.failed || lease.ttl_us == 0 || lease.deadline_us == 0)
		return ERR_CORRUPT;
	if (lease.keys_count > KV_LEASE_KEYS_MAX ||
	    lease.keys_bytes > KV_LEASE_BYTES_MAX)
		return ERR_CORRUPT;
	if (lease.lock.size > KV_LOCK_NAME_SIZE_MAX)
		return ERR_CORRUPT;
	if ((lease.lock.size != 0) != (lease.ticket != 0))
		return ERR_CORRUPT;
	*ret_lease = lease;
	return 0;
}

int
kv_lease_load(struct kv *kv, uint64_t id, struct kv_lease_record *ret_lease)
{
	uint8_t key[KV_LEASE_ID_SIZE];
	struct slice body;
	int code =
	    kv_table_get(kv, KV_TABLE_LEASE, kv_lease_key(id, key), &body);

	return code != 0 ? code : kv_lease_decode(body, ret_lease);
}

/* The lock may point into the store. */
static int
kv_lease_store(struct kv *kv, uint64_t id, const struct kv_lease_record *lease)
{
	uint8_t key[KV_LEASE_ID_SIZE];
	struct buf *body = kv_body(kv);

	kv_lease_encode(body, lease);
	return kv_table_put(
	    kv, KV_TABLE_LEASE, kv_lease_key(id, key), buf_slice(body));
}

int
kv_lease_make(struct kv *kv, uint64_t id, const struct kv_lease_record *lease)
{
	int code;

	ASSERT(id != 0);
	ASSERT(lease->keys_count == 0);
	ASSERT(lease->keys_bytes == 0);
	code = kv_lease_store(kv, id, lease);
	if (code != 0)
		return code;
	return kv_deadline_add_lease(kv, lease->deadline_us, id);
}

int
kv_lease_prolong(struct kv *kv, uint64_t id, uint64_t deadline_us)
{
	struct kv_lease_record lease;
	uint64_t before_us;
	int code = kv_lease_load(kv, id, &lease);

	if (code != 0)
		return code;
	before_us = lease.deadline_us;
	lease.deadline_us = deadline_us;
	code = kv_lease_store(kv, id, &lease);
	if (code == 0)
		code = kv_deadline_remove_lease(kv, before_us, id);
	if (code == 0)
		code = kv_deadline_add_lease(kv, deadline_us, id);
	return code;
}

/* The first key attached to it behind `after`, borrowed from the store.
 * ERR_NOT_FOUND: no more. */
static int
kv_attached_next(
    struct kv *kv, uint64_t id, struct slice after, struct slice *ret_key)
{
	/* The first key behind one is that with a zero byte more. */
	uint8_t memory[KV_ATTACHED_SIZE_MAX + 1];
	struct slice start = kv_attached_key(id, after, memory);
	struct slice key;
	struct slice body;
	int code;

	memory[start.size++] = 0;
	if (after.size == 0)
		start.size = KV_LEASE_ID_SIZE;
	code = kv_table_seek(kv, KV_TABLE_ATTACHED, start, &key, &body);
	if (code != 0)
		return code;
	if (body.size != 0 || key.size <= KV_LEASE_ID_SIZE)
		return ERR_CORRUPT;
	if (codec_load_u64(key.data) != id)
		return ERR_NOT_FOUND;
	*ret_key =
	    slice_of(key.data + KV_LEASE_ID_SIZE, key.size - KV_LEASE_ID_SIZE);
	return 0;
}

static int
kv_lease_delete_keys(struct kv *kv, uint64_t id, enum kv_event_type type)
{
	/* Each is detached as it goes, so the next one is the first. */
	for (unsigned i = 0; i <= KV_LEASE_KEYS_MAX; i++) {
		struct slice key;
		int code = kv_attached_next(kv, id, slice_of(NULL, 0), &key);

		if (code != 0)
			return code == ERR_NOT_FOUND ? 0 : code;
		code = kv_change_delete(kv, key, type);
		if (code != 0)
			return code == ERR_NOT_FOUND ? ERR_CORRUPT : code;
	}
	return ERR_CORRUPT;
}

int
kv_lease_end(struct kv *kv, uint64_t id, enum kv_event_type type)
{
	uint8_t key[KV_LEASE_ID_SIZE];
	uint8_t lock[KV_LOCK_NAME_SIZE_MAX];
	struct kv_lease_record lease;
	int code = kv_lease_load(kv, id, &lease);

	if (code != 0)
		return code;
	code = kv_lease_delete_keys(kv, id, type);
	if (code == 0)
		code = kv_lease_load(kv, id, &lease);
	if (code == 0 && (lease.keys_count != 0 || lease.keys_bytes != 0))
		code = ERR_CORRUPT;
	if (code != 0)
		return code == ERR_NOT_FOUND ? ERR_CORRUPT : code;
	/* Out of the store, which changes from here on. */
	if (lease.lock.size != 0)
		memcpy(lock, lease.lock.data, lease.lock.size);
	lease.lock.data = lock;
	code = kv_table_delete(kv, KV_TABLE_LEASE, kv_lease_key(id, key));
	if (code == 0)
		code = kv_deadline_remove_lease(kv, lease.deadline_us, id);
	if (code == 0 && lease.lock.size != 0)
		code = kv_lock_leave(kv, &lease);
	return code == ERR_NOT_FOUND ? ERR_CORRUPT : code;
}

int
kv_lease_attach(struct kv *kv, uint64_t id, struct slice key, uint64_t bytes)
{
	uint8_t memory[KV_ATTACHED_SIZE_MAX];
	struct kv_lease_record lease;
	int code = kv_lease_load(kv, id, &lease);

	if (code != 0)
		return code == ERR_NOT_FOUND ? ERR_CORRUPT : code;
	ASSERT(lease.keys_count < KV_LEASE_KEYS_MAX);
	ASSERT(lease.keys_bytes + bytes <= KV_LEASE_BYTES_MAX);
	lease.keys_count++;
	lease.keys_bytes += bytes;
	code = kv_lease_store(kv, id, &lease);
	if (code != 0)
		return code;
	return kv_table_put(kv, KV_TABLE_ATTACHED,
	    kv_attached_key(id, key, memory), buf_slice(kv_body(kv)));
}

int
kv_lease_detach(struct kv *kv, uint64_t id, struct slice key, uint64_t bytes)
{
	uint8_t memory[KV_ATTACHED_SIZE_MAX];
	struct slice attached = kv_attached_key(id, key, memory);
	struct kv_lease_record lease;
	int code = kv_lease_load(kv, id, &lease);

	if (code == 0 && (lease.keys_count == 0 || lease.keys_bytes < bytes))
		code = ERR_CORRUPT;
	if (code != 0)
		return code == ERR_NOT_FOUND ? ERR_CORRUPT : code;
	lease.keys_count--;
	lease.keys_bytes -= bytes;
	code = kv_lease_store(kv, id, &lease);
	if (code == 0)
		code = kv_table_delete(kv, KV_TABLE_ATTACHED, attached);
	return code == ERR_NOT_FOUND ? ERR_CORRUPT : code;
}

int
kv_lease_resize(
    struct kv *kv, uint64_t id, uint64_t from_bytes, uint64_t to_bytes)
{
	struct kv_lease_record lease;
	int code = kv_lease_load(kv, id, &lease);

	if (code == 0 && lease.keys_bytes < from_bytes)
		code = ERR_CORRUPT;
	if (code != 0)
		return code == ERR_NOT_FOUND ? ERR_CORRUPT : code;
	lease.keys_bytes += to_bytes - from_bytes;
	ASSERT(lease.keys_bytes <= KV_LEASE_BYTES_MAX);
	return kv_lease_store(kv, id, &lease);
}

/* ---- Commands ---- */

static void
kv_lease_tell(struct kv *kv, uint64_t id, uint64_t ttl_us)
{
	struct kv_output output = {
		.kind = KV_OUTPUT_LEASE, .lease = id, .ttl_us = ttl_us
	};

	kv_output_add(kv, &output);
}

int
kv_run_grant(struct kv *kv, const struct kv_command *command,
    struct kv_result *ret_result)
{
	struct kv_lease_record lease = {
		.ttl_us = command->ttl_us,
		.deadline_us = kv->now.time_us + command->ttl_us,
	};
	struct kv_lease_record there;
	int code = kv_lease_load(kv, command->lease, &there);

	if (code == 0)
		return kv_fail(ret_result, KV_LEASE_EXISTS);
	if (code != ERR_NOT_FOUND)
		return code;
	kv_lease_tell(kv, command->lease, lease.ttl_us);
	kv_succeed(ret_result);
	return kv_lease_make(kv, command->lease, &lease);
}

int
kv_run_renew(struct kv *kv, const struct kv_command *command,
    struct kv_result *ret_result)
{
	struct kv_lease_record lease;
	int code = kv_lease_load(kv, command->lease, &lease);
	bool waits = false;

	if (code == ERR_NOT_FOUND)
		return kv_fail(ret_result, KV_LEASE_NOT_FOUND);
	if (code == 0 && lease.lock.size != 0)
		code = kv_lock_waits(kv, &lease, &waits);
	if (code != 0)
		return code;
	if (waits)
		return kv_fail(ret_result, KV_LOCK_NOT_HELD);
	kv_lease_tell(kv, command->lease, lease.ttl_us);
	kv_succeed(ret_result);
	return kv_lease_prolong(
	    kv, command->lease, kv->now.time_us + lease.ttl_us);
}

int
kv_lease_revoke(struct kv *kv, uint64_t id, struct kv_result *ret_result)
{
	struct kv_output output = { .kind = KV_OUTPUT_DELETED };
	struct kv_lease_record lease;
	int code = kv_lease_load(kv, id, &lease);

	if (code != 0)
		return code;
	output.count = lease.keys_count;
	kv_output_add(kv, &output);
	kv_succeed(ret_result);
	code = kv_lease_end(kv, id, KV_EVENT_DELETE);
	return code == ERR_NOT_FOUND ? ERR_CORRUPT : code;
}

int
kv_run_revoke(struct kv *kv, const struct kv_command *command,
    struct kv_result *ret_result)
{
	int code = kv_lease_revoke(kv, command->lease, ret_result);

	return code == ERR_NOT_FOUND ? kv_fail(ret_result, KV_LEASE_NOT_FOUND)
				     : code;
}

/* ---- Reading ---- */

static struct kv_lease
kv_lease_view(uint64_t id, const struct kv_lease_record *lease)
{
	return (struct kv_lease){
		.id = id,
		.ttl_us = lease->ttl_us,
		.deadline_us = lease->deadline_us,
		.keys_count = lease->keys_count,
		.lock = lease->lock,
	};
}

int
kv_get_lease(struct kv *kv, uint64_t id, struct kv_lease *ret_lease)
{
	struct kv_lease_record lease;
	int code;

	if (kv->failed)
		return ERR_STOPPED;
	code = kv_lease_load(kv, id, &lease);
	if (code == ERR_NOT_FOUND)
		return code;
	if (kv_note(kv, code) != 0)
		return code;
	*ret_lease = kv_lease_view(id, &lease);
	return 0;
}

static int
kv_lease_next(struct kv *kv, uint64_t after, struct kv_lease *ret_lease)
{
	uint8_t memory[KV_LEASE_ID_SIZE];
	struct kv_lease_record lease;
	struct slice key;
	struct slice body;
	int code;

	if (after == UINT64_MAX)
		return ERR_NOT_FOUND;
	code = kv_table_seek(
	    kv, KV_TABLE_LEASE, kv_lease_key(after + 1, memory), &key, &body);
	if (code == 0 && key.size != KV_LEASE_ID_SIZE)
		code = ERR_CORRUPT;
	if (code == 0)
		code = kv_lease_decode(body, &lease);
	if (code != 0)
		return code;
	*ret_lease = kv_lease_view(codec_load_u64(key.data), &lease);
	return 0;
}

int
kv_next_lease(struct kv *kv, uint64_t after, struct kv_lease *ret_lease)
{
	int code;

	if (kv->failed)
		return ERR_STOPPED;
	code = kv_lease_next(kv, after, ret_lease);
	return code == ERR_NOT_FOUND ? code : kv_note(kv, code);
}

int
kv_next_lease_key(
    struct kv *kv, uint64_t id, struct slice after, struct buf *ret_key)
{
	struct slice key = { 0 };
	int code;

	if (kv->failed)
		return ERR_STOPPED;
	code = kv_attached_next(kv, id, after, &key);
	if (code == ERR_NOT_FOUND)
		return code;
	if (kv_note(kv, code) != 0)
		return code;
	/* `after` may be what is in there. */
	buf_reset(ret_key);
	buf_append_slice(ret_key, key);
	return 0;
}
