#ifndef NET_HTTP_SERVER_IMPL_H
#define NET_HTTP_SERVER_IMPL_H

/*
 * The inside of the HTTP server.
 *
 * http_server.c             the server: listeners, deadlines, flush, drain
 * http_server_connection.c  a connection: its phases, its socket, its end
 * http_server_read.c        bytes to requests
 * http_server_body.c        the bodies of them, whole or in parts
 * http_server_input.c       how much of them: bodies in memory
 * http_server_exchange.c    a request with its answer: its begin and its end
 * http_server_reply.c       answers to bytes
 * http_server_stream.c      answers in parts
 *
 * A connection is in one phase, and each phase is a list in the order of
 * arrival. All connections of a phase get the same time, so the first of a
 * list is the first whose time is over:
 *
 *             +-----------------------------------------------+
 *             v                                               |
 *   accept  IDLE -> HEADER -> BODY -> PENDING -> (answer) ----+
 *                      |        |        |          |  socket is full
 *                      +--------+--------+          v
 *                       refused |                 WRITE
 *                               v
 *                            LINGER -> DOOMED (freed by the next sweep)
 *
 * A body in parts is read (BODY) while its request is already under way; it
 * is PENDING while the handler has paused it. An answer in parts is PENDING
 * when all of it is sent, for as long as it lasts, and WRITE when not.
 *
 * Nothing is freed in a callback: a connection that is over is DOOMED, out of
 * the event loop and without buffers, until http_server_expire() frees it,
 * where nobody can hold it any more.
 */

#include "common/address.h"
#include "common/list.h"
#include "net/http_parse.h"
#include "net/http_server.h"

#define HTTP_BODY_READ_SIZE_MAX (256 * 1024)
/* At first; then as much as is there, so that memory follows what came. */
#define HTTP_BODY_READ_SIZE_MIN 4096
#define HTTP_LISTENERS_MAX      8
/* Requests of clients taken in one pass, over all their connections. */
#define HTTP_REQUESTS_PER_PASS 128
/* A client with more unsent than this has no further request read. */
#define HTTP_UNSENT_MAX HTTP_READ_SIZE
/* What drained streams may be given in one pass, about: the others come up in
 * the next, and ordinary requests in between. */
#define HTTP_STREAM_BYTES_PER_PASS (4 * 1024 * 1024)
/* Requests kept for reuse, and the largest buffer that is kept with one. */
#define HTTP_SPARE_EXCHANGES_MAX   128
#define HTTP_SPARE_BUFFER_SIZE_MAX 4096

enum http_phase {
	HTTP_PHASE_IDLE,
	HTTP_PHASE_HEADER,
	HTTP_PHASE_BODY,
	HTTP_PHASE_PENDING, /* whoever answers has the deadline */
	HTTP_PHASE_WRITE,   /* the socket did not take all */
	HTTP_PHASE_LINGER,  /* said all; what still comes is thrown away */
	HTTP_PHASE_DOOMED
};
#define HTTP_PHASES_COUNT (HTTP_PHASE_DOOMED + 1)

/* A request, complete or not, with its answer. */
struct http_exchange {
	struct http_request request;
	struct list link;
	/* Large. NULL: a streamed answer has given it up, and with it the
	 * headers of the request. */
	struct http_request_head *head;
	struct buf head_bytes; /* what request points into */
	unsigned minor_version;
	bool expects_continue;
	bool body_is_chunked;
	bool
	    streams_body; /* to http_server_ops.on_body; then `body` is empty */
	bool body_paused;
	struct buf body;
	uint64_t body_left; /* of Content-Length */
	uint64_t body_max;
	uint64_t input_bytes; /* its share of server->input_bytes */
	struct http_chunked chunked;

	/*
	 * The answer is written into the connection's output if the request
	 * is the oldest when the answer begins, otherwise into `reply`.
	 */
	struct buf *target;
	size_t target_start;
	struct buf reply;
	unsigned status; /* 0 before http_reply_begin */
	bool refused;    /* or answered before its body had come */
	bool closes;
	bool abandoned_early; /* see http_request_abandon_early */
	bool answered;
	bool streams;    /* http_reply_stream was called */
	bool has_chunks; /* in these; else the body goes out as it is ... */
	bool has_body;   /* ... if it goes out at all */
	bool drain_due;  /* a part was said to be one too much */
};

