#include "common/macros.h"
#include "common/panic.h"
#include "net/http_server_impl.h"
#include <errno.h>
#include <sys/socket.h>

void
http_connection_refuse_late(struct http_connection *connection)
{
	const struct http_server_params *params = &connection->server->params;
	struct http_exchange *exchange = connection->reading;

	if (exchange != NULL)
		http_body_refuse(exchange, HTTP_REFUSE_BODY_TIMEOUT,
		    "the body did not arrive in time", params->body_timeout_us,
		    "http.body-timeout");
	else if (connection->input.size == 0)
		http_connection_doom(connection);
	else
		http_exchange_refuse(http_exchange_new(connection),
		    HTTP_REFUSE_HEADER_TIMEOUT,
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
	http_exchange_refuse(http_exchange_new(connection), error->refusal,
	    error->detail, limit, option);
}

/* Only one kind of head is refused for a limit: too many fields. */
static void
refuse_head(
    struct http_exchange *exchange, const struct http_parse_error *error)
{
	uint64_t limit = error->refusal == HTTP_REFUSE_HEADERS_TOO_LARGE
			     ? HTTP_HEADERS_MAX
			     : 0;

	http_exchange_refuse(
	    exchange, error->refusal, error->detail, limit, NULL);
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
	exchange = http_exchange_new(connection);
	buf_append(&exchange->head_bytes, input.data, size);
	code = http_parse_request(
	    buf_slice(&exchange->head_bytes), exchange->head, &error);
	exchange->minor_version = exchange->head->minor_version;
	request = &exchange->request;
	request->method = exchange->head->method;
	request->keep_alive = exchange->head->framing.keep_alive;
	request->path = exchange->head->path;
	request->query = exchange->head->query;
	if (code != 0)
		refuse_head(exchange, &error);
	else
		http_body_begin(exchange, input.size - size);
	return size;
}

bool
http_connection_may_process(const struct http_connection *connection)
{
	unsigned exchanges_max = connection->pipelining ? HTTP_PIPELINE_MAX : 1;

	if (connection->stopped || connection->blocked)
		return false;
	if (connection->reading != NULL)
		return !connection->reading->body_paused;
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
	if ((connection->input.size > 0 || http_body_is_at_end(connection)) &&
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
				  ? http_body_take(connection, rest)
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

static bool
reads_parts(const struct http_connection *connection)
{
	return connection->reading != NULL && connection->reading->streams_body;
}

/* All that has come of it was given on, and more is missing. */
static bool
is_amid_parts(const struct http_connection *connection)
{
	const struct http_exchange *exchange = connection->reading;

	return reads_parts(connection) && connection->input.size == 0 &&
	       (exchange->body_is_chunked || exchange->body_left > 0);
}

/*
 * Behind the end of the client's stream: when all its whole requests were
 * taken, what is left never becomes one. A body in parts may be whole and wait
 * for its handler only.
 */
static void
end_if_all_taken(struct http_connection *connection)
{
	bool left =
	    connection->input.size > 0 &&
	    (connection->exchanges_count > 0 || !may_process_now(connection));

	if (!connection->client_done || connection->stopped || left)
		return;
	if (is_amid_parts(connection))
		http_body_abandon(connection);
	if (!reads_parts(connection))
		end_requests(connection);
}

/* What had to be kept of a body in parts is in memory, and counts. */
static void
hold_input(struct http_connection *connection)
{
	if (reads_parts(connection))
		http_input_hold(connection->reading, connection->input.size);
}

void
http_connection_process(struct http_connection *connection)
{
	struct buf *input = &connection->input;

	if (http_body_is_at_end(connection))
		http_body_end(connection);
	if (input->size > 0 && may_process_now(connection))
		buf_drain(input, take_input(connection, buf_slice(input)));
	if (input->size == 0 || connection->stopped)
		buf_release(input);
	hold_input(connection);
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
		hold_input(connection);
		resume_if_cut_short(connection);
		return;
	}
	buf_append_slice(&connection->input, bytes);
	http_connection_process(connection);
}

/* Behind the end of the client's stream a reset is no error of recv(2). */
static bool
has_failed(const struct http_connection *connection)
{
	int error = 0;
	socklen_t size = sizeof(error);

	return getsockopt(
		   connection->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 ||
	       error != 0;
}

static bool
is_abandoned_early(const struct http_connection *connection)
{
	struct list *link;

	LIST_EACH(link, &connection->exchanges) {
		if (CONTAINER_OF(link, struct http_exchange, link)
			->abandoned_early)
			return true;
	}
	return false;
}

/*
 * The client sends nothing more, but may still read: its whole requests are
 * answered (RFC 9112, section 9.6). One that has hung up looks the same, and
 * is found out when the answer is sent, or when it streams already, or is not
 * waited for. A peer never closes but both halves.
 */
static void
on_end(struct http_connection *connection)
{
	bool is_news = !connection->client_done;

	connection->client_done = true;
	if (connection->lingering || (!is_news && has_failed(connection)) ||
	    is_abandoned_early(connection) ||
	    (connection->is_protected && connection->exchanges_count > 0))
		http_connection_doom(connection);
	else if (is_news || connection->reading != NULL)
		http_connection_process(connection);
	if (is_news)
		http_stream_probe(connection);
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
			http_exchange_dispatch(exchange);
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
	    !connection->reading->streams_body &&
	    !connection->reading->body_is_chunked) {
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
