#include "api/api_json.h"
#include "common/base64.h"
#include "common/err.h"
#include "common/text.h"
#include <stdarg.h>
#include <stdio.h>

#define NAME_SIZE_MAX 64

void
api_json_release(struct api_json *reader)
{
	buf_release(&reader->where);
	buf_release(&reader->member);
	buf_release(&reader->why);
}

bool
api_json_fail(
    struct api_json *reader, const char *name, const char *format, ...)
{
	char why[256];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(why, sizeof(why), format, arguments);
	va_end(arguments);
	reader->hint = NULL;
	buf_reset(&reader->member);
	buf_reset(&reader->why);
	buf_append_slice(&reader->member, buf_slice(&reader->where));
	if (name != NULL && reader->where.size > 0)
		buf_append_text(&reader->member, ".");
	if (name != NULL)
		buf_append_text(&reader->member, name);
	buf_append_text(&reader->why, why);
	return false;
}

void
api_json_describe(const struct api_json *reader, struct api_problem *problem)
{
	if (reader->member.size > 0) {
		buf_append_slice(&problem->detail, buf_slice(&reader->member));
		buf_append_text(&problem->detail, ": ");
		buf_append_text(&problem->members, ",\"member\":");
		text_append_json_string(
		    &problem->members, buf_slice(&reader->member));
	}
	buf_append_slice(&problem->detail, buf_slice(&reader->why));
}

void
api_json_reply(const struct api_json *reader, struct api_call *call)
{
	struct api_problem *problem = api_problem(call->api, API_BAD_JSON);

	api_json_describe(reader, problem);
	if (reader->hint != NULL)
		buf_append_text(&problem->hint, reader->hint);
	api_reply_problem(call, problem);
}

/* The parser quotes what it met, and may cut that in the middle. */
void
api_json_append_place(struct buf *to, const struct json_place *place)
{
	struct slice what = slice_from_text(place->what);

	if (place->line > 0)
		buf_printf(
		    to, "line %zu, column %zu: ", place->line, place->column);
	while (!text_is_utf8(what))
		what.size--;
	buf_append_slice(to, what);
}

void
api_json_reply_place(const struct json_place *place, struct api_call *call)
{
	struct api_problem *problem = api_problem(call->api, API_BAD_JSON);

	api_json_append_place(&problem->detail, place);
	if (place->line > 0) {
		api_problem_u64(problem, "line", place->line);
		api_problem_u64(problem, "column", place->column);
	}
	api_reply_problem(call, problem);
}

static const struct {
	const char *name;
	unsigned bit;
	bool is_bytes; /* NAME_base64 as well */
} names[] = {
	{ "key", API_JSON_KEY, true },
	{ "value", API_JSON_VALUE, true },
	{ "to", API_JSON_TO, true },
	{ "ttl", API_JSON_TTL, false },
	{ "lease", API_JSON_LEASE, false },
	{ "keep_ttl", API_JSON_KEEP_TTL, false },
	{ "content_type", API_JSON_CONTENT_TYPE, false },
	{ "limit", API_JSON_LIMIT, false },
	{ "reverse", API_JSON_REVERSE, false },
	{ "keys", API_JSON_KEYS, false },
	{ "by", API_JSON_BY, false },
	{ "all", API_JSON_ALL, false },
	{ "previous", API_JSON_PREVIOUS, false },
	{ "revision", API_JSON_REVISION, false },
	{ "created", API_JSON_CREATED, false },
	{ "version", API_JSON_VERSION, false },
	{ "exists", API_JSON_EXISTS, false },
	{ "op", API_JSON_OP, false },
	{ "end", API_JSON_END, false },
	{ "count", API_JSON_COUNT, false },
	{ "more", API_JSON_MORE, false },
	{ "next", API_JSON_NEXT, true },
};

/* NAME, or NAME_base64. */
static bool
is_named(struct slice sent, const char *name, bool is_bytes)
{
	size_t size = strlen(name);

	if (sent.size < size || memcmp(sent.data, name, size) != 0)
		return false;
	return sent.size == size ||
	       (is_bytes &&
		   slice_equal(slice_of(sent.data + size, sent.size - size),
		       slice_from_text("_base64")));
}

static bool
is_known(struct slice sent, unsigned allowed, const char *own)
{
	if (own != NULL && is_named(sent, own, true))
		return true;
	for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
		if ((names[i].bit & allowed) != 0 &&
		    is_named(sent, names[i].name, names[i].is_bytes))
			return true;
	}
	return false;
}

static void
append_known(struct buf *to, unsigned allowed, const char *own)
{
	const char *before = "";

	if (own != NULL) {
		buf_append_text(to, own);
		before = ", ";
	}
	for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
		if ((names[i].bit & allowed) == 0)
			continue;
		buf_printf(to, "%s%s", before, names[i].name);
		before = ", ";
	}
}

/* Its name is the client's, and goes into texts as it is only if it may. */
static bool
fail_unknown(struct api_json *reader, struct slice name, unsigned allowed,
    const char *own)
{
	(void)api_json_fail(reader, NULL, "has the unknown member ");
	if (name.size <= NAME_SIZE_MAX && http_text_is_clean(name)) {
		if (reader->where.size > 0)
			buf_append_text(&reader->member, ".");
		buf_append_slice(&reader->member, name);
		buf_reset(&reader->why);
		buf_append_text(&reader->why, "is unknown");
	} else {
		api_append_quoted(&reader->why, name);
	}
	buf_append_text(&reader->why, "; known here: ");
	append_known(&reader->why, allowed, own);
	return false;
}

