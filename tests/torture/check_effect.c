#include "tests/torture/check.h"

#include "common/mem.h"
#include "common/panic.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- The state, with what the operation did to it so far ---- */

static check_text
value_of(struct check *check, const struct check_effects *effects,
    check_text key, uint64_t before)
{
	const struct check_change *state;

	for (size_t i = effects->count; i-- > 0;) {
		if (effects->effects[i].key == key)
			return effects->effects[i].value;
	}
	state = check_state(check, key, before);
	return state == NULL ? 0 : state->item.value;
}

static void
add_effect(struct check_effects *effects, check_text key, bool is_put,
    check_text value)
{
	for (size_t i = 0; i < effects->count; i++) {
		if (effects->effects[i].key != key)
			continue;
		effects->effects[i].is_put = is_put;
		effects->effects[i].value = value;
		return;
	}
	effects->effects[effects->count++] =
	    (struct check_effect){ is_put, key, value };
}

/* ---- Values that depend on what was there ---- */

static check_text
find_sum(struct check *check, check_text value, int64_t by)
{
	char sum[32];

	(void)snprintf(sum, sizeof(sum), "%" PRId64,
	    (int64_t)strtoll(check->texts.texts[value], NULL, 10) + by);
	return check_text_find(&check->texts, slice_from_text(sum));
}

static check_text
find_joined(struct check *check, check_text value, check_text suffix)
{
	struct buf text = { 0 };
	check_text found;

	buf_append_slice(&text, check_text_get(&check->texts, value));
	buf_append_slice(&text, check_text_get(&check->texts, suffix));
	found = check_text_find(&check->texts, buf_slice(&text));
	buf_release(&text);
	return found;
}

/* ---- Transactions ---- */

static bool
holds(struct check *check, const struct check_part *part, uint64_t before)
{
	const struct check_change *state =
	    check_state(check, part->key, before);

	if (part->kind == CHECK_PART_IF_EXISTS)
		return part->exists == (state != NULL);
	return state != NULL && state->item.value == part->value;
}

static void
add_part(struct check *check, struct check_effects *effects,
    const struct check_part *part, uint64_t before)
{
	if (part->kind == CHECK_PART_PUT)
		add_effect(effects, part->key, true, part->value);
	else if (part->kind == CHECK_PART_DELETE &&
		 value_of(check, effects, part->key, before) != 0)
		add_effect(effects, part->key, false, 0);
}

/* What was not there before, and is not after, did not change. */
static void
drop_nothings(
    struct check *check, struct check_effects *effects, uint64_t before)
{
	size_t count = 0;

	for (size_t i = 0; i < effects->count; i++) {
		const struct check_effect *effect = &effects->effects[i];

		if (effect->is_put ||
		    check_state(check, effect->key, before) != NULL)
			effects->effects[count++] = *effect;
	}
	effects->count = count;
}

static void
transact(struct check *check, const struct check_op *op, uint64_t before,
    struct check_effects *effects)
{
	const struct check_parts *branch;

	for (size_t i = 0; i < op->conditions.count; i++)
		effects->held = effects->held &&
				holds(check, &op->conditions.parts[i], before);
	branch = effects->held ? &op->then : &op->otherwise;
	for (size_t i = 0; i < branch->count; i++)
		add_part(check, effects, &branch->parts[i], before);
	drop_nothings(check, effects, before);
}

/* ---- All writes ---- */

