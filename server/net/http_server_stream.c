/*
 * Answers in parts. What is added goes to the connection's output, and leaves
 * with the next flush: one write per connection that has something, and those
 * that wait cost nothing. Who takes less than it is given is told to wait, and
 * called when there is room, in a pass of its own.
 */

#include "common/macros.h"
#include "common/panic.h"
#include "net/http_server_impl.h"
#include "net/tcp.h"
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

/* The size in hex and two line ends. */
#define CHUNK_EXTRA_MAX (16 + 4)

/* A client that vanished without a word is found after two minutes. */
#define KEEPALIVE_IDLE_S     60
#define KEEPALIVE_INTERVAL_S 15
#define KEEPALIVE_COUNT      4

/* What the kernel takes beyond what it has sent. It tells that there is room
 * only when a third of its buffer is free, which may be megabytes: a client
 * that reads slowly would seem to make no progress. */
#define KERNEL_SIZE (128 * 1024)

/* An answer that waits for an event may send nothing for days. */
static void
keep_alive(struct http_connection *connection)
{
	if (connection->kept_alive)
		return;
	connection->kept_alive = true;
	tcp_keep_alive(connection->fd, KEEPALIVE_IDLE_S, KEEPALIVE_INTERVAL_S,
	    KEEPALIVE_COUNT);
	tcp_set_option(
	    connection->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, KERNEL_SIZE);
}

/* `size` bytes were added to the target. */
static void
add_sent(struct http_exchange *exchange, size_t size)
{
	struct http_connection *connection = exchange->request.connection;

	connection->streamed = true;
	http_connection_add_unsent(connection, size);
	if (exchange->target == &connection->output &&
	    connection->phase != HTTP_PHASE_DOOMED)
		http_connection_mark_dirty(connection);
}

void
http_reply_stream(struct http_request *request)
{
	struct http_exchange *exchange = http_exchange_of(request);
	struct http_connection *connection = request->connection;
	struct buf *target = exchange->target;

	ASSERT(exchange->status != 0);
	ASSERT(!exchange->streams);
	exchange->streams = true;
	exchange->has_body = http_reply_has_body(exchange);
	exchange->has_chunks = exchange->minor_version > 0;
	if (http_reply_is_lost(connection)) {
		buf_release(target);
		return;
	}
	if (!request->keep_alive || connection->server->draining ||
	    (exchange->has_body && !exchange->has_chunks))
		exchange->closes = true;
	if (exchange->has_chunks && exchange->status != 204 &&
	    exchange->status != 304)
		buf_append_text(target, "Transfer-Encoding: chunked\r\n");
	http_reply_end_head(exchange);
	http_exchange_give_up_head(exchange);
	keep_alive(connection);
	add_sent(exchange, target->size - exchange->target_start);
	if (!connection->processing)
		http_connection_settle(connection);
}

static bool
is_crowded(const struct http_server *server)
{
	return server->output_bytes >= server->params.output_bytes_max / 2;
}

bool
http_reply_is_crowded(const struct http_request *request)
{
	return is_crowded(request->connection->server);
}

/*
 * Has it taken so much that more may be made? Where the limit on all that is
 * unsent is near, nobody gets more before it has taken all it was given.
 */
static bool
is_drained(const struct http_connection *connection)
{
	if (connection->unsent == 0)
		return true;
	return connection->unsent < HTTP_DRAINED_SIZE &&
	       !is_crowded(connection->server);
}

static void
append_chunk(struct buf *to, struct slice part)
{
	static const char digits[] = "0123456789abcdef";
	unsigned shift = 0;

	(void)buf_reserve(to, part.size + CHUNK_EXTRA_MAX);
	while (part.size >> shift > 15)
		shift += 4;
	for (;; shift -= 4) {
		buf_append(to, &digits[part.size >> shift & 15], 1);
		if (shift == 0)
			break;
	}
	buf_append(to, "\r\n", 2);
	buf_append_slice(to, part);
	buf_append(to, "\r\n", 2);
}

bool
http_reply_part(struct http_request *request, struct slice part)
{
	struct http_exchange *exchange = http_exchange_of(request);
	struct http_connection *connection = request->connection;
	struct http_server *server = connection->server;
	size_t before;

	ASSERT(exchange->streams);
	ASSERT(!exchange->answered);
	if (!exchange->has_body || http_reply_is_lost(connection))
		return true;
	before = exchange->target->size;
	if (part.size > 0 && exchange->has_chunks)
		append_chunk(exchange->target, part);
	else
		buf_append_slice(exchange->target, part);
	server->stream_left -= MIN(part.size, server->stream_left);
	if (part.size > 0)
		add_sent(exchange, exchange->target->size - before);
	if (connection->phase == HTTP_PHASE_DOOMED ||
	    (is_drained(connection) && !is_crowded(server)))
		return true;
	exchange->drain_due = true;
	connection->drain_due = true;
	/* It may have nothing to take: then it has its turn among those that
	 * have taken all. */
	http_stream_on_sent(connection);
	return false;
}

