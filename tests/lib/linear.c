#include "tests/lib/linear.h"

#include "common/mem.h"
#include "common/panic.h"
#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX

/*
 * The search places operations with a known answer, one after the other. An
 * unknown write is placed only right before a known operation that is legal
 * because of it, or before an unknown one that depends on the state, a swap or
 * an addition: of two blind writes in a row the first has no effect that anyone
 * sees, and one that nobody sees may as well come last or never.
 */
struct linear_event {
	uint32_t op; /* in `known` */
	bool is_return;
	uint64_t at;
	struct linear_event *next;
	struct linear_event *previous;
};

struct linear_frame {
	struct linear_event *call; /* NULL: the unknown write alone */
	uint32_t unknown;          /* placed before it; NONE */
	uint64_t state_before;
};

struct linear_search {
	const struct linear_op *ops;
	uint32_t *known; /* positions in ops, by time of call */
	uint32_t known_count;
	uint32_t *unknown; /* writes only, by time of call */
	uint32_t unknown_count;
	bool *unknown_used;
	bool *unknown_read; /* its value was seen, so it is unlike others */
	bool some_depend;   /* on the state, of the unknown ones */
	struct linear_event head;
	struct linear_event *events; /* 2 a known op: its call, its return */
	struct linear_frame *stack;
	uint32_t depth;
	uint64_t state; /* value of the key; 0: absent */
	/* Bits of known and unknown ops placed, then the state. */
	uint64_t *configuration;
	size_t words;
	/* Configurations visited: an arena and a hash table into it. */
	uint64_t *visited;
	size_t visited_count;
	size_t visited_capacity;
	uint32_t *table; /* number + 1, 0: empty; twice visited_capacity */
	uint32_t depth_max;
	uint32_t blocked;
};

/* ---- Visited configurations ---- */

static uint64_t
hash_words(const uint64_t *words, size_t count)
{
	uint64_t hash = count;

	for (size_t i = 0; i < count; i++) {
		hash = (hash ^ words[i]) * UINT64_C(0x9fb21c651e98df25);
		hash ^= hash >> 29;
	}
	return hash * UINT64_C(0x9e3779b97f4a7c15) >> 16;
}

static uint32_t *
find_slot(struct linear_search *search, const uint64_t *configuration)
{
	size_t mask = search->visited_capacity * 2 - 1;
	size_t size = search->words * sizeof(uint64_t);
	size_t i = hash_words(configuration, search->words) & mask;

	for (; search->table[i] != 0; i = (i + 1) & mask) {
		size_t number = search->table[i] - 1;

		if (memcmp(search->visited + number * search->words,
			configuration, size) == 0)
			break;
	}
	return &search->table[i];
}

static void
grow_visited(struct linear_search *search)
{
	search->visited_capacity *= 2;
	search->visited = mem_realloc(search->visited,
	    search->visited_capacity * search->words, sizeof(uint64_t));
	free(search->table);
	search->table =
	    mem_zalloc(search->visited_capacity * 2, sizeof(uint32_t));
	for (size_t i = 0; i < search->visited_count; i++) {
		uint32_t *slot =
		    find_slot(search, search->visited + i * search->words);

		*slot = (uint32_t)i + 1;
	}
}

/* False if the configuration has been there before. */
static bool
visit(struct linear_search *search)
{
	uint32_t *slot;

	search->configuration[search->words - 1] = search->state;
	slot = find_slot(search, search->configuration);
	if (*slot != 0)
		return false;
	memcpy(search->visited + search->visited_count * search->words,
	    search->configuration, search->words * sizeof(uint64_t));
	search->visited_count++;
	*slot = (uint32_t)search->visited_count;
	if (search->visited_count == search->visited_capacity)
		grow_visited(search);
	return true;
}

static void
flip_bit(struct linear_search *search, uint32_t bit)
{
	search->configuration[bit / 64] ^= UINT64_C(1) << bit % 64;
}

/* ---- The list of events ---- */

static void
unlink_event(struct linear_event *event)
{
	event->previous->next = event->next;
	event->next->previous = event->previous;
}

static void
relink_event(struct linear_event *event)
{
	event->previous->next = event;
	event->next->previous = event;
}

