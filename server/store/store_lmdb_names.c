/*
 * Names of tables. One that is unknown must stop the open: all of the table
 * would be lost without an error if it is a known one's, damaged, and so would
 * be what another version keeps in it. But damage is mended, at the cost of the
 * file, and a file of another version must be left alone.
 */

#include "store/store_lmdb_impl.h"

static bool
differ_in_one_byte(struct slice a, struct slice b)
{
	unsigned count = 0;

	if (a.size != b.size)
		return false;
	for (size_t i = 0; i < a.size; i++)
		count += a.data[i] != b.data[i];
	return count == 1;
}

static bool
is_printable(struct slice name)
{
	for (size_t i = 0; i < name.size; i++)
		if (name.data[i] <= ' ' || name.data[i] > '~')
			return false;
	return true;
}

enum lmdb_name
store_lmdb_judge_name(const struct store_lmdb_params *params, struct slice name)
{
	bool is_like_one = false;

	for (unsigned i = 0; i < params->tables_count; i++) {
		struct slice known = slice_from_text(params->tables[i]);

		if (slice_equal(name, known))
			return LMDB_NAME_KNOWN;
		if (differ_in_one_byte(name, known))
			is_like_one = true;
	}
	if (is_like_one || !is_printable(name))
		return LMDB_NAME_DAMAGED;
	return LMDB_NAME_UNKNOWN;
}
