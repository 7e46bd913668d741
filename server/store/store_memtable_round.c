/*
 * Whatever was in the memtable when a round began is in its table when it ends,
 * or went there by itself: so what the log had then is of no use any more. A
 * round ends when its bytes are used up, and nothing is ahead of the hand.
 *
 * The pace counts what is ahead now, not what was at the begin: keys may come in
 * ahead of the hand as fast as it moves. And it is by bytes, for the nodes as for
 * the log: records may be small in one round and large in the next.
 */

#include "store/store_memtable_impl.h"

/*
 * A commit merges and cuts at most so many times the records that it appended,
 * and some. In the long run they are as many; the rest is for catching up, after
 * a commit of more bytes than a round has.
 */
#define ROUND_SHARE_MAX 4
#define ROUND_SHARE_MIN 1000
/* And no more than so many, of which each may write a page of its own. */
#define ROUND_MERGES_MAX 16000

/* Of a node's pages; with a million keys of which a random one changes, three
 * to six of them share one. */
#define ROUND_NODE_BYTES 2048

static void
begin_round(struct memtable *memtable)
{
	struct memtable_round *round = &memtable->round;

	round->useless = round->began;
	round->began = memtable->log_end;
	round->left = memtable->bytes_max;
	round->hand = (struct memtable_place){ 0 };
	memtable->nodes_ahead = memtable->nodes_count;
}

void
memtable_round_init(struct memtable *memtable)
{
	memtable->round.left = memtable->bytes_max;
}

/* The part of `count` that falls to `bytes` of what is left of the round. */
static uint64_t
due(const struct memtable *memtable, uint64_t count, uint64_t bytes)
{
	uint64_t left = memtable->round.left;

	if (bytes >= left)
		return count;
	return (count * bytes + left - 1) / left;
}

static uint64_t
share_max(uint64_t records)
{
	return ROUND_SHARE_MAX * records + ROUND_SHARE_MIN;
}

/* The nodes that a commit of so many records and bytes merges. */
static uint64_t
merges(const struct memtable *memtable, uint64_t records, uint64_t bytes)
{
	uint64_t most = MIN(share_max(records), ROUND_MERGES_MAX);

	return MIN(due(memtable, memtable->nodes_ahead, bytes), most);
}

static int
write_to_table(const struct memtable_node *node, struct store_txn *under)
{
	/* Not again what is kept for a reader. */
	if (node->merged != 0)
		return 0;
	return store_put(
	    under, node->table, node->key, memtable_value(node->newest));
}

static void
move_hand(struct memtable *memtable, const struct memtable_node *node)
{
	struct memtable_place *hand = &memtable->round.hand;

	memtable->nodes_ahead--;
	hand->table = node->table;
	hand->key_size = node->key.size;
	memcpy(hand->key, node->key.data, node->key.size);
}

static int
merge(struct memtable *memtable, struct store_txn *under, uint64_t count)
{
	struct memtable_node *node = memtable_first_ahead(memtable);

	for (; count > 0 && node != NULL; count--) {
		struct memtable_node *next =
		    memtable_next_ahead(memtable, node);
		int code = write_to_table(node, under);

		if (code != 0)
			return code;
		move_hand(memtable, node);
		memtable_let_go(memtable, node);
		node = next;
	}
	return 0;
}

int
memtable_round_advance(struct memtable *memtable, struct store_txn *under,
    uint64_t records, uint64_t bytes)
{
	struct memtable_round *round = &memtable->round;
	uint64_t most = share_max(records);
	uint64_t useless;
	int code;

	useless = due(memtable, round->useless - memtable->log_first, bytes);
	code = merge(memtable, under, merges(memtable, records, bytes));
	if (code == 0)
		code = memtable_log_cut(memtable, under, MIN(useless, most));
	if (list_empty(&memtable->readers))
		memtable_sweep(memtable, most);
	round->left -= MIN(round->left, bytes);
	/* Not with the next commit: what that adds may be ahead again. */
	if (round->left == 0 && memtable->nodes_ahead == 0)
		begin_round(memtable);
	return code;
}

uint64_t
memtable_round_bytes(const struct memtable *memtable)
{
	uint64_t nodes =
	    merges(memtable, memtable->pending_count, memtable->pending_bytes);

	return ROUND_NODE_BYTES * (nodes + memtable->deletes_count);
}
