/*
 * Identity of a directory: how it begins, and what becomes of it.
 *
 *	FOUNDING --every founder heard--> MEMBER --committed without it--+
 *	JOINING --a member says that it was added--^       REMOVED <-----+
 *
 * An empty directory gets a random nonce, made durable before anything else.
 * A cluster is founded only when every listed member has been heard: empty, or
 * already a member with this very directory known to it. (A majority of empty
 * ones is not enough: a wiped member and a late one could outvote the third,
 * which holds the data.) What was heard, the nonces of all directories, is made
 * durable with the new stage before this node's first vote.
 *
 * Afterwards a founder whose directory has another nonce is a wiped one. It
 * finds out from the others, who know its former nonce, and never takes part:
 * its lost votes and acknowledgements may have been counted.
 *
 * A node that joins has no id until a member tells it the one under which it
 * was added. That is believed only when the change is committed, for until
 * then another node may get this id after all.
 *
 * A removed member's directory is of no more use: its id never comes back.
 * Neither is a copy of a member's directory that is older than what the others
 * have heard of it since (node_fellows.c): MEMBER -> OUTDATED.
 */

#include "node/node_impl.h"

#include <inttypes.h>
#include <stdio.h>

static int
check_owner(const struct node *node, char *why, size_t size)
{
	const struct node_identity *identity = &node->identity;
	const struct node_params *params = &node->params;

	if (strcmp(identity->cluster, params->cluster) != 0 ||
	    strcmp(identity->name, params->name) != 0) {
		snprintf(why, size,
		    "this directory belongs to node %s of cluster %s, not to "
		    "%s of %s: set node.data-dir to the right one, or "
		    "node.name = %s and cluster.name = %s if it is this node "
		    "under a new name",
		    identity->name, identity->cluster, params->name,
		    params->cluster, identity->name, identity->cluster);
		return ERR_MISMATCH;
	}
	if (identity->stage == NODE_STAGE_REMOVED) {
		snprintf(why, size,
		    "node %s (member %" PRIu64 ") was removed from cluster "
		    "%s: to add it again, start it with node.join = wait and "
		    "an empty node.data-dir, and ask the cluster: POST "
		    "/cluster/members?name=%s&address=%s",
		    identity->name, identity->id, identity->cluster,
		    identity->name, params->address);
		return ERR_MISMATCH;
	}
	if (identity->stage == NODE_STAGE_OUTDATED) {
		node_refuse_outdated(node, why, size);
		return ERR_MISMATCH;
	}
	return 0;
}

static int
begin_directory(struct node *node, char *why, size_t size)
{
	struct node_identity *identity = &node->identity;
	const struct node_params *params = &node->params;
	const struct node_member *self;
	int error;

	*identity = (struct node_identity){
		.members = params->members,
		.incarnation = 1,
		.boot_ids = { params->boot_id },
	};
	memcpy(identity->cluster, params->cluster, sizeof(identity->cluster));
	memcpy(identity->name, params->name, sizeof(identity->name));
	memcpy(identity->directory, params->directory_nonce, NODE_NONCE_SIZE);
	identity->stage = NODE_STAGE_JOINING;
	if (params->members.count != 0) {
		self = node_members_find_name(&params->members, params->name);
		if (self == NULL) {
			snprintf(why, size, "%s is none of the [members]",
			    params->name);
			return ERR_INVALID;
		}
		identity->stage = NODE_STAGE_FOUNDING;
		identity->id = self->id;
		identity->generation = 1;
	}
	error = node_identity_save(node->log_store, identity);
	if (error != 0)
		snprintf(why, size, "identity: %s", err_text(error));
	return error;
}

/* Durable before anything is said: no other life has this number. */
static int
count_start(struct node *node, char *why, size_t size)
{
	struct node_identity *identity = &node->identity;
	int error;

	identity->incarnation++;
	memmove(&identity->boot_ids[1], &identity->boot_ids[0],
	    NODE_FORMER_LIVES * sizeof(identity->boot_ids[0]));
	identity->boot_ids[0] = node->params.boot_id;
	error = node_identity_save(node->log_store, &node->identity);
	if (error != 0)
		snprintf(why, size, "identity: %s", err_text(error));
	return error;
}

/* It never voted: it may begin anew, as if it were empty, to join instead. The
 * cluster may have been founded with it, and then knows it as wiped. */
static bool
founds_no_more(const struct node *node)
{
	return node->identity.stage == NODE_STAGE_FOUNDING &&
	       node->params.members.count == 0;
}

