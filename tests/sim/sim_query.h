#ifndef TESTS_SIM_QUERY_H
#define TESTS_SIM_QUERY_H

/*
 * Lists of keys, as a node gives them and as the model does: the same bytes, if
 * both are right.
 */

#include "tests/lib/kv_model.h"

struct sim_query {
	char start[24];
	char end[24]; /* empty: there is none */
	uint64_t at;  /* a revision; 0: now */
	unsigned limit;
	bool reverse;
	bool one; /* the key `start` alone, and not as a list */
};

/*
 * Appends the keys and all of their records. 0 or ERR_COMPACTED; else an error
 * after which the node stops.
 */
int
sim_query_node(struct kv *kv, const struct sim_query *query, struct buf *to);
/* The same by the model; `at` is not compacted. */
void sim_query_model(const struct kv_model *model,
    const struct sim_query *query, struct buf *to);

struct kv_range sim_query_range(const struct sim_query *query);

/* One record; without lifetimes, which a touch changes later. */
void sim_query_append(struct buf *to, struct slice key,
    const struct kv_item *item, bool lifetimes);

#endif
