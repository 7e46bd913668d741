/*
 * A command is: u8 version, u8 kind, u8 whether it has an identity, its u8 size
 * and key, and u64 digest; then the fields of its kind. A transaction has parts
 * instead: u8 tag, then a condition or an operation, or nothing for an else
 * branch that is empty. Sizes and most numbers are of codec_append_varint.
 * Integrity is the log record's business.
 */

#include "kv/kv_impl.h"

#include "common/panic.h"

/* 1 had no transactions. */
#define KV_COMMAND_VERSION 2

/* In this order in a transaction. */
enum kv_tag { KV_TAG_CONDITION = 1, KV_TAG_THEN, KV_TAG_ELSE, KV_TAG_ELSE_OP };

/* What an operation has beside its key. */
enum {
	KV_HAS_OTHER = 1 << 0,
	KV_HAS_RANGE = 1 << 1, /* `other` may be empty */
	KV_HAS_VALUE = 1 << 2,
	KV_HAS_LIFETIME = 1 << 3,
	KV_HAS_CONTENT = 1 << 4,
	KV_HAS_BY = 1 << 5,
	KV_HAS_SIZE_MAX = 1 << 6,
	KV_HAS_LIMIT = 1 << 7,
	KV_HAS_PREVIOUS = 1 << 8,
	KV_HAS_REVERSE = 1 << 9,
	KV_HAS_KEYS_ONLY = 1 << 10
};

static const unsigned kv_op_fields[] = {
	[KV_PUT] =
	    KV_HAS_VALUE | KV_HAS_LIFETIME | KV_HAS_CONTENT | KV_HAS_PREVIOUS,
	[KV_DELETE] = KV_HAS_PREVIOUS,
	[KV_DELETE_RANGE] = KV_HAS_RANGE | KV_HAS_LIMIT,
	[KV_GET] = 0,
	[KV_LIST] =
	    KV_HAS_RANGE | KV_HAS_LIMIT | KV_HAS_REVERSE | KV_HAS_KEYS_ONLY,
	[KV_INCREMENT] = KV_HAS_LIFETIME | KV_HAS_BY,
	[KV_APPEND] = KV_HAS_VALUE | KV_HAS_LIFETIME | KV_HAS_SIZE_MAX,
	[KV_TOUCH] = KV_HAS_LIFETIME,
	[KV_COPY] = KV_HAS_OTHER | KV_HAS_LIFETIME,
	[KV_MOVE] = KV_HAS_OTHER | KV_HAS_LIFETIME,
	[KV_CREATE_CHILD] = KV_HAS_VALUE | KV_HAS_LIFETIME | KV_HAS_CONTENT,
};

/* One byte of an operation: lifetime, content type, and these. */
#define KV_BITS_LIFETIME      0x03u
#define KV_BITS_CONTENT       0x1cu
#define KV_BITS_CONTENT_SHIFT 2
#define KV_BIT_PREVIOUS       0x20u
#define KV_BIT_REVERSE        0x40u
#define KV_BIT_KEYS_ONLY      0x80u

static bool
kv_size_fits(struct slice bytes, size_t min, size_t max)
{
	return bytes.size >= min && bytes.size <= max;
}

/* Fails unless it has min .. max bytes. */
static struct slice
kv_read_sized(struct codec_reader *reader, size_t min, size_t max)
{
	struct slice bytes = codec_read_sized(reader);

	if (!kv_size_fits(bytes, min, max))
		reader->failed = true;
	return bytes;
}

/* Fails unless the byte is in 1 .. max. */
static unsigned
kv_read_choice(struct codec_reader *reader, unsigned max)
{
	unsigned value = codec_read_u8(reader);

	if (value < 1 || value > max)
		reader->failed = true;
	return value;
}

/* ---- Encoding ---- */

static void
kv_encode_head(struct buf *to, enum kv_command_kind kind,
    const struct kv_identity *identity)
{
	codec_append_u8(to, KV_COMMAND_VERSION);
	codec_append_u8(to, (uint8_t)kind);
	codec_append_u8(to, identity != NULL);
	if (identity == NULL)
		return;
	ASSERT(kv_size_fits(identity->key, 1, KV_IDENTITY_SIZE_MAX));
	codec_append_sized(to, identity->key);
	codec_append_u64(to, identity->digest);
}

