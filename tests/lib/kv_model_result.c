#include "tests/lib/kv_model.h"

#include <inttypes.h>

/* Notes that a number is not what it should be. */
static bool
same(struct buf *why, const char *what, uint64_t expected, uint64_t actual)
{
	if (expected != actual)
		buf_printf(why, "%s %" PRIu64 " instead of %" PRIu64 "; ", what,
		    actual, expected);
	return expected == actual;
}

static void
append_bytes(struct buf *to, struct slice bytes)
{
	for (size_t i = 0; i < MIN(bytes.size, 40); i++)
		buf_printf(to,
		    bytes.data[i] >= ' ' && bytes.data[i] < 0x7f ? "%c"
								 : "\\x%02x",
		    bytes.data[i]);
	if (bytes.size > 40)
		buf_printf(to, "... (%zu)", bytes.size);
}

static bool
same_bytes(struct buf *why, const char *what, struct slice expected,
    struct slice actual)
{
	if (slice_equal(expected, actual))
		return true;
	buf_printf(why, "%s \"", what);
	append_bytes(why, actual);
	buf_append_text(why, "\" instead of \"");
	append_bytes(why, expected);
	buf_append_text(why, "\"; ");
	return false;
}

static bool
check_output(const struct kv_output *expected, const struct kv_output *actual,
    struct buf *why)
{
	bool good = same(why, "kind", expected->kind, actual->kind);

	good &= same(why, "index", expected->index, actual->index);
	good &= same_bytes(why, "key", expected->key, actual->key);
	good &= same(why, "exists", expected->exists, actual->exists);
	good &= same(why, "has_value", expected->has_value, actual->has_value);
	good &= same(why, "more", expected->more, actual->more);
	good &= same_bytes(why, "value", expected->value, actual->value);
	good &= same(
	    why, "content type", expected->content_type, actual->content_type);
	good &= same(why, "modified", expected->modified, actual->modified);
	good &= same(why, "created", expected->created, actual->created);
	good &= same(why, "version", expected->version, actual->version);
	good &= same(why, "lease", expected->lease, actual->lease);
	good &= same(why, "ttl", expected->ttl_us, actual->ttl_us);
	good &= same(why, "count", expected->count, actual->count);
	return good;
}

static bool
check_outputs(const struct kv_model_result *expected, struct slice outputs,
    struct buf *why)
{
	struct kv_output actual;

	for (size_t i = 0; i < expected->outputs_count; i++) {
		if (kv_output_next(&outputs, &actual) != 0) {
			buf_printf(why, "output %zu is missing", i);
			return false;
		}
		if (check_output(&expected->outputs[i], &actual, why))
			continue;
		buf_printf(why, "in output %zu", i);
		return false;
	}
	if (kv_output_next(&outputs, &actual) == ERR_NOT_FOUND)
		return true;
	buf_append_text(why, "more outputs than there should be");
	return false;
}

bool
kv_model_check_result(const struct kv_model *model,
    const struct kv_result *result, struct buf *why)
{
	const struct kv_result *expected = &model->result.result;
	bool good = same(why, "status", expected->status, result->status);

	good &= same(why, "succeeded", expected->succeeded, result->succeeded);
	good &= same(why, "replayed", expected->replayed, result->replayed);
	good &= same(why, "changed", expected->changed, result->changed);
	good &= same(why, "revision", expected->revision, result->revision);
	good &= same(why, "op", expected->op, result->op);
	return good && check_outputs(&model->result, result->outputs, why);
}

bool
kv_model_check_item(const struct kv_item *expected, int code,
    const struct kv_item *item, bool lifetimes, struct buf *why)
{
	bool good;

	if (code != (expected == NULL ? ERR_NOT_FOUND : 0)) {
		buf_printf(why, "a key that is %s gives \"%s\"",
		    expected == NULL ? "missing" : "there", err_text(code));
		return false;
	}
	if (expected == NULL)
		return true;
	good = same_bytes(why, "value", expected->value, item->value);
	good &= same(why, "created", expected->created, item->created);
	good &= same(why, "modified", expected->modified, item->modified);
	good &= same(why, "version", expected->version, item->version);
	good &= same(
	    why, "content type", expected->content_type, item->content_type);
	if (!lifetimes)
		return good;
	good &= same(why, "lease", expected->lease, item->lease);
	good &= same(why, "deadline", expected->deadline_us, item->deadline_us);
	return good;
}
