#include "common/err.h"
#include "net/http_server_impl.h"
#include "tests/unit/http_cases.h"
#include "tests/unit/http_probe.h"
#include "tests/unit/suites.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define H        "Host: a\r\n"
#define GET(k)   "GET " k " HTTP/1.1\r\n" H "\r\n"
#define CHUNKED  "PUT /k HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"
#define CONTINUE "HTTP/1.1 100 Continue\r\n\r\n"

/* A probe, one client and what that client has received. */
struct session {
	struct probe probe;
	int fd;
	struct buf received;
};

static void
begin(struct session *session)
{
	*session = (struct session){ .fd = -1 };
	probe_start(&session->probe, &probe_params);
	session->fd = probe_connect(&session->probe);
}

static void
end(struct session *session)
{
	close(session->fd);
	probe_settle(&session->probe);
	ck_assert_uint_eq(http_server_connections(session->probe.server), 0);
	probe_stop(&session->probe);
	buf_release(&session->received);
}

static void
say(struct session *session, const char *text)
{
	probe_send_text(&session->probe, session->fd, text);
}

static void
hear(struct session *session, const char *text)
{
	probe_await_text(
	    &session->probe, session->fd, &session->received, text);
}

/* The server closes; what was heard until then stays in `received`. */
static void
hear_end(struct session *session)
{
	probe_await_end(&session->probe, session->fd, &session->received);
	session->fd = probe_connect(&session->probe);
}

/* Nothing but what was heard so far has arrived. */
static void
hear_nothing(struct session *session)
{
	size_t size = session->received.size;

	probe_settle(&session->probe);
	ck_assert(probe_receive(session->fd, &session->received));
	ck_assert_uint_eq(session->received.size, size);
}

/*
 * One refusal: this status and the end, whatever followed; nobody saw a
 * request.
 */
static void
check_refused(struct session *session, const char *name, unsigned status)
{
	char line[32];
	const struct buf *received = &session->received;

	snprintf(line, sizeof(line), "HTTP/1.1 %u ", status);
	hear_end(session);
	ck_assert_msg(received->size >= strlen(line) &&
			  memcmp(received->data, line, strlen(line)) == 0,
	    "%s: %.*s", name, (int)received->size,
	    (const char *)received->data);
	ck_assert_msg(probe_count(received, "\r\nDate: ") == 1, "%s", name);
	ck_assert_msg(probe_count(received, "\r\nConnection: close\r\n") == 1,
	    "%s", name);
	ck_assert_msg(session->probe.requests == 0, "%s", name);
}

/* The whole in one piece, then byte by byte. */
static void
check_refused_both_ways(const char *name, struct slice bytes, unsigned status)
{
	struct session session;

	begin(&session);
	probe_send(&session.probe, session.fd, bytes);
	check_refused(&session, name, status);
	buf_reset(&session.received);
	for (size_t i = 0; i < bytes.size; i++)
		probe_send(
		    &session.probe, session.fd, slice_of(bytes.data + i, 1));
	check_refused(&session, name, status);
	end(&session);
}

START_TEST(refused_head)
{
	const struct http_case *row = &refused_heads[_i];

	check_refused_both_ways(
	    row->name, row->bytes, probe_refusal_status(row->refusal));
}
END_TEST

START_TEST(refused_chunk)
{
	const struct http_case *row = &refused_chunks[_i];
	struct buf request = { 0 };

	buf_append_text(&request, CHUNKED);
	buf_append_slice(&request, row->bytes);
	check_refused_both_ways(row->name, buf_slice(&request), 400);
	buf_release(&request);
}
END_TEST

START_TEST(answer_is_whole)
{
	struct session session;
	static const char expected[] =
	    "X-Test: yes\r\nContent-Length: 2\r\n\r\n/k";

	begin(&session);
	say(&session, GET("/k?q"));
	hear(&session, expected);
	ck_assert_uint_eq(
	    probe_count(&session.received, "HTTP/1.1 200 OK\r\nDate: "), 1);
	ck_assert_uint_eq(probe_count(&session.received, " GMT\r\n"), 1);
	ck_assert_uint_eq(probe_count(&session.received, "Connection:"), 0);
	probe_check_events(&session.probe, "GET /k?q\n");
	end(&session);
}
END_TEST

