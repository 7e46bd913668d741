#include "common/err.h"
#include "net/http_parse_impl.h"

/* "HTTP/1.1 200 " */
#define STATUS_LINE_SIZE_MIN 13

int
http_parse_response_size(struct slice input,
    const struct http_parse_limits *limits, struct http_parse_error *ret_error,
    size_t *ret_size)
{
	if (input.size == 0) {
		*ret_size = 0;
		return 0;
	}
	if (input.data[0] != 'H')
		return http_parse_refuse(ret_error, HTTP_REFUSE_MALFORMED,
		    "the response does not begin with a version");
	return http_parse_head_size(input, 0, limits, ret_error, ret_size);
}

static bool
is_digit(uint8_t byte)
{
	return byte >= '0' && byte <= '9';
}

static bool
parse_status_line(
    struct slice line, unsigned *ret_status, unsigned *ret_minor_version)
{
	const uint8_t *text = line.data;

	if (line.size < STATUS_LINE_SIZE_MIN ||
	    memcmp(text, "HTTP/1.", strlen("HTTP/1.")) != 0 ||
	    (text[7] != '0' && text[7] != '1') || text[8] != ' ' ||
	    text[9] < '1' || text[9] > '5' || !is_digit(text[10]) ||
	    !is_digit(text[11]) || text[12] != ' ')
		return false;
	for (size_t i = STATUS_LINE_SIZE_MIN; i < line.size; i++) {
		if (!http_is_text_byte(text[i]))
			return false;
	}
	*ret_minor_version = (unsigned)(text[7] - '0');
	*ret_status = (unsigned)(text[9] - '0') * 100 +
		      (unsigned)(text[10] - '0') * 10 +
		      (unsigned)(text[11] - '0');
	return true;
}

int
http_parse_response(struct slice input, struct http_response_head *head,
    struct http_parse_error *ret_error)
{
	struct slice lines = input;
	struct slice line = http_parse_first_line(&lines);
	unsigned minor_version;

	if (!parse_status_line(line, &head->status, &minor_version))
		return http_parse_refuse(ret_error, HTTP_REFUSE_MALFORMED,
		    "the status line is malformed");
	if (http_parse_fields(lines, &head->headers, ret_error) != 0)
		return ERR_INVALID;
	return http_parse_framing(
	    &head->headers, minor_version, &head->framing, ret_error);
}
