#ifndef TESTS_SIM_WATCHER_H
#define TESTS_SIM_WATCHER_H

/*
 * Clients that watch a range of keys, on any node, and go on elsewhere from
 * where they are when that one dies, is cut off, or as they please. Some are
 * slow to ask for more, so that history may be gone by then: they begin again
 * with a list.
 *
 * A node tells a watcher of the events in batches, one at a time: the next one
 * follows when the watcher has asked for it.
 */

#include "tests/sim/sim_node.h"
#include "tests/sim/sim_query.h"

enum sim_batch_kind {
	SIM_BATCH_EVENTS, /* all of the range, behind `since` up to `until` */
	SIM_BATCH_LIST,   /* the keys as they are at `until` */
	SIM_BATCH_COMPACTED, /* `since` is gone */
	SIM_BATCH_KINDS_COUNT
};

/* What a node told a watcher at once. */
struct sim_batch {
	enum sim_batch_kind kind;
	unsigned watcher;
	uint64_t epoch; /* of the watcher's connection */
	raft_id node;
	raft_index index; /* applied when it was made */
	uint64_t since;
	uint64_t until;
	size_t count; /* of events */
	struct buf bytes;
	bool received;
};

struct sim_watcher {
	struct sim_query range;
	bool slow;
	bool lists;      /* it asks for a list first */
	uint64_t since;  /* where it is */
	raft_id node;    /* that it is connected to, or about to be; 0: none */
	raft_id told_by; /* who told it last */
	uint64_t epoch;
	bool asking; /* the node may tell it more */
};

struct sim_watchers {
	struct sim_watcher watchers[SIM_WATCHERS_MAX];
	struct sim_batch **batches; /* all that were ever sent */
	size_t batches_count;
	size_t batches_capacity;
};

void sim_watchers_init(struct sim *sim);
void sim_watchers_release(struct sim *sim);

/* Events; see sim_heap.h. */
void sim_watcher_connect(struct sim *sim, const struct sim_event *event);
void sim_watcher_arrive(struct sim *sim, const struct sim_event *event);
void sim_watcher_receive(
    struct sim *sim, struct sim_node *node, const struct sim_event *event);
void sim_watcher_told(struct sim *sim, const struct sim_event *event);

/* The node's turn ended: it tells whoever is asking. */
void sim_watchers_turn(struct sim *sim, struct sim_node *node);
void sim_watchers_node_died(struct sim *sim, const struct sim_node *node);

/* Have all come so far? */
bool sim_watchers_are_at(const struct sim *sim, uint64_t revision);

/* What a batch of this kind, since, until and range has, by the model. */
void
sim_watcher_expect(const struct kv_model *model, const struct sim_query *range,
    const struct sim_batch *batch, struct buf *to);

#endif
