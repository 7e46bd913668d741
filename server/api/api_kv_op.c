#include "api/api_impl.h"
#include "common/err.h"
#include "common/panic.h"

/* POST of one key: what the server does to a value, and children in order. */

/* The longest int64: "-9223372036854775808". */
#define NUMBER_SIZE_MAX 20
/* The revision that a child's name ends with. */
#define ORDINAL_SIZE 20

#define LIFETIME (API_QUERY_TTL | API_QUERY_LEASE)

/* Of all operations; see api_routes.c. */
#define ALWAYS                                                                 \
	(API_QUERY_OP | API_QUERY_CAS | API_QUERY_TIMEOUT | API_QUERY_REDIRECT)

struct operation {
	const char *name;
	enum kv_op_kind kind;
	uint64_t parameters; /* beside ALWAYS */
	uint64_t required;   /* one of them */
	bool takes_body;
	enum kv_lifetime lifetime; /* of none is given */
	const char *usage;
};

static const struct operation operations[] = {
	{ "incr", KV_INCREMENT, API_QUERY_BY | LIFETIME, 0, false,
	    KV_LIFETIME_KEEP, "op=incr&by=N, by=1 if left out" },
	{ "append", KV_APPEND, LIFETIME, 0, true, KV_LIFETIME_KEEP,
	    "op=append, with what is appended as the body" },
	{ "touch", KV_TOUCH, LIFETIME, LIFETIME, false, KV_LIFETIME_NONE,
	    "op=touch&ttl=30s or op=touch&lease=ID; op=persist makes the key "
	    "stay" },
	{ "persist", KV_TOUCH, 0, 0, false, KV_LIFETIME_NONE,
	    "op=persist: the key stays until it is deleted" },
	{ "copy", KV_COPY, API_QUERY_TO_KEY | LIFETIME, API_QUERY_TO_KEY, false,
	    KV_LIFETIME_NONE, "op=copy&to=KEY" },
	{ "move", KV_MOVE, API_QUERY_TO_KEY | LIFETIME, API_QUERY_TO_KEY, false,
	    KV_LIFETIME_KEEP, "op=move&to=KEY" },
};

/* A name in order of creation, as etcd 2 and ZooKeeper have them. */
static const struct operation create_child = {
	.kind = KV_CREATE_CHILD,
	.parameters = LIFETIME,
	.takes_body = true,
	.lifetime = KV_LIFETIME_NONE,
	.usage = "POST of a key that ends with / makes one below it",
};

static bool
is_parent(struct slice key)
{
	return key.size > 0 && key.data[key.size - 1] == '/';
}

/* NULL: there is no such operation. */
static const struct operation *
find_operation(const struct api_call *call)
{
	if ((call->query.given & API_QUERY_OP) == 0)
		return is_parent(buf_slice(&call->key)) ? &create_child : NULL;
	for (size_t i = 0; i < ARRAY_COUNT(operations); i++) {
		if (slice_equal(
			call->query.op, slice_from_text(operations[i].name)))
			return &operations[i];
	}
	return NULL;
}

static void
fail_operation(struct api_call *call)
{
	struct api_problem *problem = api_problem(call->api, API_BAD_REQUEST);

	if ((call->query.given & API_QUERY_OP) == 0) {
		buf_append_text(&problem->detail, "POST needs to know what to "
						  "do");
	} else {
		buf_append_text(&problem->detail, "there is no operation ");
		api_append_quoted(&problem->detail, call->query.op);
	}
	buf_append_text(&problem->hint,
	    "to write a value: PUT (curl -X PUT -d); "
	    "else op takes ");
	for (size_t i = 0; i < ARRAY_COUNT(operations); i++)
		buf_printf(&problem->hint, "%s, ", operations[i].name);
	buf_append_text(&problem->hint, "and POST of a key that ends with / "
					"makes one below it");
	api_reply_problem(call, problem);
}

/* False: what is given does not go with the operation; answered. */
static bool
check_usage(struct api_call *call, const struct operation *operation)
{
	uint64_t given = call->query.given;
	const char *wrong = NULL;

	if ((given & ~(operation->parameters | ALWAYS)) != 0)
		wrong = "a query parameter does not go with this operation";
	else if (operation->required != 0 && (given & operation->required) == 0)
		wrong = "a query parameter is missing";
	else if (!operation->takes_body && call->request->body.size > 0)
		wrong = "this operation takes no body";
	else if (slice_equal(call->query.to_key, buf_slice(&call->key)) &&
		 operation->required == API_QUERY_TO_KEY)
		wrong = "to is the key itself";
	if (wrong == NULL)
		return true;
	api_fail(call, API_BAD_REQUEST, operation->usage, "%s", wrong);
	return false;
}

