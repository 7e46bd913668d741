/* The state of an engine against that of the model. */

#include "common/mem.h"
#include "common/rng.h"
#include "tests/lib/kv_model.h"
#include <inttypes.h>
#include <stdlib.h>

struct compare {
	const struct kv_model *model;
	struct kv *kv;
	struct rng rng;
	struct buf *why;
	bool differs;
};

static void
note(struct compare *compare, const char *what, struct slice name)
{
	if (!compare->differs)
		buf_printf(compare->why, " (%s \"%.*s\")", what,
		    (int)MIN(name.size, 60), (const char *)name.data);
	compare->differs = true;
}

static void
expect(struct compare *compare, const char *what, uint64_t expected,
    uint64_t actual)
{
	if (expected == actual)
		return;
	buf_printf(
	    compare->why, "%" PRIu64 " instead of %" PRIu64, actual, expected);
	note(compare, what, slice_from_text(""));
}

/* One that is not compacted. */
static uint64_t
any_revision(struct compare *compare)
{
	const struct kv_model_state *state = &compare->model->state;

	return rng_between(&compare->rng, state->compacted, state->revision);
}

/* Any key that ever was. */
static struct slice
any_key(struct compare *compare)
{
	const struct kv_model_state *state = &compare->model->state;

	if (state->events_count == 0)
		return slice_from_text("none");
	return state->events[rng_below(&compare->rng, state->events_count)].key;
}

static void
draw_range(struct compare *compare, struct kv_range *range)
{
	*range = (struct kv_range){ 0 };
	if (rng_below(&compare->rng, 2) == 0)
		range->start = any_key(compare);
	if (rng_below(&compare->rng, 2) == 0)
		range->end = any_key(compare);
}

/* ---- Keys ---- */

static void
compare_key(struct compare *compare, struct slice key)
{
	const struct kv_item *expected = kv_model_get(compare->model, key);
	struct kv_item item = { 0 };
	uint64_t deadline = 0;
	int code = kv_get(compare->kv, key, &item);

	if (!kv_model_check_item(expected, code, &item, true, compare->why))
		note(compare, "key", key);
	if (code != 0 || compare->differs)
		return;
	if (kv_get_deadline(compare->kv, &item, &deadline) != 0 ||
	    deadline != kv_model_get_deadline(compare->model, expected))
		note(compare, "deadline of key", key);
}

static void
compare_past(struct compare *compare, struct slice key, uint64_t revision)
{
	const struct kv_item *expected =
	    kv_model_get_at(compare->model, key, revision);
	struct kv_item item = { 0 };
	int code = kv_get_at(compare->kv, key, revision, &item);

	if (kv_model_check_item(expected, code, &item, true, compare->why))
		return;
	buf_printf(compare->why, " at revision %" PRIu64, revision);
	note(compare, "key", key);
}

/* Every key that ever was, once. */
static void
compare_keys(struct compare *compare)
{
	const struct kv_model_state *state = &compare->model->state;
	struct kv_item item;

	for (size_t i = 0; i < state->events_count; i++) {
		struct slice key = state->events[i].key;
		bool seen = false;

		for (size_t j = i + 1; j < state->events_count && !seen; j++)
			seen = slice_equal(state->events[j].key, key);
		if (seen)
			continue;
		compare_key(compare, key);
		for (unsigned n = 0; n < 3; n++)
			compare_past(compare, key, any_revision(compare));
		compare_past(compare, key, state->compacted);
	}
	if (state->compacted > 0 &&
	    kv_get_at(compare->kv, any_key(compare), state->compacted - 1,
		&item) != ERR_COMPACTED)
		note(compare, "get before", slice_from_text("compacted"));
}

/* ---- Lists ---- */

struct scan_check {
	struct kv_scan scan;
	struct compare *compare;
	struct kv_model_list list;
	size_t taken;
	uint64_t at;
	size_t skip_size;
};

static struct slice
expected_key(const struct scan_check *check)
{
	size_t place = check->scan.reverse
			   ? check->list.count - 1 - check->taken
			   : check->taken;

	return check->list.keys[place].key;
}

static bool
begins_alike(const struct scan_check *check, struct slice a, struct slice b)
{
	size_t size = check->scan.skip_size;

	return a.size >= size && b.size >= size &&
	       memcmp(a.data, b.data, size) == 0;
}

static enum kv_scan_next
take(struct kv_scan *scan, struct slice key, const struct kv_item *item)
{
	struct scan_check *check = CONTAINER_OF(scan, struct scan_check, scan);
	struct compare *compare = check->compare;

	if (compare->differs)
		return KV_SCAN_STOP;
	if (check->taken == check->list.count ||
	    !slice_equal(key, expected_key(check)) ||
	    !kv_model_check_item(
		kv_model_get_at(compare->model, key, check->at), 0, item, true,
		compare->why)) {
		note(compare, "scanned key", key);
		return KV_SCAN_STOP;
	}
	if (rng_below(&compare->rng, 8) == 0)
		return KV_SCAN_BACK;
	check->taken++;
	if (rng_below(&compare->rng, 8) == 0)
		return KV_SCAN_STOP;
	if (rng_below(&compare->rng, 8) != 0)
		return KV_SCAN_ON;
	scan->skip_size = rng_between(&compare->rng, 1, key.size);
	while (check->taken < check->list.count &&
	       begins_alike(check, key, expected_key(check)))
		check->taken++;
	return KV_SCAN_SKIP;
}

