#ifndef KV_KV_READ_H
#define KV_KV_READ_H

/*
 * Reading the state machine, now and at past revisions. Bounded: whatever may
 * be long is read in steps, between which the state may change. All of these
 * read through the open write transaction, as kv_get does, and what they give
 * is valid as long.
 *
 * History: the state as it was at any revision from kv_compacted() on can be
 * read, and the events after it. What is older is gone: ERR_COMPACTED.
 *
 * Errors: ERR_NOT_FOUND and ERR_COMPACTED are answers. After any other the node
 * stops (kv.h).
 */

#include "kv/kv.h"

/* Keys from `start` to before `end`. */
struct kv_range {
	struct slice start;
	struct slice end; /* empty: there is none */
};

/* The keys that begin with `prefix`; the end is made in `memory`, which has
 * room for prefix.size bytes and lives as long as the range. */
struct kv_range kv_range_of_prefix(struct slice prefix, uint8_t *memory);
bool kv_range_has(const struct kv_range *range, struct slice key);

struct kv_item {
	struct slice value;
	uint64_t created;     /* revision that created the key */
	uint64_t modified;    /* revision that wrote this value */
	uint64_t version;     /* puts since its creation, 1 for the first */
	uint64_t lease;       /* 0: none */
	uint64_t deadline_us; /* of its own, in cluster time; 0: none */
	enum kv_content_type content_type;
};

/* `key` has 1 .. KV_KEY_SIZE_MAX bytes. ERR_NOT_FOUND. */
int kv_get(
    struct kv *kv, struct slice key, struct kv_item *ret_item) ATTR_MUST_CHECK;
/* As it was at `revision`, at most the present one. ERR_COMPACTED. */
int kv_get_at(struct kv *kv, struct slice key, uint64_t revision,
    struct kv_item *ret_item) ATTR_MUST_CHECK;

/* When it goes by itself, its own deadline or its lease's; 0: never, or it is an
 * item of the past whose lease has ended. */
int kv_get_deadline(struct kv *kv, const struct kv_item *item,
    uint64_t *ret_deadline_us) ATTR_MUST_CHECK;

/* Up to which history is gone. */
uint64_t kv_compacted(const struct kv *kv);
/* Stamp of the last command applied. */
uint64_t kv_cluster_time_us(const struct kv *kv);

/* ---- Lists ---- */

enum kv_scan_next {
	KV_SCAN_ON,
	KV_SCAN_STOP, /* this key was taken; the step ends */
	KV_SCAN_BACK, /* this key was not taken: the next step begins with it */
	KV_SCAN_SKIP  /* on behind all keys that begin as this one does, with
	                 its first scan->skip_size bytes */
};

/*
 * A walk over the keys of a range as they are at a revision. The caller sets
 * the first part and zeroes the rest; kv_scan_release frees it.
 */
struct kv_scan {
	struct kv_range range; /* borrowed for the scan's life */
	uint64_t at;           /* 0: as they are at each step */
	bool reverse;
	/* Told of each key; item.value is valid within the call alone. */
	enum kv_scan_next (*take)(
	    struct kv_scan *scan, struct slice key, const struct kv_item *item);
	size_t skip_size;
	/* Where the next step goes on: behind this key; none: at the begin. May
	 * be set before the first step. */
	struct buf position;
	bool ended; /* there is no further key */
	/* The scan's own. */
	bool position_included;
};

/* What one step reads, and a key more: values are read whole to be checked, also
 * those that were not there at that revision, or came between. */
#define KV_SCAN_BYTES_MAX (UINT64_C(16) << 20)

/*
 * Goes on until `take` says so, the range ends, or keys_max keys were looked
 * at, of which some may be none at that revision, or so many bytes were read.
 * ERR_COMPACTED: scan->at is gone by now.
 */
int kv_scan_step(
    struct kv *kv, struct kv_scan *scan, uint32_t keys_max) ATTR_MUST_CHECK;
void kv_scan_release(struct kv_scan *scan);

/* ---- Events ---- */

enum kv_event_type { KV_EVENT_PUT = 1, KV_EVENT_DELETE, KV_EVENT_EXPIRE };

