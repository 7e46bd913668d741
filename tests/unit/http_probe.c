#include "tests/unit/http_probe.h"
#include "common/clock.h"
#include "common/mem.h"
#include "tests/unit/local_client.h"
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* What must happen happens in this time even on a machine under load. */
#define PATIENCE_US  UINT64_C(60000000)
#define SETTLE_TURNS 6

const struct http_server_params probe_params = {
	.connections_max = 100,
	.target_bytes_max = 8192,
	.head_bytes_max = 16384,
	.input_bytes_max = 64 * 1024 * 1024,
	.output_bytes_max = 64 * 1024 * 1024,
	.idle_timeout_us = 75000000,
	.header_timeout_us = 10000000,
	.body_timeout_us = 20000000,
	.write_timeout_us = 30000000,
};

unsigned
probe_refusal_status(enum http_refusal refusal)
{
	switch (refusal) {
	case HTTP_REFUSE_MALFORMED: return 400;
	case HTTP_REFUSE_HEADER_TIMEOUT: return 408;
	case HTTP_REFUSE_BODY_TIMEOUT: return 408;
	case HTTP_REFUSE_BODY_TOO_LARGE: return 413;
	case HTTP_REFUSE_TARGET_TOO_LONG: return 414;
	case HTTP_REFUSE_EXPECTATION: return 417;
	case HTTP_REFUSE_HEADERS_TOO_LARGE: return 431;
	case HTTP_REFUSE_METHOD: return 501;
	case HTTP_REFUSE_TRANSFER_CODING: return 501;
	case HTTP_REFUSE_TOO_MANY_CONNECTIONS: return 503;
	case HTTP_REFUSE_TOO_MUCH_INPUT: return 503;
	case HTTP_REFUSE_VERSION: return 505;
	}
	return 400;
}

static uint64_t
body_max(void *context, const struct http_request *request)
{
	(void)context;
	(void)request;
	return PROBE_BODY_MAX;
}

static bool
reserved(void *context, const struct http_request *request)
{
	(void)context;
	return slice_equal(request->path, slice_from_text("/reserved"));
}

static void
answer(struct probe *probe, struct http_request *request)
{
	struct slice body =
	    request->body.size > 0 ? request->body : request->path;
	uint8_t *large = NULL;

	if (probe->answer_size > 0) {
		large = mem_alloc(probe->answer_size);
		memset(large, 'a', probe->answer_size);
		body = slice_of(large, probe->answer_size);
	}
	http_reply_begin(request, probe->status);
	http_reply_header(request, "X-Test", slice_from_text("yes"));
	http_reply_end(request, body);
	free(large);
}

static void
begin_stream(struct probe *probe, struct http_request *request)
{
	http_reply_begin(request, probe->status);
	http_reply_header(request, "X-Test", slice_from_text("yes"));
	http_reply_stream(request);
}

static void
count_release(void *context)
{
	unsigned *released = context;

	(*released)++;
}

static void
on_request(void *context, struct http_request *request)
{
	struct probe *probe = context;

	probe->requests++;
	request->context = probe;
	buf_append_text(&probe->events, http_method_name(request->method));
	buf_append_text(&probe->events, " ");
	buf_append_slice(&probe->events, request->path);
	if (request->query.size > 0)
		buf_append_text(&probe->events, "?");
	buf_append_slice(&probe->events, request->query);
	if (request->body.size > 0 && request->body.size < 100) {
		buf_append_text(&probe->events, " ");
		buf_append_slice(&probe->events, request->body);
	}
	buf_append_text(&probe->events, "\n");
	if (probe->pipelining)
		http_connection_allow_pipelining(request->connection);
	if (probe->protecting)
		http_connection_protect(request->connection);
	if (slice_equal(request->path, slice_from_text("/close")))
		http_reply_close(request);
	if (slice_equal(request->path, slice_from_text("/context")))
		http_connection_set_context(
		    request->connection, &probe->released, count_release);
	if (probe->at_once) {
		answer(probe, request);
		return;
	}
	if (probe->crowd) {
		begin_stream(probe, request);
		if (probe->on_request != NULL)
			probe->on_request(probe, request);
		return;
	}
	ck_assert_uint_lt(probe->pending_count, PROBE_PENDING_MAX);
	probe->pending[probe->pending_count++] = request;
	if (probe->on_request != NULL)
		probe->on_request(probe, request);
}

static bool
streams_body(void *context, const struct http_request *request)
{
	static const char prefix[] = "/parts";

	(void)context;
	return request->path.size >= sizeof(prefix) - 1 &&
	       memcmp(request->path.data, prefix, sizeof(prefix) - 1) == 0;
}

static void
on_body(
    void *context, struct http_request *request, struct slice part, bool last)
{
	struct probe *probe = context;

	probe->parts_count++;
	buf_append_slice(&probe->parts, part);
	probe->part_size_max = MAX(probe->part_size_max, part.size);
	if (part.size < 100 && !probe->quiet_parts) {
		buf_append_text(&probe->events, "part ");
		buf_append_slice(&probe->events, part);
		buf_append_text(&probe->events, last ? ".\n" : "\n");
	}
	if (probe->on_part != NULL)
		probe->on_part(probe, request, last);
}

