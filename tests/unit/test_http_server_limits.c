#include "common/err.h"
#include "common/log.h"
#include "net/http_server.h"
#include "tests/unit/http_probe.h"
#include "tests/unit/suites.h"
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define H      "Host: a\r\n"
#define GET(k) "GET " k " HTTP/1.1\r\n" H "\r\n"

/* The connections that two of the tests open. */
#define CROWD (2 + HTTP_RESERVED_CONNECTIONS)

static void
check_open(int fd)
{
	struct buf nothing = { 0 };

	ck_assert(probe_receive(fd, &nothing));
	ck_assert_uint_eq(nothing.size, 0);
	buf_release(&nothing);
}

/* The answer to what was sent has this status and is the last. */
static void
check_last_answer(struct probe *probe, int fd, unsigned status)
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

static void
send_filled(struct probe *probe, int fd, const char *start, size_t count)
{
	struct buf bytes = { 0 };

	buf_append_text(&bytes, start);
	for (size_t i = 0; i < count; i++)
		buf_append_text(&bytes, "a");
	probe_send(probe, fd, buf_slice(&bytes));
	buf_release(&bytes);
}

START_TEST(limit_target)
{
	struct probe probe;
	int fd;

	probe_start(&probe, &probe_params);
	fd = probe_connect(&probe);
	send_filled(&probe, fd, "GET /", 9000);
	check_last_answer(&probe, fd, 414);
	probe_check_events(&probe, "refused 414 8192 http.max-target-bytes\n");
	probe_stop(&probe);
}
END_TEST

START_TEST(limit_head)
{
	struct probe probe;
	int fd;

	probe_start(&probe, &probe_params);
	fd = probe_connect(&probe);
	send_filled(&probe, fd, "GET / HTTP/1.1\r\n" H "X: ", 17000);
	check_last_answer(&probe, fd, 431);
	probe_check_events(&probe, "refused 431 16384 http.max-head-bytes\n");
	probe_stop(&probe);
}
END_TEST

START_TEST(limit_fields)
{
	struct probe probe;
	int fd;

	probe_start(&probe, &probe_params);
	fd = probe_connect(&probe);
	probe_send_text(&probe, fd, "GET / HTTP/1.1\r\n" H);
	for (unsigned i = 0; i < HTTP_HEADERS_MAX; i++)
		probe_send_text(&probe, fd, "X: a\r\n");
	probe_send_text(&probe, fd, "\r\n");
	check_last_answer(&probe, fd, 431);
	probe_check_events(&probe, "refused 431 64\n");
	probe_stop(&probe);
}
END_TEST

/* The client hears 413 and not "100 Continue", and keeps its body. */
START_TEST(limit_body_by_length)
{
	struct probe probe;
	int fd;

	probe_start(&probe, &probe_params);
	fd = probe_connect(&probe);
	probe_send_text(&probe, fd,
	    "PUT /k HTTP/1.1\r\n" H
	    "Expect: 100-continue\r\nContent-Length: 1048577\r\n\r\n");
	check_last_answer(&probe, fd, 413);
	probe_check_events(&probe, "refused 413 1048576\n");
	probe_stop(&probe);
}
END_TEST

START_TEST(limit_body_in_chunks)
{
	struct probe probe;
	int fd;

	probe_start(&probe, &probe_params);
	fd = probe_connect(&probe);
	probe_send_text(&probe, fd,
	    "PUT /k HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n");
	send_filled(&probe, fd, "100000\r\n", 1048576);
	probe_settle(&probe);
	probe_check_events(&probe, "");
	probe_send_text(&probe, fd, "\r\n1\r\na");
	check_last_answer(&probe, fd, 413);
	probe_check_events(&probe, "refused 413 1048576\n");
	probe_stop(&probe);
}
END_TEST

/*
 * The client goes on sending what nobody wants. Without a lingering close the
 * reset for its bytes would overtake the answer.
 */
