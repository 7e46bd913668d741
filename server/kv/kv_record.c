/*
 * A version: u8 flags, modified, ordinal, depth; with KV_FLAG_JUMP how much
 * lower the jump's revision and depth are, and its ordinal; unless it is gone
 * modified - created, version, the lease (u64) and the deadline if it has any,
 * and the value. A change: u8 type and whether there was a version before, the
 * time, the key with its size, that version. Numbers are of codec_append_varint
 * where nothing is said.
 */

#include "kv/kv_impl.h"

#include "common/hash.h"
#include "common/panic.h"

/* 1 had no history. */
#define KV_RECORD_VERSION 2

enum {
	KV_FLAG_GONE = 1 << 0,
	KV_FLAG_LEASE = 1 << 1,
	KV_FLAG_DEADLINE = 1 << 2,
	KV_FLAG_JUMP = 1 << 3 /* to another event than its own */
};
/* The content type is above them; the highest bit is 0. */
#define KV_FLAGS_CONTENT_SHIFT 4

#define KV_CHANGE_EXISTED 0x80 /* beside the type */

static uint32_t
kv_seal_crc(struct slice key, struct slice record)
{
	uint32_t crc = crc32c(0, key);

	ASSERT(record.size >= KV_SEAL_SIZE);
	crc = crc32c(crc, slice_of(record.data, 1));
	return crc32c(crc,
	    slice_of(record.data + KV_SEAL_SIZE, record.size - KV_SEAL_SIZE));
}

void
kv_seal_begin(struct buf *record)
{
	ASSERT(record->size == 0);
	codec_append_u8(record, KV_RECORD_VERSION);
	codec_append_u32(record, 0); /* the CRC, once the body is there */
}

void
kv_seal_end(struct buf *record, struct slice key)
{
	uint32_t crc = kv_seal_crc(key, buf_slice(record));

	codec_store_u32(record->data + 1, crc);
}

int
kv_unseal(struct slice key, struct slice record, struct slice *ret_body)
{
	if (record.size < KV_SEAL_SIZE)
		return ERR_CORRUPT;
	if (codec_load_u32(record.data + 1) != kv_seal_crc(key, record))
		return ERR_CORRUPT;
	if (record.data[0] == 0)
		return ERR_CORRUPT;
	if (record.data[0] != KV_RECORD_VERSION)
		return ERR_VERSION;
	*ret_body =
	    slice_of(record.data + KV_SEAL_SIZE, record.size - KV_SEAL_SIZE);
	return 0;
}

uint64_t
kv_record_hash(struct slice key, struct slice record)
{
	return hash64(hash64(0, key), record);
}

struct slice
kv_place_key(struct kv_place place, uint8_t to[KV_PLACE_SIZE])
{
	codec_store_u64(to, place.revision);
	codec_store_u32(to + sizeof(uint64_t), place.ordinal);
	return slice_of(to, KV_PLACE_SIZE);
}

int
kv_place_decode(struct slice key, struct kv_place *ret_place)
{
	if (key.size != KV_PLACE_SIZE)
		return ERR_CORRUPT;
	ret_place->revision = codec_load_u64(key.data);
	ret_place->ordinal = codec_load_u32(key.data + sizeof(uint64_t));
	return ret_place->revision == 0 ? ERR_CORRUPT : 0;
}

struct kv_place
kv_version_place(const struct kv_version *version)
{
	return (struct kv_place){ .revision = version->item.modified,
		.ordinal = version->ordinal };
}

static bool
kv_version_jumps(const struct kv_version *version)
{
	return version->jump.revision != version->item.modified ||
	       version->jump.ordinal != version->ordinal;
}

/* What must hold for the numbers of any version. */
static bool
kv_version_is_sound(const struct kv_version *version)
{
	const struct kv_item *item = &version->item;

	if (item->modified < 1 || version->jump.revision < 1 ||
	    version->jump.revision > item->modified ||
	    version->jump_depth > version->depth)
		return false;
	if (version->gone)
		return item->version == 0 && item->value.size == 0 &&
		       item->lease == 0 && item->deadline_us == 0;
	return item->created >= 1 && item->modified >= item->created &&
	       item->version >= 1 &&
	       item->version - 1 <= item->modified - item->created &&
	       item->content_type < KV_CONTENT_TYPES_COUNT;
}