void
http_reply_finish(struct http_request *request)
{
	struct http_exchange *exchange = http_exchange_of(request);
	struct http_connection *connection = request->connection;
	size_t before;

	ASSERT(exchange->streams);
	ASSERT(!exchange->answered);
	if (http_reply_is_lost(connection)) {
		http_reply_drop(exchange);
		return;
	}
	http_body_forget(exchange);
	before = exchange->target->size;
	if (exchange->has_body && exchange->has_chunks) {
		buf_append_text(exchange->target, "0\r\n\r\n");
		add_sent(exchange, exchange->target->size - before);
	}
	http_reply_complete(exchange);
}

void
http_reply_cut(struct http_request *request)
{
	struct http_exchange *exchange = http_exchange_of(request);
	struct http_connection *connection = request->connection;
	const struct linger reset = { .l_onoff = 1, .l_linger = 0 };

	ASSERT(!exchange->answered);
	/* The last chunk is missing, and that shows. */
	if (exchange->streams && exchange->has_chunks &&
	    !http_reply_is_lost(connection)) {
		http_body_forget(exchange);
		exchange->closes = true;
		http_reply_complete(exchange);
		return;
	}
	/* Where the connection's end is the answer's only a reset is a cut. */
	if (connection->phase != HTTP_PHASE_DOOMED &&
	    exchange->minor_version == 0)
		(void)setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &reset,
		    sizeof(reset));
	http_reply_drop(exchange);
	http_connection_doom(connection);
}

size_t
http_reply_unsent(const struct http_request *request)
{
	return (size_t)request->connection->unsent;
}

bool
http_stream_is_on(const struct http_connection *connection)
{
	const struct http_exchange *oldest = http_connection_oldest(connection);

	return oldest != NULL && oldest->streams;
}

void
http_stream_advance(struct http_connection *connection)
{
	struct http_exchange *oldest = http_connection_oldest(connection);

	if (!http_stream_is_on(connection) ||
	    oldest->target == &connection->output)
		return;
	buf_append_slice(&connection->output, buf_slice(&oldest->reply));
	buf_release(&oldest->reply);
	oldest->target = &connection->output;
	connection->streamed = true;
}

/*
 * A size may begin with zeros (RFC 9112, section 7.1), so one can be sent ahead
 * of the next chunk. Who has closed its socket answers it with a reset; who
 * reads on does not even see it.
 */
void
http_stream_probe(struct http_connection *connection)
{
	struct http_exchange *oldest = http_connection_oldest(connection);

	if (connection->phase == HTTP_PHASE_DOOMED ||
	    !http_stream_is_on(connection) || connection->output.size > 0 ||
	    !oldest->has_body || !oldest->has_chunks)
		return;
	buf_append(&connection->output, "0", 1);
	add_sent(oldest, 1);
}

void
http_stream_on_sent(struct http_connection *connection)
{
	if (connection->drain_due && is_drained(connection) &&
	    list_empty(&connection->drained_link))
		list_push(
		    &connection->server->drained, &connection->drained_link);
}

/* The oldest that waits to be told; NULL without one. */
static struct http_exchange *
first_due(struct http_connection *connection)
{
	struct list *node;

	LIST_EACH(node, &connection->exchanges) {
		struct http_exchange *exchange =
		    CONTAINER_OF(node, struct http_exchange, link);

		if (exchange->drain_due && !exchange->answered)
			return exchange;
	}
	return NULL;
}

/* One at a time; others of the same connection come up in the next pass. */
static void
tell_drained(struct http_connection *connection)
{
	struct http_server *server = connection->server;
	struct http_exchange *exchange = first_due(connection);

	if (exchange != NULL && is_drained(connection)) {
		exchange->drain_due = false;
		server->ops->on_drained(server->context, &exchange->request);
	}
	if (connection->phase == HTTP_PHASE_DOOMED)
		return;
	connection->drain_due = first_due(connection) != NULL;
	http_stream_on_sent(connection);
}

void
http_stream_expire(struct http_server *server)
{
	struct list waiting;

	list_init(&waiting);
	list_splice(&waiting, &server->drained);
	server->stream_left = HTTP_STREAM_BYTES_PER_PASS;
	while (!list_empty(&waiting) && server->stream_left > 0) {
		struct http_connection *connection = CONTAINER_OF(
		    waiting.next, struct http_connection, drained_link);

		list_remove(&connection->drained_link);
		tell_drained(connection);
		/* One by one, so that those before can take theirs. */
		if (is_crowded(server))
			break;
	}
	list_splice(&waiting, &server->drained);
	list_splice(&server->drained, &waiting);
}
