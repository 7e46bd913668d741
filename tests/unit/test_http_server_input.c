/* Bodies of clients in memory: how much, who is read on, who has to wait. */

#include "common/rng.h"
#include "net/http_server_impl.h"
#include "tests/unit/http_probe.h"
#include "tests/unit/suites.h"
#include <stdio.h>
#include <unistd.h>

#define H       "Host: a\r\n"
#define GET(k)  "GET " k " HTTP/1.1\r\n" H "\r\n"
#define CHUNKED "PUT /c HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"

static struct probe probe;

/* With this limit; requests are held. */
static void
start(uint64_t input_bytes_max)
{
	struct http_server_params params = probe_params;

	params.input_bytes_max = input_bytes_max;
	probe_start(&probe, &params);
	probe.hold = true;
}

static void
send_text(int fd, const char *text)
{
	probe_send_text(&probe, fd, text);
	probe_settle(&probe);
}

/* The head alone. */
static int
announce(const char *key, size_t size)
{
	int fd = probe_connect(&probe);
	char head[100];

	(void)snprintf(head, sizeof(head),
	    "PUT %s HTTP/1.1\r\n" H "Content-Length: %zu\r\n\r\n", key, size);
	send_text(fd, head);
	return fd;
}

static void
expect_refused(int fd, const char *event)
{
	struct buf received = { 0 };

	probe_await_end(&probe, fd, &received);
	probe_check_events(&probe, event);
	buf_release(&received);
}

#define FULL "refused 503 10 http.max-input\n"

/* Who announces and sends nothing takes nothing from others. */
START_TEST(input_announced_is_free)
{
	int idle[20];
	int fd;

	start(10);
	for (size_t i = 0; i < ARRAY_COUNT(idle); i++)
		idle[i] = announce("/idle", PROBE_BODY_MAX);
	fd = announce("/k", 8);
	send_text(fd, "12345678");
	probe_check_events(&probe, "PUT /k 12345678\n");
	for (size_t i = 0; i < ARRAY_COUNT(idle); i++)
		close(idle[i]);
	close(fd);
	probe_stop(&probe);
}
END_TEST

/* And next to nothing of our memory, also with a first byte. */
START_TEST(input_memory_follows_what_came)
{
	const struct http_connection *connection;
	int fd;

	start(PROBE_BODY_MAX);
	fd = announce("/k", PROBE_BODY_MAX);
	send_text(fd, "1");
	connection = CONTAINER_OF(probe.server->phases[HTTP_PHASE_BODY].next,
	    struct http_connection, phase_link);
	ck_assert_uint_eq(connection->reading->body.size, 1);
	ck_assert_uint_le(connection->reading->body.capacity, 8192);
	close(fd);
	probe_stop(&probe);
}
END_TEST

/* What has come counts until its answer, or the end of the connection. */
START_TEST(input_that_came_counts)
{
	int whole;
	int part;

	start(10);
	whole = announce("/w", 6);
	send_text(whole, "abcdef");
	part = announce("/p", 5);
	send_text(part, "1234");
	probe_check_events(&probe, "PUT /w abcdef\n");
	expect_refused(announce("/r", 1), FULL);
	close(part);
	probe_settle(&probe);
	part = announce("/p", 4);
	send_text(part, "1234");
	probe_check_events(&probe, "PUT /p 1234\n");
	expect_refused(announce("/r", 1), FULL);
	probe_answer(&probe, 0);
	close(announce("/r", 1));
	probe_settle(&probe);
	probe_check_events(&probe, "");
	close(whole);
	close(part);
	probe_stop(&probe);
}
END_TEST

/* What comes in one piece with its head is taken whole or not at all. */
START_TEST(input_that_comes_with_its_head)
{
	int fd;

	start(10);
	fd = probe_connect(&probe);
	send_text(
	    fd, "PUT /k HTTP/1.1\r\n" H "Content-Length: 10\r\n\r\nabcdefghij");
	probe_check_events(&probe, "PUT /k abcdefghij\n");
	probe_answer(&probe, 0);
	close(fd);
	fd = probe_connect(&probe);
	send_text(fd,
	    "PUT /k HTTP/1.1\r\n" H "Content-Length: 11\r\n\r\nabcdefghijk");
	expect_refused(fd, FULL);
	probe_stop(&probe);
}
END_TEST

/* The oldest goes on above the limit, one at a time; the next one waits until
 * that is answered, and is woken when there is room. */
START_TEST(input_above_the_limit_waits)
{
	int first;
	int second;

	start(10);
	first = announce("/1", 12);
	second = announce("/2", 12);
	send_text(first, "1111");
	send_text(second, "222222");
	send_text(second, "222222");
	ck_assert_uint_eq(probe.server->input_bytes, 10);
	probe_check_events(&probe, "");
	send_text(first, "11111111");
	probe_check_events(&probe, "PUT /1 111111111111\n");
	ck_assert_uint_eq(probe.server->input_bytes, 18);
	ck_assert_uint_gt(
	    http_server_deadline(probe.server), loop_now(probe.loop));
	probe_answer(&probe, 0);
	ck_assert_uint_eq(http_server_deadline(probe.server), 0);
	probe_settle(&probe);
	probe_check_events(&probe, "PUT /2 222222222222\n");
	close(first);
	close(second);
	probe_stop(&probe);
}
END_TEST

