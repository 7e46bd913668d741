#include "api/api_transaction_impl.h"
#include "common/err.h"
#include <inttypes.h>

/* The operations of a transaction. */

#define LIFETIME (API_JSON_TTL | API_JSON_LEASE | API_JSON_KEEP_TTL)

/* An operation is the member of its name, whose value is the key. */
struct form {
	const char *name;
	enum kv_op_kind kind;
	unsigned members;          /* besides it */
	enum kv_lifetime lifetime; /* of the key written, if none is given */
	bool takes_prefix;
};

static const struct form forms[] = {
	{ "put", KV_PUT,
	    API_JSON_VALUE | LIFETIME | API_JSON_CONTENT_TYPE |
		API_JSON_PREVIOUS,
	    KV_LIFETIME_NONE, false },
	{ "delete", KV_DELETE, API_JSON_PREVIOUS, KV_LIFETIME_NONE, false },
	{ "delete_prefix", KV_DELETE_RANGE, API_JSON_LIMIT | API_JSON_ALL,
	    KV_LIFETIME_NONE, true },
	{ "get", KV_GET, 0, KV_LIFETIME_NONE, false },
	{ "list", KV_LIST, API_JSON_LIMIT | API_JSON_REVERSE | API_JSON_KEYS,
	    KV_LIFETIME_NONE, true },
	{ "incr", KV_INCREMENT, API_JSON_BY | LIFETIME, KV_LIFETIME_KEEP,
	    false },
	{ "append", KV_APPEND, API_JSON_VALUE | LIFETIME, KV_LIFETIME_KEEP,
	    false },
	{ "touch", KV_TOUCH, API_JSON_TTL | API_JSON_LEASE, KV_LIFETIME_KEEP,
	    false },
	{ "persist", KV_TOUCH, 0, KV_LIFETIME_NONE, false },
	{ "copy", KV_COPY, API_JSON_TO | LIFETIME, KV_LIFETIME_NONE, false },
	{ "move", KV_MOVE, API_JSON_TO | LIFETIME, KV_LIFETIME_KEEP, false },
};

/* NULL: there is none, or more than one, and why was said. */
static const struct form *
find_form(struct api_encoder *encoder, const json_t *object)
{
	const struct form *found = NULL;

	for (size_t i = 0; i < ARRAY_COUNT(forms); i++) {
		if (!api_json_has(object, forms[i].name))
			continue;
		if (found != NULL) {
			api_json_fail(&encoder->reader, forms[i].name,
			    "there is %s as well; write an operation for each",
			    found->name);
			return NULL;
		}
		found = &forms[i];
	}
	if (found == NULL)
		api_json_fail(&encoder->reader, NULL,
		    "is no operation: put, delete, delete_prefix, get, list, "
		    "incr, append, touch, persist, copy or move");
	return found;
}

static bool
read_lifetime(struct api_encoder *encoder, const json_t *object,
    const struct form *form, struct kv_op *op)
{
	struct api_json *reader = &encoder->reader;
	bool keep = false;
	unsigned given = 0;

	op->lifetime = form->lifetime;
	if (!api_json_ttl(reader, object, &op->ttl_us) ||
	    !api_json_lease(reader, object, &op->lease) ||
	    !api_json_bool(reader, object, "keep_ttl", &keep))
		return false;
	if (op->ttl_us != 0) {
		op->lifetime = KV_LIFETIME_TTL;
		given++;
	}
	if (op->lease != 0) {
		op->lifetime = KV_LIFETIME_LEASE;
		given++;
	}
	if (keep) {
		op->lifetime = KV_LIFETIME_KEEP;
		given++;
	}
	if (given > 1)
		return api_json_fail(
		    reader, NULL, "takes one of ttl, lease and keep_ttl");
	if (op->kind == KV_TOUCH && given == 0)
		return api_json_fail(reader, NULL,
		    "takes ttl or lease; \"persist\" makes a key stay");
	return true;
}

static bool
read_value(struct api_encoder *encoder, const json_t *object, struct kv_op *op)
{
	uint64_t limit = encoder->call->api->params.value_bytes_max;

	if (!api_json_bytes(
		&encoder->reader, object, "value", &encoder->value, &op->value))
		return false;
	if (op->value.data == NULL)
		return api_json_fail(
		    &encoder->reader, NULL, "has no member \"value\"");
	if (op->value.size > limit)
		return api_note_too_large(encoder, limit, "http.max-value",
		    "value", "the value is larger than a value may be");
	return true;
}

static bool
read_limit(struct api_encoder *encoder, const json_t *object, struct kv_op *op)
{
	uint64_t limit = 0;

	if (!api_json_u64(&encoder->reader, object, "limit", &limit))
		return false;
	if (json_object_get(object, "limit") != NULL &&
	    (limit == 0 || limit > UINT32_MAX))
		return api_json_fail(&encoder->reader, "limit",
		    "takes a number from 1 to %" PRIu32, UINT32_MAX);
	op->limit = (uint32_t)limit;
	return true;
}

static bool
read_by(struct api_encoder *encoder, const json_t *object, struct kv_op *op)
{
	const json_t *by = json_object_get(object, "by");

	op->by = 1;
	if (by == NULL)
		return true;
	if (!json_is_integer(by))
		return api_json_fail(
		    &encoder->reader, "by", "takes a whole number of 64 bits");
	op->by = json_integer_value(by);
	return true;
}

