#include "tests/sim/sim_heap.h"

#include "common/mem.h"
#include <stdlib.h>

void
sim_heap_release(struct sim_heap *heap)
{
	free(heap->events);
	*heap = (struct sim_heap){ 0 };
}

static bool
is_before(const struct sim_event *a, const struct sim_event *b)
{
	return a->at != b->at ? a->at < b->at : a->sequence < b->sequence;
}

void
sim_heap_push(struct sim_heap *heap, const struct sim_event *event)
{
	struct sim_event added = *event;
	size_t i = heap->count;

	if (heap->count == heap->capacity) {
		heap->capacity = MAX(256, heap->capacity * 2);
		heap->events = mem_realloc(
		    heap->events, heap->capacity, sizeof(*heap->events));
	}
	added.sequence = heap->sequence++;
	heap->count++;
	while (i > 0 && is_before(&added, &heap->events[(i - 1) / 2])) {
		heap->events[i] = heap->events[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	heap->events[i] = added;
}

/* Fills the hole at the top with the last event. */
static void
sink_last(struct sim_heap *heap)
{
	struct sim_event last = heap->events[heap->count];
	size_t i = 0;
	size_t child;

	while ((child = 2 * i + 1) < heap->count) {
		if (child + 1 < heap->count &&
		    is_before(&heap->events[child + 1], &heap->events[child]))
			child++;
		if (is_before(&last, &heap->events[child]))
			break;
		heap->events[i] = heap->events[child];
		i = child;
	}
	heap->events[i] = last;
}

bool
sim_heap_pop(struct sim_heap *heap, struct sim_event *ret_event)
{
	if (heap->count == 0)
		return false;
	*ret_event = heap->events[0];
	heap->count--;
	if (heap->count > 0)
		sink_last(heap);
	return true;
}
