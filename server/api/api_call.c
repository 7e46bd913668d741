#include "api/api_impl.h"
#include "common/mem.h"
#include "common/panic.h"
#include <stdlib.h>

/* Spare calls kept after a rush; each has some 300 bytes and its key. */
#define SPARE_CALLS_MAX 1024
/* The largest key buffer kept with one. */
#define SPARE_KEY_SIZE_MAX 512

static struct api_call *
take_spare(struct api *api)
{
	struct api_call *call;

	if (list_empty(&api->spare))
		return mem_zalloc(1, sizeof(*call));
	call = CONTAINER_OF(api->spare.next, struct api_call, link);
	list_remove(&call->link);
	api->spare_count--;
	return call;
}

struct api_call *
api_call_new(struct api *api, struct http_request *request)
{
	struct api_call *call = take_spare(api);
	struct buf key = call->key;
	struct buf query_bytes = call->query_bytes;

	buf_reset(&key);
	buf_reset(&query_bytes);
	*call = (struct api_call){
		.api = api,
		.request = request,
		.key = key,
		.query_bytes = query_bytes,
		.way = API_IDLE,
	};
	list_init(&call->link);
	request->context = call;
	api->calls_count++;
	return call;
}

bool
api_count_call(struct api_call *call, size_t *count, size_t max)
{
	if (*count >= max)
		return false;
	call->counted = count;
	(*count)++;
	return true;
}

static bool
is_earlier(const struct api_call *a, const struct api_call *b)
{
	return a->deadline_us < b->deadline_us;
}

static void
put_at(struct api *api, size_t place, struct api_call *call)
{
	api->deadlines[place] = call;
	call->place = place;
}

static void
sift_up(struct api *api, struct api_call *call)
{
	size_t place = call->place;

	while (place > 1 && is_earlier(call, api->deadlines[place / 2])) {
		put_at(api, place, api->deadlines[place / 2]);
		place /= 2;
	}
	put_at(api, place, call);
}

static void
sift_down(struct api *api, struct api_call *call)
{
	struct api_call **heap = api->deadlines;
	size_t place = call->place;

	while (2 * place <= api->deadlines_count) {
		size_t child = 2 * place;

		if (child < api->deadlines_count &&
		    is_earlier(heap[child + 1], heap[child]))
			child++;
		if (!is_earlier(heap[child], call))
			break;
		put_at(api, place, heap[child]);
		place = child;
	}
	put_at(api, place, call);
}

static void
leave_deadlines(struct api_call *call)
{
	struct api *api = call->api;
	struct api_call *last;

	if (call->place == 0)
		return;
	last = api->deadlines[api->deadlines_count--];
	if (last != call) {
		put_at(api, call->place, last);
		sift_up(api, last);
		sift_down(api, last);
	}
	call->place = 0;
}

void
api_deadline_set(struct api_call *call, uint64_t deadline_us)
{
	struct api *api = call->api;

	leave_deadlines(call);
	if (api->deadlines_count + 1 >= api->deadlines_capacity) {
		api->deadlines_capacity = MAX(64, 2 * api->deadlines_capacity);
		api->deadlines = mem_realloc(api->deadlines,
		    api->deadlines_capacity, sizeof(*api->deadlines));
	}
	call->deadline_us = deadline_us;
	call->place = ++api->deadlines_count;
	sift_up(api, call);
}

struct api_call *
api_deadline_first(const struct api *api)
{
	return api->deadlines_count == 0 ? NULL : api->deadlines[1];
}

static void
release(struct api_call *call)
{
	buf_release(&call->key);
	buf_release(&call->query_bytes);
	free(call);
}

void
api_call_free(struct api_call *call)
{
	struct api *api = call->api;

	ASSERT(call->way == API_IDLE);
	if (call->work_free != NULL)
		call->work_free(call);
	leave_deadlines(call);
	call->request->context = NULL;
	api->calls_count--;
	if (call->counted != NULL)
		(*call->counted)--;
	if (api->spare_count == SPARE_CALLS_MAX) {
		release(call);
		return;
	}
	if (call->key.capacity > SPARE_KEY_SIZE_MAX)
		buf_release(&call->key);
	if (call->query_bytes.capacity > SPARE_KEY_SIZE_MAX)
		buf_release(&call->query_bytes);
	list_push(&api->spare, &call->link);
	api->spare_count++;
}

void
api_calls_release(struct api *api)
{
	struct list *node;
	struct list *following;

	LIST_EACH_SAFE(node, following, &api->spare) {
		release(CONTAINER_OF(node, struct api_call, link));
	}
	free(api->deadlines);
}
