#include "common/conf.h"
#include "common/conf_impl.h"
#include "common/mem.h"
#include "common/panic.h"
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * Debian's libinih tells its handler no line numbers and passes over much in
 * silence, so lines reach it through this reader, which counts them, reports
 * those that are none of the format and hands over an empty one instead.
 */
struct reader {
	struct conf *conf;
	struct slice rest;
	struct conf_origin here; /* the line last handed over */
	struct slice text;       /* of that line */
	bool awaited;            /* it is an assignment if the handler comes */
	bool in_section;
	bool skipping; /* the section is unknown: reported once, not per line */
	/* The last option of this section, which a blank would continue. */
	char last_name[CONF_LINE_SIZE_MAX + 1];
	unsigned last_line;
};

static bool
is_blank(uint8_t byte)
{
	return byte == ' ' || byte == '\t';
}

static struct slice
trim(struct slice text)
{
	while (text.size > 0 && is_blank(text.data[0]))
		text = slice_of(text.data + 1, text.size - 1);
	while (text.size > 0 && is_blank(text.data[text.size - 1]))
		text.size--;
	return text;
}

/* Takes one line off the rest, without its end. */
static struct slice
next_line(struct slice *rest)
{
	const uint8_t *end = memchr(rest->data, '\n', rest->size);
	size_t size = end == NULL ? rest->size : (size_t)(end - rest->data);
	struct slice line = slice_of(rest->data, size);
	size_t taken = end == NULL ? size : size + 1;

	*rest = slice_of(rest->data + taken, rest->size - taken);
	if (line.size > 0 && line.data[line.size - 1] == '\r')
		line.size--;
	return line;
}

/* What conf_print puts behind a value, which is no part of the line. */
static struct slice
without_origin(struct slice line)
{
	static const char mark[] = "   # ";
	const uint8_t *found =
	    memmem(line.data, line.size, mark, sizeof(mark) - 1);

	if (found != NULL)
		line.size = (size_t)(found - line.data);
	return line;
}

static bool
has_control(struct slice line)
{
	for (size_t i = 0; i < line.size; i++) {
		if ((line.data[i] < 0x20 && line.data[i] != '\t') ||
		    line.data[i] == 0x7f)
			return true;
	}
	return false;
}

/* Reports a section line that is none; otherwise enters the section. */
static void
enter_section(struct reader *reader, struct slice line)
{
	const uint8_t *end = memchr(line.data, ']', line.size);
	struct slice name;
	struct slice behind;
	char text[CONF_LINE_SIZE_MAX + 1];

	reader->in_section = true;
	reader->skipping = true;
	reader->last_name[0] = '\0';
	if (end == NULL) {
		conf_report(reader->conf, &reader->here, NULL, NULL,
		    "\"%.*s\" has no ]", (int)line.size,
		    (const char *)line.data);
		return;
	}
	name = slice_of(line.data + 1, (size_t)(end - line.data) - 1);
	behind = trim(slice_of(end + 1, line.size - name.size - 2));
	if (behind.size > 0 && behind.data[0] != ';' && behind.data[0] != '#') {
		conf_report(reader->conf, &reader->here, NULL, NULL,
		    "\"%.*s\": write what follows the ] on a line of its own",
		    (int)line.size, (const char *)line.data);
		return;
	}
	if (conf_find_section(reader->conf, name) == NULL) {
		memcpy(text, name.data, name.size);
		text[name.size] = '\0';
		conf_report_section(reader->conf, &reader->here, text);
		return;
	}
	reader->skipping = false;
}

/* True for a line that libinih shall see. */
static bool
inspect(struct reader *reader, struct slice line)
{
	struct slice trimmed = trim(line);

	if (trimmed.size == 0 || trimmed.data[0] == ';' ||
	    trimmed.data[0] == '#')
		return false;
	if (line.size > CONF_LINE_SIZE_MAX) {
		conf_report(reader->conf, &reader->here, NULL, NULL,
		    "line is longer than %d characters", CONF_LINE_SIZE_MAX);
		return false;
	}
	if (has_control(line)) {
		conf_report(reader->conf, &reader->here, NULL, NULL,
		    "line has a control character");
		return false;
	}
	if (is_blank(line.data[0]) && reader->last_name[0] != '\0') {
		conf_report(reader->conf, &reader->here, NULL, NULL,
		    "line starts with a blank and would continue '%s' of "
		    "line %u",
		    reader->last_name, reader->last_line);
		return false;
	}
	if (trimmed.data[0] == '[') {
		enter_section(reader, trimmed);
		return !reader->skipping;
	}
	reader->awaited = true;
	return true;
}

