#include "api/api_impl.h"
#include "common/text.h"
#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

/* Nobody scrapes more often; a client may. */
#define FIGURES_KEPT_US UINT64_C(1000000)

/* The second number of /proc/self/statm is in pages: proc(5). */
static uint64_t
parse_resident(const char *line)
{
	const char *second = strchr(line, ' ');
	uint64_t pages;

	if (second == NULL)
		return 0;
	second++;
	if (text_parse_u64(slice_of(second, strcspn(second, " ")), &pages) != 0)
		return 0;
	return pages;
}

/* In bytes; 0 if it cannot be known. */
static double
resident_bytes(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	uint64_t pages = 0;
	char line[128];

	if (file == NULL)
		return 0;
	if (fgets(line, sizeof(line), file) != NULL)
		pages = parse_resident(line);
	(void)fclose(file); /* it was only read */
	return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static double
open_files(void)
{
	DIR *directory = opendir("/proc/self/fd");
	int count = 0;

	if (directory == NULL)
		return 0;
	while (readdir(directory) != NULL)
		count++;
	(void)closedir(directory); /* it was only read */
	/* ".", ".." and the directory itself do not count. */
	return count - 3;
}

static double
seconds_of(struct timeval time)
{
	return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static double
processor_seconds(void)
{
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage) != 0)
		return 0;
	return seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
}

static const struct api_process *
recent_figures(struct api *api)
{
	struct api_process *process = &api->process;
	uint64_t now_us = loop_now(api->loop);

	if (now_us < process->until_us)
		return process;
	process->until_us = now_us + FIGURES_KEPT_US;
	process->resident_bytes = resident_bytes();
	process->processor_seconds = processor_seconds();
	process->open_files = open_files();
	return process;
}

void
api_append_process(struct buf *to, struct api *api)
{
	const struct api_process *process = recent_figures(api);

	api_append_sample(to, "gauge", "process_resident_memory_bytes",
	    "Memory in use.", process->resident_bytes);
	api_append_sample(to, "counter", "process_cpu_seconds_total",
	    "Processor time, of user and system.", process->processor_seconds);
	api_append_sample(to, "gauge", "process_open_fds",
	    "Open file descriptors.", process->open_files);
	api_append_sample(to, "gauge", "process_start_time_seconds",
	    "Start, in seconds since 1970.",
	    (double)api->started_wall_us / 1e6);
}