START_TEST(keep_alive)
{
	struct session session;

	begin(&session);
	say(&session, GET("/1"));
	hear(&session, "\r\n\r\n/1");
	say(&session, GET("/2"));
	hear(&session, "\r\n\r\n/2");
	probe_check_events(&session.probe, "GET /1\nGET /2\n");
	ck_assert_uint_eq(http_server_connections(session.probe.server), 1);
	end(&session);
}
END_TEST

START_TEST(client_asks_for_the_end)
{
	struct session session;

	begin(&session);
	say(&session,
	    "GET /1 HTTP/1.1\r\n" H "Connection: close\r\n\r\n" GET("/2"));
	hear_end(&session);
	ck_assert_uint_eq(
	    probe_count(&session.received, "Connection: close\r\n"), 1);
	probe_check_events(&session.probe, "GET /1\n");
	end(&session);
}
END_TEST

START_TEST(handler_asks_for_the_end)
{
	struct session session;

	begin(&session);
	say(&session, GET("/close") GET("/2"));
	hear_end(&session);
	ck_assert_uint_eq(
	    probe_count(&session.received, "Connection: close\r\n"), 1);
	probe_check_events(&session.probe, "GET /close\n");
	end(&session);
}
END_TEST

START_TEST(http_1_0_closes)
{
	struct session session;

	begin(&session);
	say(&session, "GET /1 HTTP/1.0\r\n\r\n");
	hear_end(&session);
	ck_assert_uint_eq(
	    probe_count(&session.received, "Connection: close\r\n"), 1);
	end(&session);
}
END_TEST

