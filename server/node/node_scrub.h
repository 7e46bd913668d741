#ifndef NODE_NODE_SCRUB_H
#define NODE_NODE_SCRUB_H

/*
 * The scrub: a slow walk over everything on disk, so that damage to what
 * nobody reads is found while the other members are whole, and not when this
 * copy is needed. Every record of the data, by its checksum and key; every
 * entry of the log in the store, by its checksum, index and running hash. What
 * it finds is a fault (ERR_CORRUPT) that names the place; the next opening
 * repairs what it can.
 *
 * It reads at most node_params.scrub_rate bytes a second, in steps behind a
 * turn's work: about 64 KiB or a millisecond, and a single larger record at
 * once. A pass ends with a pause of node_params.scrub_pause, with which the
 * first one begins, too: opening has just read everything. So a small node that
 * idles stays idle.
 *
 * What it does not see:
 *	damage below what the page cache shows: a page that is cached is read
 *	    from there. To read around the cache (O_DIRECT, or dropping pages)
 *	    would throw out what clients need, for pages that are mostly read
 *	    from disk when they are read at all; a cached one is sound anyway,
 *	    and its copy on disk is read when it was dropped
 *	a record that is missing, while the data changes: then the sum over a
 *	    pass proves nothing, and it is found at the next opening
 *	damage to the structure of a store's pages: it is checked at opening
 *	identity and hard state: verified at opening, the latter written anew
 *	    by every commit
 */

#include "kv/kv.h"
#include "raft/raft.h"

struct node;

struct node_scrub {
	raft_usec due_at;      /* of the next step; RAFT_NEVER: it is off */
	struct kv_scrub *data; /* NULL: not in the data */
	bool in_log;
	raft_index position; /* in the log: the last entry read */
	uint64_t bytes;      /* read since the start */
	uint64_t passes;     /* completed since the start */
};

/* Begins with the pause. */
void node_scrub_init(struct node *node, raft_usec now);
/* Another state takes the place of node->kv: the pass begins again there. */
void node_scrub_release(struct node *node);
/* Does a step if one is due. A fault if damage was found. */
int node_scrub_turn(struct node *node, raft_usec now) ATTR_MUST_CHECK;

#endif