START_TEST(refused_answer_survives_the_rest_of_the_body)
{
	struct probe probe;
	int fd;

	probe_start(&probe, &probe_params);
	fd = probe_connect(&probe);
	send_filled(&probe, fd,
	    "PUT /k HTTP/1.1\r\n" H "Content-Length: 3000000\r\n\r\n", 3000000);
	probe_settle(&probe);
	ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
	probe_await_connections(&probe, 0);
	check_last_answer(&probe, fd, 413);
	probe_stop(&probe);
}
END_TEST

START_TEST(linger_ends)
{
	struct probe probe;
	int fd;

	probe_start(&probe, &probe_params);
	fd = probe_connect(&probe);
	probe_send_text(&probe, fd, "x\n");
	probe_settle(&probe);
	ck_assert_uint_eq(http_server_connections(probe.server), 1);
	probe_expire(&probe, http_server_deadline(probe.server) - 1);
	ck_assert_uint_eq(http_server_connections(probe.server), 1);
	probe_expire(&probe, http_server_deadline(probe.server));
	ck_assert_uint_eq(http_server_connections(probe.server), 0);
	check_last_answer(&probe, fd, 400);
	probe_stop(&probe);
}
END_TEST

START_TEST(deadline_idle)
{
	struct probe probe;
	struct buf received = { 0 };
	uint64_t start_us;
	int fd;

	probe_start(&probe, &probe_params);
	fd = probe_connect(&probe);
	start_us = loop_update_now(probe.loop);
	probe_settle(&probe);
	ck_assert_uint_ge(http_server_deadline(probe.server),
	    start_us + probe_params.idle_timeout_us);
	probe_expire(&probe, http_server_deadline(probe.server) - 1);
	check_open(fd);
	probe_expire(&probe, http_server_deadline(probe.server));
	probe_await_end(&probe, fd, &received);
	ck_assert_uint_eq(received.size, 0);
	probe_check_events(&probe, "");
	buf_release(&received);
	probe_stop(&probe);
}
END_TEST

/* Each request begins the time between requests anew. */
START_TEST(deadline_idle_starts_anew)
{
	struct probe probe;
	struct buf received = { 0 };
	uint64_t first_us;
	int fd;

	probe_start(&probe, &probe_params);
	probe.at_once = true;
	fd = probe_connect(&probe);
	probe_settle(&probe);
	first_us = http_server_deadline(probe.server);
	while (loop_update_now(probe.loop) <
	       first_us - probe_params.idle_timeout_us + 1000)
		;
	probe_send_text(&probe, fd, GET("/1"));
	probe_await_text(&probe, fd, &received, "\r\n\r\n/1");
	ck_assert_uint_ge(http_server_deadline(probe.server), first_us + 1000);
	close(fd);
	buf_release(&received);
	probe_stop(&probe);
}
END_TEST

/* L4: one byte after the other does not extend the time for the head. */
START_TEST(deadline_header_is_absolute)
{
	struct probe probe;
	uint64_t deadline_us;
	int fd;

	probe_start(&probe, &probe_params);
	fd = probe_connect(&probe);
	probe_settle(&probe);
	probe_send_text(&probe, fd, "G");
	probe_settle(&probe);
	deadline_us = http_server_deadline(probe.server);
	ck_assert_uint_le(
	    deadline_us, loop_now(probe.loop) + probe_params.header_timeout_us);
	probe_send_text(&probe, fd, "ET / HTTP/1.1\r\nHost: a");
	probe_settle(&probe);
	ck_assert_uint_eq(http_server_deadline(probe.server), deadline_us);
	probe_expire(&probe, deadline_us - 1);
	check_open(fd);
	probe_expire(&probe, deadline_us);
	check_last_answer(&probe, fd, 408);
	probe_check_events(
	    &probe, "refused 408 10000000 http.header-timeout\n");
	probe_stop(&probe);
}
END_TEST

