#include "net/http_client.h"
#include "common/address.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/panic.h"
#include "net/http_client_impl.h"
#include "net/http_write.h"
#include "net/tcp.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

#define KEEPALIVE_IDLE_S     5
#define KEEPALIVE_INTERVAL_S 1
#define KEEPALIVE_COUNT      4

struct http_client *
http_client_new(struct loop *loop, const struct http_client_params *params,
    const struct http_client_ops *ops, void *context)
{
	struct http_client *client = mem_zalloc(1, sizeof(*client));

	ASSERT(params->pipeline_max > 0);
	client->loop = loop;
	client->params = *params;
	client->ops = ops;
	client->context = context;
	list_init(&client->calls);
	return client;
}

static struct http_call *
oldest_call(struct http_client *client)
{
	return CONTAINER_OF(client->calls.next, struct http_call, link);
}

static void
drop_calls(struct http_client *client)
{
	while (!list_empty(&client->calls)) {
		struct http_call *call = oldest_call(client);

		list_remove(&call->link);
		free(call);
	}
	client->calls_count = 0;
}

static void
close_socket(struct http_client *client)
{
	if (client->io == NULL)
		return;
	loop_io_free(client->io);
	client->io = NULL;
	(void)close(client->fd); /* what it had to say is said or lost */
	buf_release(&client->output);
	buf_release(&client->input);
	client->output_sent = 0;
	client->in_body = false;
}

static void
destroy(struct http_client *client)
{
	buf_release(&client->host);
	buf_release(&client->head_bytes);
	buf_release(&client->body);
	free(client);
}

void
http_client_free(struct http_client *client)
{
	if (client == NULL)
		return;
	drop_calls(client);
	close_socket(client);
	client->state = HTTP_CLIENT_CLOSED;
	client->freed = true;
	if (client->depth == 0)
		destroy(client);
}

static void
enter(struct http_client *client)
{
	client->depth++;
}

static void
leave(struct http_client *client)
{
	client->depth--;
	if (client->depth == 0 && client->freed)
		destroy(client);
}

/* Each call may come back to us: to close or to free the client. */
static void
end_calls(struct http_client *client, int error)
{
	while (!list_empty(&client->calls)) {
		struct http_call *call = oldest_call(client);
		bool sent = client->sent_total > call->start;

		list_remove(&call->link);
		client->calls_count--;
		call->fn(call->context, error, sent, NULL);
		free(call);
	}
}

void
http_client_fail(struct http_client *client, int error, bool refused)
{
	if (client->state != HTTP_CLIENT_CONNECTING &&
	    client->state != HTTP_CLIENT_OPEN)
		return;
	close_socket(client);
	client->state = HTTP_CLIENT_FAILED;
	client->failure = error;
	client->refused = refused;
}

/* Only from the loop or from http_client_expire. */
static void
tell_failure(struct http_client *client)
{
	if (client->state != HTTP_CLIENT_FAILED)
		return;
	end_calls(client, client->failure);
	if (client->state != HTTP_CLIENT_FAILED)
		return;
	client->state = HTTP_CLIENT_CLOSED;
	client->ops->on_closed(
	    client->context, client->failure, client->refused);
}

void
http_client_close(struct http_client *client)
{
	enter(client);
	close_socket(client);
	client->state = HTTP_CLIENT_CLOSED;
	end_calls(client, ERR_CLOSED);
	leave(client);
}

bool
http_client_is_open(const struct http_client *client)
{
	return client->state == HTTP_CLIENT_OPEN;
}

uint32_t
http_client_room(const struct http_client *client)
{
	if (client->state != HTTP_CLIENT_OPEN)
		return 0;
	return client->params.pipeline_max - client->calls_count;
}

static void
update_interest(struct http_client *client)
{
	unsigned interest = LOOP_READ;

	if (client->output_sent < client->output.size)
		interest |= LOOP_WRITE;
	loop_io_set_interest(client->io, interest);
}

