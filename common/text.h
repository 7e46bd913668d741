#ifndef COMMON_TEXT_H
#define COMMON_TEXT_H

/* Numbers with units, and hex, as people write them; all strict. */

#include "common/buf.h"

/* Decimal digits only, no sign, no blank; ERR_INVALID, ERR_TOO_LARGE. */
int text_parse_u64(struct slice text, uint64_t *ret_value) ATTR_MUST_CHECK;

/*
 * "500us 500ms 5s 2m 1h 1d" to microseconds; a bare "0" is allowed, any other
 * number needs its unit. ERR_INVALID, ERR_TOO_LARGE.
 */
int text_parse_duration(struct slice text, uint64_t *ret_us) ATTR_MUST_CHECK;

/* "64KiB 1MiB 8GiB 1TiB", "0", "512B"; ERR_INVALID, ERR_TOO_LARGE. */
int text_parse_size(struct slice text, uint64_t *ret_bytes) ATTR_MUST_CHECK;

/* The shortest exact form: 1500000 -> "1500ms", 2000000 -> "2s". */
void text_append_duration(struct buf *to, uint64_t us);
/* The shortest exact form: 1048576 -> "1MiB", 1000 -> "1000B". */
void text_append_size(struct buf *to, uint64_t bytes);

/* Lower-case hex. */
void text_append_hex(struct buf *to, struct slice bytes);
/* Exactly 2 x size hex digits to `size` bytes; ERR_INVALID. */
int text_parse_hex(struct slice text, uint8_t *to, size_t size) ATTR_MUST_CHECK;

/* True if `bytes` are valid UTF-8 (RFC 3629; no surrogates, no overlongs). */
bool text_is_utf8(struct slice bytes);

/*
 * The content of a JSON string for `bytes`, valid UTF-8, with quotes and
 * escapes (RFC 8259 section 7).
 */
void text_append_json_string(struct buf *to, struct slice bytes);

#endif
