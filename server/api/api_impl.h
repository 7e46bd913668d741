#ifndef API_API_IMPL_H
#define API_API_IMPL_H

/* What the files of api/ share. */

#include "api/api.h"
#include "api/api_handlers.h"
#include "common/buf.h"
#include "common/list.h"
#include "common/metrics.h"
#include "common/rng.h"
#include "kv/kv_read.h"

struct api_call;

/* ---- Errors: api_error.c ---- */

/* One for each row of the table there, which has status, code and title. */
enum api_code {
	API_BAD_REQUEST,
	API_BAD_JSON,
	API_BAD_TTL,
	API_FORBIDDEN,
	API_KEY_NOT_FOUND,
	API_LEASE_NOT_FOUND,
	API_LOCK_NOT_FOUND,
	API_MEMBER_NOT_FOUND,
	API_UNKNOWN_PATH,
	API_METHOD_NOT_ALLOWED,
	API_TIMEOUT,
	API_CANNOT_JOIN,
	API_CANNOT_MOVE,
	API_CHANGE_IN_PROGRESS,
	API_LEASE_EXISTS,
	API_LOCK_HELD,
	API_MEMBER_EXISTS,
	API_NOT_A_NUMBER,
	API_NOT_TRANSFERRED,
	API_TOO_MANY_MEMBERS,
	API_WOULD_LOSE_QUORUM,
	API_COMPACTED,
	API_PRECONDITION_FAILED,
	API_BODY_TOO_LARGE,
	API_TARGET_TOO_LARGE,
	API_MEDIA_TYPE,
	API_EXPECTATION_FAILED,
	API_WRONG_CLUSTER,
	API_KEY_REUSED,
	API_PRECONDITION_REQUIRED,
	API_TOO_MANY_WATCHERS,
	API_HEADERS_TOO_LARGE,
	API_INTERNAL,
	API_NOT_IMPLEMENTED,
	API_NO_LEADER,
	API_NOT_LEADER,
	API_NOT_READY,
	API_REPAIRING,
	API_STARTING,
	API_TOO_STALE,
	API_WIPED,
	API_REMOVED,
	API_OUTDATED,
	API_SHUTTING_DOWN,
	API_BUSY,
	API_TOO_MANY_CONNECTIONS,
	API_OUTCOME_UNKNOWN,
	API_VERSION_NOT_SUPPORTED,
	API_QUOTA_EXCEEDED
};

/* An error in the making; all texts are UTF-8. */
struct api_problem {
	enum api_code code;
	struct buf detail;
	struct buf hint;    /* empty: none */
	struct buf members; /* JSON members of its own, each with ',' before */
	unsigned allowed;   /* methods for the header Allow; 0: none */
	const char *etag;   /* NULL: none */
};

/* Begins the next error; there is one at a time, and it belongs to `api`. */
struct api_problem *api_problem(struct api *api, enum api_code code);
void
api_problem_u64(struct api_problem *problem, const char *name, uint64_t value);
/* `value` is UTF-8. */
void api_problem_text(
    struct api_problem *problem, const char *name, const char *value);
/* Answers with it. The call is gone afterwards. */
void api_reply_problem(struct api_call *call, struct api_problem *problem);

/* Appends it as one line of JSON. */
void api_append_problem(struct buf *to, const struct api_problem *problem);

/* The same in one step; `hint` may be NULL. */
ATTR_PRINTF(4, 5)
void api_fail(struct api_call *call, enum api_code code, const char *hint,
    const char *detail_format, ...);

/* Answers what the server refused; see http_server_ops.on_refused. */
void api_fail_refusal(struct api_call *call, enum http_refusal refusal,
    const char *detail, uint64_t limit, const char *option);

/* Appends bytes of a client's for an error text: 'abc', cut, printable. */
void api_append_quoted(struct buf *to, struct slice bytes);

/* ---- Query parameters: api_query.c ---- */

