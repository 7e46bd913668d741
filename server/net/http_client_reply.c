#include "common/err.h"
#include "common/panic.h"
#include "net/http_client_impl.h"
#include <stdlib.h>

#define STATUS_LINE_SIZE_MAX 1024
#define HEAD_SIZE_MAX        (16 * 1024)

static void
end_reply(struct http_client *client)
{
	struct http_call *call =
	    CONTAINER_OF(client->calls.next, struct http_call, link);
	const struct http_client_reply reply = {
		.status = client->head.status,
		.headers = &client->head.headers,
		.body = buf_slice(&client->body),
	};

	client->in_body = false;
	list_remove(&call->link);
	client->calls_count--;
	call->fn(call->context, 0, true, &reply);
	free(call);
	if (client->body.capacity > HTTP_CLIENT_BUFFER_SIZE_KEPT)
		buf_release(&client->body);
	/* Within the call its user may have closed it and begun another. */
	if (client->state == HTTP_CLIENT_OPEN &&
	    !client->head.framing.keep_alive)
		http_client_fail(client, ERR_CLOSED, false);
}

static bool
has_body(const struct http_client *client)
{
	const struct http_call *call =
	    CONTAINER_OF(client->calls.next, struct http_call, link);

	return call->method != HTTP_HEAD && client->head.status != 204 &&
	       client->head.status != 304;
}

/*
 * RFC 9112 section 6.3, but for bodies that end with the connection: such a
 * body looks complete when it was cut off.
 */
static void
begin_body(struct http_client *client)
{
	const struct http_framing *framing = &client->head.framing;

	buf_reset(&client->body);
	client->chunked = (struct http_chunked){ .chunk_left = 0 };
	client->body_left = framing->content_length;
	if (!has_body(client))
		end_reply(client);
	else if (!framing->chunked && !framing->has_content_length)
		http_client_fail(client, ERR_INVALID, false);
	else if (framing->content_length > client->params.reply_bytes_max)
		http_client_fail(client, ERR_TOO_LARGE, false);
	else if (!framing->chunked && framing->content_length == 0)
		end_reply(client);
	else
		client->in_body = true;
}

/* An interim response; 101 would be the end of HTTP on this connection. */
static void
skip_interim(struct http_client *client)
{
	const struct http_framing *framing = &client->head.framing;

	if (client->head.status == 101 || framing->chunked ||
	    framing->has_content_length)
		http_client_fail(client, ERR_INVALID, false);
}

static int
error_of(enum http_refusal refusal)
{
	if (refusal == HTTP_REFUSE_HEADERS_TOO_LARGE ||
	    refusal == HTTP_REFUSE_TARGET_TOO_LONG)
		return ERR_TOO_LARGE;
	return ERR_INVALID;
}

/* Returns the bytes taken; 0 if the head is not complete or is refused. */
static size_t
take_head(struct http_client *client, struct slice input)
{
	static const struct http_parse_limits limits = {
		.first_line_size_max = STATUS_LINE_SIZE_MAX,
		.head_size_max = HEAD_SIZE_MAX,
	};
	struct http_parse_error error;
	size_t size;

	if (http_parse_response_size(input, &limits, &error, &size) != 0) {
		http_client_fail(client, error_of(error.refusal), false);
		return 0;
	}
	if (size == 0)
		return 0;
	buf_reset(&client->head_bytes);
	buf_append(&client->head_bytes, input.data, size);
	if (http_parse_response(
		buf_slice(&client->head_bytes), &client->head, &error) != 0)
		http_client_fail(client, error_of(error.refusal), false);
	else if (client->head.status < 200)
		skip_interim(client);
	else
		begin_body(client);
	return size;
}

static size_t
take_chunks(struct http_client *client, struct slice input)
{
	struct slice rest = input;
	struct slice data;
	const char *detail;

	while (rest.size > 0 && client->chunked.state != HTTP_CHUNKED_DONE) {
		if (http_chunked_decode(
			&client->chunked, &rest, &data, &detail) != 0) {
			http_client_fail(client, ERR_INVALID, false);
			return 0;
		}
		if (data.size >
		    client->params.reply_bytes_max - client->body.size) {
			http_client_fail(client, ERR_TOO_LARGE, false);
			return 0;
		}
		buf_append_slice(&client->body, data);
	}
	if (client->chunked.state == HTTP_CHUNKED_DONE)
		end_reply(client);
	return input.size - rest.size;
}

static size_t
take_body(struct http_client *client, struct slice input)
{
	size_t size;

	if (client->head.framing.chunked)
		return take_chunks(client, input);
	size = (size_t)MIN(client->body_left, input.size);
	buf_append(&client->body, input.data, size);
	client->body_left -= size;
	if (client->body_left == 0)
		end_reply(client);
	return size;
}

/* An answer can only follow a request, or a part of one. */
static bool
is_due(const struct http_client *client)
{
	const struct http_call *oldest =
	    CONTAINER_OF(client->calls.next, struct http_call, link);

	return !list_empty(&client->calls) &&
	       oldest->start < client->sent_total;
}

/* Nothing is due, yet something comes: it could be taken for the answer to
 * the next request. */
static size_t
refuse_unexpected(struct http_client *client)
{
	http_client_fail(client, ERR_INVALID, false);
	return 0;
}

void
http_client_on_bytes(struct http_client *client, struct slice bytes)
{
	struct buf *input = &client->input;
	bool buffered = input->size > 0;
	size_t used = 0;

	if (buffered) {
		buf_append_slice(input, bytes);
		bytes = buf_slice(input);
	}
	while (used < bytes.size && client->state == HTTP_CLIENT_OPEN) {
		struct slice rest =
		    slice_of(bytes.data + used, bytes.size - used);
		size_t size;

		if (!is_due(client))
			size = refuse_unexpected(client);
		else if (client->in_body)
			size = take_body(client, rest);
		else
			size = take_head(client, rest);
		if (size == 0)
			break;
		used += size;
	}
	if (client->state != HTTP_CLIENT_OPEN)
		return;
	if (buffered)
		buf_drain(input, used);
	else
		buf_append(input, bytes.data + used, bytes.size - used);
	if (input->size == 0)
		buf_release(input);
}
