#include "tests/torture/check.h"

#include "common/mem.h"
#include <inttypes.h>
#include <stdlib.h>

/*
 * Whose is each change? Of writes that were acknowledged it is known by their
 * revision; the others have to be those of unknown ones, or ends of lifetimes.
 */

/* ---- Acknowledged writes ---- */

static void
claim(struct check *check, const struct check_op *op)
{
	size_t count;
	struct check_change *changes =
	    check_log_at(check, op->revision, &count);

	for (size_t i = 0; i < count; i++) {
		if (changes[i].by != NULL)
			check_fail(check, op, changes[i].by,
			    "two writes have revision %" PRIu64, op->revision);
		changes[i].by = op;
	}
}

/* What the answer says of the key, beyond its value. */
static void
check_answer(struct check *check, const struct check_op *op)
{
	size_t count;
	const struct check_item *item =
	    &check_log_at(check, op->revision, &count)->item;

	if (op->kind == CHECK_TXN) {
		if (!check_results_match(
			check, op, op->revision - 1, op->revision))
			check_fail(
			    check, op, NULL, "its results are not what was");
		return;
	}
	if (op->kind == CHECK_DELETE)
		return;
	if (item->version != op->version || item->created != op->created ||
	    (op->out != 0 && op->out != item->value))
		check_fail(check, op, NULL,
		    "it made version %" PRIu64 ", created %" PRIu64
		    ", value %s",
		    item->version, item->created,
		    check_text_show(check, item->value));
}

/* It may have found nothing to do: then that was so at its revision. */
static void
check_idle(struct check *check, const struct check_op *op)
{
	struct check_effects effects;

	check_effects_of(check, op, op->revision, &effects);
	if (effects.count != 0 || effects.held != op->done ||
	    (op->kind == CHECK_DELETE && op->existed))
		check_fail(check, op, NULL,
		    "at its revision %" PRIu64 " is not what it did",
		    op->revision);
	else if (op->kind == CHECK_TXN &&
		 !check_results_match(check, op, op->revision, op->revision))
		check_fail(check, op, NULL, "its results are not what was");
	free(effects.effects);
}

static void
check_acknowledged(struct check *check, const struct check_op *op)
{
	struct check_effects effects;
	bool match;

	if (op->revision == 0) {
		check_fail(check, op, NULL, "it has no revision");
		return;
	}
	check_effects_of(check, op, op->revision - 1, &effects);
	match = effects.count != 0 && effects.held == op->done &&
		check_effects_match(check, &effects, op->revision);
	free(effects.effects);
	if (op->kind == CHECK_DELETE && !op->existed)
		match = false;
	if (!match) {
		check_idle(check, op);
		return;
	}
	claim(check, op);
	check_answer(check, op);
}

/* ---- Leases that were ended on purpose ---- */

static bool
ends_lease(const struct check_op *op)
{
	return op->kind == CHECK_REVOKE || op->kind == CHECK_UNLOCK;
}

/* All changes of a revision are deletions of keys that were put with it. */
static bool
match_end(struct check *check, const struct check_op *op, uint64_t revision,
    size_t *ret_count)
{
	const struct check_change *changes =
	    check_log_at(check, revision, ret_count);

	for (size_t i = 0; i < *ret_count; i++) {
		const struct check_change *before =
		    check_state(check, changes[i].item.key, revision - 1);

		if (changes[i].type != CHECK_LINE_DELETE || before == NULL ||
		    (before->by != NULL && before->by->lease != op->lease))
			return false;
	}
	return true;
}

static void
check_end(struct check *check, const struct check_op *op)
{
	size_t count = 0;

	if (op->deleted == 0)
		return;
	if (!match_end(check, op, op->revision, &count) || count != op->deleted)
		check_fail(check, op, NULL,
		    "it deleted %" PRIu64 " keys, and revision %" PRIu64
		    " has %zu changes",
		    op->deleted, op->revision, count);
	else
		claim(check, op);
}

/* ---- The rest ---- */

/* Does the change that nobody acknowledged look like what it asked for? */
static bool
explains(struct check *check, struct check_op *op, uint64_t revision)
{
	size_t count;
	const struct check_change *change =
	    check_log_at(check, revision, &count);
	struct check_effects effects;
	bool match;

	if (ends_lease(op))
		return match_end(check, op, revision, &count);
	if (!check_op_is_write(op))
		return false;
	/* Its answer would have said which name it found. */
	if (op->kind == CHECK_CHILD &&
	    check_text_begins(&check->texts, change->item.key, op->key))
		op->name = change->item.key;
	check_effects_of(check, op, revision - 1, &effects);
	match = check_effects_match(check, &effects, revision);
	free(effects.effects);
	return match;
}

