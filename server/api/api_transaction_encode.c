#include "api/api_transaction.h"
#include "api/api_transaction_impl.h"
#include <inttypes.h>

/*
 * The document is read in one pass, member by member, and each condition and
 * operation is appended to the command as soon as it is read.
 */

#define EXAMPLE_HINT                                                           \
	"such as {\"if\":[{\"key\":\"a\",\"exists\":false}],"                  \
	"\"then\":[{\"put\":\"a\",\"value\":\"1\"}],\"else\":[{\"get\":\"a\"}" \
	"]}"

bool
api_note_too_large(struct api_encoder *encoder, uint64_t limit,
    const char *option, const char *name, const char *what)
{
	encoder->limit = limit;
	encoder->option = option;
	return api_json_fail(&encoder->reader, name, "%s", what);
}

/* Reads each element of an array that may be missing, by its path. */
static bool
encode_array(
    struct api_encoder *encoder, const json_t *document, const char *name)
{
	const json_t *array = json_object_get(document, name);
	struct buf *where = &encoder->reader.where;
	bool is_read = true;

	if (array == NULL)
		return true;
	for (size_t i = 0; is_read && i < json_array_size(array); i++) {
		json_t *element = json_array_get(array, i);

		buf_reset(where);
		buf_printf(where, "%s[%zu]", name, i);
		if (!json_is_object(element))
			is_read = api_json_fail(
			    &encoder->reader, NULL, "takes an object");
		else if (name[0] == 'i')
			is_read = api_encode_condition(encoder, element);
		else
			is_read = api_encode_op(encoder,
			    name[0] == 't' ? KV_THEN : KV_ELSE, element);
	}
	buf_reset(where);
	return is_read;
}

static bool
check_document(struct api_encoder *encoder, json_t *document)
{
	static const char *const names[] = { "if", "then", "else" };
	size_t known = 0;
	size_t count = 0;

	for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
		const json_t *array = json_object_get(document, names[i]);

		if (array == NULL)
			continue;
		if (!json_is_array(array))
			return api_json_fail(
			    &encoder->reader, names[i], "takes an array");
		known++;
		count += json_array_size(array);
	}
	if (known < json_object_size(document))
		return api_json_fail(&encoder->reader, NULL,
		    "a transaction has the members if, then and else, and no "
		    "others");
	if (count == 0) {
		(void)api_json_fail(&encoder->reader, NULL,
		    "there is nothing to do: no conditions and no operations");
		encoder->reader.hint = EXAMPLE_HINT;
		return false;
	}
	if (count > KV_TRANSACTION_OPS_MAX)
		return api_note_too_large(encoder, KV_TRANSACTION_OPS_MAX, NULL,
		    NULL, "too many conditions and operations");
	return true;
}

static bool
encode_document(struct api_encoder *encoder, json_t *document,
    const struct kv_identity *identity)
{
	if (!check_document(encoder, document))
		return false;
	kv_encode_transaction(encoder->command, identity);
	if (!encode_array(encoder, document, "if") ||
	    !encode_array(encoder, document, "then") ||
	    !encode_array(encoder, document, "else"))
		return false;
	if (json_array_size(json_object_get(document, "else")) == 0 &&
	    json_object_get(document, "else") != NULL)
		kv_encode_else(encoder->command);
	return true;
}

static void
reply_too_large(struct api_encoder *encoder)
{
	struct api_problem *problem =
	    api_problem(encoder->call->api, API_BODY_TOO_LARGE);

	if (encoder->reader.member.size > 0)
		buf_printf(&problem->detail,
		    "%.*s: ", (int)encoder->reader.member.size,
		    (const char *)encoder->reader.member.data);
	buf_append_slice(&problem->detail, buf_slice(&encoder->reader.why));
	if (encoder->option != NULL)
		buf_printf(&problem->hint, "%s is the limit, on every node",
		    encoder->option);
	else
		buf_printf(&problem->hint,
		    "a transaction has at most %d of them, and %u bytes of "
		    "JSON; what need not happen at once goes into several",
		    KV_TRANSACTION_OPS_MAX, (unsigned)API_JSON_BYTES_MAX);
	api_problem_u64(problem, "limit", encoder->limit);
	if (encoder->option != NULL)
		api_problem_text(problem, "option", encoder->option);
	api_reply_problem(encoder->call, problem);
}

static void
encoder_release(struct api_encoder *encoder)
{
	api_json_release(&encoder->reader);
	buf_release(&encoder->key);
	buf_release(&encoder->other);
	buf_release(&encoder->value);
	buf_release(&encoder->conditioned);
}

bool
api_transaction_encode(struct api_call *call,
    const struct kv_identity *identity, struct buf *command,
    uint64_t *ret_added_bytes, bool *ret_keeps)
{
	struct api_encoder encoder = { .call = call, .command = command };
	struct json_place place;
	json_t *document;
	bool is_encoded;

	if (json_parse_document(call->request->body, API_JSON_BYTES_MAX,
		&document, &place) != 0) {
		api_json_reply_place(&place, call);
		return false;
	}
	is_encoded = encode_document(&encoder, document, identity);
	json_decref(document);
	if (encoder.is_unconditioned)
		api_fail_required(call,
		    "put one on each key into `if`, and write it in `then`; a "
		    "prefix has none");
	else if (!is_encoded && encoder.limit != 0)
		reply_too_large(&encoder);
	else if (!is_encoded)
		api_json_reply(&encoder.reader, call);
	*ret_added_bytes = encoder.added_bytes;
	*ret_keeps = encoder.keeps;
	encoder_release(&encoder);
	return is_encoded;
}
