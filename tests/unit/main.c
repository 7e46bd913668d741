/*
 * Without arguments: all suites side by side, each in a process of its own,
 * and a line for each; what it printed is shown if it failed. The last line is
 * 'N passed, N failed'.
 * With the names of suites: these, one after the other. Check's own variables
 * work: CK_FORK=no for a debugger, CK_RUN_CASE for one test case.
 */

#include "common/clock.h"
#include "common/macros.h"
#include "tests/unit/suites.h"
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* No test takes nearly as long; one that hangs must not stop the others. */
#define TEST_SECONDS_MAX "600"
/* Many suites wait for timers, so more of them than processors can run. */
#define JOBS_PER_CPU 2

struct entry {
	const char *name;
	Suite *(*make)(void);
};

#undef SUITE
static const struct entry entries[] = {
#define SUITE(name) { #name, name##_suite },
#include "tests/unit/suites.h"
};

/* Shared with the processes, which leave here how many tests there were. */
struct tally {
	int checks;
	int failed;
};

struct job {
	pid_t pid;
	FILE *output;
	uint64_t began_us;
};

static struct job jobs[ARRAY_COUNT(entries)];
static struct tally *tallies;

static const struct entry *
find_entry(const char *name)
{
	for (size_t i = 0; i < ARRAY_COUNT(entries); i++) {
		if (strcmp(entries[i].name, name) == 0)
			return &entries[i];
	}
	return NULL;
}

static int
run_named(int count, char **names)
{
	SRunner *runner = srunner_create(NULL);
	int failed;

	for (int i = 0; i < count; i++) {
		const struct entry *entry = find_entry(names[i]);

		if (entry == NULL) {
			fprintf(stderr, "no suite '%s'\n", names[i]);
			return 2;
		}
		srunner_add_suite(runner, entry->make());
	}
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}

/* In a process of its own. */
static int
run_suite(size_t place)
{
	SRunner *runner = srunner_create(entries[place].make());
	int failed;

	srunner_run_all(runner, CK_SILENT);
	failed = srunner_ntests_failed(runner);
	tallies[place].checks = srunner_ntests_run(runner);
	tallies[place].failed = failed;
	if (failed > 0)
		srunner_print(runner, CK_NORMAL);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}

static void
start_job(size_t place)
{
	struct job *job = &jobs[place];

	job->began_us = clock_monotonic_us();
	job->output = tmpfile();
	if (job->output == NULL || (job->pid = fork()) == -1) {
		perror(entries[place].name);
		exit(2);
	}
	if (job->pid != 0)
		return;
	dup2(fileno(job->output), STDOUT_FILENO);
	dup2(fileno(job->output), STDERR_FILENO);
	exit(run_suite(place));
}

static void
print_output(FILE *output)
{
	char part[4096];
	size_t size;

	rewind(output);
	while ((size = fread(part, 1, sizeof(part), output)) > 0)
		fwrite(part, 1, size, stdout);
}

/* A process that did not come to its end is one failure more. */
static void
end_job(size_t place, int status)
{
	struct job *job = &jobs[place];
	struct tally *tally = &tallies[place];
	bool is_good = status == 0;

	if (!is_good && tally->failed == 0)
		tally->failed = 1;
	if (!is_good)
		print_output(job->output);
	fclose(job->output);
	job->pid = 0;
	printf("%-4s  %s  %d tests, %.1f s", is_good ? "ok" : "FAIL",
	    entries[place].name, tally->checks,
	    (double)(clock_monotonic_us() - job->began_us) / 1e6);
	if (!is_good)
		printf(
		    ", %d failed, status %#x", tally->failed, (unsigned)status);
	printf("\n");
}

static void
wait_for_job(void)
{
	int status;
	pid_t pid = wait(&status);

	for (size_t i = 0; i < ARRAY_COUNT(entries); i++) {
		if (jobs[i].pid == pid && pid > 0) {
			end_job(i, status);
			return;
		}
	}
	perror("wait");
	exit(2);
}

static void
run_side_by_side(void)
{
	long jobs_max = JOBS_PER_CPU * sysconf(_SC_NPROCESSORS_ONLN);
	long running = 0;

	for (size_t i = 0; i < ARRAY_COUNT(entries); i++) {
		if (running == jobs_max) {
			wait_for_job();
			running--;
		}
		fflush(stdout);
		start_job(i);
		running++;
	}
	for (; running > 0; running--)
		wait_for_job();
}

static int
run_all(void)
{
	int passed = 0;
	int failed = 0;

	tallies = mmap(NULL, sizeof(struct tally[ARRAY_COUNT(entries)]),
	    PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (tallies == MAP_FAILED) {
		perror("mmap");
		return 2;
	}
	run_side_by_side();
	for (size_t i = 0; i < ARRAY_COUNT(entries); i++) {
		passed += MAX(tallies[i].checks - tallies[i].failed, 0);
		failed += tallies[i].failed;
	}
	printf("%d passed, %d failed\n", passed, failed);
	return failed == 0 ? 0 : 1;
}

int
main(int argc, char **argv)
{
	setenv("CK_DEFAULT_TIMEOUT", TEST_SECONDS_MAX, 0);
	if (argc > 1)
		return run_named(argc - 1, argv + 1);
	return run_all();
}
