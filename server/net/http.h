#ifndef NET_HTTP_H
#define NET_HTTP_H

/* What HTTP/1.1 server and client share (RFC 9110, RFC 9112). */

#include "common/slice.h"

enum http_method {
	HTTP_GET,
	HTTP_HEAD,
	HTTP_PUT,
	HTTP_POST,
	HTTP_DELETE,
	HTTP_OPTIONS
};

/* "GET" ...; static storage. */
const char *http_method_name(enum http_method method);

/* "Not Found" for 404; "" for a status without a phrase here. */
const char *http_status_phrase(unsigned status);

/* Why a request is refused before anybody's handler sees it. */
enum http_refusal {
	HTTP_REFUSE_MALFORMED,            /* 400 */
	HTTP_REFUSE_HEADER_TIMEOUT,       /* 408 */
	HTTP_REFUSE_BODY_TIMEOUT,         /* 408 */
	HTTP_REFUSE_BODY_TOO_LARGE,       /* 413 */
	HTTP_REFUSE_TARGET_TOO_LONG,      /* 414 */
	HTTP_REFUSE_EXPECTATION,          /* 417 */
	HTTP_REFUSE_HEADERS_TOO_LARGE,    /* 431 */
	HTTP_REFUSE_METHOD,               /* 501: not one of http_method */
	HTTP_REFUSE_TRANSFER_CODING,      /* 501 */
	HTTP_REFUSE_TOO_MANY_CONNECTIONS, /* 503 */
	HTTP_REFUSE_TOO_MUCH_INPUT,       /* 503 */
	HTTP_REFUSE_VERSION               /* 505 */
};

#define HTTP_HEADERS_MAX 64

struct http_header {
	struct slice name;  /* as received; compared without case */
	struct slice value; /* without surrounding blanks */
};

struct http_headers {
	unsigned count;
	struct http_header header[HTTP_HEADERS_MAX];
};

/* Free of control characters, tabs as well. */
bool http_text_is_clean(struct slice text);

/* True for the same name but for the case of ASCII letters. */
bool http_name_is(struct slice name, const char *text);

/*
 * The value of the first header of this name (compared without case); a slice
 * with data NULL if there is none. An empty value has data != NULL.
 */
struct slice
http_header_get(const struct http_headers *headers, const char *name);

#endif
