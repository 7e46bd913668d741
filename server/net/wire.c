#include "net/wire.h"
#include "common/base64.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/panic.h"
#include <assert.h>
#include <stdlib.h>

#define HEX_DIGITS 16

enum field_type {
	FIELD_NUMBER, /* uint64_t, at most RAFT_NUMBER_MAX */
	FIELD_HEX,    /* uint64_t as HEX_DIGITS lower-case hex digits */
	FIELD_FLAG    /* bool */
};

/* A member of a message. */
struct field {
	const char *text; /* ,"name": */
	size_t text_size;
	size_t offset; /* in struct raft_message */
	enum field_type type;
	unsigned kinds; /* that have it, by OF_... */
};

#define OF(kind)         (1u << (kind))
#define OF_VOTE_REQUEST  (OF(RAFT_PREVOTE_REQUEST) | OF(RAFT_VOTE_REQUEST))
#define OF_VOTE_RESPONSE (OF(RAFT_PREVOTE_RESPONSE) | OF(RAFT_VOTE_RESPONSE))
#define OF_APPEND        (OF(RAFT_APPEND_REQUEST) | OF(RAFT_APPEND_RESPONSE))
#define OF_SUCCESS       (OF(RAFT_APPEND_RESPONSE) | OF(RAFT_READ_RESPONSE))
#define OF_RESPONSE      (OF_VOTE_RESPONSE | OF_SUCCESS)
#define OF_LAST          (OF_VOTE_REQUEST | OF(RAFT_TIMEOUT_NOW))
#define OF_ALL                                                                 \
	(OF_RESPONSE | OF_LAST | OF(RAFT_APPEND_REQUEST) |                     \
	    OF(RAFT_READ_REQUEST))

#define FIELD(name, member, type, kinds)                                       \
	{                                                                      \
		",\"" name "\":", sizeof(",\"" name "\":") - 1,                \
		    offsetof(struct raft_message, member), (type), (kinds)     \
	}

/* In their order on the wire. */
static const struct field fields[] = {
	FIELD("from", from, FIELD_NUMBER, OF_ALL),
	FIELD("to", to, FIELD_NUMBER, OF_ALL),
	FIELD("term", term, FIELD_NUMBER, OF_ALL),
	FIELD("boot", boot_id, FIELD_HEX, OF_ALL),
	FIELD("to_boot", to_boot_id, FIELD_HEX, OF_RESPONSE),
	FIELD("sequence", sequence, FIELD_NUMBER, OF_ALL),
	FIELD("last_index", last_index, FIELD_NUMBER, OF_LAST),
	FIELD("last_term", last_term, FIELD_NUMBER, OF_LAST),
	FIELD("transfer", transfer, FIELD_FLAG, OF(RAFT_VOTE_REQUEST)),
	FIELD("granted", granted, FIELD_FLAG, OF_VOTE_RESPONSE),
	FIELD("prev_index", prev_index, FIELD_NUMBER, OF(RAFT_APPEND_REQUEST)),
	FIELD("prev_term", prev_term, FIELD_NUMBER, OF(RAFT_APPEND_REQUEST)),
	FIELD("commit_index", commit_index, FIELD_NUMBER,
	    OF(RAFT_APPEND_REQUEST)),
	FIELD("everywhere_index", everywhere_index, FIELD_NUMBER,
	    OF(RAFT_APPEND_REQUEST)),
	FIELD("round", round, FIELD_NUMBER, OF_APPEND),
	FIELD("sent_at", sent_at, FIELD_NUMBER, OF_APPEND),
	FIELD("state_index", state_index, FIELD_NUMBER, OF_APPEND),
	FIELD("state_hash", state_hash, FIELD_HEX, OF(RAFT_APPEND_RESPONSE)),
	FIELD("agreed_index", agreed_index, FIELD_NUMBER,
	    OF(RAFT_APPEND_REQUEST)),
	FIELD("agreed_hash", agreed_hash, FIELD_HEX, OF(RAFT_APPEND_REQUEST)),
	FIELD("read_index", read_index, FIELD_NUMBER, OF(RAFT_READ_RESPONSE)),
	FIELD("success", success, FIELD_FLAG, OF_SUCCESS),
	FIELD("promise", promise, FIELD_NUMBER, OF(RAFT_APPEND_RESPONSE)),
	FIELD(
	    "match_index", match_index, FIELD_NUMBER, OF(RAFT_APPEND_RESPONSE)),
	FIELD("rejected_index", rejected_index, FIELD_NUMBER,
	    OF(RAFT_APPEND_RESPONSE)),
	FIELD("hint_index", hint_index, FIELD_NUMBER, OF(RAFT_APPEND_RESPONSE)),
	FIELD("hint_term", hint_term, FIELD_NUMBER, OF(RAFT_APPEND_RESPONSE)),
	FIELD("repairing", repairing, FIELD_FLAG, OF(RAFT_APPEND_RESPONSE)),
	FIELD("snapshot_wanted", snapshot_wanted, FIELD_NUMBER,
	    OF(RAFT_APPEND_RESPONSE)),
};

