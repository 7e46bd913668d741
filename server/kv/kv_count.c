/*
 * Records, one after the other, as a check of all of them: what each must be on
 * its own, what all come to, and whether those of one table agree with those of
 * another.
 *
 * For the last, each thing that two tables tell of has a link, a hash of what
 * they both know of it, which one table adds and the other takes away. So all
 * links come to 0 if and only if (but for chance) nothing is told of by one
 * alone, in whatever order records come, and at the cost of a hash for each:
 *
 *	event      added for each version of a key, also those that events hold;
 *	           taken away by the event that wrote it, the only one there is.
 *	           None of revisions that are compacted
 *	deadline   added by the key or lease, taken away by its entry
 *	attached   added by the key, taken away by its entry
 *	lease      added by a lease for each key that it counts, taken away by
 *	           that key's entry; likewise for each byte that it counts, by
 *	           that key
 *	ticket     added by the lease, taken away by its ticket
 *	replay     added by the answer, taken away by its place in the order
 */

#include "kv/kv_impl.h"

#include "common/hash.h"
#include "common/panic.h"

enum kv_link {
	KV_LINK_EVENT = 1,
	KV_LINK_DEADLINE,
	KV_LINK_ATTACHED,
	KV_LINK_LEASE,
	KV_LINK_LEASE_BYTES,
	KV_LINK_TICKET,
	KV_LINK_REPLAY
};

static uint64_t
kv_link(enum kv_link link, uint64_t number, uint64_t other, struct slice name)
{
	uint8_t numbers[2 * sizeof(uint64_t)];

	codec_store_u64(numbers, number);
	codec_store_u64(numbers + sizeof(number), other);
	return hash64(hash64(link, slice_of(numbers, sizeof(numbers))), name);
}

static bool
kv_is_key(struct slice key)
{
	return key.size >= 1 && key.size <= KV_KEY_SIZE_MAX;
}

/* ---- Keys and their history ---- */

static uint64_t
kv_event_link(
    const struct kv_count *count, struct kv_place place, struct slice key)
{
	if (place.revision <= count->state.compacted)
		return 0;
	return kv_link(KV_LINK_EVENT, place.revision, place.ordinal, key);
}

/* A version in "kv" or "gone". */
static int
kv_count_version(struct kv_count *count, struct slice key, struct slice body,
    bool gone, struct kv_item *ret_item)
{
	struct kv_version version;
	int code = kv_version_decode(body, &version);

	if (code != 0)
		return code;
	if (!kv_is_key(key) || version.gone != gone ||
	    version.item.modified > count->state.revision)
		return ERR_CORRUPT;
	count->links += kv_event_link(count, kv_version_place(&version), key);
	*ret_item = version.item;
	return 0;
}

static void
kv_count_leased(
    struct kv_count *count, struct slice key, const struct kv_item *item)
{
	uint64_t bytes = key.size + item->value.size;

	count->links += kv_link(KV_LINK_ATTACHED, item->lease, 0, key);
	count->links -= bytes * kv_link(KV_LINK_LEASE_BYTES, item->lease, 0,
				    slice_of(NULL, 0));
}

static int
kv_count_kv(struct kv_count *count, struct slice key, struct slice body)
{
	struct kv_item item;
	int code = kv_count_version(count, key, body, false, &item);

	if (code != 0)
		return code;
	count->live_bytes += key.size + item.value.size;
	if (item.deadline_us != 0)
		count->links += kv_link(
		    KV_LINK_DEADLINE, item.deadline_us, KV_DEADLINE_KEY, key);
	if (item.lease != 0)
		kv_count_leased(count, key, &item);
	return 0;
}

static int
kv_count_gone(struct kv_count *count, struct slice key, struct slice body)
{
	struct kv_item item;

	return kv_count_version(count, key, body, true, &item);
}

/* Can an event of this type come after that version? */
static bool
kv_change_is_sound(const struct kv_change *change, struct kv_place place)
{
	if (change->existed && change->before.item.modified >= place.revision)
		return false;
	return change->type == KV_EVENT_PUT ||
	       (change->existed && !change->before.gone);
}

static int
kv_count_history(struct kv_count *count, struct slice key, struct slice body)
{
	struct kv_place place;
	struct kv_change change;
	int code = kv_place_decode(key, &place);

	if (code == 0)
		code = kv_change_decode(body, &change);
	if (code != 0)
		return code;
	if (place.revision > count->state.revision ||
	    change.time_us > count->state.cluster_time_us ||
	    !kv_change_is_sound(&change, place))
		return ERR_CORRUPT;
	count->links -= kv_event_link(count, place, change.key);
	if (change.existed)
		count->links += kv_event_link(
		    count, kv_version_place(&change.before), change.key);
	return 0;
}

/* ---- Deadlines, leases, locks ---- */

static int
kv_count_deadline(struct kv_count *count, struct slice key, struct slice body)
{
	struct kv_deadline deadline;
	int code = kv_deadline_decode(key, &deadline);

	if (code != 0)
		return code;
	if (body.size != 0)
		return ERR_CORRUPT;
	count->links -= kv_link(
	    KV_LINK_DEADLINE, deadline.time_us, deadline.kind, deadline.name);
	return 0;
}

/* The number that is all of a key. */
static int
kv_number_decode(struct slice key, uint64_t *ret_number)
{
	if (key.size != sizeof(*ret_number))
		return ERR_CORRUPT;
	*ret_number = codec_load_u64(key.data);
	return *ret_number == 0 ? ERR_CORRUPT : 0;
}

