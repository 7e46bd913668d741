#ifndef KV_KV_RUN_H
#define KV_KV_RUN_H

/*
 * Commands as they are read, what each of them does, what came of it, and the
 * answers kept of those with an identity. A part of kv_impl.h, which includes
 * it.
 */

#include "kv/kv_impl.h"

/* ---- kv_command.c ---- */

enum kv_command_kind {
	KV_COMMAND_TRANSACTION = 1,
	KV_COMMAND_GRANT,
	KV_COMMAND_RENEW,
	KV_COMMAND_REVOKE,
	KV_COMMAND_LOCK,
	KV_COMMAND_UNLOCK,
	KV_COMMAND_EXPIRE,
	KV_COMMAND_MARK,
	KV_COMMAND_COMPACT
};

/* Strict, and all of it checked; borrows from the bytes. */
struct kv_command {
	enum kv_command_kind kind;
	struct kv_identity identity; /* key empty: none */
	/* A transaction: its parts, for kv_part_next. */
	struct slice parts;
	uint32_t conditions_count;
	uint32_t then_count; /* operations */
	uint32_t else_count;
	bool has_else;
	/* The others: what they are about. */
	uint64_t lease;
	uint64_t ttl_us;
	struct kv_lock_request lock; /* UNLOCK: name and token */
	uint64_t until_us;
	uint64_t revision;
	uint32_t limit;
};

int kv_command_decode(
    struct slice bytes, struct kv_command *ret_command) ATTR_MUST_CHECK;

struct kv_part {
	enum { KV_PART_CONDITION, KV_PART_THEN, KV_PART_ELSE } kind;
	union {
		struct kv_condition condition;
		struct kv_op op;
	};
};

/* Digits of the revision that KV_CREATE_CHILD appends. */
#define KV_CHILD_DIGITS 20

/* Takes the first part off; false: there is none. */
bool kv_part_next(struct slice *parts, struct kv_part *ret_part);

/* ---- What each command does, on kv->now; 0 also if ret_result->status is not
 * KV_OK, in which case what was changed is undone by kv_apply ---- */

/* What they end with. */
static inline int
kv_fail(struct kv_result *ret_result, enum kv_status status)
{
	ret_result->status = status;
	ret_result->succeeded = false;
	return 0;
}

static inline void
kv_succeed(struct kv_result *ret_result)
{
	ret_result->status = KV_OK;
	ret_result->succeeded = true;
}

/* kv_op.c */
struct kv_operation {
	const struct kv_op *op;
	uint32_t index;        /* in its branch */
	enum kv_status status; /* not KV_OK: it changed nothing */
};
/* Adds what it gives to the outputs. */
int kv_run_op(struct kv *kv, struct kv_operation *run) ATTR_MUST_CHECK;
/* May so many bytes more be read? Else the status says that they may not. */
bool kv_op_may_read(struct kv *kv, struct kv_operation *run, uint64_t bytes);
/* Counts a value of that size as looked at; false: that was too much. */
static inline bool
kv_may_look(struct kv *kv, uint64_t size)
{
	return (kv->now.looked_bytes += size) <= KV_LOOK_BYTES_MAX;
}
/* Fills in what an item is like, but for its key and value. */
int kv_output_describe(struct kv *kv, const struct kv_item *item,
    struct kv_output *output) ATTR_MUST_CHECK;
/* kv_op_range.c */
int kv_op_list(struct kv *kv, struct kv_operation *run) ATTR_MUST_CHECK;
int kv_op_delete_range(struct kv *kv, struct kv_operation *run) ATTR_MUST_CHECK;

/* kv_transaction.c */
int kv_run_transaction(struct kv *kv, const struct kv_command *command,
    struct kv_result *ret_result) ATTR_MUST_CHECK;
/* kv_lease.c */
int kv_run_grant(struct kv *kv, const struct kv_command *command,
    struct kv_result *ret_result) ATTR_MUST_CHECK;
int kv_run_renew(struct kv *kv, const struct kv_command *command,
    struct kv_result *ret_result) ATTR_MUST_CHECK;
int kv_run_revoke(struct kv *kv, const struct kv_command *command,
    struct kv_result *ret_result) ATTR_MUST_CHECK;
/* kv_deadline.c */
int kv_run_expire(struct kv *kv, const struct kv_command *command,
    struct kv_result *ret_result) ATTR_MUST_CHECK;
/* kv_lock.c */
int kv_run_lock(struct kv *kv, const struct kv_command *command,
    struct kv_result *ret_result) ATTR_MUST_CHECK;
int kv_run_unlock(struct kv *kv, const struct kv_command *command,
    struct kv_result *ret_result) ATTR_MUST_CHECK;
/* kv_compact.c */
int kv_run_compact(struct kv *kv, const struct kv_command *command,
    struct kv_result *ret_result) ATTR_MUST_CHECK;

/* ---- kv_replay.c ---- */

struct kv_replay {
	uint64_t digest;
	uint64_t deadline_us;
	uint64_t index; /* of the command, its key in "order" */
	struct slice result;
};

/* Borrows from the body. ERR_CORRUPT. */
int kv_replay_decode(
    struct slice body, struct kv_replay *ret_replay) ATTR_MUST_CHECK;
/* True in *ret_known: *ret_result is the answer kept, or KV_REUSED. */
int kv_replay_find(struct kv *kv, const struct kv_identity *identity,
    bool *ret_known, struct kv_result *ret_result) ATTR_MUST_CHECK;
/* Keeps the result of the command at kv->now, and drops a few that are too old
 * or too many. */
int kv_replay_keep(struct kv *kv, const struct kv_identity *identity,
    const struct kv_result *result) ATTR_MUST_CHECK;
/* Drops up to `limit` of them, or as many as are too large together. */
int kv_replay_drop(struct kv *kv, unsigned limit) ATTR_MUST_CHECK;

/* ---- kv_result.c ---- */

/* Appends one to kv->outputs. */
void kv_output_add(struct kv *kv, const struct kv_output *output);

/* The result as bytes, and back; it borrows from them. */
void kv_result_encode(struct buf *to, const struct kv_result *result);
int kv_result_decode(
    struct slice bytes, struct kv_result *ret_result) ATTR_MUST_CHECK;

#endif
