#ifndef NET_HTTP_CLIENT_H
#define NET_HTTP_CLIENT_H

/*
 * One HTTP/1.1 connection to one numeric address, with requests in order and
 * up to `pipeline_max` of them under way. It does not reconnect: its user
 * decides when (http_client_connect again after on_closed).
 */

#include "common/buf.h"
#include "common/macros.h"
#include "net/http.h"
#include "net/loop.h"

struct http_client;

struct http_client_reply {
	unsigned status;
	const struct http_headers *headers;
	struct slice body;
};

/*
 * The end of one request. error 0: `reply` holds the answer, borrowed during
 * the call. Otherwise (ERR_CLOSED, ERR_TIMEOUT, ERR_INVALID for an answer that
 * is not HTTP, ERR_TOO_LARGE) reply is NULL, and `sent` tells whether any byte
 * of the request may have reached the other side.
 */
typedef void http_client_reply_fn(
    void *context, int error, bool sent, const struct http_client_reply *reply);

struct http_client_ops {
	/* The connection stands; requests may be sent. */
	void (*on_open)(void *context);
	/*
	 * The connection is gone, or could not be made; every request under
	 * way has been told before. `refused`: a connect was answered by
	 * "connection refused". Never called from within
	 * http_client_request, _flush or _close.
	 */
	void (*on_closed)(void *context, int error, bool refused);
};

struct http_client_params {
	uint32_t pipeline_max;
	uint64_t reply_bytes_max;
	uint64_t connect_timeout_us;
};

struct http_client *
http_client_new(struct loop *loop, const struct http_client_params *params,
    const struct http_client_ops *ops, void *context);
/* Requests under way are dropped without a call. NULL is fine. */
void http_client_free(struct http_client *client);

/* Begins to connect; ERR_INVALID for an address that is not numeric. */
int http_client_connect(
    struct http_client *client, const char *address) ATTR_MUST_CHECK;
bool http_client_is_open(const struct http_client *client);
/* Requests that may be sent now: 0 when not open. */
uint32_t http_client_room(const struct http_client *client);

/* Closes at once; requests under way end with ERR_CLOSED; no on_closed. */
void http_client_close(struct http_client *client);

/*
 * Queues one request; it leaves with http_client_flush(). `headers` is ready
 * text, each line with its CRLF (Host and Content-Length are added); `body` is
 * `body_count` pieces, copied. `deadline_us`: loop time after which the whole
 * connection is given up with ERR_TIMEOUT. ASSERTs room.
 */
void http_client_request(struct http_client *client, enum http_method method,
    struct slice target, struct slice headers, const struct slice *body,
    size_t body_count, uint64_t deadline_us, http_client_reply_fn *fn,
    void *context);
/* No request under way may last longer than this: deadlines as above. */
void http_client_hasten(struct http_client *client, uint64_t deadline_us);
/* From now on a host that has vanished breaks the connection within ten seconds,
 * though nothing is sent to it. */
void http_client_keep_alive(struct http_client *client);
/* Sends what the socket takes now; the rest follows by itself. */
void http_client_flush(struct http_client *client);

/* Bytes moved either way since http_client_connect: it grows as long as the
 * other side takes or gives anything. */
uint64_t http_client_progress(const struct http_client *client);

uint64_t http_client_deadline(const struct http_client *client);
void http_client_expire(struct http_client *client, uint64_t now_us);

#endif
