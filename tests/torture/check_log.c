#include "tests/torture/check.h"

#include "common/mem.h"
#include <inttypes.h>
#include <stdlib.h>

/*
 * All changes, as the streams of the whole prefix tell them together. What one
 * of them lacks is found where it is compared with the rest.
 */

/* A stream tells of all that is above since, up to until. */
struct cover {
	uint64_t since;
	uint64_t until;
};

static bool
is_change(enum check_line_type type)
{
	return type == CHECK_LINE_PUT || type == CHECK_LINE_DELETE ||
	       type == CHECK_LINE_EXPIRE;
}

static bool
tells_all(const struct check *check, const struct check_op *op)
{
	return op->kind == CHECK_WATCH && op->status == CHECK_OK &&
	       op->form != CHECK_SNAPSHOT && op->key == check->prefix;
}

/* ---- Collecting ---- */

/* The lines of whole revisions; the place behind them. */
static size_t
count_whole(const struct check_op *op)
{
	size_t count = op->lines_count;

	while (count > 0 && op->lines[count - 1].more)
		count--;
	return count;
}

static struct cover
cover_of(const struct check_op *op, size_t whole)
{
	struct cover cover = { op->since, op->since };

	for (size_t i = 0; i < whole; i++) {
		if (op->lines[i].item.revision > cover.until)
			cover.until = op->lines[i].item.revision;
	}
	return cover;
}

static void
collect_changes(struct check *check, const struct check_op *op, size_t whole)
{
	for (size_t i = 0; i < whole; i++) {
		const struct check_line *line = &op->lines[i];

		if (!is_change(line->type))
			continue;
		check->changes[check->changes_count++] = (struct check_change){
			.type = line->type,
			.item = line->item,
			.told_by = op,
		};
	}
}