/* A list of some range, in steps, at some revision. */
static void
compare_list(struct compare *compare)
{
	struct scan_check check = { .compare = compare };
	struct kv_scan *scan = &check.scan;
	uint64_t at = any_revision(compare);
	unsigned steps = 0;

	draw_range(compare, &scan->range);
	scan->take = take;
	scan->reverse = rng_below(&compare->rng, 2) == 0;
	scan->at = rng_below(&compare->rng, 3) == 0 ? 0 : at;
	check.at = scan->at == 0 ? UINT64_MAX : at;
	kv_model_list(compare->model, &scan->range, check.at, &check.list);
	while (!scan->ended && !compare->differs && ++steps < 10000) {
		uint32_t keys = (uint32_t)rng_between(&compare->rng, 1, 9);

		if (kv_scan_step(compare->kv, scan, keys) != 0)
			note(compare, "scan from", scan->range.start);
	}
	if (check.taken != check.list.count || !scan->ended)
		note(compare, "a scan that is too short, from",
		    scan->range.start);
	kv_scan_release(scan);
	kv_model_list_release(&check.list);
}

/* ---- Events ---- */

struct events_check {
	struct compare *compare;
	const struct kv_range *range;
	uint64_t since;
	size_t next; /* how many were told */
};

static bool
is_in_range(const struct kv_range *range, struct slice key)
{
	return slice_compare(key, range->start) >= 0 &&
	       (range->end.size == 0 || slice_compare(key, range->end) < 0);
}

/* The model's event number n of those behind `since`; NULL: there is none. */
static const struct kv_event *
event_number(const struct events_check *check, size_t n)
{
	const struct kv_model_state *state = &check->compare->model->state;

	for (size_t i = 0; i < state->events_count; i++) {
		const struct kv_event *event = &state->events[i];

		if (event->revision > check->since &&
		    is_in_range(check->range, event->key) && n-- == 0)
			return event;
	}
	return NULL;
}

static size_t
count_events(const struct kv_model *model, const struct kv_range *range,
    uint64_t after, uint64_t until)
{
	size_t count = 0;

	for (size_t i = 0; i < model->state.events_count; i++) {
		const struct kv_event *event = &model->state.events[i];

		count += event->revision > after && event->revision <= until &&
			 is_in_range(range, event->key);
	}
	return count;
}

static void
tell(void *context, const struct kv_event *event)
{
	struct events_check *check = context;
	struct compare *compare = check->compare;
	const struct kv_event *expected = event_number(check, check->next);
	const struct kv_event *next = event_number(check, ++check->next);
	bool more = expected != NULL && next != NULL &&
		    next->revision == expected->revision;
	bool same = expected != NULL && expected->type == event->type &&
		    expected->revision == event->revision &&
		    slice_equal(expected->key, event->key) &&
		    expected->existed == event->existed && more == event->more;

	if (same && event->type == KV_EVENT_PUT)
		same = kv_model_check_item(
		    &expected->item, 0, &event->item, true, compare->why);
	if (same && event->existed)
		same = kv_model_check_item(&expected->previous, 0,
		    &event->previous, true, compare->why);
	if (!same)
		note(compare, "event of", event->key);
}

/* What was told up to `revision` is all that is there, and whole. */
static void
compare_events_until(struct events_check *check, uint64_t revision)
{
	struct compare *compare = check->compare;

	expect(compare, "events",
	    count_events(compare->model, check->range, check->since, revision),
	    check->next);
}

static void
compare_events(struct compare *compare)
{
	struct kv_range range;
	struct events_check check = {
		.compare = compare,
		.range = &range,
		.since = any_revision(compare),
	};
	uint64_t until = rng_between(
	    &compare->rng, check.since, compare->model->state.revision);
	uint64_t revision = check.since;
	unsigned steps = 0;

	draw_range(compare, &range);
	while (revision < until && !compare->differs && ++steps < 10000) {
		uint64_t before = revision;

		if (kv_read_events(compare->kv, &range, until,
			(uint32_t)rng_between(&compare->rng, 1, 20),
			rng_between(&compare->rng, 1, 2000), tell, &check,
			&revision) != 0 ||
		    revision <= before || revision > until)
			note(compare, "events of", range.start);
		compare_events_until(&check, revision);
	}
	if (compare->model->state.compacted == 0 || compare->differs)
		return;
	revision = compare->model->state.compacted - 1;
	if (kv_read_events(compare->kv, &range, until, 1, 1, tell, &check,
		&revision) != ERR_COMPACTED)
		note(compare, "events before", slice_from_text("compacted"));
}

/* ---- Leases ---- */

