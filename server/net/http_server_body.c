/*
 * The bodies of requests. Usually one is collected and handed over with its
 * request, in one piece. Where http_server_ops.streams_body asks for it the
 * request goes first and the body follows in parts, straight from the read
 * buffer; memory is taken only by what has been read when the handler pauses.
 */

#include "common/macros.h"
#include "common/panic.h"
#include "net/http_server_impl.h"
#include <sys/socket.h>

static const char continue_line[] = "HTTP/1.1 100 Continue\r\n\r\n";
#define CONTINUE_SIZE (sizeof(continue_line) - 1)

/* Nothing that is older has still to be answered. */
static bool
is_next(const struct http_exchange *exchange)
{
	const struct list *exchanges = &exchange->request.connection->exchanges;

	return list_empty(exchanges) || exchanges->next == &exchange->link;
}

/*
 * The one answer that may leave at once: it decides nothing, and the client
 * waits for it (curl: a second) before it sends the body.
 */
static void
send_continue(struct http_connection *connection)
{
	ssize_t sent = 0;

	if (connection->output.size == 0)
		sent = send(
		    connection->fd, continue_line, CONTINUE_SIZE, MSG_NOSIGNAL);
	/* A broken socket will say so again when it is read. */
	sent = MAX(sent, 0);
	if ((size_t)sent == CONTINUE_SIZE)
		return;
	buf_append(&connection->output, continue_line + sent,
	    CONTINUE_SIZE - (size_t)sent);
	http_connection_mark_dirty(connection);
	http_connection_add_unsent(connection, CONTINUE_SIZE - (size_t)sent);
}

void
http_body_continue(struct http_connection *connection)
{
	struct http_exchange *exchange = connection->reading;

	connection->continue_due = false;
	/* Behind the answer's begin it would be a part of it. */
	if (exchange == NULL || !exchange->expects_continue ||
	    exchange->body_paused || exchange->status != 0)
		return;
	connection->continue_due = !is_next(exchange);
	if (connection->continue_due)
		return;
	exchange->expects_continue = false;
	send_continue(connection);
}

/* A client's connection above the limit serves only what ops->reserved
 * names. */
static bool
may_serve(const struct http_exchange *exchange)
{
	struct http_connection *connection = exchange->request.connection;
	const struct http_server *server = connection->server;

	if (!connection->over_limit)
		return true;
	if (server->clients_count <= server->params.connections_max) {
		connection->over_limit = false;
		list_remove(&connection->evict_link);
		return true;
	}
	return server->ops->reserved(server->context, &exchange->request);
}

/* Methods that have no body are not asked about. */
static bool
wants_parts(const struct http_exchange *exchange, bool has_body)
{
	const struct http_request *request = &exchange->request;
	const struct http_server *server = request->connection->server;

	if (server->ops->streams_body == NULL ||
	    (!has_body && request->method != HTTP_PUT &&
		request->method != HTTP_POST))
		return false;
	return server->ops->streams_body(server->context, request);
}

/* Hands the request over, before its body. */
static void
begin_parts(struct http_exchange *exchange)
{
	struct http_connection *connection = exchange->request.connection;

	exchange->streams_body = true;
	http_exchange_dispatch(exchange);
	/* It may be answered by now, and gone. */
	if (connection->reading != exchange)
		return;
	if (http_body_is_at_end(connection))
		http_body_end(connection);
	else
		http_body_continue(connection);
}

/* The first bytes find room, or the request is refused. */
static bool
has_room(struct http_exchange *exchange, uint64_t size, size_t more)
{
	struct http_connection *connection = exchange->request.connection;

	if (MIN(size, MAX(more, 1)) <= http_input_room(connection))
		return true;
	http_exchange_refuse(exchange, HTTP_REFUSE_TOO_MUCH_INPUT,
	    "the bodies under way are too large together",
	    connection->server->params.input_bytes_max, "http.max-input");
	return false;
}

/* The body is collected. */
static void
begin_whole(struct http_exchange *exchange, size_t more)
{
	struct http_connection *connection = exchange->request.connection;
	struct http_server *server = connection->server;

	exchange->body_max =
	    server->ops->body_max(server->context, &exchange->request);
	if (exchange->body_left > exchange->body_max) {
		http_exchange_refuse(exchange, HTTP_REFUSE_BODY_TOO_LARGE,
		    "the body is too large", exchange->body_max, NULL);
		return;
	}
	if (!has_room(exchange,
		exchange->body_is_chunked ? exchange->body_max
					  : exchange->body_left,
		more))
		return;
	connection->reading = exchange;
	connection->renewed = true;
	http_body_continue(connection);
}

void
http_body_begin(struct http_exchange *exchange, size_t more)
{
	const struct http_server *server = exchange->request.connection->server;
	const struct http_framing *framing = &exchange->head->framing;
	bool has_body = framing->chunked || framing->content_length > 0;

	if (!may_serve(exchange)) {
		http_exchange_refuse(exchange, HTTP_REFUSE_TOO_MANY_CONNECTIONS,
		    "there are too many connections",
		    server->params.connections_max, "http.max-connections");
		return;
	}
	exchange->body_is_chunked = framing->chunked;
	exchange->body_left = framing->content_length;
	/* Who sends its body at once does not wait to be asked for it. */
	exchange->expects_continue =
	    exchange->head->expects_continue && has_body && more == 0;
	if (wants_parts(exchange, has_body)) {
		if (has_room(exchange, HTTP_READ_SIZE, has_body ? more : 0))
			begin_parts(exchange);
	} else if (has_body) {
		begin_whole(exchange, more);
	} else {
		http_exchange_dispatch(exchange);
	}
}

