/*
 * Load for one writer and many watchers: how many events a second reach them,
 * and how long after the write began.
 *
 *	fanout luminous|etcd PORT WATCHERS SECONDS
 *
 * Prints "events/s p50_us p99_us writes/s errors". Every value is the time at
 * which its write was begun, so that whoever sees it knows its age. The writer
 * has one request under way. Both speak HTTP to 127.0.0.1: Luminous NDJSON, and
 * etcd its JSON gateway, where keys and values are base64.
 */

#include "common/base64.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/mem.h"
#include "common/panic.h"
#include "common/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY "fanout"
/* Delays are counted in steps of this, up to a second. */
#define DELAY_STEP_US UINT64_C(10)
#define DELAYS_COUNT  100000

struct load {
	bool etcd;
	struct sockaddr_in address;
	struct event_base *base;
	struct bufferevent *writer;
	struct buf request;
	unsigned watchers_count;
	unsigned watching_count; /* whose answer has begun */
	uint64_t began_us;       /* 0: not all are watching yet */
	uint64_t events_count;
	uint64_t writes_count;
	uint64_t errors_count;
	uint64_t delays[DELAYS_COUNT];
};

struct watcher {
	struct load *load;
	bool watching;
};

static void
append_member(struct load *load, const char *name, const char *text)
{
	buf_printf(&load->request, "\"%s\":\"", name);
	base64_encode(&load->request, slice_from_text(text));
	buf_append_text(&load->request, "\"");
}

static void
append_head(
    struct load *load, const char *method, const char *target, size_t body_size)
{
	buf_printf(&load->request,
	    "%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n",
	    method, target, body_size);
}

/* A request with a JSON body, which is in load->request; to etcd. */
static void
wrap_body(struct load *load, const char *target)
{
	struct buf body = load->request;

	load->request = (struct buf){ 0 };
	append_head(load, "POST", target, body.size);
	buf_append_slice(&load->request, buf_slice(&body));
	buf_release(&body);
}

static void
write_again(struct load *load)
{
	char now[24];

	snprintf(now, sizeof(now), "%" PRIu64, clock_monotonic_us());
	buf_reset(&load->request);
	if (load->etcd) {
		buf_append_text(&load->request, "{");
		append_member(load, "key", KEY);
		buf_append_text(&load->request, ",");
		append_member(load, "value", now);
		buf_append_text(&load->request, "}");
		wrap_body(load, "/v3/kv/put");
	} else {
		append_head(load, "PUT", "/kv/" KEY, strlen(now));
		buf_append_text(&load->request, now);
	}
	bufferevent_write(load->writer, load->request.data, load->request.size);
}

static bool
take_answer(struct evbuffer *input)
{
	struct evbuffer_ptr end = evbuffer_search(input, "\r\n\r\n", 4, NULL);
	size_t size;
	char *head;
	char *length;

	if (end.pos < 0)
		return false;
	size = (size_t)end.pos + 4;
	head = mem_zalloc(1, size + 1);
	evbuffer_copyout(input, head, size);
	length = strcasestr(head, "content-length:");
	if (length != NULL)
		size += strtoul(length + 15, NULL, 10);
	if (memcmp(head, "HTTP/1.1 20", 11) != 0)
		fatal("a write was refused: %.60s", head);
	free(head);
	if (evbuffer_get_length(input) < size)
		return false;
	evbuffer_drain(input, size);
	return true;
}

static void
on_writer_read(struct bufferevent *bev, void *context)
{
	struct load *load = context;

	if (!take_answer(bufferevent_get_input(bev)))
		return;
	load->writes_count++;
	write_again(load);
}

/* The time in the value of an event; 0: it is none. */
static uint64_t
read_value(const struct load *load, const char *line)
{
	const char *value = strstr(line, "\"value\":\"");
	struct buf bytes = { 0 };
	uint64_t time = 0;
	const char *end;

	if (value == NULL)
		return 0;
	value += strlen("\"value\":\"");
	end = strchr(value, '"');
	if (!load->etcd || end == NULL)
		return strtoull(value, NULL, 10);
	if (base64_decode(&bytes, slice_of(value, (size_t)(end - value))) ==
	    0) {
		buf_append(&bytes, "", 1);
		time = strtoull((const char *)bytes.data, NULL, 10);
	}
	buf_release(&bytes);
	return time;
}

static void
count_event(struct load *load, uint64_t written_us)
{
	uint64_t delay = (clock_monotonic_us() - written_us) / DELAY_STEP_US;

	load->events_count++;
	load->delays[delay < DELAYS_COUNT ? delay : DELAYS_COUNT - 1]++;
}

static void
begin_if_all_watch(struct load *load)
{
	if (load->watching_count < load->watchers_count || load->began_us != 0)
		return;
	load->began_us = clock_monotonic_us();
	write_again(load);
}

