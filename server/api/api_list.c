#include "api/api_listing.h"
#include "common/base64.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/text.h"
#include "net/http_uri.h"
#include <inttypes.h>
#include <stdlib.h>

/* GET /kv: a page of keys, how many there are, or all of them in a stream. */

#define LIMIT_DEFAULT 100
#define LIMIT_MAX     1000

/* ---- Pages ---- */

struct page {
	struct api_listing listing;
	/* Members of the arrays of groups; those that are not UTF-8 apart. */
	struct buf prefixes;
	struct buf prefixes_base64;
};

static void
append_group(struct page *page, struct slice group)
{
	bool is_text = text_is_utf8(group);
	struct buf *to = is_text ? &page->prefixes : &page->prefixes_base64;

	if (to->size > 0)
		buf_append_text(to, ",");
	if (is_text) {
		text_append_json_string(to, group);
		return;
	}
	buf_append_text(to, "\"");
	base64_encode(to, group);
	buf_append_text(to, "\"");
}

static void
append_item(
    struct api_listing *listing, struct slice key, const struct kv_item *item)
{
	struct buf *out = &listing->out;

	buf_append_text(out, out->size == 0 ? "{" : ",{");
	if (listing->call->query.keys)
		api_append_bytes_member(out, "key", key);
	else
		api_append_item(
		    listing->call->api, out, key, item, listing->item_flags);
	buf_append_text(out, "}");
}

static void
append_to_page(
    struct api_listing *listing, struct slice key, const struct kv_item *item)
{
	if (item == NULL)
		append_group(CONTAINER_OF(listing, struct page, listing), key);
	else
		append_item(listing, key, item);
}

static struct slice
page_body(struct page *page, bool more)
{
	const struct api_listing *listing = &page->listing;
	struct buf *body = api_body(listing->call->api);

	buf_printf(
	    body, "{\"revision\":%" PRIu64 ",\"items\":[", listing->revision);
	buf_append_slice(body, buf_slice(&listing->out));
	buf_append_text(body, "]");
	if (listing->call->query.delimiter.size > 0) {
		buf_append_text(body, ",\"prefixes\":[");
		buf_append_slice(body, buf_slice(&page->prefixes));
		buf_append_text(body, "]");
	}
	if (page->prefixes_base64.size > 0) {
		buf_append_text(body, ",\"prefixes_base64\":[");
		buf_append_slice(body, buf_slice(&page->prefixes_base64));
		buf_append_text(body, "]");
	}
	if (more) {
		buf_append_text(body, ",");
		api_append_bytes_member(
		    body, "next", api_listing_next(listing));
	}
	buf_printf(body, ",\"more\":%s}\n", more ? "true" : "false");
	return buf_slice(body);
}

/* A parameter as it was sent, encoded anew so that it fits into <...>; but not
 * the position of this page. */
static void
append_parameter(struct buf *to, struct http_query_parameter sent)
{
	struct buf name = { 0 };
	struct buf value = { 0 };

	if (http_query_decode(sent.name, &name) == 0 &&
	    http_query_decode(sent.value, &value) == 0 &&
	    !slice_equal(buf_slice(&name), slice_from_text("after"))) {
		http_percent_encode(buf_slice(&name), to);
		buf_append_text(to, "=");
		http_percent_encode(buf_slice(&value), to);
		buf_append_text(to, "&");
	}
	buf_release(&name);
	buf_release(&value);
}

/* RFC 8288: the same request for what comes behind this page. */
static void
add_link(struct api_call *call, struct slice next)
{
	struct slice rest = call->request->query;
	struct http_query_parameter sent;
	struct buf *link = &call->api->scratch;

	buf_reset(link);
	buf_append_text(link, "</kv?");
	while (http_query_next(&rest, &sent))
		append_parameter(link, sent);
	buf_append_text(link, "after=");
	http_percent_encode(next, link);
	buf_append_text(link, ">; rel=\"next\"");
	http_reply_header(call->request, "Link", buf_slice(link));
}

static void
reply_page(struct page *page)
{
	struct api_listing *listing = &page->listing;
	struct api_call *call = listing->call;
	bool more = !api_listing_done(listing) || listing->limited;
	struct slice body = page_body(page, more);

	api_reply_begin(call, 200);
	http_reply_header(
	    call->request, "Content-Type", slice_from_text("application/json"));
	http_reply_header(call->request, "Vary", slice_from_text("Accept"));
	if (more)
		add_link(call, api_listing_next(listing));
	api_reply_end(call, body);
}

