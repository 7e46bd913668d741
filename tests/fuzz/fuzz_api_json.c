/*
 * The JSON of clients, through the front door of a node that leads itself:
 * POST /txn, and the lines of PUT /import, which may come in any pieces. The
 * first byte chooses. Whatever is sent, the answer is a document, and no fault
 * of the server's.
 *
 * A node is kept for many inputs, so that they meet keys of those before.
 */

#include "common/json.h"
#include "common/panic.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/api_site.h"

#include <stdio.h>

#define INPUTS_PER_WORLD 1000
#define INPUT_SIZE_MAX   2000
#define ANSWER_SIZE_MAX  (64 << 20)
#define CHUNK_SIZE       3

static struct world *world;
static unsigned inputs;

/* ---- Answers ---- */

static void
check_document(struct slice body)
{
	struct json_place place;
	json_t *document;

	ASSERT(body.size > 0);
	ASSERT(body.data[body.size - 1] == '\n');
	ASSERT(
	    json_parse_document(body, ANSWER_SIZE_MAX, &document, &place) == 0);
	json_decref(document);
}

static void
check_problem(const struct reply *reply)
{
	uint64_t status;
	struct slice text;
	json_t *problem;

	ASSERT(json_parse_object(reply->body, ANSWER_SIZE_MAX, &problem) == 0);
	ASSERT(json_get_text(problem, "code", &text) == 0);
	ASSERT(json_get_text(problem, "detail", &text) == 0);
	ASSERT(text.size > 0);
	ASSERT(json_get_u64(problem, "status", &status) == 0);
	ASSERT(status == reply->status);
	json_decref(problem);
}

/* Gives the status. */
static unsigned
receive(int fd)
{
	struct reply reply = site_receive(world, fd);
	unsigned status = reply.status;

	ASSERT(status == 200 || (status >= 400 && status < 500));
	check_document(reply.body);
	if (status != 200)
		check_problem(&reply);
	reply_release(&reply);
	return status;
}

/* ---- Requests ---- */

static unsigned
send_whole(const char *method, const char *target, const char *headers,
    struct slice body)
{
	return receive(
	    site_send(&world->site[0], method, target, headers, body));
}

static unsigned
send_chunked(const char *target, struct slice body)
{
	struct buf text = { 0 };
	int fd;

	buf_printf(&text,
	    "PUT %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
	    "Transfer-Encoding: chunked\r\n\r\n",
	    target);
	for (size_t at = 0; at < body.size; at += CHUNK_SIZE) {
		size_t size = MIN(CHUNK_SIZE, body.size - at);

		buf_printf(&text, "%zx\r\n", size);
		buf_append(&text, body.data + at, size);
		buf_append_text(&text, "\r\n");
	}
	buf_append_text(&text, "0\r\n\r\n");
	fd = site_send_bytes(&world->site[0], buf_slice(&text));
	buf_release(&text);
	return receive(fd);
}

#define JSON "Content-Type: application/json\r\n"

static void
check_transaction(struct slice input)
{
	(void)send_whole("POST", "/txn", JSON, input);
}

/* The same twice is one transaction, and has one answer. */
static void
check_identified(struct slice input)
{
	char headers[200];
	unsigned status;

	snprintf(
	    headers, sizeof(headers), JSON "Idempotency-Key: %u\r\n", inputs);
	status = send_whole("POST", "/txn", headers, input);
	ASSERT(send_whole("POST", "/txn", headers, input) == status);
}

static void
check_import(struct slice input)
{
	unsigned status = send_whole("PUT", "/import", "", input);

	ASSERT(send_chunked("/import", input) == status);
}

static void
check_import_absent(struct slice input)
{
	unsigned status = send_whole("PUT", "/import?if=absent", "", input);

	ASSERT(send_chunked("/import?if=absent", input) == status);
}

static void
check_import_atomic(struct slice input)
{
	unsigned status = send_whole("PUT", "/import?atomic=1", "", input);

	ASSERT(send_chunked("/import?atomic=1", input) == status);
}

/* The seeds begin with their digits. */
static void (*const checks[])(struct slice input) = {
	check_transaction,
	check_identified,
	check_import,
	check_import_absent,
	check_import_atomic,
};

void
fuzz_api_json(struct slice input)
{
	if (input.size == 0 || input.size > INPUT_SIZE_MAX ||
	    input.data[0] < '0' ||
	    (size_t)(input.data[0] - '0') >= ARRAY_COUNT(checks))
		return;
	if (inputs++ % INPUTS_PER_WORLD == 0) {
		if (world != NULL)
			world_free(world);
		world = world_new_one(0);
	}
	checks[input.data[0] - '0'](slice_of(input.data + 1, input.size - 1));
}
