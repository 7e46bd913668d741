#ifndef COMMON_PANIC_H
#define COMMON_PANIC_H

/*
 * The two ways to die. ASSERT is for bugs: what it states can only be false
 * if this program is wrong. fatal() is for an environment that cannot be
 * worked in: no memory, mostly. A crashed replica is safe, a guessing one is
 * not. Neither is ever reachable from what a client or a peer sends.
 */

#include "common/macros.h"

#define ASSERT(condition)                                                      \
	((condition) ? (void)0                                                 \
		     : panic_assert(#condition, __FILE__, __LINE__, __func__))

/* Prints the failed condition with its place to stderr and aborts. */
ATTR_NORETURN void panic_assert(
    const char *condition, const char *file, int line, const char *function);

/* Prints "fatal: <message>" to stderr and exits with status 70 at once. */
ATTR_NORETURN ATTR_PRINTF(1, 2) void fatal(const char *format, ...);

#endif
