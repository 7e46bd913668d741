#ifndef KV_KV_IMPL_H
#define KV_KV_IMPL_H

/*
 * What the files of kv/ share: the tables, the form of their records, and the
 * few functions through which all changes of them go.
 *
 * kv_table.c        tables with their sums, and undoing a command
 * kv_record.c       the form of records
 * kv_change.c       a key with all that hangs on it: history, deadline, lease
 * kv_command.c      commands from and to bytes
 * kv_result.c       results likewise
 * kv_transaction.c  conditions and operations
 * kv_op.c           each operation on a key
 * kv_op_range.c     those on many
 * kv_lease.c        leases
 * kv_deadline.c     deadlines, expiry
 * kv_lock.c         locks
 * kv_replay.c       answers kept for commands with an identity
 * kv_history.c      past versions, events
 * kv_compact.c      compaction
 * kv_scan.c         lists
 * kv_count.c        what records must be, and come to
 * kv_verify.c       all of them at once; kv_scrub.c: in steps
 * kv_reader.c       snapshots out; kv_writer.c: in; kv_piece.c: their form
 * kv.c              the state: open, apply, checkpoint
 *
 * Tables. Numbers in keys are big-endian. Every record is sealed: u8 format
 * version, u32 CRC-32C over the key in the table, the version and the body,
 * then the body. The first five bytes stay the same in every later version, so
 * that damage and news are told apart.
 *
 *	meta      "state" -> struct kv_state; "node." name -> the node's bytes
 *	kv        key -> struct kv_version
 *	gone      key -> struct kv_version, without a value, of a key that was
 *	          deleted at a revision that is not compacted
 *	history   revision u64, ordinal u32 -> struct kv_change: what was there
 *	          before that event
 *	deadline  time u64, u8 'k', key  or  time u64, u8 'l', lease u64 -> empty
 *	lease     id u64 -> struct kv_lease_record
 *	attached  lease u64, key -> empty
 *	lock      u16 size of the name, name, ticket u64 -> struct kv_ticket: the
 *	          first of a name holds the lock, the others wait
 *	replay    identity -> digest, deadline, result
 *	order     log index u64 -> identity, of the replays, oldest first
 *
 * History is an undo log. From a version, back in time, leads the event that
 * wrote it: its record holds the version before. So all events up to a revision
 * can go from the front without a look at any key, and everything after can
 * still be read: what a deleted event would tell is needed by nobody. As the
 * way back can be long, a version also has a jump: an older event of its key,
 * so chosen (skew-binary, Myers 1983) that any version is found in O(log n).
 */

#include "common/codec.h"
#include "kv/kv_read.h"
#include "kv/kv_snapshot.h"

enum kv_table {
	KV_TABLE_META,
	KV_TABLE_KV,
	KV_TABLE_GONE,
	KV_TABLE_HISTORY,
	KV_TABLE_DEADLINE,
	KV_TABLE_LEASE,
	KV_TABLE_ATTACHED,
	KV_TABLE_LOCK,
	KV_TABLE_REPLAY,
	KV_TABLE_ORDER
};

/* What a table holds; of meta, all but the state itself. */
struct kv_sum {
	uint64_t count;
	uint64_t bytes; /* of keys and sealed records */
	/*
	 * Sum of the hashes of its records, modulo 2^64: it does not depend on
	 * their order, and a put or a delete changes it in one step.
	 */
	uint64_t hash;
};

/* What all replicas agree on, meta's sum apart, and what checks the tables. */
struct kv_state {
	uint64_t applied_index;
	uint64_t revision; /* at most applied_index */
	uint64_t cluster_time_us;
	uint64_t compacted;  /* revision, at most `revision` */
	uint64_t live_bytes; /* of keys and values in "kv" */
	struct kv_sum sums[KV_TABLES_COUNT];
};

/* The command that is being applied. */
struct kv_now {
	uint64_t index;
	uint64_t time_us;       /* never below state.cluster_time_us */
	uint64_t revision;      /* of its change: state.revision + 1 */
	uint32_t ordinal;       /* of its next event */
	bool changed;           /* so that it takes the revision */
	uint64_t written_bytes; /* see KV_WRITE_BYTES_MAX */
	/* Of a transaction, see KV_OUTPUT_BYTES_MAX: read so far, and at most. */
	uint64_t read_bytes;
	uint64_t read_bytes_max;
	uint64_t looked_bytes; /* see KV_LOOK_BYTES_MAX */
	uint32_t names_tried;  /* see KV_CHILD_NAMES_MAX */
	uint64_t keys_deleted; /* see KV_DELETE_KEYS_MAX */
};

