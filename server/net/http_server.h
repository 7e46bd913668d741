#ifndef NET_HTTP_SERVER_H
#define NET_HTTP_SERVER_H

/*
 * HTTP/1.1 server over plain events: strict (what it refuses is listed in
 * http_parse.h), bounded, and quiet: it reads requests and hands over whole
 * ones; whatever answers them may do so at once or many turns later. What is
 * too large for one piece, or has no end yet, comes and goes in parts.
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
/* What one connection may read in one pass, so that all get their turn. */
#define HTTP_READ_SIZE (64 * 1024)
/* Connections above connections_max, for peers and for health checks. */
#define HTTP_RESERVED_CONNECTIONS 64
/* A streamed answer with more unsent than this should wait. */
#define HTTP_DRAINED_SIZE (64 * 1024)

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
	 * Should the body come in parts (http_server_ops.on_body)? Then the
	 * request is handed over when its head is complete, with no body, and
	 * body_max does not apply. Asked for every PUT and POST, and whatever
	 * else has a body. May be NULL: never.
	 */
	bool (*streams_body)(void *context, const struct http_request *request);

	/*
	 * A part of such a body, at most HTTP_READ_SIZE; `last`: the end, maybe
	 * with no bytes. None comes before on_request has returned, nor after
	 * the answer has ended, nor while the request is paused. Where the body
	 * is malformed or stops (body_timeout_us without a part) on_abandoned
	 * comes, and the client is told by on_refused with another request.
	 */
	void (*on_body)(void *context, struct http_request *request,
	    struct slice part, bool last);

	/*
	 * A streamed answer: of this connection less than HTTP_DRAINED_SIZE is
	 * unsent, after http_reply_part has said that there is more. Comes from
	 * http_server_expire(); more parts, the end or a cut may follow at
	 * once. May be NULL if nobody streams.
	 */
	void (*on_drained)(void *context, struct http_request *request);

	/*
	 * The client is gone before its answer (has ended): forget the request.
	 * It is freed when this returns.
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

/* Times are absolute per phase: one byte a second does not extend them. But
 * they are from part to part for bodies and answers in parts. */
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
	uint64_t body_timeout_us;   /* end of head to end of body, or a part */
	uint64_t write_timeout_us;  /* an answer, or a bit, to be taken */
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
/* Status line and headers so far; valid until the next header. */
struct slice http_reply_head(struct http_request *request);
/* The request is gone afterwards. `body` is copied. */
void http_reply_end(struct http_request *request, struct slice body);

/*
 * An answer whose length is not known, in parts: http_reply_begin, headers,
 * then http_reply_stream in the place of http_reply_end, any number of
 * http_reply_part, now or in later turns, and http_reply_finish, after which
 * the request is gone. Each part is a chunk (RFC 9112, 7.1); to HTTP/1.0 the
 * connection's end is the end. HEAD, 204 and 304 get no parts.
 *
 * on_abandoned may come at any time in between, and within no call of these.
 * It comes soon after the client has gone, also where nothing is sent; one
 * that has closed its own half only (RFC 9112, 9.6) gets all of its answer, as
 * any other. To HTTP/1.0 the two look the same until something is sent.
 *
 * A stream has no deadline while the client takes what it is sent. Else the
 * write timeout holds, from each progress that the client makes on, not for the
 * whole. Where output_bytes_max is reached, the clients that are behind with
 * streams are cut, the furthest first, before anybody else.
 */
/* So that one that waits takes little memory, request->headers are given up
 * (there are none from now on), and request->path and query move. */
void http_reply_stream(struct http_request *request);
/* False: HTTP_DRAINED_SIZE or more is unsent, or the limit on all that is
 * unsent is near; on_drained will tell. All parts are taken, in any case. An
 * empty one does nothing. */
bool http_reply_part(struct http_request *request, struct slice part);
/* Is the limit on all that is unsent near? */
bool http_reply_is_crowded(const struct http_request *request);
void http_reply_finish(struct http_request *request);
/* The connection ends, so that the client sees that it is cut: an answer in
 * chunks with all parts so far but without its end, any other at once. Any
 * request may be, and is gone afterwards. */
void http_reply_cut(struct http_request *request);
/* Bytes of the connection that the socket has not taken. */
size_t http_reply_unsent(const struct http_request *request);

/*
 * A body in parts: none comes from now on, or they go on in a later pass. What
 * is not read waits at the client, for as long as the handler likes. Answering
 * before the last part is allowed: the connection closes behind the answer.
 */
void http_body_pause(struct http_request *request);
void http_body_resume(struct http_request *request);

/* The answer takes long, and has no worth to a client that is gone: who says
 * that nothing more will come (which does not tell whether it still reads) is
 * taken to be gone. Else on_abandoned comes when a connection breaks. */
void http_request_abandon_early(struct http_request *request);

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
