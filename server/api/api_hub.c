#include "api/api_hub.h"
#include "api/api_hub_impl.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/panic.h"
#include <stdlib.h>

/* Of one step: as many as a turn usually applies at most. */
#define STEP_EVENTS_MAX 10000
#define STEP_BYTES_MAX  (4u << 20)
/* Memory kept from revision to revision. */
#define TEXTS_KEPT_MAX (1u << 20)

/* A part of hub->texts; size 0: not made yet. */
struct part {
	size_t start;
	size_t size;
};

/* An event of the revision that is being told. */
struct event {
	enum kv_event_type type;
	struct part members;
	struct part previous;
	struct part texts[API_FORM_NONE][2][2]; /* [form][previous][more] */
};

/*
 * Whether more of a revision follow for a watcher is known when the next event
 * that it is told of comes, or the revision ends. So the last one is held back,
 * and texts stay until the end of the revision.
 */
struct api_hub {
	struct api *api;
	struct api_hub_topics topics;
	uint64_t revision; /* told to all that are live */
	size_t count;      /* watchers attached ... */
	size_t live_count; /* ... and live */
	bool failed;       /* the node stops */

	/* The revision being told. */
	struct buf texts;
	struct event *events;
	size_t events_count;
	size_t events_capacity;
	struct api_event_room room;
	const struct kv_event *event; /* the present one ... */
	uint32_t place;      /* ... and where it is, from 1 on; 0: not noted */
	struct list holding; /* watchers with an event held back */
	struct list telling; /* those told in this step, to settle */
};

struct api_hub *
api_hub_new(struct api *api)
{
	struct api_hub *hub = mem_zalloc(1, sizeof(*hub));

	hub->api = api;
	api_hub_topics_init(&hub->topics, api->started_wall_us);
	list_init(&hub->holding);
	list_init(&hub->telling);
	return hub;
}

void
api_hub_free(struct api_hub *hub)
{
	ASSERT(hub->count == 0);
	api_hub_topics_release(&hub->topics);
	buf_release(&hub->texts);
	free(hub->events);
	free(hub);
}

/* ---- Coming and going ---- */

static void
attach(struct api_hub *hub, struct api_hub_watcher *watcher,
    struct api_hub_topic *topic)
{
	list_init(&watcher->link);
	list_init(&watcher->told);
	watcher->topic = topic;
	topic->attached++;
	hub->count++;
}

void
api_hub_attach_key(
    struct api_hub *hub, struct api_hub_watcher *watcher, struct slice key)
{
	attach(hub, watcher,
	    api_hub_topic_of(
		&hub->topics, API_HUB_KEY, key, slice_of(NULL, 0)));
}

void
api_hub_attach_prefix(
    struct api_hub *hub, struct api_hub_watcher *watcher, struct slice prefix)
{
	attach(hub, watcher,
	    api_hub_topic_of(
		&hub->topics, API_HUB_PREFIX, prefix, slice_of(NULL, 0)));
}

void
api_hub_attach_range(struct api_hub *hub, struct api_hub_watcher *watcher,
    struct slice start, struct slice end)
{
	attach(hub, watcher,
	    api_hub_topic_of(&hub->topics, API_HUB_RANGE, start, end));
}

const struct kv_range *
api_hub_range(const struct api_hub_watcher *watcher)
{
	return &watcher->topic->range;
}

uint64_t
api_hub_revision(struct api_hub *hub)
{
	/* There is nobody whom what comes before had to be told. */
	if (hub->live_count == 0)
		hub->revision =
		    MAX(hub->revision, kv_revision(node_kv(hub->api->node)));
	return hub->revision;
}

uint64_t
api_hub_position(struct api_hub *hub, const struct api_hub_watcher *watcher)
{
	return watcher->live ? MAX(watcher->after, hub->revision)
			     : watcher->after;
}

void
api_hub_go_live(struct api_hub *hub, struct api_hub_watcher *watcher)
{
	ASSERT(!watcher->live && watcher->after >= api_hub_revision(hub));
	list_push(&watcher->topic->live, &watcher->link);
	watcher->live = true;
	hub->live_count++;
}

void
api_hub_pause(struct api_hub *hub, struct api_hub_watcher *watcher)
{
	list_remove(&watcher->told);
	list_remove(&watcher->link);
	watcher->held = 0;
	if (!watcher->live)
		return;
	watcher->after = api_hub_position(hub, watcher);
	watcher->live = false;
	hub->live_count--;
}

void
api_hub_leave(struct api_hub *hub, struct api_hub_watcher *watcher)
{
	struct api_hub_topic *topic = watcher->topic;

	api_hub_pause(hub, watcher);
	watcher->topic = NULL;
	hub->count--;
	if (--topic->attached == 0)
		api_hub_topic_remove(&hub->topics, topic);
}

size_t
api_hub_count(const struct api_hub *hub)
{
	return hub->count;
}

/* ---- Texts ---- */

static struct slice
slice_of_part(const struct api_hub *hub, struct part part)
{
	return slice_of(hub->texts.data + part.start, part.size);
}

static struct part
part_from(const struct api_hub *hub, size_t start)
{
	return (struct part){ start, hub->texts.size - start };
}

static struct event *
note_event(struct api_hub *hub)
{
	if (hub->place != 0)
		return &hub->events[hub->place - 1];
	if (hub->events_count == hub->events_capacity) {
		hub->events_capacity = MAX(16, 2 * hub->events_capacity);
		hub->events = mem_realloc(
		    hub->events, hub->events_capacity, sizeof(*hub->events));
	}
	hub->events[hub->events_count] =
	    (struct event){ .type = hub->event->type };
	hub->place = (uint32_t)++hub->events_count;
	return &hub->events[hub->place - 1];
}

