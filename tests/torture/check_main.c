/*
 * Judges histories of real runs: check_history.h says what and how.
 * usage: check-history [--faults FILE] [--search-ms N] FILE...
 * Exit status 0: all are good; 1: one has a violation; 3: none has, but one
 * proves nothing. --faults is of the history behind it.
 */

#include "common/macros.h"
#include "common/text.h"
#include "tests/torture/check_history.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define USAGE 64

static bool
read_file(const char *path, struct buf *to)
{
	FILE *file = fopen(path, "rb");
	size_t size = 1;

	while (file != NULL && size != 0) {
		uint8_t *end = buf_reserve(to, 1 << 20);

		size = fread(end, 1, 1 << 20, file);
		to->size += size;
	}
	if (file == NULL || ferror(file)) {
		fprintf(
		    stderr, "check-history: %s: %s\n", path, strerror(errno));
		if (file != NULL)
			fclose(file);
		return false;
	}
	fclose(file);
	return true;
}

static enum check_verdict
check_file(const char *path, const char *faults_path,
    const struct check_options *options)
{
	struct buf history = { 0 };
	struct buf faults = { 0 };
	struct buf report = { 0 };
	enum check_verdict verdict = CHECK_VACUOUS;

	if (read_file(path, &history) &&
	    (faults_path == NULL || read_file(faults_path, &faults)))
		verdict = check_history(
		    buf_slice(&history), buf_slice(&faults), options, &report);
	printf("%s\n%.*s", path, (int)report.size,
	    report.size == 0 ? "" : (const char *)report.data);
	buf_release(&history);
	buf_release(&faults);
	buf_release(&report);
	return verdict;
}

static enum check_verdict
worse(enum check_verdict a, enum check_verdict b)
{
	if (a == CHECK_VIOLATION || b == CHECK_VIOLATION)
		return CHECK_VIOLATION;
	return MAX(a, b);
}

int
main(int argc, char **argv)
{
	struct check_options options = { .search_ms_max = 60000 };
	enum check_verdict verdict = CHECK_GOOD;
	const char *faults = NULL;
	int files = 0;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--faults") == 0 && i + 1 < argc) {
			faults = argv[++i];
		} else if (strcmp(argv[i], "--search-ms") == 0 &&
			   i + 1 < argc) {
			if (text_parse_u64(slice_from_text(argv[++i]),
				&options.search_ms_max) != 0)
				return USAGE;
		} else {
			verdict = worse(
			    verdict, check_file(argv[i], faults, &options));
			faults = NULL;
			files++;
		}
	}
	if (files != 0)
		return verdict;
	fprintf(stderr, "usage: check-history [--faults FILE] [--search-ms N] "
			"FILE...\n");
	return USAGE;
}