static void
kv_check_ttl(uint64_t ttl_us)
{
	ASSERT(ttl_us >= KV_TTL_US_MIN);
	ASSERT(ttl_us <= KV_TTL_US_MAX);
}

void
kv_encode_transaction(struct buf *to, const struct kv_identity *identity)
{
	kv_encode_head(to, KV_COMMAND_TRANSACTION, identity);
}

void
kv_encode_condition(struct buf *to, const struct kv_condition *condition)
{
	ASSERT(kv_size_fits(condition->key, 1, KV_KEY_SIZE_MAX));
	codec_append_u8(to, KV_TAG_CONDITION);
	codec_append_u8(to, (uint8_t)condition->target);
	codec_append_u8(to, (uint8_t)condition->relation);
	codec_append_sized(to, condition->key);
	if (condition->target == KV_TARGET_VALUE)
		codec_append_sized(to, condition->value);
	else
		codec_append_varint(to, condition->number);
}

static uint8_t
kv_op_bits(const struct kv_op *op, unsigned fields)
{
	unsigned bits = 0;

	if ((fields & KV_HAS_LIFETIME) != 0)
		bits |= op->lifetime;
	if ((fields & KV_HAS_CONTENT) != 0)
		bits |= op->content_type << KV_BITS_CONTENT_SHIFT;
	if ((fields & KV_HAS_PREVIOUS) != 0 && op->previous)
		bits |= KV_BIT_PREVIOUS;
	if ((fields & KV_HAS_REVERSE) != 0 && op->reverse)
		bits |= KV_BIT_REVERSE;
	if ((fields & KV_HAS_KEYS_ONLY) != 0 && op->keys_only)
		bits |= KV_BIT_KEYS_ONLY;
	return (uint8_t)bits;
}

static void
kv_encode_lifetime(struct buf *to, const struct kv_op *op)
{
	if (op->lifetime == KV_LIFETIME_TTL) {
		kv_check_ttl(op->ttl_us);
		codec_append_varint(to, op->ttl_us);
	}
	if (op->lifetime == KV_LIFETIME_LEASE)
		codec_append_u64(to, op->lease);
}

static void
kv_encode_fields(struct buf *to, const struct kv_op *op, unsigned fields)
{
	if ((fields & (KV_HAS_OTHER | KV_HAS_RANGE)) != 0)
		codec_append_sized(to, op->other);
	if ((fields & KV_HAS_LIFETIME) != 0)
		kv_encode_lifetime(to, op);
	if ((fields & KV_HAS_BY) != 0)
		codec_append_u64(to, (uint64_t)op->by);
	if ((fields & KV_HAS_SIZE_MAX) != 0)
		codec_append_varint(to, op->size_max);
	if ((fields & KV_HAS_LIMIT) != 0)
		codec_append_varint(to, op->limit);
	if ((fields & KV_HAS_VALUE) != 0)
		codec_append_sized(to, op->value);
}

/* What an operation needs of its keys. */
static bool
kv_op_keys_fit(const struct kv_op *op, unsigned fields)
{
	size_t max = KV_KEY_SIZE_MAX;
	size_t key_min = (fields & KV_HAS_RANGE) != 0 ? 0 : 1;
	size_t other_min = (fields & KV_HAS_OTHER) != 0 ? 1 : 0;

	if (op->kind == KV_CREATE_CHILD)
		return kv_size_fits(op->key, 0, max - KV_CHILD_DIGITS);
	return kv_size_fits(op->key, key_min, max) &&
	       kv_size_fits(op->other, other_min, max);
}

void
kv_encode_op(struct buf *to, enum kv_branch branch, const struct kv_op *op)
{
	unsigned fields = kv_op_fields[op->kind];

	ASSERT(kv_op_keys_fit(op, fields));
	codec_append_u8(to, branch == KV_THEN ? KV_TAG_THEN : KV_TAG_ELSE_OP);
	codec_append_u8(to, (uint8_t)op->kind);
	codec_append_u8(to, kv_op_bits(op, fields));
	codec_append_sized(to, op->key);
	kv_encode_fields(to, op, fields);
}

