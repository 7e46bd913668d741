#include "tests/torture/check.h"

#include "common/macros.h"
#include "common/mem.h"
#include <inttypes.h>
#include <stdlib.h>

/* ---- Members ---- */

uint64_t
check_json_u64(const json_t *object, const char *name)
{
	json_t *value = json_object_get(object, name);
	json_int_t number =
	    json_is_integer(value) ? json_integer_value(value) : 0;

	return number > 0 ? (uint64_t)number : 0;
}

static check_text
check_json_text(struct check *check, const json_t *object, const char *name)
{
	json_t *value = json_object_get(object, name);

	if (!json_is_string(value))
		return 0;
	return check_text_of(&check->texts,
	    slice_of(json_string_value(value), json_string_length(value)));
}

struct check_item
check_json_item(struct check *check, const json_t *object)
{
	return (struct check_item){
		.key = check_json_text(check, object, "key"),
		.value = check_json_text(check, object, "value"),
		.revision = check_json_u64(object, "revision"),
		.version = check_json_u64(object, "version"),
		.created = check_json_u64(object, "created"),
	};
}

enum field_type { FIELD_U64, FIELD_TEXT, FIELD_TRUE };

static const struct {
	const char *name;
	enum field_type type;
	size_t offset;
} fields[] = {
	{ "client", FIELD_U64, offsetof(struct check_op, client) },
	{ "call", FIELD_U64, offsetof(struct check_op, call) },
	{ "rev", FIELD_U64, offsetof(struct check_op, revision) },
	{ "expect_rev", FIELD_U64, offsetof(struct check_op, expect_revision) },
	{ "current", FIELD_U64, offsetof(struct check_op, current) },
	{ "mod", FIELD_U64, offsetof(struct check_op, modified) },
	{ "version", FIELD_U64, offsetof(struct check_op, version) },
	{ "created", FIELD_U64, offsetof(struct check_op, created) },
	{ "fence", FIELD_U64, offsetof(struct check_op, fence) },
	{ "at", FIELD_U64, offsetof(struct check_op, at) },
	{ "since", FIELD_U64, offsetof(struct check_op, since) },
	{ "limit", FIELD_U64, offsetof(struct check_op, limit) },
	{ "deleted", FIELD_U64, offsetof(struct check_op, deleted) },
	{ "key", FIELD_TEXT, offsetof(struct check_op, key) },
	{ "prefix", FIELD_TEXT, offsetof(struct check_op, key) },
	{ "value", FIELD_TEXT, offsetof(struct check_op, value) },
	{ "out", FIELD_TEXT, offsetof(struct check_op, out) },
	{ "expect", FIELD_TEXT, offsetof(struct check_op, expect) },
	{ "name", FIELD_TEXT, offsetof(struct check_op, name) },
	{ "after", FIELD_TEXT, offsetof(struct check_op, after) },
	{ "lease", FIELD_TEXT, offsetof(struct check_op, lease) },
	{ "req", FIELD_TEXT, offsetof(struct check_op, req) },
	{ "node", FIELD_TEXT, offsetof(struct check_op, node) },
	{ "answer", FIELD_TEXT, offsetof(struct check_op, answer) },
	{ "again", FIELD_TRUE, offsetof(struct check_op, again) },
	{ "final", FIELD_TRUE, offsetof(struct check_op, final) },
	{ "stale", FIELD_TRUE, offsetof(struct check_op, stale) },
	{ "gone", FIELD_TRUE, offsetof(struct check_op, gone) },
	{ "existed", FIELD_TRUE, offsetof(struct check_op, existed) },
	{ "more", FIELD_TRUE, offsetof(struct check_op, more) },
};

static void
load_fields(struct check *check, struct check_op *op, const json_t *object)
{
	for (size_t i = 0; i < ARRAY_COUNT(fields); i++) {
		json_t *value = json_object_get(object, fields[i].name);
		void *to = (char *)op + fields[i].offset;

		if (value == NULL)
			continue;
		switch (fields[i].type) {
		case FIELD_U64:
			*(uint64_t *)to =
			    check_json_u64(object, fields[i].name);
			break;
		case FIELD_TEXT:
			/* `out` of a list is an array. */
			if (json_is_string(value))
				*(check_text *)to = check_json_text(
				    check, object, fields[i].name);
			break;
		case FIELD_TRUE: *(bool *)to = json_is_true(value); break;
		}
	}
}

/* ---- Lists and transactions ---- */

/* [key, value, mod, version, created] */
static struct check_item
load_row(struct check *check, json_t *row)
{
	json_t *key = json_array_get(row, 0);
	json_t *value = json_array_get(row, 1);
	struct check_item item = { 0 };

	if (!json_is_string(key) || !json_is_string(value))
		return item;
	item.key = check_text_of(
	    &check->texts, slice_from_text(json_string_value(key)));
	item.value = check_text_of(
	    &check->texts, slice_from_text(json_string_value(value)));
	item.revision = (uint64_t)json_integer_value(json_array_get(row, 2));
	item.version = (uint64_t)json_integer_value(json_array_get(row, 3));
	item.created = (uint64_t)json_integer_value(json_array_get(row, 4));
	return item;
}

