#ifndef NODE_NODE_FELLOWS_H
#define NODE_NODE_FELLOWS_H

/*
 * What a member remembers of the lives of the others: one CRC-protected record
 * in the log store, beside the identity. See node_fellows.c.
 */

#include "node/transport.h"

struct node_fellow {
	raft_id id;
	uint8_t directory[NODE_NONCE_SIZE]; /* that the rest is about */
	bool member; /* it has taken part, and waits for nothing any more */
	/* Of the newest life that was heard. */
	uint64_t incarnation;
	uint64_t boot_id;
	raft_term term;        /* its durable one, when it said hello last */
	raft_index last_index; /* of its log, about when that life began */
};

struct node_fellows {
	unsigned count;
	struct node_fellow fellow[NODE_MEMBERS_MAX];
};

/* Nothing remembered yet: none. ERR_CORRUPT, ERR_VERSION, ... */
int node_fellows_load(
    struct store *log, struct node_fellows *ret_fellows) ATTR_MUST_CHECK;

#endif
