#include "tests/lib/kv_model.h"

#include "common/mem.h"
#include "common/panic.h"
#include <stdlib.h>

void
kv_model_init(struct kv_model *model)
{
	*model = (struct kv_model){ 0 };
}

void
kv_model_release(struct kv_model *model)
{
	free(model->state.events);
	free(model->state.leases);
	free(model->state.replays);
	free(model->result.outputs);
	for (size_t i = 0; i < model->kept_count; i++)
		free(model->kept[i]);
	free(model->kept);
}

struct slice
kv_model_keep(struct kv_model *model, struct slice bytes)
{
	model->kept = mem_realloc(
	    model->kept, model->kept_count + 1, sizeof(model->kept[0]));
	model->kept[model->kept_count] = mem_copy(bytes.data, bytes.size);
	return slice_of(model->kept[model->kept_count++], bytes.size);
}

/* ---- Keys ---- */

/* The last event of a key up to a revision. */
static struct kv_event *
last_event(
    const struct kv_model_state *state, struct slice key, uint64_t revision)
{
	for (size_t i = state->events_count; i > 0; i--) {
		struct kv_event *event = &state->events[i - 1];

		if (event->revision <= revision && slice_equal(event->key, key))
			return event;
	}
	return NULL;
}

const struct kv_item *
kv_model_get_at(
    const struct kv_model *model, struct slice key, uint64_t revision)
{
	const struct kv_event *event = last_event(&model->state, key, revision);

	return event != NULL && event->type == KV_EVENT_PUT ? &event->item
							    : NULL;
}

const struct kv_item *
kv_model_get(const struct kv_model *model, struct slice key)
{
	return kv_model_get_at(model, key, UINT64_MAX);
}

/* The one event that the present command makes of a key. */
static struct kv_event *
event_of_command(struct kv_model *model, struct slice key)
{
	struct kv_model_state *state = &model->state;
	const struct kv_item *old = kv_model_get(model, key);
	struct kv_event *event = last_event(state, key, UINT64_MAX);
	struct kv_event made = {
		.revision = model->revision,
		.existed = old != NULL,
	};

	if (event != NULL && event->revision == model->revision)
		return event;
	made.key = kv_model_keep(model, key);
	if (old != NULL)
		made.previous = *old;
	state->events =
	    mem_realloc(state->events, state->events_count + 1, sizeof(made));
	state->events[state->events_count] = made;
	return &state->events[state->events_count++];
}

const struct kv_item *
kv_model_put(
    struct kv_model *model, struct slice key, const struct kv_item *item)
{
	const struct kv_item *old = kv_model_get(model, key);
	struct kv_item made = *item;
	struct kv_event *event;

	made.value = kv_model_keep(model, item->value);
	made.modified = model->revision;
	made.created = model->revision;
	made.version = 1;
	if (old != NULL) {
		/* The second put of a command takes the place of the first. */
		made.created = old->created;
		made.version = old->version + (old->modified != made.modified);
	}
	event = event_of_command(model, key);
	event->type = KV_EVENT_PUT;
	event->item = made;
	model->changed = true;
	return &event->item;
}

void
kv_model_delete(
    struct kv_model *model, struct slice key, enum kv_event_type type)
{
	struct kv_model_state *state = &model->state;
	struct kv_event *event = event_of_command(model, key);
	size_t place = (size_t)(event - state->events);

	event->type = type;
	event->item = (struct kv_item){ 0 };
	model->changed = true;
	if (event->existed)
		return;
	/* It was not there before, and is not after. */
	state->events_count--;
	memmove(
	    event, event + 1, (state->events_count - place) * sizeof(*event));
}

void
kv_model_set_lifetime(struct kv_model *model, struct slice key, uint64_t lease,
    uint64_t deadline_us)
{
	struct kv_event *event = last_event(&model->state, key, UINT64_MAX);

	ASSERT(event != NULL);
	event->item.lease = lease;
	event->item.deadline_us = deadline_us;
}

uint64_t
kv_model_get_deadline(const struct kv_model *model, const struct kv_item *item)
{
	const struct kv_model_lease *lease;

	if (item->lease == 0)
		return item->deadline_us;
	lease = kv_model_get_lease(model, item->lease);
	ASSERT(lease != NULL);
	return lease->deadline_us;
}

/* ---- Lists ---- */

/* Where the key is in the list, or is to be. */
static size_t
place_in_list(const struct kv_model_list *list, struct slice key)
{
	size_t place = 0;

	while (place < list->count &&
	       slice_compare(list->keys[place].key, key) < 0)
		place++;
	return place;
}

