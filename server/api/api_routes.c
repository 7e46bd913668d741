#include "api/api_impl.h"
#include <string.h>

#define BIT(method) (1u << (method))
#define READ        (BIT(HTTP_GET) | BIT(HTTP_HEAD))
/* HAProxy asks for health by OPTIONS, unless it is told otherwise. */
#define CHECK (READ | BIT(HTTP_OPTIONS))

#define READ_ANY                                                               \
	(API_QUERY_CONSISTENCY | API_QUERY_TIMEOUT | API_QUERY_MAX_LAG |       \
	    API_QUERY_MIN_REVISION | API_QUERY_REDIRECT)
#define WRITE_ANY   (API_QUERY_TIMEOUT | API_QUERY_REDIRECT)
#define WRITE_KEY   (API_QUERY_CAS | WRITE_ANY)
#define RANGE       (API_QUERY_PREFIX | API_QUERY_START | API_QUERY_END)
#define CONDITIONAL (API_ROUTE_CONDITION | API_ROUTE_IDENTITY)
#define WATCH                                                                  \
	(API_QUERY_CONSISTENCY | API_QUERY_MAX_LAG | API_QUERY_MIN_REVISION |  \
	    API_QUERY_TIMEOUT | API_QUERY_SINCE | API_QUERY_SNAPSHOT |         \
	    API_QUERY_PREV | API_QUERY_WAIT)

