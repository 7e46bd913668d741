/*
 * Locks: queues of leases. A ticket is a lease's place in the queue of a name,
 * numbered by the index of the command that asked for it, so the order is that
 * of arrival. The first one holds the lock and counts those behind it; there is
 * no other record of a lock, and none of a free one.
 */

#include "kv/kv_impl.h"

#include "common/panic.h"

#define KV_TICKET_HEAD_SIZE 2 /* size of the name */
#define KV_TICKET_KEY_SIZE_MAX                                                 \
	(KV_TICKET_HEAD_SIZE + KV_LOCK_NAME_SIZE_MAX + sizeof(uint64_t))

static struct slice
kv_ticket_key(
    struct slice name, uint64_t number, uint8_t to[KV_TICKET_KEY_SIZE_MAX])
{
	size_t size = KV_TICKET_HEAD_SIZE + name.size;

	ASSERT(name.size >= 1);
	ASSERT(name.size <= KV_LOCK_NAME_SIZE_MAX);
	codec_store_u16(to, (uint16_t)name.size);
	memcpy(to + KV_TICKET_HEAD_SIZE, name.data, name.size);
	codec_store_u64(to + size, number);
	return slice_of(to, size + sizeof(number));
}

int
kv_ticket_decode(struct slice body, struct kv_ticket *ret_ticket)
{
	struct codec_reader reader;
	struct kv_ticket ticket;

	codec_reader_init(&reader, body);
	ticket.number = 0;
	ticket.token = codec_read_u64(&reader);
	ticket.fence = codec_read_u64(&reader);
	ticket.waiting_count = codec_read_u64(&reader);
	ticket.holder = reader.rest;
	if (reader.failed || ticket.token == 0)
		return ERR_CORRUPT;
	if (ticket.holder.size > KV_LOCK_HOLDER_SIZE_MAX)
		return ERR_CORRUPT;
	if (ticket.fence == 0 && ticket.waiting_count != 0)
		return ERR_CORRUPT;
	*ret_ticket = ticket;
	return 0;
}

/* The name may not point into the store, the holder may. */
static int
kv_ticket_store(
    struct kv *kv, struct slice name, const struct kv_ticket *ticket)
{
	uint8_t key[KV_TICKET_KEY_SIZE_MAX];
	struct buf *body = kv_body(kv);

	codec_append_u64(body, ticket->token);
	codec_append_u64(body, ticket->fence);
	codec_append_u64(body, ticket->waiting_count);
	buf_append_slice(body, ticket->holder);
	return kv_table_put(kv, KV_TABLE_LOCK,
	    kv_ticket_key(name, ticket->number, key), buf_slice(body));
}

/* The first of a name with that number or a higher one, borrowed from the
 * store. ERR_NOT_FOUND: there is none. */
static int
kv_ticket_seek(struct kv *kv, struct slice name, uint64_t number,
    struct kv_ticket *ret_ticket)
{
	uint8_t memory[KV_TICKET_KEY_SIZE_MAX];
	struct slice wanted = kv_ticket_key(name, number, memory);
	size_t head_size = wanted.size - sizeof(number);
	struct slice key;
	struct slice body;
	int code = kv_table_seek(kv, KV_TABLE_LOCK, wanted, &key, &body);

	if (code != 0)
		return code;
	if (key.size < head_size || memcmp(key.data, memory, head_size) != 0)
		return ERR_NOT_FOUND;
	if (key.size != wanted.size)
		return ERR_CORRUPT;
	code = kv_ticket_decode(body, ret_ticket);
	ret_ticket->number = codec_load_u64(key.data + head_size);
	return code;
}

/* Who holds it. ERR_NOT_FOUND: it is free. */
static int
kv_ticket_first(struct kv *kv, struct slice name, struct kv_ticket *ret_ticket)
{
	int code = kv_ticket_seek(kv, name, 0, ret_ticket);

	if (code == 0 && ret_ticket->fence == 0)
		return ERR_CORRUPT;
	return code;
}

/* That of a lease, which says that there is one. */
static int
kv_ticket_load(struct kv *kv, const struct kv_lease_record *lease,
    struct kv_ticket *ret_ticket)
{
	int code = kv_ticket_seek(kv, lease->lock, lease->ticket, ret_ticket);

	if (code == 0 && ret_ticket->number != lease->ticket)
		return ERR_CORRUPT;
	return code == ERR_NOT_FOUND ? ERR_CORRUPT : code;
}

/* The lease of a ticket, which says that there is one. */
static int
kv_ticket_lease(struct kv *kv, const struct kv_ticket *ticket,
    struct kv_lease_record *ret_lease)
{
	int code = kv_lease_load(kv, ticket->token, ret_lease);

	if (code == 0 && ret_lease->ticket != ticket->number)
		return ERR_CORRUPT;
	return code == ERR_NOT_FOUND ? ERR_CORRUPT : code;
}

int
kv_lock_waits(
    struct kv *kv, const struct kv_lease_record *lease, bool *ret_waits)
{
	struct kv_ticket ticket;
	int code = kv_ticket_load(kv, lease, &ticket);

	if (code == 0)
		*ret_waits = ticket.fence == 0;
	return code;
}

/* The one behind the last holder, of whom `waiting_count` waited. */
static int
kv_lock_hand_over(struct kv *kv, struct slice name, uint64_t waiting_count)
{
	struct kv_ticket next;
	struct kv_lease_record lease;
	uint64_t token;
	uint64_t deadline_us;
	int code = kv_ticket_seek(kv, name, 0, &next);

	if (code != 0 && code != ERR_NOT_FOUND)
		return code;
	if ((code == ERR_NOT_FOUND) != (waiting_count == 0))
		return ERR_CORRUPT;
	if (code == ERR_NOT_FOUND)
		return 0;
	if (next.fence != 0)
		return ERR_CORRUPT;
	code = kv_ticket_lease(kv, &next, &lease);
	if (code != 0)
		return code;
	token = next.token;
	deadline_us = kv->now.time_us + lease.ttl_us;
	next.fence = kv->now.revision;
	next.waiting_count = waiting_count - 1;
	kv->now.changed = true;
	code = kv_ticket_store(kv, name, &next);
	return code != 0 ? code : kv_lease_prolong(kv, token, deadline_us);
}

