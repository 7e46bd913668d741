#include "common/buf.h"
#include "common/err.h"
#include "net/http_parse.h"
#include "tests/unit/http_cases.h"
#include "tests/unit/http_probe.h"
#include "tests/unit/suites.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/*
 * A verdict is the text of everything a parser says about its input, so that
 * two of them are compared whole: "more" (incomplete), "refused 400", or what
 * was understood.
 */
typedef void verdict_fn(struct slice input, struct buf *verdict);

static const struct http_parse_limits limits = {
	.first_line_size_max = 8192,
	.head_size_max = 16384,
};

static void
print_slice(struct buf *to, const char *name, struct slice slice)
{
	buf_printf(to, " %s=", name);
	buf_append_slice(to, slice);
}

static void
print_framing(struct buf *to, const struct http_framing *framing)
{
	if (framing->chunked)
		buf_append_text(to, " chunked");
	if (framing->has_content_length)
		buf_printf(to, " length=%llu",
		    (unsigned long long)framing->content_length);
	if (!framing->keep_alive)
		buf_append_text(to, " close");
}

static void
print_headers(struct buf *to, const struct http_headers *headers)
{
	for (unsigned i = 0; i < headers->count; i++) {
		buf_append_text(to, " [");
		buf_append_slice(to, headers->header[i].name);
		buf_append_text(to, ":");
		buf_append_slice(to, headers->header[i].value);
		buf_append_text(to, "]");
	}
}

static void
request_verdict(struct slice input, struct buf *verdict)
{
	struct http_request_head head;
	struct http_parse_error error;
	size_t size;

	buf_reset(verdict);
	if (http_parse_request_size(input, &limits, &error, &size) != 0 ||
	    (size > 0 && http_parse_request(
			     slice_of(input.data, size), &head, &error) != 0)) {
		buf_printf(
		    verdict, "refused %u", probe_refusal_status(error.refusal));
		return;
	}
	if (size == 0) {
		buf_append_text(verdict, "more");
		return;
	}
	buf_printf(verdict, "%zu %s 1.%u", size, http_method_name(head.method),
	    head.minor_version);
	print_slice(verdict, "path", head.path);
	print_slice(verdict, "query", head.query);
	print_framing(verdict, &head.framing);
	if (head.expects_continue)
		buf_append_text(verdict, " continue");
	print_headers(verdict, &head.headers);
}

static void
response_verdict(struct slice input, struct buf *verdict)
{
	struct http_response_head head;
	struct http_parse_error error;
	size_t size;

	buf_reset(verdict);
	if (http_parse_response_size(input, &limits, &error, &size) != 0 ||
	    (size > 0 && http_parse_response(
			     slice_of(input.data, size), &head, &error) != 0)) {
		buf_append_text(verdict, "refused");
		return;
	}
	if (size == 0) {
		buf_append_text(verdict, "more");
		return;
	}
	buf_printf(verdict, "%zu %u", size, head.status);
	print_framing(verdict, &head.framing);
	print_headers(verdict, &head.headers);
}

/* Feeds pieces of at most `step` bytes behind a first one of `first`. */
static void
chunked_verdict_in_pieces(
    struct slice input, size_t first, size_t step, struct buf *verdict)
{
	struct http_chunked chunked = { .chunk_left = 0 };
	const char *detail = NULL;
	size_t used = 0;
	size_t piece_size = first;

	buf_reset(verdict);
	while (used < input.size && chunked.state != HTTP_CHUNKED_DONE) {
		struct slice piece = slice_of(
		    input.data + used, MIN(piece_size, input.size - used));
		struct slice data;
		size_t before = piece.size;

		if (http_chunked_decode(&chunked, &piece, &data, &detail) !=
		    0) {
			ck_assert_ptr_nonnull(detail);
			buf_reset(verdict);
			buf_append_text(verdict, "refused");
			return;
		}
		buf_append_slice(verdict, data);
		used += before - piece.size;
		piece_size = step;
	}
	if (chunked.state == HTTP_CHUNKED_DONE)
		buf_printf(verdict, "|%zu", used);
	else
		buf_append_text(verdict, "|more");
}

static void
chunked_verdict(struct slice input, struct buf *verdict)
{
	chunked_verdict_in_pieces(input, input.size, input.size, verdict);
}