static void
on_watcher_read(struct bufferevent *bev, void *context)
{
	struct watcher *watcher = context;
	struct load *load = watcher->load;
	struct evbuffer *input = bufferevent_get_input(bev);
	char *line;

	if (!watcher->watching) {
		watcher->watching = true;
		load->watching_count++;
		begin_if_all_watch(load);
	}
	while ((line = evbuffer_readln(input, NULL, EVBUFFER_EOL_LF)) != NULL) {
		uint64_t written_us = read_value(load, line);

		if (written_us >= load->began_us && load->began_us != 0)
			count_event(load, written_us);
		free(line);
	}
}

static void
on_end(struct bufferevent *bev, short what, void *context)
{
	struct load *load = context;

	(void)bev;
	if ((what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) != 0)
		load->errors_count++;
}

static void
on_watcher_end(struct bufferevent *bev, short what, void *context)
{
	struct watcher *watcher = context;

	on_end(bev, what, watcher->load);
}

static struct bufferevent *
connect_to(struct load *load)
{
	struct bufferevent *bev =
	    bufferevent_socket_new(load->base, -1, BEV_OPT_CLOSE_ON_FREE);
	int on = 1;

	if (bev == NULL ||
	    bufferevent_socket_connect(bev, (struct sockaddr *)&load->address,
		sizeof(load->address)) != 0)
		fatal("cannot connect: %s", strerror(errno));
	(void)setsockopt(
	    bufferevent_getfd(bev), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return bev;
}

static void
watch(struct load *load, struct watcher *watcher)
{
	struct bufferevent *bev = connect_to(load);

	watcher->load = load;
	bufferevent_setcb(bev, on_watcher_read, NULL, on_watcher_end, watcher);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
	buf_reset(&load->request);
	if (load->etcd) {
		buf_append_text(&load->request, "{\"create_request\":{");
		append_member(load, "key", KEY);
		buf_append_text(&load->request, "}}");
		wrap_body(load, "/v3/watch");
	} else {
		buf_append_text(&load->request,
		    "GET /watch?prefix=" KEY " HTTP/1.1\r\n"
		    "Host: localhost\r\n\r\n");
	}
	bufferevent_write(bev, load->request.data, load->request.size);
}

static uint64_t
percentile(const struct load *load, unsigned percent)
{
	uint64_t left = load->events_count * percent / 100;

	for (size_t i = 0; i < DELAYS_COUNT; i++) {
		if (left < load->delays[i])
			return i * DELAY_STEP_US;
		left -= load->delays[i];
	}
	return DELAYS_COUNT * DELAY_STEP_US;
}

static void
on_time_over(evutil_socket_t fd, short what, void *context)
{
	struct load *load = context;

	(void)fd;
	(void)what;
	event_base_loopbreak(load->base);
}

static uint32_t
parse_number(const char *text)
{
	uint64_t number;

	if (text_parse_u64(slice_from_text(text), &number) != 0 ||
	    number == 0 || number > UINT16_MAX)
		fatal("not a number from 1 to 65535: %s", text);
	return (uint32_t)number;
}

int
main(int argc, char **argv)
{
	struct load *load = mem_zalloc(1, sizeof(*load));
	struct watcher *watchers;
	double seconds;

	if (argc != 5)
		fatal("usage: fanout luminous|etcd PORT WATCHERS SECONDS");
	load->etcd = strcmp(argv[1], "etcd") == 0;
	load->address.sin_family = AF_INET;
	load->address.sin_port = htons((uint16_t)parse_number(argv[2]));
	load->address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	load->watchers_count = parse_number(argv[3]);
	load->base = event_base_new();
	load->writer = connect_to(load);
	bufferevent_setcb(load->writer, on_writer_read, NULL, on_end, load);
	bufferevent_enable(load->writer, EV_READ | EV_WRITE);
	watchers = mem_zalloc(load->watchers_count, sizeof(*watchers));
	for (unsigned i = 0; i < load->watchers_count; i++)
		watch(load, &watchers[i]);
	event_base_once(load->base, -1, EV_TIMEOUT, on_time_over, load,
	    &(struct timeval){ .tv_sec = parse_number(argv[4]) });
	event_base_dispatch(load->base);
	if (load->began_us == 0)
		fatal("only %u of %u are watching", load->watching_count,
		    load->watchers_count);
	seconds = (double)(clock_monotonic_us() - load->began_us) / 1e6;
	printf("%.0f %" PRIu64 " %" PRIu64 " %.0f %" PRIu64 "\n",
	    (double)load->events_count / seconds, percentile(load, 50),
	    percentile(load, 99), (double)load->writes_count / seconds,
	    load->errors_count);
	return 0;
}
