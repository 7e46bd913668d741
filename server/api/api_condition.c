/*
 * Conditions of a write on its key: RFC 9110, 13.1, and cas=. They are part of
 * the command and are judged when it is applied.
 *
 * All conditions of a transaction must hold, but If-Match with several tags
 * wants any of them. So it is turned round: the command says that the revision
 * is none of them, and then only looks at the key; the operation is what it
 * does else. call->branch tells which of the two it is.
 */

#include "api/api_impl.h"
#include "common/text.h"
#include <inttypes.h>

/* Each takes a condition, with the key, of the command. */
#define TAGS_MAX 16

#define TAGS_HINT                                                              \
	"an entity tag is a revision, as the ETag header shows it; * stands "  \
	"for any"

/* What a header lists. */
struct tags {
	bool given;
	bool any; /* "*" */
	unsigned count;
	/* Of tags that can match; 0, which no key has, for all others. */
	uint64_t revision[TAGS_MAX];
};

static bool
is_blank(uint8_t byte)
{
	return byte == ' ' || byte == '\t';
}

static void
skip_blanks(struct slice *rest)
{
	while (rest->size > 0 && is_blank(rest->data[0]))
		*rest = slice_of(rest->data + 1, rest->size - 1);
}

/* Takes `W/` off the front. */
static bool
take_weakness(struct slice *rest)
{
	if (rest->size < 2 || rest->data[0] != 'W' || rest->data[1] != '/')
		return false;
	*rest = slice_of(rest->data + 2, rest->size - 2);
	return true;
}

/* Takes what is in quotes, or a bare number, off the front. */
static bool
take_tag_text(struct slice *rest, struct slice *ret_text)
{
	const uint8_t *end;
	size_t size = 0;

	if (rest->size > 0 && rest->data[0] == '"') {
		end = memchr(rest->data + 1, '"', rest->size - 1);
		if (end == NULL)
			return false;
		size = (size_t)(end - rest->data - 1);
		*ret_text = slice_of(rest->data + 1, size);
		*rest = slice_of(end + 1, rest->size - size - 2);
		return true;
	}
	while (size < rest->size && rest->data[size] >= '0' &&
	       rest->data[size] <= '9')
		size++;
	*ret_text = slice_of(rest->data, size);
	*rest = slice_of(rest->data + size, rest->size - size);
	return size > 0;
}

/* `weak`: W/"17" is as good as "17", which it is for If-None-Match alone. */
static bool
take_tag(struct slice *rest, bool weak, uint64_t *ret_revision)
{
	bool is_weak = take_weakness(rest);
	struct slice text;

	if (!take_tag_text(rest, &text))
		return false;
	if ((is_weak && !weak) || text_parse_u64(text, ret_revision) != 0)
		*ret_revision = 0;
	/* "017" is another tag, which nothing has. */
	if (text.size > 1 && text.data[0] == '0')
		*ret_revision = 0;
	return true;
}

/* False: no such list, or too long. */
static bool
parse_tags(struct slice list, bool weak, struct tags *ret_tags)
{
	*ret_tags = (struct tags){ .given = list.data != NULL };
	if (!ret_tags->given)
		return true;
	ret_tags->any = slice_equal(list, slice_from_text("*"));
	if (ret_tags->any)
		return true;
	for (;;) {
		if (ret_tags->count == TAGS_MAX ||
		    !take_tag(
			&list, weak, &ret_tags->revision[ret_tags->count++]))
			return false;
		skip_blanks(&list);
		if (list.size == 0)
			return true;
		if (list.data[0] != ',')
			return false;
		list = slice_of(list.data + 1, list.size - 1);
		skip_blanks(&list);
	}
}

static bool
get_if_match(const struct api_call *call, struct tags *ret_tags)
{
	return parse_tags(
	    http_request_header(call->request, "If-Match"), false, ret_tags);
}

static bool
get_if_none_match(const struct api_call *call, struct tags *ret_tags)
{
	return parse_tags(http_request_header(call->request, "If-None-Match"),
	    true, ret_tags);
}

/* Of tags that can match. */
static unsigned
count_revisions(const struct tags *tags)
{
	unsigned count = 0;

	for (unsigned i = 0; i < tags->count; i++)
		count += tags->revision[i] != 0;
	return count;
}

bool
api_is_given_twice(const struct http_request *request, const char *name)
{
	unsigned count = 0;

	for (unsigned i = 0; i < request->headers->count; i++)
		count += http_name_is(request->headers->header[i].name, name);
	return count > 1;
}

