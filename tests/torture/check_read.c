#include "tests/torture/check.h"

#include "common/mem.h"
#include <inttypes.h>
#include <stdlib.h>

/* ---- Reads ---- */

static uint64_t
revision_of(const struct check_op *op)
{
	return op->at != 0 ? op->at : op->revision;
}

static bool
is_item(const struct check_change *state, const struct check_item *item)
{
	return state->item.value == item->value &&
	       state->item.revision == item->revision &&
	       state->item.version == item->version &&
	       state->item.created == item->created;
}

static void
check_get(struct check *check, const struct check_op *op)
{
	const struct check_change *state =
	    check_state(check, op->key, revision_of(op));
	const struct check_item read = { op->key, op->out, op->modified,
		op->version, op->created };

	if (state == NULL ? op->out == 0 : is_item(state, &read))
		return;
	check_fail(check, op, state == NULL ? NULL : state->by,
	    "at revision %" PRIu64 " it was %s, of revision %" PRIu64,
	    revision_of(op),
	    state == NULL ? "absent"
			  : check_text_show(check, state->item.value),
	    state == NULL ? 0 : state->item.revision);
}

/* A page may end before its limit, if it says that there is more. */
static void
check_list(struct check *check, const struct check_op *op)
{
	bool more = false;
	size_t next = 0;

	for (size_t i = check_keys_from(check, op->key, op->after);
	     i < check->keys_count && !more; i++) {
		check_text key = check->keys[i];
		const struct check_change *state;

		if (!check_text_begins(&check->texts, key, op->key))
			break;
		state = check_state(check, key, revision_of(op));
		if (state == NULL)
			continue;
		more = next == op->items_count && op->more;
		if (more)
			break;
		if (next == op->items_count || op->items[next].key != key ||
		    !is_item(state, &op->items[next])) {
			check_fail(check, op, state->by,
			    "it lacks %s of revision %" PRIu64,
			    check_text_show(check, key), state->item.revision);
			return;
		}
		next++;
	}
	if (next < op->items_count)
		check_fail(check, op, NULL, "it has %s, which was not there",
		    check_text_show(check, op->items[next].key));
	else if (op->more != more)
		check_fail(check, op, NULL, "there is no more");
	if (op->limit != 0 && op->items_count > op->limit)
		check_fail(check, op, NULL, "it has more than its limit");
}

/* Money that is sent from one account to another is never lost, nor seen
 * twice, whatever revisions say. */
static void
check_bank(struct check *check, const struct check_op *op)
{
	int64_t sum = 0;
	struct buf prefix = { 0 };

	buf_append_slice(&prefix, check_text_get(&check->texts, check->prefix));
	buf_append_text(&prefix, "x/");
	if (check->bank_sum != 0 && op->items_count != 0 &&
	    op->key == check_text_find(&check->texts, buf_slice(&prefix))) {
		for (size_t i = 0; i < op->items_count; i++)
			sum += strtoll(
			    check->texts.texts[op->items[i].value], NULL, 10);
		if ((uint64_t)sum != check->bank_sum)
			check_fail(check, op, NULL,
			    "the balances are %" PRId64 " together", sum);
	}
	buf_release(&prefix);
}

/* Would the answer be what it is, if the key was this? */
static bool
answer_fits(const struct check_op *op, const struct check_change *state)
{
	uint64_t current = state == NULL ? 0 : state->item.revision;

	if (op->kind != CHECK_TOUCH)
		return current == op->current && current != op->expect_revision;
	if (!op->done || state == NULL)
		return op->done == (state != NULL);
	return op->version == state->item.version &&
	       op->created == state->item.created;
}

/*
 * Of what failed by a condition, and of a touch, the revision is not known: it
 * lies between what was seen before the call, and what its answer came with.
 */
static bool
fits_somewhere(struct check *check, const struct check_op *op)
{
	uint64_t revision = op->seen;
	size_t i = check_log_after(check, revision);

	while (!answer_fits(op, check_state(check, op->key, revision))) {
		while (i < check->changes_count &&
		       check->changes[i].item.revision <= op->revision &&
		       check->changes[i].item.key != op->key)
			i++;
		if (i == check->changes_count ||
		    check->changes[i].item.revision > op->revision)
			return false;
		revision = check->changes[i++].item.revision;
	}
	return true;
}