START_TEST(http_1_0_keep_alive)
{
	struct session session;

	begin(&session);
	say(&session, "GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	hear(&session, "Connection: keep-alive\r\n\r\n/1");
	say(&session, GET("/2"));
	hear(&session, "\r\n\r\n/2");
	end(&session);
}
END_TEST

START_TEST(absolute_form)
{
	struct session session;

	begin(&session);
	say(&session, "GET http://a:5864/k?q HTTP/1.1\r\n" H "\r\n");
	hear(&session, "\r\n\r\n/k");
	probe_check_events(&session.probe, "GET /k?q\n");
	end(&session);
}
END_TEST

START_TEST(empty_line_between_requests)
{
	struct session session;

	begin(&session);
	say(&session, GET("/1") "\r\n" GET("/2"));
	hear(&session, "\r\n\r\n/2");
	end(&session);
}
END_TEST

START_TEST(head_has_no_body)
{
	struct session session;

	begin(&session);
	say(&session, "HEAD /four HTTP/1.1\r\n" H "\r\n" GET("/2"));
	hear(&session, "\r\n\r\n/2");
	ck_assert_uint_eq(probe_count(&session.received,
			      "Content-Length: 5\r\n\r\nHTTP/1.1 200"),
	    1);
	end(&session);
}
END_TEST

static const struct {
	unsigned status;
	const char *line;
} bodyless[] = {
	{ 204, "HTTP/1.1 204 No Content\r\n" },
	{ 304, "HTTP/1.1 304 Not Modified\r\n" },
};

START_TEST(status_without_body)
{
	struct session session;

	begin(&session);
	session.probe.status = bodyless[_i].status;
	say(&session, GET("/1"));
	hear(&session, "X-Test: yes\r\n\r\n");
	hear_nothing(&session);
	ck_assert_uint_eq(probe_count(&session.received, bodyless[_i].line), 1);
	ck_assert_uint_eq(probe_count(&session.received, "Content-Length"), 0);
	end(&session);
}
END_TEST

static void
check_order(const struct buf *bytes, const char *first, const char *second)
{
	const uint8_t *one =
	    memmem(bytes->data, bytes->size, first, strlen(first));
	const uint8_t *two =
	    memmem(bytes->data, bytes->size, second, strlen(second));

	ck_assert_ptr_nonnull(one);
	ck_assert_ptr_nonnull(two);
	ck_assert(one < two);
}

/* One request under way: the second is read when the first has its answer. */
START_TEST(client_pipeline_one_by_one)
{
	struct session session;

	begin(&session);
	session.probe.hold = true;
	say(&session, GET("/1") GET("/2") GET("/3"));
	probe_settle(&session.probe);
	probe_check_events(&session.probe, "GET /1\n");
	probe_answer(&session.probe, 0);
	ck_assert_uint_eq(http_server_deadline(session.probe.server), 0);
	probe_settle(&session.probe);
	probe_check_events(&session.probe, "GET /2\n");
	session.probe.hold = false;
	hear(&session, "\r\n\r\n/3");
	ck_assert_uint_eq(probe_count(&session.received, "HTTP/1.1 200"), 3);
	end(&session);
}
END_TEST

/* Answers from within on_request do not pile up on the stack or in turns. */
START_TEST(client_pipeline_answered_at_once)
{
	struct session session;
	struct buf requests = { 0 };

	begin(&session);
	session.probe.at_once = true;
	for (unsigned i = 0; i < 500; i++)
		buf_append_text(&requests, GET("/1"));
	buf_append_text(&requests, GET("/last"));
	probe_send(&session.probe, session.fd, buf_slice(&requests));
	hear(&session, "\r\n\r\n/last");
	ck_assert_uint_eq(probe_count(&session.received, "HTTP/1.1 200"), 501);
	buf_release(&requests);
	end(&session);
}
END_TEST

START_TEST(peer_pipeline_keeps_the_order)
{
	struct session session;

	begin(&session);
	session.probe.pipelining = true;
	session.probe.hold = true;
	say(&session, GET("/1") GET("/2") GET("/3"));
	probe_settle(&session.probe);
	ck_assert_uint_eq(session.probe.pending_count, 3);
	probe_answer(&session.probe, 2);
	probe_answer(&session.probe, 1);
	hear_nothing(&session);
	probe_answer(&session.probe, 0);
	hear(&session, "\r\n\r\n/3");
	check_order(&session.received, "/1", "/2");
	end(&session);
}
END_TEST

START_TEST(peer_pipeline_max)
{
	struct session session;

	begin(&session);
	session.probe.pipelining = true;
	session.probe.hold = true;
	for (unsigned i = 0; i < HTTP_PIPELINE_MAX + 5; i++)
		say(&session, GET("/1"));
	probe_settle(&session.probe);
	ck_assert_uint_eq(session.probe.requests, HTTP_PIPELINE_MAX);
	probe_answer(&session.probe, 0);
	probe_settle(&session.probe);
	ck_assert_uint_eq(session.probe.requests, HTTP_PIPELINE_MAX + 1);
	end(&session);
}
END_TEST

/* A refused request behind others: theirs are answered first. */
START_TEST(peer_pipeline_refused_in_order)
{
	struct session session;

	begin(&session);
	session.probe.pipelining = true;
	session.probe.hold = true;
	say(&session, GET("/1") "GET / HTTP/1.1\r\n\r\n" GET("/3"));
	probe_settle(&session.probe);
	hear_nothing(&session);
	probe_answer(&session.probe, 0);
	hear_end(&session);
	check_order(&session.received, " 200 ", " 400 ");
	probe_check_events(&session.probe, "GET /1\nrefused 400\n");
	end(&session);
}
END_TEST

/* The first answer says close: nobody waits for the others. */
START_TEST(peer_pipeline_ended_by_its_first)
{
	struct session session;

	begin(&session);
	session.probe.pipelining = true;
	session.probe.hold = true;
	say(&session, GET("/close") GET("/2") GET("/3"));
	probe_settle(&session.probe);
	probe_answer(&session.probe, 1);
	probe_answer(&session.probe, 0);
	probe_answer(&session.probe, 0);
	hear_end(&session);
	ck_assert_uint_eq(probe_count(&session.received, "HTTP/1.1 200"), 1);
	ck_assert_uint_eq(session.probe.abandoned, 0);
	end(&session);
}
END_TEST

START_TEST(body_by_length)
{
	struct session session;

	begin(&session);
	say(&session, "PUT /k HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhel");
	probe_settle(&session.probe);
	ck_assert_uint_eq(session.probe.requests, 0);
	say(&session, "lo" GET("/2"));
	hear(&session, "\r\n\r\n/2");
	probe_check_events(&session.probe, "PUT /k hello\nGET /2\n");
	end(&session);
}
END_TEST

START_TEST(body_without_length_is_empty)
{
	struct session session;

	begin(&session);
	say(&session, "POST /k HTTP/1.1\r\n" H "\r\n");
	hear(&session, "\r\n\r\n/k");
	probe_check_events(&session.probe, "POST /k\n");
	end(&session);
}
END_TEST

START_TEST(body_in_chunks)
{
	struct session session;

	begin(&session);
	say(&session,
	    CHUNKED "3;x\r\nhel\r\n2\r\nlo\r\n0\r\nX: y\r\n\r\n" GET("/2"));
	hear(&session, "\r\n\r\n/2");
	probe_check_events(&session.probe, "PUT /k hello\nGET /2\n");
	end(&session);
}
END_TEST

static void
fill(struct buf *bytes, size_t size)
{
	uint8_t *data = buf_reserve(bytes, size);

	for (size_t i = 0; i < size; i++)
		data[i] = (uint8_t)('a' + i * 7 % 26);
	bytes->size += size;
}

/* Many reads and many writes: the answer repeats the body. */
static void
check_large_body(const char *head, const char *tail)
{
	struct session session;
	struct buf request = { 0 };
	const uint8_t *body;
	size_t head_size;

	begin(&session);
	buf_append_text(&request, head);
	fill(&request, PROBE_BODY_MAX);
	buf_append_text(&request, tail);
	probe_send(&session.probe, session.fd, buf_slice(&request));
	hear(&session, "\r\n\r\n");
	body =
	    memmem(session.received.data, session.received.size, "\r\n\r\n", 4);
	head_size = (size_t)(body - session.received.data) + 4;
	probe_await_size(&session.probe, session.fd, &session.received,
	    head_size + PROBE_BODY_MAX);
	ck_assert(memcmp(session.received.data + session.received.size -
			     PROBE_BODY_MAX,
		      request.data + strlen(head), PROBE_BODY_MAX) == 0);
	buf_release(&request);
	end(&session);
}

START_TEST(body_large_by_length)
{
	check_large_body(
	    "PUT /k HTTP/1.1\r\n" H "Content-Length: 1048576\r\n\r\n", "");
}
END_TEST

START_TEST(body_large_in_chunks)
{
	check_large_body(CHUNKED "100000\r\n", "\r\n0\r\n\r\n");
}
END_TEST

/* It leaves at once, without a flush: the client waits for it. */
START_TEST(continue_at_once)
{
	struct session session;

	begin(&session);
	say(&session, "PUT /k HTTP/1.1\r\n" H
		      "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n");
	loop_pass(session.probe.loop, 0);
	loop_pass(session.probe.loop, 0);
	ck_assert(probe_receive(session.fd, &session.received));
	ck_assert(slice_equal(
	    buf_slice(&session.received), slice_from_text(CONTINUE)));
	say(&session, "hello");
	hear(&session, "\r\n\r\nhello");
	ck_assert_uint_eq(probe_count(&session.received, "HTTP/1.1 "), 2);
	end(&session);
}
END_TEST

START_TEST(continue_is_needless)
{
	struct session session;

	begin(&session);
	say(&session, "PUT /k HTTP/1.1\r\n" H
		      "Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello");
	hear(&session, "\r\n\r\nhello");
	say(&session, "PUT /k HTTP/1.1\r\n" H "Expect: 100-continue\r\n\r\n");
	hear(&session, "\r\n\r\n/k");
	ck_assert_uint_eq(probe_count(&session.received, "HTTP/1.1 100"), 0);
	end(&session);
}
END_TEST

/* Behind the answers to older requests, which it must not overtake. */
START_TEST(continue_in_order)
{
	struct session session;

	begin(&session);
	session.probe.pipelining = true;
	session.probe.hold = true;
	say(&session,
	    GET("/1") "PUT /2 HTTP/1.1\r\n" H "Expect: 100-continue\r\n"
		      "Content-Length: 5\r\n\r\n");
	hear_nothing(&session);
	session.probe.hold = false;
	hear(&session, "\r\n\r\n/1" CONTINUE);
	say(&session, "hello");
	hear(&session, "\r\n\r\nhello");
	end(&session);
}
END_TEST

/* An answer that is not flushed yet must not leave with it. */
START_TEST(continue_waits_for_the_flush_of_answers)
{
	static const char requests[] =
	    GET("/2") "PUT /3 HTTP/1.1\r\n" H
		      "Expect: 100-continue\r\nContent-Length: 1\r\n\r\n";
	struct session session;

	begin(&session);
	session.probe.at_once = true;
	say(&session, GET("/1"));
	hear(&session, "\r\n\r\n/1");
	buf_reset(&session.received);
	ck_assert_int_eq(
	    send(session.fd, requests, sizeof(requests) - 1, MSG_NOSIGNAL),
	    sizeof(requests) - 1);
	loop_pass(session.probe.loop, 0);
	ck_assert(probe_receive(session.fd, &session.received));
	ck_assert_uint_eq(session.received.size, 0);
	hear(&session, "\r\n\r\n/2" CONTINUE);
	end(&session);
}
END_TEST

START_TEST(nothing_leaves_before_the_flush)
{
	struct session session;

	begin(&session);
	session.probe.hold = true;
	say(&session, GET("/1"));
	probe_settle(&session.probe);
	probe_answer(&session.probe, 0);
	loop_pass(session.probe.loop, 0);
	http_server_expire(session.probe.server, loop_now(session.probe.loop));
	ck_assert(probe_receive(session.fd, &session.received));
	ck_assert_uint_eq(session.received.size, 0);
	http_server_flush(session.probe.server);
	ck_assert(probe_receive(session.fd, &session.received));
	ck_assert_uint_gt(session.received.size, 0);
	end(&session);
}
END_TEST

/* It may have closed one half only; a peer never does. */
START_TEST(abandoned_by_close_of_a_peer)
{
	struct session session;

	begin(&session);
	session.probe.hold = true;
	session.probe.protecting = true;
	say(&session, GET("/1"));
	probe_settle(&session.probe);
	close(session.fd);
	probe_settle(&session.probe);
	probe_check_events(&session.probe, "GET /1\nabandoned /1\n");
	ck_assert_uint_eq(http_server_connections(session.probe.server), 0);
	session.fd = probe_connect(&session.probe);
	end(&session);
}
END_TEST

START_TEST(abandoned_by_reset)
{
	struct session session;
	struct linger linger = { .l_onoff = 1, .l_linger = 0 };

	begin(&session);
	session.probe.hold = true;
	session.probe.pipelining = true;
	say(&session, GET("/1") GET("/2") "GET /par");
	probe_settle(&session.probe);
	ck_assert_int_eq(setsockopt(session.fd, SOL_SOCKET, SO_LINGER, &linger,
			     sizeof(linger)),
	    0);
	close(session.fd);
	probe_settle(&session.probe);
	probe_check_events(
	    &session.probe, "GET /1\nGET /2\nabandoned /1\nabandoned /2\n");
	session.fd = probe_connect(&session.probe);
	end(&session);
}
END_TEST

START_TEST(abandoned_by_the_end_of_the_server)
{
	struct session session;

	begin(&session);
	session.probe.hold = true;
	say(&session, GET("/1"));
	probe_settle(&session.probe);
	http_server_free(session.probe.server);
	probe_check_events(&session.probe, "GET /1\nabandoned /1\n");
	session.probe.server = NULL;
	close(session.fd);
	probe_stop(&session.probe);
}
END_TEST

/* A body that stops in the middle was no request: nobody is told. */
START_TEST(abandoned_in_the_body)
{
	struct session session;

	begin(&session);
	say(&session, CHUNKED "5\r\nhel");
	close(session.fd);
	probe_settle(&session.probe);
	probe_check_events(&session.probe, "");
	ck_assert_uint_eq(http_server_connections(session.probe.server), 0);
	session.fd = probe_connect(&session.probe);
	end(&session);
}
END_TEST

/* The answer is there before the end of the client's stream is seen. */
START_TEST(half_closed_client_gets_its_answer)
{
	struct session session;

	begin(&session);
	session.probe.at_once = true;
	say(&session, GET("/1"));
	shutdown(session.fd, SHUT_WR);
	hear_end(&session);
	ck_assert_uint_eq(probe_count(&session.received, "\r\n\r\n/1"), 1);
	end(&session);
}
END_TEST

/* RFC 9112, section 9.6: and every whole request of its pipeline is answered,
 * the last with "close" if nothing else came. */
START_TEST(half_closed_client_waits_for_its_answers)
{
	struct session session;

	begin(&session);
	session.probe.hold = true;
	say(&session,
	    _i == 0 ? GET("/1") GET("/2") : GET("/1") GET("/2") "GET /par");
	shutdown(session.fd, SHUT_WR);
	probe_settle(&session.probe);
	probe_check_events(&session.probe, "GET /1\n");
	probe_answer(&session.probe, 0);
	probe_settle(&session.probe);
	probe_check_events(&session.probe, "GET /2\n");
	ck_assert_uint_eq(http_server_connections(session.probe.server), 1);
	probe_answer(&session.probe, 0);
	hear_end(&session);
	ck_assert_uint_eq(probe_count(&session.received, "\r\n\r\n/1"), 1);
	ck_assert_uint_eq(probe_count(&session.received, "\r\n\r\n/2"), 1);
	ck_assert_uint_eq(
	    probe_count(&session.received, "Connection: close\r\n"), 1 - _i);
	probe_check_events(&session.probe, "");
	ck_assert_uint_eq(http_server_connections(session.probe.server), 0);
	end(&session);
}
END_TEST

/* What will never be a whole request keeps no connection. */
START_TEST(half_closed_client_without_a_request_is_closed)
{
	static const char *const texts[] = { "", "GET /par", CHUNKED "5\r\nhel",
		"PUT /k HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel" };

	for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
		struct session session;

		begin(&session);
		if (texts[i][0] != '\0')
			say(&session, texts[i]);
		probe_settle(&session.probe);
		shutdown(session.fd, SHUT_WR);
		hear_end(&session);
		ck_assert_uint_eq(session.received.size, 0);
		probe_check_events(&session.probe, "");
		end(&session);
	}
}
END_TEST

