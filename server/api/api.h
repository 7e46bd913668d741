#ifndef API_API_H
#define API_API_H

/*
 * What clients see: routes, answers, errors. One resource per file; the table
 * of routes is in api_routes.c, the one table of errors in api_error.c.
 *
 * A request that needs the leader goes one of three ways: this node leads and
 * serves it; another leads and gets it forwarded, one hop; nobody leads, and it
 * waits for that to change until its deadline.
 */

#include "net/http_server.h"
#include "net/peer.h"
#include "node/node.h"

struct api;

/* The body of a transaction, and the largest command that can come of it: each
 * of its parts has a few numbers that JSON leaves out. */
#define API_JSON_BYTES_MAX (UINT64_C(4) << 20)
#define API_COMMAND_BYTES_MAX                                                  \
	(API_JSON_BYTES_MAX + UINT64_C(256) * KV_TRANSACTION_OPS_MAX)

/* Room for puts: refused while `free` is below `minimum`. Static texts. */
struct api_space {
	const char *what; /* "the file system of the data directory" */
	uint64_t free;    /* bytes */
	uint64_t minimum;
	const char *hint; /* what to do */
};

/* The largest command of a transaction, or of a part of an import; a put may
 * be larger by its value alone. */
#define API_TRANSACTION_BYTES_MAX ((UINT64_C(4) << 20) + 65536)

struct api_params {
	const char
	    *cluster;     /* name; these four are borrowed for the api's life */
	const char *node; /* name */
	const char *version;
	const char *data_dir; /* for texts */
	uint64_t request_timeout_us;
	uint64_t value_bytes_max;
	uint64_t quota_bytes; /* of live data; puts above are refused */
	uint32_t watchers_max;
	/* Keys that begin so are not written without a condition that holds, so
	 * not in an `else`; NULL: none. */
	const char *require_cas;
	uint64_t seed; /* of lease ids; another for each start of each node */
	/* What has the least room left; asked at most once a second. */
	void (*get_space)(void *context, struct api_space *ret_space);
	void *context;
};

struct api *api_new(struct loop *loop, const struct api_params *params,
    struct node *node, struct peers *peers);
/* Every request must have been answered or abandoned. NULL is fine. */
void api_free(struct api *api);

/* For http_server_ops: everything that peers_owns() does not. */
uint64_t api_body_max(struct api *api, const struct http_request *request);
bool api_reserved(struct api *api, const struct http_request *request);
void api_request(struct api *api, struct http_request *request);
void api_abandoned(struct api *api, struct http_request *request);
bool api_streams_body(struct api *api, const struct http_request *request);
void api_body_part(struct api *api, struct http_request *request,
    struct slice part, bool last);
void api_drained(struct api *api, struct http_request *request);
/* Also for requests below /raft/. */
void api_refused(struct api *api, struct http_request *request,
    enum http_refusal refusal, const char *detail, uint64_t limit,
    const char *option);

/* After a turn in which node_host.on_change was called. */
void api_on_change(struct api *api);
/* After every turn: what some calls wait for may have come true. */
void api_on_turn(struct api *api);
/* At the end of every pass of the loop, with a turn or without: long answers go
 * on, and watchers are told what is new. */
void api_on_pass(struct api *api);

/* From now on /readyz says no, so that clients go elsewhere; those that do not
 * are served until api_drain(). */
void api_leave(struct api *api);
/* From now on every new request that is not under way is answered 503
 * shutting_down; api_idle() tells when the last one is answered. */
void api_drain(struct api *api);
bool api_idle(const struct api *api);

uint64_t api_deadline(const struct api *api);
void api_expire(struct api *api, uint64_t now_us);

/* For the histograms of /metrics. */
void api_observe_loop_delay(struct api *api, uint64_t us);
void api_observe_commit(struct api *api, bool checkpoint, uint64_t us);

#endif