static uint8_t
kv_version_flags(const struct kv_version *version)
{
	const struct kv_item *item = &version->item;
	unsigned flags = item->content_type << KV_FLAGS_CONTENT_SHIFT;

	if (version->gone)
		flags |= KV_FLAG_GONE;
	if (item->lease != 0)
		flags |= KV_FLAG_LEASE;
	if (item->deadline_us != 0)
		flags |= KV_FLAG_DEADLINE;
	if (kv_version_jumps(version))
		flags |= KV_FLAG_JUMP;
	return (uint8_t)flags;
}

static void
kv_item_encode(struct buf *to, const struct kv_item *item)
{
	codec_append_varint(to, item->modified - item->created);
	codec_append_varint(to, item->version);
	if (item->lease != 0)
		codec_append_u64(to, item->lease);
	if (item->deadline_us != 0)
		codec_append_varint(to, item->deadline_us);
	buf_append_slice(to, item->value);
}

void
kv_version_encode(struct buf *to, const struct kv_version *version)
{
	uint64_t modified = version->item.modified;

	ASSERT(kv_version_is_sound(version));
	codec_append_u8(to, kv_version_flags(version));
	codec_append_varint(to, modified);
	codec_append_varint(to, version->ordinal);
	codec_append_varint(to, version->depth);
	if (kv_version_jumps(version)) {
		codec_append_varint(to, modified - version->jump.revision);
		codec_append_varint(to, version->depth - version->jump_depth);
		codec_append_varint(to, version->jump.ordinal);
	}
	if (!version->gone)
		kv_item_encode(to, &version->item);
}

static uint32_t
kv_read_ordinal(struct codec_reader *reader)
{
	uint64_t ordinal = codec_read_varint(reader);

	if (ordinal > UINT32_MAX)
		reader->failed = true;
	return (uint32_t)ordinal;
}

static void
kv_read_jump(
    struct codec_reader *reader, unsigned flags, struct kv_version *version)
{
	uint64_t depth = version->depth;

	version->jump = kv_version_place(version);
	version->jump_depth = depth == 0 ? 0 : depth - 1;
	if ((flags & KV_FLAG_JUMP) == 0)
		return;
	/* What wraps around here is not sound. */
	version->jump.revision -= codec_read_varint(reader);
	version->jump_depth = depth - codec_read_varint(reader);
	version->jump.ordinal = kv_read_ordinal(reader);
	reader->failed = reader->failed || !kv_version_jumps(version);
}

static void
kv_read_item(struct codec_reader *reader, unsigned flags, struct kv_item *item)
{
	item->created = item->modified - codec_read_varint(reader);
	item->version = codec_read_varint(reader);
	if ((flags & KV_FLAG_LEASE) != 0) {
		item->lease = codec_read_u64(reader);
		reader->failed = reader->failed || item->lease == 0;
	}
	if ((flags & KV_FLAG_DEADLINE) != 0) {
		item->deadline_us = codec_read_varint(reader);
		reader->failed = reader->failed || item->deadline_us == 0;
	}
	item->content_type =
	    (enum kv_content_type)(flags >> KV_FLAGS_CONTENT_SHIFT);
	item->value = codec_read_raw(reader, reader->rest.size);
}

int
kv_version_decode(struct slice bytes, struct kv_version *ret_version)
{
	struct kv_version version = { .gone = false };
	struct codec_reader reader;
	unsigned flags;

	codec_reader_init(&reader, bytes);
	flags = codec_read_u8(&reader);
	version.gone = (flags & KV_FLAG_GONE) != 0;
	if (version.gone &&
	    (flags & ~(unsigned)(KV_FLAG_GONE | KV_FLAG_JUMP)) != 0)
		return ERR_CORRUPT;
	version.item.modified = codec_read_varint(&reader);
	version.ordinal = kv_read_ordinal(&reader);
	version.depth = codec_read_varint(&reader);
	kv_read_jump(&reader, flags, &version);
	if (!version.gone)
		kv_read_item(&reader, flags, &version.item);
	if (!codec_reader_done(&reader) || !kv_version_is_sound(&version))
		return ERR_CORRUPT;
	*ret_version = version;
	return 0;
}