/* A client that has hung up is found out when its answer is sent. */
START_TEST(closed_client_leaves_nothing_behind)
{
	struct session session;

	begin(&session);
	session.probe.hold = true;
	say(&session, GET("/1"));
	probe_settle(&session.probe);
	close(session.fd);
	probe_settle(&session.probe);
	ck_assert_uint_eq(http_server_connections(session.probe.server), 1);
	probe_answer(&session.probe, 0);
	probe_settle(&session.probe);
	ck_assert_uint_eq(http_server_connections(session.probe.server), 0);
	session.fd = probe_connect(&session.probe);
	end(&session);
}
END_TEST

START_TEST(context_is_released_once)
{
	struct session session;

	begin(&session);
	say(&session, GET("/context"));
	hear(&session, "\r\n\r\n/context");
	ck_assert_uint_eq(session.probe.released, 0);
	close(session.fd);
	probe_settle(&session.probe);
	ck_assert_uint_eq(session.probe.released, 1);
	session.fd = probe_connect(&session.probe);
	end(&session);
}
END_TEST

/* More than two passes take. */
#define RUSH 1000

static void
say_often(struct session *session, unsigned count, const char *last)
{
	struct buf bytes = { 0 };

	for (unsigned i = 0; i < count; i++)
		buf_append_text(&bytes, GET("/rush"));
	buf_append_text(&bytes, last);
	ck_assert_int_eq(
	    send(session->fd, bytes.data, bytes.size, MSG_NOSIGNAL),
	    (ssize_t)bytes.size);
	buf_release(&bytes);
}