void
kv_encode_else(struct buf *to)
{
	codec_append_u8(to, KV_TAG_ELSE);
}

void
kv_encode_put(struct buf *to, struct slice key, struct slice value)
{
	struct kv_op op = { .kind = KV_PUT, .key = key, .value = value };

	kv_encode_transaction(to, NULL);
	kv_encode_op(to, KV_THEN, &op);
}

void
kv_encode_delete(struct buf *to, struct slice key)
{
	struct kv_op op = { .kind = KV_DELETE, .key = key };

	kv_encode_transaction(to, NULL);
	kv_encode_op(to, KV_THEN, &op);
}

void
kv_encode_grant(struct buf *to, const struct kv_identity *identity,
    uint64_t lease, uint64_t ttl_us)
{
	ASSERT(lease != 0);
	kv_check_ttl(ttl_us);
	kv_encode_head(to, KV_COMMAND_GRANT, identity);
	codec_append_u64(to, lease);
	codec_append_varint(to, ttl_us);
}

void
kv_encode_renew(
    struct buf *to, const struct kv_identity *identity, uint64_t lease)
{
	kv_encode_head(to, KV_COMMAND_RENEW, identity);
	codec_append_u64(to, lease);
}

void
kv_encode_revoke(
    struct buf *to, const struct kv_identity *identity, uint64_t lease)
{
	kv_encode_head(to, KV_COMMAND_REVOKE, identity);
	codec_append_u64(to, lease);
}

void
kv_encode_lock(struct buf *to, const struct kv_identity *identity,
    const struct kv_lock_request *request)
{
	ASSERT(kv_size_fits(request->name, 1, KV_LOCK_NAME_SIZE_MAX));
	ASSERT(kv_size_fits(request->holder, 0, KV_LOCK_HOLDER_SIZE_MAX));
	ASSERT(request->token != 0);
	kv_check_ttl(request->ttl_us);
	kv_encode_head(to, KV_COMMAND_LOCK, identity);
	codec_append_sized(to, request->name);
	codec_append_u64(to, request->token);
	codec_append_sized(to, request->holder);
	codec_append_varint(to, request->ttl_us);
	codec_append_varint(to, request->wait_us);
}

void
kv_encode_unlock(struct buf *to, const struct kv_identity *identity,
    struct slice name, uint64_t token)
{
	ASSERT(kv_size_fits(name, 1, KV_LOCK_NAME_SIZE_MAX));
	kv_encode_head(to, KV_COMMAND_UNLOCK, identity);
	codec_append_sized(to, name);
	codec_append_u64(to, token);
}

void
kv_encode_expire(struct buf *to, uint64_t until_us, uint32_t limit)
{
	kv_encode_head(to, KV_COMMAND_EXPIRE, NULL);
	codec_append_varint(to, until_us);
	codec_append_u32(to, limit);
}

void
kv_encode_mark(struct buf *to)
{
	kv_encode_head(to, KV_COMMAND_MARK, NULL);
}

void
kv_encode_compact(struct buf *to, uint64_t revision, uint32_t limit)
{
	kv_encode_head(to, KV_COMMAND_COMPACT, NULL);
	codec_append_varint(to, revision);
	codec_append_u32(to, limit);
}

/* ---- Decoding ---- */

static void
kv_read_condition(struct codec_reader *reader, struct kv_condition *condition)
{
	*condition = (struct kv_condition){ 0 };
	condition->target =
	    (enum kv_target)kv_read_choice(reader, KV_TARGET_VALUE);
	condition->relation =
	    (enum kv_relation)kv_read_choice(reader, KV_GREATER_OR_EQUAL);
	condition->key = kv_read_sized(reader, 1, KV_KEY_SIZE_MAX);
	if (condition->target == KV_TARGET_VALUE)
		condition->value = kv_read_sized(reader, 0, UINT32_MAX);
	else
		condition->number = codec_read_varint(reader);
}

