#include "common/clock.h"
#include "common/err.h"
#include "net/http_client_impl.h"
#include "tests/unit/suites.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_US  UINT64_C(10000000)
#define SETTLE_TURNS 6
#define REPLY_MAX    (256 * 1024)
#define OK(size)     "HTTP/1.1 200 OK\r\nContent-Length: " #size "\r\n\r\n"

/*
 * A client, and a server that is nothing but two sockets: what it answers is
 * written by the test. What the client tells is written down, a line each:
 *
 *   open / closed / closed refused / closed -14
 *   1: 200 body / 1: -15 / 1: -15 unsent
 */
struct stage {
	struct loop *loop;
	struct http_client *client;
	int listener;
	int server; /* the accepted connection; -1 */
	char address[32];
	struct buf events;
	struct buf requests; /* what the server has received */

	/* What a reply's end does besides writing it down. */
	bool reply_closes;
	bool reply_frees;
	bool reply_repeats;
	bool closed_reconnects;
};

/* The context of one request. */
struct ask {
	struct stage *stage;
	unsigned number;
};

static struct ask asks[16];

static void
send_request(struct stage *stage, unsigned number, enum http_method method);

static void
on_open(void *context)
{
	struct stage *stage = context;

	buf_append_text(&stage->events, "open\n");
}