/* Larger inputs are not put against an unmapped page at each byte: the
 * mapping takes the time. */
#define EDGE_SIZE_MAX 512

/* The verdict on `input` when the byte behind it cannot even be read. */
static void
verdict_at_edge(verdict_fn *judge, struct slice input, struct buf *verdict)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t size = (input.size / page + 1) * page;
	uint8_t *memory = mmap(NULL, size + page, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert(memory != MAP_FAILED);
	ck_assert_int_eq(mprotect(memory + size, page, PROT_NONE), 0);
	if (input.size > 0)
		memcpy(memory + size - input.size, input.data, input.size);
	judge(slice_of(memory + size - input.size, input.size), verdict);
	ck_assert_int_eq(munmap(memory, size + page), 0);
}

static void
check_text(const struct buf *verdict, const char *expected, const char *name)
{
	ck_assert_msg(
	    slice_equal(buf_slice(verdict), slice_from_text(expected)),
	    "%s: \"%.*s\" instead of \"%s\"", name, (int)verdict->size,
	    (const char *)verdict->data, expected);
}

/*
 * A parser of heads: the whole input has the verdict, and each beginning of it
 * has the same one or "more", so that no way of cutting changes anything.
 */
static void
check_head(verdict_fn *judge, struct slice input, const char *expected,
    const char *name)
{
	struct buf verdict = { 0 };

	judge(input, &verdict);
	check_text(&verdict, expected, name);
	for (size_t size = 0; size <= input.size; size++) {
		struct slice beginning = slice_of(input.data, size);

		if (size < EDGE_SIZE_MAX)
			verdict_at_edge(judge, beginning, &verdict);
		else
			judge(beginning, &verdict);
		if (!slice_equal(buf_slice(&verdict), slice_from_text("more")))
			check_text(&verdict, expected, name);
	}
	buf_release(&verdict);
}

struct accepted {
	const char *bytes;
	const char *verdict;
};

#define H    "Host: a\r\n"
#define TE   "Transfer-Encoding: chunked\r\n"
#define HOST " [Host:a]"

