#include "tests/sim/sim_watcher.h"

#include "common/codec.h"
#include "common/mem.h"
#include <inttypes.h>
#include <stdlib.h>

/* A batch ends after about so much. */
#define EVENTS_MAX 20
#define BYTES_MAX  3000
#define LIST_MAX   1000

static struct rng *
rng_of(struct sim *sim)
{
	return &sim->rng[SIM_RNG_WATCHER];
}

static uint64_t
name_of(const struct sim *sim, unsigned number)
{
	return number | sim->watchers->watchers[number].epoch << 8;
}

/* NULL: what is named is not there any more. */
static struct sim_watcher *
find(const struct sim *sim, uint64_t name)
{
	struct sim_watcher *watcher = &sim->watchers->watchers[name & 0xff];

	return watcher->epoch == name >> 8 ? watcher : NULL;
}

static bool
is_ending(const struct sim *sim)
{
	return sim->phase != SIM_FAULTS;
}

void
sim_watchers_init(struct sim *sim)
{
	static const struct sim_query ranges[] = {
		{ .start = "" },
		{ .start = "t/", .end = "t0" },
		{ .start = "key-", .end = "key." },
		{ .start = "n/", .end = "q0" },
	};

	sim->watchers = mem_zalloc(1, sizeof(*sim->watchers));
	for (unsigned i = 0; i < sim->config.watchers_count; i++) {
		struct sim_watcher *watcher = &sim->watchers->watchers[i];

		watcher->range =
		    ranges[rng_below(rng_of(sim), ARRAY_COUNT(ranges))];
		watcher->slow = rng_below(rng_of(sim), 3) == 0;
		sim_schedule(sim, sim->config.raft.election_timeout,
		    SIM_EVENT_WATCHER, 0, name_of(sim, i), NULL);
	}
}

void
sim_watchers_release(struct sim *sim)
{
	for (size_t i = 0; i < sim->watchers->batches_count; i++) {
		buf_release(&sim->watchers->batches[i]->bytes);
		free(sim->watchers->batches[i]);
	}
	free(sim->watchers->batches);
	free(sim->watchers);
}

bool
sim_watchers_are_at(const struct sim *sim, uint64_t revision)
{
	for (unsigned i = 0; i < sim->config.watchers_count; i++) {
		const struct sim_watcher *watcher = &sim->watchers->watchers[i];

		if (watcher->since < revision || watcher->lists)
			return false;
	}
	return true;
}

/* ---- Connections ---- */

static raft_usec
short_while(struct sim *sim)
{
	return sim_exponential(rng_of(sim), sim->config.client_delay_mean);
}

static raft_usec
long_while(struct sim *sim, unsigned timeouts)
{
	return rng_below(
	    rng_of(sim), timeouts * sim->config.raft.election_timeout);
}

/* It looks for another node in a while, unless it does so before. */
static void
plan_connect(struct sim *sim, unsigned number, raft_usec after)
{
	sim_schedule(sim, sim->now + after, SIM_EVENT_WATCHER, 0,
	    name_of(sim, number), NULL);
}

static void
ask(struct sim *sim, unsigned number, raft_usec after)
{
	sim_schedule(sim, sim->now + after, SIM_EVENT_WATCH,
	    sim->watchers->watchers[number].node, name_of(sim, number), NULL);
}

void
sim_watcher_connect(struct sim *sim, const struct sim_event *event)
{
	struct sim_watcher *watcher = find(sim, event->number);
	unsigned number = (unsigned)(event->number & 0xff);

	if (watcher == NULL)
		return;
	watcher->epoch++;
	watcher->asking = false;
	watcher->node = rng_between(rng_of(sim), 1, sim->config.hosts_count);
	ask(sim, number, short_while(sim));
	plan_connect(sim, number,
	    sim->config.raft.election_timeout +
		long_while(sim, is_ending(sim) ? 4 : 40));
}

void
sim_watcher_arrive(struct sim *sim, const struct sim_event *event)
{
	struct sim_node *node = sim_node_get(sim, event->node);
	unsigned number = (unsigned)(event->number & 0xff);

	if (find(sim, event->number) == NULL)
		return;
	if (node->node != NULL) {
		sim_node_post(sim, event);
		return;
	}
	sim->watchers->watchers[number].epoch++;
	plan_connect(sim, number, long_while(sim, 2));
}

