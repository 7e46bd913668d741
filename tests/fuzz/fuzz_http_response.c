/*
 * The answer of another node. Fed whole and fed byte by byte, the parser must
 * say the same.
 */

#include "common/panic.h"
#include "net/http_parse.h"
#include "tests/fuzz/fuzz.h"

/* Small, so that a fuzzer gets to them. */
static const struct http_parse_limits limits = {
	.first_line_size_max = 100,
	.head_size_max = 600,
};

static int
judge(struct slice input, struct http_response_head *head, size_t *ret_size)
{
	struct http_parse_error error;
	int rc = http_parse_response_size(input, &limits, &error, ret_size);

	if (rc != 0 || *ret_size == 0)
		return rc;
	return http_parse_response(
	    slice_of(input.data, *ret_size), head, &error);
}

static void
check_same(
    const struct http_response_head *a, const struct http_response_head *b)
{
	ASSERT(a->status == b->status);
	ASSERT(a->framing.chunked == b->framing.chunked);
	ASSERT(a->framing.keep_alive == b->framing.keep_alive);
	ASSERT(a->framing.content_length == b->framing.content_length);
	ASSERT(a->headers.count == b->headers.count);
	for (unsigned i = 0; i < a->headers.count; i++) {
		ASSERT(slice_equal(
		    a->headers.header[i].name, b->headers.header[i].name));
		ASSERT(slice_equal(
		    a->headers.header[i].value, b->headers.header[i].value));
	}
}

void
fuzz_http_response(struct slice input)
{
	struct http_response_head head;
	struct http_response_head head_of_part;
	size_t head_size = 0;
	size_t part_size = 0;
	int rc = judge(input, &head, &head_size);

	for (size_t part = 0; part <= MIN(input.size, limits.head_size_max);
	     part++) {
		int part_rc = judge(
		    slice_of(input.data, part), &head_of_part, &part_size);

		if (part_rc == 0 && part_size == 0)
			continue;
		ASSERT(part_rc == rc);
		if (rc != 0)
			continue;
		ASSERT(part_size == head_size);
		check_same(&head, &head_of_part);
	}
	if (rc == 0 && head_size > 0) {
		ASSERT(head.status >= 100);
		ASSERT(head.status <= 599);
		ASSERT(
		    !head.framing.chunked || !head.framing.has_content_length);
	}
}
