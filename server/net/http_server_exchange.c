#include "common/mem.h"
#include "common/panic.h"
#include "net/http_server_impl.h"
#include <stdlib.h>

static struct http_exchange *
take_spare(struct http_server *server)
{
	struct http_exchange *exchange;

	if (list_empty(&server->spare_exchanges)) {
		exchange = mem_zalloc(1, sizeof(*exchange));
		list_init(&exchange->link);
		return exchange;
	}
	exchange = CONTAINER_OF(
	    server->spare_exchanges.next, struct http_exchange, link);
	list_remove(&exchange->link);
	server->spare_exchanges_count--;
	return exchange;
}

struct http_exchange *
http_exchange_new(struct http_connection *connection)
{
	struct http_exchange *exchange = take_spare(connection->server);

	if (exchange->head == NULL)
		exchange->head = mem_zalloc(1, sizeof(*exchange->head));
	exchange->head->headers.count = 0;
	exchange->head->minor_version = 1;
	exchange->request = (struct http_request){
		.connection = connection,
		.method = HTTP_GET,
		.path = slice_from_text(""),
		.query = slice_from_text(""),
		.headers = &exchange->head->headers,
	};
	exchange->minor_version = 1;
	exchange->expects_continue = false;
	exchange->body_is_chunked = false;
	exchange->streams_body = false;
	exchange->body_paused = false;
	exchange->chunked = (struct http_chunked){ .chunk_left = 0 };
	exchange->target = NULL;
	exchange->status = 0;
	exchange->input_bytes = 0;
	exchange->refused = false;
	exchange->closes = false;
	exchange->abandoned_early = false;
	exchange->answered = false;
	exchange->streams = false;
	exchange->drain_due = false;
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
	http_exchange_release(exchange);
}

void
http_exchange_release(struct http_exchange *exchange)
{
	free(exchange->head);
	buf_release(&exchange->head_bytes);
	buf_release(&exchange->body);
	buf_release(&exchange->reply);
	free(exchange);
}

void
http_exchange_give_up_head(struct http_exchange *exchange)
{
	static const struct http_headers none;
	struct http_request *request = &exchange->request;
	size_t path_size = request->path.size;
	size_t query_size = request->query.size;
	struct buf kept = {
		.size = path_size + query_size,
		.capacity = path_size + query_size,
	};

	kept.data = mem_alloc(kept.capacity);
	memcpy(kept.data, request->path.data, path_size);
	memcpy(kept.data + path_size, request->query.data, query_size);
	buf_release(&exchange->head_bytes);
	exchange->head_bytes = kept;
	request->path = slice_of(kept.data, path_size);
	request->query = slice_of(kept.data + path_size, query_size);
	request->headers = &none;
	free(exchange->head);
	exchange->head = NULL;
	if (exchange->body.size == 0)
		buf_release(&exchange->body);
}

/* It is the connection's youngest, and nothing of it is read any more. */
static void
push(struct http_exchange *exchange)
{
	struct http_connection *connection = exchange->request.connection;

	exchange->request.received_us = loop_now(connection->server->loop);
	list_push(&connection->exchanges, &exchange->link);
	connection->exchanges_count++;
	connection->reading = NULL;
	list_remove(&connection->starved_link);
	connection->continue_due = false;
	connection->renewed = true;
}

void
http_exchange_remove(struct http_exchange *exchange)
{
	list_remove(&exchange->link);
	exchange->request.connection->exchanges_count--;
}

void
http_exchange_dispatch(struct http_exchange *exchange)
{
	struct http_connection *connection = exchange->request.connection;
	struct http_server *server = connection->server;

	if (server->pass_left > 0 && !connection->is_protected)
		server->pass_left--;
	exchange->request.body = buf_slice(&exchange->body);
	push(exchange);
	if (exchange->streams_body)
		connection->reading = exchange;
	server->ops->on_request(server->context, &exchange->request);
}

void
http_exchange_refuse(struct http_exchange *exchange, enum http_refusal refusal,
    const char *detail, uint64_t limit, const char *option)
{
	struct http_connection *connection = exchange->request.connection;
	struct http_server *server = connection->server;

	connection->stopped = true;
	exchange->refused = true;
	exchange->closes = true;
	exchange->request.keep_alive = false;
	push(exchange);
	server->ops->on_refused(server->context, &exchange->request, refusal,
	    detail, limit, option);
}
