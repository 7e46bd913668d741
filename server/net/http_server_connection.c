#include "common/mem.h"
#include "common/panic.h"
#include "net/http_server_impl.h"
#include "net/tcp.h"
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

/*
 * How long, and for how many bytes, we listen to a client whose request was
 * refused. Closing a socket with unread bytes resets it, and the reset can
 * overtake the answer that says why.
 */
#define LINGER_TIMEOUT_US (5 * UINT64_C(1000000))
#define LINGER_BYTES_MAX  (16 * UINT64_C(1024) * 1024)

static uint64_t
phase_timeout_us(const struct http_server *server, enum http_phase phase)
{
	switch (phase) {
	case HTTP_PHASE_IDLE: return server->params.idle_timeout_us;
	case HTTP_PHASE_HEADER: return server->params.header_timeout_us;
	case HTTP_PHASE_BODY: return server->params.body_timeout_us;
	case HTTP_PHASE_WRITE: return server->params.write_timeout_us;
	case HTTP_PHASE_LINGER: return LINGER_TIMEOUT_US;
	case HTTP_PHASE_PENDING:
	case HTTP_PHASE_DOOMED: break;
	}
	return 0;
}

static void
enter_phase(struct http_connection *connection, enum http_phase phase)
{
	struct http_server *server = connection->server;

	connection->phase = phase;
	connection->deadline_us =
	    loop_now(server->loop) + phase_timeout_us(server, phase);
	list_remove(&connection->phase_link);
	list_push(&server->phases[phase], &connection->phase_link);
}

static enum http_phase
wanted_phase(const struct http_connection *connection)
{
	if (connection->lingering)
		return HTTP_PHASE_LINGER;
	if (connection->blocked)
		return HTTP_PHASE_WRITE;
	if (connection->reading != NULL && !connection->reading->body_paused)
		return HTTP_PHASE_BODY;
	if (connection->input.size > 0 &&
	    http_connection_may_process(connection))
		return HTTP_PHASE_HEADER;
	if (connection->exchanges_count > 0)
		return HTTP_PHASE_PENDING;
	/* Above the limit nobody may sit and be silent. */
	if (connection->over_limit && !connection->stopped &&
	    !list_empty(&connection->evict_link))
		return HTTP_PHASE_HEADER;
	return HTTP_PHASE_IDLE;
}

/*
 * While a request waits for its answer the socket is still read: that is how
 * a client that broke off is noticed. But only so much is kept for later.
 */
static bool
wants_input(const struct http_connection *connection)
{
	if (connection->lingering)
		return true;
	if (connection->reading != NULL && connection->reading->body_paused)
		return false;
	return !connection->stopped && !connection->client_done &&
	       !connection->blocked && list_empty(&connection->starved_link) &&
	       connection->input.size <
		   connection->server->params.head_bytes_max;
}

/*
 * The client sends nothing more, and of what it is sent all has been taken. If
 * it is gone the next that it is sent is answered by a reset, which may come
 * while nothing is sent any more. Its end is no news.
 */
static bool
wants_reset(const struct http_connection *connection)
{
	return connection->client_done && !connection->lingering &&
	       !connection->blocked && http_stream_is_on(connection);
}

void
http_connection_settle(struct http_connection *connection)
{
	unsigned interest = 0;
	enum http_phase phase;

	if (connection->phase == HTTP_PHASE_DOOMED)
		return;
	phase = wanted_phase(connection);
	if (phase != connection->phase || connection->renewed)
		enter_phase(connection, phase);
	connection->renewed = false;
	if (wants_input(connection))
		interest |= LOOP_READ;
	else if (wants_reset(connection))
		interest |= LOOP_READ | LOOP_EDGE;
	if (connection->blocked)
		interest |= LOOP_WRITE;
	loop_io_set_interest(connection->io, interest);
}

static void
connection_cb(void *context, unsigned ready)
{
	struct http_connection *connection = context;

	if ((ready & LOOP_WRITE) != 0 && connection->blocked) {
		http_connection_send(connection);
		http_connection_process(connection);
	}
	if (connection->phase != HTTP_PHASE_DOOMED &&
	    (ready & LOOP_READ) != 0 &&
	    (wants_input(connection) || wants_reset(connection)))
		http_connection_read(connection);
	http_connection_settle(connection);
}

struct http_connection *
http_connection_new(
    struct http_server *server, int fd, const struct address *remote)
{
	struct http_connection *connection = mem_zalloc(1, sizeof(*connection));