/* What can only be made while the event is there. */
static void
prepare(struct api_hub *hub, const struct api_hub_watcher *watcher)
{
	struct event *event = note_event(hub);
	size_t start = hub->texts.size;

	if (watcher->form == API_FORM_NONE)
		return;
	if (event->members.size == 0) {
		api_event_append_members(
		    hub->api, &hub->texts, hub->event, &hub->room);
		event->members = part_from(hub, start);
	}
	start = hub->texts.size;
	if (watcher->previous && event->previous.size == 0) {
		api_event_append_previous(
		    hub->api, &hub->texts, hub->event, &hub->room);
		event->previous = part_from(hub, start);
	}
}

static struct slice
text_of(struct api_hub *hub, struct event *event,
    const struct api_hub_watcher *watcher, bool more)
{
	struct slice nothing = slice_of(NULL, 0);
	struct part *part;
	size_t size;

	if (watcher->form == API_FORM_NONE)
		return nothing;
	part = &event->texts[watcher->form][watcher->previous][more];
	if (part->size > 0)
		return slice_of_part(hub, *part);
	/* So that the parts it is made of do not move meanwhile. */
	size = event->members.size + event->previous.size + 256;
	(void)buf_reserve(&hub->texts, size);
	part->start = hub->texts.size;
	api_event_append(&hub->texts, watcher->form, event->type,
	    hub->room.revision, more, slice_of_part(hub, event->members),
	    watcher->previous ? slice_of_part(hub, event->previous) : nothing);
	*part = part_from(hub, part->start);
	return slice_of_part(hub, *part);
}

static void
forget_revision(struct api_hub *hub)
{
	hub->events_count = 0;
	if (hub->texts.capacity > TEXTS_KEPT_MAX)
		buf_release(&hub->texts);
	buf_reset(&hub->texts);
}

/* ---- Telling ---- */

static void
tell_held(struct api_hub *hub, struct api_hub_watcher *watcher, bool more)
{
	struct event *event = &hub->events[watcher->held - 1];

	watcher->ops->take(watcher, hub->room.revision, more,
	    text_of(hub, event, watcher, more));
}

static void
hold(struct api_hub *hub, struct api_hub_watcher *watcher)
{
	prepare(hub, watcher);
	if (watcher->held != 0) {
		tell_held(hub, watcher, true);
	} else {
		list_remove(&watcher->told);
		list_push(&hub->holding, &watcher->told);
	}
	watcher->held = hub->place;
}

static void
tell_topic(void *context, struct api_hub_topic *topic)
{
	struct api_hub *hub = context;
	struct list *node;

	LIST_EACH(node, &topic->live) {
		struct api_hub_watcher *watcher =
		    CONTAINER_OF(node, struct api_hub_watcher, link);

		if (hub->event->revision > watcher->after)
			hold(hub, watcher);
	}
}

static void
end_revision(struct api_hub *hub)
{
	while (!list_empty(&hub->holding)) {
		struct api_hub_watcher *watcher = CONTAINER_OF(
		    hub->holding.next, struct api_hub_watcher, told);

		tell_held(hub, watcher, false);
		watcher->held = 0;
		list_remove(&watcher->told);
		list_push(&hub->telling, &watcher->told);
	}
	forget_revision(hub);
}

static void
on_event(void *context, const struct kv_event *event)
{
	struct api_hub *hub = context;

	hub->event = event;
	hub->place = 0;
	if (hub->room.revision != event->revision)
		hub->room =
		    (struct api_event_room){ .revision = event->revision };
	api_hub_topics_visit(&hub->topics, event->key, tell_topic, hub);
	if (!event->more)
		end_revision(hub);
}

static void
settle(struct api_hub *hub)
{
	while (!list_empty(&hub->telling)) {
		struct api_hub_watcher *watcher = CONTAINER_OF(
		    hub->telling.next, struct api_hub_watcher, told);

		list_remove(&watcher->told);
		watcher->ops->settle(watcher);
	}
}

/* One that waits for a revision to come may have lost nothing. */
static void
lose_topic(void *context, struct api_hub_topic *topic)
{
	struct api_hub *hub = context;
	uint64_t compacted = kv_compacted(node_kv(hub->api->node));
	struct list *node;

	LIST_EACH(node, &topic->live) {
		struct api_hub_watcher *watcher =
		    CONTAINER_OF(node, struct api_hub_watcher, link);
		uint64_t position = api_hub_position(hub, watcher);

		if (position >= compacted)
			continue;
		watcher->ops->lose(watcher, position);
		list_remove(&watcher->told);
		list_push(&hub->telling, &watcher->told);
	}
}

/* The state of another node was installed, with a shorter history. */
static void
lose_history(struct api_hub *hub)
{
	api_hub_topics_visit_all(&hub->topics, lose_topic, hub);
	hub->revision = kv_compacted(node_kv(hub->api->node));
}

bool
api_hub_has_more(struct api_hub *hub)
{
	return !hub->failed &&
	       kv_revision(node_kv(hub->api->node)) > api_hub_revision(hub);
}

void
api_hub_step(struct api_hub *hub)
{
	static const struct kv_range all = { { NULL, 0 }, { NULL, 0 } };
	struct node *node = hub->api->node;
	int rc;

	if (!api_hub_has_more(hub))
		return;
	rc = kv_read_events(node_kv(node), &all, kv_revision(node_kv(node)),
	    STEP_EVENTS_MAX, STEP_BYTES_MAX, on_event, hub, &hub->revision);
	if (rc == ERR_COMPACTED) {
		lose_history(hub);
	} else if (rc != 0) {
		hub->failed = true;
		node_fail(node, rc, "reading history");
	}
	settle(hub);
}