void
sim_watcher_receive(
    struct sim *sim, struct sim_node *node, const struct sim_event *event)
{
	struct sim_watcher *watcher = find(sim, event->number);

	if (watcher != NULL && watcher->node == node->id)
		watcher->asking = true;
}

void
sim_watchers_node_died(struct sim *sim, const struct sim_node *node)
{
	for (unsigned i = 0; i < sim->config.watchers_count; i++) {
		struct sim_watcher *watcher = &sim->watchers->watchers[i];

		if (watcher->node != node->id)
			continue;
		/* What is on its way to the client is cut off. */
		watcher->node = 0;
		watcher->epoch++;
		plan_connect(sim, i, long_while(sim, 2));
	}
}

/* ---- At the node ---- */

static void
append_event(struct buf *to, const struct kv_event *event)
{
	codec_append_u8(to, (uint8_t)event->type);
	codec_append_u8(to, event->more);
	codec_append_u64(to, event->revision);
	sim_query_append(to, event->key, &event->item, false);
	codec_append_u8(to, event->existed);
	if (event->existed)
		sim_query_append(to, event->key, &event->previous, false);
}

static void
tell(void *context, const struct kv_event *event)
{
	struct sim_batch *batch = context;

	append_event(&batch->bytes, event);
	batch->count++;
}

static struct sim_batch *
batch_new(struct sim *sim, const struct sim_node *node, unsigned number)
{
	struct sim_watchers *watchers = sim->watchers;
	const struct sim_watcher *watcher = &watchers->watchers[number];
	struct sim_batch *batch = mem_zalloc(1, sizeof(*batch));

	if (watchers->batches_count == watchers->batches_capacity) {
		watchers->batches_capacity =
		    MAX(64, watchers->batches_capacity * 2);
		watchers->batches = mem_realloc(watchers->batches,
		    watchers->batches_capacity, sizeof(struct sim_batch *));
	}
	watchers->batches[watchers->batches_count++] = batch;
	batch->watcher = number;
	batch->epoch = watcher->epoch;
	batch->node = node->id;
	batch->index = kv_applied_index(node_kv(node->node));
	batch->since = watcher->since;
	batch->until = watcher->since;
	return batch;
}

/* The newest one is not sent. */
static void
batch_drop(struct sim_watchers *watchers)
{
	struct sim_batch *batch = watchers->batches[--watchers->batches_count];

	buf_release(&batch->bytes);
	free(batch);
}

/* What is there to tell; an error of the disk, or 0. */
static int
fill(struct kv *kv, const struct sim_watcher *watcher, struct sim_batch *batch)
{
	const struct kv_range range = sim_query_range(&watcher->range);
	struct sim_query query = watcher->range;
	int code;

	query.limit = LIST_MAX;
	if (watcher->lists) {
		batch->kind = SIM_BATCH_LIST;
		batch->until = kv_revision(kv);
		return sim_query_node(kv, &query, &batch->bytes);
	}
	code = kv_read_events(kv, &range, kv_revision(kv), EVENTS_MAX,
	    BYTES_MAX, tell, batch, &batch->until);
	if (code != ERR_COMPACTED)
		return code;
	batch->kind = SIM_BATCH_COMPACTED;
	return 0;
}

/* That nothing happened is told now and then, as where to go on from. */
static bool
is_worth_telling(struct sim *sim, const struct sim_batch *batch)
{
	return batch->kind != SIM_BATCH_EVENTS || batch->count > 0 ||
	       is_ending(sim) || rng_below(rng_of(sim), 8) == 0;
}

static void
serve(struct sim *sim, struct sim_node *node, unsigned number)
{
	struct sim_watcher *watcher = &sim->watchers->watchers[number];
	struct kv *kv = node_kv(node->node);
	struct sim_batch *batch;
	int error;

	if (!watcher->lists && kv_revision(kv) <= watcher->since)
		return;
	/* It may be older than what the watcher has seen. */
	if (watcher->lists && kv_revision(kv) < watcher->since)
		return;
	batch = batch_new(sim, node, number);
	error = fill(kv, watcher, batch);
	if (error != 0) {
		batch_drop(sim->watchers);
		node_fail(node->node, error, "watch");
		node->told = true;
		return;
	}
	if (!is_worth_telling(sim, batch)) {
		batch_drop(sim->watchers);
		return;
	}
	watcher->asking = false;
	sim_schedule(sim, node->turn_at + short_while(sim), SIM_EVENT_TOLD, 0,
	    name_of(sim, number), batch);
}

