#include "tests/sim/sim_query.h"

#include "common/codec.h"

/* A step of a scan looks at so many keys. */
#define KEYS_A_STEP 3

struct list {
	struct kv_scan scan;
	unsigned left;
	struct buf *to;
};

struct kv_range
sim_query_range(const struct sim_query *query)
{
	return (struct kv_range){
		.start = slice_from_text(query->start),
		.end = slice_from_text(query->end),
	};
}

void
sim_query_append(struct buf *to, struct slice key, const struct kv_item *item,
    bool lifetimes)
{
	codec_append_bytes(to, key);
	codec_append_bytes(to, item->value);
	codec_append_u64(to, item->created);
	codec_append_u64(to, item->modified);
	codec_append_u64(to, item->version);
	codec_append_u8(to, (uint8_t)item->content_type);
	if (!lifetimes)
		return;
	codec_append_u64(to, item->lease);
	codec_append_u64(to, item->deadline_us);
}

static enum kv_scan_next
take(struct kv_scan *scan, struct slice key, const struct kv_item *item)
{
	struct list *list = CONTAINER_OF(scan, struct list, scan);

	if (list->left == 0)
		return KV_SCAN_BACK;
	list->left--;
	sim_query_append(list->to, key, item, true);
	return KV_SCAN_ON;
}

/* A key that is missing appends nothing. */
static int
get_one(struct kv *kv, const struct sim_query *query, struct buf *to)
{
	struct slice key = slice_from_text(query->start);
	struct kv_item item;
	int code = query->at == 0 ? kv_get(kv, key, &item)
				  : kv_get_at(kv, key, query->at, &item);

	if (code == 0)
		sim_query_append(to, key, &item, true);
	return code == ERR_NOT_FOUND ? 0 : code;
}

int
sim_query_node(struct kv *kv, const struct sim_query *query, struct buf *to)
{
	struct list list = {
		.scan = {
			.range = sim_query_range(query),
			.at = query->at,
			.reverse = query->reverse,
			.take = take,
		},
		.left = query->limit,
		.to = to,
	};
	int code = 0;

	if (query->one)
		return get_one(kv, query, to);
	while (code == 0 && list.left > 0 && !list.scan.ended)
		code = kv_scan_step(kv, &list.scan, KEYS_A_STEP);
	kv_scan_release(&list.scan);
	return code;
}

void
sim_query_model(
    const struct kv_model *model, const struct sim_query *query, struct buf *to)
{
	uint64_t at = query->at == 0 ? UINT64_MAX : query->at;
	struct kv_range range = sim_query_range(query);
	struct kv_model_list list;

	if (query->one) {
		const struct kv_item *item =
		    kv_model_get_at(model, range.start, at);

		if (item != NULL)
			sim_query_append(to, range.start, item, true);
		return;
	}
	kv_model_list(model, &range, at, &list);
	for (size_t i = 0; i < MIN(list.count, query->limit); i++) {
		size_t place = query->reverse ? list.count - 1 - i : i;

		sim_query_append(
		    to, list.keys[place].key, &list.keys[place].item, true);
	}
	kv_model_list_release(&list);
}