/* One client that sends many requests ahead gets some of each pass, and the
 * others get theirs. */
START_TEST(pass_is_bounded)
{
	struct session session;
	struct probe *probe = &session.probe;
	unsigned seen = 0;
	int other;

	begin(&session);
	probe->at_once = true;
	probe_await_connections(probe, 1);
	say_often(&session, RUSH, "");
	probe_turn(probe);
	ck_assert_uint_gt(probe->requests, 0);
	while (probe->requests < RUSH) {
		ck_assert_uint_gt(probe->requests, seen);
		ck_assert_uint_le(
		    probe->requests - seen, 2 * HTTP_REQUESTS_PER_PASS);
		ck_assert_uint_eq(http_server_deadline(probe->server), 0);
		seen = probe->requests;
		if (seen < RUSH / 2) {
			other = probe_connect(probe);
			ck_assert_int_gt(send(other, GET("/other"),
					     strlen(GET("/other")), 0),
			    0);
			/* Accepted, read, and the next to come up. */
			for (unsigned i = 0; i < 3; i++)
				probe_turn(probe);
			ck_assert_uint_eq(
			    probe_count(&probe->events, "/other"), 1);
			close(other);
			buf_reset(&probe->events);
			seen = probe->requests;
		}
		probe_turn(probe);
	}
	while (probe_count(&session.received, "HTTP/1.1 200 OK") < RUSH) {
		ck_assert(probe_receive(session.fd, &session.received));
		probe_turn(probe);
	}
	probe_settle(probe);
	ck_assert_uint_gt(
	    http_server_deadline(probe->server), loop_now(probe->loop));
	end(&session);
}
END_TEST