struct kv {
	struct store *data;
	struct store_txn *txn; /* NULL only after a failed checkpoint */
	struct kv_state state; /* stored at each checkpoint */
	struct kv_now now;
	uint64_t checkpoint_index;
	uint64_t dirty_bytes;
	bool dirty;             /* anything, applied index too, since then */
	bool failed;            /* an error was returned: stop */
	uint64_t changes_count; /* of any table, since kv_open */
	uint64_t expired_count; /* keys that expired since kv_open */
	uint64_t past_bytes;    /* of values on ways back, read since kv_open */
	struct buf body;        /* of the record being written; see kv_body */
	struct buf change;      /* likewise, of the event */
	struct buf copy;        /* what an operation takes out of the store */
	struct buf scratch;     /* the record, sealed */
	struct buf outputs;     /* of the result of the last command */
	uint64_t oldest_replay; /* its index, once looked at; 0: not yet; ... */
	uint64_t oldest_replay_us; /* ... when it is too old */
	bool undoing;              /* changes are noted in `undo` */
	struct buf undo;           /* what they replaced, see kv_table.c */
	struct kv_state undo_state;
	struct kv_now undo_now;
};

/* Marks the kv as failed if `code` is an error; gives `code`. */
int kv_note(struct kv *kv, int code);

/* The stored state; none is the state before the first checkpoint. */
int kv_state_load(
    struct store_txn *txn, struct kv_state *ret_state) ATTR_MUST_CHECK;

/* ---- kv_table.c: the only place that writes a table ---- */

/* The body of a record, borrowed from the store: valid until the next change.
 * ERR_NOT_FOUND, ERR_CORRUPT, ERR_VERSION. */
int kv_table_get(struct kv *kv, enum kv_table table, struct slice key,
    struct slice *ret_body) ATTR_MUST_CHECK;
/* Writes or replaces. Neither slice may point into the store. */
int kv_table_put(struct kv *kv, enum kv_table table, struct slice key,
    struct slice body) ATTR_MUST_CHECK;
/*
 * The same for a key whose body is known: `old`, from kv_table_get, as nothing
 * changed since then; without data: there is none. Saves a look-up.
 */
int kv_table_replace(struct kv *kv, enum kv_table table, struct slice key,
    struct slice old, struct slice body) ATTR_MUST_CHECK;
/* The same for a key above all others of the table. */
int kv_table_append(struct kv *kv, enum kv_table table, struct slice key,
    struct slice body) ATTR_MUST_CHECK;
/* ERR_NOT_FOUND. */
int kv_table_delete(
    struct kv *kv, enum kv_table table, struct slice key) ATTR_MUST_CHECK;
/* The same for a key whose body is known: `old`, as of kv_table_replace. */
int kv_table_remove(struct kv *kv, enum kv_table table, struct slice key,
    struct slice old) ATTR_MUST_CHECK;
/* Counts a record out, with `old` as of kv_table_replace, that kv_table_cut is
 * to delete; not while undoing, nor is that. ERR_CORRUPT. */
int kv_table_count_out(struct kv *kv, enum kv_table table, struct slice key,
    struct slice old) ATTR_MUST_CHECK;
/* Deletes the first `count` records of a table, which end with that of `until`
 * and are counted out. ERR_CORRUPT: they are not so many. */
int kv_table_cut(struct kv *kv, enum kv_table table, struct slice until,
    uint64_t count) ATTR_MUST_CHECK;
/* The first record whose key is at or after `key`, or of all if that is empty;
 * both borrowed from the store. ERR_NOT_FOUND: there is none. */
int kv_table_seek(struct kv *kv, enum kv_table table, struct slice key,
    struct slice *ret_key, struct slice *ret_body) ATTR_MUST_CHECK;

/* Do records come in at its end and go at its begin? */
bool kv_table_is_queue(enum kv_table table);

/* Empty memory for the body of the next record. */
struct buf *kv_body(struct kv *kv);

/* From here on changes can be taken back, state and now included. */
void kv_undo_begin(struct kv *kv);
/* They stay. */
void kv_undo_forget(struct kv *kv);
/* They never were. */
int kv_undo(struct kv *kv) ATTR_MUST_CHECK;

/* ---- kv_record.c ---- */

#define KV_SEAL_SIZE 5 /* version and CRC */

/* Begins a sealed record in the empty `record`; its body is appended next. */
void kv_seal_begin(struct buf *record);
/* Completes the record that is stored under `key`. */
void kv_seal_end(struct buf *record, struct slice key);
/*
 * The body of a stored record, borrowed from it. ERR_CORRUPT: not what was
 * sealed under this key; ERR_VERSION: sound, but of another version.
 */
int kv_unseal(struct slice key, struct slice record,
    struct slice *ret_body) ATTR_MUST_CHECK;

/* What a record adds to the hash of its table. */
uint64_t kv_record_hash(struct slice key, struct slice record);
/* Counts a record in. */
void kv_sum_add(struct kv_sum *sum, struct slice key, struct slice record);

