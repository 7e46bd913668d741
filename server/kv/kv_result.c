/*
 * Results as bytes: u8 version, u8 status, u8 flags, revision, op, outputs. An
 * output: u8 kind, u16 of the fields that it has, its index, then those fields
 * in the order of struct kv_output. Numbers are of codec_append_varint.
 */

#include "kv/kv_impl.h"

#define KV_RESULT_VERSION 1

enum { KV_RESULT_SUCCEEDED = 1 << 0, KV_RESULT_CHANGED = 1 << 1 };

enum {
	KV_OUT_EXISTS = 1 << 0,
	KV_OUT_VALUE = 1 << 1,
	KV_OUT_MORE = 1 << 2,
	KV_OUT_KEY = 1 << 3,
	KV_OUT_CONTENT = 1 << 4,
	KV_OUT_MODIFIED = 1 << 5,
	KV_OUT_CREATED = 1 << 6,
	KV_OUT_VERSION = 1 << 7,
	KV_OUT_LEASE = 1 << 8,
	KV_OUT_TTL = 1 << 9,
	KV_OUT_COUNT = 1 << 10,
	KV_OUT_ALL = (1 << 11) - 1
};

static unsigned
kv_output_fields(const struct kv_output *output)
{
	unsigned fields = 0;

	fields |= output->exists ? KV_OUT_EXISTS : 0;
	fields |= output->has_value ? KV_OUT_VALUE : 0;
	fields |= output->more ? KV_OUT_MORE : 0;
	fields |= output->key.size != 0 ? KV_OUT_KEY : 0;
	fields |= output->content_type != 0 ? KV_OUT_CONTENT : 0;
	fields |= output->modified != 0 ? KV_OUT_MODIFIED : 0;
	fields |= output->created != 0 ? KV_OUT_CREATED : 0;
	fields |= output->version != 0 ? KV_OUT_VERSION : 0;
	fields |= output->lease != 0 ? KV_OUT_LEASE : 0;
	fields |= output->ttl_us != 0 ? KV_OUT_TTL : 0;
	fields |= output->count != 0 ? KV_OUT_COUNT : 0;
	return fields;
}

static void
kv_append_number(struct buf *to, uint64_t number)
{
	if (number != 0)
		codec_append_varint(to, number);
}

void
kv_output_add(struct kv *kv, const struct kv_output *output)
{
	struct buf *to = &kv->outputs;

	codec_append_u8(to, (uint8_t)output->kind);
	codec_append_u16(to, (uint16_t)kv_output_fields(output));
	codec_append_varint(to, output->index);
	if (output->key.size != 0)
		codec_append_sized(to, output->key);
	if (output->has_value)
		codec_append_sized(to, output->value);
	kv_append_number(to, output->content_type);
	kv_append_number(to, output->modified);
	kv_append_number(to, output->created);
	kv_append_number(to, output->version);
	kv_append_number(to, output->lease);
	kv_append_number(to, output->ttl_us);
	kv_append_number(to, output->count);
}

static uint64_t
kv_read_number(struct codec_reader *reader, unsigned fields, unsigned field)
{
	return (fields & field) != 0 ? codec_read_varint(reader) : 0;
}

static struct slice
kv_read_bytes(struct codec_reader *reader, unsigned fields, unsigned field)
{
	struct slice none = { 0 };

	return (fields & field) != 0 ? codec_read_sized(reader) : none;
}

int
kv_output_next(struct slice *outputs, struct kv_output *ret_output)
{
	struct kv_output output = { 0 };
	struct codec_reader reader;
	uint64_t content;
	uint64_t index;
	unsigned fields;

	if (outputs->size == 0)
		return ERR_NOT_FOUND;
	codec_reader_init(&reader, *outputs);
	output.kind = (enum kv_output_kind)codec_read_u8(&reader);
	fields = codec_read_u16(&reader);
	index = codec_read_varint(&reader);
	output.index = (uint32_t)index;
	output.exists = (fields & KV_OUT_EXISTS) != 0;
	output.has_value = (fields & KV_OUT_VALUE) != 0;
	output.more = (fields & KV_OUT_MORE) != 0;
	output.key = kv_read_bytes(&reader, fields, KV_OUT_KEY);
	output.value = kv_read_bytes(&reader, fields, KV_OUT_VALUE);
	content = kv_read_number(&reader, fields, KV_OUT_CONTENT);
	output.content_type = (enum kv_content_type)content;
	output.modified = kv_read_number(&reader, fields, KV_OUT_MODIFIED);
	output.created = kv_read_number(&reader, fields, KV_OUT_CREATED);
	output.version = kv_read_number(&reader, fields, KV_OUT_VERSION);
	output.lease = kv_read_number(&reader, fields, KV_OUT_LEASE);
	output.ttl_us = kv_read_number(&reader, fields, KV_OUT_TTL);
	output.count = kv_read_number(&reader, fields, KV_OUT_COUNT);
	if (reader.failed || fields > KV_OUT_ALL ||
	    fields != kv_output_fields(&output) ||
	    output.kind < KV_OUTPUT_CONDITION || output.kind > KV_OUTPUT_LOCK ||
	    index > UINT32_MAX || content >= KV_CONTENT_TYPES_COUNT)
		return ERR_CORRUPT;
	*outputs = reader.rest;
	*ret_output = output;
	return 0;
}

void
kv_result_encode(struct buf *to, const struct kv_result *result)
{
	unsigned flags = 0;

	flags |= result->succeeded ? KV_RESULT_SUCCEEDED : 0;
	flags |= result->changed ? KV_RESULT_CHANGED : 0;
	codec_append_u8(to, KV_RESULT_VERSION);
	codec_append_u8(to, (uint8_t)result->status);
	codec_append_u8(to, (uint8_t)flags);
	codec_append_varint(to, result->revision);
	codec_append_varint(to, result->op);
	buf_append_slice(to, result->outputs);
}

int
kv_result_decode(struct slice bytes, struct kv_result *ret_result)
{
	struct kv_result result = { .replayed = false };
	struct codec_reader reader;
	unsigned version;
	unsigned status;
	unsigned flags;
	uint64_t op;

	codec_reader_init(&reader, bytes);
	version = codec_read_u8(&reader);
	status = codec_read_u8(&reader);
	flags = codec_read_u8(&reader);
	result.revision = codec_read_varint(&reader);
	op = codec_read_varint(&reader);
	if (version > KV_RESULT_VERSION)
		return ERR_VERSION;
	if (reader.failed || version != KV_RESULT_VERSION ||
	    status > KV_REUSED || op > UINT32_MAX ||
	    flags > (KV_RESULT_SUCCEEDED | KV_RESULT_CHANGED))
		return ERR_CORRUPT;
	result.status = (enum kv_status)status;
	result.succeeded = (flags & KV_RESULT_SUCCEEDED) != 0;
	result.changed = (flags & KV_RESULT_CHANGED) != 0;
	result.op = (uint32_t)op;
	result.outputs = reader.rest;
	*ret_result = result;
	return 0;
}