/* All keys are a prefix like any other, unless they are to be deleted. */
static bool
read_prefix(struct api_encoder *encoder, const json_t *object,
    const struct form *form, struct kv_op *op)
{
	struct api_json *reader = &encoder->reader;
	struct kv_range range;
	bool all = false;

	if (!api_json_bytes(
		reader, object, form->name, &encoder->key, &op->key) ||
	    !api_json_bool(reader, object, "all", &all))
		return false;
	if (op->key.size > KV_KEY_SIZE_MAX)
		return api_json_fail(reader, form->name,
		    "a prefix has at most %d bytes", KV_KEY_SIZE_MAX);
	if (op->kind == KV_DELETE_RANGE && op->key.size == 0 && !all)
		return api_json_fail(reader, form->name,
		    "is empty: add \"all\":true to delete every key");
	buf_reset(&encoder->other);
	range = kv_range_of_prefix(
	    op->key, buf_reserve(&encoder->other, op->key.size + 1));
	op->other = range.end;
	return true;
}

/* The members that the form has; others are not there. */
static bool
read_members(struct api_encoder *encoder, const json_t *object,
    const struct form *form, struct kv_op *op)
{
	struct api_json *reader = &encoder->reader;
	unsigned members = form->members;

	if ((members & API_JSON_VALUE) != 0 && !read_value(encoder, object, op))
		return false;
	if ((members & LIFETIME) != 0 &&
	    !read_lifetime(encoder, object, form, op))
		return false;
	if ((members & API_JSON_TO) != 0 &&
	    !api_json_key(reader, object, "to", &encoder->other, &op->other))
		return false;
	return api_json_content_type(reader, object, &op->content_type) &&
	       api_json_bool(reader, object, "previous", &op->previous) &&
	       api_json_bool(reader, object, "reverse", &op->reverse) &&
	       api_json_bool(reader, object, "keys", &op->keys_only) &&
	       read_limit(encoder, object, op) && read_by(encoder, object, op);
}

/* It needs a condition that holds: those of an `else` did not. */
static bool
lacks_condition(
    const struct api_encoder *encoder, enum kv_branch branch, struct slice key)
{
	return api_needs_condition(encoder->call->api, key) &&
	       (branch == KV_ELSE || !api_is_conditioned(encoder, key));
}

/* Of keys that need a condition, those that the operation writes have one. */
static bool
check_conditioned(
    struct api_encoder *encoder, enum kv_branch branch, const struct kv_op *op)
{
	const struct api *api = encoder->call->api;
	struct kv_range range = { .start = op->key, .end = op->other };
	bool is_lacking = false;

	if (api->params.require_cas == NULL || op->kind == KV_GET ||
	    op->kind == KV_LIST)
		return true;
	if (op->kind == KV_DELETE_RANGE)
		is_lacking = api_range_needs_condition(api, &range);
	else if (op->kind != KV_COPY)
		is_lacking = lacks_condition(encoder, branch, op->key);
	if (op->kind == KV_COPY || op->kind == KV_MOVE)
		is_lacking |= lacks_condition(encoder, branch, op->other);
	encoder->is_unconditioned = is_lacking;
	return !is_lacking;
}

/* The longest int64: "-9223372036854775808". */
#define NUMBER_SIZE_MAX 20

/* What a copy is of may be written by an operation before: what it is now is
 * near enough. */
static uint64_t
growth_of_copy(struct api *api, const struct kv_op *op)
{
	struct kv_item item = { 0 };
	int rc = kv_get(node_kv(api->node), op->key, &item);

	if (rc != 0 && rc != ERR_NOT_FOUND)
		node_fail(api->node, rc, "reading a key");
	return op->other.size + item.value.size;
}

static uint64_t
growth_of(struct api_encoder *encoder, const struct kv_op *op)
{
	struct api *api = encoder->call->api;

	switch (op->kind) {
	case KV_PUT: return api_growth(api, op->key, op->value.size);
	case KV_INCREMENT: return api_growth(api, op->key, NUMBER_SIZE_MAX);
	case KV_APPEND: return op->key.size + op->value.size;
	case KV_COPY: return growth_of_copy(api, op);
	case KV_MOVE: return op->other.size - MIN(op->other.size, op->key.size);
	case KV_DELETE:
	case KV_DELETE_RANGE:
	case KV_GET:
	case KV_LIST:
	case KV_TOUCH:
	case KV_CREATE_CHILD: break;
	}
	return 0;
}

static bool
keeps_something(enum kv_op_kind kind)
{
	switch (kind) {
	case KV_PUT:
	case KV_INCREMENT:
	case KV_APPEND:
	case KV_COPY:
	case KV_MOVE:
	case KV_CREATE_CHILD: return true;
	case KV_DELETE:
	case KV_DELETE_RANGE:
	case KV_GET:
	case KV_LIST:
	case KV_TOUCH: break;
	}
	return false;
}

bool
api_encode_op(
    struct api_encoder *encoder, enum kv_branch branch, json_t *object)
{
	struct api_json *reader = &encoder->reader;
	struct kv_op op = { 0 };
	const struct form *form = find_form(encoder, object);

	if (form == NULL ||
	    !api_json_known(reader, object, form->members, form->name))
		return false;
	op.kind = form->kind;
	op.size_max = encoder->call->api->params.value_bytes_max;
	if (!(form->takes_prefix ? read_prefix(encoder, object, form, &op)
				 : api_json_key(reader, object, form->name,
				       &encoder->key, &op.key)) ||
	    !read_members(encoder, object, form, &op) ||
	    !check_conditioned(encoder, branch, &op))
		return false;
	encoder->added_bytes += growth_of(encoder, &op);
	encoder->keeps = encoder->keeps || keeps_something(op.kind);
	kv_encode_op(encoder->command, branch, &op);
	return true;
}
