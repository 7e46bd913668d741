#include "common/conf_address.h"
#include "common/conf_impl.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/panic.h"
#include "common/text.h"
#include <stdlib.h>

/* Above this a number is not worth an example, which might overflow. */
#define EXAMPLE_NUMBER_MAX 100000

/* The arguments of conf_value_parse. */
struct input {
	const struct conf_option *option;
	const char *directory;
	const char *text;
	struct buf *complaint;
};

static char *
detach_text(struct buf *buf)
{
	size_t size;

	buf_append(buf, "", 1);
	return (char *)buf_detach(buf, &size);
}

static bool
charset_has(const char *charset, char byte)
{
	for (const char *at = charset; *at != '\0'; at++) {
		bool range = at[1] == '-' && at[2] != '\0';

		if (range ? byte >= at[0] && byte <= at[2] : byte == at[0])
			return true;
		if (range)
			at += 2;
	}
	return false;
}

int
conf_check_charset(
    const struct conf_option *option, const char *text, struct buf *complaint)
{
	size_t size = strlen(text);
	bool right = size >= option->min && size <= option->max;

	for (size_t i = 0; i < size; i++)
		right = right && charset_has(option->charset, text[i]);
	if (right)
		return 0;
	buf_printf(complaint, "\"%s\": use %ju to %ju characters of %s", text,
	    (uintmax_t)option->min, (uintmax_t)option->max, option->charset);
	return ERR_INVALID;
}

static int
parse_text(const struct input *input, struct conf_value *ret_value)
{
	int rc =
	    conf_check_charset(input->option, input->text, input->complaint);

	if (rc == 0)
		ret_value->text = mem_strdup(input->text);
	return rc;
}

/* Takes the last component off a path; "/" becomes empty. */
static void
cut_component(struct buf *path)
{
	while (path->size > 0 && path->data[path->size - 1] != '/')
		path->size--;
	while (path->size > 0 && path->data[path->size - 1] == '/')
		path->size--;
}

/*
 * Leading "./" and "../" are resolved here, which is right only because the
 * directory has no symbolic links left in it.
 */
static int
parse_path(const struct input *input, struct conf_value *ret_value)
{
	const char *text = input->text;
	struct buf path = { 0 };

	if (text[0] == '/') {
		ret_value->text = mem_strdup(text);
		return 0;
	}
	buf_append_text(&path, input->directory);
	for (;;) {
		if (strncmp(text, "./", 2) == 0) {
			text += 2;
		} else if (strncmp(text, "../", 3) == 0) {
			text += 3;
			cut_component(&path);
		} else {
			break;
		}
	}
	if (path.size == 0 || path.data[path.size - 1] != '/')
		buf_append_text(&path, "/");
	buf_append_text(&path, text);
	ret_value->text = detach_text(&path);
	return 0;
}

static int
parse_address(const struct input *input, struct conf_value *ret_value)
{
	struct address address;
	char canonical[ADDRESS_TEXT_SIZE];
	int rc = conf_address_parse(input->text, &address, input->complaint);

	if (rc != 0)
		return rc;
	address_format(&address, canonical);
	ret_value->text = mem_strdup(canonical);
	return 0;
}

static int
parse_bool(const struct input *input, struct conf_value *ret_value)
{
	bool yes = strcmp(input->text, "yes") == 0;

	if (!yes && strcmp(input->text, "no") != 0) {
		buf_printf(
		    input->complaint, "\"%s\": use yes or no", input->text);
		return ERR_INVALID;
	}
	ret_value->number = yes;
	return 0;
}

/* Judges what a parser gave for a number: its code, then the range. */
static int
check_range(const struct input *input, int code, uint64_t number)
{
	const struct conf_option *option = input->option;
	struct conf_value min = { .number = option->min };
	struct conf_value max = { .number = option->max };

	if (code == 0 && number >= option->min && number <= option->max)
		return 0;
	buf_printf(input->complaint, "%s is outside ", input->text);
	conf_value_append(input->complaint, option, &min);
	buf_append_text(input->complaint, "..");
	conf_value_append(input->complaint, option, &max);
	return ERR_INVALID;
}

static size_t
skip_digits(const char *text)
{
	return strspn(text, "0123456789");
}

static uint64_t
leading_number(const char *text)
{
	uint64_t number;

	if (text_parse_u64(slice_of(text, skip_digits(text)), &number) != 0)
		return UINT64_MAX;
	return number;
}

