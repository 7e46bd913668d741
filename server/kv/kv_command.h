#ifndef KV_KV_COMMAND_H
#define KV_KV_COMMAND_H

/*
 * Commands as bytes, which the log keeps, and what came of one. All that can
 * differ from node to node, a limit, a random number or the time, is in the
 * command or in its entry's stamp: kv_apply has no other input.
 *
 * A transaction is written in this order:
 *
 *	kv_encode_transaction(to, identity)
 *	kv_encode_condition ...                all must hold, or else
 *	kv_encode_op(to, KV_THEN, ...) ...
 *	kv_encode_op(to, KV_ELSE, ...) ...     or kv_encode_else(to)
 *
 * Operations run in order, each sees those before it; all take effect, as one
 * revision, or none does. Conditions see the state before. Limits marked
 * [caller] are not checked here but asserted.
 */

#include "common/buf.h"
#include "common/err.h"
#include "common/macros.h"

#define KV_KEY_SIZE_MAX         480
#define KV_IDENTITY_SIZE_MAX    64
#define KV_LOCK_NAME_SIZE_MAX   256
#define KV_LOCK_HOLDER_SIZE_MAX 1024
/* Conditions and operations of one transaction. [caller] */
#define KV_TRANSACTION_OPS_MAX 1024
/* Keys that the KV_DELETE_RANGEs of a transaction may delete: KV_TOO_MANY above. */
#define KV_DELETE_KEYS_MAX 10000
/*
 * What one command may write, with what history keeps of before: a transaction
 * is KV_WRITES_TOO_MUCH above, but a KV_DELETE_RANGE with a limit ends before,
 * with more to do; an EXPIRE begins nothing more. So none stops the server for
 * long.
 */
#define KV_WRITE_BYTES_MAX (UINT64_C(64) << 20)
/* Names that the KV_CREATE_CHILDs of a transaction try, as a queue copied from
 * another cluster may be in their way; KV_LOOK_BYTES_MAX holds as well.
 * KV_TOO_MANY above. */
#define KV_CHILD_NAMES_MAX 10000
/* Keys attached to one lease, and bytes of them and their values, as all go at
 * once when it ends: KV_TOO_MANY above. */
#define KV_LEASE_KEYS_MAX  10000
#define KV_LEASE_BYTES_MAX (UINT64_C(64) << 20)
/*
 * What a transaction may read: KV_READS_TOO_MUCH above. Each value that is put out
 * counts, and each key of a LIST with KV_LIST_KEY_OVERHEAD more. With an
 * identity its outputs are kept for the replay, and the bound is the lower one.
 */
#define KV_LIST_KEY_OVERHEAD       64
#define KV_OUTPUT_BYTES_MAX        (UINT64_C(4) << 20)
#define KV_REPLAY_OUTPUT_BYTES_MAX (UINT64_C(64) << 10)
/*
 * What the conditions and LISTs of a transaction may look at, in bytes of values:
 * KV_LOOKS_TOO_MUCH above. Each is read whole, also if it is about the key alone.
 */
#define KV_LOOK_BYTES_MAX (UINT64_C(256) << 20)
/* How long answers are kept for replays, how many, and how many bytes in all,
 * as stored: the oldest go before their time when there are more. */
#define KV_REPLAY_US         (UINT64_C(600) * 1000000)
#define KV_REPLAYS_MAX       100000
#define KV_REPLAYS_BYTES_MAX (UINT64_C(64) << 20)

/* A TTL is at least, and at most, this. [caller] */
#define KV_TTL_US_MIN UINT64_C(100000)
#define KV_TTL_US_MAX (UINT64_C(100) * 365 * 86400 * 1000000)

/* A single put is at most this much larger than its value, with an identity and
 * a condition on a number. */
#define KV_COMMAND_OVERHEAD_MAX (256 + 2 * KV_KEY_SIZE_MAX)

/*
 * An Idempotency-Key of a client's: a command that has one which was applied
 * within the last KV_REPLAY_US, and whose answer is still kept, gives that one's
 * result again and changes nothing; KV_REUSED if the digest is another.
 */
struct kv_identity {
	struct slice key; /* 1 .. KV_IDENTITY_SIZE_MAX bytes [caller] */
	uint64_t digest;  /* of what the client asked for */
};

/* ---- Transactions ---- */

/* What a condition looks at. All but the value are 0 if the key is missing; a
 * condition on the value of a missing key does not hold. */
enum kv_target {
	KV_TARGET_MODIFIED = 1, /* revision of the last change */
	KV_TARGET_CREATED,
	KV_TARGET_VERSION, /* 0: the key is missing */
	KV_TARGET_LEASE,
	KV_TARGET_VALUE /* compared as memcmp does */
};

