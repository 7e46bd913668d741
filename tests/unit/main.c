/*
 * Runs the suites named as arguments, or all. Check's own variables work:
 * CK_FORK=no for a debugger, CK_RUN_CASE for one test case.
 */

#include "common/macros.h"
#include "tests/unit/suites.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct entry {
	const char *name;
	Suite *(*make)(void);
};

#undef SUITE
static const struct entry entries[] = {
#define SUITE(name) { #name, name##_suite },
#include "tests/unit/suites.h"
};

static const struct entry *
find_entry(const char *name)
{
	for (size_t i = 0; i < ARRAY_COUNT(entries); i++) {
		if (strcmp(entries[i].name, name) == 0)
			return &entries[i];
	}
	return NULL;
}

static void
add_all(SRunner *runner)
{
	for (size_t i = 0; i < ARRAY_COUNT(entries); i++)
		srunner_add_suite(runner, entries[i].make());
}

int
main(int argc, char **argv)
{
	SRunner *runner = srunner_create(NULL);
	int failed;

	if (argc == 1)
		add_all(runner);
	for (int i = 1; i < argc; i++) {
		const struct entry *entry = find_entry(argv[i]);

		if (entry == NULL) {
			fprintf(stderr, "no suite '%s'\n", argv[i]);
			return 2;
		}
		srunner_add_suite(runner, entry->make());
	}
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
