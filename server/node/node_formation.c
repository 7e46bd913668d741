/*
 * Identity of a directory, and the first formation of a cluster.
 *
 * An empty directory gets a random nonce, made durable before anything else.
 * A cluster is formed only when every listed member has been heard: empty, or
 * already formed with this very directory. (A majority of empty ones is not
 * enough: a wiped member and a late one could outvote the third, which holds
 * the data.) What was heard, the nonces of all directories, is made durable
 * with the mark `formed` before this node's first vote.
 *
 * Afterwards a member whose directory has another nonce is a wiped one. It
 * finds out from the others, who know its former nonce, and never takes part:
 * its lost votes and acknowledgements may have been counted.
 */

#include "node/node_impl.h"
#include "node/node_members.h"

#include <stdio.h>

static const uint8_t no_nonce[NODE_NONCE_SIZE];

static bool
nonce_equal(const uint8_t *a, const uint8_t *b)
{
	return memcmp(a, b, NODE_NONCE_SIZE) == 0;
}

static int
check_owner(const struct node *node, char *why, size_t size)
{
	const struct node_identity *identity = &node->identity;
	const struct node_params *params = &node->params;

	if (strcmp(identity->cluster, params->cluster) == 0 &&
	    strcmp(identity->name, params->name) == 0)
		return 0;
	snprintf(why, size,
	    "this directory belongs to node %s of cluster %s, not to %s of %s: "
	    "set node.data-dir to the right one, or node.name = %s and "
	    "cluster.name = %s if it is this node under a new name",
	    identity->name, identity->cluster, params->name, params->cluster,
	    identity->name, identity->cluster);
	return ERR_MISMATCH;
}

static int
found_directory(struct node *node, char *why, size_t size)
{
	struct node_identity *identity = &node->identity;
	const struct node_params *params = &node->params;
	int error;

	*identity = (struct node_identity){ .members = params->members };
	memcpy(identity->cluster, params->cluster, sizeof(identity->cluster));
	memcpy(identity->name, params->name, sizeof(identity->name));
	memcpy(identity->directory, params->directory_nonce, NODE_NONCE_SIZE);
	error = node_identity_save(node->log_store, identity);
	if (error != 0)
		snprintf(why, size, "identity: %s", err_text(error));
	return error;
}

/* Entries are applied by members of a formed cluster alone. */
static int
check_log_is_there(const struct node *node, char *why, size_t size)
{
	uint64_t applied = kv_applied_index(node->kv);

	if (node->identity.formed || applied == 0)
		return 0;
	snprintf(why, size,
	    "the data holds entry %llu but the log is empty: it was lost, and "
	    "votes and entries with it; put back a data-dir that is whole",
	    (unsigned long long)applied);
	return ERR_CORRUPT;
}

static unsigned
position_of(const struct node *node, raft_id id)
{
	const struct node_members *members = &node->identity.members;
	const struct node_member *member = node_members_find(members, id);

	return member == NULL ? NODE_MEMBERS_MAX
			      : (unsigned)(member - members->member);
}

static void
note_heard(struct node *node, unsigned position, const uint8_t *directory)
{
	struct node_identity *identity = &node->identity;

	memcpy(identity->directories[position], directory, NODE_NONCE_SIZE);
	node->heard[position] = true;
	node->changed = true;
	node->again = true;
	for (unsigned i = 0; i < identity->members.count; i++) {
		if (!node->heard[i])
			return;
	}
	node->formation_complete = true;
}

int
node_formation_open(struct node *node, char *why, size_t size)
{
	const struct node_member *self;
	int error;

	error = node_identity_load(node->log_store, &node->identity);
	if (error == 0 || error == ERR_NOT_FOUND) {
		int lost = check_log_is_there(node, why, size);

		if (lost != 0)
			return lost;
	}
	if (error == 0)
		error = check_owner(node, why, size);
	else if (error == ERR_NOT_FOUND)
		error = found_directory(node, why, size);
	else
		snprintf(why, size, "identity: %s", err_text(error));
	if (error != 0)
		return error;
	self = node_members_find_name(
	    &node->identity.members, node->identity.name);
	if (self == NULL) {
		snprintf(why, size, "identity: %s is none of the members",
		    node->identity.name);
		return ERR_CORRUPT;
	}
	node->id = self->id;
	if (node->identity.formed)
		node->state = NODE_MEMBER;
	else
		note_heard(node, position_of(node, node->id),
		    node->identity.directory);
	return 0;
}

