#ifndef NODE_NODE_IDENTITY_H
#define NODE_NODE_IDENTITY_H

/*
 * Whose directory this is: one CRC-protected record in the log store, written
 * and synced before anything else. The stage moves forward only, each time by
 * one commit before the node acts on it; see node_formation.c.
 */

#include "node/node.h"

enum node_stage {
	NODE_STAGE_FOUNDING, /* waits for all of `members` */
	NODE_STAGE_JOINING,  /* waits for a leader that makes it a member */
	NODE_STAGE_MEMBER,
	NODE_STAGE_REMOVED,
	NODE_STAGE_OUTDATED /* an old copy: a newer one was a member since */
};

struct node_identity {
	enum node_stage stage;
	char cluster[NODE_CLUSTER_SIZE_MAX + 1];
	char name[NODE_NAME_SIZE_MAX + 1];
	uint8_t directory[NODE_NONCE_SIZE];  /* random, of this directory */
	raft_id id;                          /* JOINING: 0 */
	uint8_t cluster_id[NODE_NONCE_SIZE]; /* zeros: a founder's, not known */
	/*
	 * The members that it began with: all founders, with their directories
	 * from MEMBER on, at index 0; or those that a joining node was told
	 * of, with the index of their entry.
	 */
	raft_index members_index;
	struct node_members members; /* JOINING: none */
	uint64_t incarnation;        /* how often it was started: 1, 2, ... */
	/* The boot ids of these starts, the last one first; 0: none. */
	uint64_t boot_ids[1 + NODE_FORMER_LIVES];
	/* How often the cluster was made, 1 unless by force since; JOINING: 0,
	 * not known. See node_recover.h. */
	uint32_t generation;
};

/* ERR_NOT_FOUND: an empty directory. ERR_CORRUPT, ERR_VERSION, ... */
int node_identity_load(
    struct store *log, struct node_identity *ret_identity) ATTR_MUST_CHECK;

int node_identity_save(
    struct store *log, const struct node_identity *identity) ATTR_MUST_CHECK;
/* The same, as a part of `txn`. */
int node_identity_write(struct store_txn *txn,
    const struct node_identity *identity) ATTR_MUST_CHECK;

#endif
