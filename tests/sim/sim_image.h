#ifndef TESTS_SIM_IMAGE_H
#define TESTS_SIM_IMAGE_H

/*
 * What the durable image of a log holds, read from the disk itself and not
 * through the node: what a crash at this moment would leave.
 */

#include "node/node_members.h"
#include "tests/sim/sim_node.h"

struct sim_image {
	struct store_mem_disk *disk; /* a copy as of the last commit */
	struct store *store;
	struct store_txn *txn;
	const struct store_mem_disk *source;
	uint64_t commits_count; /* of the source when it was copied */
	bool broken;            /* entries may be missing, or damaged */
	bool formed;            /* there is a hard state */
	raft_term term;
	raft_id vote;
	raft_index compacted_index;
	raft_index last_index;
};

/* An entry of the log; zeros: there is none. */
struct sim_entry {
	raft_term term;
	enum raft_entry_type type;
	uint64_t hash;    /* of the record */
	uint64_t payload; /* hash of the payload */
	/* Of a MEMBERS entry; else NULL. */
	const struct node_membership *membership;
	/* In the committed log: a term in which it was known to be. */
	raft_term committed_in;
};

/* A zeroed image is empty and valid. */
void sim_image_release(struct sim_image *image);

/* Makes `image` that of the node's log disk as it is now. */
void sim_image_load(struct sim_image *image, struct sim_node *node);

/* The record of an entry that is there; valid until the next load. */
struct slice sim_image_record(const struct sim_image *image, raft_index index);

/* Reads one entry; false if it is not there. A damaged one fails the run. */
bool sim_image_entry(struct sim *sim, const struct sim_image *image,
    raft_index index, struct sim_entry *ret_entry);

#endif