/* One more waits for who holds it, or one less. */
static int
kv_lock_count(struct kv *kv, struct slice name, bool more)
{
	struct kv_ticket first;
	int code = kv_ticket_first(kv, name, &first);

	if (code == 0 && !more && first.waiting_count == 0)
		return ERR_CORRUPT;
	if (code != 0)
		return code == ERR_NOT_FOUND ? ERR_CORRUPT : code;
	if (more)
		first.waiting_count++;
	else
		first.waiting_count--;
	return kv_ticket_store(kv, name, &first);
}

int
kv_lock_leave(struct kv *kv, const struct kv_lease_record *lease)
{
	uint8_t key[KV_TICKET_KEY_SIZE_MAX];
	struct kv_ticket ticket;
	int code = kv_ticket_load(kv, lease, &ticket);

	if (code == 0)
		code = kv_table_delete(kv, KV_TABLE_LOCK,
		    kv_ticket_key(lease->lock, lease->ticket, key));
	if (code != 0)
		return code;
	if (ticket.fence == 0)
		return kv_lock_count(kv, lease->lock, false);
	return kv_lock_hand_over(kv, lease->lock, ticket.waiting_count);
}

/* ---- Commands ---- */

static int
kv_lock_refuse(
    struct kv *kv, const struct kv_ticket *first, struct kv_result *ret_result)
{
	struct kv_lease_record lease;
	struct kv_output output = { .kind = KV_OUTPUT_LOCK,
		.has_value = true,
		.value = first->holder,
		.modified = first->fence };
	int code = kv_ticket_lease(kv, first, &lease);

	if (code != 0)
		return code;
	output.ttl_us = lease.ttl_us;
	kv_output_add(kv, &output);
	return kv_fail(ret_result, KV_LOCK_HELD);
}

/* Takes the last place; `holds` if that is the first. */
static int
kv_lock_join(struct kv *kv, const struct kv_lock_request *request, bool holds)
{
	uint64_t lasts_us = holds ? request->ttl_us : request->wait_us;
	struct kv_lease_record lease = {
		.ttl_us = request->ttl_us,
		.deadline_us = kv->now.time_us + lasts_us,
		.lock = request->name,
		.ticket = kv->now.index,
	};
	struct kv_ticket ticket = {
		.number = kv->now.index,
		.token = request->token,
		.fence = holds ? kv->now.revision : 0,
		.holder = request->holder,
	};
	struct kv_output output = { .kind = KV_OUTPUT_LEASE,
		.lease = request->token,
		.ttl_us = request->ttl_us };
	int code;

	kv_output_add(kv, &output);
	code = kv_lease_make(kv, request->token, &lease);
	return code != 0 ? code : kv_ticket_store(kv, request->name, &ticket);
}

int
kv_run_lock(struct kv *kv, const struct kv_command *command,
    struct kv_result *ret_result)
{
	const struct kv_lock_request *request = &command->lock;
	struct kv_lease_record lease;
	struct kv_ticket first;
	int code = kv_lease_load(kv, request->token, &lease);

	if (code == 0)
		return kv_fail(ret_result, KV_LEASE_EXISTS);
	if (code != ERR_NOT_FOUND)
		return code;
	kv_succeed(ret_result);
	code = kv_ticket_first(kv, request->name, &first);
	if (code == ERR_NOT_FOUND) {
		kv->now.changed = true;
		return kv_lock_join(kv, request, true);
	}
	if (code != 0)
		return code;
	if (request->wait_us == 0)
		return kv_lock_refuse(kv, &first, ret_result);
	ret_result->succeeded = false;
	code = kv_lock_count(kv, request->name, true);
	return code != 0 ? code : kv_lock_join(kv, request, false);
}

int
kv_run_unlock(struct kv *kv, const struct kv_command *command,
    struct kv_result *ret_result)
{
	struct kv_lease_record lease;
	int code = kv_lease_load(kv, command->lock.token, &lease);

	if (code == ERR_NOT_FOUND)
		return kv_fail(ret_result, KV_LOCK_NOT_HELD);
	if (code != 0)
		return code;
	if (!slice_equal(lease.lock, command->lock.name))
		return kv_fail(ret_result, KV_LOCK_NOT_HELD);
	return kv_lease_revoke(kv, command->lock.token, ret_result);
}

/* ---- Reading ---- */

static int
kv_lock_read(struct kv *kv, struct slice name, struct kv_lock *ret_lock)
{
	struct kv_lease_record lease;
	struct kv_ticket first;
	int code = kv_ticket_first(kv, name, &first);

	if (code == 0)
		code = kv_ticket_lease(kv, &first, &lease);
	if (code != 0)
		return code;
	*ret_lock = (struct kv_lock){
		.token = first.token,
		.fence = first.fence,
		.holder = first.holder,
		.ttl_us = lease.ttl_us,
		.deadline_us = lease.deadline_us,
		.waiting_count = first.waiting_count,
	};
	return 0;
}

int
kv_get_lock(struct kv *kv, struct slice name, struct kv_lock *ret_lock)
{
	int code;

	if (kv->failed)
		return ERR_STOPPED;
	code = kv_lock_read(kv, name, ret_lock);
	return code == ERR_NOT_FOUND ? code : kv_note(kv, code);
}
