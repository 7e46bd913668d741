#ifndef NODE_NODE_RECORD_H
#define NODE_NODE_RECORD_H

/*
 * The log record: one entry as bytes, the same on every disk and on the wire.
 *
 *	 0  u8   format version (1)
 *	 1  u8   type (enum raft_entry_type)
 *	 2  u16  zero
 *	 4  u32  size of the payload
 *	 8  u64  index
 *	16  u64  term
 *	24  u64  cluster time, microseconds
 *	32  u64  running hash: of the entry before, bytes 0..31 and the payload
 *	40       payload
 *	    u32  CRC-32C of all before
 *
 * The CRC finds damage in one record; the running hash finds a record that is
 * missing or belongs to another history: equal hashes at an index mean equal
 * logs up to it.
 */

#include "common/buf.h"
#include "common/err.h"
#include "raft/raft.h"

#define NODE_RECORD_OVERHEAD 44

struct node_record {
	enum raft_entry_type type;
	raft_index index;
	raft_term term;
	uint64_t time_us;
	uint64_t chain;
	struct slice payload; /* borrowed from the bytes */
};

/*
 * Writes the record to `to`, which has room for NODE_RECORD_OVERHEAD +
 * payload.size bytes, and sets record->chain from the hash before.
 */
void node_record_encode(
    uint8_t *to, struct node_record *record, uint64_t previous_chain);

/* ERR_CORRUPT; ERR_VERSION: by a newer version, its CRC being right. */
int node_record_decode(
    struct slice bytes, struct node_record *ret_record) ATTR_MUST_CHECK;

/* The running hash that a record must have after `previous_chain`. */
uint64_t node_record_chain(struct slice bytes, uint64_t previous_chain);

#endif
