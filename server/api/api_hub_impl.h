#ifndef API_API_HUB_IMPL_H
#define API_API_HUB_IMPL_H

/* What api_hub.c and api_hub_topics.c share: the table of what is watched. */

#include "api/api_hub.h"

enum api_hub_kind { API_HUB_KEY, API_HUB_PREFIX, API_HUB_RANGE };

/* One key, prefix or range, with all who watch it. */
struct api_hub_topic {
	struct list link; /* in its bucket, or among the ranges */
	struct list live; /* watchers */
	size_t attached;  /* watchers, live or not */
	enum api_hub_kind kind;
	uint64_t hash; /* KEY, PREFIX */
	struct kv_range range;
	struct slice name; /* the key, the prefix or the range's start */
	uint8_t bytes[];   /* what the slices point to */
};

struct api_hub_topics {
	uint64_t seed;
	struct list *buckets; /* of keys and prefixes; a power of two */
	size_t buckets_count;
	size_t count; /* in buckets */
	struct list ranges;
	/* How many prefixes have this length, and which lengths there are. */
	uint32_t prefixes[KV_KEY_SIZE_MAX + 1];
	uint16_t lengths[KV_KEY_SIZE_MAX + 1];
	size_t lengths_count;
};

void api_hub_topics_init(struct api_hub_topics *topics, uint64_t seed);
void api_hub_topics_release(struct api_hub_topics *topics);
/* The one there is, or a new one. */
struct api_hub_topic *api_hub_topic_of(struct api_hub_topics *topics,
    enum api_hub_kind kind, struct slice name, struct slice end);
/* Frees it: nobody is attached. */
void api_hub_topic_remove(
    struct api_hub_topics *topics, struct api_hub_topic *topic);
/* Calls `visit` for every topic that has this key. */
void api_hub_topics_visit(const struct api_hub_topics *topics, struct slice key,
    void (*visit)(void *context, struct api_hub_topic *topic), void *context);
/* Calls it for all. */
void api_hub_topics_visit_all(const struct api_hub_topics *topics,
    void (*visit)(void *context, struct api_hub_topic *topic), void *context);

#endif
