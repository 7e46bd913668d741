#include "api/api_hub_impl.h"
#include "common/hash.h"
#include "common/mem.h"
#include "common/panic.h"
#include <stdlib.h>

#define BUCKETS_MIN 64

static struct list *
new_buckets(size_t count)
{
	struct list *buckets = mem_zalloc(count, sizeof(*buckets));

	for (size_t i = 0; i < count; i++)
		list_init(&buckets[i]);
	return buckets;
}

void
api_hub_topics_init(struct api_hub_topics *topics, uint64_t seed)
{
	*topics = (struct api_hub_topics){
		.seed = seed,
		.buckets = new_buckets(BUCKETS_MIN),
		.buckets_count = BUCKETS_MIN,
	};
	list_init(&topics->ranges);
}

void
api_hub_topics_release(struct api_hub_topics *topics)
{
	ASSERT(topics->count == 0 && list_empty(&topics->ranges));
	free(topics->buckets);
}

static uint64_t
hash_of(const struct api_hub_topics *topics, enum api_hub_kind kind,
    struct slice name)
{
	return hash64(topics->seed + kind, name);
}

static struct list *
bucket_of(const struct api_hub_topics *topics, uint64_t hash)
{
	return &topics->buckets[hash & (topics->buckets_count - 1)];
}

static void
grow(struct api_hub_topics *topics)
{
	struct list *old = topics->buckets;
	size_t old_count = topics->buckets_count;

	topics->buckets_count = 2 * old_count;
	topics->buckets = new_buckets(topics->buckets_count);
	for (size_t i = 0; i < old_count; i++) {
		while (!list_empty(&old[i])) {
			struct api_hub_topic *topic = CONTAINER_OF(
			    old[i].next, struct api_hub_topic, link);

			list_remove(&topic->link);
			list_push(bucket_of(topics, topic->hash), &topic->link);
		}
	}
	free(old);
}

static struct api_hub_topic *
find(const struct api_hub_topics *topics, enum api_hub_kind kind,
    struct slice name)
{
	uint64_t hash = hash_of(topics, kind, name);
	struct list *bucket = bucket_of(topics, hash);
	struct list *node;

	LIST_EACH(node, bucket) {
		struct api_hub_topic *topic =
		    CONTAINER_OF(node, struct api_hub_topic, link);

		if (topic->hash == hash && topic->kind == kind &&
		    slice_equal(topic->name, name))
			return topic;
	}
	return NULL;
}

static struct api_hub_topic *
find_range(
    const struct api_hub_topics *topics, struct slice start, struct slice end)
{
	struct list *node;

	LIST_EACH(node, &topics->ranges) {
		struct api_hub_topic *topic =
		    CONTAINER_OF(node, struct api_hub_topic, link);

		if (slice_equal(topic->range.start, start) &&
		    slice_equal(topic->range.end, end))
			return topic;
	}
	return NULL;
}

/* The end of a range, in the topic's memory behind the name: for one key the
 * next one there could be, which has a zero more. */
static void
set_range(struct api_hub_topic *topic, struct slice end)
{
	uint8_t *memory = topic->bytes + topic->name.size;

	switch (topic->kind) {
	case API_HUB_PREFIX:
		topic->range = kv_range_of_prefix(topic->name, memory);
		return;
	case API_HUB_KEY:
		memcpy(memory, topic->name.data, topic->name.size);
		memory[topic->name.size] = 0;
		end = slice_of(memory, topic->name.size + 1);
		break;
	case API_HUB_RANGE:
		if (end.size > 0)
			memcpy(memory, end.data, end.size);
		end = slice_of(memory, end.size);
		break;
	}
	topic->range = (struct kv_range){ .start = topic->name, .end = end };
}