static void
on_closed(void *context, int error, bool refused)
{
	struct stage *stage = context;

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
	struct ask *ask = context;
	struct stage *stage = ask->stage;

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
		send_request(stage, ask->number + 1, HTTP_GET);
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

static void
setup(struct stage *stage)
{
	const struct http_client_params params = {
		.pipeline_max = 4,
		.reply_bytes_max = REPLY_MAX,
		.connect_timeout_us = 2000000,
	};

	*stage = (struct stage){ .server = -1 };
	ck_assert_int_eq(loop_new(&stage->loop), 0);
	stage->listener = open_listener(stage->address);
	stage->client = http_client_new(stage->loop, &params, &ops, stage);
}

static void
teardown(struct stage *stage)
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

static void
turn(struct stage *stage)
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

static void
settle(struct stage *stage)
{
	for (unsigned i = 0; i < SETTLE_TURNS; i++)
		turn(stage);
}

/* Turns until so many lines have been written down, then compares them. */
static void
await_events(struct stage *stage, const char *expected)
{
	uint64_t start_us = clock_monotonic_us();

	while (stage->events.size < strlen(expected) &&
	       clock_monotonic_us() - start_us < PATIENCE_US)
		turn(stage);
	ck_assert_msg(
	    slice_equal(buf_slice(&stage->events), slice_from_text(expected)),
	    "\"%.*s\" instead of \"%s\"", (int)stage->events.size,
	    (const char *)stage->events.data, expected);
	buf_reset(&stage->events);
}

static void
setup_open(struct stage *stage)
{
	setup(stage);
	ck_assert_int_eq(http_client_connect(stage->client, stage->address), 0);
	await_events(stage, "open\n");
	while (stage->server < 0)
		turn(stage);
}

static void
send_request(struct stage *stage, unsigned number, enum http_method method)
{
	char target[16];

	snprintf(target, sizeof(target), "/%u", number);
	asks[number] = (struct ask){ .stage = stage, .number = number };
	http_client_request(stage->client, method, slice_from_text(target),
	    slice_of(NULL, 0), NULL, 0, UINT64_MAX, on_reply, &asks[number]);
}

static void
serve(struct stage *stage, const char *bytes)
{
	size_t size = strlen(bytes);

	ck_assert_int_eq(
	    send(stage->server, bytes, size, MSG_NOSIGNAL), (ssize_t)size);
}

START_TEST(request_as_sent)
{
	struct stage stage;
	const struct slice body[] = { slice_from_text("hel"),
		slice_from_text("lo") };
	struct buf expected = { 0 };

	setup_open(&stage);
	asks[1] = (struct ask){ .stage = &stage, .number = 1 };
	http_client_request(stage.client, HTTP_POST,
	    slice_from_text("/raft/append"), slice_from_text("X: y\r\n"), body,
	    2, UINT64_MAX, on_reply, &asks[1]);
	settle(&stage);
	buf_printf(&expected,
	    "POST /raft/append HTTP/1.1\r\nHost: %s\r\nX: y\r\n"
	    "Content-Length: 5\r\n\r\nhello",
	    stage.address);
	ck_assert(
	    slice_equal(buf_slice(&stage.requests), buf_slice(&expected)));
	buf_release(&expected);
	teardown(&stage);
}
END_TEST

/* A GET has no body, and so no length; an empty PUT has one. */
START_TEST(request_without_body)
{
	struct stage stage;

	setup_open(&stage);
	send_request(&stage, 1, HTTP_GET);
	settle(&stage);
	ck_assert_ptr_null(memmem(
	    stage.requests.data, stage.requests.size, "Content-Length", 14));
	send_request(&stage, 2, HTTP_PUT);
	settle(&stage);
	ck_assert_ptr_nonnull(memmem(stage.requests.data, stage.requests.size,
	    "Content-Length: 0\r\n\r\n", 21));
	teardown(&stage);
}
END_TEST

#define BULK_SIZE (4u * 1024 * 1024)

/* Reads until little is left unsent, but something is. */
static void
drain_bulk(struct stage *stage)
{
	const struct http_client *client = stage->client;
	static uint8_t bytes[64 * 1024];

	while (client->output.size - client->output_sent > BULK_SIZE / 2) {
		http_client_flush(stage->client);
		(void)recv(stage->server, bytes, sizeof(bytes), 0);
	}
	ck_assert_uint_lt(client->output_sent, client->output.size);
}

/* A busy connection's buffer is never empty, and does not grow for that. */
START_TEST(output_is_bounded_by_what_is_unsent)
{
	struct stage stage;
	uint8_t *bytes = calloc(1, BULK_SIZE);
	const struct slice body = slice_of(bytes, BULK_SIZE);
	const int size = 64 * 1024;

	setup_open(&stage);
	ck_assert_int_eq(setsockopt(stage.client->fd, SOL_SOCKET, SO_SNDBUF,
			     &size, sizeof(size)),
	    0);
	ck_assert_int_eq(setsockopt(stage.server, SOL_SOCKET, SO_RCVBUF, &size,
			     sizeof(size)),
	    0);
	for (unsigned i = 0; i < 10; i++) {
		asks[i] = (struct ask){ .stage = &stage, .number = i };
		http_client_request(stage.client, HTTP_PUT,
		    slice_from_text("/"), slice_of(NULL, 0), &body, 1,
		    UINT64_MAX, on_reply, &asks[i]);
		drain_bulk(&stage);
		ck_assert_uint_le(stage.client->output.size, 3 * BULK_SIZE);
		if (i == 0)
			continue;
		serve(&stage, OK(0));
		while (stage.events.size == 0)
			turn(&stage);
		buf_reset(&stage.events);
	}
	free(bytes);
	teardown(&stage);
}
END_TEST

START_TEST(nothing_leaves_before_the_flush)
{
	struct stage stage;
	uint8_t byte;

	setup_open(&stage);
	send_request(&stage, 1, HTTP_GET);
	loop_pass(stage.loop, 0);
	ck_assert_int_eq(recv(stage.server, &byte, 1, 0), -1);
	http_client_flush(stage.client);
	ck_assert_int_eq(recv(stage.server, &byte, 1, 0), 1);
	teardown(&stage);
}
END_TEST

static const struct {
	enum http_method method;
	const char *bytes;
	const char *event;
} replies[] = {
	{ HTTP_GET, OK(5) "hello", "1: 200 hello\n" },
	{ HTTP_GET, OK(0), "1: 200 \n" },
	{ HTTP_GET,
	    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	    "3\r\nhel\r\n2;x\r\nlo\r\n0\r\nX: y\r\n\r\n",
	    "1: 200 hello\n" },
	{ HTTP_GET, "HTTP/1.1 100 Continue\r\n\r\n" OK(1) "a", "1: 200 a\n" },
	{ HTTP_GET,
	    "HTTP/1.1 103 Early\r\nX: y\r\n\r\n"
	    "HTTP/1.1 100 \r\n\r\n" OK(1) "a",
	    "1: 200 a\n" },
	{ HTTP_HEAD, OK(5), "1: 200 \n" },
	{ HTTP_HEAD, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
	    "1: 200 \n" },
	{ HTTP_GET, "HTTP/1.1 204 No Content\r\n\r\n", "1: 204 \n" },
	{ HTTP_GET, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
	    "1: 304 \n" },
	{ HTTP_GET, "HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\nno",
	    "1: 503 no\n" },
};

/* In one piece, and byte by byte; the connection stays. */
START_TEST(reply)
{
	struct stage stage;
	const char *bytes = replies[_i].bytes;

	setup_open(&stage);
	send_request(&stage, 1, replies[_i].method);
	settle(&stage);
	serve(&stage, bytes);
	await_events(&stage, replies[_i].event);
	send_request(&stage, 1, replies[_i].method);
	settle(&stage);
	for (size_t i = 0; i < strlen(bytes); i++) {
		ck_assert_uint_eq(stage.events.size, 0);
		ck_assert_int_eq(send(stage.server, bytes + i, 1, 0), 1);
		turn(&stage);
	}
	await_events(&stage, replies[_i].event);
	ck_assert(http_client_is_open(stage.client));
	teardown(&stage);
}
END_TEST

/* ERR_INVALID is -2, ERR_TOO_LARGE -4. */
static const struct {
	const char *bytes;
	const char *events;
} bad_replies[] = {
	{ "x", "1: -2\nclosed -2\n" },
	{ "HTTP/1.1 200 OK\n\n", "1: -2\nclosed -2\n" },
	{ "HTTP/1.1 2 OK\r\n\r\n", "1: -2\nclosed -2\n" },
	{ "HTTP/1.1 200 OK\r\n\r\nhello", "1: -2\nclosed -2\n" },
	{ "HTTP/1.0 200 OK\r\n\r\nhello", "1: -2\nclosed -2\n" },
	{ "HTTP/1.1 101 Switching\r\n\r\n", "1: -2\nclosed -2\n" },
	{ "HTTP/1.1 100 Continue\r\nContent-Length: 0\r\n\r\n",
	    "1: -2\nclosed -2\n" },
	{ "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n"
	  "Transfer-Encoding: chunked\r\n\r\n",
	    "1: -2\nclosed -2\n" },
	{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n+5\r\n",
	    "1: -2\nclosed -2\n" },
	{ OK(262145), "1: -4\nclosed -4\n" },
	{ OK(99999999999999999999999), "1: -4\nclosed -4\n" },
	{ OK(1) "ab", "1: 200 a\nclosed -2\n" },
	{ OK(0) OK(0), "1: 200 \nclosed -2\n" },
	{ "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\na",
	    "1: 200 a\nclosed\n" },
	{ "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na",
	    "1: 200 a\nclosed\n" },
};

START_TEST(bad_reply)
{
	struct stage stage;

	setup_open(&stage);
	send_request(&stage, 1, HTTP_GET);
	settle(&stage);
	serve(&stage, bad_replies[_i].bytes);
	await_events(&stage, bad_replies[_i].events);
	ck_assert(!http_client_is_open(stage.client));
	ck_assert_uint_eq(http_client_room(stage.client), 0);
	ck_assert_uint_eq(http_client_deadline(stage.client), UINT64_MAX);
	teardown(&stage);
}
END_TEST

static void
serve_filled(struct stage *stage, const char *start, size_t count)
{
	struct buf bytes = { 0 };
	size_t sent = 0;

	buf_append_text(&bytes, start);
	for (size_t i = 0; i < count; i++)
		buf_append_text(&bytes, "a");
	while (sent < bytes.size && stage->events.size == 0) {
		ssize_t size = send(stage->server, bytes.data + sent,
		    bytes.size - sent, MSG_NOSIGNAL);

		turn(stage);
		sent += size > 0 ? (size_t)size : 0;
	}
	buf_release(&bytes);
}

START_TEST(reply_of_the_largest_size)
{
	struct stage stage;

	setup_open(&stage);
	send_request(&stage, 1, HTTP_GET);
	settle(&stage);
	serve_filled(&stage, OK(262144), REPLY_MAX);
	await_events(&stage, "1: 200 (262144)\n");
	teardown(&stage);
}
END_TEST

START_TEST(reply_too_large_in_chunks)
{
	struct stage stage;

	setup_open(&stage);
	send_request(&stage, 1, HTTP_GET);
	settle(&stage);
	serve_filled(&stage,
	    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n100000\r\n",
	    REPLY_MAX + 1);
	await_events(&stage, "1: -4\nclosed -4\n");
	teardown(&stage);
}
END_TEST

START_TEST(reply_head_too_large)
{
	struct stage stage;

	setup_open(&stage);
	send_request(&stage, 1, HTTP_GET);
	settle(&stage);
	serve_filled(&stage, "HTTP/1.1 200 OK\r\nX: ", 20000);
	await_events(&stage, "1: -4\nclosed -4\n");
	teardown(&stage);
}
END_TEST

START_TEST(pipeline)
{
	struct stage stage;

	setup_open(&stage);
	for (unsigned i = 1; i <= 4; i++) {
		ck_assert_uint_eq(http_client_room(stage.client), 5 - i);
		send_request(&stage, i, HTTP_GET);
	}
	ck_assert_uint_eq(http_client_room(stage.client), 0);
	settle(&stage);
	serve(&stage, OK(1) "a" OK(1) "bHTTP/1.1 2");
	await_events(&stage, "1: 200 a\n2: 200 b\n");
	ck_assert_uint_eq(http_client_room(stage.client), 2);
	serve(&stage, "04 \r\n\r\n" OK(1) "d");
	await_events(&stage, "3: 204 \n4: 200 d\n");
	ck_assert_uint_eq(http_client_room(stage.client), 4);
	teardown(&stage);
}
END_TEST

/* What comes before the request has left cannot be its answer. */
START_TEST(answer_before_the_request)
{
	struct stage stage;

	setup_open(&stage);
	send_request(&stage, 1, HTTP_GET);
	serve(&stage, OK(1) "a");
	loop_pass(stage.loop, 0);
	http_client_expire(stage.client, loop_now(stage.loop));
	await_events(&stage, "1: -2 unsent\nclosed -2\n");
	teardown(&stage);
}
END_TEST

START_TEST(bytes_without_a_request)
{
	struct stage stage;

	setup_open(&stage);
	serve(&stage, OK(1) "a");
	await_events(&stage, "closed -2\n");
	teardown(&stage);
}
END_TEST

START_TEST(server_hangs_up)
{
	struct stage stage;

	setup_open(&stage);
	send_request(&stage, 1, HTTP_GET);
	settle(&stage);
	send_request(&stage, 2, HTTP_GET);
	serve(&stage, "HTTP/1.1 200 OK\r\nContent-Le");
	close(stage.server);
	stage.server = -1;
	loop_pass(stage.loop, 0);
	loop_pass(stage.loop, 0);
	await_events(&stage, "1: -15\n2: -15 unsent\nclosed\n");
	teardown(&stage);
}
END_TEST

START_TEST(server_hangs_up_idle)
{
	struct stage stage;

	setup_open(&stage);
	close(stage.server);
	stage.server = -1;
	await_events(&stage, "closed\n");
	teardown(&stage);
}
END_TEST

/* A broken pipe shows in a flush, and is told by the loop or by expire. */
START_TEST(flush_to_a_reset_connection)
{
	struct stage stage;
	struct linger linger = { .l_onoff = 1, .l_linger = 0 };

	setup_open(&stage);
	send_request(&stage, 1, HTTP_GET);
	ck_assert_int_eq(setsockopt(stage.server, SOL_SOCKET, SO_LINGER,
			     &linger, sizeof(linger)),
	    0);
	close(stage.server);
	stage.server = -1;
	http_client_flush(stage.client);
	ck_assert_uint_eq(stage.events.size, 0);
	ck_assert_uint_eq(http_client_deadline(stage.client), 0);
	await_events(&stage, "1: -15 unsent\nclosed\n");
	teardown(&stage);
}
END_TEST

START_TEST(connect_refused)
{
	struct stage stage;

	setup(&stage);
	close(stage.listener);
	stage.listener = -1;
	ck_assert_int_eq(http_client_connect(stage.client, stage.address), 0);
	ck_assert_uint_eq(stage.events.size, 0);
	await_events(&stage, "closed refused\n");
	teardown(&stage);
}
END_TEST

START_TEST(connect_again_from_on_closed)
{
	struct stage stage;

	setup_open(&stage);
	stage.closed_reconnects = true;
	close(stage.server);
	stage.server = -1;
	await_events(&stage, "closed\nopen\n");
	send_request(&stage, 1, HTTP_GET);
	settle(&stage);
	serve(&stage, OK(1) "a");
	await_events(&stage, "1: 200 a\n");
	teardown(&stage);
}
END_TEST

START_TEST(connect_address)
{
	struct stage stage;

	setup(&stage);
	ck_assert_int_eq(
	    http_client_connect(stage.client, "localhost:1"), ERR_INVALID);
	ck_assert_int_eq(http_client_connect(stage.client, ""), ERR_INVALID);
	ck_assert_uint_eq(http_client_deadline(stage.client), UINT64_MAX);
	teardown(&stage);
}
END_TEST

/* ERR_TIMEOUT is -14. A connect that nothing has answered yet. */
START_TEST(connect_timeout)
{
	struct stage stage;
	uint64_t deadline_us;

	setup(&stage);
	ck_assert_int_eq(http_client_connect(stage.client, stage.address), 0);
	deadline_us = http_client_deadline(stage.client);
	ck_assert_uint_ge(deadline_us, loop_now(stage.loop) + 2000000);
	http_client_expire(stage.client, deadline_us - 1);
	ck_assert_uint_eq(stage.events.size, 0);
	http_client_expire(stage.client, deadline_us);
	await_events(&stage, "closed -14\n");
	teardown(&stage);
}
END_TEST

/* One late answer gives up the connection: the others wait behind it. */
START_TEST(reply_timeout)
{
	struct stage stage;

	setup_open(&stage);
	send_request(&stage, 1, HTTP_GET);
	asks[2] = (struct ask){ .stage = &stage, .number = 2 };
	http_client_request(stage.client, HTTP_GET, slice_from_text("/2"),
	    slice_of(NULL, 0), NULL, 0, UINT64_C(1) << 60, on_reply, &asks[2]);
	http_client_flush(stage.client);
	ck_assert_uint_eq(
	    http_client_deadline(stage.client), UINT64_C(1) << 60);
	http_client_expire(stage.client, (UINT64_C(1) << 60) - 1);
	ck_assert_uint_eq(stage.events.size, 0);
	http_client_expire(stage.client, UINT64_C(1) << 60);
	await_events(&stage, "1: -14\n2: -14\nclosed -14\n");
	teardown(&stage);
}
END_TEST

START_TEST(close_tells_the_requests_only)
{
	struct stage stage;

	setup_open(&stage);
	send_request(&stage, 1, HTTP_GET);
	settle(&stage);
	send_request(&stage, 2, HTTP_GET);
	http_client_close(stage.client);
	await_events(&stage, "1: -15\n2: -15 unsent\n");
	settle(&stage);
	await_events(&stage, "");
	teardown(&stage);
}
END_TEST

START_TEST(close_from_a_reply)
{
	struct stage stage;

	setup_open(&stage);
	stage.reply_closes = true;
	send_request(&stage, 1, HTTP_GET);
	send_request(&stage, 2, HTTP_GET);
	settle(&stage);
	serve(&stage, OK(1) "a" OK(1) "b");
	await_events(&stage, "1: 200 a\n2: -15\n");
	settle(&stage);
	await_events(&stage, "");
	teardown(&stage);
}
END_TEST

START_TEST(close_from_an_error)
{
	struct stage stage;

	setup_open(&stage);
	stage.reply_closes = true;
	send_request(&stage, 1, HTTP_GET);
	send_request(&stage, 2, HTTP_GET);
	settle(&stage);
	serve(&stage, "x");
	await_events(&stage, "1: -2\n2: -15\n");
	settle(&stage);
	await_events(&stage, "");
	teardown(&stage);
}
END_TEST

START_TEST(free_from_a_reply)
{
	struct stage stage;

	setup_open(&stage);
	stage.reply_frees = true;
	send_request(&stage, 1, HTTP_GET);
	send_request(&stage, 2, HTTP_GET);
	settle(&stage);
	serve(&stage, OK(1) "a" OK(1) "b");
	await_events(&stage, "1: 200 a\n");
	teardown(&stage);
}
END_TEST

START_TEST(free_from_an_error)
{
	struct stage stage;

	setup_open(&stage);
	stage.reply_frees = true;
	send_request(&stage, 1, HTTP_GET);
	send_request(&stage, 2, HTTP_GET);
	http_client_close(stage.client);
	await_events(&stage, "1: -15 unsent\n");
	teardown(&stage);
}
END_TEST

START_TEST(request_from_a_reply)
{
	struct stage stage;

	setup_open(&stage);
	stage.reply_repeats = true;
	send_request(&stage, 1, HTTP_GET);
	settle(&stage);
	serve(&stage, OK(1) "a");
	await_events(&stage, "1: 200 a\n");
	settle(&stage);
	serve(&stage, OK(1) "b");
	await_events(&stage, "2: 200 b\n");
	teardown(&stage);
}
END_TEST

/* More than the socket takes at once: the rest follows by itself. */
START_TEST(request_larger_than_the_socket)
{
	struct stage stage;
	const size_t size = 8 * 1024 * 1024;
	uint8_t *bytes = calloc(1, size);
	const struct slice body = slice_of(bytes, size);
	uint64_t start_us = clock_monotonic_us();

	setup_open(&stage);
	asks[1] = (struct ask){ .stage = &stage, .number = 1 };
	http_client_request(stage.client, HTTP_PUT, slice_from_text("/1"),
	    slice_of(NULL, 0), &body, 1, UINT64_MAX, on_reply, &asks[1]);
	http_client_flush(stage.client);
	while (stage.requests.size < size &&
	       clock_monotonic_us() - start_us < PATIENCE_US)
		turn(&stage);
	serve(&stage, OK(1) "a");
	await_events(&stage, "1: 200 a\n");
	free(bytes);
	teardown(&stage);
}
END_TEST

Suite *
http_client_suite(void)
{
	Suite *suite = suite_create("http_client");
	TCase *tests = tcase_create("http_client");

	tcase_add_test(tests, request_as_sent);
	tcase_add_test(tests, request_without_body);
	tcase_add_test(tests, output_is_bounded_by_what_is_unsent);
	tcase_add_test(tests, nothing_leaves_before_the_flush);
	tcase_add_loop_test(tests, reply, 0, ARRAY_COUNT(replies));
	tcase_add_loop_test(tests, bad_reply, 0, ARRAY_COUNT(bad_replies));
	tcase_add_test(tests, reply_of_the_largest_size);
	tcase_add_test(tests, reply_too_large_in_chunks);
	tcase_add_test(tests, reply_head_too_large);
	tcase_add_test(tests, pipeline);
	tcase_add_test(tests, answer_before_the_request);
	tcase_add_test(tests, bytes_without_a_request);
	tcase_add_test(tests, server_hangs_up);
	tcase_add_test(tests, server_hangs_up_idle);
	tcase_add_test(tests, flush_to_a_reset_connection);
	tcase_add_test(tests, connect_refused);
	tcase_add_test(tests, connect_again_from_on_closed);
	tcase_add_test(tests, connect_address);
	tcase_add_test(tests, connect_timeout);
	tcase_add_test(tests, reply_timeout);
	tcase_add_test(tests, close_tells_the_requests_only);
	tcase_add_test(tests, close_from_a_reply);
	tcase_add_test(tests, close_from_an_error);
	tcase_add_test(tests, free_from_a_reply);
	tcase_add_test(tests, free_from_an_error);
	tcase_add_test(tests, request_from_a_reply);
	tcase_add_test(tests, request_larger_than_the_socket);
	suite_add_tcase(suite, tests);
	return suite;
}
