#ifndef API_API_HUB_H
#define API_API_HUB_H

/*
 * Who watches what, and telling them. The hub reads each event of the state
 * machine once, and only while somebody is there to hear of it, finds the
 * watchers whose keys it is about by hash, and encodes it once for each form
 * that is wanted. A watcher of keys that do not change costs nothing.
 *
 *	attach -> behind: it reads history by itself, up to api_hub_revision()
 *	       -> live:   it is told of all that comes after
 *	leave
 *
 * A watcher never sees a part of a revision: what is told of one is told within
 * one call of api_hub_step.
 */

#include "api/api_event.h"
#include "common/list.h"

struct api_hub;
struct api_hub_topic;
struct api_hub_watcher;

struct api_hub_ops {
	/*
	 * An event of a revision, encoded; `more` of the same revision follow.
	 * The text is valid within the call. May not end any watcher.
	 */
	void (*take)(struct api_hub_watcher *watcher, uint64_t revision,
	    bool more, struct slice text);
	/* Events behind this revision, which is its last, are gone, and were
	 * not told. May not end any watcher. */
	void (*lose)(struct api_hub_watcher *watcher, uint64_t revision);
	/* After takes or a loss, at the end of the step: may end it. */
	void (*settle)(struct api_hub_watcher *watcher);
};

/* Zeroed by the caller, who sets the first part before api_hub_attach. */
struct api_hub_watcher {
	const struct api_hub_ops *ops;
	enum api_form form;
	bool previous;  /* with the values of before */
	uint64_t after; /* only events above are told */
	/* The hub's own. */
	struct list link; /* among those of its topic that are live */
	struct list told; /* within a step: takes something, or has to settle */
	struct api_hub_topic *topic;
	uint32_t held; /* the event, from 1 on, that is told when it is known
	                  whether more follow; 0: none */
	bool live;
};

struct api_hub *api_hub_new(struct api *api);
/* Everybody has left. */
void api_hub_free(struct api_hub *hub);

/* What to watch; the bytes are copied. */
void api_hub_attach_key(
    struct api_hub *hub, struct api_hub_watcher *watcher, struct slice key);
void api_hub_attach_prefix(
    struct api_hub *hub, struct api_hub_watcher *watcher, struct slice prefix);
/* [start, end); an empty end is none. */
void api_hub_attach_range(struct api_hub *hub, struct api_hub_watcher *watcher,
    struct slice start, struct slice end);
/* What it watches, as long as it is attached. */
const struct kv_range *api_hub_range(const struct api_hub_watcher *watcher);

/* Up to where all events have been told to those that are live. */
uint64_t api_hub_revision(struct api_hub *hub);
/* From now on it is told of the events above `after` and the hub's revision,
 * whatever is higher. */
void api_hub_go_live(struct api_hub *hub, struct api_hub_watcher *watcher);
/* Up to where all events have been told to this one. */
uint64_t
api_hub_position(struct api_hub *hub, const struct api_hub_watcher *watcher);
/* It is told of nothing any more, until it goes live again. */
void api_hub_pause(struct api_hub *hub, struct api_hub_watcher *watcher);
/* It is forgotten. */
void api_hub_leave(struct api_hub *hub, struct api_hub_watcher *watcher);

/* Tells what is new, up to a limit: call it in each pass, and in another one at
 * once while api_hub_has_more(). */
void api_hub_step(struct api_hub *hub);
bool api_hub_has_more(struct api_hub *hub);
/* Watchers that are attached. */
size_t api_hub_count(const struct api_hub *hub);

#endif