/* Bits of a route's parameters, and of those given. */
#define API_QUERY_CONSISTENCY  (UINT64_C(1) << 0)
#define API_QUERY_JSON         (UINT64_C(1) << 1)
#define API_QUERY_TIMEOUT      (UINT64_C(1) << 2)
#define API_QUERY_VERBOSE      (UINT64_C(1) << 3)
#define API_QUERY_MAX_LAG      (UINT64_C(1) << 4)
#define API_QUERY_MIN_REVISION (UINT64_C(1) << 5)
#define API_QUERY_NAME         (UINT64_C(1) << 6)
#define API_QUERY_ADDRESS      (UINT64_C(1) << 7)
#define API_QUERY_OLD          (UINT64_C(1) << 8)
#define API_QUERY_NEW          (UINT64_C(1) << 9)
#define API_QUERY_TO           (UINT64_C(1) << 10)
#define API_QUERY_WAIT         (UINT64_C(1) << 11)
#define API_QUERY_FORCE        (UINT64_C(1) << 12)
#define API_QUERY_AT           (UINT64_C(1) << 13)
#define API_QUERY_TTL          (UINT64_C(1) << 14)
#define API_QUERY_KEEP_TTL     (UINT64_C(1) << 15)
#define API_QUERY_LEASE        (UINT64_C(1) << 16)
#define API_QUERY_CAS          (UINT64_C(1) << 17)
#define API_QUERY_OP           (UINT64_C(1) << 18)
#define API_QUERY_BY           (UINT64_C(1) << 19)
#define API_QUERY_TO_KEY       (UINT64_C(1) << 20)
#define API_QUERY_PREFIX       (UINT64_C(1) << 21)
#define API_QUERY_START        (UINT64_C(1) << 22)
#define API_QUERY_END          (UINT64_C(1) << 23)
#define API_QUERY_AFTER        (UINT64_C(1) << 24)
#define API_QUERY_LIMIT        (UINT64_C(1) << 25)
#define API_QUERY_REVERSE      (UINT64_C(1) << 26)
#define API_QUERY_KEYS         (UINT64_C(1) << 27)
#define API_QUERY_COUNT        (UINT64_C(1) << 28)
#define API_QUERY_DELIMITER    (UINT64_C(1) << 29)
#define API_QUERY_ALL          (UINT64_C(1) << 30)
#define API_QUERY_SINCE        (UINT64_C(1) << 31)
#define API_QUERY_SNAPSHOT     (UINT64_C(1) << 32)
#define API_QUERY_PREV         (UINT64_C(1) << 33)
#define API_QUERY_REDIRECT     (UINT64_C(1) << 34)
#define API_QUERY_IF           (UINT64_C(1) << 35)
#define API_QUERY_ATOMIC       (UINT64_C(1) << 36)
#define API_QUERY_TOKEN        (UINT64_C(1) << 37)

/* The longest wait=, and how many requests that wait for members are under way
 * at most. */
#define API_WAIT_MAX_US (UINT64_C(600) * 1000000)
#define API_WAITS_MAX   8

struct api_query {
	uint64_t given; /* API_QUERY_... */
	bool stale;     /* consistency=stale */
	bool json;
	bool verbose;
	bool force;
	uint64_t timeout_us; /* 0: not given */
	uint64_t wait_us;    /* 0: not given */
	uint64_t max_lag_us;
	uint64_t min_revision;
	char name[NODE_NAME_SIZE_MAX + 1]; /* of name=, new= or to= */
	char old[NODE_NAME_SIZE_MAX + 1];
	char address[NODE_ADDRESS_SIZE_MAX + 1];

	/* Keys and the like, decoded, in call->query_bytes; not given: NULL. */
	struct slice prefix;
	struct slice start;
	struct slice end;
	struct slice after;
	struct slice delimiter;
	struct slice to_key;
	struct slice op;
	uint64_t at; /* revisions; 0 with `given`: that one */
	uint64_t cas;
	uint64_t since;
	uint64_t ttl_us;
	uint64_t lease;
	uint64_t token;
	uint64_t limit;
	int64_t by;
	bool keep_ttl;
	bool reverse;
	bool keys;
	bool count;
	bool all;
	bool snapshot;
	bool prev;
	bool redirect;
	bool if_absent;
	bool atomic;
};

/*
 * Reads the request's query into call->query. False: something is unknown
 * to the route, given twice or malformed, and has been answered.
 */
bool api_query_parse(struct api_call *call);
/* False: some of `wanted` were not given, and that has been answered. */
bool api_query_require(struct api_call *call, uint64_t wanted);
/* Is it a TTL that a key can have? */
bool api_is_ttl(uint64_t us);
/* False: not such a one. A bare number is in seconds. */
bool api_parse_ttl(struct slice text, uint64_t *ret_us);
/* Copies what could be a member's name, with its terminator; else false. */
bool api_parse_name(struct slice text, char ret_name[NODE_NAME_SIZE_MAX + 1]);

/* ---- Routes: api_routes.c ---- */

