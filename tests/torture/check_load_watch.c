#include "tests/torture/check.h"

#include "common/macros.h"
#include "common/mem.h"

static enum check_line_type
type_of(const char *name)
{
	static const struct {
		const char *name;
		enum check_line_type type;
	} types[] = {
		{ "put", CHECK_LINE_PUT },
		{ "delete", CHECK_LINE_DELETE },
		{ "expire", CHECK_LINE_EXPIRE },
		{ "progress", CHECK_LINE_PROGRESS },
		{ "synced", CHECK_LINE_SYNCED },
	};

	for (size_t i = 0; name != NULL && i < ARRAY_COUNT(types); i++) {
		if (strcmp(name, types[i].name) == 0)
			return types[i].type;
	}
	return CHECK_LINE_END;
}

void
check_load_lines(struct check *check, struct check_op *op, json_t *lines)
{
	size_t count = json_array_size(lines);

	if (count == 0)
		return;
	op->lines = mem_zalloc(count, sizeof(op->lines[0]));
	op->lines_count = count;
	for (size_t i = 0; i < count; i++) {
		json_t *pair = json_array_get(lines, i);
		json_t *object = json_array_get(pair, 1);
		struct check_line *line = &op->lines[i];

		line->at =
		    (uint64_t)json_integer_value(json_array_get(pair, 0));
		line->type =
		    type_of(json_string_value(json_object_get(object, "type")));
		line->more = json_is_true(json_object_get(object, "more"));
		line->item = check_json_item(check, object);
		if (line->type == CHECK_LINE_END)
			line->item.revision = check_json_u64(object, "resume");
	}
}