/* Each pipelined request has its own time, although none is ever idle. */
START_TEST(deadline_header_starts_anew)
{
	struct probe probe;
	uint64_t first_us;
	int fd;

	probe_start(&probe, &probe_params);
	probe.at_once = true;
	fd = probe_connect(&probe);
	probe_send_text(&probe, fd, "GET /1 HT");
	probe_settle(&probe);
	first_us = http_server_deadline(probe.server);
	while (loop_update_now(probe.loop) <
	       first_us - probe_params.header_timeout_us + 1000)
		;
	probe_send_text(&probe, fd, "TP/1.1\r\n" H "\r\nGET /2 HT");
	probe_settle(&probe);
	ck_assert_uint_eq(probe.requests, 1);
	ck_assert_uint_ge(http_server_deadline(probe.server), first_us + 1000);
	close(fd);
	probe_stop(&probe);
}
END_TEST

START_TEST(deadline_body_is_absolute)
{
	struct probe probe;
	uint64_t deadline_us;
	int fd;

	probe_start(&probe, &probe_params);
	fd = probe_connect(&probe);
	probe_send_text(
	    &probe, fd, "PUT /k HTTP/1.1\r\n" H "Content-Length: 9\r\n\r\n");
	probe_settle(&probe);
	deadline_us = http_server_deadline(probe.server);
	probe_send_text(&probe, fd, "hello");
	probe_settle(&probe);
	ck_assert_uint_eq(http_server_deadline(probe.server), deadline_us);
	probe_expire(&probe, deadline_us - 1);
	check_open(fd);
	probe_expire(&probe, deadline_us);
	check_last_answer(&probe, fd, 408);
	probe_check_events(&probe, "refused 408 20000000 http.body-timeout\n");
	probe_stop(&probe);
}
END_TEST

/* Whoever answers has a deadline of his own. */
START_TEST(deadline_none_while_pending)
{
	struct probe probe;
	int fd;

	probe_start(&probe, &probe_params);
	probe.hold = true;
	fd = probe_connect(&probe);
	probe_send_text(&probe, fd, GET("/1"));
	probe_settle(&probe);
	ck_assert_uint_eq(http_server_deadline(probe.server), UINT64_MAX);
	close(fd);
	probe_stop(&probe);
}
END_TEST

/* A client that takes nothing, then a little: its time does not begin anew. */
START_TEST(deadline_write_is_absolute)
{
	struct probe probe;
	uint64_t deadline_us;
	uint8_t some[100000];
	int fd;

	probe_start(&probe, &probe_params);
	probe.answer_size = 16 * 1024 * 1024;
	fd = probe_connect(&probe);
	probe_send_text(&probe, fd, GET("/1"));
	probe_settle(&probe);
	deadline_us = http_server_deadline(probe.server);
	ck_assert_uint_le(
	    deadline_us, loop_now(probe.loop) + probe_params.write_timeout_us);
	ck_assert_int_gt(recv(fd, some, sizeof(some), 0), 0);
	probe_settle(&probe);
	ck_assert_uint_eq(http_server_deadline(probe.server), deadline_us);
	probe_expire(&probe, deadline_us - 1);
	ck_assert_uint_eq(http_server_connections(probe.server), 1);
	probe_expire(&probe, deadline_us);
	ck_assert_uint_eq(http_server_connections(probe.server), 0);
	close(fd);
	probe_stop(&probe);
}
END_TEST

/* While an answer is stuck no further request is read: nothing piles up. */
START_TEST(blocked_connection_reads_no_requests)
{
	struct probe probe;
	struct buf received = { 0 };
	int fd;

	probe_start(&probe, &probe_params);
	probe.answer_size = 16 * 1024 * 1024;
	fd = probe_connect(&probe);
	probe_send_text(&probe, fd, GET("/1") GET("/2"));
	probe_settle(&probe);
	ck_assert_uint_eq(probe.requests, 1);
	probe.answer_size = 0;
	probe_await_text(&probe, fd, &received, "\r\n\r\n/2");
	ck_assert_uint_gt(received.size, 16 * 1024 * 1024);
	close(fd);
	buf_release(&received);
	probe_stop(&probe);
}
END_TEST

