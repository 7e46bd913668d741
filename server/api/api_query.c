#include "api/api_impl.h"
#include "common/address.h"
#include "common/text.h"
#include "net/http_uri.h"

struct parameter {
	const char *name;
	uint64_t flag;
	/* False: not a value it can have. */
	bool (*parse)(struct slice value, struct api_query *query);
	const char *expected; /* completes "NAME takes" */
};

static bool
parse_consistency(struct slice value, struct api_query *query)
{
	query->stale = slice_equal(value, slice_from_text("stale"));
	return query->stale || slice_equal(value, slice_from_text("strong")) ||
	       slice_equal(value, slice_from_text("linearizable"));
}

/* "2s", or a bare number, which is in seconds. */
static bool
parse_duration(struct slice text, uint64_t *ret_us)
{
	uint64_t seconds;

	if (text_parse_u64(text, &seconds) != 0)
		return text_parse_duration(text, ret_us) == 0;
	if (seconds > UINT64_MAX / 1000000)
		return false;
	*ret_us = seconds * 1000000;
	return true;
}

/* "?json" and "?json=1" mean the same. */
static bool
is_switched_on(struct slice value)
{
	return value.size == 0 || slice_equal(value, slice_from_text("1"));
}

static bool
parse_json(struct slice value, struct api_query *query)
{
	query->json = true;
	return is_switched_on(value);
}

static bool
parse_timeout(struct slice value, struct api_query *query)
{
	return parse_duration(value, &query->timeout_us) &&
	       query->timeout_us > 0;
}

static bool
parse_verbose(struct slice value, struct api_query *query)
{
	query->verbose = true;
	return is_switched_on(value);
}

static bool
parse_wait(struct slice value, struct api_query *query)
{
	return parse_duration(value, &query->wait_us) && query->wait_us > 0 &&
	       query->wait_us <= API_WAIT_MAX_US;
}

static bool
parse_max_lag(struct slice value, struct api_query *query)
{
	return parse_duration(value, &query->max_lag_us);
}

static bool
parse_min_revision(struct slice value, struct api_query *query)
{
	return text_parse_u64(value, &query->min_revision) == 0;
}

static bool
parse_force(struct slice value, struct api_query *query)
{
	query->force = true;
	return is_switched_on(value);
}

bool
api_parse_name(struct slice text, char ret_name[NODE_NAME_SIZE_MAX + 1])
{
	if (text.size == 0 || text.size > NODE_NAME_SIZE_MAX)
		return false;
	for (size_t i = 0; i < text.size; i++) {
		uint8_t byte = text.data[i];

		if ((byte < 'a' || byte > 'z') && (byte < '0' || byte > '9') &&
		    byte != '-')
			return false;
	}
	memcpy(ret_name, text.data, text.size);
	ret_name[text.size] = '\0';
	return true;
}

static bool
parse_name(struct slice value, struct api_query *query)
{
	return api_parse_name(value, query->name);
}

static bool
parse_old(struct slice value, struct api_query *query)
{
	return api_parse_name(value, query->old);
}

/* Kept in the one form in which addresses are compared. */
static bool
parse_address(struct slice value, struct api_query *query)
{
	struct address address;

	if (address_parse(value, &address) != 0 ||
	    address_port(&address) == 0 || address_is_wildcard(&address))
		return false;
	address_format(&address, query->address);
	return true;
}

#define TEXT_PARAMETER(name)                                                   \
	static bool parse_##name(struct slice value, struct api_query *query)  \
	{                                                                      \
		query->name = value;                                           \
		return true;                                                   \
	}
TEXT_PARAMETER(prefix)
TEXT_PARAMETER(start)
TEXT_PARAMETER(end)
TEXT_PARAMETER(after)
TEXT_PARAMETER(op)

#define REVISION_PARAMETER(name)                                               \
	static bool parse_##name(struct slice value, struct api_query *query)  \
	{                                                                      \
		return text_parse_u64(value, &query->name) == 0;               \
	}
REVISION_PARAMETER(at)
REVISION_PARAMETER(cas)
REVISION_PARAMETER(since)

#define SWITCH_PARAMETER(name)                                                 \
	static bool parse_##name(struct slice value, struct api_query *query)  \
	{                                                                      \
		query->name = true;                                            \
		return is_switched_on(value);                                  \
	}
SWITCH_PARAMETER(keep_ttl)
SWITCH_PARAMETER(reverse)
SWITCH_PARAMETER(keys)
SWITCH_PARAMETER(count)
SWITCH_PARAMETER(all)
SWITCH_PARAMETER(snapshot)
SWITCH_PARAMETER(prev)
SWITCH_PARAMETER(redirect)
SWITCH_PARAMETER(atomic)

static bool
parse_delimiter(struct slice value, struct api_query *query)
{
	query->delimiter = value;
	return value.size > 0;
}

static bool
parse_to_key(struct slice value, struct api_query *query)
{
	query->to_key = value;
	return value.size >= 1 && value.size <= KV_KEY_SIZE_MAX;
}