static void
list_event(struct kv_model_list *list, const struct kv_event *event)
{
	size_t place = place_in_list(list, event->key);
	struct kv_model_key *at = &list->keys[place];
	bool there = place < list->count && slice_equal(at->key, event->key);

	if (event->type != KV_EVENT_PUT) {
		if (!there)
			return;
		list->count--;
		memmove(at, at + 1, (list->count - place) * sizeof(*at));
		return;
	}
	if (!there) {
		memmove(at + 1, at, (list->count - place) * sizeof(*at));
		list->count++;
	}
	*at = (struct kv_model_key){ event->key, event->item };
}

void
kv_model_list(const struct kv_model *model, const struct kv_range *range,
    uint64_t revision, struct kv_model_list *ret_list)
{
	const struct kv_model_state *state = &model->state;

	*ret_list = (struct kv_model_list){
		.keys = mem_zalloc(
		    state->events_count + 1, sizeof(struct kv_model_key)),
	};
	for (size_t i = 0; i < state->events_count; i++) {
		const struct kv_event *event = &state->events[i];

		if (event->revision > revision ||
		    slice_compare(event->key, range->start) < 0 ||
		    (range->end.size != 0 &&
			slice_compare(event->key, range->end) >= 0))
			continue;
		list_event(ret_list, event);
	}
}

void
kv_model_list_release(struct kv_model_list *list)
{
	free(list->keys);
}

/* ---- Leases and locks ---- */

struct kv_model_lease *
kv_model_find_lease(struct kv_model *model, uint64_t id)
{
	for (size_t i = 0; i < model->state.leases_count; i++) {
		if (model->state.leases[i].id == id)
			return &model->state.leases[i];
	}
	return NULL;
}

const struct kv_model_lease *
kv_model_get_lease(const struct kv_model *model, uint64_t id)
{
	for (size_t i = 0; i < model->state.leases_count; i++) {
		if (model->state.leases[i].id == id)
			return &model->state.leases[i];
	}
	return NULL;
}

struct kv_model_lease *
kv_model_add_lease(struct kv_model *model, const struct kv_model_lease *lease)
{
	struct kv_model_state *state = &model->state;

	state->leases =
	    mem_realloc(state->leases, state->leases_count + 1, sizeof(*lease));
	state->leases[state->leases_count] = *lease;
	return &state->leases[state->leases_count++];
}

void
kv_model_remove_lease(struct kv_model *model, uint64_t id)
{
	struct kv_model_state *state = &model->state;
	struct kv_model_lease *lease = kv_model_find_lease(model, id);
	size_t place = (size_t)(lease - state->leases);

	state->leases_count--;
	memmove(
	    lease, lease + 1, (state->leases_count - place) * sizeof(*lease));
}

uint64_t
kv_model_count_keys(const struct kv_model *model, uint64_t lease)
{
	struct kv_model_list list;
	uint64_t count = 0;

	kv_model_list(model, &(struct kv_range){ 0 }, UINT64_MAX, &list);
	for (size_t i = 0; i < list.count; i++)
		count += list.keys[i].item.lease == lease;
	kv_model_list_release(&list);
	return count;
}

const struct kv_model_lease *
kv_model_get_lock(const struct kv_model *model, struct slice name)
{
	for (size_t i = 0; i < model->state.leases_count; i++) {
		const struct kv_model_lease *lease = &model->state.leases[i];

		if (lease->fence != 0 && slice_equal(lease->lock, name))
			return lease;
	}
	return NULL;
}

/* ---- Deadlines ---- */

/* At one time keys are before leases, by their bytes and ids. */
static bool
ends_before(const struct kv_model_end *a, const struct kv_model_end *b)
{
	if (a->deadline_us != b->deadline_us)
		return a->deadline_us < b->deadline_us;
	if ((a->key.size == 0) != (b->key.size == 0))
		return a->key.size != 0;
	if (a->key.size != 0)
		return slice_compare(a->key, b->key) < 0;
	return a->lease < b->lease;
}

static void
take_earlier(struct kv_model_end *best, const struct kv_model_end *end)
{
	if (best->deadline_us == 0 || ends_before(end, best))
		*best = *end;
}

bool
kv_model_next_end(const struct kv_model *model, struct kv_model_end *ret_end)
{
	struct kv_model_list list;

	*ret_end = (struct kv_model_end){ 0 };
	kv_model_list(model, &(struct kv_range){ 0 }, UINT64_MAX, &list);
	for (size_t i = 0; i < list.count; i++) {
		const struct kv_model_end end = {
			.deadline_us = list.keys[i].item.deadline_us,
			.key = list.keys[i].key,
		};

		if (end.deadline_us != 0)
			take_earlier(ret_end, &end);
	}
	kv_model_list_release(&list);
	for (size_t i = 0; i < model->state.leases_count; i++) {
		const struct kv_model_lease *lease = &model->state.leases[i];
		const struct kv_model_end end = {
			.deadline_us = lease->deadline_us,
			.lease = lease->id,
		};

		take_earlier(ret_end, &end);
	}
	return ret_end->deadline_us != 0;
}