static void
on_connect_ready(struct http_client *client)
{
	int error = 0;
	socklen_t size = sizeof(error);

	if (getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
		error = errno;
	if (error != 0) {
		http_client_fail(client,
		    error == ETIMEDOUT ? ERR_TIMEOUT : ERR_CLOSED,
		    error == ECONNREFUSED);
		return;
	}
	client->state = HTTP_CLIENT_OPEN;
	loop_io_set_interest(client->io, LOOP_READ);
	client->ops->on_open(client->context);
}

static void
read_socket(struct http_client *client)
{
	uint8_t bytes[HTTP_CLIENT_READ_SIZE];

	for (unsigned i = 0; i < HTTP_CLIENT_READS_PER_PASS; i++) {
		ssize_t size = recv(client->fd, bytes, sizeof(bytes), 0);

		if (size == 0 || (size < 0 && errno != EAGAIN &&
				     errno != EWOULDBLOCK && errno != EINTR)) {
			http_client_fail(client, ERR_CLOSED, false);
			return;
		}
		if (size < 0)
			return;
		client->received_total += (uint64_t)size;
		http_client_on_bytes(client, slice_of(bytes, (size_t)size));
		if ((size_t)size < sizeof(bytes) ||
		    client->state != HTTP_CLIENT_OPEN)
			return;
	}
}

static void
client_cb(void *context, unsigned ready)
{
	struct http_client *client = context;

	enter(client);
	if (client->state == HTTP_CLIENT_CONNECTING) {
		on_connect_ready(client);
	} else {
		if ((ready & LOOP_WRITE) != 0)
			http_client_flush(client);
		if ((ready & LOOP_READ) != 0 &&
		    client->state == HTTP_CLIENT_OPEN)
			read_socket(client);
	}
	tell_failure(client);
	leave(client);
}

/* A failure that shows at once is told like one that shows later. */
static void
begin_connect(struct http_client *client, const struct address *address)
{
	client->state = HTTP_CLIENT_CONNECTING;
	client->connect_deadline_us =
	    loop_now(client->loop) + client->params.connect_timeout_us;
	client->fd = socket(address->storage.ss_family,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (client->fd < 0) {
		http_client_fail(client, ERR_IO, false);
		return;
	}
	tcp_set_option(client->fd, IPPROTO_TCP, TCP_NODELAY, 1);
	client->io =
	    loop_watch(client->loop, client->fd, LOOP_WRITE, client_cb, client);
	if (connect(client->fd, (const void *)&address->storage,
		address->size) != 0 &&
	    errno != EINPROGRESS && errno != EINTR)
		http_client_fail(client, ERR_CLOSED, errno == ECONNREFUSED);
}

int
http_client_connect(struct http_client *client, const char *text)
{
	struct address address;

	ASSERT(client->state == HTTP_CLIENT_CLOSED);
	ASSERT(list_empty(&client->calls));
	if (address_parse(slice_from_text(text), &address) != 0)
		return ERR_INVALID;
	buf_reset(&client->host);
	buf_append_text(&client->host, text);
	client->queued_total = 0;
	client->sent_total = 0;
	client->received_total = 0;
	begin_connect(client, &address);
	return 0;
}

void
http_client_request(struct http_client *client, enum http_method method,
    struct slice target, struct slice headers, const struct slice *body,
    size_t body_count, uint64_t deadline_us, http_client_reply_fn *fn,
    void *context)
{
	struct http_call *call = mem_zalloc(1, sizeof(*call));
	size_t size_before;
	uint64_t body_size = 0;

	ASSERT(http_client_room(client) > 0);
	/* A busy connection's buffer is never empty. */
	if (client->output_sent > client->output.size / 2) {
		buf_drain(&client->output, client->output_sent);
		client->output_sent = 0;
	}
	size_before = client->output.size;
	for (size_t i = 0; i < body_count; i++)
		body_size += body[i].size;
	http_write_request_head(&client->output, method, target,
	    buf_slice(&client->host), headers, body_size);
	for (size_t i = 0; i < body_count; i++)
		buf_append_slice(&client->output, body[i]);
	call->method = method;
	call->deadline_us = deadline_us;
	call->start = client->queued_total;
	call->fn = fn;
	call->context = context;
	list_push(&client->calls, &call->link);
	client->calls_count++;
	client->queued_total += client->output.size - size_before;
}

void
http_client_hasten(struct http_client *client, uint64_t deadline_us)
{
	struct list *node;

	LIST_EACH(node, &client->calls) {
		struct http_call *call =
		    CONTAINER_OF(node, struct http_call, link);

		call->deadline_us = MIN(call->deadline_us, deadline_us);
	}
}

void
http_client_keep_alive(struct http_client *client)
{
	if (client->state != HTTP_CLIENT_OPEN)
		return;
	tcp_keep_alive(client->fd, KEEPALIVE_IDLE_S, KEEPALIVE_INTERVAL_S,
	    KEEPALIVE_COUNT);
	/* For what was sent and not acknowledged, when there are no probes. */
	tcp_set_option(client->fd, IPPROTO_TCP, TCP_USER_TIMEOUT,
	    1000 * (KEEPALIVE_IDLE_S + KEEPALIVE_COUNT * KEEPALIVE_INTERVAL_S));
}

void
http_client_flush(struct http_client *client)
{
	struct buf *output = &client->output;
	ssize_t size;

	if (client->state != HTTP_CLIENT_OPEN ||
	    client->output_sent == output->size)
		return;
	size = send(client->fd, output->data + client->output_sent,
	    output->size - client->output_sent, MSG_NOSIGNAL);
	if (size < 0 && errno != EAGAIN && errno != EWOULDBLOCK &&
	    errno != EINTR) {
		http_client_fail(client, ERR_CLOSED, false);
		return;
	}
	if (size > 0) {
		client->output_sent += (size_t)size;
		client->sent_total += (uint64_t)size;
	}
	if (client->output_sent == output->size) {
		if (output->capacity > HTTP_CLIENT_BUFFER_SIZE_KEPT)
			buf_release(output);
		buf_reset(output);
		client->output_sent = 0;
	}
	update_interest(client);
}

uint64_t
http_client_progress(const struct http_client *client)
{
	return client->sent_total + client->received_total;
}

static uint64_t
calls_deadline(const struct http_client *client)
{
	uint64_t deadline_us = UINT64_MAX;
	const struct list *node;

	LIST_EACH(node, &client->calls) {
		const struct http_call *call =
		    (const void *)((const char *)node -
				   offsetof(struct http_call, link));

		deadline_us = MIN(deadline_us, call->deadline_us);
	}
	return deadline_us;
}

uint64_t
http_client_deadline(const struct http_client *client)
{
	switch (client->state) {
	case HTTP_CLIENT_CLOSED: return UINT64_MAX;
	case HTTP_CLIENT_CONNECTING: return client->connect_deadline_us;
	case HTTP_CLIENT_OPEN: return calls_deadline(client);
	case HTTP_CLIENT_FAILED: return 0;
	}
	return UINT64_MAX;
}

void
http_client_expire(struct http_client *client, uint64_t now_us)
{
	enter(client);
	if (http_client_deadline(client) <= now_us)
		http_client_fail(client, ERR_TIMEOUT, false);
	tell_failure(client);
	leave(client);
}