/* L5: over the limit on unsent bytes it is the slow one that is cut. */
START_TEST(limit_output_cuts_the_slowest)
{
	struct http_server_params params = probe_params;
	struct probe probe;
	struct buf received = { 0 };
	int slow;
	int quick;

	params.output_bytes_max = 24 * 1024 * 1024;
	probe_start(&probe, &params);
	probe.answer_size = 16 * 1024 * 1024;
	slow = probe_connect(&probe);
	probe_send_text(&probe, slow, GET("/slow"));
	probe_settle(&probe);
	ck_assert_uint_eq(http_server_connections(probe.server), 1);
	probe.answer_size = 12 * 1024 * 1024;
	quick = probe_connect(&probe);
	probe_send_text(&probe, quick, GET("/quick"));
	probe_settle(&probe);
	ck_assert_uint_eq(http_server_connections(probe.server), 1);
	while (received.size < probe.answer_size) {
		ck_assert(probe_receive(quick, &received));
		probe_turn(&probe);
	}
	close(slow);
	close(quick);
	buf_release(&received);
	probe_stop(&probe);
}
END_TEST

/* But not for one that has more than the slow one. */
START_TEST(limit_output_cuts_the_larger)
{
	struct http_server_params params = probe_params;
	struct probe probe;
	struct buf received = { 0 };
	int slow;
	int large;

	params.output_bytes_max = 24 * 1024 * 1024;
	probe_start(&probe, &params);
	probe.answer_size = 16 * 1024 * 1024;
	slow = probe_connect(&probe);
	probe_send_text(&probe, slow, GET("/slow"));
	probe_settle(&probe);
	probe.answer_size = 20 * 1024 * 1024;
	large = probe_connect(&probe);
	probe_send_text(&probe, large, GET("/large"));
	probe_await_end(&probe, large, &received);
	ck_assert_uint_eq(received.size, 0);
	ck_assert_uint_eq(http_server_connections(probe.server), 1);
	while (received.size < 16 * 1024 * 1024) {
		ck_assert(probe_receive(slow, &received));
		probe_turn(&probe);
	}
	close(slow);
	buf_release(&received);
	probe_stop(&probe);
}
END_TEST

START_TEST(limit_output_spares_peers)
{
	struct http_server_params params = probe_params;
	struct probe probe;
	struct buf received = { 0 };
	int peer;
	int client;

	params.output_bytes_max = 24 * 1024 * 1024;
	probe_start(&probe, &params);
	probe.answer_size = 16 * 1024 * 1024;
	probe.protecting = true;
	peer = probe_connect(&probe);
	probe_send_text(&probe, peer, GET("/peer"));
	probe_settle(&probe);
	probe.protecting = false;
	client = probe_connect(&probe);
	probe_send_text(&probe, client, GET("/client"));
	probe_await_end(&probe, client, &received);
	ck_assert_uint_eq(received.size, 0);
	while (received.size < 16 * 1024 * 1024) {
		ck_assert(probe_receive(peer, &received));
		probe_turn(&probe);
	}
	close(peer);
	buf_release(&received);
	probe_stop(&probe);
}
END_TEST

static void
send_put(struct probe *probe, int fd, size_t size)
{
	char head[100];

	snprintf(head, sizeof(head),
	    "PUT /k HTTP/1.1\r\n" H "Content-Length: %zu\r\n\r\n", size);
	probe_send_text(probe, fd, head);
	probe_settle(probe);
}

