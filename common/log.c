#include "common/log.h"
#include "common/clock.h"
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LINE_SIZE_MAX 1024

static enum log_level level_max = LOG_LEVEL_INFO;
static bool to_journald;

static const char *const level_names[] = {
	[LOG_LEVEL_ERR] = "error",
	[LOG_LEVEL_WARNING] = "warning",
	[LOG_LEVEL_NOTICE] = "notice",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};

/*
 * JOURNAL_STREAM is inherited by every descendant of a unit, so it counts only
 * if stderr still is the very stream that it names.
 */
static bool
stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char actual[64];
	struct stat status;

	if (stream == NULL || fstat(STDERR_FILENO, &status) != 0)
		return false;
	(void)snprintf(actual, sizeof(actual), "%ju:%ju",
	    (uintmax_t)status.st_dev, (uintmax_t)status.st_ino);
	return strcmp(stream, actual) == 0;
}

void
log_init(enum log_level level, enum log_format format)
{
	level_max = level;
	to_journald = format == LOG_FORMAT_JOURNALD ||
		      (format == LOG_FORMAT_AUTO && stderr_is_journal());
}

bool
log_enabled(enum log_level level)
{
	return level <= level_max;
}

/* The beginning of a line; its size. */
static size_t
write_prefix(char *to, size_t size, enum log_level level)
{
	uint64_t now_us;
	time_t seconds;
	struct tm utc;
	size_t used;

	if (to_journald)
		return (size_t)snprintf(to, size, "<%d>", (int)level);
	now_us = clock_wall_us();
	seconds = (time_t)(now_us / 1000000);
	used = gmtime_r(&seconds, &utc) == NULL
		   ? 0
		   : strftime(to, size, "%Y-%m-%dT%H:%M:%S", &utc);
	return used + (size_t)snprintf(to + used, size - used,
			  ".%06uZ %s: ", (unsigned)(now_us % 1000000),
			  level_names[level]);
}

ATTR_PRINTF(2, 0)
static void
log_line(enum log_level level, const char *format, va_list arguments)
{
	char line[LINE_SIZE_MAX];
	size_t start;
	size_t size;
	int printed;

	if (!log_enabled(level))
		return;
	start = write_prefix(line, sizeof(line), level);
	printed =
	    vsnprintf(line + start, sizeof(line) - start, format, arguments);
	if (printed < 0)
		return;
	size = MIN(start + (size_t)printed, sizeof(line) - 1);
	for (size_t i = start; i < size; i++) {
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
	}
	line[size] = '\n';
	/* A log that cannot be written has nowhere to complain. */
	if (write(STDERR_FILENO, line, size + 1) < 0)
		return;
}

#define DEFINE_LOG(name, level)                                                \
	void name(const char *format, ...)                                     \
	{                                                                      \
		va_list arguments;                                             \
                                                                               \
		va_start(arguments, format);                                   \
		log_line(level, format, arguments);                            \
		va_end(arguments);                                             \
	}

DEFINE_LOG(log_err, LOG_LEVEL_ERR)
DEFINE_LOG(log_warning, LOG_LEVEL_WARNING)
DEFINE_LOG(log_notice, LOG_LEVEL_NOTICE)
DEFINE_LOG(log_info, LOG_LEVEL_INFO)
DEFINE_LOG(log_debug, LOG_LEVEL_DEBUG)
