#include "common/err.h"
#include "common/macros.h"

const char *
err_text(int code)
{
	static const char *const texts[] = {
		[0] = "success",
		[-ERR_AGAIN] = "try again later",
		[-ERR_INVALID] = "malformed input",
		[-ERR_NOT_FOUND] = "not found",
		[-ERR_TOO_LARGE] = "too large",
		[-ERR_NOT_LEADER] = "not the leader",
		[-ERR_BUSY] = "too busy",
		[-ERR_CORRUPT] = "stored data is damaged",
		[-ERR_IO] = "input/output error",
		[-ERR_NO_SPACE] = "no space left",
		[-ERR_LOCKED] = "held by another process",
		[-ERR_VERSION] = "written in the format of another version",
		[-ERR_DENIED] = "not allowed",
		[-ERR_MISMATCH] = "belongs elsewhere",
		[-ERR_TIMEOUT] = "deadline passed",
		[-ERR_CLOSED] = "connection closed",
		[-ERR_STOPPED] = "stopped",
		[-ERR_UNSUPPORTED] = "not supported",
		[-ERR_EXISTS] = "exists already",
		[-ERR_COMPACTED] = "compacted",
	};

	if (code > 0 || code <= -(int)ARRAY_COUNT(texts))
		return "unknown error";
	return texts[-code];
}
