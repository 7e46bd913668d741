#include "api/api_import.h"
#include "api/api_json.h"
#include <inttypes.h>

/*
 * Lines of an import: what an export or a listing wrote, or what somebody made
 * by hand, which needs neither revisions nor an end line. Where a line has a
 * revision, an export made it, and an input that ends without the end line was
 * cut on its way.
 */

/* A text in JSON may have six bytes for each of its own. */
#define LINE_BYTES_PER_BYTE 6
#define LINE_BYTES_BESIDE   4096

#define RAW_HINT                                                               \
	"one JSON object a line: curl -T FILE or --data-binary @FILE send a "  \
	"file as it is, -d @FILE joins its lines"

#define ITEM_MEMBERS                                                           \
	(API_JSON_KEY | API_JSON_VALUE | API_JSON_CONTENT_TYPE |               \
	    API_JSON_TTL | API_JSON_LEASE | API_JSON_REVISION |                \
	    API_JSON_CREATED | API_JSON_VERSION)
#define END_MEMBERS                                                            \
	(API_JSON_END | API_JSON_REVISION | API_JSON_COUNT | API_JSON_MORE |   \
	    API_JSON_NEXT)

/* Memory of one line, decoded. */
struct line {
	struct api_json reader;
	json_t *object;
	struct buf key;
	struct buf value;
};

static size_t
line_size_max(const struct api_import *import)
{
	return (size_t)(import->call->api->params.value_bytes_max +
			KV_KEY_SIZE_MAX) *
		   LINE_BYTES_PER_BYTE +
	       LINE_BYTES_BESIDE;
}

/* What the import itself adds is in its operation's explain. */
static struct api_problem *
begin_failure(struct api_import *import, enum api_code code)
{
	struct api_problem *problem = api_problem(import->call->api, code);

	buf_printf(&problem->detail, "line %" PRIu64 ": ", import->line);
	api_problem_u64(problem, "line", import->line);
	return problem;
}

static bool
fail_line(struct api_import *import, const char *detail)
{
	struct api_problem *problem = begin_failure(import, API_BAD_JSON);

	buf_append_text(&problem->detail, detail);
	buf_append_text(&problem->hint, RAW_HINT);
	api_reply_problem(import->call, problem);
	return false;
}

static bool
fail_syntax(struct api_import *import, struct json_place *place)
{
	struct api_problem *problem = begin_failure(import, API_BAD_JSON);

	/* Of the line; it is the first of its own text. */
	if (place->line > 0) {
		buf_printf(&problem->detail, "column %zu: ", place->column);
		api_problem_u64(problem, "column", place->column);
	}
	place->line = 0;
	api_json_append_place(&problem->detail, place);
	buf_append_text(&problem->hint, RAW_HINT);
	api_reply_problem(import->call, problem);
	return false;
}

static bool
fail_member(struct api_import *import, const struct api_json *reader)
{
	struct api_problem *problem = begin_failure(import, API_BAD_JSON);

	api_json_describe(reader, problem);
	api_reply_problem(import->call, problem);
	return false;
}

static bool
fail_too_large(struct api_import *import, const char *what, uint64_t limit,
    const char *option, const char *hint)
{
	struct api_problem *problem = begin_failure(import, API_BODY_TOO_LARGE);

	buf_append_text(&problem->detail, what);
	buf_append_text(&problem->hint, hint);
	api_problem_u64(problem, "limit", limit);
	if (option != NULL)
		api_problem_text(problem, "option", option);
	api_reply_problem(import->call, problem);
	return false;
}

#define VALUE_HINT "http.max-value is the limit, on every node"

static bool
fail_line_size(struct api_import *import)
{
	return fail_too_large(import, "the line is too long",
	    line_size_max(import), "http.max-value", RAW_HINT);
}

/* Conditions are those of the whole request, and there is one only. */
static bool
fail_required(struct api_import *import)
{
	struct api_problem *problem =
	    begin_failure(import, API_PRECONDITION_REQUIRED);

	api_describe_required(import->call->api,
	    "if=absent imports those that are not there yet, and POST /txn "
	    "takes a condition on each",
	    problem);
	api_reply_problem(import->call, problem);
	return false;
}

/* Its lifetime may be all but over when it is read. */
static bool
read_ttl(struct line *line, struct api_entry *entry)
{
	const json_t *ttl = json_object_get(line->object, "ttl");

	if (json_is_number(ttl) && json_number_value(ttl) >= 0 &&
	    json_number_value(ttl) < (double)KV_TTL_US_MIN / 1e6) {
		entry->ttl_us = KV_TTL_US_MIN;
		return true;
	}
	return api_json_ttl(&line->reader, line->object, &entry->ttl_us);
}

static bool
read_entry(
    struct api_import *import, struct line *line, struct api_entry *entry)
{
	struct api_json *reader = &line->reader;

	if (!api_json_known(reader, line->object, ITEM_MEMBERS, NULL) ||
	    !api_json_key(
		reader, line->object, "key", &line->key, &entry->key) ||
	    !api_json_bytes(
		reader, line->object, "value", &line->value, &entry->value) ||
	    !api_json_content_type(
		reader, line->object, &entry->content_type) ||
	    !read_ttl(line, entry))
		return fail_member(import, reader);
	if (entry->value.data == NULL)
		return fail_line(import, "there is no member \"value\"");
	if (entry->value.size > import->call->api->params.value_bytes_max)
		return fail_too_large(import, "the value is too large",
		    import->call->api->params.value_bytes_max, "http.max-value",
		    VALUE_HINT);
	return true;
}