int
node_formation_turn(struct node *node)
{
	int error;

	if (node->state != NODE_FORMING || !node->formation_complete)
		return 0;
	node->identity.formed = true;
	error = node_identity_save(node->log_store, &node->identity);
	if (error != 0)
		return node_set_fault(
		    node, error, "identity: %s", err_text(error));
	node->state = NODE_MEMBER;
	node->changed = true;
	return 0;
}

void
node_get_hello(
    const struct node *node, raft_id to, struct node_hello *ret_hello)
{
	unsigned position = position_of(node, to);

	*ret_hello = (struct node_hello){
		.from = node->id,
		.to = to,
		.boot_id = node->params.boot_id,
		.formed = node->identity.formed,
		.members = node->identity.members,
	};
	memcpy(ret_hello->cluster, node->identity.cluster,
	    sizeof(ret_hello->cluster));
	memcpy(ret_hello->directory, node->identity.directory, NODE_NONCE_SIZE);
	if (node->cluster_id_known)
		memcpy(
		    ret_hello->cluster_id, node->cluster_id, NODE_NONCE_SIZE);
	if (node->identity.formed && position < NODE_MEMBERS_MAX)
		memcpy(ret_hello->known_directory,
		    node->identity.directories[position], NODE_NONCE_SIZE);
}

static int
check_cluster(const struct node *node, const struct node_hello *hello,
    char *why, size_t size)
{
	if (strcmp(hello->cluster, node->identity.cluster) != 0) {
		snprintf(why, size,
		    "it belongs to cluster %s, this node to %s: check "
		    "cluster.name and the addresses in [members]",
		    hello->cluster, node->identity.cluster);
		return ERR_MISMATCH;
	}
	if (node->cluster_id_known &&
	    !nonce_equal(hello->cluster_id, no_nonce) &&
	    !nonce_equal(hello->cluster_id, node->cluster_id)) {
		snprintf(why, size,
		    "it belongs to another cluster of the same name %s",
		    hello->cluster);
		return ERR_MISMATCH;
	}
	if (!node_members_equal(&hello->members, &node->identity.members)) {
		snprintf(why, size,
		    "its cluster was founded with another [members] list: make "
		    "the lists equal before the first start");
		return ERR_MISMATCH;
	}
	return 0;
}

static int
become_wiped(
    struct node *node, const struct node_hello *hello, char *why, size_t size)
{
	const struct node_member *peer =
	    node_members_find(&node->identity.members, hello->from);

	if (node->state != NODE_WIPED) {
		node->state = NODE_WIPED;
		node->changed = true;
		node->again = true;
	}
	snprintf(why, size,
	    "this node's directory is empty but %s remembers its former one: "
	    "it takes no part, as its lost votes may have counted; put the "
	    "former directory back",
	    peer->name);
	return ERR_MISMATCH;
}

static int
hear_formed(const struct node *node, const struct node_hello *hello,
    unsigned position, char *why, size_t size)
{
	const char *name = node->identity.members.member[position].name;

	if (!nonce_equal(
		hello->directory, node->identity.directories[position])) {
		snprintf(why, size,
		    "%s comes with another directory than the cluster was "
		    "formed with: was its data-dir wiped or replaced?",
		    name);
		return ERR_MISMATCH;
	}
	if (hello->formed &&
	    !nonce_equal(hello->known_directory, node->identity.directory)) {
		snprintf(why, size,
		    "%s was formed with another directory of this node: is "
		    "this data-dir an old copy?",
		    name);
		return ERR_MISMATCH;
	}
	return 0;
}

int
node_hear(
    struct node *node, const struct node_hello *hello, char *why, size_t size)
{
	unsigned position = position_of(node, hello->from);
	int error;

	if (position == NODE_MEMBERS_MAX || hello->from == node->id ||
	    hello->to != node->id || hello->boot_id == 0) {
		snprintf(why, size,
		    "it says it is member %llu and means member %llu; this is "
		    "%s: check [members]",
		    (unsigned long long)hello->from,
		    (unsigned long long)hello->to, node->identity.name);
		return ERR_MISMATCH;
	}
	error = check_cluster(node, hello, why, size);
	if (error != 0)
		return error;
	if (node->identity.formed)
		return hear_formed(node, hello, position, why, size);
	if (hello->formed &&
	    !nonce_equal(hello->known_directory, node->identity.directory))
		return become_wiped(node, hello, why, size);
	if (node->state == NODE_FORMING)
		note_heard(node, position, hello->directory);
	return 0;
}
