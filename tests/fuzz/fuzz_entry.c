/* What libFuzzer calls: the target that $FUZZ_TARGET names. */

#include "common/log.h"
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct fuzz_target *target;

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const char *name = getenv("FUZZ_TARGET");

	(void)argc;
	(void)argv;
	log_init(LOG_LEVEL_ERR, LOG_FORMAT_TEXT);
	target = fuzz_target_find(name == NULL ? "" : name);
	if (target != NULL)
		return 0;
	fprintf(stderr, "FUZZ_TARGET is to be one of:");
	for (size_t i = 0; i < fuzz_targets_count; i++)
		fprintf(stderr, " %s", fuzz_targets[i].name);
	fprintf(stderr, "\n");
	exit(2);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	target->run(slice_of(data, size));
	return 0;
}