/* Sets import->is_full if the line has to wait for the next batch. */
static bool
take_entry(struct api_import *import, struct line *line)
{
	const struct api_query *query = &import->call->query;
	struct api_entry entry = { 0 };

	if (!read_entry(import, line, &entry))
		return false;
	if (!query->if_absent &&
	    api_needs_condition(import->call->api, entry.key))
		return fail_required(import);
	/* A key that comes twice is there the second time. */
	import->is_full =
	    !api_batch_has_room(import, &entry) ||
	    (query->if_absent && api_batch_has(&import->batch, entry.key));
	if (import->is_full && query->atomic)
		return fail_too_large(import,
		    "this is too much for one transaction", API_BATCH_KEYS_MAX,
		    NULL,
		    "atomic=1 takes 1000 keys (512 with if=absent), each once, "
		    "and 1 MiB of keys and values; without it they are "
		    "imported in several");
	if (import->is_full)
		return true;
	if (json_object_get(line->object, "revision") != NULL)
		import->is_export = true;
	api_batch_add(&import->batch, &entry);
	import->keys++;
	return true;
}

static bool
take_end(struct api_import *import, struct line *line)
{
	struct api_json *reader = &line->reader;
	uint64_t count = import->keys;
	bool is_end = false;

	if (!api_json_known(reader, line->object, END_MEMBERS, NULL) ||
	    !api_json_bool(reader, line->object, "end", &is_end) ||
	    !api_json_u64(reader, line->object, "count", &count))
		return fail_member(import, reader);
	if (!is_end)
		return fail_line(import, "end is always true");
	if (count != import->keys)
		return fail_line(import,
		    "the end line counts another number of keys than came; if "
		    "lines were left out on purpose, leave out the end line "
		    "and every \"revision\"");
	import->is_ended = true;
	return true;
}

/* What an export says when it cannot go on. */
static bool
fail_error(struct api_import *import, const struct line *line)
{
	struct api_problem *problem = begin_failure(import, API_BAD_REQUEST);
	struct slice detail = slice_from_text("no reason");

	if (json_get_text(line->object, "detail", &detail) != 0)
		detail = slice_from_text("no reason is given");
	buf_append_text(
	    &problem->detail, "the export was broken off by an error: ");
	buf_append_slice(&problem->detail, detail);
	api_reply_problem(import->call, problem);
	return false;
}

static bool
read_object(struct api_import *import, struct line *line)
{
	if (import->is_ended)
		return fail_line(import, "there is more behind the end line");
	if (json_object_get(line->object, "code") != NULL)
		return fail_error(import, line);
	if (json_object_get(line->object, "end") != NULL)
		return take_end(import, line);
	return take_entry(import, line);
}

static bool
read_line(struct api_import *import, struct slice text)
{
	struct line line = { 0 };
	struct json_place place;
	bool is_read;

	if (text.size > line_size_max(import))
		return fail_line_size(import);
	if (json_parse_document(
		text, line_size_max(import), &line.object, &place) != 0)
		return fail_syntax(import, &place);
	is_read = read_object(import, &line);
	json_decref(line.object);
	api_json_release(&line.reader);
	buf_release(&line.key);
	buf_release(&line.value);
	return is_read;
}

static bool
is_blank(struct slice text)
{
	for (size_t i = 0; i < text.size; i++) {
		if (text.data[i] != ' ' && text.data[i] != '\t' &&
		    text.data[i] != '\r')
			return false;
	}
	return true;
}

/* The end of the next line; NULL: it has not come yet. However many parts a
 * line comes in, each byte is looked at once. */
static const uint8_t *
find_end(struct api_import *import)
{
	const struct buf *input = &import->input;
	size_t from = MAX(import->searched, import->taken);
	const uint8_t *end = NULL;

	if (from < input->size)
		end = memchr(input->data + from, '\n', input->size - from);
	if (end == NULL)
		import->searched = input->size;
	return end;
}

/* The next line, without its end; false: it has not come yet. */
static bool
find_line(struct api_import *import, struct slice *ret_text, size_t *ret_size)
{
	const uint8_t *begin = import->input.data + import->taken;
	size_t size = import->input.size - import->taken;
	const uint8_t *end = find_end(import);

	if (end == NULL && (!import->is_complete || size == 0))
		return false;
	*ret_text = slice_of(begin, end == NULL ? size : (size_t)(end - begin));
	*ret_size = ret_text->size + (end == NULL ? 0 : 1);
	return true;
}

static void
forget_taken(struct api_import *import)
{
	if (import->taken == 0)
		return;
	buf_drain(&import->input, import->taken);
	import->searched -= MIN(import->searched, import->taken);
	import->taken = 0;
}

bool
api_import_read_lines(struct api_import *import)
{
	struct slice text;
	size_t size;

	import->is_full = false;
	while (!import->is_full && find_line(import, &text, &size)) {
		import->line++;
		if (!is_blank(text) && !read_line(import, text))
			return false;
		if (import->is_full)
			import->line--; /* it is read again */
		else
			import->taken += size;
	}
	forget_taken(import);
	if (import->is_full || import->input.size <= line_size_max(import))
		return true;
	import->line++;
	return fail_line_size(import);
}

bool
api_import_check_end(struct api_import *import)
{
	if (import->line == 0) {
		api_fail(import->call, API_BAD_REQUEST,
		    "an export of nothing has its end line too: look at what "
		    "should have written it (bash: set -o pipefail)",
		    "there is nothing to import");
		return false;
	}
	if (!import->is_export || import->is_ended)
		return true;
	import->line++;
	return fail_line(import,
	    "the end line of the export is missing: it was cut on its way");
}