static uint64_t
kv_read_ttl(struct codec_reader *reader)
{
	uint64_t ttl_us = codec_read_varint(reader);

	if (ttl_us < KV_TTL_US_MIN || ttl_us > KV_TTL_US_MAX)
		reader->failed = true;
	return ttl_us;
}

/* Fails if it is 0, which stands for none. */
static uint64_t
kv_read_id(struct codec_reader *reader)
{
	uint64_t id = codec_read_u64(reader);

	if (id == 0)
		reader->failed = true;
	return id;
}

/* Fails if there are bits that the operation does not have. */
static void
kv_read_bits(struct codec_reader *reader, unsigned fields, struct kv_op *op)
{
	unsigned bits = codec_read_u8(reader);
	unsigned content = (bits & KV_BITS_CONTENT) >> KV_BITS_CONTENT_SHIFT;

	op->lifetime = (enum kv_lifetime)(bits & KV_BITS_LIFETIME);
	op->content_type = (enum kv_content_type)content;
	op->previous = (bits & KV_BIT_PREVIOUS) != 0;
	op->reverse = (bits & KV_BIT_REVERSE) != 0;
	op->keys_only = (bits & KV_BIT_KEYS_ONLY) != 0;
	if (bits != kv_op_bits(op, fields) || content >= KV_CONTENT_TYPES_COUNT)
		reader->failed = true;
}

static void
kv_read_fields(struct codec_reader *reader, unsigned fields, struct kv_op *op)
{
	if ((fields & (KV_HAS_OTHER | KV_HAS_RANGE)) != 0)
		op->other = kv_read_sized(reader, 0, KV_KEY_SIZE_MAX);
	if (op->lifetime == KV_LIFETIME_TTL)
		op->ttl_us = kv_read_ttl(reader);
	if (op->lifetime == KV_LIFETIME_LEASE)
		op->lease = codec_read_u64(reader);
	if ((fields & KV_HAS_BY) != 0)
		op->by = (int64_t)codec_read_u64(reader);
	if ((fields & KV_HAS_SIZE_MAX) != 0)
		op->size_max = codec_read_varint(reader);
	if ((fields & KV_HAS_LIMIT) != 0) {
		uint64_t limit = codec_read_varint(reader);

		op->limit = (uint32_t)limit;
		reader->failed = reader->failed || limit > UINT32_MAX;
	}
	if ((fields & KV_HAS_VALUE) != 0)
		op->value = kv_read_sized(reader, 0, UINT32_MAX);
}

static void
kv_read_op(struct codec_reader *reader, struct kv_op *op)
{
	unsigned kind = kv_read_choice(reader, KV_CREATE_CHILD);
	unsigned fields;

	*op = (struct kv_op){ 0 };
	if (reader->failed)
		return;
	op->kind = (enum kv_op_kind)kind;
	fields = kv_op_fields[kind];
	kv_read_bits(reader, fields, op);
	op->key = kv_read_sized(reader, 0, KV_KEY_SIZE_MAX);
	kv_read_fields(reader, fields, op);
	if (!kv_op_keys_fit(op, fields))
		reader->failed = true;
}

static enum kv_tag
kv_read_part(struct codec_reader *reader, struct kv_part *ret_part)
{
	enum kv_tag tag = (enum kv_tag)kv_read_choice(reader, KV_TAG_ELSE_OP);

	ret_part->kind = tag == KV_TAG_CONDITION ? KV_PART_CONDITION
			 : tag == KV_TAG_THEN    ? KV_PART_THEN
						 : KV_PART_ELSE;
	if (tag == KV_TAG_CONDITION)
		kv_read_condition(reader, &ret_part->condition);
	else if (tag != KV_TAG_ELSE)
		kv_read_op(reader, &ret_part->op);
	return tag;
}

bool
kv_part_next(struct slice *parts, struct kv_part *ret_part)
{
	struct codec_reader reader;
	enum kv_tag tag = KV_TAG_ELSE;

	codec_reader_init(&reader, *parts);
	while (tag == KV_TAG_ELSE && reader.rest.size != 0)
		tag = kv_read_part(&reader, ret_part);
	ASSERT(!reader.failed); /* kv_command_decode has seen it */
	*parts = reader.rest;
	return tag != KV_TAG_ELSE;
}