static int
load_identity(struct node *node, char *why, size_t size)
{
	int error = node_identity_load(node->log_store, &node->identity);

	if (error == 0)
		error = check_owner(node, why, size);
	if (error == 0)
		return founds_no_more(node) ? begin_directory(node, why, size)
					    : count_start(node, why, size);
	if (error == ERR_MISMATCH)
		return error;
	if (error == ERR_NOT_FOUND)
		return begin_directory(node, why, size);
	if (error == ERR_VERSION)
		snprintf(why, size,
		    "this directory was written by another version of "
		    "luminousd: run that one, or give this node an empty "
		    "node.data-dir and add it to its cluster again");
	else
		snprintf(why, size, "identity: %s", err_text(error));
	return error;
}

/* The durable stage takes effect. */
static void
enter_stage(struct node *node)
{
	const struct node_identity *identity = &node->identity;
	static const uint8_t no_nonce[NODE_NONCE_SIZE];
	static const enum node_state states[] = {
		[NODE_STAGE_FOUNDING] = NODE_FORMING,
		[NODE_STAGE_JOINING] = NODE_JOINING,
		[NODE_STAGE_MEMBER] = NODE_MEMBER,
		[NODE_STAGE_REMOVED] = NODE_REMOVED,
		[NODE_STAGE_OUTDATED] = NODE_OUTDATED,
	};

	node->id = identity->id;
	node->state = states[identity->stage];
	node->changed = true;
	node->members_changed = true;
	if (memcmp(identity->cluster_id, no_nonce, NODE_NONCE_SIZE) != 0) {
		memcpy(node->cluster_id, identity->cluster_id, NODE_NONCE_SIZE);
		node->cluster_id_known = true;
	}
	if (node->state == NODE_REMOVED) {
		node->active = (struct node_membership){ .roles.index = 0 };
		return;
	}
	if (node->state == NODE_OUTDATED)
		return;
	node_base_membership(node, &node->active);
	node->committed = node->active;
}

int
node_formation_open(struct node *node, char *why, size_t size)
{
	const struct node_members *members = &node->identity.members;
	int error;

	error = load_identity(node, why, size);
	if (error == 0)
		error = node_fellows_open(node, why, size);
	if (error != 0)
		return error;
	memcpy(node->cluster_id, node->params.cluster_id, NODE_NONCE_SIZE);
	enter_stage(node);
	for (unsigned i = 0; i < members->count; i++) {
		if (members->member[i].id == node->id &&
		    node->state == NODE_FORMING)
			node_formation_heard(node, i, node->identity.directory);
	}
	return 0;
}

void
node_formation_heard(
    struct node *node, unsigned position, const uint8_t *directory)
{
	struct node_identity *identity = &node->identity;

	if (directory != NULL)
		memcpy(identity->members.member[position].directory, directory,
		    NODE_NONCE_SIZE);
	node->heard[position] = true;
	node->changed = true;
	node->again = true;
	for (unsigned i = 0; i < identity->members.count; i++) {
		if (!node->heard[i])
			return;
	}
	identity->stage = NODE_STAGE_MEMBER;
	node->identity_changed = true;
}

void
node_formation_join(struct node *node, const struct node_hello *hello)
{
	struct node_identity *identity = &node->identity;

	identity->stage = NODE_STAGE_MEMBER;
	identity->id = hello->to;
	memcpy(identity->cluster_id, hello->cluster_id, NODE_NONCE_SIZE);
	identity->members_index = hello->members_index;
	identity->members = hello->members;
	identity->generation = MAX(hello->generation, 1);
	node->identity_changed = true;
	node->again = true;
}

void
node_formation_remove(struct node *node)
{
	node->identity.stage = NODE_STAGE_REMOVED;
	node->identity_changed = true;
	node->again = true;
}

void
node_formation_outdate(struct node *node)
{
	node->identity.stage = NODE_STAGE_OUTDATED;
	node->identity_changed = true;
	node->again = true;
}

bool
node_waits_for_place(const struct node *node)
{
	return node->state == NODE_JOINING && node->params.damaged;
}

bool
node_formation_due(const struct node *node)
{
	/* A leader that is removed hands its place over first. */
	return node->identity_changed &&
	       !(node->identity.stage == NODE_STAGE_REMOVED &&
		   node_is_leader(node));
}

int
node_formation_turn(struct node *node)
{
	int error;

	if (!node_formation_due(node))
		return 0;
	node->identity_changed = false;
	error = node_identity_save(node->log_store, &node->identity);
	if (error != 0)
		return node_set_fault(
		    node, error, "identity: %s", err_text(error));
	enter_stage(node);
	if (node->state == NODE_REMOVED || node->state == NODE_OUTDATED)
		node_fail_reads(node);
	return 0;
}
