#include "api/api_import.h"
#include "common/base64.h"
#include "common/codec.h"

/* The keys of one transaction of an import. */

/* Beside keys and values: what an entry has in its batch. */
bool
api_batch_has_room(
    const struct api_import *import, const struct api_entry *entry)
{
	const struct api_batch *batch = &import->batch;
	size_t count_max = import->call->query.if_absent ? API_BATCH_ABSENT_MAX
							 : API_BATCH_KEYS_MAX;

	return batch->count == 0 ||
	       (batch->count < count_max &&
		   batch->bytes + entry->key.size + entry->value.size <=
		       API_BATCH_BYTES_MAX);
}

void
api_batch_add(struct api_batch *batch, const struct api_entry *entry)
{
	codec_append_bytes(&batch->entries, entry->key);
	codec_append_bytes(&batch->entries, entry->value);
	codec_append_u8(&batch->entries, (uint8_t)entry->content_type);
	codec_append_u64(&batch->entries, entry->ttl_us);
	batch->skipped[batch->count++] = false;
	batch->bytes += entry->key.size + entry->value.size;
}

void
api_batch_reset(struct api_batch *batch)
{
	buf_reset(&batch->entries);
	batch->count = 0;
	batch->bytes = 0;
	batch->skipped_count = 0;
}

static void
read_entry(const struct api_batch *batch, struct api_batch_place *place,
    struct api_entry *ret_entry)
{
	struct codec_reader reader;

	codec_reader_init(&reader, slice_of(batch->entries.data + place->offset,
				       batch->entries.size - place->offset));
	ret_entry->key = codec_read_bytes(&reader);
	ret_entry->value = codec_read_bytes(&reader);
	ret_entry->content_type = (enum kv_content_type)codec_read_u8(&reader);
	ret_entry->ttl_us = codec_read_u64(&reader);
	place->offset = batch->entries.size - reader.rest.size;
	place->index++;
}

bool
api_batch_next(const struct api_batch *batch, struct api_batch_place *place,
    struct api_entry *ret_entry)
{
	while (place->index < batch->count) {
		bool is_skipped = batch->skipped[place->index];

		read_entry(batch, place, ret_entry);
		if (!is_skipped)
			return true;
	}
	return false;
}

bool
api_batch_has(const struct api_batch *batch, struct slice key)
{
	struct api_batch_place place = { 0 };
	struct api_entry entry;

	while (api_batch_next(batch, &place, &entry)) {
		if (slice_equal(entry.key, key))
			return true;
	}
	return false;
}

void
api_batch_skip(
    struct api_batch *batch, const bool *is_left_skipped, size_t left_count)
{
	size_t left = 0;

	for (size_t i = 0; i < batch->count && left < left_count; i++) {
		if (batch->skipped[i] || !is_left_skipped[left++])
			continue;
		batch->skipped[i] = true;
		batch->skipped_count++;
	}
}

static void
encode_absent(const struct api_batch *batch, struct buf *command)
{
	struct api_batch_place place = { 0 };
	struct api_entry entry;

	while (api_batch_next(batch, &place, &entry))
		kv_encode_condition(command, &(struct kv_condition){
						 .key = entry.key,
						 .target = KV_TARGET_VERSION,
						 .relation = KV_EQUAL,
						 .number = 0,
					     });
}

void
api_batch_encode(
    const struct api_batch *batch, bool if_absent, struct buf *command)
{
	struct api_batch_place place = { 0 };
	struct api_entry entry;

	kv_encode_transaction(command, NULL);
	if (if_absent)
		encode_absent(batch, command);
	while (api_batch_next(batch, &place, &entry))
		kv_encode_op(command, KV_THEN,
		    &(struct kv_op){
			.kind = KV_PUT,
			.key = entry.key,
			.value = entry.value,
			.content_type = entry.content_type,
			.lifetime = entry.ttl_us != 0 ? KV_LIFETIME_TTL
						      : KV_LIFETIME_NONE,
			.ttl_us = entry.ttl_us,
		    });
}

static void
append_base64(struct buf *to, const char *name, struct slice bytes)
{
	buf_printf(to, "\"%s_base64\":\"", name);
	base64_encode(to, bytes);
	buf_append_text(to, "\"");
}

static void
append_put(struct buf *to, const struct api_entry *entry)
{
	const char *type = api_content_type_text(entry->content_type);

	append_base64(to, "put", entry->key);
	buf_append_text(to, ",");
	append_base64(to, "value", entry->value);
	if (entry->ttl_us != 0) {
		buf_append_text(to, ",\"ttl\":");
		api_append_seconds(to, entry->ttl_us);
	}
	if (type != NULL)
		buf_printf(to, ",\"content_type\":\"%s\"", type);
}

/* All in base64, so that its size is known: text may be six times as long. */
void
api_batch_append_json(
    const struct api_batch *batch, bool if_absent, struct buf *to)
{
	struct api_batch_place place = { 0 };
	struct api_entry entry;
	const char *before = "{";

	buf_append_text(to, "{\"if\":[");
	while (if_absent && api_batch_next(batch, &place, &entry)) {
		buf_append_text(to, before);
		append_base64(to, "key", entry.key);
		buf_append_text(to, ",\"exists\":false}");
		before = ",{";
	}
	buf_append_text(to, "],\"then\":[");
	place = (struct api_batch_place){ 0 };
	before = "{";
	while (api_batch_next(batch, &place, &entry)) {
		buf_append_text(to, before);
		append_put(to, &entry);
		buf_append_text(to, "}");
		before = ",{";
	}
	buf_append_text(to, "]}\n");
}

uint64_t
api_batch_growth(const struct api_batch *batch, struct api *api)
{
	struct api_batch_place place = { 0 };
	struct api_entry entry;
	uint64_t added = 0;

	while (api_batch_next(batch, &place, &entry))
		added += api_growth(api, entry.key, entry.value.size);
	return added;
}