/* How a message begins; NODE_GROUP is the only group. */
static_assert(NODE_GROUP == 1, "the group is part of the text below");
#define HEAD(kind) "{\"kind\":\"" kind "\",\"group\":1"

static const char *const heads[] = {
	[RAFT_PREVOTE_REQUEST] = HEAD("prevote_request"),
	[RAFT_PREVOTE_RESPONSE] = HEAD("prevote_response"),
	[RAFT_VOTE_REQUEST] = HEAD("vote_request"),
	[RAFT_VOTE_RESPONSE] = HEAD("vote_response"),
	[RAFT_APPEND_REQUEST] = HEAD("append_request"),
	[RAFT_APPEND_RESPONSE] = HEAD("append_response"),
	[RAFT_TIMEOUT_NOW] = HEAD("timeout_now"),
	[RAFT_READ_REQUEST] = HEAD("read_request"),
	[RAFT_READ_RESPONSE] = HEAD("read_response"),
};

static const char entries_text[] = ",\"entries\":[";

void
wire_records_init(struct wire_records *records, uint32_t count_max)
{
	*records = (struct wire_records){ .count_max = count_max };
	records->record = mem_zalloc(count_max, sizeof(*records->record));
}

void
wire_records_release(struct wire_records *records)
{
	free(records->record);
	buf_release(&records->bytes);
	*records = (struct wire_records){ 0 };
}

static void
append_hex(struct buf *to, uint64_t number)
{
	static const char hex[] = "0123456789abcdef";
	uint8_t *text = buf_reserve(to, HEX_DIGITS + 2);

	text[0] = '"';
	for (size_t i = 0; i < HEX_DIGITS; i++)
		text[1 + i] =
		    (uint8_t)hex[number >> 4 * (HEX_DIGITS - 1 - i) & 15];
	text[1 + HEX_DIGITS] = '"';
	to->size += HEX_DIGITS + 2;
}

static uint64_t
get_number(const struct raft_message *message, const struct field *field)
{
	uint64_t number;

	memcpy(&number, (const char *)message + field->offset, sizeof(number));
	return number;
}

static bool
get_flag(const struct raft_message *message, const struct field *field)
{
	bool flag;

	memcpy(&flag, (const char *)message + field->offset, sizeof(flag));
	return flag;
}

static void
append_field(struct buf *to, const struct field *field,
    const struct raft_message *message)
{
	buf_append(to, field->text, field->text_size);
	switch (field->type) {
	case FIELD_NUMBER:
		ASSERT(get_number(message, field) <= RAFT_NUMBER_MAX);
		buf_append_u64(to, get_number(message, field));
		break;
	case FIELD_HEX: append_hex(to, get_number(message, field)); break;
	case FIELD_FLAG:
		buf_append_text(
		    to, get_flag(message, field) ? "true" : "false");
		break;
	}
}

static void
append_entries(
    struct buf *to, struct node_entry *const *entries, uint32_t entries_count)
{
	buf_append(to, entries_text, sizeof(entries_text) - 1);
	for (uint32_t i = 0; i < entries_count; i++) {
		if (i != 0)
			buf_append(to, ",", 1);
		buf_append(to, "\"", 1);
		buf_append_slice(to, node_entry_wire(entries[i]));
		buf_append(to, "\"", 1);
	}
	buf_append(to, "]", 1);
}

void
wire_append_message(struct buf *to, const struct raft_message *message,
    struct node_entry *const *entries)
{
	buf_append_text(to, heads[message->kind]);
	for (size_t i = 0; i < ARRAY_COUNT(fields); i++) {
		if ((fields[i].kinds & OF(message->kind)) != 0)
			append_field(to, &fields[i], message);
	}
	if (message->kind == RAFT_APPEND_REQUEST)
		append_entries(to, entries, message->entries_count);
	buf_append(to, "}", 1);
}

/* Takes `text` off the front of `rest`; false, with nothing taken, if it is
 * not there. */
static bool
take(struct slice *rest, const char *text, size_t size)
{
	if (rest->size < size || memcmp(rest->data, text, size) != 0)
		return false;
	rest->data += size;
	rest->size -= size;
	return true;
}

