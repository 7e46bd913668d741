#include "tests/cut/promises.h"

#include "common/mem.h"
#include "common/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 5

enum said_kind {
	SAID_REVISION,
	SAID_VOTE,
	SAID_ENTRIES,
	SAID_LIFE,
	SAID_NOTHING
};

static const char *const said_kinds[] = {
	[SAID_REVISION] = "revision",
	[SAID_VOTE] = "vote",
	[SAID_ENTRIES] = "entries",
	[SAID_LIFE] = "life",
	[SAID_NOTHING] = "nothing",
};

struct said {
	enum said_kind kind;
	uint64_t position;
	uint64_t number; /* revision, term, index, or count of lives */
	uint64_t vote;
	const char *directory;
};

struct effect {
	uint64_t revision;
	const char *key;
	const char *value; /* NULL: deleted */
};

struct promises {
	char *text; /* that all strings are in */
	struct said *said;
	size_t said_count;
	struct effect *effects;
	size_t effects_count;
};

static bool
parse_number(const char *word, uint64_t *ret_number)
{
	return text_parse_u64(slice_from_text(word), ret_number) == 0;
}

static bool
parse_effect(struct promises *promises, char *const *words, size_t count)
{
	struct effect effect = { .key = count > 2 ? words[2] : NULL };
	bool puts = strcmp(words[0], "put") == 0;

	if (count != (puts ? 4u : 3u) ||
	    !parse_number(words[1], &effect.revision))
		return false;
	if (puts)
		effect.value = words[3];
	promises->effects = mem_realloc(promises->effects,
	    promises->effects_count + 1, sizeof(*promises->effects));
	promises->effects[promises->effects_count++] = effect;
	return true;
}

static bool
parse_said(struct promises *promises, char *const *words, size_t count)
{
	struct said said = { .position = 0 };
	size_t kind = 0;

	if (count < 4 || !parse_number(words[1], &said.position))
		return false;
	while (kind < ARRAY_COUNT(said_kinds) &&
	       strcmp(words[2], said_kinds[kind]) != 0)
		kind++;
	if (kind == ARRAY_COUNT(said_kinds))
		return false;
	said.kind = (enum said_kind)kind;
	if (said.kind == SAID_LIFE)
		said.directory = words[3];
	else if (!parse_number(words[3], &said.number))
		return false;
	if (said.kind == SAID_LIFE &&
	    (count != 5 || !parse_number(words[4], &said.number)))
		return false;
	if (said.kind == SAID_VOTE &&
	    (count != 5 || !parse_number(words[4], &said.vote)))
		return false;
	promises->said = mem_realloc(
	    promises->said, promises->said_count + 1, sizeof(*promises->said));
	promises->said[promises->said_count++] = said;
	return true;
}

static bool
parse_line(struct promises *promises, char *line)
{
	char *words[WORDS_MAX];
	size_t count = 0;

	while (line != NULL && count < WORDS_MAX) {
		words[count++] = line;
		line = strchr(line, ' ');
		if (line != NULL)
			*line++ = '\0';
	}
	if (line != NULL)
		return false;
	if (strcmp(words[0], "said") == 0)
		return parse_said(promises, words, count);
	return parse_effect(promises, words, count);
}

static char *
read_text(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = NULL;
	size_t capacity = 0;

	if (file == NULL)
		return NULL;
	/* The whole file, as it holds no such byte. */
	if (getdelim(&text, &capacity, '\0', file) < 0) {
		free(text);
		text = NULL;
	}
	(void)fclose(file); /* it was only read */
	return text;
}

struct promises *
promises_load(const char *path)
{
	struct promises *promises = mem_zalloc(1, sizeof(*promises));
	char *line;

	promises->text = line = read_text(path);
	while (line != NULL && *line != '\0') {
		char *end = strchr(line, '\n');

		if (end != NULL)
			*end++ = '\0';
		if (!parse_line(promises, line)) {
			fprintf(stderr, "%s: what is '%s'?\n", path, line);
			promises_free(promises);
			return NULL;
		}
		line = end;
	}
	if (promises->said_count != 0)
		return promises;
	fprintf(stderr, "%s: nothing was said\n", path);
	promises_free(promises);
	return NULL;
}

void
promises_free(struct promises *promises)
{
	if (promises == NULL)
		return;
	free(promises->text);
	free(promises->said);
	free(promises->effects);
	free(promises);
}

static void
add_said(struct promises_made *made, const struct said *said)
{
	made->count++;
	switch (said->kind) {
	case SAID_REVISION:
		made->revision = MAX(made->revision, said->number);
		break;
	case SAID_VOTE:
		if (said->number > made->term) {
			made->term = said->number;
			made->vote = 0;
		}
		if (said->number == made->term && said->vote != 0)
			made->vote = said->vote;
		break;
	case SAID_ENTRIES:
		made->last_index = MAX(made->last_index, said->number);
		break;
	case SAID_LIFE:
		made->lives_count = MAX(made->lives_count, said->number);
		made->directory = said->directory;
		break;
	case SAID_NOTHING:
		*made = (struct promises_made){ .count = made->count,
			.damaged = true };
		break;
	}
}

struct promises_made
promises_until(const struct promises *promises, uint64_t records)
{
	struct promises_made made = { .count = 0 };

	for (size_t i = 0; i < promises->said_count; i++)
		if (promises->said[i].position < records)
			add_said(&made, &promises->said[i]);
	return made;
}

void
promises_state(
    const struct promises *promises, uint64_t revision, struct mem_tree *state)
{
	for (size_t i = 0; i < promises->effects_count; i++) {
		const struct effect *effect = &promises->effects[i];
		struct slice key = slice_from_text(effect->key);

		if (effect->revision > revision)
			continue;
		if (effect->value == NULL)
			(void)mem_tree_delete(state, key); /* there or not */
		else
			mem_tree_put(
			    state, key, slice_from_text(effect->value));
	}
}
