/* Ten thousand answers in parts of which most are quiet: watchers. */

#include "common/clock.h"
#include "common/text.h"
#include "net/http_server_impl.h"
#include "tests/unit/http_site.h"
#include "tests/unit/suites.h"
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define WATCHERS_MAX 10000
/* Files that are open besides. */
#define FILES_OTHER 100
#define PATIENCE_US UINT64_C(60000000)

static unsigned watchers;
static struct http_request *watcher[WATCHERS_MAX];
static unsigned watchers_count;

static void
note(struct probe *probe, struct http_request *request)
{
	(void)probe;
	watcher[watchers_count++] = request;
}

/* The clients have a process, and files, of their own. It ends with the pipe's
 * end. */
static pid_t
start_clients(const struct probe *probe, int *ret_pipe)
{
	static const char text[] = "GET /watch?prefix=app/ HTTP/1.1\r\n"
				   "Host: 127.0.0.1:5864\r\n"
				   "User-Agent: curl/8.5.0\r\n"
				   "Accept: */*\r\n\r\n";
	int ends[2];
	pid_t pid;
	char byte;

	ck_assert_int_eq(pipe(ends), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid != 0) {
		close(ends[0]);
		*ret_pipe = ends[1];
		return pid;
	}
	close(ends[1]);
	for (unsigned i = 0; i < watchers; i++) {
		int fd = probe_connect(probe);

		if (write(fd, text, sizeof(text) - 1) != sizeof(text) - 1)
			_exit(1);
	}
	_exit(read(ends[0], &byte, 1) == 0 ? 0 : 1);
}

static void
await_clients(struct probe *probe)
{
	uint64_t start_us = clock_monotonic_us();

	while (watchers_count < watchers) {
		ck_assert_uint_lt(clock_monotonic_us() - start_us, PATIENCE_US);
		probe_turn(probe);
	}
	probe_settle(probe);
}

static void
end_clients(struct probe *probe, pid_t pid, int pipe)
{
	uint64_t start_us = clock_monotonic_us();
	int status;

	close(pipe);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	while (probe->abandoned < watchers) {
		ck_assert_uint_lt(clock_monotonic_us() - start_us, PATIENCE_US);
		probe_turn(probe);
	}
	ck_assert_uint_eq(http_server_connections(probe->server), 0);
}

static void
start(struct probe *probe)
{
	struct http_server_params params = probe_params;
	struct rlimit files;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
	ck_assert_uint_gt(files.rlim_cur, 2 * FILES_OTHER);
	watchers = (unsigned)MIN(WATCHERS_MAX, files.rlim_cur - FILES_OTHER);
	watchers_count = 0;
	params.connections_max = watchers;
	probe_start(probe, &params);
	probe->crowd = true;
	probe->on_request = note;
}

static size_t
resident_bytes(void)
{
	uint64_t pages;
	char line[200] = "";
	FILE *file = fopen("/proc/self/statm", "r");
	char *second;

	ck_assert_ptr_nonnull(file);
	ck_assert_ptr_nonnull(fgets(line, sizeof(line), file));
	fclose(file);
	second = strchr(line, ' ') + 1;
	ck_assert_int_eq(
	    text_parse_u64(slice_of(second, strcspn(second, " ")), &pages), 0);
	return (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
}

#ifdef __SANITIZE_ADDRESS__
#define BYTES_PER_WATCHER 16384 /* red zones and quarantine */
#else
#define BYTES_PER_WATCHER 2048
#endif

/* All that the server and the event loop keep for one that waits. */
START_TEST(memory_of_quiet_streams)
{
	struct probe probe;
	size_t before;
	size_t each;
	pid_t pid;
	int pipe;

	start(&probe);
	(void)buf_reserve(&probe.events, 64 * WATCHERS_MAX);
	memset(probe.events.data, 0, probe.events.capacity);
	memset(watcher, 1, sizeof(watcher));
	before = resident_bytes();
	pid = start_clients(&probe, &pipe);
	await_clients(&probe);
	each = (resident_bytes() - before) / watchers;
	ck_assert_uint_gt(each, 100); /* it measures something */
	ck_assert_msg(each <= BYTES_PER_WATCHER,
	    "%zu bytes for each of %u quiet streams", each, watchers);
	end_clients(&probe, pid, pipe);
	probe_stop(&probe);
}
END_TEST

static unsigned
list_size(const struct list *list)
{
	const struct list *node;
	unsigned size = 0;

	LIST_EACH(node, list)
		size++;
	return size;
}

/* A turn that has news for some writes to them once, and looks at no other;
 * a turn without looks at none. */
START_TEST(flush_of_some)
{
	struct probe probe;
	pid_t pid;
	int pipe;

	start(&probe);
	pid = start_clients(&probe, &pipe);
	await_clients(&probe);
	ck_assert(list_empty(&probe.server->dirty));
	for (unsigned i = 0; i < watchers; i += 10) {
		for (unsigned k = 0; k < 3; k++)
			ck_assert(http_reply_part(
			    watcher[i], slice_from_text("event")));
	}
	ck_assert_uint_eq(list_size(&probe.server->dirty), (watchers + 9) / 10);
	http_server_flush(probe.server);
	ck_assert(list_empty(&probe.server->dirty));
	ck_assert_uint_eq(probe.server->output_bytes, 0);
	ck_assert_uint_eq(http_server_deadline(probe.server), UINT64_MAX);
	end_clients(&probe, pid, pipe);
	probe_stop(&probe);
}
END_TEST

Suite *
http_server_stream_crowd_suite(void)
{
	Suite *suite = suite_create("http_server_stream_crowd");
	TCase *tests = tcase_create("http_server_stream_crowd");

	tcase_add_test(tests, memory_of_quiet_streams);
	tcase_add_test(tests, flush_of_some);
	suite_add_tcase(suite, tests);
	return suite;
}
