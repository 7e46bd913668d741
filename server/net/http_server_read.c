#include "common/macros.h"
#include "common/mem.h"
#include "common/panic.h"
#include "net/http_server_impl.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

static const char continue_line[] = "HTTP/1.1 100 Continue\r\n\r\n";
#define CONTINUE_SIZE (sizeof(continue_line) - 1)

static struct http_exchange *
exchange_new(struct http_connection *connection)
{
	struct http_server *server = connection->server;
	struct http_exchange *exchange;

	if (list_empty(&server->spare_exchanges)) {
		exchange = mem_zalloc(1, sizeof(*exchange));
		list_init(&exchange->link);
	} else {
		exchange = CONTAINER_OF(
		    server->spare_exchanges.next, struct http_exchange, link);
		list_remove(&exchange->link);
		server->spare_exchanges_count--;
	}
	exchange->request = (struct http_request){
		.connection = connection,
		.method = HTTP_GET,
		.path = slice_from_text(""),
		.query = slice_from_text(""),
		.headers = &exchange->head.headers,
	};
	exchange->head.headers.count = 0;
	exchange->head.minor_version = 1;
	exchange->chunked = (struct http_chunked){ .chunk_left = 0 };
	exchange->target = NULL;
	exchange->status = 0;
	exchange->input_bytes = 0;
	exchange->refused = false;
	exchange->closes = false;
	exchange->answered = false;
	return exchange;
}

/* Forgets the contents; memory for more than the usual is given back. */
static void
clear_buffer(struct buf *buf)
{
	if (buf->capacity > HTTP_SPARE_BUFFER_SIZE_MAX)
		buf_release(buf);
	else
		buf_reset(buf);
}

void
http_exchange_free(struct http_server *server, struct http_exchange *exchange)
{
	ASSERT(list_empty(&exchange->link));
	http_input_hold(exchange, 0);
	if (server->spare_exchanges_count < HTTP_SPARE_EXCHANGES_MAX) {
		clear_buffer(&exchange->head_bytes);
		clear_buffer(&exchange->body);
		clear_buffer(&exchange->reply);
		list_push(&server->spare_exchanges, &exchange->link);
		server->spare_exchanges_count++;
		return;
	}
	buf_release(&exchange->head_bytes);
	buf_release(&exchange->body);
	buf_release(&exchange->reply);
	free(exchange);
}

static void
push_exchange(
    struct http_connection *connection, struct http_exchange *exchange)
{
	exchange->request.received_us = loop_now(connection->server->loop);
	list_push(&connection->exchanges, &exchange->link);
	connection->exchanges_count++;
	connection->reading = NULL;
	list_remove(&connection->starved_link);
	connection->continue_due = false;
	connection->renewed = true;
}

static void
dispatch(struct http_connection *connection, struct http_exchange *exchange)
{
	struct http_server *server = connection->server;

	if (server->pass_left > 0 && !connection->is_protected)
		server->pass_left--;
	exchange->request.body = buf_slice(&exchange->body);
	push_exchange(connection, exchange);
	server->ops->on_request(server->context, &exchange->request);
}

/* The refused request's answer is the last of its connection: behind it,
 * nobody knows where the next request would begin. */
static void
refuse(struct http_exchange *exchange, enum http_refusal refusal,
    const char *detail, uint64_t limit, const char *option)
{
	struct http_connection *connection = exchange->request.connection;
	struct http_server *server = connection->server;

	connection->stopped = true;
	exchange->refused = true;
	exchange->closes = true;
	exchange->request.keep_alive = false;
	push_exchange(connection, exchange);
	server->ops->on_refused(server->context, &exchange->request, refusal,
	    detail, limit, option);
}

