#include "common/clock.h"
#include "common/panic.h"
#include "net/http_server_impl.h"
#include "net/http_write.h"

/* Heads of usual answers fit without growing. */
#define REPLY_SIZE_USUAL 512
#define US_PER_S         UINT64_C(1000000)

struct slice
http_request_header(const struct http_request *request, const char *name)
{
	return http_header_get(request->headers, name);
}

/* Made once a second. */
static struct slice
date_line(struct http_server *server)
{
	uint64_t now_us = loop_now(server->loop);
	uint64_t wall_us;

	if (now_us < server->date_until_us)
		return buf_slice(&server->date_line);
	wall_us = clock_wall_us();
	server->date_until_us = now_us + US_PER_S - wall_us % US_PER_S;
	buf_reset(&server->date_line);
	http_write_date(&server->date_line, wall_us);
	return buf_slice(&server->date_line);
}

void
http_reply_begin(struct http_request *request, unsigned status)
{
	struct http_exchange *exchange = http_exchange_of(request);
	struct http_connection *connection = request->connection;
	bool is_oldest = http_connection_oldest(connection) == exchange;
	struct buf *target;

	ASSERT(exchange->status == 0);
	ASSERT(status >= 200);
	ASSERT(status <= 599);
	exchange->status = status;
	target = is_oldest && !connection->closing ? &connection->output
						   : &exchange->reply;
	exchange->target = target;
	exchange->target_start = target->size;
	(void)buf_reserve(target, REPLY_SIZE_USUAL); /* for what follows */
	http_write_status(target, status);
	buf_append_slice(target, date_line(connection->server));
}

void
http_reply_header(
    struct http_request *request, const char *name, struct slice value)
{
	struct http_exchange *exchange = http_exchange_of(request);

	ASSERT(exchange->status != 0);
	ASSERT(http_text_is_clean(slice_from_text(name)));
	ASSERT(http_text_is_clean(value));
	http_write_field(exchange->target, name, value);
}

void
http_reply_header_u64(
    struct http_request *request, const char *name, uint64_t value)
{
	struct http_exchange *exchange = http_exchange_of(request);

	ASSERT(exchange->status != 0);
	http_write_field_u64(exchange->target, name, value);
}

struct slice
http_reply_head(struct http_request *request)
{
	const struct http_exchange *exchange = http_exchange_of(request);

	ASSERT(exchange->status != 0);
	return slice_of(exchange->target->data + exchange->target_start,
	    exchange->target->size - exchange->target_start);
}

void
http_request_abandon_early(struct http_request *request)
{
	http_exchange_of(request)->abandoned_early = true;
}

void
http_reply_close(struct http_request *request)
{
	http_exchange_of(request)->closes = true;
}

bool
http_reply_has_body(const struct http_exchange *exchange)
{
	return exchange->request.method != HTTP_HEAD &&
	       exchange->status != 204 && exchange->status != 304;
}

void
http_reply_end_head(struct http_exchange *exchange)
{
	if (exchange->closes)
		buf_append_text(exchange->target, "Connection: close\r\n");
	else if (exchange->minor_version == 0)
		buf_append_text(exchange->target, "Connection: keep-alive\r\n");
	buf_append(exchange->target, "\r\n", 2);
}

/* The oldest request has its answer. */
static void
finish_oldest(struct http_connection *connection)
{
	struct http_exchange *exchange = http_connection_oldest(connection);

	http_exchange_remove(exchange);
	buf_append_slice(&connection->output, buf_slice(&exchange->reply));
	if (exchange->closes) {
		connection->closing = true;
		connection->stopped = true;
		/* Who asked for the end has nothing left to send. */
		if (!exchange->refused && !exchange->request.keep_alive)
			connection->client_done = true;
	}
	http_exchange_free(connection->server, exchange);
}

/* Moves what is answered, in the order of the requests, to the output. */
static void
finish_answered(struct http_connection *connection)
{
	while (!list_empty(&connection->exchanges) && !connection->closing &&
	       http_connection_oldest(connection)->answered)
		finish_oldest(connection);
	if (!connection->closing)
		http_stream_advance(connection);
	if (connection->continue_due && !connection->closing)
		http_body_continue(connection);
	if (connection->output.size > 0 || http_connection_is_over(connection))
		http_connection_mark_dirty(connection);
	if (connection->processing)
		return;
	http_connection_settle(connection);
	http_connection_resume(connection);
}

bool
http_reply_is_lost(const struct http_connection *connection)
{
	return connection->closing || connection->phase == HTTP_PHASE_DOOMED;
}

void
http_reply_drop(struct http_exchange *exchange)
{
	struct http_connection *connection = exchange->request.connection;

	http_body_forget(exchange);
	http_exchange_remove(exchange);
	if (connection->phase == HTTP_PHASE_DOOMED)
		buf_release(&connection->output);
	http_exchange_free(connection->server, exchange);
}

void
http_reply_complete(struct http_exchange *exchange)
{
	struct http_connection *connection = exchange->request.connection;

	exchange->answered = true;
	if (connection->phase != HTTP_PHASE_DOOMED)
		finish_answered(connection);
}

void
http_reply_end(struct http_request *request, struct slice body)
{
	struct http_exchange *exchange = http_exchange_of(request);
	struct http_connection *connection = request->connection;

	ASSERT(exchange->status != 0);
	ASSERT(!exchange->answered);
	ASSERT(!exchange->streams);
	if (http_reply_is_lost(connection)) {
		http_reply_drop(exchange);
		return;
	}
	http_body_forget(exchange);
	if (!request->keep_alive || connection->server->draining)
		exchange->closes = true;
	/* RFC 9110 sections 6.4.1 and 8.6. */
	if (exchange->status != 204 && exchange->status != 304)
		http_reply_header_u64(request, "Content-Length", body.size);
	http_reply_end_head(exchange);
	if (http_reply_has_body(exchange))
		buf_append_slice(exchange->target, body);
	http_connection_add_unsent(
	    connection, exchange->target->size - exchange->target_start);
	http_reply_complete(exchange);
}
