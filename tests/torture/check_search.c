#include "tests/torture/check.h"

#include "common/clock.h"
#include "common/macros.h"
#include "common/mem.h"
#include "tests/lib/linear.h"
#include <inttypes.h>
#include <stdlib.h>

/*
 * The history of each key by itself, without a look at revisions. What several
 * keys have part in is an operation of each. What a clock or the end of a lease
 * deletes is an operation that nobody called: it may take effect at any time.
 */

#define STEPS_MAX 2000000

struct part {
	check_text key;
	const struct check_op *op;
	struct linear_op linear;
};

struct search {
	struct check *check;
	struct part *parts; /* by key, then call */
	size_t count;
	size_t capacity;
};

static struct linear_op *
add(struct search *search, check_text key, const struct check_op *op,
    enum linear_kind kind)
{
	if (search->count == search->capacity) {
		search->capacity = search->capacity * 2 + 1024;
		search->parts = mem_realloc(
		    search->parts, search->capacity, sizeof(search->parts[0]));
	}
	search->parts[search->count] = (struct part){ .key = key,
		.op = op,
		.linear = {
		    .kind = kind,
		    .known = op->status == CHECK_OK,
		    .called_at = op->call,
		    .returned_at = op->ret,
		} };
	return &search->parts[search->count++].linear;
}

/* ---- Values as numbers ---- */

static uint64_t
count_of(const struct check *check, check_text value)
{
	return value == 0 ? 0 : strtoull(check->texts.texts[value], NULL, 10);
}

/* A counter is its number; other values are the numbers of their texts. */
static void
add_incr(struct search *search, const struct check_op *op)
{
	struct linear_op *linear = add(search, op->key, op, LINEAR_ADD);

	linear->value = count_of(search->check, op->out);
	linear->by = (uint64_t)op->by;
}

/* What was before `part` in a text, and with it. False: it is not in there. */
static bool
split(struct check *check, check_text whole, check_text part,
    uint64_t *ret_before, uint64_t *ret_after)
{
	struct slice text = check_text_get(&check->texts, whole);
	struct slice end = check_text_get(&check->texts, part);
	const uint8_t *found = memmem(text.data, text.size, end.data, end.size);
	size_t size;

	if (found == NULL)
		return false;
	size = (size_t)(found - text.data);
	*ret_before =
	    size == 0 ? 0
		      : check_text_of(&check->texts, slice_of(text.data, size));
	*ret_after =
	    check_text_of(&check->texts, slice_of(text.data, size + end.size));
	return true;
}

/* The longest text that anybody saw the key have. */
static check_text
find_longest(const struct check *check, check_text key)
{
	check_text longest = 0;

	for (size_t i = 0; i < check->ops_count; i++) {
		const struct check_op *op = &check->ops[i];

		if (op->key == key && op->out != 0 &&
		    check->texts.sizes[op->out] >= check->texts.sizes[longest])
			longest = op->out;
	}
	return longest;
}

/*
 * To append is to swap what was there for what is then: whoever sees the text
 * sees both. Of an unknown one they are in what was seen later; or nobody saw
 * it.
 */
static void
add_append(struct search *search, const struct check_op *op)
{
	struct check *check = search->check;
	check_text whole =
	    op->status == CHECK_OK ? op->out : find_longest(check, op->key);
	struct linear_op *linear;
	uint64_t before;
	uint64_t after;

	if (!split(check, whole, op->value, &before, &after))
		return;
	linear = add(search, op->key, op, LINEAR_SWAP);
	linear->existed = true;
	linear->expected = before;
	/* What it showed, whatever is in there. */
	linear->value = op->status == CHECK_OK ? op->out : after;
}

/* ---- Each kind ---- */

static void
add_get(struct search *search, const struct check_op *op)
{
	if (op->status == CHECK_OK && !op->stale && op->at == 0)
		add(search, op->key, op, LINEAR_GET)->value = op->out;
}

static void
add_put(struct search *search, const struct check_op *op, check_text key)
{
	struct linear_op *linear;

	/* Its lease was gone. */
	if (!op->done && op->status == CHECK_OK)
		return;
	linear = add(search, key, op, LINEAR_PUT);
	linear->value = op->value;
	linear->existed = op->version > 1;
}

static void
add_swap(struct search *search, const struct check_op *op)
{
	struct linear_op *linear = add(search, op->key, op, LINEAR_SWAP);

	linear->existed = op->done;
	linear->expected = op->expect;
	linear->value = op->kind == CHECK_CAS ? op->value : 0;
}

static void
add_delete(struct search *search, const struct check_op *op)
{
	if (op->conditional)
		add_swap(search, op);
	else
		add(search, op->key, op, LINEAR_DELETE)->existed = op->existed;
}

static const struct check_part *
find_condition(const struct check_op *op, check_text key)
{
	for (size_t i = 0; i < op->conditions.count; i++) {
		if (op->conditions.parts[i].key == key)
			return &op->conditions.parts[i];
	}
	return NULL;
}

/* What it put under a condition on the same key is a swap. */
static void
add_transaction_put(struct search *search, const struct check_op *op,
    const struct check_part *part, uint64_t version)
{
	const struct check_part *condition = find_condition(op, part->key);
	struct linear_op *linear;

	if (condition == NULL) {
		linear = add(search, part->key, op, LINEAR_PUT);
		linear->existed = version > 1;
	} else {
		linear = add(search, part->key, op, LINEAR_SWAP);
		linear->existed = true;
		linear->expected = condition->value;
	}
	linear->value = part->value;
}

