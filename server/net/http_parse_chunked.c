#include "common/err.h"
#include "common/macros.h"
#include "common/panic.h"
#include "net/http_parse_impl.h"

#define CHUNK_SIZE_DIGITS_MAX 8
/* Nobody needs extensions, and without a bound they are a body that no limit
 * on bodies counts. */
#define CHUNK_EXTENSION_SIZE_MAX 1024
#define CHUNK_TRAILERS_SIZE_MAX  8192

static int
refuse(const char **ret_detail, const char *detail)
{
	*ret_detail = detail;
	return ERR_INVALID;
}

static int
step_size(struct http_chunked *chunked, uint8_t byte, const char **ret_detail)
{
	int digit = http_hex_value(byte);

	if (digit >= 0) {
		if (chunked->digits_count == CHUNK_SIZE_DIGITS_MAX)
			return refuse(
			    ret_detail, "a chunk size has too many digits");
		chunked->digits_count++;
		chunked->chunk_left =
		    chunked->chunk_left * 16 + (unsigned)digit;
		return 0;
	}
	if (chunked->digits_count > 0 && byte == ';') {
		chunked->state = HTTP_CHUNKED_EXTENSION;
		return 0;
	}
	if (chunked->digits_count > 0 && byte == '\r') {
		chunked->state = HTTP_CHUNKED_SIZE_LF;
		return 0;
	}
	return refuse(ret_detail, "a chunk size is not a hex number");
}

/* Counts bytes that carry nothing. */
static int
count_extra(
    struct http_chunked *chunked, uint32_t size_max, const char **ret_detail)
{
	if (chunked->extra_size == size_max)
		return refuse(ret_detail,
		    "a chunk extension or trailer section is too large");
	chunked->extra_size++;
	return 0;
}

static int
step_extension(
    struct http_chunked *chunked, uint8_t byte, const char **ret_detail)
{
	if (byte == '\r') {
		chunked->state = HTTP_CHUNKED_SIZE_LF;
		return 0;
	}
	if (!http_is_text_byte(byte))
		return refuse(ret_detail,
		    "a chunk extension contains a control character");
	return count_extra(chunked, CHUNK_EXTENSION_SIZE_MAX, ret_detail);
}

static int
step_trailer(
    struct http_chunked *chunked, uint8_t byte, const char **ret_detail)
{
	switch (chunked->state) {
	case HTTP_CHUNKED_TRAILER:
		if (byte == '\r') {
			chunked->state = HTTP_CHUNKED_END_LF;
			return 0;
		}
		if (!http_is_token_byte(byte))
			return refuse(ret_detail, "a trailer is malformed");
		chunked->state = HTTP_CHUNKED_TRAILER_NAME;
		break;
	case HTTP_CHUNKED_TRAILER_NAME:
		if (byte == ':')
			chunked->state = HTTP_CHUNKED_TRAILER_VALUE;
		else if (!http_is_token_byte(byte))
			return refuse(ret_detail, "a trailer is malformed");
		break;
	case HTTP_CHUNKED_TRAILER_VALUE:
		if (byte == '\r')
			chunked->state = HTTP_CHUNKED_TRAILER_LF;
		else if (!http_is_text_byte(byte))
			return refuse(ret_detail, "a trailer is malformed");
		break;
	case HTTP_CHUNKED_SIZE:
	case HTTP_CHUNKED_EXTENSION:
	case HTTP_CHUNKED_SIZE_LF:
	case HTTP_CHUNKED_DATA:
	case HTTP_CHUNKED_DATA_CR:
	case HTTP_CHUNKED_DATA_LF:
	case HTTP_CHUNKED_TRAILER_LF:
	case HTTP_CHUNKED_END_LF:
	case HTTP_CHUNKED_DONE: ASSERT(false); break;
	}
	return count_extra(chunked, CHUNK_TRAILERS_SIZE_MAX, ret_detail);
}

/* A state in which exactly one byte can follow. */
static int
step_fixed(struct http_chunked *chunked, uint8_t byte, uint8_t expected,
    enum http_chunked_state next, const char **ret_detail)
{
	if (byte != expected)
		return refuse(
		    ret_detail, "a chunk or its size does not end in CRLF");
	chunked->state = next;
	return 0;
}

static int
step(struct http_chunked *chunked, uint8_t byte, const char **ret_detail)
{
	switch (chunked->state) {
	case HTTP_CHUNKED_SIZE: return step_size(chunked, byte, ret_detail);
	case HTTP_CHUNKED_EXTENSION:
		return step_extension(chunked, byte, ret_detail);
	case HTTP_CHUNKED_SIZE_LF:
		chunked->extra_size = 0;
		return step_fixed(chunked, byte, '\n',
		    chunked->chunk_left > 0 ? HTTP_CHUNKED_DATA
					    : HTTP_CHUNKED_TRAILER,
		    ret_detail);
	case HTTP_CHUNKED_DATA_CR:
		return step_fixed(
		    chunked, byte, '\r', HTTP_CHUNKED_DATA_LF, ret_detail);
	case HTTP_CHUNKED_DATA_LF:
		chunked->digits_count = 0;
		return step_fixed(
		    chunked, byte, '\n', HTTP_CHUNKED_SIZE, ret_detail);
	case HTTP_CHUNKED_TRAILER:
	case HTTP_CHUNKED_TRAILER_NAME:
	case HTTP_CHUNKED_TRAILER_VALUE:
		return step_trailer(chunked, byte, ret_detail);
	case HTTP_CHUNKED_TRAILER_LF:
		return step_fixed(
		    chunked, byte, '\n', HTTP_CHUNKED_TRAILER, ret_detail);
	case HTTP_CHUNKED_END_LF:
		return step_fixed(
		    chunked, byte, '\n', HTTP_CHUNKED_DONE, ret_detail);
	case HTTP_CHUNKED_DATA:
	case HTTP_CHUNKED_DONE: break;
	}
	ASSERT(false);
	return 0;
}

int
http_chunked_decode(struct http_chunked *chunked, struct slice *input,
    struct slice *ret_data, const char **ret_detail)
{
	size_t used = 0;

	while (used < input->size && chunked->state != HTTP_CHUNKED_DATA &&
	       chunked->state != HTTP_CHUNKED_DONE) {
		int code = step(chunked, input->data[used], ret_detail);

		if (code != 0)
			return code;
		used++;
	}
	*input = slice_of(input->data + used, input->size - used);
	*ret_data = slice_of(input->data, 0);
	if (chunked->state == HTTP_CHUNKED_DATA) {
		ret_data->size = (size_t)MIN(input->size, chunked->chunk_left);
		chunked->chunk_left -= ret_data->size;
		if (chunked->chunk_left == 0)
			chunked->state = HTTP_CHUNKED_DATA_CR;
		*input = slice_of(
		    input->data + ret_data->size, input->size - ret_data->size);
	}
	return 0;
}