/* The line before this one went to libinih, and no handler was called. */
static void
report_unanswered(struct reader *reader)
{
	if (reader->awaited && !reader->skipping)
		conf_report(reader->conf, &reader->here, NULL, NULL,
		    "\"%.*s\" has no =; write name = value",
		    (int)reader->text.size, (const char *)reader->text.data);
	reader->awaited = false;
}

/* An ini_reader: as fgets. */
static char *
read_line(char *to, int size, void *stream)
{
	struct reader *reader = stream;
	struct slice line;

	ASSERT(size >= CONF_LINE_SIZE_MAX + 2);
	report_unanswered(reader);
	if (reader->rest.size == 0)
		return NULL;
	reader->here.line++;
	line = next_line(&reader->rest);
	if (!reader->in_section)
		line = without_origin(line);
	reader->text = trim(line);
	if (!inspect(reader, line))
		line.size = 0;
	if (line.size > 0)
		memcpy(to, line.data, line.size);
	to[line.size] = '\n';
	to[line.size + 1] = '\0';
	return to;
}

static void
assign_dotted(struct reader *reader, const char *name, const char *value)
{
	char section[CONF_LINE_SIZE_MAX + 1];
	const char *dot = strchr(name, '.');

	if (dot == NULL) {
		conf_report(reader->conf, &reader->here, NULL, NULL,
		    "\"%s\" stands before the first [section]", name);
		return;
	}
	memcpy(section, name, (size_t)(dot - name));
	section[dot - name] = '\0';
	conf_assign(reader->conf, &reader->here, section, dot + 1, value);
}

/* An ini_handler. What is wrong is reported here, so all is well for it. */
static int
handle_assignment(
    void *context, const char *section, const char *name, const char *value)
{
	struct reader *reader = context;

	reader->awaited = false;
	if (reader->skipping)
		return 1;
	memcpy(reader->last_name, name, strlen(name) + 1);
	reader->last_line = reader->here.line;
	if (name[0] == '\0')
		conf_report(reader->conf, &reader->here, NULL, NULL,
		    "\"%.*s\" has no name before the =", (int)reader->text.size,
		    (const char *)reader->text.data);
	else if (!reader->in_section)
		assign_dotted(reader, name, value);
	else
		conf_assign(reader->conf, &reader->here, section, name, value);
	return 1;
}

/* The directory of `path`, without symbolic links if it exists. */
static char *
directory_of(const struct conf *conf, const char *path)
{
	const char *slash = strrchr(path, '/');
	struct buf text = { 0 };
	char *directory;

	if (path[0] != '/') {
		buf_append_text(&text, conf->working_directory);
		buf_append_text(&text, "/");
	}
	if (slash != NULL)
		buf_append(&text, path, (size_t)(slash - path) + 1);
	buf_append(&text, "", 1);
	directory = realpath((const char *)text.data, NULL);
	if (directory == NULL)
		directory = mem_strdup((const char *)text.data);
	buf_release(&text);
	return directory;
}

static void
name_file(struct conf *conf, const char *path)
{
	ASSERT(conf->file == NULL);
	conf->file = mem_strdup(path);
	conf->file_directory = directory_of(conf, path);
}

static void
parse(struct conf *conf, struct slice text)
{
	static const char mark[] = "\xef\xbb\xbf"; /* UTF-8's, from Windows */
	struct reader reader = {
		.conf = conf,
		.rest = text,
		.here = { .kind = CONF_FROM_FILE },
	};

	if (text.size >= 3 && memcmp(text.data, mark, 3) == 0)
		reader.rest = slice_of(text.data + 3, text.size - 3);
	/* Neither code can come: every line and every answer is right. */
	(void)ini_parse_stream(read_line, &reader, handle_assignment, &reader);
}

void
conf_parse(struct conf *conf, const char *path, struct slice text)
{
	name_file(conf, path);
	parse(conf, text);
}

/* 0, or the errno of what failed; EFBIG above CONF_FILE_SIZE_MAX. */
static int
read_file(const char *path, struct buf *to)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got;
	int error = 0;

	if (fd < 0)
		return errno;
	do {
		uint8_t *room = buf_reserve(to, BUFSIZ);

		got = read(fd, room, BUFSIZ);
		if (got > 0)
			to->size += (size_t)got;
		if (got < 0 && errno != EINTR)
			error = errno;
		if (to->size > CONF_FILE_SIZE_MAX)
			error = EFBIG;
	} while (got != 0 && error == 0);
	(void)close(fd); /* was only read */
	return error;
}

void
conf_load(struct conf *conf, const char *path)
{
	struct conf_origin whole = { .kind = CONF_FROM_FILE };
	struct buf text = { 0 };
	int error = read_file(path, &text);

	name_file(conf, path);
	if (error != 0)
		conf_report(conf, &whole, NULL, NULL, "cannot be read: %s",
		    strerror(error));
	else
		parse(conf, buf_slice(&text));
	buf_release(&text);
}
