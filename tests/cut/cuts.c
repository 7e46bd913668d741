#include "tests/cut/cuts.h"

#include "common/buf.h"
#include "common/clock.h"
#include "common/hash.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/panic.h"
#include "common/rng.h"
#include "tests/cut/image.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define FAILURES_MAX 5
/* A start takes some milliseconds. */
#define CHECK_SECONDS_MAX 20
#define OPEN_FILES_MAX    16
#define LOG_SIZE_MAX      4000

enum { STATUS_GOOD, STATUS_FAILED, STATUS_CANNOT, STATUS_VACUOUS };

/* Numbers that were added, with room for as many more. */
struct set {
	uint64_t *slots; /* 0: free */
	size_t room;     /* a power of two */
	size_t count;
};

struct cuts {
	const struct cuts_options *options;
	struct replay *replay;
	struct promises *promises;
	struct config config;
	char *image_path;          /* the directory of all images */
	struct image_found *found; /* shared with the child */
	int log_fd;                /* what the child says */
	struct rng rng;
	struct set seen;
	uint64_t step;
	/* Of what there is, in a million, and how many more of any kind. */
	uint64_t systematic_share;
	uint64_t random_share;
	/* What came out. */
	uint64_t images[DISK_MODEL_CHOICES_COUNT];
	uint64_t images_count;
	uint64_t repeated;
	uint64_t failures;
	uint64_t kept;
	uint64_t promised_count; /* images behind a promise */
	uint64_t revision_min;
	uint64_t revision_max;
	uint64_t term_max;
	size_t pending_max;
};

static const char *const choice_names[] = {
	[DISK_MODEL_NONE] = "none",
	[DISK_MODEL_ALL] = "all",
	[DISK_MODEL_BUT_ONE] = "but-one",
	[DISK_MODEL_ONLY_ONE] = "only-one",
	[DISK_MODEL_RANDOM] = "random",
	[DISK_MODEL_TORN] = "torn",
};

/* ---- Images that were seen ---- */

static void
set_put(struct set *set, uint64_t number)
{
	size_t at = (size_t)number & (set->room - 1);

	while (set->slots[at] != 0)
		at = (at + 1) & (set->room - 1);
	set->slots[at] = number;
	set->count++;
}

static void
set_grow(struct set *set)
{
	struct set larger = { .room = set->room == 0 ? 1024 : 2 * set->room };

	larger.slots = mem_zalloc(larger.room, sizeof(*larger.slots));
	for (size_t i = 0; i < set->room; i++)
		if (set->slots[i] != 0)
			set_put(&larger, set->slots[i]);
	free(set->slots);
	*set = larger;
}

/* False: it is there already. */
static bool
set_add(struct set *set, uint64_t number)
{
	if (number == 0)
		number = 1;
	if (2 * set->count >= set->room)
		set_grow(set);
	for (size_t at = (size_t)number & (set->room - 1); set->slots[at] != 0;
	     at = (at + 1) & (set->room - 1))
		if (set->slots[at] == number)
			return false;
	set_put(set, number);
	return true;
}

/* ---- One image ---- */

static int
remove_one(const char *path, const struct stat *info, int kind, struct FTW *ftw)
{
	(void)info; /* all kinds are removed alike */
	(void)kind;
	return ftw->level == 0 ? 0 : remove(path);
}

static void
write_image(struct cuts *cuts, enum disk_model_choice choice, uint64_t number)
{
	if (nftw(cuts->image_path, remove_one, OPEN_FILES_MAX,
		FTW_DEPTH | FTW_PHYS) != 0)
		fatal("cannot empty %s: errno %d", cuts->image_path, errno);
	if (disk_model_write_image(replay_disk(cuts->replay), choice, number,
		cuts->image_path) != 0)
		fatal("cannot write an image into %s: errno %d",
		    cuts->image_path, errno);
}