static const struct accepted accepted_requests[] = {
	{ "GET / HTTP/1.1\r\n" H "\r\n", "27 GET 1.1 path=/ query=" HOST },
	{ "\r\nGET / HTTP/1.1\r\n" H "\r\n", "29 GET 1.1 path=/ query=" HOST },
	{ "GET / HTTP/1.1\r\n" H "\r\nGET /next",
	    "27 GET 1.1 path=/ query=" HOST },
	{ "HEAD /kv/a?x=1&y HTTP/1.1\r\n" H "\r\n",
	    "38 HEAD 1.1 path=/kv/a query=x=1&y" HOST },
	{ "DELETE /kv/a%2Fb HTTP/1.1\r\n" H "\r\n",
	    "38 DELETE 1.1 path=/kv/a%2Fb query=" HOST },
	{ "GET //a/../b?? HTTP/1.1\r\n" H "\r\n",
	    "36 GET 1.1 path=//a/../b query=?" HOST },
	{ "GET /kl\xc3\xa9{}|\"<>^`\\ HTTP/1.1\r\n" H "\r\n",
	    "40 GET 1.1 path=/kl\xc3\xa9{}|\"<>^`\\ query=" HOST },
	{ "OPTIONS * HTTP/1.1\r\n" H "\r\n",
	    "31 OPTIONS 1.1 path=* query=" HOST },
	{ "PUT /k HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhello",
	    "47 PUT 1.1 path=/k query= length=5" HOST " [Content-Length:5]" },
	{ "PUT /k HTTP/1.1\r\n" H "content-LENGTH:  005 \t\r\n\r\n",
	    "52 PUT 1.1 path=/k query= length=5" HOST " [content-LENGTH:005]" },
	{ "PUT /k HTTP/1.1\r\n" H
	  "Content-Length: 99999999999999999999999\r\n\r\n",
	    "69 PUT 1.1 path=/k query= length=18446744073709551615" HOST
	    " [Content-Length:99999999999999999999999]" },
	{ "POST /k HTTP/1.1\r\n" H TE "\r\n",
	    "57 POST 1.1 path=/k query= chunked" HOST
	    " [Transfer-Encoding:chunked]" },
	{ "POST /k HTTP/1.1\r\n" H "transfer-encoding: CHUNKED\r\n\r\n",
	    "57 POST 1.1 path=/k query= chunked" HOST
	    " [transfer-encoding:CHUNKED]" },
	{ "POST /k HTTP/1.1\r\n" H "Expect: 100-Continue\r\n\r\n",
	    "51 POST 1.1 path=/k query= continue" HOST
	    " [Expect:100-Continue]" },
	/* As nginx forwards one without a body. */
	{ "POST /k HTTP/1.0\r\nExpect: anything\r\n\r\n",
	    "38 POST 1.0 path=/k query= close [Expect:anything]" },
	{ "GET / HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n",
	    "46 GET 1.1 path=/ query= length=0" HOST " [Content-Length:0]" },
	{ "GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n",
	    "46 GET 1.1 path=/ query= close" HOST " [Connection:close]" },
	{ "GET / HTTP/1.1\r\n" H "Connection: x, ,\tCLOSE ,y\r\n\r\n",
	    "54 GET 1.1 path=/ query= close" HOST
	    " [Connection:x, ,\tCLOSE ,y]" },
	{ "GET / HTTP/1.1\r\n" H "Connection: closed\r\n\r\n",
	    "47 GET 1.1 path=/ query=" HOST " [Connection:closed]" },
	{ "GET / HTTP/1.0\r\n\r\n", "18 GET 1.0 path=/ query= close" },
	{ "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
	    "42 GET 1.0 path=/ query= [Connection:Keep-Alive]" },
	{ "GET http://b:80/k?q HTTP/1.1\r\n" H "\r\n",
	    "41 GET 1.1 path=/k query=q [Host:b:80]" },
	{ "GET HTTP://b HTTP/1.1\r\n" H "\r\n",
	    "34 GET 1.1 path=/ query= [Host:b]" },
	{ "GET http://b?q HTTP/1.1\r\n" H "\r\n",
	    "36 GET 1.1 path=/ query=q [Host:b]" },
	{ "GET https://[::1]:5864/ HTTP/1.0\r\n\r\n",
	    "36 GET 1.0 path=/ query= close" },
	{ "GET / HTTP/1.1\r\nHost:\r\n\r\n",
	    "25 GET 1.1 path=/ query= [Host:]" },
	{ "GET / HTTP/1.1\r\n" H "X:a \t b\xff\r\nX: \r\n\r\n",
	    "42 GET 1.1 path=/ query=" HOST " [X:a \t b\xff] [X:]" },
	{ "GET / HTTP/1.1\r\n" H "X: a\r\n", "more" },
	{ "GET / HT", "more" },
	{ "\r", "more" },
	{ "", "more" },
};

START_TEST(request_accepted)
{
	const struct accepted *row = &accepted_requests[_i];

	check_head(request_verdict, slice_from_text(row->bytes), row->verdict,
	    row->bytes);
}
END_TEST

START_TEST(request_refused)
{
	const struct http_case *row = &refused_heads[_i];
	char expected[16];

	snprintf(expected, sizeof(expected), "refused %u",
	    probe_refusal_status(row->refusal));
	check_head(request_verdict, row->bytes, expected, row->name);
}
END_TEST

/* A head with a request line and a whole of these sizes. */
static void
make_head(struct buf *head, size_t line_size, size_t head_size)
{
	buf_append_text(head, "GET /");
	while (head->size < line_size - strlen(" HTTP/1.1"))
		buf_append_text(head, "a");
	buf_append_text(head, " HTTP/1.1\r\n" H "X: ");
	while (head->size < head_size - strlen("\r\n\r\n"))
		buf_append_text(head, "a");
	buf_append_text(head, "\r\n\r\n");
	ck_assert_uint_eq(head->size, head_size);
}

static const struct {
	size_t line_size;
	size_t head_size;
	const char *verdict;
} sizes[] = {
	{ 8192, 8300, NULL },
	{ 8193, 8300, "refused 414" },
	{ 8300, 16385, "refused 414" },
	{ 100, 16384, NULL },
	{ 100, 16385, "refused 431" },
	{ 100, 20000, "refused 431" },
};

