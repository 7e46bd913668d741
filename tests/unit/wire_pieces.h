#ifndef TESTS_UNIT_WIRE_PIECES_H
#define TESTS_UNIT_WIRE_PIECES_H

/*
 * A JSON object in pieces, what stands between its commas, to leave out, change
 * and exchange some.
 */

#include "common/buf.h"

#define PIECES_MAX 32

struct pieces {
	unsigned count;
	struct slice piece[PIECES_MAX]; /* "name":value, without the braces */
};

/* The pieces of an object without blanks; they point into `text`. */
void pieces_split(const char *text, struct pieces *pieces);
/* Replaces what is in `to` by the object. */
void pieces_join(struct buf *to, const struct pieces *pieces);
/* The same, with the value of one piece replaced. */
void pieces_join_replaced(struct buf *to, const struct pieces *pieces,
    unsigned place, struct slice value);
void pieces_remove(struct pieces *pieces, unsigned place);
struct slice pieces_value(const struct pieces *pieces, unsigned place);
/* Where the piece of that name is; there must be one. */
unsigned pieces_find(const struct pieces *pieces, const char *name);

#endif
