#include "common/conf_impl.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/panic.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const struct conf_origin from_command_line = {
	.kind = CONF_FROM_COMMAND_LINE,
};

/* The directory of this process; "/" if it is gone. */
static char *
working_directory(void)
{
	char *directory = getcwd(NULL, 0);

	return directory != NULL ? directory : mem_strdup("/");
}

static void
set_initial(struct conf *conf, const struct conf_option *option)
{
	struct conf_value value = { 0 };
	struct buf complaint = { 0 };

	if (option->name == NULL)
		return;
	if (option->initial[0] != '\0') {
		int rc = conf_value_parse(option, conf->working_directory,
		    option->initial, &value, &complaint);

		ASSERT(rc == 0);
	}
	conf_value_store(option, conf->values, &value);
}

struct conf *
conf_new(const struct conf_option *options, size_t options_count, void *values)
{
	struct conf *conf = mem_zalloc(1, sizeof(*conf));

	conf->options = options;
	conf->options_count = options_count;
	conf->values = values;
	conf->slots = mem_zalloc(options_count, sizeof(*conf->slots));
	conf->working_directory = working_directory();
	for (size_t i = 0; i < options_count; i++)
		set_initial(conf, &options[i]);
	return conf;
}

void
conf_free(struct conf *conf)
{
	if (conf == NULL)
		return;
	for (size_t i = 0; i < conf->rows_count; i++) {
		free(conf->rows[i].name);
		free(conf->rows[i].address);
	}
	free(conf->slots);
	free(conf->file);
	free(conf->file_directory);
	free(conf->working_directory);
	buf_release(&conf->errors);
	free(conf);
}

static void
release_value(const struct conf_option *option, void *values)
{
	struct conf_value none = { 0 };

	if (option->name == NULL || !conf_type_is_text(option->type))
		return;
	free(conf_value_load(option, values).text);
	conf_value_store(option, values, &none);
}

void
conf_release_values(
    const struct conf_option *options, size_t options_count, void *values)
{
	for (size_t i = 0; i < options_count; i++)
		release_value(&options[i], values);
}

const struct conf_option *
conf_find_section(const struct conf *conf, struct slice section)
{
	for (size_t i = 0; i < conf->options_count; i++) {
		const struct conf_option *option = &conf->options[i];

		if (slice_equal(slice_from_text(option->section), section))
			return option;
	}
	return NULL;
}

/* The row of the table for an option, or for an entry of the free section. */
static const struct conf_option *
find_option(const struct conf *conf, const char *section, const char *name)
{
	for (size_t i = 0; i < conf->options_count; i++) {
		const struct conf_option *option = &conf->options[i];

		if (strcmp(option->section, section) != 0)
			continue;
		if (option->name == NULL ||
		    (name != NULL && strcmp(option->name, name) == 0))
			return option;
	}
	return NULL;
}

static struct conf_slot *
slot_of(const struct conf *conf, const struct conf_option *option)
{
	return &conf->slots[option - conf->options];
}

/* For names that the program itself writes. */
static const struct conf_option *
known_option(const struct conf *conf, const char *section, const char *name)
{
	const struct conf_option *option = find_option(conf, section, name);

	ASSERT(option != NULL);
	return option;
}

static struct conf_row *
find_row(struct conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->rows_count; i++) {
		if (strcmp(conf->rows[i].name, name) == 0)
			return &conf->rows[i];
	}
	return NULL;
}

static void
append_place(
    struct buf *to, const struct conf *conf, const struct conf_origin *origin)
{
	if (origin->kind == CONF_FROM_COMMAND_LINE)
		buf_append_text(to, "command line");
	else if (conf->file == NULL)
		buf_append_text(to, "defaults");
	else
		buf_append_text(to, conf->file);
	if (origin->kind == CONF_FROM_FILE && origin->line != 0)
		buf_printf(to, ":%u", origin->line);
}

ATTR_PRINTF(2, 0)
static void
append_formatted(struct buf *to, const char *format, va_list arguments)
{
	char *text;

	if (vasprintf(&text, format, arguments) < 0)
		fatal("no memory for a message");
	buf_append_text(to, text);
	free(text);
}

/* A message is one line, whatever a value holds. */
static void
end_line(struct buf *to, size_t start)
{
	for (size_t i = start; i < to->size; i++) {
		if (to->data[i] < 0x20 || to->data[i] == 0x7f)
			to->data[i] = '?';
	}
	buf_append_text(to, "\n");
}

ATTR_PRINTF(5, 0)
static void
report(struct conf *conf, const struct conf_origin *origin, const char *section,
    const char *name, const char *format, va_list arguments)
{
	size_t start = conf->errors.size;

	conf->errors_count++;
	if (conf->errors_count > CONF_ERRORS_SHOWN_MAX)
		return;
	append_place(&conf->errors, conf, origin);
	buf_append_text(&conf->errors, ": ");
	if (section != NULL && name != NULL)
		buf_printf(&conf->errors, "[%s] %s: ", section, name);
	else if (section != NULL)
		buf_printf(&conf->errors, "[%s]: ", section);
	append_formatted(&conf->errors, format, arguments);
	end_line(&conf->errors, start);
}