void
sim_watchers_turn(struct sim *sim, struct sim_node *node)
{
	/* Nobody can know yet that it is wrong. */
	if (node->false_state != 0 || node->state != NODE_MEMBER)
		return;
	for (unsigned i = 0; i < sim->config.watchers_count; i++) {
		const struct sim_watcher *watcher = &sim->watchers->watchers[i];

		if (watcher->node == node->id && watcher->asking && !node->told)
			serve(sim, node, i);
	}
}

/* ---- At the client ---- */

static void
count_batch(struct sim *sim, const struct sim_watcher *watcher,
    const struct sim_batch *batch)
{
	struct sim_counters *counters = &sim->counters;

	switch (batch->kind) {
	case SIM_BATCH_EVENTS:
		counters->watch_batches++;
		counters->watch_events += batch->count;
		counters->watch_progress += batch->count == 0;
		counters->watch_resumes +=
		    watcher->told_by != 0 && watcher->told_by != batch->node;
		break;
	case SIM_BATCH_LIST: counters->watch_lists++; break;
	case SIM_BATCH_COMPACTED: counters->watches_compacted++; break;
	case SIM_BATCH_KINDS_COUNT: break;
	}
}

void
sim_watcher_told(struct sim *sim, const struct sim_event *event)
{
	struct sim_watcher *watcher = find(sim, event->number);
	struct sim_batch *batch = event->object;
	unsigned number = (unsigned)(event->number & 0xff);

	if (watcher == NULL)
		return;
	batch->received = true;
	sim_trace(sim, batch->node,
	    "watcher %u: kind %u, %zu events since %" PRIu64 " until %" PRIu64,
	    number, batch->kind, batch->count, batch->since, batch->until);
	sim_mix(sim, batch->until);
	if (batch->since != watcher->since)
		sim_fail(sim,
		    "watcher %u is at %" PRIu64 " and told since %" PRIu64,
		    number, watcher->since, batch->since);
	count_batch(sim, watcher, batch);
	watcher->told_by = batch->node;
	watcher->since = batch->until;
	watcher->lists = batch->kind == SIM_BATCH_COMPACTED;
	ask(sim, number,
	    watcher->slow && !is_ending(sim) ? long_while(sim, 30)
					     : short_while(sim));
}

/* ---- By the model ---- */

static bool
is_told(const struct kv_range *range, const struct sim_batch *batch,
    const struct kv_event *event)
{
	return event->revision > batch->since &&
	       event->revision <= batch->until &&
	       slice_compare(event->key, range->start) >= 0 &&
	       (range->end.size == 0 ||
		   slice_compare(event->key, range->end) < 0);
}

static void
expect_events(const struct kv_model *model, const struct kv_range *range,
    const struct sim_batch *batch, struct buf *to)
{
	const struct kv_model_state *state = &model->state;
	const struct kv_event *last = NULL;
	struct kv_event event;

	for (size_t i = 0; i <= state->events_count; i++) {
		bool ends = i == state->events_count;
		const struct kv_event *next = &state->events[i];

		if (!ends && !is_told(range, batch, next))
			continue;
		if (last != NULL) {
			event = *last;
			event.more = !ends && next->revision == last->revision;
			append_event(to, &event);
		}
		last = next;
	}
}

void
sim_watcher_expect(const struct kv_model *model, const struct sim_query *range,
    const struct sim_batch *batch, struct buf *to)
{
	const struct kv_range keys = sim_query_range(range);
	struct sim_query query = *range;

	query.limit = LIST_MAX;
	if (batch->kind == SIM_BATCH_EVENTS)
		expect_events(model, &keys, batch, to);
	else if (batch->kind == SIM_BATCH_LIST)
		sim_query_model(model, &query, to);
}