static void
load_items(struct check *check, struct check_op *op, json_t *array)
{
	size_t count = json_array_size(array);

	op->items = mem_zalloc(count + 1, sizeof(op->items[0]));
	op->items_count = count;
	for (size_t i = 0; i < count; i++) {
		json_t *element = json_array_get(array, i);

		if (json_is_array(element)) {
			op->items[i] = load_row(check, element);
			continue;
		}
		op->items[i] = check_json_item(check, element);
		if (json_object_get(element, "deleted") != NULL)
			op->items[i].version =
			    check_json_u64(element, "deleted");
	}
}

static bool
load_part(struct check *check, const json_t *object, struct check_part *part)
{
	static const struct {
		const char *name;
		enum check_part_kind kind;
	} kinds[] = {
		{ "put", CHECK_PART_PUT },
		{ "get", CHECK_PART_GET },
		{ "delete", CHECK_PART_DELETE },
	};
	json_t *exists = json_object_get(object, "exists");

	*part = (struct check_part){
		.kind =
		    exists != NULL ? CHECK_PART_IF_EXISTS : CHECK_PART_IF_VALUE,
		.key = check_json_text(check, object, "key"),
		.value = check_json_text(check, object, "value"),
		.exists = json_is_true(exists),
	};
	if (part->key != 0)
		return exists != NULL || part->value != 0;
	for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
		part->key = check_json_text(check, object, kinds[i].name);
		part->kind = kinds[i].kind;
		if (part->key != 0)
			return true;
	}
	return false;
}

static bool
load_parts(struct check *check, const json_t *object, const char *name,
    struct check_parts *ret_parts)
{
	json_t *array = json_object_get(object, name);
	size_t count = json_array_size(array);

	ret_parts->parts = mem_zalloc(count + 1, sizeof(struct check_part));
	ret_parts->count = count;
	for (size_t i = 0; i < count; i++) {
		if (!load_part(
			check, json_array_get(array, i), &ret_parts->parts[i]))
			return false;
	}
	return true;
}

static bool
load_transaction(struct check *check, struct check_op *op, json_t *object)
{
	return load_parts(check, object, "if", &op->conditions) &&
	       load_parts(check, object, "then", &op->then) &&
	       load_parts(check, object, "else", &op->otherwise);
}

/* ---- Operations ---- */

static const char *const kinds[CHECK_KINDS_COUNT] = {
	[CHECK_GET] = "get",
	[CHECK_PUT] = "put",
	[CHECK_CAS] = "cas",
	[CHECK_DELETE] = "del",
	[CHECK_INCR] = "incr",
	[CHECK_APPEND] = "append",
	[CHECK_CHILD] = "child",
	[CHECK_TOUCH] = "touch",
	[CHECK_LIST] = "list",
	[CHECK_TXN] = "txn",
	[CHECK_LEASE] = "lease",
	[CHECK_RENEW] = "renew",
	[CHECK_REVOKE] = "revoke",
	[CHECK_LOCK] = "lock",
	[CHECK_UNLOCK] = "unlock",
	[CHECK_HOLDER] = "holder",
	[CHECK_WATCH] = "watch",
};

static const char *const statuses[] = {
	[CHECK_OK] = "ok",
	[CHECK_FAIL] = "fail",
	[CHECK_INFO] = "info",
	[CHECK_ODD] = "odd",
};

/* -1: none of them. */
static int
find_name(const char *const *names, size_t count, const json_t *name)
{
	for (size_t i = 0; i < count; i++) {
		if (json_is_string(name) &&
		    strcmp(json_string_value(name), names[i]) == 0)
			return (int)i;
	}
	return -1;
}

static enum check_form
load_form(const json_t *object)
{
	static const char *const forms[] = {
		[CHECK_STREAM] = "stream",
		[CHECK_SNAPSHOT] = "snapshot",
		[CHECK_POLL] = "poll",
	};
	int form = find_name(
	    forms, ARRAY_COUNT(forms), json_object_get(object, "form"));

	return form < 0 ? CHECK_STREAM : (enum check_form)form;
}