enum kv_relation {
	KV_EQUAL = 1,
	KV_NOT_EQUAL,
	KV_LESS,
	KV_LESS_OR_EQUAL,
	KV_GREATER,
	KV_GREATER_OR_EQUAL
};

struct kv_condition {
	struct slice key;
	enum kv_target target;
	enum kv_relation relation;
	uint64_t number;
	struct slice value; /* KV_TARGET_VALUE */
};

enum kv_op_kind {
	KV_PUT = 1,
	KV_DELETE,       /* of a missing key: changes nothing */
	KV_DELETE_RANGE, /* [key, other); at most `limit` keys, 0: all */
	KV_GET,
	KV_LIST,      /* [key, other); at most `limit` keys, 0: all */
	KV_INCREMENT, /* decimal int64, perhaps with a newline behind it, which
	                 goes; a missing key is 0. KV_NOT_A_NUMBER */
	KV_APPEND,    /* a missing key is empty. KV_TOO_LARGE */
	KV_TOUCH,     /* the lifetime alone: no event, no new revision of the
	                 key. KV_KEY_NOT_FOUND */
	KV_COPY,      /* value and content type to `other`. KV_KEY_NOT_FOUND */
	KV_MOVE,      /* the same, and deletes `key`, unless it is `other` */
	KV_CREATE_CHILD /* puts key + the revision in 20 digits, or the next
	                   number of which there is no key and which no other
	                   child of the transaction tried. KV_TOO_MANY */
};

/* When a key goes by itself. */
enum kv_lifetime {
	KV_LIFETIME_NONE, /* never */
	KV_LIFETIME_KEEP, /* as before; MOVE: as the key moved; new keys: never;
	                     KV_TOO_MANY: it is a lease with too many bytes */
	KV_LIFETIME_TTL,  /* ttl_us after the entry's cluster time */
	KV_LIFETIME_LEASE /* with `lease`: KV_LEASE_NOT_FOUND, KV_TOO_MANY */
};

enum kv_content_type {
	KV_CONTENT_NONE, /* not given, or none of these */
	KV_CONTENT_TEXT,
	KV_CONTENT_JSON,
	KV_CONTENT_OCTETS,
	KV_CONTENT_PEM
};
#define KV_CONTENT_TYPES_COUNT 5

struct kv_op {
	enum kv_op_kind kind;
	struct slice key;
	struct slice other;        /* a range: its end, empty for none */
	struct slice value;        /* PUT, APPEND, CREATE_CHILD */
	enum kv_lifetime lifetime; /* of the key written */
	uint64_t ttl_us;
	uint64_t lease;
	enum kv_content_type content_type; /* PUT, CREATE_CHILD */
	int64_t by;                        /* INCREMENT */
	uint64_t size_max;                 /* APPEND: of the value afterwards */
	uint32_t limit;
	bool previous;  /* PUT, DELETE: output the value of before */
	bool reverse;   /* LIST */
	bool keys_only; /* LIST: without values */
};

enum kv_branch { KV_THEN, KV_ELSE };

/* `identity` may be NULL, here and below. */
void kv_encode_transaction(struct buf *to, const struct kv_identity *identity);
void kv_encode_condition(struct buf *to, const struct kv_condition *condition);
void
kv_encode_op(struct buf *to, enum kv_branch branch, const struct kv_op *op);
/* Instead of operations of the else branch: there is one, so it is no failure,
 * but an empty one. */
void kv_encode_else(struct buf *to);

/* Whole transactions of one operation. */
void kv_encode_put(struct buf *to, struct slice key, struct slice value);
void kv_encode_delete(struct buf *to, struct slice key);

/* ---- Leases and locks ---- */

/* Ids are random numbers, not 0, of the proposer's. KV_LEASE_EXISTS */
void kv_encode_grant(struct buf *to, const struct kv_identity *identity,
    uint64_t lease, uint64_t ttl_us);
/* The whole TTL again, from the entry's cluster time. KV_LEASE_NOT_FOUND;
 * KV_LOCK_NOT_HELD: a token that waits, and waits no longer than it asked. */
void kv_encode_renew(
    struct buf *to, const struct kv_identity *identity, uint64_t lease);
/* Its keys are deleted and its lock is handed over, in one revision; if there
 * is neither a key nor anybody who waits, it takes none. The output is DELETED
 * with `count`. KV_LEASE_NOT_FOUND */
void kv_encode_revoke(
    struct buf *to, const struct kv_identity *identity, uint64_t lease);

/*
 * Asks for a lock, under a lease that is made for it with this id, its token.
 * Free: it is held, for ttl_us unless renewed, and the result's revision is its
 * fence. Taken: with wait_us it queues for so long, behind those before it; the
 * result has succeeded = false; else KV_LOCK_HELD. Who comes to hold it later
 * has its whole TTL from then, and that entry's revision as its fence.
 * KV_LEASE_EXISTS: the token is in use.
 */
