#include "common/err.h"
#include "common/macros.h"
#include "common/panic.h"
#include "common/text.h"
#include "net/http_parse_impl.h"

#define CRLF_SIZE 2

/* A set of bytes: bit n of word m is byte 64 m + n. */
static const uint64_t token_bytes[4] = {
	UINT64_C(0x03ff6cfa00000000), /* ! # $ % & ' * + - . 0-9 */
	UINT64_C(0x57ffffffc7fffffe), /* A-Z ^ _ ` a-z | ~ */
};

bool
http_is_token_byte(uint8_t byte)
{
	return (token_bytes[byte / 64] >> (byte % 64) & 1) != 0;
}

int
http_hex_value(uint8_t digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	if (digit >= 'a' && digit <= 'f')
		return digit - 'a' + 10;
	if (digit >= 'A' && digit <= 'F')
		return digit - 'A' + 10;
	return -1;
}

bool
http_is_text_byte(uint8_t byte)
{
	return (byte >= 0x20 && byte != 0x7f) || byte == '\t';
}

int
http_parse_refuse(struct http_parse_error *error, enum http_refusal refusal,
    const char *detail)
{
	error->refusal = refusal;
	error->detail = detail;
	return ERR_INVALID;
}

int
http_parse_head_size(struct slice input, size_t first,
    const struct http_parse_limits *limits, struct http_parse_error *error,
    size_t *ret_size)
{
	size_t end = MIN(input.size, limits->head_size_max);
	size_t first_end = first + limits->first_line_size_max + CRLF_SIZE;
	size_t window = MIN(end, first_end);
	size_t line = first;

	while (line < window) {
		const uint8_t *start = input.data + line;
		const uint8_t *lf = memchr(start, '\n', window - line);

		if (lf == NULL)
			break;
		if (lf == start || lf[-1] != '\r')
			return http_parse_refuse(error, HTTP_REFUSE_MALFORMED,
			    "a line of the head does not end in CRLF");
		line = (size_t)(lf - input.data) + 1;
		if (lf - start == 1) {
			*ret_size = line;
			return 0;
		}
		window = end;
	}
	if (line == first && window == first_end)
		return http_parse_refuse(error, HTTP_REFUSE_TARGET_TOO_LONG,
		    "the first line is too long");
	if (end == limits->head_size_max)
		return http_parse_refuse(error, HTTP_REFUSE_HEADERS_TOO_LARGE,
		    "the head is too large");
	*ret_size = 0;
	return 0;
}

struct slice
http_parse_first_line(struct slice *head)
{
	const uint8_t *lf = memchr(head->data, '\n', head->size);
	struct slice line;

	ASSERT(lf != NULL);
	ASSERT(lf > head->data);
	line = slice_of(head->data, (size_t)(lf - head->data) - 1);
	*head = slice_of(lf + 1, head->size - line.size - CRLF_SIZE);
	return line;
}

