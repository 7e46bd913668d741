#ifndef TESTS_KV_STREAM_H
#define TESTS_KV_STREAM_H

/*
 * Random commands on few keys, leases, locks and identities, so that they meet
 * all the time. The generator decides everything.
 */

#include "common/rng.h"
#include "kv/kv_impl.h"

struct kv_stream {
	struct rng rng;
	uint64_t time_us;  /* stamp of the last command */
	uint64_t revision; /* about where the state is; set by the caller */
};

void kv_stream_init(struct kv_stream *stream, uint64_t seed);
/* Appends a command, and moves the time on to its stamp. */
void kv_stream_next(struct kv_stream *stream, struct buf *to);
/* Appends what a command is, for people. */
void kv_stream_describe(struct slice command, struct buf *to);

#endif