/* What the node says goes where the parent can read it. */
static void
run_child(struct cuts *cuts)
{
	bool good;

	if (cuts->options->only_step == 0 &&
	    dup2(cuts->log_fd, STDERR_FILENO) < 0)
		_exit(STATUS_CANNOT);
	(void)alarm(CHECK_SECONDS_MAX); /* none was set before */
	good = image_check(&cuts->config, cuts->promises,
	    replay_done(cuts->replay), cuts->options->serves, cuts->found);
	_exit(good ? STATUS_GOOD : STATUS_FAILED);
}

static int
check_image(struct cuts *cuts)
{
	int status = 0;
	pid_t child;

	if (ftruncate(cuts->log_fd, 0) != 0 ||
	    lseek(cuts->log_fd, 0, SEEK_SET) != 0)
		fatal("the file for the node's messages: errno %d", errno);
	child = fork();
	if (child < 0)
		fatal("fork: errno %d", errno);
	if (child == 0)
		run_child(cuts);
	if (waitpid(child, &status, 0) != child)
		fatal("waitpid: errno %d", errno);
	return status;
}

static void
tell_failure(struct cuts *cuts, enum disk_model_choice choice, uint64_t number,
    int status)
{
	static char log[LOG_SIZE_MAX + 1];
	ssize_t size = pread(cuts->log_fd, log, LOG_SIZE_MAX, 0);

	log[MAX(size, 0)] = '\0';
	printf("FAIL: behind record %" PRIu64 ", of %zu pending %s %" PRIu64
	       " (--only %" PRIu64 ":%d:%" PRIu64 ")",
	    replay_done(cuts->replay),
	    disk_model_pending_count(replay_disk(cuts->replay)),
	    choice_names[choice], number, cuts->step, (int)choice, number);
	if (WIFSIGNALED(status))
		printf(", ended by signal %d", WTERMSIG(status));
	printf("\n%s", log);
}

static void
note_found(struct cuts *cuts, const struct promises_made *made)
{
	const struct image_found *found = cuts->found;

	cuts->revision_min = MIN(cuts->revision_min, found->revision);
	cuts->revision_max = MAX(cuts->revision_max, found->revision);
	cuts->term_max = MAX(cuts->term_max, found->term);
	if (made->count != 0)
		cuts->promised_count++;
}

static void
keep_image(struct cuts *cuts, enum disk_model_choice choice, uint64_t number,
    const struct promises_made *made)
{
	struct buf path = { 0 };
	FILE *list;

	buf_printf(
	    &path, "%s/%" PRIu64, cuts->options->keep_path, ++cuts->kept);
	buf_append(&path, "", 1); /* its terminator */
	if (mkdir((const char *)path.data, 0700) != 0 ||
	    disk_model_write_image(replay_disk(cuts->replay), choice, number,
		(const char *)path.data) != 0)
		fatal("cannot write %s", (const char *)path.data);
	buf_reset(&path);
	buf_printf(&path, "%s/cuts", cuts->options->keep_path);
	buf_append(&path, "", 1);
	list = fopen((const char *)path.data, "a");
	if (list == NULL)
		fatal("cannot write %s", (const char *)path.data);
	fprintf(list, "%" PRIu64 " %" PRIu64 "\n", cuts->kept, made->revision);
	if (fclose(list) != 0)
		fatal("cannot write %s", (const char *)path.data);
	buf_release(&path);
}

static void
try_image(struct cuts *cuts, enum disk_model_choice choice, uint64_t number)
{
	struct promises_made made =
	    promises_until(cuts->promises, replay_done(cuts->replay));
	uint64_t digest =
	    disk_model_image_digest(replay_disk(cuts->replay), choice, number);
	uint64_t left = cuts->options->images_count - cuts->images_count;
	int status;

	digest = hash64(digest, slice_of(&made.count, sizeof(made.count)));
	if (!set_add(&cuts->seen, digest)) {
		cuts->repeated++;
		return;
	}
	write_image(cuts, choice, number);
	status = check_image(cuts);
	cuts->images[choice]++;
	cuts->images_count++;
	if (status != 0) {
		cuts->failures++;
		tell_failure(cuts, choice, number, status);
		return;
	}
	note_found(cuts, &made);
	if (cuts->kept < cuts->options->keep_count &&
	    rng_below(&cuts->rng, MAX(left, 1)) <
		cuts->options->keep_count - cuts->kept)
		keep_image(cuts, choice, number, &made);
}

