#include "common/err.h"
#include "tests/unit/http_stage.h"
#include "tests/unit/suites.h"
#include <sys/socket.h>
#include <unistd.h>

START_TEST(server_hangs_up)
{
	struct http_stage stage;

	http_stage_begin_asked(&stage, HTTP_GET);
	http_stage_ask(&stage, 2, HTTP_GET);
	http_stage_serve(&stage, "HTTP/1.1 200 OK\r\nContent-Le");
	http_stage_hang_up(&stage);
	loop_pass(stage.loop, 0);
	loop_pass(stage.loop, 0);
	http_stage_await_events(&stage, "1: -15\n2: -15 unsent\nclosed\n");
	http_stage_end(&stage);
}
END_TEST

START_TEST(server_hangs_up_idle)
{
	struct http_stage stage;

	http_stage_begin_open(&stage);
	http_stage_hang_up(&stage);
	http_stage_await_events(&stage, "closed\n");
	http_stage_end(&stage);
}
END_TEST

/* A broken pipe shows in a flush, and is told by the loop or by expire. */
START_TEST(flush_to_a_reset_connection)
{
	struct http_stage stage;
	struct linger linger = { .l_onoff = 1, .l_linger = 0 };

	http_stage_begin_open(&stage);
	http_stage_ask(&stage, 1, HTTP_GET);
	ck_assert_int_eq(setsockopt(stage.server, SOL_SOCKET, SO_LINGER,
			     &linger, sizeof(linger)),
	    0);
	http_stage_hang_up(&stage);
	http_client_flush(stage.client);
	ck_assert_uint_eq(stage.events.size, 0);
	ck_assert_uint_eq(http_client_deadline(stage.client), 0);
	http_stage_await_events(&stage, "1: -15 unsent\nclosed\n");
	http_stage_end(&stage);
}
END_TEST

START_TEST(connect_refused)
{
	struct http_stage stage;

	http_stage_begin(&stage);
	close(stage.listener);
	stage.listener = -1;
	ck_assert_int_eq(http_client_connect(stage.client, stage.address), 0);
	ck_assert_uint_eq(stage.events.size, 0);
	http_stage_await_events(&stage, "closed refused\n");
	http_stage_end(&stage);
}
END_TEST

START_TEST(connect_again_from_on_closed)
{
	struct http_stage stage;

	http_stage_begin_open(&stage);
	stage.closed_reconnects = true;
	http_stage_hang_up(&stage);
	http_stage_await_events(&stage, "closed\nopen\n");
	http_stage_ask(&stage, 1, HTTP_GET);
	http_stage_settle(&stage);
	http_stage_serve(&stage, OK(1) "a");
	http_stage_await_events(&stage, "1: 200 a\n");
	http_stage_end(&stage);
}
END_TEST

START_TEST(connect_address)
{
	struct http_stage stage;

	http_stage_begin(&stage);
	ck_assert_int_eq(
	    http_client_connect(stage.client, "localhost:1"), ERR_INVALID);
	ck_assert_int_eq(http_client_connect(stage.client, ""), ERR_INVALID);
	ck_assert_uint_eq(http_client_deadline(stage.client), UINT64_MAX);
	http_stage_end(&stage);
}
END_TEST

/* ERR_TIMEOUT is -14. A connect that nothing has answered yet. */
START_TEST(connect_timeout)
{
	struct http_stage stage;
	uint64_t deadline_us;

	http_stage_begin(&stage);
	ck_assert_int_eq(http_client_connect(stage.client, stage.address), 0);
	deadline_us = http_client_deadline(stage.client);
	ck_assert_uint_ge(
	    deadline_us, loop_now(stage.loop) + HTTP_STAGE_CONNECT_TIMEOUT_US);
	http_client_expire(stage.client, deadline_us - 1);
	ck_assert_uint_eq(stage.events.size, 0);
	http_client_expire(stage.client, deadline_us);
	http_stage_await_events(&stage, "closed -14\n");
	http_stage_end(&stage);
}
END_TEST