static struct api_hub_topic *
new_topic(enum api_hub_kind kind, struct slice name, struct slice end)
{
	size_t size = name.size + MAX(name.size + 1, end.size);
	struct api_hub_topic *topic = mem_zalloc(1, sizeof(*topic) + size);

	topic->kind = kind;
	if (name.size > 0)
		memcpy(topic->bytes, name.data, name.size);
	topic->name = slice_of(topic->bytes, name.size);
	set_range(topic, end);
	list_init(&topic->link);
	list_init(&topic->live);
	return topic;
}

static void
count_prefix(struct api_hub_topics *topics, size_t size)
{
	if (topics->prefixes[size]++ == 0)
		topics->lengths[topics->lengths_count++] = (uint16_t)size;
}

static void
discount_prefix(struct api_hub_topics *topics, size_t size)
{
	size_t i = 0;

	if (--topics->prefixes[size] > 0)
		return;
	while (topics->lengths[i] != size)
		i++;
	topics->lengths[i] = topics->lengths[--topics->lengths_count];
}

static void
insert(struct api_hub_topics *topics, struct api_hub_topic *topic)
{
	if (topic->kind == API_HUB_RANGE) {
		list_push(&topics->ranges, &topic->link);
		return;
	}
	if (topic->kind == API_HUB_PREFIX)
		count_prefix(topics, topic->name.size);
	if (++topics->count > topics->buckets_count)
		grow(topics);
	topic->hash = hash_of(topics, topic->kind, topic->name);
	list_push(bucket_of(topics, topic->hash), &topic->link);
}

struct api_hub_topic *
api_hub_topic_of(struct api_hub_topics *topics, enum api_hub_kind kind,
    struct slice name, struct slice end)
{
	struct api_hub_topic *topic;

	ASSERT(name.size <= KV_KEY_SIZE_MAX);
	topic = kind == API_HUB_RANGE ? find_range(topics, name, end)
				      : find(topics, kind, name);
	if (topic == NULL) {
		topic = new_topic(kind, name, end);
		insert(topics, topic);
	}
	return topic;
}

void
api_hub_topic_remove(struct api_hub_topics *topics, struct api_hub_topic *topic)
{
	ASSERT(topic->attached == 0 && list_empty(&topic->live));
	list_remove(&topic->link);
	if (topic->kind != API_HUB_RANGE)
		topics->count--;
	if (topic->kind == API_HUB_PREFIX)
		discount_prefix(topics, topic->name.size);
	free(topic);
}

void
api_hub_topics_visit(const struct api_hub_topics *topics, struct slice key,
    void (*visit)(void *context, struct api_hub_topic *topic), void *context)
{
	struct api_hub_topic *topic = find(topics, API_HUB_KEY, key);
	struct list *node;

	if (topic != NULL)
		visit(context, topic);
	for (size_t i = 0; i < topics->lengths_count; i++) {
		size_t size = topics->lengths[i];

		if (size > key.size)
			continue;
		topic = find(topics, API_HUB_PREFIX, slice_of(key.data, size));
		if (topic != NULL)
			visit(context, topic);
	}
	LIST_EACH(node, &topics->ranges) {
		topic = CONTAINER_OF(node, struct api_hub_topic, link);
		if (kv_range_has(&topic->range, key))
			visit(context, topic);
	}
}

static void
visit_list(struct list *topics,
    void (*visit)(void *context, struct api_hub_topic *topic), void *context)
{
	struct list *node;

	LIST_EACH(node, topics) {
		visit(context, CONTAINER_OF(node, struct api_hub_topic, link));
	}
}

void
api_hub_topics_visit_all(const struct api_hub_topics *topics,
    void (*visit)(void *context, struct api_hub_topic *topic), void *context)
{
	for (size_t i = 0; i < topics->buckets_count; i++)
		visit_list(&topics->buckets[i], visit, context);
	for (struct list *node = topics->ranges.next; node != &topics->ranges;
	     node = node->next)
		visit(context, CONTAINER_OF(node, struct api_hub_topic, link));
}
