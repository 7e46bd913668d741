#include "api/api_event.h"
#include <inttypes.h>

static const char *const type_names[] = {
	[KV_EVENT_PUT] = "put",
	[KV_EVENT_DELETE] = "delete",
	[KV_EVENT_EXPIRE] = "expire",
};

static bool
takes_room(struct api_event_room *room, uint64_t revision, size_t size)
{
	if (room->revision != revision)
		*room = (struct api_event_room){ .revision = revision };
	if (room->used > 0 && room->used + size > API_EVENT_VALUES_MAX)
		return false;
	room->used += size;
	return true;
}

/* Without ttl: an event tells the same whenever it is told. */
static void
append_item(struct api *api, struct buf *to, const struct kv_event *event,
    const struct kv_item *item, struct api_event_room *room)
{
	bool fits = takes_room(room, event->revision, item->value.size);

	api_append_item(api, to, event->key, item,
	    API_ITEM_PAST | (fits ? API_ITEM_VALUE : 0));
	if (!fits)
		buf_append_text(to, ",\"omitted\":true");
}

void
api_event_append_members(struct api *api, struct buf *to,
    const struct kv_event *event, struct api_event_room *room)
{
	if (event->type == KV_EVENT_PUT) {
		append_item(api, to, event, &event->item, room);
		return;
	}
	api_append_bytes_member(to, "key", event->key);
	buf_printf(to, ",\"revision\":%" PRIu64, event->revision);
}

void
api_event_append_previous(struct api *api, struct buf *to,
    const struct kv_event *event, struct api_event_room *room)
{
	buf_append_text(to, ",\"prev\":");
	if (!event->existed) {
		buf_append_text(to, "null");
		return;
	}
	buf_append_text(to, "{");
	append_item(api, to, event, &event->previous, room);
	buf_append_text(to, "}");
}

/* Up to where the members follow. */
static void
begin(struct buf *to, enum api_form form, const char *type)
{
	if (form == API_FORM_SSE)
		buf_printf(to, "event: %s\n", type);
	else
		buf_printf(to, "{\"type\":\"%s\",", type);
}

static void
begin_data(struct buf *to, enum api_form form, uint64_t id)
{
	if (form != API_FORM_SSE)
		return;
	if (id != 0)
		buf_printf(to, "id: %" PRIu64 "\n", id);
	buf_append_text(to, "data: {");
}

static void
end(struct buf *to, enum api_form form)
{
	buf_append_text(to, form == API_FORM_SSE ? "}\n\n" : "}\n");
}

void
api_event_append(struct buf *to, enum api_form form, enum kv_event_type type,
    uint64_t revision, bool more, struct slice members, struct slice previous)
{
	begin(to, form, type_names[type]);
	begin_data(to, form, more ? 0 : revision);
	buf_append_slice(to, members);
	buf_append_slice(to, previous);
	if (more)
		buf_append_text(to, ",\"more\":true");
	end(to, form);
}

void
api_event_append_state(
    struct buf *to, enum api_form form, uint64_t revision, struct slice members)
{
	begin(to, form, type_names[KV_EVENT_PUT]);
	begin_data(to, form, revision);
	buf_append_slice(to, members);
	/* The last id of a block counts: this one says that there is none. */
	buf_append_text(to, form == API_FORM_SSE ? "}\nid:\n\n" : "}\n");
}

void
api_event_append_synced(struct buf *to, enum api_form form, uint64_t revision)
{
	begin(to, form, "synced");
	begin_data(to, form, revision);
	buf_printf(to, "\"revision\":%" PRIu64, revision);
	end(to, form);
}

void
api_event_append_progress(struct buf *to, enum api_form form, uint64_t revision)
{
	/* A block without data is no event for the page, but moves the id. */
	if (form == API_FORM_SSE)
		buf_printf(to, ":\nid: %" PRIu64 "\n\n", revision);
	else
		buf_printf(to,
		    "{\"type\":\"progress\",\"revision\":%" PRIu64 "}\n",
		    revision);
}

void
api_event_append_end(
    struct buf *to, enum api_form form, const char *type, uint64_t resume)
{
	begin(to, form, type);
	begin_data(to, form, resume);
	buf_printf(to, "\"resume\":%" PRIu64, resume);
	end(to, form);
}
