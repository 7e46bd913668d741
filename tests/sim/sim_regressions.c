#include "tests/sim/sim_regressions.h"

#include "common/macros.h"
#include "common/panic.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LINE_MAX_SIZE 512

/* Takes `line` apart; how many words there are, the program's name included. */
static int
split(char *line, char *argv[SIM_REGRESSION_WORDS_MAX + 1], char **ret_text)
{
	static char program[] = "sim";
	char *end = line + strcspn(line, "#\n");
	char *word = line;
	int count = 1;

	*ret_text = end + (*end == '#');
	(*ret_text)[strcspn(*ret_text, "\n")] = '\0';
	*end = '\0';
	argv[0] = program;
	while (count < SIM_REGRESSION_WORDS_MAX) {
		word += strspn(word, " \t");
		if (*word == '\0')
			break;
		argv[count++] = word;
		word += strcspn(word, " \t");
		if (*word != '\0')
			*word++ = '\0';
	}
	argv[count] = NULL;
	return count;
}

bool
sim_regressions_run(
    const char *path, bool (*run)(int argc, char **argv, const char *text))
{
	char *argv[SIM_REGRESSION_WORDS_MAX + 1];
	char line[LINE_MAX_SIZE];
	unsigned failed = 0;
	unsigned count = 0;
	FILE *file = fopen(path, "r");

	if (file == NULL)
		fatal("cannot read '%s'", path);
	while (fgets(line, sizeof(line), file) != NULL) {
		char *text;
		int argc = split(line, argv, &text);

		if (argc == 1)
			continue;
		count++;
		failed += !run(argc, argv, text);
	}
	fclose(file);
	printf("%u runs that failed once, %u fail again\n", count, failed);
	return count > 0 && failed == 0;
}
