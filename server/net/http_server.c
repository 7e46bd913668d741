#include "net/http_server.h"
#include "common/err.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/panic.h"
#include "net/http_server_impl.h"
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

/* Connections accepted in one pass, so that those accepted before are read
 * before others can push them out. */
#define ACCEPTS_PER_PASS_MAX 16
/* The pause after running out of file descriptors. */
#define ACCEPT_PAUSE_US (UINT64_C(100) * 1000)

static_assert(ACCEPTS_PER_PASS_MAX < HTTP_RESERVED_CONNECTIONS,
    "a reserved connection survives at least one pass");

struct http_server *
http_server_new(struct loop *loop, const struct http_server_params *params,
    const struct http_server_ops *ops, void *context)
{
	struct http_server *server = mem_zalloc(1, sizeof(*server));

	server->loop = loop;
	server->params = *params;
	server->ops = ops;
	server->context = context;
	for (unsigned i = 0; i < HTTP_PHASES_COUNT; i++)
		list_init(&server->phases[i]);
	list_init(&server->dirty);
	list_init(&server->resume);
	list_init(&server->evictable);
	list_init(&server->starved);
	list_init(&server->drained);
	list_init(&server->spare_exchanges);
	server->pass_left = HTTP_REQUESTS_PER_PASS;
	return server;
}

static void
close_listeners(struct http_server *server)
{
	for (unsigned i = 0; i < server->listeners_count; i++) {
		loop_io_free(server->listeners[i].io);
		(void)close(server->listeners[i].fd); /* nothing to lose */
	}
	server->listeners_count = 0;
	server->accept_again_us = 0;
}

/* The connection at this place of a phase's list. */
static struct http_connection *
connection_at(struct list *phase_link)
{
	return CONTAINER_OF(phase_link, struct http_connection, phase_link);
}

void
http_server_free(struct http_server *server)
{
	if (server == NULL)
		return;
	close_listeners(server);
	for (unsigned i = 0; i < HTTP_PHASE_DOOMED; i++) {
		while (!list_empty(&server->phases[i]))
			http_connection_doom(
			    connection_at(server->phases[i].next));
	}
	http_server_sweep(server);
	while (!list_empty(&server->spare_exchanges)) {
		struct http_exchange *exchange = CONTAINER_OF(
		    server->spare_exchanges.next, struct http_exchange, link);

		list_remove(&exchange->link);
		http_exchange_release(exchange);
	}
	buf_release(&server->date_line);
	free(server);
}

static void
set_accepting(struct http_server *server, bool accepting)
{
	for (unsigned i = 0; i < server->listeners_count; i++)
		loop_io_set_interest(
		    server->listeners[i].io, accepting ? LOOP_READ : 0);
	server->accept_again_us =
	    accepting ? 0 : loop_now(server->loop) + ACCEPT_PAUSE_US;
}

/*
 * Every place is taken, the reserved ones too: the oldest above the limit that
 * is not known to be a peer's makes room, so that a peer always gets in. There
 * is one: at most connections_max clients are not above the limit.
 */
static void
make_room(struct http_server *server)
{
	if (server->clients_count < (uint64_t)server->params.connections_max +
					HTTP_RESERVED_CONNECTIONS)
		return;
	ASSERT(!list_empty(&server->evictable));
	http_connection_doom(CONTAINER_OF(
	    server->evictable.next, struct http_connection, evict_link));
}

/* accept(2): errors of the one connection, which is gone with them. */
static bool
is_error_of_connection(int error)
{
	return error == EINTR || error == ECONNABORTED || error == EPROTO ||
	       error == ENETDOWN || error == ENOPROTOOPT ||
	       error == EHOSTDOWN || error == ENONET || error == EHOSTUNREACH ||
	       error == EOPNOTSUPP || error == ENETUNREACH || error == EPERM;
}

/* The connections wait in the kernel; one line tells of all the tries. */
static void
on_failed_accept(struct http_server *server, int error)
{
	if (!server->accept_failed)
		log_warning("cannot accept connections: %s", strerror(error));
	server->accept_failed = true;
	set_accepting(server, false);
}

