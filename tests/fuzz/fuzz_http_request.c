/*
 * A request, head and chunked body. Fed whole and fed byte by byte, the
 * parsers must say the same; and what they accept must be as strict as
 * net/http_parse.h says.
 */

#include "common/buf.h"
#include "common/panic.h"
#include "common/rng.h"
#include "net/http_parse.h"
#include "tests/fuzz/fuzz.h"

/* Small, so that a fuzzer gets to them. */
static const struct http_parse_limits limits = {
	.first_line_size_max = 200,
	.head_size_max = 600,
};

struct verdict {
	int rc;
	size_t size; /* of the head; 0: incomplete */
	struct http_parse_error error;
};

static struct verdict
judge(struct slice input, struct http_request_head *head)
{
	struct verdict verdict = { .rc = 0 };

	verdict.rc = http_parse_request_size(
	    input, &limits, &verdict.error, &verdict.size);
	if (verdict.rc == 0 && verdict.size > 0)
		verdict.rc = http_parse_request(
		    slice_of(input.data, verdict.size), head, &verdict.error);
	return verdict;
}

static void
check_within(struct slice whole, struct slice part)
{
	ASSERT(part.data >= whole.data);
	ASSERT(part.data + part.size <= whole.data + whole.size);
}

static void
check_text(struct slice text)
{
	for (size_t i = 0; i < text.size; i++) {
		ASSERT(text.data[i] != '\0');
		ASSERT(text.data[i] != '\r');
		ASSERT(text.data[i] != '\n');
		ASSERT(text.data[i] != 0x7f);
	}
}

static void
check_accepted(struct slice input, const struct http_request_head *head)
{
	unsigned hosts = 0;

	ASSERT(head->path.size > 0);
	ASSERT(head->path.data[0] == '/' || head->method == HTTP_OPTIONS);
	check_text(head->path);
	check_text(head->query);
	check_within(input, head->query);
	ASSERT(!head->framing.chunked || !head->framing.has_content_length);
	for (unsigned i = 0; i < head->headers.count; i++) {
		const struct http_header *header = &head->headers.header[i];

		check_within(input, header->name);
		check_within(input, header->value);
		check_text(header->name);
		check_text(header->value);
		ASSERT(header->name.size > 0);
		ASSERT(
		    memchr(header->name.data, ' ', header->name.size) == NULL);
		if (http_name_is(header->name, "Host"))
			hosts++;
	}
	ASSERT(hosts == 1 || (hosts == 0 && head->minor_version == 0));
}

/* How a stream comes: all at once, or cut in pieces of 1 .. `step_max`. */
struct cutter {
	size_t step_max;
	struct rng rng;
};

static size_t
next_step(struct cutter *cutter, size_t left)
{
	size_t step = cutter->step_max;

	if (step != SIZE_MAX)
		step = (size_t)rng_between(&cutter->rng, 1, step);
	return MIN(left, step);
}

/* Decodes piece by piece; appends data, returns the bytes used or SIZE_MAX for
 * a refusal. */
static size_t
decode(struct slice input, size_t step_max, struct buf *data)
{
	struct http_chunked chunked = { .chunk_left = 0 };
	struct cutter cutter = { .step_max = step_max };
	const char *detail;
	size_t used = 0;

	rng_init(&cutter.rng, input.size);
	while (used < input.size && chunked.state != HTTP_CHUNKED_DONE) {
		struct slice piece = slice_of(
		    input.data + used, next_step(&cutter, input.size - used));
		struct slice part;
		size_t before = piece.size;

		if (http_chunked_decode(&chunked, &piece, &part, &detail) != 0)
			return SIZE_MAX;
		buf_append_slice(data, part);
		used += before - piece.size;
	}
	return used;
}

static void
check_chunks(struct slice body)
{
	static const size_t steps[] = { 1, 3, 20 };
	struct buf whole = { 0 };
	size_t used = decode(body, SIZE_MAX, &whole);

	ASSERT(whole.size <= body.size);
	for (size_t i = 0; i < ARRAY_COUNT(steps); i++) {
		struct buf pieces = { 0 };

		ASSERT(decode(body, steps[i], &pieces) == used);
		ASSERT(slice_equal(buf_slice(&whole), buf_slice(&pieces)));
		buf_release(&pieces);
	}
	buf_release(&whole);
}

void
fuzz_http_request(struct slice input)
{
	struct http_request_head head;
	struct http_request_head head_of_part;
	struct verdict verdict = judge(input, &head);

	for (size_t part = 0; part <= MIN(input.size, limits.head_size_max);
	     part++) {
		struct verdict other =
		    judge(slice_of(input.data, part), &head_of_part);

		if (other.rc == 0 && other.size == 0)
			continue;
		ASSERT(other.rc == verdict.rc);
		ASSERT(other.size == verdict.size);
		if (other.rc != 0)
			ASSERT(other.error.detail == verdict.error.detail);
	}
	if (verdict.rc == 0 && verdict.size > 0) {
		check_accepted(input, &head);
		if (head.framing.chunked)
			check_chunks(slice_of(input.data + verdict.size,
			    input.size - verdict.size));
	}
}