/* Rows of one path stand together; the busiest path is first. */
const struct api_route api_routes[] = {
	{ "/kv/", "/kv/KEY", READ,
	    API_QUERY_CONSISTENCY | API_QUERY_JSON | API_QUERY_TIMEOUT |
		API_QUERY_MAX_LAG | API_QUERY_MIN_REVISION | API_QUERY_AT |
		API_QUERY_REDIRECT | API_QUERY_WAIT,
	    API_ROUTE_PREFIX, api_kv_get },
	{ "/kv/", "/kv/KEY", BIT(HTTP_PUT),
	    API_QUERY_TTL | API_QUERY_KEEP_TTL | API_QUERY_LEASE | WRITE_KEY,
	    API_ROUTE_PREFIX | API_ROUTE_VALUE | CONDITIONAL, api_kv_put },
	{ "/kv/", "/kv/KEY", BIT(HTTP_POST),
	    API_QUERY_OP | API_QUERY_BY | API_QUERY_TO_KEY | API_QUERY_TTL |
		API_QUERY_LEASE | WRITE_KEY,
	    API_ROUTE_PREFIX | API_ROUTE_VALUE | CONDITIONAL, api_kv_post },
	{ "/kv/", "/kv/KEY", BIT(HTTP_DELETE), WRITE_KEY,
	    API_ROUTE_PREFIX | CONDITIONAL, api_kv_delete },
	{ "/kv", "/kv", READ,
	    RANGE | API_QUERY_AFTER | API_QUERY_LIMIT | API_QUERY_REVERSE |
		API_QUERY_KEYS | API_QUERY_COUNT | API_QUERY_DELIMITER |
		API_QUERY_AT | API_QUERY_JSON | READ_ANY,
	    0, api_list_get },
	{ "/kv", "/kv", BIT(HTTP_DELETE),
	    RANGE | API_QUERY_LIMIT | API_QUERY_ALL | WRITE_ANY,
	    API_ROUTE_IDENTITY, api_list_delete },
	{ "/txn", "/txn", BIT(HTTP_POST), WRITE_ANY,
	    API_ROUTE_JSON | API_ROUTE_IDENTITY, api_transaction_post },
	{ "/export", "/export", READ,
	    RANGE | API_QUERY_AFTER | API_QUERY_LIMIT | API_QUERY_AT | READ_ANY,
	    0, api_export_get },
	{ "/import", "/import", BIT(HTTP_PUT) | BIT(HTTP_POST),
	    API_QUERY_IF | API_QUERY_ATOMIC | API_QUERY_TIMEOUT,
	    API_ROUTE_STREAM, api_import_post },
	{ "/lease", "/lease", READ,
	    API_QUERY_LIMIT | API_QUERY_AFTER | READ_ANY, 0, api_leases_get },
	{ "/lease", "/lease", BIT(HTTP_POST), API_QUERY_TTL | WRITE_ANY,
	    API_ROUTE_IDENTITY, api_leases_post },
	{ "/lease/", "/lease/ID", READ,
	    API_QUERY_LIMIT | API_QUERY_AFTER | READ_ANY, API_ROUTE_PREFIX,
	    api_lease_get },
	{ "/lease/", "/lease/ID", BIT(HTTP_POST), API_QUERY_OP | WRITE_ANY,
	    API_ROUTE_PREFIX | API_ROUTE_IDENTITY, api_lease_post },
	{ "/lease/", "/lease/ID", BIT(HTTP_DELETE), WRITE_ANY,
	    API_ROUTE_PREFIX | API_ROUTE_IDENTITY, api_lease_delete },
	{ "/lock/", "/lock/NAME", READ, READ_ANY, API_ROUTE_PREFIX,
	    api_lock_get },
	{ "/lock/", "/lock/NAME", BIT(HTTP_PUT),
	    API_QUERY_TTL | API_QUERY_WAIT | WRITE_ANY,
	    API_ROUTE_PREFIX | API_ROUTE_VALUE | API_ROUTE_IDENTITY,
	    api_lock_put },
	{ "/lock/", "/lock/NAME", BIT(HTTP_DELETE), API_QUERY_TOKEN | WRITE_ANY,
	    API_ROUTE_PREFIX | API_ROUTE_IDENTITY, api_lock_delete },
	{ "/watch", "/watch", BIT(HTTP_GET),
	    WATCH | API_QUERY_PREFIX | API_QUERY_START | API_QUERY_END, 0,
	    api_watch_get },
	{ "/watch/", "/watch/KEY", BIT(HTTP_GET), WATCH, API_ROUTE_PREFIX,
	    api_watch_key_get },
	{ "/", "/", READ, 0, 0, api_root_get },
	{ "/cluster", "/cluster", READ, API_QUERY_JSON, 0, api_cluster_get },
	{ "/cluster/members", "/cluster/members", BIT(HTTP_POST),
	    API_QUERY_NAME | API_QUERY_ADDRESS | API_QUERY_WAIT,
	    API_ROUTE_PATIENT, api_members_post },
	{ "/cluster/members/", "/cluster/members/NAME", BIT(HTTP_PUT),
	    API_QUERY_ADDRESS | API_QUERY_FORCE | API_QUERY_TIMEOUT,
	    API_ROUTE_PREFIX, api_member_put },
	{ "/cluster/members/", "/cluster/members/NAME", BIT(HTTP_DELETE),
	    API_QUERY_FORCE | API_QUERY_TIMEOUT, API_ROUTE_PREFIX,
	    api_member_delete },
	{ "/cluster/replace", "/cluster/replace", BIT(HTTP_POST),
	    API_QUERY_OLD | API_QUERY_NEW | API_QUERY_ADDRESS | API_QUERY_WAIT |
		API_QUERY_FORCE,
	    API_ROUTE_PATIENT, api_replace_post },
	{ "/cluster/leader", "/cluster/leader", BIT(HTTP_POST),
	    API_QUERY_TO | API_QUERY_TIMEOUT, 0, api_leader_post },
	{ "/livez", "/livez", CHECK, 0, API_ROUTE_HEALTH, api_livez_get },
	{ "/readyz", "/readyz", CHECK, API_QUERY_VERBOSE, API_ROUTE_HEALTH,
	    api_readyz_get },
	{ "/leader", "/leader", CHECK, 0, API_ROUTE_HEALTH, api_leader_get },
	{ "/metrics", "/metrics", READ, 0, 0, api_metrics_get },
};