/* What is announced counts, until the answer or the end of the connection. */
START_TEST(limit_input_of_all)
{
	struct http_server_params params = probe_params;
	struct probe probe;
	struct buf received = { 0 };
	int first;
	int second;

	params.input_bytes_max = 10;
	probe_start(&probe, &params);
	probe.hold = true;
	first = probe_connect(&probe);
	send_put(&probe, first, 6);
	second = probe_connect(&probe);
	send_put(&probe, second, 5);
	check_last_answer(&probe, second, 503);
	probe_check_events(&probe, "refused 503 10 http.max-input\n");
	second = probe_connect(&probe);
	send_put(&probe, second, 4);
	close(second);
	second = probe_connect(&probe);
	send_put(&probe, second, 4);
	/* A body that has come is held until its request is answered. */
	probe_send_text(&probe, first, "abcdef");
	send_put(&probe, first, 1);
	ck_assert_uint_eq(probe.pending_count, 1);
	probe_answer(&probe, 0);
	probe_send_text(&probe, second, "1234");
	probe_send_text(&probe, first, "z");
	probe_settle(&probe);
	probe_check_events(&probe, "PUT /k abcdef\nPUT /k 1234\nPUT /k z\n");
	close(first);
	close(second);
	buf_release(&received);
	probe_stop(&probe);
}
END_TEST

/* A body in chunks counts as the largest until its size is known. */
START_TEST(limit_input_in_chunks)
{
	struct http_server_params params = probe_params;
	struct probe probe;
	int chunked;
	int other;

	params.input_bytes_max = PROBE_BODY_MAX;
	probe_start(&probe, &params);
	probe.hold = true;
	chunked = probe_connect(&probe);
	probe_send_text(&probe, chunked,
	    "PUT /c HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n");
	probe_settle(&probe);
	other = probe_connect(&probe);
	send_put(&probe, other, 1);
	check_last_answer(&probe, other, 503);
	probe_send_text(&probe, chunked, "5\r\nhello\r\n0\r\n\r\n");
	probe_settle(&probe);
	other = probe_connect(&probe);
	send_put(&probe, other, PROBE_BODY_MAX - 4);
	check_last_answer(&probe, other, 503);
	other = probe_connect(&probe);
	send_put(&probe, other, PROBE_BODY_MAX - 5);
	check_open(other);
	close(chunked);
	close(other);
	probe_stop(&probe);
}
END_TEST

START_TEST(limit_input_spares_peers)
{
	struct http_server_params params = probe_params;
	struct probe probe;
	struct buf received = { 0 };
	int fd;

	params.input_bytes_max = 1;
	probe_start(&probe, &params);
	probe.protecting = true;
	fd = probe_connect(&probe);
	probe_send_text(&probe, fd, GET("/1"));
	probe_await_text(&probe, fd, &received, "\r\n\r\n/1");
	send_put(&probe, fd, 2);
	probe_send_text(&probe, fd, "ab");
	probe_await_text(&probe, fd, &received, "\r\n\r\nab");
	close(fd);
	buf_release(&received);
	probe_stop(&probe);
}
END_TEST

/* One answer alone may not be over it either. */
START_TEST(limit_output_of_one)
{
	struct http_server_params params = probe_params;
	struct probe probe;
	struct buf received = { 0 };
	int fd;

	params.output_bytes_max = 1000;
	probe_start(&probe, &params);
	probe.answer_size = 1001;
	fd = probe_connect(&probe);
	probe_send_text(&probe, fd, GET("/1"));
	probe_await_end(&probe, fd, &received);
	ck_assert_uint_eq(received.size, 0);
	buf_release(&received);
	probe_stop(&probe);
}
END_TEST

/* What a client sends ahead while it waits is kept within a bound. */
START_TEST(limit_input_while_pending)
{
	struct probe probe;
	uint8_t bytes[65536] = { 'G' };
	uint64_t sent = 0;
	unsigned refusals = 0;
	int fd;

	probe_start(&probe, &probe_params);
	probe.hold = true;
	fd = probe_connect(&probe);
	probe_send_text(&probe, fd, GET("/1"));
	while (refusals < 20) {
		ssize_t size = send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL);

		probe_turn(&probe);
		refusals = size < 0 ? refusals + 1 : 0;
		sent += size < 0 ? 0 : (uint64_t)size;
		ck_assert_uint_lt(sent, UINT64_C(256) * 1024 * 1024);
	}
	ck_assert_int_eq(errno, EAGAIN);
	close(fd);
	probe_stop(&probe);
}
END_TEST