void
http_connection_refuse_late(struct http_connection *connection)
{
	const struct http_server_params *params = &connection->server->params;
	struct http_exchange *exchange = connection->reading;

	if (exchange != NULL)
		refuse(exchange, HTTP_REFUSE_BODY_TIMEOUT,
		    "the body did not arrive in time", params->body_timeout_us,
		    "http.body-timeout");
	else if (connection->input.size == 0)
		http_connection_doom(connection);
	else
		refuse(exchange_new(connection), HTTP_REFUSE_HEADER_TIMEOUT,
		    "the head did not arrive in time",
		    params->header_timeout_us, "http.header-timeout");
	http_connection_settle(connection);
}

/* For a head that cannot even be found: the limits belong to the server. */
static void
refuse_size(
    struct http_connection *connection, const struct http_parse_error *error)
{
	const struct http_server_params *params = &connection->server->params;
	uint64_t limit = 0;
	const char *option = NULL;

	if (error->refusal == HTTP_REFUSE_TARGET_TOO_LONG) {
		limit = params->target_bytes_max;
		option = "http.max-target-bytes";
	} else if (error->refusal == HTTP_REFUSE_HEADERS_TOO_LARGE) {
		limit = params->head_bytes_max;
		option = "http.max-head-bytes";
	}
	refuse(exchange_new(connection), error->refusal, error->detail, limit,
	    option);
}

/* Only one kind of head is refused for a limit: too many fields. */
static void
refuse_head(
    struct http_exchange *exchange, const struct http_parse_error *error)
{
	uint64_t limit = error->refusal == HTTP_REFUSE_HEADERS_TOO_LARGE
			     ? HTTP_HEADERS_MAX
			     : 0;

	refuse(exchange, error->refusal, error->detail, limit, NULL);
}

/*
 * The one answer that may leave at once: it decides nothing, and the client
 * waits for it (curl: a second) before it sends the body.
 */
