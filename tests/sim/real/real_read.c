/*
 * Bytes to heads and bodies: the product's parsers, with the limits of the
 * daemon, around a buffer for what is not complete.
 */

#include "common/err.h"
#include "tests/sim/real/real_stream.h"

/* As http.max-target-bytes, http.max-head-bytes, and the HTTP client. */
static const struct http_parse_limits request_limits = { 8192, 16384 };
static const struct http_parse_limits response_limits = { 1024, 16384 };

void
real_reader_release(struct real_reader *reader)
{
	buf_release(&reader->input);
	buf_release(&reader->head);
	buf_release(&reader->body);
}

static int
head_size(bool is_request, struct slice input, size_t *ret_size)
{
	struct http_parse_error error;

	return is_request ? http_parse_request_size(
				input, &request_limits, &error, ret_size)
			  : http_parse_response_size(
				input, &response_limits, &error, ret_size);
}

/* Peers send no chunks, and what has no size of its own has none. */
static int
begin_body(struct real_reader *reader, const struct http_framing *framing,
    bool may_have_body, uint64_t body_bytes_max)
{
	if (framing->chunked || !framing->keep_alive ||
	    framing->has_content_length != may_have_body ||
	    framing->content_length > body_bytes_max)
		return ERR_INVALID;
	buf_reset(&reader->body);
	reader->body_left = may_have_body ? framing->content_length : 0;
	reader->in_body = true;
	return 0;
}

static int
parse_head(struct real_reader *reader, bool is_request, uint64_t body_bytes_max)
{
	struct http_parse_error error;

	if (is_request) {
		if (http_parse_request(buf_slice(&reader->head),
			&reader->request, &error) != 0)
			return ERR_INVALID;
		return begin_body(
		    reader, &reader->request.framing, true, body_bytes_max);
	}
	if (http_parse_response(
		buf_slice(&reader->head), &reader->response, &error) != 0)
		return ERR_INVALID;
	return begin_body(reader, &reader->response.framing,
	    reader->response.status != 204, body_bytes_max);
}

/* Takes the rest of the head, or all that there is. */
static int
take_head(struct real_reader *reader, bool is_request, uint64_t body_bytes_max,
    struct slice *bytes)
{
	size_t before = reader->input.size;
	size_t size;
	size_t taken;

	buf_append_slice(&reader->input, *bytes);
	if (head_size(is_request, buf_slice(&reader->input), &size) != 0)
		return ERR_INVALID;
	taken = size == 0 ? bytes->size : size - before;
	if (before == 0)
		reader->start = reader->position;
	reader->position += taken;
	bytes->data += taken;
	bytes->size -= taken;
	if (size == 0 && reader->loses_bytes && reader->input.size > 1)
		reader->input.size--;
	if (size == 0)
		return 0;
	buf_reset(&reader->head);
	buf_append(&reader->head, reader->input.data, size);
	buf_reset(&reader->input);
	return parse_head(reader, is_request, body_bytes_max);
}

static void
take_body(struct real_reader *reader, struct slice *bytes)
{
	size_t size = MIN(reader->body_left, bytes->size);

	buf_append(&reader->body, bytes->data, size);
	reader->body_left -= size;
	reader->position += size;
	bytes->data += size;
	bytes->size -= size;
}

int
real_reader_take(struct real_reader *reader, bool is_request,
    uint64_t body_bytes_max, struct slice *bytes, bool *ret_complete)
{
	if (!reader->in_body &&
	    take_head(reader, is_request, body_bytes_max, bytes) != 0)
		return ERR_INVALID;
	if (reader->in_body)
		take_body(reader, bytes);
	*ret_complete = reader->in_body && reader->body_left == 0;
	if (*ret_complete)
		reader->in_body = false;
	return 0;
}
