#include "common/json.h"
#include "common/err.h"
#include "common/text.h"

#define DEPTH_MAX  32
#define VALUES_MAX 65536

/* Index of the quote that ends the string begun before `at`, or the end. */
static size_t
skip_string(struct slice text, size_t at)
{
	while (at < text.size && text.data[at] != '"')
		at += text.data[at] == '\\' ? 2 : 1;
	return at;
}

/*
 * jansson builds every value it meets, so depth and number are bounded before
 * it sees the text: by brackets and commas outside of strings. What is not
 * JSON at all may pass here; the parser refuses it.
 */
static int
check_limits(struct slice text)
{
	size_t values = 1;
	int depth = 0;

	for (size_t at = 0; at < text.size; at++) {
		switch (text.data[at]) {
		case '"': at = skip_string(text, at + 1); break;
		case '[':
		case '{':
			values++;
			depth++;
			break;
		case ']':
		case '}': depth--; break;
		case ',': values++; break;
		default: break;
		}
		if (depth > DEPTH_MAX || values > VALUES_MAX)
			return ERR_TOO_LARGE;
	}
	return 0;
}

static int
parse(struct slice text, size_t size_max, size_t flags, json_t **ret_object,
    json_error_t *ret_error)
{
	json_t *value;
	int rc;

	*ret_error = (json_error_t){ .text = "too large, or nested too deep" };
	if (text.size > size_max)
		return ERR_TOO_LARGE;
	rc = check_limits(text);
	if (rc != 0)
		return rc;
	value = json_loadb((const char *)text.data, text.size,
	    JSON_REJECT_DUPLICATES | flags, ret_error);
	if (value == NULL)
		return ERR_INVALID;
	if (!json_is_object(value)) {
		*ret_error = (json_error_t){ .text = "not an object" };
		json_decref(value);
		return ERR_INVALID;
	}
	*ret_object = value;
	return 0;
}

int
json_parse_object(struct slice text, size_t size_max, json_t **ret_object)
{
	json_error_t error;

	return parse(text, size_max, 0, ret_object, &error);
}

int
json_parse_document(struct slice text, size_t size_max, json_t **ret_object,
    struct json_place *ret_place)
{
	json_error_t error;
	int rc = parse(text, size_max, JSON_ALLOW_NUL, ret_object, &error);

	*ret_place = (struct json_place){ 0 };
	if (rc == 0)
		return 0;
	ret_place->line = error.line > 0 ? (size_t)error.line : 0;
	ret_place->column = error.column > 0 ? (size_t)error.column : 0;
	memcpy(ret_place->what, error.text, sizeof(ret_place->what));
	ret_place->what[sizeof(ret_place->what) - 1] = '\0';
	return rc;
}

int
json_get_u64(const json_t *object, const char *name, uint64_t *ret_value)
{
	const json_t *member = json_object_get(object, name);

	if (!json_is_integer(member) || json_integer_value(member) < 0)
		return ERR_INVALID;
	*ret_value = (uint64_t)json_integer_value(member);
	return 0;
}

int
json_get_bool(const json_t *object, const char *name, bool *ret_value)
{
	const json_t *member = json_object_get(object, name);

	if (!json_is_boolean(member))
		return ERR_INVALID;
	*ret_value = json_is_true(member);
	return 0;
}

int
json_get_text(const json_t *object, const char *name, struct slice *ret)
{
	const json_t *member = json_object_get(object, name);

	if (!json_is_string(member))
		return ERR_INVALID;
	*ret = slice_of(json_string_value(member), json_string_length(member));
	return 0;
}

int
json_get_hex(const json_t *object, const char *name, uint8_t *to, size_t size)
{
	struct slice text;
	int rc = json_get_text(object, name, &text);

	if (rc != 0)
		return rc;
	return text_parse_hex(text, to, size);
}

int
json_get_array(const json_t *object, const char *name, json_t **ret)
{
	json_t *member = json_object_get(object, name);

	if (!json_is_array(member))
		return ERR_INVALID;
	*ret = member;
	return 0;
}
