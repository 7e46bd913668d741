#include "common/conf_impl.h"
#include <ctype.h>

/* Longer words than this are no slip of a known one. */
#define WORD_SIZE_MAX 40

static char
folded(char byte)
{
	return byte == '_' ? '-' : (char)tolower((unsigned char)byte);
}

/*
 * Levenshtein distance without regard to case, '-' or '_': how many
 * characters were left out, added or changed. WORD_SIZE_MAX for longer words.
 */
static unsigned
distance(const char *a, const char *b)
{
	unsigned row[WORD_SIZE_MAX + 1];
	size_t b_size = strlen(b);

	if (strlen(a) > WORD_SIZE_MAX || b_size > WORD_SIZE_MAX)
		return WORD_SIZE_MAX;
	for (unsigned i = 0; i <= b_size; i++)
		row[i] = i;
	for (size_t i = 0; a[i] != '\0'; i++) {
		unsigned diagonal = row[0];

		row[0]++;
		for (size_t j = 0; j < b_size; j++) {
			unsigned changed =
			    diagonal + (folded(a[i]) != folded(b[j]));
			unsigned shifted = MIN(row[j], row[j + 1]) + 1;

			diagonal = row[j + 1];
			row[j + 1] = MIN(changed, shifted);
		}
	}
	return row[b_size];
}

/* Whether `known` may be what was meant, and nearer than `best`. */
static bool
nearer(const char *word, const char *known, unsigned *best)
{
	unsigned edits = distance(word, known);

	if (edits >= *best || edits > 1 + strlen(known) / 4)
		return false;
	*best = edits;
	return true;
}

void
conf_report_section(
    struct conf *conf, const struct conf_origin *origin, const char *section)
{
	const char *meant = NULL;
	unsigned best = WORD_SIZE_MAX;
	struct buf list = { 0 };

	for (size_t i = 0; i < conf->options_count; i++) {
		const char *known = conf->options[i].section;

		if (nearer(section, known, &best))
			meant = known;
		if (i > 0 && strcmp(known, conf->options[i - 1].section) == 0)
			continue;
		buf_printf(&list, "%s[%s]", i == 0 ? "" : ", ", known);
	}
	if (meant != NULL)
		conf_report(conf, origin, section, NULL,
		    "unknown section; did you mean [%s]?", meant);
	else
		conf_report(conf, origin, section, NULL,
		    "unknown section; there are %.*s", (int)list.size,
		    (const char *)list.data);
	buf_release(&list);
}

/* The section whose option has exactly this name; NULL if there is none. */
static const char *
section_of(const struct conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->options_count; i++) {
		const struct conf_option *option = &conf->options[i];

		if (option->name != NULL && strcmp(option->name, name) == 0)
			return option->section;
	}
	return NULL;
}

void
conf_report_option(struct conf *conf, const struct conf_origin *origin,
    const char *section, const char *name)
{
	const char *elsewhere = section_of(conf, name);
	const char *meant = NULL;
	unsigned best = WORD_SIZE_MAX;
	struct buf list = { 0 };

	for (size_t i = 0; i < conf->options_count; i++) {
		const struct conf_option *option = &conf->options[i];

		if (option->name == NULL ||
		    strcmp(option->section, section) != 0)
			continue;
		if (nearer(name, option->name, &best))
			meant = option->name;
		buf_printf(
		    &list, "%s%s", list.size == 0 ? "" : ", ", option->name);
	}
	if (meant != NULL)
		conf_report(conf, origin, section, name,
		    "unknown option; did you mean %s?", meant);
	else if (elsewhere != NULL)
		conf_report(conf, origin, section, name,
		    "unknown option; it belongs to section [%s]", elsewhere);
	else
		conf_report(conf, origin, section, name,
		    "unknown option; [%s] has %.*s", section, (int)list.size,
		    (const char *)list.data);
	buf_release(&list);
}
