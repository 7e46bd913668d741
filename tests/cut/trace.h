#ifndef TESTS_CUT_TRACE_H
#define TESTS_CUT_TRACE_H

/*
 * The trace of a daemon's files: what record.so writes, and power-cut reads.
 * Records follow each other in the order of the calls, all of which succeeded:
 * a head, then `path_size` bytes of a path below the root, then `size` bytes.
 * In the machine's own byte order; tests/proc/lib/trace.py reads it as well.
 */

#include <stdint.h>

enum trace_kind {
	TRACE_CREATE = 1, /* a file that was not there, by open(2) */
	TRACE_MKDIR,
	TRACE_REMOVE, /* unlink(2), rmdir(2) */
	TRACE_RENAME, /* two paths, with a zero byte between */
	TRACE_WRITE,
	TRACE_TRUNCATE, /* offset: the size */
	TRACE_SYNC,
	TRACE_MAP,  /* writable, so that what is written is not seen */
	TRACE_SEND, /* bytes into the socket `file`; no path */
	TRACE_ODD   /* a call that is not known how to follow; its name */
};

/* TRACE_WRITE: it was durable when the call returned (O_DSYNC). */
#define TRACE_DURABLE 1u

struct trace_head {
	uint32_t kind;
	uint32_t flags;
	uint64_t file; /* inode; files that were unlinked have no other name */
	uint64_t offset;
	uint32_t path_size;
	uint32_t size;
};

/* Of what is sent, no more is kept: all that is promised stands at the front. */
#define TRACE_SEND_MAX 16384u

/* The recorder's environment: where to write, and the directory whose files are
 * recorded. */
#define TRACE_FILE_VARIABLE "LUMINOUS_TRACE"
#define TRACE_ROOT_VARIABLE "LUMINOUS_TRACE_ROOT"

#endif