struct http_connection {
	struct http_server *server;
	int fd;
	struct loop_io *io;

	enum http_phase phase;
	struct list phase_link;
	uint64_t deadline_us;
	/* A request began since the phase was entered: its time starts anew. */
	bool renewed;

	struct list dirty_link; /* in server->dirty: has something to send */
	struct list
	    resume_link;        /* in server->resume: has input to go on with */
	struct list evict_link; /* in server->evictable */
	/* In server->starved: its body waits for room, and is not read. */
	struct list starved_link;
	struct list drained_link; /* in server->drained */

	struct buf input; /* what is not a whole head yet, or must wait */
	struct buf output;
	size_t output_sent;
	uint64_t unsent;   /* our share of server->output_bytes */
	int kernel_unsent; /* of a stream, when the deadline was set */

	/* Its head is complete, its body not. It is in `exchanges` if its body
	 * comes in parts. */
	struct http_exchange *reading;
	struct list exchanges; /* handed over, oldest first */
	unsigned exchanges_count;

	bool is_protected; /* a peer's */
	bool over_limit;   /* came when connections_max was reached */
	bool pipelining;   /* several requests under way at a time */
	bool processing;   /* input is being read, further up the stack */
	bool continue_due; /* "100 Continue" waits for older answers */
	bool blocked;      /* the socket did not take all */
	bool stopped;      /* no further request is read */
	bool closing;      /* the last answer is in the output */
	bool client_done;  /* the client sends nothing more, or said so */
	bool lingering;
	bool streamed;   /* of a streamed answer something may be unsent */
	bool drain_due;  /* of one of the exchanges */
	bool kept_alive; /* TCP asks whether the other side is still there */
	uint64_t linger_left;

	void *context;
	void (*release)(void *context);
	char remote[ADDRESS_TEXT_SIZE];
};

struct http_listener {
	struct http_server *server;
	int fd;
	struct loop_io *io;
};

struct http_server {
	struct loop *loop;
	struct http_server_params params;
	const struct http_server_ops *ops;
	void *context;

	struct http_listener listeners[HTTP_LISTENERS_MAX];
	unsigned listeners_count;
	/* Not 0: out of file descriptors, and accepting again from then on. */
	uint64_t accept_again_us;
	bool accept_failed; /* since the last connection */

	struct list phases[HTTP_PHASES_COUNT];
	struct list dirty;
	struct list resume;
	/* Over the limit and not known to be a peer's; oldest first. */
	struct list evictable;
	uint32_t connections_count; /* not the doomed ones */
	uint32_t clients_count;     /* of these, not protected */
	uint64_t output_bytes;
	uint64_t input_bytes; /* of bodies of clients, as far as they came */
	struct list starved;  /* they wait for room; in order of arrival */
	unsigned pass_left;   /* of HTTP_REQUESTS_PER_PASS */
	/* They have sent what was too much, and ops->on_drained will tell. */
	struct list drained;
	size_t stream_left; /* of HTTP_STREAM_BYTES_PER_PASS */
	bool draining;

	struct list spare_exchanges;
	unsigned spare_exchanges_count;
	struct buf date_line;
	uint64_t date_until_us;
	uint8_t read_buffer[HTTP_READ_SIZE];
};

/* http_server_connection.c */

/* Takes the fd. */
struct http_connection *http_connection_new(
    struct http_server *server, int fd, const struct address *remote);
/* Out of the loop, without buffers; freed by the next sweep. */
void http_connection_doom(struct http_connection *connection);
/* Ends the phase WRITE: a stream may have made progress that does not show. */
void http_connection_expire_write(struct http_connection *connection);
/* Frees the doomed; calls on_abandoned for the requests they leave. */
void http_server_sweep(struct http_server *server);
/* Puts the connection into the phase that its state asks for. */
void http_connection_settle(struct http_connection *connection);
/* It has output: http_server_flush() will send it. */
void http_connection_mark_dirty(struct http_connection *connection);
/* Bytes were added to what the connection has to send. */
void
http_connection_add_unsent(struct http_connection *connection, uint64_t size);
/* Sends what the socket takes; ends a connection that is over. */
void http_connection_send(struct http_connection *connection);
/* The last answer is in the output, or in a drain there will be none. */
bool http_connection_is_over(const struct http_connection *connection);
/* The request that is answered next; NULL without one. */
struct http_exchange *
http_connection_oldest(const struct http_connection *connection);

