#include "tests/sim/sim_campaign.h"

#include "common/mem.h"
#include "common/panic.h"
#include "tests/sim/sim_media.h"
#include "tests/sim/sim_process.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* From so many runs on, everything that can happen should have. */
#define COVERED_RUNS_MIN      500
#define COVERED_FILE_RUNS_MIN 50
/* More runs that show nothing mean that the configurations are wrong. */
#define VACUOUS_PERCENT_MAX 10
/* Of fewer runs a single one is too large a share. */
#define JUDGED_RUNS_MIN 20
/* One of so many runs may heal slowly; from so many slow ones on that counts. */
#define SLOW_RUNS_MIN 200
#define SLOW_MIN      2
/* So many runs have messages that come several at a time. */
#define PIPELINED_PERCENT_MIN 20

/* What a job's process tells its parent, in memory that both see. */
struct job {
	pid_t pid;
	uint64_t seed; /* the one that runs */
	uint64_t runs_count;
	uint64_t vacuous_count; /* of these */
	bool failed;
	char failure[1024];
	char line[512];
	struct sim_counters counters;
};

struct shared {
	bool stop; /* some job failed */
	struct job jobs[];
};

static bool
run_seed(const struct sim_campaign *campaign, struct job *job)
{
	struct sim_result result;
	struct sim_result again;

	sim_run(job->seed, &campaign->options, &result);
	memcpy(job->line, result.line, sizeof(job->line));
	sim_counters_add(&job->counters, &result.counters);
	job->runs_count++;
	job->vacuous_count += result.vacuous != NULL;
	if (result.failed) {
		memcpy(job->failure, result.failure, sizeof(job->failure));
		return false;
	}
	if (!campaign->verify)
		return true;
	sim_run(job->seed, &campaign->options, &again);
	if (again.hash == result.hash)
		return true;
	snprintf(job->failure, sizeof(job->failure),
	    "event hash %016" PRIx64 ", the second time %016" PRIx64,
	    result.hash, again.hash);
	return false;
}

static void
run_job(
    const struct sim_campaign *campaign, struct shared *shared, unsigned number)
{
	volatile bool *stop = &shared->stop;
	struct job *job = &shared->jobs[number];

	for (job->seed = campaign->first + number;
	     job->seed <= campaign->last && !*stop;
	     job->seed += campaign->jobs_count) {
		if (run_seed(campaign, job))
			continue;
		job->failed = true;
		*stop = true;
		return;
	}
}

static void
start_job(
    const struct sim_campaign *campaign, struct shared *shared, unsigned number)
{
	pid_t pid;

	fflush(stdout); /* or both write what waits there */
	pid = fork();
	if (pid < 0)
		fatal("cannot start a process");
	if (pid != 0) {
		shared->jobs[number].pid = pid;
		return;
	}
	run_job(campaign, shared, number);
	/* Not _exit(): what measures coverage writes at the end. */
	exit(0);
}

static void
wait_for_job(struct shared *shared, struct job *job)
{
	int status;

	if (waitpid(job->pid, &status, 0) != job->pid)
		fatal("cannot wait for a process");
	if (!sim_process_failed(status, job->failure, sizeof(job->failure)))
		return;
	shared->stop = true;
	job->failed = true;
}

/* As it was given: in whole milliseconds. */
static void
print_seconds(const char *option, raft_usec time)
{
	if (time != 0)
		printf(" --%s %" PRIu64 ".%03" PRIu64, option, time / 1000000,
		    time / 1000 % 1000);
}

static void
print_without(uint32_t without)
{
	char before = ' ';

	if (without == 0)
		return;
	printf(" --without");
	for (unsigned i = 0; i < SIM_PARTS_COUNT; i++) {
		if ((without >> i & 1) == 0)
			continue;
		printf("%c%s", before, sim_part_names[i]);
		before = ',';
	}
}

