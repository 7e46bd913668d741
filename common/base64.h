#ifndef COMMON_BASE64_H
#define COMMON_BASE64_H

/* Base64 with padding, RFC 4648 section 4, decoded strictly. */

#include "common/buf.h"

/* Bytes of text for `size` bytes of input. */
#define BASE64_SIZE(size) (((size) + 2) / 3 * 4)

void base64_encode(struct buf *to, struct slice bytes);

/*
 * Appends the decoded bytes to `to`. ERR_INVALID, with `to` as it was, for a
 * wrong length, a character outside the alphabet, misplaced padding, or
 * padding bits that are not zero.
 */
int base64_decode(struct buf *to, struct slice text) ATTR_MUST_CHECK;

#endif