/* http_server_input.c */

/* Of the exchange's body `size` bytes are in memory now. */
void http_input_hold(struct http_exchange *exchange, uint64_t size);
/* How many more bytes there is room for, in the connection's body. */
uint64_t http_input_room(const struct http_connection *connection);
/*
 * How many of `wanted` bytes (not 0) of the body that is being read may be
 * read now. 0: the connection is starved, and not read until there is room.
 */
size_t http_input_take(struct http_connection *connection, uint64_t wanted);
/* The starved one that goes on next, the oldest or the one that has waited for
 * longest, if there is room for more than `taken` bytes; else NULL. */
struct http_connection *
http_input_next(const struct http_server *server, uint64_t taken);
/* Goes on with those for which there is room. */
void http_input_expire(struct http_server *server);

/* http_server_exchange.c */

struct http_exchange *http_exchange_new(struct http_connection *connection);
void
http_exchange_free(struct http_server *server, struct http_exchange *exchange);
void http_exchange_release(struct http_exchange *exchange);
/* Forgets what only readers of headers need; path and query move. */
void http_exchange_give_up_head(struct http_exchange *exchange);
static inline struct http_exchange *
http_exchange_of(struct http_request *request)
{
	return CONTAINER_OF(request, struct http_exchange, request);
}
void http_exchange_remove(struct http_exchange *exchange);
/* Hands a request over. It may be answered and freed when this returns. */
void http_exchange_dispatch(struct http_exchange *exchange);
/* The refused request's answer is the last of its connection: behind it,
 * nobody knows where the next request would begin. */
void
http_exchange_refuse(struct http_exchange *exchange, enum http_refusal refusal,
    const char *detail, uint64_t limit, const char *option);

/* http_server_body.c */

/* The head of `exchange` is good, and `more` bytes are here behind it. */
void http_body_begin(struct http_exchange *exchange, size_t more);
/* Takes bytes of the body that is being read; returns how many. */
size_t http_body_take(struct http_connection *connection, struct slice input);
/* The body being read ends in no good way. */
void http_body_refuse(struct http_exchange *exchange, enum http_refusal refusal,
    const char *detail, uint64_t limit, const char *option);
/* The rest of the body in parts that is being read does not come: the request
 * is none. Where its answer has begun, that ends with the connection. */
void http_body_abandon(struct http_connection *connection);
/* There is no more of the body, but its handler has not been told. */
bool http_body_is_at_end(const struct http_connection *connection);
void http_body_end(struct http_connection *connection);
/* Takes one into account that is answered before its body has come. */
void http_body_forget(struct http_exchange *exchange);
/* "100 Continue" goes out, if the client waits for it and it is its turn. */
void http_body_continue(struct http_connection *connection);

/* http_server_stream.c */

/* The next request to be answered has begun to stream before its turn. */
void http_stream_advance(struct http_connection *connection);
/* Whether a streamed answer is under way, at its turn. */
bool http_stream_is_on(const struct http_connection *connection);
/* The client sends nothing more: it may read on, or be gone. */
void http_stream_probe(struct http_connection *connection);
/* Something was sent: on_drained may be due. */
void http_stream_on_sent(struct http_connection *connection);
/* Calls on_drained where it is due. */
void http_stream_expire(struct http_server *server);

/* http_server_reply.c */

/* The last lines of the head, and what the body's end was told by. */
void http_reply_end_head(struct http_exchange *exchange);
/* Nobody can be told the answer any more. */
bool http_reply_is_lost(const struct http_connection *connection);
void http_reply_drop(struct http_exchange *exchange);
/* The answer is complete in its target. */
void http_reply_complete(struct http_exchange *exchange);
bool http_reply_has_body(const struct http_exchange *exchange);

/* http_server_read.c */

/* Whether bytes can be taken as (part of) a request, this pass or the next. */
bool http_connection_may_process(const struct http_connection *connection);
/* If input waits that can be gone on with, the next expire does so. */
void http_connection_resume(struct http_connection *connection);
/* Goes on with the input that had to wait. */
void http_connection_process(struct http_connection *connection);
/* The socket has bytes, or its end. */
void http_connection_read(struct http_connection *connection);
/* Ends the phase HEADER or BODY with 408. */
void http_connection_refuse_late(struct http_connection *connection);

#endif
