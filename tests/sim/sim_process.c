#include "tests/sim/sim_process.h"

#include "common/panic.h"
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* Thousands of times what a run takes. */
#define SECONDS_MAX 600

struct sim_result *
sim_process_result(void)
{
	void *memory = mmap(NULL, sizeof(struct sim_result),
	    PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		fatal("no shared memory");
	return memory;
}

bool
sim_process_failed(int status, char *why, size_t size)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return false;
	if (WIFSIGNALED(status))
		snprintf(why, size, "the process died of signal %d",
		    WTERMSIG(status));
	else
		snprintf(why, size, "the process ended with status %d",
		    WEXITSTATUS(status));
	return true;
}

void
sim_process_run(
    uint64_t seed, const struct sim_options *options, struct sim_result *result)
{
	pid_t pid;
	int status;

	memset(result, 0, sizeof(*result));
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		fatal("cannot start a process");
	if (pid == 0) {
		(void)alarm(SECONDS_MAX);
		sim_run(seed, options, result);
		fflush(stdout);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid)
		fatal("cannot wait for a process");
	if (sim_process_failed(
		status, result->failure, sizeof(result->failure)))
		result->failed = true;
}