static bool
parse_if(struct slice value, struct api_query *query)
{
	query->if_absent = true;
	return slice_equal(value, slice_from_text("absent"));
}

bool
api_is_ttl(uint64_t us)
{
	return us >= KV_TTL_US_MIN && us <= KV_TTL_US_MAX;
}

bool
api_parse_ttl(struct slice text, uint64_t *ret_us)
{
	return parse_duration(text, ret_us) && api_is_ttl(*ret_us);
}

static bool
parse_ttl(struct slice value, struct api_query *query)
{
	return api_parse_ttl(value, &query->ttl_us);
}

static bool
parse_limit(struct slice value, struct api_query *query)
{
	return text_parse_u64(value, &query->limit) == 0 && query->limit > 0;
}

static bool
parse_by(struct slice value, struct api_query *query)
{
	bool minus = value.size > 0 && value.data[0] == '-';
	uint64_t size;

	if (minus)
		value = slice_of(value.data + 1, value.size - 1);
	if (text_parse_u64(value, &size) != 0 ||
	    size > (uint64_t)INT64_MAX + (minus ? 1 : 0))
		return false;
	query->by = minus ? (int64_t)(0 - size) : (int64_t)size;
	return true;
}

static bool
parse_lease(struct slice value, struct api_query *query)
{
	return api_parse_id(value, &query->lease);
}

static bool
parse_token(struct slice value, struct api_query *query)
{
	return api_parse_id(value, &query->token);
}

#define ID_EXPECTED "16 hex digits"

static const struct parameter parameters[] = {
	{ "consistency", API_QUERY_CONSISTENCY, parse_consistency,
	    "strong or stale; linearizable is strong" },
	{ "json", API_QUERY_JSON, parse_json, "nothing, or 1" },
	{ "timeout", API_QUERY_TIMEOUT, parse_timeout,
	    "a duration above 0 in whole numbers, such as 500ms or 2s, or a "
	    "number of seconds" },
	{ "verbose", API_QUERY_VERBOSE, parse_verbose, "nothing, or 1" },
	{ "max_lag", API_QUERY_MAX_LAG, parse_max_lag,
	    "a duration in whole numbers, such as 500ms or 2s, or a number of "
	    "seconds" },
	{ "min_revision", API_QUERY_MIN_REVISION, parse_min_revision,
	    "a revision, which is a number" },
	{ "name", API_QUERY_NAME, parse_name,
	    "a member's name: 1 to 32 of a-z0-9-" },
	{ "address", API_QUERY_ADDRESS, parse_address,
	    "a numeric address with its port, such as 10.0.0.4:5864" },
	{ "old", API_QUERY_OLD, parse_old,
	    "a member's name: 1 to 32 of a-z0-9-" },
	{ "new", API_QUERY_NEW, parse_name,
	    "a member's name: 1 to 32 of a-z0-9-" },
	{ "to", API_QUERY_TO, parse_name,
	    "a member's name: 1 to 32 of a-z0-9-" },
	{ "wait", API_QUERY_WAIT, parse_wait,
	    "a duration above 0 and at most 10m, in whole numbers, such as "
	    "30s, or a number of seconds" },
	{ "force", API_QUERY_FORCE, parse_force, "nothing, or 1" },
	{ "at", API_QUERY_AT, parse_at, "a revision, which is a number" },
	{ "ttl", API_QUERY_TTL, parse_ttl,
	    "a duration of at least 100ms and at most 36500d (100 years), in "
	    "whole numbers, such as 500ms, 30s, 5m, 2h, 1d, or a number of "
	    "seconds" },
	{ "keep_ttl", API_QUERY_KEEP_TTL, parse_keep_ttl, "nothing, or 1" },
	{ "lease", API_QUERY_LEASE, parse_lease, ID_EXPECTED },
	{ "cas", API_QUERY_CAS, parse_cas,
	    "the key's revision; 0: only if there is no such key" },
	{ "op", API_QUERY_OP, parse_op, "the name of an operation" },
	{ "by", API_QUERY_BY, parse_by, "a whole number of 64 bits" },
	{ "to", API_QUERY_TO_KEY, parse_to_key, "a key of 1 to 480 bytes" },
	{ "prefix", API_QUERY_PREFIX, parse_prefix, "the begin of keys" },
	{ "start", API_QUERY_START, parse_start, "the first key" },
	{ "end", API_QUERY_END, parse_end, "the key behind the last" },
	{ "after", API_QUERY_AFTER, parse_after, "the last key of before" },
	{ "limit", API_QUERY_LIMIT, parse_limit, "a number above 0" },
	{ "reverse", API_QUERY_REVERSE, parse_reverse, "nothing, or 1" },
	{ "keys", API_QUERY_KEYS, parse_keys, "nothing, or 1" },
	{ "count", API_QUERY_COUNT, parse_count, "nothing, or 1" },
	{ "delimiter", API_QUERY_DELIMITER, parse_delimiter, "such as /" },
	{ "all", API_QUERY_ALL, parse_all, "nothing, or 1" },
	{ "since", API_QUERY_SINCE, parse_since,
	    "a revision, which is a number" },
	{ "snapshot", API_QUERY_SNAPSHOT, parse_snapshot, "nothing, or 1" },
	{ "prev", API_QUERY_PREV, parse_prev, "nothing, or 1" },
	{ "redirect", API_QUERY_REDIRECT, parse_redirect, "nothing, or 1" },
	{ "if", API_QUERY_IF, parse_if, "absent" },
	{ "atomic", API_QUERY_ATOMIC, parse_atomic, "nothing, or 1" },
	{ "token", API_QUERY_TOKEN, parse_token, ID_EXPECTED },
};