static const struct linear_op *
known_op(const struct linear_search *search, const struct linear_event *event)
{
	return &search->ops[search->known[event->op]];
}

static struct linear_event *
first_return(const struct linear_search *search)
{
	struct linear_event *event = search->head.next;

	while (!event->is_return)
		event = event->next;
	return event;
}

/* ---- The model ---- */

static bool
is_legal(const struct linear_op *op, uint64_t state)
{
	switch (op->kind) {
	case LINEAR_GET: return op->value == state;
	case LINEAR_SWAP: return op->existed == (state == op->expected);
	case LINEAR_ADD: return op->value == state + op->by;
	case LINEAR_PUT:
	case LINEAR_DELETE: break;
	}
	return op->existed == (state != 0);
}

static uint64_t
state_after(const struct linear_op *op, uint64_t state)
{
	switch (op->kind) {
	case LINEAR_PUT: return op->value;
	case LINEAR_DELETE: return 0;
	case LINEAR_SWAP: return state == op->expected ? op->value : state;
	case LINEAR_ADD: return state + op->by;
	case LINEAR_GET: break;
	}
	return state;
}

static bool
depends_on_state(const struct linear_op *op)
{
	return op->kind == LINEAR_SWAP || op->kind == LINEAR_ADD;
}

/* ---- Unknown writes ---- */

static const struct linear_op *
unknown_op(const struct linear_search *search, uint32_t number)
{
	return &search->ops[search->unknown[number]];
}

/* May it come next, and does that change anything? */
static bool
is_free(const struct linear_search *search, uint32_t number)
{
	const struct linear_op *write = unknown_op(search, number);

	return !search->unknown_used[number] &&
	       state_after(write, search->state) != search->state;
}

/* One before it, that is free as well, does the same as far as anyone sees. */
static bool
has_double(const struct linear_search *search, uint32_t number)
{
	const struct linear_op *write = unknown_op(search, number);

	if (search->unknown_read[number] || write->kind == LINEAR_SWAP)
		return false;
	for (uint32_t i = 0; i < number; i++) {
		const struct linear_op *other = unknown_op(search, i);

		if (!search->unknown_used[i] && !search->unknown_read[i] &&
		    other->kind == write->kind && other->by == write->by)
			return true;
	}
	return false;
}

/* The next unknown write from number `from` on that makes `op` legal. */
static uint32_t
next_unknown(const struct linear_search *search, const struct linear_op *op,
    uint32_t from)
{
	uint64_t limit = first_return(search)->at;

	for (uint32_t i = from; i < search->unknown_count; i++) {
		const struct linear_op *write = unknown_op(search, i);

		if (write->called_at > limit)
			break;
		if (is_free(search, i) &&
		    is_legal(op, state_after(write, search->state)) &&
		    !has_double(search, i))
			return i;
	}
	return NONE;
}

/* Can another unknown write, which depends on the state, follow this one? */
static bool
leads_on(const struct linear_search *search, uint32_t number, uint64_t limit)
{
	uint64_t state = state_after(unknown_op(search, number), search->state);

	for (uint32_t i = 0; i < search->unknown_count; i++) {
		const struct linear_op *write = unknown_op(search, i);

		if (write->called_at > limit)
			break;
		if (i != number && !search->unknown_used[i] &&
		    depends_on_state(write) &&
		    state_after(write, state) != state)
			return true;
	}
	return false;
}

/* The next one from number `from` on that may be placed alone. */
static uint32_t
next_alone(const struct linear_search *search, uint32_t from)
{
	uint64_t limit = first_return(search)->at;

	for (uint32_t i = from; i < search->unknown_count; i++) {
		if (unknown_op(search, i)->called_at > limit)
			break;
		if (is_free(search, i) && !has_double(search, i) &&
		    leads_on(search, i, limit))
			return i;
	}
	return NONE;
}

/* ---- The search ---- */

static void
place(struct linear_search *search, struct linear_event *call, uint32_t unknown)
{
	search->stack[search->depth++] = (struct linear_frame){
		.call = call,
		.unknown = unknown,
		.state_before = search->state,
	};
	if (unknown != NONE) {
		search->unknown_used[unknown] = true;
		flip_bit(search, search->known_count + unknown);
		search->state =
		    state_after(unknown_op(search, unknown), search->state);
	}
	if (call == NULL)
		return;
	search->state = state_after(known_op(search, call), search->state);
	flip_bit(search, call->op);
	unlink_event(call);
	unlink_event(call + 1);
}

