#include "common/err.h"
#include "common/macros.h"
#include "common/panic.h"
#include "net/http_parse_impl.h"
#include <strings.h>

/* What a host with its port is made of (RFC 3986 section 3.2), but for the
 * comma, so that no list of hosts passes for one. */
static const uint64_t host_bytes[4] = {
	UINT64_C(0x2fff6ff200000000),
	UINT64_C(0x47fffffeaffffffe),
};

static const enum http_method methods[] = { HTTP_GET, HTTP_PUT, HTTP_POST,
	HTTP_HEAD, HTTP_DELETE, HTTP_OPTIONS };

/*
 * RFC 9112 section 2.2: one empty line before a request is forgiven, since
 * some clients send it behind a body.
 */
static size_t
leading_crlf_size(struct slice input)
{
	if (input.size >= 2 && input.data[0] == '\r' && input.data[1] == '\n')
		return 2;
	return 0;
}

int
http_parse_request_size(struct slice input,
    const struct http_parse_limits *limits, struct http_parse_error *ret_error,
    size_t *ret_size)
{
	size_t first = leading_crlf_size(input);

	if (input.size == first || (input.size == 1 && input.data[0] == '\r')) {
		*ret_size = 0;
		return 0;
	}
	/* Also what a TLS client sends to this port is told so at once. */
	if (!http_is_token_byte(input.data[first]))
		return http_parse_refuse(ret_error, HTTP_REFUSE_MALFORMED,
		    "the request does not begin with a method");
	return http_parse_head_size(input, first, limits, ret_error, ret_size);
}

static bool
is_host(struct slice text)
{
	for (size_t i = 0; i < text.size; i++) {
		uint8_t byte = text.data[i];

		if ((host_bytes[byte / 64] >> (byte % 64) & 1) == 0)
			return false;
	}
	return true;
}

/* Takes everything before the first blank, and the blank, off the line. */
static bool
take_word(struct slice *line, struct slice *ret_word)
{
	const uint8_t *blank = memchr(line->data, ' ', line->size);

	if (blank == NULL)
		return false;
	*ret_word = slice_of(line->data, (size_t)(blank - line->data));
	*line = slice_of(blank + 1, line->size - ret_word->size - 1);
	return true;
}

static int
parse_version(struct slice version, struct http_request_head *head,
    struct http_parse_error *error)
{
	const uint8_t *text = version.data;

	if (version.size != strlen("HTTP/1.1") ||
	    memcmp(text, "HTTP/", strlen("HTTP/")) != 0 || text[6] != '.' ||
	    text[5] < '0' || text[5] > '9' || text[7] < '0' || text[7] > '9')
		return http_parse_refuse(error, HTTP_REFUSE_MALFORMED,
		    "the request line does not end in an HTTP version");
	if (text[5] != '1' || text[7] > '1')
		return http_parse_refuse(error, HTTP_REFUSE_VERSION,
		    "only HTTP/1.1 and HTTP/1.0 are understood");
	head->minor_version = (unsigned)(text[7] - '0');
	return 0;
}

static int
parse_method(struct slice word, struct http_request_head *head,
    struct http_parse_error *error)
{
	for (size_t i = 0; i < word.size; i++) {
		if (!http_is_token_byte(word.data[i]))
			return http_parse_refuse(error, HTTP_REFUSE_MALFORMED,
			    "the method is not a word");
	}
	for (size_t i = 0; i < ARRAY_COUNT(methods); i++) {
		if (slice_equal(
			word, slice_from_text(http_method_name(methods[i])))) {
			head->method = methods[i];
			return 0;
		}
	}
	return http_parse_refuse(
	    error, HTTP_REFUSE_METHOD, "the method is not known");
}

/* Takes "http://" or "https://" off the front of the target. */
static bool
take_scheme(struct slice *target)
{
	static const char *const schemes[] = { "http://", "https://" };

	for (size_t i = 0; i < ARRAY_COUNT(schemes); i++) {
		size_t size = strlen(schemes[i]);

		if (target->size < size ||
		    strncasecmp((const char *)target->data, schemes[i], size) !=
			0)
			continue;
		*target = slice_of(target->data + size, target->size - size);
		return true;
	}
	return false;
}

/* RFC 9112 section 3.2.2: the host is `ret_host`, whatever Host says. */
static bool
take_authority(struct slice *target, struct slice *ret_host)
{
	size_t size = 0;

	while (size < target->size && target->data[size] != '/' &&
	       target->data[size] != '?')
		size++;
	*ret_host = slice_of(target->data, size);
	*target = slice_of(target->data + size, target->size - size);
	return size > 0 && is_host(*ret_host);
}

static void
split_target(struct slice target, struct http_request_head *head)
{
	const uint8_t *mark =
	    target.size == 0 ? NULL : memchr(target.data, '?', target.size);

	head->path = target;
	head->query = slice_of(target.data + target.size, 0);
	if (mark == NULL)
		return;
	head->path.size = (size_t)(mark - target.data);
	head->query = slice_of(mark + 1, target.size - head->path.size - 1);
}

