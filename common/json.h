#ifndef COMMON_JSON_H
#define COMMON_JSON_H

/*
 * Strict reading of small JSON objects on top of jansson. Memory is bounded
 * before parsing: text over `size_max`, nested deeper than 32 or with more
 * than 65,536 values (an empty array or object counts twice) is refused.
 * Duplicate members, numbers that are not 64-bit integers or doubles, invalid
 * UTF-8 and NUL characters in strings are refused.
 */

#include "common/macros.h"
#include "common/slice.h"
#include <jansson.h>

/*
 * Parses one JSON object. ERR_INVALID or ERR_TOO_LARGE. The caller releases
 * *ret_object with json_decref.
 */
int json_parse_object(
    struct slice text, size_t size_max, json_t **ret_object) ATTR_MUST_CHECK;

/* Where and why a text is refused. */
struct json_place {
	size_t line; /* from 1; 0: not known */
	size_t column;
	char what[JSON_ERROR_TEXT_LENGTH]; /* "invalid token near 'x'" */
};

/*
 * The same for people's documents: strings may have NUL characters, and of a
 * refused text *ret_place says where and why. (After ERR_TOO_LARGE as well.)
 */
int json_parse_document(struct slice text, size_t size_max, json_t **ret_object,
    struct json_place *ret_place) ATTR_MUST_CHECK;

/*
 * Members by name. Each gives ERR_INVALID when the member is missing or of
 * another type; numbers must be integers 0 .. 2^63-1. Slices and strings are
 * borrowed from the object.
 */
int json_get_u64(const json_t *object, const char *name,
    uint64_t *ret_value) ATTR_MUST_CHECK;
int json_get_bool(
    const json_t *object, const char *name, bool *ret_value) ATTR_MUST_CHECK;
int json_get_text(
    const json_t *object, const char *name, struct slice *ret) ATTR_MUST_CHECK;
/* Exactly 2 x size hex digits. */
int json_get_hex(const json_t *object, const char *name, uint8_t *to,
    size_t size) ATTR_MUST_CHECK;
int json_get_array(
    const json_t *object, const char *name, json_t **ret) ATTR_MUST_CHECK;

#endif
