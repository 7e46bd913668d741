#include "tests/torture/fnet_queue.h"

#include "common/macros.h"
#include "common/mem.h"

#include <stdlib.h>

void
fnet_queue_release(struct fnet_queue *queue)
{
	for (size_t i = 0; i < queue->count; i++)
		free(queue->arrivals[i].packet);
	free(queue->arrivals);
	*queue = (struct fnet_queue){ 0 };
}

static bool
is_before(const struct fnet_arrival *a, const struct fnet_arrival *b)
{
	return a->at_us != b->at_us ? a->at_us < b->at_us
				    : a->sequence < b->sequence;
}

void
fnet_queue_push(
    struct fnet_queue *queue, uint64_t at_us, struct fnet_packet *packet)
{
	struct fnet_arrival added = { at_us, queue->sequence++, packet };
	size_t i = queue->count++;

	if (i == queue->capacity) {
		queue->capacity = MAX(256, queue->capacity * 2);
		queue->arrivals = mem_realloc(
		    queue->arrivals, queue->capacity, sizeof(*queue->arrivals));
	}
	while (i > 0 && is_before(&added, &queue->arrivals[(i - 1) / 2])) {
		queue->arrivals[i] = queue->arrivals[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	queue->arrivals[i] = added;
}

/* Fills the hole at the top with the last one. */
static void
sink_last(struct fnet_queue *queue)
{
	struct fnet_arrival *arrivals = queue->arrivals;
	struct fnet_arrival last = arrivals[queue->count];
	size_t i = 0;
	size_t child;

	while ((child = 2 * i + 1) < queue->count) {
		if (child + 1 < queue->count &&
		    is_before(&arrivals[child + 1], &arrivals[child]))
			child++;
		if (is_before(&last, &arrivals[child]))
			break;
		arrivals[i] = arrivals[child];
		i = child;
	}
	arrivals[i] = last;
}

struct fnet_packet *
fnet_queue_pop(struct fnet_queue *queue, uint64_t now_us)
{
	struct fnet_packet *packet;

	if (fnet_queue_next_us(queue) > now_us)
		return NULL;
	packet = queue->arrivals[0].packet;
	queue->count--;
	if (queue->count > 0)
		sink_last(queue);
	return packet;
}

uint64_t
fnet_queue_next_us(const struct fnet_queue *queue)
{
	return queue->count == 0 ? UINT64_MAX : queue->arrivals[0].at_us;
}
