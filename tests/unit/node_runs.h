#ifndef TESTS_UNIT_NODE_RUNS_H
#define TESTS_UNIT_NODE_RUNS_H

/* Clusters that hold something, and members that missed it. */

#include "tests/unit/node_cluster.h"

#define RUN_VALUE_SIZE 1000
#define RUN_SECOND     1000000

/* Puts the keys 0 .. count - 1, of RUN_VALUE_SIZE bytes each that tell which
 * run it was; settles after each. */
void run_write(struct machine *leader, unsigned count, unsigned run);
/* All keys of the run are there. */
void run_check(struct machine *machine, unsigned count, unsigned run);

/* Write by this leader, and settle: a command, which is released; one
 * operation, with an identity or NULL; and a key, that goes after ttl_us or
 * stays. */
void run_command(struct machine *machine, struct buf *command);
void run_op(struct machine *machine, const struct kv_identity *identity,
    const struct kv_op *op);
void run_put_ttl(struct machine *machine, const char *key, uint64_t ttl_us);
void run_put(struct machine *machine, const char *key);
/* Of its log. */
raft_index run_last_index(const struct machine *machine);

struct node_status machine_status(const struct machine *machine);
/* The founder behind the leader. */
struct machine *follower_of(struct machine *leader);
/* A follower is isolated and misses `count` writes; the leader keeps few of
 * them. */
struct machine *run_cut_off(struct machine *leader, unsigned count);
/* Everybody who runs holds the leader's state, and the nodes are well. */
void run_check_same(struct node_cluster *cluster);

/* The next start of a machine may change its parameters. */
typedef void run_tune_fn(struct node_params *params);
void run_start(struct machine *machine, run_tune_fn *tune);
/* A cluster whose nodes are all tuned. */
struct node_cluster *run_cluster_new(unsigned count, run_tune_fn *tune);

#endif
