#ifndef COMMON_CONF_H
#define COMMON_CONF_H

/*
 * The options of a program by one table: the reader of the INI file, what the
 * command line sets, the listing of what is in effect and every check go by
 * it. Mistakes are gathered, each as one line that names its place, the
 * option and what to write instead; whoever loads shows them all at once.
 *
 * The file is read by libinih, in which lines end after 198 characters and a
 * comment behind a value starts with ';'. What that library would pass over
 * in silence (a longer line, a continued one, "#" behind a value, a line that
 * is no assignment, an option that is given twice) is a mistake here.
 * Before the first section an assignment names its section itself, as in
 * "http.max-value = 1MiB   # default": the form in which conf_print lists.
 */

#include "common/buf.h"

#define CONF_ERRORS_SHOWN_MAX 20
#define CONF_FILE_SIZE_MAX    (1u << 20)
#define CONF_LINE_SIZE_MAX    198
#define CONF_ENTRIES_MAX      64 /* of the free section */

enum conf_type {
	CONF_TEXT,     /* char *: min..max characters out of `charset` */
	CONF_PATH,     /* char *: absolute */
	CONF_ADDRESS,  /* char *: a common/address.h in canonical form */
	CONF_BOOL,     /* bool: yes or no */
	CONF_DURATION, /* uint64_t: microseconds */
	CONF_SIZE,     /* uint64_t: bytes */
	CONF_COUNT,    /* uint32_t */
	CONF_ENUM      /* unsigned, or an enum: one of `choices` */
};

/* The words of a CONF_ENUM; the last has a NULL name. */
struct conf_choice {
	const char *name;
	unsigned value;
};

/*
 * A row of the table. At most one has the name NULL: its section is free, the
 * names of its entries are the user's and their values are addresses.
 */
struct conf_option {
	const char *section;
	const char *name;
	enum conf_type type;
	const char *initial; /* as in a file; "": unset, the text is NULL */
	uint64_t min;        /* of a number, or of the size of a text or name */
	uint64_t max;
	const char *charset; /* of a text or name, such as "a-z0-9-" */
	const struct conf_choice *choices;
	size_t offset;    /* of the value in the caller's struct */
	const char *help; /* one line */
};

/* Of the free section; borrowed from the conf. */
struct conf_entry {
	const char *name;
	const char *address;
};

struct conf;

/*
 * Sets every option of `values` to its initial value. Table and `values` stay
 * the caller's and must outlive the conf; the texts in `values` are
 * released by conf_release_values, not by conf_free.
 */
struct conf *
conf_new(const struct conf_option *options, size_t options_count, void *values);
/* NULL is fine. */
void conf_free(struct conf *conf);
/* Frees the texts that conf put into `values`. */
void conf_release_values(
    const struct conf_option *options, size_t options_count, void *values);

/*
 * Reads one file; that it cannot be read is a mistake like any other. `path`
 * is named in messages, and paths in the file are relative to its directory.
 */
void conf_load(struct conf *conf, const char *path);
/* The same for text that is in memory already. */
void conf_parse(struct conf *conf, const char *path, struct slice text);

/* From the command line: overrides the file. */
void conf_set(struct conf *conf, const char *section, const char *name,
    const char *value);
/* The same for "section.option=value". */
void conf_set_assignment(struct conf *conf, const char *assignment);

/*
 * A value that follows from others or from the machine, listed with `origin`
 * (static storage). `value` must be right: ASSERT.
 */
void conf_derive(struct conf *conf, const char *section, const char *name,
    const char *value, const char *origin);

/* True if file or command line gave the option. */
bool
conf_is_set(const struct conf *conf, const char *section, const char *name);
/*
 * False if a mistake was reported for the option, or, for name NULL, in the
 * free section: then nothing else should be judged by it.
 */
bool
conf_is_sound(const struct conf *conf, const char *section, const char *name);
/* How many options the file sets, entries not counted. */
size_t conf_file_count(const struct conf *conf);

/* Entries of the free section, in the order in which they were given. */
size_t conf_entries_count(const struct conf *conf);
struct conf_entry conf_get_entry(const struct conf *conf, size_t position);

/*
 * Reports a mistake that the table cannot see, at the place that set the
 * option. In the free section `name` is an entry's; NULL stands for the
 * section and the place of its first entry.
 */
ATTR_PRINTF(4, 5)
void conf_error(struct conf *conf, const char *section, const char *name,
    const char *format, ...);
/*
 * Of two numbers of one section: `factor` (1 or 3) times the smaller may not
 * be above the larger.
 */
void conf_require_at_most(struct conf *conf, const char *section,
    const char *smaller, unsigned factor, const char *larger);

/* How many mistakes there were. */
unsigned conf_errors_count(const struct conf *conf);
/* The first CONF_ERRORS_SHOWN_MAX of them, a line each; as long as the conf. */
struct slice conf_errors(const struct conf *conf);

/* Appends "section.option = value   # origin" for everything in effect. */
void conf_print(const struct conf *conf, struct buf *to);

#endif
