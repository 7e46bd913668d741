#include "tests/unit/wire_pieces.h"

#include <check.h>
#include <string.h>

void
pieces_split(const char *text, struct pieces *pieces)
{
	size_t start = 1;
	int depth = 0;

	pieces->count = 0;
	for (size_t i = 1; text[i] != '\0'; i++) {
		bool ends = depth == 0 && (text[i] == ',' || text[i] == '}');

		if (text[i] == '[' || text[i] == '{')
			depth++;
		if (!ends && (text[i] == ']' || text[i] == '}'))
			depth--;
		if (!ends)
			continue;
		ck_assert_uint_lt(pieces->count, PIECES_MAX);
		pieces->piece[pieces->count++] =
		    slice_of(text + start, i - start);
		start = i + 1;
	}
}

void
pieces_join(struct buf *to, const struct pieces *pieces)
{
	buf_reset(to);
	buf_append_text(to, "{");
	for (unsigned i = 0; i < pieces->count; i++) {
		if (i != 0)
			buf_append_text(to, ",");
		buf_append_slice(to, pieces->piece[i]);
	}
	buf_append_text(to, "}");
}

void
pieces_remove(struct pieces *pieces, unsigned place)
{
	for (unsigned i = place; i + 1 < pieces->count; i++)
		pieces->piece[i] = pieces->piece[i + 1];
	pieces->count--;
}

/* "name": of a piece. */
static struct slice
piece_name(struct slice piece)
{
	const uint8_t *colon = memchr(piece.data, ':', piece.size);

	ck_assert_ptr_nonnull(colon);
	return slice_of(piece.data, (size_t)(colon - piece.data) + 1);
}

struct slice
pieces_value(const struct pieces *pieces, unsigned place)
{
	struct slice piece = pieces->piece[place];
	struct slice name = piece_name(piece);

	return slice_of(piece.data + name.size, piece.size - name.size);
}

unsigned
pieces_find(const struct pieces *pieces, const char *name)
{
	for (unsigned i = 0; i < pieces->count; i++) {
		struct slice found = piece_name(pieces->piece[i]);

		/* Without its quotes and its colon. */
		if (slice_equal(slice_of(found.data + 1, found.size - 3),
			slice_from_text(name)))
			return i;
	}
	ck_abort_msg("no piece %s", name);
}

void
pieces_join_replaced(struct buf *to, const struct pieces *pieces,
    unsigned place, struct slice value)
{
	struct pieces replaced = *pieces;
	struct buf piece = { 0 };

	buf_append_slice(&piece, piece_name(pieces->piece[place]));
	buf_append_slice(&piece, value);
	replaced.piece[place] = buf_slice(&piece);
	pieces_join(to, &replaced);
	buf_release(&piece);
}
