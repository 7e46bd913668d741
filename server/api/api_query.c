#include "api/api_impl.h"
#include "common/address.h"
#include "common/text.h"
#include "net/http_uri.h"

struct parameter {
	const char *name;
	unsigned flag;
	/* False: not a value it can have. */
	bool (*parse)(struct slice value, struct api_query *query);
	const char *expected; /* completes "NAME takes" */
};

static bool
parse_consistency(struct slice value, struct api_query *query)
{
	query->stale = slice_equal(value, slice_from_text("stale"));
	return query->stale || slice_equal(value, slice_from_text("strong"));
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
	return text_parse_duration(value, &query->timeout_us) == 0 &&
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
	return text_parse_duration(value, &query->wait_us) == 0 &&
	       query->wait_us > 0 && query->wait_us <= API_WAIT_MAX_US;
}

static bool
parse_max_lag(struct slice value, struct api_query *query)
{
	return text_parse_duration(value, &query->max_lag_us) == 0;
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

static const struct parameter parameters[] = {
	{ "consistency", API_QUERY_CONSISTENCY, parse_consistency,
	    "strong or stale" },
	{ "json", API_QUERY_JSON, parse_json, "nothing, or 1" },
	{ "timeout", API_QUERY_TIMEOUT, parse_timeout,
	    "a duration above 0, such as 500ms or 2s" },
	{ "verbose", API_QUERY_VERBOSE, parse_verbose, "nothing, or 1" },
	{ "max_lag", API_QUERY_MAX_LAG, parse_max_lag,
	    "a duration, such as 2s" },
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
	    "a duration above 0 and at most 10m, such as 30s" },
	{ "force", API_QUERY_FORCE, parse_force, "nothing, or 1" },
};

static const struct parameter *
find_parameter(struct slice name, unsigned known)
{
	for (size_t i = 0; i < ARRAY_COUNT(parameters); i++) {
		if ((known & parameters[i].flag) != 0 &&
		    slice_equal(name, slice_from_text(parameters[i].name)))
			return &parameters[i];
	}
	return NULL;
}

static void
append_known(struct buf *to, unsigned known)
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
fail_parameter(struct api_call *call, const char *what, struct slice name,
    const struct parameter *parameter)
{
	struct api_problem *problem = api_problem(call->api, API_BAD_REQUEST);

	buf_append_text(&problem->detail, what);
	api_append_quoted(&problem->detail, name);
	if (parameter == NULL)
		append_known(&problem->hint, call->route->parameters);
	else
		buf_printf(&problem->hint, "%s takes %s", parameter->name,
		    parameter->expected);
	api_reply_problem(call, problem);
}

static bool
parse_one(
    struct api_call *call, struct http_query_parameter sent, unsigned *seen)
{
	struct buf *decoded = &call->api->scratch;
	const struct parameter *parameter;

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
	buf_reset(decoded);
	if (http_query_decode(sent.value, decoded) != 0 ||
	    !parameter->parse(buf_slice(decoded), &call->query)) {
		fail_parameter(call, "not a value: ", sent.value, parameter);
		return false;
	}
	*seen |= parameter->flag;
	return true;
}

bool
api_query_require(struct api_call *call, unsigned wanted)
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
	unsigned seen = 0;

	while (http_query_next(&rest, &sent)) {
		if (!parse_one(call, sent, &seen))
			return false;
	}
	call->query.given = seen;
	return true;
}
