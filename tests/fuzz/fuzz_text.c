/*
 * Numbers, durations, sizes, hex, base64, UTF-8 and addresses as people and
 * messages write them; the first byte chooses. What is read and written again
 * is read as the same, and a number is what strtoull makes of it.
 */

#include "common/address.h"
#include "common/base64.h"
#include "common/err.h"
#include "common/json.h"
#include "common/macros.h"
#include "common/panic.h"
#include "common/text.h"
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <stdlib.h>

#define HEX_SIZE_MAX 64

static void
check_number(struct slice text)
{
	char digits[40];
	uint64_t value;
	uint64_t expected;
	int rc = text_parse_u64(text, &value);

	if (text.size >= sizeof(digits))
		return;
	memset(digits, 0, sizeof(digits));
	if (text.size != 0)
		memcpy(digits, text.data, text.size);
	if (text.size == 0 || strspn(digits, "0123456789") != text.size) {
		ASSERT(rc == ERR_INVALID);
		return;
	}
	errno = 0;
	expected = strtoull(digits, NULL, 10);
	ASSERT(rc == (errno == ERANGE ? ERR_TOO_LARGE : 0));
	if (rc == 0)
		ASSERT(value == expected);
}

static void
check_duration(struct slice text)
{
	struct buf again = { 0 };
	uint64_t value;
	uint64_t read_again;

	if (text_parse_duration(text, &value) != 0)
		return;
	text_append_duration(&again, value);
	ASSERT(text_parse_duration(buf_slice(&again), &read_again) == 0);
	ASSERT(read_again == value);
	buf_release(&again);
}

static void
check_size(struct slice text)
{
	struct buf again = { 0 };
	uint64_t value;
	uint64_t read_again;

	if (text_parse_size(text, &value) != 0)
		return;
	text_append_size(&again, value);
	ASSERT(text_parse_size(buf_slice(&again), &read_again) == 0);
	ASSERT(read_again == value);
	buf_release(&again);
}

static void
check_hex(struct slice text)
{
	uint8_t bytes[HEX_SIZE_MAX];
	size_t size = text.size / 2;
	struct buf again = { 0 };

	if (size > sizeof(bytes) || text_parse_hex(text, bytes, size) != 0)
		return;
	text_append_hex(&again, slice_of(bytes, size));
	ASSERT(again.size == text.size);
	for (size_t i = 0; i < text.size; i++)
		ASSERT((again.data[i] | 0x20) == (text.data[i] | 0x20));
	buf_release(&again);
}

/* There is one text for each bytes, and no other is taken. */
static void
check_base64(struct slice text)
{
	struct buf bytes = { 0 };
	struct buf again = { 0 };

	buf_append_text(&bytes, "before");
	if (base64_decode(&bytes, text) == 0) {
		buf_drain(&bytes, 6);
		base64_encode(&again, buf_slice(&bytes));
		ASSERT(slice_equal(buf_slice(&again), text));
	} else {
		ASSERT(bytes.size == 6);
	}
	buf_reset(&again);
	buf_reset(&bytes);
	base64_encode(&again, text);
	ASSERT(again.size == BASE64_SIZE(text.size));
	ASSERT(base64_decode(&bytes, buf_slice(&again)) == 0);
	ASSERT(slice_equal(buf_slice(&bytes), text));
	buf_release(&bytes);
	buf_release(&again);
}

/* What is UTF-8 is the same behind a JSON string; jansson is the judge. */
static void
check_utf8(struct slice bytes)
{
	struct json_place place;
	struct buf text = { 0 };
	struct slice back;
	json_t *document;

	if (!text_is_utf8(bytes))
		return;
	buf_append_text(&text, "{\"a\":");
	text_append_json_string(&text, bytes);
	buf_append_text(&text, "}");
	ASSERT(json_parse_document(
		   buf_slice(&text), text.size, &document, &place) == 0);
	ASSERT(json_get_text(document, "a", &back) == 0);
	ASSERT(slice_equal(back, bytes));
	json_decref(document);
	buf_release(&text);
}

static void
check_address(struct slice text)
{
	struct address address;
	char once[ADDRESS_TEXT_SIZE];
	char twice[ADDRESS_TEXT_SIZE];

	if (address_parse(text, &address) != 0)
		return;
	address_format(&address, once);
	ASSERT(address_parse(slice_from_text(once), &address) == 0);
	address_format(&address, twice);
	ASSERT(strcmp(once, twice) == 0);
}

static void
check_json(struct slice text)
{
	struct json_place place;
	json_t *object = NULL;
	json_t *document = NULL;
	int rc = json_parse_object(text, FUZZ_SEED_SIZE_MAX, &object);
	int document_rc =
	    json_parse_document(text, FUZZ_SEED_SIZE_MAX, &document, &place);

	/* That one takes NUL characters as well. */
	if (rc == 0)
		ASSERT(document_rc == 0);
	if (rc == 0)
		ASSERT(json_equal(object, document));
	json_decref(object);
	json_decref(document);
}

/* The seeds begin with their digits. */
static void (*const checks[])(struct slice text) = {
	check_number,
	check_duration,
	check_size,
	check_hex,
	check_base64,
	check_utf8,
	check_address,
	check_json,
};

void
fuzz_text(struct slice input)
{
	unsigned choice = fuzz_take_u8(&input) - (unsigned)'0';

	if (choice < ARRAY_COUNT(checks))
		checks[choice](input);
}