START_TEST(request_sizes)
{
	struct buf head = { 0 };
	struct buf verdict = { 0 };

	make_head(&head, sizes[_i].line_size, sizes[_i].head_size);
	request_verdict(buf_slice(&head), &verdict);
	if (sizes[_i].verdict == NULL)
		ck_assert_uint_eq(
		    strtoul((char *)verdict.data, NULL, 10), head.size);
	else
		check_head(request_verdict, buf_slice(&head), sizes[_i].verdict,
		    "size");
	buf_release(&head);
	buf_release(&verdict);
}
END_TEST

static void
make_fields(struct buf *head, unsigned count)
{
	buf_append_text(head, "GET / HTTP/1.1\r\n" H);
	for (unsigned i = 1; i < count; i++)
		buf_append_text(head, "X: a\r\n");
	buf_append_text(head, "\r\n");
}

START_TEST(request_fields_max)
{
	struct buf head = { 0 };
	struct buf verdict = { 0 };

	make_fields(&head, HTTP_HEADERS_MAX);
	request_verdict(buf_slice(&head), &verdict);
	ck_assert(memcmp(verdict.data, "refused", 7) != 0);
	buf_reset(&head);
	make_fields(&head, HTTP_HEADERS_MAX + 1);
	check_head(
	    request_verdict, buf_slice(&head), "refused 431", "65 fields");
	buf_release(&head);
	buf_release(&verdict);
}
END_TEST

/* What can be answered before the reason to refuse: HEAD has no body. */
START_TEST(refused_keeps_what_was_understood)
{
	const struct slice bytes =
	    slice_from_text("HEAD /k?q HTTP/1.1\r\n\r\n");
	struct http_request_head head;
	struct http_parse_error error;

	ck_assert_int_eq(http_parse_request(bytes, &head, &error), ERR_INVALID);
	ck_assert_int_eq(head.method, HTTP_HEAD);
	ck_assert(slice_equal(head.path, slice_from_text("/k")));
	ck_assert_uint_eq(head.headers.count, 0);
	ck_assert_str_eq(error.detail, "there is no Host");
}
END_TEST