enum {
	API_ROUTE_PREFIX = (1u << 0), /* the path begins with `path` */
	API_ROUTE_HEALTH = (1u << 1), /* reserved connections, while draining */
	API_ROUTE_VALUE = (1u << 2),  /* the body is a value, or ... */
	API_ROUTE_JSON = (1u << 3),   /* JSON of up to API_JSON_BYTES_MAX, or */
	API_ROUTE_STREAM = (1u << 4), /* comes in parts; else there is none */
	/* What is asked for by headers: else they are refused, as they must
	 * not be passed over in silence. */
	API_ROUTE_CONDITION = (1u << 5), /* If-Match, If-None-Match */
	API_ROUTE_IDENTITY = (1u << 6),  /* Idempotency-Key */
	API_ROUTE_PATIENT = (1u << 7)    /* wait=, of API_WAITS_MAX at most */
};

struct api_route {
	const char *path;
	const char *shown;   /* in lists of paths and in metrics */
	unsigned methods;    /* 1u << enum http_method */
	uint64_t parameters; /* API_QUERY_... */
	unsigned flags;      /* API_ROUTE_... */
	void (*handle)(struct api_call *call);
};

extern const struct api_route api_routes[];
extern const size_t api_routes_count;

/*
 * The row for this path and method. NULL: `ret_allowed` holds the methods
 * that the path has, 0 if there is no such path.
 */
const struct api_route *
api_route_find(const struct http_request *request, unsigned *ret_allowed);

/* "GET, HEAD, OPTIONS" */
void api_append_methods(struct buf *to, unsigned methods);

/* Appends, to the hint of an error, where else to find what this path does not
 * do; mostly nothing. */
void api_append_advice(struct buf *hint, struct slice path);

/* Answers a request without a route: 204 to OPTIONS, 404 or 405. */
void api_reply_unrouted(struct api_call *call, unsigned allowed);

/* ---- Calls: api_call.c ---- */

/* Where a call is while it waits. */
enum api_way {
	API_IDLE,      /* nowhere: it is being handled */
	API_PARKED,    /* for a leader, in api->parked */
	API_READING,   /* in the node: call->read */
	API_WRITING,   /* in the node: call->write */
	API_PROBING,   /* for another node's hello: call->probe */
	API_WAITING,   /* for something to become true, in api->waiting */
	API_STREAMING, /* its answer or its body is under way, in parts */
	API_FORWARDED  /* at the leader: call->forward */
};

/*
 * What a request wants of the leader: one of `propose`, `start` and `serve` is
 * set, unless it only waits.
 */
struct api_operation {
	/* Asks this node, which leads, for something else than a command;
	 * see api_take_back. */
	void (*start)(struct api_call *call);
	/* A call that waits, after a turn: true if it has answered, which it
	 * has to if `last`, as there is no more time. */
	bool (*waited)(struct api_call *call, bool last);
	/* Appends the command. False: it was refused and answered. */
	bool (*propose)(struct api_call *call, struct buf *command);
	/* Answers a write that was applied; `result` is NULL unless it was a
	 * command. */
	void (*applied)(struct api_call *call, const struct kv_result *result);
	/* Answers a read from the state machine, now. */
	void (*serve)(struct api_call *call);
	/* Goes on, as api_step asked for. */
	void (*step)(struct api_call *call);
	/* The client took most of what was sent: go on; see
	 * http_server_ops.on_drained. */
	void (*drained)(struct api_call *call);
	/* A part of the body of an API_ROUTE_STREAM. */
	void (*body)(struct api_call *call, struct slice part, bool last);
	/* Sends a write to the leader in another form than as the request that
	 * it is, which is what is done if this is NULL. */
	void (*forward)(struct api_call *call, raft_id leader);
	/* Adds to an error what else the client has to know; may be NULL. */
	void (*explain)(struct api_call *call, struct api_problem *problem);
	/* Answers a call that cannot be served in place of the usual error;
	 * may be NULL. */
	void (*given_up)(struct api_call *call);
};

/* A request under way. They are pooled: a request costs no malloc. */
struct api_call {
	struct list link; /* in api->spare, api->parked or api->forwarded */
	struct api *api;
	struct http_request *request;
	const struct api_route *route; /* NULL: none */
	const struct api_operation *operation;
	struct api_query query;
	struct buf key;
	struct buf query_bytes;
	/* What the kind of call needs beyond this; freed with it. */
	void *work;
	void (*work_free)(struct api_call *call);
	size_t *counted; /* see api_count_call; NULL: nowhere */
	bool replayed;   /* the answer is that of an earlier request */
	bool uncertain;  /* it was sent to a leader that may have done it */
	enum kv_branch branch; /* where the operation is; see api_condition.c */
	bool unread; /* refused for its form, which may not be the sender's */
	bool local;  /* served here or not at all, as one that was forwarded */
	enum api_way way;
	uint64_t deadline_us;
	size_t place; /* in api->deadlines, from 1 on; 0: not there */
	union {
		struct node_read read;
		struct node_write write;
		struct peers_probe *probe;
		struct peers_forward *forward;
	};
};