static struct linear_frame
take_back(struct linear_search *search)
{
	struct linear_frame frame = search->stack[--search->depth];

	if (frame.call != NULL) {
		relink_event(frame.call + 1);
		relink_event(frame.call);
		flip_bit(search, frame.call->op);
	}
	search->state = frame.state_before;
	if (frame.unknown != NONE) {
		search->unknown_used[frame.unknown] = false;
		flip_bit(search, search->known_count + frame.unknown);
	}
	return frame;
}

/*
 * Places the operation of `call` in the first way, from `from` on, that leads
 * somewhere new. A way is the number of the unknown write before it; an
 * operation that is legal as it is needs none.
 */
static bool
try_call(struct linear_search *search, struct linear_event *call, uint32_t from)
{
	const struct linear_op *op = known_op(search, call);
	uint32_t unknown;

	if (is_legal(op, search->state)) {
		place(search, call, NONE);
		if (visit(search))
			return true;
		take_back(search);
		return false;
	}
	unknown = next_unknown(search, op, from);
	while (unknown != NONE) {
		place(search, call, unknown);
		if (visit(search))
			return true;
		take_back(search);
		unknown = next_unknown(search, op, unknown + 1);
	}
	return false;
}

/* The same for an unknown write that is placed alone. */
static bool
try_alone(struct linear_search *search, uint32_t from)
{
	uint32_t unknown;

	if (!search->some_depend)
		return false;
	unknown = next_alone(search, from);
	while (unknown != NONE) {
		place(search, NULL, unknown);
		if (visit(search))
			return true;
		take_back(search);
		unknown = next_alone(search, unknown + 1);
	}
	return false;
}

static void
note_depth(struct linear_search *search, const struct linear_event *blocked)
{
	if (search->depth < search->depth_max)
		return;
	search->depth_max = search->depth;
	search->blocked = search->known[blocked->op];
}

/* The last step was wrong: what is to be tried in its place; NULL: nothing. */
static struct linear_event *
go_back(struct linear_search *search)
{
	while (search->depth != 0) {
		struct linear_frame frame = take_back(search);

		if (frame.call == NULL) {
			if (try_alone(search, frame.unknown + 1))
				return search->head.next;
			continue;
		}
		if (frame.unknown != NONE &&
		    try_call(search, frame.call, frame.unknown + 1))
			return search->head.next;
		return frame.call->next;
	}
	return NULL;
}

static enum linear_verdict
run(struct linear_search *search, uint64_t steps_max)
{
	struct linear_event *event = search->head.next;

	for (uint64_t step = 0; search->head.next != &search->head; step++) {
		if (step == steps_max)
			return LINEAR_UNDECIDED;
		if (!event->is_return) {
			event = try_call(search, event, 0) ? search->head.next
							   : event->next;
			continue;
		}
		/* All known ones that may come next were tried. */
		if (try_alone(search, 0)) {
			event = search->head.next;
			continue;
		}
		note_depth(search, event);
		event = go_back(search);
		if (event == NULL)
			return LINEAR_ILLEGAL;
	}
	return LINEAR_LEGAL;
}

/* ---- Setting up ---- */

