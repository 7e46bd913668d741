#ifndef TESTS_UNIT_HTTP_SITE_H
#define TESTS_UNIT_HTTP_SITE_H

/*
 * A probe with one client, and what that client has received: what most tests
 * of the server need. A test that takes several clients uses a probe as it is.
 */

#include "tests/unit/http_probe.h"

/* The one field that every request must have, and requests made of it. */
#define HOST    "Host: a\r\n"
#define GET(k)  "GET " k " HTTP/1.1\r\n" HOST "\r\n"
#define CHUNKED "PUT /k HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
/* The begin of those whose body comes in parts, up to further fields. */
#define PARTS(size)                                                            \
	"PUT /parts HTTP/1.1\r\n" HOST "Content-Length: " #size "\r\n"
#define PARTS_CHUNKED                                                          \
	"PUT /parts HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n"

struct http_site {
	struct probe probe;
	int fd; /* the client's socket; -1 once it is closed */
	struct buf received;
};

/* Starts a server with probe_params, or these; the client is connected. */
void http_site_begin(struct http_site *site);
void http_site_begin_with(
    struct http_site *site, const struct http_server_params *params);

/* The same; requests are held, and this one has been received. */
void http_site_begin_held(struct http_site *site,
    const struct http_server_params *params, const char *text);
/* And the answer to it has begun, as a stream; no events so far. */
struct http_request *http_site_begin_stream(struct http_site *site,
    const struct http_server_params *params, const char *text);

/* The client closes, and the server has no connection left. */
void http_site_end(struct http_site *site);
/* The same while requests may be under way: they are abandoned. */
void http_site_stop(struct http_site *site);
/* The client closes, and the server has seen it. */
void http_site_leave(struct http_site *site);

void http_site_say(struct http_site *site, const char *text);
/* The same, and the server has it. */
void http_site_tell(struct http_site *site, const char *text);
void http_site_hear(struct http_site *site, const char *text);
/* The server closes; what was heard until then stays in `received`. */
void http_site_hear_end(struct http_site *site);
/* Nothing but what was heard so far has arrived. */
void http_site_hear_nothing(struct http_site *site);
/* As probe_check_last_answer. */
void http_site_check_last_answer(struct http_site *site, unsigned status);

#endif