/* Above the limit only what is reserved is served. */
START_TEST(limit_connections)
{
	struct http_server_params params = probe_params;
	struct probe probe;
	struct buf received = { 0 };
	int fds[4];

	params.connections_max = 2;
	probe_start(&probe, &params);
	for (unsigned i = 0; i < 4; i++) {
		fds[i] = probe_connect(&probe);
		probe_settle(&probe);
	}
	probe_send_text(&probe, fds[2], GET("/1"));
	check_last_answer(&probe, fds[2], 503);
	probe_check_events(&probe, "refused 503 2 http.max-connections\n");
	probe_send_text(&probe, fds[3], GET("/reserved"));
	probe_await_text(&probe, fds[3], &received, "\r\n\r\n/reserved");
	probe_send_text(&probe, fds[3], GET("/1"));
	check_last_answer(&probe, fds[3], 503);
	buf_release(&received);
	close(fds[0]);
	close(fds[1]);
	probe_stop(&probe);
}
END_TEST

/* When others have gone, a connection above the limit is one below it. */
START_TEST(limit_connections_forgives)
{
	struct http_server_params params = probe_params;
	struct probe probe;
	struct buf received = { 0 };
	int first;
	int second;

	params.connections_max = 1;
	probe_start(&probe, &params);
	first = probe_connect(&probe);
	probe_settle(&probe);
	second = probe_connect(&probe);
	probe_settle(&probe);
	close(first);
	probe_settle(&probe);
	probe_send_text(&probe, second, GET("/1"));
	probe_await_text(&probe, second, &received, "\r\n\r\n/1");
	close(second);
	buf_release(&received);
	probe_stop(&probe);
}
END_TEST

/* Above the limit nobody sits silent for the time of an idle connection. */
START_TEST(limit_connections_shortens_idle)
{
	struct http_server_params params = probe_params;
	struct probe probe;
	struct buf received = { 0 };
	int fd;

	params.connections_max = 0;
	probe_start(&probe, &params);
	fd = probe_connect(&probe);
	probe_settle(&probe);
	ck_assert_uint_le(http_server_deadline(probe.server),
	    loop_now(probe.loop) + params.header_timeout_us);
	probe_expire(&probe, http_server_deadline(probe.server));
	probe_await_end(&probe, fd, &received);
	ck_assert_uint_eq(received.size, 0);
	buf_release(&received);
	probe_stop(&probe);
}
END_TEST

/* L3: a flood of clients cannot keep a peer out, nor push one out. */
START_TEST(reserved_places_are_for_peers)
{
	struct http_server_params params = probe_params;
	struct probe probe;
	struct buf received = { 0 };
	int fds[CROWD];
	int late;

	params.connections_max = 2;
	probe_start(&probe, &params);
	for (unsigned i = 0; i < CROWD; i++) {
		fds[i] = probe_connect(&probe);
		probe_settle(&probe);
	}
	ck_assert_uint_eq(http_server_connections(probe.server), CROWD);
	late = probe_connect(&probe);
	probe_settle(&probe);
	ck_assert_uint_eq(http_server_connections(probe.server), CROWD);
	probe_send_text(&probe, late, GET("/reserved"));
	probe_await_text(&probe, late, &received, "\r\n\r\n/reserved");
	/* The oldest above the limit had to go; those below stay. */
	check_open(fds[0]);
	check_open(fds[1]);
	ck_assert(!probe_receive(fds[2], &received));
	check_open(fds[3]);
	for (unsigned i = 0; i < CROWD; i++)
		close(fds[i]);
	close(late);
	buf_release(&received);
	probe_stop(&probe);
}
END_TEST

/* However many peers there are, all clients find their places, and a flood of
 * clients takes none from a peer. */