/* One that is not known, or, for the report, one that was refused. */
static struct check_op *
find_author(struct check *check, uint64_t revision, enum check_status status)
{
	for (size_t i = 0; i < check->ops_count; i++) {
		struct check_op *op = &check->ops[i];

		if (op->status == status && !op->used && op->seen < revision &&
		    explains(check, op, revision))
			return op;
	}
	return NULL;
}

static bool
all_expired(const struct check_change *changes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (changes[i].type != CHECK_LINE_EXPIRE)
			return false;
	}
	return true;
}

static void
check_rest_at(struct check *check, uint64_t revision)
{
	size_t count;
	struct check_change *changes = check_log_at(check, revision, &count);
	struct check_op *author;

	if (changes[0].by != NULL || all_expired(changes, count))
		return;
	author = find_author(check, revision, CHECK_INFO);
	if (author == NULL) {
		check_fail(check, changes[0].told_by,
		    find_author(check, revision, CHECK_FAIL),
		    "revision %" PRIu64
		    " changes %s, and nobody asked for it, or only who was "
		    "refused",
		    revision, check_text_show(check, changes[0].item.key));
		return;
	}
	author->used = true;
	check->unknown_done++;
	for (size_t i = 0; i < count; i++)
		changes[i].by = author;
}

/* In their order, as some tell what others found. */
static void
check_rest(struct check *check)
{
	uint64_t revision = 0;

	for (size_t i = 0; i < check->changes_count; i++) {
		if (check->changes[i].item.revision == revision)
			continue;
		revision = check->changes[i].item.revision;
		check_rest_at(check, revision);
	}
}

/* ---- Repetitions ---- */

static int
compare_identities(const void *a, const void *b)
{
	const struct check_op *x = *(struct check_op *const *)a;
	const struct check_op *y = *(struct check_op *const *)b;

	if (x->req != y->req)
		return x->req < y->req ? -1 : 1;
	if (x->again != y->again)
		return x->again ? 1 : -1;
	return (x->line > y->line) - (x->line < y->line);
}

static bool
same_items(const struct check_op *a, const struct check_op *b)
{
	return a->items_count == b->items_count &&
	       (a->items_count == 0 ||
		   memcmp(a->items, b->items,
		       a->items_count * sizeof(a->items[0])) == 0);
}

static void
check_repetitions(struct check *check)
{
	struct check_op **ops =
	    mem_zalloc(check->ops_count + 1, sizeof(struct check_op *));
	size_t count = 0;
	const struct check_op *first = NULL;

	for (size_t i = 0; i < check->ops_count; i++) {
		if (check->ops[i].req != 0)
			ops[count++] = &check->ops[i];
	}
	qsort(ops, count, sizeof(ops[0]), compare_identities);
	for (size_t i = 0; i < count; i++) {
		const struct check_op *op = ops[i];

		if (!op->again) {
			first = op;
			continue;
		}
		if (first == NULL || first->req != op->req ||
		    first->revision != op->revision ||
		    first->version != op->version || first->out != op->out ||
		    first->done != op->done || !same_items(first, op))
			check_fail(check, op,
			    first != NULL && first->req == op->req ? first
								   : NULL,
			    "a repetition is answered differently");
	}
	free(ops);
}

void
check_writes(struct check *check)
{
	for (size_t i = 0; i < check->ops_count; i++) {
		const struct check_op *op = &check->ops[i];

		if (op->status == CHECK_ODD)
			check_fail(check, op, NULL, "an answer of no meaning");
		if (op->status != CHECK_OK || op->again)
			continue;
		/* Of what failed by a condition only a bound is known. */
		if (check_op_is_write(op) &&
		    (op->done || op->kind == CHECK_TXN))
			check_acknowledged(check, op);
	}
	for (size_t i = 0; i < check->ops_count; i++) {
		const struct check_op *op = &check->ops[i];

		if (op->status == CHECK_OK && ends_lease(op) && op->done)
			check_end(check, op);
	}
	check_rest(check);
	check_repetitions(check);
}
