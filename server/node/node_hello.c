/*
 * What two nodes tell each other first, and how it is judged: each state of
 * this node has its rules for each stage that a peer can be in.
 *
 * A member learns here as well what its log does not tell it any more: that
 * its directory was lost, or that the cluster goes on without it. Both need no
 * terms or votes: a directory is remembered, and a membership is told, only
 * when it is committed, and ids are never used again.
 */

#include "node/node_impl.h"

#include <inttypes.h>
#include <stdio.h>

static const uint8_t no_nonce[NODE_NONCE_SIZE];

static bool
nonce_equal(const uint8_t *a, const uint8_t *b)
{
	return memcmp(a, b, NODE_NONCE_SIZE) == 0;
}

static bool
is_nonce(const uint8_t *nonce)
{
	return !nonce_equal(nonce, no_nonce);
}

/* ---- Our hello ---- */

static enum node_hello_stage
stage_of(const struct node *node, raft_id to)
{
	switch (node->state) {
	case NODE_FORMING:
	case NODE_WIPED: return NODE_HELLO_FOUNDING;
	case NODE_JOINING: return NODE_HELLO_JOINING;
	case NODE_REMOVED:
	case NODE_OUTDATED:
	case NODE_MEMBER: break;
	}
	return to == 0 ? NODE_HELLO_PROBE : NODE_HELLO_MEMBER;
}

/* What shows whether a directory is the newest; who joins has none to show. */
static void
fill_life(const struct node *node, raft_id to, struct node_hello *hello)
{
	struct node_log_state log;

	hello->generation = node->identity.generation;
	if (hello->stage == NODE_HELLO_JOINING)
		return;
	node_log_get_state(node->log, &log);
	hello->incarnation = node->identity.incarnation;
	memcpy(hello->former_boot_ids, &node->identity.boot_ids[1],
	    sizeof(hello->former_boot_ids));
	hello->term = log.term;
	/* What damage took of it is on its way back. */
	hello->last_index = MAX(log.durable_index, log.repair_until);
	if (hello->stage == NODE_HELLO_MEMBER)
		node_fellows_tell(node, to, hello);
}

void
node_get_hello(
    const struct node *node, raft_id to, struct node_hello *ret_hello)
{
	const struct node_member *member;

	*ret_hello = (struct node_hello){
		.stage = stage_of(node, to),
		.from = node->id,
		.to = to,
		.boot_id = node->params.boot_id,
		.damaged = node_waits_for_place(node),
		.members_index = node->committed.roles.index,
		.members = node->committed.members,
		/* In either half: whoever votes in one of them has long learned its id. */
		.to_votes = raft_members_voter(&node->committed.roles, to),
	};
	memcpy(ret_hello->cluster, node->identity.cluster,
	    sizeof(ret_hello->cluster));
	memcpy(ret_hello->name, node->identity.name, sizeof(ret_hello->name));
	memcpy(ret_hello->directory, node->identity.directory, NODE_NONCE_SIZE);
	if (node->cluster_id_known)
		memcpy(
		    ret_hello->cluster_id, node->cluster_id, NODE_NONCE_SIZE);
	member = node_members_find(&node->active.members, to);
	if (member != NULL && node->state == NODE_MEMBER)
		memcpy(ret_hello->known_directory, member->directory,
		    NODE_NONCE_SIZE);
	fill_life(node, to, ret_hello);
}

/* ---- Theirs, whatever this node is ---- */

/* The same name, but not the same cluster. */
static int
refuse_cluster_id(const struct node *node, const struct node_hello *hello,
    char *why, size_t size)
{
	const char *own = node->identity.name;
	const char *older =
	    hello->generation < node->identity.generation ? hello->name : own;

	if (hello->generation == node->identity.generation)
		snprintf(why, size,
		    "%s belongs to another cluster of the same name %s, "
		    "founded by itself: check the addresses in [members] of "
		    "%s and %s; whichever is in the wrong one starts with "
		    "node.join and an empty node.data-dir",
		    hello->name, hello->cluster, hello->name, own);
	else
		snprintf(why, size,
		    "cluster %s was made anew by force since the data-dir of "
		    "%s was a part of it (%s is of generation %u, %s of %u): "
		    "start %s with an empty node.data-dir and node.join, to "
		    "be a member of the new one",
		    hello->cluster, older, hello->name, hello->generation, own,
		    node->identity.generation, older);
	return ERR_MISMATCH;
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
	if (node->cluster_id_known && is_nonce(hello->cluster_id) &&
	    !nonce_equal(hello->cluster_id, node->cluster_id))
		return refuse_cluster_id(node, hello, why, size);
	return 0;
}