static void
add_transaction(struct search *search, const struct check_op *op)
{
	const struct check_parts *branch =
	    op->done ? &op->then : &op->otherwise;

	for (size_t i = 0; i < branch->count; i++) {
		const struct check_part *part = &branch->parts[i];
		const struct check_item *item =
		    op->status == CHECK_OK ? &op->items[i] : NULL;

		if (part->kind == CHECK_PART_PUT)
			add_transaction_put(
			    search, op, part, item == NULL ? 0 : item->version);
		else if (part->kind == CHECK_PART_DELETE)
			add(search, part->key, op, LINEAR_DELETE)->existed =
			    item != NULL && item->version != 0;
		else if (item != NULL)
			add(search, part->key, op, LINEAR_GET)->value =
			    item->value;
	}
}

static void
add_op(struct search *search, const struct check_op *op)
{
	switch (op->kind) {
	case CHECK_GET: add_get(search, op); break;
	case CHECK_PUT: add_put(search, op, op->key); break;
	case CHECK_CAS: add_swap(search, op); break;
	case CHECK_DELETE: add_delete(search, op); break;
	case CHECK_INCR: add_incr(search, op); break;
	case CHECK_APPEND: add_append(search, op); break;
	case CHECK_CHILD:
		if (op->name != 0)
			add_put(search, op, op->name);
		break;
	case CHECK_TXN: add_transaction(search, op); break;
	case CHECK_TOUCH:
	case CHECK_LIST:
	case CHECK_LEASE:
	case CHECK_RENEW:
	case CHECK_REVOKE:
	case CHECK_LOCK:
	case CHECK_UNLOCK:
	case CHECK_HOLDER:
	case CHECK_WATCH: break;
	}
}

/* What went by itself, or with its lease. */
static void
add_ends(struct search *search)
{
	struct check *check = search->check;
	static const struct check_op nobody = { .status = CHECK_INFO,
		.ret = CHECK_NEVER };

	for (size_t i = 0; i < check->changes_count; i++) {
		const struct check_change *change = &check->changes[i];

		if (change->type == CHECK_LINE_EXPIRE ||
		    (change->type == CHECK_LINE_DELETE && change->by != NULL &&
			change->by->lease != 0))
			add(search, change->item.key, &nobody, LINEAR_DELETE);
	}
}

/* Gets of counters show texts: their values are numbers there. */
static void
number_counters(struct search *search, size_t begin, size_t end)
{
	bool counts = false;

	for (size_t i = begin; i < end; i++)
		counts |= search->parts[i].linear.kind == LINEAR_ADD;
	for (size_t i = begin; counts && i < end; i++) {
		struct linear_op *linear = &search->parts[i].linear;

		if (linear->kind == LINEAR_GET)
			linear->value =
			    count_of(search->check, (check_text)linear->value);
	}
}

/* ---- The search ---- */

static int
compare_parts(const void *a, const void *b)
{
	const struct part *x = a;
	const struct part *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return (x->linear.called_at > y->linear.called_at) -
	       (x->linear.called_at < y->linear.called_at);
}

static void
search_key(struct search *search, size_t begin, size_t end, uint64_t steps_max)
{
	struct check *check = search->check;
	size_t count = end - begin;
	struct linear_op *ops = mem_zalloc(count, sizeof(ops[0]));
	size_t blocked = 0;
	enum linear_verdict verdict;

	number_counters(search, begin, end);
	for (size_t i = 0; i < count; i++)
		ops[i] = search->parts[begin + i].linear;
	verdict = linear_check(ops, count, steps_max, &blocked);
	free(ops);
	check->searched++;
	if (verdict == LINEAR_LEGAL)
		return;
	if (verdict == LINEAR_ILLEGAL) {
		check_fail(check, search->parts[begin + blocked].op, NULL,
		    "%s is not linearizable: this does not fit",
		    check_text_show(check, search->parts[begin].key));
		return;
	}
	check->undecided++;
	buf_printf(check->report, "undecided: %s, with %zu operations\n",
	    check_text_show(check, search->parts[begin].key), count);
}

static void
search_keys(struct search *search)
{
	const struct check_options *options = search->check->options;
	uint64_t steps_max =
	    options->steps_max != 0 ? options->steps_max : STEPS_MAX;
	uint64_t deadline_us =
	    options->search_ms_max == 0
		? UINT64_MAX
		: clock_monotonic_us() + options->search_ms_max * 1000;
	size_t end;

	for (size_t begin = 0; begin < search->count; begin = end) {
		end = begin + 1;
		while (end < search->count &&
		       search->parts[end].key == search->parts[begin].key)
			end++;
		search_key(search, begin, end,
		    clock_monotonic_us() < deadline_us ? steps_max : 0);
	}
}

void
check_search(struct check *check)
{
	struct search search = { .check = check };

	for (size_t i = 0; i < check->ops_count; i++) {
		const struct check_op *op = &check->ops[i];

		if ((op->status == CHECK_OK || op->status == CHECK_INFO) &&
		    !op->again && op->key != 0)
			add_op(&search, op);
		else if (op->kind == CHECK_TXN && !op->again &&
			 op->status != CHECK_FAIL)
			add_op(&search, op);
	}
	add_ends(&search);
	if (search.count != 0)
		qsort(search.parts, search.count, sizeof(search.parts[0]),
		    compare_parts);
	search_keys(&search);
	free(search.parts);
}
