#ifndef COMMON_MACROS_H
#define COMMON_MACROS_H

/* The only place where compiler extensions are spelled. */

#include <stddef.h>

#define ATTR_PRINTF(format_arg, first_arg)                                     \
	__attribute__((format(printf, format_arg, first_arg)))
#define ATTR_MUST_CHECK __attribute__((warn_unused_result))
#define ATTR_NORETURN   __attribute__((noreturn))
#define ATTR_UNUSED     __attribute__((unused))
/* Compiled for a processor with this feature, whatever -march says. */
#define ATTR_TARGET(feature) __attribute__((target(feature)))

#define ARRAY_COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

/* The struct of `type` whose `member` is at `pointer`. */
#define CONTAINER_OF(pointer, type, member)                                    \
	((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#endif