void
http_connection_send_continue(struct http_connection *connection)
{
	ssize_t sent = 0;

	connection->continue_due = connection->exchanges_count > 0;
	if (connection->continue_due)
		return;
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

/* The head is good; `more` bytes are here behind it. */
static void
begin_body(struct http_exchange *exchange, size_t more)
{
	struct http_connection *connection = exchange->request.connection;
	struct http_server *server = connection->server;
	const struct http_framing *framing = &exchange->head.framing;
	uint64_t first;

	if (!may_serve(exchange)) {
		refuse(exchange, HTTP_REFUSE_TOO_MANY_CONNECTIONS,
		    "there are too many connections",
		    server->params.connections_max, "http.max-connections");
		return;
	}
	if (!framing->chunked && framing->content_length == 0) {
		dispatch(connection, exchange);
		return;
	}
	exchange->body_left = framing->content_length;
	exchange->body_max =
	    server->ops->body_max(server->context, &exchange->request);
	if (framing->content_length > exchange->body_max) {
		refuse(exchange, HTTP_REFUSE_BODY_TOO_LARGE,
		    "the body is too large", exchange->body_max, NULL);
		return;
	}
	first = framing->chunked ? exchange->body_max : exchange->body_left;
	if (MIN(first, MAX(more, 1)) > http_input_room(connection)) {
		refuse(exchange, HTTP_REFUSE_TOO_MUCH_INPUT,
		    "the bodies under way are too large together",
		    server->params.input_bytes_max, "http.max-input");
		return;
	}
	connection->reading = exchange;
	connection->renewed = true;
	if (exchange->head.expects_continue && more == 0)
		http_connection_send_continue(connection);
}

/* Returns the bytes taken; 0 if the head is not complete. */
static size_t
take_head(struct http_connection *connection, struct slice input)
{
	const struct http_server_params *params = &connection->server->params;
	const struct http_parse_limits limits = {
		.first_line_size_max = params->target_bytes_max,
		.head_size_max = params->head_bytes_max,
	};
	struct http_parse_error error;
	struct http_exchange *exchange;
	struct http_request *request;
	size_t size;
	int code;

	if (http_parse_request_size(input, &limits, &error, &size) != 0) {
		refuse_size(connection, &error);
		return input.size;
	}
	if (size == 0)
		return 0;
	exchange = exchange_new(connection);
	buf_append(&exchange->head_bytes, input.data, size);
	code = http_parse_request(
	    buf_slice(&exchange->head_bytes), &exchange->head, &error);
	request = &exchange->request;
	request->method = exchange->head.method;
	request->keep_alive = exchange->head.framing.keep_alive;
	request->path = exchange->head.path;
	request->query = exchange->head.query;
	if (code != 0)
		refuse_head(exchange, &error);
	else
		begin_body(exchange, input.size - size);
	return size;
}

static size_t
take_chunks(struct http_exchange *exchange, struct slice input)
{
	struct slice rest = input;
	struct slice data;
	const char *detail;

	while (rest.size > 0 && exchange->chunked.state != HTTP_CHUNKED_DONE) {
		if (http_chunked_decode(
			&exchange->chunked, &rest, &data, &detail) != 0) {
			refuse(
			    exchange, HTTP_REFUSE_MALFORMED, detail, 0, NULL);
			return input.size;
		}
		if (data.size > exchange->body_max - exchange->body.size) {
			refuse(exchange, HTTP_REFUSE_BODY_TOO_LARGE,
			    "the body is too large", exchange->body_max, NULL);
			return input.size;
		}
		buf_append_slice(&exchange->body, data);
		http_input_hold(exchange, exchange->body.size);
	}
	if (exchange->chunked.state == HTTP_CHUNKED_DONE)
		dispatch(exchange->request.connection, exchange);
	return input.size - rest.size;
}

static size_t
take_body(struct http_connection *connection, struct slice input)
{
	struct http_exchange *exchange = connection->reading;
	size_t size;

	if (exchange->head.framing.chunked)
		return take_chunks(exchange, input);
	size = (size_t)MIN(exchange->body_left, input.size);
	buf_append(&exchange->body, input.data, size);
	http_input_hold(exchange, exchange->body.size);
	exchange->body_left -= size;
	if (exchange->body_left == 0)
		dispatch(connection, exchange);
	return size;
}

bool
http_connection_may_process(const struct http_connection *connection)
{
	unsigned exchanges_max = connection->pipelining ? HTTP_PIPELINE_MAX : 1;

	if (connection->stopped || connection->blocked)
		return false;
	if (connection->reading != NULL)
		return true;
	if (connection->unsent > HTTP_UNSENT_MAX && !connection->is_protected)
		return false;
	return connection->exchanges_count < exchanges_max;
}

/* A request that has begun is read on: it is one of a pass before. */
static bool
may_process_now(const struct http_connection *connection)
{
	return http_connection_may_process(connection) &&
	       (connection->is_protected || connection->reading != NULL ||
		   connection->server->pass_left > 0);
}

void
http_connection_resume(struct http_connection *connection)
{
	if (connection->input.size > 0 &&
	    list_empty(&connection->resume_link) &&
	    http_connection_may_process(connection))
		list_push(
		    &connection->server->resume, &connection->resume_link);
}

/* As above, for input that waits for nothing but the next pass. */
static void
resume_if_cut_short(struct http_connection *connection)
{
	if (!may_process_now(connection))
		http_connection_resume(connection);
}

/* Returns how many bytes of `input` became requests or parts of one. */
static size_t
take_input(struct http_connection *connection, struct slice input)
{
	size_t used = 0;

	ASSERT(!connection->processing);
	connection->processing = true;
	while (used < input.size && may_process_now(connection)) {
		struct slice rest =
		    slice_of(input.data + used, input.size - used);
		size_t size = connection->reading != NULL
				  ? take_body(connection, rest)
				  : take_head(connection, rest);

		if (size == 0)
			break;
		used += size;
	}
	connection->processing = false;
	return used;
}

/* No further request is read; what there is to say is said. */
static void
end_requests(struct http_connection *connection)
{
	connection->stopped = true;
	if (connection->exchanges_count > 0)
		CONTAINER_OF(
		    connection->exchanges.previous, struct http_exchange, link)
		    ->closes = true;
	else if (connection->output.size > 0)
		connection->closing = true;
	else
		http_connection_doom(connection);
}

/* Behind the end of the client's stream: when all its whole requests were
 * taken, what is left never becomes one. */
static void
end_if_all_taken(struct http_connection *connection)
{
	bool left =
	    connection->input.size > 0 &&
	    (connection->exchanges_count > 0 || !may_process_now(connection));

	if (connection->client_done && !connection->stopped && !left)
		end_requests(connection);
}

void
http_connection_process(struct http_connection *connection)
{
	struct buf *input = &connection->input;

	if (input->size > 0 && may_process_now(connection))
		buf_drain(input, take_input(connection, buf_slice(input)));
	if (input->size == 0 || connection->stopped)
		buf_release(input);
	end_if_all_taken(connection);
	resume_if_cut_short(connection);
	http_connection_settle(connection);
}

/*
 * In the usual case the bytes are whole requests and go no further than the
 * server's read buffer.
 */
static void
on_bytes(struct http_connection *connection, struct slice bytes)
{
	if (connection->input.size == 0) {
		size_t used = take_input(connection, bytes);

		bytes = slice_of(bytes.data + used, bytes.size - used);
		if (bytes.size > 0 && !connection->stopped)
			buf_append_slice(&connection->input, bytes);
		resume_if_cut_short(connection);
		return;
	}
	buf_append_slice(&connection->input, bytes);
	http_connection_process(connection);
}

/*
 * The client sends nothing more, but may still read: its whole requests are
 * answered (RFC 9112, section 9.6). One that has hung up looks the same, and
 * is found out when the answer is sent. A peer never closes but both halves.
 */
static void
on_end(struct http_connection *connection)
{
	connection->client_done = true;
	if (connection->lingering ||
	    (connection->is_protected && connection->exchanges_count > 0))
		http_connection_doom(connection);
	else if (connection->reading != NULL)
		end_requests(connection);
	else
		http_connection_process(connection);
}

static void
on_failed_recv(struct http_connection *connection)
{
	if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
		http_connection_doom(connection);
}

/* Reads a body of known size to where it stays. */
static void
read_body(struct http_connection *connection)
{
	struct http_exchange *exchange = connection->reading;
	size_t pass = 0;

	while (pass < HTTP_BODY_READ_SIZE_MAX) {
		uint64_t wanted = MIN(exchange->body_left,
		    MAX(exchange->body.size, HTTP_BODY_READ_SIZE_MIN));
		size_t room =
		    http_input_take(connection, MIN(wanted, HTTP_READ_SIZE));
		ssize_t size;

		if (room == 0)
			return;
		size = recv(connection->fd, buf_reserve(&exchange->body, room),
		    room, 0);
		if (size < 0) {
			on_failed_recv(connection);
			return;
		}
		if (size == 0) {
			on_end(connection);
			return;
		}
		exchange->body.size += (size_t)size;
		http_input_hold(exchange, exchange->body.size);
		exchange->body_left -= (uint64_t)size;
		pass += (size_t)size;
		if (exchange->body_left == 0) {
			connection->processing = true;
			dispatch(connection, exchange);
			connection->processing = false;
			return;
		}
		if ((size_t)size < room)
			return;
	}
}

void
http_connection_read(struct http_connection *connection)
{
	uint8_t *buffer = connection->server->read_buffer;
	size_t room = HTTP_READ_SIZE;
	ssize_t size;

	if (connection->reading != NULL && connection->input.size == 0 &&
	    !connection->reading->head.framing.chunked) {
		read_body(connection);
		return;
	}
	if (connection->reading != NULL)
		room = http_input_take(connection, room);
	if (room == 0)
		return;
	size = recv(connection->fd, buffer, room, 0);
	if (size < 0) {
		on_failed_recv(connection);
		return;
	}
	if (size == 0) {
		on_end(connection);
		return;
	}
	if (!connection->lingering) {
		on_bytes(connection, slice_of(buffer, (size_t)size));
		return;
	}
	if ((uint64_t)size > connection->linger_left)
		http_connection_doom(connection);
	else
		connection->linger_left -= (uint64_t)size;
}