void
sim_print_repeat(uint64_t seed, const struct sim_options *options)
{
	printf("repeat: %s --seed %" PRIu64, sim_media.program, seed);
	if (options->profile != SIM_PROFILE_MIX)
		printf(" --profile %s", sim_profile_names[options->profile]);
	if (options->messages == SIM_MESSAGES_BYTES)
		printf(" --messages bytes");
	if (options->defect != NULL)
		printf(" --defect %s", options->defect);
	if (options->disks != SIM_DISKS_MEMORY)
		printf(" --disks %s", sim_disks_names[options->disks]);
	if (options->nodes_count != 0)
		printf(" --nodes %u", options->nodes_count);
	if (options->clients_count != 0)
		printf(" --clients %u", options->clients_count);
	if (options->operations_max != 0)
		printf(" --operations %" PRIu64, options->operations_max);
	print_without(options->without);
	print_seconds("faults-until", options->faults_until);
	print_seconds("time", options->duration);
	if (options->fail_if != 0)
		printf(
		    " --fail-if %s", sim_counters_name(options->fail_if - 1));
	printf(" --trace\n");
}

static void
print_failure(const struct sim_campaign *campaign, const struct job *job)
{
	if (job->line[0] != '\0')
		printf("%s\n", job->line);
	printf("FAILED seed %" PRIu64 ": %s\n", job->seed, job->failure);
	sim_print_repeat(job->seed, &campaign->options);
	printf("--shrink %" PRIu64 " instead of --seed makes it small\n",
	    job->seed);
}

/* So many times has to happen what can; 0: that is not judged. */
static uint64_t
least_count(const struct sim_campaign *campaign, uint64_t runs_count)
{
	const struct sim_options *options = &campaign->options;
	/* Other sizes and times than those drawn need not show everything. */
	bool drawn = options->profile == SIM_PROFILE_MIX &&
		     options->nodes_count == 0 && options->clients_count == 0 &&
		     options->operations_max == 0 && options->without == 0 &&
		     options->faults_until == 0 && options->duration == 0;
	uint64_t runs_min = options->disks == SIM_DISKS_MEMORY
				? COVERED_RUNS_MIN
				: COVERED_FILE_RUNS_MIN;

	if (campaign->coverage != 0)
		return campaign->coverage;
	return drawn && runs_count >= runs_min ? 1 : 0;
}

/* What is counted in such a campaign ... */
static unsigned
counted_covers(const struct sim_campaign *campaign)
{
	const struct sim_options *options = &campaign->options;

	return SIM_COVER_NEVER | SIM_COVER_ALWAYS |
	       (options->messages == SIM_MESSAGES_BYTES ? SIM_COVER_BYTES : 0) |
	       (options->disks == SIM_DISKS_MEMORY ? 0 : SIM_COVER_FILES);
}

/* ... and what it has to cover. */
static unsigned
judged_covers(const struct sim_campaign *campaign)
{
	unsigned covers = counted_covers(campaign) & ~SIM_COVER_NEVER;

	return (covers & SIM_COVER_FILES) != 0 ? covers & ~SIM_COVER_ALWAYS
					       : covers;
}

/* Pipelining is to be seen in a good part of the runs. */
static bool
judge_streams(const struct sim_counters *counters, uint64_t runs_count)
{
	if (counters->streams_messages == 0) {
		printf("FAILED: no message was bytes\n");
		return false;
	}
	if (runs_count >= JUDGED_RUNS_MIN &&
	    counters->streams_gathered_runs * 100 <
		runs_count * PIPELINED_PERCENT_MIN) {
		printf("FAILED: several messages came together in %" PRIu64
		       " of %" PRIu64 " runs only\n",
		    counters->streams_gathered_runs, runs_count);
		return false;
	}
	return true;
}

/* That a cluster heals slowly is bad luck, but not often. */
static bool
judge_healing(const struct sim_counters *counters, uint64_t runs_count)
{
	uint64_t slow = counters->healings_slow;

	if (slow < SLOW_MIN || slow * SLOW_RUNS_MIN <= runs_count)
		return true;
	printf("FAILED: %" PRIu64 " of %" PRIu64
	       " runs took many terms to heal; "
	       "no more than one of %u may\n",
	    slow, runs_count, SLOW_RUNS_MIN);
	return false;
}