static int
check_ids(const struct node *node, const struct node_hello *hello, char *why,
    size_t size)
{
	if (hello->to == node->id && hello->from != node->id)
		return 0;
	snprintf(why, size,
	    "it says it is member %" PRIu64 " and means member %" PRIu64
	    "; this is %s (member %" PRIu64 "): check the addresses",
	    hello->from, hello->to, node->identity.name, node->id);
	return ERR_MISMATCH;
}

/* ---- While this node waits to found a cluster ---- */

static int
hear_founder(
    struct node *node, const struct node_hello *hello, char *why, size_t size)
{
	const struct node_members *members = &node->identity.members;

	if (!node_members_equal(&hello->members, members)) {
		snprintf(why, size,
		    "%s has another [members] list: make the lists equal "
		    "before the first start",
		    hello->name);
		return ERR_MISMATCH;
	}
	for (unsigned i = 0; i < members->count; i++) {
		if (members->member[i].id == hello->from &&
		    node->state == NODE_FORMING)
			node_formation_heard(node, i, hello->directory);
	}
	return 0;
}

/* An address belongs to one member at a time: that of the lost one is free
 * only when that has left. */
static int
refuse_wiped(const struct node *node, const struct node_hello *hello, char *why,
    size_t size)
{
	const char *name = node->identity.name;

	snprintf(why, size,
	    "this node's directory is empty but %s remembers its former one: "
	    "it takes no part, as its lost votes may have counted; put the "
	    "former directory back, or start it as a new node (say %sb) at "
	    "another address with node.join = wait and an empty node.data-dir, "
	    "and POST /cluster/replace?old=%s&new=%sb&address=ADDRESS; or "
	    "DELETE /cluster/members/%s first, then add %sb at %s",
	    hello->name, name, name, name, name, name, node->params.address);
	return ERR_MISMATCH;
}

static int
become_wiped(
    struct node *node, const struct node_hello *hello, char *why, size_t size)
{
	if (node->state != NODE_WIPED) {
		node->state = NODE_WIPED;
		node->changed = true;
		node->again = true;
	}
	return refuse_wiped(node, hello, why, size);
}

/* The cluster exists. Founders that have left it since need not be heard. */
static int
hear_founded(
    struct node *node, const struct node_hello *hello, char *why, size_t size)
{
	const struct node_members *members = &node->identity.members;

	if (!is_nonce(hello->known_directory)) {
		snprintf(why, size,
		    "the cluster of %s exists and this node is not in it: to "
		    "add it, start it with node.join = wait and an empty "
		    "node.data-dir, then POST "
		    "/cluster/members?name=%s&address=%s",
		    hello->name, node->identity.name, node->params.address);
		return ERR_MISMATCH;
	}
	/* Or it is an old copy of its directory, from before it was founded. */
	if (!nonce_equal(hello->known_directory, node->identity.directory) ||
	    hello->known_incarnation != 0)
		return become_wiped(node, hello, why, size);
	if (node->state != NODE_FORMING)
		return 0;
	for (unsigned i = 0; i < members->count; i++) {
		raft_id id = members->member[i].id;

		if (id == hello->from)
			node_formation_heard(node, i, hello->directory);
		else if (id != node->id &&
			 node_members_find(&hello->members, id) == NULL)
			node_formation_heard(node, i, NULL);
	}
	return 0;
}

/* It does not know what it was any more, and nobody here does. */
static int
refuse_damaged(const struct node_hello *hello, char *why, size_t size)
{
	snprintf(why, size,
	    "%s found damage in its directory before the cluster was founded: "
	    "stop it, empty its node.data-dir, and start it again",
	    hello->name);
	return ERR_MISMATCH;
}

static int
hear_forming(
    struct node *node, const struct node_hello *hello, char *why, size_t size)
{
	int error;

	if (hello->stage == NODE_HELLO_JOINING && hello->damaged)
		return refuse_damaged(hello, why, size);
	if (hello->stage == NODE_HELLO_JOINING) {
		snprintf(why, size,
		    "%s has no [members] list and waits to be added to a "
		    "cluster: give it the list of the others if it shall "
		    "found this one",
		    hello->name);
		return ERR_MISMATCH;
	}
	error = check_ids(node, hello, why, size);
	if (error == 0)
		error = node_judge_life(node, hello, why, size);
	if (error != 0)
		return error;
	error = hello->stage == NODE_HELLO_FOUNDING
		    ? hear_founder(node, hello, why, size)
		    : hear_founded(node, hello, why, size);
	if (error == 0)
		node_remember_life(node, hello);
	return error;
}

/* ---- While this node waits to be added ---- */

static int
refuse_unknown(const struct node *node, const struct node_hello *hello,
    char *why, size_t size)
{
	if (node_waits_for_place(node))
		snprintf(why, size,
		    "%s found damage in its directory and begins again in a "
		    "new one, which %s does not know yet: the leader puts it "
		    "in the place of the former one by itself",
		    node->identity.name, hello->name);
	else
		snprintf(why, size,
		    "%s waits to be added to a cluster: POST "
		    "/cluster/members?name=%s&address=%s",
		    node->identity.name, node->identity.name,
		    node->params.address);
	return ERR_MISMATCH;
}