static void
listener_cb(void *context, unsigned ready)
{
	struct http_listener *listener = context;
	struct http_server *server = listener->server;

	(void)ready;
	for (unsigned i = 0; i < ACCEPTS_PER_PASS_MAX; i++) {
		struct address remote = { .size = sizeof(remote.storage) };
		int fd = accept4(listener->fd, (void *)&remote.storage,
		    &remote.size, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0 && is_error_of_connection(errno))
			continue;
		if (fd < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		if (fd < 0) {
			on_failed_accept(server, errno);
			return;
		}
		server->accept_failed = false;
		make_room(server);
		(void)http_connection_new(server, fd, &remote);
	}
}

static int
error_of_listen(int error)
{
	if (error == EADDRINUSE)
		return ERR_LOCKED;
	if (error == EACCES || error == EPERM)
		return ERR_DENIED;
	return ERR_IO;
}

static int
open_listener(const struct address *address, int *ret_fd)
{
	const struct sockaddr *name = (const void *)&address->storage;
	int on = 1;
	int code;
	int fd = socket(address->storage.ss_family,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return ERR_IO;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0)
		goto fail;
	/* "[::]" and "0.0.0.0" are two listeners, not one. */
	if (address->storage.ss_family == AF_INET6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0)
		goto fail;
	if (bind(fd, name, address->size) != 0 || listen(fd, SOMAXCONN) != 0)
		goto fail;
	*ret_fd = fd;
	return 0;

fail:
	code = error_of_listen(errno);
	(void)close(fd); /* the error that counts is known */
	return code;
}

int
http_server_listen(struct http_server *server, const char *text)
{
	struct address address;
	struct http_listener *listener;
	int fd;
	int code;

	ASSERT(server->listeners_count < HTTP_LISTENERS_MAX);
	if (address_parse(slice_from_text(text), &address) != 0)
		return ERR_INVALID;
	code = open_listener(&address, &fd);
	if (code != 0)
		return code;
	listener = &server->listeners[server->listeners_count++];
	listener->server = server;
	listener->fd = fd;
	listener->io =
	    loop_watch(server->loop, fd, LOOP_READ, listener_cb, listener);
	return 0;
}

uint16_t
http_server_port(const struct http_server *server)
{
	struct address address = { .size = sizeof(address.storage) };

	if (server->listeners_count == 0 ||
	    getsockname(server->listeners[0].fd, (void *)&address.storage,
		&address.size) != 0)
		return 0;
	return address_port(&address);
}

void
http_server_flush(struct http_server *server)
{
	while (!list_empty(&server->dirty)) {
		struct http_connection *connection = CONTAINER_OF(
		    server->dirty.next, struct http_connection, dirty_link);

		list_remove(&connection->dirty_link);
		http_connection_send(connection);
	}
}

uint64_t
http_server_deadline(const struct http_server *server)
{
	uint64_t deadline_us = UINT64_MAX;

	if (!list_empty(&server->resume) || !list_empty(&server->drained) ||
	    !list_empty(&server->phases[HTTP_PHASE_DOOMED]) ||
	    http_input_next(server, 0) != NULL)
		return 0;
	if (server->accept_again_us != 0)
		deadline_us = server->accept_again_us;
	for (unsigned i = 0; i < HTTP_PHASE_DOOMED; i++) {
		if (i == HTTP_PHASE_PENDING || list_empty(&server->phases[i]))
			continue;
		deadline_us = MIN(deadline_us,
		    connection_at(server->phases[i].next)->deadline_us);
	}
	return deadline_us;
}

/* A connection that leaves its phase leaves the list. */
static void
expire_phase(struct http_server *server, enum http_phase phase, uint64_t now_us,
    void (*end)(struct http_connection *connection))
{
	struct list *list = &server->phases[phase];

	while (!list_empty(list) &&
	       connection_at(list->next)->deadline_us <= now_us)
		end(connection_at(list->next));
}

/*
 * Opens the next pass for those that wait for one. Each comes up once, and
 * those that the pass had nothing left for are the first in the next.
 */
static void
resume_connections(struct http_server *server)
{
	struct list waiting;

	list_init(&waiting);
	list_splice(&waiting, &server->resume);
	server->pass_left = HTTP_REQUESTS_PER_PASS;
	while (!list_empty(&waiting) && server->pass_left > 0) {
		struct http_connection *connection = CONTAINER_OF(
		    waiting.next, struct http_connection, resume_link);

		list_remove(&connection->resume_link);
		http_connection_process(connection);
	}
	list_splice(&waiting, &server->resume);
	list_splice(&server->resume, &waiting);
}

void
http_server_expire(struct http_server *server, uint64_t now_us)
{
	expire_phase(server, HTTP_PHASE_IDLE, now_us, http_connection_doom);
	expire_phase(
	    server, HTTP_PHASE_WRITE, now_us, http_connection_expire_write);
	expire_phase(server, HTTP_PHASE_LINGER, now_us, http_connection_doom);
	expire_phase(
	    server, HTTP_PHASE_HEADER, now_us, http_connection_refuse_late);
	expire_phase(
	    server, HTTP_PHASE_BODY, now_us, http_connection_refuse_late);
	if (server->accept_again_us != 0 && server->accept_again_us <= now_us)
		set_accepting(server, true);
	resume_connections(server);
	http_stream_expire(server);
	http_server_sweep(server);
	http_input_expire(server);
}

void
http_server_drain(struct http_server *server)
{
	struct list *node;
	struct list *following;

	close_listeners(server);
	server->draining = true;
	LIST_EACH_SAFE(node, following, &server->phases[HTTP_PHASE_IDLE]) {
		struct http_connection *connection = connection_at(node);

		if (connection->output.size == 0)
			http_connection_doom(connection);
		connection->closing = true;
		connection->stopped = true;
	}
	LIST_EACH_SAFE(node, following, &server->phases[HTTP_PHASE_HEADER]) {
		struct http_connection *connection = connection_at(node);

		/* Those that resume have whole requests, which are answered. */
		if (connection->exchanges_count == 0 &&
		    connection->output.size == 0 &&
		    list_empty(&connection->resume_link))
			http_connection_doom(connection);
	}
}

uint32_t
http_server_connections(const struct http_server *server)
{
	return server->connections_count;
}
