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