static void
fail_tags(struct api_call *call, const char *name)
{
	api_fail(call, API_BAD_REQUEST, TAGS_HINT,
	    "%s is not * and no list of up to %d entity tags", name, TAGS_MAX);
}

static bool
refuse_twice(struct api_call *call)
{
	static const char *const names[] = { "If-Match", "If-None-Match" };

	for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
		if (!api_is_given_twice(call->request, names[i]))
			continue;
		api_fail(call, API_BAD_REQUEST,
		    "write one header, with commas between the tags",
		    "%s is given twice", names[i]);
		return true;
	}
	return false;
}

static bool
is_conditional(const struct api_call *call)
{
	return (call->query.given & API_QUERY_CAS) != 0 ||
	       http_request_header(call->request, "If-Match").data != NULL ||
	       http_request_header(call->request, "If-None-Match").data != NULL;
}

bool
api_check_conditions(struct api_call *call)
{
	struct tags match;
	struct tags none_match;

	call->branch = KV_THEN;
	if (!is_conditional(call))
		return true;
	if (refuse_twice(call))
		return false;
	if (!get_if_match(call, &match)) {
		fail_tags(call, "If-Match");
		return false;
	}
	if (!get_if_none_match(call, &none_match)) {
		fail_tags(call, "If-None-Match");
		return false;
	}
	if (count_revisions(&match) < 2)
		return true;
	if (none_match.given || (call->query.given & API_QUERY_CAS) != 0) {
		api_fail(call, API_NOT_IMPLEMENTED, "give one tag",
		    "If-Match with several tags does not go together with "
		    "another condition");
		return false;
	}
	call->branch = KV_ELSE;
	return true;
}

bool
api_needs_condition(const struct api *api, struct slice key)
{
	const char *prefix = api->params.require_cas;
	size_t size = prefix == NULL ? 0 : strlen(prefix);

	return prefix != NULL && key.size >= size &&
	       memcmp(key.data, prefix, size) == 0;
}

bool
api_range_needs_condition(const struct api *api, const struct kv_range *range)
{
	const char *prefix = api->params.require_cas;

	/* It has one of those keys, or begins behind the first of them. */
	return prefix != NULL &&
	       (kv_range_has(range, slice_from_text(prefix)) ||
		   api_needs_condition(api, range->start));
}

void
api_describe_required(
    const struct api *api, const char *hint, struct api_problem *problem)
{
	buf_append_text(&problem->detail, "keys that begin with ");
	api_append_quoted(
	    &problem->detail, slice_from_text(api->params.require_cas));
	buf_append_text(
	    &problem->detail, " are not written without a condition");
	buf_printf(&problem->hint, "%s; http.require-cas is the option", hint);
}

void
api_fail_required(struct api_call *call, const char *hint)
{
	struct api_problem *problem =
	    api_problem(call->api, API_PRECONDITION_REQUIRED);

	api_describe_required(call->api, hint, problem);
	api_reply_problem(call, problem);
}

/* If-None-Match with tags that nothing has asks for nothing. */
static bool
has_condition(const struct api_call *call)
{
	struct tags tags;

	return (call->query.given & API_QUERY_CAS) != 0 ||
	       http_request_header(call->request, "If-Match").data != NULL ||
	       (get_if_none_match(call, &tags) &&
		   (tags.any || count_revisions(&tags) > 0));
}

bool
api_check_required(struct api_call *call)
{
	if (has_condition(call) ||
	    !api_needs_condition(call->api, buf_slice(&call->key)))
		return true;
	api_fail_required(call,
	    "give If-Match or cas=REVISION, or cas=0 for a key that is new");
	return false;
}

bool
api_check_required_to(struct api_call *call)
{
	if (!api_needs_condition(call->api, call->query.to_key))
		return true;
	api_fail(call, API_PRECONDITION_REQUIRED,
	    "POST /txn does it with a condition on the key of `to` in its "
	    "`if`; http.require-cas is the option",
	    "keys that begin with %s are not written without a condition, and "
	    "those here are on the key in the path",
	    call->api->params.require_cas);
	return false;
}

static void
encode_one(const struct api_call *call, struct buf *command,
    enum kv_target target, enum kv_relation relation, uint64_t number)
{
	kv_encode_condition(command, &(struct kv_condition){
					 .key = buf_slice(&call->key),
					 .target = target,
					 .relation = relation,
					 .number = number,
				     });
}

