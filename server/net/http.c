#include "net/http.h"
#include "common/macros.h"
#include <strings.h>

const char *
http_method_name(enum http_method method)
{
	switch (method) {
	case HTTP_GET: return "GET";
	case HTTP_HEAD: return "HEAD";
	case HTTP_PUT: return "PUT";
	case HTTP_POST: return "POST";
	case HTTP_DELETE: return "DELETE";
	case HTTP_OPTIONS: return "OPTIONS";
	}
	return "";
}

static const struct {
	unsigned status;
	const char *phrase;
} phrases[] = {
	{ 100, "Continue" },
	{ 200, "OK" },
	{ 201, "Created" },
	{ 202, "Accepted" },
	{ 204, "No Content" },
	{ 206, "Partial Content" },
	{ 303, "See Other" },
	{ 304, "Not Modified" },
	{ 307, "Temporary Redirect" },
	{ 400, "Bad Request" },
	{ 401, "Unauthorized" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 406, "Not Acceptable" },
	{ 408, "Request Timeout" },
	{ 409, "Conflict" },
	{ 410, "Gone" },
	{ 411, "Length Required" },
	{ 412, "Precondition Failed" },
	{ 413, "Content Too Large" },
	{ 414, "URI Too Long" },
	{ 415, "Unsupported Media Type" },
	{ 417, "Expectation Failed" },
	{ 421, "Misdirected Request" },
	{ 422, "Unprocessable Content" },
	{ 428, "Precondition Required" },
	{ 429, "Too Many Requests" },
	{ 431, "Request Header Fields Too Large" },
	{ 500, "Internal Server Error" },
	{ 501, "Not Implemented" },
	{ 502, "Bad Gateway" },
	{ 503, "Service Unavailable" },
	{ 504, "Gateway Timeout" },
	{ 505, "HTTP Version Not Supported" },
	{ 507, "Insufficient Storage" },
};

const char *
http_status_phrase(unsigned status)
{
	for (size_t i = 0; i < ARRAY_COUNT(phrases); i++) {
		if (phrases[i].status == status)
			return phrases[i].phrase;
	}
	return "";
}

/* Of 8 bytes, in no particular order: all visible, or blanks, or above ASCII?
 * A byte that is not leaves its highest bit set ("hasless" and "haszero" of
 * Anderson, Bit Twiddling Hacks, which are exact on whether there is any). */
static bool
is_clean_word(uint64_t word)
{
	const uint64_t ones = UINT64_MAX / 0xff;
	uint64_t delete = word ^ ones * 0x7f;
	uint64_t low = (word - ones * 0x20) & ~word;

	return ((low | ((delete - ones) & ~delete)) & ones * 0x80) == 0;
}

bool
http_text_is_clean(struct slice text)
{
	size_t i = 0;

	/* Every header of an answer comes through here. */
	for (; text.size - i >= sizeof(uint64_t); i += sizeof(uint64_t)) {
		uint64_t word;

		memcpy(&word, text.data + i, sizeof(word));
		if (!is_clean_word(word))
			return false;
	}
	for (; i < text.size; i++) {
		if (text.data[i] < 0x20 || text.data[i] == 0x7f)
			return false;
	}
	return true;
}

bool
http_name_is(struct slice name, const char *text)
{
	size_t size = strlen(text);

	return name.size == size &&
	       strncasecmp((const char *)name.data, text, size) == 0;
}

struct slice
http_header_get(const struct http_headers *headers, const char *name)
{
	size_t size = strlen(name);

	for (unsigned i = 0; i < headers->count; i++) {
		struct slice given = headers->header[i].name;

		/* Most differ in size, and need no look at their letters. */
		if (given.size == size &&
		    strncasecmp((const char *)given.data, name, size) == 0)
			return headers->header[i].value;
	}
	return slice_of(NULL, 0);
}