static void
on_drained(void *context, struct http_request *request)
{
	struct probe *probe = context;

	buf_append_text(&probe->events, "drained ");
	buf_append_slice(&probe->events, request->path);
	buf_append_text(&probe->events, "\n");
	if (probe->on_drained != NULL)
		probe->on_drained(probe, request);
}

static void
forget(struct probe *probe, unsigned place)
{
	ck_assert_uint_lt(place, probe->pending_count);
	probe->pending_count--;
	memmove(&probe->pending[place], &probe->pending[place + 1],
	    (probe->pending_count - place) * sizeof(probe->pending[0]));
}

static unsigned
place_of(const struct probe *probe, const struct http_request *request)
{
	unsigned place = 0;

	while (place < probe->pending_count && probe->pending[place] != request)
		place++;
	ck_assert_msg(place < probe->pending_count, "an unknown request");
	return place;
}

static void
on_abandoned(void *context, struct http_request *request)
{
	struct probe *probe = context;

	probe->abandoned++;
	buf_append_text(&probe->events, "abandoned ");
	buf_append_slice(&probe->events, request->path);
	buf_append_text(&probe->events, "\n");
	if (!probe->crowd)
		forget(probe, place_of(probe, request));
}

static void
on_refused(void *context, struct http_request *request,
    enum http_refusal refusal, const char *detail, uint64_t limit,
    const char *option)
{
	struct probe *probe = context;

	ck_assert_ptr_null(request->context);
	buf_printf(&probe->events, "refused %u", probe_refusal_status(refusal));
	if (limit > 0)
		buf_printf(&probe->events, " %llu", (unsigned long long)limit);
	if (option != NULL)
		buf_printf(&probe->events, " %s", option);
	buf_append_text(&probe->events, "\n");
	probe->refused++;
	probe->refused_at = probe->events.size;
	probe->refused_parts = probe->parts_count;
	http_reply_begin(request, probe_refusal_status(refusal));
	http_reply_end(request, slice_from_text(detail));
}

static const struct http_server_ops ops = {
	.body_max = body_max,
	.reserved = reserved,
	.on_request = on_request,
	.streams_body = streams_body,
	.on_body = on_body,
	.on_drained = on_drained,
	.on_abandoned = on_abandoned,
	.on_refused = on_refused,
};

void
probe_start(struct probe *probe, const struct http_server_params *params)
{
	*probe = (struct probe){ .status = 200 };
	ck_assert_int_eq(loop_new(&probe->loop), 0);
	probe->server = http_server_new(probe->loop, params, &ops, probe);
	ck_assert_int_eq(http_server_listen(probe->server, "127.0.0.1:0"), 0);
}

void
probe_stop(struct probe *probe)
{
	http_server_free(probe->server);
	ck_assert_uint_eq(probe->pending_count, 0);
	loop_free(probe->loop);
	buf_release(&probe->events);
	buf_release(&probe->parts);
}

void
probe_answer(struct probe *probe, unsigned place)
{
	struct http_request *request = probe->pending[place];

	ck_assert_uint_lt(place, probe->pending_count);
	forget(probe, place);
	answer(probe, request);
}

struct http_request *
probe_stream(struct probe *probe, unsigned place)
{
	struct http_request *request = probe->pending[place];

	ck_assert_uint_lt(place, probe->pending_count);
	begin_stream(probe, request);
	return request;
}

bool
probe_give(struct http_request *request, const char *text)
{
	return http_reply_part(request, slice_from_text(text));
}

bool
probe_give_size(struct http_request *request, size_t size)
{
	struct buf bytes = { 0 };
	uint8_t *data = buf_reserve(&bytes, size);
	bool drained;

	for (size_t i = 0; i < size; i++)
		data[i] = (uint8_t)(i * 7 % 251);
	drained = http_reply_part(request, slice_of(data, size));
	buf_release(&bytes);
	return drained;
}

void
probe_get_behind(
    struct probe *probe, struct http_request *request, size_t unsent)
{
	while (http_reply_unsent(request) < unsent) {
		(void)probe_give_size(request, 64 * 1024);
		http_server_flush(probe->server);
	}
	probe_settle(probe);
	buf_reset(&probe->events);
}

void
probe_finish(struct probe *probe, struct http_request *request)
{
	forget(probe, place_of(probe, request));
	http_reply_finish(request);
}

void
probe_cut(struct probe *probe, struct http_request *request)
{
	forget(probe, place_of(probe, request));
	http_reply_cut(request);
}

void
probe_turn(struct probe *probe)
{
	loop_pass(probe->loop, 0);
	http_server_expire(probe->server, loop_update_now(probe->loop));
	while (!probe->hold && probe->pending_count > 0)
		probe_answer(probe, 0);
	http_server_flush(probe->server);
}

void
probe_settle(struct probe *probe)
{
	for (unsigned i = 0; i < SETTLE_TURNS; i++)
		probe_turn(probe);
}