const size_t api_routes_count = ARRAY_COUNT(api_routes);

static bool
matches(const struct api_route *route, struct slice path)
{
	size_t size = strlen(route->path);

	if ((route->flags & API_ROUTE_PREFIX) == 0)
		return slice_equal(path, slice_of(route->path, size));
	return path.size >= size && memcmp(path.data, route->path, size) == 0;
}

const struct api_route *
api_route_find(const struct http_request *request, unsigned *ret_allowed)
{
	unsigned allowed = 0;

	for (size_t i = 0; i < api_routes_count; i++) {
		const struct api_route *route = &api_routes[i];

		if (!matches(route, request->path))
			continue;
		if ((route->methods & BIT(request->method)) != 0)
			return route;
		allowed |= route->methods | BIT(HTTP_OPTIONS);
	}
	*ret_allowed = allowed;
	return NULL;
}

void
api_append_methods(struct buf *to, unsigned methods)
{
	const char *before = "";

	for (unsigned method = HTTP_GET; method <= HTTP_OPTIONS; method++) {
		if ((methods & BIT(method)) == 0)
			continue;
		buf_append_text(to, before);
		buf_append_text(to, http_method_name((enum http_method)method));
		before = ", ";
	}
}

/* What is looked for at a path, and is at another one. */
static const struct {
	const char *path; /* the begin of it */
	const char *text;
} advices[] = {
	{ "/lock/", "a lock is renewed by POST /lease/TOKEN?op=renew" },
};

void
api_append_advice(struct buf *hint, struct slice path)
{
	for (size_t i = 0; i < ARRAY_COUNT(advices); i++) {
		size_t size = strlen(advices[i].path);

		if (path.size >= size &&
		    memcmp(path.data, advices[i].path, size) == 0)
			buf_printf(hint, "; %s", advices[i].text);
	}
}

static void
append_paths(struct buf *members)
{
	buf_append_text(members, ",\"paths\":[");
	for (size_t i = 0; i < api_routes_count; i++) {
		if (i > 0 &&
		    strcmp(api_routes[i].path, api_routes[i - 1].path) == 0)
			continue;
		buf_printf(members, "%s\"%s\"", i == 0 ? "" : ",",
		    api_routes[i].shown);
	}
	buf_append_text(members, "]");
}

static void
fail_path(struct api_call *call)
{
	struct api_problem *problem = api_problem(call->api, API_UNKNOWN_PATH);

	buf_append_text(&problem->detail, "there is no path ");
	api_append_quoted(&problem->detail, call->request->path);
	buf_append_text(&problem->hint, "GET / shows what there is");
	append_paths(&problem->members);
	api_reply_problem(call, problem);
}

static void
fail_method(struct api_call *call, unsigned allowed)
{
	struct api_problem *problem =
	    api_problem(call->api, API_METHOD_NOT_ALLOWED);

	buf_printf(&problem->detail, "%s does not apply to ",
	    http_method_name(call->request->method));
	api_append_quoted(&problem->detail, call->request->path);
	buf_append_text(&problem->hint, "allowed here: ");
	api_append_methods(&problem->hint, allowed);
	api_append_advice(&problem->hint, call->request->path);
	problem->allowed = allowed;
	api_reply_problem(call, problem);
}

void
api_reply_unrouted(struct api_call *call, unsigned allowed)
{
	struct buf *methods = &call->api->scratch;

	if (allowed == 0) {
		fail_path(call);
		return;
	}
	if (call->request->method != HTTP_OPTIONS) {
		fail_method(call, allowed);
		return;
	}
	buf_reset(methods);
	api_append_methods(methods, allowed);
	api_reply_begin(call, 204);
	http_reply_header(call->request, "Allow", buf_slice(methods));
	api_reply_end(call, slice_of(NULL, 0));
}