/* Where an event is in history. */
struct kv_place {
	uint64_t revision;
	uint32_t ordinal;
};
#define KV_PLACE_SIZE 12
struct slice kv_place_key(struct kv_place place, uint8_t to[KV_PLACE_SIZE]);
/* And back. ERR_CORRUPT. */
int
kv_place_decode(struct slice key, struct kv_place *ret_place) ATTR_MUST_CHECK;

/* A version of a key, or the fact that it is gone. */
struct kv_version {
	bool gone;            /* item.modified: the revision that deleted it */
	struct kv_item item;  /* modified is that of the event that wrote it */
	uint32_t ordinal;     /* of that event */
	uint64_t depth;       /* how many versions are before it, so far back as
	                        its history went when it was written */
	struct kv_place jump; /* an event of this key, this one's or older */
	uint64_t jump_depth;  /* depth of the version before that event */
};

/* Where the event is that wrote it. */
struct kv_place kv_version_place(const struct kv_version *version);

/* Appends it; numbers are short. */
void kv_version_encode(struct buf *to, const struct kv_version *version);
/* Borrows from `bytes`, and takes all of them. ERR_CORRUPT. */
int kv_version_decode(
    struct slice bytes, struct kv_version *ret_version) ATTR_MUST_CHECK;

/* An event in history. */
struct kv_change {
	enum kv_event_type type;
	uint64_t time_us;
	struct slice key;
	bool existed; /* there was a version before, be it gone: */
	struct kv_version before;
};

void kv_change_encode(struct buf *to, const struct kv_change *change);
/* Borrows from `bytes`. ERR_CORRUPT. */
int kv_change_decode(
    struct slice bytes, struct kv_change *ret_change) ATTR_MUST_CHECK;

/* Where the state is in "meta". */
struct slice kv_state_key(void);
void kv_state_encode(struct buf *record, const struct kv_state *state);
int kv_state_decode(
    struct slice record, struct kv_state *ret_state) ATTR_MUST_CHECK;

/* See kv_state_hash. */
uint64_t kv_state_digest(const struct kv_state *state);

/* ---- kv_change.c: the only place that changes a key ---- */

/* The version that is there. ERR_NOT_FOUND. */
int kv_find(struct kv *kv, struct slice key,
    struct kv_version *ret_version) ATTR_MUST_CHECK;

/* What there is of a key, valid until the next change. */
struct kv_present {
	enum kv_table table;       /* KV; or GONE: it was deleted ... */
	struct slice body;         /* ... or, without data, never was */
	struct kv_version version; /* of it; borrowed likewise */
};

int kv_look(struct kv *kv, struct slice key,
    struct kv_present *ret_present) ATTR_MUST_CHECK;
static inline bool
kv_is_live(const struct kv_present *present)
{
	return present->table == KV_TABLE_KV;
}

/*
 * Writes a key, of which there was `before`: at revision kv->now.revision, with
 * its event in history, its deadline and its lease, which exists and has room.
 * Of `item`, value, lease, deadline_us and content_type count; the value may
 * point into the store, the key may not. A second change of a key by one
 * command replaces the first. *ret_version has no value.
 */
int
kv_change_put(struct kv *kv, struct slice key, const struct kv_present *before,
    const struct kv_item *item, struct kv_version *ret_version) ATTR_MUST_CHECK;
/* Deletes it, as DELETE or EXPIRE; `key` may point into the store. ERR_NOT_FOUND. */
int kv_change_delete(
    struct kv *kv, struct slice key, enum kv_event_type type) ATTR_MUST_CHECK;
/* Changes lease and own deadline alone: no event, no revision. ERR_NOT_FOUND. */
int kv_change_lifetime(struct kv *kv, struct slice key, uint64_t lease,
    uint64_t deadline_us) ATTR_MUST_CHECK;

/* ---- kv_history.c ---- */

/* The version of a key at a revision that is not compacted, from one that is
 * not earlier; a `gone` one or none: ERR_NOT_FOUND. */
int kv_version_back(struct kv *kv, const struct kv_version *from,
    uint64_t revision, struct kv_version *ret_version) ATTR_MUST_CHECK;

/* ---- kv_lease.c ---- */

struct kv_lease_record {
	uint64_t ttl_us;
	uint64_t deadline_us;
	uint64_t keys_count;
	uint64_t keys_bytes; /* of its keys and their values */
	struct slice lock;   /* whose token it is; empty: none ... */
	uint64_t ticket;     /* ... and its place there */
};

/* Borrows from the body. ERR_CORRUPT. */
int kv_lease_decode(
    struct slice body, struct kv_lease_record *ret_lease) ATTR_MUST_CHECK;