/* One late answer gives up the connection: the others wait behind it. */
START_TEST(reply_timeout)
{
	struct http_stage stage;

	http_stage_begin_open(&stage);
	http_stage_ask(&stage, 1, HTTP_GET);
	http_stage_ask_until(&stage, 2, UINT64_C(1) << 60);
	http_client_flush(stage.client);
	ck_assert_uint_eq(
	    http_client_deadline(stage.client), UINT64_C(1) << 60);
	http_client_expire(stage.client, (UINT64_C(1) << 60) - 1);
	ck_assert_uint_eq(stage.events.size, 0);
	http_client_expire(stage.client, UINT64_C(1) << 60);
	http_stage_await_events(&stage, "1: -14\n2: -14\nclosed -14\n");
	http_stage_end(&stage);
}
END_TEST

START_TEST(close_tells_the_requests_only)
{
	struct http_stage stage;

	http_stage_begin_asked(&stage, HTTP_GET);
	http_stage_ask(&stage, 2, HTTP_GET);
	http_client_close(stage.client);
	http_stage_await_events(&stage, "1: -15\n2: -15 unsent\n");
	http_stage_settle(&stage);
	http_stage_await_events(&stage, "");
	http_stage_end(&stage);
}
END_TEST

/* Requests 1 and 2 are at the server. */
static void
begin_asked_twice(struct http_stage *stage)
{
	http_stage_begin_asked(stage, HTTP_GET);
	http_stage_ask(stage, 2, HTTP_GET);
	http_stage_settle(stage);
}

START_TEST(close_from_a_reply)
{
	struct http_stage stage;

	begin_asked_twice(&stage);
	stage.reply_closes = true;
	http_stage_serve(&stage, OK(1) "a" OK(1) "b");
	http_stage_await_events(&stage, "1: 200 a\n2: -15\n");
	http_stage_settle(&stage);
	http_stage_await_events(&stage, "");
	http_stage_end(&stage);
}
END_TEST

START_TEST(close_from_an_error)
{
	struct http_stage stage;

	begin_asked_twice(&stage);
	stage.reply_closes = true;
	http_stage_serve(&stage, "x");
	http_stage_await_events(&stage, "1: -2\n2: -15\n");
	http_stage_settle(&stage);
	http_stage_await_events(&stage, "");
	http_stage_end(&stage);
}
END_TEST

START_TEST(free_from_a_reply)
{
	struct http_stage stage;

	begin_asked_twice(&stage);
	stage.reply_frees = true;
	http_stage_serve(&stage, OK(1) "a" OK(1) "b");
	http_stage_await_events(&stage, "1: 200 a\n");
	http_stage_end(&stage);
}
END_TEST

START_TEST(free_from_an_error)
{
	struct http_stage stage;

	http_stage_begin_open(&stage);
	stage.reply_frees = true;
	http_stage_ask(&stage, 1, HTTP_GET);
	http_stage_ask(&stage, 2, HTTP_GET);
	http_client_close(stage.client);
	http_stage_await_events(&stage, "1: -15 unsent\n");
	http_stage_end(&stage);
}
END_TEST

START_TEST(request_from_a_reply)
{
	struct http_stage stage;

	http_stage_begin_asked(&stage, HTTP_GET);
	stage.reply_repeats = true;
	http_stage_serve(&stage, OK(1) "a");
	http_stage_await_events(&stage, "1: 200 a\n");
	http_stage_settle(&stage);
	http_stage_serve(&stage, OK(1) "b");
	http_stage_await_events(&stage, "2: 200 b\n");
	http_stage_end(&stage);
}
END_TEST

Suite *
http_client_close_suite(void)
{
	Suite *suite = suite_create("http_client_close");
	TCase *tests = tcase_create("http_client_close");

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
	suite_add_tcase(suite, tests);
	return suite;
}