START_TEST(peers_take_no_places)
{
	struct http_server_params params = probe_params;
	struct probe probe;
	struct buf received = { 0 };
	int peers[CROWD];
	int clients[CROWD];

	params.connections_max = 1;
	probe_start(&probe, &params);
	probe.protecting = true;
	for (unsigned i = 0; i < CROWD; i++) {
		peers[i] = probe_connect(&probe);
		probe_send_text(&probe, peers[i], GET("/reserved"));
		probe_settle(&probe);
	}
	probe.protecting = false;
	for (unsigned i = 0; i < CROWD; i++) {
		clients[i] = probe_connect(&probe);
		probe_settle(&probe);
	}
	ck_assert_uint_eq(http_server_connections(probe.server),
	    CROWD + 1 + HTTP_RESERVED_CONNECTIONS);
	probe_send_text(&probe, clients[0], GET("/client"));
	probe_await_text(&probe, clients[0], &received, "\r\n\r\n/client");
	probe_send_text(&probe, peers[0], GET("/forwarded"));
	probe_await_text(&probe, peers[0], &received, "\r\n\r\n/forwarded");
	for (unsigned i = 0; i < CROWD; i++) {
		close(peers[i]);
		close(clients[i]);
	}
	probe_await_connections(&probe, 0);
	buf_release(&received);
	probe_stop(&probe);
}
END_TEST

/* Out of file descriptors: a pause, no busy loop, and everybody gets in. */
START_TEST(accept_pauses_without_descriptors)
{
	struct probe probe;
	struct rlimit saved;
	struct rlimit none;
	struct buf received = { 0 };
	uint64_t deadline_us;
	int fd;

	log_init(LOG_LEVEL_ERR, LOG_FORMAT_TEXT);
	probe_start(&probe, &probe_params);
	fd = probe_connect(&probe);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &saved), 0);
	none = saved;
	none.rlim_cur = (rlim_t)fd;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	probe_settle(&probe);
	ck_assert_uint_eq(http_server_connections(probe.server), 0);
	deadline_us = http_server_deadline(probe.server);
	ck_assert_uint_gt(deadline_us, loop_now(probe.loop));
	ck_assert_uint_le(deadline_us, loop_now(probe.loop) + 1000000);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &saved), 0);
	probe_expire(&probe, deadline_us);
	probe_send_text(&probe, fd, GET("/1"));
	probe_await_text(&probe, fd, &received, "\r\n\r\n/1");
	close(fd);
	buf_release(&received);
	probe_stop(&probe);
}
END_TEST

static void
check_connect_refused(uint16_t port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_eq(connect(fd, (void *)&address, sizeof(address)), -1);
	ck_assert_int_eq(errno, ECONNREFUSED);
	close(fd);
}

START_TEST(drain)
{
	struct probe probe;
	struct buf received = { 0 };
	uint16_t port;
	int idle;
	int busy;
	int partial;
	int body;

	probe_start(&probe, &probe_params);
	probe.hold = true;
	port = http_server_port(probe.server);
	idle = probe_connect(&probe);
	busy = probe_connect(&probe);
	partial = probe_connect(&probe);
	body = probe_connect(&probe);
	probe_send_text(&probe, busy, GET("/1"));
	probe_send_text(&probe, partial, "PUT /2 HTTP/1.1\r\n" H);
	probe_send_text(
	    &probe, body, "PUT /3 HTTP/1.1\r\n" H "Content-Length: 1\r\n\r\n");
	probe_settle(&probe);
	http_server_drain(probe.server);
	check_connect_refused(port);
	probe_await_end(&probe, idle, &received);
	probe_await_end(&probe, partial, &received);
	ck_assert_uint_eq(received.size, 0);
	check_open(busy);
	probe.hold = false;
	check_last_answer(&probe, busy, 200);
	probe_send_text(&probe, body, "a");
	check_last_answer(&probe, body, 200);
	ck_assert_uint_eq(http_server_connections(probe.server), 0);
	buf_release(&received);
	probe_stop(&probe);
}
END_TEST

