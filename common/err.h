#ifndef COMMON_ERR_H
#define COMMON_ERR_H

/*
 * The one vocabulary of expected failures. Functions return 0 or one of these;
 * codes of libraries and of the system are translated where they arise.
 */

enum err {
	ERR_AGAIN = -1,      /* nothing now, call again later */
	ERR_INVALID = -2,    /* malformed input */
	ERR_NOT_FOUND = -3,  /* no such key, record, or entry */
	ERR_TOO_LARGE = -4,  /* over a named limit */
	ERR_NOT_LEADER = -5, /* this node does not lead */
	ERR_BUSY = -6,       /* a quota is used up; try later */
	ERR_CORRUPT = -7,    /* stored bytes fail their checks: damage */
	ERR_IO = -8,         /* a read, write or sync failed */
	ERR_NO_SPACE = -9,   /* disk or map full */
	ERR_LOCKED = -10,    /* held by another process */
	ERR_VERSION = -11,   /* written by another, mostly newer, version */
	ERR_DENIED = -12,    /* not proved, or not allowed */
	ERR_MISMATCH = -13,  /* belongs to another cluster, node or directory */
	ERR_TIMEOUT = -14,   /* a deadline passed */
	ERR_CLOSED = -15,    /* the other side is gone */
	ERR_STOPPED = -16,   /* the object refuses further work */
	ERR_UNSUPPORTED =
	    -17,            /* a file system or a feature that cannot be used */
	ERR_EXISTS = -18,   /* it is there already */
	ERR_COMPACTED = -19 /* history does not reach back so far */
};

/*
 * A short lower-case phrase for `code`, for messages: "no space left".
 * Static storage. Unknown codes give "unknown error".
 */
const char *err_text(int code);

#endif
