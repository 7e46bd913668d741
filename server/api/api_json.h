#ifndef API_API_JSON_H
#define API_API_JSON_H

/*
 * Strict reading of clients' JSON: what is there is known, and of its type, or
 * the client is told which member is wrong, by its path, and what it takes.
 *
 * Functions that give bool: false means that the problem is noted in the
 * reader. A member that is missing leaves *ret_... as it was.
 */

#include "api/api_impl.h"
#include "common/json.h"

struct api_json {
	struct buf where;  /* path of the object being read: "then[2]" */
	struct buf member; /* path of what is wrong: "then[2].ttl" */
	struct buf why;    /* and what it takes */
	const char *hint;  /* set behind a failure; NULL: none */
};

void api_json_release(struct api_json *reader);

/* Gives false. `name` NULL: the object itself is wrong. */
ATTR_PRINTF(3, 4)
bool api_json_fail(
    struct api_json *reader, const char *name, const char *format, ...);

/* Appends what is noted, and its member, to an error. */
void
api_json_describe(const struct api_json *reader, struct api_problem *problem);
/* Answers 400 bad_json with it. */
void api_json_reply(const struct api_json *reader, struct api_call *call);
/* The same for text that is none. */
void
api_json_reply_place(const struct json_place *place, struct api_call *call);
/* Appends "line 3, column 7: invalid token". */
void api_json_append_place(struct buf *to, const struct json_place *place);

/* Names of members, as bits, for api_json_known. */
enum {
	API_JSON_KEY = (1u << 0), /* key_base64 likewise, and ... */
	API_JSON_VALUE = (1u << 1),
	API_JSON_TO = (1u << 2), /* ... so far */
	API_JSON_TTL = (1u << 3),
	API_JSON_LEASE = (1u << 4),
	API_JSON_KEEP_TTL = (1u << 5),
	API_JSON_CONTENT_TYPE = (1u << 6),
	API_JSON_LIMIT = (1u << 7),
	API_JSON_REVERSE = (1u << 8),
	API_JSON_KEYS = (1u << 9),
	API_JSON_BY = (1u << 10),
	API_JSON_ALL = (1u << 11),
	API_JSON_PREVIOUS = (1u << 12),
	API_JSON_REVISION = (1u << 13),
	API_JSON_CREATED = (1u << 14),
	API_JSON_VERSION = (1u << 15),
	API_JSON_EXISTS = (1u << 16),
	API_JSON_OP = (1u << 17),
	API_JSON_END = (1u << 18),
	API_JSON_COUNT = (1u << 19),
	API_JSON_MORE = (1u << 20),
	API_JSON_NEXT = (1u << 21)
};
/* Has the object no other members than `allowed`, and, if it is not NULL, the
 * one named `own`, or own_base64? */
bool api_json_known(
    struct api_json *reader, json_t *object, unsigned allowed, const char *own);

/* Is there a member `name`, or name_base64? */
bool api_json_has(const json_t *object, const char *name);

/*
 * The bytes of the member `name`, or, decoded into `memory`, of name_base64;
 * not both. Borrowed from the object or the memory.
 */
bool api_json_bytes(struct api_json *reader, const json_t *object,
    const char *name, struct buf *memory, struct slice *ret_bytes);
/* The same for a key, which has 1 .. KV_KEY_SIZE_MAX bytes and is not missing. */
bool api_json_key(struct api_json *reader, const json_t *object,
    const char *name, struct buf *memory, struct slice *ret_key);
bool api_json_u64(struct api_json *reader, const json_t *object,
    const char *name, uint64_t *ret_value);
bool api_json_bool(struct api_json *reader, const json_t *object,
    const char *name, bool *ret_value);
/* "ttl": text as for ttl=, or a number of seconds. */
bool
api_json_ttl(struct api_json *reader, const json_t *object, uint64_t *ret_us);
/* "lease": 16 hex digits. */
bool api_json_lease(
    struct api_json *reader, const json_t *object, uint64_t *ret_lease);
bool api_json_content_type(struct api_json *reader, const json_t *object,
    enum kv_content_type *ret_type);

#endif
