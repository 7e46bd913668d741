#include "tests/lib/kv_stream.h"

#include "common/macros.h"
#include "common/panic.h"
#include <inttypes.h>

#define SECOND UINT64_C(1000000)
/* More than a command with an identity may read. */
#define LARGE_SIZE (KV_REPLAY_OUTPUT_BYTES_MAX + 1)

/* What the slices of a command being made point to. */
struct draft {
	struct buf key;
	struct buf other;
	struct buf value;
	struct buf identity;
};

void
kv_stream_init(struct kv_stream *stream, uint64_t seed)
{
	*stream = (struct kv_stream){ 0 };
	rng_init(&stream->rng, seed);
	stream->time_us = rng_below(&stream->rng, 1000 * SECOND);
}

static uint64_t
below(struct kv_stream *stream, uint64_t bound)
{
	return rng_below(&stream->rng, bound);
}

static bool
percent(struct kv_stream *stream, unsigned chance)
{
	return below(stream, 100) < chance;
}

/* ---- Parts ---- */

static void
fill(struct buf *to, uint8_t byte, size_t size)
{
	memset(buf_reserve(to, size), byte, size);
	to->size += size;
}

static void
draw_key(struct kv_stream *stream, struct buf *to)
{
	static const struct slice keys[] = {
		{ (const uint8_t *)"a", 1 },
		{ (const uint8_t *)"a\0", 2 },
		{ (const uint8_t *)"a/b", 3 },
		{ (const uint8_t *)"a/b/c", 5 },
		{ (const uint8_t *)"b", 1 },
		{ (const uint8_t *)"n1", 2 },
		{ (const uint8_t *)"n2", 2 },
		{ (const uint8_t *)"q/", 2 },
		{ (const uint8_t *)"\xff\xff", 2 },
	};
	size_t number = below(stream, ARRAY_COUNT(keys) + 2);

	buf_reset(to);
	if (number < ARRAY_COUNT(keys))
		buf_append_slice(to, keys[number]);
	else if (number == ARRAY_COUNT(keys))
		fill(to, 'k', KV_KEY_SIZE_MAX);
	else if (percent(stream, 30)) /* of a child to come */
		buf_printf(to, "q/%020" PRIu64,
		    stream->revision + rng_between(&stream->rng, 1, 4));
	else /* maybe a child */
		buf_printf(
		    to, "q/%020" PRIu64, below(stream, stream->revision + 1));
}

static void
draw_value(struct kv_stream *stream, struct buf *to)
{
	static const char *const texts[] = { "", "7", "-1", "0",
		"9223372036854775807", "-9223372036854775808",
		"9223372036854775808", "1e3", "x", " 1", "12 ", "12\n", "-",
		"1-2", "-007" };

	buf_reset(to);
	if (percent(stream, 20))
		fill(to, 'v', LARGE_SIZE);
	else if (percent(stream, 50))
		buf_append_text(to, texts[below(stream, ARRAY_COUNT(texts))]);
	else
		buf_printf(to, "%" PRIu64, below(stream, 1000));
}

static uint64_t
draw_lease(struct kv_stream *stream)
{
	return rng_between(&stream->rng, 1, 6) * UINT64_C(0x2a11111111111111);
}

static uint64_t
draw_span(struct kv_stream *stream)
{
	uint64_t seconds = percent(stream, 90) ? 5 : 500;

	return rng_between(&stream->rng, KV_TTL_US_MIN, seconds * SECOND);
}

/* NULL: none. */
static const struct kv_identity *
draw_identity(
    struct kv_stream *stream, struct draft *draft, struct kv_identity *identity)
{
	if (!percent(stream, 30))
		return NULL;
	buf_printf(&draft->identity, "id-%" PRIu64, below(stream, 40));
	identity->key = buf_slice(&draft->identity);
	identity->digest = percent(stream, 80);
	return identity;
}

/* ---- Transactions ---- */

static void
encode_condition(struct kv_stream *stream, struct draft *draft, struct buf *to)
{
	struct kv_condition condition = {
		.target = (enum kv_target)rng_between(
		    &stream->rng, KV_TARGET_MODIFIED, KV_TARGET_VALUE),
		.relation = (enum kv_relation)rng_between(
		    &stream->rng, KV_EQUAL, KV_GREATER_OR_EQUAL),
	};

	draw_key(stream, &draft->key);
	condition.key = buf_slice(&draft->key);
	if (condition.target == KV_TARGET_VALUE) {
		draw_value(stream, &draft->value);
		condition.value = buf_slice(&draft->value);
	} else if (condition.target == KV_TARGET_LEASE) {
		condition.number = draw_lease(stream);
	} else if (condition.target == KV_TARGET_VERSION) {
		condition.number = below(stream, 5);
	} else {
		condition.number =
		    stream->revision - MIN(stream->revision, below(stream, 20));
	}
	if (percent(stream, 30))
		condition.number = 0;
	kv_encode_condition(to, &condition);
}