bool
check_op_is_write(const struct check_op *op)
{
	switch (op->kind) {
	case CHECK_PUT:
	case CHECK_CAS:
	case CHECK_DELETE:
	case CHECK_INCR:
	case CHECK_APPEND:
	case CHECK_CHILD:
	case CHECK_TXN: return true;
	case CHECK_GET:
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
	return false;
}

void
check_effects_of(struct check *check, const struct check_op *op,
    uint64_t before, struct check_effects *ret_effects)
{
	struct check_effects effects = {
		.effects = mem_zalloc(op->then.count + op->otherwise.count + 1,
		    sizeof(struct check_effect)),
		.held = true,
	};
	const struct check_change *state = check_state(check, op->key, before);
	check_text value = state == NULL ? 0 : state->item.value;

	ASSERT(check_op_is_write(op));
	if (op->conditional)
		effects.held = (state == NULL ? 0 : state->item.revision) ==
				   op->expect_revision &&
			       value == op->expect;
	if (op->kind == CHECK_TXN)
		transact(check, op, before, &effects);
	else if (!effects.held)
		effects.count = 0;
	else if (op->kind == CHECK_DELETE && state != NULL)
		add_effect(&effects, op->key, false, 0);
	else if (op->kind == CHECK_INCR)
		add_effect(
		    &effects, op->key, true, find_sum(check, value, op->by));
	else if (op->kind == CHECK_APPEND)
		add_effect(&effects, op->key, true,
		    find_joined(check, value, op->value));
	else if (op->kind != CHECK_DELETE)
		add_effect(&effects,
		    op->kind == CHECK_CHILD ? op->name : op->key, true,
		    op->value);
	*ret_effects = effects;
}

/* ---- Against what happened ---- */

static bool
has_effect(
    const struct check_change *change, const struct check_effects *effects)
{
	for (size_t i = 0; i < effects->count; i++) {
		const struct check_effect *effect = &effects->effects[i];

		if (effect->key == change->item.key)
			return effect->is_put
				   ? change->type == CHECK_LINE_PUT &&
					 effect->value != 0 &&
					 effect->value == change->item.value
				   : change->type == CHECK_LINE_DELETE;
	}
	return false;
}

bool
check_effects_match(
    struct check *check, const struct check_effects *effects, uint64_t revision)
{
	size_t count;
	const struct check_change *changes =
	    check_log_at(check, revision, &count);

	if (count != effects->count)
		return false;
	for (size_t i = 0; i < count; i++) {
		if (!has_effect(&changes[i], effects))
			return false;
	}
	return true;
}

/* The item that a get shows of a key, before or behind a put of it. */
static struct check_item
item_of(struct check *check, check_text key, bool written, uint64_t before,
    uint64_t revision)
{
	const struct check_change *state =
	    check_state(check, key, written ? revision : before);

	return state == NULL ? (struct check_item){ .key = key } : state->item;
}

static bool
is_written(const struct check_parts *branch, size_t place)
{
	for (size_t i = 0; i < place; i++) {
		if (branch->parts[i].key == branch->parts[place].key &&
		    branch->parts[i].kind != CHECK_PART_GET)
			return true;
	}
	return false;
}

/*
 * Of a branch that writes no key twice, and deletes none that it reads later
 * or wrote before; then what a key is behind its write is what it is in the
 * end.
 */
static bool
result_matches(struct check *check, const struct check_parts *branch,
    size_t place, const struct check_item *result, uint64_t before,
    uint64_t revision)
{
	const struct check_part *part = &branch->parts[place];
	bool written = is_written(branch, place);
	struct check_item item;

	if (part->kind == CHECK_PART_DELETE)
		return result->version ==
		       (check_state(check, part->key, before) != NULL);
	item = item_of(check, part->key,
	    written || part->kind == CHECK_PART_PUT, before, revision);
	if (part->kind == CHECK_PART_PUT)
		item.value = 0; /* it is not shown */
	return result->key == item.key && result->value == item.value &&
	       result->revision == item.revision &&
	       result->version == item.version &&
	       result->created == item.created;
}

bool
check_results_match(struct check *check, const struct check_op *op,
    uint64_t before, uint64_t revision)
{
	const struct check_parts *branch =
	    op->done ? &op->then : &op->otherwise;

	if (op->items_count != branch->count)
		return false;
	for (size_t i = 0; i < branch->count; i++) {
		if (!result_matches(
			check, branch, i, &op->items[i], before, revision))
			return false;
	}
	return true;
}