/* Two that send ahead take turns. */
START_TEST(pass_is_shared)
{
	struct session session;
	struct probe *probe = &session.probe;
	struct buf received = { 0 };
	int other;

	begin(&session);
	other = probe_connect(probe);
	probe->at_once = true;
	probe_await_connections(probe, 2);
	say_often(&session, RUSH, "");
	say_often(&(struct session){ .fd = other }, RUSH, "");
	for (unsigned i = 0; i < 4; i++)
		probe_turn(probe);
	ck_assert(probe_receive(session.fd, &session.received));
	ck_assert(probe_receive(other, &received));
	ck_assert_uint_gt(session.received.size, 0);
	ck_assert_uint_gt(received.size, 0);
	close(other);
	buf_release(&received);
	end(&session);
}
END_TEST

/* The rest of a head that follows is waited for, and not looked at for ever. */
START_TEST(pass_ends_in_a_head)
{
	struct session session;
	struct probe *probe = &session.probe;

	begin(&session);
	probe->at_once = true;
	probe_await_connections(probe, 1);
	say_often(&session, RUSH, "GET /last HT");
	while (probe->requests < RUSH)
		probe_turn(probe);
	probe_settle(probe);
	ck_assert_uint_gt(
	    http_server_deadline(probe->server), loop_now(probe->loop));
	ck_assert_uint_le(http_server_deadline(probe->server),
	    loop_now(probe->loop) + probe_params.header_timeout_us);
	say(&session, "TP/1.1\r\n" H "\r\n");
	hear(&session, "\r\n\r\n/last");
	end(&session);
}
END_TEST