void
probe_expire(struct probe *probe, uint64_t now_us)
{
	http_server_expire(probe->server, now_us);
	http_server_flush(probe->server);
}

void
probe_await_time(struct probe *probe, uint64_t time_us)
{
	while (loop_update_now(probe->loop) < time_us)
		;
}

int
probe_connect(const struct probe *probe)
{
	return local_client_connect(http_server_port(probe->server));
}

static void
check_patience(uint64_t start_us, const char *what, const struct buf *seen)
{
	ck_assert_msg(clock_monotonic_us() - start_us < PATIENCE_US,
	    "waited in vain for %s; so far: \"%.*s\"", what,
	    (int)MIN(seen->size, 500),
	    seen->data == NULL ? "" : (const char *)seen->data);
}

void
probe_send(struct probe *probe, int fd, struct slice bytes)
{
	uint64_t start_us = clock_monotonic_us();
	const struct buf nothing = { 0 };

	while (bytes.size > 0) {
		ssize_t size = send(fd, bytes.data, bytes.size, MSG_NOSIGNAL);

		probe_turn(probe);
		check_patience(start_us, "room to send", &nothing);
		if (size < 0 && errno == EAGAIN)
			continue;
		if (size < 0)
			return;
		bytes = slice_of(bytes.data + size, bytes.size - (size_t)size);
	}
}

void
probe_send_text(struct probe *probe, int fd, const char *text)
{
	probe_send(probe, fd, slice_from_text(text));
}

void
probe_send_filled(struct probe *probe, int fd, const char *start, size_t count)
{
	struct buf bytes = { 0 };

	buf_append_text(&bytes, start);
	for (size_t i = 0; i < count; i++)
		buf_append_text(&bytes, "a");
	probe_send(probe, fd, buf_slice(&bytes));
	buf_release(&bytes);
}

bool
probe_receive(int fd, struct buf *to)
{
	for (;;) {
		uint8_t *room = buf_reserve(to, 65536);
		ssize_t size = recv(fd, room, 65536, 0);

		if (size < 0)
			return errno == EAGAIN;
		if (size == 0)
			return false;
		to->size += (size_t)size;
	}
}

void
probe_await_text(struct probe *probe, int fd, struct buf *to, const char *text)
{
	uint64_t start_us = clock_monotonic_us();

	while (probe_count(to, text) == 0) {
		bool open;

		probe_turn(probe);
		open = probe_receive(fd, to);
		ck_assert_msg(open || probe_count(to, text) > 0,
		    "the connection ended before \"%s\"", text);
		check_patience(start_us, text, to);
	}
}

void
probe_await_size(struct probe *probe, int fd, struct buf *to, size_t size)
{
	uint64_t start_us = clock_monotonic_us();

	while (to->size < size) {
		bool open;

		probe_turn(probe);
		open = probe_receive(fd, to);
		ck_assert(open || to->size >= size);
		check_patience(start_us, "bytes", to);
	}
	ck_assert_uint_eq(to->size, size);
}

void
probe_await_end(struct probe *probe, int fd, struct buf *to)
{
	uint64_t start_us = clock_monotonic_us();

	do {
		probe_turn(probe);
		check_patience(start_us, "the end", to);
	} while (probe_receive(fd, to));
	close(fd);
	probe_settle(probe);
}

void
probe_check_last_answer(struct probe *probe, int fd, unsigned status)
{
	struct buf received = { 0 };
	char line[32];

	snprintf(line, sizeof(line), "HTTP/1.1 %u ", status);
	probe_await_end(probe, fd, &received);
	ck_assert_uint_eq(probe_count(&received, line), 1);
	ck_assert_uint_eq(probe_count(&received, "\r\nDate: "), 1);
	ck_assert_uint_eq(probe_count(&received, "Connection: close\r\n"), 1);
	buf_release(&received);
}

void
probe_check_open(int fd)
{
	struct buf nothing = { 0 };

	ck_assert(probe_receive(fd, &nothing));
	ck_assert_uint_eq(nothing.size, 0);
	buf_release(&nothing);
}

void
probe_await_connections(struct probe *probe, uint32_t count)
{
	uint64_t start_us = clock_monotonic_us();
	const struct buf nothing = { 0 };

	while (http_server_connections(probe->server) != count) {
		probe_turn(probe);
		check_patience(start_us, "connections", &nothing);
	}
}

unsigned
probe_count(const struct buf *bytes, const char *text)
{
	const uint8_t *position = bytes->data;
	size_t left = bytes->size;
	unsigned count = 0;

	while (left > 0) {
		const uint8_t *found =
		    memmem(position, left, text, strlen(text));

		if (found == NULL)
			break;
		count++;
		left -= (size_t)(found - position) + 1;
		position = found + 1;
	}
	return count;
}

void
probe_check_events(struct probe *probe, const char *expected)
{
	ck_assert_msg(
	    slice_equal(buf_slice(&probe->events), slice_from_text(expected)),
	    "events \"%.*s\" instead of \"%s\"", (int)probe->events.size,
	    (const char *)probe->events.data, expected);
	buf_reset(&probe->events);
}