static void
serve_page(struct api_call *call)
{
	struct page page = {
		.listing = {
		    .call = call,
		    .append = append_to_page,
		    .item_flags = call->query.keys ? 0 : API_ITEM_VALUE,
		    .bytes_max = API_PAGE_BYTES_MAX,
		    .limit = LIMIT_DEFAULT,
		},
	};
	int rc;

	if ((call->query.given & API_QUERY_AT) != 0)
		page.listing.item_flags |= API_ITEM_PAST;
	if (api_listing_begin(&page.listing)) {
		/* All in one step: no need to look into the past. */
		if ((call->query.given & API_QUERY_AT) == 0)
			page.listing.scan.at = 0;
		rc = api_listing_step(&page.listing, API_PAGE_KEYS_MAX);
		if (rc == 0)
			reply_page(&page);
		else
			api_fail_damaged(call, rc, "reading a list of keys");
	}
	api_listing_release(&page.listing);
	buf_release(&page.prefixes);
	buf_release(&page.prefixes_base64);
}

/* ---- Counts ---- */

static void
append_nothing(
    struct api_listing *listing, struct slice key, const struct kv_item *item)
{
	(void)listing;
	(void)key;
	(void)item;
}

static void
free_count(struct api_call *call)
{
	api_listing_release(call->work);
	free(call->work);
}

static void
reply_count(struct api_listing *listing)
{
	struct buf *body = api_body(listing->call->api);

	buf_printf(body,
	    "{\"count\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"revision\":%" PRIu64
	    "}\n",
	    listing->count, listing->bytes, listing->revision);
	api_reply_text(listing->call, 200, "application/json", buf_slice(body));
}

static void
step_count(struct api_call *call)
{
	struct api_listing *listing = call->work;
	int rc = api_listing_step(listing, API_STEP_KEYS_MAX);

	if (rc == ERR_COMPACTED) {
		struct api_problem *problem = api_problem_compacted(call->api);

		buf_append_text(&problem->hint,
		    "while it was counted: repeat it, or raise "
		    "history.max-age and history.max-size");
		api_reply_problem(call, problem);
	} else if (rc != 0) {
		api_fail_damaged(call, rc, "counting keys");
	} else if (api_listing_done(listing)) {
		reply_count(listing);
	} else {
		api_step(call);
	}
}

static void
serve_count(struct api_call *call)
{
	struct api_listing *listing = mem_zalloc(1, sizeof(*listing));

	*listing = (struct api_listing){
		.call = call,
		.append = append_nothing,
		.item_flags = API_ITEM_VALUE, /* it costs what it has */
		.bytes_max = API_PAGE_BYTES_MAX,
	};
	call->work = listing;
	call->work_free = free_count;
	/* It lasts as long as there are keys. */
	api_deadline_set(call, RAFT_NEVER);
	if (api_listing_begin(listing))
		step_count(call);
}

/* ---- Which of them ---- */

static bool
fail_limit(struct api_call *call)
{
	struct api_problem *problem;

	if (call->query.limit <= LIMIT_MAX)
		return false;
	problem = api_problem(call->api, API_BAD_REQUEST);
	buf_printf(&problem->detail, "a page has at most %d keys", LIMIT_MAX);
	buf_append_text(&problem->hint,
	    "go on with after=, or take them all in one stream: Accept: "
	    "application/x-ndjson");
	api_problem_u64(problem, "limit", LIMIT_MAX);
	api_reply_problem(call, problem);
	return true;
}

static bool
fail_count(struct api_call *call)
{
	if ((call->query.given & (API_QUERY_LIMIT | API_QUERY_REVERSE |
				     API_QUERY_KEYS | API_QUERY_DELIMITER)) ==
	    0)
		return false;
	api_fail(call, API_BAD_REQUEST,
	    "leave out limit, reverse, keys and delimiter",
	    "count goes with prefix or start and end, after and at only");
	return true;
}

void
api_list_get(struct api_call *call)
{
	static const struct api_operation page = {
		.serve = serve_page,
		.waited = api_read_waited,
	};
	static const struct api_operation count = {
		.serve = serve_count,
		.waited = api_read_waited,
		.step = step_count,
	};

	if (call->query.count) {
		if (fail_count(call))
			return;
		api_read(call, &count);
	} else if (api_header_lists(
		       call->request, "Accept", "application/x-ndjson")) {
		api_stream_lines(call);
	} else if (api_wants_text(call)) {
		api_stream_keys(call);
	} else if (!fail_limit(call)) {
		api_read(call, &page);
	}
}