static int
kv_count_lease(struct kv_count *count, struct slice key, struct slice body)
{
	struct kv_lease_record lease;
	uint64_t id;
	int code = kv_number_decode(key, &id);

	if (code == 0)
		code = kv_lease_decode(body, &lease);
	if (code != 0)
		return code;
	count->links += kv_link(
	    KV_LINK_DEADLINE, lease.deadline_us, KV_DEADLINE_LEASE, key);
	count->links +=
	    lease.keys_count * kv_link(KV_LINK_LEASE, id, 0, slice_of(NULL, 0));
	count->links += lease.keys_bytes *
			kv_link(KV_LINK_LEASE_BYTES, id, 0, slice_of(NULL, 0));
	if (lease.lock.size != 0)
		count->links +=
		    kv_link(KV_LINK_TICKET, lease.ticket, id, lease.lock);
	return 0;
}

static int
kv_count_attached(struct kv_count *count, struct slice key, struct slice body)
{
	struct codec_reader reader;
	uint64_t id;

	codec_reader_init(&reader, key);
	id = codec_read_u64(&reader);
	if (reader.failed || id == 0 || !kv_is_key(reader.rest) ||
	    body.size != 0)
		return ERR_CORRUPT;
	count->links -= kv_link(KV_LINK_ATTACHED, id, 0, reader.rest);
	count->links -= kv_link(KV_LINK_LEASE, id, 0, slice_of(NULL, 0));
	return 0;
}

static int
kv_count_lock(struct kv_count *count, struct slice key, struct slice body)
{
	struct codec_reader reader;
	struct kv_ticket ticket;
	struct slice name;
	uint64_t number;
	int code = kv_ticket_decode(body, &ticket);

	if (code != 0)
		return code;
	codec_reader_init(&reader, key);
	name = codec_read_raw(&reader, codec_read_u16(&reader));
	number = codec_read_u64(&reader);
	if (!codec_reader_done(&reader) || name.size == 0 ||
	    name.size > KV_LOCK_NAME_SIZE_MAX ||
	    number > count->state.applied_index ||
	    ticket.fence > count->state.revision)
		return ERR_CORRUPT;
	count->links -= kv_link(KV_LINK_TICKET, number, ticket.token, name);
	return 0;
}

/* ---- Replays ---- */

static bool
kv_is_identity(struct slice key)
{
	return key.size >= 1 && key.size <= KV_IDENTITY_SIZE_MAX;
}

static int
kv_count_replay(struct kv_count *count, struct slice key, struct slice body)
{
	struct kv_replay replay;
	struct kv_result result;
	int code = kv_replay_decode(body, &replay);

	if (code == 0)
		code = kv_result_decode(replay.result, &result);
	if (code != 0)
		return code;
	if (!kv_is_identity(key) || result.revision > count->state.revision)
		return ERR_CORRUPT;
	count->links += kv_link(KV_LINK_REPLAY, replay.index, 0, key);
	return 0;
}

static int
kv_count_order(struct kv_count *count, struct slice key, struct slice body)
{
	uint64_t index;
	int code = kv_number_decode(key, &index);

	if (code != 0)
		return code;
	if (!kv_is_identity(body) || index > count->state.applied_index)
		return ERR_CORRUPT;
	count->links -= kv_link(KV_LINK_REPLAY, index, 0, body);
	return 0;
}

/* ---- All of them ---- */

static int
kv_count_meta(struct kv_count *count, struct slice key, struct slice body)
{
	(void)count;
	return kv_meta_is_key(key) && body.size <= KV_META_SIZE_MAX
		   ? 0
		   : ERR_CORRUPT;
}

static int (*const kv_counters[KV_TABLES_COUNT])(
    struct kv_count *count, struct slice key, struct slice body) = {
	[KV_TABLE_META] = kv_count_meta,
	[KV_TABLE_KV] = kv_count_kv,
	[KV_TABLE_GONE] = kv_count_gone,
	[KV_TABLE_HISTORY] = kv_count_history,
	[KV_TABLE_DEADLINE] = kv_count_deadline,
	[KV_TABLE_LEASE] = kv_count_lease,
	[KV_TABLE_ATTACHED] = kv_count_attached,
	[KV_TABLE_LOCK] = kv_count_lock,
	[KV_TABLE_REPLAY] = kv_count_replay,
	[KV_TABLE_ORDER] = kv_count_order,
};

void
kv_count_begin(struct kv_count *count, const struct kv_state *state)
{
	*count = (struct kv_count){ .state = *state };
}

int
kv_count_record(struct kv_count *count, unsigned table, struct slice key,
    struct slice record)
{
	struct kv_state state;
	struct slice body;
	int code;

	ASSERT(table < KV_TABLES_COUNT);
	/* It has the sums, and so is in none. */
	if (table == KV_TABLE_META && slice_equal(key, kv_state_key()))
		return kv_state_decode(record, &state);
	code = kv_unseal(key, record, &body);
	if (code == 0)
		code = kv_counters[table](count, key, body);
	if (code == 0)
		kv_sum_add(&count->sums[table], key, record);
	return code;
}

bool
kv_count_agrees(const struct kv_count *count, const struct kv_state *state)
{
	for (unsigned i = 0; i < KV_TABLES_COUNT; i++) {
		const struct kv_sum *a = &count->sums[i];
		const struct kv_sum *b = &state->sums[i];

		if (a->count != b->count || a->bytes != b->bytes ||
		    a->hash != b->hash)
			return false;
	}
	return count->live_bytes == state->live_bytes && count->links == 0;
}