	tcp_set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	connection->server = server;
	connection->fd = fd;
	connection->phase = HTTP_PHASE_IDLE;
	connection->renewed = true;
	list_init(&connection->phase_link);
	list_init(&connection->dirty_link);
	list_init(&connection->resume_link);
	list_init(&connection->evict_link);
	list_init(&connection->starved_link);
	list_init(&connection->drained_link);
	list_init(&connection->exchanges);
	address_format(remote, connection->remote);
	connection->io =
	    loop_watch(server->loop, fd, LOOP_READ, connection_cb, connection);
	if (server->clients_count >= server->params.connections_max) {
		connection->over_limit = true;
		list_push(&server->evictable, &connection->evict_link);
	}
	server->connections_count++;
	server->clients_count++;
	http_connection_settle(connection);
	return connection;
}

void
http_connection_doom(struct http_connection *connection)
{
	struct http_server *server = connection->server;

	if (connection->phase == HTTP_PHASE_DOOMED)
		return;
	ASSERT(server->connections_count > 0);
	server->connections_count--;
	if (!connection->is_protected)
		server->clients_count--;
	enter_phase(connection, HTTP_PHASE_DOOMED);
	list_remove(&connection->dirty_link);
	list_remove(&connection->resume_link);
	list_remove(&connection->evict_link);
	list_remove(&connection->starved_link);
	list_remove(&connection->drained_link);
	loop_io_set_interest(connection->io, 0);
	server->output_bytes -= connection->unsent;
	connection->unsent = 0;
	buf_release(&connection->output);
	connection->output_sent = 0;
	connection->stopped = true;
	connection->blocked = false;
}

static void
abandon_exchanges(struct http_connection *connection)
{
	struct http_server *server = connection->server;
	struct http_exchange *exchange = connection->reading;

	connection->reading = NULL;
	if (exchange != NULL && !exchange->streams_body)
		http_exchange_free(server, exchange);
	while ((exchange = http_connection_oldest(connection)) != NULL) {
		http_exchange_remove(exchange);
		if (!exchange->answered)
			server->ops->on_abandoned(
			    server->context, &exchange->request);
		http_exchange_free(server, exchange);
	}
}

static void
connection_free(struct http_connection *connection)
{
	abandon_exchanges(connection);
	if (connection->release != NULL)
		connection->release(connection->context);
	list_remove(&connection->phase_link);
	loop_io_free(connection->io);
	(void)close(connection->fd); /* nothing is left that it could lose */
	buf_release(&connection->input);
	buf_release(&connection->output);
	free(connection);
}

void
http_server_sweep(struct http_server *server)
{
	struct list *doomed = &server->phases[HTTP_PHASE_DOOMED];

	while (!list_empty(doomed))
		connection_free(CONTAINER_OF(
		    doomed->next, struct http_connection, phase_link));
}

void
http_connection_mark_dirty(struct http_connection *connection)
{
	if (list_empty(&connection->dirty_link) && !connection->blocked)
		list_push(&connection->server->dirty, &connection->dirty_link);
}

/* The client that has been taking nothing for longest; NULL without one. */
static struct http_connection *
slowest_client(struct http_server *server)
{
	struct list *node;

	LIST_EACH(node, &server->phases[HTTP_PHASE_WRITE]) {
		struct http_connection *slow =
		    CONTAINER_OF(node, struct http_connection, phase_link);

		if (!slow->is_protected)
			return slow;
	}
	return NULL;
}

/* The client that is furthest behind with a streamed answer; NULL if none is
 * behind. */
static struct http_connection *
furthest_stream(struct http_server *server)
{
	struct http_connection *furthest = NULL;
	struct list *node;

	LIST_EACH(node, &server->phases[HTTP_PHASE_WRITE]) {
		struct http_connection *slow =
		    CONTAINER_OF(node, struct http_connection, phase_link);

		if (!slow->is_protected && slow->streamed &&
		    (furthest == NULL || slow->unsent > furthest->unsent))
			furthest = slow;
	}
	return furthest;
}

/*
 * Who has to go when there is too much unsent, and `connection` has just got
 * more. A stream can be begun again where it was cut, an answer cannot: so of
 * those that are behind the streams go first, and those that keep up never for
 * them. Else the slowest client does, unless the one that has got more has
 * more. A peer's connection never goes.
 */
static struct http_connection *
output_victim(struct http_connection *connection)
{
	struct http_server *server = connection->server;
	struct http_connection *victim;

	if (!connection->is_protected &&
	    connection->unsent > server->params.output_bytes_max)
		return connection;
	victim = furthest_stream(server);
	if (victim != NULL)
		return victim;
	victim = slowest_client(server);
	if (!connection->is_protected &&
	    (victim == NULL || victim->unsent < connection->unsent))
		return connection;
	return victim;
}

static void
enforce_output_limit(struct http_connection *connection)
{
	struct http_server *server = connection->server;

	while (server->output_bytes > server->params.output_bytes_max &&
	       connection->phase != HTTP_PHASE_DOOMED) {
		struct http_connection *victim = output_victim(connection);

		if (victim == NULL)
			return;
		http_connection_doom(victim);
	}
}

