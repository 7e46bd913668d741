/*
 * A request, head and chunked body. Fed whole and fed byte by byte, the
 * parsers must say the same; and what they accept must be as strict as
 * net/http_parse.h says.
 */

#include "common/buf.h"
#include "common/panic.h"
#include "net/http_parse.h"

/* Small, so that a fuzzer gets to them. */
static const struct http_parse_limits limits = {
	.first_line_size_max = 200,
	.head_size_max = 600,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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

/* Decodes in pieces of `step` bytes; appends data, returns the bytes used or
 * SIZE_MAX for a refusal. */
static size_t
decode(struct slice input, size_t step, struct buf *data)
{
	struct http_chunked chunked = { .chunk_left = 0 };
	const char *detail;
	size_t used = 0;

	while (used < input.size && chunked.state != HTTP_CHUNKED_DONE) {
		struct slice piece =
		    slice_of(input.data + used, MIN(step, input.size - used));
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
	struct buf whole = { 0 };
	struct buf bytes = { 0 };
	size_t used = decode(body, SIZE_MAX, &whole);

	ASSERT(decode(body, 1, &bytes) == used);
	ASSERT(slice_equal(buf_slice(&whole), buf_slice(&bytes)));
	ASSERT(whole.size <= body.size);
	buf_release(&whole);
	buf_release(&bytes);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice input = slice_of(data, size);
	struct http_request_head head;
	struct http_request_head head_of_part;
	struct verdict verdict = judge(input, &head);

	for (size_t part = 0; part <= MIN(size, limits.head_size_max); part++) {
		struct verdict other =
		    judge(slice_of(data, part), &head_of_part);

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
			check_chunks(
			    slice_of(data + verdict.size, size - verdict.size));
	}
	return 0;
}
