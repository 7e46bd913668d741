#include "common/panic.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* EX_SOFTWARE of sysexits.h: systemd may restart us, an operator looks. */
#define FATAL_STATUS 70

void
panic_assert(
    const char *condition, const char *file, int line, const char *function)
{
	fprintf(stderr, "assertion failed: %s (%s:%d, %s)\n", condition, file,
	    line, function);
	abort();
}

void
fatal(const char *format, ...)
{
	char message[1024];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	fprintf(stderr, "fatal: %s\n", message);
	/* Not exit(): what is half done must not be tidied up or flushed. */
	_exit(FATAL_STATUS);
}
