/*
 * Percent-encoding and queries: decoding is the inverse of encoding, does not
 * depend on where the text is cut, and a query is cut into parts of itself.
 */

#include "common/buf.h"
#include "common/panic.h"
#include "net/http_uri.h"
#include "tests/fuzz/fuzz.h"

static void
check_encoded(struct slice bytes)
{
	struct buf encoded = { 0 };
	struct buf decoded = { 0 };

	for (size_t i = 0; i < bytes.size; i++)
		buf_printf(&encoded, "%%%02X", (unsigned)bytes.data[i]);
	ASSERT(http_percent_decode(buf_slice(&encoded), &decoded) == 0);
	ASSERT(slice_equal(buf_slice(&decoded), bytes));
	buf_release(&encoded);
	buf_release(&decoded);
}

/* Two good halves are a good whole, with the same bytes. */
static void
check_cut(struct slice text, size_t cut)
{
	struct buf halves = { 0 };
	struct buf whole = { 0 };

	if (http_percent_decode(slice_of(text.data, cut), &halves) == 0 &&
	    http_percent_decode(
		slice_of(text.data + cut, text.size - cut), &halves) == 0) {
		ASSERT(http_percent_decode(text, &whole) == 0);
		ASSERT(slice_equal(buf_slice(&halves), buf_slice(&whole)));
	}
	buf_release(&halves);
	buf_release(&whole);
}

void
fuzz_http_uri(struct slice input)
{
	struct slice text = input;
	struct slice rest = text;
	struct http_query_parameter parameter;
	size_t seen = 0;

	check_encoded(text);
	for (size_t cut = 0; cut <= MIN(input.size, 64); cut++)
		check_cut(text, cut);
	while (http_query_next(&rest, &parameter)) {
		ASSERT(parameter.name.data >= input.data);
		ASSERT(parameter.value.data + parameter.value.size <=
		       input.data + input.size);
		seen += parameter.name.size + parameter.value.size;
	}
	ASSERT(rest.size == 0);
	ASSERT(seen <= input.size);
}