/* ---- All of a moment ---- */

static bool
is_over(const struct cuts *cuts)
{
	return cuts->failures >= FAILURES_MAX;
}

static void
try_systematic(
    struct cuts *cuts, enum disk_model_choice choice, uint64_t number)
{
	if (!is_over(cuts) &&
	    rng_below(&cuts->rng, 1000000) < cuts->systematic_share)
		try_image(cuts, choice, number);
}

static void
try_random(struct cuts *cuts)
{
	uint64_t count = cuts->random_share / 1000000;

	if (rng_below(&cuts->rng, 1000000) < cuts->random_share % 1000000)
		count++;
	for (uint64_t i = 0; i < count && !is_over(cuts); i++)
		try_image(cuts,
		    rng_below(&cuts->rng, 2) == 0 ? DISK_MODEL_RANDOM
						  : DISK_MODEL_TORN,
		    rng_next(&cuts->rng));
}

static void
try_moment(struct cuts *cuts)
{
	size_t pending = disk_model_pending_count(replay_disk(cuts->replay));

	cuts->pending_max = MAX(cuts->pending_max, pending);
	try_systematic(cuts, DISK_MODEL_NONE, 0);
	if (pending == 0)
		return;
	try_systematic(cuts, DISK_MODEL_ALL, 0);
	for (uint64_t i = 0; i < pending && pending > 1; i++) {
		try_systematic(cuts, DISK_MODEL_BUT_ONE, i);
		try_systematic(cuts, DISK_MODEL_ONLY_ONE, i);
	}
	try_random(cuts);
}

/*
 * How many there are of each kind, and so which part of them to take: half of
 * what is wanted are any images, unless there are too few others.
 */
static void
plan(struct cuts *cuts)
{
	uint64_t wanted = cuts->options->images_count;
	uint64_t systematic = 0;
	uint64_t moments = 0;

	do {
		size_t pending =
		    disk_model_pending_count(replay_disk(cuts->replay));

		systematic += pending == 0   ? 1
			      : pending == 1 ? 2
					     : 2 + 2 * pending;
		moments += pending != 0;
	} while (replay_step(cuts->replay));
	cuts->systematic_share =
	    MIN(UINT64_C(1000000), wanted * 500000 / MAX(systematic, 1));
	wanted -= systematic * cuts->systematic_share / 1000000;
	cuts->random_share = wanted * 1000000 / MAX(moments, 1);
	replay_rewind(cuts->replay);
}

static void
try_all(struct cuts *cuts)
{
	plan(cuts);
	do {
		try_moment(cuts);
		cuts->step++;
	} while (!is_over(cuts) && replay_step(cuts->replay));
}

static int
try_only(struct cuts *cuts)
{
	const struct cuts_options *options = cuts->options;
	int status;

	for (cuts->step = 1; cuts->step < options->only_step; cuts->step++)
		if (!replay_step(cuts->replay))
			return STATUS_CANNOT;
	write_image(cuts, options->only_choice, options->only_number);
	status = check_image(cuts);
	printf("%s is the image; status %d, revision %" PRIu64 "\n",
	    cuts->image_path, status, cuts->found->revision);
	return status == 0 ? STATUS_GOOD : STATUS_FAILED;
}

/* ---- The run ---- */

static bool
load_config(const char *path, struct config *ret_config)
{
	static char program[] = "luminousd";
	static char flag[] = "-c";
	char *arguments[] = { program, flag, mem_strdup(path), NULL };
	struct config_host host;
	struct buf output = { 0 };
	bool good;

	config_read_host(&host);
	good =
	    config_load(3, arguments, &host, ret_config, &output) == CONFIG_RUN;
	if (!good)
		fprintf(stderr, "%.*s", (int)output.size,
		    (const char *)output.data);
	buf_release(&output);
	free(arguments[2]);
	return good;
}

