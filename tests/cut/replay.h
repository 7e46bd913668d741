#ifndef TESTS_CUT_REPLAY_H
#define TESTS_CUT_REPLAY_H

/* A trace (trace.h), step by step, into a model of the disk. */

#include "common/macros.h"
#include "tests/lib/disk_model.h"

#include <stdint.h>

struct replay;

struct replay_options {
	const char *path; /* of the trace */
	/* This sync, counted from 1, is left out, as if the daemon had never
	 * asked for it; 0: none. */
	uint64_t dropped_sync;
};

/* At the begin; NULL if there is no trace, or none that can be followed: that
 * is told to stderr, as by the other functions. The path is borrowed. */
struct replay *replay_new(const struct replay_options *options);
void replay_free(struct replay *replay); /* NULL is fine */

/* How many records there are. */
uint64_t replay_records_count(const struct replay *replay);
/* Those that lie behind by now, with all that the process knows of them. */
uint64_t replay_done(const struct replay *replay);
/* Back to the begin. */
void replay_rewind(struct replay *replay);

/*
 * Goes on to the next moment at which a power cut differs from one before; a
 * write through O_DSYNC has two of them. False at the end.
 */
bool replay_step(struct replay *replay);

const struct disk_model *replay_disk(const struct replay *replay);

#endif
