/*
 * Who the members are, and where: the memberships in effect and committed,
 * each with the names, addresses and directories that the core knows nothing
 * of. They come from the payload of the entry in the log, from the state
 * machine when that entry is cut, or from the identity before there is one.
 *
 * A joined node gets the log from its beginning, with memberships of long ago.
 * Until it reaches the one that it was told at its joining, that one counts
 * here: it knows where the members are, and these do not lack it.
 */

#include "common/codec.h"
#include "common/panic.h"
#include "node/node_impl.h"

void
node_identity_membership(const struct node_identity *identity,
    struct node_membership *ret_membership)
{
	struct raft_members *roles = &ret_membership->roles;
	/* Who joins is told of somebody else; who is alone has made the cluster
	 * anew. */
	bool joined =
	    identity->members_index != 0 && identity->members.count > 1;

	ret_membership->members = identity->members;
	node_members_to_raft(&identity->members, roles);
	roles->index = identity->members_index;
	for (unsigned i = 0; joined && i < roles->count; i++) {
		if (roles->member[i].id != identity->id)
			continue;
		roles->member[i].role_old = RAFT_MEMBER_LEARNER;
		roles->member[i].role_new = RAFT_MEMBER_LEARNER;
	}
}

void
node_base_membership(
    const struct node *node, struct node_membership *ret_membership)
{
	node_identity_membership(&node->identity, ret_membership);
}

/* ---- Committed ---- */

/* Memberships of before the cluster was made anew carry the id of before. */
static void
commit(struct node *node, const uint8_t cluster_id[NODE_NONCE_SIZE],
    const struct node_membership *membership)
{
	if (membership->roles.index < node->identity.members_index)
		return;
	memcpy(node->cluster_id, cluster_id, NODE_NONCE_SIZE);
	node->cluster_id_known = true;
	node->committed = *membership;
	node->changed = true;
	if (node_members_find(&membership->members, node->id) == NULL)
		node_formation_remove(node);
}

int
node_take_membership(struct node *node, struct slice payload)
{
	uint8_t cluster_id[NODE_NONCE_SIZE];
	struct node_membership membership;
	struct buf bytes = { 0 };
	int error;

	error = node_membership_decode(
	    payload, cluster_id, &membership.members, &membership.roles);
	if (error != 0)
		return error;
	membership.roles.index = kv_applied_index(node->kv) + 1;
	commit(node, cluster_id, &membership);
	codec_append_u64(&bytes, membership.roles.index);
	buf_append_slice(&bytes, payload);
	error = kv_set_meta(node->kv, NODE_MEMBERSHIP_META, buf_slice(&bytes));
	node_log_note_members(node->log, buf_slice(&bytes));
	buf_release(&bytes);
	return error;
}

int
node_membership_note_decode(struct slice note,
    uint8_t ret_cluster_id[NODE_NONCE_SIZE],
    struct node_membership *ret_membership)
{
	struct node_membership membership;
	struct codec_reader reader;
	uint64_t index;
	int error;

	codec_reader_init(&reader, note);
	index = codec_read_u64(&reader);
	error = node_membership_decode(reader.rest, ret_cluster_id,
	    &membership.members, &membership.roles);
	if (error != 0)
		return error;
	membership.roles.index = index;
	*ret_membership = membership;
	return 0;
}

int
node_stored_membership(struct kv *kv, const struct node_log *log,
    uint8_t ret_cluster_id[NODE_NONCE_SIZE],
    struct node_membership *ret_membership)
{
	struct slice note;
	int error;

	error = kv_get_meta(kv, NODE_MEMBERSHIP_META, &note);
	if (error == ERR_NOT_FOUND) {
		note = node_log_get_members(log);
		error = note.size == 0 ? ERR_NOT_FOUND : 0;
	}
	if (error != 0)
		return error;
	return node_membership_note_decode(
	    note, ret_cluster_id, ret_membership);
}

int
node_load_membership(struct node *node)
{
	uint8_t cluster_id[NODE_NONCE_SIZE];
	struct node_membership membership;
	int error;

	error = node_stored_membership(
	    node->kv, node->log, cluster_id, &membership);
	if (error == ERR_NOT_FOUND)
		return 0;
	if (error != 0)
		return error;
	commit(node, cluster_id, &membership);
	return 0;
}

bool
node_is_gone(const struct node *node, raft_id id)
{
	const struct node_membership *committed = &node->committed;

	/* Ids come from the index of the entry that adds, at the latest. */
	return id <= committed->roles.index + NODE_MEMBERS_MAX &&
	       node_members_find(&committed->members, id) == NULL;
}

