#ifndef NODE_NODE_MEMBERS_H
#define NODE_NODE_MEMBERS_H

/*
 * Who the members are, as bytes: in the identity record of a directory and in
 * the payload of a RAFT_ENTRY_MEMBERS entry, which carries the cluster's
 * random id as well and is joint-ready.
 */

#include "common/buf.h"
#include "common/codec.h"
#include "node/transport.h"

/* Appends the names and addresses; see node_members_read. */
void node_members_append(struct buf *to, const struct node_members *members);
/* Marks `reader` as failed for what is not a list of members. */
void node_members_read(
    struct codec_reader *reader, struct node_members *ret_members);

bool
node_members_equal(const struct node_members *a, const struct node_members *b);

/* NULL if there is none. */
const struct node_member *
node_members_find(const struct node_members *members, raft_id id);
const struct node_member *
node_members_find_name(const struct node_members *members, const char *name);

/* The membership of a cluster of exactly these voters, at index 0. */
void node_members_to_raft(
    const struct node_members *members, struct raft_members *ret_members);

/* The payload of the entry that founds the cluster `cluster_id`. */
void node_membership_encode(struct buf *to,
    const uint8_t cluster_id[NODE_NONCE_SIZE],
    const struct node_members *members, const struct raft_members *roles);

/*
 * ERR_CORRUPT: not a membership. ERR_VERSION: of a newer version. The index of
 * *ret_roles is left 0: it is that of the entry.
 */
int node_membership_decode(struct slice payload,
    uint8_t ret_cluster_id[NODE_NONCE_SIZE], struct node_members *ret_members,
    struct raft_members *ret_roles) ATTR_MUST_CHECK;

#endif