/* Of those that wait the first goes on with what there is room for. */
START_TEST(input_goes_on_in_part)
{
	int whole;
	int oldest;
	int second;

	start(10);
	whole = announce("/w", 2);
	send_text(whole, "ww");
	oldest = announce("/o", 2);
	send_text(oldest, "o");
	second = announce("/2", 12);
	send_text(second, "2222222222");
	ck_assert_uint_eq(probe.server->input_bytes, 10);
	probe_answer(&probe, 0);
	probe_settle(&probe);
	ck_assert_uint_eq(probe.server->input_bytes, 10);
	probe_check_events(&probe, "PUT /w ww\n");
	/* When the oldest goes, the other one is. */
	close(oldest);
	send_text(second, "22");
	probe_check_events(&probe, "PUT /2 222222222222\n");
	close(whole);
	close(second);
	probe_stop(&probe);
}
END_TEST

START_TEST(input_in_chunks)
{
	int first;
	int chunked;

	start(10);
	first = announce("/1", 12);
	chunked = probe_connect(&probe);
	send_text(chunked, CHUNKED);
	send_text(chunked, "4\r\nabcd");
	send_text(first, "111111");
	ck_assert_uint_eq(probe.server->input_bytes, 10);
	send_text(chunked, "\r\n3\r\nefg\r\n0\r\n\r\n");
	send_text(first, "111111");
	ck_assert_uint_eq(probe.server->input_bytes, 16);
	probe_check_events(&probe, "PUT /1 111111111111\n");
	probe_answer(&probe, 0);
	probe_settle(&probe);
	probe_check_events(&probe, "PUT /c abcdefg\n");
	ck_assert_uint_eq(probe.server->input_bytes, 7);
	close(first);
	close(chunked);
	probe_stop(&probe);
}
END_TEST

/* Who waits has no longer than any other, and leaves no trace. */
START_TEST(input_that_waits_too_long)
{
	int first;
	int second;

	start(10);
	first = announce("/1", 12);
	second = announce("/2", 12);
	send_text(first, "111111111111");
	send_text(second, "222222");
	probe_check_events(&probe, "PUT /1 111111111111\n");
	ck_assert_uint_eq(probe.server->input_bytes, 12);
	probe_expire(
	    &probe, loop_now(probe.loop) + probe_params.body_timeout_us);
	probe_check_events(&probe, "refused 408 20000000 http.body-timeout\n");
	ck_assert(list_empty(&probe.server->starved));
	while (probe.pending_count > 0)
		probe_answer(&probe, 0);
	probe_settle(&probe);
	ck_assert_uint_eq(probe.server->input_bytes, 0);
	close(first);
	close(second);
	probe_stop(&probe);
}
END_TEST

START_TEST(input_spares_peers)
{
	struct buf received = { 0 };
	int client;
	int peer;

	start(1);
	probe.hold = false;
	probe.protecting = true;
	peer = probe_connect(&probe);
	send_text(peer, GET("/1"));
	probe_await_text(&probe, peer, &received, "\r\n\r\n/1");
	probe.protecting = false;
	client = announce("/c", 3);
	send_text(client, "12");
	send_text(peer, "PUT /p HTTP/1.1\r\n" H "Content-Length: 4\r\n\r\nab");
	send_text(peer, "cd");
	probe_await_text(&probe, peer, &received, "\r\n\r\nabcd");
	close(client);
	close(peer);
	buf_release(&received);
	probe_stop(&probe);
}
END_TEST

#define MANY      40
#define MANY_SIZE 3000
#define MANY_MAX  5000

/* Many at a time, in pieces of any size: all of them end, and the bound (the
 * limit and one body) holds all the while. */
START_TEST(input_of_many_ends)
{
	static const uint8_t bytes[MANY_SIZE];
	size_t left[MANY];
	int fd[MANY];
	unsigned open = MANY;
	struct rng rng;

	rng_init(&rng, (uint64_t)_i);
	start(MANY_MAX);
	probe.hold = false;
	for (unsigned i = 0; i < MANY; i++) {
		fd[i] = announce("/k", MANY_SIZE);
		left[i] = MANY_SIZE;
	}
	while (open > 0) {
		size_t i = rng_below(&rng, MANY);
		size_t size = 1 + rng_below(&rng, 1000);

		size = MIN(size, left[i]);
		if (left[i] == 0)
			continue;
		probe_send(&probe, fd[i], slice_of(bytes, size));
		left[i] -= size;
		open -= left[i] == 0;
		ck_assert_uint_le(
		    probe.server->input_bytes, MANY_MAX + MANY_SIZE);
	}
	/* All has been sent: from now on, each turn has to bring it further. */
	for (unsigned i = 0; i < 3 * MANY && probe.requests < MANY; i++)
		probe_turn(&probe);
	ck_assert_uint_eq(probe.requests, MANY);
	ck_assert_uint_eq(probe.server->input_bytes, 0);
	for (unsigned i = 0; i < MANY; i++)
		close(fd[i]);
	probe_stop(&probe);
}
END_TEST

Suite *
http_server_input_suite(void)
{
	Suite *suite = suite_create("http_server_input");
	TCase *tests = tcase_create("http_server_input");

	tcase_add_test(tests, input_announced_is_free);
	tcase_add_test(tests, input_memory_follows_what_came);
	tcase_add_test(tests, input_that_came_counts);
	tcase_add_test(tests, input_that_comes_with_its_head);
	tcase_add_test(tests, input_above_the_limit_waits);
	tcase_add_test(tests, input_goes_on_in_part);
	tcase_add_test(tests, input_in_chunks);
	tcase_add_test(tests, input_that_waits_too_long);
	tcase_add_test(tests, input_spares_peers);
	tcase_add_loop_test(tests, input_of_many_ends, 0, 10);
	suite_add_tcase(suite, tests);
	return suite;
}
