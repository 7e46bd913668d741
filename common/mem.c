#include "common/mem.h"
#include "common/panic.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void *
require(void *memory, size_t size)
{
	if (memory == NULL)
		fatal("out of memory for %zu bytes", size);
	return memory;
}

static size_t
product(size_t count, size_t size)
{
	if (size != 0 && count > SIZE_MAX / size)
		fatal("%zu objects of %zu bytes are too large", count, size);
	return count * size;
}

/* What malloc(3) and realloc(3) do with 0 is up to them; 1 is not. */
static size_t
at_least_one(size_t size)
{
	return size == 0 ? 1 : size;
}

void *
mem_alloc(size_t size)
{
	return require(malloc(at_least_one(size)), size);
}

void *
mem_zalloc(size_t count, size_t size)
{
	size_t total = product(count, size);

	return require(calloc(1, at_least_one(total)), total);
}

void *
mem_realloc(void *memory, size_t count, size_t size)
{
	size_t total = product(count, size);

	return require(realloc(memory, at_least_one(total)), total);
}

void *
mem_copy(const void *data, size_t size)
{
	void *copy = mem_alloc(size);

	if (size != 0)
		memcpy(copy, data, size);
	return copy;
}

char *
mem_strdup(const char *text)
{
	return mem_copy(text, strlen(text) + 1);
}