static void
complain_of_duration(struct buf *complaint, const char *text)
{
	size_t digits = skip_digits(text);
	uintmax_t number = leading_number(text);

	if (digits == 0 || number > EXAMPLE_NUMBER_MAX)
		buf_printf(complaint,
		    "\"%s\": use a number and a unit, e.g. 500ms or 5s", text);
	else if (text[digits] == '\0')
		buf_printf(complaint, "\"%s\" needs a unit, e.g. %jus or %jums",
		    text, number, number * 1000);
	else if (text[digits] == '.')
		buf_printf(complaint,
		    "\"%s\": use a whole number of a smaller unit, e.g. "
		    "1500ms for 1.5s",
		    text);
	else
		buf_printf(complaint,
		    "\"%s\": \"%s\" is no unit; use us, ms, s, m, h or d "
		    "right behind the number, e.g. %jus",
		    text, text + digits, number);
}

static int
parse_duration(const struct input *input, struct conf_value *ret_value)
{
	uint64_t us = 0;
	int code = text_parse_duration(slice_from_text(input->text), &us);

	if (code == ERR_INVALID) {
		complain_of_duration(input->complaint, input->text);
		return code;
	}
	ret_value->number = us;
	return check_range(input, code, us);
}

static const char size_letters[] = "KMGT";

/*
 * Which power of 1024 (or of 1000) a unit such as "MB", "mib", "M" or " MiB"
 * means: 1 for K, 2 for M, ...; 0 if it is none of these. *ret_binary tells
 * whether it can only have meant 1024.
 */
static unsigned
guess_size_unit(const char *unit, bool *ret_binary)
{
	static const char *const endings[] = { "", "B", "iB", "i" };
	const char *letter;

	unit += strspn(unit, " ");
	letter = unit[0] == '\0' ? NULL : strchr("kmgt", unit[0] | 0x20);
	if (letter == NULL)
		return 0;
	for (size_t i = 0; i < ARRAY_COUNT(endings); i++) {
		if (strcasecmp(unit + 1, endings[i]) != 0)
			continue;
		*ret_binary = i >= 2;
		return 1 + (unsigned)(letter - "kmgt");
	}
	return 0;
}

/*
 * Appends `decimal` bytes in the largest binary unit that is right to 1 %, at
 * most that of `power`.
 */
static void
append_about(struct buf *to, uint64_t decimal, unsigned power)
{
	uint64_t factor = UINT64_C(1) << 10 * power;
	uint64_t rounded = (decimal + factor / 2) / factor;
	uint64_t back = rounded * factor;
	uint64_t error = back > decimal ? back - decimal : decimal - back;

	if (error > decimal / 100 && power > 0) {
		append_about(to, decimal, power - 1);
		return;
	}
	buf_append_u64(to, rounded);
	if (power > 0)
		buf_printf(to, "%ci", size_letters[power - 1]);
	buf_append_text(to, "B");
}

static void
complain_of_size_unit(struct buf *complaint, const char *text, uint64_t number,
    unsigned power, bool binary)
{
	char letter = size_letters[power - 1];
	uint64_t decimal = number;

	for (unsigned i = 0; i < power; i++)
		decimal *= 1000;
	buf_printf(
	    complaint, "\"%s\": use %ju%ciB", text, (uintmax_t)number, letter);
	if (binary)
		return;
	buf_printf(complaint, " (=%ju) or ", (uintmax_t)number << 10 * power);
	append_about(complaint, decimal, power);
	buf_printf(complaint, " (about %ju %cB)", (uintmax_t)number, letter);
}

static void
complain_of_size(struct buf *complaint, const char *text)
{
	size_t digits = skip_digits(text);
	uint64_t number = leading_number(text);
	bool binary = false;
	unsigned power = guess_size_unit(text + digits, &binary);

	if (digits == 0 || (power != 0 && number > EXAMPLE_NUMBER_MAX))
		buf_printf(complaint,
		    "\"%s\": use a number and a unit, e.g. 64KiB or 1MiB",
		    text);
	else if (text[digits] == '\0')
		buf_printf(complaint,
		    "\"%s\" needs a unit, e.g. %sMiB, %sKiB or %sB", text, text,
		    text, text);
	else if (power != 0)
		complain_of_size_unit(complaint, text, number, power, binary);
	else
		buf_printf(complaint,
		    "\"%s\": use a whole number and B, KiB, MiB, GiB or TiB, "
		    "e.g. 64KiB",
		    text);
}

static int
parse_size(const struct input *input, struct conf_value *ret_value)
{
	uint64_t bytes = 0;
	int code = text_parse_size(slice_from_text(input->text), &bytes);

	if (code == ERR_INVALID) {
		complain_of_size(input->complaint, input->text);
		return code;
	}
	ret_value->number = bytes;
	return check_range(input, code, bytes);
}