void
kv_change_encode(struct buf *to, const struct kv_change *change)
{
	unsigned existed = change->existed ? KV_CHANGE_EXISTED : 0;

	codec_append_u8(to, (uint8_t)(change->type | existed));
	codec_append_varint(to, change->time_us);
	codec_append_sized(to, change->key);
	if (change->existed)
		kv_version_encode(to, &change->before);
}

int
kv_change_decode(struct slice bytes, struct kv_change *ret_change)
{
	struct kv_change change = { .existed = false };
	struct codec_reader reader;
	unsigned type;
	int code = 0;

	codec_reader_init(&reader, bytes);
	type = codec_read_u8(&reader);
	change.existed = (type & KV_CHANGE_EXISTED) != 0;
	type &= ~(unsigned)KV_CHANGE_EXISTED;
	change.type = (enum kv_event_type)type;
	change.time_us = codec_read_varint(&reader);
	change.key = codec_read_sized(&reader);
	if (reader.failed || type < KV_EVENT_PUT || type > KV_EVENT_EXPIRE ||
	    change.key.size < 1 || change.key.size > KV_KEY_SIZE_MAX)
		return ERR_CORRUPT;
	if (change.existed)
		code = kv_version_decode(reader.rest, &change.before);
	else if (reader.rest.size != 0)
		code = ERR_CORRUPT;
	if (code == 0)
		*ret_change = change;
	return code;
}

struct slice
kv_state_key(void)
{
	return slice_from_text("state");
}

void
kv_state_encode(struct buf *record, const struct kv_state *state)
{
	ASSERT(state->revision <= state->applied_index);
	ASSERT(state->compacted <= state->revision);
	kv_seal_begin(record);
	codec_append_u64(record, state->applied_index);
	codec_append_u64(record, state->revision);
	codec_append_u64(record, state->cluster_time_us);
	codec_append_u64(record, state->compacted);
	codec_append_u64(record, state->live_bytes);
	for (unsigned i = 0; i < KV_TABLES_COUNT; i++) {
		codec_append_u64(record, state->sums[i].count);
		codec_append_u64(record, state->sums[i].bytes);
		codec_append_u64(record, state->sums[i].hash);
	}
	kv_seal_end(record, kv_state_key());
}

int
kv_state_decode(struct slice record, struct kv_state *ret_state)
{
	struct codec_reader reader;
	struct kv_state state;
	struct slice body;
	int code = kv_unseal(kv_state_key(), record, &body);

	if (code != 0)
		return code;
	codec_reader_init(&reader, body);
	state.applied_index = codec_read_u64(&reader);
	state.revision = codec_read_u64(&reader);
	state.cluster_time_us = codec_read_u64(&reader);
	state.compacted = codec_read_u64(&reader);
	state.live_bytes = codec_read_u64(&reader);
	for (unsigned i = 0; i < KV_TABLES_COUNT; i++) {
		state.sums[i].count = codec_read_u64(&reader);
		state.sums[i].bytes = codec_read_u64(&reader);
		state.sums[i].hash = codec_read_u64(&reader);
	}
	if (!codec_reader_done(&reader))
		return ERR_CORRUPT;
	if (state.revision > state.applied_index ||
	    state.compacted > state.revision)
		return ERR_CORRUPT;
	*ret_state = state;
	return 0;
}

uint64_t
kv_state_digest(const struct kv_state *state)
{
	uint8_t bytes[(4 + KV_TABLES_COUNT) * sizeof(uint64_t)];
	uint8_t *to = bytes;

	codec_store_u64(to, state->applied_index);
	codec_store_u64(to += sizeof(uint64_t), state->revision);
	codec_store_u64(to += sizeof(uint64_t), state->cluster_time_us);
	codec_store_u64(to += sizeof(uint64_t), state->compacted);
	/* Nodes have records of their own in the first table. */
	for (unsigned i = KV_TABLE_META + 1; i < KV_TABLES_COUNT; i++)
		codec_store_u64(to += sizeof(uint64_t), state->sums[i].hash);
	return hash64(0, slice_of(bytes, (size_t)(to - bytes) + 8));
}