/* Its handler has it already, as the body comes in parts. */
static void
take_away(struct http_exchange *exchange)
{
	struct http_server *server = exchange->request.connection->server;

	server->ops->on_abandoned(server->context, &exchange->request);
	exchange->request.context = NULL;
	http_exchange_remove(exchange);
}

/* Where the answer has begun there is no way to refuse. */
void
http_body_refuse(struct http_exchange *exchange, enum http_refusal refusal,
    const char *detail, uint64_t limit, const char *option)
{
	if (exchange->streams_body) {
		if (exchange->status != 0) {
			http_connection_doom(exchange->request.connection);
			return;
		}
		take_away(exchange);
		exchange->streams_body = false;
	}
	http_exchange_refuse(exchange, refusal, detail, limit, option);
}

bool
http_body_is_at_end(const struct http_connection *connection)
{
	const struct http_exchange *exchange = connection->reading;

	return exchange != NULL && exchange->streams_body &&
	       !exchange->body_paused && !exchange->body_is_chunked &&
	       exchange->body_left == 0;
}

/* It has its end, or is answered without. */
static void
stop_reading(struct http_connection *connection)
{
	connection->reading = NULL;
	list_remove(&connection->starved_link);
	connection->continue_due = false;
	connection->renewed = true;
}

void
http_body_abandon(struct http_connection *connection)
{
	struct http_exchange *exchange = connection->reading;

	if (exchange->status != 0) {
		http_connection_doom(connection);
		return;
	}
	stop_reading(connection);
	take_away(exchange);
	http_exchange_free(connection->server, exchange);
}

static void
give_part(struct http_exchange *exchange, struct slice part, bool last)
{
	struct http_connection *connection = exchange->request.connection;
	struct http_server *server = connection->server;

	exchange->expects_continue = false;
	connection->renewed = true; /* it makes progress */
	if (last) {
		http_input_hold(exchange, 0);
		stop_reading(connection);
	}
	server->ops->on_body(server->context, &exchange->request, part, last);
}

void
http_body_end(struct http_connection *connection)
{
	give_part(connection->reading, slice_from_text(""), true);
}

void
http_body_forget(struct http_exchange *exchange)
{
	struct http_connection *connection = exchange->request.connection;

	if (connection->reading != exchange)
		return;
	/* What follows of it is thrown away: the answer shall arrive. */
	exchange->refused = true;
	exchange->closes = true;
	connection->stopped = true;
	http_input_hold(exchange, 0);
	stop_reading(connection);
}

/* Returns false if the body ends in no good way. */
static bool
decode(struct http_exchange *exchange, struct slice *rest, struct slice *data)
{
	const char *detail;

	if (http_chunked_decode(&exchange->chunked, rest, data, &detail) == 0)
		return true;
	http_body_refuse(exchange, HTTP_REFUSE_MALFORMED, detail, 0, NULL);
	return false;
}

static size_t
take_chunks(struct http_exchange *exchange, struct slice input)
{
	struct slice rest = input;
	struct slice data;

	while (rest.size > 0 && exchange->chunked.state != HTTP_CHUNKED_DONE) {
		if (!decode(exchange, &rest, &data))
			return input.size;
		if (data.size > exchange->body_max - exchange->body.size) {
			http_exchange_refuse(exchange,
			    HTTP_REFUSE_BODY_TOO_LARGE, "the body is too large",
			    exchange->body_max, NULL);
			return input.size;
		}
		buf_append_slice(&exchange->body, data);
		http_input_hold(exchange, exchange->body.size);
	}
	if (exchange->chunked.state == HTTP_CHUNKED_DONE)
		http_exchange_dispatch(exchange);
	return input.size - rest.size;
}

/* One part of a chunk, or the end: the handler may pause or answer in it. */
static size_t
take_part_of_chunk(struct http_exchange *exchange, struct slice input)
{
	struct slice rest = input;
	struct slice data;

	if (!decode(exchange, &rest, &data))
		return input.size;
	if (data.size > 0)
		give_part(exchange, data, false);
	else if (exchange->chunked.state == HTTP_CHUNKED_DONE)
		give_part(exchange, data, true);
	return input.size - rest.size;
}

static size_t
take_part(struct http_exchange *exchange, struct slice input)
{
	size_t size;

	input.size = MIN(input.size, HTTP_READ_SIZE);
	if (exchange->body_is_chunked)
		return take_part_of_chunk(exchange, input);
	size = (size_t)MIN(exchange->body_left, input.size);
	exchange->body_left -= size;
	give_part(
	    exchange, slice_of(input.data, size), exchange->body_left == 0);
	return size;
}

size_t
http_body_take(struct http_connection *connection, struct slice input)
{
	struct http_exchange *exchange = connection->reading;
	size_t size;

	if (exchange->streams_body)
		return take_part(exchange, input);
	if (exchange->body_is_chunked)
		return take_chunks(exchange, input);
	size = (size_t)MIN(exchange->body_left, input.size);
	buf_append(&exchange->body, input.data, size);
	http_input_hold(exchange, exchange->body.size);
	exchange->body_left -= size;
	if (exchange->body_left == 0)
		http_exchange_dispatch(exchange);
	return size;
}

void
http_body_pause(struct http_request *request)
{
	struct http_exchange *exchange = http_exchange_of(request);

	exchange->body_paused = true;
	if (!request->connection->processing)
		http_connection_settle(request->connection);
}

void
http_body_resume(struct http_request *request)
{
	struct http_exchange *exchange = http_exchange_of(request);
	struct http_connection *connection = request->connection;

	if (!exchange->body_paused)
		return;
	exchange->body_paused = false;
	if (connection->reading != exchange ||
	    connection->phase == HTTP_PHASE_DOOMED)
		return;
	http_body_continue(connection);
	if (connection->processing)
		return;
	http_connection_resume(connection);
	http_connection_settle(connection);
}