/* ---- In effect ---- */

static void
activate(struct node *node, const struct node_membership *membership)
{
	node->active = *membership;
	node->changed = true;
	node->members_changed = true;
}

/* The membership in the log's entry `index`. */
static int
read_membership(
    struct node *node, raft_index index, struct node_membership *ret_membership)
{
	uint8_t cluster_id[NODE_NONCE_SIZE];
	struct node_record record;
	struct node_entry *entry;
	int error;

	error = node_log_get(node->log, index, &entry);
	if (error == 0)
		error = node_record_decode(entry->record, &record);
	if (error == 0)
		error = node_membership_decode(record.payload, cluster_id,
		    &ret_membership->members, &ret_membership->roles);
	if (error != 0)
		return error;
	ret_membership->roles.index = index;
	/* A leader that finds it uncommitted goes on with this cluster. */
	if (!node->cluster_id_known)
		memcpy(node->cluster_id, cluster_id, NODE_NONCE_SIZE);
	return 0;
}

int
node_update_membership(struct node *node)
{
	raft_index index = raft_get_members(node->raft)->index;
	struct node_membership membership;
	int error = 0;

	if (index <= node->identity.members_index)
		node_base_membership(node, &membership);
	else if (index == node->committed.roles.index)
		membership = node->committed;
	else
		error = read_membership(node, index, &membership);
	if (error != 0)
		return node_set_fault(node, error,
		    "membership of entry %llu: %s", (unsigned long long)index,
		    err_text(error));
	activate(node, &membership);
	return 0;
}

void
node_append_membership(struct node *node, raft_usec now,
    const struct raft_entry *entry, const struct node_members *book)
{
	struct node_membership membership = { .roles = *entry->members };
	struct buf payload = { 0 };

	for (unsigned i = 0; i < membership.roles.count; i++) {
		const struct node_member *member =
		    node_members_find(book, membership.roles.member[i].id);

		ASSERT(member != NULL);
		node_members_add(&membership.members, member);
	}
	node_membership_encode(
	    &payload, node->cluster_id, &membership.members, &membership.roles);
	node_log_append(node->log, RAFT_ENTRY_MEMBERS, entry->term,
	    node_stamp_time(node, now), buf_slice(&payload));
	buf_release(&payload);
	activate(node, &membership);
}

/* ---- Looking ---- */

const struct node_members *
node_get_members(const struct node *node)
{
	return &node->active.members;
}

const struct node_member *
node_find_member(const struct node *node, raft_id id)
{
	return node_members_find(&node->active.members, id);
}

const struct node_member *
node_find_member_name(const struct node *node, const char *name)
{
	return node_members_find_name(node_get_members(node), name);
}

raft_id
node_get_replaced(const struct node *node, raft_id id)
{
	const struct raft_members *roles = &node->active.roles;

	for (unsigned i = 0; i < roles->count; i++) {
		if (roles->member[i].id == id)
			return roles->member[i].replaces;
	}
	return 0;
}

enum raft_member_role
node_get_role(const struct node *node, raft_id id)
{
	const struct raft_members *roles = &node->active.roles;

	for (unsigned i = 0; i < roles->count; i++) {
		const struct raft_member *member = &roles->member[i];

		/* Who leaves is a member until it has left. */
		if (member->id == id)
			return member->role_new != RAFT_MEMBER_NONE
				   ? member->role_new
				   : member->role_old;
	}
	return RAFT_MEMBER_NONE;
}

/* In one half of a membership. */
static bool
half_needs(const struct raft_members *roles, raft_id id, bool incoming)
{
	unsigned voters = 0;
	unsigned others = 0;

	for (unsigned i = 0; i < roles->count; i++) {
		const struct raft_member *member = &roles->member[i];
		enum raft_member_role role =
		    incoming ? member->role_new : member->role_old;

		if (role != RAFT_MEMBER_VOTER)
			continue;
		voters++;
		others += member->id != id;
	}
	return voters != 0 && others < voters / 2 + 1;
}

static bool
needs(const struct node_membership *membership, raft_id id)
{
	return half_needs(&membership->roles, id, false) ||
	       half_needs(&membership->roles, id, true);
}

bool
node_is_needed(const struct node *node)
{
	return node->state == NODE_MEMBER &&
	       (needs(&node->active, node->id) ||
		   needs(&node->committed, node->id));
}
