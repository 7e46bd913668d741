#include "kv/kv_impl.h"

#include "common/hash.h"
#include "common/panic.h"

#define KV_RECORD_VERSION 1

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
	if (record.data[0] > KV_RECORD_VERSION)
		return ERR_VERSION;
	if (record.data[0] != KV_RECORD_VERSION)
		return ERR_CORRUPT;
	*ret_body =
	    slice_of(record.data + KV_SEAL_SIZE, record.size - KV_SEAL_SIZE);
	return 0;
}

uint64_t
kv_record_hash(struct slice key, struct slice record)
{
	return hash64(hash64(0, key), record);
}

/* What must hold for the numbers of any key. */
static bool
kv_item_is_sound(const struct kv_item *item)
{
	return item->created >= 1 && item->modified >= item->created &&
	       item->version >= 1 &&
	       item->version - 1 <= item->modified - item->created;
}

void
kv_item_encode(struct buf *record, struct slice key, const struct kv_item *item)
{
	ASSERT(kv_item_is_sound(item));
	kv_seal_begin(record);
	codec_append_u64(record, item->created);
	codec_append_u64(record, item->modified);
	codec_append_u64(record, item->version);
	buf_append_slice(record, item->value);
	kv_seal_end(record, key);
}

int
kv_item_decode(struct slice key, struct slice record, struct kv_item *ret_item)
{
	struct codec_reader reader;
	struct kv_item item;
	struct slice body;
	int code = kv_unseal(key, record, &body);

	if (code != 0)
		return code;
	codec_reader_init(&reader, body);
	item.created = codec_read_u64(&reader);
	item.modified = codec_read_u64(&reader);
	item.version = codec_read_u64(&reader);
	item.value = reader.rest;
	if (reader.failed || !kv_item_is_sound(&item))
		return ERR_CORRUPT;
	*ret_item = item;
	return 0;
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
	kv_seal_begin(record);
	codec_append_u64(record, state->applied_index);
	codec_append_u64(record, state->revision);
	codec_append_u64(record, state->cluster_time_us);
	codec_append_u64(record, state->keys_count);
	codec_append_u64(record, state->live_bytes);
	codec_append_u64(record, state->records_hash);
	codec_append_u64(record, state->metas_count);
	codec_append_u64(record, state->metas_hash);
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
	state.keys_count = codec_read_u64(&reader);
	state.live_bytes = codec_read_u64(&reader);
	state.records_hash = codec_read_u64(&reader);
	state.metas_count = codec_read_u64(&reader);
	state.metas_hash = codec_read_u64(&reader);
	if (!codec_reader_done(&reader))
		return ERR_CORRUPT;
	if (state.revision > state.applied_index)
		return ERR_CORRUPT;
	*ret_state = state;
	return 0;
}

uint64_t
kv_state_digest(const struct kv_state *state)
{
	uint8_t bytes[3 * sizeof(uint64_t)];

	codec_store_u64(bytes, state->applied_index);
	codec_store_u64(bytes + 8, state->revision);
	codec_store_u64(bytes + 16, state->records_hash);
	return hash64(0, slice_of(bytes, sizeof(bytes)));
}
