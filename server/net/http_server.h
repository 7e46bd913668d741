#ifndef NET_HTTP_SERVER_H
#define NET_HTTP_SERVER_H

/*
 * HTTP/1.1 server over plain events: strict (what it refuses is listed in
 * http_parse.h), bounded, and quiet: it reads requests and hands over whole
 * ones; whatever answers them may do so at once or many turns later.
 * Answers leave when http_server_flush() is called, once a turn or more often,
 * so that nothing that was decided in a turn is seen before its commit.
 *
 * A connection of a client has one request under way at a time: pipelined ones
 * are read one after another. A connection marked with
 * http_connection_allow_pipelining() has up to HTTP_PIPELINE_MAX; answers
 * leave in the order of the requests whatever the order they are given in.
 */

#include "common/address.h"
#include "common/buf.h"
#include "common/macros.h"
#include "net/http.h"
#include "net/loop.h"

#define HTTP_PIPELINE_MAX 64
/* Connections above connections_max, for peers and for health checks. */
#define HTTP_RESERVED_CONNECTIONS 64

struct http_server;
struct http_connection;

/* A request whose head and body are complete. */
struct http_request {
	struct http_connection *connection;
	enum http_method method;
	bool keep_alive;
	struct slice path;  /* as sent: percent-encoded, without the query */
	struct slice query; /* behind '?'; empty if there is none */
	const struct http_headers *headers;
	struct slice body;
	uint64_t received_us; /* loop time at which it was complete */
	void *context;        /* the handler's; NULL at first */
};

/* What the server asks of its user. Calls come from within loop_pass() or
 * http_server_expire(). */
struct http_server_ops {
	/*
	 * The largest body that a request with this head may have. Called
	 * when the head is complete (body is still empty), before
	 * "100 Continue" is sent.
	 */
	uint64_t (*body_max)(void *context, const struct http_request *request);

	/* May this request use a reserved connection? */
	bool (*reserved)(void *context, const struct http_request *request);

	/*
	 * A whole request. Exactly one answer is owed (http_reply_begin ..
	 * http_reply_end), now or later, unless on_abandoned comes first. The
	 * request and its slices live until the answer's end.
	 */
	void (*on_request)(void *context, struct http_request *request);

	/*
	 * The client is gone before its answer: forget the request. It is
	 * freed when this returns.
	 */
	void (*on_abandoned)(void *context, struct http_request *request);

	/*
	 * Answer a refused request: http_reply_begin .. http_reply_end with
	 * the status that the refusal stands for. `detail` says what was
	 * wrong, `limit` and `option` name the limit and what sets it
	 * (0 and NULL without one). Path and headers may be incomplete.
	 */
	void (*on_refused)(void *context, struct http_request *request,
	    enum http_refusal refusal, const char *detail, uint64_t limit,
	    const char *option);
};

/* Times are absolute per phase: one byte a second does not extend them. */
struct http_server_params {
	uint32_t connections_max;
	uint32_t target_bytes_max; /* request line */
	uint32_t head_bytes_max;   /* whole head */
	/* Bodies in memory, of all clients; one may be above. A new one is
	 * refused when there is no room, the others are read on by and by. */
	uint64_t input_bytes_max;
	uint64_t output_bytes_max;  /* unsent, of all connections */
	uint64_t idle_timeout_us;   /* between requests */
	uint64_t header_timeout_us; /* first byte to end of head */
	uint64_t body_timeout_us;   /* end of head to end of body */
	uint64_t write_timeout_us;  /* an answer to be taken whole */
};

struct http_server *
http_server_new(struct loop *loop, const struct http_server_params *params,
    const struct http_server_ops *ops, void *context);
/* Closes everything; on_abandoned is called for requests under way. */
void http_server_free(struct http_server *server);

/*
 * Listens on a numeric "host:port" ("[::1]:5864" for IPv6). ERR_INVALID for
 * an address that is none, ERR_LOCKED when it is in use, ERR_DENIED when it is
 * not allowed, ERR_IO otherwise. Port 0 takes a free one.
 */
int http_server_listen(
    struct http_server *server, const char *address) ATTR_MUST_CHECK;
/* The port of the first listener, for tests that listen on port 0. */
uint16_t http_server_port(const struct http_server *server);

/* Sends what has been answered since the last flush. */
void http_server_flush(struct http_server *server);

/* The next moment at which http_server_expire has something to do. */
uint64_t http_server_deadline(const struct http_server *server);
/*
 * Ends the phases whose time is over. Call it after loop_pass() has drained
 * the sockets, with the time read afterwards.
 */
void http_server_expire(struct http_server *server, uint64_t now_us);

/*
 * For a shutdown: listens no more, closes idle connections and those without
 * a whole head, and ends every other one with its next answer.
 */
void http_server_drain(struct http_server *server);
/* Connections that are open. Zero: the drain is complete. */
uint32_t http_server_connections(const struct http_server *server);

/* The value of a header; see http_header_get. */
struct slice
http_request_header(const struct http_request *request, const char *name);

/*
 * The answer, in pieces and in this order. A body that belongs to HEAD, 204 or
 * 304 is not sent (Content-Length still tells its size for HEAD). Date,
 * Content-Length and Connection are added. Names and values must be free of
 * control characters: ASSERT. Nothing is flushed between begin and end.
 */
void http_reply_begin(struct http_request *request, unsigned status);
void http_reply_header(
    struct http_request *request, const char *name, struct slice value);
void http_reply_header_u64(
    struct http_request *request, const char *name, uint64_t value);
/* The request is gone afterwards. `body` is copied. */
void http_reply_end(struct http_request *request, struct slice body);
/* Before http_reply_end: the connection closes behind this answer. */
void http_reply_close(struct http_request *request);

/* Something of the user's that lives as long as the connection; `release`
 * (may be NULL) is called at its end. */
void http_connection_set_context(struct http_connection *connection,
    void *context, void (*release)(void *context));
void *http_connection_context(const struct http_connection *connection);
void http_connection_allow_pipelining(struct http_connection *connection);
/* A peer's: it keeps its place and is served, however many connections there
 * are, and takes none of connections_max. */
void http_connection_protect(struct http_connection *connection);
/* "10.0.0.7:51844" of the other side; valid as the connection is. */
const char *http_connection_remote(const struct http_connection *connection);
/* The same of this side: where the other one connected to. */
void http_connection_local(
    const struct http_connection *connection, char ret_text[ADDRESS_TEXT_SIZE]);

#endif