static struct slice
trim_end(const uint8_t *start, const uint8_t *end)
{
	while (end > start && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	return slice_of(start, (size_t)(end - start));
}

/*
 * Reads the field line at `position`; returns the next line's place, or NULL.
 * The head ends in CRLF CRLF and neither part of a field contains CR, so no
 * loop can run over the end.
 */
static const uint8_t *
parse_field(const uint8_t *position, struct http_header *header,
    struct http_parse_error *error)
{
	const uint8_t *start = position;
	const char *detail = NULL;

	while (http_is_token_byte(*position))
		position++;
	header->name = slice_of(start, (size_t)(position - start));
	if (position == start)
		detail = "a field line does not begin with a name";
	else if (*position != ':')
		detail = "a field name is not followed by a colon";
	if (detail != NULL) {
		(void)http_parse_refuse(error, HTTP_REFUSE_MALFORMED, detail);
		return NULL;
	}
	do
		position++;
	while (*position == ' ' || *position == '\t');
	start = position;
	while (http_is_text_byte(*position))
		position++;
	header->value = trim_end(start, position);
	if (position[0] != '\r' || position[1] != '\n') {
		(void)http_parse_refuse(error, HTTP_REFUSE_MALFORMED,
		    "a field value contains a control character");
		return NULL;
	}
	return position + CRLF_SIZE;
}

int
http_parse_fields(struct slice lines, struct http_headers *headers,
    struct http_parse_error *error)
{
	const uint8_t *position = lines.data;
	const uint8_t *end;

	ASSERT(lines.size >= CRLF_SIZE);
	end = lines.data + lines.size - CRLF_SIZE;
	ASSERT(end[0] == '\r');
	ASSERT(end[1] == '\n');
	headers->count = 0;
	while (position < end) {
		if (headers->count == HTTP_HEADERS_MAX)
			return http_parse_refuse(error,
			    HTTP_REFUSE_HEADERS_TOO_LARGE,
			    "there are too many header fields");
		position = parse_field(
		    position, &headers->header[headers->count], error);
		if (position == NULL)
			return ERR_INVALID;
		headers->count++;
	}
	return 0;
}

/* RFC 9110 section 7.6.1: a list of options between commas. */
static void
parse_connection(struct slice value, bool *close, bool *keep_alive)
{
	const uint8_t *position = value.data;
	const uint8_t *end = value.data + value.size;

	while (position < end) {
		const uint8_t *comma =
		    memchr(position, ',', (size_t)(end - position));
		const uint8_t *option_end = comma != NULL ? comma : end;
		struct slice option;

		while (position < option_end &&
		       (*position == ' ' || *position == '\t'))
			position++;
		option = trim_end(position, option_end);
		if (http_name_is(option, "close"))
			*close = true;
		else if (http_name_is(option, "keep-alive"))
			*keep_alive = true;
		position = option_end + 1;
	}
}

static int
parse_content_length(struct slice value, struct http_framing *framing,
    struct http_parse_error *error)
{
	int code;

	if (framing->has_content_length)
		return http_parse_refuse(error, HTTP_REFUSE_MALFORMED,
		    "there is more than one Content-Length");
	framing->has_content_length = true;
	code = text_parse_u64(value, &framing->content_length);
	if (code == ERR_TOO_LARGE)
		framing->content_length = UINT64_MAX;
	else if (code != 0)
		return http_parse_refuse(error, HTTP_REFUSE_MALFORMED,
		    "Content-Length is not a number");
	return 0;
}

static int
parse_transfer_encoding(struct slice value, struct http_framing *framing,
    struct http_parse_error *error)
{
	if (framing->chunked)
		return http_parse_refuse(error, HTTP_REFUSE_MALFORMED,
		    "there is more than one Transfer-Encoding");
	if (!http_name_is(value, "chunked"))
		return http_parse_refuse(error, HTTP_REFUSE_TRANSFER_CODING,
		    "only 'chunked' is understood as Transfer-Encoding");
	framing->chunked = true;
	return 0;
}

int
http_parse_framing(const struct http_headers *headers, unsigned minor_version,
    struct http_framing *framing, struct http_parse_error *error)
{
	bool close = false;
	bool keep_alive = false;

	*framing = (struct http_framing){ .keep_alive = false };
	for (unsigned i = 0; i < headers->count; i++) {
		struct slice name = headers->header[i].name;
		struct slice value = headers->header[i].value;
		int code = 0;

		if (http_name_is(name, "Connection"))
			parse_connection(value, &close, &keep_alive);
		else if (http_name_is(name, "Content-Length"))
			code = parse_content_length(value, framing, error);
		else if (http_name_is(name, "Transfer-Encoding"))
			code = parse_transfer_encoding(value, framing, error);
		if (code != 0)
			return code;
	}
	if (framing->chunked && framing->has_content_length)
		return http_parse_refuse(error, HTTP_REFUSE_MALFORMED,
		    "there are both Content-Length and Transfer-Encoding");
	if (framing->chunked && minor_version == 0)
		return http_parse_refuse(error, HTTP_REFUSE_MALFORMED,
		    "HTTP/1.0 has no Transfer-Encoding");
	framing->keep_alive = !close && (minor_version > 0 || keep_alive);
	return 0;
}
