#include "common/err.h"
#include "common/text.h"
#include "config_impl.h"

#include <string.h>

int
config_add_seen(struct config_recover *recovery, const char *text)
{
	const char *equals = strchr(text, '=');
	const char *colon = equals == NULL ? NULL : strchr(equals, ':');
	struct config_seen seen = { .term = 0 };
	size_t size;

	if (colon == NULL || recovery->seen_count == CONFIG_SEEN_MAX)
		return ERR_INVALID;
	size = (size_t)(equals - text);
	if (size == 0 || size > CONFIG_NAME_SIZE_MAX)
		return ERR_INVALID;
	memcpy(seen.name, text, size);
	if (text_parse_u64(slice_of(equals + 1, (size_t)(colon - equals - 1)),
		&seen.term) != 0 ||
	    text_parse_u64(slice_from_text(colon + 1), &seen.index) != 0)
		return ERR_INVALID;
	recovery->seen[recovery->seen_count++] = seen;
	return 0;
}