struct api_call *api_call_new(struct api *api, struct http_request *request);
void api_call_free(struct api_call *call);

/* A call with wait=, which may last long, is one of `*count` until it is freed,
 * and is cut short at a drain. False: `max` are already. */
bool api_count_call(struct api_call *call, size_t *count, size_t max);

/* A heap by deadline_us, which a call enters or takes another place in. It
 * leaves when it is freed. */
void api_deadline_set(struct api_call *call, uint64_t deadline_us);
/* NULL: none. */
struct api_call *api_deadline_first(const struct api *api);
/* Releases spare calls and the heap. */
void api_calls_release(struct api *api);

/* ---- The api itself ---- */

struct api_route_metrics;

/* Costly to ask for: the files are walked one by one. */
struct api_process {
	uint64_t until_us; /* then they are asked for again */
	double resident_bytes;
	double processor_seconds;
	double open_files;
};

struct api {
	struct loop *loop;
	struct api_params params;
	struct node *node;
	struct peers *peers;

	struct list spare; /* calls to be used again */
	size_t spare_count;
	size_t calls_count;      /* under way */
	size_t patient_count;    /* those of them that wait for members */
	size_t lock_waits_count; /* and for locks */
	struct list parked;      /* calls, in order of arrival */
	size_t imports_count;
	struct list forwarded;
	struct list waiting;
	struct list stepping; /* see api_step */
	struct list inactive; /* see api_await_client */
	struct api_watches *watches;
	struct list returned; /* locks to be given back, and those under way */
	struct rng rng;
	uint64_t retry_us; /* when to try the parked again, or RAFT_NEVER */
	bool leaving;      /* not ready any more, but serves until it drains */
	bool draining;

	struct api_call **deadlines; /* a heap in [1 .. deadlines_count] */
	size_t deadlines_count;
	size_t deadlines_capacity;

	uint64_t confirmed_us; /* a read was last confirmed by a quorum; 0 */
	uint64_t space_checked_us;
	struct api_space space; /* at space_checked_us */
	bool space_is_short;    /* as logged, until an eighth more is free */
	enum node_state state;
	bool cluster_id_known;                /* see api_cluster_id */
	char cluster_id[2 * NODE_NONCE_SIZE]; /* hex */

	/* Memory kept from request to request. */
	struct api_problem problem;
	struct buf body;
	struct buf scratch;
	struct buf command;
	struct buf target;  /* of a forwarded request ... */
	struct buf headers; /* ... and its headers */

	struct api_route_metrics
	    *route_metrics; /* of all routes, and of none */
	struct metric *forwarded_relayed;
	struct metric *forwarded_repeated;
	struct metric *forwarded_unknown;
	struct metric *loop_delay;
	struct metric *commit_log;
	struct metric *commit_data;
	uint64_t started_wall_us;
	struct api_process process;
};

/* ---- Answers: api_reply.c ---- */

/*
 * Begins an answer, with the headers that every one has. Further ones follow
 * with http_reply_header(call->request, ...), then api_reply_end().
 */
void api_reply_begin(struct api_call *call, unsigned status);
/* The same for another node's answer, which has revision and leader. */
void api_reply_begin_relayed(struct api_call *call, unsigned status);
/* The call is gone afterwards; `body` may be the api's memory. */
void api_reply_end(struct api_call *call, struct slice body);
/* `content_type` and the body in one. */
void api_reply_text(struct api_call *call, unsigned status,
    const char *content_type, struct slice body);

/*
 * A streamed answer: behind api_reply_begin and headers, this; then any number
 * of http_reply_part(call->request, ...), and one of the ends, after which the
 * call is gone. It has no deadline: it lasts as long as the client takes it.
 */
void api_reply_stream(struct api_call *call);
void api_reply_finish(struct api_call *call);
/* It is not whole, and the client is to see that. */
void api_reply_cut(struct api_call *call);

/* How long ago this node heard a leader whose state it has; 0: it leads. */
uint64_t api_lag_us(const struct api *api);

/* Empty memory for a body, valid until the answer's end. */
struct buf *api_body(struct api *api);

/* Does the comma-separated header `name` have this element, with q above 0? */
bool api_header_lists(
    const struct http_request *request, const char *name, const char *element);
