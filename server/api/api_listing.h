#ifndef API_API_LISTING_H
#define API_API_LISTING_H

/*
 * One bounded walk over the keys of a range, for pages, counts, plain text,
 * NDJSON and exports: they differ in what they append for each key and in where
 * it goes.
 *
 * With a delimiter, all keys that have the same bytes up to and with the first
 * delimiter behind the prefix are one group, which is told of once.
 */

#include "api/api_impl.h"

/* What one step looks at, and about how much it appends. */
#define API_STEP_KEYS_MAX  2500
#define API_STEP_BYTES_MAX (256u * 1024)
/* The same for a page, which is one step. */
#define API_PAGE_KEYS_MAX  10000
#define API_PAGE_BYTES_MAX (1024u * 1024)

struct api_listing {
	struct api_call *call;
	struct kv_scan scan;
	/* Appends a key to `out`, or a group, without an item. */
	void (*append)(struct api_listing *listing, struct slice key,
	    const struct kv_item *item);
	/* Ends the answer when all was told. */
	void (*finish)(struct api_listing *listing);
	unsigned item_flags; /* API_ITEM_... */
	size_t bytes_max;    /* of a step */
	struct buf out;
	uint64_t revision; /* that the keys are shown at */
	uint64_t limit;    /* of keys and groups, unless query.limit; 0: none */
	uint64_t count;    /* of them so far */
	uint64_t bytes;    /* of those keys and their values */
	bool limited;      /* the limit ended it, and there are more */
	bool waits;        /* a stream: for its client to take what there is */
	/* The walk's own. */
	struct buf start_memory;
	struct buf end_memory;
	struct buf last; /* key or group that was told of */
	size_t step_cost;
	size_t step_count;
};

/*
 * The keys that the query asks for: prefix, or start and end, or all; the end
 * may be made in `memory`. False: they make no sense, which is answered.
 */
bool api_take_range(
    struct api_call *call, struct buf *memory, struct kv_range *ret_range);

/*
 * Begins the walk that the query of listing->call asks for, at query.at or the
 * present revision. False: it was refused and answered. Whatever came of it,
 * api_listing_release is owed.
 */
bool api_listing_begin(struct api_listing *listing);
void api_listing_release(struct api_listing *listing);

/* Goes on. ERR_COMPACTED, or an error of kv_scan_step that ends the node. */
int api_listing_step(
    struct api_listing *listing, uint32_t keys_max) ATTR_MUST_CHECK;
/* Is all told that was asked for? */
bool api_listing_done(const struct api_listing *listing);
/* Behind what to go on another time, as query.after. */
struct slice api_listing_next(const struct api_listing *listing);

/* Streams it to the end: api_stream.c. */
void api_stream_keys(struct api_call *call);
void api_stream_lines(struct api_call *call);

#endif