START_TEST(pass_spares_peers)
{
	struct session session;

	begin(&session);
	session.probe.at_once = true;
	session.probe.protecting = true;
	probe_await_connections(&session.probe, 1);
	say_often(&session, RUSH, "");
	probe_turn(&session.probe);
	ck_assert_uint_eq(session.probe.requests, RUSH);
	end(&session);
}
END_TEST

/* Who does not take its answers has no more requests answered, and costs no
 * passes; later it gets them all. */
START_TEST(unsent_is_bounded)
{
	struct session session;
	struct probe *probe = &session.probe;

	begin(&session);
	probe->at_once = true;
	probe->answer_size = 1024 * 1024;
	probe_await_connections(probe, 1);
	say_often(&session, 40, "");
	probe_turn(probe);
	/* One of the pass, one behind it. */
	ck_assert_uint_le(probe->requests, 2);
	for (unsigned i = 0; i < 50; i++)
		probe_turn(probe);
	ck_assert_uint_lt(probe->requests, 40);
	ck_assert_uint_gt(
	    http_server_deadline(probe->server), loop_now(probe->loop));
	while (session.received.size < 40 * probe->answer_size) {
		ck_assert(probe_receive(session.fd, &session.received));
		probe_turn(probe);
	}
	ck_assert_uint_eq(probe->requests, 40);
	end(&session);
}
END_TEST