static const struct accepted responses[] = {
	{ "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
	    "38 200 length=3 [Content-Length:3]" },
	{ "HTTP/1.1 200 \r\n" TE "\r\n",
	    "45 200 chunked [Transfer-Encoding:chunked]" },
	{ "HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n",
	    "45 404 close [Connection:close]" },
	{ "HTTP/1.1 100 Continue\r\n\r\n", "25 100" },
	{ "HTTP/1.0 200 OK\r\n\r\n", "19 200 close" },
	{ "HTTP/1.1 599 \xc3\xa9\r\n\r\n", "19 599" },
	{ "HTTP/1.1 20", "more" },
	{ "", "more" },
	{ "\r\nHTTP/1.1 200 OK\r\n\r\n", "refused" },
	{ "ICY 200 OK\r\n\r\n", "refused" },
	{ "HTTP/1.1 200\r\n\r\n", "refused" },
	{ "HTTP/1.1  200 OK\r\n\r\n", "refused" },
	{ "HTTP/1.1 20 OK\r\n\r\n", "refused" },
	{ "HTTP/1.1 2000 OK\r\n\r\n", "refused" },
	{ "HTTP/1.1 099 OK\r\n\r\n", "refused" },
	{ "HTTP/1.1 600 OK\r\n\r\n", "refused" },
	{ "HTTP/1.1 2x0 OK\r\n\r\n", "refused" },
	{ "HTTP/1.1 +20 OK\r\n\r\n", "refused" },
	{ "HTTP/1.2 200 OK\r\n\r\n", "refused" },
	{ "HTTP/2.0 200 OK\r\n\r\n", "refused" },
	{ "HTTP/11 200 OK\r\n\r\n", "refused" },
	{ "HTTP/1.1 200 a\x01\r\n\r\n", "refused" },
	{ "HTTP/1.1 200 OK\n\r\n", "refused" },
	{ "HTTP/1.1 200 OK\r\nX : a\r\n\r\n", "refused" },
	{ "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", "refused" },
	{ "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n" TE "\r\n", "refused" },
	{ "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n"
	  "Content-Length: 1\r\n\r\n",
	    "refused" },
	{ "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "refused" },
	{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "refused" },
	{ "HTTP/1.0 200 OK\r\n" TE "\r\n", "refused" },
};

START_TEST(response)
{
	const struct accepted *row = &responses[_i];

	check_head(response_verdict, slice_from_text(row->bytes), row->verdict,
	    row->bytes);
}
END_TEST

/* The decoder keeps state: every cut in two, byte by byte, and truncated. */
static void
check_chunks(struct slice input, const char *expected, const char *name)
{
	struct buf verdict = { 0 };

	chunked_verdict(input, &verdict);
	check_text(&verdict, expected, name);
	verdict_at_edge(chunked_verdict, input, &verdict);
	check_text(&verdict, expected, name);
	chunked_verdict_in_pieces(input, 1, 1, &verdict);
	check_text(&verdict, expected, name);
	for (size_t cut = 1; cut < input.size; cut++) {
		chunked_verdict_in_pieces(input, cut, input.size, &verdict);
		check_text(&verdict, expected, name);
		verdict_at_edge(
		    chunked_verdict, slice_of(input.data, cut), &verdict);
	}
	buf_release(&verdict);
}

static const struct accepted accepted_chunks[] = {
	{ "0\r\n\r\n", "|5" },
	{ "0\r\n\r\nGET /", "|5" },
	{ "5\r\nhello\r\n0\r\n\r\n", "hello|15" },
	{ "5;a=b\r\nhello\r\n0;c\r\n\r\n", "hello|21" },
	{ "5;a=\"b c\"\r\nhello\r\n0\r\n\r\n", "hello|23" },
	{ "A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n",
	    "01234567890123456789|35" },
	{ "00000005\r\nhello\r\n00000000\r\n\r\n", "hello|29" },
	{ "1\r\n\r\r\n2\r\n\r\n\r\n0\r\n\r\n", "\r\r\n|18" },
	{ "0\r\nX: a\r\nY:\r\n\r\n", "|15" },
	{ "5\r\nhel", "hel|more" },
	{ "5\r\nhello\r\n0\r\nX: a\r\n", "hello|more" },
};

START_TEST(chunks_accepted)
{
	const struct accepted *row = &accepted_chunks[_i];

	check_chunks(slice_from_text(row->bytes), row->verdict, row->bytes);
}
END_TEST

START_TEST(chunks_refused)
{
	const struct http_case *row = &refused_chunks[_i];

	check_chunks(row->bytes, "refused", row->name);
}
END_TEST

static void
check_filled(const char *start, size_t count, const char *end, bool accepted)
{
	struct buf input = { 0 };
	struct buf verdict = { 0 };

	buf_append_text(&input, start);
	for (size_t i = 0; i < count; i++)
		buf_append_text(&input, "a");
	buf_append_text(&input, end);
	chunked_verdict(buf_slice(&input), &verdict);
	ck_assert_int_eq(
	    !slice_equal(buf_slice(&verdict), slice_from_text("refused")),
	    accepted);
	buf_release(&input);
	buf_release(&verdict);
}

START_TEST(chunk_extension_max)
{
	check_filled("5;", 1024, "\r\nhello\r\n0\r\n\r\n", true);
	check_filled("5;", 1025, "\r\nhello\r\n0\r\n\r\n", false);
}
END_TEST

START_TEST(chunk_trailers_max)
{
	check_filled("0\r\nX:", 8000, "\r\n\r\n", true);
	check_filled("0\r\nX:", 8192, "\r\n\r\n", false);
}
END_TEST

Suite *
http_parse_suite(void)
{
	Suite *suite = suite_create("http_parse");
	TCase *tests = tcase_create("http_parse");

	tcase_add_loop_test(
	    tests, request_accepted, 0, ARRAY_COUNT(accepted_requests));
	tcase_add_loop_test(
	    tests, request_refused, 0, ARRAY_COUNT(refused_heads));
	tcase_add_loop_test(tests, request_sizes, 0, ARRAY_COUNT(sizes));
	tcase_add_test(tests, request_fields_max);
	tcase_add_test(tests, refused_keeps_what_was_understood);
	tcase_add_loop_test(tests, response, 0, ARRAY_COUNT(responses));
	tcase_add_loop_test(
	    tests, chunks_accepted, 0, ARRAY_COUNT(accepted_chunks));
	tcase_add_loop_test(
	    tests, chunks_refused, 0, ARRAY_COUNT(refused_chunks));
	tcase_add_test(tests, chunk_extension_max);
	tcase_add_test(tests, chunk_trailers_max);
	suite_add_tcase(suite, tests);
	return suite;
}