static void
draw_lifetime(struct kv_stream *stream, struct kv_op *op)
{
	op->lifetime = (enum kv_lifetime)rng_between(
	    &stream->rng, KV_LIFETIME_NONE, KV_LIFETIME_LEASE);
	if (op->lifetime == KV_LIFETIME_TTL)
		op->ttl_us = draw_span(stream);
	if (op->lifetime == KV_LIFETIME_LEASE)
		op->lease = draw_lease(stream);
}

/* Of a range, or of a copy. */
static void
draw_other(struct kv_stream *stream, struct draft *draft, struct kv_op *op)
{
	draw_key(stream, &draft->other);
	op->other = buf_slice(&draft->other);
	if (op->kind != KV_LIST && op->kind != KV_DELETE_RANGE)
		return;
	if (percent(stream, 30))
		op->other = slice_of(NULL, 0);
	if (percent(stream, 30))
		op->limit = (uint32_t)below(stream, 4);
}

static void
draw_numbers(struct kv_stream *stream, struct kv_op *op)
{
	switch (op->kind) {
	case KV_INCREMENT:
		op->by = (int64_t)below(stream, 20) - 10;
		if (percent(stream, 10))
			op->by = percent(stream, 50) ? INT64_MAX : INT64_MIN;
		break;
	case KV_APPEND:
		op->size_max =
		    percent(stream, 80) ? LARGE_SIZE + 100 : below(stream, 5);
		break;
	case KV_LIST:
		op->reverse = percent(stream, 50);
		op->keys_only = percent(stream, 30);
		break;
	case KV_PUT:
	case KV_CREATE_CHILD:
		op->content_type =
		    (enum kv_content_type)below(stream, KV_CONTENT_TYPES_COUNT);
		break;
	case KV_DELETE:
	case KV_DELETE_RANGE:
	case KV_GET:
	case KV_TOUCH:
	case KV_COPY:
	case KV_MOVE: break;
	}
}

/* Half of them puts, and few that delete much. */
static enum kv_op_kind
draw_kind(struct kv_stream *stream)
{
	enum kv_op_kind kind =
	    (enum kv_op_kind)rng_between(&stream->rng, KV_PUT, KV_CREATE_CHILD);

	if (kind == KV_DELETE_RANGE && percent(stream, 70))
		return KV_DELETE;
	return percent(stream, 35) ? KV_PUT : kind;
}

static void
encode_op(struct kv_stream *stream, struct draft *draft, enum kv_branch branch,
    struct buf *to)
{
	struct kv_op op = { .kind = draw_kind(stream) };

	draw_key(stream, &draft->key);
	draw_value(stream, &draft->value);
	if (op.kind == KV_CREATE_CHILD) {
		buf_reset(&draft->key);
		buf_append_text(&draft->key, "q/");
	}
	op.key = buf_slice(&draft->key);
	if (op.kind == KV_PUT || op.kind == KV_APPEND ||
	    op.kind == KV_CREATE_CHILD)
		op.value = buf_slice(&draft->value);
	if (op.kind == KV_LIST || op.kind == KV_DELETE_RANGE ||
	    op.kind == KV_COPY || op.kind == KV_MOVE)
		draw_other(stream, draft, &op);
	if (op.kind != KV_DELETE && op.kind != KV_DELETE_RANGE &&
	    op.kind != KV_GET && op.kind != KV_LIST)
		draw_lifetime(stream, &op);
	if (op.kind == KV_PUT || op.kind == KV_DELETE)
		op.previous = percent(stream, 40);
	draw_numbers(stream, &op);
	kv_encode_op(to, branch, &op);
}

static void
encode_transaction(struct kv_stream *stream, struct draft *draft,
    const struct kv_identity *identity, struct buf *to)
{
	unsigned conditions =
	    percent(stream, 40) ? (unsigned)below(stream, 3) : 0;
	unsigned count =
	    percent(stream, 50) ? 1 : (unsigned)rng_between(&stream->rng, 0, 6);

	kv_encode_transaction(to, identity);
	for (unsigned i = 0; i < conditions; i++)
		encode_condition(stream, draft, to);
	for (unsigned i = 0; i < count; i++)
		encode_op(stream, draft, KV_THEN, to);
	if (conditions == 0 || percent(stream, 50))
		return;
	if (percent(stream, 30)) {
		kv_encode_else(to);
		return;
	}
	for (unsigned i = 0; i < 1 + below(stream, 3); i++)
		encode_op(stream, draft, KV_ELSE, to);
}

/* ---- Others ---- */

static void
encode_lock(struct kv_stream *stream, const struct kv_identity *identity,
    struct buf *to)
{
	static const char *const names[] = { "l1", "l2", "l2/x" };
	const struct kv_lock_request request = {
		.name = slice_from_text(names[below(stream, 3)]),
		.holder = slice_from_text(percent(stream, 80) ? "me" : ""),
		.token = draw_lease(stream),
		.ttl_us = draw_span(stream),
		.wait_us = percent(stream, 60) ? draw_span(stream) : 0,
	};

	if (percent(stream, 60))
		kv_encode_lock(to, identity, &request);
	else
		kv_encode_unlock(to, identity, request.name, request.token);
}