Suite *
http_server_suite(void)
{
	Suite *suite = suite_create("http_server");
	TCase *tests = tcase_create("http_server");

	tcase_add_loop_test(tests, refused_head, 0, ARRAY_COUNT(refused_heads));
	tcase_add_loop_test(
	    tests, refused_chunk, 0, ARRAY_COUNT(refused_chunks));
	tcase_add_test(tests, answer_is_whole);
	tcase_add_test(tests, keep_alive);
	tcase_add_test(tests, client_asks_for_the_end);
	tcase_add_test(tests, handler_asks_for_the_end);
	tcase_add_test(tests, http_1_0_closes);
	tcase_add_test(tests, http_1_0_keep_alive);
	tcase_add_test(tests, absolute_form);
	tcase_add_test(tests, empty_line_between_requests);
	tcase_add_test(tests, head_has_no_body);
	tcase_add_loop_test(
	    tests, status_without_body, 0, ARRAY_COUNT(bodyless));
	tcase_add_test(tests, client_pipeline_one_by_one);
	tcase_add_test(tests, client_pipeline_answered_at_once);
	tcase_add_test(tests, pass_is_bounded);
	tcase_add_test(tests, pass_is_shared);
	tcase_add_test(tests, pass_ends_in_a_head);
	tcase_add_test(tests, pass_spares_peers);
	tcase_add_test(tests, unsent_is_bounded);
	tcase_add_test(tests, peer_pipeline_keeps_the_order);
	tcase_add_test(tests, peer_pipeline_max);
	tcase_add_test(tests, peer_pipeline_refused_in_order);
	tcase_add_test(tests, peer_pipeline_ended_by_its_first);
	tcase_add_test(tests, body_by_length);
	tcase_add_test(tests, body_without_length_is_empty);
	tcase_add_test(tests, body_in_chunks);
	tcase_add_test(tests, body_large_by_length);
	tcase_add_test(tests, body_large_in_chunks);
	tcase_add_test(tests, continue_at_once);
	tcase_add_test(tests, continue_is_needless);
	tcase_add_test(tests, continue_in_order);
	tcase_add_test(tests, continue_waits_for_the_flush_of_answers);
	tcase_add_test(tests, nothing_leaves_before_the_flush);
	tcase_add_test(tests, abandoned_by_close_of_a_peer);
	tcase_add_test(tests, abandoned_by_reset);
	tcase_add_test(tests, abandoned_by_the_end_of_the_server);
	tcase_add_test(tests, abandoned_in_the_body);
	tcase_add_test(tests, half_closed_client_gets_its_answer);
	tcase_add_loop_test(
	    tests, half_closed_client_waits_for_its_answers, 0, 2);
	tcase_add_test(tests, half_closed_client_without_a_request_is_closed);
	tcase_add_test(tests, closed_client_leaves_nothing_behind);
	tcase_add_test(tests, context_is_released_once);
	suite_add_tcase(suite, tests);
	return suite;
}