static int
hear_joining(
    struct node *node, const struct node_hello *hello, char *why, size_t size)
{
	const uint8_t *directory = node->identity.directory;
	const struct node_member *self;

	if (hello->stage != NODE_HELLO_MEMBER ||
	    !nonce_equal(hello->known_directory, directory))
		return refuse_unknown(node, hello, why, size);
	self = node_members_find(&hello->members, hello->to);
	if (self == NULL || !nonce_equal(self->directory, directory) ||
	    !is_nonce(hello->cluster_id)) {
		snprintf(why, size,
		    "%s has not yet heard that %s is added for good",
		    hello->name, node->identity.name);
		return ERR_MISMATCH;
	}
	if (strcmp(self->name, node->identity.name) != 0) {
		snprintf(why, size,
		    "this node was added as %s but is called %s: check "
		    "node.name",
		    self->name, node->identity.name);
		return ERR_MISMATCH;
	}
	/* It was a member and has lost that: an old copy of its directory. Not
	 * for good, as the sender may not know our role. */
	if (hello->to_votes || hello->known_incarnation != 0)
		return refuse_wiped(node, hello, why, size);
	/* Told twice within a turn, the first one stays. */
	if (!node->identity_changed)
		node_formation_join(node, hello);
	return 0;
}

/* ---- While this node takes part ---- */

/* Its directory is that of no member, or of the wrong one. */
static int
refuse_directory(const struct node_hello *hello, char *why, size_t size)
{
	snprintf(why, size,
	    "%s comes with another directory than the cluster knows: was its "
	    "data-dir wiped or replaced? Start it as a new node (say %sb) at "
	    "another address with node.join = wait and an empty "
	    "node.data-dir, and POST "
	    "/cluster/replace?old=%s&new=%sb&address=ADDRESS; or DELETE "
	    "/cluster/members/%s first and add %sb at the same address",
	    hello->name, hello->name, hello->name, hello->name, hello->name,
	    hello->name);
	return ERR_MISMATCH;
}

/* Only who holds the cluster's secret gets here, and its former directory is
 * set aside: nobody votes in that member's name any more. */
static int
hear_damaged(struct node *node, const struct node_hello *hello,
    const struct node_member *member, char *why, size_t size)
{
	node_renew_heard(node, member, hello->directory);
	snprintf(why, size,
	    "%s found damage in its directory and begins again in a new one: "
	    "the leader puts that in the place of the former one by itself",
	    hello->name);
	return ERR_MISMATCH;
}

static int
hear_new(
    struct node *node, const struct node_hello *hello, char *why, size_t size)
{
	const struct node_member *member =
	    node_members_find_name(&node->active.members, hello->name);

	/* It was added, and is told so by our hello. */
	if (member != NULL && nonce_equal(member->directory, hello->directory))
		return 0;
	if (member != NULL && hello->damaged)
		return hear_damaged(node, hello, member, why, size);
	if (member != NULL)
		return refuse_directory(hello, why, size);
	snprintf(why, size,
	    "%s waits to be added to a cluster: POST "
	    "/cluster/members?name=%s&address=ADDRESS",
	    hello->name, hello->name);
	return ERR_MISMATCH;
}

static int
hear_late(const struct node *node, const struct node_hello *hello, char *why,
    size_t size)
{
	const struct node_member *member =
	    node_members_find(&node->active.members, hello->from);

	if (member == NULL || strcmp(member->name, hello->name) != 0) {
		snprintf(why, size,
		    "%s waits to found a cluster but this one exists without "
		    "it: to add it, start it with node.join = wait and an "
		    "empty node.data-dir, then POST "
		    "/cluster/members?name=%s&address=ADDRESS",
		    hello->name, hello->name);
		return ERR_MISMATCH;
	}
	if (!nonce_equal(member->directory, hello->directory))
		return refuse_directory(hello, why, size);
	return 0;
}

/*
 * By its id, which was compared; or, to a founder that has not learned the id
 * yet, by the directory of another founder, which it was founded with.
 */
static bool
is_of_this_cluster(const struct node *node, const struct node_hello *hello)
{
	const struct node_member *founder =
	    node_members_find(&node->identity.members, hello->from);

	if (node->cluster_id_known)
		return is_nonce(hello->cluster_id);
	return founder != NULL && is_nonce(founder->directory) &&
	       nonce_equal(founder->directory, hello->directory);
}

/* A committed membership newer than the last one here lacks this node. */
static bool
is_removed(const struct node *node, const struct node_hello *hello)
{
	return is_of_this_cluster(node, hello) &&
	       hello->members_index > node->committed.roles.index &&
	       node_members_find(&hello->members, node->id) == NULL;
}