static bool
take_number(struct slice *rest, uint64_t *ret_number)
{
	uint64_t number = 0;
	size_t digits = 0;

	while (digits < rest->size && rest->data[digits] >= '0' &&
	       rest->data[digits] <= '9') {
		if (number > RAFT_NUMBER_MAX / 10)
			return false;
		number = number * 10 + (uint64_t)(rest->data[digits] - '0');
		digits++;
	}
	if (digits == 0 || (digits > 1 && rest->data[0] == '0') ||
	    number > RAFT_NUMBER_MAX)
		return false;
	rest->data += digits;
	rest->size -= digits;
	*ret_number = number;
	return true;
}

static bool
take_hex(struct slice *rest, uint64_t *ret_number)
{
	uint64_t number = 0;

	if (rest->size < HEX_DIGITS + 2 || rest->data[0] != '"' ||
	    rest->data[1 + HEX_DIGITS] != '"')
		return false;
	for (size_t i = 1; i <= HEX_DIGITS; i++) {
		uint8_t digit = rest->data[i];

		if (digit >= '0' && digit <= '9')
			number = number << 4 | (uint64_t)(digit - '0');
		else if (digit >= 'a' && digit <= 'f')
			number = number << 4 | (uint64_t)(digit - 'a' + 10);
		else
			return false;
	}
	rest->data += HEX_DIGITS + 2;
	rest->size -= HEX_DIGITS + 2;
	*ret_number = number;
	return true;
}

static bool
take_flag(struct slice *rest, bool *ret_flag)
{
	*ret_flag = take(rest, "true", 4);
	return *ret_flag || take(rest, "false", 5);
}

static bool
take_field(
    struct slice *rest, const struct field *field, struct raft_message *message)
{
	char *member = (char *)message + field->offset;
	uint64_t number;
	bool flag;

	if (!take(rest, field->text, field->text_size))
		return false;
	switch (field->type) {
	case FIELD_NUMBER:
		if (!take_number(rest, &number))
			return false;
		memcpy(member, &number, sizeof(number));
		return true;
	case FIELD_HEX:
		if (!take_hex(rest, &number))
			return false;
		memcpy(member, &number, sizeof(number));
		return true;
	case FIELD_FLAG:
		if (!take_flag(rest, &flag))
			return false;
		memcpy(member, &flag, sizeof(flag));
		return true;
	}
	return false;
}

/* One record with its quotes. Room for its bytes was reserved. */
static bool
take_record(struct slice *rest, struct buf *bytes, struct slice *ret_record)
{
	const uint8_t *end;
	size_t start = bytes->size;
	size_t size;

	if (!take(rest, "\"", 1))
		return false;
	end = memchr(rest->data, '"', rest->size);
	if (end == NULL)
		return false;
	size = (size_t)(end - rest->data);
	if (base64_decode(bytes, slice_of(rest->data, size)) != 0)
		return false;
	*ret_record = slice_of(bytes->data + start, bytes->size - start);
	rest->data += size + 1;
	rest->size -= size + 1;
	return true;
}

static bool
take_entries(
    struct slice *rest, struct wire_records *records, uint32_t *ret_count)
{
	uint32_t count = 0;

	if (!take(rest, entries_text, sizeof(entries_text) - 1))
		return false;
	/* The records' bytes must not move while slices point to them, and
	 * bytes are fewer than the text they are decoded from. */
	buf_reset(&records->bytes);
	(void)buf_reserve(&records->bytes, rest->size);
	if (take(rest, "]", 1)) {
		*ret_count = 0;
		return true;
	}
	do {
		if (count == records->count_max ||
		    !take_record(
			rest, &records->bytes, &records->record[count]))
			return false;
		count++;
	} while (take(rest, ",", 1));
	*ret_count = count;
	return take(rest, "]", 1);
}

static bool
take_head(struct slice *rest, enum raft_message_kind *ret_kind)
{
	for (size_t kind = 1; kind < ARRAY_COUNT(heads); kind++) {
		if (take(rest, heads[kind], strlen(heads[kind]))) {
			*ret_kind = (enum raft_message_kind)kind;
			return true;
		}
	}
	return false;
}

int
wire_decode_message(struct slice text, struct wire_records *records,
    struct raft_message *ret_message)
{
	struct raft_message message = { 0 };

	if (!take_head(&text, &message.kind))
		return ERR_INVALID;
	for (size_t i = 0; i < ARRAY_COUNT(fields); i++) {
		if ((fields[i].kinds & OF(message.kind)) != 0 &&
		    !take_field(&text, &fields[i], &message))
			return ERR_INVALID;
	}
	if (message.kind == RAFT_APPEND_REQUEST &&
	    !take_entries(&text, records, &message.entries_count))
		return ERR_INVALID;
	if (!take(&text, "}", 1) || text.size != 0)
		return ERR_INVALID;
	*ret_message = message;
	return 0;
}
