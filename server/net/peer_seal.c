#include "net/peer_impl.h"

#include "common/hash.h"

#include <stdio.h>

/*
 * A CRC over all that a forwarded request or its answer says, in the form in
 * which it is sent: TCP's checksum misses one damage in 65,536, and a digit
 * that became another one is still HTTP. It is the last header before
 * Content-Length. Host is left out: it is the connection's.
 *
 *	PUT /kv/a?x=1 CRLF              HTTP/1.1 200 OK CRLF
 *	Name: value CRLF ...            Name: value CRLF ...
 *	CRLF body                       CRLF body
 */

static uint32_t
add_text(uint32_t crc, const char *text)
{
	return crc32c(crc, slice_from_text(text));
}

static uint32_t
add_body(uint32_t crc, struct slice body)
{
	return crc32c(add_text(crc, "\r\n"), body);
}

/* Those before the seal, as they were sent. */
static uint32_t
add_headers(uint32_t crc, const struct http_headers *headers)
{
	for (unsigned i = 0; i < headers->count; i++) {
		const struct http_header *header = &headers->header[i];

		if (http_name_is(header->name, PEER_CRC_HEADER))
			break;
		if (http_name_is(header->name, "Host"))
			continue;
		crc = crc32c(crc, header->name);
		crc = add_text(crc, ": ");
		crc = crc32c(crc, header->value);
		crc = add_text(crc, "\r\n");
	}
	return crc;
}

/* ---- Requests ---- */

static uint32_t
begin_request(enum http_method method)
{
	return add_text(add_text(0, http_method_name(method)), " ");
}

void
peer_seal_request(struct buf *headers, enum http_method method,
    struct slice target, struct slice body)
{
	uint32_t crc = crc32c(begin_request(method), target);
	char text[PEER_CRC_TEXT_SIZE];

	crc = add_text(crc, "\r\n");
	crc = crc32c(crc, buf_slice(headers));
	peer_crc_text(add_body(crc, body), text);
	buf_printf(headers, PEER_CRC_HEADER ": %s\r\n", text);
}

bool
peer_request_is_sealed(const struct http_request *request)
{
	uint32_t crc = crc32c(begin_request(request->method), request->path);

	if (request->query.size > 0)
		crc = crc32c(add_text(crc, "?"), request->query);
	crc = add_headers(add_text(crc, "\r\n"), request->headers);
	return peer_crc_is_right(
	    http_header_get(request->headers, PEER_CRC_HEADER),
	    add_body(crc, request->body));
}

/* ---- Answers ---- */

void
peer_seal_answer(struct http_request *request, struct slice body)
{
	uint32_t crc = crc32c(0, http_reply_head(request));
	char text[PEER_CRC_TEXT_SIZE];

	peer_crc_text(add_body(crc, body), text);
	http_reply_header(request, PEER_CRC_HEADER, slice_from_text(text));
}

bool
peer_answer_is_sealed(const struct http_client_reply *reply)
{
	char line[64];
	uint32_t crc;

	(void)snprintf(line, sizeof(line), "HTTP/1.1 %u %s\r\n", reply->status,
	    http_status_phrase(reply->status));
	crc = add_headers(add_text(0, line), reply->headers);
	return peer_crc_is_right(
	    http_header_get(reply->headers, PEER_CRC_HEADER),
	    add_body(crc, reply->body));
}
