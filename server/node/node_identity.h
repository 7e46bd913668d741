#ifndef NODE_NODE_IDENTITY_H
#define NODE_NODE_IDENTITY_H

/*
 * Whose directory this is: one CRC-protected record in the log store, written
 * and synced before anything else. `formed` is set, with the directories of
 * all members, by one commit before this node's first vote; see
 * node_formation.c.
 */

#include "node/node.h"

struct node_identity {
	char cluster[NODE_CLUSTER_SIZE_MAX + 1];
	char name[NODE_NAME_SIZE_MAX + 1];
	struct node_members members; /* as founded */
	uint8_t directory[NODE_NONCE_SIZE];
	bool formed;
	/* Of member[i], as it was when the cluster was formed. */
	uint8_t directories[NODE_MEMBERS_MAX][NODE_NONCE_SIZE];
};

/* ERR_NOT_FOUND: an empty directory. ERR_CORRUPT, ERR_VERSION, ... */
int node_identity_load(
    struct store *log, struct node_identity *ret_identity) ATTR_MUST_CHECK;

int node_identity_save(
    struct store *log, const struct node_identity *identity) ATTR_MUST_CHECK;

#endif
