#include "common/log.h"
#include "common/version.h"
#include "config.h"
#include "net/http_server.h"
#include "server.h"
#include "server_recover.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* Files besides the connections: stores, peers, listeners, with room. */
#define OTHER_FILES_COUNT 128

/*
 * The first file opened would take the number of a standard stream that is
 * closed, and messages would be written into it.
 */
static void
open_standard_streams(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		(void)close(fd); /* /dev/null has nothing to lose */
}

static void
print(FILE *to, const struct buf *text)
{
	/* A reader that is gone is not this program's concern. */
	(void)fwrite(text->data, 1, text->size, to);
	(void)fflush(to);
}

/* Each connection is a file; the limit of a shell is often 1,024. */
static void
raise_files_limit(const struct config *config)
{
	rlim_t wanted = (rlim_t)config->connections_max +
			HTTP_RESERVED_CONNECTIONS + OTHER_FILES_COUNT;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
		return;
	limit.rlim_cur = MIN(wanted, limit.rlim_max);
	if (setrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= wanted)
		return;
	log_warning("http.max-connections = %u needs %ju open files, the "
		    "limit is %ju; raise it (LimitNOFILE=, ulimit -n)",
	    config->connections_max, (uintmax_t)wanted,
	    (uintmax_t)limit.rlim_cur);
}

static int
serve_once(const struct config *config, struct server_history *history)
{
	struct server *server;
	int status;

	status = server_new(&server, config, history);
	if (status != 0)
		return status;
	status = server_run(server);
	server_free(server);
	return status;
}

static int
serve(const struct config *config)
{
	struct server_history history = { .reopened_at_us = 0 };
	int status;

	log_init(config->log_level, config->log_format);
	raise_files_limit(config);
	log_info(
	    "luminousd %s starts as %s", version_text(), config->node_name);
	do
		status = serve_once(config, &history);
	while (status == SERVER_REOPEN);
	return status;
}

static int
recover(const struct config *config)
{
	struct buf text = { 0 };
	int status;

	log_init(config->log_level, config->log_format);
	status = server_recover(config, &text);
	print(stdout, &text);
	buf_release(&text);
	return status;
}

int
main(int argc, char **argv)
{
	struct config_host host;
	struct config config;
	struct buf output = { 0 };
	int status = EXIT_SUCCESS;

	open_standard_streams();
	umask(077);
	config_read_host(&host);
	switch (config_load(argc, argv, &host, &config, &output)) {
	case CONFIG_DONE: print(stdout, &output); break;
	case CONFIG_REFUSED:
		print(stderr, &output);
		status = CONFIG_EXIT_STATUS;
		break;
	case CONFIG_RECOVER:
		status = recover(&config);
		config_release(&config);
		break;
	case CONFIG_RUN:
		status = serve(&config);
		config_release(&config);
		break;
	}
	buf_release(&output);
	return status;
}
