/*
 * How much of clients' bodies is in memory. What has arrived counts, so that
 * announcing alone takes no room from others. Where there is none, a body is
 * not read on (TCP tells its client), and the oldest alone always is: the
 * bound is input_bytes_max and what that one body takes above it. It ends, or
 * its time does, and the next is the oldest; no two wait for each other.
 */

#include "common/macros.h"
#include "net/http_server_impl.h"

void
http_input_hold(struct http_exchange *exchange, uint64_t size)
{
	struct http_connection *connection = exchange->request.connection;
	struct http_server *server = connection->server;

	if (connection->is_protected)
		size = 0;
	server->input_bytes += size - exchange->input_bytes;
	exchange->input_bytes = size;
}

/* The client whose body has been under way for longest; NULL without one. */
static struct http_connection *
oldest_client(const struct http_server *server)
{
	struct list *node;

	LIST_EACH(node, &server->phases[HTTP_PHASE_BODY]) {
		struct http_connection *connection =
		    CONTAINER_OF(node, struct http_connection, phase_link);

		/* Its phase follows only when it is settled. */
		if (!connection->is_protected && connection->reading != NULL)
			return connection;
	}
	return NULL;
}

uint64_t
http_input_room(const struct http_connection *connection)
{
	const struct http_server *server = connection->server;
	uint64_t max = server->params.input_bytes_max;

	if (connection->is_protected)
		return UINT64_MAX;
	/* Whoever was the oldest before may still wait for its answer. */
	if (connection == oldest_client(server) &&
	    server->input_bytes - connection->reading->input_bytes <= max)
		return UINT64_MAX;
	return max - MIN(server->input_bytes, max);
}

size_t
http_input_take(struct http_connection *connection, uint64_t wanted)
{
	size_t room = (size_t)MIN(http_input_room(connection), wanted);

	if (room == 0)
		list_push(
		    &connection->server->starved, &connection->starved_link);
	return room;
}

struct http_connection *
http_input_next(const struct http_server *server, uint64_t taken)
{
	struct http_connection *oldest = oldest_client(server);
	struct http_connection *first;

	if (list_empty(&server->starved))
		return NULL;
	first = CONTAINER_OF(
	    server->starved.next, struct http_connection, starved_link);
	if (oldest != NULL && !list_empty(&oldest->starved_link))
		first = oldest;
	return http_input_room(first) > taken ? first : NULL;
}

void
http_input_expire(struct http_server *server)
{
	struct http_connection *connection;
	uint64_t taken = 0; /* by those before, if they read all they may */

	while ((connection = http_input_next(server, taken)) != NULL) {
		list_remove(&connection->starved_link);
		http_connection_settle(connection);
		taken += HTTP_READ_SIZE;
	}
}
