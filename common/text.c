#include "common/text.h"
#include "common/err.h"

struct unit {
	const char *name;
	uint64_t factor;
};

/* Largest first: the first that divides gives the shortest exact form. */
static const struct unit duration_units[] = {
	{ "d", UINT64_C(86400000000) },
	{ "h", UINT64_C(3600000000) },
	{ "m", 60000000 },
	{ "s", 1000000 },
	{ "ms", 1000 },
	{ "us", 1 },
};

static const struct unit size_units[] = {
	{ "TiB", UINT64_C(1) << 40 },
	{ "GiB", UINT64_C(1) << 30 },
	{ "MiB", UINT64_C(1) << 20 },
	{ "KiB", UINT64_C(1) << 10 },
	{ "B", 1 },
};

static bool
is_digit(uint8_t byte)
{
	return byte >= '0' && byte <= '9';
}

static size_t
count_digits(struct slice text)
{
	size_t count = 0;

	while (count < text.size && is_digit(text.data[count]))
		count++;
	return count;
}

int
text_parse_u64(struct slice text, uint64_t *ret_value)
{
	uint64_t value = 0;

	if (text.size == 0 || count_digits(text) != text.size)
		return ERR_INVALID;
	for (size_t i = 0; i < text.size; i++) {
		unsigned digit = text.data[i] - (unsigned)'0';

		if (value > (UINT64_MAX - digit) / 10)
			return ERR_TOO_LARGE;
		value = value * 10 + digit;
	}
	*ret_value = value;
	return 0;
}

static const struct unit *
find_unit(const struct unit *units, size_t count, struct slice name)
{
	for (size_t i = 0; i < count; i++) {
		if (slice_equal(name, slice_from_text(units[i].name)))
			return &units[i];
	}
	return NULL;
}

static int
parse_with_unit(struct slice text, const struct unit *units, size_t count,
    uint64_t *ret_value)
{
	size_t digits = count_digits(text);
	const struct unit *unit;
	uint64_t number;
	int rc;

	if (slice_equal(text, slice_from_text("0"))) {
		*ret_value = 0;
		return 0;
	}
	unit = find_unit(
	    units, count, slice_of(text.data + digits, text.size - digits));
	if (digits == 0 || unit == NULL)
		return ERR_INVALID;
	rc = text_parse_u64(slice_of(text.data, digits), &number);
	if (rc != 0)
		return rc;
	if (number > UINT64_MAX / unit->factor)
		return ERR_TOO_LARGE;
	*ret_value = number * unit->factor;
	return 0;
}

int
text_parse_duration(struct slice text, uint64_t *ret_us)
{
	return parse_with_unit(
	    text, duration_units, ARRAY_COUNT(duration_units), ret_us);
}

int
text_parse_size(struct slice text, uint64_t *ret_bytes)
{
	return parse_with_unit(
	    text, size_units, ARRAY_COUNT(size_units), ret_bytes);
}

static void
append_with_unit(struct buf *to, const struct unit *unit, uint64_t value)
{
	if (value == 0) {
		buf_append_text(to, "0");
		return;
	}
	/* Ends at the latest at the unit 1, the last of every table. */
	while (value % unit->factor != 0)
		unit++;
	buf_append_u64(to, value / unit->factor);
	buf_append_text(to, unit->name);
}

void
text_append_duration(struct buf *to, uint64_t us)
{
	append_with_unit(to, duration_units, us);
}

void
text_append_size(struct buf *to, uint64_t bytes)
{
	append_with_unit(to, size_units, bytes);
}

static const char hex_digits[] = "0123456789abcdef";

void
text_append_hex(struct buf *to, struct slice bytes)
{
	uint8_t *out = buf_reserve(to, bytes.size * 2);

	for (size_t i = 0; i < bytes.size; i++) {
		*out++ = (uint8_t)hex_digits[bytes.data[i] >> 4];
		*out++ = (uint8_t)hex_digits[bytes.data[i] & 15];
	}
	to->size += bytes.size * 2;
}

/* -1 for anything but a hex digit of either case. */
static int
hex_value(uint8_t byte)
{
	if (is_digit(byte))
		return byte - '0';
	if (byte >= 'a' && byte <= 'f')
		return byte - 'a' + 10;
	if (byte >= 'A' && byte <= 'F')
		return byte - 'A' + 10;
	return -1;
}

