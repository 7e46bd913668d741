#include "net/http_uri.h"
#include "common/err.h"
#include "net/http_parse_impl.h"

/* "%2F" */
#define PERCENT_SIZE 3

/*
 * Decodes the byte that `text` begins with. Returns the size of its encoded
 * form, ERR_INVALID for a broken one; `text` is not empty.
 */
static int
decode_byte(struct slice text, bool plus_is_blank, uint8_t *ret_byte)
{
	int high;
	int low;

	if (text.data[0] == '+' && plus_is_blank) {
		*ret_byte = ' ';
		return 1;
	}
	if (text.data[0] != '%') {
		*ret_byte = text.data[0];
		return 1;
	}
	if (text.size < PERCENT_SIZE)
		return ERR_INVALID;
	high = http_hex_value(text.data[1]);
	low = http_hex_value(text.data[2]);
	if (high < 0 || low < 0)
		return ERR_INVALID;
	*ret_byte = (uint8_t)(high << 4 | low);
	return PERCENT_SIZE;
}

static int
decode(struct slice text, bool plus_is_blank, struct buf *to)
{
	uint8_t *bytes = buf_reserve(to, text.size);
	size_t count = 0;

	while (text.size > 0) {
		int size = decode_byte(text, plus_is_blank, bytes + count);

		if (size < 0)
			return size;
		text = slice_of(text.data + size, text.size - (size_t)size);
		count++;
	}
	to->size += count;
	return 0;
}

int
http_percent_decode(struct slice text, struct buf *to)
{
	return decode(text, false, to);
}

int
http_query_decode(struct slice text, struct buf *to)
{
	return decode(text, true, to);
}

static bool
is_unreserved(uint8_t byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
	       (byte >= '0' && byte <= '9') || byte == '-' || byte == '.' ||
	       byte == '_' || byte == '~';
}

static void
encode(struct slice bytes, bool (*is_kept)(uint8_t byte), struct buf *to)
{
	static const char digits[] = "0123456789ABCDEF";
	uint8_t *text = buf_reserve(to, PERCENT_SIZE * bytes.size);

	for (size_t i = 0; i < bytes.size; i++) {
		uint8_t byte = bytes.data[i];

		if (is_kept(byte)) {
			*text++ = byte;
			to->size++;
			continue;
		}
		*text++ = '%';
		*text++ = (uint8_t)digits[byte >> 4];
		*text++ = (uint8_t)digits[byte & 15];
		to->size += PERCENT_SIZE;
	}
}

static bool
is_kept_anywhere(uint8_t byte)
{
	return is_unreserved(byte) || byte == '/';
}

void
http_percent_encode(struct slice bytes, struct buf *to)
{
	encode(bytes, is_kept_anywhere, to);
}

static bool
is_kept_in_doubt(uint8_t byte)
{
	return is_unreserved(byte) && byte != '.';
}

/* Empty, "." and "..": what is taken out on the way, or merged. */
static bool
is_normalised(struct slice segment)
{
	return segment.size == 0 ||
	       (segment.size <= 2 && segment.data[0] == '.' &&
		   segment.data[segment.size - 1] == '.');
}

/* Of the segments between slashes; the last one may be empty: "app/". */
static bool
has_normalised(struct slice path)
{
	size_t begin = 0;

	for (size_t i = 0; i <= path.size; i++) {
		if (i < path.size && path.data[i] != '/')
			continue;
		if ((i < path.size || i > begin) &&
		    is_normalised(slice_of(path.data + begin, i - begin)))
			return true;
		begin = i + 1;
	}
	return false;
}

void
http_path_encode(struct slice bytes, struct buf *to)
{
	encode(bytes,
	    has_normalised(bytes) ? is_kept_in_doubt : is_kept_anywhere, to);
}

static bool
is_ascii(uint8_t byte)
{
	return byte < 0x80;
}

void
http_target_encode(struct slice sent, struct buf *to)
{
	encode(sent, is_ascii, to);
}

/* Cuts `text` at the first `separator`; without one, all of it is head. */
static struct slice
cut(struct slice *text, uint8_t separator)
{
	const uint8_t *place =
	    text->size == 0 ? NULL : memchr(text->data, separator, text->size);
	struct slice head = *text;

	if (place == NULL) {
		*text = slice_of(text->data + text->size, 0);
		return head;
	}
	head.size = (size_t)(place - text->data);
	*text = slice_of(place + 1, text->size - head.size - 1);
	return head;
}

bool
http_query_next(struct slice *rest, struct http_query_parameter *ret_parameter)
{
	while (rest->size > 0) {
		struct slice value = cut(rest, '&');
		struct slice name;

		if (value.size == 0)
			continue;
		name = cut(&value, '=');
		*ret_parameter = (struct http_query_parameter){
			.name = name,
			.value = value,
		};
		return true;
	}
	return false;
}