static int
parse_target(struct slice target, struct http_request_head *head,
    struct slice *host, struct http_parse_error *error)
{
	for (size_t i = 0; i < target.size; i++) {
		uint8_t byte = target.data[i];

		if (byte < 0x20 || byte == 0x7f || byte == '#')
			return http_parse_refuse(error, HTTP_REFUSE_MALFORMED,
			    "the target contains a character that must be "
			    "percent-encoded");
	}
	if (slice_equal(target, slice_from_text("*")) &&
	    head->method == HTTP_OPTIONS) {
		split_target(target, head);
		return 0;
	}
	if (take_scheme(&target)) {
		if (!take_authority(&target, host))
			return http_parse_refuse(error, HTTP_REFUSE_MALFORMED,
			    "the target has no good host");
		split_target(target, head);
		if (head->path.size == 0)
			head->path = slice_from_text("/");
		return 0;
	}
	if (target.size == 0 || target.data[0] != '/')
		return http_parse_refuse(error, HTTP_REFUSE_MALFORMED,
		    "the target does not begin with '/'");
	split_target(target, head);
	return 0;
}

static int
parse_request_line(struct slice line, struct http_request_head *head,
    struct slice *host, struct http_parse_error *error)
{
	struct slice method;
	struct slice target;

	if (!take_word(&line, &method) || !take_word(&line, &target) ||
	    method.size == 0)
		return http_parse_refuse(error, HTTP_REFUSE_MALFORMED,
		    "the request line is not method, target and version");
	if (parse_version(line, head, error) != 0 ||
	    parse_method(method, head, error) != 0 ||
	    parse_target(target, head, host, error) != 0)
		return ERR_INVALID;
	return 0;
}

static int
check_host(struct http_request_head *head, struct slice host,
    struct http_parse_error *error)
{
	struct http_header *found = NULL;

	for (unsigned i = 0; i < head->headers.count; i++) {
		struct http_header *header = &head->headers.header[i];

		if (!http_name_is(header->name, "Host"))
			continue;
		if (found != NULL)
			return http_parse_refuse(error, HTTP_REFUSE_MALFORMED,
			    "there is more than one Host");
		found = header;
	}
	if (found == NULL) {
		if (head->minor_version == 0)
			return 0;
		return http_parse_refuse(
		    error, HTTP_REFUSE_MALFORMED, "there is no Host");
	}
	if (!is_host(found->value))
		return http_parse_refuse(
		    error, HTTP_REFUSE_MALFORMED, "Host is not a host");
	if (host.size > 0)
		found->value = host;
	return 0;
}

static int
check_fields(struct http_request_head *head, struct http_parse_error *error)
{
	for (unsigned i = 0; i < head->headers.count; i++) {
		const struct http_header *header = &head->headers.header[i];

		if (http_name_is(header->name, "Upgrade"))
			return http_parse_refuse(error, HTTP_REFUSE_MALFORMED,
			    "no other protocol can be upgraded to");
		/* RFC 9110 section 10.1.1: HTTP/1.0 did not know it. */
		if (!http_name_is(header->name, "Expect") ||
		    head->minor_version == 0)
			continue;
		if (!http_name_is(header->value, "100-continue"))
			return http_parse_refuse(error, HTTP_REFUSE_EXPECTATION,
			    "only '100-continue' can be expected");
		head->expects_continue = true;
	}
	return 0;
}

static bool
may_have_body(enum http_method method)
{
	return method != HTTP_GET && method != HTTP_HEAD &&
	       method != HTTP_DELETE;
}

int
http_parse_request(struct slice input, struct http_request_head *head,
    struct http_parse_error *ret_error)
{
	size_t first = leading_crlf_size(input);
	struct slice lines = slice_of(input.data + first, input.size - first);
	struct slice line = http_parse_first_line(&lines);
	struct slice host = { .data = NULL };

	head->method = HTTP_GET;
	head->minor_version = 1;
	head->expects_continue = false;
	head->path = slice_of(input.data, 0);
	head->query = slice_of(input.data, 0);
	head->framing = (struct http_framing){ .keep_alive = false };
	head->headers.count = 0;
	if (parse_request_line(line, head, &host, ret_error) != 0 ||
	    http_parse_fields(lines, &head->headers, ret_error) != 0 ||
	    check_host(head, host, ret_error) != 0 ||
	    http_parse_framing(&head->headers, head->minor_version,
		&head->framing, ret_error) != 0 ||
	    check_fields(head, ret_error) != 0)
		return ERR_INVALID;
	if (!may_have_body(head->method) &&
	    (head->framing.chunked || head->framing.content_length > 0))
		return http_parse_refuse(ret_error, HTTP_REFUSE_MALFORMED,
		    "a request with this method has no body");
	return 0;
}