static bool
load_op(struct check *check, json_t *object, size_t line)
{
	struct check_op *op = &check->ops[check->ops_count];
	int kind =
	    find_name(kinds, ARRAY_COUNT(kinds), json_object_get(object, "op"));
	int status = find_name(
	    statuses, ARRAY_COUNT(statuses), json_object_get(object, "status"));
	const char *end = json_string_value(json_object_get(object, "end"));
	json_t *by = json_object_get(object, "by");

	if (kind < 0 || status < 0 || check_json_u64(object, "call") == 0)
		return false;
	*op = (struct check_op){
		.line = line,
		.kind = (enum check_kind)kind,
		.status = (enum check_status)status,
		.done = !json_is_false(json_object_get(object, "done")),
		.conditional = json_object_get(object, "expect_rev") != NULL,
		.form = load_form(object),
		.cut = end != NULL &&
		       (strcmp(end, "cut") == 0 || strcmp(end, "client") == 0),
		.ret = check_json_u64(object, "ret"),
		.ttl_ns = check_json_u64(object, "ttl") * 1000000,
		.by = json_is_integer(by) ? json_integer_value(by) : 0,
	};
	if (op->ret == 0)
		op->ret = CHECK_NEVER;
	load_fields(check, op, object);
	load_items(check, op, json_object_get(object, "out"));
	check_load_lines(check, op, json_object_get(object, "lines"));
	check->ops_count++;
	return op->kind != CHECK_TXN || load_transaction(check, op, object);
}

/* ---- The file ---- */

const char *
check_kind_name(enum check_kind kind)
{
	return kinds[kind];
}

static bool
load_header(struct check *check, const json_t *object)
{
	const json_t *kinds_min = json_object_get(object, "kinds_min");

	for (size_t i = 0; i < ARRAY_COUNT(kinds); i++)
		check->kinds_min[i] = check_json_u64(kinds_min, kinds[i]);
	check->expired_min = check_json_u64(object, "expired_min");
	check->has_header = check_json_u64(object, "history") == 1;
	check->prefix = check_json_text(check, object, "prefix");
	check->since = check_json_u64(object, "since");
	check->ok_min = check_json_u64(object, "ok_min");
	check->info_min = check_json_u64(object, "info_min");
	check->intervals_min = check_json_u64(object, "intervals_min");
	check->together_min = check_json_u64(object, "together_min");
	check->undecided_max = check_json_u64(object, "undecided_max");
	check->bank_sum = check_json_u64(object, "bank_sum");
	return check->has_header && check->prefix != 0;
}

static bool
load_line(struct check *check, json_t *object, size_t line)
{
	if (!check->has_header)
		return load_header(check, object);
	if (check->has_end)
		return false;
	if (!json_is_true(json_object_get(object, "end")))
		return load_op(check, object, line);
	check->has_end = true;
	check->last_revision = check_json_u64(object, "rev");
	return true;
}

/* Takes the next line off the front. */
static struct slice
take_line(struct slice *rest)
{
	const uint8_t *newline = memchr(rest->data, '\n', rest->size);
	size_t size =
	    newline == NULL ? rest->size : (size_t)(newline - rest->data);
	struct slice line = slice_of(rest->data, size);

	size += newline != NULL;
	*rest = slice_of(rest->data + size, rest->size - size);
	return line;
}

static int
compare_calls(const void *a, const void *b)
{
	const struct check_op *x = a;
	const struct check_op *y = b;

	if (x->call != y->call)
		return x->call < y->call ? -1 : 1;
	return (x->line > y->line) - (x->line < y->line);
}

static size_t
count_lines(struct slice text)
{
	size_t count = 1;

	for (size_t i = 0; i < text.size; i++)
		count += text.data[i] == '\n';
	return count;
}

bool
check_load(struct check *check, struct slice history)
{
	struct slice rest = history;

	check->ops = mem_zalloc(count_lines(history), sizeof(check->ops[0]));
	for (size_t line = 1; rest.size != 0; line++) {
		struct slice text = take_line(&rest);
		json_t *object =
		    json_loadb((const char *)text.data, text.size, 0, NULL);
		bool fine = object != NULL && load_line(check, object, line);

		json_decref(object);
		if (!fine) {
			check_void(check, "line %zu makes no sense", line);
			return false;
		}
	}
	if (!check->has_end)
		check_void(check, "the history has no end: it was cut");
	if (check->ops_count != 0)
		qsort(check->ops, check->ops_count, sizeof(check->ops[0]),
		    compare_calls);
	return check->has_end;
}

bool
check_load_faults(struct check *check, struct slice faults)
{
	struct slice rest = faults;

	check->faults =
	    mem_zalloc(count_lines(faults), sizeof(check->faults[0]));
	for (size_t line = 1; rest.size != 0; line++) {
		struct slice text = take_line(&rest);
		json_t *object =
		    json_loadb((const char *)text.data, text.size, 0, NULL);
		struct check_fault fault = {
			.kind = check_json_text(check, object, "kind"),
			.begin = check_json_u64(object, "begin"),
			.end = check_json_u64(object, "end"),
		};

		json_decref(object);
		if (fault.kind == 0 || fault.begin == 0 ||
		    fault.end < fault.begin) {
			check_void(check, "line %zu is no fault", line);
			return false;
		}
		check->faults[check->faults_count++] = fault;
	}
	return true;
}