int kv_lease_load(struct kv *kv, uint64_t id,
    struct kv_lease_record *ret_lease) ATTR_MUST_CHECK;
/* A new one, with its deadline; the lock may point anywhere. */
int kv_lease_make(struct kv *kv, uint64_t id,
    const struct kv_lease_record *lease) ATTR_MUST_CHECK;
/* Another deadline, and nothing else. ERR_NOT_FOUND. */
int kv_lease_prolong(
    struct kv *kv, uint64_t id, uint64_t deadline_us) ATTR_MUST_CHECK;
/* Deletes its keys, leaves its lock, and is gone. ERR_NOT_FOUND. */
int kv_lease_end(
    struct kv *kv, uint64_t id, enum kv_event_type type) ATTR_MUST_CHECK;
/* The same as a command's, which succeeds and tells of its keys. */
int kv_lease_revoke(
    struct kv *kv, uint64_t id, struct kv_result *ret_result) ATTR_MUST_CHECK;
/* A key comes to it or leaves it, with so many bytes of it and its value; called
 * by kv_change.c alone. That it exists and has room kv_op.c has made sure. */
int kv_lease_attach(struct kv *kv, uint64_t id, struct slice key,
    uint64_t bytes) ATTR_MUST_CHECK;
int kv_lease_detach(struct kv *kv, uint64_t id, struct slice key,
    uint64_t bytes) ATTR_MUST_CHECK;
/* One of its keys, with its value, has other bytes than before. */
int kv_lease_resize(struct kv *kv, uint64_t id, uint64_t from_bytes,
    uint64_t to_bytes) ATTR_MUST_CHECK;

/* ---- kv_deadline.c ---- */

#define KV_DEADLINE_KEY   'k'
#define KV_DEADLINE_LEASE 'l'

struct kv_deadline {
	uint64_t time_us;
	uint8_t kind;
	struct slice name; /* of the key, or the lease's id as its key */
};

/* Borrows from the key of an entry. ERR_CORRUPT. */
int kv_deadline_decode(
    struct slice bytes, struct kv_deadline *ret_deadline) ATTR_MUST_CHECK;
/* A key's own deadline, likewise; 0 is none and does nothing. */
int kv_deadline_add(
    struct kv *kv, uint64_t deadline_us, struct slice key) ATTR_MUST_CHECK;
int kv_deadline_remove(
    struct kv *kv, uint64_t deadline_us, struct slice key) ATTR_MUST_CHECK;
/* A lease's, for kv_lease.c alone. */
int kv_deadline_add_lease(
    struct kv *kv, uint64_t deadline_us, uint64_t id) ATTR_MUST_CHECK;
int kv_deadline_remove_lease(
    struct kv *kv, uint64_t deadline_us, uint64_t id) ATTR_MUST_CHECK;

/* ---- kv_lock.c ---- */

struct kv_ticket {
	uint64_t number;
	uint64_t token;
	uint64_t fence;         /* 0: it waits */
	uint64_t waiting_count; /* of those behind the one that holds it */
	struct slice holder;
};

/* All but the number, which is in the key; borrows from the body.
 * ERR_CORRUPT. */
int kv_ticket_decode(
    struct slice body, struct kv_ticket *ret_ticket) ATTR_MUST_CHECK;

/* Is it the token of a lock that another one holds? */
int kv_lock_waits(struct kv *kv, const struct kv_lease_record *lease,
    bool *ret_waits) ATTR_MUST_CHECK;

/* The ticket of a lease that ended leaves; the next one in line, if it was the
 * first, holds the lock from kv->now on. */
int kv_lock_leave(
    struct kv *kv, const struct kv_lease_record *lease) ATTR_MUST_CHECK;

/* ---- kv_meta.c ---- */

/* As kv_get_meta, in any transaction. */
int kv_meta_load(struct store_txn *txn, const char *name,
    struct slice *ret_bytes) ATTR_MUST_CHECK;
/* Is it the key of a node's record? */
bool kv_meta_is_key(struct slice key);

/* ---- kv_count.c ---- */

/* What records come to. */
struct kv_count {
	/* Of which state they are: none may be beyond it. May be set anew while
	 * records change; then only the checks of each are of use. */
	struct kv_state state;
	struct kv_sum sums[KV_TABLES_COUNT];
	uint64_t live_bytes;
	uint64_t links; /* what tables know of each other: 0 if all agree */
};

void kv_count_begin(struct kv_count *count, const struct kv_state *state);
/* Checks a record of a table and counts it. ERR_CORRUPT, ERR_VERSION. */
int kv_count_record(struct kv_count *count, unsigned table, struct slice key,
    struct slice record) ATTR_MUST_CHECK;
/* Were those all records of this state, and no others? */
bool
kv_count_agrees(const struct kv_count *count, const struct kv_state *state);

#include "kv/kv_run.h"

#endif
