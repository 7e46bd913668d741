/* What the worlds of the unit tests assert, without a suite that runs. */

#include "common/panic.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>

void
_mark_point(const char *file, int line)
{
	(void)file;
	(void)line;
}

void
_ck_assert_failed(const char *file, int line, const char *expression,
    const char *message, ...)
{
	va_list arguments;

	va_start(arguments, message);
	if (message != NULL)
		vfprintf(stderr, message, arguments);
	va_end(arguments);
	panic_assert(expression, file, line, "a check of a test");
}
