#ifndef COMMON_LOG_H
#define COMMON_LOG_H

/*
 * The whole logging policy. One line a message to stderr, with the daemon's
 * wall clock on a terminal or in a file, or with "<N>" priorities when
 * journald reads (JOURNAL_STREAM names our stderr: sd-daemon(3)).
 * Levels: err = needs a human now, warning = will need one, notice = role and
 * cluster changes, info = start and stop, debug = messages.
 * Only server/net, server/api and server's own files log; inner layers return
 * errors. Lines are cut at 1,024 bytes; control characters become '?'.
 */

#include "common/macros.h"
#include <stdbool.h>

enum log_level {
	LOG_LEVEL_ERR = 3, /* the numbers are syslog(3)'s */
	LOG_LEVEL_WARNING = 4,
	LOG_LEVEL_NOTICE = 5,
	LOG_LEVEL_INFO = 6,
	LOG_LEVEL_DEBUG = 7,
};

enum log_format { LOG_FORMAT_AUTO, LOG_FORMAT_TEXT, LOG_FORMAT_JOURNALD };

/* Before the first log line; may be called again. */
void log_init(enum log_level level, enum log_format format);
/* True if a message of this level would be written. */
bool log_enabled(enum log_level level);

ATTR_PRINTF(1, 2) void log_err(const char *format, ...);
ATTR_PRINTF(1, 2) void log_warning(const char *format, ...);
ATTR_PRINTF(1, 2) void log_notice(const char *format, ...);
ATTR_PRINTF(1, 2) void log_info(const char *format, ...);
ATTR_PRINTF(1, 2) void log_debug(const char *format, ...);

#endif
