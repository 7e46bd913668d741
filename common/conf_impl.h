#ifndef COMMON_CONF_IMPL_H
#define COMMON_CONF_IMPL_H

/* Shared by the files of conf: private to them. */

#include "common/conf.h"

enum conf_origin_kind {
	CONF_FROM_DEFAULT,
	CONF_FROM_FILE,
	CONF_FROM_COMMAND_LINE,
	CONF_FROM_OTHERS /* conf_derive */
};

/* Where a value, or a mistake, comes from. */
struct conf_origin {
	enum conf_origin_kind kind;
	unsigned line;    /* of the file; 0: the file as a whole */
	const char *note; /* CONF_FROM_OTHERS */
};

/* A value by itself: `text` for the types that are char *, owned. */
struct conf_value {
	uint64_t number;
	char *text;
};

struct conf_slot {
	struct conf_origin origin;
	bool broken; /* a mistake was reported for it */
};

struct conf_row {
	struct conf_origin origin;
	char *name;
	char *address;
};

struct conf {
	const struct conf_option *options;
	size_t options_count;
	void *values;
	char *file;              /* as named; NULL: none was read */
	char *file_directory;    /* absolute */
	char *working_directory; /* absolute */
	struct conf_slot *slots; /* one an option */
	struct conf_row rows[CONF_ENTRIES_MAX];
	size_t rows_count;
	unsigned errors_count;
	struct buf errors;
};

/* conf_options.c */

/* The first option of a section; NULL: there is no such section. */
const struct conf_option *
conf_find_section(const struct conf *conf, struct slice section);
/* Sets an option or entry, or reports why not. */
void conf_assign(struct conf *conf, const struct conf_origin *origin,
    const char *section, const char *name, const char *value);
/*
 * Reports a mistake at `origin`. `section` is NULL for one of a line as such,
 * `name` NULL for one of the section.
 */
ATTR_PRINTF(5, 6)
void conf_report(struct conf *conf, const struct conf_origin *origin,
    const char *section, const char *name, const char *format, ...);

/* conf_suggest.c */

/* What to say of a section or an option that the table does not have. */
void conf_report_section(
    struct conf *conf, const struct conf_origin *origin, const char *section);
void conf_report_option(struct conf *conf, const struct conf_origin *origin,
    const char *section, const char *name);

/* conf_value.c */

/*
 * The value that `text` (not empty) stands for; relative paths start at
 * `directory`. ERR_INVALID, with what to write instead appended to
 * `complaint`.
 */
int conf_value_parse(const struct conf_option *option, const char *directory,
    const char *text, struct conf_value *ret_value,
    struct buf *complaint) ATTR_MUST_CHECK;
/* Checks a text or a name against the option's charset and size. */
int conf_check_charset(const struct conf_option *option, const char *text,
    struct buf *complaint) ATTR_MUST_CHECK;
/* Between the struct of the caller and a value by itself. */
void conf_value_store(const struct conf_option *option, void *values,
    const struct conf_value *value);
/* `text` is borrowed from the struct. */
struct conf_value
conf_value_load(const struct conf_option *option, const void *values);
void conf_value_append(struct buf *to, const struct conf_option *option,
    const struct conf_value *value);
/* True for the types whose value is an owned text. */
bool conf_type_is_text(enum conf_type type);

#endif
