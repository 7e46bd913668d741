/*
 * Members whose directory was damaged, and who began again in an empty one: the
 * leader drops the old id and adds a new one, under the same name and address,
 * in one entry of the membership.
 *
 *	member               fellows                     leader
 *	JOINING, damaged ->  hear a directory that       hears it as well, and
 *	                     they do not know: refused   proposes NODE_RENEW
 *	joins            <-  know it, once that is in effect
 *	                     is brought up to date, and votes again
 *
 * Until it votes by what is committed, and has applied that, it holds less than
 * its former directory did: it counts as repairing, shows no old state, and the
 * host keeps the files that were set aside, for the case that the others are
 * lost before.
 *
 * Why that needs no operator, other than for a directory that was wiped: the
 * member says itself that the former one was set aside, so that its id never
 * comes back with what it may have forgotten.
 */

#include "node/node_impl.h"

#include <stdio.h>

static void
on_renewed(struct node_write *write, enum node_outcome outcome,
    const struct kv_result *result)
{
	/* What did not come of it is heard again. */
	(void)write;
	(void)outcome;
	(void)result;
}

void
node_renew_init(struct node *node)
{
	node->renewed.done = on_renewed;
	list_init(&node->renewed.link);
	node->begun_again = node->params.damaged;
}

void
node_renew_heard(struct node *node, const struct node_member *member,
    const uint8_t *directory)
{
	struct node_change *renewal = &node->renewal;

	if (!node_is_leader(node))
		return;
	*renewal = (struct node_change){ .kind = NODE_RENEW };
	memcpy(renewal->name, member->name, sizeof(renewal->name));
	memcpy(renewal->member.directory, directory, NODE_NONCE_SIZE);
	node->again = true;
}

void
node_renew_turn(struct node *node, raft_usec now)
{
	struct node_change renewal = node->renewal;
	char why[256];

	if (renewal.name[0] == '\0')
		return;
	node->renewal.name[0] = '\0';
	/* That of before may wait in vain: it was lost with a leadership. */
	node_write_cancel(&node->renewed);
	/* Refused: the member is heard again when it is dialled again. */
	if (node_change_members(
		node, now, &renewal, &node->renewed, why, sizeof(why)) == 0)
		node->again = true;
}

static bool
is_committed_voter(const struct node *node)
{
	const struct raft_members *roles = &node->committed.roles;

	for (unsigned i = 0; i < roles->count; i++) {
		const struct raft_member *member = &roles->member[i];

		if (member->id == node->id)
			return member->role_old == RAFT_MEMBER_VOTER &&
			       member->role_new == RAFT_MEMBER_VOTER;
	}
	return false;
}

void
node_renew_judge(struct node *node)
{
	struct raft_status status;

	if (!node->begun_again || !is_committed_voter(node))
		return;
	raft_get_status(node->raft, &status);
	if (status.state_lost || status.repair_until != 0 ||
	    kv_applied_index(node->kv) < status.commit_index)
		return;
	node->begun_again = false;
	node->changed = true;
}
