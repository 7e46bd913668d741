/*
 * Any request at any path of a node that leads itself: the input is method and
 * target on the first line, fields on those up to an empty one, and the body.
 * Whatever it is, it gets one whole answer, which is no fault of the server's,
 * unless it is of those that may wait; or the server is as it was without it.
 */

#include "common/json.h"
#include "common/macros.h"
#include "common/panic.h"
#include "net/http_parse.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/api_site.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define INPUTS_PER_WORLD 2000
#define INPUT_SIZE_MAX   2000
#define ANSWER_SIZE_MAX  (64u << 20)
#define PASSES_MAX       300
#define PASSES_OF_A_WAIT 20

static const struct http_parse_limits limits = {
	.first_line_size_max = 1000,
	.head_size_max = 16384,
};

static struct world *world;
static unsigned inputs;

/* ---- Requests ---- */

static struct slice
take_line(struct slice *input)
{
	const uint8_t *end = memchr(input->data, '\n', input->size);
	struct slice line = fuzz_take(
	    input, end == NULL ? input->size : (size_t)(end - input->data) + 1);

	if (line.size > 0 && line.data[line.size - 1] == '\n')
		line.size--;
	return line;
}

/* Gives the first line. */
static struct slice
make_request(struct slice input, struct buf *to)
{
	struct slice first = input.size == 0 ? input : take_line(&input);

	buf_append_slice(to, first);
	buf_append_text(
	    to, " HTTP/1.1\r\nHost: localhost:5864\r\nConnection: close\r\n");
	while (input.size > 0) {
		struct slice line = take_line(&input);

		if (line.size == 0)
			break;
		buf_append_slice(to, line);
		buf_append_text(to, "\r\n");
	}
	if (input.size > 0)
		buf_printf(to, "Content-Length: %zu\r\n", input.size);
	buf_append_text(to, "\r\n");
	buf_append_slice(to, input);
	return first;
}

/* ---- Answers ---- */

/* True at the end. */
static bool
receive(int fd, struct buf *to)
{
	uint8_t *room = buf_reserve(to, 65536);
	ssize_t size = recv(fd, room, 65536, 0);

	if (size > 0)
		to->size += (size_t)size;
	return size == 0 || (size < 0 && errno != EAGAIN);
}

static void
check_problem(struct slice body, unsigned status)
{
	struct json_place place;
	json_t *problem;
	struct slice text;
	uint64_t number;

	/* A lock's holder may have a NUL. */
	ASSERT(
	    json_parse_document(body, ANSWER_SIZE_MAX, &problem, &place) == 0);
	ASSERT(json_get_text(problem, "code", &text) == 0);
	ASSERT(json_get_text(problem, "detail", &text) == 0);
	ASSERT(json_get_u64(problem, "status", &number) == 0);
	ASSERT(number == status);
	json_decref(problem);
}

/* 503 and 504 are of a node that cannot do it now: of members, mostly. */
static bool
is_expected(unsigned status)
{
	return (status >= 100 && status < 500) || status == 501 ||
	       status == 503 || status == 504 || status == 505 || status == 507;
}

static void
check_answer(struct slice answer, bool is_head)
{
	struct http_response_head head;
	struct http_parse_error error;
	size_t size = 0;
	struct slice body;

	ASSERT(http_parse_response_size(answer, &limits, &error, &size) == 0);
	ASSERT(size > 0);
	ASSERT(http_parse_response(
		   slice_of(answer.data, size), &head, &error) == 0);
	ASSERT(is_expected(head.status));
	body = slice_of(answer.data + size, answer.size - size);
	if (is_head || head.framing.chunked || head.status < 200)
		return;
	ASSERT(!head.framing.has_content_length ||
	       head.framing.content_length == body.size ||
	       (body.size == 0 && head.status == 304));
	if (head.status >= 400 && body.size > 0 && body.data[0] == '{')
		check_problem(body, head.status);
}

/* Those that wait for what others do; else an answer has to come. */
static bool
may_wait(struct slice first)
{
	return memmem(first.data, first.size, "/watch", 6) != NULL ||
	       memmem(first.data, first.size, "wait", 4) != NULL ||
	       memmem(first.data, first.size, "/cluster", 8) != NULL ||
	       memmem(first.data, first.size, "min", 3) != NULL;
}

static bool
await_end(int fd, struct buf *answer, unsigned passes)
{
	while (passes-- > 0) {
		world_pass(world);
		if (receive(fd, answer))
			return true;
	}
	return false;
}

/* The client has half closed: so what is not a whole request ends as well. */
static void
exchange(struct slice request, struct slice first)
{
	struct buf answer = { 0 };
	int fd = site_send_bytes(&world->site[0], request);
	bool waits = may_wait(first);

	(void)shutdown(fd, SHUT_WR);
	if (await_end(fd, &answer, waits ? PASSES_OF_A_WAIT : PASSES_MAX)) {
		if (answer.size > 0)
			check_answer(buf_slice(&answer),
			    first.size >= 5 &&
				memcmp(first.data, "HEAD ", 5) == 0);
		close(fd);
	} else {
		ASSERT(waits);
		site_break_off(fd);
	}
	buf_release(&answer);
}

/* It goes on. */
static void
check_alive(void)
{
	struct reply reply = site_get(&world->site[0], "/livez");

	ASSERT(reply.status == 200);
	reply_release(&reply);
}

void
fuzz_api_request(struct slice input)
{
	struct buf request = { 0 };
	struct slice first;

	if (input.size == 0 || input.size > INPUT_SIZE_MAX)
		return;
	if (inputs++ % INPUTS_PER_WORLD == 0) {
		if (world != NULL)
			world_free(world);
		world = world_new_one(0);
	}
	first = make_request(input, &request);
	exchange(buf_slice(&request), first);
	if (inputs % 50 == 0)
		check_alive();
	buf_release(&request);
}
