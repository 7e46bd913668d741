#ifndef NET_WIRE_H
#define NET_WIRE_H

/*
 * Raft's messages and hellos as JSON.
 *
 * A message is an object of numbers, booleans, boot ids and hashes in hex (a
 * random 64-bit number would lose bits as a JSON number) and one array of
 * records in base64. Millions of them are sent by this program to itself, and a general
 * parser took 5 us for an acknowledgement and 4 us for each record of 240
 * bytes, several times the rest of the work. So messages are read in the one
 * form in which they are written: members in their order, no blanks, digits
 * without a leading zero. Anything else is malformed. What was read and is
 * written again gives the same bytes.
 *
 * A hello comes once per connection, and is read by the general parser.
 */

#include "common/buf.h"
#include "common/macros.h"
#include "node/transport.h"

/* Both sides of a connection must speak the same one: it is in the hello. */
#define WIRE_VERSION    4
#define WIRE_NONCE_SIZE 32
/* The largest text of a hello. */
#define WIRE_HELLO_SIZE_MAX 8192

/* ---- Messages ---- */

/* Records of a message that was read; the memory is used again and again. */
struct wire_records {
	uint32_t count_max;
	struct slice *record; /* message->entries_count of them */
	struct buf bytes;
};

void wire_records_init(struct wire_records *records, uint32_t count_max);
void wire_records_release(struct wire_records *records);

/*
 * Appends a message. `entries` are the message->entries_count entries of an
 * append request; their text is spliced in as it is kept with them.
 */
void wire_append_message(struct buf *to, const struct raft_message *message,
    struct node_entry *const *entries);

/*
 * Reads a message. The members that its kind has not are zero, `entries` is
 * NULL, and `records` holds the records of an append request until it is used
 * again. ERR_INVALID for anything that wire_append_message cannot have
 * written: other members, numbers above RAFT_NUMBER_MAX, another group, more
 * records than records->count_max.
 */
int wire_decode_message(struct slice text, struct wire_records *records,
    struct raft_message *ret_message) ATTR_MUST_CHECK;

/* ---- Hellos ---- */

/* What a connection is for; its dialler says so. */
enum wire_purpose {
	WIRE_APPEND,
	WIRE_BULK,
	WIRE_SNAPSHOT,
	WIRE_FORWARD,
	WIRE_PROBE /* to look at a node that may be added, and no more */
};

struct wire_hello {
	enum wire_purpose purpose;
	uint8_t nonce[WIRE_NONCE_SIZE];
	struct node_hello node;
};

void wire_append_hello(struct buf *to, const struct wire_hello *hello);

/*
 * ERR_VERSION: of another version of the protocol. ERR_INVALID: malformed;
 * ERR_TOO_LARGE: over WIRE_HELLO_SIZE_MAX.
 */
int wire_decode_hello(
    struct slice text, struct wire_hello *ret_hello) ATTR_MUST_CHECK;

#endif