struct kv_lock_request {
	struct slice name;   /* 1 .. KV_LOCK_NAME_SIZE_MAX bytes [caller] */
	struct slice holder; /* for people; 0 .. KV_LOCK_HOLDER_SIZE_MAX */
	uint64_t token;
	uint64_t ttl_us;
	uint64_t wait_us;
};
void kv_encode_lock(struct buf *to, const struct kv_identity *identity,
    const struct kv_lock_request *request);
/* Leaves a lock or its queue: kv_encode_revoke of the token, but only if it is
 * one of this lock's: KV_LOCK_NOT_HELD. */
void kv_encode_unlock(struct buf *to, const struct kv_identity *identity,
    struct slice name, uint64_t token);

/* ---- The leader's own ---- */

/*
 * Ends what has a deadline at or before `until_us` and the entry's own cluster
 * time, the earliest first, but begins nothing once `limit` keys and leases
 * ended, a lease's keys among them: in one revision, or none if all were leases
 * without keys for whose locks nobody waits.
 */
void kv_encode_expire(struct buf *to, uint64_t until_us, uint32_t limit);
/* Nothing but its stamp: cluster time goes on. */
void kv_encode_mark(struct buf *to);
/*
 * History up to and with `revision` is gone (kv_read.h); at most `limit` of its
 * events are deleted now, and others by the next such command. A revision
 * above the present one means that one; below what is gone already, nothing.
 */
void kv_encode_compact(struct buf *to, uint64_t revision, uint32_t limit);

/* ---- Results ---- */

/* Everything but KV_OK means: nothing changed. */
enum kv_status {
	KV_OK,
	KV_CONDITION_FAILED, /* and no else branch; outputs say which */
	KV_KEY_NOT_FOUND,
	KV_NOT_A_NUMBER, /* or the sum is beyond an int64 */
	KV_LEASE_NOT_FOUND,
	KV_LEASE_EXISTS,
	KV_LOCK_HELD,     /* output: LOCK, of who holds it */
	KV_LOCK_NOT_HELD, /* by that token */
	KV_TOO_LARGE,     /* a value, after what is appended */
	KV_READS_TOO_MUCH,
	KV_LOOKS_TOO_MUCH,
	KV_WRITES_TOO_MUCH,
	KV_TOO_MANY,
	KV_REUSED /* the identity stands for another command */
};

struct kv_result {
	enum kv_status status;
	/* A transaction: the then branch ran. A lock: it is held. Else: true
	 * with KV_OK. */
	bool succeeded;
	bool replayed;     /* the result of an earlier command */
	bool changed;      /* that has a revision of its own */
	uint64_t revision; /* of the change, or what it was without one */
	uint32_t op;       /* which one failed, neither OK nor a condition */
	struct slice outputs;
};

enum kv_output_kind {
	KV_OUTPUT_CONDITION = 1, /* with KV_CONDITION_FAILED: one that failed;
	                            `exists`, numbers */
	KV_OUTPUT_WRITTEN, /* PUT INCREMENT APPEND TOUCH COPY MOVE CREATE_CHILD:
	                      the key as it is now; value: of before for PUT with
	                      `previous`, the new one for INCREMENT, and for APPEND
	                      if that much may still be read */
	KV_OUTPUT_DELETED, /* DELETE, DELETE_RANGE: `count`, `more`; value: of
	                      before, with `previous` */
	KV_OUTPUT_ITEM,    /* GET: `exists`; a key of a LIST */
	KV_OUTPUT_LIST,    /* `count` ITEMs follow; `more` */
	KV_OUTPUT_LEASE,   /* of grant, renew, and a lock that is held or waited
	                      for: `lease`, and `ttl_us` as asked for */
	KV_OUTPUT_LOCK /* value: the holder; modified: the fence; `ttl_us` it
	                      had at its last renewal */
};

/* Slices are borrowed from the result. */
struct kv_output {
	enum kv_output_kind kind;
	uint32_t index; /* of the condition, or of the op in its branch */
	struct slice key;
	bool exists; /* WRITTEN, DELETED: it did before */
	bool has_value;
	bool more;
	struct slice value;
	enum kv_content_type content_type;
	uint64_t modified;
	uint64_t created;
	uint64_t version;
	uint64_t lease;
	uint64_t ttl_us; /* left at the entry's time; 0: none */
	uint64_t count;
};

/*
 * Takes the first output off the front of *outputs. ERR_NOT_FOUND: there is
 * none; ERR_CORRUPT: never in a result of kv_apply.
 */
int kv_output_next(
    struct slice *outputs, struct kv_output *ret_output) ATTR_MUST_CHECK;

#endif
