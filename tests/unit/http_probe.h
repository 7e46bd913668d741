#ifndef TESTS_HTTP_PROBE_H
#define TESTS_HTTP_PROBE_H

/*
 * A server and its clients in one process: raw sockets on loopback, with the
 * server's turn called by hand, so that nothing needs to sleep. What the
 * server asks of its user is written down as text, a line each:
 *
 *   GET /k?q body        a request
 *   refused 414 8192 http.max-target-bytes
 *   abandoned /k
 *   drained /k
 *   part abc             of a body below /parts; "part abc." is the last
 */

#include "common/buf.h"
#include "net/http_server.h"

#define PROBE_PENDING_MAX 128
#define PROBE_BODY_MAX    (1024 * 1024)

struct probe {
	struct loop *loop;
	struct http_server *server;
	struct buf events;

	/* Answered by probe_turn unless `hold`, or at once if `at_once`. */
	struct http_request *pending[PROBE_PENDING_MAX];
	unsigned pending_count;
	bool hold;
	bool at_once;
	bool quiet_parts; /* parts are noted below alone, not as events */
	bool pipelining;  /* every connection is a peer's */
	bool protecting;  /* requests are of peers */
	/* Requests are answered with a stream at once, and not noted. */
	bool crowd;
	/* What is done besides noting it; may be NULL. */
	void (*on_request)(struct probe *probe, struct http_request *request);
	void (*on_drained)(struct probe *probe, struct http_request *request);
	void (*on_part)(
	    struct probe *probe, struct http_request *request, bool last);

	unsigned status;        /* of answers; 200 */
	size_t answer_size;     /* 0: the answer repeats path or body */
	unsigned requests;      /* seen */
	unsigned abandoned;     /* seen */
	unsigned refused;       /* seen */
	size_t refused_at;      /* what there was of `events` behind the last */
	unsigned refused_parts; /* parts_count then */
	unsigned released;      /* contexts of connections */
	struct buf parts;       /* what came in parts */
	unsigned parts_count;
	size_t part_size_max; /* the largest */
};

/* What every test starts from; change it before probe_start. */
extern const struct http_server_params probe_params;

void probe_start(struct probe *probe, const struct http_server_params *params);
void probe_stop(struct probe *probe);

/* As server.c drives it: pass, expire, answer, flush. */
void probe_turn(struct probe *probe);
/* Turns until nothing can be under way any more: loopback delivers at once. */
void probe_settle(struct probe *probe);
/* Answers the pending request at this place. */
void probe_answer(struct probe *probe, unsigned place);
/* Begins a streamed answer to the pending request at this place, which stays
 * there. */
struct http_request *probe_stream(struct probe *probe, unsigned place);
/* Gives it a text, or so many bytes, each of which tells its place; false: it
 * is to wait. */
bool probe_give(struct http_request *request, const char *text);
bool probe_give_size(struct http_request *request, size_t size);
/* Gives until the socket takes no more and so much is unsent; no events so
 * far. */
void probe_get_behind(
    struct probe *probe, struct http_request *request, size_t unsent);
/* Ends or cuts it. */
void probe_finish(struct probe *probe, struct http_request *request);
void probe_cut(struct probe *probe, struct http_request *request);
/* Lets this time pass. */
void probe_expire(struct probe *probe, uint64_t now_us);
/* Waits until the clock says so: for times that the server reads itself. */
void probe_await_time(struct probe *probe, uint64_t time_us);

/* A client's socket. */
int probe_connect(const struct probe *probe);
/* Sends all, with turns in between; stops when the server has hung up. */
void probe_send(struct probe *probe, int fd, struct slice bytes);
void probe_send_text(struct probe *probe, int fd, const char *text);
/* Sends `start` and then so many times "a". */
void
probe_send_filled(struct probe *probe, int fd, const char *start, size_t count);
/* Appends what has arrived; false at the end of the stream or a reset. */
bool probe_receive(int fd, struct buf *to);
/* Turns until `to` ends in `text`, or has it anywhere. */
void
probe_await_text(struct probe *probe, int fd, struct buf *to, const char *text);
void probe_await_size(struct probe *probe, int fd, struct buf *to, size_t size);
/* Turns until the server has closed; the socket is closed as well. */
void probe_await_end(struct probe *probe, int fd, struct buf *to);
/*
 * The answer to what was sent has this status and is the last; the socket is
 * closed as well.
 */
void probe_check_last_answer(struct probe *probe, int fd, unsigned status);
/* The server has neither sent anything nor closed. */
void probe_check_open(int fd);

/* Turns until the server has so many connections. */
void probe_await_connections(struct probe *probe, uint32_t count);

/* The status that a refusal stands for. */
unsigned probe_refusal_status(enum http_refusal refusal);

/* How often `text` occurs. */
unsigned probe_count(const struct buf *bytes, const char *text);
/* The events so far are this text; they are forgotten. */
void probe_check_events(struct probe *probe, const char *expected);

#endif