void
conf_report(struct conf *conf, const struct conf_origin *origin,
    const char *section, const char *name, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	report(conf, origin, section, name, format, arguments);
	va_end(arguments);
}

/* Where an option or entry was set; the section's first entry for no name. */
static const struct conf_origin *
origin_of(struct conf *conf, const struct conf_option *option, const char *name)
{
	const struct conf_row *row = conf->rows;

	if (option->name != NULL)
		return &slot_of(conf, option)->origin;
	if (name != NULL)
		row = find_row(conf, name);
	if (row == NULL || conf->rows_count == 0)
		return &slot_of(conf, option)->origin;
	return &row->origin;
}

void
conf_error(struct conf *conf, const char *section, const char *name,
    const char *format, ...)
{
	const struct conf_option *option = known_option(conf, section, name);
	va_list arguments;

	slot_of(conf, option)->broken = true;
	va_start(arguments, format);
	report(conf, origin_of(conf, option, name), section, name, format,
	    arguments);
	va_end(arguments);
}

/* What a line of a file could not say is no value, whoever gives it. */
static int
check_line(const char *value, struct buf *complaint)
{
	if (value[0] == '\0') {
		buf_append_text(complaint, "has no value");
		return ERR_INVALID;
	}
	for (const char *at = value; *at != '\0'; at++) {
		bool first = at == value || at[-1] == ' ' || at[-1] == '\t';

		if ((unsigned char)*at < 0x20 || *at == 0x7f) {
			buf_append_text(complaint, "has a control character");
			return ERR_INVALID;
		}
		if (first && (*at == '#' || *at == ';')) {
			buf_printf(complaint,
			    "\"%s\": comments after a value start with ;",
			    value);
			return ERR_INVALID;
		}
	}
	return 0;
}

/* Reports what is wrong with a value, if something is. */
static int
check_value(struct conf *conf, const struct conf_origin *origin,
    const struct conf_option *option, const char *name, const char *value,
    struct conf_value *ret_value)
{
	bool from_file = origin->kind == CONF_FROM_FILE;
	const char *directory =
	    from_file ? conf->file_directory : conf->working_directory;
	struct buf complaint = { 0 };
	int rc = 0;

	if (option->name == NULL)
		rc = conf_check_charset(option, name, &complaint);
	if (rc == 0)
		rc = check_line(value, &complaint);
	if (rc == 0)
		rc = conf_value_parse(
		    option, directory, value, ret_value, &complaint);
	if (rc != 0) {
		slot_of(conf, option)->broken = true;
		conf_report(conf, origin, option->section, name, "%.*s",
		    (int)complaint.size, (const char *)complaint.data);
	}
	buf_release(&complaint);
	return rc;
}

/* In one file every name counts once: neither of two would be the obvious. */
static bool
given_twice(struct conf *conf, const struct conf_origin *earlier,
    const struct conf_origin *origin, const char *section, const char *name)
{
	if (earlier->kind != CONF_FROM_FILE || origin->kind != CONF_FROM_FILE)
		return false;
	conf_report(conf, origin, section, name, "also defined in line %u",
	    earlier->line);
	return true;
}

static void
assign_option(struct conf *conf, const struct conf_origin *origin,
    const struct conf_option *option, const char *value)
{
	struct conf_slot *slot = slot_of(conf, option);
	struct conf_value parsed = { 0 };
	bool unset = value[0] == '\0' && option->initial[0] == '\0';

	if (given_twice(
		conf, &slot->origin, origin, option->section, option->name)) {
		slot->broken = true;
		return;
	}
	slot->origin = *origin;
	if (!unset && check_value(conf, origin, option, option->name, value,
			  &parsed) != 0)
		return;
	release_value(option, conf->values);
	conf_value_store(option, conf->values, &parsed);
}

static void
assign_row(struct conf *conf, const struct conf_origin *origin,
    const struct conf_option *option, const char *name, const char *value)
{
	struct conf_row *row = find_row(conf, name);
	struct conf_value parsed = { 0 };

	if (row != NULL &&
	    given_twice(conf, &row->origin, origin, option->section, name)) {
		slot_of(conf, option)->broken = true;
		return;
	}
	if (check_value(conf, origin, option, name, value, &parsed) != 0)
		return;
	if (row == NULL && conf->rows_count == CONF_ENTRIES_MAX) {
		free(parsed.text);
		conf_report(conf, origin, option->section, name,
		    "more than %d entries", CONF_ENTRIES_MAX);
		slot_of(conf, option)->broken = true;
		return;
	}
	if (row == NULL) {
		row = &conf->rows[conf->rows_count++];
		row->name = mem_strdup(name);
	}
	free(row->address);
	row->address = parsed.text;
	row->origin = *origin;
}

