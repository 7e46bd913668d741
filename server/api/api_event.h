#ifndef API_API_EVENT_H
#define API_API_EVENT_H

/*
 * Events as text. As lines of JSON, and inside of an answer to a long poll:
 *
 *	{"type":"put","key":"a","value":"1","revision":7,"created":7,"version":1}
 *	{"type":"delete","key":"b","revision":8,"more":true}
 *
 * or for EventSource (HTML, 9.2, server-sent events):
 *
 *	event: delete
 *	id: 8
 *	data: {"key":"b","revision":8}
 *
 * An id is where a client that lost its connection goes on; so of the events
 * of one revision only the last has it.
 */

#include "api/api_impl.h"

enum api_form { API_FORM_LINES, API_FORM_SSE, API_FORM_NONE };

/* Values of one revision that are shown, together: all below this, and what
 * comes behind is left out, with "omitted":true in their place. */
#define API_EVENT_VALUES_MAX (UINT64_C(16) << 20)

/* How many bytes of values were shown of a revision. */
struct api_event_room {
	uint64_t revision;
	uint64_t used;
};

/* What is the same in all forms: key, value, revision, ... */
void api_event_append_members(struct api *api, struct buf *to,
    const struct kv_event *event, struct api_event_room *room);
/* `,"prev":{...}`, or null if there was no such key. */
void api_event_append_previous(struct api *api, struct buf *to,
    const struct kv_event *event, struct api_event_room *room);
/* The whole event; `previous` may be empty. */
void
api_event_append(struct buf *to, enum api_form form, enum kv_event_type type,
    uint64_t revision, bool more, struct slice members, struct slice previous);
/* A key as it is, in a snapshot: a put whose id is taken back at once, as nobody
 * can go on from the middle of a snapshot. */
void api_event_append_state(struct buf *to, enum api_form form,
    uint64_t revision, struct slice members);

/* "synced", at this revision, which is an id as well. */
void
api_event_append_synced(struct buf *to, enum api_form form, uint64_t revision);
/* All up to this revision was told. */
void api_event_append_progress(
    struct buf *to, enum api_form form, uint64_t revision);
/* The last line, "overflow" or "closing": a client goes on with
 * since=RESUME. 0: with the whole of history, or a new snapshot. */
void api_event_append_end(
    struct buf *to, enum api_form form, const char *type, uint64_t resume);

#endif
