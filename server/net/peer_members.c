#include "net/peer_impl.h"

#include "common/mem.h"

#include <stdio.h>
#include <stdlib.h>

static void
register_metrics(struct peer *peer)
{
	static const char *const directions[] = { "sent", "received" };
	static const char *const results[] = { "ok", "refused", "failed" };
	char labels[NODE_NAME_SIZE_MAX + 64];

	for (size_t i = 0; i < ARRAY_COUNT(directions); i++) {
		(void)snprintf(labels, sizeof(labels),
		    "peer=\"%s\",direction=\"%s\"", peer->member.name,
		    directions[i]);
		peer->bytes[i] = metric_register(METRIC_COUNTER,
		    "luminous_raft_peer_bytes_total", labels,
		    "Bytes of messages to and from a peer.");
	}
	for (size_t i = 0; i < ARRAY_COUNT(results); i++) {
		(void)snprintf(labels, sizeof(labels),
		    "peer=\"%s\",result=\"%s\"", peer->member.name, results[i]);
		peer->connects[i] = metric_register(METRIC_COUNTER,
		    "luminous_raft_peer_connects_total", labels,
		    "Attempts to connect to a peer and to prove oneself.");
	}
}

/* Those of a name that is a member's no more go with its last peer; one that
 * moved has a new peer by now. */
static void
release_metrics(struct peer *peer)
{
	for (size_t i = 0; i < ARRAY_COUNT(peer->bytes); i++)
		metric_release(peer->bytes[i]);
	for (size_t i = 0; i < ARRAY_COUNT(peer->connects); i++)
		metric_release(peer->connects[i]);
}

static struct peer *
peer_new(struct peers *peers, const struct node_member *member)
{
	struct peer *peer = mem_zalloc(1, sizeof(*peer));

	list_init(&peer->link);
	peer->peers = peers;
	peer->member = *member;
	peer_link_init(&peer->append, peer, WIRE_APPEND);
	peer_link_init(&peer->bulk, peer, WIRE_BULK);
	peer_snapshot_init(&peer->snapshot, peer);
	peer_pool_init(&peer->pool);
	register_metrics(peer);
	peer_link_start(&peer->append);
	peer_link_start(&peer->bulk);
	return peer;
}

static void
peer_free(struct peer *peer)
{
	list_remove(&peer->link);
	peer_link_release(&peer->append);
	peer_link_release(&peer->bulk);
	peer_snapshot_release(&peer->snapshot);
	peer_pool_release(&peer->pool);
	release_metrics(peer);
	free(peer);
}

/* ---- Changes ---- */

static bool
is_unknown(const uint8_t directory[NODE_NONCE_SIZE])
{
	static const uint8_t unknown[NODE_NONCE_SIZE];

	return memcmp(directory, unknown, NODE_NONCE_SIZE) == 0;
}

/* A founder's directory becomes known some time; that is no other one. */
static bool
is_same(const struct node_member *before, const struct node_member *now)
{
	return strcmp(before->address, now->address) == 0 &&
	       (is_unknown(before->directory) ||
		   memcmp(before->directory, now->directory, NODE_NONCE_SIZE) ==
		       0);
}

/*
 * It may be called from within the callbacks of what ends here, so that waits
 * for peers_expire().
 */
static void
retire(struct peer *peer)
{
	peer_snapshot_abandon(&peer->snapshot);
	list_push(&peer->peers->gone, &peer->link);
	peer->peers->due = true;
}

/* A peer for `member`: the one of before, or a new one, with that retired. */
static struct peer *
renew(
    struct peer *before, struct peers *peers, const struct node_member *member)
{
	struct peer *peer;

	if (before == NULL)
		return peer_new(peers, member);
	if (is_same(&before->member, member)) {
		before->member = *member;
		return before;
	}
	peer = peer_new(peers, member);
	/* What is lost on the way to the old address has to be told. */
	peer->append.dropped = before->append.under_way > 0 ||
			       before->bulk.under_way > 0 ||
			       before->append.dropped || before->bulk.dropped;
	retire(before);
	return peer;
}

static void
retire_all(struct peers *peers)
{
	while (peers->count > 0)
		retire(peers->peer[--peers->count]);
}

static bool
lists(const struct node_members *members, raft_id id)
{
	for (unsigned i = 0; i < members->count; i++) {
		if (members->member[i].id == id)
			return true;
	}
	return false;
}

static void
retire_others(struct peers *peers, const struct node_members *members)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < peers->count; i++) {
		if (lists(members, peers->peer[i]->member.id))
			peers->peer[kept++] = peers->peer[i];
		else
			retire(peers->peer[i]);
	}
	peers->count = kept;
}

void
peers_set_members(
    struct peers *peers, const struct node_members *members, raft_id self)
{
	struct peer *peer[NODE_MEMBERS_MAX];
	unsigned count = 0;

	/* Every connection was made in the name of the id of before. */
	if (self != peers->self || self == 0)
		retire_all(peers);
	peers->self = self;
	if (self == 0)
		return;
	retire_others(peers, members);
	for (unsigned i = 0; i < members->count; i++) {
		const struct node_member *member = &members->member[i];

		if (member->id != self)
			peer[count++] =
			    renew(peers_find(peers, member->id), peers, member);
	}
	memcpy(peers->peer, peer, count * sizeof(peer[0]));
	peers->count = count;
}

/* ---- Time ---- */

void
peer_members_release(struct peers *peers)
{
	struct list *node;
	struct list *following;

	retire_all(peers);
	LIST_EACH_SAFE(node, following, &peers->gone)
		peer_free(CONTAINER_OF(node, struct peer, link));
}

uint64_t
peer_members_deadline(const struct peers *peers)
{
	uint64_t deadline_us = UINT64_MAX;
	struct list *node;

	LIST_EACH(node, &peers->gone) {
		deadline_us = MIN(deadline_us,
		    peer_pool_deadline(
			&CONTAINER_OF(node, struct peer, link)->pool));
	}
	return deadline_us;
}

/* Of one that moved: what was heard at the old address says nothing of the new
 * one. */
static void
close_links(struct peer *peer)
{
	struct peers *peers = peer->peers;
	bool was_open =
	    peer_link_is_open(&peer->append) || peer_link_is_open(&peer->bulk);

	peer_dial_close(&peer->append.dial);
	peer_dial_close(&peer->bulk.dial);
	peer_dial_close(&peer->snapshot.dial);
	if (was_open && peers_find(peers, peer->member.id) != NULL)
		peers->ops->unreachable(peers->context, peer->member.id);
}

/*
 * Forwarded requests under way may still be answered: a leader that was asked
 * to remove itself answers only after that.
 */
void
peer_members_expire(struct peers *peers, uint64_t now_us)
{
	struct list *node;
	struct list *following;

	LIST_EACH_SAFE(node, following, &peers->gone) {
		struct peer *peer = CONTAINER_OF(node, struct peer, link);

		close_links(peer);
		if (peer_pool_drain(&peer->pool, now_us))
			peer_free(peer);
	}
}