static int
refuse_removed(const struct node *node, char *why, size_t size)
{
	snprintf(why, size,
	    "%s (member %" PRIu64 ") was removed from cluster %s",
	    node->identity.name, node->id, node->identity.cluster);
	return ERR_MISMATCH;
}

static int
hear_fellow(
    struct node *node, const struct node_hello *hello, char *why, size_t size)
{
	const struct node_member *member =
	    node_members_find(&node->active.members, hello->from);

	if (is_removed(node, hello)) {
		node_formation_remove(node);
		return refuse_removed(node, why, size);
	}
	/* A leader that has removed itself hands its place over first. */
	if (node_is_gone(node, hello->from) &&
	    hello->from != node_leader(node)) {
		snprintf(why, size,
		    "%s (member %" PRIu64 ") was removed from this cluster",
		    hello->name, hello->from);
		return ERR_MISMATCH;
	}
	/* Another that is not known here: this membership may be of old. */
	if (member != NULL && is_nonce(member->directory) &&
	    !nonce_equal(member->directory, hello->directory))
		return refuse_directory(hello, why, size);
	if (is_nonce(hello->known_directory) &&
	    !nonce_equal(hello->known_directory, node->identity.directory)) {
		snprintf(why, size,
		    "%s knows another directory of this node: is this "
		    "data-dir an old copy?",
		    hello->name);
		return ERR_MISMATCH;
	}
	return 0;
}

static int
hear_member(
    struct node *node, const struct node_hello *hello, char *why, size_t size)
{
	int error;

	if (hello->stage == NODE_HELLO_JOINING)
		return hear_new(node, hello, why, size);
	error = check_ids(node, hello, why, size);
	if (error == 0)
		error = hello->stage == NODE_HELLO_FOUNDING
			    ? hear_late(node, hello, why, size)
			    : hear_fellow(node, hello, why, size);
	if (error == 0)
		error = node_judge_life(node, hello, why, size);
	/* Not on the word of an old copy. */
	if (error == 0 && hello->stage == NODE_HELLO_MEMBER)
		error = node_hear_own_life(node, hello, why, size);
	if (error == 0)
		node_remember_life(node, hello);
	return error;
}

int
node_hear(
    struct node *node, const struct node_hello *hello, char *why, size_t size)
{
	int error;

	/* Our hello is the answer; the prober judges it. */
	if (hello->stage == NODE_HELLO_PROBE)
		return 0;
	if (hello->boot_id == 0 ||
	    (hello->incarnation == 0 && hello->stage != NODE_HELLO_JOINING)) {
		snprintf(why, size, "its hello is malformed");
		return ERR_MISMATCH;
	}
	error = check_cluster(node, hello, why, size);
	if (error != 0)
		return error;
	switch (node->state) {
	case NODE_FORMING:
	case NODE_WIPED: return hear_forming(node, hello, why, size);
	case NODE_JOINING: return hear_joining(node, hello, why, size);
	case NODE_REMOVED: return refuse_removed(node, why, size);
	case NODE_OUTDATED:
		node_refuse_outdated(node, why, size);
		return ERR_MISMATCH;
	case NODE_MEMBER: break;
	}
	return hear_member(node, hello, why, size);
}

/* ---- Probing ---- */

static int
judge_stage(const struct node *node, const struct node_hello *hello, char *why,
    size_t size)
{
	switch (hello->stage) {
	case NODE_HELLO_JOINING: return 0;
	case NODE_HELLO_FOUNDING:
		snprintf(why, size,
		    "%s waits to found a cluster with its [members]: to add "
		    "it to this one, start it with node.join = wait and an "
		    "empty node.data-dir",
		    hello->name);
		break;
	case NODE_HELLO_MEMBER:
	case NODE_HELLO_PROBE:
		snprintf(why, size,
		    "%s is a member of %s already, or was one: start it with "
		    "node.join = wait and an empty node.data-dir",
		    hello->name,
		    nonce_equal(hello->cluster_id, node->cluster_id)
			? "this cluster"
			: "another cluster");
		break;
	}
	return ERR_MISMATCH;
}

int
node_judge_joining(const struct node *node, const struct node_hello *hello,
    const char *name, char *why, size_t size)
{
	if (strcmp(hello->cluster, node->identity.cluster) != 0) {
		snprintf(why, size,
		    "the node at that address is of cluster %s, not %s: check "
		    "its cluster.name",
		    hello->cluster, node->identity.cluster);
		return ERR_MISMATCH;
	}
	if (strcmp(hello->name, name) != 0) {
		snprintf(why, size,
		    "the node at that address is called %s, not %s: check its "
		    "node.name",
		    hello->name, name);
		return ERR_MISMATCH;
	}
	return judge_stage(node, hello, why, size);
}
