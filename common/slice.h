#ifndef COMMON_SLICE_H
#define COMMON_SLICE_H

/* Borrowed bytes. A slice owns nothing; who lends says for how long. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
	const uint8_t *data; /* may be NULL only if size is 0 */
	size_t size;
};

static inline struct slice
slice_of(const void *data, size_t size)
{
	return (struct slice){ .data = data, .size = size };
}

/* The bytes of a C string, without its terminator. */
static inline struct slice
slice_from_text(const char *text)
{
	return slice_of(text, strlen(text));
}

static inline bool
slice_equal(struct slice a, struct slice b)
{
	return a.size == b.size &&
	       (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* As memcmp, a shorter slice before a longer one it begins. */
static inline int
slice_compare(struct slice a, struct slice b)
{
	size_t size = a.size < b.size ? a.size : b.size;
	int order = size == 0 ? 0 : memcmp(a.data, b.data, size);

	if (order != 0)
		return order;
	return (a.size > b.size) - (a.size < b.size);
}

#endif