static const struct parameter *
find_parameter(struct slice name, uint64_t known)
{
	for (size_t i = 0; i < ARRAY_COUNT(parameters); i++) {
		if ((known & parameters[i].flag) != 0 &&
		    slice_equal(name, slice_from_text(parameters[i].name)))
			return &parameters[i];
	}
	return NULL;
}

static void
append_known(struct buf *to, uint64_t known)
{
	const char *before = "known here: ";

	if (known == 0)
		buf_append_text(to, "there are none here");
	for (size_t i = 0; i < ARRAY_COUNT(parameters); i++) {
		if ((known & parameters[i].flag) == 0)
			continue;
		buf_append_text(to, before);
		buf_append_text(to, parameters[i].name);
		before = ", ";
	}
}

static void
append_known_here(const struct api_call *call, struct buf *hint)
{
	append_known(hint, call->route->parameters);
	api_append_advice(hint, call->request->path);
}

static void
fail_parameter(struct api_call *call, const char *what, struct slice name,
    const struct parameter *parameter)
{
	bool is_ttl = parameter != NULL && parameter->flag == API_QUERY_TTL;
	struct api_problem *problem =
	    api_problem(call->api, is_ttl ? API_BAD_TTL : API_BAD_REQUEST);

	buf_append_text(&problem->detail, what);
	api_append_quoted(&problem->detail, name);
	if (parameter == NULL)
		append_known_here(call, &problem->hint);
	else
		buf_printf(&problem->hint, "%s takes %s", parameter->name,
		    parameter->expected);
	api_reply_problem(call, problem);
}

/* Into memory that does not move: decoded, nothing is longer. */
static bool
decode_value(struct api_call *call, struct slice sent, struct slice *ret_value)
{
	struct buf *to = &call->query_bytes;
	size_t start = to->size;

	if (http_query_decode(sent, to) != 0)
		return false;
	*ret_value = slice_of(to->data + start, to->size - start);
	return true;
}

static bool
parse_one(
    struct api_call *call, struct http_query_parameter sent, uint64_t *seen)
{
	struct buf *decoded = &call->api->scratch;
	const struct parameter *parameter;
	struct slice value;

	buf_reset(decoded);
	if (http_query_decode(sent.name, decoded) != 0) {
		fail_parameter(
		    call, "malformed query parameter ", sent.name, NULL);
		return false;
	}
	parameter = find_parameter(buf_slice(decoded), call->route->parameters);
	if (parameter == NULL) {
		fail_parameter(
		    call, "unknown query parameter ", buf_slice(decoded), NULL);
		return false;
	}
	if ((*seen & parameter->flag) != 0) {
		fail_parameter(call, "given twice: ", sent.name, parameter);
		return false;
	}
	if (!decode_value(call, sent.value, &value) ||
	    !parameter->parse(value, &call->query)) {
		fail_parameter(call, "not a value: ", sent.value, parameter);
		return false;
	}
	*seen |= parameter->flag;
	return true;
}

bool
api_query_require(struct api_call *call, uint64_t wanted)
{
	struct api_problem *problem;
	const char *before = "";

	if ((call->query.given & wanted) == wanted)
		return true;
	problem = api_problem(call->api, API_BAD_REQUEST);
	buf_append_text(&problem->detail, "query parameters are missing: ");
	for (size_t i = 0; i < ARRAY_COUNT(parameters); i++) {
		const struct parameter *parameter = &parameters[i];

		if ((wanted & ~call->query.given & parameter->flag) == 0)
			continue;
		buf_printf(&problem->detail, "%s%s", before, parameter->name);
		before = ", ";
		if (problem->hint.size == 0)
			buf_printf(&problem->hint, "%s takes %s",
			    parameter->name, parameter->expected);
	}
	api_reply_problem(call, problem);
	return false;
}

bool
api_query_parse(struct api_call *call)
{
	struct http_query_parameter sent;
	struct slice rest = call->request->query;
	uint64_t seen = 0;

	(void)buf_reserve(&call->query_bytes, rest.size);
	while (http_query_next(&rest, &sent)) {
		if (!parse_one(call, sent, &seen))
			return false;
	}
	call->query.given = seen;
	return true;
}