static bool
check_child_size(struct api_call *call, const struct operation *operation)
{
	struct api_problem *problem;

	if (operation != &create_child ||
	    call->key.size + ORDINAL_SIZE <= KV_KEY_SIZE_MAX)
		return true;
	problem = api_problem(call->api, API_TARGET_TOO_LARGE);
	buf_printf(&problem->detail,
	    "with the %d digits of its child the key would have more than %d "
	    "bytes",
	    ORDINAL_SIZE, KV_KEY_SIZE_MAX);
	api_problem_u64(problem, "limit", KV_KEY_SIZE_MAX);
	api_reply_problem(call, problem);
	return false;
}

/* A child is new in any case. */
static bool
check_conditions(struct api_call *call, const struct operation *operation)
{
	if (!api_check_conditions(call))
		return false;
	if (operation == &create_child)
		return true;
	/* A copy leaves its source as it is. */
	return (operation->kind == KV_COPY || api_check_required(call)) &&
	       api_check_required_to(call);
}

/* What a copy will add, so far as it is known here. */
static bool
fits_copy(struct api_call *call)
{
	struct kv_item item = { 0 };
	int rc = api_get_item(call, &item);

	if (rc != 0 && rc != ERR_NOT_FOUND)
		return false;
	return api_fits_value(call, call->query.to_key, item.value.size);
}

/* What would be too large a value is refused as such by the command. */
static bool
fits_append(struct api_call *call)
{
	size_t size = call->request->body.size;
	struct kv_item item;
	int rc = api_get_item(call, &item);

	if (rc == ERR_NOT_FOUND)
		return api_fits(call, call->key.size + size);
	if (rc != 0)
		return false;
	return api_fits(call,
	    item.value.size + size > call->api->params.value_bytes_max ? 0
								       : size);
}

static bool
fits(struct api_call *call, const struct operation *operation)
{
	struct slice key = buf_slice(&call->key);
	size_t size = call->request->body.size;

	switch (operation->kind) {
	case KV_INCREMENT: return api_fits_value(call, key, NUMBER_SIZE_MAX);
	case KV_APPEND: return fits_append(call);
	case KV_CREATE_CHILD:
		return api_fits(call, key.size + ORDINAL_SIZE + size);
	case KV_COPY: return fits_copy(call);
	case KV_MOVE:
		return api_fits(
		    call, call->query.to_key.size -
			      MIN(call->query.to_key.size, key.size));
	case KV_TOUCH: return true; /* else what is kept alive so expires */
	case KV_PUT:
	case KV_DELETE:
	case KV_DELETE_RANGE:
	case KV_GET:
	case KV_LIST: break;
	}
	return api_fits(call, 0);
}

static bool
propose_post(struct api_call *call, struct buf *command)
{
	const struct operation *operation = find_operation(call);
	const struct http_request *request = call->request;
	struct kv_op op = {
		.key = buf_slice(&call->key),
		.other = call->query.to_key,
		.value = request->body,
		.by = (call->query.given & API_QUERY_BY) != 0 ? call->query.by
							      : 1,
		.size_max = call->api->params.value_bytes_max,
		.content_type =
		    operation == &create_child
			? api_parse_content_type(
			      http_request_header(request, "Content-Type"))
			: KV_CONTENT_NONE,
	};

	ASSERT(operation != NULL); /* api_kv_post has looked */
	op.kind = operation->kind;
	if (!api_take_lifetime(call, operation->lifetime, &op) ||
	    !fits(call, operation))
		return false;
	api_encode_begin(call, command);
	kv_encode_op(command, call->branch, &op);
	return true;
}

static void
applied_post(struct api_call *call, const struct kv_result *result)
{
	const struct operation *operation = find_operation(call);
	struct kv_output output;

	if (api_fail_result(call, result))
		return;
	output = api_first_output(result);
	api_reply_written(call, operation == &create_child ? 201 : 200, &output,
	    API_SHOWN_VALUE);
}

void
api_kv_post(struct api_call *call)
{
	static const struct api_operation handling = {
		.propose = propose_post,
		.applied = applied_post,
	};
	const struct operation *operation;
	struct kv_op ignored;

	if (!api_take_key(call))
		return;
	operation = find_operation(call);
	if (operation == NULL) {
		fail_operation(call);
		return;
	}
	if (check_usage(call, operation) && check_child_size(call, operation) &&
	    check_conditions(call, operation) &&
	    api_take_lifetime(call, operation->lifetime, &ignored))
		api_write(call, &handling);
}