void
http_connection_add_unsent(struct http_connection *connection, uint64_t size)
{
	connection->unsent += size;
	connection->server->output_bytes += size;
	enforce_output_limit(connection);
}

static void
begin_to_linger(struct http_connection *connection)
{
	if (connection->client_done || shutdown(connection->fd, SHUT_WR) != 0) {
		http_connection_doom(connection);
		return;
	}
	connection->stopped = true;
	connection->lingering = true;
	connection->linger_left = LINGER_BYTES_MAX;
}

struct http_exchange *
http_connection_oldest(const struct http_connection *connection)
{
	if (list_empty(&connection->exchanges))
		return NULL;
	return CONTAINER_OF(
	    connection->exchanges.next, struct http_exchange, link);
}

bool
http_connection_is_over(const struct http_connection *connection)
{
	if (connection->closing)
		return true;
	return connection->server->draining &&
	       connection->exchanges_count == 0 &&
	       connection->reading == NULL && connection->input.size == 0;
}

/* What the other side has not taken of what the kernel has; no error of this
 * is worth more than a time that is cut short. */
static int
kernel_unsent(const struct http_connection *connection)
{
	int size = 0;

	(void)ioctl(connection->fd, SIOCOUTQ, &size);
	return size;
}

/* What was sent gives its memory back when it is the larger part: so what there
 * is, is not much more than what counts as unsent. A stream may last for ever
 * without that all of it is sent at any time. */
static void
forget_sent(struct http_connection *connection)
{
	struct buf *output = &connection->output;
	size_t sent = connection->output_sent;
	struct buf rest = { 0 };

	if (sent < output->size / 2)
		return;
	buf_append(&rest, output->data + sent, output->size - sent);
	buf_release(output);
	*output = rest;
	connection->output_sent = 0;
}

void
http_connection_expire_write(struct http_connection *connection)
{
	int size = connection->streamed ? kernel_unsent(connection) : 0;

	/* The kernel asks for more only when it has much room. */
	if (!connection->streamed || size >= connection->kernel_unsent) {
		http_connection_doom(connection);
		return;
	}
	connection->kernel_unsent = size;
	connection->renewed = true;
	http_connection_settle(connection);
}

static void
on_sent(struct http_connection *connection, size_t size)
{
	struct http_server *server = connection->server;

	ASSERT(connection->unsent >= size);
	ASSERT(server->output_bytes >= size);
	connection->unsent -= size;
	server->output_bytes -= size;
	connection->output_sent += size;
	connection->blocked = connection->output_sent < connection->output.size;
	if (connection->streamed && size > 0)
		connection->renewed = true;
	http_stream_on_sent(connection);
	if (connection->blocked) {
		if (connection->streamed)
			connection->kernel_unsent = kernel_unsent(connection);
		forget_sent(connection);
		return;
	}
	buf_release(&connection->output);
	connection->output_sent = 0;
	connection->streamed = false;
	if (http_connection_is_over(connection))
		begin_to_linger(connection);
}

void
http_connection_send(struct http_connection *connection)
{
	struct buf *output = &connection->output;
	ssize_t size = 0;

	ASSERT(connection->phase != HTTP_PHASE_DOOMED);
	/* A stream may end with nothing to send but the connection's end. */
	if (output->size > connection->output_sent)
		size =
		    send(connection->fd, output->data + connection->output_sent,
			output->size - connection->output_sent, MSG_NOSIGNAL);
	if (size >= 0)
		on_sent(connection, (size_t)size);
	else if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
		connection->blocked = true;
	else
		http_connection_doom(connection);
	http_connection_settle(connection);
	http_connection_resume(connection);
}

void
http_connection_set_context(struct http_connection *connection, void *context,
    void (*release)(void *context))
{
	if (connection->release != NULL)
		connection->release(connection->context);
	connection->context = context;
	connection->release = release;
}

void *
http_connection_context(const struct http_connection *connection)
{
	return connection->context;
}

void
http_connection_allow_pipelining(struct http_connection *connection)
{
	connection->pipelining = true;
}

void
http_connection_protect(struct http_connection *connection)
{
	if (connection->is_protected)
		return;
	connection->is_protected = true;
	if (connection->phase != HTTP_PHASE_DOOMED)
		connection->server->clients_count--;
	connection->over_limit = false;
	list_remove(&connection->evict_link);
}

const char *
http_connection_remote(const struct http_connection *connection)
{
	return connection->remote;
}

void
http_connection_local(
    const struct http_connection *connection, char ret_text[ADDRESS_TEXT_SIZE])
{
	struct address local = { .size = sizeof(local.storage) };

	/* It fails only for want of memory, and "?" is nobody's address. */
	if (getsockname(connection->fd, (void *)&local.storage, &local.size) !=
	    0)
		local.storage.ss_family = AF_UNSPEC;
	address_format(&local, ret_text);
}