void
check_reads(struct check *check)
{
	for (size_t i = 0; i < check->ops_count; i++) {
		const struct check_op *op = &check->ops[i];

		if (op->status != CHECK_OK || op->again || op->gone)
			continue;
		if (op->kind == CHECK_GET) {
			check_get(check, op);
		} else if (op->kind == CHECK_LIST) {
			check_list(check, op);
			check_bank(check, op);
		} else if ((op->kind == CHECK_TOUCH ||
			       (op->conditional && !op->done)) &&
			   !fits_somewhere(check, op)) {
			check_fail(check, op, op->seen_by,
			    "the key was never so that it is answered so");
		}
	}
}

/* ---- Order ---- */

static int
compare_u64(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int
compare_times(const void *a, const void *b)
{
	const struct check_sight *x = a;
	const struct check_sight *y = b;
	int order = compare_u64(x->at, y->at);

	return order != 0 ? order : compare_u64(x->revision, y->revision);
}

static int
compare_revisions(const void *a, const void *b)
{
	const struct check_sight *x = a;
	const struct check_sight *y = b;
	int order = compare_u64(x->revision, y->revision);

	return order != 0 ? order : compare_u64(x->at, y->at);
}

static void
add_sight(struct check *check, const struct check_op *op, uint64_t at,
    uint64_t revision)
{
	check->sights[check->sights_count++] =
	    (struct check_sight){ revision, at, op };
}

static void
collect_sights(struct check *check)
{
	size_t count = check->ops_count;

	for (size_t i = 0; i < check->ops_count; i++)
		count += check->ops[i].lines_count;
	check->sights = mem_zalloc(count + 1, sizeof(check->sights[0]));
	for (size_t i = 0; i < check->ops_count; i++) {
		const struct check_op *op = &check->ops[i];

		if (op->status != CHECK_OK)
			continue;
		if (op->revision != 0 && op->ret != CHECK_NEVER)
			add_sight(check, op, op->ret, op->revision);
		for (size_t j = 0; j < op->lines_count; j++)
			add_sight(check, op, op->lines[j].at,
			    op->lines[j].item.revision);
	}
}

static bool
is_read(const struct check_op *op)
{
	return op->kind == CHECK_GET || op->kind == CHECK_LIST ||
	       op->kind == CHECK_HOLDER;
}

/* A write that has a revision of its own. */
static bool
is_change(struct check *check, const struct check_op *op)
{
	size_t count;
	const struct check_change *changes =
	    check_log_at(check, op->revision, &count);

	return count != 0 && changes[0].by == op;
}

void
check_order(struct check *check)
{
	const struct check_sight *largest = NULL;
	size_t next = 0;

	collect_sights(check);
	qsort(check->sights, check->sights_count, sizeof(check->sights[0]),
	    compare_times);
	for (size_t i = 0; i < check->ops_count; i++) {
		struct check_op *op = &check->ops[i];

		for (; next < check->sights_count &&
		       check->sights[next].at < op->call;
		     next++) {
			if (largest == NULL ||
			    check->sights[next].revision > largest->revision)
				largest = &check->sights[next];
		}
		if (largest == NULL)
			continue;
		op->seen = largest->revision;
		op->seen_by = largest->op;
	}
	/* From now on they answer when a revision was there. */
	qsort(check->sights, check->sights_count, sizeof(check->sights[0]),
	    compare_revisions);
	for (size_t i = check->sights_count; i-- > 1;) {
		struct check_sight *sight = &check->sights[i - 1];

		if (sight->at <= sight[1].at)
			continue;
		sight->at = sight[1].at;
		sight->op = sight[1].op;
	}
}

void
check_order_sights(struct check *check)
{
	for (size_t i = 0; i < check->ops_count; i++) {
		const struct check_op *op = &check->ops[i];

		if (op->status != CHECK_OK || op->again || op->stale ||
		    op->kind == CHECK_WATCH)
			continue;
		if (op->revision < op->seen)
			check_fail(check, op, op->seen_by,
			    "revision %" PRIu64 " is older than what was seen "
			    "before the call",
			    op->revision);
		else if (!is_read(op) && op->revision == op->seen &&
			 is_change(check, op))
			check_fail(check, op, op->seen_by,
			    "a write was seen before its call");
		if (op->revision > check->last_revision)
			check_fail(check, op, NULL,
			    "revision %" PRIu64 " is behind the end",
			    op->revision);
	}
}

const struct check_sight *
check_first_sight(const struct check *check, uint64_t revision)
{
	size_t low = 0;
	size_t high = check->sights_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (check->sights[middle].revision < revision)
			low = middle + 1;
		else
			high = middle;
	}
	return low == check->sights_count ? NULL : &check->sights[low];
}
