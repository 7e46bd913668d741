#ifndef NET_HTTP_PARSE_H
#define NET_HTTP_PARSE_H

/*
 * The HTTP/1.1 grammar (RFC 9110, RFC 9112), read strictly. Two readers of
 * one byte stream that disagree about where a message ends are how requests
 * are smuggled; so whatever could be read in two ways is refused, and nothing
 * is read behind what was refused:
 *
 *  - a line that does not end in CRLF; a control character, DEL or NUL
 *    anywhere in the head, but for a tab in a value
 *  - a request line that is not method, target, version with one blank each
 *  - a method that is not one of enum http_method; a version other than
 *    HTTP/1.0 and HTTP/1.1
 *  - a target that is neither "/..." nor "http://host/...", nor "*" of OPTIONS
 *  - a field line with a blank before the colon, an empty or odd name, or
 *    folded
 *  - HTTP/1.1 without exactly one Host, HTTP/1.0 with more than one
 *  - Content-Length twice, or not of digits only; Transfer-Encoding twice,
 *    with Content-Length, in HTTP/1.0, or other than "chunked"
 *  - a body behind GET, HEAD or DELETE; Upgrade; an Expect that is not
 *    100-continue
 *  - a chunk size that is not 1 to 8 hex digits; a chunk that does not end
 *    in CRLF; malformed trailers
 *
 * The parsers hold no state, allocate nothing and lend out slices of their
 * input. Cutting a stream into pieces never changes what they say about it.
 */

#include "common/macros.h"
#include "net/http.h"

struct http_parse_limits {
	size_t first_line_size_max; /* without its CRLF */
	size_t head_size_max;
};

/* Why a message was refused. */
struct http_parse_error {
	enum http_refusal refusal;
	const char *detail; /* a short phrase; static storage */
};

/* Where the body ends, and whether another message may follow. */
struct http_framing {
	bool chunked;
	bool has_content_length;
	bool keep_alive;
	uint64_t content_length; /* UINT64_MAX stands for anything larger */
};

struct http_request_head {
	enum http_method method;
	unsigned minor_version; /* of HTTP/1: 0 or 1 */
	bool expects_continue;
	struct slice path; /* begins with '/', or is "*" */
	struct slice query;
	struct http_framing framing;
	struct http_headers headers;
};

struct http_response_head {
	unsigned status;
	struct http_framing framing;
	struct http_headers headers;
};

/*
 * The size of the head that `input` begins with, its blank line included; 0
 * if it is not complete yet. ERR_INVALID if no bytes that follow can make it a
 * good one, with the reason.
 */
int http_parse_request_size(struct slice input,
    const struct http_parse_limits *limits, struct http_parse_error *ret_error,
    size_t *ret_size) ATTR_MUST_CHECK;
int http_parse_response_size(struct slice input,
    const struct http_parse_limits *limits, struct http_parse_error *ret_error,
    size_t *ret_size) ATTR_MUST_CHECK;

/*
 * Reads a complete head: what http_parse_request_size has measured, to the
 * byte. Slices point into it. ERR_INVALID with the reason; then *head is what
 * was understood until there and can be answered.
 */
int http_parse_request(struct slice input, struct http_request_head *head,
    struct http_parse_error *ret_error) ATTR_MUST_CHECK;
/* As above; *head is undefined after an error. */
int http_parse_response(struct slice input, struct http_response_head *head,
    struct http_parse_error *ret_error) ATTR_MUST_CHECK;

enum http_chunked_state {
	HTTP_CHUNKED_SIZE, /* zero: the beginning */
	HTTP_CHUNKED_EXTENSION,
	HTTP_CHUNKED_SIZE_LF,
	HTTP_CHUNKED_DATA,
	HTTP_CHUNKED_DATA_CR,
	HTTP_CHUNKED_DATA_LF,
	HTTP_CHUNKED_TRAILER,
	HTTP_CHUNKED_TRAILER_NAME,
	HTTP_CHUNKED_TRAILER_VALUE,
	HTTP_CHUNKED_TRAILER_LF,
	HTTP_CHUNKED_END_LF,
	HTTP_CHUNKED_DONE
};

/* The decoder of one chunked body; zeroed, it is at the body's beginning. */
struct http_chunked {
	enum http_chunked_state state;
	unsigned digits_count;
	uint32_t extra_size; /* of this chunk's extension, or of trailers */
	uint64_t chunk_left;
};

/*
 * Takes bytes off the front of `input` up to the end of the body or of the
 * next piece of data, which it returns in `ret_data` (empty if it needs more
 * input). Call it until `input` is empty or the state is HTTP_CHUNKED_DONE;
 * what is left of `input` then belongs to the next message. Trailers are
 * checked and dropped. ERR_INVALID with a phrase.
 */
int http_chunked_decode(struct http_chunked *chunked, struct slice *input,
    struct slice *ret_data, const char **ret_detail) ATTR_MUST_CHECK;

#endif
