#include "server_join.h"

#include "common/buf.h"
#include "common/err.h"
#include "common/log.h"
#include "common/macros.h"
#include "common/mem.h"
#include "net/http_client.h"
#include <stdlib.h>

#define TRY_INTERVAL_US    2000000
#define CONNECT_TIMEOUT_US 2000000
/* The leader looks at this node, and the entry has to be committed. */
#define REPLY_TIMEOUT_US 15000000
/* Of an answer, and of what of it is logged. */
#define REPLY_BYTES_MAX 16384
#define SHOWN_BYTES_MAX 400

struct server_join {
	struct loop *loop;
	const struct config *config;
	struct http_client *client;
	uint64_t try_at; /* UINT64_MAX while a try is under way */
	struct buf told; /* what was logged last */
};

/* What comes of it is logged once, not every other second. */
static bool
is_news(struct server_join *join, struct slice text)
{
	if (slice_equal(buf_slice(&join->told), text))
		return false;
	buf_reset(&join->told);
	buf_append_slice(&join->told, text);
	return true;
}

static void
tell(struct server_join *join, struct slice reason)
{
	if (!is_news(join, reason))
		return;
	log_warning("%s (node.join) does not add this node yet: %.*s",
	    join->config->join_address,
	    (int)MIN(reason.size, (size_t)SHOWN_BYTES_MAX),
	    (const char *)reason.data);
}

static void
try_later(struct server_join *join)
{
	join->try_at = loop_now(join->loop) + TRY_INTERVAL_US;
}

static void
on_reply(
    void *context, int error, bool sent, const struct http_client_reply *reply)
{
	struct server_join *join = context;
	struct slice reason;

	(void)sent; /* adding twice is adding once */
	try_later(join);
	if (error != 0) {
		tell(join, slice_from_text(err_text(error)));
		return;
	}
	if (reply->status < 300) {
		if (is_news(join, slice_from_text("added")))
			log_info("%s adds this node to the cluster",
			    join->config->join_address);
		return;
	}
	reason = reply->body;
	while (reason.size > 0 && reason.data[reason.size - 1] == '\n')
		reason.size--;
	tell(join, reason);
}

/* A query may hold no brackets, and an IPv6 address has them. */
static void
append_escaped(struct buf *to, const char *address)
{
	for (const char *at = address; *at != '\0'; at++) {
		if (*at == '[' || *at == ']' || *at == '%')
			buf_printf(to, "%%%02X", (unsigned)*at);
		else
			buf_append(to, at, 1);
	}
}

static void
on_open(void *context)
{
	static const char headers[] = "Accept: text/plain\r\n";
	struct server_join *join = context;
	const struct config *config = join->config;
	struct slice no_body = slice_of(NULL, 0);
	struct buf target = { 0 };

	buf_printf(
	    &target, "/cluster/members?name=%s&address=", config->node_name);
	append_escaped(&target, config->address);
	http_client_request(join->client, HTTP_POST, buf_slice(&target),
	    slice_from_text(headers), &no_body, 1,
	    loop_now(join->loop) + REPLY_TIMEOUT_US, on_reply, join);
	http_client_flush(join->client);
	buf_release(&target);
}

static void
on_closed(void *context, int error, bool refused)
{
	struct server_join *join = context;

	if (refused)
		tell(join, slice_from_text("nobody listens there"));
	else if (error != 0)
		tell(join, slice_from_text(err_text(error)));
	try_later(join);
}

static const struct http_client_ops client_ops = {
	.on_open = on_open,
	.on_closed = on_closed,
};

struct server_join *
server_join_new(struct loop *loop, const struct config *config)
{
	static const struct http_client_params params = {
		.pipeline_max = 1,
		.reply_bytes_max = REPLY_BYTES_MAX,
		.connect_timeout_us = CONNECT_TIMEOUT_US,
	};
	struct server_join *join = mem_zalloc(1, sizeof(*join));

	join->loop = loop;
	join->config = config;
	join->client = http_client_new(loop, &params, &client_ops, join);
	return join;
}

void
server_join_free(struct server_join *join)
{
	if (join == NULL)
		return;
	http_client_free(join->client);
	buf_release(&join->told);
	free(join);
}

uint64_t
server_join_deadline(const struct server_join *join)
{
	return MIN(join->try_at, http_client_deadline(join->client));
}

void
server_join_expire(struct server_join *join, uint64_t now_us)
{
	http_client_expire(join->client, now_us);
	if (now_us < join->try_at)
		return;
	http_client_close(join->client);
	join->try_at = UINT64_MAX;
	if (http_client_connect(join->client, join->config->join_address) != 0)
		try_later(join);
}