bool
api_json_known(
    struct api_json *reader, json_t *object, unsigned allowed, const char *own)
{
	for (void *at = json_object_iter(object); at != NULL;
	     at = json_object_iter_next(object, at)) {
		struct slice name = slice_from_text(json_object_iter_key(at));

		if (!is_known(name, allowed, own))
			return fail_unknown(reader, name, allowed, own);
	}
	return true;
}

bool
api_json_has(const json_t *object, const char *name)
{
	char encoded[NAME_SIZE_MAX];

	snprintf(encoded, sizeof(encoded), "%s_base64", name);
	return json_object_get(object, name) != NULL ||
	       json_object_get(object, encoded) != NULL;
}

bool
api_json_bytes(struct api_json *reader, const json_t *object, const char *name,
    struct buf *memory, struct slice *ret_bytes)
{
	char encoded_name[NAME_SIZE_MAX];
	const json_t *plain = json_object_get(object, name);
	const json_t *encoded;
	struct slice text;

	snprintf(encoded_name, sizeof(encoded_name), "%s_base64", name);
	encoded = json_object_get(object, encoded_name);
	if (plain != NULL && encoded != NULL)
		return api_json_fail(reader, encoded_name,
		    "there is %s as well, of which one is meant", name);
	if (plain != NULL && json_get_text(object, name, ret_bytes) != 0)
		return api_json_fail(reader, name,
		    "takes a string; %s takes bytes as base64", encoded_name);
	if (encoded == NULL)
		return true;
	buf_reset(memory);
	if (json_get_text(object, encoded_name, &text) != 0 ||
	    base64_decode(memory, text) != 0)
		return api_json_fail(reader, encoded_name,
		    "takes a string of base64 with its padding (RFC 4648, 4)");
	/* Empty, but there. */
	(void)buf_reserve(memory, 1);
	*ret_bytes = buf_slice(memory);
	return true;
}

bool
api_json_key(struct api_json *reader, const json_t *object, const char *name,
    struct buf *memory, struct slice *ret_key)
{
	*ret_key = slice_of(NULL, 0);
	if (!api_json_bytes(reader, object, name, memory, ret_key))
		return false;
	if (ret_key->data == NULL)
		return api_json_fail(
		    reader, NULL, "has no member \"%s\"", name);
	if (ret_key->size == 0 || ret_key->size > KV_KEY_SIZE_MAX)
		return api_json_fail(reader, name,
		    "a key has 1 to %d bytes, not %zu", KV_KEY_SIZE_MAX,
		    ret_key->size);
	return true;
}

bool
api_json_u64(struct api_json *reader, const json_t *object, const char *name,
    uint64_t *ret_value)
{
	if (json_object_get(object, name) == NULL ||
	    json_get_u64(object, name, ret_value) == 0)
		return true;
	return api_json_fail(
	    reader, name, "takes a whole number that is not negative");
}

bool
api_json_bool(struct api_json *reader, const json_t *object, const char *name,
    bool *ret_value)
{
	if (json_object_get(object, name) == NULL ||
	    json_get_bool(object, name, ret_value) == 0)
		return true;
	return api_json_fail(reader, name, "takes true or false");
}

/* As api_parse_ttl; a number is in seconds too, and may have a fraction. */
static bool
read_ttl(const json_t *value, uint64_t *ret_us)
{
	double seconds;

	if (json_is_string(value))
		return api_parse_ttl(slice_of(json_string_value(value),
					 json_string_length(value)),
		    ret_us);
	if (!json_is_number(value))
		return false;
	seconds = json_number_value(value);
	if (!(seconds >= 0 && seconds <= (double)KV_TTL_US_MAX / 1e6))
		return false;
	*ret_us = (uint64_t)(seconds * 1e6 + 0.5);
	return api_is_ttl(*ret_us);
}

bool
api_json_ttl(struct api_json *reader, const json_t *object, uint64_t *ret_us)
{
	const json_t *value = json_object_get(object, "ttl");

	if (value == NULL || read_ttl(value, ret_us))
		return true;
	return api_json_fail(reader, "ttl",
	    "takes a duration of at least 100ms and at most 36500d (100 "
	    "years), such as \"500ms\", \"30s\" or \"1h\", or a number of "
	    "seconds");
}

bool
api_json_lease(
    struct api_json *reader, const json_t *object, uint64_t *ret_lease)
{
	struct slice text;

	if (json_object_get(object, "lease") == NULL)
		return true;
	if (json_get_text(object, "lease", &text) == 0 &&
	    api_parse_id(text, ret_lease))
		return true;
	return api_json_fail(reader, "lease",
	    "takes the id of a lease: a string of 16 hex digits");
}

bool
api_json_content_type(struct api_json *reader, const json_t *object,
    enum kv_content_type *ret_type)
{
	struct slice text;

	if (json_object_get(object, "content_type") == NULL)
		return true;
	if (json_get_text(object, "content_type", &text) != 0)
		return api_json_fail(reader, "content_type", "takes a string");
	*ret_type = api_parse_content_type(text);
	return true;
}