void
conf_assign(struct conf *conf, const struct conf_origin *origin,
    const char *section, const char *name, const char *value)
{
	const struct conf_option *option;

	if (conf_find_section(conf, slice_from_text(section)) == NULL) {
		conf_report_section(conf, origin, section);
		return;
	}
	option = find_option(conf, section, name);
	if (option == NULL)
		conf_report_option(conf, origin, section, name);
	else if (option->name == NULL)
		assign_row(conf, origin, option, name, value);
	else
		assign_option(conf, origin, option, value);
}

void
conf_set(
    struct conf *conf, const char *section, const char *name, const char *value)
{
	conf_assign(conf, &from_command_line, section, name, value);
}

void
conf_set_assignment(struct conf *conf, const char *assignment)
{
	char *copy = mem_strdup(assignment);
	char *value = strchr(copy, '=');
	char *name = strchr(copy, '.');

	if (value == NULL || name == NULL || name > value) {
		conf_report(conf, &from_command_line, NULL, NULL,
		    "\"%s\": write --set section.option=value", assignment);
	} else {
		*value++ = '\0';
		*name++ = '\0';
		conf_set(conf, copy, name, value);
	}
	free(copy);
}

void
conf_derive(struct conf *conf, const char *section, const char *name,
    const char *value, const char *origin)
{
	struct conf_origin from = { .kind = CONF_FROM_OTHERS, .note = origin };
	unsigned errors = conf->errors_count;

	conf_assign(conf, &from, section, name, value);
	ASSERT(conf->errors_count == errors);
}

bool
conf_is_set(const struct conf *conf, const char *section, const char *name)
{
	const struct conf_slot *slot =
	    slot_of(conf, known_option(conf, section, name));

	return slot->origin.kind == CONF_FROM_FILE ||
	       slot->origin.kind == CONF_FROM_COMMAND_LINE;
}

bool
conf_is_sound(const struct conf *conf, const char *section, const char *name)
{
	return !slot_of(conf, known_option(conf, section, name))->broken;
}

size_t
conf_file_count(const struct conf *conf)
{
	size_t count = 0;

	for (size_t i = 0; i < conf->options_count; i++)
		count += conf->slots[i].origin.kind == CONF_FROM_FILE;
	return count;
}

size_t
conf_entries_count(const struct conf *conf)
{
	return conf->rows_count;
}

struct conf_entry
conf_get_entry(const struct conf *conf, size_t position)
{
	ASSERT(position < conf->rows_count);
	return (struct conf_entry){ .name = conf->rows[position].name,
		.address = conf->rows[position].address };
}

void
conf_require_at_most(struct conf *conf, const char *section,
    const char *smaller, unsigned factor, const char *larger)
{
	const struct conf_option *small = known_option(conf, section, smaller);
	const struct conf_option *large = known_option(conf, section, larger);
	struct conf_value small_value = conf_value_load(small, conf->values);
	struct conf_value large_value = conf_value_load(large, conf->values);
	struct buf message = { 0 };

	if (slot_of(conf, small)->broken || slot_of(conf, large)->broken)
		return;
	if (small_value.number <= large_value.number / factor)
		return;
	conf_value_append(&message, small, &small_value);
	buf_printf(&message, " is more than %s%s (",
	    factor == 1 ? "" : "a third of ", larger);
	conf_value_append(&message, large, &large_value);
	/* The line to look at is the one that was written. */
	conf_report(conf,
	    &slot_of(conf, conf_is_set(conf, section, smaller) ? small : large)
		 ->origin,
	    section, smaller, "%.*s)", (int)message.size,
	    (const char *)message.data);
	buf_release(&message);
}

unsigned
conf_errors_count(const struct conf *conf)
{
	return conf->errors_count;
}

struct slice
conf_errors(const struct conf *conf)
{
	return buf_slice(&conf->errors);
}

static void
append_origin(
    struct buf *to, const struct conf *conf, const struct conf_origin *origin)
{
	buf_append_text(to, "   # ");
	if (origin->kind == CONF_FROM_DEFAULT)
		buf_append_text(to, "default");
	else if (origin->kind == CONF_FROM_OTHERS)
		buf_append_text(to, origin->note);
	else
		append_place(to, conf, origin);
	buf_append_text(to, "\n");
}

static void
print_option(
    const struct conf *conf, const struct conf_option *option, struct buf *to)
{
	struct conf_value value = conf_value_load(option, conf->values);

	buf_printf(to, "%s.%s = ", option->section, option->name);
	conf_value_append(to, option, &value);
	append_origin(to, conf, &slot_of(conf, option)->origin);
}

static void
print_rows(
    const struct conf *conf, const struct conf_option *option, struct buf *to)
{
	for (size_t i = 0; i < conf->rows_count; i++) {
		const struct conf_row *row = &conf->rows[i];

		buf_printf(
		    to, "%s.%s = %s", option->section, row->name, row->address);
		append_origin(to, conf, &row->origin);
	}
}

void
conf_print(const struct conf *conf, struct buf *to)
{
	for (size_t i = 0; i < conf->options_count; i++) {
		const struct conf_option *option = &conf->options[i];

		if (option->name == NULL)
			print_rows(conf, option, to);
		else
			print_option(conf, option, to);
	}
}
