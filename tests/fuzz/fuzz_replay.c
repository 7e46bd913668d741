/*
 * usage: fuzz-replay [TARGET...]      (from the root of the tree; all)
 *
 * Runs each target, in a process of its own, on every file of its corpus, and
 * on variants of it that are the same in each run: prefixes, and copies with
 * some bytes changed. What is found is kept for ever by adding it to the
 * corpus. Of a failure the input is written to a file that is named, and
 *	build/fuzz-replay TARGET FILE
 * repeats it. The last line is 'N passed, N failed', in targets.
 */

#include "common/log.h"
#include "common/mem.h"
#include "common/panic.h"
#include "common/rng.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/temp_dir.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define CORPUS         "tests/fuzz/corpus"
#define CHANGES_MAX    4
#define SECONDS_MAX    120 /* of a target: it hangs */
#define INPUT_SIZE_MAX (2 * FUZZ_SEED_SIZE_MAX)

/* Shared with the process that runs a target: what it runs now. */
struct progress {
	uint64_t inputs;
	size_t size;
	uint8_t input[INPUT_SIZE_MAX];
};

static struct progress *progress;

/* In memory of its own size, so that a sanitizer sees a read beyond it. */
static void
run(const struct fuzz_target *target, struct slice input)
{
	uint8_t *bytes = mem_alloc(MAX(input.size, 1));

	ASSERT(input.size <= INPUT_SIZE_MAX);
	if (input.size != 0) {
		memcpy(bytes, input.data, input.size);
		memcpy(progress->input, input.data, input.size);
	}
	progress->size = input.size;
	target->run(slice_of(bytes, input.size));
	progress->inputs++;
	free(bytes);
}

/* ---- Variants ---- */

static void
run_prefixes(const struct fuzz_target *target, struct slice seed)
{
	size_t step = seed.size / (target->variants / 2 + 1) + 1;

	for (size_t size = 0; size < seed.size; size += step)
		run(target, slice_of(seed.data, size));
}

static void
change(struct buf *bytes, struct rng *rng)
{
	size_t place = (size_t)rng_below(rng, bytes->size);

	switch (rng_below(rng, 4)) {
	case 0: bytes->data[place] = (uint8_t)rng_next(rng); break;
	case 1:
		bytes->data[place] =
		    (uint8_t)(bytes->data[place] ^ 1u << rng_below(rng, 8));
		break;
	case 2:
		bytes->data[place] = bytes->data[rng_below(rng, bytes->size)];
		break;
	default: /* a byte less */
		memmove(bytes->data + place, bytes->data + place + 1,
		    bytes->size - place - 1);
		bytes->size -= bytes->size > 1;
		break;
	}
}

static void
run_changed(
    const struct fuzz_target *target, struct slice seed, uint64_t number)
{
	struct rng rng;

	rng_init(&rng, number);
	for (unsigned i = 0; i < target->variants && seed.size != 0; i++) {
		struct buf bytes = { 0 };
		uint64_t changes = rng_between(&rng, 1, CHANGES_MAX);

		buf_append_slice(&bytes, seed);
		while (changes-- > 0)
			change(&bytes, &rng);
		run(target, buf_slice(&bytes));
		buf_release(&bytes);
	}
}

/* ---- The corpus ---- */

static void
read_seed(const char *path, struct buf *ret_bytes)
{
	FILE *file = fopen(path, "r");

	if (file == NULL) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		exit(2);
	}
	ret_bytes->size = fread(buf_reserve(ret_bytes, INPUT_SIZE_MAX + 1), 1,
	    INPUT_SIZE_MAX + 1, file);
	fclose(file);
}

static void
run_file(const struct fuzz_target *target, const char *path, uint64_t number,
    bool variants)
{
	struct buf seed = { 0 };

	read_seed(path, &seed);
	run(target, buf_slice(&seed));
	if (variants) {
		run_prefixes(target, buf_slice(&seed));
		run_changed(target, buf_slice(&seed), number);
	}
	buf_release(&seed);
}

static int
is_seed(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void
run_corpus(const struct fuzz_target *target)
{
	struct dirent **entries = NULL;
	char path[512];
	int count;

	snprintf(path, sizeof(path), CORPUS "/%s", target->name);
	count = scandir(path, &entries, is_seed, alphasort);
	for (int i = 0; i < count; i++) {
		snprintf(path, sizeof(path), CORPUS "/%s/%s", target->name,
		    entries[i]->d_name);
		run_file(target, path, (uint64_t)i, true);
		free(entries[i]);
	}
	free(entries);
}

/* ---- Targets ---- */

static void
keep_input(const struct fuzz_target *target)
{
	char path[] = "/tmp/fuzz-replay-XXXXXX";
	int fd = mkstemp(path);
	bool written = fd >= 0 && write(fd, progress->input, progress->size) ==
				      (ssize_t)progress->size;

	printf("FAIL  %s, after %llu inputs: repeat it with build/fuzz-replay "
	       "%s %s\n",
	    target->name, (unsigned long long)progress->inputs, target->name,
	    written ? path : "FILE, which could not be written");
}

/* True if all went well, and something was run. */
static bool
run_target(const struct fuzz_target *target)
{
	int status = -1;
	pid_t child;

	progress->inputs = 0;
	progress->size = 0;
	fflush(stdout);
	child = fork();
	if (child == 0) {
		alarm(SECONDS_MAX);
		run_corpus(target);
		exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
		keep_input(target);
		return false;
	}
	printf("%-4s  %s  %llu inputs\n", progress->inputs == 0 ? "FAIL" : "ok",
	    target->name, (unsigned long long)progress->inputs);
	return progress->inputs > 0;
}

/* Thousands of files are made: in memory, where that can be, and in one place,
 * for who crashes leaves his. */
static char *
make_place(void)
{
	char *place;

	if (access("/dev/shm", W_OK) == 0)
		(void)setenv("TMPDIR", "/dev/shm", 0);
	place = temp_dir_make();
	(void)setenv("TMPDIR", place, 1);
	return place;
}

static const struct fuzz_target *
must_find(const char *name)
{
	const struct fuzz_target *target = fuzz_target_find(name);

	if (target != NULL)
		return target;
	fprintf(stderr, "there is no target %s\n", name);
	exit(2);
}

int
main(int argc, char **argv)
{
	unsigned passed = 0;
	unsigned failed = 0;
	char *place;

	progress = mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT(progress != MAP_FAILED);
	log_init(LOG_LEVEL_ERR, LOG_FORMAT_TEXT);
	if (argc == 3 && access(argv[2], F_OK) == 0) {
		run_file(must_find(argv[1]), argv[2], 0, false);
		return 0;
	}
	place = make_place();
	for (size_t i = 0; i < fuzz_targets_count; i++) {
		const struct fuzz_target *target = &fuzz_targets[i];

		if (argc > 1)
			target = i + 1 < (size_t)argc ? must_find(argv[i + 1])
						      : NULL;
		if (target == NULL)
			break;
		if (run_target(target))
			passed++;
		else
			failed++;
	}
	temp_dir_remove(place);
	printf("%u passed, %u failed\n", passed, failed);
	return failed == 0 ? 0 : 1;
}