static int
compare_u64(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int
compare_covers(const void *a, const void *b)
{
	const struct cover *x = a;
	const struct cover *y = b;

	return compare_u64(x->since, y->since);
}

static void
check_covers(struct check *check, struct cover *covers, size_t count)
{
	uint64_t until = check->since;

	if (count != 0)
		qsort(covers, count, sizeof(covers[0]), compare_covers);
	for (size_t i = 0; i < count && covers[i].since <= until; i++) {
		if (covers[i].until > until)
			until = covers[i].until;
	}
	if (until < check->last_revision)
		check_void(check,
		    "no stream tells of all changes behind revision %" PRIu64
		    " (up to %" PRIu64 ")",
		    until, check->last_revision);
}

static void
collect(struct check *check)
{
	struct cover *covers =
	    mem_zalloc(check->ops_count + 1, sizeof(covers[0]));
	size_t covers_count = 0;
	size_t lines_count = 0;

	for (size_t i = 0; i < check->ops_count; i++) {
		if (tells_all(check, &check->ops[i]))
			lines_count += check->ops[i].lines_count;
	}
	check->changes = mem_zalloc(lines_count + 1, sizeof(check->changes[0]));
	for (size_t i = 0; i < check->ops_count; i++) {
		const struct check_op *op = &check->ops[i];
		size_t whole;

		if (!tells_all(check, op))
			continue;
		whole = count_whole(op);
		covers[covers_count++] = cover_of(op, whole);
		collect_changes(check, op, whole);
	}
	check_covers(check, covers, covers_count);
	free(covers);
}

/* ---- One sequence ---- */

static int
compare_changes(const void *a, const void *b)
{
	const struct check_change *x = a;
	const struct check_change *y = b;
	int order = compare_u64(x->item.revision, y->item.revision);

	if (order == 0)
		order = compare_u64(x->item.key, y->item.key);
	return order != 0 ? order
			  : compare_u64(x->told_by->line, y->told_by->line);
}

static bool
is_same(const struct check_change *a, const struct check_change *b)
{
	return a->type == b->type && a->item.value == b->item.value &&
	       a->item.version == b->item.version &&
	       a->item.created == b->item.created;
}

static void
merge(struct check *check)
{
	size_t count = 0;

	if (check->changes_count == 0)
		return;
	qsort(check->changes, check->changes_count, sizeof(check->changes[0]),
	    compare_changes);
	for (size_t i = 1; i < check->changes_count; i++) {
		const struct check_change *change = &check->changes[i];
		const struct check_change *last = &check->changes[count];

		if (change->item.revision != last->item.revision ||
		    change->item.key != last->item.key) {
			check->changes[++count] = *change;
			continue;
		}
		if (!is_same(change, last))
			check_fail(check, last->told_by, change->told_by,
			    "two streams tell differently of %s at revision "
			    "%" PRIu64,
			    check_text_show(check, last->item.key),
			    last->item.revision);
	}
	check->changes_count = count + 1;
}

/* ---- By key ---- */

static int
compare_by_key(const void *a, const void *b, void *context)
{
	const struct check_change *changes = context;
	uint32_t x = *(const uint32_t *)a;
	uint32_t y = *(const uint32_t *)b;
	int order = compare_u64(changes[x].item.key, changes[y].item.key);

	return order != 0 ? order : compare_u64(x, y);
}

static int
compare_keys(const void *a, const void *b, void *context)
{
	return slice_compare(check_text_get(context, *(const check_text *)a),
	    check_text_get(context, *(const check_text *)b));
}

static void
index_keys(struct check *check)
{
	size_t count = check->changes_count;
	check_text key = 0;

	check->by_key = mem_zalloc(count + 1, sizeof(uint32_t));
	check->first_of =
	    mem_zalloc((size_t)check->texts.count + 1, sizeof(uint32_t));
	check->keys = mem_zalloc(count + 1, sizeof(check_text));
	for (uint32_t i = 0; i < count; i++)
		check->by_key[i] = i;
	qsort_r(check->by_key, count, sizeof(uint32_t), compare_by_key,
	    check->changes);
	for (uint32_t i = 0; i < count; i++) {
		check_text next = check->changes[check->by_key[i]].item.key;

		if (next != key)
			check->keys[check->keys_count++] = next;
		while (key < next)
			check->first_of[++key] = i;
	}
	while (key < check->texts.count)
		check->first_of[++key] = (uint32_t)count;
	qsort_r(check->keys, check->keys_count, sizeof(check_text),
	    compare_keys, &check->texts);
}

/* Versions and creations of each key follow from what it was before. */
static void
check_chains(struct check *check)
{
	for (size_t i = 0; i < check->changes_count; i++) {
		const struct check_change *change =
		    &check->changes[check->by_key[i]];
		const struct check_item *item = &change->item;
		const struct check_change *before =
		    check_state(check, item->key, item->revision - 1);

		if (change->type != CHECK_LINE_PUT) {
			if (before == NULL)
				check_fail(check, change->told_by, NULL,
				    "%s goes at revision %" PRIu64
				    ", and was not there",
				    check_text_show(check, item->key),
				    item->revision);
			continue;
		}
		if (item->version !=
			(before == NULL ? 1 : before->item.version + 1) ||
		    item->created != (before == NULL ? item->revision
						     : before->item.created))
			check_fail(check, change->told_by, NULL,
			    "%s at revision %" PRIu64 " has version %" PRIu64
			    ", created %" PRIu64 ", after version %" PRIu64,
			    check_text_show(check, item->key), item->revision,
			    item->version, item->created,
			    before == NULL ? 0 : before->item.version);
	}
}

bool
check_log_build(struct check *check)
{
	collect(check);
	if (check->vacuous != 0)
		return false;
	merge(check);
	index_keys(check);
	check_chains(check);
	return true;
}

/* ---- Looking ---- */

const struct check_change *
check_state(const struct check *check, check_text key, uint64_t revision)
{
	uint32_t low = check->first_of[key];
	uint32_t begin = low;
	uint32_t high = check->first_of[key + 1];
	const struct check_change *change;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		change = &check->changes[check->by_key[middle]];
		if (change->item.revision <= revision)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == begin)
		return NULL;
	change = &check->changes[check->by_key[low - 1]];
	return change->type == CHECK_LINE_PUT ? change : NULL;
}

size_t
check_keys_from(const struct check *check, check_text prefix, check_text after)
{
	struct slice begin =
	    check_text_get(&check->texts, after != 0 ? after : prefix);
	size_t low = 0;
	size_t high = check->keys_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = slice_compare(
		    check_text_get(&check->texts, check->keys[middle]), begin);

		if (order < 0 || (order == 0 && after != 0))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

size_t
check_log_after(const struct check *check, uint64_t revision)
{
	size_t low = 0;
	size_t high = check->changes_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (check->changes[middle].item.revision <= revision)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct check_change *
check_log_at(struct check *check, uint64_t revision, size_t *ret_count)
{
	size_t first = revision == 0 ? 0 : check_log_after(check, revision - 1);
	size_t end = first;

	while (end < check->changes_count &&
	       check->changes[end].item.revision == revision)
		end++;
	*ret_count = end - first;
	return &check->changes[first];
}