struct kv_event {
	enum kv_event_type type;
	bool more; /* others of this revision follow, of the same range */
	uint64_t revision;
	struct slice key;
	struct kv_item item; /* PUT: as written */
	bool existed;        /* there was one before ... */
	struct kv_item previous;
};

/* An event's slices are valid within the call. */
typedef void (*kv_event_function)(void *context, const struct kv_event *event);

/*
 * Tells of all events of keys in `range`, with revisions above *revision and at
 * most `until` (at most the present one), in order, each revision whole, until
 * so many events were looked at or bytes told, and moves *revision to the last
 * one dealt with. One revision has one event of a key at most. ERR_COMPACTED:
 * *revision is below kv_compacted().
 */
int kv_read_events(struct kv *kv, const struct kv_range *range, uint64_t until,
    uint32_t events_max, size_t bytes_max, kv_event_function tell,
    void *context, uint64_t *revision) ATTR_MUST_CHECK;

struct kv_history {
	uint64_t compacted; /* see kv_compacted */
	uint64_t events_count;
	uint64_t bytes;          /* of them, as stored */
	uint64_t oldest_time_us; /* stamp of the first; 0: there is none */
};
int
kv_get_history(struct kv *kv, struct kv_history *ret_history) ATTR_MUST_CHECK;

/* What a command is to compact: kv_encode_compact. */
struct kv_compaction {
	uint64_t revision;
	uint32_t count; /* events that it is to delete; 0: nothing is to do */
	bool more;      /* to do than that */
	uint64_t next_time_us; /* stamp of the first that stays; 0: none does */
};

/*
 * What a leader should compact now, so that no event is older than oldest_us
 * and they have at most bytes_max; also what an earlier command left undone. At
 * most `limit` events, and not much more than 4 MiB of them.
 */
int kv_get_compaction(struct kv *kv, uint64_t oldest_us, uint64_t bytes_max,
    uint32_t limit, struct kv_compaction *ret_compaction) ATTR_MUST_CHECK;

/* ---- Leases and locks ---- */

struct kv_lease {
	uint64_t id;
	uint64_t ttl_us;
	uint64_t deadline_us; /* in cluster time */
	uint64_t keys_count;
	struct slice lock; /* whose token it is; empty: none */
};

/* ERR_NOT_FOUND. */
int kv_get_lease(
    struct kv *kv, uint64_t id, struct kv_lease *ret_lease) ATTR_MUST_CHECK;
/* The first lease with an id above `after`. ERR_NOT_FOUND: no more. */
int kv_next_lease(
    struct kv *kv, uint64_t after, struct kv_lease *ret_lease) ATTR_MUST_CHECK;
/* The first key attached to it behind `after`, which may be empty; replaces
 * what is in `ret_key`. ERR_NOT_FOUND: no more. */
int kv_next_lease_key(struct kv *kv, uint64_t id, struct slice after,
    struct buf *ret_key) ATTR_MUST_CHECK;

struct kv_lock {
	uint64_t token;
	uint64_t fence; /* revision at which it came to hold the lock */
	struct slice holder;
	uint64_t ttl_us;
	uint64_t deadline_us;   /* in cluster time */
	uint64_t waiting_count; /* behind it in the queue */
};

/* Who holds it. ERR_NOT_FOUND: it is free. */
int kv_get_lock(
    struct kv *kv, struct slice name, struct kv_lock *ret_lock) ATTR_MUST_CHECK;

/* Is there an answer kept for a command with this identity (kv_command.h), by
 * the time of the last one applied? */
int kv_has_replay(
    struct kv *kv, struct slice identity, bool *ret_known) ATTR_MUST_CHECK;

/* The earliest deadline of any key or lease. ERR_NOT_FOUND: nothing has one. */
int kv_first_deadline(struct kv *kv, uint64_t *ret_us) ATTR_MUST_CHECK;
/* When the oldest answer that is kept for replays may be dropped, which any
 * EXPIRE does in passing. ERR_NOT_FOUND: none is kept. */
int kv_first_replay(struct kv *kv, uint64_t *ret_us) ATTR_MUST_CHECK;

#endif