static void
compare_lease_keys(struct compare *compare, const struct kv_lease *lease)
{
	struct kv_model_list list;
	struct buf key = { 0 };
	size_t next = 0;

	kv_model_list(
	    compare->model, &(struct kv_range){ 0 }, UINT64_MAX, &list);
	while (!compare->differs && kv_next_lease_key(compare->kv, lease->id,
					buf_slice(&key), &key) == 0) {
		while (next < list.count &&
		       list.keys[next].item.lease != lease->id)
			next++;
		if (next == list.count ||
		    !slice_equal(list.keys[next].key, buf_slice(&key)))
			note(compare, "key of a lease", buf_slice(&key));
		next++;
	}
	for (; next < list.count; next++) {
		if (list.keys[next].item.lease == lease->id)
			note(compare, "missing key of a lease",
			    list.keys[next].key);
	}
	kv_model_list_release(&list);
	buf_release(&key);
}

static void
compare_lease(struct compare *compare, const struct kv_lease *lease)
{
	const struct kv_model_lease *expected =
	    kv_model_get_lease(compare->model, lease->id);

	if (expected == NULL) {
		note(compare, "lease", slice_from_text("that is not there"));
		return;
	}
	expect(compare, "lease's ttl", expected->ttl_us, lease->ttl_us);
	expect(compare, "lease's deadline", expected->deadline_us,
	    lease->deadline_us);
	expect(compare, "lease's keys",
	    kv_model_count_keys(compare->model, lease->id), lease->keys_count);
	if (!slice_equal(expected->lock, lease->lock))
		note(compare, "lock of a lease", lease->lock);
	compare_lease_keys(compare, lease);
}

static void
compare_leases(struct compare *compare)
{
	struct kv_lease lease = { 0 };
	uint64_t count = 0;
	uint64_t after = 0;

	while (!compare->differs &&
	       kv_next_lease(compare->kv, after, &lease) == 0) {
		if (lease.id <= after)
			note(compare, "lease", slice_from_text("out of order"));
		after = lease.id;
		compare_lease(compare, &lease);
		count++;
	}
	expect(compare, "leases", compare->model->state.leases_count, count);
	if (kv_get_lease(compare->kv, UINT64_MAX, &lease) != ERR_NOT_FOUND)
		note(compare, "lease", slice_from_text("that nobody made"));
}

static void
compare_lock(struct compare *compare, struct slice name)
{
	const struct kv_model_state *state = &compare->model->state;
	const struct kv_model_lease *expected =
	    kv_model_get_lock(compare->model, name);
	struct kv_lock lock = { 0 };
	uint64_t waiting = 0;
	int code = kv_get_lock(compare->kv, name, &lock);

	if (code != (expected == NULL ? ERR_NOT_FOUND : 0)) {
		note(compare, "holder of", name);
		return;
	}
	if (expected == NULL)
		return;
	for (size_t i = 0; i < state->leases_count; i++)
		waiting += slice_equal(state->leases[i].lock, name) &&
			   state->leases[i].fence == 0;
	expect(compare, "token", expected->id, lock.token);
	expect(compare, "fence", expected->fence, lock.fence);
	expect(compare, "lock's ttl", expected->ttl_us, lock.ttl_us);
	expect(compare, "lock's deadline", expected->deadline_us,
	    lock.deadline_us);
	expect(compare, "waiting", waiting, lock.waiting_count);
	if (!slice_equal(expected->holder, lock.holder))
		note(compare, "holder's name of", name);
}

static void
compare_deadlines(struct compare *compare)
{
	struct kv_model_end end;
	uint64_t first = 0;
	bool there = kv_model_next_end(compare->model, &end);
	int code = kv_first_deadline(compare->kv, &first);

	if (code != (there ? 0 : ERR_NOT_FOUND))
		note(compare, "first deadline", slice_from_text(""));
	else if (there)
		expect(compare, "first deadline", end.deadline_us, first);
}

/* ---- All ---- */

bool
kv_model_check_state(
    const struct kv_model *model, struct kv *kv, uint64_t seed, struct buf *why)
{
	const struct kv_model_state *state = &model->state;
	struct compare compare = { .model = model, .kv = kv, .why = why };

	rng_init(&compare.rng, seed);
	expect(&compare, "revision", state->revision, kv_revision(kv));
	expect(&compare, "compacted", state->compacted, kv_compacted(kv));
	expect(&compare, "cluster time", state->cluster_time_us,
	    kv_cluster_time_us(kv));
	if (!compare.differs)
		compare_keys(&compare);
	for (unsigned i = 0; i < 6 && !compare.differs; i++)
		compare_list(&compare);
	for (unsigned i = 0; i < 6 && !compare.differs; i++)
		compare_events(&compare);
	if (!compare.differs)
		compare_leases(&compare);
	for (size_t i = 0; i < state->leases_count && !compare.differs; i++) {
		if (state->leases[i].lock.size != 0)
			compare_lock(&compare, state->leases[i].lock);
	}
	if (!compare.differs)
		compare_deadlines(&compare);
	return !compare.differs;
}
