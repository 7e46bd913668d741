#ifndef NET_HTTP_CLIENT_IMPL_H
#define NET_HTTP_CLIENT_IMPL_H

/*
 * The inside of the HTTP client.
 *
 * http_client.c        connecting, sending, and every kind of end
 * http_client_reply.c  bytes to replies
 *
 *   CLOSED -> CONNECTING -> OPEN
 *     ^           |          |
 *     |           v          v
 *     +-------- FAILED <-----+
 *
 * FAILED has no socket any more. It lasts until its user can be told, which
 * is never from within a function that the user has called.
 */

#include "common/list.h"
#include "net/http_client.h"
#include "net/http_parse.h"

/* One pass reads as much as so many reads of this size give. */
#define HTTP_CLIENT_READ_SIZE      (16 * 1024)
#define HTTP_CLIENT_READS_PER_PASS 16
/* Larger buffers are given back when they are empty. */
#define HTTP_CLIENT_BUFFER_SIZE_KEPT (64 * 1024)

enum http_client_state {
	HTTP_CLIENT_CLOSED,
	HTTP_CLIENT_CONNECTING,
	HTTP_CLIENT_OPEN,
	HTTP_CLIENT_FAILED
};

/* A request under way. */
struct http_call {
	struct list link;
	enum http_method method;
	uint64_t deadline_us;
	uint64_t start; /* its first byte's place in all that was queued */
	http_client_reply_fn *fn;
	void *context;
};

struct http_client {
	struct loop *loop;
	struct http_client_params params;
	const struct http_client_ops *ops;
	void *context;

	enum http_client_state state;
	int fd;
	struct loop_io *io;
	struct buf host; /* for the field Host */
	uint64_t connect_deadline_us;
	int failure;  /* in FAILED: what to tell */
	bool refused; /* in FAILED: by whom */

	/* Callbacks on the stack; the client is not freed below them. */
	unsigned depth;
	bool freed;

	struct list calls; /* in the order of their replies */
	uint32_t calls_count;
	struct buf output;
	size_t output_sent;
	uint64_t queued_total;
	uint64_t sent_total;
	uint64_t received_total;

	struct buf input; /* of a reply's head, while it is not complete */
	bool in_body;
	struct http_response_head head;
	struct buf head_bytes; /* what head points into */
	struct buf body;
	uint64_t body_left; /* of Content-Length */
	struct http_chunked chunked;
};

/* http_client.c */

/* Ends the connection; its user is told when the stack has unwound. */
void http_client_fail(struct http_client *client, int error, bool refused);

/* http_client_reply.c */

/* Takes what the socket sent; calls the requests' ends. */
void http_client_on_bytes(struct http_client *client, struct slice bytes);

#endif