static int
parse_count(const struct input *input, struct conf_value *ret_value)
{
	uint64_t count = 0;
	int code = text_parse_u64(slice_from_text(input->text), &count);

	if (code == ERR_INVALID) {
		buf_printf(input->complaint, "\"%s\": use a whole number",
		    input->text);
		return code;
	}
	ret_value->number = count;
	return check_range(input, code, count);
}

static int
parse_enum(const struct input *input, struct conf_value *ret_value)
{
	const struct conf_choice *choices = input->option->choices;

	for (size_t i = 0; choices[i].name != NULL; i++) {
		if (strcmp(choices[i].name, input->text) == 0) {
			ret_value->number = choices[i].value;
			return 0;
		}
	}
	buf_printf(input->complaint, "\"%s\": use ", input->text);
	for (size_t i = 0; choices[i].name != NULL; i++) {
		bool last = choices[i + 1].name == NULL;

		buf_printf(input->complaint, "%s%s",
		    i == 0 ? ""
		    : last ? " or "
			   : ", ",
		    choices[i].name);
	}
	return ERR_INVALID;
}

static int (*const parsers[])(
    const struct input *input, struct conf_value *ret_value) = {
	[CONF_TEXT] = parse_text,
	[CONF_PATH] = parse_path,
	[CONF_ADDRESS] = parse_address,
	[CONF_BOOL] = parse_bool,
	[CONF_DURATION] = parse_duration,
	[CONF_SIZE] = parse_size,
	[CONF_COUNT] = parse_count,
	[CONF_ENUM] = parse_enum,
};

int
conf_value_parse(const struct conf_option *option, const char *directory,
    const char *text, struct conf_value *ret_value, struct buf *complaint)
{
	struct input input = {
		.option = option,
		.directory = directory,
		.text = text,
		.complaint = complaint,
	};
	struct conf_value value = { 0 };
	int rc = parsers[option->type](&input, &value);

	if (rc != 0)
		return rc;
	*ret_value = value;
	return 0;
}

static const char *
choice_name(const struct conf_choice *choice, uint64_t value)
{
	while (choice->value != value)
		choice++;
	return choice->name;
}

void
conf_value_append(struct buf *to, const struct conf_option *option,
    const struct conf_value *value)
{
	switch (option->type) {
	case CONF_TEXT:
	case CONF_PATH:
	case CONF_ADDRESS:
		if (value->text != NULL)
			buf_append_text(to, value->text);
		break;
	case CONF_BOOL:
		buf_append_text(to, value->number != 0 ? "yes" : "no");
		break;
	case CONF_DURATION: text_append_duration(to, value->number); break;
	case CONF_SIZE: text_append_size(to, value->number); break;
	case CONF_COUNT: buf_append_u64(to, value->number); break;
	case CONF_ENUM:
		buf_append_text(
		    to, choice_name(option->choices, value->number));
		break;
	}
}

bool
conf_type_is_text(enum conf_type type)
{
	return type == CONF_TEXT || type == CONF_PATH || type == CONF_ADDRESS;
}

void
conf_value_store(const struct conf_option *option, void *values,
    const struct conf_value *value)
{
	uint8_t *to = (uint8_t *)values + option->offset;
	uint32_t count = (uint32_t)value->number;
	bool yes = value->number != 0;

	switch (option->type) {
	case CONF_TEXT:
	case CONF_PATH:
	case CONF_ADDRESS: memcpy(to, &value->text, sizeof(value->text)); break;
	case CONF_BOOL: memcpy(to, &yes, sizeof(yes)); break;
	case CONF_DURATION:
	case CONF_SIZE:
		memcpy(to, &value->number, sizeof(value->number));
		break;
	case CONF_COUNT:
	case CONF_ENUM: memcpy(to, &count, sizeof(count)); break;
	}
}

struct conf_value
conf_value_load(const struct conf_option *option, const void *values)
{
	const uint8_t *from = (const uint8_t *)values + option->offset;
	struct conf_value value = { 0 };
	uint32_t count;
	bool yes;

	switch (option->type) {
	case CONF_TEXT:
	case CONF_PATH:
	case CONF_ADDRESS: memcpy(&value.text, from, sizeof(value.text)); break;
	case CONF_BOOL:
		memcpy(&yes, from, sizeof(yes));
		value.number = yes;
		break;
	case CONF_DURATION:
	case CONF_SIZE:
		memcpy(&value.number, from, sizeof(value.number));
		break;
	case CONF_COUNT:
	case CONF_ENUM:
		memcpy(&count, from, sizeof(count));
		value.number = count;
		break;
	}
	return value;
}
