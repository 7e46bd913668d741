#include "tests/unit/http_stage.h"
#include "common/clock.h"
#include "common/err.h"
#include <check.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define SETTLE_TURNS 6

static void
on_open(void *context)
{
	struct http_stage *stage = context;

	buf_append_text(&stage->events, "open\n");
}

static void
on_closed(void *context, int error, bool refused)
{
	struct http_stage *stage = context;

	buf_append_text(&stage->events, "closed");
	if (error != ERR_CLOSED)
		buf_printf(&stage->events, " %d", error);
	if (refused)
		buf_append_text(&stage->events, " refused");
	buf_append_text(&stage->events, "\n");
	if (!stage->closed_reconnects)
		return;
	stage->closed_reconnects = false;
	ck_assert_int_eq(http_client_connect(stage->client, stage->address), 0);
}

static const struct http_client_ops ops = {
	.on_open = on_open,
	.on_closed = on_closed,
};

static void
on_reply(
    void *context, int error, bool sent, const struct http_client_reply *reply)
{
	struct http_stage_ask *ask = context;
	struct http_stage *stage = ask->stage;

	buf_printf(&stage->events, "%u:", ask->number);
	if (error != 0)
		buf_printf(
		    &stage->events, " %d%s", error, sent ? "" : " unsent");
	ck_assert((error == 0) == (reply != NULL));
	if (reply != NULL) {
		buf_printf(&stage->events, " %u ", reply->status);
		if (reply->body.size < 100)
			buf_append_slice(&stage->events, reply->body);
		else
			buf_printf(&stage->events, "(%zu)", reply->body.size);
	}
	buf_append_text(&stage->events, "\n");
	if (stage->reply_repeats) {
		stage->reply_repeats = false;
		http_stage_ask(stage, ask->number + 1, HTTP_GET);
		http_client_flush(stage->client);
	}
	if (stage->reply_closes) {
		stage->reply_closes = false;
		http_client_close(stage->client);
	}
	if (stage->reply_frees) {
		stage->reply_frees = false;
		http_client_free(stage->client);
		stage->client = NULL;
	}
}

static int
open_listener(char address[32])
{
	struct sockaddr_in name = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t size = sizeof(name);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (void *)&name, sizeof(name)), 0);
	ck_assert_int_eq(listen(fd, 16), 0);
	ck_assert_int_eq(getsockname(fd, (void *)&name, &size), 0);
	snprintf(address, 32, "127.0.0.1:%u", (unsigned)ntohs(name.sin_port));
	return fd;
}

void
http_stage_begin(struct http_stage *stage)
{
	const struct http_client_params params = {
		.pipeline_max = 4,
		.reply_bytes_max = HTTP_STAGE_REPLY_MAX,
		.connect_timeout_us = HTTP_STAGE_CONNECT_TIMEOUT_US,
	};

	*stage = (struct http_stage){ .server = -1 };
	ck_assert_int_eq(loop_new(&stage->loop), 0);
	stage->listener = open_listener(stage->address);
	stage->client = http_client_new(stage->loop, &params, &ops, stage);
}

void
http_stage_end(struct http_stage *stage)
{
	http_client_free(stage->client);
	if (stage->listener >= 0)
		close(stage->listener);
	if (stage->server >= 0)
		close(stage->server);
	buf_release(&stage->events);
	buf_release(&stage->requests);
	loop_free(stage->loop);
}

void
http_stage_turn(struct http_stage *stage)
{
	uint8_t bytes[4096];
	ssize_t size;

	loop_pass(stage->loop, 0);
	if (stage->client != NULL)
		http_client_expire(stage->client, loop_update_now(stage->loop));
	if (stage->client != NULL)
		http_client_flush(stage->client);
	if (stage->server < 0 && stage->listener >= 0)
		stage->server =
		    accept4(stage->listener, NULL, NULL, SOCK_NONBLOCK);
	if (stage->server < 0)
		return;
	size = recv(stage->server, bytes, sizeof(bytes), 0);
	if (size > 0)
		buf_append(&stage->requests, bytes, (size_t)size);
}

void
http_stage_settle(struct http_stage *stage)
{
	for (unsigned i = 0; i < SETTLE_TURNS; i++)
		http_stage_turn(stage);
}

void
http_stage_await_events(struct http_stage *stage, const char *expected)
{
	uint64_t start_us = clock_monotonic_us();

	while (stage->events.size < strlen(expected) &&
	       clock_monotonic_us() - start_us < HTTP_STAGE_PATIENCE_US)
		http_stage_turn(stage);
	ck_assert_msg(
	    slice_equal(buf_slice(&stage->events), slice_from_text(expected)),
	    "\"%.*s\" instead of \"%s\"", (int)stage->events.size,
	    (const char *)stage->events.data, expected);
	buf_reset(&stage->events);
}

void
http_stage_begin_open(struct http_stage *stage)
{
	http_stage_begin(stage);
	ck_assert_int_eq(http_client_connect(stage->client, stage->address), 0);
	http_stage_await_events(stage, "open\n");
	while (stage->server < 0)
		http_stage_turn(stage);
}

static void
submit(struct http_stage *stage, unsigned number, enum http_method method,
    const char *target, const char *fields, const struct slice *body,
    unsigned parts_count, uint64_t deadline_us)
{
	struct http_stage_ask *ask = &stage->asks[number];

	ck_assert_uint_lt(number, HTTP_STAGE_ASKS_MAX);
	*ask = (struct http_stage_ask){ .stage = stage, .number = number };
	http_client_request(stage->client, method, slice_from_text(target),
	    slice_from_text(fields), body, parts_count, deadline_us, on_reply,
	    ask);
}

static void
submit_numbered(struct http_stage *stage, unsigned number,
    enum http_method method, uint64_t deadline_us)
{
	char target[16];

	snprintf(target, sizeof(target), "/%u", number);
	submit(stage, number, method, target, "", NULL, 0, deadline_us);
}

void
http_stage_ask(
    struct http_stage *stage, unsigned number, enum http_method method)
{
	submit_numbered(stage, number, method, UINT64_MAX);
}

void
http_stage_ask_until(
    struct http_stage *stage, unsigned number, uint64_t deadline_us)
{
	submit_numbered(stage, number, HTTP_GET, deadline_us);
}

void
http_stage_put(struct http_stage *stage, unsigned number,
    enum http_method method, const char *target, const char *fields,
    const struct slice *body, unsigned parts_count)
{
	submit(stage, number, method, target, fields, body, parts_count,
	    UINT64_MAX);
}

void
http_stage_begin_asked(struct http_stage *stage, enum http_method method)
{
	http_stage_begin_open(stage);
	http_stage_ask(stage, 1, method);
	http_stage_settle(stage);
}

void
http_stage_hang_up(struct http_stage *stage)
{
	close(stage->server);
	stage->server = -1;
}

void
http_stage_serve(struct http_stage *stage, const char *bytes)
{
	size_t size = strlen(bytes);

	ck_assert_int_eq(
	    send(stage->server, bytes, size, MSG_NOSIGNAL), (ssize_t)size);
}
