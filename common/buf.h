#ifndef COMMON_BUF_H
#define COMMON_BUF_H

/*
 * Owned, growing bytes. `data` is never NULL after the first append; a zeroed
 * struct buf is empty and valid. Growth is fatal only without memory; whoever
 * appends what comes from outside checks its own limit first.
 */

#include "common/macros.h"
#include "common/slice.h"
#include <string.h>

struct buf {
	uint8_t *data;
	size_t size;     /* bytes in use */
	size_t capacity; /* bytes allocated */
};

/* Frees the contents; the buf is empty and valid again. */
void buf_release(struct buf *buf);

/* Forgets the contents, keeps the memory. */
static inline void
buf_reset(struct buf *buf)
{
	buf->size = 0;
}

/* Makes room for `size` more bytes, whether there is or not. */
void buf_grow(struct buf *buf, size_t size);

/* Room for `size` more bytes; the result points to the first of them. */
static inline uint8_t *
buf_reserve(struct buf *buf, size_t size)
{
	/* Here, as records are written in many small steps. */
	if (buf->data == NULL || size > buf->capacity - buf->size)
		buf_grow(buf, size);
	return buf->data + buf->size;
}

static inline void
buf_append(struct buf *buf, const void *data, size_t size)
{
	uint8_t *to = buf_reserve(buf, size);

	if (size != 0)
		memcpy(to, data, size);
	buf->size += size;
}

static inline void
buf_append_slice(struct buf *buf, struct slice slice)
{
	buf_append(buf, slice.data, slice.size);
}

static inline void
buf_append_text(struct buf *buf, const char *text)
{
	buf_append(buf, text, strlen(text));
}

void buf_append_u64(struct buf *buf, uint64_t value); /* decimal text */
ATTR_PRINTF(2, 3) void buf_printf(struct buf *buf, const char *format, ...);

/* Drops the first `size` bytes; size <= buf->size. */
void buf_drain(struct buf *buf, size_t size);

/* The contents, valid until the next change of the buf. */
static inline struct slice
buf_slice(const struct buf *buf)
{
	return slice_of(buf->data, buf->size);
}

/*
 * Hands the contents to the caller, who frees them; the buf is empty again.
 * *ret_size may not be NULL.
 */
uint8_t *buf_detach(struct buf *buf, size_t *ret_size);

#endif