/* An answer that the socket has not taken is no idle connection. */
START_TEST(drain_of_unsent_answers)
{
	struct probe probe;
	struct buf received = { 0 };
	int fd;

	probe_start(&probe, &probe_params);
	probe.answer_size = 16 * 1024 * 1024;
	fd = probe_connect(&probe);
	probe_send_text(&probe, fd, GET("/1"));
	probe_settle(&probe);
	http_server_drain(probe.server);
	probe_await_end(&probe, fd, &received);
	ck_assert_uint_gt(received.size, probe.answer_size);
	ck_assert_uint_eq(http_server_connections(probe.server), 0);
	buf_release(&received);
	probe_stop(&probe);
}
END_TEST

START_TEST(drain_of_unflushed_answers)
{
	struct probe probe;
	struct buf received = { 0 };
	int fd;

	probe_start(&probe, &probe_params);
	probe.hold = true;
	fd = probe_connect(&probe);
	probe_send_text(&probe, fd, GET("/1"));
	probe_settle(&probe);
	probe_answer(&probe, 0);
	http_server_drain(probe.server);
	probe_await_end(&probe, fd, &received);
	ck_assert_uint_eq(probe_count(&received, "\r\n\r\n/1"), 1);
	buf_release(&received);
	probe_stop(&probe);
}
END_TEST

START_TEST(listen_errors)
{
	struct probe probe;
	char address[32];

	probe_start(&probe, &probe_params);
	ck_assert_int_eq(
	    http_server_listen(probe.server, "localhost:0"), ERR_INVALID);
	snprintf(address, sizeof(address), "127.0.0.1:%u",
	    (unsigned)http_server_port(probe.server));
	ck_assert_int_eq(http_server_listen(probe.server, address), ERR_LOCKED);
	ck_assert_int_eq(
	    http_server_listen(probe.server, "203.0.113.1:0"), ERR_IO);
	probe_stop(&probe);
}
END_TEST

Suite *
http_server_limits_suite(void)
{
	Suite *suite = suite_create("http_server_limits");
	TCase *tests = tcase_create("http_server_limits");

	tcase_add_test(tests, limit_target);
	tcase_add_test(tests, limit_head);
	tcase_add_test(tests, limit_fields);
	tcase_add_test(tests, limit_body_by_length);
	tcase_add_test(tests, limit_body_in_chunks);
	tcase_add_test(tests, refused_answer_survives_the_rest_of_the_body);
	tcase_add_test(tests, linger_ends);
	tcase_add_test(tests, deadline_idle);
	tcase_add_test(tests, deadline_idle_starts_anew);
	tcase_add_test(tests, deadline_header_is_absolute);
	tcase_add_test(tests, deadline_header_starts_anew);
	tcase_add_test(tests, deadline_body_is_absolute);
	tcase_add_test(tests, deadline_none_while_pending);
	tcase_add_test(tests, deadline_write_is_absolute);
	tcase_add_test(tests, blocked_connection_reads_no_requests);
	tcase_add_test(tests, limit_output_cuts_the_slowest);
	tcase_add_test(tests, limit_output_cuts_the_larger);
	tcase_add_test(tests, limit_output_spares_peers);
	tcase_add_test(tests, limit_input_of_all);
	tcase_add_test(tests, limit_input_in_chunks);
	tcase_add_test(tests, limit_input_spares_peers);
	tcase_add_test(tests, limit_output_of_one);
	tcase_add_test(tests, limit_input_while_pending);
	tcase_add_test(tests, limit_connections);
	tcase_add_test(tests, limit_connections_forgives);
	tcase_add_test(tests, limit_connections_shortens_idle);
	tcase_add_test(tests, reserved_places_are_for_peers);
	tcase_add_test(tests, peers_take_no_places);
	tcase_add_test(tests, accept_pauses_without_descriptors);
	tcase_add_test(tests, drain);
	tcase_add_test(tests, drain_of_unsent_answers);
	tcase_add_test(tests, drain_of_unflushed_answers);
	tcase_add_test(tests, listen_errors);
	suite_add_tcase(suite, tests);
	return suite;
}