bool api_wants_json(const struct api_call *call);
/* text/plain is asked for, and not JSON as well. */
bool api_wants_text(const struct api_call *call);

/* Appends `"name":"text"`, or `"name_base64":"..."` if it is not UTF-8. */
void
api_append_bytes_member(struct buf *to, const char *name, struct slice bytes);

/* The cluster's id in hex; empty while it is not known. */
struct slice api_cluster_id(struct api *api);
/* Name of a member for texts; "" for 0 and for unknown ones. */
const char *api_member_name(const struct api *api, raft_id id);

/* ---- Locks: api_lock.c ---- */

/*
 * A lock, or a place in its queue, that nobody waits for any more is given
 * back: behind the turn, if this node leads then. Else its own deadline ends it.
 */
void api_return_locks(struct api *api);
void api_forget_locks(struct api *api);

/* ---- The leader: api_leader.c ---- */

/* Serves, forwards or parks a call with an operation, until its deadline. */
void api_ask_leader(struct api_call *call);
/* The same for a write, if its Idempotency-Key is sound; else answered. */
void api_write(struct api_call *call, const struct api_operation *operation);
/* How long it may take: what timeout= says, or http.request-timeout. */
uint64_t api_timeout(const struct api_call *call);
/* Tries the parked ones again. */
void api_ask_leader_again(struct api *api);
/* The call's deadline has passed. */
void api_give_up(struct api_call *call);
/* The call's client is gone. */
void api_cancel(struct api_call *call);
/* Waits until there is a leader, or another, or a while has passed. */
void api_park(struct api_call *call);
/* Why the node did not take a request, or gave it back unserved. */
void api_take_back(struct api_call *call, int error);
/* Calls operation->waited now, and after each turn until it has answered, for
 * query.wait_us if given. */
void api_wait(struct api_call *call);
/* After a turn; with `last`, all have to be answered. */
void api_look_at_waiting(struct api *api, bool last);
/* Calls operation->step at the end of this pass, or of one soon after: what
 * takes long goes on in steps, for all who ask for them by turns. */
void api_step(struct api_call *call);
/* It waits for its client, to take what it was given or to send more, unless
 * this node shuts down: then operation->step is called. Its handler takes it
 * back by api_cancel. */
void api_await_client(struct api_call *call);
void api_await_no_client(struct api *api);
/* At the end of a pass. */
void api_take_steps(struct api *api);
/* The node_write.done of a call. */
void api_on_written(struct node_write *write, enum node_outcome outcome,
    const struct kv_result *result);
/* Answers a write of which nobody knows whether it was applied. */
void api_fail_unknown(struct api_call *call);
/* True if this node has no state that may be shown; answered then. */
bool api_fail_unless_member(struct api_call *call);

/* Sends a write to the leader and relays the answer: api_forward.c. */
void api_forward(struct api_call *call, raft_id leader);
/* Sends api->target with api->headers in its place; the call is `fn`'s context,
 * is in api->forwarded until then, and parked if nobody could be sent to. */
void api_forward_as(struct api_call *call, raft_id leader,
    enum http_method method, struct slice body, http_client_reply_fn *fn);
/* Tells the client to ask the leader itself: 307. */
void api_redirect(struct api_call *call, raft_id leader);

/* ---- Reads: api_read.c ---- */

/*
 * Calls operation->serve when this node's state is as the query wants it:
 * consistency, max_lag, min_revision, at. operation->waited has to be
 * api_read_waited.
 */
void api_read(struct api_call *call, const struct api_operation *operation);
bool api_read_waited(struct api_call *call, bool last);
/* True if the state at query.at, if given, is not there; answered then. */
bool api_fail_at(struct api_call *call);
/* The begin of an API_COMPACTED, without a hint. */
struct api_problem *api_problem_compacted(struct api *api);
/* Answers a read that found damage, after which the node stops; `reason` is
 * such as "reading a key". */
void api_fail_damaged(struct api_call *call, int error, const char *reason);

/* ---- Metrics: api_metrics.c, api_process.c ---- */

void api_metrics_init(struct api *api);
void api_metrics_release(struct api *api);
/* Counts an answer. */
void api_count_reply(const struct api_call *call, unsigned status);
/* Notes how long the call took. */
void api_observe_reply(const struct api_call *call);
/* Appends one sample with its HELP and TYPE, `name` without the prefix. */
void api_append_sample(struct buf *to, const char *type, const char *name,
    const char *help, double value);
/* Appends process_...: memory, processor time, open files, start. */
void api_append_process(struct buf *to, struct api *api);

#include "api/api_key.h"

#endif