static void
encode_lease(struct kv_stream *stream, const struct kv_identity *identity,
    struct buf *to)
{
	uint64_t lease = draw_lease(stream);

	switch (below(stream, 4)) {
	case 0: kv_encode_renew(to, identity, lease); break;
	case 1: kv_encode_revoke(to, identity, lease); break;
	default: kv_encode_grant(to, identity, lease, draw_span(stream)); break;
	}
}

static void
encode_chore(struct kv_stream *stream, struct buf *to)
{
	switch (below(stream, 8)) {
	case 0: kv_encode_mark(to); break;
	case 1:
		kv_encode_compact(to,
		    stream->revision + 3 -
			MIN(stream->revision + 3, below(stream, 60)),
		    (uint32_t)rng_between(&stream->rng, 1, 20));
		break;
	default:
		kv_encode_expire(to, stream->time_us + below(stream, SECOND),
		    (uint32_t)rng_between(&stream->rng, 1, 4));
		break;
	}
}

/* Mostly a little later, now and then a little earlier. */
static void
move_time(struct kv_stream *stream)
{
	if (percent(stream, 30))
		return;
	if (percent(stream, 5))
		stream->time_us -= MIN(stream->time_us, below(stream, SECOND));
	else if (percent(stream, 1))
		stream->time_us += below(stream, 1000 * SECOND);
	else
		stream->time_us += below(stream, SECOND / 2);
}

void
kv_stream_next(struct kv_stream *stream, struct buf *to)
{
	struct draft draft = { 0 };
	struct kv_identity memory;
	const struct kv_identity *identity =
	    draw_identity(stream, &draft, &memory);
	uint64_t kind = below(stream, 20);

	move_time(stream);
	if (kind < 12)
		encode_transaction(stream, &draft, identity, to);
	else if (kind < 14)
		encode_lease(stream, identity, to);
	else if (kind < 17)
		encode_lock(stream, identity, to);
	else
		encode_chore(stream, to);
	buf_release(&draft.key);
	buf_release(&draft.other);
	buf_release(&draft.value);
	buf_release(&draft.identity);
}

/* ---- For people ---- */

static void
describe_part(const struct kv_part *part, struct buf *to)
{
	static const char *const names[] = {
		[KV_PUT] = "put",
		[KV_DELETE] = "delete",
		[KV_DELETE_RANGE] = "delete-range",
		[KV_GET] = "get",
		[KV_LIST] = "list",
		[KV_INCREMENT] = "increment",
		[KV_APPEND] = "append",
		[KV_TOUCH] = "touch",
		[KV_COPY] = "copy",
		[KV_MOVE] = "move",
		[KV_CREATE_CHILD] = "create-child",
	};
	const struct kv_condition *condition = &part->condition;
	const struct kv_op *op = &part->op;

	if (part->kind == KV_PART_CONDITION) {
		buf_printf(to, "\n  if \"%.*s\" target %u relation %u %" PRIu64,
		    (int)MIN(condition->key.size, 30),
		    (const char *)condition->key.data, condition->target,
		    condition->relation, condition->number);
		return;
	}
	buf_printf(to, "\n  %s %s \"%.*s\" other \"%.*s\" value \"%.*s\"",
	    part->kind == KV_PART_THEN ? "then" : "else", names[op->kind],
	    (int)MIN(op->key.size, 30), (const char *)op->key.data,
	    (int)MIN(op->other.size, 30), (const char *)op->other.data,
	    (int)MIN(op->value.size, 30), (const char *)op->value.data);
	buf_printf(to, " lifetime %u ttl %" PRIu64 " lease %" PRIx64,
	    op->lifetime, op->ttl_us, op->lease);
	buf_printf(to, " by %" PRId64 " limit %" PRIu32 " previous %d", op->by,
	    op->limit, op->previous);
}

void
kv_stream_describe(struct slice bytes, struct buf *to)
{
	struct kv_command command;
	struct kv_part part;

	if (kv_command_decode(bytes, &command) != 0) {
		buf_append_text(to, "no command");
		return;
	}
	buf_printf(to,
	    "kind %u identity \"%.*s\" lease %" PRIx64 " ttl %" PRIu64
	    " until %" PRIu64 " revision %" PRIu64 " limit %" PRIu32,
	    command.kind, (int)command.identity.key.size,
	    (const char *)command.identity.key.data, command.lease,
	    command.ttl_us, command.until_us, command.revision, command.limit);
	if (command.kind == KV_COMMAND_LOCK ||
	    command.kind == KV_COMMAND_UNLOCK)
		buf_printf(to,
		    " lock \"%.*s\" token %" PRIx64 " ttl %" PRIu64
		    " wait %" PRIu64,
		    (int)command.lock.name.size,
		    (const char *)command.lock.name.data, command.lock.token,
		    command.lock.ttl_us, command.lock.wait_us);
	if (command.kind != KV_COMMAND_TRANSACTION)
		return;
	while (kv_part_next(&command.parts, &part))
		describe_part(&part, to);
}
