#ifndef API_API_KEY_H
#define API_API_KEY_H

/*
 * How keys are shown and read, and what writes of all kinds share: conditions,
 * identities, results, quota. A part of api_impl.h, which includes it.
 */

#include "api/api_impl.h"

/* ---- Keys as they are shown: api_item.c ---- */

/* What an item is shown with. */
enum {
	API_ITEM_VALUE = (1u << 0),
	API_ITEM_CONTENT_TYPE = (1u << 1), /* as export has it */
	API_ITEM_PAST = (1u << 2) /* of an earlier revision: without ttl */
};
/*
 * Appends the members of an item, without braces: key, value, revision,
 * created, version, and ttl (seconds left) and lease if it has them: the same
 * wherever one is shown. One that a node must stop for is shown without ttl.
 */
void api_append_item(struct api *api, struct buf *to, struct slice key,
    const struct kv_item *item, unsigned flags);
/* The same of a key that a command wrote or read: its ttl is of then. */
void api_append_output(
    struct buf *to, const struct kv_output *output, bool with_value);
/* When it goes by itself, as kv_get_deadline; 0: never. */
uint64_t api_item_deadline(struct api *api, const struct kv_item *item);
/* NULL for KV_CONTENT_NONE. Only types that no browser runs are stored. */
const char *api_content_type_text(enum kv_content_type type);
/* Of a Content-Type header, without its parameters; KV_CONTENT_NONE for none
 * and for all others. */
enum kv_content_type api_parse_content_type(struct slice text);
/* Seconds in whole milliseconds, rounded up, no trailing zeros: 27.4 */
void api_append_seconds(struct buf *to, uint64_t us);
/* How long there is to go at this node's idea of cluster time; at least 1. */
uint64_t api_ttl_us(struct api *api, uint64_t deadline_us);
/* Lease ids and lock tokens: 16 lower-case hex digits. */
void api_append_id(struct buf *to, uint64_t id);
bool api_parse_id(struct slice text, uint64_t *ret_id);

/* ---- Single keys: api_key.c ---- */

/* A revision in quotes: RFC 9110, 8.8.3. */
struct api_etag {
	char text[24];
};
struct api_etag api_etag_of(uint64_t revision);

/*
 * Decodes what is behind the first `skipped` bytes of the path into call->key.
 * False: nothing, or more than size_max bytes; answered. `what` is "key".
 */
bool api_take_name(
    struct api_call *call, size_t skipped, size_t size_max, const char *what);
/* The same of a key behind /kv/. */
bool api_take_key(struct api_call *call);
/* call->key now, or as it was with at=, behind api_fail_at. ERR_NOT_FOUND, or
 * 0; after anything else it is answered. */
int api_get_item(struct api_call *call, struct kv_item *ret_item);
/* What ttl=, lease= and keep_ttl= say of the key written, or else `otherwise`.
 * False: more than one; answered. */
bool api_take_lifetime(
    struct api_call *call, enum kv_lifetime otherwise, struct kv_op *op);

/* ---- Writes: api_condition.c, api_identity.c, api_result.c, api_quota.c ---- */

/* Is a write sound in what it asks for beside the operation: If-Match,
 * If-None-Match, cas=? False: answered. Called before it goes anywhere, and
 * before the two below. */
bool api_check_conditions(struct api_call *call);
/* Which of two lines of a header is meant, nobody knows. */
bool api_is_given_twice(const struct http_request *request, const char *name);
/* The same as above of Idempotency-Key, for api_write. */
bool api_check_identity(struct api_call *call);
/* Adds to a 412: that the key is so, and what was asked for. `current` is 0 if
 * it does not exist. */
void api_describe_condition(const struct api_call *call, bool exists,
    uint64_t current, struct api_problem *problem);
/* Of a GET: does the client have this revision already? */
bool api_is_not_modified(const struct api_call *call, uint64_t revision);
/* Of a GET: is this a revision that the client wants? False: answered. */
bool api_check_if_match(struct api_call *call, uint64_t revision);
/* Is this one of the keys that are not written without a condition, or may
 * there be one in the range? */
bool api_needs_condition(const struct api *api, struct slice key);
bool
api_range_needs_condition(const struct api *api, const struct kv_range *range);
/* Answers that it is not written so; `hint` says how it is. */
void api_fail_required(struct api_call *call, const char *hint);
/* The same as a part of an error. */
void api_describe_required(
    const struct api *api, const char *hint, struct api_problem *problem);
/* False: the key in the path needs a condition, and has none; answered. */
bool api_check_required(struct api_call *call);
/* The same of the key in to=, on which there is none in any case. */
bool api_check_required_to(struct api_call *call);

/* NULL: there is none; `ret_identity` is then not used. Its digest is of all
 * that says what is done: not of timeout=, redirect=, Accept and Prefer. */
const struct kv_identity *
api_get_identity(const struct api_call *call, struct kv_identity *ret_identity);
/* Begins a transaction with the identity and the conditions on call->key; the
 * operations follow, in the branch call->branch. */
void api_encode_begin(struct api_call *call, struct buf *command);

/*
 * The one place that makes errors of results. True: the result is none that the
 * client wanted, and that is answered. A condition that failed is shown with
 * `current` and `exists` of call->key, or, if that is empty, as a list `failed`.
 * First of all in operation->applied: it also notes that this is a replay.
 */
bool api_fail_result(struct api_call *call, const struct kv_result *result);
/* What a result that is too large or too many came up against. */
uint64_t api_result_limit(const struct api_call *call, enum kv_status status);
/* What is said of a lease that is not there, written or read. */
#define API_NO_LEASE_DETAIL "there is no such lease: it ended, or never was"
#define API_NO_LEASE_HINT                                                      \
	"POST /lease?ttl=15s makes one; if it was the token of a lock, "       \
	"somebody else may hold that: PUT /lock/NAME asks again"
/* Of a result that has one. */
struct kv_output api_first_output(const struct kv_result *result);
enum api_shown {
	API_SHOWN_NOTHING,
	API_SHOWN_VALUE,   /* the output's, if it has one */
	API_SHOWN_PREVIOUS /* the same, of before: Prefer: return=previous */
};
/* Answers a write of one key with an output WRITTEN. */
void api_reply_written(struct api_call *call, unsigned status,
    const struct kv_output *output, enum api_shown shown);
/* Appends ,"previous":{"value":...}, or null. */
void api_append_previous(struct buf *body, const struct kv_output *output);

/* Is there room for a write that adds so many bytes of keys and values at most,
 * in the quota and on the disk? 0: of one that does not grow. False: answered. */
bool api_fits(struct api_call *call, uint64_t added);
/* How much a write that leaves `key` with a value of this size may add. What is
 * there already is looked up only where it counts. */
uint64_t api_growth(struct api *api, struct slice key, uint64_t size);
/* The same for one that leaves `key` with a value of this size. */
bool api_fits_value(struct api_call *call, struct slice key, uint64_t size);

/* A number for a lease or a token that nobody has. */
uint64_t api_draw_id(struct api *api);

#endif
