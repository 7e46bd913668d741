#include "tests/torture/check.h"

#include "common/hash.h"
#include "common/mem.h"
#include <stdlib.h>

void
check_texts_init(struct check_texts *texts)
{
	*texts = (struct check_texts){
		.texts = mem_zalloc(1, sizeof(char *)),
		.sizes = mem_zalloc(1, sizeof(size_t)),
		.count = 1,
		.table = mem_zalloc(1024, sizeof(check_text)),
		.table_size = 1024,
	};
	texts->texts[0] = mem_strdup("");
}

void
check_texts_release(struct check_texts *texts)
{
	for (check_text i = 0; i < texts->count; i++)
		free(texts->texts[i]);
	free(texts->texts);
	free(texts->sizes);
	free(texts->table);
}

static check_text *
find_slot(const struct check_texts *texts, struct slice text)
{
	size_t mask = texts->table_size - 1;
	size_t i = hash64(0, text) & mask;

	for (; texts->table[i] != 0; i = (i + 1) & mask) {
		if (slice_equal(check_text_get(texts, texts->table[i]), text))
			break;
	}
	return &texts->table[i];
}

static void
grow(struct check_texts *texts)
{
	texts->table_size *= 2;
	free(texts->table);
	texts->table = mem_zalloc(texts->table_size, sizeof(check_text));
	for (check_text i = 1; i < texts->count; i++)
		*find_slot(texts, check_text_get(texts, i)) = i;
}

check_text
check_text_of(struct check_texts *texts, struct slice text)
{
	check_text *slot = find_slot(texts, text);
	check_text number = texts->count;

	if (*slot != 0)
		return *slot;
	*slot = number;
	if ((number & (number - 1)) == 0) {
		texts->texts = mem_realloc(
		    texts->texts, 2 * (size_t)number, sizeof(char *));
		texts->sizes = mem_realloc(
		    texts->sizes, 2 * (size_t)number, sizeof(size_t));
	}
	texts->texts[number] = mem_zalloc(text.size + 1, 1);
	if (text.size != 0)
		memcpy(texts->texts[number], text.data, text.size);
	texts->sizes[number] = text.size;
	texts->count++;
	if ((size_t)texts->count * 2 > texts->table_size)
		grow(texts);
	return number;
}

check_text
check_text_find(const struct check_texts *texts, struct slice text)
{
	return *find_slot(texts, text);
}

struct slice
check_text_get(const struct check_texts *texts, check_text text)
{
	return slice_of(texts->texts[text], texts->sizes[text]);
}

bool
check_text_begins(
    const struct check_texts *texts, check_text text, check_text prefix)
{
	size_t size = texts->sizes[prefix];

	return texts->sizes[text] >= size &&
	       memcmp(texts->texts[text], texts->texts[prefix], size) == 0;
}
