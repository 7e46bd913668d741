#include "tests/torture/check.h"

#include "common/mem.h"
#include <inttypes.h>
#include <stdlib.h>

/* One stream on its way through the changes. */
struct stream {
	struct check *check;
	const struct check_op *op;
	size_t stamp;
	uint64_t position; /* all up to this revision was told, or ... */
	bool open;         /* ... a part of the next one, which is */
	uint64_t revision;
	size_t told; /* of it */
	bool failed;
};

static bool
is_about(const struct check *check, const struct check_op *op, check_text key)
{
	return check_text_begins(&check->texts, key, op->key);
}

ATTR_PRINTF(2, 3)
static void
fail(struct stream *stream, const char *format, ...)
{
	char what[200];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(what, sizeof(what), format, arguments);
	va_end(arguments);
	/* What comes after the first is wrong because of it. */
	if (!stream->failed)
		check_fail(stream->check, stream->op, NULL,
		    "%s (told up to revision %" PRIu64 ")", what,
		    stream->position);
	stream->failed = true;
}

/* How many changes of a revision the stream is about. */
static size_t
count_at(struct stream *stream, uint64_t revision)
{
	size_t all;
	const struct check_change *changes =
	    check_log_at(stream->check, revision, &all);
	size_t count = 0;

	for (size_t i = 0; i < all; i++)
		count +=
		    is_about(stream->check, stream->op, changes[i].item.key);
	return count;
}

/* Nothing was left out above the position and below `revision`. */
static void
skip_to(struct stream *stream, uint64_t revision)
{
	struct check *check = stream->check;
	size_t i = check_log_after(check, stream->position);

	for (; i < check->changes_count &&
	       check->changes[i].item.revision < revision;
	     i++) {
		const struct check_item *item = &check->changes[i].item;

		if (!is_about(check, stream->op, item->key))
			continue;
		fail(stream, "revision %" PRIu64 " of %s was left out",
		    item->revision, check_text_show(check, item->key));
		return;
	}
}

static struct check_change *
find_change(struct stream *stream, const struct check_line *line)
{
	size_t count;
	struct check_change *changes =
	    check_log_at(stream->check, line->item.revision, &count);

	for (size_t i = 0; i < count; i++) {
		if (changes[i].item.key == line->item.key)
			return &changes[i];
	}
	return NULL;
}

static void
match_change(struct stream *stream, const struct check_line *line)
{
	struct check_change *change = find_change(stream, line);
	const struct check_item *item = &line->item;

	if (change == NULL) {
		/* It may be of after the end. */
		if (item->revision <= stream->check->last_revision)
			fail(stream,
			    "no other stream has revision %" PRIu64 " of %s",
			    item->revision,
			    check_text_show(stream->check, item->key));
		return;
	}
	if (change->stamp == stream->stamp)
		fail(stream, "revision %" PRIu64 " of %s comes twice",
		    item->revision, check_text_show(stream->check, item->key));
	change->stamp = stream->stamp;
	if (change->type != line->type || change->item.value != item->value ||
	    change->item.version != item->version)
		fail(stream,
		    "revision %" PRIu64 " of %s is another for line %zu",
		    item->revision, check_text_show(stream->check, item->key),
		    change->told_by->line);
}

static void
take_change(struct stream *stream, const struct check_line *line)
{
	uint64_t revision = line->item.revision;

	if (!is_about(stream->check, stream->op, line->item.key))
		fail(stream, "it is not about %s",
		    check_text_show(stream->check, line->item.key));
	if (stream->open && revision != stream->revision)
		fail(stream, "of revision %" PRIu64 " only a part came",
		    stream->revision);
	else if (!stream->open && revision <= stream->position)
		fail(stream, "revision %" PRIu64 " comes again", revision);
	if (stream->failed)
		return;
	if (!stream->open) {
		skip_to(stream, revision);
		stream->told = 0;
	}
	match_change(stream, line);
	stream->open = line->more;
	stream->revision = revision;
	stream->told++;
	if (line->more)
		return;
	stream->position = revision;
	if (revision <= stream->check->last_revision &&
	    stream->told != count_at(stream, revision))
		fail(stream,
		    "revision %" PRIu64 " has %zu changes, and %zu came",
		    revision, count_at(stream, revision), stream->told);
}

/* A place to resume from: all before it came. */
static void
take_mark(struct stream *stream, const struct check_line *line)
{
	uint64_t revision = line->item.revision;

	if (stream->open)
		fail(stream, "of revision %" PRIu64 " only a part came",
		    stream->revision);
	else if (revision < stream->position)
		fail(stream, "a mark goes back to %" PRIu64, revision);
	else
		skip_to(stream, revision + 1);
	stream->position = revision;
}

/* ---- The state, with which a watch may begin ---- */

static void
check_snapshot(struct stream *stream)
{
	struct check *check = stream->check;
	const struct check_op *op = stream->op;
	size_t count = op->lines_count - 1;
	uint64_t revision = op->lines[count].item.revision;
	size_t next = 0;

	if (op->lines[count].type != CHECK_LINE_SYNCED ||
	    revision > check->last_revision)
		return; /* cut before; or of after the end */
	for (size_t i = check_keys_from(check, op->key, 0);
	     i < check->keys_count && !stream->failed; i++) {
		check_text key = check->keys[i];
		const struct check_change *state;

		if (!is_about(check, op, key))
			break;
		state = check_state(check, key, revision);
		if (state == NULL)
			continue;
		if (next == count || op->lines[next].item.key != key ||
		    op->lines[next].item.value != state->item.value ||
		    op->lines[next].item.revision != state->item.revision)
			fail(stream, "the state at %" PRIu64 " lacks %s",
			    revision, check_text_show(check, key));
		next++;
	}
	if (next < count)
		fail(stream, "the state at %" PRIu64 " has %s, which was not",
		    revision, check_text_show(check, op->lines[next].item.key));
}

static void
check_stream(struct stream *stream)
{
	const struct check_op *op = stream->op;

	for (size_t i = 0; i < op->lines_count && !stream->failed; i++) {
		const struct check_line *line = &op->lines[i];

		switch (line->type) {
		case CHECK_LINE_PUT:
		case CHECK_LINE_DELETE:
		case CHECK_LINE_EXPIRE: take_change(stream, line); break;
		case CHECK_LINE_PROGRESS:
		case CHECK_LINE_END: take_mark(stream, line); break;
		case CHECK_LINE_SYNCED:
			fail(stream, "it is synced for a second time");
			break;
		}
	}
	if (stream->open && !op->cut)
		fail(stream, "it ends in the middle of revision %" PRIu64,
		    stream->revision);
}

void
check_watches(struct check *check)
{
	for (size_t i = 0; i < check->ops_count; i++) {
		const struct check_op *op = &check->ops[i];
		struct stream stream = {
			.check = check,
			.op = op,
			.stamp = i + 1,
			.position = op->since,
		};

		if (op->kind != CHECK_WATCH || op->status != CHECK_OK ||
		    op->lines_count == 0)
			continue;
		if (op->form == CHECK_SNAPSHOT)
			check_snapshot(&stream);
		else
			check_stream(&stream);
	}
}
