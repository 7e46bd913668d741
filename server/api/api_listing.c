#include "api/api_listing.h"
#include "common/err.h"
#include "common/mem.h"

/* What a key costs besides its bytes: the names of JSON members. */
#define ITEM_COST 64
/* A value that is not shown is read all the same, to be checked. */
#define UNSEEN_VALUE_SHARE 16

static bool
fail_size(struct api_call *call, const char *name, struct slice bytes)
{
	struct api_problem *problem;

	if (bytes.size <= KV_KEY_SIZE_MAX)
		return false;
	problem = api_problem(call->api, API_TARGET_TOO_LARGE);
	buf_printf(&problem->detail, "%s has %zu bytes, keys have at most %d",
	    name, bytes.size, KV_KEY_SIZE_MAX);
	api_problem_u64(problem, "limit", KV_KEY_SIZE_MAX);
	api_reply_problem(call, problem);
	return true;
}

static bool
fail_range(struct api_call *call)
{
	const struct api_query *query = &call->query;

	if ((query->given & API_QUERY_PREFIX) != 0 &&
	    (query->given & (API_QUERY_START | API_QUERY_END)) != 0) {
		api_fail(call, API_BAD_REQUEST,
		    "ask for prefix, or for start and end",
		    "prefix and start or end do not go together");
		return true;
	}
	return fail_size(call, "prefix", query->prefix) ||
	       fail_size(call, "start", query->start) ||
	       fail_size(call, "end", query->end) ||
	       fail_size(call, "after", query->after) ||
	       fail_size(call, "delimiter", query->delimiter);
}

static struct kv_range
range_of_prefix(struct slice prefix, struct buf *memory)
{
	buf_reset(memory);
	return kv_range_of_prefix(prefix, buf_reserve(memory, prefix.size + 1));
}

bool
api_take_range(
    struct api_call *call, struct buf *memory, struct kv_range *ret_range)
{
	const struct api_query *query = &call->query;

	if (fail_range(call))
		return false;
	if ((query->given & API_QUERY_PREFIX) != 0)
		*ret_range = range_of_prefix(query->prefix, memory);
	else
		*ret_range = (struct kv_range){
			.start = query->start,
			.end = query->end,
		};
	return true;
}

/* Of the group that the key is in; 0: it stands for itself. */
static size_t
group_size(const struct api_query *query, struct slice key)
{
	struct slice delimiter = query->delimiter;
	size_t before = query->prefix.size;
	const uint8_t *at;

	if (delimiter.size == 0 || key.size < before)
		return 0;
	at = memmem(key.data + before, key.size - before, delimiter.data,
	    delimiter.size);
	return at == NULL ? 0 : (size_t)(at - key.data) + delimiter.size;
}

static void
note_last(struct api_listing *listing, struct slice name)
{
	buf_reset(&listing->last);
	buf_append_slice(&listing->last, name);
	listing->count++;
	listing->step_count++;
}

static size_t
cost_of(const struct api_listing *listing, struct slice key,
    const struct kv_item *item)
{
	size_t value_size = item->value.size;

	if ((listing->item_flags & API_ITEM_VALUE) == 0)
		value_size /= UNSEEN_VALUE_SHARE;
	return ITEM_COST + key.size + value_size;
}

static enum kv_scan_next
take(struct kv_scan *scan, struct slice key, const struct kv_item *item)
{
	struct api_listing *listing =
	    CONTAINER_OF(scan, struct api_listing, scan);
	size_t cost = cost_of(listing, key, item);
	size_t size = group_size(&listing->call->query, key);

	if (listing->count == listing->limit) {
		listing->limited = true;
		return KV_SCAN_BACK;
	}
	if (listing->step_count > 0 &&
	    MAX(listing->step_cost + cost, listing->out.size) >
		listing->bytes_max)
		return KV_SCAN_BACK;
	listing->step_cost += cost;
	if (size > 0) {
		note_last(listing, slice_of(key.data, size));
		listing->append(listing, slice_of(key.data, size), NULL);
		scan->skip_size = size;
		return KV_SCAN_SKIP;
	}
	note_last(listing, key);
	listing->bytes += key.size + item->value.size;
	listing->append(listing, key, item);
	return KV_SCAN_ON;
}

/* A group is behind all its keys, whichever way the walk goes. */
static void
begin_behind_group(struct api_listing *listing)
{
	struct kv_scan *scan = &listing->scan;
	struct slice group = listing->call->query.after;
	struct slice end = range_of_prefix(group, &listing->start_memory).end;

	scan->range.start = end;
	scan->ended =
	    end.size == 0 || (scan->range.end.size > 0 &&
				 slice_compare(end, scan->range.end) >= 0);
}

/* Behind query.after, which need not be a key, nor in the range. */
static void
begin_behind(struct api_listing *listing)
{
	const struct api_query *query = &listing->call->query;
	struct kv_scan *scan = &listing->scan;
	struct slice after = query->after;
	bool below = slice_compare(after, scan->range.start) < 0;
	bool above = scan->range.end.size > 0 &&
		     slice_compare(after, scan->range.end) >= 0;

	if (query->reverse ? below : above)
		scan->ended = true;
	else if (!query->reverse && !below &&
		 group_size(query, after) == after.size)
		begin_behind_group(listing);
	else if (!below && !above)
		buf_append_slice(&scan->position, after);
}

bool
api_listing_begin(struct api_listing *listing)
{
	struct api_call *call = listing->call;
	const struct api_query *query = &call->query;
	struct kv_scan *scan = &listing->scan;

	listing->revision = query->at;
	if ((query->given & API_QUERY_AT) == 0)
		listing->revision = kv_revision(node_kv(call->api->node));
	if (query->limit != 0)
		listing->limit = query->limit;
	else if (listing->limit == 0)
		listing->limit = UINT64_MAX;
	scan->at = listing->revision;
	scan->reverse = query->reverse;
	scan->take = take;
	if (!api_take_range(call, &listing->end_memory, &scan->range))
		return false;
	/* Nothing was there at the begin; and 0 is no revision for a scan. */
	if (scan->at == 0 ||
	    (scan->range.end.size > 0 &&
		slice_compare(scan->range.start, scan->range.end) >= 0))
		scan->ended = true;
	else if (query->after.size > 0)
		begin_behind(listing);
	return !api_fail_at(call);
}

void
api_listing_release(struct api_listing *listing)
{
	kv_scan_release(&listing->scan);
	buf_release(&listing->out);
	buf_release(&listing->start_memory);
	buf_release(&listing->end_memory);
	buf_release(&listing->last);
}

int
api_listing_step(struct api_listing *listing, uint32_t keys_max)
{
	struct node *node = listing->call->api->node;

	listing->step_cost = 0;
	listing->step_count = 0;
	if (api_listing_done(listing))
		return 0;
	return kv_scan_step(node_kv(node), &listing->scan, keys_max);
}

bool
api_listing_done(const struct api_listing *listing)
{
	return listing->scan.ended || listing->limited;
}

/*
 * The scan's own position, as it may have gone on behind the last key told of,
 * over those that are none at that revision; but where it stands before a key,
 * that one was not told of, and nothing behind the last.
 */
struct slice
api_listing_next(const struct api_listing *listing)
{
	return buf_slice(
	    listing->scan.position_included || listing->scan.position.size == 0
		? &listing->last
		: &listing->scan.position);
}
