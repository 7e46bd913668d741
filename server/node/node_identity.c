#include "node/node_identity.h"

#include "common/codec.h"
#include "common/hash.h"
#include "common/macros.h"
#include "node/node_log.h"
#include "node/node_members.h"

enum { IDENTITY_VERSION = 3 };

static struct slice
identity_key(void)
{
	return slice_from_text("identity");
}

static void
read_nonce(struct codec_reader *reader, uint8_t nonce[NODE_NONCE_SIZE])
{
	struct slice bytes = codec_read_raw(reader, NODE_NONCE_SIZE);

	if (!reader->failed)
		memcpy(nonce, bytes.data, NODE_NONCE_SIZE);
}

static void
read_name(struct codec_reader *reader, char *to, size_t size_max)
{
	struct slice text = codec_read_bytes(reader);

	if (text.size > size_max) {
		reader->failed = true;
		return;
	}
	if (text.size != 0)
		memcpy(to, text.data, text.size);
	to[text.size] = '\0';
}

static void
read_identity(struct codec_reader *reader, struct node_identity *identity)
{
	uint8_t stage = codec_read_u8(reader);

	if (stage > NODE_STAGE_OUTDATED) {
		reader->failed = true;
		return;
	}
	identity->stage = (enum node_stage)stage;
	read_name(reader, identity->cluster, NODE_CLUSTER_SIZE_MAX);
	read_name(reader, identity->name, NODE_NAME_SIZE_MAX);
	read_nonce(reader, identity->directory);
	identity->id = codec_read_u64(reader);
	read_nonce(reader, identity->cluster_id);
	identity->members_index = codec_read_u64(reader);
	identity->incarnation = codec_read_u64(reader);
	for (unsigned i = 0; i < ARRAY_COUNT(identity->boot_ids); i++)
		identity->boot_ids[i] = codec_read_u64(reader);
	identity->generation = codec_read_u32(reader);
	if (stage != NODE_STAGE_JOINING)
		node_members_read(reader, &identity->members);
}

/* Whoever is somebody is in its own list. */
static bool
is_consistent(const struct node_identity *identity)
{
	const struct node_member *self =
	    node_members_find(&identity->members, identity->id);

	if (identity->stage == NODE_STAGE_JOINING)
		return identity->id == 0;
	return self != NULL && strcmp(self->name, identity->name) == 0;
}

static int
decode(struct slice bytes, struct node_identity *ret_identity)
{
	struct node_identity identity = { .id = 0 };
	struct codec_reader reader;
	struct slice summed;

	if (bytes.size < 4)
		return ERR_CORRUPT;
	summed = slice_of(bytes.data, bytes.size - 4);
	if (codec_load_u32(bytes.data + summed.size) != crc32c(0, summed))
		return ERR_CORRUPT;
	codec_reader_init(&reader, summed);
	if (codec_read_u8(&reader) != IDENTITY_VERSION)
		return ERR_VERSION;
	read_identity(&reader, &identity);
	if (!codec_reader_done(&reader) || !is_consistent(&identity))
		return ERR_CORRUPT;
	*ret_identity = identity;
	return 0;
}

int
node_identity_load(struct store *log, struct node_identity *ret_identity)
{
	struct store_txn *txn;
	struct slice bytes;
	int error;

	error = store_begin(log, false, &txn);
	if (error != 0)
		return error;
	error = store_get(txn, NODE_TABLE_IDENTITY, identity_key(), &bytes);
	if (error == 0)
		error = decode(bytes, ret_identity);
	store_abort(txn);
	return error;
}

static void
encode(struct buf *to, const struct node_identity *identity)
{
	codec_append_u8(to, IDENTITY_VERSION);
	codec_append_u8(to, (uint8_t)identity->stage);
	codec_append_bytes(to, slice_from_text(identity->cluster));
	codec_append_bytes(to, slice_from_text(identity->name));
	buf_append(to, identity->directory, NODE_NONCE_SIZE);
	codec_append_u64(to, identity->id);
	buf_append(to, identity->cluster_id, NODE_NONCE_SIZE);
	codec_append_u64(to, identity->members_index);
	codec_append_u64(to, identity->incarnation);
	for (unsigned i = 0; i < ARRAY_COUNT(identity->boot_ids); i++)
		codec_append_u64(to, identity->boot_ids[i]);
	codec_append_u32(to, identity->generation);
	if (identity->stage != NODE_STAGE_JOINING)
		node_members_append(to, &identity->members);
	codec_append_u32(to, crc32c(0, buf_slice(to)));
}

int
node_identity_write(struct store_txn *txn, const struct node_identity *identity)
{
	struct buf bytes = { 0 };
	int error;

	encode(&bytes, identity);
	error = store_put(
	    txn, NODE_TABLE_IDENTITY, identity_key(), buf_slice(&bytes));
	buf_release(&bytes);
	return error;
}

int
node_identity_save(struct store *log, const struct node_identity *identity)
{
	struct store_txn *txn;
	int error;

	error = store_begin(log, true, &txn);
	if (error != 0)
		return error;
	error = node_identity_write(txn, identity);
	if (error != 0) {
		store_abort(txn);
		return error;
	}
	return store_commit(txn);
}