static bool
judge(const struct sim_campaign *campaign, const struct sim_counters *counters,
    uint64_t runs_count, uint64_t vacuous_count)
{
	uint64_t least = least_count(campaign, runs_count);
	bool streams = campaign->options.messages == SIM_MESSAGES_BYTES;
	bool good = !streams || judge_streams(counters, runs_count);

	good = judge_healing(counters, runs_count) && good;
	if (vacuous_count * 100 > runs_count * VACUOUS_PERCENT_MAX &&
	    runs_count >= JUDGED_RUNS_MIN) {
		printf("FAILED: %" PRIu64 " of %" PRIu64
		       " runs showed nothing; no more than %u %% may\n",
		    vacuous_count, runs_count, VACUOUS_PERCENT_MAX);
		good = false;
	}
	if (sim_counters_missing(counters, judged_covers(campaign), least) >
	    0) {
		printf("FAILED: the campaign does not cover what it should\n");
		good = false;
	}
	return good;
}

/* Of the jobs: nobody waits for a disk or a clock here. */
static uint64_t
cpu_time_ms(void)
{
	struct rusage usage;

	if (getrusage(RUSAGE_CHILDREN, &usage) != 0)
		fatal("no resource usage");
	return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) *
		   1000 +
	       (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) /
		   1000;
}

static void
print_pace(const struct sim_counters *counters, uint64_t runs_count)
{
	double seconds = (double)MAX(cpu_time_ms(), 1) / 1000;
	double simulated = (double)counters->simulated_ms / 1000;

	printf("%.2f simulated hours in %.1f s of CPU time: %.1f seeds/s, %.0f "
	       "times as fast as real time\n",
	    simulated / 3600, seconds, (double)runs_count / seconds,
	    simulated / seconds);
}

static bool
summarise(const struct sim_campaign *campaign, const struct shared *shared)
{
	struct sim_counters counters = { 0 };
	unsigned covers = counted_covers(campaign);
	uint64_t runs_count = 0;
	uint64_t vacuous_count = 0;
	bool good = true;

	for (unsigned i = 0; i < campaign->jobs_count; i++) {
		sim_counters_add(&counters, &shared->jobs[i].counters);
		runs_count += shared->jobs[i].runs_count;
		vacuous_count += shared->jobs[i].vacuous_count;
	}
	if (campaign->lists_coverage)
		sim_counters_list(&counters, covers & ~SIM_COVER_NEVER);
	else
		sim_counters_print(&counters, covers);
	for (unsigned i = 0; i < campaign->jobs_count; i++) {
		if (shared->jobs[i].failed)
			print_failure(campaign, &shared->jobs[i]);
		good = good && !shared->jobs[i].failed;
	}
	if (good)
		good = judge(campaign, &counters, runs_count, vacuous_count);
	if (vacuous_count > 0)
		printf("%" PRIu64 " runs showed nothing\n", vacuous_count);
	print_pace(&counters, runs_count);
	printf("%" PRIu64 " seeds, %s\n", runs_count,
	    good ? "no failure" : "FAILED");
	return good;
}

bool
sim_campaign_run(const struct sim_campaign *campaign)
{
	size_t size =
	    sizeof(struct shared) + campaign->jobs_count * sizeof(struct job);
	struct shared *shared = mmap(NULL, size, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	bool good;

	if (shared == MAP_FAILED)
		fatal("no shared memory");
	fflush(stdout);
	for (unsigned i = 0; i < campaign->jobs_count; i++)
		start_job(campaign, shared, i);
	for (unsigned i = 0; i < campaign->jobs_count; i++)
		wait_for_job(shared, &shared->jobs[i]);
	good = summarise(campaign, shared);
	munmap(shared, size);
	return good;
}
