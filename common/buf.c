#include "common/buf.h"
#include "common/mem.h"
#include "common/panic.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define CAPACITY_MIN 64
/* Decimal digits of UINT64_MAX. */
#define U64_DIGITS_MAX 20

void
buf_release(struct buf *buf)
{
	free(buf->data);
	*buf = (struct buf){ 0 };
}

void
buf_grow(struct buf *buf, size_t size)
{
	size_t capacity = MAX(buf->capacity, CAPACITY_MIN / 2);
	size_t needed = buf->size + size;

	if (size > SIZE_MAX - buf->size)
		fatal("a buffer cannot grow by %zu bytes", size);
	/* Doubling keeps the cost of an appended byte constant. */
	while (capacity < needed) {
		if (capacity > SIZE_MAX / 2)
			fatal("a buffer of %zu bytes is too large", needed);
		capacity *= 2;
	}
	capacity = MAX(capacity, CAPACITY_MIN);
	buf->data = mem_realloc(buf->data, capacity, 1);
	buf->capacity = capacity;
}

void
buf_append_u64(struct buf *buf, uint64_t value)
{
	uint8_t digits[U64_DIGITS_MAX];
	size_t first = sizeof(digits);

	do {
		digits[--first] = (uint8_t)('0' + value % 10);
		value /= 10;
	} while (value != 0);
	buf_append(buf, digits + first, sizeof(digits) - first);
}

void
buf_printf(struct buf *buf, const char *format, ...)
{
	va_list arguments;
	va_list again;
	size_t room;
	int size;

	va_start(arguments, format);
	va_copy(again, arguments);
	(void)buf_reserve(buf, 1);
	room = buf->capacity - buf->size;
	size =
	    vsnprintf((char *)buf->data + buf->size, room, format, arguments);
	ASSERT(size >= 0);
	if ((size_t)size >= room) {
		(void)buf_reserve(buf, (size_t)size + 1);
		size = vsnprintf((char *)buf->data + buf->size,
		    (size_t)size + 1, format, again);
	}
	buf->size += (size_t)size;
	va_end(again);
	va_end(arguments);
}

void
buf_drain(struct buf *buf, size_t size)
{
	ASSERT(size <= buf->size);
	buf->size -= size;
	if (buf->size != 0)
		memmove(buf->data, buf->data + size, buf->size);
}

uint8_t *
buf_detach(struct buf *buf, size_t *ret_size)
{
	uint8_t *data = buf->data;

	*ret_size = buf->size;
	*buf = (struct buf){ 0 };
	return data;
}