static void
encode_revisions(const struct api_call *call, struct buf *command,
    const struct tags *tags, enum kv_relation relation)
{
	for (unsigned i = 0; i < tags->count; i++) {
		if (tags->revision[i] != 0)
			encode_one(call, command, KV_TARGET_MODIFIED, relation,
			    tags->revision[i]);
	}
}

static void
encode_if_match(
    const struct api_call *call, struct buf *command, const struct tags *tags)
{
	if (tags->any)
		encode_one(call, command, KV_TARGET_VERSION, KV_NOT_EQUAL, 0);
	else if (count_revisions(tags) == 0) /* never: nothing is below 0 */
		encode_one(call, command, KV_TARGET_VERSION, KV_LESS, 0);
	else
		encode_revisions(call, command, tags,
		    call->branch == KV_ELSE ? KV_NOT_EQUAL : KV_EQUAL);
}

static void
encode_conditions(const struct api_call *call, struct buf *command)
{
	struct tags tags;

	if (get_if_match(call, &tags) && tags.given)
		encode_if_match(call, command, &tags);
	if (get_if_none_match(call, &tags) && tags.any)
		encode_one(call, command, KV_TARGET_VERSION, KV_EQUAL, 0);
	else if (tags.given)
		encode_revisions(call, command, &tags, KV_NOT_EQUAL);
	if ((call->query.given & API_QUERY_CAS) == 0)
		return;
	if (call->query.cas == 0)
		encode_one(call, command, KV_TARGET_VERSION, KV_EQUAL, 0);
	else
		encode_one(call, command, KV_TARGET_MODIFIED, KV_EQUAL,
		    call->query.cas);
}

void
api_encode_begin(struct api_call *call, struct buf *command)
{
	struct kv_identity identity;

	kv_encode_transaction(command, api_get_identity(call, &identity));
	if (!is_conditional(call))
		return;
	encode_conditions(call, command);
	/* None of them: tell what it is, if it is there, without its value. */
	if (call->branch == KV_ELSE)
		kv_encode_op(command, KV_THEN,
		    &(struct kv_op){
			.kind = KV_LIST,
			.key = buf_slice(&call->key),
			.limit = 1,
			.keys_only = true,
		    });
}

/* ", If-Match asked for '17'" */
static void
append_asked(const struct api_call *call, const char *name, struct buf *detail)
{
	struct slice value = http_request_header(call->request, name);

	if (value.data == NULL)
		return;
	buf_printf(detail, ", %s asked for ", name);
	api_append_quoted(detail, value);
}

void
api_describe_condition(const struct api_call *call, bool exists,
    uint64_t current, struct api_problem *problem)
{
	struct buf *detail = &problem->detail;

	if (exists)
		buf_printf(detail, "the key is at revision %" PRIu64, current);
	else
		buf_append_text(detail, "there is no such key");
	append_asked(call, "If-Match", detail);
	append_asked(call, "If-None-Match", detail);
	if ((call->query.given & API_QUERY_CAS) != 0)
		buf_printf(detail, ", cas asked for %" PRIu64, call->query.cas);
	api_problem_u64(problem, "current", current);
	buf_printf(
	    &problem->members, ",\"exists\":%s", exists ? "true" : "false");
}

/* ---- Of a GET ---- */

static bool
lists_revision(const struct tags *tags, uint64_t revision)
{
	for (unsigned i = 0; i < tags->count; i++) {
		if (tags->revision[i] == revision)
			return true;
	}
	return false;
}

/* A header that is no list of tags matches nothing: the client gets what it
 * did not have. */
bool
api_is_not_modified(const struct api_call *call, uint64_t revision)
{
	struct tags tags;

	return get_if_none_match(call, &tags) && tags.given &&
	       (tags.any || lists_revision(&tags, revision));
}

bool
api_check_if_match(struct api_call *call, uint64_t revision)
{
	struct api_problem *problem;
	struct tags tags;

	if (!get_if_match(call, &tags)) {
		fail_tags(call, "If-Match");
		return false;
	}
	if (!tags.given || tags.any || lists_revision(&tags, revision))
		return true;
	problem = api_problem(call->api, API_PRECONDITION_FAILED);
	api_describe_condition(call, true, revision, problem);
	api_reply_problem(call, problem);
	return false;
}