/* Reads all parts: in order, and not too many. */
static void
kv_read_parts(struct codec_reader *reader, struct kv_command *command)
{
	enum kv_tag last = KV_TAG_CONDITION;
	enum kv_tag tag;
	struct kv_part part;
	unsigned count = 0;

	command->parts = reader->rest;
	while (!reader->failed && reader->rest.size != 0) {
		tag = kv_read_part(reader, &part);
		count += tag != KV_TAG_ELSE;
		command->conditions_count += tag == KV_TAG_CONDITION;
		command->then_count += tag == KV_TAG_THEN;
		command->else_count += tag == KV_TAG_ELSE_OP;
		command->has_else |= tag >= KV_TAG_ELSE;
		if (tag < last || count > KV_TRANSACTION_OPS_MAX ||
		    last == KV_TAG_ELSE)
			reader->failed = true;
		last = tag;
	}
}

static void
kv_read_lock(struct codec_reader *reader, struct kv_command *command)
{
	struct kv_lock_request *lock = &command->lock;

	lock->name = kv_read_sized(reader, 1, KV_LOCK_NAME_SIZE_MAX);
	if (command->kind == KV_COMMAND_UNLOCK) {
		lock->token = codec_read_u64(reader);
		return;
	}
	lock->token = kv_read_id(reader);
	lock->holder = kv_read_sized(reader, 0, KV_LOCK_HOLDER_SIZE_MAX);
	lock->ttl_us = kv_read_ttl(reader);
	lock->wait_us = codec_read_varint(reader);
	if (lock->wait_us > KV_TTL_US_MAX)
		reader->failed = true;
}

static void
kv_read_body(struct codec_reader *reader, struct kv_command *command)
{
	switch (command->kind) {
	case KV_COMMAND_TRANSACTION: kv_read_parts(reader, command); return;
	case KV_COMMAND_GRANT:
		command->lease = kv_read_id(reader);
		command->ttl_us = kv_read_ttl(reader);
		return;
	case KV_COMMAND_RENEW:
	case KV_COMMAND_REVOKE: command->lease = codec_read_u64(reader); return;
	case KV_COMMAND_LOCK:
	case KV_COMMAND_UNLOCK: kv_read_lock(reader, command); return;
	case KV_COMMAND_EXPIRE:
		command->until_us = codec_read_varint(reader);
		command->limit = codec_read_u32(reader);
		return;
	case KV_COMMAND_MARK: return;
	case KV_COMMAND_COMPACT:
		command->revision = codec_read_varint(reader);
		command->limit = codec_read_u32(reader);
		return;
	}
}

/* The leader's own commands have none. */
static bool
kv_may_have_identity(enum kv_command_kind kind)
{
	return kind < KV_COMMAND_EXPIRE;
}

static void
kv_read_identity(struct codec_reader *reader, enum kv_command_kind kind,
    struct kv_identity *identity)
{
	unsigned given = codec_read_u8(reader);

	if (given > (kv_may_have_identity(kind) ? 1 : 0))
		reader->failed = true;
	if (given != 1)
		return;
	identity->key = kv_read_sized(reader, 1, KV_IDENTITY_SIZE_MAX);
	identity->digest = codec_read_u64(reader);
}

int
kv_command_decode(struct slice bytes, struct kv_command *ret_command)
{
	struct kv_command command = { 0 };
	struct codec_reader reader;
	uint8_t version;

	codec_reader_init(&reader, bytes);
	version = codec_read_u8(&reader);
	if (version == 0)
		return ERR_CORRUPT;
	if (version != KV_COMMAND_VERSION)
		return ERR_VERSION;
	command.kind =
	    (enum kv_command_kind)kv_read_choice(&reader, KV_COMMAND_COMPACT);
	kv_read_identity(&reader, command.kind, &command.identity);
	if (!reader.failed)
		kv_read_body(&reader, &command);
	if (!codec_reader_done(&reader))
		return ERR_CORRUPT;
	*ret_command = command;
	return 0;
}