static bool
open_cuts(struct cuts *cuts, const struct cuts_options *options)
{
	const char *slash;

	*cuts = (struct cuts){ .options = options,
		.step = 1,
		.revision_min = UINT64_MAX,
		.log_fd = -1 };
	rng_init(&cuts->rng, options->seed);
	cuts->replay = replay_new(&options->replay);
	cuts->promises = promises_load(options->promises_path);
	if (cuts->replay == NULL || cuts->promises == NULL ||
	    !load_config(options->config_path, &cuts->config))
		return false;
	log_init(cuts->config.log_level, cuts->config.log_format);
	cuts->image_path = mem_strdup(cuts->config.data_dir);
	slash = strrchr(cuts->image_path, '/');
	ASSERT(slash != NULL);
	cuts->image_path[slash - cuts->image_path] = '\0';
	cuts->log_fd = memfd_create("log", MFD_CLOEXEC);
	cuts->found = mmap(NULL, sizeof(*cuts->found), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT(cuts->log_fd >= 0);
	ASSERT(cuts->found != MAP_FAILED);
	return true;
}

/* Of this process and the nodes that it started. */
static double
processor_seconds(void)
{
	static const int whose[] = { RUSAGE_SELF, RUSAGE_CHILDREN };
	double seconds = 0;

	for (size_t i = 0; i < ARRAY_COUNT(whose); i++) {
		struct rusage usage;

		if (getrusage(whose[i], &usage) != 0)
			fatal("getrusage: errno %d", errno);
		seconds +=
		    (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
		    (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) /
			1e6;
	}
	return seconds;
}

static void
tell(const struct cuts *cuts, uint64_t began_us)
{
	double seconds = (double)(clock_monotonic_us() - began_us) / 1e6;

	printf("%" PRIu64 " records, %" PRIu64 " moments, up to %zu pending\n",
	    replay_records_count(cuts->replay), cuts->step - 1,
	    cuts->pending_max);
	printf("%" PRIu64 " images:", cuts->images_count);
	for (size_t i = 0; i < DISK_MODEL_CHOICES_COUNT; i++)
		printf(" %s %" PRIu64, choice_names[i], cuts->images[i]);
	printf("; %" PRIu64 " more were as one before\n", cuts->repeated);
	printf("%" PRIu64 " behind a promise, revisions %" PRIu64 " to %" PRIu64
	       ", term up to %" PRIu64 "\n",
	    cuts->promised_count, MIN(cuts->revision_min, cuts->revision_max),
	    cuts->revision_max, cuts->term_max);
	printf("%" PRIu64 " failed, %.1f s, %.0f images in a second of a "
	       "processor\n",
	    cuts->failures, seconds,
	    (double)cuts->images_count / processor_seconds());
}

static void
close_cuts(struct cuts *cuts)
{
	(void)close(cuts->log_fd); /* of no use without this process */
	(void)munmap(cuts->found, sizeof(*cuts->found));
	free(cuts->image_path);
	free(cuts->seen.slots);
	config_release(&cuts->config);
	promises_free(cuts->promises);
	replay_free(cuts->replay);
}

static int
run(struct cuts *cuts)
{
	uint64_t began_us = clock_monotonic_us();

	if (cuts->options->only_step != 0)
		return try_only(cuts);
	try_all(cuts);
	tell(cuts, began_us);
	if (cuts->failures != 0)
		return STATUS_FAILED;
	if (cuts->promised_count != 0)
		return STATUS_GOOD;
	printf("nothing was tested\n");
	return STATUS_VACUOUS;
}

int
cuts_run(const struct cuts_options *options)
{
	struct cuts cuts;
	int status;

	setlinebuf(stdout); /* children must not write what is in it again */
	if (!open_cuts(&cuts, options))
		return STATUS_CANNOT;
	status = run(&cuts);
	close_cuts(&cuts);
	return status;
}