int
text_parse_hex(struct slice text, uint8_t *to, size_t size)
{
	if (text.size % 2 != 0 || text.size / 2 != size)
		return ERR_INVALID;
	for (size_t i = 0; i < text.size; i++) {
		if (hex_value(text.data[i]) < 0)
			return ERR_INVALID;
	}
	for (size_t i = 0; i < size; i++) {
		to[i] = (uint8_t)(hex_value(text.data[2 * i]) * 16 +
				  hex_value(text.data[2 * i + 1]));
	}
	return 0;
}

/*
 * The well-formed sequences of RFC 3629 section 4: what the first byte may be,
 * how many follow, and the narrower range of the second, which rules out
 * overlong forms, surrogates and what is above U+10FFFF.
 */
struct utf8_form {
	uint8_t first_low;
	uint8_t first_high;
	uint8_t following;
	uint8_t second_low;
	uint8_t second_high;
};

static const struct utf8_form utf8_forms[] = {
	{ 0x00, 0x7f, 0, 0x00, 0x00 },
	{ 0xc2, 0xdf, 1, 0x80, 0xbf },
	{ 0xe0, 0xe0, 2, 0xa0, 0xbf },
	{ 0xe1, 0xec, 2, 0x80, 0xbf },
	{ 0xed, 0xed, 2, 0x80, 0x9f },
	{ 0xee, 0xef, 2, 0x80, 0xbf },
	{ 0xf0, 0xf0, 3, 0x90, 0xbf },
	{ 0xf1, 0xf3, 3, 0x80, 0xbf },
	{ 0xf4, 0xf4, 3, 0x80, 0x8f },
};

static const struct utf8_form *
find_utf8_form(uint8_t first)
{
	for (size_t i = 0; i < ARRAY_COUNT(utf8_forms); i++) {
		if (first >= utf8_forms[i].first_low &&
		    first <= utf8_forms[i].first_high)
			return &utf8_forms[i];
	}
	return NULL;
}

/* Length of the sequence that `bytes` begin with, 0 if it is malformed. */
static size_t
utf8_sequence(struct slice bytes)
{
	const struct utf8_form *form = find_utf8_form(bytes.data[0]);

	if (form == NULL || bytes.size <= form->following)
		return 0;
	if (form->following == 0)
		return 1;
	if (bytes.data[1] < form->second_low ||
	    bytes.data[1] > form->second_high)
		return 0;
	for (size_t i = 2; i <= form->following; i++) {
		if ((bytes.data[i] & 0xc0) != 0x80)
			return 0;
	}
	return form->following + 1u;
}

bool
text_is_utf8(struct slice bytes)
{
	for (size_t at = 0; at < bytes.size;) {
		size_t size =
		    utf8_sequence(slice_of(bytes.data + at, bytes.size - at));

		if (size == 0)
			return false;
		at += size;
	}
	return true;
}

static void
append_json_escape(struct buf *to, uint8_t byte)
{
	switch (byte) {
	case '"': buf_append_text(to, "\\\""); break;
	case '\\': buf_append_text(to, "\\\\"); break;
	case '\b': buf_append_text(to, "\\b"); break;
	case '\f': buf_append_text(to, "\\f"); break;
	case '\n': buf_append_text(to, "\\n"); break;
	case '\r': buf_append_text(to, "\\r"); break;
	case '\t': buf_append_text(to, "\\t"); break;
	default:
		buf_append_text(to, "\\u00");
		text_append_hex(to, slice_of(&byte, 1));
	}
}

void
text_append_json_string(struct buf *to, struct slice bytes)
{
	size_t plain = 0; /* where the run of unescaped bytes begins */

	buf_append_text(to, "\"");
	for (size_t i = 0; i < bytes.size; i++) {
		uint8_t byte = bytes.data[i];

		if (byte >= 0x20 && byte != '"' && byte != '\\')
			continue;
		buf_append(to, bytes.data + plain, i - plain);
		append_json_escape(to, byte);
		plain = i + 1;
	}
	if (plain < bytes.size)
		buf_append(to, bytes.data + plain, bytes.size - plain);
	buf_append_text(to, "\"");
}
