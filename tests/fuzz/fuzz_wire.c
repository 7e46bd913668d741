/*
 * Messages and hellos of peers: whatever is decoded is encoded to what it was
 * decoded from.
 */

#include "common/panic.h"
#include "net/wire.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

#define RECORDS_MAX 16

static void
check_message(struct slice text)
{
	struct node_entry entry[RECORDS_MAX] = { 0 };
	struct node_entry *entries[RECORDS_MAX];
	struct wire_records records;
	struct raft_message message;
	struct buf again = { 0 };

	wire_records_init(&records, RECORDS_MAX);
	if (wire_decode_message(text, &records, &message) == 0) {
		for (uint32_t i = 0; i < message.entries_count; i++) {
			entry[i].record = records.record[i];
			entries[i] = &entry[i];
		}
		wire_append_message(&again, &message, entries);
		ASSERT(slice_equal(text, buf_slice(&again)));
		for (uint32_t i = 0; i < message.entries_count; i++)
			free(entry[i].wire_text);
	}
	buf_release(&again);
	wire_records_release(&records);
}

/* A hello may have blanks and escapes; only what it says stays the same. */
static void
check_hello(struct slice text)
{
	struct wire_hello hello;
	struct wire_hello decoded;
	struct buf again = { 0 };
	struct buf third = { 0 };

	if (wire_decode_hello(text, &hello) != 0)
		return;
	wire_append_hello(&again, &hello);
	ASSERT(wire_decode_hello(buf_slice(&again), &decoded) == 0);
	wire_append_hello(&third, &decoded);
	ASSERT(slice_equal(buf_slice(&again), buf_slice(&third)));
	buf_release(&again);
	buf_release(&third);
}

void
fuzz_wire(struct slice input)
{
	check_message(input);
	check_hello(input);
}