static int
compare_u64(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int
compare_events(const void *a, const void *b)
{
	const struct linear_event *x = *(struct linear_event *const *)a;
	const struct linear_event *y = *(struct linear_event *const *)b;
	int order = compare_u64(x->at, y->at);

	/* Calls first: operations that touch in one moment overlap. */
	if (order == 0)
		order = x->is_return - y->is_return;
	return order != 0 ? order : (x > y) - (x < y);
}

static int
compare_calls(const void *a, const void *b, void *context)
{
	const struct linear_op *ops = context;
	uint32_t x = *(const uint32_t *)a;
	uint32_t y = *(const uint32_t *)b;
	int order = compare_u64(ops[x].called_at, ops[y].called_at);

	return order != 0 ? order : (x > y) - (x < y);
}

static void
sort_ops(struct linear_search *search, size_t count)
{
	void *context = (void *)(uintptr_t)search->ops;

	for (uint32_t i = 0; i < count; i++) {
		const struct linear_op *op = &search->ops[i];

		if (op->known)
			search->known[search->known_count++] = i;
		else if (op->kind != LINEAR_GET)
			search->unknown[search->unknown_count++] = i;
	}
	qsort_r(search->unknown, search->unknown_count, sizeof(uint32_t),
	    compare_calls, context);
}

static void
link_events(struct linear_search *search)
{
	size_t count = 2 * (size_t)search->known_count;
	struct linear_event **sorted =
	    mem_zalloc(count + 1, sizeof(struct linear_event *));
	struct linear_event *last = &search->head;

	for (uint32_t i = 0; i < search->known_count; i++) {
		const struct linear_op *op = &search->ops[search->known[i]];

		ASSERT(op->called_at <= op->returned_at);
		search->events[2 * i] = (struct linear_event){
			.op = i,
			.at = op->called_at,
		};
		search->events[2 * i + 1] = (struct linear_event){
			.op = i,
			.is_return = true,
			.at = op->returned_at,
		};
	}
	for (size_t i = 0; i < count; i++)
		sorted[i] = &search->events[i];
	qsort(sorted, count, sizeof(sorted[0]), compare_events);
	for (size_t i = 0; i < count; i++) {
		last->next = sorted[i];
		sorted[i]->previous = last;
		last = sorted[i];
	}
	last->next = &search->head;
	search->head.previous = last;
	free(sorted);
}

/* Does `op` tell this value from others? */
static bool
sees_value(const struct linear_op *op, uint64_t value)
{
	if (op->kind == LINEAR_SWAP)
		return op->expected == value;
	return op->kind == LINEAR_ADD ||
	       (op->kind == LINEAR_GET && op->known && op->value == value);
}

static void
mark_read_values(struct linear_search *search, size_t count)
{
	for (uint32_t i = 0; i < search->unknown_count; i++) {
		const struct linear_op *write = unknown_op(search, i);

		search->some_depend |= depends_on_state(write);
		if (write->kind != LINEAR_PUT)
			continue;
		for (size_t j = 0; j < count; j++)
			search->unknown_read[i] |=
			    sees_value(&search->ops[j], write->value);
	}
}

static void
search_init(
    struct linear_search *search, const struct linear_op *ops, size_t count)
{
	*search = (struct linear_search){
		.ops = ops,
		.known = mem_zalloc(count + 1, sizeof(uint32_t)),
		.unknown = mem_zalloc(count + 1, sizeof(uint32_t)),
		.unknown_used = mem_zalloc(count + 1, sizeof(bool)),
		.unknown_read = mem_zalloc(count + 1, sizeof(bool)),
		.events =
		    mem_zalloc(2 * count + 1, sizeof(struct linear_event)),
		.stack = mem_zalloc(count + 1, sizeof(struct linear_frame)),
		.words = (count + 63) / 64 + 1,
		.visited_capacity = 1024,
	};
	search->configuration = mem_zalloc(search->words, sizeof(uint64_t));
	search->visited = mem_zalloc(
	    search->visited_capacity * search->words, sizeof(uint64_t));
	search->table =
	    mem_zalloc(search->visited_capacity * 2, sizeof(uint32_t));
	sort_ops(search, count);
	link_events(search);
	mark_read_values(search, count);
}

static void
search_release(struct linear_search *search)
{
	free(search->known);
	free(search->unknown);
	free(search->unknown_used);
	free(search->unknown_read);
	free(search->events);
	free(search->stack);
	free(search->configuration);
	free(search->visited);
	free(search->table);
}

enum linear_verdict
linear_check(const struct linear_op *ops, size_t count, uint64_t steps_max,
    size_t *ret_blocked)
{
	struct linear_search search;
	enum linear_verdict verdict;

	ASSERT(count < NONE);
	search_init(&search, ops, count);
	verdict = run(&search, steps_max);
	if (verdict != LINEAR_LEGAL)
		*ret_blocked = search.blocked;
	search_release(&search);
	return verdict;
}
