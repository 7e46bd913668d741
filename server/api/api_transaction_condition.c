#include "api/api_transaction_impl.h"
#include "common/codec.h"

/* The conditions of a transaction: each compares one thing of one key. */

static const struct target {
	const char *name;
	unsigned bit;
	enum kv_target target;
} targets[] = {
	{ "revision", API_JSON_REVISION, KV_TARGET_MODIFIED },
	{ "created", API_JSON_CREATED, KV_TARGET_CREATED },
	{ "version", API_JSON_VERSION, KV_TARGET_VERSION },
	{ "exists", API_JSON_EXISTS, KV_TARGET_VERSION },
	{ "lease", API_JSON_LEASE, KV_TARGET_LEASE },
	{ "value", API_JSON_VALUE, KV_TARGET_VALUE },
};

/* NULL: there is none, or more than one, and why was said. */
static const struct target *
find_target(struct api_encoder *encoder, const json_t *object)
{
	const struct target *found = NULL;

	for (size_t i = 0; i < ARRAY_COUNT(targets); i++) {
		if (!api_json_has(object, targets[i].name))
			continue;
		if (found != NULL) {
			api_json_fail(&encoder->reader, targets[i].name,
			    "there is %s as well; write a condition for each",
			    found->name);
			return NULL;
		}
		found = &targets[i];
	}
	if (found == NULL)
		api_json_fail(&encoder->reader, NULL,
		    "has nothing to compare: revision, created, version, "
		    "exists, lease or value");
	return found;
}

static bool
read_relation(struct api_encoder *encoder, const json_t *object,
    enum kv_relation *ret_relation)
{
	static const struct {
		const char *text;
		enum kv_relation relation;
	} relations[] = {
		{ "=", KV_EQUAL },
		{ "!=", KV_NOT_EQUAL },
		{ "<", KV_LESS },
		{ "<=", KV_LESS_OR_EQUAL },
		{ ">", KV_GREATER },
		{ ">=", KV_GREATER_OR_EQUAL },
	};
	struct slice text = slice_from_text("=");

	if (json_object_get(object, "op") != NULL &&
	    json_get_text(object, "op", &text) != 0)
		text = slice_of(NULL, 0);
	for (size_t i = 0; i < ARRAY_COUNT(relations); i++) {
		if (!slice_equal(text, slice_from_text(relations[i].text)))
			continue;
		*ret_relation = relations[i].relation;
		return true;
	}
	return api_json_fail(&encoder->reader, "op",
	    "takes \"=\", \"!=\", \"<\", \"<=\", "
	    "\">\" or \">=\"");
}

/* There is a version of what is there. */
static bool
read_exists(struct api_encoder *encoder, const json_t *object,
    struct kv_condition *condition)
{
	bool exists = false;

	if (!api_json_bool(&encoder->reader, object, "exists", &exists))
		return false;
	if (json_object_get(object, "op") != NULL)
		return api_json_fail(&encoder->reader, "op",
		    "does not go with exists, which takes true or false");
	condition->relation = exists ? KV_GREATER : KV_EQUAL;
	return true;
}

static bool
read_target(struct api_encoder *encoder, const json_t *object,
    const struct target *target, struct kv_condition *condition)
{
	switch (target->bit) {
	case API_JSON_EXISTS: return read_exists(encoder, object, condition);
	case API_JSON_VALUE:
		return api_json_bytes(&encoder->reader, object, "value",
		    &encoder->value, &condition->value);
	case API_JSON_LEASE:
		/* Of a key without one it is 0. */
		if (json_is_null(json_object_get(object, "lease")))
			return true;
		return api_json_lease(
		    &encoder->reader, object, &condition->number);
	default:
		return api_json_u64(
		    &encoder->reader, object, target->name, &condition->number);
	}
}

static void
note_condition(struct api_encoder *encoder, struct slice key)
{
	if (api_needs_condition(encoder->call->api, key))
		codec_append_bytes(&encoder->conditioned, key);
}

bool
api_encode_condition(struct api_encoder *encoder, json_t *object)
{
	struct api_json *reader = &encoder->reader;
	struct kv_condition condition = { 0 };
	const struct target *target;

	if (!api_json_known(reader, object,
		API_JSON_KEY | API_JSON_OP | API_JSON_REVISION |
		    API_JSON_CREATED | API_JSON_VERSION | API_JSON_EXISTS |
		    API_JSON_LEASE | API_JSON_VALUE,
		NULL) ||
	    !api_json_key(
		reader, object, "key", &encoder->key, &condition.key) ||
	    (target = find_target(encoder, object)) == NULL ||
	    !read_relation(encoder, object, &condition.relation) ||
	    !read_target(encoder, object, target, &condition))
		return false;
	condition.target = target->target;
	note_condition(encoder, condition.key);
	kv_encode_condition(encoder->command, &condition);
	return true;
}

bool
api_is_conditioned(const struct api_encoder *encoder, struct slice key)
{
	struct codec_reader keys;

	codec_reader_init(&keys, buf_slice(&encoder->conditioned));
	while (!codec_reader_done(&keys)) {
		if (slice_equal(codec_read_bytes(&keys), key))
			return true;
	}
	return false;
}
