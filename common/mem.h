#ifndef COMMON_MEM_H
#define COMMON_MEM_H

/*
 * Memory that is there or ends the process: a replica out of memory stops
 * with a named reason (fatal) and never runs on half-built objects.
 * Sizes that come from input are checked against a limit before they get here.
 */

#include <stddef.h>

/* `size` may be 0. The memory is not initialised. Released with free(). */
void *mem_alloc(size_t size);

/* `count` objects of `size` bytes, all zero. Overflow is fatal. */
void *mem_zalloc(size_t count, size_t size);

/* As realloc(3) for `count` objects of `size` bytes; overflow is fatal. */
void *mem_realloc(void *memory, size_t count, size_t size);

/* A copy of `size` bytes; `data` may be NULL if size is 0. */
void *mem_copy(const void *data, size_t size);

/* A copy of a C string. */
char *mem_strdup(const char *text);

#endif
