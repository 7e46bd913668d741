#ifndef TESTS_UNIT_HTTP_STAGE_H
#define TESTS_UNIT_HTTP_STAGE_H

/*
 * A client, and a server that is nothing but two sockets: what it answers is
 * written by the test. What the client tells is written down, a line each:
 *
 *   open / closed / closed refused / closed -14
 *   1: 200 body / 1: -15 / 1: -15 unsent
 */

#include "common/buf.h"
#include "net/http_client.h"

/* The largest body that the client takes, and how long it tries to connect. */
#define HTTP_STAGE_REPLY_MAX          (256 * 1024)
#define HTTP_STAGE_CONNECT_TIMEOUT_US 2000000
/* What must happen happens in this time even on a machine under load. */
#define HTTP_STAGE_PATIENCE_US UINT64_C(60000000)
#define HTTP_STAGE_ASKS_MAX    16

/* The head of an answer with so many bytes. */
#define OK(size) "HTTP/1.1 200 OK\r\nContent-Length: " #size "\r\n\r\n"

struct http_stage;

/* The context of one request. */
struct http_stage_ask {
	struct http_stage *stage;
	unsigned number;
};

struct http_stage {
	struct loop *loop;
	struct http_client *client;
	int listener; /* -1 once it is closed */
	int server;   /* the accepted connection; -1 */
	char address[32];
	struct buf events;
	struct buf requests; /* what the server has received */
	struct http_stage_ask asks[HTTP_STAGE_ASKS_MAX];

	/* What a reply's end does besides writing it down. */
	bool reply_closes;
	bool reply_frees;
	bool reply_repeats;
	bool closed_reconnects;
};

/* A client that has not begun to connect; the stage must not move. */
void http_stage_begin(struct http_stage *stage);
/* One that is connected, and one with request 1 at the server besides. */
void http_stage_begin_open(struct http_stage *stage);
void http_stage_begin_asked(struct http_stage *stage, enum http_method method);
void http_stage_end(struct http_stage *stage);

/* As server.c drives a client; the server accepts and receives. */
void http_stage_turn(struct http_stage *stage);
/* Turns until nothing can be under way any more: loopback delivers at once. */
void http_stage_settle(struct http_stage *stage);
/* Turns until so much has been written down, compares it and forgets it. */
void http_stage_await_events(struct http_stage *stage, const char *expected);

/* Request `number`, for /number and without a body; it waits for ever. */
void http_stage_ask(
    struct http_stage *stage, unsigned number, enum http_method method);
/* The same as a GET that waits until this time. */
void http_stage_ask_until(
    struct http_stage *stage, unsigned number, uint64_t deadline_us);
/* A request with these fields and a body of so many parts. */
void http_stage_put(struct http_stage *stage, unsigned number,
    enum http_method method, const char *target, const char *fields,
    const struct slice *body, unsigned parts_count);

/* The server sends, all of it at once, or closes its connection. */
void http_stage_serve(struct http_stage *stage, const char *bytes);
void http_stage_hang_up(struct http_stage *stage);

#endif
