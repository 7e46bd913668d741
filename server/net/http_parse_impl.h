#ifndef NET_HTTP_PARSE_IMPL_H
#define NET_HTTP_PARSE_IMPL_H

/* What the parsers of requests and of responses share. */

#include "net/http_parse.h"

/* RFC 9110 section 5.6.2: what methods and field names are made of. */
bool http_is_token_byte(uint8_t byte);
/* -1 for anything but a hex digit of either case. */
int http_hex_value(uint8_t digit);
/* What a field value, or the text of a status line, may contain. */
bool http_is_text_byte(uint8_t byte);

/* Sets *error; returns ERR_INVALID, to be returned. */
int http_parse_refuse(struct http_parse_error *error, enum http_refusal refusal,
    const char *detail);

/*
 * As http_parse_request_size, for a head whose first line begins at `first`.
 */
int http_parse_head_size(struct slice input, size_t first,
    const struct http_parse_limits *limits, struct http_parse_error *error,
    size_t *ret_size);

/*
 * Takes the first line, without its CRLF, off the front of a complete head.
 */
struct slice http_parse_first_line(struct slice *head);

/* Reads the field lines of a complete head, up to its blank line. */
int http_parse_fields(struct slice lines, struct http_headers *headers,
    struct http_parse_error *error);

/* Content-Length, Transfer-Encoding and Connection. */
int
http_parse_framing(const struct http_headers *headers, unsigned minor_version,
    struct http_framing *framing, struct http_parse_error *error);

#endif
