/*
 * A command is: u8 version, u8 op, then the op's fields: a put has key and
 * value, a delete the key, each a u32 length and the bytes. Its integrity is
 * the log record's business.
 */

#include "kv/kv_impl.h"

#include "common/panic.h"

#define KV_COMMAND_VERSION 1

static void
kv_encode_head(struct buf *to, enum kv_op op, struct slice key)
{
	ASSERT(key.size >= 1);
	ASSERT(key.size <= KV_KEY_SIZE_MAX);
	codec_append_u8(to, KV_COMMAND_VERSION);
	codec_append_u8(to, (uint8_t)op);
	codec_append_bytes(to, key);
}

void
kv_encode_put(struct buf *to, struct slice key, struct slice value)
{
	ASSERT(value.size <= UINT32_MAX);
	kv_encode_head(to, KV_OP_PUT, key);
	codec_append_bytes(to, value);
}

void
kv_encode_delete(struct buf *to, struct slice key)
{
	kv_encode_head(to, KV_OP_DELETE, key);
}

int
kv_command_decode(struct slice bytes, struct kv_command *ret_command)
{
	struct kv_command command = { 0 };
	struct codec_reader reader;
	uint8_t version;
	uint8_t op;

	codec_reader_init(&reader, bytes);
	version = codec_read_u8(&reader);
	if (version > KV_COMMAND_VERSION)
		return ERR_VERSION;
	if (version != KV_COMMAND_VERSION)
		return ERR_CORRUPT;
	op = codec_read_u8(&reader);
	if (op != KV_OP_PUT && op != KV_OP_DELETE)
		return ERR_CORRUPT;
	command.op = (enum kv_op)op;
	command.key = codec_read_bytes(&reader);
	if (command.op == KV_OP_PUT)
		command.value = codec_read_bytes(&reader);
	if (!codec_reader_done(&reader))
		return ERR_CORRUPT;
	if (command.key.size < 1 || command.key.size > KV_KEY_SIZE_MAX)
		return ERR_CORRUPT;
	*ret_command = command;
	return 0;
}
