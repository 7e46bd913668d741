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

/* Appends all of it; see node_members_read. */
void node_members_append(struct buf *to, const struct node_members *members);
/* Marks `reader` as failed for what is not a list of members. */
void node_members_read(
    struct codec_reader *reader, struct node_members *ret_members);

/* The same names at the same addresses; directories may differ. */
bool
node_members_equal(const struct node_members *a, const struct node_members *b);

/* NULL if there is none. */
const struct node_member *
node_members_find(const struct node_members *members, raft_id id);
const struct node_member *
node_members_find_name(const struct node_members *members, const char *name);
/* Adds a member, whose id is above all others; there is room. */
void node_members_add(
    struct node_members *members, const struct node_member *member);
/* Drops the member `id`, if it is there. */
void node_members_drop(struct node_members *members, raft_id id);

/* The membership of a cluster of exactly these voters, or none, at index 0. */
void node_members_to_raft(
    const struct node_members *members, struct raft_members *ret_members);

/* A membership as the node knows it: both list the same ids. */
struct node_membership {
	struct node_members members;
	struct raft_members roles; /* its index is that of the entry */
};

/*
 * The payload of a RAFT_ENTRY_MEMBERS entry of the cluster `cluster_id`:
 * `members` and `roles` list the same ids. Carries the roles of both halves,
 * who replaces whom, names, addresses and directories.
 */
void node_membership_encode(struct buf *to,
    const uint8_t cluster_id[NODE_NONCE_SIZE],
    const struct node_members *members, const struct raft_members *roles);

/*
 * ERR_CORRUPT: not a membership. ERR_VERSION: of a newer version, be it only a
 * role that is not known here: it is never guessed. The index of
 * *ret_roles is left 0: it is that of the entry.
 */
int node_membership_decode(struct slice payload,
    uint8_t ret_cluster_id[NODE_NONCE_SIZE], struct node_members *ret_members,
    struct raft_members *ret_roles) ATTR_MUST_CHECK;

#endif
