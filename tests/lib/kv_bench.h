#ifndef TESTS_KV_BENCH_H
#define TESTS_KV_BENCH_H

/*
 * A state machine on a disk in memory, with a log of its own that outlives it:
 * what a node does around a kv, for tests.
 */

#include "kv/kv_read.h"
#include "tests/lib/store_mem.h"

struct kv_bench {
	struct store_mem_disk *disk;
	struct store *store;
	struct kv *kv;      /* NULL while closed */
	struct buf *log;    /* commands; an empty one is to be skipped */
	uint64_t *times_us; /* their stamps */
	size_t log_count;   /* entry i has the index i + 1 */
	size_t log_capacity;
	struct kv_result result; /* of the last command applied */
};

/* Begins with an empty disk, opened. */
void kv_bench_init(struct kv_bench *bench);
void kv_bench_release(struct kv_bench *bench);

/* Ends the process, as it were; what was not checkpointed is lost. */
void kv_bench_close(struct kv_bench *bench);
/* Starts it again, without replaying; gives the code of kv_open. */
int kv_bench_open(struct kv_bench *bench);

/* Append an entry to the log; the first returns it for a command. */
struct buf *kv_bench_log_entry(struct kv_bench *bench);
void
kv_bench_log_put(struct kv_bench *bench, struct slice key, struct slice value);
void kv_bench_log_delete(struct kv_bench *bench, struct slice key);
void kv_bench_log_skip(struct kv_bench *bench);
/* Any command, with a stamp of its own; those of the others are 1 ms apart. */
void kv_bench_log_command(
    struct kv_bench *bench, uint64_t cluster_time_us, struct slice command);

/* Output n of the last command, which has one. */
struct kv_output kv_bench_output(const struct kv_bench *bench, unsigned n);
unsigned kv_bench_outputs_count(const struct kv_bench *bench);

/* Applies what the log has above the applied index; the first error, or 0. */
int kv_bench_replay(struct kv_bench *bench);

#endif
